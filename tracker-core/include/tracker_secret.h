/*
 * tracker_secret.h - a secret that must be stored readable: sealed with the key ring; and one that must not: its hash.
 *
 * Signing secrets have to be known in clear to whoever verifies with them, so
 * they cannot be hashed.  In SQL, in snapshots and on the wire they are sealed:
 * key id 1 | nonce 24 | XSalsa20-Poly1305 box, its key derived with
 * TRACKER_LABEL_SECRET and the owner's id, so that nobody's sealed secret
 * opens as somebody else's.
 */
#ifndef TRACKER_SECRET_H
#define TRACKER_SECRET_H

#include "tracker_keys.h"

#define TRACKER_SECRET_MAX      64 /* bytes in clear */
#define TRACKER_SECRET_OVERHEAD 41
#define TRACKER_SECRET_SEALED_MAX (TRACKER_SECRET_MAX + TRACKER_SECRET_OVERHEAD)

/* Seals 1..TRACKER_SECRET_MAX bytes for `owner` into out (their length + TRACKER_SECRET_OVERHEAD); that length. */
size_t tracker_secret_seal(const struct tracker_keys *keys, uint64_t owner, struct tracker_str secret,
                           uint8_t out[TRACKER_SECRET_SEALED_MAX]);

/* The secret's length, or 0: not sealed by us for this owner.  The caller wipes out. */
size_t tracker_secret_open(const struct tracker_keys *keys, uint64_t owner, struct tracker_str sealed,
                           uint8_t out[TRACKER_SECRET_MAX]);

/* Of an API key SQL and snapshots hold its SHA-256: a key has 256 random bits, so that no salt is needed. */
#define TRACKER_API_KEY_HASH_LEN 32
void tracker_api_key_hash(struct tracker_str key, uint8_t hash[TRACKER_API_KEY_HASH_LEN]);

#endif
