/*
 * Whose a conversion is, from facts to referrals: shares of first and last touch, coupons, customers, pixels.
 *
 * What could break: a share that is lost or paid twice, a coupon that pays after its end, a retargeting click that
 * steals somebody's depositing customer, a browser that claims what a server did not say.
 */
#include "test_money.h"

#include "service/conversion.h"

struct others {
    int64_t bob, theirs; /* and his link */
};

static struct others
with_bob(struct money *m)
{
    struct others others = { .bob = make_affiliate(m, "bob", "approved", m->group) };

    others.theirs = make_link(m, others.bob, m->campaign);
    return others;
}

static __attribute__((format(printf, 2, 3))) void
set(struct money *m, const char *format, ...)
{
    char    text[512];
    va_list args;
    json_t *settings;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *patch = json_of("%s", text);
    must(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error));
    json_decref(patch);
    json_decref(settings);
}

static int64_t
of(struct money *m, int64_t affiliate)
{
    return number(m, "SELECT COALESCE(SUM(amount_minor), 0) AS n FROM commissions WHERE affiliate_id = %lld"
                     " AND status <> 'rejected'", (long long) affiliate);
}

static int64_t
referrals(struct money *m, int64_t affiliate)
{
    return number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND superseded = 0",
                  (long long) affiliate);
}

static int64_t
outcomes(struct money *m, const char *outcome)
{
    return number(m, "SELECT COUNT(*) AS n FROM conversion_facts WHERE outcome = '%s'", outcome);
}

/* A visit of theirs, then one of ours: the click id of the second. */
static void
two_visits(struct money *m, int64_t theirs, char first[TRACKER_CLICK_ID_LEN + 1])
{
    memcpy(first, click(m, theirs, 0, NULL), TRACKER_CLICK_ID_LEN + 1);
    test_clock_us += SECOND_US;
    click(m, m->link, 0, first);
}

/* ---- both ---- */

static void
test_first_and_last_share(void **state)
{
    static const struct {
        const char *share, *amount;
        int64_t     first, last;
    } cases[] = {
        { "50", "100.00", 1000, 1000 },
        { "50", "0.05", 1, 0 },      /* one cent: a tie goes to the first touch */
        { "33.3333", "0.15", 1, 2 }, /* three cents */
        { "40", "100.03", 800, 1201 },
        { "0", "100.00", 0, 2000 },
        { "100", "100.00", 2000, 0 },
        { "0.0001", "0.05", 0, 1 },
    };
    struct money *m = *state;
    struct others other = with_bob(m);
    char          first[TRACKER_CLICK_ID_LEN + 1], txid[24];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t before[2] = { of(m, other.bob), of(m, m->affiliate) };

        set(m, "{\"attribution\":\"both\",\"first_share\":\"%s\"}", cases[i].share);
        two_visits(m, other.theirs, first);
        snprintf(txid, sizeof(txid), "t%zu", i);
        tell(m, &(struct sale){ .click = m->click, .amount = cases[i].amount, .txid = txid });
        derive_all(m);
        assert_int_equal(of(m, other.bob) - before[0], cases[i].first);
        assert_int_equal(of(m, m->affiliate) - before[1], cases[i].last);
        must_verify(m);
    }

    /* One affiliate twice is one whole; and so is who is alone in the window. */
    int64_t before = referrals(m, m->affiliate);
    two_visits(m, m->link, first);
    tell(m, &(struct sale){ .click = m->click, .amount = "100.00", .txid = "alone" });
    derive_all(m);
    assert_int_equal(referrals(m, m->affiliate), before + 1);
    assert_int_equal(number(m, "SELECT share_ppm AS n FROM referrals ORDER BY id DESC LIMIT 1"), 1000000);
    must_verify(m);
}

