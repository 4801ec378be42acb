/*
 * ngx_http_affiliate_fetch.c - brings the snapshot from Redis to <state>/snapshot.
 *
 * One worker of the edge does it: the one that holds the lock on <state>/locks/snapshot.
 * It polls the hash affiliate:snapshot, and when a base or delta is new fetches its
 * chunks affiliate:snapshot:<hash, hex>:<n>, has a thread check and write them, renames
 * them into place, and tells all workers by zone->snapshot_generation.  One file
 * at a time, the base before the delta on it.  Whatever goes wrong, the last good files stay.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_CHUNK         (1u << 20)   /* bytes */
#define NGX_HTTP_AFFILIATE_SNAPSHOT_MAX  (256u << 20) /* bytes; beyond, affiliated sync-snapshot brings it */
#define NGX_HTTP_AFFILIATE_CHUNKS_FLYING 4
#define NGX_HTTP_AFFILIATE_FETCH_TICKS   2    /* poll every 200 ms */
#define NGX_HTTP_AFFILIATE_FETCH_RETRY   5000 /* ms, after a disk or memory that refused */
#define NGX_HTTP_AFFILIATE_HASH_HEX      (TRACKER_SNAPSHOT_HASH_LEN * 2)

enum { NGX_HTTP_AFFILIATE_BASE = 0, NGX_HTTP_AFFILIATE_DELTA, NGX_HTTP_AFFILIATE_FILES };

/* What the publisher offers, or we have. */
typedef struct {
    u_char   hash[TRACKER_SNAPSHOT_HASH_LEN];
    size_t   size;
    unsigned present:1;
} ngx_http_affiliate_file_t;

typedef enum {
    NGX_HTTP_AFFILIATE_FETCH_IDLE = 0,
    NGX_HTTP_AFFILIATE_FETCH_POLLING,  /* the hash was asked for */
    NGX_HTTP_AFFILIATE_FETCH_FETCHING, /* chunks are under way */
    NGX_HTTP_AFFILIATE_FETCH_THREAD    /* the job is busy and owns bytes and verdict */
} ngx_http_affiliate_fetch_e;

static struct {
    ngx_http_affiliate_fetch_e phase;
    int                        lock; /* -1: another worker fetches */
    ngx_uint_t                 ticks;
    ngx_msec_t                 not_before;
    unsigned                   waits:1;      /* not_before counts */
    unsigned                   looked:1;     /* `have` is known */
    ngx_http_affiliate_file_t  have[NGX_HTTP_AFFILIATE_FILES];
    u_char                     refused[NGX_HTTP_AFFILIATE_FILES][TRACKER_SNAPSHOT_HASH_LEN];

    /* The file being fetched. */
    ngx_uint_t                 which;
    ngx_http_affiliate_file_t  want;
    u_char                    *bytes; /* malloc'ed, want.size */
    size_t                     asked, flying, got; /* chunks */
    unsigned                   spoiled:1;

    /* The thread's. */
    ngx_http_affiliate_job_t   job;
    struct tracker_keys        keys; /* a copy: without master process a reload wipes the cycle's */
    char                       dir[NGX_MAX_PATH];
    const char                *refusal; /* the file is bad: why */
    int                        error;   /* the disk refused: errno */
} fetch;

static const char *ngx_http_affiliate_file_name[] = { NGX_HTTP_AFFILIATE_SNAPSHOT_BASE,
                                                      NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA };

static ngx_uint_t ngx_http_affiliate_fetch_lock(void);
static void ngx_http_affiliate_fetch_look(void);
static void ngx_http_affiliate_fetch_poll(void);
static void ngx_http_affiliate_fetch_polled(redisReply *reply, void *data);
static void ngx_http_affiliate_fetch_begin(ngx_uint_t which, const ngx_http_affiliate_file_t *offer);
static void ngx_http_affiliate_fetch_ask(void);
static void ngx_http_affiliate_fetch_chunk(redisReply *reply, void *data);
static void ngx_http_affiliate_fetch_end(void);
static void ngx_http_affiliate_fetch_write(void);
static void ngx_http_affiliate_fetch_drop_delta(void);

