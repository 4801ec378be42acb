/*
 * ngx_http_affiliate_form.c - affiliate_form: a web form at its public key, shown and taken back (docs/forms.md).
 *
 * Nothing here needs the backend: definition and pages lie in the snapshot, and what is sent goes to the journal.
 */
#include "ngx_http_affiliate_form.h"

static const ngx_http_affiliate_error_t *ngx_http_affiliate_form_find(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_path(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_get(ngx_http_affiliate_form_t *form);
static void ngx_http_affiliate_form_clicked(ngx_http_affiliate_form_t *form);

ngx_int_t
ngx_http_affiliate_form_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_form_t        *form;
    const ngx_http_affiliate_error_t *error;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }
    form = ngx_pcalloc(r->pool, sizeof(ngx_http_affiliate_form_t));
    if (form == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    form->request = r;

    error = ngx_http_affiliate_form_find(form);
    if (error == NULL && r->method == NGX_HTTP_POST) {
        return ngx_http_affiliate_form_post(form);
    }
    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    if (error != NULL) {
        return ngx_http_affiliate_form_refuse(form, error);
    }
    return r->method == NGX_HTTP_OPTIONS ? ngx_http_affiliate_form_preflight(form)
                                         : ngx_http_affiliate_form_get(form);
}

/* Everything that is the same for all methods. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_find(ngx_http_affiliate_form_t *form)
{
    ngx_time_t                *tp = ngx_timeofday();
    struct tracker_str         key;
    ngx_http_request_t        *r = form->request;
    ngx_http_affiliate_visit_t visit;

    form->conf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    form->main = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);
    form->now_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    form->ctx = ngx_http_affiliate_get_ctx(r);
    if (form->ctx == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    form->ctx->postback = form;
    ngx_http_affiliate_form_origin(form);

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_POST | NGX_HTTP_OPTIONS))) {
        return ngx_http_affiliate_error(METHOD);
    }
    form->snapshot = ngx_http_affiliate_snapshot_pin(r->pool);
    if (form->snapshot == NULL) {
        return ngx_http_affiliate_error(STARTING);
    }

    visit.request = r;
    visit.conf = form->conf;
    if (ngx_http_affiliate_click_code(&visit, &key) != NGX_OK || ngx_http_affiliate_form_path(form) != NGX_OK) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    if (!tracker_snapshot_form(form->snapshot, key, &form->row) || form->row.state == TRACKER_STATE_ARCHIVED
        || !tracker_snapshot_program(form->snapshot, form->row.program, &form->program))
    {
        ngx_memzero(&form->row, sizeof(form->row));
        return ngx_http_affiliate_error(FORM_UNKNOWN);
    }
    if (form->row.state != TRACKER_STATE_ACTIVE || form->program.state != TRACKER_STATE_ACTIVE) {
        return ngx_http_affiliate_error(FORM_CLOSED);
    }

    form->ctx->affiliate = form->row.affiliate;
    form->consents = ngx_http_affiliate_consents(r, form->conf);
    ngx_http_affiliate_form_clicked(form);
    return NULL;
}

/* As nginx understood the URI, not as it was sent: "//host/f/KEY" would lead a browser elsewhere. */
static ngx_int_t
ngx_http_affiliate_form_path(ngx_http_affiliate_form_t *form)
{
    u_char   *p;
    ngx_str_t uri = form->request->uri;

    while (uri.len > 1 && uri.data[0] == '/' && uri.data[1] == '/') {
        uri.data++;
        uri.len--;
    }
    p = ngx_pnalloc(form->request->pool, 3 * uri.len);
    if (p == NULL) {
        return NGX_ERROR;
    }
    form->path.data = (char *) p;
    form->path.len = (u_char *) ngx_escape_uri(p, uri.data, uri.len, NGX_ESCAPE_URI) - p;
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_form_get(ngx_http_affiliate_form_t *form)
{
    ngx_str_t           value;
    ngx_http_request_t *r = form->request;

    if (ngx_http_arg(r, (u_char *) "wait", sizeof("wait") - 1, &value) == NGX_OK) {
        return ngx_http_affiliate_form_ticket(form, &value);
    }
    if (ngx_http_arg(r, (u_char *) "done", sizeof("done") - 1, &value) == NGX_OK) {
        return ngx_http_affiliate_form_done(form);
    }
    return ngx_http_affiliate_form_show(form);
}

/* The click that the page's address names; a frame on another site gets no cookie. */
static void
ngx_http_affiliate_form_clicked(ngx_http_affiliate_form_t *form)
{
    struct tracker_str      query = { (char *) form->request->args.data, form->request->args.len }, name, value;
    struct tracker_click_id id;

    while (query.len != 0 && tracker_query_next(&query, &name, &value)) {
        if (ngx_http_affiliate_field_find(ngx_http_affiliate_alias(form->conf, name))
                == NGX_HTTP_AFFILIATE_FIELD_CLICK_ID
            && tracker_click_id_decode(form->main->keys, value, &id) == TRACKER_CLICK_ID_OK)
        {
            form->click_id = value;
            return;
        }
    }
}

char *
ngx_http_affiliate_set_form(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_affiliate_take_visits(cf, cmd, conf, ngx_http_affiliate_form_handler, 0);
}
