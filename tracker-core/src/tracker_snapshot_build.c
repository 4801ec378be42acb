/*
 * tracker_snapshot_build.c - rows into one snapshot file.
 *
 * Rows are kept as the records they become, one growing run of bytes per
 * section.  tracker_snapshot_build sorts each section by hash (the key decides
 * between equal hashes), which gives every row its slot and the file its one
 * possible order.
 */
#include <errno.h>
#include <stdlib.h>

#include "tracker_snapshot_internal.h"

struct row_buffer {
    uint8_t *bytes;
    size_t   len, cap;
    size_t   count;
};

struct tracker_snapshot_builder {
    struct row_buffer rows[SNAPSHOT_SECTIONS];
};

/* A section about to be written: where each row goes. */
struct section_plan {
    struct planned_row {
        uint64_t hash;
        size_t   at; /* of the record in its row buffer */
    }       *order;
    uint32_t count, homes, max_probe;
    uint64_t len;
};

struct tracker_snapshot_builder *
tracker_snapshot_builder_new(void)
{
    return calloc(1, sizeof(struct tracker_snapshot_builder));
}

void
tracker_snapshot_builder_free(struct tracker_snapshot_builder *b)
{
    if (b == NULL)
        return;
    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++)
        free(b->rows[rows].bytes);
    free(b);
}

/* ---- adding rows ---- */

/* Zeroed room for one more record of len bytes, or NULL. */
static uint8_t *
row_room(struct row_buffer *rows, size_t len)
{
    size_t padded = snapshot_padded(len);

    if (rows->cap - rows->len < padded) {
        size_t   cap = rows->cap * 2 + padded + 65536;
        uint8_t *bytes = realloc(rows->bytes, cap);
        if (bytes == NULL)
            return NULL;
        rows->bytes = bytes;
        rows->cap = cap;
    }

    uint8_t *record = rows->bytes + rows->len;
    memset(record, 0, padded);
    rows->len += padded;
    rows->count++;
    return record;
}

static uint8_t *
put_str(uint8_t *at, struct tracker_str s)
{
    if (s.len > 0)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

int
tracker_snapshot_add_program(struct tracker_snapshot_builder *b, const struct tracker_program_row *row)
{
    if (!tracker_snapshot_program_valid(row))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_PROGRAMS],
                               SNAPSHOT_PROGRAM_FIXED + row->fallback.len + row->platform_url.len);
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    tracker_put32(record + 4, row->cookie_days);
    record[8] = row->state;
    record[9] = row->attribution;
    tracker_put16(record + 10, (uint16_t) row->fallback.len);
    put_str(record + 12, row->currency);
    tracker_put32(record + 16, row->platform_user);
    tracker_put16(record + 20, (uint16_t) row->platform_url.len);
    put_str(put_str(record + SNAPSHOT_PROGRAM_FIXED, row->fallback), row->platform_url);
    return 0;
}

static void
put_limits(uint8_t *at, const struct tracker_limits *limits)
{
    tracker_put64(at, limits->starts_ms);
    tracker_put64(at + 8, limits->ends_ms);
    tracker_put64(at + 16, limits->capped_until_ms);
    tracker_put32(at + 24, limits->cap_day);
    tracker_put32(at + 28, limits->cap_total);
}

int
tracker_snapshot_add_campaign(struct tracker_snapshot_builder *b, const struct tracker_campaign_row *row)
{
    if (!tracker_snapshot_campaign_valid(row))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_CAMPAIGNS],
                               SNAPSHOT_CAMPAIGN_FIXED + row->name.len + row->fallback.len + row->hosts.len);
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    tracker_put32(record + 4, row->program);
    record[8] = row->state;
    record[9] = (uint8_t) row->name.len;
    tracker_put16(record + 10, (uint16_t) row->fallback.len);
    tracker_put16(record + 12, (uint16_t) row->hosts.len);
    put_limits(record + 16, &row->limits);
    put_str(put_str(put_str(record + SNAPSHOT_CAMPAIGN_FIXED, row->name), row->fallback), row->hosts);
    return 0;
}

int
tracker_snapshot_add_affiliate(struct tracker_snapshot_builder *b, const struct tracker_affiliate_row *row)
{
    if (!tracker_snapshot_affiliate_valid(row))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_AFFILIATES], SNAPSHOT_AFFILIATE_FIXED + row->name.len);
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    record[4] = row->state;
    record[5] = (uint8_t) row->name.len;
    put_str(record + SNAPSHOT_AFFILIATE_FIXED, row->name);
    return 0;
}

