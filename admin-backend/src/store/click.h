/*
 * click.h - rows that ingest writes and nobody changes: clicks, impressions, user agents, conversion facts.
 *
 * Text here is valid UTF-8 without NUL: both databases must take it.
 */
#ifndef AFFILIATED_STORE_CLICK_H
#define AFFILIATED_STORE_CLICK_H

#include "db/db.h"
#include "tracker_event.h"

#define CLICK_ID_BYTES 30 /* of the 40 characters, six bits each */

/* The 30 bytes a click id stands for, and back. pack: false when a character is not of its alphabet. */
bool click_id_pack(const char text[TRACKER_CLICK_ID_LEN], uint8_t bytes[CLICK_ID_BYTES]);
void click_id_unpack(const uint8_t bytes[CLICK_ID_BYTES], char text[TRACKER_CLICK_ID_LEN]);

struct click_row {
    int64_t  journal_id;
    uint64_t seq, time_ms, received_ms;
    uint32_t program, campaign, link, affiliate, flags;
    uint64_t config_version;
    int64_t  user_agent_id;  /* 0: none */
    uint8_t  ip_form, device, os, browser;
    uint32_t asn, rule, target; /* 0: none, as device, os, browser */
    uint8_t  click_id[CLICK_ID_BYTES];
    struct tracker_str first_touch, ip, country, region, city, referrer, params; /* data NULL: none */
};
struct db_bulk *click_bulk_begin(struct db *db);
enum db_result  click_bulk_row(struct db_bulk *bulk, const struct click_row *row);
/* Impressions have neither click_id nor first_touch. */
struct db_bulk *impression_bulk_begin(struct db *db);
enum db_result  impression_bulk_row(struct db_bulk *bulk, const struct click_row *row);

struct conversion_fact_row {
    int64_t  journal_id;
    uint64_t seq, time_ms, received_ms, event_time_ms;
    uint32_t program, api_user;
    uint8_t  auth, status, has_amount;
    struct tracker_money amount;
    struct tracker_str   click_id, cookie_first, cookie_last, coupon, customer, event, txid, refund_id, referrer, ip,
        params; /* data NULL: none */
};
struct db_bulk *conversion_fact_bulk_begin(struct db *db);
enum db_result  conversion_fact_bulk_row(struct db_bulk *bulk, const struct conversion_fact_row *row);

/* The text's id in the dictionary, added when it is new. */
enum db_result user_agent_id(struct db *db, struct tracker_str text, int64_t *id);

/* ---- reading, page by page ---- */

struct click_export {
    uint8_t     click_id[CLICK_ID_BYTES];
    char        uuid_hex[TRACKER_JOURNAL_HEX_LEN + 1];
    int64_t     journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id, affiliate_id, flags;
    int64_t     ip_form, asn, device, os, browser, rule, target; /* 0: none */
    const char *country, *region, *city;                         /* NULL: none */
    const char *first_touch, *user_agent, *referrer, *params; /* NULL: none */
    const void *ip;
    size_t      ip_len;
};
typedef enum db_result (*click_visit)(void *ctx, const struct click_export *row);
/*
 * At most `limit` rows after (journal_id, seq) in that order, with from_ms <= time_ms < to_ms.
 * *journal_id and *seq move to the last row; *found tells how many there were.
 */
enum db_result click_page(struct db *db, int64_t *journal_id, int64_t *seq, int64_t from_ms, int64_t to_ms,
                          int limit, click_visit visit, void *ctx, int *found);

/* ---- roll-ups ---- */

/* Adds the clicks and impressions of a journal in [from, to) to click_stats and moves its rolled_seq from `from` to `to`. */
enum db_result click_roll_up(struct db *db, int64_t journal_id, uint64_t from, uint64_t to);
/* Journals whose clicks are not all in click_stats yet: at most `limit`. */
struct click_behind {
    int64_t  journal_id;
    uint64_t rolled_seq, next_seq;
};
enum db_result click_behind(struct db *db, struct click_behind *out, int limit, int *found);

#endif
