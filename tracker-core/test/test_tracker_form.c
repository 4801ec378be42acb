/*
 * test_tracker_form.c - a form's definition: its bounds, damage to its bytes, and submissions judged by it.
 *
 * Guarded here: a manager's mistake is one sentence about one field; damaged bytes are refused, or are a form that is
 * read within its bounds; what the edge keeps of a submission is what the form asked for, cleaned, and nothing else.
 */
#include "testing.h"

#include "tracker_form_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S(text)      { text, sizeof(text) - 1 }

static const struct tracker_form_field fields[] = {
    { .name = S("first_name"), .type = TRACKER_FORM_TEXT, .required = true, .has_max = true, .max = 5 },
    { .name = S("email"), .type = TRACKER_FORM_EMAIL, .required = true },
    { .name = S("phone"), .type = TRACKER_FORM_PHONE },
    { .name = S("age"), .type = TRACKER_FORM_NUMBER, .has_min = true, .min = 18 },
    { .name = S("born"), .type = TRACKER_FORM_DATE, .has_max = true, .max = 13149 }, /* 2006-01-01 */
    { .name = S("plan"), .type = TRACKER_FORM_SELECT, .options = S("basic\npro & more\n") },
    { .name = S("topics"), .type = TRACKER_FORM_MULTI, .has_max = true, .max = 2, .options = S("a\nb\nc\n") },
    { .name = S("news"), .type = TRACKER_FORM_CHECKBOX },
    { .name = S("terms"), .type = TRACKER_FORM_CONSENT, .required = true },
    { .name = S("campaign"), .type = TRACKER_FORM_HIDDEN, .pattern = S("[a-z]+[0-9]?") },
    { .name = S("country"), .type = TRACKER_FORM_COUNTRY },
};
enum { FIRST_NAME, EMAIL, PHONE, AGE, BORN, PLAN, TOPICS, NEWS, TERMS, CAMPAIGN, COUNTRY, FIELDS };

static uint8_t compiled[TRACKER_FORM_MAX];
static struct tracker_str form;

static int
setup(void **state)
{
    const char *error;
    unsigned at;
    int len = tracker_form_compile(fields, FIELDS, compiled, sizeof(compiled), &error, &at);

    form = (struct tracker_str){ (const char *) compiled, (size_t) len };
    return len > 0 && tracker_form_check(form) ? 0 : -1;
}

/* ---- definitions ---- */

static void
test_reads_what_was_written(void **state)
{
    struct tracker_form_field field;

    assert_int_equal(tracker_form_count(form), FIELDS);
    for (unsigned i = 0; i < FIELDS; i++) {
        tracker_form_field(form, i, &field);
        assert_true(tracker_str_eq(field.name, fields[i].name));
        assert_true(tracker_str_eq(field.pattern, fields[i].pattern));
        assert_true(tracker_str_eq(field.options, fields[i].options));
        assert_int_equal(field.type, fields[i].type);
        assert_int_equal(field.required, fields[i].required);
        assert_int_equal(field.has_min, fields[i].has_min);
        assert_int_equal(field.has_max, fields[i].has_max);
        assert_int_equal(field.min, fields[i].min);
        assert_int_equal(field.max, fields[i].max);
    }
}

static void
test_room(void **state)
{
    uint8_t *exact = malloc(form.len);
    const char *error;
    unsigned at;

    assert_int_equal(tracker_form_compile(fields, FIELDS, exact, form.len, &error, &at), (int) form.len);
    assert_memory_equal(exact, compiled, form.len);
    for (size_t cap = 0; cap < form.len; cap++) {
        assert_int_equal(tracker_form_compile(fields, FIELDS, exact, cap, &error, &at), -1);
        assert_non_null(error);
    }
    free(exact);
}

