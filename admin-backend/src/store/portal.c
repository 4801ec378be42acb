#include "store/portal.h"

#include <stdio.h>
#include <string.h>

#include "service/view.h"

/* By id: whoever types an address shall not have us read all traders. */
static enum db_result
trader_password(struct db *db, int64_t program_id, const char *trader_id, char hash[PORTAL_TEXT_MAX])
{
    struct db_stmt *row;
    int64_t         id;
    enum db_result  rc;

    if (trader_id == NULL || !view_parse_id(trader_id, &id))
        return DB_OK;
    rc = db_query(db, &row, "SELECT password_hash FROM traders WHERE id = $1 AND program_id = $2 AND state = 'active'"
                            " AND password_hash IS NOT NULL", "ii", id, program_id);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    snprintf(hash, PORTAL_TEXT_MAX, "%s", db_text(row, "password_hash"));
    db_end(row);
    return DB_OK;
}

enum db_result
portal_account_by_email(struct db *db, const char *email, struct portal_account *out)
{
    struct db_stmt *row;
    const char     *hash;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id, status, program_id, trader_id, password_hash FROM affiliates"
                                  " WHERE program_id IN (SELECT id FROM programs) AND email = $1 ORDER BY id LIMIT 1",
                                  "s", email);

    if (rc != DB_ROW)
        return rc;
    hash = db_text(row, "password_hash");
    out->id = db_int(row, "id");
    out->may = strcmp(db_text(row, "status"), "terminated") != 0;
    snprintf(out->password_hash, sizeof(out->password_hash), "%s", hash == NULL ? "" : hash);
    if (hash == NULL)
        rc = trader_password(db, db_int(row, "program_id"), db_text(row, "trader_id"), out->password_hash);
    db_end(row);
    return rc == DB_OK || rc == DB_ROW ? DB_ROW : rc;
}

enum db_result
portal_session_insert(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], int64_t affiliate_id, const char *csrf,
                      uint64_t now_us, uint64_t expires_us)
{
    return db_exec(db,
                   "INSERT INTO portal_sessions (hash, affiliate_id, csrf, created_us, seen_us, expires_us)"
                   " VALUES ($1, $2, $3, $4, $4, $5)",
                   "bisii", (const void *) hash, (size_t) PORTAL_HASH_LEN, affiliate_id, csrf, (int64_t) now_us,
                   (int64_t) expires_us);
}

enum db_result
portal_session_find(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], uint64_t now_us, uint64_t idle_us,
                    int64_t *affiliate_id, char *csrf, uint64_t *seen_us)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT x.affiliate_id AS affiliate_id, x.csrf AS csrf, x.seen_us AS seen_us"
                                  " FROM portal_sessions x JOIN affiliates a ON a.id = x.affiliate_id"
                                  " WHERE x.hash = $1 AND x.expires_us > $2 AND x.seen_us > $3"
                                  " AND a.status <> 'terminated'",
                                  "bii", (const void *) hash, (size_t) PORTAL_HASH_LEN, (int64_t) now_us,
                                  (int64_t) (now_us - idle_us));

    if (rc != DB_ROW)
        return rc;
    *affiliate_id = db_int(row, "affiliate_id");
    *seen_us = (uint64_t) db_int(row, "seen_us");
    snprintf(csrf, PORTAL_TEXT_MAX, "%s", db_text(row, "csrf"));
    db_end(row);
    return DB_ROW;
}

enum db_result
portal_session_seen(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], uint64_t now_us)
{
    return db_exec(db, "UPDATE portal_sessions SET seen_us = $2 WHERE hash = $1", "bi", (const void *) hash,
                   (size_t) PORTAL_HASH_LEN, (int64_t) now_us);
}

enum db_result
portal_session_delete(struct db *db, const uint8_t hash[PORTAL_HASH_LEN])
{
    return db_exec(db, "DELETE FROM portal_sessions WHERE hash = $1", "b", (const void *) hash,
                   (size_t) PORTAL_HASH_LEN);
}

enum db_result
portal_sessions_end_trader(struct db *db, int64_t trader_id)
{
    char id[24];

    snprintf(id, sizeof(id), "%lld", (long long) trader_id);
    return db_exec(db, "DELETE FROM portal_sessions WHERE affiliate_id IN"
                       " (SELECT id FROM affiliates WHERE trader_id = $1 AND password_hash IS NULL)", "s", id);
}

enum db_result
portal_sessions_delete_old(struct db *db, uint64_t before_us)
{
    return db_exec(db, "DELETE FROM portal_sessions WHERE expires_us < $1", "i", (int64_t) before_us);
}

/* ---- numbers ---- */

static enum db_result
count_by(struct db *db, const char *sql, int64_t affiliate_id, int64_t from_us, int64_t to_us, json_t *counts)
{
    struct db_stmt *row = db_prepare(db, sql);
    enum db_result  rc;

    if (row == NULL || counts == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, affiliate_id);
    db_bind_int(row, 2, from_us);
    db_bind_int(row, 3, to_us);
    while ((rc = db_step(row)) == DB_ROW)
        json_object_set_new(counts, db_text(row, "name"), json_integer((json_int_t) db_int(row, "n")));
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

#define COUNT(name, table, time)                                                                                     \
    "SELECT " name " AS name, COUNT(*) AS n FROM " table " WHERE affiliate_id = $1 AND " time " >= $2 AND " time      \
    " < $3 GROUP BY " name

enum db_result
portal_counts(struct db *db, int64_t affiliate_id, int64_t from_us, int64_t to_us, json_t *object)
{
    static const struct {
        const char *name, *sql;
    } parts[] = {
        { "leads", COUNT("status", "leads", "created_us") },
        { "log", COUNT("verdict", "lead_log", "at_us") },
        { "referrals", COUNT("status", "referrals", "created_us") },
    };
    enum db_result rc = DB_OK;

    for (size_t i = 0; rc == DB_OK && i < sizeof(parts) / sizeof(parts[0]); i++) {
        json_t *counts = json_object();

        json_object_set_new(object, parts[i].name, counts);
        rc = count_by(db, parts[i].sql, affiliate_id, from_us, to_us, counts);
    }
    return rc;
}
