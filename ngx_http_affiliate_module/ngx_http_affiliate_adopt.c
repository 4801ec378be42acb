/*
 * ngx_http_affiliate_adopt.c - journals that dead workers left behind: taken,
 * drained, kept for the retention time, deleted; and the folder's bytes, counted.
 *
 * Once a second a thread looks through <state>/journal.  What nobody holds the
 * lock of is taken, at most NGX_HTTP_AFFILIATE_ORPHANS_MAX at a time, and shipped like a
 * worker's own.  When the database has all of it, it gets a sidecar <id>.drained and is let
 * go: it needs no slot while it is only kept.  The sidecar holds for that life of the
 * database alone.  A restored one has another incarnation and may lack what it had acked,
 * so the journal is then taken once more and offered again.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_STUCK     60000 /* ms: an orphan without progress makes room for others */
#define NGX_HTTP_AFFILIATE_HALF_MADE 10000 /* ms: younger files without a first segment are left alone */

/* The look through the folder.  While the job is busy `seen` is the thread's and `known` is not replaced. */
static struct {
    ngx_http_affiliate_job_t    job;
    int                         dir;
    int                         error; /* 0 or negative errno */
    ngx_http_affiliate_folder_t seen;
    ngx_http_affiliate_folder_t known;
    int                         counting_lock; /* -1: this worker does not count the folder's bytes */
    unsigned                    crowded:1;     /* there are more orphans than slots */
    unsigned                    trouble:1;     /* met in this look */
    unsigned                    complained:1;  /* and said */
} survey;

