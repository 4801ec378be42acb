/*
 * fuzz_journal.c - a hostile segment folder is adopted, read and freed.
 *
 * The input is a list of things done to a sound journal of four segments:
 * bytes overwritten, files cut, removed, copied, mixed up; and the checksums put right
 * again, so that the reader believes what it should not.  It must not
 * crash, must come to an end, must yield only runs that lie in its mappings, in
 * rising order, and hash them as they are.
 */
#include "../src/tracker_journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES      6     /* four of them begin with content */
#define FILE_BYTES 12288 /* after the first two pages the rest of a file is zeros like these */
#define RECORDS    25    /* a segment */
#define STEPS_MAX  (FILES * FILE_BYTES / TRACKER_RECORD_HEADER + 64)

struct file {
    uint32_t number;
    size_t   len; /* 0: none */
    uint8_t  bytes[FILE_BYTES];
};

static const struct tracker_journal_id id = { "fuzzed journal!" };
static struct file                     sound[FILES];
static char                            folder[] = "/dev/shm/tracker-fuzz-XXXXXX";
static int                             dir_fd = -1;

static void
require(bool holds)
{
    if (!holds)
        abort();
}

static void
remove_folder(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        char name[TRACKER_SEGMENT_NAME_CAP];

        tracker_segment_name(name, &id, sound[i].number);
        unlinkat(dir_fd, name, 0);
    }
    rmdir(folder);
}

