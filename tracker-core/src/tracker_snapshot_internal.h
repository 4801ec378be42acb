/*
 * tracker_snapshot_internal.h - how a snapshot lies in the file; builder,
 * checker and reader share it, nobody else includes it (but tests and fuzzers).
 *
 *   header, 352 bytes
 *       0  magic "AFFSNAP1"         40  the base's hash, 16 (zero in a base)
 *       8  u32 format               56  hash seed, 16
 *      12  u8  kind                 72  zero
 *      13  u8  key id               96  8 sections of 32 bytes:
 *      14  u16 number of sections        0  u32 count      12  u32 zero
 *      16  u64 version                   4  u32 homes      16  u64 offset
 *      24  u64 created_ms                8  u32 max_probe  24  u64 length
 *      32  u64 size of the file
 *   sections, one after the other, each
 *       homes + max_probe slots of {u32 fingerprint, u32 offset / 8}; all zero: empty
 *       count records in the order of their slots, back to back, zero-padded to 8
 *   MAC, 32
 *
 * A key's home is its hash's upper half scaled to `homes`, its fingerprint the
 * lower half.  The builder places rows in the order of their hash, each in its
 * home or the next free slot: so the bytes do not depend on the order in which
 * rows came, no probe is longer than max_probe, and the table never wraps.
 * Codes and forms' keys come from strangers, so theirs is a SipHash under a seed
 * that follows from the key; ids come from the database alone and need no secret; an API
 * key's SHA-256 is hash enough.
 *
 * Every byte is accounted for: what is not named above is zero and checked.
 */
#ifndef TRACKER_SNAPSHOT_INTERNAL_H
#define TRACKER_SNAPSHOT_INTERNAL_H

#include <sodium.h>

#include "tracker_le.h"
#include "tracker_snapshot.h"

#define SNAPSHOT_MAGIC       "AFFSNAP1"
#define SNAPSHOT_FORMAT      3u
#define SNAPSHOT_HEADER_LEN  352u
#define SNAPSHOT_MAC_LEN     32u
#define SNAPSHOT_SECTIONS_AT 96u
#define SNAPSHOT_SECTION_LEN 32u
#define SNAPSHOT_SLOT_LEN    8u
#define SNAPSHOT_SIZE_MAX    ((uint64_t) UINT32_MAX * 8) /* what a slot's offset reaches: 32 GiB */

enum {
    SNAPSHOT_FORMAT_AT = 8,
    SNAPSHOT_KIND_AT = 12,
    SNAPSHOT_KEY_AT = 13,
    SNAPSHOT_SECTION_COUNT_AT = 14,
    SNAPSHOT_VERSION_AT = 16,
    SNAPSHOT_CREATED_AT = 24,
    SNAPSHOT_SIZE_AT = 32,
    SNAPSHOT_BASE_HASH_AT = 40,
    SNAPSHOT_SEED_AT = 56,
    SNAPSHOT_UNUSED_AT = 72
};

enum snapshot_kind {
    SNAPSHOT_BASE = 1,
    SNAPSHOT_DELTA = 2
};

/* Persisted: the order of the section table. */
enum snapshot_rows {
    SNAPSHOT_PROGRAMS = 0,
    SNAPSHOT_CAMPAIGNS = 1,
    SNAPSHOT_AFFILIATES = 2,
    SNAPSHOT_LINKS = 3,
    SNAPSHOT_API_KEYS = 4,
    SNAPSHOT_API_USERS = 5,
    SNAPSHOT_BLOBS = 6,
    SNAPSHOT_FORMS = 7
};
#define SNAPSHOT_SECTIONS 8

_Static_assert(SNAPSHOT_SECTIONS_AT + SNAPSHOT_SECTIONS * SNAPSHOT_SECTION_LEN == SNAPSHOT_HEADER_LEN,
               "the table of sections ends the header");

struct snapshot_section {
    uint32_t count;     /* rows */
    uint32_t homes;     /* 0 when count is 0 */
    uint32_t max_probe; /* no row is farther from its home */
    uint64_t offset, len;
};

