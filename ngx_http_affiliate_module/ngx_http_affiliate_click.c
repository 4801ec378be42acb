/*
 * ngx_http_affiliate_click.c - a click: a visit that is answered with a redirect.
 */
#include "ngx_http_affiliate_request.h"

static ngx_int_t ngx_http_affiliate_click_unavailable(ngx_http_request_t *r);
static ngx_int_t ngx_http_affiliate_click_not_found(ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_answer(ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_send(ngx_http_affiliate_visit_t *visit, ngx_uint_t records);
static ngx_uint_t ngx_http_affiliate_click_status(const ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_click_referrer(ngx_http_affiliate_visit_t *visit);
static ngx_int_t ngx_http_affiliate_redirect(ngx_http_request_t *r, struct tracker_str url);

ngx_int_t
ngx_http_affiliate_click_handler(ngx_http_request_t *r)
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

    if (ngx_http_affiliate_visit_begin(&visit, r) != NGX_OK) {
        return ngx_http_affiliate_click_unavailable(r);
    }
    if (ngx_http_affiliate_click_code(&visit, &code) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ngx_http_affiliate_visit_find(&visit, code) != NGX_OK) {
        ngx_http_affiliate_count(CLICKS_UNKNOWN);
        return ngx_http_affiliate_click_not_found(&visit);
    }
    return ngx_http_affiliate_click_answer(&visit);
}

/*
 * Who comes, whether the link is open to him, which event it will be, what its rules say: each knows what
 * stands before it.  HEAD gets the answer alone: nothing is recorded.
 */
static ngx_int_t
ngx_http_affiliate_click_answer(ngx_http_affiliate_visit_t *visit)
{
    ngx_int_t  rc;
    ngx_uint_t records = visit->request->method != NGX_HTTP_HEAD;

    if (ngx_http_affiliate_visit_read(visit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    visit->counted = records && !(visit->event.flags & TRACKER_CLICK_UNCOUNTED);
    if (ngx_http_affiliate_route_admit(visit) != NGX_OK) {
        ngx_http_affiliate_count(CLICKS_REFUSED);
        return ngx_http_affiliate_click_not_found(visit);
    }

    rc = ngx_http_affiliate_click_send(visit, records);
    if (visit->caps_taken != 0 && rc != NGX_OK) {
        ngx_http_affiliate_cap_release(visit);
    }
    if (rc != NGX_OK) {
        return rc;
    }

    if (records) {
        ngx_http_affiliate_visit_commit(visit);
    }
    return ngx_http_affiliate_send_empty(visit->request, ngx_http_affiliate_click_status(visit));
}

/* Everything that can fail.  NGX_OK: the answer's headers are there, it may be committed and sent. */
static ngx_int_t
ngx_http_affiliate_click_send(ngx_http_affiliate_visit_t *visit, ngx_uint_t records)
{
    if (records && ngx_http_affiliate_visit_identify(visit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (visit->route->rules.len != 0) {
        ngx_http_affiliate_route_choose(visit);
    }
    if (visit->event.deep.len != 0) {
        ngx_http_affiliate_deep(visit);
    }
    if (records) {
        ngx_http_affiliate_visit_encode(visit);
    }

    if (ngx_http_affiliate_destination(visit) != NGX_OK) {
        ngx_http_affiliate_count(CLICKS_REFUSED);
        return ngx_http_affiliate_refuse(visit->request, NGX_HTTP_REQUEST_URI_TOO_LARGE);
    }
    if (ngx_http_affiliate_redirect(visit->request, visit->url) != NGX_OK
        || ngx_http_affiliate_click_referrer(visit) != NGX_OK
        || (records && ngx_http_affiliate_visit_remember(visit) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return NGX_OK;
}

static ngx_uint_t
ngx_http_affiliate_click_status(const ngx_http_affiliate_visit_t *visit)
{
    switch ((enum tracker_redirect) visit->route->link.redirect) {
    case TRACKER_REDIRECT_302:
        return NGX_HTTP_MOVED_TEMPORARILY;
    case TRACKER_REDIRECT_303:
        return NGX_HTTP_SEE_OTHER;
    case TRACKER_REDIRECT_307:
        return NGX_HTTP_TEMPORARY_REDIRECT;
    case TRACKER_REDIRECT_DEFAULT:
        break;
    }
    return visit->conf->redirect;
}

static ngx_int_t
ngx_http_affiliate_click_referrer(ngx_http_affiliate_visit_t *visit)
{
    /* in the order of enum tracker_referrer_policy */
    static ngx_str_t policies[] = { ngx_null_string,
                                    ngx_string("no-referrer"),
                                    ngx_string("origin"),
                                    ngx_string("same-origin"),
                                    ngx_string("strict-origin"),
                                    ngx_string("unsafe-url") };
    ngx_uint_t       policy = visit->route->link.referrer_policy;

    if (policy == TRACKER_REFERRER_DEFAULT) {
        return NGX_OK;
    }
    return ngx_http_affiliate_add_header(visit->request, "Referrer-Policy", sizeof("Referrer-Policy") - 1,
                                         &policies[policy]);
}

/* OPTIONS asks, it does not click; whatever else is not a visit.  Nor is what a page includes or a request causes here:
 * its answer could set no cookie, and the visitor has not come for it. */
ngx_int_t
ngx_http_affiliate_click_method(ngx_http_request_t *r)
{
    ngx_int_t rc;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }
    rc = ngx_http_discard_request_body(r);
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
    /* of this worker: visitors come as fast as they like, the log takes a line a second */
    static time_t     said;
    static ngx_uint_t unanswered;

    ngx_http_affiliate_count(CLICKS_REFUSED);
    unanswered++;
    if (said != ngx_time()) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "affiliate: no snapshot yet, clicks could not be answered: %ui; does \"affiliated\" run, "
                      "on the same Redis and with the same keys?", unanswered);
        said = ngx_time();
        unanswered = 0;
    }
    if (ngx_http_affiliate_add_literal(r, "Retry-After", "2") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return NGX_HTTP_SERVICE_UNAVAILABLE;
}

ngx_int_t
ngx_http_affiliate_click_code(ngx_http_affiliate_visit_t *visit, struct tracker_str *found)
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
    *found = (struct tracker_str){ (char *) code.data, code.len <= TRACKER_CODE_MAX ? code.len : 0 };
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_click_not_found(ngx_http_affiliate_visit_t *visit)
{
    ngx_str_t           url;
    ngx_http_request_t *r = visit->request;

    if (visit->conf->not_found == NULL) {
        return ngx_http_affiliate_refuse(r, NGX_HTTP_NOT_FOUND);
    }
    if (ngx_http_complex_value(r, visit->conf->not_found, &url) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* variables may hold anything a client sent: no control byte gets into a header */
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] < 0x21 || url.data[i] == 0x7f) {
            return ngx_http_affiliate_refuse(r, NGX_HTTP_NOT_FOUND);
        }
    }
    if (url.len == 0) {
        return ngx_http_affiliate_refuse(r, NGX_HTTP_NOT_FOUND);
    }
    if (ngx_http_affiliate_redirect(r, (struct tracker_str){ (char *) url.data, url.len }) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_MOVED_TEMPORARILY);
}

/* Caches may keep a 404 or 414 that does not forbid it (RFC 9110, 15.1), and the link may be there tomorrow. */
ngx_int_t
ngx_http_affiliate_refuse(ngx_http_request_t *r, ngx_int_t status)
{
    return ngx_http_affiliate_add_literal(r, "Cache-Control", "no-store") == NGX_OK ? status
                                                                                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
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
