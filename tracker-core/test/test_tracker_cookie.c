/*
 * test_tracker_cookie.c - the attribution cookie of one program among whatever else a browser sends.
 *
 * What could break: program 7 reading program 77's cookie, a forged value
 * taken for a touch (money to the forger), a header made to burn a MAC per
 * byte, the newest program evicted in place of the oldest, reads past the
 * header's end (every header here is a heap block of its exact size).
 */
#include "testing.h"

#include "tracker_cookie.h"

static struct tracker_keys keys;

/* "aff_<program>=<first>.<last>" with clicks of those times. */
static size_t
cookie_write(char *at, uint32_t program, uint64_t first_ms, uint64_t last_ms)
{
    struct tracker_click_id id = { .journal = 5, .sequence = 6, .link = 8, .key = 3, .recorded = true };
    char first[TRACKER_CLICK_ID_LEN], last[TRACKER_CLICK_ID_LEN];
    int len = sprintf(at, "%s%u=", TRACKER_COOKIE_PREFIX, program);

    id.time_ms = first_ms;
    tracker_click_id_encode(&keys, &id, first);
    id.time_ms = last_ms;
    tracker_click_id_encode(&keys, &id, last);
    tracker_cookie_value(at + len, first, last);
    at[len + TRACKER_COOKIE_VALUE_LEN] = '\0';
    return (size_t) len + TRACKER_COOKIE_VALUE_LEN;
}

/* Reads from an exact heap copy; *out's strings are re-pointed into `header`, which lives on. */
static enum tracker_cookie_verdict
cookie_read(const char *header, size_t len, uint32_t program, struct tracker_cookie *out)
{
    char *exact = testing_exact(header, len);
    enum tracker_cookie_verdict verdict =
        tracker_cookie_read(&keys, (struct tracker_str){ exact, len }, program, out);

    if (verdict == TRACKER_COOKIE_OK) {
        out->first_text.data = header + (out->first_text.data - exact);
        out->last_text.data = header + (out->last_text.data - exact);
    }
    free(exact);
    return verdict;
}

static bool
evict(const char *header, size_t len, uint32_t program, uint32_t *victim)
{
    char *exact = testing_exact(header, len);
    bool full = tracker_cookie_evict((struct tracker_str){ exact, len }, program, victim);

    free(exact);
    return full;
}

static void
test_found_among_others(void **state)
{
    static const struct {
        const char *before, *after;
    } frames[] = {
        { "", "" },
        { "a=1; ", "; b=2" },
        { "a=1;", ";b=2" },
        { ";;; ;=; =x; aff_; aff_=1; aff_7; ", " \t ;" },
        { "aff_77=junk; aff_70=junk; xaff_7=junk; aff_7x=junk; AFF_7=junk; aff_07=junk; ", "" },
        { "aff_4294967303=wraps to 7; ", "" },
        { "q=\"a; ", "; b\"" }, /* quotes do not nest: RFC 6265 splits at every semicolon */
    };
    char header[1024];
    struct tracker_cookie cookie;

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        size_t len = (size_t) sprintf(header, "%s", frames[i].before);

        size_t at = len + sizeof("aff_7=") - 1;
        len += cookie_write(header + len, 7, 1000, 2000);
        len += (size_t) sprintf(header + len, "%s", frames[i].after);
        assert_int_equal(cookie_read(header, len, 7, &cookie), TRACKER_COOKIE_OK);
        assert_int_equal(cookie.first.time_ms, 1000);
        assert_int_equal(cookie.last.time_ms, 2000);
        assert_ptr_equal(cookie.first_text.data, header + at);
        assert_ptr_equal(cookie.last_text.data, header + at + TRACKER_CLICK_ID_LEN + 1);
        assert_int_equal(cookie.first_text.len, TRACKER_CLICK_ID_LEN);
        assert_int_equal(cookie.last_text.len, TRACKER_CLICK_ID_LEN);
        assert_int_equal(cookie_read(header, len, 8, &cookie), TRACKER_COOKIE_NONE);
        assert_int_equal(cookie_read(header, len, 0, &cookie), TRACKER_COOKIE_NONE);
    }
}

static void
test_one_touch(void **state)
{
    char header[256];
    size_t len = cookie_write(header, UINT32_MAX, 5000, 5000);
    struct tracker_cookie cookie;

    assert_int_equal(cookie_read(header, len, UINT32_MAX, &cookie), TRACKER_COOKIE_OK);
    assert_int_equal(cookie.first.time_ms, 5000);
    assert_int_equal(cookie.last.time_ms, 5000);
}

/* Each byte of the value replaced by each other byte: never OK, and only a semicolon may hide it. */
static void
test_every_byte_of_the_value_counts(void **state)
{
    char header[256];
    size_t len = cookie_write(header, 7, 1000, 2000), start = len - TRACKER_COOKIE_VALUE_LEN;
    struct tracker_cookie cookie;

    for (size_t at = start; at < len; at++) {
        char was = header[at];

        for (int c = 0; c < 256; c++) {
            header[at] = (char) c;
            assert_int_equal(cookie_read(header, len, 7, &cookie),
                             header[at] == was ? TRACKER_COOKIE_OK : TRACKER_COOKIE_BROKEN);
        }
        header[at] = was;
    }
}

