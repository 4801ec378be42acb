/*
 * tracker_cookie.c - one attribution cookie per program: read, evict, write; on the click path.
 *
 * A Cookie header is whatever a browser, a neighbour on a sister domain or an
 * attacker put there: names are matched whole, values by exact length, and the
 * number of MACs one header can make us compute is bounded.
 */
#include "tracker_cookie.h"

/* Browsers repeat a name when Path or Domain differ; more of one name than this is somebody's game. */
#define DUPLICATES_MAX 4

#define PREFIX_LEN (sizeof(TRACKER_COOKIE_PREFIX) - 1)
#define DIGITS_MAX 10                            /* of a 32-bit number */
#define NAME_MAX   (PREFIX_LEN + DIGITS_MAX + 1) /* with its '=' */

/* Where the last click's time stands in a value: seven characters that sort as the time does. */
#define LAST_TIME_AT  (TRACKER_CLICK_ID_LEN + 2)
#define TIME_TEXT_LEN 7

/* No shorter header holds TRACKER_COOKIES_MAX cookies of ours: "aff_N=" and value each, ';' between them. */
#define FULL_JAR_LEN (TRACKER_COOKIES_MAX * (PREFIX_LEN + 2 + TRACKER_COOKIE_VALUE_LEN + 1) - 1)

static void touches_join(struct tracker_cookie *into, const struct tracker_cookie *other);
static bool pair_next(struct tracker_str *header, struct tracker_str *pair);
static bool value_verify(const struct tracker_keys *keys, struct tracker_str value,
                         struct tracker_cookie *out);
static struct tracker_str name_format(char buf[NAME_MAX], uint32_t program);
static const char *pair_ours(struct tracker_str pair, uint32_t *program);

enum tracker_cookie_verdict
tracker_cookie_read(const struct tracker_keys *keys, struct tracker_str header, uint32_t program,
                    struct tracker_cookie *out)
{
    char     buf[NAME_MAX];
    unsigned seen = 0;
    struct tracker_str name = name_format(buf, program), pair;
    struct tracker_cookie cookie;
    enum tracker_cookie_verdict verdict = TRACKER_COOKIE_NONE;

    while (seen < DUPLICATES_MAX && pair_next(&header, &pair)) {
        if (pair.len < name.len || memcmp(pair.data, name.data, name.len) != 0)
            continue;
        pair.data += name.len;
        pair.len -= name.len;
        seen++;
        if (verdict != TRACKER_COOKIE_OK)
            verdict = value_verify(keys, pair, out) ? TRACKER_COOKIE_OK : TRACKER_COOKIE_BROKEN;
        else if (value_verify(keys, pair, &cookie))
            touches_join(out, &cookie);
    }
    return verdict;
}

/* Two cookies of one name, of a host and of its parent domain: what the visitor did first, and what he did last. */
static void
touches_join(struct tracker_cookie *into, const struct tracker_cookie *other)
{
    if (other->first.time_ms < into->first.time_ms) {
        into->first = other->first;
        into->first_text = other->first_text;
    }
    if (other->last.time_ms > into->last.time_ms) {
        into->last = other->last;
        into->last_text = other->last_text;
    }
}

bool
tracker_cookie_evict(struct tracker_str header, uint32_t program, uint32_t *evict)
{
    const char *oldest = NULL;
    unsigned    others = 0;
    uint32_t    other, victim = 0;
    struct tracker_str pair;

    if (header.len < FULL_JAR_LEN) /* nearly everybody */
        return false;
    while (pair_next(&header, &pair)) {
        const char *value = pair_ours(pair, &other);

        if (value == NULL || other == program)
            continue;
        others++;
        if (oldest == NULL || memcmp(value + LAST_TIME_AT, oldest, TIME_TEXT_LEN) < 0) {
            oldest = value + LAST_TIME_AT;
            victim = other;
        }
    }
    if (others < TRACKER_COOKIES_MAX)
        return false;
    *evict = victim;
    return true;
}

void
tracker_cookie_value(char *out, const char *first, const char *last)
{
    memcpy(out, first, TRACKER_CLICK_ID_LEN);
    out[TRACKER_CLICK_ID_LEN] = '.';
    memcpy(out + TRACKER_CLICK_ID_LEN + 1, last, TRACKER_CLICK_ID_LEN);
}

/* Fills *out only when both ids verify.  One MAC when first and last are the same click, else two. */
static bool
value_verify(const struct tracker_keys *keys, struct tracker_str value, struct tracker_cookie *out)
{
    struct tracker_cookie cookie;

    if (value.len != TRACKER_COOKIE_VALUE_LEN || value.data[TRACKER_CLICK_ID_LEN] != '.')
        return false;
    cookie.first_text = (struct tracker_str){ value.data, TRACKER_CLICK_ID_LEN };
    cookie.last_text = (struct tracker_str){ value.data + TRACKER_CLICK_ID_LEN + 1, TRACKER_CLICK_ID_LEN };

    if (tracker_click_id_decode(keys, cookie.last_text, &cookie.last) != TRACKER_CLICK_ID_OK)
        return false;
    if (memcmp(cookie.first_text.data, cookie.last_text.data, TRACKER_CLICK_ID_LEN) == 0)
        cookie.first = cookie.last;
    else if (tracker_click_id_decode(keys, cookie.first_text, &cookie.first) != TRACKER_CLICK_ID_OK)
        return false;
    *out = cookie;
    return true;
}

/* Cuts the next pair off a Cookie header; blanks around it are dropped.  False at the end. */
static bool
pair_next(struct tracker_str *header, struct tracker_str *pair)
{
    const char *start = header->data, *end;
    size_t      used;

    if (header->len == 0)
        return false;
    end = memchr(start, ';', header->len);
    if (end == NULL)
        end = start + header->len;
    used = (size_t) (end - start);
    used += used < header->len; /* the semicolon */
    header->data += used;
    header->len -= used;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *pair = (struct tracker_str){ start, (size_t) (end - start) };
    return true;
}

/* The cookie's name with its '='. */
static struct tracker_str
name_format(char buf[NAME_MAX], uint32_t program)
{
    char *end = buf + NAME_MAX, *p = end;

    *--p = '=';
    do {
        *--p = (char) ('0' + program % 10);
        program /= 10;
    } while (program > 0);
    p -= PREFIX_LEN;
    memcpy(p, TRACKER_COOKIE_PREFIX, PREFIX_LEN);
    return (struct tracker_str){ p, (size_t) (end - p) };
}

/*
 * The value of a pair that has the shape of ours, with the program its name
 * spells (as name_format does: no leading zeros); or NULL.  Verifies nothing.
 */
static const char *
pair_ours(struct tracker_str pair, uint32_t *program)
{
    const char *digits = pair.data + PREFIX_LEN, *value;
    uint64_t    number = 0;

    if (pair.len < PREFIX_LEN + 2 + TRACKER_COOKIE_VALUE_LEN || pair.len > NAME_MAX + TRACKER_COOKIE_VALUE_LEN
        || memcmp(pair.data, TRACKER_COOKIE_PREFIX, PREFIX_LEN) != 0)
        return NULL;
    value = pair.data + pair.len - TRACKER_COOKIE_VALUE_LEN;
    if (value[-1] != '=' || value[TRACKER_CLICK_ID_LEN] != '.' || (digits[0] == '0' && value - digits > 2))
        return NULL;
    for (; digits < value - 1; digits++) {
        if (*digits < '0' || *digits > '9')
            return NULL;
        number = number * 10 + (uint64_t) (*digits - '0');
    }
    *program = (uint32_t) number;
    return number <= UINT32_MAX ? value : NULL;
}
