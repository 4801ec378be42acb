/*
 * tracker_attribution.h - which touch earns a conversion, and why; pure.
 *
 * Precedence for registrations and first sales: an explicit click id; then the
 * cookie, its first or last touch by the program's rule.  (Coupons and sticky
 * customers rank here too, once they exist.)  A candidate counts only when it
 * belongs to the program, lies before the event, and within its campaign's window.
 */
#ifndef TRACKER_ATTRIBUTION_H
#define TRACKER_ATTRIBUTION_H

#include "tracker_click_id.h"
#include "tracker_snapshot.h"

/* Persisted in a referral's "why": append only. */
enum tracker_touch_source {
    TRACKER_TOUCH_CLICK_ID = 1,
    TRACKER_TOUCH_COOKIE_LAST = 2,
    TRACKER_TOUCH_COOKIE_FIRST = 3
};
enum tracker_touch_verdict {
    TRACKER_TOUCH_WON = 0,
    TRACKER_TOUCH_OUTRANKED,     /* eligible, but another ranks higher */
    TRACKER_TOUCH_OTHER_PROGRAM,
    TRACKER_TOUCH_AFTER_EVENT,   /* later than the event by more than TRACKER_CLOCK_SKEW_MS */
    TRACKER_TOUCH_EXPIRED,       /* older than the window */
    TRACKER_TOUCH_UNKNOWN_LINK   /* no such link in link_versions */
};
#define TRACKER_CLOCK_SKEW_MS 300000u /* five minutes between two edges' clocks */
#define TRACKER_TOUCHES_MAX   8

struct tracker_touch {
    enum tracker_touch_source  source;
    struct tracker_click_id    click;
    uint32_t                   program, campaign, affiliate; /* as of the click's time; 0: the link is unknown */
    uint64_t                   window_ms;                    /* of the campaign; 0: no limit */
    enum tracker_touch_verdict verdict;                      /* filled in by tracker_attribute */
};

/*
 * Judges the candidates (at most TRACKER_TOUCHES_MAX) of one event and returns
 * the winner's index, or -1.  Every candidate gets its verdict.  Deterministic:
 * ties go to the later click for LAST, the earlier for FIRST, then to the lower index.
 */
int tracker_attribute(struct tracker_touch *touches, unsigned count, uint32_t program,
                      enum tracker_attribution_rule rule, uint64_t event_ms);

const char *tracker_touch_source_name(enum tracker_touch_source source);
const char *tracker_touch_verdict_name(enum tracker_touch_verdict verdict);

#endif
