/*
 * test_tracker_event.c - events to payload bytes and back.
 *
 * Payloads lie in journals for a day and are read by another release: so the
 * bytes of one click and one conversion are pinned, unknown tags are skipped,
 * and everything else that the encoder would not write is refused whole.  A
 * decoder that let half an event through would turn a torn record into money.
 */
#include "testing.h"

#include "tracker_event.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What random events borrow their strings from. */
static char pool[4096];

static struct tracker_str
random_text(size_t max)
{
    size_t len = testing_below(3) == 0 ? 0 : testing_magnitude(10) % (max + 1);

    return len == 0 ? TRACKER_STR_NONE
                    : (struct tracker_str){ pool + testing_below(sizeof(pool) - len), len };
}

static struct tracker_str
random_fixed(size_t len)
{
    return testing_below(2) ? TRACKER_STR_NONE
                            : (struct tracker_str){ pool + testing_below(sizeof(pool) - len), len };
}

static struct tracker_str
random_ip(void)
{
    return random_fixed(testing_below(2) ? 4 : 16);
}

static struct tracker_click
random_click(void)
{
    struct tracker_click click = {
        .program = (uint32_t) testing_magnitude(32),
        .campaign = (uint32_t) testing_magnitude(32),
        .link = (uint32_t) testing_magnitude(32),
        .affiliate = (uint32_t) testing_magnitude(32),
        .flags = (uint32_t) testing_magnitude(32),
        .key = (uint8_t) testing_below(16),
        .config_version = testing_magnitude(64),
        .previous_time_ms = testing_magnitude(64),
        .first_touch = random_fixed(TRACKER_CLICK_ID_LEN),
        .ip = random_ip(),
        .user_agent = random_text(TRACKER_FIELD_MAX),
        .referrer = random_text(TRACKER_FIELD_MAX),
        .language = random_text(TRACKER_FIELD_MAX),
        .ref_id = random_text(TRACKER_FIELD_MAX),
        .source = random_text(TRACKER_FIELD_MAX),
        .creative = random_text(TRACKER_FIELD_MAX),
        .cost = random_text(TRACKER_FIELD_MAX),
    };

    for (size_t i = 0; i < TRACKER_SUBS; i++)
        click.sub[i] = random_text(TRACKER_FIELD_MAX);
    return click;
}

static struct tracker_conversion
random_conversion(void)
{
    static const char *events[] = { "", "sale", "ftd", "lead_2", "a", "abcdefghijklmnopqrstuvwxyz_01234" };
    struct tracker_conversion conversion = {
        .program = (uint32_t) testing_magnitude(32),
        .api_user = (uint32_t) testing_magnitude(32),
        .auth = (uint8_t) testing_draw(),
        .status = (uint8_t) testing_below(3),
        .event_time_ms = testing_magnitude(64),
        .click_id = random_fixed(TRACKER_CLICK_ID_LEN),
        .event = testing_str(events[testing_below(COUNT(events))]),
        .txid = random_text(TRACKER_FIELD_MAX),
        .ip = random_ip(),
    };

    for (size_t i = 0; i < TRACKER_CONVERSION_PS; i++)
        conversion.p[i] = random_text(TRACKER_FIELD_MAX);
    if (testing_below(2)) {
        int64_t minor = (int64_t) testing_magnitude(50) % (TRACKER_MINOR_MAX + 1);

        conversion.has_amount = 1;
        conversion.amount.minor = testing_below(2) ? minor : -minor;
        for (int i = 0; i < 3; i++)
            conversion.amount.currency[i] = (char) ('A' + testing_below(26));
    }
    return conversion;
}

static void
assert_same_strings(const struct tracker_str *a, const struct tracker_str *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(tracker_str_eq(a[i], b[i]));
}

