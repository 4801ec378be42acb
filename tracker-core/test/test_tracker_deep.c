/*
 * test_tracker_deep.c - which deep links are followed.
 *
 * Guarded here: an open redirect.  Every trick that makes one program read another host than the next is a
 * case, and random compositions of their pieces are held against a reader of our own that follows the WHATWG
 * URL standard (what browsers do): what is allowed must lead to a listed host for it too.
 */
#include "testing.h"

#include <ctype.h>
#include <strings.h>

#include "tracker_deep.h"
#include "tracker_url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char hosts[] = "shop.example\n.brand.example\nxn--mnchen-3ya.example\n192.0.2.7\n";

static bool
allowed_in(const char *url, size_t len, const char *list)
{
    char *exact = testing_exact(url, len), *hosts_exact = testing_exact(list, strlen(list));
    bool  allowed = tracker_deep_allowed((struct tracker_str){ exact, len },
                                         (struct tracker_str){ hosts_exact, strlen(list) });

    free(exact);
    free(hosts_exact);
    return allowed;
}

static bool
allowed(const char *url)
{
    return allowed_in(url, strlen(url), hosts);
}

static void
listed_hosts(void **state)
{
    static const char *const good[] = {
        "https://shop.example",
        "http://shop.example/",
        "https://shop.example/a/b?c=d&e=f#g",
        "https://SHOP.Example/",
        "HTTPS://shop.example/",
        "https://shop.example:443/",
        "http://shop.example:80",
        "https://shop.example:0443/",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://brand.example/",
        "https://www.brand.example/",
        "https://a.b.c.brand.example:443/?q",
        "https://xn--mnchen-3ya.example/",
        "http://192.0.2.7/",
        "https://shop.example/?next=https://evil.example/",
        "https://shop.example/@evil.example",
        "https://shop.example/\\evil.example",
        "https://shop.example?@evil.example",
        "https://shop.example#@evil.example/",
        "https://shop.example//evil.example",
        "https://shop.example/a b{sub1}",
        "https://shop.example/caf\xc3\xa9",
    };

    for (size_t i = 0; i < COUNT(good); i++)
        if (!allowed(good[i]))
            fail_msg("%s should be followed", good[i]);
}

static void
other_hosts(void **state)
{
    static const char *const bad[] = {
        "",
        "https://",
        "https:///shop.example",
        "https://evil.example/",
        "https://evil.example/shop.example",
        "https://evil.example?shop.example",
        "https://evil.example#shop.example",
        "https://shop.example.evil.example/",
        "https://evilshop.example/",
        "https://evilbrand.example/",
        "https://.brand.example/",
        "https://www.shop.example/",
        "https://shop.exampl",
        "https://shop.example./",
        "https://brand.example./",
        "https://shop.example:8443/",
        "https://shop.example:80/",
        "http://shop.example:443/",
        "https://shop.example:/",
        "https://shop.example:443@evil.example/",
        "https://shop.example@evil.example/",
        "https://user@shop.example/",
        "https://user:password@shop.example/",
        "https://evil.example@shop.example/",
        "https://shop.example%40evil.example/",
        "https://evil.example%2f@shop.example/",
        "https://shop.example%2fevil.example/",
        "https://shop.example%00.evil.example/",
        "https://shop%2eexample/",
        "https://shop.example\\.evil.example/",
        "https://shop.example\\@evil.example/",
        "https://evil.example\\@shop.example/",
        "https:\\\\shop.example/",
        "https:/\\shop.example/",
        "https:\\/shop.example/",
        "https:/shop.example/",
        "https:shop.example/",
        "//shop.example/",
        "\\\\shop.example/",
        "/\\shop.example/",
        "/path",
        "shop.example",
        " https://shop.example/",
        "\thttps://shop.example/",
        "ht\ttps://shop.example/",
        "https://sh\top.example/",
        "https://shop.example\t.evil.example/",
        "https://shop.example/\r\nSet-Cookie: x",
        "https://shop.example/\n",
        "https://shop.example/\x7f",
        "https://shop.example /",
        "https://shop.example&@evil.example/",
        "https://shop.example;@evil.example/",
        "https://shop.example,evil.example/",
        "https://[shop.example]/",
        "https://[::1]/",
        "https://[::ffff:192.0.2.7]/",
        "https://3221225991/", /* 192.0.2.7 */
        "https://0xc0000207/",
        "https://0300.0.2.7/",
        "https://192.0.519/",
        "https://192.0.2.7.evil.example/",
        "https://m\xc3\xbcnchen.example/",
        "https://shop\xe3\x80\x82" "example/", /* an ideographic full stop, a dot to browsers */
        "https://\xef\xbd\x93hop.example/",    /* a full-width s */
        "https://shop.example\xc2\xad/",       /* a soft hyphen, dropped by browsers */
        "https%3A%2F%2Fshop.example%2F",       /* encoded twice */
        "javascript:alert(1)//https://shop.example/",
        "javascript://shop.example/%0aalert(1)",
        "data:text/html,https://shop.example/",
        "ftp://shop.example/",
        "file://shop.example/",
        "httpss://shop.example/",
        "view-source:https://shop.example/",
        "{shop.example}",
        "https://{sub1}/",
        "https://shop.example{sub1}/",
    };

    for (size_t i = 0; i < COUNT(bad); i++)
        if (allowed(bad[i]))
            fail_msg("%s should be refused", bad[i]);
    assert_false(allowed_in("https://shop.example\0.evil.example/", 36, hosts));
    assert_false(allowed_in("https://shop.example/\0", 22, hosts));
}

