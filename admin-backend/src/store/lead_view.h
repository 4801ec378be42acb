/*
 * lead_view.h - what lists of leads, of traders and of their logs have in common.
 */
#ifndef AFFILIATED_STORE_LEAD_VIEW_H
#define AFFILIATED_STORE_LEAD_VIEW_H

#include <jansson.h>

#include "db/db.h"

/* Whose departments an agent works for: their own, and those whose leads they share. */
#define DEPARTMENTS_OF_AGENT                                                                                         \
    "(SELECT m.department_id FROM department_members m WHERE m.staff_id = ?"                                         \
    " UNION SELECT s.department_id FROM staff s WHERE s.id = ? AND s.department_id IS NOT NULL)"
/* An agent's leads, l: their own and their departments'.  The only place that says so. */
#define LEAD_OF_AGENT "(l.agent_id = ? OR l.department_id IN " DEPARTMENTS_OF_AGENT ")"

/* Rows that belong to an object: a member of it that is an array. */
struct details_part {
    const char *name; /* NULL ends a list */
    const char *sql;  /* of the object's id, $1 */
    json_t   *(*view)(struct db_stmt *row);
};
enum db_result details_add(struct db *db, int64_t id, json_t *object, const struct details_part *parts);

#endif
