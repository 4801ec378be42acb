/*
 * tracker_lead.h - a lead from the edge to the database and its verdict back.
 *
 * The lead's id is a MAC of who sent it and of its idempotency key (or, without one, of what it says), so that every
 * edge gives a retry the same id and the database can tell a retry from a second lead.  The decision - new, duplicate -
 * is the database's; it comes back as a signed verdict in Redis, one string a lead:
 *
 *     affiliate:verdict:<32 hex digits>    tracker_verdict_encode(), kept TRACKER_VERDICT_LIFE_S
 */
#ifndef TRACKER_LEAD_H
#define TRACKER_LEAD_H

#include "tracker_event.h"

#define TRACKER_LEAD_ID_LEN   16 /* raw; outside 32 lower-case hex digits */
#define TRACKER_LEAD_HEX_LEN  32
#define TRACKER_LEAD_KEY_MAX  128   /* bytes of an idempotency key: printable ASCII */
#define TRACKER_LEAD_FIELDS_MAX 12288 /* bytes of all fields of one lead, as tracker_pairs */
#define TRACKER_LEAD_PAIRS_MAX  256
#define TRACKER_LEAD_NAME_MAX   64    /* bytes of a field's name: [a-z][a-z0-9_]* */
#define TRACKER_LEAD_VALUE_MAX  4096

/* ---- names and values, one after the other ---- */

/*
 * tracker_pairs: for each  varint(name length) name varint(value length) value.  A name may stand more than once
 * (multi-select).  Text is UTF-8 without control characters but \n and \t (whoever takes a
 * browser's text turns its \r\n into \n).  Only tracker_pairs_check judges names, text and bounds; the others take
 * any bytes.
 */
/* Appends; the new length, or 0 when it does not fit cap. */
size_t tracker_pairs_add(uint8_t *pairs, size_t len, size_t cap, struct tracker_str name, struct tracker_str value);
/* Takes the next pair off *pairs.  1; 0: no more; -1: malformed. */
int tracker_pairs_next(struct tracker_str *pairs, struct tracker_str *name, struct tracker_str *value);
/* The first value of that name; false: none. */
bool tracker_pairs_find(struct tracker_str pairs, struct tracker_str name, struct tracker_str *value);
/* Whether all of it is well formed and within the bounds above. */
bool tracker_pairs_check(struct tracker_str pairs);
/* UTF-8, shortest forms, without control characters but \n and \t. */
bool tracker_text_valid(struct tracker_str text);

/* ---- the event (TRACKER_EVENT_LEAD, money journal) ---- */

/* Persisted. */
enum tracker_lead_kind { TRACKER_LEAD_API = 1, TRACKER_LEAD_FORM = 2 };

/* Persisted. */
enum tracker_lead_flag {
    TRACKER_LEAD_HONEYPOT   = 1u << 0, /* the field that people do not see was filled in */
    TRACKER_LEAD_TOO_FAST   = 1u << 1, /* sooner after the page was shown than the form's minimum */
    TRACKER_LEAD_RATE       = 1u << 2, /* more from this address than the form allows; recorded by API batches only */
    TRACKER_LEAD_TEST       = 1u << 3, /* sent as a test: no referral, no duplicate of anything */
    TRACKER_LEAD_NO_CONSENT = 1u << 4, /* GPC, DNT or the consent parameter: no address, no cookie */
    TRACKER_LEAD_AUTOLOGIN  = 1u << 5  /* form or API user asks for it */
};
/* Traps: such a one is answered like any other, logged, and becomes nothing. */
#define TRACKER_LEAD_SPAM (TRACKER_LEAD_HONEYPOT | TRACKER_LEAD_TOO_FAST)

struct tracker_lead {
    struct tracker_str id;        /* TRACKER_LEAD_ID_LEN raw bytes */
    uint8_t  kind;                /* enum tracker_lead_kind */
    uint8_t  auth;                /* enum tracker_conversion_auth, of an API lead */
    uint8_t  ip_form;             /* enum tracker_ip_form */
    uint32_t program;
    uint32_t api_user;            /* 0: a form */
    uint32_t form;                /* 0: the API */
    uint32_t affiliate;           /* of the API user or the form; 0: attribution says */
    uint32_t flags;               /* enum tracker_lead_flag */
    struct tracker_str content;   /* 16 bytes: tracker_lead_content() */
    struct tracker_str key;       /* idempotency key as sent, or a form token's nonce in hex; empty: none */
    struct tracker_str click_id;  /* verified, or empty */
    struct tracker_str cookie_first, cookie_last; /* verified, or empty */
    struct tracker_str ip;        /* 4 or 16 raw bytes, or a hash, or empty */
    struct tracker_str user_agent, referrer, language;
    struct tracker_str fields;    /* tracker_pairs */
};

