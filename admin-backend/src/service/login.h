/*
 * login.h - how often log-ins may fail: by account and by address, whoever logs in where.
 */
#ifndef AFFILIATED_SERVICE_LOGIN_H
#define AFFILIATED_SERVICE_LOGIN_H

#include "service/service.h"

#define LOGIN_WINDOW_S  (15 * 60) /* failed log-ins are counted in windows of this length */
#define LOGIN_EMAIL_MAX 256
#define LOGIN_SUBJECT_MAX 96

struct login_limit {
    char     email[LOGIN_EMAIL_MAX]; /* in lower case */
    char     by_email[LOGIN_SUBJECT_MAX], by_address[LOGIN_SUBJECT_MAX];
    uint64_t window_us;
};

/* realm: "" of staff, "portal " of affiliates.  False: no such e-mail address or password can be. */
bool           login_limit_of(const struct service *service, const char *realm, const char *email,
                              const char *password, const char *address, struct login_limit *limit);
enum db_result login_limited(struct db *db, const struct login_limit *limit, bool *limited);

/* Counts the failure, in a transaction of its own. */
void login_failed(const struct service *service, struct login_limit *limit);

enum service_result login_refuse(struct service_error *error);         /* "login_failed" */
enum service_result login_refuse_limited(struct service_error *error); /* "too_many_attempts" */

#endif
