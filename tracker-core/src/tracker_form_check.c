/*
 * tracker_form_check.c - the guard before a form's definition: its fields one by one, and compiled bytes.
 */
#include "tracker_form_internal.h"

static bool name_valid(struct tracker_str name);
static const char *bounds_error(const struct tracker_form_field *field);
static const char *options_error(struct tracker_str options);
static bool option_valid(struct tracker_str option);
static bool option_before(struct tracker_str options, struct tracker_str option);
static size_t field_check(struct tracker_str form, size_t at, unsigned i);
static bool name_is_new(struct tracker_str form, struct tracker_str name, unsigned count);

/* ---- bytes ---- */

bool
tracker_form_check(struct tracker_str form)
{
    const uint8_t *p = (const uint8_t *) form.data;
    size_t         at = FORM_HEADER;

    if (form.len < FORM_HEADER || form.len > TRACKER_FORM_MAX || p[0] != FORM_FORMAT || p[1] != 0)
        return false;

    unsigned count = tracker_get16(p + 2);
    if (count == 0 || count > TRACKER_FORM_FIELDS_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        size_t len = field_check(form, at, i);
        if (len == 0)
            return false;
        at += len;
    }
    return at == form.len;
}

/* The length of field i, which begins at byte `at`; 0: it is none.  Those before it are checked. */
static size_t
field_check(struct tracker_str form, size_t at, unsigned i)
{
    const uint8_t            *p = (const uint8_t *) form.data + at;
    struct tracker_form_field field;

    if (form.len - at < FIELD_HEADER)
        return 0;

    size_t len = tracker_get32(p);
    if (len > form.len - at || len != (size_t) FIELD_HEADER + p[6] + tracker_get16(p + 8) + tracker_get16(p + 10)
        || (p[5] & ~FIELD_FLAGS) != 0 || p[7] != 0)
        return 0;

    form_field_at(form, at, &field);
    if ((!field.has_min && field.min != 0) || (!field.has_max && field.max != 0)
        || tracker_form_field_error(&field) != NULL || !name_is_new(form, field.name, i))
        return 0;
    return len;
}

static bool
name_is_new(struct tracker_str form, struct tracker_str name, unsigned count)
{
    struct tracker_form_field field;
    size_t                    at = FORM_HEADER;

    for (; count > 0; count--) {
        at = form_field_at(form, at, &field);
        if (tracker_str_eq(field.name, name))
            return false;
    }
    return true;
}

/* ---- one field ---- */

const char *
tracker_form_field_error(const struct tracker_form_field *field)
{
    if (!name_valid(field->name))
        return "a field's name is 1 to 64 small letters, digits and underscores, a letter first";
    if (tracker_form_reserved(field->name))
        return "this name has a meaning of its own";
    if (field->type < TRACKER_FORM_TEXT || field->type > TRACKER_FORM_COUNTRY)
        return "there is no such type of field";

    const char *error = bounds_error(field);
    if (error != NULL)
        return error;

    if (field->pattern.len > 0) {
        if (!form_type_in(field->type, TYPES_TEXT))
            return "only texts have a pattern";
        error = tracker_form_pattern_error(field->pattern);
        if (error != NULL)
            return error;
    }
    if (!form_type_in(field->type, TYPES_OPTIONS))
        return field->options.len == 0 ? NULL : "only select and multi have options";
    return options_error(field->options);
}

static bool
name_valid(struct tracker_str name)
{
    if (name.len == 0 || name.len > TRACKER_LEAD_NAME_MAX || name.data[0] < 'a' || name.data[0] > 'z')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.data[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
            return false;
    }
    return true;
}

static const char *
bounds_error(const struct tracker_form_field *field)
{
    bool counts = form_type_in(field->type, TYPES_TEXT | TYPES(MULTI));

    if (!field->has_min && !field->has_max)
        return NULL;
    if (!form_type_in(field->type, TYPES_BOUNDED))
        return "this type of field has no minimum and no maximum";
    if (field->has_min && field->has_max && field->min > field->max)
        return "the minimum is above the maximum";
    if (counts && ((field->has_min && field->min < 0) || (field->has_max && field->max < 1)))
        return "this minimum or maximum can never be met";
    return NULL;
}

static const char *
options_error(struct tracker_str options)
{
    struct tracker_str rest = options, option;
    unsigned           count = 0;

    if (options.len == 0)
        return "select and multi need options";
    if (options.len > UINT16_MAX)
        return "the options are too long";
    if (options.data[options.len - 1] != '\n')
        return "an option ends with a newline";

    while (form_option_next(&rest, &option)) {
        struct tracker_str before = { options.data, (size_t) (option.data - options.data) };

        if (++count > TRACKER_FORM_OPTIONS_MAX)
            return "a field has at most 512 options";
        if (!option_valid(option))
            return "an option is a text without blanks at its ends, and of at most 1024 bytes";
        if (option_before(before, option))
            return "an option stands there twice";
    }
    return NULL;
}

static bool
option_valid(struct tracker_str option)
{
    if (option.len == 0 || option.len > FORM_OPTION_MAX || form_trim(option).len != option.len)
        return false;
    for (size_t i = 0; i < option.len; i++)
        if ((uint8_t) option.data[i] < ' ' || option.data[i] == 0x7f)
            return false;
    return true;
}

static bool
option_before(struct tracker_str options, struct tracker_str option)
{
    struct tracker_str other;

    while (form_option_next(&options, &other))
        if (tracker_str_eq(other, option))
            return true;
    return false;
}
