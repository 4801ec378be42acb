/*
 * test_tracker_url.c - destination templates, hosts and query strings.
 *
 * Guarded here: a redirect leads only where its template's text says (an open
 * redirect lends our good name to whoever finds it), no value of a visitor's
 * gets a control byte, a quote or a line break into a Location header, the
 * compiled form that snapshots carry is refused when it is anything the
 * compiler would not write, and the bound on an expanded URL holds to the byte.
 */
#include <ctype.h>
#include "testing.h"

#include "tracker_url.h"

#define APPEND       TRACKER_TEMPLATE_APPEND_CLICK_ID
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const macro_text[TRACKER_MACRO_COUNT] = {
    NULL,       "click_id", "affiliate_id", "affiliate", "campaign", "link",   "source", "creative",
    "ref_id",   "country",  "region",       "city",      "asn",      "device", "os",     "browser",
    "language", "ip",       "timestamp",    "random",    "sub1",     "sub2",   "sub3",   "sub4",
    "sub5",     "sub6",     "sub7",         "sub8",      "sub9",     "sub10",
};

/* A compiled template on the heap, of its exact size. */
struct compiled {
    uint8_t *bytes;
    size_t len;
};

static struct compiled
compile(const char *text, unsigned flags)
{
    uint8_t out[TRACKER_TEMPLATE_MAX];
    const char *error;
    size_t text_len = strlen(text);
    char *exact = testing_exact(text, text_len);
    int len =
        tracker_template_compile((struct tracker_str){ exact, text_len }, flags, out, sizeof(out), &error);

    free(exact);
    if (len < 0) {
        fail_msg("%s: %s", text, error);
        abort(); /* never reached: cmocka forgets to say that fail_msg does not return */
    }
    assert_null(error);
    return (struct compiled){ (uint8_t *) testing_exact(out, (size_t) len), (size_t) len };
}

static const char *
compile_error(const char *text, size_t len, unsigned flags)
{
    uint8_t out[TRACKER_TEMPLATE_MAX];
    const char *error = NULL;
    char *exact = testing_exact(text, len);
    int rc = tracker_template_compile((struct tracker_str){ exact, len }, flags, out, sizeof(out), &error);

    free(exact);
    assert_true((rc < 0) == (error != NULL));
    return error;
}

/* Compiles, checks and expands text; the result is static. */
static const char *
expand(const char *text, unsigned flags, const struct tracker_str values[TRACKER_MACRO_COUNT])
{
    static char out[TRACKER_URL_MAX + 1];
    struct compiled c = compile(text, flags);
    int len;

    assert_true(tracker_template_check(c.bytes, c.len));
    len = tracker_template_expand(c.bytes, c.len, values, out, TRACKER_URL_MAX);
    free(c.bytes);
    assert_in_range(len, 0, TRACKER_URL_MAX);
    out[len] = '\0';
    return out;
}

static void
test_every_macro(void **state)
{
    for (unsigned macro = 1; macro < TRACKER_MACRO_COUNT; macro++) {
        struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
        struct compiled c;
        char text[128], expected[128];

        values[macro] = TRACKER_STR("a b/c");
        sprintf(text, "https://shop.example/{%s}?x={_%s}#{%s}", macro_text[macro], macro_text[macro],
                macro_text[macro]);
        sprintf(expected, "https://shop.example/a%%20b%%2Fc?x=a%%20b/c#a%%20b%%2Fc");
        assert_string_equal(expand(text, 0, values), expected);

        c = compile(text, 0);
        assert_int_equal(tracker_template_macros(c.bytes, c.len), UINT32_C(1) << macro);
        free(c.bytes);
    }
}

static void
test_unknown_and_empty_macros(void **state)
{
    static const struct tracker_str none[TRACKER_MACRO_COUNT];
    struct compiled c;

    assert_string_equal(
        expand("http://h/{nope}a{sub1}b{SUB1}c{sub11}d{_none}e{__sub1}f{sub}g{click_idx}", 0, none),
        "http://h/abcdefg");
    c = compile("http://h/{nope}", 0);
    assert_int_equal(tracker_template_macros(c.bytes, c.len), 0);
    free(c.bytes);
    c = compile("http://h/{ip}{country}{_ip}", 0);
    assert_int_equal(tracker_template_macros(c.bytes, c.len),
                     1u << TRACKER_MACRO_IP | 1u << TRACKER_MACRO_COUNTRY);
    free(c.bytes);
}

