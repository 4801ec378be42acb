/*
 * fuzz_click_id.c - any bytes as a click id, as a Cookie header, and as the fields of an id to encode.
 *
 * A fuzzer cannot forge a MAC, so whatever decodes must be, byte for byte, what encoding gives.
 */
#include <stdlib.h>

#include "tracker_cookie.h"

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tracker_keys keys;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *error;
    int line;

    MUST(tracker_init() == 0);
    MUST(tracker_keys_parse(&keys, TRACKER_STR("3 current " HEX_A "\n15 accepted " HEX_B "\n"), &error, &line)
         == 0);
    return 0;
}

static void
must_be_ours(struct tracker_str text, const struct tracker_click_id *id)
{
    char again[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(&keys, id, again);
    MUST(text.len == sizeof(again) && memcmp(text.data, again, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracker_str text = { (const char *) data, size };
    struct tracker_click_id id = { 0 }, back;
    struct tracker_cookie cookie;
    uint32_t victim;
    char encoded[TRACKER_CLICK_ID_LEN];

    if (tracker_click_id_decode(&keys, text, &back) == TRACKER_CLICK_ID_OK)
        must_be_ours(text, &back);

    if (tracker_cookie_read(&keys, text, 7, &cookie) == TRACKER_COOKIE_OK) {
        must_be_ours(cookie.first_text, &cookie.first);
        must_be_ours(cookie.last_text, &cookie.last);
    }
    if (tracker_cookie_evict(text, 7, &victim))
        MUST(victim != 7);

    memcpy(&id.time_ms, data, size < 8 ? size : 8);
    memcpy(&id.journal, data, size < 8 ? size : 8);
    memcpy(&id.sequence, data, size < 4 ? size : 4);
    id.link = ~id.sequence;
    id.time_ms &= (UINT64_C(1) << 42) - 1;
    id.journal &= (UINT64_C(1) << 48) - 1;
    id.key = size & 1 ? 3 : 15;
    id.recorded = (size & 2) != 0;
    tracker_click_id_encode(&keys, &id, encoded);
    MUST(tracker_click_id_decode(&keys, (struct tracker_str){ encoded, sizeof(encoded) }, &back)
         == TRACKER_CLICK_ID_OK);
    MUST(back.time_ms == id.time_ms && back.journal == id.journal && back.sequence == id.sequence
         && back.link == id.link && back.key == id.key && back.recorded == id.recorded);
    return 0;
}
