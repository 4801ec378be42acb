#include "service/upkeep.h"

#include <stdlib.h>

#include "app/log.h"
#include "store/catalog.h"
#include "store/upkeep.h"

#define US_PER_DAY       INT64_C(86400000000)
#define LOG_DAYS_DEFAULT 90
#define FORGET_AT_ONCE   2000 /* lines: a few tens of milliseconds of the writer */
#define FORGET_STEPS     100  /* of one call: a stop shall not wait for all of a year */
#define ENDED_DAYS       30   /* of sessions and invitations: people ask about them for a while */

/* ---- keys that end ---- */

struct warning {
    const struct service *service;
    struct key_warning   *due; /* owned */
    size_t                count;
    uint64_t              now_us;
};

static enum db_result
give_warnings(struct db *db, void *ctx)
{
    struct warning *warning = ctx;

    free(warning->due);
    warning->now_us = warning->service->now_us();
    return key_warnings_give(db, warning->now_us, &warning->due, &warning->count);
}

/* Of a user who is new, or was edited, several may be due: people want to hear of the nearest. */
static bool
is_nearest(const struct key_warning *one, uint64_t now_us)
{
    static const int days[] = { 0, 1, 7, 30 };

    for (size_t i = 0; days[i] < one->days; i++) {
        if (one->expires_us - days[i] * US_PER_DAY <= (int64_t) now_us)
            return false;
    }
    return true;
}

int
keys_warn(const struct service *service)
{
    struct warning warning = { .service = service };
    enum db_result rc = db_write(service->pool, DB_BATCH, give_warnings, &warning);
    int            said = 0;

    for (size_t i = 0; rc == DB_OK && i < warning.count; i++) {
        const struct key_warning *one = &warning.due[i];

        if (!is_nearest(one, warning.now_us))
            continue;
        said++;
        if (one->days == 0)
            log_warn("work", "API user %lld has expired: its requests are refused", (long long) one->api_user_id);
        else
            log_warn("work", "API user %lld expires within %d day%s", (long long) one->api_user_id, one->days,
                     one->days == 1 ? "" : "s");
    }
    free(warning.due);
    return rc == DB_OK ? said : -1;
}

/* ---- what is over ---- */

struct forgetting {
    int64_t now_us;
    bool    left;
};

static enum db_result
log_days(struct db *db, int64_t *days)
{
    char          *text;
    enum db_result rc = setting_get(db, "api_log_days", &text);

    *days = LOG_DAYS_DEFAULT;
    if (rc == DB_OK && text != NULL && atoll(text) > 0)
        *days = atoll(text);
    free(text);
    return rc;
}

static enum db_result
forget_calls(struct db *db, void *ctx)
{
    struct forgetting *forgetting = ctx;
    int64_t            days;
    enum db_result     rc = log_days(db, &days);

    if (rc != DB_OK)
        return rc;
    return api_calls_forget(db, (forgetting->now_us - days * US_PER_DAY) / 1000, FORGET_AT_ONCE, &forgetting->left);
}

static enum db_result
forget_people(struct db *db, void *ctx)
{
    const struct forgetting *forgetting = ctx;

    return people_outside_forget(db, (uint64_t) (forgetting->now_us - ENDED_DAYS * US_PER_DAY));
}

void
outside_forget(const struct service *service)
{
    struct forgetting forgetting = { .now_us = (int64_t) service->now_us() };
    enum db_result    rc = DB_OK;

    forgetting.left = true;
    for (int i = 0; rc == DB_OK && forgetting.left && i < FORGET_STEPS; i++)
        rc = db_write(service->pool, DB_BATCH, forget_calls, &forgetting);
    if (rc == DB_OK)
        rc = db_write(service->pool, DB_BATCH, forget_people, &forgetting);
    if (rc != DB_OK)
        log_warn("work", "what is over was not forgotten: %s", db_last_message());
}
