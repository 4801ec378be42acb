/*
 * test_tracker_lead_event.c - leads and API calls to payload bytes and back.
 *
 * A lead is a person's words and somebody's money: what was sent must come out again byte for byte, the longest one
 * must fit, and what is half of one (no id, two senders, pairs that do not parse) must be none, on both sides alike.
 */
#include "testing.h"

#include "tracker_lead.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CLICK_ID "0123456789abcdefghij0123456789abcdefghij"

static const struct tracker_lead api_lead = {
    .id = { "0123456789abcdef", 16 },
    .kind = TRACKER_LEAD_API,
    .auth = TRACKER_AUTH_API_KEY,
    .ip_form = TRACKER_IP_TRUNCATED,
    .program = 1,
    .api_user = 300,
    .affiliate = 70000,
    .flags = TRACKER_LEAD_TEST | TRACKER_LEAD_AUTOLOGIN,
    .content = { "fedcba9876543210", 16 },
    .key = { "order 1 ~", 9 },
    .click_id = { CLICK_ID, 40 },
    .cookie_first = { CLICK_ID, 40 },
    .cookie_last = { CLICK_ID, 40 },
    .ip = { "\xc0\0\2\0", 4 },
    .user_agent = { "curl", 4 },
    .referrer = { "https://example.com/", 20 },
    .language = { "de", 2 },
    .fields = { "\5email\1x\1a\0", 10 + 1 },
};

static const struct tracker_api_call api_call = {
    .api_user = 300,
    .program = 1,
    .count = 1,
    .status = 201,
    .items = 17,
    .ip_form = TRACKER_IP_WHOLE,
    .code = { "accepted", 8 },
    .method = { "POST", 4 },
    .path = { "/api/v1/leads", 13 },
    .key_prefix = { "ak_12345", 8 },
    .ip = { "0123456789abcdef", 16 },
    .user_agent = { "curl", 4 },
    .lead = { "0123456789abcdef", 16 },
};

static void
assert_same_lead(const struct tracker_lead *a, const struct tracker_lead *b)
{
    const struct tracker_str of_a[] = { a->id, a->content, a->key, a->click_id, a->cookie_first, a->cookie_last, a->ip,
                                        a->user_agent, a->referrer, a->language, a->fields };
    const struct tracker_str of_b[] = { b->id, b->content, b->key, b->click_id, b->cookie_first, b->cookie_last, b->ip,
                                        b->user_agent, b->referrer, b->language, b->fields };

    for (size_t i = 0; i < COUNT(of_a); i++)
        assert_true(tracker_str_eq(of_a[i], of_b[i]));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->auth, b->auth);
    assert_int_equal(a->ip_form, b->ip_form);
    assert_int_equal(a->program, b->program);
    assert_int_equal(a->api_user, b->api_user);
    assert_int_equal(a->form, b->form);
    assert_int_equal(a->affiliate, b->affiliate);
    assert_int_equal(a->flags, b->flags);
}

static void
assert_same_call(const struct tracker_api_call *a, const struct tracker_api_call *b)
{
    const struct tracker_str of_a[] = { a->code, a->method, a->path, a->key_prefix, a->ip, a->user_agent, a->lead };
    const struct tracker_str of_b[] = { b->code, b->method, b->path, b->key_prefix, b->ip, b->user_agent, b->lead };

    for (size_t i = 0; i < COUNT(of_a); i++)
        assert_true(tracker_str_eq(of_a[i], of_b[i]));
    assert_int_equal(a->api_user, b->api_user);
    assert_int_equal(a->program, b->program);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->items, b->items);
    assert_int_equal(a->ip_form, b->ip_form);
}

static void
test_round_trips(void **state)
{
    uint8_t                 payload[TRACKER_EVENT_MAX];
    struct tracker_lead     form_lead = api_lead, lead;
    struct tracker_api_call call, nobody = { .count = 9, .status = 401, .code = { "key_unknown", 11 } };
    size_t                  len;

    form_lead.kind = TRACKER_LEAD_FORM;
    form_lead.api_user = 0;
    form_lead.form = 8;
    form_lead.fields = TRACKER_STR_NONE;
    const struct tracker_lead leads[] = { api_lead, form_lead };
    for (size_t i = 0; i < COUNT(leads); i++) {
        len = tracker_lead_encode(&leads[i], payload, sizeof(payload));
        assert_true(len > 0 && tracker_lead_decode(payload, len, &lead));
        assert_same_lead(&leads[i], &lead);
        assert_int_equal(tracker_lead_encode(&leads[i], payload, len - 1), 0);
    }

    const struct tracker_api_call calls[] = { api_call, nobody };
    for (size_t i = 0; i < COUNT(calls); i++) {
        len = tracker_api_call_encode(&calls[i], payload, sizeof(payload));
        assert_true(len > 0 && tracker_api_call_decode(payload, len, &call));
        assert_same_call(&calls[i], &call);
        assert_int_equal(tracker_api_call_encode(&calls[i], payload, len - 1), 0);
    }
}

