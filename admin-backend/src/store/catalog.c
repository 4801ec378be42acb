#include "store/catalog.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/*
 * A copy of a column; NULL columns and no memory become "" and NULL: writers check nothing, the database's
 * NOT NULL does.
 */
static char *
copy(struct db_stmt *stmt, const char *column)
{
    const char *text = db_text(stmt, column);

    return strdup(text == NULL ? "" : text);
}

static char *
copy_nullable(struct db_stmt *stmt, const char *column)
{
    const char *text = db_text(stmt, column);

    return text == NULL ? NULL : strdup(text);
}

static void
bind_optional_id(struct db_stmt *stmt, int index, int64_t id)
{
    if (id == 0)
        db_bind_null(stmt, index);
    else
        db_bind_int(stmt, index, id);
}

/* Ends an INSERT ... RETURNING id. */
static enum db_result
returned_id(struct db_stmt *stmt, int64_t *id)
{
    enum db_result rc = db_step(stmt);

    if (rc == DB_ROW)
        *id = db_int(stmt, "id");
    db_end(stmt);
    return rc == DB_ROW ? DB_OK : rc == DB_DONE ? DB_FAILED : rc;
}

/* Ends an UPDATE of one row. */
static enum db_result
updated(struct db_stmt *stmt)
{
    enum db_result rc = db_step(stmt);

    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}

/* ---- programs ---- */

enum db_result
program_load(struct db *db, int64_t id, struct program_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, name, currency, time_zone, attribution, cookie_days, fallback, state, version"
                                   " FROM programs WHERE id = $1 OR CAST($1 AS INTEGER) = 0 ORDER BY id LIMIT 1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct program_row){
        .id = db_int(stmt, "id"),
        .cookie_days = db_int(stmt, "cookie_days"),
        .version = db_int(stmt, "version"),
        .name = copy(stmt, "name"),
        .currency = copy(stmt, "currency"),
        .time_zone = copy(stmt, "time_zone"),
        .attribution = copy(stmt, "attribution"),
        .fallback = copy(stmt, "fallback"),
        .state = copy(stmt, "state"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
program_row_free(struct program_row *row)
{
    free(row->name);
    free(row->currency);
    free(row->time_zone);
    free(row->attribution);
    free(row->fallback);
    free(row->state);
}

static void
bind_program(struct db_stmt *stmt, const struct program_row *row)
{
    db_bind_text(stmt, 1, row->name);
    db_bind_text(stmt, 2, row->currency);
    db_bind_text(stmt, 3, row->time_zone);
    db_bind_text(stmt, 4, row->attribution);
    db_bind_int(stmt, 5, row->cookie_days);
    db_bind_text(stmt, 6, row->fallback);
    db_bind_text(stmt, 7, row->state);
    db_bind_int(stmt, 8, row->version);
}

enum db_result
program_insert(struct db *db, struct program_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO programs (name, currency, time_zone, attribution, cookie_days,"
                                          " fallback, state, version, created_us)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id");

    if (stmt == NULL)
        return DB_FAILED;
    bind_program(stmt, row);
    db_bind_int(stmt, 9, (int64_t) now_us);
    return returned_id(stmt, &row->id);
}

enum db_result
program_update(struct db *db, const struct program_row *row)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE programs SET name = $1, currency = $2, time_zone = $3,"
                                          " attribution = $4, cookie_days = $5, fallback = $6, state = $7,"
                                          " version = $8 WHERE id = $9");

    if (stmt == NULL)
        return DB_FAILED;
    bind_program(stmt, row);
    db_bind_int(stmt, 9, row->id);
    return updated(stmt);
}

enum db_result
program_has_money(struct db *db, int64_t id, bool *has)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT 1 AS n FROM commissions WHERE program_id = $1"
                                   " UNION ALL SELECT 1 AS n FROM affiliate_groups"
                                   " WHERE program_id = $1 AND minimum_payout_minor > 0 LIMIT 1",
                                  "i", id);

    *has = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(stmt);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

