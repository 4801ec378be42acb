#include "store/conversion.h"

#include <string.h>

#include "domain/amount.h"

/* False: longer than its place, which we never write. */
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

static const char *
or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

#define CONVERSION_COLUMNS                                                                                           \
    "SELECT id, program_id, event, status, amount_minor, currency, click_id, verified, event_time_ms FROM conversions"

static enum db_result
read_conversion(enum db_result rc, struct db_stmt *row, struct conversion_row *out)
{
    bool sound;

    if (rc != DB_ROW)
        return rc;
    out->id = db_int(row, "id");
    out->program_id = db_int(row, "program_id");
    out->event_time_ms = db_int(row, "event_time_ms");
    out->verified = db_int(row, "verified") != 0;
    sound = copy_text(out->status, sizeof(out->status), db_text(row, "status"))
            && copy_text(out->event, sizeof(out->event), db_text(row, "event"))
            && copy_text(out->click_id, sizeof(out->click_id), db_text(row, "click_id"))
            && copy_amount(row, &out->has_amount, &out->amount);
    db_end(row);
    return sound ? DB_ROW : DB_CORRUPT;
}

enum db_result
conversion_find(struct db *db, int64_t program_id, const char *event, const char *txid, struct conversion_row *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row, CONVERSION_COLUMNS " WHERE program_id = $1 AND event = $2 AND txid = $3",
                                  "iss", program_id, event, txid);

    return read_conversion(rc, row, out);
}

enum db_result
conversion_load(struct db *db, int64_t id, struct conversion_row *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row, CONVERSION_COLUMNS " WHERE id = $1", "i", id);

    return read_conversion(rc, row, out);
}

enum db_result
conversion_insert(struct db *db, const struct fact *fact, const char *txid, const char *status, uint64_t now_us,
                  int64_t *id)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO conversions (program_id, event, txid, status, amount_minor,"
                                         " currency, event_time_ms, click_id, journal_id, seq, created_us, coupon,"
                                         " customer, verified, affiliate_id, lead_id)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
                                         " $15, $16)"
                                         " RETURNING id");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, fact->program_id);
    db_bind_text(row, 2, fact->event);
    db_bind_text(row, 3, txid);
    db_bind_text(row, 4, status);
    if (fact->has_amount) {
        db_bind_int(row, 5, fact->amount.minor);
        db_bind_text(row, 6, fact->amount.currency);
    }
    db_bind_int(row, 7, fact->event_time_ms);
    db_bind_text(row, 8, or_null(fact->click_id));
    db_bind_int(row, 9, fact->key.journal_id);
    db_bind_int(row, 10, fact->key.seq);
    db_bind_int(row, 11, (int64_t) now_us);
    db_bind_text(row, 12, or_null(fact->coupon));
    db_bind_text(row, 13, or_null(fact->customer));
    db_bind_int(row, 14, fact->auth != TRACKER_AUTH_PIXEL);
    if (fact->affiliate_id != 0)
        db_bind_int(row, 15, fact->affiliate_id);
    if (fact->lead_id != 0)
        db_bind_int(row, 16, fact->lead_id);

    rc = db_step(row);
    if (rc == DB_ROW)
        *id = db_int(row, "id");
    db_end(row);
    return rc == DB_ROW ? DB_OK : rc == DB_DONE ? DB_FAILED : rc;
}

enum db_result
conversion_set_status(struct db *db, int64_t id, const char *from, const char *to)
{
    enum db_result rc = db_exec(db, "UPDATE conversions SET status = $3 WHERE id = $1 AND status = $2", "iss", id, from,
                                to);

    return rc == DB_OK && db_changes(db) != 1 ? DB_CONFLICT : rc;
}

