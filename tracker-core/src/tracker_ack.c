/*
 * tracker_ack.c - what comes back: acks of one journal, heartbeats of one consumer.
 *
 * Both are MACed (keyed BLAKE2b-128 under a derived key), so that whoever can
 * write to Redis cannot make an edge free what the database lacks.  Old ones can be
 * replayed; the sender lives with that, and the next true one puts it right.
 */
#include "tracker_pack.h"
#include "tracker_le.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define MAC_LEN 16

/* Offsets in an ack. */
enum { AT_KEY = 0, AT_FLAGS = 1, AT_RESEND = 4, AT_NEXT = 8, AT_INCARNATION = 16, AT_MAC = 24 };
enum { FLAG_FORKED = 1 };

_Static_assert(AT_MAC + MAC_LEN == TRACKER_ACK_LEN, "the layout fills the ack");

static void ack_mac(const struct tracker_keys *keys, unsigned key, const struct tracker_journal_id *journal,
                    const uint8_t ack[AT_MAC], uint8_t mac[MAC_LEN]);
static void heartbeat_mac(const struct tracker_keys *keys, unsigned key, unsigned partition,
                          struct tracker_str signed_text, uint8_t mac[MAC_LEN]);
static bool take_word(struct tracker_str *text, struct tracker_str *word);
static bool take_decimal(struct tracker_str *text, uint64_t max, uint64_t *out);
static bool take_hex(struct tracker_str *text, uint8_t *out, size_t len);
static bool decimal_parse(struct tracker_str text, uint64_t max, uint64_t *out);

void
tracker_ack_encode(const struct tracker_keys *keys, const struct tracker_journal_id *journal,
                   const struct tracker_ack *ack, uint8_t out[TRACKER_ACK_LEN])
{
    memset(out, 0, TRACKER_ACK_LEN);
    out[AT_KEY] = keys->current;
    out[AT_FLAGS] = ack->forked ? FLAG_FORKED : 0;
    tracker_put32(out + AT_RESEND, ack->resend);
    tracker_put64(out + AT_NEXT, ack->next);
    tracker_put64(out + AT_INCARNATION, ack->incarnation);
    ack_mac(keys, keys->current, journal, out, out + AT_MAC);
}

/* A flag that we do not know is ignored: it is signed, and a newer backend may set it. */
bool
tracker_ack_decode(const struct tracker_keys *keys, const struct tracker_journal_id *journal,
                   struct tracker_str bytes, struct tracker_ack *out)
{
    const uint8_t *p = (const uint8_t *) bytes.data;
    uint8_t        mac[MAC_LEN];

    if (bytes.len != TRACKER_ACK_LEN || !tracker_keys_has(keys, p[AT_KEY]))
        return false;
    ack_mac(keys, p[AT_KEY], journal, p, mac);
    if (sodium_memcmp(mac, p + AT_MAC, MAC_LEN) != 0 || tracker_get64(p + AT_NEXT) == 0)
        return false;

    out->next = tracker_get64(p + AT_NEXT);
    out->incarnation = tracker_get64(p + AT_INCARNATION);
    out->resend = tracker_get32(p + AT_RESEND);
    out->forked = (p[AT_FLAGS] & FLAG_FORKED) != 0;
    return true;
}

size_t
tracker_heartbeat_encode(const struct tracker_keys *keys, unsigned partition,
                         const struct tracker_heartbeat *beat, char *out, size_t cap)
{
    uint8_t mac[MAC_LEN];
    char    hex[2 * MAC_LEN + 1];
    int     len;

    if (cap < TRACKER_HEARTBEAT_CAP)
        return 0;
    len = snprintf(out, cap, "v1 %u %" PRIu64 " %016" PRIx64 " %" PRIu64 " %" PRIu64 "-%" PRIu64 " %d",
                   keys->current, beat->beat, beat->incarnation, beat->time_ms, beat->cursor.ms,
                   beat->cursor.seq, beat->idle);
    heartbeat_mac(keys, keys->current, partition, (struct tracker_str){ out, (size_t) len }, mac);
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    return (size_t) len + (size_t) snprintf(out + len, cap - (size_t) len, " %s", hex);
}

bool
tracker_heartbeat_decode(const struct tracker_keys *keys, unsigned partition, struct tracker_str text,
                         struct tracker_heartbeat *out)
{
    struct tracker_str       rest = text, word;
    struct tracker_heartbeat beat;
    uint64_t                 key, idle;
    uint8_t                  incarnation[8], told[MAC_LEN], mac[MAC_LEN];

