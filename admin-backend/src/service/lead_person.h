/*
 * lead_person.h - what a submission says of a person, told apart from what else it says.
 */
#ifndef AFFILIATED_SERVICE_LEAD_PERSON_H
#define AFFILIATED_SERVICE_LEAD_PERSON_H

#include <jansson.h>

#include "domain/contact.h"

struct person {
    json_t     *fields;   /* owned: what is left for the custom fields, an object */
    json_t     *standard; /* owned: what the texts borrow from */
    const char *first_name, *last_name, *email, *phone, *language; /* as sent, or "" */
    const char *coupon;       /* as sent, or ""; it stays among the custom fields, too */
    char       *name_parts;   /* owned: what the two names borrow from, where one `name` was sent */
    char        country[3];   /* ISO 3166-1 alpha-2 in upper case, or "": no such code was sent */
    char        email_key[CONTACT_EMAIL_MAX], phone_key[CONTACT_PHONE_MAX]; /* "": cannot be compared */
    bool        email_valid, phone_valid;
};

/* fields: lead_facts.fields. False: no JSON object, or no memory. */
bool person_read(const char *fields, struct person *out);
void person_clear(struct person *person);

#endif
