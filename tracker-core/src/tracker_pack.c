/*
 * tracker_pack.c - seals packs, opens them, and believes nothing before.
 */
#include "tracker_pack.h"
#include "tracker_le.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>

#define NONCE_LEN 12
#define TAG_LEN   16

/* Offsets in the clear header. */
enum {
    AT_MAGIC = 0,
    AT_KEY = 4,
    AT_KIND = 5,
    AT_PARTITION = 6,
    AT_JOURNAL = 8,
    AT_FIRST = 24,
    AT_COUNT = 32,
    AT_HASH = 36,
    AT_NONCE = 44,
    AT_BODY_LEN = 56,
    HEADER_LEN = 60
};

/* Offsets in the preface. */
enum {
    AT_ACCEPTED = 0,
    AT_DROPPED = 8,
    AT_SENT = 16,
    AT_JOURNAL_KIND = 24,
    AT_REASON = 25,
    AT_BY_OWNER = 26,
    AT_EDGE = 32,
    PREFACE_LEN = 64
};

static const char MAGIC[4] = "AFP1";

_Static_assert(HEADER_LEN + PREFACE_LEN + TAG_LEN <= TRACKER_PACK_OVERHEAD, "the overhead is promised");
_Static_assert(AT_EDGE + TRACKER_EDGE_NAME_MAX + 1 == PREFACE_LEN, "the edge name ends the preface");
_Static_assert(AT_NONCE + NONCE_LEN == AT_BODY_LEN, "offsets");
_Static_assert(TRACKER_PACK_DATA == 1 && TRACKER_PACK_GAP == 2 && TRACKER_PACK_HEARTBEAT == 3
                   && TRACKER_PACK_CLOSE == 4,
               "pack kinds are persisted on the wire");
_Static_assert(TRACKER_JOURNAL_TRAFFIC == 1 && TRACKER_JOURNAL_MONEY == 2 && TRACKER_GAP_HOLE == 1
                   && TRACKER_GAP_FREED == 2 && TRACKER_GAP_MISSING == 3,
               "journal kinds and gap reasons travel");

struct tracker_sealer {
    EVP_CIPHER_CTX           *seal, *open;
    struct tracker_journal_id journal;
    uint8_t                   key;
};

static bool shape_ok(const struct tracker_pack *pack);
static void preface_write(const struct tracker_pack *pack, uint8_t preface[PREFACE_LEN]);
static bool preface_read(const uint8_t preface[PREFACE_LEN], struct tracker_pack *pack);
static bool body_seal(EVP_CIPHER_CTX *ctx, const struct tracker_pack *pack, uint8_t *out);
static bool body_open(EVP_CIPHER_CTX *ctx, uint8_t *bytes, size_t body_len);

/*
 * Nonces are drawn from the kernel for every pack: no counter, because the
 * machines that this protocol must survive include clones, and a copied counter
 * would repeat, which breaks GCM's authentication.  A journal's key seals fewer than 2^32 packs
 * (its sequences end at 2^32, a pack holds one or more, and resends are few), so two
 * nonces of 96 bits collide with probability below 2^-33, NIST SP 800-38D's own bound for random
 * nonces; at 2^26 packs, 2^-45.  One getrandom(2) per pack of 64 records is noise.
 */
size_t
tracker_pack_seal(struct tracker_sealer *sealer, const struct tracker_pack *pack, uint8_t *out, size_t cap)
{
    size_t body_len = PREFACE_LEN + pack->records_len;

    if (!shape_ok(pack) || cap < HEADER_LEN + body_len + TAG_LEN)
        return 0;

    memcpy(out + AT_MAGIC, MAGIC, sizeof(MAGIC));
    out[AT_KEY] = sealer->key;
    out[AT_KIND] = (uint8_t) pack->kind;
    tracker_put16(out + AT_PARTITION, pack->partition);
    memcpy(out + AT_JOURNAL, sealer->journal.bytes, TRACKER_JOURNAL_ID_LEN);
    tracker_put64(out + AT_FIRST, pack->first);
    tracker_put32(out + AT_COUNT, pack->count);
    tracker_put64(out + AT_HASH, pack->hash_before);
    randombytes_buf(out + AT_NONCE, NONCE_LEN);
    tracker_put32(out + AT_BODY_LEN, (uint32_t) body_len);

    return body_seal(sealer->seal, pack, out) ? HEADER_LEN + body_len + TAG_LEN : 0;
}

