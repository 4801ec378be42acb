#include "store/lead.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct lead_row, member)

static const struct row_column lead_columns[] = {
    { "version", ROW_INT, AT(version) },
    { "uid", ROW_TEXT, AT(uid) },
    { "program_id", ROW_INT, AT(program_id) },
    { "kind", ROW_TEXT, AT(kind) },
    { "api_user_id", ROW_OPTIONAL, AT(api_user_id) },
    { "form_id", ROW_OPTIONAL, AT(form_id) },
    { "source_id", ROW_OPTIONAL, AT(source_id) },
    { "affiliate_id", ROW_OPTIONAL, AT(affiliate_id) },
    { "campaign_id", ROW_OPTIONAL, AT(campaign_id) },
    { "link_id", ROW_OPTIONAL, AT(link_id) },
    { "click_id", ROW_NULLABLE, AT(click_id) },
    { "status", ROW_TEXT, AT(status) },
    { "test", ROW_INT, AT(test) },
    { "first_name", ROW_TEXT, AT(first_name) },
    { "last_name", ROW_TEXT, AT(last_name) },
    { "email", ROW_TEXT, AT(email) },
    { "email_key", ROW_NULLABLE, AT(email_key) },
    { "phone", ROW_TEXT, AT(phone) },
    { "phone_key", ROW_NULLABLE, AT(phone_key) },
    { "country", ROW_TEXT, AT(country) },
    { "language", ROW_TEXT, AT(language) },
    { "fields", ROW_TEXT, AT(fields) },
    { "tags", ROW_TEXT, AT(tags) },
    { "department_id", ROW_OPTIONAL, AT(department_id) },
    { "agent_id", ROW_OPTIONAL, AT(agent_id) },
    { "trader_id", ROW_OPTIONAL, AT(trader_id) },
    { "existing", ROW_INT, AT(existing) },
    { "duplicate_of", ROW_OPTIONAL, AT(duplicate_of) },
    { "idempotency_key", ROW_NULLABLE, AT(idempotency_key) },
    { "content", ROW_BYTES, AT(content) },
    { "journal_id", ROW_INT, AT(journal_id) },
    { "seq", ROW_INT, AT(seq) },
    { "confirmed_us", ROW_OPTIONAL, AT(confirmed_us) },
    { "erased_us", ROW_OPTIONAL, AT(erased_us) },
    { NULL, ROW_INT, 0 },
};

const struct row_table lead_table =
    ROW_TABLE_DATED("leads",
                    "version, uid, program_id, kind, api_user_id, form_id, source_id, affiliate_id, campaign_id,"
                    " link_id, click_id, status, test, first_name, last_name, email, email_key, phone, phone_key,"
                    " country, language, fields, tags, department_id, agent_id, trader_id, existing, duplicate_of,"
                    " idempotency_key, content, journal_id, seq, confirmed_us, erased_us",
                    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
                    " $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34",
                    "$35", "$36", lead_columns, struct lead_row);

enum db_result
lead_by_uid(struct db *db, const char *uid, struct lead_row *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT id FROM leads WHERE uid = $1", "s", uid);
    int64_t         id;

    if (rc != DB_ROW)
        return rc;
    id = db_int(row, "id");
    db_end(row);
    return row_load(db, &lead_table, id, out);
}

/* ---- who else is that person ---- */

static enum db_result
first_by(struct db *db, const struct lead_person *person, bool phone, int64_t *id)
{
    struct db_stmt *row;
    enum db_result  rc;

    *id = 0;
    if ((phone ? person->phone_key : person->email_key) == NULL)
        return DB_OK;
    rc = phone ? db_query(db, &row,
                          "SELECT id FROM leads WHERE program_id = $1 AND phone_key = $2 AND test = 0 AND status <> 'unconfirmed'"
                          " AND ($3 = 0 OR COALESCE(source_id, 0) = $4) ORDER BY id LIMIT 1",
                          "isii", person->program_id, person->phone_key, (int64_t) person->within_source,
                          person->source_id)
               : db_query(db, &row,
                          "SELECT id FROM leads WHERE program_id = $1 AND email_key = $2 AND test = 0 AND status <> 'unconfirmed'"
                          " AND ($3 = 0 OR COALESCE(source_id, 0) = $4) ORDER BY id LIMIT 1",
                          "isii", person->program_id, person->email_key, (int64_t) person->within_source,
                          person->source_id);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    *id = db_int(row, "id");
    db_end(row);
    return DB_OK;
}

enum db_result
lead_first_of(struct db *db, const struct lead_person *person, int64_t *id, bool *by_phone)
{
    enum db_result rc = first_by(db, person, false, id);

    *by_phone = rc == DB_OK && *id == 0;
    return *by_phone ? first_by(db, person, true, id) : rc;
}

