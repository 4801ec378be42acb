/*
 * Lists: pages by keyset, filters, searches, cursors.
 *
 * What could break: a row that is shown twice or never when pages are walked
 * while others insert, a search whose % or _ means something, a cursor that is
 * somebody's crafted bytes, a value that ends up in SQL.  SEED=n repeats a run.
 */
#include "test_money.h"

#include "service/lead.h"
#include "service/portal.h"
#include "service/trader.h"

#include <time.h>

#include <sodium.h>

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * UINT64_C(2685821657736338717) >> 11) % below;
}

/* ---- asking ---- */

struct request {
    const struct list_spec *spec;
    struct list_query       query;
    json_t                 *page;
    struct service_error   *error;
    enum service_result     result;
};

static enum db_result
run(struct db *db, void *ctx)
{
    struct request *request = ctx;

    request->result = list_run(db, request->spec, &request->query, &request->page, request->error);
    return DB_OK;
}

static enum service_result
ask(struct money *m, const struct list_spec *spec, const struct list_query *query, json_t **page)
{
    struct request request = { .spec = spec, .query = *query, .error = &m->error };

    assert_int_equal(db_read(m->base.pool, run, &request), DB_OK);
    *page = request.page;
    return request.result;
}

/* How many affiliates one filter finds. */
static int64_t
found(struct money *m, const char *filter, const char *value)
{
    json_t *page;
    int64_t total;

    must(m, ask(m, &affiliate_list, &(struct list_query){ .count = 1, .filters = { { filter, value } } }, &page));
    total = json_integer_value(json_object_get(page, "total"));
    assert_true(total > LIST_PAGE_DEFAULT || total == (int64_t) json_array_size(json_object_get(page, "data")));
    json_decref(page);
    return total;
}

/* ---- walking ---- */

#define ROWS 120

/* Few times and names, so that pages are cut within runs of equal values. */
static void
add_affiliate(struct money *m, int i)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT INTO affiliates (program_id, group_id, name, email, status, created_us, updated_us, version)"
             " VALUES (1, 1, 'Name %c', 'walk%d@example.com', '%s', %d, 0, 1)",
             (char) ('A' + draw(4)), i, draw(2) == 0 ? "approved" : "pending", (int) draw(5));
    test_run(m->base.pool, sql);
}

/* Every row that was there from the start is seen exactly once, though others come in all the time. */
static void
walk(struct money *m, const char *sort, const char *status, int page_size)
{
    char    seen[4096] = { 0 }, last_key[128] = "";
    int64_t before = test_int(m->base.pool, "SELECT MAX(id) AS n FROM affiliates"), hits = 0, wanted;
    char   *cursor = NULL, sql[256];
    bool    descending = sort == NULL || *sort == '-';
    const char *member = sort != NULL && strstr(sort, "name") != NULL ? "name" : "created_at";

    snprintf(sql, sizeof(sql), "SELECT COUNT(*) AS n FROM affiliates WHERE status = '%s'", status);
    wanted = test_int(m->base.pool, sql);
    for (int pages = 0;; pages++) {
        struct list_query query = { .page_size = page_size, .cursor = cursor, .sort = sort, .count = 1,
                                    .filters = { { "status", status } } };
        json_t *page, *row;
        size_t  i;

        must(m, ask(m, &affiliate_list, &query, &page));
        assert_true(json_array_size(json_object_get(page, "data")) <= (size_t) page_size);
        json_array_foreach(json_object_get(page, "data"), i, row) {
            int64_t id = id_of(row);

            assert_true(id < 4096 && seen[id] == 0);
            seen[id] = 1;
            hits += id <= before;
            assert_string_equal(text_of(row, "status"), status);
            if (last_key[0] != '\0')
                assert_true(descending ? strcmp(text_of(row, member), last_key) <= 0
                                       : strcmp(text_of(row, member), last_key) >= 0);
            snprintf(last_key, sizeof(last_key), "%s", text_of(row, member));
        }
        free(cursor);
        cursor = NULL;
        if (json_is_string(json_object_get(page, "next_cursor")))
            cursor = strdup(text_of(page, "next_cursor"));
        json_decref(page);
        if (cursor == NULL)
            break;
        add_affiliate(m, 1000 + (int) before + pages);
    }
    assert_int_equal(hits, wanted);
}

static void
test_walks_are_complete(void **state)
{
    static const char *const sorts[] = { NULL, "created_at", "-created_at", "name", "-name" };
    struct money            *m = *state;

    for (int i = 0; i < ROWS; i++)
        add_affiliate(m, i);
    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++) {
        walk(m, sorts[i], "approved", 1 + (int) draw(20));
        walk(m, sorts[i], "pending", i == 0 ? 1 : 500);
    }
}