enum tracker_pack_verdict
tracker_pack_peek(struct tracker_str bytes, struct tracker_pack *out)
{
    const uint8_t *p = (const uint8_t *) bytes.data;

    memset(out, 0, sizeof(*out));
    if (bytes.len < HEADER_LEN + PREFACE_LEN + TAG_LEN || memcmp(p + AT_MAGIC, MAGIC, sizeof(MAGIC)) != 0)
        return TRACKER_PACK_MALFORMED;

    size_t body_len = tracker_get32(p + AT_BODY_LEN);
    if (body_len != bytes.len - HEADER_LEN - TAG_LEN || p[AT_KEY] >= TRACKER_KEYS_MAX)
        return TRACKER_PACK_MALFORMED;

    out->kind = (enum tracker_pack_kind) p[AT_KIND];
    out->key = p[AT_KEY];
    out->partition = tracker_get16(p + AT_PARTITION);
    memcpy(out->journal.bytes, p + AT_JOURNAL, TRACKER_JOURNAL_ID_LEN);
    out->first = tracker_get64(p + AT_FIRST);
    out->count = tracker_get32(p + AT_COUNT);
    out->hash_before = tracker_get64(p + AT_HASH);
    out->records_len = body_len - PREFACE_LEN;
    if (!shape_ok(out))
        return TRACKER_PACK_MALFORMED;
    out->records_len = 0;
    return TRACKER_PACK_OK;
}

enum tracker_pack_verdict
tracker_pack_open(struct tracker_sealer *sealer, uint8_t *bytes, size_t len, struct tracker_pack *out)
{
    enum tracker_pack_verdict verdict;
    uint8_t                  *body = bytes + HEADER_LEN;
    size_t                    body_len;

    verdict = tracker_pack_peek((struct tracker_str){ (const char *) bytes, len }, out);
    if (verdict != TRACKER_PACK_OK)
        return verdict;
    if (memcmp(&out->journal, &sealer->journal, sizeof(out->journal)) != 0)
        return TRACKER_PACK_FORGED;
    if (out->key != sealer->key)
        return TRACKER_PACK_UNKNOWN_KEY;

    body_len = len - HEADER_LEN - TAG_LEN;
    if (!body_open(sealer->open, bytes, body_len)) {
        sodium_memzero(body, body_len); /* decrypted, but not to be trusted */
        return TRACKER_PACK_FORGED;
    }
    if (!preface_read(body, out))
        return TRACKER_PACK_MALFORMED;
    if (out->kind == TRACKER_PACK_DATA) {
        out->records = body + PREFACE_LEN;
        out->records_len = body_len - PREFACE_LEN;
    }
    return TRACKER_PACK_OK;
}

struct tracker_sealer *
tracker_sealer_new(const struct tracker_keys *keys, unsigned key, const struct tracker_journal_id *journal)
{
    uint8_t                secret[TRACKER_KEY_LEN];
    struct tracker_sealer *sealer = NULL;
    EVP_CIPHER            *cipher = NULL;
    bool                   ok = false;

    if (!tracker_keys_has(keys, key))
        return NULL;
    tracker_keys_derive(keys, key, TRACKER_LABEL_PACK, journal->bytes, TRACKER_JOURNAL_ID_LEN, secret);

    sealer = calloc(1, sizeof(*sealer));
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL); /* here, once: a fetch costs more than a pack */
    if (sealer == NULL || cipher == NULL)
        goto done;
    sealer->journal = *journal;
    sealer->key = (uint8_t) key;
    sealer->seal = EVP_CIPHER_CTX_new();
    sealer->open = EVP_CIPHER_CTX_new();
    ok = sealer->seal != NULL && sealer->open != NULL
         && EVP_EncryptInit_ex2(sealer->seal, cipher, secret, NULL, NULL) == 1
         && EVP_DecryptInit_ex2(sealer->open, cipher, secret, NULL, NULL) == 1;

done:
    EVP_CIPHER_free(cipher); /* the contexts hold their own references */
    sodium_memzero(secret, sizeof(secret));
    if (!ok) {
        tracker_sealer_free(sealer);
        return NULL;
    }
    return sealer;
}

void
tracker_sealer_free(struct tracker_sealer *sealer)
{
    if (sealer == NULL)
        return;
    EVP_CIPHER_CTX_free(sealer->seal); /* wipes the key */
    EVP_CIPHER_CTX_free(sealer->open);
    free(sealer);
}

