/* Affiliates' sessions, and what their first page shows. */
#include "service/portal.h"

#include <stdio.h>
#include <string.h>

#include "service/login.h"
#include "service/password.h"
#include "service/view.h"
#include "store/portal.h"

#define US            UINT64_C(1000000)
#define IDLE_US       (12 * 3600 * US)
#define LIFE_US       (SESSION_LIFE_S * US)
#define SEEN_EVERY_US (60 * US)

static void
fill_session(struct session *session, int64_t affiliate_id)
{
    session->staff_id = 0;
    session->actor = (struct actor){ .id = affiliate_id, .role = "affiliate" };
    snprintf(session->actor.name, sizeof(session->actor.name), "affiliate:%lld", (long long) affiliate_id);
}

/* ---- logging in ---- */

struct login {
    const struct service *service;
    struct login_limit    limit;
    bool                  limited, known;
    struct portal_account account;
    uint8_t               hash[SECRET_HASH_LEN];
    const char           *csrf;
};

static enum db_result
look_up(struct db *db, void *ctx)
{
    struct login  *login = ctx;
    enum db_result rc = login_limited(db, &login->limit, &login->limited);

    if (rc != DB_OK)
        return rc;
    rc = portal_account_by_email(db, login->limit.email, &login->account);
    login->known = rc == DB_ROW && login->account.may && login->account.password_hash[0] != '\0';
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
begin(struct db *db, void *ctx)
{
    struct login *login = ctx;
    uint64_t      now = login->service->now_us();

    return portal_session_insert(db, login->hash, login->account.id, login->csrf, now, now + LIFE_US);
}

enum service_result
portal_open(const struct service *service, const char *email, const char *password, const char *address, char *cookie,
            struct session *session, struct service_error *error)
{
    struct login        login = { .service = service };
    uint8_t             ignored[SECRET_HASH_LEN];
    bool                matches;
    enum service_result result;
    enum db_result      rc;

    if (!login_limit_of(service, "portal ", email, password, address, &login.limit))
        return login_refuse(error);
    rc = db_read(service->pool, look_up, &login);
    if (rc != DB_OK)
        return service_from_db(error, rc, "portal_open");
    if (login.limited)
        return login_refuse_limited(error);
    result = password_check(login.known ? login.account.password_hash : NULL, password, &matches, error);
    if (result != SERVICE_OK)
        return result;
    if (!matches) {
        login_failed(service, &login.limit);
        return login_refuse(error);
    }
    secret_new("", session->csrf, ignored);
    secret_new("", cookie, login.hash);
    login.csrf = session->csrf;
    rc = db_write(service->pool, DB_INTERACTIVE, begin, &login);
    if (rc != DB_OK)
        return service_from_db(error, rc, "portal_open");
    fill_session(session, login.account.id);
    return SERVICE_OK;
}

/* ---- sessions ---- */

struct finding {
    const struct service *service;
    uint8_t               hash[SECRET_HASH_LEN];
    bool                  found;
    int64_t               affiliate_id;
    char                  csrf[PORTAL_TEXT_MAX];
    uint64_t              seen_us;
};

static enum db_result
find(struct db *db, void *ctx)
{
    struct finding *finding = ctx;
    enum db_result  rc = portal_session_find(db, finding->hash, finding->service->now_us(), IDLE_US,
                                             &finding->affiliate_id, finding->csrf, &finding->seen_us);

    finding->found = rc == DB_ROW;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
write_seen(struct db *db, void *ctx)
{
    struct finding *finding = ctx;

    return portal_session_seen(db, finding->hash, finding->service->now_us());
}

enum service_result
portal_find(const struct service *service, const char *cookie, struct session *session, struct service_error *error)
{
    struct finding finding = { .service = service };
    enum db_result rc = secret_hash(cookie, finding.hash) ? db_read(service->pool, find, &finding) : DB_OK;

    if (rc != DB_OK)
        return service_from_db(error, rc, "portal_find");
    if (!finding.found)
        return service_refuse(error, SERVICE_FORBIDDEN, "unauthenticated", "Log in first.");
    fill_session(session, finding.affiliate_id);
    snprintf(session->csrf, sizeof(session->csrf), "%.63s", finding.csrf);
    if (service->now_us() - finding.seen_us > SEEN_EVERY_US)
        (void) db_write(service->pool, DB_INTERACTIVE, write_seen, &finding);
    return SERVICE_OK;
}

static enum db_result
end_session(struct db *db, void *ctx)
{
    return portal_session_delete(db, ctx);
}

enum service_result
portal_close(const struct service *service, const char *cookie, struct service_error *error)
{
    uint8_t        hash[SECRET_HASH_LEN];
    enum db_result rc = secret_hash(cookie, hash) ? db_write(service->pool, DB_INTERACTIVE, end_session, hash) : DB_OK;

    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "portal_close");
}

/* ---- the first page ---- */

struct page {
    const struct actor *actor;
    int64_t             from_us, to_us; /* 0: only who it is */
    json_t             *object;
};

static enum db_result
read_page(struct db *db, void *ctx)
{
    struct page   *page = ctx;
    json_t        *user = NULL;
    enum db_result rc = list_seen(db, &portal_user_list, page->actor, page->actor->id, &user);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    if (page->to_us == 0) {
        page->object = user;
        return DB_OK;
    }
    page->object = json_pack("{s:o, s:o, s:o}", "user", user, "from", view_time_us(page->from_us), "to",
                             view_time_us(page->to_us));
    return portal_counts(db, page->actor->id, page->from_us, page->to_us, page->object);
}

static enum service_result
show(const struct service *service, struct page *page, json_t **object, struct service_error *error)
{
    enum db_result rc = db_read(service->pool, read_page, page);

    if (rc != DB_OK) {
        json_decref(page->object);
        return service_from_db(error, rc, "portal");
    }
    *object = page->object;
    return SERVICE_OK;
}

enum service_result
portal_user(const struct service *service, const struct actor *actor, json_t **object, struct service_error *error)
{
    struct page page = { .actor = actor };

    return show(service, &page, object, error);
}

enum service_result
portal_dashboard(const struct service *service, const struct actor *actor, int64_t from_us, int64_t to_us,
                 json_t **object, struct service_error *error)
{
    struct page page = { .actor = actor, .from_us = from_us, .to_us = to_us };

    return show(service, &page, object, error);
}
