/*
 * ngx_http_affiliate_agent.c - what a User-Agent says, by the snapshot's automaton, remembered by this worker.
 *
 * A few hundred User-Agents make nearly all of the traffic: an answer is kept in a direct-mapped table with the very
 * bytes it was given for, which are compared, so nobody can make another's answer his own.  The place is chosen by a
 * hash with a random key of this worker: who wants to push others out of it cannot know where they are, and would cost
 * them the automaton's pass, no more.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_AGENT_SLOTS 1024 /* a power of two; pages are taken as they are used */

typedef struct {
    uint32_t             epoch; /* of the automaton that answered; 0: an empty place */
    uint16_t             len;
    struct tracker_agent agent;
    u_char               text[TRACKER_FIELD_MAX];
} ngx_http_affiliate_agent_slot_t;

static struct {
    ngx_uint_t                      serial; /* of the snapshot that was looked at */
    uint32_t                        epoch;  /* changes with the automaton; from 1 */
    u_char                          hash[TRACKER_SNAPSHOT_HASH_LEN]; /* of the file that holds the automaton */
    struct tracker_str              automaton;
    uint64_t                        key[2]; /* the second is odd */
    ngx_http_affiliate_agent_slot_t slots[NGX_HTTP_AFFILIATE_AGENT_SLOTS];
} ngx_http_affiliate_agents;

static void     ngx_http_affiliate_agent_renew(const struct tracker_snapshot *snapshot);
static uint64_t ngx_http_affiliate_agent_hash(struct tracker_str text);

void
ngx_http_affiliate_agent_classify(const struct tracker_snapshot *snapshot, struct tracker_str user_agent,
                                  struct tracker_agent *out)
{
    ngx_http_affiliate_agent_slot_t *slot;

    if (ngx_http_affiliate_agents.serial != ngx_http_affiliate_snapshot_serial()) {
        ngx_http_affiliate_agent_renew(snapshot);
    }

    /* what is judged is what the event keeps, so that a later judgement is of the same text */
    user_agent.len = ngx_min(user_agent.len, TRACKER_FIELD_MAX);
    if (user_agent.len == 0) {
        user_agent = TRACKER_STR("");
    }
    slot = &ngx_http_affiliate_agents.slots[ngx_http_affiliate_agent_hash(user_agent)
                                            & (NGX_HTTP_AFFILIATE_AGENT_SLOTS - 1)];
    if (slot->epoch == ngx_http_affiliate_agents.epoch && slot->len == user_agent.len
        && ngx_memcmp(slot->text, user_agent.data, user_agent.len) == 0)
    {
        ngx_http_affiliate_count(AGENT_HITS);
        *out = slot->agent;
        return;
    }

    ngx_http_affiliate_count(AGENT_MISSES);
    tracker_agents_classify((const uint8_t *) ngx_http_affiliate_agents.automaton.data,
                            ngx_http_affiliate_agents.automaton.len, user_agent, out);
    slot->epoch = ngx_http_affiliate_agents.epoch;
    slot->len = (uint16_t) user_agent.len;
    slot->agent = *out;
    ngx_memcpy(slot->text, user_agent.data, user_agent.len);
}

/* Most snapshots are a new delta on the same base: then the automaton is the same, and what is remembered holds. */
static void
ngx_http_affiliate_agent_renew(const struct tracker_snapshot *snapshot)
{
    struct tracker_str                  automaton = tracker_snapshot_blob(snapshot, TRACKER_BLOB_AGENTS);
    const struct tracker_snapshot_file *file = snapshot->base;

    if (snapshot->delta != NULL && automaton.data >= (const char *) snapshot->delta->bytes
        && automaton.data < (const char *) snapshot->delta->bytes + snapshot->delta->len)
    {
        file = snapshot->delta;
    }

    if (ngx_http_affiliate_agents.epoch == 0) {
        randombytes_buf(ngx_http_affiliate_agents.key, sizeof(ngx_http_affiliate_agents.key));
        ngx_http_affiliate_agents.key[1] |= 1;
    }
    if (ngx_http_affiliate_agents.epoch == 0
        || ngx_memcmp(ngx_http_affiliate_agents.hash, file->info.hash, TRACKER_SNAPSHOT_HASH_LEN) != 0)
    {
        ngx_http_affiliate_agents.epoch++;
        ngx_memcpy(ngx_http_affiliate_agents.hash, file->info.hash, TRACKER_SNAPSHOT_HASH_LEN);
    }
    ngx_http_affiliate_agents.automaton = automaton;
    ngx_http_affiliate_agents.serial = ngx_http_affiliate_snapshot_serial();
}

/* Chooses a place only.  Eight bytes a step; the last ones may be taken twice. */
static uint64_t
ngx_http_affiliate_agent_hash(struct tracker_str text)
{
    size_t   i;
    uint64_t word, hash = ngx_http_affiliate_agents.key[0] ^ text.len;

    if (text.len < sizeof(word)) {
        word = 0;
        ngx_memcpy(&word, text.data, text.len);
        hash = (hash ^ word) * ngx_http_affiliate_agents.key[1];
        return hash ^ hash >> 32;
    }
    for (i = 0; i + sizeof(word) <= text.len; i += sizeof(word)) {
        ngx_memcpy(&word, text.data + i, sizeof(word));
        hash = (hash ^ word) * ngx_http_affiliate_agents.key[1];
        hash ^= hash >> 32;
    }
    ngx_memcpy(&word, text.data + text.len - sizeof(word), sizeof(word));
    hash = (hash ^ word) * ngx_http_affiliate_agents.key[1];
    return hash ^ hash >> 32;
}
