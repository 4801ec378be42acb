/*
 * catalog.h - rows of programs, groups, affiliates, campaigns, links and API users.
 *
 * `version` is the configuration version that a change took: edges learn of the row by it.
 */
#ifndef AFFILIATED_STORE_CATALOG_H
#define AFFILIATED_STORE_CATALOG_H

#include "store/coupon.h"
#include "store/intake.h"
#include "store/lead.h"
#include "store/row.h"
#include "store/trader.h"

/* Of links and campaigns: times 0 are open ends, caps 0 none. */
struct limits {
    int64_t starts_us, ends_us;
    int64_t cap_day, cap_total; /* counted clicks */
};

struct program_row {
    int64_t id, version, cookie_days, first_share_ppm;
    int64_t platform_user_id; /* 0: nobody signs autologins */
    char   *platform_url;     /* "": there are none */
    char   *name, *currency, *time_zone, *attribution, *fallback, *state;
    char   *precedence, *recurring_events; /* JSON arrays */
    char   *tracking_domain; /* "": links are shown at the installation's own address */
};
struct group_row {
    int64_t id, version, program_id, minimum_payout_minor;
    char   *name, *payout_frequency, *payout_methods;
};
struct affiliate_row {
    int64_t id, version, program_id, group_id, api_user_id, agent_id; /* group, api_user, agent 0: none */
    char   *name, *email, *status, *trader_id, *notes;
};
struct campaign_row {
    int64_t       id, version, program_id, window_days;
    char         *name, *state, *fallback;
    char         *hosts; /* JSON array of lower-case names */
    struct limits limits;
};
struct link_row {
    int64_t       id, version, affiliate_id, campaign_id, append_click_id;
    int64_t       redirect_status; /* 0: as the edge's location says */
    int64_t       pass_unknown, deep_links;
    char         *code, *destination, *state;
    char         *rules;           /* JSON array (service/rules.h) */
    char         *referrer_policy; /* NULL: none is sent */
    struct limits limits;
};
struct api_user_row {
    int64_t          id, version, program_id, affiliate_id, expires_us; /* affiliate, expires 0: none */
    int64_t          source_id, trader_id; /* 0: none */
    int64_t          autologin, test;
    int64_t          whitelist;   /* 1: only from ranges */
    int64_t          rate_minute; /* 0: no limit */
    char            *name, *role, *scopes, *state, *account;
    char            *ranges;      /* JSON array of CIDR texts */
    struct row_bytes secret;      /* sealed (tracker_secret.h); none: cannot sign */
};

extern const struct row_table program_table, group_table, affiliate_table, campaign_table, link_table, api_user_table;

/* Room for a row of any of them. */
union catalog_row {
    struct row_head      head;
    struct program_row   program;
    struct group_row     group;
    struct affiliate_row affiliate;
    struct campaign_row  campaign;
    struct link_row      link;
    struct api_user_row  api_user;
    struct coupon_row    coupon;
    struct trader_row    trader;
    struct lead_row      lead;

    struct department_row   department;
    struct source_row       source;
    struct staff_member_row staff;
    struct custom_field_row custom_field;
    struct form_row         form;
};

/* The program that everything new belongs to. DB_DONE: there is none yet. */
enum db_result program_first(struct db *db, int64_t *id);
/* Every tracking domain that is set. */
enum db_result program_each_domain(struct db *db, enum db_result (*visit)(void *ctx, const char *domain), void *ctx);
/* Whether amounts in the program's currency exist already: minimum payouts or commissions. */
enum db_result program_has_money(struct db *db, int64_t id, bool *has);

/* What an affiliate was at that time (cap bytes of out); before its first status, that one. DB_ROW, DB_DONE. */
enum db_result affiliate_status_at(struct db *db, int64_t id, uint64_t at_us, char *out, size_t cap);
/* What it is from then on; nothing where that is no change. */
enum db_result affiliate_status_write(struct db *db, int64_t id, const char *status, uint64_t now_us);
/* An Argon2id hash for the portal's log-in. DB_DONE: no such affiliate. */
enum db_result affiliate_set_password_hash(struct db *db, int64_t id, const char *hash, uint64_t now_us);

/* Owner and campaign from then on. */
enum db_result link_version_write(struct db *db, const struct link_row *row, uint64_t from_ms);

enum db_result api_key_insert(struct db *db, int64_t api_user_id, const char *prefix, const uint8_t hash[32],
                              int64_t version, uint64_t now_us);
/* DB_DONE: no such active key. */
enum db_result api_key_archive(struct db *db, int64_t api_user_id, int64_t key_id, int64_t version);
enum db_result api_keys_active(struct db *db, int64_t api_user_id, int64_t *count);
/* Ids of users whose secret was sealed with another key than that: *ids malloc'ed, NULL on failure. */
enum db_result api_users_sealed_otherwise(struct db *db, uint8_t key_id, int64_t **ids, size_t *count);

/* Where a click may be sent by a row: its URL template (or ""), and JSON arrays of rules and of hosts ("[]"). */
struct catalog_target {
    const char *kind; /* "link", "campaign", "program" */
    int64_t     id;
    const char *url, *rules, *hosts;
};
typedef enum db_result (*catalog_target_visit)(void *ctx, const struct catalog_target *target);
/* All that may name `host` (lower case): at least those that do. */
enum db_result catalog_each_target(struct db *db, const char *host, catalog_target_visit visit, void *ctx);

/* A setting's JSON text, malloc'ed; NULL with DB_OK when it was never set. */
enum db_result setting_get(struct db *db, const char *name, char **value);
/* Whether a setting that is one of some words is that one; what was never set is none. */
enum db_result setting_is(struct db *db, const char *name, const char *word, bool *is);
enum db_result setting_put(struct db *db, const char *name, const char *value, int64_t version);

/* Whether a row exists: "affiliates", ... are the tables this header names; used for references in requests. */
enum catalog_table {
    CATALOG_GROUP,
    CATALOG_AFFILIATE,
    CATALOG_CAMPAIGN,
    CATALOG_API_USER,
    CATALOG_SOURCE, /* an active one */
    CATALOG_TRADER  /* one that was not erased */
};
/* 0: no such row */
enum db_result catalog_program_of(struct db *db, enum catalog_table table, int64_t id, int64_t *program_id);

#endif