/* Each by his own plan; each goes his own way; a refund takes from both what is theirs. */
static void
test_shares_live_apart(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    json_t       *patch = json_of("{\"commission\":{\"type\":\"fixed\",\"amount\":{\"amount\":\"7.01\",\"currency\":\"EUR\"}}}");
    char          first[TRACKER_CLICK_ID_LEN + 1];
    int64_t       theirs;

    must(m, affiliate_edit(m->service, &test_admin, other.bob, 0, patch, NULL, &m->error));
    json_decref(patch);
    set(m, "{\"attribution\":\"both\"}");
    two_visits(m, other.theirs, first);
    tell(m, &(struct sale){ .click = m->click, .amount = "100.00", .txid = "a" });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 351);
    assert_int_equal(of(m, m->affiliate), 1000);

    theirs = number(m, "SELECT id AS n FROM referrals WHERE affiliate_id = %lld", (long long) other.bob);
    must(m, referral_act(m->service, &test_admin, theirs, "approve", NULL, NULL, &m->error));
    tell(m, &(struct sale){ .txid = "a", .refund_id = "r1", .amount = "50.00", .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 351); /* a fixed amount is for the order */
    assert_int_equal(of(m, m->affiliate), 500);
    must_verify(m);
    tell(m, &(struct sale){ .txid = "a", .status = TRACKER_CONVERSION_REJECTED });
    derive_all(m);
    assert_int_equal(of(m, other.bob) + of(m, m->affiliate), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE status = 'rejected'"), 2);
    must_verify(m);
}

/* ---- coupons and precedence ---- */

static int64_t
make_coupon(struct money *m, const char *code, int64_t affiliate, const char *more)
{
    return make(m, coupon_create, json_of("{\"code\":\"%s\",\"affiliate_id\":\"%lld\"%s}", code, (long long) affiliate,
                                          more));
}

static void
test_a_coupon_decides_where_nothing_else_does(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    json_t       *patch, *body;

    make_coupon(m, "Bob-10", other.bob, "");
    body = json_of("{\"code\":\"bOB-10\",\"affiliate_id\":\"%lld\"}", (long long) m->affiliate);
    must_refuse(m, coupon_create(m->service, &test_admin, body, NULL, &m->error), "duplicate");
    json_decref(body);
    tell(m, &(struct sale){ .txid = "a", .amount = "100.00", .coupon = "BOB-10" });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 2000);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE click_id IS NULL AND link_id IS NULL"
                               " AND json_extract(why, '$.step') = 'coupon'"), 1);

    /* A click is stronger, unless the program says otherwise. */
    tell(m, &(struct sale){ .txid = "b", .amount = "100.00", .coupon = "bob-10", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 2000);
    set(m, "{\"precedence\":[\"coupon\",\"click_id\",\"cookie\"]}");
    tell(m, &(struct sale){ .txid = "c", .amount = "100.00", .coupon = "bob-10", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 4000);

    /* Paused: the click again. A code that nobody has: nobody, at once. */
    patch = json_of("{\"state\":\"paused\"}");
    must(m, coupon_edit(m->service, &test_admin, 1, 0, patch, NULL, &m->error));
    json_decref(patch);
    tell(m, &(struct sale){ .txid = "d", .amount = "100.00", .coupon = "bob-10", .click = click(m, m->link, 0, NULL) });
    tell(m, &(struct sale){ .amount = "100.00", .coupon = "no such" });
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 4000);
    assert_int_equal(outcomes(m, "unattributed"), 1);
    must_verify(m);
}

static void
test_a_coupon_has_dates(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    uint64_t      start_ms = test_now_us() / 1000; /* the fixture's clock: 12:00:01 */

    make_coupon(m, "HOUR", other.bob,
                ",\"valid_from\":\"2024-05-01T12:00:01Z\",\"valid_to\":\"2024-05-01T13:00:01Z\"");
    const struct { uint64_t at_ms; bool earns; } cases[] = {
        { start_ms - 1, false }, { start_ms, true }, { start_ms + 3600000 - 1, true }, { start_ms + 3600000, false },
    };
    test_clock_us += 2 * 3600 * SECOND_US;
    for (size_t i = 0; i < 4; i++) {
        int64_t before = referrals(m, other.bob);

        tell(m, &(struct sale){ .amount = "10.00", .coupon = "hour", .event_time_ms = cases[i].at_ms });
        derive_all(m);
        assert_int_equal(referrals(m, other.bob) - before, cases[i].earns);
    }
    must_verify(m);
}

