/*
 * catalog.h - what a program consists of: groups, affiliates, campaigns, links, API users, settings.
 *
 * Every call is one decision (decide.h): audited, idempotent under a key, and
 * live at the edges within a second, since it takes a configuration version.
 * `body` is the request's object in the API's shape; objects come back in it.
 */
#ifndef AFFILIATED_SERVICE_CATALOG_H
#define AFFILIATED_SERVICE_CATALOG_H

#include "store/list.h"

extern const struct list_spec program_list, group_list, affiliate_list, campaign_list, link_list, coupon_list;
extern const struct list_spec api_user_list, audit_list;

/* The whole address of a link whose "url" is its tracking domain. */
void link_complete(json_t *link, const struct service *service);

/* if_version 0: whatever the version (no If-Match was sent). */
enum service_result group_create(const struct service *service, const struct actor *actor, const json_t *body,
                                 json_t **object, struct service_error *error);
enum service_result group_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                               const json_t *patch, json_t **object, struct service_error *error);

enum service_result affiliate_create(const struct service *service, const struct actor *actor, const json_t *body,
                                     json_t **object, struct service_error *error);
enum service_result affiliate_edit(const struct service *service, const struct actor *actor, int64_t id,
                                   int64_t if_version, const json_t *patch, json_t **object,
                                   struct service_error *error);
/* action: "approve", "suspend", "terminate", "reopen" (to pending). */
enum service_result affiliate_act(const struct service *service, const struct actor *actor, int64_t id,
                                  const char *action, const char *reason, json_t **object,
                                  struct service_error *error);

enum service_result campaign_create(const struct service *service, const struct actor *actor, const json_t *body,
                                    json_t **object, struct service_error *error);
enum service_result campaign_edit(const struct service *service, const struct actor *actor, int64_t id,
                                  int64_t if_version, const json_t *patch, json_t **object,
                                  struct service_error *error);

enum service_result link_create(const struct service *service, const struct actor *actor, const json_t *body,
                                json_t **object, struct service_error *error);
enum service_result link_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                              const json_t *patch, json_t **object, struct service_error *error);

enum service_result coupon_create(const struct service *service, const struct actor *actor, const json_t *body,
                                  json_t **object, struct service_error *error);
enum service_result coupon_edit(const struct service *service, const struct actor *actor, int64_t id,
                                int64_t if_version, const json_t *patch, json_t **object,
                                struct service_error *error);

/* The answer of creation carries "key", of which only the hash is kept, and "secret", which is kept sealed: once. */
enum service_result api_user_create(const struct service *service, const struct actor *actor, const json_t *body,
                                    json_t **object, struct service_error *error);
enum service_result api_user_edit(const struct service *service, const struct actor *actor, int64_t id,
                                  int64_t if_version, const json_t *patch, json_t **object,
                                  struct service_error *error);
/* action: "activate", "pause". */
enum service_result api_user_act(const struct service *service, const struct actor *actor, int64_t id,
                                 const char *action, const char *reason, json_t **object, struct service_error *error);
/* A second key, so that a partner can rotate without a gap; two active ones at most. The answer carries "key", once. */
enum service_result api_key_add(const struct service *service, const struct actor *actor, int64_t api_user_id,
                                json_t **object, struct service_error *error);
enum service_result api_key_revoke(const struct service *service, const struct actor *actor, int64_t api_user_id,
                                   int64_t key_id, json_t **object, struct service_error *error);

/* Another secret to sign with, at once in place of the old one. The answer carries "secret", once. */
enum service_result api_secret_renew(const struct service *service, const struct actor *actor, int64_t api_user_id,
                                     json_t **object, struct service_error *error);
/* At every start: secrets that an older key of the ring has sealed are sealed with the current one. */
enum service_result api_secrets_reseal(const struct service *service, struct service_error *error);

enum service_result program_edit(const struct service *service, const struct actor *actor, int64_t id,
                                 int64_t if_version, const json_t *patch, json_t **object,
                                 struct service_error *error);
/* The program's settings (most users have one program: the first) and the installation's. */
enum service_result settings_get(const struct service *service, json_t **object, struct service_error *error);
enum service_result settings_edit(const struct service *service, const struct actor *actor, int64_t if_version,
                                  const json_t *patch, json_t **object, struct service_error *error);

/* Makes the first program if there is none (every start); its id. Nobody has named it yet. */
#define PROGRAM_UNNAMED "Affiliate program"
enum service_result program_ensure(const struct service *service, int64_t *id, struct service_error *error);

/* Numbers of [from_us, to_us): see Dashboard in docs/openapi.yaml. */
enum service_result dashboard_get(const struct service *service, int64_t from_us, int64_t to_us, json_t **object,
                                  struct service_error *error);

#endif