static void
test_mistakes(void **state)
{
    static const struct {
        struct tracker_form_field field;
        const char *word; /* of the sentence; NULL: it is fine */
    } cases[] = {
        { { .name = S("x"), .type = TRACKER_FORM_TEXT }, NULL },
        { { .name = S("x"), .type = 0 }, "type" },
        { { .name = S("x"), .type = 12 }, "type" },
        { { .name = S("x"), .type = 255 }, "type" },
        { { .name = S(""), .type = TRACKER_FORM_TEXT }, "name" },
        { { .name = S("X"), .type = TRACKER_FORM_TEXT }, "name" },
        { { .name = S("1x"), .type = TRACKER_FORM_TEXT }, "name" },
        { { .name = S("a-b"), .type = TRACKER_FORM_TEXT }, "name" },
        { { .name = S("_token"), .type = TRACKER_FORM_TEXT }, "name" },
        { { .name = S("click_id"), .type = TRACKER_FORM_HIDDEN }, "meaning" },
        { { .name = S("subid"), .type = TRACKER_FORM_HIDDEN }, "meaning" },
        { { .name = S("taken"), .type = TRACKER_FORM_TEXT }, "another" },
        { { .name = S("x"), .type = TRACKER_FORM_TEXT, .has_min = true, .has_max = true, .min = 3, .max = 2 }, "above" },
        { { .name = S("x"), .type = TRACKER_FORM_TEXT, .has_min = true, .min = -1 }, "never" },
        { { .name = S("x"), .type = TRACKER_FORM_TEXT, .has_max = true, .max = 0 }, "never" },
        { { .name = S("x"), .type = TRACKER_FORM_NUMBER, .has_max = true, .max = -7 }, NULL },
        { { .name = S("x"), .type = TRACKER_FORM_CHECKBOX, .has_max = true, .max = 1 }, "no minimum" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT, .has_min = true, .options = S("a\n") }, "no minimum" },
        { { .name = S("x"), .type = TRACKER_FORM_TEXT, .pattern = S("[") }, "regular" },
        { { .name = S("x"), .type = TRACKER_FORM_EMAIL, .pattern = S(".+@work\\.example") }, NULL },
        { { .name = S("x"), .type = TRACKER_FORM_DATE, .pattern = S("2.*") }, "pattern" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT }, "options" },
        { { .name = S("x"), .type = TRACKER_FORM_TEXT, .options = S("a\n") }, "options" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT, .options = S("a\nb") }, "newline" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT, .options = S("a\n\n") }, "option" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT, .options = S("a\n b\n") }, "blanks" },
        { { .name = S("x"), .type = TRACKER_FORM_SELECT, .options = S("a\na\tb\n") }, "option" },
        { { .name = S("x"), .type = TRACKER_FORM_MULTI, .options = S("a\nb\na\n") }, "twice" },
    };
    uint8_t out[1024];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tracker_form_field two[2] = { { .name = S("taken"), .type = TRACKER_FORM_TEXT }, cases[i].field };
        const char *error = NULL;
        unsigned at = 99;
        int len = tracker_form_compile(two, 2, out, sizeof(out), &error, &at);

        if (cases[i].word == NULL) {
            assert_true(len > 0);
            continue;
        }
        if (len != -1 || error == NULL || strstr(error, cases[i].word) == NULL || at != 1)
            fail_msg("case %zu: %d, field %u, %s", i, len, at, error == NULL ? "no error" : error);
    }
}

static void
test_counts(void **state)
{
    static struct tracker_form_field many[TRACKER_FORM_FIELDS_MAX + 1];
    static char names[TRACKER_FORM_FIELDS_MAX + 1][8], options[8 * (TRACKER_FORM_OPTIONS_MAX + 1)];
    struct tracker_form_field select = { .name = S("x"), .type = TRACKER_FORM_SELECT };
    const char *error;
    unsigned at;
    size_t len = 0, len_before = 0;

    for (unsigned i = 0; i < COUNT(many); i++) {
        snprintf(names[i], sizeof(names[i]), "f%u", i);
        many[i] = (struct tracker_form_field){ .name = testing_str(names[i]), .type = TRACKER_FORM_TEXT };
    }
    assert_true(tracker_form_compile(many, TRACKER_FORM_FIELDS_MAX, compiled, sizeof(compiled), &error, &at) > 0);
    assert_int_equal(tracker_form_compile(many, COUNT(many), compiled, sizeof(compiled), &error, &at), -1);
    assert_int_equal(tracker_form_compile(many, 0, compiled, sizeof(compiled), &error, &at), -1);

    for (unsigned i = 0; i <= TRACKER_FORM_OPTIONS_MAX; i++) {
        len_before = len;
        len += (size_t) snprintf(options + len, sizeof(options) - len, "o%u\n", i);
    }
    select.options = (struct tracker_str){ options, len_before };
    assert_true(tracker_form_compile(&select, 1, compiled, sizeof(compiled), &error, &at) > 0);
    select.options.len = len;
    assert_int_equal(tracker_form_compile(&select, 1, compiled, sizeof(compiled), &error, &at), -1);
    setup(NULL);
}

