/*
 * Guards "exactly once" at the fence: every overlap of a pack with the row is
 * decided, and what is applied continues the row without a hole or a repetition.
 *
 * What could break: a cut at the wrong record (all firsts, counts and rows of a
 * small journal are tried); a clone whose pack begins before the row (the hash is only
 * known by walking); a healthy journal called forked after a gap, where nobody knows the
 * other's hash; a pack that does not parse stopping its journal for ever.
 */
#include "tracker_receiver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { RECORDS = 12, RECORD_BYTES = TRACKER_RECORD_HEADER + 8 };

static const struct tracker_journal_id id = { "receiver-tests!" };

struct history {
    uint8_t  bytes[RECORDS * RECORD_BYTES] __attribute__((aligned(8)));
    uint64_t hash[RECORDS + 2]; /* before sequence i */
};

/* Sequences 1..RECORDS; the payload of those from `other_from` on is another history's. */
static void
history_make(struct history *h, uint64_t other_from)
{
    uint32_t salt = tracker_record_salt(&id);

    h->hash[1] = tracker_chain_start(&id, 1);
    for (uint64_t i = 1; i <= RECORDS; i++) {
        uint8_t *at = h->bytes + (i - 1) * RECORD_BYTES;
        memset(at + TRACKER_RECORD_HEADER, i >= other_from ? 'B' : 'A', 8);
        h->hash[i + 1] = tracker_chain_next(h->hash[i], tracker_record_commit(at, salt, i, 1000 + i, 1, 5));
    }
}

static struct tracker_pack
data_pack(const struct history *h, uint64_t first, uint32_t count)
{
    return (struct tracker_pack){ .kind = TRACKER_PACK_DATA,
                                  .journal = id,
                                  .first = first,
                                  .count = count,
                                  .hash_before = h->hash[first],
                                  .records = h->bytes + (first - 1) * RECORD_BYTES,
                                  .records_len = count * RECORD_BYTES };
}

static struct tracker_receive
receive(uint64_t next, uint64_t hash, const struct tracker_pack *pack)
{
    struct tracker_position at = { .next = next, .hash = hash };
    struct tracker_receive  out;

    tracker_receive(&at, pack, &out);
    return out;
}

/* Iterates what is to be applied and checks that it is [from, to) of h, in order. */
static void
assert_applies(struct tracker_receive *receive, uint64_t from, uint64_t to)
{
    struct tracker_record record;
    uint64_t              sequence;
    uint32_t              salt = tracker_record_salt(&id);

    for (uint64_t i = from; i < to; i++) {
        assert_int_equal(tracker_receive_next(receive, salt, &sequence, &record), 1);
        assert_true(sequence == i && record.sequence == i && record.time_ms == 1000 + i && record.len == 5);
    }
    assert_int_equal(tracker_receive_next(receive, salt, &sequence, &record), 0);
}

static void
test_every_overlap(void **state)
{
    struct history h;

    (void) state;
    history_make(&h, UINT64_MAX);
    for (uint64_t next = 1; next <= RECORDS + 1; next++) {
        for (uint64_t first = 1; first <= RECORDS; first++) {
            for (uint32_t count = 1; first + count <= RECORDS + 1; count++) {
                struct tracker_pack    pack = data_pack(&h, first, count);
                struct tracker_receive r = receive(next, h.hash[next], &pack);

                if (first > next) {
                    assert_int_equal(r.verdict, TRACKER_RECEIVE_EARLY);
                } else if (first + count <= next) {
                    assert_int_equal(r.verdict, TRACKER_RECEIVE_NOTHING);
                } else {
                    assert_int_equal(r.verdict, TRACKER_RECEIVE_APPLY);
                    assert_true(r.after.next == first + count && r.after.hash == h.hash[first + count]);
                    assert_applies(&r, next, first + count);
                    continue;
                }
                assert_true(r.after.next == next && r.after.hash == h.hash[next] && r.count == 0);
            }
        }
    }
}

