/*
 * tracker_event.h - what an edge saw, as the payload of one journal record.
 *
 * Payload: fields, each   u8 tag, varint (LEB128) length, bytes.
 * Integers are minimal little-endian bytes (zero = field absent).  A reader
 * skips tags it does not know, so newer edges may talk to older backends; a
 * repeated tag, a length past the end or an integer over its width makes the
 * payload bad.  Absent means 0 or empty.
 */
#ifndef TRACKER_EVENT_H
#define TRACKER_EVENT_H

#include "tracker_money.h"
#include "tracker_click_id.h"
#include "tracker_url.h"

/* Persisted in journals: append only. */
enum tracker_event_type {
    TRACKER_EVENT_CLICK = 1,
    TRACKER_EVENT_CONVERSION = 2,
    TRACKER_EVENT_IMPRESSION = 3, /* a click's payload: an advert was seen */
    TRACKER_EVENT_LEAD = 4,       /* tracker_lead.h */
    TRACKER_EVENT_API_CALL = 5    /* tracker_lead.h: a line of the API log */
};

#define TRACKER_EVENT_MAX     16384 /* bytes of a payload */
#define TRACKER_FIELD_MAX      512  /* bytes of one text field; the edge cuts longer ones */
#define TRACKER_PLACE_MAX      64   /* bytes of country, region and city */
#define TRACKER_CONVERSION_PS  10

/* Persisted. Verdict bits of a click: none of them ever drops it. */
enum tracker_click_flag {
    TRACKER_CLICK_REPEAT        = 1u << 0,  /* the program's cookie was there and verified */
    TRACKER_CLICK_BROKEN_COOKIE = 1u << 1,
    TRACKER_CLICK_NO_COOKIE_SET = 1u << 2,  /* hidden frame, image, fallback, or cookieless */
    TRACKER_CLICK_BOT           = 1u << 3,  /* the user agent is one of the list's bots */
    TRACKER_CLICK_PREFETCH      = 1u << 4,
    TRACKER_CLICK_PAUSED        = 1u << 5,  /* link, campaign or program not active: sent to the fallback */
    TRACKER_CLICK_TEST          = 1u << 6,
    TRACKER_CLICK_NOT_ACCRUING  = 1u << 7,  /* affiliate not approved at the time, as the edge knew it */
    TRACKER_CLICK_PREVIEW       = 1u << 8,  /* a messenger or social network looks at what was posted */
    TRACKER_CLICK_DATACENTRE    = 1u << 9,  /* the address belongs to a hosting company's network */
    TRACKER_CLICK_RATE          = 1u << 10, /* more clicks from this address than affiliate_rate allows */
    TRACKER_CLICK_NO_AGENT      = 1u << 11, /* no User-Agent: no browser does that */
    TRACKER_CLICK_NO_CONSENT    = 1u << 12, /* GPC, DNT or the consent parameter: nothing personal was kept */
    TRACKER_CLICK_DEEP_REFUSED  = 1u << 13, /* asked for a deep link to a host that the campaign does not list */
    TRACKER_CLICK_CAPPED        = 1u << 14, /* a click cap was reached: sent to the fallback */
    TRACKER_CLICK_OUT_OF_DATES  = 1u << 15, /* before or after the dates of link or campaign: the fallback */
    TRACKER_CLICK_TRACKED       = 1u << 16  /* nobody was redirected: affiliate.js or affiliate_track */
};

/* Recorded, redirected, but no visit of a person: not counted. */
#define TRACKER_CLICK_UNCOUNTED                                                                                \
    (TRACKER_CLICK_BOT | TRACKER_CLICK_PREFETCH | TRACKER_CLICK_TEST | TRACKER_CLICK_PREVIEW                   \
     | TRACKER_CLICK_DATACENTRE | TRACKER_CLICK_RATE | TRACKER_CLICK_NO_AGENT)

/* The visitor was sent to a fallback instead of the advertiser: such a click earns nothing. */
#define TRACKER_CLICK_FALLBACK (TRACKER_CLICK_PAUSED | TRACKER_CLICK_CAPPED | TRACKER_CLICK_OUT_OF_DATES)

