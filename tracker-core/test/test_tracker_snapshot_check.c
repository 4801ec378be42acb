/*
 * test_tracker_snapshot_check.c - the gate: what tracker_snapshot_open must refuse.
 *
 * What could break: a file that was altered, cut or signed by a stranger is
 * believed; or the checker leaves to the MAC what it should see itself, and a
 * builder's bug crashes every edge.  So every bit is flipped and every length
 * is cut, and then the structure is damaged under a valid MAC: by hand, each
 * damage naming the check that must see it, and at random.
 */
#include "snapshot_fixture.h"

static void
test_every_bit(void **state)
{
    struct built base = build(small_builder(), 1, NULL);

    for (size_t bit = 0; bit < base.len * 8; bit++) {
        base.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
        if (open_error(base.bytes, base.len, KEYS_1_2) == NULL)
            fail_msg("bit %zu may be flipped", bit);
        base.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
    assert_null(open_error(base.bytes, base.len, KEYS_1_2));
    free(base.bytes);
}

/* The cut copy lies at the end of its allocation, so that the sanitizer sees any byte read beyond. */
static void
test_every_length(void **state)
{
    struct built base = build(small_builder(), 1, NULL);

    for (size_t len = 0; len < base.len; len++) {
        char *cut = testing_exact(base.bytes, len);
        if (open_error((uint8_t *) cut, len, KEYS_1) == NULL)
            fail_msg("cut to %zu bytes and accepted", len);
        free(cut);
    }
    uint8_t *longer = calloc(1, base.len + 8);
    memcpy(longer, base.bytes, base.len);
    assert_string_equal(open_error(longer, base.len + 8, KEYS_1),
                        "snapshot is cut short or has bytes appended");
    free(longer);
    free(base.bytes);
}

static void
test_keys(void **state)
{
    struct built base = build(small_builder(), 1, NULL);

    assert_null(open_error(base.bytes, base.len, KEYS_1));
    assert_null(open_error(base.bytes, base.len, "1 accepted " KEY_1 "\n2 current " KEY_2 "\n"));
    assert_string_equal(open_error(base.bytes, base.len, KEYS_2),
                        "snapshot is signed with a key that the key file does not hold");
    assert_string_equal(open_error(base.bytes, base.len, KEYS_FALSE),
                        "snapshot does not match its signature");
    free(base.bytes);
}

static void
sign_again(struct built *built)
{
    struct tracker_keys keys = keys_of(KEYS_1);

    tracker_snapshot_mac(&keys, 1, built->bytes, built->len - SNAPSHOT_MAC_LEN,
                         built->bytes + built->len - SNAPSHOT_MAC_LEN);
}

/* Where things lie in the small snapshot: the first record of a section, its first full slot. */
static uint8_t *
record_of(struct built *built, enum snapshot_rows rows)
{
    struct snapshot_section section = snapshot_section(built->bytes, rows);

    return built->bytes + section.offset + ((size_t) section.homes + section.max_probe) * SNAPSHOT_SLOT_LEN;
}

static uint8_t *
slot_in(struct built *built, enum snapshot_rows rows)
{
    uint8_t *slot = built->bytes + snapshot_section(built->bytes, rows).offset;

    while (tracker_get64(slot) == 0)
        slot += SNAPSHOT_SLOT_LEN;
    return slot;
}

/* The extension of the small snapshot's one link that has one. */
static uint8_t *
extended_link(struct built *built)
{
    uint8_t *link = record_of(built, SNAPSHOT_LINKS);

    if (!(link[12] & SNAPSHOT_LINK_EXTENDED))
        link += snapshot_padded(snapshot_record_len(SNAPSHOT_LINKS, link, UINT64_MAX));
    assert_true(link[12] & SNAPSHOT_LINK_EXTENDED);
    return link + snapshot_link_extension_at(link);
}

static uint8_t *
platform_url(struct built *built)
{
    uint8_t *program = record_of(built, SNAPSHOT_PROGRAMS);

    return program + SNAPSHOT_PROGRAM_FIXED + tracker_get16(program + 10);
}

static uint8_t *
form_page(uint8_t *form)
{
    return form + SNAPSHOT_FORM_FIXED + form[45] + tracker_get32(form + 20);
}

static void
networks_swap(uint8_t *two)
{
    uint8_t first[TRACKER_NETWORK_LEN];

    memcpy(first, two, sizeof(first));
    memcpy(two, two + sizeof(first), sizeof(first));
    memcpy(two + sizeof(first), first, sizeof(first));
}

/* Damage under a valid MAC: what a builder's bug would look like.  Each names the check that must see it. */
static void
test_structure(void **state)
{
    static const char *const expected[] = {
        "snapshot is neither base nor delta",
        "snapshot is a base that names a base",
        "snapshot has a malformed header",
        "snapshot has a malformed header",
        "snapshot has a section out of place",
        "snapshot has a section out of place",
        "snapshot has a section out of place",
        "snapshot has an empty section with bytes in it",
        "snapshot has a section whose table does not fit it",
        "snapshot has a section whose table does not fit it",
        "snapshot has a slot that points beside its record",
        "snapshot has a slot that points beside its record",
        "snapshot has a slot that points beside its record",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with unclean padding",
        "snapshot has a row where no look-up would find it",
        "snapshot has a row where no look-up would find it",
        "snapshot has a section with a wrong count",
        "snapshot is of a format that this program does not know",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record that passes the end of its section",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
        "snapshot has a record with a field out of bounds",
    };

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct built built = build(small_builder(), 1, NULL);
        uint8_t     *h = built.bytes;
        uint8_t     *programs = h + SNAPSHOT_SECTIONS_AT;
        uint8_t     *links = programs + SNAPSHOT_LINKS * SNAPSHOT_SECTION_LEN;
        uint8_t     *form = record_of(&built, SNAPSHOT_FORMS);
        uint8_t     *link = record_of(&built, SNAPSHOT_LINKS), *slot = slot_in(&built, SNAPSHOT_LINKS);

        switch (i) {
        case 0: h[SNAPSHOT_KIND_AT] = 3; break;
        case 1: h[SNAPSHOT_BASE_HASH_AT] = 1; break;
        case 2: h[SNAPSHOT_SECTION_COUNT_AT] = 4; break;
        case 3: h[SNAPSHOT_UNUSED_AT] = 1; break;
        case 4: links[12] = 1; break;
        case 5: links[16] ^= 8; break;
        case 6: memset(links + 24, 0xff, 8); links[24] = 0xf8; break;
        case 7: tracker_put32(links, 0); break;
        case 8: tracker_put32(links, UINT32_MAX); break;
        case 9: tracker_put32(links + 8, UINT32_MAX); break;
        case 10: tracker_put32(slot + 4, 1); break;
        case 11: tracker_put32(slot + 4, UINT32_MAX); break;
        case 12: tracker_put32(slot + 4, 0); break;
        case 13: tracker_put16(link + 14, UINT16_MAX); break;
        case 14: tracker_put64(programs + 24, tracker_get64(programs + 24) - 8); break;
        case 15: link[12] = 9; break;
        case 16: link[SNAPSHOT_LINK_FIXED] = '/'; break;
        case 17: link[SNAPSHOT_LINK_FIXED + link[13] + 2] = TRACKER_MACRO_COUNT; break;
        case 18: record_of(&built, SNAPSHOT_API_KEYS)[39] = 1; break;
        case 19: record_of(&built, SNAPSHOT_PROGRAMS)[15] = 1; break;
        case 20: record_of(&built, SNAPSHOT_AFFILIATES)[15] = 1; break;
        case 21: slot[0] ^= 1; break;
        case 22: link[SNAPSHOT_LINK_FIXED] ^= 1; break;
        case 23: tracker_put32(links, 1); break;
        case 24: h[SNAPSHOT_FORMAT_AT] = 1; break;
        case 25: tracker_put16(extended_link(&built) + 36, UINT16_MAX); break;
        case 26: extended_link(&built)[35] = 1; break;
        case 27: extended_link(&built)[32] = 9; break;
        case 28: record_of(&built, SNAPSHOT_API_USERS)[30] = 2; break;
        case 29: tracker_put32(record_of(&built, SNAPSHOT_BLOBS) + 4, UINT32_MAX); break;
        case 30: tracker_put32(record_of(&built, SNAPSHOT_BLOBS), 77); break;
        case 31: tracker_put16(record_of(&built, SNAPSHOT_PROGRAMS) + 20, UINT16_MAX); break;
        case 32: platform_url(&built)[0] = 'g'; break;
        case 33: record_of(&built, SNAPSHOT_API_USERS)[34] = 4; break;
        case 34: record_of(&built, SNAPSHOT_API_USERS)[35] = 1; break;
        case 35: networks_swap(record_of(&built, SNAPSHOT_API_USERS) + SNAPSHOT_API_USER_FIXED); break;
        case 36: memset(form + 20, 0xff, 16); break; /* lengths that wrap 32 bits */
        case 37: tracker_put16(form + 40, UINT16_MAX); break;
        case 38: form[45]++; break;
        case 39: form[SNAPSHOT_FORM_FIXED] = '/'; break;
        case 40: form[SNAPSHOT_FORM_FIXED + form[45]] ^= 1; break;
        case 41: form_page(form)[sizeof("<input value=\"")] = 'v'; break; /* behind 0x01: a mark that is none */
        }
        sign_again(&built);
        const char *error = open_error(built.bytes, built.len, KEYS_1);
        if (error == NULL || strcmp(error, expected[i]) != 0)
            fail_msg("damage %zu: %s", i, error == NULL ? "accepted" : error);
        free(built.bytes);
    }
}

