/*
 * tracker_cookie.h - one attribution cookie per program.
 *
 *     aff_<program id>=<first click id>.<last click id>
 *
 * A click for program B must not overwrite what A's cookie remembers; at most
 * TRACKER_COOKIES_MAX programs are kept, the one whose last click is oldest
 * goes first.
 */
#ifndef TRACKER_COOKIE_H
#define TRACKER_COOKIE_H

#include "tracker_click_id.h"

#define TRACKER_COOKIES_MAX      20
#define TRACKER_COOKIE_PREFIX    "aff_"
#define TRACKER_COOKIE_VALUE_LEN (2 * TRACKER_CLICK_ID_LEN + 1)

enum tracker_cookie_verdict {
    TRACKER_COOKIE_NONE = 0, /* no cookie of that program */
    TRACKER_COOKIE_OK,       /* first and last both verify */
    TRACKER_COOKIE_BROKEN    /* present, but not what we wrote: ignored, and said so in the event */
};

struct tracker_cookie {
    struct tracker_click_id first, last;
    struct tracker_str      first_text, last_text; /* borrowed from the header value */
};

/*
 * Looks for the cookie of `program` in one Cookie header value
 * ("a=1; aff_7=...; b=2") and verifies both ids.  Browsers send a name twice when a host and its parent domain both
 * have one: the earliest first touch and the latest last one of those that verify count.
 */
enum tracker_cookie_verdict
tracker_cookie_read(const struct tracker_keys *keys, struct tracker_str header,
                    uint32_t program, struct tracker_cookie *out);

/*
 * Counts the aff_* cookies of programs other than `program` in a header value and, when setting one more would
 * exceed TRACKER_COOKIES_MAX, sets *evict to the program whose last click is
 * oldest (unverified time: eviction needs no trust).  Returns true when *evict is set.
 * Only values of our shape count: who else sets such names has to tidy up after himself.
 */
bool tracker_cookie_evict(struct tracker_str header, uint32_t program, uint32_t *evict);

/* Writes first '.' last: TRACKER_COOKIE_VALUE_LEN bytes, no NUL. */
void tracker_cookie_value(char *out, const char *first, const char *last);

#endif
