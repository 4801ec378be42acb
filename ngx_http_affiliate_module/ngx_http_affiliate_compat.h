/*
 * ngx_http_affiliate_compat.h - where versions of nginx differ, and nowhere else.
 *
 * 1.23.0 chained repeated headers (ngx_table_elt_t.next) and turned headers_in.cookies,
 * an array, into headers_in.cookie, such a chain.
 */
#ifndef NGX_HTTP_AFFILIATE_COMPAT_H
#define NGX_HTTP_AFFILIATE_COMPAT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#if (nginx_version < 1022000)
#error "ngx_http_affiliate_module supports nginx 1.22 and later"
#endif

static ngx_inline void
ngx_http_affiliate_header_unchained(ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)
    h->next = NULL;
#else
    (void) h;
#endif
}

/* The request's n-th Cookie header, or NULL. */
static ngx_inline ngx_table_elt_t *
ngx_http_affiliate_cookie_header(ngx_http_request_t *r, ngx_uint_t n)
{
#if (nginx_version >= 1023000)
    ngx_table_elt_t *h;

    for (h = r->headers_in.cookie; h != NULL && n > 0; h = h->next) {
        n--;
    }
    return h;
#else
    ngx_table_elt_t **h = r->headers_in.cookies.elts;

    return n < r->headers_in.cookies.nelts ? h[n] : NULL;
#endif
}

#endif