/* All 256 bytes through every macro, plain and raw: byte by byte as the header says, written down anew here.
 */
static void
test_all_bytes_through_every_macro(void **state)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?";

    for (unsigned macro = 1; macro < TRACKER_MACRO_COUNT; macro++) {
        for (int raw = 0; raw < 2; raw++) {
            for (int c = 0; c < 256; c++) {
                struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
                char byte = (char) c, text[64], expected[64];
                bool kept = c != 0 && strchr(raw ? safe : unreserved, c) != NULL;

                values[macro] = (struct tracker_str){ &byte, 1 };
                sprintf(text, "http://h/.{%s%s}.", raw ? "_" : "", macro_text[macro]);
                sprintf(expected, kept ? "http://h/.%c." : "http://h/.%%%02X.", (unsigned) c);
                assert_string_equal(expand(text, 0, values), expected);
            }
        }
    }
}

/* Values are read by many bytes at a time: one odd byte among them is found wherever it stands. */
static void
test_odd_byte_in_long_values(void **state)
{
    static const char plain[] = "aZ09-._~mnopqrstABCDEFGHIJKLMNOPQRSTUVWXYz1";

    for (size_t at = 0; at + 1 < sizeof(plain); at++) {
        for (int c = 0; c < 256; c++) {
            struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
            char text[sizeof(plain)], expected[2 * sizeof(plain) + 16], odd[4];
            bool kept = c != 0 && strchr(plain, c) != NULL;

            memcpy(text, plain, sizeof(plain));
            text[at] = (char) c;
            values[TRACKER_MACRO_SUB1] = (struct tracker_str){ text, sizeof(plain) - 1 };
            sprintf(odd, kept || isalnum(c) ? "%c" : "%%%02X", (unsigned) c);
            snprintf(expected, sizeof(expected), "http://h/%.*s%s%s", (int) at, plain, odd, plain + at + 1);
            assert_string_equal(expand("http://h/{sub1}", 0, values), expected);
        }
    }
}

static void
test_raw_percent(void **state)
{
    static const struct {
        const char *value, *raw, *plain;
    } cases[] = {
        { "%41", "%41", "%2541" },
        { "%0d%0A", "%0d%0A", "%250d%250A" }, /* escapes stay escapes: nothing is decoded on the way */
        { "%", "%25", "%25" },
        { "%4", "%254", "%254" },
        { "%4g", "%254g", "%254g" },
        { "%%41", "%25%41", "%25%2541" },
        { "100%", "100%25", "100%25" },
        { "\r\nSet-Cookie: a=b", "%0D%0ASet-Cookie:%20a=b", "%0D%0ASet-Cookie%3A%20a%3Db" },
        { "a#b", "a%23b", "a%23b" },
        { "\"><script>", "%22%3E%3Cscript%3E", "%22%3E%3Cscript%3E" },
        { "//evil.example", "//evil.example", "%2F%2Fevil.example" }, /* after our host: a path */
        { "{click_id}", "%7Bclick_id%7D", "%7Bclick_id%7D" },         /* one pass: values are not templates */
        { "\xc3\xa9", "%C3%A9", "%C3%A9" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
        char expected[128];

        values[TRACKER_MACRO_SUB1] = testing_str(cases[i].value);
        values[TRACKER_MACRO_CLICK_ID] = TRACKER_STR("WRONG");
        sprintf(expected, "http://h/?%s", cases[i].raw);
        assert_string_equal(expand("http://h/?{_sub1}", 0, values), expected);
        sprintf(expected, "http://h/?%s", cases[i].plain);
        assert_string_equal(expand("http://h/?{sub1}", 0, values), expected);
    }
}

static void
test_click_id_appended(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "https://a.example", "https://a.example?click_id=ID" },
        { "https://a.example/", "https://a.example/?click_id=ID" },
        { "https://a.example/p?x=1", "https://a.example/p?x=1&click_id=ID" },
        { "https://a.example/p?", "https://a.example/p?click_id=ID" },
        { "https://a.example/p?x=1&", "https://a.example/p?x=1&click_id=ID" },
        { "https://a.example/p?x={sub1}", "https://a.example/p?x=S&click_id=ID" },
        { "https://a.example/p?{nope}", "https://a.example/p?&click_id=ID" },
        { "https://a.example#f", "https://a.example?click_id=ID#f" },
        { "https://a.example/p#f?x=1", "https://a.example/p?click_id=ID#f?x=1" },
        { "https://a.example/p?x=1#f", "https://a.example/p?x=1&click_id=ID#f" },
        { "https://a.example/p?x=1#f{sub1}", "https://a.example/p?x=1&click_id=ID#fS" },
        { "https://a.example/p#", "https://a.example/p?click_id=ID#" },
        { "https://a.example/{sub1}", "https://a.example/S?click_id=ID" },
        /* it is named: nothing is added */
        { "https://a.example/{click_id}", "https://a.example/ID" },
        { "https://a.example/?s={_click_id}", "https://a.example/?s=ID" },
        { "https://a.example/#{click_id}", "https://a.example/#ID" },
        /* only almost */
        { "https://a.example/{click_idx}", "https://a.example/?click_id=ID" },
        { "https://a.example/click_id", "https://a.example/click_id?click_id=ID" },
    };
    struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };

    values[TRACKER_MACRO_CLICK_ID] = TRACKER_STR("ID");
    values[TRACKER_MACRO_SUB1] = TRACKER_STR("S");
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(expand(cases[i].text, APPEND, values), cases[i].expected);
    assert_string_equal(expand("https://a.example/p?x=1#f", 0, values), "https://a.example/p?x=1#f");
}

