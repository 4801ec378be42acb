/*
 * test_tracker_query.c - parameters set in a URL, and a visitor's parameters passed on.
 *
 * Guarded here: a visitor's parameter never replaces or repeats one of the destination's (it might be the click id,
 * a price or a return address), whatever case or encoding its name comes in; nothing raw gets into the URL; the
 * buffer's bound holds to the byte and the fragment stays last.
 */
#include "testing.h"

#include "tracker_query.h"
#include "tracker_url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
keep_all(void *data, struct tracker_str name)
{
    return true;
}

/* Refuses the one name that data holds. */
static bool
keep_others(void *data, struct tracker_str name)
{
    return !tracker_str_eq(name, testing_str(data));
}

static void
must_pass(const char *url, const char *query, const char *expected)
{
    char   buf[512];
    char  *exact = testing_exact(query, strlen(query));
    size_t len = strlen(url), want = strlen(expected), got;

    memcpy(buf, url, len);
    got = tracker_query_pass(buf, len, sizeof(buf), (struct tracker_str){ exact, strlen(query) }, keep_others, "ours");
    if (got != want || memcmp(buf, expected, want) != 0)
        fail_msg("%s with %s is %.*s, not %s", url, query, (int) got, buf, expected);
    free(exact);
}

static void
passed(void **state)
{
    must_pass("https://a/", "x=1", "https://a/?x=1");
    must_pass("https://a", "x=1&y=2", "https://a?x=1&y=2");
    must_pass("https://a/?", "x=1", "https://a/?x=1");
    must_pass("https://a/?b=c", "x=1", "https://a/?b=c&x=1");
    must_pass("https://a/?b=c&", "x=1", "https://a/?b=c&x=1");
    must_pass("https://a/#f?g", "x=1", "https://a/?x=1#f?g");
    must_pass("https://a/?b#f", "x=1", "https://a/?b&x=1#f");
    must_pass("https://a/?b=c", "", "https://a/?b=c");
    must_pass("https://a/?b=c", "&&=1&=", "https://a/?b=c");
    must_pass("https://a/", "x&y=", "https://a/?x&y=");
    must_pass("https://a/", "x=1&x=2", "https://a/?x=1&x=2");
    must_pass("https://a/", "q=a+b%20c%2bd&r=%41%7e", "https://a/?q=a%20b%20c%2Bd&r=A~");
    must_pass("https://a/", "q=%zz%4&p=a=b", "https://a/?q=%25zz%254&p=a%3Db");
    must_pass("https://a/", "%0d%0aX: y=%0d%0a\"<#", "https://a/?%0D%0AX%3A%20y=%0D%0A%22%3C%23");
    must_pass("https://a/", "ours=1&%6furs=2&x=3", "https://a/?x=3");
}

static void
never_overridden(void **state)
{
    must_pass("https://a/?b=c", "b=evil", "https://a/?b=c");
    must_pass("https://a/?b=c", "B=evil&%62=evil&%42=evil&bb=1", "https://a/?b=c&bb=1");
    must_pass("https://a/?x=1&b%20c=d", "b+c=evil&b%20c=evil", "https://a/?x=1&b%20c=d");
    must_pass("https://a/?b", "b=evil", "https://a/?b");
    must_pass("https://a/?x=1&b=", "b=evil", "https://a/?x=1&b=");
    must_pass("https://a/#?b=c", "b=1", "https://a/?b=1#?b=c");
}

static void
bounds(void **state)
{
    char name[TRACKER_PASS_NAME_MAX + 2], query[1024] = "", url[4096] = "https://a/";

    /* names */
    memset(name, 'n', sizeof(name));
    assert_int_equal(tracker_query_pass(url, 10, sizeof(url), (struct tracker_str){ name, TRACKER_PASS_NAME_MAX },
                                        keep_all, NULL), 11 + TRACKER_PASS_NAME_MAX);
    assert_int_equal(tracker_query_pass(url, 10, sizeof(url), (struct tracker_str){ name, TRACKER_PASS_NAME_MAX + 1 },
                                        keep_all, NULL), 10);

    /* number */
    for (int i = 0; i < TRACKER_PASS_MAX + 5; i++)
        strcat(query, "a&");
    assert_int_equal(tracker_query_pass(url, 10, sizeof(url), testing_str(query), keep_all, NULL),
                     10 + 2 * TRACKER_PASS_MAX);

    /* length: every capacity gives a prefix of the parameters, whole ones only, and the fragment */
    for (size_t cap = 12; cap <= 32; cap++) {
        char *exact = testing_exact("https://a/#f", 12);
        exact = realloc(exact, cap);
        size_t len = tracker_query_pass(exact, 12, cap, TRACKER_STR("x=%20&yy=2&z"), keep_all, NULL);
        const char *want = cap < 18 ? "https://a/#f" : cap < 23 ? "https://a/?x=%20#f"
                           : cap < 25 ? "https://a/?x=%20&yy=2#f" : "https://a/?x=%20&yy=2&z#f";
        assert_int_equal(len, strlen(want));
        assert_memory_equal(exact, want, len);
        free(exact);
    }
}

