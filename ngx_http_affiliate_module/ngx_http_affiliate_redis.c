/*
 * ngx_http_affiliate_redis.c - the worker's one Redis connection: hiredis's
 * asynchronous context on nginx's event loop.
 *
 * hiredis owns the socket and the protocol; nginx lends it a connection object, level
 * triggered (hiredis does not read until EAGAIN), and its timers, which hiredis 0.14 lacks.
 * Any trouble (an error reply, silence, a lost socket) has one answer: drop the connection and
 * come back after a while.  What was under way is told so with a NULL reply.
 */
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_CONNECT_TIMEOUT 2000 /* ms, until the PING is answered */
#define NGX_HTTP_AFFILIATE_STALL_TIMEOUT   5000 /* ms without an answer to anything */
#define NGX_HTTP_AFFILIATE_BACKOFF_MIN     50   /* ms */
#define NGX_HTTP_AFFILIATE_BACKOFF_MAX     5000

typedef struct {
    ngx_http_affiliate_reply_pt handler;
    void                       *data;
} ngx_http_affiliate_call_t;

static struct {
    redisAsyncContext *context; /* NULL: none, or given up and freed by hiredis when it is done with it */
    ngx_connection_t  *connection;
    ngx_event_t        timer; /* while connecting: the time-out; while there is none: the next try */
    ngx_msec_t         backoff;
    ngx_msec_t         heard_at; /* last reply, or first command after none was under way */
    ngx_msec_t         connected_at;
    ngx_uint_t         under_way; /* commands without a reply */
    unsigned           connected:1;
    unsigned           complained:1; /* the same trouble is said once */
} redis;

static void ngx_http_affiliate_redis_connect(ngx_event_t *ev);
static void ngx_http_affiliate_redis_lost(redisAsyncContext *context);
static void ngx_http_affiliate_redis_reply(redisAsyncContext *context, void *reply, void *privdata);
static ngx_int_t ngx_http_affiliate_redis_attach(redisAsyncContext *context);

ngx_uint_t
ngx_http_affiliate_redis_connected(void)
{
    return redis.connected;
}

ngx_int_t
ngx_http_affiliate_redis_command(int argc, const char **argv, const size_t *lens,
                                 ngx_http_affiliate_reply_pt handler, void *data)
{
    ngx_http_affiliate_call_t *call;

    if (redis.context == NULL) {
        return NGX_ERROR;
    }
    call = ngx_alloc(sizeof(*call), ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }
    call->handler = handler;
    call->data = data;
    if (redisAsyncCommandArgv(redis.context, ngx_http_affiliate_redis_reply, call, argc, argv, lens)
        != REDIS_OK)
    {
        ngx_free(call);
        return NGX_ERROR;
    }
    if (redis.under_way++ == 0) {
        redis.heard_at = ngx_current_msec;
    }
    return NGX_OK;
}

static void
ngx_http_affiliate_redis_reply(redisAsyncContext *context, void *data, void *privdata)
{
    redisReply                *reply = data;
    ngx_http_affiliate_call_t  call = *(ngx_http_affiliate_call_t *) privdata;
    ngx_uint_t                 current = context == redis.context;

    ngx_free(privdata);
    if (current) {
        redis.under_way--;
        redis.heard_at = ngx_current_msec;
    }
    if (reply != NULL && current && reply->type == REDIS_REPLY_ERROR) {
        /* -LOADING, -OOM, -READONLY, -MISCONF...: for our purpose it is not there. */
        ngx_http_affiliate_redis_broken(reply->str);
        reply = NULL;
    }
    call.handler(current ? reply : NULL, call.data);
}

static void
ngx_http_affiliate_redis_complain(const char *why)
{
    ngx_uint_t level = redis.complained ? NGX_LOG_INFO : NGX_LOG_ERR;

    redis.complained = 1;
    ngx_http_affiliate_count(REDIS_ERRORS);
    ngx_log_error(level, ngx_cycle->log, 0,
                  "affiliate: redis \"%V\": %s; journals keep what is recorded, it is tried again",
                  &ngx_http_affiliate_wire.conf->redis.text, why);
}

