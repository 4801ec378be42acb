/*
 * Guards the edge's one move: going back to the ack when, and only when,
 * something may be missing.
 *
 * What could break: a lost pack that nobody sends again (every path to a rewind
 * is walked); a rewind for each stale ack or repeated heartbeat, which would send
 * everything for ever; an adopted journal called forked because a power loss took its tail; a
 * window that floods Redis before anybody has answered.
 */
#include "tracker_sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct tracker_sender s;

static bool
want(uint64_t now, uint64_t *from, uint32_t *max)
{
    uint64_t wait;

    return tracker_sender_want(&s, now, from, max, &wait);
}

/* Sends all that the sender wants, `records` a pack; returns the number of packs.  Entry ids are "to-1". */
static unsigned
send_all(uint64_t now, uint64_t records)
{
    uint64_t from;
    uint32_t max;
    unsigned packs = 0;

    while (want(now, &from, &max)) {
        uint64_t to = from + records < s.end ? from + records : s.end;
        tracker_sender_sent(&s, from, to, now);
        tracker_sender_stored(&s, to, (struct tracker_stream_id){ to, 1 });
        packs++;
    }
    return packs;
}

static enum tracker_sender_effect
ack(uint64_t next, uint64_t incarnation, uint32_t resend)
{
    struct tracker_ack heard = { .next = next, .incarnation = incarnation, .resend = resend };

    return tracker_sender_ack(&s, &heard);
}

static enum tracker_sender_effect
beat(uint64_t number, uint64_t incarnation, uint64_t cursor, bool idle)
{
    return tracker_sender_beat(&s, &(struct tracker_heartbeat){ .beat = number,
                                                                .incarnation = incarnation,
                                                                .cursor = { cursor, 1 },
                                                                .idle = idle });
}

/* An owner at time 1000 with records below end, connected and probed, in incarnation 7. */
static void
owner(uint64_t end)
{
    tracker_sender_init(&s, 1);
    tracker_sender_connected(&s);
    tracker_sender_extend(&s, end, 1000);
    assert_int_equal(ack(1, 7, 0), TRACKER_SENDER_NOTHING);
    assert_true(s.probed);
}

static void
test_linger_and_sizes(void **state)
{
    uint64_t from, wait;
    uint32_t max;

    (void) state;
    owner(1);
    assert_false(tracker_sender_want(&s, 1000, &from, &max, &wait));
    assert_true(wait == UINT64_MAX);

    tracker_sender_extend(&s, 2, 1000);
    tracker_sender_extend(&s, 11, 1015); /* the linger is the oldest one's */
    assert_false(tracker_sender_want(&s, 1015, &from, &max, &wait));
    assert_true(wait == 5);
    assert_true(tracker_sender_want(&s, 1020, &from, &max, &wait));
    assert_true(from == 1 && max == TRACKER_PACK_RECORDS);
    tracker_sender_sent(&s, 1, 11, 1020);

    tracker_sender_extend(&s, 11 + 64, 2000);
    assert_true(tracker_sender_want(&s, 2000, &from, &max, &wait));
    assert_true(from == 11 && max == TRACKER_PACK_RECORDS);
    tracker_sender_extend(&s, 11 + 65, 2000);
    assert_true(tracker_sender_want(&s, 2000, &from, &max, &wait));
    assert_true(max == TRACKER_PACK_RECORDS_MAX);
    tracker_sender_sent(&s, 11, 70, 2000); /* a segment's end cut the run: the rest has waited as long */
    assert_false(tracker_sender_want(&s, 2019, &from, &max, &wait));
    assert_true(wait == 1 && tracker_sender_want(&s, 2020, &from, &max, &wait));
}

static void
test_window_opens_with_the_first_ack(void **state)
{
    uint64_t from, wait;
    uint32_t max;

    (void) state;
    tracker_sender_init(&s, 1);
    tracker_sender_extend(&s, 100000, 1000);
    assert_false(tracker_sender_want(&s, 5000, &from, &max, &wait)); /* not connected */
    tracker_sender_connected(&s);
    assert_int_equal(send_all(5000, 512), 1);
    assert_int_equal(ack(1, 7, 0), TRACKER_SENDER_NOTHING);
    assert_int_equal(send_all(5000, 512), TRACKER_WINDOW - 1);
    assert_int_equal(ack(513, 7, 0), TRACKER_SENDER_PROGRESS);
    assert_int_equal(send_all(5000, 512), 1);
    assert_int_equal(ack(600, 7, 0), TRACKER_SENDER_PROGRESS); /* inside a pack: it stays in flight */
    assert_int_equal(send_all(5000, 512), 0);

    tracker_sender_disconnected(&s);
    assert_false(want(6000, &from, &max));
    tracker_sender_connected(&s);
    assert_true(want(6000, &from, &max) && from == 600); /* back to the ack, no linger */
    assert_int_equal(send_all(6000, 512), 1);
}

