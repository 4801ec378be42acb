#include "store/lead_report.h"

#include <stdio.h>

#include "service/view.h"
#include "store/lead_view.h"

#define OF_VERDICT(verdict) ", SUM(CASE WHEN w.verdict = '" verdict "' THEN 1 ELSE 0 END) AS " verdict "_n"
/* Of leads that came of it: a duplicate's row names the first one. */
#define OF_STATUS(status)                                                                                            \
    ", SUM(CASE WHEN w.verdict IN ('created', 'pending') AND l.status = '" status "' THEN 1 ELSE 0 END) AS " status

static const char query[] =
    "SELECT w.affiliate_id AS affiliate_id, a.name AS affiliate_name,"
    " CASE WHEN CAST($3 AS BIGINT) = 1 THEN w.at_us / 86400000000 ELSE 0 END AS day, COUNT(*) AS received"
    OF_VERDICT("created") OF_VERDICT("pending") OF_VERDICT("duplicate") OF_VERDICT("invalid") OF_VERDICT("spam")
    OF_VERDICT("repeated") OF_VERDICT("conflict") OF_VERDICT("failed")
    OF_STATUS("unconfirmed") OF_STATUS("new") OF_STATUS("contacted") OF_STATUS("no_answer") OF_STATUS("qualified")
    OF_STATUS("not_interested") OF_STATUS("rejected") OF_STATUS("converted")
    " FROM lead_log w JOIN affiliates a ON a.id = w.affiliate_id LEFT JOIN leads l ON l.id = w.lead_id"
    " WHERE w.at_us >= $1 AND w.at_us < $2 AND COALESCE(l.test, 0) = 0"
    " AND (CAST($4 AS BIGINT) = 0 OR " AGENT_HAS_LOG("$4") ")"
    " GROUP BY w.affiliate_id, a.name, day"
    " ORDER BY SUM(CASE WHEN w.verdict IN ('created', 'pending') THEN 1 ELSE 0 END) DESC, received DESC, w.affiliate_id, day"
    " LIMIT $5";

static const char *const verdicts[] = { "created", "pending", "duplicate", "invalid", "spam", "repeated", "conflict",
                                        "failed" };
static const char *const statuses[] = { "unconfirmed", "new", "contacted", "no_answer", "qualified", "not_interested",
                                        "rejected", "converted" };

/* "2026-11-22" of days since 1970. */
static json_t *
day_view(int64_t day)
{
    json_t *time = view_time_us(day * INT64_C(86400000000)), *out = json_stringn(json_string_value(time), 10);

    json_decref(time);
    return out;
}

static json_t *
view(struct db_stmt *row, bool by_day)
{
    json_t *object = json_pack("{s:o, s:o, s:o, s:I}", "affiliate_id", view_column_id(row, "affiliate_id"),
                               "affiliate_name", view_column_text(row, "affiliate_name"), "day",
                               by_day ? day_view(db_int(row, "day")) : json_null(), "received",
                               (json_int_t) db_int(row, "received"));
    int64_t leads = db_int(row, "created_n") + db_int(row, "pending_n");
    char    column[24];

    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        snprintf(column, sizeof(column), "%s_n", verdicts[i]);
        json_object_set_new(object, verdicts[i], json_integer((json_int_t) db_int(row, column)));
    }
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        json_object_set_new(object, statuses[i], json_integer((json_int_t) db_int(row, statuses[i])));
    json_object_set_new(object, "conversion_rate",
                        leads == 0 ? json_null() : view_ppm(db_int(row, "converted") * 1000000 / leads));
    return object;
}

enum db_result
lead_report(struct db *db, int64_t from_us, int64_t to_us, bool by_day, int64_t agent, json_t *rows)
{
    struct db_stmt *row = db_prepare(db, query);
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, from_us);
    db_bind_int(row, 2, to_us);
    db_bind_int(row, 3, by_day);
    db_bind_int(row, 4, agent);
    db_bind_int(row, 5, LEAD_REPORT_MAX);
    while ((rc = db_step(row)) == DB_ROW) {
        if (json_array_append_new(rows, view(row, by_day)) != 0) {
            rc = DB_FAILED;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}
