/* What is said for the first time: conversion, referrals, pending commissions; and a browser's word confirmed. */
#include <stdlib.h>
#include <string.h>

#include "domain/period.h"
#include "service/derive_steps.h"
#include "service/view.h"
#include "store/catalog.h"
#include "store/plan.h"

#define OTHER_TOUCH "other_touch" /* a conflict's reason */

/* What one winner earns, and why; computed before anything is written. */
struct earning {
    int64_t                  event_time_ms;
    int64_t                  affiliate_id;
    int                      part;
    int64_t                  share_ppm;
    struct payee             payee;
    struct plan_row          plan;
    struct commission_result due;
    bool                     accrues;
    char                     period[8];
    json_t                  *why; /* owned */
};

static enum db_result refer_all(struct db *db, const struct derivation *d, const struct attribution *attribution,
                                int64_t conversion_id);
static enum db_result refer(struct db *db, const struct derivation *d, const struct attribution *attribution,
                            unsigned touch, int part, int64_t conversion_id);
static enum db_result bind_customer(struct db *db, const struct derivation *d, const struct attribution *attribution,
                                    int64_t conversion_id);
static enum db_result earn(struct db *db, const struct derivation *d, struct earning *out);
static enum db_result accrue(struct db *db, const struct derivation *d, int64_t conversion_id, int64_t referral_id,
                             const struct earning *earning);

/*
 * Nobody yet, but somebody may come: a word about an order ("order 17 is approved") may be here before the order, which
 * another edge took; a server that knows no click may be quicker than the thank-you page's pixel; a deposit may be
 * quicker than the registration that says whose customer it is.
 */
static bool
may_find_somebody(const struct derivation *d, const struct attribution *attribution)
{
    const struct fact *fact = &d->fact;

    if (fact->lead_id != 0)
        return false; /* it says itself all that there is to know */
    for (unsigned i = 0; i < attribution->count; i++) {
        if (attribution->touches[i].verdict != TRACKER_TOUCH_UNKNOWN
            && attribution->touches[i].verdict != TRACKER_TOUCH_NOT_RECURRING)
            return false; /* somebody is named, who does not count */
    }
    return (fact->txid[0] != '\0' || fact->customer[0] != '\0') && fact->click_id[0] == '\0'
           && d->now_us < (uint64_t) fact->received_ms * 1000 + PARK_LIMIT_US;
}

enum db_result
convert(struct db *db, const struct derivation *d, const char *txid)
{
    struct attribution attribution;
    int64_t            conversion_id;
    bool               won;
    enum db_result     rc = attribute(d->service, db, &d->fact, &attribution);

    if (rc != DB_OK)
        return rc;
    won = attribution.verdict == ATTRIBUTION_WON;
    if (attribution.verdict == ATTRIBUTION_TOO_EARLY || (!won && may_find_somebody(d, &attribution)))
        return derive_park(db, d, CLICK_STEP_US);
    rc = conversion_insert(db, &d->fact, txid, derive_status_name(d->fact.status), d->now_us, &conversion_id);
    if (rc == DB_OK && won)
        rc = refer_all(db, d, &attribution, conversion_id);
    if (rc == DB_OK)
        rc = fact_wake(db, d->fact.program_id, d->fact.event, txid); /* refunds that were quicker */
    return rc == DB_OK ? fact_close(db, d->fact.key, won ? "converted" : "unattributed", conversion_id) : rc;
}

/* First touch first: it is part 0 of a shared conversion. */
static enum db_result
refer_all(struct db *db, const struct derivation *d, const struct attribution *attribution, int64_t conversion_id)
{
    const struct tracker_touch *touches = attribution->touches;
    int                         first = -1, last = -1;
    enum db_result              rc;

    for (unsigned i = 0; i < attribution->count; i++) {
        if (touches[i].share_ppm == 0)
            continue;
        if (first < 0)
            first = (int) i;
        else
            last = (int) i;
    }
    if (last >= 0
        && (touches[last].source == TRACKER_TOUCH_COOKIE_FIRST || touches[last].source == TRACKER_TOUCH_CLICK_FIRST)) {
        int swapped = first;

        first = last;
        last = swapped;
    }
    rc = refer(db, d, attribution, (unsigned) first, 0, conversion_id);
    if (rc == DB_OK && last >= 0)
        rc = refer(db, d, attribution, (unsigned) last, 1, conversion_id);
    return rc == DB_OK ? bind_customer(db, d, attribution, conversion_id) : rc;
}

