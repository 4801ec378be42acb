/*
 * ngx_http_affiliate_journal.c - this worker's two journals: space for events,
 * spares made ahead, the quota, and syncing.
 *
 * The request side's calls come first.  They cost a few dozen instructions as
 * long as the current segment has room; everything else (a spare, the quota, a
 * new journal) is on the slow path or in the thread pool.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_REFUSED   100   /* ms without another try after the quota said no ... */
#define NGX_HTTP_AFFILIATE_SLOW      10000 /* ... after the disk took too long */
#define NGX_HTTP_AFFILIATE_SPARE_MAX 1000  /* ms that a full segment waits for the thread that makes one */
#define NGX_HTTP_AFFILIATE_SLICE     (64u << 20) /* bytes freed from one journal at a time: 16 unlinks */

#define NGX_HTTP_AFFILIATE_QUOTA_REACHED                                                                       \
    "journals have reached their quota: see on the status page why nothing is shipped, or raise it "          \
    "(\"affiliate_journal\")"

static uint8_t *ngx_http_affiliate_reserve_slow(enum tracker_journal_kind kind, size_t max_len);
static ngx_int_t ngx_http_affiliate_room(enum tracker_journal_kind kind, size_t size);
static ngx_int_t ngx_http_affiliate_spare_take(ngx_http_affiliate_writer_t *w);
static ngx_int_t ngx_http_affiliate_spare_wait(ngx_http_affiliate_writer_t *w);
static ngx_int_t ngx_http_affiliate_spare_give(ngx_http_affiliate_writer_t *w);
static void ngx_http_affiliate_spare_run(void *data, ngx_log_t *log);
static void ngx_http_affiliate_spare_done(ngx_event_t *ev);

static ngx_msec_t ngx_http_affiliate_refused_until[NGX_HTTP_AFFILIATE_KINDS];
static ngx_msec_t ngx_http_affiliate_created_at[NGX_HTTP_AFFILIATE_KINDS];
static ngx_uint_t ngx_http_affiliate_complained[NGX_HTTP_AFFILIATE_KINDS]; /* the same trouble is said once */

static const char *ngx_http_affiliate_kind_name[NGX_HTTP_AFFILIATE_KINDS] = { "", "traffic", "money" };

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
    ngx_http_affiliate_zone_t *zone = ngx_http_affiliate_wire.conf->zone;

    if (kind == TRACKER_JOURNAL_MONEY) {
        ngx_http_affiliate_count(DROPPED_MONEY);
    } else {
        ngx_http_affiliate_count(DROPPED_TRAFFIC);
    }

    if (held == NULL) {
        *journal = 0;
        (void) ngx_atomic_fetch_add(&zone->homeless[kind - 1], 1);
        return ngx_atomic_fetch_add(&zone->unrecorded, 1) + 1;
    }
    *journal = held->short_id;
    return tracker_journal_drop(held->journal);
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
 * first: drained journals, then segments that this worker holds; the other workers see
 * journal_wanted and free theirs within a second.
 */
