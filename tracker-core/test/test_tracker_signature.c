/*
 * test_tracker_signature.c - signatures that other people's code makes, verified; and no others.
 *
 * Guards money: whoever can change one byte of a signed postback, move a parameter out of sight, or find the
 * signature byte by byte, can print commissions.  Vectors are RFC 4231's and OpenSSL's, never our own output.
 */
#include "testing.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tracker_signature.h"
#include "tracker_url.h"

static char space[TRACKER_CANONICAL_SPACE(8192)];

static struct tracker_str
canonical(const char *query, const char *form)
{
    struct tracker_str out;
    char              *q = testing_exact(query, strlen(query)), *f = testing_exact(form, strlen(form));
    char              *exact = malloc(TRACKER_CANONICAL_SPACE(strlen(query) + strlen(form)));

    assert_non_null(exact);
    assert_true(tracker_canonical_query((struct tracker_str){ q, strlen(query) },
                                        (struct tracker_str){ f, strlen(form) }, exact, &out));
    memcpy(space, out.data, out.len);
    out.data = space;
    free(exact);
    free(q);
    free(f);
    return out;
}

static void
assert_canonical(const char *query, const char *form, const char *want)
{
    struct tracker_str got = canonical(query, form);

    if (got.len != strlen(want) || memcmp(got.data, want, got.len) != 0)
        fail_msg("'%s' + '%s' gives '%.*s', not '%s'", query, form, (int) got.len, got.data, want);
}

static void
test_canonical_form(void **state)
{
    assert_canonical("", "", "");
    assert_canonical("b=2&a=1", "", "a=1&b=2");
    assert_canonical("b=2", "a=1", "a=1&b=2");
    assert_canonical("a=2&a=1&a=", "", "a=&a=1&a=2");
    assert_canonical("a&b=&=c&&", "", "=c&a=&b=");
    assert_canonical("t=a+b%20c%2b", "", "t=a%20b%20c%2B");
    assert_canonical("u=%7e-._~%C3%a4/?", "", "u=~-._~%C3%A4%2F%3F");
    assert_canonical("x=a=b", "", "x=a%3Db");
    assert_canonical("x=%zz%4", "", "x=%25zz%254");
    /* sorted by name first: "a" before "a-", though '-' is less than '=' */
    assert_canonical("a-=1&a=2", "", "a=2&a-=1");
    assert_canonical("B=1&a=1&%5f=1", "", "B=1&_=1&a=1");
}

static void
test_the_signature_is_left_out(void **state)
{
    assert_canonical("sig=1&a=1&sig=2", "sig=3", "a=1");
    assert_canonical("a=1&%73i%67=x", "", "a=1");
    assert_canonical("a=1&sig", "", "a=1");
    assert_canonical("signature=1&si=2&Sig=3", "", "Sig=3&si=2&signature=1");
}

static void
test_too_many_parameters(void **state)
{
    char               query[3 * TRACKER_SIGNATURE_PARAMS_MAX + 8] = "";
    struct tracker_str out;

    for (unsigned i = 0; i < TRACKER_SIGNATURE_PARAMS_MAX; i++)
        strcat(query, "a=&");
    assert_true(tracker_canonical_query(testing_str(query), TRACKER_STR_NONE, space, &out));
    assert_true(tracker_canonical_query(testing_str(query), TRACKER_STR("sig=x"), space, &out));
    assert_false(tracker_canonical_query(testing_str(query), TRACKER_STR("b=x"), space, &out));
}

/* However a client escapes and orders its parameters, it signs the same text. */
static void
test_escapes_and_order_do_not_matter(void **state)
{
    char   first[1024], again[4096], *pairs[8], store[8][256];

    testing_seed();
    for (int round = 0; round < 2000; round++) {
        size_t n = 1 + testing_below(8);
        char  *p = first;

        for (size_t i = 0; i < n; i++) {
            char *s = store[i];
            pairs[i] = s;
            for (size_t len = 1 + testing_below(6), j = 0; j < len; j++) {
                unsigned c = (unsigned) testing_below(256);
                s += sprintf(s, "%%%02x", c);
                if (j == 0)
                    *s++ = '=';
            }
            *s = '\0';
            p += sprintf(p, "%s%s", i > 0 ? "&" : "", pairs[i]);
        }
        struct tracker_str want = canonical(first, "");
        char              *kept = testing_exact(want.data, want.len);
        want.data = kept;

        p = again;
        for (size_t left = n; left > 0; left--) {
            size_t take = testing_below(left);
            if (p != again)
                *p++ = '&';
            for (const char *s = pairs[take]; *s != '\0'; s++) {
                unsigned c;
                if (*s != '%') {
                    *p++ = *s;
                    continue;
                }
                sscanf(s + 1, "%2x", &c);
                s += 2;
                if ((c >= 'a' && c <= 'z') || c == '-' || c == ',')
                    *p++ = (char) c;
                else
                    p += sprintf(p, c == ' ' && testing_below(2) ? "+" : testing_below(2) ? "%%%02X" : "%%%02x", c);
            }
            pairs[take] = pairs[left - 1];
        }
        *p = '\0';
        struct tracker_str got = canonical(again, "");
        if (!tracker_str_eq(got, want))
            fail_msg("%s and %s differ", first, again);
        assert_true(tracker_str_eq(canonical((*(char *) (space + got.len) = '\0', strcpy(again, space)), ""), want));
        free(kept);
    }
}

