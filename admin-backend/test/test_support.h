/*
 * test_support.h - what the daemon's tests stand on: a fresh migrated database in a
 * folder of its own, a key ring, a clock that only moves when told, and a service
 * made of them.
 */
#ifndef AFFILIATED_TEST_SUPPORT_H
#define AFFILIATED_TEST_SUPPORT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db.h"
#include "db/migrate.h"
#include "service/service.h"
#include "tracker_keys.h"

struct test_database {
    char                dir[64];
    char                url[96]; /* "sqlite:<dir>/test.db" */
    struct db_pool     *pool;
    struct tracker_keys keys;
    struct service      service;
};

/* 2024-05-01T12:00:00Z; tests add to it. */
static uint64_t test_clock_us __attribute__((unused)) = UINT64_C(1714564800000000);

static inline uint64_t
test_now_us(void)
{
    return test_clock_us;
}

static inline void
test_keys(struct tracker_keys *keys)
{
    static const char text[] = "0 current 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                               "1 accepted 404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\n";
    const char *error;
    int         line;

    assert_int_equal(tracker_init(), 0);
    assert_int_equal(tracker_keys_parse(keys, (struct tracker_str){ text, sizeof(text) - 1 }, &error, &line), 0);
}

/* Opens what lies at test->url, migrated. */
static inline void
test_database_reopen(struct test_database *test)
{
    char  message[512];
    char *error = NULL;

    test->pool = db_pool_open(test->url, 2, &error);
    if (test->pool == NULL)
        fail_msg("%s", error);
    if (!migrate_apply(test->pool, test_clock_us, message, sizeof(message)))
        fail_msg("%s", message);
    test->service.pool = test->pool;
}

static inline void
test_database_open(struct test_database *test)
{
    memset(test, 0, sizeof(*test));
    snprintf(test->dir, sizeof(test->dir), "/tmp/affiliated-test-XXXXXX");
    assert_non_null(mkdtemp(test->dir));
    snprintf(test->url, sizeof(test->url), "sqlite:%s/test.db", test->dir);

    test_keys(&test->keys);
    test->service = (struct service){
        .keys = &test->keys,
        .now_us = test_now_us,
        .base_url = "http://127.0.0.1:8080",
    };
    test_database_reopen(test);
}

static inline int
test_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) st, (void) type, (void) ftw;
    return remove(path);
}

static inline void
test_database_close(struct test_database *test)
{
    db_pool_close(test->pool);
    test->pool = NULL;
    nftw(test->dir, test_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* One integer of one row; -1 when there is none. No parameters. */
struct test_int {
    const char *sql;
    int64_t     value;
};

static inline enum db_result
test_int_read(struct db *db, void *ctx)
{
    struct test_int *query = ctx;
    struct db_stmt  *stmt;
    enum db_result   result = db_query(db, &stmt, query->sql, "");

    if (result == DB_ROW) {
        query->value = db_int(stmt, "n");
        db_end(stmt);
        result = DB_OK;
    }
    return result == DB_DONE ? DB_OK : result;
}

/* The column must be named n: "SELECT count(*) AS n FROM clicks". */
static inline int64_t
test_int(struct db_pool *pool, const char *sql)
{
    struct test_int query = { sql, -1 };
    if (db_read(pool, test_int_read, &query) != DB_OK)
        fail_msg("%s: %s", sql, db_last_message());
    return query.value;
}

static inline enum db_result
test_run_write(struct db *db, void *ctx)
{
    return db_exec(db, ctx, "");
}

/* One statement without parameters. */
static inline void
test_run(struct db_pool *pool, const char *sql)
{
    if (db_write(pool, DB_INTERACTIVE, test_run_write, (void *) (uintptr_t) sql) != DB_OK)
        fail_msg("%s: %s", sql, db_last_message());
}

#endif
