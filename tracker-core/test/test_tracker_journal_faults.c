/*
 * What the world does to a journal: its process is killed at any instruction,
 * the power fails with pages unsynced, bits flip, files are cut, lost or mixed
 * up, the disk is full, descriptors run out.  What must hold every time: what
 * was told to be committed (killed) or synced (power) is there, exactly once,
 * intact; any other record is intact, or in a reported gap, or after the end;
 * and never is a wrong one read.  A record's content follows from its sequence
 * and the hashes from the contents, so all of it is checked on all that is read.
 */
#include "testing_journal.h"

#include <sys/mount.h>
#include <time.h>

static uint8_t *
flags_new(uint64_t limit)
{
    uint8_t *flags = calloc(limit + 1, 1);

    assert_non_null(flags);
    return flags;
}

static struct tracker_journal *
adopt(const struct testing_folder *folder, const struct tracker_journal_id *id)
{
    struct tracker_journal *journal = NULL;

    assert_int_equal(tracker_journal_adopt(&journal, folder->fd, id), 0);
    return journal;
}

/* Every record of [from, to) was seen. */
static void
assert_all_seen(const uint8_t *seen, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(seen[i], 1);
}

/* ---- a journal taken apart, to be put together damaged ---- */

#define SEGMENTS 6

struct location {
    size_t segment, offset, size;
};

struct original {
    struct tracker_journal_id id;
    struct testing_image      image[SEGMENTS];
    uint64_t                  first[SEGMENTS + 1];
    uint64_t                  next;
    uint64_t                 *hashes;
    struct location          *where; /* of each record */
};

static void
original_make(struct original *o)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    testing_append_into(journal, SEGMENTS - 1);
    o->id = journal->identity.id;
    o->next = tracker_journal_next(journal);
    o->hashes = testing_hashes(journal);
    o->where = calloc(o->next, sizeof(*o->where));
    assert_non_null(o->where);
    for (size_t i = 0; i < SEGMENTS; i++) {
        o->image[i] = testing_load(&folder, &o->id, (uint32_t) i);
        o->first[i] = journal->segments[i].first;
    }
    o->first[SEGMENTS] = o->next;
    for (size_t i = 0; i < SEGMENTS; i++) {
        size_t offset = TRACKER_SEGMENT_HEADER;

        for (uint64_t n = o->first[i]; n < o->first[i + 1]; n++) {
            o->where[n] = (struct location){ i, offset, tracker_record_size(testing_len(n)) };
            offset += o->where[n].size;
        }
    }
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

static void
original_free(struct original *o)
{
    for (size_t i = 0; i < SEGMENTS; i++)
        free(o->image[i].bytes);
    free(o->hashes);
    free(o->where);
}

static void
original_store(const struct original *o, const struct testing_folder *folder)
{
    testing_folder_empty(folder);
    for (size_t i = 0; i < SEGMENTS; i++)
        testing_store(folder, &o->id, (uint32_t) i, o->image[i].bytes, o->image[i].len);
}

/*
 * Adopts what lies in the folder and reads all of it, then once more from somewhere in the middle: the same
 * records must be found.  False: refused.
 */
static bool
survey(const struct testing_folder *folder, const struct tracker_journal_id *id, uint64_t next,
       const uint64_t *hashes, uint8_t *seen, unsigned gaps[4])
{
    struct tracker_journal *journal;
    uint8_t                *again = flags_new(next);
    unsigned                unused[4];
    uint64_t                from;
    int                     error = tracker_journal_adopt(&journal, folder->fd, id);

    memset(seen, 0, next + 1);
    memset(gaps, 0, 4 * sizeof(gaps[0]));
    if (error == 0) {
        testing_read_all(journal, 1, seen, next, hashes, gaps);
        tracker_journal_close(journal);
        journal = adopt(folder, id);
        for (int round = 0; round < 3; round++) {
            memset(again, 0, next + 1);
            from = 1 + testing_below(next);
            testing_read_all(journal, from, again, next, hashes, unused);
            for (uint64_t i = from; i < next; i++)
                assert_int_equal(again[i] == 1, seen[i] == 1);
        }
        assert_false(tracker_journal_failed(journal));
        tracker_journal_close(journal);
    } else {
        assert_int_equal(error, -EINVAL);
    }
    free(again);
    return error == 0;
}

/* ---- kill -9 ---- */

