/*
 * ingest.c - the loop: read, commit, ack, delete; and once a second, say that it lives.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/log.h"
#include "ingest/ingest_internal.h"

#define BLOCK_MS        200u   /* XREAD waits so long; also how soon a stop is noticed */
#define BEAT_MS         1000u
#define ACKS_MS         5000u  /* all acks of open journals are told again */
#define SWEEP_MS        60000u /* acks of journals that ended are taken away */
#define COUNT_FIRST     64u    /* entries a stream and read; adapts to their size */
#define COUNT_MAX       256u
#define REPLY_HIGH      ((size_t) 16 << 20) /* bytes of packs in one reply: read fewer */
#define REPLY_LOW       ((size_t) 2 << 20)  /* read more */
#define REFUSED_ROW_MS  1000u  /* a quarantine row a reason at most so often for what nobody vouches for */
#define COMMIT_FIRST_MS 50u    /* back-off of a commit that fails */
#define COMMIT_LAST_MS  5000u
#define READY_MS        3000u

static const char *const refusal_names[REFUSED_KINDS] = {
    [REFUSED_ENTRY] = "malformed_entry",
    [REFUSED_PACK] = "malformed_pack",
    [REFUSED_KEY] = "unknown_key",
    [REFUSED_FORGED] = "forged_pack",
};

static bool ingest_welcome(struct ingest *ingest);
static void ingest_housekeeping(struct ingest *ingest);
static bool ingest_read(struct ingest *ingest);
static void ingest_commit(struct ingest *ingest);
static void ingest_settle(struct ingest *ingest);
static void ingest_sleep_ms(unsigned ms);
static void ingest_hook(struct ingest *ingest, enum ingest_step step);

/* ---- life ---- */

static void
ingest_before_commit(void *ctx)
{
    ingest_hook(ctx, INGEST_BEFORE_COMMIT);
}

struct ingest *
ingest_new(const struct ingest_options *options)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL)
        return NULL;

    ingest->options = *options;
    ingest->count = COUNT_FIRST;
    ingest->commit_wait_ms = COMMIT_FIRST_MS;
    wire_init(&ingest->wire, options->redis, "ingest");
    ingest->facts = facts_new(options->pool, options->keys, options->now_us);
    ingest->sealers = sealers_new(options->keys);
    ingest->service = (struct service){ .pool = options->pool, .keys = options->keys, .now_us = options->now_us,
                                        .base_url = options->base_url };
    ingest->deciding = true; /* those that a predecessor left */
    ingest->partitions = calloc(options->count, sizeof(*ingest->partitions));
    if (ingest->facts == NULL || ingest->sealers == NULL || ingest->partitions == NULL) {
        ingest_free(ingest);
        return NULL;
    }
    if (options->hook != NULL)
        facts_set_hook(ingest->facts, ingest_before_commit, ingest);

    for (unsigned i = 0; i < options->count; i++) {
        struct ingest_partition *partition = &ingest->partitions[i];
        partition->number = options->first + i;
        snprintf(partition->events, sizeof(partition->events), "affiliate:events:{%u}", partition->number);
        snprintf(partition->acks, sizeof(partition->acks), "affiliate:acks:{%u}", partition->number);
        snprintf(partition->consumer, sizeof(partition->consumer), "affiliate:consumer:{%u}",
                 partition->number);
    }
    return ingest;
}

void
ingest_free(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    wire_close(&ingest->wire);
    facts_free(ingest->facts);
    sealers_free(ingest->sealers);
    freeReplyObject(ingest->reply);
    free(ingest->entries);
    free(ingest->ids);
    free(ingest->partitions);
    free(ingest);
}

void
ingest_stop(struct ingest *ingest)
{
    atomic_store(&ingest->stop, true);
}

bool
ingest_ready(const struct ingest *ingest)
{
    uint64_t heard_ms = atomic_load(&ingest->heard_ms);
    return heard_ms != 0 && wire_now_ms() - heard_ms < READY_MS;
}

void
ingest_counts(const struct ingest *ingest, uint64_t *committed, uint64_t *quarantined)
{
    *committed = atomic_load(&ingest->committed);
    *quarantined = atomic_load(&ingest->quarantined);
}

