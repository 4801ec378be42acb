/*
 * tracker_agent_compile.c - a list of user agent patterns becomes one automaton.
 *
 * The list's form stands at the top of data/agents.txt.  Aho and Corasick,
 * "Efficient string matching", CACM 18 (1975): a trie of all literals, and for
 * each node the longest proper suffix of its path that is a path too.
 */
#include "tracker_agent_internal.h"

#include <errno.h>
#include <stdlib.h>

struct node {
    uint32_t child, sibling; /* 0: none */
    uint32_t number;         /* breadth first */
    uint32_t fail, answer;   /* of the node, not of the number */
    uint32_t ranked[AGENT_DIMENSIONS]; /* of the literal that ends here */
    uint8_t  label;
    bool     literal, except;
};

struct compiler {
    struct node *nodes;
    uint32_t     count, cap;
    uint32_t    *order;    /* nodes, breadth first */
    uint32_t    *answers;  /* AGENT_DIMENSIONS each */
    uint32_t     answer_count, literals;
    const char  *error;
};

struct pattern {
    uint32_t ranked[AGENT_DIMENSIONS];
    bool     except;
    uint8_t  literal[AGENTS_LITERAL_MAX + 2];
    size_t   len;
};

/* ---- one line ---- */

static bool
blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct tracker_str
trim(struct tracker_str text)
{
    while (text.len > 0 && blank(text.data[0]))
        text.data++, text.len--;
    while (text.len > 0 && (blank(text.data[text.len - 1]) || text.data[text.len - 1] == '\r'))
        text.len--;
    return text;
}

/* "phone" -> device 2; false for a word that nobody knows. */
static bool
answer_find(struct tracker_str word, enum agent_dimension *dimension, unsigned *value)
{
    static const struct tracker_str kinds[] = {
        [TRACKER_AGENT_PERSON] = { "person", 6 },
        [TRACKER_AGENT_BOT] = { "bot", 3 },
        [TRACKER_AGENT_PREVIEW] = { "preview", 7 },
    };

    *dimension = AGENT_KIND;
    for (*value = 0; *value < sizeof(kinds) / sizeof(kinds[0]); ++*value)
        if (tracker_str_eq(word, kinds[*value]))
            return true;
    if ((*value = tracker_device_find(word)) != 0)
        *dimension = AGENT_DEVICE;
    else if ((*value = tracker_os_find(word)) != 0)
        *dimension = AGENT_OS;
    else if ((*value = tracker_browser_find(word)) != 0)
        *dimension = AGENT_BROWSER;
    return *value != 0;
}

/* "phone,ios", "except,bot" */
static const char *
answers_parse(struct tracker_str words, uint32_t rank, struct pattern *pattern)
{
    while (words.len > 0) {
        const char          *comma = memchr(words.data, ',', words.len);
        struct tracker_str   word = { words.data, comma != NULL ? (size_t) (comma - words.data) : words.len };
        enum agent_dimension dimension;
        unsigned             value;

        if (tracker_str_eq(word, TRACKER_STR("except"))) {
            pattern->except = true;
        } else {
            if (!answer_find(word, &dimension, &value))
                return "no kind, device, system or browser has this name";
            if (pattern->ranked[dimension] != 0)
                return "two answers to one question";
            pattern->ranked[dimension] = rank << 8 | value;
        }
        if (comma != NULL && word.len + 1 == words.len)
            return "an answer is missing after the comma";
        words.data += word.len + (comma != NULL);
        words.len -= word.len + (comma != NULL);
    }
    return NULL;
}

static const char *
literal_parse(struct tracker_str text, struct pattern *pattern)
{
    bool start = text.len > 0 && text.data[0] == '^', end;

    if (start)
        text.data++, text.len--;
    end = text.len > 0 && text.data[text.len - 1] == '$';
    text.len -= end;
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
        text.data++, text.len -= 2;
    if (text.len == 0 && !start)
        return "the literal is missing";
    if (text.len > AGENTS_LITERAL_MAX)
        return "the literal is longer than 64 bytes";

    if (start)
        pattern->literal[pattern->len++] = AGENTS_START;
    for (size_t i = 0; i < text.len; i++) {
        if ((uint8_t) text.data[i] < 0x20 || (uint8_t) text.data[i] > 0x7e)
            return "a literal is of printable ASCII";
        pattern->literal[pattern->len++] = agents_fold((uint8_t) text.data[i]);
    }
    if (end)
        pattern->literal[pattern->len++] = AGENTS_END;
    return NULL;
}

