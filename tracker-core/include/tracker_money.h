/*
 * tracker_money.h - an amount is integer minor units and an ISO 4217 currency.
 *
 * No floating point anywhere.  Amounts are bounded by +-TRACKER_MINOR_MAX so
 * that sums of a billion of them fit 64 bits... arithmetic is still checked.
 * Codes come from the iso-codes package at build time; exponents other than 2
 * (ISO 4217, "minor unit") from our own exception table.
 */
#ifndef TRACKER_MONEY_H
#define TRACKER_MONEY_H

#include "tracker_types.h"

#define TRACKER_MINOR_MAX INT64_C(1000000000000000) /* 10^15 minor units */

struct tracker_money {
    int64_t minor;
    char    currency[4]; /* three upper-case letters and a NUL */
};

/* The exponent (digits after the point) of a known code, or -1. Case-sensitive. */
int tracker_currency_exponent(struct tracker_str code);

enum tracker_money_verdict {
    TRACKER_MONEY_OK = 0,
    TRACKER_MONEY_BAD_CURRENCY,
    TRACKER_MONEY_BAD_AMOUNT,   /* not [-]digits[.digits] */
    TRACKER_MONEY_TOO_PRECISE,  /* more digits after the point than the currency has, other than zeros */
    TRACKER_MONEY_OUT_OF_RANGE
};

/* Parses "12.34" in currency `code` ("EUR"; lower case accepted). */
enum tracker_money_verdict
tracker_money_parse(struct tracker_str amount, struct tracker_str code, struct tracker_money *out);

/* Writes "12.34" (exponent digits always shown) and a NUL; buf holds 32 bytes. Returns the length. */
size_t tracker_money_format(const struct tracker_money *money, char *buf);

#endif
