/*
 * tracker_journal_read.c - reading: runs of records, and the gaps between.
 *
 * A place is a segment and an offset.  Whatever the bytes are, every step
 * goes to a later place, so that reading ends; sequences are what the caller
 * is told, and only those from the one it asked for on.
 */
#include "tracker_journal_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Damage may look like a record everywhere: so many times a segment's size is summed, then it is given up. */
#define SEARCH_EFFORT 16
#define SEQUENCES_END ((uint64_t) TRACKER_SEQUENCE_MAX + 1)

static int  locate(struct tracker_journal *j, uint64_t from);
static bool take_run(struct tracker_journal *j, uint32_t max_records, size_t max_bytes,
                     struct tracker_run *run);
static bool pass_record(struct tracker_journal *j);
static int  skip(struct tracker_journal *j);
static void name_gap(const struct tracker_journal *j, uint64_t from, struct tracker_gap *gap);
static int  ensure_mapped(struct tracker_journal *j, size_t i);

enum tracker_read_verdict
tracker_journal_read(struct tracker_journal *journal, uint64_t from, uint32_t max_records, size_t max_bytes,
                     struct tracker_run *run, struct tracker_gap *gap)
{
    const struct tracker_place *cursor = &journal->cursor;
    int                         moved;

    if (from == 0)
        from = 1;
    if (from >= journal->next)
        return TRACKER_READ_END;
    moved = cursor->sequence == from ? ensure_mapped(journal, cursor->segment) : locate(journal, from);
    while (moved >= 0) {
        if (cursor->sequence > from) {
            name_gap(journal, from, gap);
            return TRACKER_READ_GAP;
        }
        if (cursor->sequence == from && take_run(journal, max_records, max_bytes, run))
            return TRACKER_READ_RUN;
        if (cursor->sequence < from && pass_record(journal))
            continue;
        moved = skip(journal);
        if (moved == 0)
            break;
    }
    /* Nothing at `from`.  Of an orphan that is final, unless we could not look. */
    if (!journal->owner) {
        if (moved == 0)
            journal->next = from;
        else
            journal->failed = true;
    }
    return TRACKER_READ_END;
}

/* The record at the cursor, or not OK.  What an owner wrote and still has in memory is not summed again. */
static enum tracker_record_verdict
record_here(const struct tracker_journal *j, const struct tracker_place *at, struct tracker_record *record)
{
    const struct tracker_segment *segment = &j->segments[at->segment];
    const uint8_t                *bytes = segment->map + at->offset;

    if (segment->map == NULL || at->offset >= segment->mapped || at->sequence >= j->next)
        return TRACKER_RECORD_NONE;
    return j->owner ? tracker_record_glance(bytes, segment->mapped - at->offset, at->sequence, record)
                    : tracker_record_read(bytes, segment->mapped - at->offset, j->salt, at->sequence, record);
}

static void
advance(struct tracker_place *at, const struct tracker_record *record)
{
    at->offset += tracker_record_size(record->len);
    at->sequence++;
    if (at->hash != 0)
        at->hash = tracker_chain_next(at->hash, record->crc);
}

uint64_t
tracker_journal_time(struct tracker_journal *journal, uint64_t sequence)
{
    struct tracker_place  kept = journal->cursor, at;
    struct tracker_record record;
    uint64_t              time_ms = 0;
    int                   error;

    if (sequence == 0 || sequence >= journal->next)
        return 0;
    error = locate(journal, sequence);
    at = journal->cursor;
    journal->cursor = kept;
    while (error == 0 && time_ms == 0) {
        const struct tracker_segment *segment = &journal->segments[at.segment];

        if (segment->map == NULL || at.offset >= segment->mapped ||
            tracker_record_glance(segment->map + at.offset, segment->mapped - at.offset, at.sequence, &record) !=
                TRACKER_RECORD_OK)
            break;
        if (at.sequence == sequence)
            time_ms = record.time_ms;
        advance(&at, &record);
    }
    return time_ms;
}

