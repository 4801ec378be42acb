/* plan.h - rows of commission plans: effective-dated, append-only. */
#ifndef AFFILIATED_STORE_PLAN_H
#define AFFILIATED_STORE_PLAN_H

#include "db/db.h"
#include "domain/commission.h"

struct plan_row {
    int64_t     id; /* 0: none at that scope */
    struct plan plan;
};

/* For a SELECT that shows a scope's plan: its columns, and the join that finds the latest one. */
#define PLAN_COLUMNS                                                                                                 \
    "pl.id AS plan_id, pl.type AS plan_type, pl.rate_ppm AS plan_rate_ppm, pl.amount_minor AS plan_amount_minor,"    \
    " pl.currency AS plan_currency, pl.tiers AS plan_tiers, pl.hold_days AS plan_hold_days"
#define PLAN_JOIN(scope, id)                                                                                         \
    " LEFT JOIN plans pl ON pl.id = (SELECT x.id FROM plans x WHERE x.scope = '" scope "' AND x.scope_id = " id      \
    " ORDER BY x.valid_from_us DESC, x.id DESC LIMIT 1)"
/* Reads PLAN_COLUMNS; no plan is id 0 and type NONE. DB_OK or DB_CORRUPT. */
enum db_result plan_from_row(struct db_stmt *row, struct plan_row *out);

/* The plan of exactly that scope that was in force at at_us, or id 0 and type NONE. */
enum db_result plan_find(struct db *db, const char *scope, int64_t scope_id, uint64_t at_us, struct plan_row *out);
/* Appends; the new plan is in force from from_us on. */
enum db_result plan_append(struct db *db, const char *scope, int64_t scope_id, const struct plan *plan,
                           uint64_t from_us, uint64_t now_us, int64_t *id);

#endif
