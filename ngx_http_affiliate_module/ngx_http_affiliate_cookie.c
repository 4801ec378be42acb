/*
 * ngx_http_affiliate_cookie.c - the attribution cookie in the request and in the answer.
 */
#include "ngx_http_affiliate_compat.h"
#include "ngx_http_affiliate_request.h"

static ngx_int_t ngx_http_affiliate_evict_line(ngx_http_request_t *r, ngx_str_t *attributes, uint32_t program,
                                               ngx_str_t *line);
static struct tracker_str ngx_http_affiliate_join_cookies(ngx_http_request_t *r);

struct tracker_str
ngx_http_affiliate_cookies(ngx_http_request_t *r)
{
    ngx_table_elt_t *h = ngx_http_affiliate_cookie_header(r, 0);

    if (h == NULL) {
        return TRACKER_STR_NONE;
    }
    if (ngx_http_affiliate_cookie_header(r, 1) != NULL) {
        return ngx_http_affiliate_join_cookies(r);
    }
    return (struct tracker_str){ (char *) h->value.data, h->value.len };
}

ngx_int_t
ngx_http_affiliate_cookie_lines(ngx_http_request_t *r, struct tracker_str cookies,
                                const ngx_http_affiliate_route_t *route, const char *first, const char *last,
                                ngx_http_affiliate_cookie_lines_t *lines)
{
    u_char                        *p;
    uint32_t                       oldest;
    ngx_str_t                     *attributes;
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    attributes = &alcf->cookie.attributes;

    p = ngx_pnalloc(r->pool, route->cookie_name_len + TRACKER_COOKIE_VALUE_LEN + route->cookie_age_len
                                 + attributes->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    lines->set.data = p;
    p = ngx_cpymem(p, route->cookie_name, route->cookie_name_len);
    tracker_cookie_value((char *) p, first, last);
    p += TRACKER_COOKIE_VALUE_LEN;
    p = ngx_cpymem(p, route->cookie_age, route->cookie_age_len);
    p = ngx_cpymem(p, attributes->data, attributes->len);
    lines->set.len = p - lines->set.data;

    lines->evict.len = 0;
    if (cookies.len != 0 && tracker_cookie_evict(cookies, route->program.id, &oldest)) {
        return ngx_http_affiliate_evict_line(r, attributes, oldest, &lines->evict);
    }
    return NGX_OK;
}

ngx_int_t
ngx_http_affiliate_add_cookies(ngx_http_request_t *r, ngx_http_affiliate_cookie_lines_t *lines)
{
    if (lines->evict.len != 0
        && ngx_http_affiliate_add_header(r, "Set-Cookie", sizeof("Set-Cookie") - 1, &lines->evict) != NGX_OK)
    {
        return NGX_ERROR;
    }
    return ngx_http_affiliate_add_header(r, "Set-Cookie", sizeof("Set-Cookie") - 1, &lines->set);
}

/* Browsers keep a bounded number of cookies for a site: ours must not push out the site's own. */
static ngx_int_t
ngx_http_affiliate_evict_line(ngx_http_request_t *r, ngx_str_t *attributes, uint32_t program, ngx_str_t *line)
{
    line->data = ngx_pnalloc(r->pool, sizeof(TRACKER_COOKIE_PREFIX "=; Max-Age=0") + NGX_INT32_LEN + attributes->len);
    if (line->data == NULL) {
        return NGX_ERROR;
    }
    line->len = ngx_sprintf(line->data, TRACKER_COOKIE_PREFIX "%uD=; Max-Age=0%V", program, attributes) - line->data;
    return NGX_OK;
}

/* Several Cookie lines are rare (HTTP/2 crumbs are joined by
 * nginx) but legal; they mean their concatenation. */
static struct tracker_str
ngx_http_affiliate_join_cookies(ngx_http_request_t *r)
{
    u_char          *text, *p;
    size_t           len = 0;
    ngx_uint_t       n;
    ngx_table_elt_t *h;

    for (n = 0; (h = ngx_http_affiliate_cookie_header(r, n)) != NULL; n++) {
        len += h->value.len + 2;
    }

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return TRACKER_STR_NONE;
    }

    p = text;
    for (n = 0; (h = ngx_http_affiliate_cookie_header(r, n)) != NULL; n++) {
        p = ngx_cpymem(p, h->value.data, h->value.len);
        *p++ = ';';
        *p++ = ' ';
    }
    return (struct tracker_str){ (char *) text, len };
}
