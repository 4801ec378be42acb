/* API users: who may send leads and post conversions, from where, how often, and the keys and signatures that prove it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "app/log.h"
#include "service/catalog.h"
#include "service/kind.h"
#include "store/once.h"
#include "tracker_network.h"
#include "tracker_secret.h"

enum {
    NAME, ROLE, AFFILIATE, SOURCE, TRADER, ACCOUNT, AUTOLOGIN, TEST, SCOPES, STATE, EXPIRES, WHITELIST, RATE, FIELDS
};

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member)   offsetof(struct api_user_row, member)
#define RATE_MAX     1000000
#define KEY_PREFIX   "aff_live_"
#define KEY_SHOWN    14 /* the prefix and five characters: enough to tell two keys apart */
#define SECRET_PREFIX "aff_sign_"
#define TEXT_MAX     64 /* a prefix and 43 characters for 256 bits */
#define KEYS_ACTIVE  2

_Static_assert(sizeof(SECRET_PREFIX) - 1 + 43 <= TRACKER_SECRET_MAX, "what is signed with fits its box");

static bool read_whitelist(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [ROLE] = { "role", FIELD_CHOICE, FIELD_REQUIRED | FIELD_FIXED, 0, 0, "affiliate|advertiser", AT(role), NULL },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(affiliate_id), NULL },
    [SOURCE] = { "source_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(source_id), NULL },
    [TRADER] = { "trader_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(trader_id), NULL },
    [ACCOUNT] = { "account", FIELD_CHOICE, 0, 0, 0, "cpl|cpa", AT(account), NULL },
    [AUTOLOGIN] = { "autologin", FIELD_BOOL, 0, 0, 0, NULL, AT(autologin), NULL },
    [TEST] = { "test", FIELD_BOOL, 0, 0, 0, NULL, AT(test), NULL },
    [SCOPES] = { "scopes", FIELD_CHOICES, 0, 0, 0,
                 "conversions:write|conversions:read|leads:write|leads:read|stats:read|autologin", AT(scopes), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused", AT(state), NULL },
    [EXPIRES] = { "expires_at", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL, AT(expires_us), NULL },
    [WHITELIST] = { "ip_whitelist", FIELD_READ, 0, 0, 0, NULL, AT(ranges), read_whitelist },
    [RATE] = { "rate_per_minute", FIELD_INT, 0, 0, RATE_MAX, NULL, AT(rate_minute), NULL },
};
static const struct api_user_row initial = {
    .scopes = (char *) "[]", .state = (char *) "active", .ranges = (char *) "[]", .account = (char *) "cpl",
};

/* Texts that are shown once, in the answer: nothing that is kept holds them. */
struct shown {
    char    key[TEXT_MAX], secret[TEXT_MAX];
    uint8_t sealed[TRACKER_SECRET_SEALED_MAX];
    int64_t key_id; /* revoke */
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result equip(struct db *db, struct change *change, struct service_error *error);
static enum service_result add_key(struct db *db, struct change *change, struct service_error *error);
static enum service_result revoke_key(struct db *db, struct change *change, struct service_error *error);
static enum service_result new_secret(struct db *db, struct change *change, struct service_error *error);

static const struct kind api_user_kind = {
    .name = "API user", .object = "api_user", .create = "api_user.create", .edit = "api_user.edit",
    .duplicate = "name", .fields = fields, .table = &api_user_table, .list = &api_user_list, .initial = &initial,
    .program = AT(program_id), .check = check, .written = equip,
};

/* The answer carries what is shown; the audit log, the table and what is kept under an Idempotency-Key do not. */
static enum service_result
show(enum service_result result, struct shown *shown, json_t *object)
{
    if (result == SERVICE_OK && object != NULL && shown->key[0] != '\0')
        json_object_set_new(object, "key", json_string(shown->key));
    if (result == SERVICE_OK && object != NULL && shown->secret[0] != '\0')
        json_object_set_new(object, "secret", json_string(shown->secret));
    sodium_memzero(shown, sizeof(*shown));
    return result;
}

enum service_result
api_user_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                struct service_error *error)
{
    struct shown        shown = { .key_id = 0 };
    enum service_result result = kind_create(&api_user_kind, service, actor, body, &shown, object, error);

    return show(result, &shown, object == NULL ? NULL : *object);
}

enum service_result
api_user_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
              const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&api_user_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static enum service_result
set_state(struct db *db, struct change *change, struct service_error *error)
{
    (void) db;
    (void) error;
    change->row.api_user.state = change->ctx;
    return SERVICE_OK;
}

enum service_result
api_user_act(const struct service *service, const struct actor *actor, int64_t id, const char *action,
             const char *reason, json_t **object, struct service_error *error)
{
    bool  activate = strcmp(action, "activate") == 0;
    char *state = (char *) (activate ? "active" : "paused");

    if (!activate && strcmp(action, "pause") != 0)
        return service_invalid(error, "action", "is none of activate, pause");
    return kind_alter(&api_user_kind, service, actor, id, activate ? "api_user.activate" : "api_user.pause", reason,
                      set_state, state, object, error);
}

static enum service_result
alter(const struct service *service, const struct actor *actor, int64_t id, const char *action, kind_step step,
      int64_t key_id, json_t **object, struct service_error *error)
{
    struct shown        shown = { .key_id = key_id };
    enum service_result result = kind_alter(&api_user_kind, service, actor, id, action, NULL, step, &shown, object,
                                            error);

    return show(result, &shown, object == NULL ? NULL : *object);
}

enum service_result
api_key_add(const struct service *service, const struct actor *actor, int64_t api_user_id, json_t **object,
            struct service_error *error)
{
    return alter(service, actor, api_user_id, "api_user.add_key", add_key, 0, object, error);
}

enum service_result
api_key_revoke(const struct service *service, const struct actor *actor, int64_t api_user_id, int64_t key_id,
               json_t **object, struct service_error *error)
{
    return alter(service, actor, api_user_id, "api_user.revoke_key", revoke_key, key_id, object, error);
}

enum service_result
api_secret_renew(const struct service *service, const struct actor *actor, int64_t api_user_id, json_t **object,
                 struct service_error *error)
{
    return alter(service, actor, api_user_id, "api_user.renew_secret", new_secret, 0, object, error);
}

/* ---- fields ---- */

/* {"enabled":true,"ranges":["192.0.2.0/24","2001:db8::1"]}: the text is the ranges. */
static bool
read_whitelist(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const json_t *enabled = json_object_get(json, "enabled"), *ranges = json_object_get(json, "ranges");
    json_t       *item;
    size_t        i;
    uint8_t       entry[TRACKER_NETWORK_LEN];

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no {\"enabled\":true|false,\"ranges\":[...]} with at most %d ranges",
             TRACKER_NETWORKS_MAX);
    if (json_object_size(json) != 2 || !json_is_boolean(enabled) || !json_is_array(ranges)
        || json_array_size(ranges) > TRACKER_NETWORKS_MAX)
        return false;
    json_array_foreach(ranges, i, item) {
        struct tracker_str text = { json_string_value(item), json_string_length(item) };

        if (text.data == NULL || !tracker_network_parse(text, entry)) {
            snprintf(complaint, FIELD_COMPLAINT_MAX,
                     "holds \"%.60s\", which is no IPv4 or IPv6 address or range (192.0.2.7, 192.0.2.0/24, "
                     "2001:db8::/32; bits behind the prefix are 0)",
                     text.data == NULL ? "" : text.data);
            return false;
        }
    }
    value->number = json_is_true(enabled);
    value->text = json_dumps(ranges, JSON_COMPACT);
    return value->text != NULL;
}

/* ---- steps ---- */

static enum service_result
check_references(struct db *db, const struct change *change, struct service_error *error)
{
    const struct api_user_row *row = &change->row.api_user;
    const struct {
        int                field;
        enum catalog_table table;
        int64_t            id;
    } references[] = {
        { AFFILIATE, CATALOG_AFFILIATE, row->affiliate_id },
        { SOURCE, CATALOG_SOURCE, row->source_id },
        { TRADER, CATALOG_TRADER, row->trader_id },
    };
    enum service_result result = SERVICE_OK;

    for (size_t i = 0; result == SERVICE_OK && i < sizeof(references) / sizeof(references[0]); i++) {
        if (change->values[references[i].field].given && references[i].id != 0)
            result = kind_reference(db, references[i].table, references[i].id, row->program_id,
                                    fields[references[i].field].name, error);
    }
    return result;
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    struct api_user_row *row = &change->row.api_user;

    if (change->values[WHITELIST].given)
        row->whitelist = change->values[WHITELIST].number;
    /* Who redeems autologins is told who each lead is. */
    if (strcmp(row->role, "affiliate") == 0 && strstr(row->scopes, "\"autologin\"") != NULL)
        return service_invalid(error, "scopes", "let only an advertiser redeem autologins");
    /* An affiliate that could write conversions would print its own money. */
    if (strcmp(row->role, "affiliate") == 0 && strstr(row->scopes, "conversions:write") != NULL)
        return service_invalid(error, "scopes", "let only an advertiser write conversions");
    return check_references(db, change, error);
}

/* 256 random bits behind a prefix that tells people and secret scanners what it is. */
static void
random_text(const char *prefix, char text[TEXT_MAX])
{
    unsigned char random[32];
    size_t        len = strlen(prefix);

    randombytes_buf(random, sizeof(random));
    memcpy(text, prefix, len);
    sodium_bin2base64(text + len, TEXT_MAX - len, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof(random));
}

static enum service_result
new_key(struct db *db, struct change *change, struct service_error *error)
{
    const struct decision *decision = &change->decision;
    struct shown          *shown = change->ctx;
    unsigned char          hash[crypto_hash_sha256_BYTES];
    char                   prefix[KEY_SHOWN + 1];
    enum db_result         rc;

    random_text(KEY_PREFIX, shown->key);
    crypto_hash_sha256(hash, (const unsigned char *) shown->key, strlen(shown->key));
    snprintf(prefix, sizeof(prefix), "%.*s", KEY_SHOWN, shown->key);
    rc = api_key_insert(db, change->row.head.id, prefix, hash, decision->version, decision->at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_key_insert");
}

/* Signatures are made with the text's bytes as they are shown. */
static enum service_result
new_secret(struct db *db, struct change *change, struct service_error *error)
{
    struct shown     *shown = change->ctx;
    struct row_bytes *secret = &change->row.api_user.secret;

    (void) db;
    random_text(SECRET_PREFIX, shown->secret);
    secret->data = shown->sealed;
    secret->len = tracker_secret_seal(change->decision.service->keys, (uint64_t) change->row.head.id,
                                      (struct tracker_str){ shown->secret, strlen(shown->secret) }, shown->sealed);
    return secret->len > 0 ? SERVICE_OK
                           : service_refuse(error, SERVICE_FAILED, "internal_error", "The secret could not be sealed.");
}

/* A new user's first key and its secret, which is sealed for the id that the user has got now. */
static enum service_result
equip(struct db *db, struct change *change, struct service_error *error)
{
    enum service_result result;
    enum db_result      rc;

    if (change->was.head.id != 0)
        return SERVICE_OK;
    result = new_key(db, change, error);
    if (result == SERVICE_OK)
        result = new_secret(db, change, error);
    if (result != SERVICE_OK)
        return result;
    rc = row_update(db, &api_user_table, &change->row, change->decision.at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_user");
}

static enum service_result
add_key(struct db *db, struct change *change, struct service_error *error)
{
    int64_t        active;
    enum db_result rc = api_keys_active(db, change->row.head.id, &active);

    if (rc != DB_OK)
        return service_from_db(error, rc, "api_keys_active");
    if (active >= KEYS_ACTIVE)
        return service_refuse(error, SERVICE_CONFLICT, "too_many_keys", "Two keys are active: revoke one first.");
    return new_key(db, change, error);
}

static enum service_result
revoke_key(struct db *db, struct change *change, struct service_error *error)
{
    const struct shown *shown = change->ctx;
    enum db_result      rc = api_key_archive(db, change->row.head.id, shown->key_id, change->decision.version);

    if (rc == DB_DONE)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such active key.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_key_archive");
}

/* ---- a rotated key ring ---- */

struct resealing {
    const struct service *service;
    int64_t               version;
    int                   count, lost;
};

static enum db_result
reseal_one(struct db *db, struct resealing *resealing, int64_t id)
{
    const struct tracker_keys *keys = resealing->service->keys;
    struct api_user_row        row;
    uint8_t                    clear[TRACKER_SECRET_MAX], sealed[TRACKER_SECRET_SEALED_MAX];
    struct row_bytes           was;
    size_t                     len;
    enum db_result             rc = row_load(db, &api_user_table, id, &row);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    was = row.secret;
    rc = DB_OK;
    len = tracker_secret_open(keys, (uint64_t) id, (struct tracker_str){ (const char *) was.data, was.len }, clear);
    if (len == 0) {
        resealing->lost++;
        log_error("api_users", "the secret of API user %lld was sealed with a key that is gone: renew it",
                  (long long) id);
    } else {
        if (resealing->version == 0)
            rc = config_version_next(db, &resealing->version);
        row.version = resealing->version;
        row.secret.data = sealed;
        row.secret.len = tracker_secret_seal(keys, (uint64_t) id, (struct tracker_str){ (const char *) clear, len },
                                             sealed);
        if (rc == DB_OK)
            rc = row_update(db, &api_user_table, &row, resealing->service->now_us());
        resealing->count++;
    }
    sodium_memzero(clear, sizeof(clear));
    row.secret = was;
    row_free(&api_user_table, &row);
    return rc;
}

static enum db_result
reseal(struct db *db, void *ctx)
{
    struct resealing *resealing = ctx;
    int64_t          *ids;
    size_t            count;
    enum db_result    rc = api_users_sealed_otherwise(db, resealing->service->keys->current, &ids, &count);

    resealing->version = 0;
    resealing->count = resealing->lost = 0;
    for (size_t i = 0; rc == DB_OK && i < count; i++)
        rc = reseal_one(db, resealing, ids[i]);
    free(ids);
    return rc;
}

enum service_result
api_secrets_reseal(const struct service *service, struct service_error *error)
{
    struct resealing resealing = { .service = service };
    enum db_result   rc = db_write(service->pool, DB_INTERACTIVE, reseal, &resealing);

    if (rc == DB_OK && resealing.count > 0)
        log_info("api_users", "%d secrets sealed with the key ring's current key", resealing.count);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_secrets_reseal");
}
