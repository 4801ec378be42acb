/*
 * ngx_http_affiliate_ship.c - brings every held journal to the backend: sealed
 * packs out by XADD, acks and the consumer's heartbeat in by HMGET and GET.
 *
 * What to send and when to go back is decided by tracker_sender.h; this file
 * feeds it with facts and does as it says.  A full window stops XADD; requests feel
 * only the journal's quota.
 *
 * A journal may be released while replies for it are on their way, so a reply
 * finds its journal by id, never by pointer.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_RUN_BYTES  (256u << 10) /* of records in one pack: sealing it takes some 100 us */
#define NGX_HTTP_AFFILIATE_PUMP_PACKS 8            /* of one journal in one turn of the event loop */
#define NGX_HTTP_AFFILIATE_HURRY_MS   5            /* first look for the ack of a money record */

/* Goes along with an XADD. */
typedef struct {
    struct tracker_journal_id id;
    uint64_t                  to;
    enum tracker_pack_kind    kind;
} ngx_http_affiliate_letter_t;

/* Goes along with an HMGET: whose fields were asked for. */
typedef struct {
    unsigned                  partition;
    ngx_uint_t                n;
    struct tracker_journal_id ids[NGX_HTTP_AFFILIATE_HELD_MAX];
} ngx_http_affiliate_question_t;

typedef struct {
    struct tracker_heartbeat beat; /* incarnation 0: none heard */
    unsigned                 listen:1;
} ngx_http_affiliate_partition_t;

static ngx_uint_t ngx_http_affiliate_ship_journal(ngx_http_affiliate_held_t *held, uint64_t *wait_ms);
static ngx_int_t ngx_http_affiliate_ship_data(ngx_http_affiliate_held_t *held, const struct tracker_run *run);
static ngx_int_t ngx_http_affiliate_ship_gap(ngx_http_affiliate_held_t *held, const struct tracker_gap *gap);
static ngx_int_t ngx_http_affiliate_ship_empty(ngx_http_affiliate_held_t *held, enum tracker_pack_kind kind,
                                               uint64_t at);
static void ngx_http_affiliate_ship_stored(redisReply *reply, void *data);
static void ngx_http_affiliate_ship_acks(redisReply *reply, void *data);
static void ngx_http_affiliate_ship_beat(redisReply *reply, void *data);

static ngx_http_affiliate_partition_t ngx_http_affiliate_partitions[NGX_HTTP_AFFILIATE_PARTITIONS];
static ngx_event_t                    ngx_http_affiliate_hurry; /* acks of money, sooner than the tick */
static ngx_msec_t                     ngx_http_affiliate_hurry_ms;

/* ---- packs out ---- */

/* Runs when 64 records wait, when the linger is over, and after every fact. */
static void
ngx_http_affiliate_ship_pump(ngx_event_t *ev)
{
    uint64_t                   wait_ms = UINT64_MAX;
    ngx_uint_t                 more = 0;
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    ngx_http_affiliate_each_held(held, q, next) {
        if (held->writer != NULL) {
            if (held->writer->leaving) {
                continue; /* an adopter ships what is left */
            }
            held->fresh = 0;
            ngx_http_affiliate_journal_look(held);
            tracker_sender_extend(&held->sender, tracker_journal_next(held->journal), ngx_current_msec);
        }
        more |= ngx_http_affiliate_ship_journal(held, &wait_ms);
    }

    if (more) {
        ngx_post_event(ev, &ngx_posted_next_events);
    } else if (wait_ms != UINT64_MAX) {
        ngx_add_timer(ev, (ngx_msec_t) ngx_max(wait_ms, 1));
    }
}

