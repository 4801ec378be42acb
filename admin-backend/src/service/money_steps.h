/*
 * money_steps.h - single steps of money inside a caller's transaction.
 *
 * Each checks the domain's table, moves the row by a guarded update and posts
 * to the ledger.  DB_CONFLICT: the step is not legal from the state that the row is in.
 */
#ifndef AFFILIATED_SERVICE_MONEY_STEPS_H
#define AFFILIATED_SERVICE_MONEY_STEPS_H

#include "service/decide.h"
#include "service/money.h"
#include "store/money_rows.h"

#define REFERRAL_COMMISSIONS_MAX 64 /* beyond them it is not reopened any more; refunds have no such end */

/* Inserts a commission that accrues: pending ones into the pending account, approved ones (reversals) into payable. */
enum db_result step_commission_accrue(struct db *db, const struct commission_new *commission,
                                      const struct change *change, int64_t *id);
/* APPROVE or REJECT of one commission. */
enum db_result step_commission(struct db *db, const struct commission_row *commission, enum commission_event event,
                               const struct change *change);
/*
 * Makes what stands of a referral what is due: the commission of what refunds have left of its conversion, or nothing
 * once it is rejected.  The difference to all its rows is posted as one row more, a reversal or, after a chargeback was
 * won, a reinstatement; so partial refunds sum exactly, in whatever order they come.  because: for its `why`.
 */
enum db_result settle_referral(struct db *db, const struct referral_row *referral, const char *because,
                               const struct change *change);
/*
 * A referral's event with all that hangs on it: approve takes pending
 * commissions along; reject takes back what was earned (a paid one by a
 * reversal row; one in a live payout makes it DB_CONFLICT); reopen accrues anew, as the next revision.
 */
enum db_result step_referral(struct db *db, const struct referral_row *referral, enum referral_event event,
                             const struct change *change);

/* What a decision's changes say of who, when and why. */
static inline struct change
change_of(const struct decision *decision)
{
    return (struct change){ .actor = decision->actor->name, .reason = decision->reason, .at_us = decision->at_us };
}

/* Views of the three, for lists, single objects and audit rows; "SELECT ..." of each list_spec makes their columns. */
json_t *referral_view(struct db_stmt *row);
json_t *commission_view(struct db_stmt *row);
json_t *payout_view(struct db_stmt *row);

#endif
