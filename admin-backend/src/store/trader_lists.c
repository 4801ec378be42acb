/* What the list of traders selects, filters and sorts by, and what one of them shows. */
#include <stdio.h>

#include "service/trader.h"
#include "service/view.h"
#include "store/lead_view.h"

static json_t        *trader_view(struct db_stmt *row);
static enum db_result trader_details(struct db *db, int64_t id, json_t *trader);

static const struct list_filter trader_filters[] = {
    { "status", LIST_TEXT_SET, "t.state = ?" },
    { "agent_id", LIST_INT, "t.agent_id = ?" },
    { "country", LIST_TEXT, "t.country = ?" },
    { "external_id", LIST_TEXT, "t.external_id = ?" },
    { "account", LIST_TEXT, "t.id = (SELECT x.trader_id FROM trader_accounts x WHERE x.number = ?)" },
    { "from", LIST_TIME, "t.created_us >= ?" },
    { "to", LIST_TIME, "t.created_us < ?" },
    { "q", LIST_SEARCH,
      "(lower(t.first_name) LIKE ? ESCAPE '!' OR lower(t.last_name) LIKE ? ESCAPE '!' OR lower(t.email) LIKE ? ESCAPE '!'"
      " OR t.phone LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort trader_sorts[] = {
    { "created_at", "t.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
static const char *const trader_personal[] = { "first_name", "last_name", "email", "phone", "notes", NULL };
const struct list_spec trader_list = {
    .select = "SELECT t.id AS id, t.first_name AS first_name, t.last_name AS last_name, t.email AS email,"
              " t.phone AS phone, t.country AS country, t.external_id AS external_id, t.state AS state,"
              " t.agent_id AS agent_id, t.password_hash IS NOT NULL AS has_password, t.notes AS notes,"
              " t.created_us AS created_us, t.updated_us AS updated_us, t.version AS version FROM traders t",
    .from = " FROM traders t",
    .id = "t.id",
    .filters = trader_filters,
    .sorts = trader_sorts,
    .view = trader_view,
    .details = trader_details,
    .personal = trader_personal,
    .agents = "(t.agent_id = ? OR EXISTS (SELECT 1 FROM leads l WHERE l.trader_id = t.id AND " LEAD_OF_AGENT "))",
};

static json_t *
trader_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "first_name", view_column_text(row, "first_name"),
                     "last_name", view_column_text(row, "last_name"),
                     "email", view_column_text(row, "email"),
                     "phone", view_column_text(row, "phone"),
                     "country", view_column_text(row, "country"),
                     "external_id", view_column_text(row, "external_id"),
                     "state", view_column_text(row, "state"),
                     "agent_id", view_column_id(row, "agent_id"),
                     "has_password", db_int(row, "has_password") != 0,
                     "notes", view_column_text(row, "notes"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

/* ---- one trader ---- */

static json_t *
account_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o}", "number", view_column_text(row, "number"), "state",
                     view_column_text(row, "state"), "opened_at", view_column_time(row, "created_us"));
}

static json_t *
lead_ref_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o}", "id", view_column_id(row, "id"), "status", view_column_text(row, "status"),
                     "created_at", view_column_time(row, "created_us"));
}

static json_t *
named_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o}", "id", view_column_id(row, "id"), "name", view_column_text(row, "name"));
}

static enum db_result
trader_details(struct db *db, int64_t id, json_t *trader)
{
    static const struct details_part parts[] = {
        { "accounts",
          "SELECT number, state, created_us FROM trader_accounts WHERE trader_id = $1 ORDER BY id LIMIT 100",
          account_view },
        { "leads", "SELECT id, status, created_us FROM leads WHERE trader_id = $1 ORDER BY id LIMIT 100",
          lead_ref_view },
        { "api_users", "SELECT id, name FROM api_users WHERE trader_id = $1 ORDER BY id LIMIT 100", named_view },
        { "affiliates",
          "SELECT id, name FROM affiliates WHERE trader_id = CAST(CAST($1 AS BIGINT) AS TEXT) ORDER BY id LIMIT 100",
          named_view },
        { NULL, NULL, NULL },
    };

    return details_add(db, id, trader, parts);
}
