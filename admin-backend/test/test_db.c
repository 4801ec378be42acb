/*
 * The floor under everything: the database layer and the migrations.
 *
 * What could break here and would be noticed late: parameters bound in order of
 * appearance instead of by number (SQLite's own way with $1), a half-done
 * transaction that commits because a failure was overlooked, a batch that starves
 * behind people or people that wait behind a batch, a full disk mistaken for a
 * broken row, and a database of another version quietly written to.
 */
#include "test_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static int
setup(void **state)
{
    struct test_database *test = malloc(sizeof(*test));
    test_database_open(test);
    test_run(test->pool, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB) STRICT");
    *state = test;
    return 0;
}

static int
teardown(void **state)
{
    test_database_close(*state);
    free(*state);
    return 0;
}

/* ---- statements ---- */

static enum db_result
parameters_work(struct db *db, void *ctx)
{
    struct db_stmt *stmt;

    assert_int_equal(db_query(db, &stmt, "SELECT $2 || '$1' AS x, $1 AS y, $2 AS \"z$1\"", "is", (int64_t) 7, "two"),
                     DB_ROW);
    assert_string_equal(db_text(stmt, "x"), "two$1");
    assert_int_equal(db_int(stmt, "y"), 7);
    assert_string_equal(db_text(stmt, "z$1"), "two");
    db_end(stmt);

    /* A cached statement forgets what was bound before. */
    assert_int_equal(db_query(db, &stmt, "SELECT $1 AS x", "s", "first"), DB_ROW);
    db_end(stmt);
    stmt = db_prepare(db, "SELECT $1 AS x");
    assert_int_equal(db_step(stmt), DB_ROW);
    assert_true(db_is_null(stmt, "x"));
    assert_null(db_text(stmt, "x"));
    db_end(stmt);
    return DB_OK;
}

static void
parameters_are_bound_by_number(void **state)
{
    struct test_database *test = *state;
    assert_int_equal(db_read(test->pool, parameters_work, NULL), DB_OK);
}

