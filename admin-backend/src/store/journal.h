/*
 * journal.h - rows of journals: how far the database has each, and what is missing.
 *
 * next_seq is the fence of the wire protocol: read and written in the
 * transaction that stores what lies below it.  In every row
 * committed + quarantined + lost = next_seq - 1.
 */
#ifndef AFFILIATED_STORE_JOURNAL_H
#define AFFILIATED_STORE_JOURNAL_H

#include "db/db.h"
#include "tracker_receiver.h"

struct journal_row {
    int64_t                   id;
    struct tracker_journal_id uuid;
    char                      edge[TRACKER_EDGE_NAME_MAX + 1];
    unsigned                  partition;
    struct tracker_position   at;
    uint32_t                  resend;            /* how often a resend was asked for */
    uint64_t                  accepted, dropped; /* as the edge last said */
    uint64_t                  committed, quarantined, lost;
    uint64_t                  rolled_seq;
    bool                      forked, closed;
    uint64_t                  last_seen_us, owner_seen_us;
};

/* DB_ROW with *row filled, or DB_DONE. */
enum db_result journal_load(struct db *db, const struct tracker_journal_id *uuid, struct journal_row *row);
/* A journal seen for the first time: nothing of it is here yet. */
enum db_result journal_create(struct db *db, const struct tracker_pack *pack, uint64_t now_us,
                              struct journal_row *row);
/* Everything ingest may change: all but rolled_seq. */
enum db_result journal_store(struct db *db, const struct journal_row *row);

enum db_result journal_gap_add(struct db *db, int64_t journal_id, uint64_t from, uint64_t to,
                               enum tracker_gap_reason reason, uint64_t now_us);

/* What could not be made a fact, kept as it came. journal_id 0: nobody vouches for where it is from. */
enum db_result quarantine_add(struct db *db, int64_t journal_id, uint64_t seq, uint32_t count,
                              const char *reason, const void *bytes, size_t len, uint64_t now_us);
/* The same, unless these very bytes lie there already: for what is sent again and again. */
enum db_result quarantine_add_once(struct db *db, int64_t journal_id, uint64_t seq, uint32_t count,
                                   const char *reason, const void *bytes, size_t len, uint64_t now_us);

/* Rows in the order of their ids. A visit that is not DB_OK ends it and is the result. */
typedef enum db_result (*journal_visit)(void *ctx, const struct journal_row *row);
enum db_result journal_each(struct db *db, journal_visit visit, void *ctx);
/* Those whose acks must stand in Redis: not closed, of partitions [first, first + count). */
enum db_result journal_each_open(struct db *db, unsigned first, unsigned count, journal_visit visit,
                                 void *ctx);
/* Closed, and last heard of in [from_us, to_us): their acks may go. */
enum db_result journal_each_ended(struct db *db, uint64_t from_us, uint64_t to_us, journal_visit visit,
                                  void *ctx);

#endif
