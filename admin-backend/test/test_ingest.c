/*
 * The wire's last metre: Redis Streams to committed facts, and acks back.
 *
 * What this guards, because each of it would lose or double money and stay
 * unseen for weeks: an ack before its COMMIT; a pack applied twice because the
 * fence was not in the same transaction; a cursor that waits for ids an emptied
 * Redis will never reach; a restored database whose edges go on as if nothing had
 * been; two machines under one journal id; a gap that blocks what lies behind it;
 * rubbish in the stream that stops everybody; a full disk that is acked.
 *
 * A real redis-server and a real database file; consumers are killed with SIGKILL.
 */
#include "test_ingest.h"

#include "store/click.h"

static void
fill(struct test_edge *edge, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        test_edge_some_click(edge, (unsigned) edge->next);
}

static unsigned
draw(struct world *w, unsigned below)
{
    w->seed = w->seed * 1103515245u + 12345u;
    return (w->seed >> 16) % below;
}

/* ---- order ---- */

static void
packs_in_order_become_rows(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 3);
    fill(edge, 300);
    ingest_begin(w);
    for (uint64_t at = 1; at < 300; at += 60)
        test_edge_send(edge, &w->redis, at, 60);

    TEST_AWAIT(test_edge_acked(edge, &w->redis, 301));
    TEST_AWAIT(waiting(w) == 0);
    assert_int_equal(clicks(w), 300);
    assert_int_equal(test_int(w->db.pool, "SELECT accepted AS n FROM journals"), 300);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM user_agents"), 50);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM quarantine"), 0);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM clicks WHERE params ="
                                          " '{\"source\":\"newsletter\",\"sub1\":\"value-' || seq || '\"}'"),
                     300);
    books_balance(w);
    test_edge_free(edge);
}

struct stored_id {
    uint8_t bytes[CLICK_ID_BYTES];
};

static enum db_result
stored_id_read(struct db *db, void *ctx)
{
    struct db_stmt *stmt;
    size_t          len;
    assert_int_equal(db_query(db, &stmt, "SELECT click_id FROM clicks WHERE seq = 2", ""), DB_ROW);
    const void *bytes = db_bytes(stmt, "click_id", &len);
    assert_int_equal(len, CLICK_ID_BYTES);
    memcpy(ctx, bytes, len);
    db_end(stmt);
    return DB_OK;
}

static void
a_click_keeps_the_id_that_the_visitor_got(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 1);
    struct stored_id  stored;
    char              text[TRACKER_CLICK_ID_LEN], expected[TRACKER_CLICK_ID_LEN];

    fill(edge, 2);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 2);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 3));

    struct tracker_click_id id = {
        .time_ms = edge->time_ms, .journal = tracker_journal_id_short(&edge->id), .sequence = 2,
        .link = 3 + 2 % 5, .key = 0, .recorded = true,
    };
    tracker_click_id_encode(&w->db.keys, &id, expected);
    assert_int_equal(db_read(w->db.pool, stored_id_read, &stored), DB_OK);
    click_id_unpack(stored.bytes, text);
    assert_memory_equal(text, expected, sizeof(text));
    test_edge_free(edge);
}

