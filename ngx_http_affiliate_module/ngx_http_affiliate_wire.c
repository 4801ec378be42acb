/*
 * ngx_http_affiliate_wire.c - the wire side of one worker: its start, its clock,
 * its stop, and what its files share.
 */
#include <sys/file.h>

#include "ngx_http_affiliate_wire.h"

ngx_http_affiliate_wire_t ngx_http_affiliate_wire;

static void ngx_http_affiliate_wire_tick(ngx_event_t *ev);
static int ngx_http_affiliate_open_folder(ngx_str_t *path);

ngx_int_t
ngx_http_affiliate_wire_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_http_affiliate_wire_t *wire = &ngx_http_affiliate_wire;

    ngx_memzero(wire, sizeof(*wire));
    wire->conf = amcf;
    wire->cycle = cycle;
    ngx_queue_init(&wire->held);
    ngx_http_affiliate_event_init(&wire->tick, ngx_http_affiliate_wire_tick, wire, 1);

    wire->journal_dir = ngx_http_affiliate_open_folder(&amcf->journal_dir);
    (void) close(ngx_http_affiliate_open_folder(&amcf->locks_dir));
    (void) close(ngx_http_affiliate_open_folder(&amcf->snapshot_dir));

    ngx_http_affiliate_sync_start();
    ngx_http_affiliate_verdict_start();
    ngx_http_affiliate_ship_start();
    ngx_http_affiliate_adopt_start();
    ngx_http_affiliate_fetch_start();
    ngx_http_affiliate_journal_create(TRACKER_JOURNAL_TRAFFIC);
    ngx_http_affiliate_journal_create(TRACKER_JOURNAL_MONEY);
    wire->running = 1;
    ngx_http_affiliate_redis_start();
    ngx_add_timer(&wire->tick, NGX_HTTP_AFFILIATE_TICK);
    return NGX_OK;
}

void
ngx_http_affiliate_wire_exit(ngx_cycle_t *cycle)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;
    ngx_http_affiliate_wire_t *wire = &ngx_http_affiliate_wire;

    if (!wire->running) {
        return;
    }
    wire->running = 0;
    wire->cycle = NULL; /* the thread pool has ended before us: jobs that come up now are done here */
    ngx_http_affiliate_event_clear(&wire->tick);
    ngx_http_affiliate_ship_stop(); /* hands over what it can without waiting */
    ngx_http_affiliate_redis_stop();
    ngx_http_affiliate_fetch_stop();
    ngx_http_affiliate_adopt_stop();

    ngx_http_affiliate_each_held(held, q, next) {
        ngx_http_affiliate_journal_exit(held);
    }
    ngx_memzero(wire->own, sizeof(wire->own));
    if (wire->journal_dir != -1) {
        close(wire->journal_dir);
        wire->journal_dir = -1;
    }
}

/* The clock of the wire side.  Journals are released here and nowhere else, but for forked orphans. */
static void
ngx_http_affiliate_wire_tick(ngx_event_t *ev)
{
    ngx_uint_t                      second;
    ngx_http_affiliate_main_conf_t *conf;

    /* Without a master process a reload frees the cycle that started us. */
    conf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_affiliate_module);
    if (conf != NULL && conf->state != NULL && conf->zone != NULL) {
        ngx_http_affiliate_wire.conf = conf;
    }

    second = ++ngx_http_affiliate_wire.ticks % (1000 / NGX_HTTP_AFFILIATE_TICK) == 0;
    ngx_http_affiliate_adopt_tick(second);
    ngx_http_affiliate_ship_tick(second);
    ngx_http_affiliate_fetch_tick();
    if (second) {
        ngx_http_affiliate_redis_tick();
        ngx_http_affiliate_journal_tick();
    }
    ngx_add_timer(ev, NGX_HTTP_AFFILIATE_TICK);
}

/* Made by the worker, so that it belongs to the worker's user.  The descriptor, or -1. */
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
                      "affiliate: \"%V\" cannot be opened by worker processes: nothing can be recorded; after a "
                      "change of \"user\" give it to the new one (chown -R) and reload nginx", path);
    }
    return fd;
}

int
ngx_http_affiliate_take_lock(const char *name)
{
    int        fd;
    u_char     path[NGX_MAX_PATH];
    ngx_str_t *dir = &ngx_http_affiliate_wire.conf->locks_dir;

    if (ngx_snprintf(path, sizeof(path), "%V/%s%Z", dir, name) == path + sizeof(path)) {
        return -1;
    }
    fd = open((char *) path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
        close(fd);
        fd = -1;
    }
    return fd;
}

ngx_http_affiliate_held_t *
ngx_http_affiliate_find_held(const struct tracker_journal_id *id)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        if (ngx_memcmp(held->identity->id.bytes, id->bytes, sizeof(id->bytes)) == 0) {
            return held;
        }
    }
    return NULL;
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

void
ngx_http_affiliate_event_init(ngx_event_t *ev, ngx_event_handler_pt handler, void *data, unsigned cancelable)
{
    ngx_memzero(ev, sizeof(*ev));
    ev->handler = handler;
    ev->data = data; /* never NULL: debug logs read a connection's fd there */
    ev->log = ngx_cycle->log;
    ev->cancelable = cancelable;
}

void
ngx_http_affiliate_event_clear(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }
}
