/*
 * db_sqlite.c - the embedded database.
 *
 * WAL with one connection that writes and checkpoints: 3.40.1 can corrupt a
 * database when two connections write or checkpoint ("WAL reset"), so readers are
 * query_only, never checkpoint, and are closed first.  synchronous=FULL because
 * an ack promises what a COMMIT said.
 */
#include "db/db_driver.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQLITE_BUSY_MS 5000 /* only a copying tool or a stray shell ever holds the lock */

struct sqlite_db {
    struct db base;
    sqlite3  *handle;
};

struct sqlite_stmt {
    struct db_stmt base;
    sqlite3_stmt  *handle;
    int            bind_error; /* the first failed bind since the reset, or SQLITE_OK */
};

struct sqlite_bulk {
    struct db_bulk  base;
    struct db_stmt *stmt;
    int             next; /* column, from 1 */
};

static const struct db_token sqlite_tokens[] = {
    { "@id@", "INTEGER PRIMARY KEY AUTOINCREMENT" }, /* an id is never given twice */
    { "@int@", "INTEGER" },
    { "@bytes@", "BLOB" },
    { "@strict@", "STRICT" },
    { "@clustered@", "STRICT, WITHOUT ROWID" },
    { NULL, NULL },
};

static const char sqlite_pragmas_writer[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA wal_autocheckpoint = 4000;"      /* pages: 16 MiB, few enough for crash recovery in a blink */
    "PRAGMA journal_size_limit = 67108864;"  /* a WAL that a long reader once blew up shrinks again */
    "PRAGMA cache_size = -65536;"            /* KiB */
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;";

static const char sqlite_pragmas_reader[] =
    "PRAGMA query_only = ON;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA cache_size = -8192;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;";

static sqlite3 *
sqlite_handle(struct db *db)
{
    return ((struct sqlite_db *) db)->handle;
}

static sqlite3_stmt *
sqlite_stmt_handle(struct db_stmt *stmt)
{
    return ((struct sqlite_stmt *) stmt)->handle;
}

static enum db_result
sqlite_result(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return DB_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* WAL locking raced */
        return DB_RETRY;
    case SQLITE_CONSTRAINT: /* also a value of the wrong type for a STRICT table */
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return DB_CONFLICT;
    case SQLITE_FULL:
        return DB_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DB_CORRUPT;
    default: /* SQLITE_IOERR, SQLITE_NOMEM, SQLITE_READONLY, SQLITE_ERROR, ... */
        return DB_FAILED;
    }
}

static enum db_result
sqlite_fail(struct db *db, int code)
{
    sqlite3 *handle = sqlite_handle(db);
    int      extended = sqlite3_extended_errcode(handle);

    /* A failed bind of another statement may have gone by since: say the code's own words then. */
    const char *text = (extended & 0xff) == (code & 0xff) ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    return db_fail(db, sqlite_result(code), "%s (%d)", text, code);
}

/* ---- connections ---- */

static bool
sqlite_is_wal(sqlite3 *handle)
{
    sqlite3_stmt *stmt;
    bool          wal = false;

    if (sqlite3_prepare_v2(handle, "PRAGMA journal_mode", -1, &stmt, NULL) != SQLITE_OK)
        return false;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        wal = strcmp((const char *) sqlite3_column_text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    return wal;
}

static struct db *
sqlite_open(const char *url, bool writer, char **error)
{
    const char *path = url + strlen("sqlite:");
    if (path[0] != '/') {
        *error = strdup("a database file is named by its absolute path: sqlite:/path");
        return NULL;
    }

    struct sqlite_db *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        *error = strdup("out of memory");
        return NULL;
    }

    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, SQLITE_BUSY_MS);
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, writer ? 0 : 1, NULL);
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        const char *pragmas = writer ? sqlite_pragmas_writer : sqlite_pragmas_reader;
        code = sqlite3_exec(db->handle, pragmas, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK && writer && !sqlite_is_wal(db->handle))
        code = SQLITE_CANTOPEN; /* a file system without shared memory */

    if (code != SQLITE_OK) {
        const char *text = db->handle == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db->handle);
        if (asprintf(error, "cannot open database %s: %s", path, text) < 0)
            *error = NULL;
        sqlite3_close(db->handle);
        free(db);
        return NULL;
    }
    return &db->base;
}

