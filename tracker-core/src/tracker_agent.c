/*
 * tracker_agent.c - judges a user agent with a compiled list, and checks one that came from elsewhere.
 */
#include "tracker_agent_internal.h"

struct agents {
    const uint8_t *root, *states, *answers;
    uint32_t       state_count, answer_count;
};

static void
agents_open(const uint8_t *compiled, struct agents *a)
{
    a->state_count = tracker_get32(compiled + AGENTS_MAGIC_LEN);
    a->answer_count = tracker_get32(compiled + AGENTS_MAGIC_LEN + 4);
    a->root = compiled + AGENTS_HEAD_LEN;
    a->states = a->root + AGENTS_ROOT_LEN;
    a->answers = a->states + (size_t) a->state_count * AGENTS_STATE_LEN;
}

/* ---- reading ---- */

static inline uint32_t
step(const struct agents *a, uint32_t state, uint8_t byte)
{
    while (state != 0) {
        const uint8_t *s = a->states + (size_t) state * AGENTS_STATE_LEN;
        uint32_t       first = tracker_get16(s);
        const uint8_t *label = a->states + (size_t) first * AGENTS_STATE_LEN + 6;

        for (unsigned i = 0; i < s[7]; i++)
            if (label[i * AGENTS_STATE_LEN] == byte)
                return first + i;
        state = tracker_get16(s + 2);
    }
    return tracker_get16(a->root + 2 * (size_t) byte);
}

/* The later line of the list has the higher rank, and wins in its dimension. */
static inline void
heed(const struct agents *a, uint32_t state, uint32_t best[AGENT_DIMENSIONS])
{
    uint32_t       answer = tracker_get16(a->states + (size_t) state * AGENTS_STATE_LEN + 4);
    const uint8_t *ranked = a->answers + (size_t) answer * AGENTS_ANSWER_LEN;

    if (answer == 0)
        return;
    for (unsigned d = 0; d < AGENT_DIMENSIONS; d++) {
        uint32_t r = tracker_get32(ranked + 4 * d);
        best[d] = r > best[d] ? r : best[d];
    }
}

void
tracker_agents_classify(const uint8_t *compiled, size_t len, struct tracker_str user_agent,
                        struct tracker_agent *out)
{
    uint32_t      best[AGENT_DIMENSIONS] = { 0 }, state;
    struct agents a;

    memset(out, 0, sizeof(*out));
    if (len == 0)
        return;
    agents_open(compiled, &a);
    state = step(&a, 0, AGENTS_START);
    heed(&a, state, best);
    for (size_t i = 0; i < user_agent.len; i++) {
        state = step(&a, state, agents_fold((uint8_t) user_agent.data[i]));
        heed(&a, state, best);
    }
    heed(&a, step(&a, state, AGENTS_END), best);
    out->kind = (uint8_t) best[AGENT_KIND];
    out->device = (uint8_t) best[AGENT_DEVICE];
    out->os = (uint8_t) best[AGENT_OS];
    out->browser = (uint8_t) best[AGENT_BROWSER];
}

/* ---- the guard ---- */

/* First states of each depth; a literal's length bounds how many there are. */
struct depths {
    uint32_t first[AGENTS_LITERAL_MAX + 4];
    unsigned count;
};

static unsigned
depth_of(const struct depths *depths, uint32_t state)
{
    unsigned depth = depths->count - 1;

    while (depth > 0 && depths->first[depth] > state)
        depth--;
    return depth;
}

/* Children stand in a row, next after all that came before, their labels rising. */
static bool
children_valid(const struct agents *a, uint32_t state, uint32_t next)
{
    const uint8_t *s = a->states + (size_t) state * AGENTS_STATE_LEN;
    unsigned       count = s[7];

    if (count == 0)
        return true;
    if (tracker_get16(s) != next || count > a->state_count - next)
        return false;
    for (unsigned i = 1; i < count; i++) {
        const uint8_t *child = a->states + (size_t) (next + i) * AGENTS_STATE_LEN;
        if (child[6] <= child[6 - AGENTS_STATE_LEN])
            return false;
    }
    return true;
}

static bool
states_valid(const struct agents *a)
{
    struct depths depths = { { 0, 1 }, 2 };
    uint32_t      next = 1;

    for (uint32_t state = 0; state < a->state_count; state++) {
        const uint8_t *s = a->states + (size_t) state * AGENTS_STATE_LEN;
        unsigned       depth;

        /* The first state of the deepest row known so far: its children begin the next row. */
        if (state > 0 && state == depths.first[depths.count - 1]) {
            if (depths.count == sizeof(depths.first) / sizeof(depths.first[0]))
                return false;
            depths.first[depths.count++] = next;
        }
        if (state >= next && state > 0)
            return false; /* nobody's child */
        depth = depth_of(&depths, state);
        if (!children_valid(a, state, next) || tracker_get16(s + 4) >= a->answer_count)
            return false;
        if (state > 0 && (tracker_get16(s + 2) >= state || depth_of(&depths, tracker_get16(s + 2)) >= depth))
            return false;
        next += s[7];
    }
    return next == a->state_count;
}

static bool
root_valid(const struct agents *a)
{
    unsigned children = a->states[7];

    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t state = tracker_get16(a->root + 2 * byte);
        if (state != 0 && (state > children || a->states[(size_t) state * AGENTS_STATE_LEN + 6] != byte))
            return false;
    }
    return true;
}

static bool
answers_valid(const struct agents *a)
{
    for (uint32_t i = 0; i < a->answer_count; i++)
        if (a->answers[(size_t) i * AGENTS_ANSWER_LEN] > TRACKER_AGENT_PREVIEW)
            return false;
    return true;
}

bool
tracker_agents_check(const uint8_t *compiled, size_t len)
{
    struct agents a;

    if (len == 0)
        return true;
    if (len < AGENTS_HEAD_LEN + AGENTS_ROOT_LEN || len > TRACKER_AGENTS_MAX
        || memcmp(compiled, TRACKER_AGENTS_MAGIC, AGENTS_MAGIC_LEN) != 0)
        return false;
    agents_open(compiled, &a);
    if (a.state_count == 0 || a.state_count > AGENTS_STATES_MAX || a.answer_count == 0
        || a.answer_count > AGENTS_STATES_MAX)
        return false;
    if (len != AGENTS_HEAD_LEN + AGENTS_ROOT_LEN + (size_t) a.state_count * AGENTS_STATE_LEN
                   + (size_t) a.answer_count * AGENTS_ANSWER_LEN)
        return false;
    return states_valid(&a) && root_valid(&a) && answers_valid(&a);
}
