/*
 * bench_agent.c - what it costs to compile a list of user agents, and to judge one.
 *
 *     bench_agent LIST <USER-AGENTS
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tracker_agent.h"

#define ROUNDS    50
#define INPUT_MAX ((size_t) 64 << 20)

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static struct tracker_str
read_all(FILE *file)
{
    char *text = malloc(INPUT_MAX);

    return (struct tracker_str){ text, text != NULL && file != NULL ? fread(text, 1, INPUT_MAX, file) : 0 };
}

/* Judges every line; the number of lines, and in *machines how many were no person. */
static size_t
judge_lines(const uint8_t *compiled, size_t len, struct tracker_str text, size_t *machines)
{
    size_t lines = 0;

    *machines = 0;
    while (text.len > 0) {
        const char          *newline = memchr(text.data, '\n', text.len);
        size_t               line = newline != NULL ? (size_t) (newline - text.data) : text.len;
        struct tracker_agent agent;

        tracker_agents_classify(compiled, len, (struct tracker_str){ text.data, line }, &agent);
        *machines += agent.kind != TRACKER_AGENT_PERSON;
        lines++;
        text.data += line + (newline != NULL);
        text.len -= line + (newline != NULL);
    }
    return lines;
}

int
main(int argc, char **argv)
{
    struct tracker_str list = read_all(argc == 2 ? fopen(argv[1], "r") : NULL), agents = read_all(stdin);
    const char        *error;
    uint8_t           *compiled;
    size_t             len, lines = 0, machines = 0;
    int                line;

    double begin = now_ms();
    if (list.len == 0 || tracker_agents_compile(list, &compiled, &len, &error, &line) != 0 || agents.len == 0) {
        fprintf(stderr, "usage: bench_agent LIST <USER-AGENTS\n");
        return 2;
    }
    printf("%zu bytes, compiled in %.2f ms\n", len, now_ms() - begin);
    begin = now_ms();
    for (int i = 0; i < ROUNDS; i++)
        lines = judge_lines(compiled, len, agents, &machines);
    printf("%zu user agents, %zu bytes each: %.0f ns each, %zu machines\n", lines, agents.len / lines,
           (now_ms() - begin) * 1e6 / (double) (lines * ROUNDS), machines);
    return 0;
}
