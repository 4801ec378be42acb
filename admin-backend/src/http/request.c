/* Requests: routing, who asks, and what was sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "http/http.h"
#include "service/portal.h"
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

static void
allow(struct http_answer *answer, const char *method)
{
    size_t len = strlen(answer->allow);

    snprintf(answer->allow + len, sizeof(answer->allow) - len, "%s%s%s", len == 0 ? "" : ", ", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* The first pattern that matches is the address, whatever the method: ".../bulk" stands before ".../{id}". */
bool
request_route(struct http_request *request, struct http_answer *answer)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method, *address = NULL;

    for (const struct http_route *route = http_route_table; route->method != NULL; route++) {
        if ((address != NULL && strcmp(route->pattern, address) != 0)
            || !matches(route->pattern, request->path, request->params))
            continue;
        address = route->pattern;
        if (strcmp(route->method, method) == 0) {
            request->route = route;
            answer->allow[0] = '\0';
            return true;
        }
        allow(answer, route->method);
    }
    if (answer->allow[0] != '\0')
        answer_error(answer, 405, "method_not_allowed", "This address does not take that method.");
    else
        answer_error(answer, 404, "not_found", "There is nothing at this address.");
    return false;
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

const char *
portal_cookie_name(const struct service *service)
{
    return strncmp(service->base_url, "https://", 8) == 0 ? "__Host-affiliate_portal" : "affiliate_portal";
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
        { "affiliate", ACCESS_AFFILIATE },
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

/*
 * A browser sends the cookie whoever wrote the page: an unsafe request must also know the session's token and come
 * from our own origin.
 */
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

/* Affiliates have sessions of their own, and no tokens. */
static enum service_result
identify_affiliate(struct http_request *request, struct service_error *error)
{
    char cookie[SECRET_MAX];

    request->by_cookie = true;
    if (request_header(request, "Authorization") != NULL
        || !request_cookie(request, portal_cookie_name(request->service), cookie, sizeof(cookie)))
        return service_refuse(error, SERVICE_FORBIDDEN, "unauthenticated", "Log in first.");
    return portal_find(request->service, cookie, &request->session, error);
}

static enum service_result
identify(struct http_request *request, struct service_error *error)
{
    const char *authorization = request_header(request, "Authorization");
    char        cookie[SECRET_MAX];

    if (request->route->access & ACCESS_AFFILIATE)
        return identify_affiliate(request, error);
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
    if (request->route->access & ACCESS_API)
        return partner_authorize(request, answer);
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

/* One more than there is room for tells of too many. */
static enum MHD_Result
add_query(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct http_request *request = ctx;

    (void) kind;
    if (request->query_count++ == HTTP_QUERY_MAX)
        return MHD_NO;
    request->query[request->query_count - 1].name = name;
    request->query[request->query_count - 1].value = value == NULL ? "" : value;
    return MHD_YES;
}

static bool
is_utf8(const char *text)
{
    json_t *probe = json_string(text);

    json_decref(probe);
    return probe != NULL;
}

static bool
is_repeated(const struct http_request *request, int index)
{
    for (int i = 0; i < index; i++) {
        if (strcmp(request->query[i].name, request->query[index].name) == 0)
            return true;
    }
    return false;
}

static bool
read_query(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };

    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_query, request);
    if (request->query_count > HTTP_QUERY_MAX) {
        answer_error(answer, 400, "malformed_query", "There are more than %d parameters.", HTTP_QUERY_MAX);
        return false;
    }
    for (int i = 0; i < request->query_count; i++) {
        if (!is_utf8(request->query[i].name) || !is_utf8(request->query[i].value)) {
            answer_error(answer, 400, "malformed_query", "The parameters are no UTF-8.");
            return false;
        }
    }
    for (int i = 0; i < request->query_count; i++) {
        if ((request->route->access & TAKES_QUERY) == 0)
            service_invalid(&error, request->query[i].name, "is no parameter here");
        else if (is_repeated(request, i))
            service_invalid(&error, request->query[i].name, "is given twice");
    }
    if (error.fields == NULL)
        return true;
    answer_service(answer, SERVICE_INVALID, &error);
    return false;
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

/* The media type alone: what follows a ';' are parameters. */
static bool
is_type(const struct http_request *request, const char *wanted)
{
    const char *type = request_header(request, "Content-Type");
    size_t      len = strlen(wanted);

    return type != NULL && strncasecmp(type, wanted, len) == 0 && strchr("; \t", type[len]) != NULL;
}

bool
request_wants_csv(const struct http_request *request)
{
    const char *accept = request_header(request, "Accept");

    return accept != NULL && strncasecmp(accept, "text/csv", 8) == 0 && strchr(",; \t", accept[8]) != NULL;
}

bool
request_is_form(const struct http_request *request)
{
    return is_type(request, "application/x-www-form-urlencoded");
}

/* Every body is an object: no handler need look. */
static bool
read_body(struct http_request *request, struct http_answer *answer)
{
    struct service_error refusal = { .fields = NULL };
    json_error_t         error;

    if (request->raw_len == 0 || ((request->route->access & TAKES_FORM) && request_is_form(request)))
        return true;
    if (!is_type(request, "application/json")) {
        answer_error(answer, 415, "content_type", "The body must be application/json.");
        return false;
    }
    if (too_deep(request->raw, request->raw_len)) {
        answer_error(answer, 400, "malformed_json", "The body is nested too deeply.");
        return false;
    }
    request->body = json_loadb(request->raw, request->raw_len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (request->body == NULL) {
        answer_error(answer, 400, "malformed_json", "The body is no JSON: line %d, column %d.", error.line,
                     error.column);
        return false;
    }
    if (json_is_object(request->body))
        return true;
    answer_service(answer, service_invalid(&refusal, "body", "is no JSON object"), &refusal);
    return false;
}

#define KEY_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-"

/* Keyed: a body may hold a password, and what is stored must not help to guess it. */
static void
hash_request(struct http_request *request)
{
    const struct tracker_keys *keys = request->service->keys;
    uint8_t                    key[TRACKER_KEY_LEN];
    crypto_generichash_state   state;

    tracker_keys_derive(keys, keys->current, "affiliate request v1", NULL, 0, key);
    crypto_generichash_init(&state, key, sizeof(key), sizeof(request->once.hash));
    crypto_generichash_update(&state, (const unsigned char *) request->method, strlen(request->method) + 1);
    crypto_generichash_update(&state, (const unsigned char *) request->path, strlen(request->path) + 1);
    crypto_generichash_update(&state, (const unsigned char *) request->raw, request->raw_len);
    crypto_generichash_final(&state, request->once.hash, sizeof(request->once.hash));
    sodium_memzero(key, sizeof(key));
}

/* The key is the caller's; the hash tells whether the request under it is the same one. */
static bool
read_once(struct http_request *request, struct http_answer *answer)
{
    const char *key = request_header(request, "Idempotency-Key");

    if (key == NULL || strcmp(request->method, "POST") != 0)
        return true;
    if (strlen(key) == 0 || strlen(key) > 200 || strspn(key, KEY_ALPHABET) != strlen(key)) {
        answer_error(answer, 400, "idempotency_key", "An Idempotency-Key is 1 to 200 letters, digits and . _ ~ : -");
        return false;
    }
    snprintf(request->once_key, sizeof(request->once_key), "%s", key);
    hash_request(request);
    request->once.key = request->once_key;
    request->session.actor.once = &request->once;
    return true;
}

bool
request_read(struct http_request *request, struct http_answer *answer)
{
    return read_query(request, answer) && read_once(request, answer) && read_body(request, answer);
}

bool
request_id(const struct http_request *request, struct http_answer *answer, int param, const char *what, int64_t *id)
{
    if (view_parse_id(request->params[param], id))
        return true;
    answer_error(answer, 404, "not_found", "There is no such %s.", what);
    return false;
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

#define US_PER_DAY INT64_C(86400000000)
#define DAYS_MAX   400

/* One parameter of a period. */
static enum service_result
read_bound(const char *name, const char *value, struct http_period *period, struct service_error *error)
{
    int64_t *bound = strcmp(name, "from") == 0 ? &period->from_us : strcmp(name, "to") == 0 ? &period->to_us : NULL;

    if (bound != NULL)
        return view_parse_time_us(value, bound) ? SERVICE_OK : service_invalid(error, name, "is no RFC 3339 time");
    if (!period->takes_group || strcmp(name, "group") != 0)
        return service_invalid(error, name, "is no parameter here");
    if (strcmp(value, "day") != 0 && strcmp(value, "none") != 0)
        return service_invalid(error, name, "is none of day, none");
    period->by_day = value[0] == 'd';
    return SERVICE_OK;
}

enum service_result
request_period(const struct http_request *request, struct http_period *period, struct service_error *error)
{
    enum service_result result = SERVICE_OK;

    period->to_us = (int64_t) request->service->now_us() / US_PER_DAY * US_PER_DAY + US_PER_DAY;
    period->from_us = period->to_us - 30 * US_PER_DAY;
    for (int i = 0; i < request->query_count; i++) {
        if (read_bound(request->query[i].name, request->query[i].value, period, error) != SERVICE_OK)
            result = SERVICE_INVALID;
    }
    if (result == SERVICE_OK
        && (period->from_us >= period->to_us || period->to_us - period->from_us > DAYS_MAX * US_PER_DAY))
        result = service_invalid(error, "to", "is not after from, or more than 400 days after it");
    return result;
}
