/*
 * ngx_http_affiliate_body.c - what a caller of the partner API sends: which kind it is, and all of it in memory.
 */
#include "ngx_http_affiliate_caller.h"

const ngx_http_affiliate_error_t *
ngx_http_affiliate_body_kind(ngx_http_request_t *r, ngx_uint_t *json)
{
    ngx_table_elt_t *type = r->headers_in.content_type;

    *json = 0;
    if (r->method != NGX_HTTP_POST || (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked)) {
        return NULL;
    }

    if (type != NULL && ngx_http_affiliate_media_type(&type->value, "application/json")) {
        *json = 1;
    } else if (type == NULL || !ngx_http_affiliate_media_type(&type->value, "application/x-www-form-urlencoded")) {
        return ngx_http_affiliate_error(BODY_TYPE);
    }

    return r->headers_in.content_length_n > (*json ? NGX_HTTP_AFFILIATE_BATCH_BODY_MAX : NGX_HTTP_AFFILIATE_BODY_MAX)
               ? ngx_http_affiliate_error(BODY_TOO_LARGE) : NULL;
}

ngx_uint_t
ngx_http_affiliate_media_type(ngx_str_t *value, const char *type)
{
    size_t len = ngx_strlen(type);

    return value->len >= len && ngx_strncasecmp(value->data, (u_char *) type, len) == 0
           && (value->len == len || value->data[len] == ';' || value->data[len] == ' ');
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_body_text(ngx_http_request_t *r, struct tracker_str *body)
{
    u_char      *p;
    size_t       len = 0;
    ssize_t      n;
    ngx_buf_t   *b;
    ngx_chain_t *cl, *bufs = r->request_body != NULL ? r->request_body->bufs : NULL;

    *body = TRACKER_STR_NONE;
    if (r->method != NGX_HTTP_POST) {
        return NULL;
    }
    for (cl = bufs; cl != NULL; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }
    if (len > NGX_HTTP_AFFILIATE_BATCH_BODY_MAX) {
        return ngx_http_affiliate_error(BODY_TOO_LARGE); /* chunked: the length is known only now */
    }
    if (len == 0) {
        return NULL;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    *body = (struct tracker_str){ (char *) p, len };

    for (cl = bufs; cl != NULL; cl = cl->next) {
        b = cl->buf;
        len = ngx_buf_size(b);
        if (len == 0) {
            continue; /* a chunked body ends with a buffer that is neither memory nor file */
        }
        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p, b->pos, len);
        } else {
            n = ngx_read_file(b->file, p, len, b->file_pos);
            if (n != (ssize_t) len) {
                return ngx_http_affiliate_error(BODY_UNREADABLE);
            }
        }
        p += len;
    }
    return NULL;
}
