#include "store/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- tables ---- */

#define AT(row, member) offsetof(struct row, member)
#define VERSION(row)    { "version", ROW_INT, AT(row, version) }
#define LIMITS(row)                                                                                                  \
    { "starts_us", ROW_OPTIONAL, AT(row, limits.starts_us) }, { "ends_us", ROW_OPTIONAL, AT(row, limits.ends_us) },  \
    { "cap_day", ROW_INT, AT(row, limits.cap_day) }, { "cap_total", ROW_INT, AT(row, limits.cap_total) }
#define LIMIT_NAMES "starts_us, ends_us, cap_day, cap_total"

static const struct row_column program_columns[] = {
    VERSION(program_row),
    { "name", ROW_TEXT, AT(program_row, name) },
    { "currency", ROW_TEXT, AT(program_row, currency) },
    { "time_zone", ROW_TEXT, AT(program_row, time_zone) },
    { "attribution", ROW_TEXT, AT(program_row, attribution) },
    { "cookie_days", ROW_INT, AT(program_row, cookie_days) },
    { "fallback", ROW_TEXT, AT(program_row, fallback) },
    { "tracking_domain", ROW_TEXT, AT(program_row, tracking_domain) },
    { "state", ROW_TEXT, AT(program_row, state) },
    { "first_share_ppm", ROW_INT, AT(program_row, first_share_ppm) },
    { "precedence", ROW_TEXT, AT(program_row, precedence) },
    { "recurring_events", ROW_TEXT, AT(program_row, recurring_events) },
    { "platform_url", ROW_TEXT, AT(program_row, platform_url) },
    { "platform_user_id", ROW_OPTIONAL, AT(program_row, platform_user_id) },
    { NULL, ROW_INT, 0 },
};
const struct row_table program_table =
    ROW_TABLE("programs",
              "version, name, currency, time_zone, attribution, cookie_days, fallback, tracking_domain, state,"
              " first_share_ppm, precedence, recurring_events, platform_url, platform_user_id",
              "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14", "$15", program_columns, struct program_row);

static const struct row_column group_columns[] = {
    VERSION(group_row),
    { "program_id", ROW_INT, AT(group_row, program_id) },
    { "name", ROW_TEXT, AT(group_row, name) },
    { "minimum_payout_minor", ROW_INT, AT(group_row, minimum_payout_minor) },
    { "payout_frequency", ROW_TEXT, AT(group_row, payout_frequency) },
    { "payout_methods", ROW_TEXT, AT(group_row, payout_methods) },
    { NULL, ROW_INT, 0 },
};
const struct row_table group_table =
    ROW_TABLE("affiliate_groups", "version, program_id, name, minimum_payout_minor, payout_frequency, payout_methods",
              "$1, $2, $3, $4, $5, $6", "$7", group_columns, struct group_row);

