/*
 * tracker_click_id.h - a click id proves itself.
 *
 * 240 bits as 40 characters of the sorted URL-safe alphabet
 * "-0123456789A-Z_a-z", so that ids of one key sort by time as text:
 *
 *     version 2 | key id 4 | time, ms since 1970 42 | journal 48 |
 *     sequence 32 | link 32 | MAC 80
 *
 * Version 0 is a recorded click, version 1 an unrecorded one (the journal
 * refused it; sequence is then the drop counter), 2 and 3 are reserved.  The
 * MAC is SipHash-2-4-128 over the first 20 bytes, truncated to 80 bits; 80 bits
 * because a forger has one try per HTTP request (design, "Click id").
 */
#ifndef TRACKER_CLICK_ID_H
#define TRACKER_CLICK_ID_H

#include "tracker_keys.h"

#define TRACKER_CLICK_ID_LEN 40

struct tracker_click_id {
    uint64_t time_ms;  /* wall clock at the edge, < 2^42 */
    uint64_t journal;  /* tracker_journal_id_short(), < 2^48 */
    uint32_t sequence; /* of the event in its journal, or the drop counter */
    uint32_t link;
    uint8_t  key;      /* key id, < TRACKER_KEYS_MAX */
    bool     recorded;
};

enum tracker_click_id_verdict {
    TRACKER_CLICK_ID_OK = 0,
    TRACKER_CLICK_ID_MALFORMED,   /* length, alphabet or version */
    TRACKER_CLICK_ID_UNKNOWN_KEY, /* the ring has no such key (any more) */
    TRACKER_CLICK_ID_FORGED       /* the MAC does not match */
};

/* id->key must be in the ring.  Writes exactly TRACKER_CLICK_ID_LEN bytes, no NUL.  One MAC. */
void tracker_click_id_encode(const struct tracker_keys *keys, const struct tracker_click_id *id,
                             char *out);

/* Fills *id only on TRACKER_CLICK_ID_OK.  Any bytes are safe.  MAC compared in constant time. */
enum tracker_click_id_verdict
tracker_click_id_decode(const struct tracker_keys *keys, struct tracker_str text,
                        struct tracker_click_id *id);

#endif
