/*
 * What could break: a reader of the owner and one of an adopter disagreeing,
 * runs crossing a segment, a rewind landing on the wrong record, a spare lost or
 * leaked, a reservation overrun, the lock not held (or held for ever by a
 * child), retention deleting what is not acked or too young, a gap with
 * the wrong bounds or reason.  Every record's content follows from its
 * sequence (testing_journal.h), so a wrong one cannot pass for another.
 * What a fault does to the bytes is in test_tracker_journal_faults.c.
 */
#include "testing_journal.h"

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

/* ---- writing ---- */

/* The offsets are persisted: what an older edge wrote is drained by a newer one. */
static void
header_bytes_are_pinned(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    struct testing_image    image;
    uint8_t                 expected[128] = { 0 };
    uint64_t                created = TESTING_FIRST_MS, size = TRACKER_SEGMENT_FIRST_BYTES, first = 1, hash;
    uint32_t                crc;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    tracker_journal_drop(journal);
    hash = tracker_chain_start(&journal->identity.id, 1);
    image = testing_load(&folder, &journal->identity.id, 0);

    memcpy(expected, "AFFJRNL1", 8);
    memcpy(expected + 8, journal->identity.id.bytes, 16);
    expected[28] = TRACKER_JOURNAL_TRAFFIC;
    expected[30] = 5;
    memcpy(expected + 32, "edge-1", 6);
    memcpy(expected + 64, &created, 8);
    memcpy(expected + 72, &size, 8);
    memcpy(expected + 80, &first, 8);
    memcpy(expected + 88, &hash, 8);
    crc = tracker_crc32c(0, expected, 96);
    memcpy(expected + 96, &crc, 4);
    assert_memory_equal(image.bytes, expected, sizeof(expected));
    assert_int_equal(image.bytes[128], 1);
    assert_int_equal(image.len, TRACKER_SEGMENT_FIRST_BYTES);

    free(image.bytes);
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

static void
create_refuses_nonsense(void **state)
{
    struct testing_folder           folder;
    struct tracker_journal_identity identity = { .kind = 3 };
    struct tracker_journal         *journal;

    testing_folder_make(&folder);
    assert_int_equal(tracker_journal_create(&journal, folder.fd, &identity), -EINVAL);
    identity.kind = TRACKER_JOURNAL_MONEY;
    memset(identity.edge, 'e', sizeof(identity.edge));
    assert_int_equal(tracker_journal_create(&journal, folder.fd, &identity), -EINVAL);
    memset(identity.edge, 0, sizeof(identity.edge));
    memcpy(identity.edge, "ed\nge", 5);
    assert_int_equal(tracker_journal_create(&journal, folder.fd, &identity), -EINVAL);
    assert_int_equal(testing_folder_count(&folder), 0);
    testing_folder_remove(&folder);
}

static void
reservations(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    uint8_t                *at;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    assert_int_equal(tracker_journal_next(journal), 1);
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 0), 0); /* nothing reserved */
    assert_null(tracker_journal_reserve(journal, TRACKER_RECORD_PAYLOAD_MAX + 1));
    assert_null(tracker_journal_reserve(journal, SIZE_MAX));
    at = tracker_journal_reserve(journal, 10);
    assert_non_null(at);
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 11), 0); /* more than reserved */
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 10), 1);
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 10), 0); /* once only */
    assert_int_equal(tracker_journal_next(journal), 2);
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* What a long reservation left behind a shorter record is not a record, whatever it says. */
static void
forgotten_reservations_leave_nothing(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal, *orphan;
    struct tracker_journal_id id;
    uint8_t                  *seen = flags_new(200);
    unsigned                  gaps[4] = { 0 };

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    for (int i = 0; i < 100; i++) {
        uint8_t *at = tracker_journal_reserve(journal, 2000);

        for (size_t k = 0; k < 2000; k += 8) /* looks like a commit word everywhere */
            memcpy(at + k, "\x10\x00\x00\x80\x10\x00\x00\x80", 8);
        assert_true(testing_append(journal));
    }
    tracker_journal_reserve(journal, 2000);
    id = journal->identity.id;
    assert_int_equal(testing_read_all(journal, 1, seen, 200, NULL, gaps), 101);
    tracker_journal_close(journal);
    orphan = adopt(&folder, &id);
    assert_int_equal(testing_read_all(orphan, 1, seen, 200, NULL, gaps), 101);
    assert_int_equal(gaps[1] + gaps[2] + gaps[3], 0);
    tracker_journal_delete(orphan);
    free(seen);
    testing_folder_remove(&folder);
}

