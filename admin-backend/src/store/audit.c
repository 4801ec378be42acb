#include "store/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

/* NULL and "" hash differently; lengths keep neighbouring fields apart. */
static void
hash_text(crypto_generichash_state *state, const char *text)
{
    char head[24];
    int  len = text == NULL ? snprintf(head, sizeof(head), "-:") : snprintf(head, sizeof(head), "%zu:", strlen(text));

    crypto_generichash_update(state, (const unsigned char *) head, (size_t) len);
    if (text != NULL)
        crypto_generichash_update(state, (const unsigned char *) text, strlen(text));
}

static void
chain(const struct audit_row *row, const uint8_t previous[AUDIT_HASH_LEN], uint8_t out[AUDIT_HASH_LEN])
{
    crypto_generichash_state state;
    char                     at[24];

    snprintf(at, sizeof(at), "%" PRId64, row->at_us);
    crypto_generichash_init(&state, NULL, 0, AUDIT_HASH_LEN);
    crypto_generichash_update(&state, previous, AUDIT_HASH_LEN);
    hash_text(&state, at);
    hash_text(&state, row->actor);
    hash_text(&state, row->action);
    hash_text(&state, row->object_type);
    hash_text(&state, row->object_id);
    hash_text(&state, row->before);
    hash_text(&state, row->after);
    hash_text(&state, row->reason);
    crypto_generichash_final(&state, out, AUDIT_HASH_LEN);
}

static enum db_result
last_hash(struct db *db, uint8_t hash[AUDIT_HASH_LEN])
{
    struct db_stmt *row;
    const void     *bytes;
    size_t          len;
    enum db_result  rc = db_query(db, &row, "SELECT hash FROM audit_log ORDER BY id DESC LIMIT 1", "");

    memset(hash, 0, AUDIT_HASH_LEN);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    bytes = db_bytes(row, "hash", &len);
    if (bytes != NULL && len == AUDIT_HASH_LEN)
        memcpy(hash, bytes, len);
    db_end(row);
    return DB_OK;
}

enum db_result
audit_append(struct db *db, const struct audit_row *row)
{
    uint8_t        previous[AUDIT_HASH_LEN], hash[AUDIT_HASH_LEN];
    enum db_result rc = last_hash(db, previous);

    if (rc != DB_OK)
        return rc;
    chain(row, previous, hash);
    return db_exec(db,
                   "INSERT INTO audit_log (at_us, actor, action, object_type, object_id, before, after, reason, hash)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   "isssssssb", row->at_us, row->actor, row->action, row->object_type, row->object_id, row->before,
                   row->after, row->reason, (const void *) hash, sizeof(hash));
}

static void
read_row(struct db_stmt *stmt, struct audit_row *row)
{
    row->id = db_int(stmt, "id");
    row->at_us = db_int(stmt, "at_us");
    row->actor = db_text(stmt, "actor");
    row->action = db_text(stmt, "action");
    row->object_type = db_text(stmt, "object_type");
    row->object_id = db_text(stmt, "object_id");
    row->before = db_text(stmt, "before");
    row->after = db_text(stmt, "after");
    row->reason = db_text(stmt, "reason");
}

enum db_result
audit_walk(struct db *db, int64_t *broken_id)
{
    uint8_t          previous[AUDIT_HASH_LEN] = { 0 }, hash[AUDIT_HASH_LEN];
    struct audit_row row;
    const void      *bytes;
    size_t           len;
    enum db_result   rc;
    struct db_stmt  *stmt = db_prepare(db, "SELECT id, at_us, actor, action, object_type, object_id, before, after,"
                                           " reason, hash FROM audit_log ORDER BY id");

    *broken_id = 0;
    if (stmt == NULL)
        return DB_FAILED;
    while ((rc = db_step(stmt)) == DB_ROW) {
        read_row(stmt, &row);
        chain(&row, previous, hash);
        bytes = db_bytes(stmt, "hash", &len);
        if (bytes == NULL || len != AUDIT_HASH_LEN || memcmp(bytes, hash, len) != 0) {
            *broken_id = row.id;
            rc = DB_DONE;
            break;
        }
        memcpy(previous, hash, sizeof(previous));
    }
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}
