/*
 * tracker_journal_free.c - retention: what the database has is kept for a
 * while (it may be restored from a backup), then given back.
 */
#include "tracker_journal_internal.h"

#include <fcntl.h>
#include <unistd.h>

uint64_t
tracker_journal_bytes(const struct tracker_journal *journal)
{
    uint64_t bytes = journal->spare.fd >= 0 ? journal->spare.size : 0;

    for (size_t i = 0; i < journal->count; i++)
        bytes += journal->segments[i].size;
    return bytes;
}

uint64_t
tracker_retained_since(uint64_t now_ms, uint64_t retain_ms)
{
    return now_ms > retain_ms ? now_ms - retain_ms : 1; /* 0 would mean: whatever its age */
}

static bool
all_zero(const uint8_t *bytes, ssize_t n)
{
    while (n > 0 && bytes[n - 1] == 0)
        n--;
    return n == 0;
}

/* Made ahead for this journal and not entered: its header has no first sequence yet, or was not even written. */
static bool
never_entered(const struct tracker_journal *j, const struct tracker_segment *segment, const char *name)
{
    uint8_t                       bytes[TRACKER_SEGMENT_HEADER];
    struct tracker_segment_header header;
    int                           fd = openat(j->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t                       n = fd >= 0 ? pread(fd, bytes, sizeof(bytes), 0) : -1;

    if (fd >= 0)
        close(fd);
    if (all_zero(bytes, n))
        return true;
    return n == (ssize_t) sizeof(bytes) && tracker_segment_header_read(bytes, sizeof(bytes), &header) &&
           memcmp(header.id, j->identity.id.bytes, sizeof(header.id)) == 0 &&
           header.number == segment->number && header.first == 0;
}

uint64_t
tracker_journal_trim(struct tracker_journal *journal)
{
    char     name[TRACKER_SEGMENT_NAME_CAP];
    uint64_t freed = 0;

    if (journal->owner || journal->failed || journal->next == UINT64_MAX)
        return 0;
    /* what was searched for records and has none is EMPTY; from the last one back to the first that is not */
    while (journal->count > 1) {
        const struct tracker_segment *last = &journal->segments[journal->count - 1];

        tracker_segment_name(name, &journal->identity.id, last->number);
        if (last->state != TRACKER_SEGMENT_EMPTY || journal->cursor.segment == journal->count - 1 ||
            !never_entered(journal, last, name) || unlinkat(journal->dir_fd, name, 0) != 0)
            break;
        freed += last->size;
        journal->count--;
    }
    return freed;
}

/*
 * When segment i was last written.  An orphan's file times do not say it (a
 * mapping does not touch them on every file system); the first record behind
 * it does, a little late, which is the safe side.
 */
static uint64_t
last_written_ms(const struct tracker_journal *j, size_t i, size_t following)
{
    uint64_t ms = j->segments[following].first_ms;

    return !j->owner && ms != 0 ? ms : j->segments[i].modified_ms;
}

/*
 * The used segment after i, whose first sequence is segment i's end.  0: none,
 * or none to be had just now; looking into one that was never read counts as handling it.
 */
static size_t
following_used(struct tracker_journal *j, size_t i, uint64_t *handled, uint64_t max_bytes)
{
    while (++i < j->count) {
        if (j->segments[i].state == TRACKER_SEGMENT_UNREAD) {
            if (max_bytes != 0 && *handled + j->segments[i].size > max_bytes)
                return 0;
            *handled += j->segments[i].size;
            if (tracker_segment_load(j, i) != 0)
                return 0;
        }
        if (j->segments[i].state == TRACKER_SEGMENT_USED)
            return i;
    }
    return 0;
}

/* Readers are told the reason from this.  If it fails, the gap will be called MISSING. */
static void
note_freed(struct tracker_journal *j, uint64_t below)
{
    off_t   at = TRACKER_SEGMENT_COUNTERS_OFFSET + (off_t) offsetof(struct tracker_segment_counters, freed);
    ssize_t written;

    if (tracker_segment_counters(j)->freed < below) {
        written = pwrite(j->segments[0].fd, &below, sizeof(below), at);
        (void) written;
    }
}

/* Takes [1, upto) out of the list. */
static void
forget(struct tracker_journal *j, size_t upto)
{
    size_t gone = upto - 1;

    memmove(&j->segments[1], &j->segments[upto], (j->count - upto) * sizeof(j->segments[0]));
    j->count -= gone;
    if (j->cursor.segment >= upto)
        j->cursor.segment -= gone;
    else if (j->cursor.segment >= 1)
        j->cursor.sequence = 0;
}

/* Kept on disk, not in memory: it is read again only after the database went back. */
static bool
can_unmap(const struct tracker_journal *j, const struct tracker_segment *segment)
{
    return segment->map != NULL && (!j->owner || segment->end <= j->synced);
}

/*
 * A slice: the caller comes again, so that no event waits for a thousand
 * unlinks.  Giving back the memory of what is too young to be freed, and
 * looking into segments never read, count against max_bytes as well.
 */
uint64_t
tracker_journal_free(struct tracker_journal *journal, uint64_t acked, uint64_t before_ms, uint64_t max_bytes)
{
    char     name[TRACKER_SEGMENT_NAME_CAP];
    uint64_t freed = 0, handled = 0;
    size_t   following, upto = 1;
    bool     keep = false;

    for (size_t i = 1; (following = following_used(journal, i, &handled, max_bytes)) != 0; i++) {
        struct tracker_segment *segment = &journal->segments[i];
        uint64_t                end = journal->segments[following].first;

        if (end > acked)
            break;
        keep = keep || (before_ms != 0 && last_written_ms(journal, i, following) >= before_ms);
        if (keep && !can_unmap(journal, segment))
            continue;
        if (max_bytes != 0 && handled + segment->size > max_bytes)
            break;
        handled += segment->size;
        tracker_segment_unmap(segment);
        if (keep)
            continue;
        note_freed(journal, end);
        tracker_segment_name(name, &journal->identity.id, segment->number);
        if (unlinkat(journal->dir_fd, name, 0) == 0)
            freed += segment->size;
        upto = i + 1;
    }
    forget(journal, upto);
    return freed;
}