/* What both sides agree on about kind, count and bounds; see tracker_pack_open. */
static bool
shape_ok(const struct tracker_pack *pack)
{
    const uint64_t last = (uint64_t) TRACKER_SEQUENCE_MAX + 1;

    if (pack->first == 0 || pack->first > last || pack->count > last - pack->first)
        return false;
    switch (pack->kind) {
    case TRACKER_PACK_DATA:
        return pack->count >= 1 && pack->count <= TRACKER_PACK_RECORDS_MAX
               && pack->records_len <= TRACKER_PACK_BODY_MAX;
    case TRACKER_PACK_GAP:
        return pack->count >= 1 && pack->records_len == 0;
    case TRACKER_PACK_HEARTBEAT:
    case TRACKER_PACK_CLOSE:
        return pack->count == 0 && pack->records_len == 0;
    }
    return false; /* a kind from the wire that we do not know */
}

static void
preface_write(const struct tracker_pack *pack, uint8_t preface[PREFACE_LEN])
{
    memset(preface, 0, PREFACE_LEN);
    tracker_put64(preface + AT_ACCEPTED, pack->accepted);
    tracker_put64(preface + AT_DROPPED, pack->dropped);
    tracker_put64(preface + AT_SENT, pack->sent_ms);
    preface[AT_JOURNAL_KIND] = (uint8_t) pack->journal_kind;
    preface[AT_REASON] = pack->kind == TRACKER_PACK_GAP ? (uint8_t) pack->reason : 0;
    preface[AT_BY_OWNER] = pack->by_owner != 0;
    memcpy(preface + AT_EDGE, pack->edge, strnlen(pack->edge, TRACKER_EDGE_NAME_MAX));
}

static bool
preface_read(const uint8_t preface[PREFACE_LEN], struct tracker_pack *pack)
{
    const char    *edge = (const char *) preface + AT_EDGE;
    uint8_t        kind = preface[AT_JOURNAL_KIND], reason = preface[AT_REASON];

    if (kind != TRACKER_JOURNAL_TRAFFIC && kind != TRACKER_JOURNAL_MONEY)
        return false;
    if (pack->kind == TRACKER_PACK_GAP ? reason < TRACKER_GAP_HOLE || reason > TRACKER_GAP_MISSING
                                       : reason != 0)
        return false;
    if (preface[AT_BY_OWNER] > 1 || !tracker_edge_name_valid(edge))
        return false;

    pack->accepted = tracker_get64(preface + AT_ACCEPTED);
    pack->dropped = tracker_get64(preface + AT_DROPPED);
    pack->sent_ms = tracker_get64(preface + AT_SENT);
    pack->journal_kind = (enum tracker_journal_kind) kind;
    pack->reason = (enum tracker_gap_reason) reason;
    pack->by_owner = preface[AT_BY_OWNER];
    memcpy(pack->edge, edge, TRACKER_EDGE_NAME_MAX + 1);
    return true;
}

/* out holds the finished clear header; preface, records (read where they lie) and tag go behind it. */
static bool
body_seal(EVP_CIPHER_CTX *ctx, const struct tracker_pack *pack, uint8_t *out)
{
    uint8_t             preface[PREFACE_LEN];
    uint8_t            *body = out + HEADER_LEN, *tag = body + PREFACE_LEN + pack->records_len;
    struct tracker_pack echo = { .kind = pack->kind };
    int                 len;

    preface_write(pack, preface);
    if (!preface_read(preface, &echo)) /* the other side would not take it either */
        return false;
    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, out + AT_NONCE, NULL) != 1
        || EVP_EncryptUpdate(ctx, NULL, &len, out, HEADER_LEN) != 1
        || EVP_EncryptUpdate(ctx, body, &len, preface, PREFACE_LEN) != 1)
        return false;
    if (pack->records_len > 0
        && EVP_EncryptUpdate(ctx, body + PREFACE_LEN, &len, pack->records, (int) pack->records_len) != 1)
        return false;
    return EVP_EncryptFinal_ex(ctx, tag, &len) == 1
           && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;
}

/* In place: GCM's counter mode lets input and output be the same bytes. */
static bool
body_open(EVP_CIPHER_CTX *ctx, uint8_t *bytes, size_t body_len)
{
    uint8_t *body = bytes + HEADER_LEN, *tag = body + body_len;
    int      len;

    return EVP_DecryptInit_ex2(ctx, NULL, NULL, bytes + AT_NONCE, NULL) == 1
           && EVP_DecryptUpdate(ctx, NULL, &len, bytes, HEADER_LEN) == 1
           && EVP_DecryptUpdate(ctx, body, &len, body, (int) body_len) == 1
           && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1
           && EVP_DecryptFinal_ex(ctx, tag, &len) == 1;
}
