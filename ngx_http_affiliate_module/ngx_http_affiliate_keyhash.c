/*
 * ngx_http_affiliate_keyhash.c - the SHA-256 of our API users' keys, remembered: they send the same with every call.
 *
 * Only keys that the snapshot knows are kept, so that strangers neither fill the memo nor wait for it.  No key stands
 * here in clear: a MAC of its text (SipHash-2-4-128, a key of this worker's own) says that it is that key.  Its place
 * and a tag come from its last bytes, mixed with more that only this worker knows; they are there to be quick, and save
 * strangers the MAC.  What a hash is good for is asked of the snapshot every time.
 */
#include "ngx_http_affiliate_caller.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_KEYHASH_BITS 10
#define NGX_HTTP_AFFILIATE_KEYHASH_TAIL 8 /* of a key's bytes; a shorter key is not kept */

typedef struct {
    uint32_t tag; /* 0: a free place */
    uint8_t  mac[crypto_shorthash_siphashx24_BYTES];
    uint8_t  hash[TRACKER_API_KEY_HASH_LEN];
} ngx_http_affiliate_keyhash_t;

static ngx_http_affiliate_keyhash_t *ngx_http_affiliate_keyhash_place(struct tracker_str key, uint32_t *tag);

static ngx_http_affiliate_keyhash_t ngx_http_affiliate_keyhashes[1 << NGX_HTTP_AFFILIATE_KEYHASH_BITS];
static struct {
    uint8_t  key[crypto_shorthash_siphashx24_KEYBYTES];
    uint64_t mask, factor; /* factor 0: nothing was drawn in this process yet */
} ngx_http_affiliate_keyhash_secret;

ngx_uint_t
ngx_http_affiliate_keyhash_find(struct tracker_str key, uint8_t hash[TRACKER_API_KEY_HASH_LEN])
{
    uint8_t                             mac[crypto_shorthash_siphashx24_BYTES];
    uint32_t                            tag;
    const ngx_http_affiliate_keyhash_t *at;

    if (key.len < NGX_HTTP_AFFILIATE_KEYHASH_TAIL || ngx_http_affiliate_keyhash_secret.factor == 0) {
        return 0;
    }
    at = ngx_http_affiliate_keyhash_place(key, &tag);
    if (at->tag != tag) {
        return 0;
    }
    (void) crypto_shorthash_siphashx24(mac, (const u_char *) key.data, key.len, ngx_http_affiliate_keyhash_secret.key);
    if (sodium_memcmp(at->mac, mac, sizeof(mac)) != 0) {
        return 0;
    }
    ngx_memcpy(hash, at->hash, TRACKER_API_KEY_HASH_LEN);
    return 1;
}

void
ngx_http_affiliate_keyhash_keep(struct tracker_str key, const uint8_t hash[TRACKER_API_KEY_HASH_LEN])
{
    uint32_t                      tag;
    ngx_http_affiliate_keyhash_t *at;

    if (key.len < NGX_HTTP_AFFILIATE_KEYHASH_TAIL) {
        return;
    }
    if (ngx_http_affiliate_keyhash_secret.factor == 0) {
        randombytes_buf(&ngx_http_affiliate_keyhash_secret, sizeof(ngx_http_affiliate_keyhash_secret));
        ngx_http_affiliate_keyhash_secret.factor |= 1;
    }
    at = ngx_http_affiliate_keyhash_place(key, &tag);
    at->tag = tag;
    (void) crypto_shorthash_siphashx24(at->mac, (const u_char *) key.data, key.len,
                                       ngx_http_affiliate_keyhash_secret.key);
    ngx_memcpy(at->hash, hash, TRACKER_API_KEY_HASH_LEN);
}

static ngx_http_affiliate_keyhash_t *
ngx_http_affiliate_keyhash_place(struct tracker_str key, uint32_t *tag)
{
    uint64_t tail;

    ngx_memcpy(&tail, key.data + key.len - NGX_HTTP_AFFILIATE_KEYHASH_TAIL, sizeof(tail));
    tail = (tail ^ ngx_http_affiliate_keyhash_secret.mask) * ngx_http_affiliate_keyhash_secret.factor;
    *tag = (uint32_t) (tail >> 16) | 1;
    return &ngx_http_affiliate_keyhashes[tail >> (64 - NGX_HTTP_AFFILIATE_KEYHASH_BITS)];
}