static void
assert_same_click(const struct tracker_click *a, const struct tracker_click *b)
{
    assert_int_equal(a->program, b->program);
    assert_int_equal(a->campaign, b->campaign);
    assert_int_equal(a->link, b->link);
    assert_int_equal(a->affiliate, b->affiliate);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->key, b->key);
    assert_true(a->config_version == b->config_version);
    assert_true(a->previous_time_ms == b->previous_time_ms);
    assert_same_strings(&a->first_touch, &b->first_touch, 1);
    assert_same_strings(&a->ip, &b->ip, 1);
    assert_same_strings(&a->user_agent, &b->user_agent, 1);
    assert_same_strings(&a->referrer, &b->referrer, 1);
    assert_same_strings(&a->language, &b->language, 1);
    assert_same_strings(&a->ref_id, &b->ref_id, 1);
    assert_same_strings(&a->source, &b->source, 1);
    assert_same_strings(&a->creative, &b->creative, 1);
    assert_same_strings(&a->cost, &b->cost, 1);
    assert_same_strings(a->sub, b->sub, TRACKER_SUBS);
}

static void
assert_same_conversion(const struct tracker_conversion *a, const struct tracker_conversion *b)
{
    assert_int_equal(a->program, b->program);
    assert_int_equal(a->api_user, b->api_user);
    assert_int_equal(a->auth, b->auth);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->has_amount, b->has_amount);
    assert_true(a->amount.minor == b->amount.minor);
    assert_string_equal(a->amount.currency, b->amount.currency);
    assert_true(a->event_time_ms == b->event_time_ms);
    assert_same_strings(&a->click_id, &b->click_id, 1);
    assert_same_strings(&a->event, &b->event, 1);
    assert_same_strings(&a->txid, &b->txid, 1);
    assert_same_strings(&a->ip, &b->ip, 1);
    assert_same_strings(a->p, b->p, TRACKER_CONVERSION_PS);
}

static void
test_click_round_trip(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_click click = random_click(), back;
        size_t len = tracker_click_encode(&click, payload, sizeof(payload));
        char *exact = testing_exact(payload, len);

        assert_true(tracker_click_decode((uint8_t *) exact, len, &back));
        assert_same_click(&click, &back);
        free(exact);
    }
}

static void
test_conversion_round_trip(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_conversion conversion = random_conversion(), back;
        size_t len = tracker_conversion_encode(&conversion, payload, sizeof(payload));
        char *exact = testing_exact(payload, len);

        assert_true(tracker_conversion_decode((uint8_t *) exact, len, &back));
        assert_same_conversion(&conversion, &back);
        free(exact);
    }
}

/* Written down by hand from the header; a change here is a change of what lies in journals. */
static void
test_click_is_pinned(void **state)
{
    static const char expected[] = "\x01\x01\x07"
                                   "\x02\x02\x34\x12"
                                   "\x03\x04\x78\x56\x34\x12"
                                   "\x04\x01\x05"
                                   "\x05\x01\x81"
                                   "\x06\x01\x03"
                                   "\x07\x01\x63"
                                   "\x08\x06\x00\x68\xe5\xcf\x8b\x01"
                                   "\x09\x28"
                                   "2NjEtLV--HC4Osaf----9V----RbJ9iQ9T6z3ZK_"
                                   "\x0a\x04\xc0\x00\x02\x01"
                                   "\x0b\x02UA"
                                   "\x0c\x02RE"
                                   "\x0d\x02LA"
                                   "\x0e\x02ID"
                                   "\x0f\x02SO"
                                   "\x10\x02"
                                   "CR"
                                   "\x11\x02"
                                   "CO"
                                   "\x14\x02S1"
                                   "\x1d\x03S10";
    struct tracker_click click = {
        .program = 7,
        .campaign = 0x1234,
        .link = 0x12345678,
        .affiliate = 5,
        .flags = TRACKER_CLICK_REPEAT | TRACKER_CLICK_NOT_ACCRUING,
        .key = 3,
        .config_version = 99,
        .previous_time_ms = UINT64_C(1700000000000),
        .first_touch = TRACKER_STR("2NjEtLV--HC4Osaf----9V----RbJ9iQ9T6z3ZK_"),
        .ip = TRACKER_STR("\xc0\x00\x02\x01"),
        .user_agent = TRACKER_STR("UA"),
        .referrer = TRACKER_STR("RE"),
        .language = TRACKER_STR("LA"),
        .ref_id = TRACKER_STR("ID"),
        .source = TRACKER_STR("SO"),
        .creative = TRACKER_STR("CR"),
        .cost = TRACKER_STR("CO"),
        .sub = { [0] = TRACKER_STR("S1"), [9] = TRACKER_STR("S10") },
    };
    uint8_t payload[TRACKER_EVENT_MAX];

    assert_int_equal(tracker_click_encode(&click, payload, sizeof(payload)), sizeof(expected) - 1);
    assert_memory_equal(payload, expected, sizeof(expected) - 1);
}