enum db_result
lead_unconfirmed_of(struct db *db, int64_t program_id, const char *email_key, int64_t *id)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id FROM leads WHERE program_id = $1 AND email_key = $2 AND test = 0"
                                   " AND status = 'unconfirmed' ORDER BY id LIMIT 1",
                                  "is", program_id, email_key);

    *id = rc == DB_ROW ? db_int(row, "id") : 0;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum db_result
lead_has_trader(struct db *db, const struct lead_person *person, bool *has)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT id FROM traders WHERE program_id = $1 AND state <> 'erased'"
                                   " AND (email_key = $2 OR phone_key = $3) LIMIT 1",
                                  "iss", person->program_id, person->email_key, person->phone_key);

    *has = rc == DB_ROW;
    if (rc == DB_ROW)
        db_end(row);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

/* ---- who sends ---- */

static enum db_result
read_sender(enum db_result rc, struct db_stmt *row, struct lead_sender *out)
{
    *out = (struct lead_sender){ .source_id = 0 };
    if (rc != DB_ROW)
        return rc;
    out->source_id = db_int(row, "source_id");
    out->test = db_int(row, "test") != 0;
    out->cpa = strcmp(db_text(row, "account"), "cpa") == 0;
    out->confirm = db_int(row, "confirm") != 0;
    db_end(row);
    return rc;
}

enum db_result
lead_sender_api_user(struct db *db, int64_t id, struct lead_sender *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT source_id, account, test, 0 AS confirm FROM api_users WHERE id = $1", "i", id);

    return read_sender(rc, row, out);
}

enum db_result
lead_sender_form(struct db *db, int64_t id, struct lead_sender *out)
{
    struct db_stmt *row = NULL;
    enum db_result  rc = db_query(db, &row, "SELECT source_id, account, 0 AS test, confirm FROM forms WHERE id = $1", "i", id);

    return read_sender(rc, row, out);
}

/* ---- the log ---- */

static void
bind_id(struct db_stmt *row, int index, int64_t id)
{
    if (id == 0)
        db_bind_null(row, index);
    else
        db_bind_int(row, index, id);
}

enum db_result
lead_log_insert(struct db *db, const struct lead_log_row *log)
{
    struct db_stmt *row = db_prepare(db, "INSERT INTO lead_log (at_us, journal_id, seq, uid, lead_id, program_id, kind,"
                                         " api_user_id, form_id, source_id, affiliate_id, agent_id, department_id,"
                                         " verdict, reason, email)"
                                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
                                         " $16)");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, log->at_us);
    db_bind_int(row, 2, log->journal_id);
    db_bind_int(row, 3, log->seq);
    db_bind_text(row, 4, log->uid);
    bind_id(row, 5, log->lead_id);
    db_bind_int(row, 6, log->program_id);
    db_bind_text(row, 7, log->kind);
    bind_id(row, 8, log->api_user_id);
    bind_id(row, 9, log->form_id);
    bind_id(row, 10, log->source_id);
    bind_id(row, 11, log->affiliate_id);
    bind_id(row, 12, log->agent_id);
    bind_id(row, 13, log->department_id);
    db_bind_text(row, 14, log->verdict);
    db_bind_text(row, 15, log->reason);
    db_bind_text(row, 16, log->email);
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
lead_log_assign(struct db *db, int64_t journal_id, int64_t seq, int64_t agent_id, int64_t department_id)
{
    struct db_stmt *row = db_prepare(db, "UPDATE lead_log SET agent_id = $3, department_id = $4"
                                         " WHERE journal_id = $1 AND seq = $2");
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, journal_id);
    db_bind_int(row, 2, seq);
    bind_id(row, 3, agent_id);
    bind_id(row, 4, department_id);
    rc = db_step(row);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
lead_log_outcome(struct db *db, int64_t journal_id, int64_t seq, struct lead_outcome *out)
{
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row,
                                  "SELECT l.id AS id, l.uid AS uid, l.existing AS existing,"
                                   " l.duplicate_of AS duplicate_of, l.test AS test, l.erased_us AS erased_us"
                                   " FROM lead_log x JOIN leads l ON l.id = x.lead_id"
                                   " WHERE x.journal_id = $1 AND x.seq = $2",
                                  "ii", journal_id, seq);

    *out = (struct lead_outcome){ .lead_id = 0 };
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    out->lead_id = db_int(row, "id");
    snprintf(out->uid, sizeof(out->uid), "%s", db_text(row, "uid"));
    out->erased = !db_is_null(row, "erased_us");
    out->no_autologin = out->erased || db_int(row, "existing") != 0 || db_int(row, "test") != 0
                        || !db_is_null(row, "duplicate_of");
    db_end(row);
    return DB_OK;
}
