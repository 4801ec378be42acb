/*
 * tracker_deep.h - deep links: a URL that came with the click, in place of the link's destination.
 *
 * Whoever decides where a redirect leads lends himself our name, so a deep link is judged by an exact
 * rule and not by what a URL parser makes of it.  It is followed when all of this holds:
 *
 *  - it is an absolute http or https URL, as bytes: no blank before it, no "//host", no backslashes;
 *  - it has no user name or password, and no control byte anywhere;
 *  - its port is absent, or the one its scheme has anyway (80, 443);
 *  - its host is one of the campaign's list, compared byte by byte without regard to case: no trailing dot,
 *    no percent-encoding, names outside ASCII as xn--..., addresses only if the list spells them so.
 *
 * What stands behind the host cannot change where the URL leads; bytes that have no place there are
 * percent-encoded when it is written.
 */
#ifndef TRACKER_DEEP_H
#define TRACKER_DEEP_H

#include "tracker_types.h"

/* hosts: lower-case names, each followed by a newline; a leading dot also means all names below it. */
bool tracker_deep_allowed(struct tracker_str url, struct tracker_str hosts);

/*
 * Writes an allowed URL as it may stand in a header: at most cap bytes, none below 0x21 nor above 0x7e; no
 * NUL.  Macros are not expanded, their braces are encoded.  The length, or -1 when it would not fit.
 */
int tracker_deep_write(struct tracker_str url, char *out, size_t cap);

#endif
