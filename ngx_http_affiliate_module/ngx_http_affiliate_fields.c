/*
 * ngx_http_affiliate_fields.c - a conversion's parameters: from a query, a form or
 * JSON, by their names and aliases, into a checked event.
 *
 * Nothing is guessed and nothing is cut: what is not clear is one error.  Names that are not ours are
 * left alone, since trackers append theirs to a postback.
 */
#include "ngx_http_affiliate_request.h"

#include <jansson.h>
#include <time.h>

#include "tracker_attribution.h" /* TRACKER_CLOCK_SKEW_MS */

#define NGX_HTTP_AFFILIATE_EVENT_DEFAULT "sale"
#define NGX_HTTP_AFFILIATE_EVENT_MAX     32
#define NGX_HTTP_AFFILIATE_EVENT_AGE_MS  (UINT64_C(366) * 24 * 60 * 60 * 1000)

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
    NGX_HTTP_AFFILIATE_NAME("event", EVENT),
    NGX_HTTP_AFFILIATE_NAME("amount", AMOUNT),
    NGX_HTTP_AFFILIATE_NAME("currency", CURRENCY),
    NGX_HTTP_AFFILIATE_NAME("txid", TXID),
    NGX_HTTP_AFFILIATE_NAME("tid", TXID),
    NGX_HTTP_AFFILIATE_NAME("order_id", TXID),
    NGX_HTTP_AFFILIATE_NAME("status", STATUS),
    NGX_HTTP_AFFILIATE_NAME("event_time", EVENT_TIME),
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

static struct tracker_str *ngx_http_affiliate_field(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields,
                                                    struct tracker_str name);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_json_field(ngx_pool_t *pool, struct tracker_str *field, const json_t *value);
