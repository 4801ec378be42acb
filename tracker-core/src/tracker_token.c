/*
 * tracker_token.c - tokens of forms, tickets and autologins to text and back.
 *
 * The raw lengths are multiples of three, so that base64url has no bits to spare: one text for one token.
 */
#include "tracker_token.h"
#include "tracker_le.h"

#include <sodium.h>

#define MAC_LEN crypto_generichash_BYTES_MIN /* before it is cut */

/* Offsets in a form token. */
enum { FORM_KEY = 0, FORM_TIME = 1, FORM_NONCE = 7, FORM_MAC = 15, FORM_RAW = 27 };

/* Offsets in a pass. */
enum {
    PASS_KEY = 0,
    PASS_USE = 1,
    PASS_EXPIRES = 2,
    PASS_OWNER = 6,
    PASS_LEAD = 10,
    PASS_NONCE = 26,
    PASS_MAC = 34,
    PASS_RAW = 48
};

_Static_assert(FORM_RAW % 3 == 0 && FORM_RAW / 3 * 4 == TRACKER_FORM_TOKEN_LEN, "no padding");
_Static_assert(PASS_RAW % 3 == 0 && PASS_RAW / 3 * 4 == TRACKER_PASS_LEN, "no padding");
_Static_assert(FORM_NONCE + TRACKER_NONCE_LEN == FORM_MAC && PASS_NONCE + TRACKER_NONCE_LEN == PASS_MAC
                   && PASS_LEAD + TRACKER_LEAD_ID_LEN == PASS_NONCE,
               "offsets");
_Static_assert(FORM_RAW - FORM_MAC <= MAC_LEN && PASS_RAW - PASS_MAC <= MAC_LEN, "MACs are cut, never lengthened");

static void form_mac(const struct tracker_keys *keys, unsigned key, uint32_t form, const uint8_t token[FORM_MAC],
                     uint8_t mac[MAC_LEN]);
static void pass_mac(const struct tracker_keys *keys, unsigned key, const uint8_t pass[PASS_MAC],
                     uint8_t mac[MAC_LEN]);
static void text_write(const uint8_t *raw, size_t len, char *out);
static bool text_read(struct tracker_str text, uint8_t *raw, size_t len);

void
tracker_form_token_make(const struct tracker_keys *keys, uint32_t form, uint64_t now_ms,
                        const uint8_t nonce[TRACKER_NONCE_LEN], char out[TRACKER_FORM_TOKEN_LEN])
{
    uint8_t raw[FORM_RAW], mac[MAC_LEN];

    raw[FORM_KEY] = keys->current;
    tracker_put64(raw + FORM_TIME, now_ms); /* 48 bits: until the year 10889; the nonce overwrites the rest */
    memcpy(raw + FORM_NONCE, nonce, TRACKER_NONCE_LEN);
    form_mac(keys, keys->current, form, raw, mac);
    memcpy(raw + FORM_MAC, mac, FORM_RAW - FORM_MAC);
    text_write(raw, sizeof(raw), out);
}

bool
tracker_form_token_read(const struct tracker_keys *keys, uint32_t form, uint64_t now_ms, struct tracker_str text,
                        uint64_t *shown_ms, uint8_t nonce[TRACKER_NONCE_LEN])
{
    uint8_t  raw[FORM_RAW], mac[MAC_LEN];
    uint64_t shown;

    if (!text_read(text, raw, sizeof(raw)) || !tracker_keys_has(keys, raw[FORM_KEY]))
        return false;
    form_mac(keys, raw[FORM_KEY], form, raw, mac);
    if (sodium_memcmp(mac, raw + FORM_MAC, FORM_RAW - FORM_MAC) != 0)
        return false;
    shown = tracker_get64(raw + FORM_TIME) & ((UINT64_C(1) << 48) - 1);
    if (shown > now_ms || now_ms - shown > TRACKER_FORM_TOKEN_LIFE_MS)
        return false;

    *shown_ms = shown;
    memcpy(nonce, raw + FORM_NONCE, TRACKER_NONCE_LEN);
    return true;
}

