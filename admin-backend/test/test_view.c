/*
 * How ids, times, rates and money look outside, and what is read back from people.
 *
 * What could break: a time that is shifted by its offset the wrong way, a rate
 * that loses a digit, an id that is read where none is.  Whatever is shown must
 * read back as what it was: tried on random values, SEED=n repeats a run.
 */
#include "test_support.h"

#include <time.h>

#include "service/view.h"

static uint64_t seed;

static uint64_t
draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}

static void
shows(json_t *json, const char *wanted)
{
    if (wanted == NULL)
        assert_true(json_is_null(json));
    else
        assert_string_equal(json_string_value(json), wanted);
    json_decref(json);
}

static void
test_ids(void **state)
{
    static const char *const no[] = { NULL, "", "0", "007", "-1", "+1", " 1", "1 ", "1.0", "0x1", "a", "1e3",
                                      "9999999999999999999", "12345678901234567890123" };
    int64_t                  id;

    shows(view_id(17), "17");
    shows(view_id(0), NULL);
    shows(view_id(INT64_C(999999999999999999)), "999999999999999999");
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(view_parse_id(no[i], &id));
    assert_true(view_parse_id("999999999999999999", &id));
    assert_int_equal(id, INT64_C(999999999999999999));
}

static void
test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t     us;
    } yes[] = {
        { "1970-01-01", 0 },
        { "2024-05-01", INT64_C(1714521600000000) },
        { "2024-05-01T12:00:00Z", INT64_C(1714564800000000) },
        { "2024-05-01t12:00:00z", INT64_C(1714564800000000) },
        { "2024-05-01 12:00:00Z", INT64_C(1714564800000000) },
        { "2024-05-01T14:00:00+02:00", INT64_C(1714564800000000) },
        { "2024-05-01T06:30:00-05:30", INT64_C(1714564800000000) },
        { "2024-05-01T12:00:00.5Z", INT64_C(1714564800500000) },
        { "2024-05-01T12:00:00.000001Z", INT64_C(1714564800000001) },
        { "2024-05-01T12:00:00.123456789Z", INT64_C(1714564800123456) },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000000) },
        { "9999-12-31T23:59:59Z", INT64_C(253402300799000000) },
    };
    static const char *const no[] = {
        NULL, "", "2024", "2024-5-1", "2024-05-01T", "2024-05-01T12", "2024-05-01T12:00", "2024-05-01T12:00:00",
        "2024-05-01T12:00:00X", "2024-05-01T12:00:00Zx", "2024-05-01T24:00:00Z", "2024-05-01T12:60:00Z",
        "2024-05-01T12:00:60Z", "2024-13-01", "2024-00-01", "2024-04-31", "2023-02-29", "2024-05-00", "1969-12-31",
        "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00.1234567890Z", "2024-05-01T12:00:00+2:00", "2024-05-01T12:00:00+0200",
        "2024-05-01T12:00:00+24:00", "-024-05-01", "tomorrow", "1714564800",
    };
    int64_t us;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!view_parse_time_us(yes[i].text, &us) || us != yes[i].us)
            fail_msg("%s", yes[i].text);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (view_parse_time_us(no[i], &us))
            fail_msg("%s was read as %lld", no[i], (long long) us);
    }
    shows(view_time_us(INT64_C(1714564800000001)), "2024-05-01T12:00:00.000001Z");
    shows(view_time_us(-1), "1969-12-31T23:59:59.999999Z");
}

static void
test_times_read_back(void **state)
{
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t) (draw() % UINT64_C(253402300800000000)), back;
        json_t *text = view_time_us(us);

        assert_true(view_parse_time_us(json_string_value(text), &back));
        assert_int_equal(back, us);
        json_decref(text);
    }
}

