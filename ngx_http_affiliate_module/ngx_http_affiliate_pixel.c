/*
 * ngx_http_affiliate_pixel.c - a conversion that a visitor's browser reports from a thank-you page.
 *
 * Nobody vouches for it: it is pending whatever it says, and its amount is never taken from the query.  It goes
 * to the journal of traffic, without waiting for the disk, so that a flood of pixels cannot fill the room of
 * postbacks.  The answer is always the picture: a shop's page shows no error of ours, the log and the status do.
 */
#include "ngx_http_affiliate_postback.h"

static const ngx_http_affiliate_error_t *ngx_http_affiliate_pixel_record(ngx_http_request_t *r,
                                                                         ngx_http_affiliate_ctx_t *ctx);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_pixel_fields(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields);
static ngx_int_t ngx_http_affiliate_pixel_program(ngx_http_request_t *r, uint32_t *id);
static void ngx_http_affiliate_pixel_cookie(ngx_http_request_t *r, const struct tracker_keys *keys,
                                            struct tracker_conversion *event);
static struct tracker_str ngx_http_affiliate_pixel_address(ngx_http_affiliate_loc_conf_t *alcf,
                                                           struct tracker_str ip, u_char space[16]);
static uint32_t ngx_http_affiliate_pixel_sender(struct tracker_str ip);

ngx_int_t
ngx_http_affiliate_pixel_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_ctx_t         *ctx;
    const ngx_http_affiliate_error_t *error;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_affiliate_get_ctx(r);
    if (ctx != NULL && r->method == NGX_HTTP_GET) {
        error = ngx_http_affiliate_pixel_record(r, ctx);
        if (error == NULL) {
            ngx_http_affiliate_count(PIXELS);
            ctx->verdict = "accepted";
        } else {
            ngx_http_affiliate_count(PIXELS_REFUSED);
            ngx_http_affiliate_count_error(error);
            ctx->verdict = error->code;
        }
    }
    return ngx_http_affiliate_send_gif(r);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_pixel_record(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx)
{
    u_char                            space[16];
    uint64_t                          journal, sequence, now_ms;
    ngx_uint_t                        consent;
    ngx_time_t                       *tp = ngx_timeofday();
    ngx_table_elt_t                  *referer = r->headers_in.referer;
    struct tracker_conversion         event;
    ngx_http_affiliate_fields_t       fields;
    ngx_http_affiliate_loc_conf_t    *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t   *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);
    const ngx_http_affiliate_error_t *error;

    now_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    ngx_memzero(&event, sizeof(event));
    event.ip = ngx_http_affiliate_address(r->connection);

    if (ngx_http_affiliate_snapshot() == NULL) {
        return ngx_http_affiliate_error(STARTING);
    }
    if (ngx_http_affiliate_rate_over(&ngx_http_affiliate_zone->addresses,
                                     ngx_http_affiliate_pixel_sender(event.ip), alcf->pixel_rate, 1))
    {
        return ngx_http_affiliate_error(RATE_LIMITED);
    }
    if (ngx_http_affiliate_pixel_program(r, &event.program) != NGX_OK) {
        return ngx_http_affiliate_error(PROGRAM_UNKNOWN);
    }
    consent = ngx_http_affiliate_consents(r, alcf);
    if (consent && alcf->cookie.enable) {
        ngx_http_affiliate_pixel_cookie(r, amcf->keys, &event);
    }

    error = ngx_http_affiliate_pixel_fields(r, &fields);
    if (error == NULL) {
        error = ngx_http_affiliate_fields_check(&fields, amcf->keys, TRACKER_STR_NONE, now_ms, &event);
    }
    if (error != NULL) {
        return error;
    }

    event.auth = TRACKER_AUTH_PIXEL;
    event.ip = ngx_http_affiliate_pixel_address(alcf, event.ip, space);
    if (!consent) {
        event.ip = TRACKER_STR_NONE;
    } else if (referer != NULL) {
        event.referrer = (struct tracker_str){ (char *) referer->value.data,
                                               ngx_min(referer->value.len, TRACKER_FIELD_MAX) };
    }
    if (ngx_http_affiliate_conversion_append(TRACKER_JOURNAL_TRAFFIC, &event, now_ms, &journal, &sequence)
        != NGX_OK)
    {
        return ngx_http_affiliate_error(UNAVAILABLE);
    }

    if (event.click_id.len != 0) {
        ngx_memcpy(ctx->click_id, event.click_id.data, TRACKER_CLICK_ID_LEN);
        ctx->has_click_id = 1;
    }
    return NULL;
}

