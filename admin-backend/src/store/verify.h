/*
 * verify.h - what contradicts the invariants of docs/ledger.md, as SQL.
 *
 * Nothing here trusts what the rest of the program writes: the queries compare
 * rows with rows that other code wrote.  They read in the caller's transaction.
 */
#ifndef AFFILIATED_STORE_VERIFY_H
#define AFFILIATED_STORE_VERIFY_H

#include "db/db.h"

/* One sentence per violation, in English, with the ids that lead to it. */
typedef void (*verify_found)(void *ctx, const char *text);

/* Runs every query of that invariant (none is fine). now_us: for what may be unfinished while it is young. */
enum db_result verify_queries(struct db *db, int invariant, uint64_t now_us, verify_found found, void *ctx);

/* Rows that only C can judge; their columns are named beside each stream's text in verify.c. */
enum verify_stream {
    VERIFY_SEALED,      /* the ledger's chain, in its order */
    VERIFY_CURRENCIES,  /* each currency once a table */
    VERIFY_COMMISSIONS, /* with what they are computed from */
    VERIFY_SETTLED,     /* what stands of each referral, and what it should */
    VERIFY_STEPS,       /* every step of every history, with the one before */
    VERIFY_TOUCHES      /* referrals that earned something */
};
/* A visit that is not DB_OK ends it and is the result. */
typedef enum db_result (*verify_row)(void *ctx, struct db *db, struct db_stmt *row);
enum db_result verify_each(struct db *db, enum verify_stream stream, verify_row visit, void *ctx);

#endif
