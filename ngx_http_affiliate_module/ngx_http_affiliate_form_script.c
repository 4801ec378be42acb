/*
 * ngx_http_affiliate_form_script.c - forms that a script sends: from which pages, and what it is answered.
 *
 * A form's row names the origins of its owner's pages.  A script there needs no token; what it sends is then told from a
 * repetition by its Idempotency-Key or its content.  Nobody is logged in on its word: whoever knows what somebody else has
 * sent could repeat it.
 */
#include "ngx_http_affiliate_form.h"

#define NGX_HTTP_AFFILIATE_FORM_ACCEPTED                                                                       \
    "{\"data\":{\"id\":\"%*s\",\"status\":\"%s\",\"redirect_url\":\"%*s\"}}\n"

static ngx_uint_t ngx_http_affiliate_form_is_script(ngx_http_request_t *r);
static ngx_uint_t ngx_http_affiliate_form_names_origin(struct tracker_str origins, struct tracker_str origin);
static u_char *ngx_http_affiliate_form_fault_list(const ngx_http_affiliate_form_t *form, u_char *p);

/* Runs before the form is known: whatever is answered, a script wants JSON. */
void
ngx_http_affiliate_form_origin(ngx_http_affiliate_form_t *form)
{
    form->script = ngx_http_affiliate_form_is_script(form->request);
}

