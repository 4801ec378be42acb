/*
 * ngx_http_affiliate_request.h - what the files of the request side share:
 * the location's configuration, what a request leaves for variables and logs,
 * and how it is answered.
 */
#ifndef NGX_HTTP_AFFILIATE_REQUEST_H
#define NGX_HTTP_AFFILIATE_REQUEST_H

#include "ngx_http_affiliate.h"

#include "tracker_agent.h"
#include "tracker_cookie.h"
#include "tracker_lead.h"

typedef struct {
    ngx_flag_t enable;     /* affiliate_cookie off */
    ngx_flag_t secure;
    ngx_str_t  domain;
    ngx_str_t  attributes; /* "; Path=/; HttpOnly...": all that is the same for every cookie */
} ngx_http_affiliate_cookie_conf_t;

/* affiliate_ip: what of an address is kept */
typedef enum {
    NGX_HTTP_AFFILIATE_IP_STORE,
    NGX_HTTP_AFFILIATE_IP_TRUNCATE,
    NGX_HTTP_AFFILIATE_IP_HASH,
    NGX_HTTP_AFFILIATE_IP_OFF
} ngx_http_affiliate_ip_e;

/* affiliate_consent: who says no */
#define NGX_HTTP_AFFILIATE_SIGNAL_GPC 1u /* Sec-GPC: 1 */
#define NGX_HTTP_AFFILIATE_SIGNAL_DNT 2u /* DNT: 1 */
typedef struct {
    ngx_flag_t asked;    /* the parameter has a say, or its silence */
    ngx_uint_t signals;  /* that are heeded */
    ngx_uint_t required; /* silence means no */
    ngx_str_t  param;    /* len 0: none */
} ngx_http_affiliate_consent_conf_t;

typedef struct {
    ngx_http_complex_value_t        *code;      /* affiliate_click CODE; NULL: the rest of the URI */
    ngx_uint_t                       pathless;  /* the URI holds no code */
    ngx_http_complex_value_t        *not_found; /* affiliate_not_found URL; NULL: 404 */
    ngx_int_t                        redirect;  /* affiliate_redirect: 302, 303 or 307 */
    ngx_http_affiliate_cookie_conf_t cookie;
    ngx_uint_t                       conversion;  /* affiliate_conversion stands here */
    ngx_uint_t                       lead;        /* affiliate_lead stands here */
    ngx_msec_t                       lead_wait;   /* affiliate_lead_wait; 0: never */
    ngx_flag_t                       auth;        /* affiliate_auth */
    uint32_t                         auth_scopes; /* TRACKER_SCOPE_*, all of which it needs */
    ngx_uint_t                       status_open; /* affiliate_status open: allow and deny alone decide */
    ngx_http_complex_value_t        *token;       /* affiliate_conversion token=; NULL: none */
    ngx_http_complex_value_t        *pixel_program; /* affiliate_pixel program=; NULL: the query names it */
    ngx_uint_t                       pixel_rate;  /* a minute and address; 0: no limit */
    ngx_array_t                     *aliases;     /* affiliate_alias; this and the next two: NULL, none */
    ngx_array_t                     *values;      /* affiliate_value */
    ngx_array_t                     *defaults;    /* affiliate_default */
    ngx_array_t                     *origins;     /* affiliate_origin, of ngx_str_t; NULL: none */
    ngx_flag_t                       track;       /* affiliate_track */
    ngx_http_complex_value_t        *track_code;  /* affiliate_track CODE; NULL: the query's ref */
    ngx_http_handler_pt              handler;     /* ours for the location's content; NULL: somebody else answers */
    ngx_flag_t                       detect;      /* affiliate_detect */
    ngx_int_t                        rate;        /* affiliate_rate: clicks a minute and address; 0: any number */
    ngx_uint_t                       ip;          /* affiliate_ip: ngx_http_affiliate_ip_e */
    ngx_uint_t                       knows;       /* there is something to find out about visitors */
    ngx_http_affiliate_consent_conf_t consent;
} ngx_http_affiliate_loc_conf_t;

