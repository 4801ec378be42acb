/* Sources: where leads come from; its department or its agent gets them. */
#include "service/intake.h"
#include "service/kind.h"

enum { NAME, DEPARTMENT, AGENT, STATE, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct source_row, member)

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [DEPARTMENT] = { "department_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(department_id), NULL },
    [AGENT] = { "agent_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(agent_id), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|archived", AT(state), NULL },
};
static const struct source_row initial = {.state = (char *)"active"};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind source_kind = {
    .name = "source",
    .object = "source",
    .create = "source.create",
    .edit = "source.edit",
    .duplicate = "name",
    .fields = fields,
    .table = &source_table,
    .list = &source_list, .local = true,
    .initial = &initial,
    .program = AT(program_id),
    .check = check,
};

enum service_result
source_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
              struct service_error *error)
{
    return kind_create(&source_kind, service, actor, body, NULL, object, error);
}

enum service_result
source_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
            const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&source_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct source_row *row = &change->row.source;
    enum service_result result = SERVICE_OK;

    if (row->department_id != 0 && row->agent_id != 0)
        return service_invalid(error, "agent_id",
                               "is set besides department_id: one of the two gets the leads");
    if (change->values[DEPARTMENT].given)
        result = intake_check_department(db, row->department_id, "department_id", error);
    if (result == SERVICE_OK && change->values[AGENT].given)
        result = intake_check_agent(db, row->agent_id, "agent_id", error);
    return result;
}
