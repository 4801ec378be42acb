/*
 * fuzz_agent.c - any bytes as a list of patterns with a User-Agent, and as a compiled list.
 *
 * The input is split at its first NUL: the list before it, the User-Agent behind it.  Held against every input:
 * what compiles passes the check and answers within the names there are; what passes the check can be read.
 */
#include <stdlib.h>

#include "tracker_agent.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge(const uint8_t *compiled, size_t len, struct tracker_str user_agent, struct tracker_agent *agent)
{
    char *exact = malloc(user_agent.len > 0 ? user_agent.len : 1);

    if (user_agent.len > 0)
        memcpy(exact, user_agent.data, user_agent.len);
    tracker_agents_classify(compiled, len, (struct tracker_str){ exact, user_agent.len }, agent);
    MUST(agent->kind <= TRACKER_AGENT_PREVIEW);
    free(exact);
}

static void
compile(struct tracker_str list, struct tracker_str user_agent)
{
    struct tracker_agent agent;
    const char *error;
    uint8_t *compiled;
    size_t len;
    int line, rc = tracker_agents_compile(list, &compiled, &len, &error, &line);

    MUST((rc != 0) == (error != NULL) && (rc != 0) == (compiled == NULL) && (rc == 0) == (line == 0));
    if (rc != 0)
        return;
    MUST(len <= TRACKER_AGENTS_MAX && tracker_agents_check(compiled, len));
    judge(compiled, len, user_agent, &agent);
    MUST(agent.device == 0 || tracker_device_name(agent.device).len > 0);
    MUST(agent.os == 0 || tracker_os_name(agent.os).len > 0);
    MUST(agent.browser == 0 || tracker_browser_name(agent.browser).len > 0);
    MUST(!tracker_agents_check(compiled, len - 1));
    free(compiled);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    struct tracker_str list = { (const char *) data, nul != NULL ? (size_t) (nul - data) : size };
    struct tracker_str user_agent = TRACKER_STR("Mozilla/5.0 (bot) Chrome/1");
    struct tracker_agent agent;

    if (nul != NULL)
        user_agent = (struct tracker_str){ (const char *) nul + 1, size - list.len - 1 };
    compile(list, user_agent);
    if (tracker_agents_check(data, size))
        judge(data, size, user_agent, &agent);
    return 0;
}