static void
test_conversion_is_pinned(void **state)
{
    static const char expected[] = "\x01\x01\x07"
                                   "\x02\x01\x2a"
                                   "\x03\x01\x01"
                                   "\x04\x01\x01"
                                   "\x05\x05"
                                   "EUR"
                                   "\xa3\x13"
                                   "\x06\x06\x00\x68\xe5\xcf\x8b\x01"
                                   "\x07\x28"
                                   "2NjEtLV--HC4Osaf----9V----RbJ9iQ9T6z3ZK_"
                                   "\x08\x04sale"
                                   "\x09\x04T-42"
                                   "\x0a\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                   "\x14\x02P1"
                                   "\x1d\x03P10";
    struct tracker_conversion conversion = {
        .program = 7,
        .api_user = 42,
        .auth = TRACKER_AUTH_API_KEY,
        .status = TRACKER_CONVERSION_APPROVED,
        .has_amount = 1,
        .amount = { -2514, "EUR" },
        .event_time_ms = UINT64_C(1700000000000),
        .click_id = TRACKER_STR("2NjEtLV--HC4Osaf----9V----RbJ9iQ9T6z3ZK_"),
        .event = TRACKER_STR("sale"),
        .txid = TRACKER_STR("T-42"),
        .ip = TRACKER_STR("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
        .p = { [0] = TRACKER_STR("P1"), [9] = TRACKER_STR("P10") },
    };
    uint8_t payload[TRACKER_EVENT_MAX];

    assert_int_equal(tracker_conversion_encode(&conversion, payload, sizeof(payload)), sizeof(expected) - 1);
    assert_memory_equal(payload, expected, sizeof(expected) - 1);
}

/* No amount and an amount of nothing are two things: a free trial is a conversion of 0.00. */
static void
test_amount_of_zero(void **state)
{
    struct tracker_conversion conversion = { .has_amount = 1, .amount = { 0, "EUR" } }, back;
    uint8_t payload[64];
    size_t len = tracker_conversion_encode(&conversion, payload, sizeof(payload));

    assert_true(tracker_conversion_decode(payload, len, &back));
    assert_int_equal(back.has_amount, 1);
    assert_string_equal(back.amount.currency, "EUR");
    conversion.has_amount = 0;
    assert_int_equal(tracker_conversion_encode(&conversion, payload, sizeof(payload)), 0);
    assert_true(tracker_conversion_decode(NULL, 0, &back));
    assert_int_equal(back.has_amount, 0);
    assert_string_equal(back.amount.currency, "");
}

/* Long texts are cut, so that no visitor can make a click too large to record. */
static void
test_everything_at_its_longest_fits(void **state)
{
    struct tracker_str text = { pool, sizeof(pool) };
    struct tracker_click click = {
        .program = UINT32_MAX,
        .campaign = UINT32_MAX,
        .link = UINT32_MAX,
        .affiliate = UINT32_MAX,
        .flags = UINT32_MAX,
        .key = 15,
        .config_version = UINT64_MAX,
        .previous_time_ms = UINT64_MAX,
        .first_touch = { pool, TRACKER_CLICK_ID_LEN },
        .ip = { pool, 16 },
        .user_agent = text,
        .referrer = text,
        .language = text,
        .ref_id = text,
        .source = text,
        .creative = text,
        .cost = text,
    };
    struct tracker_conversion conversion = {
        .has_amount = 1,
        .amount = { -TRACKER_MINOR_MAX, "EUR" },
        .event_time_ms = UINT64_MAX,
        .txid = text,
    };
    struct tracker_click back;
    struct tracker_conversion conversion_back;
    uint8_t payload[TRACKER_EVENT_MAX];
    size_t len;

    for (size_t i = 0; i < TRACKER_SUBS; i++)
        click.sub[i] = conversion.p[i] = text;
    len = tracker_click_encode(&click, payload, sizeof(payload));
    assert_true(len > 17 * TRACKER_FIELD_MAX);
    assert_true(tracker_click_decode(payload, len, &back));
    assert_int_equal(back.user_agent.len, TRACKER_FIELD_MAX);
    assert_int_equal(back.sub[9].len, TRACKER_FIELD_MAX);
    assert_memory_equal(back.sub[9].data, pool, TRACKER_FIELD_MAX);

    len = tracker_conversion_encode(&conversion, payload, sizeof(payload));
    assert_true(tracker_conversion_decode(payload, len, &conversion_back));
    assert_true(conversion_back.amount.minor == -TRACKER_MINOR_MAX);
    assert_int_equal(conversion_back.txid.len, TRACKER_FIELD_MAX);
}

/* Any smaller capacity gives 0, and nothing is written past it. */
static void
test_encode_bounds(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 20; round++) {
        struct tracker_click click = random_click();
        size_t need = tracker_click_encode(&click, payload, sizeof(payload));

        for (size_t cap = need > 600 ? need - 600 : 0; cap <= need; cap++) {
            uint8_t *exact = malloc(cap + 1);

            exact[cap] = 0xa5;
            assert_int_equal(tracker_click_encode(&click, exact, cap), cap < need ? 0 : need);
            assert_int_equal(exact[cap], 0xa5);
            free(exact);
        }
    }
}

