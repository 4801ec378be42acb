/*
 * ngx_http_affiliate_json.c - affiliate_click json: a click that a script on the landing page reports.
 *
 * Nobody is redirected, so any page could report clicks in its visitors' names: a script of another site is
 * answered only when its host is one of the campaign's or affiliate_origin names it, and a request that other
 * sites cause without a script (an image, a fetch that cannot read the answer) is not.
 */
#include "ngx_http_affiliate_request.h"

#include "tracker_deep.h"

static ngx_int_t  ngx_http_affiliate_json_answer(ngx_http_affiliate_visit_t *visit);
static ngx_int_t  ngx_http_affiliate_json_code(ngx_http_affiliate_visit_t *visit, struct tracker_str *code);
static ngx_int_t  ngx_http_affiliate_json_origin(ngx_http_affiliate_visit_t *visit);
static ngx_uint_t ngx_http_affiliate_origin_named(ngx_array_t *origins, ngx_str_t *origin);
static ngx_int_t  ngx_http_affiliate_json_record(ngx_http_affiliate_visit_t *visit);
static ngx_int_t  ngx_http_affiliate_json_body(ngx_http_affiliate_visit_t *visit, ngx_str_t *body);

ngx_int_t
ngx_http_affiliate_json_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    struct tracker_str         code;
    ngx_http_affiliate_visit_t visit;

    if (!ngx_http_affiliate_visits(r)) {
        return ngx_http_affiliate_click_method(r);
    }
    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    if (ngx_http_affiliate_add_literal(r, "Vary", "Origin") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_affiliate_visit_begin(&visit, r) != NGX_OK) {
        ngx_http_affiliate_count(CLICKS_REFUSED);
        return ngx_http_affiliate_send_error(r, ngx_http_affiliate_error(STARTING));
    }
    if (ngx_http_affiliate_json_code(&visit, &code) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ngx_http_affiliate_visit_find(&visit, code) != NGX_OK) {
        visit.route = NULL;
    }

    rc = ngx_http_affiliate_json_origin(&visit);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? ngx_http_affiliate_send_error(r, ngx_http_affiliate_error(ORIGIN_DENIED))
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (visit.route == NULL || !visit.route->whole) {
        ngx_http_affiliate_count(CLICKS_UNKNOWN);
        return ngx_http_affiliate_send_error(r, ngx_http_affiliate_error(LINK_UNKNOWN));
    }
    return ngx_http_affiliate_json_answer(&visit);
}

