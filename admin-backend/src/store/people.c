#include "store/people.h"

#include <stdio.h>
#include <string.h>

static void
read_staff(struct db_stmt *row, struct staff_row *out)
{
    out->id = db_int(row, "id");
    snprintf(out->email, sizeof(out->email), "%s", db_text(row, "email"));
    snprintf(out->role, sizeof(out->role), "%s", db_text(row, "role"));
    snprintf(out->state, sizeof(out->state), "%s", db_text(row, "state"));
    snprintf(out->password_hash, sizeof(out->password_hash), "%s", db_text(row, "password_hash"));
}

#define STAFF_COLUMNS "s.id AS id, s.email AS email, s.role AS role, s.state AS state, s.password_hash AS password_hash"

enum db_result
staff_insert(struct db *db, const char *email, const char *name, const char *role, const char *password_hash,
             uint64_t now_us, int64_t *id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "INSERT INTO staff (email, name, role, password_hash, created_us)"
                                   " VALUES ($1, $2, $3, $4, $5) RETURNING id",
                                  "ssssi", email, name, role, password_hash, (int64_t) now_us);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *id = db_int(row, "id");
    db_end(row);
    return DB_OK;
}

enum db_result
staff_by_email(struct db *db, const char *email, struct staff_row *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT " STAFF_COLUMNS " FROM staff s WHERE s.email = $1", "s", email);

    if (rc == DB_ROW) {
        read_staff(row, out);
        db_end(row);
    }
    return rc;
}

enum db_result
staff_count(struct db *db, int64_t *count)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT COUNT(*) AS n FROM staff", "");

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    *count = db_int(row, "n");
    db_end(row);
    return DB_OK;
}

enum db_result
session_insert(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], int64_t staff_id, const char *csrf, uint64_t now_us,
               uint64_t expires_us)
{
    return db_exec(db,
                   "INSERT INTO sessions (hash, staff_id, csrf, created_us, seen_us, expires_us)"
                   " VALUES ($1, $2, $3, $4, $4, $5)",
                   "bisii", (const void *) hash, (size_t) PEOPLE_HASH_LEN, staff_id, csrf, (int64_t) now_us,
                   (int64_t) expires_us);
}

enum db_result
session_by_hash(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us, uint64_t idle_us,
                struct staff_row *staff, char *csrf, uint64_t *seen_us)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT " STAFF_COLUMNS ", x.csrf AS csrf, x.seen_us AS seen_us FROM sessions x"
                                  " JOIN staff s ON s.id = x.staff_id"
                                  " WHERE x.hash = $1 AND x.expires_us > $2 AND x.seen_us > $3 AND s.state = 'active'",
                                  "bii", (const void *) hash, (size_t) PEOPLE_HASH_LEN, (int64_t) now_us,
                                  (int64_t) (now_us - idle_us));

    if (rc == DB_ROW) {
        read_staff(row, staff);
        snprintf(csrf, PEOPLE_TEXT_MAX, "%s", db_text(row, "csrf"));
        *seen_us = (uint64_t) db_int(row, "seen_us");
        db_end(row);
    }
    return rc;
}

enum db_result
session_seen(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us)
{
    return db_exec(db, "UPDATE sessions SET seen_us = $2 WHERE hash = $1", "bi", (const void *) hash,
                   (size_t) PEOPLE_HASH_LEN, (int64_t) now_us);
}

enum db_result
session_delete(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN])
{
    return db_exec(db, "DELETE FROM sessions WHERE hash = $1", "b", (const void *) hash, (size_t) PEOPLE_HASH_LEN);
}

enum db_result
token_insert(struct db *db, int64_t staff_id, const char *name, const char *prefix,
             const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us)
{
    return db_exec(db,
                   "INSERT INTO staff_tokens (staff_id, name, prefix, hash, created_us) VALUES ($1, $2, $3, $4, $5)",
                   "issbi", staff_id, name, prefix, (const void *) hash, (size_t) PEOPLE_HASH_LEN, (int64_t) now_us);
}

enum db_result
token_by_hash(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us, struct staff_row *staff)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT " STAFF_COLUMNS " FROM staff_tokens t JOIN staff s ON s.id = t.staff_id"
                                  " WHERE t.hash = $1 AND t.revoked_us IS NULL"
                                  " AND (t.expires_us IS NULL OR t.expires_us > $2) AND s.state = 'active'",
                                  "bi", (const void *) hash, (size_t) PEOPLE_HASH_LEN, (int64_t) now_us);

    if (rc == DB_ROW) {
        read_staff(row, staff);
        db_end(row);
    }
    return rc;
}

enum db_result
invitation_insert(struct db *db, const char *purpose, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us,
                  uint64_t expires_us)
{
    enum db_result rc = db_exec(db, "DELETE FROM invitations WHERE purpose = $1 AND used_us IS NULL", "s", purpose);

    if (rc != DB_OK)
        return rc;
    return db_exec(db, "INSERT INTO invitations (hash, purpose, created_us, expires_us) VALUES ($1, $2, $3, $4)",
                   "bsii", (const void *) hash, (size_t) PEOPLE_HASH_LEN, purpose, (int64_t) now_us,
                   (int64_t) expires_us);
}

enum db_result
invitation_use(struct db *db, const char *purpose, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE invitations SET used_us = $3"
                                " WHERE hash = $1 AND purpose = $2 AND used_us IS NULL AND expires_us > $3",
                                "bsi", (const void *) hash, (size_t) PEOPLE_HASH_LEN, purpose, (int64_t) now_us);

    return rc == DB_OK && db_changes(db) != 1 ? DB_DONE : rc;
}

enum db_result
attempts_failed(struct db *db, const char *subject, uint64_t window_us, int64_t *failures)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT failures FROM login_attempts WHERE subject = $1 AND window_us = $2", "si",
                                  subject, (int64_t) window_us);

    *failures = 0;
    if (rc == DB_ROW) {
        *failures = db_int(row, "failures");
        db_end(row);
    }
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
attempt_note(struct db *db, const char *subject, uint64_t window_us)
{
    return db_exec(db,
                   "INSERT INTO login_attempts (subject, window_us, failures) VALUES ($1, $2, 1)"
                   " ON CONFLICT (subject, window_us) DO UPDATE SET failures = login_attempts.failures + 1",
                   "si", subject, (int64_t) window_us);
}

enum db_result
people_delete_old(struct db *db, uint64_t before_us)
{
    enum db_result rc = db_exec(db, "DELETE FROM sessions WHERE expires_us < $1", "i", (int64_t) before_us);

    if (rc == DB_OK)
        rc = db_exec(db, "DELETE FROM login_attempts WHERE window_us < $1", "i", (int64_t) before_us);
    return rc;
}
