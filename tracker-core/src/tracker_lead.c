/*
 * tracker_lead.c - a lead's id, which every edge computes alike, and its verdict, which only we can have written.
 */
#include "tracker_lead.h"
#include "tracker_le.h"

#include <sodium.h>

/* Offsets in a verdict. */
enum { AT_KEY = 0, AT_VERDICT = 1, AT_FLAGS = 2, AT_DECIDED = 8, AT_CONTENT = 16, AT_LEAD = 32, AT_MAC = 48 };

#define VERDICT_MAC_LEN (TRACKER_VERDICT_LEN - AT_MAC)
#define CONTENT_LEN     16u

_Static_assert(AT_LEAD + TRACKER_LEAD_ID_LEN == AT_MAC && VERDICT_MAC_LEN >= crypto_generichash_BYTES_MIN,
               "the layout fills the verdict");
_Static_assert(TRACKER_LEAD_ID_LEN == crypto_generichash_BYTES_MIN, "an id is a MAC of its own length");
_Static_assert(TRACKER_LEAD_ID_LEN == TRACKER_JOURNAL_ID_LEN && TRACKER_LEAD_HEX_LEN == TRACKER_JOURNAL_HEX_LEN,
               "written as journal ids are");

static void verdict_mac(const struct tracker_keys *keys, unsigned key, const uint8_t id[TRACKER_LEAD_ID_LEN],
                        const uint8_t verdict[AT_MAC], uint8_t mac[VERDICT_MAC_LEN]);

/* What says whose it is has a fixed length, and tells key from content: no two senders' leads run together. */
void
tracker_lead_id(const struct tracker_keys *keys, enum tracker_lead_kind kind, uint32_t sender,
                struct tracker_str key, const uint8_t content[16], uint8_t out[TRACKER_LEAD_ID_LEN])
{
    crypto_generichash_state state;
    uint8_t                  secret[TRACKER_KEY_LEN], whose[6];

    whose[0] = (uint8_t) kind;
    whose[1] = key.len > 0;
    tracker_put32(whose + 2, sender);
    tracker_keys_derive(keys, keys->current, TRACKER_LABEL_LEAD, NULL, 0, secret);

    crypto_generichash_init(&state, secret, sizeof(secret), TRACKER_LEAD_ID_LEN);
    crypto_generichash_update(&state, whose, sizeof(whose));
    if (key.len > 0)
        crypto_generichash_update(&state, (const uint8_t *) key.data, key.len);
    else
        crypto_generichash_update(&state, content, CONTENT_LEN);
    crypto_generichash_final(&state, out, TRACKER_LEAD_ID_LEN);
    sodium_memzero(&state, sizeof(state));
    sodium_memzero(secret, sizeof(secret));
}

void
tracker_lead_hex(const uint8_t id[TRACKER_LEAD_ID_LEN], char hex[TRACKER_LEAD_HEX_LEN])
{
    struct tracker_journal_id same;

    memcpy(same.bytes, id, sizeof(same.bytes));
    tracker_journal_id_format(&same, hex);
}

bool
tracker_lead_parse(struct tracker_str hex, uint8_t id[TRACKER_LEAD_ID_LEN])
{
    struct tracker_journal_id same;

    if (!tracker_journal_id_parse(&same, hex))
        return false;
    memcpy(id, same.bytes, sizeof(same.bytes));
    return true;
}

void
tracker_verdict_encode(const struct tracker_keys *keys, const uint8_t id[TRACKER_LEAD_ID_LEN],
                       const struct tracker_verdict *verdict, uint8_t out[TRACKER_VERDICT_LEN])
{
    memset(out, 0, TRACKER_VERDICT_LEN);
    out[AT_KEY] = keys->current;
    out[AT_VERDICT] = verdict->verdict;
    out[AT_FLAGS] = verdict->flags;
    tracker_put64(out + AT_DECIDED, verdict->decided_ms);
    memcpy(out + AT_CONTENT, verdict->content, CONTENT_LEN);
    memcpy(out + AT_LEAD, verdict->lead, TRACKER_LEAD_ID_LEN);
    verdict_mac(keys, keys->current, id, out, out + AT_MAC);
}

/* A flag that we do not know is kept: it is signed, and a newer backend may set it.  A verdict must be one of ours. */
bool
tracker_verdict_decode(const struct tracker_keys *keys, const uint8_t id[TRACKER_LEAD_ID_LEN],
                       struct tracker_str bytes, struct tracker_verdict *out)
{
    const uint8_t *p = (const uint8_t *) bytes.data;
    uint8_t        mac[VERDICT_MAC_LEN];

    if (bytes.len != TRACKER_VERDICT_LEN || !tracker_keys_has(keys, p[AT_KEY]))
        return false;
    verdict_mac(keys, p[AT_KEY], id, p, mac);
    if (sodium_memcmp(mac, p + AT_MAC, sizeof(mac)) != 0 || p[AT_VERDICT] < TRACKER_LEAD_CREATED
        || p[AT_VERDICT] > TRACKER_LEAD_PENDING)
        return false;

    out->verdict = p[AT_VERDICT];
    out->flags = p[AT_FLAGS];
    out->decided_ms = tracker_get64(p + AT_DECIDED);
    memcpy(out->content, p + AT_CONTENT, CONTENT_LEN);
    memcpy(out->lead, p + AT_LEAD, TRACKER_LEAD_ID_LEN);
    return true;
}

static void
verdict_mac(const struct tracker_keys *keys, unsigned key, const uint8_t id[TRACKER_LEAD_ID_LEN],
            const uint8_t verdict[AT_MAC], uint8_t mac[VERDICT_MAC_LEN])
{
    uint8_t secret[TRACKER_KEY_LEN];

    tracker_keys_derive(keys, key, TRACKER_LABEL_VERDICT, id, TRACKER_LEAD_ID_LEN, secret);
    crypto_generichash(mac, VERDICT_MAC_LEN, verdict, AT_MAC, secret, sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
}
