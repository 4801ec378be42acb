#include "store/partner.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/view.h"

#define US_PER_DAY INT64_C(86400000000)

enum db_result
partner_by_key(struct db *db, const uint8_t hash[PARTNER_HASH_LEN], int64_t *api_user_id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT api_user_id FROM api_keys WHERE hash = $1 AND state = 'active'", "b",
                                  (const void *) hash, (size_t) PARTNER_HASH_LEN);

    if (rc != DB_ROW)
        return rc;
    *api_user_id = db_int(row, "api_user_id");
    db_end(row);
    return DB_ROW;
}

/* ---- what became of a submission ---- */

enum db_result
partner_refused(struct db *db, const struct partner_scope *scope, const char *uid, struct partner_refusal *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT x.verdict AS verdict, x.reason AS reason, x.at_us AS at_us,"
                                   " CASE WHEN $3 = 0 OR l.affiliate_id = $3 THEN l.uid END AS duplicate_of"
                                   " FROM lead_facts f JOIN lead_log x ON x.journal_id = f.journal_id AND x.seq = f.seq"
                                   " LEFT JOIN leads l ON l.id = x.lead_id"
                                   " WHERE f.lead_uid = $1 AND x.program_id = $2 AND ($3 = 0 OR x.affiliate_id = $3)"
                                   " AND x.verdict IN ('duplicate', 'invalid', 'conflict') ORDER BY x.id LIMIT 1",
                                  "sii", uid, scope->program_id, scope->affiliate_id);

    if (rc != DB_ROW)
        return rc;
    snprintf(out->verdict, sizeof(out->verdict), "%s", db_text(row, "verdict"));
    snprintf(out->reason, sizeof(out->reason), "%s", db_text(row, "reason"));
    snprintf(out->duplicate_of, sizeof(out->duplicate_of), "%s",
             db_is_null(row, "duplicate_of") ? "" : db_text(row, "duplicate_of"));
    out->at_us = db_int(row, "at_us");
    db_end(row);
    return DB_ROW;
}

/* ---- numbers by day ---- */

/* One row a day and what was counted, whichever of four tables it is in. */
#define WITHIN(time) time " >= $3 * 86400000000 AND " time " < $4 * 86400000000"
#define PARTNER_STATS                                                                                                \
    "SELECT day, what, currency, CAST(SUM(n) AS BIGINT) AS n FROM ("                                                 \
    " SELECT s.day AS day, 'clicks' AS what, '' AS currency, s.clicks AS n FROM click_stats s"                       \
    "  JOIN affiliates a ON a.id = s.affiliate_id WHERE a.program_id = $1 AND ($2 = 0 OR s.affiliate_id = $2)"       \
    "  AND s.day >= $3 AND s.day < $4"                                                                               \
    " UNION ALL SELECT s.day, 'uniques', '', s.uniques FROM click_stats s"                                           \
    "  JOIN affiliates a ON a.id = s.affiliate_id WHERE a.program_id = $1 AND ($2 = 0 OR s.affiliate_id = $2)"       \
    "  AND s.day >= $3 AND s.day < $4"                                                                               \
    " UNION ALL SELECT created_us / 86400000000, 'leads', '', 1 FROM leads"                                          \
    "  WHERE program_id = $1 AND ($2 = 0 OR affiliate_id = $2) AND test = 0 AND " WITHIN("created_us")                \
    " UNION ALL SELECT v.created_us / 86400000000, 'conversions', '', 1 FROM conversions v"                          \
    "  WHERE v.program_id = $1 AND ($2 = 0 OR EXISTS (SELECT 1 FROM referrals r WHERE r.conversion_id = v.id"        \
    "   AND r.affiliate_id = $2 AND r.superseded = 0)) AND " WITHIN("v.created_us")                                   \
    " UNION ALL SELECT created_us / 86400000000, 'commissions', currency, amount_minor FROM commissions"             \
    "  WHERE program_id = $1 AND ($2 = 0 OR affiliate_id = $2) AND status <> 'rejected' AND " WITHIN("created_us")    \
    ") x GROUP BY day, what, currency ORDER BY day, what, currency"

static json_t *
day_text(int64_t day)
{
    time_t    seconds = (time_t) (day * 86400);
    struct tm tm;
    char      text[16];

    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
        return json_null();
    return json_string(text);
}

static json_t *
day_new(json_t *days, int64_t day)
{
    json_t *object = json_pack("{s:o, s:i, s:i, s:i, s:i, s:[]}", "day", day_text(day), "clicks", 0, "uniques", 0,
                               "leads", 0, "conversions", 0, "commissions");

    json_array_append_new(days, object);
    return object;
}

enum db_result
partner_stats(struct db *db, const struct partner_scope *scope, int64_t from_day, int64_t to_day, json_t **out)
{
    struct db_stmt *row = db_prepare(db, PARTNER_STATS);
    json_t         *days = json_array(), *object = NULL;
    int64_t         day = -1;
    enum db_result  rc;

    if (row == NULL) {
        json_decref(days);
        return DB_FAILED;
    }
    db_bind_int(row, 1, scope->program_id);
    db_bind_int(row, 2, scope->affiliate_id);
    db_bind_int(row, 3, from_day);
    db_bind_int(row, 4, to_day);
    while ((rc = db_step(row)) == DB_ROW) {
        const char *what = db_text(row, "what");

        if (object == NULL || db_int(row, "day") != day) {
            day = db_int(row, "day");
            object = day_new(days, day);
        }
        if (strcmp(what, "commissions") == 0)
            json_array_append_new(json_object_get(object, what), view_money(db_int(row, "n"), db_text(row, "currency")));
        else
            json_object_set_new(object, what, json_integer(db_int(row, "n")));
    }
    db_end(row);
    *out = days;
    return rc == DB_DONE ? DB_OK : rc;
}

/* ---- autologins ---- */

enum db_result
autologin_redeem(struct db *db, const uint8_t *nonce, size_t nonce_len, int64_t lead_id, uint64_t now_us, bool *used)
{
    enum db_result rc = db_exec(db, "INSERT INTO autologins (nonce, lead_id, at_us) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                                "bii", (const void *) nonce, nonce_len, lead_id, (int64_t) now_us);

    *used = rc == DB_OK && db_changes(db) == 0;
    return rc;
}

enum db_result
lead_was_refused(struct db *db, const char *uid, bool *refused)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT seq FROM lead_facts WHERE lead_uid = $1 AND outcome IS NOT NULL LIMIT 1", "s",
                                  uid);

    *refused = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
partner_trader(struct db *db, int64_t trader_id, json_t **out)
{
    struct db_stmt *row;
    json_t         *accounts;
    enum db_result  rc = db_query(db, &row, "SELECT external_id FROM traders WHERE id = $1", "i", trader_id);

    *out = NULL;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    accounts = json_array();
    *out = json_pack("{s:o, s:o, s:o}", "id", view_id(trader_id), "external_id", view_column_text(row, "external_id"),
                     "accounts", accounts);
    db_end(row);
    row = db_prepare(db, "SELECT number FROM trader_accounts WHERE trader_id = $1 AND state = 'open' ORDER BY id");
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, trader_id);
    while ((rc = db_step(row)) == DB_ROW)
        json_array_append_new(accounts, json_string(db_text(row, "number")));
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}
