/*
 * ngx_http_affiliate_variables.c - what a click or conversion leaves for access logs and headers.
 *
 * They are known once the content handler has run: in logs and in headers that
 * are added to the answer, not in rewrite rules.
 */
#include "ngx_http_affiliate_caller.h"

enum { NGX_HTTP_AFFILIATE_COUNTRY, NGX_HTTP_AFFILIATE_DEVICE, NGX_HTTP_AFFILIATE_SOURCE };

typedef struct {
    ngx_str_t                 name;
    ngx_http_get_variable_pt  handler;
    uintptr_t                 data;
} ngx_http_affiliate_variable_t;

static ngx_int_t ngx_http_affiliate_number_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                    uintptr_t data);
static ngx_int_t ngx_http_affiliate_text_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                  uintptr_t data);
static ngx_int_t ngx_http_affiliate_click_id_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                      uintptr_t data);
static ngx_int_t ngx_http_affiliate_lead_id_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                     uintptr_t data);
static ngx_int_t ngx_http_affiliate_uri_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                 uintptr_t data);
static ngx_int_t ngx_http_affiliate_uri_token(ngx_http_request_t *r, ngx_str_t *token, ngx_uint_t *found);
static ngx_int_t ngx_http_affiliate_verdict_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
                                                     uintptr_t data);
static u_char   *ngx_http_affiliate_flag_names(uint32_t flags, u_char *p);

static ngx_http_affiliate_variable_t ngx_http_affiliate_variables[] = {
    { ngx_string("affiliate_click_id"), ngx_http_affiliate_click_id_variable, 0 },
    { ngx_string("affiliate_id"), ngx_http_affiliate_number_variable,
      offsetof(ngx_http_affiliate_ctx_t, affiliate) },
    { ngx_string("affiliate_link"), ngx_http_affiliate_number_variable,
      offsetof(ngx_http_affiliate_ctx_t, link) },
    { ngx_string("affiliate_campaign"), ngx_http_affiliate_number_variable,
      offsetof(ngx_http_affiliate_ctx_t, campaign) },
    { ngx_string("affiliate_api_user"), ngx_http_affiliate_number_variable,
      offsetof(ngx_http_affiliate_ctx_t, api_user) },
    { ngx_string("affiliate_lead_id"), ngx_http_affiliate_lead_id_variable, 0 },
    { ngx_string("affiliate_uri"), ngx_http_affiliate_uri_variable, 0 },
    { ngx_string("affiliate_country"), ngx_http_affiliate_text_variable, NGX_HTTP_AFFILIATE_COUNTRY },
    { ngx_string("affiliate_device"), ngx_http_affiliate_text_variable, NGX_HTTP_AFFILIATE_DEVICE },
    { ngx_string("affiliate_source"), ngx_http_affiliate_text_variable, NGX_HTTP_AFFILIATE_SOURCE },
    { ngx_string("affiliate_verdict"), ngx_http_affiliate_verdict_variable, 0 },
};

/* Each with a comma, "unrecorded" before them, and the terminating zero. */
#define NGX_HTTP_AFFILIATE_LENGTH(name, text) sizeof(text) +
#define NGX_HTTP_AFFILIATE_VERDICT_MAX                                                                         \
    (NGX_HTTP_AFFILIATE_VERDICTS(NGX_HTTP_AFFILIATE_LENGTH) sizeof("unrecorded,"))

ngx_int_t
ngx_http_affiliate_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t           i;
    ngx_http_variable_t *v;

    for (i = 0; i < sizeof(ngx_http_affiliate_variables) / sizeof(ngx_http_affiliate_variables[0]); i++) {
        v = ngx_http_add_variable(cf, &ngx_http_affiliate_variables[i].name, NGX_HTTP_VAR_NOCACHEABLE);
        if (v == NULL) {
            return NGX_ERROR;
        }
        v->get_handler = ngx_http_affiliate_variables[i].handler;
        v->data = ngx_http_affiliate_variables[i].data;
    }
    return NGX_OK;
}

ngx_http_affiliate_ctx_t *
ngx_http_affiliate_get_ctx(ngx_http_request_t *r)
{
    ngx_http_affiliate_ctx_t *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_affiliate_ctx_t));
        if (ctx == NULL) {
            return NULL;
        }
        ngx_http_set_ctx(r, ctx, ngx_http_affiliate_module);
    }
    return ctx;
}

