/*
 * partner.h - the partner API: who calls, and what is his own.
 *
 * The edge has looked already, before a body was read; here everything is looked at again: whatever stands in a header
 * is no identity.  Refusals have the edge's codes.
 */
#ifndef AFFILIATED_SERVICE_PARTNER_H
#define AFFILIATED_SERVICE_PARTNER_H

#include "store/partner.h"
#include "tracker_snapshot.h"

struct partner {
    int64_t              api_user_id;
    enum tracker_role    role;
    struct partner_scope scope; /* an affiliate's user: its own; an advertiser's: its program's */
};

/*
 * key: as sent, or NULL; address: text, of the client, or NULL; scope: one bit of TRACKER_SCOPE_*.  SERVICE_FORBIDDEN
 * with "key_missing", "key_unknown" (both 401), "user_paused", "key_expired", "ip_denied", "scope_denied".
 */
enum service_result partner_authenticate(const struct service *service, const char *key, const char *address,
                                         uint32_t scope, struct partner *out, struct service_error *error);

/* *page: list_run's. list is one of store/partner.h; the query is the caller's, without whose rows. */
enum service_result partner_page(const struct service *service, const struct partner *partner,
                                 const struct list_spec *list, struct list_query *query, json_t **page,
                                 struct service_error *error);
/* PartnerLead of docs/openapi.yaml, or what else became of what was sent; "lead_unknown": nothing yet, or not his. */
enum service_result partner_lead(const struct service *service, const struct partner *partner, const char *uid,
                                 json_t **lead, struct service_error *error);
/* from, to: RFC 3339, NULL: the last 30 days. */
enum service_result partner_numbers(const struct service *service, const struct partner *partner, const char *from,
                                    const char *to, json_t **out, struct service_error *error);

/*
 * Whose an autologin is, told once to the platform of its program.  *out NULL with SERVICE_OK: the lead is not here
 * yet, ask again.  "autologin_invalid", "autologin_expired", "autologin_used", "autologin_refused".
 */
enum service_result partner_autologin(const struct service *service, const struct partner *partner, const char *token,
                                      json_t **out, struct service_error *error);

#endif
