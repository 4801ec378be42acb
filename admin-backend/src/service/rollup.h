/*
 * rollup.h - click_stats follow the clicks a few seconds behind.
 *
 * Their own high-water mark, journals.rolled_seq, moves in the transaction that
 * counts: a crash in between counts nothing twice.  Kept out of ingest because
 * counting with every batch halves its pace.
 */
#ifndef AFFILIATED_ROLLUP_H
#define AFFILIATED_ROLLUP_H

#include "db/db.h"

/* Counts what is committed and not counted yet, in transactions of bounded size. DB_OK: all of it. */
enum db_result rollup_run(struct db_pool *pool);

#endif
