/*
 * snapshot_rows.c - SQL of the rows that snapshots are made of.
 */
#include "store/snapshot_rows.h"

enum db_result
snapshot_version(struct db *db, uint64_t *version)
{
    struct db_stmt *stmt;
    enum db_result  result = db_query(db, &stmt, "SELECT version FROM config_version WHERE id = 1", "");

    if (result == DB_ROW)
        *version = (uint64_t) db_int(stmt, "version");
    db_end(stmt);
    return result == DB_ROW ? DB_OK : result == DB_DONE ? DB_CORRUPT : result;
}

static struct db_stmt *
snapshot_select(struct db *db, const char *sql, uint64_t after)
{
    struct db_stmt *stmt = db_prepare(db, sql);
    db_bind_int(stmt, 1, (int64_t) after);
    return stmt;
}

static enum db_result
snapshot_end(struct db_stmt *stmt, enum db_result result)
{
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

static enum db_result
walk_programs(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt =
        snapshot_select(db, "SELECT id, state, attribution, currency, cookie_days, fallback, platform_url,"
                            " platform_user_id FROM programs"
                            " WHERE version > $1 ORDER BY id", after);

    while ((result = db_step(stmt)) == DB_ROW) {
        const struct snapshot_program row = {
            .id = db_int(stmt, "id"),
            .cookie_days = db_int(stmt, "cookie_days"),
            .state = db_text(stmt, "state"),
            .attribution = db_text(stmt, "attribution"),
            .currency = db_text(stmt, "currency"),
            .fallback = db_text(stmt, "fallback"),
            .platform_url = db_text(stmt, "platform_url"),
            .platform_user_id = db_int(stmt, "platform_user_id"),
        };
        if ((result = visit->program(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

#define LIMITS "starts_us, ends_us, cap_day, cap_total, capped_until_ms"
/* What its row says, or what was counted against its caps. */
#define CHANGED_OR_CAPPED " WHERE version > $1 OR capped_version > $1 ORDER BY id"

static struct snapshot_limits
read_limits(struct db_stmt *stmt)
{
    return (struct snapshot_limits){
        .starts_us = db_int(stmt, "starts_us"),
        .ends_us = db_int(stmt, "ends_us"),
        .cap_day = db_int(stmt, "cap_day"),
        .cap_total = db_int(stmt, "cap_total"),
        .capped_until_ms = db_int(stmt, "capped_until_ms"),
    };
}

static enum db_result
walk_campaigns(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt = snapshot_select(db, "SELECT id, program_id, state, name, fallback, deep_link_hosts, " LIMITS
                                               " FROM campaigns" CHANGED_OR_CAPPED, after);

    while ((result = db_step(stmt)) == DB_ROW) {
        const struct snapshot_campaign row = {
            .id = db_int(stmt, "id"),
            .program_id = db_int(stmt, "program_id"),
            .state = db_text(stmt, "state"),
            .name = db_text(stmt, "name"),
            .fallback = db_text(stmt, "fallback"),
            .hosts = db_text(stmt, "deep_link_hosts"),
            .limits = read_limits(stmt),
        };
        if ((result = visit->campaign(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

static enum db_result
walk_affiliates(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt =
        snapshot_select(db, "SELECT id, status, name FROM affiliates WHERE version > $1 ORDER BY id", after);

    while ((result = db_step(stmt)) == DB_ROW) {
        const struct snapshot_affiliate row = {
            .id = db_int(stmt, "id"),
            .status = db_text(stmt, "status"),
            .name = db_text(stmt, "name"),
        };
        if ((result = visit->affiliate(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

static enum db_result
walk_links(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt = snapshot_select(db,
                                           "SELECT id, campaign_id, affiliate_id, state, code, destination,"
                                           " append_click_id, rules, redirect_status, referrer_policy,"
                                           " pass_unknown_parameters, deep_links, " LIMITS
                                           " FROM links" CHANGED_OR_CAPPED,
                                           after);

    while ((result = db_step(stmt)) == DB_ROW) {
        const struct snapshot_link row = {
            .id = db_int(stmt, "id"),
            .campaign_id = db_int(stmt, "campaign_id"),
            .affiliate_id = db_int(stmt, "affiliate_id"),
            .state = db_text(stmt, "state"),
            .code = db_text(stmt, "code"),
            .destination = db_text(stmt, "destination"),
            .append_click_id = db_int(stmt, "append_click_id") != 0,
            .rules = db_text(stmt, "rules"),
            .redirect_status = db_int(stmt, "redirect_status"),
            .referrer_policy = db_text(stmt, "referrer_policy"),
            .pass_unknown = db_int(stmt, "pass_unknown_parameters") != 0,
            .deep_links = db_int(stmt, "deep_links") != 0,
            .limits = read_limits(stmt),
        };
        if ((result = visit->link(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

static enum db_result
walk_api_users(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt =
        snapshot_select(db, "SELECT id, program_id, affiliate_id, role, scopes, state, expires_us, rate_minute,"
                            " whitelist, ranges, secret, autologin, test FROM api_users WHERE version > $1 ORDER BY id", after);

    while ((result = db_step(stmt)) == DB_ROW) {
        struct snapshot_api_user row = {
            .id = db_int(stmt, "id"),
            .program_id = db_int(stmt, "program_id"),
            .affiliate_id = db_int(stmt, "affiliate_id"),
            .expires_us = db_int(stmt, "expires_us"),
            .state = db_text(stmt, "state"),
            .role = db_text(stmt, "role"),
            .scopes = db_text(stmt, "scopes"),
            .rate_minute = db_int(stmt, "rate_minute"),
            .whitelist = db_int(stmt, "whitelist") != 0,
            .ranges = db_text(stmt, "ranges"),
            .autologin = db_int(stmt, "autologin") != 0,
            .test = db_int(stmt, "test") != 0,
        };
        row.secret = db_bytes(stmt, "secret", &row.secret_len);
        if ((result = visit->api_user(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

static enum db_result
walk_api_keys(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt = snapshot_select(db, "SELECT id, api_user_id, hash, state FROM api_keys"
                                               " WHERE version > $1 ORDER BY id", after);

    while ((result = db_step(stmt)) == DB_ROW) {
        struct snapshot_api_key row = {
            .id = db_int(stmt, "id"),
            .api_user_id = db_int(stmt, "api_user_id"),
            .state = db_text(stmt, "state"),
        };
        row.hash = db_bytes(stmt, "hash", &row.hash_len);
        if ((result = visit->api_key(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

static enum db_result
walk_forms(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result  result;
    struct db_stmt *stmt = snapshot_select(db,
                                           "SELECT id, program_id, affiliate_id, state, key, fields, language, title,"
                                           " intro, button, success_message, after_submit, after_url, frame_ancestors,"
                                           " origins, theme, min_fill_s, rate_minute, confirm FROM forms"
                                           " WHERE version > $1 ORDER BY id",
                                           after);

    while ((result = db_step(stmt)) == DB_ROW) {
        const struct snapshot_form row = {
            .id = db_int(stmt, "id"),
            .program_id = db_int(stmt, "program_id"),
            .affiliate_id = db_int(stmt, "affiliate_id"),
            .min_fill_s = db_int(stmt, "min_fill_s"),
            .rate_minute = db_int(stmt, "rate_minute"),
            .state = db_text(stmt, "state"),
            .key = db_text(stmt, "key"),
            .fields = db_text(stmt, "fields"),
            .language = db_text(stmt, "language"),
            .title = db_text(stmt, "title"),
            .intro = db_text(stmt, "intro"),
            .button = db_text(stmt, "button"),
            .success_message = db_text(stmt, "success_message"),
            .after_submit = db_text(stmt, "after_submit"),
            .after_url = db_text(stmt, "after_url"),
            .frame_ancestors = db_text(stmt, "frame_ancestors"),
            .origins = db_text(stmt, "origins"),
            .theme = db_text(stmt, "theme"),
            .confirm = db_int(stmt, "confirm") != 0,
        };
        if ((result = visit->form(visit->ctx, &row)) != DB_OK)
            break;
    }
    return snapshot_end(stmt, result);
}

enum db_result
snapshot_walk(struct db *db, uint64_t after, const struct snapshot_visit *visit)
{
    enum db_result result = walk_programs(db, after, visit);

    if (result == DB_OK)
        result = walk_campaigns(db, after, visit);
    if (result == DB_OK)
        result = walk_affiliates(db, after, visit);
    if (result == DB_OK)
        result = walk_links(db, after, visit);
    if (result == DB_OK)
        result = walk_api_users(db, after, visit);
    if (result == DB_OK)
        result = walk_api_keys(db, after, visit);
    if (result == DB_OK)
        result = walk_forms(db, after, visit);
    return result;
}
