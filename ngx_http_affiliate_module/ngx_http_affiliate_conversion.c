/*
 * ngx_http_affiliate_conversion.c - a postback: who sends it, parameters, journal, disk, answer.
 *
 * The sender is judged before the body is read.  "Accepted" is said only after the record is on disk; a
 * caller that hears anything else, or nothing, may repeat: the same txid counts once.
 */
#include "ngx_http_affiliate_postback.h"

static ngx_int_t ngx_http_affiliate_conversion_refuse(ngx_http_request_t *r,
                                                      const ngx_http_affiliate_error_t *error);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_admit(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx);
static void ngx_http_affiliate_conversion_read(ngx_http_request_t *r);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_take(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback, json_t *root,
                                   struct tracker_str body);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_record(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx);
static size_t ngx_http_affiliate_conversion_bound(const struct tracker_conversion *event);
static void ngx_http_affiliate_conversion_synced(ngx_http_request_t *r, void *data, ngx_int_t rc);

ngx_int_t
ngx_http_affiliate_conversion_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_affiliate_get_ctx(r);
    const ngx_http_affiliate_error_t *error;

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    error = ngx_http_affiliate_conversion_admit(r, ctx);
    if (error != NULL) {
        rc = ngx_http_discard_request_body(r);
        return rc == NGX_OK ? ngx_http_affiliate_conversion_refuse(r, error) : rc;
    }

    r->request_body_in_single_buf = 1;
    rc = ngx_http_read_client_request_body(r, ngx_http_affiliate_conversion_read);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

ngx_int_t
ngx_http_affiliate_conversion_precontent(ngx_http_request_t *r)
{
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    if (!alcf->conversion || r->method != NGX_HTTP_POST) {
        return NGX_DECLINED;
    }

    /* a phase does not finalize what its handler answered, as the content phase does */
    ngx_http_finalize_request(r, ngx_http_affiliate_conversion_handler(r));
    return NGX_DONE;
}

/* The body has been read: its reference on the request goes with the answer. */
static void
ngx_http_affiliate_conversion_read(ngx_http_request_t *r)
{
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_conversion_record(r, ctx);
    if (error != NULL) {
        ngx_http_finalize_request(r, ngx_http_affiliate_conversion_refuse(r, error));
    }
}

static ngx_int_t
ngx_http_affiliate_conversion_refuse(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error)
{
    ngx_http_affiliate_ctx_t *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);

    ctx->verdict = error->code;
    if (error->status >= 500) {
        ngx_http_affiliate_count(CONVERSIONS_UNAVAILABLE);
    } else {
        ngx_http_affiliate_count(CONVERSIONS_REFUSED);
    }
    return ngx_http_affiliate_send_error(r, error);
}

/* Everything that can be said before the body is read. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_admit(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx)
{
    ngx_uint_t                        json;
    ngx_http_affiliate_postback_t    *postback;
    const ngx_http_affiliate_error_t *error;

    postback = (ngx_http_affiliate_postback_t *)
        ngx_http_affiliate_caller_begin(r, ctx, sizeof(ngx_http_affiliate_postback_t));
    if (postback == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    ctx->postback = postback;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_POST))) {
        return ngx_http_affiliate_error(METHOD);
    }
    error = ngx_http_affiliate_authenticate(r, &postback->caller, TRACKER_ROLE_ADVERTISER,
                                            TRACKER_SCOPE_CONVERSIONS_WRITE);
    if (error != NULL) {
        return error;
    }
    ctx->api_user = postback->caller.user.id;

    return ngx_http_affiliate_body_kind(r, &json);
}

/* Checks, writes, and waits for the disk.  NULL: the answer will be given by the sync, or was given. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_record(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx)
{
    json_t                           *root = NULL;
    ngx_uint_t                        json;
    struct tracker_str                body;
    ngx_http_affiliate_postback_t    *postback = ctx->postback;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_body_text(r, &body);
    if (error == NULL) {
        error = ngx_http_affiliate_body_kind(r, &json);
    }
    if (error == NULL && !json && body.len > NGX_HTTP_AFFILIATE_BODY_MAX) {
        error = ngx_http_affiliate_error(BODY_TOO_LARGE); /* before a stranger has us sort it */
    }
    if (error == NULL) {
        error = ngx_http_affiliate_verify_body(r, &postback->caller, body, !json);
    }
    if (error == NULL && json && body.len != 0) {
        root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
        error = root == NULL ? ngx_http_affiliate_error(JSON_MALFORMED) : NULL;
    }
    if (error == NULL) {
        error = ngx_http_affiliate_conversion_take(r, postback, root, body);
    }
    json_decref(root);

    if (error != NULL) {
        return error;
    }
    if (postback->batch != NULL && ngx_http_affiliate_batch_written(postback->batch) == 0) {
        ngx_http_finalize_request(r, ngx_http_affiliate_batch_answer(r, ctx));
        return NULL;
    }
    return ngx_http_affiliate_await_sync(r, TRACKER_JOURNAL_MONEY, postback->sequence,
                                         ngx_http_affiliate_conversion_synced, ctx) == NGX_OK
               ? NULL : ngx_http_affiliate_error(UNAVAILABLE);
}