static void
test_settings_of_attribution(void **state)
{
    static const char *const bad[][2] = {
        { "first_share", "\"101\"" }, { "first_share", "50" }, { "precedence", "[\"click_id\",\"cookie\"]" },
        { "precedence", "[\"click_id\",\"cookie\",\"cookie\"]" }, { "precedence", "[\"click_id\",\"cookie\",\"luck\"]" },
        { "recurring_events", "[\"Deposit\"]" }, { "recurring_events", "\"deposit\"" }, { "attribution", "\"middle\"" },
    };
    struct money *m = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *patch = json_of("{\"%s\":%s}", bad[i][0], bad[i][1]), *settings;

        must_blame(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error), bad[i][0]);
        json_decref(patch);
    }
}

/* ---- customers ---- */

static void
test_a_customer_sticks(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);

    tell(m, &(struct sale){ .event = "registration", .txid = "r", .customer = "eve", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    test_clock_us += 3 * DAY_US;
    /* A retargeting click of Bob's does not steal Ada's depositing customer ... */
    tell(m, &(struct sale){ .event = "deposit", .txid = "d1", .amount = "100.00", .customer = "eve",
                            .click = click(m, other.theirs, 0, NULL) });
    /* ... nor need there be a click at all ... */
    tell(m, &(struct sale){ .event = "deposit", .txid = "d2", .amount = "50.00", .customer = "eve" });
    /* ... but what is no recurring event goes to who brought it. */
    tell(m, &(struct sale){ .event = "sale", .txid = "s1", .amount = "10.00", .customer = "eve",
                            .click = click(m, other.theirs, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 3000);
    assert_int_equal(of(m, other.bob), 200);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM customers"), 1);
    must_verify(m);

    /* Which events recur is the program's to say. */
    set(m, "{\"recurring_events\":[\"sale\"]}");
    tell(m, &(struct sale){ .event = "sale", .txid = "s2", .amount = "10.00", .customer = "eve",
                            .click = click(m, other.theirs, 0, NULL) });
    tell(m, &(struct sale){ .event = "deposit", .txid = "d3", .amount = "10.00", .customer = "eve",
                            .click = click(m, other.theirs, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 3200);
    assert_int_equal(of(m, other.bob), 400);
    must_verify(m);
}

static void
test_a_deposit_before_its_registration(void **state)
{
    struct money *m = *state;

    tell(m, &(struct sale){ .event = "deposit", .txid = "d1", .amount = "100.00", .customer = "eve" });
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 1);
    tell(m, &(struct sale){ .event = "registration", .customer = "eve", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    test_clock_us += 60 * SECOND_US;
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 2000);

    /* Nobody ever brought him: a conversion of nobody's, after a while. */
    tell(m, &(struct sale){ .event = "deposit", .txid = "d2", .amount = "100.00", .customer = "mallory" });
    test_clock_us += 3600 * SECOND_US;
    derive_all(m);
    assert_int_equal(outcomes(m, "unattributed"), 1);
    must_verify(m);
}

static void
test_shared_customers_stay_shared(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          first[TRACKER_CLICK_ID_LEN + 1];

    set(m, "{\"attribution\":\"both\",\"first_share\":\"25\"}");
    two_visits(m, other.theirs, first);
    tell(m, &(struct sale){ .event = "registration", .customer = "eve", .click = m->click });
    tell(m, &(struct sale){ .event = "deposit", .txid = "d", .amount = "100.00", .customer = "eve" });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 500);
    assert_int_equal(of(m, m->affiliate), 1500);
    must_verify(m);
}

/* ---- pixels ---- */

static void
test_a_pixel_is_only_a_browser(void **state)
{
    struct money *m = *state;
    char          id[TRACKER_CLICK_ID_LEN + 1];

    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .amount = "9999.00", .cookie_last = id, .customer = "eve",
                            .status = TRACKER_CONVERSION_APPROVED });
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversions WHERE amount_minor IS NULL AND verified = 0"
                               " AND status = 'pending'"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE verified = 0 AND status = 'pending'"), 1);
    assert_int_equal(of(m, m->affiliate), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM customers"), 0); /* or browsers would steal customers */

    /* It moves nothing and takes nothing back; its page may be loaded again. */
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .cookie_last = id, .status = TRACKER_CONVERSION_REJECTED });
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .cookie_last = id, .status = TRACKER_CONVERSION_REFUND });
    tell(m, &(struct sale){ .pixel = true, .cookie_last = id });
    tell(m, &(struct sale){ .pixel = true, .cookie_last = id });
    derive_all(m);
    assert_int_equal(outcomes(m, "repeated"), 2);
    assert_int_equal(outcomes(m, "conflict"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversions"), 2);
    must_verify(m);

    /* The server, which knows no click, says what it was worth; a refund had waited for that. */
    tell(m, &(struct sale){ .txid = "a", .refund_id = "r", .amount = "25.00", .status = TRACKER_CONVERSION_REFUND });
    tell(m, &(struct sale){ .txid = "a", .amount = "100.00", .customer = "eve" });
    derive_all(m);
    assert_int_equal(outcomes(m, "confirmed"), 1);
    test_clock_us += 60 * SECOND_US;
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 1500);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversions WHERE verified = 1"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE verified = 1"), 0); /* whose it is, nobody else said */
    must_verify(m);
}