static void
test_broken(void **state)
{
    static const char *values[] = {
        "",
        ".",
        "x",
        "-",
        "\"\"",
        "%00",
        "----------------------------------------.----------------------------------------",
        "----------------------------------------",
        "----------------------------------------.",
    };
    char good[256], header[1024];
    size_t good_len = cookie_write(good, 7, 1000, 2000);
    struct tracker_cookie cookie;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        size_t len = (size_t) sprintf(header, "aff_7=%s", values[i]);

        assert_int_equal(cookie_read(header, len, 7, &cookie), TRACKER_COOKIE_BROKEN);
    }
    for (size_t len = sizeof("aff_7=") - 1; len < good_len; len++) /* cut anywhere */
        assert_int_equal(cookie_read(good, len, 7, &cookie), TRACKER_COOKIE_BROKEN);
    int len = sprintf(header, "%s-", good);
    assert_int_equal(cookie_read(header, (size_t) len, 7, &cookie), TRACKER_COOKIE_BROKEN);
    len = sprintf(header, "aff_7=\"%s\"", good + 6);
    assert_int_equal(cookie_read(header, (size_t) len, 7, &cookie), TRACKER_COOKIE_BROKEN);
    assert_int_equal(tracker_cookie_read(&keys, TRACKER_STR_NONE, 7, &cookie), TRACKER_COOKIE_NONE);
}

/* A retired key's cookie is broken, as one of ours that cannot be proven. */
static void
test_retired_key(void **state)
{
    struct tracker_keys retired = keys;
    struct tracker_cookie cookie;
    char header[256];
    size_t len = cookie_write(header, 7, 1000, 2000);

    retired.present = 1u << 15;
    assert_int_equal(tracker_cookie_read(&retired, (struct tracker_str){ header, len }, 7, &cookie),
                     TRACKER_COOKIE_BROKEN);
}

/* A neighbour on a sister domain sets a cookie of our name: ours still counts, up to a bound. */
static void
test_duplicates(void **state)
{
    char header[4096];
    struct tracker_cookie cookie;

    for (unsigned junk = 0; junk <= 10; junk++) {
        size_t len = 0;

        for (unsigned i = 0; i < junk; i++)
            len += (size_t) sprintf(header + len, "aff_7=%u; ", i);
        len += cookie_write(header + len, 7, 1000, 2000);
        assert_int_equal(cookie_read(header, len, 7, &cookie),
                         junk < 4 ? TRACKER_COOKIE_OK : TRACKER_COOKIE_BROKEN);
    }
}

/*
 * A host and its parent domain both have the cookie: which comes first depends on when each was made, so that the
 * earliest first and the latest last touch count, in whatever order; one that does not verify says nothing.
 */
static void
test_host_and_parent(void **state)
{
    static const unsigned times[][2] = { { 1000, 2000 }, { 500, 1500 }, { 3000, 3000 } };
    char header[1024];
    struct tracker_cookie cookie;

    for (unsigned order = 0; order < 6; order++) {
        unsigned a = order % 3, b = (a + 1 + order / 3) % 3, c = 3 - a - b;
        size_t len = cookie_write(header, 7, times[a][0], times[a][1]);

        len += (size_t) sprintf(header + len, "; aff_7=junk; ");
        len += cookie_write(header + len, 7, times[b][0], times[b][1]);
        len += (size_t) sprintf(header + len, "; x=y; ");
        len += cookie_write(header + len, 7, times[c][0], times[c][1]);
        assert_int_equal(cookie_read(header, len, 7, &cookie), TRACKER_COOKIE_OK);
        assert_int_equal(cookie.first.time_ms, 500);
        assert_int_equal(cookie.last.time_ms, 3000);
        assert_int_equal(memcmp(cookie.first_text.data, cookie.last_text.data, TRACKER_CLICK_ID_LEN) < 0, true);
    }
}

static void
test_evict_only_when_full(void **state)
{
    char header[8192];
    size_t len = 0;
    uint32_t victim = 999;

    assert_false(evict("", 0, 7, &victim));
    for (uint32_t program = 1; program <= TRACKER_COOKIES_MAX + 5; program++) {
        len += (size_t) sprintf(header + len, "; x=%u; ", program);
        len += cookie_write(header + len, program, 1, program == 4 ? 50 : 1000 + program);

        /* A stranger joins: full when 20 others are there.  One of them renews: one fewer is "other". */
        assert_int_equal(evict(header, len, 1000, &victim), program >= TRACKER_COOKIES_MAX);
        if (program >= TRACKER_COOKIES_MAX)
            assert_int_equal(victim, 4);
        assert_int_equal(evict(header, len, 4, &victim), program > TRACKER_COOKIES_MAX);
        if (program > TRACKER_COOKIES_MAX)
            assert_int_equal(victim, 1); /* never the one being set */
    }
}

