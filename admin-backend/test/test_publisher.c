/*
 * The way down: SQL to the file that edges read, through Redis.
 *
 * What would hurt and not be seen here otherwise: a change that reaches no edge, or
 * only with the next base; a paused partner whose key still works; one link that
 * nobody can compile and that takes all the others with it; a Redis that was
 * emptied, or lost one chunk, and is not filled again; old chunks that stay for ever.
 */
#include "test_redis.h"

#include <pthread.h>

#include "ingest/publisher.h"
#include "service/snapshot.h"
#include "tracker_agent.h"

struct world {
    const char                 *agents_path; /* of an operator's own list */
    size_t                      file_max;
    struct test_database        db;
    struct test_redis           redis;
    struct publisher           *publisher;
    pthread_t                   thread;
    uint8_t                    *bytes[2]; /* of the files that an edge has: base, delta */
    struct tracker_snapshot_file files[2];
    struct tracker_snapshot     edge;
};

static void *
publisher_thread(void *arg)
{
    publisher_run(arg);
    return NULL;
}

/* One change: the row's version is the new configuration version. */
static enum db_result
change_work(struct db *db, void *ctx)
{
    enum db_result result = db_exec(db, "UPDATE config_version SET version = version + 1", "");
    return result == DB_OK ? db_exec(db, ctx, "") : result;
}

#define VERSION "(SELECT version FROM config_version)"

static void
change(struct world *w, const char *sql)
{
    if (db_write(w->db.pool, DB_INTERACTIVE, change_work, (void *) (uintptr_t) sql) != DB_OK)
        fail_msg("%s: %s", sql, db_last_message());
    if (w->publisher != NULL)
        publisher_wake(w->publisher);
}

static void
begin(struct world *w)
{
    const struct publisher_options options = {
        .pool = w->db.pool, .keys = &w->db.keys, .redis = { .path = w->redis.socket }, .now_us = test_now_us,
        .agents_path = w->agents_path, .file_max = w->file_max,
    };
    w->publisher = publisher_new(&options);
    assert_int_equal(pthread_create(&w->thread, NULL, publisher_thread, w->publisher), 0);
}

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    test_database_open(&w->db);
    test_redis_open(&w->redis, w->db.dir);
    change(w, "INSERT INTO programs (id, name, currency, created_us, version) VALUES (1, 'P', 'EUR', 0, " VERSION ")");
    change(w, "INSERT INTO affiliates (id, program_id, name, email, status, created_us, updated_us, version)"
              " VALUES (4, 1, 'Zo\xc3\xab', 'a@b.c', 'approved', 0, 0, " VERSION ")");
    change(w, "INSERT INTO campaigns (id, program_id, name, fallback, created_us, version)"
              " VALUES (2, 1, 'C', 'https://shop.example/', 0, " VERSION ")");
    change(w, "INSERT INTO links (id, code, affiliate_id, campaign_id, destination, created_us, updated_us, version)"
              " VALUES (3, 'first', 4, 2, 'https://shop.example/?s={sub1}', 0, 0, " VERSION ")");
    change(w, "INSERT INTO api_users (id, program_id, name, role, scopes, created_us, version)"
              " VALUES (5, 1, 'shop', 'advertiser', '[\"conversions:write\",\"stats:read\",\"later:thing\"]', 0,"
              " " VERSION ")");
    change(w, "INSERT INTO api_keys (id, api_user_id, prefix, hash, created_us, version)"
              " VALUES (6, 5, 'aff_', x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 0, " VERSION
              ")");
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;
    if (w->publisher != NULL) {
        publisher_stop(w->publisher);
        pthread_join(w->thread, NULL);
        publisher_free(w->publisher);
    }
    free(w->bytes[0]);
    free(w->bytes[1]);
    test_redis_kill(&w->redis);
    test_database_close(&w->db);
    free(w);
    return 0;
}

/* ---- an edge ---- */