static void
test_accepted(void **state)
{
    static const char *texts[] = {
        "http://h",
        "HTTPS://Shop.Example:65535/",
        "https://shop.example.:1",
        "https://xn--bcher-kva.example/",
        "https://192.0.2.1:8080/x",
        "https://[2001:db8::1]:8443/x?y",
        "https://[::ffff:192.0.2.1]",
        "https://under_score.example/?a[]=1&b=%7B%7d|x;y=(z)*!'$,~@:",
        "https://h?//evil.example/@x",
        "https://h/https://other.example/",
        "https://h#?/@[]",
    };
    static const struct tracker_str none[TRACKER_MACRO_COUNT];

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_string_equal(expand(texts[i], 0, none), texts[i]);
}

static void
test_hostile_templates(void **state)
{
    static const struct {
        const char *text, *sentence; /* a piece of it */
    } cases[] = {
        { "", "http://" },
        { "h", "http://" },
        { "/path", "http://" },
        { "//evil.example/", "http://" },
        { "javascript:alert(1)", "http://" },
        { "JaVaScRiPt://h/%0aalert(1)", "http://" },
        { "data:text/html,x", "http://" },
        { "vbscript:x", "http://" },
        { "file:///etc/passwd", "http://" },
        { "ftp://h/", "http://" },
        { "intent://h/", "http://" },
        { " http://h/", "http://" },
        { "\thttp://h/", "http://" },
        { "http:/h/", "http://" },
        { "http:h", "http://" },
        { "http:\\\\h/", "http://" },
        { "https:///h", "host" },
        { "https://", "host" },
        { "http://?x", "host" },
        { "http://#x", "host" },
        { "http://:80/", "host" },
        { "http://h:/", "host" },
        { "http://h:0/", "host" },
        { "http://h:65536/", "host" },
        { "http://h:80:80/", "host" },
        { "http://h:8o/", "host" },
        { "http://h:-1/", "host" },
        { "http://.h/", "host" },
        { "http://-h/", "host" },
        { "http://h\\.evil.example/", "host" },
        { "http://good.example\\@evil.example/", "user name" },
        { "http://good.example;evil.example/", "host" },
        { "http://good.example,evil.example/", "host" },
        { "http://good.example%2eevil.example/", "host" },
        { "http://good.example%00.evil.example/", "host" },
        { "http://good.example .evil.example/", "host" },
        { "http://good.example\t.evil.example/", "host" },
        { "http://good.example\n.evil.example/", "host" },
        { "http://g\xc3\xb6\xc3\xb6"
          "d.example/",
          "host" },
        { "http://[::1/", "host" },
        { "http://[]/", "host" },
        { "http://[:]/", "host" },
        { "http://[::1]x/", "host" },
        { "http://[::1%25eth0]/", "host" },
        { "http://[evil]/", "host" },
        { "http://::1/", "host" },
        { "http://user@evil.example/", "user name" },
        { "http://good.example:80@evil.example/", "user name" },
        { "http://@evil.example/", "user name" },
        /* macros where the target is decided */
        { "{sub1}://h/", "http://" },
        { "http{sub1}://h/", "http://" },
        { "{_sub1}", "http://" },
        { "http://{sub1}/", "after the host" },
        { "http://{nope}/", "after the host" },
        { "http://h{sub1}", "after the host" },
        { "http://h{sub1}/", "after the host" },
        { "http://{sub1}.example/", "after the host" },
        { "http://h:{sub1}/", "after the host" },
        { "http://h{", "after the host" },
        /* braces */
        { "http://h/{", "opening brace" },
        { "http://h/{sub1", "opening brace" },
        { "http://h/}", "closing brace" },
        { "http://h/a}b", "closing brace" },
        { "http://h/{sub1}}", "closing brace" },
        { "http://h/{{sub1}}", "between braces" },
        { "http://h/{a{sub1}}", "between braces" },
        { "http://h/{}", "between braces" },
        { "http://h/{_}", "between braces" },
        { "http://h/{ sub1 }", "between braces" },
        { "http://h/{sub1#}", "brace" },
        { "http://h/{sub-1}", "between braces" },
        { "http://h/{s\xc3\xbc"
          "b}",
          "between braces" },
        { "http://h/{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", "between braces" },
        /* literals */
        { "http://h/a b", "percent-encoded" },
        { "http://h/a\r\nX: y", "percent-encoded" },
        { "http://h/a\tb", "percent-encoded" },
        { "http://h/\x7f", "percent-encoded" },
        { "http://h/\x80", "percent-encoded" },
        { "http://h/\xc3\xa9", "percent-encoded" },
        { "http://h/a\"b", "percent-encoded" },
        { "http://h/<b>", "percent-encoded" },
        { "http://h/a\\b", "percent-encoded" },
        { "http://h/a`b^", "percent-encoded" },
        { "http://h/%", "percent-encoded" },
        { "http://h/%4", "percent-encoded" },
        { "http://h/%zz", "percent-encoded" },
        { "http://h/%{sub1}", "percent-encoded" },
        { "http://h/%4{sub1}", "percent-encoded" },
        { "http://h/#a b", "percent-encoded" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned flags = 0; flags <= APPEND; flags++) {
            const char *error = compile_error(cases[i].text, strlen(cases[i].text), flags);

            if (error == NULL || strstr(error, cases[i].sentence) == NULL)
                fail_msg("%s: %s", cases[i].text, error != NULL ? error : "accepted");
        }
    }
    assert_non_null(compile_error("http://h/\0x", 11, 0));
    assert_non_null(compile_error("http://h\0/x", 11, 0));
}