/*
 * Records.  Fixed part, then the strings in the order of their lengths.
 *
 *   program    0 id  4 cookie_days  8 state  9 attribution  10 u16 fallback length  12 currency 3  15 zero
 *             16 platform_user  20 u16 platform_url length; fallback, platform_url
 *   campaign   0 id  4 program  8 state  9 u8 name length  10 u16 fallback length  12 u16 hosts length
 *             16 limits 32
 *   affiliate  0 id  4 state  5 u8 name length
 *   link       0 id  4 campaign  8 affiliate  12 state  13 u8 code length  14 u16 destination length
 *   API key    0 hash 32  32 api_user  36 state
 *   API user   0 id  4 program  8 affiliate  12 scopes  16 u64 expires_ms  24 rate_minute  28 state
 *             29 role  30 restricted  31 u8 secret length  32 u16 networks length  34 options  35 zero; networks, secret
 *   blob       0 kind  4 u32 length
 *   form       0 id  4 program  8 affiliate  12 min_fill_ms  16 rate_minute  20 u32 lengths of definition, page, done
 *             and wait  36 u16 lengths of after_url, frame_ancestors and origins  42 state  43 after  44 options
 *             45 u8 key length; key, and the others in that order
 *
 *   limits     0 u64 starts_ms  8 u64 ends_ms  16 u64 capped_until_ms  24 cap_day  28 cap_total
 *
 * Most links are a code and a destination.  One that is more has SNAPSHOT_LINK_EXTENDED in its state and, behind its
 * strings,   0 limits 32  32 redirect  33 referrer_policy  34 options  35 zero  36 u16 rules length  38 rules.
 */
#define SNAPSHOT_PROGRAM_FIXED   22u
#define SNAPSHOT_CAMPAIGN_FIXED  48u
#define SNAPSHOT_AFFILIATE_FIXED 6u
#define SNAPSHOT_LINK_FIXED      16u
#define SNAPSHOT_API_KEY_FIXED   40u
#define SNAPSHOT_API_USER_FIXED  40u
#define SNAPSHOT_BLOB_FIXED      8u
#define SNAPSHOT_FORM_FIXED      46u
#define SNAPSHOT_LIMITS_LEN      32u
#define SNAPSHOT_LINK_EXTENDED   0x80u
#define SNAPSHOT_LINK_EXTENSION  38u

static inline struct snapshot_section
snapshot_section(const uint8_t *bytes, enum snapshot_rows rows)
{
    const uint8_t *at = bytes + SNAPSHOT_SECTIONS_AT + rows * SNAPSHOT_SECTION_LEN;

    return (struct snapshot_section){ .count = tracker_get32(at),
                                      .homes = tracker_get32(at + 4),
                                      .max_probe = tracker_get32(at + 8),
                                      .offset = tracker_get64(at + 16),
                                      .len = tracker_get64(at + 24) };
}

static inline size_t
snapshot_padded(size_t len)
{
    return (len + 7) & ~(size_t) 7;
}

/* Bytes before a record's strings. */
static inline size_t
snapshot_record_fixed(enum snapshot_rows rows)
{
    switch (rows) {
    case SNAPSHOT_PROGRAMS:
        return SNAPSHOT_PROGRAM_FIXED;
    case SNAPSHOT_CAMPAIGNS:
        return SNAPSHOT_CAMPAIGN_FIXED;
    case SNAPSHOT_AFFILIATES:
        return SNAPSHOT_AFFILIATE_FIXED;
    case SNAPSHOT_LINKS:
        return SNAPSHOT_LINK_FIXED;
    case SNAPSHOT_API_KEYS:
        return SNAPSHOT_API_KEY_FIXED;
    case SNAPSHOT_API_USERS:
        return SNAPSHOT_API_USER_FIXED;
    case SNAPSHOT_BLOBS:
        return SNAPSHOT_BLOB_FIXED;
    case SNAPSHOT_FORMS:
        return SNAPSHOT_FORM_FIXED;
    }
    return 0;
}

/* Where a link's extension begins, if it has one; needs only the fixed part. */
static inline size_t
snapshot_link_extension_at(const uint8_t *record)
{
    return SNAPSHOT_LINK_FIXED + record[13] + tracker_get16(record + 14);
}

/*
 * Bytes of a record without its padding.  Whatever the bytes say, it reads no further than `room`; a result above
 * room means that the record does not fit there.
 */
static inline size_t
snapshot_record_len(enum snapshot_rows rows, const uint8_t *record, uint64_t room)
{
    size_t extension;

    switch (rows) {
    case SNAPSHOT_PROGRAMS:
        return SNAPSHOT_PROGRAM_FIXED + tracker_get16(record + 10) + tracker_get16(record + 20);
    case SNAPSHOT_CAMPAIGNS:
        return SNAPSHOT_CAMPAIGN_FIXED + record[9] + tracker_get16(record + 10) + tracker_get16(record + 12);
    case SNAPSHOT_AFFILIATES:
        return SNAPSHOT_AFFILIATE_FIXED + record[5];
    case SNAPSHOT_LINKS:
        extension = snapshot_link_extension_at(record);
        if (!(record[12] & SNAPSHOT_LINK_EXTENDED))
            return extension;
        if (room < extension + SNAPSHOT_LINK_EXTENSION)
            return extension + SNAPSHOT_LINK_EXTENSION;
        return extension + SNAPSHOT_LINK_EXTENSION + tracker_get16(record + extension + 36);
    case SNAPSHOT_API_KEYS:
        return SNAPSHOT_API_KEY_FIXED;
    case SNAPSHOT_API_USERS:
        return SNAPSHOT_API_USER_FIXED + tracker_get16(record + 32) + record[31];
    case SNAPSHOT_BLOBS:
        return SNAPSHOT_BLOB_FIXED + (size_t) tracker_get32(record + 4);
    case SNAPSHOT_FORMS:
        return SNAPSHOT_FORM_FIXED + record[45] + (size_t) tracker_get32(record + 20) + tracker_get32(record + 24)
               + tracker_get32(record + 28) + tracker_get32(record + 32) + tracker_get16(record + 36)
               + tracker_get16(record + 38) + tracker_get16(record + 40);
    }
    return 0;
}

