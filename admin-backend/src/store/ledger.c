#include "store/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "domain/amount.h"

static bool           is_double(const struct ledger_entry *entry);
static enum db_result account_id(struct db *db, const struct ledger_entry *entry, const struct ledger_leg *leg,
                                 int64_t *id);
static enum db_result post_leg(struct db *db, const struct ledger_entry *entry, int64_t transaction, int number,
                               const struct ledger_leg *leg);

enum db_result
ledger_post(struct db *db, const struct ledger_entry *entry)
{
    struct db_stmt *row;
    int64_t         transaction;
    enum db_result  rc;

    if (!is_double(entry))
        return DB_FAILED;
    rc = db_query(db, &row,
                  "INSERT INTO ledger_transactions (kind, object_type, object_id, at_us)"
                  " VALUES ($1, $2, $3, $4) RETURNING id",
                  "ssii", entry->kind, entry->object_type, entry->object_id, (int64_t) entry->at_us);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    transaction = db_int(row, "id");
    db_end(row);

    for (unsigned i = 0; i < entry->count; i++) {
        rc = post_leg(db, entry, transaction, (int) i + 1, &entry->legs[i]);
        if (rc != DB_OK)
            return rc;
    }
    return DB_OK;
}

static bool
is_double(const struct ledger_entry *entry)
{
    __int128 sum = 0;

    if (entry->count < 2 || entry->count > LEDGER_LEGS_MAX)
        return false;
    for (unsigned i = 0; i < entry->count; i++) {
        if (entry->legs[i].minor == 0 || entry->legs[i].minor > TRACKER_MINOR_MAX
            || entry->legs[i].minor < -TRACKER_MINOR_MAX)
            return false;
        sum += entry->legs[i].minor;
    }
    return sum == 0;
}

static enum db_result
post_leg(struct db *db, const struct ledger_entry *entry, int64_t transaction, int number,
         const struct ledger_leg *leg)
{
    int64_t        account = 0;
    enum db_result rc = account_id(db, entry, leg, &account);

    if (rc != DB_OK)
        return rc;
    rc = db_exec(db,
                 "INSERT INTO ledger_legs (transaction_id, leg, account_id, amount_minor, currency)"
                 " VALUES ($1, $2, $3, $4, $5)",
                 "iiiis", transaction, (int64_t) number, account, leg->minor, entry->currency);
    if (rc != DB_OK || leg->affiliate_id == 0)
        return rc;
    return db_exec(db, "UPDATE ledger_accounts SET balance_minor = balance_minor + $2 WHERE id = $1", "ii", account,
                   leg->minor);
}

static enum db_result
find_account(struct db *db, const struct ledger_entry *entry, const struct ledger_leg *leg, struct db_stmt **row)
{
    if (leg->affiliate_id != 0)
        return db_query(db, row,
                        "SELECT id FROM ledger_accounts WHERE affiliate_id = $1 AND name = $2 AND currency = $3",
                        "iss", leg->affiliate_id, leg->account, entry->currency);
    return db_query(db, row,
                    "SELECT id FROM ledger_accounts"
                    " WHERE program_id = $1 AND name = $2 AND currency = $3 AND affiliate_id IS NULL",
                    "iss", entry->program_id, leg->account, entry->currency);
}

static enum db_result
make_account(struct db *db, const struct ledger_entry *entry, const struct ledger_leg *leg, struct db_stmt **row)
{
    if (leg->affiliate_id != 0)
        return db_query(db, row,
                        "INSERT INTO ledger_accounts (program_id, affiliate_id, name, currency, balance_minor)"
                        " VALUES ($1, $2, $3, $4, 0) RETURNING id",
                        "iiss", entry->program_id, leg->affiliate_id, leg->account, entry->currency);
    return db_query(db, row,
                    "INSERT INTO ledger_accounts (program_id, name, currency) VALUES ($1, $2, $3) RETURNING id",
                    "iss", entry->program_id, leg->account, entry->currency);
}

static enum db_result
account_id(struct db *db, const struct ledger_entry *entry, const struct ledger_leg *leg, int64_t *id)
{
    struct db_stmt *row;
    enum db_result  rc = find_account(db, entry, leg, &row);

    if (rc == DB_DONE)
        rc = make_account(db, entry, leg, &row);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *id = db_int(row, "id");
    db_end(row);
    return DB_OK;
}

