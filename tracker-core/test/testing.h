/*
 * testing.h - what the library's unit tests share: a printed seed, and a ring of known keys.
 *
 * TRACKER_TEST_SEED=N repeats a run; without it the seed is fixed, so that a red test stays red.
 */
#ifndef TRACKER_TESTING_H
#define TRACKER_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tracker_keys.h"

static uint64_t testing_state;

/* Call first in a test that draws; TAP keeps lines that begin with '#'. */
static inline void
testing_seed(void)
{
    const char *given = getenv("TRACKER_TEST_SEED");

    testing_state = given != NULL ? strtoull(given, NULL, 0) : 20240229;
    print_message("# TRACKER_TEST_SEED=%llu\n", (unsigned long long) testing_state);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t
testing_draw(void)
{
    uint64_t z = testing_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 .. bound - 1 */
static inline uint64_t
testing_below(uint64_t bound)
{
    return testing_draw() % bound;
}

/* As many bits as the draw decides, so that small and huge numbers are equally likely. */
static inline uint64_t
testing_magnitude(unsigned max_bits)
{
    unsigned bits = (unsigned) testing_below(max_bits + 1);

    return bits == 0 ? 0 : testing_draw() >> (64 - bits);
}

/* A copy of exactly len bytes on the heap: reading one past it is an error under ASan. */
static inline char *
testing_exact(const void *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static inline struct tracker_str
testing_str(const char *text)
{
    return (struct tracker_str){ text, strlen(text) };
}

#define TESTING_HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define TESTING_HEX_B "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f"

/* Keys 3 (current) and 15 (accepted). */
static inline void
testing_keys(struct tracker_keys *keys)
{
    const char *error;
    int line;

    assert_int_equal(tracker_init(), 0);
    assert_int_equal(tracker_keys_parse(keys,
                                        TRACKER_STR("3 current " TESTING_HEX_A "\n"
                                                    "15 accepted " TESTING_HEX_B "\n"),
                                        &error, &line),
                     0);
}

#endif
