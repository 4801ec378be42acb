/*
 * fuzz_deep.c - any bytes as a deep link, as a list of hosts, as a query that is passed on.
 *
 * The input is split at its first two NULs: URL, hosts, query.  Held against every input: what is allowed has its
 * host in the list and keeps it when written, with parameters set and passed on; every byte is clean; bounds are
 * exact.
 */
#include <stdlib.h>
#include <strings.h>

#include "tracker_deep.h"
#include "tracker_query.h"
#include "tracker_url.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tracker_str
cut(const uint8_t **data, size_t *size)
{
    const uint8_t     *nul = *size > 0 ? memchr(*data, '\0', *size) : NULL;
    struct tracker_str s = { (const char *) *data, nul != NULL ? (size_t) (nul - *data) : *size };

    *data += s.len + (nul != NULL);
    *size -= s.len + (nul != NULL);
    return s;
}

static bool
keep(void *data, struct tracker_str name)
{
    MUST(name.len > 0 && name.len <= TRACKER_PASS_NAME_MAX);
    return !tracker_str_eq(name, TRACKER_STR("click_id"));
}

static void
clean(const char *url, size_t len, struct tracker_str host)
{
    for (size_t i = 0; i < len; i++)
        MUST((uint8_t) url[i] > 0x20 && (uint8_t) url[i] < 0x7f);
    MUST(tracker_str_eq(tracker_url_host((struct tracker_str){ url, len }), host));
}

static void
follow(struct tracker_str url, struct tracker_str query)
{
    static char out[TRACKER_URL_MAX], copy[TRACKER_URL_MAX];
    struct tracker_str host = tracker_url_host(url);
    size_t len, set, passed;
    char *exact;
    int n = tracker_deep_write(url, out, sizeof(out));

    if (n < 0)
        return;
    len = (size_t) n;
    clean(out, len, host);

    set = tracker_query_set(out, len, sizeof(out), TRACKER_STR("click_id"), TRACKER_STR("0-_ z"));
    if (set != 0) {
        clean(out, set, host);
        len = set;
        memcpy(copy, out, len);
        MUST(tracker_query_set(copy, len, sizeof(copy), TRACKER_STR("click_id"), TRACKER_STR("0-_ z")) <= len);
    }

    memcpy(copy, out, len);
    passed = tracker_query_pass(out, len, sizeof(out), query, keep, NULL);
    MUST(passed >= len && passed <= sizeof(out));
    clean(out, passed, host);

    exact = malloc(passed);
    memcpy(exact, copy, len);
    MUST(tracker_query_pass(exact, len, passed, query, keep, NULL) == passed && memcmp(exact, out, passed) == 0);
    free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracker_str url = cut(&data, &size), hosts = cut(&data, &size), query = { (const char *) data, size };
    struct tracker_str host;
    bool allowed = tracker_deep_allowed(url, hosts);

    if (allowed) {
        /* independent of its code: the host, or an ending of it, stands in the list without regard to case */
        bool found = false;
        host = tracker_url_host(url);
        for (size_t i = 0; i < host.len && !found; i++)
            for (size_t at = 0; at + host.len - i <= hosts.len && !found; at++)
                found = strncasecmp(host.data + i, hosts.data + at, host.len - i) == 0;
        MUST(found);
        follow(url, query);
    }
    if (tracker_deep_allowed(url, TRACKER_STR("shop.example\n.brand.example\n")))
        follow(url, query);
    return 0;
}