static void
packs_twice_and_shuffled_become_rows_once(void **state)
{
    struct world     *w = *state;
    struct test_edge *edges[5];
    struct { uint8_t edge; uint16_t first; } packs[5 * 40 * 3];
    size_t            count = 0;

    print_message("# TEST_SEED=%u\n", w->seed);
    for (unsigned e = 0; e < 5; e++) {
        edges[e] = test_edge_new(&w->db.keys, e + 10);
        fill(edges[e], 400);
        for (unsigned p = 0; p < 40; p++) {
            for (int copy = 0; copy < 3; copy++)
                packs[count++] = (typeof(packs[0])){ (uint8_t) e, (uint16_t) (p * 10 + 1) };
        }
    }
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = draw(w, (unsigned) i + 1);
        typeof(packs[0]) swap = packs[i];
        packs[i] = packs[j];
        packs[j] = swap;
    }

    ingest_begin(w);
    for (size_t i = 0; i < count; i++)
        test_edge_send(edges[packs[i].edge], &w->redis, packs[i].first, 10);
    /* What came too early was refused and not kept: the edge goes back to the ack. */
    for (unsigned e = 0; e < 5; e++) {
        struct tracker_ack ack = { .next = 0 };
        TEST_AWAIT(waiting(w) == 0 && test_edge_ack(edges[e], &w->redis, &ack));
        for (uint64_t at = ack.next; at <= 400; at += 10)
            test_edge_send(edges[e], &w->redis, at, (uint32_t) (at + 10 <= 401 ? 10 : 401 - at));
        TEST_AWAIT(test_edge_acked(edges[e], &w->redis, 401));
    }
    assert_int_equal(clicks(w), 5 * 400);
    books_balance(w);
    for (unsigned e = 0; e < 5; e++)
        test_edge_free(edges[e]);
}

static void
a_pack_too_early_is_asked_for_once_a_position(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 2);
    struct tracker_ack ack;

    fill(edge, 100);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 10);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 11));
    for (int i = 0; i < 20; i++) {
        test_edge_send(edge, &w->redis, 31 + (uint64_t) i, 5);
        if (i % 5 == 0)
            TEST_AWAIT(waiting(w) == 0);
    }
    TEST_AWAIT(waiting(w) == 0);
    assert_true(test_edge_ack(edge, &w->redis, &ack));
    assert_int_equal(ack.resend, 1); /* test's clock stands still: no second asking */
    assert_int_equal(ack.next, 11);

    test_clock_us += 1100000; /* half a second and the jitter are over */
    test_edge_send(edge, &w->redis, 61, 5);
    TEST_AWAIT(test_edge_ack(edge, &w->redis, &ack) && ack.resend == 2);
    test_edge_send(edge, &w->redis, 5, 96);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    assert_int_equal(clicks(w), 100);
    books_balance(w);
    test_edge_free(edge);
}

/* ---- kills ---- */

/* What was told is in the database, at whatever point the consumer died. */
static void
no_ack_is_ahead(struct world *w, struct test_edge *edge)
{
    struct tracker_ack ack;
    char              *error, sql[128];

    if (!test_edge_ack(edge, &w->redis, &ack))
        return;
    struct db_pool *pool = db_pool_open_readers(w->db.url, 1, &error);
    assert_non_null(pool);
    snprintf(sql, sizeof(sql), "SELECT next_seq AS n FROM journals WHERE short_id = %lld",
             (long long) tracker_journal_id_short(&edge->id));
    assert_true((int64_t) ack.next <= test_int(pool, sql));
    db_pool_close(pool);
}

static void
killed_around_commit(struct world *w, enum ingest_step step)
{
    struct test_edge *edges[3];

    db_pool_close(w->db.pool); /* the child is the one writer */
    w->db.pool = NULL;
    for (unsigned e = 0; e < 3; e++) {
        edges[e] = test_edge_new(&w->db.keys, e + 20);
        fill(edges[e], 500);
    }
    for (int round = 0; round < 4; round++) {
        for (unsigned e = 0; e < 3; e++) {
            for (int i = 0; i < 5; i++)
                test_edge_send(edges[e], &w->redis, (uint64_t) (round * 125 + i * 25 + 1), 25);
        }
        doomed_ingest(w, step, 1);
        for (unsigned e = 0; e < 3; e++)
            no_ack_is_ahead(w, edges[e]);
    }

    test_database_reopen(&w->db);
    ingest_begin(w);
    for (unsigned e = 0; e < 3; e++)
        TEST_AWAIT(test_edge_acked(edges[e], &w->redis, 501));
    TEST_AWAIT(waiting(w) == 0);
    assert_int_equal(clicks(w), 1500);
    books_balance(w);
    for (unsigned e = 0; e < 3; e++)
        test_edge_free(edges[e]);
}

