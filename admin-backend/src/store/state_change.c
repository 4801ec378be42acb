#include "store/state_change.h"

enum db_result
state_change_write(struct db *db, const char *object_type, int64_t object_id, const char *from, const char *to,
                   const struct change *change)
{
    return db_exec(db,
                   "INSERT INTO state_changes (object_type, object_id, from_state, to_state, actor, reason, at_us)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                   "sissssi", object_type, object_id, from, to, change->actor, change->reason, (int64_t) change->at_us);
}
