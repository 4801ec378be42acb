/* Settings: the program's defaults and the installation's. */
#include <stdlib.h>
#include <string.h>

#include "service/audit.h"
#include "service/catalog.h"
#include "service/decide.h"
#include "service/destination.h"
#include "service/fields.h"
#include "service/money.h"
#include "service/view.h"
#include "store/catalog.h"
#include "store/once.h"

enum { NAME, CURRENCY, TIME_ZONE, ATTRIBUTION, COOKIE_DAYS, FALLBACK, COMMISSION, AFFILIATE_STATUS, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "program_name", FIELD_TEXT, 0, 1, 120, NULL },
    [CURRENCY] = { "currency", FIELD_TEXT, 0, 3, 3, NULL },
    [TIME_ZONE] = { "time_zone", FIELD_CHOICE, 0, 0, 0, "UTC" },
    [ATTRIBUTION] = { "attribution", FIELD_CHOICE, 0, 0, 0, "last|first" },
    [COOKIE_DAYS] = { "cookie_days", FIELD_INT, 0, 1, 400, NULL },
    [FALLBACK] = { "fallback", FIELD_TEXT, 0, 0, 2000, NULL },
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL },
    [AFFILIATE_STATUS] = { "default_affiliate_status", FIELD_CHOICE, 0, 0, 0, "pending|approved" },
};

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
    json_t      *settings; /* out */
};

static enum service_result change(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result overlay(struct db *db, const struct decision *decision, struct program_row *row,
                                   struct service_error *error);

/* The settings as they are in this transaction; NULL on failure. */
static json_t *
settings_view(struct db *db, uint64_t now_us)
{
    struct program_row program;
    char              *status = NULL;
    json_t            *parsed, *view;

    if (program_load(db, 0, &program) != DB_ROW || setting_get(db, "default_affiliate_status", &status) != DB_OK)
        return NULL;
    parsed = status == NULL ? json_string("pending") : json_loads(status, JSON_DECODE_ANY, NULL);
    view = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:I}",
                     "program_name", program.name,
                     "currency", program.currency,
                     "time_zone", program.time_zone,
                     "attribution", program.attribution,
                     "cookie_days", (json_int_t) program.cookie_days,
                     "fallback", program.fallback,
                     "commission", plan_view(db, "program", program.id, now_us),
                     "default_affiliate_status", parsed,
                     "version", (json_int_t) program.version);
    program_row_free(&program);
    free(status);
    return view;
}

struct reading {
    const struct service *service;
    json_t               *object;
};

static enum db_result
read_settings(struct db *db, void *ctx)
{
    struct reading *reading = ctx;

    reading->object = settings_view(db, reading->service->now_us());
    return reading->object == NULL ? DB_FAILED : DB_OK;
}

enum service_result
settings_get(const struct service *service, json_t **object, struct service_error *error)
{
    struct reading reading = { service, NULL };
    enum db_result rc = db_read(service->pool, read_settings, &reading);

    if (rc != DB_OK)
        return service_from_db(error, rc, "settings_get");
    *object = reading.object;
    return SERVICE_OK;
}

enum service_result
settings_edit(const struct service *service, const struct actor *actor, int64_t if_version, const json_t *patch,
              json_t **object, struct service_error *error)
{
    struct request      request = { .if_version = if_version };
    enum service_result result = fields_read(patch, fields, false, request.values, error);
    int64_t             program;

    if (result == SERVICE_OK)
        result = program_ensure(service, &program, error);
    if (result == SERVICE_OK) {
        struct decision decision = {
            .service = service,
            .actor = actor,
            .spec = &program_list,
            .object_type = "program",
            .action = "settings.edit",
            .id = program,
            .config = true,
            .step = change,
            .ctx = &request,
        };
        result = decide(&decision, NULL, error);
    }
    fields_free(fields, request.values);
    return result == SERVICE_OK ? settings_get(service, object, error) : result;
}

