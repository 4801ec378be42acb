#include <stdio.h>
#include <string.h>

#include "store/state_change.h"

/* One text for what is payable: counted before and taken after, in one transaction, by the same words. */
#define ELIGIBLE " status = 'approved' AND affiliate_id = $1 AND currency = $2 AND payable_us <= $3"

enum db_result
payout_eligible(struct db *db, int64_t affiliate_id, const char *currency, uint64_t now_us, int64_t *sum_minor,
                int64_t *count)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) AS total, COUNT(*) AS n"
                                   " FROM commissions WHERE" ELIGIBLE,
                                  "isi", affiliate_id, currency, (int64_t) now_us);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *sum_minor = db_int(row, "total");
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

enum db_result
payout_insert(struct db *db, const struct payout_new *payout, const struct change *change, int64_t *id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "INSERT INTO payouts (program_id, affiliate_id, currency, amount_minor,"
                                   " minimum_minor, status, method, created_by, created_us, updated_us)"
                                   " VALUES ($1, $2, $3, $4, $5, 'draft', $6, $7, $8, $8) RETURNING id",
                                  "iisiissi", payout->program_id, payout->affiliate_id, payout->amount.currency,
                                  payout->amount.minor, payout->minimum_minor, payout->method, change->actor,
                                  (int64_t) change->at_us);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *id = db_int(row, "id");
    db_end(row);
    return state_change_write(db, "payout", *id, NULL, payout_state_name(PAYOUT_DRAFT), change);
}

/* The history of all commissions that a statement is about to move, in one statement. */
static enum db_result
items_history(struct db *db, int64_t payout_id, enum commission_state from, enum commission_state to,
              const struct change *change)
{
    return db_exec(db,
                   "INSERT INTO state_changes (object_type, object_id, from_state, to_state, actor, reason, at_us)"
                   " SELECT 'commission', commission_id, $2, $3, $4, $5, $6 FROM payout_items"
                   " WHERE payout_id = $1 AND live = 1 ORDER BY commission_id",
                   "issssi", payout_id, commission_state_name(from), commission_state_name(to), change->actor,
                   change->reason, (int64_t) change->at_us);
}

/* in_payout <-> its neighbours; the number of moved rows must be the number of live items. */
static enum db_result
items_move(struct db *db, int64_t payout_id, enum commission_state from, enum commission_state to,
           const struct change *change)
{
    struct db_stmt *row;
    int64_t         moved, items;
    enum db_result  rc = db_exec(db,
                                 "UPDATE commissions SET status = $3, updated_us = $4, version = version + 1"
                                 " WHERE status = $2 AND id IN"
                                 " (SELECT commission_id FROM payout_items WHERE payout_id = $1 AND live = 1)",
                                 "issi", payout_id, commission_state_name(from), commission_state_name(to),
                                 (int64_t) change->at_us);

    if (rc != DB_OK)
        return rc;
    moved = db_changes(db);
    rc = db_query(db, &row, "SELECT COUNT(*) AS n FROM payout_items WHERE payout_id = $1 AND live = 1", "i", payout_id);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    items = db_int(row, "n");
    db_end(row);
    if (moved != items)
        return DB_CONFLICT;
    return items_history(db, payout_id, from, to, change);
}

enum db_result
payout_take(struct db *db, int64_t payout_id, int64_t affiliate_id, const char *currency, const struct change *change,
            int64_t *sum_minor, int64_t *count)
{
    struct db_stmt *row;
    enum db_result  rc = db_exec(db,
                                 "INSERT INTO payout_items (payout_id, commission_id, amount_minor, live)"
                                 " SELECT $4, id, amount_minor, 1 FROM commissions WHERE" ELIGIBLE,
                                 "isii", affiliate_id, currency, (int64_t) change->at_us, payout_id);

    if (rc == DB_OK)
        rc = items_move(db, payout_id, COMMISSION_APPROVED, COMMISSION_IN_PAYOUT, change);
    if (rc != DB_OK)
        return rc;
    rc = db_query(db, &row,
                  "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) AS total, COUNT(*) AS n FROM payout_items"
                  " WHERE payout_id = $1",
                  "i", payout_id);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *sum_minor = db_int(row, "total");
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

enum db_result
payout_find(struct db *db, int64_t id, struct payout_row *out)
{
    struct db_stmt *row;
    bool            sound;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id, program_id, affiliate_id, version, amount_minor, currency, status"
                                   " FROM payouts WHERE id = $1",
                                  "i", id);

    if (rc != DB_ROW)
        return rc;
    out->id = db_int(row, "id");
    out->program_id = db_int(row, "program_id");
    out->affiliate_id = db_int(row, "affiliate_id");
    out->version = db_int(row, "version");
    sound = amount_make(db_int(row, "amount_minor"), db_text(row, "currency"), &out->amount)
            && payout_state_parse(db_text(row, "status"), &out->state);
    db_end(row);
    return sound ? DB_ROW : DB_CORRUPT;
}

