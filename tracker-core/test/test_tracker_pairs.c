/*
 * test_tracker_pairs.c - names and values one after the other, and the hash over them.
 *
 * Guards what a lead says on its way from a hostile body over the journal into the database: pairs that read
 * differently than they were written, a length that reaches past the end, two spellings of one list (their hashes
 * would differ, and a retry would be a second lead), text that no UTF-8 database takes, and bounds that one side
 * keeps and the other does not.
 */
#include "testing.h"

#include "tracker_lead.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct list {
    uint8_t bytes[TRACKER_LEAD_FIELDS_MAX];
    size_t  len;
};

static void
add(struct list *list, const char *name, const char *value)
{
    size_t len = tracker_pairs_add(list->bytes, list->len, sizeof(list->bytes), testing_str(name), testing_str(value));

    assert_true(len > list->len);
    list->len = len;
}

static struct tracker_str
pairs_of(const struct list *list)
{
    return (struct tracker_str){ (const char *) list->bytes, list->len };
}

static bool
check(const void *bytes, size_t len)
{
    char *exact = testing_exact(bytes, len);
    bool  fine = tracker_pairs_check((struct tracker_str){ exact, len });

    free(exact);
    return fine;
}

static void
test_round_trip(void **state)
{
    struct list        list = { .len = 0 };
    struct tracker_str rest, name, value;
    static const char *texts[][2] = {
        { "first_name", "Zo\xc3\xab" }, { "colour", "red" }, { "colour", "" }, { "notes", "one\n\ttwo" }
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        add(&list, texts[i][0], texts[i][1]);
    rest = pairs_of(&list);
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(tracker_pairs_next(&rest, &name, &value), 1);
        assert_true(tracker_str_eq(name, testing_str(texts[i][0])));
        assert_true(tracker_str_eq(value, testing_str(texts[i][1])));
    }
    assert_int_equal(tracker_pairs_next(&rest, &name, &value), 0);
    assert_true(tracker_pairs_check(pairs_of(&list)));
    assert_true(tracker_pairs_check(TRACKER_STR_NONE));

    assert_true(tracker_pairs_find(pairs_of(&list), TRACKER_STR("colour"), &value));
    assert_true(tracker_str_eq(value, TRACKER_STR("red"))); /* the first */
    assert_false(tracker_pairs_find(pairs_of(&list), TRACKER_STR("colou"), &value));
    assert_false(tracker_pairs_find(TRACKER_STR_NONE, TRACKER_STR("colour"), &value));
}

/* Every length around where its varint grows, into exactly as many bytes as it takes and one less. */
static void
test_add_fits_or_leaves_all_alone(void **state)
{
    static const size_t lens[] = { 0, 1, 127, 128, 4096, 16383, 16384, 40000 };
    static char         text[40000];

    memset(text, 'v', sizeof(text));
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct tracker_str value = { text, lens[i] }, name = { text, lens[i] % 200 }, n, v, rest;
        size_t             need = name.len + value.len + (name.len < 128 ? 1 : 2)
                                  + (value.len < 128 ? 1 : value.len < 16384 ? 2 : 3);
        uint8_t           *bytes = malloc(need);

        assert_int_equal(tracker_pairs_add(bytes, 0, need - 1, name, value), 0);
        assert_int_equal(tracker_pairs_add(bytes, 0, need, name, value), need);
        rest = (struct tracker_str){ (const char *) bytes, need };
        assert_int_equal(tracker_pairs_next(&rest, &n, &v), 1);
        assert_true(tracker_str_eq(n, name) && tracker_str_eq(v, value) && rest.len == 0);
        assert_int_equal(tracker_pairs_add(bytes, need, need, name, value), 0);
        assert_int_equal(tracker_pairs_add(bytes, need + 1, need, name, value), 0);
        free(bytes);
    }
    uint8_t small[8];
    assert_int_equal(tracker_pairs_add(small, 0, sizeof(small), TRACKER_STR("a"),
                                       (struct tracker_str){ text, SIZE_MAX }),
                     0);
}

