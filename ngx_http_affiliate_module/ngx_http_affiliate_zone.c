/*
 * ngx_http_affiliate_zone.c - the shared zone: counters and gauges that outlive
 * a worker and a reload, and clicks by link.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

static ngx_int_t ngx_http_affiliate_init_zone(ngx_shm_zone_t *shm_zone, void *data);
static size_t    ngx_http_affiliate_zone_bytes(ngx_uint_t links);
static uint64_t  ngx_http_affiliate_layout(void);

#define NGX_HTTP_AFFILIATE_TEXT(name, text, ...) text,
const char *const ngx_http_affiliate_counter_names[] = { NGX_HTTP_AFFILIATE_COUNTERS(NGX_HTTP_AFFILIATE_TEXT) };
const char *const ngx_http_affiliate_gauge_names[] = { NGX_HTTP_AFFILIATE_GAUGES(NGX_HTTP_AFFILIATE_TEXT) };
const char *const ngx_http_affiliate_verdict_names[] = { NGX_HTTP_AFFILIATE_VERDICTS(NGX_HTTP_AFFILIATE_TEXT) };
#undef NGX_HTTP_AFFILIATE_TEXT

#define NGX_HTTP_AFFILIATE_PIN(name, text)                                                                     \
    _Static_assert(TRACKER_CLICK_##name == 1u << NGX_HTTP_AFFILIATE_VERDICT_##name, text);
NGX_HTTP_AFFILIATE_VERDICTS(NGX_HTTP_AFFILIATE_PIN)
#undef NGX_HTTP_AFFILIATE_PIN

/* A link looks no further than this for its place: with 3 of 4 places taken, practically all find one. */
#define NGX_HTTP_AFFILIATE_LINK_PROBES 16

/* The slab allocator's own pages: a generous bound, so that a small zone fails here and not at start. */
#define NGX_HTTP_AFFILIATE_ZONE_SPARE (16 * ngx_pagesize)

char *
ngx_http_affiliate_add_zone(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf, ngx_str_t *name,
                            size_t size, ngx_uint_t links)
{
    size_t least = ngx_http_affiliate_zone_bytes(links) + NGX_HTTP_AFFILIATE_ZONE_SPARE;

    if (size < least) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_zone\" \"%V\" is too small: at least %uzk are needed with links=%ui",
                           name, least / 1024 + 1, links);
        return NGX_CONF_ERROR;
    }
    amcf->zone_links = links;

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
        if (zone->layout != ngx_http_affiliate_layout()) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "\"affiliate_zone\" \"%V\" was made by another build of the module: "
                          "restart nginx, or give the zone another name", &shm_zone->shm.name);
            return NGX_ERROR;
        }
        if (zone->links_n != amcf->zone_links) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "\"affiliate_zone\" \"%V\" was made with links=%ui: to change that, "
                          "change its size or its name too", &shm_zone->shm.name, zone->links_n);
            return NGX_ERROR;
        }
        amcf->zone = zone;
        return NGX_OK;
    }

    /* slots want whole cache lines; the slab gives whole pages for so large a piece */
    zone = ngx_slab_calloc(pool, ngx_http_affiliate_zone_bytes(amcf->zone_links));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->layout = ngx_http_affiliate_layout();
    zone->started_ms = (uint64_t) ngx_time() * 1000;
    zone->links_n = amcf->zone_links;
    randombytes_buf(zone->secret, sizeof(zone->secret));
    pool->data = zone;
    amcf->zone = zone;
    return NGX_OK;
}

static size_t
ngx_http_affiliate_zone_bytes(ngx_uint_t links)
{
    return sizeof(ngx_http_affiliate_zone_t) + links * sizeof(ngx_http_affiliate_link_count_t);
}

/* FNV-1a (Fowler, Noll, Vo) over what the structure is made of: other names, another order or size change it. */
static uint64_t
ngx_http_affiliate_layout(void)
{
    uint64_t    hash = UINT64_C(0xcbf29ce484222325);
    ngx_uint_t  i;
    const char *p;

    static const char *const names[] = {
#define NGX_HTTP_AFFILIATE_TEXT(name, text, ...) text,
        "3", /* add one when fields are moved without any other change */
        NGX_HTTP_AFFILIATE_COUNTERS(NGX_HTTP_AFFILIATE_TEXT)
        NGX_HTTP_AFFILIATE_VERDICTS(NGX_HTTP_AFFILIATE_TEXT)
        NGX_HTTP_AFFILIATE_GAUGES(NGX_HTTP_AFFILIATE_TEXT)
#undef NGX_HTTP_AFFILIATE_TEXT
#define NGX_HTTP_AFFILIATE_TEXT(name, status, code, message) code,
        NGX_HTTP_AFFILIATE_ERRORS(NGX_HTTP_AFFILIATE_TEXT)
#undef NGX_HTTP_AFFILIATE_TEXT
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (p = names[i]; *p != '\0'; p++) {
            hash = (hash ^ (u_char) *p) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ ',') * UINT64_C(0x100000001b3);
    }
    return hash ^ (uint64_t) sizeof(ngx_http_affiliate_zone_t) << 32
           ^ sizeof(ngx_http_affiliate_link_count_t) << 16 ^ sizeof(ngx_http_affiliate_slot_t);
}

ngx_http_affiliate_link_count_t *
ngx_http_affiliate_link_count(uint32_t link)
{
    uint64_t                         at;
    ngx_uint_t                       i;
    ngx_http_affiliate_zone_t       *zone = ngx_http_affiliate_zone;
    ngx_http_affiliate_link_count_t *count;

    /* a multiplicative hash (Knuth 6.4): ids are small numbers in a row */
    at = (uint32_t) (link * 2654435769u);
    for (i = 0; i < NGX_HTTP_AFFILIATE_LINK_PROBES && i < zone->links_n; i++) {
        count = &zone->links[((at * zone->links_n >> 32) + i) % zone->links_n];
        if (count->link == link || (count->link == 0 && ngx_atomic_cmp_set(&count->link, 0, link))
            || count->link == link)
        {
            return count;
        }
    }
    return &zone->other;
}

void
ngx_http_affiliate_slot_reset(ngx_http_affiliate_slot_t *slot, ngx_pid_t pid)
{
    slot->pid = (ngx_atomic_uint_t) pid;
    slot->snapshot_version = 0;
    slot->snapshot_created_ms = 0;
    slot->oldest_pending_ms = 0;
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
ngx_http_affiliate_verdict_sum(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_verdict_e verdict)
{
    uint64_t sum = 0;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_SLOTS; i++) {
        sum += zone->slots[i].verdicts[verdict];
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
