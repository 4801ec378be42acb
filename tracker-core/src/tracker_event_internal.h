/*
 * tracker_event_internal.h - events as tables of fields, for tracker_event.c and whoever has events of its own.
 *
 * A table's index is the field's tag: persisted, append only.
 */
#ifndef TRACKER_EVENT_INTERNAL_H
#define TRACKER_EVENT_INTERNAL_H

#include "tracker_lead.h"

#include <endian.h>

enum field_kind {
    FIELD_NONE = 0, /* a tag that was never given out */
    FIELD_UINT,     /* of `width` bytes in the struct */
    FIELD_TEXT,     /* cut at TRACKER_FIELD_MAX */
    FIELD_PLACE,    /* cut at TRACKER_PLACE_MAX */
    FIELD_IP,       /* 4 or 16 bytes */
    FIELD_CLICK_ID, /* TRACKER_CLICK_ID_LEN bytes */
    FIELD_NAME,     /* [a-z0-9_]{1,32} */
    FIELD_MONEY,    /* struct tracker_conversion's amount, present when has_amount */
    FIELD_ID,       /* TRACKER_LEAD_ID_LEN bytes */
    FIELD_KEY,      /* printable ASCII, at most TRACKER_LEAD_KEY_MAX */
    FIELD_PAIRS     /* what tracker_pairs_check takes */
};

struct field {
    uint8_t  kind;  /* enum field_kind */
    uint8_t  width; /* FIELD_UINT only: 1, 4 or 8 */
    uint16_t offset;
};

struct schema {
    const struct field *fields;
    unsigned            count;
};

#define UINT(type, member) { FIELD_UINT, sizeof(((type *) 0)->member), offsetof(type, member) }
#define STRING(kind, type, member) { kind, 0, offsetof(type, member) }
#define SCHEMA(table) { table, sizeof(table) / sizeof((table)[0]) }

/* Into a zeroed object.  False: a bad payload; the object may be half-filled. */
bool tracker_fields_decode(const struct schema *schema, const uint8_t *payload, size_t len, void *object);

#define TRACKER_LENGTH_BYTES_MAX 3 /* of a varint we accept: up to 2^21 - 1, past any payload */

/* A varint, in its shortest form, of no more than what is left behind it. */
static inline bool
tracker_length_take(const uint8_t **at, const uint8_t *end, size_t *len)
{
    size_t value = 0;

    for (int i = 0; i < TRACKER_LENGTH_BYTES_MAX && *at < end; i++) {
        uint8_t byte = *(*at)++;

        value |= (size_t) (byte & 0x7f) << 7 * i;
        if ((byte & 0x80) == 0) {
            *len = value;
            return (i == 0 || byte != 0) && value <= (size_t) (end - *at);
        }
    }
    return false;
}

/* ---- encoding: here, so that each table's encoder is compiled for it ---- */

#define EVENT_NAME_MAX 32u

/* As field_put, of a conversion's amount if it has one. */
uint8_t *tracker_event_money_put(uint8_t *at, uint8_t *end, unsigned tag, const struct tracker_conversion *conversion);

static inline __attribute__((always_inline)) uint64_t
uint_load(const void *at, unsigned width)
{
    uint32_t narrow;
    uint64_t wide;

    switch (width) {
    case 1:
        return *(const uint8_t *) at;
    case 4:
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    default: /* 8 */
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
}

static inline bool
bytes_between(struct tracker_str s, unsigned char least, unsigned char most)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char) s.data[i];

        if (c < least || c > most)
            return false;
    }
    return true;
}

