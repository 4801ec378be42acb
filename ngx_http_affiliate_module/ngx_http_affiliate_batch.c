/*
 * ngx_http_affiliate_batch.c - many conversions in one body: each is judged by itself, one sync for all.
 *
 * 200: all were recorded.  207: some were not, the answer says which and why, and only those need repeating.
 * An answer that is lost is no harm: the same txid counts once.
 */
#include "ngx_http_affiliate_postback.h"

typedef struct {
    const ngx_http_affiliate_error_t *error;    /* NULL: recorded */
    uint64_t                          sequence;
} ngx_http_affiliate_batch_item_t;

struct ngx_http_affiliate_batch_s {
    ngx_uint_t                      n, written, unavailable;
    ngx_http_affiliate_batch_item_t items[];
};

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_batch_signed(ngx_http_request_t *r, const ngx_http_affiliate_postback_t *postback,
                                json_t *root);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_batch_item(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback, json_t *item);
static u_char *ngx_http_affiliate_batch_item_text(u_char *p, const ngx_http_affiliate_postback_t *postback,
                                                  ngx_uint_t i);

#define NGX_HTTP_AFFILIATE_ITEM_ACCEPTED "{\"index\":%ui,\"status\":\"accepted\",\"id\":\"%012xL-%uL\"}"
#define NGX_HTTP_AFFILIATE_ITEM_REFUSED                                                                        \
    "{\"index\":%ui,\"status\":\"refused\",\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}"

json_t *
ngx_http_affiliate_batch_items(json_t *root)
{
    if (json_is_array(root)) {
        return root;
    }
    return json_is_object(root) ? json_object_get(root, "conversions") : NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_batch_write(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback, json_t *root,
                               json_t *items)
{
    size_t                            n = json_array_size(items); /* 0 when it is no array */
    uint64_t                          journal = 0;
    ngx_http_affiliate_batch_t       *batch;
    const ngx_http_affiliate_error_t *error;

    if (n == 0 || n > NGX_HTTP_AFFILIATE_BATCH_MAX) {
        return ngx_http_affiliate_error(BATCH_SIZE);
    }
    error = ngx_http_affiliate_batch_signed(r, postback, root);
    if (error != NULL) {
        return error;
    }

    batch = ngx_pcalloc(r->pool, sizeof(ngx_http_affiliate_batch_t) + n * sizeof(batch->items[0]));
    if (batch == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    batch->n = n;
    postback->batch = batch;
    postback->caller.items = n;

    for (ngx_uint_t i = 0; i < n; i++) {
        error = ngx_http_affiliate_batch_item(r, postback, json_array_get(items, i));
        batch->items[i].error = error;
        batch->items[i].sequence = postback->sequence;
        if (error == NULL) {
            if (journal != 0 && journal != postback->journal) {
                return ngx_http_affiliate_error(UNAVAILABLE); /* the first one failed: one sync cannot vouch for both */
            }
            journal = postback->journal;
            batch->written++;
        } else if (error->status >= 500) {
            batch->unavailable++;
        }
    }

    /* all of them to be repeated: that is what 503 says */
    return batch->unavailable == n ? ngx_http_affiliate_error(UNAVAILABLE) : NULL;
}

/* The ts beside the list is the whole body's. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_batch_signed(ngx_http_request_t *r, const ngx_http_affiliate_postback_t *postback,
                                json_t *root)
{
    ngx_http_affiliate_fields_t       fields;
    const ngx_http_affiliate_error_t *error;

    if (!json_is_object(root)) {
        return NULL;
    }
    ngx_memzero(&fields, sizeof(fields));
    error = ngx_http_affiliate_fields_json(r, &fields, root);
    return error != NULL ? error : ngx_http_affiliate_verify_fields(&postback->caller, &fields);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_batch_item(ngx_http_request_t *r, ngx_http_affiliate_postback_t *postback, json_t *item)
{
    ngx_http_affiliate_fields_t       fields;
    const ngx_http_affiliate_error_t *error;

    if (!json_is_object(item)) {
        return ngx_http_affiliate_error(JSON_MALFORMED);
    }

    ngx_memzero(&fields, sizeof(fields));
    error = ngx_http_affiliate_fields_json(r, &fields, item);
    if (error == NULL) {
        error = ngx_http_affiliate_verify_fields(&postback->caller, &fields);
    }
    return error != NULL ? error : ngx_http_affiliate_conversion_write(r, postback, &fields);
}

ngx_uint_t
ngx_http_affiliate_batch_written(const ngx_http_affiliate_batch_t *batch)
{
    return batch->written;
}

ngx_int_t
ngx_http_affiliate_batch_answer(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx)
{
    u_char                           *p;
    size_t                            len;
    ngx_str_t                         body;
    ngx_http_affiliate_postback_t    *postback = ctx->postback;
    ngx_http_affiliate_batch_t       *batch = postback->batch;
    const ngx_http_affiliate_error_t *error;

    len = sizeof("{\"data\":{\"accepted\":,\"refused\":,\"items\":[]}}\n") + 2 * NGX_INT_T_LEN;
    for (ngx_uint_t i = 0; i < batch->n; i++) {
        error = batch->items[i].error;
        len += error == NULL ? sizeof(NGX_HTTP_AFFILIATE_ITEM_ACCEPTED) + 3 * NGX_INT64_LEN
                             : sizeof(NGX_HTTP_AFFILIATE_ITEM_REFUSED) + NGX_INT_T_LEN
                                   + ngx_strlen(error->code) + ngx_strlen(error->message);
    }

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    p = ngx_sprintf(body.data, "{\"data\":{\"accepted\":%ui,\"refused\":%ui,\"items\":[", batch->written,
                    batch->n - batch->written);
    for (ngx_uint_t i = 0; i < batch->n; i++) {
        if (i > 0) {
            *p++ = ',';
        }
        p = ngx_http_affiliate_batch_item_text(p, postback, i);
    }
    p = ngx_cpymem(p, "]}}\n", sizeof("]}}\n") - 1);
    body.len = p - body.data;

    ctx->verdict = batch->written == batch->n ? "accepted" : "batch_partial";
    ngx_http_affiliate_count_n(CONVERSIONS, batch->written);
    ngx_http_affiliate_count_n(CONVERSIONS_REFUSED, batch->n - batch->written - batch->unavailable);
    ngx_http_affiliate_count_n(CONVERSIONS_UNAVAILABLE, batch->unavailable);
    return ngx_http_affiliate_send_json(r, batch->written == batch->n ? NGX_HTTP_OK : 207, &body);
}

static u_char *
ngx_http_affiliate_batch_item_text(u_char *p, const ngx_http_affiliate_postback_t *postback, ngx_uint_t i)
{
    const ngx_http_affiliate_batch_item_t *item = &postback->batch->items[i];

    if (item->error == NULL) {
        return ngx_sprintf(p, NGX_HTTP_AFFILIATE_ITEM_ACCEPTED, i, postback->journal, item->sequence);
    }
    ngx_http_affiliate_count_error(item->error);
    return ngx_sprintf(p, NGX_HTTP_AFFILIATE_ITEM_REFUSED, i, item->error->code, item->error->message);
}