/* Every byte with every bit turned, and every length: refused, or a form that can be read and judges within its bytes. */
static void
test_damage(void **state)
{
    uint8_t kept[256], faults[TRACKER_FORM_FIELDS_MAX];
    size_t kept_len;

    for (size_t len = 0; len < form.len; len++) {
        char *copy = testing_exact(form.data, len);
        assert_false(tracker_form_check((struct tracker_str){ copy, len }));
        free(copy);
    }
    for (size_t i = 0; i < form.len * 8; i++) {
        char *copy = testing_exact(form.data, form.len);
        struct tracker_str damaged = { copy, form.len };

        copy[i / 8] = (char) (copy[i / 8] ^ 1 << i % 8);
        if (tracker_form_check(damaged)) {
            struct tracker_form_field again[FIELDS];
            uint8_t bytes[sizeof(compiled)];
            const char *error;
            unsigned at;

            for (unsigned n = 0; n < FIELDS; n++)
                tracker_form_field(damaged, n, &again[n]);
            /* what passes is what the compiler writes */
            assert_int_equal(tracker_form_compile(again, FIELDS, bytes, sizeof(bytes), &error, &at), form.len);
            assert_memory_equal(bytes, damaged.data, form.len);
            tracker_form_judge(damaged, TRACKER_STR_NONE, kept, sizeof(kept), &kept_len, faults);
        }
        free(copy);
    }
}

/* ---- submissions ---- */

static uint8_t sent_bytes[16384], kept_bytes[TRACKER_LEAD_FIELDS_MAX];
static uint8_t faults[TRACKER_FORM_FIELDS_MAX];
static char kept_text[16384];

/* "name=value&name=value" as pairs; no escapes. */
static struct tracker_str
pairs_of(const char *text)
{
    size_t len = 0;

    while (*text != '\0') {
        size_t name = strcspn(text, "="), value = strcspn(text + name + 1, "&");

        len = tracker_pairs_add(sent_bytes, len, sizeof(sent_bytes), (struct tracker_str){ text, name },
                                (struct tracker_str){ text + name + 1, value });
        assert_int_not_equal(len, 0);
        text += name + 1 + value;
        text += *text == '&';
    }
    return (struct tracker_str){ (const char *) sent_bytes, len };
}

/* What is kept, written likewise; faults is set. */
static const char *
judge(const char *text, bool *fine)
{
    size_t kept_len, at = 0;
    struct tracker_str kept, name, value;

    *fine = tracker_form_judge(form, pairs_of(text), kept_bytes, sizeof(kept_bytes), &kept_len, faults);
    kept = (struct tracker_str){ (const char *) kept_bytes, kept_len };
    assert_true(tracker_pairs_check(kept));
    kept_text[0] = '\0';
    while (tracker_pairs_next(&kept, &name, &value) == 1)
        at += (size_t) snprintf(kept_text + at, sizeof(kept_text) - at, "%s%.*s=%.*s", at == 0 ? "" : "&", (int) name.len,
                                name.data, (int) value.len, value.data);
    return kept_text;
}

#define GOOD "first_name=Jane&email=j@x.example&terms=on"

static void
test_keeps_what_was_asked_for(void **state)
{
    bool fine;

    assert_string_equal(judge("junk=1&terms=on&email= j@x.example\n&first_name=\tJane &first_nam=x&phone= &age=", &fine),
                        "first_name=Jane&email=j@x.example&terms=1");
    assert_true(fine);
    assert_string_equal(judge(GOOD "&topics=c&topics=a&topics=&news=0&news=1&plan=basic&country=DE", &fine),
                        "first_name=Jane&email=j@x.example&plan=basic&topics=c&topics=a&news=1&terms=1&country=DE");
    assert_true(fine);
    /* one answer is enough, empty ones beside it are none */
    assert_string_equal(judge(GOOD "&plan=&plan=basic", &fine), "first_name=Jane&email=j@x.example&plan=basic&terms=1");
    assert_true(fine);
}

