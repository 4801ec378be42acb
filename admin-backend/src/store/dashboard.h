/* dashboard.h - the few sums that a dashboard shows. */
#ifndef AFFILIATED_STORE_DASHBOARD_H
#define AFFILIATED_STORE_DASHBOARD_H

#include <jansson.h>

#include "db/db.h"

/* [from_us, to_us). Each fills *out with a new reference. */
enum db_result dashboard_affiliates(struct db *db, json_t **out);  /* {"approved":n,...}, whatever the period */
enum db_result dashboard_referrals(struct db *db, int64_t from_us, int64_t to_us, json_t **out); /* {"pending":n,...} */
/*
 * {"pending":[money per currency],...,"generated":[...],"paid":[...]}: by the state of now, of commissions
 * made in the period.
 */
enum db_result dashboard_commissions(struct db *db, int64_t from_us, int64_t to_us, json_t **out);
/* [{"day":"2026-11-22","clicks":n,"uniques":n,"marked":n},...] */
enum db_result dashboard_clicks(struct db *db, int64_t from_us, int64_t to_us, json_t **out);
/* The ten affiliates with the most counted clicks: [{"affiliate_id","name","clicks"},...] */
enum db_result dashboard_top(struct db *db, int64_t from_us, int64_t to_us, json_t **out);

#endif
