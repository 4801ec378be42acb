/*
 * tracker_deep.c - which deep links are followed, and how they are written.
 */
#include "tracker_deep.h"

#include "tracker_url.h"
#include "tracker_url_class.h"

static bool bytes_clean(struct tracker_str url);
static bool port_usual(struct tracker_str url, struct tracker_str host);
static bool host_matches(struct tracker_str host, struct tracker_str entry);

bool
tracker_deep_allowed(struct tracker_str url, struct tracker_str hosts)
{
    struct tracker_str host = tracker_url_host(url), entry;
    const char        *end;

    if (host.len == 0 || !bytes_clean(url) || !port_usual(url, host))
        return false;

    while (hosts.len > 0) {
        end = memchr(hosts.data, '\n', hosts.len);
        entry = (struct tracker_str){ hosts.data, end != NULL ? (size_t) (end - hosts.data) : hosts.len };
        if (host_matches(host, entry))
            return true;
        hosts.data += entry.len + (end != NULL);
        hosts.len -= entry.len + (end != NULL);
    }
    return false;
}

/* Browsers drop tabs and line breaks wherever they stand: no URL that we follow has any. */
static bool
bytes_clean(struct tracker_str url)
{
    for (size_t i = 0; i < url.len; i++)
        if ((uint8_t) url.data[i] < 0x20 || url.data[i] == 0x7f)
            return false;
    return true;
}

/* url was parsed: behind the host stands nothing, a port of digits, or what no longer is authority. */
static bool
port_usual(struct tracker_str url, struct tracker_str host)
{
    bool        secure = (url.data[4] | 0x20) == 's';
    const char *p = host.data + host.len, *end = url.data + url.len;
    unsigned    port = 0;

    if (p == end || *p != ':')
        return true;
    for (p++; p < end && *p >= '0' && *p <= '9'; p++)
        port = port * 10 + (unsigned) (*p - '0');
    return port == (secure ? 443u : 80u);
}

static bool
host_matches(struct tracker_str host, struct tracker_str entry)
{
    bool below = entry.len > 1 && entry.data[0] == '.';

    if (below && host.len > entry.len
        && strncasecmp(host.data + host.len - entry.len, entry.data, entry.len) == 0)
        return true;
    if (below) {
        entry.data++;
        entry.len--;
    }
    return entry.len > 0 && host.len == entry.len && strncasecmp(host.data, entry.data, entry.len) == 0;
}

int
tracker_deep_write(struct tracker_str url, char *out, size_t cap)
{
    static const char digits[16] = "0123456789ABCDEF";
    const char       *p = url.data, *end = url.data + url.len;
    size_t            len = 0;

    for (; p < end; p++) {
        uint8_t c = (uint8_t) *p;

        if ((class_of[c] & LITERAL) != 0 || escape_at(p, end)) {
            if (len == cap)
                return -1;
            out[len++] = *p;
        } else {
            if (cap - len < 3)
                return -1;
            out[len++] = '%';
            out[len++] = digits[c >> 4];
            out[len++] = digits[c & 15];
        }
    }
    return (int) len;
}