/* It sends JSON, asks for JSON, or is a browser's fetch. */
static ngx_uint_t
ngx_http_affiliate_form_is_script(ngx_http_request_t *r)
{
    struct tracker_str accept = ngx_http_affiliate_header(r, TRACKER_STR("accept"));

    if (!(r->method & NGX_HTTP_POST)) {
        return 0;
    }
    return ngx_http_affiliate_form_body_json(r)
           || tracker_str_eq(ngx_http_affiliate_header(r, TRACKER_STR("sec-fetch-mode")), TRACKER_STR("cors"))
           || (accept.len >= sizeof("application/json") - 1 /* a shorter one nginx's search would read past */
               && ngx_strlcasestrn((u_char *) accept.data, (u_char *) accept.data + accept.len,
                                   (u_char *) "application/json", sizeof("application/json") - 2) != NULL);
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_script_admit(ngx_http_affiliate_form_t *form)
{
    ngx_str_t         *header = ngx_http_affiliate_find_header(form->request, "origin", sizeof("origin") - 1);
    struct tracker_str origin;

    if (!form->script || header == NULL) {
        return NULL;
    }
    origin = (struct tracker_str){ (char *) header->data, header->len };
    if (!ngx_http_affiliate_form_names_origin(form->row.origins, origin)
        && !ngx_http_affiliate_origin_own(form->request, header))
    {
        return ngx_http_affiliate_error(FORM_ORIGIN);
    }
    form->origin = origin;
    return NULL;
}

/* Scheme and host come in lower case from browsers (RFC 6454), and so they stand in the row. */
static ngx_uint_t
ngx_http_affiliate_form_names_origin(struct tracker_str origins, struct tracker_str origin)
{
    const char *at = origins.data, *end = at + origins.len, *newline;

    while (at < end && (newline = memchr(at, '\n', (size_t) (end - at))) != NULL) {
        if (tracker_str_eq((struct tracker_str){ at, (size_t) (newline - at) }, origin)) {
            return 1;
        }
        at = newline + 1;
    }
    return 0;
}

ngx_int_t
ngx_http_affiliate_form_cors(ngx_http_affiliate_form_t *form)
{
    ngx_str_t origin = { form->origin.len, (u_char *) form->origin.data };

    if (ngx_http_affiliate_add_literal(form->request, "Vary", "Origin") != NGX_OK) {
        return NGX_ERROR;
    }
    if (origin.len == 0) {
        return NGX_OK;
    }
    if (ngx_http_affiliate_add_header(form->request, "Access-Control-Allow-Origin",
                                      sizeof("Access-Control-Allow-Origin") - 1, &origin) != NGX_OK)
    {
        return NGX_ERROR;
    }
    return ngx_http_affiliate_add_literal(form->request, "Access-Control-Allow-Credentials", "true");
}

ngx_int_t
ngx_http_affiliate_form_preflight(ngx_http_affiliate_form_t *form)
{
    ngx_http_request_t *r = form->request;

    form->script = 1;
    if (ngx_http_affiliate_form_script_admit(form) != NULL) {
        form->origin = TRACKER_STR_NONE; /* the browser keeps its script from going on */
    }
    if (ngx_http_affiliate_form_cors(form) != NGX_OK
        || ngx_http_affiliate_add_literal(r, "Allow", "GET, HEAD, POST, OPTIONS") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (form->origin.len != 0
        && (ngx_http_affiliate_add_literal(r, "Access-Control-Allow-Methods", "POST") != NGX_OK
            || ngx_http_affiliate_add_literal(r, "Access-Control-Allow-Headers", "Content-Type, Idempotency-Key")
                   != NGX_OK
            || ngx_http_affiliate_add_literal(r, "Access-Control-Max-Age", "600") != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_empty(r, NGX_HTTP_NO_CONTENT);
}

ngx_int_t
ngx_http_affiliate_form_faults(ngx_http_affiliate_form_t *form)
{
    static const char format[] = "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"doc_url\":\"/docs/errors#%s\","
                                 "\"fields\":{";

    u_char                           *p;
    ngx_str_t                         body;
    unsigned                          count = tracker_form_count(form->row.definition);
    ngx_http_request_t               *r = form->request;
    const ngx_http_affiliate_error_t *error = ngx_http_affiliate_error(FIELDS_INVALID);

    body.data = ngx_pnalloc(r->pool, sizeof(format) + 2 * ngx_strlen(error->code) + ngx_strlen(error->message)
                                         + count * (TRACKER_LEAD_NAME_MAX + sizeof("\"\":\"missing\",")) + 8);
    if (body.data == NULL || ngx_http_affiliate_form_cors(form) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    p = ngx_sprintf(body.data, format, error->code, error->message, error->code);
    p = ngx_http_affiliate_form_fault_list(form, p);
    p = ngx_cpymem(p, "}}}\n", 4);
    body.len = p - body.data;
    ngx_http_affiliate_count_error(error);
    return ngx_http_affiliate_send_json(r, error->status, &body);
}

/* Names of fields need no escaping. */
static u_char *
ngx_http_affiliate_form_fault_list(const ngx_http_affiliate_form_t *form, u_char *p)
{
    u_char                   *first = p;
    unsigned                  count = tracker_form_count(form->row.definition);
    struct tracker_form_field field;

    for (unsigned i = 0; i < count; i++) {
        if (form->faults[i] == TRACKER_FORM_FINE) {
            continue;
        }
        tracker_form_field(form->row.definition, i, &field);
        p = ngx_sprintf(p, "%s\"%*s\":\"%s\"", p == first ? "" : ",", field.name.len, field.name.data,
                        form->faults[i] == TRACKER_FORM_MISSING ? "missing" : "invalid");
    }
    return p;
}

ngx_int_t
ngx_http_affiliate_form_accepted(ngx_http_affiliate_form_t *form, ngx_uint_t status, ngx_str_t *url)
{
    char                hex[TRACKER_LEAD_HEX_LEN];
    size_t              len = url->len + ngx_escape_json(NULL, url->data, url->len);
    u_char             *text;
    ngx_str_t           body;
    ngx_http_request_t *r = form->request;

    text = ngx_pnalloc(r->pool, len);
    body.data = ngx_pnalloc(r->pool, sizeof(NGX_HTTP_AFFILIATE_FORM_ACCEPTED) + sizeof(hex) + sizeof("accepted") + len);
    if (text == NULL || body.data == NULL || ngx_http_affiliate_form_cors(form) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    (void) ngx_escape_json(text, url->data, url->len);
    tracker_lead_hex(form->lead, hex);
    body.len = ngx_sprintf(body.data, NGX_HTTP_AFFILIATE_FORM_ACCEPTED, sizeof(hex), hex,
                           status == NGX_HTTP_CREATED ? "created" : "accepted", len, text) - body.data;
    return ngx_http_affiliate_send_json(r, status, &body);
}
