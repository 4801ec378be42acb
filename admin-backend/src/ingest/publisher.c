/*
 * publisher.c - watches the configuration's version and Redis's memory of it.
 */
#include "ingest/publisher.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/log.h"
#include "service/snapshot.h"

#define POLL_MS       200u
#define LOOK_MS       1000u              /* all chunks are looked for this often, the hash at every poll */
#define BASE_EVERY_MS 3600000u
#define CHUNK         ((size_t) 1 << 20)
#define FILE_MAX      ((size_t) 256 << 20) /* beyond it, edges fetch nothing from Redis */
#define RETRY_FIRST_MS 200u              /* back-off of what Redis does not take */
#define RETRY_LAST_MS  5000u
#define KEEP_S        60                 /* old chunks: an edge may be in the middle of them */
#define DELTA_ALWAYS  1000u              /* rows that are never a reason for a new base */
#define HASH_HEX      (2 * TRACKER_SNAPSHOT_HASH_LEN)

struct publisher {
    struct publisher_options options;
    struct wire              wire;
    pthread_mutex_t          lock;
    pthread_cond_t           woken;
    bool                     wake, stop;

    struct detection detection;
    bool             relisted; /* a list has changed since the base */
    struct snapshot base, delta; /* delta.bytes NULL: none */
    uint64_t        base_at_ms;
    bool            published;   /* what is held is in Redis, as far as we know */
    atomic_bool     ready;       /* it was after the last step: on its way to the next one nobody is unready */
    bool            base_put;    /* the base's chunks are: a delta needs not look for them */
    uint64_t        look_at_ms;
    uint64_t        put_at_ms;   /* not before: Redis refused */
    unsigned        put_wait_ms;
    bool            failing;     /* the database did not answer: said once */
};

/* One of the two files, as the hash names it; empty strings: none. */
struct offer {
    char hash[HASH_HEX + 1];
    char size[24];
    char chunks[24];
};

static void publisher_step(struct publisher *publisher);
static bool publisher_build(struct publisher *publisher);
static bool publisher_stands(struct publisher *publisher);
static void publisher_try(struct publisher *publisher);
static bool publisher_too_large(const struct publisher *publisher);
static bool publisher_put(struct publisher *publisher);
static bool publisher_put_chunks(struct publisher *publisher, const struct snapshot *file);
static bool publisher_expire(struct publisher *publisher, const struct offer *old);
static void offer_of(const struct snapshot *file, struct offer *offer);

struct publisher *
publisher_new(const struct publisher_options *options)
{
    struct publisher *publisher = calloc(1, sizeof(*publisher));
    if (publisher == NULL)
        return NULL;

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&publisher->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&publisher->lock, NULL);
    publisher->options = *options;
    publisher->put_wait_ms = RETRY_FIRST_MS;
    wire_init(&publisher->wire, options->redis, "publisher");
    if (!detection_init(&publisher->detection, options->agents_path, options->datacentres_path)) {
        publisher_free(publisher);
        return NULL;
    }
    return publisher;
}

void
publisher_free(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    wire_close(&publisher->wire);
    detection_clear(&publisher->detection);
    snapshot_clear(&publisher->base);
    snapshot_clear(&publisher->delta);
    pthread_cond_destroy(&publisher->woken);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}

static void
publisher_signal(struct publisher *publisher, bool *flag)
{
    pthread_mutex_lock(&publisher->lock);
    *flag = true;
    pthread_cond_signal(&publisher->woken);
    pthread_mutex_unlock(&publisher->lock);
}

void
publisher_stop(struct publisher *publisher)
{
    publisher_signal(publisher, &publisher->stop);
}

bool
publisher_ready(const struct publisher *publisher)
{
    return atomic_load(&publisher->ready);
}

void
publisher_wake(void *publisher)
{
    struct publisher *self = publisher;
    publisher_signal(self, &self->wake);
}

