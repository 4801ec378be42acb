/* Requests: routing, who asks, and what was sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "http/http.h"
#include "service/view.h"

#define JSON_DEPTH_MAX 16

/* ---- routing ---- */

/* Matches one pattern; every {..} takes one non-empty segment. */
static bool
matches(const char *pattern, const char *path, char params[HTTP_PARAMS_MAX][72])
{
    int count = 0;

    while (*pattern != '\0' && *path != '\0') {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");

            if (len == 0 || len >= 72 || count == HTTP_PARAMS_MAX)
                return false;
            memcpy(params[count], path, len);
            params[count++][len] = '\0';
            path += len;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

/* First match wins: "/affiliates/bulk" stands before "/affiliates/{id}". */
const struct http_route *
route_find(const char *method, const char *path, struct http_request *request, int *status, char allow[64])
{
    char   params[HTTP_PARAMS_MAX][72];
    size_t len = 0;

    *status = 404;
    allow[0] = '\0';
    for (const struct http_route *route = http_route_table; route->method != NULL; route++) {
        if (!matches(route->pattern, path, params))
            continue;
        if (strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0)) {
            memcpy(request->params, params, sizeof(params));
            return route;
        }
        *status = 405;
        len += (size_t) snprintf(allow + len, 64 - len, "%s%s", len == 0 ? "" : ", ", route->method);
        if (len >= 64)
            len = 63;
    }
    return NULL;
}

/* ---- who asks ---- */

const char *
request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *
session_cookie_name(const struct service *service)
{
    return strncmp(service->base_url, "https://", 8) == 0 ? "__Host-affiliate_session" : "affiliate_session";
}

bool
request_cookie(const struct http_request *request, const char *name, char *out, size_t cap)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);

    if (value == NULL || strlen(value) >= cap)
        return false;
    memcpy(out, value, strlen(value) + 1);
    return true;
}

static unsigned
access_of(const char *role)
{
    static const struct {
        const char      *role;
        enum http_access access;
    } roles[] = {
        { "admin", ACCESS_ADMIN },     { "finance", ACCESS_FINANCE }, { "manager", ACCESS_MANAGER },
        { "agent", ACCESS_AGENT },     { "viewer", ACCESS_VIEWER },
    };

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(role, roles[i].role) == 0)
            return roles[i].access;
    }
    return 0;
}

static bool
is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* A browser sends the cookie whoever wrote the page: an unsafe request must also know the session's token and come from our own origin. */
static bool
passes_csrf(const struct http_request *request)
{
    const char *token = request_header(request, "X-CSRF-Token");
    const char *origin = request_header(request, "Origin");
    size_t      len = strlen(request->session.csrf);

    if (is_safe(request->method))
        return true;
    if (token == NULL || len == 0 || strlen(token) != len || sodium_memcmp(token, request->session.csrf, len) != 0)
        return false;
    return origin == NULL || strcmp(origin, request->service->base_url) == 0;
}

static enum service_result
identify(struct http_request *request, struct service_error *error)
{
    const char *authorization = request_header(request, "Authorization");
    char        cookie[SECRET_MAX];

    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0)
        return token_find(request->service, authorization + 7, &request->session, error);
    request->by_cookie = true;
    if (!request_cookie(request, session_cookie_name(request->service), cookie, sizeof(cookie)))
        return service_refuse(error, SERVICE_FORBIDDEN, "unauthenticated", "Log in first.");
    return session_find(request->service, cookie, &request->session, error);
}

bool
request_authorize(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    enum service_result  result;

    if (request->route->access & ACCESS_PUBLIC)
        return true;
    result = identify(request, &error);
    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        if (result == SERVICE_FORBIDDEN)
            answer->status = 401;
        return false;
    }
    if (request->by_cookie && !passes_csrf(request)) {
        answer_error(answer, 403, "csrf", "The X-CSRF-Token header is missing or wrong, or the Origin is foreign.");
        return false;
    }
    if ((access_of(request->session.actor.role) & request->route->access) == 0) {
        answer_error(answer, 403, "role_denied", "Your role may not do this.");
        return false;
    }
    return true;
}

/* ---- what was sent ---- */

