/*
 * wire.c - hiredis, synchronous, with the patience of a daemon.
 */
#include "ingest/wire.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/log.h"

#define BACKOFF_FIRST_MS 50u
#define BACKOFF_LAST_MS  5000u

static void wire_failed(struct wire *wire, const char *why);

void
wire_init(struct wire *wire, struct wire_address address, const char *component)
{
    memset(wire, 0, sizeof(*wire));
    wire->address = address;
    wire->component = component;
    wire->backoff_ms = BACKOFF_FIRST_MS;
}

void
wire_close(struct wire *wire)
{
    if (wire->redis != NULL)
        redisFree(wire->redis);
    wire->redis = NULL;
    wire->awaited = 0;
}

bool
wire_connect(struct wire *wire)
{
    const struct timeval timeout = { WIRE_TIMEOUT_MS / 1000, WIRE_TIMEOUT_MS % 1000 * 1000 };

    if (wire->redis != NULL)
        return true;
    if (wire_now_ms() < wire->retry_ms)
        return false;

    wire->redis = wire->address.path != NULL
                      ? redisConnectUnixWithTimeout(wire->address.path, timeout)
                      : redisConnectWithTimeout(wire->address.host, wire->address.port, timeout);
    if (wire->redis == NULL || wire->redis->err != 0 || redisSetTimeout(wire->redis, timeout) != REDIS_OK) {
        wire_failed(wire, wire->redis != NULL ? wire->redis->errstr : "out of memory");
        return false;
    }

    /* A server that loads its data, or hangs, is not connected yet. */
    redisReply *reply = wire_call_format(wire, "PING");
    bool        ready = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (reply != NULL && !ready)
        wire_failed(wire, reply->str);
    freeReplyObject(reply);
    if (!ready)
        return false;

    if (wire->told)
        log_info(wire->component, "connected to Redis again");
    wire->told = false;
    wire->backoff_ms = BACKOFF_FIRST_MS;
    return true;
}

unsigned
wire_wait_ms(const struct wire *wire, unsigned cap_ms)
{
    uint64_t now = wire_now_ms();
    if (wire->redis != NULL || wire->retry_ms <= now)
        return 0;
    return wire->retry_ms - now < cap_ms ? (unsigned) (wire->retry_ms - now) : cap_ms;
}

static void
wire_failed(struct wire *wire, const char *why)
{
    if (!wire->told)
        log_warn(wire->component, "no connection to Redis: %s", why);
    wire->told = true;
    wire_close(wire);
    wire->retry_ms = wire_now_ms() + wire->backoff_ms / 2 + randombytes_uniform(wire->backoff_ms / 2 + 1);
    wire->backoff_ms = wire->backoff_ms < BACKOFF_LAST_MS / 2 ? wire->backoff_ms * 2 : BACKOFF_LAST_MS;
}

/* ---- arguments ---- */

void
wire_args_init(struct wire_args *args)
{
    args->data = args->data_inline;
    args->len = args->len_inline;
    args->count = 0;
    args->cap = WIRE_ARGS_INLINE;
    args->failed = false;
}

static bool
wire_args_grow(struct wire_args *args)
{
    size_t       cap = (size_t) args->cap * 4;
    const char **data = reallocarray(args->data == args->data_inline ? NULL : args->data, cap, sizeof(*data));
    if (data != NULL) {
        if (args->data == args->data_inline)
            memcpy(data, args->data_inline, sizeof(args->data_inline));
        args->data = data;
    }
    size_t *len = reallocarray(args->len == args->len_inline ? NULL : args->len, cap, sizeof(*len));
    if (len != NULL) {
        if (args->len == args->len_inline)
            memcpy(len, args->len_inline, sizeof(args->len_inline));
        args->len = len;
    }
    if (data == NULL || len == NULL)
        return false;
    args->cap = (int) cap;
    return true;
}

void
wire_args_add(struct wire_args *args, const void *data, size_t len)
{
    if (args->failed || (args->count == args->cap && !wire_args_grow(args))) {
        args->failed = true;
        return;
    }
    args->data[args->count] = data;
    args->len[args->count++] = len;
}

void
wire_args_text(struct wire_args *args, const char *text)
{
    wire_args_add(args, text, strlen(text));
}

void
wire_args_free(struct wire_args *args)
{
    if (args->data != args->data_inline)
        free(args->data);
    if (args->len != args->len_inline)
        free(args->len);
    wire_args_init(args);
}

/* ---- commands ---- */

static redisReply *
wire_checked(struct wire *wire, redisReply *reply)
{
    if (reply == NULL)
        wire_failed(wire, wire->redis->errstr);
    return reply;
}

redisReply *
wire_call(struct wire *wire, const struct wire_args *args)
{
    if (wire->redis == NULL || args->failed)
        return NULL;
    return wire_checked(wire, redisCommandArgv(wire->redis, args->count, args->data, args->len));
}

redisReply *
wire_call_format(struct wire *wire, const char *format, ...)
{
    va_list args;

    if (wire->redis == NULL)
        return NULL;
    va_start(args, format);
    redisReply *reply = redisvCommand(wire->redis, format, args);
    va_end(args);
    return wire_checked(wire, reply);
}

static bool
wire_appended(struct wire *wire, int result)
{
    if (result == REDIS_OK) {
        wire->awaited++;
        return true;
    }
    wire_failed(wire, wire->redis->errstr);
    return false;
}

bool
wire_append(struct wire *wire, const struct wire_args *args)
{
    if (wire->redis == NULL || args->failed)
        return false;
    return wire_appended(wire, redisAppendCommandArgv(wire->redis, args->count, args->data, args->len));
}

bool
wire_append_format(struct wire *wire, const char *format, ...)
{
    va_list args;

    if (wire->redis == NULL)
        return false;
    va_start(args, format);
    int result = redisvAppendCommand(wire->redis, format, args);
    va_end(args);
    return wire_appended(wire, result);
}

bool
wire_drain(struct wire *wire)
{
    bool ok = wire->redis != NULL;

    for (; wire->redis != NULL && wire->awaited > 0; wire->awaited--) {
        void *reply = NULL;
        if (redisGetReply(wire->redis, &reply) != REDIS_OK) {
            wire_failed(wire, wire->redis->errstr);
            return false;
        }
        const redisReply *answer = reply;
        if (answer->type == REDIS_REPLY_ERROR && ok) {
            log_error(wire->component, "Redis refuses: %s", answer->str);
            ok = false;
        }
        freeReplyObject(reply);
    }
    return ok;
}

uint64_t
wire_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}
