/* Campaigns: what links belong to, with their attribution window and where visitors go when a link is off. */
#include <string.h>

#include "service/caps.h"
#include "service/catalog.h"
#include "service/destination.h"
#include "service/hosts.h"
#include "service/kind.h"

enum { NAME, STATE, WINDOW, FALLBACK, HOSTS, STARTS, ENDS, CAP_DAY, CAP_TOTAL, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct campaign_row, member)

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|archived", AT(state), NULL },
    [WINDOW] = { "window_days", FIELD_INT, 0, 0, 3650, NULL, AT(window_days), NULL },
    [FALLBACK] = { "fallback", FIELD_TEXT, 0, 0, DESTINATION_MAX, NULL, AT(fallback), NULL },
    [HOSTS] = { "deep_link_hosts", FIELD_READ, 0, 0, 0, NULL, AT(hosts), hosts_read },
    LIMITS_FIELDS(struct campaign_row, STARTS, ENDS, CAP_DAY, CAP_TOTAL),
};
static const struct campaign_row initial = {
    .window_days = 30, .state = (char *) "active", .fallback = (char *) "", .hosts = (char *) "[]",
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result settle(struct db *db, struct change *change, struct service_error *error);

static const struct kind campaign_kind = {
    .name = "campaign", .object = "campaign", .create = "campaign.create", .edit = "campaign.edit",
    .duplicate = "name", .fields = fields, .table = &campaign_table, .list = &campaign_list, .initial = &initial,
    .program = AT(program_id), .check = check, .written = settle,
};

enum service_result
campaign_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                struct service_error *error)
{
    return kind_create(&campaign_kind, service, actor, body, NULL, object, error);
}

enum service_result
campaign_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
              const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&campaign_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct service      *service = change->decision.service;
    const struct campaign_row *row = &change->row.campaign;
    enum service_result        result = limits_check(&row->limits, error);

    if (result == SERVICE_OK && change->values[FALLBACK].given && row->fallback[0] != '\0')
        result = destination_check(service, db, row->fallback, "fallback", error);
    if (result == SERVICE_OK && change->values[HOSTS].given)
        result = hosts_check_list(service, db, row->hosts, error);
    return result;
}

static enum service_result
settle(struct db *db, struct change *change, struct service_error *error)
{
    return caps_settle(db, change, CAP_CAMPAIGN, error);
}
