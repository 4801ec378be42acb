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

#define BAD 0x40 /* a bit no value has */

static const uint8_t values[256] = {
    [0 ... ','] = BAD, ['.' ... '/'] = BAD, [':' ... '@'] = BAD, ['[' ... '^'] = BAD,
    ['`'] = BAD, ['{' ... 255] = BAD,
    ['-'] = 0,  ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,
    ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15,
    ['F'] = 16, ['G'] = 17, ['H'] = 18, ['I'] = 19, ['J'] = 20, ['K'] = 21, ['L'] = 22, ['M'] = 23,
    ['N'] = 24, ['O'] = 25, ['P'] = 26, ['Q'] = 27, ['R'] = 28, ['S'] = 29, ['T'] = 30, ['U'] = 31,
    ['V'] = 32, ['W'] = 33, ['X'] = 34, ['Y'] = 35, ['Z'] = 36, ['_'] = 37, ['a'] = 38, ['b'] = 39,
    ['c'] = 40, ['d'] = 41, ['e'] = 42, ['f'] = 43, ['g'] = 44, ['h'] = 45, ['i'] = 46, ['j'] = 47,
    ['k'] = 48, ['l'] = 49, ['m'] = 50, ['n'] = 51, ['o'] = 52, ['p'] = 53, ['q'] = 54, ['r'] = 55,
    ['s'] = 56, ['t'] = 57, ['u'] = 58, ['v'] = 59, ['w'] = 60, ['x'] = 61, ['y'] = 62, ['z'] = 63,
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
    unsigned       seen = 0;

    for (size_t i = 0; i < RAW_LEN; i += 6, in += 8) {
        uint64_t group = 0;

#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            seen |= values[in[k]];
            group = group << 6 | values[in[k]]; /* BAD spills over, into what is refused anyway */
        }
        store_be64(raw + i, group << 16);
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
