/* How departments, sources, custom fields and forms look outside, and what their lists filter and sort by. */
#include "service/intake.h"
#include "service/view.h"
#include "store/intake.h"

static json_t *department_view(struct db_stmt *row);
static enum db_result department_extend(struct db *db, json_t *department);
static json_t *source_view(struct db_stmt *row);

static const struct list_filter department_filters[] = {
    {"status", LIST_TEXT_SET, "d.state = ?"},
    {"q", LIST_SEARCH, "lower(d.name) LIKE ? ESCAPE '!'"},
    {NULL, LIST_INT, NULL},
};
static const struct list_sort department_sorts[] = {
    {"created_at", "d.created_us", LIST_INT},
    {"name", "d.name", LIST_TEXT},
    {NULL, NULL, LIST_INT},
};
const struct list_spec department_list = {
    .select = "SELECT d.id AS id, d.name AS name, d.state AS state, d.created_us AS created_us,"
              " d.updated_us AS updated_us, d.version AS version FROM departments d",
    .from = " FROM departments d",
    .id = "d.id",
    .filters = department_filters,
    .sorts = department_sorts,
    .view = department_view,
    .extend = department_extend,
};

static json_t *
department_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:[], s:o, s:o, s:I}", "id", view_column_id(row, "id"), "name",
                     view_column_text(row, "name"), "state", view_column_text(row, "state"), "members",
                     "created_at", view_column_time(row, "created_us"), "updated_at",
                     view_column_time(row, "updated_us"), "version", (json_int_t)db_int(row, "version"));
}

static enum db_result
department_extend(struct db *db, json_t *department)
{
    struct db_stmt *row = db_prepare(db, "SELECT staff_id, weight, cap_day FROM department_members"
                                         " WHERE department_id = $1 ORDER BY staff_id");
    json_t *members = json_object_get(department, "members"), *member;
    int64_t id = 0;
    enum db_result rc;

    view_parse_id(json_string_value(json_object_get(department, "id")), &id);
    db_bind_int(row, 1, id);
    while ((rc = db_step(row)) == DB_ROW) {
        member = json_pack("{s:o, s:I, s:I}", "staff_id", view_column_id(row, "staff_id"), "weight",
                           (json_int_t)db_int(row, "weight"), "cap_day", (json_int_t)db_int(row, "cap_day"));
        if (json_array_append_new(members, member) != 0) {
            rc = DB_FAILED;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

static const struct list_filter source_filters[] = {
    {"department_id", LIST_INT, "s.department_id = ?"},
    {"agent_id", LIST_INT, "s.agent_id = ?"},
    {"status", LIST_TEXT_SET, "s.state = ?"},
    {"q", LIST_SEARCH, "lower(s.name) LIKE ? ESCAPE '!'"},
    {NULL, LIST_INT, NULL},
};
static const struct list_sort source_sorts[] = {
    {"created_at", "s.created_us", LIST_INT},
    {"name", "s.name", LIST_TEXT},
    {NULL, NULL, LIST_INT},
};
const struct list_spec source_list = {
    .select =
        "SELECT s.id AS id, s.name AS name, s.department_id AS department_id, d.name AS department_name,"
        " s.agent_id AS agent_id, COALESCE(NULLIF(a.name, ''), a.email) AS agent_name, s.state AS state,"
        " s.created_us AS created_us, s.updated_us AS updated_us, s.version AS version FROM lead_sources s"
        " LEFT JOIN departments d ON d.id = s.department_id LEFT JOIN staff a ON a.id = s.agent_id",
    .from = " FROM lead_sources s",
    .id = "s.id",
    .filters = source_filters,
    .sorts = source_sorts,
    .view = source_view,
};

static json_t *
source_view(struct db_stmt *row)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "id", view_column_id(row, "id"), "name",
        view_column_text(row, "name"), "department_id", view_column_id(row, "department_id"),
        "department_name", view_column_text(row, "department_name"), "agent_id",
        view_column_id(row, "agent_id"), "agent_name", view_column_text(row, "agent_name"), "state",
        view_column_text(row, "state"), "created_at", view_column_time(row, "created_us"), "updated_at",
        view_column_time(row, "updated_us"), "version", (json_int_t)db_int(row, "version"));
}
