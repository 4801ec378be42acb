#include "store/lead.h"

#include <stddef.h>

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
