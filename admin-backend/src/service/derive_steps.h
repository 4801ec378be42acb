/*
 * derive_steps.h - what becomes of one conversion fact; private to derivation.
 *
 * derive.c takes facts and tells apart what is said for the first time, said
 * again, and said of what was sold; convert.c makes conversions, referrals and
 * pending commissions; refund.c takes back.  All run in derive.c's transaction.
 */
#ifndef AFFILIATED_SERVICE_DERIVE_STEPS_H
#define AFFILIATED_SERVICE_DERIVE_STEPS_H

#include "service/attribute.h"
#include "service/money_steps.h"

/* How long a fact that must wait sleeps at first: for its click, which takes seconds, for a payout, or for a
 * person who looks at a conflict and wakes it. */
#define CLICK_STEP_US  UINT64_C(500000)
#define PAYOUT_STEP_US UINT64_C(60000000)
#define REVIEW_STEP_US UINT64_C(60000000)
/* How long a refund waits for its order: imports of yesterday's sales are usual, those of last month are not. */
#define REFUND_LIMIT_US (UINT64_C(30) * 86400 * 1000000)

#define TXID_MAX (FACT_TEXT_MAX + 8)

extern const struct actor derive_actor;

struct derivation {
    const struct service  *service;
    const struct fact_key *keys;
    int                    count;
    struct fact            fact;   /* the one at hand */
    uint64_t               now_us; /* of this attempt */
};

/* "pending", ...; of what speaks of a conversion: "pending". */
const char *derive_status_name(enum tracker_conversion_status status);
struct change derive_change(const struct derivation *d, const char *reason);

/* Sleeps half as long again each time. */
enum db_result derive_park(struct db *db, const struct derivation *d, uint64_t first_us);
/* Kept for review, and closed; conversion 0: none. */
enum db_result derive_contradict(struct db *db, const struct derivation *d, int64_t conversion_id, const char *reason);
/* A referral's event by the advertiser's word, with its audit row. */
enum db_result derive_step(struct db *db, const struct derivation *d, const struct referral_row *referral,
                           enum referral_event event, const char *audit, const char *reason);

/* Said for the first time. */
enum db_result convert(struct db *db, const struct derivation *d, const char *txid);
/* What a visitor's browser had said is now said by the advertiser's server: its word replaces the browser's. */
enum db_result confirm(struct db *db, const struct derivation *d, const struct conversion_row *known);
/* Another browser's word on it: a page that was loaded again, or another touch that claims the same order. */
enum db_result claim(struct db *db, const struct derivation *d, const struct conversion_row *known);

/* A refund, a chargeback, or a chargeback that was won. */
enum db_result take_back(struct db *db, const struct derivation *d, const char *txid);

#endif