/* Any byte in a template's text: either refused, or it comes out as itself. */
static void
test_every_byte_as_literal(void **state)
{
    static const char *frames[] = { "http://h/.x", "http://h/?.x", "http://h/#.x" };
    static const char refused[] = "\"%<>\\^`{}";
    static const struct tracker_str none[TRACKER_MACRO_COUNT];

    for (size_t i = 0; i < COUNT(frames); i++) {
        for (int c = 0; c < 256; c++) {
            char text[16];
            size_t at = strchr(frames[i], '.') - frames[i];

            strcpy(text, frames[i]);
            text[at] = (char) c;
            if (c < 0x21 || c > 0x7e || strchr(refused, c) != NULL)
                assert_non_null(compile_error(text, strlen(frames[i]), 0));
            else
                assert_string_equal(expand(text, 0, none), text);
        }
    }
}

/* Every capacity below what is needed is refused, and not a byte past it is written. */
static void
compile_bounds(const char *text)
{
    for (unsigned flags = 0; flags <= APPEND; flags++) {
        struct compiled c = compile(text, flags);

        for (size_t cap = 0; cap <= c.len; cap++) {
            uint8_t *exact = malloc(cap + 1);
            const char *error;

            exact[cap] = 0xa5;
            assert_int_equal(tracker_template_compile(testing_str(text), flags, exact, cap, &error),
                             cap < c.len ? -1 : (int) c.len);
            assert_int_equal(exact[cap], 0xa5);
            free(exact);
        }
        free(c.bytes);
    }
}

