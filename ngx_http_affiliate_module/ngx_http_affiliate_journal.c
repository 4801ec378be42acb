/*
 * ngx_http_affiliate_journal.c - this worker's two journals: space for events,
 * spares made ahead, the quota, and syncing.
 *
 * The request side's calls come first.  They cost a few dozen instructions as
 * long as the current segment has room; everything else (a spare, the quota, a
 * new journal) is on the slow path or in the thread pool.
 */
#include <pthread.h>

#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_REFUSED   100  /* ms without another try after quota or disk said no */
#define NGX_HTTP_AFFILIATE_SPARE_MAX 2000 /* ms that a full segment waits for the thread that makes the next */
#define NGX_HTTP_AFFILIATE_SLICE     (64u << 20) /* bytes freed from one journal at a time: 16 unlinks */
#define NGX_HTTP_AFFILIATE_WAIT_MAX  10000 /* ms that an answer waits for its sync */

typedef struct {
    ngx_queue_t                  queue;
    ngx_http_request_t          *request;
    ngx_http_cleanup_t          *cleanup;
    uint64_t                     sequence;
    ngx_msec_t                   since;
    ngx_http_affiliate_synced_pt handler;
    void                        *data;
} ngx_http_affiliate_waiter_t;

/* What only the owner of a journal needs. */
struct ngx_http_affiliate_writer_s {
    ngx_http_affiliate_held_t      *held;
    unsigned                        leaving:1; /* replaced; closed when nothing is busy */
    unsigned                        begun:1;   /* has records: a second segment was thought of */

    /* The next segment.  Thread and loop meet under lock. */
    ngx_http_affiliate_job_t        spare_job;
    struct tracker_journal_identity identity;
    struct tracker_spare            spare;
    uint32_t                        number;
    size_t                          size;
    int                             dir;
    int                             made; /* 0 or negative errno; 1: not yet */
    bool                            taken; /* the loop did not wait for the completion */
    pthread_mutex_t                 lock;
    pthread_cond_t                  finished;

    ngx_http_affiliate_job_t        sync_job;
    struct tracker_sync             sync;
    ngx_event_t                     sync_timer; /* or posted */
    ngx_queue_t                     waiters;    /* by sequence */
};

static uint8_t *ngx_http_affiliate_reserve_slow(enum tracker_journal_kind kind, size_t max_len);
static void ngx_http_affiliate_unlink_waiter(void *data);
static ngx_int_t ngx_http_affiliate_room(enum tracker_journal_kind kind, size_t size);
static ngx_int_t ngx_http_affiliate_spare_take(ngx_http_affiliate_writer_t *w);
static void ngx_http_affiliate_spare_order(ngx_http_affiliate_writer_t *w, uint32_t number);
static void ngx_http_affiliate_sync_handler(ngx_event_t *ev);
static void ngx_http_affiliate_sync_now(ngx_http_affiliate_writer_t *w);

ngx_http_affiliate_wire_t ngx_http_affiliate_wire;

static ngx_msec_t  ngx_http_affiliate_refused_until[NGX_HTTP_AFFILIATE_KINDS];
static ngx_msec_t  ngx_http_affiliate_created_at[NGX_HTTP_AFFILIATE_KINDS];
static ngx_uint_t  ngx_http_affiliate_complained[NGX_HTTP_AFFILIATE_KINDS]; /* the same trouble is said once */
static ngx_uint_t  ngx_http_affiliate_waiting; /* requests that wait for a sync */
static ngx_event_t ngx_http_affiliate_waiting_timer;

static const char *ngx_http_affiliate_kind_name[NGX_HTTP_AFFILIATE_KINDS] = { "", "traffic", "money" };

/* True when a monotonic moment lies ahead; right across the wrap of ngx_msec_t. */
#define ngx_http_affiliate_ahead(moment) ((ngx_msec_int_t) ((moment) - ngx_current_msec) > 0)

uint8_t *
ngx_http_affiliate_reserve(enum tracker_journal_kind kind, size_t max_len, uint64_t *sequence,
                           uint64_t *journal)
{
    uint8_t                   *at;
    ngx_http_affiliate_held_t *held = ngx_http_affiliate_wire.own[kind];

    at = held != NULL ? tracker_journal_reserve(held->journal, max_len) : NULL;
    if (at == NULL) {
        at = ngx_http_affiliate_reserve_slow(kind, max_len);
        if (at == NULL) {
            return NULL;
        }
        held = ngx_http_affiliate_wire.own[kind];
    }

    *sequence = tracker_journal_next(held->journal);
    *journal = held->short_id;
    return at;
}