void
tracker_pass_make(const struct tracker_keys *keys, const struct tracker_pass *pass, char out[TRACKER_PASS_LEN])
{
    uint8_t raw[PASS_RAW], mac[MAC_LEN];

    raw[PASS_KEY] = keys->current;
    raw[PASS_USE] = pass->use;
    tracker_put32(raw + PASS_EXPIRES, pass->expires_s < UINT32_MAX ? (uint32_t) pass->expires_s : UINT32_MAX);
    tracker_put32(raw + PASS_OWNER, pass->owner);
    memcpy(raw + PASS_LEAD, pass->lead, TRACKER_LEAD_ID_LEN);
    memcpy(raw + PASS_NONCE, pass->nonce, TRACKER_NONCE_LEN);
    pass_mac(keys, keys->current, raw, mac);
    memcpy(raw + PASS_MAC, mac, PASS_RAW - PASS_MAC);
    text_write(raw, sizeof(raw), out);
}

bool
tracker_pass_read(const struct tracker_keys *keys, enum tracker_pass_use use, uint64_t now_s,
                  struct tracker_str text, struct tracker_pass *out)
{
    uint8_t raw[PASS_RAW], mac[MAC_LEN];

    if (!text_read(text, raw, sizeof(raw)) || !tracker_keys_has(keys, raw[PASS_KEY]))
        return false;
    pass_mac(keys, raw[PASS_KEY], raw, mac);
    if (sodium_memcmp(mac, raw + PASS_MAC, PASS_RAW - PASS_MAC) != 0 || raw[PASS_USE] != use
        || now_s >= tracker_get32(raw + PASS_EXPIRES))
        return false;

    out->use = raw[PASS_USE];
    out->owner = tracker_get32(raw + PASS_OWNER);
    out->expires_s = tracker_get32(raw + PASS_EXPIRES);
    memcpy(out->lead, raw + PASS_LEAD, TRACKER_LEAD_ID_LEN);
    memcpy(out->nonce, raw + PASS_NONCE, TRACKER_NONCE_LEN);
    return true;
}

static void
form_mac(const struct tracker_keys *keys, unsigned key, uint32_t form, const uint8_t token[FORM_MAC],
         uint8_t mac[MAC_LEN])
{
    uint8_t secret[TRACKER_KEY_LEN], context[4];

    tracker_put32(context, form);
    tracker_keys_derive(keys, key, TRACKER_LABEL_FORM, context, sizeof(context), secret);
    crypto_generichash(mac, MAC_LEN, token, FORM_MAC, secret, sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
}

static void
pass_mac(const struct tracker_keys *keys, unsigned key, const uint8_t pass[PASS_MAC], uint8_t mac[MAC_LEN])
{
    uint8_t secret[TRACKER_KEY_LEN];

    tracker_keys_derive(keys, key, TRACKER_LABEL_PASS, NULL, 0, secret);
    crypto_generichash(mac, MAC_LEN, pass, PASS_MAC, secret, sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
}

/* out takes no NUL, which libsodium always writes. */
static void
text_write(const uint8_t *raw, size_t len, char *out)
{
    char with_nul[TRACKER_PASS_LEN + 1];

    sodium_bin2base64(with_nul, sizeof(with_nul), raw, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    memcpy(out, with_nul, len / 3 * 4);
}

/* libsodium takes some bytes past ASCII for letters; there must be no second spelling. */
static bool
text_read(struct tracker_str text, uint8_t *raw, size_t len)
{
    char   again[TRACKER_PASS_LEN];
    size_t got;

    if (text.len != len / 3 * 4
        || sodium_base642bin(raw, len, text.data, text.len, NULL, &got, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING)
               != 0
        || got != len)
        return false;
    text_write(raw, len, again);
    return memcmp(again, text.data, text.len) == 0;
}
