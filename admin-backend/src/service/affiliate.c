/* Affiliates: accounts, their status, their group and their own commission. */
#include <stdlib.h>
#include <string.h>

#include "service/catalog.h"
#include "service/intake.h"
#include "service/kind.h"
#include "service/money.h"
#include "service/view.h"

enum { NAME, EMAIL, STATUS, GROUP, COMMISSION, API_USER, AGENT, TRADER, NOTES, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct affiliate_row, member)

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [EMAIL] = { "email", FIELD_EMAIL, FIELD_REQUIRED, 3, 254, NULL, AT(email), NULL },
    [STATUS] = { "status", FIELD_CHOICE, 0, 0, 0, "pending|approved|suspended|terminated", AT(status), NULL },
    [GROUP] = { "group_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(group_id), NULL },
    [COMMISSION] = { "commission", FIELD_JSON, FIELD_NULLABLE, 0, 0, NULL, 0, NULL },
    [API_USER] = { "api_user_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(api_user_id), NULL },
    [AGENT] = { "agent_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(agent_id), NULL },
    [TRADER] = { "trader_id", FIELD_TEXT, FIELD_NULLABLE, 1, 64, NULL, AT(trader_id), NULL },
    [NOTES] = { "notes", FIELD_TEXT, 0, 0, 4000, NULL, AT(notes), NULL },
};
static const struct affiliate_row initial = { .notes = (char *) "" };

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result written(struct db *db, struct change *change, struct service_error *error);
static enum service_result set_status(struct db *db, struct change *change, struct service_error *error);

static const struct kind affiliate_kind = {
    .name = "affiliate", .object = "affiliate", .create = "affiliate.create", .edit = "affiliate.edit",
    .duplicate = "e-mail address", .fields = fields, .table = &affiliate_table, .list = &affiliate_list,
    .initial = &initial, .program = AT(program_id), .check = check, .written = written,
};

enum service_result
affiliate_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                 struct service_error *error)
{
    return kind_create(&affiliate_kind, service, actor, body, NULL, object, error);
}

enum service_result
affiliate_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
               const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&affiliate_kind, service, actor, id, if_version, patch, NULL, object, error);
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
        if (strcmp(action, actions[i].action) == 0)
            return kind_alter(&affiliate_kind, service, actor, id, actions[i].audit, reason, set_status,
                              (void *) (uintptr_t) actions[i].status, object, error);
    }
    return service_invalid(error, "action", "is none of approve, suspend, terminate, reopen");
}

/* ---- steps ---- */

static enum service_result
set_status(struct db *db, struct change *change, struct service_error *error)
{
    (void) db;
    (void) error;
    change->row.affiliate.status = change->ctx;
    return SERVICE_OK;
}

/* The setting "default_affiliate_status": a literal of ours. */
static enum service_result
default_status(struct db *db, char **status, struct service_error *error)
{
    char          *text;
    enum db_result rc = setting_get(db, "default_affiliate_status", &text);

    if (rc != DB_OK)
        return service_from_db(error, rc, "default_affiliate_status");
    *status = (char *) (text != NULL && strcmp(text, "\"approved\"") == 0 ? "approved" : "pending");
    free(text);
    return SERVICE_OK;
}

/* Who logs in to the portal with the trader's password must be that trader. */
static enum service_result
check_trader(struct db *db, const struct affiliate_row *row, struct service_error *error)
{
    int64_t trader;

    if (!view_parse_id(row->trader_id, &trader))
        return service_invalid(error, "trader_id", "is no id");
    return kind_reference(db, CATALOG_TRADER, trader, row->program_id, "trader_id", error);
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct value   *values = change->values;
    struct affiliate_row *row = &change->row.affiliate;
    enum service_result   result = SERVICE_OK;

    if (row->status == NULL)
        result = default_status(db, &row->status, error);
    if (result == SERVICE_OK && values[GROUP].given && row->group_id != 0)
        result = kind_reference(db, CATALOG_GROUP, row->group_id, row->program_id, "group_id", error);
    if (result == SERVICE_OK && values[API_USER].given && row->api_user_id != 0)
        result = kind_reference(db, CATALOG_API_USER, row->api_user_id, row->program_id, "api_user_id", error);
    if (result == SERVICE_OK && values[TRADER].given && row->trader_id != NULL)
        result = check_trader(db, row, error);
    if (result == SERVICE_OK && values[AGENT].given)
        result = intake_check_agent(db, row->agent_id, "agent_id", error);
    return result;
}

/* An affiliate's API user that nobody has yet is its own from now on: edges take no leads from nobody's. */
static enum service_result
take_api_user(struct db *db, const struct change *change, struct service_error *error)
{
    const struct affiliate_row *row = &change->row.affiliate;
    struct api_user_row         user;
    bool                        theirs, foreign;
    enum db_result              rc = row_load(db, &api_user_table, row->api_user_id, &user);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "api_user");
    rc = DB_OK;
    theirs = strcmp(user.role, "affiliate") == 0;
    foreign = theirs && user.affiliate_id != 0 && user.affiliate_id != row->id;
    if (theirs && user.affiliate_id == 0) {
        user.affiliate_id = row->id;
        user.version = change->decision.version;
        rc = row_update(db, &api_user_table, &user, change->decision.at_us);
    }
    row_free(&api_user_table, &user);
    if (foreign)
        return service_invalid(error, "api_user_id", "belongs to another affiliate");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_user");
}

static enum service_result
written(struct db *db, struct change *change, struct service_error *error)
{
    const struct decision *decision = &change->decision;
    enum service_result    result = SERVICE_OK;
    enum db_result         rc = affiliate_status_write(db, decision->id, change->row.affiliate.status, decision->at_us);

    if (rc != DB_OK)
        return service_from_db(error, rc, "affiliate_status_write");
    if (change->values[API_USER].given && change->row.affiliate.api_user_id != 0)
        result = take_api_user(db, change, error);
    if (result != SERVICE_OK)
        return result;
    if (!change->values[COMMISSION].given)
        return SERVICE_OK;
    return plan_set(decision->service, db, decision->actor, "affiliate", decision->id,
                    change->values[COMMISSION].json, error);
}
