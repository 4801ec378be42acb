/*
 * demo_internal.h - what the parts of the demo share.
 */
#ifndef AFFILIATED_SERVICE_DEMO_INTERNAL_H
#define AFFILIATED_SERVICE_DEMO_INTERNAL_H

#include "service/catalog.h"
#include "service/demo.h"

#define DEMO_GROUPS     3
#define DEMO_AFFILIATES 6
#define DEMO_CAMPAIGNS  2

struct demo {
    const struct service      *service;
    const struct demo_options *options;
    struct service_error      *error;
    json_t                    *file;    /* owned; what stands in it is true or, for the admin, about to be */
    json_t *groups[DEMO_GROUPS], *affiliates[DEMO_AFFILIATES], *campaigns[DEMO_CAMPAIGNS]; /* owned */
    bool                       affiliate_is_new;
};

extern const struct actor demo_actor;

typedef enum service_result (*demo_create)(const struct service *, const struct actor *, const json_t *, json_t **,
                                           struct service_error *);

const char *demo_member(const json_t *object, const char *name);
/* The oldest object that the filters find and whose `key` is `value` (NULL: whatever it is); *object NULL: none. */
enum service_result demo_find(struct demo *demo, const struct list_spec *spec, const struct list_query *query,
                              const char *key, const char *value, json_t **object);
/* Finds the object that has body's `key`, or makes it of body (stolen).  *made tells; NULL: not asked. */
enum service_result demo_ensure(struct demo *demo, const struct list_spec *spec, const char *key, demo_create create,
                                json_t *body, json_t **object, bool *made);
/* The same for an API user, whose key and secret the file has as `name` {"key","secret"} afterwards. */
enum service_result demo_api_user(struct demo *demo, const char *name, json_t *body);
enum service_result demo_write(struct demo *demo);

/* demo_leads.c: who gets leads, a partner that sends some, and two forms. */
enum service_result demo_leads(struct demo *demo);

#endif