static ngx_int_t
ngx_http_affiliate_room(enum tracker_journal_kind kind, size_t size)
{
    off_t                      quota = ngx_http_affiliate_quota(kind), bytes;
    uint64_t                   need, freed, given;
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_zone_t *zone = ngx_http_affiliate_wire.conf->zone;
    ngx_http_affiliate_held_t *held;

    bytes = (off_t) ngx_atomic_fetch_add(&zone->journal_bytes[kind - 1], size) + (off_t) size;
    if (bytes > quota - quota / 8) {
        zone->journal_wanted[kind - 1] = (ngx_atomic_uint_t) ngx_time();
    }
    if (bytes <= quota) {
        return NGX_OK;
    }

    need = (uint64_t) (bytes - quota);
    freed = ngx_http_affiliate_adopt_free(kind, need);
    ngx_http_affiliate_each_held(held, q, next) {
        if (held->identity->kind == kind && freed < need) {
            given = tracker_journal_free(held->journal, held->sender.acked, 0,
                                         need - freed + TRACKER_SEGMENT_BYTES);
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
        return; /* not yet a refusal: the current segment still has room */
    }
    w->number = number;
    w->dir = ngx_http_affiliate_wire.journal_dir;
    w->made = 1;
    w->taken = false;
    (void) ngx_http_affiliate_job_post(&w->spare_job, ngx_http_affiliate_spare_run,
                                       ngx_http_affiliate_spare_done, w);
}

/* Thread. */
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

/* What was made, here or in the thread, goes to the journal. */
static ngx_int_t
ngx_http_affiliate_spare_give(ngx_http_affiliate_writer_t *w)
{
    enum tracker_journal_kind kind = w->identity.kind;

    if (w->made != 0) {
        ngx_http_affiliate_journal_gave_back(kind, w->size);
        ngx_http_affiliate_complain(kind, -w->made, "journal could not be extended: is the disk full?");
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

/*
 * The segment is full and no spare is at hand.  When a thread is making one,
 * waiting for it is the quickest way; else it is made here.  Both are last resorts: a
 * spare is ordered when half a segment is left.
 */
static ngx_int_t
ngx_http_affiliate_spare_take(ngx_http_affiliate_writer_t *w)
{
    uint32_t number;

    w->begun = 1;
    if (w->spare_job.busy && !w->taken) {
        return ngx_http_affiliate_spare_wait(w);
    }
    if (!tracker_journal_wants_spare(w->held->journal, &number)) {
        return NGX_ERROR;
    }
    /* When the job is busy its thread has finished all the same, as `taken` says: the fields are ours. */
    w->size = ngx_http_affiliate_segment_size(w->identity.kind);
    if (ngx_http_affiliate_room(w->identity.kind, w->size) != NGX_OK) {
        ngx_http_affiliate_complain(w->identity.kind, 0, NGX_HTTP_AFFILIATE_QUOTA_REACHED);
        return NGX_ERROR;
    }
    w->number = number;
    w->dir = ngx_http_affiliate_wire.journal_dir;
    w->made = tracker_spare_make(&w->spare, w->dir, &w->identity, number, w->size);
    return ngx_http_affiliate_spare_give(w);
}

static ngx_int_t
ngx_http_affiliate_spare_wait(ngx_http_affiliate_writer_t *w)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += NGX_HTTP_AFFILIATE_SPARE_MAX / 1000;
    pthread_mutex_lock(&w->lock);
    while (w->made == 1 && pthread_cond_timedwait(&w->finished, &w->lock, &until) == 0) {
        /* void */
    }
    w->taken = w->made != 1;
    pthread_mutex_unlock(&w->lock);
    ngx_time_update();

    if (!w->taken) {
        /* A disk as slow as this is not waited for again soon; the completion brings the spare. */
        ngx_http_affiliate_complain(w->identity.kind, 0, "journal waits for the disk");
        ngx_http_affiliate_refused_until[w->identity.kind] = ngx_current_msec + NGX_HTTP_AFFILIATE_SLOW;
        return NGX_ERROR;
    }
    return ngx_http_affiliate_spare_give(w);
}

void
ngx_http_affiliate_journal_look(ngx_http_affiliate_held_t *held)
{
    uint32_t                     number;
    ngx_http_affiliate_writer_t *w = held->writer;

    if (tracker_journal_failed(held->journal)) {
        return;
    }
    if (tracker_journal_wants_spare(held->journal, &number)) {
        ngx_http_affiliate_spare_order(w, number);

    } else if (!w->begun && tracker_journal_next(held->journal) > 1) {
        /* The first segment is small and a busy edge fills it in moments; an idle one needs no second. */
        ngx_http_affiliate_spare_order(w, 1);
    }
    ngx_http_affiliate_sync_soon(w);
}

/* ---- a journal's life ---- */

static ngx_http_affiliate_held_t *
ngx_http_affiliate_journal_wrap(struct tracker_journal *journal)
{
    pthread_condattr_t           monotonic;
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
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* a clock set back must not hold the event loop */
    pthread_cond_init(&w->finished, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ngx_http_affiliate_sync_init(w);
    if (ngx_http_affiliate_ship_hold(held)) {
        return held;
    }

failed:
    ngx_free(held);
    ngx_free(w);
    return NULL;
}

/* Drops that no journal could count are counted by this one: only so do they reach the database's accounts. */
static void
ngx_http_affiliate_journal_take_in(ngx_http_affiliate_held_t *held)
{
    ngx_atomic_t      *homeless = &ngx_http_affiliate_wire.conf->zone->homeless[held->identity->kind - 1];
    ngx_atomic_uint_t  n;

    do {
        n = *homeless;
    } while (!ngx_atomic_cmp_set(homeless, n, 0));
    for (; n > 0; n--) {
        (void) tracker_journal_drop(held->journal);
    }
}

void
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
        ngx_http_affiliate_complain(kind, 0, NGX_HTTP_AFFILIATE_QUOTA_REACHED);
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
        ngx_http_affiliate_complain(kind, -rc, "journal could not be created: is the disk full, or its folder another user's?");
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
    ngx_http_affiliate_journal_take_in(held);
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

static void
ngx_http_affiliate_journal_release(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_writer_t *w = held->writer;

    ngx_http_affiliate_ship_release(held);
    ngx_http_affiliate_event_clear(&w->sync_timer);
    /* It would lie there as long as the journal is retained, and count. */
    ngx_http_affiliate_journal_gave_back(held->identity->kind, tracker_journal_return_spare(held->journal));
    tracker_journal_close(held->journal);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->finished);
    ngx_free(w);
    ngx_free(held);
}

void
ngx_http_affiliate_journal_exit(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_writer_t *w = held->writer;

    if (w->spare_job.busy && !w->taken && w->made == 0) {
        tracker_spare_discard(&w->spare, w->dir, &w->identity);
    }
    if (tracker_journal_sync_begin(held->journal, &w->sync)) {
        tracker_sync_run(&w->sync);
    }
    ngx_http_affiliate_journal_release(held);
}

/* Frees what was acked long enough ago, or at once when somebody runs short. */
static void
ngx_http_affiliate_journal_retain(ngx_http_affiliate_held_t *held)
{
    uint64_t                        before_ms, freed;
    ngx_http_affiliate_main_conf_t *conf = ngx_http_affiliate_wire.conf;
    enum tracker_journal_kind       kind = held->identity->kind;

    before_ms = tracker_retained_since(ngx_http_affiliate_wall_ms(), (uint64_t) conf->journal.retain * 1000);
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
    ngx_uint_t                   kind;
    ngx_queue_t                 *q, *next;
    ngx_http_affiliate_held_t   *held;
    ngx_http_affiliate_writer_t *w;

    ngx_http_affiliate_each_held(held, q, next) {
        w = held->writer;
        if (w == NULL || !w->leaving) {
            ngx_http_affiliate_journal_retain(held);
        } else if (!w->spare_job.busy && ngx_http_affiliate_sync_over(w)) {
            ngx_http_affiliate_journal_release(held);
        } else {
            ngx_http_affiliate_sync_now(w);
        }
    }
    for (kind = 1; kind < NGX_HTTP_AFFILIATE_KINDS; kind++) {
        if (ngx_http_affiliate_wire.own[kind] == NULL) {
            ngx_http_affiliate_journal_create(kind);
        }
    }
}
