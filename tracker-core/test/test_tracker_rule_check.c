/*
 * test_tracker_rule_check.c - the bounds of rules, and damage to compiled ones.
 *
 * Guarded here: a manager's mistake is one sentence about one rule and never half a rule; every bound holds to
 * the byte; and bytes that were damaged or forged are refused, or choose a whole template and read nothing
 * outside (which the sanitizer build would see).
 */
#include "testing.h"

#include "tracker_rule.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t template_bytes[64];
static struct tracker_str destination;

static int
setup(void **state)
{
    const char *error;
    int len = tracker_template_compile(TRACKER_STR("https://shop.example/{sub1}?c={click_id}"), 0,
                                       template_bytes, sizeof(template_bytes), &error);

    destination = (struct tracker_str){ (const char *) template_bytes, (size_t) len };
    return len > 0 ? 0 : -1;
}

/* Why a rule with this one value is refused; NULL: it is not. */
static const char *
value_error(unsigned subject, const char *text)
{
    static uint8_t out[4096];
    struct tracker_str value = { testing_exact(text, strlen(text)), strlen(text) };
    struct tracker_rule_condition condition = { subject, false, &value, 1 };
    struct tracker_rule_target target = { 1, destination };
    struct tracker_rule rules[2] = { { .targets = &target, .target_count = 1 },
                                     { &condition, 1, &target, 1, 0, 0 } };
    const char *error;
    unsigned rule;
    int len = tracker_rules_compile(rules, 2, out, sizeof(out), &error, &rule);

    free((char *) value.data);
    assert_int_equal(len < 0, error != NULL);
    if (error != NULL)
        assert_int_equal(rule, 1);
    else
        assert_true(tracker_rules_check(out, (size_t) len));
    return error;
}

static void
test_values(void **state)
{
    static const struct {
        unsigned subject;
        const char *good, *bad; /* separated by bars */
    } cases[] = {
        { TRACKER_RULE_COUNTRY, "DE|ZZ", "de|D|DEU|D1||ÄÖ|D |DE,AT" },
        { TRACKER_RULE_REGION, "DE-BY|GB-ENG|AT-9|FR-2A", "DE|DE-|DE-ABCD|DEBY|DE_BY|DE-by|de-BY|BY||DE-B-" },
        { TRACKER_RULE_LANGUAGE, "de|fil|abcdefgh", "d|de-CH|DE|abcdefghi||d3|*" },
        { TRACKER_RULE_DEVICE, "phone|car", "Phone|phones||0|1" },
        { TRACKER_RULE_OS, "ios|nintendo", "iOS|phone|" },
        { TRACKER_RULE_BROWSER, "chrome|google_app", "Chrome|chromium|" },
        { TRACKER_RULE_ASN, "1|4294967295", "0|01|4294967296|99999999999|-1|AS1|1 |" },
        { TRACKER_RULE_CONNECTION, "datacentre|other", "datacenter|unknown|" },
        { TRACKER_RULE_SCHEDULE, "1|1-7|7-1|1,3,5-6|1 00:00-00:01|1 23:59-24:00|1 09:00-00:00|1-5 22:00-06:00",
          "0|8|1-|-1|1,|,1|1-8|1 |1  09:00-10:00|1 9:00-10:00|1 09:00-09:00|1 00:00-00:60|1 24:00-01:00|"
          "1 00:00-24:01|1 09:00-10:00 |1 09.00-10:00|1 09:00 10:00||Mon|1;2|1 ab:cd-ef:gh" },
        { 0, "", "DE" },
        { TRACKER_RULE_SCHEDULE + 1, "", "DE" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int good = 0; good < 2; good++) {
            char *text = strdup(good ? cases[i].good : cases[i].bad), *rest = text, *value;

            while ((value = strsep(&rest, "|")) != NULL && (*value != '\0' || !good)) {
                const char *error = value_error(cases[i].subject, value);
                if ((error == NULL) != (good == 1))
                    fail_msg("subject %u, \"%s\": %s", cases[i].subject, value, error ? error : "taken");
            }
            free(text);
        }
    }
}

