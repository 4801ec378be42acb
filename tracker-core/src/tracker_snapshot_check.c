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
        return record[30] <= 1 && sodium_is_zero(record + 34, 6) && tracker_snapshot_api_user_valid(&row.api_user);
    case SNAPSHOT_BLOBS:
        return tracker_snapshot_blob_valid(tracker_get32(record), tracker_snapshot_read_blob(record));
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
                                            .api_keys = snapshot_section(bytes, SNAPSHOT_API_KEYS).count };
    memcpy(info->hash, bytes + len - SNAPSHOT_MAC_LEN, TRACKER_SNAPSHOT_HASH_LEN);
    memcpy(info->base_hash, bytes + SNAPSHOT_BASE_HASH_AT, TRACKER_SNAPSHOT_HASH_LEN);
}

/* ---- rows ---- */

static bool
state_valid(uint8_t state)
{
    switch ((enum tracker_state) state) {
    case TRACKER_STATE_ACTIVE:
    case TRACKER_STATE_PAUSED:
    case TRACKER_STATE_EXPIRED:
    case TRACKER_STATE_ARCHIVED:
        return true;
    }
    return false;
}

static bool
template_valid(struct tracker_str compiled)
{
    return compiled.len > 0 && compiled.len <= TRACKER_TEMPLATE_MAX
           && tracker_template_check((const uint8_t *) compiled.data, compiled.len);
}

static bool
currency_valid(struct tracker_str currency)
{
    if (currency.len != 3)
        return false;
    for (size_t i = 0; i < currency.len; i++)
        if (currency.data[i] < 'A' || currency.data[i] > 'Z')
            return false;
    return true;
}

static bool
code_valid(struct tracker_str code)
{
    if (code.len == 0 || code.len > TRACKER_CODE_MAX)
        return false;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.'
            && c != '_' && c != '~' && c != '-')
            return false;
    }
    return true;
}

static bool
limits_valid(const struct tracker_limits *limits)
{
    return limits->ends_ms == 0 || limits->starts_ms < limits->ends_ms;
}

/* Lower-case names, a leading dot allowed, each with a newline behind it. */
static bool
hosts_valid(struct tracker_str hosts)
{
    size_t start = 0;

    if (hosts.len > TRACKER_HOSTS_MAX || (hosts.len > 0 && hosts.data[hosts.len - 1] != '\n'))
        return false;
    for (size_t i = 0; i < hosts.len; i++) {
        char c = hosts.data[i];
        if (c == '\n') {
            if (i - start < 1 || (i - start == 1 && hosts.data[start] == '.'))
                return false;
            start = i + 1;
        } else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
    }
    return true;
}

bool
tracker_snapshot_program_valid(const struct tracker_program_row *row)
{
    return row->id != 0 && state_valid(row->state)
           && row->attribution >= TRACKER_ATTRIBUTION_LAST && row->attribution <= TRACKER_ATTRIBUTION_BOTH
           && row->cookie_days <= TRACKER_COOKIE_DAYS_MAX && currency_valid(row->currency)
           && (row->fallback.len == 0 || template_valid(row->fallback));
}

bool
tracker_snapshot_campaign_valid(const struct tracker_campaign_row *row)
{
    return row->id != 0 && row->program != 0 && state_valid(row->state) && row->name.len <= TRACKER_NAME_MAX
           && (row->fallback.len == 0 || template_valid(row->fallback)) && hosts_valid(row->hosts)
           && limits_valid(&row->limits);
}

bool
tracker_snapshot_affiliate_valid(const struct tracker_affiliate_row *row)
{
    if (row->id == 0 || row->name.len > TRACKER_NAME_MAX)
        return false;
    switch ((enum tracker_affiliate_state) row->state) {
    case TRACKER_AFFILIATE_PENDING:
    case TRACKER_AFFILIATE_APPROVED:
    case TRACKER_AFFILIATE_SUSPENDED:
    case TRACKER_AFFILIATE_TERMINATED:
        return true;
    }
    return false;
}

bool
tracker_snapshot_link_valid(const struct tracker_link_row *row)
{
    return row->id != 0 && row->campaign != 0 && row->affiliate != 0 && state_valid(row->state)
           && code_valid(row->code) && template_valid(row->destination)
           && row->rules.len <= TRACKER_RULES_LEN_MAX
           && (row->rules.len == 0 || tracker_rules_check((const uint8_t *) row->rules.data, row->rules.len))
           && limits_valid(&row->limits) && row->redirect <= TRACKER_REDIRECT_307
           && row->referrer_policy <= TRACKER_REFERRER_UNSAFE_URL
           && (row->options & ~(TRACKER_LINK_PASS_UNKNOWN | TRACKER_LINK_NO_DEEP)) == 0;
}

/* Who may post conversions names the program he may post them for: 0 must never mean "any". */
bool
tracker_snapshot_api_user_valid(const struct tracker_api_user_row *row)
{
    if (row->id == 0 || (row->state != TRACKER_STATE_ACTIVE && row->state != TRACKER_STATE_PAUSED)
        || !tracker_networks_check(row->networks) || row->secret.len > TRACKER_SECRET_SEALED_MAX)
        return false;
    switch ((enum tracker_role) row->role) {
    case TRACKER_ROLE_AFFILIATE:
        return row->affiliate != 0;
    case TRACKER_ROLE_ADVERTISER:
        return row->program != 0;
    }
    return false;
}

bool
tracker_snapshot_api_key_valid(const struct tracker_api_key_row *row)
{
    return row->api_user != 0 && (row->state == TRACKER_STATE_ACTIVE || row->state == TRACKER_STATE_ARCHIVED);
}

static bool
datacentres_valid(struct tracker_str bytes)
{
    uint32_t last = 0;

    for (size_t at = 0; at < bytes.len; at += 4) {
        uint32_t asn = tracker_get32((const uint8_t *) bytes.data + at);
        if (asn <= last)
            return false;
        last = asn;
    }
    return bytes.len % 4 == 0;
}

bool
tracker_snapshot_blob_valid(uint32_t kind, struct tracker_str bytes)
{
    if (bytes.len == 0 || bytes.len > TRACKER_BLOB_MAX)
        return false;
    switch ((enum tracker_blob) kind) {
    case TRACKER_BLOB_AGENTS:
        return tracker_agents_check((const uint8_t *) bytes.data, bytes.len);
    case TRACKER_BLOB_DATACENTRES:
        return datacentres_valid(bytes);
    }
    return false;
}
