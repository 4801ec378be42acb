/*
 * form_definition.h - a form's fields as people write them, a JSON array (docs/forms.md), and as edges judge by them.
 */
#ifndef AFFILIATED_SERVICE_FORM_DEFINITION_H
#define AFFILIATED_SERVICE_FORM_DEFINITION_H

#include "service/fields.h"
#include "tracker_form.h"

/* "text|email|...": choices of a field (fields.h). */
#define FORM_TYPES "text|email|phone|number|date|select|multi|checkbox|consent|hidden|country"

/* 0: there is no such type. */
uint8_t form_type(const char *name);
/* A field that every lead may have, whatever the custom fields are: "email", "first_name", ... */
bool form_is_standard(const char *name);

/*
 * Compiles a form's fields: malloc'ed *compiled of *len bytes.  False with a complaint that reads on after "fields":
 * `field 3 ("phone"): ...`.  Custom fields are the caller's to look up.
 */
bool form_compile(const json_t *fields, uint8_t **compiled, size_t *len, char complaint[FIELD_COMPLAINT_MAX]);
/* One field by itself, of whatever name. */
bool form_field_check(const json_t *field, char complaint[FIELD_COMPLAINT_MAX]);

/* A form that nobody could answer to: neither e-mail address nor phone number is required. */
bool form_has_contact(const json_t *fields);

#endif
