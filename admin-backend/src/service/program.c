/* Programs, and the settings that most people know of them: the first program's, with the installation's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/audit.h"
#include "service/catalog.h"
#include "service/destination.h"
#include "service/hosts.h"
#include "service/intake.h"
#include "service/kind.h"
#include "service/money.h"
#include "service/view.h"
#include "store/once.h"
#include "tracker_attribution.h"

enum {
    NAME, CURRENCY, TIME_ZONE, ATTRIBUTION, FIRST_SHARE, PRECEDENCE, RECURRING, COOKIE_DAYS, FALLBACK, DOMAIN,
    COMMISSION, PLATFORM_URL, PLATFORM_USER, LAST, DUPLICATES, DUPLICATE_SCOPE, REDIRECT_HOSTS, LOG_DAYS,
    PORTAL_LEADS, FIELDS
};

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct program_row, member)
#define SHARED_FIELDS                                                                                                \
    [CURRENCY] = { "currency", FIELD_TEXT, 0, 3, 3, NULL, AT(currency), NULL },                                      \
    [TIME_ZONE] = { "time_zone", FIELD_CHOICE, 0, 0, 0, "UTC", AT(time_zone), NULL },                                \
    [ATTRIBUTION] = { "attribution", FIELD_CHOICE, 0, 0, 0, "last|first|both", AT(attribution), NULL },              \
    [FIRST_SHARE] = { "first_share", FIELD_READ, 0, 0, 0, NULL, AT(first_share_ppm), share_read },                   \
    [PRECEDENCE] = { "precedence", FIELD_READ, 0, 0, 0, NULL, AT(precedence), precedence_read },                     \
    [RECURRING] = { "recurring_events", FIELD_READ, 0, 0, 0, NULL, AT(recurring_events), events_read },              \
    [COOKIE_DAYS] = { "cookie_days", FIELD_INT, 0, 1, 400, NULL, AT(cookie_days), NULL },                            \
    [FALLBACK] = { "fallback", FIELD_TEXT, 0, 0, DESTINATION_MAX, NULL, AT(fallback), NULL },                        \
    [DOMAIN] = { "tracking_domain", FIELD_READ, 0, 0, 0, NULL, AT(tracking_domain), domain_read },                   \
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL, 0, NULL },                                \
    [PLATFORM_URL] = { "platform_url", FIELD_TEXT, 0, 0, DESTINATION_MAX, NULL, AT(platform_url), NULL },            \
    [PLATFORM_USER] = { "platform_user_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(platform_user_id), NULL }

static bool share_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
static bool precedence_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
static bool events_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field program_fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, 0, 1, 120, NULL, AT(name), NULL },
    SHARED_FIELDS,
    [LAST] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|archived", AT(state), NULL },
};
static const struct field settings_fields[FIELDS + 1] = {
    [NAME] = { "program_name", FIELD_TEXT, 0, 1, 120, NULL, AT(name), NULL },
    SHARED_FIELDS,
    [LAST] = { "default_affiliate_status", FIELD_CHOICE, 0, 0, 0, "pending|approved", 0, NULL },
    [DUPLICATES] = { "leads_duplicates", FIELD_CHOICE, 0, 0, 0, "refuse|allow", 0, NULL },
    [DUPLICATE_SCOPE] = { "leads_duplicate_scope", FIELD_CHOICE, 0, 0, 0, "source|program", 0, NULL },
    [REDIRECT_HOSTS] = { "leads_redirect_hosts", FIELD_READ, 0, 0, 0, NULL, 0, hosts_read },
    [LOG_DAYS] = { "api_log_days", FIELD_INT, 0, 1, 3650, NULL, 0, NULL },
    [PORTAL_LEADS] = { "portal_leads", FIELD_CHOICE, 0, 0, 0, "masked|full", 0, NULL },
};

/* Of the installation: each a row of its own, JSON text, and what holds until somebody sets it. */
static const struct {
    int         field;
    const char *otherwise;
} own_rows[] = {
    { LAST, "\"pending\"" },       { DUPLICATES, "\"refuse\"" }, { DUPLICATE_SCOPE, "\"program\"" },
    { REDIRECT_HOSTS, "[]" },      { LOG_DAYS, "90" },          { PORTAL_LEADS, "\"masked\"" },
};
#define OWN_ROWS (sizeof(own_rows) / sizeof(own_rows[0]))

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result written(struct db *db, struct change *change, struct service_error *error);
static enum service_result settings_written(struct db *db, struct change *change, struct service_error *error);

static const struct kind program_kind = {
    .name = "program", .object = "program", .edit = "program.edit", .fields = program_fields,
    .table = &program_table, .list = &program_list, .check = check, .written = written,
};
static const struct kind settings_kind = {
    .name = "program", .object = "program", .edit = "settings.edit", .fields = settings_fields,
    .table = &program_table, .list = &program_list, .check = check, .written = settings_written,
};