static ngx_uint_t ngx_http_affiliate_text_clean(struct tracker_str text);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_click_id(struct tracker_str text, const struct tracker_keys *keys,
                                  struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_event(struct tracker_str text, struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_amount(struct tracker_str amount, struct tracker_str currency,
                                struct tracker_str program_currency, struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_status(struct tracker_str text, struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_time(struct tracker_str text, uint64_t now_ms, struct tracker_conversion *event);
static ngx_uint_t ngx_http_affiliate_parse_digits(const char **p, const char *last, ngx_uint_t min,
                                                  ngx_uint_t max, uint64_t *number);
static ngx_uint_t ngx_http_affiliate_parse_rfc3339(struct tracker_str text, uint64_t *ms);
static ngx_uint_t ngx_http_affiliate_parse_zone(const char *p, const char *last, int64_t *offset);

const ngx_http_affiliate_error_t *
ngx_http_affiliate_fields_check(const ngx_http_affiliate_fields_t *fields, const struct tracker_keys *keys,
                                struct tracker_str program_currency, uint64_t now_ms,
                                struct tracker_conversion *event)
{
    const struct tracker_str         *value = fields->value;
    const ngx_http_affiliate_error_t *error;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_FIELD_COUNT; i++) {
        if (value[i].len > TRACKER_FIELD_MAX) {
            return ngx_http_affiliate_error(FIELD_TOO_LONG);
        }
        if (!ngx_http_affiliate_text_clean(value[i])) {
            return ngx_http_affiliate_error(FIELD_BYTES);
        }
    }

    event->txid = value[NGX_HTTP_AFFILIATE_FIELD_TXID];
    for (ngx_uint_t i = 0; i < TRACKER_CONVERSION_PS; i++) {
        event->p[i] = value[NGX_HTTP_AFFILIATE_FIELD_P1 + i];
    }

    error = ngx_http_affiliate_check_click_id(value[NGX_HTTP_AFFILIATE_FIELD_CLICK_ID], keys, event);
    if (error == NULL) {
        error = ngx_http_affiliate_check_event(value[NGX_HTTP_AFFILIATE_FIELD_EVENT], event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_amount(value[NGX_HTTP_AFFILIATE_FIELD_AMOUNT],
                                                value[NGX_HTTP_AFFILIATE_FIELD_CURRENCY], program_currency,
                                                event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_status(value[NGX_HTTP_AFFILIATE_FIELD_STATUS], event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_time(value[NGX_HTTP_AFFILIATE_FIELD_EVENT_TIME], now_ms, event);
    }
    return error;
}

/* ---- three ways in ---- */

const ngx_http_affiliate_error_t *
ngx_http_affiliate_fields_form(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, struct tracker_str form)
{
    char               *out;
    struct tracker_str  name, value, *field;

    while (tracker_query_next(&form, &name, &value)) {
        field = ngx_http_affiliate_field(r, fields, name);
        if (field == NULL || field->len != 0 || value.len == 0) {
            continue;
        }
        out = ngx_pnalloc(r->pool, value.len);
        if (out == NULL) {
            return ngx_http_affiliate_error(NO_MEMORY);
        }
        *field = (struct tracker_str){ out, tracker_url_decode(value, out, value.len) };
    }
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_fields_json(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, struct tracker_str body)
{
    json_t                           *root, *value;
    json_error_t                      where;
    const char                       *name;
    struct tracker_str               *field;
    const ngx_http_affiliate_error_t *error = NULL;

    root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return ngx_http_affiliate_error(JSON_MALFORMED);
    }

    json_object_foreach(root, name, value) {
        field = ngx_http_affiliate_field(r, fields, (struct tracker_str){ name, ngx_strlen(name) });
        if (field == NULL || field->len != 0) {
            continue;
        }
        error = ngx_http_affiliate_json_field(r->pool, field, value);
        if (error != NULL) {
            break;
        }
    }
    json_decref(root);
    return error;
}

/* A real number has passed through binary floating point and is no longer what was written: refused. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_json_field(ngx_pool_t *pool, struct tracker_str *field, const json_t *value)
{
    u_char *text;
    size_t  len;

    if (json_is_null(value)) {
        return NULL;
    }
    if (!json_is_string(value) && !json_is_integer(value)) {
        return ngx_http_affiliate_error(JSON_TYPE);
    }

    len = json_is_string(value) ? json_string_length(value) : NGX_INT64_LEN;
    text = ngx_pnalloc(pool, len);
    if (text == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }

    if (json_is_string(value)) {
        ngx_memcpy(text, json_string_value(value), len);
    } else {
        len = ngx_sprintf(text, "%L", (int64_t) json_integer_value(value)) - text;
    }
    *field = (struct tracker_str){ (char *) text, len };
    return NULL;
}

static struct tracker_str *
ngx_http_affiliate_field(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields, struct tracker_str name)
{
    name = ngx_http_affiliate_alias(ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module), name);
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_NAMES; i++) {
        if (tracker_str_eq(ngx_http_affiliate_names[i].name, name)) {
            return &fields->value[ngx_http_affiliate_names[i].field];
        }
    }
    return NULL;
}

ngx_uint_t
ngx_http_affiliate_field_known(ngx_str_t *name)
{
    struct tracker_str text = { (char *) name->data, name->len };

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_NAMES; i++) {
        if (tracker_str_eq(ngx_http_affiliate_names[i].name, text)) {
            return 1;
        }
    }
    return 0;
}

/* ---- checks ---- */

static ngx_uint_t
ngx_http_affiliate_text_clean(struct tracker_str text)
{
    u_char *p = (u_char *) text.data, *last = p + text.len;

    while (p < last) {
        if (*p < 0x20 || *p == 0x7f) {
            return 0;
        }
        if (*p < 0x80) {
            p++;
        } else if (ngx_utf8_decode(&p, last - p) > 0x10ffff) {
            return 0;
        }
    }
    return 1;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_click_id(struct tracker_str text, const struct tracker_keys *keys,
                                  struct tracker_conversion *event)
{
    struct tracker_click_id id;

    if (text.len == 0) {
        return ngx_http_affiliate_error(CLICK_ID_MISSING);
    }
    if (tracker_click_id_decode(keys, text, &id) != TRACKER_CLICK_ID_OK) {
        return ngx_http_affiliate_error(CLICK_ID_INVALID);
    }
    event->click_id = text;
    return NULL;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_event(struct tracker_str text, struct tracker_conversion *event)
{
    if (text.len == 0) {
        text = TRACKER_STR(NGX_HTTP_AFFILIATE_EVENT_DEFAULT);
    }
    if (text.len > NGX_HTTP_AFFILIATE_EVENT_MAX) {
        return ngx_http_affiliate_error(EVENT_INVALID);
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') {
            return ngx_http_affiliate_error(EVENT_INVALID);
        }
    }
    event->event = text;
    return NULL;
}

/* No currency means the program's.  A reversal is a status, not a negative amount. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_amount(struct tracker_str amount, struct tracker_str currency,
                                struct tracker_str program_currency, struct tracker_conversion *event)
{
    if (amount.len == 0) {
        return currency.len == 0 ? NULL : ngx_http_affiliate_error(CURRENCY_ALONE);
    }

    switch (tracker_money_parse(amount, currency.len != 0 ? currency : program_currency, &event->amount)) {
    case TRACKER_MONEY_OK:
        break;
    case TRACKER_MONEY_BAD_CURRENCY:
        return ngx_http_affiliate_error(CURRENCY_INVALID);
    case TRACKER_MONEY_BAD_AMOUNT:
        return ngx_http_affiliate_error(AMOUNT_INVALID);
    case TRACKER_MONEY_TOO_PRECISE:
        return ngx_http_affiliate_error(AMOUNT_PRECISE);
    case TRACKER_MONEY_OUT_OF_RANGE:
        return ngx_http_affiliate_error(AMOUNT_RANGE);
    }

    if (event->amount.minor < 0) {
        return ngx_http_affiliate_error(AMOUNT_NEGATIVE);
    }
    event->has_amount = 1;
    return NULL;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_status(struct tracker_str text, struct tracker_conversion *event)
{
    if (text.len == 0 || tracker_str_eq(text, TRACKER_STR("pending"))) {
        event->status = TRACKER_CONVERSION_PENDING;
    } else if (tracker_str_eq(text, TRACKER_STR("approved"))) {
        event->status = TRACKER_CONVERSION_APPROVED;
    } else if (tracker_str_eq(text, TRACKER_STR("rejected"))) {
        event->status = TRACKER_CONVERSION_REJECTED;
    } else {
        return ngx_http_affiliate_error(STATUS_INVALID);
    }
    return NULL;
}

/* Seconds since 1970, or RFC 3339; within a year behind us and five minutes ahead. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_time(struct tracker_str text, uint64_t now_ms, struct tracker_conversion *event)
{
    uint64_t    ms;
    const char *p = text.data, *last = p + text.len;

    if (text.len == 0) {
        return NULL;
    }

    if (ngx_http_affiliate_parse_digits(&p, last, 1, 12, &ms) && p == last) {
        ms *= 1000;
    } else if (!ngx_http_affiliate_parse_rfc3339(text, &ms)) {
        return ngx_http_affiliate_error(TIME_INVALID);
    }

    if (ms > now_ms + TRACKER_CLOCK_SKEW_MS || ms + NGX_HTTP_AFFILIATE_EVENT_AGE_MS < now_ms) {
        return ngx_http_affiliate_error(TIME_INVALID);
    }
    event->event_time_ms = ms;
    return NULL;
}

/* Takes min to max digits at *p and moves it past them. */
static ngx_uint_t
ngx_http_affiliate_parse_digits(const char **p, const char *last, ngx_uint_t min, ngx_uint_t max,
                                uint64_t *number)
{
    ngx_uint_t n;

    *number = 0;
    for (n = 0; n < max && *p < last && **p >= '0' && **p <= '9'; n++, (*p)++) {
        *number = *number * 10 + (uint64_t) (**p - '0');
    }
    return n >= min;
}

/* "2024-02-29T12:00:00[.123]Z" or "+01:00" (RFC 3339, 5.6); fractions are dropped. */
static ngx_uint_t
ngx_http_affiliate_parse_rfc3339(struct tracker_str text, uint64_t *ms)
{
    static const char before[6] = { 0, '-', '-', 'T', ':', ':' };

    time_t      t;
    int64_t     offset;
    uint64_t    part[6], fraction;
    struct tm   tm, back;
    const char *p = text.data, *last = p + text.len;

    for (ngx_uint_t i = 0; i < 6; i++) {
        if ((i > 0 && (p == last || *p++ != before[i]))
            || !ngx_http_affiliate_parse_digits(&p, last, i == 0 ? 4 : 2, i == 0 ? 4 : 2, &part[i]))
        {
            return 0;
        }
    }
    if (p < last && *p == '.') {
        p++;
        if (!ngx_http_affiliate_parse_digits(&p, last, 1, 9, &fraction)) {
            return 0;
        }
    }
    if (!ngx_http_affiliate_parse_zone(p, last, &offset) || part[0] < 1970 || part[1] < 1 || part[1] > 12
        || part[2] < 1 || part[3] > 23 || part[4] > 59 || part[5] > 60)
    {
        return 0;
    }

    ngx_memzero(&tm, sizeof(tm));
    tm.tm_year = (int) part[0] - 1900;
    tm.tm_mon = (int) part[1] - 1;
    tm.tm_mday = (int) part[2];
    t = timegm(&tm);
    if (gmtime_r(&t, &back) == NULL || back.tm_mday != (int) part[2]) {
        return 0; /* the 30th of February */
    }

    t += (time_t) (part[3] * 3600 + part[4] * 60 + part[5]) - offset;
    if (t < 0) {
        return 0;
    }
    *ms = (uint64_t) t * 1000;
    return 1;
}

/* "Z", "+hh:mm" or "-hh:mm", and nothing after it; seconds east of UTC. */
static ngx_uint_t
ngx_http_affiliate_parse_zone(const char *p, const char *last, int64_t *offset)
{
    int      sign;
    uint64_t hours, minutes;

    *offset = 0;
    if (last - p == 1 && *p == 'Z') {
        return 1;
    }
    if (last - p != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':') {
        return 0;
    }
    sign = *p++ == '+' ? 1 : -1;
    if (!ngx_http_affiliate_parse_digits(&p, last, 2, 2, &hours) || *p++ != ':'
        || !ngx_http_affiliate_parse_digits(&p, last, 2, 2, &minutes) || hours > 23 || minutes > 59)
    {
        return 0;
    }
    *offset = sign * (int64_t) (hours * 3600 + minutes * 60);
    return 1;
}
