/*
 * ngx_http_affiliate_sync.c - when events are on disk, and who waits for it.
 *
 * Traffic is synced some time after the answer, by a timer; money before it.  One
 * fdatasync in the thread pool covers all that was committed when it began (group commit): what
 * comes meanwhile waits for the next.  A failed one may have lost pages for good, so its journal is
 * given up and everybody who waits for it is told no.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_WAIT_MAX 10000 /* ms that an answer waits for its sync */

typedef struct {
    ngx_queue_t                  queue; /* in writer.waiters */
    ngx_http_request_t          *request;
    ngx_http_cleanup_t          *cleanup;
    uint64_t                     sequence;
    ngx_msec_t                   since;
    ngx_http_affiliate_synced_pt handler;
    void                        *data;
} ngx_http_affiliate_waiter_t;

static void ngx_http_affiliate_unlink_waiter(void *data);
static void ngx_http_affiliate_sync_run(void *data, ngx_log_t *log);
static void ngx_http_affiliate_sync_done(ngx_event_t *ev);
static void ngx_http_affiliate_sync_wake(ngx_http_affiliate_writer_t *w, ngx_int_t rc);

static ngx_uint_t  ngx_http_affiliate_waiting; /* requests */
static ngx_event_t ngx_http_affiliate_waiting_timer;

ngx_int_t
ngx_http_affiliate_await_sync(ngx_http_request_t *r, enum tracker_journal_kind kind, uint64_t sequence,
                              ngx_http_affiliate_synced_pt handler, void *data)
{
    ngx_http_affiliate_held_t   *held = ngx_http_affiliate_wire.own[kind];
    ngx_http_affiliate_waiter_t *waiter;

    if (held == NULL) {
        return NGX_ERROR;
    }
    waiter = ngx_palloc(r->pool, sizeof(*waiter));
    if (waiter == NULL) {
        return NGX_ERROR;
    }
    waiter->cleanup = ngx_http_cleanup_add(r, 0);
    if (waiter->cleanup == NULL) {
        return NGX_ERROR;
    }
    waiter->cleanup->handler = ngx_http_affiliate_unlink_waiter;
    waiter->cleanup->data = waiter;
    waiter->request = r;
    waiter->sequence = sequence;
    waiter->since = ngx_current_msec;
    waiter->handler = handler;
    waiter->data = data;
    ngx_queue_insert_tail(&held->writer->waiters, &waiter->queue);
    ngx_http_affiliate_gauge(SYNCS_WAITING, ++ngx_http_affiliate_waiting);

    if (!ngx_http_affiliate_waiting_timer.timer_set) {
        ngx_add_timer(&ngx_http_affiliate_waiting_timer, 1000);
    }
    /* Posted: one sync covers all that this turn of the event loop brings. */
    ngx_post_event(&held->writer->sync_timer, &ngx_posted_events);
    return NGX_OK;
}

/* The wait is over, or the request is. */
static void
ngx_http_affiliate_unlink_waiter(void *data)
{
    ngx_http_affiliate_waiter_t *waiter = data;

    ngx_queue_remove(&waiter->queue);
    waiter->cleanup->handler = NULL;
    ngx_http_affiliate_gauge(SYNCS_WAITING, --ngx_http_affiliate_waiting);
    if (ngx_http_affiliate_waiting == 0 && ngx_http_affiliate_waiting_timer.timer_set) {
        ngx_del_timer(&ngx_http_affiliate_waiting_timer);
    }
}

void
ngx_http_affiliate_sync_soon(ngx_http_affiliate_writer_t *w)
{
    ngx_msec_t sync = ngx_http_affiliate_wire.conf->journal.sync;

    if (!w->sync_job.busy && !w->sync_timer.timer_set
        && tracker_journal_synced(w->held->journal) < tracker_journal_next(w->held->journal))
    {
        /* The shipper calls this; the oldest unsynced record has waited at most a linger for it. */
        ngx_add_timer(&w->sync_timer, sync > TRACKER_LINGER_MS ? sync - TRACKER_LINGER_MS : 1);
    }
}

static void
ngx_http_affiliate_sync_handler(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    ngx_http_affiliate_sync_now(ev->data);
}

void
ngx_http_affiliate_sync_now(ngx_http_affiliate_writer_t *w)
{
    if (w->sync_job.busy) {
        return; /* its completion looks again */
    }
    if (tracker_journal_failed(w->held->journal)) {
        ngx_http_affiliate_sync_wake(w, NGX_ERROR);
        return;
    }
    if (!tracker_journal_sync_begin(w->held->journal, &w->sync)) {
        ngx_http_affiliate_sync_wake(w, NGX_OK);
        return;
    }
    (void) ngx_http_affiliate_job_post(&w->sync_job, ngx_http_affiliate_sync_run,
                                       ngx_http_affiliate_sync_done, w);
}

