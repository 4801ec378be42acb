/*
 * test_tracker_lead.c - a lead's id, and the verdict about it.
 *
 * An id that differed between two edges would make a retry a second lead; one that two senders shared would answer one
 * partner with the other's lead.  A verdict that whoever writes to Redis could forge, or move to another lead, would
 * log a stranger in.
 */
#include "testing.h"

#include "tracker_lead.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tracker_keys keys;
static const uint8_t       content_a[16] = "content content", content_b[16] = "content,content";

struct id {
    uint8_t bytes[TRACKER_LEAD_ID_LEN];
};

static struct id
id_of(enum tracker_lead_kind kind, uint32_t sender, const char *key, const uint8_t content[16])
{
    struct id id;

    tracker_lead_id(&keys, kind, sender, testing_str(key), content, id.bytes);
    return id;
}

static void
test_id_tells_leads_apart(void **state)
{
    const struct id ids[] = {
        id_of(TRACKER_LEAD_API, 1, "key", content_a),
        id_of(TRACKER_LEAD_FORM, 1, "key", content_a),
        id_of(TRACKER_LEAD_API, 2, "key", content_a),
        id_of(TRACKER_LEAD_API, 256, "key", content_a),
        id_of(TRACKER_LEAD_API, 1, "key2", content_a),
        id_of(TRACKER_LEAD_API, 1, "", content_a),
        id_of(TRACKER_LEAD_API, 1, "", content_b),
        id_of(TRACKER_LEAD_FORM, 1, "", content_a),
        id_of(TRACKER_LEAD_API, 1, "content content", content_b), /* a key that reads like another's content */
    };
    uint8_t same[16];

    for (size_t i = 0; i < COUNT(ids); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&ids[i], &ids[j], sizeof(ids[i]));

    tracker_lead_id(&keys, TRACKER_LEAD_API, 1, (struct tracker_str){ (const char *) content_a, sizeof(content_a) },
                    content_b, same);
    assert_memory_not_equal(same, &ids[5], sizeof(same)); /* all sixteen bytes of it */

    /* The key decides, whatever is said with it: that is how a conflict is seen. */
    struct id other = id_of(TRACKER_LEAD_API, 1, "key", content_b);
    assert_memory_equal(&other, &ids[0], sizeof(other));
}

static void
test_id_is_pinned_and_keyed(void **state)
{
    static const uint8_t pinned[TRACKER_LEAD_ID_LEN] = { 0xee, 0x74, 0x9d, 0x9b, 0x0c, 0x4a, 0x26, 0x8c,
                                                         0x81, 0xa3, 0x8b, 0x7f, 0x68, 0x47, 0x09, 0x7f };
    struct tracker_keys  rotated = keys;
    struct id            id = id_of(TRACKER_LEAD_API, 7, "order-1", content_a), under;

    assert_memory_equal(&id, pinned, sizeof(pinned));
    rotated.current = 15;
    tracker_lead_id(&rotated, TRACKER_LEAD_API, 7, TRACKER_STR("order-1"), content_a, under.bytes);
    assert_memory_not_equal(&id, &under, sizeof(id));
}

static void
test_hex(void **state)
{
    static const char *bad[] = { "", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
                                 "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdeg",
                                 " 123456789abcdef0123456789abcdef", "0123456789abcdef-123456789abcdef" };
    char      hex[TRACKER_LEAD_HEX_LEN];
    struct id id = id_of(TRACKER_LEAD_API, 7, "order-1", content_a), back;

    tracker_lead_hex(id.bytes, hex);
    assert_true(tracker_lead_parse((struct tracker_str){ hex, sizeof(hex) }, back.bytes));
    assert_memory_equal(&id, &back, sizeof(id));
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (tracker_lead_parse(testing_str(bad[i]), back.bytes))
            fail_msg("%s", bad[i]);
    }
    assert_memory_equal(&id, &back, sizeof(id));
}

/* ---- verdicts ---- */

static struct tracker_verdict
a_verdict(void)
{
    struct tracker_verdict verdict = { TRACKER_LEAD_DUPLICATE, TRACKER_VERDICT_EXISTING, UINT64_C(1718000000123),
                                       .lead = "the first of all" };

    memcpy(verdict.content, content_a, sizeof(content_a));
    return verdict;
}

static bool
decodes(const struct tracker_keys *ring, const struct id *id, const uint8_t *bytes, size_t len,
        struct tracker_verdict *out)
{
    char *exact = testing_exact(bytes, len);
    bool  fine = tracker_verdict_decode(ring, id->bytes, (struct tracker_str){ exact, len }, out);

    free(exact);
    return fine;
}

