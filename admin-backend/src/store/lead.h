/*
 * lead.h - leads: people who left their address.
 */
#ifndef AFFILIATED_STORE_LEAD_H
#define AFFILIATED_STORE_LEAD_H

#include "store/row.h"

/* Ids are 0 and NULLABLE texts NULL where there is none. created_us, when it arrived, is row_insert's time. */
struct lead_row {
    int64_t          id, version, program_id, api_user_id, form_id, source_id, affiliate_id, campaign_id, link_id;
    int64_t          department_id, agent_id, trader_id, duplicate_of;
    int64_t          test, existing;           /* 0 or 1 */
    int64_t          journal_id, seq;          /* of its fact; 0: made by hand */
    int64_t          confirmed_us, erased_us;  /* 0: not yet */
    char            *uid, *kind, *status;      /* kind: "api", "form", "manual" */
    char            *first_name, *last_name, *email, *phone, *country, *language;
    char            *fields, *tags;            /* JSON */
    char            *click_id, *email_key, *phone_key, *idempotency_key; /* nullable */
    struct row_bytes content;                  /* tracker_lead_content() */
};

extern const struct row_table lead_table;

/* DB_ROW, DB_DONE. */
enum db_result lead_by_uid(struct db *db, const char *uid, struct lead_row *out);

/* ---- who else is that person ---- */

struct lead_person {
    int64_t     program_id, source_id; /* source 0: none; leads of none are of one source */
    bool        within_source;         /* else the whole program */
    const char *email_key, *phone_key; /* NULL: none */
};
/*
 * The first lead of that person that is neither a test nor unconfirmed; *id 0: there is none. *by_phone: the phone says
 * so, the e-mail not.
 */
enum db_result lead_first_of(struct db *db, const struct lead_person *person, int64_t *id, bool *by_phone);
/* One of that program and e-mail that waits to be confirmed; *id 0: there is none. */
enum db_result lead_unconfirmed_of(struct db *db, int64_t program_id, const char *email_key, int64_t *id);
/* Whether the program's platform knows that person as a trader. */
enum db_result lead_has_trader(struct db *db, const struct lead_person *person, bool *has);

/* ---- who sends ---- */

/* What an API user or form says of the leads that come by it. */
struct lead_sender {
    int64_t source_id; /* 0: none */
    bool    test, cpa; /* cpa: each becomes a trader with an account */
    bool    confirm;   /* double opt-in */
};
/* DB_ROW, or DB_DONE: there is none. */
enum db_result lead_sender_api_user(struct db *db, int64_t id, struct lead_sender *out);
enum db_result lead_sender_form(struct db *db, int64_t id, struct lead_sender *out);

/* ---- the log ---- */

/* One submission and what became of it; ids 0: none. */
struct lead_log_row {
    int64_t     at_us, journal_id, seq, lead_id, program_id, api_user_id, form_id, source_id, affiliate_id, agent_id,
        department_id;
    const char *uid, *kind, *verdict, *reason, *email;
};
enum db_result lead_log_insert(struct db *db, const struct lead_log_row *row);
/* Who got the lead later than it came. */
enum db_result lead_log_assign(struct db *db, int64_t journal_id, int64_t seq, int64_t agent_id, int64_t department_id);

/* What a decided fact led to: its lead, or the one it is a duplicate of. */
struct lead_outcome {
    int64_t lead_id;      /* 0: none */
    char    uid[33];      /* of that lead, or "" */
    bool    no_autologin; /* the person had an account, or the lead is a test, erased, or a duplicate that was allowed */
    bool    erased;
};
enum db_result lead_log_outcome(struct db *db, int64_t journal_id, int64_t seq, struct lead_outcome *out);

#endif
