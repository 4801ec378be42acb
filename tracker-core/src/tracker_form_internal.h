/*
 * tracker_form_internal.h - how a compiled form lies; compiler, checker, reader, judge and pages share it.
 *
 *   form    0 u8 format  1 u8 zero  2 u16 number of fields; then the fields, back to back
 *   field   0 u32 its length  4 u8 type  5 u8 flags  6 u8 the name's length  7 u8 zero
 *           8 u16 the pattern's length  10 u16 the options' length  12 i64 min  20 i64 max  28 name, pattern, options
 *
 * Integers are little-endian at any address.  A bound that is not there is 0.
 */
#ifndef TRACKER_FORM_INTERNAL_H
#define TRACKER_FORM_INTERNAL_H

#include "tracker_form.h"
#include "tracker_le.h"

#define FORM_FORMAT   1
#define FORM_HEADER   4u
#define FIELD_HEADER  28u
#define FORM_OPTION_MAX 1024u /* bytes */

#define FIELD_REQUIRED 1u
#define FIELD_MIN      2u
#define FIELD_MAX      4u
#define FIELD_FLAGS    (FIELD_REQUIRED | FIELD_MIN | FIELD_MAX)

/* Types by what may stand in their definition: bit n is type n. */
#define TYPES(type)    (1u << TRACKER_FORM_##type)
#define TYPES_TEXT     (TYPES(TEXT) | TYPES(EMAIL) | TYPES(PHONE) | TYPES(HIDDEN))
#define TYPES_BOUNDED  (TYPES_TEXT | TYPES(NUMBER) | TYPES(DATE) | TYPES(MULTI))
#define TYPES_OPTIONS  (TYPES(SELECT) | TYPES(MULTI))
#define TYPES_BOX      (TYPES(CHECKBOX) | TYPES(CONSENT))

static inline bool
form_type_in(uint8_t type, unsigned types)
{
    return type < 32 && (types >> type & 1) != 0;
}

/* The field that begins at byte `at` of a checked form; where the next one does. */
static inline size_t
form_field_at(struct tracker_str form, size_t at, struct tracker_form_field *out)
{
    const uint8_t *p = (const uint8_t *) form.data + at;
    const char    *text = form.data + at + FIELD_HEADER;
    size_t         name = p[6], pattern = tracker_get16(p + 8), options = tracker_get16(p + 10);

    *out = (struct tracker_form_field){
        .name = { text, name },
        .type = p[4],
        .required = (p[5] & FIELD_REQUIRED) != 0,
        .has_min = (p[5] & FIELD_MIN) != 0,
        .has_max = (p[5] & FIELD_MAX) != 0,
        .min = (int64_t) tracker_get64(p + 12),
        .max = (int64_t) tracker_get64(p + 20),
        .pattern = { text + name, pattern },
        .options = { text + name + pattern, options },
    };
    return at + tracker_get32(p);
}

/* Takes the next option off *options; false: no more. */
static inline bool
form_option_next(struct tracker_str *options, struct tracker_str *option)
{
    if (options->len == 0)
        return false;

    const char *newline = memchr(options->data, '\n', options->len);
    size_t      len = newline == NULL ? options->len : (size_t) (newline - options->data);
    *option = (struct tracker_str){ options->data, len };
    len += newline != NULL;
    options->data += len;
    options->len -= len;
    return true;
}

/* Without the blanks (space, tab, line ends) at both ends. */
static inline struct tracker_str
form_trim(struct tracker_str text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4) != NULL)
        text.len--;
    return text;
}

/* Whether a box with that value was ticked; what browsers and scripts send. */
static inline bool
form_box_ticked(struct tracker_str value)
{
    return tracker_str_eq(value, TRACKER_STR("1")) || tracker_str_eq(value, TRACKER_STR("on"))
           || tracker_str_eq(value, TRACKER_STR("true"));
}

static inline bool
form_box_empty(struct tracker_str value)
{
    return value.len == 0 || tracker_str_eq(value, TRACKER_STR("0")) || tracker_str_eq(value, TRACKER_STR("off"))
           || tracker_str_eq(value, TRACKER_STR("false"));
}

/* NULL, or what is wrong with one field by itself. */
const char *tracker_form_field_error(const struct tracker_form_field *field);

/* NULL, or a static sentence: whether PCRE2 takes the pattern. */
const char *tracker_form_pattern_error(struct tracker_str pattern);
/* Whether the whole text matches; false too when that takes too long. */
bool tracker_form_pattern_matches(struct tracker_str pattern, struct tracker_str text);

/* Characters of UTF-8. */
size_t tracker_form_characters(struct tracker_str text);
/* Compares the decimal number (-?digits[.digits], 18 digits at most on both sides) with the bounds; false: it is none. */
bool tracker_form_number(struct tracker_str text, const struct tracker_form_field *field);

#endif
