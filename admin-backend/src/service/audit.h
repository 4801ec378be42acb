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
enum db_result audit_write(const struct service *service, struct db *db, const struct actor *actor,
                           const char *action, const char *object_type, int64_t object_id,
                           const json_t *before, const json_t *after, const char *reason);
/* Walks the chain; true when every hash matches, else *broken_id names the first that does not. */
bool audit_check(struct db *db, int64_t *broken_id);

#endif
