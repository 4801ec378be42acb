#include "service/login.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "service/password.h"
#include "store/people.h"

#define WINDOW_US           (LOGIN_WINDOW_S * UINT64_C(1000000))
#define ATTEMPTS_BY_EMAIL   10
#define ATTEMPTS_BY_ADDRESS 50

/* Whose attempts are counted.  Hashed under our key: people type passwords into the field for the address, too. */
static void
name_subject(const struct service *service, const char *realm, const char *kind, const char *text,
             char subject[LOGIN_SUBJECT_MAX])
{
    uint8_t hash[TRACKER_KEY_LEN];
    char    hex[2 * sizeof(hash) + 1];

    tracker_keys_derive(service->keys, service->keys->current, "affiliate log-in v1", text, strlen(text), hash);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    snprintf(subject, LOGIN_SUBJECT_MAX, "%s%s:%s", realm, kind, hex);
}

/* An address is one, wherever it tries: both realms share its attempts. */
bool
login_limit_of(const struct service *service, const char *realm, const char *email, const char *password,
               const char *address, struct login_limit *limit)
{
    if (email == NULL || password == NULL || strlen(email) >= LOGIN_EMAIL_MAX || strlen(password) > PASSWORD_MAX)
        return false;
    for (size_t i = 0; i <= strlen(email); i++)
        limit->email[i] = (char) (email[i] >= 'A' && email[i] <= 'Z' ? email[i] + 32 : email[i]);
    limit->window_us = service->now_us() / WINDOW_US * WINDOW_US;
    name_subject(service, realm, "email", limit->email, limit->by_email);
    name_subject(service, "", "address", address, limit->by_address);
    return true;
}

enum db_result
login_limited(struct db *db, const struct login_limit *limit, bool *limited)
{
    int64_t        by_email = 0, by_address = 0;
    enum db_result rc = attempts_failed(db, limit->by_email, limit->window_us, &by_email);

    if (rc == DB_OK)
        rc = attempts_failed(db, limit->by_address, limit->window_us, &by_address);
    *limited = by_email >= ATTEMPTS_BY_EMAIL || by_address >= ATTEMPTS_BY_ADDRESS;
    return rc;
}

static enum db_result
note_failure(struct db *db, void *ctx)
{
    const struct login_limit *limit = ctx;
    enum db_result            rc = attempt_note(db, limit->by_email, limit->window_us);

    return rc == DB_OK ? attempt_note(db, limit->by_address, limit->window_us) : rc;
}

void
login_failed(const struct service *service, struct login_limit *limit)
{
    (void) db_write(service->pool, DB_INTERACTIVE, note_failure, limit);
}

enum service_result
login_refuse(struct service_error *error)
{
    return service_refuse(error, SERVICE_FORBIDDEN, "login_failed", "E-mail address or password is wrong.");
}

enum service_result
login_refuse_limited(struct service_error *error)
{
    return service_refuse(error, SERVICE_FORBIDDEN, "too_many_attempts",
                          "Too many failed log-ins: try again in 15 minutes.");
}
