/*
 * protocol_world.h - the world in which the simulator runs sender and receiver:
 * edges that die and leave journals, a Redis that may lose all it holds, a consumer that
 * is killed between any two steps, a database that is restored to an earlier day.
 *
 * One partition.  Time goes in steps of STEP_MS; a step of an edge, of Redis and of the
 * consumer takes no time.  Everything is drawn from testing_draw(), so a seed repeats a round.
 * A broken rule calls broken(): the first one is kept, the round goes on harmlessly.
 */
#ifndef PROTOCOL_WORLD_H
#define PROTOCOL_WORLD_H

#include "testing.h"

#include "tracker_receiver.h"
#include "tracker_sender.h"

enum {
    STEP_MS = 10,
    POLL_STEPS = 10, /* edges read acks and the heartbeat */
    BEAT_STEPS = 20, /* the consumer's heartbeat, with all its acks */
    HISTORIES = 20,
    RECORDS = 400,   /* of one journal at most */
    RECORD_BYTES = TRACKER_RECORD_HEADER + 8,
    PROCESSES = 5,
    HELD = 12,
    ENTRIES = 8192,
    COMMANDS = 4096,
    BACKUPS = 4,
    OLD_ACKS = 4
};

/* Mistakes that the properties must notice; see test_tracker_protocol.c. */
enum sabotage {
    SABOTAGE_NONE = 0,
    SABOTAGE_NO_DEDUPE,         /* a pack is taken at its word, not against the row */
    SABOTAGE_ACK_BEFORE_COMMIT,
    SABOTAGE_DEAF,              /* no rewind on heartbeats */
    SABOTAGE_NO_FORK_CHECK,
    SABOTAGE_SAME_LIFE          /* a restored database keeps its incarnation */
};

/* Chances of each fault in a step, in 1/10000; and what kind of round it is. */
struct profile {
    unsigned kill_edge, break_link, delay, flush, lose, duplicate, reorder, tamper, lose_acks, replay_ack;
    unsigned kill_consumer, restore, append, lazy_consumer;
    bool     free_acked; /* retention 0: what is acked is deleted at once */
    bool     power_loss; /* a killed edge loses unsynced pages */
    bool     clone;      /* a machine is copied while it runs */
    bool     copy;       /* journals are copied to other machines and adopted there as well */
    bool     real;       /* seal and open, encode and decode; else structs travel */
    bool     strict;     /* a forked row takes nothing more; else what continues its own history */
};

/* One journal on one machine's disk, and what it should be: clones of one share a row. */
struct history {
    struct tracker_journal_id id;
    unsigned row;
    uint32_t salt, segment; /* records of a segment */
    uint64_t end, freed;    /* first sequence not written; what lies below was let go on purpose */
    uint64_t value[RECORDS + 1], hash[RECORDS + 2];
    bool     gone[RECORDS + 1];
    bool     orphan, held, aside; /* nobody holds it; somebody does; forked */
    bool     twin;                /* its row has another history */
    uint8_t  bytes[RECORDS * RECORD_BYTES] __attribute__((aligned(8)));
};

struct held {
    struct history        *history;
    struct tracker_sender  sender;
    struct tracker_sealer *sealer;
};

struct process {
    bool        alive, writes; /* writes: held[0] is its own journal */
    unsigned    back_at;       /* step of its next start, or connection */
    unsigned    busy_until;    /* its connection delivers in order */
    bool        connected;
    unsigned    count;
    struct held held[HELD];
};

struct entry {
    struct tracker_stream_id id;
    struct tracker_pack      pack; /* when not real */
    uint8_t                 *bytes;
    size_t                   len;
};

/* An XADD on its way, then its reply. */
struct command {
    struct entry    entry;
    struct history *history;
    uint64_t        to;
    unsigned        due, process;
    bool            stored; /* the reply is on its way */
};

struct wire_ack {
    bool               present;
    struct tracker_ack ack;
    uint8_t            bytes[TRACKER_ACK_LEN];
};

