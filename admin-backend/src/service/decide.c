#include "service/decide.h"

#include <stdlib.h>
#include <string.h>

#include "service/audit.h"
#include "store/once.h"

struct attempt {
    struct decision      *decision;
    struct service_error *error;
    enum service_result   result;
    int64_t               id;     /* as it was asked for: a retry starts from it */
    json_t               *object; /* owned */
};

static enum db_result      in_transaction(struct db *db, void *ctx);
static enum service_result run(struct db *db, struct attempt *attempt);
static enum service_result replay(struct db *db, struct attempt *attempt);
static enum service_result change(struct db *db, struct attempt *attempt);
static enum service_result keep_answer(struct db *db, struct attempt *attempt);

enum service_result
decide(struct decision *decision, json_t **object, struct service_error *error)
{
    const struct service *service = decision->service;
    struct attempt        attempt = { decision, error, SERVICE_FAILED, decision->id, NULL };
    enum db_result        rc = db_write(service->pool, DB_INTERACTIVE, in_transaction, &attempt);

    if (rc == DB_OK)
        attempt.result = SERVICE_OK;
    else if (rc != DB_ABORT)
        attempt.result = service_from_db(error, rc, decision->action);

    if (attempt.result != SERVICE_OK) {
        json_decref(attempt.object);
        return attempt.result;
    }
    if (decision->config && service->config_changed != NULL)
        service->config_changed(service->config_changed_ctx);
    if (object != NULL)
        *object = attempt.object;
    else
        json_decref(attempt.object);
    return SERVICE_OK;
}

static enum db_result
in_transaction(struct db *db, void *ctx)
{
    struct attempt *attempt = ctx;

    /* A retry starts afresh: what the failed attempt saw is gone. */
    json_decref(attempt->object);
    attempt->object = NULL;
    attempt->decision->id = attempt->id;
    attempt->decision->at_us = attempt->decision->service->now_us();
    service_error_clear(attempt->error);

    attempt->result = run(db, attempt);
    if (attempt->result == SERVICE_UNAVAILABLE)
        return DB_RETRY; /* a serialization failure inside the step: the whole decision is taken again */
    return attempt->result == SERVICE_OK ? DB_OK : DB_ABORT;
}

static enum service_result
run(struct db *db, struct attempt *attempt)
{
    struct decision    *decision = attempt->decision;
    enum service_result result = replay(db, attempt);

    if (result != SERVICE_OK || attempt->object != NULL)
        return result;
    if (decision->config) {
        enum db_result rc = config_version_next(db, &decision->version);

        if (rc != DB_OK)
            return service_from_db(attempt->error, rc, "config_version");
    }
    result = change(db, attempt);
    return result == SERVICE_OK ? keep_answer(db, attempt) : result;
}

static enum service_result
replay(struct db *db, struct attempt *attempt)
{
    struct once   *once = attempt->decision->actor->once;
    char          *body = NULL;
    bool           same = false;
    enum db_result rc;

    if (once == NULL)
        return SERVICE_OK;
    once->replayed = false;
    rc = once_find(db, attempt->decision->actor->name, once->key, once->hash, &same, &body);
    if (rc == DB_DONE)
        return SERVICE_OK;
    if (rc != DB_ROW)
        return service_from_db(attempt->error, rc, "once_find");
    if (same) {
        attempt->object = json_loads(body, 0, NULL);
        once->replayed = attempt->object != NULL;
    }
    free(body);
    if (!once->replayed)
        return service_refuse(attempt->error, SERVICE_CONFLICT, "idempotency_key_reused",
                              "This Idempotency-Key was used for another request.");
    return SERVICE_OK;
}

/* The object as the audit log keeps it; a new reference. */
static json_t *
impersonal(const struct list_spec *spec, json_t *object)
{
    json_t *copy;

    if (object == NULL || spec->personal == NULL)
        return json_incref(object);
    copy = json_copy(object);
    for (int i = 0; spec->personal[i] != NULL; i++)
        json_object_del(copy, spec->personal[i]);
    return copy;
}

static enum db_result
write_audit(struct db *db, const struct decision *decision, json_t *before, json_t *after)
{
    json_t        *was = impersonal(decision->spec, before), *is = impersonal(decision->spec, after);
    enum db_result rc = audit_write(db, decision->actor, decision->at_us, decision->action, decision->object_type,
                                    decision->id, was, is, decision->reason);

    json_decref(was);
    json_decref(is);
    return rc;
}

static enum service_result
change(struct db *db, struct attempt *attempt)
{
    struct decision    *decision = attempt->decision;
    json_t             *before = NULL;
    enum service_result result;
    enum db_result      rc = DB_ROW;

    if (decision->id != 0)
        rc = list_seen(db, decision->spec, decision->actor, decision->id, &before);
    if (rc == DB_DONE)
        return service_refuse(attempt->error, SERVICE_NOT_FOUND, "not_found", "There is no such %s.",
                              decision->object_type);
    if (rc != DB_ROW)
        return service_from_db(attempt->error, rc, decision->action);
    list_complete(decision->spec, before, decision->service);

    decision->unchanged = false;
    result = decision->step(db, decision, attempt->error);
    if (result == SERVICE_OK) {
        rc = list_one(db, decision->spec, decision->id, &attempt->object);
        list_complete(decision->spec, attempt->object, decision->service);
        if (rc == DB_ROW && decision->unchanged)
            rc = DB_OK;
        else if (rc == DB_ROW)
            rc = write_audit(db, decision, before, attempt->object);
        if (rc != DB_OK)
            result = service_from_db(attempt->error, rc == DB_DONE ? DB_FAILED : rc, decision->action);
    }
    json_decref(before);
    return result;
}

static enum db_result
claim(struct db *db, void *ctx)
{
    struct attempt *attempt = ctx;

    json_decref(attempt->object);
    attempt->object = NULL;
    service_error_clear(attempt->error);
    attempt->result = replay(db, attempt);
    if (attempt->result == SERVICE_OK && attempt->object == NULL) {
        attempt->object = json_object();
        attempt->result = keep_answer(db, attempt);
    }
    return attempt->result == SERVICE_OK ? DB_OK : DB_ABORT;
}

enum service_result
decide_claim(const struct service *service, const struct actor *actor, struct service_error *error)
{
    struct decision decision = { .service = service, .actor = actor, .at_us = service->now_us() };
    struct attempt  attempt = { .decision = &decision, .error = error, .result = SERVICE_FAILED };
    enum db_result  rc = actor->once == NULL ? DB_OK : db_write(service->pool, DB_INTERACTIVE, claim, &attempt);

    json_decref(attempt.object);
    if (rc == DB_OK)
        return SERVICE_OK;
    return rc == DB_ABORT ? attempt.result : service_from_db(error, rc, "claim");
}

static enum service_result
keep_answer(struct db *db, struct attempt *attempt)
{
    const struct actor *actor = attempt->decision->actor;
    char               *body;
    enum db_result      rc;

    if (actor->once == NULL)
        return SERVICE_OK;
    body = json_dumps(attempt->object, JSON_COMPACT);
    rc = body == NULL ? DB_FAILED
                      : once_keep(db, actor->name, actor->once->key, actor->once->hash, body,
                                  attempt->decision->at_us);
    free(body);
    return rc == DB_OK ? SERVICE_OK : service_from_db(attempt->error, rc, "once_keep");
}
