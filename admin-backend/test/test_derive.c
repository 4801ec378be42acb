/*
 * From facts to pending commissions: repeated, conflicting, late and parked
 * facts, who a conversion belongs to, and which plan pays it.
 *
 * What could break: the same sale paid twice (a partner's retry, a doubled
 * postback), a sale lost because its click came later than itself, a rate from
 * the wrong plan or the wrong time, a fact that stops all others.
 */
#include "test_money.h"

#include "tracker_attribution.h"

static int64_t
outcomes(struct money *m, const char *outcome)
{
    return number(m, "SELECT COUNT(*) AS n FROM conversion_facts WHERE outcome = '%s'", outcome);
}

static int64_t
rows(struct money *m, const char *table)
{
    return number(m, "SELECT COUNT(*) AS n FROM %s", table);
}

/* The newest referral, new reference. */
static json_t *
last_referral(struct money *m)
{
    json_t *referral = NULL;

    must(m, referral_get(m->service, number(m, "SELECT MAX(id) AS n FROM referrals"), &referral, &m->error));
    return referral;
}

static const char *
verdict_of(const json_t *referral)
{
    return text_of(json_object_get(json_object_get(referral, "why"), "commission"), "verdict");
}

/* The newest commission's amount in minor units, or 0 when the newest referral has none. */
static int64_t
earned(struct money *m)
{
    return number(m, "SELECT COALESCE(SUM(amount_minor), 0) AS n FROM commissions WHERE referral_id ="
                     " (SELECT MAX(id) FROM referrals)");
}

/* ---- once ---- */

static void
test_the_same_again_changes_nothing(void **state)
{
    struct money *m = *state;
    struct sale   sale = { .click = click(m, m->link, 0, NULL), .txid = "order-1", .amount = "100.00" };

    for (int i = 0; i < 5; i++) {
        tell(m, &sale);
        if (i % 2 == 0)
            derive_all(m);
    }
    derive_all(m);
    assert_int_equal(rows(m, "conversions"), 1);
    assert_int_equal(rows(m, "referrals"), 1);
    assert_int_equal(rows(m, "commissions"), 1);
    assert_int_equal(outcomes(m, "converted"), 1);
    assert_int_equal(outcomes(m, "repeated"), 4);
    assert_int_equal(balance(m, "pending"), -2000);

    /* A repetition may say less. */
    tell(m, &(struct sale){ .txid = "order-1" });
    derive_all(m);
    assert_int_equal(outcomes(m, "repeated"), 5);
    must_verify(m);
}

static void
test_without_txid_a_click_sells_once_per_event(void **state)
{
    struct money *m = *state;
    const char   *id = click(m, m->link, 0, NULL);

    tell(m, &(struct sale){ .click = id, .amount = "10.00" });
    tell(m, &(struct sale){ .click = id, .amount = "10.00" });
    tell(m, &(struct sale){ .click = id, .amount = "10.00", .event = "ftd" });
    derive_all(m);
    assert_int_equal(rows(m, "conversions"), 2);
    assert_int_equal(outcomes(m, "repeated"), 1);
    must_verify(m);
}

/* Nothing names them: taking one for a repetition of the other would lose a sale. */
static void
test_without_click_and_txid_each_is_its_own(void **state)
{
    struct money *m = *state;

    tell(m, &(struct sale){ .amount = "10.00" });
    tell(m, &(struct sale){ .amount = "10.00" });
    derive_all(m);
    assert_int_equal(rows(m, "conversions"), 2);
    assert_int_equal(outcomes(m, "unattributed"), 2);
    assert_int_equal(rows(m, "referrals"), 0);
    must_verify(m);
}

