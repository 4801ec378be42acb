#include "store/lead_fact.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

/* 0 is "none": NULL. */
static void
bulk_number(struct db_bulk *bulk, int64_t number)
{
    if (number != 0)
        db_bulk_int(bulk, number);
    else
        db_bulk_text(bulk, NULL, 0);
}

static void
bulk_str(struct db_bulk *bulk, struct tracker_str text)
{
    db_bulk_text(bulk, text.len == 0 ? NULL : text.data, text.len);
}

static void
bulk_ip(struct db_bulk *bulk, struct tracker_str ip, uint8_t form)
{
    db_bulk_bytes(bulk, ip.len == 0 ? NULL : ip.data, ip.len);
    bulk_number(bulk, form);
}

struct db_bulk *
lead_fact_bulk_begin(struct db *db)
{
    return db_bulk_begin(db, "lead_facts",
                         "journal_id, seq, time_ms, received_ms, program_id, lead_uid, kind, auth, api_user_id,"
                         " form_id, affiliate_id, flags, content, idempotency_key, click_id, cookie_first,"
                         " cookie_last, ip, ip_form, user_agent, referrer, language, fields",
                         23);
}

enum db_result
lead_fact_bulk_row(struct db_bulk *bulk, const struct lead_fact_row *row)
{
    db_bulk_int(bulk, row->journal_id);
    db_bulk_int(bulk, (int64_t) row->seq);
    db_bulk_int(bulk, (int64_t) row->time_ms);
    db_bulk_int(bulk, (int64_t) row->received_ms);
    db_bulk_int(bulk, row->program);
    db_bulk_text(bulk, row->uid, sizeof(row->uid));
    db_bulk_int(bulk, row->kind);
    db_bulk_int(bulk, row->auth);
    bulk_number(bulk, row->api_user);
    bulk_number(bulk, row->form);
    bulk_number(bulk, row->affiliate);
    db_bulk_int(bulk, row->flags);
    db_bulk_bytes(bulk, row->content.data, row->content.len);
    bulk_str(bulk, row->key);
    bulk_str(bulk, row->click_id);
    bulk_str(bulk, row->cookie_first);
    bulk_str(bulk, row->cookie_last);
    bulk_ip(bulk, row->ip, row->ip_form);
    bulk_str(bulk, row->user_agent);
    bulk_str(bulk, row->referrer);
    bulk_str(bulk, row->language);
    bulk_str(bulk, row->fields);
    return db_bulk_row(bulk);
}

struct db_bulk *
api_call_bulk_begin(struct db *db)
{
    return db_bulk_begin(db, "api_calls",
                         "journal_id, seq, time_ms, received_ms, program_id, api_user_id, count, status, items, code,"
                         " method, path, key_prefix, ip, ip_form, user_agent, lead_uid",
                         17);
}

enum db_result
api_call_bulk_row(struct db_bulk *bulk, const struct api_call_row *row)
{
    db_bulk_int(bulk, row->journal_id);
    db_bulk_int(bulk, (int64_t) row->seq);
    db_bulk_int(bulk, (int64_t) row->time_ms);
    db_bulk_int(bulk, (int64_t) row->received_ms);
    bulk_number(bulk, row->program);
    bulk_number(bulk, row->api_user);
    db_bulk_int(bulk, row->count);
    db_bulk_int(bulk, row->status);
    bulk_number(bulk, row->items);
    bulk_str(bulk, row->code);
    bulk_str(bulk, row->method);
    db_bulk_text(bulk, row->path.len == 0 ? "" : row->path.data, row->path.len);
    bulk_str(bulk, row->key_prefix);
    bulk_ip(bulk, row->ip, row->ip_form);
    bulk_str(bulk, row->user_agent);
    db_bulk_text(bulk, row->has_lead ? row->lead_uid : NULL, row->has_lead ? sizeof(row->lead_uid) : 0);
    return db_bulk_row(bulk);
}

enum db_result
lead_fact_counts(struct db *db, lead_fact_count count, void *ctx)
{
    struct db_stmt *row = db_prepare(db, "SELECT outcome, COUNT(*) AS n FROM lead_facts GROUP BY outcome ORDER BY outcome");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    while ((rc = db_step(row)) == DB_ROW)
        count(ctx, db_text(row, "outcome"), db_int(row, "n"));
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

/* ---- deciding ---- */

enum db_result
lead_fact_open(struct db *db, uint64_t now_us, struct fact_key *keys, int *count)
{
    struct db_stmt *row = db_prepare(db, "SELECT journal_id, seq FROM lead_facts"
                                         " WHERE outcome IS NULL AND retry_us <= $1"
                                         " ORDER BY time_ms, journal_id, seq LIMIT $2");
    enum db_result  rc;
    int             room = *count;

    *count = 0;
    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, (int64_t) now_us);
    db_bind_int(row, 2, room);
    while ((rc = db_step(row)) == DB_ROW && *count < room)
        keys[(*count)++] = (struct fact_key){ db_int(row, "journal_id"), db_int(row, "seq") };
    db_end(row);
    return rc == DB_DONE || rc == DB_ROW ? DB_OK : rc;
}

/* False: longer than its place, which our own ingest never writes. */
static bool
copy_text(char *out, size_t cap, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len >= cap)
        return false;
    memcpy(out, text == NULL ? "" : text, len);
    out[len] = '\0';
    return true;
}

static char *
owned_text(struct db_stmt *row, const char *column)
{
    const char *text = db_text(row, column);

    return text == NULL ? NULL : strdup(text);
}

static bool
copy_content(struct db_stmt *row, uint8_t out[16])
{
    size_t      len;
    const void *bytes = db_bytes(row, "content", &len);

    if (bytes == NULL || len != 16)
        return false;
    memcpy(out, bytes, 16);
    return true;
}

