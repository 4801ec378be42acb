/*
 * fact_rows.c - one record, one row.
 */
#include "service/fact_rows.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "store/click.h"
#include "store/lead_fact.h"

#define AGENT_SLOTS 65536u             /* user agents remembered; a power of two */
#define TIME_MS_MAX (UINT64_C(1) << 42) /* what a click id can say */
#define CODE_MAX    32                 /* bytes of an API call's code */
#define METHOD_MAX  16

/* Which user agent has which id, by a keyed 128-bit hash: texts need not be kept. */
struct agent_slot {
    uint8_t hash[crypto_shorthash_siphashx24_BYTES];
    int64_t id; /* 0: empty */
};
struct fact_agents {
    uint8_t           key[crypto_shorthash_siphashx24_KEYBYTES];
    bool              open; /* some were learnt in a transaction that is not committed */
    struct agent_slot slots[AGENT_SLOTS];
};

bool
fact_rows_init(struct fact_rows *rows, const struct tracker_keys *keys)
{
    memset(rows, 0, sizeof(*rows));
    rows->keys = keys;
    rows->agents = calloc(1, sizeof(*rows->agents));
    if (rows->agents == NULL)
        return false;
    randombytes_buf(rows->agents->key, sizeof(rows->agents->key));
    return true;
}

void
fact_rows_free(struct fact_rows *rows)
{
    free(rows->agents);
    free(rows->clicks.rows);
    free(rows->impressions.rows);
    free(rows->conversions.rows);
    free(rows->leads.rows);
    free(rows->calls.rows);
    fact_arena_free(&rows->arena);
}

bool
fact_room(void **array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t larger = *cap == 0 ? 64 : *cap * 2;
    void  *moved = reallocarray(*array, larger, size);
    if (moved == NULL) {
        log_error("ingest", "out of memory");
        return false;
    }
    *array = moved;
    *cap = larger;
    return true;
}

/* A zeroed place, which counts only once list->count grows; NULL: no memory. */
static void *
place(struct fact_list *list, size_t size)
{
    char *row;

    if (!fact_room(&list->rows, &list->cap, list->count, size))
        return NULL;
    row = (char *) list->rows + list->count * size;
    memset(row, 0, size);
    return row;
}

/* ---- clicks and impressions ---- */

static enum db_result
agent_id(struct fact_rows *rows, struct db *db, struct tracker_str text, int64_t *id)
{
    struct fact_agents *agents = rows->agents;
    uint8_t             hash[crypto_shorthash_siphashx24_BYTES];
    size_t              index;

    *id = 0;
    if (text.len == 0)
        return DB_OK;
    crypto_shorthash_siphashx24(hash, (const unsigned char *) text.data, text.len, agents->key);
    memcpy(&index, hash, sizeof(index));

    struct agent_slot *slot = &agents->slots[index & (AGENT_SLOTS - 1)];
    if (slot->id != 0 && memcmp(slot->hash, hash, sizeof(hash)) == 0) {
        *id = slot->id;
        return DB_OK;
    }
    enum db_result result = user_agent_id(db, text, id);
    if (result == DB_OK) {
        memcpy(slot->hash, hash, sizeof(hash));
        slot->id = *id;
        agents->open = true;
    }
    return result;
}

/* Empty, or forty characters of a click id's alphabet. */
static bool
is_click_id(struct tracker_str text)
{
    uint8_t bytes[CLICK_ID_BYTES];
    return text.len == 0 || (text.len == TRACKER_CLICK_ID_LEN && click_id_pack(text.data, bytes));
}

