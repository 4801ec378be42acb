/*
 * trader.h - the advertiser's customers, their accounts, and the single-use links by which they set a password.
 */
#ifndef AFFILIATED_STORE_TRADER_H
#define AFFILIATED_STORE_TRADER_H

#include "store/row.h"

#define TRADER_ACCOUNT_LEN 10 /* digits of an account's number, the first one no 0 */

struct trader_row {
    int64_t id, version, program_id, agent_id; /* agent 0: none */
    char   *first_name, *last_name, *email, *email_key, *phone, *country, *state, *notes;
    char   *phone_key, *external_id, *password_hash; /* nullable */
};
extern const struct row_table trader_table;

/* Whoever has that address, unless erased. DB_ROW (row_free it), DB_DONE or an error. */
enum db_result trader_by_email(struct db *db, int64_t program_id, const char *email_key, struct trader_row *row);
/* Whether somebody has that number; NULL: nobody. */
enum db_result trader_has_phone(struct db *db, int64_t program_id, const char *phone_key, bool *has);

/* DB_CONFLICT is not expected: look with account_exists first. */
enum db_result account_insert(struct db *db, int64_t trader_id, const char *number, uint64_t now_us);
enum db_result account_exists(struct db *db, const char *number, bool *exists);
enum db_result accounts_open(struct db *db, int64_t trader_id, int64_t *count);

/* Ends this trader's earlier unused links. */
enum db_result trader_invitation_insert(struct db *db, int64_t trader_id, const uint8_t hash[32], uint64_t now_us,
                                        uint64_t expires_us);
/* Whose link it is, while it works. DB_ROW, or DB_DONE: nobody's (any more). */
enum db_result trader_invitation_find(struct db *db, const uint8_t hash[32], uint64_t now_us, int64_t *trader_id);
/* Uses it up. DB_DONE: it does not work (any more). */
enum db_result trader_invitation_use(struct db *db, const uint8_t hash[32], uint64_t now_us);
enum db_result trader_invitations_end(struct db *db, int64_t trader_id);

#endif
