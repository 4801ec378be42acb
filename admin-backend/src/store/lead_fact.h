/*
 * lead_fact.h - what ingest writes of leads and of the API's calls, and what becomes of the former.
 *
 * Text here is valid UTF-8 without NUL: both databases must take it.
 */
#ifndef AFFILIATED_STORE_LEAD_FACT_H
#define AFFILIATED_STORE_LEAD_FACT_H

#include "store/fact.h"
#include "tracker_lead.h"

/* ---- writing ---- */

struct lead_fact_row {
    int64_t  journal_id;
    uint64_t seq, time_ms, received_ms;
    uint32_t program, api_user, form, affiliate, flags; /* api_user, form, affiliate 0: none */
    uint8_t  kind, auth, ip_form;
    char     uid[TRACKER_LEAD_HEX_LEN];
    struct tracker_str content, key, click_id, cookie_first, cookie_last, ip, user_agent, referrer, language,
        fields; /* data NULL: none */
};
struct db_bulk *lead_fact_bulk_begin(struct db *db);
enum db_result  lead_fact_bulk_row(struct db_bulk *bulk, const struct lead_fact_row *row);

struct api_call_row {
    int64_t  journal_id;
    uint64_t seq, time_ms, received_ms;
    uint32_t program, api_user, count, status, items; /* program, api_user, items 0: none */
    uint8_t  ip_form;
    char     lead_uid[TRACKER_LEAD_HEX_LEN]; /* has_lead */
    bool     has_lead;
    struct tracker_str code, method, path, key_prefix, ip, user_agent; /* data NULL: none */
};
struct db_bulk *api_call_bulk_begin(struct db *db);
enum db_result  api_call_bulk_row(struct db_bulk *bulk, const struct api_call_row *row);

/* How many there are of each outcome; NULL: not yet decided. */
typedef void (*lead_fact_count)(void *ctx, const char *outcome, int64_t count);
enum db_result lead_fact_counts(struct db *db, lead_fact_count count, void *ctx);

/* ---- deciding ---- */

/* One fact, copied out of its row: lead_fact_free. */
struct lead_fact {
    struct fact_key key;
    int64_t         time_ms, received_ms, program_id, api_user_id, form_id, affiliate_id, flags; /* ids 0: none */
    enum tracker_lead_kind kind;
    int             tries;
    char            uid[TRACKER_LEAD_HEX_LEN + 1];
    uint8_t         content[16];
    char           *idempotency_key, *language; /* NULL: none */
    char           *fields;                     /* JSON object */
    char            click_id[TRACKER_CLICK_ID_LEN + 1]; /* empty: none, as those that follow */
    char            cookie_first[TRACKER_CLICK_ID_LEN + 1], cookie_last[TRACKER_CLICK_ID_LEN + 1];
    int             auth;
};

/* Keys of facts that are undecided and due, those that arrived first before the others. *count in: room, out: found. */
enum db_result lead_fact_open(struct db *db, uint64_t now_us, struct fact_key *keys, int *count);
/* DB_ROW when there and still undecided, DB_DONE when somebody was faster. Impossible columns: DB_CORRUPT, *out empty. */
enum db_result lead_fact_read(struct db *db, struct fact_key key, struct lead_fact *out);
/* The same of one that was decided to wait for its mail to be confirmed. */
enum db_result lead_fact_pending(struct db *db, struct fact_key key, struct lead_fact *out);
void           lead_fact_free(struct lead_fact *fact);
/* outcome: see lead_facts.outcome. */
enum db_result lead_fact_close(struct db *db, struct fact_key key, const char *outcome);
/* One more failed try; *last: it was one too many, and the fact is set aside as 'failed'. */
enum db_result lead_fact_failed(struct db *db, struct fact_key key, int limit, uint64_t retry_us, bool *last);

/*
 * What the same lead became before: by its id or, since a new key of the edges gives new ids, by its sender's
 * idempotency key.  DB_ROW, or DB_DONE: it is new.
 */
struct lead_decided {
    struct fact_key key;
    char            uid[TRACKER_LEAD_HEX_LEN + 1];
    uint8_t         content[16];
    char            outcome[16]; /* 'created', 'pending', 'duplicate' or 'invalid' */
};
enum db_result lead_fact_decided(struct db *db, const struct lead_fact *fact, struct lead_decided *out);

#endif
