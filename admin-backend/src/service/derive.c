/*
 * Derivation: conversion facts become conversions, referrals and pending
 * commissions.  Some facts share a transaction; when one of them cannot be
 * derived each gets its own, so that it stops nobody else, and never the wire.
 */
#include <stdio.h>
#include <string.h>

#include "app/log.h"
#include "service/audit.h"
#include "service/derive_steps.h"

#define FACTS_AT_ONCE 64
#define FACT_TRIES    3
#define RETRY_US      UINT64_C(1000000)
#define PARK_MOST_US  UINT64_C(3600000000)

const struct actor derive_actor = { "system", "system", NULL, 0 };

static int            derive_all(const struct service *service, const struct fact_key *keys, int count);
static enum db_result derive_some(struct db *db, void *ctx);
static enum db_result derive(struct db *db, struct derivation *d);
static enum db_result repeat(struct db *db, const struct derivation *d, const struct conversion_row *known);

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

const char *
derive_status_name(enum tracker_conversion_status status)
{
    switch (status) {
    case TRACKER_CONVERSION_PENDING:
        return "pending";
    case TRACKER_CONVERSION_APPROVED:
        return "approved";
    case TRACKER_CONVERSION_REJECTED:
        return "rejected";
    case TRACKER_CONVERSION_REFUND:
    case TRACKER_CONVERSION_CHARGEBACK:
    case TRACKER_CONVERSION_CHARGEBACK_WON:
        break;
    }
    return "pending";
}

struct change
derive_change(const struct derivation *d, const char *reason)
{
    return (struct change){ derive_actor.name, reason, d->now_us };
}

/*
 * What makes two facts one conversion: the sender's id, else the click (once per event; the click that a pixel's
 * cookie holds is as good: a thank-you page is loaded again), else nothing does.  What stands in for an id begins with
 * a control byte, which neither edge nor ingest lets through in one: nobody can send what another's sale will be called.
 */
static void
name_transaction(const struct fact *fact, char txid[TXID_MAX])
{
    const char *click = fact->click_id[0] != '\0' ? fact->click_id : fact->cookie_last;

    if (fact->txid[0] != '\0')
        snprintf(txid, TXID_MAX, "%s", fact->txid);
    else if (click[0] != '\0')
        snprintf(txid, TXID_MAX, CONVERSION_NO_TXID "click:%s", click);
    else
        snprintf(txid, TXID_MAX, CONVERSION_NO_TXID "fact:%lld:%lld", (long long) fact->key.journal_id,
                 (long long) fact->key.seq);
}

static enum db_result
derive(struct db *db, struct derivation *d)
{
    struct conversion_row known;
    char                  txid[TXID_MAX];
    enum db_result        rc;

    if (d->fact.auth == TRACKER_AUTH_PIXEL) { /* anybody's browser: it says that something happened, and no more */
        d->fact.has_amount = false;
        if (d->fact.status == TRACKER_CONVERSION_APPROVED || d->fact.status == TRACKER_CONVERSION_REJECTED)
            d->fact.status = TRACKER_CONVERSION_PENDING;
    }
    name_transaction(&d->fact, txid);
    if (d->fact.status > TRACKER_CONVERSION_REJECTED)
        return take_back(db, d, txid);
    rc = conversion_find(db, d->fact.program_id, d->fact.event, txid, &known);
    if (rc == DB_ROW)
        return repeat(db, d, &known);
    return rc == DB_DONE ? convert(db, d, txid) : rc;
}

enum db_result
derive_park(struct db *db, const struct derivation *d, uint64_t first_us)
{
    uint64_t received_us = (uint64_t) d->fact.received_ms * 1000;
    uint64_t sleep_us = first_us + (d->now_us > received_us ? (d->now_us - received_us) / 2 : 0);

    return fact_park(db, d->fact.key, d->now_us + (sleep_us < PARK_MOST_US ? sleep_us : PARK_MOST_US));
}

enum db_result
derive_contradict(struct db *db, const struct derivation *d, int64_t conversion_id, const char *reason)
{
    enum db_result rc = conversion_conflict(db, conversion_id, d->fact.key, reason, d->now_us);

    return rc == DB_OK ? fact_close(db, d->fact.key, "conflict", conversion_id) : rc;
}

enum db_result
derive_step(struct db *db, const struct derivation *d, const struct referral_row *referral, enum referral_event event,
            const char *audit, const char *reason)
{
    struct change  change = derive_change(d, reason);
    json_t        *before = NULL, *after = NULL;
    enum db_result rc = list_one(db, &referral_list, referral->id, &before);

    if (rc == DB_ROW)
        rc = step_referral(db, referral, event, &change);
    if (rc == DB_OK)
        rc = list_one(db, &referral_list, referral->id, &after);
    if (rc == DB_ROW)
        rc = audit_write(db, &derive_actor, change.at_us, audit, "referral", referral->id, before, after, reason);
    json_decref(before);
    json_decref(after);
    return rc;
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

/* The advertiser takes its own conversion back: undecided or approved referrals follow. */
static enum db_result
move_status(struct db *db, const struct derivation *d, const struct conversion_row *known, const char *status)
{
    struct referral_row referrals[REFERRALS_OF_CONVERSION];
    int                 count;
    bool                rejects = strcmp(status, "rejected") == 0, busy = false;
    enum db_result      rc = referrals_of_conversion(db, known->id, referrals, &count);

    if (rc == DB_OK && rejects)
        rc = conversion_in_payout(db, known->id, &busy);
    if (rc != DB_OK || busy)
        return busy ? derive_park(db, d, PAYOUT_STEP_US) : rc;
    rc = conversion_set_status(db, known->id, known->status, status);
    for (int i = 0; rejects && rc == DB_OK && i < count; i++) {
        if (referrals[i].state != REFERRAL_REJECTED)
            rc = derive_step(db, d, &referrals[i], REFERRAL_REJECT, "referral.reject", "rejected by the advertiser");
    }
    return rc == DB_OK ? fact_close(db, d->fact.key, "status_moved", known->id) : rc;
}

static enum db_result
repeat(struct db *db, const struct derivation *d, const struct conversion_row *known)
{
    const char *status = derive_status_name(d->fact.status);

    if (d->fact.auth == TRACKER_AUTH_PIXEL)
        return claim(db, d, known);
    if (!known->verified)
        return confirm(db, d, known);
    if (!same_content(&d->fact, known))
        return derive_contradict(db, d, known->id, "other_content");
    if (strcmp(status, known->status) == 0 || strcmp(status, "pending") == 0)
        return fact_close(db, d->fact.key, "repeated", known->id);
    if (strcmp(known->status, "rejected") == 0)
        return derive_contradict(db, d, known->id, "status_after_rejection");
    return move_status(db, d, known, status);
}
