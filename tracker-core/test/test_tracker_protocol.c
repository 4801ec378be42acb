/*
 * Guards the promise the whole product rests on: whatever happens to edges, Redis,
 * consumer and database, every record that an edge holds is committed exactly once
 * and in order, or named in a gap; a clone never mixes two histories; and once the faults
 * stop, all this is so within CALM_STEPS.
 *
 * The seeded simulator (protocol_world.h) plays ROUNDS=n rounds from SEED=n on; a
 * broken rule prints the round's own seed, which repeats it with ROUNDS=1.
 * The same simulator is run against five deliberate mistakes, and must find each: properties that
 * cannot fail guard nothing.
 */
#include "protocol_world.h"

enum {
    STORM_STEPS = 600,
    CALM_STEPS = 1000 /* 10 s: a few heartbeats, then one window after the other */
};

/* ---- edges ---- */

static bool
add_held(struct world *w, struct process *p, struct history *h, bool owner)
{
    struct held *held = &p->held[p->count];

    if (h == NULL || p->count == HELD)
        return false;
    p->count++;
    *held = (struct held){ .history = h };
    h->held = true;
    h->orphan = false;
    if (owner)
        tracker_sender_init(&held->sender, 1);
    else
        tracker_sender_init_adopted(&held->sender);
    if (p->connected)
        tracker_sender_connected(&held->sender);
    if (w->profile.real)
        held->sealer = tracker_sealer_new(&w->keys, w->keys.current, &h->id);
    return true;
}

static void
drop_held(struct process *p, unsigned i)
{
    tracker_sealer_free(p->held[i].sealer);
    p->held[i].history->held = false;
    if (i == 0)
        p->writes = false;
    memmove(&p->held[i], &p->held[i + 1], (--p->count - i) * sizeof(p->held[0]));
}

static void
edge_start(struct world *w, struct process *p)
{
    p->alive = true;
    p->count = 0;
    p->writes = add_held(w, p, history_new(w), true);
}

/* What was on its way has reached Redis or not; no reply comes back. */
static void
edge_disconnect(struct world *w, struct process *p)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < w->command_count; i++) {
        struct command *c = &w->commands[i];

        if (&w->processes[c->process] != p)
            w->commands[kept++] = *c;
        else if (!c->stored && testing_below(2) == 0)
            redis_add(w, &c->entry);
        else if (!c->stored)
            free(c->entry.bytes);
    }
    w->command_count = kept;
    for (unsigned i = 0; i < p->count; i++)
        tracker_sender_disconnected(&p->held[i].sender);
    p->connected = false;
    p->busy_until = 0;
    p->back_at = w->step + 1 + (unsigned) testing_below(20);
}

static void
edge_kill(struct world *w, struct process *p)
{
    edge_disconnect(w, p);
    p->alive = false;
    while (p->count > 0) {
        struct history *h = p->held[p->count - 1].history;

        if (w->profile.power_loss && p->writes && p->count == 1)
            history_lose_power(h);
        h->orphan = true;
        drop_held(p, p->count - 1);
    }
    w->seen.kills++;
}

/* The machine is copied, memory and all; both go on. */
static void
edge_clone(struct world *w)
{
    struct process *from = &w->processes[testing_below(PROCESSES - 1)], *to = &w->processes[PROCESSES - 1];
    struct history *h;

    if (to->alive || !from->alive || !from->writes || from->held[0].history->twin)
        return;
    from->held[0].history->twin = true;
    h = history_copy(w, from->held[0].history);
    to->alive = to->writes = add_held(w, to, h, true);
    if (to->alive)
        to->held[0].sender = from->held[0].sender;
    to->connected = true;
    edge_disconnect(w, to);
}

/* A copy of somebody's journal folder: the copy has no lock, so another machine adopts it. */
static void
edge_copy(struct world *w)
{
    struct history *from = &w->histories[testing_below(w->history_count)], *copy;

    if (from->aside || from->end == 1)
        return;
    copy = history_copy(w, from);
    if (copy == NULL)
        return;
    copy->held = false;
    copy->orphan = true;
}