/* Fetches one file as the hash names it; false: a chunk is missing, or there is none. */
static bool
fetch_file(struct world *w, int which, const char *hash, size_t size, size_t chunks)
{
    size_t used = 0;
    free(w->bytes[which]);
    w->bytes[which] = malloc(size + 1);
    for (size_t n = 0; n < chunks; n++) {
        redisReply *reply = redisCommand(w->redis.client, "GET affiliate:snapshot:%s:%lu", hash, (unsigned long) n);
        bool ok = reply->type == REDIS_REPLY_STRING && used + (size_t) reply->len <= size;
        if (ok) {
            memcpy(w->bytes[which] + used, reply->str, (size_t) reply->len);
            used += (size_t) reply->len;
        }
        freeReplyObject(reply);
        if (!ok)
            return false;
    }
    const char *error = "";
    if (used != size || tracker_snapshot_open(w->bytes[which], size, &w->db.keys, &w->files[which], &error) != 0)
        fail_msg("a published file does not open: %s", error);
    return true;
}

static bool
fetch(struct world *w)
{
    redisReply *reply = redisCommand(w->redis.client, "HMGET affiliate:snapshot base_hash base_size base_chunks"
                                                      " delta_hash delta_size delta_chunks");
    bool ok = reply->element[0]->type == REDIS_REPLY_STRING
              && fetch_file(w, 0, reply->element[0]->str, strtoul(reply->element[1]->str, NULL, 10),
                            strtoul(reply->element[2]->str, NULL, 10));
    bool has_delta = ok && reply->element[3]->len > 0;
    if (has_delta)
        ok = fetch_file(w, 1, reply->element[3]->str, strtoul(reply->element[4]->str, NULL, 10),
                        strtoul(reply->element[5]->str, NULL, 10));
    freeReplyObject(reply);
    w->edge = (struct tracker_snapshot){ &w->files[0], has_delta ? &w->files[1] : NULL };
    if (ok && has_delta)
        assert_true(tracker_snapshot_fits(&w->files[0], &w->files[1]));
    return ok;
}

static bool
edge_link(struct world *w, const char *code, struct tracker_link_row *row)
{
    return fetch(w) && tracker_snapshot_link(&w->edge, (struct tracker_str){ code, strlen(code) }, row);
}

static bool
edge_user(struct world *w, struct tracker_api_user_row *user)
{
    return fetch(w) && tracker_snapshot_api_user(&w->edge, 5, user);
}

static bool
edge_key(struct world *w, struct tracker_api_key_row *row)
{
    uint8_t hash[TRACKER_API_KEY_HASH_LEN];
    for (int i = 0; i < TRACKER_API_KEY_HASH_LEN; i++)
        hash[i] = (uint8_t) i;
    return fetch(w) && tracker_snapshot_api_key(&w->edge, hash, row);
}

/* ---- stories ---- */

static void
an_edge_gets_what_the_database_has(void **state)
{
    struct world                *w = *state;
    struct tracker_link_row      link;
    struct tracker_program_row   program;
    struct tracker_campaign_row  campaign;
    struct tracker_affiliate_row affiliate;
    struct tracker_api_key_row   key;
    struct tracker_api_user_row  user;

    begin(w);
    TEST_AWAIT(edge_link(w, "first", &link));
    assert_null(w->edge.delta);
    assert_int_equal(link.id, 3);
    assert_int_equal(link.state, TRACKER_STATE_ACTIVE);
    assert_true((tracker_template_macros((const uint8_t *) link.destination.data, link.destination.len)
                 & (1u << TRACKER_MACRO_CLICK_ID)) != 0); /* appended, since nothing else said it */
    assert_true(tracker_snapshot_program(&w->edge, 1, &program));
    assert_int_equal(program.cookie_days, 30);
    assert_true(tracker_snapshot_campaign(&w->edge, 2, &campaign));
    assert_true(campaign.fallback.len > 0);
    assert_true(tracker_snapshot_affiliate(&w->edge, 4, &affiliate));
    assert_int_equal(affiliate.state, TRACKER_AFFILIATE_APPROVED);
    assert_true(tracker_str_eq(affiliate.name, TRACKER_STR("Zo\xc3\xab")));
    assert_true(edge_key(w, &key));
    assert_int_equal(key.state, TRACKER_STATE_ACTIVE);
    assert_int_equal(key.api_user, 5);
    assert_true(tracker_snapshot_api_user(&w->edge, 5, &user));
    assert_int_equal(user.scopes, TRACKER_SCOPE_CONVERSIONS_WRITE | TRACKER_SCOPE_STATS_READ);
    assert_int_equal(tracker_snapshot_version(&w->edge), 7);
}

