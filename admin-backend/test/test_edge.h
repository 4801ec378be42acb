/*
 * test_edge.h - an edge without nginx: a journal's records in memory, and the packs made of them.
 */
#ifndef AFFILIATED_TEST_EDGE_H
#define AFFILIATED_TEST_EDGE_H

#include "test_redis.h"

#include "tracker_event.h"
#include "tracker_lead.h"
#include "tracker_pack.h"

#define TEST_EDGE_MAX 70000

struct test_edge {
    struct tracker_journal_id    id;
    enum tracker_journal_kind    kind;
    unsigned                     partition;
    const struct tracker_keys   *keys;
    struct tracker_sealer       *sealer;
    uint8_t                     *bytes;                       /* all records, one behind the other */
    size_t                       used, cap;
    size_t                       offset[TEST_EDGE_MAX + 2];   /* of record n, from 1 */
    uint64_t                     hash[TEST_EDGE_MAX + 2];     /* before record n */
    uint64_t                     time_ms;
    uint64_t                     next;
    bool                         adopter;                     /* what it seals is not the owner's word */
};

/* number makes the id; partition is its last byte modulo 8. */
static inline struct test_edge *
test_edge_new(const struct tracker_keys *keys, unsigned number)
{
    struct test_edge *edge = calloc(1, sizeof(*edge));
    for (int i = 0; i < TRACKER_JOURNAL_ID_LEN; i++)
        edge->id.bytes[i] = (uint8_t) (number * 31 + (unsigned) i * 7);
    edge->id.bytes[0] = (uint8_t) number;
    edge->kind = TRACKER_JOURNAL_TRAFFIC;
    edge->partition = number % 8;
    edge->keys = keys;
    edge->sealer = tracker_sealer_new(keys, keys->current, &edge->id);
    edge->cap = 1 << 20;
    edge->bytes = malloc(edge->cap);
    edge->next = 1;
    edge->hash[1] = tracker_chain_start(&edge->id, 1);
    edge->time_ms = UINT64_C(1714564800000);
    return edge;
}

static inline void
test_edge_free(struct test_edge *edge)
{
    tracker_sealer_free(edge->sealer);
    free(edge->bytes);
    free(edge);
}

/* Appends one record with any payload. */
static inline uint64_t
test_edge_record(struct test_edge *edge, uint8_t type, const uint8_t *payload, size_t len)
{
    size_t size = tracker_record_size(len);
    assert_true(edge->next <= TEST_EDGE_MAX);
    if (edge->used + size > edge->cap) {
        edge->cap *= 2;
        edge->bytes = realloc(edge->bytes, edge->cap);
    }
    uint8_t *at = edge->bytes + edge->used;
    if (len > 0)
        memcpy(at + TRACKER_RECORD_HEADER, payload, len);
    uint32_t crc = tracker_record_commit(at, tracker_record_salt(&edge->id), edge->next, edge->time_ms, type,
                                         (uint32_t) len);
    edge->offset[edge->next] = edge->used;
    edge->used += size;
    edge->hash[edge->next + 1] = tracker_chain_next(edge->hash[edge->next], crc);
    edge->offset[edge->next + 1] = edge->used;
    return edge->next++;
}

static inline uint64_t
test_edge_click(struct test_edge *edge, const struct tracker_click *click)
{
    uint8_t payload[TRACKER_EVENT_MAX];
    size_t  len = tracker_click_encode(click, payload, sizeof(payload));
    assert_true(len > 0);
    return test_edge_record(edge, TRACKER_EVENT_CLICK, payload, len);
}

/* A believable click; `salt` makes it another one. */
static inline uint64_t
test_edge_some_click(struct test_edge *edge, unsigned salt)
{
    char agent[64], sub[32];
    snprintf(agent, sizeof(agent), "Mozilla/5.0 (X11; Linux x86_64) Test/%u", salt % 50);
    snprintf(sub, sizeof(sub), "value-%u", salt);
    struct tracker_click click = {
        .program = 1, .campaign = 2, .link = 3 + salt % 5, .affiliate = 4 + salt % 3,
        .flags = salt % 7 == 0 ? TRACKER_CLICK_REPEAT : 0,
        .key = edge->keys->current, .config_version = 12,
        .ip = { "\xc0\x00\x02\x01", 4 },
        .user_agent = { agent, strlen(agent) },
        .referrer = TRACKER_STR("https://news.example/article?id=5"),
        .source = TRACKER_STR("newsletter"),
    };
    click.sub[0] = (struct tracker_str){ sub, strlen(sub) };
    edge->time_ms++;
    return test_edge_click(edge, &click);
}

/* Names and values in turn, ended by NULL, as tracker_pairs into out (TRACKER_LEAD_FIELDS_MAX). */
static inline struct tracker_str
test_edge_pairs(const char *const fields[], uint8_t *out)
{
    size_t len = 0;
    for (int i = 0; fields[i] != NULL; i += 2) {
        len = tracker_pairs_add(out, len, TRACKER_LEAD_FIELDS_MAX, (struct tracker_str){ fields[i], strlen(fields[i]) },
                                (struct tracker_str){ fields[i + 1], strlen(fields[i + 1]) });
        assert_true(len > 0);
    }
    return (struct tracker_str){ (const char *) out, len };
}

