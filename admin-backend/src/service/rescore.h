/*
 * rescore.h - clicks judged again by today's lists.
 *
 * The clicks stay as they came; where today's verdict is another one it stands in click_verdicts, and click_stats is
 * corrected by the difference in the same transaction.  Money is not touched: commissions come from conversions.
 * A run that was cut short leaves whole steps behind it; running again does the rest, and then nothing.
 */
#ifndef AFFILIATED_SERVICE_RESCORE_H
#define AFFILIATED_SERVICE_RESCORE_H

#include <stdatomic.h>

#include "service/detection.h"
#include "service/service.h"

struct rescore_request {
    const struct detection *detection;
    int64_t                 from_ms, to_ms; /* clicks of [from, to) */
    int                     rate;           /* clicks of one address in a minute; more are `rate`. 0: as the edge said */
    bool                    dry_run;
    const atomic_bool      *stop;           /* or NULL: ends the run between two steps */
};

#define RESCORE_REASONS 4

struct rescore_report {
    uint64_t judged;
    uint64_t changed;
    uint64_t out, in;                  /* of those: counted before and not now, and the other way round */
    uint64_t added[RESCORE_REASONS], taken[RESCORE_REASONS];
    bool     stopped;
};

/* "bot", "preview", "datacentre", "rate" */
const char    *rescore_reason(int i);
enum db_result rescore_run(const struct service *service, const struct actor *actor,
                           const struct rescore_request *request, struct rescore_report *report);

#endif
