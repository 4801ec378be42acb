/*
 * tracker_sender.h - the edge's side of the protocol for one journal; pure.
 *
 * Fed with facts (records exist, a pack was handed to Redis, an ack came, the
 * connection broke) it says what to send next.  It has one move: go back to
 * the ack and send again.  It goes back on a reconnect, on a resend request,
 * on a new incarnation of the database (even to a lower ack), and when the
 * consumer has read past our packs (or found the stream empty) for
 * TRACKER_STALL_BEATS beats while the ack stood still.  Sending something twice is always safe.
 */
#ifndef TRACKER_SENDER_H
#define TRACKER_SENDER_H

#include "tracker_pack.h"

#define TRACKER_WINDOW      32u /* packs in flight */
#define TRACKER_LINGER_MS   20u
#define TRACKER_STALL_BEATS 3u

struct tracker_inflight {
    uint64_t                 to;     /* first sequence after the pack */
    struct tracker_stream_id id;     /* of the stream entry; 0-0 until the reply */
};

struct tracker_sender {
    uint64_t acked;       /* the database has everything below */
    uint64_t next;        /* first sequence not handed to this connection */
    uint64_t end;         /* first sequence that does not exist yet */
    uint64_t incarnation; /* 0: none heard of */
    uint64_t beat;        /* last heartbeat seen */
    uint64_t oldest_ms;   /* monotonic: since when records wait at next (0: none) */
    uint32_t resend;
    uint32_t stall_beats;
    uint32_t head, count; /* ring of packs in flight */
    bool     connected;
    bool     probed;      /* an ack was heard on this connection: the window is open; before, one pack */
    struct tracker_inflight inflight[TRACKER_WINDOW];
};

/* first: where to start (1 for one's own journal). */
void tracker_sender_init(struct tracker_sender *s, uint64_t first);
void tracker_sender_connected(struct tracker_sender *s);
void tracker_sender_disconnected(struct tracker_sender *s);

/* Records below `end` exist.  now_ms is monotonic. */
void tracker_sender_extend(struct tracker_sender *s, uint64_t end, uint64_t now_ms);

/*
 * True: send the records from *from, at most *max_records.  False: nothing
 * now; *wait_ms is when to ask again for the linger's sake (UINT64_MAX: not before another fact).
 */
bool tracker_sender_want(const struct tracker_sender *s, uint64_t now_ms, uint64_t *from,
                         uint32_t *max_records, uint64_t *wait_ms);

/* A pack (or gap) [from, to) was handed to the connection; from == s->next. */
void tracker_sender_sent(struct tracker_sender *s, uint64_t from, uint64_t to, uint64_t now_ms);
/* Redis named the entry whose pack ends at `to`. */
void tracker_sender_stored(struct tracker_sender *s, uint64_t to, struct tracker_stream_id id);

enum tracker_sender_effect {
    TRACKER_SENDER_NOTHING = 0,
    TRACKER_SENDER_PROGRESS, /* acked moved up: segments may be freed, waiters told */
    TRACKER_SENDER_REWOUND,  /* next went back to acked */
    TRACKER_SENDER_FORKED    /* another machine writes under this id: start a new journal, keep this one aside */
};
enum tracker_sender_effect tracker_sender_ack(struct tracker_sender *s, const struct tracker_ack *ack);
enum tracker_sender_effect tracker_sender_beat(struct tracker_sender *s, const struct tracker_heartbeat *beat);

/* Everything that exists is acked. */
bool tracker_sender_idle(const struct tracker_sender *s);

#endif
