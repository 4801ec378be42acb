/*
 * tracker_form_judge.c - a submission against the form's definition.
 */
#include "tracker_form_internal.h"

/* What is kept of a submission; full is sticky. */
struct kept {
    uint8_t *out;
    size_t   cap, len;
    bool     full;
};

static uint8_t field_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept);
static uint8_t box_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept);
static uint8_t multi_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept);
static bool value_fits(const struct tracker_form_field *field, struct tracker_str value);
static bool count_fits(const struct tracker_form_field *field, size_t count);
static bool option_known(struct tracker_str options, struct tracker_str value);
static int value_next(struct tracker_str *pairs, struct tracker_str name, struct tracker_str *value);
static void keep(struct kept *kept, struct tracker_str name, struct tracker_str value);

bool
tracker_form_judge(struct tracker_str form, struct tracker_str pairs, uint8_t *kept, size_t cap, size_t *kept_len,
                   uint8_t faults[TRACKER_FORM_FIELDS_MAX])
{
    struct tracker_form_field field;
    struct kept               k = { .out = kept, .cap = cap };
    unsigned                  count = tracker_form_count(form);
    size_t                    at = FORM_HEADER;
    bool                      fine = true;

    memset(faults, TRACKER_FORM_FINE, TRACKER_FORM_FIELDS_MAX);
    for (unsigned i = 0; i < count; i++) {
        at = form_field_at(form, at, &field);
        faults[i] = field_judge(&field, pairs, &k);
        fine = fine && faults[i] == TRACKER_FORM_FINE;
    }
    if (k.full)
        memset(faults, TRACKER_FORM_FINE, TRACKER_FORM_FIELDS_MAX);
    *kept_len = k.len;
    return fine && !k.full;
}

static uint8_t
field_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept)
{
    struct tracker_str value = TRACKER_STR_NONE, next;

    if (form_type_in(field->type, TYPES_BOX))
        return box_judge(field, pairs, kept);
    if (field->type == TRACKER_FORM_MULTI)
        return multi_judge(field, pairs, kept);

    while (value_next(&pairs, field->name, &next)) {
        if (next.len == 0)
            continue;
        if (value.len > 0) /* two answers to one question */
            return TRACKER_FORM_INVALID;
        value = next;
    }
    if (value.len == 0)
        return field->required ? TRACKER_FORM_MISSING : TRACKER_FORM_FINE;
    if (!value_fits(field, value))
        return TRACKER_FORM_INVALID;
    keep(kept, field->name, value);
    return TRACKER_FORM_FINE;
}

/* Pages may send an empty value before the box's own. */
static uint8_t
box_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept)
{
    struct tracker_str value;
    bool               ticked = false;

    while (value_next(&pairs, field->name, &value)) {
        if (form_box_ticked(value))
            ticked = true;
        else if (!form_box_empty(value))
            return TRACKER_FORM_INVALID;
    }
    if (!ticked)
        return field->required ? TRACKER_FORM_MISSING : TRACKER_FORM_FINE;
    keep(kept, field->name, TRACKER_STR("1"));
    return TRACKER_FORM_FINE;
}

static uint8_t
multi_judge(const struct tracker_form_field *field, struct tracker_str pairs, struct kept *kept)
{
    struct tracker_str rest = pairs, value, before;
    size_t             count = 0, begin = kept->len;

    while (value_next(&rest, field->name, &value)) {
        if (value.len == 0)
            continue;
        if (!option_known(field->options, value))
            goto invalid;
        struct tracker_str chosen = { (const char *) kept->out + begin, kept->len - begin };
        while (value_next(&chosen, field->name, &before))
            if (tracker_str_eq(before, value))
                goto invalid;
        keep(kept, field->name, value);
        count++;
    }
    if (count == 0)
        return field->required ? TRACKER_FORM_MISSING : TRACKER_FORM_FINE;
    if (count_fits(field, count))
        return TRACKER_FORM_FINE;
invalid:
    kept->len = begin;
    return TRACKER_FORM_INVALID;
}

static bool
value_fits(const struct tracker_form_field *field, struct tracker_str value)
{
    int64_t days;

    switch ((enum tracker_form_type) field->type) {
    case TRACKER_FORM_NUMBER:
        return tracker_form_number(value, field);
    case TRACKER_FORM_DATE:
        return tracker_date_parse(value, &days) && (!field->has_min || days >= field->min)
               && (!field->has_max || days <= field->max);
    case TRACKER_FORM_SELECT:
        return option_known(field->options, value);
    case TRACKER_FORM_COUNTRY:
        return tracker_country_known(value);
    case TRACKER_FORM_EMAIL:
        if (!tracker_email_valid(value))
            return false;
        break;
    case TRACKER_FORM_PHONE:
        if (!tracker_phone_valid(value))
            return false;
        break;
    case TRACKER_FORM_TEXT:
    case TRACKER_FORM_HIDDEN:
        break;
    case TRACKER_FORM_MULTI:
    case TRACKER_FORM_CHECKBOX:
    case TRACKER_FORM_CONSENT:
        return false; /* have judges of their own */
    }
    return count_fits(field, tracker_form_characters(value))
           && (field->pattern.len == 0 || tracker_form_pattern_matches(field->pattern, value));
}

static bool
count_fits(const struct tracker_form_field *field, size_t count)
{
    return (!field->has_min || (int64_t) count >= field->min) && (!field->has_max || (int64_t) count <= field->max);
}

static bool
option_known(struct tracker_str options, struct tracker_str value)
{
    struct tracker_str option;

    while (form_option_next(&options, &option))
        if (tracker_str_eq(option, value))
            return true;
    return false;
}

/* Takes pairs up to and with the next one of that name; its value is trimmed.  0: none is left. */
static int
value_next(struct tracker_str *pairs, struct tracker_str name, struct tracker_str *value)
{
    struct tracker_str other;

    while (tracker_pairs_next(pairs, &other, value) == 1) {
        if (!tracker_str_eq(other, name))
            continue;
        *value = form_trim(*value);
        return 1;
    }
    return 0;
}

static void
keep(struct kept *kept, struct tracker_str name, struct tracker_str value)
{
    size_t len = kept->full ? 0 : tracker_pairs_add(kept->out, kept->len, kept->cap, name, value);

    if (len == 0)
        kept->full = true;
    else
        kept->len = len;
}
