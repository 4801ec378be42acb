/*
 * journal.c - SQL of journals, their gaps, and the quarantine.
 */
#include "store/journal.h"

#include <stdio.h>
#include <string.h>

#include <endian.h>

#define JOURNAL_COLUMNS                                                                                      \
    "id, uuid, edge, partition, next_seq, hash, resend, accepted, dropped, committed, quarantined, lost,"    \
    " rolled_seq, forked, closed, last_seen_us, owner_seen_us"

static bool
journal_read(struct db_stmt *stmt, struct journal_row *row)
{
    size_t      uuid_len, hash_len;
    const void *uuid = db_bytes(stmt, "uuid", &uuid_len);
    const void *hash = db_bytes(stmt, "hash", &hash_len);
    uint64_t    big_endian;

    memset(row, 0, sizeof(*row));
    if (uuid_len != sizeof(row->uuid.bytes) || hash_len != sizeof(big_endian))
        return false;
    memcpy(row->uuid.bytes, uuid, uuid_len);
    memcpy(&big_endian, hash, hash_len);

    row->id = db_int(stmt, "id");
    snprintf(row->edge, sizeof(row->edge), "%s", db_text(stmt, "edge"));
    row->partition = (unsigned) db_int(stmt, "partition");
    row->at.next = (uint64_t) db_int(stmt, "next_seq");
    row->at.hash = be64toh(big_endian);
    row->resend = (uint32_t) db_int(stmt, "resend");
    row->accepted = (uint64_t) db_int(stmt, "accepted");
    row->dropped = (uint64_t) db_int(stmt, "dropped");
    row->committed = (uint64_t) db_int(stmt, "committed");
    row->quarantined = (uint64_t) db_int(stmt, "quarantined");
    row->lost = (uint64_t) db_int(stmt, "lost");
    row->rolled_seq = (uint64_t) db_int(stmt, "rolled_seq");
    row->forked = db_int(stmt, "forked") != 0;
    row->closed = db_int(stmt, "closed") != 0;
    row->last_seen_us = (uint64_t) db_int(stmt, "last_seen_us");
    row->owner_seen_us = (uint64_t) db_int(stmt, "owner_seen_us");
    return true;
}

enum db_result
journal_load(struct db *db, const struct tracker_journal_id *uuid, struct journal_row *row)
{
    struct db_stmt *stmt;
    enum db_result result = db_query(db, &stmt, "SELECT " JOURNAL_COLUMNS " FROM journals WHERE uuid = $1",
                                     "b", uuid->bytes, sizeof(uuid->bytes));

    if (result == DB_ROW && !journal_read(stmt, row))
        result = DB_CORRUPT;
    db_end(stmt);
    return result;
}

enum db_result
journal_create(struct db *db, const struct tracker_pack *pack, uint64_t now_us, struct journal_row *row)
{
    struct db_stmt *stmt;
    uint64_t        hash = tracker_chain_start(&pack->journal, 1);
    uint64_t        big_endian = htobe64(hash);
    const char     *kind = pack->journal_kind == TRACKER_JOURNAL_MONEY ? "money" : "traffic";

    enum db_result result =
        db_query(db, &stmt,
                 "INSERT INTO journals (uuid, short_id, edge, kind, partition, next_seq, hash, first_seen_us,"
                 " last_seen_us, owner_seen_us) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7, $7) RETURNING id",
                 "bissibi", pack->journal.bytes, sizeof(pack->journal.bytes),
                 (int64_t) tracker_journal_id_short(&pack->journal), pack->edge, kind,
                 (int64_t) pack->partition, &big_endian, sizeof(big_endian), (int64_t) now_us);
    if (result != DB_ROW)
        return result == DB_DONE ? DB_FAILED : result;

    memset(row, 0, sizeof(*row));
    row->id = db_int(stmt, "id");
    row->uuid = pack->journal;
    snprintf(row->edge, sizeof(row->edge), "%s", pack->edge);
    row->partition = pack->partition;
    row->at = (struct tracker_position){ .next = 1, .hash = hash };
    row->rolled_seq = 1;
    row->last_seen_us = row->owner_seen_us = now_us;
    db_end(stmt);
    return DB_OK;
}

