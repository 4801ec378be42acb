/*
 * tracker_pack.h - what travels: sealed packs up, acks and heartbeats down.
 *
 * A pack is one binary value (field "p" of one stream entry):
 *
 *     clear header, 60 bytes, authenticated:
 *       magic "AFP1", key id u8, kind u8, partition u16, journal id 16,
 *       first sequence u64, count u32, hash before u64, nonce 12, body length u32
 *     body, AES-256-GCM under a key of that journal (label TRACKER_LABEL_PACK, context = journal id):
 *       preface: accepted u64 (sequences handed out), dropped u64,
 *                 sent_ms u64, journal kind, gap reason, by owner u8, pad, edge name 32
 *       then the raw records (kind RECORDS)
 *     tag 16
 *
 * Redis can neither read nor forge it; repeating and reordering it is harmless
 * by the protocol (tracker_receiver.h).  The exact preface layout is the codec's own.
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
    TRACKER_PACK_DATA = 1,      /* records [first, first + count) */
    TRACKER_PACK_GAP = 2,       /* [first, first + count) does not exist; reason in the preface */
    TRACKER_PACK_HEARTBEAT = 3, /* nothing new; first = next sequence, count 0 */
    TRACKER_PACK_CLOSE = 4      /* no record at or after first will come, says the owner or an adopter; advisory */
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

/* Kept per journal by the shipper, per recently seen journal by the consumer: an EVP context and key. */
struct tracker_sealer;
/* NULL when out of memory or the ring lacks `key`. */
struct tracker_sealer *tracker_sealer_new(const struct tracker_keys *keys, unsigned key,
                                          const struct tracker_journal_id *journal);
void tracker_sealer_free(struct tracker_sealer *sealer);

/* Seals pack (pack->key is set from the sealer) into out; cap >= records_len + TRACKER_PACK_OVERHEAD. Returns length or 0. */
size_t tracker_pack_seal(struct tracker_sealer *sealer, const struct tracker_pack *pack,
                         uint8_t *out, size_t cap);

enum tracker_pack_verdict {
    TRACKER_PACK_OK = 0,
    TRACKER_PACK_MALFORMED,
    TRACKER_PACK_UNKNOWN_KEY,
    TRACKER_PACK_FORGED
};
/* The clear header only: who to make a sealer for.  Nothing in it is trusted before tracker_pack_open. */
enum tracker_pack_verdict tracker_pack_peek(struct tracker_str bytes, struct tracker_pack *out);
/* Decrypts in place (bytes is the caller's buffer); pack->records borrows from it. */
enum tracker_pack_verdict tracker_pack_open(struct tracker_sealer *sealer, uint8_t *bytes, size_t len,
                                            struct tracker_pack *out);

/* ---- acks: hash affiliate:acks:{p}, field = journal hex ---- */

#define TRACKER_ACK_LEN 40u /* key id u8, flags u8, pad 2, resend u32, next u64, incarnation u64, MAC 16 */

struct tracker_ack {
    uint64_t next;        /* the database has everything below */
    uint64_t incarnation; /* of the database's current life */
    uint32_t resend;      /* grows when the consumer asks to go back to `next` */
    bool     forked;      /* the journal is quarantined: its owner must start a new one */
};
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
    bool     idle;                   /* the stream held nothing past the cursor */
};
/* Text "v1 <beat> <incarnation hex> <time_ms> <ms>-<seq> <0|1> <mac hex>"; cap >= 192. Returns length. */
size_t tracker_heartbeat_encode(const struct tracker_keys *keys, unsigned partition,
                                const struct tracker_heartbeat *beat, char *out, size_t cap);
bool tracker_heartbeat_decode(const struct tracker_keys *keys, unsigned partition,
                              struct tracker_str text, struct tracker_heartbeat *out);
bool tracker_stream_id_parse(struct tracker_str text, struct tracker_stream_id *out);

#endif