static void
test_a_clone_is_seen_wherever_the_row_can_tell(void **state)
{
    struct history a, b;

    (void) state;
    history_make(&a, UINT64_MAX);
    history_make(&b, 6); /* they part at 6 */
    for (uint64_t next = 1; next <= RECORDS + 1; next++) {
        for (uint64_t first = 1; first <= RECORDS; first++) {
            for (uint32_t count = 1; first + count <= RECORDS + 1; count++) {
                struct tracker_pack    pack = data_pack(&b, first, count);
                struct tracker_receive r = receive(next, a.hash[next], &pack);
                bool reaches = first <= next && first + count >= next;

                /* Below the row a pack of the clone brings nothing, and nothing shows it. */
                assert_int_equal(r.verdict == TRACKER_RECEIVE_FORKED, reaches && next > 6);
                if (r.verdict == TRACKER_RECEIVE_FORKED)
                    assert_true(r.after.next == next && r.after.hash == a.hash[next]);
            }
        }
    }
}

static void
test_idle_packs_compare_too(void **state)
{
    struct history      a, b;
    struct tracker_pack pack = { .kind = TRACKER_PACK_HEARTBEAT, .journal = id, .first = 8 };

    (void) state;
    history_make(&a, UINT64_MAX);
    history_make(&b, 6);
    for (int close = 0; close < 2; close++) {
        pack.kind = close ? TRACKER_PACK_CLOSE : TRACKER_PACK_HEARTBEAT;
        pack.hash_before = a.hash[8];
        assert_int_equal(receive(8, a.hash[8], &pack).verdict, TRACKER_RECEIVE_NOTHING);
        assert_int_equal(receive(9, a.hash[9], &pack).verdict, TRACKER_RECEIVE_NOTHING);
        assert_int_equal(receive(7, a.hash[7], &pack).verdict, TRACKER_RECEIVE_EARLY);
        pack.hash_before = b.hash[8];
        assert_int_equal(receive(8, a.hash[8], &pack).verdict, TRACKER_RECEIVE_FORKED);
        pack.hash_before = 0;
        assert_int_equal(receive(8, a.hash[8], &pack).verdict, TRACKER_RECEIVE_NOTHING);
    }
}

static void
test_gaps_are_cut_like_packs(void **state)
{
    struct tracker_pack    gap = { .kind = TRACKER_PACK_GAP, .journal = id, .first = 3, .count = 4 };
    struct tracker_receive r;

    (void) state;
    assert_int_equal(receive(2, 9, &gap).verdict, TRACKER_RECEIVE_EARLY);
    for (uint64_t next = 3; next < 7; next++) {
        r = receive(next, 9, &gap);
        assert_int_equal(r.verdict, TRACKER_RECEIVE_GAP);
        assert_true(r.gap_from == next && r.gap_to == 7 && r.after.next == 7 && r.after.hash == 0);
    }
    r = receive(7, 9, &gap);
    assert_int_equal(r.verdict, TRACKER_RECEIVE_NOTHING);
    assert_true(r.after.next == 7 && r.after.hash == 9);
    gap.first = (uint64_t) TRACKER_SEQUENCE_MAX;
    gap.count = 1;
    assert_int_equal(receive(1, 9, &gap).verdict, TRACKER_RECEIVE_EARLY);
}

/* Whoever knows the chain carries it on; where nobody does, nothing is called forked. */
static void
test_unknown_hashes(void **state)
{
    struct history         h;
    struct tracker_pack    pack;
    struct tracker_receive r;

    (void) state;
    history_make(&h, UINT64_MAX);
    pack = data_pack(&h, 4, 5);
    r = receive(6, 0, &pack); /* the row does not know: the pack's chain is taken over */
    assert_int_equal(r.verdict, TRACKER_RECEIVE_APPLY);
    assert_true(r.after.hash == h.hash[9]);
    assert_applies(&r, 6, 9);

    pack.hash_before = 0;
    r = receive(6, h.hash[6], &pack); /* the edge does not know: the row's chain goes on */
    assert_int_equal(r.verdict, TRACKER_RECEIVE_APPLY);
    assert_true(r.after.hash == h.hash[9]);

    r = receive(6, 0, &pack); /* nobody knows */
    assert_int_equal(r.verdict, TRACKER_RECEIVE_APPLY);
    assert_true(r.after.hash == 0);
    pack = data_pack(&h, 1, RECORDS);
    pack.hash_before = 0;
    assert_int_equal(receive(RECORDS + 1, h.hash[RECORDS + 1], &pack).verdict, TRACKER_RECEIVE_NOTHING);
}

