/*
 * tracker_snapshot.c - look-ups, on the path of every click.
 *
 * Files here have passed tracker_snapshot_open, so offsets, lengths and enums
 * are trusted.  A look-up costs the slot, which shares its cache line with the
 * next ones, and the record, where the key lies beside the fields.
 */
#include "tracker_snapshot_internal.h"

bool
tracker_snapshot_fits(const struct tracker_snapshot_file *base, const struct tracker_snapshot_file *delta)
{
    return !base->info.delta && delta->info.delta
           && memcmp(base->info.hash, delta->info.base_hash, TRACKER_SNAPSHOT_HASH_LEN) == 0;
}

uint64_t
tracker_snapshot_version(const struct tracker_snapshot *s)
{
    return s->delta != NULL ? s->delta->info.version : s->base->info.version;
}

/*
 * Always inlined: `rows` is then a constant, so that the switches over it fold
 * away (a quarter of the instructions).
 */
#define INLINED static inline __attribute__((always_inline))

/* The record of a key in one file, or NULL. */
INLINED const uint8_t *
probe(const uint8_t *bytes, const struct snapshot_section *section, enum snapshot_rows rows, uint64_t hash,
      struct tracker_str key)
{
    const uint8_t *slot = bytes + section->offset
                          + (size_t) snapshot_home(hash, section->homes) * SNAPSHOT_SLOT_LEN;
    const uint8_t *last = slot + (size_t) section->max_probe * SNAPSHOT_SLOT_LEN;

    for (; slot <= last; slot += SNAPSHOT_SLOT_LEN) {
        uint32_t offset = tracker_get32(slot + 4);
        if (offset == 0)
            return NULL;
        if (tracker_get32(slot) != (uint32_t) hash)
            continue;
        const uint8_t *record = bytes + (size_t) offset * 8;
        if (tracker_str_eq(snapshot_record_key(rows, record), key))
            return record;
    }
    return NULL;
}

/* Delta, then base.  Their seeds differ only while a key is being rotated: else one hash serves both. */
INLINED const uint8_t *
find(const struct tracker_snapshot *s, enum snapshot_rows rows, struct tracker_str key)
{
    const struct tracker_snapshot_file *const files[] = { s->delta, s->base };
    const uint8_t                            *seed = NULL;
    uint64_t                                  hash = 0;

    for (int i = 0; i < 2; i++) {
        if (files[i] == NULL)
            continue;
        const uint8_t          *bytes = files[i]->bytes, *own_seed = bytes + SNAPSHOT_SEED_AT;
        struct snapshot_section section = snapshot_section(bytes, rows);
        if (section.count == 0)
            continue;
        if (seed == NULL || memcmp(seed, own_seed, crypto_shorthash_KEYBYTES) != 0)
            hash = snapshot_hash(rows, own_seed, key);
        seed = own_seed;
        const uint8_t *record = probe(bytes, &section, rows, hash, key);
        if (record != NULL)
            return record;
    }
    return NULL;
}

INLINED const uint8_t *
find_id(const struct tracker_snapshot *s, enum snapshot_rows rows, uint32_t id)
{
    uint32_t key = htole32(id);

    return find(s, rows, (struct tracker_str){ (const char *) &key, sizeof(key) });
}

bool
tracker_snapshot_link(const struct tracker_snapshot *s, struct tracker_str code, struct tracker_link_row *row)
{
    if (code.len == 0 || code.len > TRACKER_CODE_MAX)
        return false;

    const uint8_t *record = find(s, SNAPSHOT_LINKS, code);
    if (record == NULL)
        return false;
    tracker_snapshot_read_link(record, row);
    return true;
}

bool
tracker_snapshot_campaign(const struct tracker_snapshot *s, uint32_t id, struct tracker_campaign_row *row)
{
    const uint8_t *record = find_id(s, SNAPSHOT_CAMPAIGNS, id);

    if (record == NULL)
        return false;
    tracker_snapshot_read_campaign(record, row);
    return true;
}

