/*
 * ingest_internal.h - what the loop (ingest.c), its answers (ingest_acks.c) and its place in the streams
 * (ingest_cursors.c) share.  One thread; only the atomics are read by others.
 */
#ifndef AFFILIATED_INGEST_INTERNAL_H
#define AFFILIATED_INGEST_INTERNAL_H

#include <stdatomic.h>

#include "ingest/ingest.h"
#include "ingest/sealers.h"
#include "service/facts.h"
#include "service/service.h"

struct ingest_partition {
    unsigned                 number;
    char                     events[40], acks[40], consumer[40]; /* keys */
    struct tracker_stream_id cursor; /* everything up to here is decided */
    struct tracker_stream_id read; /* everything up to here was read: ahead of cursor while a batch is open */
    uint64_t                 beat;
    bool                     idle;   /* the last read found nothing past the cursor */
};

/* An entry's id is kept as Redis wrote it: XDEL wants it back. */
struct ingest_entry_id {
    unsigned    partition; /* index */
    const char *text;
    size_t      len;
};

enum ingest_refusal { REFUSED_ENTRY, REFUSED_PACK, REFUSED_KEY, REFUSED_FORGED, REFUSED_KINDS };

struct ingest {
    struct ingest_options    options;
    struct wire              wire;
    struct facts            *facts;
    struct sealers          *sealers;
    struct ingest_partition *partitions;
    uint64_t                 incarnation;
    atomic_bool              stop;
    struct service           service; /* to decide leads with */
    uint64_t                 leads;   /* committed */
    bool                     deciding; /* there may be leads that nobody has decided */
    uint64_t                 decide_at_ms;
    _Atomic uint64_t         committed, quarantined;
    _Atomic uint64_t         heard_ms; /* monotonic: of the last answer to a read, while commits go well */

    bool     welcomed; /* this connection has had its acks and checks */
    uint64_t beat_at_ms, acks_at_ms, sweep_at_ms, commit_at_ms;
    uint64_t swept_us; /* acks of journals that ended before are gone */
    unsigned commit_wait_ms;
    unsigned count;
    bool     unreadable; /* the last answer held entries, and none that could be taken */
    enum db_result failing; /* what the last commit said, for one log line a change */

    redisReply             *reply; /* owns the bytes of the batch */
    struct fact_entry      *entries;
    struct ingest_entry_id *ids;
    size_t                  batch, cap;

    struct {
        uint64_t row_at_ms;
        uint32_t since;
    } refused[REFUSED_KINDS];
};

/* ---- acks: false when Redis did not take them ---- */

/* The answers of the batch. */
bool ingest_tell(struct ingest *ingest);
/* Those of all open journals. */
bool ingest_tell_all(struct ingest *ingest);
/* Acks of journals that ended long ago go. */
bool ingest_sweep(struct ingest *ingest);

/* ---- leads ---- */

/* Decides some that wait, and tells the edges. */
void ingest_decide(struct ingest *ingest);

/* ---- cursors ---- */

/* The heartbeats, with how far was read. */
bool ingest_beat(struct ingest *ingest);
/* all: also of streams that are being read. False: Redis did not answer. */
bool ingest_check_cursors(struct ingest *ingest, bool all);
void ingest_check_eviction(struct ingest *ingest);

#endif
