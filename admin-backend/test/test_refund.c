/*
 * Refunds and chargebacks: what they take of a commission, whatever its state and whenever they come.
 *
 * What could break: a cent gained by refunding in parts, a refund paid back twice or beyond the order, one that came
 * before its sale and was lost, a chargeback that was won and stays taken, money paid out that nobody asks back.
 */
#include "test_money.h"

static void
refund(struct money *m, const char *txid, const char *refund_id, const char *amount)
{
    tell(m, &(struct sale){ .txid = txid, .refund_id = refund_id, .amount = amount, .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
}

static void
chargeback(struct money *m, const char *txid, const char *refund_id, const char *amount, bool won)
{
    tell(m, &(struct sale){ .txid = txid, .refund_id = refund_id, .amount = amount,
                            .status = won ? TRACKER_CONVERSION_CHARGEBACK_WON : TRACKER_CONVERSION_CHARGEBACK });
    derive_all(m);
}

static void
approve(struct money *m, int64_t referral)
{
    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, NULL, &m->error));
}

static int64_t
outcomes(struct money *m, const char *outcome)
{
    return number(m, "SELECT COUNT(*) AS n FROM conversion_facts WHERE outcome = '%s'", outcome);
}

static void
payout(struct money *m, const char *reference)
{
    json_t *payout;

    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &payout, &m->error));
    must(m, payout_submit(m->service, &test_admin, id_of(payout), NULL, &m->error));
    must(m, payout_pay(m->service, &test_admin, id_of(payout), reference, NULL, NULL, NULL, &m->error));
    json_decref(payout);
}

/* Each part by itself rounds its own way; together they take what was given, to the cent. */
static void
test_parts_sum_exactly(void **state)
{
    struct money *m = *state;
    char          id[16];

    sell(m, "0.99", "a"); /* 0.198: 0.20 */
    assert_int_equal(balance(m, "pending"), -20);
    for (int i = 0; i < 99; i++) {
        int64_t exactly = (98 - i) * 20, rest = exactly % 100, due = exactly / 100;

        due += rest > 50 || (rest == 50 && due % 2 == 1);

        snprintf(id, sizeof(id), "%d", i);
        refund(m, "a", id, "0.01");
        assert_int_equal(balance(m, "pending"), -due);
    }
    assert_int_equal(number(m, "SELECT SUM(amount_minor) AS n FROM commissions"), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions"), 21);
    must_verify(m);
}

static void
test_in_every_state(void **state)
{
    struct money *m = *state;
    int64_t       pending = sell(m, "100.00", "pending");

    refund(m, "pending", "r1", "25.00");
    assert_int_equal(balance(m, "pending"), -1500);
    approve(m, pending);
    assert_int_equal(balance(m, "pending"), 0);
    assert_int_equal(balance(m, "payable"), -1500);
    refund(m, "pending", "r2", "25.00");
    assert_int_equal(balance(m, "payable"), -1000);
    must_verify(m);

    payout(m, "B1");
    assert_int_equal(balance(m, "paid"), -1000);
    refund(m, "pending", "r3", NULL); /* all that is left */
    assert_int_equal(balance(m, "payable"), 1000);
    assert_int_equal(number(m, "SELECT amount_minor AS n FROM refunds WHERE refund_id = 'r3'"), 5000);
    must_verify(m);

    /* What is owed is taken from what comes next. */
    approve(m, sell(m, "100.00", "next"));
    payout(m, "B2");
    assert_int_equal(balance(m, "paid"), -2000);
    assert_int_equal(balance(m, "payable"), 0);
    must_verify(m);
}

/* A payout that is on its way is left alone: the reversal joins the next one, or comes together with what comes back. */
static void
test_while_being_paid(void **state)
{
    struct money *m = *state;
    json_t       *payout;

    approve(m, sell(m, "100.00", "a"));
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &payout, &m->error));
    refund(m, "a", "r1", "50.00");
    assert_int_equal(outcomes(m, "refunded"), 1);
    assert_int_equal(balance(m, "in_transit"), -2000);
    assert_int_equal(balance(m, "payable"), 1000);
    must_verify(m);
    must(m, payout_cancel(m->service, &test_admin, id_of(payout), "wrong bank", NULL, &m->error));
    assert_int_equal(balance(m, "payable"), -1000);
    json_decref(payout);
    must_verify(m);
}

static void
test_a_hold_holds_both(void **state)
{
    struct money *m = *state;
    json_t       *patch = json_of("{\"commission\":{\"type\":\"percentage\",\"percentage\":\"20\",\"hold_days\":30}}");
    int64_t       referral;

    must(m, group_edit(m->service, &test_admin, m->group, 0, patch, NULL, &m->error));
    json_decref(patch);
    referral = sell(m, "100.00", "a");
    approve(m, referral);
    refund(m, "a", "r1", "50.00");
    assert_int_equal(number(m, "SELECT COUNT(DISTINCT payable_us) AS n FROM commissions"), 1);
    must_refuse(m, payout_create(m->service, &test_admin, m->affiliate, NULL, NULL, &m->error), "nothing_due");
    test_clock_us += 30 * DAY_US;
    payout(m, "B1");
    assert_int_equal(balance(m, "paid"), -1000);
    must_verify(m);
}