/* s is not empty. */
static inline __attribute__((always_inline)) bool
string_valid(enum field_kind kind, struct tracker_str s)
{
    switch (kind) {
    case FIELD_TEXT:
        return s.len <= TRACKER_FIELD_MAX;
    case FIELD_PLACE:
        return s.len <= TRACKER_PLACE_MAX;
    case FIELD_IP:
        return s.len == 4 || s.len == 16;
    case FIELD_CLICK_ID:
        return s.len == TRACKER_CLICK_ID_LEN;
    case FIELD_NAME:
        for (size_t i = 0; i < s.len; i++) {
            char c = s.data[i];

            if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
                return false;
        }
        return s.len <= EVENT_NAME_MAX;
    case FIELD_ID:
        return s.len == TRACKER_LEAD_ID_LEN;
    case FIELD_KEY:
        return s.len <= TRACKER_LEAD_KEY_MAX && bytes_between(s, ' ', '~');
    case FIELD_PAIRS:
        return tracker_pairs_check(s);
    case FIELD_NONE:
    case FIELD_UINT:
    case FIELD_MONEY:
        break;
    }
    return false;
}

/* Appends tag, length and bytes: where the next field goes, or NULL: they did not fit. */
static inline uint8_t *
field_put(uint8_t *at, uint8_t *end, unsigned tag, const void *bytes, size_t len)
{
    size_t header = len < 128 ? 2 : 3;

    if ((size_t) (end - at) < header + len)
        return NULL;
    at[0] = (uint8_t) tag;
    if (len < 128) {
        at[1] = (uint8_t) len;
    } else {
        at[1] = (uint8_t) (len | 0x80);
        at[2] = (uint8_t) (len >> 7);
    }
    memcpy(at + header, bytes, len);
    return at + header + len;
}

/* The same; number is not 0, and seldom has eight bytes: with room for all of them they are stored at once. */
static inline __attribute__((always_inline)) uint8_t *
uint_put(uint8_t *at, uint8_t *end, unsigned tag, uint64_t number)
{
    uint64_t little = htole64(number);
    size_t   len = 8 - (size_t) __builtin_clzll(number) / 8;

    if (end - at < 10)
        return field_put(at, end, tag, &little, len);
    at[0] = (uint8_t) tag;
    at[1] = (uint8_t) len;
    memcpy(at + 2, &little, 8);
    return at + 2 + len;
}

/*
 * Where the next field goes.  NULL: it did not fit, or it is a string that decode would refuse: a caller's
 * mistake, caught before it is persisted.
 */
static inline __attribute__((always_inline)) uint8_t *
field_encode(const struct field *field, unsigned tag, const void *object, uint8_t *at, uint8_t *end)
{
    const void        *member = (const char *) object + field->offset;
    struct tracker_str string;
    uint64_t           number;

    switch ((enum field_kind) field->kind) {
    case FIELD_NONE:
        break;
    case FIELD_UINT:
        number = uint_load(member, field->width);
        return number != 0 ? uint_put(at, end, tag, number) : at;
    case FIELD_TEXT:
    case FIELD_PLACE:
    case FIELD_IP:
    case FIELD_CLICK_ID:
    case FIELD_NAME:
    case FIELD_ID:
    case FIELD_KEY:
    case FIELD_PAIRS:
        memcpy(&string, member, sizeof(string));
        if (string.len == 0)
            return at;
        if (field->kind == FIELD_TEXT && string.len > TRACKER_FIELD_MAX)
            string.len = TRACKER_FIELD_MAX;
        if (field->kind == FIELD_PLACE && string.len > TRACKER_PLACE_MAX)
            string.len = TRACKER_PLACE_MAX;
        return string_valid(field->kind, string) ? field_put(at, end, tag, string.data, string.len) : NULL;
    case FIELD_MONEY:
        return tracker_event_money_put(at, end, tag, object);
    }
    return at;
}

/*
 * The payload's length, or 0: it does not fit cap, or a string is none of its kind.
 * Unrolled and inlined per schema, so that the tables are gone from the code and an empty field costs a test.
 */
static inline __attribute__((always_inline)) size_t
fields_encode(const struct schema *schema, const void *object, uint8_t *out, size_t cap)
{
    uint8_t *at = out, *end = out + (cap < TRACKER_EVENT_MAX ? cap : TRACKER_EVENT_MAX);

#pragma GCC unroll 64
    for (unsigned tag = 1; tag < schema->count; tag++) {
        at = field_encode(&schema->fields[tag], tag, object, at, end);
        if (at == NULL)
            return 0;
    }
    return (size_t) (at - out);
}

#endif
