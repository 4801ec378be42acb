/*
 * tracker_snapshot.h - all an edge must know, as one immutable file.
 *
 * Two files of one format: a base, and a small delta (all that changed since
 * that base, which it names by hash).  Look-up: delta, then base.  A row that
 * is gone is present in the delta with a state that says so (links are
 * archived, never deleted), so tombstones need no second mechanism.
 *
 * File: 352-byte header (magic "AFFSNAP1", format, kind, key id, version,
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

#include "tracker_form.h"
#include "tracker_keys.h"
#include "tracker_network.h"
#include "tracker_rule.h"
#include "tracker_secret.h"
#include "tracker_url.h"

#define TRACKER_SNAPSHOT_HASH_LEN 16
#define TRACKER_CODE_MAX          64  /* bytes of a link code: [A-Za-z0-9._~-] */
#define TRACKER_NAME_MAX          128
#define TRACKER_COOKIE_DAYS_MAX   3650
#define TRACKER_HOSTS_MAX         8192 /* bytes of a campaign's list of hosts */
#define TRACKER_BLOB_MAX          (1u << 20)
#define TRACKER_ORIGINS_MAX       8192   /* bytes of a form's origins, and of who may frame it */
#define TRACKER_FORM_FILL_MAX_MS  600000 /* the longest minimum of a form */

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
    TRACKER_ATTRIBUTION_FIRST = 2,
    TRACKER_ATTRIBUTION_BOTH = 3 /* first and last share */
};
/* How a link answers.  Never 301 or 308: browsers would remember them and never ask again. */
enum tracker_redirect {
    TRACKER_REDIRECT_DEFAULT = 0, /* as the location says */
    TRACKER_REDIRECT_302 = 1,
    TRACKER_REDIRECT_303 = 2,
    TRACKER_REDIRECT_307 = 3
};
/* Referrer-Policy of the answer (W3C Referrer Policy, 3); 0: the header is not sent. */
enum tracker_referrer_policy {
    TRACKER_REFERRER_DEFAULT = 0,
    TRACKER_REFERRER_NO_REFERRER = 1,
    TRACKER_REFERRER_ORIGIN = 2,
    TRACKER_REFERRER_SAME_ORIGIN = 3,
    TRACKER_REFERRER_STRICT_ORIGIN = 4,
    TRACKER_REFERRER_UNSAFE_URL = 5
};
enum tracker_link_option {
    TRACKER_LINK_PASS_UNKNOWN = 1u << 0, /* parameters that are not ours are appended to the destination */
    TRACKER_LINK_NO_DEEP = 1u << 1       /* deep links are refused, whatever the campaign's hosts */
};
/* Persisted: what a blob holds. */
enum tracker_blob {
    TRACKER_BLOB_AGENTS = 1,     /* tracker_agents_compile() */
    TRACKER_BLOB_DATACENTRES = 2 /* AS numbers, u32 little-endian, ascending */
};

/*
 * When something may be used, and how often.  Dates are half-open: [starts, ends).  Caps count the clicks that
 * are counted (no bots), over all edges: each edge stops by itself at the cap, and the backend, which
 * sees all of them, says capped_until in the delta.
 */
struct tracker_limits {
    uint64_t starts_ms, ends_ms;  /* 0: no bound */
    uint64_t capped_until_ms;     /* not 0 and in the future: capped, whatever this edge has counted */
    uint32_t cap_day, cap_total;  /* clicks a day (UTC), and ever; 0: no cap */
};

/*
 * Rows, as the builder takes them and the reader gives them back (strings
 * borrowed).  Bounds beside those named below: ids are not 0; a link has a
 * destination; an advertiser's API user has a program, an affiliate's an affiliate;
 * a form has a program, a definition, the pages it needs and the URL it leads to.
 */