/* ---- shipping ---- */

static void
post(struct world *w, struct process *p, struct held *held, struct tracker_pack *pack, uint64_t to)
{
    struct command *c = &w->commands[w->command_count];
    uint8_t         bytes[TRACKER_PACK_OVERHEAD + RECORDS * RECORD_BYTES];

    pack->journal = held->history->id;
    pack->journal_kind = TRACKER_JOURNAL_TRAFFIC;
    pack->by_owner = held->sender.owner;
    tracker_sender_sent(&held->sender, pack->first, to, world_ms(w));
    if (w->command_count == COMMANDS) {
        broken(w, "an edge sends without bound");
        return;
    }
    w->command_count++;
    *c = (struct command){ .history = held->history, .to = to, .process = (unsigned) (p - w->processes) };
    c->entry.pack = *pack;
    if (w->profile.real) {
        c->entry.len = tracker_pack_seal(held->sealer, pack, bytes, sizeof(bytes));
        if (c->entry.len == 0)
            broken(w, "a pack could not be sealed");
        c->entry.bytes = (uint8_t *) testing_exact(bytes, c->entry.len);
    } else {
        c->entry.bytes = (uint8_t *) testing_exact(pack->records, pack->records_len);
    }
    c->due = w->step + (chance(w, w->profile.delay) ? (unsigned) testing_below(50) : 0);
    if (c->due < p->busy_until)
        c->due = p->busy_until;
    p->busy_until = c->due;
}

/* The loop that tracker_sender.h asks of a shipper. */
static void
ship(struct world *w, struct process *p, struct held *held)
{
    struct tracker_sender *s = &held->sender;
    struct tracker_pack    pack;
    struct tracker_run     run;
    struct tracker_gap     gap;
    uint64_t               from, wait;
    uint32_t               max;

    if (s->owner)
        tracker_sender_extend(s, held->history->end, world_ms(w));
    while (tracker_sender_want(s, world_ms(w), &from, &max, &wait)) {
        switch (history_read(held->history, from, max, &run, &gap)) {
        case TRACKER_READ_RUN:
            pack = (struct tracker_pack){ .kind = TRACKER_PACK_DATA,
                                          .first = from,
                                          .count = run.count,
                                          .hash_before = run.hash_before,
                                          .records = run.bytes,
                                          .records_len = run.len };
            post(w, p, held, &pack, from + run.count);
            break;
        case TRACKER_READ_GAP:
            pack = (struct tracker_pack){ .kind = TRACKER_PACK_GAP,
                                          .first = from,
                                          .count = (uint32_t) (gap.to - from),
                                          .reason = gap.reason };
            post(w, p, held, &pack, gap.to);
            break;
        case TRACKER_READ_END:
            if (s->owner)
                broken(w, "an owner is told to read past its end");
            tracker_sender_end_found(s, from);
            break;
        }
    }
    if (tracker_sender_want_heartbeat(s, world_ms(w), &from, &wait)) {
        pack = (struct tracker_pack){ .kind = TRACKER_PACK_HEARTBEAT, .first = from };
        if (s->owner)
            pack.hash_before = held->history->hash[from];
        post(w, p, held, &pack, from);
    }
}