bool
tracker_snapshot_program(const struct tracker_snapshot *s, uint32_t id, struct tracker_program_row *row)
{
    const uint8_t *record = find_id(s, SNAPSHOT_PROGRAMS, id);

    if (record == NULL)
        return false;
    tracker_snapshot_read_program(record, row);
    return true;
}

bool
tracker_snapshot_affiliate(const struct tracker_snapshot *s, uint32_t id, struct tracker_affiliate_row *row)
{
    const uint8_t *record = find_id(s, SNAPSHOT_AFFILIATES, id);

    if (record == NULL)
        return false;
    tracker_snapshot_read_affiliate(record, row);
    return true;
}

bool
tracker_snapshot_api_user(const struct tracker_snapshot *s, uint32_t id, struct tracker_api_user_row *row)
{
    const uint8_t *record = find_id(s, SNAPSHOT_API_USERS, id);

    if (record == NULL)
        return false;
    tracker_snapshot_read_api_user(record, row);
    return true;
}

bool
tracker_snapshot_form(const struct tracker_snapshot *s, struct tracker_str key, struct tracker_form_row *row)
{
    if (key.len == 0 || key.len > TRACKER_FORM_KEY_MAX)
        return false;

    const uint8_t *record = find(s, SNAPSHOT_FORMS, key);
    if (record == NULL)
        return false;
    tracker_snapshot_read_form(record, row);
    return true;
}

struct tracker_str
tracker_snapshot_blob(const struct tracker_snapshot *s, enum tracker_blob blob)
{
    const uint8_t *record = find_id(s, SNAPSHOT_BLOBS, blob);

    return record != NULL ? tracker_snapshot_read_blob(record) : TRACKER_STR_NONE;
}

bool
tracker_snapshot_api_key(const struct tracker_snapshot *s, const uint8_t hash[TRACKER_API_KEY_HASH_LEN],
                         struct tracker_api_key_row *row)
{
    struct tracker_str key = { (const char *) hash, TRACKER_API_KEY_HASH_LEN };
    const uint8_t     *record = find(s, SNAPSHOT_API_KEYS, key);

    if (record == NULL)
        return false;
    tracker_snapshot_read_api_key(record, row);
    return true;
}

void
tracker_snapshot_read_program(const uint8_t *record, struct tracker_program_row *row)
{
    const char *strings = (const char *) record + SNAPSHOT_PROGRAM_FIXED;

    *row = (struct tracker_program_row){ .id = tracker_get32(record),
                                         .cookie_days = tracker_get32(record + 4),
                                         .state = record[8],
                                         .attribution = record[9],
                                         .currency = { (const char *) record + 12, 3 },
                                         .fallback = { strings, tracker_get16(record + 10) },
                                         .platform_user = tracker_get32(record + 16) };
    row->platform_url = (struct tracker_str){ strings + row->fallback.len, tracker_get16(record + 20) };
}

static void
read_limits(const uint8_t *at, struct tracker_limits *limits)
{
    *limits = (struct tracker_limits){ .starts_ms = tracker_get64(at),
                                       .ends_ms = tracker_get64(at + 8),
                                       .capped_until_ms = tracker_get64(at + 16),
                                       .cap_day = tracker_get32(at + 24),
                                       .cap_total = tracker_get32(at + 28) };
}

void
tracker_snapshot_read_campaign(const uint8_t *record, struct tracker_campaign_row *row)
{
    const char *strings = (const char *) record + SNAPSHOT_CAMPAIGN_FIXED;

    *row = (struct tracker_campaign_row){ .id = tracker_get32(record),
                                          .program = tracker_get32(record + 4),
                                          .state = record[8],
                                          .name = { strings, record[9] },
                                          .fallback = { strings + record[9], tracker_get16(record + 10) } };
    row->hosts = (struct tracker_str){ row->fallback.data + row->fallback.len, tracker_get16(record + 12) };
    read_limits(record + 16, &row->limits);
}

