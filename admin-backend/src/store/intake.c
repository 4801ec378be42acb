#include "store/intake.h"

#include <stdlib.h>
#include <string.h>

#define AT(row, member) offsetof(struct row, member)

static const struct row_column department_columns[] = {
    { "version", ROW_INT, AT(department_row, version) },
    { "name", ROW_TEXT, AT(department_row, name) },
    { "state", ROW_TEXT, AT(department_row, state) },
    { NULL, ROW_INT, 0 },
};
const struct row_table department_table =
    ROW_TABLE_DATED("departments", "version, name, state", "$1, $2, $3", "$4", "$5", department_columns,
                    struct department_row);

static const struct row_column source_columns[] = {
    { "version", ROW_INT, AT(source_row, version) },
    { "program_id", ROW_INT, AT(source_row, program_id) },
    { "department_id", ROW_OPTIONAL, AT(source_row, department_id) },
    { "agent_id", ROW_OPTIONAL, AT(source_row, agent_id) },
    { "name", ROW_TEXT, AT(source_row, name) },
    { "state", ROW_TEXT, AT(source_row, state) },
    { NULL, ROW_INT, 0 },
};
const struct row_table source_table =
    ROW_TABLE_DATED("lead_sources", "version, program_id, department_id, agent_id, name, state",
                    "$1, $2, $3, $4, $5, $6", "$7", "$8", source_columns, struct source_row);

/* Accounts are made with their passwords (store/people.h): nothing is inserted by this one. */
static const struct row_column staff_columns[] = {
    { "version", ROW_INT, AT(staff_member_row, version) },
    { "department_id", ROW_OPTIONAL, AT(staff_member_row, department_id) },
    { "name", ROW_TEXT, AT(staff_member_row, name) },
    { "role", ROW_TEXT, AT(staff_member_row, role) },
    { "state", ROW_TEXT, AT(staff_member_row, state) },
    { NULL, ROW_INT, 0 },
};
const struct row_table staff_table =
    ROW_TABLE("staff", "version, department_id, name, role, state", "$1, $2, $3, $4, $5", "$6", staff_columns,
              struct staff_member_row);

static const struct row_column custom_field_columns[] = {
    { "version", ROW_INT, AT(custom_field_row, version) },
    { "name", ROW_TEXT, AT(custom_field_row, name) },
    { "label", ROW_TEXT, AT(custom_field_row, label) },
    { "type", ROW_TEXT, AT(custom_field_row, type) },
    { "options", ROW_TEXT, AT(custom_field_row, options) },
    { "required", ROW_INT, AT(custom_field_row, required) },
    { "pattern", ROW_TEXT, AT(custom_field_row, pattern) },
    { "minimum", ROW_TEXT, AT(custom_field_row, minimum) },
    { "maximum", ROW_TEXT, AT(custom_field_row, maximum) },
    { "state", ROW_TEXT, AT(custom_field_row, state) },
    { NULL, ROW_INT, 0 },
};
const struct row_table custom_field_table =
    ROW_TABLE_DATED("custom_fields", "version, name, label, type, options, required, pattern, minimum, maximum, state",
                    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10", "$11", "$12", custom_field_columns,
                    struct custom_field_row);

static const struct row_column form_columns[] = {
    { "version", ROW_INT, AT(form_row, version) },
    { "program_id", ROW_INT, AT(form_row, program_id) },
    { "key", ROW_TEXT, AT(form_row, key) },
    { "name", ROW_TEXT, AT(form_row, name) },
    { "source_id", ROW_OPTIONAL, AT(form_row, source_id) },
    { "affiliate_id", ROW_OPTIONAL, AT(form_row, affiliate_id) },
    { "account", ROW_TEXT, AT(form_row, account) },
    { "fields", ROW_TEXT, AT(form_row, fields) },
    { "language", ROW_TEXT, AT(form_row, language) },
    { "title", ROW_TEXT, AT(form_row, title) },
    { "intro", ROW_TEXT, AT(form_row, intro) },
    { "button", ROW_TEXT, AT(form_row, button) },
    { "success_message", ROW_TEXT, AT(form_row, success_message) },
    { "after_submit", ROW_TEXT, AT(form_row, after_submit) },
    { "after_url", ROW_TEXT, AT(form_row, after_url) },
    { "frame_ancestors", ROW_TEXT, AT(form_row, frame_ancestors) },
    { "origins", ROW_TEXT, AT(form_row, origins) },
    { "theme", ROW_TEXT, AT(form_row, theme) },
    { "min_fill_s", ROW_INT, AT(form_row, min_fill_s) },
    { "rate_minute", ROW_INT, AT(form_row, rate_minute) },
    { "confirm", ROW_INT, AT(form_row, confirm) },
    { "state", ROW_TEXT, AT(form_row, state) },
    { NULL, ROW_INT, 0 },
};
const struct row_table form_table =
    ROW_TABLE_DATED("forms",
                    "version, program_id, key, name, source_id, affiliate_id, account, fields, language, title, intro,"
                    " button, success_message, after_submit, after_url, frame_ancestors, origins, theme, min_fill_s,"
                    " rate_minute, confirm, state",
                    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
                    " $22",
                    "$23", "$24", form_columns, struct form_row);

