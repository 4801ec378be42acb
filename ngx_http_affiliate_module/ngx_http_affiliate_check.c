/*
 * ngx_http_affiliate_check.c - what a conversion's parameters mean: from texts into a checked event.
 *
 * Nothing is guessed and nothing is cut: what is not clear is one error.
 */
#include "ngx_http_affiliate_postback.h"

#include <time.h>

#include "tracker_attribution.h" /* TRACKER_CLOCK_SKEW_MS */

#define NGX_HTTP_AFFILIATE_EVENT_DEFAULT "sale"
#define NGX_HTTP_AFFILIATE_EVENT_MAX     32
#define NGX_HTTP_AFFILIATE_EVENT_AGE_MS  (UINT64_C(366) * 24 * 60 * 60 * 1000)

/* Ours first; the others are what products in this field call the same. */
#define NGX_HTTP_AFFILIATE_STATUS(text, status) { ngx_string(text), TRACKER_CONVERSION_##status }
static const struct {
    ngx_str_t                      name;
    enum tracker_conversion_status status;
} ngx_http_affiliate_statuses[] = {
    NGX_HTTP_AFFILIATE_STATUS("pending", PENDING),
    NGX_HTTP_AFFILIATE_STATUS("hold", PENDING),
    NGX_HTTP_AFFILIATE_STATUS("open", PENDING),
    NGX_HTTP_AFFILIATE_STATUS("approved", APPROVED),
    NGX_HTTP_AFFILIATE_STATUS("confirmed", APPROVED),
    NGX_HTTP_AFFILIATE_STATUS("accepted", APPROVED),
    NGX_HTTP_AFFILIATE_STATUS("rejected", REJECTED),
    NGX_HTTP_AFFILIATE_STATUS("declined", REJECTED),
    NGX_HTTP_AFFILIATE_STATUS("canceled", REJECTED),
    NGX_HTTP_AFFILIATE_STATUS("cancelled", REJECTED),
    NGX_HTTP_AFFILIATE_STATUS("trash", REJECTED),
    NGX_HTTP_AFFILIATE_STATUS("refund", REFUND),
    NGX_HTTP_AFFILIATE_STATUS("refunded", REFUND),
    NGX_HTTP_AFFILIATE_STATUS("chargeback", CHARGEBACK),
    NGX_HTTP_AFFILIATE_STATUS("chargeback_won", CHARGEBACK_WON),
};