/* Sends what the sender wants sent.  1: there is more, in the loop's next turn. */
static ngx_uint_t
ngx_http_affiliate_ship_journal(ngx_http_affiliate_held_t *held, uint64_t *wait_ms)
{
    uint64_t           from, now_ms = ngx_current_msec, wait;
    uint32_t           max_records;
    ngx_int_t          rc;
    ngx_uint_t         packs;
    struct tracker_gap gap;
    struct tracker_run run;

    if (!held->asked) {
        return 0; /* the database may have it all: its answer first */
    }
    if (held->identity->kind == TRACKER_JOURNAL_MONEY) {
        now_ms += TRACKER_LINGER_MS; /* somebody waits for the verdict: no linger */
    }

    for (packs = 0; tracker_sender_want(&held->sender, now_ms, &from, &max_records, &wait); packs++) {
        if (packs == NGX_HTTP_AFFILIATE_PUMP_PACKS) {
            return 1;
        }
        rc = NGX_OK;
        switch (tracker_journal_read(held->journal, from, max_records, NGX_HTTP_AFFILIATE_RUN_BYTES, &run,
                                     &gap))
        {
        case TRACKER_READ_RUN:
            rc = ngx_http_affiliate_ship_data(held, &run);
            break;
        case TRACKER_READ_GAP:
            rc = ngx_http_affiliate_ship_gap(held, &gap);
            break;
        case TRACKER_READ_END:
            if (held->writer != NULL || tracker_journal_failed(held->journal)) {
                return 0; /* could not be read just now: adopt_check lets it go */
            }
            tracker_sender_end_found(&held->sender, from);
            break;
        }
        if (rc != NGX_OK) {
            return 0;
        }
    }
    *wait_ms = ngx_min(*wait_ms, wait);

    /* The tick brings us back in time for the next one. */
    if (tracker_sender_want_heartbeat(&held->sender, ngx_current_msec, &from, &wait)) {
        (void) ngx_http_affiliate_ship_empty(held, TRACKER_PACK_HEARTBEAT, from);
    }
    return 0;
}

/* Seals a pack, whose kind, first, count and what belongs to them are filled in, and hands it over. */
static ngx_int_t
ngx_http_affiliate_ship_pack(ngx_http_affiliate_held_t *held, struct tracker_pack *pack)
{
    static u_char                sealed[NGX_HTTP_AFFILIATE_RUN_BYTES + TRACKER_PACK_OVERHEAD];
    char                         stream[] = "affiliate:events:{0}";
    size_t                       lens[] = { 4, sizeof(stream) - 1, 1, 1, 0 };
    const char                  *argv[] = { "XADD", stream, "*", "p", (const char *) sealed };
    struct tracker_sender       *sender = &held->sender;
    ngx_http_affiliate_letter_t *letter;

    pack->partition = held->identity->partition;
    pack->journal = held->identity->id;
    pack->journal_kind = held->identity->kind;
    pack->by_owner = held->writer != NULL;
    pack->sent_ms = ngx_http_affiliate_wall_ms();
    pack->dropped = tracker_journal_dropped(held->journal);
    pack->accepted = sender->end != UINT64_MAX ? sender->end - 1 : pack->first + pack->count - 1;
    ngx_memcpy(pack->edge, held->identity->edge, sizeof(pack->edge));

    lens[4] = tracker_pack_seal(held->sealer, pack, sealed, sizeof(sealed));
    letter = ngx_alloc(sizeof(*letter), ngx_cycle->log);
    if (lens[4] == 0 || letter == NULL) {
        ngx_free(letter);
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "affiliate: a pack of journal %*s could not be sealed",
                      (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex);
        return NGX_ERROR;
    }
    letter->id = held->identity->id;
    letter->to = pack->first + pack->count;
    letter->kind = pack->kind;
    stream[sizeof(stream) - 3] = (char) ('0' + held->identity->partition);

    if (ngx_http_affiliate_redis_command(5, argv, lens, ngx_http_affiliate_ship_stored, letter) != NGX_OK) {
        ngx_free(letter);
        return NGX_ERROR;
    }
    tracker_sender_sent(sender, pack->first, letter->to, ngx_current_msec);
    ngx_http_affiliate_count(PACKS_SENT);
    return NGX_OK;
}

static ngx_int_t
ngx_http_affiliate_ship_data(ngx_http_affiliate_held_t *held, const struct tracker_run *run)
{
    struct tracker_pack pack = { .kind = TRACKER_PACK_DATA,
                                 .first = run->first,
                                 .count = run->count,
                                 .hash_before = run->hash_before,
                                 .records = run->bytes,
                                 .records_len = run->len };

    if (ngx_http_affiliate_ship_pack(held, &pack) != NGX_OK) {
        return NGX_ERROR;
    }
    held->hash = run->hash_after;
    held->hash_at = run->first + run->count;
    ngx_http_affiliate_count_n(RECORDS_SENT, run->count);
    return NGX_OK;
}

