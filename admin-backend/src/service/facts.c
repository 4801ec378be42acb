/*
 * facts.c - the transaction of ingest.
 */
#include "service/facts.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "service/fact_text.h"
#include "store/click.h"
#include "store/journal.h"
#include "tracker_sender.h"

#define AGENT_SLOTS        65536u             /* user agents remembered; a power of two */
#define ASK_SLOTS          4096u              /* journals remembered that were asked to send again */
#define ASK_AGAIN_US       500000u /* the same position is asked for again after this and as much jitter */
#define POISON_TRIES       3
/*
 * What an adopter calls lost is believed once the owner was silent for three idle beats: a torn copy of a living
 * journal's folder lacks records that their owner is about to ship.
 */
#define OWNER_SILENT_US    (3 * TRACKER_IDLE_BEAT_MS * UINT64_C(1000))
#define TIME_MS_MAX        (UINT64_C(1) << 42) /* what a click id can say */
#define REFUSED_BYTES_KEPT 4096u              /* of something nobody vouches for */

/* Which user agent has which id, by a keyed 128-bit hash: texts need not be kept. */
struct agent_slot {
    uint8_t hash[crypto_shorthash_siphashx24_BYTES];
    int64_t id; /* 0: empty */
};

/* When a journal was last asked to go back, and to where: once per position. */
struct ask_slot {
    struct tracker_journal_id journal;
    uint64_t                  next;
    uint64_t                  again_us;
};

/* A journal as one transaction sees it. */
struct fact_journal {
    struct journal_row row;
    uint32_t           salt;
    bool               asked; /* in this transaction */
};

struct facts {
    struct db_pool            *pool;
    const struct tracker_keys *keys;
    uint64_t (*now_us)(void);
    void (*before_commit)(void *ctx);
    void *hook_ctx;

    struct agent_slot *agents;
    uint8_t            agent_key[crypto_shorthash_siphashx24_KEYBYTES];
    bool               agents_open; /* some were learnt in a transaction that is not committed */
    struct ask_slot   *asks;

    struct fact_answer *answers;
    size_t              answer_count, answer_cap;
    struct fact_entry **order; /* by journal and first sequence */
    size_t              order_cap;
    uint64_t            committed, quarantined;

    /* ---- of the transaction that runs; a retry starts it afresh ---- */
    size_t   entry_count;
    size_t   at;          /* first entry of the order that is not decided */
    size_t   done;        /* first entry that this transaction did not finish */
    uint32_t limit;       /* records it may take */
    uint32_t taken;
    uint64_t now;
    bool     poison_set;  /* the record to quarantine instead of storing it */
    struct tracker_journal_id poison_journal;
    uint64_t                  poison_seq;
    struct tracker_journal_id first_journal; /* of the first record it took */
    uint64_t                  first_seq;
    uint64_t                  tx_committed, tx_quarantined;

    struct fact_journal *journals;
    size_t               journal_count, journal_cap;
    struct click_row    *clicks, *impressions;
    size_t               click_count, click_cap, impression_count, impression_cap;
    struct conversion_fact_row *conversions;
    size_t                      conversion_count, conversion_cap;
    struct fact_arena           arena;
};

static enum db_result facts_work(struct db *db, void *ctx);
static enum db_result facts_entry(struct facts *facts, struct db *db, const struct fact_entry *entry);
static enum db_result facts_pack(struct facts *facts, struct db *db, const struct fact_entry *entry);
static enum db_result facts_records(struct facts *facts, struct db *db, struct fact_journal *journal,
                                    struct tracker_receive *receive);
static enum db_result facts_record(struct facts *facts, struct db *db, struct fact_journal *journal,
                                   const struct tracker_record *record, const char **refused);
static enum db_result facts_store(struct facts *facts, struct db *db);
static void facts_begin(struct facts *facts);
static void facts_committed(struct facts *facts);
static bool facts_sort(struct facts *facts, struct fact_entry *entries, size_t count);
static bool facts_room(void **array, size_t *cap, size_t count, size_t size);
static void facts_ask(struct facts *facts, struct fact_journal *journal);

struct facts *
facts_new(struct db_pool *pool, const struct tracker_keys *keys, uint64_t (*now_us)(void))
{
    struct facts *facts = calloc(1, sizeof(*facts));
    if (facts == NULL)
        return NULL;

    facts->pool = pool;
    facts->keys = keys;
    facts->now_us = now_us;
    facts->agents = calloc(AGENT_SLOTS, sizeof(*facts->agents));
    facts->asks = calloc(ASK_SLOTS, sizeof(*facts->asks));
    randombytes_buf(facts->agent_key, sizeof(facts->agent_key));
    if (facts->agents == NULL || facts->asks == NULL) {
        facts_free(facts);
        return NULL;
    }
    return facts;
}