/* The click that won, or that the lead which won came by; NULL: none. */
static const char *
click_of(const struct derivation *d, const struct attribution *attribution, unsigned touch)
{
    if (attribution_is_click(&attribution->touches[touch]))
        return attribution->texts[touch];
    return attribution->touches[touch].source == TRACKER_TOUCH_LEAD && d->fact.click_id[0] != '\0' ? d->fact.click_id
                                                                                                  : NULL;
}

static enum db_result
refer(struct db *db, const struct derivation *d, const struct attribution *attribution, unsigned touch, int part,
      int64_t conversion_id)
{
    const struct tracker_touch *winner = &attribution->touches[touch];
    struct earning              earning = { .affiliate_id = winner->affiliate, .part = part,
                                            .share_ppm = winner->share_ppm,
                                            .event_time_ms = d->fact.event_time_ms };
    struct change               change = derive_change(d, NULL);
    json_t                     *why = attribution_why(attribution);
    char                       *text = NULL;
    int64_t                     referral_id;
    enum db_result              rc = earn(db, d, &earning);

    if (rc == DB_OK) {
        json_object_set(why, "commission", earning.why);
        text = json_dumps(why, JSON_COMPACT);
        rc = text == NULL ? DB_FAILED : DB_OK;
    }
    if (rc == DB_OK) {
        struct referral_new referral = {
            .program_id = d->fact.program_id,
            .affiliate_id = winner->affiliate,
            .campaign_id = winner->campaign,
            .link_id = attribution->links[touch],
            .conversion_id = conversion_id,
            .event = d->fact.event,
            .click_id = click_of(d, attribution, touch),
            .lead_id = d->fact.lead_id == 0 ? NULL : d->fact.lead,
            .amount = d->fact.has_amount ? &d->fact.amount : NULL,
            .customer = d->fact.customer[0] == '\0' ? NULL : d->fact.customer,
            .why = text,
            .part = part,
            .share_ppm = winner->share_ppm,
            .verified = d->fact.auth != TRACKER_AUTH_PIXEL,
            .state = d->fact.status == TRACKER_CONVERSION_REJECTED ? REFERRAL_REJECTED : REFERRAL_PENDING,
        };
        rc = referral_insert(db, &referral, &change, &referral_id);
    }
    if (rc == DB_OK && earning.accrues)
        rc = accrue(db, d, conversion_id, referral_id, &earning);
    free(text);
    json_decref(why);
    json_decref(earning.why);
    return rc;
}

/* By the advertiser's word only: a browser that names a customer would steal him. */
static enum db_result
bind_customer(struct db *db, const struct derivation *d, const struct attribution *attribution, int64_t conversion_id)
{
    const struct fact   *fact = &d->fact;
    struct customer_part parts[2];
    unsigned             count, part = 0;
    enum db_result       rc;

    if (fact->customer[0] == '\0' || fact->auth == TRACKER_AUTH_PIXEL || fact->status == TRACKER_CONVERSION_REJECTED)
        return DB_OK;
    rc = customer_find(db, fact->program_id, fact->customer, parts, &count);
    if (rc != DB_OK || count > 0)
        return rc;
    for (unsigned i = 0; rc == DB_OK && i < attribution->count; i++) {
        const struct tracker_touch *touch = &attribution->touches[i];
        const struct customer_part  owner = { touch->affiliate, touch->campaign, attribution->links[i],
                                              touch->share_ppm };

        if (touch->share_ppm != 0)
            rc = customer_insert(db, fact->program_id, fact->customer, part++, &owner, conversion_id, d->now_us);
    }
    return rc;
}

