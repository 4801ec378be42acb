/* Sealing the ledger, and reading single objects of money. */
#include "service/money_steps.h"
#include "store/ledger.h"

/* ---- sealing ---- */

struct sealing {
    int limit, sealed;
};

static enum db_result
seal(struct db *db, void *ctx)
{
    struct sealing *sealing = ctx;

    return ledger_seal(db, sealing->limit, &sealing->sealed);
}

int
money_seal(const struct service *service, int limit)
{
    struct sealing sealing = { .limit = limit };

    return db_write(service->pool, DB_BATCH, seal, &sealing) == DB_OK ? sealing.sealed : -1;
}

/* ---- one object ---- */

struct one {
    const struct list_spec *spec;
    int64_t                 id;
    json_t                 *object;
};

static enum db_result
load_one(struct db *db, void *ctx)
{
    struct one *one = ctx;

    return list_one(db, one->spec, one->id, &one->object);
}

static enum service_result
get(const struct service *service, const struct list_spec *spec, int64_t id, const char *what, json_t **object,
    struct service_error *error)
{
    struct one     one = { spec, id, NULL };
    enum db_result rc = db_read(service->pool, load_one, &one);

    if (rc != DB_ROW && rc != DB_OK && rc != DB_DONE)
        return service_from_db(error, rc, what);
    if (one.object == NULL)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such %s.", what);
    *object = one.object;
    return SERVICE_OK;
}

enum service_result
referral_get(const struct service *service, int64_t id, json_t **referral, struct service_error *error)
{
    return get(service, &referral_list, id, "referral", referral, error);
}

enum service_result
commission_get(const struct service *service, int64_t id, json_t **commission, struct service_error *error)
{
    return get(service, &commission_list, id, "commission", commission, error);
}

enum service_result
payout_get(const struct service *service, int64_t id, json_t **payout, struct service_error *error)
{
    return get(service, &payout_list, id, "payout", payout, error);
}