/* Every tick. */
void
ngx_http_affiliate_fetch_tick(void)
{
    if (ngx_http_affiliate_wire.conf->snapshot_file.len != 0 || fetch.phase != NGX_HTTP_AFFILIATE_FETCH_IDLE
        || ++fetch.ticks % NGX_HTTP_AFFILIATE_FETCH_TICKS != 0 || !ngx_http_affiliate_fetch_lock())
    {
        return;
    }
    if (fetch.waits && ngx_http_affiliate_ahead(fetch.not_before)) {
        return;
    }
    fetch.waits = 0;
    if (!fetch.looked) {
        ngx_http_affiliate_fetch_look();
    } else if (ngx_http_affiliate_redis_connected()) {
        ngx_http_affiliate_fetch_poll();
    }
}

/* True when this worker is the one that fetches. */
static ngx_uint_t
ngx_http_affiliate_fetch_lock(void)
{
    if (ngx_exiting) { /* the new workers do */
        if (fetch.lock != -1) {
            close(fetch.lock);
            fetch.lock = -1;
        }
        return 0;
    }
    if (fetch.lock != -1) {
        return 1;
    }
    fetch.lock = ngx_http_affiliate_take_lock("snapshot");
    fetch.looked = 0;
    return fetch.lock != -1;
}

/* Gives the thread a job; the phase is its own until `done` runs. */
static void
ngx_http_affiliate_fetch_thread(void (*run)(void *data, ngx_log_t *log), ngx_event_handler_pt done)
{
    ngx_str_t *dir = &ngx_http_affiliate_wire.conf->snapshot_dir;

    fetch.keys = *ngx_http_affiliate_wire.conf->keys;
    fetch.refusal = NULL;
    fetch.error = 0;
    ngx_cpystrn((u_char *) fetch.dir, dir->data, ngx_min(dir->len + 1, sizeof(fetch.dir)));
    fetch.phase = NGX_HTTP_AFFILIATE_FETCH_THREAD;
    (void) ngx_http_affiliate_job_post(&fetch.job, run, done, NULL);
}

static void
ngx_http_affiliate_fetch_idle(void)
{
    free(fetch.bytes);
    fetch.bytes = NULL;
    fetch.phase = NGX_HTTP_AFFILIATE_FETCH_IDLE;
}

/* Comes back later, for a trouble that is not the publisher's. */
static void
ngx_http_affiliate_fetch_later(ngx_err_t err, const char *what)
{
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err, "affiliate: %s in \"%V\"", what,
                  &ngx_http_affiliate_wire.conf->snapshot_dir);
    fetch.not_before = ngx_current_msec + NGX_HTTP_AFFILIATE_FETCH_RETRY;
    fetch.waits = 1;
    ngx_http_affiliate_fetch_idle();
}

/* ---- what is there already ---- */

