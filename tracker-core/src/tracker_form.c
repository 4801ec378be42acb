/*
 * tracker_form.c - a form's definition: compiled, and read again.
 */
#include "tracker_form_internal.h"

static size_t field_write(const struct tracker_form_field *field, uint8_t *out, size_t cap);
static bool name_before(const struct tracker_form_field *fields, unsigned i);

/* What a click id is called in links; a field of such a name would be taken for one. */
static const struct tracker_str reserved[] = {
    { "click_id", 8 }, { "cid", 3 }, { "clickid", 7 }, { "transaction_id", 14 }, { "subid", 5 },
};

bool
tracker_form_reserved(struct tracker_str name)
{
    if (name.len > 0 && name.data[0] == '_')
        return true;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (tracker_str_eq(name, reserved[i]))
            return true;
    return false;
}

int
tracker_form_compile(const struct tracker_form_field *fields, unsigned count, uint8_t *out, size_t cap,
                     const char **error, unsigned *at)
{
    size_t len = FORM_HEADER;

    *error = NULL;
    *at = 0;
    if (count == 0)
        *error = "a form has at least one field";
    else if (count > TRACKER_FORM_FIELDS_MAX)
        *error = "a form has at most 64 fields";
    if (cap > TRACKER_FORM_MAX)
        cap = TRACKER_FORM_MAX;
    if (*error == NULL && cap < FORM_HEADER)
        *error = "the form is too long";
    if (*error != NULL)
        return -1;

    for (; *at < count; ++*at) {
        *error = tracker_form_field_error(&fields[*at]);
        if (*error == NULL && name_before(fields, *at))
            *error = "another field has this name";
        if (*error != NULL)
            return -1;

        size_t field_len = field_write(&fields[*at], out + len, cap - len);
        if (field_len == 0) {
            *error = "the form is too long";
            return -1;
        }
        len += field_len;
    }
    *at = 0;
    out[0] = FORM_FORMAT;
    out[1] = 0;
    tracker_put16(out + 2, (uint16_t) count);
    return (int) len;
}

/* The length; 0: no room. */
static size_t
field_write(const struct tracker_form_field *field, uint8_t *out, size_t cap)
{
    size_t len = FIELD_HEADER + field->name.len + field->pattern.len + field->options.len;

    if (len > cap)
        return 0;
    tracker_put32(out, (uint32_t) len);
    out[4] = field->type;
    out[5] = (uint8_t) ((field->required ? FIELD_REQUIRED : 0) | (field->has_min ? FIELD_MIN : 0)
                        | (field->has_max ? FIELD_MAX : 0));
    out[6] = (uint8_t) field->name.len;
    out[7] = 0;
    tracker_put16(out + 8, (uint16_t) field->pattern.len);
    tracker_put16(out + 10, (uint16_t) field->options.len);
    tracker_put64(out + 12, field->has_min ? (uint64_t) field->min : 0);
    tracker_put64(out + 20, field->has_max ? (uint64_t) field->max : 0);

    out += FIELD_HEADER;
    memcpy(out, field->name.data, field->name.len);
    out += field->name.len;
    if (field->pattern.len > 0)
        memcpy(out, field->pattern.data, field->pattern.len);
    out += field->pattern.len;
    if (field->options.len > 0)
        memcpy(out, field->options.data, field->options.len);
    return len;
}

static bool
name_before(const struct tracker_form_field *fields, unsigned i)
{
    for (unsigned j = 0; j < i; j++)
        if (tracker_str_eq(fields[j].name, fields[i].name))
            return true;
    return false;
}

unsigned
tracker_form_count(struct tracker_str form)
{
    return tracker_get16((const uint8_t *) form.data + 2);
}

void
tracker_form_field(struct tracker_str form, unsigned i, struct tracker_form_field *out)
{
    size_t at = FORM_HEADER;

    for (; i > 0; i--)
        at += tracker_get32((const uint8_t *) form.data + at);
    form_field_at(form, at, out);
}