static void
lists(void **state)
{
    assert_false(allowed_in("https://shop.example/", 21, ""));
    assert_false(allowed_in("https://shop.example/", 21, "\n\n"));
    assert_false(allowed_in("https://shop.example/", 21, ".\n"));
    assert_false(allowed_in("https://shop.example/", 21, "shop\nexample\n.example.shop\n"));
    assert_true(allowed_in("https://shop.example/", 21, "a\nb\nshop.example"));
    assert_true(allowed_in("https://shop.example/", 21, ".example\n"));
    assert_true(allowed_in("https://[::1]/", 14, "[::1]\n"));
}

static void
written(void **state)
{
    static const struct {
        const char *url, *out;
    } cases[] = {
        { "https://shop.example/a?b=c&d[]=e|f#g", "https://shop.example/a?b=c&d[]=e|f#g" },
        { "https://shop.example/a b", "https://shop.example/a%20b" },
        { "https://shop.example/caf\xc3\xa9", "https://shop.example/caf%C3%A9" },
        { "https://shop.example/{click_id}", "https://shop.example/%7Bclick_id%7D" },
        { "https://shop.example/\\\"<>^`", "https://shop.example/%5C%22%3C%3E%5E%60" },
        { "https://shop.example/%41%zz%", "https://shop.example/%41%25zz%25" },
    };
    char out[128], expected[TRACKER_URL_MAX];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tracker_str url = testing_str(cases[i].url);
        size_t             len = strlen(cases[i].out);

        assert_int_equal(tracker_deep_write(url, out, sizeof(out)), len);
        assert_memory_equal(out, cases[i].out, len);
        assert_int_equal(tracker_deep_write(url, out, len), len);
        assert_int_equal(tracker_deep_write(url, out, len - 1), -1);
    }

    /* every byte in a path */
    for (int c = 0; c < 256; c++) {
        char url[] = "https://shop.example/x";
        url[21] = (char) c;
        int len = tracker_deep_write((struct tracker_str){ url, 22 }, expected, sizeof(expected));
        for (int i = 0; i < len; i++)
            assert_true(expected[i] > 0x20 && expected[i] < 0x7f);
    }
}

/* ---- what a browser makes of it: https://url.spec.whatwg.org/#concept-basic-url-parser, special schemes ---- */