static enum db_result
values_work(struct db *db, void *ctx)
{
    struct db_stmt *stmt;
    size_t          len;

    assert_int_equal(db_exec(db, "INSERT INTO t (a, b, c) VALUES ($1, $2, $3)", "isb", INT64_MIN, "", "", (size_t) 0),
                     DB_OK);
    assert_int_equal(db_exec(db, "INSERT INTO t (a, b, c) VALUES ($1, $2, $3)", "inb", (int64_t) 2, "a\0b", (size_t) 3),
                     DB_OK);
    assert_int_equal(db_exec(db, "INSERT INTO t (a, b, c) VALUES ($1, $2, $3)", "isb", (int64_t) 3, NULL, NULL,
                             (size_t) 0),
                     DB_OK);
    assert_int_equal(db_changes(db), 1);

    stmt = db_prepare(db, "SELECT a, b, c FROM t ORDER BY a");
    assert_int_equal(db_step(stmt), DB_ROW);
    assert_true(db_int(stmt, "a") == INT64_MIN);
    assert_string_equal(db_text(stmt, "b"), "");
    assert_non_null(db_bytes(stmt, "c", &len)); /* empty is not NULL */
    assert_int_equal(len, 0);
    assert_int_equal(db_step(stmt), DB_ROW);
    assert_memory_equal(db_bytes(stmt, "c", &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_int_equal(db_step(stmt), DB_ROW);
    assert_null(db_text(stmt, "b"));
    assert_null(db_bytes(stmt, "c", &len));
    assert_int_equal(db_step(stmt), DB_DONE);
    db_end(stmt);

    assert_int_equal(db_query(db, &stmt, "UPDATE t SET b = 'x' WHERE a > $1 RETURNING a", "i", (int64_t) 0), DB_ROW);
    assert_int_equal(db_int(stmt, "a"), 2);
    db_end(stmt);
    assert_int_equal(db_query(db, &stmt, "UPDATE t SET b = 'y' WHERE a > $1 RETURNING a", "i", (int64_t) 9), DB_DONE);
    assert_null(stmt);
    return DB_OK;
}

static void
values_come_back_as_they_went(void **state)
{
    struct test_database *test = *state;
    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, values_work, NULL), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t WHERE b = 'x'"), 2);
}

static enum db_result
nested_work(struct db *db, void *ctx)
{
    static const char sql[] = "SELECT a FROM t WHERE a < $1 ORDER BY a";
    int *pairs = ctx;

    struct db_stmt *outer = db_prepare(db, sql);
    db_bind_int(outer, 1, 10);
    while (db_step(outer) == DB_ROW) {
        struct db_stmt *inner = db_prepare(db, sql);
        db_bind_int(inner, 1, db_int(outer, "a"));
        while (db_step(inner) == DB_ROW)
            (*pairs)++;
        db_end(inner);
    }
    db_end(outer);
    return DB_OK;
}

static void
a_statement_may_run_inside_its_own_loop(void **state)
{
    struct test_database *test = *state;
    int pairs = 0;

    test_run(test->pool, "INSERT INTO t (a) VALUES (1), (2), (3)");
    assert_int_equal(db_read(test->pool, nested_work, &pairs), DB_OK);
    assert_int_equal(pairs, 3);
}

static enum db_result
bulk_work(struct db *db, void *ctx)
{
    struct db_bulk *bulk = db_bulk_begin(db, "t", "a, b, c", 3);
    for (int i = 1; i <= 1000; i++) {
        db_bulk_int(bulk, i);
        db_bulk_text(bulk, i % 2 ? "odd" : NULL, 3);
        db_bulk_bytes(bulk, &i, sizeof(i));
        if (db_bulk_row(bulk) != DB_OK)
            break;
    }
    return db_bulk_end(bulk);
}

static void
bulk_loads_rows(void **state)
{
    struct test_database *test = *state;

    assert_int_equal(db_write(test->pool, DB_WIRE, bulk_work, NULL), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t WHERE b IS NULL"), 500);
    /* A second time every row is there already: nothing of it stays. */
    test_run(test->pool, "DELETE FROM t WHERE a < 900");
    assert_int_equal(db_write(test->pool, DB_WIRE, bulk_work, NULL), DB_CONFLICT);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t"), 101);
}

/* ---- transactions ---- */

static enum db_result
overlooked_work(struct db *db, void *ctx)
{
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (1)", ""), DB_OK);
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (1)", ""), DB_CONFLICT);
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (2)", ""), DB_CONFLICT); /* as PostgreSQL has it */
    return DB_OK;
}

static enum db_result
abort_work(struct db *db, void *ctx)
{
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (1)", ""), DB_OK);
    return DB_ABORT;
}

static enum db_result
misspelt_work(struct db *db, void *ctx)
{
    assert_null(db_prepare(db, "SELEKT 1"));
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (1)", ""), DB_FAILED);
    assert_int_equal(db_exec(db, "INSERT INTO t (a) VALUES (1); DELETE FROM t", ""), DB_FAILED);
    return DB_OK;
}

static void
what_failed_leaves_nothing(void **state)
{
    struct test_database *test = *state;

    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, overlooked_work, NULL), DB_CONFLICT);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t"), 0);
    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, abort_work, NULL), DB_ABORT);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t"), 0);
    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, misspelt_work, NULL), DB_FAILED);
    assert_non_null(strstr(db_last_message(), "syntax error"));
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t"), 0);
}

static enum db_result
retry_work(struct db *db, void *ctx)
{
    int *calls = ctx;
    if (db_exec(db, "INSERT INTO t (a) VALUES ($1)", "i", (int64_t) ++*calls) != DB_OK)
        return DB_FAILED;
    return *calls < 3 ? DB_RETRY : DB_OK;
}

static void
a_retry_starts_afresh(void **state)
{
    struct test_database *test = *state;
    int calls = 0;

    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, retry_work, &calls), DB_OK);
    assert_int_equal(calls, 3);
    assert_int_equal(test_int(test->pool, "SELECT sum(a) AS n FROM t"), 3);
}

static enum db_result
reader_writes_work(struct db *db, void *ctx)
{
    return db_exec(db, "INSERT INTO t (a) VALUES (1)", "");
}

static void
readers_cannot_write(void **state)
{
    struct test_database *test = *state;
    char *error;

    assert_int_equal(db_read(test->pool, reader_writes_work, NULL), DB_FAILED);

    struct db_pool *pool = db_pool_open_readers(test->url, 1, &error);
    assert_non_null(pool);
    assert_int_equal(db_write(pool, DB_INTERACTIVE, reader_writes_work, NULL), DB_FAILED);
    assert_int_equal(test_int(pool, "SELECT count(*) AS n FROM t"), 0);
    db_pool_close(pool);
}

static enum db_result
consistent_work(struct db *db, void *ctx)
{
    struct test_database *test = ctx;
    struct test_int       query = { "SELECT count(*) AS n FROM t", -1 };

    assert_int_equal(test_int_read(db, &query), DB_OK);
    assert_int_equal(query.value, 0);
    test_run(test->pool, "INSERT INTO t (a) VALUES (1)");
    assert_int_equal(test_int_read(db, &query), DB_OK);
    assert_int_equal(query.value, 0);
    return DB_OK;
}