    if (text.len >= TRACKER_HEARTBEAT_CAP || !take_word(&rest, &word)
        || !tracker_str_eq(word, TRACKER_STR("v1"))
        || !take_decimal(&rest, TRACKER_KEYS_MAX - 1, &key) || !tracker_keys_has(keys, (unsigned) key)
        || !take_decimal(&rest, UINT64_MAX, &beat.beat) || !take_hex(&rest, incarnation, sizeof(incarnation))
        || !take_decimal(&rest, UINT64_MAX, &beat.time_ms) || !take_word(&rest, &word)
        || !tracker_stream_id_parse(word, &beat.cursor) || !take_decimal(&rest, 1, &idle))
        return false;

    struct tracker_str signed_text = { text.data, text.len - rest.len - 1 };
    if (!take_hex(&rest, told, MAC_LEN) || rest.data != NULL)
        return false;
    heartbeat_mac(keys, (unsigned) key, partition, signed_text, mac);
    if (sodium_memcmp(mac, told, MAC_LEN) != 0)
        return false;

    beat.incarnation = 0;
    for (size_t i = 0; i < sizeof(incarnation); i++)
        beat.incarnation = beat.incarnation << 8 | incarnation[i];
    beat.idle = idle == 1;
    *out = beat;
    return true;
}

bool
tracker_stream_id_parse(struct tracker_str text, struct tracker_stream_id *out)
{
    const char              *dash = text.len > 0 ? memchr(text.data, '-', text.len) : NULL;
    struct tracker_stream_id id;

    if (dash == NULL)
        return false;
    size_t at = (size_t) (dash - text.data);
    if (!decimal_parse((struct tracker_str){ text.data, at }, UINT64_MAX, &id.ms)
        || !decimal_parse((struct tracker_str){ dash + 1, text.len - at - 1 }, UINT64_MAX, &id.seq))
        return false;
    *out = id;
    return true;
}

static void
ack_mac(const struct tracker_keys *keys, unsigned key, const struct tracker_journal_id *journal,
        const uint8_t ack[AT_MAC], uint8_t mac[MAC_LEN])
{
    uint8_t secret[TRACKER_KEY_LEN];

    tracker_keys_derive(keys, key, TRACKER_LABEL_ACK, journal->bytes, TRACKER_JOURNAL_ID_LEN, secret);
    crypto_generichash(mac, MAC_LEN, ack, AT_MAC, secret, sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
}

/* The context, two bytes of partition, is never as long as a journal id: no ack's key is a heartbeat's. */
static void
heartbeat_mac(const struct tracker_keys *keys, unsigned key, unsigned partition,
              struct tracker_str signed_text, uint8_t mac[MAC_LEN])
{
    uint8_t secret[TRACKER_KEY_LEN], context[2];

    tracker_put16(context, (uint16_t) partition);
    tracker_keys_derive(keys, key, TRACKER_LABEL_ACK, context, sizeof(context), secret);
    crypto_generichash(mac, MAC_LEN, (const uint8_t *) signed_text.data, signed_text.len, secret,
                       sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
}

/* Words are parted by single blanks; after the last one text->data is NULL. */
static bool
take_word(struct tracker_str *text, struct tracker_str *word)
{
    if (text->data == NULL)
        return false;

    const char *blank = memchr(text->data, ' ', text->len);
    if (blank == NULL) {
        *word = *text;
        *text = TRACKER_STR_NONE;
        return true;
    }
    *word = (struct tracker_str){ text->data, (size_t) (blank - text->data) };
    *text = (struct tracker_str){ blank + 1, text->len - word->len - 1 };
    return true;
}

static bool
take_decimal(struct tracker_str *text, uint64_t max, uint64_t *out)
{
    struct tracker_str word;

    return take_word(text, &word) && decimal_parse(word, max, out);
}

/* Exactly 2 * len lower-case digits: one text for one value. */
static bool
take_hex(struct tracker_str *text, uint8_t *out, size_t len)
{
    struct tracker_str word;
    size_t             got;

    if (!take_word(text, &word) || word.len != 2 * len)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] >= 'A' && word.data[i] <= 'F')
            return false;
    }
    return sodium_hex2bin(out, len, word.data, word.len, NULL, &got, NULL) == 0 && got == len;
}

static bool
decimal_parse(struct tracker_str text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned) ((unsigned char) text.data[i] - '0');

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