struct redis {
    struct entry             entries[ENTRIES];
    unsigned                 count;
    struct tracker_stream_id last;
    uint64_t                 clock_ms;
    struct wire_ack          acks[HISTORIES], old[HISTORIES][OLD_ACKS];
    bool                     has_beat;
    struct tracker_heartbeat beat;
    char                     beat_text[TRACKER_HEARTBEAT_CAP];
    size_t                   beat_len;
};

struct row {
    bool     known, forked;
    uint64_t next, hash;
    uint32_t resend;
    unsigned facts, gaps;
};
/* What a transaction, and a backup, covers; facts and gaps only grow, so their counts are enough. */
struct tables {
    struct row               rows[HISTORIES];
    struct tracker_stream_id cursor;
};
struct fact { uint64_t sequence, value; };
struct gap { uint64_t from, to; };

struct consumer {
    bool                     alive;
    unsigned                 back_at, beat_at;
    uint64_t                 incarnation, beat;
    struct tracker_stream_id cursor;
    uint64_t                 asked[HISTORIES]; /* next where a resend was asked last */
    bool                     answer[HISTORIES];
    struct tracker_sealer   *sealers[HISTORIES];
};

struct world {
    struct profile             profile;
    enum sabotage              sabotage;
    unsigned                   step;
    bool                       calm; /* no faults any more */
    char                       broken[160];
    struct tracker_keys        keys;
    struct history             histories[HISTORIES];
    unsigned                   history_count, row_count;
    struct tracker_journal_id  row_id[HISTORIES];
    struct process             processes[PROCESSES];
    struct command             commands[COMMANDS];
    unsigned                   command_count;
    struct redis               redis;
    struct tables              db;
    struct fact                facts[HISTORIES][RECORDS];
    struct gap                 gaps[HISTORIES][RECORDS];
    struct tables              backups[BACKUPS];
    unsigned                   backup_count;
    struct consumer            consumer;
    struct { unsigned kills, flushes, crashes, restores, losses, rewinds, gaps, forks, calm_steps; } seen;
};

#define broken(w, ...)                                                                                       \
    do {                                                                                                     \
        if ((w)->broken[0] == '\0')                                                                          \
            snprintf((w)->broken, sizeof((w)->broken), __VA_ARGS__);                                         \
    } while (0)

static inline bool
chance(const struct world *w, unsigned in_10000)
{
    return !w->calm && in_10000 > 0 && testing_below(10000) < in_10000;
}

static inline uint64_t
world_ms(const struct world *w)
{
    return 1000 + (uint64_t) w->step * STEP_MS;
}

/* ---- journals ---- */

static inline struct history *
history_new(struct world *w)
{
    struct history *h;

    if (w->history_count == HISTORIES)
        return NULL;
    h = &w->histories[w->history_count++];
    for (size_t i = 0; i < sizeof(h->id.bytes); i++)
        h->id.bytes[i] = (uint8_t) testing_draw();
    h->row = w->row_count;
    w->row_id[w->row_count++] = h->id;
    h->salt = tracker_record_salt(&h->id);
    h->segment = 8 + (uint32_t) testing_below(56);
    h->end = 1;
    h->hash[1] = tracker_chain_start(&h->id, 1);
    h->held = true;
    return h;
}

/* The same id and past, another future.  NULL: no room. */
static inline struct history *
history_copy(struct world *w, const struct history *from)
{
    struct history *h;

    if (w->history_count == HISTORIES)
        return NULL;
    h = &w->histories[w->history_count++];
    *h = *from;
    return h;
}

static inline void
history_append(struct world *w, struct history *h)
{
    uint8_t *at = h->bytes + (h->end - 1) * RECORD_BYTES;
    uint64_t value = h->end | (uint64_t) (h - w->histories) << 32 | testing_below(1 << 16) << 48;

    if (h->end > RECORDS)
        return;
    memcpy(at + TRACKER_RECORD_HEADER, &value, sizeof(value));
    h->value[h->end] = value;
    h->hash[h->end + 1] = tracker_chain_next(h->hash[h->end],
                                             tracker_record_commit(at, h->salt, h->end, world_ms(w), 1, 8));
    h->end++;
}

/* As tracker_journal_read: runs of one segment; the hash is known from its header on, up to a hole. */
static inline enum tracker_read_verdict
history_read(const struct history *h, uint64_t from, uint32_t max, struct tracker_run *run,
             struct tracker_gap *gap)
{
    uint64_t to = from, start = (from - 1) / h->segment * h->segment + 1;

