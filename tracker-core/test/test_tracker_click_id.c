/*
 * test_tracker_click_id.c - a click id proves itself.
 *
 * Ids travel through browsers, advertisers and spreadsheets and come back as a
 * claim to money.  Guarded here: nothing but the very 40 characters we wrote
 * verifies (each of the 240 bits, each byte at each place), the layout is
 * pinned, since ids outlive releases, and text sorts by time, since SQL and
 * cookie eviction lean on it.
 */
#include "testing.h"

#include "tracker_click_id.h"

#define SORTED "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

static struct tracker_keys keys;

static struct tracker_click_id
random_id(void)
{
    return (struct tracker_click_id){
        .time_ms = testing_magnitude(42),
        .journal = testing_magnitude(48),
        .sequence = (uint32_t) testing_magnitude(32),
        .link = (uint32_t) testing_magnitude(32),
        .key = testing_below(2) ? 3 : 15,
        .recorded = testing_below(2) != 0,
    };
}

static enum tracker_click_id_verdict
decode(const char *text, size_t len, struct tracker_click_id *id)
{
    char *exact = testing_exact(text, len);
    enum tracker_click_id_verdict verdict =
        tracker_click_id_decode(&keys, (struct tracker_str){ exact, len }, id);

    free(exact);
    return verdict;
}

static void
assert_same(const struct tracker_click_id *a, const struct tracker_click_id *b)
{
    assert_true(a->time_ms == b->time_ms);
    assert_true(a->journal == b->journal);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->link, b->link);
    assert_int_equal(a->key, b->key);
    assert_int_equal(a->recorded, b->recorded);
}

static void
test_round_trip(void **state)
{
    char text[TRACKER_CLICK_ID_LEN + 1];

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_click_id id = random_id(), back;

        text[TRACKER_CLICK_ID_LEN] = '!';
        tracker_click_id_encode(&keys, &id, text);
        assert_int_equal(text[TRACKER_CLICK_ID_LEN], '!');
        assert_int_equal(strspn(text, SORTED), TRACKER_CLICK_ID_LEN);
        assert_int_equal(decode(text, TRACKER_CLICK_ID_LEN, &back), TRACKER_CLICK_ID_OK);
        assert_same(&id, &back);
    }
}

static void
test_extremes(void **state)
{
    static const struct tracker_click_id ids[] = {
        { .key = 3, .recorded = true },
        { .time_ms = (UINT64_C(1) << 42) - 1,
          .journal = (UINT64_C(1) << 48) - 1,
          .sequence = UINT32_MAX,
          .link = UINT32_MAX,
          .key = 15,
          .recorded = false },
    };
    struct tracker_click_id back;
    char text[TRACKER_CLICK_ID_LEN];

    for (size_t i = 0; i < 2; i++) {
        tracker_click_id_encode(&keys, &ids[i], text);
        assert_int_equal(decode(text, sizeof(text), &back), TRACKER_CLICK_ID_OK);
        assert_same(&ids[i], &back);
    }
}

/* A clock or a journal past its bits takes nothing from its neighbours, key id and version least of all. */
static void
test_fields_do_not_spill(void **state)
{
    struct tracker_click_id id = { .time_ms = UINT64_MAX, .journal = UINT64_MAX, .key = 3, .recorded = true };
    struct tracker_click_id back;
    char text[TRACKER_CLICK_ID_LEN];

    for (int round = 0; round < 2; round++) {
        tracker_click_id_encode(&keys, &id, text);
        assert_int_equal(decode(text, sizeof(text), &back), TRACKER_CLICK_ID_OK);
        id.time_ms &= (UINT64_C(1) << 42) - 1;
        id.journal &= (UINT64_C(1) << 48) - 1;
        assert_same(&id, &back);
        id.time_ms = 0; /* again, where a spilt bit would show */
        id.journal = UINT64_MAX;
    }
}

/* Worked out by a separate implementation of BLAKE2b, SipHash-2-4-128 and the layout. */
static void
test_layout_is_pinned(void **state)
{
    struct tracker_click_id id = { .time_ms = UINT64_C(1700000000000),
                                   .journal = UINT64_C(0x0123456789ab),
                                   .sequence = 42,
                                   .link = 7,
                                   .key = 3,
                                   .recorded = true };
    char text[TRACKER_CLICK_ID_LEN + 1] = "";

    tracker_click_id_encode(&keys, &id, text);
    assert_string_equal(text, "2NjEtLV--HC4Osaf----9V----RbJ9iQ9T6z3ZK_");
    id.recorded = false;
    tracker_click_id_encode(&keys, &id, text);
    assert_int_equal(text[0], SORTED[1 << 4 | 3]);
}

