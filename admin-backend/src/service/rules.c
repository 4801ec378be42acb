#include "service/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/destination.h"

#define CAP_MAX INT64_C(1000000000)

static const struct {
    const char               *name;
    enum tracker_rule_subject subject;
} subjects[] = {
    { "country", TRACKER_RULE_COUNTRY },   { "region", TRACKER_RULE_REGION },
    { "language", TRACKER_RULE_LANGUAGE }, { "device", TRACKER_RULE_DEVICE },
    { "os", TRACKER_RULE_OS },             { "browser", TRACKER_RULE_BROWSER },
    { "asn", TRACKER_RULE_ASN },           { "connection", TRACKER_RULE_CONNECTION },
    { "schedule", TRACKER_RULE_SCHEDULE },
};

/* What is read of the JSON on its way to the compiler; everything in it is owned. */
struct reading {
    unsigned                        flags;
    unsigned                        rule;      /* from 1, for complaints */
    char                           *complaint; /* FIELD_COMPLAINT_MAX bytes */
    unsigned                        count;
    struct tracker_rule             rules[TRACKER_RULES_MAX];
    struct tracker_rule_condition  *conditions[TRACKER_RULES_MAX];
    struct tracker_rule_target     *targets[TRACKER_RULES_MAX];
};

static bool read_rules(struct reading *reading, const json_t *json);
static bool read_rule(struct reading *reading, const json_t *json);
static bool read_condition(struct reading *reading, const json_t *json, struct tracker_rule_condition *out);
static bool read_target(struct reading *reading, const json_t *json, struct tracker_rule_target *out);

static void
reading_free(struct reading *reading)
{
    for (unsigned r = 0; r < TRACKER_RULES_MAX; r++) {
        for (unsigned c = 0; reading->conditions[r] != NULL && c < reading->rules[r].condition_count; c++)
            free((void *) (uintptr_t) reading->conditions[r][c].values);
        for (unsigned t = 0; reading->targets[r] != NULL && t < reading->rules[r].target_count; t++)
            free((void *) (uintptr_t) reading->targets[r][t].destination.data);
        free(reading->conditions[r]);
        free(reading->targets[r]);
    }
}

static int
compile(const json_t *json, unsigned flags, uint8_t out[TRACKER_RULES_LEN_MAX], char complaint[FIELD_COMPLAINT_MAX])
{
    struct reading reading = { .flags = flags, .complaint = complaint };
    const char    *error;
    unsigned       at = 0;
    int            len = -1;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of at most %d rules", TRACKER_RULES_MAX);
    if (read_rules(&reading, json)) {
        len = tracker_rules_compile(reading.rules, reading.count, out, TRACKER_RULES_LEN_MAX, &error, &at);
        if (len < 0)
            snprintf(complaint, FIELD_COMPLAINT_MAX, "rule %u: %s", at + 1, error);
    }
    reading_free(&reading);
    return len;
}

int
rules_compile(const char *text, unsigned template_flags, uint8_t out[TRACKER_RULES_LEN_MAX],
              char complaint[FIELD_COMPLAINT_MAX])
{
    json_t *json = json_loads(text, 0, NULL);
    int     len = compile(json, template_flags, out, complaint);

    json_decref(json);
    return len;
}

/* ---- what was left out, said ---- */

static void
fill(json_t *object, const char *name, json_t *otherwise)
{
    if (json_object_get(object, name) == NULL)
        json_object_set(object, name, otherwise);
    json_decref(otherwise);
}

static char *
whole_text(const json_t *json)
{
    json_t *rules = json_deep_copy(json), *rule, *part;
    size_t  i, j;
    char   *text;

    json_array_foreach(rules, i, rule) {
        fill(rule, "conditions", json_array());
        fill(rule, "cap_day", json_integer(0));
        fill(rule, "utc_offset_minutes", json_integer(0));
        json_array_foreach(json_object_get(rule, "conditions"), j, part)
            fill(part, "negate", json_false());
        json_array_foreach(json_object_get(rule, "targets"), j, part)
            fill(part, "weight", json_integer(1));
    }
    text = json_dumps(rules, JSON_COMPACT);
    json_decref(rules);
    return text;
}

