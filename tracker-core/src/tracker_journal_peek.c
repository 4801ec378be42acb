/*
 * tracker_journal_peek.c - whose a journal is, without taking it.
 */
#include "tracker_journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
tracker_journal_peek(int dir_fd, const struct tracker_journal_id *id, struct tracker_journal_identity *identity)
{
    char                          name[TRACKER_SEGMENT_NAME_CAP];
    uint8_t                       bytes[TRACKER_SEGMENT_HEADER];
    ssize_t                       n;
    int                           fd;
    struct tracker_segment_header header;

    tracker_segment_name(name, id, 0);
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ELOOP ? -EINVAL : -errno;
    n = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);

    if (n != (ssize_t) sizeof(bytes) || !tracker_segment_header_read(bytes, sizeof(bytes), &header) ||
        memcmp(header.id, id->bytes, sizeof(header.id)) != 0)
        return -EINVAL;
    *identity = (struct tracker_journal_identity){ .id = *id,
                                                   .kind = header.kind,
                                                   .partition = header.partition,
                                                   .created_ms = header.created_ms };
    memcpy(identity->edge, header.edge, sizeof(identity->edge));
    return 0;
}