/* The bits as the header numbers them: character by character, high bit first. */
static void
test_every_bit_flipped_is_refused(void **state)
{
    testing_seed();
    for (int round = 0; round < 50; round++) {
        struct tracker_click_id id = random_id(), back;
        char text[TRACKER_CLICK_ID_LEN];

        tracker_click_id_encode(&keys, &id, text);
        for (unsigned bit = 0; bit < 240; bit++) {
            char flipped[TRACKER_CLICK_ID_LEN];
            size_t value = (size_t) (strchr(SORTED, text[bit / 6]) - SORTED);
            struct tracker_click_id untouched;

            memcpy(flipped, text, sizeof(flipped));
            flipped[bit / 6] = SORTED[value ^ (32u >> bit % 6)];
            memset(&back, 0x5a, sizeof(back));
            untouched = back;
            if (decode(flipped, sizeof(flipped), &back) == TRACKER_CLICK_ID_OK)
                fail_msg("bit %u", bit);
            assert_memory_equal(&back, &untouched, sizeof(back));
        }
    }
}

static void
test_every_byte_at_every_place(void **state)
{
    struct tracker_click_id id = {
        .time_ms = 1, .journal = 2, .sequence = 3, .link = 4, .key = 3, .recorded = true
    };
    struct tracker_click_id back;
    char text[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(&keys, &id, text);
    for (size_t at = 0; at < TRACKER_CLICK_ID_LEN; at++) {
        char was = text[at];

        for (int c = 0; c < 256; c++) {
            bool known = c != 0 && strchr(SORTED, c) != NULL;
            enum tracker_click_id_verdict verdict;

            text[at] = (char) c;
            verdict = decode(text, sizeof(text), &back);
            if (text[at] == was)
                assert_int_equal(verdict, TRACKER_CLICK_ID_OK);
            else if (!known)
                assert_int_equal(verdict, TRACKER_CLICK_ID_MALFORMED);
            else
                assert_int_not_equal(verdict, TRACKER_CLICK_ID_OK);
        }
        text[at] = was;
    }
}

static void
test_lengths(void **state)
{
    struct tracker_click_id id = { .time_ms = 1, .key = 3, .recorded = true }, back;
    char text[2 * TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(&keys, &id, text);
    memcpy(text + TRACKER_CLICK_ID_LEN, text, TRACKER_CLICK_ID_LEN);
    for (size_t len = 0; len <= sizeof(text); len++)
        assert_int_equal(decode(text, len, &back),
                         len == TRACKER_CLICK_ID_LEN ? TRACKER_CLICK_ID_OK : TRACKER_CLICK_ID_MALFORMED);
    assert_int_equal(tracker_click_id_decode(&keys, TRACKER_STR_NONE, &back), TRACKER_CLICK_ID_MALFORMED);
}

static void
test_key_rotation(void **state)
{
    struct tracker_click_id id = { .time_ms = 1, .key = 15, .recorded = true }, back;
    struct tracker_keys retired = keys, replaced = keys;
    char text[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(&keys, &id, text);
    retired.present &= (uint16_t) ~(1u << 15);
    assert_int_equal(tracker_click_id_decode(&retired, (struct tracker_str){ text, sizeof(text) }, &back),
                     TRACKER_CLICK_ID_UNKNOWN_KEY);
    replaced.click_id[15][0] ^= 1;
    assert_int_equal(tracker_click_id_decode(&replaced, (struct tracker_str){ text, sizeof(text) }, &back),
                     TRACKER_CLICK_ID_FORGED);
}

static void
test_reserved_versions(void **state)
{
    struct tracker_click_id id = { .time_ms = 1, .key = 3, .recorded = true }, back;
    char text[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(&keys, &id, text);
    for (unsigned version = 2; version < 4; version++) {
        text[0] = SORTED[version << 4 | 3];
        assert_int_equal(decode(text, sizeof(text), &back), TRACKER_CLICK_ID_MALFORMED);
    }
}

/* Ids of one key and version: memcmp of the text is the order of (time, journal, sequence). */
static void
test_text_sorts_by_time(void **state)
{
    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_click_id a = random_id(), b = random_id();
        char text_a[TRACKER_CLICK_ID_LEN], text_b[TRACKER_CLICK_ID_LEN];

        if (testing_below(2)) /* neighbours: where a carry would show */
            b.time_ms = a.time_ms > 0 ? a.time_ms - 1 : 1;
        b.key = a.key;
        b.recorded = a.recorded;
        if (a.time_ms == b.time_ms)
            continue;
        tracker_click_id_encode(&keys, &a, text_a);
        tracker_click_id_encode(&keys, &b, text_b);
        assert_int_equal(memcmp(text_a, text_b, TRACKER_CLICK_ID_LEN) < 0, a.time_ms < b.time_ms);
    }
}

static void
test_random_bytes(void **state)
{
    struct tracker_click_id back;
    char text[TRACKER_CLICK_ID_LEN];

    testing_seed();
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = round % 2 ? SORTED[testing_below(64)] : (char) testing_draw();
        assert_int_not_equal(
            tracker_click_id_decode(&keys, (struct tracker_str){ text, sizeof(text) }, &back),
            TRACKER_CLICK_ID_OK);
    }
}

static int
set_up(void **state)
{
    testing_keys(&keys);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_fields_do_not_spill),
        cmocka_unit_test(test_layout_is_pinned),
        cmocka_unit_test(test_every_bit_flipped_is_refused),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_key_rotation),
        cmocka_unit_test(test_reserved_versions),
        cmocka_unit_test(test_text_sorts_by_time),
        cmocka_unit_test(test_random_bytes),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