void
ngx_http_affiliate_commit(enum tracker_journal_kind kind, uint8_t type, uint64_t time_ms, size_t len)
{
    ngx_event_t               *pump = &ngx_http_affiliate_wire.pump;
    ngx_http_affiliate_held_t *held = ngx_http_affiliate_wire.own[kind];

    tracker_journal_commit(held->journal, type, time_ms, len);
    held->fresh++;

    if (held->fresh == TRACKER_PACK_RECORDS || kind == TRACKER_JOURNAL_MONEY) {
        ngx_post_event(pump, &ngx_posted_events);

    } else if (held->fresh == 1) {
        /* The linger counts from the first record of a pack. */
        tracker_sender_extend(&held->sender, tracker_journal_next(held->journal), ngx_current_msec);
        if (!pump->timer_set) {
            ngx_add_timer(pump, TRACKER_LINGER_MS);
        }
    }
}

uint64_t
ngx_http_affiliate_drop(enum tracker_journal_kind kind, uint64_t *journal)
{
    ngx_http_affiliate_held_t *held = ngx_http_affiliate_wire.own[kind];

    if (kind == TRACKER_JOURNAL_MONEY) {
        ngx_http_affiliate_count(DROPPED_MONEY);
    } else {
        ngx_http_affiliate_count(DROPPED_TRAFFIC);
    }

    if (held == NULL) {
        *journal = 0;
        return ngx_atomic_fetch_add(&ngx_http_affiliate_wire.conf->zone->unrecorded, 1) + 1;
    }
    *journal = held->short_id;
    return tracker_journal_drop(held->journal);
}

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

/* ---- space: segments, quota, new journals ---- */

static uint8_t *
ngx_http_affiliate_reserve_slow(enum tracker_journal_kind kind, size_t max_len)
{
    uint8_t                   *at = NULL;
    ngx_http_affiliate_held_t *held = ngx_http_affiliate_wire.own[kind];

    if (ngx_http_affiliate_ahead(ngx_http_affiliate_refused_until[kind])) {
        return NULL;
    }
    if (held != NULL
        && (tracker_journal_failed(held->journal)
            || tracker_journal_next(held->journal) >= TRACKER_SEQUENCE_MAX))
    {
        ngx_http_affiliate_journal_rotate(held);
        held = ngx_http_affiliate_wire.own[kind];
        at = held != NULL ? tracker_journal_reserve(held->journal, max_len) : NULL;

    } else if (held != NULL && ngx_http_affiliate_spare_take(held->writer) == NGX_OK) {
        at = tracker_journal_reserve(held->journal, max_len);
    }

    if (at == NULL) {
        ngx_http_affiliate_refused_until[kind] = ngx_current_msec + NGX_HTTP_AFFILIATE_REFUSED;
    }
    return at;
}

static off_t
ngx_http_affiliate_quota(enum tracker_journal_kind kind)
{
    ngx_http_affiliate_journal_conf_t *conf = &ngx_http_affiliate_wire.conf->journal;

    return kind == TRACKER_JOURNAL_MONEY ? conf->money_quota : conf->traffic_quota;
}

/* A small quota is cut into at least 16 pieces, so that retention can free it in steps. */
static size_t
ngx_http_affiliate_segment_size(enum tracker_journal_kind kind)
{
    off_t size = ngx_http_affiliate_quota(kind) / 16;

    size = ngx_max(size, (off_t) TRACKER_SEGMENT_FIRST_BYTES);
    size = ngx_min(size, (off_t) TRACKER_SEGMENT_BYTES);
    return (size_t) size & ~(size_t) 4095;
}

/*
 * Takes `size` bytes from the quota that all workers share.  What is acked goes
 * first: drained journals, then segments that this worker holds; the other
 * workers see journal_wanted and free theirs within a tick.
 */
