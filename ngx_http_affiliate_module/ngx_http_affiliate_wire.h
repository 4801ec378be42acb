/*
 * ngx_http_affiliate_wire.h - what the files of the wire side share: the journals
 * that this worker holds, the one Redis connection, and who calls whom.
 *
 *     journal.c  own journals: reserve, commit, spares, quota, sync
 *     redis.c    the connection: commands out, replies in, time-outs, back-off
 *     ship.c     every held journal: packs out, acks and heartbeats in
 *     adopt.c    the folder: orphans taken, drained, kept, deleted; bytes counted
 *     fetch.c    the snapshot: chunks in, files renamed into place
 *
 * Nothing here ever waits for Redis or for another process.  What takes time on a
 * disk runs in the thread pool; a thread owns what its task was given until the completion
 * handler runs on the event loop.
 */
#ifndef NGX_HTTP_AFFILIATE_WIRE_H
#define NGX_HTTP_AFFILIATE_WIRE_H

#include <hiredis/async.h>

#include "ngx_http_affiliate.h"
#include "tracker_sender.h"

#define NGX_HTTP_AFFILIATE_PARTITIONS  8u /* streams affiliate:events:{0..7} */
#define NGX_HTTP_AFFILIATE_ORPHANS_MAX 8u /* adopted journals a worker holds at a time */
#define NGX_HTTP_AFFILIATE_HELD        (NGX_HTTP_AFFILIATE_ORPHANS_MAX + 2)
#define NGX_HTTP_AFFILIATE_TICK        100 /* ms: acks are read that often */

#define NGX_HTTP_AFFILIATE_KINDS       (TRACKER_JOURNAL_MONEY + 1) /* arrays are indexed by the kind itself */

typedef struct ngx_http_affiliate_writer_s ngx_http_affiliate_writer_t;

/* A journal whose lock this worker holds: one of its own, or an orphan. */
typedef struct {
    ngx_queue_t                            queue; /* in wire.held */
    struct tracker_journal                *journal;
    const struct tracker_journal_identity *identity; /* the journal's */
    uint64_t                               short_id;
    char                                   hex[TRACKER_JOURNAL_HEX_LEN];

    ngx_http_affiliate_writer_t           *writer; /* journal.c; NULL: an orphan */

    struct tracker_sender                  sender;
    struct tracker_sealer                 *sealer;
    ngx_uint_t                             fresh; /* own: records committed since the shipper last looked */
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

typedef struct {
    ngx_http_affiliate_main_conf_t *conf;
    ngx_cycle_t                    *cycle;       /* that started this worker; its thread pool runs */
    int                             journal_dir; /* descriptors; -1: the folder could not be opened */
    ngx_queue_t                     held;
    ngx_uint_t                      orphans;
    ngx_http_affiliate_held_t      *own[NGX_HTTP_AFFILIATE_KINDS]; /* NULL: the disk refused it */
    ngx_event_t                     pump;        /* ships what waits: posted, or set to the linger */
    ngx_event_t                     tick;
    unsigned                        running:1;
} ngx_http_affiliate_wire_t;

extern ngx_http_affiliate_wire_t ngx_http_affiliate_wire;

static ngx_inline uint64_t
ngx_http_affiliate_wall_ms(void)
{
    ngx_time_t *tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}

/* ---- journal.c ---- */

/* run: any thread, with data.  done: the event loop, ev->data = data.  Returns NGX_ERROR when busy. */
ngx_int_t  ngx_http_affiliate_job_post(ngx_http_affiliate_job_t *job, void (*run)(void *data, ngx_log_t *log),
                                       ngx_event_handler_pt done, void *data);

/* Once a second: creates what is missing, frees what retention lets go. */
void       ngx_http_affiliate_journal_tick(void);
/* After records were shipped or committed: orders a spare, arms the sync timer. */
void       ngx_http_affiliate_journal_look(ngx_http_affiliate_held_t *held);
/* Starts a new journal in place of this one, which is closed as soon as nobody waits for it; the folder's scan
 * finds it then, checks every byte, and ships what is left. */
void       ngx_http_affiliate_journal_rotate(ngx_http_affiliate_held_t *held);
/* Takes bytes off the folder's count. */
void       ngx_http_affiliate_journal_gave_back(enum tracker_journal_kind kind, uint64_t bytes);

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

/* false: no memory, or no key. */
bool       ngx_http_affiliate_ship_hold(ngx_http_affiliate_held_t *held);
/* Forgets a journal; replies on their way find nobody. */
void       ngx_http_affiliate_ship_release(ngx_http_affiliate_held_t *held);
void       ngx_http_affiliate_ship_start(void);
void       ngx_http_affiliate_ship_stop(void);
void       ngx_http_affiliate_ship_connected(void);
void       ngx_http_affiliate_ship_disconnected(void);
/* The consumer's present life on a partition, as its heartbeats say; 0: not known. */
uint64_t   ngx_http_affiliate_ship_incarnation(unsigned partition);
/* Asks for the heartbeat of this partition too from now on. */
void       ngx_http_affiliate_ship_listen(unsigned partition);
/* Hands over a CLOSE pack: no record at or after the end will come. */
ngx_int_t  ngx_http_affiliate_ship_close(ngx_http_affiliate_held_t *held);

/* ---- adopt.c ---- */

void       ngx_http_affiliate_adopt_start(void);
void       ngx_http_affiliate_adopt_stop(void);
/* Once a second: looks at the folder in a thread, acts on what it finds. */
void       ngx_http_affiliate_adopt_tick(void);
/* An orphan's ack or end has moved: is it drained? May release it. */
void       ngx_http_affiliate_adopt_check(ngx_http_affiliate_held_t *held);
/* Deletes drained journals of a kind, oldest first, until `need` bytes are free.  Returns what was freed. */
uint64_t   ngx_http_affiliate_adopt_free(enum tracker_journal_kind kind, uint64_t need);
/* Sets a forked journal aside for good. */
void       ngx_http_affiliate_adopt_forked(ngx_http_affiliate_held_t *held);

/* ---- fetch.c ---- */

void       ngx_http_affiliate_fetch_start(void);
void       ngx_http_affiliate_fetch_stop(void);
/* Every tick: asks for the snapshot's version. */
void       ngx_http_affiliate_fetch_tick(void);

#endif
