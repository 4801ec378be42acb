/*
 * fuzz_lead.c - any bytes as a lead's payload, as an API call's, and as pairs.
 *
 * What decodes encodes again, no longer than it was, and decodes to the same; what does not decode leaves a zeroed
 * event behind.  Pairs that pass the check are written again byte by byte, and backwards they have the same content.
 */
#include <stdlib.h>

#include "tracker_lead.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
lead(const uint8_t *data, size_t size)
{
    static const struct tracker_lead empty;
    static uint8_t once[TRACKER_EVENT_MAX], twice[TRACKER_EVENT_MAX];
    struct tracker_lead event;
    size_t len;

    if (!tracker_lead_decode(data, size, &event)) {
        MUST(memcmp(&event, &empty, sizeof(empty)) == 0);
        return;
    }
    MUST(event.id.len == TRACKER_LEAD_ID_LEN && tracker_pairs_check(event.fields));
    MUST((event.api_user == 0) != (event.form == 0));
    len = tracker_lead_encode(&event, once, sizeof(once));
    MUST(len > 0 && len <= size);
    MUST(tracker_lead_encode(&event, twice, len - 1) == 0);
    MUST(tracker_lead_decode(once, len, &event));
    MUST(tracker_lead_encode(&event, twice, sizeof(twice)) == len && memcmp(once, twice, len) == 0);
}

static void
api_call(const uint8_t *data, size_t size)
{
    static const struct tracker_api_call empty;
    static uint8_t once[TRACKER_EVENT_MAX], twice[TRACKER_EVENT_MAX];
    struct tracker_api_call event;
    size_t len;

    if (!tracker_api_call_decode(data, size, &event)) {
        MUST(memcmp(&event, &empty, sizeof(empty)) == 0);
        return;
    }
    MUST(event.count != 0 && event.status != 0 && event.code.len != 0);
    len = tracker_api_call_encode(&event, once, sizeof(once));
    MUST(len > 0 && len <= size);
    MUST(tracker_api_call_encode(&event, twice, len - 1) == 0);
    MUST(tracker_api_call_decode(once, len, &event));
    MUST(tracker_api_call_encode(&event, twice, sizeof(twice)) == len && memcmp(once, twice, len) == 0);
}

static void
pairs(const uint8_t *data, size_t size)
{
    static uint8_t again[TRACKER_LEAD_FIELDS_MAX], backwards[TRACKER_LEAD_FIELDS_MAX];
    struct tracker_str all = { (const char *) data, size }, rest = all, name, value, first;
    uint8_t content[16], other[16];
    size_t len = 0;
    bool fine = tracker_pairs_check(all);

    tracker_lead_content(all, content);
    for (int more; (more = tracker_pairs_next(&rest, &name, &value)) != 0;) {
        if (more < 0) {
            MUST(!fine);
            return;
        }
        MUST(tracker_pairs_find(all, name, &first));
        if (!fine)
            continue;
        MUST(tracker_text_valid(value));
        len = tracker_pairs_add(again, len, sizeof(again), name, value);
        MUST(len > 0);
        MUST(tracker_pairs_add(backwards + sizeof(backwards) - len, 0, len, name, value) > 0);
    }
    if (!fine)
        return;
    MUST(len == size && (len == 0 || memcmp(again, data, len) == 0));
    tracker_lead_content((struct tracker_str){ (const char *) backwards + sizeof(backwards) - len, len }, other);
    MUST(memcmp(content, other, sizeof(content)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lead(data, size);
    api_call(data, size);
    pairs(data, size);
    return 0;
}