/*
 * A table of API keys written by hand, all offsets right: what the checker says
 * of it.  Row i has its home at homes[i] of 4 and stands in slot slots[i].
 */
static const char *
table_error(uint32_t max_probe, unsigned count, const uint8_t *homes, const uint32_t *slots)
{
    struct built built = build(new_builder(), 1, NULL);
    size_t       table_len = (4 + max_probe) * (size_t) SNAPSHOT_SLOT_LEN;
    size_t       section_len = table_len + count * (size_t) SNAPSHOT_API_KEY_FIXED;
    uint8_t     *entry, *table, *record;

    built.len += section_len;
    built.bytes = realloc(built.bytes, built.len);
    entry = built.bytes + SNAPSHOT_SECTIONS_AT + SNAPSHOT_API_KEYS * SNAPSHOT_SECTION_LEN;
    table = built.bytes + SNAPSHOT_HEADER_LEN;
    record = table + table_len;
    memset(table, 0, section_len);
    tracker_put64(built.bytes + SNAPSHOT_SIZE_AT, built.len);
    tracker_put32(entry, count);
    tracker_put32(entry + 4, 4);
    tracker_put32(entry + 8, max_probe);
    tracker_put64(entry + 24, section_len);
    for (int rows = SNAPSHOT_API_KEYS + 1; rows < SNAPSHOT_SECTIONS; rows++) /* empty ones move behind it */
        tracker_put64(built.bytes + SNAPSHOT_SECTIONS_AT + rows * SNAPSHOT_SECTION_LEN + 16,
                      SNAPSHOT_HEADER_LEN + section_len);

    for (unsigned i = 0; i < count; i++, record += SNAPSHOT_API_KEY_FIXED) {
        struct tracker_api_key_row       row = an_api_key((uint8_t) (homes[i] << 6 | 1));
        struct tracker_snapshot_builder *b = new_builder();
        row.hash[31] = (uint8_t) i;
        assert_int_equal(tracker_snapshot_add_api_key(b, &row), 0);
        struct built one = build(b, 1, NULL);
        memcpy(record, record_of(&one, SNAPSHOT_API_KEYS), SNAPSHOT_API_KEY_FIXED);
        tracker_put32(table + slots[i] * SNAPSHOT_SLOT_LEN, tracker_get32(record));
        tracker_put32(table + slots[i] * SNAPSHOT_SLOT_LEN + 4, (uint32_t) (record - built.bytes) / 8);
        free(one.bytes);
    }
    sign_again(&built);
    const char *error = open_error(built.bytes, built.len, KEYS_1);
    free(built.bytes);
    return error;
}

