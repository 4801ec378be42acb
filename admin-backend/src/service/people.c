#include "service/people.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "service/catalog.h"
#include "service/decide.h"
#include "service/fields.h"
#include "service/login.h"
#include "service/password.h"
#include "service/view.h"
#include "store/catalog.h"
#include "store/once.h"
#include "store/people.h"
#include "store/portal.h"

#define US            UINT64_C(1000000)
#define IDLE_US       (12 * 3600 * US)
#define LIFE_US       (SESSION_LIFE_S * US)
#define SETUP_US      (86400 * US)
#define SEEN_EVERY_US (60 * US) /* a session's last use is written at most once a minute */
#define KEEP_KEYS_US  (7 * 86400 * US)
#define FORGET_AT_ONCE 1000 /* keys */

#define ATTEMPT_WINDOW_US (LOGIN_WINDOW_S * US)

/* ---- accounts ---- */

enum { EMAIL, NAME, ROLE, PASSWORD, FIELDS };

static const struct field fields[FIELDS + 1] = {
    [EMAIL] = { "email", FIELD_EMAIL, FIELD_REQUIRED, 3, 254, NULL },
    [NAME] = { "name", FIELD_TEXT, 0, 0, 120, NULL },
    [ROLE] = { "role", FIELD_CHOICE, FIELD_REQUIRED, 0, 0, "admin|finance|manager|agent|viewer" },
    [PASSWORD] = { "password", FIELD_TEXT, FIELD_REQUIRED, PASSWORD_MIN, PASSWORD_MAX, NULL },
};

struct account {
    struct value values[FIELDS];
    char         hash[PASSWORD_HASH_MAX];
    const char  *invitation; /* NULL: none needed */
};

static enum service_result
refuse_invitation(struct service_error *error)
{
    return service_refuse(error, SERVICE_FORBIDDEN, "invitation_invalid",
                          "This set-up link was used already, or is over.");
}

/* DB_ABORT: somebody is. */
static enum db_result
nobody_there(struct db *db, void *ctx)
{
    int64_t        count;
    enum db_result rc = staff_count(db, &count);

    (void) ctx;
    return rc == DB_OK && count != 0 ? DB_ABORT : rc;
}

static enum service_result
add_staff(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct account *account = decision->ctx;
    const struct value   *values = account->values;
    uint64_t              now = decision->at_us;
    uint8_t               hash[PEOPLE_HASH_LEN];
    enum db_result        rc = DB_OK;

    if (account->invitation != NULL)
        rc = secret_hash(account->invitation, hash) ? invitation_use(db, "setup", hash, now) : DB_DONE;
    if (rc == DB_OK && account->invitation != NULL)
        rc = nobody_there(db, NULL);
    if (rc == DB_DONE || rc == DB_ABORT)
        return refuse_invitation(error);
    if (rc == DB_OK)
        rc = staff_insert(db, values[EMAIL].text, values[NAME].given ? values[NAME].text : "", values[ROLE].text,
                          account->hash, now, &decision->id);
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Somebody else has this e-mail address.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "staff_insert");
}

static enum service_result
create_account(const struct service *service, const struct actor *actor, const char *invitation, const json_t *body,
               json_t **object, struct service_error *error)
{
    struct account  account = { .invitation = invitation };
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &staff_list,
        .object_type = "staff",
        .action = invitation == NULL ? "staff.create" : "staff.setup",
        .step = add_staff,
        .ctx = &account,
    };
    enum service_result result = fields_read(body, fields, true, account.values, error);

    if (result == SERVICE_OK)
        result = password_keep(account.values[PASSWORD].text, account.values[EMAIL].text, account.hash, error);
    if (account.values[PASSWORD].text != NULL)
        sodium_memzero(account.values[PASSWORD].text, strlen(account.values[PASSWORD].text));
    if (result == SERVICE_OK)
        result = decide(&decision, object, error);
    fields_free(fields, account.values);
    return result;
}

enum service_result
staff_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
             struct service_error *error)
{
    return create_account(service, actor, NULL, body, object, error);
}

enum service_result
setup_accept(const struct service *service, const char *secret, const json_t *body, json_t **object,
             struct service_error *error)
{
    struct actor        actor = { "setup", "admin", NULL, 0 };
    json_t             *admin;
    enum db_result      rc = db_read(service->pool, nobody_there, NULL);
    enum service_result result;

    if (rc == DB_ABORT)
        return refuse_invitation(error); /* before a password is hashed for anybody who asks */
    if (rc != DB_OK)
        return service_from_db(error, rc, "setup_accept");
    if (json_object_get(body, "role") != NULL)
        return service_invalid(error, "role", "is no field of this resource");
    admin = json_copy((json_t *) body);
    json_object_set_new(admin, "role", json_string("admin"));
    result = create_account(service, &actor, secret, admin, object, error);
    json_decref(admin);
    return result;
}

static enum service_result
put_password(struct db *db, struct decision *decision, struct service_error *error)
{
    enum db_result rc = affiliate_set_password_hash(db, decision->id, decision->ctx, decision->at_us);

    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "affiliate_set_password");
}