static void
a_read_sees_one_state(void **state)
{
    struct test_database *test = *state;
    assert_int_equal(db_read(test->pool, consistent_work, test), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM t"), 1);
}

static enum db_result
full_work(struct db *db, void *ctx)
{
    struct db_stmt *stmt;
    assert_int_equal(db_query(db, &stmt, "PRAGMA max_page_count = 1", ""), DB_ROW);
    db_end(stmt);
    return db_exec(db, "INSERT INTO t (a, c) VALUES (1, zeroblob(10000000))", "");
}

static enum db_result
roomy_work(struct db *db, void *ctx)
{
    struct db_stmt *stmt;
    assert_int_equal(db_query(db, &stmt, "PRAGMA max_page_count = 1000000", ""), DB_ROW);
    db_end(stmt);
    return db_exec(db, "INSERT INTO t (a) VALUES (2)", "");
}

static void
a_full_disk_is_named_and_survived(void **state)
{
    struct test_database *test = *state;
    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, full_work, NULL), DB_FULL);
    assert_int_equal(db_write(test->pool, DB_INTERACTIVE, roomy_work, NULL), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT sum(a) AS n FROM t"), 2);
}

static void
damage_is_named(void **state)
{
    struct test_database *test = *state;
    char  path[128], junk[4096];
    char *error = NULL;

    test_run(test->pool, "INSERT INTO t (a, c) VALUES (1, zeroblob(100000))");
    db_pool_close(test->pool);
    snprintf(path, sizeof(path), "%s/test.db", test->dir);
    memset(junk, 0x5a, sizeof(junk));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, 100, 0), 100);
    close(fd);

    assert_null(db_pool_open(test->url, 1, &error));
    assert_non_null(strstr(error, "not a database"));
    free(error);
    assert_null(db_pool_open("sqlite:relative", 1, &error));
    free(error);
    assert_null(db_pool_open("mysql://x", 1, &error));
    free(error);
    test->pool = NULL;
}

/* ---- the writer's queue ---- */

struct queue {
    struct db_pool *pool;
    pthread_mutex_t lock;
    char            order[16];
    atomic_int      held, release;
};

struct queued {
    struct queue    *queue;
    enum db_priority priority;
    char             name;
    pthread_t        thread;
};

static void
sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static enum db_result
hold_work(struct db *db, void *ctx)
{
    struct queue *queue = ctx;
    atomic_store(&queue->held, 1);
    while (!atomic_load(&queue->release))
        sleep_ms(1);
    return DB_OK;
}

static void *
hold_thread(void *arg)
{
    struct queue *queue = arg;
    db_write(queue->pool, DB_BATCH, hold_work, queue);
    return NULL;
}

static enum db_result
note_work(struct db *db, void *ctx)
{
    struct queued *queued = ctx;
    pthread_mutex_lock(&queued->queue->lock);
    size_t len = strlen(queued->queue->order);
    queued->queue->order[len] = queued->name;
    pthread_mutex_unlock(&queued->queue->lock);
    return DB_OK;
}

static void *
note_thread(void *arg)
{
    struct queued *queued = arg;
    db_write(queued->queue->pool, queued->priority, note_work, queued);
    return NULL;
}

/* Four ask while the writer is held, 1 ms apart. */
static void
ask_in_turn(struct queue *queue, struct queued all[4])
{
    pthread_t holder;

    pthread_create(&holder, NULL, hold_thread, queue);
    while (!atomic_load(&queue->held))
        sleep_ms(1);
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&all[i].thread, NULL, note_thread, &all[i]);
        sleep_ms(1);
    }
    sleep_ms(200); /* all of them wait by now */
    atomic_store(&queue->release, 1);
    pthread_join(holder, NULL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(all[i].thread, NULL);
}

/* The wire stands back by 50 ms: where a busy machine keeps a thread waiting as long, a round says nothing. */
static void
people_go_before_the_wire_before_batches(void **state)
{
    struct test_database *test = *state;
    char                  order[sizeof(((struct queue *) 0)->order)] = "";

    for (int rounds = 0; rounds < 20 && strcmp(order, "ijwb") != 0; rounds++) {
        struct queue  queue = { .pool = test->pool, .lock = PTHREAD_MUTEX_INITIALIZER };
        struct queued all[] = {
            { .queue = &queue, .priority = DB_BATCH, .name = 'b' },
            { .queue = &queue, .priority = DB_WIRE, .name = 'w' },
            { .queue = &queue, .priority = DB_INTERACTIVE, .name = 'i' },
            { .queue = &queue, .priority = DB_INTERACTIVE, .name = 'j' },
        };

        ask_in_turn(&queue, all);
        memcpy(order, queue.order, sizeof(order));
    }
    assert_string_equal(order, "ijwb");
}

