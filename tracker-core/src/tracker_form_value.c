/*
 * tracker_form_value.c - what a value must be: addresses, numbers, dates, countries, patterns.
 */
#include "tracker_form_internal.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tracker_country_table.h"

#define COUNTRIES (sizeof(tracker_country_table) / sizeof(tracker_country_table[0]))

#define EMAIL_MAX  254 /* RFC 5321, 4.5.3.1.3, without the brackets */
#define LOCAL_MAX  64  /* RFC 5321, 4.5.3.1.1 */
#define LABEL_MAX  63  /* RFC 1035, 2.3.4 */
#define PHONE_MAX  40
#define DIGITS_MAX 18  /* fit 64 bits */

/* What a pattern may cost: an edge answers others meanwhile. */
#define PATTERN_NESTED 32
#define PATTERN_STEPS  50000
#define PATTERN_DEPTH  20000
#define PATTERN_HEAP   4096 /* KiB */

static bool label_valid(struct tracker_str label);
static size_t digits(const char *text, size_t len);
static bool two_digits(const char *text, unsigned *number);
static int country_compare(const void *key, const void *row);
static pcre2_code *pattern_compile(struct tracker_str pattern);

/* ---- addresses ---- */

/* atext of RFC 5322, 3.2.3; with RFC 6531 also what is not ASCII. */
static bool
is_local(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80
           || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
tracker_email_valid(struct tracker_str text)
{
    const char *at = text.len == 0 ? NULL : memrchr(text.data, '@', text.len);
    size_t      local = at == NULL ? 0 : (size_t) (at - text.data), labels = 0;
    bool        dot = true; /* none at either end, no two together */

    if (local == 0 || local > LOCAL_MAX || text.len > EMAIL_MAX)
        return false;
    for (size_t i = 0; i < local; i++) {
        bool is_dot = text.data[i] == '.';
        if (is_dot ? dot : !is_local((uint8_t) text.data[i]))
            return false;
        dot = is_dot;
    }
    if (dot)
        return false;

    struct tracker_str rest = { at + 1, text.len - local - 1 }, label = TRACKER_STR_NONE;
    for (;; labels++) {
        const char *end = rest.len == 0 ? NULL : memchr(rest.data, '.', rest.len);

        label = (struct tracker_str){ rest.data, end == NULL ? rest.len : (size_t) (end - rest.data) };
        if (!label_valid(label))
            return false;
        if (end == NULL)
            break;
        rest = (struct tracker_str){ end + 1, rest.len - label.len - 1 };
    }
    return labels > 0 && digits(label.data, label.len) < label.len; /* the last one all digits: an IPv4 address */
}

/* Letters, digits, hyphens inside; RFC 5890's U-labels as they are. */
static bool
label_valid(struct tracker_str label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.data[0] == '-' || label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = (uint8_t) label.data[i];
        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c < 0x80)
            return false;
    }
    return true;
}

bool
tracker_phone_valid(struct tracker_str text)
{
    unsigned count = 0;

    if (text.len > PHONE_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c >= '0' && c <= '9')
            count++;
        else if (c == '+' ? i != 0 : c == '\0' || strchr(" ()-./", c) == NULL)
            return false;
    }
    return count >= 6 && count <= 20;
}

/* ---- numbers and dates ---- */

size_t
tracker_form_characters(struct tracker_str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += ((uint8_t) text.data[i] & 0xc0) != 0x80;
    return count;
}

