#include <stdlib.h>
#include <string.h>

#include "store/state_change.h"

#define COMMISSION_COLUMNS                                                                                           \
    "SELECT c.id AS id, c.program_id AS program_id, c.affiliate_id AS affiliate_id, c.referral_id AS referral_id,"    \
    " c.conversion_id AS conversion_id, c.plan_id AS plan_id, c.revision AS revision, c.basis_minor AS basis_minor," \
    " c.rate_ppm AS rate_ppm, c.reverses_id AS reverses_id, c.share_ppm AS share_ppm, c.part AS part,"                \
    " c.payable_us AS payable_us,"                                                                                    \
    " c.period AS period, c.kind AS kind, c.amount_minor AS amount_minor,"                                            \
    " c.currency AS currency, c.status AS status, COALESCE(p.hold_days, 0) AS hold_days"                             \
    " FROM commissions c LEFT JOIN plans p ON p.id = c.plan_id"

static void bind_commission(struct db_stmt *row, const struct commission_new *commission, const struct change *change);
static bool read_commission(struct db_stmt *row, struct commission_row *out);

enum db_result
commission_insert(struct db *db, const struct commission_new *commission, const struct change *change, int64_t *id)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO commissions (program_id, affiliate_id, referral_id, conversion_id,"
                                         " plan_id, period, kind, revision, reverses_id, amount_minor, currency,"
                                         " basis_minor, rate_ppm, status, payable_us, why, created_us, updated_us,"
                                         " share_ppm, part)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
                                         " $16, $17, $17, $18, $19) RETURNING id");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    bind_commission(row, commission, change);
    rc = db_step(row);
    if (rc == DB_ROW)
        *id = db_int(row, "id");
    db_end(row);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    return state_change_write(db, "commission", *id, NULL, commission_state_name(commission->state), change);
}

static void
bind_commission(struct db_stmt *row, const struct commission_new *commission, const struct change *change)
{
    db_bind_int(row, 1, commission->program_id);
    db_bind_int(row, 2, commission->affiliate_id);
    db_bind_int(row, 3, commission->referral_id);
    if (commission->conversion_id != 0)
        db_bind_int(row, 4, commission->conversion_id);
    if (commission->plan_id != 0)
        db_bind_int(row, 5, commission->plan_id);
    db_bind_text(row, 6, commission->period);
    db_bind_text(row, 7, commission->kind);
    db_bind_int(row, 8, commission->revision);
    if (commission->reverses_id != 0)
        db_bind_int(row, 9, commission->reverses_id);
    db_bind_int(row, 10, commission->amount.minor);
    db_bind_text(row, 11, commission->amount.currency);
    if (commission->has_basis)
        db_bind_int(row, 12, commission->basis_minor);
    if (commission->rate_ppm >= 0)
        db_bind_int(row, 13, commission->rate_ppm);
    db_bind_text(row, 14, commission_state_name(commission->state));
    if (commission->payable_us != 0)
        db_bind_int(row, 15, commission->payable_us);
    db_bind_text(row, 16, commission->why);
    db_bind_int(row, 17, (int64_t) change->at_us);
    db_bind_int(row, 18, commission->share_ppm == 0 ? PPM : commission->share_ppm);
    db_bind_int(row, 19, commission->part);
}

