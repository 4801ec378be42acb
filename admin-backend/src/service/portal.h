/*
 * portal.h - what affiliates see: themselves, their leads, the log of those, their forms and links (S23).
 *
 * Every list and object says whose it is (store/list.h), and a row of somebody else's is none.  A lead's e-mail address
 * and phone number are shown as the setting "portal_leads" says: masked, or in full.
 */
#ifndef AFFILIATED_SERVICE_PORTAL_H
#define AFFILIATED_SERVICE_PORTAL_H

#include "service/people.h"

extern const struct list_spec portal_user_list, portal_lead_list, portal_log_list, portal_form_list, portal_link_list;

/* As session_open and its like of staff (people.h), with the same limits: address is shared, accounts are not. */
enum service_result portal_open(const struct service *service, const char *email, const char *password,
                                const char *address, char *cookie, struct session *session,
                                struct service_error *error);
enum service_result portal_find(const struct service *service, const char *cookie, struct session *session,
                                struct service_error *error);
enum service_result portal_close(const struct service *service, const char *cookie, struct service_error *error);
/* Who is logged in. */
enum service_result portal_user(const struct service *service, const struct actor *actor, json_t **object,
                                struct service_error *error);
/* Numbers of [from_us, to_us). */
enum service_result portal_dashboard(const struct service *service, const struct actor *actor, int64_t from_us,
                                     int64_t to_us, json_t **object, struct service_error *error);

#endif