enum db_result
journal_store(struct db *db, const struct journal_row *row)
{
    uint64_t big_endian = htobe64(row->at.hash);

    return db_exec(
        db,
        "UPDATE journals SET next_seq = $2, hash = $3, resend = $4, accepted = $5, dropped = $6,"
        " committed = $7, quarantined = $8, lost = $9, forked = $10, closed = $11, last_seen_us = $12,"
        " owner_seen_us = $13 WHERE id = $1",
        "iibiiiiiiiiii", row->id, (int64_t) row->at.next, &big_endian, sizeof(big_endian),
        (int64_t) row->resend, (int64_t) row->accepted, (int64_t) row->dropped, (int64_t) row->committed,
        (int64_t) row->quarantined, (int64_t) row->lost, (int64_t) row->forked, (int64_t) row->closed,
        (int64_t) row->last_seen_us, (int64_t) row->owner_seen_us);
}

static const char *
gap_reason_name(enum tracker_gap_reason reason)
{
    switch (reason) {
    case TRACKER_GAP_HOLE:
        return "hole";
    case TRACKER_GAP_FREED:
        return "freed";
    case TRACKER_GAP_MISSING:
        return "missing";
    }
    return "missing";
}

enum db_result
journal_gap_add(struct db *db, int64_t journal_id, uint64_t from, uint64_t to, enum tracker_gap_reason reason,
                uint64_t now_us)
{
    return db_exec(db,
                   "INSERT INTO journal_gaps (journal_id, from_seq, to_seq, reason, at_us)"
                   " VALUES ($1, $2, $3, $4, $5)",
                   "iiisi", journal_id, (int64_t) from, (int64_t) to, gap_reason_name(reason),
                   (int64_t) now_us);
}

enum db_result
quarantine_add(struct db *db, int64_t journal_id, uint64_t seq, uint32_t count, const char *reason,
               const void *bytes, size_t len, uint64_t now_us)
{
    struct db_stmt *stmt =
        db_prepare(db, "INSERT INTO quarantine (journal_id, seq, count, reason, bytes, at_us)"
                       " VALUES ($1, $2, $3, $4, $5, $6)");
    if (journal_id != 0) {
        db_bind_int(stmt, 1, journal_id);
        db_bind_int(stmt, 2, (int64_t) seq);
    }
    db_bind_int(stmt, 3, count);
    db_bind_text(stmt, 4, reason);
    db_bind_bytes(stmt, 5, bytes != NULL ? bytes : "", len);
    db_bind_int(stmt, 6, (int64_t) now_us);

    enum db_result result = db_step(stmt);
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

enum db_result
quarantine_add_once(struct db *db, int64_t journal_id, uint64_t seq, uint32_t count, const char *reason,
                    const void *bytes, size_t len, uint64_t now_us)
{
    struct db_stmt *stmt;
    enum db_result result = db_query(
        db, &stmt,
        "SELECT id FROM quarantine WHERE journal_id = $1 AND seq = $2 AND reason = $3 AND bytes = $4 LIMIT 1",
        "iisb", journal_id, (int64_t) seq, reason, bytes != NULL ? bytes : "", len);
    db_end(stmt);
    if (result == DB_ROW)
        return DB_OK;
    if (result != DB_DONE)
        return result;
    return quarantine_add(db, journal_id, seq, count, reason, bytes, len, now_us);
}

/* ---- walks ---- */

static enum db_result
journal_walk(struct db_stmt *stmt, journal_visit visit, void *ctx)
{
    enum db_result     result;
    struct journal_row row;

    while ((result = db_step(stmt)) == DB_ROW) {
        result = journal_read(stmt, &row) ? visit(ctx, &row) : DB_CORRUPT;
        if (result != DB_OK)
            break;
    }
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

enum db_result
journal_each(struct db *db, journal_visit visit, void *ctx)
{
    return journal_walk(db_prepare(db, "SELECT " JOURNAL_COLUMNS " FROM journals ORDER BY id"), visit, ctx);
}

enum db_result
journal_each_open(struct db *db, unsigned first, unsigned count, journal_visit visit, void *ctx)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT " JOURNAL_COLUMNS " FROM journals WHERE closed = 0"
                                          " AND partition >= $1 AND partition < $2 ORDER BY partition");
    db_bind_int(stmt, 1, first);
    db_bind_int(stmt, 2, (int64_t) first + count);
    return journal_walk(stmt, visit, ctx);
}

enum db_result
journal_each_ended(struct db *db, uint64_t from_us, uint64_t to_us, journal_visit visit, void *ctx)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT " JOURNAL_COLUMNS " FROM journals WHERE closed = 1"
                                          " AND last_seen_us >= $1 AND last_seen_us < $2");
    db_bind_int(stmt, 1, (int64_t) from_us);
    db_bind_int(stmt, 2, (int64_t) to_us);
    return journal_walk(stmt, visit, ctx);
}
