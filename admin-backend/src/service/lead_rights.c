/* A person's rights: to be forgotten, and to be told what is kept. */
#include "service/decide.h"
#include "service/lead.h"
#include "service/trader.h"
#include "service/view.h"
#include "store/lead.h"
#include "store/lead_work.h"

/* ---- erasure ---- */

/* He who was there before the lead came, or came by another one too, is not this lead's. */
static enum db_result
erase_trader(struct db *db, const struct lead_row *row, uint64_t now_us)
{
    bool           others = true;
    enum db_result rc = row->trader_id == 0 || row->existing != 0
                            ? DB_OK
                            : trader_has_other_leads(db, row->trader_id, row->id, &others);

    return rc != DB_OK || others ? rc : trader_erase_person(db, row->trader_id, now_us);
}

static enum service_result
erase(struct db *db, struct decision *decision, struct service_error *error)
{
    struct lead_row row;
    enum db_result  rc = row_load(db, &lead_table, decision->id, &row);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "lead");
    decision->unchanged = row.erased_us != 0;
    rc = decision->unchanged ? DB_OK : lead_erase_person(db, row.id, row.uid, decision->at_us);
    if (rc == DB_OK && !decision->unchanged)
        rc = erase_trader(db, &row, decision->at_us);
    row_free(&lead_table, &row);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "lead_erase");
}

enum service_result
lead_erase(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
           struct service_error *error)
{
    struct decision decision = { .service = service, .actor = actor, .spec = &lead_list, .object_type = "lead",
                                 .action = "lead.erase", .id = id, .step = erase };

    return decide(&decision, object, error);
}

/* ---- export ---- */

static enum db_result
collect(struct db *db, int64_t id, json_t **out)
{
    json_t        *lead = NULL, *trader = NULL;
    int64_t        trader_id;
    enum db_result rc = list_one(db, &lead_list, id, &lead);

    if (rc == DB_ROW && view_parse_id(json_string_value(json_object_get(lead, "trader_id")), &trader_id))
        rc = list_one(db, &trader_list, trader_id, &trader);
    if (rc != DB_ROW) {
        json_decref(lead);
        return rc == DB_DONE ? DB_FAILED : rc;
    }
    *out = json_pack("{s:o, s:[o*]}", "lead", lead, "traders", trader);
    return *out == NULL ? DB_FAILED : lead_add_records(db, id, *out);
}

static enum service_result
export(struct db *db, struct decision *decision, struct service_error *error)
{
    json_t       **out = decision->ctx;
    enum db_result rc;

    json_decref(*out); /* of an attempt before */
    *out = NULL;
    rc = collect(db, decision->id, out);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "lead_export");
}

enum service_result
lead_export(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
            struct service_error *error)
{
    json_t             *collected = NULL;
    struct decision     decision = { .service = service, .actor = actor, .spec = &lead_list, .object_type = "lead",
                                     .action = "lead.export", .id = id, .step = export, .ctx = &collected };
    enum service_result result = decide(&decision, NULL, error);

    if (result == SERVICE_OK)
        *object = collected;
    else
        json_decref(collected);
    return result;
}