static void
test_verdict_round_trip(void **state)
{
    struct id              id = id_of(TRACKER_LEAD_API, 7, "order-1", content_a);
    struct tracker_verdict in = a_verdict(), out;
    struct tracker_keys    rotated = keys, other = keys;
    uint8_t                bytes[TRACKER_VERDICT_LEN];

    for (uint8_t verdict = TRACKER_LEAD_CREATED; verdict <= TRACKER_LEAD_PENDING; verdict++) {
        in.verdict = verdict;
        tracker_verdict_encode(&keys, id.bytes, &in, bytes);
        assert_true(decodes(&keys, &id, bytes, sizeof(bytes), &out));
        assert_int_equal(out.verdict, verdict);
        assert_int_equal(out.flags, in.flags);
        assert_true(out.decided_ms == in.decided_ms);
        assert_memory_equal(out.content, in.content, sizeof(in.content));
        assert_memory_equal(out.lead, in.lead, sizeof(in.lead));
    }
    rotated.current = 15; /* it verifies with any key of the ring */
    assert_true(decodes(&rotated, &id, bytes, sizeof(bytes), &out));
    tracker_verdict_encode(&rotated, id.bytes, &in, bytes);
    assert_true(decodes(&keys, &id, bytes, sizeof(bytes), &out));
    other.present = 1u << 3;
    assert_false(decodes(&other, &id, bytes, sizeof(bytes), &out));

    in.verdict = 0; /* signed, yet none of ours */
    tracker_verdict_encode(&keys, id.bytes, &in, bytes);
    assert_false(decodes(&keys, &id, bytes, sizeof(bytes), &out));
    in.verdict = TRACKER_LEAD_PENDING + 1;
    tracker_verdict_encode(&keys, id.bytes, &in, bytes);
    assert_false(decodes(&keys, &id, bytes, sizeof(bytes), &out));
}

/* An older backend's verdicts wait for a newer edge; computed apart, with another BLAKE2b. */
static void
test_verdict_is_pinned(void **state)
{
    static const uint8_t mac[24] = { 0xf8, 0x70, 0x0d, 0xa9, 0x2f, 0xa6, 0x29, 0xeb, 0x38, 0xc9, 0xeb, 0x23,
                                     0xf8, 0x15, 0x3c, 0x9d, 0x6a, 0xe4, 0xf5, 0x6b, 0x8f, 0xcc, 0xb6, 0x35 };
    struct id              id = id_of(TRACKER_LEAD_API, 7, "order-1", content_a);
    struct tracker_verdict verdict = a_verdict();
    uint8_t                bytes[TRACKER_VERDICT_LEN];

    tracker_verdict_encode(&keys, id.bytes, &verdict, bytes);
    assert_memory_equal(bytes, "\3\2\2\0\0\0\0\0\x7b\x9c\xc7\0\x90\1\0\0" "content content\0"
                               "the first of all",
                        48);
    assert_memory_equal(bytes + 48, mac, sizeof(mac));
}

static void
test_verdict_is_of_one_lead_bit_by_bit(void **state)
{
    struct id              id = id_of(TRACKER_LEAD_API, 7, "order-1", content_a);
    struct tracker_verdict in = a_verdict(), out;
    uint8_t                bytes[TRACKER_VERDICT_LEN + 1] = { 0 };

    tracker_verdict_encode(&keys, id.bytes, &in, bytes);
    memset(&out, 0xaa, sizeof(out));
    struct tracker_verdict untouched = out;
    for (size_t bit = 0; bit < 8 * TRACKER_VERDICT_LEN; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        if (decodes(&keys, &id, bytes, TRACKER_VERDICT_LEN, &out))
            fail_msg("bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(id); bit++) {
        struct id other = id;

        other.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_false(decodes(&keys, &other, bytes, TRACKER_VERDICT_LEN, &out));
    }
    for (size_t len = 0; len <= sizeof(bytes); len++)
        assert_int_equal(decodes(&keys, &id, bytes, len, &out), len == TRACKER_VERDICT_LEN);
    bytes[0] ^= 1;
    memset(&out, 0xaa, sizeof(out));
    assert_false(decodes(&keys, &id, bytes, TRACKER_VERDICT_LEN, &out));
    assert_memory_equal(&out, &untouched, sizeof(out));
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
        cmocka_unit_test(test_id_tells_leads_apart),
        cmocka_unit_test(test_id_is_pinned_and_keyed),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_verdict_round_trip),
        cmocka_unit_test(test_verdict_is_pinned),
        cmocka_unit_test(test_verdict_is_of_one_lead_bit_by_bit),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
