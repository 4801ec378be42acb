#include "domain/contact.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "tracker_form.h"

/* ---- e-mail ---- */

bool
contact_email_key(const char *text, char out[CONTACT_EMAIL_MAX])
{
    const char *at = strrchr(text, '@');
    char       *domain = NULL;
    size_t      local, len;
    bool        fits;

    if (at == NULL || !tracker_email_valid((struct tracker_str){ text, strlen(text) }))
        return false;
    local = (size_t) (at - text);
    if (idn2_lookup_u8((const uint8_t *) at + 1, (uint8_t **) &domain, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)
        != IDN2_OK)
        return false;
    len = strlen(domain);
    fits = len > 0 && local + 1 + len < CONTACT_EMAIL_MAX;
    if (fits) {
        memcpy(out, text, local + 1);
        memcpy(out + local + 1, domain, len + 1);
        for (char *c = out; *c != '\0'; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char) (*c - 'A' + 'a') : *c;
    }
    idn2_free(domain);
    return fits;
}

/* ---- phones ---- */

#define DIGITS_MAX 15 /* E.164: calling code and all */
#define DIGITS_MIN 7
#define PREFIX_MAX 3  /* digits of a calling code */

/*
 * Calling codes (ITU-T E.164 assignments) and what is dialled before a national number within the country; several
 * are parted by '|'.  digits: of a national number, where all have the same.  The first of a shared code speaks for it.
 */
