#include "store/trader.h"

#include <stddef.h>

#define AT(member) offsetof(struct trader_row, member)
#define NAMES                                                                                                        \
    "version, program_id, first_name, last_name, email, email_key, phone, phone_key, country, external_id, state,"   \
    " agent_id, password_hash, notes"

static const struct row_column columns[] = {
    { "version", ROW_INT, AT(version) },
    { "program_id", ROW_INT, AT(program_id) },
    { "first_name", ROW_TEXT, AT(first_name) },
    { "last_name", ROW_TEXT, AT(last_name) },
    { "email", ROW_TEXT, AT(email) },
    { "email_key", ROW_TEXT, AT(email_key) },
    { "phone", ROW_TEXT, AT(phone) },
    { "phone_key", ROW_NULLABLE, AT(phone_key) },
    { "country", ROW_TEXT, AT(country) },
    { "external_id", ROW_NULLABLE, AT(external_id) },
    { "state", ROW_TEXT, AT(state) },
    { "agent_id", ROW_OPTIONAL, AT(agent_id) },
    { "password_hash", ROW_NULLABLE, AT(password_hash) },
    { "notes", ROW_TEXT, AT(notes) },
    { NULL, ROW_INT, 0 },
};
const struct row_table trader_table =
    ROW_TABLE_DATED("traders", NAMES, "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14", "$15", "$16",
                    columns, struct trader_row);

enum db_result
trader_by_email(struct db *db, int64_t program_id, const char *email_key, struct trader_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id, " NAMES " FROM traders WHERE program_id = $1 AND email_key = $2"
                                  " AND state <> 'erased'",
                                  "is", program_id, email_key);

    if (rc != DB_ROW)
        return rc;
    row_read(stmt, &trader_table, row);
    db_end(stmt);
    return DB_ROW;
}

/* DB_ROW and DB_DONE become an answer. */
static enum db_result
whether(enum db_result rc, struct db_stmt *stmt, bool *is)
{
    *is = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(stmt);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
trader_has_phone(struct db *db, int64_t program_id, const char *phone_key, bool *has)
{
    struct db_stmt *stmt = NULL;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT id FROM traders WHERE program_id = $1 AND phone_key = $2"
                                  " AND state <> 'erased' LIMIT 1",
                                  "is", program_id, phone_key);

    return whether(rc, stmt, has);
}

/* ---- accounts ---- */

enum db_result
account_insert(struct db *db, int64_t trader_id, const char *number, uint64_t now_us)
{
    return db_exec(db, "INSERT INTO trader_accounts (trader_id, number, created_us) VALUES ($1, $2, $3)", "isi",
                   trader_id, number, (int64_t) now_us);
}

enum db_result
account_exists(struct db *db, const char *number, bool *exists)
{
    struct db_stmt *stmt = NULL;
    enum db_result  rc = db_query(db, &stmt, "SELECT id FROM trader_accounts WHERE number = $1", "s", number);

    return whether(rc, stmt, exists);
}

enum db_result
accounts_open(struct db *db, int64_t trader_id, int64_t *count)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT COUNT(*) AS n FROM trader_accounts WHERE trader_id = $1 AND state = 'open'",
                                  "i", trader_id);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(stmt, "n");
    db_end(stmt);
    return DB_OK;
}

/* ---- links to set a password ---- */

enum db_result
trader_invitations_end(struct db *db, int64_t trader_id)
{
    return db_exec(db, "DELETE FROM trader_invitations WHERE trader_id = $1 AND used_us IS NULL", "i", trader_id);
}

enum db_result
trader_invitation_insert(struct db *db, int64_t trader_id, const uint8_t hash[32], uint64_t now_us,
                         uint64_t expires_us)
{
    enum db_result rc = trader_invitations_end(db, trader_id);

    if (rc != DB_OK)
        return rc;
    return db_exec(db,
                   "INSERT INTO trader_invitations (hash, trader_id, created_us, expires_us) VALUES ($1, $2, $3, $4)",
                   "biii", (const void *) hash, (size_t) 32, trader_id, (int64_t) now_us, (int64_t) expires_us);
}

enum db_result
trader_invitation_find(struct db *db, const uint8_t hash[32], uint64_t now_us, int64_t *trader_id)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt,
                                  "SELECT i.trader_id AS trader_id FROM trader_invitations i"
                                  " JOIN traders t ON t.id = i.trader_id AND t.state IN ('invited', 'active')"
                                  " WHERE i.hash = $1 AND i.used_us IS NULL AND i.expires_us > $2",
                                  "bi", (const void *) hash, (size_t) 32, (int64_t) now_us);

    if (rc != DB_ROW)
        return rc;
    *trader_id = db_int(stmt, "trader_id");
    db_end(stmt);
    return DB_ROW;
}

enum db_result
trader_invitation_use(struct db *db, const uint8_t hash[32], uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE trader_invitations SET used_us = $2"
                                " WHERE hash = $1 AND used_us IS NULL AND expires_us > $2",
                                "bi", (const void *) hash, (size_t) 32, (int64_t) now_us);

    return rc == DB_OK && db_changes(db) != 1 ? DB_DONE : rc;
}
