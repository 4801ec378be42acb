/* caps.h - counted clicks against caps, of links and campaigns. */
#ifndef AFFILIATED_STORE_CAPS_H
#define AFFILIATED_STORE_CAPS_H

#include "db/db.h"

enum cap_table { CAP_LINK, CAP_CAMPAIGN };

struct cap_row {
    int64_t id, cap_day, cap_total; /* 0: no cap */
    int64_t capped_until_ms;        /* as edges were told; 0: not capped */
    int64_t today, total;           /* counted clicks; only where there is such a cap */
};
typedef enum db_result (*cap_visit)(void *ctx, enum cap_table table, const struct cap_row *row);

/* day: since 1970, UTC.  All rows with a cap. */
enum db_result caps_each(struct db *db, enum cap_table table, int64_t day, cap_visit visit, void *ctx);
/* One row, capped or not. DB_ROW or DB_DONE. */
enum db_result cap_load(struct db *db, enum cap_table table, int64_t id, int64_t day, struct cap_row *row);
/* What edges are told from that configuration version on. */
enum db_result cap_write(struct db *db, enum cap_table table, int64_t id, int64_t until_ms, int64_t version);

#endif
