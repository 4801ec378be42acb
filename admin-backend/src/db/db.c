/*
 * db.c - what both databases share: pool, writer's queue, transactions, statement cache.
 */
#include "db/db_driver.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DB_ATTEMPTS       8      /* of one transaction that the database wants retried */
#define DB_RETRY_FIRST_US 2000u  /* doubles with every attempt */
#define DB_READERS_MAX    64u
#define DB_WRITERS        4u     /* where several may write */

/*
 * How much later than it came a waiter counts as having come.  The earliest goes
 * first: an interactive one passes batches, yet no batch waits for more than
 * what came within its 400 ms.
 */
static const uint64_t db_handicap_us[] = {
    [DB_INTERACTIVE] = 0,
    [DB_WIRE] = 50000,
    [DB_BATCH] = 400000,
};

static const struct db_driver *const db_drivers[] = { &db_sqlite };

struct db_waiter {
    struct db_waiter *next;
    uint64_t          due_us; /* its place: arrival and handicap */
    struct db        *given;
    pthread_cond_t    woken;
};

/* The idle connections of one kind, and who waits for one, earliest first. */
struct db_lane {
    struct db        *idle;
    struct db_waiter *waiting;
    unsigned          count; /* open, idle or not */
};

struct db_pool {
    const struct db_driver *driver;
    pthread_mutex_t         lock; /* over both lanes; held for list work only */
    struct db_lane          writers;
    struct db_lane          readers;
};

static _Thread_local char db_thread_message[512];

static enum db_result db_transact(struct db *db, db_work fn, void *ctx);
static enum db_result db_attempt(struct db *db, db_work fn, void *ctx);
static struct db     *db_lane_take(struct db_pool *pool, struct db_lane *lane, uint64_t handicap_us);
static void           db_lane_give(struct db_pool *pool, struct db_lane *lane, struct db *db);

/* ---- transactions ---- */

enum db_result
db_write(struct db_pool *pool, enum db_priority priority, db_work fn, void *ctx)
{
    if (pool->writers.count == 0) {
        snprintf(db_thread_message, sizeof(db_thread_message), "this process only reads the database");
        return DB_FAILED;
    }

    struct db     *db = db_lane_take(pool, &pool->writers, db_handicap_us[priority]);
    enum db_result result = db_transact(db, fn, ctx);
    db_lane_give(pool, &pool->writers, db);
    return result;
}

enum db_result
db_read(struct db_pool *pool, db_work fn, void *ctx)
{
    struct db     *db = db_lane_take(pool, &pool->readers, 0);
    enum db_result result = db_transact(db, fn, ctx);
    db_lane_give(pool, &pool->readers, db);
    return result;
}

static enum db_result
db_transact(struct db *db, db_work fn, void *ctx)
{
    uint64_t pause_us = DB_RETRY_FIRST_US;

    for (int attempt = 1;; attempt++) {
        enum db_result result = db_attempt(db, fn, ctx);
        if (result != DB_RETRY || attempt == DB_ATTEMPTS)
            return result;

        /* Two that collided must not collide again: half of the pause is drawn by address and clock. */
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t jitter = ((uint64_t) now.tv_nsec ^ (uintptr_t) db) % pause_us;
        uint64_t us = pause_us / 2 + jitter;
        nanosleep(&(struct timespec){ (time_t) (us / 1000000), (long) (us % 1000000) * 1000 }, NULL);
        pause_us *= 2;
    }
}

static enum db_result
db_attempt(struct db *db, db_work fn, void *ctx)
{
    db->failed = DB_OK;
    db->message[0] = '\0';

    enum db_result result = db->driver->begin(db);
    if (result != DB_OK)
        return result;

    result = fn(db, ctx);
    if (db->in_bulk) {
        fprintf(stderr, "db: a bulk load was not ended before its transaction\n");
        abort();
    }
    if (result == DB_OK)
        result = db->failed; /* a failure that fn overlooked */
    if (result == DB_OK)
        result = db->driver->commit(db);
    if (result != DB_OK)
        db->driver->rollback(db);
    return result;
}

/* ---- pool ---- */

static bool db_pool_add(struct db_pool *pool, struct db_lane *lane, const char *url, bool writer,
                        char **error);

