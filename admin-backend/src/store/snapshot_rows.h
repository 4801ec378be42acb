/*
 * snapshot_rows.h - what goes down to the edges, as it stands in the database.
 *
 * Every walk gives the rows whose version is above `after` (0: all).  Strings are
 * borrowed for the visit.  A visit that is not DB_OK ends the walk and is its result.
 */
#ifndef AFFILIATED_STORE_SNAPSHOT_ROWS_H
#define AFFILIATED_STORE_SNAPSHOT_ROWS_H

#include "db/db.h"

struct snapshot_program {
    int64_t     id, cookie_days;
    const char *state, *attribution, *currency, *fallback;
    int64_t     platform_user_id; /* 0: none */
    const char *platform_url;
};
struct snapshot_limits {
    int64_t starts_us, ends_us, cap_day, cap_total, capped_until_ms; /* 0: none */
};
struct snapshot_campaign {
    int64_t                id, program_id;
    const char            *state, *name, *fallback;
    const char            *hosts; /* JSON array */
    struct snapshot_limits limits;
};
struct snapshot_affiliate {
    int64_t     id;
    const char *status, *name;
};
struct snapshot_link {
    int64_t                id, campaign_id, affiliate_id;
    const char            *state, *code, *destination;
    const char            *rules;           /* JSON array */
    const char            *referrer_policy; /* NULL: none */
    int64_t                redirect_status; /* 0: none of its own */
    bool                   append_click_id, pass_unknown, deep_links;
    struct snapshot_limits limits;
};
struct snapshot_api_user {
    int64_t     id, program_id, affiliate_id, expires_us; /* 0: none, never */
    int64_t     rate_minute;
    bool        whitelist, autologin, test;
    const char *state, *role, *scopes;
    const char *ranges;                                   /* JSON array */
    const void *secret;                                   /* sealed; NULL: none */
    size_t      secret_len;
};
struct snapshot_api_key {
    int64_t     id, api_user_id;
    const char *state;
    const void *hash;
    size_t      hash_len;
};

struct snapshot_form {
    int64_t     id, program_id, affiliate_id, min_fill_s, rate_minute; /* affiliate 0: none */
    const char *state, *key, *fields, *language, *title, *intro, *button, *success_message, *after_submit, *after_url;
    const char *frame_ancestors, *origins, *theme; /* JSON, as `fields` */
    bool        confirm;
};

struct snapshot_visit {
    enum db_result (*program)(void *ctx, const struct snapshot_program *row);
    enum db_result (*campaign)(void *ctx, const struct snapshot_campaign *row);
    enum db_result (*affiliate)(void *ctx, const struct snapshot_affiliate *row);
    enum db_result (*link)(void *ctx, const struct snapshot_link *row);
    enum db_result (*api_user)(void *ctx, const struct snapshot_api_user *row);
    enum db_result (*api_key)(void *ctx, const struct snapshot_api_key *row);
    enum db_result (*form)(void *ctx, const struct snapshot_form *row);
    void *ctx;
};

enum db_result snapshot_version(struct db *db, uint64_t *version);
enum db_result snapshot_walk(struct db *db, uint64_t after, const struct snapshot_visit *visit);

#endif