/* A link that is more than a code and a destination. */
static bool
link_extended(const struct tracker_link_row *row)
{
    static const struct tracker_limits none;

    return row->rules.len != 0 || row->redirect != 0 || row->referrer_policy != 0 || row->options != 0
           || memcmp(&row->limits, &none, sizeof(none)) != 0;
}

_Static_assert(sizeof(struct tracker_limits) == 32, "no padding: limits are compared as bytes");

int
tracker_snapshot_add_link(struct tracker_snapshot_builder *b, const struct tracker_link_row *row)
{
    if (!tracker_snapshot_link_valid(row))
        return -EINVAL;

    bool     extended = link_extended(row);
    size_t   extension = SNAPSHOT_LINK_FIXED + row->code.len + row->destination.len;
    uint8_t *record = row_room(&b->rows[SNAPSHOT_LINKS],
                               extension + (extended ? SNAPSHOT_LINK_EXTENSION + row->rules.len : 0));
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    tracker_put32(record + 4, row->campaign);
    tracker_put32(record + 8, row->affiliate);
    record[12] = row->state | (extended ? SNAPSHOT_LINK_EXTENDED : 0);
    record[13] = (uint8_t) row->code.len;
    tracker_put16(record + 14, (uint16_t) row->destination.len);
    put_str(put_str(record + SNAPSHOT_LINK_FIXED, row->code), row->destination);
    if (!extended)
        return 0;

    put_limits(record + extension, &row->limits);
    record[extension + 32] = row->redirect;
    record[extension + 33] = row->referrer_policy;
    record[extension + 34] = row->options;
    tracker_put16(record + extension + 36, (uint16_t) row->rules.len);
    put_str(record + extension + SNAPSHOT_LINK_EXTENSION, row->rules);
    return 0;
}

/* Networks are kept sorted: a look-up among many costs little more than one among few. */
int
tracker_snapshot_add_api_user(struct tracker_snapshot_builder *b, const struct tracker_api_user_row *row)
{
    uint8_t                     sorted[TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN];
    struct tracker_str          networks = { (const char *) sorted, 0 };
    struct tracker_api_user_row with = *row;

    if (!tracker_networks_check(row->networks))
        return -EINVAL;
    put_str(sorted, row->networks);
    networks.len = tracker_networks_sort(sorted, row->networks.len);
    with.networks = networks;
    if (!tracker_snapshot_api_user_valid(&with))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_API_USERS],
                               SNAPSHOT_API_USER_FIXED + networks.len + row->secret.len);
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    tracker_put32(record + 4, row->program);
    tracker_put32(record + 8, row->affiliate);
    tracker_put32(record + 12, row->scopes);
    tracker_put64(record + 16, row->expires_ms);
    tracker_put32(record + 24, row->rate_minute);
    record[28] = row->state;
    record[29] = row->role;
    record[30] = row->restricted;
    record[31] = (uint8_t) row->secret.len;
    tracker_put16(record + 32, (uint16_t) networks.len);
    record[34] = row->options;
    put_str(put_str(record + SNAPSHOT_API_USER_FIXED, networks), row->secret);
    return 0;
}

int
tracker_snapshot_add_api_key(struct tracker_snapshot_builder *b, const struct tracker_api_key_row *row)
{
    if (!tracker_snapshot_api_key_valid(row))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_API_KEYS], SNAPSHOT_API_KEY_FIXED);
    if (record == NULL)
        return -ENOMEM;
    memcpy(record, row->hash, TRACKER_API_KEY_HASH_LEN);
    tracker_put32(record + 32, row->api_user);
    record[36] = row->state;
    return 0;
}

static size_t
form_len(const struct tracker_form_row *row)
{
    return SNAPSHOT_FORM_FIXED + row->key.len + row->definition.len + row->page.len + row->done.len + row->wait.len
           + row->after_url.len + row->frame_ancestors.len + row->origins.len;
}

int
tracker_snapshot_add_form(struct tracker_snapshot_builder *b, const struct tracker_form_row *row)
{
    if (!tracker_snapshot_form_valid(row))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_FORMS], form_len(row));
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, row->id);
    tracker_put32(record + 4, row->program);
    tracker_put32(record + 8, row->affiliate);
    tracker_put32(record + 12, row->min_fill_ms);
    tracker_put32(record + 16, row->rate_minute);
    tracker_put32(record + 20, (uint32_t) row->definition.len);
    tracker_put32(record + 24, (uint32_t) row->page.len);
    tracker_put32(record + 28, (uint32_t) row->done.len);
    tracker_put32(record + 32, (uint32_t) row->wait.len);
    tracker_put16(record + 36, (uint16_t) row->after_url.len);
    tracker_put16(record + 38, (uint16_t) row->frame_ancestors.len);
    tracker_put16(record + 40, (uint16_t) row->origins.len);
    record[42] = row->state;
    record[43] = row->after;
    record[44] = row->options;
    record[45] = (uint8_t) row->key.len;

    uint8_t *at = put_str(put_str(record + SNAPSHOT_FORM_FIXED, row->key), row->definition);
    at = put_str(put_str(put_str(at, row->page), row->done), row->wait);
    put_str(put_str(put_str(at, row->after_url), row->frame_ancestors), row->origins);
    return 0;
}

