/*
 * tracker_types.c - journal ids as text, and the library's one-time set-up.
 */
#include "tracker_types.h"

#include <sodium.h>

int
tracker_init(void)
{
    return sodium_init() < 0 ? -1 : 0;
}

void
tracker_journal_id_format(const struct tracker_journal_id *id, char *hex)
{
    static const char digits[16] = "0123456789abcdef";

    for (size_t i = 0; i < TRACKER_JOURNAL_ID_LEN; i++) {
        hex[2 * i] = digits[id->bytes[i] >> 4];
        hex[2 * i + 1] = digits[id->bytes[i] & 15];
    }
}

/* -1: not a lower-case hex digit.  One spelling only, since the text is a file name and a hash field. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool
tracker_journal_id_parse(struct tracker_journal_id *id, struct tracker_str hex)
{
    struct tracker_journal_id parsed;

    if (hex.len != TRACKER_JOURNAL_HEX_LEN)
        return false;
    for (size_t i = 0; i < TRACKER_JOURNAL_ID_LEN; i++) {
        int high = hex_value(hex.data[2 * i]), low = hex_value(hex.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        parsed.bytes[i] = (uint8_t) (high << 4 | low);
    }
    *id = parsed;
    return true;
}