static void
test_a_contradiction_is_kept_for_review(void **state)
{
    struct money *m = *state;
    char          first[TRACKER_CLICK_ID_LEN + 1];

    memcpy(first, click(m, m->link, 0, NULL), sizeof(first));
    const struct sale others[] = {
        { .click = first, .txid = "order-1", .amount = "100.01" },
        { .click = first, .txid = "order-1", .amount = "100.00", .currency = "USD" },
        { .click = click(m, m->link, 0, NULL), .txid = "order-1", .amount = "100.00" },
    };
    tell(m, &(struct sale){ .click = first, .txid = "order-1", .amount = "100.00" });
    for (size_t i = 0; i < 3; i++)
        tell(m, &others[i]);
    derive_all(m);
    assert_int_equal(rows(m, "conversions"), 1);
    assert_int_equal(outcomes(m, "conflict"), 3);
    assert_int_equal(rows(m, "conversion_conflicts"), 3);
    assert_int_equal(balance(m, "pending"), -2000);
    must_verify(m);
}

/* ---- what the advertiser says later ---- */

static void
tell_status(struct money *m, const char *txid, enum tracker_conversion_status status)
{
    tell(m, &(struct sale){ .txid = txid, .status = status });
    derive_all(m);
}

static void
test_the_advertiser_rejects(void **state)
{
    struct money *m = *state;
    json_t       *referral;

    sell(m, "100.00", "a");
    tell_status(m, "a", TRACKER_CONVERSION_APPROVED);
    assert_int_equal(outcomes(m, "status_moved"), 1);
    tell_status(m, "a", TRACKER_CONVERSION_REJECTED);
    assert_int_equal(outcomes(m, "status_moved"), 2);
    referral = last_referral(m);
    assert_string_equal(text_of(referral, "status"), "rejected");
    json_decref(referral);
    assert_int_equal(balance(m, "pending"), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM audit_log WHERE action = 'referral.reject' AND actor = 'system'"),
                     1);

    /* What was rejected stays so; a person decides. */
    tell_status(m, "a", TRACKER_CONVERSION_APPROVED);
    assert_int_equal(outcomes(m, "conflict"), 1);
    tell_status(m, "a", TRACKER_CONVERSION_REJECTED);
    assert_int_equal(outcomes(m, "repeated"), 1);

    /* Rejected from the start: a referral that says so, and nothing earned. */
    tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .txid = "b", .amount = "5.00",
                            .status = TRACKER_CONVERSION_REJECTED });
    derive_all(m);
    referral = last_referral(m);
    assert_string_equal(text_of(referral, "status"), "rejected");
    assert_string_equal(verdict_of(referral), "rejected_by_advertiser");
    json_decref(referral);
    assert_int_equal(earned(m), 0);
    must_verify(m);
}

/* While a payout holds the money nobody knows whether it left: the rejection waits, then takes back what was paid. */
static void
test_the_advertiser_rejects_what_is_being_paid(void **state)
{
    struct money *m = *state;
    int64_t       referral = sell(m, "100.00", "a");
    json_t       *payout;

    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, NULL, &m->error));
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &payout, &m->error));
    tell_status(m, "a", TRACKER_CONVERSION_REJECTED);
    assert_int_equal(outcomes(m, "parked"), 1);
    assert_int_equal(balance(m, "in_transit"), -2000);
    must_verify(m);

    must(m, payout_submit(m->service, &test_admin, id_of(payout), NULL, &m->error));
    must(m, payout_pay(m->service, &test_admin, id_of(payout), "B1", NULL, NULL, NULL, &m->error));
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 1); /* not yet its time */
    test_clock_us += 2 * 3600 * SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "status_moved"), 1);
    assert_int_equal(balance(m, "paid"), -2000);
    assert_int_equal(balance(m, "payable"), 2000);
    json_decref(payout);
    must_verify(m);
}

/* ---- whose it is ---- */