/* ---- what it earns ---- */

/* The narrowest scope that has a plan wins; the wider ones were never asked. */
static enum db_result
choose_plan(struct db *db, int64_t affiliate_id, struct earning *out)
{
    const struct {
        const char *scope;
        int64_t     id;
    } steps[] = {
        { "affiliate", affiliate_id },
        { "group", out->payee.group_id },
        { "program", out->payee.program_id },
    };
    uint64_t       at_us = (uint64_t) out->event_time_ms * 1000;
    json_t        *passed = json_array();
    enum db_result rc = DB_OK;

    json_object_set_new(out->why, "passed_over", passed);
    for (size_t i = 0; rc == DB_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        rc = steps[i].id == 0 ? DB_OK : plan_find(db, steps[i].scope, steps[i].id, at_us, &out->plan);
        if (rc == DB_OK && steps[i].id != 0 && out->plan.plan.type != PLAN_NONE) {
            json_object_set_new(out->why, "step", json_string(steps[i].scope));
            return DB_OK;
        }
        json_array_append_new(passed, json_string(steps[i].scope));
    }
    return rc;
}

static void
explain(struct earning *earning, int64_t earlier)
{
    json_t *why = earning->why;

    json_object_set_new(why, "plan_id", view_id(earning->plan.id));
    json_object_set_new(why, "type", json_string(plan_type_name(earning->plan.plan.type)));
    if (earning->due.rate_ppm >= 0)
        json_object_set_new(why, "percentage", view_ppm(earning->due.rate_ppm));
    if (earning->due.tier_from >= 0) {
        json_object_set_new(why, "tier_from", json_integer(earning->due.tier_from));
        json_object_set_new(why, "earlier_in_period", json_integer(earlier));
    }
}

/* NULL, or why nothing accrues whatever the plan. */
static const char *
obstacle(const struct derivation *d, const char *status)
{
    if (strcmp(status, "approved") != 0)
        return "affiliate_not_approved";
    if (d->fact.status == TRACKER_CONVERSION_REJECTED)
        return "rejected_by_advertiser";
    return NULL;
}

static enum db_result
earn(struct db *db, const struct derivation *d, struct earning *out)
{
    const struct tracker_money *basis = d->fact.has_amount ? &d->fact.amount : NULL;
    struct tracker_money        parts[2];
    enum commission_verdict     verdict;
    int64_t                     earlier = 0;
    char                        status[16]; /* of then: what is earned does not hang on when it is derived */
    enum db_result              rc = payee_find(db, out->affiliate_id, &out->payee);

    if (rc == DB_ROW)
        rc = affiliate_status_at(db, out->affiliate_id, (uint64_t) out->event_time_ms * 1000, status, sizeof(status));
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    period_open(out->event_time_ms, d->now_us, out->period);
    out->why = json_object();
    if (obstacle(d, status) != NULL) {
        json_object_set_new(out->why, "verdict", json_string(obstacle(d, status)));
        return DB_OK;
    }
    rc = choose_plan(db, out->affiliate_id, out);
    if (rc == DB_OK && out->plan.plan.type == PLAN_TIERED)
        rc = commissions_in_period(db, out->affiliate_id, out->period, &earlier);
    if (rc != DB_OK)
        return rc;

    verdict = commission_due(&out->plan.plan, basis, earlier, &out->due);
    if (verdict == COMMISSION_DUE) {
        if (!amount_split(&out->due.amount, out->part == 0 ? out->share_ppm : PPM - out->share_ppm, parts))
            return DB_CORRUPT;
        out->due.amount = parts[out->part];
        verdict = out->due.amount.minor == 0 ? COMMISSION_ZERO : COMMISSION_DUE;
    }
    out->accrues = verdict == COMMISSION_DUE;
    json_object_set_new(out->why, "verdict", json_string(commission_verdict_name(verdict)));
    if (out->plan.id != 0)
        explain(out, earlier);
    return DB_OK;
}

