/*
 * Guards the seal: what Redis holds can be neither read nor changed unnoticed,
 * no byte of it is believed before, and no nonce is ever used twice.
 *
 * What broke or could break: a header field that is not authenticated (each bit
 * of a pack is flipped); a length taken from the wire before it is checked (each
 * truncation is opened from an exact-size allocation, so that ASan sees one byte too
 * many); a preface that only a buggy or a captured edge would seal (sealed here by hand).
 */
#include "tracker_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/evp.h>

static struct tracker_keys keys;
static const struct tracker_journal_id journal = { "0123456789abcde" };
static const uint8_t body[] = "not records at all: the codec must not care";

static int
setup(void **state)
{
    const char *error;
    int         line;

    (void) state;
    return tracker_init() != 0
           || tracker_keys_parse(&keys,
                                 TRACKER_STR("3 current 000102030405060708090a0b0c0d0e0f"
                                             "101112131415161718191a1b1c1d1e1f\n"
                                             "15 accepted f00102030405060708090a0b0c0d0e0f"
                                             "101112131415161718191a1b1c1d1e1f\n"),
                                 &error, &line) != 0;
}

static struct tracker_pack
sample(enum tracker_pack_kind kind)
{
    struct tracker_pack pack = {
        .kind = kind,
        .partition = 0xabcd,
        .journal = journal,
        .journal_kind = TRACKER_JOURNAL_MONEY,
        .edge = "edge-1",
        .first = 4711,
        .count = kind == TRACKER_PACK_DATA ? 2 : kind == TRACKER_PACK_GAP ? 100000 : 0,
        .hash_before = UINT64_C(0x1122334455667788),
        .accepted = 5000,
        .dropped = 7,
        .sent_ms = UINT64_C(1700000000123),
        .by_owner = 1,
        .reason = kind == TRACKER_PACK_GAP ? TRACKER_GAP_FREED : 0,
    };

    if (kind == TRACKER_PACK_DATA) {
        pack.records = body;
        pack.records_len = sizeof(body);
    }
    return pack;
}

static size_t
seal(const struct tracker_pack *pack, uint8_t *out, size_t cap)
{
    struct tracker_sealer *sealer = tracker_sealer_new(&keys, 3, &journal);
    size_t                 len;

    assert_non_null(sealer);
    len = tracker_pack_seal(sealer, pack, out, cap);
    tracker_sealer_free(sealer);
    return len;
}

/* Opens a copy of exactly len bytes; true when it was OK. */
static bool
opens(struct tracker_sealer *sealer, const uint8_t *bytes, size_t len)
{
    struct tracker_pack pack;
    uint8_t            *copy = malloc(len > 0 ? len : 1);
    bool                ok;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    ok = tracker_pack_open(sealer, copy, len, &pack) == TRACKER_PACK_OK;
    free(copy);
    return ok;
}

static void
test_every_kind_comes_back(void **state)
{
    (void) state;
    for (int kind = TRACKER_PACK_DATA; kind <= TRACKER_PACK_CLOSE; kind++) {
        struct tracker_pack    in = sample((enum tracker_pack_kind) kind), peeked, out;
        struct tracker_sealer *sealer = tracker_sealer_new(&keys, 3, &journal);
        uint8_t                bytes[512];
        size_t                 len = tracker_pack_seal(sealer, &in, bytes, sizeof(bytes));

        assert_true(len > 0 && len <= in.records_len + TRACKER_PACK_OVERHEAD);
        assert_int_equal(tracker_pack_peek((struct tracker_str){ (char *) bytes, len }, &peeked),
                         TRACKER_PACK_OK);
        assert_int_equal(peeked.key, 3);
        assert_memory_equal(&peeked.journal, &journal, sizeof(journal));

        assert_int_equal(tracker_pack_open(sealer, bytes, len, &out), TRACKER_PACK_OK);
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.partition, in.partition);
        assert_int_equal(out.journal_kind, in.journal_kind);
        assert_string_equal(out.edge, in.edge);
        assert_true(out.first == in.first && out.count == in.count && out.hash_before == in.hash_before);
        assert_true(out.accepted == in.accepted && out.dropped == in.dropped && out.sent_ms == in.sent_ms);
        assert_int_equal(out.by_owner, 1);
        assert_int_equal(out.reason, in.reason);
        assert_int_equal(out.records_len, in.records_len);
        if (in.records_len > 0)
            assert_memory_equal(out.records, in.records, in.records_len);
        tracker_sealer_free(sealer);
    }
}