/* ---- groups ---- */

enum db_result
group_load(struct db *db, int64_t id, struct group_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, program_id, name, minimum_payout_minor, payout_frequency, payout_methods,"
                                   " version FROM affiliate_groups WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct group_row){
        .id = db_int(stmt, "id"),
        .program_id = db_int(stmt, "program_id"),
        .minimum_payout_minor = db_int(stmt, "minimum_payout_minor"),
        .version = db_int(stmt, "version"),
        .name = copy(stmt, "name"),
        .payout_frequency = copy(stmt, "payout_frequency"),
        .payout_methods = copy(stmt, "payout_methods"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
group_row_free(struct group_row *row)
{
    free(row->name);
    free(row->payout_frequency);
    free(row->payout_methods);
}

static void
bind_group(struct db_stmt *stmt, const struct group_row *row)
{
    db_bind_text(stmt, 1, row->name);
    db_bind_int(stmt, 2, row->minimum_payout_minor);
    db_bind_text(stmt, 3, row->payout_frequency);
    db_bind_text(stmt, 4, row->payout_methods);
    db_bind_int(stmt, 5, row->version);
}

enum db_result
group_insert(struct db *db, struct group_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO affiliate_groups (name, minimum_payout_minor, payout_frequency,"
                                          " payout_methods, version, program_id, created_us)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id");

    if (stmt == NULL)
        return DB_FAILED;
    bind_group(stmt, row);
    db_bind_int(stmt, 6, row->program_id);
    db_bind_int(stmt, 7, (int64_t) now_us);
    return returned_id(stmt, &row->id);
}

enum db_result
group_update(struct db *db, const struct group_row *row)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE affiliate_groups SET name = $1, minimum_payout_minor = $2,"
                                          " payout_frequency = $3, payout_methods = $4, version = $5 WHERE id = $6");

    if (stmt == NULL)
        return DB_FAILED;
    bind_group(stmt, row);
    db_bind_int(stmt, 6, row->id);
    return updated(stmt);
}

/* ---- affiliates ---- */

enum db_result
affiliate_load(struct db *db, int64_t id, struct affiliate_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, program_id, group_id, api_user_id, name, email, status, trader_id, notes,"
                                   " version FROM affiliates WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct affiliate_row){
        .id = db_int(stmt, "id"),
        .program_id = db_int(stmt, "program_id"),
        .group_id = db_int(stmt, "group_id"),
        .api_user_id = db_int(stmt, "api_user_id"),
        .version = db_int(stmt, "version"),
        .name = copy(stmt, "name"),
        .email = copy(stmt, "email"),
        .status = copy(stmt, "status"),
        .trader_id = copy_nullable(stmt, "trader_id"),
        .notes = copy(stmt, "notes"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
affiliate_row_free(struct affiliate_row *row)
{
    free(row->name);
    free(row->email);
    free(row->status);
    free(row->trader_id);
    free(row->notes);
}

static void
bind_affiliate(struct db_stmt *stmt, const struct affiliate_row *row, uint64_t now_us)
{
    bind_optional_id(stmt, 1, row->group_id);
    bind_optional_id(stmt, 2, row->api_user_id);
    db_bind_text(stmt, 3, row->name);
    db_bind_text(stmt, 4, row->email);
    db_bind_text(stmt, 5, row->status);
    db_bind_text(stmt, 6, row->trader_id);
    db_bind_text(stmt, 7, row->notes);
    db_bind_int(stmt, 8, row->version);
    db_bind_int(stmt, 9, (int64_t) now_us);
}

/* Only where it changed: the newest row is what the affiliate is. */
static enum db_result
affiliate_status_write(struct db *db, int64_t id, const char *status, uint64_t now_us)
{
    char           latest[16];
    enum db_result rc = affiliate_status_at(db, id, INT64_MAX, latest, sizeof(latest));

    if (rc == DB_ROW && strcmp(latest, status) == 0)
        return DB_OK;
    if (rc != DB_ROW && rc != DB_DONE)
        return rc;
    return db_exec(db,
                   "INSERT INTO affiliate_statuses (affiliate_id, valid_from_us, status) VALUES ($1, $2, $3)"
                   " ON CONFLICT (affiliate_id, valid_from_us) DO UPDATE SET status = excluded.status",
                   "iis", id, (int64_t) now_us, status);
}

enum db_result
affiliate_status_at(struct db *db, int64_t id, uint64_t at_us, char *out, size_t cap)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT status FROM affiliate_statuses WHERE affiliate_id = $1"
                                   " ORDER BY CASE WHEN valid_from_us <= $2 THEN 0 ELSE 1 END,"
                                   " CASE WHEN valid_from_us <= $2 THEN -valid_from_us ELSE valid_from_us END LIMIT 1",
                                  "ii", id, (int64_t) at_us);

    if (rc == DB_ROW)
        snprintf(out, cap, "%s", db_text(row, "status"));
    db_end(row);
    return rc;
}

