/*
 * attribute.h - from a conversion's click id to the touch that earns it.
 */
#ifndef AFFILIATED_SERVICE_ATTRIBUTE_H
#define AFFILIATED_SERVICE_ATTRIBUTE_H

#include "service/service.h"
#include "store/fact.h"

/*
 * How long a conversion waits for the click it names.  The edge ships within a second; minutes mean that Redis or the
 * backend was down, and the click id proves the click by itself.
 */
#define PARK_LIMIT_US (UINT64_C(10) * 60 * 1000000)

enum attribution_verdict {
    ATTRIBUTION_WON,      /* touches[winner] earns it */
    ATTRIBUTION_NOBODY,   /* no candidate, or none eligible: `why` tells */
    ATTRIBUTION_TOO_EARLY /* the click's journal has not passed it yet: park the fact */
};

struct attribution {
    enum attribution_verdict      verdict;
    enum tracker_attribution_rule rule;
    int                           winner;
    unsigned                      count;
    struct tracker_touch          touches[TRACKER_TOUCHES_MAX];
    char                          texts[TRACKER_TOUCHES_MAX][TRACKER_CLICK_ID_LEN + 1];
};

/* Reads what it needs in the caller's transaction. */
enum db_result attribute(const struct service *service, struct db *db, const struct fact *fact,
                         struct attribution *out);
/*
 * {"rule","touches":[{"source","click_id","verdict","affiliate_id","campaign_id","clicked_at","window_days"},
 * ...]}; new.
 */
json_t *attribution_why(const struct attribution *attribution);

#endif