static struct db_pool *
db_pool_make(const char *url, unsigned writers, unsigned readers, char **error)
{
    const struct db_driver *driver = NULL;

    *error = NULL;
    for (size_t i = 0; i < sizeof(db_drivers) / sizeof(db_drivers[0]); i++) {
        if (strncmp(url, db_drivers[i]->scheme, strlen(db_drivers[i]->scheme)) == 0)
            driver = db_drivers[i];
    }
    if (driver == NULL) {
        *error = strdup("unknown kind of database: the address begins with \"sqlite:/\"");
        return NULL;
    }

    struct db_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        *error = strdup("out of memory");
        return NULL;
    }
    pool->driver = driver;
    pthread_mutex_init(&pool->lock, NULL);

    if (writers > 0 && driver->one_writer)
        writers = 1;
    if (readers == 0)
        readers = 1;
    if (readers > DB_READERS_MAX)
        readers = DB_READERS_MAX;

    /* The writer first: it may have to create what readers open. */
    bool ok = true;
    while (ok && pool->writers.count < writers)
        ok = db_pool_add(pool, &pool->writers, url, true, error);
    while (ok && pool->readers.count < readers)
        ok = db_pool_add(pool, &pool->readers, url, false, error);
    if (!ok) {
        db_pool_close(pool);
        return NULL;
    }
    return pool;
}

struct db_pool *
db_pool_open(const char *url, unsigned readers, char **error)
{
    return db_pool_make(url, DB_WRITERS, readers, error);
}

struct db_pool *
db_pool_open_readers(const char *url, unsigned readers, char **error)
{
    return db_pool_make(url, 0, readers, error);
}

static bool
db_pool_add(struct db_pool *pool, struct db_lane *lane, const char *url, bool writer, char **error)
{
    struct db *db = pool->driver->open(url, writer, error);
    if (db == NULL)
        return false;

    db->driver = pool->driver;
    db->writer = writer;
    db->next = lane->idle;
    lane->idle = db;
    lane->count++;
    return true;
}

static void
db_lane_close(struct db_lane *lane)
{
    while (lane->idle != NULL) {
        struct db *db = lane->idle;
        lane->idle = db->next;
        lane->count--;
        db_drop_statements(db);
        db->driver->close(db);
    }
    if (lane->count != 0) {
        fprintf(stderr, "db: the pool is closed while somebody is inside\n");
        abort();
    }
}

void
db_pool_close(struct db_pool *pool)
{
    if (pool == NULL)
        return;

    /* The writer last: on SQLite the last to close checkpoints, and only the writer may. */
    db_lane_close(&pool->readers);
    db_lane_close(&pool->writers);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static uint64_t
db_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* Waits for a connection of the lane.  Handed over directly, so that nobody slips in between. */
static struct db *
db_lane_take(struct db_pool *pool, struct db_lane *lane, uint64_t handicap_us)
{
    struct db *db;

    pthread_mutex_lock(&pool->lock);
    if (lane->idle != NULL && lane->waiting == NULL) {
        db = lane->idle;
        lane->idle = db->next;

    } else {
        struct db_waiter waiter = { .due_us = db_monotonic_us() + handicap_us };
        pthread_cond_init(&waiter.woken, NULL);

        struct db_waiter **at = &lane->waiting;
        while (*at != NULL && (*at)->due_us <= waiter.due_us)
            at = &(*at)->next;
        waiter.next = *at;
        *at = &waiter;

        while (waiter.given == NULL)
            pthread_cond_wait(&waiter.woken, &pool->lock);
        pthread_cond_destroy(&waiter.woken);
        db = waiter.given;
    }
    pthread_mutex_unlock(&pool->lock);
    return db;
}

static void
db_lane_give(struct db_pool *pool, struct db_lane *lane, struct db *db)
{
    pthread_mutex_lock(&pool->lock);
    struct db_waiter *waiter = lane->waiting;
    if (waiter != NULL) {
        lane->waiting = waiter->next;
        waiter->given = db;
        pthread_cond_signal(&waiter->woken);
    } else {
        db->next = lane->idle;
        lane->idle = db;
    }
    pthread_mutex_unlock(&pool->lock);
}

/* ---- statements ---- */

static uint64_t
db_hash(const char *sql)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *sql != '\0'; sql++)
        hash = (hash ^ (unsigned char) *sql) * UINT64_C(1099511628211);
    return hash;
}

static struct db_stmt *
db_prepare_new(struct db *db, const char *sql, uint64_t hash, bool cached)
{
    char *copy = strdup(sql);
    if (copy == NULL) {
        db->failed = db_fail(db, DB_FAILED, "out of memory");
        return NULL;
    }

    struct db_stmt *stmt = db->driver->prepare(db, copy);
    if (stmt == NULL) {
        if (db->failed == DB_OK)
            db->failed = DB_FAILED;
        free(copy);
        return NULL;
    }
    stmt->db = db;
    stmt->sql = copy;
    stmt->hash = hash;
    stmt->cached = cached;
    stmt->in_use = true;
    return stmt;
}

