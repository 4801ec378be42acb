#include "domain/amount.h"

static bool
in_range(__int128 minor)
{
    return minor >= -TRACKER_MINOR_MAX && minor <= TRACKER_MINOR_MAX;
}

static bool
put(__int128 minor, const char *currency, struct tracker_money *out)
{
    if (!in_range(minor))
        return false;
    out->minor = (int64_t) minor;
    memmove(out->currency, currency, sizeof(out->currency));
    return true;
}

bool
amount_make(int64_t minor, const char *currency, struct tracker_money *out)
{
    char code[4] = { 0 };

    if (currency == NULL || strlen(currency) != 3)
        return false;
    memcpy(code, currency, 3);
    if (tracker_currency_exponent((struct tracker_str){ code, 3 }) < 0)
        return false;
    return put(minor, code, out);
}

bool
amount_add(const struct tracker_money *a, const struct tracker_money *b, struct tracker_money *out)
{
    return amount_same_currency(a, b) && put((__int128) a->minor + b->minor, a->currency, out);
}

bool
amount_sub(const struct tracker_money *a, const struct tracker_money *b, struct tracker_money *out)
{
    return amount_same_currency(a, b) && put((__int128) a->minor - b->minor, a->currency, out);
}

bool
amount_negate(const struct tracker_money *a, struct tracker_money *out)
{
    return put(-(__int128) a->minor, a->currency, out);
}

/* Half to even (IEEE 754's default, "banker's rounding"): long runs of commissions do not drift upwards. */
static __int128
divide_half_even(__int128 numerator, int64_t denominator)
{
    __int128 quotient = numerator / denominator;
    __int128 twice = 2 * (numerator % denominator);

    if (twice < 0)
        twice = -twice;
    if (twice > denominator || (twice == denominator && quotient % 2 != 0))
        quotient += numerator < 0 ? -1 : 1;
    return quotient;
}

bool
amount_share(const struct tracker_money *a, int64_t rate_ppm, struct tracker_money *out)
{
    if (rate_ppm < 0 || rate_ppm > PPM)
        return false;
    return put(divide_half_even((__int128) a->minor * rate_ppm, PPM), a->currency, out);
}

bool
amount_split(const struct tracker_money *a, int64_t first_ppm, struct tracker_money parts[2])
{
    __int128 size, weighted[2], floors[2];
    int64_t  sign = a->minor < 0 ? -1 : 1;

    if (first_ppm < 0 || first_ppm > PPM)
        return false;
    size = (__int128) a->minor * sign;
    weighted[0] = size * first_ppm;
    weighted[1] = size * (PPM - first_ppm);
    floors[0] = weighted[0] / PPM;
    floors[1] = weighted[1] / PPM;
    if (floors[0] + floors[1] < size) /* one unit is left, never more: the remainders are below one each */
        floors[weighted[0] % PPM >= weighted[1] % PPM ? 0 : 1]++;
    return put(floors[0] * sign, a->currency, &parts[0]) && put(floors[1] * sign, a->currency, &parts[1]);
}
