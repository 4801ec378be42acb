/*
 * tracker_url.h - destination templates: compiled once, expanded in one bounded pass.
 *
 * A template is an absolute http or https URL with macros in braces.  Macros
 * stand only in path, query or fragment: never in a scheme or an authority.
 * `{name}` percent-encodes every byte but RFC 3986 unreserved; `{_name}` keeps
 * URL-safe bytes (unreserved, sub-delims, ":@/?", and '%' before two hex
 * digits) and encodes the rest.  An unknown or empty macro expands to nothing.
 *
 * Compiled form (it lives in snapshots, so the checker below is the guard):
 * a run of parts, each   u16 literal length, little-endian
 *                        u8  macro (enum tracker_macro, or 0 = none)
 *                        u8  flags (bit 0: raw)
 *                        literal bytes
 * The literal comes before the macro's value.
 */
#ifndef TRACKER_URL_H
#define TRACKER_URL_H

#include "tracker_types.h"

#define TRACKER_URL_MAX      8192 /* bytes of an expanded URL; longer is an error, never cut */
#define TRACKER_TEMPLATE_MAX 4096 /* bytes of a template, as text and compiled */
#define TRACKER_SUBS         10

/* Values are stored in snapshots: append only, never renumber. */
enum tracker_macro {
    TRACKER_MACRO_NONE = 0,
    TRACKER_MACRO_CLICK_ID = 1,
    TRACKER_MACRO_AFFILIATE_ID = 2,
    TRACKER_MACRO_AFFILIATE = 3,   /* the affiliate's public name */
    TRACKER_MACRO_CAMPAIGN = 4,
    TRACKER_MACRO_LINK = 5,        /* the link's code */
    TRACKER_MACRO_SOURCE = 6,
    TRACKER_MACRO_CREATIVE = 7,
    TRACKER_MACRO_REF_ID = 8,
    TRACKER_MACRO_COUNTRY = 9,
    TRACKER_MACRO_REGION = 10,
    TRACKER_MACRO_CITY = 11,
    TRACKER_MACRO_ASN = 12,
    TRACKER_MACRO_DEVICE = 13,
    TRACKER_MACRO_OS = 14,
    TRACKER_MACRO_BROWSER = 15,
    TRACKER_MACRO_LANGUAGE = 16,
    TRACKER_MACRO_IP = 17,
    TRACKER_MACRO_TIMESTAMP = 18,  /* seconds since 1970 */
    TRACKER_MACRO_RANDOM = 19,
    TRACKER_MACRO_SUB1 = 20,       /* .. TRACKER_MACRO_SUB1 + 9 */
    TRACKER_MACRO_COUNT = 30
};

#define TRACKER_TEMPLATE_APPEND_CLICK_ID 1u /* add click_id={click_id} if the text names it nowhere */

/*
 * Compiles text into out (cap bytes).  Returns the compiled length, or -1 with
 * *error a static sentence an affiliate manager understands.  An unknown macro
 * name compiles to nothing.  Control bytes, spaces and non-ASCII bytes in
 * literals are refused, as are user info and an empty host.
 */
int tracker_template_compile(struct tracker_str text, unsigned flags, uint8_t *out, size_t cap,
                             const char **error);

/* True when the bytes are a well-formed compiled template whose literals are clean. */
bool tracker_template_check(const uint8_t *compiled, size_t len);

/* Bit m is set when the (checked) template uses macro m: callers fill only those values. */
uint32_t tracker_template_macros(const uint8_t *compiled, size_t len);

/*
 * The name of the query parameter whose whole value is that macro in a (checked) template: "cid" for
 * "?cid={click_id}".  Borrowed; len 0 when there is none.
 */
struct tracker_str tracker_template_parameter(const uint8_t *compiled, size_t len, enum tracker_macro macro);

/*
 * Expands a checked template; values[m] is the value of macro m (len 0 =
 * empty).  Writes at most cap bytes, no NUL.  Returns the length, or -1 when it
 * would not fit.  Output has no byte below 0x21 nor above 0x7e, whatever the values hold.
 */
int tracker_template_expand(const uint8_t *compiled, size_t len,
                            const struct tracker_str values[TRACKER_MACRO_COUNT],
                            char *out, size_t cap);

/* The host of an absolute http(s) URL (lower-casing is the caller's), or len 0. */
struct tracker_str tracker_url_host(struct tracker_str url);

/*
 * Percent-decodes one query value ('+' is a space) into out (cap bytes).
 * Returns the decoded length; a malformed escape stays as it is; output is cut at cap.
 */
size_t tracker_url_decode(struct tracker_str in, char *out, size_t cap);

/*
 * Iterates "a=1&b=2": yields name and raw value, both borrowed; false at the end.
 * Start with *rest = the whole query.
 */
bool tracker_query_next(struct tracker_str *rest, struct tracker_str *name, struct tracker_str *value);

#endif
