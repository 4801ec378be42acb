/* What the lists of leads and of their log select, filter and sort by, and what one lead shows. */
#include "service/lead.h"
#include "service/view.h"
#include "store/lead_view.h"

static json_t        *lead_view(struct db_stmt *row);
static enum db_result lead_details(struct db *db, int64_t id, json_t *lead);
static json_t        *lead_log_view(struct db_stmt *row);

static const struct list_filter lead_filters[] = {
    { "status", LIST_TEXT_SET, "l.status = ?" },
    { "affiliate_id", LIST_INT, "l.affiliate_id = ?" },
    { "source_id", LIST_INT, "l.source_id = ?" },
    { "agent_id", LIST_INT, "l.agent_id = ?" },
    { "department_id", LIST_INT, "l.department_id = ?" },
    { "api_user_id", LIST_INT, "l.api_user_id = ?" },
    { "form_id", LIST_INT, "l.form_id = ?" },
    { "trader_id", LIST_INT, "l.trader_id = ?" },
    { "kind", LIST_TEXT_SET, "l.kind = ?" },
    { "uid", LIST_TEXT, "l.uid = ?" },
    { "test", LIST_TEXT, "CASE WHEN l.test = 1 THEN 'true' ELSE 'false' END = ?" },
    { "from", LIST_TIME, "l.created_us >= ?" },
    { "to", LIST_TIME, "l.created_us < ?" },
    { "q", LIST_SEARCH,
      "(lower(l.first_name || ' ' || l.last_name) LIKE ? ESCAPE '!' OR lower(l.email) LIKE ? ESCAPE '!'"
      " OR l.phone LIKE ? ESCAPE '!' OR l.phone_key LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort lead_sorts[] = {
    { "created_at", "l.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
static const char *const lead_personal[] = { "first_name", "last_name", "email", "phone", "fields", "notes", "log",
                                             "origin", NULL };
#define LEAD_COLUMNS                                                                                                 \
    "SELECT l.id AS id, l.uid AS uid, l.kind AS kind, l.status AS status, l.test AS test, l.first_name AS first_name," \
    " l.last_name AS last_name, l.email AS email, l.phone AS phone, l.country AS country, l.language AS language,"   \
    " l.fields AS fields, l.tags AS tags, l.affiliate_id AS affiliate_id, a.name AS affiliate_name,"                 \
    " l.source_id AS source_id, s.name AS source_name, l.api_user_id AS api_user_id, l.form_id AS form_id,"          \
    " l.campaign_id AS campaign_id, l.link_id AS link_id, l.click_id AS click_id, l.department_id AS department_id," \
    " l.agent_id AS agent_id, l.trader_id AS trader_id, l.existing AS existing, l.duplicate_of AS duplicate_of,"     \
    " l.confirmed_us AS confirmed_us, l.erased_us AS erased_us, l.created_us AS created_us,"                         \
    " l.updated_us AS updated_us, l.version AS version FROM leads l"                                                 \
    " LEFT JOIN affiliates a ON a.id = l.affiliate_id LEFT JOIN lead_sources s ON s.id = l.source_id"
const struct list_spec lead_list = {
    .select = LEAD_COLUMNS,
    .from = " FROM leads l",
    .id = "l.id",
    .filters = lead_filters,
    .sorts = lead_sorts,
    .view = lead_view,
    .details = lead_details,
    .personal = lead_personal,
    .agents = LEAD_OF_AGENT,
};

static json_t *
lead_view(struct db_stmt *row)
{
    json_t *who = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                            "first_name", view_column_text(row, "first_name"),
                            "last_name", view_column_text(row, "last_name"),
                            "email", view_column_text(row, "email"),
                            "phone", view_column_text(row, "phone"),
                            "country", view_column_text(row, "country"),
                            "language", view_column_text(row, "language"),
                            "fields", view_column_json(row, "fields"),
                            "tags", view_column_json(row, "tags"));
    json_t *from = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                             "affiliate_id", view_column_id(row, "affiliate_id"),
                             "affiliate_name", view_column_text(row, "affiliate_name"),
                             "source_id", view_column_id(row, "source_id"),
                             "source_name", view_column_text(row, "source_name"),
                             "api_user_id", view_column_id(row, "api_user_id"),
                             "form_id", view_column_id(row, "form_id"),
                             "campaign_id", view_column_id(row, "campaign_id"),
                             "link_id", view_column_id(row, "link_id"),
                             "click_id", view_column_text(row, "click_id"));
    json_t *lead = json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:I}",
                             "id", view_column_id(row, "id"),
                             "uid", view_column_text(row, "uid"),
                             "kind", view_column_text(row, "kind"),
                             "status", view_column_text(row, "status"),
                             "test", db_int(row, "test") != 0,
                             "department_id", view_column_id(row, "department_id"),
                             "agent_id", view_column_id(row, "agent_id"),
                             "trader_id", view_column_id(row, "trader_id"),
                             "existing", db_int(row, "existing") != 0,
                             "duplicate_of", view_column_id(row, "duplicate_of"),
                             "confirmed_at", view_column_time(row, "confirmed_us"),
                             "erased_at", view_column_time(row, "erased_us"),
                             "created_at", view_column_time(row, "created_us"),
                             "updated_at", view_column_time(row, "updated_us"),
                             "version", (json_int_t) db_int(row, "version"));

    if (lead != NULL && (json_object_update_new(lead, who) != 0 || json_object_update_new(lead, from) != 0)) {
        json_decref(lead);
        lead = NULL;
    }
    return lead;
}

