/*
 * test_tracker_multipart.c - bodies of multipart/form-data: what browsers send, and what others make of it.
 *
 * Guarded here: a form that a browser sends is read whole, whatever the values hold; a body that is cut, or lies about its
 * boundary, is refused and never read past its end; a file is never taken for a text.
 */
#include "testing.h"

#include "tracker_multipart.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char read_text[4096];

/* The body of exact size read with boundary "B": "name=value|..." and then the last verdict as a number. */
static const char *
read_all(const char *body, size_t len)
{
    char *copy = testing_exact(body, len);
    struct tracker_multipart m;
    struct tracker_str name, value;
    int verdict = tracker_multipart_begin(&m, TRACKER_STR("B"), (struct tracker_str){ copy, len });
    size_t at = 0;

    read_text[0] = '\0';
    while (verdict == TRACKER_MULTIPART_PART && (verdict = tracker_multipart_next(&m, &name, &value)) == 1)
        at += (size_t) snprintf(read_text + at, sizeof(read_text) - at, "%.*s=%.*s|", (int) name.len, name.data,
                                (int) value.len, value.data);
    snprintf(read_text + at, sizeof(read_text) - at, "%d", verdict);
    free(copy);
    return read_text;
}

#define NAMED(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void
test_bodies(void **state)
{
    static const struct {
        const char *body, *read;
    } cases[] = {
        { "--B\r\n" NAMED("a") "1\r\n--B\r\n" NAMED("b") "two\r\nlines\r\n--B--\r\n", "a=1|b=two\r\nlines|0" },
        { "--B\r\n" NAMED("a") "\r\n--B--", "a=|0" },
        { "--B--\r\n", "0" },
        { "--B--", "0" },
        { "preamble\r\n--B\r\n" NAMED("a") "1\r\n--B--\r\nepilogue --B\r\n", "a=1|0" },
        { "--B \t\r\n" NAMED("a") "1\r\n--B-- \t\r\n", "a=1|0" },
        /* what looks like a boundary is none */
        { "--B\r\n" NAMED("a") "-- B\r\n--B--", "a=-- B|0" },
        { "--B\r\n" NAMED("a") "x--B\r\n--B--", "a=x--B|0" },
        { "--B\r\n" NAMED("a") "x\n--B\r\n--B--", "a=x\n--B|0" },
        { "--B\r\n" NAMED("a") "-B\r\n-B\r\n\r\n--B--", "a=-B\r\n-B\r\n|0" },
        /* headers */
        { "--B\r\ncontent-disposition:form-data;name=a\r\nX-More: 1\r\n\r\n1\r\n--B--", "a=1|0" },
        { "--B\r\nContent-Type: text/plain; charset=UTF-8\r\n" NAMED("a") "1\r\n--B--", "a=1|0" },
        { "--B\r\nContent-Transfer-Encoding: 8bit\r\n" NAMED("a") "1\r\n--B--", "a=1|0" },
        { "--B\r\n" NAMED("a%22b") "1\r\n--B--", "a%22b=1|0" },
        { "--B\r\n" NAMED("a\\\"b") "1\r\n--B--", "a\\\"b=1|0" },
        { "--B\r\n" NAMED("") "1\r\n--B--", "=1|0" },
        /* files, encodings */
        { "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\n1\r\n--B--", "-2" },
        { "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n--B--", "-2" },
        { "--B\r\nContent-Disposition: form-data; filename*=utf-8''x; name=f\r\n\r\n\r\n--B--", "-2" },
        { "--B\r\nContent-Transfer-Encoding: base64\r\n" NAMED("a") "1\r\n--B--", "-3" },
        { "--B\r\nContent-Type: text/plain;charset=\"iso-8859-1\"\r\n" NAMED("a") "1\r\n--B--", "-3" },
        /* a delimiter right behind the headers: an empty value, and what follows is no part */
        { "--B\r\n" NAMED("a") "--B\r\n--B--", "a=|-1" },
        /* broken */
        { "", "-1" },
        { "a=1&b=2", "-1" },
        { "--C\r\n" NAMED("a") "1\r\n--C--", "-1" },
        { "--B", "-1" },
        { "--Bx\r\n" NAMED("a") "1\r\n--B--", "-1" },
        { "--B\n" NAMED("a") "1\r\n--B--", "-1" },
        { "--B\r\n" NAMED("a") "1", "-1" },
        { "--B\r\n" NAMED("a") "1\r\n--B", "-1" },
        { "--B\r\n" NAMED("a") "1\r\n--B\r\n", "a=1|-1" },
        { "--B\r\n" NAMED("a") "1\r\n--B--x", "-1" },
        { "--B\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nX: 1\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data; name=\"a\" x\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n1\r\n--B--",
          "-1" },
        { "--B\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\n1\r\n--B--", "-1" },
        { "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n: x\r\n\r\n1\r\n--B--", "-1" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *got = read_all(cases[i].body, strlen(cases[i].body));
        if (strcmp(got, cases[i].read) != 0)
            fail_msg("case %zu: %s, not %s", i, got, cases[i].read);
    }
}

/* Values may be anything; a name with a zero byte is not another name. */
static void
test_bytes(void **state)
{
    static const char zero_value[] = "--B\r\n" NAMED("a") "\0\xff\r\n--B--";
    static const char zero_name[] = "--B\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\n1\r\n--B--";
    struct tracker_multipart m;
    struct tracker_str name, value;

    assert_int_equal(tracker_multipart_begin(&m, TRACKER_STR("B"), TRACKER_STR(zero_value)), TRACKER_MULTIPART_PART);
    assert_int_equal(tracker_multipart_next(&m, &name, &value), TRACKER_MULTIPART_PART);
    assert_int_equal(value.len, 2);
    assert_string_equal(read_all(zero_name, sizeof(zero_name) - 1), "-1");
}

/* Cut anywhere, a body is refused or is what came before the cut. */
static void
test_cut(void **state)
{
    static const char body[] = "pre\r\n--B\r\nX: y\r\n" NAMED("a") "1\r\n--B\r\n" NAMED("b") "2\r\n--B--";

    for (size_t len = 0; len < sizeof(body) - 1; len++) {
        const char *got = read_all(body, len);
        assert_true(strcmp(got, "-1") == 0 || strcmp(got, "a=1|-1") == 0);
    }
    assert_string_equal(read_all(body, sizeof(body) - 1), "a=1|b=2|0");
}

static void
test_header_bound(void **state)
{
    char body[4096];

    for (int pad = 950; pad <= 1050; pad++) {
        int len = snprintf(body, sizeof(body), "--B\r\nX: %0*d\r\n" NAMED("a") "1\r\n--B--", pad, 1);
        int headers = 5 + pad + (int) strlen(NAMED("a")); /* "X: " and CRLF; NAMED with the empty line */
        assert_string_equal(read_all(body, (size_t) len), headers <= TRACKER_PART_HEADER_MAX ? "a=1|0" : "-1");
    }
}

static void
test_type(void **state)
{
    static const struct {
        const char *type;
        bool is;
        const char *boundary;
    } cases[] = {
        { "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk", true, "----WebKitFormBoundary7MA4YWxk" },
        { "Multipart/Form-Data;Boundary=\"a b\"", true, "a b" },
        { "multipart/form-data; charset=utf-8; boundary=x;", true, "x" },
        { "multipart/form-data", true, "" },
        { "multipart/form-data; boundary=", true, "" },
        { "multipart/form-data; boundary=\"a \"", true, "" },
        { "multipart/form-data; boundary=\"a", true, "" },
        { "multipart/form-data; boundary=\"a\\\"b\"", true, "" },
        { "multipart/form-data; boundary=a; boundary=b", true, "" },
        { "multipart/form-data; boundary=a b", true, "" },
        { "multipart/form-data; boundary=\xc3\xa4", true, "" },
        { "multipart/form-data; boundary", true, "" },
        { "multipart/form-data; boundary="
          "0123456789012345678901234567890123456789012345678901234567890123456789", true,
          "0123456789012345678901234567890123456789012345678901234567890123456789" },
        { "multipart/form-data; boundary="
          "01234567890123456789012345678901234567890123456789012345678901234567890", true, "" },
        { "multipart/form-datax; boundary=a", false, "" },
        { "multipart/mixed; boundary=a", false, "" },
        { "", false, "" },
        { "application/x-www-form-urlencoded", false, "" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *copy = testing_exact(cases[i].type, strlen(cases[i].type));
        struct tracker_str boundary;
        bool is = tracker_multipart_type((struct tracker_str){ copy, strlen(cases[i].type) }, &boundary);

        if (is != cases[i].is || !tracker_str_eq(boundary, testing_str(cases[i].boundary)))
            fail_msg("%s: %d, \"%.*s\"", cases[i].type, is, (int) boundary.len, boundary.data);
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),       cmocka_unit_test(test_bytes), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_header_bound), cmocka_unit_test(test_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