/* What a row is looked up by. */
static inline struct tracker_str
snapshot_record_key(enum snapshot_rows rows, const uint8_t *record)
{
    switch (rows) {
    case SNAPSHOT_PROGRAMS:
    case SNAPSHOT_CAMPAIGNS:
    case SNAPSHOT_AFFILIATES:
    case SNAPSHOT_API_USERS:
    case SNAPSHOT_BLOBS:
        return (struct tracker_str){ (const char *) record, 4 };
    case SNAPSHOT_LINKS:
        return (struct tracker_str){ (const char *) record + SNAPSHOT_LINK_FIXED, record[13] };
    case SNAPSHOT_FORMS:
        return (struct tracker_str){ (const char *) record + SNAPSHOT_FORM_FIXED, record[45] };
    case SNAPSHOT_API_KEYS:
        return (struct tracker_str){ (const char *) record, TRACKER_API_KEY_HASH_LEN };
    }
    return TRACKER_STR_NONE;
}

/* A finalizer that mixes every bit of the id into every bit (splitmix64); it is one-to-one. */
static inline uint64_t
snapshot_hash_id(uint32_t id)
{
    uint64_t z = id + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t
snapshot_hash(enum snapshot_rows rows, const uint8_t *seed, struct tracker_str key)
{
    uint8_t out[crypto_shorthash_BYTES];

    switch (rows) {
    case SNAPSHOT_PROGRAMS:
    case SNAPSHOT_CAMPAIGNS:
    case SNAPSHOT_AFFILIATES:
    case SNAPSHOT_API_USERS:
    case SNAPSHOT_BLOBS:
        return snapshot_hash_id(tracker_get32((const uint8_t *) key.data));
    case SNAPSHOT_LINKS:
    case SNAPSHOT_FORMS:
        crypto_shorthash(out, (const uint8_t *) key.data, key.len, seed);
        return tracker_get64(out);
    case SNAPSHOT_API_KEYS:
        return tracker_get64((const uint8_t *) key.data);
    }
    return 0;
}

static inline uint32_t
snapshot_home(uint64_t hash, uint32_t homes)
{
    return (uint32_t) ((hash >> 32) * homes >> 32);
}

/* Record to row; the record is one that the checker accepted, or is just checking. */
void tracker_snapshot_read_program(const uint8_t *record, struct tracker_program_row *row);
void tracker_snapshot_read_campaign(const uint8_t *record, struct tracker_campaign_row *row);
void tracker_snapshot_read_affiliate(const uint8_t *record, struct tracker_affiliate_row *row);
void tracker_snapshot_read_link(const uint8_t *record, struct tracker_link_row *row);
void tracker_snapshot_read_api_user(const uint8_t *record, struct tracker_api_user_row *row);
void tracker_snapshot_read_api_key(const uint8_t *record, struct tracker_api_key_row *row);
void tracker_snapshot_read_form(const uint8_t *record, struct tracker_form_row *row);
struct tracker_str tracker_snapshot_read_blob(const uint8_t *record);

/* The bounds of a row: what the builder refuses to write, the checker refuses to read. */
bool tracker_snapshot_program_valid(const struct tracker_program_row *row);
bool tracker_snapshot_campaign_valid(const struct tracker_campaign_row *row);
bool tracker_snapshot_affiliate_valid(const struct tracker_affiliate_row *row);
bool tracker_snapshot_link_valid(const struct tracker_link_row *row);
bool tracker_snapshot_api_user_valid(const struct tracker_api_user_row *row);
bool tracker_snapshot_api_key_valid(const struct tracker_api_key_row *row);
bool tracker_snapshot_form_valid(const struct tracker_form_row *row);
bool tracker_snapshot_blob_valid(uint32_t kind, struct tracker_str bytes);

/* MAC over `len` bytes; the caller has checked tracker_keys_has(keys, key). */
void tracker_snapshot_mac(const struct tracker_keys *keys, unsigned key, const uint8_t *bytes, size_t len,
                          uint8_t mac[SNAPSHOT_MAC_LEN]);

#endif
