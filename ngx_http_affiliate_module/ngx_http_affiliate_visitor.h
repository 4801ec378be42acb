/*
 * ngx_http_affiliate_visitor.h - what is known of a visitor's address: place, network, and how often it clicks.
 */
#ifndef NGX_HTTP_AFFILIATE_VISITOR_H
#define NGX_HTTP_AFFILIATE_VISITOR_H

#include "ngx_http_affiliate_request.h"

#include <maxminddb.h>

/* An address as these files compare it: IPv4 lies in ::ffff:0:0/96, so that both are 16 bytes. */
typedef struct {
    uint64_t high, low;
    uint64_t hash; /* of both, under the zone's secret: whoever chooses addresses cannot choose places */
} ngx_http_affiliate_address_key_t;

/* Of 16 bytes, in one multiplication (the mixing step of wyhash). */
static ngx_inline uint64_t
ngx_http_affiliate_address_hash(uint64_t high, uint64_t low)
{
    unsigned __int128 product = (unsigned __int128) (high ^ ngx_http_affiliate_zone->secret[0])
                                * (low ^ ngx_http_affiliate_zone->secret[1]);

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/* ---- geo.c: where an address is ---- */

/* Everything is copied out of the databases: nothing points into a mapping that a swap would take away. */
typedef struct {
    uint64_t   high, low;
    ngx_uint_t serial;         /* of the databases that said so; 0: an empty place */
    ngx_uint_t hosting_serial; /* of the snapshot by which hosting was decided; 0: not yet */
    uint32_t   asn;
    uint8_t    hosting;        /* asn is one of the snapshot's datacentres */
    uint8_t    country_len, region_len, city_len;
    char       country[2];     /* ISO 3166-1 alpha-2 */
    char       region[3];      /* ISO 3166-2 without its country */
    char       city[TRACKER_PLACE_MAX]; /* UTF-8 */
} ngx_http_affiliate_place_t;

/* What the databases say, remembered; address is 4 or 16 bytes.  Valid until the next call. */
ngx_http_affiliate_place_t *ngx_http_affiliate_geo_find(const ngx_http_affiliate_address_key_t *key,
                                                        struct tracker_str address);

/* A worker's start and stop.  Loads what is configured before the first request, then watches it. */
ngx_int_t ngx_http_affiliate_geo_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);
void      ngx_http_affiliate_geo_exit(ngx_cycle_t *cycle);

/* ---- geo_file.c: one database, in any thread ---- */

/* Which version of a file; all zeros: none. */
typedef struct {
    dev_t           dev;
    ino_t           ino;
    off_t           size;
    struct timespec modified;
} ngx_http_affiliate_file_id_t;

ngx_uint_t ngx_http_affiliate_file_id_eq(const ngx_http_affiliate_file_id_t *a,
                                         const ngx_http_affiliate_file_id_t *b);
void       ngx_http_affiliate_file_id_set(ngx_http_affiliate_file_id_t *id, const ngx_file_info_t *fi);

/* What a thread is asked to load; it owns this until the completion runs. */
typedef struct {
    const char                  *path;
    const char                  *dir;    /* of checked copies, the worker user's own */
    const char                  *kind;   /* "country", ...: begins the copies' names */
    const char                  *lock;   /* file */
    MMDB_s                      *db;     /* result: malloc'ed; NULL: see wrong */
    ngx_http_affiliate_file_id_t id;     /* result: what was looked at */
    const char                  *wrong;  /* result: a static sentence */
    ngx_err_t                    error;  /* result: errno, or 0 */
    ngx_uint_t                   again;  /* result: another worker has found and said the same before */
} ngx_http_affiliate_geo_load_t;

void ngx_http_affiliate_geo_load(void *load, ngx_log_t *log);
/* munmap of a large database takes milliseconds. */
void ngx_http_affiliate_geo_close(MMDB_s *db);
/* NULL, or why nginx cannot start with this file; errno in *error, or 0.  Reads only: a mapping of a file that
 * somebody cuts would kill the master. */
const char *ngx_http_affiliate_geo_probe(const char *path, ngx_err_t *error);

/* ---- click_rate.c: how often an address clicks ---- */

/* Counts a click; true when the address (IPv6: its /64) has had more than per_minute of them. */
ngx_uint_t ngx_http_affiliate_clicks_too_often(const ngx_http_affiliate_address_key_t *key, ngx_uint_t per_minute);

#endif