bool
rules_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    uint8_t *out = malloc(TRACKER_RULES_LEN_MAX);

    /* With the click id appended: whichever way the link has it, the rules fit. */
    if (out != NULL && compile(json, TRACKER_TEMPLATE_APPEND_CLICK_ID, out, complaint) >= 0) {
        snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
        value->text = whole_text(json);
    }
    free(out);
    return value->text != NULL;
}

void
rules_each_destination(const char *text,
                       void (*visit)(void *ctx, unsigned rule, unsigned target, const char *destination), void *ctx)
{
    json_t *rules = json_loads(text, 0, NULL), *rule, *target;
    size_t  i, j;

    json_array_foreach(rules, i, rule) {
        json_array_foreach(json_object_get(rule, "targets"), j, target) {
            const char *destination = json_string_value(json_object_get(target, "destination"));

            if (destination != NULL)
                visit(ctx, (unsigned) i + 1, (unsigned) j + 1, destination);
        }
    }
    json_decref(rules);
}

/* ---- one rule ---- */

static bool complain(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool
complain(struct reading *reading, const char *format, ...)
{
    va_list args;
    int     len = snprintf(reading->complaint, FIELD_COMPLAINT_MAX, "rule %u: ", reading->rule);

    va_start(args, format);
    vsnprintf(reading->complaint + len, FIELD_COMPLAINT_MAX - (size_t) len, format, args);
    va_end(args);
    return false;
}

static bool
read_rules(struct reading *reading, const json_t *json)
{
    json_t *rule;
    size_t  i;

    if (!json_is_array(json) || json_array_size(json) > TRACKER_RULES_MAX)
        return false;
    json_array_foreach(json, i, rule) {
        reading->rule = (unsigned) i + 1;
        if (!read_rule(reading, rule))
            return false;
        reading->count++;
    }
    return true;
}

/* An object of those members and no others. `what` names it in complaints. */
static bool
is_object_of(struct reading *reading, const json_t *json, const char *what, const char *const names[])
{
    const char *name;
    json_t     *value;

    if (!json_is_object(json))
        return complain(reading, "%s is no object", what);
    json_object_foreach((json_t *) (uintptr_t) json, name, value) {
        int i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL)
            return complain(reading, "%.40s is no member of %s", name, what);
    }
    return true;
}

static bool
read_number(struct reading *reading, const json_t *object, const char *name, int64_t min, int64_t max,
            int64_t otherwise, int64_t *out)
{
    const json_t *json = json_object_get(object, name);

    *out = json == NULL ? otherwise : json_integer_value(json);
    if ((json != NULL && !json_is_integer(json)) || *out < min || *out > max)
        return complain(reading, "%s is no whole number from %lld to %lld", name, (long long) min, (long long) max);
    return true;
}

