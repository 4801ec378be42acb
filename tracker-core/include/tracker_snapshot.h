/*
 * tracker_snapshot.h - all an edge must know, as one immutable file.
 *
 * Two files of one format: a base, and a small delta (all that changed since
 * that base, which it names by hash).  Look-up: delta, then base.  A row that
 * is gone is present in the delta with a state that says so (links are
 * archived, never deleted), so tombstones need no second mechanism.
 *
 * File: 256-byte header (magic "AFFSNAP1", format, kind, key id, version,
 * created_ms, size, the base's hash for a delta, a table of sections), then sections, then
 * a BLAKE2b-256 keyed MAC over everything before it (label TRACKER_LABEL_SNAPSHOT).
 * Its "hash" is that MAC's first 16 bytes.  Offsets, never pointers; 8-byte
 * aligned; little-endian.  Each kind of row is one section: an open-addressing
 * table of slots (fingerprint u32, offset u32 in units of 8 bytes), load <= 3/4, and
 * records with the key beside the fields, so that a look-up costs two cache
 * misses at any size.
 *
 * tracker_snapshot_open checks length, version, MAC and every bound of every
 * record and template once; readers then trust what they read.
 */
#ifndef TRACKER_SNAPSHOT_H
#define TRACKER_SNAPSHOT_H

#include "tracker_keys.h"
#include "tracker_url.h"

#define TRACKER_SNAPSHOT_HASH_LEN 16
#define TRACKER_CODE_MAX          64  /* bytes of a link code: [A-Za-z0-9._~-] */
#define TRACKER_NAME_MAX          128
#define TRACKER_API_KEY_HASH_LEN  32  /* SHA-256 of the API key */
#define TRACKER_COOKIE_DAYS_MAX   3650

/* Persisted in snapshots and in SQL: append only. */
enum tracker_state {
    TRACKER_STATE_ACTIVE = 1,
    TRACKER_STATE_PAUSED = 2,
    TRACKER_STATE_EXPIRED = 3,
    TRACKER_STATE_ARCHIVED = 4
};
enum tracker_affiliate_state {
    TRACKER_AFFILIATE_PENDING = 1,
    TRACKER_AFFILIATE_APPROVED = 2,
    TRACKER_AFFILIATE_SUSPENDED = 3,
    TRACKER_AFFILIATE_TERMINATED = 4
};
enum tracker_role {
    TRACKER_ROLE_AFFILIATE = 1, /* sends leads, reads its own */
    TRACKER_ROLE_ADVERTISER = 2 /* posts conversions of its program */
};
enum tracker_attribution_rule {
    TRACKER_ATTRIBUTION_LAST = 1,
    TRACKER_ATTRIBUTION_FIRST = 2
};

/*
 * Rows, as the builder takes them and the reader gives them back (strings
 * borrowed).  Bounds beside those named below: ids are not 0; a link has a
 * destination; an advertiser's API key has a program, an affiliate's an affiliate.
 */
struct tracker_program_row {
    uint32_t id;
    uint8_t  state;        /* tracker_state */
    uint8_t  attribution;  /* tracker_attribution_rule */
    uint32_t cookie_days;
    struct tracker_str currency;      /* 3 letters */
    struct tracker_str fallback;      /* compiled template, or empty: where terminated, paused and archived links go */
};
struct tracker_campaign_row {
    uint32_t id, program;
    uint8_t  state;
    struct tracker_str name;
    struct tracker_str fallback;      /* compiled template, or empty: the program's */
};
struct tracker_affiliate_row {
    uint32_t id;
    uint8_t  state;        /* tracker_affiliate_state */
    struct tracker_str name; /* {affiliate} */
};
struct tracker_link_row {
    uint32_t id, campaign, affiliate;
    uint8_t  state;
    struct tracker_str code;
    struct tracker_str destination;   /* compiled template (tracker_url.h) */
};
#define TRACKER_SCOPE_CONVERSIONS_WRITE (1u << 0)
#define TRACKER_SCOPE_CONVERSIONS_READ  (1u << 1)
#define TRACKER_SCOPE_LEADS_WRITE       (1u << 2)
#define TRACKER_SCOPE_LEADS_READ        (1u << 3)
#define TRACKER_SCOPE_STATS_READ        (1u << 4)
struct tracker_api_key_row {
    uint8_t  hash[TRACKER_API_KEY_HASH_LEN]; /* the look-up key */
    uint32_t api_user, program, affiliate;   /* affiliate 0: none */
    uint8_t  state;                          /* ACTIVE or PAUSED (user paused) or ARCHIVED (key revoked) */
    uint8_t  role;                           /* tracker_role */
    uint32_t scopes;
    uint64_t expires_ms;                     /* 0: never */
};

