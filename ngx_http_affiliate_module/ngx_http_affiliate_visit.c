/*
 * ngx_http_affiliate_visit.c - what every visit does, whoever answers it: read the
 * request, know the visitor, name the event, record it.
 *
 * A visit runs within one call on the event loop: no system call, no lock, no memory but the
 * request's pool.  The event is written straight into the journal's mapping; what can fail comes before
 * the commit, and a visit that is not committed is forgotten.
 */
#include "ngx_http_affiliate_request.h"

/*
 * A page that was only fetched ahead must not claim a later sale; nor may we mark who has not agreed to it.  What
 * merely looks like a bot gets its cookie: it may be a person (docs/decisions/0007).
 */
#define NGX_HTTP_AFFILIATE_COOKIELESS (TRACKER_CLICK_PREFETCH | TRACKER_CLICK_PREVIEW | TRACKER_CLICK_NO_CONSENT)

static void      ngx_http_affiliate_visit_headers(ngx_http_affiliate_visit_t *visit);
static void      ngx_http_affiliate_visit_header(ngx_http_affiliate_visit_t *visit, ngx_table_elt_t *h);
static void      ngx_http_affiliate_visit_touches(ngx_http_affiliate_visit_t *visit);
static void      ngx_http_affiliate_visit_sign(ngx_http_affiliate_visit_t *visit, ngx_uint_t recorded);
static size_t    ngx_http_affiliate_visit_bound(const ngx_http_affiliate_visit_t *visit);

ngx_int_t
ngx_http_affiliate_visit_begin(ngx_http_affiliate_visit_t *visit, ngx_http_request_t *r)
{
    ngx_time_t *tp = ngx_timeofday();

    size_t      len = offsetof(ngx_http_affiliate_visit_t, route);

    /* the rest is filled before it is read: only what is read unset needs to be zero */
    __asm__("" : "+r"(len)); /* of a length that it knows the compiler would make a slow "rep stos" */
    ngx_memzero(visit, len);
    visit->request = r;
    visit->conf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    visit->main = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);
    visit->time_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    visit->type = TRACKER_EVENT_CLICK;
    visit->snapshot = ngx_http_affiliate_snapshot();
    return visit->snapshot != NULL ? NGX_OK : NGX_DECLINED;
}

ngx_int_t
ngx_http_affiliate_visit_find(ngx_http_affiliate_visit_t *visit, struct tracker_str code)
{
    struct tracker_click             *event = &visit->event;
    const ngx_http_affiliate_route_t *route;

    visit->code = code;
    visit->route = route = ngx_http_affiliate_route(visit->snapshot, code);
    if (route == NULL) {
        return NGX_DECLINED;
    }

    event->link = route->link.id;
    event->campaign = route->campaign.id;
    event->program = route->program.id;
    event->affiliate = route->affiliate.id;
    event->flags |= route->flags;
    event->config_version = tracker_snapshot_version(visit->snapshot);
    return NGX_OK;
}

ngx_int_t
ngx_http_affiliate_visit_read(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click          *event = &visit->event;
    ngx_http_affiliate_loc_conf_t *conf = visit->conf;

    visit->address = event->ip = ngx_http_affiliate_address(visit->request->connection);
    ngx_http_affiliate_visit_headers(visit);
    if (visit->request->args.len != 0 && ngx_http_affiliate_visit_params(visit) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->knows) {
        ngx_http_affiliate_know(visit);
    }
    if (conf->ip != NGX_HTTP_AFFILIATE_IP_STORE) {
        event->ip = ngx_http_affiliate_kept_address(conf->ip, visit->main->keys, visit->time_ms, visit->address,
                                                    visit->ip, &event->ip_form);
    }
    if ((visit->signals & conf->consent.signals || conf->consent.asked) && ngx_http_affiliate_consent_missing(visit)) {
        event->flags |= TRACKER_CLICK_NO_CONSENT;
    }
    if (!conf->cookie.enable || event->flags & NGX_HTTP_AFFILIATE_COOKIELESS) {
        event->flags |= TRACKER_CLICK_NO_COOKIE_SET;
    }
    return NGX_OK;
}

