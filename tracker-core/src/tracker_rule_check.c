/*
 * tracker_rule_check.c - the guard before compiled rules: what it lets through, the reader trusts.
 *
 * Every byte is accounted for; what the compiler would not write is refused.
 */
#include "tracker_rule_internal.h"

static size_t rule_check(const uint8_t *rule, size_t room, uint32_t *subjects);
static bool targets_check(const uint8_t *rule, size_t len, size_t at);
static size_t condition_check(const uint8_t *condition, size_t room);
static bool cell_check(unsigned subject, uint64_t cell);
static bool region_check(uint64_t cell);
static bool language_check(uint64_t cell);
static bool span_check(uint64_t cell);

bool
tracker_rules_check(const uint8_t *compiled, size_t len)
{
    uint32_t subjects = 0;
    size_t   at = RULES_HEADER;

    if (len == 0)
        return true;
    if (len < RULES_HEADER || len > TRACKER_RULES_LEN_MAX)
        return false;

    unsigned count = tracker_get16(compiled);
    if (count == 0 || count > TRACKER_RULES_MAX || tracker_get16(compiled + 2) != 0)
        return false;
    for (; count > 0; count--) {
        size_t rule_len = rule_check(compiled + at, len - at, &subjects);
        if (rule_len == 0)
            return false;
        at += rule_len;
    }
    return at == len && tracker_get32(compiled + 4) == subjects;
}

/* The length of the rule that begins here; 0: it is none. */
static size_t
rule_check(const uint8_t *rule, size_t room, uint32_t *subjects)
{
    if (room < RULE_HEADER)
        return 0;

    size_t   len = tracker_get16(rule), at = RULE_HEADER;
    int      offset = (int16_t) tracker_get16(rule + 2);
    unsigned conditions = rule[8];
    if (len < RULE_HEADER || len > room || offset < -RULE_OFFSET_MAX || offset > RULE_OFFSET_MAX
        || conditions > TRACKER_RULE_CONDITIONS)
        return 0;

    for (; conditions > 0; conditions--) {
        size_t condition_len = condition_check(rule + at, len - at);
        if (condition_len == 0)
            return 0;
        *subjects |= UINT32_C(1) << rule[at];
        at += condition_len;
    }
    return at == tracker_get16(rule + 10) && targets_check(rule, len, at) ? len : 0;
}

/* The targets begin at `at`; their templates follow in their order and end with the rule. */
static bool
targets_check(const uint8_t *rule, size_t len, size_t at)
{
    const uint8_t *target = rule + at;
    unsigned       count = rule[9];
    uint32_t       before = 0;

    if (count == 0 || count > TRACKER_RULE_TARGETS || count * TARGET_LEN > len - at)
        return false;
    at += count * TARGET_LEN;

    for (; count > 0; count--, target += TARGET_LEN) {
        uint32_t upto = tracker_get32(target);
        size_t   template_len = tracker_get16(target + 10);

        if (upto <= before || upto - before > TRACKER_RULE_WEIGHT_MAX || tracker_get16(target + 8) != at
            || template_len > len - at || !tracker_template_check(rule + at, template_len)
            || tracker_get32(target + 4) != tracker_template_macros(rule + at, template_len))
            return false;
        before = upto;
        at += template_len;
    }
    return at == len;
}

/* The length of the condition that begins here; 0: it is none. */
static size_t
condition_check(const uint8_t *condition, size_t room)
{
    uint64_t before = 0;

    if (room < CONDITION_HEADER)
        return 0;

    unsigned subject = condition[0], count = tracker_get16(condition + 2);
    size_t   cell_len = rule_cell_len(subject), len = CONDITION_HEADER + count * cell_len;
    unsigned most = rule_is_bits(subject)                ? 1
                    : subject == TRACKER_RULE_SCHEDULE ? RULE_CELLS_MAX
                                                       : TRACKER_RULE_VALUES;
    if (cell_len == 0 || condition[1] > 1 || count == 0 || count > most || len > room)
        return 0;

    for (size_t at = CONDITION_HEADER; at < len; at += cell_len) {
        uint64_t cell = rule_cell(condition + at, cell_len);
        if (cell <= before || !cell_check(subject, cell))
            return 0;
        before = cell;
    }
    return len;
}

/* A cell is not 0: the order of cells says so already. */
static bool
cell_check(unsigned subject, uint64_t cell)
{
    switch ((enum tracker_rule_subject) subject) {
    case TRACKER_RULE_COUNTRY:
        return rule_is_upper((uint8_t) (cell >> 8)) && rule_is_upper((uint8_t) cell);
    case TRACKER_RULE_REGION:
        return region_check(cell);
    case TRACKER_RULE_LANGUAGE:
        return language_check(cell);
    case TRACKER_RULE_ASN:
        return true;
    case TRACKER_RULE_DEVICE: /* numbers that this build does not know are a newer backend's */
    case TRACKER_RULE_OS:
    case TRACKER_RULE_BROWSER:
    case TRACKER_RULE_CONNECTION:
        return (cell & 1) == 0;
    case TRACKER_RULE_SCHEDULE:
        return span_check(cell);
    }
    return false;
}

/* Two letters of the country, one to three characters of the region. */
static bool
region_check(uint64_t cell)
{
    unsigned characters = 0;

    for (; cell > UINT16_MAX; cell >>= 8, characters++)
        if (!rule_is_upper((uint8_t) cell) && !rule_is_digit((uint8_t) cell))
            return false;
    return characters >= 1 && characters <= RULE_REGION_MAX && cell_check(TRACKER_RULE_COUNTRY, cell);
}

static bool
language_check(uint64_t cell)
{
    if (cell <= UINT8_MAX)
        return false;
    for (; cell != 0; cell >>= 8)
        if (!rule_is_lower((uint8_t) cell))
            return false;
    return true;
}

static bool
span_check(uint64_t cell)
{
    uint64_t days = cell >> 32, from = cell >> 16 & 0xffff, to = cell & 0xffff;

    return days >= 1 && days <= 0x7f && from < to && to <= RULE_DAY_MINUTES;
}