/* Else whoever balances load by /readyz takes the daemon out at every change. */
static void
a_change_on_its_way_is_no_reason_to_be_unready(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;

    begin(w);
    TEST_AWAIT(publisher_ready(w->publisher));
    kill(w->redis.pid, SIGSTOP); /* it stays on its way for a while */
    change(w, "UPDATE links SET state = 'paused', version = " VERSION " WHERE id = 3");
    for (uint64_t at = test_monotonic_ms(); test_monotonic_ms() - at < 300;) {
        if (!publisher_ready(w->publisher)) {
            kill(w->redis.pid, SIGCONT);
            fail_msg("unready during a change");
        }
    }
    kill(w->redis.pid, SIGCONT);
    TEST_AWAIT(edge_link(w, "first", &link) && link.state == TRACKER_STATE_PAUSED);
    TEST_AWAIT(publisher_ready(w->publisher));
}

static void
a_change_is_there_within_a_second(void **state)
{
    struct world              *w = *state;
    struct tracker_link_row    link;
    struct tracker_api_key_row key;
    struct tracker_api_user_row user;

    begin(w);
    TEST_AWAIT(edge_link(w, "first", &link));
    for (int i = 0; i < 5; i++) {
        uint64_t    at = test_monotonic_ms();
        const char *states[] = { "paused", "active" };
        char        sql[128];
        snprintf(sql, sizeof(sql), "UPDATE links SET state = '%s', version = " VERSION " WHERE id = 3", states[i % 2]);
        change(w, sql);
        TEST_AWAIT(edge_link(w, "first", &link) && (link.state == TRACKER_STATE_PAUSED) == (i % 2 == 0));
        assert_true(test_monotonic_ms() - at < 1000);
        assert_non_null(w->edge.delta);
    }

    change(w, "UPDATE api_users SET state = 'paused', version = " VERSION " WHERE id = 5");
    TEST_AWAIT(edge_user(w, &user) && user.state == TRACKER_STATE_PAUSED);
    change(w, "UPDATE api_users SET state = 'active', expires_us = 1714564800123456, version = " VERSION);
    TEST_AWAIT(edge_user(w, &user) && user.state == TRACKER_STATE_ACTIVE && user.expires_ms == 1714564800123);
    change(w, "UPDATE api_keys SET state = 'revoked', version = " VERSION);
    TEST_AWAIT(edge_key(w, &key) && key.state == TRACKER_STATE_ARCHIVED);
}

static void
one_bad_row_stops_nobody(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;

    change(w, "INSERT INTO links (id, code, affiliate_id, campaign_id, destination, created_us, updated_us, version)"
              " VALUES (7, 'bad', 4, 2, 'ftp://nowhere', 0, 0, " VERSION ")");
    change(w, "INSERT INTO links (id, code, affiliate_id, campaign_id, destination, created_us, updated_us, version)"
              " VALUES (8, 'not a code', 4, 2, 'https://shop.example/', 0, 0, " VERSION ")");
    change(w, "INSERT INTO links (id, code, affiliate_id, campaign_id, destination, created_us, updated_us, version)"
              " VALUES (5000000000, 'large', 4, 2, 'https://shop.example/', 0, 0, " VERSION ")");
    change(w, "INSERT INTO links (id, code, affiliate_id, campaign_id, destination, rules, created_us, updated_us, version)"
              " VALUES (9, 'unruly', 4, 2, 'https://shop.example/', '[{\"targets\":7}]', 0, 0, " VERSION ")");
    change(w, "INSERT INTO campaigns (id, program_id, name, deep_link_hosts, created_us, version)"
              " VALUES (9, 1, 'D', 'shop.example', 0, " VERSION ")");
    change(w, "INSERT INTO api_users (id, program_id, name, role, ranges, created_us, version)"
              " VALUES (9, 1, 'A', 'advertiser', '[\"192.0.2.0/99\"]', 0, " VERSION ")");
    change(w, "UPDATE affiliates SET name = printf('%.127c', 'x') || '\xc3\xab', version = " VERSION);
    begin(w);
    TEST_AWAIT(edge_link(w, "first", &link));
    assert_false(tracker_snapshot_link(&w->edge, TRACKER_STR("bad"), &link));
    assert_false(tracker_snapshot_link(&w->edge, TRACKER_STR("unruly"), &link));
    struct tracker_campaign_row campaign;
    assert_false(tracker_snapshot_campaign(&w->edge, 9, &campaign));
    struct tracker_api_user_row user;
    assert_false(tracker_snapshot_api_user(&w->edge, 9, &user));
    assert_false(tracker_snapshot_link(&w->edge, TRACKER_STR("large"), &link));
    struct tracker_affiliate_row affiliate;
    assert_true(tracker_snapshot_affiliate(&w->edge, 4, &affiliate));
    assert_int_equal(affiliate.name.len, 127); /* cut between characters */
}

