/* Leads that somebody types in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "domain/contact.h"
#include "service/intake.h"
#include "service/kind.h"
#include "service/lead.h"
#include "service/lead_assign.h"
#include "tracker_lead.h"

enum { FIRST, LAST, EMAIL, PHONE, COUNTRY, LANGUAGE, SOURCE, AFFILIATE, AGENT, DEPARTMENT, CUSTOM, FIELDS };

#define AT(member) offsetof(struct lead_row, member)

static bool read_country(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
static bool read_custom(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [FIRST] = { "first_name", FIELD_TEXT, 0, 0, 120, NULL, AT(first_name), NULL },
    [LAST] = { "last_name", FIELD_TEXT, 0, 0, 120, NULL, AT(last_name), NULL },
    [EMAIL] = { "email", FIELD_EMAIL, 0, 3, 254, NULL, AT(email), NULL },
    [PHONE] = { "phone", FIELD_TEXT, 0, 1, 40, NULL, AT(phone), NULL },
    [COUNTRY] = { "country", FIELD_READ, 0, 0, 0, NULL, AT(country), read_country },
    [LANGUAGE] = { "language", FIELD_TEXT, 0, 0, 35, NULL, AT(language), NULL },
    [SOURCE] = { "source_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(source_id), NULL },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(affiliate_id), NULL },
    [AGENT] = { "agent_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(agent_id), NULL },
    [DEPARTMENT] = { "department_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(department_id), NULL },
    [CUSTOM] = { "fields", FIELD_READ, 0, 0, 0, NULL, AT(fields), read_custom },
};
static const struct lead_row initial = {
    .kind = (char *) "manual", .status = (char *) "new", .first_name = (char *) "", .last_name = (char *) "",
    .email = (char *) "", .phone = (char *) "", .country = (char *) "", .language = (char *) "",
    .fields = (char *) "{}", .tags = (char *) "[]",
};

/* What the row borrows. */
struct work {
    char    uid[TRACKER_LEAD_HEX_LEN + 1];
    char    email_key[CONTACT_EMAIL_MAX], phone_key[CONTACT_PHONE_MAX];
    uint8_t content[16]; /* of what arrives: nothing did */
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result written(struct db *db, struct change *change, struct service_error *error);

static const struct kind lead_kind = {
    .name = "lead", .object = "lead", .create = "lead.create", .fields = fields, .table = &lead_table,
    .list = &lead_list, .initial = &initial, .local = true, .program = AT(program_id), .check = check,
    .written = written,
};

enum service_result
lead_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
            struct service_error *error)
{
    struct work work = { .uid = "" };
    uint8_t     random[TRACKER_LEAD_ID_LEN];

    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(work.uid, sizeof(work.uid), random, sizeof(random));
    return kind_create(&lead_kind, service, actor, body, &work, object, error);
}

/* ---- fields ---- */

static bool
read_country(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *text = json_string_value(json);

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no code of two capital letters, nor empty");
    if (text == NULL || (text[0] != '\0' && (strlen(text) != 2 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2)))
        return false;
    value->text = strdup(text);
    return value->text != NULL;
}

static bool
is_value(const json_t *json)
{
    json_t *item;
    size_t  i;

    if (json_is_string(json))
        return json_string_length(json) <= TRACKER_LEAD_VALUE_MAX;
    json_array_foreach(json, i, item) {
        if (!json_is_string(item) || json_string_length(item) > TRACKER_LEAD_VALUE_MAX)
            return false;
    }
    return json_is_array(json);
}

static bool
is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= TRACKER_LEAD_NAME_MAX && name[0] >= 'a' && name[0] <= 'z'
           && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* As the API takes them: a text by name, or several. */
static bool
read_custom(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *name;
    json_t     *item;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no object of texts, or lists of texts, by names of a-z, 0-9 and _");
    if (!json_is_object(json) || json_object_size(json) > TRACKER_LEAD_PAIRS_MAX)
        return false;
    json_object_foreach((json_t *) json, name, item) {
        if (!is_name(name) || !is_value(item))
            return false;
    }
    value->text = json_dumps(json, JSON_COMPACT);
    return value->text != NULL;
}

/* ---- steps ---- */

