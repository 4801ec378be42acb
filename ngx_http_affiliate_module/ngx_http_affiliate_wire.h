/*
 * ngx_http_affiliate_wire.h - what the files of the wire side share: the journals
 * that this worker holds, the one Redis connection, and who calls whom.
 *
 *     wire.c     the worker's start, clock and stop; jobs for the thread pool
 *     journal.c  own journals: reserve, commit, segments, quota
 *     sync.c     when they are on disk, and who waits for it
 *     verdict.c  who waits for the database's word on a lead
 *     redis.c    the connection: commands out, replies in, time-outs, back-off
 *     ship.c     every held journal: packs out, acks and heartbeats in
 *     lag.c      how far the database is behind: gauges, and a word in the log
 *     folder.c   what lies in <state>/journal
 *     adopt.c    orphans: taken, drained, kept, deleted; bytes counted
 *     fetch.c    the snapshot: chunks in, files renamed into place
 *
 * Nothing here ever waits for Redis or for another process.  What takes time on a
 * disk runs in the thread pool; a thread owns what its job was given until the completion
 * handler runs on the event loop.
 */
#ifndef NGX_HTTP_AFFILIATE_WIRE_H
#define NGX_HTTP_AFFILIATE_WIRE_H

#include <hiredis/async.h>
#include <pthread.h>

#include "ngx_http_affiliate.h"
#include "tracker_sender.h"

#define NGX_HTTP_AFFILIATE_PARTITIONS  8u  /* streams affiliate:events:{0..7} */
#define NGX_HTTP_AFFILIATE_ORPHANS_MAX 8u  /* adopted journals a worker holds at a time */
#define NGX_HTTP_AFFILIATE_HELD_MAX    (NGX_HTTP_AFFILIATE_ORPHANS_MAX + 2)
#define NGX_HTTP_AFFILIATE_TICK        100 /* ms: acks are read that often */
#define NGX_HTTP_AFFILIATE_KINDS       (TRACKER_JOURNAL_MONEY + 1) /* arrays are indexed by the kind itself */

/* True when a monotonic moment lies ahead; right across the wrap of ngx_msec_t. */
#define ngx_http_affiliate_ahead(moment) ((ngx_msec_int_t) ((moment) - ngx_current_msec) > 0)

typedef struct ngx_http_affiliate_writer_s ngx_http_affiliate_writer_t;

/* A journal whose lock this worker holds: one of its own, or an orphan. */
typedef struct {
    ngx_queue_t                            queue; /* in wire.held */
    struct tracker_journal                *journal;
    const struct tracker_journal_identity *identity; /* the journal's */
    uint64_t                               short_id;
    char                                   hex[TRACKER_JOURNAL_HEX_LEN];

    ngx_http_affiliate_writer_t           *writer; /* NULL: an orphan */

    struct tracker_sender                  sender;
    struct tracker_sealer                 *sealer;
    ngx_uint_t                             fresh; /* own: records committed since the shipper last looked */
    uint64_t                               oldest_ms, oldest_at; /* made when: the record at that ack; 0: none */
    uint64_t                               hash, hash_at; /* running hash before sequence hash_at */

    uint64_t                               drained_ms; /* orphan: when it was first found drained; 0: never */
    uint64_t                               moved_to;   /* orphan: its ack, and since when that stands */
    ngx_msec_t                             moved_at;
    unsigned                               asked:1;    /* its ack was asked for on this connection */
    unsigned                               closing:1;  /* orphan: its CLOSE was handed over */
    unsigned                               closed:1;   /* orphan: and Redis has it */
} ngx_http_affiliate_held_t;

/* A piece of work for the thread pool.  busy until done() has run on the event loop. */
typedef struct {
    ngx_thread_task_t task;
    unsigned          busy:1;
} ngx_http_affiliate_job_t;

/* What only the owner of a journal needs. */
struct ngx_http_affiliate_writer_s {
    ngx_http_affiliate_held_t      *held;
    unsigned                        leaving:1; /* replaced; closed when nothing is busy */
    unsigned                        begun:1;   /* has records: a second segment was thought of */

    /* The next segment (journal.c).  `made` is under the lock: the loop may wait for it. */
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

    /* sync.c */
    ngx_http_affiliate_job_t        sync_job;
    struct tracker_sync             sync;
    ngx_event_t                     sync_timer; /* or posted */
    ngx_queue_t                     waiters;    /* by sequence */
};

