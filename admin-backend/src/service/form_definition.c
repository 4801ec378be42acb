#include "service/form_definition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t     type;
} types[] = {
    { "text", TRACKER_FORM_TEXT },         { "email", TRACKER_FORM_EMAIL },     { "phone", TRACKER_FORM_PHONE },
    { "number", TRACKER_FORM_NUMBER },     { "date", TRACKER_FORM_DATE },       { "select", TRACKER_FORM_SELECT },
    { "multi", TRACKER_FORM_MULTI },       { "checkbox", TRACKER_FORM_CHECKBOX }, { "consent", TRACKER_FORM_CONSENT },
    { "hidden", TRACKER_FORM_HIDDEN },     { "country", TRACKER_FORM_COUNTRY },
};

#define BIT(type)  (1u << TRACKER_FORM_##type)
#define WORDY      (BIT(TEXT) | BIT(SELECT) | BIT(HIDDEN))
#define TYPED      (BIT(TEXT) | BIT(EMAIL) | BIT(PHONE) | BIT(NUMBER))
#define SEEN       (~BIT(HIDDEN))
#define ANY        (~0u)

/* What every lead may have, and as what. */
static const struct {
    const char *name;
    unsigned    types;
} standard[] = {
    { "email", BIT(EMAIL) },                 { "phone", BIT(PHONE) },
    { "first_name", WORDY },                 { "last_name", WORDY },
    { "name", WORDY },                       { "language", WORDY },
    { "country", BIT(COUNTRY) | BIT(SELECT) | BIT(HIDDEN) },
};

/* Members of a field: their JSON type, with which types of field they stand, and how long their text is at most. */
static const struct member {
    const char *name;
    json_type   json;
    unsigned    types;
    size_t      max;
} members[] = {
    { "name", JSON_STRING, ANY, TRACKER_LEAD_NAME_MAX },
    { "type", JSON_STRING, ANY, 16 },
    { "label", JSON_STRING, ANY, 300 },
    { "required", JSON_TRUE, SEEN, 0 },
    { "options", JSON_ARRAY, BIT(SELECT) | BIT(MULTI), 0 },
    { "pattern", JSON_STRING, BIT(TEXT) | BIT(EMAIL) | BIT(PHONE), TRACKER_FORM_PATTERN_MAX },
    { "min", JSON_INTEGER, SEEN, 10 },
    { "max", JSON_INTEGER, SEEN, 10 },
    { "placeholder", JSON_STRING, TYPED, 200 },
    { "help", JSON_STRING, SEEN, 500 },
    { "value", JSON_STRING, BIT(HIDDEN), 1000 },
    { "text", JSON_STRING, BIT(CONSENT), 2000 },
};

uint8_t
form_type(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return 0;
}

static unsigned
standard_types(const char *name)
{
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
        if (strcmp(standard[i].name, name) == 0)
            return standard[i].types;
    }
    return 0;
}

bool
form_is_standard(const char *name)
{
    return standard_types(name) != 0;
}

/* ---- one field ---- */

static bool
is_clean(const json_t *text, size_t max)
{
    const char *bytes = json_string_value(text);
    size_t      len = json_string_length(text);

    if (bytes == NULL || strlen(bytes) != len || len > max)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char) bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t') || bytes[i] == 0x7f)
            return false;
    }
    return true;
}

static const struct member *
member_named(const char *name)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}

static const char *
member_error(const struct member *member, const json_t *value, uint8_t type)
{
    bool is_date = type == TRACKER_FORM_DATE && member->json == JSON_INTEGER;

    if ((member->types >> type & 1) == 0)
        return "does not belong to a field of this type";
    if (is_date)
        return is_clean(value, member->max) ? NULL : "is no date as \"2026-11-22\"";
    if (member->json == JSON_TRUE)
        return json_is_boolean(value) ? NULL : "is neither true nor false";
    if (json_typeof(value) != member->json)
        return member->json == JSON_INTEGER ? "is no whole number" : member->json == JSON_ARRAY ? "is no list" : "is no text";
    return member->json != JSON_STRING || is_clean(value, member->max)
               ? NULL
               : "is too long, or holds control characters";
}

static const char *
read_bound(const json_t *value, uint8_t type, bool *has, int64_t *bound)
{
    *has = value != NULL;
    *bound = json_integer_value(value);
    if (value == NULL || type != TRACKER_FORM_DATE)
        return NULL;
    return tracker_date_parse((struct tracker_str){ json_string_value(value), json_string_length(value) }, bound)
               ? NULL
               : "min and max of a date are days as \"2026-11-22\"";
}

/* {"value","label"}; the values, each with a newline after it, go into *lines. */
static const char *
read_options(const json_t *options, char **lines)
{
    json_t *option;
    size_t  i, len = 0, size = 1;

    json_array_foreach(options, i, option) {
        const json_t *value = json_object_get(option, "value"), *label = json_object_get(option, "label");

        /* a newline would end it too soon, and marks of the page would count others */
        if (!is_clean(value, 1000) || strpbrk(json_string_value(value), "\n\t") != NULL || !is_clean(label, 300)
            || json_object_size(option) != 2 || json_string_length(label) == 0)
            return "options are {\"value\":\"...\",\"label\":\"...\"}";
        size += json_string_length(value) + 1;
    }
    *lines = malloc(size);
    if (*lines == NULL)
        return "cannot be kept now";
    (*lines)[0] = '\0';
    json_array_foreach(options, i, option)
        len += (size_t) snprintf(*lines + len, size - len, "%s\n", json_string_value(json_object_get(option, "value")));
    return NULL;
}

