/*
 * ingest.h - from Redis Streams to facts, and acks back: one thread for a range of partitions.
 *
 * Redis promises nothing here.  What an ack says is committed in the database;
 * whatever Redis loses, repeats or reorders, the protocol's fence
 * (journals.next_seq) and the edges' going back to the ack make good.
 *
 *     stream affiliate:events:{p}    field "p": one sealed pack
 *     hash   affiliate:acks:{p}      field <journal hex>: a signed ack
 *     string affiliate:consumer:{p}  a signed heartbeat, every second
 */
#ifndef AFFILIATED_INGEST_H
#define AFFILIATED_INGEST_H

#include "db/db.h"
#include "ingest/wire.h"
#include "tracker_keys.h"

/* Where a test may end the process. */
enum ingest_step {
    INGEST_BEFORE_COMMIT, /* all is written, nothing is committed */
    INGEST_AFTER_COMMIT,  /* committed; no ack has left */
    INGEST_AFTER_ACK      /* acked; the entries are still in the stream */
};

struct ingest_options {
    struct db_pool            *pool;
    const struct tracker_keys *keys;
    struct wire_address        redis;
    unsigned                   first, count; /* partitions */
    uint64_t (*now_us)(void);
    const char                *base_url; /* of links in mails about leads */
    void (*hook)(void *ctx, enum ingest_step step); /* NULL outside tests */
    void *hook_ctx;
};

struct ingest;
struct ingest *ingest_new(const struct ingest_options *options); /* NULL: no memory */
void           ingest_free(struct ingest *ingest);
/* Runs until ingest_stop, which may come from any thread; a stop takes at most a few seconds. */
void           ingest_run(struct ingest *ingest);
void           ingest_stop(struct ingest *ingest);
/* Redis was heard within the last seconds, and the database took what came. Any thread. */
bool           ingest_ready(const struct ingest *ingest);
/* Of this process: records stored and set aside. Any thread. */
void           ingest_counts(const struct ingest *ingest, uint64_t *committed, uint64_t *quarantined);

#endif
