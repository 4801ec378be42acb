/*
 * tracker_pack.h - what travels: sealed packs up, acks and heartbeats down.
 *
 * A pack is one binary value (field "p" of one stream entry):
 *
 *     clear header, 60 bytes, authenticated:
 *       magic "AFP1", key id u8, kind u8, partition u16, journal id 16,
 *       first sequence u64, count u32, hash before u64, nonce 12, body length u32
 *     body, AES-256-GCM under a key of that journal (label TRACKER_LABEL_PACK, context = id):
 *       preface, 64 bytes: accepted u64 (sequences handed out), dropped u64, sent_ms u64,
 *                 journal kind u8, gap reason u8, by owner u8, pad 5, edge name 32 (NUL-padded)
 *       then the raw records (kind DATA)
 *     tag 16
 *
 * Integers are little-endian.  Redis can neither read nor forge it; repeating
 * and reordering it is harmless by the protocol (tracker_receiver.h).
 *
 * hash before: the running hash (tracker_record.h) over all records below
 * `first`, or 0 when the sender does not know it, because its journal has a
 * hole before `first`.  Of a GAP it is not looked at: send 0.
 */
#ifndef TRACKER_PACK_H
#define TRACKER_PACK_H

#include "tracker_keys.h"
#include "tracker_journal.h"

#define TRACKER_PACK_OVERHEAD  256u       /* header + preface + tag never exceed this */
#define TRACKER_PACK_RECORDS   64u        /* usual */
#define TRACKER_PACK_RECORDS_MAX 512u     /* when behind */
#define TRACKER_PACK_BODY_MAX  (1u << 20) /* bytes of raw records */

/* Persisted on the wire. */
enum tracker_pack_kind {
    TRACKER_PACK_DATA = 1,      /* records [first, first + count), count 1..TRACKER_PACK_RECORDS_MAX */
    TRACKER_PACK_GAP = 2,       /* [first, first + count) does not exist; count >= 1, reason in the preface */
    TRACKER_PACK_HEARTBEAT = 3, /* nothing new: all below first was handed over before; count 0 */
    TRACKER_PACK_CLOSE = 4      /* nothing at or after first will come, says owner or adopter; advisory */
};

struct tracker_pack {
    enum tracker_pack_kind    kind;
    uint8_t                   key;
    uint16_t                  partition;
    struct tracker_journal_id journal;
    enum tracker_journal_kind journal_kind;
    char                      edge[TRACKER_EDGE_NAME_MAX + 1];
    uint64_t                  first;
    uint32_t                  count;
    uint64_t                  hash_before;
    uint64_t                  accepted, dropped; /* of the journal, when the pack was made */
    uint64_t                  sent_ms;
    uint8_t                   by_owner;          /* 1: the living owner speaks; 0: an adopter */
    enum tracker_gap_reason   reason;            /* GAP only */
    const uint8_t            *records;           /* raw, borrowed; DATA only */
    size_t                    records_len;
};

/*
 * Kept per journal by the shipper, per recently seen (journal, key) by the
 * consumer: two EVP contexts that hold the derived key.  One thread at a time.
 */
struct tracker_sealer;
/* NULL when out of memory or the ring lacks `key`.  The ring may go afterwards. */
struct tracker_sealer *tracker_sealer_new(const struct tracker_keys *keys, unsigned key,
                                          const struct tracker_journal_id *journal);
void tracker_sealer_free(struct tracker_sealer *sealer);

/*
 * Seals pack into out; cap >= records_len + TRACKER_PACK_OVERHEAD is always
 * enough.  The key id and the journal id are the sealer's, whatever stands in
 * pack.  Returns the length; 0 when cap is too small or the pack is none that
 * tracker_pack_open would take (kind, count, bounds).
 */
size_t tracker_pack_seal(struct tracker_sealer *sealer, const struct tracker_pack *pack,
                         uint8_t *out, size_t cap);

enum tracker_pack_verdict {
    TRACKER_PACK_OK = 0,
    TRACKER_PACK_MALFORMED,
    TRACKER_PACK_UNKNOWN_KEY, /* the pack names another key than the sealer has: make that sealer first */
    TRACKER_PACK_FORGED       /* another journal than the sealer's, or the seal does not hold */
};
/*
 * The clear header only: who to make a sealer for (out->key, out->journal).
 * Nothing in it is trusted before tracker_pack_open.  OK or MALFORMED; whatever
 * the clear header does not say is zero in *out.
 */
enum tracker_pack_verdict tracker_pack_peek(struct tracker_str bytes, struct tracker_pack *out);
/*
 * Decrypts in place (bytes is the caller's buffer, garbage afterwards unless
 * OK); out->records borrows from it.  *out is valid only when OK: then the
 * bounds above hold, 1 <= first, first + count <= TRACKER_SEQUENCE_MAX + 1, and
 * edge is NUL-terminated printable ASCII.  The records themselves are not yet parsed.
 */
enum tracker_pack_verdict tracker_pack_open(struct tracker_sealer *sealer, uint8_t *bytes, size_t len,
                                            struct tracker_pack *out);

/* ---- acks: hash affiliate:acks:{p}, field = journal hex ---- */

#define TRACKER_ACK_LEN 40u /* key id u8, flags u8, pad 2, resend u32, next u64, incarnation u64, MAC 16 */

struct tracker_ack {
    uint64_t next;        /* the database has everything below */
    uint64_t incarnation; /* of the database's current life */
    uint32_t resend;      /* grows when the consumer asks to go back to `next`, within an incarnation */
    bool     forked;      /* the journal is quarantined: its owner must start a new one */
};
/* Signed with the current key; every key of the ring verifies. */
void tracker_ack_encode(const struct tracker_keys *keys, const struct tracker_journal_id *journal,
                        const struct tracker_ack *ack, uint8_t out[TRACKER_ACK_LEN]);
bool tracker_ack_decode(const struct tracker_keys *keys, const struct tracker_journal_id *journal,
                        struct tracker_str bytes, struct tracker_ack *out);

/* ---- consumer heartbeat: string affiliate:consumer:{p} ---- */

struct tracker_stream_id { uint64_t ms, seq; };

struct tracker_heartbeat {
    uint64_t beat;                   /* grows by one each time it is written */
    uint64_t incarnation;
    uint64_t time_ms;
    struct tracker_stream_id cursor; /* everything up to here has been read and decided */
    bool     idle;                   /* a read past the cursor came back empty; not "cursor == last generated
                                        id", in which an entry that was deleted unread still counts */
};
#define TRACKER_HEARTBEAT_CAP 192u
/*
 * Text "v1 <key id> <beat> <incarnation, 16 hex> <time_ms> <ms>-<seq> <0|1> <mac, 32 hex>", no NUL;
 * cap >= TRACKER_HEARTBEAT_CAP.  Returns its length; 0 when cap is smaller.
 */
size_t tracker_heartbeat_encode(const struct tracker_keys *keys, unsigned partition,
                                const struct tracker_heartbeat *beat, char *out, size_t cap);
bool tracker_heartbeat_decode(const struct tracker_keys *keys, unsigned partition,
                              struct tracker_str text, struct tracker_heartbeat *out);
/* "<ms>-<seq>", as Redis writes it: decimal, no sign, no leading zeros, each within 64 bits. */
bool tracker_stream_id_parse(struct tracker_str text, struct tracker_stream_id *out);

#endif