ngx_int_t
ngx_http_affiliate_visit_identify(ngx_http_affiliate_visit_t *visit)
{
    uint64_t sequence;

    if (visit->ctx == NULL) { /* unless the caller keeps one of its own */
        visit->ctx = ngx_http_affiliate_get_ctx(visit->request);
    }
    if (visit->ctx == NULL) {
        return NGX_ERROR;
    }
    if (visit->conf->cookie.enable && !(visit->event.flags & TRACKER_CLICK_NO_CONSENT)) {
        ngx_http_affiliate_visit_touches(visit);
    }

    visit->event.key = visit->main->keys->current;
    visit->bound = ngx_http_affiliate_visit_bound(visit);
    visit->space = ngx_http_affiliate_reserve(TRACKER_JOURNAL_TRAFFIC, visit->bound, &sequence,
                                              &visit->id.journal);
    visit->id.sequence = (uint32_t) sequence;
    ngx_http_affiliate_visit_sign(visit, visit->space != NULL);
    return NGX_OK;
}

void
ngx_http_affiliate_visit_encode(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click     *event = &visit->event;
    ngx_http_affiliate_ctx_t *ctx = visit->ctx;

    if (event->flags & TRACKER_CLICK_NO_CONSENT) {
        ngx_http_affiliate_forget(event);
    }
    visit->len = visit->space != NULL ? tracker_click_encode(event, visit->space, visit->bound) : 0;
    if (visit->len == 0 && visit->space != NULL) {
        ngx_http_affiliate_visit_sign(visit, 0);
    }

    ctx->link = event->link;
    ctx->campaign = event->campaign;
    ctx->affiliate = event->affiliate;
    ctx->flags = event->flags;
    ctx->source = event->source;
    ctx->device = event->device;
    ctx->country_len = (uint8_t) event->country.len;
    ngx_memcpy(ctx->country, event->country.len != 0 ? event->country.data : "\0", 2);
    ctx->unrecorded = visit->len == 0;
    ctx->has_click_id = 1;
}

ngx_int_t
ngx_http_affiliate_visit_remember(ngx_http_affiliate_visit_t *visit)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_cookie_lines_t lines;

    rc = ngx_http_affiliate_visit_cookies(visit, &lines);
    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }
    return rc == NGX_OK ? ngx_http_affiliate_add_cookies(visit->request, &lines) : NGX_ERROR;
}

ngx_int_t
ngx_http_affiliate_visit_cookies(ngx_http_affiliate_visit_t *visit, ngx_http_affiliate_cookie_lines_t *lines)
{
    struct tracker_click *event = &visit->event;
    struct tracker_str    first = event->flags & TRACKER_CLICK_REPEAT ? event->first_touch : visit->click_id;

    if (event->flags & TRACKER_CLICK_NO_COOKIE_SET || visit->click_id.len == 0) {
        return NGX_DECLINED;
    }
    return ngx_http_affiliate_cookie_lines(visit->request, visit->cookies, visit->route, first.data,
                                           visit->click_id.data, lines);
}

void
ngx_http_affiliate_visit_commit(ngx_http_affiliate_visit_t *visit)
{
    if (visit->len == 0) {
        ngx_http_affiliate_count(CLICKS_UNRECORDED);
        return;
    }
    ngx_http_affiliate_commit(TRACKER_JOURNAL_TRAFFIC, visit->type, visit->time_ms, visit->len);
    ngx_http_affiliate_count_click(visit->route->count, visit->event.flags);
}

/* The id that names the event's place in the journal; or one that says that it has none. */
static void
ngx_http_affiliate_visit_sign(ngx_http_affiliate_visit_t *visit, ngx_uint_t recorded)
{
    struct tracker_click_id *id = &visit->id;

    if (!recorded) {
        visit->space = NULL;
        id->sequence = (uint32_t) ngx_http_affiliate_drop(TRACKER_JOURNAL_TRAFFIC, &id->journal);
    }
    id->time_ms = visit->time_ms;
    id->link = visit->event.link;
    id->key = visit->event.key;
    id->recorded = recorded;
    tracker_click_id_encode(visit->main->keys, id, (char *) visit->ctx->click_id);
    visit->click_id = (struct tracker_str){ (char *) visit->ctx->click_id, TRACKER_CLICK_ID_LEN };
}

