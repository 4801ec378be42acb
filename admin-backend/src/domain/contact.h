/*
 * contact.h - e-mail addresses and phone numbers in the one form that is compared; pure.
 *
 * No mailbox tricks: dots and +tags belong to whoever owns the domain, so a.b+c@x.example is another person than
 * ab@x.example.  A number that cannot be told for certain has no key, and is a duplicate of nothing.
 */
#ifndef AFFILIATED_DOMAIN_CONTACT_H
#define AFFILIATED_DOMAIN_CONTACT_H

#include <stdbool.h>

#define CONTACT_EMAIL_MAX 512 /* bytes with the NUL: 254 of an address, whose domain grows when it becomes ASCII */
#define CONTACT_PHONE_MAX 17  /* "+", 15 digits, NUL */

/* ASCII letters in lower case, the domain as DNS has it (IDNA 2008, UTS 46 mapping).  False: no address. */
bool contact_email_key(const char *text, char out[CONTACT_EMAIL_MAX]);

/*
 * E.164: "+491711234567".  country: ISO 3166-1 alpha-2 in upper case, which a number without its calling code needs,
 * or "".  False: it cannot be told which number that is.
 */
bool contact_phone_key(const char *text, const char *country, char out[CONTACT_PHONE_MAX]);

#endif