enum db_result
custom_field_type(struct db *db, const char *name, char **type)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT type FROM custom_fields WHERE object = 'lead' AND name = $1 AND state = 'active'",
                                  "s", name);

    if (rc != DB_ROW)
        return rc;
    *type = strdup(db_text(row, "type"));
    db_end(row);
    return *type == NULL ? DB_FAILED : DB_ROW;
}

enum db_result
form_each_url(struct db *db, enum db_result (*visit)(void *ctx, int64_t id, const char *url), void *ctx)
{
    struct db_stmt *row = db_prepare(db, "SELECT id, after_url FROM forms WHERE after_submit = 'url'"
                                         " AND state <> 'archived' ORDER BY id");
    enum db_result  rc;

    while ((rc = db_step(row)) == DB_ROW) {
        if ((rc = visit(ctx, db_int(row, "id"), db_text(row, "after_url"))) != DB_OK)
            break;
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

/* Whether a question about one id has an answer. */
static enum db_result
exists(struct db *db, const char *sql, int64_t id, bool *is)
{
    struct db_stmt *row;
    enum db_result rc = db_query(db, &row, sql, "i", id);

    *is = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
department_is_active(struct db *db, int64_t id, bool *is)
{
    return exists(db, "SELECT 1 AS one FROM departments WHERE id = $1 AND state = 'active'", id, is);
}

enum db_result
department_is_used(struct db *db, int64_t id, bool *is)
{
    return exists(db,
                  "SELECT 1 AS one FROM lead_sources WHERE department_id = $1 AND state = 'active' LIMIT 1",
                  id, is);
}

enum db_result
staff_works_on_leads(struct db *db, int64_t id, bool *does)
{
    return exists(db,
                  "SELECT 1 AS one FROM staff WHERE id = $1 AND state = 'active'"
                  " AND role IN ('admin', 'manager', 'agent')",
                  id, does);
}

enum db_result
staff_other_admins(struct db *db, int64_t id, int64_t *count)
{
    struct db_stmt *row;
    enum db_result rc = db_query(db, &row,
                                 "SELECT COUNT(*) AS n FROM staff WHERE role = 'admin' AND state = 'active'"
                                 " AND id <> $1",
                                 "i", id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

/* ---- members of a department ---- */

/* Who was a member already keeps the place in the round robin. */
enum db_result
department_member_put(struct db *db, int64_t id, int64_t staff_id, int64_t weight, int64_t cap_day)
{
    return db_exec(
        db,
        "INSERT INTO department_members (department_id, staff_id, weight, cap_day) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (department_id, staff_id)"
        " DO UPDATE SET weight = excluded.weight, cap_day = excluded.cap_day",
        "iiii", id, staff_id, weight, cap_day);
}

enum db_result
department_member_delete(struct db *db, int64_t id, int64_t staff_id)
{
    return db_exec(db, "DELETE FROM department_members WHERE department_id = $1 AND staff_id = $2", "ii", id,
                   staff_id);
}

enum db_result
department_member_ids(struct db *db, int64_t id, int64_t **ids, size_t *count)
{
    struct db_stmt *row = db_prepare(db, "SELECT staff_id FROM department_members WHERE department_id = $1"
                                         " ORDER BY staff_id");
    int64_t *grown;
    enum db_result rc;

    *ids = NULL;
    *count = 0;
    db_bind_int(row, 1, id);
    while ((rc = db_step(row)) == DB_ROW) {
        grown = reallocarray(*ids, *count + 1, sizeof(**ids));
        if (grown == NULL) {
            rc = DB_FAILED;
            break;
        }
        *ids = grown;
        (*ids)[(*count)++] = db_int(row, "staff_id");
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}