static const char *
ngx_http_affiliate_ship_reason(enum tracker_gap_reason reason)
{
    switch (reason) {
    case TRACKER_GAP_FREED:
        return "they were freed before the database asked for them again";
    case TRACKER_GAP_HOLE:
        return "they are damaged, or a power loss took them";
    case TRACKER_GAP_MISSING:
        return "a file of it is gone";
    }
    return "unknown";
}

/*
 * Only an adopter may say that records do not exist: its writer is dead.  An
 * owner meets a gap when the database went back below what was freed: it starts a new journal,
 * and whoever adopts this one says it.
 */
static ngx_int_t
ngx_http_affiliate_ship_gap(ngx_http_affiliate_held_t *held, const struct tracker_gap *gap)
{
    struct tracker_pack pack = { .kind = TRACKER_PACK_GAP,
                                 .first = gap->from,
                                 .count = (uint32_t) (gap->to - gap->from),
                                 .reason = gap->reason };

    if (held->writer != NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "affiliate: the database asks journal %*s for records that were freed: "
                      "it goes on in a new one; "
                      "retain= of \"affiliate_journal\" must be longer than the time between two backups",
                      (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex);
        ngx_http_affiliate_journal_rotate(held);
        return NGX_DECLINED;
    }
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "affiliate: journal %*s lacks records %uL to %uL: %s; \"affiliated stats\" counts them as lost",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex, gap->from, gap->to - 1,
                  ngx_http_affiliate_ship_reason(gap->reason));
    ngx_http_affiliate_count(GAPS);
    return ngx_http_affiliate_ship_pack(held, &pack);
}

/* HEARTBEAT or CLOSE. */
static ngx_int_t
ngx_http_affiliate_ship_empty(ngx_http_affiliate_held_t *held, enum tracker_pack_kind kind, uint64_t at)
{
    struct tracker_pack pack = { .kind = kind,
                                 .first = at,
                                 .hash_before = held->hash_at == at ? held->hash : 0 };

    return ngx_http_affiliate_ship_pack(held, &pack);
}

ngx_int_t
ngx_http_affiliate_ship_close(ngx_http_affiliate_held_t *held)
{
    return ngx_http_affiliate_ship_empty(held, TRACKER_PACK_CLOSE, held->sender.next);
}

static void
ngx_http_affiliate_ship_stored(redisReply *reply, void *data)
{
    struct tracker_stream_id     id;
    ngx_http_affiliate_held_t   *held;
    ngx_http_affiliate_letter_t  letter = *(ngx_http_affiliate_letter_t *) data;

    ngx_free(data);
    if (reply == NULL) {
        return;
    }
    if (reply->type != REDIS_REPLY_STRING
        || !tracker_stream_id_parse((struct tracker_str){ reply->str, reply->len }, &id))
    {
        ngx_http_affiliate_redis_broken("its answer to XADD is no stream id");
        return;
    }
    ngx_http_affiliate_redis_good();

    held = ngx_http_affiliate_find_held(&letter.id);
    if (held == NULL) {
        return;
    }
    tracker_sender_stored(&held->sender, letter.to, id);
    if (letter.kind == TRACKER_PACK_CLOSE) {
        held->closed = 1;
    }
    if (letter.kind == TRACKER_PACK_DATA && held->identity->kind == TRACKER_JOURNAL_MONEY) {
        ngx_http_affiliate_hurry_ms = NGX_HTTP_AFFILIATE_HURRY_MS;
        if (!ngx_http_affiliate_hurry.timer_set) {
            ngx_add_timer(&ngx_http_affiliate_hurry, ngx_http_affiliate_hurry_ms);
        }
    }
}

/* ---- acks and heartbeats in ---- */

