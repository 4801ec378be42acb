/*
 * A Redis that answers what no Redis should: ingest neither falls over nor spins.
 *
 * What could break: entries that cannot be taken are there at once, so that XREAD does not wait; without a pause of
 * one's own that is a loop at full speed, on both sides, for as long as they are there.
 */
#include "test_redis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ingest/ingest.h"

#define STREAM "$20\r\naffiliate:events:{0}\r\n"

static const char *const odd[] = {
    "*1\r\n*2\r\n" STREAM "*1\r\n*2\r\n$3\r\nabc\r\n*0\r\n",       /* no id */
    "*1\r\n*2\r\n" STREAM "*1\r\n*1\r\n$3\r\n1-1\r\n",             /* an entry without fields */
    "*1\r\n*2\r\n" STREAM "*1\r\n:7\r\n",                             /* no entry at all */
    "*1\r\n*2\r\n" STREAM "$3\r\nabc\r\n",                            /* no list of them */
    "*1\r\n*2\r\n$5\r\nother\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*0\r\n", /* a stream that nobody asked for */
    "*1\r\n:7\r\n",
};

struct odd_redis {
    int         listener;
    const char *answer; /* to XREAD */
    atomic_int  reads;
};

/* Commands are told apart by how they begin: each is one array, and none of ours holds a line that begins with '*'. */
static void
serve(struct odd_redis *redis, int fd)
{
    char    text[65536];
    ssize_t n;

    while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
        text[n] = '\0';
        for (char *at = text; at != NULL && *at != '\0'; at = strstr(at, "\r\n*")) {
            const char *answer = "+OK\r\n";

            at += *at == '\r' ? 2 : 0;
            if (strncmp(strchr(at, '$'), "$5\r\nXREAD", 9) == 0) {
                answer = redis->answer;
                atomic_fetch_add(&redis->reads, 1);
            }
            if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
                return;
        }
    }
}

static void *
serve_all(void *arg)
{
    struct odd_redis *redis = arg;
    int               fd;

    while ((fd = accept(redis->listener, NULL, NULL)) >= 0) {
        serve(redis, fd);
        close(fd);
    }
    return NULL;
}

static void *
run_ingest(void *arg)
{
    ingest_run(arg);
    return NULL;
}

static void
it_is_asked_slowly(void **state)
{
    struct test_database  db;
    struct sockaddr_un    address = { .sun_family = AF_UNIX };
    struct odd_redis      redis = { .listener = socket(AF_UNIX, SOCK_STREAM, 0) };
    struct ingest_options options = { .first = 0, .count = 1, .now_us = test_now_us };
    struct ingest        *ingest;
    pthread_t             server, thread;

    (void) state;
    test_database_open(&db);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/odd.sock", db.dir);
    assert_int_equal(bind(redis.listener, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(redis.listener, 8), 0);
    options.pool = db.pool;
    options.keys = &db.keys;
    options.redis.path = address.sun_path;

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        redis.answer = odd[i];
        atomic_store(&redis.reads, 0);
        if (i == 0)
            assert_int_equal(pthread_create(&server, NULL, serve_all, &redis), 0);
        assert_non_null(ingest = ingest_new(&options));
        assert_int_equal(pthread_create(&thread, NULL, run_ingest, ingest), 0);
        TEST_AWAIT(atomic_load(&redis.reads) >= 3); /* it asks again */
        uint64_t begin = test_monotonic_ms();
        int      before = atomic_load(&redis.reads);
        test_sleep_ms(600);
        uint64_t ms = test_monotonic_ms() - begin;
        if (atomic_load(&redis.reads) - before > (int) (ms / 100))
            fail_msg("answer %zu: asked %d times in %lu ms", i, atomic_load(&redis.reads) - before, (unsigned long) ms);
        ingest_stop(ingest);
        pthread_join(thread, NULL);
        ingest_free(ingest);
    }
    shutdown(redis.listener, SHUT_RDWR);
    close(redis.listener);
    pthread_join(server, NULL);
    test_database_close(&db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_is_asked_slowly) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