/* Never trusts what it cannot verify: a broken cookie is marked, and replaced by this click's. */
static void
ngx_http_affiliate_visit_touches(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click *event = &visit->event;
    struct tracker_cookie cookie;

    visit->cookies = ngx_http_affiliate_cookies(visit->request);
    if (visit->cookies.len == 0) {
        return;
    }

    switch (tracker_cookie_read(visit->main->keys, visit->cookies, event->program, &cookie)) {
    case TRACKER_COOKIE_NONE:
        break;
    case TRACKER_COOKIE_OK:
        event->flags |= TRACKER_CLICK_REPEAT;
        event->first_touch = cookie.first_text;
        event->previous_time_ms = cookie.last.time_ms;
        break;
    case TRACKER_COOKIE_BROKEN:
        event->flags |= TRACKER_CLICK_BROKEN_COOKIE;
        break;
    }
}

/*
 * What the encoded event cannot exceed: ten bytes for each integer, three before each text and place; all
 * parameters together are no longer than the query they came in.
 */
static size_t
ngx_http_affiliate_visit_bound(const ngx_http_affiliate_visit_t *visit)
{
    const size_t                integers = 16, texts = 3 + 5 + TRACKER_SUBS;
    const struct tracker_click *event = &visit->event;

    return integers * 10 + (3 + TRACKER_CLICK_ID_LEN) + (3 + 16) + texts * 3 + 3 * 3 + event->country.len
           + event->region.len + event->city.len
           + ngx_min(event->user_agent.len, TRACKER_FIELD_MAX)
           + ngx_min(event->referrer.len, TRACKER_FIELD_MAX)
           + ngx_min(event->language.len, TRACKER_FIELD_MAX)
           + ngx_min(visit->request->args.len, (texts - 3) * TRACKER_FIELD_MAX);
}

/* ---- headers ---- */

#define ngx_http_affiliate_header_is(h, literal)                                                               \
    ((h)->key.len == sizeof(literal) - 1 && ngx_memcmp((h)->lowcase_key, literal, sizeof(literal) - 1) == 0)
#define NGX_HTTP_AFFILIATE_HEADER_LENGTHS                                                                      \
    (1ull << (sizeof("accept-language") - 1) | 1ull << (sizeof("sec-fetch-dest") - 1)                          \
     | 1ull << (sizeof("sec-purpose") - 1) | 1ull << (sizeof("purpose") - 1) | 1ull << (sizeof("dnt") - 1))
#define ngx_http_affiliate_value_is_one(h) ((h)->value.len == 1 && (h)->value.data[0] == '1')
#define ngx_http_affiliate_value_begins(h, literal)                                                            \
    ((h)->value.len >= sizeof(literal) - 1                                                                     \
     && ngx_strncasecmp((h)->value.data, (u_char *) literal, sizeof(literal) - 1) == 0)

static void
ngx_http_affiliate_visit_header(ngx_http_affiliate_visit_t *visit, ngx_table_elt_t *h)
{
    struct tracker_click *event = &visit->event;

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
                 && ngx_memcmp(h->value.data, "document", sizeof("document") - 1) == 0)
            && !(visit->scripted && h->value.len == sizeof("empty") - 1
                 && ngx_memcmp(h->value.data, "empty", sizeof("empty") - 1) == 0))
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
        } else if (ngx_http_affiliate_header_is(h, "sec-gpc") && ngx_http_affiliate_value_is_one(h)) {
            visit->signals |= NGX_HTTP_AFFILIATE_SIGNAL_GPC;
        }
        break;
    case sizeof("dnt") - 1:
        if (ngx_http_affiliate_header_is(h, "dnt") && ngx_http_affiliate_value_is_one(h)) {
            visit->signals |= NGX_HTTP_AFFILIATE_SIGNAL_DNT;
        }
        break;
    }
}

/* What the request says about the visitor. */
static void
ngx_http_affiliate_visit_headers(ngx_http_affiliate_visit_t *visit)
{
    ngx_uint_t            i;
    ngx_table_elt_t      *h;
    ngx_list_part_t      *part;
    ngx_http_request_t   *r = visit->request;
    struct tracker_click *event = &visit->event;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        for (i = 0, h = part->elts; i < part->nelts; i++) {
            /* most have a name as long as none of ours */
            if (h[i].key.len < 64 && (NGX_HTTP_AFFILIATE_HEADER_LENGTHS >> h[i].key.len & 1)) {
                ngx_http_affiliate_visit_header(visit, &h[i]);
            }
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
}
