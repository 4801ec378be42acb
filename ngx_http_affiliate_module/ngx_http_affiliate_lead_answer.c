/*
 * ngx_http_affiliate_lead_answer.c - what the sender of leads is told: of one, or of each of a batch.
 *
 * All that is said follows from the lead and its verdict, so that whoever asks again hears the same.
 */
#include "ngx_http_affiliate_autologin.h"
#include "ngx_http_affiliate_intake.h"

#define NGX_HTTP_AFFILIATE_LEAD_PATH "/api/v1/leads/"

/* A customer's way in is not to be had for as long as the verdict is kept: whose lead it is may ask again that long. */
#define NGX_HTTP_AFFILIATE_AUTOLOGIN_MS (UINT64_C(1000) * TRACKER_TICKET_LIFE_S)

typedef struct {
    const ngx_http_affiliate_error_t *error;   /* NULL: taken, or nobody has decided */
    const char                       *verdict; /* of one that was taken */
    ngx_str_t                         url;     /* autologin; len 0: none */
} ngx_http_affiliate_told_t;

static ngx_int_t ngx_http_affiliate_lead_tell(ngx_http_request_t *r, const ngx_http_affiliate_intake_t *intake,
                                              ngx_uint_t i, ngx_http_affiliate_told_t *told);
static ngx_int_t ngx_http_affiliate_lead_autologin(ngx_http_request_t *r, const ngx_http_affiliate_intake_t *intake,
                                                   ngx_uint_t i, ngx_str_t *url);
static ngx_int_t ngx_http_affiliate_lead_answer_one(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                                    const ngx_http_affiliate_intake_t *intake,
                                                    const ngx_http_affiliate_told_t *told);
static ngx_int_t ngx_http_affiliate_lead_answer_batch(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                                      const ngx_http_affiliate_intake_t *intake,
                                                      const ngx_http_affiliate_told_t *told);
static u_char *ngx_http_affiliate_lead_text(u_char *p, const uint8_t id[TRACKER_LEAD_ID_LEN],
                                            const ngx_http_affiliate_told_t *told);