static void
test_an_empty_list(void **state)
{
    struct money *m = *state;
    json_t       *page;

    must(m, ask(m, &payout_list, &(struct list_query){ .page_size = 1 }, &page));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    assert_true(json_is_null(json_object_get(page, "next_cursor")));
    assert_int_equal(json_integer_value(json_object_get(page, "total")), 0);
    assert_true(json_is_true(json_object_get(page, "total_exact")));
    json_decref(page);
}

/* A last page that is exactly full has no next one. */
static void
test_a_full_last_page(void **state)
{
    struct money *m = *state;
    json_t       *page;

    make_affiliate(m, "bob", "approved", m->group);
    must(m, ask(m, &affiliate_list, &(struct list_query){ .page_size = 2 }, &page));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 2);
    assert_true(json_is_null(json_object_get(page, "next_cursor")));
    json_decref(page);
    must(m, ask(m, &affiliate_list, &(struct list_query){ .page_size = 1 }, &page));
    assert_true(json_is_string(json_object_get(page, "next_cursor")));
    assert_int_equal(json_integer_value(json_object_get(page, "total")), 2);
    json_decref(page);
}

/* ---- filters ---- */

static void
test_filters(void **state)
{
    struct money *m = *state;
    char          group[24];

    make_affiliate(m, "bob", "pending", m->group);
    make_affiliate(m, "cleo", "suspended", make_group(m, "VIP", "null"));
    snprintf(group, sizeof(group), "%lld", (long long) m->group);
    assert_int_equal(found(m, "status", "approved"), 1);
    assert_int_equal(found(m, "status", "approved,pending"), 2);
    assert_int_equal(found(m, "status", "nothing"), 0);
    assert_int_equal(found(m, "group_id", group), 2);
    assert_int_equal(found(m, "from", "2024-05-01T12:00:00Z"), 3);
    assert_int_equal(found(m, "from", "2024-05-02"), 0);
    assert_int_equal(found(m, "to", "2024-05-01T12:00:00Z"), 0);
    assert_int_equal(found(m, "q", "OB"), 1);
    assert_int_equal(found(m, "q", "example.com"), 3);
    assert_int_equal(found(m, "q", ""), 3);
}

/* LIKE's own characters are characters; quotes and the rest are values. */
static void
test_searches_mean_what_they_say(void **state)
{
    static const char *const names[] = { "100% pure", "a_b", "wow!", "O'Neill", "semi;colon", "dollar $1", "question?",
                                         "back\\\\slash", "quote\\\"d" };
    static const struct {
        const char *q;
        int64_t     found;
    } cases[] = { { "%", 1 }, { "_", 1 }, { "!", 1 }, { "0% p", 1 }, { "a_b", 1 }, { "axb", 0 }, { "'", 1 }, { ";", 1 },
                  { "$1", 1 }, { "?", 1 }, { "\\", 1 }, { "\"", 1 }, { "' OR 1=1 --", 0 }, { "%%", 0 }, { "wow!", 1 } };
    struct money *m = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        make(m, affiliate_create, json_of("{\"name\":\"%s\",\"email\":\"n%zu@example.com\"}", names[i], i));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (found(m, "q", cases[i].q) != cases[i].found)
            fail_msg("q=%s finds %lld", cases[i].q, (long long) found(m, "q", cases[i].q));
    }
}

static void
refused(struct money *m, const struct list_query *query, const char *blamed)
{
    json_t *page = NULL;

    must_blame(m, ask(m, &affiliate_list, query, &page), blamed);
    assert_null(page);
}

