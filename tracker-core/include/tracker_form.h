/*
 * tracker_form.h - a web form: what it asks for, checked alike by edge and backend, and its page.
 *
 * A definition is compiled once, by the backend, into bytes that lie in a snapshot; a page is text that the backend
 * has rendered, with marks where a request's own goes.  Both are checked when a snapshot is opened and trusted then.
 */
#ifndef TRACKER_FORM_H
#define TRACKER_FORM_H

#include "tracker_lead.h"

#define TRACKER_FORM_FIELDS_MAX  64
#define TRACKER_FORM_OPTIONS_MAX 512
#define TRACKER_FORM_MAX         65536  /* bytes of a compiled definition */
#define TRACKER_FORM_KEY_MAX     64     /* bytes of a form's public key: [A-Za-z0-9_-] */
#define TRACKER_PAGE_MAX         131072 /* bytes of a page */
#define TRACKER_FORM_PATTERN_MAX 256

/* Persisted. */
enum tracker_form_type {
    TRACKER_FORM_TEXT = 1,
    TRACKER_FORM_EMAIL = 2,
    TRACKER_FORM_PHONE = 3,   /* digits, spaces, ( ) - . / and a leading +; 6 to 20 digits */
    TRACKER_FORM_NUMBER = 4,  /* a decimal number */
    TRACKER_FORM_DATE = 5,    /* yyyy-mm-dd */
    TRACKER_FORM_SELECT = 6,  /* one of the options */
    TRACKER_FORM_MULTI = 7,   /* any of the options, each once */
    TRACKER_FORM_CHECKBOX = 8, /* "1", or not sent */
    TRACKER_FORM_CONSENT = 9, /* a checkbox that is required where `required` says so; its text is kept by the backend */
    TRACKER_FORM_HIDDEN = 10, /* as the page says; like text */
    TRACKER_FORM_COUNTRY = 11 /* ISO 3166-1 alpha-2, upper case */
};

struct tracker_form_field {
    struct tracker_str name;     /* [a-z][a-z0-9_]{0,63}, once in a form; none of ours (tracker_form_reserved) */
    uint8_t            type;     /* enum tracker_form_type */
    bool               required;
    bool               has_min, has_max;
    int64_t            min, max; /* characters of a text, value of a number, days since 1970 of a date, choices of a multi */
    struct tracker_str pattern;  /* PCRE2, anchored at both ends; empty: none; text, e-mail, phone and hidden only */
    struct tracker_str options;  /* values, each followed by a newline; select and multi only */
};

/* Names with a meaning of their own in a submission: all that begin with '_' ("_token", "_website": the honeypot), and
 * those of the click id. */
bool tracker_form_reserved(struct tracker_str name);

/* Into out (cap bytes): the length, or -1 and *error, a static sentence; *at: the field to blame, from 0. */
int tracker_form_compile(const struct tracker_form_field *fields, unsigned count, uint8_t *out, size_t cap,
                         const char **error, unsigned *at);
/* Whether the bytes are what compile makes. */
bool tracker_form_check(struct tracker_str form);
unsigned tracker_form_count(struct tracker_str form);
/* Field i, from 0; strings borrow from form. */
void tracker_form_field(struct tracker_str form, unsigned i, struct tracker_form_field *out);

/* What is wrong with a field of a submission. */
enum tracker_form_fault { TRACKER_FORM_FINE = 0, TRACKER_FORM_MISSING = 1, TRACKER_FORM_INVALID = 2 };

/*
 * Judges a submission (tracker_pairs of names and values as they came): faults[i] for each field; true when all are
 * fine.  What the form names, cleaned (trimmed, checkboxes as "1"), goes into kept (cap bytes, *kept_len out) in the
 * form's order; names that the form does not know are left out.  False too when kept is too small (then no fault is set).
 */
bool tracker_form_judge(struct tracker_str form, struct tracker_str pairs, uint8_t *kept, size_t cap, size_t *kept_len,
                        uint8_t faults[TRACKER_FORM_FIELDS_MAX]);

/*
 * An address as RFC 5321 would take it: local@domain, at most 254 bytes, UTF-8 allowed in both; no display name.  Local
 * parts in quotes, addresses of hosts and domains of one label are refused: they are nobody's.
 */
bool tracker_email_valid(struct tracker_str text);
/* As TRACKER_FORM_PHONE says. */
bool tracker_phone_valid(struct tracker_str text);
/* yyyy-mm-dd of a day that there is (proleptic Gregorian, years 1 to 9999), as days since 1970. */
bool tracker_date_parse(struct tracker_str text, int64_t *days);

/* ISO 3166-1, by code; i from 0.  False: no more. */
bool tracker_country(unsigned i, struct tracker_str *code, struct tracker_str *name);
/* Whether it is a code of that list; case matters. */
bool tracker_country_known(struct tracker_str code);

/*
 * Pages.  A mark is byte 0x01, a letter, and for some a field's number from 0 (decimal) and ';':
 *
 *   T        the form token                      C        the verified click id, or nothing
 *   Vn;      what was sent for field n, escaped for HTML (first value; nothing on a first showing)
 *   Sn,k;    when option k of field n was sent: ' selected' of a select, ' checked' of a multi (its options are boxes);
 *            of a country, k is 26 * its first letter + its second, A being 0
 *   Hn;      ' checked' when the checkbox or consent n was sent
 *   Rn;      begins text that is shown only when n is missing; In; invalid; Xn; either; X*; any field is
 *   Nk;      begins text that is shown only with notice k (enum tracker_page_notice)
 *   .        ends such text; it does not nest
 *   L        the form's URL for "try again": the request's path, escaped
 *
 * Everything else is sent as it is.  Byte 0x01 stands in a page only as a mark.
 */
bool tracker_page_check(struct tracker_str page, struct tracker_str form);

/* Persisted in pages: why the page is shown once more, its fields being fine. */
enum tracker_page_notice {
    TRACKER_PAGE_STALE = 1,      /* it was open for too long, or came without its token: send it again */
    TRACKER_PAGE_BUSY = 2,       /* too many submissions: wait a minute */
    TRACKER_PAGE_UNAVAILABLE = 3 /* nothing can be kept now: try again later */
};

struct tracker_page_values {
    struct tracker_str form;     /* compiled definition */
    struct tracker_str token, click_id, path;
    struct tracker_str sent;     /* tracker_pairs, or empty */
    const uint8_t     *faults;   /* of tracker_form_judge, or NULL: none */
    uint8_t            notice;   /* enum tracker_page_notice; 0: none */
};
/* Into out (cap bytes; NULL: only counts): the length the page has with these values.  Beyond cap nothing is written. */
size_t tracker_page_fill(struct tracker_str page, const struct tracker_page_values *values, char *out, size_t cap);

#endif
