/* API users: who may post conversions, and the keys that prove it. */
#include <string.h>

#include <sodium.h>

#include "service/catalog.h"
#include "service/decide.h"
#include "service/fields.h"
#include "store/catalog.h"

enum { NAME, ROLE, AFFILIATE, SCOPES, STATE, EXPIRES, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL },
    [ROLE] = { "role", FIELD_CHOICE, FIELD_REQUIRED | FIELD_FIXED, 0, 0, "affiliate|advertiser" },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL },
    [SCOPES] = { "scopes", FIELD_CHOICES, 0, 0, 0,
                 "conversions:write|conversions:read|leads:write|leads:read|stats:read" },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused" },
    [EXPIRES] = { "expires_at", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL },
};

#define KEY_PREFIX   "aff_live_"
#define KEY_SHOWN    14 /* the prefix and five characters: enough to tell two keys apart */
#define KEY_MAX      64
#define KEYS_ACTIVE  2

struct request {
    struct value values[FIELDS];
    int64_t      if_version;
    int64_t      key_id;       /* revoke */
    char         key[KEY_MAX]; /* out: a new key's text */
};

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result add_key(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result revoke_key(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result overlay(struct db *db, const struct request *request, struct api_user_row *row,
                                   struct service_error *error);

static struct decision
about(const struct service *service, const struct actor *actor, int64_t id, const char *action,
      struct request *request)
{
    return (struct decision){
        .service = service,
        .actor = actor,
        .spec = &api_user_list,
        .object_type = "api_user",
        .action = action,
        .id = id,
        .config = true,
        .ctx = request,
    };
}

/* The answer carries the new key; what is kept under an Idempotency-Key, in the audit log and in the table does not. */
static enum service_result
decide_with_key(struct decision *decision, json_t **object, struct service_error *error)
{
    struct request     *request = decision->ctx;
    enum service_result result = decide(decision, object, error);

    if (result == SERVICE_OK && request->key[0] != '\0')
        json_object_set_new(*object, "key", json_string(request->key));
    sodium_memzero(request->key, sizeof(request->key));
    return result;
}

enum service_result
api_user_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
                struct service_error *error)
{
    struct request      request = { .if_version = 0 };
    struct decision     decision = about(service, actor, 0, "api_user.create", &request);
    enum service_result result = fields_read(body, fields, true, request.values, error);

    decision.step = create;
    if (result == SERVICE_OK)
        result = decide_with_key(&decision, object, error);
    fields_free(fields, request.values);
    return result;
}

enum service_result
api_user_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
              const json_t *patch, json_t **object, struct service_error *error)
{
    struct request      request = { .if_version = if_version };
    struct decision     decision = about(service, actor, id, "api_user.edit", &request);
    enum service_result result = fields_read(patch, fields, false, request.values, error);

    decision.step = edit;
    if (result == SERVICE_OK)
        result = decide(&decision, object, error);
    fields_free(fields, request.values);
    return result;
}

enum service_result
api_key_add(const struct service *service, const struct actor *actor, int64_t api_user_id, json_t **object,
            struct service_error *error)
{
    struct request  request = { .if_version = 0 };
    struct decision decision = about(service, actor, api_user_id, "api_user.add_key", &request);

    decision.step = add_key;
    return decide_with_key(&decision, object, error);
}

enum service_result
api_key_revoke(const struct service *service, const struct actor *actor, int64_t api_user_id, int64_t key_id,
               json_t **object, struct service_error *error)
{
    struct request  request = { .key_id = key_id };
    struct decision decision = about(service, actor, api_user_id, "api_user.revoke_key", &request);

    decision.step = revoke_key;
    return decide(&decision, object, error);
}

/* ---- steps ---- */

static enum service_result
stored(enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another API user has this name.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "api_user");
}

