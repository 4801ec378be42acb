/*
 * test_tracker_keys.c - the key file and what is derived from it.
 *
 * A key file that is half right must not start an edge: two current keys would
 * split the fleet's signatures, a short key would weaken all of them, and an
 * error without its line sends an operator hunting at night.  Derived keys are
 * pinned: were the derivation to change, every cookie and journal out there
 * would stop to verify.
 */
#include "testing.h"

#include <limits.h>
#include <sodium.h>

#define A TESTING_HEX_A
#define B TESTING_HEX_B

static int
parse(struct tracker_keys *keys, const char *text, const char **error, int *line)
{
    size_t len = strlen(text);
    char *exact = testing_exact(text, len);
    int rc = tracker_keys_parse(keys, (struct tracker_str){ exact, len }, error, line);

    free(exact);
    return rc;
}

static void
test_good_file(void **state)
{
    struct tracker_keys keys;
    const char *error;
    int line;

    assert_int_equal(
        parse(&keys,
              "# edge keys\n\n"
              "  # indented\r\n"
              "0 accepted " A "\r\n"
              "\t15\tcurrent   " B "  \n"
              "   \n"
              "7 accepted 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", /* no newline */
              &error, &line),
        0);
    assert_null(error);
    assert_int_equal(line, 0);
    assert_int_equal(keys.current, 15);
    assert_int_equal(keys.present, 1 << 15 | 1 << 7 | 1 << 0);
    assert_true(tracker_keys_has(&keys, 0) && tracker_keys_has(&keys, 7) && tracker_keys_has(&keys, 15));
    assert_false(tracker_keys_has(&keys, 1) || tracker_keys_has(&keys, 16)
                 || tracker_keys_has(&keys, UINT_MAX));
    assert_int_equal(keys.master[0][31], 0x1f);
    assert_int_equal(keys.master[15][0], 0xf0);
    assert_memory_equal(keys.master[0], keys.master[7], TRACKER_KEY_LEN); /* upper case is the same key */
}

static void
test_all_sixteen(void **state)
{
    struct tracker_keys keys;
    char text[TRACKER_KEYS_FILE_MAX];
    size_t len = 0;
    const char *error;
    int line;

    assert_int_equal(tracker_init(), 0);
    for (unsigned id = 0; id < TRACKER_KEYS_MAX; id++)
        len += tracker_keys_generate(text + len, id, id == 9);
    assert_int_equal(tracker_keys_parse(&keys, (struct tracker_str){ text, len }, &error, &line), 0);
    assert_int_equal(keys.present, 0xffff);
    assert_int_equal(keys.current, 9);
    for (unsigned id = 1; id < TRACKER_KEYS_MAX; id++)
        assert_memory_not_equal(keys.master[id - 1], keys.master[id], TRACKER_KEY_LEN);
}

static void
test_errors_name_their_line(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *sentence; /* a piece of it */
    } cases[] = {
        { "", 0, "holds no key" },
        { "\n# nothing\n\n", 0, "holds no key" },
        { "1 accepted " A "\n", 0, "no key is marked current" },
        { "0 current " A "\n1 current " B "\n", 2, "second key" },
        { "0 current " A "\n#\n0 accepted " B "\n", 3, "twice" },
        { "16 current " A "\n", 1, "number from 0 to 15" },
        { "-1 current " A "\n", 1, "number from 0 to 15" },
        { "03 current " A "\n", 1, "number from 0 to 15" },
        { "1x current " A "\n", 1, "number from 0 to 15" },
        { "99999999999999999999 current " A "\n", 1, "number from 0 to 15" },
        { "\n\n\n1 active " A "\n", 4, "current nor accepted" },
        { "1 Current " A "\n", 1, "current nor accepted" },
        { "1 current\n", 1, "a key line is" },
        { "1 current \n" A "\n", 1, "a key line is" },
        { "1\n", 1, "a key line is" },
        { "1 current " A " " B "\n", 1, "a key line is" },
        { "1 current " A "0\n", 1, "64 hex digits" },
        { "1 current 00010203\n", 1, "64 hex digits" },
        { "1 current " A A "\n", 1, "64 hex digits" },
        { "1 current g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 1,
          "64 hex digits" },
        { "1 current 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1:\n", 1,
          "64 hex digits" },
        { "0 current " A "\n2 accepted " B "\x01\n", 2, "64 hex digits" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const struct tracker_keys empty;
        struct tracker_keys keys;
        const char *error = NULL;
        int line = -1;

        memset(&keys, 0xaa, sizeof(keys));
        assert_int_equal(parse(&keys, cases[i].text, &error, &line), -1);
        assert_non_null(error);
        if (strstr(error, cases[i].sentence) == NULL || line != cases[i].line)
            fail_msg("case %zu: line %d, \"%s\"", i, line, error);
        assert_memory_equal(&keys, &empty, sizeof(keys)); /* nothing of a refused file stays behind */
    }
}

