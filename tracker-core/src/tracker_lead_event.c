/*
 * tracker_lead_event.c - the payloads of leads and of the API log's lines.
 */
#include "tracker_event_internal.h"

#define LEAD_UINT(member) UINT(struct tracker_lead, member)
#define LEAD_TEXT(member) STRING(FIELD_TEXT, struct tracker_lead, member)

static const struct field lead_fields[] = {
    [1] = STRING(FIELD_ID, struct tracker_lead, id),
    [2] = LEAD_UINT(kind),
    [3] = LEAD_UINT(auth),
    [4] = LEAD_UINT(ip_form),
    [5] = LEAD_UINT(program),
    [6] = LEAD_UINT(api_user),
    [7] = LEAD_UINT(form),
    [8] = LEAD_UINT(affiliate),
    [9] = LEAD_UINT(flags),
    [10] = STRING(FIELD_ID, struct tracker_lead, content),
    [11] = STRING(FIELD_KEY, struct tracker_lead, key),
    [12] = STRING(FIELD_CLICK_ID, struct tracker_lead, click_id),
    [13] = STRING(FIELD_CLICK_ID, struct tracker_lead, cookie_first),
    [14] = STRING(FIELD_CLICK_ID, struct tracker_lead, cookie_last),
    [15] = STRING(FIELD_IP, struct tracker_lead, ip),
    [16] = LEAD_TEXT(user_agent),
    [17] = LEAD_TEXT(referrer),
    [18] = LEAD_TEXT(language),
    [19] = STRING(FIELD_PAIRS, struct tracker_lead, fields),
};

#define CALL_UINT(member) UINT(struct tracker_api_call, member)
#define CALL_TEXT(member) STRING(FIELD_TEXT, struct tracker_api_call, member)

static const struct field api_call_fields[] = {
    [1] = CALL_UINT(api_user),
    [2] = CALL_UINT(program),
    [3] = CALL_UINT(count),
    [4] = CALL_UINT(status),
    [5] = CALL_UINT(items),
    [6] = CALL_UINT(ip_form),
    [7] = STRING(FIELD_NAME, struct tracker_api_call, code),
    [8] = CALL_TEXT(method),
    [9] = CALL_TEXT(path),
    [10] = CALL_TEXT(key_prefix),
    [11] = STRING(FIELD_IP, struct tracker_api_call, ip),
    [12] = CALL_TEXT(user_agent),
    [13] = STRING(FIELD_ID, struct tracker_api_call, lead),
};

static const struct schema lead_schema = SCHEMA(lead_fields);
static const struct schema api_call_schema = SCHEMA(api_call_fields);

_Static_assert(TRACKER_EVENT_MAX >= (TRACKER_LEAD_FIELDS_MAX + 3) + 3 * (TRACKER_FIELD_MAX + 3)
                                        + (TRACKER_LEAD_KEY_MAX + 3) + 3 * (TRACKER_CLICK_ID_LEN + 2)
                                        + 2 * (TRACKER_LEAD_ID_LEN + 2) + (16 + 2) + 8 * (4 + 2),
               "the largest lead fits");

static bool lead_sound(const struct tracker_lead *lead);
static bool api_call_sound(const struct tracker_api_call *call);

size_t
tracker_lead_encode(const struct tracker_lead *lead, uint8_t *out, size_t cap)
{
    return lead_sound(lead) ? fields_encode(&lead_schema, lead, out, cap) : 0;
}

bool
tracker_lead_decode(const uint8_t *payload, size_t len, struct tracker_lead *out)
{
    memset(out, 0, sizeof(*out));
    if (tracker_fields_decode(&lead_schema, payload, len, out) && lead_sound(out))
        return true;
    memset(out, 0, sizeof(*out));
    return false;
}

size_t
tracker_api_call_encode(const struct tracker_api_call *call, uint8_t *out, size_t cap)
{
    return api_call_sound(call) ? fields_encode(&api_call_schema, call, out, cap) : 0;
}

bool
tracker_api_call_decode(const uint8_t *payload, size_t len, struct tracker_api_call *out)
{
    memset(out, 0, sizeof(*out));
    if (tracker_fields_decode(&api_call_schema, payload, len, out) && api_call_sound(out))
        return true;
    memset(out, 0, sizeof(*out));
    return false;
}

/* A lead without its id or content cannot be told from another; one sender of its kind sent it. */
static bool
lead_sound(const struct tracker_lead *lead)
{
    if (lead->id.len == 0 || lead->content.len == 0)
        return false;
    switch ((enum tracker_lead_kind) lead->kind) {
    case TRACKER_LEAD_API:
        return lead->api_user != 0 && lead->form == 0;
    case TRACKER_LEAD_FORM:
        return lead->form != 0 && lead->api_user == 0;
    }
    return false;
}

static bool
api_call_sound(const struct tracker_api_call *call)
{
    return call->count != 0 && call->status != 0 && call->code.len != 0;
}