enum service_result
affiliate_set_password(const struct service *service, const struct actor *actor, int64_t id, const char *password,
                       struct service_error *error)
{
    char                hash[PASSWORD_HASH_MAX];
    enum service_result result = password_keep(password, NULL, hash, error);
    struct decision     decision = {
        .service = service,
        .actor = actor,
        .spec = &affiliate_list,
        .object_type = "affiliate",
        .action = "affiliate.set_password",
        .id = id,
        .step = put_password,
        .ctx = hash,
    };

    return result == SERVICE_OK ? decide(&decision, NULL, error) : result;
}

struct invitation {
    const struct service *service;
    bool                  needed;
    char                 *secret;
};

static enum db_result
invite(struct db *db, void *ctx)
{
    struct invitation *invitation = ctx;
    uint64_t           now = invitation->service->now_us();
    uint8_t            hash[PEOPLE_HASH_LEN];
    int64_t            count;
    enum db_result     rc = staff_count(db, &count);

    if (rc != DB_OK)
        return rc;
    invitation->needed = count == 0;
    if (!invitation->needed)
        return DB_OK;
    secret_new("setup_", invitation->secret, hash);
    return invitation_insert(db, "setup", hash, now, now + SETUP_US);
}

enum service_result
setup_invite(const struct service *service, bool *needed, char *secret, struct service_error *error)
{
    struct invitation invitation = { service, false, secret };
    enum db_result    rc = db_write(service->pool, DB_INTERACTIVE, invite, &invitation);

    *needed = invitation.needed;
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "setup_invite");
}

/* ---- tokens ---- */

struct token {
    const char *email, *name;
    char       *text;
};

static enum service_result
add_token(struct db *db, struct decision *decision, struct service_error *error)
{
    struct token    *token = decision->ctx;
    struct staff_row staff;
    uint8_t          hash[PEOPLE_HASH_LEN];
    char             prefix[16];
    enum db_result   rc = staff_by_email(db, token->email, &staff);

    if (rc == DB_DONE)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such member of staff.");
    if (rc != DB_ROW)
        return service_from_db(error, rc, "staff_by_email");
    secret_new("aff_staff_", token->text, hash);
    snprintf(prefix, sizeof(prefix), "%.15s", token->text);
    decision->id = staff.id;
    rc = token_insert(db, staff.id, token->name, prefix, hash, decision->at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "token_insert");
}

enum service_result
token_create(const struct service *service, const struct actor *actor, const char *email, const char *name,
             char *token, struct service_error *error)
{
    struct token    new = { email, name, token };
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &staff_list,
        .object_type = "staff",
        .action = "staff.create_token",
        .reason = name,
        .step = add_token,
        .ctx = &new,
    };

    if (name == NULL || *name == '\0' || strlen(name) > 120)
        return service_invalid(error, "name", "needs 1 to 120 bytes");
    return decide(&decision, NULL, error);
}

/* ---- sessions ---- */

struct login {
    const struct service *service;
    struct login_limit    limit;
    bool                  limited, known;
    struct staff_row      staff;
    uint8_t               hash[PEOPLE_HASH_LEN];
    const char           *csrf;
};

