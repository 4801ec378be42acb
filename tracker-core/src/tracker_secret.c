/*
 * tracker_secret.c - secrets at rest.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: see tracker_api_key_hash */

#include "tracker_secret.h"

#include <openssl/sha.h>
#include <sodium.h>

#include "tracker_le.h"

#define SEALED_NONCE 1
#define SEALED_BOX   (SEALED_NONCE + crypto_secretbox_NONCEBYTES)

_Static_assert(TRACKER_SECRET_OVERHEAD == SEALED_BOX + crypto_secretbox_MACBYTES, "as the header says");
_Static_assert(TRACKER_KEY_LEN == crypto_secretbox_KEYBYTES, "a derived key is a box's key");
_Static_assert(TRACKER_API_KEY_HASH_LEN == SHA256_DIGEST_LENGTH, "as the header says");

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

/*
 * Every call of the partner API waits for it, strangers' too.  libsodium's is portable C and takes 1.75 times the
 * instructions; EVP takes a third more to find this very code.
 */
void
tracker_api_key_hash(struct tracker_str key, uint8_t hash[TRACKER_API_KEY_HASH_LEN])
{
    SHA256_CTX context;

    SHA256_Init(&context);
    if (key.len > 0)
        SHA256_Update(&context, key.data, key.len);
    SHA256_Final(hash, &context); /* wipes what it holds of the key */
}