enum db_result
affiliate_insert(struct db *db, struct affiliate_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO affiliates (group_id, api_user_id, name, email, status, trader_id,"
                                          " notes, version, updated_us, created_us, program_id)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) RETURNING id");
    enum db_result  rc;

    if (stmt == NULL)
        return DB_FAILED;
    bind_affiliate(stmt, row, now_us);
    db_bind_int(stmt, 10, row->program_id);
    rc = returned_id(stmt, &row->id);
    return rc == DB_OK ? affiliate_status_write(db, row->id, row->status, now_us) : rc;
}

enum db_result
affiliate_update(struct db *db, const struct affiliate_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE affiliates SET group_id = $1, api_user_id = $2, name = $3, email = $4,"
                                          " status = $5, trader_id = $6, notes = $7, version = $8, updated_us = $9"
                                          " WHERE id = $10");
    enum db_result  rc;

    if (stmt == NULL)
        return DB_FAILED;
    bind_affiliate(stmt, row, now_us);
    db_bind_int(stmt, 10, row->id);
    rc = updated(stmt);
    return rc == DB_OK ? affiliate_status_write(db, row->id, row->status, now_us) : rc;
}

enum db_result
affiliate_set_password_hash(struct db *db, int64_t id, const char *hash, uint64_t now_us)
{
    enum db_result rc = db_exec(db, "UPDATE affiliates SET password_hash = $2, updated_us = $3 WHERE id = $1", "isi", id,
                                hash, (int64_t) now_us);

    return rc == DB_OK && db_changes(db) != 1 ? DB_DONE : rc;
}

/* ---- campaigns ---- */

enum db_result
campaign_load(struct db *db, int64_t id, struct campaign_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, program_id, name, state, window_days, fallback, version FROM campaigns"
                                   " WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct campaign_row){
        .id = db_int(stmt, "id"),
        .program_id = db_int(stmt, "program_id"),
        .window_days = db_int(stmt, "window_days"),
        .version = db_int(stmt, "version"),
        .name = copy(stmt, "name"),
        .state = copy(stmt, "state"),
        .fallback = copy(stmt, "fallback"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
campaign_row_free(struct campaign_row *row)
{
    free(row->name);
    free(row->state);
    free(row->fallback);
}

static void
bind_campaign(struct db_stmt *stmt, const struct campaign_row *row)
{
    db_bind_text(stmt, 1, row->name);
    db_bind_text(stmt, 2, row->state);
    db_bind_int(stmt, 3, row->window_days);
    db_bind_text(stmt, 4, row->fallback);
    db_bind_int(stmt, 5, row->version);
}

enum db_result
campaign_insert(struct db *db, struct campaign_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO campaigns (name, state, window_days, fallback, version,"
                                          " program_id, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id");

    if (stmt == NULL)
        return DB_FAILED;
    bind_campaign(stmt, row);
    db_bind_int(stmt, 6, row->program_id);
    db_bind_int(stmt, 7, (int64_t) now_us);
    return returned_id(stmt, &row->id);
}

enum db_result
campaign_update(struct db *db, const struct campaign_row *row)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE campaigns SET name = $1, state = $2, window_days = $3, fallback = $4,"
                                          " version = $5 WHERE id = $6");

    if (stmt == NULL)
        return DB_FAILED;
    bind_campaign(stmt, row);
    db_bind_int(stmt, 6, row->id);
    return updated(stmt);
}