static void
an_emptied_redis_is_filled_again(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;

    begin(w);
    TEST_AWAIT(edge_link(w, "first", &link));
    change(w, "UPDATE links SET state = 'paused', version = " VERSION);
    TEST_AWAIT(edge_link(w, "first", &link) && link.state == TRACKER_STATE_PAUSED);

    test_redis_do(&w->redis, "FLUSHALL");
    assert_false(fetch(w));
    TEST_AWAIT(edge_link(w, "first", &link) && link.state == TRACKER_STATE_PAUSED);

    /* Only a chunk is lost. */
    redisReply *reply = redisCommand(w->redis.client, "HGET affiliate:snapshot base_hash");
    test_redis_do(&w->redis, "DEL affiliate:snapshot:%s:0", reply->str);
    freeReplyObject(reply);
    assert_false(fetch(w));
    TEST_AWAIT(fetch(w));

    test_redis_kill(&w->redis);
    test_redis_start(&w->redis);
    TEST_AWAIT(edge_link(w, "first", &link));
}

static void
many_changes_make_a_new_base_and_old_chunks_go(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;
    char                    old[64];

    begin(w);
    TEST_AWAIT(edge_link(w, "first", &link));
    redisReply *reply = redisCommand(w->redis.client, "HGET affiliate:snapshot base_hash");
    snprintf(old, sizeof(old), "%s", reply->str);
    freeReplyObject(reply);

    /* Some 2.6 MB: several chunks. */
    change(w, "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)"
              " INSERT INTO links (id, code, affiliate_id, campaign_id, destination, created_us, updated_us, version)"
              " SELECT i, 'code' || i, 4, 2, 'https://shop.example/' || printf('%.100c', 'x') || i, 0, 0, " VERSION
              " FROM n");
    TEST_AWAIT(edge_link(w, "code15000", &link));
    assert_null(w->edge.delta);
    assert_true(w->files[0].len > 2 << 20);
    assert_int_equal(w->files[0].info.links, 14902);
    TEST_AWAIT(test_redis_do(&w->redis, "TTL affiliate:snapshot:%s:0", old) > 0);

    /* A few after that are a delta again. */
    change(w, "UPDATE links SET state = 'paused', version = " VERSION " WHERE id < 200");
    TEST_AWAIT(edge_link(w, "code150", &link) && link.state == TRACKER_STATE_PAUSED);
    assert_non_null(w->edge.delta);
    assert_true(w->files[1].len < 100000);
}

/* What an edge that has this snapshot says of a User-Agent; false: it has no list. */
static bool
edge_agent(struct world *w, const char *user_agent, struct tracker_agent *agent)
{
    struct tracker_str list;

    if (!fetch(w) || (list = tracker_snapshot_blob(&w->edge, TRACKER_BLOB_AGENTS)).len == 0)
        return false;
    tracker_agents_classify((const uint8_t *) list.data, list.len,
                            (struct tracker_str){ user_agent, strlen(user_agent) }, agent);
    return true;
}