static ngx_int_t
ngx_http_affiliate_json_answer(ngx_http_affiliate_visit_t *visit)
{
    ngx_str_t           body;
    ngx_uint_t          records;
    ngx_http_request_t *r = visit->request;

    records = r->method == NGX_HTTP_GET;
    if ((records && ngx_http_affiliate_json_record(visit) != NGX_OK)
        || ngx_http_affiliate_json_body(visit, &body) != NGX_OK
        || (records && ngx_http_affiliate_visit_remember(visit) != NGX_OK))
    {
        ngx_http_affiliate_cap_release(visit);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (records) {
        ngx_http_affiliate_visit_commit(visit);
    }
    return ngx_http_affiliate_send_json(r, NGX_HTTP_OK, &body);
}

/* All but the commit. */
static ngx_int_t
ngx_http_affiliate_json_record(ngx_http_affiliate_visit_t *visit)
{
    visit->scripted = 1;
    if (ngx_http_affiliate_visit_read(visit) != NGX_OK) {
        return NGX_ERROR;
    }
    visit->event.deep = TRACKER_STR_NONE; /* the landing page's own url= is none of ours */
    visit->event.flags |= TRACKER_CLICK_TRACKED;
    visit->counted = !(visit->event.flags & TRACKER_CLICK_UNCOUNTED);
    (void) ngx_http_affiliate_route_admit(visit); /* marks what is out of dates or capped; nobody is sent anywhere */

    if (ngx_http_affiliate_visit_identify(visit) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_http_affiliate_visit_encode(visit);
    return NGX_OK;
}

/* In the path or the directive; else as the landing page had it in its query. */
static ngx_int_t
ngx_http_affiliate_json_code(ngx_http_affiliate_visit_t *visit, struct tracker_str *code)
{
    *code = TRACKER_STR_NONE;
    if (!visit->conf->pathless && ngx_http_affiliate_click_code(visit, code) != NGX_OK) {
        return NGX_ERROR;
    }
    if (code->len == 0) {
        *code = ngx_http_affiliate_visit_ref(visit->request, visit->conf);
    }
    return NGX_OK;
}

/*
 * NGX_OK: whoever asks may, and can read the answer.  NGX_DECLINED: he may not.  Only the path of no Origin at all is
 * open to requests from our own pages and to clients that are no browsers.
 */
static ngx_int_t
ngx_http_affiliate_json_origin(ngx_http_affiliate_visit_t *visit)
{
    ngx_str_t          *site, *origin;
    struct tracker_str  url;
    ngx_http_request_t *r = visit->request;

    origin = ngx_http_affiliate_find_header(r, "origin", sizeof("origin") - 1);
    if (origin == NULL) {
        site = ngx_http_affiliate_find_header(r, "sec-fetch-site", sizeof("sec-fetch-site") - 1);
        return site != NULL && site->len == 10 && ngx_memcmp(site->data, "cross-site", 10) == 0 ? NGX_DECLINED
                                                                                              : NGX_OK;
    }

    url = (struct tracker_str){ (char *) origin->data, origin->len };
    if (!ngx_http_affiliate_origin_named(visit->conf->origins, origin) && !ngx_http_affiliate_origin_own(r, origin)
        && (visit->route == NULL || !tracker_deep_allowed(url, visit->route->campaign.hosts)))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_affiliate_add_literal(r, "Access-Control-Allow-Credentials", "true") != NGX_OK
        || ngx_http_affiliate_add_header(r, "Access-Control-Allow-Origin",
                                         sizeof("Access-Control-Allow-Origin") - 1, origin) != NGX_OK)
    {
        return NGX_ERROR;
    }
    return NGX_OK;
}

static ngx_uint_t
ngx_http_affiliate_origin_named(ngx_array_t *origins, ngx_str_t *origin)
{
    ngx_str_t *named = origins != NULL ? origins->elts : NULL;

    for (ngx_uint_t i = 0; origins != NULL && i < origins->nelts; i++) {
        if (named[i].len == origin->len && ngx_strncasecmp(named[i].data, origin->data, origin->len) == 0) {
            return 1;
        }
    }
    return 0;
}

/*
 * The page lies on the very host that is asked, and nobody between can have changed it: on TLS only a page that came by
 * TLS may.  Without TLS either scheme may be the right one, since a balancer may have ended it before us.
 */
ngx_uint_t
ngx_http_affiliate_origin_own(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_str_t  host, *asked = r->headers_in.host != NULL ? &r->headers_in.host->value : NULL;
    ngx_uint_t plain = 1;

#if (NGX_HTTP_SSL)
    plain = r->connection->ssl == NULL;
#endif
    if (!ngx_http_affiliate_option(origin, "https://", &host)
        && !(plain && ngx_http_affiliate_option(origin, "http://", &host)))
    {
        return 0;
    }
    return asked != NULL && host.len == asked->len && ngx_strncasecmp(host.data, asked->data, asked->len) == 0;
}

#define NGX_HTTP_AFFILIATE_JSON                                                                                \
    "{\"click_id\":\"%*s\",\"first\":\"%*s\",\"program\":\"%uD\",\"campaign\":\"%uD\",\"link\":\"%uD\","       \
    "\"affiliate\":\"%uD\",\"days\":%uD,\"repeat\":%s,\"cookie\":%s}\n"

/* Nothing in it needs escaping: ids of ours, and numbers. */
static ngx_int_t
ngx_http_affiliate_json_body(ngx_http_affiliate_visit_t *visit, ngx_str_t *body)
{
    const struct tracker_click *event = &visit->event;
    ngx_uint_t                  repeat = (event->flags & TRACKER_CLICK_REPEAT) != 0;
    struct tracker_str          id = visit->click_id, first = repeat ? event->first_touch : id;

    body->data = ngx_pnalloc(visit->request->pool,
                             sizeof(NGX_HTTP_AFFILIATE_JSON) + 2 * TRACKER_CLICK_ID_LEN + 5 * NGX_INT32_LEN);
    if (body->data == NULL) {
        return NGX_ERROR;
    }
    body->len = ngx_sprintf(body->data, NGX_HTTP_AFFILIATE_JSON, id.len, id.data, first.len, first.data, event->program,
                            event->campaign, event->link, event->affiliate, visit->route->program.cookie_days,
                            repeat ? "true" : "false",
                            event->flags & TRACKER_CLICK_NO_COOKIE_SET || id.len == 0 ? "false" : "true")
                - body->data;
    return NGX_OK;
}

/* ---- configuration ---- */

char *
ngx_http_affiliate_set_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                        *p;
    ngx_str_t                     *value = cf->args->elts, *origin;
    struct tracker_str             host;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (alcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }
    alcf->origins = ngx_array_create(cf->pool, cf->args->nelts - 1, sizeof(ngx_str_t));
    if (alcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        host = tracker_url_host((struct tracker_str){ (char *) value[i].data, value[i].len });
        p = (u_char *) host.data + host.len;
        while (host.len != 0 && p < value[i].data + value[i].len && (*p == ':' || (*p >= '0' && *p <= '9'))) {
            p++;
        }
        if (host.len == 0 || p != value[i].data + value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_origin\" \"%V\" is not scheme://host or scheme://host:port", &value[i]);
            return NGX_CONF_ERROR;
        }
        origin = ngx_array_push(alcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }
        *origin = value[i];
    }
    return NGX_CONF_OK;
}
