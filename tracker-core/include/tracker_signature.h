/*
 * tracker_signature.h - signed requests: what is signed, and with what.
 *
 * The signature is HMAC-SHA256 (RFC 2104) with the API user's secret, as 64
 * lower-case hex digits.  What it covers is either a body as it is, or the
 * canonical query: all parameters but `sig`, names and values decoded ('+' is a
 * space, a malformed escape stays), each byte but RFC 3986 unreserved written as
 * %XX in upper case, as name=value, sorted bytewise by name and then by value,
 * joined by '&'.
 */
#ifndef TRACKER_SIGNATURE_H
#define TRACKER_SIGNATURE_H

#include "tracker_types.h"

#define TRACKER_SIGNATURE_LEN        64
#define TRACKER_SIGNATURE_PARAM      "sig"
#define TRACKER_SIGNATURE_PARAMS_MAX 128 /* more are no request of ours */

/* The room that tracker_canonical_query needs for a query and a form of so many bytes together. */
#define TRACKER_CANONICAL_SPACE(len) (6 * (len) + 8)

/*
 * The canonical form of the parameters of a query and a form body (either may be empty), written into space;
 * the result lies there too.  False: more than TRACKER_SIGNATURE_PARAMS_MAX of them.
 */
bool tracker_canonical_query(struct tracker_str query, struct tracker_str form, char *space,
                             struct tracker_str *canonical);

/* Secrets of any length but 0; a longer one than the hash's block is hashed first, as RFC 2104 says. */
void tracker_sign(struct tracker_str secret, struct tracker_str text, char hex[TRACKER_SIGNATURE_LEN]);

/* Is hex the signature of text?  Takes the same time whatever hex holds; false for an empty secret. */
bool tracker_signature_verify(struct tracker_str secret, struct tracker_str text, struct tracker_str hex);

#endif