typedef struct {
    ngx_http_affiliate_main_conf_t *conf;
    ngx_cycle_t                    *cycle;       /* that started this worker; its thread pool runs */
    int                             journal_dir; /* descriptor; -1: the folder could not be opened */
    ngx_queue_t                     held;
    ngx_uint_t                      orphans;
    ngx_http_affiliate_held_t      *own[NGX_HTTP_AFFILIATE_KINDS]; /* NULL: the disk refused it */
    ngx_event_t                     pump;        /* ships what waits: posted, or set to the linger */
    ngx_event_t                     tick;
    ngx_uint_t                      ticks;
    unsigned                        running:1;
} ngx_http_affiliate_wire_t;

extern ngx_http_affiliate_wire_t ngx_http_affiliate_wire;

static ngx_inline uint64_t
ngx_http_affiliate_wall_ms(void)
{
    ngx_time_t *tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}

/* Iterates all held journals.  The body may release `held`, and nothing else of the queue. */
#define ngx_http_affiliate_each_held(held, q, next)                                                      \
    for (q = ngx_queue_head(&ngx_http_affiliate_wire.held);                                              \
         q != ngx_queue_sentinel(&ngx_http_affiliate_wire.held)                                          \
         && (held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue), next = ngx_queue_next(q), 1);   \
         q = next)

/* ---- wire.c ---- */

void       ngx_http_affiliate_event_init(ngx_event_t *ev, ngx_event_handler_pt handler, void *data,
                                         unsigned cancelable);
/* Takes it out of timers and posted events. */
void       ngx_http_affiliate_event_clear(ngx_event_t *ev);
/* run: any thread, with data.  done: the event loop, ev->data = data.  Returns NGX_ERROR when busy. */
ngx_int_t  ngx_http_affiliate_job_post(ngx_http_affiliate_job_t *job, void (*run)(void *data, ngx_log_t *log),
                                       ngx_event_handler_pt done, void *data);
/* NULL: not held by this worker. */
ngx_http_affiliate_held_t *ngx_http_affiliate_find_held(const struct tracker_journal_id *id);
/* Opens <locks_dir>/<name> and takes its lock.  The descriptor, or -1: another process has it. */
int        ngx_http_affiliate_take_lock(const char *name);

/* ---- journal.c ---- */

void       ngx_http_affiliate_journal_create(enum tracker_journal_kind kind);
/* Once a second: creates what is missing, frees what retention lets go. */
void       ngx_http_affiliate_journal_tick(void);
/* After records were committed: orders a spare, sees to it that they are synced. */
void       ngx_http_affiliate_journal_look(ngx_http_affiliate_held_t *held);
/*
 * Starts a new journal in place of this one, which is closed as soon as nobody waits for it; the folder's
 * scan finds it then, and its adopter checks every byte and ships what is left.
 */
void       ngx_http_affiliate_journal_rotate(ngx_http_affiliate_held_t *held);
/* At the worker's end: the thread pool is gone, jobs have run, their completions never will. */
void       ngx_http_affiliate_journal_exit(ngx_http_affiliate_held_t *held);
/* Takes bytes off the folder's count. */
void       ngx_http_affiliate_journal_gave_back(enum tracker_journal_kind kind, uint64_t bytes);

/* ---- sync.c ---- */

void       ngx_http_affiliate_sync_start(void);
void       ngx_http_affiliate_sync_init(ngx_http_affiliate_writer_t *w);
/* Has all that is unsynced on disk within the time configured. */
void       ngx_http_affiliate_sync_soon(ngx_http_affiliate_writer_t *w);
void       ngx_http_affiliate_sync_now(ngx_http_affiliate_writer_t *w);
/* Nobody waits, nothing is under way, nothing is left to do. */
ngx_uint_t ngx_http_affiliate_sync_over(ngx_http_affiliate_writer_t *w);

/* ---- verdict.c; its calls are in ngx_http_affiliate_lead.h ---- */

void       ngx_http_affiliate_verdict_start(void);

/* ---- redis.c ---- */

/* reply is NULL when the connection broke first; it is never an error reply: those break the connection. */
typedef void (*ngx_http_affiliate_reply_pt)(redisReply *reply, void *data);

void       ngx_http_affiliate_redis_start(void);
void       ngx_http_affiliate_redis_stop(void);
ngx_uint_t ngx_http_affiliate_redis_connected(void);
/* NGX_ERROR: not connected; handler is then never called. */
ngx_int_t  ngx_http_affiliate_redis_command(int argc, const char **argv, const size_t *lens,
                                            ngx_http_affiliate_reply_pt handler, void *data);
/* Redis took a write: whatever ailed it is over, and the back-off starts anew next time. */
void       ngx_http_affiliate_redis_good(void);
/* A reply was not what the command gives. */
void       ngx_http_affiliate_redis_broken(const char *why);
/* Once a second: is anything unanswered for too long? */
void       ngx_http_affiliate_redis_tick(void);
/* Writes what is queued, once, without waiting: the last thing before the stop. */
void       ngx_http_affiliate_redis_flush(void);