static const char *
rule_error(struct tracker_rule rule, unsigned count)
{
    static uint8_t out[TRACKER_RULES_LEN_MAX];
    struct tracker_rule rules[TRACKER_RULES_MAX + 1];
    const char *error;
    unsigned at;
    int len;

    for (unsigned i = 0; i < count; i++)
        rules[i] = rule;
    len = tracker_rules_compile(rules, count, out, sizeof(out), &error, &at);
    assert_int_equal(len < 0, error != NULL);
    assert_true(error != NULL || tracker_rules_check(out, (size_t) len));
    return error;
}

static void
test_bounds(void **state)
{
    struct tracker_str values[TRACKER_RULE_VALUES + 1];
    struct tracker_rule_condition conditions[TRACKER_RULE_CONDITIONS + 1];
    struct tracker_rule_target targets[TRACKER_RULE_TARGETS + 1];
    struct tracker_rule rule = { conditions, 1, targets, 1, UINT32_MAX, 1439 };
    static char asns[TRACKER_RULE_VALUES + 1][8];

    for (unsigned i = 0; i < COUNT(values); i++) {
        snprintf(asns[i], sizeof(asns[i]), "%u", i + 1);
        values[i] = testing_str(asns[i]);
    }
    for (unsigned i = 0; i < COUNT(conditions); i++)
        conditions[i] = (struct tracker_rule_condition){ TRACKER_RULE_ASN, false, values, 1 };
    for (unsigned i = 0; i < COUNT(targets); i++)
        targets[i] = (struct tracker_rule_target){ TRACKER_RULE_WEIGHT_MAX, destination };

#define EDGE(field, last) \
    do { \
        typeof(field) kept = (field); \
        (field) = (last); \
        assert_null(rule_error(rule, 1)); \
        (field) = (last) + 1; \
        assert_non_null(rule_error(rule, 1)); \
        (field) = kept; \
    } while (0)
    EDGE(rule.condition_count, TRACKER_RULE_CONDITIONS);
    EDGE(rule.target_count, TRACKER_RULE_TARGETS);
    EDGE(rule.offset_minutes, 1439);
    EDGE(conditions[0].count, TRACKER_RULE_VALUES);
    EDGE(targets[0].weight, TRACKER_RULE_WEIGHT_MAX);
    assert_null(rule_error(rule, TRACKER_RULES_MAX));
    assert_non_null(rule_error(rule, TRACKER_RULES_MAX + 1));

    rule.offset_minutes = -1440;
    assert_non_null(rule_error(rule, 1));
    rule.offset_minutes = 0;
    rule.target_count = 0;
    assert_non_null(rule_error(rule, 1));
    rule.target_count = 1;
    conditions[0].count = 0;
    assert_non_null(rule_error(rule, 1));
    conditions[0].count = 1;
    targets[0].weight = 0;
    assert_non_null(rule_error(rule, 1));
    targets[0].weight = 1;
    targets[0].destination.len--;
    assert_non_null(rule_error(rule, 1));
    targets[0].destination = TRACKER_STR_NONE;
    assert_non_null(rule_error(rule, 1));
    targets[0].destination = destination;

    /* 16 x 512 numbers of four bytes in one rule are as much as a link may have: the next one is too much */
    rule.condition_count = TRACKER_RULE_CONDITIONS;
    for (unsigned i = 0; i < TRACKER_RULE_CONDITIONS; i++)
        conditions[i].count = TRACKER_RULE_VALUES;
    assert_string_equal(rule_error(rule, 1), "the rules with their destinations are too long");
}

