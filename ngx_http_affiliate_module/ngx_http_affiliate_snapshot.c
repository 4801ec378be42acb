/*
 * ngx_http_affiliate_snapshot.c - what this worker looks links and keys up in.
 *
 * A set is a base and maybe a delta on it.  Requests see one set at a time; it
 * is replaced on the event loop, between requests, and lives on while a request that waits has it
 * pinned.  Reading, checking and unmapping files is done in the thread pool: munmap of a
 * large base alone takes milliseconds.
 *
 * A bad file is refused, counted and said once; what was good stays.
 */
#include "ngx_http_affiliate_request.h"

#include <sys/mman.h>

#define NGX_HTTP_AFFILIATE_WATCH_MS   100
#define NGX_HTTP_AFFILIATE_FILE_TICKS 10 /* the files themselves are looked at every second */

/* One file, mapped and checked; shared by the sets it is part of. */
typedef struct {
    struct tracker_snapshot_file file;
    ngx_uint_t                   sets;
    dev_t                        dev;
    ino_t                        ino;
    off_t                        size;
    struct timespec              modified;
} ngx_http_affiliate_mapping_t;

typedef struct {
    struct tracker_snapshot       snapshot;
    ngx_http_affiliate_mapping_t *base;
    ngx_http_affiliate_mapping_t *delta; /* NULL: none */
    ngx_uint_t                    refs;  /* being current is one, each pin is one */
} ngx_http_affiliate_set_t;

/* What a thread is asked to load; it owns this until the completion runs. */
typedef struct {
    const struct tracker_keys    *keys;
    const char                   *base_path;
    const char                   *delta_path;    /* NULL: a fixed file has none */
    ngx_http_affiliate_mapping_t *old_base;      /* kept alive: an unchanged file is not read again */
    ngx_http_affiliate_mapping_t *base, *delta;  /* result; base == old_base when that has not changed */
    ngx_uint_t                    unfit;         /* result: the delta is on another base */
    const char                   *wrong_path;    /* result: NULL, or the file that was refused ... */
    const char                   *wrong;         /* ... why ... */
    ngx_err_t                     error;         /* ... and errno, or 0 */
} ngx_http_affiliate_load_t;

static struct {
    ngx_http_affiliate_main_conf_t *conf;
    ngx_http_affiliate_set_t       *current;
    ngx_uint_t                      serial;  /* of current, from 1: what was worked out from an older one is void */
    ngx_http_affiliate_set_t       *loading; /* the set that the load in flight keeps alive, or NULL */
    ngx_thread_task_t              *task;    /* ctx: ngx_http_affiliate_load_t */
    ngx_uint_t                      busy;
    ngx_uint_t                      wanted;  /* something changed and no load was started for it yet */
    ngx_atomic_uint_t               generation;
    ngx_uint_t                      ticks;
    ngx_file_info_t                 seen[2]; /* of base and delta at the last attempt; zeros: not there */
    ngx_event_t                     watch;
    char                           *base_path, *delta_path;
} ngx_http_affiliate_snapshots;

/* nginx looks a timer that is left at exit up by its connection's fd */
static ngx_connection_t ngx_http_affiliate_dumb;

static ngx_int_t ngx_http_affiliate_snapshot_paths(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);
static void ngx_http_affiliate_snapshot_watch(ngx_event_t *ev);
static ngx_uint_t ngx_http_affiliate_snapshot_changed(void);
static ngx_uint_t ngx_http_affiliate_snapshot_file_changed(const char *path, ngx_file_info_t *seen);
static void ngx_http_affiliate_snapshot_prepare(ngx_http_affiliate_load_t *load);
static void ngx_http_affiliate_snapshot_load(void *data, ngx_log_t *log);
static void ngx_http_affiliate_snapshot_loaded(ngx_event_t *ev);
static void ngx_http_affiliate_snapshot_install(ngx_http_affiliate_load_t *load, ngx_log_t *log);
static ngx_http_affiliate_mapping_t *ngx_http_affiliate_snapshot_map(ngx_http_affiliate_load_t *load,
                                                                     const char *path,
                                                                     ngx_http_affiliate_mapping_t *old);
