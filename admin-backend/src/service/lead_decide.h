/*
 * lead_decide.h - from lead facts to leads: what is new, repeated, a duplicate, a conflict, invalid or spam.
 *
 * Each fact is decided in a transaction of its own, those that arrived first before the others; the writer puts two
 * leads of one person in a row.  Who waits at an edge is told by a signed verdict as soon as that is committed.
 */
#ifndef AFFILIATED_SERVICE_LEAD_DECIDE_H
#define AFFILIATED_SERVICE_LEAD_DECIDE_H

#include "service/service.h"
#include "store/lead.h"
#include "tracker_lead.h"

/* Called after the commit: what is to be told of that lead. */
typedef void (*lead_told)(void *ctx, const uint8_t id[TRACKER_LEAD_ID_LEN], const struct tracker_verdict *verdict);

/*
 * At most `limit` facts; how many were taken, or -1 on a database failure (try again later).  One that fails three
 * times is set aside as 'failed', and its row in the log says so.
 */
int lead_decide(const struct service *service, int limit, lead_told told, void *ctx);

/*
 * The mail of an unconfirmed lead was confirmed (lead_confirm.h), in that transaction: assigned and paid for like any
 * other from here on, or rejected, where its person has become somebody else's lead meanwhile.
 */
enum db_result lead_decide_confirmed(const struct service *service, struct db *db, const struct lead_row *lead);

#endif