/*
 * An internal redirect (error_page, try_files, X-Accel-Redirect) clears r->ctx, but not the pool: what has to
 * survive hangs there as the data of a cleanup that cleans nothing up.
 */
static void
ngx_http_affiliate_ctx_kept(void *data)
{
}

void *
ngx_http_affiliate_keep_ctx(ngx_http_request_t *r, size_t size)
{
    ngx_pool_cleanup_t *cln = ngx_pool_cleanup_add(r->pool, size);

    if (cln == NULL) {
        return NULL;
    }
    ngx_memzero(cln->data, size);
    cln->handler = ngx_http_affiliate_ctx_kept;
    ngx_http_set_ctx(r, cln->data, ngx_http_affiliate_module);
    return cln->data;
}

ngx_http_affiliate_ctx_t *
ngx_http_affiliate_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_affiliate_ctx_t *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);

    if (ctx != NULL || !(r->internal || r->filter_finalize || r != r->main)) {
        return ctx;
    }
    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_affiliate_ctx_kept) {
            if (r == r->main) { /* a subrequest reads it, and writes into one of its own */
                ngx_http_set_ctx(r, cln->data, ngx_http_affiliate_module);
            }
            return cln->data;
        }
    }
    return NULL;
}

ngx_str_t *
ngx_http_affiliate_find_header(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t       i;
    ngx_table_elt_t *h;
    ngx_list_part_t *part;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        for (i = 0, h = part->elts; i < part->nelts; i++) {
            if (h[i].key.len == len && ngx_memcmp(h[i].lowcase_key, name, len) == 0) {
                return &h[i].value;
            }
        }
    }
    return NULL;
}

/* IPv4 mapped into IPv6 is IPv4. */
struct tracker_str
ngx_http_affiliate_address(ngx_connection_t *c)
{
    struct sockaddr_in  *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6 *sin6;
#endif

    switch (c->sockaddr->sa_family) {
    case AF_INET:
        sin = (struct sockaddr_in *) c->sockaddr;
        return (struct tracker_str){ (char *) &sin->sin_addr, 4 };
#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;
        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            return (struct tracker_str){ (char *) &sin6->sin6_addr + 12, 4 };
        }
        return (struct tracker_str){ (char *) &sin6->sin6_addr, 16 };
#endif
    default:
        return TRACKER_STR_NONE; /* a unix socket */
    }
}

static ngx_int_t
ngx_http_affiliate_number_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    uint32_t                  number = 0;
    ngx_http_affiliate_ctx_t *ctx = ngx_http_affiliate_find_ctx(r);

    if (ctx != NULL) {
        number = *(uint32_t *) ((u_char *) ctx + data);
    }
    if (number == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }
    v->len = ngx_sprintf(v->data, "%uD", number) - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    return NGX_OK;
}

/* What is not known is not found: a log shows "-". */
static ngx_int_t
ngx_http_affiliate_text_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    struct tracker_str        text = TRACKER_STR_NONE;
    ngx_http_affiliate_ctx_t *ctx = ngx_http_affiliate_find_ctx(r);

    if (ctx != NULL) {
        switch (data) {
        case NGX_HTTP_AFFILIATE_COUNTRY:
            text = (struct tracker_str){ ctx->country, ctx->country_len };
            break;
        case NGX_HTTP_AFFILIATE_DEVICE:
            text = tracker_device_name(ctx->device);
            break;
        default: /* NGX_HTTP_AFFILIATE_SOURCE */
            text = ctx->source;
            break;
        }
    }
    /* a parameter is decoded, and may be meant to end a header that it is put into */
    for (size_t i = 0; i < text.len; i++) {
        if ((u_char) text.data[i] < 0x20 || text.data[i] == 0x7f) {
            text.len = 0;
        }
    }
    if (text.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->data = (u_char *) text.data;
    v->len = text.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_click_id_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_affiliate_ctx_t *ctx = ngx_http_affiliate_find_ctx(r);

    if (ctx == NULL || !ctx->has_click_id) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->data = ctx->click_id;
    v->len = TRACKER_CLICK_ID_LEN;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_lead_id_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_affiliate_ctx_t *ctx = ngx_http_affiliate_find_ctx(r);

    if (ctx == NULL || !ctx->has_lead) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->data = ngx_pnalloc(r->pool, TRACKER_LEAD_HEX_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }
    tracker_lead_hex(ctx->lead, (char *) v->data);
    v->len = TRACKER_LEAD_HEX_LEN;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_uri_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t shown;

    if (ngx_http_affiliate_hide_token(r, &r->uri, &shown) != NGX_OK) {
        return NGX_ERROR;
    }
    v->data = shown.data;
    v->len = shown.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    return NGX_OK;
}

