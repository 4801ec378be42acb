/* What is stored of a person besides the lead itself: for the person. */
#include "service/view.h"
#include "store/lead_view.h"
#include "store/lead_work.h"

static json_t *
fact_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "at", view_time_us(db_int(row, "time_ms") * 1000),
                     "outcome", view_column_text(row, "outcome"),
                     "fields", view_column_json(row, "fields"),
                     "ip", view_column_address(row, "ip", "ip_form"),
                     "user_agent", view_column_text(row, "user_agent"),
                     "referrer", view_column_text(row, "referrer"),
                     "language", view_column_text(row, "language"),
                     "click_id", view_column_text(row, "click_id"),
                     "idempotency_key", view_column_text(row, "idempotency_key"));
}

static json_t *
conversion_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "event", view_column_text(row, "event"),
                     "status", view_column_text(row, "status"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "event_time", view_time_us(db_int(row, "event_time_ms") * 1000));
}

#define FACT_COLUMNS                                                                                                 \
    "SELECT f.time_ms AS time_ms, f.outcome AS outcome, f.fields AS fields, f.ip AS ip, f.ip_form AS ip_form,"       \
    " f.user_agent AS user_agent, f.referrer AS referrer, f.language AS language, f.click_id AS click_id,"           \
    " f.idempotency_key AS idempotency_key FROM lead_facts f"

enum db_result
lead_add_records(struct db *db, int64_t id, json_t *object)
{
    static const struct details_part parts[] = {
        { "submissions",
          FACT_COLUMNS " WHERE f.lead_uid = (SELECT l.uid FROM leads l WHERE l.id = $1) OR (f.journal_id, f.seq) IN"
                       " (SELECT w.journal_id, w.seq FROM lead_log w WHERE w.lead_id = $1)"
                       " ORDER BY f.time_ms, f.journal_id, f.seq LIMIT 500",
          fact_view },
        { "conversions",
          "SELECT id, event, status, amount_minor, currency, event_time_ms FROM conversions"
          " WHERE lead_id = $1 OR (program_id, customer) IN (SELECT l.program_id, CAST(l.trader_id AS TEXT) FROM leads l"
          " WHERE l.id = $1 AND l.trader_id IS NOT NULL) ORDER BY id LIMIT 1000",
          conversion_view },
        { NULL, NULL, NULL },
    };

    return details_add(db, id, object, parts);
}