typedef struct ngx_http_affiliate_caller_s ngx_http_affiliate_caller_t;

/* What variables and the access log can ask for afterwards; numbers, so that it outlives the snapshot. */
typedef struct {
    uint32_t    link, campaign, affiliate, api_user; /* 0: none */
    uint32_t    flags;                               /* enum tracker_click_flag */
    const char *verdict;                             /* of a conversion, static; NULL: see the flags */
    ngx_http_affiliate_caller_t *caller;             /* of the partner API; NULL: none, or not looked at yet */
    void       *postback;                            /* conversion.c's own, while it is under way */
    unsigned    tracked:1;                           /* by affiliate_track, of which this is a part */
    struct tracker_str source;                       /* of a click; in the pool or the request's head */
    uint8_t     device;                              /* enum tracker_device */
    uint8_t     country_len;
    char        country[2];
    unsigned    unrecorded:1;
    unsigned    has_click_id:1;
    unsigned    has_lead:1;
    u_char      click_id[TRACKER_CLICK_ID_LEN];
    uint8_t     lead[TRACKER_LEAD_ID_LEN];
} ngx_http_affiliate_ctx_t;

/* The request's context, made on first use.  NULL: no memory. */
ngx_http_affiliate_ctx_t *ngx_http_affiliate_get_ctx(ngx_http_request_t *r);
/* The same of size bytes, that begins with the context and is kept through internal redirects. */
void *ngx_http_affiliate_keep_ctx(ngx_http_request_t *r, size_t size);
/* The request's context, or NULL.  A tracked one is found after internal redirects and from subrequests too. */
ngx_http_affiliate_ctx_t *ngx_http_affiliate_find_ctx(ngx_http_request_t *r);
/* The first header of that lower-case name, or NULL: for those that nginx does not know. */
ngx_str_t *ngx_http_affiliate_find_header(ngx_http_request_t *r, const char *name, size_t len);

/* ---- what a code leads to (route.c) ---- */

/* Rows and texts borrow from the snapshot of that serial. */
typedef struct {
    ngx_uint_t                   serial;   /* 0: an empty place */
    size_t                       code_len;
    u_char                       code[TRACKER_CODE_MAX];
    ngx_uint_t                   whole;    /* campaign, program and affiliate were found */
    uint32_t                     flags;    /* enum tracker_click_flag of every click on it */
    uint32_t                     macros;   /* tracker_template_macros() of the template */
    ngx_http_affiliate_link_count_t *count;  /* the link's counters in the shared zone */
    struct tracker_str           template; /* compiled: where visitors go; empty: nowhere */
    struct tracker_str           fallback; /* compiled: where they go instead; empty: nowhere */
    uint32_t                     fallback_macros;
    struct tracker_str           rules;    /* compiled: whom they send elsewhere; empty: nobody */
    ngx_uint_t                   limited;  /* link or campaign have dates or caps, and are active */
    size_t                       cookie_name_len, cookie_age_len;
    u_char                       cookie_name[sizeof(TRACKER_COOKIE_PREFIX "=") + NGX_INT32_LEN];
    u_char                       cookie_age[sizeof("; Max-Age=") + NGX_INT64_LEN]; /* until the browser closes: empty */
    struct tracker_link_row      link;
    struct tracker_campaign_row  campaign;
    struct tracker_program_row   program;
    struct tracker_affiliate_row affiliate;
} ngx_http_affiliate_route_t;

/* NULL: no link has that code.  Valid until this call of the event loop ends. */
const ngx_http_affiliate_route_t *ngx_http_affiliate_route(const struct tracker_snapshot *snapshot,
                                                           struct tracker_str code);

/* ---- who asks (agent.c) ---- */

/* Judges a User-Agent (its first TRACKER_FIELD_MAX bytes) by the list in the snapshot that this worker answers with;
 * all unknown and a person when that has no list. */
void ngx_http_affiliate_agent_classify(const struct tracker_snapshot *snapshot, struct tracker_str user_agent,
                                       struct tracker_agent *out);

/* ---- what others call our parameters (alias.c) ---- */