static ngx_int_t
ngx_http_affiliate_room(enum tracker_journal_kind kind, size_t size)
{
    off_t                      quota = ngx_http_affiliate_quota(kind), bytes;
    uint64_t                   need, freed, given;
    ngx_queue_t               *q;
    ngx_http_affiliate_zone_t *zone = ngx_http_affiliate_wire.conf->zone;
    ngx_http_affiliate_held_t *held;

    bytes = (off_t) ngx_atomic_fetch_add(&zone->journal_bytes[kind - 1], size) + size;
    if (bytes > quota - quota / 8) {
        zone->journal_wanted[kind - 1] = (ngx_atomic_uint_t) ngx_time();
    }
    if (bytes <= quota) {
        return NGX_OK;
    }

    need = (uint64_t) (bytes - quota);
    freed = ngx_http_affiliate_adopt_free(kind, need);
    for (q = ngx_queue_head(&ngx_http_affiliate_wire.held);
         freed < need && q != ngx_queue_sentinel(&ngx_http_affiliate_wire.held);
         q = ngx_queue_next(q))
    {
        held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue);
        if (held->identity->kind == kind) {
            given = tracker_journal_free(held->journal, held->sender.acked, 0, need - freed + TRACKER_SEGMENT_BYTES);
            ngx_http_affiliate_journal_gave_back(kind, given);
            freed += given;
        }
    }
    if (freed >= need || (off_t) zone->journal_bytes[kind - 1] <= quota) {
        return NGX_OK;
    }
    ngx_http_affiliate_journal_gave_back(kind, size);
    return NGX_DECLINED;
}

void
ngx_http_affiliate_journal_gave_back(enum tracker_journal_kind kind, uint64_t bytes)
{
    ngx_atomic_t     *count = &ngx_http_affiliate_wire.conf->zone->journal_bytes[kind - 1];
    ngx_atomic_uint_t old;

    /* A recount between a deletion and this may already have seen it: never below nothing. */
    do {
        old = *count;
    } while (!ngx_atomic_cmp_set(count, old, old > bytes ? old - bytes : 0));
}

/* Says a trouble once until `clear`. */
static void
ngx_http_affiliate_complain(enum tracker_journal_kind kind, ngx_err_t err, const char *what)
{
    if (!ngx_http_affiliate_complained[kind]) {
        ngx_http_affiliate_complained[kind] = 1;
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, err,
                      "affiliate: %s %s; its events are dropped and counted until this is over",
                      ngx_http_affiliate_kind_name[kind], what);
    }
}

/* ---- spares ---- */

static void
ngx_http_affiliate_spare_run(void *data, ngx_log_t *log)
{
    int                          rc;
    ngx_http_affiliate_writer_t *w = data;

    rc = tracker_spare_make(&w->spare, w->dir, &w->identity, w->number, w->size);

    pthread_mutex_lock(&w->lock);
    w->made = rc;
    pthread_cond_signal(&w->finished);
    pthread_mutex_unlock(&w->lock);
}

static ngx_int_t
ngx_http_affiliate_spare_give(ngx_http_affiliate_writer_t *w)
{
    enum tracker_journal_kind kind = w->identity.kind;

    if (w->made != 0) {
        ngx_http_affiliate_journal_gave_back(kind, w->size);
        ngx_http_affiliate_complain(kind, -w->made, "journal could not be extended");
        return NGX_ERROR;
    }
    if (w->leaving) {
        tracker_spare_discard(&w->spare, w->dir, &w->identity);
        ngx_http_affiliate_journal_gave_back(kind, w->size);
        return NGX_ERROR;
    }
    tracker_journal_give_spare(w->held->journal, &w->spare);
    ngx_http_affiliate_complained[kind] = 0;
    return NGX_OK;
}

static void
ngx_http_affiliate_spare_done(ngx_event_t *ev)
{
    ngx_http_affiliate_writer_t *w = ev->data;

    w->spare_job.busy = 0;
    if (!w->taken) {
        w->taken = true;
        (void) ngx_http_affiliate_spare_give(w);
    }
}

/* Has the thread pool make the segment `number`; the quota is charged now. */
static void
ngx_http_affiliate_spare_order(ngx_http_affiliate_writer_t *w, uint32_t number)
{
    enum tracker_journal_kind kind = w->identity.kind;

    w->begun = 1;
    if (w->spare_job.busy || ngx_http_affiliate_ahead(ngx_http_affiliate_refused_until[kind])) {
        return;
    }
    w->size = ngx_http_affiliate_segment_size(kind);
    if (ngx_http_affiliate_room(kind, w->size) != NGX_OK) {
        /* Not yet a refusal: the current segment still has room. */
        return;
    }
    w->number = number;
    w->dir = ngx_http_affiliate_wire.journal_dir;
    w->made = 1;
    w->taken = false;
    (void) ngx_http_affiliate_job_post(&w->spare_job, ngx_http_affiliate_spare_run, ngx_http_affiliate_spare_done, w);
}