int
tracker_snapshot_add_blob(struct tracker_snapshot_builder *b, enum tracker_blob blob, const uint8_t *bytes,
                          size_t len)
{
    struct tracker_str content = { (const char *) bytes, len };

    if (!tracker_snapshot_blob_valid(blob, content))
        return -EINVAL;

    uint8_t *record = row_room(&b->rows[SNAPSHOT_BLOBS], SNAPSHOT_BLOB_FIXED + len);
    if (record == NULL)
        return -ENOMEM;
    tracker_put32(record, blob);
    tracker_put32(record + 4, (uint32_t) len);
    put_str(record + SNAPSHOT_BLOB_FIXED, content);
    return 0;
}

/* ---- building ---- */

static int plan_section(struct section_plan *plan, const struct row_buffer *buffer, enum snapshot_rows rows,
                        const uint8_t *seed);
static void write_section(uint8_t *bytes, uint64_t offset, const struct section_plan *plan,
                          const struct row_buffer *buffer, enum snapshot_rows rows);

/*
 * The seed follows from the key: the same rows give the same bytes, yet nobody
 * without the key can choose codes that meet in one place.
 */
static void
derive_seed(const struct tracker_keys *keys, uint8_t seed[crypto_shorthash_KEYBYTES])
{
    uint8_t key[TRACKER_KEY_LEN];

    tracker_keys_derive(keys, keys->current, TRACKER_LABEL_SNAPSHOT, "slots", 5, key);
    memcpy(seed, key, crypto_shorthash_KEYBYTES);
    sodium_memzero(key, sizeof(key));
}

static void
write_header(uint8_t *bytes, uint64_t size, uint8_t key, uint64_t version, uint64_t created_ms,
             const uint8_t *base_hash, const uint8_t *seed)
{
    memcpy(bytes, SNAPSHOT_MAGIC, sizeof(SNAPSHOT_MAGIC) - 1);
    tracker_put32(bytes + SNAPSHOT_FORMAT_AT, SNAPSHOT_FORMAT);
    bytes[SNAPSHOT_KIND_AT] = base_hash == NULL ? SNAPSHOT_BASE : SNAPSHOT_DELTA;
    bytes[SNAPSHOT_KEY_AT] = key;
    tracker_put16(bytes + SNAPSHOT_SECTION_COUNT_AT, SNAPSHOT_SECTIONS);
    tracker_put64(bytes + SNAPSHOT_VERSION_AT, version);
    tracker_put64(bytes + SNAPSHOT_CREATED_AT, created_ms);
    tracker_put64(bytes + SNAPSHOT_SIZE_AT, size);
    if (base_hash != NULL)
        memcpy(bytes + SNAPSHOT_BASE_HASH_AT, base_hash, TRACKER_SNAPSHOT_HASH_LEN);
    memcpy(bytes + SNAPSHOT_SEED_AT, seed, crypto_shorthash_KEYBYTES);
}

int
tracker_snapshot_build(struct tracker_snapshot_builder *b, const struct tracker_keys *keys, uint64_t version,
                       uint64_t created_ms, const uint8_t *base_hash, uint8_t **out, size_t *len)
{
    struct section_plan plans[SNAPSHOT_SECTIONS] = { 0 };
    uint8_t             seed[crypto_shorthash_KEYBYTES];
    uint8_t            *bytes = NULL;
    uint64_t            size = SNAPSHOT_HEADER_LEN;
    int                 rc = 0;

    derive_seed(keys, seed);
    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++) {
        rc = plan_section(&plans[rows], &b->rows[rows], rows, seed);
        if (rc != 0)
            goto done;
        size += plans[rows].len;
    }
    size += SNAPSHOT_MAC_LEN;
    if (size > SNAPSHOT_SIZE_MAX) {
        rc = -EFBIG;
        goto done;
    }
    bytes = calloc(1, size);
    if (bytes == NULL) {
        rc = -ENOMEM;
        goto done;
    }

    write_header(bytes, size, keys->current, version, created_ms, base_hash, seed);
    uint64_t offset = SNAPSHOT_HEADER_LEN;
    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++) {
        write_section(bytes, offset, &plans[rows], &b->rows[rows], rows);
        offset += plans[rows].len;
    }
    tracker_snapshot_mac(keys, keys->current, bytes, size - SNAPSHOT_MAC_LEN,
                         bytes + size - SNAPSHOT_MAC_LEN);
    *out = bytes;
    *len = size;
