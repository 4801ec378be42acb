/*
 * ngx_http_affiliate_impression.c - affiliate_impression: an advert was seen; a transparent pixel.
 *
 * It stands on pages of others, where it neither sets a cookie nor counts as a click.
 */
#include "ngx_http_affiliate_request.h"

static ngx_int_t ngx_http_affiliate_impression_record(ngx_http_affiliate_visit_t *visit);

ngx_int_t
ngx_http_affiliate_impression_handler(ngx_http_request_t *r)
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

    /* without a snapshot nobody knows the code: the page that it stands on is none the worse */
    if (ngx_http_affiliate_visit_begin(&visit, r) == NGX_OK) {
        if (ngx_http_affiliate_click_code(&visit, &code) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
        if (ngx_http_affiliate_visit_find(&visit, code) != NGX_OK || !visit.route->whole) {
            return ngx_http_affiliate_refuse(r, NGX_HTTP_NOT_FOUND);
        }
        if (r->method == NGX_HTTP_GET && ngx_http_affiliate_impression_record(&visit) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return ngx_http_affiliate_send_gif(r);
}

static ngx_int_t
ngx_http_affiliate_impression_record(ngx_http_affiliate_visit_t *visit)
{
    visit->type = TRACKER_EVENT_IMPRESSION; /* before the visitor is judged: adverts on a page are no clicks of his */
    if (ngx_http_affiliate_visit_read(visit) != NGX_OK) {
        return NGX_ERROR;
    }
    visit->event.deep = TRACKER_STR_NONE;
    visit->event.flags |= TRACKER_CLICK_NO_COOKIE_SET;
    if (ngx_http_affiliate_visit_identify(visit) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_affiliate_visit_encode(visit);
    if (visit->len != 0) {
        ngx_http_affiliate_commit(TRACKER_JOURNAL_TRAFFIC, visit->type, visit->time_ms, visit->len);
        ngx_http_affiliate_count(IMPRESSIONS);
    }
    return NGX_OK;
}

char *
ngx_http_affiliate_set_impression(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_affiliate_take_visits(cf, cmd, conf, ngx_http_affiliate_impression_handler, 0);
}