/*
 * The segment is full and no spare is at hand.  When a thread is making one,
 * waiting for it is the quickest way; else it is made here.  Both are last resorts: a
 * spare is ordered when half a segment is left.
 */
static ngx_int_t
ngx_http_affiliate_spare_take(ngx_http_affiliate_writer_t *w)
{
    struct timespec until;
    uint32_t        number;

    w->begun = 1;
    if (w->spare_job.busy && !w->taken) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += NGX_HTTP_AFFILIATE_SPARE_MAX / 1000;
        pthread_mutex_lock(&w->lock);
        while (w->made == 1 && pthread_cond_timedwait(&w->finished, &w->lock, &until) == 0) {
            /* void */
        }
        w->taken = w->made != 1;
        pthread_mutex_unlock(&w->lock);
        return w->taken ? ngx_http_affiliate_spare_give(w) : NGX_ERROR;
    }
    if (!tracker_journal_wants_spare(w->held->journal, &number)) {
        return NGX_ERROR;
    }
    /* The order's fields are the thread's only until it has finished: `taken` says it has. */
    w->size = ngx_http_affiliate_segment_size(w->identity.kind);
    if (ngx_http_affiliate_room(w->identity.kind, w->size) != NGX_OK) {
        ngx_http_affiliate_complain(w->identity.kind, 0, "journals have reached their quota");
        return NGX_ERROR;
    }
    w->number = number;
    w->dir = ngx_http_affiliate_wire.journal_dir;
    w->made = tracker_spare_make(&w->spare, w->dir, &w->identity, number, w->size);
    return ngx_http_affiliate_spare_give(w);
}

/* ---- sync ---- */

static void
ngx_http_affiliate_sync_run(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_writer_t *w = data;

    tracker_sync_run(&w->sync);
}

/* Calls those whose record is on disk; with NGX_ERROR all of them. */
static void
ngx_http_affiliate_wake(ngx_http_affiliate_writer_t *w, ngx_int_t rc)
{
    ngx_queue_t                 *q;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_affiliate_waiter_t *waiter;

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

static void
ngx_http_affiliate_sync_done(ngx_event_t *ev)
{
    ngx_http_affiliate_writer_t *w = ev->data;

    w->sync_job.busy = 0;
    tracker_journal_sync_end(w->held->journal, &w->sync);

    if (w->sync.error != 0) {
        ngx_http_affiliate_count(SYNC_ERRORS);
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, -w->sync.error,
                      "affiliate: journal %*s could not be synced: it is given up for a new one",
                      (size_t) TRACKER_JOURNAL_HEX_LEN, w->held->hex);
        if (!w->leaving) {
            ngx_http_affiliate_journal_rotate(w->held);
        }
        ngx_http_affiliate_wake(w, NGX_ERROR);
        return;
    }

    ngx_http_affiliate_wake(w, NGX_OK);
    if (!ngx_queue_empty(&w->waiters)) {
        ngx_http_affiliate_sync_now(w);
    } else {
        ngx_http_affiliate_journal_look(w->held);
    }
}

static void
ngx_http_affiliate_sync_now(ngx_http_affiliate_writer_t *w)
{
    if (w->sync_job.busy) {
        return; /* its completion looks again */
    }
    if (tracker_journal_failed(w->held->journal)) {
        ngx_http_affiliate_wake(w, NGX_ERROR);
        return;
    }
    if (!tracker_journal_sync_begin(w->held->journal, &w->sync)) {
        ngx_http_affiliate_wake(w, NGX_OK);
        return;
    }
    (void) ngx_http_affiliate_job_post(&w->sync_job, ngx_http_affiliate_sync_run, ngx_http_affiliate_sync_done, w);
}

static void
ngx_http_affiliate_sync_handler(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    ngx_http_affiliate_sync_now(ev->data);
}

/*
 * While answers wait this timer keeps a gracefully exiting worker alive, so it is
 * not cancelable; it also ends a wait that a stuck disk has made too long.  The
 * record may reach the database all the same: a repeated conversion is recognised by its txid.
 */
