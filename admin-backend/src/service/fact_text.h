/*
 * fact_text.h - bytes from visitors become text that every database, JSON reader and browser takes.
 *
 * Valid UTF-8 stays as it is and is not copied.  A byte that is no UTF-8, and
 * NUL, becomes U+FFFD.
 */
#ifndef AFFILIATED_FACT_TEXT_H
#define AFFILIATED_FACT_TEXT_H

#include "tracker_types.h"

/* Memory that lives as long as a batch: many small pieces, given back at once. */
struct fact_arena {
    struct fact_chunk *chunks;
    size_t             used; /* of the first chunk */
    bool               failed; /* out of memory: pieces are missing */
};
void *fact_arena_take(struct fact_arena *arena, size_t len); /* NULL: no memory, and failed is set */
void  fact_arena_reset(struct fact_arena *arena);            /* keeps one chunk */
void  fact_arena_free(struct fact_arena *arena);

/* data NULL for an empty text. */
struct tracker_str fact_text(struct fact_arena *arena, struct tracker_str bytes);

/* One member of a JSON object; one with an empty value is left out. */
struct fact_member {
    const char        *name; /* needs no escaping */
    struct tracker_str value;
};
/* {"name":"value",...}, or data NULL when every value is empty. */
struct tracker_str fact_object(struct fact_arena *arena, const struct fact_member *members, size_t count);

/*
 * A lead's fields (checked tracker_pairs) in the order of their first coming: {"name":"value","many":["a","b"]}; "{}"
 * when there are none.
 */
struct tracker_str fact_fields(struct fact_arena *arena, struct tracker_str pairs);

#endif
