/* Traders: their data, their accounts, and the link by which they set a password. */
#include "service/trader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "domain/contact.h"
#include "service/catalog.h"
#include "service/intake.h"
#include "service/kind.h"
#include "service/password.h"
#include "store/portal.h"

enum { FIRST, LAST, EMAIL, PHONE, COUNTRY, EXTERNAL, AGENT, STATE, NOTES, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member)        offsetof(struct trader_row, member)
#define INVITATION_US     (7 * UINT64_C(86400000000))
#define ACCOUNTS_MAX      20
#define NUMBER_TRIES      8
#define NUMBER_FIRST      UINT32_C(100000000) /* nine digits drawn, and one more: TRADER_ACCOUNT_LEN */

static bool read_country(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [FIRST] = { "first_name", FIELD_TEXT, 0, 0, 120, NULL, AT(first_name), NULL },
    [LAST] = { "last_name", FIELD_TEXT, 0, 0, 120, NULL, AT(last_name), NULL },
    [EMAIL] = { "email", FIELD_EMAIL, FIELD_REQUIRED, 3, 254, NULL, AT(email), NULL },
    [PHONE] = { "phone", FIELD_TEXT, 0, 0, 40, NULL, AT(phone), NULL },
    [COUNTRY] = { "country", FIELD_READ, 0, 0, 0, NULL, AT(country), read_country },
    [EXTERNAL] = { "external_id", FIELD_TEXT, FIELD_NULLABLE, 1, 64, NULL, AT(external_id), NULL },
    [AGENT] = { "agent_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(agent_id), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|disabled", AT(state), NULL },
    [NOTES] = { "notes", FIELD_TEXT, 0, 0, 4000, NULL, AT(notes), NULL },
};
static const struct trader_row initial = {
    .first_name = (char *) "", .last_name = (char *) "", .phone = (char *) "", .country = (char *) "",
    .state = (char *) "invited", .notes = (char *) "",
};

/* What steps need besides the row. */
struct work {
    char        email_key[CONTACT_EMAIL_MAX], phone_key[CONTACT_PHONE_MAX];
    char        secret[SECRET_MAX];
    const char *password_hash;
    uint8_t     invitation[SECRET_HASH_LEN];
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result invite(struct db *db, struct change *change, struct service_error *error);
static enum service_result open_account(struct db *db, struct change *change, struct service_error *error);
static enum service_result accept(struct db *db, struct change *change, struct service_error *error);

static const struct kind trader_kind = {
    .name = "trader", .object = "trader", .create = "trader.create", .edit = "trader.edit",
    .duplicate = "e-mail address or external id", .fields = fields, .table = &trader_table, .list = &trader_list,
    .initial = &initial, .local = true, .program = AT(program_id), .check = check,
};

enum service_result
trader_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
              struct service_error *error)
{
    struct work work = { .secret = "" };

    return kind_create(&trader_kind, service, actor, body, &work, object, error);
}

enum service_result
trader_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
            const json_t *patch, json_t **object, struct service_error *error)
{
    struct work work = { .secret = "" };

    return kind_edit(&trader_kind, service, actor, id, if_version, patch, &work, object, error);
}

enum service_result
trader_invite(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
              struct service_error *error)
{
    struct work         work = { .secret = "" };
    enum service_result result = kind_alter(&trader_kind, service, actor, id, "trader.invite", NULL, invite, &work,
                                            object, error);

    if (result == SERVICE_OK)
        trader_show_invitation(service, *object, work.secret);
    return result;
}

enum service_result
trader_account(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
               struct service_error *error)
{
    return kind_alter(&trader_kind, service, actor, id, "trader.open_account", NULL, open_account, NULL, object,
                      error);
}

/* ---- fields ---- */

static bool
read_country(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *text = json_string_value(json);

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no code of two capital letters, nor empty");
    if (text == NULL || (text[0] != '\0' && (strlen(text) != 2 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2)))
        return false;
    value->text = strdup(text);
    return value->text != NULL;
}

