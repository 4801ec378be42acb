/*
 * tracker_receiver.h - the database's side of the protocol for one journal; pure.
 *
 * The journal's row (next, hash) read FOR UPDATE is the fence; this says what
 * to do with a pack against it.  A pack below `next` is cut, with its hash
 * checked through the cut; one above is refused and a resend asked for, once
 * per position.
 *
 * What the caller does, for every pack and whatever the verdict: in one
 * transaction the facts and `after`; when it is committed, and never before, an ack
 * (next, resend, incarnation, forked) of the journal's row.  A row that is forked
 * stays so and is answered with forked = true; whether it still takes what continues its own
 * history is the caller's choice: nothing is mixed either way.
 *
 * EARLY asks: resend += 1, when it was not yet asked for at this value of
 * next in this life of the consumer (remember in memory where it was asked last).
 * A resend that is lost again needs no second request: the sender sees its
 * packs read and the ack stand still (TRACKER_STALL_BEATS).
 */
#ifndef TRACKER_RECEIVER_H
#define TRACKER_RECEIVER_H

#include "tracker_pack.h"

struct tracker_position {
    uint64_t next; /* a journal never seen starts at 1 ... */
    uint64_t hash; /* ... with tracker_chain_start(id, 1); 0: not known (after a gap), so not compared */
};

/* To store `after`: it becomes the row's (next, hash).  With the other verdicts it is the row as it was. */
enum tracker_receive_verdict {
    TRACKER_RECEIVE_APPLY = 0, /* iterate the records from the cut on, store `after` */
    TRACKER_RECEIVE_GAP,       /* record the gap [gap_from, gap_to) and its reason, store `after` */
    TRACKER_RECEIVE_NOTHING,   /* duplicate, heartbeat, close: only answer */
    TRACKER_RECEIVE_EARLY,     /* something before it is missing: ask for a resend */
    TRACKER_RECEIVE_FORKED,    /* same id, other history: quarantine the journal */
    TRACKER_RECEIVE_BAD        /* sealed by us, yet its records do not parse: quarantine the pack's bytes as
                                  [gap_from, gap_to), store `after`: one bad pack does not stop a journal */
};

struct tracker_receive {
    enum tracker_receive_verdict verdict;
    struct tracker_position      after;
    const uint8_t               *records; /* APPLY: the first record not yet in the database */
    size_t                       records_len;
    uint32_t                     count;   /* APPLY: how many */
    uint64_t                     gap_from, gap_to; /* GAP, BAD: what of it is not yet in the database */
};

/* Decides; changes nothing.  pack came from tracker_pack_open and is of this journal. */
void tracker_receive(const struct tracker_position *at, const struct tracker_pack *pack,
                     struct tracker_receive *out);

/*
 * Iterates the records of a verdict APPLY (consumes `records`; `after` stays).
 * salt: tracker_record_salt of the journal.  1: *record is sound.  0: no more.
 * -1: *record's CRC does not match (its sequence is right): quarantine this one, go on.
 */
int tracker_receive_next(struct tracker_receive *receive, uint32_t salt, uint64_t *sequence,
                         struct tracker_record *record);

#endif