static void
ngx_http_affiliate_waiting_handler(ngx_event_t *ev)
{
    ngx_uint_t                   kind;
    ngx_http_affiliate_held_t   *held;
    ngx_http_affiliate_waiter_t *waiter;

    for (kind = 1; kind < NGX_HTTP_AFFILIATE_KINDS; kind++) {
        held = ngx_http_affiliate_wire.own[kind];
        if (held == NULL || ngx_queue_empty(&held->writer->waiters)) {
            continue;
        }
        waiter = ngx_queue_data(ngx_queue_head(&held->writer->waiters), ngx_http_affiliate_waiter_t, queue);
        if (ngx_current_msec - waiter->since > NGX_HTTP_AFFILIATE_WAIT_MAX) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0, "affiliate: syncing a journal takes over %d s",
                          NGX_HTTP_AFFILIATE_WAIT_MAX / 1000);
            ngx_http_affiliate_wake(held->writer, NGX_ERROR);
        }
    }
    if (ngx_http_affiliate_waiting > 0 && !ev->timer_set) {
        ngx_add_timer(ev, 1000);
    }
}

void
ngx_http_affiliate_journal_look(ngx_http_affiliate_held_t *held)
{
    uint32_t                     number;
    ngx_msec_t                   sync;
    ngx_http_affiliate_writer_t *w = held->writer;

    if (w->leaving || tracker_journal_failed(held->journal)) {
        return;
    }
    if (tracker_journal_wants_spare(held->journal, &number)) {
        ngx_http_affiliate_spare_order(w, number);

    } else if (!w->begun && tracker_journal_next(held->journal) > 1) {
        /* The first segment is small and a busy edge fills it in moments; an idle one needs no second. */
        ngx_http_affiliate_spare_order(w, 1);
    }
    if (!w->sync_job.busy && !w->sync_timer.timer_set
        && tracker_journal_synced(held->journal) < tracker_journal_next(held->journal))
    {
        /* The oldest unsynced record has waited at most a linger for this look. */
        sync = ngx_http_affiliate_wire.conf->journal.sync;
        ngx_add_timer(&w->sync_timer, sync > TRACKER_LINGER_MS ? sync - TRACKER_LINGER_MS : 1);
    }
}

/* ---- a journal's life ---- */

static void
ngx_http_affiliate_event_init(ngx_event_t *ev, ngx_event_handler_pt handler, void *data, unsigned cancelable)
{
    ngx_memzero(ev, sizeof(*ev));
    ev->handler = handler;
    ev->data = data;
    ev->log = ngx_cycle->log;
    ev->cancelable = cancelable;
}

static ngx_http_affiliate_held_t *
ngx_http_affiliate_journal_wrap(struct tracker_journal *journal)
{
    ngx_http_affiliate_held_t   *held;
    ngx_http_affiliate_writer_t *w;

    held = ngx_calloc(sizeof(*held), ngx_cycle->log);
    w = ngx_calloc(sizeof(*w), ngx_cycle->log);
    if (held == NULL || w == NULL) {
        goto failed;
    }
    held->journal = journal;
    held->identity = tracker_journal_identity(journal);
    held->writer = w;
    w->held = held;
    w->identity = *held->identity;
    w->taken = true;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->finished, NULL);
    ngx_queue_init(&w->waiters);
    ngx_http_affiliate_event_init(&w->sync_timer, ngx_http_affiliate_sync_handler, w, 1);
    if (ngx_http_affiliate_ship_hold(held)) {
        return held;
    }

failed:
    ngx_free(held);
    ngx_free(w);
    return NULL;
}

