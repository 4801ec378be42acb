/*
 * fact_rows.h - from journal records to the rows of one transaction.
 *
 * Records are hostile: what cannot be a row is refused with a reason, and its
 * bytes go into the quarantine.  Rows borrow from the records, and from an arena that lives
 * as long as the transaction.
 */
#ifndef AFFILIATED_FACT_ROWS_H
#define AFFILIATED_FACT_ROWS_H

#include "service/fact_text.h"
#include "store/journal.h"
#include "tracker_keys.h"
#include "tracker_record.h"

/* Rows of one table. */
struct fact_list {
    void  *rows;
    size_t count, cap;
};

struct fact_rows {
    const struct tracker_keys *keys;
    uint64_t                   now_ms;
    struct fact_agents        *agents; /* user agents whose ids are known */
    struct fact_arena          arena;
    struct fact_list           clicks, impressions, conversions, leads, calls;
};

bool fact_rows_init(struct fact_rows *rows, const struct tracker_keys *keys); /* False: no memory */
void fact_rows_free(struct fact_rows *rows);

/* A transaction begins, perhaps one more time. */
void fact_rows_begin(struct fact_rows *rows, uint64_t now_us);
/* Makes a row of a record of that journal, or sets *refused, a literal for quarantine.reason. */
enum db_result fact_rows_add(struct fact_rows *rows, struct db *db, const struct journal_row *journal,
                             const struct tracker_record *record, const char **refused);
enum db_result fact_rows_store(struct fact_rows *rows, struct db *db);
/* It is committed; returns how many leads were in it. */
size_t fact_rows_committed(struct fact_rows *rows);

/* Room for one more; false: no memory, and it is logged. */
bool fact_room(void **array, size_t *cap, size_t count, size_t size);

#endif