/* What HMGET and GET give. False: the journal was set aside, and *held is another one now. */
static bool
poll_redis(struct world *w, struct process *p, struct held *held)
{
    struct redis               *r = &w->redis;
    struct history             *h = held->history;
    const struct wire_ack      *field = &r->acks[h->row];
    struct tracker_str          bytes = { (const char *) field->bytes, TRACKER_ACK_LEN };
    struct tracker_ack          ack = field->ack;
    struct tracker_heartbeat    beat = r->beat;
    enum tracker_sender_effect  effect = TRACKER_SENDER_NOTHING;

    if (field->present && w->profile.real && !tracker_ack_decode(&w->keys, &h->id, bytes, &ack))
        broken(w, "an ack does not verify");
    if (field->present)
        effect = tracker_sender_ack(&held->sender, &ack);
    if (effect == TRACKER_SENDER_FORKED) {
        if (!h->twin)
            broken(w, "row %u is called forked, and has no clone", h->row);
        h->aside = true;
        drop_held(p, (unsigned) (held - p->held));
        return false;
    }
    if (effect != TRACKER_SENDER_NOTHING && w->profile.free_acked)
        history_free(h, held->sender.acked);

    if (r->has_beat && w->profile.real
        && !tracker_heartbeat_decode(&w->keys, 0, (struct tracker_str){ r->beat_text, r->beat_len }, &beat))
        broken(w, "a heartbeat does not verify");
    if (r->has_beat && w->sabotage != SABOTAGE_DEAF
        && tracker_sender_beat(&held->sender, &beat) == TRACKER_SENDER_REWOUND)
        w->seen.rewinds++;
    return true;
}

static void
edge_step(struct world *w, struct process *p)
{
    unsigned number = (unsigned) (p - w->processes);

    if (!p->alive) {
        if (number == PROCESSES - 1 || w->step < p->back_at)
            return;
        edge_start(w, p);
    }
    if (chance(w, w->profile.kill_edge)) {
        edge_kill(w, p);
        return;
    }
    if (p->connected && chance(w, w->profile.break_link)) {
        edge_disconnect(w, p);
    } else if (!p->connected && w->step >= p->back_at) {
        p->connected = true;
        for (unsigned i = 0; i < p->count; i++)
            tracker_sender_connected(&p->held[i].sender);
    }
    if (p->writes) {
        for (uint64_t n = chance(w, w->profile.append) ? testing_below(30) : 0; n > 0; n--)
            history_append(w, p->held[0].history);
    }
    for (unsigned i = 0; i < w->history_count; i++) {
        if (w->histories[i].orphan && !w->histories[i].aside && testing_below(20) == 0)
            add_held(w, p, &w->histories[i], false);
    }
    for (unsigned i = 0; i < p->count; i++)
        ship(w, p, &p->held[i]);
    if (p->connected && (w->step + number) % POLL_STEPS == 0) {
        for (unsigned i = 0; i < p->count;)
            i += poll_redis(w, p, &p->held[i]);
    }
    if (!p->writes && p->count < HELD && !w->calm && !w->profile.clone) {
        struct history *h = history_new(w); /* as a worker does whose journal was forked */
        if (h != NULL)
            h->orphan = true, h->held = false;
    }
}

/* ---- Redis, and what befalls it ---- */

static void
deliver(struct world *w)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < w->command_count; i++) {
        struct command *c = &w->commands[i];
        struct process *p = &w->processes[c->process];

        if (w->step >= c->due && c->stored) {
            for (unsigned k = 0; k < p->count; k++) {
                if (p->held[k].history == c->history)
                    tracker_sender_stored(&p->held[k].sender, c->to, c->entry.id);
            }
            continue;
        }
        if (w->step >= c->due) {
            redis_add(w, &c->entry);
            c->stored = true;
            c->due = w->step + 1 + (chance(w, w->profile.delay) ? (unsigned) testing_below(30) : 0);
        }
        w->commands[kept++] = *c;
    }
    w->command_count = kept;
}

