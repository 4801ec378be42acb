#include "service/fields.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "service/view.h"

static const char *read_value(const struct field *field, const json_t *json, struct value *value,
                              char complaint[FIELD_COMPLAINT_MAX]);

enum service_result
fields_read(const json_t *body, const struct field *fields, bool creating, struct value *values,
            struct service_error *error)
{
    enum service_result result = SERVICE_OK;
    const char         *name, *complaint;
    char                text[FIELD_COMPLAINT_MAX];
    json_t             *json;

    for (int i = 0; fields[i].name != NULL; i++)
        values[i] = (struct value){ 0 };
    if (!json_is_object(body))
        return service_invalid(error, "body", "is no JSON object");

    json_object_foreach((json_t *) body, name, json) {
        int i = 0;

        while (fields[i].name != NULL && strcmp(fields[i].name, name) != 0)
            i++;
        if (fields[i].name == NULL)
            complaint = "is no field of this resource";
        else if (!creating && (fields[i].flags & FIELD_FIXED))
            complaint = "cannot be changed";
        else
            complaint = read_value(&fields[i], json, &values[i], text);
        if (complaint != NULL)
            result = service_invalid(error, name, complaint);
    }
    for (int i = 0; creating && fields[i].name != NULL; i++) {
        if ((fields[i].flags & FIELD_REQUIRED) && json_object_get(body, fields[i].name) == NULL)
            result = service_invalid(error, fields[i].name, "is required");
    }
    return result;
}

void
fields_free(const struct field *fields, struct value *values)
{
    for (int i = 0; fields[i].name != NULL; i++)
        free(values[i].text);
}

void
fields_overlay(const struct field *fields, const struct value *values, void *row)
{
    for (int i = 0; fields[i].name != NULL; i++) {
        void *member = (char *) row + fields[i].member;

        if (!values[i].given || fields[i].member == 0)
            continue;
        switch (fields[i].type) {
        case FIELD_TEXT:
        case FIELD_EMAIL:
        case FIELD_CHOICE:
        case FIELD_CHOICES:
            *(char **) member = values[i].text;
            break;
        case FIELD_ID:
        case FIELD_INT:
        case FIELD_BOOL:
        case FIELD_AMOUNT:
        case FIELD_TIME:
            *(int64_t *) member = values[i].number;
            break;
        case FIELD_READ:
            if (values[i].text != NULL)
                *(char **) member = values[i].text;
            else
                *(int64_t *) member = values[i].number;
            break;
        case FIELD_JSON:
            break;
        }
    }
}

/* ---- one value: NULL, or what is wrong with it ---- */

static const char *
read_text(const struct field *field, const json_t *json, struct value *value)
{
    const char *text = json_string_value(json);
    size_t      len = json_string_length(json);

    if (text == NULL || strlen(text) != len)
        return "is no text";
    if ((int64_t) len < field->min || (int64_t) len > field->max)
        return len == 0 ? "is empty" : "is too short or too long";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) text[i];

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            return "holds control characters";
    }
    value->text = strdup(text);
    return value->text == NULL ? "cannot be kept now" : NULL;
}

/* An address is not verified by looking at it; this only keeps out what no mail server would take. */
static const char *
read_email(const struct field *field, const json_t *json, struct value *value)
{
    const char *complaint = read_text(field, json, value), *at;

    if (complaint != NULL)
        return complaint;
    at = strchr(value->text, '@');
    if (at == NULL || at == value->text || strchr(at + 1, '@') != NULL || strchr(at + 1, '.') == NULL
        || strpbrk(value->text, " \t\n<>\",;:()[]\\") != NULL || at[1] == '.' || at[strlen(at) - 1] == '.')
        return "is no e-mail address";
    for (char *c = value->text; *c != '\0'; c++)
        *c = (char) tolower((unsigned char) *c);
    return NULL;
}

static bool
is_choice(const char *choices, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text), word;

    while (len > 0 && choices != NULL) {
        word = strcspn(choices, "|");
        if (word == len && memcmp(choices, text, len) == 0)
            return true;
        choices = choices[word] == '|' ? choices + word + 1 : NULL;
    }
    return false;
}

static const char *
read_choices(const struct field *field, const json_t *json, struct value *value)
{
    json_t *item, *other;
    size_t  i, j;

    if (!json_is_array(json))
        return "is no list";
    json_array_foreach(json, i, item) {
        if (!is_choice(field->choices, json_string_value(item)))
            return "holds something that is no choice";
        json_array_foreach(json, j, other) {
            if (j < i && json_equal(item, other))
                return "holds something twice";
        }
    }
    value->text = json_dumps(json, JSON_COMPACT);
    return value->text == NULL ? "cannot be kept now" : NULL;
}

static const char *
read_amount(const json_t *json, struct value *value)
{
    const char          *amount = json_string_value(json_object_get(json, "amount"));
    const char          *currency = json_string_value(json_object_get(json, "currency"));
    struct tracker_money money;

    if (amount == NULL || currency == NULL || json_object_size(json) != 2)
        return "is no {\"amount\":\"12.34\",\"currency\":\"EUR\"}";
    switch (tracker_money_parse((struct tracker_str){ amount, strlen(amount) },
                                (struct tracker_str){ currency, strlen(currency) }, &money)) {
    case TRACKER_MONEY_OK:
        break;
    case TRACKER_MONEY_BAD_CURRENCY:
        return "has an unknown currency";
    case TRACKER_MONEY_BAD_AMOUNT:
        return "has an amount that is no decimal number";
    case TRACKER_MONEY_TOO_PRECISE:
        return "has more decimals than its currency";
    case TRACKER_MONEY_OUT_OF_RANGE:
        return "has an amount out of range";
    }
    if (money.minor < 0)
        return "is negative";
    value->number = money.minor;
    value->text = strdup(money.currency);
    return value->text == NULL ? "cannot be kept now" : NULL;
}

static const char *
read_value(const struct field *field, const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    value->given = true;
    value->json = json;
    if (json_is_null(json)) {
        value->null = true;
        return field->flags & FIELD_NULLABLE ? NULL : "cannot be null";
    }
    switch (field->type) {
    case FIELD_TEXT:
        return read_text(field, json, value);
    case FIELD_EMAIL:
        return read_email(field, json, value);
    case FIELD_ID:
        return view_parse_id(json_string_value(json), &value->number) ? NULL : "is no id";
    case FIELD_INT:
        value->number = json_integer_value(json);
        if (!json_is_integer(json))
            return "is no whole number";
        return value->number < field->min || value->number > field->max ? "is out of range" : NULL;
    case FIELD_BOOL:
        value->number = json_is_true(json);
        return json_is_boolean(json) ? NULL : "is neither true nor false";
    case FIELD_CHOICE:
        if (!is_choice(field->choices, json_string_value(json)))
            return "is none of its choices";
        value->text = strdup(json_string_value(json));
        return value->text == NULL ? "cannot be kept now" : NULL;
    case FIELD_CHOICES:
        return read_choices(field, json, value);
    case FIELD_AMOUNT:
        return read_amount(json, value);
    case FIELD_TIME:
        return view_parse_time_us(json_string_value(json), &value->number) ? NULL : "is no RFC 3339 time";
    case FIELD_JSON:
        return NULL;
    case FIELD_READ:
        return field->read(json, value, complaint) ? NULL : complaint;
    }
    return "cannot be read";
}
