/* How departments, sources, custom fields and forms look outside, and what their lists filter and sort by. */
#include "service/intake.h"
#include "service/view.h"
#include "store/intake.h"

static json_t *department_view(struct db_stmt *row);
static enum db_result department_extend(struct db *db, json_t *department);
static json_t *source_view(struct db_stmt *row);
static json_t *custom_field_view(struct db_stmt *row);
static json_t *form_view(struct db_stmt *row);

static const struct list_filter department_filters[] = {
    { "status", LIST_TEXT_SET, "d.state = ?" },
    { "q", LIST_SEARCH, "lower(d.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort department_sorts[] = {
    { "created_at", "d.created_us", LIST_INT },
    { "name", "d.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
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
    { "department_id", LIST_INT, "s.department_id = ?" },
    { "agent_id", LIST_INT, "s.agent_id = ?" },
    { "status", LIST_TEXT_SET, "s.state = ?" },
    { "q", LIST_SEARCH, "lower(s.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort source_sorts[] = {
    { "created_at", "s.created_us", LIST_INT },
    { "name", "s.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
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

static const struct list_filter custom_field_filters[] = {
    { "type", LIST_TEXT_SET, "f.type = ?" },
    { "status", LIST_TEXT_SET, "f.state = ?" },
    { "q", LIST_SEARCH, "(lower(f.name) LIKE ? ESCAPE '!' OR lower(f.label) LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort custom_field_sorts[] = {
    { "created_at", "f.created_us", LIST_INT },
    { "name", "f.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec custom_field_list = {
    .select = "SELECT f.id AS id, f.object AS object, f.name AS name, f.label AS label, f.type AS type,"
              " f.options AS options, f.required AS required, f.pattern AS pattern, f.minimum AS minimum,"
              " f.maximum AS maximum, f.state AS state, f.created_us AS created_us, f.updated_us AS updated_us,"
              " f.version AS version FROM custom_fields f",
    .from = " FROM custom_fields f",
    .id = "f.id",
    .filters = custom_field_filters,
    .sorts = custom_field_sorts,
    .view = custom_field_view,
};

static json_t *
custom_field_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "object", view_column_text(row, "object"),
                     "name", view_column_text(row, "name"),
                     "label", view_column_text(row, "label"),
                     "type", view_column_text(row, "type"),
                     "options", view_column_json(row, "options"),
                     "required", (int) db_int(row, "required"),
                     "pattern", view_column_text(row, "pattern"),
                     "minimum", view_column_text(row, "minimum"),
                     "maximum", view_column_text(row, "maximum"),
                     "state", view_column_text(row, "state"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

static const struct list_filter form_filters[] = {
    { "source_id", LIST_INT, "f.source_id = ?" },
    { "affiliate_id", LIST_INT, "f.affiliate_id = ?" },
    { "status", LIST_TEXT_SET, "f.state = ?" },
    { "key", LIST_TEXT, "f.key = ?" },
    { "q", LIST_SEARCH, "(lower(f.name) LIKE ? ESCAPE '!' OR lower(f.title) LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort form_sorts[] = {
    { "created_at", "f.created_us", LIST_INT },
    { "name", "f.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec form_list = {
    .select = "SELECT f.id AS id, f.key AS key, f.name AS name, f.source_id AS source_id, s.name AS source_name,"
              " f.affiliate_id AS affiliate_id, f.account AS account, f.fields AS fields, f.language AS language,"
              " f.title AS title, f.intro AS intro, f.button AS button, f.success_message AS success_message,"
              " f.after_submit AS after_submit, f.after_url AS after_url, f.frame_ancestors AS frame_ancestors,"
              " f.origins AS origins, f.theme AS theme, f.min_fill_s AS min_fill_s, f.rate_minute AS rate_minute,"
              " f.confirm AS confirm,"
              " f.state AS state, f.created_us AS created_us, f.updated_us AS updated_us, f.version AS version"
              " FROM forms f LEFT JOIN lead_sources s ON s.id = f.source_id",
    .from = " FROM forms f",
    .id = "f.id",
    .filters = form_filters,
    .sorts = form_sorts,
    .view = form_view,
    .complete = form_complete,
};

static json_t *
form_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I,"
                     " s:b, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "key", view_column_text(row, "key"),
                     "name", view_column_text(row, "name"),
                     "source_id", view_column_id(row, "source_id"),
                     "source_name", view_column_text(row, "source_name"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "account", view_column_text(row, "account"),
                     "fields", view_column_json(row, "fields"),
                     "language", view_column_text(row, "language"),
                     "title", view_column_text(row, "title"),
                     "intro", view_column_text(row, "intro"),
                     "button", view_column_text(row, "button"),
                     "success_message", view_column_text(row, "success_message"),
                     "after_submit", view_column_text(row, "after_submit"),
                     "after_url", view_column_text(row, "after_url"),
                     "frame_ancestors", view_column_json(row, "frame_ancestors"),
                     "origins", view_column_json(row, "origins"),
                     "theme", view_column_json(row, "theme"),
                     "min_fill_s", (json_int_t) db_int(row, "min_fill_s"),
                     "rate_per_minute", (json_int_t) db_int(row, "rate_minute"),
                     "double_opt_in", db_int(row, "confirm") != 0,
                     "state", view_column_text(row, "state"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

void
form_complete(json_t *form, const struct service *service)
{
    json_object_set_new(form, "url", json_sprintf("%s%s%s", service->base_url,
                                                  service->form_path != NULL ? service->form_path : "/f/",
                                                  json_string_value(json_object_get(form, "key"))));
}
