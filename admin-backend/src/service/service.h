/*
 * service.h - one use case, one transaction.
 *
 * Services are what everybody calls: HTTP handlers, the command line, the demo
 * and the derivation of money.  They validate, open the transaction, speak to
 * store and domain, write audit rows, and answer with a result; they know
 * neither HTTP nor JSON shapes of requests.  Layers: http, ingest -> service ->
 * domain, store -> db.
 */
#ifndef AFFILIATED_SERVICE_H
#define AFFILIATED_SERVICE_H

#include <stdint.h>

#include <jansson.h>

#include "db/db.h"
#include "tracker_keys.h"

struct service {
    struct db_pool            *pool;
    const struct tracker_keys *keys;
    uint64_t (*now_us)(void);            /* wall clock; tests bring their own */
    void     (*config_changed)(void *);  /* wakes the snapshot publisher after a commit; may be NULL */
    void      *config_changed_ctx;
    const char *base_url;                /* "http://127.0.0.1:8080": links shown to people */
    const char *click_path;              /* between it and a link's code; NULL: "/c/" */
    const char *form_path;               /* ... and a form's key; NULL: "/f/" */
};

/* A request that must have one effect however often it is sent (the Idempotency-Key header). */
struct once {
    const char *key;      /* 1 to 200 printable bytes, the client's */
    uint8_t     hash[32]; /* of method, path and body: another request under one key is refused */
    bool        replayed; /* out: the effect was there already, the object is the first answer's */
};

/* On whose behalf; goes into audit rows and state changes. */
struct actor {
    char name[48];   /* "staff:3", "api_user:7", "system", "cli" */
    char role[16];   /* "admin", "finance", ...; "system" for ourselves */
    struct once *once; /* NULL: no key was given */
    int64_t id;        /* of the member of staff, or with the role "affiliate" of the affiliate; 0: neither */
};

/* What HTTP turns into a status: one to one. */
enum service_result {
    SERVICE_OK = 0,
    SERVICE_INVALID,      /* 422: fields says which and why */
    SERVICE_NOT_FOUND,    /* 404 */
    SERVICE_CONFLICT,     /* 409: a state, a duplicate, a reference already used */
    SERVICE_STALE,        /* 412: If-Match names an older version */
    SERVICE_FORBIDDEN,    /* 403 */
    SERVICE_UNAVAILABLE,  /* 503: database busy or full; try again */
    SERVICE_FAILED        /* 500: logged with an id, nothing told */
};

/*
 * Why not.  code and message are for clients: no SQL, no paths.  fields is owned here (json_decref'd by
 * service_error_clear).
 */
struct service_error {
    char    code[48];     /* snake_case, stable: "commission_not_pending" */
    char    message[256];
    json_t *fields;       /* {"email": "is not an address"} or NULL */
};

/* Fill *error and return `result`, so that a check reads  return service_refuse(...). */
enum service_result service_refuse(struct service_error *error, enum service_result result,
                                   const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds a field's complaint; the result is SERVICE_INVALID with code "invalid_fields". */
enum service_result service_invalid(struct service_error *error, const char *field, const char *complaint);
void service_error_clear(struct service_error *error);
/* The result a database failure becomes (and its log line, with db_message). */
enum service_result service_from_db(struct service_error *error, enum db_result result, const char *what);

#endif