void
ingest_run(struct ingest *ingest)
{
    /* Drawn afresh at every start: a database that was copied back must not bring its old one. */
    do
        randombytes_buf(&ingest->incarnation, sizeof(ingest->incarnation));
    while (ingest->incarnation == 0);
    log_info("ingest", "partitions %u to %u, incarnation %016llx", ingest->options.first,
             ingest->options.first + ingest->options.count - 1, (unsigned long long) ingest->incarnation);

    while (!atomic_load(&ingest->stop)) {
        bool connected = wire_connect(&ingest->wire);
        if (!connected)
            ingest->welcomed = false;
        else if (!ingest->welcomed)
            ingest->welcomed = connected = ingest_welcome(ingest);

        if (connected)
            ingest_housekeeping(ingest);
        if (ingest->deciding || wire_now_ms() >= ingest->decide_at_ms)
            ingest_decide(ingest);
        if (ingest->batch > 0)
            ingest_commit(ingest);
        else if (!ingest->welcomed || !ingest_read(ingest))
            ingest_sleep_ms(wire_wait_ms(&ingest->wire, BLOCK_MS));
    }
}

/* A connection begins: look where the streams are, and tell everybody where the database is. */
static bool
ingest_welcome(struct ingest *ingest)
{
    ingest_check_eviction(ingest);
    ingest->beat_at_ms = 0;
    ingest->acks_at_ms = wire_now_ms() + ACKS_MS;
    return ingest_check_cursors(ingest, true) && ingest_tell_all(ingest);
}

static void
ingest_housekeeping(struct ingest *ingest)
{
    uint64_t now = wire_now_ms();

    if (now >= ingest->beat_at_ms) {
        ingest->beat_at_ms = now + BEAT_MS;
        ingest_check_cursors(ingest, false);
        ingest_beat(ingest);
    }
    if (now >= ingest->acks_at_ms) {
        ingest->acks_at_ms = now + ACKS_MS;
        ingest_tell_all(ingest);
    }
    if (now >= ingest->sweep_at_ms) {
        ingest->sweep_at_ms = now + SWEEP_MS;
        ingest_check_eviction(ingest);
        ingest_sweep(ingest);
    }
}

/* ---- reading ---- */

static const redisReply *
ingest_pack_field(const redisReply *fields)
{
    if (fields->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && name->len == 1 && name->str[0] == 'p'
            && value->type == REDIS_REPLY_STRING)
            return value;
    }
    return NULL;
}

/* What nobody vouches for is counted always and kept now and then: a flood of it shall not fill the disk. */
static void
ingest_refuse(struct ingest *ingest, struct fact_entry *entry, enum ingest_refusal why)
{
    uint64_t now = wire_now_ms();

    entry->refused = refusal_names[why];
    entry->refused_count = 0;
    ingest->refused[why].since++;
    if (now < ingest->refused[why].row_at_ms)
        return;
    entry->refused_count = ingest->refused[why].since;
    ingest->refused[why].since = 0;
    ingest->refused[why].row_at_ms = now + REFUSED_ROW_MS;
    log_error("ingest", "%u stream entries refused: %s", entry->refused_count, entry->refused);
}

/* Opens one entry in place. */
static void
ingest_open(struct ingest *ingest, struct fact_entry *entry, const redisReply *fields)
{
    const redisReply *value = ingest_pack_field(fields);

    memset(entry, 0, sizeof(*entry));
    if (value == NULL) {
        ingest_refuse(ingest, entry, REFUSED_ENTRY);
        return;
    }
    entry->bytes = (const uint8_t *) value->str;
    entry->len = (size_t) value->len;

    struct tracker_pack clear;
    switch (tracker_pack_peek((struct tracker_str){ value->str, entry->len }, &clear)) {
    case TRACKER_PACK_OK:
        break;
    case TRACKER_PACK_UNKNOWN_KEY:
        ingest_refuse(ingest, entry, REFUSED_KEY);
        return;
    case TRACKER_PACK_MALFORMED:
    case TRACKER_PACK_FORGED:
        ingest_refuse(ingest, entry, REFUSED_PACK);
        return;
    }

    struct tracker_sealer *sealer = sealers_get(ingest->sealers, &clear.journal, clear.key);
    if (sealer == NULL) {
        ingest_refuse(ingest, entry, REFUSED_KEY);
        return;
    }
    switch (tracker_pack_open(sealer, (uint8_t *) value->str, entry->len, &entry->pack)) {
    case TRACKER_PACK_OK:
        return;
    case TRACKER_PACK_UNKNOWN_KEY:
        ingest_refuse(ingest, entry, REFUSED_KEY);
        return;
    case TRACKER_PACK_MALFORMED:
        ingest_refuse(ingest, entry, REFUSED_PACK);
        return;
    case TRACKER_PACK_FORGED:
        ingest_refuse(ingest, entry, REFUSED_FORGED);
        return;
    }
}

