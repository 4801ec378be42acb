/*
 * tracker_journal_segment.c - one segment file: its name, its header, making
 * it, mapping it.
 */
#include "tracker_journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_MODE 0600

static const char magic[8] = { 'A', 'F', 'F', 'J', 'R', 'N', 'L', '1' };

void
tracker_segment_name(char name[TRACKER_SEGMENT_NAME_CAP], const struct tracker_journal_id *id,
                     uint32_t number)
{
    tracker_journal_id_format(id, name);
    snprintf(name + TRACKER_JOURNAL_HEX_LEN, TRACKER_SEGMENT_NAME_CAP - TRACKER_JOURNAL_HEX_LEN, ".%u",
             number);
}

/* One spelling only: a number written in two ways would be a segment that exists twice. */
bool
tracker_segment_name_parse(const char *name, struct tracker_journal_id *id, uint32_t *number)
{
    const char *p = name + TRACKER_JOURNAL_HEX_LEN + 1;
    uint64_t    n = 0;

    if (strnlen(name, TRACKER_JOURNAL_HEX_LEN + 2) < TRACKER_JOURNAL_HEX_LEN + 2 || p[-1] != '.' ||
        !tracker_journal_id_parse(id, (struct tracker_str){ name, TRACKER_JOURNAL_HEX_LEN }))
        return false;
    if (p[0] == '0' && p[1] != '\0')
        return false;
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t) (*p - '0');
        if (n > UINT32_MAX)
            return false;
    }
    *number = (uint32_t) n;
    return true;
}

/*
 * A writer killed between these stores leaves a header whose CRC does not
 * match, and no record behind it: the reader finds nothing there, rightly.
 */
void
tracker_segment_header_write(uint8_t *map, const struct tracker_journal_identity *identity, uint32_t number,
                             uint64_t size, uint64_t first, uint64_t hash)
{
    struct tracker_segment_header header = { .number = number,
                                             .kind = (uint8_t) identity->kind,
                                             .partition = identity->partition,
                                             .created_ms = identity->created_ms,
                                             .size = size,
                                             .first = first,
                                             .hash = hash };

    memcpy(header.magic, magic, sizeof(magic));
    memcpy(header.id, identity->id.bytes, sizeof(header.id));
    memcpy(header.edge, identity->edge, strnlen(identity->edge, TRACKER_EDGE_NAME_MAX));
    header.crc = tracker_crc32c(0, &header, TRACKER_SEGMENT_CRC_OFFSET);
    memcpy(map, &header, sizeof(header));
}

bool
tracker_edge_name_valid(const char edge[TRACKER_EDGE_NAME_MAX + 1])
{
    if (edge[TRACKER_EDGE_NAME_MAX] != '\0')
        return false;
    for (size_t i = 0; i < TRACKER_EDGE_NAME_MAX; i++) {
        if (edge[i] == '\0' ? edge[i + 1] != '\0' : edge[i] < 0x20 || edge[i] > 0x7e)
            return false;
    }
    return true;
}

bool
tracker_segment_header_read(const uint8_t *map, size_t len, struct tracker_segment_header *header)
{
    if (len < TRACKER_SEGMENT_HEADER)
        return false;
    memcpy(header, map, sizeof(*header));
    header->edge[TRACKER_EDGE_NAME_MAX] = '\0';
    return memcmp(header->magic, magic, sizeof(magic)) == 0 &&
           header->crc == tracker_crc32c(0, map, TRACKER_SEGMENT_CRC_OFFSET) &&
           header->first <= (uint64_t) TRACKER_SEQUENCE_MAX + 1;
}

/*
 * Writes to every page, so that the click path meets neither a missing page
 * nor an unwritten extent (whose conversion would make every later sync wait
 * for the file system's log), and a file system that promised too much says so now.
 */