static void
test_a_click_that_proves_nothing(void **state)
{
    struct money *m = *state;
    char          id[TRACKER_CLICK_ID_LEN + 1];

    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    id[20] = id[20] == 'A' ? 'B' : 'A';
    tell(m, &(struct sale){ .click = id, .txid = "forged", .amount = "10.00" });
    tell(m, &(struct sale){ .click = "short", .txid = "short", .amount = "10.00" });
    tell(m, &(struct sale){ .amount = "10.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "unattributed"), 3);
    assert_int_equal(rows(m, "conversions"), 3);
    assert_int_equal(rows(m, "referrals"), 0);

    name_click(m, 4711, test_now_us() / 1000, 1, id);
    tell(m, &(struct sale){ .click = id, .txid = "no such link", .amount = "10.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "unattributed"), 4);
    must_verify(m);
}

static void
test_the_window(void **state)
{
    struct money  *m = *state;
    const uint64_t now_ms = test_now_us() / 1000, window_ms = UINT64_C(30) * 86400000;
    const struct {
        uint64_t click_ms;
        bool     earns;
    } cases[] = {
        { now_ms - window_ms, true },
        { now_ms - window_ms - 1, false },
        { now_ms, true },
        { now_ms + TRACKER_CLOCK_SKEW_MS, true },
        { now_ms + TRACKER_CLOCK_SKEW_MS + 1, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t before = rows(m, "commissions");

        tell(m, &(struct sale){ .click = click(m, m->link, cases[i].click_ms, NULL), .amount = "10.00" });
        derive_all(m);
        assert_int_equal(rows(m, "commissions") - before, cases[i].earns);
    }
    must_verify(m);

    /* A window that is shortened later takes nothing back, and verify still finds the touch within the one of then. */
    json_t *patch = json_of("{\"window_days\":1}");
    must(m, campaign_edit(m->service, &test_admin, m->campaign, 0, patch, NULL, &m->error));
    json_decref(patch);
    must_verify(m);
}

static void
test_first_and_last_touch(void **state)
{
    struct money *m = *state;
    int64_t       bob = make_affiliate(m, "bob", "approved", m->group), theirs = make_link(m, bob, m->campaign);
    const struct {
        const char *rule;
        uint64_t    first_days_ago;
        int64_t     winner;
        const char *source;
    } cases[] = {
        { "last", 2, m->affiliate, "click_id" },
        { "first", 2, bob, "click_first" },
        { "first", 31, m->affiliate, "click_id" }, /* the first touch is over its window */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char    first[TRACKER_CLICK_ID_LEN + 1];
        json_t *patch = json_of("{\"attribution\":\"%s\"}", cases[i].rule), *settings, *referral, *why;

        must(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error));
        json_decref(patch);
        json_decref(settings);
        memcpy(first, click(m, theirs, (test_now_us() - cases[i].first_days_ago * DAY_US) / 1000, NULL), sizeof(first));
        tell(m, &(struct sale){ .click = click(m, m->link, 0, first), .amount = "10.00" });
        derive_all(m);

        referral = last_referral(m);
        why = json_object_get(referral, "why");
        assert_int_equal(strtoll(text_of(referral, "affiliate_id"), NULL, 10), cases[i].winner);
        assert_int_equal(json_array_size(json_object_get(why, "touches")), 2);
        for (size_t j = 0; j < 2; j++) {
            json_t *touch = json_array_get(json_object_get(why, "touches"), j);
            bool    won = strcmp(text_of(touch, "verdict"), "won") == 0;

            assert_int_equal(won, strcmp(text_of(touch, "source"), cases[i].source) == 0);
            assert_int_equal(won, strcmp(text_of(touch, "click_id"), text_of(referral, "click_id")) == 0);
        }
        json_decref(referral);
    }
    must_verify(m);
}

/* A click that its journal refused is numbered by the drops: the click that has this number is somebody else's. */
static void
test_an_unrecorded_click_has_no_other_ones_first_touch(void **state)
{
    struct money           *m = *state;
    int64_t                 bob = make_affiliate(m, "bob", "approved", m->group), theirs = make_link(m, bob, m->campaign);
    char                    first[TRACKER_CLICK_ID_LEN + 1], id[TRACKER_CLICK_ID_LEN + 1];
    struct tracker_click_id refused = { .time_ms = test_now_us() / 1000, .link = (uint32_t) m->link,
                                        .journal = tracker_journal_id_short(&m->traffic.uuid),
                                        .key = m->base.keys.current, .recorded = false };
    json_t                 *patch = json_of("{\"attribution\":\"first\"}"), *settings, *referral;

    must(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error));
    json_decref(patch);
    json_decref(settings);
    memcpy(first, click(m, theirs, 0, NULL), sizeof(first));
    refused.sequence = (uint32_t) m->traffic.at.next;
    click(m, m->link, 0, first);

    tracker_click_id_encode(&m->base.keys, &refused, id);
    id[TRACKER_CLICK_ID_LEN] = '\0';
    tell(m, &(struct sale){ .click = id, .amount = "10.00" });
    derive_all(m);
    referral = last_referral(m);
    assert_int_equal(strtoll(text_of(referral, "affiliate_id"), NULL, 10), m->affiliate);
    assert_int_equal(json_array_size(json_object_get(json_object_get(referral, "why"), "touches")), 1);
    json_decref(referral);
    must_verify(m);
}

/* Owner and campaign as of the click's time: a link that changes hands takes no earlier click along. */
static void
test_a_link_that_changed_hands(void **state)
{
    struct money *m = *state;
    int64_t       bob = make_affiliate(m, "bob", "approved", m->group);
    uint64_t      before_ms = test_now_us() / 1000;
    json_t       *patch = json_of("{\"affiliate_id\":\"%lld\"}", (long long) bob);

    test_clock_us += 60 * SECOND_US;
    must(m, link_edit(m->service, &test_admin, m->link, 0, patch, NULL, &m->error));
    json_decref(patch);
    test_clock_us += 60 * SECOND_US;
    tell(m, &(struct sale){ .click = click(m, m->link, before_ms, NULL), .amount = "10.00" });
    tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .amount = "20.00" });
    /* An edge whose clock is a day slow clicked before the link was made: it is its first owner's. */
    tell(m, &(struct sale){ .click = click(m, m->link, before_ms - 86400000, NULL), .amount = "40.00" });
    derive_all(m);
    assert_int_equal(number(m, "SELECT SUM(amount_minor) AS n FROM referrals WHERE affiliate_id = %lld", (long long) bob),
                     2000);
    assert_int_equal(number(m, "SELECT SUM(amount_minor) AS n FROM referrals WHERE affiliate_id = %lld",
                            (long long) m->affiliate), 5000);
    must_verify(m);
}

static void
test_who_is_not_approved_earns_nothing(void **state)
{
    static const char *const states[] = { "pending", "suspended", "terminated" };
    struct money            *m = *state;

    for (size_t i = 0; i < 3; i++) {
        int64_t who = make_affiliate(m, states[i], states[i], m->group);
        json_t *referral;

        sell_on(m, make_link(m, who, m->campaign), "100.00", states[i]);
        referral = last_referral(m);
        assert_string_equal(text_of(referral, "status"), "pending");
        assert_string_equal(verdict_of(referral), "affiliate_not_approved");
        assert_int_equal(earned(m), 0);
        json_decref(referral);
    }
    assert_int_equal(rows(m, "referrals"), 3);
    must_verify(m);
}

/* What happened while he was approved is earned, however late it is told; what happened while not is never. */
static void
test_the_status_of_the_events_time(void **state)
{
    struct money *m = *state;
    char          id[TRACKER_CLICK_ID_LEN + 1];
    uint64_t      approved_ms = test_now_us() / 1000, suspended_ms;

    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    test_clock_us += 60 * SECOND_US;
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, "suspend", "looks odd", NULL, &m->error));
    suspended_ms = test_now_us() / 1000;
    tell(m, &(struct sale){ .click = id, .txid = "before", .amount = "100.00", .event_time_ms = approved_ms });
    tell(m, &(struct sale){ .click = id, .txid = "first moment", .amount = "100.00", .event_time_ms = suspended_ms });
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions"), 1);
    assert_int_equal(balance(m, "pending"), -2000);

    test_clock_us += 60 * SECOND_US;
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, "approve", NULL, NULL, &m->error));
    tell(m, &(struct sale){ .click = id, .txid = "while", .amount = "100.00", .event_time_ms = suspended_ms + 1 });
    derive_all(m);
    assert_int_equal(earned(m), 0);
    tell(m, &(struct sale){ .click = id, .txid = "after", .amount = "100.00" });
    derive_all(m);
    assert_int_equal(earned(m), 2000);
    must_verify(m);
}

