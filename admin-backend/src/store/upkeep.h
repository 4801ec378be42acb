/*
 * upkeep.h - what is told as time goes by, and what is forgotten.
 */
#ifndef AFFILIATED_STORE_UPKEEP_H
#define AFFILIATED_STORE_UPKEEP_H

#include "db/db.h"

/* An API user whose time is running out. */
struct key_warning {
    int64_t api_user_id, expires_us;
    int     days; /* before it, of 30, 7 and 1; 0: it has come */
};
/* Writes down the warnings that are due and were not given; *due malloc'ed, NULL when there is none. */
enum db_result key_warnings_give(struct db *db, uint64_t now_us, struct key_warning **due, size_t *count);

/* Lines of the API's log before then, the oldest about `limit` of them; *left: there are more. */
enum db_result api_calls_forget(struct db *db, int64_t before_ms, int limit, bool *left);
/* Sessions of the portal and invitations of traders that ended before then. */
enum db_result people_outside_forget(struct db *db, uint64_t before_us);

#endif
