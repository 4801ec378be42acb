/*
 * ngx_http_affiliate_status.c - the edge's counters as JSON, for the machine itself unless opened.
 */
#include "ngx_http_affiliate_request.h"

#include <jansson.h>

static ngx_uint_t ngx_http_affiliate_from_loopback(ngx_connection_t *c);
static json_t    *ngx_http_affiliate_status_json(ngx_http_affiliate_main_conf_t *amcf);
static json_t    *ngx_http_affiliate_status_worker(ngx_http_affiliate_slot_t *slot);

#define NGX_HTTP_AFFILIATE_TEXT(name, text) text,
static const char *const ngx_http_affiliate_counter_names[] = {
    NGX_HTTP_AFFILIATE_COUNTERS(NGX_HTTP_AFFILIATE_TEXT)
};
static const char *const ngx_http_affiliate_gauge_names[] = {
    NGX_HTTP_AFFILIATE_GAUGES(NGX_HTTP_AFFILIATE_TEXT)
};
#undef NGX_HTTP_AFFILIATE_TEXT

ngx_int_t
ngx_http_affiliate_status_handler(ngx_http_request_t *r)
{
    char                           *text;
    json_t                         *root;
    ngx_int_t                       rc;
    ngx_str_t                       body;
    ngx_http_affiliate_loc_conf_t  *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    if (!alcf->status_open && !ngx_http_affiliate_from_loopback(r->connection)) {
        return NGX_HTTP_FORBIDDEN;
    }

    root = ngx_http_affiliate_status_json(amcf);
    text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(root);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.len = ngx_strlen(text);
    body.data = ngx_pnalloc(r->pool, body.len + 1);
    if (body.data != NULL) {
        ngx_memcpy(body.data, text, body.len);
        body.data[body.len++] = '\n';
    }
    free(text);
    return body.data != NULL ? ngx_http_affiliate_send_json(r, NGX_HTTP_OK, &body)
                             : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* The peer's address after the realip module: a proxy on this
 * machine does not open the page to its clients. */
static ngx_uint_t
ngx_http_affiliate_from_loopback(ngx_connection_t *c)
{
    struct tracker_str ip;
#if (NGX_HAVE_INET6)
    static const u_char localhost[16] = { [15] = 1 };
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    if (c->sockaddr->sa_family == AF_UNIX) {
        return 1;
    }
#endif
    ip = ngx_http_affiliate_address(c);
#if (NGX_HAVE_INET6)
    if (ip.len == 16) {
        return ngx_memcmp(ip.data, localhost, 16) == 0;
    }
#endif
    return ip.len == 4 && ip.data[0] == 127;
}

/* NULL, or an object that may lack members, when out of memory. */
static json_t *
ngx_http_affiliate_status_json(ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_uint_t                 i;
    json_t                    *root, *counters, *gauges, *workers;
    ngx_http_affiliate_zone_t *zone = amcf->zone;

    root = json_pack("{s:s%, s:I, s:I}", "edge", amcf->edge.data, amcf->edge.len,
                     "snapshot_generation", (json_int_t) zone->snapshot_generation,
                     "consumer_beat_ms", (json_int_t) zone->consumer_beat_ms);

    counters = json_object();
    for (i = 0; i < NGX_HTTP_AFFILIATE_COUNTER_COUNT; i++) {
        json_object_set_new(counters, ngx_http_affiliate_counter_names[i],
                            json_integer((json_int_t) ngx_http_affiliate_counter_sum(zone, i)));
    }

    gauges = json_object();
    for (i = 0; i < NGX_HTTP_AFFILIATE_GAUGE_COUNT; i++) {
        json_object_set_new(gauges, ngx_http_affiliate_gauge_names[i],
                            json_integer((json_int_t) ngx_http_affiliate_gauge_sum(zone, i)));
    }

    workers = json_array();
    for (i = 0; i < NGX_HTTP_AFFILIATE_SLOTS; i++) {
        if (zone->slots[i].pid != 0) {
            json_array_append_new(workers, ngx_http_affiliate_status_worker(&zone->slots[i]));
        }
    }

    json_object_set_new(root, "counters", counters);
    json_object_set_new(root, "gauges", gauges);
    json_object_set_new(root, "workers", workers);
    return root;
}

static json_t *
ngx_http_affiliate_status_worker(ngx_http_affiliate_slot_t *slot)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "pid", (json_int_t) slot->pid,
                     "snapshot_version", (json_int_t) slot->snapshot_version,
                     "clicks", (json_int_t) slot->counters[NGX_HTTP_AFFILIATE_CLICKS],
                     "redis_connected", (json_int_t) slot->gauges[NGX_HTTP_AFFILIATE_REDIS_CONNECTED]);
}
