/*
 * catalog.h - rows of programs, groups, affiliates, campaigns, links and API users.
 *
 * Texts of a loaded row are owned by it (catalog_text_free via *_row_free);
 * rows to be written only borrow theirs.  `version` is the configuration
 * version that the change took: edges learn of the row by it.
 */
#ifndef AFFILIATED_STORE_CATALOG_H
#define AFFILIATED_STORE_CATALOG_H

#include "db/db.h"

struct program_row {
    int64_t id, cookie_days, version;
    char   *name, *currency, *time_zone, *attribution, *fallback, *state;
};
struct group_row {
    int64_t id, program_id, minimum_payout_minor, version;
    char   *name, *payout_frequency, *payout_methods;
};
struct affiliate_row {
    int64_t id, program_id, group_id, api_user_id, version; /* group, api_user 0: none */
    char   *name, *email, *status, *trader_id, *notes;
};
struct campaign_row {
    int64_t id, program_id, window_days, version;
    char   *name, *state, *fallback;
};
struct link_row {
    int64_t id, affiliate_id, campaign_id, append_click_id, version;
    char   *code, *destination, *state;
};
struct api_user_row {
    int64_t id, program_id, affiliate_id, expires_us, version; /* affiliate, expires 0: none */
    char   *name, *role, *scopes, *state;
};

/* *_load: DB_ROW, DB_DONE or an error.  *_insert sets id.  *_update writes every column of the row named by id. */
enum db_result program_load(struct db *db, int64_t id, struct program_row *row); /* id 0: the first program */
enum db_result program_insert(struct db *db, struct program_row *row, uint64_t now_us);
enum db_result program_update(struct db *db, const struct program_row *row);
void           program_row_free(struct program_row *row);
/* Whether amounts in the program's currency exist already: minimum payouts or commissions. */
enum db_result program_has_money(struct db *db, int64_t id, bool *has);

enum db_result group_load(struct db *db, int64_t id, struct group_row *row);
enum db_result group_insert(struct db *db, struct group_row *row, uint64_t now_us);
enum db_result group_update(struct db *db, const struct group_row *row);
void           group_row_free(struct group_row *row);

enum db_result affiliate_load(struct db *db, int64_t id, struct affiliate_row *row);
enum db_result affiliate_insert(struct db *db, struct affiliate_row *row, uint64_t now_us);
enum db_result affiliate_update(struct db *db, const struct affiliate_row *row, uint64_t now_us);
/* What an affiliate was at that time (cap bytes of out); before its first status, that one. DB_ROW, DB_DONE. */
enum db_result affiliate_status_at(struct db *db, int64_t id, uint64_t at_us, char *out, size_t cap);
/* An Argon2id hash for the portal's log-in. DB_DONE: no such affiliate. */
enum db_result affiliate_set_password_hash(struct db *db, int64_t id, const char *hash, uint64_t now_us);
void           affiliate_row_free(struct affiliate_row *row);

enum db_result campaign_load(struct db *db, int64_t id, struct campaign_row *row);
enum db_result campaign_insert(struct db *db, struct campaign_row *row, uint64_t now_us);
enum db_result campaign_update(struct db *db, const struct campaign_row *row);
void           campaign_row_free(struct campaign_row *row);

enum db_result link_load(struct db *db, int64_t id, struct link_row *row);
enum db_result link_insert(struct db *db, struct link_row *row, uint64_t now_us);
enum db_result link_update(struct db *db, const struct link_row *row, uint64_t now_us);
/* Owner and campaign from now on. */
enum db_result link_version_write(struct db *db, const struct link_row *row, uint64_t from_ms);
void           link_row_free(struct link_row *row);

enum db_result api_user_load(struct db *db, int64_t id, struct api_user_row *row);
enum db_result api_user_insert(struct db *db, struct api_user_row *row, uint64_t now_us);
enum db_result api_user_update(struct db *db, const struct api_user_row *row);
void           api_user_row_free(struct api_user_row *row);

enum db_result api_key_insert(struct db *db, int64_t api_user_id, const char *prefix, const uint8_t hash[32],
                              int64_t version, uint64_t now_us);
/* DB_DONE: no such active key. */
enum db_result api_key_archive(struct db *db, int64_t api_user_id, int64_t key_id, int64_t version);
enum db_result api_keys_active(struct db *db, int64_t api_user_id, int64_t *count);

/* A setting's JSON text, malloc'ed; NULL with DB_OK when it was never set. */
enum db_result setting_get(struct db *db, const char *name, char **value);
enum db_result setting_put(struct db *db, const char *name, const char *value, int64_t version);

/* Whether a row exists: "affiliates", ... are the tables this header names; used for references in requests. */
enum catalog_table { CATALOG_GROUP, CATALOG_AFFILIATE, CATALOG_CAMPAIGN, CATALOG_API_USER };
/* 0: no such row */
enum db_result catalog_program_of(struct db *db, enum catalog_table table, int64_t id, int64_t *program_id);

#endif