struct tracker_str ngx_http_affiliate_alias_find(ngx_array_t *aliases, struct tracker_str name);

/* Our name of a parameter of a query, a form or JSON; the name itself when no affiliate_alias changes it. */
static ngx_inline struct tracker_str
ngx_http_affiliate_alias(const ngx_http_affiliate_loc_conf_t *conf, struct tracker_str name)
{
    return conf->aliases == NULL ? name : ngx_http_affiliate_alias_find(conf->aliases, name);
}

/* Values of Set-Cookie, in the pool: the program's aff_<program>=first.last; evict is empty, or ends an older one. */
typedef struct {
    ngx_str_t set, evict;
} ngx_http_affiliate_cookie_lines_t;

/* ---- a visit (visit.c): the calls in the order in which they are made ---- */

/* Link and campaign have two caps each, a rule one. */
#define NGX_HTTP_AFFILIATE_VISIT_CAPS 5

/* One visit in the making; strings borrow from the request and the snapshot. */
typedef struct {
    ngx_http_request_t               *request;
    ngx_http_affiliate_loc_conf_t    *conf;
    ngx_http_affiliate_main_conf_t   *main;
    ngx_http_affiliate_ctx_t         *ctx;
    const struct tracker_snapshot    *snapshot;
    uint64_t                          time_ms;
    uint8_t                           type;     /* TRACKER_EVENT_CLICK, or what the caller makes it */
    uint8_t                           scripted; /* a script on a page asks: that is no hidden frame or image */
    struct tracker_str                code;
    struct tracker_str                cookies;
    struct tracker_str                address;  /* whole, for this visit alone: the event has what may be kept */
    ngx_uint_t                        signals;  /* NGX_HTTP_AFFILIATE_SIGNAL_*: what the headers say */
    struct tracker_str                click_id; /* points into the request's context; empty: nothing is recorded */
    struct tracker_str                deep;     /* the deep link that is followed; empty: none */
    struct tracker_click              event;
    unsigned                          counted;  /* against caps: it is recorded, and a person's */
    ngx_uint_t                        caps_taken;
    /* from here on unset at first */
    const ngx_http_affiliate_route_t *route;
    struct tracker_click_id           id;
    ngx_http_affiliate_cap_t         *caps[NGX_HTTP_AFFILIATE_VISIT_CAPS];
    uint8_t                          *space;    /* in the journal, `bound` bytes; NULL: refused */
    size_t                            bound, len;
    struct tracker_str                template; /* compiled: what was chosen */
    uint32_t                          macros;   /* of it */
    struct tracker_str                url;      /* expanded, in the pool */
    u_char                            ip[16];   /* event.ip, when that is not the whole address */
} ngx_http_affiliate_visit_t;

/* NGX_DECLINED: there is no snapshot yet. */
ngx_int_t ngx_http_affiliate_visit_begin(ngx_http_affiliate_visit_t *visit, ngx_http_request_t *r);
/* What the code's link says about the event.  NGX_DECLINED: no such link. */
ngx_int_t ngx_http_affiliate_visit_find(ngx_http_affiliate_visit_t *visit, struct tracker_str code);
/* What the request says: address, headers, parameters.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_visit_read(ngx_http_affiliate_visit_t *visit);
/* The program's cookie, a place in the journal, and the click id that names it.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_visit_identify(ngx_http_affiliate_visit_t *visit);
/* The event is complete.  When the journal refuses it, the id becomes one that says "unrecorded". */
void      ngx_http_affiliate_visit_encode(ngx_http_affiliate_visit_t *visit);
/* The cookie in the answer, unless it must not be set.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_visit_remember(ngx_http_affiliate_visit_t *visit);
/* The same for who adds it later.  NGX_DECLINED: it must not be set. */
ngx_int_t ngx_http_affiliate_visit_cookies(ngx_http_affiliate_visit_t *visit, ngx_http_affiliate_cookie_lines_t *lines);
/* Nothing can fail any more: from here on the visit is recorded and counted. */
void      ngx_http_affiliate_visit_commit(ngx_http_affiliate_visit_t *visit);

