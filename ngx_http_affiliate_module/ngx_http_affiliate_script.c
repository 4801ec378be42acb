/*
 * ngx_http_affiliate_script.c - affiliate_js: affiliate.js, from memory; of the same build as what it talks to.
 */
#include "ngx_http_affiliate_request.h"

#include "ngx_http_affiliate_js.h"

static ngx_int_t ngx_http_affiliate_script_etag(ngx_http_request_t *r);

ngx_int_t
ngx_http_affiliate_script_handler(ngx_http_request_t *r)
{
    static ngx_str_t type = ngx_string("application/javascript");

    ngx_int_t rc;
    ngx_str_t body = { sizeof(ngx_http_affiliate_js) - 1, (u_char *) ngx_http_affiliate_js };

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    /* pages of any site load it, also those that isolate themselves or name its hash */
    if (ngx_http_affiliate_script_etag(r) != NGX_OK
        || ngx_http_affiliate_add_literal(r, "Cache-Control", "public, max-age=86400") != NGX_OK
        || ngx_http_affiliate_add_literal(r, "X-Content-Type-Options", "nosniff") != NGX_OK
        || ngx_http_affiliate_add_literal(r, "Access-Control-Allow-Origin", "*") != NGX_OK
        || ngx_http_affiliate_add_literal(r, "Cross-Origin-Resource-Policy", "cross-origin") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_body(r, NGX_HTTP_OK, &type, &body);
}

static ngx_int_t
ngx_http_affiliate_script_etag(ngx_http_request_t *r)
{
    static u_char text[sizeof("\"01234567\"") - 1];

    ngx_str_t etag = { sizeof(text), text };

    if (text[0] == '\0') {
        ngx_sprintf(text, "\"%08xD\"",
                    ngx_crc32_long((u_char *) ngx_http_affiliate_js, sizeof(ngx_http_affiliate_js) - 1));
    }
    if (ngx_http_affiliate_add_header(r, "ETag", sizeof("ETag") - 1, &etag) != NGX_OK) {
        return NGX_ERROR;
    }
    /* what If-None-Match is held against */
    r->headers_out.etag = (ngx_table_elt_t *) r->headers_out.headers.last->elts
                          + r->headers_out.headers.last->nelts - 1;
    return NGX_OK;
}

char *
ngx_http_affiliate_set_script(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t      *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (clcf->handler == ngx_http_affiliate_script_handler) {
        return "is duplicate";
    }
    clcf->handler = ngx_http_affiliate_script_handler;
    alcf->handler = clcf->handler;
    return NGX_CONF_OK;
}
