/*
 * app.h - what one process of affiliated holds: configuration, keys, database, service.
 */
#ifndef AFFILIATED_APP_H
#define AFFILIATED_APP_H

#include <stdatomic.h>
#include <stdio.h>

#include "app/config.h"
#include "ingest/wire.h"
#include "service/service.h"

#define APP_ERROR_MAX 512

struct app {
    struct config       config;
    const char         *config_path; /* as given with -c, or NULL */
    struct tracker_keys keys;
    bool                has_keys;
    struct db_pool     *pool;
    struct service      service;
    atomic_bool         stopping;    /* long jobs end at their next step */
    int                 lock;        /* fd of <state>/affiliated.lock, or -1 */
};

void app_init(struct app *app);
void app_clear(struct app *app); /* closes everything, wipes the keys, lets the lock go */

/* Each: false with a sentence in error (APP_ERROR_MAX bytes). */
bool app_load_keys(struct app *app, char *error);
/* To read and write: only who holds the lock may. Migrates. */
bool app_open_writer(struct app *app, char *error);
/* To read beside whoever writes. */
bool app_open_readers(struct app *app, char *error);

enum app_lock {
    APP_LOCKED = 0,
    APP_LOCK_HELD,  /* by another process */
    APP_LOCK_FAILED /* error is filled */
};
/* One process writes: takes <state>/affiliated.lock. */
enum app_lock app_lock(struct app *app, char *error);
/* Root acts as the owner of the state folder, so that no file is left that the daemon cannot open. */
bool app_become_owner(struct app *app, char *error);

struct wire_address app_redis(const struct app *app);
uint64_t            app_now_us(void); /* wall clock */

/* Where a command reads and writes; the same at a terminal and through the daemon. */
struct command_io {
    FILE       *out, *err;
    const char *input; /* what stood on standard input, for commands that ask for it, else NULL */
};

#endif