static void
befall(struct world *w)
{
    const struct profile *profile = &w->profile;
    struct redis         *r = &w->redis;
    struct entry          entry;

    if (chance(w, profile->flush))
        redis_flush(w);
    if (r->count > 0 && chance(w, profile->lose)) {
        redis_remove(r, testing_below(2) == 0 ? r->count - 1 : (unsigned) testing_below(r->count));
        w->seen.losses++;
    }
    if (r->count > 0 && chance(w, profile->tamper)) {
        unsigned i = (unsigned) testing_below(r->count);
        if (profile->real)
            r->entries[i].bytes[testing_below(r->entries[i].len)] ^= (uint8_t) (1u << testing_below(8));
        else
            redis_remove(r, i);
    }
    if (r->count > 0 && chance(w, profile->duplicate)) {
        entry = r->entries[testing_below(r->count)];
        entry.bytes = (uint8_t *) testing_exact(entry.bytes,
                                                profile->real ? entry.len : entry.pack.records_len);
        redis_add(w, &entry);
    }
    if (r->count > 1 && chance(w, profile->reorder)) {
        struct entry *a = &r->entries[testing_below(r->count)], *b = &r->entries[testing_below(r->count)];
        struct tracker_stream_id a_id = a->id, b_id = b->id;

        entry = *a, *a = *b, *b = entry;
        a->id = a_id, b->id = b_id;
    }
    if (chance(w, profile->replay_ack)) {
        unsigned row = (unsigned) testing_below(w->row_count), old = (unsigned) testing_below(OLD_ACKS);
        if (r->old[row][old].present)
            r->acks[row] = r->old[row][old];
    }
    if (profile->restore > 0 && chance(w, 100))
        db_back_up(w);
    if (chance(w, profile->restore))
        db_restore(w);
    if (profile->clone && chance(w, 100))
        edge_clone(w);
    if (profile->copy && chance(w, 50))
        edge_copy(w);
}

static void
world_step(struct world *w)
{
    w->step++;
    w->redis.clock_ms += STEP_MS;
    befall(w);
    for (unsigned i = 0; i < PROCESSES; i++)
        edge_step(w, &w->processes[i]);
    deliver(w);
    consumer_step(w);
}

/* ---- what must hold ---- */

/* All that the row holds is of this one history. */
static bool
facts_are_of(const struct world *w, const struct history *h)
{
    for (unsigned i = 0; i < w->db.rows[h->row].facts; i++) {
        struct fact fact = w->facts[h->row][i];

        if (fact.sequence >= h->end || h->value[fact.sequence] != fact.value)
            return false;
    }
    return true;
}

/* Always: a row follows one history of its journal. */
static void
check_facts(struct world *w)
{
    for (unsigned row = 0; row < w->row_count; row++) {
        bool found = w->db.rows[row].facts == 0;

        for (unsigned i = 0; i < w->history_count && !found; i++)
            found = w->histories[i].row == row && facts_are_of(w, &w->histories[i]);
        if (!found)
            broken(w, "row %u holds what no journal holds", row);
    }
}

/* In the end: NULL, or what is missing still. */
static const char *
missing_of(struct world *w, const struct history *h)
{
    const struct row *state = &w->db.rows[h->row];
    bool              whole = true;
    unsigned          f = 0, g = 0;

    for (uint64_t i = 1; i < h->end; i++) {
        while (f < state->facts && w->facts[h->row][f].sequence < i)
            f++;
        while (g < state->gaps && w->gaps[h->row][g].to <= i)
            g++;
        bool fact = f < state->facts && w->facts[h->row][f].sequence == i;
        bool gap = g < state->gaps && w->gaps[h->row][g].from <= i;

        whole &= fact;
        if (!fact && !h->gone[i])
            return gap ? "a record that exists is in a gap" : "a record is not committed";
        if (!fact && !gap && i < state->next)
            return "a loss is not named";
        if (gap && !w->profile.power_loss && (w->profile.restore == 0 || !w->profile.free_acked))
            return "a gap without a reason";
        if (!fact && !gap && !w->profile.power_loss)
            return "a record was freed before it was committed";
    }
    if (whole && state->next == h->end && h->end > 1 && state->hash != h->hash[h->end])
        return "the hashes differ";
    return NULL;
}