static struct ingest_partition *
ingest_partition_of(struct ingest *ingest, const redisReply *name)
{
    for (unsigned i = 0; i < ingest->options.count; i++) {
        struct ingest_partition *partition = &ingest->partitions[i];
        if (name->type == REDIS_REPLY_STRING && strlen(partition->events) == (size_t) name->len
            && memcmp(partition->events, name->str, (size_t) name->len) == 0)
            return partition;
    }
    return NULL;
}

static bool
ingest_grow(struct ingest *ingest, size_t count)
{
    if (count <= ingest->cap)
        return true;
    struct fact_entry *entries = reallocarray(ingest->entries, count, sizeof(*entries));
    if (entries != NULL)
        ingest->entries = entries;
    struct ingest_entry_id *ids = reallocarray(ingest->ids, count, sizeof(*ids));
    if (ids != NULL)
        ingest->ids = ids;
    if (entries == NULL || ids == NULL)
        return false;
    ingest->cap = count;
    return true;
}

/* The entries of one stream join the batch. Returns the bytes of their packs. */
static size_t
ingest_take(struct ingest *ingest, struct ingest_partition *partition, const redisReply *list)
{
    size_t bytes = 0;

    if (list->type != REDIS_REPLY_ARRAY || !ingest_grow(ingest, ingest->batch + list->elements))
        return 0;
    for (size_t i = 0; i < list->elements; i++) {
        const redisReply        *entry = list->element[i];
        struct tracker_stream_id id;
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
            || entry->element[0]->type != REDIS_REPLY_STRING)
            continue;
        const redisReply *name = entry->element[0];
        if (!tracker_stream_id_parse((struct tracker_str){ name->str, (size_t) name->len }, &id))
            continue;

        struct fact_entry *slot = &ingest->entries[ingest->batch];
        ingest_open(ingest, slot, entry->element[1]);
        ingest->ids[ingest->batch++] =
            (struct ingest_entry_id){ .partition = (unsigned) (partition - ingest->partitions),
                                      .text = name->str,
                                      .len = (size_t) name->len };
        partition->read = id;
        bytes += slot->len;
    }
    return bytes;
}

/* False: wait before the next attempt. */
static bool
ingest_read(struct ingest *ingest)
{
    char             count[16], block[16];
    char             cursors[ingest->options.count][48];
    struct wire_args args;

    snprintf(count, sizeof(count), "%u", ingest->count);
    snprintf(block, sizeof(block), "%u", ingest->deciding ? 1 : BLOCK_MS); /* 0 were for ever */
    wire_args_init(&args);
    wire_args_text(&args, "XREAD");
    wire_args_text(&args, "COUNT");
    wire_args_text(&args, count);
    wire_args_text(&args, "BLOCK");
    wire_args_text(&args, block);
    wire_args_text(&args, "STREAMS");
    for (unsigned i = 0; i < ingest->options.count; i++)
        wire_args_text(&args, ingest->partitions[i].events);
    for (unsigned i = 0; i < ingest->options.count; i++) {
        const struct tracker_stream_id *id = &ingest->partitions[i].cursor;
        snprintf(cursors[i], sizeof(cursors[i]), "%llu-%llu", (unsigned long long) id->ms,
                 (unsigned long long) id->seq);
        wire_args_text(&args, cursors[i]);
    }
    redisReply *reply = wire_call(&ingest->wire, &args);
    wire_args_free(&args);

    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_ERROR) {
        log_error("ingest", "Redis refuses XREAD: %s", reply->str);
        freeReplyObject(reply);
        ingest_sleep_ms(BLOCK_MS);
        return true;
    }

    size_t bytes = 0;
    atomic_store(&ingest->heard_ms, wire_now_ms());
    for (unsigned i = 0; i < ingest->options.count; i++)
        ingest->partitions[i].idle = true;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *stream = reply->element[i];
        if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2)
            continue;
        struct ingest_partition *partition = ingest_partition_of(ingest, stream->element[0]);
        if (partition != NULL) {
            bytes += ingest_take(ingest, partition, stream->element[1]);
            partition->idle = false;
        }
    }

    if (bytes > REPLY_HIGH && ingest->count > 1)
        ingest->count /= 2;
    else if (bytes < REPLY_LOW && ingest->batch >= ingest->count && ingest->count < COUNT_MAX)
        ingest->count *= 2;
    bool came = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0, unreadable = came && ingest->batch == 0;
    if (unreadable && !ingest->unreadable)
        log_error("ingest", "Redis gives entries that cannot be taken: they are asked for again, slowly");
    ingest->unreadable = unreadable;
    if (ingest->batch > 0)
        ingest->reply = reply; /* the packs lie in it */
    else
        freeReplyObject(reply);
    if (unreadable) /* they are there at once: XREAD waits for nothing */
        ingest_sleep_ms(BLOCK_MS);
    return true;
}