/* Keys are those of leads: who is a duplicate there is the same person here. */
static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    struct trader_row *row = &change->row.trader;
    struct work       *work = change->ctx;

    if (change->was.head.id != 0 && strcmp(change->was.trader.state, "erased") == 0)
        return service_refuse(error, SERVICE_CONFLICT, "erased", "This person's data was erased.");
    if (!contact_email_key(row->email, work->email_key))
        return service_invalid(error, "email", "is no e-mail address");
    row->email_key = work->email_key;
    row->phone_key = NULL;
    if (row->phone[0] != '\0') {
        if (!contact_phone_key(row->phone, row->country, work->phone_key))
            return service_invalid(error, "phone", "is no phone number; begin with + and the country's code");
        row->phone_key = work->phone_key;
    }
    if (change->values[STATE].given && strcmp(row->state, "active") == 0 && row->password_hash == NULL)
        row->state = (char *) "invited";
    if (change->values[STATE].given && strcmp(row->state, "disabled") == 0) {
        enum db_result rc = portal_sessions_end_trader(db, row->id);

        if (rc != DB_OK)
            return service_from_db(error, rc, "portal_sessions_end_trader");
    }
    if (!change->values[AGENT].given)
        return SERVICE_OK;
    return intake_check_agent(db, row->agent_id, "agent_id", error);
}

/* ---- accounts ---- */

enum db_result
trader_open_account(struct db *db, int64_t trader_id, uint64_t now_us)
{
    char number[TRADER_ACCOUNT_LEN + 1];
    bool taken = true;

    for (int i = 0; taken && i < NUMBER_TRIES; i++) {
        enum db_result rc;

        snprintf(number, sizeof(number), "%u%u", NUMBER_FIRST + randombytes_uniform(9 * NUMBER_FIRST),
                 randombytes_uniform(10));
        rc = account_exists(db, number, &taken);
        if (rc != DB_OK)
            return rc;
    }
    return taken ? DB_FAILED : account_insert(db, trader_id, number, now_us);
}

static enum service_result
may_change(const struct change *change, struct service_error *error)
{
    const char *state = change->row.trader.state;

    if (strcmp(state, "erased") == 0)
        return service_refuse(error, SERVICE_CONFLICT, "erased", "This person's data was erased.");
    if (strcmp(state, "disabled") == 0)
        return service_refuse(error, SERVICE_CONFLICT, "illegal_state", "This trader is disabled.");
    return SERVICE_OK;
}

static enum service_result
open_account(struct db *db, struct change *change, struct service_error *error)
{
    int64_t             count = 0;
    enum service_result result = may_change(change, error);
    enum db_result      rc;

    if (result != SERVICE_OK)
        return result;
    rc = accounts_open(db, change->row.head.id, &count);
    if (rc == DB_OK && count >= ACCOUNTS_MAX)
        return service_refuse(error, SERVICE_CONFLICT, "too_many_accounts", "A trader has %d open accounts at most.",
                              ACCOUNTS_MAX);
    if (rc == DB_OK)
        rc = trader_open_account(db, change->row.head.id, change->decision.at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "trader_open_account");
}

/* ---- invitations ---- */

enum db_result
trader_new_invitation(struct db *db, int64_t trader_id, uint64_t now_us, char secret[SECRET_MAX])
{
    uint8_t hash[SECRET_HASH_LEN];

    secret_new(TRADER_INVITE_PREFIX, secret, hash);
    return trader_invitation_insert(db, trader_id, hash, now_us, now_us + INVITATION_US);
}

void
trader_show_invitation(const struct service *service, json_t *object, char secret[SECRET_MAX])
{
    if (secret[0] != '\0' && object != NULL)
        json_object_set_new(object, "invitation_url", json_sprintf("%s/invite/%s", service->base_url, secret));
    sodium_memzero(secret, SECRET_MAX);
}

static enum service_result
invite(struct db *db, struct change *change, struct service_error *error)
{
    struct work        *work = change->ctx;
    enum service_result result = may_change(change, error);
    enum db_result      rc;

    if (result != SERVICE_OK)
        return result;
    rc = trader_new_invitation(db, change->row.head.id, change->decision.at_us, work->secret);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "trader_new_invitation");
}

struct invited {
    const struct service *service;
    const uint8_t        *hash;
    struct trader_row     row; /* id 0: nobody */
};

