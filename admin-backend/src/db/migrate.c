/*
 * migrate.c - brings a database to this program's schema, or says why not.
 */
#include "db/migrate.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "db/db_driver.h"

#define MIGRATE_CHECKSUM_HEX 65 /* BLAKE2b-256 and a NUL */

static const struct migration migrate_list[] = {
#include "migrations.h"
};

struct migrate_state {
    const struct migration *list;
    size_t                  count;
    size_t                  applied; /* how many of the list the database has */
    uint64_t                now_us;
    char                   *error;   /* a refusal, which is no database error */
    size_t                  cap;
};

static const char migrate_table[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "    number     @int@ PRIMARY KEY,"
    "    name       TEXT NOT NULL,"
    "    checksum   TEXT NOT NULL,"
    "    applied_us @int@ NOT NULL"
    ") @strict@;";

static enum db_result migrate_compare(struct db *db, void *ctx);
static enum db_result migrate_next(struct db *db, void *ctx);

bool
migrate_apply(struct db_pool *pool, uint64_t now_us, char *error, size_t cap)
{
    size_t count;
    const struct migration *list = migrate_embedded(&count);
    return migrate_apply_list(pool, list, count, now_us, error, cap);
}

bool
migrate_apply_list(struct db_pool *pool, const struct migration *list, size_t count, uint64_t now_us,
                   char *error, size_t cap)
{
    struct migrate_state state = {
        .list = list, .count = count, .now_us = now_us, .error = error, .cap = cap
    };

    do {
        error[0] = '\0';
        enum db_result result = db_write(pool, DB_INTERACTIVE, migrate_next, &state);
        if (result != DB_OK) {
            if (error[0] == '\0')
                snprintf(error, cap, "cannot migrate the database: %s", db_last_message());
            return false;
        }
    } while (state.applied < count);
    return true;
}

bool
migrate_check(struct db_pool *pool, char *error, size_t cap)
{
    struct migrate_state state = { .error = error, .cap = cap };

    state.list = migrate_embedded(&state.count);
    error[0] = '\0';
    if (db_read(pool, migrate_compare, &state) != DB_OK) {
        if (error[0] == '\0')
            snprintf(error, cap, "this is no migrated database of ours: %s", db_last_message());
        return false;
    }
    if (state.applied < state.count) {
        snprintf(error, cap, "the database lacks migration %s: run \"affiliated migrate\" first",
                 state.list[state.applied].name);
        return false;
    }
    return true;
}

const struct migration *
migrate_embedded(size_t *count)
{
    *count = sizeof(migrate_list) / sizeof(migrate_list[0]);
    return migrate_list;
}

static void
migrate_checksum(const struct migration *migration, char hex[MIGRATE_CHECKSUM_HEX])
{
    unsigned char hash[32];
    const unsigned char *text = (const unsigned char *) migration->sql;

    crypto_generichash(hash, sizeof(hash), text, strlen(migration->sql), NULL, 0);
    sodium_bin2hex(hex, MIGRATE_CHECKSUM_HEX, hash, sizeof(hash));
}

/* One step: the first missing migration, compared and applied in one transaction. */
static enum db_result
migrate_next(struct db *db, void *ctx)
{
    struct migrate_state *state = ctx;

    enum db_result result = db_script(db, migrate_table);
    if (result == DB_OK)
        result = migrate_compare(db, ctx);
    if (result != DB_OK || state->applied == state->count)
        return result;

    const struct migration *migration = &state->list[state->applied];
    char checksum[MIGRATE_CHECKSUM_HEX];
    migrate_checksum(migration, checksum);

    result = db_script(db, migration->sql);
    if (result == DB_OK)
        result = db_exec(db,
                         "INSERT INTO schema_migrations (number, name, checksum, applied_us)"
                         " VALUES ($1, $2, $3, $4)",
                         "issi", (int64_t) migration->number, migration->name, checksum,
                         (int64_t) state->now_us);
    if (result == DB_OK)
        state->applied++;
    else
        snprintf(state->error, state->cap, "migration %s failed: %s", migration->name, db_message(db));
    return result;
}

/* Walks what the database has against what we have. */
static enum db_result
migrate_compare(struct db *db, void *ctx)
{
    struct migrate_state *state = ctx;
    struct db_stmt *stmt =
        db_prepare(db, "SELECT number, name, checksum FROM schema_migrations ORDER BY number");
    enum db_result        result;

    state->applied = 0;
    while ((result = db_step(stmt)) == DB_ROW) {
        const char *name = db_text(stmt, "name");
        if (state->applied == state->count) {
            snprintf(state->error, state->cap,
                     "the database is newer than this program: it has migration %s, which is unknown here",
                     name);
            result = DB_ABORT;
            break;
        }

        const struct migration *migration = &state->list[state->applied];
        char checksum[MIGRATE_CHECKSUM_HEX];
        migrate_checksum(migration, checksum);
        if (db_int(stmt, "number") != migration->number || strcmp(db_text(stmt, "checksum"), checksum) != 0) {
            snprintf(state->error, state->cap,
                     "the database was made by another version of this program: its migration %s is not ours",
                     name);
            result = DB_ABORT;
            break;
        }
        state->applied++;
    }
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}