/* ---- committing ---- */

static void
ingest_commit(struct ingest *ingest)
{
    if (wire_now_ms() < ingest->commit_at_ms) {
        ingest_sleep_ms(COMMIT_FIRST_MS);
        return;
    }

    enum db_result result = facts_commit(ingest->facts, ingest->entries, ingest->batch);
    uint64_t       committed, quarantined;
    facts_counts(ingest->facts, &committed, &quarantined);
    atomic_store(&ingest->committed, committed);
    atomic_store(&ingest->quarantined, quarantined);

    if (result == DB_OK) {
        atomic_store(&ingest->heard_ms, wire_now_ms());
        if (ingest->failing != DB_OK)
            log_info("ingest", "the database takes events again");
        ingest->failing = DB_OK;
        ingest->commit_wait_ms = COMMIT_FIRST_MS;
        ingest_hook(ingest, INGEST_AFTER_COMMIT);
        ingest->deciding |= facts_leads(ingest->facts) != ingest->leads;
        ingest->leads = facts_leads(ingest->facts);
        ingest_settle(ingest);
        return;
    }

    /* What is not committed is not acked; the edges keep it, the batch is tried again. */
    ingest_tell(ingest);
    if (ingest->failing != result)
        log_error("ingest", "the database does not take events (%s): %s",
                  result == DB_FULL      ? "the disk is full"
                  : result == DB_CORRUPT ? "it is damaged"
                                         : "it failed",
                  db_last_message());
    ingest->failing = result;
    ingest->commit_at_ms = wire_now_ms() + ingest->commit_wait_ms;
    ingest->commit_wait_ms =
        ingest->commit_wait_ms < COMMIT_LAST_MS / 2 ? ingest->commit_wait_ms * 2 : COMMIT_LAST_MS;
}

/* Every entry of the batch is decided: tell the edges, then take the entries out of the streams. */
static void
ingest_settle(struct ingest *ingest)
{
    if (ingest_tell(ingest))
        ingest_hook(ingest, INGEST_AFTER_ACK);

    /* Also where a full Redis refused the acks: this makes room.  By id: never what was not read. */
    for (unsigned p = 0; p < ingest->options.count; p++) {
        struct wire_args args;
        wire_args_init(&args);
        wire_args_text(&args, "XDEL");
        wire_args_text(&args, ingest->partitions[p].events);
        for (size_t i = 0; i < ingest->batch; i++) {
            if (ingest->ids[i].partition == p)
                wire_args_add(&args, ingest->ids[i].text, ingest->ids[i].len);
        }
        if (args.count > 2)
            wire_append(&ingest->wire, &args);
        wire_args_free(&args);
    }
    wire_drain(&ingest->wire);
    /* Where that failed: acks are told again on reconnect, entries are cut to nothing at the next start. */

    for (unsigned p = 0; p < ingest->options.count; p++)
        ingest->partitions[p].cursor = ingest->partitions[p].read;
    freeReplyObject(ingest->reply);
    ingest->reply = NULL;
    ingest->batch = 0;
}

/* ---- small things ---- */

static void
ingest_sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ ms / 1000, (long) (ms % 1000) * 1000000 }, NULL);
}

static void
ingest_hook(struct ingest *ingest, enum ingest_step step)
{
    if (ingest->options.hook != NULL)
        ingest->options.hook(ingest->options.hook_ctx, step);
}
