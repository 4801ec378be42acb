/*
 * test_tracker_rule.c - who goes where: compiled rules against a reading of the same rules as text.
 *
 * Guarded here: a visitor sent to the wrong target is money on the wrong account, so random rules and
 * visitors are judged twice; rotation gives each target its share and the same visitor always the same one;
 * a schedule ends on the minute, in its own zone, over midnight and the week's end; a rule that is capped is
 * passed over.
 */
#include "testing.h"

#include "tracker_rule.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MONDAY_MS    (UINT64_C(1705276800) * 1000) /* 2024-01-15 00:00 UTC */
#define HOUR_MS      (UINT64_C(3600) * 1000)
#define DAY_MS       (24 * HOUR_MS)

static const char *const countries[] = { "DE", "AT", "CH", "US", "GB" };
static const char *const regions[] = { "DE-BY", "DE-BE", "US-CA", "GB-ENG", "AT-9" };
static const char *const languages[] = { "de", "en", "fr", "fil", "zh" };
static const char *const devices[] = { "desktop", "phone", "tablet", "tv" };
static const char *const oses[] = { "windows", "android", "ios", "nintendo" };
static const char *const browsers[] = { "chrome", "safari", "google_app" };
static const char *const asns[] = { "1", "15169", "4294967295", "64512" };
static const char *const connections[] = { "datacentre", "other" };
static const char *const schedules[] = { "1-5 09:00-18:00", "6,7", "7 22:00-06:00", "6-1,3 00:00-24:00",
                                         "1-7 23:59-00:00" };

/* What stands in for each subject. */
static const struct {
    const char *const *values;
    unsigned count;
} pool_of[] = {
    [TRACKER_RULE_COUNTRY] = { countries, COUNT(countries) },
    [TRACKER_RULE_REGION] = { regions, COUNT(regions) },
    [TRACKER_RULE_LANGUAGE] = { languages, COUNT(languages) },
    [TRACKER_RULE_DEVICE] = { devices, COUNT(devices) },
    [TRACKER_RULE_OS] = { oses, COUNT(oses) },
    [TRACKER_RULE_BROWSER] = { browsers, COUNT(browsers) },
    [TRACKER_RULE_ASN] = { asns, COUNT(asns) },
    [TRACKER_RULE_CONNECTION] = { connections, COUNT(connections) },
    [TRACKER_RULE_SCHEDULE] = { schedules, COUNT(schedules) },
};

/* Rules with room of their own for all they point to. */
struct drawn {
    struct tracker_rule rules[4];
    struct tracker_rule_condition conditions[4][3];
    struct tracker_rule_target targets[4][3];
    struct tracker_str values[4][3][4];
    unsigned count;
};

static uint8_t templates[12][64];
static struct tracker_str destinations[12];

static int
setup(void **state)
{
    for (unsigned i = 0; i < COUNT(templates); i++) {
        char text[64];
        const char *error;
        int len;

        snprintf(text, sizeof(text), i % 2 ? "https://t%u.example/{sub1}" : "https://t%u.example/", i);
        len = tracker_template_compile(testing_str(text), 0, templates[i], sizeof(templates[i]), &error);
        assert_true(len > 0);
        destinations[i] = (struct tracker_str){ (const char *) templates[i], (size_t) len };
    }
    return 0;
}

/* Compiled, of its exact size on the heap. */
static uint8_t *
compile(const struct tracker_rule *rules, unsigned count, size_t *len)
{
    static uint8_t out[TRACKER_RULES_LEN_MAX];
    const char *error;
    unsigned rule;
    int n = tracker_rules_compile(rules, count, out, sizeof(out), &error, &rule);

    if (n < 0) {
        fail_msg("rule %u: %s", rule, error);
        abort();
    }
    assert_null(error);
    *len = (size_t) n;
    uint8_t *exact = (uint8_t *) testing_exact(out, *len);
    assert_true(tracker_rules_check(exact, *len));
    return exact;
}

