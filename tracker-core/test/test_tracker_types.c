/*
 * test_tracker_types.c - journal ids as text.
 *
 * The text is a file name, a Redis hash field and a primary key: a second
 * spelling of one id would be a second journal, so only one may parse.
 */
#include "testing.h"

static void
test_round_trip(void **state)
{
    struct tracker_journal_id id, back;
    char hex[TRACKER_JOURNAL_HEX_LEN + 1];

    testing_seed();
    for (int round = 0; round < 1000; round++) {
        for (size_t i = 0; i < sizeof(id.bytes); i++)
            id.bytes[i] = (uint8_t) testing_draw();
        hex[TRACKER_JOURNAL_HEX_LEN] = '!';
        tracker_journal_id_format(&id, hex);
        assert_int_equal(hex[TRACKER_JOURNAL_HEX_LEN], '!');
        assert_true(tracker_journal_id_parse(&back, (struct tracker_str){ hex, TRACKER_JOURNAL_HEX_LEN }));
        assert_memory_equal(&id, &back, sizeof(id));
    }
}

static void
test_known_text(void **state)
{
    struct tracker_journal_id id;
    char hex[TRACKER_JOURNAL_HEX_LEN];

    assert_true(tracker_journal_id_parse(&id, TRACKER_STR("0123456789abcdef00ff10e0a5b69788")));
    assert_int_equal(id.bytes[0], 0x01);
    assert_int_equal(id.bytes[7], 0xef);
    assert_int_equal(id.bytes[15], 0x88);
    assert_true(tracker_journal_id_short(&id) == UINT64_C(0x0123456789ab));
    tracker_journal_id_format(&id, hex);
    assert_memory_equal(hex, "0123456789abcdef00ff10e0a5b69788", sizeof(hex));
}

/* Every byte but the 16 digits is refused at every place, and so is every other length. */
static void
test_refused(void **state)
{
    struct tracker_journal_id id, untouched;
    char hex[TRACKER_JOURNAL_HEX_LEN + 1];

    memset(&id, 0x5a, sizeof(id));
    untouched = id;
    for (size_t at = 0; at < TRACKER_JOURNAL_HEX_LEN; at++) {
        for (int c = 0; c < 256; c++) {
            if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
                continue;
            memset(hex, 'a', sizeof(hex));
            hex[at] = (char) c;
            assert_false(tracker_journal_id_parse(&id, (struct tracker_str){ hex, TRACKER_JOURNAL_HEX_LEN }));
        }
    }
    memset(hex, 'a', sizeof(hex));
    for (size_t len = 0; len <= sizeof(hex); len++)
        if (len != TRACKER_JOURNAL_HEX_LEN)
            assert_false(tracker_journal_id_parse(&id, (struct tracker_str){ hex, len }));
    assert_memory_equal(&id, &untouched, sizeof(id));
}

static void
test_str_eq(void **state)
{
    assert_true(tracker_str_eq(TRACKER_STR_NONE, TRACKER_STR("")));
    assert_true(tracker_str_eq(TRACKER_STR("ab"), (struct tracker_str){ "abc", 2 }));
    assert_false(tracker_str_eq(TRACKER_STR("ab"), TRACKER_STR("abc")));
    assert_false(tracker_str_eq(TRACKER_STR("ab"), TRACKER_STR("aB")));
}

static void
test_init_twice(void **state)
{
    assert_int_equal(tracker_init(), 0);
    assert_int_equal(tracker_init(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_known_text), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_str_eq),     cmocka_unit_test(test_init_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