static void ngx_http_affiliate_adopt_looked(ngx_event_t *ev);
static void ngx_http_affiliate_adopt_check(ngx_http_affiliate_held_t *held);
static void ngx_http_affiliate_adopt_counting_lock(void);
static void ngx_http_affiliate_adopt_count(void);
static void ngx_http_affiliate_adopt_look(void *data, ngx_log_t *log);
static void ngx_http_affiliate_adopt_consider(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_complain(int rc, const char *what);
static ngx_uint_t ngx_http_affiliate_adopt_delete(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_take(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_release(ngx_http_affiliate_held_t *held);
static void ngx_http_affiliate_adopt_set_aside(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_drained(ngx_http_affiliate_held_t *held);

void
ngx_http_affiliate_adopt_tick(ngx_uint_t second)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        if (held->writer == NULL) {
            ngx_http_affiliate_adopt_check(held);
        }
    }
    if (second && ngx_http_affiliate_wire.journal_dir != -1) {
        ngx_http_affiliate_adopt_counting_lock();
        survey.dir = ngx_http_affiliate_wire.journal_dir;
        (void) ngx_http_affiliate_job_post(&survey.job, ngx_http_affiliate_adopt_look,
                                           ngx_http_affiliate_adopt_looked, &survey);
    }
}

/* Thread. */
static void
ngx_http_affiliate_adopt_look(void *data, ngx_log_t *log)
{
    survey.error = ngx_http_affiliate_folder_look(survey.dir, &survey.known, &survey.seen);
}

static void
ngx_http_affiliate_adopt_looked(ngx_event_t *ev)
{
    size_t                      i, first;
    ngx_http_affiliate_folder_t swap;

    survey.job.busy = 0;
    if (!ngx_http_affiliate_wire.running) {
        return;
    }
    survey.trouble = 0;
    if (survey.error != 0) {
        ngx_http_affiliate_adopt_complain(survey.error, "cannot be read");
        return;
    }
    swap = survey.known;
    survey.known = survey.seen;
    survey.seen = swap;
    ngx_http_affiliate_adopt_count();

    /* From a random one on, so that a few that are stuck do not stand before the others for ever. */
    survey.crowded = 0;
    first = survey.known.n > 0 ? (size_t) ngx_random() % survey.known.n : 0;
    for (i = 0; i < survey.known.n; i++) {
        ngx_http_affiliate_adopt_consider(&survey.known.elts[(first + i) % survey.known.n]);
    }
    survey.complained = survey.trouble;
}

/* Says a trouble with the folder once, until a look meets none. */
static void
ngx_http_affiliate_adopt_complain(int rc, const char *what)
{
    survey.trouble = 1;
    if (!survey.complained) {
        survey.complained = 1;
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, -rc, "affiliate: \"%V\" %s",
                      &ngx_http_affiliate_wire.conf->journal_dir, what);
    }
}

/* One worker of the edge counts the bytes; the lock says which. */
static void
ngx_http_affiliate_adopt_count(void)
{
    size_t                          i;
    uint64_t                        bytes[NGX_HTTP_AFFILIATE_KINDS] = { 0, 0, 0 };
    ngx_uint_t                      kind;
    ngx_http_affiliate_main_conf_t *conf = ngx_http_affiliate_wire.conf;

    if (survey.counting_lock == -1) {
        return;
    }
    for (i = 0; i < survey.known.n; i++) {
        bytes[survey.known.elts[i].kind] += survey.known.elts[i].bytes;
    }
    for (kind = 1; kind < NGX_HTTP_AFFILIATE_KINDS; kind++) {
        conf->zone->journal_bytes[kind - 1] = (ngx_atomic_uint_t) bytes[kind];
    }
    ngx_http_affiliate_gauge(TRAFFIC_BYTES, bytes[TRACKER_JOURNAL_TRAFFIC]);
    ngx_http_affiliate_gauge(MONEY_BYTES, bytes[TRACKER_JOURNAL_MONEY]);
}

static void
ngx_http_affiliate_adopt_counting_lock(void)
{
    if (!ngx_exiting) {
        if (survey.counting_lock == -1) {
            survey.counting_lock = ngx_http_affiliate_take_lock("count");
        }
    } else if (survey.counting_lock != -1) { /* the new workers count */
        close(survey.counting_lock);
        survey.counting_lock = -1;
        ngx_http_affiliate_gauge(TRAFFIC_BYTES, 0);
        ngx_http_affiliate_gauge(MONEY_BYTES, 0);
    }
}

static void
ngx_http_affiliate_adopt_consider(ngx_http_affiliate_found_t *found)
{
    uint64_t life, now_ms = ngx_http_affiliate_wall_ms();
    uint64_t retain_ms = (uint64_t) ngx_http_affiliate_wire.conf->journal.retain * 1000;

    if (found->forked || found->gone || ngx_http_affiliate_find_held(&found->id) != NULL) {
        return;
    }
    if (!found->whole) {
        if (found->modified_ms + NGX_HTTP_AFFILIATE_HALF_MADE < now_ms) {
            ngx_http_affiliate_adopt_set_aside(found);
        }
        return;
    }
    ngx_http_affiliate_ship_listen(found->partition);

    if (found->sidecar.incarnation != 0) {
        life = ngx_http_affiliate_ship_incarnation(found->partition);
        if (life == 0) {
            return; /* who knows what the database has now */
        }
        if (life == found->sidecar.incarnation) {
            if (found->sidecar.drained_ms + retain_ms < now_ms) {
                (void) ngx_http_affiliate_adopt_delete(found);
            }
            return;
        }
    }
    if (ngx_exiting) {
        return;
    }
    if (ngx_http_affiliate_wire.orphans >= NGX_HTTP_AFFILIATE_ORPHANS_MAX) {
        survey.crowded = 1;
        return;
    }
    ngx_http_affiliate_adopt_take(found);
}

/* True when the lock was ours to take and the journal is gone. */
static ngx_uint_t
ngx_http_affiliate_adopt_delete(ngx_http_affiliate_found_t *found)
{
    uint64_t                bytes;
    struct tracker_journal *journal;

    if (tracker_journal_adopt(&journal, ngx_http_affiliate_wire.journal_dir, &found->id) != 0) {
        return 0;
    }
    bytes = tracker_journal_delete(journal);
    ngx_http_affiliate_sidecar_delete(ngx_http_affiliate_wire.journal_dir, &found->id);
    found->gone = 1;
    ngx_http_affiliate_journal_gave_back(found->kind, bytes);
    ngx_http_affiliate_count(JOURNALS_DELETED);
    return 1;
}

/* Has a restored database, which may lack it, taken the place of the one that had all of it? */
static ngx_uint_t
ngx_http_affiliate_adopt_outdated(const ngx_http_affiliate_found_t *found)
{
    uint64_t life = ngx_http_affiliate_ship_incarnation(found->partition);

    return life != 0 && life != found->sidecar.incarnation;
}

uint64_t
ngx_http_affiliate_adopt_free(enum tracker_journal_kind kind, uint64_t need)
{
    size_t                      i;
    uint64_t                    freed = 0;
    ngx_http_affiliate_found_t *found, *oldest;

    while (freed < need) {
        oldest = NULL;
        for (i = 0; i < survey.known.n; i++) {
            found = &survey.known.elts[i];
            if (found->kind == kind && found->sidecar.incarnation != 0 && !found->gone && !found->forked
                && !ngx_http_affiliate_adopt_outdated(found)
                && (oldest == NULL || found->sidecar.drained_ms < oldest->sidecar.drained_ms)
                && ngx_http_affiliate_find_held(&found->id) == NULL)
            {
                oldest = found;
            }
        }
        if (oldest == NULL) {
            break;
        }
        if (ngx_http_affiliate_adopt_delete(oldest)) {
            freed += oldest->bytes;
        }
        oldest->gone = 1; /* or somebody holds it: not again before the next look */
    }
    return freed;
}

static void
ngx_http_affiliate_adopt_take(ngx_http_affiliate_found_t *found)
{
    int                           rc;
    ngx_http_affiliate_held_t    *held;
    struct tracker_journal       *journal;
    ngx_http_affiliate_sidecar_t  sidecar;

    rc = tracker_journal_adopt(&journal, ngx_http_affiliate_wire.journal_dir, &found->id);
    if (rc == -EINVAL) {
        ngx_http_affiliate_adopt_set_aside(found);
        return;
    }
    if (rc != 0) {
        if (rc != -EWOULDBLOCK && rc != -ENOENT) {
            ngx_http_affiliate_adopt_complain(rc, "holds a journal that cannot be taken over; after a change "
                                                  "of \"user\" its files must be given to the new one");
        }
        return;
    }
    /* Another worker may have drained it since the look. */
    ngx_http_affiliate_sidecar_read(ngx_http_affiliate_wire.journal_dir, &found->id, &sidecar);
    held = NULL;
    if (sidecar.incarnation == 0
        || sidecar.incarnation != ngx_http_affiliate_ship_incarnation(found->partition))
    {
        held = ngx_calloc(sizeof(*held), ngx_cycle->log);
    }
    if (held == NULL) {
        tracker_journal_close(journal);
        return;
    }
    held->journal = journal;
    held->identity = tracker_journal_identity(journal);
    held->moved_at = ngx_current_msec;
    if (!ngx_http_affiliate_ship_hold(held)) {
        ngx_http_affiliate_adopt_complain(0, "holds a journal of a partition that does not exist");
        tracker_journal_close(journal);
        ngx_free(held);
        return;
    }
    ngx_http_affiliate_wire.orphans++;
    if (sidecar.incarnation != 0) {
        held->drained_ms = sidecar.drained_ms;
        tracker_sender_end_found(&held->sender, sidecar.end);
    } else {
        ngx_http_affiliate_count(JOURNALS_ADOPTED);
    }
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "affiliate: journal %*s %s",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex,
                  sidecar.incarnation != 0 ? "is offered to the database's new life" : "was adopted");
}

