/*
 * caps.h - when links and campaigns may be clicked, and how often.
 *
 * Dates are the edges' to keep.  Caps count the clicks that are counted, over all edges: an edge knows its own, the
 * database knows them all some seconds later, and tells edges by `capped_until_ms` in the delta.
 */
#ifndef AFFILIATED_SERVICE_CAPS_H
#define AFFILIATED_SERVICE_CAPS_H

#include "service/kind.h"
#include "store/caps.h"

#define CAP_MAX UINT32_MAX

/* Fields of a row with `struct limits limits`. */
#define LIMITS_FIELDS(row, starts, ends, day, total)                                                                 \
    [starts] = { "starts_at", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL, offsetof(row, limits.starts_us), NULL },       \
    [ends] = { "ends_at", FIELD_TIME, FIELD_NULLABLE, 0, 0, NULL, offsetof(row, limits.ends_us), NULL },             \
    [day] = { "cap_day", FIELD_INT, 0, 0, CAP_MAX, NULL, offsetof(row, limits.cap_day), NULL },                      \
    [total] = { "cap_total", FIELD_INT, 0, 0, CAP_MAX, NULL, offsetof(row, limits.cap_total), NULL }

enum service_result limits_check(const struct limits *limits, struct service_error *error);

/* Of the row that was just written: a cap that was raised lifts, a lowered one holds, in the same version. */
enum service_result caps_settle(struct db *db, struct change *change, enum cap_table table,
                                struct service_error *error);

/* After clicks were counted: whoever has reached a cap, or has left one behind, is told to the edges. */
enum db_result caps_run(const struct service *service);

#endif