static enum service_result
change(struct db *db, struct decision *decision, struct service_error *error)
{
    struct request     *request = decision->ctx;
    struct program_row  loaded, row;
    enum service_result result;
    enum db_result      rc = program_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The settings were changed by somebody else meanwhile.");
    else
        result = overlay(db, decision, &row, error);
    if (result == SERVICE_OK && (rc = program_update(db, &row)) != DB_OK)
        result = service_from_db(error, rc, "program_update");
    program_row_free(&loaded);

    if (result == SERVICE_OK && request->values[COMMISSION].given)
        result = plan_set(decision->service, db, decision->actor, "program", decision->id,
                          request->values[COMMISSION].json, error);
    if (result == SERVICE_OK && request->values[AFFILIATE_STATUS].given) {
        char *text = json_dumps(request->values[AFFILIATE_STATUS].json, JSON_ENCODE_ANY);

        rc = text == NULL ? DB_FAILED : setting_put(db, "default_affiliate_status", text, decision->version);
        free(text);
        result = rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "setting_put");
    }
    return result;
}

/* Amounts that were already earned keep their currency; the program's may change only before there are any. */
static enum service_result
check_currency(struct db *db, const char *currency, const struct program_row *row, struct service_error *error)
{
    bool           earned;
    enum db_result rc;

    if (tracker_currency_exponent((struct tracker_str){ currency, strlen(currency) }) < 0)
        return service_invalid(error, "currency", "is no ISO 4217 code");
    if (strcmp(currency, row->currency) == 0)
        return SERVICE_OK;
    rc = program_has_money(db, row->id, &earned);
    if (rc != DB_OK)
        return service_from_db(error, rc, "program_has_money");
    return earned ? service_invalid(error, "currency", "cannot change once there are minimum payouts or commissions")
                  : SERVICE_OK;
}

static enum service_result
overlay(struct db *db, const struct decision *decision, struct program_row *row, struct service_error *error)
{
    const struct value *values = ((const struct request *) decision->ctx)->values;
    enum service_result result = SERVICE_OK;

    if (values[NAME].given)
        row->name = values[NAME].text;
    if (values[TIME_ZONE].given)
        row->time_zone = values[TIME_ZONE].text;
    if (values[ATTRIBUTION].given)
        row->attribution = values[ATTRIBUTION].text;
    if (values[COOKIE_DAYS].given)
        row->cookie_days = values[COOKIE_DAYS].number;
    if (values[FALLBACK].given) {
        row->fallback = values[FALLBACK].text;
        if (row->fallback[0] != '\0')
            result = destination_check(decision->service, row->fallback, "fallback", error);
    }
    if (result == SERVICE_OK && values[CURRENCY].given) {
        result = check_currency(db, values[CURRENCY].text, row, error);
        row->currency = values[CURRENCY].text;
    }
    return result;
}

/* ---- the first program ---- */

struct first {
    const struct service *service;
    int64_t               id;
};

static enum db_result
ensure(struct db *db, void *ctx)
{
    static const struct actor system_actor = { "system", "system", NULL };
    struct first             *first = ctx;
    struct program_row        row;
    json_t                   *view;
    enum db_result            rc = program_load(db, 0, &row);

    if (rc == DB_ROW) {
        first->id = row.id;
        program_row_free(&row);
        return DB_OK;
    }
    if (rc != DB_DONE)
        return rc;
    row = (struct program_row){ .name = PROGRAM_UNNAMED, .currency = "EUR", .time_zone = "UTC",
                                .attribution = "last", .cookie_days = 30, .fallback = "", .state = "active" };
    rc = config_version_next(db, &row.version);
    if (rc == DB_OK)
        rc = program_insert(db, &row, first->service->now_us());
    first->id = row.id;
    if (rc == DB_OK && (rc = list_one(db, &program_list, row.id, &view)) == DB_ROW) {
        rc = audit_write(db, &system_actor, first->service->now_us(), "program.create", "program", row.id, NULL, view,
                         NULL);
        json_decref(view);
    }
    return rc;
}

enum service_result
program_ensure(const struct service *service, int64_t *id, struct service_error *error)
{
    struct first   first = { service, 0 };
    enum db_result rc = db_write(service->pool, DB_INTERACTIVE, ensure, &first);

    *id = first.id;
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "program_ensure");
}
