/*
 * Arithmetic on amounts, against __int128 by brute force and on random values.
 *
 * What could break: a rounding that favours one side (half up pays half a cent
 * too much on every second tie), a sum that wraps around, two currencies that
 * meet.  SEED=n repeats a run.
 */
#include "test_support.h"

#include <time.h>

#include "domain/amount.h"

static uint64_t seed;

/* xorshift64*: the same numbers everywhere. */
static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}

/* Of any magnitude: uniform ones would hardly ever be small. */
static int64_t
draw_minor(void)
{
    int64_t most = INT64_C(1) << (draw() % 51), minor = (int64_t) (draw() % (uint64_t) (most + 1));

    if (minor > TRACKER_MINOR_MAX)
        minor = TRACKER_MINOR_MAX;
    return draw() % 2 == 0 ? minor : -minor;
}

static struct tracker_money
euro(int64_t minor)
{
    return (struct tracker_money){ minor, "EUR" };
}

static bool
bounded(__int128 value)
{
    return value >= -TRACKER_MINOR_MAX && value <= TRACKER_MINOR_MAX;
}

static void
test_make(void **state)
{
    static const char *const wrong[] = { NULL, "", "EU", "EURO", "eur", "XXQ", "E\xc3\xa9", "\x01\x02\x03" };
    struct tracker_money     money = euro(7);

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(amount_make(1, wrong[i], &money));
    assert_false(amount_make(TRACKER_MINOR_MAX + 1, "EUR", &money));
    assert_false(amount_make(-TRACKER_MINOR_MAX - 1, "EUR", &money));
    assert_false(amount_make(INT64_MIN, "EUR", &money));
    assert_int_equal(money.minor, 7); /* untouched */
    assert_true(amount_make(-TRACKER_MINOR_MAX, "JPY", &money));
    assert_int_equal(money.minor, -TRACKER_MINOR_MAX);
    assert_string_equal(money.currency, "JPY");
}

static void
test_sums(void **state)
{
    for (int i = 0; i < 200000; i++) {
        struct tracker_money a = euro(draw_minor()), b = euro(draw_minor()), out = euro(42);
        __int128             sum = (__int128) a.minor + b.minor, difference = (__int128) a.minor - b.minor;

        assert_int_equal(amount_add(&a, &b, &out), bounded(sum));
        assert_int_equal(out.minor, bounded(sum) ? (int64_t) sum : 42);
        out.minor = 42;
        assert_int_equal(amount_sub(&a, &b, &out), bounded(difference));
        assert_int_equal(out.minor, bounded(difference) ? (int64_t) difference : 42);
        assert_true(amount_negate(&a, &out));
        assert_int_equal(out.minor, -a.minor);
    }
}

static void
test_results_may_be_operands(void **state)
{
    struct tracker_money a = euro(30), b = euro(12);

    assert_true(amount_add(&a, &b, &a));
    assert_int_equal(a.minor, 42);
    assert_true(amount_sub(&b, &a, &a));
    assert_int_equal(a.minor, -30);
    assert_true(amount_share(&b, 500000, &b));
    assert_int_equal(b.minor, 6);
    assert_string_equal(b.currency, "EUR");
}

static void
test_currencies_never_meet(void **state)
{
    struct tracker_money a = euro(1), b = { 1, "USD" }, out = euro(42);

    assert_false(amount_add(&a, &b, &out));
    assert_false(amount_sub(&a, &b, &out));
    assert_int_equal(out.minor, 42);
}

/* The nearest whole number to minor * ppm / 10^6, the even one of two: found by trying both neighbours. */
static __int128
nearest_even(int64_t minor, int64_t ppm)
{
    __int128 exact = (__int128) minor * ppm, floor = exact / PPM, below, above;

    if (exact % PPM < 0)
        floor--;
    below = exact - floor * PPM;
    above = (floor + 1) * PPM - exact;
    if (below != above)
        return below < above ? floor : floor + 1;
    return floor % 2 == 0 ? floor : floor + 1;
}

static void
check_share(int64_t minor, int64_t ppm)
{
    struct tracker_money a = euro(minor), out = euro(42);

    if (!amount_share(&a, ppm, &out) || out.minor != (int64_t) nearest_even(minor, ppm))
        fail_msg("%lld at %lld ppm gives %lld, not %lld", (long long) minor, (long long) ppm, (long long) out.minor,
                 (long long) nearest_even(minor, ppm));
}

static void
test_shares(void **state)
{
    for (int64_t minor = -300; minor <= 300; minor++) {
        for (int64_t ppm = 0; ppm <= PPM; ppm += 2500)
            check_share(minor, ppm);
    }
    for (int i = 0; i < 200000; i++)
        check_share(draw_minor(), (int64_t) (draw() % (PPM + 1)));
    check_share(TRACKER_MINOR_MAX, PPM);
    check_share(-TRACKER_MINOR_MAX, PPM - 1);
}

/* docs/commissions.md shows these. */
static void
test_halves_go_to_the_even_cent(void **state)
{
    static const struct {
        int64_t minor, ppm, share;
    } cases[] = {
        { 250, 10000, 2 },  { 350, 10000, 4 },  { 50, 10000, 0 },   { 150, 10000, 2 },
        { -250, 10000, -2 }, { -350, 10000, -4 }, { 251, 10000, 3 }, { 249, 10000, 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_money a = euro(cases[i].minor), out;

        assert_true(amount_share(&a, cases[i].ppm, &out));
        assert_int_equal(out.minor, cases[i].share);
    }
}

/* Over all ties together nothing is gained and nothing lost: half up would gain half a cent on each. */
static void
test_ties_do_not_drift(void **state)
{
    int64_t total = 0, exact_halves = 0;

    for (int64_t minor = 50; minor < 100 * 4000; minor += 100) { /* 1 %: always x.5 cents */
        struct tracker_money a = euro(minor), out;

        assert_true(amount_share(&a, 10000, &out));
        total += 2 * out.minor;
        exact_halves += minor / 50;
    }
    assert_int_equal(total, exact_halves);
}

static void
test_rates_out_of_range(void **state)
{
    static const int64_t rates[] = { -1, PPM + 1, INT64_MAX, INT64_MIN };
    struct tracker_money a = euro(100), out = euro(42);

    for (size_t i = 0; i < 4; i++)
        assert_false(amount_share(&a, rates[i], &out));
    assert_int_equal(out.minor, 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_results_may_be_operands),
        cmocka_unit_test(test_currencies_never_meet),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_halves_go_to_the_even_cent),
        cmocka_unit_test(test_ties_do_not_drift),
        cmocka_unit_test(test_rates_out_of_range),
    };
    const char *given = getenv("SEED");

    seed = given == NULL ? (uint64_t) time(NULL) * 2654435761u | 1 : strtoull(given, NULL, 10);
    printf("# SEED=%llu\n", (unsigned long long) seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