static void
test_the_same_refund_again(void **state)
{
    struct money *m = *state;

    sell(m, "100.00", "a");
    for (int i = 0; i < 3; i++)
        refund(m, "a", "r1", "40.00");
    refund(m, "a", "r1", NULL); /* may say less */
    assert_int_equal(outcomes(m, "refunded"), 1);
    assert_int_equal(outcomes(m, "repeated"), 3);
    assert_int_equal(balance(m, "pending"), -1200);

    refund(m, "a", "r1", "41.00");
    chargeback(m, "a", "r1", "40.00", false);
    chargeback(m, "a", "r1", NULL, true);
    assert_int_equal(outcomes(m, "conflict"), 3);
    assert_int_equal(balance(m, "pending"), -1200);
    must_verify(m);
}

static void
test_beyond_the_order(void **state)
{
    struct money *m = *state;

    sell(m, "100.00", "a");
    refund(m, "a", "r1", "60.00");
    refund(m, "a", "r2", "40.01");
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM refunds WHERE state = 'held'"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversion_conflicts WHERE reason = 'refund_beyond_order'"), 1);
    assert_int_equal(balance(m, "pending"), -800);
    refund(m, "a", "r3", "40.00");
    assert_int_equal(balance(m, "pending"), 0);
    refund(m, "a", "r4", NULL);
    refund(m, "a", "r5", "0.00");
    tell(m, &(struct sale){ .txid = "a", .refund_id = "r6", .amount = "1.00", .currency = "USD",
                            .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
    assert_int_equal(outcomes(m, "conflict"), 4);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM refunds WHERE state = 'held'"), 4);
    must_verify(m);
}

static void
test_before_the_sale(void **state)
{
    struct money *m = *state;

    refund(m, "a", "r1", "40.00");
    chargeback(m, "a", "c1", NULL, true); /* even its end is quicker */
    assert_int_equal(outcomes(m, "parked"), 2);
    test_clock_us += 7 * DAY_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 2);
    sell(m, "100.00", "a");
    derive_all(m);
    assert_int_equal(outcomes(m, "refunded"), 1);
    assert_int_equal(balance(m, "pending"), -1200);
    chargeback(m, "a", "c1", "60.00", false);
    derive_all(m);
    assert_int_equal(outcomes(m, "refunded"), 3);
    assert_int_equal(outcomes(m, "parked"), 0);
    assert_int_equal(balance(m, "pending"), -1200);
    must_verify(m);

    /* Not for ever. */
    refund(m, "never sold", "r1", NULL);
    chargeback(m, "a", "never made", NULL, true);
    test_clock_us += 31 * DAY_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "conflict"), 2);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversion_conflicts WHERE conversion_id IS NULL"), 1);
    must_verify(m);
}

static void
test_a_chargeback_won_and_lost(void **state)
{
    struct money *m = *state;

    approve(m, sell(m, "100.00", "a"));
    payout(m, "B1");
    chargeback(m, "a", "c1", NULL, false);
    assert_int_equal(balance(m, "payable"), 2000);
    chargeback(m, "a", "c1", NULL, true);
    assert_int_equal(balance(m, "payable"), 0);
    chargeback(m, "a", "c1", NULL, true); /* again */
    chargeback(m, "a", "c1", NULL, false);
    assert_int_equal(outcomes(m, "repeated"), 2);
    assert_int_equal(balance(m, "payable"), 0);
    must_verify(m);
    chargeback(m, "a", "c2", "50.00", false); /* another one, which stays */
    assert_int_equal(balance(m, "payable"), 1000);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE kind = 'reinstatement'"), 1);
    must_verify(m);
}

/* A fixed amount is for the order: it stays while anything of the order does. */
static void
test_fixed_amounts(void **state)
{
    struct money *m = *state;
    json_t       *patch = json_of("{\"commission\":{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"EUR\"}}}");

    must(m, group_edit(m->service, &test_admin, m->group, 0, patch, NULL, &m->error));
    json_decref(patch);
    sell(m, "100.00", "a");
    refund(m, "a", "r1", "99.99");
    assert_int_equal(balance(m, "pending"), -500);
    refund(m, "a", "r2", "0.01");
    assert_int_equal(balance(m, "pending"), 0);
    sell(m, NULL, "a lead");
    refund(m, "a lead", "r1", "3.00"); /* of an order without an amount */
    assert_int_equal(balance(m, "pending"), -500);
    assert_int_equal(outcomes(m, "conflict"), 1);
    refund(m, "a lead", "r2", NULL);
    assert_int_equal(balance(m, "pending"), 0);
    refund(m, "a lead", "r3", NULL);
    assert_int_equal(outcomes(m, "conflict"), 2);
    must_verify(m);
}

