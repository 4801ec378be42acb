#include "store/once.h"

#include <string.h>

enum db_result
once_find(struct db *db, const char *actor, const char *key, const uint8_t hash[32], bool *same, char **body)
{
    struct db_stmt *row;
    const void     *stored;
    size_t          len;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT request_hash, body FROM idempotency_keys WHERE actor = $1 AND key = $2", "ss",
                                  actor, key);

    if (rc != DB_ROW)
        return rc;
    stored = db_bytes(row, "request_hash", &len);
    *same = stored != NULL && len == 32 && memcmp(stored, hash, 32) == 0;
    *body = *same ? strdup(db_text(row, "body")) : NULL;
    db_end(row);
    return DB_ROW;
}

enum db_result
once_keep(struct db *db, const char *actor, const char *key, const uint8_t hash[32], const char *body, uint64_t now_us)
{
    return db_exec(db,
                   "INSERT INTO idempotency_keys (actor, key, request_hash, body, created_us)"
                   " VALUES ($1, $2, $3, $4, $5)",
                   "ssbsi", actor, key, (const void *) hash, (size_t) 32, body, (int64_t) now_us);
}

enum db_result
once_forget(struct db *db, uint64_t before_us, int limit)
{
    return db_exec(db,
                   "DELETE FROM idempotency_keys WHERE (actor, key) IN"
                   " (SELECT actor, key FROM idempotency_keys WHERE created_us < $1 ORDER BY created_us LIMIT $2)",
                   "ii", (int64_t) before_us, (int64_t) limit);
}

enum db_result
config_version_next(struct db *db, int64_t *version)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "UPDATE config_version SET version = version + 1 WHERE id = 1 RETURNING version", "");

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    *version = db_int(row, "version");
    db_end(row);
    return DB_OK;
}
