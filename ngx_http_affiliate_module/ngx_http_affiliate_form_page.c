/*
 * ngx_http_affiliate_form_page.c - what people see of a form: prepared pages with their own in them.
 *
 * No script stands in them, and none would run; what a stranger sent is escaped by tracker_page_fill.
 */
#include "ngx_http_affiliate_form.h"

#include <sodium.h>

static void ngx_http_affiliate_form_renew(ngx_http_affiliate_form_t *form, uint64_t shown_ms);
static ngx_int_t ngx_http_affiliate_form_send(ngx_http_affiliate_form_t *form, struct tracker_str page,
                                              ngx_uint_t status, struct tracker_page_values *values);
static ngx_int_t ngx_http_affiliate_form_headers(ngx_http_request_t *r, ngx_str_t *policy);
static ngx_int_t ngx_http_affiliate_form_policy(ngx_http_affiliate_form_t *form, struct tracker_str page,
                                                ngx_str_t *policy);
static u_char *ngx_http_affiliate_form_style(u_char *p, struct tracker_str page);
static const char *ngx_http_affiliate_form_targets(const ngx_http_affiliate_form_t *form);

static ngx_str_t ngx_http_affiliate_html = ngx_string("text/html; charset=utf-8");

ngx_int_t
ngx_http_affiliate_form_show(ngx_http_affiliate_form_t *form)
{
    struct tracker_page_values values;

    ngx_memzero(&values, sizeof(values));
    ngx_http_affiliate_form_renew(form, form->now_ms);
    ngx_http_affiliate_count(FORMS);
    return ngx_http_affiliate_form_send(form, form->row.page, NGX_HTTP_OK, &values);
}

ngx_int_t
ngx_http_affiliate_form_show_again(ngx_http_affiliate_form_t *form, ngx_uint_t status, uint8_t notice)
{
    struct tracker_page_values values;

    /* who mends one field and sends it again is quick, and was shown the page before: nothing is too fast now.  What may
     * be on the disk already keeps its key. */
    if (!form->proven) {
        ngx_http_affiliate_form_renew(form, form->now_ms - form->row.min_fill_ms);
    } else if (notice != TRACKER_PAGE_UNAVAILABLE) {
        ngx_http_affiliate_form_renew(form, form->shown_ms);
    }

    ngx_memzero(&values, sizeof(values));
    values.sent = form->sent;
    values.faults = notice == 0 ? form->faults : NULL;
    values.notice = notice;
    return ngx_http_affiliate_form_send(form, form->row.page, status, &values);
}

ngx_int_t
ngx_http_affiliate_form_done(ngx_http_affiliate_form_t *form)
{
    struct tracker_page_values values;

    ngx_memzero(&values, sizeof(values));
    return ngx_http_affiliate_form_send(form, form->row.done, NGX_HTTP_OK, &values);
}

ngx_int_t
ngx_http_affiliate_form_wait(ngx_http_affiliate_form_t *form)
{
    struct tracker_page_values values;

    ngx_memzero(&values, sizeof(values));
    return ngx_http_affiliate_form_send(form, form->row.wait, NGX_HTTP_OK, &values);
}