struct flood {
    struct db_pool *pool;
    atomic_int      stop;
};

static enum db_result
busy_work(struct db *db, void *ctx)
{
    sleep_ms(2);
    return DB_OK;
}

static void *
flood_thread(void *arg)
{
    struct flood *flood = arg;
    while (!atomic_load(&flood->stop))
        db_write(flood->pool, DB_INTERACTIVE, busy_work, NULL);
    return NULL;
}

static void
a_batch_does_not_starve(void **state)
{
    struct test_database *test = *state;
    struct flood          flood = { .pool = test->pool };
    pthread_t             threads[3];
    struct timespec       before, after;

    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, flood_thread, &flood);
    sleep_ms(20);
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(db_write(test->pool, DB_BATCH, busy_work, NULL), DB_OK);
    clock_gettime(CLOCK_MONOTONIC, &after);
    atomic_store(&flood.stop, 1);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(after.tv_sec - before.tv_sec < 5);
}

/* ---- migrations ---- */

static const struct migration one = { 1, "0001_a", "CREATE TABLE a (id @id@, x @int@) @strict@;" };
static const struct migration two = { 2, "0002_b", "CREATE TABLE b (x @int@ PRIMARY KEY, y @bytes@) @clustered@;" };

static void
migrations_apply_once_and_refuse_strangers(void **state)
{
    struct test_database *test = *state;
    char  url[128], message[512];
    char *error;

    snprintf(url, sizeof(url), "sqlite:%s/other.db", test->dir);
    struct db_pool *pool = db_pool_open(url, 1, &error);
    assert_false(migrate_check(pool, message, sizeof(message))); /* empty */

    struct migration list[] = { one, two };
    assert_true(migrate_apply_list(pool, list, 1, 5, message, sizeof(message)));
    assert_true(migrate_apply_list(pool, list, 2, 6, message, sizeof(message)));
    assert_true(migrate_apply_list(pool, list, 2, 7, message, sizeof(message)));
    assert_int_equal(test_int(pool, "SELECT sum(applied_us) AS n FROM schema_migrations"), 11);

    assert_false(migrate_apply_list(pool, list, 1, 8, message, sizeof(message)));
    assert_non_null(strstr(message, "newer than this program"));
    list[0].sql = "CREATE TABLE a (id @id@);";
    assert_false(migrate_apply_list(pool, list, 2, 8, message, sizeof(message)));
    assert_non_null(strstr(message, "0001_a"));
    assert_false(migrate_check(pool, message, sizeof(message)));
    db_pool_close(pool);
}

static void
a_broken_migration_leaves_nothing(void **state)
{
    struct test_database *test = *state;
    char  url[128], message[512];
    char *error;

    snprintf(url, sizeof(url), "sqlite:%s/other.db", test->dir);
    struct db_pool  *pool = db_pool_open(url, 1, &error);
    struct migration list[] = { one, { 2, "0002_bad", "CREATE TABLE c (x @int@) @strict@; CREATE TABLE a (x TEXT);" } };
    assert_false(migrate_apply_list(pool, list, 2, 5, message, sizeof(message)));
    assert_non_null(strstr(message, "0002_bad"));
    assert_int_equal(test_int(pool, "SELECT count(*) AS n FROM sqlite_master WHERE name = 'c'"), 0);
    assert_int_equal(test_int(pool, "SELECT count(*) AS n FROM schema_migrations"), 1);

    list[1] = two;
    assert_true(migrate_apply_list(pool, list, 2, 6, message, sizeof(message)));
    db_pool_close(pool);
}

static void
the_embedded_schema_is_complete(void **state)
{
    struct test_database *test = *state;
    char message[512];

    assert_true(migrate_check(test->pool, message, sizeof(message)));
    assert_int_equal(test_int(test->pool, "SELECT version AS n FROM config_version"), 1);
    /* Tokens are all replaced, and every table is strict. */
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM sqlite_master WHERE sql LIKE '%@%'"), 0);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM pragma_table_list"
                                          " WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite%'"),
                     0);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM pragma_table_list"
                                          " WHERE schema = 'main' AND name = 'clicks' AND wr = 1"),
                     1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parameters_are_bound_by_number, setup, teardown),
        cmocka_unit_test_setup_teardown(values_come_back_as_they_went, setup, teardown),
        cmocka_unit_test_setup_teardown(a_statement_may_run_inside_its_own_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(bulk_loads_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(what_failed_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retry_starts_afresh, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_cannot_write, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_sees_one_state, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_named_and_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(people_go_before_the_wire_before_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_does_not_starve, setup, teardown),
        cmocka_unit_test_setup_teardown(migrations_apply_once_and_refuse_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_migration_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_embedded_schema_is_complete, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
