/*
 * The frame of every change: an Idempotency-Key has one effect, an audit row
 * stands for each change, and a refusal leaves nothing.
 *
 * What could break: a retry after a time-out that pays twice, a key that is
 * kept for a request that was refused, an answer that differs the second time,
 * a secret that is kept under a key or in the audit log.
 */
#include "test_money.h"

#include <pthread.h>

#include <sodium.h>

#include "service/audit.h"
#include "service/decide.h"
#include "service/people.h"
#include "store/audit.h"
#include "store/once.h"

static struct once
once_for(const char *key, const char *request)
{
    struct once once = { .key = key };

    crypto_generichash(once.hash, sizeof(once.hash), (const unsigned char *) request, strlen(request), NULL, 0);
    return once;
}

static struct actor
with(struct once *once)
{
    return (struct actor){ "staff:1", "admin", once, 1 };
}

static json_t *
campaign_body(const char *name)
{
    return json_of("{\"name\":\"%s\"}", name);
}

static void
test_the_same_request_twice(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "POST /campaigns Summer");
    struct actor  actor = with(&once);
    json_t       *body = campaign_body("Summer"), *first, *second;
    int64_t       rows;

    must(m, campaign_create(m->service, &actor, body, &first, &m->error));
    assert_false(once.replayed);
    rows = test_int(m->base.pool, "SELECT COUNT(*) AS n FROM audit_log");
    test_clock_us += SECOND_US;
    must(m, campaign_create(m->service, &actor, body, &second, &m->error));
    assert_true(once.replayed);
    assert_true(json_equal(first, second));
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM campaigns WHERE name = 'Summer'"), 1);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM audit_log"), rows);
    json_decref(first);
    json_decref(second);
    json_decref(body);
    must_verify(m);
}

static void
test_another_request_under_the_same_key(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "one"), other = once_for("k1", "another");
    struct actor  actor = with(&once), again = with(&other);
    json_t       *one = campaign_body("One"), *two = campaign_body("Two");

    must(m, campaign_create(m->service, &actor, one, NULL, &m->error));
    must_refuse(m, campaign_create(m->service, &again, two, NULL, &m->error), "idempotency_key_reused");
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM campaigns WHERE name = 'Two'"), 0);

    /* Keys are each user's own. */
    snprintf(again.name, sizeof(again.name), "staff:2");
    must(m, campaign_create(m->service, &again, two, NULL, &m->error));
    json_decref(one);
    json_decref(two);
    must_verify(m);
}

/* What was refused had no effect: the key is free, and the request may succeed later. */
static void
test_a_refused_request_keeps_no_key(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "POST /payouts");
    struct actor  actor = with(&once);
    json_t       *payout;

    must_refuse(m, payout_create(m->service, &actor, m->affiliate, NULL, NULL, &m->error), "nothing_due");
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM idempotency_keys"), 0);
    must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
    must(m, payout_create(m->service, &actor, m->affiliate, NULL, &payout, &m->error));
    assert_false(once.replayed);
    json_decref(payout);
    must_verify(m);
}

/* The payment whose answer was lost: the retry gets the first answer, not "illegal_state". */
static void
test_paying_again_after_a_time_out(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "POST /payouts/1/pay");
    struct actor  actor = with(&once);
    json_t       *first, *second;
    int64_t       payout;

    must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &first, &m->error));
    payout = take_id(first);
    must(m, payout_submit(m->service, &test_admin, payout, NULL, &m->error));
    for (int i = 0; i < 4; i++) {
        must(m, payout_pay(m->service, &actor, payout, "B1", NULL, NULL, i == 0 ? &first : &second, &m->error));
        assert_int_equal(once.replayed, i > 0);
        if (i > 0) {
            assert_true(json_equal(first, second));
            json_decref(second);
        }
    }
    json_decref(first);
    assert_int_equal(balance(m, "paid"), -2000);
    must_refuse(m, payout_pay(m->service, &test_admin, payout, "B1", NULL, NULL, NULL, &m->error), "illegal_state");
    must_verify(m);
}

static void
test_keys_are_forgotten(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "x");
    struct actor  actor = with(&once);
    json_t       *body = campaign_body("A");

    must(m, campaign_create(m->service, &actor, body, NULL, &m->error));
    people_forget(m->service);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM idempotency_keys"), 1);
    test_clock_us += 8 * DAY_US;
    people_forget(m->service);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM idempotency_keys"), 0);
    json_decref(body);
}

/* ---- at once ---- */

struct racer {
    pthread_t            thread;
    const struct service *service;
    struct once          once;
    enum service_result  result;
    struct service_error error;
    json_t              *object;
};

static void *
race(void *ctx)
{
    struct racer *racer = ctx;
    struct actor  actor = with(&racer->once);
    json_t       *body = json_loads("{\"name\":\"Raced\"}", 0, NULL);

    racer->result = campaign_create(racer->service, &actor, body, &racer->object, &racer->error);
    json_decref(body);
    return NULL;
}

static enum db_result
keep_many(struct db *db, void *ctx)
{
    struct once    once = once_for("x", "x");
    enum db_result rc = DB_OK;
    char           key[32];

    (void) ctx;
    for (int i = 0; rc == DB_OK && i < 2500; i++) {
        snprintf(key, sizeof(key), "bulk/%d", i);
        rc = once_keep(db, "staff:1", key, once.hash, "{}", test_clock_us);
    }
    return rc;
}