static bool
copy_short(char *out, size_t cap, const char *text)
{
    if (text == NULL || strlen(text) >= cap)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool
read_commission(struct db_stmt *row, struct commission_row *out)
{
    out->id = db_int(row, "id");
    out->program_id = db_int(row, "program_id");
    out->affiliate_id = db_int(row, "affiliate_id");
    out->referral_id = db_int(row, "referral_id");
    out->conversion_id = db_int(row, "conversion_id");
    out->plan_id = db_int(row, "plan_id");
    out->revision = db_int(row, "revision");
    out->hold_days = db_int(row, "hold_days");
    out->reverses_id = db_int(row, "reverses_id");
    out->has_basis = !db_is_null(row, "basis_minor");
    out->basis_minor = db_int(row, "basis_minor");
    out->rate_ppm = db_is_null(row, "rate_ppm") ? -1 : db_int(row, "rate_ppm");
    out->share_ppm = db_int(row, "share_ppm");
    out->part = (int) db_int(row, "part");
    out->payable_us = db_int(row, "payable_us");
    return copy_short(out->period, sizeof(out->period), db_text(row, "period"))
           && copy_short(out->kind, sizeof(out->kind), db_text(row, "kind"))
           && amount_make(db_int(row, "amount_minor"), db_text(row, "currency"), &out->amount)
           && commission_state_parse(db_text(row, "status"), &out->state);
}

enum db_result
commission_find(struct db *db, int64_t id, struct commission_row *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, COMMISSION_COLUMNS " WHERE c.id = $1", "i", id);

    if (rc != DB_ROW)
        return rc;
    if (!read_commission(row, out))
        rc = DB_CORRUPT;
    db_end(row);
    return rc;
}

enum db_result
commissions_of_referral(struct db *db, int64_t referral_id, struct commission_row **rows, int *count)
{
    struct db_stmt *row = db_prepare(db, COMMISSION_COLUMNS " WHERE c.referral_id = $1 ORDER BY c.id");
    enum db_result  rc;
    int             room = 0;

    *rows = NULL;
    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, referral_id);
    while ((rc = db_step(row)) == DB_ROW) {
        if (*count == room) {
            struct commission_row *more = reallocarray(*rows, (size_t) (room = room * 2 + 4), sizeof(*more));

            if (more == NULL) {
                rc = DB_FAILED;
                break;
            }
            *rows = more;
        }
        if (!read_commission(row, &(*rows)[(*count)++])) {
            rc = DB_CORRUPT;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
commission_next_revision(struct db *db, int64_t conversion_id, int64_t affiliate_id, const char *kind,
                         int64_t *revision)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT COALESCE(MAX(revision) + 1, 0) AS n FROM commissions"
                                   " WHERE conversion_id = $1 AND affiliate_id = $2 AND kind = $3",
                                  "iis", conversion_id, affiliate_id, kind);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *revision = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

enum db_result
commissions_count(struct db *db, int64_t referral_id, int64_t *count)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT COUNT(*) AS n FROM commissions WHERE referral_id = $1", "i",
                                  referral_id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

enum db_result
conversion_in_payout(struct db *db, int64_t conversion_id, bool *busy)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT c.id FROM commissions c JOIN referrals r ON r.id = c.referral_id"
                                   " WHERE r.conversion_id = $1 AND c.status = 'in_payout' LIMIT 1",
                                  "i", conversion_id);

    *busy = rc == DB_ROW;
    db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
commission_move(struct db *db, int64_t id, enum commission_state from, enum commission_state to, int64_t payable_us,
                const struct change *change)
{
    enum db_result rc = db_exec(db,
                                "UPDATE commissions SET status = $3, updated_us = $4, version = version + 1,"
                                " payable_us = CASE WHEN CAST($5 AS BIGINT) = 0 THEN payable_us ELSE $5 END"
                                " WHERE id = $1 AND status = $2",
                                "issii", id, commission_state_name(from), commission_state_name(to),
                                (int64_t) change->at_us, payable_us);

    if (rc != DB_OK)
        return rc;
    if (db_changes(db) != 1)
        return DB_CONFLICT;
    return state_change_write(db, "commission", id, commission_state_name(from), commission_state_name(to), change);
}

enum db_result
commissions_in_period(struct db *db, int64_t affiliate_id, const char *period, int64_t *count)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT COUNT(DISTINCT c.referral_id) AS n FROM commissions c"
                                   " WHERE c.affiliate_id = $1 AND c.period = $2 AND c.kind = 'commission'"
                                   " AND c.status <> 'rejected' AND c.amount_minor + (SELECT COALESCE(SUM(r.amount_minor), 0)"
                                   "  FROM commissions r WHERE r.reverses_id = c.id AND r.status <> 'rejected') > 0",
                                  "is", affiliate_id, period);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}