struct db_stmt *
db_prepare(struct db *db, const char *sql)
{
    if (db->failed != DB_OK) /* and the first message stays */
        return NULL;

    uint64_t hash = db_hash(sql);
    struct db_stmt **slot = &db->cache[hash & (DB_CACHE_SLOTS - 1)];

    for (struct db_stmt *stmt = *slot; stmt != NULL; stmt = stmt->next) {
        if (stmt->hash != hash || strcmp(stmt->sql, sql) != 0)
            continue;
        if (stmt->in_use) /* a loop over its rows calls somebody who needs it too */
            return db_prepare_new(db, sql, hash, false);
        stmt->in_use = true;
        return stmt;
    }

    struct db_stmt *stmt = db_prepare_new(db, sql, hash, true);
    if (stmt != NULL) {
        stmt->next = *slot;
        *slot = stmt;
    }
    return stmt;
}

void
db_end(struct db_stmt *stmt)
{
    if (stmt == NULL)
        return;

    const struct db_driver *driver = stmt->db->driver;
    driver->reset(stmt);
    stmt->in_use = false;
    if (!stmt->cached) {
        free(stmt->sql);
        driver->finalize(stmt);
    }
}

void
db_drop_statements(struct db *db)
{
    for (size_t i = 0; i < DB_CACHE_SLOTS; i++) {
        struct db_stmt *next;
        for (struct db_stmt *stmt = db->cache[i]; stmt != NULL; stmt = next) {
            next = stmt->next;
            free(stmt->sql);
            db->driver->finalize(stmt);
        }
        db->cache[i] = NULL;
    }
}

enum db_result
db_step(struct db_stmt *stmt)
{
    if (stmt == NULL)
        return DB_FAILED;

    struct db *db = stmt->db;
    if (db->in_bulk) {
        fprintf(stderr, "db: a statement inside a bulk load: %s\n", stmt->sql);
        abort();
    }
    if (db->failed != DB_OK)
        return db->failed;

    enum db_result result = db->driver->step(stmt);
    if (result < 0)
        db->failed = result;
    return result;
}

void
db_bind_int(struct db_stmt *stmt, int index, int64_t value)
{
    if (stmt != NULL)
        stmt->db->driver->bind_int(stmt, index, value);
}

void
db_bind_text(struct db_stmt *stmt, int index, const char *text)
{
    db_bind_text_n(stmt, index, text, text == NULL ? 0 : strlen(text));
}

void
db_bind_text_n(struct db_stmt *stmt, int index, const char *text, size_t len)
{
    if (text == NULL)
        db_bind_null(stmt, index);
    else if (stmt != NULL)
        stmt->db->driver->bind_text(stmt, index, text, len);
}

void
db_bind_bytes(struct db_stmt *stmt, int index, const void *bytes, size_t len)
{
    if (bytes == NULL)
        db_bind_null(stmt, index);
    else if (stmt != NULL)
        stmt->db->driver->bind_bytes(stmt, index, bytes, len);
}

void
db_bind_null(struct db_stmt *stmt, int index)
{
    if (stmt != NULL)
        stmt->db->driver->bind_null(stmt, index);
}

/* ---- columns ---- */

static int
db_column(struct db_stmt *stmt, const char *name)
{
    int column = stmt->db->driver->column(stmt, name);
    if (column < 0) {
        fprintf(stderr, "db: no column \"%s\" in: %s\n", name, stmt->sql);
        abort();
    }
    return column;
}

int64_t
db_int(struct db_stmt *stmt, const char *column)
{
    return stmt->db->driver->column_int(stmt, db_column(stmt, column));
}

const char *
db_text(struct db_stmt *stmt, const char *column)
{
    return stmt->db->driver->column_text(stmt, db_column(stmt, column));
}

const void *
db_bytes(struct db_stmt *stmt, const char *column, size_t *len)
{
    return stmt->db->driver->column_bytes(stmt, db_column(stmt, column), len);
}

bool
db_is_null(struct db_stmt *stmt, const char *column)
{
    return stmt->db->driver->column_is_null(stmt, db_column(stmt, column));
}

int64_t
db_changes(struct db *db)
{
    return db->driver->changes(db);
}

/* ---- one call ---- */

static struct db_stmt *
db_prepare_bound(struct db *db, const char *sql, const char *types, va_list args)
{
    struct db_stmt *stmt = db_prepare(db, sql);
    if (stmt == NULL)
        return NULL;

    int index = 1;
    for (const char *type = types == NULL ? "" : types; *type != '\0'; type++, index++) {
        switch (*type) {
        case 'i':
            db_bind_int(stmt, index, va_arg(args, int64_t));
            break;
        case 's':
            db_bind_text(stmt, index, va_arg(args, const char *));
            break;
        case 'b': {
            const void *bytes = va_arg(args, const void *);
            db_bind_bytes(stmt, index, bytes, va_arg(args, size_t));
            break;
        }
        case 'n':
            db_bind_null(stmt, index);
            break;
        default:
            fprintf(stderr, "db: unknown parameter type '%c' for: %s\n", *type, sql);
            abort();
        }
    }
    return stmt;
}

