/*
 * tracker_click_id.c - click ids to text and back; on the click path.
 *
 * Thirty bytes, big-endian, so that bytes order as numbers do:
 *
 *     0   version 2 bits | key id 4 bits | time_ms 42 bits
 *     6   journal, 48 bits
 *     12  sequence, 32 bits
 *     16  link, 32 bits
 *     20  MAC over the bytes before it, 80 bits
 *
 * Version and key id fill the first character exactly and the time the next
 * seven: that is what makes ids of one key sort by time as text.
 */
#include "tracker_click_id.h"

#include <endian.h>
#include <sodium.h>

#define BODY_LEN 20u
#define MAC_LEN  10u
#define RAW_LEN  (BODY_LEN + MAC_LEN)
#define SPILL    2u /* the last of the five groups of six bytes is moved as eight */

_Static_assert(BODY_LEN + crypto_shorthash_siphashx24_BYTES >= RAW_LEN + SPILL, "the MAC is longer");
_Static_assert(RAW_LEN % 6 == 0 && RAW_LEN / 6 * 8 == TRACKER_CLICK_ID_LEN, "whole groups");

#define VERSION_RECORDED   0u
#define VERSION_UNRECORDED 1u

#define TIME_MASK    ((UINT64_C(1) << 42) - 1)
#define JOURNAL_MASK ((UINT64_C(1) << 48) - 1)

/* Persisted, in cookies, postbacks and SQL: in byte order, or text would not sort by time. */
static const char alphabet[64] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/* Each character and its value. */
#define ALPHABET(V) \
    V('-', 0) V('0', 1) V('1', 2) V('2', 3) V('3', 4) V('4', 5) V('5', 6) V('6', 7) V('7', 8) V('8', 9) \
    V('9', 10) V('A', 11) V('B', 12) V('C', 13) V('D', 14) V('E', 15) V('F', 16) V('G', 17) V('H', 18) \
    V('I', 19) V('J', 20) V('K', 21) V('L', 22) V('M', 23) V('N', 24) V('O', 25) V('P', 26) V('Q', 27) \
    V('R', 28) V('S', 29) V('T', 30) V('U', 31) V('V', 32) V('W', 33) V('X', 34) V('Y', 35) V('Z', 36) \
    V('_', 37) V('a', 38) V('b', 39) V('c', 40) V('d', 41) V('e', 42) V('f', 43) V('g', 44) V('h', 45) \
    V('i', 46) V('j', 47) V('k', 48) V('l', 49) V('m', 50) V('n', 51) V('o', 52) V('p', 53) V('q', 54) \
    V('r', 55) V('s', 56) V('t', 57) V('u', 58) V('v', 59) V('w', 60) V('x', 61) V('y', 62) V('z', 63)

#define BAD (UINT32_C(1) << 31) /* a bit no value has */
#define NOT_OURS \
    [0 ... ','] = BAD, ['.' ... '/'] = BAD, [':' ... '@'] = BAD, ['[' ... '^'] = BAD, ['`'] = BAD, ['{' ... 255] = BAD

/* By place among four characters: a value where it stands in their 24 bits, so that four look-ups are or-ed. */
#define FIRST(c, n)  [c] = (n) << 18,
#define SECOND(c, n) [c] = (n) << 12,
#define THIRD(c, n)  [c] = (n) << 6,
#define FOURTH(c, n) [c] = (n),
static const uint32_t values[4][256] = {
    { NOT_OURS, ALPHABET(FIRST) },
    { NOT_OURS, ALPHABET(SECOND) },
    { NOT_OURS, ALPHABET(THIRD) },
    { NOT_OURS, ALPHABET(FOURTH) },
};

static void text_from_bytes(char *out, const uint8_t *raw);
static bool bytes_from_text(uint8_t *raw, const char *text);
static bool mac_equal(const uint8_t *a, const uint8_t *b);
static uint64_t load_be64(const uint8_t *at);
static void store_be64(uint8_t *at, uint64_t value);