/* A rule of each kind, in `out`. */
static size_t
sample(uint8_t *out, size_t cap)
{
    static const struct tracker_str countries[] = { { "DE", 2 }, { "AT", 2 }, { "CH", 2 }, { "DE", 2 } };
    static const struct tracker_str regions[] = { { "DE-BY", 5 }, { "GB-ENG", 6 } };
    static const struct tracker_str languages[] = { { "en", 2 }, { "de", 2 } };
    static const struct tracker_str devices[] = { { "phone", 5 }, { "tablet", 6 } };
    static const struct tracker_str asns[] = { { "64512", 5 }, { "15169", 5 } };
    static const struct tracker_str schedules[] = { { "1-5 22:00-06:00", 15 } };
    const struct tracker_rule_condition first[] = { { TRACKER_RULE_COUNTRY, false, countries, 4 },
                                                    { TRACKER_RULE_DEVICE, true, devices, 2 },
                                                    { TRACKER_RULE_REGION, true, regions, 2 } };
    const struct tracker_rule_condition second[] = { { TRACKER_RULE_LANGUAGE, false, languages, 2 },
                                                     { TRACKER_RULE_ASN, true, asns, 2 },
                                                     { TRACKER_RULE_SCHEDULE, true, schedules, 1 } };
    const struct tracker_rule_target targets[] = { { 3, destination }, { 1, destination } };
    const struct tracker_rule rules[] = { { first, 3, targets, 2, 100, -60 },
                                          { second, 3, targets, 1, 0, 0 },
                                          { NULL, 0, targets, 1, 0, 0 } };
    const char *error;
    unsigned rule;
    int len = tracker_rules_compile(rules, 3, out, cap, &error, &rule);

    return len < 0 ? 0 : (size_t) len;
}

/* Chooses with all there is; each template must be whole. */
static void
use(const uint8_t *compiled, size_t len)
{
    const struct tracker_visitor visitors[] = {
        { 0 },
        { 1705276800000, TRACKER_STR("DE"), TRACKER_STR("BY"), TRACKER_STR("de-CH"), 15169, 1, 1, 1, true },
        { UINT64_MAX, TRACKER_STR("AT"), TRACKER_STR("9"), TRACKER_STR("en"), UINT32_MAX, 255, 63, 64, false },
    };
    struct tracker_choice choice;

    for (size_t v = 0; v < COUNT(visitors); v++) {
        for (uint64_t sticky = 0; sticky < 5; sticky++) {
            unsigned after = 0;

            while (tracker_rules_choose(compiled, len, &visitors[v], sticky * (UINT64_MAX / 4), after, &choice)) {
                assert_true(choice.rule > after && choice.rule <= TRACKER_RULES_MAX);
                assert_in_range(choice.target, 1, TRACKER_RULE_TARGETS);
                assert_true(tracker_template_check((const uint8_t *) choice.template.data, choice.template.len));
                after = choice.rule;
            }
        }
    }
}

static void
test_every_byte_damaged(void **state)
{
    uint8_t bytes[1024];
    size_t len = sample(bytes, sizeof(bytes)), refused = 0;

    assert_in_range(len, 100, sizeof(bytes));
    use(bytes, len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t *copy = (uint8_t *) testing_exact(bytes, len);

            copy[at] = (uint8_t) value;
            if (tracker_rules_check(copy, len))
                use(copy, len);
            else
                refused++;
            free(copy);
        }
    }
    assert_true(refused > len * 256 / 2);
}

static void
test_every_length(void **state)
{
    uint8_t bytes[1024];
    size_t len = sample(bytes, sizeof(bytes));

    for (size_t cut = 1; cut < len; cut++) {
        uint8_t *copy = (uint8_t *) testing_exact(bytes, cut);

        assert_false(tracker_rules_check(copy, cut));
        free(copy);

        uint8_t *room = malloc(cut);
        assert_int_equal(sample(room, cut), 0);
        free(room);
    }
    uint8_t *exact = malloc(len);
    assert_int_equal(sample(exact, len), len);
    assert_memory_equal(exact, bytes, len);
    free(exact);
    bytes[len] = 0;
    assert_false(tracker_rules_check(bytes, len + 1));
}

static void
test_random_bytes(void **state)
{
    uint8_t bytes[1024];
    size_t len = sample(bytes, sizeof(bytes));

    testing_seed();
    for (int round = 0; round < 100000; round++) {
        uint8_t *copy = (uint8_t *) testing_exact(bytes, len);

        for (unsigned n = 1 + (unsigned) testing_below(4); n > 0; n--)
            copy[testing_below(len)] = (uint8_t) (testing_below(4) > 0 ? testing_below(12) : testing_draw());
        if (tracker_rules_check(copy, len))
            use(copy, len);
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_every_length), cmocka_unit_test(test_every_byte_damaged),
        cmocka_unit_test(test_random_bytes),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