enum db_result
db_exec(struct db *db, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    struct db_stmt *stmt = db_prepare_bound(db, sql, types, args);
    va_end(args);

    enum db_result result = stmt == NULL ? db->failed : db_step(stmt);
    /* To its end: SQLite completes a statement with RETURNING only at its last row. */
    while (result == DB_ROW)
        result = db_step(stmt);
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

enum db_result
db_query(struct db *db, struct db_stmt **out, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    struct db_stmt *stmt = db_prepare_bound(db, sql, types, args);
    va_end(args);

    enum db_result result = stmt == NULL ? db->failed : db_step(stmt);
    if (result != DB_ROW) {
        db_end(stmt);
        stmt = NULL;
    }
    *out = stmt;
    return result;
}

/* ---- bulk ---- */

struct db_bulk *
db_bulk_begin(struct db *db, const char *table, const char *columns, int count)
{
    if (db->failed != DB_OK)
        return NULL;

    struct db_bulk *bulk = db->driver->bulk_begin(db, table, columns, count);
    if (bulk == NULL) {
        if (db->failed == DB_OK)
            db->failed = DB_FAILED;
        return NULL;
    }
    bulk->db = db;
    bulk->count = count;
    db->in_bulk = true;
    return bulk;
}

void
db_bulk_int(struct db_bulk *bulk, int64_t value)
{
    if (bulk != NULL)
        bulk->db->driver->bulk_int(bulk, value);
}

void
db_bulk_text(struct db_bulk *bulk, const char *text, size_t len)
{
    if (bulk != NULL)
        bulk->db->driver->bulk_text(bulk, text, len);
}

void
db_bulk_bytes(struct db_bulk *bulk, const void *bytes, size_t len)
{
    if (bulk != NULL)
        bulk->db->driver->bulk_bytes(bulk, bytes, len);
}

enum db_result
db_bulk_row(struct db_bulk *bulk)
{
    if (bulk == NULL)
        return DB_FAILED;

    struct db *db = bulk->db;
    if (db->failed == DB_OK) {
        enum db_result result = db->driver->bulk_row(bulk);
        if (result != DB_OK)
            db->failed = result;
    }
    return db->failed;
}

enum db_result
db_bulk_end(struct db_bulk *bulk)
{
    if (bulk == NULL)
        return DB_FAILED;

    struct db     *db = bulk->db;
    enum db_result result = db->driver->bulk_end(bulk);
    db->in_bulk = false;
    if (db->failed == DB_OK)
        db->failed = result;
    return db->failed;
}

enum db_result
db_check(struct db *db, void (*found)(void *ctx, const char *text), void *ctx)
{
    return db->failed != DB_OK ? db->failed : db->driver->check(db, found, ctx);
}

/* ---- errors ---- */

enum db_result
db_fail(struct db *db, enum db_result result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(db->message, sizeof(db->message), format, args);
    va_end(args);
    memcpy(db_thread_message, db->message, sizeof(db_thread_message));
    return result;
}

const char *
db_message(struct db *db)
{
    return db->message;
}

const char *
db_last_message(void)
{
    return db_thread_message;
}

/* ---- migrations ---- */

static const struct db_token *
db_token_at(const struct db_driver *driver, const char *at)
{
    for (const struct db_token *token = driver->tokens; token->name != NULL; token++) {
        if (strncmp(at, token->name, strlen(token->name)) == 0)
            return token;
    }
    return NULL;
}

enum db_result
db_script(struct db *db, const char *sql)
{
    char  *text = NULL;
    size_t len = 0;
    FILE  *out = open_memstream(&text, &len);
    if (out == NULL)
        return db->failed = db_fail(db, DB_FAILED, "out of memory");

    while (*sql != '\0') {
        const struct db_token *token = *sql == '@' ? db_token_at(db->driver, sql) : NULL;
        if (token == NULL) {
            putc(*sql++, out);
        } else {
            fputs(token->text, out);
            sql += strlen(token->name);
        }
    }

    enum db_result result = DB_FAILED;
    if (fclose(out) == 0)
        result = db->driver->script(db, text);
    else
        db_fail(db, DB_FAILED, "out of memory");
    free(text);
    if (result != DB_OK)
        db->failed = result;
    return result;
}
