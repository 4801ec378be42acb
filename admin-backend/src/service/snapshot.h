/*
 * snapshot.h - the configuration as the file an edge reads.
 */
#ifndef AFFILIATED_SERVICE_SNAPSHOT_H
#define AFFILIATED_SERVICE_SNAPSHOT_H

#include "db/db.h"
#include "service/detection.h"
#include "tracker_snapshot.h"

struct snapshot {
    uint8_t *bytes; /* malloc'ed, 8-byte aligned */
    size_t   len;
    uint64_t version;
    uint8_t  hash[TRACKER_SNAPSHOT_HASH_LEN];
    uint32_t rows;    /* that it holds */
    uint32_t omitted; /* rows that no edge could have used: logged, left out */
};

/*
 * base NULL: everything, of one state of the database, and the lists of detection.  Else what changed since
 * base; the lists are the base's then.  False: logged.  The file has passed the edge's own checker.
 */
bool snapshot_make(struct db_pool *pool, const struct tracker_keys *keys, uint64_t now_ms,
                   const struct snapshot *base, const struct detection *detection, struct snapshot *out);
void snapshot_clear(struct snapshot *snapshot);
/* The version that the database is at. False: it cannot be read now (logged once by the caller). */
bool snapshot_current(struct db_pool *pool, uint64_t *version);

#endif
