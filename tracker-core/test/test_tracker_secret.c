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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sealed_opens),
        cmocka_unit_test(test_damage_and_other_owners),
        cmocka_unit_test(test_rotation),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
