#include "store/upkeep.h"

#include <stdlib.h>

enum db_result
key_warnings_give(struct db *db, uint64_t now_us, struct key_warning **due, size_t *count)
{
    struct db_stmt *row = db_prepare(
        db, "INSERT INTO key_warnings (api_user_id, expires_us, days, at_us)"
            " SELECT u.id, u.expires_us, d.days, $1 FROM api_users u CROSS JOIN"
            "  (SELECT 30 AS days UNION ALL SELECT 7 UNION ALL SELECT 1 UNION ALL SELECT 0) d"
            " WHERE u.state = 'active' AND u.expires_us - d.days * 86400000000 <= $1"
            " ON CONFLICT (api_user_id, expires_us, days) DO NOTHING RETURNING api_user_id, expires_us, days");
    struct key_warning *grown;
    enum db_result      rc;

    *due = NULL;
    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, (int64_t) now_us);
    while ((rc = db_step(row)) == DB_ROW) {
        grown = reallocarray(*due, *count + 1, sizeof(**due));
        if (grown == NULL) {
            rc = DB_FAILED;
            break;
        }
        *due = grown;
        grown[(*count)++] = (struct key_warning){ db_int(row, "api_user_id"), db_int(row, "expires_us"),
                                                  (int) db_int(row, "days") };
    }
    db_end(row);
    if (rc == DB_DONE)
        return DB_OK;
    free(*due);
    *due = NULL;
    *count = 0;
    return rc;
}

/* Up to where: the time of the one behind the last that is to go. */
static enum db_result
find_end(struct db *db, int64_t before_ms, int limit, int64_t *end_ms, bool *left)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT time_ms FROM api_calls WHERE time_ms < $1 ORDER BY time_ms, journal_id, seq"
                                   " LIMIT 1 OFFSET $2",
                                  "ii", before_ms, (int64_t) limit);

    *end_ms = before_ms;
    *left = rc == DB_ROW;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *end_ms = db_int(row, "time_ms") + 1; /* all of a moment go together */
    db_end(row);
    return DB_OK;
}

enum db_result
api_calls_forget(struct db *db, int64_t before_ms, int limit, bool *left)
{
    int64_t        end_ms;
    enum db_result rc = find_end(db, before_ms, limit, &end_ms, left);

    if (rc == DB_OK)
        rc = db_exec(db,
                     "UPDATE journals SET forgotten = forgotten"
                     " + (SELECT COUNT(*) FROM api_calls c WHERE c.journal_id = journals.id AND c.time_ms < $1)"
                     " WHERE id IN (SELECT journal_id FROM api_calls WHERE time_ms < $1)",
                     "i", end_ms);
    return rc == DB_OK ? db_exec(db, "DELETE FROM api_calls WHERE time_ms < $1", "i", end_ms) : rc;
}

enum db_result
people_outside_forget(struct db *db, uint64_t before_us)
{
    enum db_result rc = db_exec(db, "DELETE FROM portal_sessions WHERE expires_us < $1", "i", (int64_t) before_us);

    return rc == DB_OK ? db_exec(db, "DELETE FROM trader_invitations WHERE expires_us < $1", "i", (int64_t) before_us) : rc;
}