/* Thread. */
static void
ngx_http_affiliate_sync_run(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_writer_t *w = data;

    tracker_sync_run(&w->sync);
}

static void
ngx_http_affiliate_sync_done(ngx_event_t *ev)
{
    ngx_http_affiliate_writer_t *w = ev->data;

    w->sync_job.busy = 0;
    tracker_journal_sync_end(w->held->journal, &w->sync);

    if (w->sync.error != 0) {
        ngx_http_affiliate_count(SYNC_ERRORS);
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, -w->sync.error,
                      "affiliate: journal %*s could not be synced: it is given up for a new one; "
                      "look at the disk (dmesg, smartctl)",
                      (size_t) TRACKER_JOURNAL_HEX_LEN, w->held->hex);
        if (!w->leaving) {
            ngx_http_affiliate_journal_rotate(w->held);
        }
        ngx_http_affiliate_sync_wake(w, NGX_ERROR);
        return;
    }

    ngx_http_affiliate_sync_wake(w, NGX_OK);
    if (!ngx_queue_empty(&w->waiters)) {
        ngx_http_affiliate_sync_now(w);
    } else if (!w->leaving) {
        ngx_http_affiliate_sync_soon(w);
    }
}

/* Calls those whose record is on disk; with NGX_ERROR all of them. */
static void
ngx_http_affiliate_sync_wake(ngx_http_affiliate_writer_t *w, ngx_int_t rc)
{
    ngx_queue_t                 *q;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_affiliate_waiter_t *waiter;

    /* What a handler does never frees w: journals are released by the clock alone. */
    while (!ngx_queue_empty(&w->waiters)) {
        q = ngx_queue_head(&w->waiters);
        waiter = ngx_queue_data(q, ngx_http_affiliate_waiter_t, queue);
        if (rc == NGX_OK && waiter->sequence >= tracker_journal_synced(w->held->journal)) {
            return;
        }
        ngx_http_affiliate_unlink_waiter(waiter);

        r = waiter->request;
        c = r->connection;
        ngx_http_set_log_request(c->log, r);
        waiter->handler(r, waiter->data, rc);
        ngx_http_run_posted_requests(c);
    }
}

/*
 * While answers wait this timer keeps a gracefully exiting worker alive, so it is
 * not cancelable; it also ends a wait that a stuck disk has made too long.  The record may
 * reach the database all the same: a repeated conversion is recognised by its txid.
 */
static void
ngx_http_affiliate_waiting_handler(ngx_event_t *ev)
{
    ngx_queue_t                 *q, *next;
    ngx_http_affiliate_held_t   *held;
    ngx_http_affiliate_waiter_t *waiter;

    ngx_http_affiliate_each_held(held, q, next) {
        if (held->writer == NULL || ngx_queue_empty(&held->writer->waiters)) {
            continue;
        }
        waiter = ngx_queue_data(ngx_queue_head(&held->writer->waiters), ngx_http_affiliate_waiter_t, queue);
        if (ngx_current_msec - waiter->since > NGX_HTTP_AFFILIATE_WAIT_MAX) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "affiliate: syncing a journal takes over %d s, conversions are answered 503: "
                          "the disk is stuck or overloaded",
                          NGX_HTTP_AFFILIATE_WAIT_MAX / 1000);
            ngx_http_affiliate_sync_wake(held->writer, NGX_ERROR);
        }
    }
    if (ngx_http_affiliate_waiting > 0 && !ev->timer_set) {
        ngx_add_timer(ev, 1000);
    }
}

ngx_uint_t
ngx_http_affiliate_sync_over(ngx_http_affiliate_writer_t *w)
{
    struct tracker_journal *journal = w->held->journal;

    return !w->sync_job.busy && ngx_queue_empty(&w->waiters)
           && (tracker_journal_failed(journal)
               || tracker_journal_synced(journal) >= tracker_journal_next(journal));
}

void
ngx_http_affiliate_sync_init(ngx_http_affiliate_writer_t *w)
{
    ngx_queue_init(&w->waiters);
    ngx_http_affiliate_event_init(&w->sync_timer, ngx_http_affiliate_sync_handler, w, 1);
}

void
ngx_http_affiliate_sync_start(void)
{
    ngx_http_affiliate_waiting = 0;
    ngx_http_affiliate_event_init(&ngx_http_affiliate_waiting_timer, ngx_http_affiliate_waiting_handler,
                                  &ngx_http_affiliate_wire, 0);
}