static void
test_template_bounds(void **state)
{
    char text[TRACKER_TEMPLATE_MAX + 2];
    uint8_t out[TRACKER_TEMPLATE_MAX + 64];
    const char *error;

    memset(text, 'a', sizeof(text));
    memcpy(text, "http://h/", 9);
    /* The header of the one part takes four bytes of the compiled form. */
    assert_int_equal(tracker_template_compile((struct tracker_str){ text, TRACKER_TEMPLATE_MAX - 4 }, 0, out,
                                              sizeof(out), &error),
                     TRACKER_TEMPLATE_MAX);
    assert_true(tracker_template_check(out, TRACKER_TEMPLATE_MAX));
    assert_int_equal(tracker_template_compile((struct tracker_str){ text, TRACKER_TEMPLATE_MAX - 3 }, 0, out,
                                              sizeof(out), &error),
                     -1);
    assert_non_null(strstr(error, "too long"));
    assert_int_equal(tracker_template_compile((struct tracker_str){ text, TRACKER_TEMPLATE_MAX + 1 }, 0, out,
                                              sizeof(out), &error),
                     -1);
    assert_non_null(strstr(error, "4096"));

    compile_bounds("http://h/{sub1}/{nope}x{_sub2}?y={ip}#z");
    compile_bounds("http://h/#z");
    compile_bounds("http://h/{sub1}"); /* ends in a macro: no room for another part is asked for */
    compile_bounds("http://h?{sub1}{sub2}");
}

static void
test_expand_bounds(void **state)
{
    struct compiled c = compile("http://h/?a={sub1}&b={_sub1}&c={sub2}", 0);
    struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
    char expected[256], out[256], *huge;
    int need;

    values[TRACKER_MACRO_SUB1] = TRACKER_STR("x y%41/");
    values[TRACKER_MACRO_SUB1 + 1] = TRACKER_STR("\xff");
    need = tracker_template_expand(c.bytes, c.len, values, expected, sizeof(expected));
    assert_int_equal(need, strlen("http://h/?a=x%20y%2541%2F&b=x%20y%41/&c=%FF"));
    for (int cap = 0; cap <= need; cap++) {
        char *exact = testing_exact(expected, (size_t) cap);

        assert_int_equal(tracker_template_expand(c.bytes, c.len, values, exact, (size_t) cap),
                         cap < need ? -1 : need);
        free(exact);
    }

    /* The bound is TRACKER_URL_MAX however large the buffer. */
    huge = malloc(4 * TRACKER_URL_MAX);
    memset(huge, 'a', 4 * TRACKER_URL_MAX);
    values[TRACKER_MACRO_SUB1] = TRACKER_STR_NONE;
    values[TRACKER_MACRO_SUB1 + 1] = (struct tracker_str){ huge, TRACKER_URL_MAX - 18 };
    char *big = malloc(4 * TRACKER_URL_MAX);
    assert_int_equal(tracker_template_expand(c.bytes, c.len, values, big, 4 * TRACKER_URL_MAX),
                     TRACKER_URL_MAX);
    values[TRACKER_MACRO_SUB1 + 1].len++;
    assert_int_equal(tracker_template_expand(c.bytes, c.len, values, big, 4 * TRACKER_URL_MAX), -1);
    values[TRACKER_MACRO_SUB1 + 1].len = 4 * TRACKER_URL_MAX;
    assert_int_equal(tracker_template_expand(c.bytes, c.len, values, out, sizeof(out)), -1);
    free(big);
    free(huge);
    free(c.bytes);
}