static void
assert_signature(const char *secret, size_t secret_len, const char *text, const char *want)
{
    char hex[TRACKER_SIGNATURE_LEN];

    tracker_sign((struct tracker_str){ secret, secret_len }, testing_str(text), hex);
    assert_memory_equal(hex, want, sizeof(hex));
    assert_true(tracker_signature_verify((struct tracker_str){ secret, secret_len }, testing_str(text),
                                         testing_str(want)));
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
static void
test_rfc_4231(void **state)
{
    char key[131];

    memset(key, 0x0b, 20);
    assert_signature(key, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_signature("Jefe", 4, "what do ya want for nothing?",
                     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    assert_signature(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First",
                     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* Against OpenSSL's HMAC, over lengths around the block's. */
static void
test_as_openssl_signs(void **state)
{
    testing_seed();
    for (size_t len = 0; len < 300; len++) {
        uint8_t  secret[64], text[300], mac[32];
        char     hex[TRACKER_SIGNATURE_LEN], want[TRACKER_SIGNATURE_LEN + 1];
        size_t   secret_len = 1 + testing_below(sizeof(secret));
        unsigned mac_len;

        for (size_t i = 0; i < sizeof(secret); i++)
            secret[i] = (uint8_t) testing_draw();
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t) testing_draw();
        assert_non_null(HMAC(EVP_sha256(), secret, (int) secret_len, text, len, mac, &mac_len));
        for (unsigned i = 0; i < mac_len; i++)
            sprintf(want + 2 * i, "%02x", mac[i]);
        tracker_sign((struct tracker_str){ (char *) secret, secret_len }, (struct tracker_str){ (char *) text, len },
                     hex);
        assert_memory_equal(hex, want, sizeof(hex));
    }
}

static void
test_nothing_else_verifies(void **state)
{
    const struct tracker_str secret = TRACKER_STR("a secret"), text = TRACKER_STR("a=1&user=7");
    char                     hex[TRACKER_SIGNATURE_LEN];

    tracker_sign(secret, text, hex);
    const struct tracker_str right = { hex, sizeof(hex) };
    assert_true(tracker_signature_verify(secret, text, right));

    for (size_t i = 0; i < sizeof(hex); i++) {
        for (int bit = 0; bit < 8; bit++) {
            hex[i] ^= (char) (1 << bit);
            assert_false(tracker_signature_verify(secret, text, right));
            hex[i] ^= (char) (1 << bit);
        }
    }
    assert_false(tracker_signature_verify(secret, text, (struct tracker_str){ hex, sizeof(hex) - 1 }));
    assert_false(tracker_signature_verify(secret, text, TRACKER_STR_NONE));
    assert_false(tracker_signature_verify(secret, TRACKER_STR("a=2&user=7"), right));
    assert_false(tracker_signature_verify(TRACKER_STR("another"), text, right));
    /* no secret is no secret: what everybody can sign with "" is not signed */
    tracker_sign(TRACKER_STR(""), text, hex);
    assert_false(tracker_signature_verify(TRACKER_STR(""), text, right));
    assert_false(tracker_signature_verify(TRACKER_STR_NONE, text, right));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_form),
        cmocka_unit_test(test_the_signature_is_left_out),
        cmocka_unit_test(test_too_many_parameters),
        cmocka_unit_test(test_escapes_and_order_do_not_matter),
        cmocka_unit_test(test_rfc_4231),
        cmocka_unit_test(test_as_openssl_signs),
        cmocka_unit_test(test_nothing_else_verifies),
    };

    assert_int_equal(tracker_init(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
