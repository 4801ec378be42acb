/*
 * `affiliated drain`: the last chance for what a dismantled edge still holds.
 *
 * It must bring everything exactly once, also what was already there; say what is
 * gone instead of waiting for it; keep its hands off a living worker's folder; and not
 * claim success before the database has acked.
 */
#include "test_edge.h"

#include <pthread.h>

#include "ingest/drain.h"
#include "ingest/ingest.h"
#include "tracker_journal.h"

/* A hundred times as quick: what a dead owner leaves is believed lost after a while of silence. */
static uint64_t
hurried_now_us(void)
{
    return test_now_us() + test_monotonic_ms() * 100000;
}

struct world {
    struct test_database db;
    struct test_redis    redis;
    struct ingest       *ingest;
    pthread_t            thread;
    char                 state[128]; /* an edge's state folder */
    int                  dir;        /* its journal/ */
};

static void *
ingest_thread(void *arg)
{
    ingest_run(arg);
    return NULL;
}

static void
start_ingest(struct world *w)
{
    struct ingest_options options = {
        .pool = w->db.pool, .keys = &w->db.keys, .redis = { .path = w->redis.socket },
        .first = 0, .count = 8, .now_us = hurried_now_us,
    };
    w->ingest = ingest_new(&options);
    assert_int_equal(pthread_create(&w->thread, NULL, ingest_thread, w->ingest), 0);
}

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char          journal[160];

    test_database_open(&w->db);
    test_redis_open(&w->redis, w->db.dir);
    snprintf(w->state, sizeof(w->state), "%s/edge", w->db.dir);
    snprintf(journal, sizeof(journal), "%s/journal", w->state);
    assert_int_equal(mkdir(w->state, 0700), 0);
    assert_int_equal(mkdir(journal, 0700), 0);
    w->dir = open(journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    start_ingest(w);
    *state = w;
    return 0;
}

static void
stop_ingest(struct world *w)
{
    if (w->ingest == NULL)
        return;
    ingest_stop(w->ingest);
    pthread_join(w->thread, NULL);
    ingest_free(w->ingest);
    w->ingest = NULL;
}

static int
teardown(void **state)
{
    struct world *w = *state;
    stop_ingest(w);
    close(w->dir);
    test_redis_kill(&w->redis);
    test_database_close(&w->db);
    free(w);
    return 0;
}

/* A worker's journal with `count` clicks; still open, so still owned. */
static struct tracker_journal *
worker(struct world *w, unsigned partition, unsigned count)
{
    struct tracker_journal_identity identity = {
        .kind = TRACKER_JOURNAL_TRAFFIC, .partition = (uint16_t) partition, .edge = "edge-9",
        .created_ms = 1714564800000,
    };
    struct tracker_journal *journal;

    assert_int_equal(tracker_journal_create(&journal, w->dir, &identity), 0);
    for (unsigned i = 0; i < count; i++) {
        struct tracker_click click = { .program = 1, .campaign = 2, .link = 3, .affiliate = 4,
                                       .user_agent = TRACKER_STR("drained") };
        uint8_t *at;
        while ((at = tracker_journal_reserve(journal, 512)) == NULL) {
            struct tracker_spare spare;
            uint32_t             number;
            assert_true(tracker_journal_wants_spare(journal, &number));
            assert_int_equal(tracker_spare_make(&spare, w->dir, tracker_journal_identity(journal), number,
                                                TRACKER_SEGMENT_FIRST_BYTES),
                             0);
            tracker_journal_give_spare(journal, &spare);
        }
        tracker_journal_commit(journal, TRACKER_EVENT_CLICK, 1714564800000 + i,
                               tracker_click_encode(&click, at, 512));
    }
    return journal;
}

