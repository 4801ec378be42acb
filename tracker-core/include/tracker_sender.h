/*
 * tracker_sender.h - the edge's side of the protocol for one journal; pure.
 *
 * Fed with facts (records exist, a pack was handed to Redis, an ack came, the
 * connection broke) it says what to send next.  It has one move: go back to
 * the ack and send again.  It goes back on a reconnect, on a resend request,
 * on a new incarnation of the database (even to a lower ack), and when the
 * consumer has read past our packs (or found the stream empty) for
 * TRACKER_STALL_BEATS beats while the ack stood still.  Sending something twice is always safe.
 *
 * The shipper's loop, on each of its ticks and facts:
 *
 *     while (tracker_sender_want(s, now, &from, &max, &wait))
 *         read the journal at `from`
 *             RUN, GAP: a DATA or GAP pack; XADD; tracker_sender_sent(s, from, to, now)
 *             END:      (adopted only) tracker_sender_end_found(s, from)
 *     if (tracker_sender_want_heartbeat(s, now, &from, &wait))
 *         a HEARTBEAT pack with first = from; XADD; tracker_sender_sent(s, from, from, now)
 *
 * and every 100 ms what HMGET of the acks and GET of the consumer's heartbeat
 * gave, when it verifies: tracker_sender_ack, tracker_sender_beat.
 */
#ifndef TRACKER_SENDER_H
#define TRACKER_SENDER_H

#include "tracker_pack.h"

#define TRACKER_WINDOW       32u   /* packs in flight */
#define TRACKER_LINGER_MS    20u
#define TRACKER_STALL_BEATS  3u
#define TRACKER_IDLE_BEAT_MS 5000u /* an idle journal says so that often: its counts, and that it is alive */
#define TRACKER_PROBE_MS     1000u /* ... and that often until the consumer's present life has answered */

struct tracker_inflight {
    uint64_t                 to; /* first sequence after the pack */
    struct tracker_stream_id id; /* of the stream entry; 0-0 until the reply */
};

/* Read it freely; only the functions below write. */
struct tracker_sender {
    uint64_t acked;       /* the database has everything below; after a restore this may go down */
    uint64_t next;        /* first sequence not handed to this connection; acked <= next */
    uint64_t end;         /* first sequence that does not exist yet; UINT64_MAX: not known (adopted) */
    uint64_t incarnation; /* of the last ack; 0: none heard of */
    uint64_t life;        /* incarnation of the last heartbeat; 0: none heard of */
    uint64_t beat;        /* last heartbeat seen */
    uint64_t oldest_ms;   /* monotonic: since when records wait at next (0: for long, do not linger) */
    uint64_t sent_ms;     /* monotonic: the last pack on this connection (0: none) */
    uint32_t resend;
    uint32_t stall_beats;
    uint32_t head, count; /* ring of packs in flight */
    bool     owner;       /* the living writer's sender; false: an adopter's */
    bool     connected;
    bool     probed;      /* an ack was heard on this connection: the window is open; before, one pack */
    bool     stalled;     /* went back because nobody answered: only an ack with news opens the window */
    bool     forked;      /* for good */
    struct tracker_inflight inflight[TRACKER_WINDOW];
};

/* For the journal that this process writes; first is 1, or where to start when that is known. */
void tracker_sender_init(struct tracker_sender *s, uint64_t first);
/*
 * For an adopted journal: starts at 1 with an unknown end.  The difference
 * matters: an ack beyond the end means a clone to an owner, but to an adopter only
 * that a power loss took records which had been shipped before.
 */
void tracker_sender_init_adopted(struct tracker_sender *s);
void tracker_sender_connected(struct tracker_sender *s);
void tracker_sender_disconnected(struct tracker_sender *s);

/* Owner: records below `end` exist.  now_ms is monotonic.  Call it before want, and before ack. */
void tracker_sender_extend(struct tracker_sender *s, uint64_t end, uint64_t now_ms);
/* Adopter: reading at `end` gave TRACKER_READ_END: there is nothing there, ever. */
void tracker_sender_end_found(struct tracker_sender *s, uint64_t end);

/*
 * True: send the records from *from, at most *max_records.  False: nothing now;
 * *wait_ms is in how many milliseconds to ask again for the linger's sake (UINT64_MAX:
 * not before another fact).  Policy: up to TRACKER_PACK_RECORDS after TRACKER_LINGER_MS, at once when that
 * many wait, up to TRACKER_PACK_RECORDS_MAX when more wait.
 */
bool tracker_sender_want(const struct tracker_sender *s, uint64_t now_ms, uint64_t *from,
                         uint32_t *max_records, uint64_t *wait_ms);

/*
 * True: nothing waits, nothing is in flight, and it is time to say so with a
 * HEARTBEAT pack at *from.  On a fresh connection it is the probe, and it is what a restored
 * database learns of a journal from that it has forgotten.  False: *wait_ms as above.
 */
bool tracker_sender_want_heartbeat(const struct tracker_sender *s, uint64_t now_ms, uint64_t *from,
                                   uint64_t *wait_ms);

/* A pack (or gap) [from, to) was handed to the connection; from == s->next.  Heartbeat, close: from == to. */
void tracker_sender_sent(struct tracker_sender *s, uint64_t from, uint64_t to, uint64_t now_ms);
/* Redis named the entry whose pack ends at `to`.  Late replies, and heartbeats' own, are harmless. */
void tracker_sender_stored(struct tracker_sender *s, uint64_t to, struct tracker_stream_id id);

/* Whatever it is, look at s->acked afterwards: with REWOUND too it may have moved, either way. */
enum tracker_sender_effect {
    TRACKER_SENDER_NOTHING = 0,
    TRACKER_SENDER_PROGRESS, /* acked moved up: segments may be freed, waiters told */
    TRACKER_SENDER_REWOUND,  /* next went back to acked */
    TRACKER_SENDER_FORKED    /* another machine writes under this id: start a new journal, keep this one
                                aside; nothing is sent of it any more */
};
enum tracker_sender_effect tracker_sender_ack(struct tracker_sender *s, const struct tracker_ack *ack);
enum tracker_sender_effect tracker_sender_beat(struct tracker_sender *s,
                                               const struct tracker_heartbeat *beat);

/* Everything that exists is acked (never while an adopted journal's end is unknown). */
bool tracker_sender_idle(const struct tracker_sender *s);

#endif