/* False: it is time to end. */
static bool
publisher_wait(struct publisher *publisher)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;

    pthread_mutex_lock(&publisher->lock);
    int timed_out = 0;
    while (!publisher->wake && !publisher->stop && timed_out == 0)
        timed_out = pthread_cond_timedwait(&publisher->woken, &publisher->lock, &until);
    publisher->wake = false;
    bool go_on = !publisher->stop;
    pthread_mutex_unlock(&publisher->lock);
    return go_on;
}

void
publisher_run(struct publisher *publisher)
{
    do {
        publisher_step(publisher);
        atomic_store(&publisher->ready, publisher->published);
    } while (publisher_wait(publisher));
}

static void
publisher_step(struct publisher *publisher)
{
    if (publisher_build(publisher))
        publisher->published = false;
    if (publisher->base.bytes == NULL || !wire_connect(&publisher->wire))
        return;
    if (publisher->published && publisher_stands(publisher))
        return;
    if (publisher->published) /* it was, and is no more */
        publisher->base_put = false;
    publisher_try(publisher);
}

/* What no Redis shall carry is not offered; what this one refuses, not at every blink. */
static void
publisher_try(struct publisher *publisher)
{
    uint64_t now = wire_now_ms();

    publisher->published = false;
    if (publisher_too_large(publisher) || now < publisher->put_at_ms)
        return;
    publisher->published = publisher_put(publisher);
    if (publisher->published) {
        publisher->put_wait_ms = RETRY_FIRST_MS;
        return;
    }
    publisher->put_at_ms = now + publisher->put_wait_ms;
    publisher->put_wait_ms = publisher->put_wait_ms < RETRY_LAST_MS / 2 ? publisher->put_wait_ms * 2 : RETRY_LAST_MS;
}

/* ---- building ---- */

static size_t
publisher_file_max(const struct publisher *publisher)
{
    return publisher->options.file_max != 0 ? publisher->options.file_max : FILE_MAX;
}

static void
publisher_replace(struct snapshot *place, struct snapshot *file)
{
    snapshot_clear(place);
    *place = *file;
}

static bool
publisher_build_base(struct publisher *publisher)
{
    struct snapshot file;
    uint64_t        begin = wire_now_ms();

    if (!snapshot_make(publisher->options.pool, publisher->options.keys, publisher->options.now_us() / 1000,
                       NULL, &publisher->detection, &file))
        return false;
    log_info("publisher", "base of version %llu: %u rows, %zu bytes, %llu ms",
             (unsigned long long) file.version, file.rows, file.len,
             (unsigned long long) (wire_now_ms() - begin));
    if (file.len > publisher_file_max(publisher))
        log_error("publisher", "the snapshot is larger than Redis should carry (%zu bytes): edges keep the last one; "
                               "give them a file of `affiliated snapshot`", file.len);
    publisher_replace(&publisher->base, &file);
    publisher->base_put = publisher->relisted = false;
    snapshot_clear(&publisher->delta);
    publisher->base_at_ms = begin;
    return true;
}

static bool
publisher_too_large(const struct publisher *publisher)
{
    size_t max = publisher_file_max(publisher);

    return publisher->base.len > max || publisher->delta.len > max;
}

/* True: there is something new to publish. */
static bool
publisher_build(struct publisher *publisher)
{
    uint64_t version;

    if (!snapshot_current(publisher->options.pool, &version)) {
        if (!publisher->failing)
            log_error("publisher", "cannot read the configuration: %s", db_last_message());
        publisher->failing = true;
        return false;
    }
    publisher->failing = false;

    const struct snapshot *base = &publisher->base,
                          *newest = publisher->delta.bytes != NULL ? &publisher->delta : base;
    publisher->relisted |= detection_refresh(&publisher->detection);
    if (base->bytes == NULL || publisher->relisted || wire_now_ms() - publisher->base_at_ms > BASE_EVERY_MS)
        return publisher_build_base(publisher);
    if (newest->version == version)
        return false;
    if (version < base->version) /* another database: a backup was put back */
        return publisher_build_base(publisher);

    struct snapshot delta;
    if (!snapshot_make(publisher->options.pool, publisher->options.keys, publisher->options.now_us() / 1000,
                       base, &publisher->detection, &delta))
        return false;
    if (delta.rows > DELTA_ALWAYS && delta.rows > base->rows / 100) {
        snapshot_clear(&delta);
        return publisher_build_base(publisher);
    }
    log_debug("publisher", "delta of version %llu: %u rows", (unsigned long long) delta.version, delta.rows);
    publisher_replace(&publisher->delta, &delta);
    return true;
}

