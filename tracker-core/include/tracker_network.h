/*
 * tracker_network.h - ranges of IP addresses, IPv4 and IPv6 alike.
 *
 * An entry is TRACKER_NETWORK_LEN bytes: prefix length 0..128, then 16 bytes of
 * address with zero host bits.  IPv4 lies in ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
 */
#ifndef TRACKER_NETWORK_H
#define TRACKER_NETWORK_H

#include "tracker_types.h"

#define TRACKER_NETWORK_LEN  17
#define TRACKER_NETWORKS_MAX 256 /* entries of a list */

/* "192.0.2.0/24", "192.0.2.7", "2001:db8::/32": an entry; false for anything else, host bits that are set included. */
bool tracker_network_parse(struct tracker_str text, uint8_t entry[TRACKER_NETWORK_LEN]);

/* True for a whole number of entries, at most TRACKER_NETWORKS_MAX, each well-formed. */
bool tracker_networks_check(struct tracker_str networks);

/*
 * Sorts checked entries by address and drops those that lie within another: the new length in bytes.  Networks nest
 * or are apart, so that what is left is apart.
 */
size_t tracker_networks_sort(uint8_t *networks, size_t len);
/* Are the (checked) entries as tracker_networks_sort leaves them? */
bool tracker_networks_sorted(struct tracker_str networks);

/* Is ip (4 or 16 raw bytes) within an entry?  Of a checked and sorted list; false for an ip of another length. */
bool tracker_networks_hold(struct tracker_str networks, struct tracker_str ip);

#endif
