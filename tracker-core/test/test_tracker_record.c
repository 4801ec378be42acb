/*
 * What could break: the hardware and the software CRC differing (a journal
 * written on one machine is drained on another), a byte of the format moving (it is
 * persisted), a damaged, truncated or foreign record passing, a reader going
 * past the bytes it was given.  The .c is included to reach the software CRC.
 */
#include "testing.h"

#include "tracker_record.c"

static const struct tracker_journal_id id_a = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
static const struct tracker_journal_id id_b = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17 } };

/* RFC 3720, B.4, and the check value of the Rocksoft catalogue. */
static void
crc_known_answers(void **state)
{
    uint8_t bytes[32];

    assert_int_equal(tracker_crc32c(0, "", 0), 0);
    assert_int_equal(tracker_crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(tracker_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(tracker_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) i;
    assert_int_equal(tracker_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (31 - i);
    assert_int_equal(tracker_crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

static uint32_t
crc_bit_by_bit(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    while (len-- > 0) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void
crc_software_hardware_and_definition_agree(void **state)
{
    uint8_t bytes[300];

    testing_seed();
    for (int round = 0; round < 2000; round++) {
        size_t   start = testing_below(16), len = testing_below(sizeof(bytes) - 16);
        size_t   cut = testing_below(len + 1);
        uint32_t salt = (uint32_t) testing_draw(), expected, head;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t) testing_draw();
        expected = crc_bit_by_bit(salt, bytes + start, len);
        assert_int_equal(tracker_crc32c(salt, bytes + start, len), expected);
        assert_int_equal(~crc32c_software(~salt, bytes + start, len), expected);
        head = tracker_crc32c(salt, bytes + start, cut);
        assert_int_equal(tracker_crc32c(head, bytes + start + cut, len - cut), expected);
    }
}

/* Persisted: these bytes are what an older edge wrote. */
static void
record_bytes_are_pinned(void **state)
{
    static const uint8_t golden[] = {
        0x05, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x02, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 'h',  'e',  'l',  'l',  'o',  0x00, 0x00, 0x00,
    };
    uint8_t  expected[sizeof(golden)];
    uint32_t crc;
    _Alignas(8) uint8_t at[sizeof(golden) + 8];

    memset(at, 0xee, sizeof(at));
    memcpy(at + TRACKER_RECORD_HEADER, "hello", 5);
    memcpy(expected, golden, sizeof(golden));
    crc = crc_bit_by_bit(crc_bit_by_bit(0, id_a.bytes, 16), golden + 8, 16 + 5);
    memcpy(expected + 4, &crc, 4);
    assert_int_equal(
        tracker_record_commit(at, tracker_record_salt(&id_a), 42, UINT64_C(0x18bcfe56800), 2, 5), crc);
    assert_memory_equal(at, expected, sizeof(golden));
    assert_int_equal(at[sizeof(golden)], 0xee);
    assert_int_equal(tracker_record_size(5), sizeof(golden));
    assert_int_equal(tracker_record_size(0), 24);
    assert_int_equal(tracker_record_size(8), 32);
}

/* A record on the heap, exactly as long as it is, and misaligned as it lies in a pack. */
static uint8_t *
make(uint64_t sequence, size_t len, size_t *size)
{
    static _Alignas(8) uint8_t at[TRACKER_RECORD_HEADER + TRACKER_RECORD_PAYLOAD_MAX];

    for (size_t i = 0; i < len; i++)
        at[TRACKER_RECORD_HEADER + i] = (uint8_t) testing_draw();
    tracker_record_commit(at, tracker_record_salt(&id_a), sequence, 1700000000123, 7, (uint32_t) len);
    *size = tracker_record_size(len);
    return (uint8_t *) testing_exact(at, *size);
}

static void
round_trip(void **state)
{
    static const size_t   lens[] = { 0, 1, 7, 8, 9, 255, 300, TRACKER_RECORD_PAYLOAD_MAX - 1,
                                     TRACKER_RECORD_PAYLOAD_MAX };
    static const uint64_t sequence = UINT64_C(0x123456789);
    uint32_t              salt = tracker_record_salt(&id_a), foreign = tracker_record_salt(&id_b);
    struct tracker_record record;
    size_t                size;

    testing_seed();
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t *at = make(sequence, lens[i], &size);

        assert_int_equal(tracker_record_read(at, size, salt, sequence, &record), TRACKER_RECORD_OK);
        assert_int_equal(record.sequence, sequence);
        assert_int_equal(record.time_ms, 1700000000123);
        assert_int_equal(record.type, 7);
        assert_int_equal(record.len, lens[i]);
        assert_ptr_equal(record.payload, at + TRACKER_RECORD_HEADER);
        assert_int_equal(tracker_record_read(at, size, salt, 1, &record), TRACKER_RECORD_OTHER);
        assert_int_equal(tracker_record_read(at, size, foreign, sequence, &record), TRACKER_RECORD_BAD);
        assert_int_equal(tracker_record_glance(at, size, sequence, &record), TRACKER_RECORD_OK);
        free(at);
    }
}

static void
every_truncation_is_short(void **state)
{
    struct tracker_record record;
    size_t                size;

    testing_seed();
    for (size_t len = 0; len < 40; len++) {
        uint8_t *at = make(3, len, &size);

        for (size_t avail = 0; avail < size; avail++) {
            uint8_t *cut = (uint8_t *) testing_exact(at, avail);

            assert_int_equal(tracker_record_read(cut, avail, 0, 3, &record), TRACKER_RECORD_SHORT);
            free(cut);
        }
        free(at);
    }
}

/* Only the padding is not covered: nobody reads it. */
static void
every_flipped_bit_is_noticed(void **state)
{
    uint32_t              salt = tracker_record_salt(&id_a);
    struct tracker_record record;
    size_t                size;

    testing_seed();
    for (size_t len = 0; len < 70; len += 3) {
        uint8_t *at = make(77, len, &size);

        for (size_t bit = 0; bit < (TRACKER_RECORD_HEADER + len) * 8; bit++) {
            at[bit / 8] ^= (uint8_t) (1 << bit % 8);
            assert_int_not_equal(tracker_record_read(at, size, salt, 77, &record), TRACKER_RECORD_OK);
            at[bit / 8] ^= (uint8_t) (1 << bit % 8);
        }
        assert_int_equal(tracker_record_read(at, size, salt, 77, &record), TRACKER_RECORD_OK);
        free(at);
    }
}

static void
bad_is_filled_in(void **state)
{
    uint32_t              salt = tracker_record_salt(&id_a);
    struct tracker_record record;
    size_t                size;
    uint8_t              *at = make(9, 20, &size);

    at[TRACKER_RECORD_HEADER] ^= 1;
    assert_int_equal(tracker_record_read(at, size, salt, 9, &record), TRACKER_RECORD_BAD);
    assert_int_equal(record.sequence, 9);
    assert_int_equal(record.len, 20);
    at[3] = 0;
    assert_int_equal(tracker_record_read(at, size, salt, 9, &record), TRACKER_RECORD_NONE);
    free(at);
}

static void
random_bytes_are_safe(void **state)
{
    struct tracker_record record;

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        size_t   len = testing_below(64);
        uint8_t  bytes[64];
        uint8_t *at;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = testing_below(3) == 0 ? (uint8_t) testing_draw() : 0;
        bytes[3] |= 0x80;
        at = (uint8_t *) testing_exact(bytes, len);
        assert_int_not_equal(tracker_record_read(at, len, 1, load64(bytes + 8), &record), TRACKER_RECORD_OK);
        free(at);
    }
}

static void
chain_tells_histories_apart(void **state)
{
    uint64_t start = tracker_chain_start(&id_a, 1);

    assert_true(start != tracker_chain_start(&id_b, 1));
    assert_true(start != tracker_chain_start(&id_a, 2));
    assert_true(tracker_chain_next(tracker_chain_next(start, 1), 2) !=
                tracker_chain_next(tracker_chain_next(start, 2), 1));
    assert_true(tracker_chain_next(start, 1) != tracker_chain_next(start, 2));
    /* Persisted in segment headers and in the database's rows. */
    assert_int_equal(start, UINT64_C(0x6b3c3ba92bbe5478));
    assert_int_equal(tracker_chain_next(start, 0x12345678), UINT64_C(0x3a67aeeef2c60577));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_known_answers),
        cmocka_unit_test(crc_software_hardware_and_definition_agree),
        cmocka_unit_test(record_bytes_are_pinned),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(every_truncation_is_short),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(bad_is_filled_in),
        cmocka_unit_test(random_bytes_are_safe),
        cmocka_unit_test(chain_tells_histories_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