static void
test_requests_that_are_refused(void **state)
{
    static const struct {
        const char *filter, *value;
    } bad[] = {
        { "group_id", "" },   { "group_id", "x" }, { "group_id", "-1" }, { "group_id", "1 OR 1=1" }, { "from", "soon" },
        { "status", "" },     { "status", "a,,b" }, { "status", "," },
        { "status", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" },
        { "nothing", "1" },   { "a.id", "1" },
    };
    struct money *m = *state;
    char          long_text[300];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(m, &(struct list_query){ .count = 1, .filters = { { bad[i].filter, bad[i].value } } }, bad[i].filter);
    memset(long_text, 'q', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    refused(m, &(struct list_query){ .count = 1, .filters = { { "q", long_text } } }, "q");
    refused(m, &(struct list_query){ .page_size = -1 }, "page_size");
    refused(m, &(struct list_query){ .page_size = 501 }, "page_size");
    refused(m, &(struct list_query){ .sort = "email" }, "sort");
    refused(m, &(struct list_query){ .sort = "" }, "sort");
    refused(m, &(struct list_query){ .sort = "-" }, "sort");
    refused(m, &(struct list_query){ .sort = "--name" }, "sort");
    refused(m, &(struct list_query){ .sort = "name; DROP TABLE affiliates" }, "sort");

    /* The same filter over and over reaches the limit of values, not the end of a buffer. */
    struct list_query many = { .count = LIST_FILTERS_MAX };
    for (int i = 0; i < LIST_FILTERS_MAX; i++) {
        many.filters[i].name = "status";
        many.filters[i].value = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p";
    }
    refused(m, &many, "filters");
}

/* ---- cursors ---- */

static void
cursor_of(const char *json, char out[2048])
{
    sodium_bin2base64(out, 2048, (const unsigned char *) json, strlen(json), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void
test_hostile_cursors(void **state)
{
    static const char *const inside[] = {
        "", "[]", "{}", "null", "[\"created_at\",true,1]", "[\"name\",true,\"x\",1]", "[\"created_at\",false,1,1]",
        "[\"created_at\",true,\"1\",1]", "[\"created_at\",true,1.5,1]", "[\"created_at\",true,null,1]",
        "[\"created_at\",true,1,\"1\"]", "[\"created_at\",1,1,1]", "[\"created_at\",true,1", "[\"created_at\",true,[1],1]",
        "[\"created_at\\u0000\",true,1,1]", "[\"created_at\",true,99999999999999999999,1]",
    };
    static const char *const raw[] = { "", "=", "!!!!", "a", "AAAA", "W10=", "ÿ", "W10 ", "%5B%5D" };
    struct money            *m = *state;
    char                     cursor[2048];

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        cursor_of(inside[i], cursor);
        refused(m, &(struct list_query){ .cursor = cursor }, "cursor");
    }
    for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
        refused(m, &(struct list_query){ .cursor = raw[i] }, "cursor");
    memset(cursor, 'A', sizeof(cursor) - 1);
    cursor[sizeof(cursor) - 1] = '\0';
    refused(m, &(struct list_query){ .cursor = cursor }, "cursor");
    for (int i = 0; i < 3000; i++) { /* whatever bytes: refused or a page, never a crash */
        size_t  len = draw(80);
        json_t *page = NULL;

        for (size_t j = 0; j < len; j++)
            cursor[j] = (char) (1 + draw(255));
        cursor[len] = '\0';
        if (ask(m, &affiliate_list, &(struct list_query){ .cursor = cursor }, &page) == SERVICE_OK)
            json_decref(page);
        service_error_clear(&m->error);
    }

    /* One that is well-formed but far off simply starts there. */
    json_t *page;
    cursor_of("[\"created_at\",true,-5,9223372036854775807]", cursor);
    must(m, ask(m, &affiliate_list, &(struct list_query){ .cursor = cursor }, &page));
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    json_decref(page);
}

/* Names of any bytes that JSON can carry survive being a cursor's value. */
static void
test_cursors_carry_any_name(void **state)
{
    static const char *const names[] = { "tab\\there", "line\\nbreak", "quote\\\"quote", "caf\\u00e9", "\\ud83d\\ude00 smile",
                                         "back\\\\slash" };
    struct money *m = *state;
    char         *cursor = NULL;
    int           rows = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        make(m, affiliate_create, json_of("{\"name\":\"%s\",\"email\":\"n%zu@example.com\"}", names[i], i));
    do {
        json_t *page;

        must(m, ask(m, &affiliate_list, &(struct list_query){ .page_size = 1, .sort = "name", .cursor = cursor }, &page));
        free(cursor);
        cursor = json_is_string(json_object_get(page, "next_cursor")) ? strdup(text_of(page, "next_cursor")) : NULL;
        rows += (int) json_array_size(json_object_get(page, "data"));
        json_decref(page);
    } while (cursor != NULL && rows < 20);
    assert_int_equal(rows, 7);
}

/* ---- who asks ---- */

struct look {
    const struct list_spec *spec;
    const struct actor     *viewer;
    int64_t                 id;
    enum db_result          rc;
};

static enum db_result
look(struct db *db, void *ctx)
{
    struct look *look = ctx;
    json_t      *object = NULL;

    look->rc = list_seen(db, look->spec, look->viewer, look->id, &object);
    json_decref(object);
    return DB_OK;
}

/* How many of a list somebody sees by pages; -1: another number one by one. */
static int64_t
seen(struct money *m, const struct list_spec *spec, const char *role, int64_t id)
{
    struct actor      viewer = { .id = id };
    struct list_query query = { .viewer = &viewer };
    json_t           *page;
    int64_t           total, one_by_one = 0;

    snprintf(viewer.role, sizeof(viewer.role), "%s", role);
    assert_int_equal(ask(m, spec, &query, &page), SERVICE_OK);
    total = json_integer_value(json_object_get(page, "total"));
    assert_int_equal(total, json_array_size(json_object_get(page, "data")));
    json_decref(page);
    for (int64_t row = 1; row <= 100; row++) {
        struct look one = { .spec = spec, .viewer = &viewer, .id = row };

        assert_int_equal(db_read(m->base.pool, look, &one), DB_OK);
        one_by_one += one.rc == DB_ROW;
    }
    return one_by_one == total ? total : -1;
}

/* Every list there is, with each of its sorts and filters: the SQL of all of them is sound. */
static void
test_every_list_runs(void **state)
{
    static const struct list_spec *const specs[] = { &program_list,  &group_list,      &affiliate_list, &campaign_list,
                                                     &link_list,     &api_user_list,   &audit_list,     &referral_list,
                                                     &commission_list, &payout_list, &lead_list,    &lead_log_list,
                                                     &api_call_list, &trader_list, &portal_lead_list, &portal_log_list,
                                                     &portal_form_list, &portal_link_list };
    static const char *const roles[] = { "admin", "agent", "affiliate" };
    static const char *const values[] = { [LIST_INT] = "1", [LIST_TEXT] = "x", [LIST_TEXT_SET] = "x,y",
                                          [LIST_TIME] = "2024-05-01", [LIST_SEARCH] = "x", [LIST_ADDRESS] = "::1" };
    struct money *m = *state;

    must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        for (const struct list_sort *sort = specs[i]->sorts; sort->name != NULL; sort++) {
            struct list_query query = { .sort = sort->name, .page_size = 1 };
            json_t           *page;

            must(m, ask(m, specs[i], &query, &page));
            if (json_is_string(json_object_get(page, "next_cursor"))) {
                char *cursor = strdup(text_of(page, "next_cursor"));

                json_decref(page);
                query.cursor = cursor;
                must(m, ask(m, specs[i], &query, &page));
                free(cursor);
            }
            json_decref(page);
        }
        for (const struct list_filter *filter = specs[i]->filters; filter->name != NULL; filter++) {
            struct list_query query = { .count = 1, .filters = { { filter->name, values[filter->type] } } };
            json_t           *page;

            must(m, ask(m, specs[i], &query, &page));
            json_decref(page);
        }
        for (size_t role = 0; role < sizeof(roles) / sizeof(roles[0]); role++)
            assert_true(seen(m, specs[i], roles[role], 1) >= 0);
    }
}

/* Agents and affiliates see what the list says of them, alike by pages and one by one; other roles see all. */
static void
test_viewers(void **state)
{
    struct money    *m = *state;
    struct list_spec spec = affiliate_list;

    test_run(m->base.pool, "INSERT INTO affiliates (program_id, name, email, status, created_us, updated_us, version)"
                              " SELECT 1, 'x' || n, 'x' || n, 'approved', 1, 1, 1"
                              " FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) x");
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM affiliates"), 4);
    assert_int_equal(seen(m, &spec, "agent", 2), 4);
    assert_int_equal(seen(m, &spec, "affiliate", 2), 0);
    spec.agents = "(a.id = ? OR a.id = ? + 1)";
    spec.affiliates = "a.id = ?";
    assert_int_equal(seen(m, &spec, "agent", 2), 2);
    assert_int_equal(seen(m, &spec, "affiliate", 2), 1);
    assert_int_equal(seen(m, &spec, "affiliate", 0), 0);
    assert_int_equal(seen(m, &spec, "viewer", 2), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_walks_are_complete),
        money_test(test_an_empty_list),
        money_test(test_a_full_last_page),
        money_test(test_filters),
        money_test(test_searches_mean_what_they_say),
        money_test(test_requests_that_are_refused),
        money_test(test_hostile_cursors),
        money_test(test_cursors_carry_any_name),
        money_test(test_every_list_runs),
        money_test(test_viewers),
    };
    const char *given = getenv("SEED");

    seed = given == NULL ? (uint64_t) time(NULL) * 2654435761u | 1 : strtoull(given, NULL, 10);
    printf("# SEED=%llu\n", (unsigned long long) seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
