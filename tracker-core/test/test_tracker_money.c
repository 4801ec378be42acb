/*
 * test_tracker_money.c - amounts as text.
 *
 * A currency with the wrong number of decimals pays a hundred times too much
 * or too little, and looks plausible.  So the exponents are checked against
 * ISO 4217 both ways (the table's codes exist; the codes' exponents are
 * listed), and parsing against a slower reading of the same text.
 * Includes the source, to see its tables.
 */
#include "testing.h"

#include "tracker_money.c"

static enum tracker_money_verdict
parse(const char *amount, const char *code, int64_t *minor)
{
    struct tracker_money money;
    size_t len = strlen(amount), code_len = strlen(code);
    char *exact = testing_exact(amount, len), *exact_code = testing_exact(code, code_len);
    enum tracker_money_verdict verdict = tracker_money_parse(
        (struct tracker_str){ exact, len }, (struct tracker_str){ exact_code, code_len }, &money);

    free(exact);
    free(exact_code);
    if (verdict != TRACKER_MONEY_OK)
        assert_true(money.minor == 0 && money.currency[0] == '\0');
    *minor = money.minor;
    return verdict;
}

static void
test_tables(void **state)
{
    size_t codes = COUNT(tracker_currency_table);

    assert_in_range(codes, 160, 250);
    for (size_t i = 1; i < codes; i++)
        assert_true(memcmp(tracker_currency_table[i - 1], tracker_currency_table[i], 3) < 0);
    for (size_t i = 1; i < COUNT(exceptions); i++)
        assert_true(memcmp(exceptions[i - 1].code, exceptions[i].code, 3) < 0);
    /* An exception for a code nobody knows is a typing error, and its currency would silently have 2. */
    for (size_t i = 0; i < COUNT(exceptions); i++)
        assert_non_null(bsearch(exceptions[i].code, tracker_currency_table, codes,
                                sizeof(tracker_currency_table[0]), code_compare));
}