/* The host in lower case, percent-decoded; false: no http(s) URL. */
static bool
browser_host(const char *url, size_t len, char *host)
{
    char        clean[256], raw[256];
    size_t      n = 0, i = 0, at;
    const char *end;

    while (len > 0 && (uint8_t) url[len - 1] <= 0x20)
        len--;
    while (i < len && (uint8_t) url[i] <= 0x20)
        i++;
    for (; i < len; i++)
        if (url[i] != '\t' && url[i] != '\n' && url[i] != '\r')
            clean[n++] = url[i];
    clean[n] = '\0';

    if (strncasecmp(clean, "http:", 5) == 0)
        end = clean + 5;
    else if (strncasecmp(clean, "https:", 6) == 0)
        end = clean + 6;
    else
        return false;
    while (*end == '/' || *end == '\\')
        end++;

    n = strcspn(end, "/\\?#");
    memcpy(raw, end, n);
    raw[n] = '\0';
    char *name = strrchr(raw, '@');
    name = name != NULL ? name + 1 : raw;
    name[name[0] == '[' ? strcspn(name, "]") + 1 : strcspn(name, ":")] = '\0';
    for (at = 0; *name != '\0'; name++) {
        unsigned hex;
        if (*name == '%' && isxdigit(name[1]) && isxdigit(name[2]) && sscanf(name + 1, "%2x", &hex) == 1) {
            host[at++] = (char) tolower((int) hex);
            name += 2;
        } else
            host[at++] = (char) tolower((unsigned char) *name);
    }
    host[at] = '\0';
    return true;
}

static bool
host_listed(const char *host)
{
    size_t len = strlen(host);

    return strcmp(host, "shop.example") == 0 || strcmp(host, "brand.example") == 0
           || (len > 14 && strcmp(host + len - 14, ".brand.example") == 0)
           || strcmp(host, "xn--mnchen-3ya.example") == 0 || strcmp(host, "192.0.2.7") == 0;
}

static void
compositions(void **state)
{
    static const char *const pieces[] = {
        "https://", "http://", "https:", "//", "/", "\\", "shop.example", "evil.example", ".", "www.", "brand.example",
        "@", ":", "443", "80", "8080", "%2f", "%5c", "%40", "%00", "%2e", "?", "#", "\t", "\n", " ", "&", ";", "[", "]",
        "::1", "{sub1}", "192.0.2.7", "\xc3\xa9", "\xe3\x80\x82", "x", "SHOP.EXAMPLE", "-", "_", "%", "%25",
    };
    char   url[256], out[1024], host[256];
    size_t followed = 0;

    testing_seed();
    for (int round = 0; round < 300000; round++) {
        unsigned count = 1 + (unsigned) testing_below(7);

        strcpy(url, testing_below(4) == 0 ? "" : pieces[testing_below(2)]);
        if (testing_below(2) == 0)
            strcat(url, pieces[6 + testing_below(2) * 4]);
        while (count-- > 0)
            strcat(url, pieces[testing_below(COUNT(pieces))]);
        if (!allowed(url))
            continue;

        followed++;
        int len = tracker_deep_write(testing_str(url), out, sizeof(out));
        assert_true(len > 0);
        for (int i = 0; i < len; i++)
            assert_true((uint8_t) out[i] > 0x20 && (uint8_t) out[i] < 0x7f);
        if (!browser_host(url, strlen(url), host) || !host_listed(host))
            fail_msg("%s leads to %s", url, host);
        if (!browser_host(out, (size_t) len, host) || !host_listed(host))
            fail_msg("%.*s leads to %s", len, out, host);
    }
    print_message("# %zu of 300000 compositions were followed\n", followed);
    assert_true(followed > 3000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_hosts), cmocka_unit_test(other_hosts),  cmocka_unit_test(lists),
        cmocka_unit_test(written),      cmocka_unit_test(compositions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