/*
 * As tracker_click_encode and _decode.  Both refuse a lead without id or content, or of no kind, or whose sender is
 * not its kind's (API: api_user alone; form: form alone), and pairs or a key past their bounds: these are never cut.
 */
size_t tracker_lead_encode(const struct tracker_lead *lead, uint8_t *out, size_t cap);
bool   tracker_lead_decode(const uint8_t *payload, size_t len, struct tracker_lead *out);

/* 16 bytes (BLAKE2b-128) over the pairs, sorted bytewise: the same whatever their order. */
void tracker_lead_content(struct tracker_str pairs, uint8_t out[16]);
/* The MAC, with the ring's current key (TRACKER_LABEL_LEAD).  sender: API user or form; key empty: content decides. */
void tracker_lead_id(const struct tracker_keys *keys, enum tracker_lead_kind kind, uint32_t sender,
                     struct tracker_str key, const uint8_t content[16], uint8_t out[TRACKER_LEAD_ID_LEN]);
/* Exactly 32 lower-case hex digits. */
void tracker_lead_hex(const uint8_t id[TRACKER_LEAD_ID_LEN], char hex[TRACKER_LEAD_HEX_LEN]);
bool tracker_lead_parse(struct tracker_str hex, uint8_t id[TRACKER_LEAD_ID_LEN]);

/* ---- the verdict ---- */

#define TRACKER_VERDICT_LEN    72
#define TRACKER_VERDICT_LIFE_S 86400
#define TRACKER_VERDICT_KEY    "affiliate:verdict:" /* then TRACKER_LEAD_HEX_LEN digits */

/* Persisted in Redis. */
enum tracker_lead_verdict {
    TRACKER_LEAD_CREATED = 1,
    TRACKER_LEAD_DUPLICATE = 2, /* refused: same person; `lead` is the first one */
    TRACKER_LEAD_CONFLICT = 3,  /* the idempotency key was used for something else */
    TRACKER_LEAD_INVALID = 4,   /* e-mail or phone is none */
    TRACKER_LEAD_PENDING = 5    /* double opt-in: waits for the mail to be confirmed */
};
enum tracker_verdict_flag {
    TRACKER_VERDICT_REPEATED = 1u << 0,  /* the same lead came before: this is its first answer */
    TRACKER_VERDICT_EXISTING = 1u << 1   /* the person has an account already: no autologin */
};

struct tracker_verdict {
    uint8_t  verdict;                      /* enum tracker_lead_verdict */
    uint8_t  flags;                        /* enum tracker_verdict_flag */
    uint64_t decided_ms;                   /* wall clock */
    uint8_t  content[16];                  /* of the lead that was decided */
    uint8_t  lead[TRACKER_LEAD_ID_LEN];    /* the lead it became, or is a duplicate of; zero: none */
};

/* Signed for `id`, whose verdict it is. */
void tracker_verdict_encode(const struct tracker_keys *keys, const uint8_t id[TRACKER_LEAD_ID_LEN],
                            const struct tracker_verdict *verdict, uint8_t out[TRACKER_VERDICT_LEN]);
bool tracker_verdict_decode(const struct tracker_keys *keys, const uint8_t id[TRACKER_LEAD_ID_LEN],
                            struct tracker_str bytes, struct tracker_verdict *out);

/* ---- the API log (TRACKER_EVENT_API_CALL, traffic journal) ---- */

struct tracker_api_call {
    uint32_t api_user;            /* 0: nobody that is known */
    uint32_t program;
    uint32_t count;               /* calls that this record stands for; unknown keys: by address and minute */
    uint32_t status;              /* HTTP */
    uint32_t items;               /* of a batch; 0: no batch */
    uint8_t  ip_form;
    struct tracker_str code;      /* "accepted", "key_expired", ...: [a-z0-9_]{1,32} */
    struct tracker_str method, path; /* without the query, tokens written as "-" */
    struct tracker_str key_prefix;   /* what people see of a key of ours, or empty */
    struct tracker_str ip, user_agent;
    struct tracker_str lead;      /* raw id that was given out, or empty */
};

/* The same; refused without count, status or code. */
size_t tracker_api_call_encode(const struct tracker_api_call *call, uint8_t *out, size_t cap);
bool   tracker_api_call_decode(const uint8_t *payload, size_t len, struct tracker_api_call *out);

#endif
