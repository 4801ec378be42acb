#include "store/assign.h"

#include <stdlib.h>

#define WORKS_ON_LEADS "s.state = 'active' AND s.role IN ('admin', 'manager', 'agent')"

/* At most two ids of one row. */
static enum db_result
find_ids(struct db *db, const char *sql, int64_t id, const char *first, int64_t *first_id, const char *second,
         int64_t *second_id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, sql, "i", id);

    *first_id = 0;
    if (second_id != NULL)
        *second_id = 0;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *first_id = db_int(row, first);
    if (second_id != NULL)
        *second_id = db_int(row, second);
    db_end(row);
    return DB_OK;
}

enum db_result
assign_agent_of_affiliate(struct db *db, int64_t affiliate_id, int64_t *agent_id)
{
    return find_ids(db,
                    "SELECT s.id AS id FROM affiliates a JOIN staff s ON s.id = a.agent_id AND " WORKS_ON_LEADS
                    " WHERE a.id = $1",
                    affiliate_id, "id", agent_id, NULL, NULL);
}

enum db_result
assign_of_source(struct db *db, int64_t source_id, int64_t *department_id, int64_t *agent_id)
{
    return find_ids(db,
                    "SELECT d.id AS department_id, s.id AS agent_id FROM lead_sources x"
                    " LEFT JOIN departments d ON d.id = x.department_id AND d.state = 'active'"
                    " LEFT JOIN staff s ON s.id = x.agent_id AND " WORKS_ON_LEADS " WHERE x.id = $1",
                    source_id, "department_id", department_id, "agent_id", agent_id);
}

enum db_result
assign_department_of(struct db *db, int64_t staff_id, int64_t *department_id)
{
    return find_ids(db,
                    "SELECT d.id AS id FROM staff s JOIN departments d ON d.id = s.department_id"
                    " AND d.state = 'active' WHERE s.id = $1",
                    staff_id, "id", department_id, NULL, NULL);
}

enum db_result
assign_members(struct db *db, int64_t department_id, uint64_t from_us, uint64_t to_us, struct assign_member **members,
               size_t *count)
{
    struct db_stmt *row = db_prepare(
        db, "SELECT m.staff_id AS staff_id, m.weight AS weight, m.current AS current, m.cap_day AS cap_day,"
            " (SELECT COUNT(*) FROM leads l WHERE l.agent_id = m.staff_id AND l.department_id = $1"
            "   AND l.created_us >= $2 AND l.created_us < $3) AS today"
            " FROM department_members m JOIN staff s ON s.id = m.staff_id AND " WORKS_ON_LEADS
            " WHERE m.department_id = $1 AND m.weight > 0 ORDER BY m.staff_id");
    struct assign_member *grown;
    enum db_result        rc;

    *members = NULL;
    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, department_id);
    db_bind_int(row, 2, (int64_t) from_us);
    db_bind_int(row, 3, (int64_t) to_us);
    while ((rc = db_step(row)) == DB_ROW) {
        grown = reallocarray(*members, *count + 1, sizeof(**members));
        if (grown == NULL) {
            rc = DB_FAILED;
            break;
        }
        *members = grown;
        grown[(*count)++] = (struct assign_member){ db_int(row, "staff_id"), db_int(row, "weight"),
                                                    db_int(row, "current"), db_int(row, "cap_day"),
                                                    db_int(row, "today") };
    }
    db_end(row);
    if (rc == DB_DONE)
        return DB_OK;
    free(*members);
    *members = NULL;
    *count = 0;
    return rc;
}

enum db_result
assign_turn(struct db *db, int64_t department_id, int64_t staff_id, int64_t current)
{
    return db_exec(db, "UPDATE department_members SET current = $3 WHERE department_id = $1 AND staff_id = $2", "iii",
                   department_id, staff_id, current);
}