/* One record is yielded whatever the limits say: a caller with too small ones must not stand still. */
static bool
take_run(struct tracker_journal *j, uint32_t max_records, size_t max_bytes, struct tracker_run *run)
{
    struct tracker_place *at = &j->cursor;
    struct tracker_record record;

    *run = (struct tracker_run){ .first = at->sequence, .hash_before = at->hash };
    while ((run->count == 0 || run->count < max_records) &&
           record_here(j, at, &record) == TRACKER_RECORD_OK) {
        size_t size = tracker_record_size(record.len);

        if (run->count == 0)
            run->bytes = record.payload - TRACKER_RECORD_HEADER;
        else if (run->len + size > max_bytes)
            break;
        run->len += size;
        run->count++;
        advance(at, &record);
    }
    run->hash_after = at->hash;
    return run->count > 0;
}

static bool
pass_record(struct tracker_journal *j)
{
    struct tracker_record record;

    if (record_here(j, &j->cursor, &record) != TRACKER_RECORD_OK)
        return false;
    advance(&j->cursor, &record);
    return true;
}

/*
 * Looks for a record behind bytes that are none, from offset `from` on, where
 * the record `missing` should have been: what is found is later, by no more
 * records than fit in between, and below `below`.  missing 0: any will do.
 * Returns its offset, or 0.
 */
static size_t
find_record(const struct tracker_journal *j, const struct tracker_segment *segment, size_t from,
            uint64_t missing, uint64_t below, uint64_t *sequence)
{
    uint64_t              effort = (uint64_t) segment->mapped * SEARCH_EFFORT;
    struct tracker_record record;

    for (size_t at = from; at + TRACKER_RECORD_HEADER <= segment->mapped; at += 8) {
        const uint8_t *bytes = segment->map + at;
        uint32_t       word, len;
        uint64_t       found;

        memcpy(&word, bytes, sizeof(word));
        len = word & ~TRACKER_RECORD_COMMIT;
        if ((word & TRACKER_RECORD_COMMIT) == 0 || len > TRACKER_RECORD_PAYLOAD_MAX)
            continue;
        memcpy(&found, bytes + 8, sizeof(found));
        if (found <= missing || found >= below ||
            (missing != 0 && found - missing > (at - from) / TRACKER_RECORD_HEADER))
            continue;
        if (tracker_record_read(bytes, segment->mapped - at, j->salt, found, &record) == TRACKER_RECORD_OK) {
            *sequence = found;
            return at;
        }
        if (effort < len)
            return 0;
        effort -= len;
    }
    return 0;
}

/* The next segment that has a first sequence.  0: none.  Negative: a passing error. */
static ssize_t
next_used(struct tracker_journal *j, size_t i)
{
    while (++i < j->count) {
        int error = tracker_segment_load(j, i);

        if (error != 0)
            return error;
        if (j->segments[i].state == TRACKER_SEGMENT_USED)
            return (ssize_t) i;
    }
    return 0;
}

/* Is a file missing between these two, or one of them? */
static bool
files_missing(const struct tracker_journal *j, size_t i, size_t next)
{
    for (; i < next; i++) {
        if (j->segments[i].state == TRACKER_SEGMENT_GONE ||
            j->segments[i + 1].number != j->segments[i].number + 1)
            return true;
    }
    return false;
}

/*
 * From where nothing can be read to the next place where something may: after
 * a hole, or the beginning of the next segment.  1: the cursor moved.  0: there is none.
 * Negative: a passing error, the cursor stays.
 */
static int
skip(struct tracker_journal *j)
{
    struct tracker_place         *cursor = &j->cursor;
    const struct tracker_segment *segment = &j->segments[cursor->segment], *following;
    ssize_t                       next = next_used(j, cursor->segment);
    size_t                        offset;
    uint64_t                      sequence;
    bool                          joins;
    int                           error;

    if (next < 0)
        return (int) next;
    following = &j->segments[next];
    joins = next > 0 && following->first == cursor->sequence;
    if (!joins && segment->map != NULL) {
        offset = find_record(j, segment, cursor->offset, cursor->sequence,
                             next > 0 ? following->first : SEQUENCES_END, &sequence);
        if (offset != 0) {
            *cursor = (struct tracker_place){ cursor->segment, offset, sequence, 0, TRACKER_GAP_HOLE };
            return 1;
        }
    }
    if (next == 0)
        return 0;
    error = ensure_mapped(j, (size_t) next);
    if (error != 0)
        return error;
    *cursor = (struct tracker_place){
        .segment = (size_t) next,
        .offset = following->start,
        .sequence = following->first,
        .hash = following->hash == 0 && joins ? cursor->hash : following->hash,
        .reason = files_missing(j, cursor->segment, (size_t) next) ? TRACKER_GAP_MISSING : TRACKER_GAP_HOLE,
    };
    return 1;
}