/* Thread. */
static void
ngx_http_affiliate_look_at(ngx_uint_t which)
{
    int                          fd, dir;
    void                        *map;
    struct stat                  st;
    const char                  *error;
    struct tracker_snapshot_file file;
    ngx_http_affiliate_file_t   *have = &fetch.have[which];

    ngx_memzero(have, sizeof(*have));
    dir = open(fetch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = dir == -1 ? -1 : openat(dir, ngx_http_affiliate_file_name[which], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (dir != -1) {
        close(dir);
    }
    if (fd == -1) {
        return;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        map = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) {
            if (tracker_snapshot_open(map, (size_t) st.st_size, &fetch.keys, &file, &error) == 0) {
                have->present = 1;
                ngx_memcpy(have->hash, file.info.hash, sizeof(have->hash));
            }
            munmap(map, (size_t) st.st_size);
        }
    }
    close(fd);
}

static void
ngx_http_affiliate_look_run(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_look_at(NGX_HTTP_AFFILIATE_BASE);
    ngx_http_affiliate_look_at(NGX_HTTP_AFFILIATE_DELTA);
}

static void
ngx_http_affiliate_look_done(ngx_event_t *ev)
{
    fetch.job.busy = 0;
    fetch.looked = 1;
    ngx_http_affiliate_fetch_idle();
}

static void
ngx_http_affiliate_fetch_look(void)
{
    ngx_http_affiliate_fetch_thread(ngx_http_affiliate_look_run, ngx_http_affiliate_look_done);
}

/* ---- what is offered ---- */

static void
ngx_http_affiliate_fetch_poll(void)
{
    static const char  *argv[] = { "HMGET", "affiliate:snapshot", "base_hash", "base_size", "base_chunks",
                                   "delta_hash", "delta_size", "delta_chunks" };
    static const size_t lens[] = { 5, 18, 9, 9, 11, 10, 10, 12 };

    if (ngx_http_affiliate_redis_command(8, argv, lens, ngx_http_affiliate_fetch_polled, NULL) == NGX_OK) {
        fetch.phase = NGX_HTTP_AFFILIATE_FETCH_POLLING;
    }
}

/* Three fields of the hash.  Not present: there is none, or it makes no sense. */
static void
ngx_http_affiliate_fetch_offer(redisReply **field, ngx_http_affiliate_file_t *offer)
{
    ngx_int_t  size, chunks, byte;
    ngx_uint_t i;

    ngx_memzero(offer, sizeof(*offer));
    for (i = 0; i < 3; i++) {
        if (field[i]->type != REDIS_REPLY_STRING) {
            return;
        }
    }
    if (field[0]->len != NGX_HTTP_AFFILIATE_HASH_HEX) {
        return;
    }
    for (i = 0; i < TRACKER_SNAPSHOT_HASH_LEN; i++) {
        byte = ngx_hextoi((u_char *) field[0]->str + 2 * i, 2);
        if (byte == NGX_ERROR) {
            return;
        }
        offer->hash[i] = (u_char) byte;
    }
    size = ngx_atoi((u_char *) field[1]->str, field[1]->len);
    chunks = ngx_atoi((u_char *) field[2]->str, field[2]->len);
    if (size <= 0 || size > (ngx_int_t) NGX_HTTP_AFFILIATE_SNAPSHOT_MAX
        || chunks != (size + (ngx_int_t) NGX_HTTP_AFFILIATE_CHUNK - 1) / (ngx_int_t) NGX_HTTP_AFFILIATE_CHUNK)
    {
        return;
    }
    offer->size = (size_t) size;
    offer->present = 1;
}

/* Is this file to be fetched? */
static ngx_uint_t
ngx_http_affiliate_fetch_news(ngx_uint_t which, const ngx_http_affiliate_file_t *offer)
{
    ngx_http_affiliate_file_t *have = &fetch.have[which];

    return offer->present
           && (!have->present || ngx_memcmp(have->hash, offer->hash, sizeof(have->hash)) != 0)
           && ngx_memcmp(fetch.refused[which], offer->hash, sizeof(offer->hash)) != 0;
}

static void
ngx_http_affiliate_fetch_polled(redisReply *reply, void *data)
{
    ngx_http_affiliate_file_t offer[NGX_HTTP_AFFILIATE_FILES];

    fetch.phase = NGX_HTTP_AFFILIATE_FETCH_IDLE;
    if (reply == NULL) {
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 6) {
        ngx_http_affiliate_redis_broken("its answer to HMGET is no list of fields");
        return;
    }
    ngx_http_affiliate_fetch_offer(&reply->element[0], &offer[NGX_HTTP_AFFILIATE_BASE]);
    ngx_http_affiliate_fetch_offer(&reply->element[3], &offer[NGX_HTTP_AFFILIATE_DELTA]);
    if (offer[NGX_HTTP_AFFILIATE_BASE].present) {
        ngx_http_affiliate_zone->snapshot_checked_ms = (ngx_atomic_uint_t) ngx_http_affiliate_wall_ms();
    }

    if (ngx_http_affiliate_fetch_news(NGX_HTTP_AFFILIATE_BASE, &offer[NGX_HTTP_AFFILIATE_BASE])) {
        ngx_http_affiliate_fetch_begin(NGX_HTTP_AFFILIATE_BASE, &offer[NGX_HTTP_AFFILIATE_BASE]);
        return;
    }
    /* A delta is on the base that is offered beside it: unless we have that, it waits. */
    if (!offer[NGX_HTTP_AFFILIATE_BASE].present || !fetch.have[NGX_HTTP_AFFILIATE_BASE].present
        || ngx_memcmp(offer[NGX_HTTP_AFFILIATE_BASE].hash, fetch.have[NGX_HTTP_AFFILIATE_BASE].hash,
                      TRACKER_SNAPSHOT_HASH_LEN) != 0)
    {
        return;
    }
    if (ngx_http_affiliate_fetch_news(NGX_HTTP_AFFILIATE_DELTA, &offer[NGX_HTTP_AFFILIATE_DELTA])) {
        ngx_http_affiliate_fetch_begin(NGX_HTTP_AFFILIATE_DELTA, &offer[NGX_HTTP_AFFILIATE_DELTA]);

    } else if (reply->element[3]->type == REDIS_REPLY_STRING && reply->element[3]->len == 0
               && fetch.have[NGX_HTTP_AFFILIATE_DELTA].present)
    {
        ngx_http_affiliate_fetch_drop_delta();
    }
}

/* ---- chunks ---- */

static void
ngx_http_affiliate_fetch_begin(ngx_uint_t which, const ngx_http_affiliate_file_t *offer)
{
    fetch.bytes = malloc(offer->size);
    if (fetch.bytes == NULL) {
        ngx_http_affiliate_fetch_later(ngx_errno, "no memory for a snapshot");
        return;
    }
    fetch.phase = NGX_HTTP_AFFILIATE_FETCH_FETCHING;
    fetch.which = which;
    fetch.want = *offer;
    fetch.asked = fetch.flying = fetch.got = 0;
    fetch.spoiled = 0;
    ngx_http_affiliate_fetch_ask();
}

static void
ngx_http_affiliate_fetch_ask(void)
{
    size_t       chunks = (fetch.want.size + NGX_HTTP_AFFILIATE_CHUNK - 1) / NGX_HTTP_AFFILIATE_CHUNK;
    size_t       lens[] = { 3, 0 };
    u_char       key[sizeof("affiliate:snapshot::") + NGX_HTTP_AFFILIATE_HASH_HEX + NGX_SIZE_T_LEN], *p;
    const char  *argv[] = { "GET", (const char *) key };

    while (!fetch.spoiled && fetch.asked < chunks && fetch.flying < NGX_HTTP_AFFILIATE_CHUNKS_FLYING) {
        p = ngx_cpymem(key, "affiliate:snapshot:", sizeof("affiliate:snapshot:") - 1);
        p = ngx_hex_dump(p, fetch.want.hash, sizeof(fetch.want.hash));
        p = ngx_sprintf(p, ":%uz", fetch.asked);
        lens[1] = (size_t) (p - key);
        if (ngx_http_affiliate_redis_command(2, argv, lens, ngx_http_affiliate_fetch_chunk,
                                             (void *) (uintptr_t) fetch.asked)
            != NGX_OK)
        {
            fetch.spoiled = 1;
            break;
        }
        fetch.asked++;
        fetch.flying++;
    }
    if (fetch.flying == 0) {
        ngx_http_affiliate_fetch_end();
    }
}

static void
ngx_http_affiliate_fetch_chunk(redisReply *reply, void *data)
{
    size_t n = (size_t) (uintptr_t) data, at = n * NGX_HTTP_AFFILIATE_CHUNK, len;

    fetch.flying--;
    len = ngx_min(fetch.want.size - at, NGX_HTTP_AFFILIATE_CHUNK);
    if (reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == len) {
        ngx_memcpy(fetch.bytes + at, reply->str, len);
        fetch.got++;
    } else {
        fetch.spoiled = 1; /* published anew meanwhile, or Redis was emptied: the next poll sees */
    }
    ngx_http_affiliate_fetch_ask();
}

/* Nothing is under way any more. */
static void
ngx_http_affiliate_fetch_end(void)
{
    if (fetch.spoiled) {
        ngx_http_affiliate_fetch_idle();
        return;
    }
    ngx_http_affiliate_fetch_write();
}

/* ---- checking and writing ---- */

/* Thread.  0 or errno. */
static int
ngx_http_affiliate_write_file(int dir, const char *name)
{
    int     fd, error = 0;
    char    tmp[16];
    size_t  done = 0;
    ssize_t n;

    snprintf(tmp, sizeof(tmp), "%s.tmp", name);
    fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        return errno;
    }
    while (done < fetch.want.size && error == 0) {
        n = write(fd, fetch.bytes + done, fetch.want.size - done);
        if (n > 0) {
            done += (size_t) n;
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? ENOSPC : errno;
        }
    }
    if (error == 0 && fsync(fd) == -1) {
        error = errno;
    }
    close(fd);
    if (error == 0 && renameat(dir, tmp, dir, name) == -1) {
        error = errno;
    }
    if (error != 0) {
        unlinkat(dir, tmp, 0);
    }
    return error;
}

