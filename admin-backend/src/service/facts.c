/*
 * facts.c - the transaction of ingest.
 */
#include "service/facts.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "service/fact_rows.h"
#include "store/journal.h"
#include "tracker_sender.h"

#define ASK_SLOTS          4096u              /* journals remembered that were asked to send again */
#define ASK_AGAIN_US       500000u /* the same position is asked for again after this and as much jitter */
#define POISON_TRIES       3
/*
 * What an adopter calls lost is believed once the owner was silent for three idle beats: a torn copy of a living
 * journal's folder lacks records that their owner is about to ship.
 */
#define OWNER_SILENT_US    (3 * TRACKER_IDLE_BEAT_MS * UINT64_C(1000))
#define REFUSED_BYTES_KEPT 4096u              /* of something nobody vouches for */

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

    struct fact_rows rows;
    struct ask_slot *asks;

    struct fact_answer *answers;
    size_t              answer_count, answer_cap;
    struct fact_entry **order; /* by journal and first sequence */
    size_t              order_cap;
    uint64_t            committed, quarantined;
    uint64_t            leads;

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
};

static enum db_result facts_work(struct db *db, void *ctx);
static enum db_result facts_entry(struct facts *facts, struct db *db, const struct fact_entry *entry);
static enum db_result facts_pack(struct facts *facts, struct db *db, const struct fact_entry *entry);
static enum db_result facts_records(struct facts *facts, struct db *db, struct fact_journal *journal,
                                    struct tracker_receive *receive);
static enum db_result facts_store(struct facts *facts, struct db *db);
static void facts_begin(struct facts *facts);
static void facts_committed(struct facts *facts);
static bool facts_sort(struct facts *facts, struct fact_entry *entries, size_t count);
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
    facts->asks = calloc(ASK_SLOTS, sizeof(*facts->asks));
    if (!fact_rows_init(&facts->rows, keys) || facts->asks == NULL) {
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
    fact_rows_free(&facts->rows);
    free(facts->asks);
    free(facts->answers);
    free(facts->order);
    free(facts->journals);
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

uint64_t
facts_leads(const struct facts *facts)
{
    return facts->leads;
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

    if (!fact_room((void **) &facts->journals, &facts->journal_cap, facts->journal_count,
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

        enum db_result result =
            refused != NULL ? DB_OK : fact_rows_add(&facts->rows, db, row, &record, &refused);
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

/* ---- the end of a transaction ---- */

static enum db_result
facts_store(struct facts *facts, struct db *db)
{
    enum db_result result = fact_rows_store(&facts->rows, db);

    for (size_t i = 0; i < facts->journal_count && result == DB_OK; i++)
        result = journal_store(db, &facts->journals[i].row);
    return result;
}

static void
facts_begin(struct facts *facts)
{
    facts->now = facts->now_us();
    fact_rows_begin(&facts->rows, facts->now);
    facts->done = facts->at;
    facts->taken = 0;
    facts->tx_committed = facts->tx_quarantined = 0;
    facts->journal_count = 0;
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
        if (!fact_room((void **) &facts->answers, &facts->answer_cap, facts->answer_count,
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
    facts->leads += fact_rows_committed(&facts->rows);
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

/* ---- order ---- */

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
