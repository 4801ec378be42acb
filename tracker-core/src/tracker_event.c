/*
 * tracker_event.c - events to payload bytes and back, driven by one table a type.
 *
 * A table's index is the field's tag: persisted, append only.  Encoding is on
 * the click path; it writes fields in tag order, so equal events are equal
 * bytes.  What encode writes, decode accepts: both ask the same checks.
 */
#include "tracker_event_internal.h"

#define CLICK_UINT(member) UINT(struct tracker_click, member)
#define CLICK_TEXT(member) STRING(FIELD_TEXT, struct tracker_click, member)

static const struct field click_fields[] = {
    [1] = CLICK_UINT(program),
    [2] = CLICK_UINT(campaign),
    [3] = CLICK_UINT(link),
    [4] = CLICK_UINT(affiliate),
    [5] = CLICK_UINT(flags),
    [6] = CLICK_UINT(key),
    [7] = CLICK_UINT(config_version),
    [8] = CLICK_UINT(previous_time_ms),
    [9] = STRING(FIELD_CLICK_ID, struct tracker_click, first_touch),
    [10] = STRING(FIELD_IP, struct tracker_click, ip),
    [11] = CLICK_TEXT(user_agent),
    [12] = CLICK_TEXT(referrer),
    [13] = CLICK_TEXT(language),
    [14] = CLICK_TEXT(ref_id),
    [15] = CLICK_TEXT(source),
    [16] = CLICK_TEXT(creative),
    [17] = CLICK_TEXT(cost),
    [18] = STRING(FIELD_PLACE, struct tracker_click, country),
    [19] = STRING(FIELD_PLACE, struct tracker_click, region),
    [20] = CLICK_TEXT(sub[0]),
    [21] = CLICK_TEXT(sub[1]),
    [22] = CLICK_TEXT(sub[2]),
    [23] = CLICK_TEXT(sub[3]),
    [24] = CLICK_TEXT(sub[4]),
    [25] = CLICK_TEXT(sub[5]),
    [26] = CLICK_TEXT(sub[6]),
    [27] = CLICK_TEXT(sub[7]),
    [28] = CLICK_TEXT(sub[8]),
    [29] = CLICK_TEXT(sub[9]),
    [30] = STRING(FIELD_PLACE, struct tracker_click, city),
    [31] = CLICK_UINT(asn),
    [32] = CLICK_UINT(device),
    [33] = CLICK_UINT(os),
    [34] = CLICK_UINT(browser),
    [35] = CLICK_UINT(rule),
    [36] = CLICK_UINT(target),
    [37] = CLICK_TEXT(deep),
    [38] = CLICK_UINT(ip_form),
};

#define CONVERSION_UINT(member) UINT(struct tracker_conversion, member)
#define CONVERSION_TEXT(member) STRING(FIELD_TEXT, struct tracker_conversion, member)

static const struct field conversion_fields[] = {
    [1] = CONVERSION_UINT(program),
    [2] = CONVERSION_UINT(api_user),
    [3] = CONVERSION_UINT(auth),
    [4] = CONVERSION_UINT(status),
    [5] = { FIELD_MONEY, 0, 0 },
    [6] = CONVERSION_UINT(event_time_ms),
    [7] = STRING(FIELD_CLICK_ID, struct tracker_conversion, click_id),
    [8] = STRING(FIELD_NAME, struct tracker_conversion, event),
    [9] = CONVERSION_TEXT(txid),
    [10] = STRING(FIELD_IP, struct tracker_conversion, ip),
    [11] = CONVERSION_TEXT(refund_id),
    [12] = CONVERSION_TEXT(coupon),
    [13] = CONVERSION_TEXT(customer),
    [14] = STRING(FIELD_CLICK_ID, struct tracker_conversion, cookie_first),
    [15] = STRING(FIELD_CLICK_ID, struct tracker_conversion, cookie_last),
    [16] = CONVERSION_TEXT(referrer),
    [20] = CONVERSION_TEXT(p[0]),
    [21] = CONVERSION_TEXT(p[1]),
    [22] = CONVERSION_TEXT(p[2]),
    [23] = CONVERSION_TEXT(p[3]),
    [24] = CONVERSION_TEXT(p[4]),
    [25] = CONVERSION_TEXT(p[5]),
    [26] = CONVERSION_TEXT(p[6]),
    [27] = CONVERSION_TEXT(p[7]),
    [28] = CONVERSION_TEXT(p[8]),
    [29] = CONVERSION_TEXT(p[9]),
};