void
ngx_http_affiliate_redis_broken(const char *why)
{
    redisAsyncContext *context = redis.context;

    if (context == NULL) {
        return;
    }
    ngx_http_affiliate_redis_complain(why);
    ngx_http_affiliate_redis_lost(context);
    redisAsyncFree(context); /* inside a callback: as soon as that has returned */
}

/* Forgets the connection, whoever ends it, and sets the next try. */
static void
ngx_http_affiliate_redis_lost(redisAsyncContext *context)
{
    ngx_uint_t was_connected = redis.connected;

    if (context != redis.context) {
        return;
    }
    redis.context = NULL;
    redis.connected = 0;
    redis.under_way = 0;
    if (was_connected) {
        ngx_http_affiliate_gauge(REDIS_CONNECTED, 0);
        ngx_http_affiliate_ship_disconnected();
    }
    if (ngx_http_affiliate_wire.running) {
        if (redis.timer.timer_set) {
            ngx_del_timer(&redis.timer);
        }
        /* Half of it is chance, so that the workers of many edges do not come back in step. */
        ngx_add_timer(&redis.timer, redis.backoff / 2 + (ngx_msec_t) ngx_random() % (redis.backoff / 2 + 1));
        redis.backoff = ngx_min(redis.backoff * 2, NGX_HTTP_AFFILIATE_BACKOFF_MAX);
    }
}

void
ngx_http_affiliate_redis_good(void)
{
    redis.backoff = NGX_HTTP_AFFILIATE_BACKOFF_MIN;
    redis.complained = 0;
}

void
ngx_http_affiliate_redis_tick(void)
{
    if (!redis.connected) {
        return;
    }
    if (redis.under_way > 0 && ngx_current_msec - redis.heard_at > NGX_HTTP_AFFILIATE_STALL_TIMEOUT) {
        ngx_http_affiliate_redis_broken("no answer in time");
    } else if (ngx_current_msec - redis.connected_at > NGX_HTTP_AFFILIATE_BACKOFF_MAX) {
        ngx_http_affiliate_redis_good();
    }
}

/* ---- connecting ---- */

static void
ngx_http_affiliate_redis_ponged(redisReply *reply, void *data)
{
    if (reply == NULL) {
        return;
    }
    if (redis.timer.timer_set) {
        ngx_del_timer(&redis.timer);
    }
    redis.connected = 1;
    redis.connected_at = ngx_current_msec;
    ngx_http_affiliate_gauge(REDIS_CONNECTED, 1);
    ngx_http_affiliate_count(REDIS_CONNECTS);
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "affiliate: connected to redis \"%V\"", &ngx_http_affiliate_wire.conf->redis.text);
    ngx_http_affiliate_ship_connected();
}

static void
ngx_http_affiliate_redis_on_connect(const redisAsyncContext *context, int status)
{
    if (status != REDIS_OK) {
        ngx_http_affiliate_redis_complain(context->errstr);
        ngx_http_affiliate_redis_lost((redisAsyncContext *) context);
    }
}

static void
ngx_http_affiliate_redis_on_disconnect(const redisAsyncContext *context, int status)
{
    if (context == redis.context) { /* not by us */
        ngx_http_affiliate_redis_on_connect(context, REDIS_ERR);
    }
}

static void
ngx_http_affiliate_redis_connect(ngx_event_t *ev)
{
    size_t                      ping_len = 4;
    const char                 *ping[] = { "PING" };
    redisAsyncContext          *context;
    ngx_http_affiliate_redis_t *conf = &ngx_http_affiliate_wire.conf->redis;

    if (redis.context != NULL) {
        ngx_http_affiliate_redis_broken("connecting timed out");
        return;
    }
    context = conf->path != NULL ? redisAsyncConnectUnix(conf->path)
                                 : redisAsyncConnect(conf->host, conf->port);
    redis.context = context;
    redis.under_way = 0;
    if (context == NULL) {
        ngx_http_affiliate_redis_lost(NULL);
        return;
    }
    if (context->err) {
        ngx_http_affiliate_redis_broken(context->errstr);
        return;
    }
    if (ngx_http_affiliate_redis_attach(context) != NGX_OK) {
        ngx_http_affiliate_redis_broken("no event for its socket");
        return;
    }
    redisAsyncSetDisconnectCallback(context, ngx_http_affiliate_redis_on_disconnect);
    redisAsyncSetConnectCallback(context, ngx_http_affiliate_redis_on_connect);

    ngx_add_timer(&redis.timer, NGX_HTTP_AFFILIATE_CONNECT_TIMEOUT);
    if (ngx_http_affiliate_redis_command(1, ping, &ping_len, ngx_http_affiliate_redis_ponged, NULL)
        != NGX_OK)
    {
        ngx_http_affiliate_redis_broken("out of memory");
    }
}

