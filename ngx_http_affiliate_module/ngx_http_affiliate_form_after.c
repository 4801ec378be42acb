/*
 * ngx_http_affiliate_form_after.c - where a form leads when it was sent: a message, a URL, or into the platform.
 *
 * The way into the platform opens for a new lead only, and only for the browser that our page was shown to.  Everybody
 * else, whoever has an account already and every bot sees the same thanks: whether an address is known is nobody's.
 */
#include "ngx_http_affiliate_form.h"

#include "ngx_http_affiliate_autologin.h"
#include "ngx_http_affiliate_lead.h"

static ngx_uint_t ngx_http_affiliate_form_opens(const ngx_http_affiliate_form_t *form);
static void ngx_http_affiliate_form_decided(ngx_http_request_t *r, void *data, const struct tracker_verdict *verdict);
static ngx_int_t ngx_http_affiliate_form_enter(ngx_http_affiliate_form_t *form, const struct tracker_verdict *verdict);
static ngx_int_t ngx_http_affiliate_form_leave(ngx_http_affiliate_form_t *form, ngx_uint_t status, ngx_str_t *url);
static ngx_int_t ngx_http_affiliate_form_thank(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_come_back(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_own_url(ngx_http_affiliate_form_t *form, const char *query,
                                                 struct tracker_str value, ngx_str_t *url);

void
ngx_http_affiliate_form_after(ngx_http_affiliate_form_t *form)
{
    ngx_int_t           rc;
    ngx_http_request_t *r = form->request;

    if (!ngx_http_affiliate_form_opens(form)) {
        ngx_http_finalize_request(r, ngx_http_affiliate_form_thank(form));
        return;
    }
    rc = ngx_http_affiliate_await_verdict(r, form->lead, form->conf->lead_wait, ngx_http_affiliate_form_decided, form);
    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, ngx_http_affiliate_form_come_back(form));
    }
}

/* Whether a verdict may lead into the platform. */
static ngx_uint_t
ngx_http_affiliate_form_opens(const ngx_http_affiliate_form_t *form)
{
    return form->row.after == TRACKER_FORM_AFTER_AUTOLOGIN && form->proven && !(form->flags & TRACKER_LEAD_SPAM)
           && form->program.platform_url.len != 0;
}

ngx_int_t
ngx_http_affiliate_form_ticket(ngx_http_affiliate_form_t *form, ngx_str_t *ticket)
{
    ngx_int_t           rc;
    ngx_http_request_t *r = form->request;
    struct tracker_pass pass;

    if (!tracker_pass_read(form->main->keys, TRACKER_PASS_WAIT, form->now_ms / 1000,
                           (struct tracker_str){ (char *) ticket->data, ticket->len }, &pass)
        || pass.owner != form->row.id || form->row.after != TRACKER_FORM_AFTER_AUTOLOGIN)
    {
        return ngx_http_affiliate_form_done(form);
    }
    ngx_memcpy(form->lead, pass.lead, TRACKER_LEAD_ID_LEN);
    ngx_memcpy(form->nonce, pass.nonce, TRACKER_NONCE_LEN);

    rc = ngx_http_affiliate_await_verdict(r, form->lead, form->conf->lead_wait, ngx_http_affiliate_form_decided, form);
    if (rc != NGX_OK) {
        return ngx_http_affiliate_form_wait(form);
    }
    r->main->count++;
    return NGX_DONE;
}

static void
ngx_http_affiliate_form_decided(ngx_http_request_t *r, void *data, const struct tracker_verdict *verdict)
{
    ngx_int_t                  rc;
    ngx_http_affiliate_form_t *form = data;

    if (verdict != NULL) {
        rc = ngx_http_affiliate_form_enter(form, verdict);
    } else if (r->method == NGX_HTTP_POST) {
        rc = ngx_http_affiliate_form_come_back(form);
    } else {
        rc = ngx_http_affiliate_form_wait(form);
    }
    ngx_http_finalize_request(r, rc);
}

/* The nonce is the form token's own: however often this lead is let in, the platform takes it once. */
static ngx_int_t
ngx_http_affiliate_form_enter(ngx_http_affiliate_form_t *form, const struct tracker_verdict *verdict)
{
    ngx_int_t            rc;
    ngx_str_t            url;
    static const uint8_t nobody[TRACKER_LEAD_ID_LEN]; /* what was spam before it was sent again is "created", too */

    if (verdict->verdict != TRACKER_LEAD_CREATED || verdict->flags & TRACKER_VERDICT_EXISTING
        || ngx_memcmp(verdict->lead, nobody, sizeof(nobody)) == 0)
    {
        return ngx_http_affiliate_form_thank(form);
    }
    rc = ngx_http_affiliate_autologin_url(form->request, form->snapshot, &form->program, verdict->lead, form->nonce,
                                          &url);
    if (rc == NGX_DECLINED) {
        return ngx_http_affiliate_form_thank(form);
    }
    return rc == NGX_OK ? ngx_http_affiliate_form_leave(form, NGX_HTTP_CREATED, &url) : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* A browser follows, a script is told; the status is the script's. */
static ngx_int_t
ngx_http_affiliate_form_leave(ngx_http_affiliate_form_t *form, ngx_uint_t status, ngx_str_t *url)
{
    return form->script ? ngx_http_affiliate_form_accepted(form, status, url)
                        : ngx_http_affiliate_form_redirect(form, url);
}

/* After a redirect, so that "back" and "reload" do not send it once more. */
static ngx_int_t
ngx_http_affiliate_form_thank(ngx_http_affiliate_form_t *form)
{
    ngx_str_t url = { form->row.after_url.len, (u_char *) form->row.after_url.data };

    if (form->row.after != TRACKER_FORM_AFTER_URL
        && ngx_http_affiliate_form_own_url(form, "?done=", TRACKER_STR("1"), &url) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_form_leave(form, NGX_HTTP_ACCEPTED, &url);
}

/* With a ticket for this lead. */
static ngx_int_t
ngx_http_affiliate_form_come_back(ngx_http_affiliate_form_t *form)
{
    char                ticket[TRACKER_PASS_LEN];
    ngx_str_t           url;
    struct tracker_pass pass = { .use = TRACKER_PASS_WAIT, .owner = form->row.id };

    pass.expires_s = form->now_ms / 1000 + TRACKER_TICKET_LIFE_S;
    ngx_memcpy(pass.lead, form->lead, TRACKER_LEAD_ID_LEN);
    ngx_memcpy(pass.nonce, form->nonce, TRACKER_NONCE_LEN);
    tracker_pass_make(form->main->keys, &pass, ticket);
    if (ngx_http_affiliate_form_own_url(form, "?wait=", (struct tracker_str){ ticket, sizeof(ticket) }, &url)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_form_leave(form, NGX_HTTP_ACCEPTED, &url);
}

/* The form's path with a query that needs no escaping. */
static ngx_int_t
ngx_http_affiliate_form_own_url(ngx_http_affiliate_form_t *form, const char *query, struct tracker_str value,
                                ngx_str_t *url)
{
    size_t len = ngx_strlen(query);

    url->data = ngx_pnalloc(form->request->pool, form->path.len + len + value.len);
    if (url->data == NULL) {
        return NGX_ERROR;
    }
    url->len = ngx_cpymem(ngx_cpymem(ngx_cpymem(url->data, form->path.data, form->path.len), query, len), value.data,
                          value.len) - url->data;
    return NGX_OK;
}
