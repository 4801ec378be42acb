/*
 * fuzz_snapshot.c - a snapshot whose MAC is valid and whose contents are anything.
 *
 * The MAC would stop a fuzzer at the door, so the target signs what it is given
 * (and keeps magic, format, size and key id right, which are compared before
 * it).  Whatever the checker accepts is then searched by every key in it, and
 * its templates expanded, its pages filled in: an accepted file must find each of its rows and must
 * never make a reader touch a byte outside.
 *
 * Inputs start from two files made at start-up, a base and a delta.
 */
#include <stdlib.h>
#include <strings.h>

#include "../src/tracker_snapshot_internal.h"

#define KEY_TEXT "1 current 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
int    LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int    LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tracker_keys keys;
static struct {
    uint8_t *bytes;
    size_t   len;
} seeds[2];

static void
sign(uint8_t *bytes, size_t len)
{
    memcpy(bytes, SNAPSHOT_MAGIC, 8);
    tracker_put32(bytes + SNAPSHOT_FORMAT_AT, SNAPSHOT_FORMAT);
    tracker_put64(bytes + SNAPSHOT_SIZE_AT, len);
    bytes[SNAPSHOT_KEY_AT] = 1;
    tracker_snapshot_mac(&keys, 1, bytes, len - SNAPSHOT_MAC_LEN, bytes + len - SNAPSHOT_MAC_LEN);
}

/* Every accepted template expands to a clean http(s) URL. */
static void
expand(struct tracker_str compiled)
{
    static char              out[TRACKER_URL_MAX];
    const struct tracker_str values[TRACKER_MACRO_COUNT] = { [TRACKER_MACRO_CLICK_ID] = TRACKER_STR("id") };

    if (compiled.len == 0)
        return;
    int len = tracker_template_expand((const uint8_t *) compiled.data, compiled.len, values, out,
                                      sizeof(out));
    if (len < 8 || strncasecmp(out, "http", 4) != 0)
        abort();
    for (int i = 0; i < len; i++)
        if (out[i] < 0x21 || out[i] > 0x7e)
            abort();
}

/* Anybody opens a form and sends one field of it. */
static void
submit(const struct tracker_form_row *form)
{
    static uint8_t            sent[256], kept[TRACKER_LEAD_FIELDS_MAX], faults[TRACKER_FORM_FIELDS_MAX];
    static char               out[8 * TRACKER_PAGE_MAX];
    const struct tracker_str  pages[] = { form->page, form->done, form->wait };
    struct tracker_form_field field;
    size_t                    kept_len;

    tracker_form_field(form->definition, tracker_form_count(form->definition) - 1, &field);
    struct tracker_str pairs = { (const char *) sent, tracker_pairs_add(sent, 0, sizeof(sent), field.name,
                                                                        TRACKER_STR("<\"&'>")) };
    tracker_form_judge(form->definition, pairs, kept, sizeof(kept), &kept_len, faults);
    for (int i = 0; i < 3; i++) {
        struct tracker_page_values values = { form->definition, TRACKER_STR("token"), TRACKER_STR_NONE,
                                              TRACKER_STR("/f/x"), pairs, faults };
        size_t len = tracker_page_fill(pages[i], &values, NULL, 0);
        if (len <= sizeof(out) && tracker_page_fill(pages[i], &values, out, sizeof(out)) != len)
            abort();
    }
}

/* What the checker takes for sorted is found by the search. */
static bool
networks_hold_their_own(struct tracker_str networks)
{
    for (size_t at = 0; at < networks.len; at += TRACKER_NETWORK_LEN)
        if (!tracker_networks_hold(networks, (struct tracker_str){ networks.data + at + 1, 16 }))
            return false;
    return true;
}

static bool
find_row(const struct tracker_snapshot *s, enum snapshot_rows rows, struct tracker_str key)
{
    struct tracker_program_row   program;
    struct tracker_campaign_row  campaign;
    struct tracker_affiliate_row affiliate;
    struct tracker_link_row      link;
    struct tracker_api_user_row  api_user;
    struct tracker_api_key_row   api_key;
    struct tracker_form_row      form;
    uint32_t                     id = tracker_get32((const uint8_t *) key.data);

    switch (rows) {
    case SNAPSHOT_PROGRAMS:
        if (!tracker_snapshot_program(s, id, &program))
            return false;
        expand(program.fallback);
        return true;
    case SNAPSHOT_CAMPAIGNS:
        if (!tracker_snapshot_campaign(s, id, &campaign))
            return false;
        expand(campaign.fallback);
        return true;
    case SNAPSHOT_AFFILIATES:
        return tracker_snapshot_affiliate(s, id, &affiliate);
    case SNAPSHOT_LINKS:
        if (!tracker_snapshot_link(s, key, &link))
            return false;
        expand(link.destination);
        return true;
    case SNAPSHOT_API_KEYS:
        return tracker_snapshot_api_key(s, (const uint8_t *) key.data, &api_key);
    case SNAPSHOT_API_USERS:
        return tracker_snapshot_api_user(s, id, &api_user) && networks_hold_their_own(api_user.networks);
    case SNAPSHOT_BLOBS:
        return tracker_snapshot_blob(s, id).len != 0;
    case SNAPSHOT_FORMS:
        if (!tracker_snapshot_form(s, key, &form))
            return false;
        submit(&form);
        return true;
    }
    return false;
}