static void
test_acks_old_and_new(void **state)
{
    (void) state;
    owner(1000);
    send_all(1020, 100);
    assert_int_equal(ack(501, 7, 0), TRACKER_SENDER_PROGRESS);
    assert_int_equal(ack(301, 7, 0), TRACKER_SENDER_NOTHING); /* replayed */
    assert_int_equal(ack(501, 7, 0), TRACKER_SENDER_NOTHING);
    assert_true(s.acked == 501 && s.next == 1000);
    assert_int_equal(ack(501, 7, 1), TRACKER_SENDER_REWOUND); /* resend asked */
    assert_true(s.next == 501 && s.count == 0);
    send_all(1020, 100);
    assert_int_equal(ack(501, 7, 1), TRACKER_SENDER_NOTHING); /* once */
    assert_int_equal(ack(501, 7, 0), TRACKER_SENDER_NOTHING); /* an older request */
    assert_int_equal(ack(701, 7, 2), TRACKER_SENDER_REWOUND); /* moved, and asked */
    assert_true(s.acked == 701 && s.next == 701);
    assert_int_equal(ack(1000, 7, 2), TRACKER_SENDER_PROGRESS); /* what was in Redis still arrived */
    assert_true(s.next == 1000 && tracker_sender_idle(&s));
}

static void
test_another_life_of_the_database(void **state)
{
    (void) state;
    owner(1000);
    send_all(1020, 100);
    assert_int_equal(ack(801, 7, 3), TRACKER_SENDER_REWOUND);
    send_all(1020, 100);
    assert_int_equal(ack(301, 8, 0), TRACKER_SENDER_REWOUND); /* yesterday's backup */
    assert_true(s.acked == 301 && s.next == 301 && s.resend == 0);
    send_all(1020, 100);
    assert_int_equal(ack(301, 8, 1), TRACKER_SENDER_REWOUND); /* its counter began anew */
    send_all(1020, 100);
    assert_int_equal(ack(901, 9, 0), TRACKER_SENDER_REWOUND); /* a mere restart */
    send_all(1020, 100);
    assert_int_equal(ack(1000, 9, 0), TRACKER_SENDER_PROGRESS);
    assert_int_equal(ack(1000, 10, 0), TRACKER_SENDER_NOTHING); /* nothing to go back for */
}

static void
test_stall(void **state)
{
    uint64_t from;
    uint32_t max;

    (void) state;
    owner(1000);
    send_all(1020, 100);
    assert_int_equal(ack(101, 7, 0), TRACKER_SENDER_PROGRESS); /* the head is entry 201-1 */
    assert_int_equal(beat(1, 7, 101, false), TRACKER_SENDER_NOTHING);
    assert_int_equal(s.stall_beats, 0);
    assert_int_equal(beat(2, 7, 201, false), TRACKER_SENDER_NOTHING);
    assert_int_equal(beat(2, 7, 201, false), TRACKER_SENDER_NOTHING); /* the same one */
    assert_int_equal(beat(3, 7, 201, false), TRACKER_SENDER_NOTHING);
    assert_int_equal(ack(201, 7, 0), TRACKER_SENDER_PROGRESS); /* it moves after all */
    for (unsigned i = 1; i < TRACKER_STALL_BEATS; i++)
        assert_int_equal(beat(3 + i, 7, 999, false), TRACKER_SENDER_NOTHING);
    assert_int_equal(beat(99, 7, 999, false), TRACKER_SENDER_REWOUND);
    assert_true(s.next == 201);

    assert_int_equal(send_all(1020, 100), 1);                 /* one pack ... */
    assert_int_equal(ack(201, 7, 0), TRACKER_SENDER_NOTHING); /* ... as long as the ack says nothing new */
    assert_int_equal(send_all(1020, 100), 0);
    for (unsigned i = 1; i < TRACKER_STALL_BEATS; i++)
        assert_int_equal(beat(100 + i, 7, 0, true), TRACKER_SENDER_NOTHING); /* flushed: idle below us */
    assert_int_equal(beat(199, 7, 0, true), TRACKER_SENDER_REWOUND);
    assert_int_equal(send_all(1020, 100), 1);
    assert_int_equal(ack(301, 7, 0), TRACKER_SENDER_PROGRESS);
    assert_int_equal(send_all(1020, 100), 7);

    tracker_sender_connected(&s);
    assert_true(want(2000, &from, &max));
    tracker_sender_sent(&s, from, from + 1, 2000); /* no reply from Redis yet: no stall */
    for (unsigned i = 0; i < 2 * TRACKER_STALL_BEATS; i++)
        assert_int_equal(beat(200 + i, 7, 999, true), TRACKER_SENDER_NOTHING);
}

