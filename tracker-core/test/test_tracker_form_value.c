/*
 * test_tracker_form_value.c - what a value must be.
 *
 * Guarded here: an address that a mail server would refuse, a day that there is not, a number just outside its bounds,
 * or a pattern that takes for ever would each go into the database as a lead, or stop an edge; a strict reader that
 * refuses what people really have loses a customer.
 */
#include "testing.h"

#include "tracker_form_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text on the heap, so that a byte read past it is seen. */
static bool
holds(bool (*valid)(struct tracker_str), const char *text)
{
    char *copy = testing_exact(text, strlen(text));
    bool  result = valid((struct tracker_str){ copy, strlen(text) });

    free(copy);
    return result;
}

static void
test_email(void **state)
{
    static const char *const good[] = {
        "a@b.de", "Jane.Doe+tag@mail.example.co.uk", "o'hara@example.com", "x_y-z@1and1.example", "!#$%&'*/=?^`{|}~@x.org",
        "1234567890@example.com", "j\xc3\xb6rg@m\xc3\xbcller.example", "a@xn--mller-kva.example", "a@b.c1",
    };
    static const char *const bad[] = {
        "", "@", "a", "a@", "@b.de", "a@b", "a@localhost", "a@b.", "a@.b.de", "a@b..de", ".a@b.de", "a.@b.de", "a..b@c.de",
        "a b@c.de", "a@b c.de", "a@-b.de", "a@b-.de", "a@b_c.de", "Jane <a@b.de>", "<a@b.de>", "\"a b\"@c.de", "a@[127.0.0.1]",
        "a@127.0.0.1", "a@b.de,c@d.de", "a@b@c.de", "a@b.de\n", "a\n@b.de", "a(x)@b.de", "a\\@b.de", "a@b.de;", "a@b.123",
    };
    char text[400];

    for (size_t i = 0; i < COUNT(good); i++)
        if (!holds(tracker_email_valid, good[i]))
            fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (holds(tracker_email_valid, bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
    assert_false(tracker_email_valid((struct tracker_str){ "a\0b@c.de", 8 }));

    for (int local = 64; local <= 65; local++) {
        snprintf(text, sizeof(text), "%0*d@example.com", local, 1);
        assert_int_equal(holds(tracker_email_valid, text), local == 64);
    }
    for (int label = 63; label <= 64; label++) {
        snprintf(text, sizeof(text), "a@%0*d.com", label, 1);
        assert_int_equal(holds(tracker_email_valid, text), label == 63);
    }
    for (int last = 57; last <= 58; last++) { /* 2 + 3 * 64 + 57 + 3 = 254 */
        snprintf(text, sizeof(text), "a@%063d.%063d.%063d.%0*d.de", 1, 1, 1, last, 1);
        assert_int_equal(holds(tracker_email_valid, text), strlen(text) <= 254);
    }
}

static void
test_phone(void **state)
{
    static const char *const good[] = { "123456", "+49 (0) 89 / 123-456.7", "12345678901234567890", "(030) 1234" };
    static const char *const bad[] = {
        "", "12345", "123456789012345678901", "49+123456", "++49123456", "123456x", "tel:123456", "123456\n", "-----------",
        "1         2         3         4         56", /* 41 bytes */
    };

    for (size_t i = 0; i < COUNT(good); i++)
        if (!holds(tracker_phone_valid, good[i]))
            fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (holds(tracker_phone_valid, bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
    assert_false(tracker_phone_valid((struct tracker_str){ "123456\0", 7 }));
}

/* Every day of 10,000 years, counted the slow way. */
static void
test_date(void **state)
{
    static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    static const char *const bad[] = {
        "", "2024-02-30", "2023-02-29", "1900-02-29", "2024-00-01", "2024-13-01", "2024-01-00", "2024-01-32", "2024-04-31",
        "0000-01-01", "24-01-01", "2024-1-1", "2024/01/01", "01.01.2024", "2024-01-01 ", "2024-01-01T", " 2024-01-1",
        "+024-01-01", "2024-0x-01",
    };
    char    text[32];
    int64_t expected = -719162, days; /* 0001-01-01, by the calendar's 146097 days in 400 years */

    for (int year = 1; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            bool leap = month == 2 && (year % 400 == 0 || (year % 4 == 0 && year % 100 != 0));
            for (int day = 1; day <= month_days[month - 1] + leap; day++) {
                snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
                if (!tracker_date_parse(testing_str(text), &days) || days != expected)
                    fail_msg("%s: %lld, not %lld", text, (long long) days, (long long) expected);
                expected++;
            }
        }
    }
    assert_true(tracker_date_parse(TRACKER_STR("1970-01-01"), &days));
    assert_int_equal(days, 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (tracker_date_parse(testing_str(bad[i]), &days))
            fail_msg("\"%s\" was taken", bad[i]);
}

static void
test_number(void **state)
{
    static const struct {
        const char *text;
        bool any, within; /* without bounds; from -5 to 10 */
    } cases[] = {
        { "0", true, true },      { "10", true, true },      { "10.0", true, true },   { "10.000", true, true },
        { "10.001", true, false }, { "9.999", true, true },  { "11", true, false },    { "-5", true, true },
        { "-5.0", true, true },   { "-5.01", true, false },  { "-4.99", true, true },  { "-6", true, false },
        { "-0", true, true },     { "-0.5", true, true },    { "007", true, true },    { "999999999999999999", true, false },
        { "0.000000000000000001", true, true },              { "10.000000000000000001", true, false },
        { "1000000000000000000", false, false },             { "0.0000000000000000001", false, false },
        { "", false, false },     { "-", false, false },     { "+1", false, false },   { ".5", false, false },
        { "5.", false, false },   { "1e3", false, false },   { "1,5", false, false },  { "0x10", false, false },
        { "1 ", false, false },   { "--1", false, false },   { "1.2.3", false, false }, { "NaN", false, false },
    };
    struct tracker_form_field any = { .type = TRACKER_FORM_NUMBER };
    struct tracker_form_field within = { .type = TRACKER_FORM_NUMBER, .has_min = true, .has_max = true, .min = -5, .max = 10 };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *copy = testing_exact(cases[i].text, strlen(cases[i].text));
        struct tracker_str text = { copy, strlen(cases[i].text) };

        if (tracker_form_number(text, &any) != cases[i].any || tracker_form_number(text, &within) != cases[i].within)
            fail_msg("\"%s\"", cases[i].text);
        free(copy);
    }
}

static void
test_country(void **state)
{
    struct tracker_str code, name, before = TRACKER_STR("  ");
    unsigned           i;

    for (i = 0; tracker_country(i, &code, &name); i++) {
        assert_int_equal(code.len, 2);
        assert_true(memcmp(before.data, code.data, 2) < 0);
        assert_true(name.len > 0);
        assert_true(tracker_country_known(code));
        before = code;
    }
    assert_true(i >= 240);
    assert_false(tracker_country_known(TRACKER_STR("de")));
    assert_false(tracker_country_known(TRACKER_STR("XX")));
    assert_false(tracker_country_known(TRACKER_STR("ZZ")));
    assert_false(tracker_country_known(TRACKER_STR("DEU")));
    assert_false(tracker_country_known(TRACKER_STR("D")));
    assert_false(tracker_country_known(TRACKER_STR_NONE));
}

static void
test_pattern(void **state)
{
    static const char *const bad[] = { "(", "[a", "a**", "(?<x", "\\C", "a\nb", "\xff", "(?R", "*", "\\p{Nowhere}" };
    char long_one[TRACKER_FORM_PATTERN_MAX + 2], text[4097];

    for (size_t i = 0; i < COUNT(bad); i++)
        if (tracker_form_pattern_error(testing_str(bad[i])) == NULL)
            fail_msg("pattern %zu was taken", i);
    memset(long_one, 'a', sizeof(long_one));
    assert_null(tracker_form_pattern_error((struct tracker_str){ long_one, TRACKER_FORM_PATTERN_MAX }));
    assert_non_null(tracker_form_pattern_error((struct tracker_str){ long_one, TRACKER_FORM_PATTERN_MAX + 1 }));

    /* the whole text, whatever the pattern says */
    assert_true(tracker_form_pattern_matches(TRACKER_STR("[A-Z]{2}\\d+"), TRACKER_STR("AB12")));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("[A-Z]{2}\\d+"), TRACKER_STR("AB12x")));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("[A-Z]{2}\\d+"), TRACKER_STR("xAB12")));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("a|ab"), TRACKER_STR("abc")));
    assert_true(tracker_form_pattern_matches(TRACKER_STR("a|ab"), TRACKER_STR("ab")));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("a"), TRACKER_STR("a\n")));
    /* characters, not bytes */
    assert_true(tracker_form_pattern_matches(TRACKER_STR("."), TRACKER_STR("\xc3\xa4")));
    assert_true(tracker_form_pattern_matches(TRACKER_STR("\\p{L}+"), TRACKER_STR("\xc3\xa4\xc3\x9f")));
    assert_false(tracker_form_pattern_matches(TRACKER_STR(".*"), TRACKER_STR("\xff")));

    /* what would take for ever is no match, soon; what is long but honest is one */
    memset(text, 'a', 4096);
    text[4096] = '\0';
    assert_false(tracker_form_pattern_matches(TRACKER_STR("(a+)+b"), testing_str(text)));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("(?:a|a)*b"), testing_str(text)));
    assert_false(tracker_form_pattern_matches(TRACKER_STR("(?R)?x"), testing_str(text)));
    assert_true(tracker_form_pattern_matches(TRACKER_STR("[a-z ]+"), testing_str(text)));
    assert_true(tracker_form_pattern_matches(TRACKER_STR("(?:a|b)*"), testing_str(text)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_email),  cmocka_unit_test(test_phone),   cmocka_unit_test(test_date),
        cmocka_unit_test(test_number), cmocka_unit_test(test_country), cmocka_unit_test(test_pattern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
