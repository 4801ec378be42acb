/*
 * tracker_keys.h - the key ring: master keys by id, one derived key per use.
 *
 * A key file is text.  Blank lines and lines that begin with '#' are skipped;
 * every other line is
 *
 *     <id 0..15> <current|accepted> <64 hex digits>
 *
 * Exactly one line is "current": it signs.  "accepted" keys only verify.
 * Rotation: add a key as accepted everywhere, make it current, drop the old
 * one once nothing it signed is still wanted.
 */
#ifndef TRACKER_KEYS_H
#define TRACKER_KEYS_H

#include "tracker_types.h"

#define TRACKER_KEY_LEN      32
#define TRACKER_KEYS_MAX     16
#define TRACKER_KEYS_FILE_MAX 4096 /* bytes; a longer file is refused */

/* Labels keep uses apart: a MAC made for one never verifies as another. */
#define TRACKER_LABEL_CLICK_ID "affiliate click-id v1"
#define TRACKER_LABEL_PACK     "affiliate pack v1"
#define TRACKER_LABEL_ACK      "affiliate ack v1"
#define TRACKER_LABEL_SNAPSHOT "affiliate snapshot v1"
#define TRACKER_LABEL_SECRET   "affiliate secret v1"
#define TRACKER_LABEL_ADDRESS  "affiliate address v1"
#define TRACKER_LABEL_LEAD     "affiliate lead v1"
#define TRACKER_LABEL_VERDICT  "affiliate verdict v1"
#define TRACKER_LABEL_FORM     "affiliate form v1"
#define TRACKER_LABEL_PASS     "affiliate pass v1"

struct tracker_keys {
    uint8_t  current;                /* id of the key that signs */
    uint16_t present;                /* bit i: master[i] holds a key */
    uint8_t  master[TRACKER_KEYS_MAX][TRACKER_KEY_LEN];
    uint8_t  click_id[TRACKER_KEYS_MAX][16]; /* derived once: the click path's SipHash keys */
};

/*
 * Parses the text of a key file into keys.  On failure returns -1 and points
 * *error at a static sentence, prefixed by nothing; *line is the 1-based line
 * (0 when no single line is at fault).  Never echoes key material.
 */
int tracker_keys_parse(struct tracker_keys *keys, struct tracker_str text,
                       const char **error, int *line);

static inline bool
tracker_keys_has(const struct tracker_keys *keys, unsigned id)
{
    return id < TRACKER_KEYS_MAX && (keys->present >> id & 1);
}

/*
 * BLAKE2b-256 keyed with master[id] over label (with its NUL) and context: the key of one
 * use.  The caller has checked tracker_keys_has(keys, id).
 */
void tracker_keys_derive(const struct tracker_keys *keys, unsigned id, const char *label,
                         const void *context, size_t context_len,
                         uint8_t out[TRACKER_KEY_LEN]);

/* Writes one key-file line for a fresh random key; buf must hold 96 bytes. Returns its length. */
size_t tracker_keys_generate(char *buf, unsigned id, bool current);

/* Wipes the ring. */
void tracker_keys_clear(struct tracker_keys *keys);

#endif