/* A caller's mistake is refused when it is written, not a day later when it is read. */
static void
test_encode_refuses_what_decode_would(void **state)
{
    struct tracker_click clicks[] = {
        { .ip = { pool, 3 } },           { .ip = { pool, 5 } },           { .ip = { pool, 17 } },
        { .first_touch = { pool, 39 } }, { .first_touch = { pool, 81 } },
    };
    struct tracker_conversion conversions[] = {
        { .event = TRACKER_STR("Sale") },
        { .event = TRACKER_STR("sale!") },
        { .event = TRACKER_STR("a\0b") },
        { .event = TRACKER_STR("abcdefghijklmnopqrstuvwxyz_012345") },
        { .has_amount = 1, .amount = { TRACKER_MINOR_MAX + 1, "EUR" } },
        { .has_amount = 1, .amount = { INT64_MIN, "EUR" } },
        { .has_amount = 1, .amount = { 1, "eur" } },
        { .has_amount = 1, .amount = { 1, "" } },
        { .click_id = { pool, 1 } },
    };
    uint8_t payload[TRACKER_EVENT_MAX];

    for (size_t i = 0; i < COUNT(clicks); i++) {
        clicks[i].program = 1;
        assert_int_equal(tracker_click_encode(&clicks[i], payload, sizeof(payload)), 0);
    }
    for (size_t i = 0; i < COUNT(conversions); i++) {
        conversions[i].program = 1;
        assert_int_equal(tracker_conversion_encode(&conversions[i], payload, sizeof(payload)), 0);
    }
}

static void
test_unknown_tags_are_skipped(void **state)
{
    struct tracker_click back;

    assert_true(tracker_click_decode(
        (const uint8_t *) "\x12\x03xyz\x01\x01\x07\xff\x00\x80\x02\x00\x00\x04\x01\x05", 17, &back));
    assert_int_equal(back.program, 7);
    assert_int_equal(back.affiliate, 5);
    /* ... however long, but not twice */
    uint8_t payload[3 + 1000 + 3] = { 0xc8, 0xe8, 0x07 };
    memcpy(payload + 1003, "\x01\x01\x07", 3);
    assert_true(tracker_click_decode(payload, sizeof(payload), &back));
    assert_int_equal(back.program, 7);
    assert_false(tracker_click_decode((const uint8_t *) "\xff\x00\xff\x00", 4, &back));
}