static const char *
twin_missing(const struct world *w, const struct history *h)
{
    if (w->db.rows[h->row].forked || h->aside || facts_are_of(w, h))
        return NULL;
    /* A dead clone's adopter cannot know that what the row has below its end is another's. */
    return h->held && w->profile.kill_edge == 0 ? "a clone goes unnoticed" : NULL;
}

static const char *
unsettled(struct world *w)
{
    const char *why;

    for (unsigned i = 0; i < w->history_count; i++) {
        const struct history *h = &w->histories[i];

        if (h->orphan && !h->aside)
            return "a journal is not adopted";
        why = h->twin ? twin_missing(w, h) : missing_of(w, h);
        if (why != NULL)
            return why;
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        for (unsigned k = 0; k < w->processes[i].count; k++) {
            if (!tracker_sender_idle(&w->processes[i].held[k].sender))
                return "a sender does not know that it is done";
        }
    }
    return NULL;
}

/* ---- rounds ---- */

/* Each fault: absent in half of the rounds, else from rare to wild. */
static unsigned
draw_chance(unsigned wild)
{
    return testing_below(2) == 0 ? 0 : 1 + (unsigned) testing_below(2u << testing_below(7)) * wild / 128;
}

static void
profile_draw(struct profile *p)
{
    *p = (struct profile){
        .kill_edge = draw_chance(100),
        .break_link = draw_chance(300),
        .delay = draw_chance(5000),
        .flush = draw_chance(200),
        .lose = draw_chance(5000),
        .duplicate = draw_chance(2000),
        .reorder = draw_chance(2000),
        .tamper = draw_chance(500),
        .lose_acks = draw_chance(5000),
        .replay_ack = draw_chance(500),
        .kill_consumer = draw_chance(500),
        .restore = draw_chance(100),
        .append = 100 + (unsigned) testing_below(1000),
        .lazy_consumer = (unsigned) testing_below(9900),
        .free_acked = testing_below(2) == 0,
        .power_loss = testing_below(4) == 0,
        .clone = testing_below(6) == 0,
        .copy = testing_below(6) == 0,
        .real = testing_below(4) == 0,
        .strict = testing_below(2) == 0,
    };
    if (p->clone || p->copy) { /* otherwise one copy's damage is the other's gap, as it should be */
        p->power_loss = p->free_acked = false;
        p->copy = !p->clone;
    }
}

static void
world_free(struct world *w)
{
    while (w->redis.count > 0)
        free(w->redis.entries[--w->redis.count].bytes);
    for (unsigned i = 0; i < w->command_count; i++) {
        if (!w->commands[i].stored)
            free(w->commands[i].entry.bytes);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        while (w->processes[i].count > 0)
            drop_held(&w->processes[i], w->processes[i].count - 1);
    }
    for (unsigned i = 0; i < HISTORIES; i++)
        tracker_sealer_free(w->consumer.sealers[i]);
}

/* Storm, then calm. w->broken says what went wrong, if anything did. */
static void
play(struct world *w, uint64_t seed, enum sabotage sabotage)
{
    const char *why = NULL;

    memset(w, 0, sizeof(*w));
    testing_state = seed;
    testing_keys(&w->keys);
    profile_draw(&w->profile);
    w->sabotage = sabotage;
    w->redis.clock_ms = 100000;
    for (unsigned i = 0; i < PROCESSES - 1; i++)
        edge_start(w, &w->processes[i]);

    while (w->step < STORM_STEPS && w->broken[0] == '\0') {
        world_step(w);
        check_facts(w);
    }
    w->calm = true;
    while (w->broken[0] == '\0' && w->seen.calm_steps < CALM_STEPS) {
        world_step(w);
        w->seen.calm_steps++;
        if (w->step % 10 == 0) {
            check_facts(w);
            why = unsettled(w);
            if (why == NULL)
                break;
        }
    }
    if (why != NULL)
        broken(w, "after %u calm steps %s", w->seen.calm_steps, why);
    world_free(w);
}

