/*
 * test_tracker_page.c - pages: their marks, and what a stranger's values become in them.
 *
 * Guarded here: a value that a stranger sends never becomes markup; a mark that does not fit its form is found when the
 * page is loaded, not when it is asked for; the count and the copy agree to the byte.
 */
#include "testing.h"

#include "tracker_form.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S(text)      { text, sizeof(text) - 1 }

static const struct tracker_form_field fields[] = {
    { .name = S("name"), .type = TRACKER_FORM_TEXT, .required = true },
    { .name = S("plan"), .type = TRACKER_FORM_SELECT, .options = S("basic\npro\nmax\n") },
    { .name = S("topics"), .type = TRACKER_FORM_MULTI, .options = S("a\nb\nc\n") },
    { .name = S("terms"), .type = TRACKER_FORM_CONSENT },
    { .name = S("country"), .type = TRACKER_FORM_COUNTRY },
};

static uint8_t compiled[1024], sent_bytes[1024];
static struct tracker_str form;

static int
setup(void **state)
{
    const char *error;
    unsigned at;
    int len = tracker_form_compile(fields, COUNT(fields), compiled, sizeof(compiled), &error, &at);

    form = (struct tracker_str){ (const char *) compiled, (size_t) len };
    return len > 0 ? 0 : -1;
}

static struct tracker_str
sent(const char *name, const char *value, size_t before)
{
    size_t len = tracker_pairs_add(sent_bytes, before, sizeof(sent_bytes), testing_str(name), testing_str(value));

    return (struct tracker_str){ (const char *) sent_bytes, len };
}

/* The page filled in, of exact size; and with every smaller room nothing is written beyond it. */
static const char *
fill(const char *page, const struct tracker_page_values *values)
{
    static char text[4096];
    char *copy = testing_exact(page, strlen(page));
    struct tracker_str source = { copy, strlen(page) };
    size_t len;

    assert_true(tracker_page_check(source, form));
    len = tracker_page_fill(source, values, NULL, 0);
    assert_true(len < sizeof(text));
    for (size_t cap = 0; cap <= len; cap++) {
        char *exact = malloc(cap + 1);

        exact[cap] = '~';
        assert_int_equal(tracker_page_fill(source, values, exact, cap), len);
        assert_int_equal(exact[cap], '~');
        if (cap == len)
            memcpy(text, exact, len);
        free(exact);
    }
    text[len] = '\0';
    free(copy);
    return text;
}

static void
test_marks(void **state)
{
    static const char *const good[] = {
        "", "plain", "\x01T", "\x01" "C\x01L", "\x01V0;\x01V4;", "\x01S1,0;\x01S1,2;\x01S2,2;\x01S4,0;\x01S4,675;", "\x01H3;",
        "\x01R0;x\x01.\x01I4;\x01V0;\x01.\x01X2;\x01.\x01X*;\x01.", "\x01N1;\x01.\x01N3;\x01.",
    };
    static const char *const bad[] = {
        "\x01", "x\x01", "\x01" "Q", "\x01V", "\x01V;", "\x01V0", "\x01V5;", "\x01V99999999999999999999;", "\x01V00;",
        "\x01V-1;", "\x01V 0;", "\x01S1;", "\x01S1,;", "\x01S1,3;", "\x01S0,0;", "\x01S4,676;", "\x01S1,0", "\x01H0;",
        "\x01H2;", "\x01H*;", "\x01R0;", "\x01R*;\x01.", "\x01.", "\x01R0;\x01I0;\x01.\x01.", "\x01X*", "\x01N0;\x01.",
        "\x01N4;\x01.", "\x01\x01T", "\x01X5;\x01.",
    };

    for (size_t i = 0; i < COUNT(good); i++)
        if (!tracker_page_check(testing_str(good[i]), form))
            fail_msg("page %zu was refused", i);
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *copy = testing_exact(bad[i], strlen(bad[i]));
        if (tracker_page_check((struct tracker_str){ copy, strlen(bad[i]) }, form))
            fail_msg("bad page %zu was taken", i);
        free(copy);
    }
}

static void
test_first_showing(void **state)
{
    struct tracker_page_values values = { .form = form, .token = S("tok"), .click_id = S("cli"), .path = S("/f/x?a&b") };

    assert_string_equal(fill("<\x01T|\x01" "C|\x01L|\x01V0;|\x01S1,1;|\x01H3;|\x01R0;missing\x01.|\x01X*;wrong\x01.|"
                             "\x01N1;stale\x01.>",
                             &values),
                        "<tok|cli|/f/x?a&amp;b||||||>");
    values.notice = TRACKER_PAGE_STALE;
    assert_string_equal(fill("\x01N1;stale \x01T\x01.\x01N2;busy\x01.", &values), "stale tok");
}

static void
test_shown_again(void **state)
{
    uint8_t faults[TRACKER_FORM_FIELDS_MAX] = { [0] = TRACKER_FORM_MISSING, [1] = TRACKER_FORM_INVALID };
    struct tracker_page_values values = { .form = form, .faults = faults };

    values.sent = sent("topics", "a", 0);
    values.sent = sent("topics", " c", values.sent.len);
    values.sent = sent("plan", "pro", values.sent.len);
    values.sent = sent("terms", "on", values.sent.len);
    values.sent = sent("country", "DE", values.sent.len);
    values.sent = sent("name", "first", values.sent.len);
    values.sent = sent("name", "second", values.sent.len);

    assert_string_equal(fill("\x01S1,0;|\x01S1,1;|\x01S1,2;", &values), "| selected|");
    assert_string_equal(fill("\x01S1,2;|\x01S1,1;|\x01S1,1;", &values), "| selected| selected");
    assert_string_equal(fill("\x01S2,0;|\x01S1,1;|\x01S2,1;|\x01S2,2;", &values), " checked| selected|| checked");
    assert_string_equal(fill("\x01S4,82;|\x01S4,83;", &values), " selected|"); /* 3 * 26 + 4: DE */
    assert_string_equal(fill("\x01H3;", &values), " checked");
    assert_string_equal(fill("\x01V0;", &values), "first");
    assert_string_equal(fill("\x01R0;R\x01.\x01I0;I\x01.\x01X0;X\x01.\x01X*;A\x01.", &values), "RXA");
    assert_string_equal(fill("\x01R1;R\x01.\x01I1;I\x01.\x01X1;X\x01.\x01R2;R\x01.\x01I2;I\x01.\x01X2;X\x01.", &values), "IX");

    faults[0] = faults[1] = TRACKER_FORM_FINE;
    assert_string_equal(fill("\x01X*;A\x01.b", &values), "b");
}

/* Any text that may be sent: no byte that ends a text or an attribute comes through, and nothing is lost. */
static void
test_escapes(void **state)
{
    struct tracker_page_values values = { .form = form };

    values.sent = sent("name", "<script>alert(\"1\")</script>&amp;'\x01T\xc3\xa4", 0);
    assert_string_equal(fill("\x01V0;", &values),
                        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;&#39;\x01T\xc3\xa4");
    values.sent = TRACKER_STR_NONE;
    values.token = TRACKER_STR("\">");
    values.click_id = TRACKER_STR("'<");
    values.path = TRACKER_STR("\"");
    assert_string_equal(fill("\x01T\x01" "C\x01L", &values), "&quot;&gt;&#39;&lt;&quot;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_first_showing),
        cmocka_unit_test(test_shown_again),
        cmocka_unit_test(test_escapes),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