static void
search(const struct tracker_snapshot_file *file)
{
    struct tracker_snapshot s = { file, NULL };
    uint32_t                unknown = 0;

    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++) {
        struct snapshot_section section = snapshot_section(file->bytes, rows);
        const uint8_t          *slot = file->bytes + section.offset;

        for (uint64_t i = 0; i < (uint64_t) section.homes + section.max_probe; i++, slot += 8) {
            uint32_t offset = tracker_get32(slot + 4);
            if (offset == 0)
                continue;
            struct tracker_str key = snapshot_record_key(rows, file->bytes + (size_t) offset * 8);
            if (!find_row(&s, rows, key))
                abort();
        }
        if (rows < SNAPSHOT_LINKS
            && find_row(&s, rows, (struct tracker_str){ (const char *) &unknown, sizeof(unknown) }))
            abort(); /* id 0 is never accepted */
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracker_snapshot_file file;
    const char                  *error;

    if (size < SNAPSHOT_HEADER_LEN + SNAPSHOT_MAC_LEN)
        return 0;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data, size);
    sign(bytes, size);
    if (tracker_snapshot_open(bytes, size, &keys, &file, &error) == 0)
        search(&file);
    free(bytes);
    return 0;
}

/* Nothing usable yet: one of the seeds.  Else libFuzzer's own mutations. */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (size < SNAPSHOT_HEADER_LEN + SNAPSHOT_MAC_LEN && seeds[seed % 2].len <= max_size) {
        memcpy(data, seeds[seed % 2].bytes, seeds[seed % 2].len);
        return seeds[seed % 2].len;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}

/* ---- seeds ---- */

static void
add_form(struct tracker_snapshot_builder *b)
{
    static const struct tracker_form_field fields[] = {
        { .name = { "email", 5 }, .type = TRACKER_FORM_EMAIL, .required = true },
        { .name = { "plan", 4 }, .type = TRACKER_FORM_SELECT, .options = { "basic\npro\n", 10 } },
    };
    uint8_t     definition[256];
    const char *error;
    unsigned    at;
    int         len = tracker_form_compile(fields, 2, definition, sizeof(definition), &error, &at);
    struct tracker_form_row form = { .id = 1, .program = 1, .state = 1, .after = 3, .key = TRACKER_STR("contact"),
                                     .definition = { (const char *) definition, (size_t) len },
                                     .page = TRACKER_STR("\1T\1V0;\1S1,1;\1X*;no\1."),
                                     .done = TRACKER_STR("yes"), .wait = TRACKER_STR("\1L"),
                                     .frame_ancestors = TRACKER_STR("'self'"),
                                     .origins = TRACKER_STR("https://a.example\n") };

    if (len < 0 || tracker_snapshot_add_form(b, &form) != 0)
        abort();
}

static void
add_rows(struct tracker_snapshot_builder *b, unsigned count)
{
    static const struct tracker_str codes[] = { TRACKER_STR("summer"), TRACKER_STR("w"),
                                                TRACKER_STR("a.b_c~d-e") };
    static const uint8_t            networks[2 * TRACKER_NETWORK_LEN] = { 128, [16] = 1, [17] = 127, [33] = 4 };
    static uint8_t                  compiled[256];
    const char                     *error;
    int len = tracker_template_compile(TRACKER_STR("https://shop.example/{link}?c={click_id}&s={_sub1}"), 0,
                                       compiled, sizeof(compiled), &error);
    struct tracker_str destination = { (const char *) compiled, (size_t) len };

    for (unsigned i = 0; i < count; i++) {
        struct tracker_program_row   program = { i + 1, 1, 1, 30, TRACKER_STR("EUR"), destination };
        struct tracker_campaign_row  campaign = { i + 1, 1, 1, TRACKER_STR("spring"), destination };
        struct tracker_affiliate_row affiliate = { i + 1, 2, TRACKER_STR("anna") };
        struct tracker_link_row      link = { i + 1, 1, 1, 1, codes[i], destination };
        struct tracker_api_key_row   api_key = { { (uint8_t) i }, 1, 1 };
        struct tracker_api_user_row  api_user = { .id = i + 1, .program = 1, .state = 1, .role = 2, .restricted = true,
                                                  .networks = { (const char *) networks, sizeof(networks) } };

        if (tracker_snapshot_add_program(b, &program) != 0 || tracker_snapshot_add_campaign(b, &campaign) != 0
            || tracker_snapshot_add_affiliate(b, &affiliate) != 0 || tracker_snapshot_add_link(b, &link) != 0
            || tracker_snapshot_add_api_key(b, &api_key) != 0 || tracker_snapshot_add_api_user(b, &api_user) != 0)
            abort();
    }
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t base_hash[TRACKER_SNAPSHOT_HASH_LEN] = { 1, 2, 3 };
    const char          *error;
    int                  line;

    if (tracker_init() != 0 || tracker_keys_parse(&keys, TRACKER_STR(KEY_TEXT), &error, &line) != 0)
        abort();
    for (unsigned i = 0; i < 2; i++) {
        struct tracker_snapshot_builder *b = tracker_snapshot_builder_new();
        struct tracker_snapshot_file     file;
        add_rows(b, i == 0 ? 3 : 1);
        add_form(b);
        if (tracker_snapshot_build(b, &keys, 1, 1, i == 0 ? NULL : base_hash, &seeds[i].bytes,
                                   &seeds[i].len) != 0
            || tracker_snapshot_open(seeds[i].bytes, seeds[i].len, &keys, &file, &error) != 0)
            abort(); /* a seed that the checker refuses would leave the target asleep */
        search(&file);
        tracker_snapshot_builder_free(b);
    }
    return 0;
}
