/* Affiliate groups: default commission and payout rules of their members. */
#include <string.h>

#include "service/catalog.h"
#include "service/kind.h"
#include "service/money.h"

enum { NAME, COMMISSION, MINIMUM, FREQUENCY, METHODS, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct group_row, member)

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 100, NULL, AT(name), NULL },
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL, 0, NULL },
    [MINIMUM] = { "minimum_payout", FIELD_AMOUNT, 0, 0, 0, NULL, AT(minimum_payout_minor), NULL },
    [FREQUENCY] = { "payout_frequency", FIELD_CHOICE, 0, 0, 0, "weekly|twice_a_month|monthly", AT(payout_frequency),
                    NULL },
    [METHODS] = { "payout_methods", FIELD_CHOICES, 0, 0, 0, "bank_transfer|wallet|other", AT(payout_methods), NULL },
};
static const struct group_row initial = {
    .payout_frequency = (char *) "monthly",
    .payout_methods = (char *) "[\"bank_transfer\"]",
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result set_plan(struct db *db, struct change *change, struct service_error *error);

static const struct kind group_kind = {
    .name = "group", .object = "group", .create = "group.create", .edit = "group.edit", .duplicate = "name",
    .fields = fields, .table = &group_table, .list = &group_list, .initial = &initial, .program = AT(program_id),
    .check = check, .written = set_plan,
};

enum service_result
group_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
             struct service_error *error)
{
    return kind_create(&group_kind, service, actor, body, NULL, object, error);
}

enum service_result
group_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
           const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&group_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct value *values = change->values;
    struct program_row  program;
    bool                same;
    enum db_result      rc;

    if (values[METHODS].given && json_array_size(values[METHODS].json) == 0)
        return service_invalid(error, "payout_methods", "needs at least one");
    if (!values[MINIMUM].given)
        return SERVICE_OK;
    rc = row_load(db, &program_table, change->row.group.program_id, &program);
    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program");
    same = strcmp(program.currency, values[MINIMUM].text) == 0;
    row_free(&program_table, &program);
    return same ? SERVICE_OK : service_invalid(error, "minimum_payout", "is not in the program's currency");
}

static enum service_result
set_plan(struct db *db, struct change *change, struct service_error *error)
{
    const struct decision *decision = &change->decision;

    if (!change->values[COMMISSION].given)
        return SERVICE_OK;
    return plan_set(decision->service, db, decision->actor, "group", decision->id, change->values[COMMISSION].json,
                    error);
}
