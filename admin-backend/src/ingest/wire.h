/*
 * wire.h - one blocking connection to Redis: time limits on everything, back-off
 * between attempts, one error that closes it.  A thread owns it.
 */
#ifndef AFFILIATED_WIRE_H
#define AFFILIATED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

/* path, or host and port. Strings are borrowed. */
struct wire_address {
    const char *path;
    const char *host;
    int         port;
};

struct wire {
    struct wire_address address;
    const char         *component; /* for logs */
    redisContext       *redis;     /* NULL: not connected */
    uint64_t            retry_ms;  /* monotonic: no attempt before */
    unsigned            backoff_ms;
    unsigned            awaited;   /* replies of the pipeline still to come */
    bool                told;      /* that it is down */
};

#define WIRE_TIMEOUT_MS 2000 /* a server that says nothing for so long hangs */

void wire_init(struct wire *wire, struct wire_address address, const char *component);
void wire_close(struct wire *wire);
/* True when connected. Tries once, and not before the back-off is over (50 ms doubling to 5 s, jitter). */
bool wire_connect(struct wire *wire);
/* How long until an attempt is due, at most cap_ms. */
unsigned wire_wait_ms(const struct wire *wire, unsigned cap_ms);

/* Arguments of one command: pointers are borrowed. */
#define WIRE_ARGS_INLINE 8
struct wire_args {
    const char **data;
    size_t      *len;
    int          count, cap;
    bool         failed; /* out of memory */
    const char  *data_inline[WIRE_ARGS_INLINE];
    size_t       len_inline[WIRE_ARGS_INLINE];
};
void wire_args_init(struct wire_args *args);
void wire_args_add(struct wire_args *args, const void *data, size_t len);
void wire_args_text(struct wire_args *args, const char *text);
void wire_args_free(struct wire_args *args);

/* Sends and waits. NULL: the connection failed and is closed. An error is a reply. freeReplyObject it. */
redisReply *wire_call(struct wire *wire, const struct wire_args *args);
redisReply *wire_call_format(struct wire *wire, const char *format, ...);
/* Pipelines: append, then drain. False: the connection failed, or a reply is an error (the first is logged). */
bool wire_append(struct wire *wire, const struct wire_args *args);
bool wire_append_format(struct wire *wire, const char *format, ...);
bool wire_drain(struct wire *wire);

uint64_t wire_now_ms(void); /* monotonic */

#endif