/* The same touch by both: now it is the server's word. */
static void
test_a_pixel_and_a_server_agree(void **state)
{
    struct money *m = *state;
    char          id[TRACKER_CLICK_ID_LEN + 1];

    memcpy(id, click(m, m->link, 0, NULL), sizeof(id));
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .cookie_last = id });
    tell(m, &(struct sale){ .txid = "a", .amount = "100.00", .click = id });
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 2000);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE verified = 1"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals"), 1);
    must_verify(m);
}

/* The server was quicker than the thank-you page: it waits for whom the page names. */
static void
test_a_server_before_its_pixel(void **state)
{
    struct money *m = *state;

    tell(m, &(struct sale){ .txid = "a", .amount = "100.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "parked"), 1);
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .cookie_last = click(m, m->link, 0, NULL) });
    derive_all(m);
    test_clock_us += 60 * SECOND_US;
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 2000);
    must_verify(m);
}

/* Somebody guesses order numbers: what he claims goes to whom the server names, whatever was decided meanwhile. */
static void
test_a_claim_gives_way(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    json_t       *patch = json_of("{\"commission\":{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"EUR\"}}}");
    int64_t       claim;

    must(m, group_edit(m->service, &test_admin, m->group, 0, patch, NULL, &m->error));
    json_decref(patch);
    tell(m, &(struct sale){ .pixel = true, .txid = "next order", .cookie_last = click(m, other.theirs, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 500);
    claim = number(m, "SELECT MAX(id) AS n FROM referrals");
    must(m, referral_act(m->service, &test_admin, claim, "approve", NULL, NULL, &m->error));

    tell(m, &(struct sale){ .txid = "next order", .amount = "100.00", .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 0);
    assert_int_equal(of(m, m->affiliate), 500);
    assert_int_equal(number(m, "SELECT superseded AS n FROM referrals WHERE id = %lld", (long long) claim), 1);
    must_refuse(m, referral_act(m->service, &test_admin, claim, "reopen", "please", NULL, &m->error), "superseded");
    must_verify(m);
}

static void
test_a_pixels_first_and_last(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          first[TRACKER_CLICK_ID_LEN + 1];

    set(m, "{\"attribution\":\"first\"}");
    two_visits(m, other.theirs, first);
    tell(m, &(struct sale){ .pixel = true, .txid = "a", .cookie_first = first, .cookie_last = m->click });
    derive_all(m);
    assert_int_equal(referrals(m, other.bob), 1);
    assert_int_equal(referrals(m, m->affiliate), 0);
    must_verify(m);
}

/* ---- who speaks first need not be who bought ---- */

static int64_t
open_conflicts(struct money *m)
{
    return number(m, "SELECT COUNT(*) AS n FROM conversion_conflicts WHERE reason = 'other_touch' AND state = 'open'");
}

static void
resolve(struct money *m)
{
    must(m, conflict_close(m->service, &test_admin, number(m, "SELECT MAX(id) AS n FROM conversion_conflicts"), 0,
                           "looked at", NULL, &m->error));
}

/* Bob guesses the next order's number; the customer, who came by us, has a pixel too: their clicks. */
static void
contest(struct money *m, const struct others *other, char guess[TRACKER_CLICK_ID_LEN + 1])
{
    memcpy(guess, click(m, other->theirs, 0, NULL), TRACKER_CLICK_ID_LEN + 1);
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = guess });
    derive_all(m);
    test_clock_us += SECOND_US;
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(open_conflicts(m), 1);
}

static void
test_a_contested_order_waits_for_a_person(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          guess[TRACKER_CLICK_ID_LEN + 1];

    contest(m, &other, guess);
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = guess });    /* pages are loaded again */
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = m->click });
    tell(m, &(struct sale){ .pixel = true, .txid = "next" });
    derive_all(m);
    assert_int_equal(open_conflicts(m), 1);

    /* The shop knows neither click: nobody earns, however long it takes somebody to look. */
    tell(m, &(struct sale){ .txid = "next", .amount = "100.00" });
    for (int i = 0; i < 3; i++) {
        derive_all(m);
        assert_int_equal(of(m, other.bob) + of(m, m->affiliate), 0);
        test_clock_us += DAY_US;
    }
    assert_int_equal(outcomes(m, "parked"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE verified = 0 AND status = 'pending'"), 1);
    must_verify(m);

    /* Looked at, and left with who has it: now, not when it would have been tried again. */
    derive_all(m);
    resolve(m);
    derive_all(m);
    assert_int_equal(of(m, other.bob), 2000);
    assert_int_equal(outcomes(m, "parked"), 0);
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = m->click }); /* has been judged */
    derive_all(m);
    assert_int_equal(open_conflicts(m), 0);
    must_verify(m);
}