static enum db_result
look_up(struct db *db, void *ctx)
{
    struct login  *login = ctx;
    enum db_result rc = login_limited(db, &login->limit, &login->limited);

    if (rc != DB_OK)
        return rc;
    rc = staff_by_email(db, login->limit.email, &login->staff);
    login->known = rc == DB_ROW && strcmp(login->staff.state, "active") == 0;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
begin_session(struct db *db, void *ctx)
{
    struct login *login = ctx;
    uint64_t      now = login->service->now_us();

    return session_insert(db, login->hash, login->staff.id, login->csrf, now, now + LIFE_US);
}

static void
fill_session(struct session *session, const struct staff_row *staff)
{
    session->staff_id = staff->id;
    session->actor = (struct actor){ .id = staff->id };
    snprintf(session->actor.name, sizeof(session->actor.name), "staff:%lld", (long long) staff->id);
    snprintf(session->actor.role, sizeof(session->actor.role), "%s", staff->role);
}

enum service_result
session_open(const struct service *service, const char *email, const char *password, const char *address,
             char *cookie, struct session *session, struct service_error *error)
{
    struct login        login = { .service = service };
    uint8_t             ignored[PEOPLE_HASH_LEN];
    bool                matches;
    enum service_result result;
    enum db_result      rc;

    if (!login_limit_of(service, "", email, password, address, &login.limit))
        return login_refuse(error);
    rc = db_read(service->pool, look_up, &login);
    if (rc != DB_OK)
        return service_from_db(error, rc, "session_open");
    if (login.limited)
        return login_refuse_limited(error);
    result = password_check(login.known ? login.staff.password_hash : NULL, password, &matches, error);
    if (result != SERVICE_OK)
        return result;
    if (!matches) {
        login_failed(service, &login.limit);
        return login_refuse(error);
    }

    secret_new("", session->csrf, ignored);
    secret_new("", cookie, login.hash);
    login.csrf = session->csrf;
    rc = db_write(service->pool, DB_INTERACTIVE, begin_session, &login);
    if (rc != DB_OK)
        return service_from_db(error, rc, "session_open");
    fill_session(session, &login.staff);
    return SERVICE_OK;
}

struct finding {
    const struct service *service;
    uint8_t               hash[PEOPLE_HASH_LEN];
    bool                  found;
    struct staff_row      staff;
    char                  csrf[PEOPLE_TEXT_MAX];
    uint64_t              seen_us;
};

static enum db_result
find_session(struct db *db, void *ctx)
{
    struct finding *finding = ctx;
    enum db_result  rc = session_by_hash(db, finding->hash, finding->service->now_us(), IDLE_US, &finding->staff,
                                         finding->csrf, &finding->seen_us);

    finding->found = rc == DB_ROW;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
find_token(struct db *db, void *ctx)
{
    struct finding *finding = ctx;
    enum db_result  rc = token_by_hash(db, finding->hash, finding->service->now_us(), &finding->staff);

    finding->found = rc == DB_ROW;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
write_seen(struct db *db, void *ctx)
{
    struct finding *finding = ctx;

    return session_seen(db, finding->hash, finding->service->now_us());
}

static enum service_result
find(const struct service *service, const char *secret, db_work work, struct finding *finding,
     struct service_error *error)
{
    enum db_result rc;

    finding->service = service;
    if (!secret_hash(secret, finding->hash))
        return service_refuse(error, SERVICE_FORBIDDEN, "unauthenticated", "Log in first.");
    rc = db_read(service->pool, work, finding);
    if (rc != DB_OK)
        return service_from_db(error, rc, "session_find");
    return finding->found ? SERVICE_OK
                          : service_refuse(error, SERVICE_FORBIDDEN, "unauthenticated", "Log in first.");
}

enum service_result
session_find(const struct service *service, const char *cookie, struct session *session, struct service_error *error)
{
    struct finding      finding = { .found = false };
    enum service_result result = find(service, cookie, find_session, &finding, error);

    if (result != SERVICE_OK)
        return result;
    fill_session(session, &finding.staff);
    snprintf(session->csrf, sizeof(session->csrf), "%.63s", finding.csrf);
    if (service->now_us() - finding.seen_us > SEEN_EVERY_US)
        (void) db_write(service->pool, DB_INTERACTIVE, write_seen, &finding);
    return SERVICE_OK;
}

enum service_result
token_find(const struct service *service, const char *token, struct session *session, struct service_error *error)
{
    struct finding      finding = { .found = false };
    enum service_result result = find(service, token, find_token, &finding, error);

    if (result == SERVICE_OK) {
        fill_session(session, &finding.staff);
        session->csrf[0] = '\0';
    }
    return result;
}

static enum db_result
end_session(struct db *db, void *ctx)
{
    return session_delete(db, ctx);
}

enum service_result
session_close(const struct service *service, const char *cookie, struct service_error *error)
{
    uint8_t        hash[PEOPLE_HASH_LEN];
    enum db_result rc = secret_hash(cookie, hash) ? db_write(service->pool, DB_INTERACTIVE, end_session, hash) : DB_OK;

    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "session_close");
}

/* ---- reading and forgetting ---- */

struct one {
    int64_t id;
    json_t *object;
};

static enum db_result
load_staff(struct db *db, void *ctx)
{
    struct one    *one = ctx;
    enum db_result rc = list_one(db, &staff_list, one->id, &one->object);

    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum service_result
staff_get(const struct service *service, int64_t id, json_t **object, struct service_error *error)
{
    struct one     one = { id, NULL };
    enum db_result rc = db_read(service->pool, load_staff, &one);

    if (rc != DB_OK)
        return service_from_db(error, rc, "staff_get");
    if (one.object == NULL)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such member of staff.");
    *object = one.object;
    return SERVICE_OK;
}

struct forgetting {
    const struct service *service;
    bool                  more;
};

/* One slice: a transaction that holds the writer for long would hold up everybody. */
static enum db_result
forget(struct db *db, void *ctx)
{
    struct forgetting *forgetting = ctx;
    uint64_t           now = forgetting->service->now_us();
    enum db_result     rc = people_delete_old(db, now - ATTEMPT_WINDOW_US);

    if (rc == DB_OK)
        rc = portal_sessions_delete_old(db, now);
    if (rc == DB_OK)
        rc = once_forget(db, now - KEEP_KEYS_US, FORGET_AT_ONCE);
    forgetting->more = rc == DB_OK && db_changes(db) == FORGET_AT_ONCE;
    return rc;
}

void
people_forget(const struct service *service)
{
    struct forgetting forgetting = { service, false };

    do {
        if (db_write(service->pool, DB_BATCH, forget, &forgetting) != DB_OK)
            return;
    } while (forgetting.more);
}