/* Renamed into place, as docs/detection.md asks. */
static void
put_list(const struct world *w, const char *path, const char *text)
{
    char  temporary[96];
    FILE *file;

    snprintf(temporary, sizeof(temporary), "%s/list.tmp", w->db.dir);
    assert_non_null(file = fopen(temporary, "w"));
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

/* A list that was only put into later bases, or whose change waited for one, would go unseen for an hour. */
static void
lists_travel_and_an_operators_changes_too(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;
    struct tracker_agent    agent;
    char                    path[96];

    snprintf(path, sizeof(path), "%s/agents.txt", w->db.dir);
    w->agents_path = path;
    put_list(w, path, "bot robot\nthis is no list\n");
    begin(w);
    TEST_AWAIT(edge_agent(w, "Mozilla/5.0 (compatible; Googlebot/2.1)", &agent));
    assert_int_equal(agent.kind, TRACKER_AGENT_BOT);
    assert_int_equal(tracker_snapshot_blob(&w->edge, TRACKER_BLOB_DATACENTRES).len % 4, 0);
    assert_true(tracker_snapshot_blob(&w->edge, TRACKER_BLOB_DATACENTRES).len > 400);

    put_list(w, path, "preview Googlebot\n");
    TEST_AWAIT(edge_agent(w, "Googlebot", &agent) && agent.kind == TRACKER_AGENT_PREVIEW);

    /* a bad one changes nothing, and other changes go on on top */
    put_list(w, path, "preview\n");
    change(w, "UPDATE links SET state = 'paused', version = " VERSION);
    TEST_AWAIT(edge_link(w, "first", &link) && link.state == TRACKER_STATE_PAUSED);
    assert_true(edge_agent(w, "Googlebot", &agent) && agent.kind == TRACKER_AGENT_PREVIEW);

    put_list(w, path, "# nobody is a bot\n");
    TEST_AWAIT(edge_agent(w, "Googlebot", &agent) && agent.kind == TRACKER_AGENT_PERSON);
    assert_true(edge_link(w, "first", &link) && link.state == TRACKER_STATE_PAUSED);
}

/* How often the publisher has begun to put something since CONFIG RESETSTAT. */
static int
tries(struct world *w)
{
    redisReply *reply = redisCommand(w->redis.client, "INFO commandstats");
    const char *calls = strstr(reply->str, "cmdstat_hmget:calls=");
    int         count = calls == NULL ? 0 : atoi(calls + strlen("cmdstat_hmget:calls="));

    freeReplyObject(reply);
    return count;
}

/* Neither a snapshot that no Redis shall carry nor a full Redis may keep publisher and server busy. */
static void
what_is_refused_is_offered_slowly(void **state)
{
    struct world           *w = *state;
    struct tracker_link_row link;

    test_redis_do(&w->redis, "CONFIG SET maxmemory 1");
    begin(w);
    TEST_AWAIT(tries(w) > 0);
    test_sleep_ms(2000);
    assert_in_range(tries(w), 2, 6); /* after 200, 400, 800 ms ...; without a pause it would be 10 */
    test_redis_do(&w->redis, "CONFIG SET maxmemory 0");
    TEST_AWAIT(edge_link(w, "first", &link));
}

static void
what_is_too_large_is_not_offered(void **state)
{
    struct world *w = *state;

    w->file_max = 1000;
    begin(w);
    TEST_AWAIT(test_redis_do(&w->redis, "CLIENT KILL TYPE normal SKIPME yes") > 0); /* it is connected */
    test_redis_do(&w->redis, "CONFIG RESETSTAT");
    test_sleep_ms(1000);
    assert_int_equal(tries(w), 0);
    assert_false(publisher_ready(w->publisher));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_edge_gets_what_the_database_has, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_on_its_way_is_no_reason_to_be_unready, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_there_within_a_second, setup, teardown),
        cmocka_unit_test_setup_teardown(one_bad_row_stops_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(an_emptied_redis_is_filled_again, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_travel_and_an_operators_changes_too, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused_is_offered_slowly, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_too_large_is_not_offered, setup, teardown),
        cmocka_unit_test_setup_teardown(many_changes_make_a_new_base_and_old_chunks_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
