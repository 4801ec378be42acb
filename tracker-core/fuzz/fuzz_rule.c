/*
 * fuzz_rule.c - any bytes as a link's compiled rules, and as rules that a manager writes.
 *
 * As text: a line that begins with '=' begins a rule, the rest of it is the cap's digit, the zone's sign and
 * weights, a byte each; a line that begins with a digit is a condition on that subject, '!' behind it
 * negates, then values between bars.
 * Held against every input: what compiles passes the check, bounds are exact; what passes the check
 * chooses whole templates, the same ones every time.
 */
#include <stdlib.h>

#include "tracker_rule.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

#define RULES      4
#define CONDITIONS 4
#define VALUES     64
#define TARGETS    4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct written {
    struct tracker_rule rules[RULES];
    struct tracker_rule_condition conditions[RULES][CONDITIONS];
    struct tracker_rule_target targets[RULES][TARGETS];
    struct tracker_str values[RULES][CONDITIONS][VALUES];
    unsigned count;
};

static uint8_t template_bytes[64];
static struct tracker_str destination;

static void
choose(const uint8_t *compiled, size_t len, const struct tracker_visitor *visitor, uint64_t sticky)
{
    struct tracker_choice choice, again;
    unsigned after = 0;

    while (tracker_rules_choose(compiled, len, visitor, sticky, after, &choice)) {
        MUST(choice.rule > after && choice.target >= 1 && choice.target <= TRACKER_RULE_TARGETS);
        MUST(tracker_template_check((const uint8_t *) choice.template.data, choice.template.len));
        MUST(choice.macros
             == tracker_template_macros((const uint8_t *) choice.template.data, choice.template.len));
        MUST(tracker_rules_choose(compiled, len, visitor, sticky, after, &again));
        MUST(again.rule == choice.rule && again.target == choice.target);
        after = choice.rule;
    }
    MUST(choice.rule == 0);
}

static void
use(const uint8_t *compiled, size_t len)
{
    struct tracker_visitor visitor = { 0 };

    choose(compiled, len, &visitor, 0);
    visitor = (struct tracker_visitor){ 1705276800000, TRACKER_STR("DE"), TRACKER_STR("BY"),
                                        TRACKER_STR("de-CH,en"), 15169, 2, 6, 2, true };
    choose(compiled, len, &visitor, UINT64_MAX / 2);
    visitor = (struct tracker_visitor){ UINT64_MAX, TRACKER_STR("US"), TRACKER_STR("\xff\xff\xff\xff"),
                                        TRACKER_STR("\xff"), UINT32_MAX, 255, 63, 64, false };
    choose(compiled, len, &visitor, UINT64_MAX);
}

static void
rule_begin(struct written *w, struct tracker_str line)
{
    unsigned r = w->count++;
    struct tracker_rule *rule = &w->rules[r];

    *rule = (struct tracker_rule){ .conditions = w->conditions[r], .targets = w->targets[r] };
    if (line.len > 0)
        rule->cap_day = (uint8_t) line.data[0];
    if (line.len > 1)
        rule->offset_minutes = (int16_t) (line.data[1] * 16);
    for (size_t i = 2; i < line.len && rule->target_count < TARGETS; i++)
        w->targets[r][rule->target_count++] =
            (struct tracker_rule_target){ (uint32_t) (uint8_t) line.data[i] * 41, destination };
}

static void
condition_add(struct written *w, struct tracker_str line)
{
    struct tracker_rule *rule = &w->rules[w->count - 1];
    unsigned r = w->count - 1, c = rule->condition_count;
    struct tracker_rule_condition *condition = &w->conditions[r][c];
    const char *at = line.data + 1, *end = line.data + line.len;

    if (c == CONDITIONS)
        return;
    *condition = (struct tracker_rule_condition){ (unsigned) (line.data[0] - '0'), false, w->values[r][c], 0 };
    rule->condition_count++;
    if (at < end && *at == '!') {
        condition->negate = true;
        at++;
    }
    for (; at <= end && condition->count < VALUES; at++) {
        const char *bar = at < end ? memchr(at, '|', (size_t) (end - at)) : NULL;
        const char *stop = bar != NULL ? bar : end;

        w->values[r][c][condition->count++] = (struct tracker_str){ at, (size_t) (stop - at) };
        at = stop;
    }
}

static void
compile(struct tracker_str text)
{
    static struct written w;
    static uint8_t out[TRACKER_RULES_LEN_MAX];
    const char *error;
    unsigned rule;
    int len;

    w.count = 0;
    for (size_t at = 0; at < text.len;) {
        const char *line = text.data + at;
        const char *newline = memchr(line, '\n', text.len - at);
        size_t n = newline != NULL ? (size_t) (newline - line) : text.len - at;

        at += n + 1;
        if (n > 0 && line[0] == '=' && w.count < RULES)
            rule_begin(&w, (struct tracker_str){ line + 1, n - 1 });
        else if (n > 0 && line[0] >= '0' && line[0] <= '9' && w.count > 0)
            condition_add(&w, (struct tracker_str){ line, n });
    }
    len = tracker_rules_compile(w.rules, w.count, out, sizeof(out), &error, &rule);
    MUST((len < 0) == (error != NULL));
    MUST(error == NULL || rule < w.count);
    if (len <= 0)
        return;

    uint8_t *exact = malloc((size_t) len);
    MUST(tracker_rules_compile(w.rules, w.count, exact, (size_t) len - 1, &error, &rule) == -1);
    MUST(tracker_rules_compile(w.rules, w.count, exact, (size_t) len, &error, &rule) == len);
    MUST(tracker_rules_check(exact, (size_t) len));
    use(exact, (size_t) len);
    free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *error;

    if (destination.len == 0) {
        int len = tracker_template_compile(TRACKER_STR("https://shop.example/{sub1}"), 0, template_bytes,
                                           sizeof(template_bytes), &error);
        MUST(len > 0);
        destination = (struct tracker_str){ (const char *) template_bytes, (size_t) len };
    }
    compile((struct tracker_str){ (const char *) data, size });
    if (tracker_rules_check(data, size))
        use(data, size);
    return 0;
}
