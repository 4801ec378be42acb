/*
 * The demo: what other tests and first-time users stand on.  Could break: a
 * credential in demo.json that does not open its door, a second run that
 * changes or doubles things, a crash half-way that leaves a state nobody can
 * enter, a file that others can read.
 */
#include "test_money.h"

#include <sys/stat.h>

#include <sodium.h>

#include "tracker_secret.h"

#include "service/demo.h"
#include "service/people.h"

struct demo_state {
    struct test_database base;
    char                 file[128];
    struct demo_options  options;
    struct service_error error;
};

static int
setup(void **state)
{
    struct demo_state *demo = calloc(1, sizeof(*demo));

    test_clock_us = UINT64_C(1714564800000000);
    test_database_open(&demo->base);
    snprintf(demo->file, sizeof(demo->file), "%s/demo.json", demo->base.dir);
    demo->options = (struct demo_options){ demo->file, "unix:/run/redis.sock", "/opt/affiliated", "/etc/a.conf" };
    *state = demo;
    return 0;
}

static int
teardown(void **state)
{
    struct demo_state *demo = *state;

    service_error_clear(&demo->error);
    test_database_close(&demo->base);
    free(demo);
    return 0;
}

static json_t *
fill(struct demo_state *demo)
{
    json_error_t problem;
    json_t      *file;

    must(demo, demo_fill(&demo->base.service, &demo->options, &demo->error));
    file = json_load_file(demo->file, 0, &problem);
    if (file == NULL)
        fail_msg("%s", problem.text);
    return file;
}

static const char *
credential(const json_t *file, const char *who, const char *what)
{
    return text_of(json_object_get(file, who), what);
}

struct one_text {
    const char *sql;
    char        text[256];
};

static enum db_result
read_one_text(struct db *db, void *ctx)
{
    struct one_text *one = ctx;
    struct db_stmt  *row;

    if (db_query(db, &row, one->sql, "") != DB_ROW)
        return DB_FAILED;
    snprintf(one->text, sizeof(one->text), "%s", db_text(row, "t"));
    db_end(row);
    return DB_OK;
}

/* Every credential of the file opens its door. */
static void
check_credentials(struct demo_state *demo, const json_t *file)
{
    const struct service *service = &demo->base.service;
    const char           *key = credential(file, "api_user", "key");
    struct session        session;
    char                  cookie[SECRET_MAX], hex[65], sql[256];
    unsigned char         hash[32];
    struct one_text       stored = { .sql = "SELECT password_hash AS t FROM affiliates ORDER BY id LIMIT 1" };

    must(demo, session_open(service, credential(file, "admin", "email"), credential(file, "admin", "password"), "127.0.0.1",
                            cookie, &session, &demo->error));
    assert_string_equal(session.actor.role, "admin");
    must(demo, token_find(service, credential(file, "admin", "token"), &session, &demo->error));
    assert_string_equal(session.actor.role, "admin");

    assert_int_equal(db_read(demo->base.pool, read_one_text, &stored), DB_OK);
    assert_int_equal(crypto_pwhash_str_verify(stored.text, credential(file, "affiliate", "password"),
                                              strlen(credential(file, "affiliate", "password"))), 0);

    crypto_hash_sha256(hash, (const unsigned char *) key, strlen(key));
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    snprintf(sql, sizeof(sql), "SELECT COUNT(*) AS n FROM api_keys k JOIN api_users u ON u.id = k.api_user_id"
                               " WHERE k.state = 'active' AND u.role = 'advertiser' AND hex(k.hash) = upper('%s')", hex);
    assert_int_equal(test_int(demo->base.pool, sql), 1);

    /* What signs is what verifiers find when they open the stored box. */
    struct one_text box = { .sql = "SELECT hex(secret) AS t FROM api_users ORDER BY id LIMIT 1" };
    uint8_t         sealed[TRACKER_SECRET_SEALED_MAX], clear[TRACKER_SECRET_MAX];
    const char     *secret = credential(file, "api_user", "secret");
    size_t          len = 0;

    assert_int_equal(db_read(demo->base.pool, read_one_text, &box), DB_OK);
    assert_int_equal(sodium_hex2bin(sealed, sizeof(sealed), box.text, strlen(box.text), NULL, &len, NULL), 0);
    assert_int_equal(tracker_secret_open(service->keys, (uint64_t) test_int(demo->base.pool,
                                                                            "SELECT MIN(id) AS n FROM api_users"),
                                         (struct tracker_str){ (const char *) sealed, len }, clear), strlen(secret));
    assert_memory_equal(clear, secret, strlen(secret));
}

