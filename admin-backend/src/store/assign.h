/*
 * assign.h - what says who gets a lead: agents of affiliates and sources, and departments' round robin.
 */
#ifndef AFFILIATED_STORE_ASSIGN_H
#define AFFILIATED_STORE_ASSIGN_H

#include "db/db.h"

/* 0: none, or one who does not work on leads now. */
enum db_result assign_agent_of_affiliate(struct db *db, int64_t affiliate_id, int64_t *agent_id);
/* Of an active source whose department is active; 0: none. */
enum db_result assign_of_source(struct db *db, int64_t source_id, int64_t *department_id, int64_t *agent_id);
/* The active department that a member of staff belongs to; 0: none. */
enum db_result assign_department_of(struct db *db, int64_t staff_id, int64_t *department_id);

struct assign_member {
    int64_t staff_id, weight, current;
    int64_t cap_day, today; /* cap 0: none; today: leads of [from, to) that the department gave him */
};
/* Those of weight above 0 who work on leads now, by id: *members malloc'ed, NULL when there is none. */
enum db_result assign_members(struct db *db, int64_t department_id, uint64_t from_us, uint64_t to_us,
                              struct assign_member **members, size_t *count);
enum db_result assign_turn(struct db *db, int64_t department_id, int64_t staff_id, int64_t current);

#endif
