/*
 * tracker_event_internal.h - events as tables of fields, for tracker_event.c and whoever has events of its own.
 *
 * A table's index is the field's tag: persisted, append only.
 */
#ifndef TRACKER_EVENT_INTERNAL_H
#define TRACKER_EVENT_INTERNAL_H

#include "tracker_lead.h"

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

/* The payload's length, or 0: it does not fit cap, or a string is none of its kind. */
size_t tracker_fields_encode(const struct schema *schema, const void *object, uint8_t *out, size_t cap);
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

#endif