/* How many digits it begins with. */
static size_t
digits(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

bool
tracker_form_number(struct tracker_str text, const struct tracker_form_field *field)
{
    bool        negative = text.len > 0 && text.data[0] == '-', more = false;
    const char *p = text.data + negative, *end = text.data + text.len;
    size_t      whole = text.len == 0 ? 0 : digits(p, (size_t) (end - p));
    int64_t     value = 0;

    if (whole == 0 || whole > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (p[i] - '0');
    p += whole;
    if (p < end) {
        size_t part = *p == '.' ? digits(p + 1, (size_t) (end - p - 1)) : 0;

        if (part == 0 || part > DIGITS_MAX || p + 1 + part != end)
            return false;
        for (size_t i = 1; i <= part; i++)
            more = more || p[i] != '0';
    }

    /* The whole numbers it lies between. */
    int64_t lowest = negative ? -value - more : value, highest = negative ? -value : value + more;
    return (!field->has_min || lowest >= field->min) && (!field->has_max || highest <= field->max);
}

static bool
two_digits(const char *text, unsigned *number)
{
    if (digits(text, 2) != 2)
        return false;
    *number = (unsigned) (text[0] - '0') * 10 + (unsigned) (text[1] - '0');
    return true;
}

bool
tracker_date_parse(struct tracker_str text, int64_t *days)
{
    static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned             century, year, month, day;

    if (text.len != 10 || text.data[4] != '-' || text.data[7] != '-' || !two_digits(text.data, &century)
        || !two_digits(text.data + 2, &year) || !two_digits(text.data + 5, &month)
        || !two_digits(text.data + 8, &day))
        return false;
    year += century * 100;

    unsigned leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] + leap)
        return false;

    /* Years from March on, so that a leap day is a year's last (Hinnant, chrono-compatible low-level date algorithms). */
    unsigned from_march = (month + 9) % 12, y = year - (month < 3);
    int64_t  before = (int64_t) y * 365 + y / 4 - y / 100 + y / 400;
    *days = before + (153 * from_march + 2) / 5 + day - 1 - 719468;
    return true;
}

/* ---- countries ---- */

bool
tracker_country(unsigned i, struct tracker_str *code, struct tracker_str *name)
{
    if (i >= COUNTRIES)
        return false;
    *code = (struct tracker_str){ tracker_country_table[i].code, 2 };
    *name = (struct tracker_str){ tracker_country_table[i].name, strlen(tracker_country_table[i].name) };
    return true;
}

static int
country_compare(const void *key, const void *row)
{
    return memcmp(key, ((const struct country_row *) row)->code, 2);
}

bool
tracker_country_known(struct tracker_str code)
{
    return code.len == 2
           && bsearch(code.data, tracker_country_table, COUNTRIES, sizeof(tracker_country_table[0]), country_compare)
                  != NULL;
}

/* ---- patterns ---- */

/* NULL: PCRE2 does not take it. */
static pcre2_code *
pattern_compile(struct tracker_str pattern)
{
    int                    error;
    size_t                 offset;
    pcre2_code            *code;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);

    if (context == NULL)
        return NULL;
    pcre2_set_max_pattern_length(context, TRACKER_FORM_PATTERN_MAX);
    pcre2_set_parens_nest_limit(context, PATTERN_NESTED);
    code = pcre2_compile((PCRE2_SPTR) pattern.data, pattern.len,
                         PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                         context);
    pcre2_compile_context_free(context);
    return code;
}

const char *
tracker_form_pattern_error(struct tracker_str pattern)
{
    if (pattern.len > TRACKER_FORM_PATTERN_MAX)
        return "a pattern has at most 256 bytes";
    for (size_t i = 0; i < pattern.len; i++)
        if ((uint8_t) pattern.data[i] < ' ' || pattern.data[i] == 0x7f)
            return "a pattern is one line";

    pcre2_code *code = pattern_compile(pattern);
    if (code == NULL)
        return "the pattern is not a regular expression (PCRE2)";
    pcre2_code_free(code);
    return NULL;
}

bool
tracker_form_pattern_matches(struct tracker_str pattern, struct tracker_str text)
{
    pcre2_code          *code = pattern_compile(pattern);
    pcre2_match_data    *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    bool                 matches = false;

    if (code != NULL && data != NULL && context != NULL) {
        pcre2_set_match_limit(context, PATTERN_STEPS);
        pcre2_set_depth_limit(context, PATTERN_DEPTH);
        pcre2_set_heap_limit(context, PATTERN_HEAP);
        matches = pcre2_match(code, (PCRE2_SPTR) text.data, text.len, 0, 0, data, context) >= 0;
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return matches;
}