static void
killed_before_commit(void **state)
{
    killed_around_commit(*state, INGEST_BEFORE_COMMIT);
}

static void
killed_between_commit_and_ack(void **state)
{
    killed_around_commit(*state, INGEST_AFTER_COMMIT);
}

static void
killed_between_ack_and_deletion(void **state)
{
    killed_around_commit(*state, INGEST_AFTER_ACK);
}

/* ---- Redis ---- */

static void
an_emptied_redis_is_read_from_its_start(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 5);
    struct tracker_ack ack;
    static uint8_t     out[TRACKER_PACK_BODY_MAX + TRACKER_PACK_OVERHEAD];

    fill(edge, 100);
    ingest_begin(w);
    /* The cursor gets far ahead of the clock, as after a fail-over to a server whose clock is behind. */
    size_t len = test_edge_seal(edge, TRACKER_PACK_DATA, 1, 50, TRACKER_GAP_HOLE, out, sizeof(out));
    test_redis_do(&w->redis, "XADD affiliate:events:{5} 9999999999999-7 p %b", out, len);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 51));

    test_redis_do(&w->redis, "FLUSHALL");
    assert_false(test_edge_ack(edge, &w->redis, &ack)); /* the fault bit */
    test_edge_send(edge, &w->redis, 51, 50);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    assert_int_equal(clicks(w), 100);

    /* Nothing new comes: the acks of open journals come back by themselves, and so does the heartbeat. */
    test_redis_do(&w->redis, "FLUSHALL");
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    TEST_AWAIT(test_redis_do(&w->redis, "EXISTS affiliate:consumer:{5}") == 1);
    books_balance(w);
    test_edge_free(edge);
}

static void
a_killed_redis_is_met_again(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 6);
    struct tracker_ack before, after;

    fill(edge, 100);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 50);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 51));
    test_edge_ack(edge, &w->redis, &before);

    for (int i = 0; i < 3; i++) {
        test_redis_kill(&w->redis);
        test_sleep_ms(30);
        test_redis_start(&w->redis); /* empty: nothing is persisted */
        TEST_AWAIT(test_edge_acked(edge, &w->redis, 51));
    }
    test_edge_ack(edge, &w->redis, &after);
    assert_true(after.incarnation == before.incarnation); /* the consumer has lived on */
    test_edge_send(edge, &w->redis, 51, 50);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    assert_int_equal(clicks(w), 100);
    test_edge_free(edge);
}

static void
the_heartbeat_tells_life_and_cursor(void **state)
{
    struct world            *w = *state;
    struct test_edge        *edge = test_edge_new(&w->db.keys, 4);
    struct tracker_heartbeat beat = { .beat = 0 };
    struct tracker_ack       ack;
    uint64_t                 beats = 0;

    fill(edge, 10);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 10);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 11));
    uint64_t until = test_monotonic_ms() + 20000;
    while (beats < 2 && test_monotonic_ms() < until) {
        redisReply *reply = redisCommand(w->redis.client, "GET affiliate:consumer:{4}");
        uint64_t last = beat.beat;
        if (reply->type == REDIS_REPLY_STRING) {
            struct tracker_str text = { reply->str, (size_t) reply->len };
            assert_true(tracker_heartbeat_decode(&w->db.keys, 4, text, &beat));
            assert_false(tracker_heartbeat_decode(&w->db.keys, 5, text, &(struct tracker_heartbeat){ 0 }));
            beats += beat.beat > last && beat.cursor.ms > 0 && beat.idle;
        }
        freeReplyObject(reply);
        test_sleep_ms(20);
    }
    assert_int_equal(beats, 2);
    test_edge_ack(edge, &w->redis, &ack);
    assert_true(beat.incarnation == ack.incarnation && ack.incarnation != 0);
    test_edge_free(edge);
}

/* ---- databases ---- */

