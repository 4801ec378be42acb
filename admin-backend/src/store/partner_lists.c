/* What callers of the partner API see of leads and conversions. */
#include "service/view.h"
#include "store/conversion.h"
#include "store/partner.h"

static json_t *lead_view(struct db_stmt *row);
static json_t *conversion_view(struct db_stmt *row);

static const struct list_filter lead_filters[] = {
    { "id", LIST_TEXT, "l.uid = ?" },
    { "status", LIST_TEXT_SET, "l.status = ?" },
    { "from", LIST_TIME, "l.created_us >= ?" },
    { "to", LIST_TIME, "l.created_us < ?" },
    { "program_id", LIST_INT, "l.program_id = ?" },
    { "affiliate_id", LIST_INT, "l.affiliate_id = ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort lead_sorts[] = {
    { "created_at", "l.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec partner_lead_list = {
    .select = "SELECT l.id AS id, l.uid AS uid, l.kind AS kind, l.status AS status, l.test AS test,"
              " l.first_name AS first_name, l.last_name AS last_name, l.email AS email, l.phone AS phone,"
              " l.country AS country, l.language AS language, l.fields AS fields, l.click_id AS click_id,"
              " l.created_us AS created_us, l.updated_us AS updated_us,"
              " CASE WHEN l.kind = 'api' AND EXISTS (SELECT 1 FROM api_users u WHERE u.id = l.api_user_id"
              "  AND u.affiliate_id = l.affiliate_id) THEN 1 ELSE 0 END AS own FROM leads l",
    .from = " FROM leads l",
    .id = "l.id",
    .filters = lead_filters,
    .sorts = lead_sorts,
    .view = lead_view,
};

static json_t *
lead_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_text(row, "uid"),
                     "verdict", "created",
                     "status", view_column_text(row, "status"),
                     "kind", view_column_text(row, "kind"),
                     "test", db_int(row, "test") != 0,
                     PARTNER_OWN, db_int(row, "own") != 0,
                     "first_name", view_column_text(row, "first_name"),
                     "last_name", view_column_text(row, "last_name"),
                     "email", view_column_text(row, "email"),
                     "phone", view_column_text(row, "phone"),
                     "country", view_column_text(row, "country"),
                     "language", view_column_text(row, "language"),
                     "fields", view_column_json(row, "fields"),
                     "click_id", view_column_text(row, "click_id"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"));
}

static const struct list_filter conversion_filters[] = {
    { "event", LIST_TEXT, "v.event = ?" },
    { "status", LIST_TEXT_SET, "v.status = ?" },
    { "txid", LIST_TEXT, "v.txid = ?" },
    { "from", LIST_TIME, "v.created_us >= ?" },
    { "to", LIST_TIME, "v.created_us < ?" },
    { "program_id", LIST_INT, "v.program_id = ?" },
    { "affiliate_id", LIST_INT,
      "EXISTS (SELECT 1 FROM referrals r WHERE r.conversion_id = v.id AND r.superseded = 0 AND r.affiliate_id = ?)" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort conversion_sorts[] = {
    { "created_at", "v.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec partner_conversion_list = {
    .select = "SELECT v.id AS id, v.event AS event, v.txid AS txid, v.status AS status, v.amount_minor AS amount_minor,"
              " v.currency AS currency, v.event_time_ms AS event_time_ms, v.click_id AS click_id,"
              " v.created_us AS created_us, l.uid AS lead_uid FROM conversions v LEFT JOIN leads l ON l.id = v.lead_id",
    .from = " FROM conversions v",
    .id = "v.id",
    .filters = conversion_filters,
    .sorts = conversion_sorts,
    .view = conversion_view,
};

/* What stands in for a txid that was not sent, or was made up for a lead, is nobody's. */
static json_t *
txid_view(struct db_stmt *row)
{
    const char *txid = db_text(row, "txid");

    return txid != NULL && txid[0] == CONVERSION_NO_TXID[0] ? json_null() : view_column_text(row, "txid");
}

static json_t *
conversion_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "event", view_column_text(row, "event"),
                     "txid", txid_view(row),
                     "status", view_column_text(row, "status"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "event_time", view_time_us(db_int(row, "event_time_ms") * 1000),
                     "click_id", view_column_text(row, "click_id"),
                     "lead_id", view_column_text(row, "lead_uid"),
                     "created_at", view_column_time(row, "created_us"));
}