/* Thread.  NULL: it is what was announced. */
static const char *
ngx_http_affiliate_check_file(void)
{
    const char                  *error;
    struct tracker_snapshot_file file;

    if (tracker_snapshot_open(fetch.bytes, fetch.want.size, &fetch.keys, &file, &error) != 0) {
        return error;
    }
    if (memcmp(file.info.hash, fetch.want.hash, sizeof(fetch.want.hash)) != 0) {
        return "it is not the one that was announced";
    }
    if (file.info.delta != (fetch.which == NGX_HTTP_AFFILIATE_DELTA)) {
        return "a delta where a base belongs, or the other way round";
    }
    if (file.info.delta
        && memcmp(file.info.base_hash, fetch.have[NGX_HTTP_AFFILIATE_BASE].hash, sizeof(file.info.base_hash))
               != 0)
    {
        return "it is on another base than the one beside it";
    }
    return NULL;
}

/* Thread. */
static void
ngx_http_affiliate_write_run(void *data, ngx_log_t *log)
{
    int dir;

    fetch.refusal = ngx_http_affiliate_check_file();
    if (fetch.refusal != NULL) {
        return;
    }
    dir = open(fetch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir == -1) {
        fetch.error = errno;
        return;
    }
    fetch.error = ngx_http_affiliate_write_file(dir, ngx_http_affiliate_file_name[fetch.which]);
    if (fetch.error == 0) {
        if (fetch.which == NGX_HTTP_AFFILIATE_BASE) {
            /* It is on the old base; the new one holds all that it said. */
            (void) unlinkat(dir, NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA, 0);
        }
        (void) fsync(dir);
    }
    close(dir);
}

