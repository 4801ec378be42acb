/*
 * testing_journal.h - what the journal's tests share: a folder that goes
 * away, records whose content follows from their sequence, and a reader that
 * checks everything it is given.
 */
#ifndef TRACKER_TESTING_JOURNAL_H
#define TRACKER_TESTING_JOURNAL_H

#include "testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracker_journal_internal.h"

/* As small as they may be, so that a few dozen records fill one. */
#define TESTING_SEGMENT    TRACKER_SEGMENT_BYTES_MIN
#define TESTING_FIRST_MS   UINT64_C(1700000000000) /* record n is of this + n seconds */
#define TESTING_LEN_MAX    600

/* A child that does not outlive a test that failed. */
static inline pid_t
testing_fork(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

struct testing_folder {
    char path[256];
    int  fd;
};

/* In memory, unless TMPDIR says where: the tests sync thousands of times, and cut the power themselves. */
static inline void
testing_folder_make(struct testing_folder *folder)
{
    const char *in = getenv("TMPDIR");

    if (in == NULL)
        in = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder->path, sizeof(folder->path), "%s/tracker-journal-XXXXXX", in);
    assert_non_null(mkdtemp(folder->path));
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder->fd >= 0);
}

/* By descriptor, so that a folder may be unmounted before it is used. */
static inline DIR *
testing_folder_open(const struct testing_folder *folder)
{
    DIR *dir = fdopendir(openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

    assert_non_null(dir);
    return dir;
}

static inline void
testing_folder_empty(const struct testing_folder *folder)
{
    DIR           *dir = testing_folder_open(folder);
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && unlinkat(folder->fd, entry->d_name, 0) < 0)
            unlinkat(folder->fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

static inline void
testing_folder_remove(struct testing_folder *folder)
{
    testing_folder_empty(folder);
    close(folder->fd);
    rmdir(folder->path);
}

static inline unsigned
testing_folder_count(const struct testing_folder *folder)
{
    DIR           *dir = testing_folder_open(folder);
    struct dirent *entry;
    unsigned       n = 0;

    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* A whole file on the heap. */
struct testing_image {
    uint8_t *bytes;
    size_t   len;
};

static inline struct testing_image
testing_load(const struct testing_folder *folder, const struct tracker_journal_id *id, uint32_t number)
{
    char                 name[TRACKER_SEGMENT_NAME_CAP];
    struct testing_image image = { NULL, 0 };
    struct stat          st;
    int                  fd;

    tracker_segment_name(name, id, number);
    fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    image.len = (size_t) st.st_size;
    image.bytes = malloc(image.len);
    assert_non_null(image.bytes);
    assert_int_equal(pread(fd, image.bytes, image.len, 0), (ssize_t) image.len);
    close(fd);
    return image;
}

static inline void
testing_store(const struct testing_folder *folder, const struct tracker_journal_id *id, uint32_t number,
              const uint8_t *bytes, size_t len)
{
    char name[TRACKER_SEGMENT_NAME_CAP];
    int  fd;

    tracker_segment_name(name, id, number);
    fd = openat(folder->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t) len);
    close(fd);
}

static inline void
testing_unlink(const struct testing_folder *folder, const struct tracker_journal_id *id, uint32_t number)
{
    char name[TRACKER_SEGMENT_NAME_CAP];

    tracker_segment_name(name, id, number);
    assert_int_equal(unlinkat(folder->fd, name, 0), 0);
}

static inline struct tracker_journal *
testing_create(const struct testing_folder *folder)
{
    struct tracker_journal_identity identity = { .kind = TRACKER_JOURNAL_TRAFFIC,
                                                 .partition = 5,
                                                 .edge = "edge-1",
                                                 .created_ms = TESTING_FIRST_MS };
    struct tracker_journal         *journal = NULL;

    assert_int_equal(tracker_journal_create(&journal, folder->fd, &identity), 0);
    return journal;
}

static inline void
testing_give_spare(struct tracker_journal *journal, size_t size)
{
    struct tracker_spare spare;

    assert_int_equal(tracker_spare_make(&spare, journal->dir_fd, &journal->identity,
                                        journal->segments[journal->count - 1].number + 1, size),
                     0);
    tracker_journal_give_spare(journal, &spare);
}

/* What record `sequence` says: its own stream of draws, so nobody has to remember it. */
static inline uint64_t
testing_word(uint64_t sequence, uint64_t i)
{
    uint64_t z = (sequence << 20 ^ i) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 29) * UINT64_C(0xd6e8feb86659fd93);
    return z ^ z >> 32;
}

static inline size_t
testing_len(uint64_t sequence)
{
    return testing_word(sequence, 1 << 19) % (TESTING_LEN_MAX + 1);
}

static inline void
testing_fill(uint8_t *at, uint64_t sequence)
{
    size_t len = testing_len(sequence);

    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t) (testing_word(sequence, i / 8) >> i % 8 * 8);
}

static inline uint8_t
testing_type(uint64_t sequence)
{
    return (uint8_t) (1 + sequence % 2);
}

/* False: the segment is full and there is no spare. */
static inline bool
testing_append(struct tracker_journal *journal)
{
    uint64_t sequence = tracker_journal_next(journal);
    size_t   len = testing_len(sequence);
    uint8_t *at = tracker_journal_reserve(journal, len);

    if (at == NULL)
        return false;
    testing_fill(at, sequence);
    return tracker_journal_commit(journal, testing_type(sequence), TESTING_FIRST_MS + sequence * 1000,
                                  len) == sequence;
}