/* ---- waiting for the click ---- */

static void
test_a_conversion_before_its_click(void **state)
{
    struct money *m = *state;
    char          id[TRACKER_CLICK_ID_LEN + 1];

    name_click(m, m->link, test_now_us() / 1000, m->traffic.at.next, id);
    tell(m, &(struct sale){ .click = id, .txid = "early", .amount = "10.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 1);
    assert_int_equal(rows(m, "conversions"), 0);

    click(m, m->link, 0, NULL);
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 1); /* it sleeps for half a second */
    test_clock_us += SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 1);
    assert_int_equal(earned(m), 200);
    must_verify(m);
}

/* A click that never comes (its edge burnt down) proves itself: after ten minutes that is enough. */
static void
test_a_click_that_never_comes(void **state)
{
    struct money           *m = *state;
    char                    id[TRACKER_CLICK_ID_LEN + 1];
    struct tracker_click_id unknown = { .time_ms = test_now_us() / 1000, .journal = 77, .sequence = 1,
                                        .link = (uint32_t) m->link, .key = m->base.keys.current, .recorded = true };

    tracker_click_id_encode(&m->base.keys, &unknown, id);
    id[TRACKER_CLICK_ID_LEN] = '\0';
    tell(m, &(struct sale){ .click = id, .amount = "10.00" });
    for (int i = 0; i < 9; i++) {
        derive_all(m);
        assert_int_equal(outcomes(m, "parked"), 1);
        test_clock_us += 60 * SECOND_US;
    }
    test_clock_us += 10 * 60 * SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 1);

    /* One that the journal refused says so itself: nothing to wait for. */
    unknown.recorded = false;
    tracker_click_id_encode(&m->base.keys, &unknown, id);
    tell(m, &(struct sale){ .click = id, .amount = "10.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 2);
    must_verify(m);
}

/* "Order 17 is approved", from another edge, before order 17: it waits for it, and does not stand in its place. */
static void
test_a_word_before_its_conversion(void **state)
{
    struct money *m = *state;

    tell_status(m, "order-17", TRACKER_CONVERSION_APPROVED);
    assert_int_equal(outcomes(m, "parked"), 1);
    test_clock_us += SECOND_US;
    tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .txid = "order-17", .amount = "10.00" });
    derive_all(m);
    test_clock_us += SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 1);
    assert_int_equal(outcomes(m, "status_moved"), 1);
    assert_int_equal(earned(m), 200);

    /* One that speaks of nothing that ever comes is a conversion of nobody. */
    tell_status(m, "order-18", TRACKER_CONVERSION_APPROVED);
    test_clock_us += 15 * 60 * SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "unattributed"), 1);
    must_verify(m);
}