static int
touch(uint8_t *map, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    if (madvise(map, size, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return errno == EFAULT ? -ENOSPC : -errno;
#endif
    for (size_t at = 0; at < size; at += TRACKER_SEGMENT_HEADER)
        ((volatile uint8_t *) map)[at] = 0;
    return 0;
}

static int
allocate(struct tracker_spare *spare, const struct tracker_journal_identity *identity, uint64_t first,
         uint64_t hash)
{
    int error;

    if (spare->number == 0 && flock(spare->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    do
        error = posix_fallocate(spare->fd, 0, (off_t) spare->size);
    while (error == EINTR);
    if (error != 0)
        return -error;
    spare->map = mmap(NULL, spare->size, PROT_READ | PROT_WRITE, MAP_SHARED, spare->fd, 0);
    if (spare->map == MAP_FAILED) {
        spare->map = NULL;
        return -errno;
    }
    error = touch(spare->map, spare->size);
    if (error != 0)
        return error;
    tracker_segment_header_write(spare->map, identity, spare->number, spare->size, first, hash);
    return fsync(spare->fd) < 0 ? -errno : 0;
}

static void
spare_close(struct tracker_spare *spare)
{
    if (spare->map != NULL)
        munmap(spare->map, spare->size);
    if (spare->fd >= 0)
        close(spare->fd);
    spare->map = NULL;
    spare->fd = -1;
}

int
tracker_segment_make(struct tracker_spare *spare, int dir_fd, const char *name,
                     const struct tracker_journal_identity *identity, uint32_t number, size_t size,
                     uint64_t first, uint64_t hash)
{
    int error;

    *spare = (struct tracker_spare){ .fd = -1, .number = number, .size = size };
    if (size < TRACKER_SEGMENT_BYTES_MIN || size > TRACKER_SEGMENT_BYTES_MAX)
        return -EINVAL;
    spare->size = (size + TRACKER_SEGMENT_HEADER - 1) / TRACKER_SEGMENT_HEADER * TRACKER_SEGMENT_HEADER;
    spare->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, SEGMENT_MODE);
    if (spare->fd < 0)
        return -errno;
    error = allocate(spare, identity, first, hash);
    if (error != 0) {
        spare_close(spare);
        unlinkat(dir_fd, name, 0);
    }
    return error;
}

int
tracker_spare_make(struct tracker_spare *spare, int dir_fd, const struct tracker_journal_identity *identity,
                   uint32_t number, size_t size)
{
    char name[TRACKER_SEGMENT_NAME_CAP];
    int  error;

    *spare = (struct tracker_spare){ .fd = -1, .number = number };
    if (number == 0)
        return -EINVAL;
    tracker_segment_name(name, &identity->id, number);
    error = tracker_segment_make(spare, dir_fd, name, identity, number, size, 0, 0);
    if (error == 0 && fsync(dir_fd) < 0) {
        error = -errno;
        tracker_spare_discard(spare, dir_fd, identity);
    }
    return error;
}

void
tracker_spare_discard(struct tracker_spare *spare, int dir_fd,
                      const struct tracker_journal_identity *identity)
{
    char name[TRACKER_SEGMENT_NAME_CAP];

    if (spare->fd < 0)
        return;
    spare_close(spare);
    tracker_segment_name(name, &identity->id, spare->number);
    unlinkat(dir_fd, name, 0);
}

static int
map_file(struct tracker_segment *segment)
{
    struct stat st;
    size_t      len;

    if (fstat(segment->fd, &st) < 0)
        return -errno;
    if (st.st_nlink == 0)
        return -ENOENT; /* whoever held the lock before us has deleted it */
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t) TRACKER_SEGMENT_HEADER)
        return -EINVAL;
    len = (uint64_t) st.st_size > TRACKER_SEGMENT_BYTES_MAX ? TRACKER_SEGMENT_BYTES_MAX : (size_t) st.st_size;
    segment->map = mmap(NULL, len, PROT_READ, MAP_SHARED, segment->fd, 0);
    if (segment->map == MAP_FAILED) {
        segment->map = NULL;
        return -errno;
    }
    segment->mapped = len;
    return 0;
}

/* Segment 0 is opened for writing too, its counters move; and locked before anything in it is believed. */
int
tracker_segment_map(struct tracker_segment *segment, int dir_fd, const struct tracker_journal_id *id)
{
    char name[TRACKER_SEGMENT_NAME_CAP];
    int  flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, error = 0;

    tracker_segment_name(name, id, segment->number);
    segment->fd = openat(dir_fd, name, flags | (segment->number == 0 ? O_RDWR : O_RDONLY));
    if (segment->fd < 0)
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EINVAL : -errno;
    if (segment->number == 0 && flock(segment->fd, LOCK_EX | LOCK_NB) < 0)
        error = -errno;
    if (error == 0)
        error = map_file(segment);
    if (error != 0)
        tracker_segment_unmap(segment);
    return error;
}

void
tracker_segment_unmap(struct tracker_segment *segment)
{
    if (segment->map != NULL)
        munmap(segment->map, segment->mapped);
    if (segment->fd >= 0)
        close(segment->fd);
    segment->map = NULL;
    segment->mapped = 0;
    segment->fd = -1;
}