/* Blank lines and comments have no literal: pattern->len stays 0. */
static const char *
line_parse(struct tracker_str line, uint32_t rank, struct pattern *pattern)
{
    struct tracker_str words;
    const char        *error;

    memset(pattern, 0, sizeof(*pattern));
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return NULL;
    words = (struct tracker_str){ line.data, 0 };
    while (words.len < line.len && !blank(line.data[words.len]))
        words.len++;
    error = answers_parse(words, rank, pattern);
    if (error != NULL)
        return error;
    return literal_parse(trim((struct tracker_str){ line.data + words.len, line.len - words.len }), pattern);
}

/* ---- the trie ---- */

/* The child of a node by its label, made in its place among its siblings when it is missing; 0: too many. */
static uint32_t
child_get(struct compiler *c, uint32_t parent, uint8_t label)
{
    uint32_t *link = &c->nodes[parent].child, made;

    while (*link != 0 && c->nodes[*link].label < label)
        link = &c->nodes[*link].sibling;
    if (*link != 0 && c->nodes[*link].label == label)
        return *link;
    if (c->count == c->cap)
        return 0;
    made = c->count++;
    c->nodes[made] = (struct node){ .sibling = *link, .label = label };
    *link = made;
    return made;
}

static uint32_t
child_find(const struct compiler *c, uint32_t parent, uint8_t label)
{
    uint32_t child = c->nodes[parent].child;

    while (child != 0 && c->nodes[child].label != label)
        child = c->nodes[child].sibling;
    return child;
}

/* A literal may stand in several lines, as long as they answer different questions. */
static int
pattern_add(struct compiler *c, const struct pattern *pattern)
{
    uint32_t     at = 0;
    struct node *node;

    for (size_t i = 0; i < pattern->len; i++) {
        at = child_get(c, at, pattern->literal[i]);
        if (at == 0) {
            c->error = "the list is too long";
            return -EFBIG;
        }
    }
    node = &c->nodes[at];
    c->literals += !node->literal;
    if (c->literals > AGENTS_LITERALS_MAX) {
        c->error = "the list is too long";
        return -EFBIG;
    }
    node->literal = true;
    node->except |= pattern->except;
    for (unsigned d = 0; d < AGENT_DIMENSIONS; d++) {
        if (node->ranked[d] != 0 && pattern->ranked[d] != 0) {
            c->error = "an earlier line has this literal and answers the same question";
            return -EINVAL;
        }
        node->ranked[d] |= pattern->ranked[d];
    }
    return 0;
}

static int
list_add(struct compiler *c, struct tracker_str list, int *line)
{
    struct pattern pattern;
    int            rc = 0;

    for (*line = 1; list.len > 0 && rc == 0; ++*line) {
        const char *newline = memchr(list.data, '\n', list.len);
        size_t      len = newline != NULL ? (size_t) (newline - list.data) : list.len;

        c->error = line_parse((struct tracker_str){ list.data, len }, (uint32_t) *line, &pattern);
        if (c->error != NULL)
            return -EINVAL;
        if (pattern.len > 0 && (rc = pattern_add(c, &pattern)) != 0)
            return rc;
        list.data += len + (newline != NULL);
        list.len -= len + (newline != NULL);
    }
    *line = 0;
    return 0;
}

/* ---- the automaton ---- */

static void
order_nodes(struct compiler *c)
{
    uint32_t tail = 0;

    c->order[tail++] = 0;
    for (uint32_t head = 0; head < tail; head++) {
        c->nodes[c->order[head]].number = head;
        for (uint32_t child = c->nodes[c->order[head]].child; child != 0; child = c->nodes[child].sibling)
            c->order[tail++] = child;
    }
}

/* Parents come first, so the parent's fail and what it leads to are known. */
static void
link_fails(struct compiler *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t parent = c->order[i];

        for (uint32_t child = c->nodes[parent].child; child != 0; child = c->nodes[child].sibling) {
            uint32_t at = parent, found = 0;

            while (at != 0 && found == 0) {
                at = c->nodes[at].fail;
                found = child_find(c, at, c->nodes[child].label);
            }
            c->nodes[child].fail = found;
        }
    }
}