/* Persisted: what a click's ip is. */
enum tracker_ip_form {
    TRACKER_IP_WHOLE = 0,
    TRACKER_IP_TRUNCATED = 1, /* last 8 bits of IPv4, last 80 of IPv6 are zero */
    TRACKER_IP_HASHED = 2     /* 16 bytes of a keyed hash that changes daily: equal within a day, no address */
};

struct tracker_click {
    uint32_t program, campaign, link, affiliate;
    uint32_t flags;            /* enum tracker_click_flag */
    uint8_t  key;              /* key id that signed the click id */
    uint64_t config_version;   /* of the snapshot that answered */
    uint64_t previous_time_ms; /* of the cookie's last click, when REPEAT */
    struct tracker_str first_touch; /* the cookie's first click id, verified, when REPEAT: first-touch rules need it */
    struct tracker_str ip;     /* 4 or 16 raw bytes, or empty */
    uint8_t  ip_form;          /* enum tracker_ip_form */
    uint8_t  device, os, browser; /* tracker_agent.h */
    uint32_t asn;
    uint32_t rule, target;     /* of the link, 1-based, that chose the destination; 0: its own */
    struct tracker_str country, region, city; /* "DE", "BY", "Munich"; at most TRACKER_PLACE_MAX bytes */
    struct tracker_str deep;   /* the deep link that was followed or refused */
    struct tracker_str user_agent, referrer, language;
    struct tracker_str ref_id, source, creative, cost;
    struct tracker_str sub[TRACKER_SUBS];
};

/* Persisted. */
enum tracker_conversion_status {
    TRACKER_CONVERSION_PENDING = 0,
    TRACKER_CONVERSION_APPROVED = 1,
    TRACKER_CONVERSION_REJECTED = 2,
    TRACKER_CONVERSION_REFUND = 3,         /* of amount, or of all that is left; names a refund_id */
    TRACKER_CONVERSION_CHARGEBACK = 4,
    TRACKER_CONVERSION_CHARGEBACK_WON = 5  /* takes the chargeback of that refund_id back */
};

/* Persisted: how the sender proved who it is. */
enum tracker_conversion_auth {
    TRACKER_AUTH_API_KEY = 1,
    TRACKER_AUTH_SIGNATURE = 2, /* HMAC with the API user's secret */
    TRACKER_AUTH_TOKEN = 3,     /* an API key in the path or in the edge's configuration */
    TRACKER_AUTH_PIXEL = 4      /* nobody: a visitor's browser says so; never approved by itself */
};

struct tracker_conversion {
    uint32_t program;            /* of the API user */
    uint32_t api_user;
    uint8_t  auth;               /* enum tracker_conversion_auth */
    uint8_t  status;             /* enum tracker_conversion_status */
    uint8_t  has_amount;         /* 0: amount was not given */
    struct tracker_money amount; /* valid when has_amount */
    uint64_t event_time_ms;      /* 0: the record's time */
    struct tracker_str click_id; /* TRACKER_CLICK_ID_LEN verified characters, or empty */
    struct tracker_str cookie_first, cookie_last; /* of a pixel's visitor: verified click ids, or empty */
    struct tracker_str coupon;   /* the code that the customer used */
    struct tracker_str customer; /* the advertiser's id of the customer (lead, trader) */
    struct tracker_str refund_id; /* idempotency key of a refund or chargeback within txid */
    struct tracker_str referrer; /* of a pixel: the page it stands on */
    struct tracker_str event;    /* "sale", "ftd", ...: [a-z0-9_]{1,32} */
    struct tracker_str txid;     /* idempotency key within an event; empty: click id + event */
    struct tracker_str ip;       /* of the sender, 4 or 16 raw bytes */
    struct tracker_str p[TRACKER_CONVERSION_PS];
};

/* Encode into out (cap bytes): the payload length, or 0 when it does not fit. */
size_t tracker_click_encode(const struct tracker_click *click, uint8_t *out, size_t cap);
size_t tracker_conversion_encode(const struct tracker_conversion *conversion, uint8_t *out, size_t cap);

/* Decode; strings borrow from payload.  False for a bad payload (nothing is half-filled: *out is zeroed). */
bool tracker_click_decode(const uint8_t *payload, size_t len, struct tracker_click *out);
bool tracker_conversion_decode(const uint8_t *payload, size_t len, struct tracker_conversion *out);

#endif