/* Tags lie in journals and are read by another release. */
static void
test_tags_are_pinned(void **state)
{
    static const uint8_t lead_tags[] = { 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
    uint8_t payload[TRACKER_EVENT_MAX];
    size_t  len, count = 0;

    len = tracker_lead_encode(&api_lead, payload, sizeof(payload));
    for (size_t at = 0; at < len; at += 2u + payload[at + 1]) { /* no field of it has 128 bytes */
        assert_true(count < sizeof(lead_tags));
        assert_int_equal(payload[at], lead_tags[count++]);
    }
    assert_int_equal(count, sizeof(lead_tags));
    assert_memory_equal(payload, "\1\x10" "0123456789abcdef\2\1\1\3\1\1\4\1\1\5\1\1\6\2\x2c\1\x08\3\x70\x11\1\x09\1\x28",
                        18 + 3 + 3 + 3 + 3 + 4 + 5 + 3);

    len = tracker_api_call_encode(&api_call, payload, sizeof(payload));
    static const char call[] = "\1\2\x2c\1\2\1\1\3\1\1\4\1\xc9\5\1\x11\7\x08" "accepted\x08\4POST\x09\x0d/api/v1/leads"
                               "\x0a\x08" "ak_12345\x0b\x10" "0123456789abcdef\x0c\4curl\x0d\x10" "0123456789abcdef";
    assert_int_equal(len, sizeof(call) - 1);
    assert_memory_equal(payload, call, len);
}

static void
test_the_longest_fits(void **state)
{
    static char         text[TRACKER_FIELD_MAX + 100];
    static uint8_t      fields[TRACKER_LEAD_FIELDS_MAX];
    uint8_t             payload[TRACKER_EVENT_MAX];
    struct tracker_lead lead = api_lead, back;
    size_t              len = 0;

    memset(text, 'x', sizeof(text));
    while (len < sizeof(fields)) {
        size_t room = sizeof(fields) - len - 4;

        len = tracker_pairs_add(fields, len, sizeof(fields), TRACKER_STR("n"),
                                (struct tracker_str){ text, room < 508 ? room : room - 508 < 200 ? 300 : 508 });
        assert_true(len > 0);
    }
    lead.program = lead.api_user = lead.affiliate = lead.flags = UINT32_MAX;
    lead.auth = lead.ip_form = UINT8_MAX;
    lead.key = (struct tracker_str){ text, TRACKER_LEAD_KEY_MAX };
    lead.ip = (struct tracker_str){ text, 16 };
    lead.user_agent = lead.referrer = lead.language = (struct tracker_str){ text, sizeof(text) }; /* cut */
    lead.fields = (struct tracker_str){ (const char *) fields, sizeof(fields) };
    len = tracker_lead_encode(&lead, payload, sizeof(payload));
    assert_true(len > TRACKER_LEAD_FIELDS_MAX);
    assert_true(tracker_lead_decode(payload, len, &back));
    lead.user_agent.len = lead.referrer.len = lead.language.len = TRACKER_FIELD_MAX;
    assert_same_lead(&lead, &back);
}

/* Both sides ask the same: what must not be written is refused before it is, and refused when it was. */
static void
test_half_a_lead_is_none(void **state)
{
    static const struct tracker_lead none;
    static char         key[TRACKER_LEAD_KEY_MAX + 1];
    uint8_t             payload[TRACKER_EVENT_MAX];
    struct tracker_lead bad[14], back;

    memset(key, 'k', sizeof(key));
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = api_lead;
    bad[0].id = TRACKER_STR_NONE;
    bad[1].content = TRACKER_STR_NONE;
    bad[2].kind = 0;
    bad[3].kind = 3;
    bad[4].api_user = 0;
    bad[5].form = 1;
    bad[6].kind = TRACKER_LEAD_FORM;
    bad[7].id.len = 15;
    bad[8].content.len = 15;
    bad[9].key = (struct tracker_str){ key, sizeof(key) };
    bad[10].key = TRACKER_STR("a\x1f");
    bad[11].key = TRACKER_STR("\xc3\xa9");
    bad[12].fields = TRACKER_STR("\1a");
    bad[13].fields = TRACKER_STR("\1A\1v");
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (tracker_lead_encode(&bad[i], payload, sizeof(payload)) != 0)
            fail_msg("case %zu", i);
    }

    size_t len = tracker_lead_encode(&api_lead, payload, sizeof(payload));
    for (size_t at = 0, n; at < len; at += n) { /* each field left out, turned, or twice */
        uint8_t without[TRACKER_EVENT_MAX];
        bool    fine, needed = payload[at] == 1 || payload[at] == 2 || payload[at] == 6 || payload[at] == 10;

        n = 2u + payload[at + 1];
        memcpy(without, payload, at);
        memcpy(without + at, payload + at + n, len - at - n);
        fine = tracker_lead_decode(without, len - n, &back);
        assert_int_equal(fine, !needed);
        if (!fine)
            assert_memory_equal(&back, &none, sizeof(none));
        memcpy(without, payload, len);
        memcpy(without + len, payload + at, n);
        assert_false(tracker_lead_decode(without, len + n, &back));
        assert_memory_equal(&back, &none, sizeof(none));
    }
    assert_false(tracker_lead_decode(payload, 0, &back));
    assert_true(tracker_lead_decode(payload, len, &back));
    payload[len - 2] = 2; /* the pairs' last length: past their end */
    assert_false(tracker_lead_decode(payload, len, &back));
}