static uint32_t
answer_intern(struct compiler *c, const uint32_t ranked[AGENT_DIMENSIONS])
{
    const size_t size = AGENT_DIMENSIONS * sizeof(*ranked);

    for (uint32_t i = 0; i < c->answer_count; i++)
        if (memcmp(c->answers + i * AGENT_DIMENSIONS, ranked, size) == 0)
            return i;
    memcpy(c->answers + c->answer_count * AGENT_DIMENSIONS, ranked, size);
    return c->answer_count++;
}

/* What ends here: the node's own literal and the shorter ones, unless an exception hides those. */
static void
merge_answers(struct compiler *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct node    *node = &c->nodes[c->order[i]];
        const uint32_t *shorter = c->answers + c->nodes[node->fail].answer * AGENT_DIMENSIONS;

        if (i == 0) {
            node->answer = answer_intern(c, node->ranked);
            continue;
        }
        if (!node->literal) {
            node->answer = c->nodes[node->fail].answer;
            continue;
        }
        for (unsigned d = 0; d < AGENT_DIMENSIONS && !node->except; d++)
            if (shorter[d] > node->ranked[d])
                node->ranked[d] = shorter[d];
        node->answer = answer_intern(c, node->ranked);
    }
}

static void
write_states(const struct compiler *c, uint8_t *root, uint8_t *states)
{
    for (uint32_t child = c->nodes[0].child; child != 0; child = c->nodes[child].sibling)
        tracker_put16(root + 2 * (size_t) c->nodes[child].label, (uint16_t) c->nodes[child].number);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct node *node = &c->nodes[c->order[i]];
        uint8_t           *s = states + (size_t) i * AGENTS_STATE_LEN;

        tracker_put16(s, (uint16_t) (node->child != 0 ? c->nodes[node->child].number : 0));
        tracker_put16(s + 2, (uint16_t) c->nodes[node->fail].number);
        tracker_put16(s + 4, (uint16_t) node->answer);
        s[6] = node->label;
        for (uint32_t child = node->child; child != 0; child = c->nodes[child].sibling)
            s[7]++;
    }
}

static int
write_all(const struct compiler *c, uint8_t **out, size_t *len)
{
    size_t   states_at = AGENTS_HEAD_LEN + AGENTS_ROOT_LEN;
    size_t   answers_at = states_at + (size_t) c->count * AGENTS_STATE_LEN;
    uint8_t *bytes;

    *len = answers_at + (size_t) c->answer_count * AGENTS_ANSWER_LEN;
    bytes = calloc(1, *len);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, TRACKER_AGENTS_MAGIC, AGENTS_MAGIC_LEN);
    tracker_put32(bytes + AGENTS_MAGIC_LEN, c->count);
    tracker_put32(bytes + AGENTS_MAGIC_LEN + 4, c->answer_count);
    write_states(c, bytes + AGENTS_HEAD_LEN, bytes + states_at);
    for (size_t i = 0; i < (size_t) c->answer_count * AGENT_DIMENSIONS; i++)
        tracker_put32(bytes + answers_at + 4 * i, c->answers[i]);
    *out = bytes;
    return 0;
}

/* Every byte of the list makes at most one node, every node at most one answer. */
static int
compiler_init(struct compiler *c, struct tracker_str list)
{
    memset(c, 0, sizeof(*c));
    c->cap = (uint32_t) (list.len + 1 < AGENTS_STATES_MAX ? list.len + 1 : AGENTS_STATES_MAX);
    c->nodes = calloc(c->cap, sizeof(*c->nodes));
    c->order = calloc(c->cap, sizeof(*c->order));
    c->answers = calloc((size_t) c->cap + 1, AGENT_DIMENSIONS * sizeof(*c->answers));
    c->count = 1;
    return c->nodes == NULL || c->order == NULL || c->answers == NULL ? -ENOMEM : 0;
}

int
tracker_agents_compile(struct tracker_str list, uint8_t **out, size_t *len, const char **error, int *line)
{
    struct compiler c;
    int             rc;

    *out = NULL;
    *len = 0;
    *line = 0;
    *error = NULL;
    rc = list.len > TRACKER_AGENTS_MAX ? -EFBIG : compiler_init(&c, list);
    if (list.len > TRACKER_AGENTS_MAX) {
        *error = "the list is too long";
        return rc;
    }
    if (rc == 0)
        rc = list_add(&c, list, line);
    if (rc == 0) {
        order_nodes(&c);
        link_fails(&c);
        merge_answers(&c);
        rc = write_all(&c, out, len);
    }
    *error = rc == -ENOMEM ? "no memory" : c.error;
    free(c.nodes);
    free(c.order);
    free(c.answers);
    return rc;
}
