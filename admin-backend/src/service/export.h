/*
 * export.h - what became of the edges' events, for people and scripts that check.
 */
#ifndef AFFILIATED_SERVICE_EXPORT_H
#define AFFILIATED_SERVICE_EXPORT_H

#include <stdio.h>

#include "service/service.h"

/*
 * {"as_of": time, "journals": [
 *     {"id", "edge", "accepted", "committed", "pending", "quarantined", "dropped", "lost"}],
 *     "leads": {"created": n, "duplicate": n, ..., "undecided": n}}
 * where accepted, all that visitors and partners offered, is the sum of the other five.
 */
enum db_result stats_get(const struct service *service, json_t **stats);

/*
 * CSV with a header line: clicks of [from_us, to_us) in the order they were written, the click id first.
 * By pages, each a short read: no long reader pins the database.  Fields that a
 * spreadsheet would run as a formula get an apostrophe in front.
 */
enum db_result export_clicks(const struct service *service, int64_t from_us, int64_t to_us, FILE *out);

#endif
