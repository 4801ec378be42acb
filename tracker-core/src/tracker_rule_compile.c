/*
 * tracker_rule_compile.c - rules as a manager writes them into the form that clicks read.
 */
#include <stdlib.h>

#include "tracker_rule_internal.h"

/* Compiled rules being written; full is sticky. */
struct writer {
    uint8_t *out;
    size_t   cap, len;
    bool     full;
};

static const char *rule_compile(struct writer *w, const struct tracker_rule *rule, uint32_t *subjects);
static const char *condition_compile(struct writer *w, const struct tracker_rule_condition *condition);
static const char *value_parse(enum tracker_rule_subject subject, struct tracker_str value, uint64_t *cells,
                               size_t *count);
static const char *targets_compile(struct writer *w, size_t rule_at, const struct tracker_rule *rule);
static bool country_parse(struct tracker_str text, uint64_t *cell);
static bool region_parse(struct tracker_str text, uint64_t *cell);
static bool language_parse(struct tracker_str text, uint64_t *cell);
static bool asn_parse(struct tracker_str text, uint64_t *cell);
static unsigned connection_find(struct tracker_str name);
static bool schedule_parse(struct tracker_str text, uint64_t *cells, size_t *count);
static bool days_parse(struct tracker_str text, unsigned *days);
static bool minute_parse(const char *text, unsigned *minute);
static int cell_compare(const void *a, const void *b);
static uint8_t *room(struct writer *w, size_t len);

/* Managers write a rule and read these. */
#define NAMED(number, name, text) " " text
static const char too_long[] = "the rules with their destinations are too long";
static const char bad_country[] = "a country is two capital letters of ISO 3166-1, such as DE";
static const char bad_region[] = "a region is a country and a region of ISO 3166-2, such as DE-BY";
static const char bad_language[] = "a language is its short name in small letters, such as de";
static const char bad_asn[] = "an AS number is a whole number from 1 to 4294967295";
static const char bad_device[] = "a device is one of:" TRACKER_DEVICES(NAMED);
static const char bad_os[] = "an operating system is one of:" TRACKER_OSES(NAMED);
static const char bad_browser[] = "a browser is one of:" TRACKER_BROWSERS(NAMED);
static const char bad_connection[] = "a connection is one of: datacentre other";
static const char bad_schedule[] = "a schedule is weekdays and hours, such as \"1-5 09:00-18:00\"; 1 is Monday";
#undef NAMED

int
tracker_rules_compile(const struct tracker_rule *rules, unsigned count, uint8_t *out, size_t cap,
                      const char **error, unsigned *rule)
{
    struct writer w = { .out = out, .cap = cap < TRACKER_RULES_LEN_MAX ? cap : TRACKER_RULES_LEN_MAX };
    uint32_t      subjects = 0;

    *error = NULL;
    *rule = 0;
    if (count == 0)
        return 0;
    if (count > TRACKER_RULES_MAX) {
        *error = "a link has at most 32 rules";
        *rule = TRACKER_RULES_MAX;
        return -1;
    }

    room(&w, RULES_HEADER);
    for (; *rule < count; ++*rule) {
        *error = rule_compile(&w, &rules[*rule], &subjects);
        if (*error == NULL && w.full)
            *error = too_long;
        if (*error != NULL)
            return -1;
    }
    *rule = 0;
    tracker_put16(out, (uint16_t) count);
    tracker_put16(out + 2, 0);
    tracker_put32(out + 4, subjects);
    return (int) w.len;
}

/* NULL, or what is wrong with the rule; a full writer is the caller's to see. */
static const char *
rule_compile(struct writer *w, const struct tracker_rule *rule, uint32_t *subjects)
{
    size_t   at = w->len;
    uint8_t *header = room(w, RULE_HEADER);

    if (rule->condition_count > TRACKER_RULE_CONDITIONS)
        return "a rule has at most 16 conditions";
    if (rule->target_count == 0)
        return "a rule needs a target";
    if (rule->target_count > TRACKER_RULE_TARGETS)
        return "a rule has at most 32 targets";
    if (rule->offset_minutes < -RULE_OFFSET_MAX || rule->offset_minutes > RULE_OFFSET_MAX)
        return "a time zone is less than 24 hours from UTC";

    for (unsigned i = 0; i < rule->condition_count; i++) {
        const char *error = condition_compile(w, &rule->conditions[i]);
        if (error != NULL)
            return error;
        *subjects |= UINT32_C(1) << rule->conditions[i].subject;
    }

    size_t      targets_at = w->len;
    const char *error = targets_compile(w, at, rule);
    if (error != NULL || w->full)
        return error;

    tracker_put16(header, (uint16_t) (w->len - at));
    tracker_put16(header + 2, (uint16_t) rule->offset_minutes);
    tracker_put32(header + 4, rule->cap_day);
    header[8] = (uint8_t) rule->condition_count;
    header[9] = (uint8_t) rule->target_count;
    tracker_put16(header + 10, (uint16_t) (targets_at - at));
    return NULL;
}

