/*
 * tracker_rule_internal.h - how compiled rules lie; compiler, checker and reader share it.
 *
 *   rules      0 u16 number of rules  2 u16 zero  4 u32 subjects, a bit each, which the
 *              checker holds against the conditions; then the rules
 *   rule       0 u16 its length  2 i16 offset_minutes  4 u32 cap_day
 *              8 u8 number of conditions  9 u8 number of targets  10 u16 where its targets begin
 *              12 conditions, targets, templates, back to back
 *   condition  0 u8 subject  1 u8 negate  2 u16 number of cells  4 cells, ascending, none twice
 *   target     0 u32 weights up to and with this one  4 u32 macros  8 u16 where its template lies
 *              10 u16 the template's length
 *
 * Places within a rule count from its first byte.  Integers are little-endian
 * at any address.  A cell is a value as a number:
 *
 *   country, language   its bytes, the first one highest: "DE" is 0x4445
 *   region              the same, without the hyphen: "DE-BY" is "DEBY"
 *   ASN                 itself
 *   device, OS, browser, connection   one cell for all values: bit n is set for number n
 *   schedule            weekdays (bit 0 is Monday) << 32 | first minute << 16 | the minute after the last
 */
#ifndef TRACKER_RULE_INTERNAL_H
#define TRACKER_RULE_INTERNAL_H

#include "tracker_le.h"
#include "tracker_rule.h"

#define RULES_HEADER     8u
#define RULE_HEADER      12u
#define CONDITION_HEADER 4u
#define TARGET_LEN       12u

#define RULE_CELLS_MAX   (2u * TRACKER_RULE_VALUES) /* a schedule past midnight takes two */
#define RULE_DAY_MINUTES 1440u
#define RULE_OFFSET_MAX  1439 /* minutes */

#define RULE_LANGUAGE_MAX  8u /* letters of a primary subtag; RFC 5646 */
#define RULE_REGION_MAX    3u /* characters of a subdivision code; ISO 3166-2 */

/* Bits of a connection's cell; bit 0 stays unknown's. */
#define RULE_CONNECTION_OTHER      1u
#define RULE_CONNECTION_DATACENTRE 2u

/* Bytes of a cell; 0: no such subject. */
static inline size_t
rule_cell_len(unsigned subject)
{
    switch ((enum tracker_rule_subject) subject) {
    case TRACKER_RULE_COUNTRY:
        return 2;
    case TRACKER_RULE_ASN:
        return 4;
    case TRACKER_RULE_REGION:
    case TRACKER_RULE_LANGUAGE:
    case TRACKER_RULE_DEVICE:
    case TRACKER_RULE_OS:
    case TRACKER_RULE_BROWSER:
    case TRACKER_RULE_CONNECTION:
    case TRACKER_RULE_SCHEDULE:
        return 8;
    }
    return 0;
}

/* Are all values of a condition on it one cell of bits? */
static inline bool
rule_is_bits(unsigned subject)
{
    return subject == TRACKER_RULE_DEVICE || subject == TRACKER_RULE_OS || subject == TRACKER_RULE_BROWSER
           || subject == TRACKER_RULE_CONNECTION;
}

static inline uint64_t
rule_cell(const uint8_t *cell, size_t cell_len)
{
    return cell_len == 2 ? tracker_get16(cell) : cell_len == 4 ? tracker_get32(cell) : tracker_get64(cell);
}

/* One more character behind those that a text cell holds. */
static inline uint64_t
rule_cell_push(uint64_t cell, char c)
{
    return cell << 8 | (uint8_t) c;
}

static inline bool
rule_is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static inline bool
rule_is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool
rule_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

#endif
