/*
 * ngx_http_affiliate_answer.c - headers, JSON bodies and errors, as every handler sends them.
 */
#include "ngx_http_affiliate_compat.h"
#include "ngx_http_affiliate_request.h"

/* doc_url is relative to wherever the documentation is served, as in the backend's answers. */
#define NGX_HTTP_AFFILIATE_ERROR_TEXT(code, message)                                                           \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\",\"doc_url\":\"/docs/errors#" code "\"}}\n"
/* What of such a text stands around the error's own object. */
#define NGX_HTTP_AFFILIATE_ERROR_HEAD (sizeof("{\"error\":") - 1)
#define NGX_HTTP_AFFILIATE_ERROR_TAIL (sizeof("}\n") - 1)

/* Whole, not put together for each refusal: to turn somebody away must not cost more than it has to. */
#define NGX_HTTP_AFFILIATE_ROW(name, status, code, message)                                                    \
    { status, code, message, ngx_string(NGX_HTTP_AFFILIATE_ERROR_TEXT(code, message)) },
const ngx_http_affiliate_error_t ngx_http_affiliate_errors[NGX_HTTP_AFFILIATE_ERROR_COUNT] = {
    NGX_HTTP_AFFILIATE_ERRORS(NGX_HTTP_AFFILIATE_ROW)
};
#undef NGX_HTTP_AFFILIATE_ROW

_Static_assert(NGX_HTTP_AFFILIATE_ERROR_COUNT <= NGX_HTTP_AFFILIATE_ERRORS_MAX, "the zone counts each of them");

#define NGX_HTTP_AFFILIATE_ERROR_FIELD ",\"fields\":{\"\":\"\"}}"

static ngx_int_t ngx_http_affiliate_add_allow(ngx_http_request_t *r);
static ngx_int_t ngx_http_affiliate_add_next_minute(ngx_http_request_t *r);

ngx_int_t
ngx_http_affiliate_send_error(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error)
{
    return ngx_http_affiliate_send_field_error(r, error, TRACKER_STR_NONE);
}

ngx_int_t
ngx_http_affiliate_send_field_error(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error,
                                    struct tracker_str field)
{
    u_char    *p;
    ngx_str_t  body;

    ngx_http_affiliate_count_error(error);
    if (ngx_http_affiliate_add_hints(r, error->status) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (field.len == 0) {
        body = error->body;
        return ngx_http_affiliate_send_json(r, error->status, &body);
    }

    body.data = ngx_pnalloc(r->pool, NGX_HTTP_AFFILIATE_ERROR_HEAD + NGX_HTTP_AFFILIATE_ERROR_TAIL
                                         + ngx_http_affiliate_error_len(error, field));
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    p = ngx_cpymem(body.data, error->body.data, NGX_HTTP_AFFILIATE_ERROR_HEAD);
    p = ngx_http_affiliate_error_text(p, error, field);
    p = ngx_cpymem(p, "}\n", NGX_HTTP_AFFILIATE_ERROR_TAIL);
    body.len = p - body.data;
    return ngx_http_affiliate_send_json(r, error->status, &body);
}

size_t
ngx_http_affiliate_error_len(const ngx_http_affiliate_error_t *error, struct tracker_str field)
{
    return error->body.len + sizeof(NGX_HTTP_AFFILIATE_ERROR_FIELD) + field.len + ngx_strlen(error->message);
}

u_char *
ngx_http_affiliate_error_text(u_char *p, const ngx_http_affiliate_error_t *error, struct tracker_str field)
{
    p = ngx_cpymem(p, error->body.data + NGX_HTTP_AFFILIATE_ERROR_HEAD,
                   error->body.len - NGX_HTTP_AFFILIATE_ERROR_HEAD - NGX_HTTP_AFFILIATE_ERROR_TAIL);
    if (field.len != 0) {
        p = ngx_sprintf(p - 1, ",\"fields\":{\"%*s\":\"%s\"}}", field.len, field.data, error->message);
    }
    return p;
}

ngx_int_t
ngx_http_affiliate_add_hints(ngx_http_request_t *r, ngx_uint_t status)
{
    switch (status) {
    case 401:
        return ngx_http_affiliate_add_literal(r, "WWW-Authenticate", "Bearer");
    case 405:
        return ngx_http_affiliate_add_allow(r);
    case 429:
        return ngx_http_affiliate_add_next_minute(r);
    case 503:
        return ngx_http_affiliate_add_literal(r, "Retry-After", "2");
    default:
        return NGX_OK;
    }
}

void
ngx_http_affiliate_count_error(const ngx_http_affiliate_error_t *error)
{
    (void) ngx_atomic_fetch_add(&ngx_http_affiliate_zone->errors[error - ngx_http_affiliate_errors], 1);
}

static ngx_int_t
ngx_http_affiliate_add_allow(ngx_http_request_t *r)
{
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    return alcf->lead ? ngx_http_affiliate_add_literal(r, "Allow", "POST")
                      : ngx_http_affiliate_add_literal(r, "Allow", "GET, POST");
}

/* Rates are counted by minutes of the clock. */
static ngx_int_t
ngx_http_affiliate_add_next_minute(ngx_http_request_t *r)
{
    ngx_str_t value;

    value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }
    value.len = ngx_http_affiliate_number(value.data, 60 - (uint64_t) ngx_time() % 60) - value.data;
    return ngx_http_affiliate_add_header(r, "Retry-After", sizeof("Retry-After") - 1, &value);
}

ngx_int_t
ngx_http_affiliate_send_json(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *body)
{
    static ngx_str_t type = ngx_string("application/json");

    return ngx_http_affiliate_send_text(r, status, &type, body);
}

ngx_int_t
ngx_http_affiliate_send_text(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type, ngx_str_t *body)
{
    if (ngx_http_affiliate_add_literal(r, "Cache-Control", "no-store") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_body(r, status, type, body);
}

ngx_int_t
ngx_http_affiliate_send_body(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = body->len != 0; /* nginx takes an empty piece of memory for a mistake */
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    out.buf = b;
    out.next = NULL;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }
    return ngx_http_output_filter(r, &out);
}

ngx_int_t
ngx_http_affiliate_send_gif(ngx_http_request_t *r)
{
    /* GIF89a, 1x1, its only colour transparent */
    static u_char    gif[] = "GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
    static ngx_str_t type = ngx_string("image/gif");
    ngx_str_t        body = { sizeof(gif) - 1, gif };

    return ngx_http_affiliate_send_text(r, NGX_HTTP_OK, &type, &body);
}

ngx_int_t
ngx_http_affiliate_send_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_int_t rc;

    r->headers_out.status = status;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    rc = ngx_http_send_header(r);
    return rc == NGX_ERROR || rc > NGX_OK ? rc : NGX_OK;
}

ngx_int_t
ngx_http_affiliate_add_header(ngx_http_request_t *r, const char *key, size_t key_len, ngx_str_t *value)
{
    ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NGX_ERROR;
    }
    h->hash = 1;
    h->key.len = key_len;
    h->key.data = (u_char *) key;
    h->value = *value;
    h->lowcase_key = NULL;
    ngx_http_affiliate_header_unchained(h);
    return NGX_OK;
}

u_char *
ngx_http_affiliate_number(u_char *p, uint64_t number)
{
    u_char  *last = p + 1;
    uint64_t rest;

    for (rest = number / 10; rest != 0; rest /= 10) {
        last++;
    }
    for (p = last; number >= 10; number /= 10) {
        *--p = (u_char) ('0' + number % 10);
    }
    *--p = (u_char) ('0' + number);
    return last;
}