enum db_result
ledger_balance(struct db *db, int64_t affiliate_id, const char *account, const char *currency, int64_t *minor)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT balance_minor FROM ledger_accounts"
                                   " WHERE affiliate_id = $1 AND name = $2 AND currency = $3",
                                  "iss", affiliate_id, account, currency);

    *minor = 0;
    if (rc == DB_ROW) {
        *minor = db_int(row, "balance_minor");
        db_end(row);
    }
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

/* ---- sealing ---- */

/* Fields are hashed as text with their lengths, so that no two different rows spell the same bytes. */
static void
hash_text(crypto_generichash_state *state, const char *text)
{
    char head[24];
    int  len = snprintf(head, sizeof(head), "%zu:", strlen(text));

    crypto_generichash_update(state, (const unsigned char *) head, (size_t) len);
    crypto_generichash_update(state, (const unsigned char *) text, strlen(text));
}

static void
hash_int(crypto_generichash_state *state, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    hash_text(state, text);
}

static enum db_result
hash_legs(struct db *db, int64_t transaction_id, crypto_generichash_state *state)
{
    struct db_stmt *row = db_prepare(db, "SELECT leg, account_id, amount_minor, currency FROM ledger_legs"
                                         " WHERE transaction_id = $1 ORDER BY leg");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, transaction_id);
    while ((rc = db_step(row)) == DB_ROW) {
        hash_int(state, db_int(row, "leg"));
        hash_int(state, db_int(row, "account_id"));
        hash_int(state, db_int(row, "amount_minor"));
        hash_text(state, db_text(row, "currency"));
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
ledger_hash(struct db *db, int64_t transaction_id, int64_t number, const uint8_t previous[LEDGER_HASH_LEN],
            uint8_t out[LEDGER_HASH_LEN])
{
    crypto_generichash_state state;
    struct db_stmt          *row;
    enum db_result           rc;

    rc = db_query(db, &row, "SELECT kind, object_type, object_id, at_us FROM ledger_transactions WHERE id = $1", "i",
                  transaction_id);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    crypto_generichash_init(&state, NULL, 0, LEDGER_HASH_LEN);
    crypto_generichash_update(&state, previous, LEDGER_HASH_LEN);
    hash_int(&state, number);
    hash_int(&state, transaction_id);
    hash_text(&state, db_text(row, "kind"));
    hash_text(&state, db_text(row, "object_type"));
    hash_int(&state, db_int(row, "object_id"));
    hash_int(&state, db_int(row, "at_us"));
    db_end(row);

    rc = hash_legs(db, transaction_id, &state);
    if (rc == DB_OK)
        crypto_generichash_final(&state, out, LEDGER_HASH_LEN);
    return rc;
}

/* The chain's end: the highest number and its hash; number 0 and zeros before the first. */
static enum db_result
chain_end(struct db *db, int64_t *number, uint8_t hash[LEDGER_HASH_LEN])
{
    struct db_stmt *row;
    size_t          len;
    const void     *bytes;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT number, hash FROM ledger_transactions WHERE number IS NOT NULL"
                                   " ORDER BY number DESC LIMIT 1",
                                  "");

    *number = 0;
    memset(hash, 0, LEDGER_HASH_LEN);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *number = db_int(row, "number");
    bytes = db_bytes(row, "hash", &len);
    if (bytes != NULL && len == LEDGER_HASH_LEN)
        memcpy(hash, bytes, len);
    else
        rc = DB_CORRUPT;
    db_end(row);
    return rc == DB_ROW ? DB_OK : rc;
}

enum db_result
ledger_seal(struct db *db, int limit, int *sealed)
{
    uint8_t         hash[LEDGER_HASH_LEN], next[LEDGER_HASH_LEN];
    int64_t         number, id;
    struct db_stmt *row;
    enum db_result  rc = chain_end(db, &number, hash);

    for (*sealed = 0; rc == DB_OK && *sealed < limit; (*sealed)++) {
        rc = db_query(db, &row, "SELECT id FROM ledger_transactions WHERE number IS NULL ORDER BY id LIMIT 1", "");
        if (rc != DB_ROW)
            return rc == DB_DONE ? DB_OK : rc;
        id = db_int(row, "id");
        db_end(row);

        rc = ledger_hash(db, id, ++number, hash, next);
        if (rc != DB_OK)
            return rc;
        memcpy(hash, next, sizeof(hash));
        rc = db_exec(db, "UPDATE ledger_transactions SET number = $2, hash = $3 WHERE id = $1", "iib", id, number,
                     (const void *) hash, sizeof(hash));
    }
    return rc;
}
