/*
 * publisher.h - the way down: snapshots into Redis, where the edges fetch them.
 *
 *     hash   affiliate:snapshot            version, base_hash, base_size, base_chunks,
 *                                          delta_hash, delta_size, delta_chunks (empty without a delta)
 *     string affiliate:snapshot:<hash>:<n> 1 MiB of a file; hash in hex, n from 0
 *
 * A change is published within the blink between its commit and publisher_wake;
 * a Redis that forgot gets everything again.
 */
#ifndef AFFILIATED_PUBLISHER_H
#define AFFILIATED_PUBLISHER_H

#include "db/db.h"
#include "ingest/wire.h"
#include "tracker_keys.h"

struct publisher_options {
    struct db_pool            *pool;
    const struct tracker_keys *keys;
    struct wire_address        redis;
    uint64_t (*now_us)(void);
    const char                *agents_path, *datacentres_path; /* an operator's own lists; NULL: ours */
    size_t                     file_max; /* bytes of a file that Redis may carry; 0: 256 MiB */
};

struct publisher;
struct publisher *publisher_new(const struct publisher_options *options); /* NULL: no memory */
void              publisher_free(struct publisher *publisher);
void              publisher_run(struct publisher *publisher); /* until publisher_stop */
void              publisher_stop(struct publisher *publisher);
/* The snapshot lies in Redis. Any thread. */
bool              publisher_ready(const struct publisher *publisher);
/* Fits service.config_changed: the configuration may have a new version. Any thread. */
void              publisher_wake(void *publisher);

#endif