/* ---- Redis ---- */

static void
offer_of(const struct snapshot *file, struct offer *offer)
{
    memset(offer, 0, sizeof(*offer));
    if (file->bytes == NULL)
        return;
    sodium_bin2hex(offer->hash, sizeof(offer->hash), file->hash, sizeof(file->hash));
    snprintf(offer->size, sizeof(offer->size), "%zu", file->len);
    snprintf(offer->chunks, sizeof(offer->chunks), "%zu", (file->len + CHUNK - 1) / CHUNK);
}

/* Field i and i + 1 of a list of strings; false: not there, or not what we write. */
static bool
offer_read(const redisReply *reply, size_t i, struct offer *offer)
{
    memset(offer, 0, sizeof(*offer));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < i + 2)
        return false;
    const redisReply *hash = reply->element[i], *chunks = reply->element[i + 1];
    if (hash->type != REDIS_REPLY_STRING || chunks->type != REDIS_REPLY_STRING || hash->len != HASH_HEX
        || chunks->len < 1 || chunks->len > 3 || strspn(hash->str, "0123456789abcdef") != HASH_HEX
        || strspn(chunks->str, "0123456789") != (size_t) chunks->len)
        return false;
    memcpy(offer->hash, hash->str, HASH_HEX);
    memcpy(offer->chunks, chunks->str, (size_t) chunks->len);
    return true;
}

/* Does Redis still have what we put there?  The hash at every call, the chunks once a second. */
static bool
publisher_stands(struct publisher *publisher)
{
    struct offer base, delta;
    char         version[24];
    uint64_t     newest = publisher->delta.bytes != NULL ? publisher->delta.version : publisher->base.version;

    redisReply *reply =
        wire_call_format(&publisher->wire, "HMGET affiliate:snapshot base_hash delta_hash version");
    if (reply == NULL)
        return false;
    offer_of(&publisher->base, &base);
    offer_of(&publisher->delta, &delta);
    snprintf(version, sizeof(version), "%llu", (unsigned long long) newest);
    const char *expected[] = { base.hash, delta.hash, version };
    bool        stands = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    for (size_t i = 0; i < 3 && stands; i++)
        stands =
            reply->element[i]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, expected[i]) == 0;
    freeReplyObject(reply);

    if (!stands || wire_now_ms() < publisher->look_at_ms)
        goto done;
    publisher->look_at_ms = wire_now_ms() + LOOK_MS;
    for (int which = 0; which < 2 && stands; which++) {
        const struct offer *offer = which == 0 ? &base : &delta;
        unsigned long       chunks = strtoul(offer->chunks, NULL, 10);
        for (unsigned long n = 0; n < chunks && stands; n++)
            stands = wire_append_format(&publisher->wire, "EXISTS affiliate:snapshot:%s:%lu", offer->hash, n);
        for (unsigned long n = 0; n < chunks && stands; n++) {
            void *answer = NULL;
            stands = redisGetReply(publisher->wire.redis, &answer) == REDIS_OK
                     && ((redisReply *) answer)->type == REDIS_REPLY_INTEGER
                     && ((redisReply *) answer)->integer == 1;
            freeReplyObject(answer);
            publisher->wire.awaited--;
        }
    }
    if (!stands)
        wire_close(&publisher->wire); /* replies may be under way that nobody will read */

