#include "domain/commission.h"

static enum commission_verdict share_of(const struct tracker_money *basis, int64_t rate_ppm,
                                        struct commission_result *out);
static const struct plan_tier *tier_of(const struct plan *plan, int64_t earlier);

enum commission_verdict
commission_due(const struct plan *plan, const struct tracker_money *basis, int64_t earlier,
               struct commission_result *out)
{
    const struct plan_tier *tier;

    out->rate_ppm = -1;
    out->tier_from = -1;

    switch (plan->type) {
    case PLAN_NONE:
        return COMMISSION_NO_PLAN;

    case PLAN_FIXED:
        out->amount = plan->fixed;
        return plan->fixed.minor == 0 ? COMMISSION_ZERO : COMMISSION_DUE;

    case PLAN_PERCENTAGE:
        return share_of(basis, plan->rate_ppm, out);

    case PLAN_TIERED:
        tier = tier_of(plan, earlier);
        if (tier == NULL)
            return COMMISSION_NO_PLAN;
        out->tier_from = tier->from;
        return share_of(basis, tier->rate_ppm, out);
    }
    return COMMISSION_NO_PLAN;
}

static enum commission_verdict
share_of(const struct tracker_money *basis, int64_t rate_ppm, struct commission_result *out)
{
    out->rate_ppm = rate_ppm;
    if (basis == NULL)
        return COMMISSION_NO_BASIS;
    if (basis->minor < 0)
        return COMMISSION_NEGATIVE;
    if (!amount_share(basis, rate_ppm, &out->amount))
        return COMMISSION_OUT_OF_RANGE;
    return out->amount.minor == 0 ? COMMISSION_ZERO : COMMISSION_DUE;
}

static const struct plan_tier *
tier_of(const struct plan *plan, int64_t earlier)
{
    const struct plan_tier *found = NULL;

    for (unsigned i = 0; i < plan->tier_count; i++) {
        if (plan->tiers[i].from <= earlier)
            found = &plan->tiers[i];
    }
    return found;
}

static bool
tiers_check(const struct plan *plan, const char **complaint)
{
    if (plan->tier_count == 0 || plan->tier_count > PLAN_TIERS_MAX || plan->tiers[0].from != 0) {
        *complaint = "needs 1 to 16 tiers, the first from 0";
        return false;
    }
    for (unsigned i = 0; i < plan->tier_count; i++) {
        if (plan->tiers[i].rate_ppm < 0 || plan->tiers[i].rate_ppm > PPM) {
            *complaint = "has a tier outside 0 to 100 percent";
            return false;
        }
        if (i > 0 && plan->tiers[i].from <= plan->tiers[i - 1].from) {
            *complaint = "has tiers that do not ascend";
            return false;
        }
    }
    return true;
}

bool
plan_check(const struct plan *plan, const char **complaint)
{
    if (plan->hold_days < 0 || plan->hold_days > 3650) {
        *complaint = "holds for 0 to 3650 days";
        return false;
    }
    switch (plan->type) {
    case PLAN_NONE:
        return true;
    case PLAN_PERCENTAGE:
        *complaint = "is outside 0 to 100 percent";
        return plan->rate_ppm >= 0 && plan->rate_ppm <= PPM;
    case PLAN_FIXED:
        *complaint = "has a negative amount";
        return plan->fixed.minor >= 0;
    case PLAN_TIERED:
        return tiers_check(plan, complaint);
    }
    return false;
}

static const char *const plan_type_names[] = {
    [PLAN_NONE] = "none",
    [PLAN_PERCENTAGE] = "percentage",
    [PLAN_FIXED] = "fixed",
    [PLAN_TIERED] = "tiered",
};

const char *
plan_type_name(enum plan_type type)
{
    return plan_type_names[type];
}

bool
plan_type_parse(const char *name, enum plan_type *type)
{
    for (unsigned i = 0; name != NULL && i < sizeof(plan_type_names) / sizeof(plan_type_names[0]); i++) {
        if (strcmp(name, plan_type_names[i]) == 0) {
            *type = (enum plan_type) i;
            return true;
        }
    }
    return false;
}

const char *
commission_verdict_name(enum commission_verdict verdict)
{
    switch (verdict) {
    case COMMISSION_DUE:
        return "due";
    case COMMISSION_NO_PLAN:
        return "no_plan";
    case COMMISSION_NO_BASIS:
        return "no_amount";
    case COMMISSION_NEGATIVE:
        return "negative_amount";
    case COMMISSION_ZERO:
        return "rounds_to_zero";
    case COMMISSION_OUT_OF_RANGE:
        return "out_of_range";
    }
    return "?";
}
