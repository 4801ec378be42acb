/*
 * amount.h - arithmetic on struct tracker_money; every operation is checked.
 *
 * True means *out holds the result; false means two currencies met, or the
 * result leaves +-TRACKER_MINOR_MAX, and *out is untouched.  out may be an operand.
 */
#ifndef AFFILIATED_DOMAIN_AMOUNT_H
#define AFFILIATED_DOMAIN_AMOUNT_H

#include "tracker_money.h"

#define PPM 1000000

/* false: unknown currency or out of range */
bool amount_make(int64_t minor, const char *currency, struct tracker_money *out);
bool amount_add(const struct tracker_money *a, const struct tracker_money *b, struct tracker_money *out);
bool amount_sub(const struct tracker_money *a, const struct tracker_money *b, struct tracker_money *out);
bool amount_negate(const struct tracker_money *a, struct tracker_money *out);
/* a * rate_ppm / 10^6, rounded half to even, once.  rate 0 .. PPM. */
bool amount_share(const struct tracker_money *a, int64_t rate_ppm, struct tracker_money *out);
/*
 * Two parts of a, the first of first_ppm (0 .. PPM), the second of the rest, by largest remainder: they sum to a
 * exactly; a tie goes to the first.
 */
bool amount_split(const struct tracker_money *a, int64_t first_ppm, struct tracker_money parts[2]);
/* Only amounts of one currency compare: the callers' checks come first. */
static inline bool
amount_same_currency(const struct tracker_money *a, const struct tracker_money *b)
{
    return memcmp(a->currency, b->currency, sizeof(a->currency)) == 0;
}

#endif