static void
test_bad_payloads(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
#define BYTES(literal) { literal, sizeof(literal) - 1 }
        BYTES("\0"),
        BYTES("\0\0"), /* tag 0 */
        BYTES("\x01\x01\x07\0\0"),
        BYTES("\x01"),     /* no length */
        BYTES("\x01\x01"), /* past the end */
        BYTES("\x0b\x05"
              "abcd"),
        BYTES("\x0b\x80"),             /* half a length */
        BYTES("\x0b\x80\x80\x80\x01"), /* more bytes than any length has */
        BYTES("\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        BYTES("\x0b\x84\0abcd"),           /* not the shortest form */
        BYTES("\x01\x01\x07\x01\x01\x07"), /* twice */
        BYTES("\x0b\0\x0b\0"),
        BYTES("\x01\0"), /* integers: empty, not minimal, too wide */
        BYTES("\x01\x02\x07\0"),
        BYTES("\x01\x01\0"),
        BYTES("\x01\x05\x01\x01\x01\x01\x01"),
        BYTES("\x06\x02\x01\x01"),
        BYTES("\x07\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01"),
        BYTES("\x0a\x03"
              "abc"), /* no address has 3 bytes */
        BYTES("\x0a\x11"
              "abcdefghijklmnopq"),
        BYTES("\x09\x01"
              "a"), /* no click id */
#undef BYTES
    };
    static const struct tracker_click empty;
    struct tracker_click back;
    uint8_t *payload;

    for (size_t i = 0; i < COUNT(bad); i++) {
        char *exact = testing_exact(bad[i].bytes, bad[i].len);

        memset(&back, 0xaa, sizeof(back));
        if (tracker_click_decode((uint8_t *) exact, bad[i].len, &back))
            fail_msg("case %zu", i);
        assert_memory_equal(&back, &empty, sizeof(back));
        free(exact);
    }

    /* A text one byte too long; a payload one byte too long (of unknown fields, each fine). */
    payload = calloc(1, TRACKER_EVENT_MAX + 1);
    memcpy(payload, "\x0b\x80\x04", 3);
    assert_true(tracker_click_decode(payload, 3 + 512, &back));
    payload[1]++;
    assert_false(tracker_click_decode(payload, 3 + 513, &back));
    memcpy(payload, "\xff\xfc\x7f", 3); /* 16380 bytes */
    assert_true(tracker_click_decode(payload, 3 + 16380, &back));
    payload[1]++;
    assert_true(tracker_click_decode(payload, TRACKER_EVENT_MAX, &back));
    payload[1]++;
    assert_false(tracker_click_decode(payload, TRACKER_EVENT_MAX + 1, &back));
    free(payload);
}

static void
test_bad_conversions(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
#define BYTES(literal) { literal, sizeof(literal) - 1 }
        BYTES("\x05\0"),
        BYTES("\x05\x02"
              "EU"),
        BYTES("\x05\x04"
              "eur\x02"),
        BYTES("\x05\x04"
              "EUR\0"), /* not minimal */
        BYTES("\x05\x05"
              "EUR\x02\0"),
        BYTES("\x05\x0c"
              "EUR\x01\x01\x01\x01\x01\x01\x01\x01\x01"), /* too wide */
        BYTES("\x05\x0b"
              "EUR\xff\xff\xff\xff\xff\xff\xff\xff"), /* out of range */
        BYTES("\x05\x0a"
              "EUR\x02\x00\x8d\x49\xfd\x1a\x07"), /* 10^15 + 1 */
        BYTES("\x05\x0a"
              "EUR\x01\x00\x8d\x49\xfd\x1a\x07"), /* -(10^15 + 1) */
        BYTES("\x08\x04"
              "SALE"),
        BYTES("\x08\x05"
              "a b c"),
        BYTES("\x08\x21"
              "abcdefghijklmnopqrstuvwxyz_012345"),
        BYTES("\x03\x02\x01\x01"),
#undef BYTES
    };
    static const struct tracker_conversion empty;
    struct tracker_conversion back;

    for (size_t i = 0; i < COUNT(bad); i++) {
        memset(&back, 0xaa, sizeof(back));
        if (tracker_conversion_decode((const uint8_t *) bad[i].bytes, bad[i].len, &back))
            fail_msg("case %zu", i);
        assert_memory_equal(&back, &empty, sizeof(back));
    }
    assert_true(tracker_conversion_decode((const uint8_t *) "\x05\x0a"
                                                            "EUR\x00\x00\x8d\x49\xfd\x1a\x07",
                                          12, &back));
    assert_true(back.amount.minor == TRACKER_MINOR_MAX);
}

