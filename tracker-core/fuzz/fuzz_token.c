/*
 * fuzz_token.c - what comes back from browsers and from Redis: form tokens, passes, lead ids, verdicts.
 *
 * Input: what is to be signed (TAKEN bytes), a place and a byte for it, then a text as a stranger sends it.  What was
 * signed reads back as it was; with that byte at that place it does so only where the byte stood there before.  A
 * stranger's text, should the fuzzer have kept one of ours, is exactly what signing what it says gives.
 */
#include <stdlib.h>

#include "tracker_token.h"

#define KEY_TEXT "1 current 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define TAKEN    64u

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tracker_keys keys;

static uint32_t
number(const uint8_t *p)
{
    return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static void
form_token(const uint8_t *in, unsigned place, char byte, struct tracker_str stranger)
{
    uint64_t now_ms = (uint64_t) number(in) << 12 | in[4], shown;
    uint32_t form = number(in + 5);
    uint8_t nonce[TRACKER_NONCE_LEN];
    char text[TRACKER_FORM_TOKEN_LEN];
    struct tracker_str token = { text, sizeof(text) };

    tracker_form_token_make(&keys, form, now_ms, in + 9, text);
    MUST(tracker_form_token_read(&keys, form, now_ms, token, &shown, nonce));
    MUST(shown == now_ms && memcmp(nonce, in + 9, sizeof(nonce)) == 0);
    MUST(!tracker_form_token_read(&keys, form + 1, now_ms, token, &shown, nonce));
    MUST(!tracker_form_token_read(&keys, form, now_ms + TRACKER_FORM_TOKEN_LIFE_MS + 1, token, &shown, nonce));

    char was = text[place % sizeof(text)];
    text[place % sizeof(text)] = byte;
    MUST(tracker_form_token_read(&keys, form, now_ms, token, &shown, nonce) == (was == byte));
    text[place % sizeof(text)] = was;
    if (tracker_form_token_read(&keys, form, now_ms, stranger, &shown, nonce)) {
        tracker_form_token_make(&keys, form, shown, nonce, text);
        MUST(tracker_str_eq(stranger, token));
    }
}

static void
pass(const uint8_t *in, unsigned place, char byte, struct tracker_str stranger)
{
    struct tracker_pass made = { .use = in[0], .owner = number(in + 1), .expires_s = number(in + 5) }, read;
    enum tracker_pass_use use = (enum tracker_pass_use) made.use;
    char text[TRACKER_PASS_LEN];
    struct tracker_str token = { text, sizeof(text) };
    uint64_t now_s = made.expires_s > 0 ? made.expires_s - 1 : 0;

    memcpy(made.lead, in + 9, sizeof(made.lead));
    memcpy(made.nonce, in + 25, sizeof(made.nonce));
    tracker_pass_make(&keys, &made, text);
    MUST(tracker_pass_read(&keys, use, now_s, token, &read) == (made.expires_s > 0));
    MUST(made.expires_s == 0 || (read.use == made.use && read.owner == made.owner && read.expires_s == made.expires_s
                                 && memcmp(read.lead, made.lead, sizeof(made.lead)) == 0
                                 && memcmp(read.nonce, made.nonce, sizeof(made.nonce)) == 0));
    MUST(!tracker_pass_read(&keys, use, made.expires_s, token, &read));
    MUST(!tracker_pass_read(&keys, (enum tracker_pass_use)(made.use ^ 1), now_s, token, &read));

    char was = text[place % sizeof(text)];
    text[place % sizeof(text)] = byte;
    MUST(tracker_pass_read(&keys, use, now_s, token, &read) == (was == byte && made.expires_s > 0));
    text[place % sizeof(text)] = was;
    if (tracker_pass_read(&keys, use, 0, stranger, &read)) {
        tracker_pass_make(&keys, &read, text);
        MUST(tracker_str_eq(stranger, token));
    }
}

static void
verdict(const uint8_t *in, unsigned place, char byte, struct tracker_str stranger)
{
    struct tracker_verdict made = { .verdict = in[0], .flags = in[1], .decided_ms = number(in + 2) }, read;
    const uint8_t *id = in + 6;
    uint8_t bytes[TRACKER_VERDICT_LEN];
    struct tracker_str signed_one = { (const char *) bytes, sizeof(bytes) };
    bool known = made.verdict >= TRACKER_LEAD_CREATED && made.verdict <= TRACKER_LEAD_PENDING;

    memcpy(made.content, in + 22, sizeof(made.content));
    memcpy(made.lead, in + 38, sizeof(made.lead));
    tracker_verdict_encode(&keys, id, &made, bytes);
    MUST(tracker_verdict_decode(&keys, id, signed_one, &read) == known);
    MUST(!known || (read.verdict == made.verdict && read.flags == made.flags && read.decided_ms == made.decided_ms
                    && memcmp(read.content, made.content, sizeof(made.content)) == 0
                    && memcmp(read.lead, made.lead, sizeof(made.lead)) == 0));
    MUST(!tracker_verdict_decode(&keys, id + 1, signed_one, &read) || memcmp(id, id + 1, TRACKER_LEAD_ID_LEN) == 0);

    uint8_t was = bytes[place % sizeof(bytes)];
    bytes[place % sizeof(bytes)] = (uint8_t) byte;
    MUST(tracker_verdict_decode(&keys, id, signed_one, &read) == (known && was == (uint8_t) byte));
    bytes[place % sizeof(bytes)] = was;
    if (tracker_verdict_decode(&keys, id, stranger, &read)) {
        tracker_verdict_encode(&keys, id, &read, bytes);
        MUST(tracker_str_eq(stranger, signed_one));
    }
}

static void
lead_id(struct tracker_str text)
{
    uint8_t id[TRACKER_LEAD_ID_LEN];
    char hex[TRACKER_LEAD_HEX_LEN];

    if (!tracker_lead_parse(text, id))
        return;
    tracker_lead_hex(id, hex);
    MUST(tracker_str_eq(text, (struct tracker_str){ hex, sizeof(hex) }));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < TAKEN + 2)
        return 0;

    struct tracker_str stranger = { (const char *) data + TAKEN + 2, size - TAKEN - 2 };
    unsigned place = data[TAKEN];
    char byte = (char) data[TAKEN + 1];

    form_token(data, place, byte, stranger);
    pass(data, place, byte, stranger);
    verdict(data, place, byte, stranger);
    lead_id(stranger);
    return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *error;
    int line;

    return tracker_init() == 0 && tracker_keys_parse(&keys, TRACKER_STR(KEY_TEXT), &error, &line) == 0 ? 0 : -1;
}