done:
    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++)
        free(plans[rows].order);
    return rc;
}

/* ---- one section ---- */

struct sort_context {
    const struct row_buffer *buffer;
    enum snapshot_rows       rows;
};

static struct tracker_str
planned_key(const struct sort_context *context, const struct planned_row *row)
{
    return snapshot_record_key(context->rows, context->buffer->bytes + row->at);
}

static int
compare_rows(const void *a, const void *b, void *arg)
{
    const struct planned_row *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;

    struct tracker_str kx = planned_key(arg, x), ky = planned_key(arg, y);
    if (kx.len != ky.len)
        return kx.len < ky.len ? -1 : 1;
    return memcmp(kx.data, ky.data, kx.len);
}

static void
hash_rows(struct planned_row *order, const struct row_buffer *buffer, enum snapshot_rows rows,
          const uint8_t *seed)
{
    size_t at = 0;

    for (size_t i = 0; i < buffer->count; i++) {
        const uint8_t *record = buffer->bytes + at;
        order[i].hash = snapshot_hash(rows, seed, snapshot_record_key(rows, record));
        order[i].at = at;
        at += snapshot_padded(snapshot_record_len(rows, record, UINT64_MAX));
    }
}

/* The slot of a row, given the first slot that the rows before it leave free. */
static uint64_t
slot_of(uint64_t hash, uint32_t homes, uint64_t free_slot)
{
    uint64_t home = snapshot_home(hash, homes);

    return home > free_slot ? home : free_slot;
}

static int
plan_section(struct section_plan *plan, const struct row_buffer *buffer, enum snapshot_rows rows,
             const uint8_t *seed)
{
    struct sort_context context = { buffer, rows };
    size_t              count = buffer->count;
    uint64_t            free_slot = 0;

    if (count == 0)
        return 0;
    if (count > UINT32_MAX / 2)
        return -EFBIG;
    plan->order = malloc(count * sizeof(*plan->order));
    if (plan->order == NULL)
        return -ENOMEM;
    hash_rows(plan->order, buffer, rows, seed);
    qsort_r(plan->order, count, sizeof(*plan->order), compare_rows, &context);

    plan->count = (uint32_t) count;
    plan->homes = (uint32_t) (count + count / 2 + 1); /* load 2/3: a miss probes 5 slots, a line holds 8 */
    for (size_t i = 0; i < count; i++) {
        const struct planned_row *row = &plan->order[i];
        if (i > 0 && compare_rows(row - 1, row, &context) == 0)
            return -EINVAL;
        uint64_t slot = slot_of(row->hash, plan->homes, free_slot);
        uint64_t probe = slot - snapshot_home(row->hash, plan->homes);
        if (probe > plan->max_probe)
            plan->max_probe = (uint32_t) probe;
        free_slot = slot + 1;
    }
    plan->len = ((uint64_t) plan->homes + plan->max_probe) * SNAPSHOT_SLOT_LEN + buffer->len;
    return 0;
}

static void
write_section(uint8_t *bytes, uint64_t offset, const struct section_plan *plan,
              const struct row_buffer *buffer, enum snapshot_rows rows)
{
    uint8_t *entry = bytes + SNAPSHOT_SECTIONS_AT + rows * SNAPSHOT_SECTION_LEN;
    uint64_t at = offset + ((uint64_t) plan->homes + plan->max_probe) * SNAPSHOT_SLOT_LEN;
    uint64_t free_slot = 0;

    tracker_put32(entry, plan->count);
    tracker_put32(entry + 4, plan->homes);
    tracker_put32(entry + 8, plan->max_probe);
    tracker_put64(entry + 16, offset);
    tracker_put64(entry + 24, plan->len);

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct planned_row *row = &plan->order[i];
        const uint8_t            *record = buffer->bytes + row->at;
        size_t                    padded = snapshot_padded(snapshot_record_len(rows, record, UINT64_MAX));
        uint64_t                  slot = slot_of(row->hash, plan->homes, free_slot);
        uint8_t                  *to = bytes + offset + slot * SNAPSHOT_SLOT_LEN;

        tracker_put32(to, (uint32_t) row->hash);
        tracker_put32(to + 4, (uint32_t) (at / 8));
        memcpy(bytes + at, record, padded);
        at += padded;
        free_slot = slot + 1;
    }
}