void
facts_free(struct facts *facts)
{
    if (facts == NULL)
        return;
    free(facts->agents);
    free(facts->asks);
    free(facts->answers);
    free(facts->order);
    free(facts->journals);
    free(facts->clicks);
    free(facts->impressions);
    free(facts->conversions);
    fact_arena_free(&facts->arena);
    free(facts);
}

void
facts_set_hook(struct facts *facts, void (*before_commit)(void *ctx), void *ctx)
{
    facts->before_commit = before_commit;
    facts->hook_ctx = ctx;
}

const struct fact_answer *
facts_answers(const struct facts *facts, size_t *count)
{
    *count = facts->answer_count;
    return facts->answers;
}

void
facts_counts(const struct facts *facts, uint64_t *committed, uint64_t *quarantined)
{
    *committed = facts->committed;
    *quarantined = facts->quarantined;
}

/* ---- from entries to transactions ---- */

enum db_result
facts_commit(struct facts *facts, struct fact_entry *entries, size_t count)
{
    int tries = 0;

    facts->answer_count = 0;
    facts->limit = FACTS_BATCH_RECORDS;
    facts->poison_set = false;
    if (!facts_sort(facts, entries, count))
        return DB_FAILED;

    while (facts->at < facts->entry_count) {
        enum db_result result = db_write(facts->pool, DB_WIRE, facts_work, facts);
        if (result == DB_OK) {
            facts_committed(facts);
            facts->poison_set = false;
            facts->limit = facts->limit > FACTS_BATCH_RECORDS / 2 ? FACTS_BATCH_RECORDS : facts->limit * 2;
            tries = 0;
            continue;
        }

        if (result != DB_CONFLICT || facts->taken == 0 || facts->poison_set)
            return result;
        if (facts->taken > 1) {
            facts->limit = facts->taken / 2;
        } else if (++tries == POISON_TRIES) {
            facts->poison_set = true;
            facts->poison_journal = facts->first_journal;
            facts->poison_seq = facts->first_seq;
            log_error("ingest", "a record cannot be stored and is quarantined: %s", db_last_message());
        }
    }
    return DB_OK;
}

/* Everything from `at` on that fits the limit, in one transaction. */
static enum db_result
facts_work(struct db *db, void *ctx)
{
    struct facts  *facts = ctx;
    enum db_result result = DB_OK;

    facts_begin(facts);
    for (size_t i = facts->at; i < facts->entry_count && facts->taken < facts->limit; i++) {
        result = facts_entry(facts, db, facts->order[i]);
        if (result != DB_OK)
            return result;
    }
    result = facts_store(facts, db);
    if (result == DB_OK && facts->arena.failed)
        result = DB_FAILED;
    if (result == DB_OK && facts->before_commit != NULL)
        facts->before_commit(facts->hook_ctx);
    return result;
}

static enum db_result
facts_entry(struct facts *facts, struct db *db, const struct fact_entry *entry)
{
    if (entry->refused == NULL)
        return facts_pack(facts, db, entry);

    facts->done++;
    if (entry->refused_count == 0)
        return DB_OK;
    size_t len = entry->len < REFUSED_BYTES_KEPT ? entry->len : REFUSED_BYTES_KEPT;
    return quarantine_add(db, 0, 0, entry->refused_count, entry->refused, entry->bytes, len, facts->now);
}

/* The transaction's view of a pack's journal; entries come sorted, so it is the last one or a new one. */
static enum db_result
facts_journal(struct facts *facts, struct db *db, const struct tracker_pack *pack, struct fact_journal **out)
{
    if (facts->journal_count > 0) {
        *out = &facts->journals[facts->journal_count - 1];
        if (memcmp(&(*out)->row.uuid, &pack->journal, sizeof(pack->journal)) == 0)
            return DB_OK;
    }

    if (!facts_room((void **) &facts->journals, &facts->journal_cap, facts->journal_count,
                    sizeof(*facts->journals)))
        return DB_FAILED;
    struct fact_journal *journal = &facts->journals[facts->journal_count];
    journal->asked = false;
    journal->salt = tracker_record_salt(&pack->journal);

    enum db_result result = journal_load(db, &pack->journal, &journal->row);
    if (result == DB_DONE)
        result = journal_create(db, pack, facts->now, &journal->row);
    else if (result == DB_ROW)
        result = DB_OK;
    if (result != DB_OK)
        return result;

    facts->journal_count++;
    *out = journal;
    return DB_OK;
}