static const char *
condition_compile(struct writer *w, const struct tracker_rule_condition *condition)
{
    uint64_t cells[RULE_CELLS_MAX];
    size_t   count = 0, cell_len = rule_cell_len(condition->subject), kept = 0;

    if (cell_len == 0)
        return "a condition is on something unknown";
    if (condition->count == 0)
        return "a condition needs a value";
    if (condition->count > TRACKER_RULE_VALUES)
        return "a condition has at most 512 values";

    for (unsigned i = 0; i < condition->count; i++) {
        const char *error = value_parse(condition->subject, condition->values[i], cells, &count);
        if (error != NULL)
            return error;
    }
    if (rule_is_bits(condition->subject)) {
        for (; count > 1; count--)
            cells[0] |= cells[count - 1];
    }
    qsort(cells, count, sizeof(cells[0]), cell_compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || cells[i] != cells[i - 1])
            cells[kept++] = cells[i];

    uint8_t *p = room(w, CONDITION_HEADER + kept * cell_len);
    if (p == NULL)
        return NULL;
    p[0] = (uint8_t) condition->subject;
    p[1] = condition->negate;
    tracker_put16(p + 2, (uint16_t) kept);
    p += CONDITION_HEADER;
    for (size_t i = 0; i < kept; i++, p += cell_len) {
        if (cell_len == 2)
            tracker_put16(p, (uint16_t) cells[i]);
        else if (cell_len == 4)
            tracker_put32(p, (uint32_t) cells[i]);
        else
            tracker_put64(p, cells[i]);
    }
    return NULL;
}

/* Adds the value's cell, or two of a schedule. */
static const char *
value_parse(enum tracker_rule_subject subject, struct tracker_str value, uint64_t *cells, size_t *count)
{
    uint64_t   *cell = &cells[*count];
    unsigned    number = 0;
    const char *otherwise = NULL;

    switch (subject) {
    case TRACKER_RULE_COUNTRY:
        ++*count;
        return country_parse(value, cell) ? NULL : bad_country;
    case TRACKER_RULE_REGION:
        ++*count;
        return region_parse(value, cell) ? NULL : bad_region;
    case TRACKER_RULE_LANGUAGE:
        ++*count;
        return language_parse(value, cell) ? NULL : bad_language;
    case TRACKER_RULE_ASN:
        ++*count;
        return asn_parse(value, cell) ? NULL : bad_asn;
    case TRACKER_RULE_SCHEDULE:
        return schedule_parse(value, cells, count) ? NULL : bad_schedule;
    case TRACKER_RULE_DEVICE:
        number = tracker_device_find(value);
        otherwise = bad_device;
        break;
    case TRACKER_RULE_OS:
        number = tracker_os_find(value);
        otherwise = bad_os;
        break;
    case TRACKER_RULE_BROWSER:
        number = tracker_browser_find(value);
        otherwise = bad_browser;
        break;
    case TRACKER_RULE_CONNECTION:
        number = connection_find(value);
        otherwise = bad_connection;
        break;
    }
    ++*count;
    *cell = UINT64_C(1) << number;
    return number != 0 ? NULL : otherwise;
}

static const char *
targets_compile(struct writer *w, size_t rule_at, const struct tracker_rule *rule)
{
    uint32_t weights = 0;
    uint8_t *target = room(w, rule->target_count * TARGET_LEN);

    for (unsigned i = 0; i < rule->target_count; i++, target += TARGET_LEN) {
        const uint8_t *bytes = (const uint8_t *) rule->targets[i].destination.data;
        size_t         len = rule->targets[i].destination.len, at = w->len - rule_at;

        if (rule->targets[i].weight == 0 || rule->targets[i].weight > TRACKER_RULE_WEIGHT_MAX)
            return "a weight is a whole number from 1 to 10000";
        if (!tracker_template_check(bytes, len))
            return "a target's destination is not a URL with macros";

        uint8_t *copy = room(w, len);
        if (copy == NULL)
            return NULL;
        memcpy(copy, bytes, len);
        weights += rule->targets[i].weight;
        tracker_put32(target, weights);
        tracker_put32(target + 4, tracker_template_macros(bytes, len));
        tracker_put16(target + 8, (uint16_t) at);
        tracker_put16(target + 10, (uint16_t) len);
    }
    return NULL;
}

/* ---- values ---- */

static bool
country_parse(struct tracker_str text, uint64_t *cell)
{
    if (text.len != 2 || !rule_is_upper((uint8_t) text.data[0]) || !rule_is_upper((uint8_t) text.data[1]))
        return false;
    *cell = rule_cell_push((uint8_t) text.data[0], text.data[1]);
    return true;
}

