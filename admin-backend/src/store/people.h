/* people.h - rows of staff, sessions, tokens, invitations and log-in attempts. */
#ifndef AFFILIATED_STORE_PEOPLE_H
#define AFFILIATED_STORE_PEOPLE_H

#include "db/db.h"

#define PEOPLE_HASH_LEN 32
#define PEOPLE_TEXT_MAX 256

struct staff_row {
    int64_t id;
    char    email[PEOPLE_TEXT_MAX], role[16], state[16], password_hash[PEOPLE_TEXT_MAX];
};
enum db_result staff_insert(struct db *db, const char *email, const char *name, const char *role,
                            const char *password_hash, uint64_t now_us, int64_t *id);
enum db_result staff_by_email(struct db *db, const char *email, struct staff_row *out); /* DB_ROW, DB_DONE */
enum db_result staff_count(struct db *db, int64_t *count);

enum db_result session_insert(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], int64_t staff_id, const char *csrf,
                              uint64_t now_us, uint64_t expires_us);
/* An active member's live session: idle less than idle_us, not past its end. csrf: PEOPLE_TEXT_MAX bytes. */
enum db_result session_by_hash(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us, uint64_t idle_us,
                               struct staff_row *staff, char *csrf, uint64_t *seen_us);
enum db_result session_seen(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us);
enum db_result session_delete(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN]);

enum db_result token_insert(struct db *db, int64_t staff_id, const char *name, const char *prefix,
                            const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us);
enum db_result token_by_hash(struct db *db, const uint8_t hash[PEOPLE_HASH_LEN], uint64_t now_us,
                             struct staff_row *staff);

/* Ends earlier unused invitations of that purpose. */
enum db_result invitation_insert(struct db *db, const char *purpose, const uint8_t hash[PEOPLE_HASH_LEN],
                                 uint64_t now_us, uint64_t expires_us);
/* Uses it up. DB_DONE: there is none like it, or it is used or over. */
enum db_result invitation_use(struct db *db, const char *purpose, const uint8_t hash[PEOPLE_HASH_LEN],
                              uint64_t now_us);

enum db_result attempts_failed(struct db *db, const char *subject, uint64_t window_us, int64_t *failures);
enum db_result attempt_note(struct db *db, const char *subject, uint64_t window_us);

/* Everything of these tables that ended before then. */
enum db_result people_delete_old(struct db *db, uint64_t before_us);

#endif
