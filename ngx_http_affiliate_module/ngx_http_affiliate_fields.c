/*
 * ngx_http_affiliate_fields.c - a conversion's parameters by their names: from a query, a form or JSON.
 *
 * Names that are not ours are left alone, since trackers append theirs to a postback.
 */
#include "ngx_http_affiliate_postback.h"

/* Aliases have one meaning in all products that use them; the others are for affiliate_alias. */
#define NGX_HTTP_AFFILIATE_NAME(text, field) { TRACKER_STR(text), NGX_HTTP_AFFILIATE_FIELD_##field }
static const struct {
    struct tracker_str         name;
    ngx_http_affiliate_field_e field;
} ngx_http_affiliate_names[] = {
    NGX_HTTP_AFFILIATE_NAME("click_id", CLICK_ID),
    NGX_HTTP_AFFILIATE_NAME("cid", CLICK_ID),
    NGX_HTTP_AFFILIATE_NAME("clickid", CLICK_ID),
    NGX_HTTP_AFFILIATE_NAME("transaction_id", CLICK_ID),
    NGX_HTTP_AFFILIATE_NAME("subid", CLICK_ID),
    NGX_HTTP_AFFILIATE_NAME("coupon", COUPON),
    NGX_HTTP_AFFILIATE_NAME("coupon_code", COUPON),
    NGX_HTTP_AFFILIATE_NAME("customer", CUSTOMER),
    NGX_HTTP_AFFILIATE_NAME("customer_id", CUSTOMER),
    NGX_HTTP_AFFILIATE_NAME("trader_id", CUSTOMER),
    NGX_HTTP_AFFILIATE_NAME("lead_id", CUSTOMER),
    NGX_HTTP_AFFILIATE_NAME("event", EVENT),
    NGX_HTTP_AFFILIATE_NAME("amount", AMOUNT),
    NGX_HTTP_AFFILIATE_NAME("sale_amount", AMOUNT),
    NGX_HTTP_AFFILIATE_NAME("amount_minor", AMOUNT_MINOR),
    NGX_HTTP_AFFILIATE_NAME("currency", CURRENCY),
    NGX_HTTP_AFFILIATE_NAME("txid", TXID),
    NGX_HTTP_AFFILIATE_NAME("tid", TXID),
    NGX_HTTP_AFFILIATE_NAME("order_id", TXID),
    NGX_HTTP_AFFILIATE_NAME("status", STATUS),
    NGX_HTTP_AFFILIATE_NAME("refund_id", REFUND_ID),
    NGX_HTTP_AFFILIATE_NAME("event_time", EVENT_TIME),
    NGX_HTTP_AFFILIATE_NAME("ts", TS),
    NGX_HTTP_AFFILIATE_NAME("p1", P1),
    NGX_HTTP_AFFILIATE_NAME("p2", P1 + 1),
    NGX_HTTP_AFFILIATE_NAME("p3", P1 + 2),
    NGX_HTTP_AFFILIATE_NAME("p4", P1 + 3),
    NGX_HTTP_AFFILIATE_NAME("p5", P1 + 4),
    NGX_HTTP_AFFILIATE_NAME("p6", P1 + 5),
    NGX_HTTP_AFFILIATE_NAME("p7", P1 + 6),
    NGX_HTTP_AFFILIATE_NAME("p8", P1 + 7),
    NGX_HTTP_AFFILIATE_NAME("p9", P1 + 8),
    NGX_HTTP_AFFILIATE_NAME("p10", P1 + 9),
};
#define NGX_HTTP_AFFILIATE_NAMES (sizeof(ngx_http_affiliate_names) / sizeof(ngx_http_affiliate_names[0]))

#define NGX_HTTP_AFFILIATE_NAME_MAX 128 /* bytes of a decoded name; a longer one is not ours */

static struct tracker_str *ngx_http_affiliate_field(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields,
                                                    struct tracker_str name);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_json_text(ngx_pool_t *pool, const json_t *value,
                                                                      struct tracker_str *text);