/* One or many, from JSON (root) or a form (body) and the query, into the journal. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_take(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback, json_t *root,
                                   struct tracker_str body)
{
    json_t                           *items;
    struct tracker_str                query = { (char *) r->args.data, r->args.len };
    ngx_http_affiliate_fields_t       fields;
    const ngx_http_affiliate_error_t *error;

    items = ngx_http_affiliate_batch_items(root);
    if (items != NULL) {
        return ngx_http_affiliate_batch_write(r, postback, root, items);
    }
    if (body.len > NGX_HTTP_AFFILIATE_BODY_MAX) {
        return ngx_http_affiliate_error(BODY_TOO_LARGE);
    }
    if (root != NULL && !json_is_object(root)) {
        return ngx_http_affiliate_error(JSON_MALFORMED);
    }

    /* the body's parameters come before the query's: the first one given counts */
    ngx_memzero(&fields, sizeof(fields));
    error = root != NULL ? ngx_http_affiliate_fields_json(r, &fields, root)
                         : ngx_http_affiliate_fields_form(r, &fields, body);
    if (error == NULL) {
        error = ngx_http_affiliate_fields_form(r, &fields, query);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_verify_fields(&postback->caller, &fields);
    }
    return error != NULL ? error : ngx_http_affiliate_conversion_write(r, postback, &fields);
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_conversion_write(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback,
                                    ngx_http_affiliate_fields_t *fields)
{
    uint64_t                          now_ms;
    ngx_time_t                       *tp = ngx_timeofday();
    struct tracker_conversion         event;
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t   *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);
    const ngx_http_affiliate_error_t *error;

    now_ms = (uint64_t) tp->sec * 1000 + tp->msec;
    ngx_memzero(&event, sizeof(event));

    if (ngx_http_affiliate_fields_translate(r, fields) != NGX_OK) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    error = ngx_http_affiliate_fields_check(fields, amcf->keys, postback->caller.program.currency, now_ms, &event);
    if (error != NULL) {
        return error;
    }

    event.program = postback->caller.user.program;
    event.api_user = postback->caller.user.id;
    event.auth = postback->caller.auth;
    event.ip = ngx_http_affiliate_address(r->connection);
    if (ngx_http_affiliate_conversion_append(TRACKER_JOURNAL_MONEY, &event, now_ms, &postback->journal,
                                             &postback->sequence) != NGX_OK)
    {
        return ngx_http_affiliate_error(UNAVAILABLE);
    }

    if (event.click_id.len != 0) {
        ngx_memcpy(ctx->click_id, event.click_id.data, TRACKER_CLICK_ID_LEN);
        ctx->has_click_id = 1;
    }
    return NULL;
}

ngx_int_t
ngx_http_affiliate_conversion_append(enum tracker_journal_kind kind, const struct tracker_conversion *event,
                                     uint64_t now_ms, uint64_t *journal, uint64_t *sequence)
{
    size_t   bound = ngx_http_affiliate_conversion_bound(event), len = 0;
    uint8_t *space;
    uint64_t dropped;

    space = ngx_http_affiliate_reserve(kind, bound, sequence, journal);

    if (space != NULL) {
        len = tracker_conversion_encode(event, space, bound);
    }
    if (len == 0) {
        (void) ngx_http_affiliate_drop(kind, &dropped);
        return NGX_ERROR;
    }
    ngx_http_affiliate_commit(kind, TRACKER_EVENT_CONVERSION, now_ms, len);
    return NGX_OK;
}

/* What the encoded event cannot exceed: three bytes before each text, ten for each of five integers and the money. */
static size_t
ngx_http_affiliate_conversion_bound(const struct tracker_conversion *event)
{
    size_t len = 5 * 10 + 16 + 3 * (3 + TRACKER_CLICK_ID_LEN) + (3 + 16) + 6 * 3 + TRACKER_CONVERSION_PS * 3
                 + event->event.len + event->txid.len + event->coupon.len + event->customer.len
                 + event->refund_id.len + event->referrer.len;

    for (ngx_uint_t i = 0; i < TRACKER_CONVERSION_PS; i++) {
        len += event->p[i].len;
    }
    return ngx_min(len, TRACKER_EVENT_MAX);
}

static void
ngx_http_affiliate_conversion_synced(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_str_t                      body;
    ngx_http_affiliate_ctx_t      *ctx = data;
    ngx_http_affiliate_postback_t *postback = ctx->postback;

    if (rc != NGX_OK) {
        rc = ngx_http_affiliate_conversion_refuse(r, ngx_http_affiliate_error(UNAVAILABLE));
        ngx_http_finalize_request(r, rc);
        return;
    }
    if (postback->batch != NULL) {
        ngx_http_finalize_request(r, ngx_http_affiliate_batch_answer(r, ctx));
        return;
    }

    ctx->verdict = "accepted";
    ngx_http_affiliate_count(CONVERSIONS);

    body.data = ngx_pnalloc(r->pool, sizeof("{\"data\":{\"id\":\"-\",\"status\":\"accepted\"}}\n")
                                         + 2 * NGX_INT64_LEN);
    if (body.data == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }
    body.len = ngx_sprintf(body.data, "{\"data\":{\"id\":\"%012xL-%uL\",\"status\":\"accepted\"}}\n",
                           postback->journal, postback->sequence) - body.data;
    ngx_http_finalize_request(r, ngx_http_affiliate_send_json(r, NGX_HTTP_OK, &body));
}
