/*
 * test_tracker_token.c - what browsers carry for us.
 *
 * A token that verified for another form, use or lead, after its time, or with one bit turned, would let a robot skip
 * the page, a stranger read somebody's verdict, or log in as somebody.  One token has one text: a nonce that is
 * remembered as text cannot be dodged by spelling it differently.
 */
#include "testing.h"

#include "tracker_token.h"

#define NOW_MS UINT64_C(1718000000123)
#define NOW_S  (NOW_MS / 1000)

static const char           alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const uint8_t        nonce[TRACKER_NONCE_LEN] = { 1, 2, 3, 4, 5, 6, 7, 0xff };
static struct tracker_keys  keys;

/* ---- forms ---- */

static bool
form_reads(const struct tracker_keys *ring, uint32_t form, uint64_t now_ms, const char *text, size_t len)
{
    char    *exact = testing_exact(text, len);
    uint64_t shown = 42;
    uint8_t  got[TRACKER_NONCE_LEN] = { 9 };
    bool     fine = tracker_form_token_read(ring, form, now_ms, (struct tracker_str){ exact, len }, &shown, got);

    if (fine)
        assert_true(shown == NOW_MS && memcmp(got, nonce, sizeof(got)) == 0);
    else
        assert_true(shown == 42 && got[0] == 9);
    free(exact);
    return fine;
}

static void
test_form_token(void **state)
{
    char text[TRACKER_FORM_TOKEN_LEN + 1] = { 0 };
    struct tracker_keys rotated = keys, other = keys;

    tracker_form_token_make(&keys, 7, NOW_MS, nonce, text);
    assert_int_equal(strspn(text, alphabet), TRACKER_FORM_TOKEN_LEN);
    assert_true(form_reads(&keys, 7, NOW_MS, text, TRACKER_FORM_TOKEN_LEN));
    rotated.current = 15;
    assert_true(form_reads(&rotated, 7, NOW_MS, text, TRACKER_FORM_TOKEN_LEN));
    other.present = 1u << 15;
    assert_false(form_reads(&other, 7, NOW_MS, text, TRACKER_FORM_TOKEN_LEN));

    for (unsigned bit = 0; bit < 32; bit++)
        assert_false(form_reads(&keys, 7 ^ 1u << bit, NOW_MS, text, TRACKER_FORM_TOKEN_LEN));
    assert_false(form_reads(&keys, 7, NOW_MS - 1, text, TRACKER_FORM_TOKEN_LEN)); /* from the future */
    assert_true(form_reads(&keys, 7, NOW_MS + TRACKER_FORM_TOKEN_LIFE_MS, text, TRACKER_FORM_TOKEN_LEN));
    assert_false(form_reads(&keys, 7, NOW_MS + TRACKER_FORM_TOKEN_LIFE_MS + 1, text, TRACKER_FORM_TOKEN_LEN));
    assert_false(form_reads(&keys, 7, UINT64_MAX, text, TRACKER_FORM_TOKEN_LEN));
    for (size_t len = 0; len <= sizeof(text); len++)
        assert_int_equal(form_reads(&keys, 7, NOW_MS, text, len), len == TRACKER_FORM_TOKEN_LEN);
}

/* Every other character at every place: that is every bit, and every character that is none of ours. */
static void
test_form_token_every_character(void **state)
{
    char text[TRACKER_FORM_TOKEN_LEN];

    tracker_form_token_make(&keys, 7, NOW_MS, nonce, text);
    for (size_t i = 0; i < sizeof(text); i++) {
        char right = text[i];

        for (int c = 0; c < 256; c++) {
            text[i] = (char) c;
            if (form_reads(&keys, 7, NOW_MS, text, sizeof(text)) != (text[i] == right))
                fail_msg("%d at %zu", c, i);
        }
        text[i] = right;
    }
}

/* ---- passes ---- */

static const struct tracker_pass a_pass = { TRACKER_PASS_AUTOLOGIN, 3, NOW_S + TRACKER_AUTOLOGIN_LIFE_S,
                                            "the lead's own i", { 1, 2, 3, 4, 5, 6, 7, 0xff } };

