/*
 * money.h - from conversion to payment: the use cases of money.
 *
 * Objects come back as json_t in the one representation the product has
 * (docs/openapi.yaml; docs/decisions/0002): ids as strings, times RFC 3339,
 * money {"amount":"12.34","currency":"EUR"}.  Each call is one transaction;
 * state tables of src/domain decide, guarded updates make races lose cleanly,
 * every change of a money state leaves a state_changes row, an audit row and
 * its ledger postings in that same transaction.
 */
#ifndef AFFILIATED_SERVICE_MONEY_H
#define AFFILIATED_SERVICE_MONEY_H

#include "store/list.h"

/* ---- plans: commission structures ---- */

/*
 * commission: {"type":"percentage","percentage":"20"} | {"type":"fixed","amount":{"amount":"5.00","currency":"EUR"}}
 *           | {"type":"tiered","tiers":[{"from":0,"percentage":"10"},...]} | null (back to the wider scope);
 * any of them with "hold_days".
 * Runs inside the caller's transaction: groups and affiliates set theirs as they are written. scope:
 * "affiliate", "group", "program".
 */
enum service_result plan_set(const struct service *service, struct db *db, const struct actor *actor,
                             const char *scope, int64_t scope_id, const json_t *commission,
                             struct service_error *error);
/* The plan in force now at exactly that scope, in the same shape, or json null. */
json_t *plan_view(struct db *db, const char *scope, int64_t scope_id, uint64_t now_us);

/* ---- derivation (`work`) ---- */

/*
 * Takes up to `limit` open conversion facts: conversion (idempotent by txid) -> attribution -> referral ->
 * commission (pending)
 * with its postings, each fact in a transaction of its own.  A fact that fails three times is set aside
 * ('failed') and counted.
 * Returns how many were taken, or -1 on a database failure (try again later).
 */
int money_derive(const struct service *service, int limit);
/* Numbers and chains unsealed ledger transactions; returns how many. */
int money_seal(const struct service *service, int limit);

/* ---- reading ---- */

extern const struct list_spec referral_list, commission_list, payout_list;
enum service_result referral_get(const struct service *service, int64_t id, json_t **referral, struct service_error *error);
enum service_result commission_get(const struct service *service, int64_t id, json_t **commission, struct service_error *error);
enum service_result payout_get(const struct service *service, int64_t id, json_t **payout, struct service_error *error);

/* ---- deciding ---- */

/*
 * action: "approve" (a referral takes its pending commissions along), "reject" (reverses them), "reopen"
 * (reason required).
 */
enum service_result referral_act(const struct service *service, const struct actor *actor, int64_t id,
                                 const char *action, const char *reason, json_t **referral, struct service_error *error);
/* tags (array of strings) and notes; if_version 0: whatever the version. */
enum service_result referral_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                                  const json_t *patch, json_t **referral, struct service_error *error);
/* action: "approve", "reject" (reason required). */
enum service_result commission_act(const struct service *service, const struct actor *actor, int64_t id,
                                   const char *action, const char *reason, json_t **commission, struct service_error *error);

/* Bundles all eligible commissions of one affiliate and currency (NULL: the program's) as a draft. */
enum service_result payout_create(const struct service *service, const struct actor *actor, int64_t affiliate_id,
                                  const char *currency, json_t **payout, struct service_error *error);
enum service_result payout_submit(const struct service *service, const struct actor *actor, int64_t id,
                                  json_t **payout, struct service_error *error);
/* reference is required and unique; paid_at RFC 3339 or NULL (now). */
enum service_result payout_pay(const struct service *service, const struct actor *actor, int64_t id, const char *reference,
                               const char *paid_at, const char *notes, json_t **payout, struct service_error *error);
enum service_result payout_cancel(const struct service *service, const struct actor *actor, int64_t id,
                                  const char *reason, json_t **payout, struct service_error *error);

/* ---- checking ---- */

/*
 * Runs every invariant that applies; *report:
 * {"ok":bool,"checked_at":...,"invariants":[{"number","name","ok","violations":[...]}]}.
 */
enum service_result money_verify(const struct service *service, json_t **report, struct service_error *error);

#endif
