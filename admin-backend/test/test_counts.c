/*
 * What people count by: roll-ups, stats, the CSV export, and the roll-up's own crash safety.
 *
 * A click counted twice or never in click_stats is a dashboard nobody trusts; a
 * stats line that does not add up hides a loss; a CSV cell that begins with "=" runs
 * in the spreadsheet of whoever opens it.
 */
#include "test_support.h"

#include "service/export.h"
#include "service/rollup.h"
#include "store/click.h"

static int
setup(void **state)
{
    struct test_database *test = malloc(sizeof(*test));
    test_database_open(test);
    *state = test;
    return 0;
}

static int
teardown(void **state)
{
    test_database_close(*state);
    free(*state);
    return 0;
}

/* Journal `id` with clicks [1, count] of link 3; flags cycle through 0, REPEAT, BOT, TEST|REPEAT, BROKEN_COOKIE. */
static void
journal(struct test_database *test, int id, int count)
{
    char sql[1200];
    snprintf(sql, sizeof(sql),
             "INSERT INTO journals (id, uuid, short_id, edge, kind, partition, next_seq, hash, accepted, committed,"
             " first_seen_us, last_seen_us) VALUES (%d, CAST(printf('%%016d', %d) AS BLOB), %d, 'edge', 'traffic', 0,"
             " %d, zeroblob(8), %d, %d, 0, 0)", id, id, id, count + 1, count, count);
    test_run(test->pool, sql);
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO clicks (journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id,"
             " affiliate_id, flags, click_id, config_version)"
             " SELECT %d, i, 86400000 * (i %% 2), 0, 1, 2, 3, 4, CASE i %% 5 WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN 8"
             " WHEN 3 THEN 65 ELSE 2 END, zeroblob(30), 1 FROM n", count, id);
    test_run(test->pool, sql);
}

