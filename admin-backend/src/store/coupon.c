#include "store/coupon.h"

#include <stdlib.h>
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

#define COUPON_COLUMNS                                                                                               \
    "SELECT id, program_id, code, affiliate_id, campaign_id, state, valid_from_us, valid_to_us, notes, version"      \
    " FROM coupons"

static char *
copy(struct db_stmt *row, const char *column)
{
    const char *text = db_text(row, column);

    return strdup(text == NULL ? "" : text);
}

static enum db_result
read_coupon(enum db_result rc, struct db_stmt *stmt, struct coupon_row *row)
{
    if (rc != DB_ROW)
        return rc;
    *row = (struct coupon_row){
        .id = db_int(stmt, "id"),
        .program_id = db_int(stmt, "program_id"),
        .affiliate_id = db_int(stmt, "affiliate_id"),
        .campaign_id = db_int(stmt, "campaign_id"),
        .valid_from_us = db_int(stmt, "valid_from_us"),
        .valid_to_us = db_int(stmt, "valid_to_us"),
        .version = db_int(stmt, "version"),
        .code = copy(stmt, "code"),
        .state = copy(stmt, "state"),
        .notes = copy(stmt, "notes"),
    };
    db_end(stmt);
    if (row->code != NULL && row->state != NULL && row->notes != NULL)
        return DB_ROW;
    coupon_row_free(row);
    return DB_FAILED;
}

enum db_result
coupon_load(struct db *db, int64_t id, struct coupon_row *row)
{
    struct db_stmt *stmt = NULL;
    enum db_result  rc = db_query(db, &stmt, COUPON_COLUMNS " WHERE id = $1", "i", id);

    return read_coupon(rc, stmt, row);
}

enum db_result
coupon_find(struct db *db, int64_t program_id, const char *key, struct coupon_row *row)
{
    struct db_stmt *stmt = NULL;
    enum db_result  rc = db_query(db, &stmt, COUPON_COLUMNS " WHERE program_id = $1 AND code_key = $2", "is", program_id,
                                  key);

    return read_coupon(rc, stmt, row);
}

void
coupon_row_free(struct coupon_row *row)
{
    free(row->code);
    free(row->state);
    free(row->notes);
}

static void
bind_coupon(struct db_stmt *stmt, const struct coupon_row *row, uint64_t now_us)
{
    if (row->campaign_id != 0)
        db_bind_int(stmt, 1, row->campaign_id);
    db_bind_text(stmt, 2, row->state);
    if (row->valid_from_us != 0)
        db_bind_int(stmt, 3, row->valid_from_us);
    if (row->valid_to_us != 0)
        db_bind_int(stmt, 4, row->valid_to_us);
    db_bind_text(stmt, 5, row->notes);
    db_bind_int(stmt, 6, (int64_t) now_us);
}

enum db_result
coupon_insert(struct db *db, struct coupon_row *row, const char *key, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "INSERT INTO coupons (campaign_id, state, valid_from_us, valid_to_us, notes,"
                                          " created_us, updated_us, program_id, code, code_key, affiliate_id)"
                                          " VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10) RETURNING id");
    enum db_result  rc;

    if (stmt == NULL)
        return DB_FAILED;
    bind_coupon(stmt, row, now_us);
    db_bind_int(stmt, 7, row->program_id);
    db_bind_text(stmt, 8, row->code);
    db_bind_text(stmt, 9, key);
    db_bind_int(stmt, 10, row->affiliate_id);
    rc = db_step(stmt);
    if (rc == DB_ROW)
        row->id = db_int(stmt, "id");
    db_end(stmt);
    return rc == DB_ROW ? DB_OK : rc == DB_DONE ? DB_FAILED : rc;
}

enum db_result
coupon_update(struct db *db, const struct coupon_row *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, "UPDATE coupons SET campaign_id = $1, state = $2, valid_from_us = $3,"
                                          " valid_to_us = $4, notes = $5, updated_us = $6, version = version + 1"
                                          " WHERE id = $7");
    enum db_result  rc;

    if (stmt == NULL)
        return DB_FAILED;
    bind_coupon(stmt, row, now_us);
    db_bind_int(stmt, 7, row->id);
    rc = db_step(stmt);
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}
