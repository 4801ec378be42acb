/* Settling: what stands of a referral becomes what is due. */
#include <stdlib.h>
#include <string.h>

#include "domain/period.h"
#include "service/money_steps.h"
#include "service/view.h"
#include "store/conversion.h"

/* What refunds have left of the order. */
struct remaining {
    bool    anything;
    bool    has_amount;
    int64_t minor;
};

static enum db_result remaining_of(struct db *db, int64_t conversion_id, struct remaining *out);
static bool           due_of(const struct commission_row *root, const struct remaining *remaining,
                             struct tracker_money *due);
static enum db_result adjust(struct db *db, const struct commission_row *root, const struct remaining *remaining,
                             const struct tracker_money *due, const struct tracker_money *stands, const char *because,
                             const struct change *change);

enum db_result
settle_referral(struct db *db, const struct referral_row *referral, const char *because, const struct change *change)
{
    struct commission_row      *rows = NULL;
    const struct commission_row *root = NULL;
    struct tracker_money        stands, due;
    struct remaining            remaining = { .anything = false };
    int                         count;
    enum db_result              rc = commissions_of_referral(db, referral->id, &rows, &count);

    for (int i = 0; rc == DB_OK && i < count; i++) {
        if (rows[i].reverses_id == 0)
            root = &rows[i];
    }
    if (rc == DB_OK && root != NULL) {
        due = stands = root->amount;
        due.minor = stands.minor = 0;
        for (int i = 0; rc == DB_OK && i < count; i++) {
            if (rows[i].state != COMMISSION_REJECTED && !amount_add(&stands, &rows[i].amount, &stands))
                rc = DB_CORRUPT;
        }
        if (rc == DB_OK)
            rc = remaining_of(db, referral->conversion_id, &remaining);
        if (rc == DB_OK && referral->state != REFERRAL_REJECTED && root->state != COMMISSION_REJECTED
            && !due_of(root, &remaining, &due))
            rc = DB_CORRUPT;
        if (rc == DB_OK && due.minor != stands.minor)
            rc = adjust(db, root, &remaining, &due, &stands, because, change);
    }
    free(rows);
    return rc;
}

static enum db_result
remaining_of(struct db *db, int64_t conversion_id, struct remaining *out)
{
    struct conversion_row conversion;
    int64_t               refunded = 0;
    bool                  all = false;
    enum db_result        rc = conversion_load(db, conversion_id, &conversion);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    rc = refund_sum(db, conversion_id, &refunded, &all);
    out->has_amount = conversion.has_amount;
    out->minor = conversion.has_amount ? conversion.amount.minor - refunded : 0;
    out->anything = !all && (!conversion.has_amount || conversion.amount.minor == 0 || out->minor != 0);
    return rc;
}

/* A fixed amount is for the order, not for its size: it stays as long as anything of the order does. */
static bool
due_of(const struct commission_row *root, const struct remaining *remaining, struct tracker_money *due)
{
    struct tracker_money basis, parts[2];

    if (!remaining->anything)
        return true;
    if (root->rate_ppm < 0) {
        *due = root->amount;
        return true;
    }
    basis = root->amount;
    basis.minor = remaining->minor;
    return amount_share(&basis, root->rate_ppm, &basis)
           && amount_split(&basis, root->part == 0 ? root->share_ppm : PPM - root->share_ppm, parts)
           && amount_add(&parts[root->part], due, due);
}

/* It lies beside what it adjusts: pending with a pending one, payable together with one that is approved. */
static void
place(const struct commission_row *root, struct commission_new *row, const struct change *change)
{
    row->state = root->state == COMMISSION_PENDING ? COMMISSION_PENDING : COMMISSION_APPROVED;
    if (row->state == COMMISSION_PENDING)
        return;
    row->payable_us = (int64_t) change->at_us;
    if (root->state == COMMISSION_APPROVED && root->payable_us > row->payable_us)
        row->payable_us = root->payable_us;
}

static enum db_result
adjust(struct db *db, const struct commission_row *root, const struct remaining *remaining,
       const struct tracker_money *due, const struct tracker_money *stands, const char *because,
       const struct change *change)
{
    struct commission_new row = {
        .program_id = root->program_id,
        .affiliate_id = root->affiliate_id,
        .referral_id = root->referral_id,
        .conversion_id = root->conversion_id,
        .plan_id = root->plan_id,
        .kind = due->minor < stands->minor ? "reversal" : "reinstatement",
        .reverses_id = root->id,
        .has_basis = root->has_basis,
        .basis_minor = remaining->minor,
        .rate_ppm = root->rate_ppm,
        .share_ppm = root->share_ppm,
        .part = root->part,
    };
    char           period[8], *why;
    int64_t        id;
    json_t        *object = json_pack("{s:o, s:o, s:o, s:s?}", "reverses", view_id(root->id), "due",
                                      view_money(due->minor, due->currency), "stood",
                                      view_money(stands->minor, stands->currency), "reason", because);
    enum db_result rc;

    period_open((int64_t) (change->at_us / 1000), change->at_us, period);
    row.period = period;
    place(root, &row, change);
    row.why = why = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(object);
    if (why == NULL || !amount_sub(due, stands, &row.amount)) {
        free(why);
        return DB_FAILED;
    }
    rc = commission_next_revision(db, root->conversion_id, root->affiliate_id, row.kind, &row.revision);
    if (rc == DB_OK)
        rc = step_commission_accrue(db, &row, change, &id);
    free(why);
    return rc;
}