/* params.c: the query's parameters into the event.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_visit_params(ngx_http_affiliate_visit_t *visit);
/* The code that a landing page's query names as ref or under one of its aliases; empty: none. */
struct tracker_str ngx_http_affiliate_visit_ref(ngx_http_request_t *r, const ngx_http_affiliate_loc_conf_t *conf);
/* Whether a parameter of that (decoded) name means something to us: it is never passed on. */
ngx_uint_t ngx_http_affiliate_param_ours(ngx_http_affiliate_visit_t *visit, struct tracker_str name);

/* destination.c: judges event.deep, which is not empty, once visit->template is chosen, and before the event is
 * encoded. */
void      ngx_http_affiliate_deep(ngx_http_affiliate_visit_t *visit);
/* Makes visit->url of visit->template, or of visit->deep.  NGX_ERROR: too long, or no memory. */
ngx_int_t ngx_http_affiliate_destination(ngx_http_affiliate_visit_t *visit);

/* ---- where a visit goes (route.c, cap.c) ---- */

/* Dates and caps, once the visitor is known: destination or fallback into visit->template.  NGX_DECLINED: nowhere. */
ngx_int_t ngx_http_affiliate_route_admit(ngx_http_affiliate_visit_t *visit);
/* The link's rules, once the visit has its id: a rule's target into visit->template. */
void      ngx_http_affiliate_route_choose(ngx_http_affiliate_visit_t *visit);

/* Persisted in the shared zone across reloads; a cap_total's is one higher than its cap_day's. */
typedef enum {
    NGX_HTTP_AFFILIATE_CAP_LINK = 1,
    NGX_HTTP_AFFILIATE_CAP_CAMPAIGN = 3,
    NGX_HTTP_AFFILIATE_CAP_RULE = 5
} ngx_http_affiliate_cap_e;

/* One visit more, if it counts; NGX_DECLINED: the cap is reached. */
ngx_int_t ngx_http_affiliate_cap_limits(ngx_http_affiliate_visit_t *visit, ngx_http_affiliate_cap_e kind,
                                        uint32_t id, const struct tracker_limits *limits);
ngx_int_t ngx_http_affiliate_cap_rule(ngx_http_affiliate_visit_t *visit, uint32_t link, ngx_uint_t rule,
                                      uint32_t cap_day);
/* Gives back what the visit took: it did not get through. */
void      ngx_http_affiliate_cap_release(ngx_http_affiliate_visit_t *visit);

/* ---- who is it (visitor.c), and what may be kept (privacy.c) ---- */

/* Place, network, agent and rate, into the event; only when conf->knows. */
void ngx_http_affiliate_know(ngx_http_affiliate_visit_t *visit);

/* True when affiliate_consent says that nothing personal may be kept. */
ngx_uint_t ngx_http_affiliate_consent_missing(ngx_http_affiliate_visit_t *visit);
/* The same for a request that is no visit; false: it has said no. */
ngx_uint_t ngx_http_affiliate_consents(ngx_http_request_t *r, ngx_http_affiliate_loc_conf_t *conf);
/* Takes out of the event what may not be kept without consent; doing it twice does no harm. */
void ngx_http_affiliate_forget(struct tracker_click *event);
/* What may be kept of an address (4 or 16 bytes, or none): in out, or the address itself; *form is what it is. */
struct tracker_str ngx_http_affiliate_kept_address(ngx_uint_t ip, const struct tracker_keys *keys,
                                                   uint64_t time_ms, struct tracker_str address,
                                                   u_char out[16], uint8_t *form);
/* The kept address as {ip} shows it; buf holds NGX_SOCKADDR_STRLEN bytes. */
struct tracker_str ngx_http_affiliate_address_text(const struct tracker_click *event, u_char *buf);

extern ngx_conf_enum_t ngx_http_affiliate_ip_names[];

/* ---- setters and checks (conf.c, location.c, zone.c) ---- */

/* True when arg begins with name; rest is what follows. */
ngx_uint_t ngx_http_affiliate_option(ngx_str_t *arg, const char *name, ngx_str_t *rest);

