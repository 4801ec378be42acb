/*
 * fuzz_event.c - any bytes as the payload of a click and of a conversion.
 *
 * What decodes encodes again, no longer than it was, and decodes to the same; what does not decode
 * leaves a zeroed event behind.
 */
#include <stdlib.h>

#include "tracker_event.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
click(const uint8_t *data, size_t size)
{
    static const struct tracker_click empty;
    static uint8_t once[TRACKER_EVENT_MAX], twice[TRACKER_EVENT_MAX];
    struct tracker_click event;
    size_t len;

    if (!tracker_click_decode(data, size, &event)) {
        MUST(memcmp(&event, &empty, sizeof(empty)) == 0);
        return;
    }
    len = tracker_click_encode(&event, once, sizeof(once));
    MUST(len <= size);
    MUST(len == 0 || tracker_click_encode(&event, twice, len - 1) == 0);
    MUST(tracker_click_decode(once, len, &event));
    MUST(tracker_click_encode(&event, twice, sizeof(twice)) == len && memcmp(once, twice, len) == 0);
}

static void
conversion(const uint8_t *data, size_t size)
{
    static const struct tracker_conversion empty;
    static uint8_t once[TRACKER_EVENT_MAX], twice[TRACKER_EVENT_MAX];
    struct tracker_conversion event;
    size_t len;

    if (!tracker_conversion_decode(data, size, &event)) {
        MUST(memcmp(&event, &empty, sizeof(empty)) == 0);
        return;
    }
    MUST(event.has_amount <= 1 && event.amount.minor <= TRACKER_MINOR_MAX
         && event.amount.minor >= -TRACKER_MINOR_MAX);
    len = tracker_conversion_encode(&event, once, sizeof(once));
    MUST(len <= size);
    MUST(len == 0 || tracker_conversion_encode(&event, twice, len - 1) == 0);
    MUST(tracker_conversion_decode(once, len, &event));
    MUST(tracker_conversion_encode(&event, twice, sizeof(twice)) == len && memcmp(once, twice, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    click(data, size);
    conversion(data, size);
    return 0;
}
