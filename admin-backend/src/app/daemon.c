/*
 * daemon.c - the process that stays: which parts run, in which order they begin and end.
 *
 *     publisher, ingest, work, sender: a thread each.  HTTP: its own threads.  control: one.
 *
 * Signals are blocked everywhere; the first thread waits for them.
 */
#include "app/command.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/control.h"
#include "app/log.h"
#include "http/server.h"
#include "ingest/ingest.h"
#include "ingest/publisher.h"
#include "mail/sender.h"
#include "service/caps.h"
#include "service/catalog.h"
#include "service/lead_confirm.h"
#include "service/money.h"
#include "service/people.h"
#include "service/rollup.h"
#include "service/upkeep.h"

enum { PART_SERVE = 1, PART_INGEST = 2, PART_WORK = 4 };

#define WORK_TICK_MS    100 /* conversions become money this soon */
#define WORK_BATCH      100
#define WORK_PAUSE_MS   1000 /* after a database failure */
#define ROLLUP_EVERY_S  2
#define FORGET_EVERY_S  600
#define LOCK_TRIES      50
#define LOCK_PAUSE_MS   100

struct daemon {
    struct app         *app;
    unsigned            parts;
    struct publisher   *publisher;
    struct ingest      *ingest;
    struct http_server *http;
    struct control     *control;
    struct sender      *sender;
    pthread_t           publisher_thread, ingest_thread, work_thread, sender_thread;
    bool                publishes, ingests, works, sends; /* the thread runs */
    pthread_mutex_t     lock;
    pthread_cond_t      woken;
    bool                stop; /* of work */
};

static bool daemon_start(struct daemon *daemon, char *error);
static void daemon_stop(struct daemon *daemon);
static bool daemon_first_start(struct daemon *daemon, struct command_io *io, char *error);

/* ---- threads ---- */

static void *
publisher_main(void *arg)
{
    publisher_run(arg);
    return NULL;
}

static void *
ingest_main(void *arg)
{
    ingest_run(arg);
    return NULL;
}

static void *
sender_main(void *arg)
{
    sender_run(arg);
    return NULL;
}

/* False: it is time to end. */
static bool
work_wait(struct daemon *daemon, long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&daemon->lock);
    int timed_out = 0;
    while (!daemon->stop && timed_out == 0)
        timed_out = pthread_cond_timedwait(&daemon->woken, &daemon->lock, &until);
    bool go_on = !daemon->stop;
    pthread_mutex_unlock(&daemon->lock);
    return go_on;
}

/* When to look again: where there are very many caps, a tenth of the time goes into them and no more. */
static uint64_t
look_at_caps(const struct service *service)
{
    uint64_t begin = wire_now_ms(), end;

    if (caps_run(service) != DB_OK)
        log_warn("work", "caps were not looked at: %s", db_last_message());
    end = wire_now_ms();
    return end + (end - begin) * 9;
}

/* Money first, then the counting, then housekeeping. */
static void *
work_main(void *arg)
{
    struct daemon        *daemon = arg;
    const struct service *service = &daemon->app->service;
    uint64_t              rollup_ms = 0, caps_ms = 0, forget_ms = 0;
    long                  pause_ms = WORK_TICK_MS;

    while (work_wait(daemon, pause_ms)) {
        int taken = money_derive(service, WORK_BATCH);
        int sealed = taken < 0 ? -1 : money_seal(service, WORK_BATCH);
        pause_ms = taken == WORK_BATCH || sealed == WORK_BATCH ? 0 : WORK_TICK_MS;
        if (taken < 0 || sealed < 0)
            pause_ms = WORK_PAUSE_MS;

        uint64_t now_ms = wire_now_ms();
        if (now_ms >= rollup_ms) {
            if (rollup_run(service->pool) != DB_OK)
                log_warn("work", "clicks were not counted: %s", db_last_message());
            else if (now_ms >= caps_ms)
                caps_ms = look_at_caps(service);
            rollup_ms = now_ms + ROLLUP_EVERY_S * 1000;
        }
        if (now_ms >= forget_ms) {
            people_forget(service);
            outside_forget(service);
            if (keys_warn(service) < 0)
                log_warn("work", "API users that expire were not looked for: %s", db_last_message());
            outbox_forget(service);
            lead_confirm_forget(service);
            forget_ms = now_ms + FORGET_EVERY_S * 1000;
        }
    }
    return NULL;
}

