/*
 * test_ingest.h - ingest in a thread, or in a process that dies, between a real Redis and a real database.
 */
#ifndef AFFILIATED_TEST_INGEST_H
#define AFFILIATED_TEST_INGEST_H

#include "test_edge.h"

#include <pthread.h>
#include <stdatomic.h>

#include "ingest/ingest.h"

struct world {
    struct test_database db;
    struct test_redis    redis;
    struct ingest       *ingest;
    pthread_t            thread;
    unsigned             seed;
};

/* ---- the consumer, in a thread ---- */

static inline void *
ingest_thread(void *arg)
{
    ingest_run(arg);
    return NULL;
}

static inline void
ingest_begin(struct world *w)
{
    struct ingest_options options = {
        .pool = w->db.pool, .keys = &w->db.keys, .redis = { .path = w->redis.socket },
        .first = 0, .count = 8, .now_us = test_now_us,
    };
    w->ingest = ingest_new(&options);
    assert_non_null(w->ingest);
    assert_int_equal(pthread_create(&w->thread, NULL, ingest_thread, w->ingest), 0);
}

static inline void
ingest_end(struct world *w)
{
    if (w->ingest == NULL)
        return;
    ingest_stop(w->ingest);
    pthread_join(w->thread, NULL);
    ingest_free(w->ingest);
    w->ingest = NULL;
}

static inline int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    test_database_open(&w->db);
    test_redis_open(&w->redis, w->db.dir);
    const char *seed = getenv("TEST_SEED");
    w->seed = seed != NULL ? (unsigned) strtoul(seed, NULL, 10) : (unsigned) (test_monotonic_ms() & 0xffff);
    *state = w;
    return 0;
}

static inline int
teardown(void **state)
{
    struct world *w = *state;
    ingest_end(w);
    if (w->redis.client != NULL)
        test_redis_kill(&w->redis);
    test_database_close(&w->db);
    free(w);
    return 0;
}

/* ---- what must hold after each story ---- */

static inline int64_t
clicks(struct world *w)
{
    return test_int(w->db.pool, "SELECT count(*) AS n FROM clicks");
}

static inline long long
waiting(struct world *w)
{
    long long sum = 0;
    for (int p = 0; p < 8; p++)
        sum += test_redis_do(&w->redis, "XLEN affiliate:events:{%d}", p);
    return sum;
}

static inline void
books_balance(struct world *w)
{
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM journals"
                                          " WHERE committed + quarantined + lost <> next_seq - 1"),
                     0);
    assert_int_equal(test_int(w->db.pool, "SELECT sum(committed) - (SELECT count(*) FROM clicks)"
                                          " - (SELECT count(*) FROM impressions)"
                                          " - (SELECT count(*) FROM conversion_facts)"
                                          " - (SELECT count(*) FROM lead_facts)"
                                          " - (SELECT count(*) FROM api_calls) AS n FROM journals"),
                     0);
}

/* ---- kills ---- */

static enum ingest_step kill_at __attribute__((unused));
static int              kill_countdown __attribute__((unused));

static inline void
kill_hook(void *ctx, enum ingest_step step)
{
    if (step == kill_at && --kill_countdown == 0)
        kill(getpid(), SIGKILL);
}

/* A consumer in a process of its own, which dies at the nth passing of a step. */
static inline void
doomed_ingest(struct world *w, enum ingest_step step, int nth)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *error;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(30);
        struct ingest_options options = {
            .pool = db_pool_open(w->db.url, 1, &error), .keys = &w->db.keys, .redis = { .path = w->redis.socket },
            .first = 0, .count = 8, .now_us = test_now_us, .hook = kill_hook,
        };
        kill_at = step;
        kill_countdown = nth;
        ingest_run(ingest_new(&options));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* the fault bit */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