static void
spares(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    struct tracker_spare    spare, second;
    uint32_t                number = 0;
    unsigned                before_half = 0;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    assert_int_equal(tracker_spare_make(&spare, folder.fd, &journal->identity, 0, TESTING_SEGMENT), -EINVAL);
    assert_int_equal(tracker_spare_make(&spare, folder.fd, &journal->identity, 1, 8192), -EINVAL);
    assert_int_equal(tracker_spare_make(&spare, folder.fd, &journal->identity, 1, SIZE_MAX), -EINVAL);
    tracker_spare_discard(&spare, folder.fd, &journal->identity);
    for (; !tracker_journal_wants_spare(journal, &number); before_half++)
        assert_true(testing_append(journal));
    assert_int_equal(number, 1);
    assert_true(before_half > 300 && before_half < 500); /* half of 256 KiB at about 330 bytes */

    assert_int_equal(tracker_spare_make(&spare, folder.fd, &journal->identity, 1, TESTING_SEGMENT), 0);
    assert_int_equal(tracker_spare_make(&second, folder.fd, &journal->identity, 1, TESTING_SEGMENT), -EEXIST);
    assert_int_equal(tracker_spare_make(&second, folder.fd, &journal->identity, 2, TESTING_SEGMENT), 0);
    tracker_journal_give_spare(journal, &second); /* 2 is not next */
    assert_int_equal(second.fd, -1);
    assert_int_equal(testing_folder_count(&folder), 2);
    tracker_journal_give_spare(journal, &spare);
    assert_false(tracker_journal_wants_spare(journal, &number));
    assert_int_equal(tracker_journal_bytes(journal), TRACKER_SEGMENT_FIRST_BYTES + 24576);
    assert_int_equal(tracker_spare_make(&second, folder.fd, &journal->identity, 2, TESTING_SEGMENT), 0);
    tracker_journal_give_spare(journal, &second); /* one is at hand */
    assert_int_equal(testing_folder_count(&folder), 2);
    assert_int_equal(tracker_journal_return_spare(journal), 24576);
    assert_int_equal(tracker_journal_return_spare(journal), 0);
    assert_int_equal(testing_folder_count(&folder), 1);
    testing_give_spare(journal, TESTING_SEGMENT);

    while (testing_append(journal)) {
    }
    assert_int_equal(journal->count, 2);
    assert_null(tracker_journal_reserve(journal, TRACKER_RECORD_PAYLOAD_MAX));
    assert_true(tracker_journal_wants_spare(journal, &number));
    assert_int_equal(number, 2);
    testing_give_spare(journal, TESTING_SEGMENT);
    assert_non_null(tracker_journal_reserve(journal, TRACKER_RECORD_PAYLOAD_MAX));
    assert_int_equal(tracker_journal_delete(journal), TRACKER_SEGMENT_FIRST_BYTES + 2 * 24576);
    assert_int_equal(testing_folder_count(&folder), 0);
    testing_folder_remove(&folder);
}

static void
drops_are_counted_and_outlive_the_owner(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    assert_int_equal(tracker_journal_drop(journal), 1);
    assert_int_equal(tracker_journal_drop(journal), 2);
    tracker_journal_close(journal);
    journal = adopt(&folder, &id);
    assert_int_equal(tracker_journal_dropped(journal), 2);
    assert_int_equal(tracker_journal_drop(journal), 2); /* not the adopter's to count */
    assert_null(tracker_journal_reserve(journal, 1));   /* nor to write */
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* A click id has 32 bits for the sequence.  Nobody waits for 2^32 records: the counter is set. */
static void
sequences_end(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    journal->next = TRACKER_SEQUENCE_MAX;
    assert_non_null(tracker_journal_reserve(journal, 8));
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 8), TRACKER_SEQUENCE_MAX);
    assert_null(tracker_journal_reserve(journal, 8));
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* ---- reading ---- */

