/* origins.h - whose pages may frame a form, and whose scripts may send it. */
#ifndef AFFILIATED_SERVICE_ORIGINS_H
#define AFFILIATED_SERVICE_ORIGINS_H

#include "service/fields.h"

/* Field readers of lists of origins: "https://shop.example", "http://localhost:3000".  In lower case after. */
bool origins_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
/* Also "self", a star in the place of the first label, and a star alone: everybody. */
bool ancestors_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* What a column holds, as edges read it; malloc'ed. NULL: it is no such list. */
char *origins_lines(const char *json_text);     /* each followed by a newline */
char *ancestors_sources(const char *json_text); /* of Content-Security-Policy: "'none'", "'self' https://shop.example" */

#endif
