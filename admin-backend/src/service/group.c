/* Affiliate groups: default commission and payout rules of their members. */
#include <stdlib.h>
#include <string.h>

#include "service/catalog.h"
#include "service/decide.h"
#include "service/fields.h"
#include "service/money.h"
#include "store/catalog.h"

enum { NAME, COMMISSION, MINIMUM, FREQUENCY, METHODS, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 100, NULL },
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL },
    [MINIMUM] = { "minimum_payout", FIELD_AMOUNT, 0, 0, 0, NULL },
    [FREQUENCY] = { "payout_frequency", FIELD_CHOICE, 0, 0, 0, "weekly|twice_a_month|monthly" },
    [METHODS] = { "payout_methods", FIELD_CHOICES, 0, 0, 0, "bank_transfer|wallet|other" },
};

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
};

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result overlay(struct db *db, const struct request *request, struct group_row *row,
                                   struct service_error *error);

static enum service_result
submit(struct decision *decision, const json_t *body, int64_t if_version, json_t **object,
       struct service_error *error)
{
    struct request      request = { .if_version = if_version };
    enum service_result result = fields_read(body, fields, decision->id == 0, request.values, error);

    decision->ctx = &request;
    if (result == SERVICE_OK)
        result = decide(decision, object, error);
    fields_free(fields, request.values);
    return result;
}

enum service_result
group_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
             struct service_error *error)
{
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &group_list,
        .object_type = "group",
        .action = "group.create",
        .config = true,
        .step = create,
    };

    return submit(&decision, body, 0, object, error);
}

enum service_result
group_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
           const json_t *patch, json_t **object, struct service_error *error)
{
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &group_list,
        .object_type = "group",
        .action = "group.edit",
        .id = id,
        .config = true,
        .step = edit,
    };

    return submit(&decision, patch, if_version, object, error);
}

static enum service_result
set_plan(struct db *db, struct decision *decision, const struct request *request, struct service_error *error)
{
    if (!request->values[COMMISSION].given)
        return SERVICE_OK;
    return plan_set(decision->service, db, decision->actor, "group", decision->id, request->values[COMMISSION].json,
                    error);
}

static enum service_result
stored(enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another group has this name.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "group");
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    struct group_row    row = { .version = decision->version,
                                .payout_frequency = "monthly",
                                .payout_methods = "[\"bank_transfer\"]" };
    struct program_row  program;
    enum db_result      rc = program_load(db, 0, &program);
    enum service_result result;

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    row.program_id = program.id;
    program_row_free(&program);
    result = overlay(db, decision->ctx, &row, error);
    if (result == SERVICE_OK)
        result = stored(group_insert(db, &row, decision->at_us), error);
    decision->id = row.id;
    return result == SERVICE_OK ? set_plan(db, decision, decision->ctx, error) : result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    struct group_row      loaded, row;
    enum db_result        rc = group_load(db, decision->id, &loaded);
    enum service_result   result;

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "group_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The group was changed by somebody else meanwhile.");
    else
        result = overlay(db, request, &row, error);
    if (result == SERVICE_OK)
        result = stored(group_update(db, &row), error);
    group_row_free(&loaded);
    return result == SERVICE_OK ? set_plan(db, decision, request, error) : result;
}

static enum service_result
overlay(struct db *db, const struct request *request, struct group_row *row, struct service_error *error)
{
    const struct value *values = request->values;
    struct program_row  program;
    bool                same;
    enum db_result      rc;

    if (values[NAME].given)
        row->name = values[NAME].text;
    if (values[FREQUENCY].given)
        row->payout_frequency = values[FREQUENCY].text;
    if (values[METHODS].given) {
        if (json_array_size(values[METHODS].json) == 0)
            return service_invalid(error, "payout_methods", "needs at least one");
        row->payout_methods = values[METHODS].text;
    }
    if (!values[MINIMUM].given)
        return SERVICE_OK;
    rc = program_load(db, row->program_id, &program);
    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    same = strcmp(program.currency, values[MINIMUM].text) == 0;
    program_row_free(&program);
    if (!same)
        return service_invalid(error, "minimum_payout", "is not in the program's currency");
    row->minimum_payout_minor = values[MINIMUM].number;
    return SERVICE_OK;
}
