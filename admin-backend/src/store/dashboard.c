#include "store/dashboard.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/view.h"

#define US_PER_DAY (INT64_C(86400) * 1000000)

/* {"name": n, ...} of rows (name, n); names that never occur are 0. */
static enum db_result
count_by(struct db_stmt *row, const char *const names[], json_t **out)
{
    json_t        *counts = json_object();
    enum db_result rc;

    if (row == NULL)
        return DB_FAILED;
    for (int i = 0; names[i] != NULL; i++)
        json_object_set_new(counts, names[i], json_integer(0));
    while ((rc = db_step(row)) == DB_ROW)
        json_object_set_new(counts, db_text(row, "name"), json_integer(db_int(row, "n")));
    db_end(row);
    *out = counts;
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
dashboard_affiliates(struct db *db, json_t **out)
{
    static const char *const names[] = { "pending", "approved", "suspended", "terminated", NULL };

    return count_by(db_prepare(db, "SELECT status AS name, COUNT(*) AS n FROM affiliates GROUP BY status"), names, out);
}

enum db_result
dashboard_referrals(struct db *db, int64_t from_us, int64_t to_us, json_t **out)
{
    static const char *const names[] = { "pending", "approved", "rejected", NULL };
    struct db_stmt *row = db_prepare(db, "SELECT status AS name, COUNT(*) AS n FROM referrals"
                                         " WHERE created_us >= $1 AND created_us < $2 GROUP BY status");

    if (row != NULL) {
        db_bind_int(row, 1, from_us);
        db_bind_int(row, 2, to_us);
    }
    return count_by(row, names, out);
}

enum db_result
dashboard_commissions(struct db *db, int64_t from_us, int64_t to_us, json_t **out)
{
    static const char *const names[] = { "pending", "approved", "in_payout", "paid", "rejected", "generated", NULL };
    struct db_stmt *row = db_prepare(db, "SELECT status, currency, CAST(SUM(amount_minor) AS BIGINT) AS total"
                                         " FROM commissions WHERE created_us >= $1 AND created_us < $2"
                                         " GROUP BY status, currency"
                                         " UNION ALL SELECT 'generated' AS status, currency,"
                                         " CAST(SUM(amount_minor) AS BIGINT) AS total FROM commissions"
                                         " WHERE created_us >= $1 AND created_us < $2 AND status <> 'rejected'"
                                         " GROUP BY currency ORDER BY 1, 2");
    json_t         *sums = json_object();
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    for (int i = 0; names[i] != NULL; i++)
        json_object_set_new(sums, names[i], json_array());
    db_bind_int(row, 1, from_us);
    db_bind_int(row, 2, to_us);
    while ((rc = db_step(row)) == DB_ROW)
        json_array_append_new(json_object_get(sums, db_text(row, "status")),
                              view_money(db_int(row, "total"), db_text(row, "currency")));
    db_end(row);
    *out = sums;
    return rc == DB_DONE ? DB_OK : rc;
}

static json_t *
day_view(int64_t day)
{
    time_t    seconds = (time_t) (day * 86400);
    struct tm tm;
    char      text[16];

    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
        return json_null();
    return json_string(text);
}

/* Clicks are rolled up by whole UTC days; the period's first and last day count in full. */
static void
bind_days(struct db_stmt *row, int64_t from_us, int64_t to_us)
{
    db_bind_int(row, 1, from_us / US_PER_DAY);
    db_bind_int(row, 2, (to_us + US_PER_DAY - 1) / US_PER_DAY);
}

enum db_result
dashboard_clicks(struct db *db, int64_t from_us, int64_t to_us, json_t **out)
{
    struct db_stmt *row = db_prepare(db, "SELECT day, CAST(SUM(clicks) AS BIGINT) AS clicks,"
                                         " CAST(SUM(uniques) AS BIGINT) AS uniques, CAST(SUM(marked) AS BIGINT) AS marked,"
                                         " CAST(SUM(impressions) AS BIGINT) AS impressions"
                                         " FROM click_stats WHERE day >= $1 AND day < $2 GROUP BY day ORDER BY day");
    json_t         *days = json_array();
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    bind_days(row, from_us, to_us);
    while ((rc = db_step(row)) == DB_ROW)
        json_array_append_new(days, json_pack("{s:o, s:I, s:I, s:I, s:I}", "day", day_view(db_int(row, "day")), "clicks",
                                              (json_int_t) db_int(row, "clicks"), "uniques",
                                              (json_int_t) db_int(row, "uniques"), "marked",
                                              (json_int_t) db_int(row, "marked"), "impressions",
                                              (json_int_t) db_int(row, "impressions")));
    db_end(row);
    *out = days;
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
dashboard_top(struct db *db, int64_t from_us, int64_t to_us, json_t **out)
{
    struct db_stmt *row = db_prepare(db, "SELECT s.affiliate_id AS affiliate_id, a.name AS name,"
                                         " CAST(SUM(s.clicks) AS BIGINT) AS clicks"
                                         " FROM click_stats s JOIN affiliates a ON a.id = s.affiliate_id"
                                         " WHERE s.day >= $1 AND s.day < $2 GROUP BY s.affiliate_id, a.name"
                                         " ORDER BY 3 DESC, 1 LIMIT 10");
    json_t         *top = json_array();
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    bind_days(row, from_us, to_us);
    while ((rc = db_step(row)) == DB_ROW)
        json_array_append_new(top, json_pack("{s:o, s:o, s:I}", "affiliate_id", view_column_id(row, "affiliate_id"),
                                             "name", view_column_text(row, "name"), "clicks",
                                             (json_int_t) db_int(row, "clicks")));
    db_end(row);
    *out = top;
    return rc == DB_DONE ? DB_OK : rc;
}