static void
test_fills_a_believable_program(void **state)
{
    struct demo_state *demo = *state;
    json_t            *file = fill(demo), *link = json_array_get(json_object_get(file, "links"), 0);
    struct stat        st;
    char               sql[512];

    assert_int_equal(stat(demo->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    check_credentials(demo, file);
    assert_string_equal(text_of(file, "base_url"), "http://127.0.0.1:8080");
    assert_string_equal(text_of(file, "redis_url"), "unix:/run/redis.sock");
    assert_string_equal(text_of(file, "affiliated"), "/opt/affiliated");
    assert_string_equal(text_of(file, "config"), "/etc/a.conf");
    assert_int_equal(json_array_size(json_object_get(file, "forms")), 2);
    for (size_t i = 0; i < 2; i++) {
        json_t *form = json_array_get(json_object_get(file, "forms"), i);

        snprintf(sql, sizeof(sql), "SELECT COUNT(*) AS n FROM forms WHERE key = '%s' AND state = 'active'", text_of(form, "key"));
        assert_int_equal(test_int(demo->base.pool, sql), 1);
        assert_non_null(strstr(text_of(form, "url"), text_of(form, "key")));
    }
    assert_int_equal(test_int(demo->base.pool, "SELECT COUNT(*) AS n FROM api_users u JOIN lead_sources s ON s.id = u.source_id"
                                               " JOIN department_members m ON m.department_id = s.department_id"
                                               " WHERE u.role = 'affiliate' AND u.affiliate_id = 1"), 1);
    assert_int_equal(strncmp(credential(file, "lead_user", "key"), "aff_live_", 9), 0);
    assert_int_equal(test_int(demo->base.pool, "SELECT COUNT(DISTINCT status) AS n FROM affiliates"), 4);
    assert_int_equal(test_int(demo->base.pool, "SELECT COUNT(*) AS n FROM programs WHERE currency = 'EUR'"), 1);
    snprintf(sql, sizeof(sql),
             "SELECT COUNT(*) AS n FROM links l JOIN affiliates a ON a.id = l.affiliate_id"
             " JOIN affiliate_groups g ON g.id = a.group_id JOIN plans p ON p.scope = 'group' AND p.scope_id = g.id"
             " WHERE l.code = '%s' AND l.affiliate_id = %s AND l.campaign_id = %s AND l.state = 'active'"
             " AND a.status = 'approved' AND g.name = 'Standard' AND p.rate_ppm = 200000",
             text_of(link, "code"), text_of(link, "affiliate_id"), text_of(link, "campaign_id"));
    assert_int_equal(test_int(demo->base.pool, sql), 1);
    json_decref(file);
}

static void
test_a_second_run_changes_nothing(void **state)
{
    struct demo_state *demo = *state;
    json_t            *first = fill(demo), *second;
    int64_t            rows = test_int(demo->base.pool, "SELECT MAX(id) AS n FROM audit_log");

    test_clock_us += 1000000;
    second = fill(demo);
    assert_true(json_equal(first, second));
    assert_int_equal(test_int(demo->base.pool, "SELECT MAX(id) AS n FROM audit_log"), rows);
    json_decref(second);

    /* Another port: only the address moves. */
    demo->base.service.base_url = "http://127.0.0.1:9090";
    second = fill(demo);
    assert_string_equal(text_of(second, "base_url"), "http://127.0.0.1:9090");
    check_credentials(demo, second);
    assert_int_equal(test_int(demo->base.pool, "SELECT MAX(id) AS n FROM audit_log"), rows);
    json_decref(first);
    json_decref(second);
}

static void
test_a_lost_file_is_said(void **state)
{
    struct demo_state *demo = *state;
    FILE              *out;

    json_decref(fill(demo));
    assert_int_equal(unlink(demo->file), 0);
    must_refuse(demo, demo_fill(&demo->base.service, &demo->options, &demo->error), "demo_file_lost");
    assert_non_null(strstr(demo->error.message, "user create"));
    assert_int_equal(access(demo->file, F_OK), -1);

    out = fopen(demo->file, "w");
    fputs("{\"admin\":", out);
    fclose(out);
    must_refuse(demo, demo_fill(&demo->base.service, &demo->options, &demo->error), "demo_file_broken");
}

/* An old file beside a fresh database: whatever in it opens nothing is made anew. */
static void
test_an_old_file_beside_a_new_database(void **state)
{
    struct demo_state *demo = *state, *other;
    json_t            *old = fill(demo), *new;
    void              *fresh;

    setup(&fresh);
    other = fresh;
    assert_int_equal(json_dump_file(old, other->file, 0), 0);
    new = fill(other);
    check_credentials(other, new);
    assert_string_equal(credential(new, "admin", "password"), credential(old, "admin", "password"));
    assert_string_not_equal(credential(new, "api_user", "key"), credential(old, "api_user", "key"));
    json_decref(old);
    json_decref(new);
    teardown(&fresh);
}

/* Whatever a crash leaves out of the file, the next run completes. */
static void
test_goes_on_after_a_crash(void **state)
{
    static const char *const after_crash[] = { "token", "affiliate", "api_user", "links" };
    struct demo_state       *demo = *state;
    json_t                  *file = fill(demo);

    for (size_t i = 0; i < sizeof(after_crash) / sizeof(after_crash[0]); i++) {
        json_object_del(i == 0 ? json_object_get(file, "admin") : file, after_crash[i]);
        if (i == 2) /* the key whose text was lost */
            test_run(demo->base.pool, "UPDATE api_keys SET state = 'revoked'");
        assert_int_equal(json_dump_file(file, demo->file, 0), 0);
        json_decref(file);
        file = fill(demo);
        check_credentials(demo, file);
        assert_int_equal(json_array_size(json_object_get(file, "links")), 6);
    }
    json_decref(file);
}

static void
test_a_file_that_cannot_be_written(void **state)
{
    struct demo_state *demo = *state;

    demo->options.file = "/nonexistent/folder/demo.json";
    must_refuse(demo, demo_fill(&demo->base.service, &demo->options, &demo->error), "demo_file");
    assert_int_equal(test_int(demo->base.pool, "SELECT COUNT(*) AS n FROM staff"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fills_a_believable_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_run_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_file_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_old_file_beside_a_new_database, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on_after_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