ngx_int_t
ngx_http_affiliate_lead_answer(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                               ngx_http_affiliate_intake_t *intake)
{
    ngx_http_affiliate_told_t *told = ngx_pcalloc(r->pool, intake->n * sizeof(*told));

    if (told == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    for (ngx_uint_t i = 0; i < intake->n; i++) {
        if (ngx_http_affiliate_lead_tell(r, intake, i, &told[i]) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return intake->batch ? ngx_http_affiliate_lead_answer_batch(r, ctx, intake, told)
                         : ngx_http_affiliate_lead_answer_one(r, ctx, intake, told);
}

/* Its verdict in words, and counted. */
static ngx_int_t
ngx_http_affiliate_lead_tell(ngx_http_request_t *r, const ngx_http_affiliate_intake_t *intake, ngx_uint_t i,
                             ngx_http_affiliate_told_t *told)
{
    const struct tracker_verdict *verdict = &intake->leads[i].verdict;

    told->error = intake->items[i].error;
    if (told->error != NULL) { /* of a batch: a single one was answered before */
        if (told->error->status >= 500) {
            ngx_http_affiliate_count(LEADS_UNAVAILABLE);
        } else {
            ngx_http_affiliate_count(LEADS_REFUSED);
        }
        return NGX_OK;
    }
    if (verdict->verdict == 0) {
        told->verdict = "undecided";
        ngx_http_affiliate_count(LEADS_UNDECIDED);
        return NGX_OK;
    }

    if (ngx_memcmp(verdict->content, intake->items[i].content, sizeof(verdict->content)) != 0) {
        told->error = ngx_http_affiliate_error(IDEMPOTENCY_REUSED); /* it is about what came under that key before */
    } else {
        switch ((enum tracker_lead_verdict) verdict->verdict) {
        case TRACKER_LEAD_CREATED:
            told->verdict = "created";
            break;
        case TRACKER_LEAD_PENDING:
            told->verdict = "pending";
            break;
        case TRACKER_LEAD_DUPLICATE:
            told->error = ngx_http_affiliate_error(LEAD_DUPLICATE);
            break;
        case TRACKER_LEAD_CONFLICT:
            told->error = ngx_http_affiliate_error(IDEMPOTENCY_REUSED);
            break;
        case TRACKER_LEAD_INVALID:
            told->error = ngx_http_affiliate_error(LEAD_INVALID);
            break;
        }
    }
    if (told->error != NULL) {
        ngx_http_affiliate_count(LEADS_REJECTED);
        return NGX_OK;
    }
    ngx_http_affiliate_count(LEADS);
    return ngx_http_affiliate_lead_autologin(r, intake, i, &told->url);
}

/*
 * Where the user asks for it and the lead is new.  The nonce is the lead's own: however often the sender asks, the
 * platform takes one of the tokens, once.
 */
static ngx_int_t
ngx_http_affiliate_lead_autologin(ngx_http_request_t *r, const ngx_http_affiliate_intake_t *intake, ngx_uint_t i,
                                  ngx_str_t *url)
{
    uint64_t                      now_ms;
    ngx_int_t                     rc;
    ngx_time_t                   *tp = ngx_timeofday();
    const uint8_t                *id = intake->leads[i].id;
    const struct tracker_verdict *verdict = &intake->leads[i].verdict;

    now_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    if (!(intake->caller.user.options & TRACKER_API_USER_AUTOLOGIN) || verdict->verdict != TRACKER_LEAD_CREATED
        || verdict->flags & TRACKER_VERDICT_EXISTING || verdict->decided_ms + NGX_HTTP_AFFILIATE_AUTOLOGIN_MS < now_ms)
    {
        return NGX_OK;
    }
    rc = ngx_http_affiliate_autologin_url(r, intake->caller.snapshot, &intake->caller.program, id, id, url);
    if (rc == NGX_DECLINED) {
        ngx_str_null(url);
    }
    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}

/* ---- texts ---- */

#define NGX_HTTP_AFFILIATE_LEAD_FORMAT                                                                         \
    "\"id\":\"%*s\",\"verdict\":\"%s\",\"status_url\":\"" NGX_HTTP_AFFILIATE_LEAD_PATH "%*s\""

/* The members of a lead that was taken, or waits. */
static u_char *
ngx_http_affiliate_lead_text(u_char *p, const uint8_t id[TRACKER_LEAD_ID_LEN], const ngx_http_affiliate_told_t *told)
{
    char   hex[TRACKER_LEAD_HEX_LEN];
    u_char c;

    tracker_lead_hex(id, hex);
    p = ngx_sprintf(p, NGX_HTTP_AFFILIATE_LEAD_FORMAT, sizeof(hex), hex, told->verdict, sizeof(hex), hex);
    if (ngx_strcmp(told->verdict, "created") == 0) {
        p = ngx_cpymem(p, ",\"status\":\"new\"", sizeof(",\"status\":\"new\"") - 1);
    }
    if (told->url.len != 0) {
        p = ngx_cpymem(p, ",\"autologin_url\":\"", sizeof(",\"autologin_url\":\"") - 1);
        for (size_t i = 0; i < told->url.len; i++) {
            c = told->url.data[i];
            p = c < 0x20 || c == '"' || c == '\\' ? ngx_sprintf(p, "\\u%04xd", (uint32_t) c) : (*p = c, p + 1);
        }
        *p++ = '"';
    }
    return p;
}

static size_t
ngx_http_affiliate_lead_len(const ngx_http_affiliate_told_t *told)
{
    return sizeof(NGX_HTTP_AFFILIATE_LEAD_FORMAT) + 2 * TRACKER_LEAD_HEX_LEN + sizeof("undecided")
           + sizeof(",\"status\":\"new\",\"autologin_url\":\"\"") + 6 * told->url.len;
}

/* ---- one ---- */

static ngx_int_t
ngx_http_affiliate_lead_answer_one(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                   const ngx_http_affiliate_intake_t *intake, const ngx_http_affiliate_told_t *told)
{
    u_char    *p;
    ngx_str_t  body, location;
    ngx_uint_t undecided;

    if (told->error != NULL) {
        ctx->verdict = told->error->code;
        return ngx_http_affiliate_send_error(r, told->error);
    }
    ctx->verdict = told->verdict;
    undecided = intake->leads[0].verdict.verdict == 0;

    body.data = ngx_pnalloc(r->pool, sizeof("{\"data\":{}}\n") + ngx_http_affiliate_lead_len(told));
    location.len = sizeof(NGX_HTTP_AFFILIATE_LEAD_PATH) - 1 + TRACKER_LEAD_HEX_LEN;
    location.data = ngx_pnalloc(r->pool, location.len);
    if (body.data == NULL || location.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    p = ngx_cpymem(body.data, "{\"data\":{", sizeof("{\"data\":{") - 1);
    p = ngx_http_affiliate_lead_text(p, intake->leads[0].id, told);
    p = ngx_cpymem(p, "}}\n", sizeof("}}\n") - 1);
    body.len = p - body.data;

    p = ngx_cpymem(location.data, NGX_HTTP_AFFILIATE_LEAD_PATH, sizeof(NGX_HTTP_AFFILIATE_LEAD_PATH) - 1);
    tracker_lead_hex(intake->leads[0].id, (char *) p);
    if (ngx_http_affiliate_add_header(r, "Location", sizeof("Location") - 1, &location) != NGX_OK
        || (undecided && ngx_http_affiliate_add_literal(r, "Retry-After", "1") != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_affiliate_send_json(r, undecided ? NGX_HTTP_ACCEPTED : NGX_HTTP_CREATED, &body);
}

/* ---- a batch ---- */

static ngx_int_t
ngx_http_affiliate_lead_answer_batch(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                     const ngx_http_affiliate_intake_t *intake, const ngx_http_affiliate_told_t *told)
{
    u_char    *p;
    size_t     len = sizeof("{\"data\":{\"accepted\":,\"refused\":,\"items\":[]}}\n") + 2 * NGX_INT_T_LEN;
    ngx_str_t  body;
    ngx_uint_t i, refused = 0;

    for (i = 0; i < intake->n; i++) {
        refused += told[i].error != NULL;
        len += sizeof("{\"index\":,\"error\":},") + NGX_INT_T_LEN
               + (told[i].error != NULL ? ngx_http_affiliate_error_len(told[i].error, intake->items[i].field)
                                        : ngx_http_affiliate_lead_len(&told[i]));
    }

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    p = ngx_sprintf(body.data, "{\"data\":{\"accepted\":%ui,\"refused\":%ui,\"items\":[", intake->n - refused, refused);
    for (i = 0; i < intake->n; i++) {
        p = ngx_sprintf(p, "%s{\"index\":%ui,", i > 0 ? "," : "", i);
        if (told[i].error != NULL) {
            ngx_http_affiliate_count_error(told[i].error);
            p = ngx_cpymem(p, "\"error\":", sizeof("\"error\":") - 1);
            p = ngx_http_affiliate_error_text(p, told[i].error, intake->items[i].field);
        } else {
            p = ngx_http_affiliate_lead_text(p, intake->leads[i].id, &told[i]);
        }
        *p++ = '}';
    }
    p = ngx_cpymem(p, "]}}\n", sizeof("]}}\n") - 1);
    body.len = p - body.data;

    ctx->verdict = refused == 0 ? "accepted" : "batch_partial";
    return ngx_http_affiliate_send_json(r, refused == 0 ? NGX_HTTP_OK : 207, &body);
}
