/* Coupon codes: whose customer it is who uses one. */
#include <stdio.h>
#include <string.h>

#include "service/catalog.h"
#include "service/kind.h"

enum { CODE, AFFILIATE, CAMPAIGN, STATE, FROM, TO, NOTES, FIELDS };

#define AT(member) offsetof(struct coupon_row, member)

static bool code_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* Code and affiliate are for good: what a code earned must stay explicable by it. */
static const struct field fields[FIELDS + 1] = {
    [CODE] = { "code", FIELD_READ, FIELD_REQUIRED | FIELD_FIXED, 0, 0, NULL, AT(code), code_read },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_REQUIRED | FIELD_FIXED, 0, 0, NULL, AT(affiliate_id), NULL },
    [CAMPAIGN] = { "campaign_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(campaign_id), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|archived", AT(state), NULL },
    [FROM] = { "valid_from", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL, AT(valid_from_us), NULL },
    [TO] = { "valid_to", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL, AT(valid_to_us), NULL },
    [NOTES] = { "notes", FIELD_TEXT, 0, 0, 4000, NULL, AT(notes), NULL },
};
static const struct coupon_row initial = { .state = (char *) "active", .notes = (char *) "" };

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind coupon_kind = {
    .name = "coupon", .object = "coupon", .create = "coupon.create", .edit = "coupon.edit", .duplicate = "code",
    .fields = fields, .table = &coupon_table, .list = &coupon_list, .initial = &initial, .program = AT(program_id),
    .check = check,
};

enum service_result
coupon_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
              struct service_error *error)
{
    char key[COUPON_CODE_MAX + 1] = "";

    return kind_create(&coupon_kind, service, actor, body, key, object, error);
}

enum service_result
coupon_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
            const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&coupon_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static bool
code_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *code = json_string_value(json);
    char        key[COUPON_CODE_MAX + 1];

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no code of 1 to %d printable ASCII characters without blanks",
             COUPON_CODE_MAX);
    if (code == NULL || strlen(code) != json_string_length(json) || !coupon_key(code, key))
        return false;
    value->text = strdup(code);
    return value->text != NULL;
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    struct coupon_row  *row = &change->row.coupon;
    enum service_result result = SERVICE_OK;

    if (row->id == 0) { /* its key lives in the caller's frame */
        coupon_key(row->code, change->ctx);
        row->code_key = change->ctx;
        result = kind_reference(db, CATALOG_AFFILIATE, row->affiliate_id, row->program_id, "affiliate_id", error);
    }
    if (result == SERVICE_OK && row->campaign_id != 0)
        result = kind_reference(db, CATALOG_CAMPAIGN, row->campaign_id, row->program_id, "campaign_id", error);
    if (result == SERVICE_OK && row->valid_to_us != 0 && row->valid_to_us <= row->valid_from_us)
        result = service_invalid(error, "valid_to", "is not after valid_from");
    return result;
}