/* Whatever template compiles and whatever values hold: clean bytes, and the host of the text. */
static void
test_random_values(void **state)
{
    static const char *texts[] = {
        "https://shop.example/{sub1}/{_sub2}",
        "https://shop.example?{_sub1}{_sub2}{sub3}",
        "https://shop.example:8443/#{_sub1}",
        "https://shop.example/{_sub1}",
    };

    testing_seed();
    for (int round = 0; round < 20000; round++) {
        struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
        char bytes[3][40];
        const char *out;

        for (size_t i = 0; i < 3; i++) {
            size_t len = testing_below(sizeof(bytes[i]) + 1);

            for (size_t k = 0; k < len; k++)
                bytes[i][k] =
                    testing_below(2) ? (char) testing_draw() : "/\\@:%2fF#?&.\r\n\t "[testing_below(16)];
            values[TRACKER_MACRO_SUB1 + i] = (struct tracker_str){ bytes[i], len };
        }
        out = expand(texts[testing_below(COUNT(texts))], APPEND * (unsigned) testing_below(2), values);
        for (const char *p = out; *p != '\0'; p++)
            assert_in_range((uint8_t) *p, 0x21, 0x7e);
        assert_null(strpbrk(out, "\"<>\\{}`^"));
        assert_true(tracker_str_eq(tracker_url_host(testing_str(out)), TRACKER_STR("shop.example")));
    }
}

static void
test_check_refuses(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
#define BYTES(literal) { literal, sizeof(literal) - 1 }
        BYTES(""),
        BYTES("\x08\0\0"),           /* half a header */
        BYTES("\x09\0\0\0http://h"), /* literal past the end */
        BYTES("\xff\xff\0\0http://h"),
        BYTES("\x08\0\0\0http://h/"),   /* a byte left over */
        BYTES("\x09\0\x1e\0http://h/"), /* no such macro */
        BYTES("\x09\0\xff\0http://h/"),
        BYTES("\x09\0\x01\x02http://h/"), /* no such flag */
        BYTES("\x09\0\x01\x81http://h/"),
        BYTES("\x09\0\0\x01http://h/"),          /* raw nothing */
        BYTES("\x09\0\0\0http://h/\x01\0\0\0x"), /* "no macro" before the end */
        BYTES("\x08\0\x01\0http://h"),           /* the value would go on with the host */
        BYTES("\x08\0\x01\0http://h\x01\0\0\0/"),
        BYTES("\0\0\x01\0"), /* the value would be the scheme */
        BYTES("\x07\0\x01\0http://"),
        BYTES("\x07\0\0\0http://"),
        BYTES("\x09\0\0\0http://@/"),
        BYTES("\x0b\0\0\0http://u@h/"),
        BYTES("\x0b\0\0\0javascript:"),
        BYTES("\x0a\0\0\0http://h/ "),
        BYTES("\x0a\0\0\0http://h/\n"),
        BYTES("\x0a\0\0\0http://h/{"),
        BYTES("\x0a\0\0\0http://h/%"),
        BYTES("\x0b\0\0\0http://h/%4"),
        BYTES("\x0a\0\x01\0http://h/%\x02\0\0\0"
              "41"), /* an escape over the seam */
        BYTES("\x09\0\x01\0http://h/\x01\0\0\0\""),
#undef BYTES
    };
    uint8_t *longer;

    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t *exact = (uint8_t *) testing_exact(bad[i].bytes, bad[i].len);

        if (tracker_template_check(exact, bad[i].len))
            fail_msg("case %zu", i);
        tracker_template_macros(exact, bad[i].len); /* safe all the same */
        free(exact);
    }

    assert_false(tracker_template_check(NULL, 0));

    longer = malloc(TRACKER_TEMPLATE_MAX + 1);
    memset(longer, 'a', TRACKER_TEMPLATE_MAX + 1);
    memcpy(longer, "\xfd\x0f\0\0http://h/", 13); /* 4093 literal bytes */
    assert_false(tracker_template_check(longer, TRACKER_TEMPLATE_MAX + 1));
    longer[0]--;
    assert_true(tracker_template_check(longer, TRACKER_TEMPLATE_MAX));
    free(longer);
}