/* A path stays one: nginx would put its own idea of scheme, name and port before it. */
ngx_int_t
ngx_http_affiliate_form_redirect(ngx_http_affiliate_form_t *form, ngx_str_t *url)
{
    ngx_http_request_t *r = form->request;

    if (ngx_http_affiliate_add_literal(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_affiliate_add_literal(r, "Referrer-Policy", "same-origin") != NGX_OK
        || ngx_http_affiliate_add_header(r, "Location", sizeof("Location") - 1, url) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_SEE_OTHER);
}

/* The edge's own words: the form's language is not known here, or the sender is no browser. */
ngx_int_t
ngx_http_affiliate_form_refuse(ngx_http_affiliate_form_t *form, const ngx_http_affiliate_error_t *error)
{
    static const char format[] = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                 "<meta name=\"viewport\" content=\"width=device-width\"><title>%ui</title></head>"
                                 "<body><p>%s</p></body></html>\n";
    static ngx_str_t  policy = ngx_string("default-src 'none'; frame-ancestors *");

    ngx_str_t           body;
    ngx_http_request_t *r = form->request;

    if (form->ctx != NULL) {
        form->ctx->verdict = error->code;
    }
    if (error->status >= 500) {
        ngx_http_affiliate_count(FORMS_UNAVAILABLE);
    } else {
        ngx_http_affiliate_count(FORMS_REFUSED);
    }
    if (form->script) {
        return ngx_http_affiliate_form_cors(form) == NGX_OK ? ngx_http_affiliate_send_error(r, error)
                                                            : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_affiliate_count_error(error);
    body.data = ngx_pnalloc(r->pool, sizeof(format) + NGX_INT_T_LEN + ngx_strlen(error->message));
    if (body.data == NULL || ngx_http_affiliate_add_hints(r, error->status) != NGX_OK
        || ngx_http_affiliate_form_headers(r, &policy) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    body.len = ngx_sprintf(body.data, format, error->status, error->message) - body.data;
    return ngx_http_affiliate_send_text(r, error->status, &ngx_http_affiliate_html, &body);
}

/* Every showing has a token, and so an idempotency key, of its own. */
static void
ngx_http_affiliate_form_renew(ngx_http_affiliate_form_t *form, uint64_t shown_ms)
{
    randombytes_buf(form->nonce, sizeof(form->nonce));
    form->shown_ms = shown_ms;
}

static ngx_int_t
ngx_http_affiliate_form_send(ngx_http_affiliate_form_t *form, struct tracker_str page, ngx_uint_t status,
                             struct tracker_page_values *values)
{
    char                token[TRACKER_FORM_TOKEN_LEN];
    ngx_str_t           body, policy;
    ngx_http_request_t *r = form->request;

    tracker_form_token_make(form->main->keys, form->row.id, form->shown_ms, form->nonce, token);
    values->form = form->row.definition;
    values->token = (struct tracker_str){ token, sizeof(token) };
    values->click_id = form->click_id;
    values->path = form->path;

    body.len = tracker_page_fill(page, values, NULL, 0);
    body.data = ngx_pnalloc(r->pool, body.len);
    if (body.data == NULL || ngx_http_affiliate_form_policy(form, page, &policy) != NGX_OK
        || ngx_http_affiliate_form_headers(r, &policy) != NGX_OK || ngx_http_affiliate_add_hints(r, status) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    (void) tracker_page_fill(page, values, (char *) body.data, body.len);
    return ngx_http_affiliate_send_text(r, status, &ngx_http_affiliate_html, &body);
}

static ngx_int_t
ngx_http_affiliate_form_headers(ngx_http_request_t *r, ngx_str_t *policy)
{
    if (ngx_http_affiliate_add_header(r, "Content-Security-Policy", sizeof("Content-Security-Policy") - 1, policy)
            != NGX_OK
        || ngx_http_affiliate_add_literal(r, "X-Content-Type-Options", "nosniff") != NGX_OK
        || ngx_http_affiliate_add_literal(r, "X-Robots-Tag", "noindex") != NGX_OK)
    {
        return NGX_ERROR;
    }
    /* ours alone: click ids and tickets stand in addresses */
    return ngx_http_affiliate_add_literal(r, "Referrer-Policy", "same-origin");
}

/* Nothing but the page, its one style, and its own form. */
static ngx_int_t
ngx_http_affiliate_form_policy(ngx_http_affiliate_form_t *form, struct tracker_str page, ngx_str_t *policy)
{
    u_char            *p;
    struct tracker_str frames = form->row.frame_ancestors;

    if (frames.len == 0) {
        frames = TRACKER_STR("'none'");
    }
    p = ngx_pnalloc(form->request->pool, 256 + frames.len);
    if (p == NULL) {
        return NGX_ERROR;
    }
    policy->data = p;
    p = ngx_sprintf(p, "default-src 'none'; base-uri 'none'; form-action 'self'%s; ",
                    ngx_http_affiliate_form_targets(form));
    p = ngx_http_affiliate_form_style(p, page);
    p = ngx_sprintf(p, "frame-ancestors %*s", frames.len, frames.data);
    policy->len = p - policy->data;
    return NGX_OK;
}

/* By its hash (CSP 3, 8.3): a style that somebody slipped in has another. */
static u_char *
ngx_http_affiliate_form_style(u_char *p, struct tracker_str page)
{
    u_char      hash[crypto_hash_sha256_BYTES];
    ngx_str_t   raw = { sizeof(hash), hash }, text;
    const char *start, *stop = NULL;

    start = page.len == 0 ? NULL : memmem(page.data, page.len, "<style>", sizeof("<style>") - 1);
    if (start != NULL) {
        start += sizeof("<style>") - 1;
        stop = memmem(start, (size_t) (page.data + page.len - start), "</style>", sizeof("</style>") - 1);
    }
    if (stop == NULL) {
        return p;
    }
    (void) crypto_hash_sha256(hash, (const u_char *) start, (size_t) (stop - start));
    p = ngx_cpymem(p, "style-src 'sha256-", sizeof("style-src 'sha256-") - 1);
    text.data = p;
    ngx_encode_base64(&text, &raw);
    return ngx_cpymem(p + text.len, "'; ", 3);
}

/* Browsers hold redirects after a form was sent against form-action too, each of them: who is redirected to us may be
 * redirected on from there, and nobody but they know where. */
static const char *
ngx_http_affiliate_form_targets(const ngx_http_affiliate_form_t *form)
{
    struct tracker_str url = form->row.after == TRACKER_FORM_AFTER_URL         ? form->row.after_url
                             : form->row.after == TRACKER_FORM_AFTER_AUTOLOGIN ? form->program.platform_url
                                                                               : TRACKER_STR_NONE;

    if (url.len == 0) {
        return "";
    }
    return url.len >= 5 && ngx_strncasecmp((u_char *) url.data, (u_char *) "http:", 5) == 0 ? " http: https:"
                                                                                           : " https:";
}
