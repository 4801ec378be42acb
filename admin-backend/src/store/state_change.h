/* state_change.h - the legal path of each money object, as it was walked. */
#ifndef AFFILIATED_STORE_STATE_CHANGE_H
#define AFFILIATED_STORE_STATE_CHANGE_H

#include "store/money_rows.h"

/* from NULL: it was created. */
enum db_result state_change_write(struct db *db, const char *object_type, int64_t object_id, const char *from,
                                  const char *to, const struct change *change);

#endif