/* ---- building (the backend) ---- */

struct tracker_snapshot_builder;
struct tracker_snapshot_builder *tracker_snapshot_builder_new(void); /* NULL: no memory */
void tracker_snapshot_builder_free(struct tracker_snapshot_builder *b);

/* Copy the row.  -EINVAL: a bound is broken (the caller names the row in its log); -ENOMEM. */
int tracker_snapshot_add_program(struct tracker_snapshot_builder *b, const struct tracker_program_row *row);
int tracker_snapshot_add_campaign(struct tracker_snapshot_builder *b, const struct tracker_campaign_row *row);
int tracker_snapshot_add_affiliate(struct tracker_snapshot_builder *b, const struct tracker_affiliate_row *row);
int tracker_snapshot_add_link(struct tracker_snapshot_builder *b, const struct tracker_link_row *row);
int tracker_snapshot_add_api_key(struct tracker_snapshot_builder *b, const struct tracker_api_key_row *row);

/*
 * Finishes the file: malloc'ed *out of *len bytes, the caller's to free.
 * base_hash NULL makes a base, else a delta on it.  Same rows, same version,
 * same created_ms, same key: same bytes.  0, -EINVAL (a key twice), -ENOMEM, -EFBIG.
 */
int tracker_snapshot_build(struct tracker_snapshot_builder *b, const struct tracker_keys *keys,
                           uint64_t version, uint64_t created_ms,
                           const uint8_t *base_hash, uint8_t **out, size_t *len);

/* ---- reading (the edge) ---- */

struct tracker_snapshot_info {
    bool     delta;
    uint64_t version;    /* configuration version it shows */
    uint64_t created_ms;
    uint8_t  hash[TRACKER_SNAPSHOT_HASH_LEN];
    uint8_t  base_hash[TRACKER_SNAPSHOT_HASH_LEN]; /* delta only */
    uint32_t programs, campaigns, affiliates, links, api_keys;
};

/* One checked file in memory; borrows the bytes. */
struct tracker_snapshot_file {
    const uint8_t *bytes; /* 8-byte aligned */
    size_t         len;
    struct tracker_snapshot_info info;
};

/* O(size): run it off the event loop.  On failure -EINVAL and *error a static sentence. */
int tracker_snapshot_open(const uint8_t *bytes, size_t len, const struct tracker_keys *keys,
                          struct tracker_snapshot_file *file, const char **error);

/* What requests use: a base, and a delta on it or NULL.  Plain pointers, no ownership. */
struct tracker_snapshot {
    const struct tracker_snapshot_file *base;
    const struct tracker_snapshot_file *delta;
};
/* False: the delta names another base. */
bool tracker_snapshot_fits(const struct tracker_snapshot_file *base,
                           const struct tracker_snapshot_file *delta);
uint64_t tracker_snapshot_version(const struct tracker_snapshot *s);

bool tracker_snapshot_program(const struct tracker_snapshot *s, uint32_t id, struct tracker_program_row *row);
bool tracker_snapshot_campaign(const struct tracker_snapshot *s, uint32_t id, struct tracker_campaign_row *row);
bool tracker_snapshot_affiliate(const struct tracker_snapshot *s, uint32_t id, struct tracker_affiliate_row *row);
bool tracker_snapshot_link(const struct tracker_snapshot *s, struct tracker_str code, struct tracker_link_row *row);
bool tracker_snapshot_api_key(const struct tracker_snapshot *s, const uint8_t hash[TRACKER_API_KEY_HASH_LEN],
                              struct tracker_api_key_row *row);

#endif