static void
clicks_are_counted_once(void **state)
{
    struct test_database *test = *state;

    journal(test, 1, 20000); /* more than one step */
    journal(test, 2, 10);
    assert_int_equal(rollup_run(test->pool), DB_OK);
    assert_int_equal(rollup_run(test->pool), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT sum(clicks) AS n FROM click_stats"), 20010 * 3 / 5);
    assert_int_equal(test_int(test->pool, "SELECT sum(uniques) AS n FROM click_stats"), 20010 * 2 / 5);
    assert_int_equal(test_int(test->pool, "SELECT sum(marked) AS n FROM click_stats"), 20010 * 2 / 5);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM click_stats"), 2); /* two days */
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM journals WHERE rolled_seq <> next_seq"), 0);

    /* New ones only, into the same rows. */
    test_run(test->pool, "UPDATE journals SET next_seq = 13 WHERE id = 2");
    test_run(test->pool, "INSERT INTO clicks (journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id,"
                         " affiliate_id, flags, click_id, config_version) SELECT 2, seq + 10, time_ms, received_ms,"
                         " program_id, campaign_id, link_id, affiliate_id, 0, click_id, config_version FROM clicks"
                         " WHERE journal_id = 2 AND seq IN (1, 2)");
    assert_int_equal(rollup_run(test->pool), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT sum(clicks) AS n FROM click_stats"), 20010 * 3 / 5 + 2);

    /* What was seen is counted beside what was clicked; each mark of "no person" keeps either out. */
    test_run(test->pool, "UPDATE journals SET next_seq = 23 WHERE id = 2");
    test_run(test->pool, "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
                         " INSERT INTO impressions (journal_id, seq, time_ms, received_ms, program_id, campaign_id,"
                         " link_id, affiliate_id, flags, config_version)"
                         " SELECT 2, 13 + i, 86400000, 0, 1, 2, 3, 4, CASE i WHEN 0 THEN 0 WHEN 1 THEN 1 ELSE"
                         " 1 << (CASE i WHEN 2 THEN 3 WHEN 3 THEN 4 WHEN 4 THEN 6 WHEN 5 THEN 8 WHEN 6 THEN 9"
                         " WHEN 7 THEN 10 WHEN 8 THEN 11 ELSE 15 END) END, 1 FROM n");
    assert_int_equal(rollup_run(test->pool), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT sum(impressions) AS n FROM click_stats"), 3);
    assert_int_equal(test_int(test->pool, "SELECT sum(clicks) + sum(marked) AS n FROM click_stats"), 20010 + 2);
}

static enum db_result
crash_work(struct db *db, void *ctx)
{
    enum db_result result = click_roll_up(db, 1, 1, 51);
    return result == DB_OK ? DB_ABORT : result; /* as a crash before the commit */
}

static enum db_result
twice_work(struct db *db, void *ctx)
{
    return click_roll_up(db, 1, 1, 51);
}

static void
a_crash_counts_nothing_twice(void **state)
{
    struct test_database *test = *state;

    journal(test, 1, 100);
    assert_int_equal(db_write(test->pool, DB_BATCH, crash_work, NULL), DB_ABORT);
    assert_int_equal(test_int(test->pool, "SELECT count(*) AS n FROM click_stats"), 0);
    assert_int_equal(db_write(test->pool, DB_BATCH, twice_work, NULL), DB_OK);
    assert_int_equal(db_write(test->pool, DB_BATCH, twice_work, NULL), DB_ABORT); /* the mark has moved on */
    assert_int_equal(rollup_run(test->pool), DB_OK);
    assert_int_equal(test_int(test->pool, "SELECT sum(clicks) + sum(marked) AS n FROM click_stats"), 100);
}

static void
stats_add_up(void **state)
{
    struct test_database *test = *state;
    json_t               *stats, *one;
    size_t                i;

    journal(test, 1, 90);
    journal(test, 2, 10);
    test_run(test->pool, "UPDATE journals SET next_seq = 101, quarantined = 3, lost = 7, accepted = 150, dropped = 5"
                         " WHERE id = 1");
    test_run(test->pool, "UPDATE journals SET accepted = 4 WHERE id = 2"); /* the edge's word is older than its packs */
    assert_int_equal(stats_get(&test->service, &stats), DB_OK);
    assert_string_equal(json_string_value(json_object_get(stats, "as_of")), "2024-05-01T12:00:00.000000Z");
    assert_int_equal(json_array_size(json_object_get(stats, "journals")), 2);
    json_array_foreach(json_object_get(stats, "journals"), i, one) {
        json_int_t accepted, committed, pending, quarantined, dropped, lost;
        assert_int_equal(json_object_size(one), 8);
        assert_int_equal(json_unpack(one, "{s:I,s:I,s:I,s:I,s:I,s:I}", "accepted", &accepted, "committed", &committed,
                                     "pending", &pending, "quarantined", &quarantined, "dropped", &dropped, "lost",
                                     &lost),
                         0);
        assert_int_equal(accepted, committed + pending + quarantined + dropped + lost);
        assert_int_equal(accepted, i == 0 ? 155 : 10);
        assert_int_equal(pending, i == 0 ? 50 : 0);
    }
    json_decref(stats);
}

/* An edge had told of 100 events when its power went; 90 were on its disk, says who read it to the end. */
static void
an_end_that_was_lost_is_not_waited_for(void **state)
{
    struct test_database *test = *state;
    json_t               *stats, *one;
    json_int_t            accepted, pending, lost;

    journal(test, 1, 90);
    test_run(test->pool, "UPDATE journals SET accepted = 100");
    for (int closed = 0; closed <= 1; closed++) {
        assert_int_equal(stats_get(&test->service, &stats), DB_OK);
        one = json_array_get(json_object_get(stats, "journals"), 0);
        assert_int_equal(json_unpack(one, "{s:I,s:I,s:I}", "accepted", &accepted, "pending", &pending, "lost", &lost), 0);
        assert_int_equal(accepted, 100);
        assert_int_equal(pending, closed ? 0 : 10);
        assert_int_equal(lost, closed ? 10 : 0);
        json_decref(stats);
        test_run(test->pool, "UPDATE journals SET closed = 1");
    }
}

static char *
export_text(struct test_database *test, int64_t from_us, int64_t to_us)
{
    char  *text = NULL;
    size_t len = 0;
    FILE  *out = open_memstream(&text, &len);
    assert_int_equal(export_clicks(&test->service, from_us, to_us, out), DB_OK);
    fclose(out);
    return text;
}

static int
lines(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void
csv_is_whole_quoted_and_harmless(void **state)
{
    struct test_database *test = *state;

    journal(test, 1, 5001); /* pages of 2000 */
    journal(test, 2, 1);
    char *text = export_text(test, 0, INT64_MAX);
    assert_int_equal(lines(text), 5003);
    free(text);
    text = export_text(test, 86400000000, 86400000000 * 2);
    assert_int_equal(lines(text), 1 + 2501 + 1);
    free(text);

    test_run(test->pool, "DELETE FROM clicks WHERE journal_id = 1");
    test_run(test->pool, "INSERT INTO user_agents (id, text) VALUES (1, '=cmd|''/C calc''!A0'), (2, 'a,\"b\"')");
    test_run(test->pool, "UPDATE clicks SET user_agent_id = 1, referrer = '+1', ip = x'c0000201',"
                         " params = '{\"sub1\":\"x\"}', time_ms = 1714564800123, country = 'DE', city = '@M',"
                         " asn = 64500, device = 1, rule = 2, target = 1");
    text = export_text(test, 0, INT64_MAX);
    const char *row = strchr(text, '\n') + 1;
    assert_int_equal(strcspn(row, ","), TRACKER_CLICK_ID_LEN);
    assert_non_null(strstr(row, ",2024-05-01T12:00:00.123Z,"));
    assert_non_null(strstr(row, ",192.0.2.1,\"'=cmd|'/C calc'!A0\",\"'+1\",\"{\"\"sub1\"\":\"\"x\"\"}\","
                                   "DE,,\"'@M\",64500,desktop,,,2,1\n"));
    free(text);
    test_run(test->pool, "UPDATE clicks SET user_agent_id = 2, ip_form = 2, ip = x'000102030405060708090a0b0c0d0eff'");
    text = export_text(test, 0, INT64_MAX);
    assert_non_null(strstr(text, ",hash:000102030405060708090a0b0c0d0eff,\"a,\"\"b\"\"\",")); /* no address */
    free(text);
}

static void
click_ids_survive_their_bytes(void **state)
{
    char    text[TRACKER_CLICK_ID_LEN + 1] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_ab", back[TRACKER_CLICK_ID_LEN];
    uint8_t bytes[CLICK_ID_BYTES];

    assert_true(click_id_pack(text, bytes));
    click_id_unpack(bytes, back);
    assert_memory_equal(back, text, sizeof(back));
    assert_true(click_id_pack("cdefghijklmnopqrstuvwxyzzzzzzzzzzzzzzzzz", bytes));
    click_id_unpack(bytes, back);
    assert_memory_equal(back, "cdefghijklmnopqrstuvwxyzzzzzzzzzzzzzzzzz", sizeof(back));
    for (int c = 0; c < 256; c++) {
        text[7] = (char) c;
        bool ours = c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        assert_int_equal(click_id_pack(text, bytes), ours);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clicks_are_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_counts_nothing_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(stats_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_that_was_lost_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(csv_is_whole_quoted_and_harmless, setup, teardown),
        cmocka_unit_test(click_ids_survive_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