static const struct row_column affiliate_columns[] = {
    VERSION(affiliate_row),
    { "program_id", ROW_INT, AT(affiliate_row, program_id) },
    { "group_id", ROW_OPTIONAL, AT(affiliate_row, group_id) },
    { "api_user_id", ROW_OPTIONAL, AT(affiliate_row, api_user_id) },
    { "agent_id", ROW_OPTIONAL, AT(affiliate_row, agent_id) },
    { "name", ROW_TEXT, AT(affiliate_row, name) },
    { "email", ROW_TEXT, AT(affiliate_row, email) },
    { "status", ROW_TEXT, AT(affiliate_row, status) },
    { "trader_id", ROW_NULLABLE, AT(affiliate_row, trader_id) },
    { "notes", ROW_TEXT, AT(affiliate_row, notes) },
    { NULL, ROW_INT, 0 },
};
const struct row_table affiliate_table =
    ROW_TABLE_DATED("affiliates",
                    "version, program_id, group_id, api_user_id, agent_id, name, email, status, trader_id, notes",
                    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10", "$11", "$12", affiliate_columns, struct affiliate_row);

static const struct row_column campaign_columns[] = {
    VERSION(campaign_row),
    { "program_id", ROW_INT, AT(campaign_row, program_id) },
    { "name", ROW_TEXT, AT(campaign_row, name) },
    { "state", ROW_TEXT, AT(campaign_row, state) },
    { "window_days", ROW_INT, AT(campaign_row, window_days) },
    { "fallback", ROW_TEXT, AT(campaign_row, fallback) },
    { "deep_link_hosts", ROW_TEXT, AT(campaign_row, hosts) },
    LIMITS(campaign_row),
    { NULL, ROW_INT, 0 },
};
const struct row_table campaign_table =
    ROW_TABLE("campaigns",
              "version, program_id, name, state, window_days, fallback, deep_link_hosts, " LIMIT_NAMES,
              "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11", "$12", campaign_columns, struct campaign_row);

static const struct row_column link_columns[] = {
    VERSION(link_row),
    { "code", ROW_TEXT, AT(link_row, code) },
    { "affiliate_id", ROW_INT, AT(link_row, affiliate_id) },
    { "campaign_id", ROW_INT, AT(link_row, campaign_id) },
    { "destination", ROW_TEXT, AT(link_row, destination) },
    { "append_click_id", ROW_INT, AT(link_row, append_click_id) },
    { "state", ROW_TEXT, AT(link_row, state) },
    { "rules", ROW_TEXT, AT(link_row, rules) },
    { "redirect_status", ROW_OPTIONAL, AT(link_row, redirect_status) },
    { "referrer_policy", ROW_NULLABLE, AT(link_row, referrer_policy) },
    { "pass_unknown_parameters", ROW_INT, AT(link_row, pass_unknown) },
    { "deep_links", ROW_INT, AT(link_row, deep_links) },
    LIMITS(link_row),
    { NULL, ROW_INT, 0 },
};
const struct row_table link_table =
    ROW_TABLE_DATED("links",
                    "version, code, affiliate_id, campaign_id, destination, append_click_id, state, rules,"
                    " redirect_status, referrer_policy, pass_unknown_parameters, deep_links, " LIMIT_NAMES,
                    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16", "$17", "$18",
                    link_columns, struct link_row);

static const struct row_column api_user_columns[] = {
    VERSION(api_user_row),
    { "program_id", ROW_INT, AT(api_user_row, program_id) },
    { "affiliate_id", ROW_OPTIONAL, AT(api_user_row, affiliate_id) },
    { "name", ROW_TEXT, AT(api_user_row, name) },
    { "role", ROW_TEXT, AT(api_user_row, role) },
    { "scopes", ROW_TEXT, AT(api_user_row, scopes) },
    { "state", ROW_TEXT, AT(api_user_row, state) },
    { "expires_us", ROW_OPTIONAL, AT(api_user_row, expires_us) },
    { "whitelist", ROW_INT, AT(api_user_row, whitelist) },
    { "ranges", ROW_TEXT, AT(api_user_row, ranges) },
    { "rate_minute", ROW_INT, AT(api_user_row, rate_minute) },
    { "secret", ROW_BYTES, AT(api_user_row, secret) },
    { "source_id", ROW_OPTIONAL, AT(api_user_row, source_id) },
    { "trader_id", ROW_OPTIONAL, AT(api_user_row, trader_id) },
    { "account", ROW_TEXT, AT(api_user_row, account) },
    { "autologin", ROW_INT, AT(api_user_row, autologin) },
    { "test", ROW_INT, AT(api_user_row, test) },
    { NULL, ROW_INT, 0 },
};
const struct row_table api_user_table =
    ROW_TABLE("api_users",
              "version, program_id, affiliate_id, name, role, scopes, state, expires_us, whitelist, ranges,"
              " rate_minute, secret, source_id, trader_id, account, autologin, test",
              "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17", "$18", api_user_columns,
              struct api_user_row);

/* ---- programs and affiliates ---- */

enum db_result
program_first(struct db *db, int64_t *id)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, "SELECT id FROM programs ORDER BY id LIMIT 1", "");

    if (rc == DB_ROW) {
        *id = db_int(stmt, "id");
        db_end(stmt);
    }
    return rc;
}