enum db_result
payout_move(struct db *db, int64_t id, enum payout_state from, enum payout_state to, const struct change *change)
{
    enum db_result rc = db_exec(db,
                                "UPDATE payouts SET status = $3, reason = COALESCE($5, reason), updated_us = $4,"
                                " version = version + 1 WHERE id = $1 AND status = $2",
                                "issis", id, payout_state_name(from), payout_state_name(to), (int64_t) change->at_us,
                                change->reason);

    if (rc != DB_OK)
        return rc;
    if (db_changes(db) != 1)
        return DB_CONFLICT;
    return state_change_write(db, "payout", id, payout_state_name(from), payout_state_name(to), change);
}

enum db_result
payout_mark_paid(struct db *db, int64_t id, const char *reference, int64_t paid_at_us, const char *notes,
                 const struct change *change)
{
    enum db_result rc = db_exec(db,
                                "UPDATE payouts SET status = 'paid', reference = $2, paid_at_us = $3,"
                                " notes = COALESCE($4, notes), updated_us = $5, version = version + 1"
                                " WHERE id = $1 AND status = 'pending'",
                                "isisi", id, reference, paid_at_us, notes, (int64_t) change->at_us);

    if (rc != DB_OK)
        return rc;
    if (db_changes(db) != 1)
        return DB_CONFLICT;
    return state_change_write(db, "payout", id, payout_state_name(PAYOUT_PENDING), payout_state_name(PAYOUT_PAID),
                              change);
}

enum db_result
payout_reference_used(struct db *db, const char *reference, bool *used)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT id FROM payouts WHERE reference = $1", "s", reference);

    *used = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
payout_items_move(struct db *db, int64_t payout_id, enum commission_state to, const struct change *change)
{
    enum db_result rc = items_move(db, payout_id, COMMISSION_IN_PAYOUT, to, change);

    if (rc != DB_OK || to != COMMISSION_APPROVED)
        return rc;
    return db_exec(db, "UPDATE payout_items SET live = 0 WHERE payout_id = $1", "i", payout_id);
}

enum db_result
payee_find(struct db *db, int64_t affiliate_id, struct payee *out)
{
    struct db_stmt *row;
    const char     *method;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT a.program_id AS program_id, a.group_id AS group_id,"
                                   " a.status AS status, p.currency AS currency,"
                                   " COALESCE(g.minimum_payout_minor, 0) AS minimum_minor, g.payout_methods AS methods"
                                   " FROM affiliates a JOIN programs p ON p.id = a.program_id"
                                   " LEFT JOIN affiliate_groups g ON g.id = a.group_id WHERE a.id = $1",
                                  "i", affiliate_id);

    if (rc != DB_ROW)
        return rc;
    *out = (struct payee){
        .program_id = db_int(row, "program_id"),
        .group_id = db_int(row, "group_id"),
        .minimum_minor = db_int(row, "minimum_minor"),
    };
    strncpy(out->status, db_text(row, "status"), sizeof(out->status) - 1);
    strncpy(out->currency, db_text(row, "currency"), sizeof(out->currency) - 1);
    /* The first name of a JSON array of plain words. */
    method = db_text(row, "methods");
    method = method == NULL ? NULL : strchr(method, '"');
    snprintf(out->method, sizeof(out->method), "%.*s", method == NULL ? 13 : (int) strcspn(method + 1, "\""),
             method == NULL ? "bank_transfer" : method + 1);
    db_end(row);
    return DB_ROW;
}
