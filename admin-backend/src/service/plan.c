/* Commission structures, between the API's shape and the domain's. */
#include <string.h>

#include "service/audit.h"
#include "service/money.h"
#include "service/plan_view.h"
#include "service/view.h"
#include "store/plan.h"

static bool    parse_plan(const json_t *commission, struct plan *plan, const char **complaint);
static json_t *plan_json(const struct plan *plan);

enum service_result
plan_set(const struct service *service, struct db *db, const struct actor *actor, const char *scope, int64_t scope_id,
         const json_t *commission, struct service_error *error)
{
    struct plan_row before;
    struct plan     plan = { .type = PLAN_NONE };
    const char     *complaint = NULL;
    uint64_t        now = service->now_us();
    json_t         *was, *is;
    int64_t         id;
    enum db_result  rc;

    if (!json_is_null(commission) && !parse_plan(commission, &plan, &complaint))
        return service_invalid(error, "commission", complaint);
    rc = plan_find(db, scope, scope_id, now, &before);
    if (rc != DB_OK)
        return service_from_db(error, rc, "plan_find");
    was = plan_json(&before.plan);
    is = plan_json(&plan);
    if (!json_equal(was, is)) /* else the version in force goes on */
        rc = plan_append(db, scope, scope_id, &plan, now, now, &id);
    if (rc == DB_OK && !json_equal(was, is))
        rc = audit_write(db, actor, now, "plan.set", scope, scope_id, was, is, NULL);
    json_decref(was);
    json_decref(is);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "plan_append");
}

/* ---- from the API's shape ---- */

/* Every member must be one of `names` (NULL-terminated): a misspelt rate must not pass as none. */
static bool
only_members(const json_t *object, const char *const names[])
{
    const char *name;
    json_t     *value;

    json_object_foreach((json_t *) object, name, value) {
        int i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL)
            return false;
    }
    return true;
}

static bool
parse_fixed(const json_t *commission, struct plan *plan, const char **complaint)
{
    const json_t *money = json_object_get(commission, "amount");
    const char   *amount = json_string_value(json_object_get(money, "amount"));
    const char   *currency = json_string_value(json_object_get(money, "currency"));

    *complaint = "needs amount: {\"amount\":\"5.00\",\"currency\":\"EUR\"}";
    return amount != NULL && currency != NULL
           && json_object_size(money) == 2
           && tracker_money_parse((struct tracker_str){ amount, strlen(amount) },
                                  (struct tracker_str){ currency, strlen(currency) }, &plan->fixed)
                  == TRACKER_MONEY_OK;
}

static bool
parse_tiers(const json_t *commission, struct plan *plan, const char **complaint)
{
    static const char *const members[] = { "from", "percentage", NULL };
    const json_t            *tiers = json_object_get(commission, "tiers"), *tier;
    size_t                   i;

    *complaint = "needs tiers: [{\"from\":0,\"percentage\":\"10\"}, ...], 1 to 16 of them";
    if (!json_is_array(tiers) || json_array_size(tiers) > PLAN_TIERS_MAX)
        return false;
    json_array_foreach(tiers, i, tier) {
        const char *percent = json_string_value(json_object_get(tier, "percentage"));

        if (!json_is_integer(json_object_get(tier, "from")) || !only_members(tier, members)
            || !view_parse_percent(percent, &plan->tiers[i].rate_ppm))
            return false;
        plan->tiers[i].from = json_integer_value(json_object_get(tier, "from"));
    }
    plan->tier_count = (unsigned) json_array_size(tiers);
    return true;
}

static bool
parse_plan(const json_t *commission, struct plan *plan, const char **complaint)
{
    static const char *const percentage[] = { "type", "hold_days", "percentage", NULL };
    static const char *const fixed[] = { "type", "hold_days", "amount", NULL };
    static const char *const tiered[] = { "type", "hold_days", "tiers", NULL };
    const json_t            *hold = json_object_get(commission, "hold_days");

    *complaint = "has a type other than percentage, fixed or tiered";
    if (!plan_type_parse(json_string_value(json_object_get(commission, "type")), &plan->type))
        return false;
    if (hold != NULL && !json_is_integer(hold)) {
        *complaint = "has hold_days that are no whole number";
        return false;
    }
    plan->hold_days = json_integer_value(hold);

    switch (plan->type) {
    case PLAN_NONE:
        return false; /* null says it */
    case PLAN_PERCENTAGE:
        *complaint = "needs percentage: a decimal string from \"0\" to \"100\", at most 4 decimals";
        if (!only_members(commission, percentage)
            || !view_parse_percent(json_string_value(json_object_get(commission, "percentage")), &plan->rate_ppm))
            return false;
        break;
    case PLAN_FIXED:
        if (!parse_fixed(commission, plan, complaint) || !only_members(commission, fixed))
            return false;
        break;
    case PLAN_TIERED:
        if (!parse_tiers(commission, plan, complaint) || !only_members(commission, tiered))
            return false;
        break;
    }
    return plan_check(plan, complaint);
}

/* ---- to the API's shape ---- */

static json_t *
tiers_view(const struct plan *plan)
{
    json_t *tiers = json_array();

    for (unsigned i = 0; i < plan->tier_count; i++)
        json_array_append_new(tiers, json_pack("{s:I, s:o}", "from", (json_int_t) plan->tiers[i].from, "percentage",
                                               view_ppm(plan->tiers[i].rate_ppm)));
    return tiers;
}

static json_t *
plan_json(const struct plan *plan)
{
    json_t *view = json_pack("{s:s, s:I}", "type", plan_type_name(plan->type), "hold_days",
                             (json_int_t) plan->hold_days);

    switch (plan->type) {
    case PLAN_NONE:
        json_decref(view);
        return json_null();
    case PLAN_PERCENTAGE:
        json_object_set_new(view, "percentage", view_ppm(plan->rate_ppm));
        break;
    case PLAN_FIXED:
        json_object_set_new(view, "amount", view_money(plan->fixed.minor, plan->fixed.currency));
        break;
    case PLAN_TIERED:
        json_object_set_new(view, "tiers", tiers_view(plan));
        break;
    }
    return view;
}

json_t *
plan_view(struct db *db, const char *scope, int64_t scope_id, uint64_t now_us)
{
    struct plan_row row;

    return plan_find(db, scope, scope_id, now_us, &row) == DB_OK ? plan_json(&row.plan) : json_null();
}

json_t *
plan_row_view(struct db_stmt *stmt)
{
    struct plan_row row;

    return plan_from_row(stmt, &row) == DB_OK ? plan_json(&row.plan) : json_null();
}
