/*
 * facts.h - packs become rows, exactly once.
 *
 * One transaction takes many packs of many journals: it reads each journal's
 * row (the fence), lets tracker_receive judge each pack against it, stores the
 * facts and the row's new position together.  No business rule is here: a bug
 * in a commission must never stop the wire.
 *
 * A record that makes the transaction fail is found by halving; at the third
 * failure alone it goes into the quarantine.
 */
#ifndef AFFILIATED_FACTS_H
#define AFFILIATED_FACTS_H

#include "db/db.h"
#include "tracker_keys.h"
#include "tracker_pack.h"

/* Most records of one transaction: more gives nothing, and people wait for the writer. */
#define FACTS_BATCH_RECORDS 8192u

/* One thing that was read from the wire. */
struct fact_entry {
    const char *refused; /* NULL: an authentic pack. Else why not, a literal for quarantine.reason */
    uint32_t            refused_count; /* how many such this one stands for; 0: it is not to be kept */
    struct tracker_pack pack;          /* opened; records borrow from `bytes` */
    const uint8_t      *bytes;         /* as it came (what a pack's body became when it was opened) */
    size_t              len;
    bool                decided;       /* out: committed, whatever the verdict */
};

/* What a journal's owner is to be told; incarnation is the caller's to fill in. */
struct fact_answer {
    struct tracker_journal_id journal;
    unsigned                  partition;
    struct tracker_ack        ack;
};

struct facts; /* caches and memory of one ingest thread */
struct facts *facts_new(struct db_pool *pool, const struct tracker_keys *keys, uint64_t (*now_us)(void));
void          facts_free(struct facts *facts);

/* Tests: runs inside the transaction, when all is written and nothing is committed. */
void facts_set_hook(struct facts *facts, void (*before_commit)(void *ctx), void *ctx);

/*
 * Commits the entries, in whatever order suits.  DB_OK: every one is decided.
 * Else those marked decided are, and the call may be repeated with the same entries.
 * Answers (one a journal) may be told in either case: they say what is committed.
 */
enum db_result facts_commit(struct facts *facts, struct fact_entry *entries, size_t count);
const struct fact_answer *facts_answers(const struct facts *facts, size_t *count);
/* Records stored, and those set aside, since facts_new. */
void facts_counts(const struct facts *facts, uint64_t *committed, uint64_t *quarantined);
/* Leads among them, which wait to be decided. */
uint64_t facts_leads(const struct facts *facts);

#endif
