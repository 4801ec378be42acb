/*
 * http.h - one request, one answer, one table of routes; private to src/http.
 */
#ifndef AFFILIATED_HTTP_HTTP_H
#define AFFILIATED_HTTP_HTTP_H

#include <microhttpd.h>

#include "service/partner.h"
#include "service/people.h"

#define HTTP_BODY_MAX   (1u << 20)
#define HTTP_PARAMS_MAX 3
#define HTTP_QUERY_MAX  24

/* Who may call a route, and what it takes.  The table in routes.c is the single source. */
enum http_access {
    ACCESS_ADMIN = 1u << 0,
    ACCESS_FINANCE = 1u << 1,
    ACCESS_MANAGER = 1u << 2,
    ACCESS_AGENT = 1u << 3,
    ACCESS_VIEWER = 1u << 4,
    ACCESS_AFFILIATE = 1u << 5, /* by a session of the portal; such a route is nobody else's */
    ACCESS_API = 1u << 14,    /* an API user's key, with the scope that is in the bits above: API_SCOPE() */
    ACCESS_PUBLIC = 1u << 15, /* nobody need be logged in */
    TAKES_QUERY = 1u << 16,   /* elsewhere a query is refused */
    TAKES_FORM = 1u << 17     /* a browser's form, besides JSON */
};
#define API_SCOPE_SHIFT  20
#define API_SCOPE(scope) (ACCESS_API | (scope) << API_SCOPE_SHIFT)
#define ACCESS_STAFF (ACCESS_ADMIN | ACCESS_FINANCE | ACCESS_MANAGER | ACCESS_AGENT | ACCESS_VIEWER)
#define ACCESS_WRITE (ACCESS_ADMIN | ACCESS_MANAGER)
#define ACCESS_MONEY (ACCESS_ADMIN | ACCESS_FINANCE)

struct resource;

struct http_request {
    const struct service   *service;
    const struct http_route *route;
    struct MHD_Connection  *connection;
    const char             *method, *path;
    char                    params[HTTP_PARAMS_MAX][72]; /* what {..} of the pattern matched */
    struct session          session;                     /* of the caller, unless the route is public */
    struct partner          partner;                     /* likewise, of ACCESS_API */
    bool                    by_cookie;
    struct once             once;                        /* of the Idempotency-Key */
    char                    once_key[256];
    json_t                 *body;                        /* an object; NULL when none was sent */
    char                   *raw;
    size_t                  raw_len;
    int                     query_count;
    struct { const char *name, *value; } query[HTTP_QUERY_MAX]; /* valid UTF-8, each name once */
    bool                  (*ready)(void *ctx);
    void                   *ready_ctx;
};

struct http_answer {
    int         status;
    json_t     *json;         /* owned; sent as the body when set */
    const char *text;         /* else this static or request-long text, of content_type */
    char       *owned_text;   /* freed after sending */
    const char *content_type;
    int64_t     etag;         /* 0: none */
    char        set_cookie[256];
    char        allow[64];
    char        location[128];
    unsigned    retry_after_s;
};

typedef void (*http_handler)(struct http_request *request, struct http_answer *answer);

struct http_route {
    const char  *method;
    const char  *pattern;    /* "/api/admin/v1/affiliates/{id}" */
    unsigned     access;     /* bits of enum http_access */
    http_handler handler;
    const struct resource *resource;
};

extern const struct http_route http_route_table[]; /* ends with method NULL */

/* ---- answers (answer.c) ---- */

