/*
 * migrate.h - the schema's versions, embedded in the binary, forward only.
 *
 * Each migration runs in a transaction of its own and leaves a row in
 * schema_migrations with the checksum of its text.  A database that knows a
 * migration we do not, or another text of one, is refused: it belongs to
 * another version of the program.
 */
#ifndef AFFILIATED_MIGRATE_H
#define AFFILIATED_MIGRATE_H

#include "db/db.h"

struct migration {
    int         number; /* from 1, without gaps */
    const char *name;   /* "0001_base" */
    const char *sql;
};

/* Applies what is missing. True: the schema is this program's. False: error (cap bytes) is a sentence. */
bool migrate_apply(struct db_pool *pool, uint64_t now_us, char *error, size_t cap);
/* Applies nothing: false also when a migration is missing. For readers. */
bool migrate_check(struct db_pool *pool, char *error, size_t cap);
/* Those embedded in this binary. */
const struct migration *migrate_embedded(size_t *count);
/* migrate_apply with a given list: tests bring their own. */
bool migrate_apply_list(struct db_pool *pool, const struct migration *list, size_t count, uint64_t now_us,
                        char *error, size_t cap);

#endif
