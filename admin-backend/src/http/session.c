/* Logging in, looking who one is, logging out. */
#include <stdio.h>
#include <string.h>

#include "http/http.h"

/* nginx in front says who connects; the unix socket lets nobody else say it. */
static const char *
client_address(const struct http_request *request)
{
    const char *address = request_header(request, "X-Real-IP");

    return address == NULL || strlen(address) > 45 ? "unknown" : address;
}

static void
set_cookie(const struct http_request *request, struct http_answer *answer, const char *value, unsigned life_s)
{
    const char *name = session_cookie_name(request->service);

    snprintf(answer->set_cookie, sizeof(answer->set_cookie), "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u%s",
             name, value, life_s, strncmp(name, "__Host-", 7) == 0 ? "; Secure" : "");
}

void
session_login(struct http_request *request, struct http_answer *answer)
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
    result = session_open(request->service, email, password, client_address(request), cookie, &session, &error);
    if (result == SERVICE_OK)
        result = staff_get(request->service, session.staff_id, &user, &error);
    if (result != SERVICE_OK) {
        bool limited = strcmp(error.code, "too_many_attempts") == 0;

        answer_service(answer, result, &error);
        if (limited)
            answer->retry_after_s = LOGIN_WINDOW_S;
        if (result == SERVICE_FORBIDDEN)
            answer->status = limited ? 429 : 401;
        return;
    }
    set_cookie(request, answer, cookie, SESSION_LIFE_S);
    answer_json(answer, 200, json_pack("{s:o, s:s}", "user", user, "csrf_token", session.csrf));
}

void
session_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *user = NULL;
    enum service_result  result = staff_get(request->service, request->session.staff_id, &user, &error);

    if (result != SERVICE_OK)
        answer_service(answer, result, &error);
    else if (request->by_cookie)
        answer_json(answer, 200, json_pack("{s:o, s:s}", "user", user, "csrf_token", request->session.csrf));
    else
        answer_json(answer, 200, json_pack("{s:o}", "user", user));
}

void
session_logout(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    char                 cookie[SECRET_MAX];
    enum service_result  result = SERVICE_OK;

    if (request->by_cookie && request_cookie(request, session_cookie_name(request->service), cookie, sizeof(cookie)))
        result = session_close(request->service, cookie, &error);
    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        return;
    }
    if (request->by_cookie)
        set_cookie(request, answer, "", 0);
    answer->status = 204;
}
