/*
 * tracker_attribution.c - two steps: who is eligible, then who ranks highest.
 *
 * Eligibility looks at one touch alone and ranking only at eligible touches,
 * so a touch that does not count can never change who wins.
 */
#include "tracker_attribution.h"

static enum tracker_touch_verdict judge(const struct tracker_touch *touch, uint32_t program,
                                        uint64_t event_ms);
static bool outranks(const struct tracker_touch *a, const struct tracker_touch *b,
                     enum tracker_attribution_rule rule);

int
tracker_attribute(struct tracker_touch *touches, unsigned count, uint32_t program,
                  enum tracker_attribution_rule rule, uint64_t event_ms)
{
    int winner = -1;

    for (unsigned i = 0; i < count; i++) {
        struct tracker_touch *touch = &touches[i];

        touch->verdict = judge(touch, program, event_ms);
        if (touch->verdict != TRACKER_TOUCH_WON)
            continue;
        if (winner >= 0 && !outranks(touch, &touches[winner], rule)) {
            touch->verdict = TRACKER_TOUCH_OUTRANKED;
            continue;
        }
        if (winner >= 0)
            touches[winner].verdict = TRACKER_TOUCH_OUTRANKED;
        winner = (int) i;
    }
    return winner;
}

/*
 * WON stands for eligible here.  Both ends of the window count: a click exactly
 * window_ms old still earns, one exactly the skew ahead is taken as simultaneous.
 */
static enum tracker_touch_verdict
judge(const struct tracker_touch *touch, uint32_t program, uint64_t event_ms)
{
    uint64_t time_ms = touch->click.time_ms;

    if (touch->program == 0 || touch->campaign == 0 || touch->affiliate == 0)
        return TRACKER_TOUCH_UNKNOWN_LINK;
    if (touch->program != program)
        return TRACKER_TOUCH_OTHER_PROGRAM;
    if (time_ms > event_ms)
        return time_ms - event_ms > TRACKER_CLOCK_SKEW_MS ? TRACKER_TOUCH_AFTER_EVENT : TRACKER_TOUCH_WON;
    if (touch->window_ms != 0 && event_ms - time_ms > touch->window_ms)
        return TRACKER_TOUCH_EXPIRED;
    return TRACKER_TOUCH_WON;
}

/*
 * Lower is better.  The cookie touch that the rule does not ask for still
 * stands in when the other one does not count.  Which cookie touch is first or
 * last is said by the cookie itself, not by clocks of different edges.
 */
static int
rank(enum tracker_touch_source source, enum tracker_attribution_rule rule)
{
    switch (source) {
    case TRACKER_TOUCH_CLICK_ID:
        return 0;
    case TRACKER_TOUCH_COOKIE_LAST:
        return rule == TRACKER_ATTRIBUTION_LAST ? 1 : 2;
    case TRACKER_TOUCH_COOKIE_FIRST:
        return rule == TRACKER_ATTRIBUTION_FIRST ? 1 : 2;
    }
    return 3;
}

static bool
outranks(const struct tracker_touch *a, const struct tracker_touch *b, enum tracker_attribution_rule rule)
{
    int rank_a = rank(a->source, rule), rank_b = rank(b->source, rule);

    if (rank_a != rank_b)
        return rank_a < rank_b;
    if (rule == TRACKER_ATTRIBUTION_FIRST)
        return a->click.time_ms < b->click.time_ms;
    return a->click.time_ms > b->click.time_ms;
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
    }
    return "unknown";
}