/* From everywhere to the end, in runs of random length: the same records and the writer's own hashes. */
static void
owner_and_adopter_read_the_same(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    uint64_t                  next, *hashes;
    uint8_t                  *seen;
    unsigned                  gaps[4] = { 0 };
    struct tracker_run        run;
    struct tracker_gap        gap;

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    testing_append_into(journal, 6);
    testing_give_spare(journal, TESTING_SEGMENT); /* never entered */
    next = tracker_journal_next(journal);
    hashes = testing_hashes(journal);
    assert_int_equal(hashes[next], journal->hash);
    seen = flags_new(next);
    for (int adopted = 0; adopted < 2; adopted++) {
        for (int round = 0; round < 300; round++) {
            uint64_t from = round == 0 ? 1 : 1 + testing_below(next - 1);

            memset(seen, 0, next + 1);
            assert_int_equal(testing_read_all(journal, from, seen, next, hashes, gaps), next);
            assert_ptr_equal(memchr(seen + from, 0, next - from), NULL);
            assert_ptr_equal(memchr(seen + from, 2, next - from), NULL);
        }
        assert_int_equal(tracker_journal_read(journal, next, 1, 1, &run, &gap), TRACKER_READ_END);
        assert_int_equal(tracker_journal_read(journal, UINT64_MAX, 1, 1, &run, &gap), TRACKER_READ_END);
        assert_int_equal(tracker_journal_read(journal, 0, 1, 1, &run, &gap), TRACKER_READ_RUN);
        assert_int_equal(run.first, 1);
        assert_int_equal(run.hash_before, tracker_chain_start(&id, 1));
        if (adopted == 0) {
            tracker_journal_close(journal);
            journal = adopt(&folder, &id);
            assert_int_equal(tracker_journal_next(journal), 0); /* not known yet */
        }
    }
    assert_int_equal(tracker_journal_next(journal), next);
    assert_string_equal(tracker_journal_identity(journal)->edge, "edge-1");
    assert_int_equal(tracker_journal_identity(journal)->partition, 5);
    assert_int_equal(tracker_journal_identity(journal)->kind, TRACKER_JOURNAL_TRAFFIC);
    assert_int_equal(tracker_journal_identity(journal)->created_ms, TESTING_FIRST_MS);
    assert_false(tracker_journal_failed(journal));
    tracker_journal_delete(journal);
    assert_int_equal(testing_folder_count(&folder), 0); /* the unused spare too */
    free(seen);
    free(hashes);
    testing_folder_remove(&folder);
}

/* The shipper's pattern: it reads while the writer goes on, and meets the end again and again. */
static void
owner_reads_behind_its_writing(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    struct tracker_run      run;
    struct tracker_gap      gap;
    uint64_t                from = 1;

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    while (journal->count < 4) {
        for (uint64_t n = testing_below(30); n > 0; n--) {
            if (!testing_append(journal))
                testing_give_spare(journal, TESTING_SEGMENT);
        }
        while (tracker_journal_read(journal, from, 1 + (uint32_t) testing_below(20), 4096, &run, &gap) ==
               TRACKER_READ_RUN)
            from = testing_check_run(journal, &run, from);
        assert_int_equal(from, tracker_journal_next(journal));
    }
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* Any record's time, wherever reading stands, and without moving it: for owner and adopter. */
static void
time_of_a_record(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    struct tracker_run        run;
    struct tracker_gap        gap;
    uint64_t                  end, from = 1;

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    assert_int_equal(tracker_journal_time(journal, 1), 0);
    while (journal->count < 4) {
        if (!testing_append(journal))
            testing_give_spare(journal, TESTING_SEGMENT);
    }
    end = tracker_journal_next(journal);
    for (int owner = 1; owner >= 0; owner--) {
        for (from = 1; tracker_journal_read(journal, from, 7, 4096, &run, &gap) == TRACKER_READ_RUN;) {
            uint64_t any = 1 + testing_below(end - 1);

            from = testing_check_run(journal, &run, from);
            assert_int_equal(tracker_journal_time(journal, any), TESTING_FIRST_MS + any * 1000);
        }
        assert_int_equal(from, end);
        assert_int_equal(tracker_journal_time(journal, end), 0);
        assert_int_equal(tracker_journal_time(journal, 0), 0);
        assert_false(tracker_journal_failed(journal));
        if (owner) {
            tracker_journal_close(journal);
            assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), 0);
        }
    }
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* ---- ownership ---- */

static void
living_owner_keeps_its_journal(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal, *thief = NULL;
    struct tracker_journal_id id;
    struct tracker_sync       sync;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    assert_int_equal(tracker_journal_adopt(&thief, folder.fd, &id), -EWOULDBLOCK);
    testing_append(journal);
    assert_true(tracker_journal_sync_begin(journal, &sync)); /* holds a dup of the locked descriptor */
    tracker_journal_close(journal);
    journal = adopt(&folder, &id);
    assert_int_equal(tracker_journal_adopt(&thief, folder.fd, &id), -EWOULDBLOCK);
    tracker_sync_run(&sync);
    assert_int_equal(tracker_journal_adopt(&thief, folder.fd, &id), -EWOULDBLOCK);
    tracker_journal_delete(journal);
    assert_int_equal(tracker_journal_adopt(&thief, folder.fd, &id), -ENOENT);
    testing_folder_remove(&folder);
}

