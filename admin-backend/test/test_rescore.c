/*
 * Clicks judged again.  What would hurt: statistics that no longer equal the clicks, a second run that counts a click
 * out twice, a run that was cut short and cannot be finished, a fact that was overwritten, and a verdict of the edge
 * that is taken back only because nothing is known of it any more.
 *
 * Whatever is done here, invariant 19 recounts all statistics from clicks and verdicts.
 */
#include "test_support.h"

#include <jansson.h>

#include "service/rescore.h"
#include "service/rollup.h"
#include "store/verify.h"
#include "tracker_agent.h"
#include "tracker_event.h"

static const struct actor tester = { .name = "cli", .role = "admin" };

struct world {
    struct test_database  db;
    struct detection      detection;
    struct rescore_report report;
};

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    test_database_open(&w->db);
    assert_true(detection_init(&w->detection, NULL, NULL));
    test_run(w->db.pool, "INSERT INTO user_agents (id, text) VALUES (1, 'Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0'),"
                         " (2, 'curl/8.1'), (3, 'WhatsApp/2.1'), (4, 'Mozilla/5.0 (compatible; Googlebot/2.1)')");
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    detection_clear(&w->detection);
    test_database_close(&w->db);
    free(w);
    return 0;
}

static void
journal(struct world *w, int id, int count)
{
    char sql[600];

    snprintf(sql, sizeof(sql),
             "INSERT INTO journals (id, uuid, short_id, edge, kind, partition, next_seq, hash, accepted, committed,"
             " first_seen_us, last_seen_us) VALUES (%d, CAST(printf('%%016d', %d) AS BLOB), %d, 'edge', 'traffic', 0,"
             " %d, zeroblob(8), %d, %d, 0, 1714564800000000)", id, id, id, count + 1, count, count);
    test_run(w->db.pool, sql);
}

/* agent, asn: 0 is none; address: 0 none, below 256 whole, above that truncated. */
static void
click(struct world *w, int id, int seq, long long time_ms, unsigned flags, int agent, int asn, int address)
{
    char sql[600];

    snprintf(sql, sizeof(sql),
             "INSERT INTO clicks (journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id, affiliate_id,"
             " flags, click_id, user_agent_id, asn, ip, ip_form, config_version) VALUES (%d, %d, %lld, 0, 1, 2, %d, 4, %u,"
             " zeroblob(30), nullif(%d, 0), nullif(%d, 0), CASE %d WHEN 0 THEN NULL ELSE x'0a0000%02x' END,"
             " CASE WHEN %d > 255 THEN 1 END, 1)",
             id, seq, time_ms, 3 + seq % 2, flags, agent, asn, address, (unsigned) address & 255, address);
    test_run(w->db.pool, sql);
}

static void
violation(void *ctx, const char *text)
{
    print_message("# %s\n", text);
    ++*(int *) ctx;
}

static enum db_result
recount_work(struct db *db, void *ctx)
{
    return verify_queries(db, 19, test_clock_us, violation, ctx);
}

static void
assert_counts_right(struct world *w)
{
    int violations = 0;

    assert_int_equal(db_read(w->db.pool, recount_work, &violations), DB_OK);
    assert_int_equal(violations, 0);
}

static enum db_result
run(struct world *w, struct rescore_request request)
{
    request.detection = &w->detection;
    if (request.to_ms == 0)
        request.to_ms = INT64_C(1) << 40;
    return rescore_run(&w->db.service, &tester, &request, &w->report);
}

static int64_t
number(struct world *w, const char *sql)
{
    return test_int(w->db.pool, sql);
}

/* ---- one click of each kind ---- */

