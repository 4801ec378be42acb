/*
 * kind.h - one frame for everything that a program consists of.
 *
 * Affiliates, links, API users ... are made and changed alike: read the body by a table of fields, load the row (or
 * begin with the kind's own), see that nobody else changed it meanwhile, lay the fields over it, let the kind say
 * what only it knows, write it, all in one decision (decide.h).  A kind is that table and what it knows.
 */
#ifndef AFFILIATED_SERVICE_KIND_H
#define AFFILIATED_SERVICE_KIND_H

#include "service/decide.h"
#include "service/fields.h"
#include "store/catalog.h"

#define KIND_FIELDS_MAX 24

struct change;
typedef enum service_result (*kind_step)(struct db *db, struct change *change, struct service_error *error);

struct kind {
    const char             *name;      /* "API user", as people read it */
    const char             *object;    /* "api_user": of the audit log */
    const char             *create, *edit; /* actions of the audit log; create NULL: none is made */
    const char             *duplicate; /* "name": what is taken when the database finds two alike */
    const struct field     *fields;
    const struct row_table *table;
    const struct list_spec *list;
    const void             *initial;   /* a new row before its fields */
    bool                    local;     /* edges know nothing of it: its versions are counted from 1 by itself */
    size_t                  program;   /* offset of program_id, which new rows get; 0: they have none */
    kind_step               check;     /* the fields lie over the row, which is not written yet; may be NULL */
    kind_step               written;   /* it is written; may be NULL */
};

/* One change while it is made; what steps see. */
struct change {
    struct decision    decision;
    const struct kind *kind;
    struct value       values[KIND_FIELDS_MAX];
    int64_t            if_version;
    union catalog_row  was; /* as it was loaded; id 0: it is new */
    union catalog_row  row; /* as it will be; texts are those of `was`, of `values`, or the step's own */
    kind_step          alter; /* of kind_alter */
    void              *ctx;   /* the kind's own */
};

enum service_result kind_create(const struct kind *kind, const struct service *service, const struct actor *actor,
                                const json_t *body, void *ctx, json_t **object, struct service_error *error);
enum service_result kind_edit(const struct kind *kind, const struct service *service, const struct actor *actor,
                              int64_t id, int64_t if_version, const json_t *patch, void *ctx, json_t **object,
                              struct service_error *error);
/* A change that is no patch: `alter` does what is to be done to the loaded row (or beside it), then it is written. */
enum service_result kind_alter(const struct kind *kind, const struct service *service, const struct actor *actor,
                               int64_t id, const char *action, const char *reason, kind_step alter, void *ctx,
                               json_t **object, struct service_error *error);

/* Whether a reference leads to a row of that program; else `field` is to blame. */
enum service_result kind_reference(struct db *db, enum catalog_table table, int64_t id, int64_t program_id,
                                   const char *field, struct service_error *error);

#endif
