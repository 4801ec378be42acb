#include "service/caps.h"

#include <stdlib.h>

#include "app/log.h"
#include "store/once.h"

#define MS_PER_DAY INT64_C(86400000)
#define FOR_EVER   INT64_C(253402300799000) /* the last second of the year 9999, in milliseconds */

enum service_result
limits_check(const struct limits *limits, struct service_error *error)
{
    if (limits->starts_us != 0 && limits->ends_us != 0 && limits->ends_us <= limits->starts_us)
        return service_invalid(error, "ends_at", "is not after starts_at");
    return SERVICE_OK;
}

static int64_t
capped_until(const struct cap_row *row, int64_t now_ms)
{
    if (row->cap_total > 0 && row->total >= row->cap_total)
        return FOR_EVER;
    if (row->cap_day > 0 && row->today >= row->cap_day)
        return (now_ms / MS_PER_DAY + 1) * MS_PER_DAY;
    return 0;
}

/* A moment that is over needs no word: edges look at their clocks. */
static bool
is_told(const struct cap_row *row, int64_t until_ms, int64_t now_ms)
{
    return row->capped_until_ms == until_ms || (until_ms == 0 && row->capped_until_ms <= now_ms);
}

enum service_result
caps_settle(struct db *db, struct change *change, enum cap_table table, struct service_error *error)
{
    const struct decision *decision = &change->decision;
    int64_t                now_ms = (int64_t) (decision->at_us / 1000), until;
    struct cap_row         row;
    enum db_result         rc = cap_load(db, table, decision->id, now_ms / MS_PER_DAY, &row);

    if (rc == DB_ROW) {
        until = capped_until(&row, now_ms);
        rc = is_told(&row, until, now_ms) ? DB_OK : cap_write(db, table, row.id, until, decision->version);
    }
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "caps");
}

/* ---- after clicks were counted ---- */

struct finding {
    enum cap_table table;
    struct cap_row row;
    int64_t        until_ms;
};
struct round {
    int64_t         now_ms;
    struct finding *found; /* what edges do not know yet */
    size_t          count, cap;
};

static enum db_result
note(void *ctx, enum cap_table table, const struct cap_row *row)
{
    struct round   *round = ctx;
    int64_t         until = capped_until(row, round->now_ms);
    struct finding *grown;

    if (is_told(row, until, round->now_ms))
        return DB_OK;
    if (round->count == round->cap) {
        round->cap = round->cap == 0 ? 16 : round->cap * 2;
        grown = reallocarray(round->found, round->cap, sizeof(*grown));
        if (grown == NULL)
            return DB_FAILED;
        round->found = grown;
    }
    round->found[round->count++] = (struct finding){ table, *row, until };
    return DB_OK;
}

static enum db_result
look(struct db *db, void *ctx)
{
    struct round  *round = ctx;
    int64_t        day = round->now_ms / MS_PER_DAY;
    enum db_result rc;

    round->count = 0;
    rc = caps_each(db, CAP_LINK, day, note, round);
    return rc == DB_OK ? caps_each(db, CAP_CAMPAIGN, day, note, round) : rc;
}

/* Looks again: somebody may have changed a cap in between. */
static enum db_result
tell(struct db *db, void *ctx)
{
    struct round  *round = ctx;
    int64_t        version = 0;
    enum db_result rc = look(db, ctx);

    if (rc == DB_OK && round->count > 0)
        rc = config_version_next(db, &version);
    for (size_t i = 0; rc == DB_OK && i < round->count; i++)
        rc = cap_write(db, round->found[i].table, round->found[i].row.id, round->found[i].until_ms, version);
    return rc;
}

enum db_result
caps_run(const struct service *service)
{
    struct round   round = { .now_ms = (int64_t) (service->now_us() / 1000) };
    enum db_result rc = db_read(service->pool, look, &round);

    if (rc == DB_OK && round.count > 0) {
        rc = db_write(service->pool, DB_BATCH, tell, &round);
        for (size_t i = 0; rc == DB_OK && i < round.count; i++)
            log_info("caps", "%s %lld %s its cap: %lld clicks today, %lld in all",
                     round.found[i].table == CAP_LINK ? "link" : "campaign", (long long) round.found[i].row.id,
                     round.found[i].until_ms == 0 ? "is below" : "has reached", (long long) round.found[i].row.today,
                     (long long) round.found[i].row.total);
        if (rc == DB_OK && round.count > 0 && service->config_changed != NULL)
            service->config_changed(service->config_changed_ctx);
    }
    free(round.found);
    return rc;
}