/* ---- which plan ---- */

static void
set_plan(struct money *m, const char *scope, const char *commission)
{
    json_t *patch = json_of("{\"commission\":%s}", commission), *object = NULL;

    test_clock_us += SECOND_US;
    if (strcmp(scope, "affiliate") == 0)
        must(m, affiliate_edit(m->service, &test_admin, m->affiliate, 0, patch, &object, &m->error));
    else if (strcmp(scope, "group") == 0)
        must(m, group_edit(m->service, &test_admin, m->group, 0, patch, &object, &m->error));
    else
        must(m, settings_edit(m->service, &test_admin, 0, patch, &object, &m->error));
    json_decref(object);
    json_decref(patch);
    test_clock_us += SECOND_US;
}

static void
test_the_narrowest_plan_wins(void **state)
{
    struct money *m = *state;

    set_plan(m, "program", "{\"type\":\"percentage\",\"percentage\":\"5\"}");
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 2000); /* the group's */
    set_plan(m, "affiliate", "{\"type\":\"fixed\",\"amount\":{\"amount\":\"7.50\",\"currency\":\"EUR\"}}");
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 750);
    set_plan(m, "affiliate", "null");
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 2000);
    set_plan(m, "group", "null");
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 500);
    set_plan(m, "program", "null");
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 0);

    json_t *referral = last_referral(m);
    assert_string_equal(verdict_of(referral), "no_plan");
    json_decref(referral);
    must_verify(m);
}

