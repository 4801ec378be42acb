/* What the list of the outbox selects, filters and sorts by, and what one row of it shows. */
#include <stdlib.h>

#include "service/outbox.h"
#include "service/view.h"

static json_t        *outbox_view(struct db_stmt *row);
static enum db_result outbox_details(struct db *db, int64_t id, json_t *object);

static const struct list_filter outbox_filters[] = {
    { "status", LIST_TEXT_SET, "o.state = ?" },
    { "kind", LIST_TEXT_SET, "o.kind = ?" },
    { "lead_id", LIST_INT, "o.lead_id = ?" },
    { "from", LIST_TIME, "o.created_us >= ?" },
    { "to", LIST_TIME, "o.created_us < ?" },
    { "q", LIST_SEARCH, "(lower(o.recipient) LIKE ? ESCAPE '!' OR lower(o.subject) LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort outbox_sorts[] = {
    { "created_at", "o.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
/* An error may name the recipient: it is the receiving server's own words. */
static const char *const outbox_personal[] = { "recipient", "subject", "text", "html", "last_error", NULL };
const struct list_spec outbox_list = {
    .select = "SELECT o.id AS id, o.kind AS kind, o.lead_id AS lead_id, o.recipient AS recipient, o.subject AS subject,"
              " o.state AS state, o.tries AS tries, o.next_us AS next_us, o.expires_us AS expires_us,"
              " o.last_error AS last_error, o.sent_us AS sent_us, o.created_us AS created_us,"
              " o.updated_us AS updated_us, o.version AS version FROM outbox o",
    .from = " FROM outbox o",
    .id = "o.id",
    .filters = outbox_filters,
    .sorts = outbox_sorts,
    .view = outbox_view,
    .details = outbox_details,
    .personal = outbox_personal,
};

static json_t *
outbox_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "kind", view_column_text(row, "kind"),
                     "lead_id", view_column_id(row, "lead_id"),
                     "recipient", view_column_text(row, "recipient"),
                     "subject", view_column_text(row, "subject"),
                     "status", view_column_text(row, "state"),
                     "tries", (json_int_t) db_int(row, "tries"),
                     "next_try_at", view_column_time(row, "next_us"),
                     "expires_at", view_column_time(row, "expires_us"),
                     "last_error", view_column_text(row, "last_error"),
                     "sent_at", view_column_time(row, "sent_us"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

/* ---- one of them ---- */

/* Whoever has the link can do what it is for: it is the recipient's alone. */
static json_t *
masked(struct db_stmt *row, const char *column)
{
    char   *text = outbox_fill(db_text(row, column), "[link]");
    json_t *json = text == NULL ? NULL : json_string(text);

    free(text);
    return json;
}

static enum db_result
outbox_details(struct db *db, int64_t id, json_t *object)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT text, html FROM outbox WHERE id = $1", "i", id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    json_object_set_new(object, "text", masked(row, "text"));
    json_object_set_new(object, "html", masked(row, "html"));
    db_end(row);
    return DB_OK;
}
