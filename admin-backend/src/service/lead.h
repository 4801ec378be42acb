/*
 * lead.h - what people do with leads: read, assign, work on, convert, erase (S27 to S31).
 *
 * An agent's leads are those that are assigned to them or to their departments (store/lead_view.h); every call goes
 * through that.  Nothing personal goes into the audit log.
 */
#ifndef AFFILIATED_SERVICE_LEAD_H
#define AFFILIATED_SERVICE_LEAD_H

#include "store/list.h"

extern const struct list_spec lead_list, lead_log_list, api_call_list;

/* One that somebody typed in: the same normalisation, check for duplicates and assignment as of those that arrive. */
enum service_result lead_create(const struct service *service, const struct actor *actor, const json_t *body,
                                json_t **object, struct service_error *error);
/* Status, tags, names; agent_id and department_id, which agents may not change. */
enum service_result lead_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                              const json_t *patch, json_t **object, struct service_error *error);
/* Whether a patch can be one of any lead. */
enum service_result lead_patch_check(const json_t *patch, struct service_error *error);
enum service_result lead_note(const struct service *service, const struct actor *actor, int64_t id, const char *text,
                              json_t **object, struct service_error *error);
/* A trader with an account (lead_convert.h).  The answer carries "invitation_url" where he has no password, once. */
enum service_result lead_make_trader(const struct service *service, const struct actor *actor, int64_t id,
                                     json_t **object, struct service_error *error);

/* Who sent how many in [from_us, to_us), and what became of them; of an agent's leads only, where one asks. */
enum service_result lead_report_get(const struct service *service, const struct actor *actor, int64_t from_us,
                                    int64_t to_us, bool by_day, json_t **report, struct service_error *error);

/* ---- the person's rights ---- */

/* Ids, times and money stay; the trader goes too where he came of this lead alone. */
enum service_result lead_erase(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
                               struct service_error *error);
/* All that is stored of the person; that it was read is audited. */
enum service_result lead_export(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
                                struct service_error *error);

#endif