/* ---- one lead ---- */

static json_t *
note_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "id", view_column_id(row, "id"), "actor", view_column_text(row, "actor"),
                     "text", view_column_text(row, "text"), "created_at", view_column_time(row, "created_us"));
}

static json_t *
referral_ref_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "id", view_column_id(row, "id"), "event", view_column_text(row, "event"),
                     "status", view_column_text(row, "status"), "created_at", view_column_time(row, "created_us"));
}

static json_t *
origin_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "received_at", view_time_us(db_int(row, "received_ms") * 1000), "ip",
                     view_column_address(row, "ip", "ip_form"), "user_agent", view_column_text(row, "user_agent"),
                     "referrer", view_column_text(row, "referrer"));
}

#define LOG_COLUMNS                                                                                                  \
    "SELECT w.id AS id, w.at_us AS at_us, w.uid AS uid, w.lead_id AS lead_id, w.kind AS kind,"                       \
    " w.api_user_id AS api_user_id, w.form_id AS form_id, w.source_id AS source_id,"                                 \
    " w.affiliate_id AS affiliate_id, a.name AS affiliate_name, w.agent_id AS agent_id,"                             \
    " w.department_id AS department_id, w.verdict AS verdict, w.reason AS reason, w.email AS email"                  \
    " FROM lead_log w LEFT JOIN affiliates a ON a.id = w.affiliate_id"

static enum db_result
lead_details(struct db *db, int64_t id, json_t *lead)
{
    static const struct details_part parts[] = {
        { "log", LOG_COLUMNS " WHERE w.lead_id = $1 ORDER BY w.id LIMIT 200", lead_log_view },
        { "notes", "SELECT id, actor, text, created_us FROM lead_notes WHERE lead_id = $1 ORDER BY id LIMIT 500",
          note_view },
        { "referrals",
          "SELECT r.id AS id, r.event AS event, r.status AS status, r.created_us AS created_us FROM conversions v"
          " JOIN referrals r ON r.conversion_id = v.id WHERE v.lead_id = $1 ORDER BY r.id LIMIT 100",
          referral_ref_view },
        { "origin",
          "SELECT f.received_ms AS received_ms, f.ip AS ip, f.ip_form AS ip_form, f.user_agent AS user_agent,"
          " f.referrer AS referrer FROM leads l JOIN lead_facts f ON f.journal_id = l.journal_id AND f.seq = l.seq"
          " WHERE l.id = $1",
          origin_view },
        { NULL, NULL, NULL },
    };

    return details_add(db, id, lead, parts);
}

/* ---- the log ---- */

static const struct list_filter log_filters[] = {
    { "verdict", LIST_TEXT_SET, "w.verdict = ?" },
    { "reason", LIST_TEXT_SET, "w.reason = ?" },
    { "kind", LIST_TEXT_SET, "w.kind = ?" },
    { "affiliate_id", LIST_INT, "w.affiliate_id = ?" },
    { "source_id", LIST_INT, "w.source_id = ?" },
    { "api_user_id", LIST_INT, "w.api_user_id = ?" },
    { "form_id", LIST_INT, "w.form_id = ?" },
    { "agent_id", LIST_INT, "w.agent_id = ?" },
    { "department_id", LIST_INT, "w.department_id = ?" },
    { "lead_id", LIST_INT, "w.lead_id = ?" },
    { "uid", LIST_TEXT, "w.uid = ?" },
    { "from", LIST_TIME, "w.at_us >= ?" },
    { "to", LIST_TIME, "w.at_us < ?" },
    { "q", LIST_SEARCH, "lower(w.email) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort log_sorts[] = {
    { "at", "w.at_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec lead_log_list = {
    .select = LOG_COLUMNS,
    .from = " FROM lead_log w",
    .id = "w.id",
    .filters = log_filters,
    .sorts = log_sorts,
    .view = lead_log_view,
    .agents = LOG_OF_AGENT,
};

static json_t *
lead_log_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "at", view_column_time(row, "at_us"),
                     "uid", view_column_text(row, "uid"),
                     "lead_id", view_column_id(row, "lead_id"),
                     "kind", view_column_text(row, "kind"),
                     "api_user_id", view_column_id(row, "api_user_id"),
                     "form_id", view_column_id(row, "form_id"),
                     "source_id", view_column_id(row, "source_id"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "affiliate_name", view_column_text(row, "affiliate_name"),
                     "agent_id", view_column_id(row, "agent_id"),
                     "department_id", view_column_id(row, "department_id"),
                     "verdict", view_column_text(row, "verdict"),
                     "reason", view_column_text(row, "reason"),
                     "email", view_column_text(row, "email"));
}
