#include "store/coupon.h"

#include <string.h>

bool
coupon_key(const char *code, char *key)
{
    size_t len = strlen(code);

    if (len == 0 || len > COUPON_CODE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (code[i] <= ' ' || code[i] > '~')
            return false;
        key[i] = (char) (code[i] >= 'a' && code[i] <= 'z' ? code[i] - 'a' + 'A' : code[i]);
    }
    key[len] = '\0';
    return true;
}

#define AT(member) offsetof(struct coupon_row, member)
#define NAMES                                                                                                        \
    "version, program_id, affiliate_id, campaign_id, valid_from_us, valid_to_us, code, state, notes, code_key"

static const struct row_column columns[] = {
    { "version", ROW_INT, AT(version) },
    { "program_id", ROW_INT, AT(program_id) },
    { "affiliate_id", ROW_INT, AT(affiliate_id) },
    { "campaign_id", ROW_OPTIONAL, AT(campaign_id) },
    { "valid_from_us", ROW_OPTIONAL, AT(valid_from_us) },
    { "valid_to_us", ROW_OPTIONAL, AT(valid_to_us) },
    { "code", ROW_TEXT, AT(code) },
    { "state", ROW_TEXT, AT(state) },
    { "notes", ROW_TEXT, AT(notes) },
    { "code_key", ROW_TEXT, AT(code_key) },
    { NULL, ROW_INT, 0 },
};
const struct row_table coupon_table = ROW_TABLE_DATED("coupons", NAMES, "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10",
                                                      "$11", "$12", columns, struct coupon_row);

enum db_result
coupon_find(struct db *db, int64_t program_id, const char *key, struct coupon_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, "SELECT id, " NAMES " FROM coupons WHERE program_id = $1 AND code_key = $2",
                                  "is", program_id, key);

    if (rc != DB_ROW)
        return rc;
    row_read(stmt, &coupon_table, row);
    db_end(stmt);
    return DB_ROW;
}