static void
rules_draw(struct drawn *d)
{
    d->count = 1 + (unsigned) testing_below(4);
    for (unsigned r = 0; r < d->count; r++) {
        struct tracker_rule *rule = &d->rules[r];

        *rule = (struct tracker_rule){ .conditions = d->conditions[r], .targets = d->targets[r],
                                       .condition_count = (unsigned) testing_below(4),
                                       .target_count = 1 + (unsigned) testing_below(3),
                                       .cap_day = (uint32_t) testing_magnitude(32),
                                       .offset_minutes = (int16_t) ((int) testing_below(2879) - 1439) };
        for (unsigned c = 0; c < rule->condition_count; c++) {
            struct tracker_rule_condition *condition = &d->conditions[r][c];

            condition->subject = 1 + testing_below(9);
            condition->negate = testing_below(4) == 0;
            condition->values = d->values[r][c];
            condition->count = 1 + (unsigned) testing_below(4);
            for (unsigned v = 0; v < condition->count; v++)
                d->values[r][c][v] =
                    testing_str(pool_of[condition->subject].values[testing_below(pool_of[condition->subject].count)]);
        }
        for (unsigned t = 0; t < rule->target_count; t++)
            d->targets[r][t] = (struct tracker_rule_target){ 1 + (uint32_t) testing_below(9),
                                                             destinations[r * 3 + t] };
    }
}

/* Unknown now and then, each part of it. */
static void
visitor_draw(struct tracker_visitor *v)
{
    static const char *const accepted[] = { "de-CH,fr;q=0.9", "EN", "fil", "*", "zh-Hant", "fr", "x" };
    const char *region = regions[testing_below(COUNT(regions))];

    *v = (struct tracker_visitor){ .time_ms = MONDAY_MS + testing_below(28 * DAY_MS) };
    if (testing_below(4) > 0)
        v->country = (struct tracker_str){ region, 2 };
    else if (testing_below(2) > 0)
        v->country = testing_str(countries[testing_below(COUNT(countries))]);
    if (testing_below(4) > 0)
        v->region = testing_str(region + 3);
    if (testing_below(4) > 0)
        v->language = testing_str(accepted[testing_below(COUNT(accepted))]);
    if (testing_below(4) > 0)
        v->asn = (uint32_t) strtoul(asns[testing_below(COUNT(asns))], NULL, 10);
    v->device = (uint8_t) testing_below(6);
    v->os = (uint8_t) testing_below(17);
    v->browser = (uint8_t) testing_below(30);
    if (testing_below(8) == 0)
        v->device = v->os = v->browser = (uint8_t) (60 + testing_below(196));
    v->datacentre = testing_below(2) > 0;
}

/* ---- the same, read from the text ---- */

static bool
plain_schedule(const char *text, int offset, uint64_t time_ms)
{
    int64_t minutes = (int64_t) (time_ms / 60000) + offset;
    int weekday = (int) ((minutes / 1440 + 3) % 7) + 1, minute = (int) (minutes % 1440);
    int yesterday = weekday == 1 ? 7 : weekday - 1;
    int from = 0, to = 1440, h, m, h2, m2;
    bool days[8] = { false };
    const char *p = text;

    for (; *p != '\0' && *p != ' '; p++) {
        if (*p == ',')
            continue;
        int first = *p - '0', last = p[1] == '-' ? p[2] - '0' : first;

        for (int day = first;; day = day % 7 + 1) {
            days[day] = true;
            if (day == last)
                break;
        }
        if (p[1] == '-')
            p += 2;
    }
    if (*p == ' ') {
        assert_int_equal(sscanf(p, " %d:%d-%d:%d", &h, &m, &h2, &m2), 4);
        from = h * 60 + m;
        to = h2 * 60 + m2;
    }
    if (to > from)
        return days[weekday] && minute >= from && minute < to;
    return (days[weekday] && minute >= from) || (days[yesterday] && minute < to);
}

static bool
plain_has(const struct tracker_visitor *v, enum tracker_rule_subject subject, struct tracker_str value,
          int offset)
{
    char region[16], number[16];

    switch (subject) {
    case TRACKER_RULE_COUNTRY:
        return tracker_str_eq(v->country, value);
    case TRACKER_RULE_REGION:
        snprintf(region, sizeof(region), "%.*s-%.*s", (int) v->country.len, v->country.data,
                 (int) v->region.len, v->region.data);
        return v->country.len != 0 && v->region.len != 0 && tracker_str_eq(testing_str(region), value);
    case TRACKER_RULE_LANGUAGE:
        return v->language.len >= value.len && strncasecmp(v->language.data, value.data, value.len) == 0
               && (v->language.len == value.len || v->language.data[value.len] == '-');
    case TRACKER_RULE_DEVICE:
        return tracker_str_eq(tracker_device_name(v->device), value);
    case TRACKER_RULE_OS:
        return tracker_str_eq(tracker_os_name(v->os), value);
    case TRACKER_RULE_BROWSER:
        return tracker_str_eq(tracker_browser_name(v->browser), value);
    case TRACKER_RULE_ASN:
        snprintf(number, sizeof(number), "%u", v->asn);
        return tracker_str_eq(testing_str(number), value);
    case TRACKER_RULE_CONNECTION:
        return tracker_str_eq(testing_str(v->datacentre ? "datacentre" : "other"), value);
    case TRACKER_RULE_SCHEDULE:
        return plain_schedule(value.data, offset, v->time_ms);
    }
    return false;
}