enum service_result
program_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
             const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&program_kind, service, actor, id, if_version, patch, NULL, object, error);
}

enum service_result
settings_edit(const struct service *service, const struct actor *actor, int64_t if_version, const json_t *patch,
              json_t **object, struct service_error *error)
{
    int64_t             program;
    enum service_result result = program_ensure(service, &program, error);

    if (result == SERVICE_OK)
        result = kind_edit(&settings_kind, service, actor, program, if_version, patch, NULL, NULL, error);
    return result == SERVICE_OK ? settings_get(service, object, error) : result;
}

/* ---- how conversions are attributed ---- */

static bool
share_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no percentage of 0 to 100");
    return view_parse_percent(json_string_value(json), &value->number);
}

static bool
keep_array(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    value->text = json_dumps(json, JSON_COMPACT);
    if (value->text == NULL)
        snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    return value->text != NULL;
}

/* All three, each once: what is missing would have a rank that nobody chose. */
static bool
precedence_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    unsigned seen = 0;
    size_t   i;
    json_t  *item;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no order of click_id, cookie and coupon");
    json_array_foreach(json, i, item) {
        for (unsigned m = 0; json_is_string(item) && m < TRACKER_MEANS; m++) {
            if (strcmp(json_string_value(item), tracker_touch_means_name((enum tracker_touch_means) m)) == 0)
                seen |= 1u << m;
        }
    }
    return json_array_size(json) == TRACKER_MEANS && seen == (1u << TRACKER_MEANS) - 1
           && keep_array(json, value, complaint);
}

#define EVENTS_MAX 32

static bool
events_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    size_t  i;
    json_t *item;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of at most %d events, each 1 to 32 of a-z, 0-9 and _", EVENTS_MAX);
    if (!json_is_array(json) || json_array_size(json) > EVENTS_MAX)
        return false;
    json_array_foreach(json, i, item) {
        size_t len = json_string_length(item);

        if (len < 1 || len > 32
            || strspn(json_string_value(item), "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
            return false;
    }
    return keep_array(json, value, complaint);
}

/* ---- steps ---- */

/* Amounts that were already earned keep their currency; the program's may change only before there are any. */
static enum service_result
check_currency(struct db *db, const char *currency, int64_t program, struct service_error *error)
{
    bool           earned;
    enum db_result rc;

    if (tracker_currency_exponent((struct tracker_str){ currency, strlen(currency) }) < 0)
        return service_invalid(error, "currency", "is no ISO 4217 code");
    rc = program_has_money(db, program, &earned);
    if (rc != DB_OK)
        return service_from_db(error, rc, "program_has_money");
    return earned ? service_invalid(error, "currency", "cannot change once there are minimum payouts or commissions")
                  : SERVICE_OK;
}

/* Its secret signs autologins: an affiliate that had it could be anybody. */
static enum service_result
check_platform_user(struct db *db, const struct program_row *row, struct service_error *error)
{
    struct api_user_row user;
    bool                fits;
    enum db_result      rc = row_load(db, &api_user_table, row->platform_user_id, &user);

    if (rc == DB_DONE)
        return service_invalid(error, "platform_user_id", "names nothing that exists");
    if (rc != DB_ROW)
        return service_from_db(error, rc, "api_user");
    fits = user.program_id == row->id && strcmp(user.role, "advertiser") == 0;
    row_free(&api_user_table, &user);
    return fits ? SERVICE_OK : service_invalid(error, "platform_user_id", "is no advertiser's API user of this program");
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct program_row *row = &change->row.program, *was = &change->was.program;

    if (strcmp(row->currency, was->currency) != 0)
        return check_currency(db, row->currency, row->id, error);
    if (change->values[PLATFORM_USER].given && row->platform_user_id != 0)
        return check_platform_user(db, row, error);
    return SERVICE_OK;
}

/* Loops are looked for in what is written: a fallback and a domain may have come in one patch. */
static enum service_result
written(struct db *db, struct change *change, struct service_error *error)
{
    const struct decision    *decision = &change->decision;
    const struct program_row *row = &change->row.program;
    enum service_result       result = SERVICE_OK;

    if (change->values[FALLBACK].given && row->fallback[0] != '\0')
        result = destination_check(decision->service, db, row->fallback, "fallback", error);
    if (result == SERVICE_OK && strcmp(row->tracking_domain, change->was.program.tracking_domain) != 0)
        result = hosts_check_domain(decision->service, db, row->tracking_domain, error);
    if (result == SERVICE_OK && change->values[PLATFORM_URL].given && row->platform_url[0] != '\0')
        result = destination_check_plain(decision->service, db, row->platform_url, "platform_url", error);
    if (result == SERVICE_OK && change->values[COMMISSION].given)
        result = plan_set(decision->service, db, decision->actor, "program", row->id,
                          change->values[COMMISSION].json, error);
    return result;
}

static enum db_result
add_own_rows(struct db *db, json_t *view)
{
    char          *text;
    json_t        *value;
    enum db_result rc = DB_OK;

    for (size_t i = 0; rc == DB_OK && i < OWN_ROWS; i++) {
        const char *name = settings_fields[own_rows[i].field].name;

        if ((rc = setting_get(db, name, &text)) != DB_OK)
            break;
        value = json_loads(text == NULL ? own_rows[i].otherwise : text, JSON_DECODE_ANY, NULL);
        free(text);
        if (json_object_set_new(view, name, value) != 0)
            rc = DB_FAILED;
    }
    return rc;
}

static enum db_result
put_own_rows(struct db *db, const struct change *change, bool *any)
{
    enum db_result rc = DB_OK;

    *any = false;
    for (size_t i = 0; rc == DB_OK && i < OWN_ROWS; i++) {
        const struct field *field = &settings_fields[own_rows[i].field];
        const struct value *value = &change->values[own_rows[i].field];
        char               *text;

        if (!value->given)
            continue;
        *any = true;
        text = field->type == FIELD_READ ? strdup(value->text) : json_dumps(value->json, JSON_ENCODE_ANY);
        rc = text == NULL ? DB_FAILED : setting_put(db, field->name, text, change->decision.version);
        free(text);
    }
    return rc;
}

/* The decision's own audit row shows the program; what is none of its columns gets another. */
static enum db_result
change_own_rows(struct db *db, const struct change *change)
{
    const struct decision *decision = &change->decision;
    json_t                *before = json_object(), *after = json_object();
    bool                   any = false;
    enum db_result         rc = add_own_rows(db, before);

    if (rc == DB_OK)
        rc = put_own_rows(db, change, &any);
    if (rc == DB_OK)
        rc = add_own_rows(db, after);
    if (rc == DB_OK && any)
        rc = audit_write(db, decision->actor, decision->at_us, decision->action, "settings", decision->id, before, after,
                         NULL);
    json_decref(before);
    json_decref(after);
    return rc;
}

static enum service_result
settings_written(struct db *db, struct change *change, struct service_error *error)
{
    enum service_result result = written(db, change, error);
    enum db_result      rc;

    if (result == SERVICE_OK && change->values[REDIRECT_HOSTS].given)
        result = form_check_hosts(db, change->values[REDIRECT_HOSTS].text, error);
    if (result != SERVICE_OK)
        return result;
    rc = change_own_rows(db, change);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "settings");
}