/* Steals json; NULL (no memory, or text that is no UTF-8) becomes a 500. */
void answer_json(struct http_answer *answer, int status, json_t *json);
void answer_error(struct http_answer *answer, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* What a service said, as an answer; clears *error. */
void answer_service(struct http_answer *answer, enum service_result result, struct service_error *error);
int  answer_status(enum service_result result);
/* A table; steals text. */
void answer_csv(struct http_answer *answer, char *text);
/* One object with its ETag, or the service's refusal. Steals object. */
void answer_object(struct http_answer *answer, int status, enum service_result result, json_t *object,
                   struct service_error *error);
/* The same with 201 and the object's own address. */
void answer_created(const struct http_request *request, struct http_answer *answer, enum service_result result,
                    json_t *object, struct service_error *error);

/* ---- pages (pages.c) ---- */

#define PAGE_HEAD                                                                                                    \
    "<meta charset=utf-8><meta name=viewport content=\"width=device-width\">"                                        \
    "<meta name=robots content=noindex><style>"                                                                      \
    "body{font:16px/1.5 system-ui;max-width:40em;margin:10vh auto;padding:0 1em;color-scheme:light dark}"            \
    "input,button{font:inherit;padding:.5em;width:100%;box-sizing:border-box;margin:.2em 0 1em}"                     \
    "code{word-break:break-all}</style>"

void answer_html(struct http_answer *answer, int status, const char *html);

/* ---- requests (request.c) ---- */

/* Each of these three makes an answer when it says false. */
bool request_route(struct http_request *request, struct http_answer *answer);     /* 404, 405 */
bool request_authorize(struct http_request *request, struct http_answer *answer); /* session or token, CSRF, role */
bool request_read(struct http_request *request, struct http_answer *answer);      /* query, Idempotency-Key, body */
const char *request_header(const struct http_request *request, const char *name);
/* The number in params[param]; false: it is none that could exist, 404 is answered. */
bool request_id(const struct http_request *request, struct http_answer *answer, int param, const char *what, int64_t *id);
struct http_period {
    bool    takes_group; /* in: group=day|none is a parameter too */
    int64_t from_us, to_us;
    bool    by_day;
};
/* from= and to=, of the last 30 days, today included, unless they say otherwise; at most 400. */
enum service_result request_period(const struct http_request *request, struct http_period *period,
                                   struct service_error *error);
/* If-Match as a version: 0 when not sent or "*"; -1 when it is no version of ours (never matches). */
int64_t request_version(const struct http_request *request);
/* The session's cookie name: the __Host- one where the site is https. */
const char *session_cookie_name(const struct service *service);
/* Whether a list is asked for as a table: Accept names text/csv. */
bool request_wants_csv(const struct http_request *request);
/* Likewise of affiliates' sessions. */
const char *portal_cookie_name(const struct service *service);
/* A browser's form rather than JSON. */
bool request_is_form(const struct http_request *request);
/* A cookie of the request into out (cap bytes); false: not there or too long. */
bool request_cookie(const struct http_request *request, const char *name, char *out, size_t cap);

/* page_size, cursor and sort are the frame's; every other parameter must be a filter.  False: *error is filled. */
bool query_fill(const struct http_request *request, struct list_query *query, struct service_error *error);

/* ---- the partner API (partner.c) ---- */

/* An API user's key; makes an answer when it says false. */
bool partner_authorize(struct http_request *request, struct http_answer *answer);
void partner_leads(struct http_request *request, struct http_answer *answer);
void partner_lead_one(struct http_request *request, struct http_answer *answer);
void partner_lead_statuses(struct http_request *request, struct http_answer *answer);
void partner_conversions(struct http_request *request, struct http_answer *answer);
void partner_stats_show(struct http_request *request, struct http_answer *answer);
void partner_autologin_redeem(struct http_request *request, struct http_answer *answer);

/* ---- resources (resource.c): what every list and object has in common ---- */

struct resource {
    const char             *name;   /* for messages: "affiliate" */
    const struct list_spec *list;
    enum service_result (*create)(const struct service *, const struct actor *, const json_t *, json_t **,
                                  struct service_error *);
    enum service_result (*edit)(const struct service *, const struct actor *, int64_t, int64_t, const json_t *,
                                json_t **, struct service_error *);
    enum service_result (*act)(const struct service *, const struct actor *, int64_t, const char *, const char *,
                               json_t **, struct service_error *);
};

void resource_list(struct http_request *request, struct http_answer *answer);
void resource_get(struct http_request *request, struct http_answer *answer);
void resource_create(struct http_request *request, struct http_answer *answer);
void resource_edit(struct http_request *request, struct http_answer *answer);
void resource_archive(struct http_request *request, struct http_answer *answer);
void resource_bulk(struct http_request *request, struct http_answer *answer);
/* The same with a step of the resource's own, whose parameters are read already. */
typedef enum service_result (*bulk_step)(struct http_request *request, int64_t id, const void *ctx,
                                         struct service_error *error);
void resource_bulk_each(struct http_request *request, struct http_answer *answer, bulk_step step, const void *ctx);
/* Members of the body, else an answer is made: text (NULL when absent and not required). False: answered. */
bool body_text(const struct http_request *request, struct http_answer *answer, const char *name, bool required,
               const char **text);
/* Every member of the body is one of names (NULL-terminated); an absent body counts as {}. False: answered. */
bool body_only(const struct http_request *request, struct http_answer *answer, const char *const names[]);

/* ---- forms (forms.c) ---- */

void form_code(struct http_request *request, struct http_answer *answer);
void form_look(struct http_request *request, struct http_answer *answer);

/* ---- the rest (actions.c, session.c, pages.c) ---- */

void api_user_key_add(struct http_request *request, struct http_answer *answer);
void api_user_secret_renew(struct http_request *request, struct http_answer *answer);
void api_user_key_revoke(struct http_request *request, struct http_answer *answer);
void conflict_resolve_one(struct http_request *request, struct http_answer *answer);
void payout_create_one(struct http_request *request, struct http_answer *answer);
void payout_submit_one(struct http_request *request, struct http_answer *answer);
void payout_pay_one(struct http_request *request, struct http_answer *answer);
void payout_cancel_one(struct http_request *request, struct http_answer *answer);
void portal_login(struct http_request *request, struct http_answer *answer);
void portal_show(struct http_request *request, struct http_answer *answer);
void portal_logout(struct http_request *request, struct http_answer *answer);
void portal_dashboard_show(struct http_request *request, struct http_answer *answer);
void lead_bulk(struct http_request *request, struct http_answer *answer);
void lead_note_one(struct http_request *request, struct http_answer *answer);
void lead_convert_one(struct http_request *request, struct http_answer *answer);
void lead_erase_one(struct http_request *request, struct http_answer *answer);
void lead_export_one(struct http_request *request, struct http_answer *answer);
void lead_report_show(struct http_request *request, struct http_answer *answer);
void confirm_page(struct http_request *request, struct http_answer *answer);
void confirm_submit(struct http_request *request, struct http_answer *answer);
void outbox_resend_one(struct http_request *request, struct http_answer *answer);
void trader_invite_one(struct http_request *request, struct http_answer *answer);
void trader_account_one(struct http_request *request, struct http_answer *answer);
void trader_affiliate_one(struct http_request *request, struct http_answer *answer);
void invite_page(struct http_request *request, struct http_answer *answer);
void invite_submit(struct http_request *request, struct http_answer *answer);
void settings_show(struct http_request *request, struct http_answer *answer);
void settings_change(struct http_request *request, struct http_answer *answer);
void dashboard_show(struct http_request *request, struct http_answer *answer);
void session_login(struct http_request *request, struct http_answer *answer);
void session_show(struct http_request *request, struct http_answer *answer);
void session_logout(struct http_request *request, struct http_answer *answer);
void setup_page(struct http_request *request, struct http_answer *answer);
void setup_submit(struct http_request *request, struct http_answer *answer);
void welcome_page(struct http_request *request, struct http_answer *answer);
void health(struct http_request *request, struct http_answer *answer);
void readiness(struct http_request *request, struct http_answer *answer);
void openapi_document(struct http_request *request, struct http_answer *answer);

#endif
