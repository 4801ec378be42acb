/*
 * tracker_journal.c - the journal as a whole: made, written, adopted, closed.
 */
#include "tracker_journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOT_READ_TO_THE_END UINT64_MAX

/*
 * The hot path: no system call, no allocation.  enter_spare() runs once per
 * segment and makes none either.
 */
static bool enter_spare(struct tracker_journal *j, size_t need);

uint8_t *
tracker_journal_reserve(struct tracker_journal *journal, size_t max_len)
{
    size_t need;

    journal->reserved = 0;
    if (max_len > TRACKER_RECORD_PAYLOAD_MAX || journal->next > TRACKER_SEQUENCE_MAX)
        return NULL;
    need = tracker_record_size(max_len);
    if ((size_t) (journal->end - journal->at) < need && !enter_spare(journal, need))
        return NULL;
    journal->reserved = max_len + 1;
    return journal->at + TRACKER_RECORD_HEADER;
}

uint64_t
tracker_journal_commit(struct tracker_journal *journal, uint8_t type, uint64_t time_ms, size_t len)
{
    uint32_t crc;

    if (len >= journal->reserved)
        return 0; /* nothing was reserved, or less */
    crc = tracker_record_commit(journal->at, journal->salt, journal->next, time_ms, type, (uint32_t) len);
    journal->at += tracker_record_size(len);
    journal->reserved = 0;
    journal->hash = tracker_chain_next(journal->hash, crc);
    journal->last_ms = time_ms;
    return journal->next++;
}

static bool
enter_spare(struct tracker_journal *j, size_t need)
{
    struct tracker_spare   *spare = &j->spare;
    struct tracker_segment *last;

    if (!j->owner || j->failed || spare->fd < 0 || need > spare->size - TRACKER_SEGMENT_HEADER)
        return false;
    last = &j->segments[j->count - 1];
    last->end = j->next;
    last->modified_ms = j->last_ms;
    tracker_segment_header_write(spare->map, &j->identity, spare->number, spare->size, j->next, j->hash);
    /* tracker_journal_give_spare made the room. */
    j->segments[j->count++] = (struct tracker_segment){ .number = spare->number,
                                                        .state = TRACKER_SEGMENT_USED,
                                                        .fd = spare->fd,
                                                        .map = spare->map,
                                                        .mapped = spare->size,
                                                        .size = spare->size,
                                                        .first = j->next,
                                                        .hash = j->hash,
                                                        .start = TRACKER_SEGMENT_HEADER };
    j->at = spare->map + TRACKER_SEGMENT_HEADER;
    j->end = spare->map + spare->size;
    *spare = (struct tracker_spare){ .fd = -1 };
    return true;
}

bool
tracker_journal_wants_spare(const struct tracker_journal *journal, uint32_t *number)
{
    const struct tracker_segment *last = &journal->segments[journal->count - 1];

    if (!journal->owner || journal->failed || journal->spare.fd >= 0 || last->number == UINT32_MAX ||
        (size_t) (journal->end - journal->at) >= last->mapped / 2)
        return false;
    *number = last->number + 1;
    return true;
}

/* One that cannot be used is discarded: it would only be made again. */
void
tracker_journal_give_spare(struct tracker_journal *journal, struct tracker_spare *spare)
{
    if (!journal->owner || journal->failed || journal->spare.fd >= 0 || spare->fd < 0 ||
        spare->number != journal->segments[journal->count - 1].number + 1 || !tracker_journal_grow(journal)) {
        tracker_spare_discard(spare, journal->dir_fd, &journal->identity);
        return;
    }
    journal->spare = *spare;
    *spare = (struct tracker_spare){ .fd = -1 };
}

uint64_t
tracker_journal_return_spare(struct tracker_journal *journal)
{
    uint64_t bytes = journal->spare.fd >= 0 ? journal->spare.size : 0;

    tracker_spare_discard(&journal->spare, journal->dir_fd, &journal->identity);
    return bytes;
}

uint64_t
tracker_journal_drop(struct tracker_journal *journal)
{
    struct tracker_segment_counters *counters = tracker_segment_counters(journal);

    if (journal->owner)
        counters->dropped++;
    return counters->dropped;
}

uint64_t
tracker_journal_dropped(const struct tracker_journal *journal)
{
    return tracker_segment_counters(journal)->dropped;
}

uint64_t
tracker_journal_next(const struct tracker_journal *journal)
{
    return journal->next == NOT_READ_TO_THE_END ? 0 : journal->next;
}

bool
tracker_journal_failed(const struct tracker_journal *journal)
{
    return journal->failed;
}

const struct tracker_journal_identity *
tracker_journal_identity(const struct tracker_journal *journal)
{
    return &journal->identity;
}

/* ---- beginning and end ---- */

static struct tracker_journal *
journal_new(int dir_fd, const struct tracker_journal_id *id)
{
    struct tracker_journal *j = calloc(1, sizeof(*j));

    if (j == NULL)
        return NULL;
    j->dir_fd = dir_fd;
    j->identity.id = *id;
    j->salt = tracker_record_salt(id);
    j->spare.fd = -1;
    j->synced = 1;
    return j;
}

/*
 * Segment 0 gets its name only when it is locked and whole: an adopter that
 * looks into the folder meanwhile never sees half a journal.
 */
