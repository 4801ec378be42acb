/*
 * ngx_http_affiliate_lag.c - how far the database is behind this worker: gauges
 * for the status page, and a line in the log when records wait for long.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_LAG_MS    60000  /* a record that waits longer is worth a line ... */
#define NGX_HTTP_AFFILIATE_LAG_AGAIN 600000 /* ms, ... and another one so much later */
#define NGX_HTTP_AFFILIATE_LAG_DEAD  10000  /* ms without a heartbeat of the consumer */

static void ngx_http_affiliate_lag_gauges(void);
static uint64_t ngx_http_affiliate_lag_oldest(void);
static void ngx_http_affiliate_lag_say(uint64_t age_ms);
static const char *ngx_http_affiliate_lag_cause(void);

void
ngx_http_affiliate_lag_tick(ngx_uint_t second)
{
    uint64_t oldest_ms, now_ms = ngx_http_affiliate_wall_ms();

    ngx_http_affiliate_lag_gauges();
    if (second) {
        oldest_ms = ngx_http_affiliate_lag_oldest();
        ngx_http_affiliate_slot->oldest_pending_ms = (ngx_atomic_uint_t) oldest_ms;
        ngx_http_affiliate_lag_say(oldest_ms != 0 && now_ms > oldest_ms ? now_ms - oldest_ms : 0);
    }
}

static void
ngx_http_affiliate_lag_gauges(void)
{
    uint64_t                   pending = 0, end;
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        end = held->writer != NULL ? tracker_journal_next(held->journal) : held->sender.end;
        end = end == UINT64_MAX ? held->sender.next : end; /* an orphan that is not yet read to its end */
        pending += end > held->sender.acked ? end - held->sender.acked : 0;
    }
    ngx_http_affiliate_gauge(RECORDS_PENDING, pending);
    ngx_http_affiliate_gauge(ORPHANS, ngx_http_affiliate_wire.orphans);
}

/*
 * When the oldest record was made that is not committed; 0: there is none.  Finding
 * it scans a segment at most, and only where an ack has moved since the last time.
 */
static uint64_t
ngx_http_affiliate_lag_oldest(void)
{
    uint64_t                   oldest_ms = 0;
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        if (tracker_sender_idle(&held->sender)) {
            held->oldest_ms = 0;
        } else if (held->oldest_at != held->sender.acked || held->oldest_ms == 0) {
            held->oldest_at = held->sender.acked;
            held->oldest_ms = tracker_journal_time(held->journal, held->sender.acked);
        }
        if (held->oldest_ms != 0 && (oldest_ms == 0 || held->oldest_ms < oldest_ms)) {
            oldest_ms = held->oldest_ms;
        }
    }
    return oldest_ms;
}

/* Once when it begins, now and then while it lasts, once when it is over. */
static void
ngx_http_affiliate_lag_say(uint64_t age_ms)
{
    static ngx_msec_t again_at;
    static ngx_uint_t said;

    if (ngx_http_affiliate_wire.conf->redis.text.len == 0) {
        return; /* nothing is to be shipped */
    }
    if (age_ms <= NGX_HTTP_AFFILIATE_LAG_MS) {
        if (said && age_ms < NGX_HTTP_AFFILIATE_LAG_MS / 2) {
            said = 0;
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "affiliate: the database has caught up");
        }
        return;
    }
    if (said && ngx_http_affiliate_ahead(again_at)) {
        return;
    }
    said = 1;
    again_at = ngx_current_msec + NGX_HTTP_AFFILIATE_LAG_AGAIN;
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "affiliate: the database is %uL s behind, %uA records of this worker wait: %s",
                  age_ms / 1000, ngx_http_affiliate_slot->gauges[NGX_HTTP_AFFILIATE_RECORDS_PENDING],
                  ngx_http_affiliate_lag_cause());
}

static const char *
ngx_http_affiliate_lag_cause(void)
{
    uint64_t beat_ms = ngx_http_affiliate_zone->consumer_beat_ms;

    if (!ngx_http_affiliate_redis_connected()) {
        return "Redis is not connected, look at it first";
    }
    if (beat_ms + NGX_HTTP_AFFILIATE_LAG_DEAD < ngx_http_affiliate_wall_ms()) {
        return "\"affiliated\" is not heard of: does it run, on the same Redis and with the same keys?";
    }
    return "\"affiliated\" runs and does not keep up: look at its log and at \"affiliated stats\"";
}
