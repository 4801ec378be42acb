/*
 * Guards what edges believe of the way back: an ack for another journal, of an
 * unknown key, or with any bit changed must not free a single record.
 *
 * What could break: a heartbeat text with two spellings for one value (leading
 * zeros, signs, overflow, upper-case hex), a missing or an extra word, a heartbeat of one
 * partition accepted for another.
 */
#include "tracker_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct tracker_keys keys, rotated, foreign;
static const struct tracker_journal_id journal = { "journal-journal" };

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static int
setup(void **state)
{
    const char *error;
    int         line;

    (void) state;
    return tracker_init() != 0
           || tracker_keys_parse(&keys, TRACKER_STR("1 current " KEY_A "\n"), &error, &line) != 0
           || tracker_keys_parse(&rotated, TRACKER_STR("2 current " KEY_B "\n1 accepted " KEY_A "\n"), &error,
                                 &line) != 0
           || tracker_keys_parse(&foreign, TRACKER_STR("1 current " KEY_B "\n"), &error, &line) != 0;
}

static bool
decode(const struct tracker_keys *ring, const struct tracker_journal_id *of, const uint8_t *bytes, size_t len,
       struct tracker_ack *out)
{
    return tracker_ack_decode(ring, of, (struct tracker_str){ (const char *) bytes, len }, out);
}

static bool
ack_decodes(const struct tracker_keys *ring, const uint8_t *bytes, size_t len)
{
    struct tracker_ack out;

    return decode(ring, &journal, bytes, len, &out);
}

static void
test_ack_comes_back(void **state)
{
    struct tracker_ack in = { UINT64_C(1) << 40, .incarnation = UINT64_MAX, .resend = 77, .forked = true };
    struct tracker_ack out;
    uint8_t            bytes[TRACKER_ACK_LEN];

    (void) state;
    tracker_ack_encode(&keys, &journal, &in, bytes);
    assert_true(decode(&rotated, &journal, bytes, sizeof(bytes), &out));
    assert_true(out.next == in.next && out.incarnation == in.incarnation && out.resend == 77 && out.forked);
    in.forked = false;
    tracker_ack_encode(&rotated, &journal, &in, bytes);
    assert_true(decode(&rotated, &journal, bytes, sizeof(bytes), &out));
    assert_false(out.forked);
    assert_false(ack_decodes(&keys, bytes, sizeof(bytes))); /* a key this edge has not learnt yet */
}

static void
test_ack_is_of_one_journal_and_ring(void **state)
{
    struct tracker_journal_id other = journal;
    struct tracker_ack        in = { .next = 5, .incarnation = 6 }, out;
    uint8_t                   bytes[TRACKER_ACK_LEN];

    (void) state;
    tracker_ack_encode(&keys, &journal, &in, bytes);
    other.bytes[0] ^= 1;
    assert_false(decode(&keys, &other, bytes, sizeof(bytes), &out));
    assert_false(ack_decodes(&foreign, bytes, sizeof(bytes)));
    for (size_t len = 0; len < sizeof(bytes); len++)
        assert_false(ack_decodes(&keys, bytes, len));
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_false(ack_decodes(&keys, bytes, sizeof(bytes)));
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    in.next = 0; /* signed, yet no position */
    tracker_ack_encode(&keys, &journal, &in, bytes);
    assert_false(ack_decodes(&keys, bytes, sizeof(bytes)));
}

static void
test_heartbeat_comes_back(void **state)
{
    const struct tracker_heartbeat samples[] = {
        { .beat = 1, .incarnation = 2, .time_ms = 3, .cursor = { 4, 5 }, .idle = true },
        { 0 },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, { UINT64_MAX, UINT64_MAX }, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct tracker_heartbeat in = samples[i], out;
        char                     text[TRACKER_HEARTBEAT_CAP];
        size_t                   len = tracker_heartbeat_encode(&keys, 7, &in, text, sizeof(text));

        assert_true(len > 0 && len < sizeof(text));
        assert_true(tracker_heartbeat_decode(&rotated, 7, (struct tracker_str){ text, len }, &out));
        assert_true(out.beat == in.beat && out.incarnation == in.incarnation && out.time_ms == in.time_ms);
        assert_true(out.cursor.ms == in.cursor.ms && out.cursor.seq == in.cursor.seq && out.idle == in.idle);
        assert_false(tracker_heartbeat_decode(&keys, 6, (struct tracker_str){ text, len }, &out));
        assert_false(tracker_heartbeat_decode(&foreign, 7, (struct tracker_str){ text, len }, &out));
    }
}

static void
test_heartbeat_is_one_exact_text(void **state)
{
    struct tracker_heartbeat in = { 9, 0xabcdef, 1, { 8, 0 }, false }, out;
    char                     text[TRACKER_HEARTBEAT_CAP + 1];
    size_t                   len = tracker_heartbeat_encode(&keys, 0, &in, text, TRACKER_HEARTBEAT_CAP);

    (void) state;
    assert_int_equal(tracker_heartbeat_encode(&keys, 0, &in, text, TRACKER_HEARTBEAT_CAP - 1), 0);
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = malloc(cut + 1); /* exact, so that a read past the end is seen */
        memcpy(copy, text, cut);
        assert_false(tracker_heartbeat_decode(&keys, 0, (struct tracker_str){ copy, cut }, &out));
        free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        for (int c = 0; c < 256; c++) {
            char was = text[i];
            if ((char) c == was)
                continue;
            text[i] = (char) c;
            assert_false(tracker_heartbeat_decode(&keys, 0, (struct tracker_str){ text, len }, &out));
            text[i] = was;
        }
    }
    text[len] = ' ';
    assert_false(tracker_heartbeat_decode(&keys, 0, (struct tracker_str){ text, len + 1 }, &out));
    assert_true(tracker_heartbeat_decode(&keys, 0, (struct tracker_str){ text, len }, &out));
}

static bool
id_is(const char *text, uint64_t ms, uint64_t seq)
{
    struct tracker_stream_id id;

    return tracker_stream_id_parse((struct tracker_str){ text, strlen(text) }, &id) && id.ms == ms
           && id.seq == seq;
}

static void
test_stream_ids(void **state)
{
    static const char *const bad[] = {
        "",      "-",   "1",     "1-",  "-1",  "1--2", "01-2",  "1-02",  "+1-2",
        "1- 2", " 1-2", "1-2 ", "1-2-3", "a-1", "1-2\n", "18446744073709551616-0", "0-18446744073709551616",
        "1-99999999999999999999",
    };
    struct tracker_stream_id id;

    (void) state;
    assert_true(id_is("0-0", 0, 0));
    assert_true(id_is("1700000000123-17", UINT64_C(1700000000123), 17));
    assert_true(id_is("18446744073709551615-18446744073709551615", UINT64_MAX, UINT64_MAX));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tracker_stream_id_parse((struct tracker_str){ bad[i], strlen(bad[i]) }, &id));
    assert_false(tracker_stream_id_parse(TRACKER_STR_NONE, &id));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_comes_back),
        cmocka_unit_test(test_ack_is_of_one_journal_and_ring),
        cmocka_unit_test(test_heartbeat_comes_back),
        cmocka_unit_test(test_heartbeat_is_one_exact_text),
        cmocka_unit_test(test_stream_ids),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
