/*
 * tracker_record.c - CRC-32C, and one record's bytes.
 *
 * Journals are read in place, so the host's byte order must be the format's.
 */
#include "tracker_record.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "journals are little-endian, and mapped");

#define COMMIT_OFFSET   0
#define CRC_OFFSET      4
#define SEQUENCE_OFFSET 8 /* from here on the CRC covers */
#define META_OFFSET     16

static uint32_t
load32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

static uint64_t
load64(const uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

/*
 * Slicing by eight (Kounavis and Berry, 2005).  A CRC table is linear, so each
 * slice is spelled out from its eight one-bit entries: slice k's are the CRCs
 * of that bit followed by k zero bytes, polynomial 0x82f63b78 reflected.
 */
#define ENTRY(n, a, b, c, d, e, f, g, h)                                                                     \
    (((n) & 1 ? (a) : 0) ^ ((n) & 2 ? (b) : 0) ^ ((n) & 4 ? (c) : 0) ^ ((n) & 8 ? (d) : 0) ^                 \
     ((n) & 16 ? (e) : 0) ^ ((n) & 32 ? (f) : 0) ^ ((n) & 64 ? (g) : 0) ^ ((n) & 128 ? (h) : 0))
#define ENTRIES_4(n, ...)                                                                                    \
    ENTRY(n, __VA_ARGS__), ENTRY((n) + 1, __VA_ARGS__), ENTRY((n) + 2, __VA_ARGS__),                         \
        ENTRY((n) + 3, __VA_ARGS__)
#define ENTRIES_16(n, ...)                                                                                   \
    ENTRIES_4(n, __VA_ARGS__), ENTRIES_4((n) + 4, __VA_ARGS__), ENTRIES_4((n) + 8, __VA_ARGS__),             \
        ENTRIES_4((n) + 12, __VA_ARGS__)
#define ENTRIES_64(n, ...)                                                                                   \
    ENTRIES_16(n, __VA_ARGS__), ENTRIES_16((n) + 16, __VA_ARGS__), ENTRIES_16((n) + 32, __VA_ARGS__),        \
        ENTRIES_16((n) + 48, __VA_ARGS__)
#define SLICE(...)                                                                                           \
    { ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__),                 \
      ENTRIES_64(192, __VA_ARGS__) }

static const uint32_t crc32c_table[8][256] = {
    SLICE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    SLICE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    SLICE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    SLICE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    SLICE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    SLICE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    SLICE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    SLICE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t
crc32c_software(uint32_t state, const uint8_t *p, size_t len)
{
    const uint32_t(*t)[256] = crc32c_table;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v = load64(p) ^ state;

        state = t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^ t[4][v >> 24 & 255] ^
                t[3][v >> 32 & 255] ^ t[2][v >> 40 & 255] ^ t[1][v >> 48 & 255] ^ t[0][v >> 56];
    }
    while (len-- > 0)
        state = state >> 8 ^ t[0][(state ^ *p++) & 255];
    return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t state, const uint8_t *p, size_t len)
{
    uint64_t wide = state;

    for (; len >= 32; p += 32, len -= 32) {
        wide = _mm_crc32_u64(wide, load64(p));
        wide = _mm_crc32_u64(wide, load64(p + 8));
        wide = _mm_crc32_u64(wide, load64(p + 16));
        wide = _mm_crc32_u64(wide, load64(p + 24));
    }
    for (; len >= 8; p += 8, len -= 8)
        wide = _mm_crc32_u64(wide, load64(p));
    state = (uint32_t) wide;
    while (len-- > 0)
        state = _mm_crc32_u8(state, *p++);
    return state;
}
#endif

uint32_t
tracker_crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
    /* One load and a branch that is always right: cheaper than a call through a pointer. */
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(~crc, data, len);
#endif
    return ~crc32c_software(~crc, data, len);
}

uint32_t
tracker_record_salt(const struct tracker_journal_id *id)
{
    return tracker_crc32c(0, id->bytes, sizeof(id->bytes));
}

static uint32_t
record_crc(const uint8_t *at, uint32_t salt, size_t len)
{
    return tracker_crc32c(salt, at + SEQUENCE_OFFSET, TRACKER_RECORD_HEADER - SEQUENCE_OFFSET + len);
}

uint32_t
tracker_record_commit(uint8_t *at, uint32_t salt, uint64_t sequence, uint64_t time_ms, uint8_t type,
                      uint32_t len)
{
    uint64_t meta = time_ms << 16 | (uint64_t) type << 8;
    size_t   end = TRACKER_RECORD_HEADER + (size_t) len, size = tracker_record_size(len);
    uint32_t crc;

    memcpy(at + SEQUENCE_OFFSET, &sequence, sizeof(sequence));
    memcpy(at + META_OFFSET, &meta, sizeof(meta));
    while (end < size)
        at[end++] = 0;
    crc = record_crc(at, salt, len);
    memcpy(at + CRC_OFFSET, &crc, sizeof(crc));
    __atomic_store_n((uint32_t *) (void *) (at + COMMIT_OFFSET), TRACKER_RECORD_COMMIT | len,
                     __ATOMIC_RELEASE);
    return crc;
}

enum tracker_record_verdict
tracker_record_read(const uint8_t *at, size_t avail, uint32_t salt, uint64_t sequence,
                    struct tracker_record *out)
{
    enum tracker_record_verdict verdict = tracker_record_glance(at, avail, sequence, out);

    if (verdict == TRACKER_RECORD_OK && out->crc != record_crc(at, salt, out->len))
        return TRACKER_RECORD_BAD;
    return verdict;
}

enum tracker_record_verdict
tracker_record_glance(const uint8_t *at, size_t avail, uint64_t sequence, struct tracker_record *out)
{
    uint32_t word, len;
    uint64_t meta;

    if (avail < TRACKER_RECORD_HEADER)
        return TRACKER_RECORD_SHORT;
    word = load32(at + COMMIT_OFFSET);
    if ((word & TRACKER_RECORD_COMMIT) == 0)
        return TRACKER_RECORD_NONE;
    len = word & ~TRACKER_RECORD_COMMIT;
    if (len > TRACKER_RECORD_PAYLOAD_MAX || tracker_record_size(len) > avail)
        return TRACKER_RECORD_SHORT;
    if (load64(at + SEQUENCE_OFFSET) != sequence)
        return TRACKER_RECORD_OTHER;
    meta = load64(at + META_OFFSET);
    out->sequence = sequence;
    out->time_ms = meta >> 16;
    out->type = (uint8_t) (meta >> 8);
    out->crc = load32(at + CRC_OFFSET);
    out->len = len;
    out->payload = at + TRACKER_RECORD_HEADER;
    return TRACKER_RECORD_OK;
}

static uint64_t
mix(uint64_t z)
{
    z ^= z >> 32;
    z *= UINT64_C(0x9e3779b97f4a7c15);
    z ^= z >> 29;
    z *= UINT64_C(0xd6e8feb86659fd93);
    return z ^ z >> 32;
}

uint64_t
tracker_chain_start(const struct tracker_journal_id *id, uint64_t sequence)
{
    return mix(load64(id->bytes) ^ mix(load64(id->bytes + 8) ^ mix(sequence)));
}