/* Whoever rejects the claim before he closes the conflict gives nothing to it. */
static void
test_a_rejected_claim_earns_nothing(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          guess[TRACKER_CLICK_ID_LEN + 1];

    contest(m, &other, guess);
    tell(m, &(struct sale){ .txid = "next", .amount = "100.00" });
    derive_all(m);
    must(m, referral_act(m->service, &test_admin, number(m, "SELECT MAX(id) AS n FROM referrals"), "reject", "guessed",
                         NULL, &m->error));
    resolve(m);
    derive_all(m);
    assert_int_equal(outcomes(m, "confirmed"), 1);
    assert_int_equal(of(m, other.bob) + of(m, m->affiliate), 0);
    must_verify(m);
}

/* A touch that the server names decides, conflict or none; what waited says nothing else. */
static void
test_a_server_decides_a_contested_order(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          guess[TRACKER_CLICK_ID_LEN + 1];

    contest(m, &other, guess);
    tell(m, &(struct sale){ .txid = "next", .amount = "100.00" });
    derive_all(m);
    tell(m, &(struct sale){ .txid = "next", .amount = "100.00", .click = m->click });
    derive_all(m);
    test_clock_us += DAY_US;
    derive_all(m);
    assert_int_equal(of(m, other.bob), 0);
    assert_int_equal(of(m, m->affiliate), 2000);
    assert_int_equal(outcomes(m, "parked"), 0);
    must_verify(m);
}

