#include "store/state_change.h"

enum db_result
referral_insert(struct db *db, const struct referral_new *referral, const struct change *change, int64_t *id)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO referrals (program_id, affiliate_id, campaign_id, link_id,"
                                         " conversion_id, event, status, click_id, amount_minor, currency, why,"
                                         " created_us, updated_us)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)"
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

    rc = db_step(row);
    if (rc == DB_ROW)
        *id = db_int(row, "id");
    db_end(row);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    return state_change_write(db, "referral", *id, NULL, referral_state_name(referral->state), change);
}

static enum db_result
read_referral(enum db_result rc, struct db_stmt *row, struct referral_row *out)
{
    bool sound;

    if (rc != DB_ROW)
        return rc;
    out->id = db_int(row, "id");
    out->program_id = db_int(row, "program_id");
    out->affiliate_id = db_int(row, "affiliate_id");
    out->conversion_id = db_int(row, "conversion_id");
    out->version = db_int(row, "version");
    sound = referral_state_parse(db_text(row, "status"), &out->state);
    db_end(row);
    return sound ? DB_ROW : DB_CORRUPT;
}

enum db_result
referral_find(struct db *db, int64_t id, struct referral_row *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id, program_id, affiliate_id, conversion_id, version, status FROM referrals"
                                   " WHERE id = $1",
                                  "i", id);

    return read_referral(rc, row, out);
}

enum db_result
referral_of_conversion(struct db *db, int64_t conversion_id, struct referral_row *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id, program_id, affiliate_id, conversion_id, version, status FROM referrals"
                                   " WHERE conversion_id = $1",
                                  "i", conversion_id);

    return read_referral(rc, row, out);
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