static enum db_result
facts_pack(struct facts *facts, struct db *db, const struct fact_entry *entry)
{
    const struct tracker_pack *pack = &entry->pack;
    struct fact_journal       *journal;
    struct tracker_receive     receive;

    enum db_result result = facts_journal(facts, db, pack, &journal);
    if (result != DB_OK)
        return result;

    struct journal_row *row = &journal->row;
    if (pack->accepted > row->accepted && pack->accepted <= TRACKER_SEQUENCE_MAX)
        row->accepted = pack->accepted;
    if (pack->dropped > row->dropped && pack->dropped <= INT64_MAX)
        row->dropped = pack->dropped;
    row->last_seen_us = facts->now;
    if (pack->by_owner)
        row->owner_seen_us = facts->now;

    tracker_receive(&row->at, pack, &receive);
    switch (receive.verdict) {
    case TRACKER_RECEIVE_APPLY:
        return facts_records(facts, db, journal, &receive);

    case TRACKER_RECEIVE_GAP:
        if (!pack->by_owner && facts->now < row->owner_seen_us + OWNER_SILENT_US)
            break; /* its teller goes back to our ack and says it again */
        result = journal_gap_add(db, row->id, receive.gap_from, receive.gap_to, pack->reason, facts->now);
        row->lost += receive.gap_to - receive.gap_from;
        row->at = receive.after;
        log_warn("ingest", "edge %s lost %llu events: they were never stored there or were freed", row->edge,
                 (unsigned long long) (receive.gap_to - receive.gap_from));
        break;

    case TRACKER_RECEIVE_NOTHING:
        /* An adopter's word is advisory: a living owner's next pack takes it back. */
        if (pack->kind == TRACKER_PACK_CLOSE && pack->first == row->at.next)
            row->closed = true;
        break;

    case TRACKER_RECEIVE_EARLY:
        row->closed = false;
        facts_ask(facts, journal);
        break;

    case TRACKER_RECEIVE_FORKED:
        if (!row->forked)
            log_error("ingest",
                      "a journal of edge %s lives on two machines (a copied folder?): what the second"
                      " one sends is quarantined",
                      row->edge);
        row->forked = true;
        if (pack->count > 0)
            result = quarantine_add_once(db, row->id, pack->first, pack->count, "journal_forked",
                                         pack->records, pack->records_len, facts->now);
        break;

    case TRACKER_RECEIVE_BAD:
        result = quarantine_add(db, row->id, receive.gap_from, (uint32_t) (receive.gap_to - receive.gap_from),
                                "bad_pack", pack->records, pack->records_len, facts->now);
        row->quarantined += receive.gap_to - receive.gap_from;
        facts->tx_quarantined += receive.gap_to - receive.gap_from;
        row->at = receive.after;
        break;
    }
    facts->done++;
    return result;
}

/* Records up to the limit; what it leaves of a pack comes in the next transaction, cut by the fence. */
static enum db_result
facts_records(struct facts *facts, struct db *db, struct fact_journal *journal,
              struct tracker_receive *receive)
{
    struct journal_row   *row = &journal->row;
    struct tracker_record record;
    const uint8_t        *raw = receive->records;
    uint64_t              hash = row->at.hash, sequence;
    int                   verdict;

    while (facts->taken < facts->limit
           && (verdict = tracker_receive_next(receive, journal->salt, &sequence, &record)) != 0) {
        const char *refused = verdict < 0 ? "bad_crc" : NULL;

        if (facts->taken++ == 0) {
            facts->first_journal = row->uuid;
            facts->first_seq = sequence;
        }
        if (facts->poison_set && facts->poison_seq == sequence
            && memcmp(&facts->poison_journal, &row->uuid, sizeof(row->uuid)) == 0)
            refused = "not_storable";

        enum db_result result = refused != NULL ? DB_OK : facts_record(facts, db, journal, &record, &refused);
        if (result == DB_OK && refused != NULL)
            result = quarantine_add(db, row->id, sequence, 1, refused, raw, (size_t) (receive->records - raw),
                                    facts->now);
        if (result != DB_OK)
            return result;

        *(refused != NULL ? &row->quarantined : &row->committed) += 1;
        *(refused != NULL ? &facts->tx_quarantined : &facts->tx_committed) += 1;
        hash = hash != 0 ? tracker_chain_next(hash, record.crc) : 0;
        row->at = (struct tracker_position){ .next = sequence + 1, .hash = hash };
        raw = receive->records;
    }

