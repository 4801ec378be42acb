/*
 * ingest_acks.c - telling the edges what the database has committed.
 */
#include "ingest/ingest_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/log.h"
#include "store/journal.h"

#define SWEEP_AFTER_US UINT64_C(3600000000)

static bool
ingest_append_ack(struct ingest *ingest, const struct tracker_journal_id *journal, unsigned partition,
                  struct tracker_ack *ack)
{
    char    key[40], hex[TRACKER_JOURNAL_HEX_LEN];
    uint8_t bytes[TRACKER_ACK_LEN];

    ack->incarnation = ingest->incarnation;
    snprintf(key, sizeof(key), "affiliate:acks:{%u}", partition);
    tracker_journal_id_format(journal, hex);
    tracker_ack_encode(ingest->options.keys, journal, ack, bytes);
    return wire_append_format(&ingest->wire, "HSET %s %b %b", key, hex, sizeof(hex), bytes, sizeof(bytes));
}

bool
ingest_tell(struct ingest *ingest)
{
    size_t                    count;
    const struct fact_answer *answers = facts_answers(ingest->facts, &count);
    bool                      ok = ingest->welcomed;

    for (size_t i = 0; i < count && ok; i++) {
        struct tracker_ack ack = answers[i].ack;
        ok = ingest_append_ack(ingest, &answers[i].journal, answers[i].partition, &ack);
    }
    return ok && wire_drain(&ingest->wire);
}

struct ingest_list {
    struct journal_row *rows;
    size_t              count, cap;
};

/* Rows first, Redis after: a slow server shall not hold a reader. */
static enum db_result
ingest_collect(void *ctx, const struct journal_row *row)
{
    struct ingest_list *list = ctx;
    if (list->count == list->cap) {
        size_t              cap = list->cap == 0 ? 64 : list->cap * 2;
        struct journal_row *rows = reallocarray(list->rows, cap, sizeof(*rows));
        if (rows == NULL)
            return DB_FAILED;
        list->rows = rows;
        list->cap = cap;
    }
    list->rows[list->count++] = *row;
    return DB_OK;
}

struct ingest_collecting {
    struct ingest     *ingest;
    struct ingest_list list;
    uint64_t           from_us, to_us; /* sweep only */
};

static enum db_result
ingest_open_work(struct db *db, void *ctx)
{
    struct ingest_collecting *collecting = ctx;
    collecting->list.count = 0;
    return journal_each_open(db, collecting->ingest->options.first, collecting->ingest->options.count,
                             ingest_collect, &collecting->list);
}

static enum db_result
ingest_ended_work(struct db *db, void *ctx)
{
    struct ingest_collecting *collecting = ctx;
    collecting->list.count = 0;
    return journal_each_ended(db, collecting->from_us, collecting->to_us, ingest_collect, &collecting->list);
}

bool
ingest_tell_all(struct ingest *ingest)
{
    struct ingest_collecting collecting = { .ingest = ingest };
    enum db_result           result = db_read(ingest->options.pool, ingest_open_work, &collecting);
    bool                     ok = result == DB_OK;

    if (!ok)
        log_error("ingest", "cannot read the journals: %s", db_last_message());
    for (size_t i = 0; i < collecting.list.count && ok; i++) {
        const struct journal_row *row = &collecting.list.rows[i];
        struct tracker_ack ack = { .next = row->at.next, .resend = row->resend, .forked = row->forked };
        ok = ingest_append_ack(ingest, &row->uuid, row->partition, &ack);
    }
    free(collecting.list.rows);
    ok = ok && wire_drain(&ingest->wire);
    /* A database that cannot be read now is no reason to stop: the same goes for a Redis that is full. */
    return ok || ingest->wire.redis != NULL;
}

/* Acks of journals that ended long ago go; whoever still asks is answered again. */
bool
ingest_sweep(struct ingest *ingest)
{
    uint64_t now_us = ingest->options.now_us();
    struct ingest_collecting collecting = {
        .ingest = ingest,
        .from_us = ingest->swept_us,
        .to_us = now_us > SWEEP_AFTER_US ? now_us - SWEEP_AFTER_US : 0,
    };
    bool ok = db_read(ingest->options.pool, ingest_ended_work, &collecting) == DB_OK;

    for (size_t i = 0; i < collecting.list.count && ok; i++) {
        const struct journal_row *row = &collecting.list.rows[i];
        char hex[TRACKER_JOURNAL_HEX_LEN];
        tracker_journal_id_format(&row->uuid, hex);
        ok = wire_append_format(&ingest->wire, "HDEL affiliate:acks:{%u} %b", row->partition, hex,
                                sizeof(hex));
    }
    free(collecting.list.rows);
    ok = ok && wire_drain(&ingest->wire);
    if (ok && collecting.to_us > ingest->swept_us)
        ingest->swept_us = collecting.to_us;
    return ok;
}