/* Rows whose every byte is in bounds, and which yet no look-up would find. */
static void
test_unreachable_rows(void **state)
{
    static const struct {
        const char *what;
        uint32_t    max_probe;
        uint8_t     homes[2];
        uint32_t    slots[2];
        bool        good;
    } cases[] = {
        { "both at home", 0, { 1, 2 }, { 1, 2 }, true },
        { "one beside home", 1, { 1, 1 }, { 1, 2 }, true },
        { "in the overflow behind the last home", 1, { 3, 3 }, { 3, 4 }, true },
        { "farther than max_probe", 0, { 1, 1 }, { 1, 2 }, false },
        { "behind an empty slot", 1, { 0, 1 }, { 0, 2 }, false },
        { "before its home", 1, { 0, 3 }, { 0, 2 }, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *error = table_error(cases[i].max_probe, 2, cases[i].homes, cases[i].slots);
        const char *expected = "snapshot has a row where no look-up would find it";
        if (cases[i].good ? error != NULL : error == NULL || strcmp(error, expected) != 0)
            fail_msg("%s: %s", cases[i].what, error == NULL ? "accepted" : error);
    }
}

/* Its page with nothing sent, as somebody opens it. */
static void
fill(const struct tracker_form_row *form)
{
    struct tracker_page_values values = { .form = form->definition, .token = TRACKER_STR("token") };
    size_t                     len = tracker_page_fill(form->page, &values, NULL, 0);
    char                      *out = malloc(len + 1);

    assert_int_equal(tracker_page_fill(form->page, &values, out, len), len);
    free(out);
}

/*
 * Damage at random under a valid MAC: whatever the checker makes of it, nothing
 * may crash, and what it accepts can be searched (the sanitizer looks).
 */
static void
test_random_damage(void **state)
{
    struct tracker_keys keys = keys_of(KEYS_1);
    struct built        built = build(small_builder(), 1, NULL);
    uint8_t            *clean = malloc(built.len);
    unsigned            accepted = 0;

    testing_seed();
    memcpy(clean, built.bytes, built.len);
    for (int round = 0; round < 100000; round++) {
        struct tracker_snapshot_file file;
        const char                  *error;
        for (int n = 0; n < 1 + round % 3; n++)
            built.bytes[testing_below(built.len)] = (uint8_t) testing_draw();
        memcpy(built.bytes, clean, SNAPSHOT_VERSION_AT); /* the envelope's checks would stop all else */
        memcpy(built.bytes + SNAPSHOT_SIZE_AT, clean + SNAPSHOT_SIZE_AT, 8);
        sign_again(&built);
        if (tracker_snapshot_open(built.bytes, built.len, &keys, &file, &error) == 0) {
            struct tracker_snapshot    s = { &file, NULL };
            struct tracker_link_row    link;
            struct tracker_program_row program;
            struct tracker_form_row    form;
            if (tracker_snapshot_form(&s, TRACKER_STR("contact"), &form))
                fill(&form);
            tracker_snapshot_link(&s, TRACKER_STR("summer"), &link);
            tracker_snapshot_program(&s, 7, &program);
            accepted++;
        }
        memcpy(built.bytes, clean, built.len);
    }
    assert_in_range(accepted, 1, 50000); /* some fields may hold anything, most bytes not */
    free(clean);
    free(built.bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_unreachable_rows),
        cmocka_unit_test(test_random_damage),
    };

    if (tracker_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
