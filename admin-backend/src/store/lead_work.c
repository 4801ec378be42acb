#include "store/lead_work.h"

#include <stdio.h>

#include "store/outbox.h"
#include "store/portal.h"

enum db_result
lead_set_converted(struct db *db, int64_t id, int64_t trader_id, bool existing, uint64_t now_us)
{
    return db_exec(db,
                   "UPDATE leads SET status = 'converted', trader_id = $2, existing = $3, updated_us = $4,"
                   " version = version + 1 WHERE id = $1",
                   "iiii", id, trader_id, (int64_t) existing, (int64_t) now_us);
}

enum db_result
lead_note_insert(struct db *db, int64_t lead_id, const char *actor, const char *text, uint64_t now_us)
{
    return db_exec(db, "INSERT INTO lead_notes (lead_id, actor, text, created_us) VALUES ($1, $2, $3, $4)", "issi",
                   lead_id, actor, text, (int64_t) now_us);
}

/* ---- erasure ---- */

static const uint8_t no_content[16];

#define NO_FACT                                                                                                      \
    "UPDATE lead_facts SET fields = '{}', content = $2, idempotency_key = NULL, click_id = NULL, cookie_first = NULL," \
    " cookie_last = NULL, ip = NULL, ip_form = NULL, user_agent = NULL, referrer = NULL, language = NULL"

enum db_result
lead_erase_fact(struct db *db, int64_t journal_id, int64_t seq)
{
    return db_exec(db, NO_FACT " WHERE journal_id = $1 AND seq = $3", "ibi", journal_id, (const void *) no_content,
                   sizeof(no_content), seq);
}

/* The records that became this lead, that repeated it, or that were refused as its duplicates. */
static enum db_result
erase_facts(struct db *db, int64_t id, const char *uid)
{
    enum db_result rc = db_exec(db, NO_FACT " WHERE lead_uid = $1", "sb", uid, (const void *) no_content,
                                sizeof(no_content));

    if (rc == DB_OK)
        rc = db_exec(db, NO_FACT " WHERE (journal_id, seq) IN (SELECT journal_id, seq FROM lead_log WHERE lead_id = $1)",
                     "ib", id, (const void *) no_content, sizeof(no_content));
    if (rc == DB_OK)
        rc = db_exec(db, "UPDATE lead_log SET email = '' WHERE lead_id = $1", "i", id);
    return rc == DB_OK ? db_exec(db, "DELETE FROM lead_notes WHERE lead_id = $1", "i", id) : rc;
}

/* Kept for a week, and nobody sends an erased person's request again. */
static enum db_result
erase_answers(struct db *db, int64_t id, const char *uid)
{
    char pattern[64], body[40];

    snprintf(pattern, sizeof(pattern), "%%\"uid\":\"%.32s\"%%", uid);
    snprintf(body, sizeof(body), "{\"id\":\"%lld\"}", (long long) id);
    return db_exec(db, "UPDATE idempotency_keys SET body = $2 WHERE body LIKE $1", "ss", pattern, body);
}

enum db_result
lead_erase_person(struct db *db, int64_t id, const char *uid, uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE leads SET first_name = '', last_name = '', email = '', email_key = NULL,"
                                " phone = '', phone_key = NULL, country = '', language = '', fields = '{}',"
                                " tags = '[]', idempotency_key = NULL, content = $3, erased_us = $2, updated_us = $2,"
                                " version = version + 1 WHERE id = $1",
                                "iib", id, (int64_t) now_us, (const void *) no_content, sizeof(no_content));

    if (rc == DB_OK)
        rc = erase_facts(db, id, uid);
    if (rc == DB_OK)
        rc = outbox_delete_lead(db, id);
    return rc == DB_OK ? erase_answers(db, id, uid) : rc;
}

struct stale_lead {
    int64_t id;
    char    uid[33];
};

static enum db_result
find_unconfirmed(struct db *db, uint64_t before_us, struct stale_lead *leads, int *count)
{
    struct db_stmt *row = db_prepare(db, "SELECT id, uid FROM leads WHERE status = 'unconfirmed' AND created_us < $1"
                                         " ORDER BY created_us, id LIMIT $2");
    int             room = *count;
    enum db_result  rc;

    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, (int64_t) before_us);
    db_bind_int(row, 2, room);
    while ((rc = db_step(row)) == DB_ROW && *count < room) {
        leads[*count].id = db_int(row, "id");
        snprintf(leads[(*count)++].uid, sizeof(leads[0].uid), "%s", db_text(row, "uid"));
    }
    db_end(row);
    return rc == DB_DONE || rc == DB_ROW ? DB_OK : rc;
}

enum db_result
lead_erase_unconfirmed(struct db *db, uint64_t before_us, uint64_t now_us, int limit)
{
    struct stale_lead leads[100];
    int               count = limit < 100 ? limit : 100;
    enum db_result    rc = find_unconfirmed(db, before_us, leads, &count);

    for (int i = 0; rc == DB_OK && i < count; i++) {
        rc = lead_erase_person(db, leads[i].id, leads[i].uid, now_us);
        if (rc == DB_OK)
            rc = db_exec(db, "UPDATE leads SET status = 'rejected' WHERE id = $1", "i", leads[i].id);
    }
    return rc;
}

enum db_result
trader_has_other_leads(struct db *db, int64_t trader_id, int64_t lead_id, bool *has)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id FROM leads WHERE trader_id = $1 AND id <> $2 AND erased_us IS NULL LIMIT 1",
                                  "ii", trader_id, lead_id);

    *has = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
trader_erase_person(struct db *db, int64_t id, uint64_t now_us)
{
    enum db_result rc = db_exec(db,
                                "UPDATE traders SET first_name = '', last_name = '', email = '', email_key = '',"
                                " phone = '', phone_key = NULL, country = '', external_id = NULL, state = 'erased',"
                                " password_hash = NULL, notes = '', updated_us = $2, version = version + 1"
                                " WHERE id = $1",
                                "ii", id, (int64_t) now_us);

    if (rc == DB_OK)
        rc = db_exec(db, "DELETE FROM trader_invitations WHERE trader_id = $1", "i", id);
    if (rc == DB_OK)
        rc = portal_sessions_end_trader(db, id);
    if (rc == DB_OK)
        rc = db_exec(db, "UPDATE trader_accounts SET state = 'closed' WHERE trader_id = $1", "i", id);
    return rc;
}