/* ---- links ---- */

enum db_result
link_load(struct db *db, int64_t id, struct link_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, affiliate_id, campaign_id, append_click_id, code, destination, state,"
                                   " version FROM links WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct link_row){
        .id = db_int(stmt, "id"),
        .affiliate_id = db_int(stmt, "affiliate_id"),
        .campaign_id = db_int(stmt, "campaign_id"),
        .append_click_id = db_int(stmt, "append_click_id"),
        .version = db_int(stmt, "version"),
        .code = copy(stmt, "code"),
        .destination = copy(stmt, "destination"),
        .state = copy(stmt, "state"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
link_row_free(struct link_row *row)
{
    free(row->code);
    free(row->destination);
    free(row->state);
}

static void
bind_link(struct db_stmt *stmt, const struct link_row *row, uint64_t now_us)
{
    db_bind_text(stmt, 1, row->code);
    db_bind_int(stmt, 2, row->affiliate_id);
    db_bind_int(stmt, 3, row->campaign_id);
    db_bind_text(stmt, 4, row->destination);
    db_bind_int(stmt, 5, row->append_click_id);
    db_bind_text(stmt, 6, row->state);
    db_bind_int(stmt, 7, row->version);
    db_bind_int(stmt, 8, (int64_t) now_us);
}

enum db_result
link_insert(struct db *db, struct link_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO links (code, affiliate_id, campaign_id, destination,"
                                          " append_click_id, state, version, updated_us, created_us)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING id");

    if (stmt == NULL)
        return DB_FAILED;
    bind_link(stmt, row, now_us);
    return returned_id(stmt, &row->id);
}

enum db_result
link_update(struct db *db, const struct link_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE links SET code = $1, affiliate_id = $2, campaign_id = $3,"
                                          " destination = $4, append_click_id = $5, state = $6, version = $7,"
                                          " updated_us = $8 WHERE id = $9");

    if (stmt == NULL)
        return DB_FAILED;
    bind_link(stmt, row, now_us);
    db_bind_int(stmt, 9, row->id);
    return updated(stmt);
}

enum db_result
link_version_write(struct db *db, const struct link_row *row, uint64_t from_ms)
{
    /* Two changes within one millisecond: the later one holds. */
    return db_exec(db,
                   "INSERT INTO link_versions (link_id, valid_from_ms, affiliate_id, campaign_id)"
                   " VALUES ($1, $2, $3, $4) ON CONFLICT (link_id, valid_from_ms)"
                   " DO UPDATE SET affiliate_id = excluded.affiliate_id, campaign_id = excluded.campaign_id",
                   "iiii", row->id, (int64_t) from_ms, row->affiliate_id, row->campaign_id);
}

/* ---- API users ---- */

enum db_result
api_user_load(struct db *db, int64_t id, struct api_user_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, program_id, affiliate_id, name, role, scopes, state, expires_us, version"
                                   " FROM api_users WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    *row = (struct api_user_row){
        .id = db_int(stmt, "id"),
        .program_id = db_int(stmt, "program_id"),
        .affiliate_id = db_int(stmt, "affiliate_id"),
        .expires_us = db_int(stmt, "expires_us"),
        .version = db_int(stmt, "version"),
        .name = copy(stmt, "name"),
        .role = copy(stmt, "role"),
        .scopes = copy(stmt, "scopes"),
        .state = copy(stmt, "state"),
    };
    db_end(stmt);
    return DB_ROW;
}

