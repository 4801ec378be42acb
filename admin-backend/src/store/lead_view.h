/*
 * lead_view.h - what lists of leads, of traders and of their logs have in common.
 */
#ifndef AFFILIATED_STORE_LEAD_VIEW_H
#define AFFILIATED_STORE_LEAD_VIEW_H

#include <jansson.h>

#include "db/db.h"

/*
 * An agent's leads, l: their own, and those of the departments that they belong to or share the leads of.  Rows of the
 * log, w, are those of their leads; where no lead came of it, those that were meant for them.  The only place that says
 * so; p is the agent's id.
 */
#define AGENT_HAS(row, p)                                                                                            \
    "(" row ".agent_id = " p " OR " row ".department_id IN"                                                          \
    " (SELECT m.department_id FROM department_members m WHERE m.staff_id = " p                                       \
    "  UNION SELECT x.department_id FROM staff x WHERE x.id = " p " AND x.department_id IS NOT NULL))"
#define AGENT_HAS_LOG(p)                                                                                             \
    "((w.lead_id IS NULL AND " AGENT_HAS("w", p) ")"                                                                 \
    " OR EXISTS (SELECT 1 FROM leads l WHERE l.id = w.lead_id AND " AGENT_HAS("l", p) "))"
#define LEAD_OF_AGENT AGENT_HAS("l", "?")
#define LOG_OF_AGENT  AGENT_HAS_LOG("?")

/* Rows that belong to an object: a member of it that is an array. */
struct details_part {
    const char *name; /* NULL ends a list */
    const char *sql;  /* of the object's id, $1 */
    json_t   *(*view)(struct db_stmt *row);
};
enum db_result details_add(struct db *db, int64_t id, json_t *object, const struct details_part *parts);

#endif
