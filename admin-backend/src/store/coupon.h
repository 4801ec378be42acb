/*
 * coupon.h - coupon codes: a code that a customer uses says whose customer it is.
 */
#ifndef AFFILIATED_STORE_COUPON_H
#define AFFILIATED_STORE_COUPON_H

#include "db/db.h"

#define COUPON_CODE_MAX 64

struct coupon_row {
    int64_t id, program_id, affiliate_id, campaign_id, valid_from_us, valid_to_us, version; /* campaign, times 0: none */
    char   *code, *state, *notes;
};

/* Upper case of ASCII; false: no code that could exist.  key: COUPON_CODE_MAX + 1 bytes. */
bool coupon_key(const char *code, char *key);

/* DB_ROW, DB_DONE or an error; texts of a loaded row are owned by it. */
enum db_result coupon_load(struct db *db, int64_t id, struct coupon_row *row);
enum db_result coupon_find(struct db *db, int64_t program_id, const char *key, struct coupon_row *row);
/* DB_CONFLICT: the program has this code. */
enum db_result coupon_insert(struct db *db, struct coupon_row *row, const char *key, uint64_t now_us);
enum db_result coupon_update(struct db *db, const struct coupon_row *row, uint64_t now_us);
void           coupon_row_free(struct coupon_row *row);

#endif