static void
copy_file(const char *dir, const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof(command), "cp %s/%s %s/%s", dir, from, dir, to);
    assert_int_equal(system(command), 0);
}

static void
yesterdays_database_gets_the_rest_again(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 7);
    struct tracker_ack first, second;

    fill(edge, 300);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 100);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    ingest_end(w);
    db_pool_close(w->db.pool); /* checkpoints: the file is whole */
    copy_file(w->db.dir, "test.db", "backup.db");

    test_database_reopen(&w->db);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 101, 150);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 251));
    test_edge_ack(edge, &w->redis, &first);
    ingest_end(w);
    db_pool_close(w->db.pool);
    copy_file(w->db.dir, "backup.db", "test.db");

    test_database_reopen(&w->db);
    assert_int_equal(clicks(w), 100); /* the fault bit */
    ingest_begin(w);
    /* Without a word from the edge it is told: another life, and how far that one is. */
    TEST_AWAIT(test_edge_ack(edge, &w->redis, &second) && second.incarnation != first.incarnation);
    assert_int_equal(second.next, 101);
    test_edge_send(edge, &w->redis, 101, 200);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 301));
    assert_int_equal(clicks(w), 300);
    books_balance(w);
    test_edge_free(edge);
}

static enum db_result
page_limit_work(struct db *db, void *ctx)
{
    struct db_stmt *stmt;
    enum db_result  result = db_query(db, &stmt, ctx, "");
    db_end(stmt);
    return result == DB_ROW ? DB_OK : result;
}

static void
a_full_disk_is_not_acked(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 2);
    struct tracker_ack ack;

    fill(edge, 5000);
    assert_int_equal(db_write(w->db.pool, DB_BATCH, page_limit_work, "PRAGMA max_page_count = 120"), DB_OK);
    ingest_begin(w);
    for (uint64_t at = 1; at < 5000; at += 500)
        test_edge_send(edge, &w->redis, at, 500);
    uint64_t until = test_monotonic_ms() + 700;
    while (test_monotonic_ms() < until) {
        assert_false(test_edge_ack(edge, &w->redis, &ack) && ack.next > 5000);
        test_sleep_ms(10);
    }
    assert_true(clicks(w) < 5000); /* the fault bit */
    books_balance(w);

    assert_int_equal(db_write(w->db.pool, DB_BATCH, page_limit_work, "PRAGMA max_page_count = 1000000"), DB_OK);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 5001));
    assert_int_equal(clicks(w), 5000);
    books_balance(w);
    test_edge_free(edge);
}

static void
a_record_that_cannot_be_stored_goes_alone(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);

    fill(edge, 200);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 10);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 11));
    /* Somebody wrote into the database what only ingest writes: these two can never be stored. */
    test_run(w->db.pool, "INSERT INTO clicks (journal_id, seq, time_ms, received_ms, program_id, campaign_id,"
                         " link_id, affiliate_id, flags, click_id, config_version) SELECT journal_id, seq + 90, time_ms,"
                         " received_ms, program_id, campaign_id, link_id, affiliate_id, flags, click_id, config_version"
                         " FROM clicks WHERE seq IN (1, 7)");
    test_edge_send(edge, &w->redis, 11, 190);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 201));
    assert_int_equal(clicks(w), 200); /* 198 of the wire, two strangers */
    assert_int_equal(test_int(w->db.pool, "SELECT committed AS n FROM journals"), 198);
    assert_int_equal(test_int(w->db.pool, "SELECT quarantined AS n FROM journals"), 2);
    assert_int_equal(test_int(w->db.pool, "SELECT sum(seq) AS n FROM quarantine WHERE reason = 'not_storable'"),
                     91 + 97);
    test_edge_free(edge);
}

/* ---- hostile and broken ---- */