/* Is there news to expect for it before the next full round? */
static ngx_uint_t
ngx_http_affiliate_ship_expects(ngx_http_affiliate_held_t *held)
{
    return !held->asked || !held->sender.probed || held->sender.life != held->sender.incarnation
           || !tracker_sender_idle(&held->sender);
}

static void
ngx_http_affiliate_ship_ask_partition(unsigned partition, ngx_uint_t all)
{
    char                           key[] = "affiliate:acks:{0}";
    size_t                         lens[2 + NGX_HTTP_AFFILIATE_HELD_MAX] = { 5, sizeof(key) - 1 };
    const char                    *argv[2 + NGX_HTTP_AFFILIATE_HELD_MAX] = { "HMGET", key };
    ngx_queue_t                   *q, *next;
    ngx_http_affiliate_held_t     *held;
    ngx_http_affiliate_question_t  asked = { .partition = partition }, *question;

    ngx_http_affiliate_each_held(held, q, next) {
        if (held->identity->partition == partition && asked.n < NGX_HTTP_AFFILIATE_HELD_MAX
            && (all || ngx_http_affiliate_ship_expects(held)))
        {
            argv[2 + asked.n] = held->hex;
            lens[2 + asked.n] = TRACKER_JOURNAL_HEX_LEN;
            asked.ids[asked.n++] = held->identity->id;
        }
    }
    if (asked.n == 0) {
        return;
    }
    question = ngx_alloc(sizeof(*question), ngx_cycle->log);
    if (question == NULL) {
        return;
    }
    *question = asked;
    key[sizeof(key) - 3] = (char) ('0' + partition);
    if (ngx_http_affiliate_redis_command(2 + (int) asked.n, argv, lens, ngx_http_affiliate_ship_acks,
                                         question)
        != NGX_OK)
    {
        ngx_free(question);
    }
}

static void
ngx_http_affiliate_ship_ask(ngx_uint_t all)
{
    unsigned partition;

    for (partition = 0; partition < NGX_HTTP_AFFILIATE_PARTITIONS; partition++) {
        ngx_http_affiliate_ship_ask_partition(partition, all);
    }
}

static void
ngx_http_affiliate_ship_forked(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_count(JOURNALS_FORKED);
    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "affiliate: another machine writes under the id of journal %*s (a cloned state folder?): "
                  "it is set aside; never run two copies of one \"affiliate_state\" folder",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex);
    ngx_http_affiliate_adopt_forked(held);
}

static void
ngx_http_affiliate_ship_acked(ngx_http_affiliate_held_t *held, const struct tracker_ack *ack)
{
    struct tracker_sender *sender = &held->sender;
    uint64_t               before = sender->acked;
    ngx_uint_t             was_forked = sender->forked;
    ngx_uint_t             first = held->writer == NULL && sender->incarnation == 0;

    if (held->writer != NULL) {
        tracker_sender_extend(sender, tracker_journal_next(held->journal), ngx_current_msec);
    }
    switch (tracker_sender_ack(sender, ack)) {
    case TRACKER_SENDER_NOTHING:
    case TRACKER_SENDER_PROGRESS:
        break;
    case TRACKER_SENDER_REWOUND:
        ngx_http_affiliate_count(REWINDS);
        break;
    case TRACKER_SENDER_FORKED:
        if (!was_forked) {
            ngx_http_affiliate_ship_forked(held);
        }
        return;
    }
    /* What an adopter hears first is its predecessor's work. */
    if (sender->acked > before && !first) {
        ngx_http_affiliate_count_n(RECORDS_ACKED, sender->acked - before);
        ngx_http_affiliate_zone->acked_ms = (ngx_atomic_uint_t) ngx_http_affiliate_wall_ms();
    }
}

