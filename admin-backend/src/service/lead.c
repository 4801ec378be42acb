/* Leads as people work on them: status, assignment, notes, conversion. */
#include "service/lead.h"

#include <stdlib.h>
#include <string.h>

#include "service/intake.h"
#include "service/kind.h"
#include "service/lead_convert.h"
#include "service/trader.h"
#include "store/lead_work.h"

enum { STATUS, AGENT, DEPARTMENT, FIRST, LAST, TAGS, FIELDS };

#define AT(member) offsetof(struct lead_row, member)
#define TAGS_MAX   32
#define TAG_MAX    64
#define NOTE_MAX   4000

static bool read_tags(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* "converted" is reached by converting, "unconfirmed" by a form that asks for a mail to be confirmed. */
static const struct field fields[FIELDS + 1] = {
    [STATUS] = { "status", FIELD_CHOICE, 0, 0, 0, "new|contacted|no_answer|qualified|not_interested|rejected",
                 AT(status), NULL },
    [AGENT] = { "agent_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(agent_id), NULL },
    [DEPARTMENT] = { "department_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(department_id), NULL },
    [FIRST] = { "first_name", FIELD_TEXT, 0, 0, 120, NULL, AT(first_name), NULL },
    [LAST] = { "last_name", FIELD_TEXT, 0, 0, 120, NULL, AT(last_name), NULL },
    [TAGS] = { "tags", FIELD_READ, 0, 0, 0, NULL, AT(tags), read_tags },
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind lead_kind = {
    .name = "lead", .object = "lead", .edit = "lead.edit", .fields = fields, .table = &lead_table, .list = &lead_list,
    .local = true, .check = check,
};

enum service_result
lead_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
          const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&lead_kind, service, actor, id, if_version, patch, NULL, object, error);
}

enum service_result
lead_patch_check(const json_t *patch, struct service_error *error)
{
    struct value        values[FIELDS];
    enum service_result result = fields_read(patch, fields, false, values, error);

    fields_free(fields, values);
    return result;
}

static bool
read_tags(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const json_t *tag;
    size_t        i;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of at most %d texts of 1 to %d bytes", TAGS_MAX, TAG_MAX);
    if (!json_is_array(json) || json_array_size(json) > TAGS_MAX)
        return false;
    json_array_foreach(json, i, tag) {
        if (!json_is_string(tag) || json_string_length(tag) == 0 || json_string_length(tag) > TAG_MAX)
            return false;
    }
    value->text = json_dumps(json, JSON_COMPACT);
    return value->text != NULL;
}

static enum service_result
refuse_erased(struct service_error *error)
{
    return service_refuse(error, SERVICE_CONFLICT, "erased", "This person's data was erased.");
}

/* A conversion is not taken back by a status: its referral is rejected instead. */
static enum service_result
may_become(const char *from, const char *to, struct service_error *error)
{
    bool legal = strcmp(from, to) == 0
                 || (strcmp(from, "converted") != 0
                     && (strcmp(from, "unconfirmed") != 0 || strcmp(to, "rejected") == 0));

    return legal ? SERVICE_OK
                 : service_refuse(error, SERVICE_CONFLICT, "illegal_state", "A lead that is %s does not become %s.",
                                  from, to);
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct value    *values = change->values;
    const struct lead_row *row = &change->row.lead;
    enum service_result    result = SERVICE_OK;

    if (change->was.lead.erased_us != 0)
        return refuse_erased(error);
    if ((values[AGENT].given || values[DEPARTMENT].given) && strcmp(change->decision.actor->role, "agent") == 0)
        return service_refuse(error, SERVICE_FORBIDDEN, "role_denied", "Your role may not assign leads.");
    if (values[STATUS].given)
        result = may_become(change->was.lead.status, row->status, error);
    if (result == SERVICE_OK && values[AGENT].given)
        result = intake_check_agent(db, row->agent_id, "agent_id", error);
    if (result == SERVICE_OK && values[DEPARTMENT].given)
        result = intake_check_department(db, row->department_id, "department_id", error);
    return result;
}

/* ---- what is no edit of its row ---- */

static struct decision
decision_of(const struct service *service, const struct actor *actor, int64_t id, const char *action, void *ctx)
{
    return (struct decision){ .service = service, .actor = actor, .spec = &lead_list, .object_type = "lead",
                              .action = action, .id = id, .ctx = ctx };
}

static enum service_result
add_note(struct db *db, struct decision *decision, struct service_error *error)
{
    enum db_result rc = lead_note_insert(db, decision->id, decision->actor->name, decision->ctx, decision->at_us);

    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "lead_note_insert");
}

enum service_result
lead_note(const struct service *service, const struct actor *actor, int64_t id, const char *text, json_t **object,
          struct service_error *error)
{
    struct decision decision = decision_of(service, actor, id, "lead.note", (void *) (uintptr_t) text);

    if (*text == '\0' || strlen(text) > NOTE_MAX)
        return service_invalid(error, "text", "needs 1 to 4000 bytes");
    decision.step = add_note;
    return decide(&decision, object, error);
}

static enum service_result
may_convert(const struct lead_row *row, struct service_error *error)
{
    if (row->erased_us != 0)
        return refuse_erased(error);
    if (strcmp(row->status, "rejected") == 0 || strcmp(row->status, "unconfirmed") == 0)
        return service_refuse(error, SERVICE_CONFLICT, "illegal_state", "A lead that is %s is not converted.",
                              row->status);
    return SERVICE_OK;
}

static enum service_result
make_trader(struct db *db, struct decision *decision, struct service_error *error)
{
    enum lead_conversion conversion = LEAD_CONVERTED;
    struct lead_row      row;
    enum service_result  result;
    enum db_result       rc = row_load(db, &lead_table, decision->id, &row);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "lead");
    result = may_convert(&row, error);
    rc = result == SERVICE_OK ? lead_convert(db, &row, decision->at_us, &conversion, decision->ctx) : DB_OK;
    row_free(&lead_table, &row);
    if (rc != DB_OK)
        return service_from_db(error, rc, "lead_convert");
    if (conversion == LEAD_WITHOUT_EMAIL)
        return service_refuse(error, SERVICE_CONFLICT, "email_missing", "A trader needs an e-mail address.");
    decision->unchanged = conversion == LEAD_CONVERTED_BEFORE;
    return result;
}

enum service_result
lead_make_trader(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
                 struct service_error *error)
{
    char                secret[SECRET_MAX] = "";
    struct decision     decision = decision_of(service, actor, id, "lead.convert", secret);
    enum service_result result;

    decision.step = make_trader;
    result = decide(&decision, object, error);
    if (result == SERVICE_OK)
        trader_show_invitation(service, *object, secret);
    return result;
}
