/*
 * portal.h - affiliates in the portal: who logs in, and their sessions.
 */
#ifndef AFFILIATED_STORE_PORTAL_H
#define AFFILIATED_STORE_PORTAL_H

#include <jansson.h>

#include "db/db.h"

#define PORTAL_HASH_LEN 32
#define PORTAL_TEXT_MAX 256

struct portal_account {
    int64_t id;
    bool    may;                            /* not terminated */
    char    password_hash[PORTAL_TEXT_MAX]; /* "": none was set */
};
/* An affiliate's own password, else that of the trader that it is. DB_ROW or DB_DONE. */
enum db_result portal_account_by_email(struct db *db, const char *email, struct portal_account *out);

enum db_result portal_session_insert(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], int64_t affiliate_id,
                                     const char *csrf, uint64_t now_us, uint64_t expires_us);
/* A live session of somebody who may: idle less than idle_us, not past its end. csrf: PORTAL_TEXT_MAX bytes. */
enum db_result portal_session_find(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], uint64_t now_us,
                                   uint64_t idle_us, int64_t *affiliate_id, char *csrf, uint64_t *seen_us);
enum db_result portal_session_seen(struct db *db, const uint8_t hash[PORTAL_HASH_LEN], uint64_t now_us);
enum db_result portal_session_delete(struct db *db, const uint8_t hash[PORTAL_HASH_LEN]);
/* Of the affiliate that this trader is and whose password lets it in. */
enum db_result portal_sessions_end_trader(struct db *db, int64_t trader_id);
enum db_result portal_sessions_delete_old(struct db *db, uint64_t before_us);

/* Numbers of [from_us, to_us): "leads" by status, "log" by verdict, "referrals" by status. */
enum db_result portal_counts(struct db *db, int64_t affiliate_id, int64_t from_us, int64_t to_us, json_t *object);

#endif
