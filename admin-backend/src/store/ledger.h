/*
 * ledger.h - double entry, append-only.
 *
 * A leg's amount is positive for a debit, negative for a credit; the legs of a
 * transaction have one currency and sum to 0.  What we owe an affiliate is a
 * liability, so the accounts pending, payable and in_transit carry negative
 * balances while money is owed.  Cached balances (affiliates' accounts only:
 * a program's account would be one row that everybody queues for) are the raw sum of legs.
 */
#ifndef AFFILIATED_STORE_LEDGER_H
#define AFFILIATED_STORE_LEDGER_H

#include "db/db.h"

#define LEDGER_LEGS_MAX 4
#define LEDGER_HASH_LEN 32

struct ledger_leg {
    int64_t     affiliate_id; /* 0: the program's own account */
    const char *account;      /* "pending", "payable", ...: the CHECK of ledger_accounts.name */
    int64_t     minor;
};

struct ledger_entry {
    int64_t           program_id;
    const char       *kind;        /* "commission.accrue" */
    const char       *object_type; /* "commission", "payout" */
    int64_t           object_id;
    const char       *currency;
    uint64_t          at_us;
    unsigned          count;
    struct ledger_leg legs[LEDGER_LEGS_MAX];
};

/*
 * Posts an unsealed entry in the caller's transaction.  An entry that is not double is DB_FAILED: a bug,
 * refused before it is stored.
 */
enum db_result ledger_post(struct db *db, const struct ledger_entry *entry);

/* Numbers and chains up to `limit` unsealed transactions in id order; *sealed = how many. */
enum db_result ledger_seal(struct db *db, int limit, int *sealed);

/* Recomputes one transaction's link of the chain: BLAKE2b-256 over the previous hash, number, transaction and legs. */
enum db_result ledger_hash(struct db *db, int64_t transaction_id, int64_t number,
                           const uint8_t previous[LEDGER_HASH_LEN], uint8_t out[LEDGER_HASH_LEN]);

/* The affiliate's balance of one account, sign as stored; 0 when the account does not exist yet. */
enum db_result ledger_balance(struct db *db, int64_t affiliate_id, const char *account, const char *currency,
                              int64_t *minor);

#endif