/* Any damage to a compiled template is refused or harmless: clean output, of an http host. */
static void
test_damaged_templates(void **state)
{
    struct compiled c = compile("https://shop.example/{sub1}?a={_sub2}&b=%20#{ip}", APPEND);
    struct tracker_str values[TRACKER_MACRO_COUNT];
    unsigned accepted = 0;

    testing_seed();
    for (unsigned i = 0; i < TRACKER_MACRO_COUNT; i++)
        values[i] = TRACKER_STR("@evil.example/\r\n");
    for (int round = 0; round < 200000; round++) {
        uint8_t *copy = (uint8_t *) testing_exact(c.bytes, c.len);
        size_t len = testing_below(8) == 0 ? testing_below(c.len) : c.len;
        char out[512];

        for (uint64_t hits = testing_below(3); hits > 0; hits--)
            copy[testing_below(c.len)] = (uint8_t) testing_draw();
        uint8_t *exact = (uint8_t *) testing_exact(copy, len);
        if (tracker_template_check(exact, len)) {
            int n = tracker_template_expand(exact, len, values, out, sizeof(out));
            struct tracker_str host = tracker_url_host((struct tracker_str){ out, (size_t) n });

            assert_true(n > 0);
            for (int i = 0; i < n; i++)
                assert_in_range((uint8_t) out[i], 0x21, 0x7e);
            assert_true(host.len > 0);
            if (host.len >= 12) /* "evil.example": only a literal could have said so */
                assert_null(memmem(host.data, host.len, "evil.example", 12));
            accepted++;
        }
        free(exact);
        free(copy);
    }
    assert_true(accepted > 1000);
    free(c.bytes);
}

static void
test_host(void **state)
{
    static const struct {
        const char *url, *host;
    } cases[] = {
        { "https://shop.example", "shop.example" },
        { "HTTP://Shop.Example/x", "Shop.Example" },
        { "https://shop.example:8443?x", "shop.example" },
        { "https://shop.example#x", "shop.example" },
        { "https://[2001:db8::1]:1/x", "[2001:db8::1]" },
        { "https://shop.example/@evil.example", "shop.example" },
        { "https://shop.example@evil.example", "" },
        { "https://shop.example\\@evil.example", "" },
        { "//shop.example/", "" },
        { "javascript://shop.example/", "" },
        { "https://shop.example\r\n", "" },
        { "https://", "" },
        { "", "" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].url);
        char *exact = testing_exact(cases[i].url, len);
        struct tracker_str host = tracker_url_host((struct tracker_str){ exact, len });

        if (!tracker_str_eq(host, testing_str(cases[i].host)))
            fail_msg("%s: \"%.*s\"", cases[i].url, (int) host.len, host.data);
        free(exact);
    }
    assert_int_equal(tracker_url_host(TRACKER_STR_NONE).len, 0);
}

static void
test_decode(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "", "" },
        { "abc", "abc" },
        { "a+b%20c", "a b c" },
        { "%41%7a%2B", "Az+" },
        { "%C3%a9", "\xc3\xa9" },
        { "%", "%" },
        { "%4", "%4" },
        { "%4g%", "%4g%" },
        { "%%41", "%A" },
        { "%25%34%31", "%41" }, /* once, not twice */
    };
    char out[16];

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].in), want = strlen(cases[i].out);
        char *exact = testing_exact(cases[i].in, len);

        assert_int_equal(tracker_url_decode((struct tracker_str){ exact, len }, out, sizeof(out)), want);
        assert_memory_equal(out, cases[i].out, want);
        for (size_t cap = 0; cap <= want; cap++) { /* cut at cap, not a byte later */
            char *small = testing_exact("", 0);

            small = realloc(small, cap > 0 ? cap : 1);
            assert_int_equal(tracker_url_decode((struct tracker_str){ exact, len }, small, cap), cap);
            assert_memory_equal(small, cases[i].out, cap);
            free(small);
        }
        free(exact);
    }
    assert_int_equal(tracker_url_decode(TRACKER_STR_NONE, out, sizeof(out)), 0);
    assert_int_equal(tracker_url_decode(TRACKER_STR("a%00b"), out, sizeof(out)), 3);
    assert_memory_equal(out, "a\0b", 3);
}

