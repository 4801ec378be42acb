/*
 * fuzz_signature.c - any bytes as a query and a form that somebody signed.
 *
 * The canonical form is a fixed point: made canonical again it stays itself.  It holds nothing that a query
 * could read in two ways, in order, and fits the room that the header promises.
 */
#include <stdlib.h>

#include "tracker_signature.h"
#include "tracker_url.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t             cut = size > 0 ? data[0] % size : 0;
    struct tracker_str query = { (const char *) data, cut }, form = { (const char *) data + cut, size - cut };
    struct tracker_str once, twice, name, value, rest;
    char              *space = malloc(TRACKER_CANONICAL_SPACE(size)), *again;

    MUST(space != NULL);
    if (tracker_canonical_query(query, form, space, &once)) {
        MUST(once.data >= space && once.data + once.len <= space + TRACKER_CANONICAL_SPACE(size));
        for (size_t i = 0; i < once.len; i++)
            MUST(once.data[i] > ' ' && once.data[i] < 0x7f && once.data[i] != '+');
        again = malloc(TRACKER_CANONICAL_SPACE(once.len));
        MUST(again != NULL && tracker_canonical_query(once, TRACKER_STR_NONE, again, &twice));
        MUST(tracker_str_eq(once, twice));
        rest = once;
        while (tracker_query_next(&rest, &name, &value))
            MUST(!tracker_str_eq(name, TRACKER_STR(TRACKER_SIGNATURE_PARAM)));
        free(again);
    }
    free(space);
    return 0;
}
