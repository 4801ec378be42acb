#include "service/secret.h"

#include <string.h>

#include <sodium.h>

void
secret_new(const char *prefix, char text[SECRET_MAX], uint8_t hash[SECRET_HASH_LEN])
{
    unsigned char random[32];
    size_t        len = strlen(prefix);

    randombytes_buf(random, sizeof(random));
    memcpy(text, prefix, len);
    sodium_bin2base64(text + len, SECRET_MAX - len, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof(random));
    crypto_hash_sha256(hash, (const unsigned char *) text, strlen(text));
}

bool
secret_hash(const char *text, uint8_t hash[SECRET_HASH_LEN])
{
    if (text == NULL || strlen(text) >= SECRET_MAX)
        return false;
    crypto_hash_sha256(hash, (const unsigned char *) text, strlen(text));
    return true;
}