done:
    if (!stands)
        log_warn("publisher", "Redis does not have the snapshot any more: publishing it again");
    return stands;
}

/* Chunks first, then the hash that names them, at once; what the old one named goes in a while. */
static bool
publisher_put(struct publisher *publisher)
{
    struct offer base, delta, old_base, old_delta;
    uint64_t     newest = publisher->delta.bytes != NULL ? publisher->delta.version : publisher->base.version;

    if (!wire_connect(&publisher->wire))
        return false;
    redisReply *reply = wire_call_format(
        &publisher->wire, "HMGET affiliate:snapshot base_hash base_chunks delta_hash delta_chunks");
    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_ERROR) { /* a key of ours that holds something else */
        log_error("publisher", "Redis refuses: %s", reply->str);
        freeReplyObject(reply);
        return false;
    }
    bool had_base = offer_read(reply, 0, &old_base), had_delta = offer_read(reply, 2, &old_delta);
    freeReplyObject(reply);

    if (!publisher->base_put)
        publisher->base_put = publisher_put_chunks(publisher, &publisher->base);
    if (!publisher->base_put || !publisher_put_chunks(publisher, &publisher->delta))
        return false;
    offer_of(&publisher->base, &base);
    offer_of(&publisher->delta, &delta);
    bool ok =
        wire_append_format(&publisher->wire, "MULTI")
        && wire_append_format(&publisher->wire,
                              "HSET affiliate:snapshot version %llu base_hash %s base_size %s base_chunks %s"
                              " delta_hash %s delta_size %s delta_chunks %s",
                              (unsigned long long) newest, base.hash, base.size, base.chunks, delta.hash,
                              delta.size, delta.chunks)
        && wire_append_format(&publisher->wire, "EXEC") && wire_drain(&publisher->wire);
    if (!ok)
        return false;

    if (had_base && strcmp(old_base.hash, base.hash) != 0)
        publisher_expire(publisher, &old_base);
    if (had_delta && strcmp(old_delta.hash, delta.hash) != 0)
        publisher_expire(publisher, &old_delta);
    return true;
}

/* Those that are not there yet: a base stays while deltas come and go. */
static bool
publisher_put_chunks(struct publisher *publisher, const struct snapshot *file)
{
    struct offer offer;

    if (file->bytes == NULL)
        return true;
    offer_of(file, &offer);
    unsigned long n = 0;
    for (size_t at = 0; at < file->len; at += CHUNK, n++) {
        size_t      len = file->len - at < CHUNK ? file->len - at : CHUNK;
        redisReply *reply =
            wire_call_format(&publisher->wire, "PERSIST affiliate:snapshot:%s:%lu", offer.hash, n);
        if (reply == NULL)
            return false;
        freeReplyObject(reply);
        reply = wire_call_format(&publisher->wire, "STRLEN affiliate:snapshot:%s:%lu", offer.hash, n);
        if (reply == NULL)
            return false;
        bool there = reply->type == REDIS_REPLY_INTEGER && reply->integer == (long long) len;
        freeReplyObject(reply);
        if (there)
            continue;
        reply = wire_call_format(&publisher->wire, "SET affiliate:snapshot:%s:%lu %b", offer.hash, n,
                                 file->bytes + at, len);
        bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;
        if (reply != NULL && !ok)
            log_error("publisher", "Redis refuses: %s", reply->str);
        freeReplyObject(reply);
        if (!ok)
            return false;
    }
    return true;
}

static bool
publisher_expire(struct publisher *publisher, const struct offer *old)
{
    unsigned long chunks = strtoul(old->chunks, NULL, 10);

    for (unsigned long n = 0; n < chunks; n++) {
        if (!wire_append_format(&publisher->wire, "EXPIRE affiliate:snapshot:%s:%lu %d", old->hash, n,
                                KEEP_S))
            return false;
    }
    return wire_drain(&publisher->wire);
}
