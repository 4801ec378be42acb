/*
 * What stands on a form's pages: everything that edges fill in later, nothing that a title, label or option could
 * break out of, and what people with a screen reader need.  What could break: a text that becomes markup or a mark, a
 * definition whose page an edge refuses, a colour on which nobody can read the button.
 */
#include "test_support.h"

#include "service/form_definition.h"
#include "service/form_page.h"
#include "store/intake.h"

#define NAMES_ALL                                                                                                    \
    "[{\"name\":\"email\",\"label\":\"%s\",\"type\":\"email\",\"required\":true,\"help\":\"%s\",\"placeholder\":\"%s\"},"  \
    "{\"name\":\"phone\",\"label\":\"%s\",\"type\":\"phone\"},"                                                        \
    "{\"name\":\"name\",\"label\":\"%s\",\"type\":\"text\",\"max\":40},"                                               \
    "{\"name\":\"age\",\"label\":\"%s\",\"type\":\"number\",\"min\":18},"                                              \
    "{\"name\":\"born\",\"label\":\"%s\",\"type\":\"date\",\"max\":\"2010-01-01\"},"                                   \
    "{\"name\":\"budget\",\"label\":\"%s\",\"type\":\"select\",\"options\":[{\"value\":\"v%s\",\"label\":\"%s\"}]},"   \
    "{\"name\":\"likes\",\"label\":\"%s\",\"type\":\"multi\",\"options\":[{\"value\":\"v%s\",\"label\":\"%s\"},"       \
    "{\"value\":\"b\",\"label\":\"b\"}]},"                                                                             \
    "{\"name\":\"news\",\"label\":\"%s\",\"type\":\"checkbox\"},"                                                      \
    "{\"name\":\"terms\",\"label\":\"%s\",\"type\":\"consent\",\"text\":\"%s\",\"required\":true},"                    \
    "{\"name\":\"secret\",\"type\":\"hidden\",\"value\":\"%s\"},"                                                      \
    "{\"name\":\"country\",\"label\":\"%s\",\"type\":\"country\"}]"

/* The definition with that text wherever people may write one. */
static json_t *
definition(const char *text)
{
    json_t *quoted = json_string(text), *fields;
    char   *escaped = json_dumps(quoted, JSON_ENCODE_ANY), *source;
    char   *t = escaped + 1;

    t[strlen(t) - 1] = '\0';
    assert_true(asprintf(&source, NAMES_ALL, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t) > 0);
    fields = json_loads(source, 0, NULL);
    assert_non_null(fields);
    free(source);
    free(escaped);
    json_decref(quoted);
    return fields;
}

static struct form_row
row_with(const char *text, const char *language, const char *theme)
{
    return (struct form_row){ .language = (char *) language, .title = (char *) text, .intro = (char *) text,
                              .button = (char *) text, .success_message = (char *) text, .theme = (char *) theme };
}

/* How often one text stands in another. */
static unsigned
count(const char *text, const char *piece)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, piece)) != NULL; at += strlen(piece))
        n++;
    return n;
}

/* Tags and attributes alone: what stands between quotes, and between tags, is left out. */
static char *
skeleton(const char *page)
{
    char *out = malloc(strlen(page) + 1), *to = out;
    bool  tag = false, quoted = false;

    assert_non_null(out);
    for (; *page != '\0'; page++) {
        if (quoted) {
            quoted = *page != '"';
        } else if (tag) {
            *to++ = *page;
            quoted = *page == '"';
            tag = *page != '>';
        } else if (*page == '<') {
            *to++ = *page;
            tag = true;
        }
    }
    *to = '\0';
    return out;
}

static char *
filled(const struct form_pages *pages, struct tracker_str sent, const uint8_t *faults)
{
    const struct tracker_page_values values = {
        .form = { (const char *) pages->definition, pages->definition_len },
        .token = TRACKER_STR("TOKEN"),
        .click_id = TRACKER_STR("CLICK"),
        .path = TRACKER_STR("/f/x"),
        .sent = sent,
        .faults = faults,
    };
    struct tracker_str page = { pages->page, pages->page_len };
    size_t             len = tracker_page_fill(page, &values, NULL, 0);
    char              *text = malloc(len + 1);

    assert_non_null(text);
    assert_int_equal(tracker_page_fill(page, &values, text, len), len);
    text[len] = '\0';
    return text;
}

static void
make(const char *text, const char *language, const char *theme, struct form_pages *pages)
{
    json_t         *fields = definition(text);
    struct form_row row = row_with(text, language, theme);

    assert_true(form_pages_make(&row, fields, pages));
    json_decref(fields);
}

