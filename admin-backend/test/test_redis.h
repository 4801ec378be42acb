/*
 * test_redis.h - a private redis-server on a unix socket in a folder of the test's own.
 */
#ifndef AFFILIATED_TEST_REDIS_H
#define AFFILIATED_TEST_REDIS_H

#include "test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <hiredis/hiredis.h>

struct test_redis {
    char          socket[128];
    char          dir[64]; /* borrowed name of the test's folder */
    pid_t         pid;
    redisContext *client;
};

static inline void
test_sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static inline uint64_t
test_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* Waits for a condition, not for a time; fails the test after 20 s. */
#define TEST_AWAIT(condition)                                                                                  \
    do {                                                                                                       \
        uint64_t await_until = test_monotonic_ms() + 20000;                                                    \
        while (!(condition)) {                                                                                 \
            if (test_monotonic_ms() > await_until)                                                             \
                fail_msg("waited in vain for: %s", #condition);                                                \
            test_sleep_ms(3);                                                                                  \
        }                                                                                                      \
    } while (0)

static inline void
test_redis_start(struct test_redis *redis)
{
    redis->pid = fork();
    assert_true(redis->pid >= 0);
    if (redis->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->socket, "--dir", redis->dir,
               "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", (char *) NULL);
        _exit(127);
    }

    uint64_t until = test_monotonic_ms() + 20000;
    for (;;) {
        redis->client = redisConnectUnix(redis->socket);
        if (redis->client != NULL && redis->client->err == 0) {
            redisReply *reply = redisCommand(redis->client, "PING");
            bool up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
            freeReplyObject(reply);
            if (up)
                return;
        }
        redisFree(redis->client);
        if (test_monotonic_ms() > until)
            fail_msg("redis-server does not start");
        test_sleep_ms(5);
    }
}

static inline void
test_redis_kill(struct test_redis *redis)
{
    redisFree(redis->client);
    redis->client = NULL;
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    unlink(redis->socket);
}

static inline void
test_redis_open(struct test_redis *redis, const char *dir)
{
    signal(SIGPIPE, SIG_IGN);
    snprintf(redis->dir, sizeof(redis->dir), "%s", dir);
    snprintf(redis->socket, sizeof(redis->socket), "%s/redis.sock", dir);
    test_redis_start(redis);
}

/* One command for its effect; an error fails the test. Gives an integer reply's value, or 0. */
static inline long long
test_redis_do(struct test_redis *redis, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis->client, format, args);
    va_end(args);
    if (reply == NULL)
        fail_msg("redis: %s", redis->client->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("redis: %s: %s", format, reply->str);
    long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    return value;
}

#endif
