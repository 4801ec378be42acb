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

/* ---- steps, named short ---- */

static enum service_result
referral_do(struct money *m, int64_t id, const char *action)
{
    return referral_act(m->service, &test_admin, id, action, "because", NULL, &m->error);
}

static enum service_result
commission_do(struct money *m, int64_t id, const char *action)
{
    return commission_act(m->service, &test_admin, id, action, "because", NULL, &m->error);
}

static enum service_result
bundle(struct money *m, int64_t *payout)
{
    json_t             *object = NULL;
    enum service_result result = payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error);

    if (result == SERVICE_OK)
        *payout = take_id(object);
    return result;
}

static enum service_result
submit(struct money *m, int64_t payout)
{
    return payout_submit(m->service, &test_admin, payout, NULL, &m->error);
}

static enum service_result
pay(struct money *m, int64_t payout, const char *reference)
{
    return payout_pay(m->service, &test_admin, payout, reference, NULL, NULL, NULL, &m->error);
}

static enum service_result
cancel(struct money *m, int64_t payout)
{
    return payout_cancel(m->service, &test_admin, payout, "a mistake", NULL, &m->error);
}

/* A sale, approved: its referral. */
static int64_t
approved_sale(struct money *m, const char *amount)
{
    int64_t referral = sell(m, amount, NULL);

    must(m, referral_do(m, referral, "approve"));
    return referral;
}

static int64_t
commission_id(struct money *m, int64_t referral)
{
    return take_id(commission_of(m, referral));
}

static int64_t
paid_sale(struct money *m, const char *amount, const char *reference)
{
    int64_t referral = approved_sale(m, amount), payout;

    must(m, bundle(m, &payout));
    must(m, submit(m, payout));
    must(m, pay(m, payout, reference));
    return referral;
}

static int64_t
states(struct money *m, const char *table, const char *state)
{
    return number(m, "SELECT COUNT(*) AS n FROM %s WHERE status = '%s'", table, state);
}

/* ---- every refusal of a decision ---- */

static void
test_decisions_that_are_refused(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL), commission = commission_id(m, referral), payout;

    must_refuse(m, referral_do(m, 4711, "approve"), "not_found");
    must_refuse(m, commission_do(m, 4711, "approve"), "not_found");
    must_blame(m, referral_do(m, referral, "pay"), "action");
    must_blame(m, commission_do(m, commission, "reopen"), "action");
    must_blame(m, referral_act(m->service, &test_admin, referral, "reject", NULL, NULL, &m->error), "reason");
    must_blame(m, referral_act(m->service, &test_admin, referral, "reject", "", NULL, &m->error), "reason");
    must_blame(m, referral_act(m->service, &test_admin, referral, "reopen", NULL, NULL, &m->error), "reason");
    must_blame(m, commission_act(m->service, &test_admin, commission, "reject", NULL, NULL, &m->error), "reason");

    must(m, referral_do(m, referral, "approve"));
    must_refuse(m, referral_do(m, referral, "reopen"), "illegal_state");

    must(m, bundle(m, &payout));
    must_refuse(m, referral_do(m, referral, "reject"), "illegal_state");
    must_refuse(m, commission_do(m, commission, "reject"), "illegal_state");
    must_refuse(m, commission_do(m, commission, "approve"), "illegal_state");
    must(m, cancel(m, payout));
    must(m, referral_do(m, referral, "reject"));
    must_refuse(m, referral_do(m, referral, "approve"), "illegal_state");
    must_refuse(m, commission_do(m, commission, "approve"), "illegal_state");
    assert_int_equal(balance(m, "pending") | balance(m, "payable") | balance(m, "in_transit") | balance(m, "paid"), 0);
    must_verify(m);
}

/*
 * Deciding again what is decided is no error and leaves no trace: people click twice, and a referral's
 * approval has approved its commission.
 */
static void
test_a_decision_made_already(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL), commission = commission_id(m, referral), rows;
    const char   *all = "SELECT (SELECT COUNT(*) FROM audit_log) + (SELECT COUNT(*) FROM state_changes)"
                        " + (SELECT COUNT(*) FROM ledger_legs) AS n";

    must(m, referral_do(m, referral, "approve"));
    rows = test_int(m->base.pool, all);
    must(m, referral_do(m, referral, "approve"));
    must(m, commission_do(m, commission, "approve"));
    assert_int_equal(test_int(m->base.pool, all), rows);

    must(m, referral_do(m, referral, "reject"));
    rows = test_int(m->base.pool, all);
    must(m, referral_do(m, referral, "reject"));
    must(m, commission_do(m, commission, "reject"));
    assert_int_equal(test_int(m->base.pool, all), rows);
    must_verify(m);
}

