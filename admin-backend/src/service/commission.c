/* Commissions: accrual, approval, rejection. */
#include <stdlib.h>
#include <string.h>

#include "service/money_steps.h"
#include "service/view.h"
#include "store/ledger.h"

#define US_PER_DAY (INT64_C(86400) * 1000000)

static enum service_result act(struct db *db, struct decision *decision, struct service_error *error);
static enum db_result      post(struct db *db, const struct commission_row *commission, const char *kind,
                                struct ledger_leg debit, struct ledger_leg credit, uint64_t at_us);

enum service_result
commission_act(const struct service *service, const struct actor *actor, int64_t id, const char *action,
               const char *reason, json_t **commission, struct service_error *error)
{
    enum commission_event event;
    struct decision       decision = {
              .service = service,
              .actor = actor,
              .spec = &commission_list,
              .object_type = "commission",
              .id = id,
              .reason = reason,
              .step = act,
              .ctx = &event,
    };

    if (strcmp(action, "approve") == 0) {
        event = COMMISSION_APPROVE;
        decision.action = "commission.approve";
    } else if (strcmp(action, "reject") == 0) {
        if (reason == NULL || *reason == '\0')
            return service_invalid(error, "reason", "is required to reject a commission");
        event = COMMISSION_REJECT;
        decision.action = "commission.reject";
    } else {
        return service_invalid(error, "action", "is none of approve, reject");
    }
    return decide(&decision, commission, error);
}

/* What refunds took of a commission goes where it goes. */
static enum db_result
step_with_adjustments(struct db *db, const struct commission_row *root, enum commission_event event,
                      const struct change *change)
{
    struct commission_row *rows = NULL;
    struct referral_row    referral;
    int                    count = 0;
    enum db_result         rc = step_commission(db, root, event, change);

    if (rc == DB_OK)
        rc = commissions_of_referral(db, root->referral_id, &rows, &count);
    for (int i = 0; rc == DB_OK && i < count; i++) {
        bool open = rows[i].state == COMMISSION_PENDING
                    || (event == COMMISSION_REJECT && rows[i].state == COMMISSION_APPROVED);

        if (rows[i].reverses_id == root->id && open)
            rc = step_commission(db, &rows[i], event, change);
    }
    free(rows);
    if (rc == DB_OK)
        rc = referral_find(db, root->referral_id, &referral);
    return rc == DB_ROW ? settle_referral(db, &referral, change->reason, change) : rc == DB_DONE ? DB_CORRUPT : rc;
}

static enum service_result
act(struct db *db, struct decision *decision, struct service_error *error)
{
    enum commission_event event = *(enum commission_event *) decision->ctx;
    struct change         change = change_of(decision);
    struct commission_row row;
    enum db_result        rc = commission_find(db, decision->id, &row);

    if (rc == DB_DONE)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such commission.");
    if (rc != DB_ROW)
        return service_from_db(error, rc, "commission_find");
    if (row.reverses_id != 0)
        return service_refuse(error, SERVICE_CONFLICT, "is_reversal",
                              "A reversal follows its referral: reopen that to earn the commission again.");
    decision->unchanged = commission_reached(row.state, event);
    if (decision->unchanged)
        return SERVICE_OK;
    rc = step_with_adjustments(db, &row, event, &change);
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "illegal_state", "A commission that is %s cannot take this step.",
                              commission_state_name(row.state));
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "step_commission");
}

/* ---- steps ---- */

enum db_result
step_commission_accrue(struct db *db, const struct commission_new *commission, const struct change *change,
                       int64_t *id)
{
    struct commission_row row = {
        .program_id = commission->program_id,
        .affiliate_id = commission->affiliate_id,
        .amount = commission->amount,
    };
    bool           pending = commission->state == COMMISSION_PENDING;
    enum db_result rc = commission_insert(db, commission, change, id);

    if (rc != DB_OK)
        return rc;
    row.id = *id;
    return post(db, &row,
                commission->reverses_id == 0            ? "commission.accrue"
                : strcmp(commission->kind, "reversal") == 0 ? "commission.reverse"
                                                            : "commission.reinstate",
                (struct ledger_leg){ 0, "commission_expense", 0 },
                (struct ledger_leg){ row.affiliate_id, pending ? "pending" : "payable", 0 }, change->at_us);
}

/* Where the money of a commission in that state lies. */
static const char *
account_of(enum commission_state state)
{
    switch (state) {
    case COMMISSION_PENDING:
        return "pending";
    case COMMISSION_APPROVED:
        return "payable";
    case COMMISSION_IN_PAYOUT:
        return "in_transit";
    case COMMISSION_PAID:
        return "paid";
    case COMMISSION_REJECTED:
        return NULL;
    }
    return NULL;
}

enum db_result
step_commission(struct db *db, const struct commission_row *commission, enum commission_event event,
                const struct change *change)
{
    struct ledger_leg     expense = { 0, "commission_expense", 0 };
    struct ledger_leg     from = { commission->affiliate_id, account_of(commission->state), 0 };
    enum commission_state to;
    int64_t               payable_us = 0;
    enum db_result        rc;

    if (!commission_next(commission->state, event, &to))
        return DB_CONFLICT;
    if (event == COMMISSION_APPROVE)
        payable_us = (int64_t) change->at_us + commission->hold_days * US_PER_DAY;
    rc = commission_move(db, commission->id, commission->state, to, payable_us, change);
    if (rc != DB_OK)
        return rc;

    switch (event) {
    case COMMISSION_APPROVE:
        return post(db, commission, "commission.approve", from,
                    (struct ledger_leg){ commission->affiliate_id, account_of(to), 0 }, change->at_us);
    case COMMISSION_REJECT:
        return post(db, commission, "commission.reject", from, expense, change->at_us);
    case COMMISSION_BUNDLE:
    case COMMISSION_PAY:
    case COMMISSION_RELEASE:
        break; /* payouts move their commissions together, and post once for all */
    }
    return DB_CONFLICT;
}

/*
 * Debit one account, credit the other, by the commission's amount (negative for a reversal: the sides swap by
 * themselves).
 */
static enum db_result
post(struct db *db, const struct commission_row *commission, const char *kind, struct ledger_leg debit,
     struct ledger_leg credit, uint64_t at_us)
{
    struct ledger_entry entry = {
        .program_id = commission->program_id,
        .kind = kind,
        .object_type = "commission",
        .object_id = commission->id,
        .currency = commission->amount.currency,
        .at_us = at_us,
        .count = 2,
        .legs = { debit, credit },
    };

    entry.legs[0].minor = commission->amount.minor;
    entry.legs[1].minor = -commission->amount.minor;
    return ledger_post(db, &entry);
}

/* ---- reading ---- */

json_t *
commission_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "affiliate_name", view_column_text(row, "affiliate_name"),
                     "referral_id", view_column_id(row, "referral_id"),
                     "status", view_column_text(row, "status"),
                     "kind", view_column_text(row, "kind"),
                     "period", view_column_text(row, "period"),
                     "revision", (json_int_t) db_int(row, "revision"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "basis", view_column_money(row, "basis_minor", "currency"),
                     "percentage", db_is_null(row, "rate_ppm") ? json_null() : view_ppm(db_int(row, "rate_ppm")),
                     "share", view_ppm(db_int(row, "share_ppm")),
                     "plan_id", view_column_id(row, "plan_id"),
                     "payable_at", view_column_time(row, "payable_us"),
                     "reverses_id", view_column_id(row, "reverses_id"),
                     "why", view_column_json(row, "why"),
                     "notes", view_column_text(row, "notes"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
