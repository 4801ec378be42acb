/*
 * app.c - opens what a command needs, in the order that leaves nothing half done.
 */
#include "app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/migrate.h"

#define READERS 6u

void
app_init(struct app *app)
{
    memset(app, 0, sizeof(*app));
    config_init(&app->config);
    app->lock = -1;
}

void
app_clear(struct app *app)
{
    db_pool_close(app->pool);
    app->pool = NULL;
    if (app->has_keys)
        tracker_keys_clear(&app->keys);
    if (app->lock >= 0)
        close(app->lock);
    config_clear(&app->config);
}

uint64_t
app_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

struct wire_address
app_redis(const struct app *app)
{
    return (struct wire_address){
        .path = app->config.redis_path, .host = app->config.redis_host, .port = app->config.redis_port
    };
}

/* ---- keys ---- */

bool
app_load_keys(struct app *app, char *error)
{
    char        text[TRACKER_KEYS_FILE_MAX + 1];
    const char *why;
    int         line;

    int fd = open(app->config.key_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, APP_ERROR_MAX, "cannot read the key file %s: %s%s", app->config.key_file,
                 strerror(errno), errno == ENOENT ? " (make it with \"affiliated keygen\")" : "");
        return false;
    }
    ssize_t len = read(fd, text, sizeof(text));
    close(fd);
    if (len < 0 || (size_t) len > TRACKER_KEYS_FILE_MAX) {
        snprintf(error, APP_ERROR_MAX, "the key file %s is %s", app->config.key_file,
                 len < 0 ? strerror(errno) : "too long");
        return false;
    }

    int result = tracker_keys_parse(&app->keys, (struct tracker_str){ text, (size_t) len }, &why, &line);
    explicit_bzero(text, sizeof(text));
    if (result != 0) {
        snprintf(error, APP_ERROR_MAX, "the key file %s, line %d: %s", app->config.key_file, line, why);
        return false;
    }
    app->has_keys = true;
    return true;
}

/* ---- the database ---- */

static void
app_service(struct app *app)
{
    app->service = (struct service){
        .pool = app->pool,
        .keys = app->has_keys ? &app->keys : NULL,
        .now_us = app_now_us,
        .base_url = app->config.base_url,
        .click_path = app->config.click_path,
        .form_path = app->config.form_path,
    };
}

static bool
app_opened(struct app *app, char *why, char *error)
{
    if (app->pool == NULL) {
        snprintf(error, APP_ERROR_MAX, "%s", why != NULL ? why : "out of memory");
        free(why);
        return false;
    }
    app_service(app);
    return true;
}

bool
app_open_writer(struct app *app, char *error)
{
    char *why = NULL;

    app->pool = db_pool_open(app->config.database, READERS, &why);
    return app_opened(app, why, error) && migrate_apply(app->pool, app_now_us(), error, APP_ERROR_MAX);
}

bool
app_open_readers(struct app *app, char *error)
{
    char *why = NULL;

    app->pool = db_pool_open_readers(app->config.database, 2, &why);
    return app_opened(app, why, error) && migrate_check(app->pool, error, APP_ERROR_MAX);
}

/* ---- the lock ---- */

enum app_lock
app_lock(struct app *app, char *error)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/affiliated.lock", app->config.state);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(error, APP_ERROR_MAX, "cannot open the lock in %s: %s", app->config.state, strerror(errno));
        return APP_LOCK_FAILED;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        close(fd);
        if (why == EWOULDBLOCK)
            return APP_LOCK_HELD;
        snprintf(error, APP_ERROR_MAX, "cannot lock %s: %s", app->config.state, strerror(why));
        return APP_LOCK_FAILED;
    }
    app->lock = fd;
    return APP_LOCKED;
}

bool
app_become_owner(struct app *app, char *error)
{
    struct stat st;

    if (geteuid() != 0)
        return true;
    if (stat(app->config.state, &st) != 0) {
        snprintf(error, APP_ERROR_MAX, "cannot look at the state folder %s: %s", app->config.state,
                 strerror(errno));
        return false;
    }
    if (st.st_uid == 0)
        return true;
    if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0) {
        snprintf(error, APP_ERROR_MAX, "cannot act as the owner of %s: %s", app->config.state,
                 strerror(errno));
        return false;
    }
    return true;
}