static enum service_result
new_key(struct db *db, struct decision *decision, struct service_error *error)
{
    struct request *request = decision->ctx;
    unsigned char   secret[32], hash[crypto_hash_sha256_BYTES];
    char            prefix[KEY_SHOWN + 1];
    size_t          len = strlen(KEY_PREFIX);

    randombytes_buf(secret, sizeof(secret));
    memcpy(request->key, KEY_PREFIX, len);
    sodium_bin2base64(request->key + len, sizeof(request->key) - len, secret, sizeof(secret),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof(secret));
    crypto_hash_sha256(hash, (const unsigned char *) request->key, strlen(request->key));
    memcpy(prefix, request->key, KEY_SHOWN);
    prefix[KEY_SHOWN] = '\0';
    return stored(api_key_insert(db, decision->id, prefix, hash, decision->version, decision->at_us),
                  error);
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    struct api_user_row row = { .version = decision->version, .scopes = "[]", .state = "active" };
    struct program_row  program;
    enum service_result result;
    enum db_result      rc = program_load(db, 0, &program);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_load");
    row.program_id = program.id;
    program_row_free(&program);
    result = overlay(db, decision->ctx, &row, error);
    if (result == SERVICE_OK)
        result = stored(api_user_insert(db, &row, decision->at_us), error);
    decision->id = row.id;
    return result == SERVICE_OK ? new_key(db, decision, error) : result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    struct api_user_row   loaded, row;
    enum service_result   result;
    enum db_result        rc = api_user_load(db, decision->id, &loaded);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "api_user_load");
    row = loaded;
    row.version = decision->version;
    if (request->if_version != 0 && request->if_version != loaded.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The API user was changed by somebody else meanwhile.");
    else
        result = overlay(db, request, &row, error);
    if (result == SERVICE_OK)
        result = stored(api_user_update(db, &row), error);
    api_user_row_free(&loaded);
    return result;
}

/* The user's row takes the version too: its ETag must change with its keys. */
static enum service_result
touch(struct db *db, struct decision *decision, struct service_error *error)
{
    struct api_user_row row;
    enum db_result      rc = api_user_load(db, decision->id, &row);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "api_user_load");
    row.version = decision->version;
    rc = api_user_update(db, &row);
    api_user_row_free(&row);
    return stored(rc, error);
}

static enum service_result
add_key(struct db *db, struct decision *decision, struct service_error *error)
{
    int64_t             active;
    enum db_result      rc = api_keys_active(db, decision->id, &active);
    enum service_result result;

    if (rc != DB_OK)
        return service_from_db(error, rc, "api_keys_active");
    if (active >= KEYS_ACTIVE)
        return service_refuse(error, SERVICE_CONFLICT, "too_many_keys", "Two keys are active: revoke one first.");
    result = touch(db, decision, error);
    return result == SERVICE_OK ? new_key(db, decision, error) : result;
}

static enum service_result
revoke_key(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct request *request = decision->ctx;
    enum db_result        rc = api_key_archive(db, decision->id, request->key_id, decision->version);

    if (rc == DB_DONE)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such active key.");
    if (rc != DB_OK)
        return service_from_db(error, rc, "api_key_archive");
    return touch(db, decision, error);
}

static enum service_result
overlay(struct db *db, const struct request *request, struct api_user_row *row, struct service_error *error)
{
    const struct value *values = request->values;
    int64_t             program;
    enum db_result      rc;

    if (values[NAME].given)
        row->name = values[NAME].text;
    if (values[ROLE].given)
        row->role = values[ROLE].text;
    if (values[SCOPES].given)
        row->scopes = values[SCOPES].text;
    if (values[STATE].given)
        row->state = values[STATE].text;
    if (values[EXPIRES].given)
        row->expires_us = values[EXPIRES].number;
    if (values[AFFILIATE].given)
        row->affiliate_id = values[AFFILIATE].number;

    /* An affiliate that could write conversions would print its own money. */
    if (strcmp(row->role, "affiliate") == 0 && strstr(row->scopes, "conversions:write") != NULL)
        return service_invalid(error, "scopes", "let only an advertiser write conversions");
    if (!values[AFFILIATE].given || row->affiliate_id == 0)
        return SERVICE_OK;
    rc = catalog_program_of(db, CATALOG_AFFILIATE, row->affiliate_id, &program);
    if (rc != DB_OK)
        return service_from_db(error, rc, "catalog_program_of");
    return program == row->program_id ? SERVICE_OK : service_invalid(error, "affiliate_id", "names nothing that exists");
}
