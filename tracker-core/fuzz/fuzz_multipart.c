/*
 * fuzz_multipart.c - any bytes as a body of multipart/form-data; the first line is the Content-Type.
 *
 * Held against every input: a type that is taken has a boundary within its bounds; names and values lie in the body, in its
 * order and apart from each other; no value holds a delimiter; the end comes.
 */
#include <stdlib.h>

#include "tracker_multipart.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_body(struct tracker_str boundary, const char *body, size_t len)
{
    char delimiter[TRACKER_BOUNDARY_MAX + 4] = "\r\n--";
    struct tracker_multipart m;
    struct tracker_str name, value;
    const char *behind = body;
    size_t parts = 0;
    int verdict = tracker_multipart_begin(&m, boundary, (struct tracker_str){ body, len });

    memcpy(delimiter + 4, boundary.data, boundary.len);
    while (verdict == TRACKER_MULTIPART_PART) {
        verdict = tracker_multipart_next(&m, &name, &value);
        if (verdict != TRACKER_MULTIPART_PART)
            break;
        MUST(name.data >= behind && name.data + name.len <= value.data);
        MUST(value.data + value.len <= body + len);
        MUST(memmem(value.data, value.len, delimiter, boundary.len + 4) == NULL);
        behind = value.data + value.len;
        MUST(++parts <= len);
    }
    if (verdict == TRACKER_MULTIPART_END)
        MUST(tracker_multipart_next(&m, &name, &value) == TRACKER_MULTIPART_END);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    struct tracker_str boundary;

    if (newline == NULL)
        return 0;
    size_t type_len = (size_t) (newline - data), body_len = size - type_len - 1;
    char *type = malloc(type_len + 1), *body = malloc(body_len + 1);
    memcpy(type, data, type_len);
    memcpy(body, newline + 1, body_len);

    if (tracker_multipart_type((struct tracker_str){ type, type_len }, &boundary) && boundary.len > 0) {
        MUST(boundary.len <= TRACKER_BOUNDARY_MAX);
        read_body(boundary, body, body_len);
    }
    free(type);
    free(body);
    return 0;
}