static void
test_every_byte_stays_text(void **state)
{
    struct form_pages plain, pages;
    char             *expected, *got;

    (void) state;
    make("x", "en", "{}", &plain);
    expected = skeleton(plain.page);
    for (int c = 1; c < 128; c++) {
        char text[8];

        if (c < ' ' || c == 0x7f)
            continue; /* nobody gets these past the fields' check; newlines and tabs not into options */
        snprintf(text, sizeof(text), "x%c%cx", c, c);
        make(text, "en", "{}", &pages);
        got = skeleton(pages.page);
        if (strcmp(got, expected) != 0)
            fail_msg("byte 0x%02x changes the page's tags", c);
        assert_int_equal(count(pages.page, "\1"), count(plain.page, "\1"));
        free(got);
        form_pages_free(&pages);
    }
    free(expected);
    form_pages_free(&plain);
}

static void
test_hostile_texts(void **state)
{
    static const char *const texts[] = {
        "</title></style></textarea><script>alert(1)</script>", "\" autofocus onfocus=\"alert(1)", "' onclick='alert(1)",
        "<!--", "-->", "]]>", "{}", "%s%n", "&lt;script&gt;", "</select></form><form action=//evil.example>",
        "\xe2\x80\xae" "right to left", "javascript:alert(1)",
    };
    struct form_pages plain, pages;
    char             *expected, *got;

    (void) state;
    make("x", "en", "{}", &plain);
    expected = skeleton(plain.page);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        make(texts[i], "en", "{}", &pages);
        got = skeleton(pages.page);
        assert_string_equal(got, expected);
        assert_null(strstr(pages.page, "<script"));
        assert_null(strstr(pages.done, "<script"));
        free(got);
        form_pages_free(&pages);
    }
    free(expected);
    form_pages_free(&plain);
}

/* A row that somebody wrote past the checks: marks of an edge are not to be had by a title. */
static void
test_no_marks_by_texts(void **state)
{
    struct form_pages pages;
    json_t           *fields = definition("x");
    struct form_row   row = row_with("a\1Tb\1X9;c", "en", "{}");

    (void) state;
    assert_true(form_pages_make(&row, fields, &pages));
    assert_int_equal(count(pages.page, "\1T"), 1);
    assert_non_null(strstr(pages.page, "<h1>aTbX9;c</h1>"));
    assert_int_equal(count(pages.done, "\1"), 0);
    form_pages_free(&pages);
    json_decref(fields);
}

/* Each control has a label by its id, and each id stands there once. */
static void
test_labels(void **state)
{
    static const char *const ids[] = { "f0", "f1", "f2", "f3", "f4", "f5", "f6-0", "f6-1", "f7", "f8", "f10", "trap" };
    struct form_pages        pages;
    char                     piece[40];

    (void) state;
    make("x", "en", "{}", &pages);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(piece, sizeof(piece), " id=\"%s\"", ids[i]);
        assert_int_equal(count(pages.page, piece), 1);
        snprintf(piece, sizeof(piece), "<label for=\"%s\"", ids[i]);
        assert_int_equal(count(pages.page, piece), 1);
    }
    assert_int_equal(count(pages.page, "<fieldset"), 1);
    assert_int_equal(count(pages.page, "<legend>"), 1);
    assert_int_equal(count(pages.page, "<h1>"), 1);
    assert_int_equal(count(pages.page, "<main>"), 1);
    assert_non_null(strstr(pages.page, "<div class=\"trap\" aria-hidden=\"true\">"));
    assert_non_null(strstr(pages.page, "name=\"_website\" tabindex=\"-1\" autocomplete=\"off\""));
    assert_int_equal(count(pages.page, "<style>"), 1);
    assert_null(strstr(pages.page, " style="));
    assert_null(strstr(pages.page, "<script"));
    form_pages_free(&pages);
}

static void
test_first_showing(void **state)
{
    struct form_pages pages;
    char             *text;

    (void) state;
    make("x", "en", "{}", &pages);
    text = filled(&pages, TRACKER_STR_NONE, NULL);
    assert_null(strchr(text, '\1'));
    assert_non_null(strstr(text, "name=\"_token\" value=\"TOKEN\""));
    assert_non_null(strstr(text, "name=\"click_id\" value=\"CLICK\""));
    assert_null(strstr(text, " aria-invalid="));
    assert_null(strstr(text, "role=\"alert\""));
    assert_null(strstr(text, " checked"));
    assert_null(strstr(text, " selected"));
    assert_non_null(strstr(text, "aria-describedby=\"h0\""));
    free(text);
    form_pages_free(&pages);
}