static void
ngx_http_affiliate_ship_acks(redisReply *reply, void *data)
{
    ngx_uint_t                     i;
    redisReply                    *field;
    struct tracker_ack             ack;
    ngx_http_affiliate_held_t     *held;
    ngx_http_affiliate_question_t  question = *(ngx_http_affiliate_question_t *) data;

    ngx_free(data);
    if (reply == NULL) {
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != question.n) {
        ngx_http_affiliate_redis_broken("its answer to HMGET is no list of fields");
        return;
    }
    for (i = 0; i < question.n; i++) {
        field = reply->element[i];
        held = ngx_http_affiliate_find_held(&question.ids[i]);
        if (held == NULL) {
            continue;
        }
        held->asked = 1;
        if (field->type != REDIS_REPLY_STRING) {
            continue; /* nobody has answered for this journal yet */
        }
        if (!tracker_ack_decode(ngx_http_affiliate_wire.conf->keys, &question.ids[i],
                                (struct tracker_str){ field->str, field->len }, &ack))
        {
            ngx_http_affiliate_count(ACKS_REFUSED);
            continue;
        }
        ngx_http_affiliate_ship_acked(held, &ack);
    }
    ngx_post_event(&ngx_http_affiliate_wire.pump, &ngx_posted_events);
}

static void
ngx_http_affiliate_ship_hurry(ngx_event_t *ev)
{
    ngx_http_affiliate_held_t *money = ngx_http_affiliate_wire.own[TRACKER_JOURNAL_MONEY];

    if (money == NULL || tracker_sender_idle(&money->sender)) {
        return;
    }
    ngx_http_affiliate_ship_ask_partition(money->identity->partition, 0);
    ngx_http_affiliate_hurry_ms *= 2;
    if (ngx_http_affiliate_hurry_ms < NGX_HTTP_AFFILIATE_TICK) {
        ngx_add_timer(ev, ngx_http_affiliate_hurry_ms);
    }
}

static void
ngx_http_affiliate_ship_listen_all(void)
{
    char                       key[] = "affiliate:consumer:{0}";
    size_t                     lens[] = { 3, sizeof(key) - 1 };
    unsigned                   p;
    const char                *argv[] = { "GET", key };
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        ngx_http_affiliate_ship_listen(held->identity->partition);
    }
    for (p = 0; p < NGX_HTTP_AFFILIATE_PARTITIONS; p++) {
        if (ngx_http_affiliate_partitions[p].listen) {
            key[sizeof(key) - 3] = (char) ('0' + p);
            (void) ngx_http_affiliate_redis_command(2, argv, lens, ngx_http_affiliate_ship_beat,
                                                    &ngx_http_affiliate_partitions[p]);
        }
    }
}

static void
ngx_http_affiliate_ship_beat(redisReply *reply, void *data)
{
    unsigned                        p;
    ngx_queue_t                    *q, *next;
    struct tracker_heartbeat        beat;
    ngx_http_affiliate_held_t      *held;
    ngx_http_affiliate_partition_t *partition = data;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return;
    }
    p = (unsigned) (partition - ngx_http_affiliate_partitions);
    if (!tracker_heartbeat_decode(ngx_http_affiliate_wire.conf->keys, p,
                                  (struct tracker_str){ reply->str, reply->len }, &beat))
    {
        ngx_http_affiliate_count(ACKS_REFUSED);
        return;
    }
    if (beat.beat == partition->beat.beat && beat.incarnation == partition->beat.incarnation) {
        return; /* the same one as last time: nobody has written it since */
    }
    partition->beat = beat;
    ngx_http_affiliate_wire.conf->zone->consumer_beat_ms = (ngx_atomic_uint_t) ngx_http_affiliate_wall_ms();

    ngx_http_affiliate_each_held(held, q, next) {
        if (held->identity->partition == p
            && tracker_sender_beat(&held->sender, &beat) == TRACKER_SENDER_REWOUND)
        {
            ngx_http_affiliate_count(REWINDS);
        }
    }
    ngx_post_event(&ngx_http_affiliate_wire.pump, &ngx_posted_events);
}

uint64_t
ngx_http_affiliate_ship_incarnation(unsigned partition)
{
    if (partition >= NGX_HTTP_AFFILIATE_PARTITIONS) {
        return 0;
    }
    return ngx_http_affiliate_partitions[partition].beat.incarnation;
}

void
ngx_http_affiliate_ship_listen(unsigned partition)
{
    if (partition < NGX_HTTP_AFFILIATE_PARTITIONS) {
        ngx_http_affiliate_partitions[partition].listen = 1;
    }
}

