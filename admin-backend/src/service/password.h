/*
 * password.h - Argon2id, and how much of it at once.
 */
#ifndef AFFILIATED_SERVICE_PASSWORD_H
#define AFFILIATED_SERVICE_PASSWORD_H

#include "service/service.h"

#define PASSWORD_MIN      12  /* bytes */
#define PASSWORD_MAX      200
#define PASSWORD_HASH_MAX 128 /* with its NUL */

/* A new password, judged and hashed. email: whose it is, or NULL. Refuses the field "password". */
enum service_result password_keep(const char *password, const char *email, char hash[PASSWORD_HASH_MAX],
                                  struct service_error *error);
/* hash NULL: there is no such account; that takes as long as a wrong password, and never matches. */
enum service_result password_check(const char *hash, const char *password, bool *matches, struct service_error *error);

#endif