static void
sqlite_close(struct db *db)
{
    sqlite3_close(sqlite_handle(db));
    free(db);
}

/* ---- transactions ---- */

static enum db_result
sqlite_run(struct db *db, const char *sql)
{
    int code = sqlite3_exec(sqlite_handle(db), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? DB_OK : sqlite_fail(db, code);
}

static enum db_result
sqlite_begin(struct db *db)
{
    return sqlite_run(db, db->writer ? "BEGIN IMMEDIATE" : "BEGIN");
}

static enum db_result
sqlite_commit(struct db *db)
{
    return sqlite_run(db, "COMMIT");
}

static void
sqlite_rollback(struct db *db)
{
    /* A full disk or an I/O error has rolled back by itself. */
    if (!sqlite3_get_autocommit(sqlite_handle(db)))
        sqlite3_exec(sqlite_handle(db), "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ---- */

/* $1 -> ?1: SQLite numbers names like $1 by their first appearance, ?1 by its number. */
static char *
sqlite_parameters(const char *sql)
{
    char *out = strdup(sql);
    char  quote = '\0';

    if (out == NULL)
        return NULL;
    for (char *c = out; *c != '\0'; c++) {
        if (quote != '\0') {
            if (*c == quote)
                quote = '\0';
        } else if (*c == '\'' || *c == '"') {
            quote = *c;
        } else if (c[0] == '$' && c[1] >= '0' && c[1] <= '9') {
            *c = '?';
        }
    }
    return out;
}

static struct db_stmt *
sqlite_prepare(struct db *db, const char *sql)
{
    struct sqlite_stmt *stmt = calloc(1, sizeof(*stmt));
    char               *text = sqlite_parameters(sql);

    if (stmt == NULL || text == NULL) {
        db_fail(db, DB_FAILED, "out of memory");
        free(stmt);
        free(text);
        return NULL;
    }

    const char *tail = NULL;
    int code =
        sqlite3_prepare_v3(sqlite_handle(db), text, -1, SQLITE_PREPARE_PERSISTENT, &stmt->handle, &tail);
    if (code == SQLITE_OK && (stmt->handle == NULL || tail[strspn(tail, " \t\n;")] != '\0')) {
        db_fail(db, DB_FAILED, "not exactly one statement: %.200s", sql);
        sqlite3_finalize(stmt->handle);
        code = SQLITE_MISUSE;
    } else if (code != SQLITE_OK) {
        db->failed = sqlite_fail(db, code);
    }
    free(text);
    if (code != SQLITE_OK) {
        free(stmt);
        return NULL;
    }
    return &stmt->base;
}

static void
sqlite_finalize(struct db_stmt *stmt)
{
    sqlite3_finalize(sqlite_stmt_handle(stmt));
    free(stmt);
}

static void
sqlite_bound(struct db_stmt *base, int code)
{
    struct sqlite_stmt *stmt = (struct sqlite_stmt *) base;
    if (stmt->bind_error == SQLITE_OK)
        stmt->bind_error = code;
}

static void
sqlite_bind_int(struct db_stmt *stmt, int index, int64_t value)
{
    sqlite_bound(stmt, sqlite3_bind_int64(sqlite_stmt_handle(stmt), index, value));
}

static void
sqlite_bind_text(struct db_stmt *stmt, int index, const char *text, size_t len)
{
    int code = sqlite3_bind_text64(sqlite_stmt_handle(stmt), index, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
    sqlite_bound(stmt, code);
}

static void
sqlite_bind_bytes(struct db_stmt *stmt, int index, const void *bytes, size_t len)
{
    sqlite_bound(stmt, sqlite3_bind_blob64(sqlite_stmt_handle(stmt), index, bytes, len, SQLITE_TRANSIENT));
}

static void
sqlite_bind_null(struct db_stmt *stmt, int index)
{
    sqlite_bound(stmt, sqlite3_bind_null(sqlite_stmt_handle(stmt), index));
}

static enum db_result
sqlite_step(struct db_stmt *base)
{
    struct sqlite_stmt *stmt = (struct sqlite_stmt *) base;
    if (stmt->bind_error != SQLITE_OK)
        return sqlite_fail(base->db, stmt->bind_error);

    int code = sqlite3_step(stmt->handle);
    if (code == SQLITE_ROW)
        return DB_ROW;
    if (code == SQLITE_DONE)
        return DB_DONE;
    return sqlite_fail(base->db, code);
}

static void
sqlite_reset(struct db_stmt *base)
{
    struct sqlite_stmt *stmt = (struct sqlite_stmt *) base;
    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle);
    stmt->bind_error = SQLITE_OK;
}

/* ---- columns ---- */

static int
sqlite_column(struct db_stmt *stmt, const char *name)
{
    sqlite3_stmt *handle = sqlite_stmt_handle(stmt);
    int           count = sqlite3_column_count(handle);

    for (int i = 0; i < count; i++) {
        if (strcmp(sqlite3_column_name(handle, i), name) == 0)
            return i;
    }
    return -1;
}

static int64_t
sqlite_column_int(struct db_stmt *stmt, int column)
{
    return sqlite3_column_int64(sqlite_stmt_handle(stmt), column);
}

static const char *
sqlite_column_text(struct db_stmt *stmt, int column)
{
    return (const char *) sqlite3_column_text(sqlite_stmt_handle(stmt), column);
}

static const void *
sqlite_column_bytes(struct db_stmt *stmt, int column, size_t *len)
{
    sqlite3_stmt *handle = sqlite_stmt_handle(stmt);
    const void   *bytes = sqlite3_column_blob(handle, column);

    *len = (size_t) sqlite3_column_bytes(handle, column);
    /* SQLite gives NULL for bytes of length 0; NULL is for NULL alone. */
    if (bytes == NULL && sqlite3_column_type(handle, column) != SQLITE_NULL)
        bytes = "";
    return bytes;
}

static bool
sqlite_column_is_null(struct db_stmt *stmt, int column)
{
    return sqlite3_column_type(sqlite_stmt_handle(stmt), column) == SQLITE_NULL;
}

static int64_t
sqlite_changes(struct db *db)
{
    return sqlite3_changes64(sqlite_handle(db));
}

/* ---- checking itself ---- */

struct sqlite_finding {
    void (*found)(void *ctx, const char *text);
    void  *ctx;
    bool   references; /* rows of foreign_key_check: table, row, parent */
};

static int
sqlite_found(void *ctx, int count, char **values, char **names)
{
    struct sqlite_finding *finding = ctx;
    char                   text[512];

    (void) count, (void) names;
    if (finding->references)
        snprintf(text, sizeof(text), "row %s of %s refers to a row of %s that does not exist",
                 values[1] == NULL ? "?" : values[1], values[0], values[2]);
    else
        snprintf(text, sizeof(text), "%s", values[0]);
    if (finding->references || strcmp(text, "ok") != 0)
        finding->found(finding->ctx, text);
    return 0;
}

/* A page so broken that the check gives up is a finding too. */
static enum db_result
sqlite_check(struct db *db, void (*found)(void *ctx, const char *text), void *ctx)
{
    static const char *const pragmas[] = { "PRAGMA integrity_check(1000)", "PRAGMA foreign_key_check" };
    struct sqlite_finding    finding = { found, ctx, false };

    for (int i = 0; i < 2; i++) {
        char *error = NULL;
        int   code;

        finding.references = i == 1;
        code = sqlite3_exec(sqlite_handle(db), pragmas[i], sqlite_found, &finding, &error);
        if (code != SQLITE_OK)
            found(ctx, error == NULL ? sqlite3_errstr(code) : error);
        sqlite3_free(error);
    }
    return DB_OK;
}

/* ---- bulk: one prepared INSERT, row by row ---- */

static struct db_bulk *
sqlite_bulk_begin(struct db *db, const char *table, const char *columns, int count)
{
    char  sql[1024];
    int   len = snprintf(sql, sizeof(sql), "INSERT INTO %s (%s) VALUES (", table, columns);
    for (int i = 1; i <= count && len < (int) sizeof(sql); i++)
        len += snprintf(sql + len, sizeof(sql) - (size_t) len, i == 1 ? "$%d" : ", $%d", i);
    if (len < (int) sizeof(sql))
        len += snprintf(sql + len, sizeof(sql) - (size_t) len, ")");
    if (len >= (int) sizeof(sql)) {
        db_fail(db, DB_FAILED, "too many columns for a bulk load of %s", table);
        return NULL;
    }

    struct sqlite_bulk *bulk = calloc(1, sizeof(*bulk));
    if (bulk == NULL) {
        db_fail(db, DB_FAILED, "out of memory");
        return NULL;
    }
    bulk->stmt = db_prepare(db, sql);
    if (bulk->stmt == NULL) {
        free(bulk);
        return NULL;
    }
    bulk->next = 1;
    return &bulk->base;
}

static void
sqlite_bulk_int(struct db_bulk *base, int64_t value)
{
    struct sqlite_bulk *bulk = (struct sqlite_bulk *) base;
    sqlite_bind_int(bulk->stmt, bulk->next++, value);
}

static void
sqlite_bulk_text(struct db_bulk *base, const char *text, size_t len)
{
    struct sqlite_bulk *bulk = (struct sqlite_bulk *) base;
    if (text == NULL)
        sqlite_bind_null(bulk->stmt, bulk->next++);
    else
        sqlite_bind_text(bulk->stmt, bulk->next++, text, len);
}

static void
sqlite_bulk_bytes(struct db_bulk *base, const void *bytes, size_t len)
{
    struct sqlite_bulk *bulk = (struct sqlite_bulk *) base;
    if (bytes == NULL)
        sqlite_bind_null(bulk->stmt, bulk->next++);
    else
        sqlite_bind_bytes(bulk->stmt, bulk->next++, bytes, len);
}

static enum db_result
sqlite_bulk_row(struct db_bulk *base)
{
    struct sqlite_bulk *bulk = (struct sqlite_bulk *) base;
    if (bulk->next != base->count + 1)
        return db_fail(base->db, DB_FAILED, "a bulk row of %d values, not %d", bulk->next - 1, base->count);

    enum db_result result = sqlite_step(bulk->stmt);
    sqlite3_reset(sqlite_stmt_handle(bulk->stmt));
    bulk->next = 1;
    return result == DB_DONE ? DB_OK : result;
}

static enum db_result
sqlite_bulk_end(struct db_bulk *base)
{
    struct sqlite_bulk *bulk = (struct sqlite_bulk *) base;
    db_end(bulk->stmt);
    free(bulk);
    return DB_OK;
}

const struct db_driver db_sqlite = {
    .scheme = "sqlite:",
    .one_writer = true,
    .tokens = sqlite_tokens,
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .script = sqlite_run,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .bind_int = sqlite_bind_int,
    .bind_text = sqlite_bind_text,
    .bind_bytes = sqlite_bind_bytes,
    .bind_null = sqlite_bind_null,
    .step = sqlite_step,
    .reset = sqlite_reset,
    .column = sqlite_column,
    .column_int = sqlite_column_int,
    .column_text = sqlite_column_text,
    .column_bytes = sqlite_column_bytes,
    .column_is_null = sqlite_column_is_null,
    .changes = sqlite_changes,
    .check = sqlite_check,
    .bulk_begin = sqlite_bulk_begin,
    .bulk_int = sqlite_bulk_int,
    .bulk_text = sqlite_bulk_text,
    .bulk_bytes = sqlite_bulk_bytes,
    .bulk_row = sqlite_bulk_row,
    .bulk_end = sqlite_bulk_end,
};
