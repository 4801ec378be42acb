/*
 * attribute.h - from what a conversion says to the touches that earn it.
 */
#ifndef AFFILIATED_SERVICE_ATTRIBUTE_H
#define AFFILIATED_SERVICE_ATTRIBUTE_H

#include "service/service.h"
#include "store/conversion.h"

/*
 * How long a conversion waits for the click it names.  The edge ships within a second; minutes mean that Redis or the
 * backend was down, and the click id proves the click by itself.
 */
#define PARK_LIMIT_US (UINT64_C(10) * 60 * 1000000)

enum attribution_verdict {
    ATTRIBUTION_WON,      /* one or two touches have a share */
    ATTRIBUTION_NOBODY,   /* no candidate, or none eligible: `why` tells */
    ATTRIBUTION_TOO_EARLY /* the click's journal has not passed it yet: park the fact */
};

struct attribution {
    enum attribution_verdict          verdict;
    struct tracker_attribution_policy policy;
    unsigned                          count;
    struct tracker_touch              touches[TRACKER_TOUCHES_MAX];
    const char                       *texts[TRACKER_TOUCHES_MAX]; /* click id, coupon or customer; into the fact, or: */
    struct click_kept                 named; /* of the click that is named */
    int64_t                           links[TRACKER_TOUCHES_MAX]; /* 0: none */
};

/* Reads what it needs in the caller's transaction.  *out borrows from *fact. */
enum db_result attribute(const struct service *service, struct db *db, const struct fact *fact,
                         struct attribution *out);
/* Whether the touch is of a click, whose id its text is. */
bool attribution_is_click(const struct tracker_touch *touch);
/*
 * {"rule","order","step","touches":[{"source","click_id"|"coupon"|"customer","verdict","share"?,"affiliate_id",
 * "campaign_id","clicked_at"?,"window_days"?}, ...]}; new.  step: the means that won, or null.
 */
json_t *attribution_why(const struct attribution *attribution);

#endif