/* ---- an orphan's end ---- */

static void
ngx_http_affiliate_adopt_check(ngx_http_affiliate_held_t *held)
{
    struct tracker_sender *sender = &held->sender;

    if (sender->acked != held->moved_to) {
        held->moved_to = sender->acked;
        held->moved_at = ngx_current_msec;
    }
    if (tracker_journal_failed(held->journal)) {
        ngx_http_affiliate_adopt_release(held); /* it could not be read just now; later, perhaps */
        return;
    }
    if (!sender->connected || sender->life == 0 || sender->life != sender->incarnation
        || !tracker_sender_idle(sender))
    {
        if (survey.crowded && sender->connected
            && !ngx_http_affiliate_ahead(held->moved_at + NGX_HTTP_AFFILIATE_STUCK))
        {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "affiliate: journal %*s does not move: others first",
                          (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex);
            ngx_http_affiliate_adopt_release(held);
        }
        return;
    }
    if (held->closed) {
        ngx_http_affiliate_adopt_drained(held);
    } else if (!held->closing && ngx_http_affiliate_ship_close(held) == NGX_OK) {
        held->closing = 1;
    }
}

static void
ngx_http_affiliate_adopt_drained(ngx_http_affiliate_held_t *held)
{
    uint64_t                     bytes;
    enum tracker_journal_kind    kind = held->identity->kind;
    ngx_http_affiliate_sidecar_t sidecar;

    /* A worker that never recorded anything leaves nothing worth keeping. */
    if (held->sender.acked == 1 && tracker_journal_dropped(held->journal) == 0) {
        ngx_http_affiliate_ship_release(held);
        bytes = tracker_journal_delete(held->journal);
        ngx_http_affiliate_journal_gave_back(kind, bytes);
        ngx_http_affiliate_count(JOURNALS_DELETED);
        ngx_http_affiliate_wire.orphans--;
        ngx_free(held);
        return;
    }
    /* What a killed worker had made ahead would else lie there, and count, as long as the journal is retained. */
    ngx_http_affiliate_journal_gave_back(kind, tracker_journal_trim(held->journal));
    sidecar.incarnation = held->sender.incarnation;
    sidecar.end = held->sender.end;
    sidecar.drained_ms = held->drained_ms != 0 ? held->drained_ms : ngx_http_affiliate_wall_ms();
    if (ngx_http_affiliate_sidecar_write(ngx_http_affiliate_wire.journal_dir, &held->identity->id, &sidecar)
        != NGX_OK)
    {
        return; /* at the next tick, perhaps */
    }
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "affiliate: journal %*s is drained, %uL records",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex, sidecar.end - 1);
    ngx_http_affiliate_adopt_release(held);
}