static void ngx_http_affiliate_field_give(ngx_http_affiliate_fields_t *fields, struct tracker_str *field,
                                          struct tracker_str value);

const ngx_http_affiliate_error_t *
ngx_http_affiliate_fields_form(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, struct tracker_str form)
{
    char                decoded[NGX_HTTP_AFFILIATE_NAME_MAX + 1], *out;
    struct tracker_str  name, value, *field;

    while (tracker_query_next(&form, &name, &value)) {
        /* decoded first: what a signature covers is the name that was meant, however it is escaped */
        name.len = tracker_url_decode(name, decoded, sizeof(decoded));
        name.data = decoded;
        field = ngx_http_affiliate_field(r, fields, name);
        if (field == NULL || value.len == 0) {
            continue;
        }
        out = ngx_pnalloc(r->pool, value.len);
        if (out == NULL) {
            return ngx_http_affiliate_error(NO_MEMORY);
        }
        ngx_http_affiliate_field_give(fields, field,
                                      (struct tracker_str){ out, tracker_url_decode(value, out, value.len) });
    }
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_fields_json(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, json_t *object)
{
    json_t                           *value;
    const char                       *name;
    struct tracker_str                text, *field;
    const ngx_http_affiliate_error_t *error;

    json_object_foreach(object, name, value) {
        field = ngx_http_affiliate_field(r, fields, (struct tracker_str){ name, ngx_strlen(name) });
        if (field == NULL) {
            continue;
        }
        error = ngx_http_affiliate_json_text(r->pool, value, &text);
        if (error != NULL) {
            return error;
        }
        if (text.len != 0) {
            ngx_http_affiliate_field_give(fields, field, text);
        }
    }
    return NULL;
}

/* A real number has passed through binary floating point and is no longer what was written: refused. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_json_text(ngx_pool_t *pool, const json_t *value, struct tracker_str *text)
{
    u_char *p;
    size_t  len;

    *text = TRACKER_STR_NONE;
    if (json_is_null(value)) {
        return NULL;
    }
    if (!json_is_string(value) && !json_is_integer(value)) {
        return ngx_http_affiliate_error(JSON_TYPE);
    }

    len = json_is_string(value) ? json_string_length(value) : NGX_INT64_LEN;
    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }

    if (json_is_string(value)) {
        ngx_memcpy(p, json_string_value(value), len);
    } else {
        len = ngx_sprintf(p, "%L", (int64_t) json_integer_value(value)) - p;
    }
    *text = (struct tracker_str){ (char *) p, len };
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_fields(const ngx_http_affiliate_caller_t *caller, const ngx_http_affiliate_fields_t *fields)
{
    return ngx_http_affiliate_verify_ts(caller, fields->value[NGX_HTTP_AFFILIATE_FIELD_TS], fields->twice);
}

/* The first value counts. */
static void
ngx_http_affiliate_field_give(ngx_http_affiliate_fields_t *fields, struct tracker_str *field,
                              struct tracker_str value)
{
    if (field->len == 0) {
        *field = value;
    } else if (!tracker_str_eq(*field, value)) {
        fields->twice = 1;
    }
}

static struct tracker_str *
ngx_http_affiliate_field(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, struct tracker_str name)
{
    ngx_http_affiliate_field_e     field;
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    field = ngx_http_affiliate_field_find(ngx_http_affiliate_alias(alcf, name));
    return field == NGX_HTTP_AFFILIATE_FIELD_COUNT ? NULL : &fields->value[field];
}

ngx_http_affiliate_field_e
ngx_http_affiliate_field_find(struct tracker_str name)
{
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_NAMES; i++) {
        if (tracker_str_eq(ngx_http_affiliate_names[i].name, name)) {
            return ngx_http_affiliate_names[i].field;
        }
    }
    return NGX_HTTP_AFFILIATE_FIELD_COUNT;
}
