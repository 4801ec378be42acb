/*
 * One person, written in many ways, has one key; two persons never share one by a trick of ours.
 *
 * What could break: a trunk 0 that stays behind a calling code makes a stranger of a known person; a 0 that is taken
 * from an Italian number makes a known person of a stranger; an upper-case umlaut domain is another one than its
 * punycode; a number that nobody can tell for certain is compared all the same.
 */
#include "test_support.h"

#include "domain/contact.h"
#include "tracker_form.h"

static void
email(const char *text, const char *expected)
{
    char key[CONTACT_EMAIL_MAX];
    bool valid = contact_email_key(text, key);

    if (valid != (expected != NULL) || (valid && strcmp(key, expected) != 0))
        fail_msg("%s: %s instead of %s", text, valid ? key : "none", expected == NULL ? "none" : expected);
}

static void
phone(const char *text, const char *country, const char *expected)
{
    char key[CONTACT_PHONE_MAX];
    bool known = contact_phone_key(text, country, key);

    if (known != (expected != NULL) || (known && strcmp(key, expected) != 0))
        fail_msg("%s (%s): %s instead of %s", text, country, known ? key : "none", expected == NULL ? "none" : expected);
}

static void
an_address_has_one_key(void **state)
{
    (void) state;
    email("ada@example.com", "ada@example.com");
    email("ADA@Example.COM", "ada@example.com");
    email("ada@B\xc3\x9c" "CHER.example", "ada@xn--bcher-kva.example");
    email("ada@b\xc3\xbc" "cher.example", "ada@xn--bcher-kva.example");
    email("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example");
    email("ada@bu\xcc\x88" "cher.example", "ada@xn--bcher-kva.example"); /* u and a combining diaeresis */
    email("ada@stra\xc3\x9f" "e.example", "ada@xn--strae-oqa.example");  /* not strasse: another domain */
    email("a.da+shop@example.com", "a.da+shop@example.com");
    email("ada", NULL);
    email("ada@", NULL);
    email("@example.com", NULL);
    email("", NULL);
    email("ada@-example-.com", NULL);
}

static void
a_number_has_one_key(void **state)
{
    (void) state;
    phone("+49 171 1234567", "", "+491711234567");
    phone("+49 (0) 171 / 123-4567", "", "+491711234567");
    phone("0171 1234567", "DE", "+491711234567");
    phone("171 1234567", "DE", "+491711234567");
    phone("0049 171 1234567", "DE", "+491711234567");
    phone("491711234567", "DE", "+491711234567");
    phone("0049 171 1234567", "FR", "+491711234567");
    phone("(415) 555-2671", "US", "+14155552671");
    phone("1 415 555 2671", "CA", "+14155552671");
    phone("011 49 171 1234567", "US", "+491711234567");
    phone("8 912 345-67-89", "RU", "+79123456789");
    phone("7 912 345-67-89", "RU", "+79123456789");
    phone("8 800 555 35 35", "RU", "+78005553535");
    phone("800 555 35 35", "RU", "+78005553535");
    phone("06 1 234 5678", "HU", "+3612345678");
    phone("+36 06 1 234 5678", "", "+3612345678");
    phone("+52 1 55 1234 5678", "", "+525512345678");
    phone("8 029 123 45 67", "BY", "+375291234567");
    phone("06 1234 5678", "IT", "+390612345678"); /* Italy keeps its 0 */
    phone("+39 06 1234 5678", "", "+390612345678");
    phone("07 12 34 56 78", "CI", "+2250712345678");
}

static void
what_cannot_be_told_has_none(void **state)
{
    (void) state;
    phone("0171 1234567", "", NULL);
    phone("0171 1234567", "ZZ", NULL);
    phone("+999 1234567", "", NULL);
    phone("+1 415 555 26", "", NULL);
    phone("415 555 26", "US", NULL);
    phone("+49", "", NULL);
    phone("not a number", "DE", NULL);
    phone("", "DE", NULL);
    phone("+49 171 1234567890123", "", NULL); /* more than 15 digits */
}

/* A key is its own key: what is normalised twice is what was normalised once. */
static void
keys_stay_as_they_are(void **state)
{
    static const char *const numbers[] = { "+491711234567", "+14155552671", "+390612345678", "+3612345678",
                                           "+79123456789",  "+525512345678", "+2250712345678" };
    char key[CONTACT_PHONE_MAX];

    (void) state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_true(contact_phone_key(numbers[i], "DE", key));
        assert_string_equal(key, numbers[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_one_key),
        cmocka_unit_test(a_number_has_one_key),
        cmocka_unit_test(what_cannot_be_told_has_none),
        cmocka_unit_test(keys_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