static void
fill_click(struct fact_rows *rows, const struct tracker_click *click, struct click_row *row)
{
    const struct fact_member members[] = {
        { "ref_id", click->ref_id },     { "source", click->source }, { "creative", click->creative },
        { "cost", click->cost },         { "language", click->language }, { "deep", click->deep },
        { "sub1", click->sub[0] },       { "sub2", click->sub[1] },   { "sub3", click->sub[2] },
        { "sub4", click->sub[3] },       { "sub5", click->sub[4] },   { "sub6", click->sub[5] },
        { "sub7", click->sub[6] },       { "sub8", click->sub[7] },   { "sub9", click->sub[8] },
        { "sub10", click->sub[9] },
    };

    row->program = click->program;
    row->campaign = click->campaign;
    row->link = click->link;
    row->affiliate = click->affiliate;
    row->flags = click->flags;
    row->config_version = click->config_version;
    row->ip = click->ip;
    row->ip_form = click->ip_form;
    row->country = fact_text(&rows->arena, click->country);
    row->region = fact_text(&rows->arena, click->region);
    row->city = fact_text(&rows->arena, click->city);
    row->asn = click->asn;
    row->device = click->device;
    row->os = click->os;
    row->browser = click->browser;
    row->rule = click->rule;
    row->target = click->target;
    row->first_touch = click->first_touch;
    row->referrer = fact_text(&rows->arena, click->referrer);
    row->params = fact_object(&rows->arena, members, sizeof(members) / sizeof(members[0]));
}

static void
name_click(struct fact_rows *rows, const struct journal_row *journal, const struct tracker_click *click,
           struct click_row *row)
{
    const struct tracker_click_id id = {
        .time_ms = row->time_ms,
        .journal = tracker_journal_id_short(&journal->uuid),
        .sequence = (uint32_t) row->seq,
        .link = click->link,
        .key = click->key,
        .recorded = true,
    };
    char text[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(rows->keys, &id, text);
    click_id_pack(text, row->click_id);
}

/* A click, or an impression, which has a click's payload but leads nowhere: it needs no id. */
static enum db_result
add_click(struct fact_rows *rows, struct db *db, const struct journal_row *journal,
          const struct tracker_record *record, const char **refused)
{
    bool                 is_click = record->type == TRACKER_EVENT_CLICK;
    struct fact_list    *list = is_click ? &rows->clicks : &rows->impressions;
    struct tracker_click click;

    if (!tracker_click_decode(record->payload, record->len, &click) || click.config_version > INT64_MAX
        || !is_click_id(click.first_touch)) {
        *refused = "bad_payload";
        return DB_OK;
    }
    if (is_click && !tracker_keys_has(rows->keys, click.key)) {
        *refused = "unknown_key"; /* its click id cannot be told: the key was retired too early */
        return DB_OK;
    }

    struct click_row *row = place(list, sizeof(*row));
    if (row == NULL)
        return DB_FAILED;
    row->journal_id = journal->id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = rows->now_ms;
    fill_click(rows, &click, row);
    if (is_click)
        name_click(rows, journal, &click, row);

    enum db_result result = agent_id(rows, db, fact_text(&rows->arena, click.user_agent), &row->user_agent_id);
    if (result == DB_OK)
        list->count++;
    return result;
}

/* ---- conversions ---- */

static bool
has_control(struct tracker_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char) text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    }
    return false;
}

/* No edge takes a control byte in a txid, and what stands in for a missing one begins with one. */
static enum db_result
add_conversion(struct fact_rows *rows, const struct journal_row *journal, const struct tracker_record *record,
               const char **refused)
{
    struct tracker_conversion conversion;

    if (!tracker_conversion_decode(record->payload, record->len, &conversion)
        || conversion.event_time_ms >= TIME_MS_MAX || conversion.event.len == 0
        || conversion.status > TRACKER_CONVERSION_CHARGEBACK_WON || !is_click_id(conversion.click_id)
        || !is_click_id(conversion.cookie_first) || !is_click_id(conversion.cookie_last)
        || has_control(conversion.txid)) {
        *refused = "bad_payload";
        return DB_OK;
    }

    struct conversion_fact_row *row = place(&rows->conversions, sizeof(*row));
    if (row == NULL)
        return DB_FAILED;
    rows->conversions.count++;
    row->journal_id = journal->id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = rows->now_ms;
    row->event_time_ms = conversion.event_time_ms != 0 ? conversion.event_time_ms : record->time_ms;
    row->program = conversion.program;
    row->api_user = conversion.api_user;
    row->auth = conversion.auth;
    row->status = conversion.status;
    row->has_amount = conversion.has_amount;
    row->amount = conversion.amount;
    row->click_id = conversion.click_id;
    row->event = conversion.event;
    row->cookie_first = conversion.cookie_first;
    row->cookie_last = conversion.cookie_last;
    row->coupon = fact_text(&rows->arena, conversion.coupon);
    row->customer = fact_text(&rows->arena, conversion.customer);
    row->txid = fact_text(&rows->arena, conversion.txid);
    row->refund_id = fact_text(&rows->arena, conversion.refund_id);
    row->referrer = fact_text(&rows->arena, conversion.referrer);
    row->ip = conversion.ip;

    struct fact_member members[] = {
        { "p1", conversion.p[0] },  { "p2", conversion.p[1] }, { "p3", conversion.p[2] },
        { "p4", conversion.p[3] },  { "p5", conversion.p[4] }, { "p6", conversion.p[5] },
        { "p7", conversion.p[6] },  { "p8", conversion.p[7] }, { "p9", conversion.p[8] },
        { "p10", conversion.p[9] },
    };
    row->params = fact_object(&rows->arena, members, sizeof(members) / sizeof(members[0]));
    return DB_OK;
}