static void
ngx_http_affiliate_journal_create(enum tracker_journal_kind kind)
{
    int                             rc;
    struct tracker_journal         *journal;
    ngx_http_affiliate_held_t      *held;
    struct tracker_journal_identity identity;
    ngx_http_affiliate_main_conf_t *conf = ngx_http_affiliate_wire.conf;

    ngx_http_affiliate_created_at[kind] = ngx_current_msec;
    if (ngx_http_affiliate_wire.journal_dir == -1) {
        return;
    }
    if (ngx_http_affiliate_room(kind, TRACKER_SEGMENT_FIRST_BYTES) != NGX_OK) {
        ngx_http_affiliate_complain(kind, 0, "journals have reached their quota");
        return;
    }

    ngx_memzero(&identity, sizeof(identity));
    identity.kind = kind;
    identity.partition = (uint16_t) (ngx_random() % NGX_HTTP_AFFILIATE_PARTITIONS);
    identity.created_ms = ngx_http_affiliate_wall_ms();
    ngx_memcpy(identity.edge, conf->edge.data, ngx_min(conf->edge.len, (size_t) TRACKER_EDGE_NAME_MAX));

    rc = tracker_journal_create(&journal, ngx_http_affiliate_wire.journal_dir, &identity);
    if (rc != 0) {
        ngx_http_affiliate_journal_gave_back(kind, TRACKER_SEGMENT_FIRST_BYTES);
        ngx_http_affiliate_complain(kind, -rc, "journal could not be created");
        return;
    }
    held = ngx_http_affiliate_journal_wrap(journal);
    if (held == NULL) {
        ngx_http_affiliate_journal_gave_back(kind, tracker_journal_delete(journal));
        return;
    }
    ngx_http_affiliate_wire.own[kind] = held;
    ngx_http_affiliate_complained[kind] = 0;
    ngx_http_affiliate_count(JOURNALS_CREATED);
}

void
ngx_http_affiliate_journal_rotate(ngx_http_affiliate_held_t *held)
{
    enum tracker_journal_kind kind = held->identity->kind;

    held->writer->leaving = 1;
    ngx_http_affiliate_wire.own[kind] = NULL;
    /* A disk that refuses every sync must not be answered with a journal a request. */
    if (!ngx_http_affiliate_ahead(ngx_http_affiliate_created_at[kind] + 1000)) {
        ngx_http_affiliate_journal_create(kind);
    }
}

static ngx_uint_t
ngx_http_affiliate_journal_quiet(ngx_http_affiliate_writer_t *w)
{
    return !w->sync_job.busy && !w->spare_job.busy && ngx_queue_empty(&w->waiters)
           && (tracker_journal_failed(w->held->journal)
               || tracker_journal_synced(w->held->journal) >= tracker_journal_next(w->held->journal));
}

static void
ngx_http_affiliate_journal_release(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_writer_t *w = held->writer;

    ngx_http_affiliate_ship_release(held);
    if (w->sync_timer.timer_set) {
        ngx_del_timer(&w->sync_timer);
    }
    if (w->sync_timer.posted) {
        ngx_delete_posted_event(&w->sync_timer);
    }
    tracker_journal_close(held->journal);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->finished);
    ngx_free(w);
    ngx_free(held);
}

/* Frees what was acked long enough ago, or at once when somebody runs short. */
static void
ngx_http_affiliate_journal_retain(ngx_http_affiliate_held_t *held)
{
    uint64_t                        before_ms, freed;
    ngx_http_affiliate_main_conf_t *conf = ngx_http_affiliate_wire.conf;
    enum tracker_journal_kind       kind = held->identity->kind;

    before_ms = ngx_http_affiliate_wall_ms() - (uint64_t) conf->journal.retain * 1000;
    if (ngx_time() - (time_t) conf->zone->journal_wanted[kind - 1] <= 1) {
        before_ms = 0;
    }
    freed = tracker_journal_free(held->journal, held->sender.acked, before_ms, NGX_HTTP_AFFILIATE_SLICE);
    if (freed > 0) {
        ngx_http_affiliate_journal_gave_back(kind, freed);
    }
}

void
ngx_http_affiliate_journal_tick(void)
{
    ngx_uint_t                 kind;
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    for (q = ngx_queue_head(&ngx_http_affiliate_wire.held);
         q != ngx_queue_sentinel(&ngx_http_affiliate_wire.held);
         q = next)
    {
        next = ngx_queue_next(q);
        held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue);

        if (held->writer == NULL || !held->writer->leaving) {
            ngx_http_affiliate_journal_retain(held);
        } else if (ngx_http_affiliate_journal_quiet(held->writer)) {
            ngx_http_affiliate_journal_release(held);
        } else {
            ngx_http_affiliate_sync_now(held->writer);
        }
    }

    for (kind = 1; kind < NGX_HTTP_AFFILIATE_KINDS; kind++) {
        if (ngx_http_affiliate_wire.own[kind] == NULL) {
            ngx_http_affiliate_journal_create(kind);
        }
    }
}

/* ---- the worker's life ---- */