static bool
read_rule(struct reading *reading, const json_t *json)
{
    static const char *const names[] = { "conditions", "targets", "cap_day", "utc_offset_minutes", NULL };
    unsigned                 at = reading->rule - 1;
    struct tracker_rule     *rule = &reading->rules[at];
    const json_t            *conditions, *targets;
    json_t                  *item;
    int64_t                  cap, offset;
    size_t                   i;

    if (!is_object_of(reading, json, "a rule", names) || !read_number(reading, json, "cap_day", 0, CAP_MAX, 0, &cap)
        || !read_number(reading, json, "utc_offset_minutes", -1439, 1439, 0, &offset))
        return false;
    conditions = json_object_get(json, "conditions");
    targets = json_object_get(json, "targets");
    if ((conditions != NULL && !json_is_array(conditions)) || json_array_size(conditions) > TRACKER_RULE_CONDITIONS)
        return complain(reading, "conditions is no list of at most %d", TRACKER_RULE_CONDITIONS);
    if (json_array_size(targets) == 0 || json_array_size(targets) > TRACKER_RULE_TARGETS)
        return complain(reading, "targets is no list of 1 to %d", TRACKER_RULE_TARGETS);

    reading->conditions[at] = calloc(json_array_size(conditions) + 1, sizeof(*rule->conditions));
    reading->targets[at] = calloc(json_array_size(targets), sizeof(*rule->targets));
    if (reading->conditions[at] == NULL || reading->targets[at] == NULL)
        return complain(reading, "cannot be read now");
    rule->conditions = reading->conditions[at];
    rule->targets = reading->targets[at];
    rule->cap_day = (uint32_t) cap;
    rule->offset_minutes = (int16_t) offset;
    json_array_foreach(conditions, i, item) {
        if (!read_condition(reading, item, &reading->conditions[at][rule->condition_count++]))
            return false;
    }
    json_array_foreach(targets, i, item) {
        if (!read_target(reading, item, &reading->targets[at][rule->target_count++]))
            return false;
    }
    return true;
}

static bool
read_subject(struct reading *reading, const json_t *json, enum tracker_rule_subject *out)
{
    const char *name = json_string_value(json);

    for (size_t i = 0; name != NULL && i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (strcmp(subjects[i].name, name) == 0) {
            *out = subjects[i].subject;
            return true;
        }
    }
    return complain(reading, "subject is none of country, region, language, device, os, browser, asn, connection, "
                             "schedule");
}

static bool
read_condition(struct reading *reading, const json_t *json, struct tracker_rule_condition *out)
{
    static const char *const names[] = { "subject", "negate", "values", NULL };
    const json_t            *negate, *values;
    struct tracker_str      *texts;
    json_t                  *item;
    size_t                   i;

    if (!is_object_of(reading, json, "a condition", names)
        || !read_subject(reading, json_object_get(json, "subject"), &out->subject))
        return false;
    negate = json_object_get(json, "negate");
    values = json_object_get(json, "values");
    if (negate != NULL && !json_is_boolean(negate))
        return complain(reading, "negate is neither true nor false");
    if (json_array_size(values) == 0 || json_array_size(values) > TRACKER_RULE_VALUES)
        return complain(reading, "values is no list of 1 to %d texts", TRACKER_RULE_VALUES);
    texts = calloc(json_array_size(values), sizeof(*texts));
    out->values = texts;
    out->negate = json_is_true(negate);
    json_array_foreach(values, i, item) {
        if (texts == NULL || !json_is_string(item))
            return complain(reading, "values holds something that is no text");
        texts[out->count++] = (struct tracker_str){ json_string_value(item), json_string_length(item) };
    }
    return true;
}

static bool
read_target(struct reading *reading, const json_t *json, struct tracker_rule_target *out)
{
    static const char *const names[] = { "weight", "destination", NULL };
    uint8_t                  compiled[TRACKER_TEMPLATE_MAX], *copy;
    const json_t            *destination;
    const char              *error;
    int64_t                  weight;
    int                      len;

    if (!is_object_of(reading, json, "a target", names)
        || !read_number(reading, json, "weight", 1, TRACKER_RULE_WEIGHT_MAX, 1, &weight))
        return false;
    destination = json_object_get(json, "destination");
    if (!json_is_string(destination) || json_string_length(destination) > DESTINATION_MAX)
        return complain(reading, "destination is no text of at most %d bytes", DESTINATION_MAX);
    len = tracker_template_compile(
        (struct tracker_str){ json_string_value(destination), json_string_length(destination) }, reading->flags,
        compiled, sizeof(compiled), &error);
    if (len < 0)
        return complain(reading, "destination: %s", error);
    copy = malloc((size_t) len);
    if (copy == NULL)
        return complain(reading, "cannot be read now");
    memcpy(copy, compiled, (size_t) len);
    out->weight = (uint32_t) weight;
    out->destination = (struct tracker_str){ (const char *) copy, (size_t) len };
    return true;
}