static void
test_faults(void **state)
{
    static const struct {
        const char *more;
        unsigned field;
        enum tracker_form_fault fault;
    } cases[] = {
        { "phone=123", PHONE, TRACKER_FORM_INVALID },
        { "phone=+49 89 123456", PHONE, TRACKER_FORM_FINE },
        { "age=17.99", AGE, TRACKER_FORM_INVALID },
        { "age=18", AGE, TRACKER_FORM_FINE },
        { "born=2006-01-02", BORN, TRACKER_FORM_INVALID },
        { "born=2006-01-01", BORN, TRACKER_FORM_FINE },
        { "born=2005-02-29", BORN, TRACKER_FORM_INVALID },
        { "plan=none", PLAN, TRACKER_FORM_INVALID },
        { "plan=pro", PLAN, TRACKER_FORM_INVALID },
        { "plan=basic\npro & more", PLAN, TRACKER_FORM_INVALID },
        { "plan=basic&plan=basic", PLAN, TRACKER_FORM_INVALID },
        { "topics=a&topics=b&topics=c", TOPICS, TRACKER_FORM_INVALID },
        { "topics=a&topics=a", TOPICS, TRACKER_FORM_INVALID },
        { "topics=a&topics=x", TOPICS, TRACKER_FORM_INVALID },
        { "news=maybe", NEWS, TRACKER_FORM_INVALID },
        { "news=false", NEWS, TRACKER_FORM_FINE },
        { "campaign=abc9", CAMPAIGN, TRACKER_FORM_FINE },
        { "campaign=abc99", CAMPAIGN, TRACKER_FORM_INVALID },
        { "country=XX", COUNTRY, TRACKER_FORM_INVALID },
        { "country=de", COUNTRY, TRACKER_FORM_INVALID },
        { "terms=0&terms=no", TERMS, TRACKER_FORM_INVALID },
        { "email=k@x.example", EMAIL, TRACKER_FORM_INVALID }, /* a second one */
    };
    bool fine;

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];

        snprintf(text, sizeof(text), GOOD "&%s", cases[i].more);
        judge(text, &fine);
        if (faults[cases[i].field] != cases[i].fault || fine != (cases[i].fault == TRACKER_FORM_FINE))
            fail_msg("%s: fault %u", cases[i].more, faults[cases[i].field]);
        for (unsigned n = 0; n < FIELDS; n++)
            assert_true(n == cases[i].field || faults[n] == TRACKER_FORM_FINE);
    }

    judge("first_name=  &terms=0", &fine);
    assert_false(fine);
    assert_int_equal(faults[FIRST_NAME], TRACKER_FORM_MISSING);
    assert_int_equal(faults[EMAIL], TRACKER_FORM_MISSING);
    assert_int_equal(faults[TERMS], TRACKER_FORM_MISSING);
    /* five characters, more bytes */
    judge("first_name=\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac&email=j@x.example&terms=1", &fine);
    assert_true(fine);
    judge("first_name=Janeth&email=j@x.example&terms=1", &fine);
    assert_int_equal(faults[FIRST_NAME], TRACKER_FORM_INVALID);
}

static void
test_no_room(void **state)
{
    struct tracker_str pairs = pairs_of(GOOD);
    size_t kept_len, needed;

    assert_true(tracker_form_judge(form, pairs, kept_bytes, sizeof(kept_bytes), &needed, faults));
    for (size_t cap = 0; cap <= needed; cap++) {
        uint8_t *exact = malloc(cap + 1);

        assert_int_equal(tracker_form_judge(form, pairs, exact, cap, &kept_len, faults), cap == needed);
        assert_true(kept_len <= cap);
        for (unsigned n = 0; n < FIELDS; n++)
            assert_int_equal(faults[n], TRACKER_FORM_FINE);
        free(exact);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_keeps_what_was_asked_for),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
