/*
 * intake.h - rows of what leads come in by and who gets them: departments, sources, custom fields, forms.
 */
#ifndef AFFILIATED_STORE_INTAKE_H
#define AFFILIATED_STORE_INTAKE_H

#include "store/row.h"

struct department_row {
    int64_t id, version;
    char *name, *state;
};
/* Its department or its agent gets the leads; 0: none. */
struct source_row {
    int64_t id, version, program_id, department_id, agent_id;
    char *name, *state;
};
/* What of a member of staff can be edited. */
struct staff_member_row {
    int64_t id, version, department_id;
    char *name, *role, *state;
};

extern const struct row_table department_table, source_table, staff_table;

enum db_result department_is_active(struct db *db, int64_t id, bool *is);
/* Whether an active source gives its leads to it. */
enum db_result department_is_used(struct db *db, int64_t id, bool *is);

enum db_result department_member_put(struct db *db, int64_t id, int64_t staff_id, int64_t weight,
                                     int64_t cap_day);
enum db_result department_member_delete(struct db *db, int64_t id, int64_t staff_id);
/* Ids of its members, malloc'ed; NULL where there are none. */
enum db_result department_member_ids(struct db *db, int64_t id, int64_t **ids, size_t *count);

/* An active admin, manager or agent: who may be given leads. */
enum db_result staff_works_on_leads(struct db *db, int64_t id, bool *does);
/* Active admins besides that one. */
enum db_result staff_other_admins(struct db *db, int64_t id, int64_t *count);

#endif
