/*
 * test_tracker_agent.c - guards the automaton: what breaks here sends people away as bots, counts bots as people,
 * or reads past a snapshot's end.
 *
 * A scan of every literal at every place, written without a thought for speed, says what the right answer is; the
 * automaton has to agree with it on random lists over a small alphabet, where literals overlap all the time.
 * Compiled bytes are mutated: the checker refuses them, or reading them stays within their bounds (ASan sees).
 */
#include "testing.h"

#include <ctype.h>
#include <errno.h>

#include "tracker_agent.h"

static uint8_t *compiled;
static size_t compiled_len;

static void
compile(const char *list)
{
    const char *error;
    int         line;

    free(compiled);
    assert_int_equal(tracker_agents_compile(testing_str(list), &compiled, &compiled_len, &error, &line), 0);
    assert_null(error);
    assert_true(tracker_agents_check(compiled, compiled_len));
}

static struct tracker_agent
judge(const char *user_agent)
{
    struct tracker_agent agent;

    tracker_agents_classify(compiled, compiled_len, testing_str(user_agent), &agent);
    return agent;
}

static int
kind(const char *user_agent)
{
    return judge(user_agent).kind;
}

static void
test_later_line_wins(void **state)
{
    compile("bot ^\nperson Mozilla/\nchrome,phone Chrome/\nedge Edg/\ndesktop Windows\n");
    assert_int_equal(kind("curl/8"), TRACKER_AGENT_BOT);
    assert_int_equal(kind(""), TRACKER_AGENT_BOT);
    assert_int_equal(kind("moZILLA/5"), TRACKER_AGENT_PERSON);
    assert_int_equal(judge("Edg/1 Chrome/1").browser, TRACKER_BROWSER_EDGE);
    assert_int_equal(judge("Chrome/1 Edg/1").browser, TRACKER_BROWSER_EDGE);
    assert_int_equal(judge("Windows Chrome/1").device, TRACKER_DEVICE_DESKTOP);
    assert_int_equal(judge("Chrome/1").device, TRACKER_DEVICE_PHONE);
    assert_int_equal(judge("Windows").browser, 0);
}