/* Of a foreign order everything stays in its currency; a fixed amount in its own. */
static void
test_other_currencies(void **state)
{
    struct money *m = *state;
    json_t       *patch = json_of("{\"commission\":{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"EUR\"}}}");

    tell(m, &(struct sale){ .txid = "usd", .amount = "100.00", .currency = "USD", .click = click(m, m->link, 0, NULL) });
    tell(m, &(struct sale){ .txid = "jpy", .amount = "1001", .currency = "JPY", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    tell(m, &(struct sale){ .txid = "usd", .refund_id = "r", .amount = "25.00", .currency = "USD",
                            .status = TRACKER_CONVERSION_REFUND });
    tell(m, &(struct sale){ .txid = "jpy", .refund_id = "r", .amount = "1", .currency = "JPY",
                            .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
    assert_int_equal(number(m, "SELECT SUM(amount_minor) AS n FROM commissions WHERE currency = 'USD'"), 1500);
    assert_int_equal(number(m, "SELECT SUM(amount_minor) AS n FROM commissions WHERE currency = 'JPY'"), 200);
    must(m, group_edit(m->service, &test_admin, m->group, 0, patch, NULL, &m->error));
    json_decref(patch);
    tell(m, &(struct sale){ .txid = "fixed", .amount = "100.00", .currency = "USD", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(balance(m, "pending"), -500);
    tell(m, &(struct sale){ .txid = "fixed", .refund_id = "r", .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
    assert_int_equal(balance(m, "pending"), 0);
    must_verify(m);
}

/* Decisions of people among refunds: each time what stands is what is due. */
static void
test_decisions_between(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", "a"), commission = number(m, "SELECT MAX(id) AS n FROM commissions");

    refund(m, "a", "r1", "50.00");
    must(m, referral_act(m->service, &test_admin, referral, "reject", "fraud?", NULL, &m->error));
    assert_int_equal(balance(m, "pending"), 0);
    must_verify(m);
    refund(m, "a", "r2", "25.00"); /* nothing to take */
    must(m, referral_act(m->service, &test_admin, referral, "reopen", "no fraud", NULL, &m->error));
    assert_int_equal(balance(m, "pending"), -500);
    must_verify(m);
    approve(m, referral);
    payout(m, "B1");
    must(m, referral_act(m->service, &test_admin, referral, "reject", "fraud!", NULL, &m->error));
    assert_int_equal(balance(m, "payable"), 500);
    must(m, referral_act(m->service, &test_admin, referral, "reopen", "no", NULL, &m->error));
    assert_int_equal(balance(m, "payable") + balance(m, "pending"), 0);
    refund(m, "a", "r3", NULL);
    assert_int_equal(balance(m, "payable") + balance(m, "pending"), 500);
    must_verify(m);

    /* A commission alone: what refunds took of it goes along. */
    referral = sell(m, "100.00", "b");
    commission = number(m, "SELECT MAX(id) AS n FROM commissions");
    refund(m, "b", "r1", "50.00");
    must(m, commission_act(m->service, &test_admin, commission, "approve", NULL, NULL, &m->error));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE referral_id = %lld AND status = 'approved'",
                            (long long) referral), 2);
    must_verify(m);
    must(m, commission_act(m->service, &test_admin, commission, "reject", "typo", NULL, &m->error));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE referral_id = %lld AND status = 'rejected'",
                            (long long) referral), 2);
    must_verify(m);
}

/* The reversal was paid out with others while its commission was not: rejecting that must not cost him twice. */
static void
test_a_reversal_that_was_paid_before_its_commission(void **state)
{
    struct money *m = *state;
    int64_t       first = sell(m, "100.00", "a"), other;
    json_t       *held;

    approve(m, first);
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &held, &m->error));
    refund(m, "a", "r1", "50.00"); /* 10.00 back, while 20.00 are on their way */
    other = sell(m, "100.00", "b");
    approve(m, other);
    payout(m, "B1"); /* 20.00 - 10.00 */
    must(m, payout_cancel(m->service, &test_admin, id_of(held), "wrong bank", NULL, &m->error));
    json_decref(held);
    assert_int_equal(balance(m, "paid"), -1000);
    must(m, referral_act(m->service, &test_admin, first, "reject", "fraud", NULL, &m->error));
    assert_int_equal(balance(m, "payable"), -1000); /* what had been taken of what he never got */
    assert_int_equal(balance(m, "paid"), -1000);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_parts_sum_exactly),
        money_test(test_in_every_state),
        money_test(test_while_being_paid),
        money_test(test_a_hold_holds_both),
        money_test(test_the_same_refund_again),
        money_test(test_beyond_the_order),
        money_test(test_before_the_sale),
        money_test(test_a_chargeback_won_and_lost),
        money_test(test_fixed_amounts),
        money_test(test_other_currencies),
        money_test(test_decisions_between),
        money_test(test_a_reversal_that_was_paid_before_its_commission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
