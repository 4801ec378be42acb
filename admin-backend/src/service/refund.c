/* Refunds and chargebacks: applied within the order, kept for review beyond it, waiting for it when it is late. */
#include <string.h>

#include "service/derive_steps.h"

static enum db_result apply(struct db *db, const struct derivation *d, const struct conversion_row *order);
static enum db_result win(struct db *db, const struct derivation *d, const struct conversion_row *order);
static enum db_result settle(struct db *db, const struct derivation *d, int64_t conversion_id, const char *because);

static bool
may_wait(const struct derivation *d)
{
    return d->now_us < (uint64_t) d->fact.received_ms * 1000 + REFUND_LIMIT_US;
}

enum db_result
take_back(struct db *db, const struct derivation *d, const char *txid)
{
    struct conversion_row order;
    enum db_result        rc;

    if (d->fact.auth == TRACKER_AUTH_PIXEL)
        return derive_contradict(db, d, 0, "pixel_takes_back");
    rc = conversion_find(db, d->fact.program_id, d->fact.event, txid, &order);
    /* What only a browser told has no amount yet: a part of it cannot be judged. */
    if (rc == DB_DONE || (rc == DB_ROW && !order.verified))
        return may_wait(d) ? derive_park(db, d, CLICK_STEP_US)
                           : derive_contradict(db, d, rc == DB_ROW ? order.id : 0, "order_never_came");
    if (rc != DB_ROW)
        return rc;
    return d->fact.status == TRACKER_CONVERSION_CHARGEBACK_WON ? win(db, d, &order) : apply(db, d, &order);
}

static const char *
kind_of(const struct fact *fact)
{
    return fact->status == TRACKER_CONVERSION_REFUND ? "refund" : "chargeback";
}

/* No amount: whatever it took. */
static bool
says_the_same(const struct fact *fact, const struct refund_row *known)
{
    return strcmp(kind_of(fact), known->kind) == 0
           && (!fact->has_amount
               || (known->has_amount && fact->amount.minor == known->amount.minor
                   && amount_same_currency(&fact->amount, &known->amount)));
}

/*
 * What it takes: its amount, or all that is left.  *whole: all of an order without an amount.  NULL, or why it
 * cannot be applied.
 */
static const char *
amount_taken(const struct fact *fact, const struct conversion_row *order, int64_t refunded, bool all,
             struct tracker_money *taken, bool *whole)
{
    struct tracker_money left = order->amount;

    *whole = false;
    if (fact->has_amount && (!order->has_amount || !amount_same_currency(&fact->amount, &order->amount)))
        return "refund_of_another_currency";
    if (fact->has_amount && fact->amount.minor <= 0)
        return "refund_of_nothing";
    left.minor = order->has_amount ? order->amount.minor - refunded : 0;
    if (!fact->has_amount && left.minor == 0 && !all && refunded == 0) {
        *whole = true; /* an order without an amount, or of 0.00 */
        return NULL;
    }
    *taken = fact->has_amount ? fact->amount : left;
    if (all || taken->minor <= 0 || taken->minor > left.minor)
        return "refund_beyond_order";
    return NULL;
}

static enum db_result
apply(struct db *db, const struct derivation *d, const struct conversion_row *order)
{
    const struct fact   *fact = &d->fact;
    struct refund_row    known;
    struct tracker_money taken;
    const char          *complaint;
    int64_t              refunded = 0;
    bool                 all = false, whole;
    enum db_result       rc = refund_find(db, order->id, fact->refund_id, &known);

    if (rc == DB_ROW)
        return says_the_same(fact, &known) ? fact_close(db, fact->key, "repeated", order->id)
                                           : derive_contradict(db, d, order->id, "other_refund");
    if (rc == DB_DONE)
        rc = refund_sum(db, order->id, &refunded, &all);
    if (rc != DB_OK)
        return rc;
    complaint = amount_taken(fact, order, refunded, all, &taken, &whole);
    rc = refund_insert(db, order->id, fact, kind_of(fact),
                       complaint == NULL ? (whole ? NULL : &taken) : fact->has_amount ? &fact->amount : NULL,
                       complaint == NULL ? "applied" : "held", d->now_us);
    if (rc == DB_OK && complaint != NULL)
        return derive_contradict(db, d, order->id, complaint);
    if (rc == DB_OK)
        rc = settle(db, d, order->id, kind_of(fact));
    if (rc == DB_OK && fact->txid[0] != '\0')
        rc = fact_wake(db, fact->program_id, fact->event, fact->txid); /* a chargeback's end that was quicker */
    return rc == DB_OK ? fact_close(db, fact->key, "refunded", order->id) : rc;
}

static enum db_result
win(struct db *db, const struct derivation *d, const struct conversion_row *order)
{
    const struct fact *fact = &d->fact;
    struct refund_row  known;
    enum db_result     rc = refund_find(db, order->id, fact->refund_id, &known);

    if (rc == DB_DONE)
        return may_wait(d) ? derive_park(db, d, CLICK_STEP_US)
                           : derive_contradict(db, d, order->id, "chargeback_never_came");
    if (rc != DB_ROW)
        return rc;
    if (strcmp(known.kind, "chargeback") != 0 || strcmp(known.state, "held") == 0)
        return derive_contradict(db, d, order->id, "other_refund");
    if (strcmp(known.state, "won") == 0)
        return fact_close(db, fact->key, "repeated", order->id);
    rc = refund_win(db, known.id);
    if (rc == DB_OK)
        rc = settle(db, d, order->id, "chargeback_won");
    return rc == DB_OK ? fact_close(db, fact->key, "refunded", order->id) : rc;
}

static enum db_result
settle(struct db *db, const struct derivation *d, int64_t conversion_id, const char *because)
{
    struct referral_row referrals[REFERRALS_OF_CONVERSION];
    struct change       change = derive_change(d, because);
    int                 count;
    enum db_result      rc = referrals_of_conversion(db, conversion_id, referrals, &count);

    for (int i = 0; rc == DB_OK && i < count; i++)
        rc = settle_referral(db, &referrals[i], because, &change);
    return rc;
}
