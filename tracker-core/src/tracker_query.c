/*
 * tracker_query.c - the query of a URL in the making.
 */
#include "tracker_query.h"

#include <strings.h>

#include "tracker_url.h"
#include "tracker_url_class.h"

/* Where a URL's query stands: [start, end), without '?' and '#'; start == end when there is none. */
struct place {
    size_t start, end;
    bool   there; /* a '?' is */
};

static struct place query_place(const char *url, size_t len);
static size_t name_drop(char *url, struct place *place, size_t len, struct tracker_str name);
static bool name_there(struct tracker_str query, struct tracker_str name);
static bool name_is(struct tracker_str raw, struct tracker_str name);
static char *separator_put(char *at, const char *url, const struct place *place);
static char *pair_put(char *at, const char *end, struct tracker_str name, struct tracker_str value);
static char *text_put(char *at, const char *end, struct tracker_str raw);
static char *byte_put(char *at, const char *end, uint8_t c);

size_t
tracker_query_set(char *url, size_t len, size_t cap, struct tracker_str name, struct tracker_str value)
{
    char        *at;
    size_t       tail, room = 2 + name.len + 3 * value.len; /* "?", "=" */
    struct place place = query_place(url, len);

    if (len > cap || room > cap - len)
        return 0;
    len = name_drop(url, &place, len, name);

    tail = len - place.end;
    memmove(url + cap - tail, url + place.end, tail);
    at = separator_put(url + place.end, url, &place);
    memcpy(at, name.data, name.len);
    at += name.len;
    *at++ = '=';
    for (size_t i = 0; i < value.len; i++)
        at = byte_put(at, url + cap - tail, (uint8_t) value.data[i]);
    memmove(at, url + cap - tail, tail);
    return (size_t) (at - url) + tail;
}

size_t
tracker_query_pass(char *url, size_t len, size_t cap, struct tracker_str query, tracker_query_keep *keep, void *data)
{
    char               decoded[TRACKER_PASS_NAME_MAX + 1], *at, *next, *end;
    size_t             tail;
    unsigned           passed = 0;
    struct place       place = query_place(url, len);
    struct tracker_str own = { url + place.start, place.end - place.start }, name, value, plain;

    tail = len - place.end;
    end = url + cap - tail;
    memmove(end, url + place.end, tail);
    at = url + place.end;

    while (passed < TRACKER_PASS_MAX && tracker_query_next(&query, &name, &value)) {
        plain = (struct tracker_str){ decoded, tracker_url_decode(name, decoded, sizeof(decoded)) };
        if (plain.len == 0 || plain.len > TRACKER_PASS_NAME_MAX || name_there(own, plain) || !keep(data, plain))
            continue;
        if (end == at) /* the separator needs a byte */
            break;
        next = separator_put(at, url, &place);
        next = pair_put(next, end, name, value);
        if (next == NULL)
            break;
        at = next;
        place = (struct place){ place.start, (size_t) (at - url), true };
        passed++;
    }
    memmove(at, end, tail);
    return (size_t) (at - url) + tail;
}

static struct place
query_place(const char *url, size_t len)
{
    const char  *hash = memchr(url, '#', len), *mark;
    struct place place = { .end = hash != NULL ? (size_t) (hash - url) : len };

    mark = memchr(url, '?', place.end);
    place.there = mark != NULL;
    place.start = mark != NULL ? (size_t) (mark - url) + 1 : place.end;
    return place;
}

/* Takes all parameters of that name out of the query; the new length of the URL. */
static size_t
name_drop(char *url, struct place *place, size_t len, struct tracker_str name)
{
    size_t at = place->start, next, pair;

    while (at < place->end) {
        const char *amp = memchr(url + at, '&', place->end - at);

        pair = amp != NULL ? (size_t) (amp - (url + at)) : place->end - at;
        next = at + pair + (amp != NULL);

        const char *equals = memchr(url + at, '=', pair);
        struct tracker_str raw = { url + at, equals != NULL ? (size_t) (equals - (url + at)) : pair };
        if (!name_is(raw, name)) {
            at = next;
            continue;
        }
        memmove(url + at, url + next, len - next);
        len -= next - at;
        place->end -= next - at;
    }
    return len;
}

static bool
name_there(struct tracker_str query, struct tracker_str name)
{
    struct tracker_str raw, value;

    while (tracker_query_next(&query, &raw, &value))
        if (name_is(raw, name))
            return true;
    return false;
}

/* Whether a name as it stands in a query means this one. */
static bool
name_is(struct tracker_str raw, struct tracker_str name)
{
    const char *p = raw.data, *end = raw.data + raw.len;
    size_t      i;

    for (i = 0; p < end && i < name.len; i++) {
        char c = *p == '+' ? ' ' : *p;

        if (escape_at(p, end)) {
            c = (char) (hex_value((uint8_t) p[1]) << 4 | hex_value((uint8_t) p[2]));
            p += 2;
        }
        p++;
        if (strncasecmp(&c, name.data + i, 1) != 0)
            return false;
    }
    return p == end && i == name.len;
}

/* What stands between what the URL has and one more parameter; at most one byte. */
static char *
separator_put(char *at, const char *url, const struct place *place)
{
    if (!place->there)
        *at++ = '?';
    else if (place->end > place->start && url[place->end - 1] != '&')
        *at++ = '&';
    return at;
}

static char *
pair_put(char *at, const char *end, struct tracker_str name, struct tracker_str value)
{
    at = text_put(at, end, name);
    if (at == NULL || value.data == name.data + name.len) /* no '=' there, none here */
        return at;
    if (at == end)
        return NULL;
    *at++ = '=';
    return text_put(at, end, value);
}

/* A raw name or value in the one spelling: decoded, and encoded again. */
static char *
text_put(char *at, const char *end, struct tracker_str raw)
{
    const char *p = raw.data, *stop = raw.data + raw.len;

    while (p < stop && at != NULL) {
        if (escape_at(p, stop)) {
            at = byte_put(at, end, (uint8_t) (hex_value((uint8_t) p[1]) << 4 | hex_value((uint8_t) p[2])));
            p += 3;
        } else {
            at = byte_put(at, end, *p == '+' ? ' ' : (uint8_t) *p);
            p++;
        }
    }
    return at;
}

/* NULL: no room. */
static char *
byte_put(char *at, const char *end, uint8_t c)
{
    static const char digits[16] = "0123456789ABCDEF";

    if ((class_of[c] & UNRESERVED) != 0) {
        if (at == end)
            return NULL;
        *at++ = (char) c;
        return at;
    }
    if (end - at < 3)
        return NULL;
    *at++ = '%';
    *at++ = digits[c >> 4];
    *at++ = digits[c & 15];
    return at;
}