static bool
daemon_ready(void *ctx)
{
    const struct daemon *daemon = ctx;
    return (daemon->ingest == NULL || ingest_ready(daemon->ingest))
           && (daemon->publisher == NULL || publisher_ready(daemon->publisher));
}

/* ---- life ---- */

/* A predecessor that was told to end, or a command, may hold the lock for a moment yet. */
static enum app_lock
daemon_lock(struct app *app, char *error)
{
    for (int tries = 0;; tries++) {
        enum app_lock result = app_lock(app, error);
        if (result != APP_LOCK_HELD || tries == LOCK_TRIES)
            return result;
        poll(NULL, 0, LOCK_PAUSE_MS);
    }
}

static int
daemon_run(struct app *app, struct command_io *io, unsigned parts)
{
    struct daemon daemon = { .app = app, .parts = parts };
    char          error[APP_ERROR_MAX];
    sigset_t      ends;
    int           signal_number, code = COMMAND_FAILED;

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&daemon.woken, &monotonic);
    pthread_mutex_init(&daemon.lock, NULL);

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* every thread inherits it */

    switch (daemon_lock(app, error)) {
    case APP_LOCKED:
        break;
    case APP_LOCK_HELD:
        return command_failed(io, "start", "another affiliated runs with the state folder %s",
                              app->config.state);
    case APP_LOCK_FAILED:
        return command_failed(io, "start", "%s", error);
    }
    if (app_load_keys(app, error) && app_open_writer(app, error) && daemon_first_start(&daemon, io, error)
        && daemon_start(&daemon, error)) {
        log_info("daemon", "ready");
        sigwait(&ends, &signal_number);
        log_info("daemon", "ends by signal %d", signal_number);
        atomic_store(&app->stopping, true);
        code = COMMAND_OK;
    } else {
        log_error("daemon", "cannot start: %s", error);
    }
    daemon_stop(&daemon);
    return code;
}

/*
 * The first program exists always; while nobody can log in, a one-time link is
 * shown: on standard output, never logged.
 */
static bool
daemon_first_start(struct daemon *daemon, struct command_io *io, char *error)
{
    struct service_error refused = { .fields = NULL };
    char                 secret[SECRET_MAX];
    int64_t              program;
    bool                 needed;

    if (program_ensure(&daemon->app->service, &program, &refused) != SERVICE_OK
        || api_secrets_reseal(&daemon->app->service, &refused) != SERVICE_OK
        || ((daemon->parts & PART_SERVE) != 0
            && setup_invite(&daemon->app->service, &needed, secret, &refused) != SERVICE_OK)) {
        snprintf(error, APP_ERROR_MAX, "%s", refused.message);
        service_error_clear(&refused);
        return false;
    }
    if ((daemon->parts & PART_SERVE) != 0 && needed) {
        fprintf(io->out,
                "Nobody can log in yet. Make the first administrator within a day at\n    %s/setup/%s\n",
                daemon->app->config.base_url, secret);
        fflush(io->out);
        explicit_bzero(secret, sizeof(secret));
    }
    return true;
}

static bool
daemon_thread(pthread_t *thread, bool *runs, void *(*run)(void *), void *arg, char *error)
{
    int code = pthread_create(thread, NULL, run, arg);
    *runs = code == 0;
    if (code != 0)
        snprintf(error, APP_ERROR_MAX, "cannot start a thread: %s", strerror(code));
    return *runs;
}

static bool
daemon_start_publisher(struct daemon *daemon, char *error)
{
    const struct publisher_options options = {
        .pool = daemon->app->pool,
        .keys = &daemon->app->keys,
        .redis = app_redis(daemon->app),
        .now_us = app_now_us,
        .agents_path = daemon->app->config.agents,
        .datacentres_path = daemon->app->config.datacentres,
    };
    daemon->publisher = publisher_new(&options);
    if (daemon->publisher == NULL) {
        snprintf(error, APP_ERROR_MAX, "out of memory");
        return false;
    }
    daemon->app->service.config_changed = publisher_wake;
    daemon->app->service.config_changed_ctx = daemon->publisher;
    return daemon_thread(&daemon->publisher_thread, &daemon->publishes, publisher_main, daemon->publisher,
                         error);
}