static bool
pass_reads(const struct tracker_keys *ring, enum tracker_pass_use use, uint64_t now_s, const char *text, size_t len)
{
    char               *exact = testing_exact(text, len);
    struct tracker_pass out = { .use = 99 };
    bool fine = tracker_pass_read(ring, use, now_s, (struct tracker_str){ exact, len }, &out);

    if (fine)
        assert_true(out.use == a_pass.use && out.owner == a_pass.owner && out.expires_s == a_pass.expires_s
                    && memcmp(out.lead, a_pass.lead, sizeof(out.lead)) == 0
                    && memcmp(out.nonce, a_pass.nonce, sizeof(out.nonce)) == 0);
    else
        assert_int_equal(out.use, 99);
    free(exact);
    return fine;
}

static void
test_pass(void **state)
{
    char text[TRACKER_PASS_LEN + 1] = { 0 };
    struct tracker_keys rotated = keys, other = keys;

    tracker_pass_make(&keys, &a_pass, text);
    assert_int_equal(strspn(text, alphabet), TRACKER_PASS_LEN);
    assert_true(pass_reads(&keys, TRACKER_PASS_AUTOLOGIN, NOW_S, text, TRACKER_PASS_LEN));
    assert_false(pass_reads(&keys, TRACKER_PASS_WAIT, NOW_S, text, TRACKER_PASS_LEN));
    assert_false(pass_reads(&keys, TRACKER_PASS_CONFIRM, NOW_S, text, TRACKER_PASS_LEN));
    rotated.current = 15;
    assert_true(pass_reads(&rotated, TRACKER_PASS_AUTOLOGIN, NOW_S, text, TRACKER_PASS_LEN));
    other.present = 1u << 15;
    assert_false(pass_reads(&other, TRACKER_PASS_AUTOLOGIN, NOW_S, text, TRACKER_PASS_LEN));

    assert_true(pass_reads(&keys, TRACKER_PASS_AUTOLOGIN, a_pass.expires_s - 1, text, TRACKER_PASS_LEN));
    assert_false(pass_reads(&keys, TRACKER_PASS_AUTOLOGIN, a_pass.expires_s, text, TRACKER_PASS_LEN));
    for (size_t len = 0; len <= sizeof(text); len++)
        assert_int_equal(pass_reads(&keys, TRACKER_PASS_AUTOLOGIN, NOW_S, text, len), len == TRACKER_PASS_LEN);
}

static void
test_pass_every_character(void **state)
{
    char text[TRACKER_PASS_LEN];

    tracker_pass_make(&keys, &a_pass, text);
    for (size_t i = 0; i < sizeof(text); i++) {
        char right = text[i];

        for (int c = 0; c < 256; c++) {
            text[i] = (char) c;
            for (unsigned use = TRACKER_PASS_WAIT; use <= TRACKER_PASS_CONFIRM; use++)
                if (pass_reads(&keys, (enum tracker_pass_use) use, NOW_S, text, sizeof(text))
                    != (text[i] == right && use == TRACKER_PASS_AUTOLOGIN))
                    fail_msg("%d at %zu", c, i);
        }
        text[i] = right;
    }
}

/* Four bytes hold the time until 2106: what is later expires then, and not in 1970. */
static void
test_pass_far_away(void **state)
{
    struct tracker_pass pass = a_pass, out;
    char                text[TRACKER_PASS_LEN];

    pass.expires_s = UINT64_C(1) << 32;
    tracker_pass_make(&keys, &pass, text);
    assert_true(tracker_pass_read(&keys, TRACKER_PASS_AUTOLOGIN, NOW_S, (struct tracker_str){ text, sizeof(text) }, &out));
    assert_true(out.expires_s == UINT32_MAX);
}

/* Texts out there, in mails and open pages, when a release is rolled out. */
static void
test_pinned(void **state)
{
    char form[TRACKER_FORM_TOKEN_LEN + 1] = { 0 }, pass[TRACKER_PASS_LEN + 1] = { 0 };

    tracker_form_token_make(&keys, 7, NOW_MS, nonce, form);
    tracker_pass_make(&keys, &a_pass, pass);
    assert_string_equal(form, "A3ucxwCQAQECAwQFBgf_U73cwWGaHdOcOfCg");
    assert_string_equal(pass, "AwK8mWZmAwAAAHRoZSBsZWFkJ3Mgb3duIGkBAgMEBQYH_6b2FOaKD4nes62ogmQV");
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
        cmocka_unit_test(test_form_token),
        cmocka_unit_test(test_form_token_every_character),
        cmocka_unit_test(test_pass),
        cmocka_unit_test(test_pass_every_character),
        cmocka_unit_test(test_pass_far_away),
        cmocka_unit_test(test_pinned),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