static const struct schema click_schema = SCHEMA(click_fields);
static const struct schema conversion_schema = SCHEMA(conversion_fields);

_Static_assert(TRACKER_SUBS == 10 && TRACKER_CONVERSION_PS == 10, "the tables list them one by one");
_Static_assert(TRACKER_EVENT_MAX >= 20 * (TRACKER_FIELD_MAX + 3) + 20 * (TRACKER_PLACE_MAX + 3),
               "all fields at their longest fit: no event has more than twenty long ones");
_Static_assert(TRACKER_FIELD_MAX < 1 << 14, "field_put writes lengths of at most two bytes");
_Static_assert(TRACKER_LEAD_FIELDS_MAX < 1 << 14, "so are those of a lead's fields");

#define MONEY_CODE_LEN 3u

static bool field_store(const struct field *field, struct tracker_str bytes, void *object);
static bool money_store(struct tracker_str bytes, struct tracker_conversion *conversion);
static void uint_store(void *at, unsigned width, uint64_t value);
static bool uint_from_bytes(struct tracker_str bytes, unsigned width, uint64_t *value);

size_t
tracker_click_encode(const struct tracker_click *click, uint8_t *out, size_t cap)
{
    return fields_encode(&click_schema, click, out, cap);
}

size_t
tracker_conversion_encode(const struct tracker_conversion *conversion, uint8_t *out, size_t cap)
{
    return fields_encode(&conversion_schema, conversion, out, cap);
}

bool
tracker_click_decode(const uint8_t *payload, size_t len, struct tracker_click *out)
{
    memset(out, 0, sizeof(*out));
    if (tracker_fields_decode(&click_schema, payload, len, out))
        return true;
    memset(out, 0, sizeof(*out));
    return false;
}

bool
tracker_conversion_decode(const uint8_t *payload, size_t len, struct tracker_conversion *out)
{
    memset(out, 0, sizeof(*out));
    if (tracker_fields_decode(&conversion_schema, payload, len, out))
        return true;
    memset(out, 0, sizeof(*out));
    return false;
}

bool
tracker_fields_decode(const struct schema *schema, const uint8_t *payload, size_t len, void *object)
{
    const uint8_t *at = payload, *end;
    uint64_t       seen[4] = { 0 };

    if (len == 0 || len > TRACKER_EVENT_MAX)
        return len == 0; /* nothing but zeros and empty texts */
    end = payload + len;
    while (at < end) {
        unsigned tag = *at++;
        uint64_t bit = UINT64_C(1) << (tag & 63);
        size_t   field_len;
        struct tracker_str bytes;

        /* Tag 0 is never written, so that a run of zeros is damage and not a list of empty fields. */
        if (tag == 0 || (seen[tag >> 6] & bit) != 0 || !tracker_length_take(&at, end, &field_len))
            return false;
        seen[tag >> 6] |= bit;
        bytes = (struct tracker_str){ (const char *) at, field_len };
        if (tag < schema->count && !field_store(&schema->fields[tag], bytes, object))
            return false;
        at += field_len;
    }
    return true;
}