static enum service_result
read_contact(struct lead_row *row, struct work *work, struct service_error *error)
{
    if (row->email[0] == '\0' && row->phone[0] == '\0')
        return service_invalid(error, "email", "or phone is required");
    if (row->email[0] != '\0' && !contact_email_key(row->email, work->email_key))
        return service_invalid(error, "email", "is no e-mail address");
    if (row->phone[0] != '\0' && !contact_phone_key(row->phone, row->country, work->phone_key))
        return service_invalid(error, "phone", "is no phone number; begin with + and the country's code");
    row->email_key = work->email_key[0] == '\0' ? NULL : work->email_key;
    row->phone_key = work->phone_key[0] == '\0' ? NULL : work->phone_key;
    return SERVICE_OK;
}

static enum service_result
check_references(struct db *db, const struct change *change, struct service_error *error)
{
    const struct lead_row *row = &change->row.lead;
    enum service_result    result = SERVICE_OK;

    if ((change->values[AGENT].given || change->values[DEPARTMENT].given)
        && strcmp(change->decision.actor->role, "agent") == 0)
        return service_refuse(error, SERVICE_FORBIDDEN, "role_denied", "Your role may not assign leads.");
    if (row->source_id != 0)
        result = kind_reference(db, CATALOG_SOURCE, row->source_id, row->program_id, "source_id", error);
    if (result == SERVICE_OK && row->affiliate_id != 0)
        result = kind_reference(db, CATALOG_AFFILIATE, row->affiliate_id, row->program_id, "affiliate_id", error);
    if (result == SERVICE_OK && row->agent_id != 0)
        result = intake_check_agent(db, row->agent_id, "agent_id", error);
    if (result == SERVICE_OK && row->department_id != 0)
        result = intake_check_department(db, row->department_id, "department_id", error);
    return result;
}

/* As lead_decide.c does with what arrives; whose lead the first one is, is not told to who may not see it. */
static enum service_result
check_duplicate(struct db *db, struct lead_row *row, struct service_error *error)
{
    struct lead_person person = { .program_id = row->program_id, .source_id = row->source_id,
                                  .email_key = row->email_key, .phone_key = row->phone_key };
    bool               allow = false, by_phone = false, existing = false;
    enum db_result     rc = setting_is(db, "leads_duplicate_scope", "source", &person.within_source);

    if (rc == DB_OK)
        rc = setting_is(db, "leads_duplicates", "allow", &allow);
    if (rc == DB_OK)
        rc = lead_first_of(db, &person, &row->duplicate_of, &by_phone);
    if (rc == DB_OK)
        rc = lead_has_trader(db, &person, &existing);
    row->existing = existing;
    if (rc != DB_OK)
        return service_from_db(error, rc, "lead_first_of");
    if (row->duplicate_of == 0 || allow)
        return SERVICE_OK;
    return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another lead has this %s.",
                          by_phone ? "phone number" : "e-mail address");
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    struct lead_row    *row = &change->row.lead;
    struct work        *work = change->ctx;
    enum service_result result = read_contact(row, work, error);

    if (result == SERVICE_OK)
        result = check_references(db, change, error);
    if (result == SERVICE_OK)
        result = check_duplicate(db, row, error);
    if (result != SERVICE_OK)
        return result;
    row->uid = work->uid;
    row->content = (struct row_bytes){ work->content, sizeof(work->content) };
    if (strcmp(change->decision.actor->role, "agent") == 0) {
        row->agent_id = change->decision.actor->id; /* else nobody would see whose it is */
    } else if (row->agent_id == 0 && row->department_id == 0) {
        enum db_result rc = lead_assign(db, row, change->decision.at_us);

        if (rc != DB_OK)
            return service_from_db(error, rc, "lead_assign");
    }
    return SERVICE_OK;
}

static enum service_result
written(struct db *db, struct change *change, struct service_error *error)
{
    const struct lead_row    *row = &change->row.lead;
    const struct lead_log_row line = {
        .at_us = (int64_t) change->decision.at_us,
        .seq = row->id, /* of journal 0 */
        .lead_id = row->id,
        .program_id = row->program_id,
        .source_id = row->source_id,
        .affiliate_id = row->affiliate_id,
        .agent_id = row->agent_id,
        .department_id = row->department_id,
        .uid = row->uid,
        .kind = row->kind,
        .verdict = "created",
        .reason = row->duplicate_of != 0 ? "duplicate_allowed" : "",
        .email = row->email,
    };
    enum db_result rc = lead_log_insert(db, &line);

    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "lead_log_insert");
}
