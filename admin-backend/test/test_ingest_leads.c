/*
 * Leads on the wire: from the stream to the row, decided, and the verdict back.
 *
 * What this guards: words of people cut, joined or lost on their way; a payload that no edge of ours writes and that
 * becomes a row all the same; a lead that is committed and never decided because a process died in between; a verdict
 * that nobody could tell from a forged one, or that comes when nobody waits any more.
 */
#include "test_ingest.h"

#include "service/catalog.h"

/* One text of one row; "" when there is none. */
struct wanted {
    const char *sql;
    char        text[512];
};

static enum db_result
wanted_read(struct db *db, void *ctx)
{
    struct wanted  *wanted = ctx;
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, wanted->sql, "");

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    snprintf(wanted->text, sizeof(wanted->text), "%s", db_text(row, "t"));
    db_end(row);
    return DB_OK;
}

static void
text_is(struct world *w, const char *sql, const char *expected)
{
    struct wanted wanted = { .sql = sql };
    assert_int_equal(db_read(w->db.pool, wanted_read, &wanted), DB_OK);
    assert_string_equal(wanted.text, expected);
}

/* Words of people as they wrote them, several values of one name, and who sent it: nothing of it may get lost here. */
static void
leads_arrive_word_for_word(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);
    char              uid[TRACKER_LEAD_HEX_LEN + 1], sql[256];
    const char *const fields[] = { "email", "ada@example.com", "colour", "red", "first_name", "A\"d\\a\n", "colour",
                                   "gr\xc3\xbcn", "note", "", NULL };

    edge->kind = TRACKER_JOURNAL_MONEY;
    struct tracker_lead lead = {
        .kind = TRACKER_LEAD_API, .auth = TRACKER_AUTH_API_KEY, .program = 1, .api_user = 2, .affiliate = 3,
        .flags = TRACKER_LEAD_SPAM, .key = TRACKER_STR("order 17"),
        .click_id = TRACKER_STR("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abc"),
        .ip = { "\xc0\x00\x02\x01", 4 }, .user_agent = TRACKER_STR("curl/7.88"), .language = TRACKER_STR("de"),
        .referrer = TRACKER_STR("https://partner.example/"),
    };
    test_edge_lead(edge, lead, fields, uid);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 1);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 2));
    snprintf(sql, sizeof(sql), "SELECT count(*) AS n FROM lead_facts WHERE lead_uid = '%s' AND kind = 1 AND auth = 1"
                               " AND api_user_id = 2 AND form_id IS NULL AND affiliate_id = 3 AND flags = 3", uid);
    assert_int_equal(test_int(w->db.pool, sql), 1);
    text_is(w, "SELECT fields AS t FROM lead_facts",
            "{\"email\":\"ada@example.com\",\"colour\":[\"red\",\"gr\xc3\xbcn\"],\"first_name\":\"A\\\"d\\\\a\\u000a\","
            "\"note\":\"\"}");
    text_is(w, "SELECT idempotency_key || '|' || click_id || '|' || language || '|' || user_agent || '|' || referrer AS t"
               " FROM lead_facts",
            "order 17|0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abc|de|curl/7.88|https://partner.example/");
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM lead_facts WHERE ip = x'c0000201'"), 1);
    books_balance(w);
    test_edge_free(edge);
}

/* A lead that its own edge could not have written, and a line of the log with a code that would break out of a page. */
static void
hostile_leads_and_calls_are_set_aside(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);
    uint8_t           id[TRACKER_LEAD_ID_LEN], content[16], pairs[TRACKER_LEAD_FIELDS_MAX], payload[TRACKER_EVENT_MAX];
    const char *const fields[] = { "email", "ada@example.com", NULL };
    struct tracker_lead lead = { .kind = TRACKER_LEAD_FORM, .program = 1, .form = 2 };
    struct tracker_api_call call = {
        .api_user = 7, .program = 1, .count = 3, .status = 403, .code = TRACKER_STR("key_expired"),
        .method = TRACKER_STR("POST"), .path = TRACKER_STR("/api/v1/leads"), .key_prefix = TRACKER_STR("aff_12ab"),
        .ip = { "\xc0\x00\x02\x01", 4 }, .user_agent = TRACKER_STR("\xff\xfe"),
    };
    char   uid[TRACKER_LEAD_HEX_LEN + 1];
    size_t len, good;

    test_edge_lead(edge, lead, fields, uid); /* 1: sound */
    test_edge_make_lead(edge, &lead, fields, id, content, pairs);
    good = tracker_lead_encode(&lead, payload, sizeof(payload));
    for (len = 0; len < good; len++) /* cut anywhere */
        test_edge_record(edge, TRACKER_EVENT_LEAD, payload, len);
    lead.program = 0;
    good = tracker_lead_encode(&lead, payload, sizeof(payload));
    test_edge_record(edge, TRACKER_EVENT_LEAD, payload, good);
    uint64_t first_call = edge->next;
    good = tracker_api_call_encode(&call, payload, sizeof(payload));
    assert_true(good > 0);
    test_edge_record(edge, TRACKER_EVENT_API_CALL, payload, good);
    test_edge_record(edge, TRACKER_EVENT_API_CALL, payload, good - 1);
    call.status = 999999;
    good = tracker_api_call_encode(&call, payload, sizeof(payload));
    test_edge_record(edge, TRACKER_EVENT_API_CALL, payload, good);

    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, (uint32_t) edge->next - 1);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, edge->next));
    /* What ends between two fields is a smaller lead; without id, content or program none is left. */
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM lead_facts WHERE program_id = 0"
                                          " OR length(content) <> 16 OR length(lead_uid) <> 32"),
                     0);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM lead_facts WHERE fields <> '{}'"), 1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM api_calls"), 1);
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM api_calls WHERE count = 3 AND status = 403"
                                          " AND code = 'key_expired' AND key_prefix = 'aff_12ab' AND lead_uid IS NULL"),
                     (int64_t) first_call);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM quarantine WHERE reason <> 'bad_payload'"), 0);
    books_balance(w);
    test_edge_free(edge);
}

