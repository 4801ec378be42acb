#include "store/outbox.h"

#include <stddef.h>

#define AT(member) offsetof(struct outbox_row, member)
#define NAMES                                                                                                        \
    "version, kind, name, uid, lead_id, recipient, subject, text, html, link, state, tries, next_us, expires_us,"    \
    " last_error, sent_us"
#define VALUES "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16"

static const struct row_column columns[] = {
    { "version", ROW_INT, AT(version) },
    { "kind", ROW_TEXT, AT(kind) },
    { "name", ROW_TEXT, AT(name) },
    { "uid", ROW_TEXT, AT(uid) },
    { "lead_id", ROW_OPTIONAL, AT(lead_id) },
    { "recipient", ROW_TEXT, AT(recipient) },
    { "subject", ROW_TEXT, AT(subject) },
    { "text", ROW_TEXT, AT(text) },
    { "html", ROW_TEXT, AT(html) },
    { "link", ROW_TEXT, AT(link) },
    { "state", ROW_TEXT, AT(state) },
    { "tries", ROW_INT, AT(tries) },
    { "next_us", ROW_INT, AT(next_us) },
    { "expires_us", ROW_INT, AT(expires_us) },
    { "last_error", ROW_TEXT, AT(last_error) },
    { "sent_us", ROW_OPTIONAL, AT(sent_us) },
    { NULL, ROW_INT, 0 },
};
const struct row_table outbox_table =
    ROW_TABLE_DATED("outbox", NAMES, VALUES, "$17", "$18", columns, struct outbox_row);

enum db_result
outbox_insert(struct db *db, const struct outbox_row *row, uint64_t now_us)
{
    struct outbox_row copy = *row;
    struct db_stmt   *stmt;
    enum db_result    rc = db_query(db, &stmt, "SELECT id FROM outbox WHERE name = $1", "s", row->name);

    if (rc == DB_ROW)
        db_end(stmt);
    if (rc != DB_DONE)
        return rc == DB_ROW ? DB_OK : rc;
    return row_insert(db, &outbox_table, &copy, now_us);
}

enum db_result
outbox_due(struct db *db, const char *kind, uint64_t now_us, int64_t *ids, int *count)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT id FROM outbox WHERE state = 'queued' AND kind = $1 AND next_us <= $2"
                                          " AND expires_us > $2 ORDER BY next_us, id LIMIT $3");
    int             room = *count;
    enum db_result  rc;

    *count = 0;
    if (stmt == NULL)
        return DB_FAILED;
    db_bind_text(stmt, 1, kind);
    db_bind_int(stmt, 2, (int64_t) now_us);
    db_bind_int(stmt, 3, room);
    while ((rc = db_step(stmt)) == DB_ROW && *count < room)
        ids[(*count)++] = db_int(stmt, "id");
    db_end(stmt);
    return rc == DB_DONE || rc == DB_ROW ? DB_OK : rc;
}

enum db_result
outbox_count_try(struct db *db, int64_t id, uint64_t next_us, uint64_t now_us)
{
    return db_exec(db,
                   "UPDATE outbox SET tries = tries + 1, next_us = $2, updated_us = $3, version = version + 1"
                   " WHERE id = $1",
                   "iii", id, (int64_t) next_us, (int64_t) now_us);
}

enum db_result
outbox_conclude(struct db *db, const struct outbox_row *tried, const char *state, const char *why, uint64_t sent_us,
                uint64_t now_us)
{
    return db_exec(db,
                   "UPDATE outbox SET state = $4, last_error = $5, sent_us = NULLIF(CAST($6 AS BIGINT), 0),"
                   " updated_us = $7, version = version + 1"
                   " WHERE id = $1 AND uid = $2 AND tries = $3 AND state = 'queued'",
                   "isissii", tried->id, tried->uid, tried->tries, state, why, (int64_t) sent_us, (int64_t) now_us);
}

enum db_result
outbox_requeue(struct db *db, int64_t id, const char *uid, uint64_t now_us)
{
    return db_exec(db,
                   "UPDATE outbox SET uid = $2, state = 'queued', tries = 0, last_error = '', sent_us = NULL,"
                   " next_us = $3, updated_us = $3, version = version + 1 WHERE id = $1",
                   "isi", id, uid, (int64_t) now_us);
}

enum db_result
outbox_expire(struct db *db, uint64_t now_us)
{
    return db_exec(db,
                   "UPDATE outbox SET state = 'dropped', last_error = 'too late', updated_us = $1, version = version + 1"
                   " WHERE state = 'queued' AND expires_us <= $1",
                   "i", (int64_t) now_us);
}

enum db_result
outbox_delete_old(struct db *db, uint64_t before_us, int limit)
{
    return db_exec(db,
                   "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE created_us < $1 AND updated_us < $1"
                   " AND state <> 'queued' ORDER BY created_us, id LIMIT $2)",
                   "ii", (int64_t) before_us, (int64_t) limit);
}

enum db_result
outbox_delete_lead(struct db *db, int64_t lead_id)
{
    return db_exec(db, "DELETE FROM outbox WHERE lead_id = $1", "i", lead_id);
}