static ngx_http_affiliate_mapping_t *ngx_http_affiliate_snapshot_map_fd(ngx_http_affiliate_load_t *load,
                                                                        ngx_fd_t fd,
                                                                        ngx_http_affiliate_mapping_t *old);
static void ngx_http_affiliate_snapshot_release(ngx_http_affiliate_set_t *set);
static void ngx_http_affiliate_snapshot_unpin(void *data);
static void ngx_http_affiliate_snapshot_unmap(ngx_http_affiliate_mapping_t *mapping);
static void ngx_http_affiliate_snapshot_unmap_in_thread(void *data, ngx_log_t *log);
static void ngx_http_affiliate_snapshot_unmapped(ngx_event_t *ev);

const struct tracker_snapshot *
ngx_http_affiliate_snapshot(void)
{
    ngx_http_affiliate_set_t *set = ngx_http_affiliate_snapshots.current;

    return set != NULL ? &set->snapshot : NULL;
}

ngx_uint_t
ngx_http_affiliate_snapshot_serial(void)
{
    return ngx_http_affiliate_snapshots.serial;
}

const struct tracker_snapshot *
ngx_http_affiliate_snapshot_pin(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_affiliate_set_t *set = ngx_http_affiliate_snapshots.current;

    if (set == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }
    cln->handler = ngx_http_affiliate_snapshot_unpin;
    cln->data = set;
    set->refs++;
    return &set->snapshot;
}

static void
ngx_http_affiliate_snapshot_unpin(void *data)
{
    ngx_http_affiliate_snapshot_release(data);
}

/* ---- a worker's start and stop ---- */