    while (to < h->end && h->gone[to])
        to++;
    if (to >= h->end && from >= h->freed)
        return TRACKER_READ_END;
    if (to >= h->end)
        to = h->freed;
    if (to > from) {
        *gap = (struct tracker_gap){ from, to, TRACKER_GAP_HOLE };
        return TRACKER_READ_GAP;
    }
    while (to < h->end && to - from < max && !h->gone[to] && (to == from || (to - 1) % h->segment != 0))
        to++;
    *run = (struct tracker_run){ .first = from,
                                 .count = (uint32_t) (to - from),
                                 .hash_before = h->hash[from],
                                 .bytes = h->bytes + (from - 1) * RECORD_BYTES,
                                 .len = (size_t) (to - from) * RECORD_BYTES };
    for (uint64_t i = start; i < from; i++) {
        if (h->gone[i])
            run->hash_before = 0;
    }
    return TRACKER_READ_RUN;
}

static inline void
history_free(struct history *h, uint64_t acked)
{
    uint64_t end = acked < h->end ? acked : h->end;

    for (uint64_t start = 1; start + h->segment <= end; start += h->segment) {
        memset(h->gone + start, true, h->segment);
        h->freed = h->freed > start + h->segment ? h->freed : start + h->segment;
    }
}

/* Pages of 8 records, those that were not synced; each is lost or not. */
static inline void
history_lose_power(struct history *h)
{
    uint64_t synced = h->end > 60 ? h->end - testing_below(60) : 1;

    for (uint64_t page = synced; page < h->end; page += 8) {
        if (testing_below(2) == 0)
            continue;
        for (uint64_t i = page; i < page + 8 && i < h->end; i++)
            h->gone[i] = true;
    }
}

/* ---- Redis ---- */

static inline void
redis_add(struct world *w, struct entry *entry)
{
    struct redis *r = &w->redis;

    if (r->count == ENTRIES) {
        broken(w, "the stream grows without bound");
        free(entry->bytes);
        return;
    }
    if (r->clock_ms > r->last.ms)
        r->last = (struct tracker_stream_id){ r->clock_ms, 0 };
    else
        r->last.seq++;
    entry->id = r->last;
    r->entries[r->count++] = *entry;
}

static inline void
redis_remove(struct redis *r, unsigned i)
{
    free(r->entries[i].bytes);
    memmove(&r->entries[i], &r->entries[i + 1], (--r->count - i) * sizeof(r->entries[0]));
}

/* A restarted Redis may have an earlier clock: entry ids then begin below the consumer's cursor. */
static inline void
redis_flush(struct world *w)
{
    struct redis *r = &w->redis;

    while (r->count > 0)
        free(r->entries[--r->count].bytes);
    r->last = (struct tracker_stream_id){ 0, 0 };
    memset(r->acks, 0, sizeof(r->acks));
    r->has_beat = false;
    if (testing_below(2) == 0)
        r->clock_ms = testing_below(r->clock_ms) + 1;
    w->seen.flushes++;
}

static inline void
redis_set_ack(struct world *w, unsigned row)
{
    const struct row *state = &w->db.rows[row];
    struct wire_ack  *field = &w->redis.acks[row];

    if (field->present)
        w->redis.old[row][testing_below(OLD_ACKS)] = *field;
    field->present = true;
    field->ack = (struct tracker_ack){ state->next, w->consumer.incarnation, state->resend, state->forked };
    if (w->profile.real)
        tracker_ack_encode(&w->keys, &w->row_id[row], &field->ack, field->bytes);
}

/* ---- the database and its consumer ---- */

static inline bool
id_after(struct tracker_stream_id a, struct tracker_stream_id b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}

/* The rule that money hangs on: a row's facts and gaps are disjoint and in order. */
static inline bool
db_is_new(const struct world *w, unsigned row, uint64_t sequence)
{
    const struct row *state = &w->db.rows[row];

    return (state->facts == 0 || sequence > w->facts[row][state->facts - 1].sequence)
           && (state->gaps == 0 || sequence >= w->gaps[row][state->gaps - 1].to);
}

