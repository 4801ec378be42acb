/* audit.h - rows of the audit log; service/audit.h decides what stands in them. */
#ifndef AFFILIATED_STORE_AUDIT_H
#define AFFILIATED_STORE_AUDIT_H

#include "db/db.h"

#define AUDIT_HASH_LEN 32

struct audit_row {
    int64_t     id; /* 0 when not yet stored */
    int64_t     at_us;
    const char *actor, *action, *object_type, *object_id;
    const char *before, *after, *reason; /* JSON text or NULL */
};

/* Appends and chains: the hash covers the previous row's hash and this row's fields. */
enum db_result audit_append(struct db *db, const struct audit_row *row);
/* Walks the chain from the start; *broken_id is the first row whose hash does not match, or 0. */
enum db_result audit_walk(struct db *db, int64_t *broken_id);

#endif
