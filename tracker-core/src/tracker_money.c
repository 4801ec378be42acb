/*
 * tracker_money.c - amounts as text: integers all the way, no floating point.
 */
#include "tracker_money.h"

#include <stdlib.h>

#include "tracker_currency_table.h"

#define EXPONENT_USUAL 2
#define EXPONENT_NONE  (-1)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct exponent_exception {
    char code[4];
    int  exponent;
};

/*
 * ISO 4217, list one (current currencies and funds), column "minor unit":
 * every code there whose minor unit is not 2.  "N.A." (metals, bond units,
 * drawing rights, testing, no currency) is EXPONENT_NONE: nobody is paid in it.
 * Sorted by code.
 */
static const struct exponent_exception exceptions[] = {
    { "BHD", 3 },
    { "BIF", 0 },
    { "CLF", 4 },
    { "CLP", 0 },
    { "DJF", 0 },
    { "GNF", 0 },
    { "IQD", 3 },
    { "ISK", 0 },
    { "JOD", 3 },
    { "JPY", 0 },
    { "KMF", 0 },
    { "KRW", 0 },
    { "KWD", 3 },
    { "LYD", 3 },
    { "OMR", 3 },
    { "PYG", 0 },
    { "RWF", 0 },
    { "TND", 3 },
    { "UGX", 0 },
    { "UYI", 0 },
    { "UYW", 4 },
    { "VND", 0 },
    { "VUV", 0 },
    { "XAF", 0 },
    { "XAG", EXPONENT_NONE },
    { "XAU", EXPONENT_NONE },
    { "XBA", EXPONENT_NONE },
    { "XBB", EXPONENT_NONE },
    { "XBC", EXPONENT_NONE },
    { "XBD", EXPONENT_NONE },
    { "XDR", EXPONENT_NONE },
    { "XOF", 0 },
    { "XPD", EXPONENT_NONE },
    { "XPF", 0 },
    { "XPT", EXPONENT_NONE },
    { "XSU", EXPONENT_NONE },
    { "XTS", EXPONENT_NONE },
    { "XUA", EXPONENT_NONE },
    { "XXX", EXPONENT_NONE },
};

static bool code_upper(struct tracker_str code, char upper[4]);
static enum tracker_money_verdict minor_parse(struct tracker_str amount, int exponent, int64_t *minor);

/* Both tables begin their rows with the code. */
static int
code_compare(const void *code, const void *row)
{
    return memcmp(code, row, 3);
}

int
tracker_currency_exponent(struct tracker_str code)
{
    const struct exponent_exception *exception;

    if (code.len != 3
        || bsearch(code.data, tracker_currency_table, COUNT(tracker_currency_table),
                   sizeof(tracker_currency_table[0]), code_compare) == NULL)
        return EXPONENT_NONE;
    exception = bsearch(code.data, exceptions, COUNT(exceptions), sizeof(exceptions[0]), code_compare);
    return exception != NULL ? exception->exponent : EXPONENT_USUAL;
}

enum tracker_money_verdict
tracker_money_parse(struct tracker_str amount, struct tracker_str code, struct tracker_money *out)
{
    struct tracker_money money = { 0 };
    enum tracker_money_verdict verdict;
    int exponent;

    memset(out, 0, sizeof(*out));
    if (!code_upper(code, money.currency))
        return TRACKER_MONEY_BAD_CURRENCY;
    exponent = tracker_currency_exponent((struct tracker_str){ money.currency, 3 });
    if (exponent < 0)
        return TRACKER_MONEY_BAD_CURRENCY;

    verdict = minor_parse(amount, exponent, &money.minor);
    if (verdict == TRACKER_MONEY_OK)
        *out = money;
    return verdict;
}

/*
 * The whole text is judged before its size: "1e99" is no amount, rather than one out of
 * range.  magnitude stops growing past the bound, so ten times it never overflows.
 */
static enum tracker_money_verdict
minor_parse(struct tracker_str amount, int exponent, int64_t *minor)
{
    bool    negative = amount.len > 0 && amount.data[0] == '-';
    bool    point = false, digit_before = false, too_precise = false;
    int     decimals = 0;
    int64_t magnitude = 0;

    for (size_t i = negative; i < amount.len; i++) {
        char c = amount.data[i];

        if (c == '.' && digit_before && !point) {
            point = true;
            digit_before = false; /* a digit must follow, too */
            continue;
        }
        if (c < '0' || c > '9')
            return TRACKER_MONEY_BAD_AMOUNT;
        digit_before = true;
        if (point && decimals == exponent) {
            too_precise |= c != '0';
            continue;
        }
        decimals += point;
        if (magnitude <= TRACKER_MINOR_MAX)
            magnitude = magnitude * 10 + (c - '0');
    }
    if (!digit_before)
        return TRACKER_MONEY_BAD_AMOUNT;
    if (too_precise)
        return TRACKER_MONEY_TOO_PRECISE;
    for (; decimals < exponent && magnitude <= TRACKER_MINOR_MAX; decimals++)
        magnitude *= 10;
    if (magnitude > TRACKER_MINOR_MAX)
        return TRACKER_MONEY_OUT_OF_RANGE;
    *minor = negative ? -magnitude : magnitude;
    return TRACKER_MONEY_OK;
}

/* An unknown currency gives an empty text: no amount is better than one off by a factor. */
size_t
tracker_money_format(const struct tracker_money *money, char *buf)
{
    int      exponent = tracker_currency_exponent((struct tracker_str){ money->currency, 3 });
    uint64_t magnitude = money->minor < 0 ? -(uint64_t) money->minor : (uint64_t) money->minor;
    char     text[32], *end = text + sizeof(text), *p = end;
    size_t   len;

    if (exponent < 0) {
        buf[0] = '\0';
        return 0;
    }
    /* At least one digit before the point, exactly `exponent` after it. */
    for (int digits = 0; digits <= exponent || magnitude > 0; digits++) {
        if (digits == exponent && exponent > 0)
            *--p = '.';
        *--p = (char) ('0' + magnitude % 10);
        magnitude /= 10;
    }
    if (money->minor < 0)
        *--p = '-';
    len = (size_t) (end - p);
    memcpy(buf, p, len);
    buf[len] = '\0';
    return len;
}

/* False: not three ASCII letters. */
static bool
code_upper(struct tracker_str code, char upper[4])
{
    if (code.len != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        char c = code.data[i];

        if (c >= 'a' && c <= 'z')
            c = (char) (c - 'a' + 'A');
        if (c < 'A' || c > 'Z')
            return false;
        upper[i] = c;
    }
    upper[3] = '\0';
    return true;
}