/* False: the bytes are nothing this field may hold. */
static bool
field_store(const struct field *field, struct tracker_str bytes, void *object)
{
    void    *member = (char *) object + field->offset;
    uint64_t number;

    switch ((enum field_kind) field->kind) {
    case FIELD_NONE:
        return true;
    case FIELD_UINT:
        if (!uint_from_bytes(bytes, field->width, &number))
            return false;
        uint_store(member, field->width, number);
        return true;
    case FIELD_TEXT:
    case FIELD_PLACE:
    case FIELD_IP:
    case FIELD_CLICK_ID:
    case FIELD_NAME:
    case FIELD_ID:
    case FIELD_KEY:
    case FIELD_PAIRS:
        if (bytes.len == 0)
            return true;
        if (!string_valid(field->kind, bytes))
            return false;
        memcpy(member, &bytes, sizeof(bytes));
        return true;
    case FIELD_MONEY:
        return money_store(bytes, object);
    }
    return false;
}

/* Three letters, then the minor units zigzag-coded.  Whether ISO 4217 knows them is not judged here. */
uint8_t *
tracker_event_money_put(uint8_t *at, uint8_t *end, unsigned tag, const struct tracker_conversion *conversion)
{
    int64_t  minor = conversion->amount.minor;
    uint64_t zigzag = htole64((uint64_t) minor << 1 ^ (minor < 0 ? UINT64_MAX : 0));
    uint8_t  bytes[MONEY_CODE_LEN + 8];
    struct tracker_conversion check;
    size_t   len;

    if (!conversion->has_amount)
        return at;
    memcpy(bytes, conversion->amount.currency, MONEY_CODE_LEN);
    memcpy(bytes + MONEY_CODE_LEN, &zigzag, 8);
    for (len = sizeof(bytes); len > MONEY_CODE_LEN && bytes[len - 1] == 0; len--)
        ;
    if (!money_store((struct tracker_str){ (const char *) bytes, len }, &check))
        return NULL;
    return field_put(at, end, tag, bytes, len);
}

static bool
money_store(struct tracker_str bytes, struct tracker_conversion *conversion)
{
    struct tracker_str number;
    uint64_t zigzag = 0;
    int64_t  minor;

    if (bytes.len < MONEY_CODE_LEN)
        return false;
    for (size_t i = 0; i < MONEY_CODE_LEN; i++)
        if (bytes.data[i] < 'A' || bytes.data[i] > 'Z')
            return false;
    number = (struct tracker_str){ bytes.data + MONEY_CODE_LEN, bytes.len - MONEY_CODE_LEN };
    if (number.len > 0 && !uint_from_bytes(number, 8, &zigzag))
        return false;
    minor = (int64_t) (zigzag >> 1 ^ (UINT64_C(0) - (zigzag & 1)));
    if (minor > TRACKER_MINOR_MAX || minor < -TRACKER_MINOR_MAX)
        return false;

    conversion->has_amount = 1;
    conversion->amount.minor = minor;
    memcpy(conversion->amount.currency, bytes.data, MONEY_CODE_LEN);
    conversion->amount.currency[MONEY_CODE_LEN] = '\0';
    return true;
}

/* value fits width: uint_from_bytes has seen to it. */
static void
uint_store(void *at, unsigned width, uint64_t value)
{
    uint32_t narrow = (uint32_t) value;

    switch (width) {
    case 1:
        *(uint8_t *) at = (uint8_t) value;
        break;
    case 4:
        memcpy(at, &narrow, sizeof(narrow));
        break;
    default: /* 8 */
        memcpy(at, &value, sizeof(value));
    }
}

/* False: empty, wider than the field, or not minimal. */
static bool
uint_from_bytes(struct tracker_str bytes, unsigned width, uint64_t *value)
{
    if (bytes.len == 0 || bytes.len > width || bytes.data[bytes.len - 1] == '\0')
        return false;
    *value = 0;
    for (size_t i = bytes.len; i > 0; i--)
        *value = *value << 8 | (uint8_t) bytes.data[i - 1];
    return true;
}
