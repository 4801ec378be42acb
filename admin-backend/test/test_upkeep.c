/*
 * What is told and what is forgotten as time goes by.
 *
 * What could break: a partner whose key ends unannounced; a warning every ten minutes; none for a new date; a log that
 * grows for ever, or is gone too early; accounts of journals that no longer balance once lines are gone.
 */
#include "test_lead.h"

#include "service/upkeep.h"

static __attribute__((format(printf, 2, 3))) void
run(struct leads *l, const char *format, ...)
{
    char    sql[512];
    va_list args;

    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    test_run(l->m.base.pool, sql);
}

static int
warned_after(struct leads *l, uint64_t days)
{
    test_clock_us += days * DAY_US;
    return keys_warn(l->m.service);
}

static void
each_warning_comes_once(void **state)
{
    struct leads *l = *state;
    uint64_t      end = test_clock_us + 40 * DAY_US;

    run(l, "UPDATE api_users SET expires_us = %llu WHERE id = %lld", (unsigned long long) end, (long long) l->partner);
    assert_int_equal(warned_after(l, 0), 0);
    assert_int_equal(warned_after(l, 10), 1); /* 30 days before */
    assert_int_equal(warned_after(l, 0), 0);
    assert_int_equal(warned_after(l, 22), 0);
    assert_int_equal(warned_after(l, 1), 1); /* 7 */
    assert_int_equal(warned_after(l, 6), 1); /* 1 */
    assert_int_equal(warned_after(l, 0), 0);
    assert_int_equal(warned_after(l, 1), 1); /* over */
    assert_int_equal(warned_after(l, 100), 0);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM key_warnings WHERE expires_us = %llu", (unsigned long long) end),
                     4);

    /* A new date has warnings of its own; of two that are due at once the nearest is told. */
    run(l, "UPDATE api_users SET expires_us = %llu WHERE id = %lld", (unsigned long long) (test_clock_us + 3 * DAY_US),
        (long long) l->partner);
    assert_int_equal(warned_after(l, 0), 1);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM key_warnings"), 6);
    /* Who is paused, or has no end, is not spoken of. */
    run(l, "UPDATE api_users SET state = 'paused'");
    assert_int_equal(warned_after(l, 30), 0);
}

static enum db_result
log_lines(struct db *db, void *ctx)
{
    struct leads      *l = ctx;
    struct journal_row after = l->m.traffic;
    struct db_bulk    *bulk = api_call_bulk_begin(db);

    for (int i = 0; i < 5000; i++) {
        struct api_call_row row = {
            .journal_id = l->m.traffic.id, .seq = after.at.next, .time_ms = test_clock_us / 1000 + (uint64_t) (i / 10),
            .received_ms = test_clock_us / 1000, .count = 1, .status = 200, .code = TRACKER_STR("accepted"),
            .method = TRACKER_STR("POST"), .path = TRACKER_STR("/api/v1/leads"),
        };
        if (api_call_bulk_row(bulk, &row) != DB_OK)
            return DB_FAILED;
        after.at.next++;
        after.committed++;
        after.accepted++;
    }
    enum db_result rc = db_bulk_end(bulk);
    if (rc == DB_OK)
        rc = journal_store(db, &after);
    if (rc == DB_OK)
        l->m.traffic = after;
    return rc;
}

static void
the_log_is_kept_as_long_as_it_is_wanted(void **state)
{
    struct leads *l = *state;

    assert_int_equal(db_write(l->m.base.pool, DB_WIRE, log_lines, l), DB_OK);
    test_clock_us += 60 * DAY_US;
    assert_int_equal(db_write(l->m.base.pool, DB_WIRE, log_lines, l), DB_OK);
    outside_forget(l->m.service);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM api_calls"), 10000); /* 90 days, where nobody said */
    run(l, "INSERT INTO settings (name, value, version) VALUES ('api_log_days', '30', 1)");
    outside_forget(l->m.service);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM api_calls"), 5000);
    assert_int_equal(number(&l->m, "SELECT forgotten AS n FROM journals WHERE id = %lld", (long long) l->m.traffic.id), 5000);
    must_verify(&l->m);
    test_clock_us += 31 * DAY_US;
    outside_forget(l->m.service);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM api_calls"), 0);
    must_verify(&l->m);
}

static void
sessions_and_invitations_go_when_they_are_over(void **state)
{
    struct leads *l = *state;
    uint64_t      now = test_clock_us;

    run(l, "INSERT INTO traders (program_id, email, email_key, created_us, updated_us)"
           " VALUES (1, 'a@b.example', 'a@b.example', 1, 1)");
    run(l, "INSERT INTO portal_sessions (hash, affiliate_id, csrf, created_us, seen_us, expires_us) VALUES"
           " (x'01', %lld, '', 1, 1, %llu), (x'02', %lld, '', 1, 1, %llu)", (long long) l->m.affiliate,
        (unsigned long long) (now - 31 * DAY_US), (long long) l->m.affiliate, (unsigned long long) (now + DAY_US));
    run(l, "INSERT INTO trader_invitations (hash, trader_id, created_us, expires_us) VALUES (x'01', 1, 1, %llu),"
           " (x'02', 1, 1, %llu)", (unsigned long long) (now - 31 * DAY_US), (unsigned long long) (now + DAY_US));
    outside_forget(l->m.service);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM portal_sessions WHERE hash = x'02'"), 1);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM portal_sessions"), 1);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM trader_invitations"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        lead_test(each_warning_comes_once),
        lead_test(the_log_is_kept_as_long_as_it_is_wanted),
        lead_test(sessions_and_invitations_go_when_they_are_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