/* Bulk requests leave hundreds of keys each: what is forgotten at a time must not lag behind them for ever. */
static void
test_many_keys_are_forgotten_at_once(void **state)
{
    struct money *m = *state;

    assert_int_equal(db_write(m->base.pool, DB_BATCH, keep_many, NULL), DB_OK);
    test_clock_us += 8 * DAY_US;
    people_forget(m->service);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM idempotency_keys WHERE key LIKE 'bulk/%'"), 0);
}

static void
test_one_key_by_many_at_once(void **state)
{
    struct money *m = *state;
    struct racer  racers[8];
    int           first = 0;

    for (int i = 0; i < 8; i++) {
        racers[i] = (struct racer){ .service = m->service, .once = once_for("k1", "raced") };
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_int_equal(racers[i].result, SERVICE_OK);
        assert_true(json_equal(racers[i].object, racers[0].object));
        first += !racers[i].once.replayed;
    }
    for (int i = 0; i < 8; i++)
        json_decref(racers[i].object);
    assert_int_equal(first, 1);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM campaigns WHERE name = 'Raced'"), 1);
    must_verify(m);
}

/* ---- the audit log ---- */

static enum db_result
append(struct db *db, void *ctx)
{
    struct audit_row row = { .at_us = 5, .actor = "staff:1", .action = "a", .object_type = "o", .object_id = "1",
                             .before = ctx };
    return audit_append(db, &row);
}

static enum db_result
walk(struct db *db, void *ctx)
{
    return audit_walk(db, ctx);
}

/* NULL and "" are two things, and fields must not run into each other. */
static void
test_the_chain_sees_every_field(void **state)
{
    static const char *const changes[] = {
        "at_us = 6", "actor = 'staff:2'", "action = 'b'", "object_type = 'p'", "object_id = '2'", "before = NULL",
        "before = 'x'", "after = ''", "reason = ''", "action = 'ao', object_type = ''",
    };
    struct money *m = *state;
    int64_t       broken = 0, id;

    assert_int_equal(db_write(m->base.pool, DB_BATCH, append, ""), DB_OK);
    assert_int_equal(db_write(m->base.pool, DB_BATCH, append, NULL), DB_OK);
    id = test_int(m->base.pool, "SELECT MAX(id) - 1 AS n FROM audit_log");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char sql[256];

        snprintf(sql, sizeof(sql), "UPDATE audit_log SET %s WHERE id = %lld", changes[i], (long long) id);
        test_run(m->base.pool, sql);
        assert_int_equal(db_read(m->base.pool, walk, &broken), DB_OK);
        assert_int_equal(broken, id);
        snprintf(sql, sizeof(sql),
                 "UPDATE audit_log SET at_us = 5, actor = 'staff:1', action = 'a', object_type = 'o', object_id = '1',"
                 " before = '', after = NULL, reason = NULL WHERE id = %lld", (long long) id);
        test_run(m->base.pool, sql);
        assert_int_equal(db_read(m->base.pool, walk, &broken), DB_OK);
        assert_int_equal(broken, 0);
    }
}

/* Neither the log nor what is kept under a key may hold what opens a door. */
static void
test_secrets_are_kept_nowhere(void **state)
{
    struct money *m = *state;
    struct once   once = once_for("k1", "POST /api_users");
    struct actor  actor = with(&once);
    json_t       *body = json_of("{\"name\":\"Shop\",\"role\":\"advertiser\",\"scopes\":[\"conversions:write\"]}"), *user;
    json_t       *staff = json_of("{\"email\":\"x@example.com\",\"role\":\"viewer\",\"password\":\"correct horse 42\"}");
    char          token[SECRET_MAX], sql[1024];

    must(m, api_user_create(m->service, &actor, body, &user, &m->error));
    must(m, staff_create(m->service, &test_admin, staff, NULL, &m->error));
    must(m, token_create(m->service, &test_admin, "x@example.com", "script", token, &m->error));
    const char *const secrets[] = { text_of(user, "key"), "correct horse 42", token };
    assert_int_equal(strncmp(secrets[0], "aff_live_", 9), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(sql, sizeof(sql),
                 "SELECT (SELECT COUNT(*) FROM audit_log WHERE COALESCE(before, '') || COALESCE(after, '') LIKE '%%%s%%')"
                 " + (SELECT COUNT(*) FROM idempotency_keys WHERE body LIKE '%%%s%%') AS n", secrets[i], secrets[i]);
        assert_int_equal(test_int(m->base.pool, sql), 0);
    }
    json_decref(user);

    /* The first answer had the key; the repeated one cannot have it. */
    must(m, api_user_create(m->service, &actor, body, &user, &m->error));
    assert_true(once.replayed);
    assert_null(json_object_get(user, "key"));
    json_decref(user);
    json_decref(body);
    json_decref(staff);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_the_same_request_twice),
        money_test(test_another_request_under_the_same_key),
        money_test(test_a_refused_request_keeps_no_key),
        money_test(test_paying_again_after_a_time_out),
        money_test(test_keys_are_forgotten),
        money_test(test_many_keys_are_forgotten_at_once),
        money_test(test_one_key_by_many_at_once),
        money_test(test_the_chain_sees_every_field),
        money_test(test_secrets_are_kept_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