static bool
plain_holds(const struct tracker_rule *rule, const struct tracker_visitor *v)
{
    for (unsigned c = 0; c < rule->condition_count; c++) {
        const struct tracker_rule_condition *condition = &rule->conditions[c];
        bool has = false;

        for (unsigned i = 0; i < condition->count; i++)
            has |= plain_has(v, condition->subject, condition->values[i], rule->offset_minutes);
        if (has == condition->negate)
            return false;
    }
    return true;
}

/* The target in whose share sticky falls: sticky * total / 2^64, without 128 bits. */
static unsigned
plain_target(const struct tracker_rule *rule, uint64_t sticky)
{
    uint64_t total = 0, part;

    for (unsigned t = 0; t < rule->target_count; t++)
        total += rule->targets[t].weight;
    part = ((sticky >> 32) * total + ((sticky & UINT32_MAX) * total >> 32)) >> 32;
    for (unsigned t = 0;; t++) {
        if (part < rule->targets[t].weight)
            return t + 1;
        part -= rule->targets[t].weight;
    }
}

/* ---- tests ---- */

static void
test_agrees_with_the_text(void **state)
{
    unsigned held = 0, capped = 0;

    testing_seed();
    for (int round = 0; round < 4000; round++) {
        struct drawn d;
        size_t len;
        uint8_t *compiled;

        rules_draw(&d);
        compiled = compile(d.rules, d.count, &len);

        for (int i = 0; i < 50; i++) {
            struct tracker_visitor v;
            struct tracker_choice choice;
            uint64_t sticky = testing_draw();
            unsigned after = (unsigned) testing_below(3), want;

            visitor_draw(&v);
            for (want = after; want < d.count && !plain_holds(&d.rules[want], &v); want++)
                ;
            assert_int_equal(tracker_rules_choose(compiled, len, &v, sticky, after, &choice), want < d.count);
            if (want >= d.count) {
                assert_int_equal(choice.rule, 0);
                continue;
            }
            unsigned target = plain_target(&d.rules[want], sticky);
            assert_int_equal(choice.rule, want + 1);
            assert_int_equal(choice.target, target);
            assert_int_equal(choice.cap_day, d.rules[want].cap_day);
            assert_true(tracker_str_eq(choice.template, d.targets[want][target - 1].destination));
            assert_int_equal(choice.macros,
                             (want * 3 + target - 1) % 2 ? UINT32_C(1) << TRACKER_MACRO_SUB1 : 0);
            held++;
            capped += after > 0;
        }
        free(compiled);
    }
    assert_true(held > 20000 && capped > 5000); /* the draw was no string of refusals */
}

/* Four standard deviations around the share, and not one visitor who sees another target next time. */
static void
test_shares(void **state)
{
    static const unsigned weights[] = { 1, 10000, 300, 70, 5000 };
    struct tracker_rule_target targets[COUNT(weights)];
    struct tracker_rule rule = { .targets = targets, .target_count = COUNT(weights) };
    struct tracker_visitor nobody = { 0 };
    unsigned seen[COUNT(weights)] = { 0 }, total = 0;
    const unsigned draws = 1000000;
    struct tracker_choice choice, again;
    size_t len;
    uint8_t *compiled;

    testing_seed();
    for (unsigned t = 0; t < COUNT(weights); t++) {
        targets[t] = (struct tracker_rule_target){ weights[t], destinations[t] };
        total += weights[t];
    }
    compiled = compile(&rule, 1, &len);
    for (unsigned i = 0; i < draws; i++) {
        uint64_t sticky = testing_draw();

        assert_true(tracker_rules_choose(compiled, len, &nobody, sticky, 0, &choice));
        seen[choice.target - 1]++;
        assert_true(tracker_rules_choose(compiled, len, &nobody, sticky, 0, &again));
        assert_int_equal(again.target, choice.target);
    }
    for (unsigned t = 0; t < COUNT(weights); t++) {
        double share = (double) weights[t] / total, off = seen[t] - draws * share;
        assert_true(off * off <= 16 * draws * share * (1 - share));
    }

    assert_true(tracker_rules_choose(compiled, len, &nobody, 0, 0, &choice));
    assert_int_equal(choice.target, 1);
    assert_true(tracker_rules_choose(compiled, len, &nobody, UINT64_MAX, 0, &choice));
    assert_int_equal(choice.target, COUNT(weights));
    free(compiled);
}

