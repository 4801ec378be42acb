/*
 * drain.c - the sender's side of the wire for a folder whose nginx is gone.
 */
#include "ingest/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tracker_journal.h"
#include "tracker_sender.h"

#define RUN_BYTES  ((size_t) 256 << 10) /* of records in one pack */
#define TICK_MS    20u
#define PARTITIONS 64u /* as many as a configuration may have */

struct draining {
    struct tracker_journal       *journal;
    struct tracker_sealer        *sealer;
    struct tracker_sender         sender;
    char                          hex[TRACKER_JOURNAL_HEX_LEN + 1];
    uint64_t                      lost;
    uint64_t                      hash, hash_at; /* running hash before hash_at, when known */
};

/* A partition's heartbeat. Its key outlives its consumer: only one that moves comes from a living one. */
struct drain_consumer {
    uint64_t beat, incarnation; /* 0: none heard */
    bool     alive;
};

struct drain {
    const struct tracker_keys *keys;
    struct wire                wire;
    int                        dir;
    unsigned                   patience_ms;
    struct tracker_journal_id *ids;
    struct draining           *held;
    size_t                     count, cap;
    struct drain_consumer      consumers[PARTITIONS];
    struct drain_report       *report;
    char                      *error;
    size_t                     error_cap;
};

static bool drain_open(struct drain *drain, const char *path);
static bool drain_adopt_all(struct drain *drain);
static bool drain_journal(struct drain *drain, struct draining *held);
static bool drain_send(struct drain *drain, struct draining *held, bool *moved);
static bool drain_pack(struct drain *drain, struct draining *held, struct tracker_pack *pack);
static bool drain_listen(struct drain *drain, struct draining *held, bool *forked);

bool
drain_folder(const char *dir, const struct tracker_keys *keys, struct wire_address redis,
             unsigned patience_ms, struct drain_report *report, char *error, size_t cap)
{
    struct drain drain = { .keys = keys,
                           .dir = -1,
                           .patience_ms = patience_ms,
                           .report = report,
                           .error = error,
                           .error_cap = cap };
    bool ok = true;

    memset(report, 0, sizeof(*report));
    wire_init(&drain.wire, redis, "drain");
    ok = drain_open(&drain, dir) && drain_adopt_all(&drain);
    for (size_t i = 0; i < drain.count && ok; i++) {
        if (drain.held[i].journal != NULL)
            ok = drain_journal(&drain, &drain.held[i]);
    }

    for (size_t i = 0; drain.held != NULL && i < drain.count; i++) {
        tracker_sealer_free(drain.held[i].sealer);
        if (drain.held[i].journal != NULL)
            tracker_journal_close(drain.held[i].journal);
    }
    free(drain.held);
    free(drain.ids);
    wire_close(&drain.wire);
    if (drain.dir >= 0)
        close(drain.dir);
    return ok;
}

/* ---- the folder ---- */

/* Every journal once: by its first segment. */
static bool
drain_visit(void *ctx, const struct tracker_journal_file *file)
{
    struct drain *drain = ctx;

    if (file->number != 0)
        return false;
    if (drain->count == drain->cap) {
        size_t                     cap = drain->cap == 0 ? 64 : drain->cap * 2;
        struct tracker_journal_id *ids = reallocarray(drain->ids, cap, sizeof(*ids));
        if (ids == NULL)
            return true;
        drain->ids = ids;
        drain->cap = cap;
    }
    drain->ids[drain->count++] = file->id;
    return false;
}

