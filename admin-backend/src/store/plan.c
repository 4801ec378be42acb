#include "store/plan.h"

#include <stdlib.h>

#include <jansson.h>

/* A tier list that does not read as one leaves tier_count 0: such a plan pays nothing and `verify` names it. */
static void
read_tiers(const char *text, struct plan *plan)
{
    json_t *tiers = text == NULL ? NULL : json_loads(text, 0, NULL), *tier;
    size_t  i;

    json_array_foreach(tiers, i, tier) {
        if (i == PLAN_TIERS_MAX)
            break;
        plan->tiers[i].from = json_integer_value(json_object_get(tier, "from"));
        plan->tiers[i].rate_ppm = json_integer_value(json_object_get(tier, "rate_ppm"));
        plan->tier_count = (unsigned) i + 1;
    }
    json_decref(tiers);
}

enum db_result
plan_from_row(struct db_stmt *row, struct plan_row *out)
{
    const char *complaint;

    *out = (struct plan_row){ .plan.type = PLAN_NONE };
    if (db_is_null(row, "plan_id"))
        return DB_OK;
    out->id = db_int(row, "plan_id");
    if (!plan_type_parse(db_text(row, "plan_type"), &out->plan.type))
        return DB_CORRUPT;
    out->plan.rate_ppm = db_int(row, "plan_rate_ppm");
    out->plan.hold_days = db_int(row, "plan_hold_days");
    if (out->plan.type == PLAN_FIXED
        && !amount_make(db_int(row, "plan_amount_minor"), db_text(row, "plan_currency"), &out->plan.fixed))
        return DB_CORRUPT;
    if (out->plan.type == PLAN_TIERED)
        read_tiers(db_text(row, "plan_tiers"), &out->plan);
    return plan_check(&out->plan, &complaint) ? DB_OK : DB_CORRUPT;
}

enum db_result
plan_find(struct db *db, const char *scope, int64_t scope_id, uint64_t at_us, struct plan_row *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT " PLAN_COLUMNS " FROM plans pl"
                                  " WHERE pl.scope = $1 AND pl.scope_id = $2 AND pl.valid_from_us <= $3"
                                  " ORDER BY pl.valid_from_us DESC, pl.id DESC LIMIT 1",
                                  "sii", scope, scope_id, (int64_t) at_us);

    *out = (struct plan_row){ .plan.type = PLAN_NONE };
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    rc = plan_from_row(row, out);
    db_end(row);
    return rc;
}

static char *
tiers_text(const struct plan *plan)
{
    json_t *tiers = json_array();
    char   *text;

    for (unsigned i = 0; i < plan->tier_count; i++)
        json_array_append_new(tiers, json_pack("{s:I, s:I}", "from", (json_int_t) plan->tiers[i].from, "rate_ppm",
                                               (json_int_t) plan->tiers[i].rate_ppm));
    text = json_dumps(tiers, JSON_COMPACT);
    json_decref(tiers);
    return text;
}

enum db_result
plan_append(struct db *db, const char *scope, int64_t scope_id, const struct plan *plan, uint64_t from_us,
            uint64_t now_us, int64_t *id)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO plans (scope, scope_id, type, rate_ppm, amount_minor, currency,"
                                         " tiers, hold_days, valid_from_us, recorded_us)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id");
    char           *tiers = NULL;
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_text(row, 1, scope);
    db_bind_int(row, 2, scope_id);
    db_bind_text(row, 3, plan_type_name(plan->type));
    if (plan->type == PLAN_PERCENTAGE)
        db_bind_int(row, 4, plan->rate_ppm);
    if (plan->type == PLAN_FIXED) {
        db_bind_int(row, 5, plan->fixed.minor);
        db_bind_text(row, 6, plan->fixed.currency);
    }
    if (plan->type == PLAN_TIERED)
        db_bind_text(row, 7, tiers = tiers_text(plan));
    db_bind_int(row, 8, plan->hold_days);
    db_bind_int(row, 9, (int64_t) from_us);
    db_bind_int(row, 10, (int64_t) now_us);

    rc = db_step(row);
    if (rc == DB_ROW) {
        *id = db_int(row, "id");
        rc = DB_OK;
    } else if (rc == DB_DONE) {
        rc = DB_FAILED;
    }
    db_end(row);
    free(tiers);
    return rc;
}
