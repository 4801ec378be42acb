/*
 * bench_snapshot.c - what a snapshot costs to build, to check and to search.
 *
 *     bench_snapshot [links=1000000] [look-ups=1000000]
 *
 * Prints one line of JSON.  Instructions of a look-up (link, campaign,
 * affiliate and program, as a click does, base and non-empty delta):
 *
 *     valgrind --tool=callgrind --toggle-collect=look_up_hits bench_snapshot 1000 10000
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tracker_snapshot.h"

#define KEY_TEXT "1 current 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define CODE_LEN 8u

uint64_t look_up_hits(const struct tracker_snapshot *s, uint32_t links, uint32_t count);
uint64_t look_up_misses(const struct tracker_snapshot *s, uint32_t links, uint32_t count);

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

static struct tracker_str
code_of(uint32_t i, char code[CODE_LEN])
{
    uint64_t z = mix(i + UINT64_C(0x9e3779b97f4a7c15));

    for (unsigned j = 0; j < CODE_LEN; j++, z >>= 6)
        code[j] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"[z & 63];
    return (struct tracker_str){ code, CODE_LEN };
}

static void
require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_snapshot: %s\n", what);
        exit(1);
    }
}

/* As in real life: a campaign and an affiliate per hundred links; destinations of about 110 bytes. */
static struct tracker_snapshot_builder *
rows(uint32_t first, uint32_t links)
{
    struct tracker_snapshot_builder *b = tracker_snapshot_builder_new();
    struct tracker_program_row       program = { 1, 1, 1, 30, TRACKER_STR("EUR"), TRACKER_STR_NONE };
    uint8_t                          compiled[TRACKER_TEMPLATE_MAX];
    const char                      *error;
    int                              rc = tracker_snapshot_add_program(b, &program);

    for (uint32_t i = first; i < first + links && rc == 0; i++) {
        char code[CODE_LEN], text[256];
        int  text_len = snprintf(text, sizeof(text),
                                 "https://www.shop.example/landing/page-%07u?utm_source=affiliate"
                                 "&utm_campaign=spring&cid={click_id}&s1={sub1}", i);
        int len = tracker_template_compile((struct tracker_str){ text, (size_t) text_len }, 0, compiled,
                                           sizeof(compiled), &error);
        require(len > 0, "template");
        struct tracker_link_row link = { .id = i + 1, .campaign = i / 100 + 1, .affiliate = i / 100 + 1,
                                         .state = TRACKER_STATE_ACTIVE, .code = code_of(i, code),
                                         .destination = { (const char *) compiled, (size_t) len } };
        rc = tracker_snapshot_add_link(b, &link);
        if (i % 100 == 0 && rc == 0) {
            struct tracker_campaign_row  campaign = { .id = i / 100 + 1, .program = 1, .state = TRACKER_STATE_ACTIVE,
                                                      .name = TRACKER_STR("spring") };
            struct tracker_affiliate_row affiliate = { i / 100 + 1, 2, TRACKER_STR("anna") };
            rc = tracker_snapshot_add_campaign(b, &campaign);
            if (rc == 0)
                rc = tracker_snapshot_add_affiliate(b, &affiliate);
        }
    }
    require(rc == 0, "row");
    return b;
}

__attribute__((noinline)) uint64_t
look_up_hits(const struct tracker_snapshot *s, uint32_t links, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        char                         code[CODE_LEN];
        struct tracker_link_row      link;
        struct tracker_campaign_row  campaign;
        struct tracker_affiliate_row affiliate;
        struct tracker_program_row   program;
        uint32_t                     n = (uint32_t) (mix(i) % links);

        if (!tracker_snapshot_link(s, code_of(n, code), &link)
            || !tracker_snapshot_campaign(s, link.campaign, &campaign)
            || !tracker_snapshot_affiliate(s, link.affiliate, &affiliate)
            || !tracker_snapshot_program(s, campaign.program, &program))
            return 0;
        sum += link.id + (uint8_t) link.destination.data[0] + program.cookie_days;
    }
    return sum;
}

__attribute__((noinline)) uint64_t
look_up_misses(const struct tracker_snapshot *s, uint32_t links, uint32_t count)
{
    uint64_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        char                    code[CODE_LEN];
        struct tracker_link_row link;
        found += tracker_snapshot_link(s, code_of(links * 2 + i, code), &link);
    }
    return found;
}

int
main(int argc, char **argv)
{
    uint32_t                     links = argc > 1 ? (uint32_t) strtoul(argv[1], NULL, 10) : 1000000;
    uint32_t                     count = argc > 2 ? (uint32_t) strtoul(argv[2], NULL, 10) : 1000000;
    struct tracker_keys          keys;
    struct tracker_snapshot_file base, delta;
    uint8_t                     *bytes, *delta_bytes;
    size_t                       len, delta_len;
    const char                  *error;
    int                          line;
    double                       t[6];

    require(tracker_init() == 0 && links > 0, "usage: bench_snapshot [links] [look-ups]");
    require(tracker_keys_parse(&keys, TRACKER_STR(KEY_TEXT), &error, &line) == 0, "keys");
    t[0] = now_ms();
    struct tracker_snapshot_builder *b = rows(0, links);
    t[1] = now_ms();
    require(tracker_snapshot_build(b, &keys, 1, 1, NULL, &bytes, &len) == 0, "build");
    t[2] = now_ms();
    require(tracker_snapshot_open(bytes, len, &keys, &base, &error) == 0, "open");
    t[3] = now_ms();
    tracker_snapshot_builder_free(b);

    b = rows(links, 100);
    require(tracker_snapshot_build(b, &keys, 2, 2, base.info.hash, &delta_bytes, &delta_len) == 0, "delta");
    require(tracker_snapshot_open(delta_bytes, delta_len, &keys, &delta, &error) == 0, "open the delta");
    tracker_snapshot_builder_free(b);

    struct tracker_snapshot s = { &base, &delta };
    double start = now_ms();
    require(look_up_hits(&s, links, count) != 0, "a row is missing");
    t[4] = now_ms();
    require(look_up_misses(&s, links, count) == 0, "a row too many");
    t[5] = now_ms();

    printf("{\"links\":%u,\"bytes_per_link\":%.1f,\"add_ms\":%.0f,\"build_ms\":%.0f,\"open_ms\":%.0f,"
           "\"click_ns\":%.0f,\"unknown_code_ns\":%.0f}\n",
           links, (double) len / links, t[1] - t[0], t[2] - t[1], t[3] - t[2], (t[4] - start) * 1e6 / count,
           (t[5] - t[4]) * 1e6 / count);
    free(bytes);
    free(delta_bytes);
    return 0;
}
