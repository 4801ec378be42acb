/*
 * The guarded updates by themselves: each names the state it leaves, and moves
 * nothing when the row is elsewhere by then.
 *
 * On SQLite one writer looks and moves in one breath, so the services alone
 * would never show that a guard is gone; on a database with several writers it
 * is what makes the second of two people lose.  Here the look is always old.
 */
#include "test_money.h"

#include "store/money_rows.h"

static const struct change by_hand = { "staff:1", NULL, UINT64_C(1714564800000000) };

struct move {
    enum { REFERRAL, COMMISSION, PAYOUT, PAID, ITEMS } what;
    int64_t        id;
    int            from, to;
    enum db_result rc;
};

/* DB_CONFLICT rolls back, as it does in a service. */
static enum db_result
run(struct db *db, void *ctx)
{
    struct move *move = ctx;

    switch (move->what) {
    case REFERRAL:
        return move->rc = referral_move(db, move->id, (enum referral_state) move->from, (enum referral_state) move->to,
                                        &by_hand);
    case COMMISSION:
        return move->rc = commission_move(db, move->id, (enum commission_state) move->from,
                                          (enum commission_state) move->to, 0, &by_hand);
    case PAYOUT:
        return move->rc = payout_move(db, move->id, (enum payout_state) move->from, (enum payout_state) move->to, &by_hand);
    case PAID:
        return move->rc = payout_mark_paid(db, move->id, "GUARD", 1, NULL, &by_hand);
    case ITEMS:
        return move->rc = payout_items_move(db, move->id, (enum commission_state) move->to, &by_hand);
    }
    return DB_FAILED;
}

static enum db_result
moved(struct money *m, struct move move)
{
    db_write(m->base.pool, DB_INTERACTIVE, run, &move);
    return move.rc;
}

static int64_t
sum_of_rows(struct money *m)
{
    return test_int(m->base.pool, "SELECT (SELECT COUNT(*) FROM state_changes) + (SELECT SUM(version) FROM referrals)"
                                  " + (SELECT SUM(version) FROM commissions)"
                                  " + (SELECT COALESCE(SUM(version), 0) FROM payouts) AS n");
}

/* From every state but the one that the row is in. */
static void
all_refused(struct money *m, struct move move, int states, int actual)
{
    int64_t before = sum_of_rows(m);

    for (move.from = 0; move.from < states; move.from++) {
        for (move.to = 0; move.from != actual && move.to < states; move.to++)
            assert_int_equal(moved(m, move), DB_CONFLICT);
    }
    assert_int_equal(sum_of_rows(m), before);
}

static void
test_referrals_and_commissions(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL);
    json_t       *object = commission_of(m, referral);
    int64_t       commission = take_id(object);

    all_refused(m, (struct move){ REFERRAL, referral, 0, 0, DB_OK }, 3, REFERRAL_PENDING);
    all_refused(m, (struct move){ COMMISSION, commission, 0, 0, DB_OK }, 5, COMMISSION_PENDING);
    all_refused(m, (struct move){ COMMISSION, 4711, 0, 0, DB_OK }, 5, -1);
    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, NULL, &m->error));
    all_refused(m, (struct move){ REFERRAL, referral, 0, 0, DB_OK }, 3, REFERRAL_APPROVED);
    all_refused(m, (struct move){ COMMISSION, commission, 0, 0, DB_OK }, 5, COMMISSION_APPROVED);
    must_verify(m);
}

static void
test_payouts(void **state)
{
    struct money *m = *state;
    json_t       *object;
    int64_t       payout;

    must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error));
    payout = take_id(object);
    all_refused(m, (struct move){ PAYOUT, payout, 0, 0, DB_OK }, 4, PAYOUT_DRAFT);
    assert_int_equal(moved(m, (struct move){ PAID, payout, 0, 0, DB_OK }), DB_CONFLICT);
    must(m, payout_submit(m->service, &test_admin, payout, NULL, &m->error));
    all_refused(m, (struct move){ PAYOUT, payout, 0, 0, DB_OK }, 4, PAYOUT_PENDING);
    must(m, payout_pay(m->service, &test_admin, payout, "B1", NULL, NULL, NULL, &m->error));

    /* Paid already, by somebody who was faster: neither the payout nor its commissions move again. */
    assert_int_equal(moved(m, (struct move){ PAID, payout, 0, 0, DB_OK }), DB_CONFLICT);
    assert_int_equal(moved(m, (struct move){ ITEMS, payout, 0, COMMISSION_PAID, DB_OK }), DB_CONFLICT);
    assert_int_equal(moved(m, (struct move){ ITEMS, payout, 0, COMMISSION_APPROVED, DB_OK }), DB_CONFLICT);
    all_refused(m, (struct move){ PAYOUT, payout, 0, 0, DB_OK }, 4, PAYOUT_PAID);
    must_verify(m);
}

/* The last line of all: whatever the code does, no commission is in two live payouts, no reference on two payments. */
static void
test_what_the_schema_refuses(void **state)
{
    static const char *const refused[] = {
        "INSERT INTO payout_items SELECT 2, commission_id, amount_minor, 1 FROM payout_items WHERE payout_id = 1",
        "UPDATE payouts SET reference = 'B1', paid_at_us = 1, status = 'paid' WHERE id = 2",
        "UPDATE payouts SET status = 'paid' WHERE id = 2",
        "UPDATE payouts SET amount_minor = 0 WHERE id = 2",
        "INSERT INTO conversions (program_id, event, txid, status, event_time_ms, journal_id, seq, created_us)"
        " SELECT program_id, event, txid, status, event_time_ms, journal_id, seq, created_us FROM conversions LIMIT 1",
        "UPDATE commissions SET conversion_id = (SELECT MIN(conversion_id) FROM commissions)",
        "UPDATE ledger_legs SET amount_minor = 0",
        "DELETE FROM affiliates",
        "DELETE FROM commissions",
    };
    struct money *m = *state;
    json_t       *object;
    int64_t       payout;

    for (int i = 0; i < 2; i++) {
        must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
        must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error));
        payout = take_id(object);
        must(m, payout_submit(m->service, &test_admin, payout, NULL, &m->error));
        if (i == 0)
            must(m, payout_pay(m->service, &test_admin, payout, "B1", NULL, NULL, NULL, &m->error));
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        enum db_result rc = db_write(m->base.pool, DB_INTERACTIVE, test_run_write, (void *) (uintptr_t) refused[i]);

        if (rc != DB_CONFLICT)
            fail_msg("%s gives %d", refused[i], rc);
    }
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_referrals_and_commissions),
        money_test(test_payouts),
        money_test(test_what_the_schema_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
