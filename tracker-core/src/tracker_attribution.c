/*
 * tracker_attribution.c - three steps: who is eligible, which means is best, who shares within it.
 *
 * Eligibility looks at one touch alone and ranking only at eligible touches,
 * so a touch that does not count can never change who wins.
 */
#include "tracker_attribution.h"

/* Before every means of the order. */
#define LEAD_RANK     0
#define CUSTOMER_RANK 1

static enum tracker_touch_verdict judge(const struct tracker_touch *touch,
                                        const struct tracker_attribution_policy *policy, uint64_t event_ms);
static unsigned rank(enum tracker_touch_source source, const struct tracker_attribution_policy *policy);
static void share_lead(struct tracker_touch *touches, unsigned count);
static void share_customer(struct tracker_touch *touches, unsigned count);
static void share_clicks(struct tracker_touch *touches, unsigned count, unsigned best,
                         const struct tracker_attribution_policy *policy);

unsigned
tracker_attribute(struct tracker_touch *touches, unsigned count,
                  const struct tracker_attribution_policy *policy, uint64_t event_ms)
{
    unsigned best = UINT32_MAX, won = 0;

    for (unsigned i = 0; i < count; i++) {
        touches[i].share_ppm = 0;
        touches[i].verdict = judge(&touches[i], policy, event_ms);
        if (touches[i].verdict == TRACKER_TOUCH_WON && rank(touches[i].source, policy) < best)
            best = rank(touches[i].source, policy);
    }
    if (best == LEAD_RANK)
        share_lead(touches, count);
    else if (best == CUSTOMER_RANK)
        share_customer(touches, count);
    else if (best != UINT32_MAX)
        share_clicks(touches, count, best, policy);

    for (unsigned i = 0; i < count; i++) {
        if (touches[i].share_ppm != 0)
            won++;
        else if (touches[i].verdict == TRACKER_TOUCH_WON)
            touches[i].verdict = TRACKER_TOUCH_OUTRANKED;
    }
    return won;
}

static enum tracker_touch_verdict
judge_coupon(const struct tracker_touch *touch, uint32_t program, uint64_t event_ms)
{
    if (touch->affiliate == 0)
        return TRACKER_TOUCH_UNKNOWN;
    if (touch->program != program)
        return TRACKER_TOUCH_OTHER_PROGRAM;
    if (touch->inactive)
        return TRACKER_TOUCH_INACTIVE;
    if (event_ms < touch->from_ms || (touch->to_ms != 0 && event_ms >= touch->to_ms))
        return TRACKER_TOUCH_OUT_OF_DATES;
    return TRACKER_TOUCH_WON;
}

/*
 * WON stands for eligible here.  Both ends of the window count: a click exactly
 * window_ms old still earns, one exactly the skew ahead is taken as simultaneous.
 */
static enum tracker_touch_verdict
judge_click(const struct tracker_touch *touch, uint32_t program, uint64_t event_ms)
{
    uint64_t time_ms = touch->click.time_ms;

    if (touch->program == 0 || touch->campaign == 0 || touch->affiliate == 0)
        return TRACKER_TOUCH_UNKNOWN_LINK;
    if (touch->program != program)
        return TRACKER_TOUCH_OTHER_PROGRAM;
    if (touch->not_counting)
        return TRACKER_TOUCH_NOT_COUNTING;
    if (time_ms > event_ms)
        return time_ms - event_ms > TRACKER_CLOCK_SKEW_MS ? TRACKER_TOUCH_AFTER_EVENT : TRACKER_TOUCH_WON;
    if (touch->window_ms != 0 && event_ms - time_ms > touch->window_ms)
        return TRACKER_TOUCH_EXPIRED;
    return TRACKER_TOUCH_WON;
}

static enum tracker_touch_verdict
judge(const struct tracker_touch *touch, const struct tracker_attribution_policy *policy, uint64_t event_ms)
{
    switch (touch->source) {
    case TRACKER_TOUCH_COUPON:
        return judge_coupon(touch, policy->program, event_ms);
    case TRACKER_TOUCH_LEAD:
        if (touch->affiliate == 0)
            return TRACKER_TOUCH_UNKNOWN;
        return touch->program == policy->program ? TRACKER_TOUCH_WON : TRACKER_TOUCH_OTHER_PROGRAM;
    case TRACKER_TOUCH_CUSTOMER:
        if (touch->affiliate == 0)
            return TRACKER_TOUCH_UNKNOWN;
        if (touch->program != policy->program)
            return TRACKER_TOUCH_OTHER_PROGRAM;
        return policy->recurring ? TRACKER_TOUCH_WON : TRACKER_TOUCH_NOT_RECURRING;
    case TRACKER_TOUCH_CLICK_ID:
    case TRACKER_TOUCH_CLICK_FIRST:
    case TRACKER_TOUCH_COOKIE_LAST:
    case TRACKER_TOUCH_COOKIE_FIRST:
        break;
    }
    return judge_click(touch, policy->program, event_ms);
}

