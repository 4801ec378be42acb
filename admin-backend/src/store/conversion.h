/*
 * conversion.h - conversions, what was taken back of them, what contradicts them, and customers.
 */
#ifndef AFFILIATED_STORE_CONVERSION_H
#define AFFILIATED_STORE_CONVERSION_H

#include "store/fact.h"

/* conversions.txid begins with it where the sender gave none; no txid that is sent can. */
#define CONVERSION_NO_TXID "\x01"

struct conversion_row {
    int64_t id, program_id, event_time_ms;
    char    status[16];
    bool    has_amount, verified;
    struct tracker_money amount;
    char    event[33];
    char    click_id[TRACKER_CLICK_ID_LEN + 1]; /* empty: none */
};

/* DB_ROW or DB_DONE. */
enum db_result conversion_find(struct db *db, int64_t program_id, const char *event, const char *txid,
                               struct conversion_row *out);
enum db_result conversion_load(struct db *db, int64_t id, struct conversion_row *out);
/* The fact's amount is taken as it is: a caller that does not trust it has removed it. */
enum db_result conversion_insert(struct db *db, const struct fact *fact, const char *txid, const char *status,
                                 uint64_t now_us, int64_t *id);
enum db_result conversion_set_status(struct db *db, int64_t id, const char *from, const char *to);
/* What a browser had said is now said by the advertiser: its record, amount and customer count. */
enum db_result conversion_confirm(struct db *db, int64_t id, const struct fact *fact, const char *status);

/* Kept for review: a fact that contradicts its conversion (0: that has none). */
enum db_result conversion_conflict(struct db *db, int64_t conversion_id, struct fact_key key, const char *reason,
                                   uint64_t now_us);
/* Whether one of that reason stands open. */
enum db_result conflict_open(struct db *db, int64_t conversion_id, const char *reason, bool *open);
/* Whether the same touches were kept for that reason before, resolved or not. */
enum db_result conflict_said(struct db *db, int64_t conversion_id, const char *reason, const struct fact *fact,
                             bool *said);
/* What waits for the conflict's conversion is due. DB_CONFLICT: another version (if_version 0: any), or resolved already. */
enum db_result conflict_resolve(struct db *db, int64_t id, int64_t if_version, const char *note, uint64_t now_us);

/* ---- refunds ---- */

struct refund_row {
    int64_t id;
    char    kind[12], state[8];
    bool    has_amount;
    struct tracker_money amount;
};
/* DB_ROW or DB_DONE. */
enum db_result refund_find(struct db *db, int64_t conversion_id, const char *refund_id, struct refund_row *out);
/* amount NULL: all of a conversion without one. state "applied" or "held". */
enum db_result refund_insert(struct db *db, int64_t conversion_id, const struct fact *fact, const char *kind,
                             const struct tracker_money *amount, const char *state, uint64_t now_us);
/* applied -> won. DB_CONFLICT: it is not applied. */
enum db_result refund_win(struct db *db, int64_t id);
/* What applied refunds have taken: minor units, and whether one took all of a conversion without amount. */
enum db_result refund_sum(struct db *db, int64_t conversion_id, int64_t *minor, bool *all);

/* ---- customers ---- */

struct customer_part {
    int64_t  affiliate_id, campaign_id, link_id; /* campaign, link 0: none */
    uint32_t share_ppm;
};
/* At most two parts; *count 0: not known yet. */
enum db_result customer_find(struct db *db, int64_t program_id, const char *customer, struct customer_part parts[2],
                             unsigned *count);
enum db_result customer_insert(struct db *db, int64_t program_id, const char *customer, unsigned part,
                               const struct customer_part *owner, int64_t conversion_id, uint64_t now_us);

#endif