void *ngx_http_affiliate_create_main_conf(ngx_conf_t *cf);
char *ngx_http_affiliate_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_affiliate_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_affiliate_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

char *ngx_http_affiliate_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_journal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_click(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_cookie_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_impression(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_script(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_track(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
/* Puts affiliate_track's handler and filter in place, where it is used. */
ngx_int_t ngx_http_affiliate_track_install(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf);
char *ngx_http_affiliate_set_conversion(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_lead(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_pixel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_form(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_value(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_default(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_geoip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_consent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_affiliate_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* A value that may hold variables. */
char *ngx_http_affiliate_compile(ngx_conf_t *cf, ngx_str_t *text, ngx_http_complex_value_t **value);
/* Sets the location's handler and where it finds its code: the argument behind `skip` others, or the URI. */
char *ngx_http_affiliate_take_visits(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_affiliate_loc_conf_t *alcf,
                                     ngx_http_handler_pt handler, ngx_uint_t skip);

extern ngx_conf_post_t ngx_http_affiliate_edge_post;
extern ngx_conf_post_t ngx_http_affiliate_snapshot_post;
extern ngx_conf_post_t ngx_http_affiliate_redirect_post;
extern ngx_conf_post_t ngx_http_affiliate_lead_wait_post;

/* Adds the shared zone; name and size were checked. NGX_CONF_ERROR: said in the log. */
char *ngx_http_affiliate_add_zone(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf, ngx_str_t *name,
                                  size_t size, ngx_uint_t links);

/* Gauges to 0 and the owner's pid (0: nobody); counters live on. */
void ngx_http_affiliate_slot_reset(ngx_http_affiliate_slot_t *slot, ngx_pid_t pid);

ngx_int_t ngx_http_affiliate_add_variables(ngx_conf_t *cf);

/* ---- reload.c: says what a reload strands ---- */

ngx_int_t ngx_http_affiliate_init_module(ngx_cycle_t *cycle);

/* ---- content handlers ---- */

ngx_int_t ngx_http_affiliate_click_handler(ngx_http_request_t *r);
/* Whether it may be a visit; click_method() answers what is none. */
#define ngx_http_affiliate_visits(r) ((r)->method & (NGX_HTTP_GET | NGX_HTTP_HEAD) && (r) == (r)->main)
ngx_int_t ngx_http_affiliate_click_method(ngx_http_request_t *r);
/* The status for nginx to answer, not to be cached. */
ngx_int_t ngx_http_affiliate_refuse(ngx_http_request_t *r, ngx_int_t status);
/* The code as the location says; empty when it is too long for one.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_click_code(ngx_http_affiliate_visit_t *visit, struct tracker_str *found);
ngx_int_t ngx_http_affiliate_json_handler(ngx_http_request_t *r);
/* Whether a page of that origin lies on the very host that is asked. */
ngx_uint_t ngx_http_affiliate_origin_own(ngx_http_request_t *r, ngx_str_t *origin);
ngx_int_t ngx_http_affiliate_impression_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_script_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_conversion_handler(ngx_http_request_t *r);
/* Phase handler: takes a POST where another module's content handler answers the other methods. */
ngx_int_t ngx_http_affiliate_conversion_precontent(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_lead_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_lead_precontent(ngx_http_request_t *r);
/* Access phase: affiliate_auth. */
ngx_int_t ngx_http_affiliate_gate_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_pixel_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_form_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_status_handler(ngx_http_request_t *r);

/* ---- status.c, metrics.c ---- */

/* What all workers together say.  Ages count from the zone's start when there is no event to count from. */
typedef struct {
    ngx_uint_t workers;
    uint64_t   version;         /* the oldest in use; 0: a worker has none */
    uint64_t   generation;
    uint64_t   snapshot_age_ms; /* of that snapshot; 0: none */
    uint64_t   checked_age_ms;
    uint64_t   ack_age_ms;
    uint64_t   pending_age_ms;  /* of the oldest record that is not committed; 0: none */
    uint64_t   beat_age_ms;
    uint64_t   uptime_ms;
} ngx_http_affiliate_state_t;

void ngx_http_affiliate_state(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_state_t *state);

/* The edge's state in Prometheus's text format, in r->pool. */
ngx_int_t ngx_http_affiliate_metrics(ngx_http_request_t *r, ngx_http_affiliate_main_conf_t *amcf,
                                     ngx_str_t *text);
extern ngx_str_t ngx_http_affiliate_metrics_type; /* Content-Type */

/* The client's address, 4 or 16 raw bytes, as the realip module left it; empty for a unix socket. */
struct tracker_str ngx_http_affiliate_address(ngx_connection_t *c);

/* Did `who` come `limit` times in this minute already, over all workers?  If not, and if take says so, this is once
 * more.  limit 0: never.  When the table is full of others, nobody is turned away. */
ngx_uint_t ngx_http_affiliate_rate_over(ngx_http_affiliate_rates_t *rates, uint32_t who, uint32_t limit,
                                        ngx_uint_t take);

/* ---- cookie.c ---- */

/* All Cookie lines as one value; borrowed, or joined in r->pool when there are several. */
struct tracker_str ngx_http_affiliate_cookies(ngx_http_request_t *r);
ngx_int_t ngx_http_affiliate_cookie_lines(ngx_http_request_t *r, struct tracker_str cookies,
                                          const ngx_http_affiliate_route_t *route, const char *first,
                                          const char *last, ngx_http_affiliate_cookie_lines_t *lines);
ngx_int_t ngx_http_affiliate_add_cookies(ngx_http_request_t *r, ngx_http_affiliate_cookie_lines_t *lines);

/* ---- answer.c ---- */

/* Why a request was refused; the table of them is in answer.c and docs/errors.md. */
typedef struct {
    ngx_uint_t  status;
    const char *code;
    const char *message;
    ngx_str_t   body; /* of the answer: {"error":{...}} and a newline */
} ngx_http_affiliate_error_t;

#define NGX_HTTP_AFFILIATE_ERRORS(X)                                                                           \
    X(NO_MEMORY, 500, "internal", "The server is out of memory.")                                              \
    X(METHOD, 405, "method_not_allowed", "See Allow for the methods that this address takes.")                 \
    X(KEY_MISSING, 401, "key_missing",                                                                         \
      "Send an API key as 'Authorization: Bearer KEY', 'X-Api-Key: KEY' or 'authtoken: KEY'.")                 \
    X(KEY_UNKNOWN, 401, "key_unknown", "No such API key, or it was revoked.")                                  \
    X(KEY_EXPIRED, 403, "key_expired", "The API key has expired.")                                             \
    X(USER_PAUSED, 403, "user_paused", "The API user is paused.")                                              \
    X(SIGNATURE_INVALID, 401, "signature_invalid",                                                             \
      "The signature does not match, or its ts is more than five minutes from now.")                           \
    X(IP_DENIED, 403, "ip_denied", "This API user may not send from this address.")                            \
    X(SCOPE_DENIED, 403, "scope_denied", "This API key may not do that: it needs another role or scope.")      \
    X(RATE_LIMITED, 429, "rate_limited", "Too many requests in this minute.")                                  \
    X(BODY_TOO_LARGE, 413, "body_too_large", "The body is larger than 64 KiB, or a batch than 1 MiB.")         \
    X(BODY_TYPE, 415, "body_type_unsupported",                                                                 \
      "Send application/x-www-form-urlencoded or application/json.")                                           \
    X(BODY_UNREADABLE, 400, "body_unreadable", "The body could not be read.")                                  \
    X(JSON_MALFORMED, 400, "json_malformed", "The body is not one valid JSON object without repeated names.")  \
    X(JSON_TYPE, 400, "json_type_wrong",                                                                       \
      "Parameters are JSON strings or whole numbers; write an amount as a string such as \\\"12.34\\\".")      \
    X(FIELD_TOO_LONG, 400, "parameter_too_long", "A parameter is longer than 512 bytes.")                      \
    X(FIELD_BYTES, 400, "parameter_malformed",                                                                 \
      "Parameters are UTF-8 text without control characters.")                                                 \
    X(FIELD_TWICE, 400, "parameter_repeated", "A parameter that has one value stands there twice.")              \
    X(BATCH_SIZE, 400, "batch_size_invalid", "A batch has 1 to 1,000 items.")                            \
    X(CLICK_ID_MISSING, 400, "click_id_missing",                                                               \
      "Send click_id, coupon or customer; with a status other than pending a txid is enough.")                 \
    X(CLICK_ID_INVALID, 400, "click_id_invalid", "That is not a click id of this platform.")                   \
    X(EVENT_INVALID, 400, "event_invalid", "An event is 1 to 32 characters of a-z, 0-9 and _.")                \
    X(AMOUNT_INVALID, 400, "amount_invalid", "An amount is digits with an optional fraction, such as 12.34.")  \
    X(AMOUNT_NEGATIVE, 400, "amount_negative", "An amount cannot be negative.")                                \
    X(AMOUNT_PRECISE, 400, "amount_too_precise", "The amount has more decimals than its currency.")            \
    X(AMOUNT_RANGE, 400, "amount_out_of_range", "The amount is too large.")                                    \
    X(CURRENCY_INVALID, 400, "currency_invalid", "The currency is not a code of ISO 4217.")                    \
    X(CURRENCY_ALONE, 400, "amount_missing", "A currency was given without an amount.")                        \
    X(STATUS_INVALID, 400, "status_invalid",                                                                   \
      "A status is pending, approved, rejected, refund, chargeback or chargeback_won.")                        \
    X(TXID_MISSING, 400, "txid_missing",                                                                       \
      "Send txid: without a click id nothing else tells a repetition from a second sale.")                     \
    X(REFUND_ID_MISSING, 400, "refund_id_missing", "A refund or chargeback of an amount needs a refund_id.")   \
    X(PROGRAM_UNKNOWN, 400, "program_unknown", "The pixel names no program of this platform.")                 \
    X(TIME_INVALID, 400, "event_time_invalid",                                                                 \
      "event_time is RFC 3339 or seconds since 1970, at most a year ago and not in the future.")               \
    X(CONTACT_MISSING, 400, "contact_missing", "A lead has an email or a phone.")                              \
    X(EMAIL_INVALID, 400, "email_invalid", "That is not an e-mail address.")                                   \
    X(PHONE_INVALID, 400, "phone_invalid",                                                                     \
      "A phone number has 6 to 20 digits, spaces, any of ( ) - . / and perhaps a + before them.")              \
    X(COUNTRY_INVALID, 400, "country_invalid", "A country is one of ISO 3166-1, two letters.")                 \
    X(IP_INVALID, 400, "ip_invalid", "That is neither an IPv4 nor an IPv6 address.")                           \
    X(TEST_INVALID, 400, "test_invalid", "A lead's test is true or false.")                                    \
    X(FIELD_NAME, 400, "field_name_invalid",                                                                   \
      "A field's name begins with a letter and has 1 to 64 of a-z, 0-9 and _.")                                \
    X(FIELD_TYPE, 400, "field_type_wrong",                                                                     \
      "A field is a string, a whole number, true, false, null, or an array of strings: nothing deeper.")       \
    X(IDEMPOTENCY_KEY, 400, "idempotency_key_invalid",                                                         \
      "An Idempotency-Key has 1 to 128 printable characters of ASCII; with a batch, to 123.")                  \
    X(LEAD_TOO_LARGE, 413, "lead_too_large",                                                                   \
      "A lead has at most 256 fields of 4,096 bytes each and 12 KiB together.")                                \
    X(IDEMPOTENCY_REUSED, 409, "idempotency_key_reused", "That Idempotency-Key was another lead's.")           \
    X(LEAD_DUPLICATE, 409, "lead_duplicate", "This person is a lead already.")                                 \
    X(LEAD_INVALID, 422, "lead_invalid", "Neither the e-mail address nor the phone number can be a person's.") \
    X(LINK_UNKNOWN, 404, "link_unknown", "No link has that code.")                                             \
    X(ORIGIN_DENIED, 403, "origin_denied",                                                                     \
      "This page's host is neither one of the campaign's nor named by affiliate_origin.")                      \
    X(FORM_UNKNOWN, 404, "form_unknown", "There is no such form.")                                             \
    X(FORM_CLOSED, 404, "form_closed", "This form is not open at the moment.")                                 \
    X(FORM_BODY_TYPE, 415, "form_type_unsupported",                                                            \
      "Send application/x-www-form-urlencoded, multipart/form-data or application/json.")                      \
    X(MULTIPART_MALFORMED, 400, "multipart_malformed", "The body is not multipart/form-data with its boundary.") \
    X(FORM_FILE, 400, "file_refused", "Forms take no files.")                                                  \
    X(FORM_ORIGIN, 403, "form_origin_denied", "Scripts of this page may not send this form.")                  \
    X(FORM_TOKEN, 422, "form_token_invalid",                                                                   \
      "The form was open for more than a day, or came without its token: load it again.")                      \
    X(FIELDS_INVALID, 422, "fields_invalid", "Some fields are missing or invalid.")                            \
    X(STARTING, 503, "starting", "The edge has no configuration yet. Try again shortly.")                      \
    X(UNAVAILABLE, 503, "unavailable", "It could not be stored. Try again shortly.")

#define NGX_HTTP_AFFILIATE_ENUM(name, status, code, message) NGX_HTTP_AFFILIATE_ERROR_##name,
typedef enum {
    NGX_HTTP_AFFILIATE_ERRORS(NGX_HTTP_AFFILIATE_ENUM)
    NGX_HTTP_AFFILIATE_ERROR_COUNT
} ngx_http_affiliate_error_e;
#undef NGX_HTTP_AFFILIATE_ENUM

extern const ngx_http_affiliate_error_t ngx_http_affiliate_errors[NGX_HTTP_AFFILIATE_ERROR_COUNT];
#define ngx_http_affiliate_error(name) (&ngx_http_affiliate_errors[NGX_HTTP_AFFILIATE_ERROR_##name])

/* Writes number in decimal, at most NGX_INT64_LEN bytes; returns the byte after it. */
u_char *ngx_http_affiliate_number(u_char *p, uint64_t number);

/* The headers that a refusal of that status owes: Allow, WWW-Authenticate, Retry-After.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_add_hints(ngx_http_request_t *r, ngx_uint_t status);

/* key is a literal; value must live as long as the request. */
ngx_int_t ngx_http_affiliate_add_header(ngx_http_request_t *r, const char *key, size_t key_len,
                                        ngx_str_t *value);
#define ngx_http_affiliate_add_literal(r, key, literal)                                                        \
    ngx_http_affiliate_add_header(r, key, sizeof(key) - 1, &(ngx_str_t) ngx_string(literal))

/* Each sends a whole answer, not to be cached, and returns what a content handler
 * returns (or ngx_http_finalize_request takes). */
ngx_int_t ngx_http_affiliate_send_text(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type,
                                       ngx_str_t *body);
ngx_int_t ngx_http_affiliate_send_json(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *body);
/* As send_text, for what may be cached. */
ngx_int_t ngx_http_affiliate_send_body(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type, ngx_str_t *body);
ngx_int_t ngx_http_affiliate_send_error(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error);
/* The same, naming the field to blame; field holds no byte that JSON would want escaped; empty: none. */
ngx_int_t ngx_http_affiliate_send_field_error(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error,
                                              struct tracker_str field);
/* The error's object alone, at most error_len bytes; returns the byte after it. */
u_char *ngx_http_affiliate_error_text(u_char *p, const ngx_http_affiliate_error_t *error, struct tracker_str field);
size_t  ngx_http_affiliate_error_len(const ngx_http_affiliate_error_t *error, struct tracker_str field);
ngx_int_t ngx_http_affiliate_send_empty(ngx_http_request_t *r, ngx_uint_t status);
/* One transparent pixel. */
ngx_int_t ngx_http_affiliate_send_gif(ngx_http_request_t *r);

/* Counts a refusal under its code; send_error does by itself. */
void ngx_http_affiliate_count_error(const ngx_http_affiliate_error_t *error);

#endif