/* ---- leads and the API's log ---- */

static bool
lead_is_sound(const struct tracker_lead *lead)
{
    bool api = lead->kind == TRACKER_LEAD_API;

    if ((!api && lead->kind != TRACKER_LEAD_FORM) || lead->program == 0 || (lead->api_user != 0) != api
        || (lead->form != 0) == api)
        return false;
    return lead->id.len == TRACKER_LEAD_ID_LEN && lead->content.len == 16 && lead->key.len <= TRACKER_LEAD_KEY_MAX
           && !has_control(lead->key) && is_click_id(lead->click_id) && is_click_id(lead->cookie_first)
           && is_click_id(lead->cookie_last) && tracker_pairs_check(lead->fields);
}

static enum db_result
add_lead(struct fact_rows *rows, const struct journal_row *journal, const struct tracker_record *record,
         const char **refused)
{
    struct tracker_lead lead;

    if (!tracker_lead_decode(record->payload, record->len, &lead) || !lead_is_sound(&lead)) {
        *refused = "bad_payload";
        return DB_OK;
    }

    struct lead_fact_row *row = place(&rows->leads, sizeof(*row));
    if (row == NULL)
        return DB_FAILED;
    rows->leads.count++;
    row->journal_id = journal->id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = rows->now_ms;
    row->program = lead.program;
    row->api_user = lead.api_user;
    row->form = lead.form;
    row->affiliate = lead.affiliate;
    row->flags = lead.flags;
    row->kind = lead.kind;
    row->auth = lead.auth;
    row->ip_form = lead.ip_form;
    tracker_lead_hex((const uint8_t *) lead.id.data, row->uid);
    row->content = lead.content;
    row->key = fact_text(&rows->arena, lead.key);
    row->click_id = lead.click_id;
    row->cookie_first = lead.cookie_first;
    row->cookie_last = lead.cookie_last;
    row->ip = lead.ip;
    row->user_agent = fact_text(&rows->arena, lead.user_agent);
    row->referrer = fact_text(&rows->arena, lead.referrer);
    row->language = fact_text(&rows->arena, lead.language);
    row->fields = fact_fields(&rows->arena, lead.fields);
    return DB_OK;
}

static bool
is_code(struct tracker_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return text.len > 0 && text.len <= CODE_MAX;
}

static enum db_result
add_call(struct fact_rows *rows, const struct journal_row *journal, const struct tracker_record *record,
         const char **refused)
{
    struct tracker_api_call call;

    if (!tracker_api_call_decode(record->payload, record->len, &call) || !is_code(call.code) || call.count == 0
        || call.status < 100 || call.status > 599 || call.method.len == 0 || call.method.len > METHOD_MAX
        || (call.lead.len != 0 && call.lead.len != TRACKER_LEAD_ID_LEN)) {
        *refused = "bad_payload";
        return DB_OK;
    }

    struct api_call_row *row = place(&rows->calls, sizeof(*row));
    if (row == NULL)
        return DB_FAILED;
    rows->calls.count++;
    row->journal_id = journal->id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = rows->now_ms;
    row->program = call.program;
    row->api_user = call.api_user;
    row->count = call.count;
    row->status = call.status;
    row->items = call.items;
    row->ip_form = call.ip_form;
    row->code = call.code;
    row->method = fact_text(&rows->arena, call.method);
    row->path = fact_text(&rows->arena, call.path);
    row->key_prefix = fact_text(&rows->arena, call.key_prefix);
    row->ip = call.ip;
    row->user_agent = fact_text(&rows->arena, call.user_agent);
    row->has_lead = call.lead.len != 0;
    if (row->has_lead)
        tracker_lead_hex((const uint8_t *) call.lead.data, row->lead_uid);
    return DB_OK;
}

