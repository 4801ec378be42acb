/*
 * intake.h - what leads come in by, and who gets them: departments, sources, custom fields, forms.
 *
 * Conventions as in catalog.h.
 */
#ifndef AFFILIATED_SERVICE_INTAKE_H
#define AFFILIATED_SERVICE_INTAKE_H

#include "store/list.h"

extern const struct list_spec department_list, source_list, custom_field_list, form_list;

/* The whole address of a form that has its "key". */
void form_complete(json_t *form, const struct service *service);

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

enum service_result custom_field_create(const struct service *service, const struct actor *actor, const json_t *body,
                                        json_t **object, struct service_error *error);
enum service_result custom_field_edit(const struct service *service, const struct actor *actor, int64_t id,
                                      int64_t if_version, const json_t *patch, json_t **object,
                                      struct service_error *error);

enum service_result form_create(const struct service *service, const struct actor *actor, const json_t *body,
                                json_t **object, struct service_error *error);
enum service_result form_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                              const json_t *patch, json_t **object, struct service_error *error);
/* action: "activate", "pause", "archive". */
enum service_result form_act(const struct service *service, const struct actor *actor, int64_t id, const char *action,
                             const char *reason, json_t **object, struct service_error *error);
/* What one copies into one's own pages: {"url","iframe","html","script"}. */
enum service_result form_integration(const struct service *service, int64_t id, json_t **object,
                                     struct service_error *error);
/* The very page that edges serve, with nothing filled in: malloc'ed text. */
enum service_result form_preview(const struct service *service, int64_t id, char **page, struct service_error *error);
/* Setting leads_redirect_hosts: every form that leads to a URL leads to one of these hosts (JSON array). */
enum service_result form_check_hosts(struct db *db, const char *hosts, struct service_error *error);

/* References in requests, 0 for none: else `field` is to blame. */
enum service_result intake_check_department(struct db *db, int64_t id, const char *field,
                                            struct service_error *error);
enum service_result intake_check_agent(struct db *db, int64_t id, const char *field,
                                       struct service_error *error);

#endif
