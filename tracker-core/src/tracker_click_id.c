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

#include <sodium.h>

#define BODY_LEN 20u
#define MAC_LEN  10u
#define RAW_LEN  (BODY_LEN + MAC_LEN)

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

static void put_be(uint8_t *at, uint64_t value, int bytes);
static uint64_t get_be(const uint8_t *at, int bytes);
static void text_from_bytes(char *out, const uint8_t *raw);
static bool bytes_from_text(uint8_t *raw, const char *text);

void
tracker_click_id_encode(const struct tracker_keys *keys, const struct tracker_click_id *id, char *out)
{
    /* SipHash-2-4-128 gives 16 bytes; the last six stay behind. */
    uint8_t  raw[BODY_LEN + crypto_shorthash_siphashx24_BYTES];
    uint64_t version = id->recorded ? VERSION_RECORDED : VERSION_UNRECORDED;

    put_be(raw, version << 46 | (uint64_t) id->key << 42 | (id->time_ms & TIME_MASK), 6);
    put_be(raw + 6, id->journal & JOURNAL_MASK, 6);
    put_be(raw + 12, id->sequence, 4);
    put_be(raw + 16, id->link, 4);
    crypto_shorthash_siphashx24(raw + BODY_LEN, raw, BODY_LEN, keys->click_id[id->key]);
    text_from_bytes(out, raw);
}

enum tracker_click_id_verdict
tracker_click_id_decode(const struct tracker_keys *keys, struct tracker_str text, struct tracker_click_id *id)
{
    uint8_t  raw[RAW_LEN], mac[crypto_shorthash_siphashx24_BYTES];
    uint64_t head;
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
    if (sodium_memcmp(mac, raw + BODY_LEN, MAC_LEN) != 0)
        return TRACKER_CLICK_ID_FORGED;

    head = get_be(raw, 6);
    *id = (struct tracker_click_id){
        .time_ms = head & TIME_MASK,
        .journal = get_be(raw + 6, 6),
        .sequence = (uint32_t) get_be(raw + 12, 4),
        .link = (uint32_t) get_be(raw + 16, 4),
        .key = (uint8_t) key,
        .recorded = version == VERSION_RECORDED,
    };
    return TRACKER_CLICK_ID_OK;
}

/* Three bytes are four characters; RAW_LEN divides evenly, so there is no padding. */
static void
text_from_bytes(char *out, const uint8_t *raw)
{
    for (size_t i = 0; i < RAW_LEN; i += 3, out += 4) {
        uint32_t group = (uint32_t) raw[i] << 16 | (uint32_t) raw[i + 1] << 8 | raw[i + 2];

        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = alphabet[group >> 6 & 63];
        out[3] = alphabet[group & 63];
    }
}

/* False: a character outside the alphabet.  No early exit: its place does not show in time. */
static bool
bytes_from_text(uint8_t *raw, const char *text)
{
    const uint8_t *in = (const uint8_t *) text;
    unsigned       seen = 0;

    for (size_t i = 0; i < RAW_LEN; i += 3, in += 4) {
        unsigned a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];

        seen |= a | b | c | d;
        raw[i] = (uint8_t) (a << 2 | b >> 4);
        raw[i + 1] = (uint8_t) (b << 4 | c >> 2);
        raw[i + 2] = (uint8_t) (c << 6 | d);
    }
    return (seen & BAD) == 0;
}

static inline void
put_be(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t) (value >> 8 * (bytes - 1 - i));
}

static inline uint64_t
get_be(const uint8_t *at, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}
