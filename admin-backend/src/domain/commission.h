/*
 * commission.h - what one conversion earns under one plan; pure.
 */
#ifndef AFFILIATED_DOMAIN_COMMISSION_H
#define AFFILIATED_DOMAIN_COMMISSION_H

#include "domain/amount.h"

#define PLAN_TIERS_MAX 16

enum plan_type { PLAN_NONE, PLAN_PERCENTAGE, PLAN_FIXED, PLAN_TIERED };

struct plan_tier {
    int64_t from;     /* earlier qualifying conversions of the period from which the rate holds; the first is 0 */
    int64_t rate_ppm;
};

struct plan {
    enum plan_type       type;
    int64_t              rate_ppm;  /* PERCENTAGE */
    struct tracker_money fixed;     /* FIXED */
    unsigned             tier_count;
    /* TIERED, ascending by `from`; slab: a conversion takes the rate of the tier it falls in */
    struct plan_tier     tiers[PLAN_TIERS_MAX];
    int64_t              hold_days;
};

enum commission_verdict {
    COMMISSION_DUE = 0,
    COMMISSION_NO_PLAN,       /* type NONE at every scope */
    COMMISSION_NO_BASIS,      /* a percentage of a conversion without an amount */
    COMMISSION_NEGATIVE,      /* of a negative amount: only a reversal takes money back */
    COMMISSION_ZERO,          /* rounds to nothing: no row, no posting */
    COMMISSION_OUT_OF_RANGE
};

struct commission_result {
    struct tracker_money amount;
    int64_t              rate_ppm; /* -1: fixed */
    int64_t              tier_from; /* -1: not tiered */
};

/*
 * basis NULL: the conversion has no amount. earlier: qualifying conversions of the affiliate before this one
 * in the period.
 */
enum commission_verdict commission_due(const struct plan *plan, const struct tracker_money *basis, int64_t earlier,
                                       struct commission_result *out);
/*
 * Whether the plan is well-formed: rates 0..100 %, amounts >= 0, tiers from 0 and ascending; *complaint a
 * static sentence.
 */
bool plan_check(const struct plan *plan, const char **complaint);

const char *plan_type_name(enum plan_type type);
bool        plan_type_parse(const char *name, enum plan_type *type);
const char *commission_verdict_name(enum commission_verdict verdict);

#endif
