/*
 * fact_text.c - UTF-8 repair and small JSON objects, without a look-up or an allocation a field.
 */
#include "service/fact_text.h"

#include <stdlib.h>
#include <string.h>

#include "tracker_lead.h"

#define CHUNK_BYTES ((size_t) 1 << 20)

struct fact_chunk {
    struct fact_chunk *next;
    size_t             size;
    char               bytes[];
};

void *
fact_arena_take(struct fact_arena *arena, size_t len)
{
    struct fact_chunk *chunk = arena->chunks;

    len = (len + 7) & ~(size_t) 7;
    if (chunk == NULL || chunk->size - arena->used < len) {
        size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
        chunk = malloc(sizeof(*chunk) + size);
        if (chunk == NULL) {
            arena->failed = true;
            return NULL;
        }
        chunk->size = size;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }

    void *at = chunk->bytes + arena->used;
    arena->used += len;
    return at;
}

/* The last piece turned out shorter; a piece that is not the last one stays as it is. */
static void
fact_arena_shrink(struct fact_arena *arena, const char *at, size_t len, size_t used)
{
    len = (len + 7) & ~(size_t) 7;
    used = (used + 7) & ~(size_t) 7;
    if (at + len == arena->chunks->bytes + arena->used)
        arena->used -= len - used;
}

void
fact_arena_reset(struct fact_arena *arena)
{
    while (arena->chunks != NULL && arena->chunks->next != NULL) {
        struct fact_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
    arena->failed = false;
}

void
fact_arena_free(struct fact_arena *arena)
{
    fact_arena_reset(arena);
    free(arena->chunks);
    arena->chunks = NULL;
}

/* ---- UTF-8 ---- */

/* Length of the well-formed sequence at p (Unicode 15, table 3-7), or 0. NUL counts as ill-formed. */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t        len;

    if (p[0] < 0x80)
        return p[0] != 0;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0; /* no longer forms than needed */
        else if (p[0] == 0xed)
            high = 0x9f; /* no surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        else if (p[0] == 0xf4)
            high = 0x8f; /* nothing past U+10FFFF */
    } else {
        return 0;
    }

    if (len > left || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    }
    return len;
}

/* Where the first ill-formed byte lies, or the length. */
static size_t
utf8_sound(struct tracker_str bytes)
{
    size_t i = 0;
    while (i < bytes.len) {
        size_t len = utf8_length((const unsigned char *) bytes.data + i, bytes.len - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

struct tracker_str
fact_text(struct fact_arena *arena, struct tracker_str bytes)
{
    if (bytes.len == 0)
        return TRACKER_STR_NONE;

    size_t sound = utf8_sound(bytes);
    if (sound == bytes.len)
        return bytes;

    char *out = fact_arena_take(arena, 3 * bytes.len);
    if (out == NULL)
        return TRACKER_STR_NONE;

    size_t used = 0;
    for (size_t i = 0; i < bytes.len;) {
        size_t len = utf8_length((const unsigned char *) bytes.data + i, bytes.len - i);
        memcpy(out + used, len > 0 ? bytes.data + i : "\xef\xbf\xbd", len > 0 ? len : 3);
        used += len > 0 ? len : 3;
        i += len > 0 ? len : 1;
    }
    return (struct tracker_str){ out, used };
}

/* ---- JSON ---- */

/* At most six bytes a byte. */
static char *
json_put(char *out, struct tracker_str text)
{
    static const char hex[] = "0123456789abcdef";

    *out++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char) text.data[i];
        if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char) c;
        } else if (c < 0x20) {
            memcpy(out, "\\u00", 4);
            out[4] = hex[c >> 4];
            out[5] = hex[c & 15];
            out += 6;
        } else {
            *out++ = (char) c;
        }
    }
    *out++ = '"';
    return out;
}

struct tracker_str
fact_object(struct fact_arena *arena, const struct fact_member *members, size_t count)
{
    size_t cap = 2;

    for (size_t i = 0; i < count; i++) {
        if (members[i].value.len > 0)
            cap += strlen(members[i].name) + 6 + 6 * 3 * members[i].value.len;
    }
    if (cap == 2)
        return TRACKER_STR_NONE;

    char *text = fact_arena_take(arena, cap);
    if (text == NULL)
        return TRACKER_STR_NONE;

    char *out = text;
    for (size_t i = 0; i < count; i++) {
        if (members[i].value.len == 0)
            continue;
        *out = out == text ? '{' : ',';
        out++;
        out = json_put(out, (struct tracker_str){ members[i].name, strlen(members[i].name) });
        *out++ = ':';
        out = json_put(out, fact_text(arena, members[i].value));
    }
    *out++ = '}';
    fact_arena_shrink(arena, text, cap, (size_t) (out - text));
    return (struct tracker_str){ text, (size_t) (out - text) };
}

/* ---- fields ---- */

static bool
same(struct tracker_str a, struct tracker_str b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The values of `name` in the pairs from its first coming on, one or an array. */
static char *
put_values(struct fact_arena *arena, char *out, struct tracker_str rest, struct tracker_str name,
           struct tracker_str value)
{
    struct tracker_str other;
    char              *begin = out;
    bool               many = false;

    *out++ = '[';
    out = json_put(out, fact_text(arena, value));
    while (tracker_pairs_next(&rest, &other, &value) > 0) {
        if (!same(other, name))
            continue;
        many = true;
        *out++ = ',';
        out = json_put(out, fact_text(arena, value));
    }
    if (many) {
        *out++ = ']';
        return out;
    }
    memmove(begin, begin + 1, (size_t) (out - begin) - 1);
    return out - 1;
}

static bool
came_before(struct tracker_str pairs, struct tracker_str name, const char *until)
{
    struct tracker_str other, value;

    while (tracker_pairs_next(&pairs, &other, &value) > 0 && other.data != until) {
        if (same(other, name))
            return true;
    }
    return false;
}

struct tracker_str
fact_fields(struct fact_arena *arena, struct tracker_str pairs)
{
    struct tracker_str rest = pairs, name, value;
    /* A pair has two bytes of lengths; each text two quotes, a byte before and one behind, and at most 18 bytes a byte. */
    size_t cap = 2 + 18 * pairs.len + 8;
    char  *text = fact_arena_take(arena, cap), *out = text;

    if (text == NULL)
        return TRACKER_STR_NONE;
    *out++ = '{';
    while (tracker_pairs_next(&rest, &name, &value) > 0) {
        if (came_before(pairs, name, name.data))
            continue;
        if (out != text + 1)
            *out++ = ',';
        out = json_put(out, name);
        *out++ = ':';
        out = put_values(arena, out, rest, name, value);
    }
    *out++ = '}';
    fact_arena_shrink(arena, text, cap, (size_t) (out - text));
    return (struct tracker_str){ text, (size_t) (out - text) };
}