static void
ngx_http_affiliate_adopt_release(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_ship_release(held);
    tracker_journal_close(held->journal);
    ngx_http_affiliate_wire.orphans--;
    ngx_free(held);
}

void
ngx_http_affiliate_adopt_forked(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_folder_mark_forked(ngx_http_affiliate_wire.journal_dir, &held->identity->id);
    if (held->writer == NULL) {
        ngx_http_affiliate_adopt_release(held);
    } else if (!held->writer->leaving) {
        ngx_http_affiliate_journal_rotate(held);
    }
}

/* What bears a journal's name and is none is never deleted by us: an operator may still read it. */
static void
ngx_http_affiliate_adopt_set_aside(ngx_http_affiliate_found_t *found)
{
    char       hex[TRACKER_JOURNAL_HEX_LEN];
    ngx_uint_t files = ngx_http_affiliate_folder_set_aside(ngx_http_affiliate_wire.journal_dir, &found->id);

    found->gone = 1;
    if (files > 0) { /* else another worker was quicker */
        tracker_journal_id_format(&found->id, hex);
        ngx_http_affiliate_count_n(JOURNALS_QUARANTINED, files);
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "affiliate: \"%*s\" in \"%V\" is not a journal: its %ui files were renamed to .bad",
                      (size_t) TRACKER_JOURNAL_HEX_LEN, hex, &ngx_http_affiliate_wire.conf->journal_dir,
                      files);
    }
}

void
ngx_http_affiliate_adopt_start(void)
{
    ngx_memzero(&survey, sizeof(survey));
    survey.counting_lock = -1;
}

void
ngx_http_affiliate_adopt_stop(void)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        if (held->writer == NULL) {
            ngx_http_affiliate_adopt_release(held);
        }
    }
    if (survey.counting_lock != -1) {
        close(survey.counting_lock);
        survey.counting_lock = -1;
    }
    free(survey.seen.elts);
    free(survey.known.elts);
    ngx_memzero(&survey, sizeof(survey));
    survey.counting_lock = -1;
}
