/*
 * tracker_types.h - what every tracker header shares.
 *
 * The library knows neither nginx nor SQL nor sockets.  It never prints, never
 * exits, keeps no global mutable state of its own, and is safe to call from any
 * thread on distinct objects once tracker_init() has returned.
 */
#ifndef TRACKER_TYPES_H
#define TRACKER_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes.  Not NUL-terminated; lives as long as its source. */
struct tracker_str {
    const char *data;
    size_t      len;
};

#define TRACKER_STR(literal) ((struct tracker_str){ (literal), sizeof(literal) - 1 })
#define TRACKER_STR_NONE     ((struct tracker_str){ NULL, 0 })

static inline bool
tracker_str_eq(struct tracker_str a, struct tracker_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A journal's random 128-bit id; its file name is the 32 lower-case hex digits. */
#define TRACKER_JOURNAL_ID_LEN 16
#define TRACKER_JOURNAL_HEX_LEN 32

struct tracker_journal_id {
    uint8_t bytes[TRACKER_JOURNAL_ID_LEN];
};

/* The first 48 bits of a journal id, big-endian: what a click id carries. */
static inline uint64_t
tracker_journal_id_short(const struct tracker_journal_id *id)
{
    uint64_t v = 0;
    for (int i = 0; i < 6; i++)
        v = v << 8 | id->bytes[i];
    return v;
}

/* hex must hold TRACKER_JOURNAL_HEX_LEN bytes; no NUL is written. */
void tracker_journal_id_format(const struct tracker_journal_id *id, char *hex);
/* true only for exactly 32 lower-case hex digits. */
bool tracker_journal_id_parse(struct tracker_journal_id *id, struct tracker_str hex);

/* Sets up libsodium.  Idempotent; 0, or -1 when libsodium fails. */
int tracker_init(void);

#endif
