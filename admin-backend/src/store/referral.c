#include "store/state_change.h"

enum db_result
referral_insert(struct db *db, const struct referral_new *referral, const struct change *change, int64_t *id)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO referrals (program_id, affiliate_id, campaign_id, link_id,"
                                         " conversion_id, event, status, click_id, amount_minor, currency, why,"
                                         " created_us, updated_us, trader_id, part, share_ppm, verified, lead_id)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14,"
                                         " $15, $16, $17)"
                                         " RETURNING id");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, referral->program_id);
    db_bind_int(row, 2, referral->affiliate_id);
    if (referral->campaign_id != 0)
        db_bind_int(row, 3, referral->campaign_id);
    if (referral->link_id != 0)
        db_bind_int(row, 4, referral->link_id);
    if (referral->conversion_id != 0)
        db_bind_int(row, 5, referral->conversion_id);
    db_bind_text(row, 6, referral->event);
    db_bind_text(row, 7, referral_state_name(referral->state));
    db_bind_text(row, 8, referral->click_id);
    if (referral->amount != NULL) {
        db_bind_int(row, 9, referral->amount->minor);
        db_bind_text(row, 10, referral->amount->currency);
    }
    db_bind_text(row, 11, referral->why);
    db_bind_int(row, 12, (int64_t) change->at_us);
    db_bind_text(row, 13, referral->customer);
    db_bind_int(row, 14, referral->part);
    db_bind_int(row, 15, referral->share_ppm);
    db_bind_int(row, 16, referral->verified);
    db_bind_text(row, 17, referral->lead_id);

    rc = db_step(row);
    if (rc == DB_ROW)
        *id = db_int(row, "id");
    db_end(row);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    return state_change_write(db, "referral", *id, NULL, referral_state_name(referral->state), change);
}

#define REFERRAL_COLUMNS                                                                                             \
    "SELECT id, program_id, affiliate_id, conversion_id, version, status, part, share_ppm, verified, superseded"     \
    " FROM referrals"

static bool
read_referral(struct db_stmt *row, struct referral_row *out)
{
    out->id = db_int(row, "id");
    out->program_id = db_int(row, "program_id");
    out->affiliate_id = db_int(row, "affiliate_id");
    out->conversion_id = db_int(row, "conversion_id");
    out->version = db_int(row, "version");
    out->part = (int) db_int(row, "part");
    out->share_ppm = db_int(row, "share_ppm");
    out->verified = db_int(row, "verified") != 0;
    out->superseded = db_int(row, "superseded") != 0;
    return referral_state_parse(db_text(row, "status"), &out->state);
}

enum db_result
referral_find(struct db *db, int64_t id, struct referral_row *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, REFERRAL_COLUMNS " WHERE id = $1", "i", id);

    if (rc != DB_ROW)
        return rc;
    if (!read_referral(row, out))
        rc = DB_CORRUPT;
    db_end(row);
    return rc;
}

enum db_result
referrals_of_conversion(struct db *db, int64_t conversion_id, struct referral_row rows[REFERRALS_OF_CONVERSION],
                        int *count)
{
    struct db_stmt *row = db_prepare(db, REFERRAL_COLUMNS " WHERE conversion_id = $1 AND superseded = 0 ORDER BY part");
    enum db_result  rc;

    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, conversion_id);
    while ((rc = db_step(row)) == DB_ROW) {
        if (*count == REFERRALS_OF_CONVERSION || !read_referral(row, &rows[(*count)++])) {
            rc = DB_CORRUPT;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
referral_supersede(struct db *db, int64_t id)
{
    return db_exec(db, "UPDATE referrals SET superseded = 1, version = version + 1 WHERE id = $1", "i", id);
}

enum db_result
referral_confirm(struct db *db, int64_t id, bool verified, const struct tracker_money *amount, const char *customer,
                 const char *lead, uint64_t now_us)
{
    struct db_stmt *row = db_prepare(db, "UPDATE referrals SET verified = $6, amount_minor = $2, currency = $3,"
                                         " trader_id = $4, updated_us = $5, version = version + 1,"
                                         " lead_id = COALESCE($7, lead_id) WHERE id = $1");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, id);
    if (amount != NULL) {
        db_bind_int(row, 2, amount->minor);
        db_bind_text(row, 3, amount->currency);
    }
    db_bind_text(row, 4, customer);
    db_bind_int(row, 5, (int64_t) now_us);
    db_bind_int(row, 6, verified);
    db_bind_text(row, 7, lead);
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
referral_move(struct db *db, int64_t id, enum referral_state from, enum referral_state to, const struct change *change)
{
    enum db_result rc = db_exec(db,
                                "UPDATE referrals SET status = $3, updated_us = $4, version = version + 1"
                                " WHERE id = $1 AND status = $2",
                                "issi", id, referral_state_name(from), referral_state_name(to),
                                (int64_t) change->at_us);

    if (rc != DB_OK)
        return rc;
    if (db_changes(db) != 1)
        return DB_CONFLICT;
    return state_change_write(db, "referral", id, referral_state_name(from), referral_state_name(to), change);
}

enum db_result
referral_annotate(struct db *db, int64_t id, int64_t if_version, const char *tags, const char *notes, uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE referrals SET tags = COALESCE($3, tags), notes = COALESCE($4, notes),"
                                " updated_us = $5, version = version + 1"
                                " WHERE id = $1 AND (version = $2 OR CAST($2 AS INTEGER) = 0)",
                                "iissi", id, if_version, tags, notes, (int64_t) now_us);

    return rc == DB_OK && db_changes(db) != 1 ? DB_CONFLICT : rc;
}
