/*
 * ngx_http_affiliate_metrics.c - the edge's state as Prometheus reads it: text format 0.0.4.
 *
 * Families come one after the other, HELP and TYPE before their samples.  Sums are over all workers.  Label
 * values are our own names and numbers, but for the edge's name, which is printable ASCII and escaped.
 */
#include "ngx_http_affiliate_request.h"

/* The end of what was written; the buffer was made large enough for everything, see _bound. */
typedef struct {
    u_char *last;
    u_char *end;
} ngx_http_affiliate_text_t;

static size_t ngx_http_affiliate_metrics_bound(ngx_http_affiliate_zone_t *zone);
static void   ngx_http_affiliate_family(ngx_http_affiliate_text_t *t, const char *name, const char *type,
                                        const char *help);
static void   ngx_http_affiliate_metrics_counters(ngx_http_affiliate_text_t *t, ngx_http_affiliate_zone_t *zone);
static void   ngx_http_affiliate_metrics_gauges(ngx_http_affiliate_text_t *t,
                                                ngx_http_affiliate_main_conf_t *amcf);
static void   ngx_http_affiliate_metrics_info(ngx_http_affiliate_text_t *t, ngx_str_t *edge);
static void   ngx_http_affiliate_metrics_state(ngx_http_affiliate_text_t *t,
                                               const ngx_http_affiliate_state_t *state);
static void   ngx_http_affiliate_metrics_links(ngx_http_affiliate_text_t *t, ngx_http_affiliate_zone_t *zone);

#define NGX_HTTP_AFFILIATE_HELP(name, text, help) help,
static const char *const ngx_http_affiliate_counter_help[] = {
    NGX_HTTP_AFFILIATE_COUNTERS(NGX_HTTP_AFFILIATE_HELP)
};
static const char *const ngx_http_affiliate_gauge_help[] = {
    NGX_HTTP_AFFILIATE_GAUGES(NGX_HTTP_AFFILIATE_HELP)
};
#undef NGX_HTTP_AFFILIATE_HELP

ngx_str_t ngx_http_affiliate_metrics_type = ngx_string("text/plain; version=0.0.4; charset=utf-8");

#define ngx_http_affiliate_print(t, ...) ((t)->last = ngx_slprintf((t)->last, (t)->end, __VA_ARGS__))

ngx_int_t
ngx_http_affiliate_metrics(ngx_http_request_t *r, ngx_http_affiliate_main_conf_t *amcf, ngx_str_t *text)
{
    size_t                     size = ngx_http_affiliate_metrics_bound(amcf->zone);
    ngx_http_affiliate_text_t  t;
    ngx_http_affiliate_state_t state;

    text->data = ngx_pnalloc(r->pool, size);
    if (text->data == NULL) {
        return NGX_ERROR;
    }
    t.last = text->data;
    t.end = text->data + size;

    ngx_http_affiliate_state(amcf->zone, &state);
    ngx_http_affiliate_metrics_info(&t, &amcf->edge);
    ngx_http_affiliate_metrics_counters(&t, amcf->zone);
    ngx_http_affiliate_metrics_gauges(&t, amcf);
    ngx_http_affiliate_metrics_state(&t, &state);
    ngx_http_affiliate_metrics_links(&t, amcf->zone);

    text->len = t.last - text->data;
    return NGX_OK;
}

/* 256 bytes a family or sample of ours, 160 for both samples of a link. */
static size_t
ngx_http_affiliate_metrics_bound(ngx_http_affiliate_zone_t *zone)
{
    return 256 * (2 * (NGX_HTTP_AFFILIATE_COUNTER_COUNT + NGX_HTTP_AFFILIATE_GAUGE_COUNT)
                  + NGX_HTTP_AFFILIATE_VERDICT_COUNT + NGX_HTTP_AFFILIATE_ERROR_COUNT + 40)
           + 160 * zone->links_n;
}

static void
ngx_http_affiliate_family(ngx_http_affiliate_text_t *t, const char *name, const char *type, const char *help)
{
    ngx_http_affiliate_print(t, "# HELP affiliate_%s %s\n# TYPE affiliate_%s %s\n", name, help, name, type);
}

/* A family of one sample without labels. */
static void
ngx_http_affiliate_gauge_sample(ngx_http_affiliate_text_t *t, const char *name, const char *help, uint64_t value)
{
    ngx_http_affiliate_family(t, name, "gauge", help);
    ngx_http_affiliate_print(t, "affiliate_%s %uL\n", name, value);
}

static void
ngx_http_affiliate_metrics_info(ngx_http_affiliate_text_t *t, ngx_str_t *edge)
{
    ngx_http_affiliate_family(t, "edge_info", "gauge", "Always 1; names the edge and its nginx.");
    ngx_http_affiliate_print(t, "affiliate_edge_info{edge=\"");
    for (size_t i = 0; i < edge->len; i++) {
        ngx_uint_t escape = edge->data[i] == '"' || edge->data[i] == '\\';

        ngx_http_affiliate_print(t, escape ? "\\%c" : "%c", edge->data[i]);
    }
    ngx_http_affiliate_print(t, "\",nginx=\"" NGINX_VERSION "\"} 1\n");
}