static void
must_set(const char *url, const char *expected)
{
    char   buf[512];
    size_t len = strlen(url), want = strlen(expected), got;

    memcpy(buf, url, len);
    got = tracker_query_set(buf, len, sizeof(buf), TRACKER_STR("click_id"), TRACKER_STR("a-_ b"));
    if (got != want || memcmp(buf, expected, want) != 0)
        fail_msg("%s is %.*s, not %s", url, (int) got, buf, expected);
}

static void
set(void **state)
{
    must_set("https://a", "https://a?click_id=a-_%20b");
    must_set("https://a/?", "https://a/?click_id=a-_%20b");
    must_set("https://a/?b=c#d", "https://a/?b=c&click_id=a-_%20b#d");
    must_set("https://a/?click_id=old", "https://a/?click_id=a-_%20b");
    must_set("https://a/?click_id=old&b=c#d", "https://a/?b=c&click_id=a-_%20b#d");
    must_set("https://a/?b=c&click_id&click%5Fid=1&Click_ID=2&x", "https://a/?b=c&x&click_id=a-_%20b");
    must_set("https://a/?b=c&click_id=1", "https://a/?b=c&click_id=a-_%20b");
    must_set("https://a/?click_ids=1#click_id=2", "https://a/?click_ids=1&click_id=a-_%20b#click_id=2");

    char *exact = realloc(testing_exact("https://a/?b#c", 14), 14 + 2 + 2 + 3);
    assert_int_equal(tracker_query_set(exact, 14, 14 + 2 + 2 + 3, TRACKER_STR("id"), TRACKER_STR("x")), 19);
    assert_memory_equal(exact, "https://a/?b&id=x#c", 19);
    assert_int_equal(tracker_query_set(exact, 19, 21, TRACKER_STR("id"), TRACKER_STR("y")), 0);
    assert_memory_equal(exact, "https://a/?b&id=x#c", 19);
    free(exact);
}

/* Random URLs and queries: clean bytes, the same host, no name of the destination's a second time. */
static void
random_queries(void **state)
{
    static const char alphabet[] = "ab=&%2_+?/#[]xyz1";
    char              url[128], query[64], out[256];

    testing_seed();
    for (int round = 0; round < 100000; round++) {
        size_t len = 10, n = testing_below(sizeof(query)), before = 0, after = 0, got;
        struct tracker_str rest, name, value, host;
        const char *mark, *hash;

        memcpy(url, "https://a/", 10);
        for (size_t i = testing_below(40); i > 0; i--)
            url[len++] = "ab=&?#_1"[testing_below(8)];
        for (size_t i = 0; i < n; i++)
            query[i] = testing_below(8) == 0 ? (char) testing_draw() : alphabet[testing_below(sizeof(alphabet) - 1)];

        memcpy(out, url, len);
        got = tracker_query_pass(out, len, sizeof(out), (struct tracker_str){ query, n }, keep_all, NULL);
        assert_true(got >= len && got <= sizeof(out));
        for (size_t i = 0; i < got; i++)
            assert_true((uint8_t) out[i] > 0x20 && (uint8_t) out[i] < 0x7f);
        host = tracker_url_host((struct tracker_str){ out, got });
        assert_true(tracker_str_eq(host, TRACKER_STR("a")));

        hash = memchr(url, '#', len);
        size_t tail = hash != NULL ? len - (size_t) (hash - url) : 0;
        assert_memory_equal(out + got - tail, url + len - tail, tail);
        assert_memory_equal(out, url, len - tail);

        for (int both = 0; both < 2; both++) { /* how often there is a parameter a: at most as it was, if it was */
            mark = memchr(both ? out : url, '?', both ? got - tail : len - tail);
            if (mark == NULL)
                continue;
            rest = (struct tracker_str){ mark + 1, (size_t) ((both ? out + got : url + len) - tail - mark - 1) };
            while (tracker_query_next(&rest, &name, &value))
                *(both ? &after : &before) += tracker_str_eq(name, TRACKER_STR("a"));
        }
        assert_true(before == 0 || after == before);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passed), cmocka_unit_test(never_overridden), cmocka_unit_test(bounds),
        cmocka_unit_test(set),    cmocka_unit_test(random_queries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
