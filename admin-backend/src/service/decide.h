/*
 * decide.h - the frame of every change that somebody makes.
 *
 * One transaction: look up an Idempotency-Key, view the object before, run the
 * step, view it after, write the audit row, keep the answer under the key.  A
 * crash anywhere leaves all of it or nothing.
 */
#ifndef AFFILIATED_SERVICE_DECIDE_H
#define AFFILIATED_SERVICE_DECIDE_H

#include "store/list.h"

struct decision {
    const struct service   *service;
    const struct actor     *actor;
    const struct list_spec *spec;        /* how the object is viewed */
    const char             *object_type; /* "commission" */
    const char             *action;      /* audit: "commission.approve" */
    int64_t                 id;          /* 0: the step creates the object and sets it */
    const char             *reason;
    /* edges must know: `version` is a fresh configuration version for the rows it touches */
    bool                    config;
    int64_t                 version;
    bool                    unchanged;   /* out: the step found done what it was to do: no audit row */
    uint64_t                at_us;       /* when: one reading of the clock for rows, history, postings and audit */
    /*
     * Fills *error and returns a result; SERVICE_OK goes on to the audit row and the commit. May run again on
     * a retry.
     */
    enum service_result (*step)(struct db *db, struct decision *decision, struct service_error *error);
    void                   *ctx;         /* the step's own */
};

/* *object: a new reference to the object as it is afterwards (object NULL: not wanted). */
enum service_result decide(struct decision *decision, json_t **object, struct service_error *error);

/*
 * Takes the actor's key for a request that is many decisions; each of them goes on under a key of its own.
 * SERVICE_OK also when the same request took it before: what it did is replayed, what it did not is done.
 */
enum service_result decide_claim(const struct service *service, const struct actor *actor,
                                 struct service_error *error);

#endif