static void
everything_arrives_once(void **state)
{
    struct world       *w = *state;
    struct drain_report report;
    char                error[512] = "";

    for (unsigned p = 0; p < 5; p++)
        tracker_journal_close(worker(w, p, p * 3000));
    if (!drain_folder(w->state, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 20000, &report, error,
                      sizeof(error)))
        fail_msg("%s", error);
    assert_int_equal(report.journals, 5);
    assert_int_equal(report.records, 30000);
    assert_int_equal(report.lost, 0);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM clicks"), 30000);
    TEST_AWAIT(test_int(w->db.pool, "SELECT count(*) AS n FROM journals WHERE closed = 1") == 5);

    /* Again, and by the other name of the folder: nothing is doubled. */
    char journal[160];
    snprintf(journal, sizeof(journal), "%s/journal", w->state);
    assert_true(drain_folder(journal, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 20000, &report,
                             error, sizeof(error)));
    assert_int_equal(report.records, 30000);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM clicks"), 30000);
}

static void
a_living_owner_is_left_alone(void **state)
{
    struct world       *w = *state;
    struct drain_report report;
    char                error[512] = "";

    tracker_journal_close(worker(w, 1, 10));
    struct tracker_journal *alive = worker(w, 2, 10);
    assert_false(drain_folder(w->state, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 5000, &report,
                              error, sizeof(error)));
    assert_non_null(strstr(error, "in use"));
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM journals"), 0);
    tracker_journal_close(alive);
}

static void
a_hole_is_said_and_passed(void **state)
{
    struct world       *w = *state;
    struct drain_report report;
    char                error[512] = "", path[256];

    struct tracker_journal *journal = worker(w, 3, 400);
    char hex[TRACKER_JOURNAL_HEX_LEN + 1] = "";
    tracker_journal_id_format(&tracker_journal_identity(journal)->id, hex);
    tracker_journal_close(journal);

    /* A page that a power loss took. */
    snprintf(path, sizeof(path), "%s/journal/%s.0", w->state, hex);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    static const char zeros[4096];
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 3 * 4096), sizeof(zeros));
    close(fd);

    if (!drain_folder(w->state, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 20000, &report, error,
                      sizeof(error)))
        fail_msg("%s", error);
    assert_true(report.lost > 0);
    assert_int_equal(report.records + report.lost, 400);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) + (SELECT sum(lost) FROM journals) AS n FROM clicks"), 400);
    assert_true(test_int(w->db.pool, "SELECT count(*) AS n FROM journal_gaps") > 0);
}

static void
without_a_backend_it_does_not_claim_success(void **state)
{
    struct world       *w = *state;
    struct drain_report report;
    char                error[512] = "";

    stop_ingest(w);
    tracker_journal_close(worker(w, 1, 10));
    assert_false(drain_folder(w->state, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 300, &report,
                              error, sizeof(error)));
    assert_non_null(strstr(error, "nobody takes"));
    assert_int_equal(report.journals, 0);
}

static enum db_result
forget_everything(struct db *db, void *ctx)
{
    (void) ctx;
    enum db_result result = db_exec(db, "DELETE FROM clicks", "");
    return result == DB_OK ? db_exec(db, "DELETE FROM journals", "") : result;
}

/* Redis still holds the ack of the database's earlier life, and nobody rewrites it: the restored one has never
 * heard of the journal. Who believes it removes a folder that nobody has. */
static void
a_restored_database_gets_it_all_again(void **state)
{
    struct world       *w = *state;
    struct drain_report report;
    char                error[512] = "";

    tracker_journal_close(worker(w, 1, 500));
    for (int life = 0; life < 2; life++) {
        if (!drain_folder(w->state, &w->db.keys, (struct wire_address){ .path = w->redis.socket }, 20000, &report,
                          error, sizeof(error)))
            fail_msg("%s", error);
        assert_int_equal(report.records, 500);
        assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM clicks"), 500);
        if (life == 0) {
            stop_ingest(w);
            assert_int_equal(db_write(w->db.pool, DB_BATCH, forget_everything, NULL), DB_OK);
            start_ingest(w);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_arrives_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_living_owner_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hole_is_said_and_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_backend_it_does_not_claim_success, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restored_database_gets_it_all_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
