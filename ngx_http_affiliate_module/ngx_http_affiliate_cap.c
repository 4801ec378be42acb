/*
 * ngx_http_affiliate_cap.c - click caps of links, campaigns and rules, counted by all workers of an edge.
 *
 * Counts lie in the shared zone: open addressing over a fixed array, a window of places for each key, atomics
 * only.  A count says of which day it is, so that midnight costs nothing; a place whose count is of an older
 * day is given away, but only when a newcomer finds no other.  (A click that another worker is counting
 * there in that very moment is counted for the newcomer.)
 *
 * A click is counted when it is let through and given back when its answer fails: no cap is exceeded,
 * however many workers ask at once.  What other edges send, and what was counted before nginx was started,
 * the backend adds: see capped_until_ms in tracker_snapshot.h.
 */
#include "ngx_http_affiliate_request.h"

#define NGX_HTTP_AFFILIATE_CAP_WINDOW 16 /* places of a key: four cache lines */

#define NGX_HTTP_AFFILIATE_DAY_MS  ((uint64_t) 86400000)
#define NGX_HTTP_AFFILIATE_FOREVER UINT32_MAX /* the day of a cap that has none */

static ngx_int_t ngx_http_affiliate_cap_place(ngx_http_affiliate_visit_t *visit, uint64_t key, uint32_t day,
                                              uint32_t cap);
static ngx_http_affiliate_cap_t *ngx_http_affiliate_cap_find(ngx_http_affiliate_zone_t *zone, uint64_t key,
                                                             uint32_t today);
static ngx_uint_t ngx_http_affiliate_cap_claim(ngx_http_affiliate_cap_t *place, uint64_t old, uint64_t key);
static void ngx_http_affiliate_cap_full(ngx_http_affiliate_visit_t *visit);

/* Names a count; never 0. */
static inline uint64_t
ngx_http_affiliate_cap_key(ngx_http_affiliate_cap_e kind, uint32_t id, ngx_uint_t rule)
{
    return (uint64_t) kind << 48 | (uint64_t) rule << 32 | id;
}

static inline uint32_t
ngx_http_affiliate_cap_today(const ngx_http_affiliate_visit_t *visit)
{
    return (uint32_t) (visit->time_ms / NGX_HTTP_AFFILIATE_DAY_MS);
}

ngx_int_t
ngx_http_affiliate_cap_limits(ngx_http_affiliate_visit_t *visit, ngx_http_affiliate_cap_e kind, uint32_t id,
                              const struct tracker_limits *limits)
{
    if (limits->capped_until_ms > visit->time_ms) {
        return NGX_DECLINED;
    }
    if (limits->cap_day != 0
        && ngx_http_affiliate_cap_place(visit, ngx_http_affiliate_cap_key(kind, id, 0),
                                        ngx_http_affiliate_cap_today(visit), limits->cap_day) != NGX_OK)
    {
        return NGX_DECLINED;
    }
    if (limits->cap_total != 0
        && ngx_http_affiliate_cap_place(visit, ngx_http_affiliate_cap_key(kind + 1, id, 0),
                                        NGX_HTTP_AFFILIATE_FOREVER, limits->cap_total) != NGX_OK)
    {
        return NGX_DECLINED;
    }
    return NGX_OK;
}

ngx_int_t
ngx_http_affiliate_cap_rule(ngx_http_affiliate_visit_t *visit, uint32_t link, ngx_uint_t rule, uint32_t cap_day)
{
    uint64_t key = ngx_http_affiliate_cap_key(NGX_HTTP_AFFILIATE_CAP_RULE, link, rule);

    return ngx_http_affiliate_cap_place(visit, key, ngx_http_affiliate_cap_today(visit), cap_day);
}