static void
test_exceptions_and_ends(void **state)
{
    compile("bot bot\nexcept cubot\npreview ^Whats\nbot end$\nbot ^all$\nbot \" x \"\nbot ^\"a b\"$\nbot \\\n");
    assert_int_equal(kind("a robot"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("Cubot X"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("Cubot Googlebot"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("WhatsApp"), TRACKER_AGENT_PREVIEW);
    assert_int_equal(kind("no WhatsApp"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("the END"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("ending"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("all"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("all "), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("small"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("- x -"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("-x-"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("A B"), TRACKER_AGENT_BOT);
    assert_int_equal(kind("\\"), TRACKER_AGENT_BOT);
}

/* Ends of the text are bytes inside; a visitor who sends those bytes has not reached an end. */
static void
test_ends_cannot_be_sent(void **state)
{
    compile("bot ^x\npreview y$\n");
    assert_int_equal(kind("a\001x"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind("y\002a"), TRACKER_AGENT_PERSON);
    compile("bot a\n");
    for (unsigned byte = 0; byte < 256; byte++) {
        struct tracker_agent agent;
        char                 text = (char) byte;
        tracker_agents_classify(compiled, compiled_len, (struct tracker_str){ &text, 1 }, &agent);
        assert_int_equal(agent.kind, tolower((int) byte) == 'a' ? TRACKER_AGENT_BOT : TRACKER_AGENT_PERSON);
    }
}

static void
refused(const char *list, int want_line, const char *want)
{
    uint8_t    *out;
    size_t      len;
    const char *error;
    int         line;

    assert_int_equal(tracker_agents_compile(testing_str(list), &out, &len, &error, &line), -EINVAL);
    assert_null(out);
    assert_non_null(strstr(error, want));
    assert_int_equal(line, want_line);
}

static void
test_errors_name_the_line(void **state)
{
    char longest[256];

    refused("bot x\nrobot y\n", 2, "no kind");
    refused("bot,  y\n", 1, "missing after the comma");
    refused(",bot y\n", 1, "no kind");
    refused("\n# note\nbot\n", 3, "literal is missing");
    refused("bot $\n", 1, "literal is missing");
    refused("bot \"\"\n", 1, "literal is missing");
    refused("bot,preview x\n", 1, "two answers");
    refused("bot x\nphone X\npreview X", 3, "earlier line");
    refused("bot x\302\240y\n", 1, "ASCII");
    refused("bot a\tb\n", 1, "ASCII");
    snprintf(longest, sizeof(longest), "bot %065d\n", 0);
    refused(longest, 1, "longer than 64");
    snprintf(longest, sizeof(longest), "bot ^%064d$\r\n  phone,ios\t %064d \n", 1, 1);
    compile(longest);
}

static void
test_sizes(void **state)
{
    uint8_t    *out;
    size_t      len, cap = 24 * 16400;
    char       *list = malloc(cap), *at = list;
    const char *error;
    int         line;

    assert_true(tracker_agents_check(NULL, 0));
    compile("");
    assert_int_equal(kind("Googlebot"), TRACKER_AGENT_PERSON);
    compile("# nothing but a comment");
    for (unsigned i = 0; i < 16385; i++)
        at += snprintf(at, cap - (size_t) (at - list), "bot %u\n", i);
    assert_int_equal(tracker_agents_compile(testing_str(list), &out, &len, &error, &line), -EFBIG);
    assert_int_equal(line, 16385);
    *strrchr(list, 'b') = '\0';
    compile(list);
    assert_true(compiled_len <= TRACKER_AGENTS_MAX);
    free(list);
}

/* ---- against the scan ---- */

#define PATTERNS 24
#define LETTERS  3

struct known {
    char     text[8];
    unsigned len, rank;
    bool     start, end, except;
    unsigned answer[4]; /* rank << 8 | value, 0: none */
};

static struct known known[PATTERNS];
static unsigned known_count;

static char *
random_list(void)
{
    static const char *const words[4][3] = {
        { "person", "bot", "preview" }, { "desktop", "phone", "tv" }, { "windows", "ios", "bsd" }, { "ie", "edge", "uc" },
    };
    static const unsigned values[4][3] = { { 0, 1, 2 }, { 1, 2, 4 }, { 1, 6, 12 }, { 12, 4, 8 } };
    static char list[PATTERNS * 64];
    char *at = list;

    known_count = (unsigned) testing_below(PATTERNS) + 1;
    memset(known, 0, sizeof(known));
    for (unsigned i = 0; i < known_count; i++) {
        struct known *k = &known[i];
        unsigned      first = (unsigned) testing_below(4), second = (unsigned) testing_below(4);
        const char   *comma = "";

        k->start = testing_below(5) == 0;
        k->end = testing_below(5) == 0;
        k->except = testing_below(6) == 0;
        k->len = (unsigned) testing_below(sizeof(k->text) - 1) + 1;
        for (unsigned j = 0; j < k->len; j++)
            k->text[j] = (char) ('a' + testing_below(LETTERS));
        k->rank = i + 1;
        if (k->except)
            at += snprintf(at, 8, "except"), comma = ",";
        for (unsigned d = 0; d < 4; d++) {
            unsigned word = (unsigned) testing_below(3);
            if (d != first && d != second)
                continue;
            k->answer[d] = k->rank << 8 | values[d][word];
            at += snprintf(at, 16, "%s%s", comma, words[d][word]);
            comma = ",";
        }
        at += snprintf(at, 16, " %s%.*s%s\n", k->start ? "^" : "", (int) k->len, k->text, k->end ? "$" : "");
        for (unsigned j = 0; j < i; j++)
            if (known[j].len == k->len && memcmp(known[j].text, k->text, k->len) == 0
                && known[j].start == k->start && known[j].end == k->end)
                return NULL; /* twice: draw again */
    }
    return list;
}

/* Longest first, what ends before text[end]; the ends of the text are characters that only anchors match. */
static void
scan_place(const char *text, size_t len, size_t end, bool at_end, unsigned best[4])
{
    for (unsigned width = sizeof(known[0].text) + 2; width > 0; width--)
        for (unsigned i = 0; i < known_count; i++) {
            const struct known *k = &known[i];
            if (k->len + k->start + k->end != width || k->end != at_end || k->len > end
                || (k->start && k->len != end) || memcmp(text + end - k->len, k->text, k->len) != 0)
                continue;
            for (unsigned d = 0; d < 4; d++)
                if (k->answer[d] > best[d])
                    best[d] = k->answer[d];
            if (k->except)
                return;
        }
}

static struct tracker_agent
scan(const char *text, size_t len)
{
    unsigned best[4] = { 0 };

    for (size_t end = 1; end <= len; end++)
        scan_place(text, len, end, false, best);
    scan_place(text, len, len, true, best);
    return (struct tracker_agent){ (uint8_t) best[0], (uint8_t) best[1], (uint8_t) best[2], (uint8_t) best[3] };
}

static void
test_agrees_with_a_scan(void **state)
{
    unsigned answered = 0;

    testing_seed();
    for (unsigned round = 0; round < 3000; round++) {
        const char *list = random_list();

        if (list == NULL)
            continue;
        compile(list);
        for (unsigned i = 0; i < 40; i++) {
            struct tracker_agent want, got;
            char   text[24];
            size_t len = testing_below(sizeof(text));
            for (size_t j = 0; j < len; j++)
                text[j] = (char) ('a' + testing_below(LETTERS));
            want = scan(text, len);
            tracker_agents_classify(compiled, compiled_len, (struct tracker_str){ text, len }, &got);
            assert_memory_equal(&got, &want, sizeof(got));
            answered += want.kind != 0 || want.browser != 0;
        }
    }
    assert_true(answered > 10000);
}

/* ---- compiled bytes that somebody changed ---- */

static void
test_mutations(void **state)
{
    unsigned refusals = 0, passed = 0;

    testing_seed();
    for (unsigned round = 0; round < 20000; round++) {
        struct tracker_agent agent;
        size_t   len;
        uint8_t *copy;

        if (round % 100 == 0) {
            const char *list;
            while ((list = random_list()) == NULL)
                ;
            compile(list);
        }
        len = testing_below(8) == 0 ? (size_t) testing_below(compiled_len) : compiled_len;
        copy = (uint8_t *) testing_exact(compiled, len);
        for (unsigned i = (unsigned) testing_below(3); i < 3 && len > 0; i++)
            copy[testing_below(len)] = (uint8_t) testing_below(testing_below(2) ? 8 : 256);
        if (tracker_agents_check(copy, len)) {
            tracker_agents_classify(copy, len, TRACKER_STR("abcabccbabcaacbbcacbccab"), &agent);
            assert_true(agent.kind <= TRACKER_AGENT_PREVIEW);
            passed++;
        } else {
            refusals++;
        }
        free(copy);
    }
    assert_true(refusals > 5000 && passed > 100);
}

static int
forget(void **state)
{
    free(compiled);
    compiled = NULL;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later_line_wins),
        cmocka_unit_test(test_exceptions_and_ends),
        cmocka_unit_test(test_ends_cannot_be_sent),
        cmocka_unit_test(test_errors_name_the_line),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_agrees_with_a_scan),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