enum db_result
conversion_confirm(struct db *db, int64_t id, const struct fact *fact, const char *status)
{
    struct db_stmt *row = db_prepare(db, "UPDATE conversions SET verified = 1, status = $2, journal_id = $3, seq = $4,"
                                         " amount_minor = $5, currency = $6, click_id = COALESCE($7, click_id),"
                                         " coupon = COALESCE($8, coupon), customer = $9,"
                                         " affiliate_id = COALESCE($10, affiliate_id), lead_id = COALESCE($11, lead_id)"
                                         " WHERE id = $1 AND verified = 0");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, id);
    db_bind_text(row, 2, status);
    db_bind_int(row, 3, fact->key.journal_id);
    db_bind_int(row, 4, fact->key.seq);
    if (fact->has_amount) {
        db_bind_int(row, 5, fact->amount.minor);
        db_bind_text(row, 6, fact->amount.currency);
    }
    db_bind_text(row, 7, or_null(fact->click_id));
    db_bind_text(row, 8, or_null(fact->coupon));
    db_bind_text(row, 9, or_null(fact->customer));
    if (fact->affiliate_id != 0)
        db_bind_int(row, 10, fact->affiliate_id);
    if (fact->lead_id != 0)
        db_bind_int(row, 11, fact->lead_id);
    rc = db_step(row);
    db_end(row);
    if (rc != DB_DONE)
        return rc;
    return db_changes(db) == 1 ? DB_OK : DB_CONFLICT;
}

/* ---- conflicts ---- */

enum db_result
conversion_conflict(struct db *db, int64_t conversion_id, struct fact_key key, const char *reason, uint64_t now_us)
{
    if (conversion_id == 0)
        return db_exec(db,
                       "INSERT INTO conversion_conflicts (journal_id, seq, reason, at_us, updated_us)"
                       " VALUES ($1, $2, $3, $4, $4)",
                       "iisi", key.journal_id, key.seq, reason, (int64_t) now_us);
    return db_exec(db,
                   "INSERT INTO conversion_conflicts (conversion_id, journal_id, seq, reason, at_us, updated_us)"
                   " VALUES ($1, $2, $3, $4, $5, $5)",
                   "iiisi", conversion_id, key.journal_id, key.seq, reason, (int64_t) now_us);
}

static enum db_result
any(enum db_result rc, struct db_stmt *row, bool *out)
{
    *out = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
conflict_open(struct db *db, int64_t conversion_id, const char *reason, bool *open)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id FROM conversion_conflicts WHERE conversion_id = $1 AND reason = $2"
                                   " AND state = 'open' LIMIT 1",
                                  "is", conversion_id, reason);

    return any(rc, row, open);
}

enum db_result
conflict_said(struct db *db, int64_t conversion_id, const char *reason, const struct fact *fact, bool *said)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT c.id AS id FROM conversion_conflicts c JOIN conversion_facts f"
                                   " ON f.journal_id = c.journal_id AND f.seq = c.seq"
                                   " WHERE c.conversion_id = $1 AND c.reason = $2"
                                   " AND COALESCE(f.click_id, '') = $3 AND COALESCE(f.cookie_last, '') = $4"
                                   " AND COALESCE(f.cookie_first, '') = $5 AND COALESCE(f.coupon, '') = $6 LIMIT 1",
                                  "isssss", conversion_id, reason, fact->click_id, fact->cookie_last,
                                  fact->cookie_first, fact->coupon);

    return any(rc, row, said);
}

/* What waited for a person to look at it. */
static enum db_result
conflict_wake(struct db *db, int64_t id)
{
    return db_exec(db,
                   "UPDATE conversion_facts SET retry_us = 0 WHERE outcome = 'parked' AND retry_us > 0"
                   " AND (program_id, event, txid) IN (SELECT v.program_id, v.event, v.txid FROM conversions v"
                   " JOIN conversion_conflicts c ON c.conversion_id = v.id WHERE c.id = $1)",
                   "i", id);
}

enum db_result
conflict_resolve(struct db *db, int64_t id, int64_t if_version, const char *note, uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE conversion_conflicts SET state = 'resolved', note = $3, updated_us = $4,"
                                " version = version + 1 WHERE id = $1 AND state = 'open'"
                                " AND (version = $2 OR CAST($2 AS INTEGER) = 0)",
                                "iisi", id, if_version, note, (int64_t) now_us);

    if (rc != DB_OK || db_changes(db) != 1)
        return rc == DB_OK ? DB_CONFLICT : rc;
    return conflict_wake(db, id);
}

