/*
 * tracker_snapshot_check.c - the gate that a snapshot passes once, so that readers may trust it.
 *
 * The MAC comes first: what passes it was written by our own builder.  All the
 * rest is checked nevertheless, and strictly (records tile their section,
 * padding is zero, every key is reachable from its home): a builder's bug must
 * be a refused file and the old one kept, never an edge that crashes or
 * answers wrongly.  Functions ending in _fault return NULL or what is wrong.
 */
#include <errno.h>

#include "tracker_snapshot_internal.h"

static const char *envelope_fault(const uint8_t *bytes, size_t len, const struct tracker_keys *keys);
static const char *header_fault(const uint8_t *bytes, size_t len);
static const char *section_fault(const uint8_t *bytes, enum snapshot_rows rows, uint64_t *at, uint64_t end);
static void fill_info(const uint8_t *bytes, size_t len, struct tracker_snapshot_info *info);

int
tracker_snapshot_open(const uint8_t *bytes, size_t len, const struct tracker_keys *keys,
                      struct tracker_snapshot_file *file, const char **error)
{
    *error = envelope_fault(bytes, len, keys);
    if (*error == NULL)
        *error = header_fault(bytes, len);

    uint64_t at = SNAPSHOT_HEADER_LEN;
    for (int rows = 0; rows < SNAPSHOT_SECTIONS && *error == NULL; rows++)
        *error = section_fault(bytes, rows, &at, len - SNAPSHOT_MAC_LEN);
    if (*error == NULL && at != len - SNAPSHOT_MAC_LEN)
        *error = "snapshot holds bytes that belong to no section";
    if (*error != NULL)
        return -EINVAL;

    file->bytes = bytes;
    file->len = len;
    fill_info(bytes, len, &file->info);
    return 0;
}

/* Length, format, key and MAC: before the MAC verifies, no other byte is looked at. */
static const char *
envelope_fault(const uint8_t *bytes, size_t len, const struct tracker_keys *keys)
{
    uint8_t mac[SNAPSHOT_MAC_LEN];

    if (len < SNAPSHOT_HEADER_LEN + SNAPSHOT_MAC_LEN)
        return "snapshot is shorter than its header";
    if (memcmp(bytes, SNAPSHOT_MAGIC, sizeof(SNAPSHOT_MAGIC) - 1) != 0)
        return "not a snapshot";
    if (tracker_get32(bytes + SNAPSHOT_FORMAT_AT) != SNAPSHOT_FORMAT)
        return "snapshot is of a format that this program does not know";
    if (tracker_get64(bytes + SNAPSHOT_SIZE_AT) != len)
        return "snapshot is cut short or has bytes appended";
    if (!tracker_keys_has(keys, bytes[SNAPSHOT_KEY_AT]))
        return "snapshot is signed with a key that the key file does not hold";

    tracker_snapshot_mac(keys, bytes[SNAPSHOT_KEY_AT], bytes, len - SNAPSHOT_MAC_LEN, mac);
    if (sodium_memcmp(mac, bytes + len - SNAPSHOT_MAC_LEN, SNAPSHOT_MAC_LEN) != 0)
        return "snapshot does not match its signature";
    return NULL;
}

void
tracker_snapshot_mac(const struct tracker_keys *keys, unsigned key, const uint8_t *bytes, size_t len,
                     uint8_t mac[SNAPSHOT_MAC_LEN])
{
    uint8_t derived[TRACKER_KEY_LEN];

    tracker_keys_derive(keys, key, TRACKER_LABEL_SNAPSHOT, NULL, 0, derived);
    crypto_generichash(mac, SNAPSHOT_MAC_LEN, bytes, len, derived, sizeof(derived));
    sodium_memzero(derived, sizeof(derived));
}

