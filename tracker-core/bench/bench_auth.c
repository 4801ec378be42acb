/*
 * bench_auth.c - what it costs to tell who sends a request, among how many he may be.
 *
 *     bench_auth [keys=1000000] [ranges of each API user=1] [checks=1000000]
 *
 * A check is what an edge does with a key: SHA-256, the key's row, its API user's, whether the address lies within
 * his networks, his program's row.  A user has as many keys as ranges, so that there are as many of both.  Prints one
 * line of JSON.  Instructions of the checks, and of nothing else, since callgrind is told where they begin:
 *
 *     valgrind --tool=callgrind --instr-atstart=no bench_auth 100 1 10000
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION ((void) 0)
#define CALLGRIND_STOP_INSTRUMENTATION  ((void) 0)
#endif

#include "tracker_snapshot.h"

#define KEY_TEXT "1 current 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define KEY_LEN  52 /* of an API key */

uint64_t checks(const struct tracker_snapshot *s, uint32_t keys, uint32_t ranges, uint32_t count, bool inside);

static double
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static uint64_t
mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void
require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_auth: %s\n", what);
        exit(1);
    }
}

static void
hash_of(uint32_t i, uint8_t hash[TRACKER_API_KEY_HASH_LEN])
{
    char text[KEY_LEN];

    memcpy(text, "aff_live_0000000000000000000000000000000000000000000", KEY_LEN);
    for (int at = KEY_LEN - 1; at > KEY_LEN - 9; at--, i >>= 4)
        text[at] = "0123456789abcdef"[i & 15];
    tracker_api_key_hash((struct tracker_str){ text, sizeof(text) }, hash);
}

/* The first address of a user's j-th range, an IPv4 /24 or an IPv6 /64 by turns; none lies within another. */
static void
range_of(uint32_t user, uint32_t j, uint8_t entry[TRACKER_NETWORK_LEN])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    uint64_t             where = mix((uint64_t) user << 32 | j);

    memset(entry, 0, TRACKER_NETWORK_LEN);
    if (j % 2 == 0) {
        entry[0] = 96 + 24;
        memcpy(entry + 1, mapped, sizeof(mapped));
        entry[13] = (uint8_t) (j / 2); /* of 128 at most: each its own /8 */
        entry[14] = (uint8_t) where;
        entry[15] = (uint8_t) (where >> 8);
    } else {
        entry[0] = 64;
        memcpy(entry + 1, "\x20\x01\x0d\xb8", 4);
        entry[5] = (uint8_t) j;
        memcpy(entry + 6, &where, 3);
    }
}

/* Keys are dealt out to the users in turn. */
static struct tracker_snapshot_builder *
rows(uint32_t keys, uint32_t ranges, uint32_t users)
{
    struct tracker_snapshot_builder *b = tracker_snapshot_builder_new();
    struct tracker_program_row       program = { .id = 1, .state = 1, .attribution = 1, .currency = TRACKER_STR("EUR") };
    uint8_t                          networks[TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN];
    int                              rc = tracker_snapshot_add_program(b, &program);

    for (uint32_t i = 0; i < users && rc == 0; i++) {
        struct tracker_api_user_row user = { .id = i + 1, .program = 1, .affiliate = 1, .state = TRACKER_STATE_ACTIVE,
                                             .role = TRACKER_ROLE_AFFILIATE, .scopes = TRACKER_SCOPE_LEADS_WRITE,
                                             .restricted = true };
        for (uint32_t j = 0; j < ranges; j++)
            range_of(i, j, networks + j * TRACKER_NETWORK_LEN);
        user.networks = (struct tracker_str){ (const char *) networks, ranges * TRACKER_NETWORK_LEN };
        rc = tracker_snapshot_add_api_user(b, &user);
    }
    for (uint32_t i = 0; i < keys && rc == 0; i++) {
        struct tracker_api_key_row key = { .api_user = i % users + 1, .state = TRACKER_STATE_ACTIVE };
        hash_of(i, key.hash);
        rc = tracker_snapshot_add_api_key(b, &key);
    }
    require(rc == 0, "row");
    return b;
}

/* How many were let in, by an address within one of the user's ranges or beside all of them. */
__attribute__((noinline)) uint64_t
checks(const struct tracker_snapshot *s, uint32_t keys, uint32_t ranges, uint32_t count, bool inside)
{
    uint64_t let_in = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct tracker_api_user_row user;
        struct tracker_program_row  program;
        struct tracker_api_key_row  key;
        uint8_t                     hash[TRACKER_API_KEY_HASH_LEN], range[TRACKER_NETWORK_LEN];
        uint64_t                    drawn = mix(i + UINT64_C(0x9e3779b97f4a7c15));

        hash_of((uint32_t) (drawn % keys), hash);
        if (!tracker_snapshot_api_key(s, hash, &key) || key.state != TRACKER_STATE_ACTIVE
            || !tracker_snapshot_api_user(s, key.api_user, &user))
            return 0;
        range_of(user.id - 1, (uint32_t) (drawn >> 32) % ranges, range);
        range[16] = 7;
        if (!inside)
            range[range[0] == 64 ? 1 : 13] = 0xfc;
        let_in += user.state == TRACKER_STATE_ACTIVE && (user.scopes & TRACKER_SCOPE_LEADS_WRITE) != 0
                  && tracker_networks_hold(user.networks, (struct tracker_str){ (const char *) range + 1, 16 })
                  && tracker_snapshot_program(s, user.program, &program);
    }
    return let_in;
}

int
main(int argc, char **argv)
{
    uint32_t                     keys = argc > 1 ? (uint32_t) strtoul(argv[1], NULL, 10) : 1000000;
    uint32_t                     ranges = argc > 2 ? (uint32_t) strtoul(argv[2], NULL, 10) : 1;
    uint32_t                     count = argc > 3 ? (uint32_t) strtoul(argv[3], NULL, 10) : 1000000;
    uint32_t                     users;
    struct tracker_keys          ring;
    struct tracker_snapshot_file base;
    uint8_t                     *bytes;
    size_t                       len;
    const char                  *error;
    int                          line;
    double                       t[4];

    require(tracker_init() == 0 && ranges >= 1 && ranges <= TRACKER_NETWORKS_MAX && keys >= ranges,
            "usage: bench_auth [keys] [ranges of a user] [checks]");
    require(tracker_keys_parse(&ring, TRACKER_STR(KEY_TEXT), &error, &line) == 0, "keys");
    users = keys / ranges;
    t[0] = now_ms();
    struct tracker_snapshot_builder *b = rows(keys, ranges, users);
    require(tracker_snapshot_build(b, &ring, 1, 1, NULL, &bytes, &len) == 0, "build");
    t[1] = now_ms();
    require(tracker_snapshot_open(bytes, len, &ring, &base, &error) == 0, "open");
    t[2] = now_ms();
    tracker_snapshot_builder_free(b);

    struct tracker_snapshot s = { &base, NULL };
    CALLGRIND_START_INSTRUMENTATION;
    require(checks(&s, keys, ranges, count, true) == count, "a partner is turned away");
    require(checks(&s, keys, ranges, count, false) == 0, "a stranger is let in");
    CALLGRIND_STOP_INSTRUMENTATION;
    t[3] = now_ms();

    printf("{\"keys\":%u,\"ranges\":%u,\"users\":%u,\"bytes\":%zu,\"build_ms\":%.0f,\"open_ms\":%.0f,\"check_ns\":%.0f}\n",
           keys, users * ranges, users, len, t[1] - t[0], t[2] - t[1], (t[3] - t[2]) * 1e6 / (2.0 * count));
    free(bytes);
    return 0;
}
