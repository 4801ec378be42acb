/* The frame of every decision about money: look, step, look again, write down who did it. */
#include <string.h>

#include "service/audit.h"
#include "service/money_steps.h"

struct attempt {
    struct decision      *decision;
    struct service_error *error;
    enum service_result   result;
};

static enum service_result run(struct db *db, struct decision *decision, struct service_error *error);

static enum db_result
in_transaction(struct db *db, void *ctx)
{
    struct attempt *attempt = ctx;

    /* A retry starts afresh: what the failed attempt saw is gone. */
    json_decref(attempt->decision->after);
    attempt->decision->after = NULL;
    service_error_clear(attempt->error);
    attempt->result = run(db, attempt->decision, attempt->error);
    if (attempt->result == SERVICE_UNAVAILABLE)
        return DB_RETRY; /* a serialization failure inside the step: the whole decision is taken again */
    return attempt->result == SERVICE_OK ? DB_OK : DB_ABORT;
}

enum service_result
decide(struct decision *decision, json_t **object, struct service_error *error)
{
    struct attempt attempt = { decision, error, SERVICE_FAILED };
    enum db_result rc = db_write(decision->service->pool, DB_INTERACTIVE, in_transaction, &attempt);

    if (rc != DB_OK) {
        json_decref(decision->after);
        decision->after = NULL;
        return rc == DB_ABORT ? attempt.result : service_from_db(error, rc, decision->action);
    }
    if (object != NULL)
        *object = decision->after;
    else
        json_decref(decision->after);
    decision->after = NULL;
    return SERVICE_OK;
}

static enum service_result
run(struct db *db, struct decision *decision, struct service_error *error)
{
    json_t             *before = NULL;
    enum service_result result;
    enum db_result      rc = DB_ROW;

    if (decision->id != 0)
        rc = list_one(db, decision->spec, decision->id, &before);
    if (rc == DB_DONE)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such %s.", decision->object_type);
    if (rc != DB_ROW)
        return service_from_db(error, rc, decision->action);

    result = decision->step(db, decision, error);
    if (result == SERVICE_OK) {
        rc = list_one(db, decision->spec, decision->id, &decision->after);
        if (rc == DB_ROW)
            rc = audit_write(decision->service, db, decision->actor, decision->action, decision->object_type,
                             decision->id, before, decision->after, decision->reason);
        if (rc != DB_OK)
            result = service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, decision->action);
    }
    json_decref(before);
    return result;
}