/* The shop was quicker than the customer's page: its word rests on the guess alone, and that is told. */
static void
test_a_pixel_after_the_confirmation(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);

    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = click(m, other.theirs, 0, NULL) });
    tell(m, &(struct sale){ .txid = "next", .amount = "100.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "confirmed"), 1);
    tell(m, &(struct sale){ .pixel = true, .txid = "next", .cookie_last = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(open_conflicts(m), 1);

    /* What a server said of a touch is nobody's to contest. */
    tell(m, &(struct sale){ .txid = "b", .amount = "100.00", .click = m->click });
    tell(m, &(struct sale){ .pixel = true, .txid = "b", .cookie_last = click(m, other.theirs, 0, NULL) });
    derive_all(m);
    assert_int_equal(open_conflicts(m), 1);
    must_verify(m);
}

/* ---- what stands in for an order's number ---- */

struct looking {
    int64_t id;
    json_t *object;
};

static enum db_result
look(struct db *db, void *ctx)
{
    struct looking *looking = ctx;
    enum db_result  rc = list_one(db, &conversion_list, looking->id, &looking->object);

    return rc == DB_ROW ? DB_OK : DB_FAILED;
}

/* As the API shows it. */
static const char *
txid_shown(struct money *m, const char *which, char shown[96])
{
    struct looking looking = { .id = number(m, "SELECT %s(id) AS n FROM conversions", which) };

    assert_int_equal(db_read(m->base.pool, look, &looking), DB_OK);
    snprintf(shown, 96, "%s", text_of(looking.object, "txid"));
    json_decref(looking.object);
    return shown;
}

static void
test_nobody_names_what_has_no_number(void **state)
{
    struct money *m = *state;
    struct others other = with_bob(m);
    char          text[2][96], shown[96], ours[TRACKER_CLICK_ID_LEN + 1];

    memcpy(ours, click(m, m->link, 0, NULL), sizeof(ours));
    make(m, coupon_create, json_of("{\"code\":\"ADA\",\"affiliate_id\":\"%lld\"}", (long long) m->affiliate));
    click(m, other.theirs, 0, NULL);
    /* Two pixels are told first: the second sale's record will be this journal's fourth. */
    snprintf(text[0], sizeof(text[0]), "click:%s", ours);
    snprintf(text[1], sizeof(text[1]), "fact:%lld:%lld", (long long) m->conversions.id,
             (long long) m->conversions.at.next + 3);
    for (int i = 0; i < 2; i++)
        tell(m, &(struct sale){ .pixel = true, .txid = text[i], .cookie_last = m->click });
    derive_all(m);
    tell(m, &(struct sale){ .click = ours, .amount = "100.00" });
    tell(m, &(struct sale){ .coupon = "ADA", .amount = "100.00" });
    derive_all(m);
    assert_int_equal(outcomes(m, "converted"), 4);
    assert_int_equal(of(m, m->affiliate), 4000);

    assert_string_equal(txid_shown(m, "MAX", shown), "(none)");
    assert_string_equal(txid_shown(m, "MIN", shown), text[0]);
    must_verify(m);
}

/* ---- clicks that were sent to a fallback ---- */

static void
test_a_click_that_went_to_a_fallback(void **state)
{
    static const uint32_t flags[] = { TRACKER_CLICK_CAPPED, TRACKER_CLICK_OUT_OF_DATES, TRACKER_CLICK_PAUSED };
    struct money *m = *state;
    struct others other = with_bob(m);
    char          id[TRACKER_CLICK_ID_LEN + 1], txid[16];

    for (int i = 0; i < 3; i++) {
        m->click_flags = flags[i];
        snprintf(txid, sizeof(txid), "t%d", i);
        tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .amount = "100.00", .txid = txid });
        snprintf(txid, sizeof(txid), "p%d", i);
        tell(m, &(struct sale){ .cookie_last = m->click, .amount = "100.00", .txid = txid });
    }
    test_clock_us += 3600 * SECOND_US;
    derive_all(m);
    assert_int_equal(of(m, m->affiliate), 0);
    assert_int_equal(outcomes(m, "unattributed"), 6);

    /* An earlier one of somebody else's stands; other flags take nothing away. */
    m->click_flags = TRACKER_CLICK_REPEAT | TRACKER_CLICK_NO_CONSENT | TRACKER_CLICK_TRACKED;
    memcpy(id, click(m, other.theirs, 0, NULL), sizeof(id));
    m->click_flags = TRACKER_CLICK_CAPPED;
    tell(m, &(struct sale){ .click = click(m, m->link, 0, id), .amount = "100.00", .txid = "first" });
    derive_all(m);
    assert_int_equal(of(m, other.bob), 2000);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE json_extract(why, '$.touches[0].verdict')"
                               " = 'not_counting'"), 1);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_first_and_last_share),
        money_test(test_shares_live_apart),
        money_test(test_a_coupon_decides_where_nothing_else_does),
        money_test(test_a_coupon_has_dates),
        money_test(test_settings_of_attribution),
        money_test(test_a_customer_sticks),
        money_test(test_a_deposit_before_its_registration),
        money_test(test_shared_customers_stay_shared),
        money_test(test_a_pixel_is_only_a_browser),
        money_test(test_a_pixel_and_a_server_agree),
        money_test(test_a_server_before_its_pixel),
        money_test(test_a_claim_gives_way),
        money_test(test_a_pixels_first_and_last),
        money_test(test_a_contested_order_waits_for_a_person),
        money_test(test_a_rejected_claim_earns_nothing),
        money_test(test_a_server_decides_a_contested_order),
        money_test(test_a_pixel_after_the_confirmation),
        money_test(test_nobody_names_what_has_no_number),
        money_test(test_a_click_that_went_to_a_fallback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
