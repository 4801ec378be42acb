/*
 * tracker_multipart.h - multipart/form-data (RFC 7578, 2046) of a whole body: names and values, no files.
 *
 * Lines end with CRLF.  What precedes the first boundary and follows the last one is ignored, as RFC 2046 says.  A part has a
 * Content-Disposition "form-data" with a name; its value is the bytes up to the next boundary.
 */
#ifndef TRACKER_MULTIPART_H
#define TRACKER_MULTIPART_H

#include "tracker_types.h"

#define TRACKER_BOUNDARY_MAX    70  /* bytes; RFC 2046, 5.1.1 */
#define TRACKER_PART_HEADER_MAX 1024 /* bytes of all headers of a part */

struct tracker_multipart {
    struct tracker_str boundary;
    const char        *at, *end; /* at: behind a delimiter's line; NULL: the last one has passed */
};

enum tracker_multipart_verdict {
    TRACKER_MULTIPART_END = 0,
    TRACKER_MULTIPART_PART = 1,
    TRACKER_MULTIPART_MALFORMED = -1,
    TRACKER_MULTIPART_FILE = -2,    /* the part names a file */
    TRACKER_MULTIPART_ENCODED = -3  /* the part is in another encoding or charset than UTF-8 as it is */
};

/* Whether the Content-Type is multipart/form-data; its boundary, if it has a good one, else empty. */
bool tracker_multipart_type(struct tracker_str content_type, struct tracker_str *boundary);

/* Finds the first delimiter.  MALFORMED, or PART: ask for the parts; END: there are none. */
enum tracker_multipart_verdict tracker_multipart_begin(struct tracker_multipart *m, struct tracker_str boundary,
                                                       struct tracker_str body);
/* The next part; name (as it stands between the quotes) and value borrow from the body. */
enum tracker_multipart_verdict tracker_multipart_next(struct tracker_multipart *m, struct tracker_str *name,
                                                      struct tracker_str *value);

#endif