/* The owner runs in a child, which starts a program: that must not inherit the lock. */
static void
killed_owner_gives_way_though_its_child_lives(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    int                       told[2], hold[2], status;
    pid_t                     pid;

    testing_folder_make(&folder);
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(hold), 0);
    pid = testing_fork();
    if (pid == 0) {
        journal = testing_create(&folder);
        testing_append(journal);
        if (fork() == 0) { /* it must outlive us: reads `hold` until the test ends, closes `told` at exec */
            dup2(hold[0], 0);
            close(hold[1]);
            close(told[0]);
            fcntl(told[1], F_SETFD, FD_CLOEXEC);
            execl("/bin/cat", "cat", (char *) NULL);
            _exit(1);
        }
        if (write(told[1], &journal->identity.id, sizeof(id)) != sizeof(id))
            _exit(1);
        close(told[1]);
        pause();
        _exit(1);
    }
    close(told[1]);
    close(hold[0]);
    assert_int_equal(read(told[0], &id, sizeof(id)), sizeof(id));
    assert_int_equal(read(told[0], &status, 1), 0); /* the program has started */
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EWOULDBLOCK);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    journal = adopt(&folder, &id);
    tracker_journal_delete(journal);
    close(told[0]);
    close(hold[1]);
    testing_folder_remove(&folder);
}

static void
adopt_refuses_what_is_no_journal(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id = { { 9 } }, other;
    struct testing_image      image;
    char                      name[TRACKER_SEGMENT_NAME_CAP];
    uint8_t                   zeros[8192] = { 0 };

    testing_folder_make(&folder);
    tracker_segment_name(name, &id, 0);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -ENOENT);
    testing_store(&folder, &id, 0, zeros, 0);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    testing_store(&folder, &id, 0, zeros, 100);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    testing_store(&folder, &id, 0, zeros, sizeof(zeros));
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    testing_unlink(&folder, &id, 0);
    assert_int_equal(mkdirat(folder.fd, name, 0700), 0);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    assert_int_equal(unlinkat(folder.fd, name, AT_REMOVEDIR), 0);
    assert_int_equal(mkfifoat(folder.fd, name, 0600), 0);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    assert_int_equal(unlinkat(folder.fd, name, 0), 0);
    assert_int_equal(symlinkat("/dev/zero", folder.fd, name), 0);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    assert_int_equal(unlinkat(folder.fd, name, 0), 0);

    journal = testing_create(&folder); /* a sound one, under another's name */
    other = journal->identity.id;
    tracker_journal_close(journal);
    image = testing_load(&folder, &other, 0);
    testing_store(&folder, &id, 0, image.bytes, image.len);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
    free(image.bytes);
    testing_folder_remove(&folder);
}

/* Whoever reads packs refuses such a name, so that nothing of the journal would ever arrive: an operator must look. */
static void
adopt_refuses_a_name_of_control_bytes(void **state)
{
    static const char *const  names[] = { "\x01", "edge\n", "edge\x7f", "\xc3\xa4", "e\0e" };
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    struct testing_image      image;
    struct tracker_segment_header *header;

    testing_folder_make(&folder);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        journal = testing_create(&folder);
        id = journal->identity.id;
        tracker_journal_close(journal);
        image = testing_load(&folder, &id, 0);
        header = (struct tracker_segment_header *) image.bytes;
        memset(header->edge, 0, sizeof(header->edge));
        memcpy(header->edge, names[i], i == 4 ? 3 : strlen(names[i]));
        header->crc = tracker_crc32c(0, header, TRACKER_SEGMENT_CRC_OFFSET);
        testing_store(&folder, &id, 0, image.bytes, image.len);
        assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), -EINVAL);
        free(image.bytes);
    }
    testing_folder_remove(&folder);
}

