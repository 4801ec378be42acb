/*
 * Networks guard who may post conversions: a range read a bit too wide lets strangers in, one read too narrow
 * locks a partner out.  Every answer is compared with a bit-by-bit reference.
 */
#include "testing.h"

#include "tracker_network.h"

static bool
parses(const char *text)
{
    uint8_t entry[TRACKER_NETWORK_LEN];

    return tracker_network_parse(testing_str(text), entry);
}

static void
test_texts(void **state)
{
    static const char *const good[] = { "192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "255.255.255.255/32", "::/0",
                                        "2001:db8::/32", "2001:db8::1", "2001:db8::1/128", "::ffff:192.0.2.7" };
    static const char *const bad[] = { "", "/", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/024", "192.0.2.0/ 4",
                                       "192.0.2.0/-1", "192.0.2.0/+4", "192.0.2.0/2a", "192.0.2.1/24", "192.0.2",
                                       "192.0.2.0.0", "2001:db8::1/32", "2001:db8::/129", "::/1000", "example.com",
                                       " 192.0.2.7", "192.0.2.7 ", "192.0.2.0/24/24",
                                       "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!parses(good[i]))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parses(bad[i]))
            fail_msg("%s is accepted", bad[i]);
    assert_false(tracker_network_parse((struct tracker_str){ "1.2.3.4\0", 8 }, (uint8_t[TRACKER_NETWORK_LEN]){ 0 }));
}

static void
test_holds(void **state)
{
    static const struct {
        const char *network, *ip;
        size_t      ip_len;
        bool        held;
    } cases[] = {
        { "192.0.2.0/24", "\xc0\0\2\xff", 4, true },   { "192.0.2.0/24", "\xc0\0\3\0", 4, false },
        { "192.0.2.128/25", "\xc0\0\2\x7f", 4, false }, { "192.0.2.128/25", "\xc0\0\2\x80", 4, true },
        { "0.0.0.0/0", "\1\2\3\4", 4, true },          { "::/0", "\1\2\3\4", 4, true },
        { "0.0.0.0/0", "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, false },
        { "192.0.2.7", "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16, true }, /* as a dual socket says it */
        { "::/0", "", 0, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t entry[TRACKER_NETWORK_LEN];
        assert_true(tracker_network_parse(testing_str(cases[i].network), entry));
        struct tracker_str list = { (char *) entry, sizeof(entry) };
        struct tracker_str ip = { cases[i].ip, cases[i].ip_len };
        if (tracker_networks_hold(list, ip) != cases[i].held)
            fail_msg("case %zu: %s", i, cases[i].network);
    }
}

static bool
reference(const uint8_t *entry, const uint8_t ip[16])
{
    for (unsigned bit = 0; bit < entry[0]; bit++)
        if ((entry[1 + bit / 8] ^ ip[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* Any bytes: what the checker lets through agrees with the reference, and host bits are never set. */
static void
test_random(void **state)
{
    testing_seed();
    for (int round = 0; round < 200000; round++) {
        uint8_t entry[TRACKER_NETWORK_LEN], ip[16];
        for (size_t i = 0; i < sizeof(entry); i++)
            entry[i] = (uint8_t) testing_below(256);
        entry[0] = (uint8_t) testing_below(140);
        if (testing_below(4) != 0) /* mostly well-formed */
            for (unsigned bit = entry[0]; bit < 128; bit++)
                entry[1 + bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        memcpy(ip, entry + 1, sizeof(ip));
        ip[testing_below(16)] ^= (uint8_t) (1 << testing_below(8));

        struct tracker_str list = { (char *) entry, sizeof(entry) };
        if (!tracker_networks_check(list))
            continue;
        assert_in_range(entry[0], 0, 128);
        assert_int_equal(tracker_networks_hold(list, (struct tracker_str){ (char *) ip, 16 }), reference(entry, ip));
        assert_true(tracker_networks_hold(list, (struct tracker_str){ (char *) entry + 1, 16 }));
    }
    assert_true(tracker_networks_check(TRACKER_STR_NONE));
    assert_false(tracker_networks_hold(TRACKER_STR_NONE, (struct tracker_str){ "\1\2\3\4", 4 }));
    assert_false(tracker_networks_check((struct tracker_str){ "\1", 1 }));
}

/* Lists of networks that nest, repeat and touch: whatever sorting drops, the same addresses are held. */
static void
test_lists(void **state)
{
    testing_seed();
    for (int round = 0; round < 3000; round++) {
        uint8_t list[TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN], sorted[sizeof(list)], ip[16];
        size_t  count = testing_below(round % 10 == 0 ? TRACKER_NETWORKS_MAX + 1 : 12);

        for (size_t i = 0; i < count; i++) {
            uint8_t *entry = list + i * TRACKER_NETWORK_LEN;

            memset(entry, 0, TRACKER_NETWORK_LEN);
            entry[0] = (uint8_t) (testing_below(4) ? 100 + testing_below(29) : testing_below(129));
            for (size_t j = 13; j < TRACKER_NETWORK_LEN; j++) /* few addresses, so that they meet */
                entry[j] = (uint8_t) (testing_below(4) << 6 | testing_below(2));
            for (unsigned bit = entry[0]; bit < 128; bit++)
                entry[1 + bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        }
        memcpy(sorted, list, count * TRACKER_NETWORK_LEN);
        size_t             len = tracker_networks_sort(sorted, count * TRACKER_NETWORK_LEN);
        struct tracker_str networks = { (char *) sorted, len };
        assert_true(len <= count * TRACKER_NETWORK_LEN && (len > 0) == (count > 0));
        assert_true(tracker_networks_check(networks) && tracker_networks_sorted(networks));
        assert_int_equal(tracker_networks_sort(sorted, len), len);

        for (int probe = 0; probe < 100; probe++) {
            bool held = false;

            memset(ip, 0, sizeof(ip));
            for (size_t j = 12; j < sizeof(ip); j++)
                ip[j] = (uint8_t) (testing_below(4) << 6 | testing_below(2));
            if (testing_below(8) == 0)
                ip[testing_below(16)] = 0xff;
            for (size_t i = 0; i < count; i++)
                held |= reference(list + i * TRACKER_NETWORK_LEN, ip);
            assert_int_equal(tracker_networks_hold(networks, (struct tracker_str){ (char *) ip, 16 }), held);
        }
    }
}

static void
test_sorted(void **state)
{
    static const struct {
        const char *first, *second;
        bool        sorted;
    } cases[] = {
        { "10.0.0.0/8", "11.0.0.0/8", true },     { "11.0.0.0/8", "10.0.0.0/8", false },
        { "10.0.0.0/8", "10.0.0.0/8", false },    { "10.0.0.0/8", "10.1.0.0/16", false },
        { "10.0.0.0/16", "10.0.0.0/8", false },   { "10.0.0.0/16", "10.1.0.0/16", true },
        { "255.255.255.255", "2001::/16", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t two[2 * TRACKER_NETWORK_LEN];

        assert_true(tracker_network_parse(testing_str(cases[i].first), two));
        assert_true(tracker_network_parse(testing_str(cases[i].second), two + TRACKER_NETWORK_LEN));
        if (tracker_networks_sorted((struct tracker_str){ (char *) two, sizeof(two) }) != cases[i].sorted)
            fail_msg("%s, %s", cases[i].first, cases[i].second);
    }
    assert_true(tracker_networks_sorted(TRACKER_STR_NONE));
    assert_int_equal(tracker_networks_sort(NULL, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