static void
ngx_http_affiliate_write_done(ngx_event_t *ev)
{
    fetch.job.busy = 0;

    if (fetch.refusal != NULL) {
        ngx_memcpy(fetch.refused[fetch.which], fetch.want.hash, sizeof(fetch.want.hash));
        ngx_http_affiliate_count(SNAPSHOTS_REFUSED);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "affiliate: the published snapshot %s is refused: %s; "
                      "the last good one stays (is the key file the backend's?)",
                      ngx_http_affiliate_file_name[fetch.which], fetch.refusal);
        ngx_http_affiliate_fetch_idle();
        return;
    }
    if (fetch.error != 0) {
        ngx_http_affiliate_fetch_later(fetch.error, "a snapshot could not be written");
        return;
    }
    fetch.have[fetch.which] = fetch.want;
    if (fetch.which == NGX_HTTP_AFFILIATE_BASE) {
        fetch.have[NGX_HTTP_AFFILIATE_DELTA].present = 0;
    }
    (void) ngx_atomic_fetch_add(&ngx_http_affiliate_wire.conf->zone->snapshot_generation, 1);
    ngx_http_affiliate_fetch_idle();
    if (fetch.lock != -1 && ngx_http_affiliate_redis_connected()) {
        ngx_http_affiliate_fetch_poll(); /* the delta on a new base follows at once */
    }
}

static void
ngx_http_affiliate_fetch_write(void)
{
    ngx_http_affiliate_fetch_thread(ngx_http_affiliate_write_run, ngx_http_affiliate_write_done);
}

/* Thread. */
static void
ngx_http_affiliate_drop_run(void *data, ngx_log_t *log)
{
    int dir = open(fetch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir == -1 || (unlinkat(dir, NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA, 0) == -1 && errno != ENOENT)) {
        fetch.error = errno;
    }
    if (dir != -1) {
        close(dir);
    }
}

static void
ngx_http_affiliate_drop_done(ngx_event_t *ev)
{
    fetch.job.busy = 0;
    if (fetch.error != 0) {
        ngx_http_affiliate_fetch_later(fetch.error, "a delta could not be removed");
        return;
    }
    fetch.have[NGX_HTTP_AFFILIATE_DELTA].present = 0;
    (void) ngx_atomic_fetch_add(&ngx_http_affiliate_wire.conf->zone->snapshot_generation, 1);
    ngx_http_affiliate_fetch_idle();
}

static void
ngx_http_affiliate_fetch_drop_delta(void)
{
    ngx_http_affiliate_fetch_thread(ngx_http_affiliate_drop_run, ngx_http_affiliate_drop_done);
}

void
ngx_http_affiliate_fetch_start(void)
{
    ngx_memzero(&fetch, sizeof(fetch));
    fetch.lock = -1;
}

void
ngx_http_affiliate_fetch_stop(void)
{
    if (fetch.lock != -1) {
        close(fetch.lock);
    }
    free(fetch.bytes);
    tracker_keys_clear(&fetch.keys);
    ngx_memzero(&fetch, sizeof(fetch));
    fetch.lock = -1;
}