static const struct region {
    char        country[3];
    const char *code, *trunk;
    unsigned    digits; /* 0: they differ */
} regions[] = {
    { "US", "1", "1", 10 },     { "AG", "1", "1", 10 },     { "AI", "1", "1", 10 },   { "AS", "1", "1", 10 },
    { "BB", "1", "1", 10 },     { "BM", "1", "1", 10 },     { "BS", "1", "1", 10 },   { "CA", "1", "1", 10 },
    { "DM", "1", "1", 10 },     { "DO", "1", "1", 10 },     { "GD", "1", "1", 10 },   { "GU", "1", "1", 10 },
    { "JM", "1", "1", 10 },     { "KN", "1", "1", 10 },     { "KY", "1", "1", 10 },   { "LC", "1", "1", 10 },
    { "MP", "1", "1", 10 },     { "MS", "1", "1", 10 },     { "PR", "1", "1", 10 },   { "SX", "1", "1", 10 },
    { "TC", "1", "1", 10 },     { "TT", "1", "1", 10 },     { "VC", "1", "1", 10 },   { "VG", "1", "1", 10 },
    { "VI", "1", "1", 10 },     { "RU", "7", "8", 10 },     { "KZ", "7", "8", 10 },   { "EG", "20", "0", 0 },
    { "ZA", "27", "0", 9 },     { "GR", "30", "", 10 },     { "NL", "31", "0", 0 },   { "BE", "32", "0", 0 },
    { "FR", "33", "0", 9 },     { "ES", "34", "", 9 },      { "HU", "36", "06", 0 },  { "IT", "39", "", 0 },
    { "VA", "39", "", 0 },      { "RO", "40", "0", 9 },     { "CH", "41", "0", 9 },   { "AT", "43", "0", 0 },
    { "GB", "44", "0", 0 },     { "GG", "44", "0", 0 },     { "IM", "44", "0", 0 },   { "JE", "44", "0", 0 },
    { "DK", "45", "", 8 },      { "SE", "46", "0", 0 },     { "NO", "47", "", 8 },    { "SJ", "47", "", 8 },
    { "PL", "48", "", 9 },      { "DE", "49", "0", 0 },     { "PE", "51", "0", 0 },
    { "MX", "52", "01|044|045|1", 10 }, { "CU", "53", "0", 0 }, { "AR", "54", "0", 0 }, { "BR", "55", "0", 0 },
    { "CL", "56", "", 9 },      { "CO", "57", "0", 10 },    { "VE", "58", "0", 10 },  { "MY", "60", "0", 0 },
    { "AU", "61", "0", 9 },     { "CC", "61", "0", 9 },     { "CX", "61", "0", 9 },   { "ID", "62", "0", 0 },
    { "PH", "63", "0", 0 },     { "NZ", "64", "0", 0 },     { "SG", "65", "", 8 },    { "TH", "66", "0", 0 },
    { "JP", "81", "0", 0 },     { "KR", "82", "0", 0 },     { "VN", "84", "0", 0 },   { "CN", "86", "0", 0 },
    { "TR", "90", "0", 10 },    { "IN", "91", "0", 10 },    { "PK", "92", "0", 0 },   { "AF", "93", "0", 9 },
    { "LK", "94", "0", 9 },     { "MM", "95", "0", 0 },     { "IR", "98", "0", 10 },  { "SS", "211", "0", 9 },
    { "MA", "212", "0", 9 },    { "EH", "212", "0", 9 },    { "DZ", "213", "0", 0 },  { "TN", "216", "", 8 },
    { "LY", "218", "0", 9 },    { "GM", "220", "", 7 },     { "SN", "221", "", 9 },   { "MR", "222", "", 8 },
    { "ML", "223", "", 8 },     { "GN", "224", "", 9 },     { "CI", "225", "", 10 },  { "BF", "226", "", 8 },
    { "NE", "227", "", 8 },     { "TG", "228", "", 8 },     { "BJ", "229", "", 0 },   { "MU", "230", "", 0 },
    { "LR", "231", "0", 0 },    { "SL", "232", "0", 8 },    { "GH", "233", "0", 9 },  { "NG", "234", "0", 0 },
    { "TD", "235", "", 8 },     { "CF", "236", "", 8 },     { "CM", "237", "", 9 },   { "CV", "238", "", 7 },
    { "ST", "239", "", 7 },     { "GQ", "240", "", 9 },     { "GA", "241", "", 0 },   { "CG", "242", "", 9 },
    { "CD", "243", "0", 9 },    { "AO", "244", "", 9 },     { "GW", "245", "", 9 },   { "IO", "246", "", 7 },
    { "SC", "248", "", 7 },     { "SD", "249", "0", 9 },    { "RW", "250", "0", 9 },  { "ET", "251", "0", 9 },
    { "SO", "252", "0", 0 },    { "DJ", "253", "", 8 },     { "KE", "254", "0", 0 },  { "TZ", "255", "0", 9 },
    { "UG", "256", "0", 9 },    { "BI", "257", "", 8 },     { "MZ", "258", "", 0 },   { "ZM", "260", "0", 9 },
    { "MG", "261", "0", 9 },    { "RE", "262", "0", 9 },    { "YT", "262", "0", 9 },  { "ZW", "263", "0", 0 },
    { "NA", "264", "0", 0 },    { "MW", "265", "0", 0 },    { "LS", "266", "", 8 },   { "BW", "267", "", 0 },
    { "SZ", "268", "", 8 },     { "KM", "269", "", 7 },     { "SH", "290", "", 0 },   { "ER", "291", "0", 7 },
    { "AW", "297", "", 7 },     { "FO", "298", "", 6 },     { "GL", "299", "", 6 },   { "GI", "350", "", 8 },
    { "PT", "351", "", 9 },     { "LU", "352", "", 0 },     { "IE", "353", "0", 0 },  { "IS", "354", "", 0 },
    { "AL", "355", "0", 0 },    { "MT", "356", "", 8 },     { "CY", "357", "", 8 },   { "FI", "358", "0", 0 },
    { "AX", "358", "0", 0 },    { "BG", "359", "0", 0 },    { "LT", "370", "8|0", 8 }, { "LV", "371", "", 8 },
    { "EE", "372", "", 0 },     { "MD", "373", "0", 8 },    { "AM", "374", "0", 8 },  { "BY", "375", "80|8|0", 9 },
    { "AD", "376", "", 0 },     { "MC", "377", "0", 0 },    { "SM", "378", "", 0 },   { "UA", "380", "0", 9 },
    { "RS", "381", "0", 0 },    { "ME", "382", "0", 0 },    { "XK", "383", "0", 0 },  { "HR", "385", "0", 0 },
    { "SI", "386", "0", 8 },    { "BA", "387", "0", 0 },    { "MK", "389", "0", 8 },  { "CZ", "420", "", 9 },
    { "SK", "421", "0", 9 },    { "LI", "423", "", 0 },     { "FK", "500", "", 5 },   { "BZ", "501", "", 7 },
    { "GT", "502", "", 8 },     { "SV", "503", "", 8 },     { "HN", "504", "", 8 },   { "NI", "505", "", 8 },
    { "CR", "506", "", 8 },     { "PA", "507", "", 0 },     { "PM", "508", "0", 0 },  { "HT", "509", "", 8 },
    { "GP", "590", "0", 9 },    { "BL", "590", "0", 9 },    { "MF", "590", "0", 9 },  { "BO", "591", "0", 8 },
    { "GY", "592", "", 7 },     { "EC", "593", "0", 0 },    { "GF", "594", "0", 9 },  { "PY", "595", "0", 0 },
    { "MQ", "596", "0", 9 },    { "SR", "597", "", 0 },     { "UY", "598", "0", 0 },  { "CW", "599", "", 0 },
    { "BQ", "599", "", 0 },     { "TL", "670", "", 0 },     { "NF", "672", "", 0 },   { "BN", "673", "", 7 },
    { "NR", "674", "", 7 },     { "PG", "675", "", 0 },     { "TO", "676", "", 0 },   { "SB", "677", "", 0 },
    { "VU", "678", "", 0 },     { "FJ", "679", "", 7 },     { "PW", "680", "", 7 },   { "WF", "681", "", 6 },
    { "CK", "682", "", 5 },     { "NU", "683", "", 0 },     { "WS", "685", "", 0 },   { "KI", "686", "0", 0 },
    { "NC", "687", "", 6 },     { "TV", "688", "", 0 },     { "PF", "689", "", 0 },   { "TK", "690", "", 0 },
    { "FM", "691", "", 7 },     { "MH", "692", "1", 7 },    { "KP", "850", "0", 0 },  { "HK", "852", "", 8 },
    { "MO", "853", "", 8 },     { "KH", "855", "0", 0 },    { "LA", "856", "0", 0 },  { "BD", "880", "0", 0 },
    { "TW", "886", "0", 0 },    { "MV", "960", "", 7 },     { "LB", "961", "0", 0 },  { "JO", "962", "0", 0 },
    { "SY", "963", "0", 0 },    { "IQ", "964", "0", 0 },    { "KW", "965", "", 0 },   { "SA", "966", "0", 0 },
    { "YE", "967", "0", 0 },    { "OM", "968", "", 8 },     { "PS", "970", "0", 0 },  { "AE", "971", "0", 0 },
    { "IL", "972", "0", 0 },    { "BH", "973", "", 8 },     { "QA", "974", "", 8 },   { "BT", "975", "", 0 },
    { "MN", "976", "0", 0 },    { "NP", "977", "0", 0 },    { "TJ", "992", "8", 9 },  { "TM", "993", "8", 8 },
    { "AZ", "994", "0", 9 },    { "GE", "995", "0", 9 },    { "KG", "996", "0", 9 },  { "UZ", "998", "8", 9 },
};