void
tracker_snapshot_read_affiliate(const uint8_t *record, struct tracker_affiliate_row *row)
{
    const char *strings = (const char *) record + SNAPSHOT_AFFILIATE_FIXED;

    *row = (struct tracker_affiliate_row){ .id = tracker_get32(record),
                                           .state = record[4],
                                           .name = { strings, record[5] } };
}

void
tracker_snapshot_read_link(const uint8_t *record, struct tracker_link_row *row)
{
    const char *strings = (const char *) record + SNAPSHOT_LINK_FIXED;

    *row = (struct tracker_link_row){ .id = tracker_get32(record),
                                      .campaign = tracker_get32(record + 4),
                                      .affiliate = tracker_get32(record + 8),
                                      .state = record[12] & (uint8_t) ~SNAPSHOT_LINK_EXTENDED,
                                      .code = { strings, record[13] },
                                      .destination = { strings + record[13], tracker_get16(record + 14) } };
    if (!(record[12] & SNAPSHOT_LINK_EXTENDED))
        return;

    const uint8_t *extension = record + snapshot_link_extension_at(record);
    read_limits(extension, &row->limits);
    row->redirect = extension[32];
    row->referrer_policy = extension[33];
    row->options = extension[34];
    row->rules = (struct tracker_str){ (const char *) extension + SNAPSHOT_LINK_EXTENSION,
                                       tracker_get16(extension + 36) };
}

void
tracker_snapshot_read_api_user(const uint8_t *record, struct tracker_api_user_row *row)
{
    const char *strings = (const char *) record + SNAPSHOT_API_USER_FIXED;

    *row = (struct tracker_api_user_row){ .id = tracker_get32(record),
                                          .program = tracker_get32(record + 4),
                                          .affiliate = tracker_get32(record + 8),
                                          .scopes = tracker_get32(record + 12),
                                          .expires_ms = tracker_get64(record + 16),
                                          .rate_minute = tracker_get32(record + 24),
                                          .state = record[28],
                                          .role = record[29],
                                          .restricted = record[30] != 0,
                                          .options = record[34],
                                          .networks = { strings, tracker_get16(record + 32) } };
    row->secret = (struct tracker_str){ strings + row->networks.len, record[31] };
}

void
tracker_snapshot_read_api_key(const uint8_t *record, struct tracker_api_key_row *row)
{
    memcpy(row->hash, record, TRACKER_API_KEY_HASH_LEN);
    row->api_user = tracker_get32(record + 32);
    row->state = record[36];
}

struct tracker_str
tracker_snapshot_read_blob(const uint8_t *record)
{
    return (struct tracker_str){ (const char *) record + SNAPSHOT_BLOB_FIXED, tracker_get32(record + 4) };
}

static struct tracker_str
take_str(const char **at, size_t len)
{
    struct tracker_str s = { *at, len };

    *at += len;
    return s;
}

void
tracker_snapshot_read_form(const uint8_t *record, struct tracker_form_row *row)
{
    const char *at = (const char *) record + SNAPSHOT_FORM_FIXED;

    *row = (struct tracker_form_row){ .id = tracker_get32(record),
                                      .program = tracker_get32(record + 4),
                                      .affiliate = tracker_get32(record + 8),
                                      .min_fill_ms = tracker_get32(record + 12),
                                      .rate_minute = tracker_get32(record + 16),
                                      .state = record[42],
                                      .after = record[43],
                                      .options = record[44] };
    row->key = take_str(&at, record[45]);
    row->definition = take_str(&at, tracker_get32(record + 20));
    row->page = take_str(&at, tracker_get32(record + 24));
    row->done = take_str(&at, tracker_get32(record + 28));
    row->wait = take_str(&at, tracker_get32(record + 32));
    row->after_url = take_str(&at, tracker_get16(record + 36));
    row->frame_ancestors = take_str(&at, tracker_get16(record + 38));
    row->origins = take_str(&at, tracker_get16(record + 40));
}