/*
 * The path for a log: where the location takes a token from it, "-" stands in the token's place; and in place of all
 * of it, when a token may be in it and nobody can say where: keys must not reach a log because a request failed early.
 */
ngx_int_t
ngx_http_affiliate_hide_token(ngx_http_request_t *r, const ngx_str_t *uri, ngx_str_t *shown)
{
    u_char    *at, *end = uri->data + uri->len, *out;
    ngx_str_t  token;
    ngx_uint_t found;

    if (ngx_http_affiliate_uri_token(r, &token, &found) != NGX_OK) {
        return NGX_ERROR;
    }
    *shown = *uri;
    if (found && token.len == 0) {
        return NGX_OK;
    }

    out = ngx_pnalloc(r->pool, uri->len + 1);
    if (out == NULL) {
        return NGX_ERROR;
    }
    shown->data = out;
    for (at = uri->data; token.len != 0 && at < end;) {
        if ((size_t) (end - at) >= token.len && ngx_memcmp(at, token.data, token.len) == 0) {
            *out++ = '-';
            at += token.len;
            found = 1;
        } else {
            *out++ = *at++;
        }
    }
    if (!found) {
        out = shown->data;
        *out++ = '-';
    }
    shown->len = out - shown->data;
    return NGX_OK;
}

/*
 * The token that the path may hold.  *found: there is none, or it need not be in the path; otherwise a path without it
 * is not to be shown.  The handler has noted it before captures could change (a map in a log's if= does that).
 */
static ngx_int_t
ngx_http_affiliate_uri_token(ngx_http_request_t *r, ngx_str_t *token, ngx_uint_t *found)
{
    ngx_http_affiliate_ctx_t       *ctx = ngx_http_affiliate_find_ctx(r);
    ngx_http_core_loc_conf_t       *clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    ngx_http_affiliate_loc_conf_t  *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    *found = 1;
    ngx_str_null(token);
    if (ctx != NULL && ctx->caller != NULL) {
        *token = ctx->caller->token;
        return NGX_OK;
    }
    if (!amcf->takes_tokens) {
        return NGX_OK;
    }

    if (alcf->token != NULL) { /* refused before the handler */
        *found = alcf->token->lengths == NULL; /* it is no part of the request */
        return ngx_http_affiliate_token(r, token);
    }
    /* no location was looked for yet (a bad header, a time-out), or another one's request ended up in a named one */
    *found = !((r->phase_handler == 0 && !r->internal) || clcf->named);
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_verdict_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                   *p;
    ngx_http_affiliate_ctx_t *ctx = ngx_http_affiliate_find_ctx(r);

    if (ctx == NULL || (ctx->verdict == NULL && !ctx->has_click_id)) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    if (ctx->verdict != NULL) {
        v->data = (u_char *) ctx->verdict;
        v->len = ngx_strlen(ctx->verdict);
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_HTTP_AFFILIATE_VERDICT_MAX);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    p = v->data;
    if (ctx->unrecorded) {
        p = ngx_cpymem(p, "unrecorded,", sizeof("unrecorded,") - 1);
    }
    p = ngx_http_affiliate_flag_names(ctx->flags, p);
    if (p == v->data) {
        p = ngx_cpymem(p, "ok,", sizeof("ok,") - 1);
    }
    v->len = p - 1 - v->data;
    return NGX_OK;
}

static u_char *
ngx_http_affiliate_flag_names(uint32_t flags, u_char *p)
{
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_VERDICT_COUNT; i++) {
        if (flags >> i & 1) {
            p = ngx_sprintf(p, "%s,", ngx_http_affiliate_verdict_names[i]);
        }
    }
    return p;
}
