/*
 * tracker_url_class.h - what a byte of a URL may be; for the sources that write URLs.
 */
#ifndef TRACKER_URL_CLASS_H
#define TRACKER_URL_CLASS_H

#include "tracker_types.h"

/* What a byte may be; RFC 3986, section 2 and 3. */
enum {
    UNRESERVED = 1, /* kept by {name} */
    URL_SAFE = 2,   /* kept by {_name}: unreserved, sub-delims and ":@/?" */
    LITERAL = 4,    /* may stand in a template's own text */
    HEX = 8,
    HOST = 16, /* of a registered name or an IPv4 address */
    NAME = 32  /* of a macro */
};

#define ALNUM  (UNRESERVED | URL_SAFE | LITERAL | HOST | NAME)
#define HEXNUM (ALNUM | HEX)

static const uint8_t class_of[256] = {
    ['0' ... '9'] = HEXNUM,
    ['A' ... 'F'] = HEXNUM,
    ['a' ... 'f'] = HEXNUM,
    ['G' ... 'Z'] = ALNUM,
    ['g' ... 'z'] = ALNUM,
    ['_'] = UNRESERVED | URL_SAFE | LITERAL | HOST | NAME,
    ['-'] = UNRESERVED | URL_SAFE | LITERAL | HOST,
    ['.'] = UNRESERVED | URL_SAFE | LITERAL | HOST,
    ['~'] = UNRESERVED | URL_SAFE | LITERAL,
    ['!'] = URL_SAFE | LITERAL, ['$'] = URL_SAFE | LITERAL, ['&'] = URL_SAFE | LITERAL,
    ['\''] = URL_SAFE | LITERAL, ['('] = URL_SAFE | LITERAL, [')'] = URL_SAFE | LITERAL,
    ['*'] = URL_SAFE | LITERAL, ['+'] = URL_SAFE | LITERAL, [','] = URL_SAFE | LITERAL,
    [';'] = URL_SAFE | LITERAL, ['='] = URL_SAFE | LITERAL, [':'] = URL_SAFE | LITERAL,
    ['@'] = URL_SAFE | LITERAL, ['/'] = URL_SAFE | LITERAL, ['?'] = URL_SAFE | LITERAL,
    ['#'] = LITERAL, ['['] = LITERAL, [']'] = LITERAL, ['|'] = LITERAL,
    /* '%' only before two hex digits, braces only around a macro: both are handled by hand. */
};

/* Whether a complete percent-escape begins at p, which lies before end. */
static inline bool
escape_at(const char *p, const char *end)
{
    return *p == '%' && end - p >= 3 && (class_of[(uint8_t) p[1]] & HEX) != 0
           && (class_of[(uint8_t) p[2]] & HEX) != 0;
}

/* c is a hex digit. */
static inline int
hex_value(uint8_t c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

#endif
