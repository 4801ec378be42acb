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

struct custom_field_row {
    int64_t id, version, required;
    char   *name, *label, *type, *options, *pattern, *minimum, *maximum, *state;
};
struct form_row {
    int64_t id, version, program_id, source_id, affiliate_id; /* the last two 0: none */
    int64_t min_fill_s, rate_minute;                          /* rate 0: no limit */
    int64_t confirm;                                          /* double opt-in */
    char   *key, *name, *account, *state;
    char   *fields;                                           /* JSON array, service/form_definition.h */
    char   *language, *title, *intro, *button, *success_message;
    char   *after_submit, *after_url;
    char   *frame_ancestors, *origins, *theme;                /* JSON */
};

extern const struct row_table department_table, source_table, staff_table, custom_field_table, form_table;

/* The type of an active custom field of leads. DB_ROW with *type malloc'ed, DB_DONE: there is none. */
enum db_result custom_field_type(struct db *db, const char *name, char **type);

/* Every form that is not archived and leads to a URL when it was sent. */
enum db_result form_each_url(struct db *db, enum db_result (*visit)(void *ctx, int64_t id, const char *url), void *ctx);

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