/* A refusal leaves no trace: no audit row, no history, no posting. */
static void
test_a_refusal_writes_nothing(void **state)
{
    struct money *m = *state;
    int64_t       referral = approved_sale(m, "100.00"), payout, rows;
    const char   *all = "SELECT (SELECT COUNT(*) FROM audit_log) + (SELECT COUNT(*) FROM state_changes)"
                        " + (SELECT COUNT(*) FROM ledger_legs) + (SELECT COUNT(*) FROM payout_items) AS n";

    must(m, bundle(m, &payout));
    rows = test_int(m->base.pool, all);
    must_refuse(m, referral_do(m, referral, "reject"), "illegal_state");
    must_refuse(m, pay(m, payout, "B1"), "illegal_state");
    must_refuse(m, bundle(m, &payout), "nothing_due");
    assert_int_equal(test_int(m->base.pool, all), rows);
    must_verify(m);
}

static void
test_payouts_that_are_refused(void **state)
{
    struct money *m = *state;
    int64_t       payout, other;
    char          long_reference[200];

    memset(long_reference, 'R', sizeof(long_reference) - 1);
    long_reference[sizeof(long_reference) - 1] = '\0';
    must_refuse(m, bundle(m, &payout), "nothing_due");
    sell(m, "100.00", NULL);
    must_refuse(m, bundle(m, &payout), "nothing_due"); /* only pending */
    approved_sale(m, "100.00");
    must_blame(m, payout_create(m->service, &test_admin, 4711, NULL, NULL, &m->error), "affiliate_id");
    must_blame(m, payout_create(m->service, &test_admin, m->affiliate, "XYZ", NULL, &m->error), "currency");
    must_refuse(m, payout_create(m->service, &test_admin, m->affiliate, "USD", NULL, &m->error), "nothing_due");

    must(m, bundle(m, &payout));
    must_refuse(m, bundle(m, &other), "nothing_due");
    must_refuse(m, pay(m, payout, "B1"), "illegal_state"); /* a draft */
    must(m, submit(m, payout));
    must_refuse(m, submit(m, payout), "illegal_state");
    must_blame(m, pay(m, payout, NULL), "reference");
    must_blame(m, pay(m, payout, ""), "reference");
    must_blame(m, pay(m, payout, long_reference), "reference");
    must_blame(m, pay(m, payout, "two\nlines"), "reference");
    must_blame(m, payout_pay(m->service, &test_admin, payout, "B1", "tomorrow", NULL, NULL, &m->error), "paid_at");
    must_blame(m, payout_pay(m->service, &test_admin, payout, "B1", "2024-05-02", NULL, NULL, &m->error), "paid_at");
    must_blame(m, payout_cancel(m->service, &test_admin, payout, NULL, NULL, &m->error), "reason");
    must_blame(m, payout_cancel(m->service, &test_admin, payout, "", NULL, &m->error), "reason");
    must(m, pay(m, payout, "B1"));
    must_refuse(m, pay(m, payout, "B2"), "illegal_state");
    must_refuse(m, cancel(m, payout), "illegal_state");
    must_refuse(m, submit(m, payout), "illegal_state");

    approved_sale(m, "10.00");
    must(m, bundle(m, &other));
    must(m, submit(m, other));
    must_refuse(m, pay(m, other, "B1"), "reference_used");
    must(m, pay(m, other, "B2"));
    must_refuse(m, submit(m, 4711), "not_found");
    must_refuse(m, pay(m, 4711, "B3"), "not_found");
    must_refuse(m, cancel(m, 4711), "not_found");
    must_verify(m);
}

static void
set_status(struct money *m, const char *action)
{
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, action, NULL, NULL, &m->error));
}

static void
test_who_is_paid(void **state)
{
    struct money *m = *state;
    int64_t       payout;

    approved_sale(m, "100.00");
    set_status(m, "suspend");
    must_refuse(m, bundle(m, &payout), "affiliate_suspended");
    set_status(m, "terminate"); /* what was approved can still be paid */
    must(m, bundle(m, &payout));
    must(m, cancel(m, payout));
    set_status(m, "approve");
    must(m, bundle(m, &payout));

    /* A draft is held with the rest; a payout that went out before may still be booked. */
    set_status(m, "suspend");
    must_refuse(m, submit(m, payout), "affiliate_suspended");
    set_status(m, "approve");
    must(m, submit(m, payout));
    set_status(m, "suspend");
    must(m, pay(m, payout, "B1"));
    must_verify(m);
}

