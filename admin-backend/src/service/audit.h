/*
 * audit.h - the append-only, hash-chained log of who changed what.
 */
#ifndef AFFILIATED_SERVICE_AUDIT_H
#define AFFILIATED_SERVICE_AUDIT_H

#include "service/service.h"

/*
 * Appends one row in the caller's transaction.  before and after are objects
 * in the API's shape or NULL (borrowed); members named password*, secret*, token*, key* are left out.
 */
enum db_result audit_write(struct db *db, const struct actor *actor, uint64_t at_us, const char *action,
                           const char *object_type, int64_t object_id, const json_t *before, const json_t *after,
                           const char *reason);

#endif