static void
test_a_bad_crc_is_passed_alone(void **state)
{
    struct history         h;
    struct tracker_pack    pack;
    struct tracker_receive r;
    struct tracker_record  record;
    uint64_t               sequence;
    uint32_t               salt = tracker_record_salt(&id);

    (void) state;
    history_make(&h, UINT64_MAX);
    h.bytes[4 * RECORD_BYTES + TRACKER_RECORD_HEADER] ^= 1; /* payload of 5 */
    pack = data_pack(&h, 3, 5);
    r = receive(4, h.hash[4], &pack);
    assert_int_equal(r.verdict, TRACKER_RECEIVE_APPLY);
    assert_true(r.after.next == 8 && r.after.hash == h.hash[8]);
    for (uint64_t i = 4; i < 8; i++) {
        assert_int_equal(tracker_receive_next(&r, salt, &sequence, &record), i == 5 ? -1 : 1);
        assert_true(sequence == i);
    }
    assert_int_equal(tracker_receive_next(&r, salt, &sequence, &record), 0);
}

/* Each commit word, length and sequence of a pack is destroyed in turn. */
static void
test_what_does_not_parse(void **state)
{
    struct history         good, h;
    struct tracker_pack    pack;
    struct tracker_receive r;

    (void) state;
    history_make(&good, UINT64_MAX);
    for (uint64_t broken = 3; broken < 8; broken++) {
        for (int how = 0; how < 4; how++) {
            uint8_t *at = h.bytes + (broken - 1) * RECORD_BYTES;

            h = good;
            if (how == 0)
                memset(at, 0, 4); /* no commit word */
            else if (how == 1)
                at[2] = 0x7f; /* a length past the bound */
            else if (how == 2)
                at[8] ^= 0x40; /* another sequence */
            else
                at[0] = 250; /* a length that swallows its neighbours */
            pack = data_pack(&h, 3, 5);
            r = receive(5, good.hash[5], &pack);
            if (broken < 5) { /* below the row, where the database needs nothing */
                assert_int_equal(r.verdict, TRACKER_RECEIVE_EARLY);
                assert_true(r.after.next == 5 && r.after.hash == good.hash[5]);
            } else {
                assert_int_equal(r.verdict, TRACKER_RECEIVE_BAD);
                assert_true(r.gap_from == 5 && r.gap_to == 8 && r.after.next == 8 && r.after.hash == 0);
            }
            assert_int_equal(receive(8, good.hash[8], &pack).verdict, TRACKER_RECEIVE_NOTHING);
        }
    }

    pack = data_pack(&good, 3, 5);
    pack.records_len -= 8; /* the last one is cut off */
    assert_int_equal(receive(3, good.hash[3], &pack).verdict, TRACKER_RECEIVE_BAD);
    pack = data_pack(&good, 3, 5);
    pack.count--; /* bytes left over */
    assert_int_equal(receive(3, good.hash[3], &pack).verdict, TRACKER_RECEIVE_BAD);
    pack = data_pack(&good, 3, 5);
    pack.records_len = 0;
    assert_int_equal(receive(3, good.hash[3], &pack).verdict, TRACKER_RECEIVE_BAD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_overlap),
        cmocka_unit_test(test_a_clone_is_seen_wherever_the_row_can_tell),
        cmocka_unit_test(test_idle_packs_compare_too),
        cmocka_unit_test(test_gaps_are_cut_like_packs),
        cmocka_unit_test(test_unknown_hashes),
        cmocka_unit_test(test_a_bad_crc_is_passed_alone),
        cmocka_unit_test(test_what_does_not_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
