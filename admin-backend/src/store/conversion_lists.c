/* What the lists of conversions, refunds, conflicts and coupons select, filter and sort by. */
#include "service/catalog.h"
#include "service/conversion.h"
#include "service/view.h"
#include "store/conversion.h"

static json_t *conversion_view(struct db_stmt *row);
static json_t *refund_view(struct db_stmt *row);
static json_t *conflict_view(struct db_stmt *row);
static json_t *coupon_view(struct db_stmt *row);

static const struct list_filter conversion_filters[] = {
    { "event", LIST_TEXT, "v.event = ?" },
    { "status", LIST_TEXT_SET, "v.status = ?" },
    { "txid", LIST_TEXT, "v.txid = ?" },
    { "click_id", LIST_TEXT, "v.click_id = ?" },
    { "customer", LIST_TEXT, "v.customer = ?" },
    { "coupon", LIST_TEXT, "v.coupon = ?" },
    { "from", LIST_TIME, "v.created_us >= ?" },
    { "to", LIST_TIME, "v.created_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort conversion_sorts[] = {
    { "created_at", "v.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec conversion_list = {
    .select = "SELECT v.id AS id, v.program_id AS program_id, v.event AS event, v.txid AS txid, v.status AS status,"
              " v.amount_minor AS amount_minor, v.currency AS currency, v.event_time_ms AS event_time_ms,"
              " v.click_id AS click_id, v.coupon AS coupon, v.customer AS customer, v.verified AS verified,"
              " v.created_us AS created_us, f.api_user_id AS api_user_id, f.params AS params, f.referrer AS referrer,"
              " (SELECT CAST(COALESCE(SUM(x.amount_minor), 0) AS BIGINT) FROM refunds x"
              "  WHERE x.conversion_id = v.id AND x.state = 'applied') AS refunded_minor,"
              " (SELECT COUNT(*) FROM referrals r WHERE r.conversion_id = v.id AND r.superseded = 0) AS referrals,"
              " (SELECT COUNT(*) FROM conversion_conflicts c WHERE c.conversion_id = v.id AND c.state = 'open')"
              "  AS conflicts"
              " FROM conversions v LEFT JOIN conversion_facts f ON f.journal_id = v.journal_id AND f.seq = v.seq",
    .from = " FROM conversions v",
    .id = "v.id",
    .filters = conversion_filters,
    .sorts = conversion_sorts,
    .view = conversion_view,
};

/* Null where the sender gave none. */
static json_t *
txid_view(struct db_stmt *row)
{
    const char *txid = db_text(row, "txid");

    return txid != NULL && txid[0] == CONVERSION_NO_TXID[0] ? json_null() : view_column_text(row, "txid");
}

static json_t *
conversion_view(struct db_stmt *row)
{
    json_t *params = db_is_null(row, "params") ? json_object() : view_column_json(row, "params");

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:I, s:I, s:o}",
                     "id", view_column_id(row, "id"),
                     "program_id", view_column_id(row, "program_id"),
                     "event", view_column_text(row, "event"),
                     "txid", txid_view(row),
                     "status", view_column_text(row, "status"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "refunded", view_column_money(row, "refunded_minor", "currency"),
                     "event_time", view_time_us(db_int(row, "event_time_ms") * 1000),
                     "click_id", view_column_text(row, "click_id"),
                     "coupon", view_column_text(row, "coupon"),
                     "customer", view_column_text(row, "customer"),
                     "verified", db_int(row, "verified") != 0,
                     "api_user_id", view_column_id(row, "api_user_id"),
                     "params", params,
                     "referrer", view_column_text(row, "referrer"),
                     "referrals", (json_int_t) db_int(row, "referrals"),
                     "open_conflicts", (json_int_t) db_int(row, "conflicts"),
                     "created_at", view_column_time(row, "created_us"));
}

static const struct list_filter refund_filters[] = {
    { "conversion_id", LIST_INT, "x.conversion_id = ?" },
    { "status", LIST_TEXT_SET, "x.state = ?" },
    { "kind", LIST_TEXT, "x.kind = ?" },
    { "from", LIST_TIME, "x.created_us >= ?" },
    { "to", LIST_TIME, "x.created_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort refund_sorts[] = {
    { "created_at", "x.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec refund_list = {
    .select = "SELECT x.id AS id, x.conversion_id AS conversion_id, x.refund_id AS refund_id, x.kind AS kind,"
              " x.state AS state, x.amount_minor AS amount_minor, x.currency AS currency, x.created_us AS created_us"
              " FROM refunds x",
    .from = " FROM refunds x",
    .id = "x.id",
    .filters = refund_filters,
    .sorts = refund_sorts,
    .view = refund_view,
};

static json_t *
refund_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "conversion_id", view_column_id(row, "conversion_id"),
                     "refund_id", view_column_text(row, "refund_id"),
                     "kind", view_column_text(row, "kind"),
                     "status", view_column_text(row, "state"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "created_at", view_column_time(row, "created_us"));
}

static const struct list_filter conflict_filters[] = {
    { "conversion_id", LIST_INT, "c.conversion_id = ?" },
    { "status", LIST_TEXT_SET, "c.state = ?" },
    { "reason", LIST_TEXT, "c.reason = ?" },
    { "from", LIST_TIME, "c.at_us >= ?" },
    { "to", LIST_TIME, "c.at_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort conflict_sorts[] = {
    { "created_at", "c.at_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec conflict_list = {
    .select = "SELECT c.id AS id, c.conversion_id AS conversion_id, c.reason AS reason, c.state AS state,"
              " c.note AS note, c.at_us AS at_us, c.updated_us AS updated_us, c.version AS version, f.event AS event,"
              " f.txid AS txid, f.refund_id AS refund_id, f.status AS told, f.amount_minor AS amount_minor,"
              " f.currency AS currency, COALESCE(f.click_id, f.cookie_last) AS click_id, f.event_time_ms AS event_time_ms,"
              " f.api_user_id AS api_user_id FROM conversion_conflicts c"
              " LEFT JOIN conversion_facts f ON f.journal_id = c.journal_id AND f.seq = c.seq",
    .from = " FROM conversion_conflicts c",
    .id = "c.id",
    .filters = conflict_filters,
    .sorts = conflict_sorts,
    .view = conflict_view,
};

static json_t *
conflict_view(struct db_stmt *row)
{
    json_t *told = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
                             "event", view_column_text(row, "event"),
                             "txid", view_column_text(row, "txid"),
                             "refund_id", view_column_text(row, "refund_id"),
                             "status", conversion_status_name((int) db_int(row, "told")),
                             "amount", view_column_money(row, "amount_minor", "currency"),
                             "click_id", view_column_text(row, "click_id"),
                             "event_time", view_time_us(db_int(row, "event_time_ms") * 1000),
                             "api_user_id", view_column_id(row, "api_user_id"));

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "conversion_id", view_column_id(row, "conversion_id"),
                     "reason", view_column_text(row, "reason"),
                     "status", view_column_text(row, "state"),
                     "note", view_column_text(row, "note"),
                     "told", told,
                     "created_at", view_column_time(row, "at_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

static const struct list_filter coupon_filters[] = {
    { "affiliate_id", LIST_INT, "c.affiliate_id = ?" },
    { "campaign_id", LIST_INT, "c.campaign_id = ?" },
    { "status", LIST_TEXT_SET, "c.state = ?" },
    { "q", LIST_SEARCH, "lower(c.code) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort coupon_sorts[] = {
    { "created_at", "c.created_us", LIST_INT },
    { "code", "c.code_key", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec coupon_list = {
    .select = "SELECT c.id AS id, c.code AS code, c.code_key AS code_key, c.affiliate_id AS affiliate_id,"
              " c.campaign_id AS campaign_id, c.state AS state, c.valid_from_us AS valid_from_us,"
              " c.valid_to_us AS valid_to_us, c.notes AS notes, c.created_us AS created_us, c.updated_us AS updated_us,"
              " c.version AS version FROM coupons c",
    .from = " FROM coupons c",
    .id = "c.id",
    .filters = coupon_filters,
    .sorts = coupon_sorts,
    .view = coupon_view,
};

static json_t *
coupon_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "code", view_column_text(row, "code"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "campaign_id", view_column_id(row, "campaign_id"),
                     "state", view_column_text(row, "state"),
                     "valid_from", view_column_time(row, "valid_from_us"),
                     "valid_to", view_column_time(row, "valid_to_us"),
                     "notes", view_column_text(row, "notes"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