static void
test_rates(void **state)
{
    static const struct {
        const char *text;
        int64_t     ppm;
    } yes[] = { { "0", 0 }, { "20", 200000 }, { "12.5", 125000 }, { "0.0001", 1 }, { "100", 1000000 }, { "100.0000", 1000000 },
                { "7.25", 72500 }, { "00.5", 5000 } };
    static const char *const no[] = { NULL, "", ".5", "5.", "-1", "+1", "100.0001", "101", "1e1", "1,5", "0.00001", "20%",
                                      " 1", "1 ", "1.2.3", "999999999999" };
    int64_t                  ppm;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!view_parse_percent(yes[i].text, &ppm) || ppm != yes[i].ppm)
            fail_msg("%s", yes[i].text);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (view_parse_percent(no[i], &ppm))
            fail_msg("%s was read as %lld", no[i], (long long) ppm);
    }
    shows(view_ppm(200000), "20");
    shows(view_ppm(125000), "12.5");
    shows(view_ppm(1), "0.0001");
    shows(view_ppm(0), "0");
    shows(view_ppm(1000000), "100");
    for (int64_t rate = 0; rate <= 1000000; rate += 7) {
        json_t *text = view_ppm(rate);

        assert_true(view_parse_percent(json_string_value(text), &ppm));
        assert_int_equal(ppm, rate);
        json_decref(text);
    }
}

static void
test_money(void **state)
{
    static const struct {
        int64_t     minor;
        const char *currency, *amount;
    } cases[] = {
        { 1234, "EUR", "12.34" }, { 5, "EUR", "0.05" },   { -5, "EUR", "-0.05" }, { 0, "EUR", "0.00" },
        { 200, "JPY", "200" },    { 1234, "BHD", "1.234" }, { TRACKER_MINOR_MAX, "EUR", "10000000000000.00" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t              *money = view_money(cases[i].minor, cases[i].currency);
        const char          *amount = json_string_value(json_object_get(money, "amount"));
        struct tracker_money back;

        assert_string_equal(amount, cases[i].amount);
        assert_string_equal(json_string_value(json_object_get(money, "currency")), cases[i].currency);
        assert_int_equal(json_object_size(money), 2);
        assert_int_equal(tracker_money_parse((struct tracker_str){ amount, strlen(amount) },
                                             (struct tracker_str){ cases[i].currency, 3 }, &back), TRACKER_MONEY_OK);
        assert_int_equal(back.minor, cases[i].minor);
        json_decref(money);
    }
    shows(view_money(1, NULL), NULL);
    shows(view_money(1, "EURO"), NULL);
}

/* Old rows may hold anything; one bad column must not break an answer. */
struct columns {
    json_t *id, *no_id, *time, *no_time, *text, *bad_text, *json, *bad_json, *money, *no_money;
};

static enum db_result
read_columns(struct db *db, void *ctx)
{
    struct columns *columns = ctx;
    struct db_stmt *row;

    if (db_query(db, &row, "SELECT 7 AS id, NULL AS missing, 1000000 AS time, 'x' AS text, CAST(x'c328' AS TEXT) AS bad,"
                           " '[1]' AS json, '{' AS broken, 'EUR' AS currency", "") != DB_ROW)
        return DB_FAILED;
    *columns = (struct columns){
        view_column_id(row, "id"), view_column_id(row, "missing"), view_column_time(row, "time"),
        view_column_time(row, "missing"), view_column_text(row, "text"), view_column_text(row, "bad"),
        view_column_json(row, "json"), view_column_json(row, "broken"), view_column_money(row, "id", "currency"),
        view_column_money(row, "missing", "currency"),
    };
    db_end(row);
    return DB_OK;
}

static void
test_columns(void **state)
{
    struct test_database database;
    struct columns       columns;

    test_database_open(&database);
    assert_int_equal(db_read(database.pool, read_columns, &columns), DB_OK);
    shows(columns.id, "7");
    shows(columns.no_id, NULL);
    shows(columns.time, "1970-01-01T00:00:01.000000Z");
    shows(columns.no_time, NULL);
    shows(columns.text, "x");
    shows(columns.bad_text, NULL);
    assert_int_equal(json_array_size(columns.json), 1);
    json_decref(columns.json);
    shows(columns.bad_json, NULL);
    assert_string_equal(json_string_value(json_object_get(columns.money, "amount")), "0.07");
    json_decref(columns.money);
    shows(columns.no_money, NULL);
    test_database_close(&database);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),   cmocka_unit_test(test_times), cmocka_unit_test(test_times_read_back),
        cmocka_unit_test(test_rates), cmocka_unit_test(test_money), cmocka_unit_test(test_columns),
    };
    const char *given = getenv("SEED");

    seed = given == NULL ? (uint64_t) time(NULL) * 2654435761u | 1 : strtoull(given, NULL, 10);
    printf("# SEED=%llu\n", (unsigned long long) seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
