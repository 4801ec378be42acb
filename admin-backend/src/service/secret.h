/*
 * secret.h - what is shown once and kept as a hash: cookies, tokens, links.
 */
#ifndef AFFILIATED_SERVICE_SECRET_H
#define AFFILIATED_SERVICE_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#define SECRET_MAX      64 /* bytes of any secret's text with its NUL */
#define SECRET_HASH_LEN 32 /* SHA-256 */

/* `prefix` and 256 random bits; the prefix tells people and secret scanners what it is. */
void secret_new(const char *prefix, char text[SECRET_MAX], uint8_t hash[SECRET_HASH_LEN]);
/* False: none of ours. */
bool secret_hash(const char *text, uint8_t hash[SECRET_HASH_LEN]);

#endif