/* Ends the row. */
static enum db_result
read_fact(struct db_stmt *row, struct fact_key key, struct lead_fact *out)
{
    bool sound;

    *out = (struct lead_fact){
        .key = key,
        .time_ms = db_int(row, "time_ms"),
        .received_ms = db_int(row, "received_ms"),
        .program_id = db_int(row, "program_id"),
        .api_user_id = db_int(row, "api_user_id"),
        .form_id = db_int(row, "form_id"),
        .affiliate_id = db_int(row, "affiliate_id"),
        .flags = db_int(row, "flags"),
        .kind = (enum tracker_lead_kind) db_int(row, "kind"),
        .auth = (int) db_int(row, "auth"),
        .tries = (int) db_int(row, "tries"),
        .idempotency_key = owned_text(row, "idempotency_key"),
        .language = owned_text(row, "language"),
        .fields = owned_text(row, "fields"),
    };
    sound = copy_text(out->uid, sizeof(out->uid), db_text(row, "lead_uid")) && copy_content(row, out->content)
            && copy_text(out->click_id, sizeof(out->click_id), db_text(row, "click_id"))
            && copy_text(out->cookie_first, sizeof(out->cookie_first), db_text(row, "cookie_first"))
            && copy_text(out->cookie_last, sizeof(out->cookie_last), db_text(row, "cookie_last"))
            && (out->kind == TRACKER_LEAD_API || out->kind == TRACKER_LEAD_FORM) && out->fields != NULL;
    db_end(row);
    if (!sound) {
        lead_fact_free(out);
        *out = (struct lead_fact){ .key = key, .kind = TRACKER_LEAD_API };
    }
    return sound ? DB_ROW : DB_CORRUPT;
}

#define SELECT_FACT                                                                                                  \
    "SELECT time_ms, received_ms, program_id, lead_uid, kind, auth, api_user_id, form_id, affiliate_id, flags, content,"  \
    " idempotency_key, click_id, cookie_first, cookie_last, language, fields, tries FROM lead_facts"                 \
    " WHERE journal_id = $1 AND seq = $2 AND "

enum db_result
lead_fact_read(struct db *db, struct fact_key key, struct lead_fact *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, SELECT_FACT "outcome IS NULL", "ii", key.journal_id, key.seq);

    return rc == DB_ROW ? read_fact(row, key, out) : rc;
}

enum db_result
lead_fact_pending(struct db *db, struct fact_key key, struct lead_fact *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, SELECT_FACT "outcome = 'pending'", "ii", key.journal_id, key.seq);

    return rc == DB_ROW ? read_fact(row, key, out) : rc;
}

void
lead_fact_free(struct lead_fact *fact)
{
    free(fact->idempotency_key);
    free(fact->language);
    free(fact->fields);
    fact->idempotency_key = fact->language = fact->fields = NULL;
}

enum db_result
lead_fact_close(struct db *db, struct fact_key key, const char *outcome)
{
    return db_exec(db, "UPDATE lead_facts SET outcome = $3 WHERE journal_id = $1 AND seq = $2", "iis", key.journal_id,
                   key.seq, outcome);
}

enum db_result
lead_fact_failed(struct db *db, struct fact_key key, int limit, uint64_t retry_us, bool *last)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "UPDATE lead_facts SET tries = tries + 1, retry_us = $4,"
                                   " outcome = CASE WHEN tries + 1 >= CAST($3 AS INTEGER) THEN 'failed' END"
                                   " WHERE journal_id = $1 AND seq = $2 AND outcome IS NULL RETURNING outcome",
                                  "iiii", key.journal_id, key.seq, (int64_t) limit, (int64_t) retry_us);

    *last = false;
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *last = !db_is_null(row, "outcome");
    db_end(row);
    return DB_OK;
}

/* ---- what was decided before ---- */

/* What became nothing and says nothing does not bind whoever sends it again. */
#define DECIDED                                                                                                      \
    "SELECT journal_id, seq, lead_uid, content, outcome FROM lead_facts"                                             \
    " WHERE outcome IN ('created', 'pending', 'duplicate', 'invalid')"

static enum db_result
read_decided(enum db_result rc, struct db_stmt *row, struct lead_decided *out)
{
    bool sound;

    if (rc != DB_ROW)
        return rc;
    out->key = (struct fact_key){ db_int(row, "journal_id"), db_int(row, "seq") };
    sound = copy_text(out->uid, sizeof(out->uid), db_text(row, "lead_uid")) && copy_content(row, out->content)
            && copy_text(out->outcome, sizeof(out->outcome), db_text(row, "outcome"));
    db_end(row);
    return sound ? DB_ROW : DB_CORRUPT;
}

enum db_result
lead_fact_decided(struct db *db, const struct lead_fact *fact, struct lead_decided *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row, DECIDED " AND lead_uid = $1 ORDER BY journal_id, seq LIMIT 1", "s",
                                  fact->uid);

    if (rc != DB_DONE || fact->idempotency_key == NULL)
        return read_decided(rc, row, out);
    if (fact->kind == TRACKER_LEAD_API)
        rc = db_query(db, &row, DECIDED " AND idempotency_key = $1 AND api_user_id = $2 ORDER BY journal_id, seq LIMIT 1",
                      "si", fact->idempotency_key, fact->api_user_id);
    else
        rc = db_query(db, &row, DECIDED " AND idempotency_key = $1 AND form_id = $2 ORDER BY journal_id, seq LIMIT 1",
                      "si", fact->idempotency_key, fact->form_id);
    return read_decided(rc, row, out);
}