static void
test_too_long(void **state)
{
    struct tracker_keys keys;
    char *text = malloc(TRACKER_KEYS_FILE_MAX + 1);
    const char *good = "0 current " A "\n", *error;
    int line;

    memset(text, '\n', TRACKER_KEYS_FILE_MAX + 1);
    memcpy(text, good, strlen(good));
    assert_int_equal(
        tracker_keys_parse(&keys, (struct tracker_str){ text, TRACKER_KEYS_FILE_MAX }, &error, &line), 0);
    assert_int_equal(
        tracker_keys_parse(&keys, (struct tracker_str){ text, TRACKER_KEYS_FILE_MAX + 1 }, &error, &line),
        -1);
    assert_int_equal(line, 0);
    assert_non_null(strstr(error, "4096"));
    free(text);
}

/* A NUL in the middle ends nothing: the bytes after it are judged too. */
static void
test_hostile_bytes(void **state)
{
    struct tracker_keys keys;
    const char *error;
    int line;
    char text[200];

    testing_seed();
    assert_int_equal(tracker_keys_parse(&keys, TRACKER_STR("0 current " A "\0\n"), &error, &line), -1);
    assert_int_equal(line, 1);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t) snprintf(text, sizeof(text), "3 current %s\n15 accepted %s\n", A, B);

        for (uint64_t hits = 1 + testing_below(3); hits > 0; hits--)
            text[testing_below(len)] = (char) testing_draw();
        len -= testing_below(2) * testing_below(len);
        char *exact = testing_exact(text, len);
        if (tracker_keys_parse(&keys, (struct tracker_str){ exact, len }, &error, &line) == 0)
            assert_true(tracker_keys_has(&keys, keys.current));
        else
            assert_true(error != NULL && keys.present == 0);
        free(exact);
    }
}

static void
test_derivation_is_pinned(void **state)
{
    struct tracker_keys keys;
    uint8_t key[TRACKER_KEY_LEN], again[TRACKER_KEY_LEN];
    char hex[2 * TRACKER_KEY_LEN + 1];

    testing_keys(&keys);
    tracker_keys_derive(&keys, 3, TRACKER_LABEL_CLICK_ID, NULL, 0, key);
    sodium_bin2hex(hex, sizeof(hex), key, sizeof(key));
    /* python3 -c "import hashlib; print(hashlib.blake2b(b'affiliate click-id v1\0', digest_size=32,
     *             key=bytes(range(32))).hexdigest())" */
    assert_string_equal(hex, "d43dbb13d8e7c6d13b9b74f08d7e607b3c1bda3d0f6786e3affcf7345fac0122");
    assert_memory_equal(key, keys.click_id[3], 16);

    tracker_keys_derive(&keys, 3, TRACKER_LABEL_PACK, "journal", 7, key);
    sodium_bin2hex(hex, sizeof(hex), key, sizeof(key));
    /* ... b'affiliate pack v1\0journal' ... */
    assert_string_equal(hex, "a1fcb5a78f448166ea9ade71169b15c9936fb1d38a0231814f41235a2cf73bd0");

    /* Key, label and context each matter, and the border between the latter two does. */
    tracker_keys_derive(&keys, 15, TRACKER_LABEL_PACK, "journal", 7, again);
    assert_memory_not_equal(key, again, sizeof(key));
    tracker_keys_derive(&keys, 3, TRACKER_LABEL_ACK, "journal", 7, again);
    assert_memory_not_equal(key, again, sizeof(key));
    tracker_keys_derive(&keys, 3, TRACKER_LABEL_PACK, "journam", 7, again);
    assert_memory_not_equal(key, again, sizeof(key));
    tracker_keys_derive(&keys, 3, TRACKER_LABEL_PACK "j", "ournal", 6, again);
    assert_memory_not_equal(key, again, sizeof(key));
}

static void
test_generate(void **state)
{
    char buf[96], other[96];

    assert_int_equal(tracker_init(), 0);
    for (unsigned id = 0; id < TRACKER_KEYS_MAX; id++) {
        struct tracker_keys keys;
        const char *error;
        int line;
        size_t len = tracker_keys_generate(buf, id, true);

        assert_int_equal(buf[len - 1], '\n');
        assert_int_equal(buf[len], '\0');
        assert_int_equal(tracker_keys_parse(&keys, (struct tracker_str){ buf, len }, &error, &line), 0);
        assert_int_equal(keys.current, id);
        assert_int_equal(keys.present, 1 << id);
        tracker_keys_generate(other, id, true);
        assert_string_not_equal(buf, other);
    }
    tracker_keys_generate(buf, 12, false);
    assert_memory_equal(buf, "12 accepted ", 12);
}

static void
test_clear(void **state)
{
    static const struct tracker_keys empty;
    struct tracker_keys keys;

    testing_keys(&keys);
    tracker_keys_clear(&keys);
    assert_memory_equal(&keys, &empty, sizeof(keys));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_all_sixteen),
        cmocka_unit_test(test_errors_name_their_line),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_derivation_is_pinned),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
