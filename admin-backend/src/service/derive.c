/*
 * Derivation: conversion facts become conversions, referrals and pending
 * commissions.  Some facts share a transaction; when one of them cannot be
 * derived each gets its own, so that it stops nobody else, and never the wire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/log.h"
#include "service/attribute.h"
#include "service/audit.h"
#include "service/money_steps.h"
#include "service/view.h"
#include "store/catalog.h"
#include "store/plan.h"

#define FACTS_AT_ONCE 64
#define FACT_TRIES    3
#define RETRY_US      UINT64_C(1000000)

/* How long a fact that must wait sleeps at first and at most: for its click, which takes seconds, or for a payout. */
#define CLICK_STEP_US  UINT64_C(500000)
#define PAYOUT_STEP_US UINT64_C(60000000)
#define PARK_MOST_US   UINT64_C(3600000000)

/* A month takes events of its own for a day after its end; later ones are posted in the month that is running. */
#define PERIOD_OPEN_MS INT64_C(86400000)

static const struct actor system_actor = { "system", "system", NULL };

struct derivation {
    const struct service  *service;
    const struct fact_key *keys;
    int                    count;
    struct fact            fact;   /* the one at hand */
    uint64_t               now_us; /* of this attempt */
};

static int            derive_all(const struct service *service, const struct fact_key *keys, int count);
static enum db_result derive_some(struct db *db, void *ctx);
static enum db_result derive(struct db *db, struct derivation *d);
static enum db_result park(struct db *db, const struct derivation *d, uint64_t first_us);
static enum db_result repeat(struct db *db, const struct derivation *d, const struct conversion_row *known);
static enum db_result convert(struct db *db, const struct derivation *d, const char *txid);

struct open_facts {
    const struct service *service;
    struct fact_key       keys[FACTS_AT_ONCE];
    int                   count;
};

static enum db_result
find_open(struct db *db, void *ctx)
{
    struct open_facts *open = ctx;

    return fact_open(db, open->service->now_us(), open->keys, &open->count);
}

int
money_derive(const struct service *service, int limit)
{
    struct open_facts open = { .service = service };
    int               taken = 0, done;

    while (taken < limit) {
        open.count = limit - taken < FACTS_AT_ONCE ? limit - taken : FACTS_AT_ONCE;
        if (db_read(service->pool, find_open, &open) != DB_OK)
            return -1;
        if (open.count == 0)
            break;
        done = derive_all(service, open.keys, open.count);
        if (done < 0)
            return -1;
        taken += done;
    }
    return taken;
}

static enum db_result
set_aside(struct db *db, void *ctx)
{
    struct derivation *d = ctx;

    return fact_failed(db, d->keys[0], FACT_TRIES, d->service->now_us() + RETRY_US);
}

/* One fact by itself, which is set aside when it cannot be derived; false: the database's trouble, not the fact's. */
static bool
derive_alone(const struct service *service, const struct fact_key *key)
{
    struct derivation d = { .service = service, .keys = key, .count = 1 };
    enum db_result    rc = db_write(service->pool, DB_BATCH, derive_some, &d);

    if (rc == DB_OK || rc == DB_FULL || rc == DB_RETRY)
        return rc == DB_OK;
    log_warn("derive", "conversion fact %lld:%lld cannot be derived, after %d tries it is set aside: %s",
             (long long) key->journal_id, (long long) key->seq, FACT_TRIES, db_last_message());
    return db_write(service->pool, DB_BATCH, set_aside, &d) == DB_OK;
}

static int
derive_all(const struct service *service, const struct fact_key *keys, int count)
{
    struct derivation d = { .service = service, .keys = keys, .count = count };
    enum db_result    rc = db_write(service->pool, DB_BATCH, derive_some, &d);

    if (rc == DB_OK)
        return count;
    if (rc == DB_FULL || rc == DB_RETRY)
        return -1;
    for (int i = 0; i < count; i++) {
        if (!derive_alone(service, &keys[i]))
            return -1;
    }
    return count;
}

static enum db_result
derive_some(struct db *db, void *ctx)
{
    struct derivation *d = ctx;
    enum db_result     rc = DB_OK;

    d->now_us = d->service->now_us();
    for (int i = 0; rc == DB_OK && i < d->count; i++) {
        rc = fact_read(db, d->keys[i], &d->fact);
        if (rc == DB_ROW)
            rc = derive(db, d);
        else if (rc == DB_DONE)
            rc = DB_OK; /* somebody was faster */
    }
    return rc;
}

