/*
 * ngx_http_affiliate_click_rate.c - how often an address clicks: affiliate_rate.
 *
 * All workers share one table of fixed size in the zone.  A place is one word: 24 bits that tell addresses apart, and
 * 40 bits of time, by which the address has used up what it was given (the "theoretical arrival time" of the
 * generic cell rate algorithm, ITU-T I.371 annex A: a leaky bucket without a timer, and no minute that begins anew).
 * A place whose time has passed is free; when an address finds none, it takes that of the one that clicks less.
 *
 * Two workers that write a place at once: one of the clicks is not counted.  Places are few and addresses many: some
 * are forgotten too early.  Both errors are on the visitor's side.  Nothing is ever refused here.
 */
#include "ngx_http_affiliate_visitor.h"

#define NGX_HTTP_AFFILIATE_CLICK_RATE_MS 60000
#define NGX_HTTP_AFFILIATE_UNTIL_BITS    40 /* ms, 34 years of uptime */
#define NGX_HTTP_AFFILIATE_UNTIL         (((uint64_t) 1 << NGX_HTTP_AFFILIATE_UNTIL_BITS) - 1)

/* A whole /64 belongs to one visitor, who may take another address from it for every click. */
static uint64_t
ngx_http_affiliate_click_rate_hash(const ngx_http_affiliate_address_key_t *key)
{
    return key->high == 0 ? key->hash : ngx_http_affiliate_address_hash(key->high, 0);
}

ngx_uint_t
ngx_http_affiliate_clicks_too_often(const ngx_http_affiliate_address_key_t *key, ngx_uint_t per_minute)
{
    uint64_t      hash = ngx_http_affiliate_click_rate_hash(key);
    uint64_t      tag = hash >> NGX_HTTP_AFFILIATE_UNTIL_BITS;
    uint64_t      now = ngx_current_msec & NGX_HTTP_AFFILIATE_UNTIL, until[2];
    ngx_uint_t    i, interval = NGX_HTTP_AFFILIATE_CLICK_RATE_MS / per_minute;
    ngx_atomic_t *pair = &ngx_http_affiliate_zone->click_rates[hash % (NGX_HTTP_AFFILIATE_CLICK_RATES / 2) * 2];
    const ngx_atomic_uint_t was[2] = { pair[0], pair[1] };

    for (i = 0; i < 2; i++) {
        until[i] = was[i] & NGX_HTTP_AFFILIATE_UNTIL;
        if (was[i] >> NGX_HTTP_AFFILIATE_UNTIL_BITS == tag) {
            break;
        }
    }
    if (i == 2) { /* not known */
        i = until[1] < until[0];
        until[i] = 0;
    }

    until[i] = ngx_max(until[i], now) + interval;
    if (until[i] > now + NGX_HTTP_AFFILIATE_CLICK_RATE_MS) {
        return 1;
    }
    (void) ngx_atomic_cmp_set(&pair[i], was[i], tag << NGX_HTTP_AFFILIATE_UNTIL_BITS | until[i]);
    return 0;
}

/* affiliate_rate off | NUMBER */
char *
ngx_http_affiliate_set_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (alcf->rate != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    if (ngx_strcmp(value[1].data, "off") == 0) {
        alcf->rate = 0;
        return NGX_CONF_OK;
    }

    alcf->rate = ngx_atoi(value[1].data, value[1].len);
    if (alcf->rate < 1 || alcf->rate > NGX_HTTP_AFFILIATE_CLICK_RATE_MS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_rate\" \"%V\" is neither off nor a number of clicks a minute, 1 to %d",
                           &value[1], NGX_HTTP_AFFILIATE_CLICK_RATE_MS);
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}