static enum db_result
accrue(struct db *db, const struct derivation *d, int64_t conversion_id, int64_t referral_id,
       const struct earning *earning)
{
    struct change change = derive_change(d, NULL);
    bool          share = earning->due.rate_ppm >= 0;
    char         *why = json_dumps(earning->why, JSON_COMPACT);
    struct commission_new commission = {
        .program_id = d->fact.program_id,
        .affiliate_id = earning->affiliate_id,
        .referral_id = referral_id,
        .conversion_id = conversion_id,
        .plan_id = earning->plan.id,
        .period = earning->period,
        .kind = "commission",
        .amount = earning->due.amount,
        .has_basis = share,
        .basis_minor = share ? d->fact.amount.minor : 0,
        .rate_ppm = earning->due.rate_ppm,
        .share_ppm = earning->share_ppm,
        .part = earning->part,
        .state = COMMISSION_PENDING,
        .why = why,
    };
    int64_t        id;
    enum db_result rc = commission_next_revision(db, conversion_id, earning->affiliate_id, commission.kind,
                                                 &commission.revision);

    if (rc == DB_OK)
        rc = why == NULL ? DB_FAILED : step_commission_accrue(db, &commission, &change, &id);
    free(why);
    return rc;
}

/* ---- a browser's word, confirmed ---- */

/* Whether the server's touches are those that the browser's conversion went to. */
static bool
same_winners(const struct attribution *attribution, const struct referral_row *referrals, int count)
{
    int won = 0;

    for (unsigned i = 0; i < attribution->count; i++) {
        bool found = false;

        if (attribution->touches[i].share_ppm == 0)
            continue;
        won++;
        for (int j = 0; j < count; j++)
            found |= referrals[j].affiliate_id == attribution->touches[i].affiliate
                     && referrals[j].share_ppm == attribution->touches[i].share_ppm;
        if (!found)
            return false;
    }
    return won == count;
}

/* Somebody guessed an order's number: what he claimed goes to whom the server names. */
static enum db_result
replace_winners(struct db *db, const struct derivation *d, const struct attribution *attribution,
                const struct referral_row *referrals, int count, int64_t conversion_id)
{
    enum db_result rc = DB_OK;

    for (int i = 0; rc == DB_OK && i < count; i++) {
        if (referrals[i].state != REFERRAL_REJECTED)
            rc = derive_step(db, d, &referrals[i], REFERRAL_REJECT, "referral.supersede",
                             "the advertiser's server names another touch");
        if (rc == DB_OK)
            rc = referral_supersede(db, referrals[i].id);
    }
    return rc == DB_OK ? refer_all(db, d, attribution, conversion_id) : rc;
}

/*
 * What the browser could not say is the amount, and so what a share of it is.  by_server: it names that touch too; else
 * the order is real, and whose it is stays a browser's word, for a person to judge.
 */
static enum db_result
confirm_winner(struct db *db, const struct derivation *d, const struct referral_row *referral, bool by_server,
               int64_t event_time_ms)
{
    struct earning earning = { .affiliate_id = referral->affiliate_id, .part = referral->part,
                               .share_ppm = referral->share_ppm, .event_time_ms = event_time_ms };
    int64_t        commissions = 0;
    enum db_result rc = referral_confirm(db, referral->id, by_server, d->fact.has_amount ? &d->fact.amount : NULL,
                                         d->fact.customer[0] == '\0' ? NULL : d->fact.customer,
                                         d->fact.lead_id == 0 ? NULL : d->fact.lead, d->now_us);

    if (rc == DB_OK && d->fact.status == TRACKER_CONVERSION_REJECTED && referral->state != REFERRAL_REJECTED)
        return derive_step(db, d, referral, REFERRAL_REJECT, "referral.reject", "rejected by the advertiser");
    if (rc == DB_OK)
        rc = commissions_count(db, referral->id, &commissions);
    if (rc != DB_OK || commissions > 0 || referral->state == REFERRAL_REJECTED)
        return rc;
    rc = earn(db, d, &earning);
    if (rc == DB_OK && earning.accrues)
        rc = accrue(db, d, referral->conversion_id, referral->id, &earning);
    json_decref(earning.why);
    return rc;
}

