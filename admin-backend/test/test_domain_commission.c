/*
 * What a plan gives for a conversion, and which plans are plans.
 *
 * What could break: a tier picked one too early or late, a plan without an
 * amount that pays something, a malformed plan that is accepted.
 */
#include "test_support.h"

#include "domain/commission.h"

static const struct plan none = { .type = PLAN_NONE };
static const struct plan fifth = { .type = PLAN_PERCENTAGE, .rate_ppm = 200000 };
static const struct plan nothing = { .type = PLAN_PERCENTAGE, .rate_ppm = 0 };
static const struct plan five_euro = { .type = PLAN_FIXED, .fixed = { 500, "EUR" } };
static const struct plan free_of_charge = { .type = PLAN_FIXED, .fixed = { 0, "EUR" } };
static const struct plan steps = { .type = PLAN_TIERED, .tier_count = 3,
                                   .tiers = { { 0, 100000 }, { 10, 150000 }, { 20, 200000 } } };
static const struct plan late_steps = { .type = PLAN_TIERED, .tier_count = 1, .tiers = { { 5, 100000 } } };

static void
test_commission_due(void **state)
{
    static const struct {
        const struct plan      *plan;
        int64_t                 basis; /* cents; -1: none is known */
        int64_t                 earlier;
        enum commission_verdict verdict;
        int64_t                 minor, rate_ppm, tier_from;
    } cases[] = {
        { &none, 10000, 0, COMMISSION_NO_PLAN, 0, -1, -1 },
        { &fifth, 10000, 0, COMMISSION_DUE, 2000, 200000, -1 },
        { &fifth, -1, 0, COMMISSION_NO_BASIS, 0, 200000, -1 },
        { &fifth, 0, 0, COMMISSION_ZERO, 0, 200000, -1 },
        { &fifth, 2, 0, COMMISSION_ZERO, 0, 200000, -1 },   /* 0.4 of a cent */
        { &fifth, 3, 0, COMMISSION_DUE, 1, 200000, -1 },    /* 0.6 */
        { &fifth, -10000, 0, COMMISSION_NEGATIVE, 0, 200000, -1 },
        { &nothing, 10000, 0, COMMISSION_ZERO, 0, 0, -1 },
        { &five_euro, -1, 0, COMMISSION_DUE, 500, -1, -1 },
        { &five_euro, 10000, 0, COMMISSION_DUE, 500, -1, -1 },
        { &free_of_charge, 10000, 0, COMMISSION_ZERO, 0, -1, -1 },
        { &steps, 10000, 0, COMMISSION_DUE, 1000, 100000, 0 },
        { &steps, 10000, 9, COMMISSION_DUE, 1000, 100000, 0 },
        { &steps, 10000, 10, COMMISSION_DUE, 1500, 150000, 10 },
        { &steps, 10000, 19, COMMISSION_DUE, 1500, 150000, 10 },
        { &steps, 10000, 20, COMMISSION_DUE, 2000, 200000, 20 },
        { &steps, 10000, INT64_MAX, COMMISSION_DUE, 2000, 200000, 20 },
        { &steps, -1, 10, COMMISSION_NO_BASIS, 0, 150000, 10 },
        /* plan_check refuses such a plan; it still pays nothing */
        { &late_steps, 10000, 4, COMMISSION_NO_PLAN, 0, -1, -1 },
        { &fifth, TRACKER_MINOR_MAX, 0, COMMISSION_DUE, TRACKER_MINOR_MAX / 5, 200000, -1 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_money     basis = { cases[i].basis, "EUR" };
        struct commission_result result;
        const struct tracker_money *given = cases[i].basis == -1 ? NULL : &basis;

        assert_int_equal(commission_due(cases[i].plan, given, cases[i].earlier, &result), cases[i].verdict);
        assert_int_equal(result.rate_ppm, cases[i].rate_ppm);
        assert_int_equal(result.tier_from, cases[i].tier_from);
        if (cases[i].verdict == COMMISSION_DUE) {
            assert_int_equal(result.amount.minor, cases[i].minor);
            assert_string_equal(result.amount.currency, "EUR");
        }
    }
}

/* The commission is in the sale's currency, a fixed one in its own. */
static void
test_currency(void **state)
{
    struct tracker_money     yen = { 1000, "JPY" };
    struct commission_result result;

    assert_int_equal(commission_due(&fifth, &yen, 0, &result), COMMISSION_DUE);
    assert_string_equal(result.amount.currency, "JPY");
    assert_int_equal(commission_due(&five_euro, &yen, 0, &result), COMMISSION_DUE);
    assert_string_equal(result.amount.currency, "EUR");
}

static void
test_plan_check(void **state)
{
    static const struct {
        struct plan plan;
        bool        sound;
    } cases[] = {
        { { .type = PLAN_NONE }, true },
        { { .type = PLAN_PERCENTAGE, .rate_ppm = 0 }, true },
        { { .type = PLAN_PERCENTAGE, .rate_ppm = PPM }, true },
        { { .type = PLAN_PERCENTAGE, .rate_ppm = PPM + 1 }, false },
        { { .type = PLAN_PERCENTAGE, .rate_ppm = -1 }, false },
        { { .type = PLAN_PERCENTAGE, .hold_days = 3650 }, true },
        { { .type = PLAN_PERCENTAGE, .hold_days = 3651 }, false },
        { { .type = PLAN_PERCENTAGE, .hold_days = -1 }, false },
        { { .type = PLAN_FIXED, .fixed = { 0, "EUR" } }, true },
        { { .type = PLAN_FIXED, .fixed = { TRACKER_MINOR_MAX, "EUR" } }, true },
        { { .type = PLAN_FIXED, .fixed = { -1, "EUR" } }, false },
        { { .type = PLAN_TIERED }, false },
        { { .type = PLAN_TIERED, .tier_count = 1, .tiers = { { 0, 0 } } }, true },
        { { .type = PLAN_TIERED, .tier_count = 1, .tiers = { { 1, 0 } } }, false },
        { { .type = PLAN_TIERED, .tier_count = 2, .tiers = { { 0, 1 }, { 1, 2 } } }, true },
        { { .type = PLAN_TIERED, .tier_count = 2, .tiers = { { 0, 2 }, { 1, 1 } } }, true }, /* rates may fall */
        { { .type = PLAN_TIERED, .tier_count = 2, .tiers = { { 0, 1 }, { 0, 2 } } }, false },
        { { .type = PLAN_TIERED, .tier_count = 3, .tiers = { { 0, 1 }, { 5, 2 }, { 4, 3 } } }, false },
        { { .type = PLAN_TIERED, .tier_count = 2, .tiers = { { 0, 1 }, { 1, PPM + 1 } } }, false },
        { { .type = PLAN_TIERED, .tier_count = 2, .tiers = { { 0, -1 }, { 1, 1 } } }, false },
        { { .type = PLAN_TIERED, .tier_count = PLAN_TIERS_MAX + 1 }, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *complaint = NULL;

        assert_int_equal(plan_check(&cases[i].plan, &complaint), cases[i].sound);
        if (!cases[i].sound)
            assert_non_null(complaint);
    }
}

static void
test_names(void **state)
{
    static const char *const names[] = { "none", "percentage", "fixed", "tiered" };
    enum plan_type           type;

    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(plan_type_name((enum plan_type) i), names[i]);
        assert_true(plan_type_parse(names[i], &type));
        assert_int_equal(type, i);
    }
    assert_false(plan_type_parse("Percentage", &type));
    assert_false(plan_type_parse("", &type));
    assert_false(plan_type_parse(NULL, &type));
    for (int i = COMMISSION_DUE; i <= COMMISSION_OUT_OF_RANGE; i++)
        assert_string_not_equal(commission_verdict_name((enum commission_verdict) i), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commission_due),
        cmocka_unit_test(test_currency),
        cmocka_unit_test(test_plan_check),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