/* The child: appends for ever, and tells from time to time up to where it got. */
static void
append_until_killed(const struct testing_folder *folder, int told, uint64_t batch_max)
{
    struct tracker_journal *journal = testing_create(folder);
    struct tracker_spare    spare;
    uint64_t                last;

    if (write(told, &journal->identity.id, TRACKER_JOURNAL_ID_LEN) != TRACKER_JOURNAL_ID_LEN)
        _exit(1);
    for (;;) {
        for (uint64_t n = 1 + testing_below(batch_max); n > 0; n--) {
            if (testing_append(journal))
                continue;
            if (tracker_spare_make(&spare, folder->fd, &journal->identity,
                                   journal->segments[journal->count - 1].number + 1, TESTING_SEGMENT) != 0)
                _exit(1);
            tracker_journal_give_spare(journal, &spare);
        }
        last = tracker_journal_next(journal) - 1;
        if (write(told, &last, sizeof(last)) != sizeof(last))
            _exit(1);
    }
}

/* Kills a writer that has told some of its progress, at a random moment, and returns the last it told. */
static uint64_t
run_and_kill(const struct testing_folder *folder, uint64_t batch_max, struct tracker_journal_id *id)
{
    struct timespec         delay = { 0, (long) testing_below(200000) };
    struct tracker_journal *journal;
    uint64_t                told = 0;
    int                     fds[2], status;
    pid_t                   pid;

    assert_int_equal(pipe(fds), 0);
    pid = testing_fork();
    if (pid == 0)
        append_until_killed(folder, fds[1], batch_max);
    close(fds[1]);
    assert_int_equal(read(fds[0], id, sizeof(*id)), sizeof(*id));
    for (uint64_t n = testing_below(60); n > 0; n--)
        assert_int_equal(read(fds[0], &told, sizeof(told)), sizeof(told));
    assert_int_equal(tracker_journal_adopt(&journal, folder->fd, id), -EWOULDBLOCK);
    nanosleep(&delay, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* the fault bit */
    while (read(fds[0], &told, sizeof(told)) == sizeof(told)) {
    }
    close(fds[0]);
    return told;
}

static void
killed_writer_loses_nothing(void **state)
{
    struct testing_folder folder;
    unsigned              rounds = 150, untold = 0, long_ones = 0;

    testing_seed();
    testing_folder_make(&folder);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t batch_max = testing_below(2) == 0 ? 1 + testing_below(4) : 1 + testing_below(300);
        struct tracker_journal_id id;
        uint64_t                  told = run_and_kill(&folder, batch_max, &id), end;
        struct tracker_journal   *journal = adopt(&folder, &id);
        uint8_t                  *seen = flags_new(told + batch_max + 1);
        unsigned                  gaps[4] = { 0 };

        end = testing_read_all(journal, 1, seen, told + batch_max + 1, NULL, gaps);
        assert_all_seen(seen, 1, end);
        assert_true(end > told && end - 1 - told <= batch_max);
        untold += end - 1 > told;
        long_ones += journal->count > 3;
        tracker_journal_delete(journal);
        assert_int_equal(testing_folder_count(&folder), 0);
        free(seen);
    }
    print_message("# %u kills, %u of them between commit and telling, %u with four segments or more\n",
                  rounds, untold, long_ones);
    assert_true(untold > 0 && long_ones > 0);
    testing_folder_remove(&folder);
}

static void
mix(uint8_t *into, const uint8_t *other, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (testing_below(2) == 0)
            into[i] = other[i];
    }
}

/*
 * The same for the stores that matter, in any order: any subset of the bytes
 * of a header, or of a record without its commit word, as when the writer dies over it.
 */