static uint64_t
from_environment(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);

    return given != NULL ? strtoull(given, NULL, 0) : otherwise;
}

static void
test_storms_then_calm(void **state)
{
    struct world *w = malloc(sizeof(*w));
    uint64_t      seed = from_environment("SEED", 1), rounds = from_environment("ROUNDS", 1000);
    unsigned      kills = 0, flushes = 0, crashes = 0, restores = 0, losses = 0, rewinds = 0, gaps = 0;
    unsigned      forks = 0, longest = 0, facts = 0;

    (void) state;
    assert_non_null(w);
    print_message("# SEED=%llu ROUNDS=%llu\n", (unsigned long long) seed, (unsigned long long) rounds);
    for (uint64_t i = 0; i < rounds; i++) {
        play(w, seed + i, SABOTAGE_NONE);
        if (w->broken[0] != '\0') {
            print_message("# SEED=%llu ROUNDS=1: %s\n", (unsigned long long) (seed + i), w->broken);
            free(w);
            fail();
        }
        kills += w->seen.kills, flushes += w->seen.flushes, crashes += w->seen.crashes;
        restores += w->seen.restores, losses += w->seen.losses, rewinds += w->seen.rewinds;
        gaps += w->seen.gaps, forks += w->seen.forks;
        longest = w->seen.calm_steps > longest ? w->seen.calm_steps : longest;
        for (unsigned row = 0; row < w->row_count; row++)
            facts += w->db.rows[row].facts;
    }
    print_message("# %u records; edges killed %u, consumers %u; %u flushes, %u packs lost, %u restores\n",
                  facts, kills, crashes, flushes, losses, restores);
    print_message("# %u rewinds by heartbeat, %u gaps, %u forks; calm after at most %u steps of %u ms\n",
                  rewinds, gaps, forks, longest, STEP_MS);
    free(w);
    if (rounds >= 1000) /* the faults did bite */
        assert_true(kills > 0 && flushes > 0 && crashes > 0 && restores > 0 && losses > 0 && rewinds > 0
                    && gaps > 0 && forks > 0);
}

/* Plays until the mistake shows. */
static void
finds(enum sabotage sabotage, const char *name)
{
    struct world *w = malloc(sizeof(*w));
    uint64_t      seed;

    assert_non_null(w);
    for (seed = 1; seed < 5000; seed++) {
        play(w, seed, sabotage);
        if (w->broken[0] != '\0')
            break;
    }
    print_message("# %s: seed %llu: %s\n", name, (unsigned long long) seed,
                  w->broken[0] != '\0' ? w->broken : "not found");
    bool found = w->broken[0] != '\0';
    free(w);
    assert_true(found);
}

static void
test_finds_missing_dedupe(void **state)
{
    (void) state;
    finds(SABOTAGE_NO_DEDUPE, "no dedupe");
}

static void
test_finds_ack_before_commit(void **state)
{
    (void) state;
    finds(SABOTAGE_ACK_BEFORE_COMMIT, "ack before commit");
}

static void
test_finds_deaf_sender(void **state)
{
    (void) state;
    finds(SABOTAGE_DEAF, "no rewind on heartbeats");
}

static void
test_finds_missing_fork_check(void **state)
{
    (void) state;
    finds(SABOTAGE_NO_FORK_CHECK, "no fork check");
}

static void
test_finds_kept_incarnation(void **state)
{
    (void) state;
    finds(SABOTAGE_SAME_LIFE, "a restored database keeps its incarnation");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storms_then_calm),
        cmocka_unit_test(test_finds_missing_dedupe),
        cmocka_unit_test(test_finds_ack_before_commit),
        cmocka_unit_test(test_finds_deaf_sender),
        cmocka_unit_test(test_finds_missing_fork_check),
        cmocka_unit_test(test_finds_kept_incarnation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