/* Whether something could be earned by a claim that another browser contests. */
static enum db_result
is_contested(struct db *db, const struct conversion_row *known, const struct referral_row *referrals, int count,
             bool *contested)
{
    bool open = false;

    for (int i = 0; i < count; i++)
        open |= referrals[i].state != REFERRAL_REJECTED;
    *contested = false;
    return open ? conflict_open(db, known->id, OTHER_TOUCH, contested) : DB_OK;
}

enum db_result
confirm(struct db *db, const struct derivation *d, const struct conversion_row *known)
{
    struct attribution  attribution;
    struct referral_row referrals[REFERRALS_OF_CONVERSION];
    int                 count = 0;
    bool                won, busy = false, contested = false;
    enum db_result      rc = attribute(d->service, db, &d->fact, &attribution);

    if (rc == DB_OK && attribution.verdict == ATTRIBUTION_TOO_EARLY)
        return derive_park(db, d, CLICK_STEP_US);
    won = attribution.verdict == ATTRIBUTION_WON;
    if (rc == DB_OK)
        rc = conversion_in_payout(db, known->id, &busy);
    if (rc == DB_OK && busy)
        return derive_park(db, d, PAYOUT_STEP_US);
    if (rc == DB_OK)
        rc = referrals_of_conversion(db, known->id, referrals, &count);
    if (rc == DB_OK && !won && d->fact.status != TRACKER_CONVERSION_REJECTED)
        rc = is_contested(db, known, referrals, count, &contested);
    if (rc == DB_OK && contested)
        return derive_park(db, d, REVIEW_STEP_US); /* two browsers claim it: a person decides, or a touch by a server */
    if (rc == DB_OK)
        rc = conversion_confirm(db, known->id, &d->fact, derive_status_name(d->fact.status));
    if (rc != DB_OK)
        return rc;
    if (won && !same_winners(&attribution, referrals, count)) {
        rc = replace_winners(db, d, &attribution, referrals, count, known->id);
    } else {
        for (int i = 0; rc == DB_OK && i < count; i++)
            rc = confirm_winner(db, d, &referrals[i], won, known->event_time_ms);
        if (rc == DB_OK && won)
            rc = bind_customer(db, d, &attribution, known->id);
    }
    return rc == DB_OK ? fact_close(db, d->fact.key, "confirmed", known->id) : rc;
}

/* ---- another browser's word ---- */

/*
 * Order numbers can be guessed, so that who speaks first is not always who bought: while nothing but a browser says
 * whose the order is, another one's touch is a conflict.  Each touch once, for a page may be loaded again at will.
 */
enum db_result
claim(struct db *db, const struct derivation *d, const struct conversion_row *known)
{
    struct attribution  attribution;
    struct referral_row referrals[REFERRALS_OF_CONVERSION];
    int                 count = 0;
    bool                decided = known->verified, said = false;
    enum db_result      rc = attribute(d->service, db, &d->fact, &attribution);

    if (rc == DB_OK && attribution.verdict == ATTRIBUTION_TOO_EARLY)
        return derive_park(db, d, CLICK_STEP_US);
    if (rc == DB_OK)
        rc = referrals_of_conversion(db, known->id, referrals, &count);
    for (int i = 0; i < count; i++)
        decided &= referrals[i].verified;
    if (rc == DB_OK && !decided && attribution.verdict == ATTRIBUTION_WON
        && !same_winners(&attribution, referrals, count)) {
        rc = conflict_said(db, known->id, OTHER_TOUCH, &d->fact, &said);
        if (rc == DB_OK && !said)
            return derive_contradict(db, d, known->id, OTHER_TOUCH);
    }
    return rc == DB_OK ? fact_close(db, d->fact.key, "repeated", known->id) : rc;
}
