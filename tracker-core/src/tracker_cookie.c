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

#define ID_DIGITS_MAX 10 /* of a 32-bit number */
#define NAME_MAX_LEN  (sizeof(TRACKER_COOKIE_PREFIX) - 1 + ID_DIGITS_MAX)

/* Where the last click's time stands in a value: seven characters that sort as the time does. */
#define LAST_TIME_AT  (TRACKER_CLICK_ID_LEN + 2)
#define TIME_TEXT_LEN 7

static bool pair_next(struct tracker_str *header, struct tracker_str *name, struct tracker_str *value);
static bool value_verify(const struct tracker_keys *keys, struct tracker_str value,
                         struct tracker_cookie *out);
static struct tracker_str name_format(char buf[NAME_MAX_LEN], uint32_t program);
static bool name_parse(struct tracker_str name, uint32_t *program);
static bool value_shaped(struct tracker_str value);

enum tracker_cookie_verdict
tracker_cookie_read(const struct tracker_keys *keys, struct tracker_str header, uint32_t program,
                    struct tracker_cookie *out)
{
    char     buf[NAME_MAX_LEN];
    unsigned broken = 0;
    struct tracker_str wanted = name_format(buf, program), name, value;

    while (pair_next(&header, &name, &value)) {
        if (!tracker_str_eq(name, wanted))
            continue;
        if (value_verify(keys, value, out))
            return TRACKER_COOKIE_OK;
        if (++broken == DUPLICATES_MAX)
            break;
    }
    return broken > 0 ? TRACKER_COOKIE_BROKEN : TRACKER_COOKIE_NONE;
}

bool
tracker_cookie_evict(struct tracker_str header, uint32_t program, uint32_t *evict)
{
    const char *oldest = NULL;
    unsigned    others = 0;
    uint32_t    other, victim = 0;
    struct tracker_str name, value;

    while (pair_next(&header, &name, &value)) {
        if (!name_parse(name, &other) || other == program)
            continue;
        others++;
        /* What is not shaped as we write it goes before anything that is: '-' is the alphabet's zero. */
        const char *time = value_shaped(value) ? value.data + LAST_TIME_AT : "-------";
        if (oldest == NULL || memcmp(time, oldest, TIME_TEXT_LEN) < 0) {
            oldest = time;
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

    if (!value_shaped(value))
        return false;
    cookie.first_text = (struct tracker_str){ value.data, TRACKER_CLICK_ID_LEN };
    cookie.last_text = (struct tracker_str){ value.data + TRACKER_CLICK_ID_LEN + 1, TRACKER_CLICK_ID_LEN };

    if (tracker_click_id_decode(keys, cookie.last_text, &cookie.last) != TRACKER_CLICK_ID_OK)
        return false;
    if (tracker_str_eq(cookie.first_text, cookie.last_text))
        cookie.first = cookie.last;
    else if (tracker_click_id_decode(keys, cookie.first_text, &cookie.first) != TRACKER_CLICK_ID_OK)
        return false;
    *out = cookie;
    return true;
}

static bool
value_shaped(struct tracker_str value)
{
    return value.len == TRACKER_COOKIE_VALUE_LEN && value.data[TRACKER_CLICK_ID_LEN] == '.';
}

/* Cuts the next name=value off a Cookie header; blanks around it are dropped.  False at the end. */
static bool
pair_next(struct tracker_str *header, struct tracker_str *name, struct tracker_str *value)
{
    while (header->len > 0) {
        const char *start = header->data, *end = memchr(start, ';', header->len);
        const char *equals;

        if (end == NULL)
            end = start + header->len;
        header->len -= (size_t) (end - start);
        header->data = end;
        if (header->len > 0) { /* the semicolon itself */
            header->data++;
            header->len--;
        }
        while (start < end && (*start == ' ' || *start == '\t'))
            start++;
        while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        equals = memchr(start, '=', (size_t) (end - start));
        if (equals == NULL)
            continue;
        *name = (struct tracker_str){ start, (size_t) (equals - start) };
        *value = (struct tracker_str){ equals + 1, (size_t) (end - equals - 1) };
        return true;
    }
    return false;
}

static struct tracker_str
name_format(char buf[NAME_MAX_LEN], uint32_t program)
{
    char  *end = buf + NAME_MAX_LEN, *p = end;
    size_t prefix = sizeof(TRACKER_COOKIE_PREFIX) - 1;

    do {
        *--p = (char) ('0' + program % 10);
        program /= 10;
    } while (program > 0);
    p -= prefix;
    memcpy(p, TRACKER_COOKIE_PREFIX, prefix);
    return (struct tracker_str){ p, (size_t) (end - p) };
}

/* True for the prefix and a 32-bit decimal number spelt as name_format spells it. */
static bool
name_parse(struct tracker_str name, uint32_t *program)
{
    size_t   prefix = sizeof(TRACKER_COOKIE_PREFIX) - 1;
    uint64_t number = 0;

    if (name.len <= prefix || name.len > NAME_MAX_LEN
        || memcmp(name.data, TRACKER_COOKIE_PREFIX, prefix) != 0)
        return false;
    if (name.data[prefix] == '0' && name.len > prefix + 1)
        return false;
    for (size_t i = prefix; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t) (name.data[i] - '0');
    }
    if (number > UINT32_MAX)
        return false;
    *program = (uint32_t) number;
    return true;
}
