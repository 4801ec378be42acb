/*
 * test_tracker_attribution.c - who earns a conversion.
 *
 * A wrong verdict pays the wrong person and nobody notices: so the boundaries
 * (window, skew, to the millisecond) are tables, and the two promises that make
 * the "why" of a referral believable are properties over random candidates: no
 * eligible candidate outranks the winner, and one that does not count changes
 * nothing.  The property test has its own, slower idea of eligibility and rank.
 */
#include "testing.h"

#include "tracker_attribution.h"

#define PROGRAM 7u
#define EVENT   UINT64_C(1700000000000)
#define DAY     UINT64_C(86400000)
#define SKEW    ((uint64_t) TRACKER_CLOCK_SKEW_MS)

#define CLICK TRACKER_TOUCH_CLICK_ID
#define LAST  TRACKER_TOUCH_COOKIE_LAST
#define FIRST TRACKER_TOUCH_COOKIE_FIRST

static struct tracker_touch
touch(enum tracker_touch_source source, uint64_t time_ms)
{
    return (struct tracker_touch){ .source = source,
                                   .click = { .time_ms = time_ms, .link = 1, .recorded = true },
                                   .program = PROGRAM,
                                   .campaign = 3,
                                   .affiliate = 5,
                                   .window_ms = 30 * DAY,
                                   .verdict = (enum tracker_touch_verdict) 99 };
}

/* One winner at most, as under LAST and FIRST: its index or -1. */
static int
attribute(struct tracker_touch *touches, unsigned count, uint32_t program, enum tracker_attribution_rule rule,
          uint64_t event_ms)
{
    const struct tracker_attribution_policy policy = {
        .program = program, .rule = rule, .first_share_ppm = 500000,
        .order = { TRACKER_MEANS_COUPON, TRACKER_MEANS_CLICK_ID, TRACKER_MEANS_COOKIE } };
    unsigned won = tracker_attribute(touches, count, &policy, event_ms);
    int      winner = -1;

    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(touches[i].verdict == TRACKER_TOUCH_WON, touches[i].share_ppm == TRACKER_WHOLE_PPM);
        assert_true(touches[i].share_ppm == 0 || touches[i].share_ppm == TRACKER_WHOLE_PPM);
        if (touches[i].share_ppm != 0)
            winner = (int) i;
    }
    assert_int_equal(won, winner >= 0);
    return winner;
}

