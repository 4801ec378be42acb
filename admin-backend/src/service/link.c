/* Links: a code, whose it is, and where it leads. */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "service/caps.h"
#include "service/catalog.h"
#include "service/destination.h"
#include "service/hosts.h"
#include "service/kind.h"
#include "service/rules.h"
#include "tracker_snapshot.h"

enum {
    CODE, AFFILIATE, CAMPAIGN, DESTINATION, APPEND, STATE, RULES, REDIRECT, REFERRER, PASS_UNKNOWN, DEEP_LINKS,
    STARTS, ENDS, CAP_DAY, CAP_TOTAL, FIELDS
};

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct link_row, member)

static bool read_redirect(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
static bool read_code(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [CODE] = { "code", FIELD_READ, FIELD_FIXED, 0, 0, NULL, AT(code), read_code },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_REQUIRED, 0, 0, NULL, AT(affiliate_id), NULL },
    [CAMPAIGN] = { "campaign_id", FIELD_ID, FIELD_REQUIRED, 0, 0, NULL, AT(campaign_id), NULL },
    [DESTINATION] = { "destination", FIELD_TEXT, FIELD_REQUIRED, 1, DESTINATION_MAX, NULL, AT(destination), NULL },
    [APPEND] = { "append_click_id", FIELD_BOOL, 0, 0, 0, NULL, AT(append_click_id), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|expired|archived", AT(state), NULL },
    [RULES] = { "rules", FIELD_READ, 0, 0, 0, NULL, AT(rules), rules_read },
    [REDIRECT] = { "redirect_status", FIELD_READ, FIELD_NULLABLE, 0, 0, NULL, AT(redirect_status), read_redirect },
    [REFERRER] = { "referrer_policy", FIELD_CHOICE, FIELD_NULLABLE, 0, 0,
                   "no-referrer|origin|same-origin|strict-origin|unsafe-url", AT(referrer_policy), NULL },
    [PASS_UNKNOWN] = { "pass_unknown_parameters", FIELD_BOOL, 0, 0, 0, NULL, AT(pass_unknown), NULL },
    [DEEP_LINKS] = { "deep_links", FIELD_BOOL, 0, 0, 0, NULL, AT(deep_links), NULL },
    LIMITS_FIELDS(struct link_row, STARTS, ENDS, CAP_DAY, CAP_TOTAL),
};
static const struct link_row initial = {
    .append_click_id = 1, .deep_links = 1, .state = (char *) "active", .rules = (char *) "[]",
};

/* Without look-alikes (0 O, 1 l I): codes are read aloud and typed. 57^7 is 2 * 10^12. */
#define CODE_ALPHABET "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
#define CODE_LEN      7

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result written(struct db *db, struct change *change, struct service_error *error);

static const struct kind link_kind = {
    .name = "link", .object = "link", .create = "link.create", .edit = "link.edit", .duplicate = "code",
    .fields = fields, .table = &link_table, .list = &link_list, .initial = &initial, .check = check,
    .written = written,
};

enum service_result
link_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
            struct service_error *error)
{
    char code[CODE_LEN + 1];

    return kind_create(&link_kind, service, actor, body, code, object, error);
}

enum service_result
link_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
          const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&link_kind, service, actor, id, if_version, patch, NULL, object, error);
}

/* ---- fields ---- */

static bool
read_code(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *text = json_string_value(json);
    size_t      len = json_string_length(json);

    snprintf(complaint, FIELD_COMPLAINT_MAX,
             "is not 1 to %d letters, digits, dots, underscores, tildes and hyphens", TRACKER_CODE_MAX);
    if (text == NULL || len == 0 || len > TRACKER_CODE_MAX
        || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-") != len)
        return false;
    snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    value->text = strdup(text);
    return value->text != NULL;
}

static bool
read_redirect(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    value->number = json_integer_value(json);
    if (value->number == 302 || value->number == 303 || value->number == 307)
        return true;
    snprintf(complaint, FIELD_COMPLAINT_MAX, "%s",
             value->number == 301 || value->number == 308
                 ? "cannot be 301 or 308: a browser keeps such an answer and asks us no more, so its next clicks "
                   "would not be seen"
                 : "is none of 302, 303 and 307");
    return false;
}

/* ---- steps ---- */

static void
random_code(char code[CODE_LEN + 1])
{
    for (int i = 0; i < CODE_LEN; i++)
        code[i] = CODE_ALPHABET[randombytes_uniform(sizeof(CODE_ALPHABET) - 1)];
    code[CODE_LEN] = '\0';
}

static enum service_result
check_owner(struct db *db, const struct link_row *row, struct service_error *error)
{
    int64_t        affiliate_program, campaign_program;
    enum db_result rc = catalog_program_of(db, CATALOG_AFFILIATE, row->affiliate_id, &affiliate_program);

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

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct service *service = change->decision.service;
    struct link_row      *row = &change->row.link;
    enum service_result   result = check_owner(db, row, error);

    if (row->code == NULL) {
        row->code = change->ctx;
        random_code(row->code);
    }
    if (result == SERVICE_OK)
        result = limits_check(&row->limits, error);
    if (result == SERVICE_OK && change->values[DESTINATION].given)
        result = destination_check(service, db, row->destination, "destination", error);
    if (result == SERVICE_OK && change->values[RULES].given)
        result = hosts_check_rules(service, db, row->rules, error);
    return result;
}

static enum service_result
written(struct db *db, struct change *change, struct service_error *error)
{
    const struct link_row *row = &change->row.link, *was = &change->was.link;
    bool                   is_new = was->id == 0;
    enum db_result         rc = DB_OK;

    /* From ever: nobody had it before, and an edge whose clock is behind ours must not click on nobody's link. */
    if (is_new || row->affiliate_id != was->affiliate_id || row->campaign_id != was->campaign_id)
        rc = link_version_write(db, row, is_new ? 0 : change->decision.at_us / 1000);
    return rc == DB_OK ? caps_settle(db, change, CAP_LINK, error) : service_from_db(error, rc, "link_version");
}