static bool
daemon_start_ingest(struct daemon *daemon, char *error)
{
    const struct ingest_options options = {
        .pool = daemon->app->pool, .keys = &daemon->app->keys, .redis = app_redis(daemon->app),
        .first = 0, .count = daemon->app->config.partitions, .now_us = app_now_us,
        .base_url = daemon->app->config.base_url,
    };
    daemon->ingest = ingest_new(&options);
    if (daemon->ingest == NULL) {
        snprintf(error, APP_ERROR_MAX, "out of memory");
        return false;
    }
    return daemon_thread(&daemon->ingest_thread, &daemon->ingests, ingest_main, daemon->ingest, error);
}

static bool
daemon_start_http(struct daemon *daemon, char *error)
{
    char *why = NULL;
    const struct http_options options = {
        .socket_path = daemon->app->config.listen_path, .service = &daemon->app->service,
        .ready = daemon_ready, .ready_ctx = daemon,
    };
    daemon->http = http_start(&options, &why);
    if (daemon->http == NULL)
        snprintf(error, APP_ERROR_MAX, "%s", why != NULL ? why : "HTTP does not start");
    free(why);
    return daemon->http != NULL;
}

static bool
daemon_start_work(struct daemon *daemon, char *error)
{
    struct sender_options options = { .service = &daemon->app->service };

    if (!config_smtp(&daemon->app->config, &options.smtp, error, APP_ERROR_MAX))
        return false;
    daemon->sender = sender_new(&options);
    if (daemon->sender == NULL) {
        snprintf(error, APP_ERROR_MAX, "out of memory");
        return false;
    }
    return daemon_thread(&daemon->work_thread, &daemon->works, work_main, daemon, error)
           && daemon_thread(&daemon->sender_thread, &daemon->sends, sender_main, daemon->sender, error);
}

static bool
daemon_start(struct daemon *daemon, char *error)
{
    if ((daemon->parts & PART_SERVE) != 0 && !daemon_start_publisher(daemon, error))
        return false;
    if ((daemon->parts & PART_INGEST) != 0 && !daemon_start_ingest(daemon, error))
        return false;
    if ((daemon->parts & PART_WORK) != 0 && !daemon_start_work(daemon, error))
        return false;
    daemon->control = control_start(daemon->app, error);
    if (daemon->control == NULL)
        return false;
    return (daemon->parts & PART_SERVE) == 0 || daemon_start_http(daemon, error);
}

/* Whoever asks first, those who do the work last. */
static void
daemon_stop(struct daemon *daemon)
{
    if (daemon->http != NULL)
        http_stop(daemon->http);
    control_stop(daemon->control);

    if (daemon->sends) {
        sender_stop(daemon->sender);
        pthread_join(daemon->sender_thread, NULL);
    }
    sender_free(daemon->sender);
    if (daemon->works) {
        pthread_mutex_lock(&daemon->lock);
        daemon->stop = true;
        pthread_cond_signal(&daemon->woken);
        pthread_mutex_unlock(&daemon->lock);
        pthread_join(daemon->work_thread, NULL);
    }
    if (daemon->ingests) {
        ingest_stop(daemon->ingest);
        pthread_join(daemon->ingest_thread, NULL);
    }
    if (daemon->publishes) {
        publisher_stop(daemon->publisher);
        pthread_join(daemon->publisher_thread, NULL);
    }
    daemon->app->service.config_changed = NULL;
    ingest_free(daemon->ingest);
    publisher_free(daemon->publisher);
}

int
command_all(struct app *app, struct command_io *io, int argc, char **argv)
{
    return argc > 1 ? command_usage(io, argv[0]) : daemon_run(app, io, PART_SERVE | PART_INGEST | PART_WORK);
}

int
command_serve(struct app *app, struct command_io *io, int argc, char **argv)
{
    return argc > 1 ? command_usage(io, argv[0]) : daemon_run(app, io, PART_SERVE);
}

int
command_ingest(struct app *app, struct command_io *io, int argc, char **argv)
{
    return argc > 1 ? command_usage(io, argv[0]) : daemon_run(app, io, PART_INGEST);
}

int
command_work(struct app *app, struct command_io *io, int argc, char **argv)
{
    return argc > 1 ? command_usage(io, argv[0]) : daemon_run(app, io, PART_WORK);
}