    row->closed = false;
    if (receive->count == 0) {
        row->at = receive->after;
        facts->done++;
    }
    return DB_OK;
}

/* ---- one record ---- */

static enum db_result
facts_agent(struct facts *facts, struct db *db, struct tracker_str text, int64_t *id)
{
    uint8_t hash[crypto_shorthash_siphashx24_BYTES];
    size_t  index;

    *id = 0;
    if (text.len == 0)
        return DB_OK;
    crypto_shorthash_siphashx24(hash, (const unsigned char *) text.data, text.len, facts->agent_key);
    memcpy(&index, hash, sizeof(index));

    struct agent_slot *slot = &facts->agents[index & (AGENT_SLOTS - 1)];
    if (slot->id != 0 && memcmp(slot->hash, hash, sizeof(hash)) == 0) {
        *id = slot->id;
        return DB_OK;
    }
    enum db_result result = user_agent_id(db, text, id);
    if (result == DB_OK) {
        memcpy(slot->hash, hash, sizeof(hash));
        slot->id = *id;
        facts->agents_open = true;
    }
    return result;
}

/* Empty, or forty characters of a click id's alphabet. */
static bool
facts_is_click_id(struct tracker_str text)
{
    uint8_t bytes[CLICK_ID_BYTES];
    return text.len == 0 || (text.len == TRACKER_CLICK_ID_LEN && click_id_pack(text.data, bytes));
}

/* A place of the rows of its type, zeroed but for its key; it counts only once *count grows. */
static struct click_row *
facts_click_place(struct facts *facts, struct fact_journal *journal, const struct tracker_record *record)
{
    bool               click = record->type == TRACKER_EVENT_CLICK;
    struct click_row **rows = click ? &facts->clicks : &facts->impressions;
    size_t            *cap = click ? &facts->click_cap : &facts->impression_cap;
    size_t             count = click ? facts->click_count : facts->impression_count;
    struct click_row  *row;

    if (!facts_room((void **) rows, cap, count, sizeof(**rows)))
        return NULL;
    row = &(*rows)[count];
    memset(row, 0, sizeof(*row));
    row->journal_id = journal->row.id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = facts->now / 1000;
    return row;
}

static void
facts_click_fill(struct facts *facts, const struct tracker_click *click, struct click_row *row)
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
    row->country = fact_text(&facts->arena, click->country);
    row->region = fact_text(&facts->arena, click->region);
    row->city = fact_text(&facts->arena, click->city);
    row->asn = click->asn;
    row->device = click->device;
    row->os = click->os;
    row->browser = click->browser;
    row->rule = click->rule;
    row->target = click->target;
    row->first_touch = click->first_touch;
    row->referrer = fact_text(&facts->arena, click->referrer);
    row->params = fact_object(&facts->arena, members, sizeof(members) / sizeof(members[0]));
}

static void
facts_click_name(struct facts *facts, const struct fact_journal *journal, const struct tracker_click *click,
                 struct click_row *row)
{
    const struct tracker_click_id id = {
        .time_ms = row->time_ms,
        .journal = tracker_journal_id_short(&journal->row.uuid),
        .sequence = (uint32_t) row->seq,
        .link = click->link,
        .key = click->key,
        .recorded = true,
    };
    char text[TRACKER_CLICK_ID_LEN];

    tracker_click_id_encode(facts->keys, &id, text);
    click_id_pack(text, row->click_id);
}

/* A click, or an impression, which has a click's payload but leads nowhere: it needs no id. */
static enum db_result
facts_click(struct facts *facts, struct db *db, struct fact_journal *journal,
            const struct tracker_record *record, const char **refused)
{
    bool                 is_click = record->type == TRACKER_EVENT_CLICK;
    struct tracker_click click;

    if (!tracker_click_decode(record->payload, record->len, &click) || record->time_ms >= TIME_MS_MAX
        || click.config_version > INT64_MAX || !facts_is_click_id(click.first_touch)) {
        *refused = "bad_payload";
        return DB_OK;
    }
    if (is_click && !tracker_keys_has(facts->keys, click.key)) {
        *refused = "unknown_key"; /* its click id cannot be told: the key was retired too early */
        return DB_OK;
    }

    struct click_row *row = facts_click_place(facts, journal, record);
    if (row == NULL)
        return DB_FAILED;
    facts_click_fill(facts, &click, row);
    if (is_click)
        facts_click_name(facts, journal, &click, row);

    enum db_result result =
        facts_agent(facts, db, fact_text(&facts->arena, click.user_agent), &row->user_agent_id);
    if (result == DB_OK)
        *(is_click ? &facts->click_count : &facts->impression_count) += 1;
    return result;
}