static void
ngx_http_affiliate_metrics_counters(ngx_http_affiliate_text_t *t, ngx_http_affiliate_zone_t *zone)
{
    char       name[64];
    ngx_uint_t i;

    for (i = 0; i < NGX_HTTP_AFFILIATE_COUNTER_COUNT; i++) {
        ngx_snprintf((u_char *) name, sizeof(name), "%s_total%Z", ngx_http_affiliate_counter_names[i]);
        ngx_http_affiliate_family(t, name, "counter", ngx_http_affiliate_counter_help[i]);
        ngx_http_affiliate_print(t, "affiliate_%s %uL\n", name, ngx_http_affiliate_counter_sum(zone, i));
    }

    ngx_http_affiliate_family(t, "click_verdicts_total", "counter",
                              "Recorded clicks by what was found out about them; a click may have several.");
    for (i = 0; i < NGX_HTTP_AFFILIATE_VERDICT_COUNT; i++) {
        ngx_http_affiliate_print(t, "affiliate_click_verdicts_total{verdict=\"%s\"} %uL\n",
                                 ngx_http_affiliate_verdict_names[i], ngx_http_affiliate_verdict_sum(zone, i));
    }

    ngx_http_affiliate_family(t, "refusals_total", "counter",
                              "Requests answered with an error, by its code (docs/errors.md).");
    for (i = 0; i < NGX_HTTP_AFFILIATE_ERROR_COUNT; i++) {
        ngx_http_affiliate_print(t, "affiliate_refusals_total{code=\"%s\"} %uL\n",
                                 ngx_http_affiliate_errors[i].code, (uint64_t) zone->errors[i]);
    }
}

static void
ngx_http_affiliate_metrics_gauges(ngx_http_affiliate_text_t *t, ngx_http_affiliate_main_conf_t *amcf)
{
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GAUGE_COUNT; i++) {
        ngx_http_affiliate_gauge_sample(t, ngx_http_affiliate_gauge_names[i], ngx_http_affiliate_gauge_help[i],
                                        ngx_http_affiliate_gauge_sum(amcf->zone, i));
    }
    ngx_http_affiliate_gauge_sample(t, "traffic_quota_bytes", "What affiliate_journal traffic= allows.",
                                    (uint64_t) amcf->journal.traffic_quota);
    ngx_http_affiliate_gauge_sample(t, "money_quota_bytes", "What affiliate_journal money= allows.",
                                    (uint64_t) amcf->journal.money_quota);
}

/* Ages in seconds with three decimals, as Prometheus wants base units. */
static void
ngx_http_affiliate_age_sample(ngx_http_affiliate_text_t *t, const char *name, const char *help, uint64_t ms)
{
    ngx_http_affiliate_family(t, name, "gauge", help);
    ngx_http_affiliate_print(t, "affiliate_%s %uL.%03uL\n", name, ms / 1000, ms % 1000);
}

static void
ngx_http_affiliate_metrics_state(ngx_http_affiliate_text_t *t, const ngx_http_affiliate_state_t *state)
{
    ngx_http_affiliate_gauge_sample(t, "workers", "Workers that answer requests.", state->workers);
    ngx_http_affiliate_gauge_sample(t, "snapshot_version",
                                    "Configuration version in use; of workers that differ, the oldest; 0: none.",
                                    state->version);
    ngx_http_affiliate_gauge_sample(t, "snapshot_generation", "Times that fetched snapshot files were replaced.",
                                    state->generation);
    ngx_http_affiliate_age_sample(t, "snapshot_age_seconds", "Since the snapshot in use was made; 0: none.",
                                  state->snapshot_age_ms);
    ngx_http_affiliate_age_sample(t, "snapshot_checked_age_seconds",
                                  "Since the publisher's snapshot was last looked for (or since nginx started).",
                                  state->checked_age_ms);
    ngx_http_affiliate_age_sample(t, "last_ack_age_seconds",
                                  "Since the database last committed records of this edge "
                                  "(or since nginx started).",
                                  state->ack_age_ms);
    ngx_http_affiliate_age_sample(t, "oldest_pending_age_seconds",
                                  "Age of the oldest record that the database has not committed; 0: none waits.",
                                  state->pending_age_ms);
    ngx_http_affiliate_age_sample(t, "consumer_beat_age_seconds",
                                  "Since the backend's last heartbeat was heard (or since nginx started).",
                                  state->beat_age_ms);
    ngx_http_affiliate_age_sample(t, "uptime_seconds", "Since the shared zone was made: the counters' start.",
                                  state->uptime_ms);
}

static void
ngx_http_affiliate_metrics_links(ngx_http_affiliate_text_t *t, ngx_http_affiliate_zone_t *zone)
{
    ngx_uint_t                       i;
    ngx_http_affiliate_link_count_t *link;

    ngx_http_affiliate_family(t, "link_clicks_total", "counter",
                              "Recorded clicks by link id; \"other\": links beyond affiliate_zone links=.");
    for (i = 0; i < zone->links_n; i++) {
        link = &zone->links[i];
        if (link->link != 0) {
            ngx_http_affiliate_print(t, "affiliate_link_clicks_total{link=\"%uL\"} %uL\n",
                                     (uint64_t) link->link, (uint64_t) link->clicks);
        }
    }
    ngx_http_affiliate_print(t, "affiliate_link_clicks_total{link=\"other\"} %uL\n",
                             (uint64_t) zone->other.clicks);

    ngx_http_affiliate_family(t, "link_uncounted_clicks_total", "counter",
                              "Of them, those that are nobody's visit: bots, previews, prefetches, ...");
    for (i = 0; i < zone->links_n; i++) {
        link = &zone->links[i];
        if (link->link != 0 && link->uncounted != 0) {
            ngx_http_affiliate_print(t, "affiliate_link_uncounted_clicks_total{link=\"%uL\"} %uL\n",
                                     (uint64_t) link->link, (uint64_t) link->uncounted);
        }
    }
    ngx_http_affiliate_print(t, "affiliate_link_uncounted_clicks_total{link=\"other\"} %uL\n",
                             (uint64_t) zone->other.uncounted);
}