static void
edit_group(struct money *m, const char *patch_text)
{
    json_t *patch = json_of("%s", patch_text);

    must(m, group_edit(m->service, &test_admin, m->group, 0, patch, NULL, &m->error));
    json_decref(patch);
    test_clock_us += SECOND_US;
}

static void
test_the_minimum(void **state)
{
    struct money *m = *state;
    int64_t       payout;
    json_t       *object;

    edit_group(m, "{\"minimum_payout\":{\"amount\":\"30.00\",\"currency\":\"EUR\"}}");
    approved_sale(m, "149.95"); /* 29.99 */
    must_refuse(m, bundle(m, &payout), "below_minimum");
    assert_non_null(strstr(m->error.message, "30.00 EUR"));
    approved_sale(m, "0.05"); /* 0.01 */
    must(m, bundle(m, &payout));
    must(m, payout_get(m->service, payout, &object, &m->error));
    assert_string_equal(amount_of(object, "amount"), "30.00");
    assert_string_equal(amount_of(object, "minimum"), "30.00");
    json_decref(object);

    /* A minimum that is raised later does not touch what was made before. */
    edit_group(m, "{\"minimum_payout\":{\"amount\":\"500.00\",\"currency\":\"EUR\"}}");
    must(m, submit(m, payout));
    must_verify(m);
}

static void
test_hold_days(void **state)
{
    struct money *m = *state;
    int64_t       payout;
    json_t       *commission;

    edit_group(m, "{\"commission\":{\"type\":\"percentage\",\"percentage\":\"20\",\"hold_days\":14}}");
    int64_t referral = approved_sale(m, "100.00");
    must_refuse(m, bundle(m, &payout), "nothing_due");
    test_clock_us += 14 * DAY_US - 1;
    must_refuse(m, bundle(m, &payout), "nothing_due");
    test_clock_us += 1;
    must(m, bundle(m, &payout));

    /* Once released it needs no second hold. */
    must(m, cancel(m, payout));
    must(m, bundle(m, &payout));
    commission = commission_of(m, referral);
    assert_string_equal(text_of(commission, "payable_at"), "2024-05-15T12:00:02.000000Z");
    json_decref(commission);
    must_verify(m);
}

static void
test_currencies_never_meet(void **state)
{
    struct money *m = *state;
    json_t       *object;

    approved_sale(m, "100.00");
    tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .amount = "1000", .currency = "JPY" });
    derive_all(m);
    must(m, referral_do(m, test_int(m->base.pool, "SELECT MAX(id) AS n FROM referrals"), "approve"));

    must(m, payout_create(m->service, &test_admin, m->affiliate, "JPY", &object, &m->error));
    assert_string_equal(amount_of(object, "amount"), "200");
    json_decref(object);
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error));
    assert_string_equal(amount_of(object, "amount"), "20.00");
    json_decref(object);
    must_verify(m);
}

/* ---- taking back ---- */

static void
test_a_cancelled_payout_gives_back(void **state)
{
    struct money *m = *state;
    int64_t       first, second;
    json_t       *object;

    approved_sale(m, "100.00");
    approved_sale(m, "50.00");
    must(m, bundle(m, &first));
    must(m, submit(m, first));
    must(m, cancel(m, first));
    assert_int_equal(states(m, "commissions", "approved"), 2);
    assert_int_equal(balance(m, "payable"), -3000);
    assert_int_equal(balance(m, "in_transit"), 0);

    approved_sale(m, "10.00");
    must(m, bundle(m, &second));
    must(m, payout_get(m->service, second, &object, &m->error));
    assert_string_equal(amount_of(object, "amount"), "32.00");
    json_decref(object);
    must(m, payout_get(m->service, first, &object, &m->error));
    assert_string_equal(text_of(object, "status"), "cancelled");
    assert_string_equal(text_of(object, "reason"), "a mistake");
    json_decref(object);
    must_verify(m);
}