/* ---- decided at once ---- */

/* A program, and an API user of it; both are 1. */
static void
make_sender(struct world *w)
{
    struct service_error error = { .fields = NULL };
    int64_t              program;

    assert_int_equal(program_ensure(&w->db.service, &program, &error), SERVICE_OK);
    test_run(w->db.pool, "INSERT INTO api_users (program_id, name, role, scopes, state, created_us, version)"
                         " VALUES (1, 'partner', 'advertiser', '[]', 'active', 1, 1)");
}

/* What Redis holds for that lead, verified; false: nothing. */
static bool
told(struct world *w, const char *uid, struct tracker_verdict *verdict)
{
    uint8_t     id[TRACKER_LEAD_ID_LEN];
    redisReply *reply = redisCommand(w->redis.client, "GET " TRACKER_VERDICT_KEY "%s", uid);
    bool        there = reply != NULL && reply->type == REDIS_REPLY_STRING;

    if (there) {
        assert_true(tracker_lead_parse((struct tracker_str){ uid, strlen(uid) }, id));
        assert_true(tracker_verdict_decode(&w->db.keys, id, (struct tracker_str){ reply->str, (size_t) reply->len },
                                           verdict));
    }
    freeReplyObject(reply);
    return there;
}

static void
a_lead_is_decided_and_told(void **state)
{
    struct world          *w = *state;
    struct test_edge      *edge = test_edge_new(&w->db.keys, 2);
    struct tracker_lead    lead = { .kind = TRACKER_LEAD_API, .auth = TRACKER_AUTH_API_KEY, .program = 1, .api_user = 1 };
    struct tracker_verdict verdict;
    char                   uids[3][TRACKER_LEAD_HEX_LEN + 1], hex[TRACKER_LEAD_HEX_LEN + 1] = "";
    const char *const      ada[] = { "email", "ada@example.com", NULL }, *const again[] = { "email", "ADA@example.com", NULL };
    const char *const      nobody[] = { "email", "nobody", NULL };

    make_sender(w);
    test_edge_lead(edge, lead, ada, uids[0]);
    test_edge_lead(edge, lead, again, uids[1]);
    test_edge_lead(edge, lead, nobody, uids[2]);
    ingest_begin(w);
    TEST_AWAIT(ingest_ready(w->ingest));
    int64_t begun = test_monotonic_ms();
    test_edge_send(edge, &w->redis, 1, 3);
    TEST_AWAIT(told(w, uids[2], &verdict));
    print_message("# three leads, told after %lld ms\n", (long long) (test_monotonic_ms() - begun));
    assert_int_equal(verdict.verdict, TRACKER_LEAD_INVALID);
    assert_true(told(w, uids[0], &verdict));
    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_true(told(w, uids[1], &verdict));
    assert_int_equal(verdict.verdict, TRACKER_LEAD_DUPLICATE);
    tracker_lead_hex(verdict.lead, hex);
    assert_string_equal(hex, uids[0]);
    assert_in_range(test_redis_do(&w->redis, "TTL affiliate:verdict:%s", uids[0]), TRACKER_VERDICT_LIFE_S - 60,
                    TRACKER_VERDICT_LIFE_S);

    /* Redis forgets; the same lead again, which an edge had journalled twice, is told again. */
    test_redis_do(&w->redis, "DEL affiliate:verdict:%s", uids[0]);
    test_edge_lead(edge, lead, ada, uids[0]);
    test_edge_send(edge, &w->redis, 4, 1);
    TEST_AWAIT(told(w, uids[0], &verdict));
    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(verdict.flags, TRACKER_VERDICT_REPEATED);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM leads"), 1);
    books_balance(w);
    test_edge_free(edge);
}

/* The facts are committed, and whoever was to decide them is dead. */
static void
what_a_dead_process_left_is_decided(void **state)
{
    struct world       *w = *state;
    struct test_edge   *edge = test_edge_new(&w->db.keys, 2);
    struct tracker_lead lead = { .kind = TRACKER_LEAD_API, .auth = TRACKER_AUTH_API_KEY, .program = 1, .api_user = 1 };
    struct tracker_verdict verdict;
    char                uid[100][TRACKER_LEAD_HEX_LEN + 1], email[64];

    make_sender(w);
    db_pool_close(w->db.pool);
    w->db.pool = NULL;
    for (int i = 0; i < 100; i++) {
        const char *const fields[] = { "email", email, NULL };
        snprintf(email, sizeof(email), "p%d@example.com", i);
        test_edge_lead(edge, lead, fields, uid[i]);
    }
    test_edge_send(edge, &w->redis, 1, 100);
    doomed_ingest(w, INGEST_AFTER_COMMIT, 1);
    test_database_reopen(&w->db);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM lead_facts WHERE outcome IS NULL"), 100);
    ingest_begin(w);
    for (int i = 0; i < 100; i++)
        TEST_AWAIT(told(w, uid[i], &verdict));
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM leads"), 100);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM lead_facts WHERE outcome IS NULL"), 0);
    books_balance(w);
    test_edge_free(edge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(leads_arrive_word_for_word),
        STORY(hostile_leads_and_calls_are_set_aside),
        STORY(a_lead_is_decided_and_told),
        STORY(what_a_dead_process_left_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