/* ---- ship.c ---- */

/* false: no memory, no key, or a partition that does not exist. */
bool       ngx_http_affiliate_ship_hold(ngx_http_affiliate_held_t *held);
/* Forgets a journal; replies on their way find nobody. */
void       ngx_http_affiliate_ship_release(ngx_http_affiliate_held_t *held);
void       ngx_http_affiliate_ship_start(void);
void       ngx_http_affiliate_ship_stop(void);
void       ngx_http_affiliate_ship_connected(void);
void       ngx_http_affiliate_ship_disconnected(void);
/* Every tick: asks for acks; every second also for the consumer's heartbeat. */
void       ngx_http_affiliate_ship_tick(ngx_uint_t second);
/* The consumer's present life on a partition, as its heartbeats say; 0: not known. */
uint64_t   ngx_http_affiliate_ship_incarnation(unsigned partition);
/* Asks for the heartbeat of this partition too from now on. */
void       ngx_http_affiliate_ship_listen(unsigned partition);
/* Hands over a CLOSE pack: no record at or after the end will come. */
ngx_int_t  ngx_http_affiliate_ship_close(ngx_http_affiliate_held_t *held);

/* ---- lag.c ---- */

/* Every tick: what waits; every second also since when, and whether that is worth a line in the log. */
void       ngx_http_affiliate_lag_tick(ngx_uint_t second);

/* ---- folder.c; any thread where nothing else is said ---- */

/* <id>.drained */
typedef struct {
    uint64_t incarnation; /* the database's, when it had all; 0: there is no sidecar */
    uint64_t end;         /* first sequence that does not exist */
    uint64_t drained_ms;  /* wall clock, when it was first drained */
} ngx_http_affiliate_sidecar_t;

/* One journal in the folder. */
typedef struct {
    struct tracker_journal_id    id;
    uint64_t                     bytes;
    uint64_t                     modified_ms; /* the newest of its files */
    ngx_http_affiliate_sidecar_t sidecar;
    uint16_t                     partition;
    uint8_t                      kind;        /* 0: its first segment says nothing */
    uint8_t                      whole;       /* it has a first segment */
    uint8_t                      forked;
    uint8_t                      gone;        /* deleted since; the event loop's own */
} ngx_http_affiliate_found_t;

/* All of them, by id. */
typedef struct {
    ngx_http_affiliate_found_t *elts; /* malloc'ed */
    size_t                      n, cap;
} ngx_http_affiliate_folder_t;

/* Fills folder (its memory is used again).  known: the last look, kinds and partitions are taken from it.
 * 0 or negative errno. */
int        ngx_http_affiliate_folder_look(int dir, const ngx_http_affiliate_folder_t *known,
                                          ngx_http_affiliate_folder_t *folder);
/* A missing or broken sidecar only means that the journal is offered again. */
void       ngx_http_affiliate_sidecar_read(int dir, const struct tracker_journal_id *id,
                                           ngx_http_affiliate_sidecar_t *sidecar);
ngx_int_t  ngx_http_affiliate_sidecar_write(int dir, const struct tracker_journal_id *id,
                                            const ngx_http_affiliate_sidecar_t *sidecar);
void       ngx_http_affiliate_sidecar_delete(int dir, const struct tracker_journal_id *id);
/* <id>.forked: never touched again. */
void       ngx_http_affiliate_folder_mark_forked(int dir, const struct tracker_journal_id *id);
/* Renames a journal's segments to <name>.bad.  Returns how many. */
ngx_uint_t ngx_http_affiliate_folder_set_aside(int dir, const struct tracker_journal_id *id);

/* ---- adopt.c ---- */

void       ngx_http_affiliate_adopt_start(void);
void       ngx_http_affiliate_adopt_stop(void);
/* Every tick: are orphans drained?  Every second also a look at the folder. */
void       ngx_http_affiliate_adopt_tick(ngx_uint_t second);
/* Deletes drained journals of a kind, oldest first, until `need` bytes are free.  Returns what was freed. */
uint64_t   ngx_http_affiliate_adopt_free(enum tracker_journal_kind kind, uint64_t need);
/* Sets a forked journal aside for good.  Releases it, if it is an orphan. */
void       ngx_http_affiliate_adopt_forked(ngx_http_affiliate_held_t *held);

/* ---- fetch.c ---- */

void       ngx_http_affiliate_fetch_start(void);
void       ngx_http_affiliate_fetch_stop(void);
/* Every tick: asks for the snapshot's version. */
void       ngx_http_affiliate_fetch_tick(void);

#endif