static void
test_exponents(void **state)
{
    static const struct {
        const char *codes;
        int exponent;
    } listed[] = {
        { "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0 },
        { "AED AUD BRL CAD CHF CNY CZK DKK EUR GBP HUF IDR INR MGA MRU MXN NOK PLN RON RUB SEK TRY UAH USD "
          "ZAR",
          2 },
        { "BHD IQD JOD KWD LYD OMR TND", 3 },
        { "CLF UYW", 4 },
        { "XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX", -1 },
        { "eur Eur EU AAA ZZZ QQQ 123 E\xc3\xbc", -1 },
    };

    for (size_t i = 0; i < COUNT(listed); i++) {
        const char *p = listed[i].codes;

        while (*p != '\0') {
            size_t len = strcspn(p, " ");

            if (tracker_currency_exponent((struct tracker_str){ p, len }) != listed[i].exponent)
                fail_msg("%.*s", (int) len, p);
            p += len + (p[len] == ' ');
        }
    }
    assert_int_equal(tracker_currency_exponent(TRACKER_STR_NONE), -1);
    assert_int_equal(tracker_currency_exponent(TRACKER_STR("EURO")), -1);
}

static void
test_amounts(void **state)
{
    static const struct {
        const char *amount, *code;
        enum tracker_money_verdict verdict;
        int64_t minor;
    } cases[] = {
        { "12.34", "EUR", TRACKER_MONEY_OK, 1234 },
        { "12.3", "EUR", TRACKER_MONEY_OK, 1230 },
        { "12", "EUR", TRACKER_MONEY_OK, 1200 },
        { "12", "eur", TRACKER_MONEY_OK, 1200 },
        { "0", "EUR", TRACKER_MONEY_OK, 0 },
        { "-0", "EUR", TRACKER_MONEY_OK, 0 },
        { "-0.01", "EUR", TRACKER_MONEY_OK, -1 },
        { "000012.34", "EUR", TRACKER_MONEY_OK, 1234 },
        { "12.3400000000000000000000000000", "EUR", TRACKER_MONEY_OK, 1234 },
        { "12", "JPY", TRACKER_MONEY_OK, 12 },
        { "12.00", "JPY", TRACKER_MONEY_OK, 12 },
        { "12.345", "KWD", TRACKER_MONEY_OK, 12345 },
        { "1.2345", "CLF", TRACKER_MONEY_OK, 12345 },
        { "10000000000000.00", "EUR", TRACKER_MONEY_OK, TRACKER_MINOR_MAX },
        { "-10000000000000.00", "EUR", TRACKER_MONEY_OK, -TRACKER_MINOR_MAX },
        { "1000000000000000", "JPY", TRACKER_MONEY_OK, TRACKER_MINOR_MAX },

        { "12.345", "EUR", TRACKER_MONEY_TOO_PRECISE, 0 },
        { "12.340000000000000000000000000001", "EUR", TRACKER_MONEY_TOO_PRECISE, 0 },
        { "12.5", "JPY", TRACKER_MONEY_TOO_PRECISE, 0 },
        { "1.23456", "CLF", TRACKER_MONEY_TOO_PRECISE, 0 },

        { "10000000000000.01", "EUR", TRACKER_MONEY_OUT_OF_RANGE, 0 },
        { "-10000000000000.01", "EUR", TRACKER_MONEY_OUT_OF_RANGE, 0 },
        { "1000000000000001", "JPY", TRACKER_MONEY_OUT_OF_RANGE, 0 },
        { "10000000000001", "EUR", TRACKER_MONEY_OUT_OF_RANGE, 0 },
        { "9223372036854775807", "JPY", TRACKER_MONEY_OUT_OF_RANGE, 0 },
        { "18446744073709551617", "JPY", TRACKER_MONEY_OUT_OF_RANGE, 0 }, /* 2^64 + 1: not 1 */
        { "99999999999999999999999999999999999999999999999999", "EUR", TRACKER_MONEY_OUT_OF_RANGE, 0 },

        { "", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "-", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { ".", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "-.5", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { ".5", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "5.", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "5.", "JPY", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "+5", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "--5", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "5-", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "1.2.3", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "1..2", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "1,234.56", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "12,34", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { " 12", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "12 ", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "1e5", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "0x10", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "NaN", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "inf", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },
        { "99999999999999999999999999999999x", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 }, /* not "out of range" */
        { "\xd9\xa1\xd9\xa2", "EUR", TRACKER_MONEY_BAD_AMOUNT, 0 },                  /* Arabic-Indic digits */

        { "12", "", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "EU", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "EURO", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "ZZZ", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "XXX", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "XAU", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "12", "E%R", TRACKER_MONEY_BAD_CURRENCY, 0 },
        { "x", "ZZZ", TRACKER_MONEY_BAD_CURRENCY, 0 }, /* the currency is judged first */
    };
    int64_t minor;

    for (size_t i = 0; i < COUNT(cases); i++) {
        enum tracker_money_verdict verdict = parse(cases[i].amount, cases[i].code, &minor);

        if (verdict != cases[i].verdict || minor != cases[i].minor)
            fail_msg("\"%s\" %s: verdict %d, minor %lld", cases[i].amount, cases[i].code, verdict,
                     (long long) minor);
    }
}

static void
test_format(void **state)
{
    static const struct {
        struct tracker_money money;
        const char *text;
    } cases[] = {
        { { 0, "EUR" }, "0.00" },
        { { 5, "EUR" }, "0.05" },
        { { -5, "EUR" }, "-0.05" },
        { { 100, "EUR" }, "1.00" },
        { { 1234, "EUR" }, "12.34" },
        { { 0, "JPY" }, "0" },
        { { -120, "JPY" }, "-120" },
        { { 1, "KWD" }, "0.001" },
        { { 1, "CLF" }, "0.0001" },
        { { -123456, "UYW" }, "-12.3456" },
        { { INT64_MIN, "CLF" }, "-922337203685477.5808" },
        { { INT64_MAX, "EUR" }, "92233720368547758.07" },
        { { 5, "ZZZ" }, "" },
        { { 5, "" }, "" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[32];

        memset(buf, '!', sizeof(buf));
        assert_int_equal(tracker_money_format(&cases[i].money, buf), strlen(cases[i].text));
        assert_string_equal(buf, cases[i].text);
    }
}

/* Every amount in every currency comes back from its own text; and one digit more is one digit too many. */
static void
test_round_trip(void **state)
{
    testing_seed();
    for (int round = 0; round < 50000; round++) {
        const char *code = tracker_currency_table[testing_below(COUNT(tracker_currency_table))];
        struct tracker_money money = { .minor = (int64_t) testing_magnitude(50) }, back;
        char buf[40];
        size_t len;

        memcpy(money.currency, code, 4);
        if (tracker_currency_exponent(testing_str(code)) < 0)
            continue;
        if (money.minor > TRACKER_MINOR_MAX)
            money.minor = TRACKER_MINOR_MAX - (int64_t) testing_below(1000);
        if (testing_below(2))
            money.minor = -money.minor;

        len = tracker_money_format(&money, buf);
        assert_int_equal(tracker_money_parse((struct tracker_str){ buf, len }, testing_str(code), &back),
                         TRACKER_MONEY_OK);
        assert_true(back.minor == money.minor);
        assert_string_equal(back.currency, code);

        if (memchr(buf, '.', len) == NULL)
            buf[len++] = '.';
        buf[len++] = '0';
        assert_int_equal(tracker_money_parse((struct tracker_str){ buf, len }, testing_str(code), &back),
                         TRACKER_MONEY_OK);
        assert_true(back.minor == money.minor);
        buf[len - 1] = (char) ('1' + testing_below(9));
        assert_int_equal(tracker_money_parse((struct tracker_str){ buf, len }, testing_str(code), &back),
                         TRACKER_MONEY_TOO_PRECISE);
    }
}

/* The same judgement in 128 bits, with the text taken apart first. */
static enum tracker_money_verdict
oracle(const char *text, int exponent, int64_t *minor)
{
    const char *digits = text + (text[0] == '-'), *point = strchr(digits, '.');
    size_t whole = point != NULL ? (size_t) (point - digits) : strlen(digits);
    size_t fraction = point != NULL ? strlen(point + 1) : 0;
    __int128 value = 0;

    if (whole == 0 || strspn(digits, "0123456789") != whole || (point != NULL && fraction == 0)
        || (point != NULL && strspn(point + 1, "0123456789") != fraction))
        return TRACKER_MONEY_BAD_AMOUNT;
    for (size_t i = (size_t) exponent; i < fraction; i++)
        if (point[1 + i] != '0')
            return TRACKER_MONEY_TOO_PRECISE;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (digits[i] - '0');
    for (size_t i = 0; i < (size_t) exponent; i++)
        value = value * 10 + (i < fraction ? point[1 + i] - '0' : 0);
    if (value > TRACKER_MINOR_MAX)
        return TRACKER_MONEY_OUT_OF_RANGE;
    *minor = (int64_t) (text[0] == '-' ? -value : value);
    return TRACKER_MONEY_OK;
}

static void
test_against_oracle(void **state)
{
    static const char *codes[] = { "JPY", "EUR", "KWD", "CLF" };
    static const int exponents[] = { 0, 2, 3, 4 };
    unsigned seen[TRACKER_MONEY_OUT_OF_RANGE + 1] = { 0 };

    testing_seed();
    for (int round = 0; round < 200000; round++) {
        size_t which = testing_below(4), len = 0, whole = testing_below(20), fraction = testing_below(7);
        char text[32];
        int64_t minor, expected = 0;

        if (testing_below(4) == 0)
            text[len++] = '-';
        for (size_t i = 0; i < whole; i++)
            text[len++] = (char) ('0' + testing_below(10));
        if (testing_below(3) != 0)
            text[len++] = '.';
        for (size_t i = 0; i < fraction; i++)
            text[len++] = testing_below(2) ? '0' : (char) ('0' + testing_below(10));
        if (len > 0 && testing_below(8) == 0)
            text[testing_below(len)] = "0.-+ e,x"[testing_below(8)];
        text[len] = '\0';

        enum tracker_money_verdict verdict = parse(text, codes[which], &minor);
        if (verdict != oracle(text, exponents[which], &expected) || minor != expected)
            fail_msg("\"%s\" %s: verdict %d, minor %lld", text, codes[which], verdict, (long long) minor);
        seen[verdict]++;
    }
    assert_true(seen[TRACKER_MONEY_OK] > 1000 && seen[TRACKER_MONEY_BAD_AMOUNT] > 1000);
    assert_true(seen[TRACKER_MONEY_TOO_PRECISE] > 1000 && seen[TRACKER_MONEY_OUT_OF_RANGE] > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),     cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_amounts),    cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_against_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