enum db_result
program_each_domain(struct db *db, enum db_result (*visit)(void *ctx, const char *domain), void *ctx)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT DISTINCT tracking_domain FROM programs WHERE tracking_domain <> ''");
    enum db_result  rc;

    while ((rc = db_step(stmt)) == DB_ROW) {
        if ((rc = visit(ctx, db_text(stmt, "tracking_domain"))) != DB_OK)
            break;
    }
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
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
affiliate_set_password_hash(struct db *db, int64_t id, const char *hash, uint64_t now_us)
{
    enum db_result rc = db_exec(db, "UPDATE affiliates SET password_hash = $2, updated_us = $3 WHERE id = $1", "isi", id,
                                hash, (int64_t) now_us);

    return rc == DB_OK && db_changes(db) != 1 ? DB_DONE : rc;
}

/* ---- links ---- */

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

/* ---- API keys ---- */

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

enum db_result
api_users_sealed_otherwise(struct db *db, uint8_t key_id, int64_t **ids, size_t *count)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT id FROM api_users WHERE secret IS NOT NULL"
                                          " AND substr(secret, 1, 1) <> $1 ORDER BY id");
    int64_t        *grown;
    enum db_result  rc;

    *ids = NULL;
    *count = 0;
    db_bind_bytes(stmt, 1, &key_id, 1);
    while ((rc = db_step(stmt)) == DB_ROW) {
        grown = reallocarray(*ids, *count + 1, sizeof(**ids));
        if (grown == NULL) {
            rc = DB_FAILED;
            break;
        }
        *ids = grown;
        (*ids)[(*count)++] = db_int(stmt, "id");
    }
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}

/* ---- where clicks go ---- */

enum db_result
catalog_each_target(struct db *db, const char *host, catalog_target_visit visit, void *ctx)
{
    struct db_stmt *stmt = db_prepare(
        db, "SELECT 'link' AS kind, id, destination AS url, rules, '[]' AS hosts FROM links"
            " WHERE lower(destination) LIKE '%' || $1 || '%' OR lower(rules) LIKE '%' || $1 || '%'"
            " UNION ALL SELECT 'campaign' AS kind, id, fallback AS url, '[]' AS rules, deep_link_hosts AS hosts"
            " FROM campaigns WHERE fallback <> '' OR deep_link_hosts <> '[]'"
            " UNION ALL SELECT 'program' AS kind, id, fallback AS url, '[]' AS rules, '[]' AS hosts"
            " FROM programs WHERE fallback <> ''");
    enum db_result rc;

    db_bind_text(stmt, 1, host);
    while ((rc = db_step(stmt)) == DB_ROW) {
        const struct catalog_target target = {
            .kind = db_text(stmt, "kind"),
            .id = db_int(stmt, "id"),
            .url = db_text(stmt, "url"),
            .rules = db_text(stmt, "rules"),
            .hosts = db_text(stmt, "hosts"),
        };
        if ((rc = visit(ctx, &target)) != DB_OK)
            break;
    }
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}

/* ---- settings and references ---- */

enum db_result
setting_get(struct db *db, const char *name, char **value)
{
    struct db_stmt *stmt;
    const char     *text;
    enum db_result  rc = db_query(db, &stmt, "SELECT value FROM settings WHERE name = $1", "s", name);

    *value = NULL;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    text = db_text(stmt, "value");
    *value = text == NULL ? NULL : strdup(text);
    db_end(stmt);
    return DB_OK;
}

/* Words are stored as JSON texts. */
enum db_result
setting_is(struct db *db, const char *name, const char *word, bool *is)
{
    char          *text;
    json_t        *value;
    enum db_result rc = setting_get(db, name, &text);

    *is = false;
    if (rc != DB_OK || text == NULL)
        return rc;
    value = json_loads(text, JSON_DECODE_ANY, NULL);
    *is = json_is_string(value) && strcmp(json_string_value(value), word) == 0;
    json_decref(value);
    free(text);
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
        [CATALOG_SOURCE] = "SELECT program_id FROM lead_sources WHERE id = $1 AND state = 'active'",
        [CATALOG_TRADER] = "SELECT program_id FROM traders WHERE id = $1 AND state <> 'erased'",
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