/* Fills in id, content and fields as an edge does; the rest of *lead says who sends it. id, content, pairs: room. */
static inline void
test_edge_make_lead(struct test_edge *edge, struct tracker_lead *lead, const char *const fields[],
                    uint8_t id[TRACKER_LEAD_ID_LEN], uint8_t content[16], uint8_t *pairs)
{
    lead->fields = test_edge_pairs(fields, pairs);
    tracker_lead_content(lead->fields, content);
    tracker_lead_id(edge->keys, (enum tracker_lead_kind) lead->kind,
                    lead->kind == TRACKER_LEAD_API ? lead->api_user : lead->form, lead->key, content, id);
    lead->content = (struct tracker_str){ (const char *) content, 16 };
    lead->id = (struct tracker_str){ (const char *) id, TRACKER_LEAD_ID_LEN };
}

/* Records it; uid is its id in hex, with a NUL. */
static inline uint64_t
test_edge_lead(struct test_edge *edge, struct tracker_lead lead, const char *const fields[],
               char uid[TRACKER_LEAD_HEX_LEN + 1])
{
    uint8_t pairs[TRACKER_LEAD_FIELDS_MAX], id[TRACKER_LEAD_ID_LEN], content[16], payload[TRACKER_EVENT_MAX];

    test_edge_make_lead(edge, &lead, fields, id, content, pairs);
    tracker_lead_hex(id, uid);
    uid[TRACKER_LEAD_HEX_LEN] = '\0';
    size_t len = tracker_lead_encode(&lead, payload, sizeof(payload));
    assert_true(len > 0);
    edge->time_ms++;
    return test_edge_record(edge, TRACKER_EVENT_LEAD, payload, len);
}

/* Records [first, first + count) as a pack; 0 records with another kind than DATA. Returns its length. */
static inline size_t
test_edge_seal(struct test_edge *edge, enum tracker_pack_kind kind, uint64_t first, uint32_t count,
               enum tracker_gap_reason reason, uint8_t *out, size_t cap)
{
    struct tracker_pack pack = {
        .kind = kind, .partition = (uint16_t) edge->partition, .journal = edge->id, .journal_kind = edge->kind,
        .edge = "edge-1", .first = first, .count = count, .hash_before = edge->hash[first],
        .accepted = edge->next - 1, .sent_ms = edge->time_ms,
        .by_owner = !edge->adopter,
    };
    if (kind == TRACKER_PACK_DATA) {
        pack.records = edge->bytes + edge->offset[first];
        pack.records_len = edge->offset[first + count] - edge->offset[first];
    }
    if (kind == TRACKER_PACK_GAP)
        pack.reason = reason;
    size_t len = tracker_pack_seal(edge->sealer, &pack, out, cap);
    assert_true(len > 0);
    return len;
}

static inline void
test_edge_xadd(struct test_edge *edge, struct test_redis *redis, const uint8_t *pack, size_t len)
{
    test_redis_do(redis, "XADD affiliate:events:{%u} * p %b", edge->partition, pack, len);
}

static inline void
test_edge_send_kind(struct test_edge *edge, struct test_redis *redis, enum tracker_pack_kind kind, uint64_t first,
                    uint32_t count)
{
    static uint8_t out[TRACKER_PACK_BODY_MAX + TRACKER_PACK_OVERHEAD];
    size_t len = test_edge_seal(edge, kind, first, count, TRACKER_GAP_HOLE, out, sizeof(out));
    test_edge_xadd(edge, redis, out, len);
}

static inline void
test_edge_send(struct test_edge *edge, struct test_redis *redis, uint64_t first, uint32_t count)
{
    test_edge_send_kind(edge, redis, TRACKER_PACK_DATA, first, count);
}

/* What the backend last told this edge; false: nothing. A bad signature fails the test. */
static inline bool
test_edge_ack(struct test_edge *edge, struct test_redis *redis, struct tracker_ack *ack)
{
    char hex[TRACKER_JOURNAL_HEX_LEN];
    tracker_journal_id_format(&edge->id, hex);
    redisReply *reply = redisCommand(redis->client, "HGET affiliate:acks:{%u} %b", edge->partition, hex, sizeof(hex));
    assert_non_null(reply);
    bool there = reply->type == REDIS_REPLY_STRING;
    if (there)
        assert_true(tracker_ack_decode(edge->keys, &edge->id, (struct tracker_str){ reply->str, (size_t) reply->len },
                                       ack));
    freeReplyObject(reply);
    return there;
}

static inline bool
test_edge_acked(struct test_edge *edge, struct test_redis *redis, uint64_t next)
{
    struct tracker_ack ack;
    return test_edge_ack(edge, redis, &ack) && ack.next == next;
}

#endif
