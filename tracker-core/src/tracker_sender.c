/*
 * tracker_sender.c - what to send next, and when to go back.
 *
 * Invariant: the ring of packs in flight covers [acked, next) without holes
 * (its first pack may begin below acked), so when it is empty acked == next.
 */
#include "tracker_sender.h"

static void go_back(struct tracker_sender *s);
static void forget_acked(struct tracker_sender *s);
static bool in_doubt(const struct tracker_sender *s);
static bool read_past(const struct tracker_inflight *pack, const struct tracker_heartbeat *beat);

void
tracker_sender_init(struct tracker_sender *s, uint64_t first)
{
    memset(s, 0, sizeof(*s));
    s->acked = s->next = s->end = first;
    s->owner = true;
}

void
tracker_sender_init_adopted(struct tracker_sender *s)
{
    memset(s, 0, sizeof(*s));
    s->acked = s->next = 1;
    s->end = UINT64_MAX;
}

/* What the last connection carried may or may not have arrived. */
void
tracker_sender_connected(struct tracker_sender *s)
{
    s->connected = true;
    s->probed = false;
    s->stalled = false;
    s->sent_ms = 0;
    go_back(s);
}

void
tracker_sender_disconnected(struct tracker_sender *s)
{
    s->connected = false;
}

void
tracker_sender_extend(struct tracker_sender *s, uint64_t end, uint64_t now_ms)
{
    if (end <= s->end)
        return;
    if (s->next >= s->end)
        s->oldest_ms = now_ms;
    s->end = end;
}

void
tracker_sender_end_found(struct tracker_sender *s, uint64_t end)
{
    s->end = end;
}

bool
tracker_sender_want(const struct tracker_sender *s, uint64_t now_ms, uint64_t *from, uint32_t *max_records,
                    uint64_t *wait_ms)
{
    uint32_t window = s->probed ? TRACKER_WINDOW : 1;
    uint64_t waiting;

    *wait_ms = UINT64_MAX;
    if (!s->connected || s->forked || s->count >= window || s->next >= s->end)
        return false;

    waiting = s->end - s->next;
    if (waiting < TRACKER_PACK_RECORDS && s->oldest_ms != 0 && now_ms < s->oldest_ms + TRACKER_LINGER_MS) {
        *wait_ms = s->oldest_ms + TRACKER_LINGER_MS - now_ms;
        return false;
    }
    *from = s->next;
    *max_records = waiting > TRACKER_PACK_RECORDS ? TRACKER_PACK_RECORDS_MAX : TRACKER_PACK_RECORDS;
    return true;
}

bool
tracker_sender_want_heartbeat(const struct tracker_sender *s, uint64_t now_ms, uint64_t *from,
                              uint64_t *wait_ms)
{
    uint64_t due_ms;

    *wait_ms = UINT64_MAX;
    if (!s->connected || s->forked || s->count > 0 || s->next < s->end)
        return false;

    due_ms = s->sent_ms + (in_doubt(s) ? TRACKER_PROBE_MS : TRACKER_IDLE_BEAT_MS);
    if (s->sent_ms != 0 && now_ms < due_ms) {
        *wait_ms = due_ms - now_ms;
        return false;
    }
    *from = s->next;
    return true;
}

void
tracker_sender_sent(struct tracker_sender *s, uint64_t from, uint64_t to, uint64_t now_ms)
{
    s->sent_ms = now_ms;
    if (to <= s->next)
        return;
    if (s->count == TRACKER_WINDOW) /* never when asked first; the last two then count as one pack */
        s->count--;
    s->inflight[(s->head + s->count) % TRACKER_WINDOW] = (struct tracker_inflight){ .to = to };
    s->count++;
    s->next = to; /* what is left at next waits since oldest_ms still: it came before this call */
    if (s->end < to)
        s->end = to;
}

void
tracker_sender_stored(struct tracker_sender *s, uint64_t to, struct tracker_stream_id id)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct tracker_inflight *pack = &s->inflight[(s->head + i) % TRACKER_WINDOW];

        if (pack->to == to) {
            pack->id = id;
            return;
        }
    }
}