/* No edge takes a control byte in a txid, and what stands in for a missing one begins with one. */
static bool
facts_is_txid(struct tracker_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char) text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    }
    return true;
}

static enum db_result
facts_conversion(struct facts *facts, struct fact_journal *journal, const struct tracker_record *record,
                 const char **refused)
{
    struct tracker_conversion conversion;

    if (!tracker_conversion_decode(record->payload, record->len, &conversion)
        || record->time_ms >= TIME_MS_MAX || conversion.event_time_ms >= TIME_MS_MAX
        || conversion.event.len == 0 || conversion.status > TRACKER_CONVERSION_CHARGEBACK_WON
        || !facts_is_click_id(conversion.click_id) || !facts_is_click_id(conversion.cookie_first)
        || !facts_is_click_id(conversion.cookie_last) || !facts_is_txid(conversion.txid)) {
        *refused = "bad_payload";
        return DB_OK;
    }
    if (!facts_room((void **) &facts->conversions, &facts->conversion_cap, facts->conversion_count,
                    sizeof(*facts->conversions)))
        return DB_FAILED;

    struct conversion_fact_row *row = &facts->conversions[facts->conversion_count++];
    memset(row, 0, sizeof(*row));
    row->journal_id = journal->row.id;
    row->seq = record->sequence;
    row->time_ms = record->time_ms;
    row->received_ms = facts->now / 1000;
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
    row->coupon = fact_text(&facts->arena, conversion.coupon);
    row->customer = fact_text(&facts->arena, conversion.customer);
    row->txid = fact_text(&facts->arena, conversion.txid);
    row->refund_id = fact_text(&facts->arena, conversion.refund_id);
    row->referrer = fact_text(&facts->arena, conversion.referrer);
    row->ip = conversion.ip;

    struct fact_member members[] = {
        { "p1", conversion.p[0] },  { "p2", conversion.p[1] }, { "p3", conversion.p[2] },
        { "p4", conversion.p[3] },  { "p5", conversion.p[4] }, { "p6", conversion.p[5] },
        { "p7", conversion.p[6] },  { "p8", conversion.p[7] }, { "p9", conversion.p[8] },
        { "p10", conversion.p[9] },
    };
    row->params = fact_object(&facts->arena, members, sizeof(members) / sizeof(members[0]));
    return DB_OK;
}

/* Makes a row of it, or sets *refused. */
static enum db_result
facts_record(struct facts *facts, struct db *db, struct fact_journal *journal,
             const struct tracker_record *record, const char **refused)
{
    switch (record->type) {
    case TRACKER_EVENT_CLICK:
    case TRACKER_EVENT_IMPRESSION:
        return facts_click(facts, db, journal, record, refused);
    case TRACKER_EVENT_CONVERSION:
        return facts_conversion(facts, journal, record, refused);
    }
    *refused = "unknown_type"; /* of a newer edge: not lost, kept until we know it */
    return DB_OK;
}

/* ---- the end of a transaction ---- */

static enum db_result
facts_store_clicks(struct db_bulk *bulk, enum db_result (*put)(struct db_bulk *, const struct click_row *),
                   const struct click_row *rows, size_t count)
{
    enum db_result result = DB_OK;

    for (size_t i = 0; i < count && result == DB_OK; i++)
        result = put(bulk, &rows[i]);
    enum db_result ended = db_bulk_end(bulk);
    return result == DB_OK ? ended : result;
}

static enum db_result
facts_store(struct facts *facts, struct db *db)
{
    enum db_result result = DB_OK;

    if (facts->click_count > 0)
        result = facts_store_clicks(click_bulk_begin(db), click_bulk_row, facts->clicks, facts->click_count);
    if (facts->impression_count > 0 && result == DB_OK)
        result = facts_store_clicks(impression_bulk_begin(db), impression_bulk_row, facts->impressions,
                                    facts->impression_count);
    if (facts->conversion_count > 0 && result == DB_OK) {
        struct db_bulk *bulk = conversion_fact_bulk_begin(db);
        for (size_t i = 0; i < facts->conversion_count && result == DB_OK; i++)
            result = conversion_fact_bulk_row(bulk, &facts->conversions[i]);
        enum db_result ended = db_bulk_end(bulk);
        result = result == DB_OK ? ended : result;
    }
    for (size_t i = 0; i < facts->journal_count && result == DB_OK; i++)
        result = journal_store(db, &facts->journals[i].row);
    return result;
}