static bool
drain_open(struct drain *drain, const char *path)
{
    int state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state < 0) {
        snprintf(drain->error, drain->error_cap, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    drain->dir = openat(state, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (drain->dir < 0)
        drain->dir = state;
    else
        close(state);

    int result = tracker_journal_scan(drain->dir, drain_visit, drain);
    if (result != 0) {
        snprintf(drain->error, drain->error_cap, "cannot read %s: %s", path, strerror(-result));
        return false;
    }
    return true;
}

/* All locks before the first pack: half a folder is not drained beside a living nginx. */
static bool
drain_adopt_all(struct drain *drain)
{
    if (drain->count == 0)
        return true;
    drain->held = calloc(drain->count, sizeof(*drain->held));
    if (drain->held == NULL) {
        snprintf(drain->error, drain->error_cap, "out of memory");
        return false;
    }

    for (size_t i = 0; i < drain->count; i++) {
        struct draining *held = &drain->held[i];
        char             mark[TRACKER_JOURNAL_HEX_LEN + sizeof(".forked")];

        tracker_journal_id_format(&drain->ids[i], held->hex);
        snprintf(mark, sizeof(mark), "%s.forked", held->hex);
        if (faccessat(drain->dir, mark, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            drain->report->skipped++;
            continue;
        }
        int result = tracker_journal_adopt(&held->journal, drain->dir, &drain->ids[i]);
        if (result == -EINVAL) {
            held->journal = NULL;
            drain->report->skipped++;
            continue;
        }
        if (result != 0) {
            held->journal = NULL;
            if (result == -EWOULDBLOCK)
                snprintf(drain->error, drain->error_cap,
                         "journal %s is in use: stop the nginx of this folder first", held->hex);
            else
                snprintf(drain->error, drain->error_cap, "cannot open journal %s: %s", held->hex,
                         strerror(-result));
            return false;
        }
        held->sealer = tracker_sealer_new(drain->keys, drain->keys->current, &drain->ids[i]);
        if (held->sealer == NULL) {
            snprintf(drain->error, drain->error_cap, "out of memory");
            return false;
        }
    }
    return true;
}

/* ---- one journal ---- */

/*
 * Acked, and by the database's present life: a restored one may lack what the ack in Redis still says, and has
 * never heard of a journal that is younger than its backup.
 */
static bool
drain_delivered(const struct drain *drain, const struct draining *held)
{
    unsigned partition = tracker_journal_identity(held->journal)->partition;

    return tracker_sender_idle(&held->sender) && held->sender.incarnation != 0
           && held->sender.incarnation == held->sender.life && partition < PARTITIONS
           && drain->consumers[partition].alive;
}

static void
drain_heard(struct drain *drain, unsigned partition, const struct tracker_heartbeat *beat)
{
    if (partition >= PARTITIONS)
        return;

    struct drain_consumer *consumer = &drain->consumers[partition];
    if (consumer->incarnation != 0
        && (consumer->beat != beat->beat || consumer->incarnation != beat->incarnation))
        consumer->alive = true;
    consumer->beat = beat->beat;
    consumer->incarnation = beat->incarnation;
}

static bool
drain_done(struct drain *drain, struct draining *held)
{
    struct tracker_pack close = {
        .kind = TRACKER_PACK_CLOSE,
        .first = held->sender.next,
        .hash_before = held->hash_at == held->sender.next ? held->hash : 0,
    };

    if (!drain_pack(drain, held, &close)) /* advisory: without it the journal is called silent, not lost */
        wire_close(&drain->wire);
    drain->report->journals++;
    drain->report->lost += held->lost;
    drain->report->records += held->sender.end - 1 - held->lost;
    return true;
}

static bool
drain_journal(struct drain *drain, struct draining *held)
{
    uint64_t moved_ms = wire_now_ms(), acked = 0;
    bool     connected = false;

    tracker_sender_init_adopted(&held->sender);
    for (;;) {
        bool moved = false, forked = false;

        if (!wire_connect(&drain->wire)) {
            if (connected)
                tracker_sender_disconnected(&held->sender);
            connected = false;
        } else {
            if (!connected)
                tracker_sender_connected(&held->sender);
            connected = drain_listen(drain, held, &forked);
            if (connected && !forked)
                connected = drain_send(drain, held, &moved);
            if (!connected)
                tracker_sender_disconnected(&held->sender);
        }

        if (forked) {
            drain->report->skipped++;
            return true;
        }
        if (connected && drain_delivered(drain, held))
            return drain_done(drain, held);
        if (moved || held->sender.acked != acked)
            moved_ms = wire_now_ms();
        acked = held->sender.acked;
        if (wire_now_ms() - moved_ms > drain->patience_ms) {
            snprintf(drain->error, drain->error_cap,
                     "nobody takes journal %s (%llu of it are acked): do Redis and affiliated run?",
                     held->hex, (unsigned long long) held->sender.acked - 1);
            return false;
        }
        if (!moved)
            nanosleep(&(struct timespec){ 0, TICK_MS * 1000000 }, NULL);
    }
}

/* What the sender wants sent. False: the connection is gone. */
static bool
drain_send(struct drain *drain, struct draining *held, bool *moved)
{
    uint64_t from, wait_ms;
    uint32_t max_records;

    while (tracker_sender_want(&held->sender, wire_now_ms(), &from, &max_records, &wait_ms)) {
        struct tracker_run  run;
        struct tracker_gap  gap;
        struct tracker_pack pack;

        switch (tracker_journal_read(held->journal, from, max_records, RUN_BYTES, &run, &gap)) {
        case TRACKER_READ_RUN:
            pack = (struct tracker_pack){
                .kind = TRACKER_PACK_DATA,
                .first = run.first,
                .count = run.count,
                .hash_before = run.hash_before,
                .records = run.bytes,
                .records_len = run.len,
            };
            held->hash = run.hash_after;
            held->hash_at = run.first + run.count;
            break;
        case TRACKER_READ_GAP:
            pack = (struct tracker_pack){
                .kind = TRACKER_PACK_GAP, .first = gap.from, .count = (uint32_t) (gap.to - gap.from),
                .reason = gap.reason,
            };
            held->lost += gap.to - gap.from;
            break;
        case TRACKER_READ_END:
            tracker_sender_end_found(&held->sender, from);
            return true;
        }
        if (!drain_pack(drain, held, &pack))
            return false;
        *moved = true;
    }

    if (tracker_sender_want_heartbeat(&held->sender, wire_now_ms(), &from, &wait_ms)) {
        struct tracker_pack beat = {
            .kind = TRACKER_PACK_HEARTBEAT,
            .first = from,
            .hash_before = held->hash_at == from ? held->hash : 0,
        };
        return drain_pack(drain, held, &beat);
    }
    return true;
}

static bool
drain_pack(struct drain *drain, struct draining *held, struct tracker_pack *pack)
{
    static uint8_t sealed[RUN_BYTES + TRACKER_PACK_OVERHEAD];
    const struct tracker_journal_identity *identity = tracker_journal_identity(held->journal);
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    pack->partition = identity->partition;
    pack->journal = identity->id;
    pack->journal_kind = identity->kind;
    memcpy(pack->edge, identity->edge, sizeof(pack->edge));
    pack->sent_ms = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
    pack->dropped = tracker_journal_dropped(held->journal);
    pack->accepted = held->sender.end != UINT64_MAX ? held->sender.end - 1 : pack->first + pack->count - 1;

    size_t len = tracker_pack_seal(held->sealer, pack, sealed, sizeof(sealed));
    if (len == 0)
        return false;
    redisReply *reply = wire_call_format(&drain->wire, "XADD affiliate:events:{%u} * p %b",
                                         (unsigned) identity->partition, sealed, len);
    if (reply == NULL)
        return false;
    struct tracker_stream_id id;
    bool stored = reply->type == REDIS_REPLY_STRING
                  && tracker_stream_id_parse((struct tracker_str){ reply->str, (size_t) reply->len }, &id);
    freeReplyObject(reply);
    if (!stored) { /* full, or read-only: later */
        wire_close(&drain->wire);
        return false;
    }
    tracker_sender_sent(&held->sender, pack->first, pack->first + pack->count, wire_now_ms());
    tracker_sender_stored(&held->sender, pack->first + pack->count, id);
    return true;
}

/* The journal's ack and the consumer's heartbeat. False: the connection is gone. */
static bool
drain_listen(struct drain *drain, struct draining *held, bool *forked)
{
    const struct tracker_journal_identity *identity = tracker_journal_identity(held->journal);
    struct tracker_ack                     ack;
    struct tracker_heartbeat               beat;

    redisReply *reply = wire_call_format(&drain->wire, "HGET affiliate:acks:{%u} %s",
                                         (unsigned) identity->partition, held->hex);
    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_STRING
        && tracker_ack_decode(drain->keys, &identity->id,
                              (struct tracker_str){ reply->str, (size_t) reply->len }, &ack))
        *forked = tracker_sender_ack(&held->sender, &ack) == TRACKER_SENDER_FORKED;
    freeReplyObject(reply);

    reply = wire_call_format(&drain->wire, "GET affiliate:consumer:{%u}", (unsigned) identity->partition);
    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_STRING
        && tracker_heartbeat_decode(drain->keys, identity->partition,
                                    (struct tracker_str){ reply->str, (size_t) reply->len }, &beat)) {
        drain_heard(drain, identity->partition, &beat);
        tracker_sender_beat(&held->sender, &beat);
    }
    freeReplyObject(reply);
    return true;
}