void
tracker_click_id_encode(const struct tracker_keys *keys, const struct tracker_click_id *id, char *out)
{
    /* SipHash-2-4-128 gives 16 bytes; the last six stay behind. */
    uint8_t  raw[BODY_LEN + crypto_shorthash_siphashx24_BYTES];
    uint64_t version = id->recorded ? VERSION_RECORDED : VERSION_UNRECORDED;
    uint64_t head = version << 46 | (uint64_t) id->key << 42 | (id->time_ms & TIME_MASK);
    uint32_t link = htobe32(id->link);

    store_be64(raw, head << 16 | (id->journal & JOURNAL_MASK) >> 32);
    store_be64(raw + 8, id->journal << 32 | id->sequence);
    memcpy(raw + 16, &link, 4);
    crypto_shorthash_siphashx24(raw + BODY_LEN, raw, BODY_LEN, keys->click_id[id->key]);
    text_from_bytes(out, raw);
}

enum tracker_click_id_verdict
tracker_click_id_decode(const struct tracker_keys *keys, struct tracker_str text, struct tracker_click_id *id)
{
    uint8_t  raw[RAW_LEN + SPILL], mac[crypto_shorthash_siphashx24_BYTES];
    uint64_t head, middle;
    uint32_t link;
    unsigned version, key;

    if (text.len != TRACKER_CLICK_ID_LEN || !bytes_from_text(raw, text.data))
        return TRACKER_CLICK_ID_MALFORMED;
    version = raw[0] >> 6;
    key = raw[0] >> 2 & 15;
    if (version != VERSION_RECORDED && version != VERSION_UNRECORDED)
        return TRACKER_CLICK_ID_MALFORMED;
    if (!tracker_keys_has(keys, key))
        return TRACKER_CLICK_ID_UNKNOWN_KEY;

    crypto_shorthash_siphashx24(mac, raw, BODY_LEN, keys->click_id[key]);
    if (!mac_equal(mac, raw + BODY_LEN))
        return TRACKER_CLICK_ID_FORGED;

    head = load_be64(raw);
    middle = load_be64(raw + 8);
    memcpy(&link, raw + 16, 4);
    *id = (struct tracker_click_id){
        .time_ms = head >> 16 & TIME_MASK,
        .journal = (head & 0xffff) << 32 | middle >> 32,
        .sequence = (uint32_t) middle,
        .link = be32toh(link),
        .key = (uint8_t) key,
        .recorded = version == VERSION_RECORDED,
    };
    return TRACKER_CLICK_ID_OK;
}

/* Six bytes are eight characters, without padding.  raw has SPILL bytes more, which are read too. */
static void
text_from_bytes(char *out, const uint8_t *raw)
{
    for (size_t i = 0; i < RAW_LEN; i += 6, out += 8) {
        uint64_t group = load_be64(raw + i);

#pragma GCC unroll 8
        for (int k = 0; k < 8; k++)
            out[k] = alphabet[group >> (58 - 6 * k) & 63];
    }
}

/*
 * False: a character outside the alphabet.  No early exit: its place does not
 * show in time.  raw has SPILL bytes more, which are written too.
 */
static bool
bytes_from_text(uint8_t *raw, const char *text)
{
    const uint8_t *in = (const uint8_t *) text;
    uint32_t       seen = 0;

#pragma GCC unroll 5
    for (size_t i = 0; i < RAW_LEN; i += 6, in += 8) {
        uint32_t high = values[0][in[0]] | values[1][in[1]] | values[2][in[2]] | values[3][in[3]];
        uint32_t low = values[0][in[4]] | values[1][in[5]] | values[2][in[6]] | values[3][in[7]];

        seen |= high | low;
        store_be64(raw + i, ((uint64_t) high << 24 | low) << 16); /* BAD spills over, into what is refused anyway */
    }
    return (seen & BAD) == 0;
}

/* In constant time: both words are always compared whole. */
static bool
mac_equal(const uint8_t *a, const uint8_t *b)
{
    uint64_t a_high, b_high;
    uint16_t a_low, b_low;

    memcpy(&a_high, a, 8);
    memcpy(&b_high, b, 8);
    memcpy(&a_low, a + 8, 2);
    memcpy(&b_low, b + 8, 2);
    return ((a_high ^ b_high) | (uint64_t) (a_low ^ b_low)) == 0;
}

static uint64_t
load_be64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static void
store_be64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}