static const char *
status_name(int status)
{
    switch ((enum tracker_conversion_status) status) {
    case TRACKER_CONVERSION_PENDING:
        return "pending";
    case TRACKER_CONVERSION_APPROVED:
        return "approved";
    case TRACKER_CONVERSION_REJECTED:
        return "rejected";
    case TRACKER_CONVERSION_REFUND:
    case TRACKER_CONVERSION_CHARGEBACK:
    case TRACKER_CONVERSION_CHARGEBACK_WON:
        break; /* these speak of a conversion: ingest does not take them yet */
    }
    return "pending";
}

/* What makes two facts one conversion: the sender's id, else the click (once per event), else nothing does. */
#define TXID_MAX (FACT_TEXT_MAX + 8)

static void
name_transaction(const struct fact *fact, char txid[TXID_MAX])
{
    if (fact->txid[0] != '\0')
        snprintf(txid, TXID_MAX, "%s", fact->txid);
    else if (fact->click_id[0] != '\0')
        snprintf(txid, TXID_MAX, "click:%s", fact->click_id);
    else
        snprintf(txid, TXID_MAX, "fact:%lld:%lld", (long long) fact->key.journal_id, (long long) fact->key.seq);
}

/* A word about a conversion ("order 17 is approved") may be here before the conversion, which another edge took. */
static bool
speaks_of_another(const struct derivation *d)
{
    return d->fact.txid[0] != '\0' && d->fact.click_id[0] == '\0'
           && d->now_us < (uint64_t) d->fact.received_ms * 1000 + PARK_LIMIT_US;
}

static enum db_result
derive(struct db *db, struct derivation *d)
{
    struct conversion_row known;
    char                  txid[TXID_MAX];
    enum db_result        rc;

    name_transaction(&d->fact, txid);
    rc = conversion_find(db, d->fact.program_id, d->fact.event, txid, &known);
    if (rc == DB_ROW)
        return repeat(db, d, &known);
    if (rc != DB_DONE)
        return rc;
    return speaks_of_another(d) ? park(db, d, CLICK_STEP_US) : convert(db, d, txid);
}

/* Sleeps half as long again each time. */
static enum db_result
park(struct db *db, const struct derivation *d, uint64_t first_us)
{
    uint64_t received_us = (uint64_t) d->fact.received_ms * 1000;
    uint64_t sleep_us = first_us + (d->now_us > received_us ? (d->now_us - received_us) / 2 : 0);

    return fact_park(db, d->fact.key, d->now_us + (sleep_us < PARK_MOST_US ? sleep_us : PARK_MOST_US));
}

/* ---- said again ---- */

static bool
same_content(const struct fact *fact, const struct conversion_row *known)
{
    bool amount = !fact->has_amount
                  || (known->has_amount && fact->amount.minor == known->amount.minor
                      && amount_same_currency(&fact->amount, &known->amount));
    bool click = fact->click_id[0] == '\0' || strcmp(fact->click_id, known->click_id) == 0;

    return amount && click;
}

/* The advertiser takes its own conversion back: an undecided or approved referral follows. */
static enum db_result
reject_referral(struct db *db, const struct derivation *d, const struct referral_row *referral)
{
    struct change  change = { system_actor.name, "rejected by the advertiser", d->now_us };
    json_t        *before = NULL, *after = NULL;
    enum db_result rc = list_one(db, &referral_list, referral->id, &before);

    if (rc == DB_ROW)
        rc = step_referral(db, referral, REFERRAL_REJECT, &change);
    if (rc == DB_OK)
        rc = list_one(db, &referral_list, referral->id, &after);
    if (rc == DB_ROW)
        rc = audit_write(db, &system_actor, change.at_us, "referral.reject", "referral", referral->id, before, after,
                         change.reason);
    json_decref(before);
    json_decref(after);
    return rc;
}

static enum db_result
contradict(struct db *db, const struct derivation *d, int64_t conversion_id, const char *reason)
{
    enum db_result rc = conversion_conflict(db, conversion_id, d->fact.key, reason, d->now_us);

    return rc == DB_OK ? fact_close(db, d->fact.key, "conflict", conversion_id) : rc;
}