static bool
region_parse(struct tracker_str text, uint64_t *cell)
{
    if (text.len < 4 || text.len > 3 + RULE_REGION_MAX || text.data[2] != '-'
        || !country_parse((struct tracker_str){ text.data, 2 }, cell))
        return false;
    for (size_t i = 3; i < text.len; i++) {
        if (!rule_is_upper((uint8_t) text.data[i]) && !rule_is_digit((uint8_t) text.data[i]))
            return false;
        *cell = rule_cell_push(*cell, text.data[i]);
    }
    return true;
}

static bool
language_parse(struct tracker_str text, uint64_t *cell)
{
    *cell = 0;
    if (text.len < 2 || text.len > RULE_LANGUAGE_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!rule_is_lower((uint8_t) text.data[i]))
            return false;
        *cell = rule_cell_push(*cell, text.data[i]);
    }
    return true;
}

static bool
asn_parse(struct tracker_str text, uint64_t *cell)
{
    *cell = 0;
    if (text.len == 0 || text.len > 10 || text.data[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!rule_is_digit((uint8_t) text.data[i]))
            return false;
        *cell = *cell * 10 + (uint64_t) (text.data[i] - '0');
    }
    return *cell <= UINT32_MAX;
}

static unsigned
connection_find(struct tracker_str name)
{
    if (tracker_str_eq(name, TRACKER_STR("datacentre")))
        return RULE_CONNECTION_DATACENTRE;
    return tracker_str_eq(name, TRACKER_STR("other")) ? RULE_CONNECTION_OTHER : 0;
}

/* "DAYS" or "DAYS HH:MM-HH:MM"; a span past midnight is two cells, the second one on the days after. */
static bool
schedule_parse(struct tracker_str text, uint64_t *cells, size_t *count)
{
    const char        *space = text.len == 0 ? NULL : memchr(text.data, ' ', text.len);
    struct tracker_str days_text = text;
    unsigned           days, next, from = 0, to = RULE_DAY_MINUTES;

    if (space != NULL) {
        const char *hours = space + 1;

        days_text.len = (size_t) (space - text.data);
        if (text.len - days_text.len - 1 != sizeof("09:00-18:00") - 1 || hours[5] != '-'
            || !minute_parse(hours, &from) || !minute_parse(hours + 6, &to))
            return false;
        if (to == 0)
            to = RULE_DAY_MINUTES;
    }
    if (!days_parse(days_text, &days) || from == to || from == RULE_DAY_MINUTES)
        return false;

    if (from < to) {
        cells[(*count)++] = (uint64_t) days << 32 | from << 16 | to;
        return true;
    }
    next = (days << 1 | days >> 6) & 0x7f;
    cells[(*count)++] = (uint64_t) days << 32 | from << 16 | RULE_DAY_MINUTES;
    cells[(*count)++] = (uint64_t) next << 32 | to;
    return true;
}

/* "1-5", "1,3,5", "6-1,3": a bit a day. */
static bool
days_parse(struct tracker_str text, unsigned *days)
{
    size_t i = 0;

    *days = 0;
    for (;;) {
        unsigned first, last;

        if (i >= text.len || text.data[i] < '1' || text.data[i] > '7')
            return false;
        first = last = (unsigned) (text.data[i++] - '1');
        if (i < text.len && text.data[i] == '-') {
            if (i + 1 >= text.len || text.data[i + 1] < '1' || text.data[i + 1] > '7')
                return false;
            last = (unsigned) (text.data[i + 1] - '1');
            i += 2;
        }
        for (*days |= 1u << first; first != last; *days |= 1u << first)
            first = (first + 1) % 7;
        if (i == text.len)
            return true;
        if (text.data[i++] != ',')
            return false;
    }
}

/* "09:00" up to and with "24:00"; text has five characters. */
static bool
minute_parse(const char *text, unsigned *minute)
{
    for (int i = 0; i < 5; i++)
        if (i == 2 ? text[i] != ':' : !rule_is_digit((uint8_t) text[i]))
            return false;

    unsigned hours = (unsigned) (text[0] - '0') * 10 + (unsigned) (text[1] - '0');
    unsigned minutes = (unsigned) (text[3] - '0') * 10 + (unsigned) (text[4] - '0');
    *minute = hours * 60 + minutes;
    return minutes < 60 && *minute <= RULE_DAY_MINUTES;
}

static int
cell_compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* The next len bytes, or NULL when they do not fit. */
static uint8_t *
room(struct writer *w, size_t len)
{
    uint8_t *at = w->out + w->len;

    if (w->full || len > w->cap - w->len) {
        w->full = true;
        return NULL;
    }
    w->len += len;
    return at;
}