ngx_int_t
ngx_http_affiliate_snapshot_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_http_affiliate_load_t *load;

    ngx_http_affiliate_snapshots.conf = amcf;
    if (ngx_http_affiliate_snapshot_paths(cycle, amcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_affiliate_snapshots.task = ngx_thread_task_alloc(cycle->pool, sizeof(ngx_http_affiliate_load_t));
    if (ngx_http_affiliate_snapshots.task == NULL) {
        return NGX_ERROR;
    }
    load = ngx_http_affiliate_snapshots.task->ctx;

    /* here and now, so that the first request finds it; the
     * generation is read first, or a change were missed */
    (void) ngx_http_affiliate_snapshot_changed();
    ngx_http_affiliate_snapshot_prepare(load);
    ngx_http_affiliate_snapshot_load(load, cycle->log);
    ngx_http_affiliate_snapshot_install(load, cycle->log);

    ngx_http_affiliate_dumb.fd = (ngx_socket_t) -1;
    ngx_http_affiliate_snapshots.watch.handler = ngx_http_affiliate_snapshot_watch;
    ngx_http_affiliate_snapshots.watch.log = cycle->log;
    ngx_http_affiliate_snapshots.watch.data = &ngx_http_affiliate_dumb;
    ngx_http_affiliate_snapshots.watch.cancelable = 1;
    ngx_add_timer(&ngx_http_affiliate_snapshots.watch, NGX_HTTP_AFFILIATE_WATCH_MS);
    return NGX_OK;
}

/* The mappings go with the process: requests may still end after this. */
void
ngx_http_affiliate_snapshot_exit(ngx_cycle_t *cycle)
{
    if (ngx_http_affiliate_snapshots.watch.timer_set) {
        ngx_del_timer(&ngx_http_affiliate_snapshots.watch);
    }
}

static ngx_int_t
ngx_http_affiliate_snapshot_paths(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    size_t len = amcf->snapshot_dir.len + sizeof("/" NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA);

    if (amcf->snapshot_file.len != 0) {
        ngx_http_affiliate_snapshots.base_path = (char *) amcf->snapshot_file.data;
        ngx_http_affiliate_snapshots.delta_path = NULL;
        return NGX_OK;
    }

    ngx_http_affiliate_snapshots.base_path = ngx_pnalloc(cycle->pool, len);
    ngx_http_affiliate_snapshots.delta_path = ngx_pnalloc(cycle->pool, len);
    if (ngx_http_affiliate_snapshots.base_path == NULL || ngx_http_affiliate_snapshots.delta_path == NULL) {
        return NGX_ERROR;
    }
    ngx_sprintf((u_char *) ngx_http_affiliate_snapshots.base_path, "%V/%s%Z", &amcf->snapshot_dir,
                NGX_HTTP_AFFILIATE_SNAPSHOT_BASE);
    ngx_sprintf((u_char *) ngx_http_affiliate_snapshots.delta_path, "%V/%s%Z", &amcf->snapshot_dir,
                NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA);
    return NGX_OK;
}

/* ---- watching ---- */

static void
ngx_http_affiliate_snapshot_watch(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ngx_http_affiliate_snapshots.task;

    ngx_http_affiliate_snapshots.wanted |= ngx_http_affiliate_snapshot_changed();

    if (ngx_http_affiliate_snapshots.wanted && !ngx_http_affiliate_snapshots.busy) {
        ngx_http_affiliate_snapshot_prepare(task->ctx);
        task->handler = ngx_http_affiliate_snapshot_load;
        task->event.handler = ngx_http_affiliate_snapshot_loaded;
        task->event.data = task->ctx;
        task->event.log = ev->log;

        if (ngx_thread_task_post(ngx_http_affiliate_snapshots.conf->thread_pool, task) == NGX_OK) {
            ngx_http_affiliate_snapshots.busy = 1;
            ngx_http_affiliate_snapshots.wanted = 0;
            ngx_http_affiliate_snapshots.loading = ngx_http_affiliate_snapshots.current;
            if (ngx_http_affiliate_snapshots.loading != NULL) {
                ngx_http_affiliate_snapshots.loading->refs++;
            }
        }
    }
    ngx_add_timer(ev, NGX_HTTP_AFFILIATE_WATCH_MS);
}

/*
 * True when there is something new to load, and notes what was seen: a bad file is tried once.  The fetcher's
 * word is the quick way, but it has no way to workers of another zone, as those of the other binary are while nginx is
 * upgraded: so the files are looked at too.
 */
static ngx_uint_t
ngx_http_affiliate_snapshot_changed(void)
{
    ngx_uint_t        changed = 0;
    ngx_atomic_uint_t generation = ngx_http_affiliate_snapshots.conf->zone->snapshot_generation;

    if (ngx_http_affiliate_snapshots.delta_path != NULL) { /* fetched files */
        changed = generation != ngx_http_affiliate_snapshots.generation;
        ngx_http_affiliate_snapshots.generation = generation;
    }
    if (ngx_http_affiliate_snapshots.ticks++ % NGX_HTTP_AFFILIATE_FILE_TICKS != 0 && !changed) {
        return 0;
    }
    changed |= ngx_http_affiliate_snapshot_file_changed(ngx_http_affiliate_snapshots.base_path,
                                                        &ngx_http_affiliate_snapshots.seen[0]);
    if (ngx_http_affiliate_snapshots.delta_path != NULL) {
        changed |= ngx_http_affiliate_snapshot_file_changed(ngx_http_affiliate_snapshots.delta_path,
                                                            &ngx_http_affiliate_snapshots.seen[1]);
    }
    return changed;
}

static ngx_uint_t
ngx_http_affiliate_snapshot_file_changed(const char *path, ngx_file_info_t *seen)
{
    ngx_uint_t      changed;
    ngx_file_info_t fi;

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {
        if (path == ngx_http_affiliate_snapshots.base_path) {
            return 0; /* nothing to load: the old one serves on */
        }
        ngx_memzero(&fi, sizeof(fi));
    }
    if (ngx_http_affiliate_snapshots.delta_path == NULL) { /* a fixed file is its own publisher */
        ngx_http_affiliate_zone->snapshot_checked_ms = (ngx_atomic_uint_t) ngx_time() * 1000;
    }
    changed = fi.st_dev != seen->st_dev || fi.st_ino != seen->st_ino || fi.st_size != seen->st_size
              || fi.st_mtim.tv_sec != seen->st_mtim.tv_sec || fi.st_mtim.tv_nsec != seen->st_mtim.tv_nsec;
    *seen = fi;
    return changed;
}

/* ---- loading: prepare and install on the event loop, load in any thread ---- */

static void
ngx_http_affiliate_snapshot_prepare(ngx_http_affiliate_load_t *load)
{
    ngx_memzero(load, sizeof(*load));
    load->keys = ngx_http_affiliate_snapshots.conf->keys;
    load->base_path = ngx_http_affiliate_snapshots.base_path;
    load->delta_path = ngx_http_affiliate_snapshots.delta_path;
    if (ngx_http_affiliate_snapshots.current != NULL) {
        load->old_base = ngx_http_affiliate_snapshots.current->base;
    }
}

static void
ngx_http_affiliate_snapshot_load(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_load_t *load = data;

    load->base = ngx_http_affiliate_snapshot_map(load, load->base_path, load->old_base);
    if (load->base == NULL || load->delta_path == NULL) {
        return;
    }

    load->delta = ngx_http_affiliate_snapshot_map(load, load->delta_path, NULL);
    if (load->delta != NULL && !tracker_snapshot_fits(&load->base->file, &load->delta->file)) {
        /* the files are renamed one after the other: the next generation brings the pair */
        ngx_http_affiliate_snapshot_unmap_in_thread(&load->delta, log);
        load->delta = NULL;
        load->unfit = 1;
    }
}

static void
ngx_http_affiliate_snapshot_loaded(ngx_event_t *ev)
{
    ngx_http_affiliate_set_t *kept = ngx_http_affiliate_snapshots.loading;

    ngx_http_affiliate_snapshots.busy = 0;
    ngx_http_affiliate_snapshots.loading = NULL;
    ngx_http_affiliate_snapshot_install(ev->data, ev->log);
    if (kept != NULL) {
        ngx_http_affiliate_snapshot_release(kept);
    }
}

static void
ngx_http_affiliate_snapshot_install(ngx_http_affiliate_load_t *load, ngx_log_t *log)
{
    ngx_http_affiliate_set_t *set, *old = ngx_http_affiliate_snapshots.current;

    if (load->wrong_path != NULL) {
        ngx_http_affiliate_count(SNAPSHOTS_REFUSED);
        ngx_log_error(NGX_LOG_ERR, log, load->error, "affiliate: the snapshot \"%s\" is refused: %s",
                      load->wrong_path, load->wrong);
    }
    if (load->base == NULL) {
        return;
    }

    /* a delta that cannot be used must not undo the one in use */
    if ((load->wrong_path != NULL || load->unfit) && old != NULL && old->base == load->base) {
        return;
    }

    set = ngx_calloc(sizeof(*set), log);
    if (set == NULL) {
        return; /* the mapping is lost with it; the old set serves on */
    }
    set->refs = 1;
    set->base = load->base;
    set->base->sets++;
    set->snapshot.base = &set->base->file;
    if (load->delta != NULL) {
        set->delta = load->delta;
        set->delta->sets++;
        set->snapshot.delta = &set->delta->file;
    }

    ngx_http_affiliate_snapshots.current = set;
    ngx_http_affiliate_snapshots.serial++;
    ngx_http_affiliate_slot->snapshot_version = tracker_snapshot_version(&set->snapshot);
    ngx_http_affiliate_slot->snapshot_created_ms = set->delta != NULL ? set->delta->file.info.created_ms
                                                                      : set->base->file.info.created_ms;
    ngx_http_affiliate_count(SNAPSHOTS_LOADED);
    if (old != NULL) {
        ngx_http_affiliate_snapshot_release(old);
    }
}

/* Any thread.  NULL: load says why, or there is no such file, which is not wrong. */
static ngx_http_affiliate_mapping_t *
ngx_http_affiliate_snapshot_map(ngx_http_affiliate_load_t *load, const char *path,
                                ngx_http_affiliate_mapping_t *old)
{
    ngx_fd_t                      fd;
    ngx_http_affiliate_mapping_t *mapping;

    fd = ngx_open_file(path, NGX_FILE_RDONLY | NGX_FILE_NONBLOCK, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        if (ngx_errno != NGX_ENOENT || load->delta_path == NULL) {
            load->wrong_path = path;
            load->wrong = "it cannot be opened";
            load->error = ngx_errno;
        }
        return NULL;
    }

    mapping = ngx_http_affiliate_snapshot_map_fd(load, fd, old);
    if (mapping == NULL) {
        load->wrong_path = path;
    }
    (void) ngx_close_file(fd);
    return mapping;
}

static ngx_http_affiliate_mapping_t *
ngx_http_affiliate_snapshot_map_fd(ngx_http_affiliate_load_t *load, ngx_fd_t fd,
                                   ngx_http_affiliate_mapping_t *old)
{
    u_char                       *bytes;
    ngx_file_info_t               fi;
    ngx_http_affiliate_mapping_t *mapping;

    load->error = 0;
    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi) || fi.st_size == 0) {
        load->wrong = "it is not a file with content";
        return NULL;
    }

    if (old != NULL && old->dev == fi.st_dev && old->ino == fi.st_ino && old->size == fi.st_size
        && old->modified.tv_sec == fi.st_mtim.tv_sec && old->modified.tv_nsec == fi.st_mtim.tv_nsec)
    {
        return old;
    }

    mapping = calloc(1, sizeof(*mapping));
    bytes = mmap(NULL, fi.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (mapping == NULL || bytes == MAP_FAILED) {
        load->wrong = "it cannot be mapped";
        load->error = ngx_errno;
        free(mapping);
        return NULL;
    }

    if (tracker_snapshot_open(bytes, fi.st_size, load->keys, &mapping->file, &load->wrong) != 0) {
        (void) munmap(bytes, fi.st_size);
        free(mapping);
        return NULL;
    }
    mapping->dev = fi.st_dev;
    mapping->ino = fi.st_ino;
    mapping->size = fi.st_size;
    mapping->modified = fi.st_mtim;
    return mapping;
}