/* A killed writer's spare goes once the end is known; what holds a record or is another's stays. */
static void
trim_removes_what_was_never_entered(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal, *other;
    struct tracker_journal_id id;
    struct testing_image      image;
    struct tracker_run        run;
    struct tracker_gap        gap;
    uint64_t                  from = 1, end, spare;
    uint32_t                  number;

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    while (journal->count < 3) {
        if (!testing_append(journal))
            testing_give_spare(journal, TESTING_SEGMENT);
    }
    testing_give_spare(journal, TESTING_SEGMENT);
    spare = journal->spare.size;
    assert_int_equal(tracker_journal_trim(journal), 0); /* its owner's */
    end = tracker_journal_next(journal);
    tracker_journal_close(journal);
    assert_int_equal(testing_folder_count(&folder), 4);

    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), 0);
    assert_int_equal(tracker_journal_trim(journal), 0); /* the end is not known */
    while (tracker_journal_read(journal, from, 1000, 65536, &run, &gap) == TRACKER_READ_RUN)
        from = testing_check_run(journal, &run, from);
    assert_int_equal(from, end);
    assert_int_equal(tracker_journal_trim(journal), spare);
    assert_int_equal(testing_folder_count(&folder), 3);
    assert_int_equal(tracker_journal_trim(journal), 0);
    number = journal->segments[journal->count - 1].number + 1;
    tracker_journal_close(journal);

    /* another journal's file under the next number, as a hand that copies leaves it */
    other = testing_create(&folder);
    image = testing_load(&folder, &other->identity.id, 0);
    tracker_journal_delete(other);
    testing_store(&folder, &id, number, image.bytes, image.len);
    free(image.bytes);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), 0);
    for (from = 1; tracker_journal_read(journal, from, 1000, 65536, &run, &gap) == TRACKER_READ_RUN;)
        from = testing_check_run(journal, &run, from);
    assert_int_equal(from, end);
    assert_int_equal(tracker_journal_trim(journal), 0);
    assert_int_equal(testing_folder_count(&folder), 4);
    tracker_journal_close(journal);

    /* killed while it made one: not even a header */
    testing_store(&folder, &id, number, (const uint8_t[8192]){ 0 }, 8192);
    assert_int_equal(tracker_journal_adopt(&journal, folder.fd, &id), 0);
    for (from = 1; tracker_journal_read(journal, from, 1000, 65536, &run, &gap) == TRACKER_READ_RUN;)
        from = testing_check_run(journal, &run, from);
    assert_int_equal(tracker_journal_trim(journal), 8192);
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

static void
retention_near_the_epoch(void **state)
{
    assert_int_equal(tracker_retained_since(UINT64_C(1700000000000), 1000), UINT64_C(1699999999000));
    assert_int_equal(tracker_retained_since(1001, 1000), 1);
    assert_int_equal(tracker_retained_since(1000, 1000), 1); /* never 0: that frees everything */
    assert_int_equal(tracker_retained_since(0, UINT64_MAX), 1);
}

