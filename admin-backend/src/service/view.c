#include "service/view.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tracker_event.h"

#define US_PER_S INT64_C(1000000)

json_t *
view_id(int64_t id)
{
    char text[24];

    if (id == 0)
        return json_null();
    snprintf(text, sizeof(text), "%" PRId64, id);
    return json_string(text);
}

json_t *
view_time_us(int64_t us)
{
    struct tm tm;
    char      text[64];
    int64_t   fraction = us % US_PER_S;
    time_t    seconds = (time_t) (us / US_PER_S);

    if (fraction < 0) {
        fraction += US_PER_S;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) == NULL)
        return json_null();
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06" PRId64 "Z", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
    return json_string(text);
}

json_t *
view_money(int64_t minor, const char *currency)
{
    struct tracker_money money = { .minor = minor };
    char                 text[32];

    if (currency == NULL || strlen(currency) != 3)
        return json_null();
    memcpy(money.currency, currency, 3);
    tracker_money_format(&money, text);
    return json_pack("{s:s, s:s}", "amount", text, "currency", money.currency);
}

json_t *
view_ppm(int64_t ppm)
{
    char   text[32];
    size_t len = (size_t) snprintf(text, sizeof(text), "%" PRId64 ".%04" PRId64, ppm / 10000, ppm % 10000);

    while (text[len - 1] == '0')
        text[--len] = '\0';
    if (text[len - 1] == '.')
        text[--len] = '\0';
    return json_string(text);
}

json_t *
view_column_id(struct db_stmt *row, const char *column)
{
    return db_is_null(row, column) ? json_null() : view_id(db_int(row, column));
}

json_t *
view_column_time(struct db_stmt *row, const char *column)
{
    return db_is_null(row, column) ? json_null() : view_time_us(db_int(row, column));
}

/* Old rows may hold anything: what is no UTF-8 is shown as null rather than breaking the whole answer. */
json_t *
view_column_text(struct db_stmt *row, const char *column)
{
    const char *text = db_text(row, column);
    json_t     *string = text == NULL ? NULL : json_string(text);

    return string == NULL ? json_null() : string;
}

json_t *
view_column_money(struct db_stmt *row, const char *minor_column, const char *currency_column)
{
    if (db_is_null(row, minor_column))
        return json_null();
    return view_money(db_int(row, minor_column), db_text(row, currency_column));
}

json_t *
view_column_address(struct db_stmt *row, const char *column, const char *form_column)
{
    char        text[INET6_ADDRSTRLEN];
    size_t      len;
    const void *bytes = db_bytes(row, column, &len);

    if (bytes == NULL || (len != 4 && len != 16) || db_int(row, form_column) == TRACKER_IP_HASHED
        || inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
        return json_null();
    return json_string(text);
}

json_t *
view_column_json(struct db_stmt *row, const char *column)
{
    const char *text = db_text(row, column);
    json_t     *value = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);

    return value == NULL ? json_null() : value;
}

bool
view_parse_id(const char *text, int64_t *id)
{
    int64_t value = 0;

    if (text == NULL || *text < '1' || *text > '9' || strlen(text) > 18)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (*text - '0');
    }
    *id = value;
    return true;
}

/* Reads exactly `digits` digits within lo..hi and moves on. */
static bool
take(const char **at, int digits, int lo, int hi, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return *value >= lo && *value <= hi;
}

static bool
take_char(const char **at, const char *accepted)
{
    if (**at == '\0' || strchr(accepted, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* ".123456": up to nine digits, beyond microseconds cut. */
static bool
take_fraction(const char **at, int64_t *us)
{
    int64_t unit = US_PER_S / 10;
    int     digits = 0;

    *us = 0;
    if (**at != '.')
        return true;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        *us += unit * (**at - '0');
        unit /= 10;
    }
    return digits >= 1 && digits <= 9;
}

static bool
take_offset(const char **at, int *minutes)
{
    int sign, hour, minute;

    *minutes = 0;
    if (take_char(at, "Zz"))
        return true;
    sign = **at == '-' ? -1 : 1;
    if (!take_char(at, "+-") || !take(at, 2, 0, 23, &hour) || !take_char(at, ":") || !take(at, 2, 0, 59, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool
view_parse_time_us(const char *text, int64_t *us)
{
    struct tm tm = { 0 }, check;
    int       year, month, offset = 0;
    int64_t   fraction = 0;
    time_t    seconds;

    if (text == NULL || !take(&text, 4, 1970, 9999, &year) || !take_char(&text, "-") || !take(&text, 2, 1, 12, &month)
        || !take_char(&text, "-") || !take(&text, 2, 1, 31, &tm.tm_mday))
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (*text != '\0'
        && (!take_char(&text, "Tt ") || !take(&text, 2, 0, 23, &tm.tm_hour) || !take_char(&text, ":")
            || !take(&text, 2, 0, 59, &tm.tm_min) || !take_char(&text, ":") || !take(&text, 2, 0, 59, &tm.tm_sec)
            || !take_fraction(&text, &fraction) || !take_offset(&text, &offset) || *text != '\0'))
        return false;

    check = tm;
    seconds = timegm(&check);
    if (check.tm_mday != tm.tm_mday) /* 30 February was turned into a day of March */
        return false;
    *us = ((int64_t) seconds - offset * 60) * US_PER_S + fraction;
    return true;
}

bool
view_parse_percent(const char *text, int64_t *ppm)
{
    int64_t value = 0;
    int     decimals = -1;

    if (text == NULL || *text < '0' || *text > '9' || strlen(text) > 8)
        return false;
    for (; *text != '\0'; text++) {
        if (*text == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || decimals == 4)
            return false;
        value = value * 10 + (*text - '0');
        decimals += decimals >= 0;
    }
    if (decimals == 0)
        return false;
    for (int i = decimals < 0 ? 0 : decimals; i < 4; i++)
        value *= 10;
    *ppm = value;
    return value <= 1000000;
}
