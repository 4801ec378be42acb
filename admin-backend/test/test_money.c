/*
 * The whole path of money on a real database: facts as ingest stores them,
 * derivation, decisions, payouts, and each refusal with its code.
 *
 * What could break: a conversion counted twice or not at all, a rate from the
 * wrong plan, a state that moves without its posting, a payout that pays what
 * is not due.  Every test ends by looking at the ledger, which is written by
 * other code than the states it is compared with.
 */
#include "test_money.h"

/* ---- the straight way ---- */

static void
test_from_click_to_paid(void **state)
{
    struct money *m = *state;
    json_t       *object;
    int64_t       referral = sell(m, "500.00", "order-1"), commission, payout;

    object = commission_of(m, referral);
    assert_string_equal(text_of(object, "status"), "pending");
    assert_string_equal(amount_of(object, "amount"), "100.00");
    assert_string_equal(amount_of(object, "basis"), "500.00");
    assert_string_equal(text_of(object, "percentage"), "20");
    assert_string_equal(text_of(json_object_get(object, "why"), "step"), "group");
    commission = take_id(object);
    assert_int_equal(balance(m, "pending"), -10000);

    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, &object, &m->error));
    assert_string_equal(text_of(object, "status"), "approved");
    json_decref(object);
    assert_int_equal(balance(m, "pending"), 0);
    assert_int_equal(balance(m, "payable"), -10000);

    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error));
    assert_string_equal(text_of(object, "status"), "draft");
    assert_string_equal(amount_of(object, "amount"), "100.00");
    assert_int_equal(json_integer_value(json_object_get(object, "item_count")), 1);
    payout = take_id(object);
    assert_int_equal(balance(m, "payable"), 0);
    assert_int_equal(balance(m, "in_transit"), -10000);

    must(m, payout_submit(m->service, &test_admin, payout, NULL, &m->error));
    must(m, payout_pay(m->service, &test_admin, payout, "BANK-1", "2024-05-01", "by hand", &object, &m->error));
    assert_string_equal(text_of(object, "status"), "paid");
    assert_string_equal(text_of(object, "reference"), "BANK-1");
    assert_string_equal(text_of(object, "paid_at"), "2024-05-01T00:00:00.000000Z");
    json_decref(object);
    assert_int_equal(balance(m, "in_transit"), 0);
    assert_int_equal(balance(m, "paid"), -10000);

    must(m, commission_get(m->service, commission, &object, &m->error));
    assert_string_equal(text_of(object, "status"), "paid");
    json_decref(object);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_from_click_to_paid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
