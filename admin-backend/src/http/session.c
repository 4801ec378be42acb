/* Logging in, looking who one is, logging out. */
#include <stdio.h>
#include <string.h>

#include "http/http.h"
#include "service/login.h"
#include "service/portal.h"

/* nginx in front says who connects; the unix socket lets nobody else say it. */
static const char *
client_address(const struct http_request *request)
{
    const char *address = request_header(request, "X-Real-IP");

    return address == NULL || strlen(address) > 45 ? "unknown" : address;
}

static void
set_cookie(struct http_answer *answer, const char *name, const char *value, unsigned life_s)
{
    snprintf(answer->set_cookie, sizeof(answer->set_cookie), "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u%s",
             name, value, life_s, strncmp(name, "__Host-", 7) == 0 ? "; Secure" : "");
}

/* Staff and affiliates log in alike, to doors of their own. */
struct door {
    const char *(*cookie)(const struct service *service);
    enum service_result (*open)(const struct service *, const char *, const char *, const char *, char *,
                                struct session *, struct service_error *);
    enum service_result (*user)(const struct service *, const struct actor *, json_t **, struct service_error *);
};

static enum service_result
staff_user(const struct service *service, const struct actor *actor, json_t **user, struct service_error *error)
{
    return staff_get(service, actor->id, user, error);
}

static const struct door staff_door = { session_cookie_name, session_open, staff_user };
static const struct door portal_door = { portal_cookie_name, portal_open, portal_user };

static void
log_in(struct http_request *request, struct http_answer *answer, const struct door *door)
{
    static const char *const names[] = { "email", "password", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *email, *password;
    char                     cookie[SECRET_MAX];
    struct session           session;
    json_t                  *user = NULL;
    enum service_result      result;

    if (!body_only(request, answer, names) || !body_text(request, answer, "email", true, &email)
        || !body_text(request, answer, "password", true, &password))
        return;
    result = door->open(request->service, email, password, client_address(request), cookie, &session, &error);
    if (result == SERVICE_OK)
        result = door->user(request->service, &session.actor, &user, &error);
    if (result != SERVICE_OK) {
        bool limited = strcmp(error.code, "too_many_attempts") == 0;

        answer_service(answer, result, &error);
        if (limited)
            answer->retry_after_s = LOGIN_WINDOW_S;
        if (result == SERVICE_FORBIDDEN)
            answer->status = limited ? 429 : 401;
        return;
    }
    set_cookie(answer, door->cookie(request->service), cookie, SESSION_LIFE_S);
    answer_json(answer, 200, json_pack("{s:o, s:s}", "user", user, "csrf_token", session.csrf));
}

void
session_login(struct http_request *request, struct http_answer *answer)
{
    log_in(request, answer, &staff_door);
}

void
portal_login(struct http_request *request, struct http_answer *answer)
{
    log_in(request, answer, &portal_door);
}

static void
show(struct http_request *request, struct http_answer *answer, const struct door *door)
{
    struct service_error error = { .fields = NULL };
    json_t              *user = NULL;
    enum service_result  result = door->user(request->service, &request->session.actor, &user, &error);

    if (result != SERVICE_OK)
        answer_service(answer, result, &error);
    else if (request->by_cookie)
        answer_json(answer, 200, json_pack("{s:o, s:s}", "user", user, "csrf_token", request->session.csrf));
    else
        answer_json(answer, 200, json_pack("{s:o}", "user", user));
}

void
session_show(struct http_request *request, struct http_answer *answer)
{
    show(request, answer, &staff_door);
}

void
portal_show(struct http_request *request, struct http_answer *answer)
{
    show(request, answer, &portal_door);
}

/* A bearer has no session to end. */
static void
log_out(struct http_request *request, struct http_answer *answer, const char *name,
        enum service_result (*close_it)(const struct service *, const char *, struct service_error *))
{
    struct service_error error = { .fields = NULL };
    char                 cookie[SECRET_MAX];
    enum service_result  result = SERVICE_OK;

    if (request->by_cookie && request_cookie(request, name, cookie, sizeof(cookie)))
        result = close_it(request->service, cookie, &error);
    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        return;
    }
    if (request->by_cookie)
        set_cookie(answer, name, "", 0);
    answer->status = 204;
}

void
session_logout(struct http_request *request, struct http_answer *answer)
{
    log_out(request, answer, session_cookie_name(request->service), session_close);
}

void
portal_logout(struct http_request *request, struct http_answer *answer)
{
    log_out(request, answer, portal_cookie_name(request->service), portal_close);
}
