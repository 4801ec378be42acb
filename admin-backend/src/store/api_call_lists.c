/* What the log of the partner API selects, filters and sorts by. */
#include "service/lead.h"
#include "service/view.h"

static json_t *api_call_view(struct db_stmt *row);

static const struct list_filter api_call_filters[] = {
    { "api_user_id", LIST_INT, "c.api_user_id = ?" },
    { "code", LIST_TEXT_SET, "c.code = ?" },
    { "status", LIST_TEXT_SET, "CAST(c.status AS TEXT) = ?" },
    { "method", LIST_TEXT, "c.method = ?" },
    { "path", LIST_TEXT, "c.path = ?" },
    { "key_prefix", LIST_TEXT, "c.key_prefix = ?" },
    { "lead_uid", LIST_TEXT, "c.lead_uid = ?" },
    { "ip", LIST_ADDRESS, "c.ip = ?" },
    { "from", LIST_TIME, "c.time_ms >= ? / 1000" },
    { "to", LIST_TIME, "c.time_ms < ? / 1000" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort api_call_sorts[] = {
    { "at", "c.time_ms", LIST_INT },
    { NULL, NULL, LIST_INT },
};
/* A record is named by its journal and its sequence in it, which a journal rotates away before it has 32 bits. */
#define CALL_ID "(c.journal_id * 4294967296 + c.seq)"
const struct list_spec api_call_list = {
    .select = "SELECT " CALL_ID " AS id, c.time_ms AS time_ms, c.api_user_id AS api_user_id, u.name AS api_user_name,"
              " c.count AS count, c.status AS status, c.items AS items, c.code AS code, c.method AS method,"
              " c.path AS path, c.key_prefix AS key_prefix, c.ip AS ip, c.ip_form AS ip_form,"
              " c.user_agent AS user_agent, c.lead_uid AS lead_uid"
              " FROM api_calls c LEFT JOIN api_users u ON u.id = c.api_user_id",
    .from = " FROM api_calls c",
    .id = CALL_ID,
    .filters = api_call_filters,
    .sorts = api_call_sorts,
    .view = api_call_view,
};

static json_t *
api_call_view(struct db_stmt *row)
{
    json_t *items = db_is_null(row, "items") ? json_null() : json_integer((json_int_t) db_int(row, "items"));

    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "at", view_time_us(db_int(row, "time_ms") * 1000),
                     "api_user_id", view_column_id(row, "api_user_id"),
                     "api_user_name", view_column_text(row, "api_user_name"),
                     "count", (json_int_t) db_int(row, "count"),
                     "status", (json_int_t) db_int(row, "status"),
                     "items", items,
                     "code", view_column_text(row, "code"),
                     "method", view_column_text(row, "method"),
                     "path", view_column_text(row, "path"),
                     "key_prefix", view_column_text(row, "key_prefix"),
                     "ip", view_column_address(row, "ip", "ip_form"),
                     "user_agent", view_column_text(row, "user_agent"),
                     "lead_uid", view_column_text(row, "lead_uid"));
}
