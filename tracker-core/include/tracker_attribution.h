/*
 * tracker_attribution.h - which touch earns a conversion, and why; pure.
 *
 * Three steps.  Each candidate is judged by itself: does it belong to the
 * program, lie before the event and within its campaign's window (a coupon: its
 * dates).  Then the best means that has an eligible candidate is taken: for what
 * becomes of a lead the lead's own affiliate; for a recurring event of a known
 * customer the customer's; else the program's order of coupon, click id and cookie.  Within clicks, by id or by
 * cookie, the program's rule picks the first touch, the last, or both.
 */
#ifndef TRACKER_ATTRIBUTION_H
#define TRACKER_ATTRIBUTION_H

#include "tracker_click_id.h"
#include "tracker_snapshot.h"

/* Persisted in a referral's "why": append only. */
enum tracker_touch_source {
    TRACKER_TOUCH_CLICK_ID = 1,
    TRACKER_TOUCH_COOKIE_LAST = 2,
    TRACKER_TOUCH_COOKIE_FIRST = 3,
    TRACKER_TOUCH_CLICK_FIRST = 4, /* the first touch of the visitor who made the click that is named */
    TRACKER_TOUCH_COUPON = 5,
    TRACKER_TOUCH_CUSTOMER = 6,    /* who earned the customer's first conversion */
    TRACKER_TOUCH_LEAD = 7         /* who brought the lead that became the customer: decided when it came */
};
enum tracker_touch_verdict {
    TRACKER_TOUCH_WON = 0,
    TRACKER_TOUCH_OUTRANKED,     /* eligible, but another ranks higher */
    TRACKER_TOUCH_OTHER_PROGRAM,
    TRACKER_TOUCH_AFTER_EVENT,   /* later than the event by more than TRACKER_CLOCK_SKEW_MS */
    TRACKER_TOUCH_EXPIRED,       /* older than the window */
    TRACKER_TOUCH_UNKNOWN_LINK,  /* no such link in link_versions */
    TRACKER_TOUCH_UNKNOWN,       /* no such coupon, or a customer who bought nothing yet */
    TRACKER_TOUCH_INACTIVE,      /* the coupon is paused or archived */
    TRACKER_TOUCH_OUT_OF_DATES,  /* the event lies outside the coupon's dates */
    TRACKER_TOUCH_NOT_RECURRING, /* the customer's affiliate decides recurring events only */
    TRACKER_TOUCH_NOT_COUNTING   /* the click was sent to a fallback: over a cap, out of dates, paused */
};
#define TRACKER_CLOCK_SKEW_MS 300000u /* five minutes between two edges' clocks */
#define TRACKER_TOUCHES_MAX   8
#define TRACKER_WHOLE_PPM     1000000u

struct tracker_touch {
    enum tracker_touch_source  source;
    struct tracker_click_id    click;                        /* of a coupon and a customer: nothing */
    uint32_t                   program, campaign, affiliate; /* as of the click's time; affiliate 0: unknown */
    uint64_t                   window_ms;                    /* of the campaign; 0: no limit */
    uint64_t                   from_ms, to_ms;               /* COUPON: its dates, [from, to); 0: open */
    bool                       inactive;                     /* COUPON */
    bool                       not_counting;                 /* clicks: it is stored as one that went to a fallback */
    uint32_t                   part_ppm;                     /* CUSTOMER: of what he brings */
    enum tracker_touch_verdict verdict;                      /* filled in, as: */
    uint32_t                   share_ppm;                    /* of the conversion; 0 unless WON */
};

/* What stands behind a touch; the program's order ranks the first three. */
enum tracker_touch_means { TRACKER_MEANS_COUPON, TRACKER_MEANS_CLICK_ID, TRACKER_MEANS_COOKIE, TRACKER_MEANS };

struct tracker_attribution_policy {
    uint32_t                      program;
    enum tracker_attribution_rule rule;
    uint32_t                      first_share_ppm; /* BOTH: of the first touch; the last one has the rest */
    enum tracker_touch_means      order[TRACKER_MEANS]; /* best first; each once */
    bool                          recurring;       /* the event is one of those that the customer decides */
};

/*
 * Judges the candidates (at most TRACKER_TOUCHES_MAX) of one event and returns
 * how many won: their share_ppm sum to TRACKER_WHOLE_PPM, and no two are of one
 * affiliate.  Every candidate gets its verdict.  Deterministic: ties go to the
 * later click for a last touch, the earlier for a first, then to the lower index.
 */
unsigned tracker_attribute(struct tracker_touch *touches, unsigned count,
                           const struct tracker_attribution_policy *policy, uint64_t event_ms);

const char *tracker_touch_source_name(enum tracker_touch_source source);
const char *tracker_touch_verdict_name(enum tracker_touch_verdict verdict);
const char *tracker_touch_means_name(enum tracker_touch_means means);

#endif