static enum db_result
find_invited(struct db *db, void *ctx)
{
    struct invited *invited = ctx;
    int64_t         id;
    enum db_result  rc = trader_invitation_find(db, invited->hash, invited->service->now_us(), &id);

    if (rc == DB_ROW)
        rc = row_load(db, &trader_table, id, &invited->row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum service_result
refuse_invitation(struct service_error *error)
{
    return service_refuse(error, SERVICE_FORBIDDEN, "invitation_invalid",
                          "This link was used already, or is over: ask for another one.");
}

/* Before a password is hashed the link is known to work: nobody makes us hash who has none. */
enum service_result
trader_accept(const struct service *service, const char *secret, const char *password, struct service_error *error)
{
    struct work         work = { .secret = "" };
    struct invited      invited = { .service = service, .hash = work.invitation, .row = { .id = 0 } };
    struct actor        actor = { .role = "trader" };
    char                hash[PASSWORD_HASH_MAX];
    enum service_result result;
    enum db_result      rc;

    if (!secret_hash(secret, work.invitation))
        return refuse_invitation(error);
    rc = db_read(service->pool, find_invited, &invited);
    if (rc != DB_OK)
        return service_from_db(error, rc, "trader_accept");
    if (invited.row.id == 0)
        return refuse_invitation(error);
    result = password_keep(password, invited.row.email, hash, error);
    snprintf(actor.name, sizeof(actor.name), "trader:%lld", (long long) invited.row.id);
    work.password_hash = hash;
    if (result == SERVICE_OK)
        result = kind_alter(&trader_kind, service, &actor, invited.row.id, "trader.set_password", NULL, accept, &work,
                            NULL, error);
    row_free(&trader_table, &invited.row);
    sodium_memzero(hash, sizeof(hash));
    return result;
}

static enum service_result
accept(struct db *db, struct change *change, struct service_error *error)
{
    struct work        *work = change->ctx;
    enum service_result result = may_change(change, error);
    enum db_result      rc;

    if (result != SERVICE_OK) /* since the link was looked at: a password takes its time */
        return result;
    rc = trader_invitation_use(db, work->invitation, change->decision.at_us);
    if (rc == DB_DONE)
        return refuse_invitation(error);
    if (rc == DB_OK)
        rc = portal_sessions_end_trader(db, change->row.head.id); /* whoever has the old password is out */
    if (rc != DB_OK)
        return service_from_db(error, rc, "trader_invitation_use");
    change->row.trader.password_hash = (char *) (uintptr_t) work->password_hash;
    change->row.trader.state = (char *) "active";
    return SERVICE_OK;
}

/* ---- an affiliate of him ---- */

static enum db_result
load(struct db *db, void *ctx)
{
    struct invited *found = ctx;
    enum db_result  rc = row_load(db, &trader_table, found->row.id, &found->row);

    if (rc == DB_DONE)
        found->row.id = 0;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum service_result
trader_affiliate(const struct service *service, const struct actor *actor, int64_t id, const json_t *body,
                 json_t **object, struct service_error *error)
{
    struct invited      found = { .row = { .id = id } };
    json_t             *affiliate = body == NULL ? json_object() : json_copy((json_t *) body);
    enum db_result      rc = db_read(service->pool, load, &found);
    enum service_result result;

    if (rc != DB_OK) {
        result = service_from_db(error, rc, "trader_affiliate");
    } else if (found.row.id == 0 || strcmp(found.row.state, "erased") == 0) {
        result = service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such trader.");
    } else {
        const char *space = found.row.first_name[0] != '\0' && found.row.last_name[0] != '\0' ? " " : "";
        json_t     *name = json_sprintf("%s%s%s", found.row.first_name, space, found.row.last_name);

        if (json_string_length(name) == 0)
            json_string_set(name, found.row.email);
        json_object_update_missing_new(affiliate, json_pack("{s:o, s:s}", "name", name, "email", found.row.email));
        json_object_set_new(affiliate, "trader_id", json_sprintf("%lld", (long long) id));
        result = affiliate_create(service, actor, affiliate, object, error);
    }
    if (found.row.id != 0 && rc == DB_OK)
        row_free(&trader_table, &found.row);
    json_decref(affiliate);
    return result;
}
