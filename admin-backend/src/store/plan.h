/* plan.h - rows of commission plans: effective-dated, append-only. */
#ifndef AFFILIATED_STORE_PLAN_H
#define AFFILIATED_STORE_PLAN_H

#include "db/db.h"
#include "domain/commission.h"

struct plan_row {
    int64_t     id; /* 0: none at that scope */
    struct plan plan;
};

/* The plan of exactly that scope that was in force at at_us, or id 0 and type NONE. */
enum db_result plan_find(struct db *db, const char *scope, int64_t scope_id, uint64_t at_us, struct plan_row *out);
/* Appends; the new plan is in force from from_us on. */
enum db_result plan_append(struct db *db, const char *scope, int64_t scope_id, const struct plan *plan,
                           uint64_t from_us, uint64_t now_us, int64_t *id);

#endif