void
ngx_http_affiliate_redis_start(void)
{
    ngx_http_affiliate_redis_t *conf = &ngx_http_affiliate_wire.conf->redis;

    ngx_memzero(&redis, sizeof(redis));
    redis.backoff = NGX_HTTP_AFFILIATE_BACKOFF_MIN;
    ngx_http_affiliate_event_init(&redis.timer, ngx_http_affiliate_redis_connect, &redis, 1);
    if (conf->path != NULL || conf->host != NULL) {
        ngx_http_affiliate_redis_connect(&redis.timer);
    }
}

void
ngx_http_affiliate_redis_stop(void)
{
    redisAsyncContext *context = redis.context;

    if (redis.timer.timer_set) {
        ngx_del_timer(&redis.timer);
    }
    if (context != NULL) {
        ngx_http_affiliate_redis_lost(context);
        redisAsyncFree(context);
    }
}

void
ngx_http_affiliate_redis_flush(void)
{
    int        done = 0;
    ngx_uint_t tries;

    /* Each round is one write(); a socket that takes no more ends it by the count. */
    for (tries = 0; redis.context != NULL && !done && tries < 64; tries++) {
        if (redisBufferWrite(&redis.context->c, &done) != REDIS_OK) {
            return;
        }
    }
}

/* ---- the adapter: hiredis's hooks on nginx's events ---- */

static void
ngx_http_affiliate_redis_read_handler(ngx_event_t *ev)
{
    if (redis.context != NULL && redis.connection == ev->data) {
        redisAsyncHandleRead(redis.context);
    }
}

static void
ngx_http_affiliate_redis_write_handler(ngx_event_t *ev)
{
    if (redis.context != NULL && redis.connection == ev->data) {
        redisAsyncHandleWrite(redis.context);
    }
}

static void
ngx_http_affiliate_redis_add_read(void *data)
{
    ngx_connection_t *c = data;

    if (!c->read->active) {
        (void) ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}

static void
ngx_http_affiliate_redis_del_read(void *data)
{
    ngx_connection_t *c = data;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }
}

static void
ngx_http_affiliate_redis_add_write(void *data)
{
    ngx_connection_t *c = data;

    if (!c->write->active) {
        (void) ngx_add_event(c->write, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }
}

static void
ngx_http_affiliate_redis_del_write(void *data)
{
    ngx_connection_t *c = data;

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, 0);
    }
}

/* hiredis is about to close the socket. */
static void
ngx_http_affiliate_redis_cleanup(void *data)
{
    ngx_connection_t *c = data;

    ngx_http_affiliate_redis_del_read(c);
    ngx_http_affiliate_redis_del_write(c);
    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }
    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }
    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
    if (redis.connection == c) {
        redis.connection = NULL;
    }
}

static ngx_int_t
ngx_http_affiliate_redis_attach(redisAsyncContext *context)
{
    ngx_connection_t *c;

    c = ngx_get_connection(context->c.fd, ngx_cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }
    c->read->handler = ngx_http_affiliate_redis_read_handler;
    c->write->handler = ngx_http_affiliate_redis_write_handler;
    c->read->log = c->write->log = c->log;
    redis.connection = c;

    context->ev.data = c;
    context->ev.addRead = ngx_http_affiliate_redis_add_read;
    context->ev.delRead = ngx_http_affiliate_redis_del_read;
    context->ev.addWrite = ngx_http_affiliate_redis_add_write;
    context->ev.delWrite = ngx_http_affiliate_redis_del_write;
    context->ev.cleanup = ngx_http_affiliate_redis_cleanup;
    return NGX_OK;
}