/* A creator killed before its file had a name; and one that still works at it. */
static void
abandoned_beginnings_are_removed(void **state)
{
    struct testing_folder           folder;
    struct tracker_journal         *journal;
    struct tracker_journal_identity identity = { .id = { { 7 } }, .kind = TRACKER_JOURNAL_MONEY };
    struct tracker_spare            living;
    char                            dead[TRACKER_SEGMENT_NAME_CAP + 8], busy[TRACKER_SEGMENT_NAME_CAP + 8];

    testing_folder_make(&folder);
    tracker_segment_name(dead, &(struct tracker_journal_id){ { 6 } }, 0);
    strcat(dead, ".new");
    tracker_segment_name(busy, &identity.id, 0);
    strcat(busy, ".new");
    close(openat(folder.fd, dead, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(tracker_segment_make(&living, folder.fd, busy, &identity, 0, TESTING_SEGMENT, 1, 1), 0);
    journal = testing_create(&folder);
    assert_int_equal(faccessat(folder.fd, dead, F_OK, 0), -1);
    assert_int_equal(faccessat(folder.fd, busy, F_OK, 0), 0);
    munmap(living.map, living.size);
    close(living.fd);
    tracker_journal_close(journal);
    testing_folder_remove(&folder);
}

/* ---- durability ---- */

static void
sync_covers_what_was_committed_before_it(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    struct tracker_sync     sync;
    uint64_t                next;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    assert_int_equal(tracker_journal_synced(journal), 1);
    assert_false(tracker_journal_sync_begin(journal, &sync));
    testing_append_into(journal, 2);
    next = tracker_journal_next(journal);
    assert_true(tracker_journal_sync_begin(journal, &sync));
    assert_int_equal(sync.count, 3);
    assert_int_equal(sync.covers, next);
    assert_true(testing_append(journal)); /* meanwhile */
    tracker_sync_run(&sync);
    assert_int_equal(sync.error, 0);
    assert_int_equal(tracker_journal_synced(journal), 1);
    tracker_journal_sync_end(journal, &sync);
    assert_int_equal(tracker_journal_synced(journal), next);
    assert_true(journal->segments[0].fd >= 0);      /* the lock */
    assert_int_equal(journal->segments[1].fd, -1);  /* full and synced */
    assert_true(journal->segments[2].fd >= 0);
    assert_true(tracker_journal_sync_begin(journal, &sync));
    assert_int_equal(sync.count, 1);
    tracker_sync_run(&sync);
    tracker_journal_sync_end(journal, &sync);
    assert_false(tracker_journal_sync_begin(journal, &sync));

    testing_append_into(journal, 22); /* more segments than one sync takes */
    assert_true(tracker_journal_sync_begin(journal, &sync));
    assert_int_equal(sync.count, TRACKER_SYNC_FDS);
    assert_int_equal(sync.covers, journal->segments[2 + TRACKER_SYNC_FDS].first);
    tracker_sync_run(&sync);
    tracker_journal_sync_end(journal, &sync);
    testing_sync(journal);
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* A failed fsync may have lost pages and will not say so again. */
static void
sync_error_fails_the_journal_for_ever(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    struct tracker_sync     sync;
    struct tracker_run      run;
    struct tracker_gap      gap;
    uint32_t                number;

    testing_folder_make(&folder);
    journal = testing_create(&folder);
    assert_true(testing_append(journal));
    assert_true(tracker_journal_sync_begin(journal, &sync));
    close(sync.fds[0]);
    sync.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* fdatasync of it is EINVAL */
    tracker_sync_run(&sync);
    assert_int_equal(sync.error, -EINVAL);
    assert_non_null(tracker_journal_reserve(journal, 10));
    tracker_journal_sync_end(journal, &sync);
    assert_true(tracker_journal_failed(journal));
    assert_int_equal(tracker_journal_commit(journal, 1, 1, 10), 0);
    assert_null(tracker_journal_reserve(journal, 10));
    assert_false(tracker_journal_wants_spare(journal, &number));
    assert_false(tracker_journal_sync_begin(journal, &sync));
    assert_int_equal(tracker_journal_synced(journal), 1);
    /* What is there is still shipped. */
    assert_int_equal(tracker_journal_read(journal, 1, 1, 1, &run, &gap), TRACKER_READ_RUN);
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* ---- retention ---- */

static void
check_freed_front(struct tracker_journal *journal, uint64_t first_kept, const uint64_t *hashes)
{
    struct tracker_run run;
    struct tracker_gap gap;
    uint64_t           from = 1, segment_1 = 0;

    while (tracker_journal_read(journal, from, 50, SIZE_MAX, &run, &gap) == TRACKER_READ_RUN)
        from = testing_check_run(journal, &run, from);
    segment_1 = from; /* segment 0 stays readable */
    assert_true(segment_1 > 100);
    for (uint64_t at = segment_1; at < first_kept; at += 1 + (first_kept - segment_1) / 7) {
        assert_int_equal(tracker_journal_read(journal, at, 50, SIZE_MAX, &run, &gap), TRACKER_READ_GAP);
        assert_int_equal(gap.from, at);
        assert_int_equal(gap.to, first_kept);
        assert_int_equal(gap.reason, TRACKER_GAP_FREED);
    }
    assert_int_equal(tracker_journal_read(journal, first_kept, 50, SIZE_MAX, &run, &gap), TRACKER_READ_RUN);
    testing_check_run(journal, &run, first_kept);
    assert_int_equal(run.hash_before, hashes[first_kept]); /* the header names it again */
}

static void
free_is_a_gap_for_owner_and_adopter(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    uint64_t                  first[8], next, *hashes, bytes;

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    testing_append_into(journal, 7);
    testing_sync(journal);
    next = tracker_journal_next(journal);
    hashes = testing_hashes(journal);
    for (int i = 0; i < 8; i++)
        first[i] = journal->segments[i].first;
    bytes = tracker_journal_bytes(journal);

    assert_int_equal(tracker_journal_free(journal, first[2] - 1, 0, 0), 0); /* not wholly acked */
    assert_int_equal(tracker_journal_free(journal, first[3], 0, 24575), 0); /* at most: not one fits */
    assert_int_equal(tracker_journal_free(journal, first[3], 0, 24576), 24576);
    assert_int_equal(tracker_journal_bytes(journal), bytes - 24576);
    check_freed_front(journal, first[2], hashes);
    assert_int_equal(tracker_journal_free(journal, first[3], 0, 1 << 20), 24576);
    check_freed_front(journal, first[3], hashes);
    tracker_journal_close(journal);

    journal = adopt(&folder, &id);
    check_freed_front(journal, first[3], hashes);
    assert_int_equal(tracker_journal_free(journal, first[5], 0, 0), 2 * 24576);
    check_freed_front(journal, first[5], hashes);
    assert_int_equal(tracker_journal_free(journal, next + 100, 0, 0), 2 * 24576); /* never the last one */
    check_freed_front(journal, first[7], hashes);
    assert_int_equal(tracker_journal_bytes(journal), bytes - 6 * 24576);
    tracker_journal_close(journal);
    journal = adopt(&folder, &id);
    check_freed_front(journal, first[7], hashes);
    tracker_journal_delete(journal);
    assert_int_equal(testing_folder_count(&folder), 0);
    free(hashes);
    testing_folder_remove(&folder);
}

/* Acked and young: out of memory, not off the disk; read again when the database went back. */
static void
retained_segments_are_unmapped_and_read_again(void **state)
{
    struct testing_folder     folder;
    struct tracker_journal   *journal;
    struct tracker_journal_id id;
    uint64_t                  next, *hashes, written_2;
    uint8_t                  *seen;
    unsigned                  gaps[4] = { 0 };

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    id = journal->identity.id;
    testing_append_into(journal, 6);
    next = tracker_journal_next(journal);
    hashes = testing_hashes(journal);
    seen = flags_new(next);
    written_2 = TESTING_FIRST_MS + (journal->segments[3].first - 1) * 1000; /* its last record's time */

    assert_int_equal(tracker_journal_free(journal, next, 1, 0), 0);
    assert_non_null(journal->segments[1].map); /* not synced: its descriptor is still needed */
    testing_sync(journal);
    assert_int_equal(tracker_journal_free(journal, next, 1, 2 * 24576), 0);
    assert_null(journal->segments[2].map); /* two a slice */
    assert_non_null(journal->segments[3].map);
    assert_int_equal(tracker_journal_free(journal, next, 1, 0), 0);
    assert_null(journal->segments[5].map);
    assert_non_null(journal->segments[6].map);
    assert_int_equal(testing_read_all(journal, 1, seen, next, hashes, gaps), next);
    assert_ptr_equal(memchr(seen + 1, 0, next - 1), NULL);

    assert_int_equal(tracker_journal_free(journal, next, written_2, 0), 24576); /* only segment 1 is older */
    assert_int_equal(tracker_journal_free(journal, next, written_2 + 1, 0), 24576);
    assert_int_equal(journal->segments[1].number, 3);
    tracker_journal_close(journal);

    journal = adopt(&folder, &id); /* it goes by the first record behind a segment: one second later here */
    assert_int_equal(journal->segments[1].number, 3);
    assert_int_equal(tracker_journal_free(journal, next, TESTING_FIRST_MS, 0), 0);
    assert_int_equal(testing_read_all(journal, 1, seen, next, hashes, gaps), next);
    assert_int_equal(gaps[TRACKER_GAP_FREED], 1);
    assert_int_equal(tracker_journal_free(journal, next, UINT64_MAX, 0), 3 * 24576);
    assert_int_equal(testing_read_all(journal, 1, seen, next, hashes, gaps), next);
    assert_int_equal(gaps[TRACKER_GAP_FREED], 2);
    assert_int_equal(gaps[TRACKER_GAP_HOLE] + gaps[TRACKER_GAP_MISSING], 0);
    tracker_journal_delete(journal);
    free(hashes);
    free(seen);
    testing_folder_remove(&folder);
}

/* One step of a reader that goes on where it was, whatever was freed or unmapped under it meanwhile. */
static uint64_t
read_on(struct tracker_journal *journal, uint64_t from)
{
    struct tracker_run run;
    struct tracker_gap gap;

    switch (tracker_journal_read(journal, from, 20, SIZE_MAX, &run, &gap)) {
    case TRACKER_READ_RUN:
        return testing_check_run(journal, &run, from);
    case TRACKER_READ_GAP:
        assert_int_equal(gap.reason, TRACKER_GAP_FREED);
        assert_true(gap.to <= tracker_segment_counters(journal)->freed);
        return gap.to;
    case TRACKER_READ_END:
        assert_int_equal(from, tracker_journal_next(journal));
    }
    return 1;
}

/* The sequence of facts a shipper makes: freeing under the reading cursor, reading on, going back. */
static void
random_life_of_an_owner(void **state)
{
    struct testing_folder   folder;
    struct tracker_journal *journal;
    uint64_t                acked = 1, freed_to = 0, reader = 1;
    uint8_t                *seen;
    unsigned                gaps[4];

    testing_seed();
    testing_folder_make(&folder);
    journal = testing_create(&folder);
    for (int round = 0; round < 3000; round++) {
        uint64_t next = tracker_journal_next(journal), from;

        switch (testing_below(20)) {
        case 0:
            for (uint64_t n = testing_below(200); n > 0; n--) {
                if (!testing_append(journal))
                    testing_give_spare(journal, TESTING_SEGMENT + testing_below(3) * 4096);
            }
            break;
        case 1:
            testing_sync(journal);
            break;
        case 2:
            acked += testing_below(next - acked + 1);
            tracker_journal_free(journal, acked, testing_below(2) * (TESTING_FIRST_MS + acked * 500),
                                 testing_below(2) * testing_below(100000));
            freed_to = tracker_segment_counters(journal)->freed;
            assert_true(freed_to <= acked);
            break;
        case 3:
            from = 1 + testing_below(next);
            seen = flags_new(next);
            memset(gaps, 0, sizeof(gaps));
            assert_int_equal(testing_read_all(journal, from, seen, next, NULL, gaps), next);
            assert_ptr_equal(memchr(seen + from, 0, next - from), NULL);
            for (uint64_t i = from; i < next; i++)
                assert_true(seen[i] == 1 || i < freed_to);
            assert_true(gaps[TRACKER_GAP_FREED] <= 1);
            assert_int_equal(gaps[TRACKER_GAP_HOLE] + gaps[TRACKER_GAP_MISSING], 0);
            free(seen);
            break;
        default:
            reader = read_on(journal, reader);
        }
    }
    assert_true(freed_to > 1); /* it bit */
    tracker_journal_delete(journal);
    testing_folder_remove(&folder);
}

/* ---- a folder ---- */

struct visits {
    unsigned count, stop_after;
    uint64_t bytes;
};

static bool
visit(void *ctx, const struct tracker_journal_file *file)
{
    struct visits *visits = ctx;

    visits->count++;
    visits->bytes += file->size;
    assert_true(file->modified_ms > TESTING_FIRST_MS);
    return visits->count == visits->stop_after;
}

static void
scan_sees_segments_and_nothing_else(void **state)
{
#define HEX "00112233445566778899aabbccddeeff"
    static const char *const good[] = { HEX ".0", HEX ".7", HEX ".4294967295" };
    static const char *const bad[] = {
        HEX,           HEX ".",       HEX ".00",      HEX ".01", HEX ".4294967296", HEX ".-1",
        HEX ".+1",     HEX ". 1",     HEX ".1x",      "a",       "core.1",          "x" HEX ".1",
        HEX ".0.bad", HEX ".0.new", "00112233445566778899AABBCCDDEEFF.0", HEX ".99999999999999999999999999",
    };
    struct testing_folder     folder;
    struct visits             visits = { 0 };
    struct tracker_journal_id id;
    uint32_t                  number;
    char                      name[TRACKER_SEGMENT_NAME_CAP];

    testing_folder_make(&folder);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        close(openat(folder.fd, good[i], O_CREAT | O_WRONLY, 0600));
        assert_true(tracker_segment_name_parse(good[i], &id, &number));
        tracker_segment_name(name, &id, number);
        assert_string_equal(name, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        close(openat(folder.fd, bad[i], O_CREAT | O_WRONLY, 0600));
        assert_false(tracker_segment_name_parse(bad[i], &id, &number));
    }
    assert_int_equal(symlinkat("/etc/passwd", folder.fd, HEX ".8"), 0);
    assert_int_equal(mkdirat(folder.fd, HEX ".9", 0700), 0);
    assert_int_equal(tracker_journal_scan(folder.fd, visit, &visits), 0);
    assert_int_equal(visits.count, 3);
    visits = (struct visits){ .stop_after = 2 };
    assert_int_equal(tracker_journal_scan(folder.fd, visit, &visits), 0);
    assert_int_equal(visits.count, 2);
    assert_int_equal(tracker_journal_scan(-1, visit, &visits), -EBADF);
    testing_folder_remove(&folder);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_bytes_are_pinned),
        cmocka_unit_test(create_refuses_nonsense),
        cmocka_unit_test(reservations),
        cmocka_unit_test(forgotten_reservations_leave_nothing),
        cmocka_unit_test(spares),
        cmocka_unit_test(drops_are_counted_and_outlive_the_owner),
        cmocka_unit_test(sequences_end),
        cmocka_unit_test(owner_and_adopter_read_the_same),
        cmocka_unit_test(owner_reads_behind_its_writing),
        cmocka_unit_test(time_of_a_record),
        cmocka_unit_test(living_owner_keeps_its_journal),
        cmocka_unit_test(killed_owner_gives_way_though_its_child_lives),
        cmocka_unit_test(adopt_refuses_what_is_no_journal),
        cmocka_unit_test(adopt_refuses_a_name_of_control_bytes),
        cmocka_unit_test(trim_removes_what_was_never_entered),
        cmocka_unit_test(retention_near_the_epoch),
        cmocka_unit_test(abandoned_beginnings_are_removed),
        cmocka_unit_test(sync_covers_what_was_committed_before_it),
        cmocka_unit_test(sync_error_fails_the_journal_for_ever),
        cmocka_unit_test(free_is_a_gap_for_owner_and_adopter),
        cmocka_unit_test(retained_segments_are_unmapped_and_read_again),
        cmocka_unit_test(random_life_of_an_owner),
        cmocka_unit_test(scan_sees_segments_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
