/*
 * tracker_network.c - is this address one of those?
 */
#include "tracker_network.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>

#define ADDRESS_LEN 16

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* Are the first `bits` bits equal? */
static bool
bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;

    return memcmp(a, b, bytes) == 0 && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

static bool
entry_valid(const uint8_t *entry)
{
    if (entry[0] > 128)
        return false;
    for (unsigned bit = entry[0]; bit < 128; bit++)
        if (entry[1 + bit / 8] >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* "/24": a decimal number without signs, blanks or leading zeros. */
static bool
prefix_parse(struct tracker_str text, unsigned max, unsigned *prefix)
{
    *prefix = 0;
    if (text.len == 0 || text.len > 3 || (text.data[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *prefix = *prefix * 10 + (unsigned) (text.data[i] - '0');
    }
    return *prefix <= max;
}

bool
tracker_network_parse(struct tracker_str text, uint8_t entry[TRACKER_NETWORK_LEN])
{
    char        address[INET6_ADDRSTRLEN];
    const char *slash = text.len == 0 ? NULL : memchr(text.data, '/', text.len);
    size_t      len = slash != NULL ? (size_t) (slash - text.data) : text.len;
    unsigned    prefix, width;

    if (len == 0 || len >= sizeof(address))
        return false;
    memcpy(address, text.data, len);
    address[len] = '\0';
    if (strlen(address) != len)
        return false;

    memcpy(entry + 1, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, address, entry + 1 + sizeof(mapped)) == 1)
        width = 32;
    else if (inet_pton(AF_INET6, address, entry + 1) == 1)
        width = 128;
    else
        return false;

    prefix = width;
    if (slash != NULL && !prefix_parse((struct tracker_str){ slash + 1, text.len - len - 1 }, width, &prefix))
        return false;
    entry[0] = (uint8_t) (prefix + (128 - width));
    return entry_valid(entry);
}

bool
tracker_networks_check(struct tracker_str networks)
{
    if (networks.len % TRACKER_NETWORK_LEN != 0 || networks.len / TRACKER_NETWORK_LEN > TRACKER_NETWORKS_MAX)
        return false;
    for (size_t at = 0; at < networks.len; at += TRACKER_NETWORK_LEN)
        if (!entry_valid((const uint8_t *) networks.data + at))
            return false;
    return true;
}

/* An address as two numbers. */
struct address {
    uint64_t high, low;
};

static struct address
address_load(const uint8_t *bytes)
{
    uint64_t high, low;

    memcpy(&high, bytes, 8);
    memcpy(&low, bytes + 8, 8);
    return (struct address){ be64toh(high), be64toh(low) };
}

static uint32_t
address4_load(const uint8_t *bytes)
{
    uint32_t v;

    memcpy(&v, bytes, sizeof(v));
    return be32toh(v);
}

static bool
entry_holds(const uint8_t *entry, struct address address)
{
    struct address of = address_load(entry + 1);
    unsigned       bits = entry[0];

    if (bits <= 64)
        return bits == 0 || (of.high ^ address.high) >> (64 - bits) == 0;
    return of.high == address.high && (of.low ^ address.low) >> (128 - bits) == 0;
}

/* By address; of one address the wider network first. */
static int
entry_order(const void *a, const void *b)
{
    const uint8_t *x = a, *y = b;
    int            order = memcmp(x + 1, y + 1, ADDRESS_LEN);

    return order != 0 ? order : x[0] - y[0];
}

size_t
tracker_networks_sort(uint8_t *networks, size_t len)
{
    uint8_t *last = networks;

    if (len == 0)
        return 0;
    qsort(networks, len / TRACKER_NETWORK_LEN, TRACKER_NETWORK_LEN, entry_order);
    for (const uint8_t *entry = networks; entry < networks + len; entry += TRACKER_NETWORK_LEN) {
        if (bits_equal(last + 1, entry + 1, last[0])) /* whatever lies within a network stands right behind it */
            continue;
        last += TRACKER_NETWORK_LEN;
        memmove(last, entry, TRACKER_NETWORK_LEN);
    }
    return (size_t) (last - networks) + TRACKER_NETWORK_LEN;
}

bool
tracker_networks_sorted(struct tracker_str networks)
{
    for (size_t at = TRACKER_NETWORK_LEN; at < networks.len; at += TRACKER_NETWORK_LEN) {
        const uint8_t *entry = (const uint8_t *) networks.data + at, *last = entry - TRACKER_NETWORK_LEN;

        if (memcmp(last + 1, entry + 1, ADDRESS_LEN) >= 0 || bits_equal(last + 1, entry + 1, last[0]))
            return false;
    }
    return true;
}

/*
 * The last entry that does not begin behind the address is the only one that can hold it.  Addresses are compared as
 * two numbers: everybody's API calls wait here.
 */
bool
tracker_networks_hold(struct tracker_str networks, struct tracker_str ip)
{
    const uint8_t *entries = (const uint8_t *) networks.data;
    struct address address, at;
    size_t         low = 0, high = networks.len / TRACKER_NETWORK_LEN;

    if (ip.len == ADDRESS_LEN)
        address = address_load((const uint8_t *) ip.data);
    else if (ip.len == 4)
        address = (struct address){ 0, UINT64_C(0xffff) << 32 | address4_load((const uint8_t *) ip.data) };
    else
        return false;

    while (low < high) {
        size_t middle = (low + high) / 2;

        at = address_load(entries + middle * TRACKER_NETWORK_LEN + 1);
        if (at.high != address.high ? at.high < address.high : at.low <= address.low)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && entry_holds(entries + (low - 1) * TRACKER_NETWORK_LEN, address);
}