static inline void
db_add_fact(struct world *w, unsigned row, uint64_t sequence, uint64_t value)
{
    if (!db_is_new(w, row, sequence))
        broken(w, "record %u/%llu committed twice", row, (unsigned long long) sequence);
    else
        w->facts[row][w->db.rows[row].facts++] = (struct fact){ sequence, value };
}

static inline void
db_add_gap(struct world *w, unsigned row, uint64_t from, uint64_t to)
{
    if (!db_is_new(w, row, from))
        broken(w, "record %u/%llu is committed, and in a gap", row, (unsigned long long) from);
    else
        w->gaps[row][w->db.rows[row].gaps++] = (struct gap){ from, to };
    w->seen.gaps++;
}

static inline void
db_apply(struct world *w, unsigned row, struct tracker_receive *receive)
{
    struct tracker_record record;
    uint64_t              sequence, value;
    uint32_t              salt = tracker_record_salt(&w->row_id[row]);
    int                   rc;

    while ((rc = tracker_receive_next(receive, salt, &sequence, &record)) != 0) {
        if (rc < 0 || record.len != sizeof(value)) {
            broken(w, "record %u/%llu came damaged", row, (unsigned long long) sequence);
            return;
        }
        memcpy(&value, record.payload, sizeof(value));
        db_add_fact(w, row, sequence, value);
    }
}

static inline void
consumer_take(struct world *w, const struct tracker_pack *pack)
{
    struct tracker_receive receive;
    unsigned               row = 0;

    while (memcmp(&w->row_id[row], &pack->journal, sizeof(pack->journal)) != 0)
        row++;
    struct row *state = &w->db.rows[row];
    if (!state->known)
        *state = (struct row){ .known = true, .next = 1, .hash = tracker_chain_start(&pack->journal, 1) };
    w->consumer.answer[row] = true;
    if (state->forked && w->profile.strict)
        return;

    struct tracker_position at = { state->next, state->hash };
    if (w->sabotage == SABOTAGE_NO_FORK_CHECK)
        at.hash = 0;
    if (w->sabotage == SABOTAGE_NO_DEDUPE && pack->kind == TRACKER_PACK_DATA && pack->first < at.next)
        at = (struct tracker_position){ pack->first, 0 };
    tracker_receive(&at, pack, &receive);
    switch (receive.verdict) {
    case TRACKER_RECEIVE_APPLY:
        db_apply(w, row, &receive);
        break;
    case TRACKER_RECEIVE_GAP:
        db_add_gap(w, row, receive.gap_from, receive.gap_to);
        break;
    case TRACKER_RECEIVE_NOTHING:
        break;
    case TRACKER_RECEIVE_EARLY:
        if (w->consumer.asked[row] != state->next)
            state->resend++;
        w->consumer.asked[row] = state->next;
        break;
    case TRACKER_RECEIVE_FORKED:
        state->forked = true;
        w->seen.forks++;
        break;
    case TRACKER_RECEIVE_BAD:
        broken(w, "a pack of row %u does not parse", row);
        break;
    }
    if (receive.verdict == TRACKER_RECEIVE_APPLY || receive.verdict == TRACKER_RECEIVE_GAP) {
        state->next = receive.after.next;
        state->hash = receive.after.hash;
    }
}

static inline void
consumer_open(struct world *w, struct entry *entry)
{
    struct tracker_pack pack;
    unsigned            row;

    if (!w->profile.real) {
        entry->pack.records = entry->bytes;
        consumer_take(w, &entry->pack);
        return;
    }
    /* A copy: the entry is read again after a crash. */
    uint8_t *bytes = (uint8_t *) testing_exact(entry->bytes, entry->len);
    if (tracker_pack_peek((struct tracker_str){ (char *) bytes, entry->len }, &pack) == TRACKER_PACK_OK) {
        for (row = 0; row < w->row_count; row++) {
            if (memcmp(&w->row_id[row], &pack.journal, sizeof(pack.journal)) == 0)
                break;
        }
        if (row < w->row_count) {
            if (w->consumer.sealers[row] == NULL)
                w->consumer.sealers[row] = tracker_sealer_new(&w->keys, pack.key, &pack.journal);
            if (tracker_pack_open(w->consumer.sealers[row], bytes, entry->len, &pack) == TRACKER_PACK_OK)
                consumer_take(w, &pack);
        }
    }
    free(bytes);
}

