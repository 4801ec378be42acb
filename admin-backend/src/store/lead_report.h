/*
 * lead_report.h - who sent how many leads, and what became of them.
 */
#ifndef AFFILIATED_STORE_LEAD_REPORT_H
#define AFFILIATED_STORE_LEAD_REPORT_H

#include <jansson.h>

#include "db/db.h"

#define LEAD_REPORT_MAX 5000 /* rows */

/*
 * Of what arrived in [from_us, to_us), but for tests: appends an object for each affiliate, or each of its days, to
 * rows, those with the most leads first.  agent 0: of everybody's leads, else of that agent's.
 */
enum db_result lead_report(struct db *db, int64_t from_us, int64_t to_us, bool by_day, int64_t agent, json_t *rows);

#endif