static enum MHD_Result
add_query(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct http_request *request = ctx;

    (void) kind;
    if (request->query_count == HTTP_QUERY_MAX) {
        request->query_overflow = true;
        return MHD_NO;
    }
    request->query[request->query_count].name = name;
    request->query[request->query_count++].value = value == NULL ? "" : value;
    return MHD_YES;
}

/* Depth is counted before parsing: jansson's own bound is 2048, and each level costs stack. */
static bool
too_deep(const char *text, size_t len)
{
    int  depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (text[i] == '\\')
                i++;
            else
                in_string = text[i] != '"';
            continue;
        }
        in_string = text[i] == '"';
        depth += (text[i] == '{' || text[i] == '[') - (text[i] == '}' || text[i] == ']');
        if (depth > JSON_DEPTH_MAX)
            return true;
    }
    return false;
}

bool
request_parse(struct http_request *request, struct http_answer *answer)
{
    const char  *type = request_header(request, "Content-Type");
    json_error_t error;

    if (request->raw_len == 0)
        return true;
    if (type == NULL || strncasecmp(type, "application/json", 16) != 0) {
        answer_error(answer, 415, "content_type", "The body must be application/json.");
        return false;
    }
    if (too_deep(request->raw, request->raw_len)) {
        answer_error(answer, 400, "malformed_json", "The body is nested too deeply.");
        return false;
    }
    request->body = json_loadb(request->raw, request->raw_len, JSON_REJECT_DUPLICATES, &error);
    if (request->body == NULL) {
        answer_error(answer, 400, "malformed_json", "The body is no JSON: line %d, column %d.", error.line, error.column);
        return false;
    }
    return true;
}

/* The key is the caller's; the hash tells whether the request under it is the same one. */
static bool
read_once(struct http_request *request, struct http_answer *answer)
{
    const char              *key = request_header(request, "Idempotency-Key");
    crypto_generichash_state state;

    if (key == NULL || strcmp(request->method, "POST") != 0)
        return true;
    if (strlen(key) == 0 || strlen(key) > 200 || strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-") != strlen(key)) {
        answer_error(answer, 400, "idempotency_key", "An Idempotency-Key is 1 to 200 letters, digits and . _ ~ : -");
        return false;
    }
    snprintf(request->once_key, sizeof(request->once_key), "%s", key);
    crypto_generichash_init(&state, NULL, 0, sizeof(request->once.hash));
    crypto_generichash_update(&state, (const unsigned char *) request->method, strlen(request->method) + 1);
    crypto_generichash_update(&state, (const unsigned char *) request->path, strlen(request->path) + 1);
    if (request->raw_len != 0)
        crypto_generichash_update(&state, (const unsigned char *) request->raw, request->raw_len);
    crypto_generichash_final(&state, request->once.hash, sizeof(request->once.hash));
    request->once.key = request->once_key;
    request->session.actor.once = &request->once;
    return true;
}

bool
request_read(struct http_request *request, struct http_answer *answer)
{
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_query, request);
    if (request->query_overflow) {
        answer_error(answer, 400, "too_many_parameters", "There are more than %d parameters.", HTTP_QUERY_MAX);
        return false;
    }
    return read_once(request, answer);
}

const char *
request_query(const struct http_request *request, const char *name)
{
    for (int i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, name) == 0)
            return request->query[i].value;
    }
    return NULL;
}

int64_t
request_id(const struct http_request *request, int param)
{
    int64_t id;

    return view_parse_id(request->params[param], &id) ? id : 0;
}

/* ETags are "<version>"; a weak one never matches for a change. */
int64_t
request_version(const struct http_request *request)
{
    const char *match = request_header(request, "If-Match");
    char        digits[20];
    int64_t     version;
    size_t      len;

    if (match == NULL || strcmp(match, "*") == 0)
        return 0;
    len = strlen(match);
    if (len < 3 || len > sizeof(digits) || match[0] != '"' || match[len - 1] != '"')
        return -1;
    memcpy(digits, match + 1, len - 2);
    digits[len - 2] = '\0';
    return view_parse_id(digits, &version) ? version : -1;
}