/* The cursor stands behind the gap. */
static void
name_gap(const struct tracker_journal *j, uint64_t from, struct tracker_gap *gap)
{
    uint64_t freed = tracker_segment_counters(j)->freed;

    *gap = (struct tracker_gap){ from, j->cursor.sequence, j->cursor.reason };
    if (gap->reason == TRACKER_GAP_MISSING && from < freed) {
        gap->reason = TRACKER_GAP_FREED;
        if (freed < gap->to)
            gap->to = freed;
    }
}

/* Puts the cursor at the beginning of the last segment that begins at or below `from`, looking into few. */
static int
locate(struct tracker_journal *j, uint64_t from)
{
    size_t low = 0, high = j->count; /* segment 0 begins at 1, always */
    int    error;

    while (high - low > 1) {
        size_t  middle = low + (high - low) / 2;
        ssize_t used = next_used(j, middle - 1);

        if (used < 0)
            return (int) used;
        if (used == 0 || (size_t) used >= high || j->segments[used].first > from)
            high = middle;
        else
            low = (size_t) used;
    }
    error = ensure_mapped(j, low);
    if (error == 0)
        j->cursor = (struct tracker_place){ low, j->segments[low].start, j->segments[low].first,
                                            j->segments[low].hash, TRACKER_GAP_HOLE };
    return error;
}

/* Maps segment i, unless its file turns out to be gone.  The mapping outlives the descriptor. */
static int
map_again(struct tracker_journal *j, size_t i)
{
    struct tracker_segment *segment = &j->segments[i];
    int                     error = tracker_segment_map(segment, j->dir_fd, &j->identity.id);

    if (error == 0) {
        close(segment->fd);
        segment->fd = -1;
    }
    return error;
}

static int
ensure_mapped(struct tracker_journal *j, size_t i)
{
    struct tracker_segment *segment = &j->segments[i];
    int                     error = 0;

    if (segment->map == NULL && segment->state == TRACKER_SEGMENT_USED)
        error = map_again(j, i);
    if (error == -ENOENT || error == -EINVAL) {
        segment->state = TRACKER_SEGMENT_GONE;
        error = 0;
    }
    return error;
}

/*
 * The header says where a segment begins.  When it was lost (the power went
 * before it was synced, though what lies behind it got to the disk) the first
 * record that is there says it.  A sound header of something else is believed: a
 * file that was copied to another name is not searched.
 */
static void
find_beginning(struct tracker_journal *j, struct tracker_segment *segment)
{
    struct tracker_segment_header header;
    struct tracker_record         record;

    segment->state = TRACKER_SEGMENT_EMPTY;
    segment->start = TRACKER_SEGMENT_HEADER;
    if (tracker_segment_header_read(segment->map, segment->mapped, &header)) {
        if (memcmp(header.id, j->identity.id.bytes, sizeof(header.id)) != 0 ||
            header.number != segment->number)
            return;
        segment->first = header.first;
        segment->hash = header.hash;
    }
    if (segment->first == 0) {
        segment->hash = 0;
        segment->start = find_record(j, segment, TRACKER_SEGMENT_HEADER, 0, SEQUENCES_END, &segment->first);
        if (segment->start == 0)
            return;
    }
    segment->state = TRACKER_SEGMENT_USED;
    if (tracker_record_read(segment->map + segment->start, segment->mapped - segment->start, j->salt,
                            segment->first, &record) == TRACKER_RECORD_OK)
        segment->first_ms = record.time_ms;
}

int
tracker_segment_load(struct tracker_journal *journal, size_t i)
{
    struct tracker_segment *segment = &journal->segments[i];
    int                     error;

    if (segment->state != TRACKER_SEGMENT_UNREAD)
        return 0;
    error = map_again(journal, i);
    if (error == -ENOENT || error == -EINVAL) {
        segment->state = error == -ENOENT ? TRACKER_SEGMENT_GONE : TRACKER_SEGMENT_EMPTY;
        return 0;
    }
    if (error != 0)
        return error;
    find_beginning(journal, segment);
    if (segment->state == TRACKER_SEGMENT_EMPTY)
        tracker_segment_unmap(segment);
    return 0;
}
