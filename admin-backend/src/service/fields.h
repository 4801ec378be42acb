/*
 * fields.h - a request's object, checked against a table of its fields.
 */
#ifndef AFFILIATED_SERVICE_FIELDS_H
#define AFFILIATED_SERVICE_FIELDS_H

#include "service/service.h"

enum field_type {
    FIELD_TEXT,     /* min..max bytes, no control characters but newline and tab */
    FIELD_EMAIL,    /* normalised to lower case */
    FIELD_ID,       /* "17" */
    FIELD_INT,      /* a JSON integer, min..max */
    FIELD_BOOL,
    FIELD_CHOICE,   /* one of `choices`: words parted by '|' */
    FIELD_CHOICES,  /* an array of them, each at most once */
    FIELD_AMOUNT,   /* {"amount","currency"}: number is minor units, text the currency; not negative */
    FIELD_TIME,     /* RFC 3339: number is microseconds */
    FIELD_JSON,     /* anything: the service looks */
    FIELD_READ      /* `read` looks: text is what is stored, number when it is not text */
};

#define FIELD_REQUIRED 1u /* when creating */
#define FIELD_NULLABLE 2u
#define FIELD_FIXED    4u /* cannot be changed once created */

#define FIELD_COMPLAINT_MAX 200

struct value {
    bool          given;   /* the member was there */
    bool          null;    /* ... and was null */
    int64_t       number;
    char         *text;    /* owned; CHOICES: JSON text of the array */
    const json_t *json;    /* borrowed from the body */
};

struct field {
    const char     *name;
    enum field_type type;
    unsigned        flags;
    int64_t         min, max;
    const char     *choices;
    size_t          member; /* offset in the row that is made of the fields (kind.h); 0: none */
    /* READ: false with a complaint that reads on after the field's name ("is no ..."). */
    bool          (*read)(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
};

/*
 * Reads body into values (one per field; fields end with a NULL name).
 * creating: required fields must be there; else fixed ones must not.  Unknown
 * members and every bad value are named in *error.  values are freed by fields_free in any case.
 */
enum service_result fields_read(const json_t *body, const struct field *fields, bool creating, struct value *values,
                                struct service_error *error);
void fields_free(const struct field *fields, struct value *values);
/* Lays what was given over the row: each value at its field's member. Texts stay the values'. */
void fields_overlay(const struct field *fields, const struct value *values, void *row);

#endif