/* ---- refunds ---- */

enum db_result
refund_find(struct db *db, int64_t conversion_id, const char *refund_id, struct refund_row *out)
{
    struct db_stmt *row;
    bool            sound;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id, kind, state, amount_minor, currency FROM refunds"
                                   " WHERE conversion_id = $1 AND refund_id = $2",
                                  "is", conversion_id, refund_id);

    if (rc != DB_ROW)
        return rc;
    out->id = db_int(row, "id");
    sound = copy_text(out->kind, sizeof(out->kind), db_text(row, "kind"))
            && copy_text(out->state, sizeof(out->state), db_text(row, "state"))
            && copy_amount(row, &out->has_amount, &out->amount);
    db_end(row);
    return sound ? DB_ROW : DB_CORRUPT;
}

enum db_result
refund_insert(struct db *db, int64_t conversion_id, const struct fact *fact, const char *kind,
              const struct tracker_money *amount, const char *state, uint64_t now_us)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO refunds (conversion_id, refund_id, kind, amount_minor, currency,"
                                         " state, journal_id, seq, created_us)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, conversion_id);
    db_bind_text(row, 2, fact->refund_id);
    db_bind_text(row, 3, kind);
    if (amount != NULL) {
        db_bind_int(row, 4, amount->minor);
        db_bind_text(row, 5, amount->currency);
    }
    db_bind_text(row, 6, state);
    db_bind_int(row, 7, fact->key.journal_id);
    db_bind_int(row, 8, fact->key.seq);
    db_bind_int(row, 9, (int64_t) now_us);
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
refund_win(struct db *db, int64_t id)
{
    enum db_result rc = db_exec(db, "UPDATE refunds SET state = 'won' WHERE id = $1 AND state = 'applied'", "i", id);

    return rc == DB_OK && db_changes(db) != 1 ? DB_CONFLICT : rc;
}

enum db_result
refund_sum(struct db *db, int64_t conversion_id, int64_t *minor, bool *all)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) AS total,"
                                   " COUNT(*) - COUNT(amount_minor) AS whole FROM refunds"
                                   " WHERE conversion_id = $1 AND state = 'applied'",
                                  "i", conversion_id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *minor = db_int(row, "total");
    *all = db_int(row, "whole") > 0;
    db_end(row);
    return DB_OK;
}

/* ---- customers ---- */

enum db_result
customer_find(struct db *db, int64_t program_id, const char *customer, struct customer_part parts[2], unsigned *count)
{
    struct db_stmt *row = db_prepare(db, "SELECT affiliate_id, campaign_id, link_id, share_ppm FROM customers"
                                         " WHERE program_id = $1 AND customer = $2 ORDER BY part LIMIT 2");
    enum db_result  rc;

    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, program_id);
    db_bind_text(row, 2, customer);
    while ((rc = db_step(row)) == DB_ROW)
        parts[(*count)++] = (struct customer_part){
            .affiliate_id = db_int(row, "affiliate_id"),
            .campaign_id = db_int(row, "campaign_id"),
            .link_id = db_int(row, "link_id"),
            .share_ppm = (uint32_t) db_int(row, "share_ppm"),
        };
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
customer_insert(struct db *db, int64_t program_id, const char *customer, unsigned part,
                const struct customer_part *owner, int64_t conversion_id, uint64_t now_us)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO customers (program_id, customer, part, affiliate_id, campaign_id,"
                                         " link_id, share_ppm, conversion_id, created_us)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, program_id);
    db_bind_text(row, 2, customer);
    db_bind_int(row, 3, part);
    db_bind_int(row, 4, owner->affiliate_id);
    if (owner->campaign_id != 0)
        db_bind_int(row, 5, owner->campaign_id);
    if (owner->link_id != 0)
        db_bind_int(row, 6, owner->link_id);
    db_bind_int(row, 7, owner->share_ppm);
    db_bind_int(row, 8, conversion_id);
    db_bind_int(row, 9, (int64_t) now_us);
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}