static void
test_a_late_event_uses_the_plan_of_then(void **state)
{
    struct money *m = *state;
    uint64_t      then_ms = test_now_us() / 1000;
    char          id[TRACKER_CLICK_ID_LEN + 1];

    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    test_clock_us += 3 * DAY_US;
    set_plan(m, "group", "{\"type\":\"percentage\",\"percentage\":\"50\"}");
    tell(m, &(struct sale){ .click = id, .txid = "late", .amount = "100.00", .event_time_ms = then_ms });
    derive_all(m);
    assert_int_equal(earned(m), 2000);
    tell(m, &(struct sale){ .click = id, .txid = "now", .amount = "100.00" });
    derive_all(m);
    assert_int_equal(earned(m), 5000);

    /* Before there was any plan. */
    tell(m, &(struct sale){ .click = click(m, m->link, then_ms - 86400000, NULL), .txid = "older", .amount = "100.00",
                            .event_time_ms = then_ms - 86400000 });
    derive_all(m);
    assert_int_equal(earned(m), 0);
    must_verify(m);
}

/* A month takes its events for a day after its end; then they are posted in the month that runs, at the plan of then. */
static void
test_a_late_event_is_posted_in_the_open_period(void **state)
{
    static const struct {
        int64_t     late_s; /* after the end of May */
        const char *period;
    } cases[] = { { -1, "2024-05" }, { 86399, "2024-05" }, { 86401, "2024-06" }, { 40 * 86400, "2024-07" } };
    const uint64_t end_of_may_us = UINT64_C(1717200000000000);
    struct money  *m = *state;
    char           id[TRACKER_CLICK_ID_LEN + 1];

    test_clock_us = end_of_may_us - 2 * SECOND_US;
    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char txid[8];

        snprintf(txid, sizeof(txid), "%zu", i);
        test_clock_us = end_of_may_us + (uint64_t) (cases[i].late_s * (int64_t) SECOND_US);
        tell(m, &(struct sale){ .click = id, .txid = txid, .amount = "100.00",
                                .event_time_ms = end_of_may_us / 1000 - 1500 });
        derive_all(m);
        assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE period = '%s' AND id ="
                                   " (SELECT MAX(id) FROM commissions)", cases[i].period), 1);
    }
    assert_int_equal(rows(m, "commissions"), 4);
    must_verify(m);
}