static ngx_uint_t ngx_http_affiliate_text_clean(struct tracker_str text);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_click_id(struct tracker_str text, const struct tracker_keys *keys,
                                  struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_event(struct tracker_str text, struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_amount(const struct tracker_str *value, struct tracker_str program_currency,
                                struct tracker_conversion *event);
static enum tracker_money_verdict ngx_http_affiliate_parse_minor(struct tracker_str minor,
                                                                 struct tracker_str currency,
                                                                 struct tracker_money *money);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_status(struct tracker_str text, struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_subject(const struct tracker_conversion *event);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_time(struct tracker_str text, uint64_t now_ms, struct tracker_conversion *event);
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
    event->coupon = value[NGX_HTTP_AFFILIATE_FIELD_COUPON];
    event->customer = value[NGX_HTTP_AFFILIATE_FIELD_CUSTOMER];
    event->refund_id = value[NGX_HTTP_AFFILIATE_FIELD_REFUND_ID];
    for (ngx_uint_t i = 0; i < TRACKER_CONVERSION_PS; i++) {
        event->p[i] = value[NGX_HTTP_AFFILIATE_FIELD_P1 + i];
    }

    error = ngx_http_affiliate_check_click_id(value[NGX_HTTP_AFFILIATE_FIELD_CLICK_ID], keys, event);
    if (error == NULL) {
        error = ngx_http_affiliate_check_event(value[NGX_HTTP_AFFILIATE_FIELD_EVENT], event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_amount(value, program_currency, event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_status(value[NGX_HTTP_AFFILIATE_FIELD_STATUS], event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_subject(event);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_check_time(value[NGX_HTTP_AFFILIATE_FIELD_EVENT_TIME], now_ms, event);
    }
    return error;
}

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
        return NULL;
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
ngx_http_affiliate_check_amount(const struct tracker_str *value, struct tracker_str program_currency,
                                struct tracker_conversion *event)
{
    struct tracker_str         amount = value[NGX_HTTP_AFFILIATE_FIELD_AMOUNT];
    struct tracker_str         minor = value[NGX_HTTP_AFFILIATE_FIELD_AMOUNT_MINOR];
    struct tracker_str         currency = value[NGX_HTTP_AFFILIATE_FIELD_CURRENCY];
    enum tracker_money_verdict verdict;

    if (amount.len == 0 && minor.len == 0) {
        return currency.len == 0 ? NULL : ngx_http_affiliate_error(CURRENCY_ALONE);
    }
    if (amount.len != 0 && minor.len != 0) {
        return ngx_http_affiliate_error(AMOUNT_INVALID); /* which of them? */
    }

    if (currency.len == 0) {
        currency = program_currency;
    }
    verdict = amount.len != 0 ? tracker_money_parse(amount, currency, &event->amount)
                              : ngx_http_affiliate_parse_minor(minor, currency, &event->amount);

    switch (verdict) {
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

/* Whole cents, or whatever the currency's smallest unit is; never negative. */
static enum tracker_money_verdict
ngx_http_affiliate_parse_minor(struct tracker_str minor, struct tracker_str currency, struct tracker_money *money)
{
    uint64_t                   number;
    const char                *p = minor.data, *last = p + minor.len;
    enum tracker_money_verdict verdict = tracker_money_parse(TRACKER_STR("0"), currency, money);

    if (verdict != TRACKER_MONEY_OK) {
        return verdict;
    }
    if (!ngx_http_affiliate_parse_digits(&p, last, 1, 18, &number) || p != last) {
        return TRACKER_MONEY_BAD_AMOUNT;
    }
    if (number > TRACKER_MINOR_MAX) {
        return TRACKER_MONEY_OUT_OF_RANGE;
    }
    money->minor = (int64_t) number;
    return TRACKER_MONEY_OK;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_status(struct tracker_str text, struct tracker_conversion *event)
{
    ngx_uint_t i;

    if (text.len == 0) {
        return NULL; /* pending */
    }

    for (i = 0; i < sizeof(ngx_http_affiliate_statuses) / sizeof(ngx_http_affiliate_statuses[0]); i++) {
        const ngx_str_t *name = &ngx_http_affiliate_statuses[i].name;

        if (name->len == text.len && ngx_strncasecmp(name->data, (u_char *) text.data, text.len) == 0) {
            event->status = ngx_http_affiliate_statuses[i].status;
            return NULL;
        }
    }
    return ngx_http_affiliate_error(STATUS_INVALID);
}

/*
 * Whom does it speak of?  A visitor, a customer, or (once more than pending) an order that is known by its txid; and
 * which of his conversions is it: the txid says, else a click, which has one of each event.
 */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_check_subject(const struct tracker_conversion *event)
{
    ngx_uint_t takes_back = event->status >= TRACKER_CONVERSION_REFUND;

    if (takes_back && event->txid.len == 0 && event->click_id.len == 0) {
        return ngx_http_affiliate_error(TXID_MISSING); /* taken back is one conversion, not what a customer did */
    }
    if (takes_back && event->has_amount && event->refund_id.len == 0) {
        return ngx_http_affiliate_error(REFUND_ID_MISSING); /* a second part, or the first once more? */
    }
    if (event->click_id.len != 0 || event->cookie_last.len != 0) {
        return NULL;
    }
    if (event->coupon.len == 0 && event->customer.len == 0
        && (event->txid.len == 0 || event->status == TRACKER_CONVERSION_PENDING))
    {
        return ngx_http_affiliate_error(CLICK_ID_MISSING);
    }
    /* What has no answer is sent again, and a customer may well buy twice, a code be used by many. */
    return event->txid.len == 0 ? ngx_http_affiliate_error(TXID_MISSING) : NULL;
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

ngx_uint_t
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
