/*
 * fact.h - conversion facts as ingest stored them, and what their click ids lead to.
 */
#ifndef AFFILIATED_STORE_FACT_H
#define AFFILIATED_STORE_FACT_H

#include "db/db.h"
#include "tracker_attribution.h"
#include "tracker_click_id.h"
#include "tracker_event.h"

#define FACT_TEXT_MAX (3 * TRACKER_FIELD_MAX + 1) /* a byte that is no UTF-8 became three */

struct fact_key {
    int64_t journal_id, seq;
};

/* One fact, copied out of its row. */
struct fact {
    struct fact_key key;
    int64_t         time_ms, received_ms, event_time_ms;
    int64_t         program_id, api_user_id;
    int64_t         affiliate_id, lead_id; /* of a lead, new or turned trader: whose it was said to be; 0: neither */
    enum tracker_conversion_status status;
    enum tracker_conversion_auth   auth;
    bool            has_amount;
    struct tracker_money amount;
    char            click_id[TRACKER_CLICK_ID_LEN + 1]; /* empty: none, as all that follow */
    char            cookie_first[TRACKER_CLICK_ID_LEN + 1], cookie_last[TRACKER_CLICK_ID_LEN + 1];
    char            event[33];
    char            txid[FACT_TEXT_MAX], coupon[FACT_TEXT_MAX], customer[FACT_TEXT_MAX], refund_id[FACT_TEXT_MAX];
    char            lead[24];                           /* lead_id as text */
    int             tries;
};

/* Keys of facts that are open (or parked and due), oldest first.  *count in: room, out: found. */
enum db_result fact_open(struct db *db, uint64_t now_us, struct fact_key *keys, int *count);
/* DB_ROW when there and still open, DB_DONE when somebody was faster. A row with impossible columns is DB_CORRUPT. */
enum db_result fact_read(struct db *db, struct fact_key key, struct fact *fact);
/* outcome: see conversion_facts.outcome; conversion_id 0: none. */
enum db_result fact_close(struct db *db, struct fact_key key, const char *outcome, int64_t conversion_id);
enum db_result fact_park(struct db *db, struct fact_key key, uint64_t retry_us);
/* What waited for that order is due at once. */
enum db_result fact_wake(struct db *db, int64_t program_id, const char *event, const char *txid);
/* One more failed try; at `limit` tries the fact is set aside as 'failed'. */
enum db_result fact_failed(struct db *db, struct fact_key key, int limit, uint64_t retry_us);

/*
 * What we say of a lead ourselves: that it came, under its own record's key; that it became a trader, under journal 0
 * and the trader's id.  No amount or refund.
 */
enum db_result fact_insert(struct db *db, const struct fact *fact);

/* ---- what a click id leads to ---- */

/* How the program decides about that event; the defaults of the migration when it is gone. */
enum db_result program_policy(struct db *db, int64_t program_id, const char *event,
                              struct tracker_attribution_policy *out);

struct link_owner {
    int64_t affiliate_id, campaign_id, program_id, window_days;
};
/* Owner and campaign of a link as of a time. DB_ROW, or DB_DONE: no such link then. */
enum db_result link_owner_at(struct db *db, int64_t link_id, int64_t at_ms, struct link_owner *out);

/* Where a lead's affiliate found it. DB_ROW, or DB_DONE: no such lead of that affiliate. */
enum db_result lead_origin(struct db *db, int64_t lead_id, int64_t affiliate_id, int64_t *link_id, int64_t *campaign_id);

enum journal_progress { JOURNAL_UNKNOWN, JOURNAL_BEHIND, JOURNAL_PASSED };
/* Whether the database has committed that click's journal beyond it. */
enum db_result journal_progress(struct db *db, uint64_t short_id, int64_t seq, enum journal_progress *out);
/* What was recorded of a click when it came. */
struct click_kept {
    uint32_t flags;                                 /* enum tracker_click_flag */
    char     first_touch[TRACKER_CLICK_ID_LEN + 1]; /* that its cookie named, or "" */
};
/* Nothing and no flags, where it is not stored. */
enum db_result click_kept(struct db *db, uint64_t short_id, int64_t seq, struct click_kept *out);

#endif
