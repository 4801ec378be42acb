/*
 * people.h - staff: accounts, sessions, tokens, and the first of them all.
 *
 * Passwords are kept as Argon2id, sessions and tokens as SHA-256 of 256 random
 * bits.  An unknown user costs and answers what a wrong password does.
 */
#ifndef AFFILIATED_SERVICE_PEOPLE_H
#define AFFILIATED_SERVICE_PEOPLE_H

#include "service/secret.h"
#include "store/list.h"

#define SESSION_LIFE_S (7 * 86400) /* however busy it is */

extern const struct list_spec staff_list;

/* body: {"email","name"?,"role","password"}.  Object: Staff in docs/openapi.yaml. */
enum service_result staff_create(const struct service *service, const struct actor *actor, const json_t *body,
                                 json_t **object, struct service_error *error);

/* name, role, department, state: a disabled one's sessions and tokens end at once. The last admin stays one. */
enum service_result staff_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                               const json_t *patch, json_t **object, struct service_error *error);

/* A bearer token for scripts; token holds SECRET_MAX bytes. email names the member of staff. */
enum service_result token_create(const struct service *service, const struct actor *actor, const char *email,
                                 const char *name, char *token, struct service_error *error);

/* What an affiliate logs in to the portal with. */
enum service_result affiliate_set_password(const struct service *service, const struct actor *actor, int64_t id,
                                           const char *password, struct service_error *error);

/* ---- the first start ---- */

/*
 * When there is no member of staff yet, makes a one-time secret for the set-up page (valid for a day; an older
 * unused one stops working) and writes it to secret (SECRET_MAX bytes); *needed tells.
 */
enum service_result setup_invite(const struct service *service, bool *needed, char *secret,
                                 struct service_error *error);
/*
 * Makes the first admin with that secret; body {"email","name"?,"password"}. Works once, and only while
 * nobody is there.
 */
enum service_result setup_accept(const struct service *service, const char *secret, const json_t *body,
                                 json_t **object, struct service_error *error);

/* ---- sessions ---- */

struct session {
    struct actor actor;
    int64_t      staff_id;
    char         csrf[SECRET_MAX];
};

/*
 * address: of the client, for the limits.  cookie: SECRET_MAX bytes.
 * SERVICE_FORBIDDEN "login_failed" or "too_many_attempts"; SERVICE_UNAVAILABLE "busy" while many log in at once.
 */
enum service_result session_open(const struct service *service, const char *email, const char *password,
                                 const char *address, char *cookie, struct session *session,
                                 struct service_error *error);
/* Whose cookie or bearer token it is. SERVICE_FORBIDDEN: nobody's (any more). */
enum service_result session_find(const struct service *service, const char *cookie, struct session *session,
                                 struct service_error *error);
enum service_result token_find(const struct service *service, const char *token, struct session *session,
                               struct service_error *error);
enum service_result session_close(const struct service *service, const char *cookie, struct service_error *error);
/* Who a session belongs to, in the API's shape. */
enum service_result staff_get(const struct service *service, int64_t id, json_t **object, struct service_error *error);

/* Old sessions, attempts and idempotency keys are forgotten; called by `work` now and then. */
void people_forget(const struct service *service);

#endif
