/*
 * ngx_http_affiliate_click.c - a click: look up, remember, record, redirect.
 *
 * The whole path runs within one call on the event loop: no system call, no lock,
 * no memory but the request's pool.  The event is written straight into the journal's mapping and
 * committed before the answer is sent; everything that can fail comes before the commit.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

/* One click in the making; strings borrow from the request and the snapshot. */
typedef struct {
    ngx_http_request_t             *request;
    ngx_http_affiliate_loc_conf_t  *conf;
    ngx_http_affiliate_ctx_t       *ctx;
    const struct tracker_snapshot  *snapshot;
    uint64_t                        time_ms;
    struct tracker_str              code;
    struct tracker_str              cookies;
    struct tracker_str              click_id; /* points into the request's context; empty for HEAD */
    struct tracker_click            event;
    /* from here on unset at first */
    const ngx_http_affiliate_route_t *route;
    struct tracker_str              url;      /* expanded, in the pool */
    struct tracker_cookie           cookie;   /* when the event says REPEAT */
} ngx_http_affiliate_visit_t;

static ngx_int_t ngx_http_affiliate_click_method(ngx_http_request_t *r);
static ngx_int_t ngx_http_affiliate_click_unavailable(ngx_http_request_t *r);
static ngx_int_t ngx_http_affiliate_click_code(ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_not_found(ngx_http_affiliate_visit_t *visit);
static void      ngx_http_affiliate_click_begin(ngx_http_affiliate_visit_t *visit);
static void      ngx_http_affiliate_click_headers(ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_query(ngx_http_affiliate_visit_t *visit);
static struct tracker_str *ngx_http_affiliate_click_field(struct tracker_click *event,
                                                          struct tracker_str name);
static void      ngx_http_affiliate_click_cookie(ngx_http_affiliate_visit_t *visit,
                                                 const struct tracker_keys *keys);
static ngx_int_t ngx_http_affiliate_click_record(ngx_http_affiliate_visit_t *visit);
static size_t    ngx_http_affiliate_click_name(ngx_http_affiliate_visit_t *visit,
                                               const struct tracker_keys *keys);
static ngx_int_t ngx_http_affiliate_click_answer(ngx_http_affiliate_visit_t *visit);
static size_t    ngx_http_affiliate_click_bound(const ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_expand(ngx_http_affiliate_visit_t *visit);
static struct tracker_str ngx_http_affiliate_decimal(u_char *buf, uint64_t number);
static uint64_t  ngx_http_affiliate_random(void);
static struct tracker_str ngx_http_affiliate_language(struct tracker_str accept);
static ngx_int_t ngx_http_affiliate_redirect(ngx_http_request_t *r, struct tracker_str url);

ngx_int_t
ngx_http_affiliate_click_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_affiliate_visit_t visit;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return ngx_http_affiliate_click_method(r);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    /* the rest is filled before it is read: only what is read unset needs to be zero */
    ngx_memzero(&visit, offsetof(ngx_http_affiliate_visit_t, route));
    visit.request = r;
    visit.conf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    visit.snapshot = ngx_http_affiliate_snapshot();
    if (visit.snapshot == NULL) {
        return ngx_http_affiliate_click_unavailable(r);
    }

    if (ngx_http_affiliate_click_code(&visit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    visit.route = ngx_http_affiliate_route(visit.snapshot, visit.code);
    if (visit.route == NULL) {
        ngx_http_affiliate_count(CLICKS_UNKNOWN);
        return ngx_http_affiliate_click_not_found(&visit);
    }
    if (visit.route->template.len == 0) {
        ngx_http_affiliate_count(CLICKS_REFUSED);
        return ngx_http_affiliate_click_not_found(&visit);
    }

    ngx_http_affiliate_click_begin(&visit);
    ngx_http_affiliate_click_headers(&visit);
    if (r->args.len != 0 && ngx_http_affiliate_click_query(&visit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_click_record(&visit);
}

/* OPTIONS asks, it does not click; whatever else is not a visit. */
static ngx_int_t
ngx_http_affiliate_click_method(ngx_http_request_t *r)
{
    ngx_int_t rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }
    if (ngx_http_affiliate_add_literal(r, "Allow", "GET, HEAD, OPTIONS") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (r->method != NGX_HTTP_OPTIONS) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_NO_CONTENT);
}

static ngx_int_t
ngx_http_affiliate_click_unavailable(ngx_http_request_t *r)
{
    ngx_http_affiliate_count(CLICKS_REFUSED);
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "affiliate: no snapshot yet, a click cannot be answered: does \"affiliated\" run, "
                  "on the same Redis and with the same keys?");
    if (ngx_http_affiliate_add_literal(r, "Retry-After", "2") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return NGX_HTTP_SERVICE_UNAVAILABLE;
}

static ngx_int_t
ngx_http_affiliate_click_code(ngx_http_affiliate_visit_t *visit)
{
    size_t                    prefix;
    ngx_str_t                 code;
    ngx_http_request_t       *r = visit->request;
    ngx_http_core_loc_conf_t *clcf;

    if (visit->conf->code != NULL) {
        if (ngx_http_complex_value(r, visit->conf->code, &code) != NGX_OK) {
            return NGX_ERROR;
        }
    } else {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        prefix = ngx_min(clcf->name.len, r->uri.len);
        code.data = r->uri.data + prefix;
        code.len = r->uri.len - prefix;
    }

    /* longer than any code: no look-up needs to see it */
    visit->code = (struct tracker_str){ (char *) code.data, code.len <= TRACKER_CODE_MAX ? code.len : 0 };
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_click_not_found(ngx_http_affiliate_visit_t *visit)
{
    ngx_str_t           url;
    ngx_http_request_t *r = visit->request;

    if (visit->conf->not_found == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }
    if (ngx_http_complex_value(r, visit->conf->not_found, &url) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* variables may hold anything a client sent: no control byte gets into a header */
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] < 0x21 || url.data[i] == 0x7f) {
            return NGX_HTTP_NOT_FOUND;
        }
    }
    if (url.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }
    if (ngx_http_affiliate_redirect(r, (struct tracker_str){ (char *) url.data, url.len }) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_MOVED_TEMPORARILY);
}

/* What the link says about the event. */
static void
ngx_http_affiliate_click_begin(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click             *event = &visit->event;
    const ngx_http_affiliate_route_t *route = visit->route;

    event->link = route->link.id;
    event->campaign = route->campaign.id;
    event->program = route->program.id;
    event->affiliate = route->affiliate.id;
    event->flags = route->flags;
}

#define ngx_http_affiliate_header_is(h, literal)                                                               \
    ((h)->key.len == sizeof(literal) - 1 && ngx_memcmp((h)->lowcase_key, literal, sizeof(literal) - 1) == 0)
#define ngx_http_affiliate_value_begins(h, literal)                                                            \
    ((h)->value.len >= sizeof(literal) - 1                                                                     \
     && ngx_strncasecmp((h)->value.data, (u_char *) literal, sizeof(literal) - 1) == 0)

static void
ngx_http_affiliate_click_header(struct tracker_click *event, ngx_table_elt_t *h)
{
    switch (h->key.len) {
    case sizeof("accept-language") - 1:
        if (ngx_http_affiliate_header_is(h, "accept-language")) {
            event->language = (struct tracker_str){ (char *) h->value.data, h->value.len };
        }
        break;
    case sizeof("sec-fetch-dest") - 1:
        /* frames and images are where cookies are stuffed */
        if (ngx_http_affiliate_header_is(h, "sec-fetch-dest")
            && !(h->value.len == sizeof("document") - 1
                 && ngx_memcmp(h->value.data, "document", sizeof("document") - 1) == 0))
        {
            event->flags |= TRACKER_CLICK_NO_COOKIE_SET;
        }
        break;
    case sizeof("sec-purpose") - 1:
        if (ngx_http_affiliate_header_is(h, "sec-purpose")
            && ngx_http_affiliate_value_begins(h, "prefetch"))
        {
            event->flags |= TRACKER_CLICK_PREFETCH;
        }
        break;
    case sizeof("purpose") - 1:
        if (ngx_http_affiliate_header_is(h, "purpose") && ngx_http_affiliate_value_begins(h, "prefetch")) {
            event->flags |= TRACKER_CLICK_PREFETCH;
        }
        break;
    }
}

/* What the request says about the visitor. */
static void
ngx_http_affiliate_click_headers(ngx_http_affiliate_visit_t *visit)
{
    ngx_uint_t            i;
    ngx_table_elt_t      *h;
    ngx_list_part_t      *part;
    ngx_http_request_t   *r = visit->request;
    struct tracker_click *event = &visit->event;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        for (i = 0, h = part->elts; i < part->nelts; i++) {
            ngx_http_affiliate_click_header(event, &h[i]);
        }
    }

    h = r->headers_in.user_agent;
    if (h != NULL) {
        event->user_agent = (struct tracker_str){ (char *) h->value.data, h->value.len };
    }
    h = r->headers_in.referer;
    if (h != NULL) {
        event->referrer = (struct tracker_str){ (char *) h->value.data, h->value.len };
    }
    event->ip = ngx_http_affiliate_address(r->connection);

    /* a prefetch is nobody's visit: it must not claim a later sale */
    if (!visit->conf->cookie.enable || event->flags & TRACKER_CLICK_PREFETCH) {
        event->flags |= TRACKER_CLICK_NO_COOKIE_SET;
    }
}

/* The first value of a name counts; values are cut at TRACKER_FIELD_MAX, as the event would cut them. */
static ngx_int_t
ngx_http_affiliate_click_query(ngx_http_affiliate_visit_t *visit)
{
    char               *out = NULL;
    ngx_uint_t          encoded;
    ngx_http_request_t *r = visit->request;
    struct tracker_str  rest = { (char *) r->args.data, r->args.len }, name, value, *field;

    encoded = memchr(rest.data, '%', rest.len) != NULL || memchr(rest.data, '+', rest.len) != NULL;

    while (tracker_query_next(&rest, &name, &value)) {
        field = ngx_http_affiliate_click_field(&visit->event, name);
        if (field == NULL || field->len != 0 || value.len == 0) {
            continue;
        }

        if (!encoded) {
            *field = (struct tracker_str){ value.data, ngx_min(value.len, TRACKER_FIELD_MAX) };
            continue;
        }

        /* decoding never makes a value longer: all of them fit into the length of the query */
        if (out == NULL) {
            out = ngx_pnalloc(r->pool, r->args.len);
            if (out == NULL) {
                return NGX_ERROR;
            }
        }
        *field = (struct tracker_str){ out, 0 };
        field->len = tracker_url_decode(value, out, ngx_min(value.len, TRACKER_FIELD_MAX));
        out += field->len;
    }
    return NGX_OK;
}

/* Where a parameter goes, or NULL. */
static struct tracker_str *
ngx_http_affiliate_click_field(struct tracker_click *event, struct tracker_str name)
{
    switch (name.len) {
    case 4:
        if (ngx_memcmp(name.data, "sub", 3) == 0 && name.data[3] >= '1' && name.data[3] <= '9') {
            return &event->sub[name.data[3] - '1'];
        }
        return ngx_memcmp(name.data, "cost", 4) == 0 ? &event->cost : NULL;
    case 5:
        return ngx_memcmp(name.data, "sub10", 5) == 0 ? &event->sub[9] : NULL;
    case 6:
        if (ngx_memcmp(name.data, "source", 6) == 0) {
            return &event->source;
        }
        return ngx_memcmp(name.data, "ref_id", 6) == 0 ? &event->ref_id : NULL;
    case 8:
        return ngx_memcmp(name.data, "creative", 8) == 0 ? &event->creative : NULL;
    case 10:
        return ngx_memcmp(name.data, "externalid", 10) == 0 ? &event->ref_id : NULL;
    case 12:
        return ngx_memcmp(name.data, "aff_click_id", 12) == 0 ? &event->ref_id : NULL;
    default:
        return NULL;
    }
}

/* Everything that can fail, then the commit, then the answer.  HEAD gets the answer alone. */
static ngx_int_t
ngx_http_affiliate_click_record(ngx_http_affiliate_visit_t *visit)
{
    size_t                          len = 0;
    ngx_time_t                     *tp = ngx_timeofday();
    ngx_http_request_t             *r = visit->request;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    visit->time_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    visit->ctx = ngx_http_affiliate_get_ctx(r);
    if (visit->ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_HEAD) {
        visit->event.config_version = tracker_snapshot_version(visit->snapshot);
        if (visit->conf->cookie.enable) {
            ngx_http_affiliate_click_cookie(visit, amcf->keys);
        }
        len = ngx_http_affiliate_click_name(visit, amcf->keys);
    }

    if (ngx_http_affiliate_click_expand(visit) != NGX_OK) {
        ngx_http_affiliate_count(CLICKS_REFUSED);
        return NGX_HTTP_REQUEST_URI_TOO_LARGE;
    }
    if (ngx_http_affiliate_click_answer(visit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (len != 0) {
        ngx_http_affiliate_commit(TRACKER_JOURNAL_TRAFFIC, TRACKER_EVENT_CLICK, visit->time_ms, len);
        ngx_http_affiliate_count_click(visit->route->count, visit->event.flags);
    } else if (r->method != NGX_HTTP_HEAD) {
        ngx_http_affiliate_count(CLICKS_UNRECORDED);
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_MOVED_TEMPORARILY);
}

/* Encodes the event into the journal and makes the id that names its place there.  0: it was refused, the
 * visitor is redirected all the same, with an id that says so. */
static size_t
ngx_http_affiliate_click_name(ngx_http_affiliate_visit_t *visit, const struct tracker_keys *keys)
{
    size_t                    bound, len = 0;
    uint8_t                  *space;
    uint64_t                  sequence;
    ngx_http_affiliate_ctx_t *ctx = visit->ctx;
    struct tracker_click     *event = &visit->event;
    struct tracker_click_id   id;

    event->key = keys->current;
    bound = ngx_http_affiliate_click_bound(visit);
    space = ngx_http_affiliate_reserve(TRACKER_JOURNAL_TRAFFIC, bound, &sequence, &id.journal);
    if (space != NULL) {
        len = tracker_click_encode(event, space, bound);
    }
    if (len == 0) {
        sequence = ngx_http_affiliate_drop(TRACKER_JOURNAL_TRAFFIC, &id.journal);
    }

    id.time_ms = visit->time_ms;
    id.sequence = (uint32_t) sequence;
    id.link = event->link;
    id.key = event->key;
    id.recorded = len != 0;
    tracker_click_id_encode(keys, &id, (char *) ctx->click_id);
    visit->click_id = (struct tracker_str){ (char *) ctx->click_id, TRACKER_CLICK_ID_LEN };

    ctx->link = event->link;
    ctx->campaign = event->campaign;
    ctx->affiliate = event->affiliate;
    ctx->flags = event->flags;
    ctx->unrecorded = len == 0;
    ctx->has_click_id = 1;
    return len;
}

/* The answer's headers. */
static ngx_int_t
ngx_http_affiliate_click_answer(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click *event = &visit->event;
    struct tracker_str    first = event->flags & TRACKER_CLICK_REPEAT ? event->first_touch : visit->click_id;

    if (ngx_http_affiliate_redirect(visit->request, visit->url) != NGX_OK) {
        return NGX_ERROR;
    }
    if (event->flags & TRACKER_CLICK_NO_COOKIE_SET || visit->click_id.len == 0) {
        return NGX_OK;
    }
    return ngx_http_affiliate_set_cookie(visit->request, visit->cookies, event->program,
                                         visit->route->program.cookie_days, first.data, visit->click_id.data);
}

/* Never trusts what it cannot verify: a broken cookie is marked, and replaced by this click's. */
static void
ngx_http_affiliate_click_cookie(ngx_http_affiliate_visit_t *visit, const struct tracker_keys *keys)
{
    struct tracker_click *event = &visit->event;

    visit->cookies = ngx_http_affiliate_cookies(visit->request);
    if (visit->cookies.len == 0) {
        return;
    }

    switch (tracker_cookie_read(keys, visit->cookies, event->program, &visit->cookie)) {
    case TRACKER_COOKIE_NONE:
        break;
    case TRACKER_COOKIE_OK:
        event->flags |= TRACKER_CLICK_REPEAT;
        event->first_touch = visit->cookie.first_text;
        event->previous_time_ms = visit->cookie.last.time_ms;
        break;
    case TRACKER_COOKIE_BROKEN:
        event->flags |= TRACKER_CLICK_BROKEN_COOKIE;
        break;
    }
}

/*
 * What the encoded event cannot exceed: ten bytes for each of nine integers, three
 * before each text; all parameters together are no longer than the query they came in.
 */
static size_t
ngx_http_affiliate_click_bound(const ngx_http_affiliate_visit_t *visit)
{
    const size_t                texts = 3 + 4 + TRACKER_SUBS;
    const struct tracker_click *event = &visit->event;

    return 9 * 10 + (3 + TRACKER_CLICK_ID_LEN) + (3 + 16) + texts * 3
           + ngx_min(event->user_agent.len, TRACKER_FIELD_MAX)
           + ngx_min(event->referrer.len, TRACKER_FIELD_MAX)
           + ngx_min(event->language.len, TRACKER_FIELD_MAX)
           + ngx_min(visit->request->args.len, (texts - 3) * TRACKER_FIELD_MAX);
}

/* Fills only the values that the template asks for.  NGX_ERROR: too long, or no memory. */
static ngx_int_t
ngx_http_affiliate_click_expand(ngx_http_affiliate_visit_t *visit)
{
    /* One at a time, on the event loop; what the template does not ask
     * for keeps what an older click left there. */
    static char               url[TRACKER_URL_MAX];
    static struct tracker_str values[TRACKER_MACRO_COUNT];

    int                         len;
    char                       *copy;
    u_char                      affiliate_id[NGX_INT64_LEN], timestamp[NGX_INT64_LEN], random[NGX_INT64_LEN];
    uint32_t                    wanted;
    ngx_http_request_t         *r = visit->request;
    const struct tracker_click *event = &visit->event;
    const uint8_t              *template = (const uint8_t *) visit->route->template.data;

    values[TRACKER_MACRO_CLICK_ID] = visit->click_id;

    wanted = visit->route->macros;
    if (wanted & ~(1u << TRACKER_MACRO_CLICK_ID)) {
        values[TRACKER_MACRO_AFFILIATE] = visit->route->affiliate.name;
        values[TRACKER_MACRO_CAMPAIGN] = visit->route->campaign.name;
        values[TRACKER_MACRO_LINK] = visit->code;
        values[TRACKER_MACRO_SOURCE] = event->source;
        values[TRACKER_MACRO_CREATIVE] = event->creative;
        values[TRACKER_MACRO_REF_ID] = event->ref_id;
        values[TRACKER_MACRO_IP] = (struct tracker_str){ (char *) r->connection->addr_text.data,
                                                         r->connection->addr_text.len };
        ngx_memcpy(&values[TRACKER_MACRO_SUB1], event->sub, sizeof(event->sub));

        if (wanted & 1u << TRACKER_MACRO_LANGUAGE) {
            values[TRACKER_MACRO_LANGUAGE] = ngx_http_affiliate_language(event->language);
        }
        if (wanted & 1u << TRACKER_MACRO_AFFILIATE_ID) {
            values[TRACKER_MACRO_AFFILIATE_ID] = ngx_http_affiliate_decimal(affiliate_id, event->affiliate);
        }
        if (wanted & 1u << TRACKER_MACRO_TIMESTAMP) {
            values[TRACKER_MACRO_TIMESTAMP] = ngx_http_affiliate_decimal(timestamp, visit->time_ms / 1000);
        }
        if (wanted & 1u << TRACKER_MACRO_RANDOM) {
            values[TRACKER_MACRO_RANDOM] = ngx_http_affiliate_decimal(random, ngx_http_affiliate_random());
        }
    }

    len = tracker_template_expand(template, visit->route->template.len, values, url, sizeof(url));
    if (len <= 0) {
        return NGX_ERROR;
    }

    copy = ngx_pnalloc(r->pool, len);
    if (copy == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(copy, url, len);
    visit->url = (struct tracker_str){ copy, (size_t) len };
    return NGX_OK;
}

static struct tracker_str
ngx_http_affiliate_decimal(u_char *buf, uint64_t number)
{
    return (struct tracker_str){ (char *) buf, (size_t) (ngx_http_affiliate_number(buf, number) - buf) };
}

/* Against caches, not against guessers: splitmix64 (Steele, Lea,
 * Flood 2014) from one secret seed a worker. */
static uint64_t
ngx_http_affiliate_random(void)
{
    static uint64_t state;
    uint64_t        z;

    if (state == 0) {
        randombytes_buf(&state, sizeof(state));
    }
    z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The first language asked for, without region and weight: "de-CH,de;q=0.9" is "de". */
static struct tracker_str
ngx_http_affiliate_language(struct tracker_str accept)
{
    size_t len = 0, max = ngx_min(accept.len, 8);

    while (len < max && (accept.data[len] | 0x20) >= 'a' && (accept.data[len] | 0x20) <= 'z') {
        len++;
    }
    return (struct tracker_str){ accept.data, len };
}

static ngx_int_t
ngx_http_affiliate_redirect(ngx_http_request_t *r, struct tracker_str url)
{
    ngx_str_t location = { url.len, (u_char *) url.data };

    if (ngx_http_affiliate_add_literal(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_affiliate_add_header(r, "Location", sizeof("Location") - 1, &location) != NGX_OK)
    {
        return NGX_ERROR;
    }
    /* nginx looks here to make a path absolute; an element of the list stays where it is */
    r->headers_out.location = (ngx_table_elt_t *) r->headers_out.headers.last->elts
                              + r->headers_out.headers.last->nelts - 1;
    return NGX_OK;
}