/* ---- the transaction ---- */

enum db_result
fact_rows_add(struct fact_rows *rows, struct db *db, const struct journal_row *journal,
              const struct tracker_record *record, const char **refused)
{
    if (record->time_ms >= TIME_MS_MAX) {
        *refused = "bad_payload";
        return DB_OK;
    }
    switch (record->type) {
    case TRACKER_EVENT_CLICK:
    case TRACKER_EVENT_IMPRESSION:
        return add_click(rows, db, journal, record, refused);
    case TRACKER_EVENT_CONVERSION:
        return add_conversion(rows, journal, record, refused);
    case TRACKER_EVENT_LEAD:
        return add_lead(rows, journal, record, refused);
    case TRACKER_EVENT_API_CALL:
        return add_call(rows, journal, record, refused);
    }
    *refused = "unknown_type"; /* of a newer edge: not lost, kept until we know it */
    return DB_OK;
}

void
fact_rows_begin(struct fact_rows *rows, uint64_t now_us)
{
    if (rows->agents->open) { /* a rollback took back the ids it had given */
        memset(rows->agents->slots, 0, sizeof(rows->agents->slots));
        rows->agents->open = false;
    }
    rows->now_ms = now_us / 1000;
    rows->clicks.count = rows->impressions.count = rows->conversions.count = 0;
    rows->leads.count = rows->calls.count = 0;
    fact_arena_reset(&rows->arena);
}

static enum db_result
put_click(struct db_bulk *bulk, const void *row)
{
    return click_bulk_row(bulk, row);
}

static enum db_result
put_impression(struct db_bulk *bulk, const void *row)
{
    return impression_bulk_row(bulk, row);
}

static enum db_result
put_conversion(struct db_bulk *bulk, const void *row)
{
    return conversion_fact_bulk_row(bulk, row);
}

static enum db_result
put_lead(struct db_bulk *bulk, const void *row)
{
    return lead_fact_bulk_row(bulk, row);
}

static enum db_result
put_call(struct db_bulk *bulk, const void *row)
{
    return api_call_bulk_row(bulk, row);
}

enum db_result
fact_rows_store(struct fact_rows *rows, struct db *db)
{
    const struct {
        const struct fact_list *list;
        size_t                  size;
        struct db_bulk *(*begin)(struct db *db);
        enum db_result (*put)(struct db_bulk *bulk, const void *row);
    } tables[] = {
        { &rows->clicks, sizeof(struct click_row), click_bulk_begin, put_click },
        { &rows->impressions, sizeof(struct click_row), impression_bulk_begin, put_impression },
        { &rows->conversions, sizeof(struct conversion_fact_row), conversion_fact_bulk_begin, put_conversion },
        { &rows->leads, sizeof(struct lead_fact_row), lead_fact_bulk_begin, put_lead },
        { &rows->calls, sizeof(struct api_call_row), api_call_bulk_begin, put_call },
    };
    enum db_result result = rows->arena.failed ? DB_FAILED : DB_OK;

    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]) && result == DB_OK; t++) {
        const char *row = tables[t].list->rows;
        if (tables[t].list->count == 0)
            continue;
        struct db_bulk *bulk = tables[t].begin(db);
        for (size_t i = 0; i < tables[t].list->count && result == DB_OK; i++)
            result = tables[t].put(bulk, row + i * tables[t].size);
        enum db_result ended = db_bulk_end(bulk);
        result = result == DB_OK ? ended : result;
    }
    return result;
}

size_t
fact_rows_committed(struct fact_rows *rows)
{
    rows->agents->open = false;
    return rows->leads.count;
}
