/*
 * A sealed secret lies in databases, backups and snapshots: it must not be readable there, must not open as
 * another owner's, and damage must be seen.
 */
#include "testing.h"

#include "tracker_secret.h"

#include <sodium.h>

#define OWNER 42

static struct tracker_keys keys;

static int
set_up(void **state)
{
    char        text[256];
    const char *error;
    int         line;

    assert_int_equal(tracker_init(), 0);
    size_t len = tracker_keys_generate(text, 1, false);
    len += tracker_keys_generate(text + len, 2, true);
    return tracker_keys_parse(&keys, (struct tracker_str){ text, len }, &error, &line);
}

static void
test_what_is_sealed_opens(void **state)
{
    uint8_t secret[TRACKER_SECRET_MAX], sealed[TRACKER_SECRET_SEALED_MAX], again[TRACKER_SECRET_SEALED_MAX];
    uint8_t out[TRACKER_SECRET_MAX];

    randombytes_buf(secret, sizeof(secret));
    for (size_t len = 1; len <= TRACKER_SECRET_MAX; len++) {
        struct tracker_str clear = { (char *) secret, len };
        assert_int_equal(tracker_secret_seal(&keys, OWNER, clear, sealed), len + TRACKER_SECRET_OVERHEAD);
        assert_int_equal(tracker_secret_seal(&keys, OWNER, clear, again), len + TRACKER_SECRET_OVERHEAD);
        assert_memory_not_equal(sealed, again, len + TRACKER_SECRET_OVERHEAD); /* equal secrets do not show */
        assert_int_equal(tracker_secret_open(&keys, OWNER,
                                             (struct tracker_str){ (char *) sealed, len + TRACKER_SECRET_OVERHEAD }, out),
                         len);
        assert_memory_equal(out, secret, len);
    }
    assert_int_equal(tracker_secret_seal(&keys, OWNER, TRACKER_STR_NONE, sealed), 0);
    assert_int_equal(tracker_secret_seal(&keys, OWNER, (struct tracker_str){ (char *) sealed, TRACKER_SECRET_MAX + 1 },
                                         again), 0);
}

static void
test_damage_and_other_owners(void **state)
{
    uint8_t            sealed[TRACKER_SECRET_SEALED_MAX], out[TRACKER_SECRET_MAX];
    size_t             len = tracker_secret_seal(&keys, OWNER, TRACKER_STR("open sesame"), sealed);
    struct tracker_str all = { (char *) sealed, len };

    assert_int_equal(tracker_secret_open(&keys, OWNER, all, out), 11);
    assert_int_equal(tracker_secret_open(&keys, OWNER + 1, all, out), 0);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(tracker_secret_open(&keys, OWNER, (struct tracker_str){ (char *) sealed, cut }, out), 0);
    for (size_t bit = 0; bit < len * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
        assert_int_equal(tracker_secret_open(&keys, OWNER, all, out), 0);
        sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
}

/* What an older key sealed still opens while the ring accepts that key. */
static void
test_rotation(void **state)
{
    uint8_t             sealed[TRACKER_SECRET_SEALED_MAX], out[TRACKER_SECRET_MAX];
    struct tracker_keys older = keys;

    older.current = 1;
    size_t len = tracker_secret_seal(&older, OWNER, TRACKER_STR("old"), sealed);
    assert_int_equal(tracker_secret_open(&keys, OWNER, (struct tracker_str){ (char *) sealed, len }, out), 3);
    older.present = 1 << 2;
    assert_int_equal(tracker_secret_open(&older, OWNER, (struct tracker_str){ (char *) sealed, len }, out), 0);
}

/* FIPS 180-4's examples, and every length about the blocks' ends as libsodium has it, which the backend hashes with. */
static void
test_api_key_hash(void **state)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    uint8_t hash[TRACKER_API_KEY_HASH_LEN], other[TRACKER_API_KEY_HASH_LEN];
    char    hex[2 * TRACKER_API_KEY_HASH_LEN + 1], text[300];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        tracker_api_key_hash(testing_str(known[i].text), hash);
        assert_string_equal(sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash)), known[i].hex);
    }
    memset(text, 0xa5, sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        char *exact = testing_exact(text, len);

        tracker_api_key_hash((struct tracker_str){ exact, len }, hash);
        crypto_hash_sha256(other, (const uint8_t *) exact, len);
        assert_memory_equal(hash, other, sizeof(hash));
        free(exact);
    }
    tracker_api_key_hash(TRACKER_STR_NONE, hash);
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash)), known[0].hex);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sealed_opens),
        cmocka_unit_test(test_damage_and_other_owners),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_api_key_hash),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
