/*
 * tracker_agent.c - user agents: not compiled yet, so only the empty automaton is well-formed.
 */
#include "tracker_agent.h"

bool
tracker_agents_check(const uint8_t *compiled, size_t len)
{
    (void) compiled;
    return len == 0;
}
