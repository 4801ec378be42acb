/*
 * rollup.c - journals in turn, a bounded run of sequences a transaction.
 */
#include "service/rollup.h"

#include "store/click.h"

#define JOURNALS_ROUND 64
#define SEQUENCES_STEP 8192u /* of one journal and transaction: some tens of milliseconds of the writer */

struct rollup_step {
    int64_t  journal_id;
    uint64_t from, to;
};

struct rollup_round {
    struct click_behind journals[JOURNALS_ROUND];
    int                 count;
};

static enum db_result
rollup_look(struct db *db, void *ctx)
{
    struct rollup_round *round = ctx;
    return click_behind(db, round->journals, JOURNALS_ROUND, &round->count);
}

static enum db_result
rollup_count(struct db *db, void *ctx)
{
    const struct rollup_step *step = ctx;
    return click_roll_up(db, step->journal_id, step->from, step->to);
}

static enum db_result
rollup_journal(struct db_pool *pool, const struct click_behind *journal)
{
    for (uint64_t from = journal->rolled_seq; from < journal->next_seq;) {
        struct rollup_step step = { journal->journal_id, from, from + SEQUENCES_STEP };
        if (step.to > journal->next_seq)
            step.to = journal->next_seq;
        enum db_result result = db_write(pool, DB_BATCH, rollup_count, &step);
        if (result == DB_ABORT) /* somebody else counts this journal */
            return DB_OK;
        if (result != DB_OK)
            return result;
        from = step.to;
    }
    return DB_OK;
}

enum db_result
rollup_run(struct db_pool *pool)
{
    struct rollup_round round = { .count = 0 };

    do {
        enum db_result result = db_read(pool, rollup_look, &round);
        for (int i = 0; i < round.count && result == DB_OK; i++)
            result = rollup_journal(pool, &round.journals[i]);
        if (result != DB_OK)
            return result;
    } while (round.count == JOURNALS_ROUND);
    return DB_OK;
}
