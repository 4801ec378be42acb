/*
 * lead_assign.h - who gets a lead.
 */
#ifndef AFFILIATED_SERVICE_LEAD_ASSIGN_H
#define AFFILIATED_SERVICE_LEAD_ASSIGN_H

#include "store/lead.h"

/*
 * Sets agent and department, in the caller's transaction, before the lead is stored: its affiliate's agent; else its
 * source's; else one of its source's department, in turn by weight (smooth round robin), without those whose cap of
 * the lead's day (UTC) is reached; else the department alone, and anybody in it may take it.
 */
enum db_result lead_assign(struct db *db, struct lead_row *lead, uint64_t arrived_us);

#endif