static enum db_result
move_status(struct db *db, const struct derivation *d, const struct conversion_row *known, const char *status)
{
    struct referral_row referral;
    enum db_result      found = referral_of_conversion(db, known->id, &referral), rc;
    bool                follows = found == DB_ROW && strcmp(status, "rejected") == 0
                   && referral.state != REFERRAL_REJECTED;
    bool                busy = false;

    if (found != DB_ROW && found != DB_DONE)
        return found;
    rc = follows ? referral_in_payout(db, referral.id, &busy) : DB_OK;
    if (rc != DB_OK || busy)
        return busy ? park(db, d, PAYOUT_STEP_US) : rc;
    rc = conversion_set_status(db, known->id, known->status, status);
    if (rc == DB_OK && follows)
        rc = reject_referral(db, d, &referral);
    return rc == DB_OK ? fact_close(db, d->fact.key, "status_moved", known->id) : rc;
}

static enum db_result
repeat(struct db *db, const struct derivation *d, const struct conversion_row *known)
{
    const char *status = status_name(d->fact.status);

    if (!same_content(&d->fact, known))
        return contradict(db, d, known->id, "other_content");
    if (strcmp(status, known->status) == 0 || strcmp(status, "pending") == 0)
        return fact_close(db, d->fact.key, "repeated", known->id);
    if (strcmp(known->status, "rejected") == 0)
        return contradict(db, d, known->id, "status_after_rejection");
    return move_status(db, d, known, status);
}

/* ---- said for the first time ---- */

/* What the winning affiliate earns, and why; computed before anything is written. */
struct earning {
    struct payee             payee;
    struct plan_row          plan;
    struct commission_result due;
    bool                     accrues;
    char                     period[8];
    json_t                  *why; /* owned */
};

static enum db_result earn(struct db *db, const struct derivation *d, int64_t affiliate_id, struct earning *out);
static enum db_result refer(struct db *db, const struct derivation *d, const struct attribution *attribution,
                            int64_t conversion_id, int64_t *referral_id, const struct earning *earning);
static enum db_result accrue(struct db *db, const struct derivation *d, int64_t affiliate_id, int64_t conversion_id,
                             int64_t referral_id, const struct earning *earning);

static enum db_result
convert(struct db *db, const struct derivation *d, const char *txid)
{
    struct attribution attribution;
    struct earning     earning = { 0 };
    int64_t            conversion_id, referral_id, affiliate_id;
    enum db_result     rc = attribute(d->service, db, &d->fact, &attribution);

    if (rc != DB_OK)
        return rc;
    if (attribution.verdict == ATTRIBUTION_TOO_EARLY)
        return park(db, d, CLICK_STEP_US);
    rc = conversion_insert(db, &d->fact, txid, status_name(d->fact.status), d->now_us, &conversion_id);
    if (rc != DB_OK)
        return rc;
    if (attribution.verdict == ATTRIBUTION_NOBODY)
        return fact_close(db, d->fact.key, "unattributed", conversion_id);

    affiliate_id = attribution.touches[attribution.winner].affiliate;
    rc = earn(db, d, affiliate_id, &earning);
    if (rc == DB_OK)
        rc = refer(db, d, &attribution, conversion_id, &referral_id, &earning);
    if (rc == DB_OK && earning.accrues)
        rc = accrue(db, d, affiliate_id, conversion_id, referral_id, &earning);
    json_decref(earning.why);
    return rc == DB_OK ? fact_close(db, d->fact.key, "converted", conversion_id) : rc;
}

