/*
 * tracker_receiver.h - the database's side of the protocol for one journal; pure.
 *
 * The journal's row (next, hash) read FOR UPDATE is the fence; this says what
 * to do with a pack against it.  A pack below `next` is cut, with its hash
 * checked through the cut; one above is refused and a resend asked for, once
 * per position.
 */
#ifndef TRACKER_RECEIVER_H
#define TRACKER_RECEIVER_H

#include "tracker_pack.h"

struct tracker_position {
    uint64_t next; /* a journal never seen starts at 1 ... */
    uint64_t hash; /* ... with tracker_chain_start(id, 1) */
};

enum tracker_receive_verdict {
    TRACKER_RECEIVE_APPLY = 0,  /* iterate the records from the cut on, then store `after` */
    TRACKER_RECEIVE_GAP,        /* record the gap [gap_from, gap_to), then store `after` */
    TRACKER_RECEIVE_NOTHING,    /* duplicate, heartbeat, close: only answer */
    TRACKER_RECEIVE_EARLY,      /* something before it is missing: ask for a resend */
    TRACKER_RECEIVE_FORKED,     /* same id, other history: quarantine */
    TRACKER_RECEIVE_BAD         /* sealed by us, yet its records do not parse: quarantine the pack */
};

struct tracker_receive {
    enum tracker_receive_verdict verdict;
    struct tracker_position      after;
    const uint8_t               *records; /* APPLY: the first record not yet in the database */
    size_t                       records_len;
    uint32_t                     count;   /* APPLY: how many */
    uint64_t                     gap_from, gap_to;
};

/* Decides; changes nothing. */
void tracker_receive(const struct tracker_position *at, const struct tracker_pack *pack,
                     struct tracker_receive *out);

/*
 * Iterates the records of a verdict APPLY.  1: *record is sound.  0: no more.
 * -1: *record's CRC does not match (its sequence is right): quarantine this one, go on.
 */
int tracker_receive_next(struct tracker_receive *receive, uint32_t salt, uint64_t *sequence,
                         struct tracker_record *record);

#endif
