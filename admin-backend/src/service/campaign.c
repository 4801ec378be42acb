/* Campaigns: what links belong to, with their attribution window and where visitors go when a link is off. */
#include "service/catalog.h"
#include "service/decide.h"
#include "service/destination.h"
#include "service/fields.h"
#include "store/catalog.h"

enum { NAME, STATE, WINDOW, FALLBACK, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|archived" },
    [WINDOW] = { "window_days", FIELD_INT, 0, 0, 3650, NULL },
    [FALLBACK] = { "fallback", FIELD_TEXT, 0, 0, 2000, NULL },
};

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
};

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result overlay(const struct decision *decision, struct campaign_row *row,
                                   struct service_error *error);

static enum service_result
submit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version, const json_t *body,
       json_t **object, struct service_error *error)
{
    struct request  request = { .if_version = if_version };
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &campaign_list,
        .object_type = "campaign",
        .action = id == 0 ? "campaign.create" : "campaign.edit",
        .id = id,
        .config = true,
        .step = id == 0 ? create : edit,
        .ctx = &request,
    };
    enum service_result result = fields_read(body, fields, id == 0, request.values, error);

    if (result == SERVICE_OK)
        result = decide(&decision, object, error);
    fields_free(fields, request.values);
    return result;
}

enum service_result
campaign_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                struct service_error *error)
{
    return submit(service, actor, 0, 0, body, object, error);
}

enum service_result
campaign_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
              const json_t *patch, json_t **object, struct service_error *error)
{
    return submit(service, actor, id, if_version, patch, object, error);
}

static enum service_result
stored(enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another campaign has this name.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "campaign");
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    struct campaign_row row = { .window_days = 30, .version = decision->version, .state = "active", .fallback = "" };
    struct program_row  program;
    enum service_result result;
    enum db_result      rc = program_load(db, 0, &program);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    row.program_id = program.id;
    program_row_free(&program);
    result = overlay(decision, &row, error);
    if (result == SERVICE_OK)
        result = stored(campaign_insert(db, &row, decision->at_us), error);
    decision->id = row.id;
    return result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    struct campaign_row   loaded, row;
    enum service_result   result;
    enum db_result        rc = campaign_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "campaign_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The campaign was changed by somebody else meanwhile.");
    else
        result = overlay(decision, &row, error);
    if (result == SERVICE_OK)
        result = stored(campaign_update(db, &row), error);
    campaign_row_free(&loaded);
    return result;
}

static enum service_result
overlay(const struct decision *decision, struct campaign_row *row, struct service_error *error)
{
    const struct value *values = ((const struct request *) decision->ctx)->values;

    if (values[NAME].given)
        row->name = values[NAME].text;
    if (values[STATE].given)
        row->state = values[STATE].text;
    if (values[WINDOW].given)
        row->window_days = values[WINDOW].number;
    if (!values[FALLBACK].given)
        return SERVICE_OK;
    row->fallback = values[FALLBACK].text;
    return row->fallback[0] == '\0' ? SERVICE_OK
                                    : destination_check(decision->service, row->fallback, "fallback", error);
}
