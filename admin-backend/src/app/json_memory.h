/*
 * json_memory.h - JSON that forgets: passwords, keys and secrets pass through the daemon as JSON texts.
 *
 * The parser copies what it reads into buffers of its own, and frees them as they are: every block is wiped first.
 */
#ifndef AFFILIATED_APP_JSON_MEMORY_H
#define AFFILIATED_APP_JSON_MEMORY_H

/* Before any other call of jansson. `seen` (NULL in production) looks at each block after it was wiped. */
void json_memory_wipes(void (*seen)(const void *block, unsigned long size));

#endif