static void
half_done_stores_are_nothing(void **state)
{
    struct testing_folder folder;
    struct original       o;
    uint8_t              *seen, header[128], *image, *last;
    uint64_t              end;
    unsigned              gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    image = o.image[SEGMENTS - 1].bytes;
    for (int round = 0; round < 200; round++) { /* a record */
        last = image + o.where[o.next - 1].offset;
        memset(last, 0, 4);
        original_store(&o, &folder);
        assert_true(survey(&folder, &o.id, o.next, o.hashes, seen, gaps));
        assert_all_seen(seen, 1, o.next - 1);
        assert_int_equal(seen[o.next - 1], 0);
        for (size_t i = 4; i < o.where[o.next - 1].size; i++)
            last[i] = testing_below(2) == 0 ? last[i] : (uint8_t) testing_draw();
    }
    end = o.first[SEGMENTS - 1]; /* a header: no record is behind it yet */
    memcpy(header, image, sizeof(header));
    memset(image + TRACKER_SEGMENT_HEADER, 0, o.image[SEGMENTS - 1].len - TRACKER_SEGMENT_HEADER);
    for (int round = 0; round < 200; round++) {
        uint8_t spare[128];

        memcpy(spare, header, sizeof(spare));
        memset(spare + offsetof(struct tracker_segment_header, first), 0, 16);
        memcpy(image, header, sizeof(header));
        mix(image, spare, sizeof(spare));
        original_store(&o, &folder);
        assert_true(survey(&folder, &o.id, o.next, o.hashes, seen, gaps));
        assert_all_seen(seen, 1, end);
        assert_int_equal(gaps[1] + gaps[2] + gaps[3], 0);
    }
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

/* ---- power loss ---- */

#define FILES_MAX 64

struct disk {
    struct testing_image synced[FILES_MAX]; /* what certainly is on it */
    uint32_t             count;
};

static void
disk_note(struct disk *disk, const struct testing_folder *folder, const struct tracker_journal *journal,
          uint32_t number)
{
    assert_true(number < FILES_MAX);
    free(disk->synced[number].bytes);
    disk->synced[number] = testing_load(folder, &journal->identity.id, number);
    if (number >= disk->count)
        disk->count = number + 1;
}

/* One sync; what its descriptors name is on the disk then, and nothing else. */
static void
sync_to_disk(struct disk *disk, const struct testing_folder *folder, struct tracker_journal *journal)
{
    struct tracker_sync sync;
    struct stat         synced, file;
    char                name[TRACKER_SEGMENT_NAME_CAP];

    if (!tracker_journal_sync_begin(journal, &sync))
        return;
    for (unsigned i = 0; i < sync.count; i++) {
        assert_int_equal(fstat(sync.fds[i], &synced), 0);
        for (uint32_t number = 0; number < disk->count; number++) {
            tracker_segment_name(name, &journal->identity.id, number);
            assert_int_equal(fstatat(folder->fd, name, &file, 0), 0);
            if (file.st_ino == synced.st_ino)
                disk_note(disk, folder, journal, number);
        }
    }
    tracker_sync_run(&sync);
    tracker_journal_sync_end(journal, &sync);
}

/* Writes, makes spares and syncs at random; afterwards `disk` is what the syncs have promised. */
static void
live(struct disk *disk, const struct testing_folder *folder, struct tracker_journal *journal)
{
    disk_note(disk, folder, journal, 0);
    for (uint64_t steps = 10 + testing_below(60); steps > 0; steps--) {
        if (testing_below(3) == 0) {
            sync_to_disk(disk, folder, journal);
            continue;
        }
        for (uint64_t n = testing_below(120); n > 0; n--) {
            if (testing_append(journal))
                continue;
            testing_give_spare(journal, TESTING_SEGMENT + 4096 * testing_below(8));
            disk_note(disk, folder, journal, journal->spare.number);
        }
    }
}

/* The power fails: each block not synced got to the disk or did not.  Returns how many did not. */
static unsigned
crash(struct disk *disk, const struct testing_folder *from, const struct testing_folder *to,
      const struct tracker_journal_id *id)
{
    size_t   block = testing_below(4) == 0 ? 512 : 4096;
    uint64_t lost_of_ten = 1 + testing_below(9);
    unsigned lost = 0;

    testing_folder_empty(to);
    for (uint32_t number = 0; number < disk->count; number++) {
        struct testing_image now = testing_load(from, id, number), *synced = &disk->synced[number];

        for (size_t at = 0; at < now.len; at += block) {
            if (testing_below(10) < lost_of_ten && memcmp(now.bytes + at, synced->bytes + at, block) != 0) {
                memcpy(now.bytes + at, synced->bytes + at, block);
                lost++;
            }
        }
        testing_store(to, id, number, now.bytes, now.len);
        free(now.bytes);
        free(synced->bytes);
        *synced = (struct testing_image){ NULL, 0 };
    }
    disk->count = 0;
    return lost;
}

static void
power_loss_loses_only_what_was_not_synced(void **state)
{
    static struct disk    disk;
    struct testing_folder folder, crashed;
    unsigned              rounds = 60, holes = 0, lost = 0;

    testing_seed();
    testing_folder_make(&folder);
    testing_folder_make(&crashed);
    for (unsigned i = 0; i < rounds; i++) {
        struct tracker_journal *journal = testing_create(&folder);
        uint64_t               *hashes, next, synced;
        uint8_t                *seen;
        unsigned                gaps[4];

        live(&disk, &folder, journal);
        next = tracker_journal_next(journal);
        synced = tracker_journal_synced(journal);
        hashes = testing_hashes(journal);
        seen = flags_new(next);
        lost += crash(&disk, &folder, &crashed, &journal->identity.id);
        assert_true(survey(&crashed, &journal->identity.id, next, hashes, seen, gaps));
        assert_all_seen(seen, 1, synced);
        assert_int_equal(gaps[TRACKER_GAP_FREED] + gaps[TRACKER_GAP_MISSING], 0);
        holes += gaps[TRACKER_GAP_HOLE];
        tracker_journal_delete(journal);
        free(hashes);
        free(seen);
    }
    print_message("# %u crashes lost %u blocks and left %u holes\n", rounds, lost, holes);
    assert_true(lost > rounds && holes > rounds / 4);
    testing_folder_remove(&folder);
    testing_folder_remove(&crashed);
}

/* ---- damage ---- */

static void
one_flipped_bit_costs_one_record(void **state)
{
    struct testing_folder folder;
    struct original       o;
    uint8_t              *seen;
    unsigned              gaps[4], refused = 0, costly = 0;

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    for (int round = 0; round < 1500; round++) {
        const struct location *record = &o.where[1 + testing_below(o.next - 1)];
        bool                   in_header = testing_below(4) == 0;
        size_t   at = in_header ? testing_below(128) : record->offset + testing_below(record->size);
        uint8_t *byte = &o.image[record->segment].bytes[at], bit = (uint8_t) (1 << testing_below(8));
        unsigned lost = 0;

        *byte ^= bit;
        original_store(&o, &folder);
        *byte ^= bit;
        if (!survey(&folder, &o.id, o.next, o.hashes, seen, gaps)) {
            assert_true(in_header && record->segment == 0 && at < 100); /* the identity itself */
            refused++;
            continue;
        }
        for (uint64_t i = 1; i < o.next; i++)
            lost += seen[i] != 1;
        assert_true(lost <= (in_header ? 0 : 1));
        assert_true(gaps[TRACKER_GAP_HOLE] <= 1 && gaps[TRACKER_GAP_FREED] + gaps[TRACKER_GAP_MISSING] == 0);
        costly += lost;
    }
    print_message("# 1500 flips: %u refused, %u cost a record\n", refused, costly);
    assert_true(refused > 0 && costly > 500);
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

/* Whatever is overwritten with, what was not overwritten is read. */
static void
overwritten_ranges_cost_what_they_cover(void **state)
{
    struct testing_folder folder;
    struct original       o;
    uint8_t              *seen;
    unsigned              gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    for (int round = 0; round < 500; round++) {
        size_t   segment = testing_below(SEGMENTS), len = o.image[segment].len;
        size_t   from = testing_below(len), to = from + 1 + testing_below(20000);
        uint8_t *image = o.image[segment].bytes, *saved = (uint8_t *) testing_exact(image, len);
        uint8_t  fill = (uint8_t) testing_draw();
        bool     random = testing_below(2) == 0;

        from = segment == 0 && from < TRACKER_SEGMENT_HEADER ? TRACKER_SEGMENT_HEADER : from;
        to = to > len ? len : to;
        for (size_t i = from; i < to; i++)
            image[i] = random ? (uint8_t) testing_draw() : fill;
        original_store(&o, &folder);
        memcpy(image, saved, len);
        free(saved);
        assert_true(survey(&folder, &o.id, o.next, o.hashes, seen, gaps));
        for (uint64_t i = 1; i < o.next; i++) {
            const struct location *at = &o.where[i];

            if (at->segment != segment || at->offset + at->size <= from || at->offset >= to)
                assert_int_equal(seen[i], 1);
        }
        assert_int_equal(gaps[TRACKER_GAP_FREED] + gaps[TRACKER_GAP_MISSING], 0);
    }
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

static void
cut_files(void **state)
{
    struct testing_folder folder;
    struct original       o;
    uint8_t              *seen;
    unsigned              gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    for (int round = 0; round < 300; round++) {
        size_t segment = testing_below(SEGMENTS), len = o.image[segment].len, cut = testing_below(len);

        o.image[segment].len = cut;
        original_store(&o, &folder);
        o.image[segment].len = len;
        if (!survey(&folder, &o.id, o.next, o.hashes, seen, gaps)) {
            assert_true(segment == 0 && cut < TRACKER_SEGMENT_HEADER);
            continue;
        }
        for (uint64_t i = 1; i < o.next; i++) {
            const struct location *at = &o.where[i];

            assert_int_equal(seen[i] == 1, at->segment != segment || at->offset + at->size <= cut);
        }
        assert_int_equal(gaps[TRACKER_GAP_FREED] + gaps[TRACKER_GAP_MISSING], 0);
    }
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

static void
missing_files_are_named(void **state)
{
    struct testing_folder folder;
    struct original       o;
    uint8_t              *seen;
    unsigned              gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    for (unsigned set = 0; set < 1u << (SEGMENTS - 1); set++) { /* every subset of segments 1.. */
        unsigned expected = 0;
        uint64_t end = o.next;

        original_store(&o, &folder);
        for (unsigned i = 1; i < SEGMENTS; i++) {
            bool gone = set >> (i - 1) & 1, before = i > 1 && set >> (i - 2) & 1;

            if (gone)
                testing_unlink(&folder, &o.id, i);
            expected += before && !gone;
        }
        for (unsigned i = SEGMENTS - 1; i > 0 && set >> (i - 1) & 1; i--)
            end = o.first[i];
        assert_true(survey(&folder, &o.id, o.next, o.hashes, seen, gaps));
        assert_int_equal(gaps[TRACKER_GAP_MISSING], expected);
        assert_int_equal(gaps[TRACKER_GAP_FREED] + gaps[TRACKER_GAP_HOLE], 0);
        for (uint64_t i = 1; i < o.next; i++) {
            size_t segment = o.where[i].segment;
            bool   gone = segment > 0 && set >> (segment - 1) & 1;

            assert_int_equal(seen[i], i >= end ? 0 : gone ? 2 : 1);
        }
    }
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

/* A file that vanishes after the journal was adopted, before it was read. */
static void
file_vanishes_under_the_adopter(void **state)
{
    struct testing_folder   folder;
    struct original         o;
    struct tracker_journal *journal;
    uint8_t                *seen;
    unsigned                gaps[4] = { 0 };

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    original_store(&o, &folder);
    journal = adopt(&folder, &o.id);
    testing_unlink(&folder, &o.id, 3);
    assert_int_equal(testing_read_all(journal, 1, seen, o.next, o.hashes, gaps), o.next);
    assert_int_equal(gaps[TRACKER_GAP_MISSING], 1);
    assert_int_equal(gaps[TRACKER_GAP_HOLE] + gaps[TRACKER_GAP_FREED], 0);
    assert_all_seen(seen, 1, o.first[3]);
    assert_all_seen(seen, o.first[4], o.next);
    tracker_journal_close(journal);
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

/* Sound bytes in the wrong place: of another segment, of another journal, of a file's earlier use. */
static void
stale_bytes_never_pass(void **state)
{
    struct testing_folder folder;
    struct original       o, other;
    uint8_t              *seen;
    unsigned              gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    original_make(&other);
    seen = flags_new(o.next);
    for (int round = 0; round < 100; round++) {
        size_t         at = 1 + testing_below(SEGMENTS - 1), of = 1 + testing_below(SEGMENTS - 1);
        bool           foreign = testing_below(2) == 0 || of == at, data_only = testing_below(2) == 0;
        size_t         skip = data_only ? TRACKER_SEGMENT_HEADER : 0, len = o.image[at].len;
        const uint8_t *source = (foreign ? &other : &o)->image[of].bytes;
        uint8_t       *saved = (uint8_t *) testing_exact(o.image[at].bytes, len);

        memcpy(o.image[at].bytes + skip, source + skip, len - skip);
        original_store(&o, &folder);
        memcpy(o.image[at].bytes, saved, len);
        free(saved);
        assert_true(survey(&folder, &o.id, o.next, o.hashes, seen, gaps));
        for (uint64_t i = 1; i < o.next; i++) {
            if (o.where[i].segment == at)
                assert_int_not_equal(seen[i], 1);
            else
                assert_int_equal(seen[i], 1);
        }
        assert_int_equal(gaps[TRACKER_GAP_HOLE], at + 1 < SEGMENTS);
    }
    free(seen);
    original_free(&o);
    original_free(&other);
    testing_folder_remove(&folder);
}

/* ---- shortage ---- */

/* Fills what room there is: the writer goes on to its last byte, then is told; nothing is left half made. */
static void
check_full_disk(struct tracker_journal *journal, const struct testing_folder *folder, int error)
{
    struct tracker_spare spare;
    unsigned             files = testing_folder_count(folder);

    assert_int_equal(tracker_spare_make(&spare, folder->fd, &journal->identity, 1, 64 << 20), error);
    assert_int_equal(spare.fd, -1);
    assert_int_equal(testing_folder_count(folder), files);
    for (;;) {
        uint32_t number;

        while (testing_append(journal)) {
        }
        number = journal->segments[journal->count - 1].number + 1;
        if (tracker_spare_make(&spare, folder->fd, &journal->identity, number, 128 << 10) != 0)
            break;
        tracker_journal_give_spare(journal, &spare);
        if (number == 3)
            return; /* the limit is one for each file, not for all */
    }
    assert_int_equal(tracker_spare_make(&spare, folder->fd, &journal->identity, 100, 128 << 10), error);
    assert_null(tracker_journal_reserve(journal, 5000));
    assert_int_equal(tracker_journal_drop(journal), 1);
    assert_true(journal->count > 1);
    testing_sync(journal);
}

static void
full_disk_is_an_error_not_a_signal(void **state)
{
    struct testing_folder     folder, small;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    struct rlimit             before, limit = { 300 << 10, 300 << 10 };
    uint8_t                  *seen = flags_new(5000);
    uint64_t                  next;
    unsigned                  gaps[4] = { 0 };

    testing_seed();
    testing_folder_make(&folder);
    small = folder;
    if (mount("tmpfs", folder.path, "tmpfs", 0, "size=600k,mode=0700") == 0) {
        small.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(umount2(folder.path, MNT_DETACH), 0); /* when the descriptor goes, it goes */
        journal = testing_create(&small);
        id = journal->identity.id;
        check_full_disk(journal, &small, -ENOSPC);
        next = tracker_journal_next(journal);
        tracker_journal_close(journal);
        journal = adopt(&small, &id);
        assert_int_equal(testing_read_all(journal, 1, seen, 5000, NULL, gaps), next);
        assert_all_seen(seen, 1, next);
        tracker_journal_delete(journal);
        close(small.fd);
    } else {
        print_message("# no right to mount: a limit on the file size stands in for a full disk\n");
    }
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    journal = testing_create(&folder);
    check_full_disk(journal, &folder, -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    tracker_journal_delete(journal);
    free(seen);
    testing_folder_remove(&folder);
}

/* Without descriptors nothing may be concluded, least of all that a journal ends here and may go. */
static void
no_descriptors_is_no_end(void **state)
{
    struct testing_folder   folder;
    struct original         o;
    struct tracker_journal *journal, *failed;
    struct tracker_sync     sync;
    struct rlimit           before, none = { 0, 0 };
    uint8_t                *seen;
    unsigned                gaps[4] = { 0 };

    testing_seed();
    testing_folder_make(&folder);
    original_make(&o);
    seen = flags_new(o.next);
    original_store(&o, &folder);
    failed = adopt(&folder, &o.id);
    journal = testing_create(&folder);
    assert_true(testing_append(journal));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    testing_read_all(failed, 1, seen, o.next, o.hashes, gaps);
    assert_true(tracker_journal_sync_begin(journal, &sync));
    tracker_sync_run(&sync);
    tracker_journal_sync_end(journal, &sync);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

    assert_true(tracker_journal_failed(failed));
    assert_int_equal(gaps[1] + gaps[2] + gaps[3], 0);
    assert_int_equal(tracker_journal_delete(failed), 0);
    assert_int_equal(testing_folder_count(&folder), SEGMENTS + 1);
    failed = adopt(&folder, &o.id);
    assert_int_equal(testing_read_all(failed, 1, seen, o.next, o.hashes, gaps), o.next);
    assert_all_seen(seen, 1, o.next);
    tracker_journal_close(failed);

    assert_int_equal(tracker_journal_synced(journal), 1); /* said so, and not failed */
    assert_false(tracker_journal_failed(journal));
    testing_sync(journal);
    tracker_journal_delete(journal);
    free(seen);
    original_free(&o);
    testing_folder_remove(&folder);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_writer_loses_nothing),
        cmocka_unit_test(half_done_stores_are_nothing),
        cmocka_unit_test(power_loss_loses_only_what_was_not_synced),
        cmocka_unit_test(one_flipped_bit_costs_one_record),
        cmocka_unit_test(overwritten_ranges_cost_what_they_cover),
        cmocka_unit_test(cut_files),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(file_vanishes_under_the_adopter),
        cmocka_unit_test(stale_bytes_never_pass),
        cmocka_unit_test(full_disk_is_an_error_not_a_signal),
        cmocka_unit_test(no_descriptors_is_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
