#include "store/fact.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "domain/amount.h"

/* False: longer than its place, which our own ingest never writes. */
static bool
copy_text(char *out, size_t cap, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len >= cap)
        return false;
    memcpy(out, text == NULL ? "" : text, len);
    out[len] = '\0';
    return true;
}

static bool
copy_amount(struct db_stmt *row, bool *has_amount, struct tracker_money *amount)
{
    *has_amount = !db_is_null(row, "amount_minor");
    return !*has_amount || amount_make(db_int(row, "amount_minor"), db_text(row, "currency"), amount);
}

enum db_result
fact_open(struct db *db, uint64_t now_us, struct fact_key *keys, int *count)
{
    struct db_stmt *row = db_prepare(db, "SELECT journal_id, seq FROM conversion_facts"
                                         " WHERE (outcome IS NULL OR outcome = 'parked') AND retry_us <= $1"
                                         " ORDER BY retry_us, journal_id, seq LIMIT $2");
    enum db_result  rc;
    int             room = *count;

    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, (int64_t) now_us);
    db_bind_int(row, 2, room);
    while ((rc = db_step(row)) == DB_ROW && *count < room)
        keys[(*count)++] = (struct fact_key){ db_int(row, "journal_id"), db_int(row, "seq") };
    db_end(row);
    return rc == DB_DONE || rc == DB_ROW ? DB_OK : rc;
}

enum db_result
fact_read(struct db *db, struct fact_key key, struct fact *fact)
{
    struct db_stmt *row;
    bool            sound;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT time_ms, received_ms, event_time_ms, program_id, api_user_id, status, auth,"
                                   " amount_minor, currency, click_id, cookie_first, cookie_last, event, txid, coupon,"
                                   " customer, refund_id, tries, affiliate_id, lead_id FROM conversion_facts"
                                   " WHERE journal_id = $1 AND seq = $2 AND (outcome IS NULL OR outcome = 'parked')",
                                  "ii", key.journal_id, key.seq);

    if (rc != DB_ROW)
        return rc;
    *fact = (struct fact){
        .key = key,
        .time_ms = db_int(row, "time_ms"),
        .received_ms = db_int(row, "received_ms"),
        .event_time_ms = db_int(row, "event_time_ms"),
        .program_id = db_int(row, "program_id"),
        .api_user_id = db_int(row, "api_user_id"),
        .affiliate_id = db_int(row, "affiliate_id"),
        .lead_id = db_int(row, "lead_id"),
        .status = (enum tracker_conversion_status) db_int(row, "status"),
        .auth = (enum tracker_conversion_auth) db_int(row, "auth"),
        .tries = (int) db_int(row, "tries"),
    };
    sound = copy_text(fact->click_id, sizeof(fact->click_id), db_text(row, "click_id"))
            && copy_text(fact->event, sizeof(fact->event), db_text(row, "event"))
            && copy_text(fact->txid, sizeof(fact->txid), db_text(row, "txid"))
            && copy_text(fact->cookie_first, sizeof(fact->cookie_first), db_text(row, "cookie_first"))
            && copy_text(fact->cookie_last, sizeof(fact->cookie_last), db_text(row, "cookie_last"))
            && copy_text(fact->coupon, sizeof(fact->coupon), db_text(row, "coupon"))
            && copy_text(fact->customer, sizeof(fact->customer), db_text(row, "customer"))
            && copy_text(fact->refund_id, sizeof(fact->refund_id), db_text(row, "refund_id"))
            && copy_amount(row, &fact->has_amount, &fact->amount);
    db_end(row);
    if (fact->lead_id != 0)
        snprintf(fact->lead, sizeof(fact->lead), "%lld", (long long) fact->lead_id);
    return sound ? DB_ROW : DB_CORRUPT;
}

static const char *
or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