static void
test_what_earns_nothing(void **state)
{
    struct money *m = *state;
    const struct {
        const char *amount, *verdict;
    } cases[] = {
        { NULL, "no_amount" },
        { "0.00", "rounds_to_zero" },
        { "0.02", "rounds_to_zero" }, /* 0.4 cents */
        { "-100.00", "negative_amount" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *referral;

        sell(m, cases[i].amount, NULL);
        referral = last_referral(m);
        assert_string_equal(verdict_of(referral), cases[i].verdict);
        json_decref(referral);
    }
    assert_int_equal(rows(m, "referrals"), 4);
    assert_int_equal(rows(m, "commissions"), 0);
    must_verify(m);
}

/* docs/commissions.md shows these numbers. */
static void
test_tiers_by_calendar_month(void **state)
{
    static const int64_t in_may[] = { 1000, 1000, 1500, 1500, 2000, 2000 };
    struct money        *m = *state;
    int64_t              second = 0;

    set_plan(m, "group",
             "{\"type\":\"tiered\",\"tiers\":[{\"from\":0,\"percentage\":\"10\"},{\"from\":2,\"percentage\":\"15\"},"
             "{\"from\":4,\"percentage\":\"20\"}]}");
    for (size_t i = 0; i < 6; i++) {
        int64_t referral = sell(m, "100.00", NULL);

        assert_int_equal(earned(m), in_may[i]);
        if (i == 1)
            second = referral;
    }

    /* What was taken back counts no longer, and counts once again when it is reopened: 5 earlier ones, then 6. */
    must(m, referral_act(m->service, &test_admin, second, "reject", "fraud", NULL, &m->error));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE status <> 'rejected'"), 5);
    must(m, referral_act(m->service, &test_admin, second, "reopen", "not fraud", NULL, &m->error));
    sell(m, "100.00", NULL);
    json_t *referral = last_referral(m), *why = json_object_get(json_object_get(referral, "why"), "commission");
    assert_string_equal(text_of(why, "percentage"), "20");
    assert_int_equal(json_integer_value(json_object_get(why, "earlier_in_period")), 6);
    json_decref(referral);

    test_clock_us += 31 * DAY_US; /* June starts from the first tier */
    sell(m, "100.00", NULL);
    assert_int_equal(earned(m), 1000);
    must_verify(m);
}

/* ---- trouble ---- */

/* A fact that cannot be derived is set aside after three tries; nobody waits for it. */
static void
test_a_poisoned_fact_stops_nobody(void **state)
{
    struct money *m = *state;
    int64_t       program = m->program;

    click(m, m->link, 0, NULL);
    m->program = 4711; /* no such program: a foreign key refuses the conversion */
    tell(m, &(struct sale){ .click = m->click, .txid = "poison", .amount = "10.00" });
    m->program = program;
    tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .txid = "good", .amount = "10.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 1);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(number(m, "SELECT tries AS n FROM conversion_facts WHERE txid = 'poison'"), i);
        assert_int_equal(outcomes(m, "failed"), i == 3);
        test_clock_us += 2 * SECOND_US;
        derive_all(m);
    }
    assert_int_equal(number(m, "SELECT tries AS n FROM conversion_facts WHERE txid = 'poison'"), 3);
    assert_int_equal(rows(m, "conversions"), 1);
    must_verify(m);
}

static void
test_a_limit_is_kept_and_work_goes_on(void **state)
{
    struct money *m = *state;

    for (int i = 0; i < 150; i++) {
        char txid[16];
        snprintf(txid, sizeof(txid), "t%d", i);
        tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .txid = txid, .amount = "1.00" });
    }
    assert_int_equal(money_derive(m->service, 70), 70);
    assert_int_equal(rows(m, "conversions"), 70);
    assert_int_equal(money_derive(m->service, 1000), 80);
    assert_int_equal(money_derive(m->service, 1000), 0);
    assert_int_equal(money_seal(m->service, 100), 100);
    assert_int_equal(money_seal(m->service, 100), 50);
    assert_int_equal(money_seal(m->service, 100), 0);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_the_same_again_changes_nothing),
        money_test(test_without_txid_a_click_sells_once_per_event),
        money_test(test_without_click_and_txid_each_is_its_own),
        money_test(test_a_contradiction_is_kept_for_review),
        money_test(test_the_advertiser_rejects),
        money_test(test_the_advertiser_rejects_what_is_being_paid),
        money_test(test_a_click_that_proves_nothing),
        money_test(test_the_window),
        money_test(test_first_and_last_touch),
        money_test(test_an_unrecorded_click_has_no_other_ones_first_touch),
        money_test(test_a_link_that_changed_hands),
        money_test(test_who_is_not_approved_earns_nothing),
        money_test(test_a_conversion_before_its_click),
        money_test(test_a_click_that_never_comes),
        money_test(test_a_word_before_its_conversion),
        money_test(test_the_narrowest_plan_wins),
        money_test(test_a_late_event_uses_the_plan_of_then),
        money_test(test_what_earns_nothing),
        money_test(test_tiers_by_calendar_month),
        money_test(test_the_status_of_the_events_time),
        money_test(test_a_late_event_is_posted_in_the_open_period),
        money_test(test_a_poisoned_fact_stops_nobody),
        money_test(test_a_limit_is_kept_and_work_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