/* Lower is better. */
static unsigned
rank(enum tracker_touch_source source, const struct tracker_attribution_policy *policy)
{
    enum tracker_touch_means means = TRACKER_MEANS_COOKIE;
    unsigned                 place = 0;

    switch (source) {
    case TRACKER_TOUCH_LEAD:
        return LEAD_RANK;
    case TRACKER_TOUCH_CUSTOMER:
        return CUSTOMER_RANK;
    case TRACKER_TOUCH_COUPON:
        means = TRACKER_MEANS_COUPON;
        break;
    case TRACKER_TOUCH_CLICK_ID:
    case TRACKER_TOUCH_CLICK_FIRST:
        means = TRACKER_MEANS_CLICK_ID;
        break;
    case TRACKER_TOUCH_COOKIE_LAST:
    case TRACKER_TOUCH_COOKIE_FIRST:
        break;
    }
    while (place < TRACKER_MEANS && policy->order[place] != means)
        place++;
    return CUSTOMER_RANK + 1 + place;
}

/* A lead is one affiliate's: of several, which nobody writes, the first. */
static void
share_lead(struct tracker_touch *touches, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (touches[i].verdict == TRACKER_TOUCH_WON && touches[i].source == TRACKER_TOUCH_LEAD) {
            touches[i].share_ppm = TRACKER_WHOLE_PPM;
            return;
        }
    }
}

/* The parts were shares of one conversion: all of them are eligible, or none is. */
static void
share_customer(struct tracker_touch *touches, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (touches[i].verdict == TRACKER_TOUCH_WON && touches[i].source == TRACKER_TOUCH_CUSTOMER)
            touches[i].share_ppm = touches[i].part_ppm;
    }
}

/*
 * Which touch is first or last is said by the cookie itself, not by clocks of
 * different edges; of two that say the same the clock decides.
 */
static bool
precedes(const struct tracker_touch *a, const struct tracker_touch *b, bool first)
{
    bool a_first = a->source == TRACKER_TOUCH_COOKIE_FIRST || a->source == TRACKER_TOUCH_CLICK_FIRST;
    bool b_first = b->source == TRACKER_TOUCH_COOKIE_FIRST || b->source == TRACKER_TOUCH_CLICK_FIRST;

    if (a_first != b_first)
        return a_first == first;
    return first ? a->click.time_ms < b->click.time_ms : a->click.time_ms > b->click.time_ms;
}

/* The touch of that rank that is the first, or the last; the other kind stands in when there is none. */
static struct tracker_touch *
pick(struct tracker_touch *touches, unsigned count, unsigned best, bool first,
     const struct tracker_attribution_policy *policy)
{
    struct tracker_touch *found = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (touches[i].verdict == TRACKER_TOUCH_WON && rank(touches[i].source, policy) == best
            && (found == NULL || precedes(&touches[i], found, first)))
            found = &touches[i];
    }
    return found;
}

/* Also of a coupon: there is one. */
static void
share_clicks(struct tracker_touch *touches, unsigned count, unsigned best,
             const struct tracker_attribution_policy *policy)
{
    struct tracker_touch *first = pick(touches, count, best, true, policy);
    struct tracker_touch *last = pick(touches, count, best, false, policy);

    switch (policy->rule) {
    case TRACKER_ATTRIBUTION_FIRST:
        first->share_ppm = TRACKER_WHOLE_PPM;
        return;
    case TRACKER_ATTRIBUTION_BOTH:
        if (first->affiliate != last->affiliate) {
            first->share_ppm = policy->first_share_ppm;
            last->share_ppm = TRACKER_WHOLE_PPM - policy->first_share_ppm;
            return;
        }
        break;
    case TRACKER_ATTRIBUTION_LAST:
        break;
    }
    last->share_ppm = TRACKER_WHOLE_PPM;
}

const char *
tracker_touch_source_name(enum tracker_touch_source source)
{
    switch (source) {
    case TRACKER_TOUCH_CLICK_ID:
        return "click_id";
    case TRACKER_TOUCH_COOKIE_LAST:
        return "cookie_last";
    case TRACKER_TOUCH_COOKIE_FIRST:
        return "cookie_first";
    case TRACKER_TOUCH_CLICK_FIRST:
        return "click_first";
    case TRACKER_TOUCH_COUPON:
        return "coupon";
    case TRACKER_TOUCH_CUSTOMER:
        return "customer";
    case TRACKER_TOUCH_LEAD:
        return "lead";
    }
    return "unknown";
}

const char *
tracker_touch_verdict_name(enum tracker_touch_verdict verdict)
{
    switch (verdict) {
    case TRACKER_TOUCH_WON:
        return "won";
    case TRACKER_TOUCH_OUTRANKED:
        return "outranked";
    case TRACKER_TOUCH_OTHER_PROGRAM:
        return "other_program";
    case TRACKER_TOUCH_AFTER_EVENT:
        return "after_event";
    case TRACKER_TOUCH_EXPIRED:
        return "expired";
    case TRACKER_TOUCH_UNKNOWN_LINK:
        return "unknown_link";
    case TRACKER_TOUCH_UNKNOWN:
        return "unknown";
    case TRACKER_TOUCH_INACTIVE:
        return "inactive";
    case TRACKER_TOUCH_OUT_OF_DATES:
        return "out_of_dates";
    case TRACKER_TOUCH_NOT_RECURRING:
        return "not_recurring";
    case TRACKER_TOUCH_NOT_COUNTING:
        return "not_counting";
    }
    return "?";
}

const char *
tracker_touch_means_name(enum tracker_touch_means means)
{
    switch (means) {
    case TRACKER_MEANS_COUPON:
        return "coupon";
    case TRACKER_MEANS_CLICK_ID:
        return "click_id";
    case TRACKER_MEANS_COOKIE:
        return "cookie";
    case TRACKER_MEANS:
        break;
    }
    return "?";
}
