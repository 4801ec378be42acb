/* Links: a code, whose it is, and where it leads. */
#include <string.h>

#include <sodium.h>

#include "service/catalog.h"
#include "service/decide.h"
#include "service/destination.h"
#include "service/fields.h"
#include "store/catalog.h"
#include "tracker_snapshot.h"

enum { CODE, AFFILIATE, CAMPAIGN, DESTINATION, APPEND, STATE, RULES, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [CODE] = { "code", FIELD_TEXT, FIELD_FIXED, 1, TRACKER_CODE_MAX, NULL },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_REQUIRED, 0, 0, NULL },
    [CAMPAIGN] = { "campaign_id", FIELD_ID, FIELD_REQUIRED, 0, 0, NULL },
    [DESTINATION] = { "destination", FIELD_TEXT, FIELD_REQUIRED, 1, 2000, NULL },
    [APPEND] = { "append_click_id", FIELD_BOOL, 0, 0, 0, NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|expired|archived" },
    [RULES] = { "rules", FIELD_JSON, 0, 0, 0, NULL },
};

/* Without look-alikes (0 O, 1 l I): codes are read aloud and typed. 57^7 is 2 * 10^12. */
#define CODE_ALPHABET "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
#define CODE_LEN      7

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
};

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result check_fields(const struct service *service, const struct request *request,
                                        struct service_error *error);
static enum service_result overlay(struct db *db, const struct request *request, struct link_row *row,
                                   struct service_error *error);

static enum service_result
submit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version, const json_t *body,
       json_t **object, struct service_error *error)
{
    struct request  request = { .if_version = if_version };
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &link_list,
        .object_type = "link",
        .action = id == 0 ? "link.create" : "link.edit",
        .id = id,
        .config = true,
        .step = id == 0 ? create : edit,
        .ctx = &request,
    };
    enum service_result result = fields_read(body, fields, id == 0, request.values, error);

    if (result == SERVICE_OK)
        result = check_fields(service, &request, error);
    if (result == SERVICE_OK)
        result = decide(&decision, object, error);
    fields_free(fields, request.values);
    return result;
}

enum service_result
link_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
            struct service_error *error)
{
    return submit(service, actor, 0, 0, body, object, error);
}

enum service_result
link_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
          const json_t *patch, json_t **object, struct service_error *error)
{
    return submit(service, actor, id, if_version, patch, object, error);
}

static enum service_result
check_fields(const struct service *service, const struct request *request, struct service_error *error)
{
    const struct value *values = request->values;
    enum service_result result = SERVICE_OK;

    if (values[CODE].given
        && strspn(values[CODE].text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-")
               != strlen(values[CODE].text))
        result = service_invalid(error, "code", "holds more than letters, digits, dot, underscore, tilde and hyphen");
    if (values[RULES].given && !(json_is_array(values[RULES].json) && json_array_size(values[RULES].json) == 0))
        result = service_invalid(error, "rules", "can only be an empty list in this version");
    if (values[DESTINATION].given
        && destination_check(service, values[DESTINATION].text, "destination", error) != SERVICE_OK)
        result = SERVICE_INVALID;
    return result;
}

static enum service_result
stored(enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another link has this code.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "link");
}

static void
random_code(char code[CODE_LEN + 1])
{
    for (int i = 0; i < CODE_LEN; i++)
        code[i] = CODE_ALPHABET[randombytes_uniform(sizeof(CODE_ALPHABET) - 1)];
    code[CODE_LEN] = '\0';
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    char                  code[CODE_LEN + 1];
    struct link_row       row = { .append_click_id = 1, .version = decision->version, .state = "active" };
    enum service_result   result = overlay(db, request, &row, error);

    if (result != SERVICE_OK)
        return result;
    random_code(code);
    row.code = request->values[CODE].given ? request->values[CODE].text : code;
    result = stored(link_insert(db, &row, decision->at_us), error);
    decision->id = row.id;
    /* From ever: nobody had it before, and an edge whose clock is behind ours must not click on nobody's link. */
    return result == SERVICE_OK ? stored(link_version_write(db, &row, 0), error) : result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    struct link_row       loaded, row;
    enum service_result   result;
    enum db_result        rc = link_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "link_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The link was changed by somebody else meanwhile.");
    else
        result = overlay(db, request, &row, error);
    if (result == SERVICE_OK)
        result = stored(link_update(db, &row, decision->at_us), error);
    if (result == SERVICE_OK
        && (row.affiliate_id != loaded.affiliate_id || row.campaign_id != loaded.campaign_id))
        result = stored(link_version_write(db, &row, decision->at_us / 1000), error);
    link_row_free(&loaded);
    return result;
}

static enum service_result
overlay(struct db *db, const struct request *request, struct link_row *row, struct service_error *error)
{
    const struct value *values = request->values;
    int64_t             affiliate_program, campaign_program;
    enum db_result      rc;

    if (values[AFFILIATE].given)
        row->affiliate_id = values[AFFILIATE].number;
    if (values[CAMPAIGN].given)
        row->campaign_id = values[CAMPAIGN].number;
    if (values[DESTINATION].given)
        row->destination = values[DESTINATION].text;
    if (values[APPEND].given)
        row->append_click_id = values[APPEND].number;
    if (values[STATE].given)
        row->state = values[STATE].text;

    rc = catalog_program_of(db, CATALOG_AFFILIATE, row->affiliate_id, &affiliate_program);
    if (rc == DB_OK)
        rc = catalog_program_of(db, CATALOG_CAMPAIGN, row->campaign_id, &campaign_program);
    if (rc != DB_OK)
        return service_from_db(error, rc, "catalog_program_of");
    if (affiliate_program == 0)
        return service_invalid(error, "affiliate_id", "names nothing that exists");
    if (campaign_program != affiliate_program)
        return service_invalid(error, "campaign_id", "names nothing that exists in the affiliate's program");
    return SERVICE_OK;
}
