/*
 * coupon.h - coupon codes: a code that a customer uses says whose customer it is.
 */
#ifndef AFFILIATED_STORE_COUPON_H
#define AFFILIATED_STORE_COUPON_H

#include "store/row.h"

#define COUPON_CODE_MAX 64

struct coupon_row {
    int64_t id, version, program_id, affiliate_id, campaign_id, valid_from_us, valid_to_us; /* campaign, times 0: none */
    char   *code, *state, *notes;
    char   *code_key; /* what is compared */
};
extern const struct row_table coupon_table;

/* Upper case of ASCII; false: no code that could exist.  key: COUPON_CODE_MAX + 1 bytes. */
bool coupon_key(const char *code, char *key);

/* DB_ROW (row_free it), DB_DONE or an error. */
enum db_result coupon_find(struct db *db, int64_t program_id, const char *key, struct coupon_row *row);

#endif
