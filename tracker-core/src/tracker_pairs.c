/*
 * tracker_pairs.c - names and values one after the other, and the hash that their order does not change.
 */
#include "tracker_event_internal.h"

#include <sodium.h>
#include <stdlib.h>

#define CONTENT_LEN 16u

static size_t length_size(size_t len);
static uint8_t *text_put(uint8_t *at, struct tracker_str text);
static bool name_valid(struct tracker_str name);
static size_t character(const unsigned char *p, size_t left);
static int bytes_order(const void *a, const void *b);

size_t
tracker_pairs_add(uint8_t *pairs, size_t len, size_t cap, struct tracker_str name, struct tracker_str value)
{
    size_t   room = cap > len ? cap - len : 0, header = length_size(name.len) + length_size(value.len);
    uint8_t *at = pairs + len;

    /* each alone first: their sum must not wrap */
    if (name.len > room || value.len > room || header + name.len + value.len > room
        || length_size(name.len) > TRACKER_LENGTH_BYTES_MAX || length_size(value.len) > TRACKER_LENGTH_BYTES_MAX)
        return 0;
    at = text_put(text_put(at, name), value);
    return (size_t) (at - pairs);
}

int
tracker_pairs_next(struct tracker_str *pairs, struct tracker_str *name, struct tracker_str *value)
{
    const uint8_t *at = (const uint8_t *) pairs->data, *end;
    struct tracker_str *parts[2] = { name, value };

    if (pairs->len == 0)
        return 0;
    end = at + pairs->len;
    for (int i = 0; i < 2; i++) {
        size_t len;

        if (!tracker_length_take(&at, end, &len))
            return -1;
        *parts[i] = (struct tracker_str){ (const char *) at, len };
        at += len;
    }
    *pairs = (struct tracker_str){ (const char *) at, (size_t) (end - at) };
    return 1;
}

bool
tracker_pairs_find(struct tracker_str pairs, struct tracker_str name, struct tracker_str *value)
{
    struct tracker_str other, found;

    while (tracker_pairs_next(&pairs, &other, &found) == 1) {
        if (tracker_str_eq(other, name)) {
            *value = found;
            return true;
        }
    }
    return false;
}

bool
tracker_pairs_check(struct tracker_str pairs)
{
    struct tracker_str name, value;
    int                more;

    if (pairs.len > TRACKER_LEAD_FIELDS_MAX)
        return false;
    for (unsigned count = 0; (more = tracker_pairs_next(&pairs, &name, &value)) == 1; count++) {
        if (count == TRACKER_LEAD_PAIRS_MAX || !name_valid(name) || value.len > TRACKER_LEAD_VALUE_MAX
            || !tracker_text_valid(value))
            return false;
    }
    return more == 0;
}

bool
tracker_text_valid(struct tracker_str text)
{
    const unsigned char *p = (const unsigned char *) text.data;

    for (size_t i = 0; i < text.len;) {
        size_t taken = character(p + i, text.len - i);

        if (taken == 0)
            return false;
        i += taken;
    }
    return true;
}

/* A pair's own bytes are what is sorted: no two lists of pairs run together into the same. */
void
tracker_lead_content(struct tracker_str pairs, uint8_t out[16])
{
    struct tracker_str       sorted[TRACKER_LEAD_PAIRS_MAX], rest = pairs, name, value;
    crypto_generichash_state state;
    size_t                   count = 0;

    while (count < TRACKER_LEAD_PAIRS_MAX && tracker_pairs_next(&rest, &name, &value) == 1) {
        sorted[count++] = (struct tracker_str){ pairs.data, pairs.len - rest.len };
        pairs = rest;
    }
    qsort(sorted, count, sizeof(sorted[0]), bytes_order);

    crypto_generichash_init(&state, NULL, 0, CONTENT_LEN);
    for (size_t i = 0; i < count; i++)
        crypto_generichash_update(&state, (const uint8_t *) sorted[i].data, sorted[i].len);
    if (rest.len > 0) /* past the bounds, or no pairs: as it is */
        crypto_generichash_update(&state, (const uint8_t *) rest.data, rest.len);
    crypto_generichash_final(&state, out, CONTENT_LEN);
}

/* Bytes of the varint. */
static size_t
length_size(size_t len)
{
    size_t size = 1;

    for (; len >= 128; len >>= 7)
        size++;
    return size;
}

static uint8_t *
text_put(uint8_t *at, struct tracker_str text)
{
    size_t len = text.len;

    for (; len >= 128; len >>= 7)
        *at++ = (uint8_t) (len | 0x80);
    *at++ = (uint8_t) len;
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    return at + text.len;
}

static bool
name_valid(struct tracker_str name)
{
    if (name.len == 0 || name.len > TRACKER_LEAD_NAME_MAX || name.data[0] < 'a' || name.data[0] > 'z')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.data[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
            return false;
    }
    return true;
}

/* Bytes of the character at p (Unicode 15, table 3-7), or 0: none, or a control character but \n and \t. */
static size_t
character(const unsigned char *p, size_t left)
{
    unsigned char least = 0x80, most = 0xbf;
    size_t        len;

    if (p[0] < 0x80)
        return (p[0] >= 0x20 && p[0] != 0x7f) || p[0] == '\n' || p[0] == '\t';
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    switch (p[0]) {
    case 0xc2: /* U+0080 to U+009F are control characters */
        least = 0xa0;
        break;
    case 0xe0:
        least = 0xa0;
        break;
    case 0xed: /* no surrogates */
        most = 0x9f;
        break;
    case 0xf0:
        least = 0x90;
        break;
    case 0xf4:
        most = 0x8f;
    }
    if (left < len || p[1] < least || p[1] > most)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

static int
bytes_order(const void *a, const void *b)
{
    const struct tracker_str *x = a, *y = b;
    int                       order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

    if (order != 0)
        return order;
    return x->len < y->len ? -1 : x->len > y->len;
}