/* What a macro encodes, the advertiser's query parser decodes to the same bytes. */
static void
test_encode_then_decode(void **state)
{
    struct compiled c = compile("http://h/?{sub1}", 0);

    testing_seed();
    for (int round = 0; round < 5000; round++) {
        struct tracker_str values[TRACKER_MACRO_COUNT] = { 0 };
        char in[64], url[256], back[64];
        size_t len = testing_below(sizeof(in) + 1);
        int n;

        for (size_t i = 0; i < len; i++)
            in[i] = (char) testing_draw();
        values[TRACKER_MACRO_SUB1] = (struct tracker_str){ in, len };
        n = tracker_template_expand(c.bytes, c.len, values, url, sizeof(url));
        assert_true(n >= 10);
        assert_int_equal(
            tracker_url_decode((struct tracker_str){ url + 10, (size_t) n - 10 }, back, sizeof(back)), len);
        assert_memory_equal(in, back, len);
    }
    free(c.bytes);
}

static void
test_query(void **state)
{
    static const struct {
        const char *query, *seen; /* name=value| ... */
    } cases[] = {
        { "", "" },
        { "a=1", "a=1|" },
        { "a=1&b=2", "a=1|b=2|" },
        { "a", "a=|" },
        { "a&b=", "a=|b=|" },
        { "=x", "=x|" },
        { "=", "=|" },
        { "&&a=1&&", "a=1|" },
        { "a=b=c", "a=b=c|" },
        { "a=%26&b=+", "a=%26|b=+|" },
        { "a;b=1", "a;b=1|" },
    };

    struct tracker_str none = TRACKER_STR_NONE, ignored;

    assert_false(tracker_query_next(&none, &ignored, &ignored));
    assert_non_null(compile_error(NULL, 0, 0));
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].query), n = 0;
        char *exact = testing_exact(cases[i].query, len), seen[64] = "";
        struct tracker_str rest = { exact, len }, name, value;

        while (tracker_query_next(&rest, &name, &value))
            n += (size_t) sprintf(seen + n, "%.*s=%.*s|", (int) name.len, name.data, (int) value.len,
                                  value.data);
        assert_string_equal(seen, cases[i].seen);
        assert_false(tracker_query_next(&rest, &name, &value));
        free(exact);
    }
}

static void
must_carry(const char *text, const char *name)
{
    struct compiled c = compile(text, 0);
    struct tracker_str got = tracker_template_parameter(c.bytes, c.len, TRACKER_MACRO_CLICK_ID);

    if (!tracker_str_eq(got, (struct tracker_str){ name, strlen(name) }))
        fail_msg("%s carries the id as '%.*s', not as '%s'", text, (int) got.len, got.data, name);
    free(c.bytes);
}

static void
test_parameter(void **state)
{
    must_carry("https://a/?cid={click_id}", "cid");
    must_carry("https://a/?x=1&cid={_click_id}&y=2", "cid");
    must_carry("https://a/?x={sub1}&cid={click_id}#f", "cid");
    must_carry("https://a/{click_id}?a={click_id}x&b=x{click_id}&c={click_id}{sub1}&d={click_id}", "d");
    must_carry("https://a/?a%5B={click_id}", "");
    must_carry("https://a/?{click_id}", "");
    must_carry("https://a/?={click_id}", "");
    must_carry("https://a/{click_id}", "");
    must_carry("https://a/?cid={sub1}", "");
    must_carry("https://a/", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_macro),
        cmocka_unit_test(test_unknown_and_empty_macros),
        cmocka_unit_test(test_all_bytes_through_every_macro),
        cmocka_unit_test(test_odd_byte_in_long_values),
        cmocka_unit_test(test_raw_percent),
        cmocka_unit_test(test_click_id_appended),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_hostile_templates),
        cmocka_unit_test(test_every_byte_as_literal),
        cmocka_unit_test(test_template_bounds),
        cmocka_unit_test(test_expand_bounds),
        cmocka_unit_test(test_random_values),
        cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_damaged_templates),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode_then_decode),
        cmocka_unit_test(test_parameter),
        cmocka_unit_test(test_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
