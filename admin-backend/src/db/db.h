/*
 * db.h - the one narrow interface to SQL; a driver stands behind it.
 *
 * SQL text uses $1, $2, ... and is written once for SQLite and PostgreSQL
 * (docs/decisions/0001).  Only drivers include sqlite3.h or libpq-fe.h.
 *
 * Connections: a pool has one writer on SQLite (WAL: one connection writes and
 * checkpoints, 3.40.1 has the WAL-reset bug) and several query-only readers; on
 * PostgreSQL several of each.  Work is a callback in one transaction, which may be run again
 * when the database asks for a retry: it must have no effects of its own but through `db`.
 */
#ifndef AFFILIATED_DB_H
#define AFFILIATED_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum db_result {
    DB_OK = 0,
    DB_ROW = 1,        /* db_step only: a row is there */
    DB_DONE = 2,       /* db_step only: no more rows */
    DB_RETRY = -1,     /* busy or serialization failure: db_write retries by itself */
    DB_CONFLICT = -2,  /* a unique, foreign-key or check constraint */
    DB_FULL = -3,      /* disk full */
    DB_CORRUPT = -4,
    DB_FAILED = -5,    /* anything else; db_message tells */
    DB_ABORT = -6      /* for callbacks: roll back, no database error (the service has its reason) */
};

struct db_pool;
struct db;      /* one connection inside a transaction; valid during the callback */
struct db_stmt; /* a prepared statement, cached by its connection; valid until db_end */

/* sqlite:/absolute/path (postgresql://... comes with its driver). On failure NULL and *error malloc'ed. */
struct db_pool *db_pool_open(const char *url, unsigned readers, char **error);
/* The same without a writer, for a database that another process writes: db_write fails. */
struct db_pool *db_pool_open_readers(const char *url, unsigned readers, char **error);
/* Nobody may be inside or waiting. */
void            db_pool_close(struct db_pool *pool);

/* Who goes first when several wait for the one writer. */
enum db_priority {
    DB_INTERACTIVE = 0, /* a person or a partner waits */
    DB_WIRE = 1,        /* ingest */
    DB_BATCH = 2        /* derivation, roll-ups, jobs in chunks of 1,000 */
};

typedef enum db_result (*db_work)(struct db *db, void *ctx);

/*
 * BEGIN IMMEDIATE / SERIALIZABLE, fn, COMMIT when it gives DB_OK, else ROLLBACK.
 * A statement that failed has failed its transaction, as PostgreSQL has it: every later one
 * gives the same error, and db_write gives it too when fn said DB_OK.  Where a conflict is no
 * failure, say ON CONFLICT.
 */
enum db_result db_write(struct db_pool *pool, enum db_priority priority, db_work fn, void *ctx);
/* A read-only transaction: one consistent state. */
enum db_result db_read(struct db_pool *pool, db_work fn, void *ctx);

/* ---- inside a callback ---- */

/* sql: literals only, never input (the cache keys on its text). NULL on failure, see db_message. */
struct db_stmt *db_prepare(struct db *db, const char *sql);
/* Parameters are numbered from 1.  Bytes and text are copied. */
void db_bind_int(struct db_stmt *stmt, int index, int64_t value);
void db_bind_text(struct db_stmt *stmt, int index, const char *text);              /* NULL binds NULL */
void db_bind_text_n(struct db_stmt *stmt, int index, const char *text, size_t len);
void db_bind_bytes(struct db_stmt *stmt, int index, const void *bytes, size_t len);
void db_bind_null(struct db_stmt *stmt, int index);
enum db_result db_step(struct db_stmt *stmt);  /* DB_ROW, DB_DONE or an error */
void db_end(struct db_stmt *stmt);             /* resets; always call it. NULL is fine */

/* Columns of the current row, by name; an unknown name aborts (a bug, found by the first test). */
int64_t     db_int(struct db_stmt *stmt, const char *column);
const char *db_text(struct db_stmt *stmt, const char *column); /* borrowed until next step; NULL for NULL */
const void *db_bytes(struct db_stmt *stmt, const char *column, size_t *len);
bool        db_is_null(struct db_stmt *stmt, const char *column);

/*
 * Bind and run in one call. types: one letter a parameter: i int64_t, s const char *, n nothing,
 * b (const void *, size_t). Returns DB_OK when it ran to DB_DONE or gave a row (RETURNING); rows are dropped.
 */
enum db_result db_exec(struct db *db, const char *sql, const char *types, ...);
/* The same, leaving the first row to read: DB_ROW with *stmt set (then db_end it), DB_DONE, an error. */
enum db_result db_query(struct db *db, struct db_stmt **stmt, const char *sql, const char *types, ...);
/* Rows changed by the last statement of this connection. */
int64_t db_changes(struct db *db);

/*
 * Many rows fast: prepared INSERT on SQLite, COPY on PostgreSQL. columns: "a, b, c", literals.
 * Between begin and end nothing else runs on this connection (that aborts: a bug).
 */
struct db_bulk;
struct db_bulk *db_bulk_begin(struct db *db, const char *table, const char *columns, int count);
void            db_bulk_int(struct db_bulk *bulk, int64_t value);
void            db_bulk_text(struct db_bulk *bulk, const char *text, size_t len); /* NULL: NULL */
void            db_bulk_bytes(struct db_bulk *bulk, const void *bytes, size_t len);
enum db_result  db_bulk_row(struct db_bulk *bulk);  /* ends a row of `count` values */
enum db_result  db_bulk_end(struct db_bulk *bulk);

/*
 * What the database itself finds wrong in its pages, indexes and references, one sentence each.  Long on a
 * large one. Whatever is found is no error of the transaction; DB_OK: it could look.
 */
enum db_result db_check(struct db *db, void (*found)(void *ctx, const char *text), void *ctx);

/* The connection's last error, for logs only: never for a client. */
const char *db_message(struct db *db);
/* This thread's last error of any connection: for who has only the result of db_write or db_read. */
const char *db_last_message(void);

#endif
