/* Affiliates: accounts, their status, their group and their own commission. */
#include <stdlib.h>
#include <string.h>

#include "service/catalog.h"
#include "service/decide.h"
#include "service/fields.h"
#include "service/money.h"
#include "store/catalog.h"

enum { NAME, EMAIL, STATUS, GROUP, COMMISSION, API_USER, TRADER, NOTES, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL },
    [EMAIL] = { "email", FIELD_EMAIL, FIELD_REQUIRED, 3, 254, NULL },
    [STATUS] = { "status", FIELD_CHOICE, 0, 0, 0, "pending|approved|suspended|terminated" },
    [GROUP] = { "group_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL },
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL },
    [API_USER] = { "api_user_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL },
    [TRADER] = { "trader_id", FIELD_TEXT, FIELD_NULLABLE, 1, 64, NULL },
    [NOTES] = { "notes", FIELD_TEXT, 0, 0, 4000, NULL },
};

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
};

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result act(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result overlay(struct db *db, const struct request *request, struct affiliate_row *row,
                                   struct service_error *error);

static struct decision
about(const struct service *service, const struct actor *actor, int64_t id, const char *action)
{
    return (struct decision){
        .service = service,
        .actor = actor,
        .spec = &affiliate_list,
        .object_type = "affiliate",
        .action = action,
        .id = id,
        .config = true,
    };
}

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
affiliate_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                 struct service_error *error)
{
    struct decision decision = about(service, actor, 0, "affiliate.create");

    decision.step = create;
    return submit(&decision, body, 0, object, error);
}

enum service_result
affiliate_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
               const json_t *patch, json_t **object, struct service_error *error)
{
    struct decision decision = about(service, actor, id, "affiliate.edit");

    decision.step = edit;
    return submit(&decision, patch, if_version, object, error);
}

enum service_result
affiliate_act(const struct service *service, const struct actor *actor, int64_t id, const char *action,
              const char *reason, json_t **object, struct service_error *error)
{
    static const struct {
        const char *action, *audit, *status;
    } actions[] = {
        { "approve", "affiliate.approve", "approved" },
        { "suspend", "affiliate.suspend", "suspended" },
        { "terminate", "affiliate.terminate", "terminated" },
        { "reopen", "affiliate.reopen", "pending" },
    };

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        struct decision decision = about(service, actor, id, actions[i].audit);

        if (strcmp(action, actions[i].action) != 0)
            continue;
        decision.step = act;
        decision.reason = reason;
        decision.ctx = (void *) actions[i].status;
        return decide(&decision, object, error);
    }
    return service_invalid(error, "action", "is none of approve, suspend, terminate, reopen");
}

static enum service_result
set_plan(struct db *db, struct decision *decision, const struct request *request, struct service_error *error)
{
    if (!request->values[COMMISSION].given)
        return SERVICE_OK;
    return plan_set(decision->service, db, decision->actor, "affiliate", decision->id,
                    request->values[COMMISSION].json, error);
}

static enum service_result
stored(enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another affiliate has this e-mail address.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "affiliate");
}

/* The setting "default_affiliate_status"; malloc'ed. */
static char *
default_status(struct db *db)
{
    char   *text = NULL, *status = NULL;
    json_t *value;

    if (setting_get(db, "default_affiliate_status", &text) == DB_OK && text != NULL) {
        value = json_loads(text, JSON_DECODE_ANY, NULL);
        status = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
        json_decref(value);
    }
    free(text);
    return status == NULL ? strdup("pending") : status;
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    struct affiliate_row row = { .version = decision->version, .notes = "" };
    struct program_row   program;
    char                *status = default_status(db);
    enum service_result  result;
    enum db_result       rc = program_load(db, 0, &program);

    if (rc != DB_ROW) {
        free(status);
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    }
    row.program_id = program.id;
    row.status = status;
    program_row_free(&program);
    result = overlay(db, decision->ctx, &row, error);
    if (result == SERVICE_OK)
        result = stored(affiliate_insert(db, &row, decision->at_us), error);
    free(status);
    decision->id = row.id;
    return result == SERVICE_OK ? set_plan(db, decision, decision->ctx, error) : result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    struct affiliate_row  loaded, row;
    enum service_result   result;
    enum db_result        rc = affiliate_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "affiliate_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The affiliate was changed by somebody else meanwhile.");
    else
        result = overlay(db, request, &row, error);
    if (result == SERVICE_OK)
        result = stored(affiliate_update(db, &row, decision->at_us), error);
    affiliate_row_free(&loaded);
    return result == SERVICE_OK ? set_plan(db, decision, request, error) : result;
}

static enum service_result
act(struct db *db, struct decision *decision, struct service_error *error)
{
    struct affiliate_row loaded, row;
    enum db_result       rc = affiliate_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "affiliate_load");
    row = loaded;
    row.version = decision->version;
    row.status = decision->ctx;
    rc = affiliate_update(db, &row, decision->at_us);
    affiliate_row_free(&loaded);
    return stored(rc, error);
}

/* A reference must lead to a row of the same program. */
static enum service_result
check_reference(struct db *db, enum catalog_table table, int64_t id, int64_t program_id, const char *field,
                struct service_error *error)
{
    int64_t        found;
    enum db_result rc = catalog_program_of(db, table, id, &found);

    if (rc != DB_OK)
        return service_from_db(error, rc, "catalog_program_of");
    return found == program_id ? SERVICE_OK : service_invalid(error, field, "names nothing that exists");
}

static enum service_result
overlay(struct db *db, const struct request *request, struct affiliate_row *row, struct service_error *error)
{
    const struct value *values = request->values;
    enum service_result result = SERVICE_OK;

    if (values[NAME].given)
        row->name = values[NAME].text;
    if (values[EMAIL].given)
        row->email = values[EMAIL].text;
    if (values[STATUS].given)
        row->status = values[STATUS].text;
    if (values[GROUP].given)
        row->group_id = values[GROUP].number;
    if (values[API_USER].given)
        row->api_user_id = values[API_USER].number;
    if (values[TRADER].given)
        row->trader_id = values[TRADER].text;
    if (values[NOTES].given)
        row->notes = values[NOTES].text;

    if (values[GROUP].given && row->group_id != 0)
        result = check_reference(db, CATALOG_GROUP, row->group_id, row->program_id, "group_id", error);
    if (result == SERVICE_OK && values[API_USER].given && row->api_user_id != 0)
        result = check_reference(db, CATALOG_API_USER, row->api_user_id, row->program_id, "api_user_id", error);
    return result;
}