enum db_result
fact_insert(struct db *db, const struct fact *fact)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO conversion_facts (journal_id, seq, time_ms, received_ms,"
                                         " program_id, api_user_id, auth, status, event_time_ms, click_id,"
                                         " cookie_first, cookie_last, event, txid, affiliate_id, lead_id,"
                                         " customer, coupon)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
                                         " $16, $17, $18)");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, fact->key.journal_id);
    db_bind_int(row, 2, fact->key.seq);
    db_bind_int(row, 3, fact->time_ms);
    db_bind_int(row, 4, fact->received_ms);
    db_bind_int(row, 5, fact->program_id);
    db_bind_int(row, 6, fact->api_user_id);
    db_bind_int(row, 7, fact->auth);
    db_bind_int(row, 8, fact->status);
    db_bind_int(row, 9, fact->event_time_ms);
    db_bind_text(row, 10, or_null(fact->click_id));
    db_bind_text(row, 11, or_null(fact->cookie_first));
    db_bind_text(row, 12, or_null(fact->cookie_last));
    db_bind_text(row, 13, fact->event);
    db_bind_text(row, 14, or_null(fact->txid));
    if (fact->affiliate_id != 0)
        db_bind_int(row, 15, fact->affiliate_id);
    db_bind_int(row, 16, fact->lead_id);
    db_bind_text(row, 17, or_null(fact->customer));
    db_bind_text(row, 18, or_null(fact->coupon));
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
fact_close(struct db *db, struct fact_key key, const char *outcome, int64_t conversion_id)
{
    if (conversion_id == 0)
        return db_exec(db, "UPDATE conversion_facts SET outcome = $3 WHERE journal_id = $1 AND seq = $2", "iis",
                       key.journal_id, key.seq, outcome);
    return db_exec(db, "UPDATE conversion_facts SET outcome = $3, conversion_id = $4 WHERE journal_id = $1 AND seq = $2",
                   "iisi", key.journal_id, key.seq, outcome, conversion_id);
}

enum db_result
fact_park(struct db *db, struct fact_key key, uint64_t retry_us)
{
    return db_exec(db, "UPDATE conversion_facts SET outcome = 'parked', retry_us = $3 WHERE journal_id = $1 AND seq = $2",
                   "iii", key.journal_id, key.seq, (int64_t) retry_us);
}

enum db_result
fact_wake(struct db *db, int64_t program_id, const char *event, const char *txid)
{
    return db_exec(db,
                   "UPDATE conversion_facts SET retry_us = 0 WHERE outcome = 'parked' AND program_id = $1"
                   " AND event = $2 AND txid = $3 AND retry_us > 0",
                   "iss", program_id, event, txid);
}

enum db_result
fact_failed(struct db *db, struct fact_key key, int limit, uint64_t retry_us)
{
    return db_exec(db,
                   "UPDATE conversion_facts SET tries = tries + 1, retry_us = $4,"
                   " outcome = CASE WHEN tries + 1 >= CAST($3 AS INTEGER) THEN 'failed' ELSE outcome END"
                   " WHERE journal_id = $1 AND seq = $2",
                   "iiii", key.journal_id, key.seq, (int64_t) limit, (int64_t) retry_us);
}

/* ---- what a click id leads to ---- */

/* Whether a JSON array of texts holds one. */
static bool
array_has(const char *text, const char *wanted)
{
    json_t *array = text == NULL ? NULL : json_loads(text, 0, NULL), *item;
    size_t  i;
    bool    found = false;

    json_array_foreach(array, i, item) {
        found |= json_is_string(item) && strcmp(json_string_value(item), wanted) == 0;
    }
    json_decref(array);
    return found;
}

/* What the text leaves out ranks behind what it names, so that every means has its place. */
static void
read_order(const char *text, enum tracker_touch_means order[TRACKER_MEANS])
{
    json_t  *array = text == NULL ? NULL : json_loads(text, 0, NULL), *item;
    unsigned count = 0;
    size_t   i;
    bool     seen[TRACKER_MEANS] = { false };

    json_array_foreach(array, i, item) {
        for (unsigned m = 0; m < TRACKER_MEANS; m++) {
            if (seen[m] || !json_is_string(item)
                || strcmp(json_string_value(item), tracker_touch_means_name((enum tracker_touch_means) m)) != 0)
                continue;
            seen[m] = true;
            order[count++] = (enum tracker_touch_means) m;
        }
    }
    json_decref(array);
    for (unsigned m = 0; m < TRACKER_MEANS; m++) {
        if (!seen[m])
            order[count++] = (enum tracker_touch_means) m;
    }
}