/* docs/ledger.md shows these numbers. */
static void
test_a_reversal_is_netted_with_what_comes_next(void **state)
{
    struct money *m = *state;
    int64_t       referral = paid_sale(m, "100.00", "B1"), payout;
    json_t       *object;

    must(m, referral_do(m, referral, "reject"));
    assert_int_equal(balance(m, "payable"), 2000); /* we are owed */
    object = commission_of(m, referral);
    assert_string_equal(text_of(object, "kind"), "reversal");
    assert_string_equal(text_of(object, "status"), "approved");
    assert_string_equal(amount_of(object, "amount"), "-20.00");
    must_refuse(m, commission_do(m, id_of(object), "reject"), "is_reversal");
    must_refuse(m, commission_do(m, id_of(object), "approve"), "is_reversal");
    json_decref(object);
    must_refuse(m, bundle(m, &payout), "nothing_due");

    approved_sale(m, "100.00"); /* just makes it even */
    must_refuse(m, bundle(m, &payout), "nothing_due");
    approved_sale(m, "25.00");
    must(m, bundle(m, &payout));
    must(m, payout_get(m->service, payout, &object, &m->error));
    assert_string_equal(amount_of(object, "amount"), "5.00");
    assert_int_equal(json_integer_value(json_object_get(object, "item_count")), 3);
    json_decref(object);
    must(m, submit(m, payout));
    must(m, pay(m, payout, "B2"));
    assert_int_equal(balance(m, "payable"), 0);
    assert_int_equal(balance(m, "paid"), -2500);
    assert_int_equal(states(m, "commissions", "paid"), 4);
    must_verify(m);
}

/* Paid, rejected, reopened, approved, paid again, rejected again: each time the sum is what stands. */
static void
test_round_and_round(void **state)
{
    struct money *m = *state;
    int64_t       referral = paid_sale(m, "100.00", "B1"), payout;
    char          reference[16];

    for (int i = 2; i < 6; i++) {
        must(m, referral_do(m, referral, "reject"));
        assert_int_equal(balance(m, "payable"), 2000);
        must(m, referral_do(m, referral, "reopen"));
        assert_int_equal(balance(m, "pending"), -2000);
        must(m, referral_do(m, referral, "approve"));
        assert_int_equal(balance(m, "payable"), 0);
        must_refuse(m, bundle(m, &payout), "nothing_due"); /* the old payment stands for the new commission */
        approved_sale(m, "50.00");
        must(m, bundle(m, &payout));
        must(m, submit(m, payout));
        snprintf(reference, sizeof(reference), "B%d", i);
        must(m, pay(m, payout, reference));
        assert_int_equal(balance(m, "paid"), -2000 - (i - 1) * 1000);
        must_verify(m);
    }
    must(m, referral_do(m, referral, "reject"));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE kind = 'reversal' AND referral_id = %lld",
                            (long long) referral), 5);
    must_verify(m);
}

static void
test_reject_and_reopen_before_payment(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL);

    for (int i = 0; i < 3; i++) {
        must(m, referral_do(m, referral, "reject"));
        assert_int_equal(balance(m, "pending") + balance(m, "payable"), 0);
        must(m, referral_do(m, referral, "reopen"));
        assert_int_equal(balance(m, "pending"), -2000);
        if (i == 1)
            must(m, referral_do(m, referral, "approve"));
    }
    assert_int_equal(number(m, "SELECT MAX(revision) AS n FROM commissions"), 3);
    must_verify(m);
}

static void
test_one_commission_of_its_own(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL), commission = commission_id(m, referral);

    must(m, commission_do(m, commission, "approve"));
    assert_int_equal(balance(m, "payable"), -2000);
    must(m, commission_do(m, commission, "reject"));
    assert_int_equal(balance(m, "payable"), 0);
    must(m, referral_do(m, referral, "approve")); /* nothing is left for it to take along */
    assert_int_equal(balance(m, "payable"), 0);
    must(m, referral_do(m, referral, "reject"));
    must_verify(m);
}

/* ---- notes, and what is remembered ---- */

