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

#endif