struct tracker_program_row {
    uint32_t id;
    uint8_t  state;        /* tracker_state */
    uint8_t  attribution;  /* tracker_attribution_rule */
    uint32_t cookie_days;
    struct tracker_str currency;      /* 3 letters */
    struct tracker_str fallback;      /* compiled template, or empty: where terminated, paused and archived links go */
    uint32_t platform_user;           /* the API user whose secret signs autologins; 0: there is none */
    struct tracker_str platform_url;  /* where an autologin leads, http or https; the token is added to its query */
};
struct tracker_campaign_row {
    uint32_t id, program;
    uint8_t  state;
    struct tracker_str name;
    struct tracker_str fallback;      /* compiled template, or empty: the program's */
    struct tracker_str hosts;         /* where deep links may go: lower-case host names, each followed by a
                                         newline; a leading dot also means all names below it */
    struct tracker_limits limits;
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
    struct tracker_str rules;         /* compiled (tracker_rule.h), or empty */
    struct tracker_limits limits;
    uint8_t  redirect;        /* enum tracker_redirect */
    uint8_t  referrer_policy; /* enum tracker_referrer_policy */
    uint8_t  options;         /* enum tracker_link_option */
};
#define TRACKER_SCOPE_CONVERSIONS_WRITE (1u << 0)
#define TRACKER_SCOPE_CONVERSIONS_READ  (1u << 1)
#define TRACKER_SCOPE_LEADS_WRITE       (1u << 2)
#define TRACKER_SCOPE_LEADS_READ        (1u << 3)
#define TRACKER_SCOPE_STATS_READ        (1u << 4)
#define TRACKER_SCOPE_AUTOLOGIN         (1u << 5) /* the platform: asks whose an autologin is */
enum tracker_api_user_option {
    TRACKER_API_USER_AUTOLOGIN = 1u << 0, /* its leads get an autologin URL */
    TRACKER_API_USER_TEST = 1u << 1       /* its leads are tests */
};
struct tracker_api_user_row {
    uint32_t id, program, affiliate; /* affiliate 0: none */
    uint8_t  state;                  /* ACTIVE or PAUSED */
    uint8_t  role;                   /* tracker_role */
    uint32_t scopes;
    uint64_t expires_ms;             /* 0: never */
    uint32_t rate_minute;            /* requests a minute and edge; 0: no limit */
    bool     restricted;             /* only from networks; none listed = from nowhere */
    struct tracker_str networks;     /* entries of tracker_network.h; the builder sorts them */
    struct tracker_str secret;       /* sealed (tracker_secret.h), context: the id; or empty: cannot sign */
    uint8_t  options;                /* enum tracker_api_user_option */
};
/* Persisted: where a form leads when it was sent. */
enum tracker_form_after {
    TRACKER_FORM_AFTER_MESSAGE = 1,
    TRACKER_FORM_AFTER_URL = 2,
    TRACKER_FORM_AFTER_AUTOLOGIN = 3
};
enum tracker_form_option {
    TRACKER_FORM_CONFIRM = 1u << 0 /* double opt-in: a lead is one when the mail's link was followed */
};
struct tracker_form_row {
    uint32_t id, program, affiliate;  /* affiliate 0: attribution says */
    uint8_t  state;                   /* tracker_state */
    uint8_t  after;                   /* enum tracker_form_after */
    uint8_t  options;                 /* enum tracker_form_option */
    uint32_t min_fill_ms;             /* sooner than that after it was shown, nobody has filled it in */
    uint32_t rate_minute;             /* submissions a minute and address; 0: no limit */
    struct tracker_str key;           /* the look-up key: in /f/<key> */
    struct tracker_str definition;    /* compiled (tracker_form.h) */
    struct tracker_str page, done, wait; /* pages (tracker_form.h): to fill in, when sent, while the platform prepares;
                                            wait may be empty unless it leads to the platform */
    struct tracker_str after_url;     /* of AFTER_URL; http or https */
    struct tracker_str frame_ancestors; /* of Content-Security-Policy: "'none'", "'self' https://example.com", "*";
                                           printable ASCII without ; and , which would end it.  Empty: nobody */
    struct tracker_str origins;       /* whose scripts may send it: "https://example.com:8443", as browsers say them
                                         (lower case, no path), each followed by a newline */
};
struct tracker_api_key_row {
    uint8_t  hash[TRACKER_API_KEY_HASH_LEN]; /* the look-up key */
    uint32_t api_user;
    uint8_t  state;                          /* ACTIVE, or ARCHIVED: revoked */
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
int tracker_snapshot_add_api_user(struct tracker_snapshot_builder *b, const struct tracker_api_user_row *row);
int tracker_snapshot_add_api_key(struct tracker_snapshot_builder *b, const struct tracker_api_key_row *row);
int tracker_snapshot_add_form(struct tracker_snapshot_builder *b, const struct tracker_form_row *row);
int tracker_snapshot_add_blob(struct tracker_snapshot_builder *b, enum tracker_blob blob, const uint8_t *bytes,
                              size_t len);

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
    uint32_t programs, campaigns, affiliates, links, api_users, api_keys, forms;
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
bool tracker_snapshot_api_user(const struct tracker_snapshot *s, uint32_t id, struct tracker_api_user_row *row);
bool tracker_snapshot_api_key(const struct tracker_snapshot *s, const uint8_t hash[TRACKER_API_KEY_HASH_LEN],
                              struct tracker_api_key_row *row);
bool tracker_snapshot_form(const struct tracker_snapshot *s, struct tracker_str key, struct tracker_form_row *row);
/* Empty: the snapshot has none.  Its content was checked. */
struct tracker_str tracker_snapshot_blob(const struct tracker_snapshot *s, enum tracker_blob blob);

#endif