static int
make_first_segment(struct tracker_journal *j)
{
    char                 name[TRACKER_SEGMENT_NAME_CAP], unnamed[TRACKER_SEGMENT_NAME_CAP];
    struct tracker_spare first;
    int                  error;

    tracker_segment_name(name, &j->identity.id, 0);
    snprintf(unnamed, sizeof(unnamed), "%.*s.new", TRACKER_JOURNAL_HEX_LEN + 2, name);
    error = tracker_segment_make(&first, j->dir_fd, unnamed, &j->identity, 0, TRACKER_SEGMENT_FIRST_BYTES,
                                 1, j->hash);
    if (error != 0)
        return error;
    j->segments[0] = (struct tracker_segment){ .state = TRACKER_SEGMENT_USED,
                                               .fd = first.fd,
                                               .map = first.map,
                                               .mapped = first.size,
                                               .size = first.size,
                                               .first = 1,
                                               .hash = j->hash,
                                               .start = TRACKER_SEGMENT_HEADER };
    j->count = 1;
    if (renameat(j->dir_fd, unnamed, j->dir_fd, name) < 0) {
        error = -errno;
        unlinkat(j->dir_fd, unnamed, 0);
    } else if (fsync(j->dir_fd) < 0) {
        error = -errno;
        unlinkat(j->dir_fd, name, 0);
    }
    return error;
}

static int
create(struct tracker_journal **journal, int dir_fd, struct tracker_journal_identity *identity)
{
    struct tracker_journal *j;
    int                     error;

    randombytes_buf(identity->id.bytes, sizeof(identity->id.bytes));
    j = journal_new(dir_fd, &identity->id);
    if (j == NULL)
        return -ENOMEM;
    j->identity = *identity;
    j->owner = true;
    j->next = 1;
    j->hash = tracker_chain_start(&identity->id, 1);
    error = tracker_journal_grow(j) ? make_first_segment(j) : -ENOMEM;
    if (error != 0) {
        tracker_journal_close(j);
        return error;
    }
    j->at = j->segments[0].map + TRACKER_SEGMENT_HEADER;
    j->end = j->segments[0].map + j->segments[0].mapped;
    *journal = j;
    return 0;
}

int
tracker_journal_create(struct tracker_journal **journal, int dir_fd,
                       struct tracker_journal_identity *identity)
{
    int tries = 5, error;

    if ((identity->kind != TRACKER_JOURNAL_TRAFFIC && identity->kind != TRACKER_JOURNAL_MONEY) ||
        !tracker_edge_name_valid(identity->edge))
        return -EINVAL;
    tracker_journal_remove_abandoned(dir_fd);
    do /* another creator may have taken our file, not yet locked, for abandoned */
        error = create(journal, dir_fd, identity);
    while ((error == -EWOULDBLOCK || error == -ENOENT) && --tries > 0);
    return error;
}

/* Segment 0 of an orphan, locked: says who wrote it. */
static int
read_identity(struct tracker_journal *j, const struct tracker_segment *first)
{
    struct tracker_segment_header header;

    if (!tracker_segment_header_read(first->map, first->mapped, &header) ||
        memcmp(header.id, j->identity.id.bytes, sizeof(header.id)) != 0 || header.number != 0 ||
        header.first != 1 || !tracker_edge_name_valid(header.edge) || /* packs of it would be refused for ever */
        (header.kind != TRACKER_JOURNAL_TRAFFIC && header.kind != TRACKER_JOURNAL_MONEY))
        return -EINVAL;
    j->identity.kind = (enum tracker_journal_kind) header.kind;
    j->identity.partition = header.partition;
    j->identity.created_ms = header.created_ms;
    memcpy(j->identity.edge, header.edge, sizeof(j->identity.edge));
    j->hash = header.hash;
    return 0;
}

int
tracker_journal_adopt(struct tracker_journal **journal, int dir_fd, const struct tracker_journal_id *id)
{
    struct tracker_segment  first = { .fd = -1, .state = TRACKER_SEGMENT_USED, .first = 1,
                                      .start = TRACKER_SEGMENT_HEADER };
    struct tracker_journal *j;
    int                     error;

    j = journal_new(dir_fd, id);
    if (j == NULL)
        return -ENOMEM;
    j->next = NOT_READ_TO_THE_END;
    error = tracker_segment_map(&first, dir_fd, id);
    if (error == 0)
        error = read_identity(j, &first);
    if (error == 0)
        error = tracker_journal_list(j);
    if (error == 0 && (j->count == 0 || j->segments[0].number != 0))
        error = -ENOENT;
    if (error != 0) {
        tracker_segment_unmap(&first);
        tracker_journal_close(j);
        return error;
    }
    first.size = j->segments[0].size;
    first.modified_ms = j->segments[0].modified_ms;
    first.hash = j->hash;
    j->segments[0] = first;
    *journal = j;
    return 0;
}

void
tracker_journal_close(struct tracker_journal *journal)
{
    if (journal == NULL)
        return;
    /* A thread's dup of the descriptor, or a child's, would else keep the lock. */
    if (journal->count > 0 && journal->segments[0].fd >= 0)
        flock(journal->segments[0].fd, LOCK_UN);
    for (size_t i = 0; i < journal->count; i++)
        tracker_segment_unmap(&journal->segments[i]);
    if (journal->spare.fd >= 0) {
        munmap(journal->spare.map, journal->spare.size);
        close(journal->spare.fd);
    }
    free(journal->segments);
    free(journal);
}

/*
 * An adopted journal that could not be read to its end for a passing reason
 * (failed) is only closed: what it holds is not known to be delivered.
 */
uint64_t
tracker_journal_delete(struct tracker_journal *journal)
{
    char     name[TRACKER_SEGMENT_NAME_CAP];
    uint64_t bytes = 0;

    if (journal->owner || !journal->failed) {
        bytes = tracker_journal_bytes(journal);
        tracker_spare_discard(&journal->spare, journal->dir_fd, &journal->identity);
        for (size_t i = journal->count; i-- > 0;) {
            tracker_segment_name(name, &journal->identity.id, journal->segments[i].number);
            unlinkat(journal->dir_fd, name, 0);
        }
    }
    tracker_journal_close(journal);
    return bytes;
}
