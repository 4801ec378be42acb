/*
 * intake.h - what leads come in by, and who gets them: departments, sources, custom fields, forms.
 *
 * Conventions as in catalog.h.
 */
#ifndef AFFILIATED_SERVICE_INTAKE_H
#define AFFILIATED_SERVICE_INTAKE_H

#include "store/list.h"

extern const struct list_spec department_list, source_list;

enum service_result department_create(const struct service *service, const struct actor *actor,
                                      const json_t *body, json_t **object, struct service_error *error);
enum service_result department_edit(const struct service *service, const struct actor *actor, int64_t id,
                                    int64_t if_version, const json_t *patch, json_t **object,
                                    struct service_error *error);

enum service_result source_create(const struct service *service, const struct actor *actor,
                                  const json_t *body, json_t **object, struct service_error *error);
enum service_result source_edit(const struct service *service, const struct actor *actor, int64_t id,
                                int64_t if_version, const json_t *patch, json_t **object,
                                struct service_error *error);

/* References in requests, 0 for none: else `field` is to blame. */
enum service_result intake_check_department(struct db *db, int64_t id, const char *field,
                                            struct service_error *error);
enum service_result intake_check_agent(struct db *db, int64_t id, const char *field,
                                       struct service_error *error);

#endif