static void
a_copied_journal_is_quarantined(void **state)
{
    struct world      *w = *state;
    struct test_edge  *edge = test_edge_new(&w->db.keys, 3), *clone = test_edge_new(&w->db.keys, 3);
    struct tracker_ack ack;

    fill(edge, 50);
    fill(clone, 50);
    for (unsigned i = 0; i < 50; i++) {
        test_edge_some_click(edge, i);
        test_edge_some_click(clone, i + 1000); /* another visitor */
    }
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 70);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 71));
    test_edge_send(clone, &w->redis, 1, 50); /* still one history: a mere copy */
    TEST_AWAIT(waiting(w) == 0);
    assert_int_equal(test_int(w->db.pool, "SELECT forked AS n FROM journals"), 0);

    for (int again = 0; again < 3; again++)
        test_edge_send(clone, &w->redis, 41, 40);
    TEST_AWAIT(test_edge_ack(edge, &w->redis, &ack) && ack.forked);
    TEST_AWAIT(waiting(w) == 0);
    assert_int_equal(ack.next, 71);
    assert_int_equal(clicks(w), 70);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM quarantine WHERE reason = 'journal_forked'"
                                          " AND seq = 41 AND count = 40"),
                     1);
    books_balance(w);

    /* The history that came first is carried to its end. */
    test_edge_send(edge, &w->redis, 71, 30);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    assert_int_equal(clicks(w), 100);
    books_balance(w);
    test_edge_free(edge);
    test_edge_free(clone);
}

static void
a_gap_is_counted_and_passed(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);

    fill(edge, 100);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 30);
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_GAP, 31, 20);
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_GAP, 31, 20);
    test_edge_send(edge, &w->redis, 51, 50);
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_CLOSE, 101, 0);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 101));
    TEST_AWAIT(test_int(w->db.pool, "SELECT closed AS n FROM journals") == 1);
    assert_int_equal(clicks(w), 80);
    assert_int_equal(test_int(w->db.pool, "SELECT lost AS n FROM journals"), 20);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM journal_gaps WHERE from_seq = 31 AND to_seq = 51"
                                          " AND reason = 'hole'"),
                     1);
    books_balance(w);

    /* A CLOSE is advisory: its journal turns out to be alive. */
    fill(edge, 10);
    test_edge_send(edge, &w->redis, 101, 10);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 111));
    assert_int_equal(test_int(w->db.pool, "SELECT closed AS n FROM journals"), 0);
    test_edge_free(edge);
}

/*
 * A folder that was copied while its edge wrote: the copy is torn, its adopter reads to the end and calls records
 * lost that the living owner is about to ship.  Believed, they would be cut as repetitions for ever.
 */
static void
a_gap_that_another_tells_waits_for_the_owners_silence(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);

    fill(edge, 100);
    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 30);
    edge->adopter = true;
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_GAP, 31, 20);
    test_edge_send(edge, &w->redis, 51, 10); /* asks for a resend: 31 is still to come */
    edge->adopter = false;
    TEST_AWAIT(waiting(w) == 0);
    assert_true(test_edge_acked(edge, &w->redis, 31));
    assert_int_equal(test_int(w->db.pool, "SELECT lost AS n FROM journals"), 0);
    test_edge_send(edge, &w->redis, 31, 30);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 61));
    assert_int_equal(clicks(w), 60);

    /* The owner's last word, then silence: the same claim is true after a while, and only then. */
    test_clock_us += 14999999;
    edge->adopter = true;
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_GAP, 61, 20);
    TEST_AWAIT(waiting(w) == 0);
    assert_true(test_edge_acked(edge, &w->redis, 61));
    test_clock_us += 2;
    test_edge_send_kind(edge, &w->redis, TRACKER_PACK_GAP, 61, 20);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 81));
    assert_int_equal(test_int(w->db.pool, "SELECT lost AS n FROM journals"), 20);
    books_balance(w);
    test_edge_free(edge);
}

