/*
 * drain.h - ships what an edge's folder still holds, as an adopter would.
 */
#ifndef AFFILIATED_DRAIN_H
#define AFFILIATED_DRAIN_H

#include "ingest/wire.h"
#include "tracker_keys.h"

struct drain_report {
    unsigned journals; /* drained to their end */
    unsigned skipped;  /* forked or broken: looked at by nobody but a person */
    uint64_t records;  /* that the database has, of those journals */
    uint64_t lost;     /* in gaps that were said */
};

/*
 * dir: an edge's state folder, or its journal/.  Every journal must be without a
 * living owner: else nothing is shipped.  Deletes nothing.  True: the database has acked all of it.
 * False: error (cap bytes) is a sentence.  patience_ms: without any progress for so long it gives up.
 */
bool drain_folder(const char *dir, const struct tracker_keys *keys, struct wire_address redis,
                  unsigned patience_ms, struct drain_report *report, char *error, size_t cap);

#endif