static bool
open_at(const char *schedule, int offset, uint64_t time_ms)
{
    struct tracker_str value = testing_str(schedule);
    struct tracker_rule_condition condition = { TRACKER_RULE_SCHEDULE, false, &value, 1 };
    struct tracker_rule_target target = { 1, destinations[0] };
    struct tracker_rule rule = { &condition, 1, &target, 1, 0, (int16_t) offset };
    struct tracker_visitor v = { .time_ms = time_ms };
    struct tracker_choice choice;
    size_t len;
    uint8_t *compiled = compile(&rule, 1, &len);
    bool open = tracker_rules_choose(compiled, len, &v, 0, 0, &choice);

    free(compiled);
    return open;
}

static void
test_schedule(void **state)
{
    uint64_t sunday = MONDAY_MS + 6 * DAY_MS;

    assert_false(open_at("1-5 09:00-18:00", 0, MONDAY_MS + 9 * HOUR_MS - 1));
    assert_true(open_at("1-5 09:00-18:00", 0, MONDAY_MS + 9 * HOUR_MS));
    assert_true(open_at("1-5 09:00-18:00", 0, MONDAY_MS + 18 * HOUR_MS - 1));
    assert_false(open_at("1-5 09:00-18:00", 0, MONDAY_MS + 18 * HOUR_MS));
    assert_false(open_at("1-5 09:00-18:00", 0, sunday + 12 * HOUR_MS));
    /* Berlin in winter: an hour earlier by UTC; midnight in Berlin is Sunday 23:00 UTC */
    assert_true(open_at("1-5 09:00-18:00", 60, MONDAY_MS + 8 * HOUR_MS));
    assert_true(open_at("1", 60, MONDAY_MS - HOUR_MS));
    assert_false(open_at("1", 60, MONDAY_MS - HOUR_MS - 1));
    assert_false(open_at("1", -60, MONDAY_MS));
    /* past midnight, and past the week's end */
    assert_true(open_at("7 22:00-06:00", 0, sunday + 22 * HOUR_MS));
    assert_true(open_at("7 22:00-06:00", 0, MONDAY_MS + 6 * HOUR_MS - 1));
    assert_false(open_at("7 22:00-06:00", 0, MONDAY_MS + 6 * HOUR_MS));
    assert_false(open_at("7 22:00-06:00", 0, MONDAY_MS + 22 * HOUR_MS));
    assert_true(open_at("6-1", 0, MONDAY_MS));
    assert_false(open_at("6-1", 0, MONDAY_MS + DAY_MS));
    assert_true(open_at("1 20:00-24:00", 0, MONDAY_MS + DAY_MS - 1));
    assert_false(open_at("1 20:00-24:00", 0, MONDAY_MS + DAY_MS));
    /* the first days of the clock, west of it: 1969-12-31 was a Wednesday */
    assert_true(open_at("3", -1439, 0));
    assert_true(open_at("4", 0, 0));
}

/* What nobody knows is in no list, and outside of every list. */
static void
test_unknown_visitor(void **state)
{
    struct tracker_visitor nobody = { .time_ms = MONDAY_MS };
    struct tracker_choice choice;

    for (unsigned subject = TRACKER_RULE_COUNTRY; subject <= TRACKER_RULE_ASN; subject++) {
        struct tracker_str value = testing_str(pool_of[subject].values[0]);
        struct tracker_rule_condition condition = { subject, false, &value, 1 };
        struct tracker_rule_target target = { 1, destinations[0] };
        struct tracker_rule rule = { &condition, 1, &target, 1, 0, 0 };
        size_t len;
        uint8_t *compiled = compile(&rule, 1, &len);

        assert_false(tracker_rules_choose(compiled, len, &nobody, 0, 0, &choice));
        free(compiled);
        condition.negate = true;
        compiled = compile(&rule, 1, &len);
        assert_true(tracker_rules_choose(compiled, len, &nobody, 0, 0, &choice));
        free(compiled);
    }
}

static void
test_no_rules(void **state)
{
    struct tracker_visitor nobody = { 0 };
    struct tracker_choice choice = { .rule = 9 };
    const char *error;
    unsigned rule;

    assert_int_equal(tracker_rules_compile(NULL, 0, NULL, 0, &error, &rule), 0);
    assert_true(tracker_rules_check(NULL, 0));
    assert_false(tracker_rules_choose(NULL, 0, &nobody, 0, 0, &choice));
    assert_int_equal(choice.rule, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_the_text), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_schedule),             cmocka_unit_test(test_unknown_visitor),
        cmocka_unit_test(test_no_rules),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