static void
rubbish_in_the_stream_stops_nobody(void **state)
{
    struct world       *w = *state;
    struct test_edge   *edge = test_edge_new(&w->db.keys, 2);
    struct tracker_keys strangers;
    const char         *error;
    int                 line;
    static uint8_t      out[TRACKER_PACK_BODY_MAX + TRACKER_PACK_OVERHEAD];

    fill(edge, 20);
    size_t len = test_edge_seal(edge, TRACKER_PACK_DATA, 1, 20, TRACKER_GAP_HOLE, out, sizeof(out));
    test_redis_do(&w->redis, "XADD affiliate:events:{2} * x y");
    test_redis_do(&w->redis, "XADD affiliate:events:{2} * p %b", "AFP1", (size_t) 4);
    test_redis_do(&w->redis, "XADD affiliate:events:{2} * p %b", out, len - 1);
    out[len / 2] ^= 1;
    test_edge_xadd(edge, &w->redis, out, len);
    out[len / 2] ^= 1;

    /* Sealed with a key that only a stranger has: under an id of ours, and under one we lack. */
    char text[96];
    assert_true(tracker_keys_generate(text, 0, true) > 0);
    assert_int_equal(tracker_keys_parse(&strangers, (struct tracker_str){ text, strlen(text) }, &error, &line), 0);
    struct test_edge *stranger = test_edge_new(&strangers, 2);
    fill(stranger, 5);
    test_edge_send(stranger, &w->redis, 1, 5);
    assert_true(tracker_keys_generate(text, 9, true) > 0);
    assert_int_equal(tracker_keys_parse(&strangers, (struct tracker_str){ text, strlen(text) }, &error, &line), 0);
    struct test_edge *unknown = test_edge_new(&strangers, 2);
    fill(unknown, 5);
    test_edge_send(unknown, &w->redis, 1, 5);
    test_edge_xadd(edge, &w->redis, out, len);

    ingest_begin(w);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 21));
    TEST_AWAIT(waiting(w) == 0);
    assert_int_equal(clicks(w), 20);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM journals"), 1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(DISTINCT reason) AS n FROM quarantine WHERE journal_id IS NULL"
                                          " AND reason IN ('malformed_entry', 'malformed_pack', 'forged_pack',"
                                          " 'unknown_key')"),
                     4);
    books_balance(w);
    test_edge_free(stranger);
    test_edge_free(unknown);
    test_edge_free(edge);
}

static void
broken_records_are_set_aside_one_by_one(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);

    fill(edge, 10);
    test_edge_record(edge, TRACKER_EVENT_CLICK, (const uint8_t *) "\x00\x00\x00", 3); /* 11: no such payload */
    test_edge_record(edge, 77, (const uint8_t *) "from a newer edge", 17);            /* 12: no such type */
    fill(edge, 10);
    edge->bytes[edge->offset[5] + TRACKER_RECORD_HEADER + 3] ^= 0x10; /* 5: rotten on the edge's disk */
    struct tracker_click retired = { .program = 1, .campaign = 2, .link = 3, .affiliate = 4, .key = 7 };
    test_edge_click(edge, &retired); /* 23: signed by a key that we do not have */

    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 23);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 24));
    assert_int_equal(clicks(w), 19);
    assert_int_equal(test_int(w->db.pool, "SELECT quarantined AS n FROM journals"), 4);
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM quarantine WHERE reason = 'bad_crc'"), 5);
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM quarantine WHERE reason = 'bad_payload'"), 11);
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM quarantine WHERE reason = 'unknown_type'"), 12);
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM quarantine WHERE reason = 'unknown_key'"), 23);
    books_balance(w);
    test_edge_free(edge);
}