void
api_user_row_free(struct api_user_row *row)
{
    free(row->name);
    free(row->role);
    free(row->scopes);
    free(row->state);
}

static void
bind_api_user(struct db_stmt *stmt, const struct api_user_row *row)
{
    bind_optional_id(stmt, 1, row->affiliate_id);
    db_bind_text(stmt, 2, row->name);
    db_bind_text(stmt, 3, row->role);
    db_bind_text(stmt, 4, row->scopes);
    db_bind_text(stmt, 5, row->state);
    bind_optional_id(stmt, 6, row->expires_us);
    db_bind_int(stmt, 7, row->version);
}

enum db_result
api_user_insert(struct db *db, struct api_user_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO api_users (affiliate_id, name, role, scopes, state, expires_us,"
                                          " version, program_id, created_us)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id");

    if (stmt == NULL)
        return DB_FAILED;
    bind_api_user(stmt, row);
    db_bind_int(stmt, 8, row->program_id);
    db_bind_int(stmt, 9, (int64_t) now_us);
    return returned_id(stmt, &row->id);
}

enum db_result
api_user_update(struct db *db, const struct api_user_row *row)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE api_users SET affiliate_id = $1, name = $2, role = $3, scopes = $4,"
                                          " state = $5, expires_us = $6, version = $7 WHERE id = $8");

    if (stmt == NULL)
        return DB_FAILED;
    bind_api_user(stmt, row);
    db_bind_int(stmt, 8, row->id);
    return updated(stmt);
}

enum db_result
api_key_insert(struct db *db, int64_t api_user_id, const char *prefix, const uint8_t hash[32], int64_t version,
               uint64_t now_us)
{
    return db_exec(db,
                   "INSERT INTO api_keys (api_user_id, prefix, hash, version, created_us) VALUES ($1, $2, $3, $4, $5)",
                   "isbii", api_user_id, prefix, (const void *) hash, (size_t) 32, version, (int64_t) now_us);
}

enum db_result
api_key_archive(struct db *db, int64_t api_user_id, int64_t key_id, int64_t version)
{
    enum db_result rc = db_exec(db,
                                "UPDATE api_keys SET state = 'revoked', version = $3"
                                " WHERE id = $1 AND api_user_id = $2 AND state = 'active'",
                                "iii", key_id, api_user_id, version);

    return rc == DB_OK && db_changes(db) != 1 ? DB_DONE : rc;
}

enum db_result
api_keys_active(struct db *db, int64_t api_user_id, int64_t *count)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT COUNT(*) AS n FROM api_keys WHERE api_user_id = $1 AND state = 'active'", "i",
                                  api_user_id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(stmt, "n");
    db_end(stmt);
    return DB_OK;
}

/* ---- settings and references ---- */

enum db_result
setting_get(struct db *db, const char *name, char **value)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, "SELECT value FROM settings WHERE name = $1", "s", name);

    *value = NULL;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *value = copy(stmt, "value");
    db_end(stmt);
    return DB_OK;
}

enum db_result
setting_put(struct db *db, const char *name, const char *value, int64_t version)
{
    return db_exec(db,
                   "INSERT INTO settings (name, value, version) VALUES ($1, $2, $3)"
                   " ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = excluded.version",
                   "ssi", name, value, version);
}

enum db_result
catalog_program_of(struct db *db, enum catalog_table table, int64_t id, int64_t *program_id)
{
    static const char *const queries[] = {
        [CATALOG_GROUP] = "SELECT program_id FROM affiliate_groups WHERE id = $1",
        [CATALOG_AFFILIATE] = "SELECT program_id FROM affiliates WHERE id = $1",
        [CATALOG_CAMPAIGN] = "SELECT program_id FROM campaigns WHERE id = $1",
        [CATALOG_API_USER] = "SELECT program_id FROM api_users WHERE id = $1",
    };
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, queries[table], "i", id);

    *program_id = 0;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *program_id = db_int(stmt, "program_id");
    db_end(stmt);
    return DB_OK;
}
