/* The report of who sends the leads (S31). */
#include <string.h>

#include "service/lead.h"
#include "service/view.h"
#include "store/lead_report.h"

struct asked {
    int64_t from_us, to_us, agent;
    bool    by_day;
    json_t *rows;
};

static enum db_result
work(struct db *db, void *ctx)
{
    struct asked *asked = ctx;

    json_array_clear(asked->rows);
    return lead_report(db, asked->from_us, asked->to_us, asked->by_day, asked->agent, asked->rows);
}

enum service_result
lead_report_get(const struct service *service, const struct actor *actor, int64_t from_us, int64_t to_us, bool by_day,
                json_t **report, struct service_error *error)
{
    struct asked   asked = { from_us, to_us, strcmp(actor->role, "agent") == 0 ? actor->id : 0, by_day, json_array() };
    enum db_result rc = db_read(service->pool, work, &asked);

    if (rc != DB_OK) {
        json_decref(asked.rows);
        return service_from_db(error, rc, "lead_report");
    }
    *report = json_pack("{s:o, s:o, s:s, s:o}", "from", view_time_us(from_us), "to", view_time_us(to_us), "group",
                        by_day ? "day" : "none", "data", asked.rows);
    return SERVICE_OK;
}