/* A count of an older day is not touched: it says nothing about today. */
void
ngx_http_affiliate_cap_release(ngx_http_affiliate_visit_t *visit)
{
    uint64_t was;

    for (; visit->caps_taken != 0; visit->caps_taken--) {
        ngx_http_affiliate_cap_t *place = visit->caps[visit->caps_taken - 1];

        was = __atomic_load_n(&place->count, __ATOMIC_RELAXED);
        while ((uint32_t) was != 0
               && !__atomic_compare_exchange_n(&place->count, &was, was - 1, 0, __ATOMIC_RELAXED,
                                               __ATOMIC_RELAXED))
        {
            /* another worker counted; was is what it left */
        }
    }
}

/* Lets the visit through and counts it; a visit that does not count looks only.  NGX_DECLINED: capped. */
static ngx_int_t
ngx_http_affiliate_cap_place(ngx_http_affiliate_visit_t *visit, uint64_t key, uint32_t day, uint32_t cap)
{
    uint64_t                  was, count;
    ngx_http_affiliate_cap_t *place;

    place = ngx_http_affiliate_cap_find(visit->main->zone, key, ngx_http_affiliate_cap_today(visit));
    if (place == NULL) {
        ngx_http_affiliate_cap_full(visit);
        return NGX_OK;
    }

    was = __atomic_load_n(&place->count, __ATOMIC_RELAXED);
    do {
        count = was >> 32 == day ? (uint32_t) was : 0;
        if (count >= cap) {
            return NGX_DECLINED;
        }
        if (!visit->counted) {
            return NGX_OK;
        }
    } while (!__atomic_compare_exchange_n(&place->count, &was, (uint64_t) day << 32 | (count + 1), 0,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));

    visit->caps[visit->caps_taken++] = place;
    return NGX_OK;
}

/*
 * The key's place, made if there is none; NULL: its window is full.  Workers look through a window in the same
 * order and places never become empty again, so two that come at once agree on one.
 */
static ngx_http_affiliate_cap_t *
ngx_http_affiliate_cap_find(ngx_http_affiliate_zone_t *zone, uint64_t key, uint32_t today)
{
    uint64_t                  here, hash = key * UINT64_C(0x9e3779b97f4a7c15), day;
    ngx_uint_t                i, first = (hash >> 32) % NGX_HTTP_AFFILIATE_CAPS;
    ngx_http_affiliate_cap_t *place;

    for (i = 0; i < NGX_HTTP_AFFILIATE_CAP_WINDOW; i++) {
        place = &zone->caps[(first + i) % NGX_HTTP_AFFILIATE_CAPS];
        here = __atomic_load_n(&place->key, __ATOMIC_RELAXED);
        if (here == key || (here == 0 && ngx_http_affiliate_cap_claim(place, 0, key))) {
            return place;
        }
    }

    for (i = 0; i < NGX_HTTP_AFFILIATE_CAP_WINDOW; i++) {
        place = &zone->caps[(first + i) % NGX_HTTP_AFFILIATE_CAPS];
        here = __atomic_load_n(&place->key, __ATOMIC_RELAXED);
        day = __atomic_load_n(&place->count, __ATOMIC_RELAXED) >> 32;
        if (day < today && ngx_http_affiliate_cap_claim(place, here, key)) {
            return place;
        }
    }
    return NULL;
}

/* Makes the place the key's own, unless another worker was quicker and it is another's. */
static ngx_uint_t
ngx_http_affiliate_cap_claim(ngx_http_affiliate_cap_t *place, uint64_t old, uint64_t key)
{
    return __atomic_compare_exchange_n(&place->key, &old, key, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
           || old == key;
}

static void
ngx_http_affiliate_cap_full(ngx_http_affiliate_visit_t *visit)
{
    ngx_http_affiliate_count(CAPS_UNCOUNTED);
    if (ngx_atomic_cmp_set(&visit->main->zone->caps_full, 0, 1)) {
        ngx_log_error(NGX_LOG_WARN, visit->request->connection->log, 0,
                      "affiliate: more click caps in use than the %ud this edge can count: some are enforced "
                      "by the backend alone, which is slower", NGX_HTTP_AFFILIATE_CAPS);
    }
}