/* What a stranger may say; the rest of a conversion's parameters is for people who can prove who they are. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_pixel_fields(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields)
{
    static const ngx_http_affiliate_field_e refused[] = {
        NGX_HTTP_AFFILIATE_FIELD_AMOUNT,    NGX_HTTP_AFFILIATE_FIELD_AMOUNT_MINOR,
        NGX_HTTP_AFFILIATE_FIELD_CURRENCY,  NGX_HTTP_AFFILIATE_FIELD_STATUS,
        NGX_HTTP_AFFILIATE_FIELD_REFUND_ID, NGX_HTTP_AFFILIATE_FIELD_EVENT_TIME,
    };
    struct tracker_str                query = { (char *) r->args.data, r->args.len };
    const ngx_http_affiliate_error_t *error;

    ngx_memzero(fields, sizeof(*fields));
    error = ngx_http_affiliate_fields_form(r, fields, query);
    if (error != NULL) {
        return error;
    }
    if (ngx_http_affiliate_fields_translate(r, fields) != NGX_OK) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    for (ngx_uint_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        fields->value[refused[i]] = TRACKER_STR_NONE;
    }
    return NULL;
}

/* The configured program, else the one that the page names: it has to be there, and active. */
static ngx_int_t
ngx_http_affiliate_pixel_program(ngx_http_request_t *r, uint32_t *id)
{
    uint64_t                       number;
    ngx_str_t                      text = ngx_null_string;
    const char                    *p, *last;
    struct tracker_program_row     program;
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    if (alcf->pixel_program != NULL) {
        if (ngx_http_complex_value(r, alcf->pixel_program, &text) != NGX_OK) {
            return NGX_ERROR;
        }
    } else {
        (void) ngx_http_arg(r, (u_char *) "program", sizeof("program") - 1, &text);
    }

    p = (char *) text.data;
    last = p + text.len;
    if (!ngx_http_affiliate_parse_digits(&p, last, 1, 10, &number) || p != last || number > UINT32_MAX
        || !tracker_snapshot_program(ngx_http_affiliate_snapshot(), (uint32_t) number, &program)
        || program.state != TRACKER_STATE_ACTIVE)
    {
        return NGX_DECLINED;
    }
    *id = (uint32_t) number;
    return NGX_OK;
}

static void
ngx_http_affiliate_pixel_cookie(ngx_http_request_t *r, const struct tracker_keys *keys,
                                struct tracker_conversion *event)
{
    struct tracker_cookie cookie;

    if (tracker_cookie_read(keys, ngx_http_affiliate_cookies(r), event->program, &cookie) == TRACKER_COOKIE_OK) {
        event->cookie_first = cookie.first_text;
        event->cookie_last = cookie.last_text;
    }
}

/* A conversion has no word for the form of its address: one that is hashed would pass for IPv6, so it is not kept. */
static struct tracker_str
ngx_http_affiliate_pixel_address(ngx_http_affiliate_loc_conf_t *alcf, struct tracker_str ip, u_char space[16])
{
    uint8_t form;

    if (alcf->ip == NGX_HTTP_AFFILIATE_IP_HASH) {
        return TRACKER_STR_NONE;
    }
    return ngx_http_affiliate_kept_address(alcf->ip, NULL, 0, ip, space, &form);
}

/* One IPv4 address, or the network of one IPv6 subscriber (a /64, RFC 4291). */
static uint32_t
ngx_http_affiliate_pixel_sender(struct tracker_str ip)
{
    uint32_t who = 0;

    if (ip.len == 4) {
        ngx_memcpy(&who, ip.data, 4);
        return who;
    }
    return ip.len == 16 ? ngx_murmur_hash2((u_char *) ip.data, 8) : 0;
}