static void
test_each_flipped_bit_is_noticed(void **state)
{
    struct tracker_pack    in = sample(TRACKER_PACK_DATA);
    struct tracker_sealer *sealer = tracker_sealer_new(&keys, 3, &journal);
    uint8_t                bytes[512];
    size_t                 len = seal(&in, bytes, sizeof(bytes));

    (void) state;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_false(opens(sealer, bytes, len));
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_false(opens(sealer, bytes, cut));
    assert_true(opens(sealer, bytes, len)); /* a context recovers from every refusal */
    tracker_sealer_free(sealer);
}

static void
test_plaintext_does_not_show(void **state)
{
    struct tracker_pack in = sample(TRACKER_PACK_DATA);
    uint8_t             bytes[512];
    size_t              len = seal(&in, bytes, sizeof(bytes));

    (void) state;
    assert_null(memmem(bytes, len, "records", 7));
    assert_null(memmem(bytes, len, "edge-1", 6));
}

static void
test_keys_and_journals_are_kept_apart(void **state)
{
    struct tracker_journal_id other = journal;
    struct tracker_pack       in = sample(TRACKER_PACK_DATA), out;
    uint8_t                   bytes[512];
    size_t                    len = seal(&in, bytes, sizeof(bytes));
    struct tracker_sealer    *sealer;

    (void) state;
    other.bytes[15] ^= 1;
    sealer = tracker_sealer_new(&keys, 3, &other);
    assert_int_equal(tracker_pack_open(sealer, bytes, len, &out), TRACKER_PACK_FORGED);
    memcpy(bytes + 8, other.bytes, sizeof(other.bytes)); /* relabelled for another journal */
    assert_int_equal(tracker_pack_open(sealer, bytes, len, &out), TRACKER_PACK_FORGED);
    tracker_sealer_free(sealer);

    len = seal(&in, bytes, sizeof(bytes));
    sealer = tracker_sealer_new(&keys, 15, &journal);
    assert_int_equal(tracker_pack_open(sealer, bytes, len, &out), TRACKER_PACK_UNKNOWN_KEY);
    bytes[4] = 15;
    assert_int_equal(tracker_pack_open(sealer, bytes, len, &out), TRACKER_PACK_FORGED);
    tracker_sealer_free(sealer);
    assert_null(tracker_sealer_new(&keys, 4, &journal));
    assert_null(tracker_sealer_new(&keys, 99, &journal));
}

static int
nonce_order(const void *a, const void *b)
{
    return memcmp(a, b, 12);
}

static void
test_no_nonce_twice(void **state)
{
    enum { PACKS = 4096 };
    static uint8_t         nonces[PACKS][12];
    struct tracker_pack    in = sample(TRACKER_PACK_HEARTBEAT);
    struct tracker_sealer *sealer = tracker_sealer_new(&keys, 3, &journal);
    uint8_t                bytes[512];

    (void) state;
    for (int i = 0; i < PACKS; i++) {
        assert_true(tracker_pack_seal(sealer, &in, bytes, sizeof(bytes)) > 0);
        memcpy(nonces[i], bytes + 44, 12);
    }
    qsort(nonces, PACKS, sizeof(nonces[0]), nonce_order);
    for (int i = 1; i < PACKS; i++)
        assert_memory_not_equal(nonces[i - 1], nonces[i], 12);
    tracker_sealer_free(sealer);
}

