/*
 * db_driver.h - what stands behind db.h: one table of functions a database.
 *
 * db.c owns what both share: the pool, the writer's queue, transactions and their
 * retries, the statement cache, and the rule that a failed statement fails its
 * transaction (PostgreSQL's own rule; SQLite is held to it, so that code tested on
 * the one works on the other).  A driver owns a connection and its statements.
 *
 * Only db.c, the drivers and the migrations include this.
 */
#ifndef AFFILIATED_DB_DRIVER_H
#define AFFILIATED_DB_DRIVER_H

#include "db/db.h"

#define DB_CACHE_SLOTS 256u /* chains of cached statements; a power of two */

/* A word of DDL that differs: "@int@" is BIGINT to one, INTEGER to the other. */
struct db_token {
    const char *name;
    const char *text;
};

/* The head of a driver's own statement. */
struct db_stmt {
    struct db      *db;
    char           *sql;    /* owned: the cache's key */
    struct db_stmt *next;   /* chain of its cache slot */
    uint64_t        hash;
    bool            cached; /* false: a twin of one that is in use, freed by db_end */
    bool            in_use;
};

/* The head of a driver's own connection. */
struct db {
    const struct db_driver *driver;
    struct db              *next;     /* idle list of the pool */
    bool                    writer;
    bool                    in_bulk;  /* COPY owns a connection: nothing else may run on it */
    enum db_result          failed;   /* what already failed this transaction, or DB_OK */
    struct db_stmt         *cache[DB_CACHE_SLOTS];
    char                    message[512];
};

/* The head of a driver's own bulk load. */
struct db_bulk {
    struct db *db;
    int        count; /* columns */
};

struct db_driver {
    const char            *scheme;     /* "sqlite:" */
    bool                   one_writer; /* a pool has one connection that writes */
    const struct db_token *tokens;     /* ends with a NULL name */

    /* url is whole, scheme included.  NULL: *error is malloc'ed. */
    struct db *(*open)(const char *url, bool writer, char **error);
    void (*close)(struct db *db); /* statements are gone already */

    /* May reconnect, after db_drop_statements. */
    enum db_result (*begin)(struct db *db);
    enum db_result (*commit)(struct db *db);
    void (*rollback)(struct db *db);
    /* Several statements without parameters: migrations. */
    enum db_result (*script)(struct db *db, const char *sql);

    struct db_stmt *(*prepare)(struct db *db, const char *sql);
    void (*finalize)(struct db_stmt *stmt);
    void (*bind_int)(struct db_stmt *stmt, int index, int64_t value);
    void (*bind_text)(struct db_stmt *stmt, int index, const char *text, size_t len);
    void (*bind_bytes)(struct db_stmt *stmt, int index, const void *bytes, size_t len);
    void (*bind_null)(struct db_stmt *stmt, int index);
    enum db_result (*step)(struct db_stmt *stmt); /* a failed bind shows here */
    void (*reset)(struct db_stmt *stmt);          /* and forgets the parameters */

    int (*column)(struct db_stmt *stmt, const char *name); /* -1: no such column */
    int64_t (*column_int)(struct db_stmt *stmt, int column);
    const char *(*column_text)(struct db_stmt *stmt, int column);
    const void *(*column_bytes)(struct db_stmt *stmt, int column, size_t *len);
    bool (*column_is_null)(struct db_stmt *stmt, int column);
    int64_t (*changes)(struct db *db);

    /* Findings are told, not failed. */
    enum db_result (*check)(struct db *db, void (*found)(void *ctx, const char *text), void *ctx);

    struct db_bulk *(*bulk_begin)(struct db *db, const char *table, const char *columns, int count);
    void (*bulk_int)(struct db_bulk *bulk, int64_t value);
    void (*bulk_text)(struct db_bulk *bulk, const char *text, size_t len);
    void (*bulk_bytes)(struct db_bulk *bulk, const void *bytes, size_t len);
    enum db_result (*bulk_row)(struct db_bulk *bulk);
    enum db_result (*bulk_end)(struct db_bulk *bulk); /* frees it */
};

extern const struct db_driver db_sqlite;

/* ---- db.c's side, for drivers ---- */

/* Notes the message (also for db_last_message) and gives `result` back. */
enum db_result db_fail(struct db *db, enum db_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Finalizes everything cached: before a close, and when a connection was lost. */
void db_drop_statements(struct db *db);

/* ---- for the migrations ---- */

/* Replaces the driver's tokens and runs the statements, inside a transaction. */
enum db_result db_script(struct db *db, const char *sql);

#endif