static void
verdicts_change_and_stay(void **state)
{
    struct world *w = *state;

    journal(w, 1, 9);
    click(w, 1, 1, 1000, 0, 1, 0, 1);                                              /* a person, and stays one */
    click(w, 1, 2, 1000, 0, 2, 0, 1);                                              /* curl: was not known as a bot */
    click(w, 1, 3, 1000, TRACKER_CLICK_REPEAT, 3, 0, 1);                           /* a preview */
    click(w, 1, 4, 1000, TRACKER_CLICK_BOT, 1, 0, 1);                              /* taken for a bot, wrongly */
    click(w, 1, 5, 1000, TRACKER_CLICK_BOT | TRACKER_CLICK_TEST, 1, 0, 1);         /* a test in any case */
    click(w, 1, 6, 1000, TRACKER_CLICK_BOT, 0, 0, 1);                              /* nobody knows any more why */
    click(w, 1, 7, 1000, 0, 1, 16509, 1);                                          /* from a datacentre */
    click(w, 1, 8, 1000, TRACKER_CLICK_DATACENTRE, 1, 64512, 1);                   /* from one no longer */
    click(w, 1, 9, 1000, TRACKER_CLICK_BOT, 4, 0, 1);                              /* a bot, as was said */
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    assert_counts_right(w);

    assert_int_equal(run(w, (struct rescore_request){ .dry_run = true }), DB_OK);
    assert_int_equal(w->report.changed, 6);
    assert_int_equal(number(w, "SELECT COUNT(*) AS n FROM click_verdicts"), 0);
    assert_int_equal(number(w, "SELECT COUNT(*) AS n FROM audit_log"), 0);

    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.judged, 9);
    assert_int_equal(w->report.changed, 6);
    assert_int_equal(w->report.out, 3);
    assert_int_equal(w->report.in, 2);
    assert_int_equal(w->report.added[0], 1);
    assert_int_equal(w->report.taken[0], 2);
    assert_int_equal(w->report.added[1], 1);
    assert_int_equal(w->report.added[2], 1);
    assert_int_equal(w->report.taken[2], 1);
    assert_counts_right(w);
    assert_int_equal(number(w, "SELECT SUM(clicks) AS n FROM click_stats"), 3);
    assert_int_equal(number(w, "SELECT flags AS n FROM click_verdicts WHERE seq = 3"),
                     TRACKER_CLICK_REPEAT | TRACKER_CLICK_PREVIEW);
    assert_int_equal(number(w, "SELECT reasons = '-bot' AS n FROM click_verdicts WHERE seq = 5"), 1);
    assert_int_equal(number(w, "SELECT COUNT(*) AS n FROM click_verdicts WHERE seq IN (1, 6, 9)"), 0);
    assert_int_equal(number(w, "SELECT SUM(flags) AS n FROM clicks"),
                     TRACKER_CLICK_REPEAT + 4 * TRACKER_CLICK_BOT + TRACKER_CLICK_TEST + TRACKER_CLICK_DATACENTRE);
    assert_int_equal(number(w, "SELECT COUNT(*) AS n FROM audit_log WHERE action IN ('clicks.rescore', 'clicks.rescored')"
                               " AND actor = 'cli'"), 2);

    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.changed, 0);
    assert_counts_right(w);
}

/* The lists of before give the verdicts of before, and no trace of the detour. */
static void
the_way_back(void **state)
{
    struct world   *w = *state;
    struct detection built_in = w->detection;
    const char     *error;
    int             line;

    journal(w, 1, 2);
    click(w, 1, 1, 1000, TRACKER_CLICK_BOT, 2, 0, 1);
    click(w, 1, 2, 1000, 0, 1, 0, 1);
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    assert_int_equal(tracker_agents_compile(TRACKER_STR("bot firefox\n"), &w->detection.agents.bytes,
                                            &w->detection.agents.len, &error, &line), 0);
    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.changed, 2);
    assert_counts_right(w);
    free(w->detection.agents.bytes);
    w->detection = built_in;
    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.changed, 2);
    assert_int_equal(number(w, "SELECT COUNT(*) AS n FROM click_verdicts"), 0);
    assert_counts_right(w);
}

static void
times_and_uncounted_clicks_are_left_alone(void **state)
{
    struct world *w = *state;

    journal(w, 1, 3);
    for (int seq = 1; seq <= 3; seq++)
        click(w, 1, seq, seq * 1000, 0, 2, 0, 1);
    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.judged, 0); /* the roll-up has not come by yet: it will count them */
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    assert_int_equal(run(w, (struct rescore_request){ .from_ms = 2000, .to_ms = 3000 }), DB_OK);
    assert_int_equal(w->report.judged, 1);
    assert_int_equal(number(w, "SELECT seq AS n FROM click_verdicts"), 2);
    assert_counts_right(w);
}

static void
a_rate_of_an_address(void **state)
{
    struct world *w = *state;

    journal(w, 1, 8);
    journal(w, 2, 4);
    for (int seq = 1; seq <= 5; seq++)
        click(w, 1, seq, 100000 + seq * 10000, 0, 1, 0, 7);
    click(w, 1, 6, 100000, 0, 1, 0, 8);                        /* somebody else */
    click(w, 1, 7, 105000, TRACKER_CLICK_RATE, 1, 0, 8);       /* the edge was stricter */
    click(w, 1, 8, 300000, 0, 1, 0, 7);                        /* long after */
    for (int seq = 1; seq <= 4; seq++)
        click(w, 2, seq, 100000 + seq * 100, 0, 1, 0, seq < 2 ? 7 : 0x107); /* another edge; truncated ones are many's */
    assert_int_equal(rollup_run(w->db.pool), DB_OK);

    assert_int_equal(run(w, (struct rescore_request){ .rate = 4 }), DB_OK);
    assert_int_equal(w->report.added[3], 2); /* the fifth and sixth of address 7, in both journals together */
    assert_int_equal(w->report.taken[3], 1);
    assert_int_equal(number(w, "SELECT SUM(seq) AS n FROM click_verdicts WHERE reasons = '+rate'"), 4 + 5);
    assert_counts_right(w);
    assert_int_equal(run(w, (struct rescore_request){ .rate = 4 }), DB_OK);
    assert_int_equal(w->report.changed, 0);

    /* not asked for: neither taken back nor found */
    assert_int_equal(run(w, (struct rescore_request){ .rate = 0 }), DB_OK);
    assert_int_equal(w->report.changed, 0);
    assert_int_equal(run(w, (struct rescore_request){ .rate = 100 }), DB_OK);
    assert_int_equal(w->report.taken[3], 2);
    assert_counts_right(w);

    /* of IPv6 the /64 is one visitor, of a hash all bytes */
    journal(w, 3, 4);
    for (int seq = 1; seq <= 4; seq++)
        click(w, 3, seq, 900000 + seq, 0, 1, 0, 9);
    test_run(w->db.pool, "UPDATE clicks SET ip_form = CASE WHEN seq < 3 THEN 0 ELSE 2 END,"
                         " ip = CASE seq % 2 WHEN 0 THEN x'20010db8000000000000000000000001' ELSE"
                         " x'20010db80000000000000000000000ff' END WHERE journal_id = 3");
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    assert_int_equal(run(w, (struct rescore_request){ .rate = 1, .from_ms = 800000 }), DB_OK);
    assert_int_equal(w->report.added[3], 1);
    assert_int_equal(number(w, "SELECT seq AS n FROM click_verdicts WHERE journal_id = 3"), 2);
    assert_counts_right(w);

    /* the minute before the range counts in */
    assert_int_equal(run(w, (struct rescore_request){ .rate = 4, .from_ms = 150000 }), DB_OK);
    assert_int_equal(w->report.added[3], 1);
    assert_counts_right(w);
}