static void
conversions_and_odd_bytes_arrive(void **state)
{
    struct world     *w = *state;
    struct test_edge *edge = test_edge_new(&w->db.keys, 2);
    uint8_t           payload[TRACKER_EVENT_MAX];

    edge->kind = TRACKER_JOURNAL_MONEY;
    struct tracker_conversion conversion = {
        .program = 1, .api_user = 2, .auth = TRACKER_AUTH_API_KEY, .status = TRACKER_CONVERSION_APPROVED,
        .has_amount = 1, .amount = { 1234, "EUR" }, .event = TRACKER_STR("sale"), .txid = TRACKER_STR("T-\xff\x31"),
        .cookie_first = TRACKER_STR("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abc"),
        .cookie_last = TRACKER_STR("-123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abc"),
        .coupon = TRACKER_STR("SPRING"), .customer = TRACKER_STR("c-7"), .refund_id = TRACKER_STR("r-1"),
        .referrer = TRACKER_STR("https://shop.example/thanks"),
    };
    conversion.p[0] = (struct tracker_str){ "a\"\\\n\0b", 6 };
    size_t len = tracker_conversion_encode(&conversion, payload, sizeof(payload));
    assert_true(len > 0);
    test_edge_record(edge, TRACKER_EVENT_CONVERSION, payload, len);
    struct tracker_click click = {
        .program = 1, .campaign = 2, .link = 3, .affiliate = 4, .key = 1,
        .user_agent = TRACKER_STR("caf\xe9 \xf0\x9f\x98\x80 \xed\xa0\x80"),
        .ip = { "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16 },
        .ip_form = TRACKER_IP_HASHED, .device = 2, .os = 6, .browser = 3, .asn = 4200000000, .rule = 2, .target = 1,
        .country = TRACKER_STR("DE"), .region = TRACKER_STR("BY"), .city = TRACKER_STR("M\xfcnchen"),
        .deep = TRACKER_STR("https://shop.example/p?1"),
    };
    test_edge_click(edge, &click);
    click.key = 77; /* an impression has no id that needs it */
    click.flags = TRACKER_CLICK_PREVIEW;
    len = tracker_click_encode(&click, payload, sizeof(payload));
    test_edge_record(edge, TRACKER_EVENT_IMPRESSION, payload, len);
    conversion.txid = TRACKER_STR("\x01" "click:somebody's"); /* no edge lets it through: it would squat another's sale */
    len = tracker_conversion_encode(&conversion, payload, sizeof(payload));
    test_edge_record(edge, TRACKER_EVENT_CONVERSION, payload, len);

    ingest_begin(w);
    test_edge_send(edge, &w->redis, 1, 4);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, 5));
    assert_int_equal(test_int(w->db.pool, "SELECT seq AS n FROM quarantine WHERE reason = 'bad_payload'"), 4);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM conversion_facts"), 1);
#define SEEN_AS                                                                                                \
    " WHERE ip_form = 2 AND ip = x'0102030405060708090a0b0c0d0e0f10' AND device = 2 AND os = 6 AND browser = 3" \
    " AND asn = 4200000000 AND rule = 2 AND target = 1 AND country = 'DE' AND region = 'BY'"                    \
    " AND city = 'M' || char(65533) || 'nchen' AND params ->> '$.deep' = 'https://shop.example/p?1'"
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM clicks" SEEN_AS " AND flags = 0"), 1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM impressions" SEEN_AS " AND flags = 256"), 1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM conversion_facts WHERE coupon = 'SPRING'"
                                          " AND cookie_first LIKE '0123%' AND cookie_last LIKE '-123%'"
                                          " AND customer = 'c-7' AND refund_id = 'r-1'"
                                          " AND referrer = 'https://shop.example/thanks'"),
                     1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM conversion_facts WHERE amount_minor = 1234"
                                          " AND currency = 'EUR' AND event = 'sale' AND status = 1"
                                          " AND event_time_ms = time_ms AND outcome IS NULL AND click_id IS NULL"
                                          " AND txid = 'T-' || char(65533) || '1'"),
                     1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM conversion_facts WHERE json_valid(params)"
                                          " AND params ->> '$.p1' = 'a\"\\' || char(10) || char(65533) || 'b'"),
                     1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM user_agents WHERE text = 'caf' || char(65533) ||"
                                          " ' ' || char(128512) || ' ' || char(65533, 65533, 65533)"),
                     1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM journals WHERE kind = 'money'"), 1);
    books_balance(w);
    test_edge_free(edge);
}