static void
test_eligibility(void **state)
{
    static const struct {
        uint64_t time_ms, window_ms;
        uint32_t program, campaign, affiliate;
        enum tracker_touch_verdict expected;
    } cases[] = {
        { EVENT - DAY, 30 * DAY, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        { EVENT, 30 * DAY, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        /* the window, inclusive */
        { EVENT - 30 * DAY, 30 * DAY, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        { EVENT - 30 * DAY - 1, 30 * DAY, PROGRAM, 3, 5, TRACKER_TOUCH_EXPIRED },
        { EVENT - 1, 1, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        { EVENT - 2, 1, PROGRAM, 3, 5, TRACKER_TOUCH_EXPIRED },
        { 0, 0, PROGRAM, 3, 5, TRACKER_TOUCH_WON }, /* no limit */
        { 0, EVENT, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        { 0, UINT64_MAX, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        /* the other edge's clock, inclusive, and no window makes it wider */
        { EVENT + SKEW, 1, PROGRAM, 3, 5, TRACKER_TOUCH_WON },
        { EVENT + SKEW + 1, 0, PROGRAM, 3, 5, TRACKER_TOUCH_AFTER_EVENT },
        { UINT64_MAX, 0, PROGRAM, 3, 5, TRACKER_TOUCH_AFTER_EVENT },
        { EVENT - DAY, 0, PROGRAM + 1, 3, 5, TRACKER_TOUCH_OTHER_PROGRAM },
        { EVENT - DAY, 0, 0, 0, 0, TRACKER_TOUCH_UNKNOWN_LINK },
        { EVENT - DAY, 0, PROGRAM, 0, 5, TRACKER_TOUCH_UNKNOWN_LINK },
        { EVENT - DAY, 0, PROGRAM, 3, 0, TRACKER_TOUCH_UNKNOWN_LINK },
        /* what is wrong with the link is said before what is wrong with the time */
        { UINT64_MAX, 1, 0, 0, 0, TRACKER_TOUCH_UNKNOWN_LINK },
        { 0, 1, PROGRAM + 1, 3, 5, TRACKER_TOUCH_OTHER_PROGRAM },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_touch one = touch(CLICK, cases[i].time_ms);
        one.window_ms = cases[i].window_ms;
        one.program = cases[i].program;
        one.campaign = cases[i].campaign;
        one.affiliate = cases[i].affiliate;

        int winner = attribute(&one, 1, PROGRAM, TRACKER_ATTRIBUTION_LAST, EVENT);
        if (one.verdict != cases[i].expected)
            fail_msg("case %zu: %s", i, tracker_touch_verdict_name(one.verdict));
        assert_int_equal(winner, cases[i].expected == TRACKER_TOUCH_WON ? 0 : -1);
    }
}

/* Times are days before the event; the campaign's window is 30 days.  -1 ends a row. */
static void
test_precedence(void **state)
{
    static const struct {
        const char *what;
        struct {
            enum tracker_touch_source source;
            int days;
        } touches[4];
        int last, first; /* winner by rule */
    } cases[] = {
        { "nobody", { { CLICK, -1 } }, -1, -1 },
        { "click id before cookie", { { LAST, 1 }, { FIRST, 9 }, { CLICK, 5 }, { CLICK, -1 } }, 2, 2 },
        { "the rule picks the cookie's touch", { { FIRST, 9 }, { LAST, 1 }, { CLICK, -1 } }, 1, 0 },
        { "an expired click id", { { CLICK, 31 }, { FIRST, 9 }, { LAST, 1 }, { CLICK, -1 } }, 2, 1 },
        { "an expired first touch leaves the last", { { FIRST, 31 }, { LAST, 1 }, { CLICK, -1 } }, 1, 1 },
        { "all expired", { { CLICK, 31 }, { FIRST, 40 }, { LAST, 32 }, { CLICK, -1 } }, -1, -1 },
        { "the cookie's word, not the clocks", { { LAST, 9 }, { FIRST, 1 }, { CLICK, -1 } }, 0, 1 },
        { "two click ids: by time", { { CLICK, 9 }, { CLICK, 1 }, { CLICK, -1 } }, 1, 0 },
        { "one time: the lower index", { { CLICK, 3 }, { CLICK, 3 }, { CLICK, 3 }, { CLICK, -1 } }, 0, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int rule = TRACKER_ATTRIBUTION_LAST; rule <= TRACKER_ATTRIBUTION_FIRST; rule++) {
            struct tracker_touch touches[4];
            unsigned             count = 0;

            for (; count < 4 && cases[i].touches[count].days >= 0; count++)
                touches[count] = touch(cases[i].touches[count].source,
                                       EVENT - (uint64_t) cases[i].touches[count].days * DAY);
            int winner = attribute(touches, count, PROGRAM, rule, EVENT);
            if (winner != (rule == TRACKER_ATTRIBUTION_LAST ? cases[i].last : cases[i].first))
                fail_msg("%s, rule %d: %d won", cases[i].what, rule, winner);
            for (unsigned j = 0; j < count; j++)
                if ((int) j != winner && touches[j].verdict != TRACKER_TOUCH_OUTRANKED
                    && touches[j].verdict != TRACKER_TOUCH_EXPIRED)
                    fail_msg("%s: loser %u is %s", cases[i].what, j,
                             tracker_touch_verdict_name(touches[j].verdict));
        }
    }
}

/* An unrecorded click (its journal was full) still proves link and time, so it still earns. */
static void
test_unrecorded_click(void **state)
{
    struct tracker_touch one = touch(CLICK, EVENT - DAY);

    one.click.recorded = false;
    assert_int_equal(attribute(&one, 1, PROGRAM, TRACKER_ATTRIBUTION_LAST, EVENT), 0);
}

/* It earns nothing, but does not outrank what does; what is wrong with the link is said before it. */
static void
test_a_click_that_went_to_a_fallback(void **state)
{
    struct tracker_touch two[2] = { touch(CLICK, EVENT - DAY), touch(LAST, EVENT - 2 * DAY) };

    two[0].not_counting = true;
    assert_int_equal(attribute(two, 2, PROGRAM, TRACKER_ATTRIBUTION_LAST, EVENT), 1);
    assert_int_equal(two[0].verdict, TRACKER_TOUCH_NOT_COUNTING);
    assert_int_equal(attribute(two, 1, PROGRAM, TRACKER_ATTRIBUTION_LAST, EVENT), -1);
    assert_int_equal(attribute(two, 1, PROGRAM + 1, TRACKER_ATTRIBUTION_LAST, EVENT), -1);
    assert_int_equal(two[0].verdict, TRACKER_TOUCH_OTHER_PROGRAM);
}

static void
test_names(void **state)
{
    assert_string_equal(tracker_touch_source_name(CLICK), "click_id");
    assert_string_equal(tracker_touch_source_name(LAST), "cookie_last");
    assert_string_equal(tracker_touch_source_name(FIRST), "cookie_first");
    assert_string_equal(tracker_touch_source_name((enum tracker_touch_source) 0), "unknown");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_WON), "won");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_OUTRANKED), "outranked");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_OTHER_PROGRAM), "other_program");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_AFTER_EVENT), "after_event");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_EXPIRED), "expired");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_UNKNOWN_LINK), "unknown_link");
    assert_string_equal(tracker_touch_verdict_name(TRACKER_TOUCH_NOT_COUNTING), "not_counting");
    assert_string_equal(tracker_touch_verdict_name((enum tracker_touch_verdict) 99), "?");
    assert_string_equal(tracker_touch_source_name(TRACKER_TOUCH_CLICK_FIRST), "click_first");
    assert_string_equal(tracker_touch_source_name(TRACKER_TOUCH_COUPON), "coupon");
    assert_string_equal(tracker_touch_source_name(TRACKER_TOUCH_CUSTOMER), "customer");
    assert_string_equal(tracker_touch_source_name(TRACKER_TOUCH_LEAD), "lead");
    assert_string_equal(tracker_touch_means_name(TRACKER_MEANS_COOKIE), "cookie");
}

