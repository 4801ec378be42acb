/*
 * tracker_rule.c - which of a link's rules holds for a visitor; on the click path.
 */
#include "tracker_rule_internal.h"

static bool rule_holds(const uint8_t *rule, const struct tracker_visitor *visitor);
static bool visitor_has(const uint8_t *condition, const uint8_t *rule, const struct tracker_visitor *visitor);
static bool cells_hold(const uint8_t *condition, size_t cell_len, uint64_t value);
static bool bits_hold(const uint8_t *condition, unsigned number);
static bool schedule_holds(const uint8_t *condition, int offset_minutes, uint64_t time_ms);
static uint64_t country_cell(const struct tracker_visitor *visitor);
static uint64_t region_cell(const struct tracker_visitor *visitor);
static uint64_t language_cell(struct tracker_str language);
static void target_draw(const uint8_t *rule, uint64_t sticky, struct tracker_choice *choice);

bool
tracker_rules_choose(const uint8_t *compiled, size_t len, const struct tracker_visitor *visitor,
                     uint64_t sticky, unsigned after, struct tracker_choice *choice)
{
    const uint8_t *rule = compiled + RULES_HEADER;
    unsigned       count = len == 0 ? 0 : tracker_get16(compiled);

    for (unsigned number = 1; number <= count; number++, rule += tracker_get16(rule)) {
        if (number > after && rule_holds(rule, visitor)) {
            choice->rule = (uint16_t) number;
            choice->cap_day = tracker_get32(rule + 4);
            target_draw(rule, sticky, choice);
            return true;
        }
    }
    *choice = (struct tracker_choice){ 0 };
    return false;
}

static bool
rule_holds(const uint8_t *rule, const struct tracker_visitor *visitor)
{
    const uint8_t *condition = rule + RULE_HEADER;

    for (unsigned left = rule[8]; left > 0; left--) {
        if (visitor_has(condition, rule, visitor) == (condition[1] != 0))
            return false;
        condition += CONDITION_HEADER + tracker_get16(condition + 2) * rule_cell_len(condition[0]);
    }
    return true;
}

/* Has the visitor one of the condition's values? */
static bool
visitor_has(const uint8_t *condition, const uint8_t *rule, const struct tracker_visitor *visitor)
{
    switch ((enum tracker_rule_subject) condition[0]) {
    case TRACKER_RULE_COUNTRY:
        return cells_hold(condition, 2, country_cell(visitor));
    case TRACKER_RULE_REGION:
        return cells_hold(condition, 8, region_cell(visitor));
    case TRACKER_RULE_LANGUAGE:
        return cells_hold(condition, 8, language_cell(visitor->language));
    case TRACKER_RULE_ASN:
        return cells_hold(condition, 4, visitor->asn);
    case TRACKER_RULE_DEVICE:
        return bits_hold(condition, visitor->device);
    case TRACKER_RULE_OS:
        return bits_hold(condition, visitor->os);
    case TRACKER_RULE_BROWSER:
        return bits_hold(condition, visitor->browser);
    case TRACKER_RULE_CONNECTION:
        return bits_hold(condition,
                         visitor->datacentre ? RULE_CONNECTION_DATACENTRE : RULE_CONNECTION_OTHER);
    case TRACKER_RULE_SCHEDULE:
        return schedule_holds(condition, (int16_t) tracker_get16(rule + 2), visitor->time_ms);
    }
    return false;
}

/* Bisects; 0 is unknown and in no condition. */
static bool
cells_hold(const uint8_t *condition, size_t cell_len, uint64_t value)
{
    const uint8_t *cells = condition + CONDITION_HEADER;
    unsigned       low = 0, high = tracker_get16(condition + 2);

    while (low < high) {
        unsigned middle = (low + high) / 2;
        uint64_t here = rule_cell(cells + middle * cell_len, cell_len);

        if (here == value)
            return true;
        if (here < value)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool
bits_hold(const uint8_t *condition, unsigned number)
{
    return number < 64 && (tracker_get64(condition + CONDITION_HEADER) >> number & 1) != 0;
}

static bool
schedule_holds(const uint8_t *condition, int offset_minutes, uint64_t time_ms)
{
    const uint8_t *cell = condition + CONDITION_HEADER;
    /* a week more, so that an hour west of 1970 is not negative */
    uint64_t local = (uint64_t) ((int64_t) (time_ms / 60000) + 7 * (int) RULE_DAY_MINUTES + offset_minutes);
    uint64_t day = (local / RULE_DAY_MINUTES + 3) % 7; /* 1970 began on a Thursday */
    uint64_t minute = local % RULE_DAY_MINUTES;

    for (unsigned left = tracker_get16(condition + 2); left > 0; left--, cell += 8) {
        uint64_t span = tracker_get64(cell);

        if ((span >> 32 >> day & 1) != 0 && minute >= (span >> 16 & 0xffff) && minute < (span & 0xffff))
            return true;
    }
    return false;
}

static uint64_t
country_cell(const struct tracker_visitor *visitor)
{
    if (visitor->country.len != 2)
        return 0;
    return rule_cell_push((uint8_t) visitor->country.data[0], visitor->country.data[1]);
}

static uint64_t
region_cell(const struct tracker_visitor *visitor)
{
    uint64_t cell = country_cell(visitor);

    if (cell == 0 || visitor->region.len == 0 || visitor->region.len > RULE_REGION_MAX)
        return 0;
    for (size_t i = 0; i < visitor->region.len; i++)
        cell = rule_cell_push(cell, visitor->region.data[i]);
    return cell;
}

/* The letters before the first other byte. */
static uint64_t
language_cell(struct tracker_str language)
{
    uint64_t cell = 0;

    for (size_t i = 0; i < language.len && rule_is_lower((uint8_t) language.data[i] | 0x20); i++) {
        if (i == RULE_LANGUAGE_MAX)
            return 0;
        cell = rule_cell_push(cell, (char) (language.data[i] | 0x20));
    }
    return cell;
}

/* Scales sticky to the sum of weights; the share in which it falls is the target's. */
static void
target_draw(const uint8_t *rule, uint64_t sticky, struct tracker_choice *choice)
{
    unsigned       number = 1, count = rule[9];
    const uint8_t *target = rule + tracker_get16(rule + 10);
    uint32_t       total = tracker_get32(target + (count - 1) * TARGET_LEN);
    uint32_t       draw = (uint32_t) ((unsigned __int128) sticky * total >> 64);

    for (; draw >= tracker_get32(target); target += TARGET_LEN)
        number++;

    choice->target = (uint16_t) number;
    choice->macros = tracker_get32(target + 4);
    choice->template =
        (struct tracker_str){ (const char *) rule + tracker_get16(target + 8), tracker_get16(target + 10) };
}