/* Against a plain search for the oldest, with random times, under both keys. */
static void
test_evict_is_the_oldest(void **state)
{
    char header[8192];

    testing_seed();
    for (int round = 0; round < 300; round++) {
        size_t len = 0;
        uint64_t oldest = UINT64_MAX;
        uint32_t expected = 0, victim = 0;

        for (unsigned i = 0; i < TRACKER_COOKIES_MAX; i++) {
            struct tracker_click_id id = { .time_ms = testing_magnitude(42),
                                           .key = testing_below(2) ? 3 : 15 };
            uint32_t program = (uint32_t) testing_draw();
            char text[TRACKER_CLICK_ID_LEN];

            id.recorded = testing_below(2) != 0;
            tracker_click_id_encode(&keys, &id, text);
            len += (size_t) sprintf(header + len, "aff_%u=", program);
            tracker_cookie_value(header + len, text, text);
            len += TRACKER_COOKIE_VALUE_LEN;
            header[len++] = ';';
            if (id.time_ms < oldest) {
                oldest = id.time_ms;
                expected = program;
            }
        }
        assert_true(evict(header, len, 7, &victim));
        assert_int_equal(victim, expected);
    }
}

/* What we did not write can perhaps not be expired by us either: as a victim it would shield the oldest for
 * ever. */
static void
test_evict_ignores_strangers(void **state)
{
    static const char *strangers[] = { "aff_",   "aff_x", "aff_01",         "aff_1x",          "affx_5",
                                       "xaff_5", "AFF_5", "aff_4294967296", "aff_99999999999", "aff_ 5",
                                       "aff_5 " };
    char header[8192], ours[256];
    size_t len = 0, value = cookie_write(ours, 1, 0, 0) - TRACKER_COOKIE_VALUE_LEN;
    uint32_t victim = 999;

    for (uint32_t program = 2; program <= TRACKER_COOKIES_MAX; program++) {
        len += cookie_write(header + len, program, 5, 1000 + program);
        header[len++] = ';';
    }
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) /* our value under another name */
        len += (size_t) sprintf(header + len, "%s=%s;", strangers[i], ours + value);
    len += (size_t) sprintf(header + len, "aff_60=junk; aff_61=; aff_62=%s.; aff_63=x%s;", ours + value,
                            ours + value);
    len += (size_t) sprintf(header + len, "aff_65:%s;", ours + value);
    ours[value + TRACKER_CLICK_ID_LEN] = '-';
    len += (size_t) sprintf(header + len, "aff_64=%s;", ours + value);
    assert_false(evict(header, len, 1000, &victim));

    len += cookie_write(header + len, 1, 5, 5000);
    assert_true(evict(header, len, 1000, &victim));
    assert_int_equal(victim, 2);
}

/* The shortest header that can be full is: one-digit programs, nothing between the pairs but ';'. */
static void
test_evict_at_the_shortest_length(void **state)
{
    char header[8192];
    size_t len = 0;
    uint32_t victim = 999;

    for (uint32_t i = 0; i < TRACKER_COOKIES_MAX; i++) {
        len += cookie_write(header + len, i % 9 + 1, 5, i % 9 == 4 ? 7 : 1000);
        header[len++] = ';';
    }
    assert_true(evict(header, len - 1, 0, &victim));
    assert_int_equal(victim, 5);
    assert_false(evict(header, len - 2, 0, &victim)); /* the last one is cut */
}

/* Pieces of real headers, shuffled and damaged: no verdict OK for a program nobody wrote a cookie for. */
static void
test_hostile_headers(void **state)
{
    static const char *pieces[] = { ";",       "; ",   "=", "aff_", "aff_7", "aff_8=",
                                    "=aff_7=", "\xff", " ", "\t",   "." };
    char header[2048];

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        size_t len = 0;
        uint32_t victim;
        struct tracker_cookie cookie;

        for (uint64_t n = testing_below(20); n > 0; n--) {
            if (testing_below(4) == 0) {
                len += cookie_write(header + len, (uint32_t) (7 + testing_below(2)), 1, 2);
            } else {
                const char *piece = pieces[testing_below(sizeof(pieces) / sizeof(pieces[0]))];
                len += (size_t) sprintf(header + len, "%s", piece);
            }
        }
        for (uint64_t hits = testing_below(4); len > 0 && hits > 0; hits--)
            header[testing_below(len)] = (char) testing_draw();
        cookie_read(header, len, 7, &cookie);
        assert_int_not_equal(cookie_read(header, len, 9, &cookie), TRACKER_COOKIE_OK);
        evict(header, len, 7, &victim);
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
        cmocka_unit_test(test_found_among_others),
        cmocka_unit_test(test_one_touch),
        cmocka_unit_test(test_every_byte_of_the_value_counts),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_retired_key),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_host_and_parent),
        cmocka_unit_test(test_evict_only_when_full),
        cmocka_unit_test(test_evict_is_the_oldest),
        cmocka_unit_test(test_evict_ignores_strangers),
        cmocka_unit_test(test_evict_at_the_shortest_length),
        cmocka_unit_test(test_hostile_headers),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