static int
ngx_http_affiliate_open_folder(ngx_str_t *path)
{
    int fd;

    if (mkdir((char *) path->data, 0700) == -1 && ngx_errno != NGX_EEXIST) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno, "affiliate: mkdir() \"%V\" failed", path);
        return -1;
    }
    fd = open((char *) path->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "affiliate: \"%V\" cannot be opened by worker processes: nothing can be recorded; "
                      "after a change of \"user\" the files in it must be given to the new one", path);
    }
    return fd;
}

ngx_int_t
ngx_http_affiliate_wire_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    int                        fd;
    ngx_http_affiliate_wire_t *wire = &ngx_http_affiliate_wire;

    ngx_memzero(wire, sizeof(*wire));
    wire->conf = amcf;
    wire->cycle = cycle;
    ngx_queue_init(&wire->held);
    ngx_http_affiliate_event_init(&ngx_http_affiliate_waiting_timer, ngx_http_affiliate_waiting_handler, wire, 0);

    wire->journal_dir = ngx_http_affiliate_open_folder(&amcf->journal_dir);
    fd = ngx_http_affiliate_open_folder(&amcf->locks_dir);
    if (fd != -1) {
        close(fd);
    }
    fd = ngx_http_affiliate_open_folder(&amcf->snapshot_dir);
    if (fd != -1) {
        close(fd);
    }

    ngx_http_affiliate_ship_start();
    ngx_http_affiliate_adopt_start();
    ngx_http_affiliate_fetch_start();
    ngx_http_affiliate_journal_create(TRACKER_JOURNAL_TRAFFIC);
    ngx_http_affiliate_journal_create(TRACKER_JOURNAL_MONEY);
    wire->running = 1;
    ngx_http_affiliate_redis_start();
    return NGX_OK;
}

/* The thread pool is gone by now: jobs have run, their completions never will. */
static void
ngx_http_affiliate_journal_exit(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_writer_t *w = held->writer;

    if (w->spare_job.busy && !w->taken && w->made == 0) {
        tracker_spare_discard(&w->spare, w->dir, &w->identity);
    }
    if (!w->sync_job.busy && tracker_journal_sync_begin(held->journal, &w->sync)) {
        tracker_sync_run(&w->sync);
    }
    ngx_http_affiliate_journal_release(held);
}

void
ngx_http_affiliate_wire_exit(ngx_cycle_t *cycle)
{
    ngx_queue_t               *q;
    ngx_http_affiliate_held_t *held;
    ngx_http_affiliate_wire_t *wire = &ngx_http_affiliate_wire;

    if (!wire->running) {
        return;
    }
    wire->running = 0;
    ngx_http_affiliate_ship_stop(); /* hands over what it can without waiting */
    ngx_http_affiliate_redis_stop();
    ngx_http_affiliate_fetch_stop();
    ngx_http_affiliate_adopt_stop();

    while (!ngx_queue_empty(&wire->held)) {
        q = ngx_queue_head(&wire->held);
        held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue);
        ngx_http_affiliate_journal_exit(held);
    }
    wire->own[TRACKER_JOURNAL_TRAFFIC] = NULL;
    wire->own[TRACKER_JOURNAL_MONEY] = NULL;
    if (wire->journal_dir != -1) {
        close(wire->journal_dir);
        wire->journal_dir = -1;
    }
}

ngx_int_t
ngx_http_affiliate_job_post(ngx_http_affiliate_job_t *job, void (*run)(void *data, ngx_log_t *log),
                            ngx_event_handler_pt done, void *data)
{
    if (job->busy) {
        return NGX_ERROR;
    }
    job->busy = 1;
    ngx_memzero(&job->task, sizeof(job->task));
    job->task.ctx = data;
    job->task.handler = run;
    job->task.event.data = data;
    job->task.event.handler = done;
    job->task.event.log = ngx_cycle->log;

    /* Without master process a reload makes a new cycle whose pool never starts: then, and when the
     * pool's queue is full, it is done here. */
    if (ngx_cycle == ngx_http_affiliate_wire.cycle
        && ngx_thread_task_post(ngx_http_affiliate_wire.conf->thread_pool, &job->task) == NGX_OK)
    {
        return NGX_OK;
    }
    run(data, ngx_cycle->log);
    ngx_post_event(&job->task.event, &ngx_posted_events);
    return NGX_OK;
}
