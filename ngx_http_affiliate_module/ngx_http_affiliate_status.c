/*
 * ngx_http_affiliate_status.c - the edge's counters for the machine itself unless opened: JSON, or
 * what Prometheus reads (metrics.c).
 */
#include "ngx_http_affiliate_request.h"

#include <jansson.h>

static ngx_uint_t ngx_http_affiliate_from_loopback(ngx_connection_t *c);
static ngx_int_t  ngx_http_affiliate_status_text(ngx_http_request_t *r, ngx_http_affiliate_main_conf_t *amcf,
                                                 ngx_str_t *text);
static uint64_t   ngx_http_affiliate_age(uint64_t now_ms, uint64_t then_ms, uint64_t started_ms);
static json_t    *ngx_http_affiliate_status_json(ngx_http_affiliate_main_conf_t *amcf);
static json_t    *ngx_http_affiliate_status_verdicts(ngx_http_affiliate_zone_t *zone);
static json_t    *ngx_http_affiliate_status_refusals(ngx_http_affiliate_zone_t *zone);
static json_t    *ngx_http_affiliate_status_links(ngx_http_affiliate_zone_t *zone);
static json_t    *ngx_http_affiliate_status_worker(ngx_http_affiliate_slot_t *slot);

ngx_int_t
ngx_http_affiliate_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_str_t                       body, format;
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

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) != NGX_OK
        || (format.len == 4 && ngx_strncmp(format.data, "json", 4) == 0))
    {
        rc = ngx_http_affiliate_status_text(r, amcf, &body);
        return rc == NGX_OK ? ngx_http_affiliate_send_json(r, NGX_HTTP_OK, &body)
                            : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (format.len == 10 && ngx_strncmp(format.data, "prometheus", 10) == 0) {
        rc = ngx_http_affiliate_metrics(r, amcf, &body);
        return rc == NGX_OK
                   ? ngx_http_affiliate_send_text(r, NGX_HTTP_OK, &ngx_http_affiliate_metrics_type, &body)
                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return NGX_HTTP_BAD_REQUEST;
}

static ngx_int_t
ngx_http_affiliate_status_text(ngx_http_request_t *r, ngx_http_affiliate_main_conf_t *amcf, ngx_str_t *text)
{
    char   *dump;
    json_t *root = ngx_http_affiliate_status_json(amcf);

    dump = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(root);
    if (dump == NULL) {
        return NGX_ERROR;
    }

    text->len = ngx_strlen(dump);
    text->data = ngx_pnalloc(r->pool, text->len + 1);
    if (text->data != NULL) {
        ngx_memcpy(text->data, dump, text->len);
        text->data[text->len++] = '\n';
    }
    free(dump);
    return text->data != NULL ? NGX_OK : NGX_ERROR;
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

void
ngx_http_affiliate_state(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_state_t *state)
{
    ngx_uint_t                 i;
    ngx_time_t                *tp = ngx_timeofday();
    uint64_t                   now_ms = (uint64_t) tp->sec * 1000 + tp->msec, created_ms = 0, oldest_ms = 0;
    ngx_http_affiliate_slot_t *slot;

    ngx_memzero(state, sizeof(*state));
    for (i = 0; i < NGX_HTTP_AFFILIATE_SLOTS; i++) {
        slot = &zone->slots[i];
        if (slot->pid == 0) {
            continue;
        }
        if (state->workers++ == 0 || slot->snapshot_version < state->version) {
            state->version = slot->snapshot_version;
            created_ms = slot->snapshot_created_ms;
        }
        if (slot->oldest_pending_ms != 0 && (oldest_ms == 0 || slot->oldest_pending_ms < oldest_ms)) {
            oldest_ms = slot->oldest_pending_ms;
        }
    }
    state->generation = zone->snapshot_generation;
    state->snapshot_age_ms = created_ms != 0 ? ngx_http_affiliate_age(now_ms, created_ms, 0) : 0;
    state->checked_age_ms = ngx_http_affiliate_age(now_ms, zone->snapshot_checked_ms, zone->started_ms);
    state->ack_age_ms = ngx_http_affiliate_age(now_ms, zone->acked_ms, zone->started_ms);
    state->pending_age_ms = oldest_ms != 0 ? ngx_http_affiliate_age(now_ms, oldest_ms, 0) : 0;
    state->beat_age_ms = ngx_http_affiliate_age(now_ms, zone->consumer_beat_ms, zone->started_ms);
    state->uptime_ms = ngx_http_affiliate_age(now_ms, zone->started_ms, 0);
}

/* then_ms 0: since the start.  A clock that was set back makes nothing negative. */
static uint64_t
ngx_http_affiliate_age(uint64_t now_ms, uint64_t then_ms, uint64_t started_ms)
{
    then_ms = ngx_max(then_ms, started_ms);
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* NULL, or an object that may lack members, when out of memory. */
static json_t *
ngx_http_affiliate_status_json(ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_uint_t                 i;
    json_t                    *root, *counters, *gauges, *workers;
    ngx_http_affiliate_zone_t *zone = amcf->zone;
    ngx_http_affiliate_state_t state;

    ngx_http_affiliate_state(zone, &state);
    root = json_pack("{s:s%, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "edge", amcf->edge.data, amcf->edge.len,
                     "snapshot_generation", (json_int_t) state.generation,
                     "consumer_beat_ms", (json_int_t) zone->consumer_beat_ms,
                     "uptime_ms", (json_int_t) state.uptime_ms,
                     "snapshot_version", (json_int_t) state.version,
                     "snapshot_age_ms", (json_int_t) state.snapshot_age_ms,
                     "snapshot_checked_age_ms", (json_int_t) state.checked_age_ms,
                     "last_ack_age_ms", (json_int_t) state.ack_age_ms,
                     "oldest_pending_age_ms", (json_int_t) state.pending_age_ms,
                     "consumer_beat_age_ms", (json_int_t) state.beat_age_ms);

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
    json_object_set_new(root, "verdicts", ngx_http_affiliate_status_verdicts(zone));
    json_object_set_new(root, "refusals", ngx_http_affiliate_status_refusals(zone));
    json_object_set_new(root, "links", ngx_http_affiliate_status_links(zone));
    json_object_set_new(root, "workers", workers);
    return root;
}

static json_t *
ngx_http_affiliate_status_verdicts(ngx_http_affiliate_zone_t *zone)
{
    json_t *verdicts = json_object();

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_VERDICT_COUNT; i++) {
        json_object_set_new(verdicts, ngx_http_affiliate_verdict_names[i],
                            json_integer((json_int_t) ngx_http_affiliate_verdict_sum(zone, i)));
    }
    return verdicts;
}

/* Only those that happened: there are many that never do. */
static json_t *
ngx_http_affiliate_status_refusals(ngx_http_affiliate_zone_t *zone)
{
    json_t *refusals = json_object();

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_ERROR_COUNT; i++) {
        if (zone->errors[i] != 0) {
            json_object_set_new(refusals, ngx_http_affiliate_errors[i].code,
                                json_integer((json_int_t) zone->errors[i]));
        }
    }
    return refusals;
}

/* By id, as text; "other" for those that found no place. */
static json_t *
ngx_http_affiliate_status_links(ngx_http_affiliate_zone_t *zone)
{
    char                             id[NGX_INT64_LEN + 1];
    json_t                          *links = json_object();
    ngx_uint_t                       i;
    ngx_http_affiliate_link_count_t *count;

    for (i = 0; i <= zone->links_n; i++) {
        count = i < zone->links_n ? &zone->links[i] : &zone->other;
        if (count->link == 0 && count->clicks == 0) {
            continue;
        }
        if (count->link != 0) {
            ngx_sprintf((u_char *) id, "%uL%Z", (uint64_t) count->link);
        }
        json_object_set_new(links, count->link != 0 ? id : "other",
                            json_pack("{s:I, s:I}", "clicks", (json_int_t) count->clicks,
                                      "uncounted", (json_int_t) count->uncounted));
    }
    return links;
}

static json_t *
ngx_http_affiliate_status_worker(ngx_http_affiliate_slot_t *slot)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "pid", (json_int_t) slot->pid,
                     "snapshot_version", (json_int_t) slot->snapshot_version,
                     "clicks", (json_int_t) slot->counters[NGX_HTTP_AFFILIATE_CLICKS],
                     "redis_connected", (json_int_t) slot->gauges[NGX_HTTP_AFFILIATE_REDIS_CONNECTED]);
}
