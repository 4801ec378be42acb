/*
 * tracker_journal_sync.c - durability, in three steps so that the middle one
 * may wait for the disk on another thread.
 *
 * Earlier segments go first: if the power fails in between, what is on disk
 * is a beginning of the journal, not an end.
 */
#include "tracker_journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static uint64_t
segment_end(const struct tracker_journal *j, size_t i)
{
    return i + 1 == j->count ? j->next : j->segments[i].end;
}

/*
 * Without a free descriptor less is covered than exists, perhaps nothing:
 * that is no error of the journal, tracker_journal_synced tells and the caller comes again.
 */
bool
tracker_journal_sync_begin(struct tracker_journal *journal, struct tracker_sync *sync)
{
    size_t i = journal->count;

    *sync = (struct tracker_sync){ .covers = journal->synced };
    if (!journal->owner || journal->failed || journal->synced >= journal->next)
        return false;
    while (i > 0 && segment_end(journal, i - 1) > journal->synced)
        i--;
    for (; i < journal->count && sync->count < TRACKER_SYNC_FDS; i++) {
        int fd = fcntl(journal->segments[i].fd, F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
            break;
        sync->fds[sync->count++] = fd;
        sync->covers = segment_end(journal, i);
    }
    return true;
}

void
tracker_sync_run(struct tracker_sync *sync)
{
    for (unsigned i = 0; i < sync->count; i++) {
        if (sync->error == 0 && fdatasync(sync->fds[i]) < 0)
            sync->error = -errno;
        close(sync->fds[i]);
    }
    sync->count = 0;
}

void
tracker_journal_sync_end(struct tracker_journal *journal, const struct tracker_sync *sync)
{
    if (sync->error != 0) {
        journal->failed = true;
        journal->at = journal->end; /* reserve has one comparison, and it fails from now on */
        journal->reserved = 0;
        return;
    }
    if (sync->covers > journal->synced)
        journal->synced = sync->covers;
    /* What is full and synced needs no descriptor any more; segment 0's carries the lock. */
    for (size_t i = journal->count - 1; i-- > 1;) {
        struct tracker_segment *segment = &journal->segments[i];

        if (segment->end > journal->synced)
            continue;
        if (segment->fd < 0)
            break;
        close(segment->fd);
        segment->fd = -1;
    }
}

uint64_t
tracker_journal_synced(const struct tracker_journal *journal)
{
    return journal->synced;
}