static void
test_forked(void **state)
{
    uint64_t from, wait;
    uint32_t max;

    (void) state;
    owner(100);
    assert_int_equal(ack(101, 7, 0), TRACKER_SENDER_FORKED); /* somebody else wrote 100 */
    assert_int_equal(ack(50, 7, 0), TRACKER_SENDER_FORKED);
    assert_false(want(5000, &from, &max));
    assert_false(tracker_sender_want_heartbeat(&s, 5000, &from, &wait));

    owner(100);
    struct tracker_ack quarantined = { .next = 5, .incarnation = 7, .forked = true };
    assert_int_equal(tracker_sender_ack(&s, &quarantined), TRACKER_SENDER_FORKED);
}

static void
test_adopted(void **state)
{
    uint64_t from, wait;
    uint32_t max;

    (void) state;
    tracker_sender_init_adopted(&s);
    tracker_sender_connected(&s);
    assert_true(want(1, &from, &max) && from == 1 && max == TRACKER_PACK_RECORDS_MAX);
    assert_false(tracker_sender_want_heartbeat(&s, 1, &from, &wait)); /* not before its end is known */
    tracker_sender_sent(&s, 1, 101, 1);
    assert_int_equal(ack(251, 7, 0), TRACKER_SENDER_PROGRESS); /* the owner had come further */
    assert_true(want(1, &from, &max) && from == 251);
    assert_false(tracker_sender_idle(&s));
    tracker_sender_end_found(&s, 201); /* a power loss took [201, 251) here, after they were shipped */
    assert_true(tracker_sender_idle(&s));
    assert_false(want(1, &from, &max));
    assert_int_equal(ack(261, 7, 0), TRACKER_SENDER_PROGRESS); /* beyond the end, and no fork */
    assert_true(tracker_sender_want_heartbeat(&s, 60000, &from, &wait) && from == 261);
    assert_int_equal(ack(151, 8, 0), TRACKER_SENDER_REWOUND); /* restored: [151, 201) is still here */
    assert_true(want(60000, &from, &max) && from == 151);
}

static void
test_heartbeats(void **state)
{
    uint64_t from, wait;

    (void) state;
    tracker_sender_init(&s, 1);
    assert_false(tracker_sender_want_heartbeat(&s, 1000, &from, &wait)); /* not connected */
    tracker_sender_connected(&s);
    assert_true(tracker_sender_want_heartbeat(&s, 1000, &from, &wait) && from == 1); /* the probe */
    tracker_sender_sent(&s, 1, 1, 1000);
    assert_false(tracker_sender_want_heartbeat(&s, 1400, &from, &wait));
    assert_true(wait == TRACKER_PROBE_MS - 400);
    assert_true(tracker_sender_want_heartbeat(&s, 1000 + TRACKER_PROBE_MS, &from, &wait));
    assert_int_equal(ack(1, 7, 0), TRACKER_SENDER_NOTHING);
    assert_false(tracker_sender_want_heartbeat(&s, 1000 + TRACKER_PROBE_MS, &from, &wait));
    assert_true(tracker_sender_want_heartbeat(&s, 1000 + TRACKER_IDLE_BEAT_MS, &from, &wait));
    tracker_sender_sent(&s, 1, 1, 6000);

    /* A new life of the consumer that may not know this journal: ask soon, until it answers. */
    assert_int_equal(beat(1, 8, 0, true), TRACKER_SENDER_NOTHING);
    assert_true(tracker_sender_want_heartbeat(&s, 6000 + TRACKER_PROBE_MS, &from, &wait));
    assert_int_equal(ack(1, 8, 0), TRACKER_SENDER_NOTHING);
    assert_false(tracker_sender_want_heartbeat(&s, 6000 + TRACKER_PROBE_MS, &from, &wait));

    tracker_sender_extend(&s, 2, 6000); /* data speaks for itself */
    assert_false(tracker_sender_want_heartbeat(&s, 20000, &from, &wait));
    tracker_sender_sent(&s, 1, 2, 20000);
    assert_false(tracker_sender_want_heartbeat(&s, 40000, &from, &wait));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linger_and_sizes),
        cmocka_unit_test(test_window_opens_with_the_first_ack),
        cmocka_unit_test(test_acks_old_and_new),
        cmocka_unit_test(test_another_life_of_the_database),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_forked),
        cmocka_unit_test(test_adopted),
        cmocka_unit_test(test_heartbeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