/* The narrowest scope that has a plan wins; the wider ones were never asked. */
static enum db_result
choose_plan(struct db *db, const struct derivation *d, int64_t affiliate_id, struct earning *out)
{
    const struct {
        const char *scope;
        int64_t     id;
    } steps[] = {
        { "affiliate", affiliate_id },
        { "group", out->payee.group_id },
        { "program", out->payee.program_id },
    };
    uint64_t       at_us = (uint64_t) d->fact.event_time_ms * 1000;
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

/* The calendar month (UTC) that it is posted in: the event's, or, once that is closed, the present one. */
static void
period_of(int64_t event_time_ms, uint64_t now_us, char period[8])
{
    const int64_t past_close_ms = (int64_t) (now_us / 1000) - PERIOD_OPEN_MS;
    const int64_t times_ms[] = { event_time_ms, past_close_ms, (int64_t) (now_us / 1000) };
    char          months[3][8];

    for (int i = 0; i < 3; i++) {
        time_t    seconds = (time_t) (times_ms[i] / 1000);
        struct tm tm;

        if (gmtime_r(&seconds, &tm) == NULL || strftime(months[i], 8, "%Y-%m", &tm) != 7)
            memcpy(months[i], "0000-00", 8);
    }
    memcpy(period, strcmp(months[0], months[1]) >= 0 ? months[0] : months[2], 8);
}

static enum db_result
earn(struct db *db, const struct derivation *d, int64_t affiliate_id, struct earning *out)
{
    const struct tracker_money *basis = d->fact.has_amount ? &d->fact.amount : NULL;
    enum commission_verdict     verdict;
    int64_t                     earlier = 0;
    char                        status[16]; /* of then: what is earned does not hang on when it is derived */
    enum db_result              rc = payee_find(db, affiliate_id, &out->payee);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    period_of(d->fact.event_time_ms, d->now_us, out->period);
    rc = affiliate_status_at(db, affiliate_id, (uint64_t) d->fact.event_time_ms * 1000, status, sizeof(status));
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    out->why = json_object();
    if (strcmp(status, "approved") != 0) {
        json_object_set_new(out->why, "verdict", json_string("affiliate_not_approved"));
        return DB_OK;
    }
    if (d->fact.status == TRACKER_CONVERSION_REJECTED) {
        json_object_set_new(out->why, "verdict", json_string("rejected_by_advertiser"));
        return DB_OK;
    }
    rc = choose_plan(db, d, affiliate_id, out);
    if (rc == DB_OK && out->plan.plan.type == PLAN_TIERED)
        rc = commissions_in_period(db, affiliate_id, out->period, &earlier);
    if (rc != DB_OK)
        return rc;

    verdict = commission_due(&out->plan.plan, basis, earlier, &out->due);
    out->accrues = verdict == COMMISSION_DUE;
    json_object_set_new(out->why, "verdict", json_string(commission_verdict_name(verdict)));
    if (out->plan.id != 0)
        explain(out, earlier);
    return DB_OK;
}

static enum db_result
refer(struct db *db, const struct derivation *d, const struct attribution *attribution, int64_t conversion_id,
      int64_t *referral_id, const struct earning *earning)
{
    const struct tracker_touch *touch = &attribution->touches[attribution->winner];
    struct change               change = { system_actor.name, NULL, d->now_us };
    json_t                     *why = attribution_why(attribution);
    char                       *text;
    enum db_result              rc = DB_FAILED;

    json_object_set(why, "commission", earning->why);
    text = json_dumps(why, JSON_COMPACT);
    if (text != NULL) {
        struct referral_new referral = {
            .program_id = d->fact.program_id,
            .affiliate_id = touch->affiliate,
            .campaign_id = touch->campaign,
            .link_id = touch->click.link,
            .conversion_id = conversion_id,
            .event = d->fact.event,
            .click_id = attribution->texts[attribution->winner],
            .amount = d->fact.has_amount ? &d->fact.amount : NULL,
            .why = text,
            .state = d->fact.status == TRACKER_CONVERSION_REJECTED ? REFERRAL_REJECTED : REFERRAL_PENDING,
        };
        rc = referral_insert(db, &referral, &change, referral_id);
    }
    free(text);
    json_decref(why);
    return rc;
}

static enum db_result
accrue(struct db *db, const struct derivation *d, int64_t affiliate_id, int64_t conversion_id, int64_t referral_id,
       const struct earning *earning)
{
    struct change change = { system_actor.name, NULL, d->now_us };
    bool          share = earning->due.rate_ppm >= 0;
    char         *why = json_dumps(earning->why, JSON_COMPACT);
    struct commission_new commission = {
        .program_id = d->fact.program_id,
        .affiliate_id = affiliate_id,
        .referral_id = referral_id,
        .conversion_id = conversion_id,
        .plan_id = earning->plan.id,
        .period = earning->period,
        .kind = "commission",
        .amount = earning->due.amount,
        .has_basis = share,
        .basis_minor = share ? d->fact.amount.minor : 0,
        .rate_ppm = earning->due.rate_ppm,
        .state = COMMISSION_PENDING,
        .why = why,
    };
    int64_t        id;
    enum db_result rc = why == NULL ? DB_FAILED : step_commission_accrue(db, &commission, &change, &id);

    free(why);
    return rc;
}
