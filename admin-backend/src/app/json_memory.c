#include "app/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void (*look)(const void *block, unsigned long size);

static void
wipe_and_free(void *block)
{
    size_t size = malloc_usable_size(block);

    if (block != NULL)
        explicit_bzero(block, size);
    if (block != NULL && look != NULL)
        look(block, size);
    free(block);
}

/* Blocks stay malloc's own: texts of json_dumps are freed by free(). */
void
json_memory_wipes(void (*seen)(const void *block, unsigned long size))
{
    look = seen;
    json_set_alloc_funcs(malloc, wipe_and_free);
}
