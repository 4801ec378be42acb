/*
 * ngx_http_affiliate_zone.c - the shared zone: counters and gauges that outlive
 * a worker and a reload.
 */
#include "ngx_http_affiliate_request.h"

static ngx_int_t ngx_http_affiliate_init_zone(ngx_shm_zone_t *shm_zone, void *data);

/* Any change of the structure changes this; so does another order of counters, by the count. */
#define NGX_HTTP_AFFILIATE_LAYOUT                                                                              \
    ((uint64_t) 1 << 48 | (uint64_t) sizeof(ngx_http_affiliate_zone_t) << 16 |                                \
     (uint64_t) NGX_HTTP_AFFILIATE_COUNTER_COUNT << 8 | NGX_HTTP_AFFILIATE_GAUGE_COUNT)

/* The slab allocator's own pages: a generous bound, so that a small zone fails here and not at start. */
#define NGX_HTTP_AFFILIATE_ZONE_MIN (sizeof(ngx_http_affiliate_zone_t) + 16 * ngx_pagesize)

char *
ngx_http_affiliate_add_zone(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf, ngx_str_t *name,
                            size_t size)
{
    if (size < NGX_HTTP_AFFILIATE_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_zone\" \"%V\" is too small: at least %uzk are needed",
                           name, NGX_HTTP_AFFILIATE_ZONE_MIN / 1024 + 1);
        return NGX_CONF_ERROR;
    }

    amcf->shm_zone = ngx_shared_memory_add(cf, name, size, &ngx_http_affiliate_module);
    if (amcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (amcf->shm_zone->data != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_zone\" \"%V\" is already in use", name);
        return NGX_CONF_ERROR;
    }

    amcf->shm_zone->init = ngx_http_affiliate_init_zone;
    amcf->shm_zone->data = amcf;
    return NGX_CONF_OK;
}

/*
 * Runs in the master after the zone is mapped.  data is set when the zone lives on
 * from an older cycle; whose structures another build of the module may have made, so nothing but
 * the zone's own first word is believed.
 */
static ngx_int_t
ngx_http_affiliate_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t                *pool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    ngx_http_affiliate_zone_t      *zone = pool->data;
    ngx_http_affiliate_main_conf_t *amcf = shm_zone->data;

    if (data != NULL) {
        if (zone->layout != NGX_HTTP_AFFILIATE_LAYOUT) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "\"affiliate_zone\" \"%V\" was made by another build of the module: "
                          "restart nginx, or give the zone another name", &shm_zone->shm.name);
            return NGX_ERROR;
        }
        amcf->zone = zone;
        return NGX_OK;
    }

    /* slots want whole cache lines; the slab gives whole pages for so large a piece */
    zone = ngx_slab_calloc(pool, sizeof(ngx_http_affiliate_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->layout = NGX_HTTP_AFFILIATE_LAYOUT;
    pool->data = zone;
    amcf->zone = zone;
    return NGX_OK;
}

void
ngx_http_affiliate_slot_reset(ngx_http_affiliate_slot_t *slot, ngx_pid_t pid)
{
    slot->pid = (ngx_atomic_uint_t) pid;
    slot->snapshot_version = 0;
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GAUGE_COUNT; i++) {
        slot->gauges[i] = 0;
    }
}

uint64_t
ngx_http_affiliate_counter_sum(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_counter_e counter)
{
    uint64_t sum = 0;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_SLOTS; i++) {
        sum += zone->slots[i].counters[counter];
    }
    return sum;
}

uint64_t
ngx_http_affiliate_gauge_sum(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_gauge_e gauge)
{
    uint64_t sum = 0;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_SLOTS; i++) {
        sum += zone->slots[i].gauges[gauge];
    }
    return sum;
}