/* ---- a journal's life, a connection's, the worker's ---- */

bool
ngx_http_affiliate_ship_hold(ngx_http_affiliate_held_t *held)
{
    struct tracker_keys            *keys = ngx_http_affiliate_wire.conf->keys;
    ngx_http_affiliate_partition_t *partition;

    if (held->identity->partition >= NGX_HTTP_AFFILIATE_PARTITIONS) {
        return false;
    }
    held->sealer = tracker_sealer_new(keys, keys->current, &held->identity->id);
    if (held->sealer == NULL) {
        return false;
    }
    tracker_journal_id_format(&held->identity->id, held->hex);
    held->short_id = tracker_journal_id_short(&held->identity->id);
    if (held->writer != NULL) {
        tracker_sender_init(&held->sender, 1);
    } else {
        tracker_sender_init_adopted(&held->sender);
    }
    if (ngx_http_affiliate_redis_connected()) {
        tracker_sender_connected(&held->sender);
    }
    partition = &ngx_http_affiliate_partitions[held->identity->partition];
    if (partition->beat.incarnation != 0) {
        (void) tracker_sender_beat(&held->sender, &partition->beat);
    }
    ngx_queue_insert_tail(&ngx_http_affiliate_wire.held, &held->queue);
    ngx_http_affiliate_ship_listen(held->identity->partition);
    return true;
}

void
ngx_http_affiliate_ship_release(ngx_http_affiliate_held_t *held)
{
    ngx_queue_remove(&held->queue);
    tracker_sealer_free(held->sealer);
}

void
ngx_http_affiliate_ship_connected(void)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        held->asked = 0;
        tracker_sender_connected(&held->sender);
    }
    ngx_http_affiliate_ship_listen_all();
    ngx_http_affiliate_ship_ask(1);
}

void
ngx_http_affiliate_ship_disconnected(void)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    ngx_http_affiliate_each_held(held, q, next) {
        held->closing = held->closed;
        tracker_sender_disconnected(&held->sender);
    }
}

void
ngx_http_affiliate_ship_tick(ngx_uint_t second)
{
    ngx_http_affiliate_lag_tick(second);
    if (!ngx_http_affiliate_redis_connected()) {
        if (second) { /* syncs and spares are the pump's as well */
            ngx_post_event(&ngx_http_affiliate_wire.pump, &ngx_posted_events);
        }
        return;
    }
    ngx_http_affiliate_ship_ask(second);
    if (second) {
        ngx_http_affiliate_ship_listen_all();
        ngx_post_event(&ngx_http_affiliate_wire.pump, &ngx_posted_events); /* heartbeats may be due */
    }
}

/* All cancelable: what is not shipped stays in the journal. */
void
ngx_http_affiliate_ship_start(void)
{
    ngx_memzero(ngx_http_affiliate_partitions, sizeof(ngx_http_affiliate_partitions));
    ngx_http_affiliate_event_init(&ngx_http_affiliate_wire.pump, ngx_http_affiliate_ship_pump,
                                  &ngx_http_affiliate_wire, 1);
    ngx_http_affiliate_event_init(&ngx_http_affiliate_hurry, ngx_http_affiliate_ship_hurry,
                                  &ngx_http_affiliate_wire, 1);
}

/* The last words of this worker's own journals: best effort, nothing waits. */
void
ngx_http_affiliate_ship_stop(void)
{
    ngx_uint_t                 kind;
    ngx_http_affiliate_held_t *held;

    if (ngx_http_affiliate_redis_connected()) {
        ngx_http_affiliate_ship_pump(&ngx_http_affiliate_wire.pump);
        for (kind = 1; kind < NGX_HTTP_AFFILIATE_KINDS; kind++) {
            held = ngx_http_affiliate_wire.own[kind];
            if (held != NULL && held->sender.next == held->sender.end && !held->sender.forked) {
                (void) ngx_http_affiliate_ship_close(held);
            }
        }
        ngx_http_affiliate_redis_flush();
    }
    ngx_http_affiliate_event_clear(&ngx_http_affiliate_wire.pump);
    ngx_http_affiliate_event_clear(&ngx_http_affiliate_hurry);
}