/* ---- pace ---- */

#define PACE_ROWS 60000

struct pace {
    int64_t at;
};

static enum db_result
pace_work(struct db *db, void *ctx)
{
    struct pace    *pace = ctx;
    struct db_bulk *bulk = click_bulk_begin(db);
    char            sub[64];

    for (int i = 0; i < 8192 && pace->at < PACE_ROWS; i++) {
        snprintf(sub, sizeof(sub), "{\"source\":\"newsletter\",\"sub1\":\"value-%d\"}", (int) pace->at);
        struct click_row row = {
            .journal_id = 1, .seq = (uint64_t) ++pace->at, .time_ms = 1714564800000, .received_ms = 1714564800000,
            .program = 1, .campaign = 2, .link = 3, .affiliate = 4, .user_agent_id = 1 + pace->at % 50,
            .ip = { "\xc0\x00\x02\x01", 4 }, .referrer = TRACKER_STR("https://news.example/article?id=5"),
            .params = { sub, strlen(sub) }, .config_version = 12,
        };
        enum db_result result = click_bulk_row(bulk, &row);
        if (result != DB_OK)
            return result;
    }
    return db_bulk_end(bulk);
}

/* Prints; the bound is loose, since machines differ: the wire must not cost several times the database. */
static void
the_pace_is_near_a_bare_insert(void **state)
{
    struct world         *w = *state;
    struct test_edge     *edge = test_edge_new(&w->db.keys, 1);
    struct test_database  bare;
    struct pace           pace = { 0 };

    test_database_open(&bare);
    uint64_t begin = test_monotonic_ms();
    while (pace.at < PACE_ROWS)
        assert_int_equal(db_write(bare.pool, DB_WIRE, pace_work, &pace), DB_OK);
    uint64_t bare_ms = test_monotonic_ms() - begin + 1;
    test_database_close(&bare);

    fill(edge, PACE_ROWS);
    for (uint64_t at = 1; at <= PACE_ROWS; at += 64)
        test_edge_send(edge, &w->redis, at, (uint32_t) (at + 64 <= PACE_ROWS + 1 ? 64 : PACE_ROWS + 1 - at));
    begin = test_monotonic_ms();
    ingest_begin(w);
    TEST_AWAIT(test_edge_acked(edge, &w->redis, PACE_ROWS + 1));
    uint64_t wire_ms = test_monotonic_ms() - begin + 1;

    print_message("# bare INSERT %lu/s, ingest %lu/s, ratio %lu %%\n", PACE_ROWS * 1000ul / bare_ms,
                  PACE_ROWS * 1000ul / wire_ms, bare_ms * 100 / wire_ms);
    assert_int_equal(clicks(w), PACE_ROWS);
    assert_true(wire_ms < bare_ms * 6 + 500);
    test_edge_free(edge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(packs_in_order_become_rows),
        STORY(a_click_keeps_the_id_that_the_visitor_got),
        STORY(packs_twice_and_shuffled_become_rows_once),
        STORY(a_pack_too_early_is_asked_for_once_a_position),
        STORY(killed_before_commit),
        STORY(killed_between_commit_and_ack),
        STORY(killed_between_ack_and_deletion),
        STORY(an_emptied_redis_is_read_from_its_start),
        STORY(a_killed_redis_is_met_again),
        STORY(the_heartbeat_tells_life_and_cursor),
        STORY(yesterdays_database_gets_the_rest_again),
        STORY(a_full_disk_is_not_acked),
        STORY(a_record_that_cannot_be_stored_goes_alone),
        STORY(a_copied_journal_is_quarantined),
        STORY(a_gap_is_counted_and_passed),
        STORY(a_gap_that_another_tells_waits_for_the_owners_silence),
        STORY(rubbish_in_the_stream_stops_nobody),
        STORY(broken_records_are_set_aside_one_by_one),
        STORY(conversions_and_odd_bytes_arrive),
        STORY(the_pace_is_near_a_bare_insert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