/*
 * Within an incarnation `next` only rises: an ack that says neither more nor
 * "resend" is an old one, or the same one read again.  Another incarnation is
 * believed whatever it says: incarnations are random, so older and newer cannot be told apart, and a
 * stale one is put right by the next ack that is read.
 */
enum tracker_sender_effect
tracker_sender_ack(struct tracker_sender *s, const struct tracker_ack *ack)
{
    bool other_life = ack->incarnation != s->incarnation, first = s->incarnation == 0;
    bool asked = !other_life && (int32_t) (ack->resend - s->resend) > 0;
    uint64_t acked = s->acked, next = s->next;

    if (s->forked || ack->forked || (s->owner && ack->next > s->end)) {
        s->forked = true;
        return TRACKER_SENDER_FORKED;
    }
    if (!other_life && !asked && ack->next <= s->acked) {
        s->probed |= !s->stalled;
        return TRACKER_SENDER_NOTHING;
    }

    s->acked = ack->next;
    s->incarnation = ack->incarnation;
    s->resend = ack->resend;
    s->probed = true;
    s->stalled = false;
    s->stall_beats = 0;
    if (asked || (other_life && !first) || s->acked < acked)
        go_back(s);
    else
        forget_acked(s);

    if (s->next < next)
        return TRACKER_SENDER_REWOUND;
    return s->acked > acked ? TRACKER_SENDER_PROGRESS : TRACKER_SENDER_NOTHING;
}

/*
 * A consumer that has read our oldest pack and did not move the ack has lost
 * it, or something before it, or its ack.  A beat is older than what we know by up to its
 * interval, so it takes TRACKER_STALL_BEATS of them in a row to be believed.
 */
enum tracker_sender_effect
tracker_sender_beat(struct tracker_sender *s, const struct tracker_heartbeat *beat)
{
    if (beat->beat == s->beat && beat->incarnation == s->life)
        return TRACKER_SENDER_NOTHING; /* the same one, read again */
    s->beat = beat->beat;
    s->life = beat->incarnation;

    if (s->count == 0 || !read_past(&s->inflight[s->head], beat)) {
        s->stall_beats = 0;
        return TRACKER_SENDER_NOTHING;
    }
    if (++s->stall_beats < TRACKER_STALL_BEATS)
        return TRACKER_SENDER_NOTHING;

    /* One pack at a time until an ack moves: whatever swallows packs shall not swallow windows of them. */
    s->probed = false;
    s->stalled = true;
    go_back(s);
    return TRACKER_SENDER_REWOUND;
}

bool
tracker_sender_idle(const struct tracker_sender *s)
{
    return s->acked >= s->end;
}

/* The one move.  What is sent again has waited long enough: no linger. */
static void
go_back(struct tracker_sender *s)
{
    s->next = s->acked;
    s->count = 0;
    s->stall_beats = 0;
    s->oldest_ms = 0;
}

/* Also where the ack is ahead of us: an earlier connection, or an earlier owner, had sent more. */
static void
forget_acked(struct tracker_sender *s)
{
    while (s->count > 0 && s->inflight[s->head].to <= s->acked) {
        s->head = (s->head + 1) % TRACKER_WINDOW;
        s->count--;
    }
    if (s->next < s->acked)
        s->next = s->acked;
}

/* Does the consumer's present life know this journal, and we its answer? */
static bool
in_doubt(const struct tracker_sender *s)
{
    return !s->probed || (s->life != 0 && s->life != s->incarnation);
}

static bool
read_past(const struct tracker_inflight *pack, const struct tracker_heartbeat *beat)
{
    if (pack->id.ms == 0 && pack->id.seq == 0)
        return false; /* Redis has not answered yet */
    return beat->idle || pack->id.ms < beat->cursor.ms
           || (pack->id.ms == beat->cursor.ms && pack->id.seq <= beat->cursor.seq);
}