enum db_result
program_policy(struct db *db, int64_t program_id, const char *event, struct tracker_attribution_policy *out)
{
    struct db_stmt *row;
    const char     *rule;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT attribution, first_share_ppm, precedence, recurring_events FROM programs"
                                   " WHERE id = $1",
                                  "i", program_id);

    *out = (struct tracker_attribution_policy){
        .program = (uint32_t) program_id,
        .rule = TRACKER_ATTRIBUTION_LAST,
        .first_share_ppm = TRACKER_WHOLE_PPM / 2,
        .order = { TRACKER_MEANS_CLICK_ID, TRACKER_MEANS_COOKIE, TRACKER_MEANS_COUPON },
    };
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    rule = db_text(row, "attribution");
    if (strcmp(rule, "first") == 0)
        out->rule = TRACKER_ATTRIBUTION_FIRST;
    else if (strcmp(rule, "both") == 0)
        out->rule = TRACKER_ATTRIBUTION_BOTH;
    out->first_share_ppm = (uint32_t) db_int(row, "first_share_ppm");
    read_order(db_text(row, "precedence"), out->order);
    out->recurring = array_has(db_text(row, "recurring_events"), event);
    db_end(row);
    return DB_OK;
}

enum db_result
link_owner_at(struct db *db, int64_t link_id, int64_t at_ms, struct link_owner *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT v.affiliate_id AS affiliate_id, v.campaign_id AS campaign_id,"
                                   " c.program_id AS program_id, c.window_days AS window_days"
                                   " FROM link_versions v JOIN campaigns c ON c.id = v.campaign_id"
                                   " WHERE v.link_id = $1 AND v.valid_from_ms <= $2"
                                   " ORDER BY v.valid_from_ms DESC LIMIT 1",
                                  "ii", link_id, at_ms);

    if (rc != DB_ROW)
        return rc;
    out->affiliate_id = db_int(row, "affiliate_id");
    out->campaign_id = db_int(row, "campaign_id");
    out->program_id = db_int(row, "program_id");
    out->window_days = db_int(row, "window_days");
    db_end(row);
    return DB_ROW;
}

enum db_result
lead_origin(struct db *db, int64_t lead_id, int64_t affiliate_id, int64_t *link_id, int64_t *campaign_id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT link_id, campaign_id FROM leads WHERE id = $1 AND affiliate_id = $2", "ii",
                                  lead_id, affiliate_id);

    if (rc != DB_ROW)
        return rc;
    *link_id = db_int(row, "link_id");
    *campaign_id = db_int(row, "campaign_id");
    db_end(row);
    return DB_ROW;
}

enum db_result
journal_progress(struct db *db, uint64_t short_id, int64_t seq, enum journal_progress *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT MAX(next_seq) AS next_seq FROM journals WHERE short_id = $1", "i",
                                  (int64_t) short_id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    if (db_is_null(row, "next_seq"))
        *out = JOURNAL_UNKNOWN;
    else
        *out = db_int(row, "next_seq") > seq ? JOURNAL_PASSED : JOURNAL_BEHIND;
    db_end(row);
    return DB_OK;
}

enum db_result
click_kept(struct db *db, uint64_t short_id, int64_t seq, struct click_kept *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT c.flags AS flags, c.first_touch AS first_touch FROM journals j"
                                   " JOIN clicks c ON c.journal_id = j.id AND c.seq = $2"
                                   " WHERE j.short_id = $1",
                                  "ii", (int64_t) short_id, seq);

    *out = (struct click_kept){ .flags = 0 };
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    out->flags = (uint32_t) db_int(row, "flags");
    if (!copy_text(out->first_touch, sizeof(out->first_touch), db_text(row, "first_touch")))
        out->first_touch[0] = '\0';
    db_end(row);
    return DB_OK;
}
