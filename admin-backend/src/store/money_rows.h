/*
 * money_rows.h - rows of referrals, commissions and payouts, and the guarded
 * updates that make races lose: each names the state it leaves.
 */
#ifndef AFFILIATED_STORE_MONEY_ROWS_H
#define AFFILIATED_STORE_MONEY_ROWS_H

#include "db/db.h"
#include "domain/amount.h"
#include "domain/states.h"
#include "tracker_click_id.h"

/* Who, when and why; stands in every state change. */
struct change {
    const char *actor;
    const char *reason; /* NULL: none given */
    uint64_t    at_us;
};

/* ---- referrals ---- */

struct referral_row {
    int64_t             id, program_id, affiliate_id, conversion_id, version, share_ppm;
    int                 part; /* of a shared conversion: 0 the first touch's, 1 the last's */
    bool                verified, superseded;
    enum referral_state state;
};
struct referral_new {
    int64_t     program_id, affiliate_id, campaign_id, link_id, conversion_id; /* 0: none */
    const char *event;
    const char *click_id;   /* NULL: none */
    const struct tracker_money *amount; /* NULL: none */
    const char *why;        /* JSON */
    const char *customer;   /* NULL: none */
    const char *lead_id;    /* NULL: none */
    int64_t     share_ppm;
    int         part;
    bool        verified;
    enum referral_state state;
};
enum db_result referral_insert(struct db *db, const struct referral_new *referral, const struct change *change,
                               int64_t *id);
enum db_result referral_find(struct db *db, int64_t id, struct referral_row *out);                /* DB_ROW, DB_DONE */
/* Those that count, by part; *count at most REFERRALS_OF_CONVERSION. */
#define REFERRALS_OF_CONVERSION 2
enum db_result referrals_of_conversion(struct db *db, int64_t conversion_id,
                                       struct referral_row rows[REFERRALS_OF_CONVERSION], int *count);
/* Others earn its conversion now: it stays for the record. */
enum db_result referral_supersede(struct db *db, int64_t id);
/* The advertiser confirms the order, and (verified) its touch. amount NULL: none. */
enum db_result referral_confirm(struct db *db, int64_t id, bool verified, const struct tracker_money *amount,
                                const char *customer, const char *lead, uint64_t now_us);
/* DB_CONFLICT: it is not in `from` any more. */
enum db_result referral_move(struct db *db, int64_t id, enum referral_state from, enum referral_state to,
                             const struct change *change);
/* tags and notes NULL: unchanged. DB_CONFLICT: the version is another (if_version 0: any). */
enum db_result referral_annotate(struct db *db, int64_t id, int64_t if_version, const char *tags, const char *notes,
                                 uint64_t now_us);

/* ---- commissions ---- */

struct commission_row {
    int64_t id, program_id, affiliate_id, referral_id, conversion_id, plan_id, revision, hold_days;
    int64_t reverses_id; /* 0: it is no reversal */
    int64_t basis_minor, rate_ppm; /* -1: none */
    int64_t share_ppm, payable_us; /* payable 0: not yet known */
    int     part;
    bool    has_basis;
    char    period[8], kind[16];
    struct tracker_money  amount;
    enum commission_state state;
};
struct commission_new {
    int64_t     program_id, affiliate_id, referral_id, conversion_id, plan_id; /* 0: none */
    const char *period, *kind; /* "2026-11"; "commission", "reversal", "reinstatement" */
    int64_t     revision, reverses_id;
    struct tracker_money amount;
    bool        has_basis;
    int64_t     basis_minor, rate_ppm; /* rate -1: fixed */
    int64_t     share_ppm;             /* 0: the whole */
    int         part;
    enum commission_state state;
    int64_t     payable_us;            /* 0: not yet known */
    const char *why;
};
enum db_result commission_insert(struct db *db, const struct commission_new *commission, const struct change *change,
                                 int64_t *id);
enum db_result commission_find(struct db *db, int64_t id, struct commission_row *out);            /* DB_ROW, DB_DONE */
/* All commissions of a referral, oldest first; *rows is malloc'ed, the caller's to free whatever the result. */
enum db_result commissions_of_referral(struct db *db, int64_t referral_id, struct commission_row **rows, int *count);
enum db_result commissions_count(struct db *db, int64_t referral_id, int64_t *count);
/* The first revision of that kind that the conversion and affiliate do not have yet. */
enum db_result commission_next_revision(struct db *db, int64_t conversion_id, int64_t affiliate_id, const char *kind,
                                        int64_t *revision);
/* Whether a payout that is not yet paid holds a commission of that conversion. */
enum db_result conversion_in_payout(struct db *db, int64_t conversion_id, bool *busy);
/* payable_us 0: unchanged. */
enum db_result commission_move(struct db *db, int64_t id, enum commission_state from, enum commission_state to,
                               int64_t payable_us, const struct change *change);
/* How many referrals earned the affiliate something in that period that still stands: what tiers count. */
enum db_result commissions_in_period(struct db *db, int64_t affiliate_id, const char *period, int64_t *count);

/* ---- payouts ---- */

struct payout_row {
    int64_t id, program_id, affiliate_id, version;
    struct tracker_money amount;
    enum payout_state    state;
};
struct payout_new {
    int64_t     program_id, affiliate_id, minimum_minor;
    struct tracker_money amount;
    const char *method;
};
/* What of an affiliate may be paid now, reversals included. */
enum db_result payout_eligible(struct db *db, int64_t affiliate_id, const char *currency, uint64_t now_us,
                               int64_t *sum_minor, int64_t *count);
enum db_result payout_insert(struct db *db, const struct payout_new *payout, const struct change *change, int64_t *id);
/* Takes every eligible commission into the payout: items, states, history.  *sum_minor and *count as taken. */
enum db_result payout_take(struct db *db, int64_t payout_id, int64_t affiliate_id, const char *currency,
                           const struct change *change, int64_t *sum_minor, int64_t *count);
enum db_result payout_find(struct db *db, int64_t id, struct payout_row *out);                    /* DB_ROW, DB_DONE */
enum db_result payout_move(struct db *db, int64_t id, enum payout_state from, enum payout_state to,
                           const struct change *change);
/* pending -> paid with what proves it. DB_CONFLICT: not pending, or the reference is used. */
enum db_result payout_mark_paid(struct db *db, int64_t id, const char *reference, int64_t paid_at_us, const char *notes,
                                const struct change *change);
enum db_result payout_reference_used(struct db *db, const char *reference, bool *used);
/* Moves all live items' commissions from in_payout to `to`; releasing them (to approved) ends the items' life. */
enum db_result payout_items_move(struct db *db, int64_t payout_id, enum commission_state to, const struct change *change);

/* What money needs to know of an affiliate. DB_ROW, DB_DONE. */
struct payee {
    int64_t program_id, group_id;      /* group 0: none */
    int64_t minimum_minor;             /* of the group, program currency */
    char    status[12], currency[4];   /* the program's */
    char    method[32];                /* the group's first, or "bank_transfer" */
};
enum db_result payee_find(struct db *db, int64_t affiliate_id, struct payee *out);

#endif
