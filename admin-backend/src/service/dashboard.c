/* The dashboard: one consistent look at the numbers. */
#include "service/catalog.h"
#include "service/view.h"
#include "store/dashboard.h"

struct look {
    const struct service *service;
    int64_t               from_us, to_us;
    json_t               *affiliates, *referrals, *commissions, *clicks, *top;
};

static enum db_result
read_all(struct db *db, void *ctx)
{
    struct look   *look = ctx;
    enum db_result rc = dashboard_affiliates(db, &look->affiliates);

    if (rc == DB_OK)
        rc = dashboard_referrals(db, look->from_us, look->to_us, &look->referrals);
    if (rc == DB_OK)
        rc = dashboard_commissions(db, look->from_us, look->to_us, &look->commissions);
    if (rc == DB_OK)
        rc = dashboard_clicks(db, look->from_us, look->to_us, &look->clicks);
    if (rc == DB_OK)
        rc = dashboard_top(db, look->from_us, look->to_us, &look->top);
    return rc;
}

/* Sums of the days shown, so that nobody has to add them up. */
static json_t *
total_clicks(const json_t *days)
{
    json_int_t clicks = 0, uniques = 0, marked = 0, impressions = 0;
    json_t    *day;
    size_t     i;

    json_array_foreach(days, i, day) {
        clicks += json_integer_value(json_object_get(day, "clicks"));
        uniques += json_integer_value(json_object_get(day, "uniques"));
        marked += json_integer_value(json_object_get(day, "marked"));
        impressions += json_integer_value(json_object_get(day, "impressions"));
    }
    return json_pack("{s:I, s:I, s:I, s:I}", "clicks", clicks, "uniques", uniques, "marked", marked, "impressions",
                     impressions);
}

enum service_result
dashboard_get(const struct service *service, int64_t from_us, int64_t to_us, json_t **object,
              struct service_error *error)
{
    struct look         look = { .service = service, .from_us = from_us, .to_us = to_us };
    enum service_result result = SERVICE_OK;
    enum db_result      rc = db_read(service->pool, read_all, &look);

    if (rc == DB_OK)
        *object = json_pack("{s:o, s:o, s:o, s:O, s:O, s:O, s:o, s:O, s:O}",
                            "from", view_time_us(from_us),
                            "to", view_time_us(to_us),
                            "active_affiliates", json_incref(json_object_get(look.affiliates, "approved")),
                            "affiliates", look.affiliates,
                            "referrals", look.referrals,
                            "commissions", look.commissions,
                            "clicks", total_clicks(look.clicks),
                            "clicks_by_day", look.clicks,
                            "top_affiliates", look.top);
    else
        result = service_from_db(error, rc, "dashboard_get");
    json_decref(look.affiliates);
    json_decref(look.referrals);
    json_decref(look.commissions);
    json_decref(look.clicks);
    json_decref(look.top);
    return result;
}