/* Fails in the third step: what the first two did stays and is right, and the next run does the rest. */
static void
a_run_that_was_cut_short(void **state)
{
    struct world *w = *state;

    journal(w, 1, 3500);
    test_run(w->db.pool, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3500)"
                         " INSERT INTO clicks (journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id,"
                         " affiliate_id, flags, click_id, user_agent_id, config_version) SELECT 1, i, 86400000 *"
                         " (i / 1000), 0, 1, 2, 3, 4, i % 2, zeroblob(30), 1 + i % 4, 1 FROM n");
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    test_run(w->db.pool, "CREATE TABLE kept AS SELECT * FROM click_stats WHERE day = 2");
    test_run(w->db.pool, "DELETE FROM click_stats WHERE day = 2");
    assert_int_not_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(number(w, "SELECT MAX(seq) AS n FROM click_verdicts"), 1999);
    test_run(w->db.pool, "INSERT INTO click_stats SELECT * FROM kept");
    assert_counts_right(w);

    atomic_bool stop = true;
    assert_int_equal(run(w, (struct rescore_request){ .stop = &stop }), DB_OK);
    assert_true(w->report.stopped);
    assert_int_equal(w->report.judged, 0);

    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.changed, 3500 * 3 / 4 - 1500);
    assert_counts_right(w);
    assert_int_equal(number(w, "SELECT SUM(clicks) AS n FROM click_stats"), 3500 / 4);
    assert_int_equal(run(w, (struct rescore_request){ 0 }), DB_OK);
    assert_int_equal(w->report.changed, 0);
}

/* ---- anything ---- */

static void
any_clicks_any_lists(void **state)
{
    static const int asns[] = { 0, 16509, 64512, 7018 };
    static const char *const lists[] = { "bot curl\n", "bot ^\nperson Firefox\n", "preview a\nbot Goo\n", "# none\n" };
    struct world    *w = *state;
    struct detection built_in = w->detection;
    unsigned         seed = 20240501, changed = 0;

    print_message("# seed %u\n", seed);
    for (int id = 1; id <= 3; id++) {
        journal(w, id, 60);
        for (int seq = 1; seq <= 60; seq++) {
            unsigned flags = 0;
            for (int i = 0; i < 3; i++)
                flags |= rand_r(&seed) % 3 == 0 ? 1u << (unsigned) rand_r(&seed) % 12 : 0;
            click(w, id, seq, rand_r(&seed) % 200000000, flags, rand_r(&seed) % 5, asns[rand_r(&seed) % 4],
                  rand_r(&seed) % 3);
        }
    }
    assert_int_equal(rollup_run(w->db.pool), DB_OK);
    for (int round = 0; round < 40; round++) {
        const char            *error, *list = lists[rand_r(&seed) % 4];
        int                    line;
        struct rescore_request request = { .from_ms = rand_r(&seed) % 100000000, .rate = rand_r(&seed) % 4 };

        request.to_ms = request.from_ms + rand_r(&seed) % 100000000 + 1;
        assert_int_equal(tracker_agents_compile((struct tracker_str){ list, strlen(list) }, &w->detection.agents.bytes,
                                                &w->detection.agents.len, &error, &line), 0);
        assert_int_equal(run(w, request), DB_OK);
        changed += (unsigned) w->report.changed;
        assert_counts_right(w);
        assert_int_equal(run(w, request), DB_OK);
        assert_int_equal(w->report.changed, 0);
        free(w->detection.agents.bytes);
    }
    w->detection = built_in;
    assert_true(changed > 500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verdicts_change_and_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(the_way_back, setup, teardown),
        cmocka_unit_test_setup_teardown(times_and_uncounted_clicks_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rate_of_an_address, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_that_was_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(any_clicks_any_lists, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