/* What was wrong: said beside the field, in the summary with a link, and the rest is as it was sent. */
static void
test_second_showing(void **state)
{
    uint8_t           sent[1024], faults[TRACKER_FORM_FIELDS_MAX] = { [0] = TRACKER_FORM_INVALID, [8] = TRACKER_FORM_MISSING };
    struct form_pages pages;
    size_t            len = 0;
    char             *text;

    (void) state;
    make("x", "de", "{}", &pages);
    len = tracker_pairs_add(sent, len, sizeof(sent), TRACKER_STR("email"), TRACKER_STR("a\"><b"));
    len = tracker_pairs_add(sent, len, sizeof(sent), TRACKER_STR("likes"), TRACKER_STR("b"));
    len = tracker_pairs_add(sent, len, sizeof(sent), TRACKER_STR("news"), TRACKER_STR("1"));
    len = tracker_pairs_add(sent, len, sizeof(sent), TRACKER_STR("country"), TRACKER_STR("DE"));
    text = filled(&pages, (struct tracker_str){ (const char *) sent, len }, faults);
    assert_null(strchr(text, '\1'));
    assert_int_equal(count(text, "role=\"alert\""), 1);
    assert_non_null(strstr(text, "<li><a href=\"#f0\">x: Bitte geben Sie eine E-Mail-Adresse"));
    assert_non_null(strstr(text, "<li><a href=\"#f8\">x: Bitte setzen Sie dieses H"));
    assert_int_equal(count(text, "<li>"), 2);
    assert_int_equal(count(text, "<p class=\"error\""), 2);
    assert_int_equal(count(text, " aria-invalid=\"true\""), 2);
    assert_non_null(strstr(text, "aria-describedby=\"h0 e0\""));
    assert_non_null(strstr(text, "id=\"e0\""));
    assert_null(strstr(text, "a\"><b"));
    assert_non_null(strstr(text, "id=\"f6-1\" name=\"likes\" value=\"b\" checked>"));
    assert_non_null(strstr(text, "<option value=\"DE\" selected>"));
    assert_int_equal(count(text, " checked"), 2);
    free(text);
    form_pages_free(&pages);
}

static void
test_languages(void **state)
{
    static const char *const languages[] = { "en", "de", "es", "fr", "it", "pt", "nl", "pl" };
    struct form_pages        pages, english;
    char                     piece[40];

    (void) state;
    make("x", "en", "{}", &english);
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        json_t         *fields = definition("x");
        struct form_row row = row_with("", languages[i], "{}");

        assert_true(form_pages_make(&row, fields, &pages));
        snprintf(piece, sizeof(piece), "<html lang=\"%s\" dir=\"ltr\">", languages[i]);
        assert_non_null(strstr(pages.page, piece));
        assert_non_null(strstr(pages.done, piece));
        assert_non_null(strstr(pages.wait, piece));
        assert_null(strstr(pages.page, "(null)"));
        assert_null(strstr(pages.page, "<h1></h1>"));
        assert_null(strstr(pages.page, "<button></button>"));
        assert_non_null(strstr(pages.wait, "<meta http-equiv=\"refresh\""));
        assert_null(strstr(pages.done, "http-equiv=\"refresh\""));
        if (i > 0)
            assert_string_not_equal(pages.wait, english.wait);
        form_pages_free(&pages);
        json_decref(fields);
    }
    form_pages_free(&english);
}

/* Relative luminance as WCAG has it, in floating point, which only a test may use. */
static double
channel(unsigned c)
{
    double x = c / 255.0, y = (x + 0.055) / 1.055, power = 1;

    if (x <= 0.04045)
        return x / 12.92;
    for (int i = 0; i < 12; i++) /* y^2.4 = (y^12)^(1/5) */
        power *= y;
    double root = 1;
    for (int i = 0; i < 200; i++)
        root = (4 * root + power / (root * root * root * root)) / 5;
    return root;
}

static void
test_button_can_be_read(void **state)
{
    (void) state;
    for (unsigned colour = 0; colour < 0x1000000; colour += 0x030517) {
        json_t          *fields = json_loads("[{\"name\":\"email\",\"label\":\"x\",\"type\":\"email\"}]", 0, NULL);
        char             theme[64];
        struct form_row  row = row_with("", "en", theme);
        struct form_pages pages;
        double           light, contrast;

        snprintf(theme, sizeof(theme), "{\"accent\":\"#%06x\"}", colour);
        assert_true(form_pages_make(&row, fields, &pages));
        light = 0.2126 * channel(colour >> 16 & 0xff) + 0.7152 * channel(colour >> 8 & 0xff) + 0.0722 * channel(colour & 0xff);
        contrast = strstr(pages.page, "--on-accent:#000") != NULL ? (light + 0.05) / 0.05 : 1.05 / (light + 0.05);
        if (contrast < 4.5)
            fail_msg("#%06x: %f", colour, contrast);
        form_pages_free(&pages);
        json_decref(fields);
    }
}

/* What the database might hold and no edge could use. */
static void
test_rows_that_are_none(void **state)
{
    static const char *const fields[] = { "{}", "[]", "[{}]", "[5]", "[{\"name\":\"a\",\"label\":\"x\",\"type\":\"file\"}]" };
    struct form_row          row = row_with("", "en", "{}");
    struct form_pages        pages;

    (void) state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        json_t *list = json_loads(fields[i], 0, NULL);

        assert_false(form_pages_make(&row, list, &pages));
        assert_null(pages.page);
        json_decref(list);
    }
    assert_false(form_pages_make(&row, NULL, &pages));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_stays_text), cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_no_marks_by_texts),     cmocka_unit_test(test_labels),
        cmocka_unit_test(test_first_showing),         cmocka_unit_test(test_second_showing),
        cmocka_unit_test(test_languages),             cmocka_unit_test(test_button_can_be_read),
        cmocka_unit_test(test_rows_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
