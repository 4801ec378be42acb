/* Custom fields of leads: what forms and the API may carry besides the standard ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/form_definition.h"
#include "service/intake.h"
#include "service/kind.h"

enum { NAME, LABEL, TYPE, OPTIONS, REQUIRED, PATTERN, MINIMUM, MAXIMUM, STATE, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct custom_field_row, member)

static bool read_options(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* Name and type are for good: leads have values of them. */
static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED | FIELD_FIXED, 1, TRACKER_LEAD_NAME_MAX, NULL, AT(name), NULL },
    [LABEL] = { "label", FIELD_TEXT, FIELD_REQUIRED, 1, 300, NULL, AT(label), NULL },
    [TYPE] = { "type", FIELD_CHOICE, FIELD_REQUIRED | FIELD_FIXED, 0, 0, FORM_TYPES, AT(type), NULL },
    [OPTIONS] = { "options", FIELD_READ, 0, 0, 0, NULL, AT(options), read_options },
    [REQUIRED] = { "required", FIELD_BOOL, 0, 0, 0, NULL, AT(required), NULL },
    [PATTERN] = { "pattern", FIELD_TEXT, 0, 0, TRACKER_FORM_PATTERN_MAX, NULL, AT(pattern), NULL },
    [MINIMUM] = { "minimum", FIELD_TEXT, 0, 0, 20, NULL, AT(minimum), NULL },
    [MAXIMUM] = { "maximum", FIELD_TEXT, 0, 0, 20, NULL, AT(maximum), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|archived", AT(state), NULL },
};
static const struct custom_field_row initial = {
    .options = (char *) "[]", .pattern = (char *) "", .minimum = (char *) "", .maximum = (char *) "",
    .state = (char *) "active",
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind custom_field_kind = {
    .name = "custom field", .object = "custom_field", .create = "custom_field.create", .edit = "custom_field.edit",
    .duplicate = "name", .fields = fields, .table = &custom_field_table, .list = &custom_field_list, .local = true,
    .initial = &initial, .check = check,
};

enum service_result
custom_field_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                    struct service_error *error)
{
    return kind_create(&custom_field_kind, service, actor, body, NULL, object, error);
}

enum service_result
custom_field_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                  const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&custom_field_kind, service, actor, id, if_version, patch, NULL, object, error);
}

/* Texts; whether they can be options, the form's own check says. */
static bool
read_options(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    json_t *item;
    size_t  i;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of texts");
    if (!json_is_array(json))
        return false;
    json_array_foreach(json, i, item) {
        if (!json_is_string(item))
            return false;
    }
    value->text = json_dumps(json, JSON_COMPACT);
    return value->text != NULL;
}

static json_t *
bound(const char *text, const char *type)
{
    char     *end;
    long long number = strtoll(text, &end, 10);

    return strcmp(type, "date") == 0 || *end != '\0' ? json_string(text) : json_integer(number);
}

/* The field as a form would have it: one check for both. */
static json_t *
as_form_field(const struct custom_field_row *row)
{
    json_t *options = json_loads(row->options, 0, NULL), *item, *field;
    size_t  i;

    field = json_pack("{s:s, s:s, s:s}", "name", row->name, "label", row->label, "type", row->type);
    if (strcmp(row->type, "consent") == 0)
        json_object_set_new(field, "text", json_string(row->label));
    if (row->pattern[0] != '\0')
        json_object_set_new(field, "pattern", json_string(row->pattern));
    if (row->minimum[0] != '\0')
        json_object_set_new(field, "min", bound(row->minimum, row->type));
    if (row->maximum[0] != '\0')
        json_object_set_new(field, "max", bound(row->maximum, row->type));
    if (json_array_size(options) > 0)
        json_object_set_new(field, "options", json_array());
    json_array_foreach(options, i, item)
        json_array_append_new(json_object_get(field, "options"), json_pack("{s:O, s:O}", "value", item, "label", item));
    json_decref(options);
    return field;
}

/* What a complaint about such a field is about. */
static const char *
blamed(const char *complaint)
{
    static const struct {
        const char *word, *field;
    } words[] = {
        { "pattern", "pattern" }, { "option", "options" }, { "minimum", "minimum" }, { "\"min\"", "minimum" },
        { "\"max\"", "maximum" }, { "maximum", "maximum" }, { "min and max", "minimum" },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(complaint, words[i].word) != NULL)
            return words[i].field;
    }
    return "name";
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct custom_field_row *row = &change->row.custom_field;
    char                           complaint[FIELD_COMPLAINT_MAX];
    json_t                        *field;
    bool                           good;

    (void) db;
    if (form_is_standard(row->name))
        return service_invalid(error, "name", "is a standard field of every lead");
    field = as_form_field(row);
    good = field != NULL && form_field_check(field, complaint);
    json_decref(field);
    if (good)
        return SERVICE_OK;
    return service_invalid(error, blamed(complaint), complaint);
}