static void
make_sound_journal(void)
{
    struct tracker_journal_identity identity = { .id = id, .kind = TRACKER_JOURNAL_MONEY, .edge = "edge" };
    uint64_t                        sequence = 1, hash = tracker_chain_start(&id, 1);
    uint32_t                        salt = tracker_record_salt(&id);

    for (uint32_t i = 0; i < FILES; i++) {
        uint8_t *at = sound[i].bytes + TRACKER_SEGMENT_HEADER;

        sound[i].number = i;
        if (i >= FILES - 2)
            continue;
        sound[i].len = FILE_BYTES;
        tracker_segment_header_write(sound[i].bytes, &identity, i, FILE_BYTES, sequence, hash);
        for (int n = 0; n < RECORDS; n++, sequence++) {
            uint32_t len = (uint32_t) (sequence * 37 % 200);

            memset(at + TRACKER_RECORD_HEADER, (int) sequence, len);
            hash = tracker_chain_next(hash, tracker_record_commit(at, salt, sequence, sequence, 1, len));
            at += tracker_record_size(len);
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    make_sound_journal();
    require(mkdtemp(folder) != NULL);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(dir_fd >= 0);
    atexit(remove_folder);
    return 0;
}

struct input {
    const uint8_t *at, *end;
};

static uint32_t
take(struct input *in, size_t bytes)
{
    uint32_t v = 0;

    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | (in->at < in->end ? *in->at++ : 0);
    return v;
}

/* Puts the CRC of what now claims to be a record right, if its length allows it. */
static void
bless_record(struct file *file, size_t at)
{
    uint32_t word, crc, len;

    memcpy(&word, file->bytes + at, sizeof(word));
    len = word & ~TRACKER_RECORD_COMMIT;
    if (len > TRACKER_RECORD_PAYLOAD_MAX || at + tracker_record_size(len) > FILE_BYTES)
        return;
    crc = tracker_crc32c(tracker_record_salt(&id), file->bytes + at + 8, TRACKER_RECORD_HEADER - 8 + len);
    memcpy(file->bytes + at + 4, &crc, sizeof(crc));
}

static void
bless_header(struct file *file)
{
    uint32_t crc = tracker_crc32c(0, file->bytes, TRACKER_SEGMENT_CRC_OFFSET);

    memcpy(file->bytes + TRACKER_SEGMENT_CRC_OFFSET, &crc, sizeof(crc));
}

/* One thing done to one file; offsets wrap, so that every input means something. */
static void
damage(struct file files[FILES], struct input *in)
{
    uint32_t     what = take(in, 1), which = what >> 4;
    struct file *file = &files[which % FILES], *other = &files[take(in, 1) % FILES];
    size_t       at = take(in, 2) % FILE_BYTES;
    size_t       n = 0;

    switch (what & 15) {
    case 0: /* any bytes */
        for (n = take(in, 1); n > 0; n--, at++)
            file->bytes[at % FILE_BYTES] = (uint8_t) take(in, 1);
        break;
    case 1: /* a number somewhere in the header */
        at %= TRACKER_SEGMENT_CRC_OFFSET;
        file->bytes[at] = (uint8_t) take(in, 1);
        bless_header(file);
        break;
    case 2: { /* the first sequence */
        uint64_t first = (uint64_t) take(in, 4) >> take(in, 1) % 32;

        memcpy(file->bytes + offsetof(struct tracker_segment_header, first), &first, sizeof(first));
        bless_header(file);
        break;
    }
    case 3:
        file->len = at;
        break;
    case 4:
        file->len = 0;
        break;
    case 5: /* another file's content */
        memcpy(file->bytes, other->bytes, FILE_BYTES);
        file->len = FILE_BYTES;
        break;
    case 6: /* ... its records only */
        memcpy(file->bytes + TRACKER_SEGMENT_HEADER, other->bytes + TRACKER_SEGMENT_HEADER,
               FILE_BYTES - TRACKER_SEGMENT_HEADER);
        break;
    case 7: /* ... from somewhere on, to somewhere */
        n = take(in, 2) % FILE_BYTES;
        memmove(file->bytes + at, other->bytes + n, FILE_BYTES - (at > n ? at : n));
        break;
    case 8: /* a record with any sequence */
    case 9: {
        uint64_t sequence = take(in, 4) >> take(in, 1) % 32;
        uint32_t word = TRACKER_RECORD_COMMIT | take(in, 2);

        at = at / 8 * 8;
        if (at + TRACKER_RECORD_HEADER > FILE_BYTES)
            break;
        memcpy(file->bytes + at, &word, sizeof(word));
        memcpy(file->bytes + at + 8, &sequence, sizeof(sequence));
        bless_record(file, at);
        break;
    }
    case 10:
        file->bytes[at] ^= (uint8_t) (1 << take(in, 1) % 8);
        break;
    case 11: { /* the counters of segment 0 */
        uint64_t freed = take(in, 4) >> take(in, 1) % 32;

        memcpy(file->bytes + TRACKER_SEGMENT_COUNTERS_OFFSET + 8, &freed, sizeof(freed));
        break;
    }
    case 12:
        file->number = take(in, 4);
        break;
    default:
        memset(file->bytes + at, 0, FILE_BYTES - at);
        break;
    }
}

static void
store(struct file files[FILES])
{
    for (size_t i = 0; i < FILES; i++) {
        char name[TRACKER_SEGMENT_NAME_CAP];
        int  fd;

        if (files[i].len == 0)
            continue;
        tracker_segment_name(name, &id, files[i].number);
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        require(fd >= 0 && write(fd, files[i].bytes, files[i].len) == (ssize_t) files[i].len);
        close(fd);
    }
}

static void
check_run(const struct tracker_journal *j, const struct tracker_run *run, uint64_t from)
{
    const uint8_t        *at = run->bytes, *end = run->bytes + run->len;
    uint64_t              hash = run->hash_before;
    struct tracker_record record;
    bool                  inside = false;

    for (size_t i = 0; i < j->count; i++) {
        const struct tracker_segment *segment = &j->segments[i];

        inside = inside || (segment->map != NULL && at >= segment->map + TRACKER_SEGMENT_HEADER &&
                            end <= segment->map + segment->mapped);
    }
    require(inside && run->count > 0 && run->first == from);
    for (uint32_t i = 0; i < run->count; i++) {
        require(tracker_record_read(at, (size_t) (end - at), j->salt, from + i, &record) ==
                TRACKER_RECORD_OK);
        at += tracker_record_size(record.len);
        hash = hash == 0 ? 0 : tracker_chain_next(hash, record.crc);
    }
    require(at == end && hash == run->hash_after);
}

/* Every step takes a record of its own, or names a gap in front of one or of a segment: so many there are. */
static void
read_all(struct tracker_journal *j, uint64_t from, uint32_t max_records)
{
    struct tracker_run run;
    struct tracker_gap gap;

    for (size_t steps = 0; steps < STEPS_MAX; steps++) {
        switch (tracker_journal_read(j, from, max_records, 4096, &run, &gap)) {
        case TRACKER_READ_RUN:
            check_run(j, &run, from);
            from += run.count;
            break;
        case TRACKER_READ_GAP:
            require(gap.from == from && gap.to > from && gap.to <= (uint64_t) TRACKER_SEQUENCE_MAX + 1);
            require(gap.reason >= TRACKER_GAP_HOLE && gap.reason <= TRACKER_GAP_MISSING);
            from = gap.to;
            break;
        case TRACKER_READ_END:
            require(tracker_journal_next(j) <= from);
            return;
        }
    }
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct file      files[FILES];
    struct input            in = { data, data + size };
    struct tracker_journal *j;
    int                     error;

    memcpy(files, sound, sizeof(files));
    while (in.at < in.end)
        damage(files, &in);
    store(files);
    error = tracker_journal_adopt(&j, dir_fd, &id);
    require(error == 0 || error == -EINVAL || error == -ENOENT);
    if (error == 0) {
        uint64_t somewhere = size > 0 ? data[size - 1] : 1;

        read_all(j, somewhere + 1, 3);
        tracker_journal_close(j);
        require(tracker_journal_adopt(&j, dir_fd, &id) == 0);
        read_all(j, 1, 1 + (uint32_t) somewhere);
        tracker_journal_free(j, somewhere, somewhere, 0);
        read_all(j, somewhere + 1, 1);
        tracker_journal_free(j, UINT64_MAX, 0, 3 * FILE_BYTES);
        read_all(j, 1, 7);
        require(!tracker_journal_failed(j));
        tracker_journal_delete(j);
    }
    for (size_t i = 0; i < FILES; i++) {
        char name[TRACKER_SEGMENT_NAME_CAP];

        tracker_segment_name(name, &id, files[i].number);
        if (unlinkat(dir_fd, name, 0) == 0)
            require(error != 0);
    }
    return 0;
}
