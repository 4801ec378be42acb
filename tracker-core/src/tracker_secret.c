/*
 * tracker_secret.c - secrets at rest.
 */
#include "tracker_secret.h"

#include <sodium.h>

#include "tracker_le.h"

#define SEALED_NONCE 1
#define SEALED_BOX   (SEALED_NONCE + crypto_secretbox_NONCEBYTES)

_Static_assert(TRACKER_SECRET_OVERHEAD == SEALED_BOX + crypto_secretbox_MACBYTES, "as the header says");
_Static_assert(TRACKER_KEY_LEN == crypto_secretbox_KEYBYTES, "a derived key is a box's key");

static void
secret_key(const struct tracker_keys *keys, unsigned id, uint64_t owner, uint8_t key[TRACKER_KEY_LEN])
{
    uint8_t context[8];

    tracker_put64(context, owner);
    tracker_keys_derive(keys, id, TRACKER_LABEL_SECRET, context, sizeof(context), key);
}

size_t
tracker_secret_seal(const struct tracker_keys *keys, uint64_t owner, struct tracker_str secret,
                    uint8_t out[TRACKER_SECRET_SEALED_MAX])
{
    uint8_t key[TRACKER_KEY_LEN];

    if (secret.len == 0 || secret.len > TRACKER_SECRET_MAX)
        return 0;
    secret_key(keys, keys->current, owner, key);
    out[0] = keys->current;
    randombytes_buf(out + SEALED_NONCE, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(out + SEALED_BOX, (const uint8_t *) secret.data, secret.len, out + SEALED_NONCE, key);
    sodium_memzero(key, sizeof(key));
    return secret.len + TRACKER_SECRET_OVERHEAD;
}

size_t
tracker_secret_open(const struct tracker_keys *keys, uint64_t owner, struct tracker_str sealed,
                    uint8_t out[TRACKER_SECRET_MAX])
{
    const uint8_t *bytes = (const uint8_t *) sealed.data;
    uint8_t        key[TRACKER_KEY_LEN];
    int            rc;

    if (sealed.len <= TRACKER_SECRET_OVERHEAD || sealed.len > TRACKER_SECRET_SEALED_MAX
        || !tracker_keys_has(keys, bytes[0]))
        return 0;
    secret_key(keys, bytes[0], owner, key);
    rc = crypto_secretbox_open_easy(out, bytes + SEALED_BOX, sealed.len - SEALED_BOX, bytes + SEALED_NONCE, key);
    sodium_memzero(key, sizeof(key));
    return rc == 0 ? sealed.len - TRACKER_SECRET_OVERHEAD : 0;
}