#define REGIONS (sizeof(regions) / sizeof(regions[0]))

static const struct region *
region_of_country(const char *country)
{
    for (size_t i = 0; i < REGIONS; i++) {
        if (strcmp(regions[i].country, country) == 0)
            return &regions[i];
    }
    return NULL;
}

/* No calling code begins with another one: at most one fits. */
static const struct region *
region_of_number(const char *digits)
{
    for (size_t i = 0; i < REGIONS; i++) {
        if (strncmp(digits, regions[i].code, strlen(regions[i].code)) == 0)
            return &regions[i];
    }
    return NULL;
}

/* What is left behind a trunk prefix; people write it behind a calling code, too. */
static const char *
without_trunk(const struct region *region, const char *digits)
{
    const char *at = region->trunk;

    while (*at != '\0') {
        size_t len = strcspn(at, "|");

        if (strncmp(digits, at, len) == 0 && (region->digits == 0 || strlen(digits) == len + region->digits))
            return digits + len;
        at += len + (at[len] == '|');
    }
    return digits;
}

static bool
compose(const struct region *region, const char *national, char out[CONTACT_PHONE_MAX])
{
    size_t len = strlen(national), code = strlen(region->code);

    if (region->digits != 0 ? len != region->digits : len < 4)
        return false;
    if (code + len < DIGITS_MIN || code + len > DIGITS_MAX)
        return false;
    out[0] = '+';
    memcpy(out + 1, region->code, code);
    memcpy(out + 1 + code, national, len + 1);
    return true;
}

/* Whether it was dialled as from abroad within `home`; *digits then begins with a calling code. */
static bool
is_international(const struct region *home, const char **digits)
{
    size_t code = strlen(home->code), len;

    if (strncmp(*digits, "00", 2) == 0) {
        *digits += 2;
        return true;
    }
    if (strcmp(home->code, "1") == 0 && strncmp(*digits, "011", 3) == 0) {
        *digits += 3;
        return true;
    }
    /* "491711234567" in Germany, where a number of its own would begin with 0. */
    len = strlen(*digits);
    if (strncmp(*digits, home->code, code) != 0)
        return false;
    return home->digits != 0 ? len == code + home->digits : strcmp(home->trunk, "0") == 0 && len >= code + 9;
}

bool
contact_phone_key(const char *text, const char *country, char out[CONTACT_PHONE_MAX])
{
    char                 kept[32];
    const char          *digits = kept;
    const struct region *home = region_of_country(country), *region;
    size_t               count = 0;
    bool                 international;

    if (!tracker_phone_valid((struct tracker_str){ text, strlen(text) }))
        return false;
    text += strspn(text, " ");
    international = *text == '+';
    for (; *text != '\0' && count < sizeof(kept) - 1; text++) {
        if (*text >= '0' && *text <= '9')
            kept[count++] = *text;
    }
    kept[count] = '\0';
    if (!international && home == NULL)
        return false;
    region = international || is_international(home, &digits) ? region_of_number(digits) : NULL;
    if (region != NULL)
        return compose(region, without_trunk(region, digits + strlen(region->code)), out);
    return !international && digits == kept && compose(home, without_trunk(home, digits), out);
}
