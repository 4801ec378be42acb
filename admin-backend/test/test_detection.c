/*
 * Lists of detection: AS numbers as operators write them, and files that change, vanish or are wrong while the
 * daemon runs.  A list that is lost silently makes bots count, or people not.
 */
#include "test_support.h"

#include "service/detection.h"
#include "tracker_agent.h"

static void
compile(const char *text, struct detection_list *list)
{
    const char *error;
    int         line;

    memset(list, 0, sizeof(*list));
    assert_true(datacentres_compile((struct tracker_str){ text, strlen(text) }, &list->bytes, &list->len, &error, &line));
    assert_null(error);
    assert_int_equal(line, 0);
}

static void
as_numbers_are_read(void **state)
{
    static const char text[] = "# clouds\n16509 # one\r\n  as14061\n\nAS1\t# least\n4294967295\n16509\n7";
    struct detection_list list;

    (void) state;
    compile(text, &list);
    assert_int_equal(list.len, 5 * 4);
    for (size_t i = 4; i < list.len; i += 4)
        assert_true(*(uint32_t *) (void *) (list.bytes + i) > *(uint32_t *) (void *) (list.bytes + i - 4));
    static const uint32_t in[] = { 1, 7, 14061, 16509, UINT32_MAX }, out[] = { 0, 2, 6, 8, 14060, 16510, UINT32_MAX - 1 };
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
        assert_true(datacentres_hold(&list, in[i]));
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        assert_false(datacentres_hold(&list, out[i]));
    free(list.bytes);

    compile("# none\n\n", &list);
    assert_int_equal(list.len, 0);
    assert_false(datacentres_hold(&list, 1));
    free(list.bytes);
}

static void
bad_as_numbers_are_named(void **state)
{
    static const struct {
        const char *text;
        int         line;
    } bad[] = {
        { "0\n", 1 }, { "1\n4294967296\n", 2 }, { "1\n\nASN5\n", 3 }, { "12 13", 1 }, { "-1", 1 },
        { "1.5", 1 }, { "99999999999999999999999", 1 }, { "as", 1 }, { "Amazon", 1 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t    *bytes;
        size_t      len;
        const char *error;
        int         line;
        assert_false(datacentres_compile((struct tracker_str){ bad[i].text, strlen(bad[i].text) }, &bytes, &len, &error,
                                         &line));
        assert_non_null(error);
        assert_null(bytes);
        assert_int_equal(line, bad[i].line);
    }
}

static void
put(const char *path, const char *text)
{
    char  temporary[128];
    FILE *file;

    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    assert_non_null(file = fopen(temporary, "w"));
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

static unsigned
kind(const struct detection *detection, const char *user_agent)
{
    struct tracker_agent agent;

    assert_true(tracker_agents_check(detection->agents.bytes, detection->agents.len));
    tracker_agents_classify(detection->agents.bytes, detection->agents.len,
                            (struct tracker_str){ user_agent, strlen(user_agent) }, &agent);
    return agent.kind;
}

static void
files_stand_in_for_the_lists(void **state)
{
    char             dir[] = "/tmp/affiliated-test-XXXXXX", agents[64], asns[64];
    struct detection detection;

    (void) state;
    assert_non_null(mkdtemp(dir));
    snprintf(agents, sizeof(agents), "%s/agents", dir);
    snprintf(asns, sizeof(asns), "%s/asns", dir);

    /* neither file is there: the built-in lists, and one complaint */
    assert_true(detection_init(&detection, agents, asns));
    assert_int_equal(kind(&detection, "curl/8.1"), TRACKER_AGENT_BOT);
    assert_true(datacentres_hold(&detection.datacentres, 16509));
    assert_false(detection_refresh(&detection));

    put(agents, "bot mine\n");
    put(asns, "64512\n");
    assert_true(detection_refresh(&detection));
    assert_false(detection_refresh(&detection));
    assert_int_equal(kind(&detection, "curl/8.1"), TRACKER_AGENT_PERSON);
    assert_int_equal(kind(&detection, "Mine"), TRACKER_AGENT_BOT);
    assert_false(datacentres_hold(&detection.datacentres, 16509));
    assert_true(datacentres_hold(&detection.datacentres, 64512));

    put(agents, "bot\n");
    put(asns, "x\n");
    assert_false(detection_refresh(&detection));
    assert_int_equal(kind(&detection, "Mine"), TRACKER_AGENT_BOT);
    assert_true(datacentres_hold(&detection.datacentres, 64512));

    /* written anew, but the same: nothing to publish */
    put(agents, "bot mine\n");
    assert_false(detection_refresh(&detection));
    unlink(agents);
    assert_false(detection_refresh(&detection));
    assert_int_equal(kind(&detection, "Mine"), TRACKER_AGENT_BOT);

    detection_clear(&detection);
    unlink(asns);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_numbers_are_read),
        cmocka_unit_test(bad_as_numbers_are_named),
        cmocka_unit_test(files_stand_in_for_the_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