static const char *
shape_error(const json_t *field, uint8_t type, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *name, *error;
    json_t     *value;

    json_object_foreach((json_t *) field, name, value) {
        const struct member *member = member_named(name);

        error = member == NULL ? "is no member of a field" : member_error(member, value, type);
        if (error != NULL) {
            snprintf(complaint, FIELD_COMPLAINT_MAX, "\"%.40s\" %s", name, error);
            return complaint;
        }
    }
    if (type != TRACKER_FORM_HIDDEN && json_string_length(json_object_get(field, "label")) == 0)
        return "it needs a label";
    if (type == TRACKER_FORM_CONSENT && json_string_length(json_object_get(field, "text")) == 0)
        return "a consent needs the text that people agree to";
    return NULL;
}

/* NULL, or what is wrong; out borrows from field and from *lines, which is malloc'ed or NULL. */
static const char *
read_field(const json_t *field, struct tracker_form_field *out, char **lines, char complaint[FIELD_COMPLAINT_MAX])
{
    const json_t *name = json_object_get(field, "name"), *pattern = json_object_get(field, "pattern");
    uint8_t       type = form_type(json_string_value(json_object_get(field, "type")));
    const char   *error;
    unsigned      fitting;

    *lines = NULL;
    if (!json_is_object(field) || json_string_value(name) == NULL)
        return "it is no {\"name\":\"...\",\"type\":\"...\",...}";
    if (type == 0)
        return "its type is none of " FORM_TYPES;
    if ((error = shape_error(field, type, complaint)) != NULL)
        return error;
    fitting = standard_types(json_string_value(name));
    if (fitting != 0 && (fitting >> type & 1) == 0)
        return "this standard field is of another type";

    *out = (struct tracker_form_field){
        .name = { json_string_value(name), json_string_length(name) },
        .type = type,
        .required = json_is_true(json_object_get(field, "required")),
        .pattern = { json_string_value(pattern), json_string_length(pattern) },
    };
    if ((error = read_bound(json_object_get(field, "min"), type, &out->has_min, &out->min)) != NULL
        || (error = read_bound(json_object_get(field, "max"), type, &out->has_max, &out->max)) != NULL
        || (error = read_options(json_object_get(field, "options"), lines)) != NULL)
        return error;
    out->options = (struct tracker_str){ *lines, strlen(*lines) };
    return NULL;
}

/* ---- all of them ---- */

struct compiling {
    struct tracker_form_field fields[TRACKER_FORM_FIELDS_MAX];
    char                     *lines[TRACKER_FORM_FIELDS_MAX];
};

static void
blame(char complaint[FIELD_COMPLAINT_MAX], const json_t *fields, size_t at, const char *error)
{
    const char *name = json_string_value(json_object_get(json_array_get(fields, at), "name"));
    char        text[FIELD_COMPLAINT_MAX];

    snprintf(text, sizeof(text), "%s", error); /* which may lie in complaint */
    snprintf(complaint, FIELD_COMPLAINT_MAX, "field %zu (\"%.40s\"): %.140s", at + 1, name == NULL ? "" : name, text);
}

static bool
compile(struct compiling *work, const json_t *fields, uint8_t *out, size_t cap, size_t *len,
        char complaint[FIELD_COMPLAINT_MAX])
{
    const char *error = NULL;
    unsigned    at = 0;
    json_t     *field;
    size_t      i;
    int         result;

    json_array_foreach(fields, i, field) {
        error = read_field(field, &work->fields[i], &work->lines[i], complaint);
        if (error != NULL) {
            blame(complaint, fields, i, error);
            return false;
        }
    }
    result = tracker_form_compile(work->fields, (unsigned) json_array_size(fields), out, cap, &error, &at);
    if (result < 0)
        blame(complaint, fields, at, error);
    *len = result < 0 ? 0 : (size_t) result;
    return result >= 0;
}

bool
form_compile(const json_t *fields, uint8_t **compiled, size_t *len, char complaint[FIELD_COMPLAINT_MAX])
{
    struct compiling *work = calloc(1, sizeof(*work));
    bool              good = false;

    *compiled = malloc(TRACKER_FORM_MAX);
    *len = 0;
    if (!json_is_array(fields) || json_array_size(fields) == 0 || json_array_size(fields) > TRACKER_FORM_FIELDS_MAX)
        snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of 1 to %d fields", TRACKER_FORM_FIELDS_MAX);
    else if (work == NULL || *compiled == NULL)
        snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    else
        good = compile(work, fields, *compiled, TRACKER_FORM_MAX, len, complaint);
    for (int i = 0; work != NULL && i < TRACKER_FORM_FIELDS_MAX; i++)
        free(work->lines[i]);
    free(work);
    if (!good) {
        free(*compiled);
        *compiled = NULL;
    }
    return good;
}

bool
form_field_check(const json_t *field, char complaint[FIELD_COMPLAINT_MAX])
{
    struct tracker_form_field read;
    uint8_t                  *out = malloc(TRACKER_FORM_MAX);
    char                     *lines;
    const char               *error = read_field(field, &read, &lines, complaint);
    unsigned                  at;

    if (error == NULL && out == NULL)
        error = "cannot be kept now";
    if (error == NULL)
        tracker_form_compile(&read, 1, out, TRACKER_FORM_MAX, &error, &at);
    if (error != NULL && error != complaint)
        snprintf(complaint, FIELD_COMPLAINT_MAX, "%s", error);
    free(lines);
    free(out);
    return error == NULL;
}

bool
form_has_contact(const json_t *fields)
{
    json_t *field;
    size_t  i;

    json_array_foreach(fields, i, field) {
        const char *name = json_string_value(json_object_get(field, "name"));

        if (name != NULL && (strcmp(name, "email") == 0 || strcmp(name, "phone") == 0)
            && json_is_true(json_object_get(field, "required")))
            return true;
    }
    return false;
}
