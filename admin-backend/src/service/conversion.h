/*
 * conversion.h - reading conversions, and the review of what contradicts them.
 */
#ifndef AFFILIATED_SERVICE_CONVERSION_H
#define AFFILIATED_SERVICE_CONVERSION_H

#include "store/list.h"

extern const struct list_spec conversion_list, refund_list, conflict_list;

/* Of enum tracker_conversion_status: "pending", ..., "chargeback_won", as senders write it. */
const char *conversion_status_name(int status);

/* Somebody looked: the conflict leaves the open ones, with what came of it. */
enum service_result conflict_close(const struct service *service, const struct actor *actor, int64_t id,
                                   int64_t if_version, const char *note, json_t **conflict,
                                   struct service_error *error);

#endif