/* Appends until segment number `number` has been entered and holds some records. */
static inline void
testing_append_into(struct tracker_journal *journal, uint32_t number)
{
    while (journal->segments[journal->count - 1].number < number) {
        if (!testing_append(journal))
            testing_give_spare(journal, TESTING_SEGMENT);
    }
    for (int i = 0; i < 10; i++)
        assert_true(testing_append(journal));
}

static inline void
testing_sync(struct tracker_journal *journal)
{
    struct tracker_sync sync;

    while (tracker_journal_sync_begin(journal, &sync)) {
        assert_true(sync.covers > tracker_journal_synced(journal));
        tracker_sync_run(&sync);
        tracker_journal_sync_end(journal, &sync);
    }
    assert_int_equal(tracker_journal_synced(journal), tracker_journal_next(journal));
}

/* Fails unless this is exactly what was appended as `sequence`. */
static inline void
testing_check_record(const struct tracker_record *record, uint64_t sequence)
{
    uint8_t expected[TESTING_LEN_MAX];

    assert_int_equal(record->sequence, sequence);
    assert_int_equal(record->len, testing_len(sequence));
    assert_int_equal(record->type, testing_type(sequence));
    assert_int_equal(record->time_ms, TESTING_FIRST_MS + sequence * 1000);
    testing_fill(expected, sequence);
    assert_memory_equal(record->payload, expected, record->len);
}

/* Checks each record of a run, and that its bytes lie in a mapping.  Returns the first sequence behind it. */
static inline uint64_t
testing_check_run(const struct tracker_journal *journal, const struct tracker_run *run, uint64_t from)
{
    const uint8_t        *at = run->bytes, *end = run->bytes + run->len;
    uint64_t              hash = run->hash_before;
    struct tracker_record record;
    bool                  inside = false;

    for (size_t i = 0; i < journal->count; i++) {
        const struct tracker_segment *segment = &journal->segments[i];

        inside = inside || (segment->map != NULL && at >= segment->map + TRACKER_SEGMENT_HEADER &&
                            end <= segment->map + segment->mapped);
    }
    assert_true(inside);
    assert_int_equal(run->first, from);
    assert_true(run->count > 0);
    for (uint32_t i = 0; i < run->count; i++) {
        assert_int_equal(tracker_record_read(at, (size_t) (end - at), journal->salt, from + i, &record),
                         TRACKER_RECORD_OK);
        testing_check_record(&record, from + i);
        at += tracker_record_size(record.len);
        hash = hash == 0 ? 0 : tracker_chain_next(hash, record.crc);
    }
    assert_ptr_equal(at, end);
    assert_int_equal(run->hash_after, hash);
    return from + run->count;
}

/* hashes[n] = running hash before record n, n = 1 .. next, computed from the records alone. */
static inline uint64_t *
testing_hashes(struct tracker_journal *journal)
{
    uint64_t             *hashes = calloc((size_t) tracker_journal_next(journal) + 1, sizeof(*hashes));
    uint64_t              from = 1;
    struct tracker_run    run;
    struct tracker_gap    gap;
    struct tracker_record record;

    assert_non_null(hashes);
    hashes[1] = tracker_chain_start(&journal->identity.id, 1);
    while (tracker_journal_read(journal, from, 1, SIZE_MAX, &run, &gap) == TRACKER_READ_RUN) {
        assert_int_equal(tracker_record_read(run.bytes, run.len, journal->salt, from, &record),
                         TRACKER_RECORD_OK);
        hashes[from + 1] = tracker_chain_next(hashes[from], record.crc);
        from++;
    }
    assert_int_equal(from, tracker_journal_next(journal));
    return hashes;
}

/*
 * Reads all there is from `from` to the end, in runs of random length.  seen[n]
 * becomes 1 for a record that was there, 2 for one in a gap; gaps[reason] counts.
 * hashes may be NULL; where a run names a hash it must be the writer's.  Returns where the end was.
 */
static inline uint64_t
testing_read_all(struct tracker_journal *journal, uint64_t from, uint8_t *seen, uint64_t limit,
                 const uint64_t *hashes, unsigned gaps[4])
{
    struct tracker_run run;
    struct tracker_gap gap;

    for (;;) {
        uint32_t max_records = (uint32_t) (1 + testing_below(100));
        size_t   max_bytes = testing_below(1 << testing_below(18));

        switch (tracker_journal_read(journal, from, max_records, max_bytes, &run, &gap)) {
        case TRACKER_READ_RUN:
            assert_true(run.count <= max_records && (run.count == 1 || run.len <= max_bytes));
            if (hashes != NULL && run.hash_before != 0)
                assert_int_equal(run.hash_before, hashes[from]);
            assert_true(from + run.count <= limit);
            memset(seen + from, 1, run.count);
            from = testing_check_run(journal, &run, from);
            break;
        case TRACKER_READ_GAP:
            assert_int_equal(gap.from, from);
            assert_true(gap.to > from && gap.to <= limit);
            memset(seen + from, 2, (size_t) (gap.to - from));
            gaps[gap.reason]++;
            from = gap.to;
            break;
        case TRACKER_READ_END:
            return from;
        }
    }
}

#endif