static void
test_malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t      len;
    } bad[] = {
#define BYTES(literal) { literal, sizeof(literal) - 1 }
        BYTES("\1"),
        BYTES("\1a"),
        BYTES("\1a\1"),
        BYTES("\2a"),
        BYTES("\x81"),
        BYTES("\x81\0a\1b"), /* not the shortest form */
        BYTES("\1a\x80\0"),
        BYTES("\xff\xff\xff\xff\x01"),
        BYTES("\xff\xff\x7f"),
        BYTES("\1a\1b\1"), /* behind a good one */
#undef BYTES
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        char              *exact = testing_exact(bad[i].bytes, bad[i].len);
        struct tracker_str rest = { exact, bad[i].len }, name, value;
        int                more;

        while ((more = tracker_pairs_next(&rest, &name, &value)) == 1)
            ;
        if (more != -1 || tracker_pairs_check((struct tracker_str){ exact, bad[i].len }))
            fail_msg("case %zu", i);
        assert_false(tracker_pairs_find((struct tracker_str){ exact, bad[i].len }, TRACKER_STR("zz"), &value));
        free(exact);
    }
}

static void
test_names(void **state)
{
    static const char *good[] = { "a", "z9_", "first_name",
                                  "abcdefghijklmnopqrstuvwxyz_0123456789_abcdefghijklmnopqrstuvwxyz" };
    static const char *bad[] = { "", "A", "aB", "9a", "_token", "a-b", "a b", "\xc3\xa9", "a.b",
                                 "abcdefghijklmnopqrstuvwxyz_0123456789_abcdefghijklmnopqrstuvwxyz_" };

    for (size_t i = 0; i < COUNT(good); i++) {
        struct list list = { .len = 0 };

        add(&list, good[i], "v");
        assert_true(check(list.bytes, list.len));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct list list = { .len = 0 };

        add(&list, bad[i], "v");
        if (check(list.bytes, list.len))
            fail_msg("%s", bad[i]);
    }
}