/* ---- sharing, coupons, customers ---- */

/* Each line: the touches' sources, days before the event and affiliates; what each is to get, in parts of ten. */
static void
test_who_shares(void **state)
{
    enum { CLICK1 = TRACKER_TOUCH_CLICK_FIRST, COUPON = TRACKER_TOUCH_COUPON, CUSTOMER = TRACKER_TOUCH_CUSTOMER,
           LEAD = TRACKER_TOUCH_LEAD };
    static const struct {
        const char *what;
        struct {
            int      source, days;
            uint32_t affiliate, tenths;
        } touches[5];
        bool        recurring;
        const char *order; /* best first; NULL: coupon, click id, cookie */
    } cases[] = {
        { "two share", { { FIRST, 9, 1, 3 }, { LAST, 1, 2, 7 } }, false, NULL },
        { "the named click's visitor", { { CLICK, 1, 2, 7 }, { CLICK1, 9, 1, 3 } }, false, NULL },
        { "one and the same is whole", { { FIRST, 9, 1, 0 }, { LAST, 1, 1, 10 } }, false, NULL },
        { "one alone is whole", { { FIRST, 31, 1, 0 }, { LAST, 1, 2, 10 } }, false, NULL },
        { "the first alone too", { { FIRST, 9, 1, 10 }, { LAST, 31, 2, 0 } }, false, NULL },
        { "means do not mix", { { CLICK, 5, 3, 10 }, { FIRST, 9, 1, 0 }, { LAST, 1, 2, 0 } }, false, NULL },
        { "a coupon is whole", { { COUPON, 0, 4, 10 }, { FIRST, 9, 1, 0 }, { LAST, 1, 2, 0 } }, false, NULL },
        { "unless it ranks last", { { COUPON, 0, 4, 0 }, { FIRST, 9, 1, 3 }, { LAST, 1, 2, 7 } }, false, "ikc" },
        { "the cookie first", { { CLICK, 5, 3, 0 }, { FIRST, 9, 1, 3 }, { LAST, 1, 2, 7 } }, false, "kic" },
        { "an unknown coupon", { { COUPON, 0, 0, 0 }, { LAST, 1, 2, 10 } }, false, NULL },
        { "a customer's sale", { { CUSTOMER, 0, 4, 0 }, { LAST, 1, 2, 10 } }, false, NULL },
        { "a customer's deposit", { { CUSTOMER, 0, 4, 10 }, { COUPON, 0, 1, 0 }, { CLICK, 1, 2, 0 } }, true, NULL },
        { "a lead's registration", { { CLICK, 1, 2, 0 }, { COUPON, 0, 1, 0 }, { LEAD, 0, 4, 10 } }, false, NULL },
        { "a lead before a customer", { { CUSTOMER, 0, 1, 0 }, { LEAD, 0, 4, 10 } }, true, NULL },
        { "one of two leads", { { LEAD, 0, 4, 10 }, { LEAD, 0, 5, 0 } }, false, NULL },
        { "a lead of nobody", { { LEAD, 0, 0, 0 }, { CLICK, 1, 2, 10 } }, false, NULL },
        { "a new one's deposit", { { CUSTOMER, 0, 0, 0 }, { CLICK, 1, 2, 10 } }, true, NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_attribution_policy policy = { .program = PROGRAM, .rule = TRACKER_ATTRIBUTION_BOTH,
                                                     .first_share_ppm = 300000, .recurring = cases[i].recurring };
        struct tracker_touch touches[5];
        unsigned             count = 0, won = 0;

        for (int m = 0; m < TRACKER_MEANS; m++) {
            char means = (cases[i].order == NULL ? "cik" : cases[i].order)[m];
            policy.order[m] = means == 'c' ? TRACKER_MEANS_COUPON
                              : means == 'i' ? TRACKER_MEANS_CLICK_ID : TRACKER_MEANS_COOKIE;
        }
        for (; count < 5 && cases[i].touches[count].source != 0; count++) {
            touches[count] = touch((enum tracker_touch_source) cases[i].touches[count].source,
                                   EVENT - (uint64_t) cases[i].touches[count].days * DAY);
            touches[count].affiliate = cases[i].touches[count].affiliate;
            touches[count].part_ppm = TRACKER_WHOLE_PPM;
            won += cases[i].touches[count].tenths != 0;
        }
        assert_int_equal(tracker_attribute(touches, count, &policy, EVENT), won);
        for (unsigned j = 0; j < count; j++) {
            if (touches[j].share_ppm != cases[i].touches[j].tenths * 100000)
                fail_msg("%s: touch %u gets %u, %s", cases[i].what, j, touches[j].share_ppm,
                         tracker_touch_verdict_name(touches[j].verdict));
            assert_int_equal(touches[j].verdict == TRACKER_TOUCH_WON, touches[j].share_ppm != 0);
        }
    }
}

/* A share of nothing is no winner: nobody is told that he earned 0 %. */
static void
test_a_share_of_nothing(void **state)
{
    for (uint32_t first = 0; first <= TRACKER_WHOLE_PPM; first += TRACKER_WHOLE_PPM) {
        struct tracker_touch touches[] = { touch(FIRST, EVENT - 9 * DAY), touch(LAST, EVENT - DAY) };
        const struct tracker_attribution_policy policy = { .program = PROGRAM, .rule = TRACKER_ATTRIBUTION_BOTH,
                                                           .first_share_ppm = first };

        touches[0].affiliate = 9;
        assert_int_equal(tracker_attribute(touches, 2, &policy, EVENT), 1);
        assert_int_equal(touches[0].share_ppm, first);
        assert_int_equal(touches[first == 0 ? 0 : 1].verdict, TRACKER_TOUCH_OUTRANKED);
    }
}

static void
test_a_coupons_dates(void **state)
{
    static const struct {
        uint64_t from_ms, to_ms;
        bool     inactive;
        uint32_t program;
        enum tracker_touch_verdict expected;
    } cases[] = {
        { 0, 0, false, PROGRAM, TRACKER_TOUCH_WON },
        { EVENT, EVENT + 1, false, PROGRAM, TRACKER_TOUCH_WON },
        { EVENT + 1, 0, false, PROGRAM, TRACKER_TOUCH_OUT_OF_DATES },
        { 0, EVENT, false, PROGRAM, TRACKER_TOUCH_OUT_OF_DATES },
        { 0, 0, true, PROGRAM, TRACKER_TOUCH_INACTIVE },
        { 0, 0, false, PROGRAM + 1, TRACKER_TOUCH_OTHER_PROGRAM },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_touch one = { .source = TRACKER_TOUCH_COUPON, .program = cases[i].program, .affiliate = 5,
                                     .from_ms = cases[i].from_ms, .to_ms = cases[i].to_ms,
                                     .inactive = cases[i].inactive };
        attribute(&one, 1, PROGRAM, TRACKER_ATTRIBUTION_LAST, EVENT);
        assert_int_equal(one.verdict, cases[i].expected);
    }
}

/* ---- properties ---- */

/* Few distinct times, so that ties and boundaries happen often. */
static struct tracker_touch
random_touch(void)
{
    static const uint64_t times[] = { EVENT - 2 * DAY - 1, EVENT - 2 * DAY, EVENT - DAY,  EVENT - 1,
                                      EVENT,               EVENT + 1,       EVENT + SKEW, EVENT + SKEW + 1 };
    static const uint64_t windows[] = { 0, 1, DAY, 2 * DAY };
    struct tracker_touch  one = touch(CLICK + testing_below(3), times[testing_below(8)]);

    one.window_ms = windows[testing_below(4)];
    if (testing_below(6) == 0)
        one.program = PROGRAM + 1;
    if (testing_below(8) == 0)
        one.program = one.campaign = one.affiliate = 0;
    return one;
}

static bool
oracle_eligible(const struct tracker_touch *t)
{
    int64_t age = (int64_t) EVENT - (int64_t) t->click.time_ms;

    return t->program == PROGRAM && age >= -(int64_t) SKEW
           && (t->window_ms == 0 || age <= (int64_t) t->window_ms);
}

/* A number per touch: more is better.  Source first, then time by the rule, then the lower index. */
static int64_t
oracle_score(const struct tracker_touch *t, unsigned index, enum tracker_attribution_rule rule)
{
    bool    wanted = t->source == (rule == TRACKER_ATTRIBUTION_LAST ? LAST : FIRST);
    int64_t source = t->source == CLICK ? 2 : wanted ? 1 : 0;
    int64_t time = (int64_t) t->click.time_ms - (int64_t) EVENT;

    if (rule == TRACKER_ATTRIBUTION_FIRST)
        time = -time;
    return source * (INT64_C(1) << 50) + time * 16 - index;
}

static void
test_properties(void **state)
{
    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_touch          touches[TRACKER_TOUCHES_MAX], more[TRACKER_TOUCHES_MAX];
        unsigned                      count = (unsigned) testing_below(TRACKER_TOUCHES_MAX);
        enum tracker_attribution_rule rule = TRACKER_ATTRIBUTION_LAST + testing_below(2);

        for (unsigned i = 0; i < count; i++)
            touches[i] = random_touch();
        int winner = attribute(touches, count, PROGRAM, rule, EVENT);

        for (unsigned i = 0; i < count; i++) {
            bool eligible = oracle_eligible(&touches[i]);
            assert_int_equal(touches[i].verdict == TRACKER_TOUCH_WON, (int) i == winner);
            assert_int_equal(eligible, touches[i].verdict == TRACKER_TOUCH_WON
                                           || touches[i].verdict == TRACKER_TOUCH_OUTRANKED);
            if (eligible && (winner < 0 || oracle_score(&touches[i], i, rule)
                                               > oracle_score(&touches[winner], winner, rule)))
                fail_msg("round %d: %u outranks the winner %d", round, i, winner);
        }

        struct tracker_touch stranger = random_touch();
        if (oracle_eligible(&stranger))
            continue;
        unsigned at = (unsigned) testing_below(count + 1);
        memcpy(more, touches, at * sizeof(more[0]));
        more[at] = stranger;
        memcpy(more + at + 1, touches + at, (count - at) * sizeof(more[0]));
        int again = attribute(more, count + 1, PROGRAM, rule, EVENT);
        assert_int_equal(again, winner >= (int) at ? winner + 1 : winner);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eligibility),      cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_unrecorded_click), cmocka_unit_test(test_a_click_that_went_to_a_fallback),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_who_shares),       cmocka_unit_test(test_a_share_of_nothing),
        cmocka_unit_test(test_a_coupons_dates),
        cmocka_unit_test(test_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
