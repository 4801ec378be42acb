/*
 * outbox.h - what is to be sent: rows that wait, and what became of them.
 */
#ifndef AFFILIATED_STORE_OUTBOX_H
#define AFFILIATED_STORE_OUTBOX_H

#include "store/row.h"

#define OUTBOX_UID_LEN 32

struct outbox_row {
    int64_t id, version, lead_id, tries, next_us, expires_us, sent_us; /* lead and sent 0: none, not yet */
    char   *kind, *name, *uid, *recipient, *subject, *text, *html, *link, *state, *last_error;
};
extern const struct row_table outbox_table;

/* DB_OK also when a row of that name is there already: it stays as it is. */
enum db_result outbox_insert(struct db *db, const struct outbox_row *row, uint64_t now_us);
/* Those of a kind that wait and whose time has come, the oldest first; *count: room in ids, then how many there are. */
enum db_result outbox_due(struct db *db, const char *kind, uint64_t now_us, int64_t *ids, int *count);
/* One more try, and when the next one may be. */
enum db_result outbox_count_try(struct db *db, int64_t id, uint64_t next_us, uint64_t now_us);
/* What came of a try; a row that was sent anew or touched since is left alone. sent_us 0: it was not sent. */
enum db_result outbox_conclude(struct db *db, const struct outbox_row *tried, const char *state, const char *why,
                               uint64_t sent_us, uint64_t now_us);
/* From the start, under another id. */
enum db_result outbox_requeue(struct db *db, int64_t id, const char *uid, uint64_t now_us);
/* What waits and would come too late is dropped. */
enum db_result outbox_expire(struct db *db, uint64_t now_us);
/* At most `limit` rows that wait for nothing and were last touched before that; db_changes tells how many. */
enum db_result outbox_delete_old(struct db *db, uint64_t before_us, int limit);
/* Everything that holds this lead's data. */
enum db_result outbox_delete_lead(struct db *db, int64_t lead_id);

#endif