static void
facts_begin(struct facts *facts)
{
    if (facts->agents_open) { /* a rollback took back the ids it had given */
        memset(facts->agents, 0, AGENT_SLOTS * sizeof(*facts->agents));
        facts->agents_open = false;
    }
    facts->now = facts->now_us();
    facts->done = facts->at;
    facts->taken = 0;
    facts->tx_committed = facts->tx_quarantined = 0;
    facts->journal_count = facts->click_count = facts->impression_count = facts->conversion_count = 0;
    fact_arena_reset(&facts->arena);
}

static void
facts_answer(struct facts *facts, const struct journal_row *row)
{
    struct fact_answer *answer = NULL;

    /* A journal whose pack was cut by the limit comes twice, one transaction after the other. */
    for (size_t i = facts->answer_count; i-- > 0 && answer == NULL;) {
        if (memcmp(&facts->answers[i].journal, &row->uuid, sizeof(row->uuid)) == 0)
            answer = &facts->answers[i];
    }
    if (answer == NULL) {
        if (!facts_room((void **) &facts->answers, &facts->answer_cap, facts->answer_count,
                        sizeof(*facts->answers)))
            return; /* the acks of open journals are told again in a moment */
        answer = &facts->answers[facts->answer_count++];
    }
    *answer = (struct fact_answer){
        .journal = row->uuid,
        .partition = row->partition,
        .ack = { .next = row->at.next, .resend = row->resend, .forked = row->forked },
    };
}

static void
facts_committed(struct facts *facts)
{
    for (; facts->at < facts->done; facts->at++)
        facts->order[facts->at]->decided = true;
    facts->agents_open = false;
    facts->committed += facts->tx_committed;
    facts->quarantined += facts->tx_quarantined;

    for (size_t i = 0; i < facts->journal_count; i++) {
        const struct fact_journal *journal = &facts->journals[i];
        facts_answer(facts, &journal->row);
        if (journal->asked) {
            struct ask_slot *slot =
                &facts->asks[tracker_journal_id_short(&journal->row.uuid) & (ASK_SLOTS - 1)];
            slot->journal = journal->row.uuid;
            slot->next = journal->row.at.next;
            slot->again_us = facts->now + ASK_AGAIN_US + randombytes_uniform(ASK_AGAIN_US);
        }
    }
}

/* Asks for a resend, once per position and a while. */
static void
facts_ask(struct facts *facts, struct fact_journal *journal)
{
    const struct ask_slot *slot =
        &facts->asks[tracker_journal_id_short(&journal->row.uuid) & (ASK_SLOTS - 1)];

    if (journal->asked)
        return;
    if (slot->next == journal->row.at.next && slot->again_us > facts->now
        && memcmp(&slot->journal, &journal->row.uuid, sizeof(slot->journal)) == 0)
        return;
    journal->asked = true;
    journal->row.resend++;
}

/* ---- order and room ---- */

static int
facts_compare(const void *a, const void *b)
{
    const struct fact_entry *left = *(struct fact_entry *const *) a, *right = *(struct fact_entry *const *) b;

    if ((left->refused == NULL) != (right->refused == NULL))
        return left->refused == NULL ? 1 : -1;
    if (left->refused == NULL) {
        int journals = memcmp(&left->pack.journal, &right->pack.journal, sizeof(left->pack.journal));
        if (journals != 0)
            return journals;
        if (left->pack.first != right->pack.first)
            return left->pack.first < right->pack.first ? -1 : 1;
    }
    return left < right ? -1 : left > right; /* as they came */
}

/* Packs that overtook each other are put right here, before anybody is asked to send again. */
static bool
facts_sort(struct facts *facts, struct fact_entry *entries, size_t count)
{
    facts->at = facts->entry_count = 0;
    if (count > facts->order_cap) {
        struct fact_entry **order = reallocarray(facts->order, count, sizeof(*order));
        if (order == NULL)
            return false;
        facts->order = order;
        facts->order_cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].decided)
            facts->order[facts->entry_count++] = &entries[i];
    }
    qsort(facts->order, facts->entry_count, sizeof(*facts->order), facts_compare);
    return true;
}

static bool
facts_room(void **array, size_t *cap, size_t count, size_t size)
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
