/*
 * ngx_http_affiliate_form_submit.c - a form that is sent: token, rate, fields, journal, disk.
 *
 * "Thank you" is said only after the lead is on disk.  Whatever is wrong before that, a person sees his page again with
 * what he wrote, and a token of its own: nothing has to be typed twice.
 */
#include "ngx_http_affiliate_form.h"

#include "ngx_http_affiliate_lead.h"

static void ngx_http_affiliate_form_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_affiliate_form_take(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_again(ngx_http_affiliate_form_t *form,
                                               const ngx_http_affiliate_error_t *error, uint8_t notice);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_form_token(ngx_http_affiliate_form_t *form);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_form_header_key(ngx_http_affiliate_form_t *form);
static uint32_t ngx_http_affiliate_form_sender(const ngx_http_affiliate_form_t *form);
static ngx_uint_t ngx_http_affiliate_form_judge(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_mend(ngx_http_affiliate_form_t *form);
static ngx_int_t ngx_http_affiliate_form_record(ngx_http_affiliate_form_t *form, uint64_t *sequence);
static void ngx_http_affiliate_form_visitor(ngx_http_affiliate_form_t *form, struct tracker_lead *lead,
                                            u_char space[16]);
static void ngx_http_affiliate_form_synced(ngx_http_request_t *r, void *data, ngx_int_t rc);

ngx_int_t
ngx_http_affiliate_form_post(ngx_http_affiliate_form_t *form)
{
    ngx_int_t                         rc;
    ngx_http_request_t               *r = form->request;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_form_script_admit(form);
    if (error == NULL) {
        error = ngx_http_affiliate_form_body_admit(r);
    }
    if (error != NULL) {
        rc = ngx_http_discard_request_body(r);
        return rc == NGX_OK ? ngx_http_affiliate_form_refuse(form, error) : rc;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_affiliate_form_read);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

/* The body has been read: its reference on the request goes with the answer. */
static void
ngx_http_affiliate_form_read(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);
    ngx_http_affiliate_form_t        *form = ctx->postback;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_form_body(form);
    rc = error != NULL ? ngx_http_affiliate_form_refuse(form, error) : ngx_http_affiliate_form_take(form);
    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}

/* NGX_AGAIN: the disk will be heard of; else the answer has been given. */
static ngx_int_t
ngx_http_affiliate_form_take(ngx_http_affiliate_form_t *form)
{
    uint64_t                          sequence;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_form_token(form);
    if (error != NULL) {
        return ngx_http_affiliate_form_again(form, error, TRACKER_PAGE_STALE);
    }
    if (ngx_http_affiliate_rate_over(&ngx_http_affiliate_zone->forms, ngx_http_affiliate_form_sender(form),
                                     form->row.rate_minute, 1))
    {
        return ngx_http_affiliate_form_again(form, ngx_http_affiliate_error(RATE_LIMITED), TRACKER_PAGE_BUSY);
    }

    if (!ngx_http_affiliate_form_judge(form)) {
        return ngx_http_affiliate_form_mend(form);
    }
    if (ngx_http_affiliate_form_record(form, &sequence) != NGX_OK
        || ngx_http_affiliate_await_sync(form->request, TRACKER_JOURNAL_MONEY, sequence,
                                         ngx_http_affiliate_form_synced, form) != NGX_OK)
    {
        return ngx_http_affiliate_form_again(form, ngx_http_affiliate_error(UNAVAILABLE), TRACKER_PAGE_UNAVAILABLE);
    }
    return NGX_AGAIN;
}

/* People see why and need only send it again (notice 0: once it is mended); scripts get the error. */
static ngx_int_t
ngx_http_affiliate_form_again(ngx_http_affiliate_form_t *form, const ngx_http_affiliate_error_t *error, uint8_t notice)
{
    if (form->script) {
        return ngx_http_affiliate_form_refuse(form, error);
    }
    form->ctx->verdict = error->code;
    ngx_http_affiliate_count_error(error);
    if (error->status >= 500) {
        ngx_http_affiliate_count(FORMS_UNAVAILABLE);
    } else {
        ngx_http_affiliate_count(FORMS_REFUSED);
    }
    return ngx_http_affiliate_form_show_again(form, error->status, notice);
}

/* ---- may it be sent ---- */

/* NULL: it came from our page, or from a script that needs none.  Sets key and flags. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_token(ngx_http_affiliate_form_t *form)
{
    u_char *hex;

    if (!tracker_form_token_read(form->main->keys, form->row.id, form->now_ms, form->token, &form->shown_ms,
                                 form->nonce))
    {
        return form->script && form->origin.len != 0 && form->token.len == 0
                   ? ngx_http_affiliate_form_header_key(form) : ngx_http_affiliate_error(FORM_TOKEN);
    }

    form->proven = 1;
    if (form->now_ms - form->shown_ms < form->row.min_fill_ms) {
        form->flags |= TRACKER_LEAD_TOO_FAST;
    }
    hex = ngx_pnalloc(form->request->pool, 2 * TRACKER_NONCE_LEN);
    if (hex == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    (void) ngx_hex_dump(hex, form->nonce, TRACKER_NONCE_LEN);
    form->key = (struct tracker_str){ (char *) hex, 2 * TRACKER_NONCE_LEN };
    return NULL;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_header_key(ngx_http_affiliate_form_t *form)
{
    struct tracker_str key = ngx_http_affiliate_header(form->request, TRACKER_STR("idempotency-key"));

    if (key.len > TRACKER_LEAD_KEY_MAX) {
        return ngx_http_affiliate_error(IDEMPOTENCY_KEY);
    }
    for (size_t i = 0; i < key.len; i++) {
        if (key.data[i] < 0x20 || key.data[i] > 0x7e) {
            return ngx_http_affiliate_error(IDEMPOTENCY_KEY);
        }
    }
    form->key = key;
    return NULL;
}

/* One address (IPv6: the network of one subscriber) at one form. */
static uint32_t
ngx_http_affiliate_form_sender(const ngx_http_affiliate_form_t *form)
{
    u_char             who[12];
    struct tracker_str ip = ngx_http_affiliate_address(form->request->connection);

    ngx_memzero(who, sizeof(who));
    ngx_memcpy(who, &form->row.id, 4);
    ngx_memcpy(who + 4, ip.data, ip.len == 16 ? 8 : ip.len);
    return ngx_murmur_hash2(who, sizeof(who));
}

/* Whether all fields are fine, and kept. */
static ngx_uint_t
ngx_http_affiliate_form_judge(ngx_http_affiliate_form_t *form)
{
    size_t   len;
    uint8_t *kept = ngx_pnalloc(form->request->pool, TRACKER_LEAD_FIELDS_MAX);

    if (kept == NULL
        || !tracker_form_judge(form->row.definition, form->sent, kept, TRACKER_LEAD_FIELDS_MAX, &len, form->faults))
    {
        return 0;
    }
    form->kept = (struct tracker_str){ (char *) kept, len };
    return 1;
}

static ngx_int_t
ngx_http_affiliate_form_mend(ngx_http_affiliate_form_t *form)
{
    const ngx_http_affiliate_error_t *error = ngx_http_affiliate_error(FIELDS_INVALID);

    if (!form->script) {
        return ngx_http_affiliate_form_again(form, error, 0);
    }
    form->ctx->verdict = error->code;
    ngx_http_affiliate_count(FORMS_REFUSED);
    return ngx_http_affiliate_form_faults(form);
}

/* ---- the lead ---- */

static ngx_int_t
ngx_http_affiliate_form_record(ngx_http_affiliate_form_t *form, uint64_t *sequence)
{
    u_char              space[16];
    uint8_t             content[16];
    uint64_t            journal;
    struct tracker_lead lead;

    ngx_memzero(&lead, sizeof(lead));
    tracker_lead_content(form->kept, content);
    tracker_lead_id(form->main->keys, TRACKER_LEAD_FORM, form->row.id, form->key, content, form->lead);
    ngx_memcpy(form->ctx->lead, form->lead, TRACKER_LEAD_ID_LEN);
    form->ctx->has_lead = 1;

    if (form->row.after == TRACKER_FORM_AFTER_AUTOLOGIN && form->proven) {
        form->flags |= TRACKER_LEAD_AUTOLOGIN;
    }
    lead.id = (struct tracker_str){ (char *) form->lead, TRACKER_LEAD_ID_LEN };
    lead.kind = TRACKER_LEAD_FORM;
    lead.program = form->row.program;
    lead.form = form->row.id;
    lead.affiliate = form->row.affiliate;
    lead.content = (struct tracker_str){ (char *) content, sizeof(content) };
    lead.key = form->key;
    lead.fields = form->kept;
    ngx_http_affiliate_form_visitor(form, &lead, space);
    lead.flags = form->flags;
    return ngx_http_affiliate_lead_append(&lead, form->now_ms, &journal, sequence);
}

/* Who he is and what brought him here, as far as he agrees. */
static void
ngx_http_affiliate_form_visitor(ngx_http_affiliate_form_t *form, struct tracker_lead *lead, u_char space[16])
{
    ngx_http_request_t   *r = form->request;
    ngx_table_elt_t      *agent = r->headers_in.user_agent, *referer = r->headers_in.referer;
    struct tracker_str    language = ngx_http_affiliate_header(r, TRACKER_STR("accept-language"));
    struct tracker_cookie cookie;

    lead->click_id = form->click_id; /* of the link he came by: it names a click, which knows what it may */
    if (lead->click_id.len != 0) {
        ngx_memcpy(form->ctx->click_id, lead->click_id.data, TRACKER_CLICK_ID_LEN);
        form->ctx->has_click_id = 1;
    }
    if (!form->consents) {
        form->flags |= TRACKER_LEAD_NO_CONSENT;
        return;
    }
    if (form->conf->cookie.enable
        && tracker_cookie_read(form->main->keys, ngx_http_affiliate_cookies(r), form->row.program, &cookie)
               == TRACKER_COOKIE_OK)
    {
        lead->cookie_first = cookie.first_text;
        lead->cookie_last = cookie.last_text;
    }
    lead->ip = ngx_http_affiliate_kept_address(form->conf->ip, form->main->keys, form->now_ms,
                                               ngx_http_affiliate_address(r->connection), space, &lead->ip_form);
    if (agent != NULL) {
        lead->user_agent = (struct tracker_str){ (char *) agent->value.data,
                                                 ngx_min(agent->value.len, TRACKER_FIELD_MAX) };
    }
    if (referer != NULL) {
        lead->referrer = (struct tracker_str){ (char *) referer->value.data,
                                               ngx_min(referer->value.len, TRACKER_FIELD_MAX) };
    }
    lead->language = (struct tracker_str){ language.data, ngx_min(language.len, TRACKER_FIELD_MAX) };
}

static void
ngx_http_affiliate_form_synced(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_affiliate_form_t *form = data;

    if (rc != NGX_OK) {
        rc = ngx_http_affiliate_form_again(form, ngx_http_affiliate_error(UNAVAILABLE), TRACKER_PAGE_UNAVAILABLE);
        ngx_http_finalize_request(r, rc);
        return;
    }

    form->ctx->verdict = "accepted";
    ngx_http_affiliate_count(FORM_LEADS);
    if (form->flags & TRACKER_LEAD_SPAM) {
        ngx_http_affiliate_count(FORM_TRAPS);
    }
    ngx_http_affiliate_form_after(form);
}
