/*
 * fuzz_url.c - any bytes as a template's text with a visitor's values, as a compiled template, as a query.
 *
 * The input is split at its first NUL: template text before it, a value for every macro behind it.
 * Held against every input: what compiles passes the check; what passes the check expands to clean
 * bytes and keeps the host that stands in its text, whatever the values are; bounds are exact.
 */
#include <stdlib.h>

#include "tracker_url.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Expands a checked template with value in every macro, into a block of exactly the size it needs. */
static void
expand(const uint8_t *compiled, size_t len, struct tracker_str value)
{
    struct tracker_str values[TRACKER_MACRO_COUNT], host;
    static char out[TRACKER_URL_MAX];
    char *exact;
    int n;

    for (unsigned i = 0; i < TRACKER_MACRO_COUNT; i++)
        values[i] = value;
    n = tracker_template_expand(compiled, len, values, out, sizeof(out));
    MUST(n >= -1 && n <= TRACKER_URL_MAX);
    if (n < 0)
        return;
    for (int i = 0; i < n; i++)
        MUST((uint8_t) out[i] > 0x20 && (uint8_t) out[i] < 0x7f);

    for (unsigned macro = 0; macro < TRACKER_MACRO_COUNT; macro++) {
        struct tracker_str name = tracker_template_parameter(compiled, len, macro);

        MUST(name.len == 0 || ((const uint8_t *) name.data > compiled + 4
                               && (const uint8_t *) name.data + name.len < compiled + len));
    }

    /* The first part's literal holds scheme and authority: the expanded URL leads to the same host. */
    host = tracker_url_host((struct tracker_str){ (const char *) compiled + 4,
                                                  compiled[0] | (size_t) compiled[1] << 8 });
    MUST(host.len > 0 && tracker_str_eq(host, tracker_url_host((struct tracker_str){ out, (size_t) n })));

    exact = malloc((size_t) n);
    MUST(tracker_template_expand(compiled, len, values, exact, (size_t) n) == n);
    MUST(tracker_template_expand(compiled, len, values, exact, (size_t) n - 1) == -1);
    free(exact);
}

static void
compile(struct tracker_str text, unsigned flags, struct tracker_str value)
{
    static uint8_t out[TRACKER_TEMPLATE_MAX];
    const char *error;
    uint8_t *exact;
    int len = tracker_template_compile(text, flags, out, sizeof(out), &error);

    MUST((len < 0) == (error != NULL));
    if (len < 0)
        return;
    exact = malloc((size_t) len);
    MUST(tracker_template_compile(text, flags, exact, (size_t) len, &error) == len);
    MUST(tracker_template_compile(text, flags, exact, (size_t) len - 1, &error) == -1);
    memcpy(exact, out, (size_t) len);
    MUST(tracker_template_check(exact, (size_t) len));
    if (flags & TRACKER_TEMPLATE_APPEND_CLICK_ID)
        MUST(tracker_template_macros(exact, (size_t) len) & 1u << TRACKER_MACRO_CLICK_ID);
    expand(exact, (size_t) len, value);
    free(exact);
}

static void
query(struct tracker_str text)
{
    struct tracker_str rest = text, name, value;
    size_t seen = 0;

    while (tracker_query_next(&rest, &name, &value)) {
        char *out = malloc(value.len > 0 ? value.len : 1);

        MUST(name.data >= text.data && value.data + value.len <= text.data + text.len);
        MUST(tracker_url_decode(value, out, value.len) <= value.len);
        MUST(tracker_url_decode(value, out, value.len / 2) <= value.len / 2);
        seen += name.len + value.len;
        free(out);
    }
    MUST(seen <= text.len && rest.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    struct tracker_str text = { (const char *) data, nul != NULL ? (size_t) (nul - data) : size };
    struct tracker_str value = TRACKER_STR("a b%4");

    if (nul != NULL)
        value = (struct tracker_str){ (const char *) nul + 1, size - text.len - 1 };
    compile(text, 0, value);
    compile(text, TRACKER_TEMPLATE_APPEND_CLICK_ID, value);
    query(text);

    tracker_template_macros(data, size);
    if (tracker_template_check(data, size))
        expand(data, size, TRACKER_STR("@evil.example/%0d\r\n"));
    return 0;
}