static inline void
consumer_die(struct world *w)
{
    w->consumer.alive = false;
    w->consumer.back_at = w->step + 1 + (unsigned) testing_below(40);
    w->seen.crashes++;
}

static inline void
consumer_start(struct world *w)
{
    struct consumer *c = &w->consumer;

    c->alive = true;
    if (w->sabotage != SABOTAGE_SAME_LIFE || c->incarnation == 0)
        c->incarnation = testing_draw() | 1;
    c->beat = 0;
    c->beat_at = w->step;
    c->cursor = w->db.cursor;
    memset(c->asked, 0, sizeof(c->asked));
    memset(c->answer, 0, sizeof(c->answer));
}

static inline void
consumer_beat(struct world *w)
{
    struct consumer *c = &w->consumer;
    struct redis    *r = &w->redis;

    for (unsigned row = 0; row < w->row_count; row++) {
        if (w->db.rows[row].known)
            redis_set_ack(w, row);
    }
    r->beat = (struct tracker_heartbeat){ .beat = ++c->beat,
                                          .incarnation = c->incarnation,
                                          .time_ms = world_ms(w),
                                          .cursor = c->cursor,
                                          .idle = r->count == 0
                                                  || !id_after(r->entries[r->count - 1].id, c->cursor) };
    r->has_beat = true;
    if (w->profile.real)
        r->beat_len = tracker_heartbeat_encode(&w->keys, 0, &r->beat, r->beat_text, sizeof(r->beat_text));
    c->beat_at = w->step + BEAT_STEPS;
}

static inline void
consumer_answer(struct world *w)
{
    for (unsigned row = 0; row < w->row_count; row++) {
        if (w->consumer.answer[row] && !chance(w, w->profile.lose_acks))
            redis_set_ack(w, row);
        w->consumer.answer[row] = false;
    }
}

/* One batch, one transaction; killed before or after its COMMIT, before or after its acks. */
static inline void
consumer_step(struct world *w)
{
    struct consumer *c = &w->consumer;
    struct redis    *r = &w->redis;
    struct tables    before = w->db;
    unsigned         batch = 1 + (unsigned) testing_below(16);

    if (!c->alive) {
        if (w->step < c->back_at)
            return;
        consumer_start(w);
    }
    if (chance(w, w->profile.lazy_consumer))
        return;
    if (id_after(c->cursor, r->last))
        c->cursor = (struct tracker_stream_id){ 0, 0 }; /* Redis was emptied */

    for (unsigned i = 0; i < r->count && batch > 0; i++) {
        if (!id_after(r->entries[i].id, c->cursor))
            continue;
        consumer_open(w, &r->entries[i]);
        c->cursor = r->entries[i].id;
        batch--;
    }
    w->db.cursor = c->cursor;

    if (w->sabotage == SABOTAGE_ACK_BEFORE_COMMIT)
        consumer_answer(w);
    if (chance(w, w->profile.kill_consumer)) {
        w->db = before;
        consumer_die(w);
        return;
    }
    if (chance(w, w->profile.kill_consumer)) {
        consumer_die(w);
        return;
    }
    consumer_answer(w);
    if (chance(w, w->profile.kill_consumer)) {
        consumer_die(w);
        return;
    }
    if (testing_below(4) == 0) {
        while (r->count > 0 && !id_after(r->entries[0].id, c->cursor))
            redis_remove(r, 0);
    }
    if (w->step >= c->beat_at)
        consumer_beat(w);
}

static inline void
db_back_up(struct world *w)
{
    if (w->backup_count < BACKUPS)
        w->backups[w->backup_count++] = w->db;
}

/* Backups younger than the one restored are of a future that no longer comes. */
static inline void
db_restore(struct world *w)
{
    if (w->backup_count == 0)
        return;
    w->backup_count = (unsigned) testing_below(w->backup_count) + 1;
    w->db = w->backups[w->backup_count - 1];
    consumer_die(w);
    w->seen.restores++;
}

#endif