static const char *
header_fault(const uint8_t *bytes, size_t len)
{
    uint8_t kind = bytes[SNAPSHOT_KIND_AT];

    if (len % 8 != 0 || len > SNAPSHOT_SIZE_MAX)
        return "snapshot has an impossible size";
    if (kind != SNAPSHOT_BASE && kind != SNAPSHOT_DELTA)
        return "snapshot is neither base nor delta";
    if (kind == SNAPSHOT_BASE && !sodium_is_zero(bytes + SNAPSHOT_BASE_HASH_AT, TRACKER_SNAPSHOT_HASH_LEN))
        return "snapshot is a base that names a base";
    if (tracker_get16(bytes + SNAPSHOT_SECTION_COUNT_AT) != SNAPSHOT_SECTIONS
        || !sodium_is_zero(bytes + SNAPSHOT_UNUSED_AT, SNAPSHOT_SECTIONS_AT - SNAPSHOT_UNUSED_AT))
        return "snapshot has a malformed header";
    return NULL;
}

/* ---- sections ---- */

static const char *
section_table_fault(const uint8_t *bytes, enum snapshot_rows rows, uint64_t at, uint64_t end)
{
    const uint8_t          *entry = bytes + SNAPSHOT_SECTIONS_AT + rows * SNAPSHOT_SECTION_LEN;
    struct snapshot_section section = snapshot_section(bytes, rows);
    uint64_t                slots = (uint64_t) section.homes + section.max_probe;

    if (tracker_get32(entry + 12) != 0 || section.offset != at || section.len > end - at
        || section.len % 8 != 0)
        return "snapshot has a section out of place";
    if (section.count == 0)
        return slots == 0 && section.len == 0 ? NULL : "snapshot has an empty section with bytes in it";
    if ((uint64_t) section.count * 4 > (uint64_t) section.homes * 3
        || slots * SNAPSHOT_SLOT_LEN > section.len)
        return "snapshot has a section whose table does not fit it";
    return NULL;
}

static bool
row_valid(enum snapshot_rows rows, const uint8_t *record)
{
    union {
        struct tracker_program_row   program;
        struct tracker_campaign_row  campaign;
        struct tracker_affiliate_row affiliate;
        struct tracker_link_row      link;
        struct tracker_api_user_row  api_user;
        struct tracker_api_key_row   api_key;
        struct tracker_form_row      form;
    } row;

    switch (rows) {
    case SNAPSHOT_PROGRAMS:
        tracker_snapshot_read_program(record, &row.program);
        return record[15] == 0 && tracker_snapshot_program_valid(&row.program);
    case SNAPSHOT_CAMPAIGNS:
        tracker_snapshot_read_campaign(record, &row.campaign);
        return tracker_get16(record + 14) == 0 && tracker_snapshot_campaign_valid(&row.campaign);
    case SNAPSHOT_AFFILIATES:
        tracker_snapshot_read_affiliate(record, &row.affiliate);
        return tracker_snapshot_affiliate_valid(&row.affiliate);
    case SNAPSHOT_LINKS:
        tracker_snapshot_read_link(record, &row.link);
        return (!(record[12] & SNAPSHOT_LINK_EXTENDED) || record[snapshot_link_extension_at(record) + 35] == 0)
               && tracker_snapshot_link_valid(&row.link);
    case SNAPSHOT_API_KEYS:
        tracker_snapshot_read_api_key(record, &row.api_key);
        return sodium_is_zero(record + 37, 3) && tracker_snapshot_api_key_valid(&row.api_key);
    case SNAPSHOT_API_USERS:
        tracker_snapshot_read_api_user(record, &row.api_user);
        return record[30] <= 1 && sodium_is_zero(record + 35, 5) && tracker_snapshot_api_user_valid(&row.api_user);
    case SNAPSHOT_BLOBS:
        return tracker_snapshot_blob_valid(tracker_get32(record), tracker_snapshot_read_blob(record));
    case SNAPSHOT_FORMS:
        tracker_snapshot_read_form(record, &row.form);
        return tracker_snapshot_form_valid(&row.form);
    }
    return false;
}

