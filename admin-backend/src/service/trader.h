/*
 * trader.h - the advertiser's customers: made by hand or from leads, with accounts and a password of their own.
 *
 * Nobody but the trader ever knows the password: what is given out is a link that works once (S19, S22).
 */
#ifndef AFFILIATED_SERVICE_TRADER_H
#define AFFILIATED_SERVICE_TRADER_H

#include "service/secret.h"
#include "store/list.h"
#include "store/trader.h"

#define TRADER_INVITE_PREFIX "invite_"

extern const struct list_spec trader_list;

enum service_result trader_create(const struct service *service, const struct actor *actor, const json_t *body,
                                  json_t **object, struct service_error *error);
enum service_result trader_edit(const struct service *service, const struct actor *actor, int64_t id,
                                int64_t if_version, const json_t *patch, json_t **object,
                                struct service_error *error);
/* The answer carries "invitation_url", once; older links stop working. */
enum service_result trader_invite(const struct service *service, const struct actor *actor, int64_t id,
                                  json_t **object, struct service_error *error);
/* One more trading account, with a number drawn at random. */
enum service_result trader_account(const struct service *service, const struct actor *actor, int64_t id,
                                   json_t **object, struct service_error *error);
/* An affiliate with this trader's name and address (S4); body: what else an affiliate has. The object is the affiliate. */
enum service_result trader_affiliate(const struct service *service, const struct actor *actor, int64_t id,
                                     const json_t *body, json_t **object, struct service_error *error);

/* The link's owner sets a password. SERVICE_FORBIDDEN "invitation_invalid". */
enum service_result trader_accept(const struct service *service, const char *secret, const char *password,
                                  struct service_error *error);

/* ---- within a transaction ---- */

enum db_result trader_open_account(struct db *db, int64_t trader_id, uint64_t now_us);
/* A new link's secret. */
enum db_result trader_new_invitation(struct db *db, int64_t trader_id, uint64_t now_us, char secret[SECRET_MAX]);
/* Adds the link to an answer; nothing where the secret is empty. Wipes it. */
void           trader_show_invitation(const struct service *service, json_t *object, char secret[SECRET_MAX]);

#endif
