/* once.h - first answers by Idempotency-Key, and the configuration's version. */
#ifndef AFFILIATED_STORE_ONCE_H
#define AFFILIATED_STORE_ONCE_H

#include "db/db.h"

/* DB_ROW: the key was used; *same tells whether by this very request, *body is then malloc'ed. DB_DONE: never used. */
enum db_result once_find(struct db *db, const char *actor, const char *key, const uint8_t hash[32], bool *same,
                         char **body);
enum db_result once_keep(struct db *db, const char *actor, const char *key, const uint8_t hash[32], const char *body,
                         uint64_t now_us);
/* Keys older than that are forgotten; at most `limit` at a time. */
enum db_result once_forget(struct db *db, uint64_t before_us, int limit);

/* The next configuration version, taken in the transaction of the change: commit order is version order. */
enum db_result config_version_next(struct db *db, int64_t *version);

#endif