/* A prefix is good only where a field ends; and then it holds exactly the fields before the cut. */
static void
test_truncated(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 30; round++) {
        struct tracker_click click = random_click(), back;
        size_t len = tracker_click_encode(&click, payload, sizeof(payload));

        for (size_t cut = 0; cut < len; cut++) {
            char *exact = testing_exact(payload, cut);

            if (tracker_click_decode((uint8_t *) exact, cut, &back)) {
                uint8_t again[TRACKER_EVENT_MAX];

                assert_int_equal(tracker_click_encode(&back, again, sizeof(again)), cut);
                assert_memory_equal(again, payload, cut);
            }
            free(exact);
        }
    }
}

/* Strings point into the payload, and what was accepted encodes again. */
static void
assert_sound(const uint8_t *payload, size_t len)
{
    struct tracker_click click, click_again;
    struct tracker_conversion conversion, conversion_again;
    uint8_t again[TRACKER_EVENT_MAX];
    size_t n;

    if (tracker_click_decode(payload, len, &click)) {
        const struct tracker_str texts[] = { click.user_agent, click.ip, click.first_touch, click.sub[9] };

        for (size_t i = 0; i < COUNT(texts); i++)
            if (texts[i].len > 0)
                assert_true((const uint8_t *) texts[i].data >= payload
                            && (const uint8_t *) texts[i].data + texts[i].len <= payload + len);
        n = tracker_click_encode(&click, again, sizeof(again));
        assert_true(n <= len && tracker_click_decode(again, n, &click_again));
        assert_same_click(&click, &click_again);
    }
    if (tracker_conversion_decode(payload, len, &conversion)) {
        n = tracker_conversion_encode(&conversion, again, sizeof(again));
        assert_true(n <= len && tracker_conversion_decode(again, n, &conversion_again));
        assert_same_conversion(&conversion, &conversion_again);
    }
}

static void
test_mutated(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 50000; round++) {
        struct tracker_click click = random_click();
        struct tracker_conversion conversion = random_conversion();
        size_t len;

        for (size_t i = 3; i < TRACKER_SUBS; i++)
            click.sub[i] = conversion.p[i] = TRACKER_STR_NONE;
        len = round % 2 ? tracker_click_encode(&click, payload, sizeof(payload))
                        : tracker_conversion_encode(&conversion, payload, sizeof(payload));
        for (uint64_t hits = testing_below(4); len > 0 && hits > 0; hits--)
            payload[testing_below(2) ? testing_below(len) : testing_below(len < 32 ? len : 32)] =
                (uint8_t) testing_draw();
        char *exact = testing_exact(payload, len);
        assert_sound((uint8_t *) exact, len);
        free(exact);
    }
}

static void
test_random_bytes(void **state)
{
    testing_seed();
    for (int round = 0; round < 200000; round++) {
        size_t len = testing_below(24);
        uint8_t bytes[24];

        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t) (testing_below(2) ? testing_below(32) : testing_draw());
        uint8_t *exact = (uint8_t *) testing_exact(bytes, len);
        assert_sound(exact, len);
        free(exact);
    }
}

static int
set_up(void **state)
{
    for (size_t i = 0; i < sizeof(pool); i++)
        pool[i] = (char) (i * 131 + 7 + (i >> 8));
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_click_round_trip),
        cmocka_unit_test(test_conversion_round_trip),
        cmocka_unit_test(test_click_is_pinned),
        cmocka_unit_test(test_conversion_is_pinned),
        cmocka_unit_test(test_amount_of_zero),
        cmocka_unit_test(test_everything_at_its_longest_fits),
        cmocka_unit_test(test_encode_bounds),
        cmocka_unit_test(test_encode_refuses_what_decode_would),
        cmocka_unit_test(test_unknown_tags_are_skipped),
        cmocka_unit_test(test_bad_payloads),
        cmocka_unit_test(test_bad_conversions),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_random_bytes),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