/* ---- letting go ---- */

static void
ngx_http_affiliate_snapshot_release(ngx_http_affiliate_set_t *set)
{
    if (--set->refs != 0) {
        return;
    }
    if (--set->base->sets == 0) {
        ngx_http_affiliate_snapshot_unmap(set->base);
    }
    if (set->delta != NULL && --set->delta->sets == 0) {
        ngx_http_affiliate_snapshot_unmap(set->delta);
    }
    ngx_free(set);
}

/* In a thread of the pool; here, when the pool takes nothing or the worker is going. */
static void
ngx_http_affiliate_snapshot_unmap(ngx_http_affiliate_mapping_t *mapping)
{
    ngx_pool_t        *pool;
    ngx_thread_task_t *task;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    /* a small pool of the task's own, destroyed when it is done: nothing piles up over a worker's life */
    pool = ngx_create_pool(512, ngx_cycle->log);
    task = pool != NULL ? ngx_thread_task_alloc(pool, sizeof(void *) * 2) : NULL;
    if (task != NULL) {
        ((void **) task->ctx)[0] = mapping;
        ((void **) task->ctx)[1] = pool;
        task->handler = ngx_http_affiliate_snapshot_unmap_in_thread;
        task->event.handler = ngx_http_affiliate_snapshot_unmapped;
        task->event.data = task->ctx;
        if (ngx_thread_task_post(ngx_http_affiliate_snapshots.conf->thread_pool, task) == NGX_OK) {
            return;
        }
    }
    ngx_http_affiliate_snapshot_unmap_in_thread(&mapping, ngx_cycle->log);
    if (pool != NULL) {
        ngx_destroy_pool(pool);
    }
}

static void
ngx_http_affiliate_snapshot_unmap_in_thread(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_mapping_t *mapping = *(ngx_http_affiliate_mapping_t **) data;

    (void) munmap((void *) mapping->file.bytes, mapping->file.len);
    free(mapping);
}

static void
ngx_http_affiliate_snapshot_unmapped(ngx_event_t *ev)
{
    ngx_pool_t *pool = ((void **) ev->data)[1];

    ngx_destroy_pool(pool);
}
