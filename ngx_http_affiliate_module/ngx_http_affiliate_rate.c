/*
 * ngx_http_affiliate_rate.c - how often somebody may come within a minute, over all workers.
 *
 * One word of the shared zone for each: who << 32 | minute (12 bits) << 20 | count (20 bits).  Everything
 * happens in one compare-and-swap, so that no lock is held and a worker that is killed leaves nothing half done.
 */
#include "ngx_http_affiliate_request.h"

#define NGX_HTTP_AFFILIATE_RATE_PROBES 8
#define NGX_HTTP_AFFILIATE_RATE_COUNT  0xfffffu
#define NGX_HTTP_AFFILIATE_RATE_MINUTE 0xfffu

static ngx_atomic_t *ngx_http_affiliate_rate_place(ngx_http_affiliate_rates_t *rates, uint32_t who,
                                                   uint64_t minute, ngx_atomic_uint_t *found);

ngx_uint_t
ngx_http_affiliate_rate_over(ngx_http_affiliate_rates_t *rates, uint32_t who, uint32_t limit, ngx_uint_t take)
{
    uint64_t          minute = (uint64_t) (ngx_time() / 60) & NGX_HTTP_AFFILIATE_RATE_MINUTE, count;
    ngx_atomic_t     *place;
    ngx_atomic_uint_t found, next;

    if (limit == 0 || limit >= NGX_HTTP_AFFILIATE_RATE_COUNT) {
        return 0;
    }

    for (ngx_uint_t tries = 0; tries < 100; tries++) {
        place = ngx_http_affiliate_rate_place(rates, who, minute, &found);
        if (place == NULL) {
            return 0; /* all places near are taken: rather too many than somebody turned away for nothing */
        }

        count = found >> 32 == who && (found >> 20 & NGX_HTTP_AFFILIATE_RATE_MINUTE) == minute
                    ? found & NGX_HTTP_AFFILIATE_RATE_COUNT : 0;
        if (count >= limit) {
            return 1;
        }
        next = (ngx_atomic_uint_t) who << 32 | minute << 20 | (count + 1);
        if (!take || ngx_atomic_cmp_set(place, found, next)) {
            return 0;
        }
    }
    return 0;
}

/* Where `who` is counted, or else the first place that nobody has in this minute; and what was read there. */
static ngx_atomic_t *
ngx_http_affiliate_rate_place(ngx_http_affiliate_rates_t *rates, uint32_t who, uint64_t minute,
                              ngx_atomic_uint_t *found)
{
    /* a multiplicative hash (Knuth 6.4): ids are small numbers in a row */
    uint64_t          at = (uint64_t) (uint32_t) (who * 2654435769u) * NGX_HTTP_AFFILIATE_RATES >> 32;
    ngx_atomic_t     *free = NULL;
    ngx_atomic_uint_t word;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_RATE_PROBES; i++) {
        ngx_atomic_t *place = &rates->places[(at + i) % NGX_HTTP_AFFILIATE_RATES];

        word = *place;
        if ((word & NGX_HTTP_AFFILIATE_RATE_COUNT) != 0
            && (word >> 20 & NGX_HTTP_AFFILIATE_RATE_MINUTE) == minute)
        {
            if (word >> 32 == who) {
                *found = word;
                return place;
            }
        } else if (free == NULL) {
            free = place;
            *found = word;
        }
    }
    return free;
}