/* A record at bytes + *at that must end by `end`; *at moves behind it. */
static const char *
record_fault(const uint8_t *bytes, enum snapshot_rows rows, uint64_t *at, uint64_t end)
{
    const uint8_t *record = bytes + *at;
    uint64_t       room = end - *at;

    if (room < snapshot_record_fixed(rows))
        return "snapshot has a record that passes the end of its section";

    size_t len = snapshot_record_len(rows, record, room);
    size_t padded = snapshot_padded(len);
    if (room < padded)
        return "snapshot has a record that passes the end of its section";
    if (!row_valid(rows, record))
        return "snapshot has a record with a field out of bounds";
    for (size_t i = len; i < padded; i++)
        if (record[i] != 0)
            return "snapshot has a record with unclean padding";

    *at += padded;
    return NULL;
}

/*
 * Can a look-up that starts at the key's home reach slot i?  `run` is the first
 * slot after the last empty one: beyond an empty slot nobody searches.
 */
static bool
reachable(const uint8_t *bytes, enum snapshot_rows rows, const struct snapshot_section *section,
          const uint8_t *record, uint32_t fingerprint, uint64_t run, uint64_t i)
{
    uint64_t hash = snapshot_hash(rows, bytes + SNAPSHOT_SEED_AT, snapshot_record_key(rows, record));
    uint64_t home = snapshot_home(hash, section->homes);

    return fingerprint == (uint32_t) hash && home >= run && home <= i && i - home <= section->max_probe;
}

static const char *
section_fault(const uint8_t *bytes, enum snapshot_rows rows, uint64_t *at, uint64_t end)
{
    const char *fault = section_table_fault(bytes, rows, *at, end);
    if (fault != NULL)
        return fault;

    struct snapshot_section section = snapshot_section(bytes, rows);
    const uint8_t          *slot = bytes + section.offset;
    uint64_t                slots = (uint64_t) section.homes + section.max_probe;
    uint64_t                record = section.offset + slots * SNAPSHOT_SLOT_LEN;
    uint64_t                run = 0, seen = 0;

    *at = section.offset + section.len;
    for (uint64_t i = 0; i < slots; i++, slot += SNAPSHOT_SLOT_LEN) {
        if (tracker_get64(slot) == 0) {
            run = i + 1;
            continue;
        }
        uint64_t here = (uint64_t) tracker_get32(slot + 4) * 8;
        if (here != record)
            return "snapshot has a slot that points beside its record";
        fault = record_fault(bytes, rows, &record, *at);
        if (fault != NULL)
            return fault;
        if (!reachable(bytes, rows, &section, bytes + here, tracker_get32(slot), run, i))
            return "snapshot has a row where no look-up would find it";
        seen++;
    }
    return seen == section.count && record == *at ? NULL : "snapshot has a section with a wrong count";
}

static void
fill_info(const uint8_t *bytes, size_t len, struct tracker_snapshot_info *info)
{
    *info = (struct tracker_snapshot_info){ .delta = bytes[SNAPSHOT_KIND_AT] == SNAPSHOT_DELTA,
                                            .version = tracker_get64(bytes + SNAPSHOT_VERSION_AT),
                                            .created_ms = tracker_get64(bytes + SNAPSHOT_CREATED_AT),
                                            .programs = snapshot_section(bytes, SNAPSHOT_PROGRAMS).count,
                                            .campaigns = snapshot_section(bytes, SNAPSHOT_CAMPAIGNS).count,
                                            .affiliates = snapshot_section(bytes, SNAPSHOT_AFFILIATES).count,
                                            .links = snapshot_section(bytes, SNAPSHOT_LINKS).count,
                                            .api_users = snapshot_section(bytes, SNAPSHOT_API_USERS).count,
                                            .api_keys = snapshot_section(bytes, SNAPSHOT_API_KEYS).count,
                                            .forms = snapshot_section(bytes, SNAPSHOT_FORMS).count };
    memcpy(info->hash, bytes + len - SNAPSHOT_MAC_LEN, TRACKER_SNAPSHOT_HASH_LEN);
    memcpy(info->base_hash, bytes + SNAPSHOT_BASE_HASH_AT, TRACKER_SNAPSHOT_HASH_LEN);
}