/* ---- the settings ---- */

/* As they are in this transaction; NULL on failure. */
static json_t *
settings_view(struct db *db, uint64_t now_us)
{
    struct program_row program;
    int64_t            id;
    json_t            *view;

    if (program_first(db, &id) != DB_ROW || row_load(db, &program_table, id, &program) != DB_ROW)
        return NULL;
    view = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:s, s:s, s:s, s:o, s:o, s:I}",
                     "program_name", program.name,
                     "currency", program.currency,
                     "time_zone", program.time_zone,
                     "attribution", program.attribution,
                     "first_share", view_ppm(program.first_share_ppm),
                     "precedence", json_loads(program.precedence, 0, NULL),
                     "recurring_events", json_loads(program.recurring_events, 0, NULL),
                     "cookie_days", (json_int_t) program.cookie_days,
                     "fallback", program.fallback,
                     "tracking_domain", program.tracking_domain,
                     "platform_url", program.platform_url,
                     "platform_user_id", view_id(program.platform_user_id),
                     "commission", plan_view(db, "program", program.id, now_us),
                     "version", (json_int_t) program.version);
    row_free(&program_table, &program);
    if (view != NULL && add_own_rows(db, view) != DB_OK) {
        json_decref(view);
        return NULL;
    }
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

/* ---- the first program ---- */

struct first {
    const struct service *service;
    int64_t               id;
};

static enum db_result
ensure(struct db *db, void *ctx)
{
    static const struct actor system_actor = { "system", "system", NULL, 0 };
    struct first             *first = ctx;
    struct program_row        row;
    json_t                   *view;
    enum db_result            rc = program_first(db, &first->id);

    if (rc != DB_DONE)
        return rc == DB_ROW ? DB_OK : rc;
    row = (struct program_row){ .name = (char *) PROGRAM_UNNAMED, .currency = (char *) "EUR",
                                .time_zone = (char *) "UTC", .attribution = (char *) "last", .cookie_days = 30,
                                .fallback = (char *) "", .tracking_domain = (char *) "", .platform_url = (char *) "",
                                .state = (char *) "active",
                                .first_share_ppm = TRACKER_WHOLE_PPM / 2,
                                .precedence = (char *) "[\"click_id\",\"cookie\",\"coupon\"]",
                                .recurring_events = (char *) "[\"deposit\",\"rebill\",\"renewal\",\"recurring\"]" };
    rc = config_version_next(db, &row.version);
    if (rc == DB_OK)
        rc = row_insert(db, &program_table, &row, first->service->now_us());
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