static void
test_notes_and_tags(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL);
    json_t       *patch = json_of("{\"notes\":\"call them\",\"tags\":[\"big\",\"new\"]}"), *object;
    const char   *bad[] = { "{\"notes\":1}", "{\"tags\":\"big\"}", "{\"tags\":[\"\"]}", "{\"tags\":[1]}", "{\"amount\":\"1\"}" };
    const char   *blamed[] = { "notes", "tags", "tags", "tags", "amount" };

    must(m, referral_edit(m->service, &test_admin, referral, 1, patch, &object, &m->error));
    assert_string_equal(text_of(object, "notes"), "call them");
    assert_int_equal(json_array_size(json_object_get(object, "tags")), 2);
    assert_int_equal(json_integer_value(json_object_get(object, "version")), 2);
    json_decref(object);
    must_refuse(m, referral_edit(m->service, &test_admin, referral, 1, patch, NULL, &m->error), "stale");
    must_refuse(m, referral_edit(m->service, &test_admin, 4711, 0, patch, NULL, &m->error), "not_found");
    json_decref(patch);
    for (size_t i = 0; i < 5; i++) {
        patch = json_of("%s", bad[i]);
        must_blame(m, referral_edit(m->service, &test_admin, referral, 0, patch, NULL, &m->error), blamed[i]);
        json_decref(patch);
    }
    must_verify(m);
}

static void
test_who_did_it_is_remembered(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", NULL);

    must(m, referral_act(m->service, &test_admin, referral, "reject", "bots", NULL, &m->error));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM state_changes WHERE object_type = 'commission'"
                               " AND from_state = 'pending' AND to_state = 'rejected' AND actor = 'staff:1'"
                               " AND reason = 'bots'"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM audit_log WHERE action = 'referral.reject'"
                               " AND actor = 'staff:1' AND reason = 'bots' AND object_id = '%lld'"
                               " AND before LIKE '%%\"status\":\"pending\"%%' AND after LIKE '%%\"status\":\"rejected\"%%'",
                            (long long) referral), 1);
    must_verify(m);
}

/* A payout's money is where the database says after the process has gone. */
/* Reopening earns anew, today: a suspended affiliate gets nothing by a detour. */
static void
test_reopening_for_a_suspended_affiliate(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", "a");

    must(m, referral_do(m, referral, "reject"));
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, "suspend", "fraud", NULL, &m->error));
    must_refuse(m, referral_do(m, referral, "reopen"), "affiliate_not_approved");
    assert_int_equal(balance(m, "pending"), 0);
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, "approve", NULL, NULL, &m->error));
    must(m, referral_do(m, referral, "reopen"));
    assert_int_equal(balance(m, "pending"), -2000);
    must_verify(m);
}

/* There is an end to it, and it is a refusal, not a failure; what stands can still be decided. */
static void
test_reopening_without_end(void **state)
{
    struct money       *m = *state;
    int64_t             referral = sell(m, "100.00", "a");
    enum service_result result = SERVICE_OK;
    int                 times;

    for (times = 0; times < 100 && result == SERVICE_OK; times++) {
        must(m, referral_do(m, referral, "reject"));
        result = referral_do(m, referral, "reopen");
    }
    assert_int_equal(result, SERVICE_CONFLICT);
    assert_string_equal(m->error.code, "too_many_revisions");
    assert_in_range(times, 20, 99);
    assert_int_equal(balance(m, "pending"), 0);
    must_verify(m);
}

static void
test_reopening_the_database(void **state)
{
    struct money *m = *state;
    int64_t       payout;

    paid_sale(m, "100.00", "B1");
    approved_sale(m, "30.00");
    must(m, bundle(m, &payout));
    db_pool_close(m->base.pool);
    test_database_reopen(&m->base);
    assert_int_equal(balance(m, "paid"), -2000);
    assert_int_equal(balance(m, "in_transit"), -600);
    must_verify(m);
    must(m, submit(m, payout));
    must(m, pay(m, payout, "B2"));
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_from_click_to_paid),
        money_test(test_decisions_that_are_refused),
        money_test(test_a_decision_made_already),
        money_test(test_a_refusal_writes_nothing),
        money_test(test_payouts_that_are_refused),
        money_test(test_who_is_paid),
        money_test(test_the_minimum),
        money_test(test_hold_days),
        money_test(test_currencies_never_meet),
        money_test(test_a_cancelled_payout_gives_back),
        money_test(test_a_reversal_is_netted_with_what_comes_next),
        money_test(test_round_and_round),
        money_test(test_reject_and_reopen_before_payment),
        money_test(test_reopening_for_a_suspended_affiliate),
        money_test(test_reopening_without_end),
        money_test(test_one_commission_of_its_own),
        money_test(test_notes_and_tags),
        money_test(test_who_did_it_is_remembered),
        money_test(test_reopening_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