static void
test_text(void **state)
{
    static const char *good[] = { "", "plain", "\n\t", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                  "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "~" };
    static const char *bad[] = { "\r", "\x01", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f", /* control characters */
                                 "\x80", "\xbf", "\xc3", "\xc3" "a", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xe2\x82",
                                 "\xe2\x82" "a", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
                                 "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "fine\xfe" };

    for (size_t i = 0; i < COUNT(good); i++) {
        if (!tracker_text_valid(testing_str(good[i])))
            fail_msg("good %zu", i);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t len = strlen(bad[i]);
        char  *exact = testing_exact(bad[i], len);

        if (tracker_text_valid((struct tracker_str){ exact, len }))
            fail_msg("bad %zu", i);
        free(exact);
    }
    assert_false(tracker_text_valid(TRACKER_STR("a\0b")));
}

static void
test_bounds(void **state)
{
    static char value[TRACKER_LEAD_VALUE_MAX + 1];
    struct list list = { .len = 0 };
    uint8_t     more[2 * TRACKER_LEAD_FIELDS_MAX];
    size_t      len = 0;

    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < TRACKER_LEAD_PAIRS_MAX; i++)
        add(&list, "n", "");
    assert_true(check(list.bytes, list.len));
    add(&list, "n", "");
    assert_false(check(list.bytes, list.len));

    len = tracker_pairs_add(more, 0, sizeof(more), TRACKER_STR("n"), (struct tracker_str){ value, sizeof(value) - 1 });
    assert_true(check(more, len));
    len = tracker_pairs_add(more, 0, sizeof(more), TRACKER_STR("n"), (struct tracker_str){ value, sizeof(value) });
    assert_false(check(more, len));

    for (len = 0; len + 4004 <= TRACKER_LEAD_FIELDS_MAX;)
        len = tracker_pairs_add(more, len, sizeof(more), TRACKER_STR("n"), (struct tracker_str){ value, 4000 });
    struct tracker_str last = { value, TRACKER_LEAD_FIELDS_MAX - len - 4 };
    assert_true(tracker_pairs_add(more, len, sizeof(more), TRACKER_STR("n"), last) == TRACKER_LEAD_FIELDS_MAX);
    assert_true(check(more, TRACKER_LEAD_FIELDS_MAX));
    last.len++;
    assert_true(tracker_pairs_add(more, len, sizeof(more), TRACKER_STR("n"), last) == TRACKER_LEAD_FIELDS_MAX + 1);
    assert_false(check(more, TRACKER_LEAD_FIELDS_MAX + 1));
}

static void
shuffled(const char *const (*texts)[2], size_t count, struct list *list)
{
    size_t order[16];

    for (size_t i = 0; i < count; i++) {
        size_t j = testing_below(i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    list->len = 0;
    for (size_t i = 0; i < count; i++)
        add(list, texts[order[i]][0], texts[order[i]][1]);
}

static void
test_content_ignores_order_alone(void **state)
{
    static const char *const texts[][2] = { { "email", "a@example.com" }, { "phone", "+49 89 1234" }, { "colour", "red" },
                                            { "colour", "blue" }, { "colour", "red" }, { "a", "" }, { "aa", "a" } };
    static const char *const others[][2] = { { "a", "ba" }, { "ab", "a" }, { "a", "b" }, { "b", "a" }, { "aba", "" } };
    uint8_t     first[16], again[16], different[COUNT(others) + 2][16];
    struct list list = { .len = 0 };

    testing_seed();
    for (size_t i = 0; i < COUNT(texts); i++)
        add(&list, texts[i][0], texts[i][1]);
    tracker_lead_content(pairs_of(&list), first);
    for (int round = 0; round < 200; round++) {
        shuffled(texts, COUNT(texts), &list);
        tracker_lead_content(pairs_of(&list), again);
        assert_memory_equal(first, again, sizeof(first));
    }

    for (size_t i = 0; i < COUNT(others); i++) {
        list.len = 0;
        add(&list, others[i][0], others[i][1]);
        tracker_lead_content(pairs_of(&list), different[i]);
    }
    list.len = 0;
    tracker_lead_content(pairs_of(&list), different[COUNT(others)]);
    for (size_t i = 1; i < COUNT(texts); i++)
        add(&list, texts[i][0], texts[i][1]);
    tracker_lead_content(pairs_of(&list), different[COUNT(others) + 1]);
    for (size_t i = 0; i < COUNT(different); i++) {
        assert_memory_not_equal(different[i], first, sizeof(first));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(different[i], different[j], sizeof(different[i]));
    }
}

/* Nobody should ask for it, but whoever does gets a hash of all of it, and no read past the end. */
static void
test_content_of_anything(void **state)
{
    uint8_t one[16], two[16], bytes[1024];

    testing_seed();
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (i % 2); /* 512 times a name without letters and a value of one byte, more or less */
    for (size_t len = 1; len <= sizeof(bytes); len += 7) {
        char *exact = testing_exact(bytes, len);

        tracker_lead_content((struct tracker_str){ exact, len }, one);
        exact[len - 1] ^= 0x40;
        tracker_lead_content((struct tracker_str){ exact, len }, two);
        assert_memory_not_equal(one, two, sizeof(one));
        free(exact);
    }
    for (int round = 0; round < 20000; round++) {
        size_t len = testing_below(40);
        char   random[40];

        for (size_t i = 0; i < len; i++)
            random[i] = (char) (testing_below(2) ? testing_below(8) : testing_draw());
        char *exact = testing_exact(random, len);
        tracker_lead_content((struct tracker_str){ exact, len }, one);
        tracker_pairs_check((struct tracker_str){ exact, len });
        free(exact);
    }
}

/* Edges of two releases must agree, or a retry is a second lead. */
static void
test_content_is_pinned(void **state)
{
    static const uint8_t pinned[16] = { 0xce, 0xe1, 0x39, 0xc7, 0xa5, 0x4f, 0xdd, 0x9c,
                                        0xe6, 0xe2, 0xa1, 0x2a, 0xd5, 0x13, 0x24, 0xcf };
    struct list list = { .len = 0 };
    uint8_t     content[16];

    add(&list, "email", "a@example.com");
    add(&list, "age", "42");
    tracker_lead_content(pairs_of(&list), content);
    assert_memory_equal(content, pinned, sizeof(pinned));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_add_fits_or_leaves_all_alone),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_content_ignores_order_alone),
        cmocka_unit_test(test_content_of_anything),
        cmocka_unit_test(test_content_is_pinned),
    };

    if (tracker_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