static void
test_half_a_call_is_none(void **state)
{
    static const struct tracker_api_call none;
    uint8_t                 payload[TRACKER_EVENT_MAX];
    struct tracker_api_call bad[7], back;

    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = api_call;
    bad[0].count = 0;
    bad[1].status = 0;
    bad[2].code = TRACKER_STR_NONE;
    bad[3].code = TRACKER_STR("Bad");
    bad[4].lead.len = 8;
    bad[5].ip.len = 5;
    bad[6].code = TRACKER_STR("abcdefghijklmnopqrstuvwxyz_012345");
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (tracker_api_call_encode(&bad[i], payload, sizeof(payload)) != 0)
            fail_msg("case %zu", i);
    }
    assert_false(tracker_api_call_decode(payload, 0, &back));
    assert_false(tracker_api_call_decode((const uint8_t *) "\3\1\1\4\1\1", 6, &back)); /* no code */
    assert_memory_equal(&back, &none, sizeof(none));
    assert_true(tracker_api_call_decode((const uint8_t *) "\3\1\1\4\1\1\7\1x\xf0\1?", 12, &back));
    assert_int_equal(back.status, 1);
}

/* Anything that decodes encodes again, to the same. */
static void
test_mutated(void **state)
{
    uint8_t payload[TRACKER_EVENT_MAX], again[TRACKER_EVENT_MAX];

    testing_seed();
    for (int round = 0; round < 50000; round++) {
        struct tracker_lead     lead, lead_again;
        struct tracker_api_call call, call_again;
        size_t len = round % 2 ? tracker_lead_encode(&api_lead, payload, sizeof(payload))
                               : tracker_api_call_encode(&api_call, payload, sizeof(payload)), n;

        for (uint64_t hits = testing_below(3); hits > 0; hits--)
            payload[testing_below(len)] = (uint8_t) (testing_below(2) ? testing_below(32) : testing_draw());
        len -= testing_below(4) == 0 ? testing_below(len) : 0;
        uint8_t *exact = (uint8_t *) testing_exact(payload, len);
        if (tracker_lead_decode(exact, len, &lead)) {
            n = tracker_lead_encode(&lead, again, sizeof(again));
            assert_true(n > 0 && n <= len && tracker_lead_decode(again, n, &lead_again));
            assert_same_lead(&lead, &lead_again);
        }
        if (tracker_api_call_decode(exact, len, &call)) {
            n = tracker_api_call_encode(&call, again, sizeof(again));
            assert_true(n > 0 && n <= len && tracker_api_call_decode(again, n, &call_again));
            assert_same_call(&call, &call_again);
        }
        free(exact);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_tags_are_pinned),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_half_a_lead_is_none),
        cmocka_unit_test(test_half_a_call_is_none),
        cmocka_unit_test(test_mutated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