static void
test_seal_refuses_what_open_would(void **state)
{
    struct tracker_pack good = sample(TRACKER_PACK_DATA), bad;
    uint8_t             bytes[512];
    size_t              need = seal(&good, bytes, sizeof(bytes));

    (void) state;
    assert_int_equal(seal(&good, bytes, need), need);
    assert_int_equal(seal(&good, bytes, need - 1), 0);
#define REFUSED(field, value)                                                                                \
    bad = good;                                                                                              \
    bad.field = (value);                                                                                     \
    assert_int_equal(seal(&bad, bytes, sizeof(bytes)), 0)
    REFUSED(kind, (enum tracker_pack_kind) 0);
    REFUSED(kind, (enum tracker_pack_kind) 5);
    REFUSED(first, 0);
    REFUSED(first, (uint64_t) TRACKER_SEQUENCE_MAX + 2);
    REFUSED(first, UINT64_MAX);
    REFUSED(count, 0);
    REFUSED(count, TRACKER_PACK_RECORDS_MAX + 1);
    REFUSED(records_len, TRACKER_PACK_BODY_MAX + 1);
    REFUSED(journal_kind, (enum tracker_journal_kind) 0);
    good = sample(TRACKER_PACK_GAP);
    REFUSED(count, 0);
    REFUSED(count, UINT32_MAX);
    REFUSED(reason, (enum tracker_gap_reason) 0);
    REFUSED(reason, (enum tracker_gap_reason) 4);
    REFUSED(records_len, 8);
    good = sample(TRACKER_PACK_HEARTBEAT);
    REFUSED(count, 1);
    strcpy(good.edge, "a");
    REFUSED(edge[1], '\n');
}

/* Seals `plain` under a valid header, as only a holder of the key could. */
static size_t
seal_by_hand(uint8_t kind, const uint8_t *plain, size_t plain_len, uint8_t *out)
{
    static const uint8_t count[5] = { 0, 1, 1, 0, 0 };
    EVP_CIPHER_CTX      *ctx = EVP_CIPHER_CTX_new();
    uint8_t              secret[TRACKER_KEY_LEN];
    int                  len;

    tracker_keys_derive(&keys, 3, TRACKER_LABEL_PACK, journal.bytes, sizeof(journal.bytes), secret);
    memset(out, 0, 60);
    memcpy(out, "AFP1", 4);
    out[4] = 3;
    out[5] = kind;
    memcpy(out + 8, journal.bytes, sizeof(journal.bytes));
    out[24] = 1;
    out[32] = count[kind];
    out[56] = (uint8_t) plain_len;
    out[57] = (uint8_t) (plain_len >> 8);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, out + 44), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, out, 60), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out + 60, &len, plain, (int) plain_len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, out + 60, &len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 60 + plain_len), 1);
    EVP_CIPHER_CTX_free(ctx);
    return 60 + plain_len + 16;
}

static enum tracker_pack_verdict
open_preface(uint8_t kind, size_t at, uint8_t value)
{
    struct tracker_sealer    *sealer = tracker_sealer_new(&keys, 3, &journal);
    uint8_t                   preface[64] = { 0 }, bytes[512];
    struct tracker_pack       pack;
    enum tracker_pack_verdict verdict;

    preface[24] = TRACKER_JOURNAL_TRAFFIC;
    preface[25] = kind == TRACKER_PACK_GAP ? TRACKER_GAP_HOLE : 0;
    preface[32] = 'e';
    preface[at] = value;
    verdict = tracker_pack_open(sealer, bytes, seal_by_hand(kind, preface, sizeof(preface), bytes), &pack);
    tracker_sealer_free(sealer);
    return verdict;
}

static void
test_a_sealed_preface_is_checked_too(void **state)
{
    (void) state;
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 32, 'x'), TRACKER_PACK_OK);
    assert_int_equal(open_preface(TRACKER_PACK_GAP, 32, 'x'), TRACKER_PACK_OK);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 24, 0), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 24, 3), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 25, 1), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_GAP, 25, 0), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_GAP, 25, 4), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 26, 2), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 32, '\n'), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 32, 0xff), TRACKER_PACK_MALFORMED);
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 34, 'x'), TRACKER_PACK_MALFORMED); /* after a NUL */
    assert_int_equal(open_preface(TRACKER_PACK_DATA, 63, 'x'), TRACKER_PACK_MALFORMED); /* no NUL */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_comes_back),
        cmocka_unit_test(test_each_flipped_bit_is_noticed),
        cmocka_unit_test(test_plaintext_does_not_show),
        cmocka_unit_test(test_keys_and_journals_are_kept_apart),
        cmocka_unit_test(test_no_nonce_twice),
        cmocka_unit_test(test_seal_refuses_what_open_would),
        cmocka_unit_test(test_a_sealed_preface_is_checked_too),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
