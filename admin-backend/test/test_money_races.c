/*
 * Several people at once, on one pool: exactly one wins, the others are told,
 * and the books agree afterwards.
 *
 * What could break: two payments of one payout, one commission in two payouts,
 * a rejection that slips in between bundling and paying.  Threads meet at a
 * barrier; which of them wins is theirs, that one of them does is not.
 */
#include "test_money.h"

#include <pthread.h>

#define ROUNDS  12
#define PEOPLE  4

struct person {
    struct money        *m;
    int                  number, round;
    int64_t              payout, referral;
    pthread_barrier_t   *start;
    enum service_result (*step)(struct person *);
    enum service_result  result;
    struct service_error error;
};

static void *
person_main(void *ctx)
{
    struct person *person = ctx;

    pthread_barrier_wait(person->start);
    person->result = person->step(person);
    return NULL;
}

/* Lets all of them go at once; how many had their way. */
static int
race(struct person *people, int count)
{
    pthread_t         threads[PEOPLE];
    pthread_barrier_t start;
    int               won = 0;

    assert_int_equal(pthread_barrier_init(&start, NULL, (unsigned) count), 0);
    for (int i = 0; i < count; i++) {
        people[i].start = &start;
        people[i].error = (struct service_error){ .fields = NULL };
        assert_int_equal(pthread_create(&threads[i], NULL, person_main, &people[i]), 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        if (people[i].result != SERVICE_OK && people[i].result != SERVICE_CONFLICT)
            fail_msg("%s: %s", people[i].error.code, people[i].error.message);
        won += people[i].result == SERVICE_OK;
        service_error_clear(&people[i].error);
    }
    pthread_barrier_destroy(&start);
    return won;
}

static enum service_result
create(struct person *p)
{
    return payout_create(p->m->service, &test_admin, p->m->affiliate, NULL, NULL, &p->error);
}

static enum service_result
pay(struct person *p)
{
    char reference[32];

    snprintf(reference, sizeof(reference), "R%d-%d", p->round, p->number);
    return payout_pay(p->m->service, &test_admin, p->payout, reference, NULL, NULL, NULL, &p->error);
}

static enum service_result
pay_same_reference(struct person *p)
{
    char reference[32];

    snprintf(reference, sizeof(reference), "S%d", p->round);
    return payout_pay(p->m->service, &test_admin, p->payout, reference, NULL, NULL, NULL, &p->error);
}

static enum service_result
cancel(struct person *p)
{
    return payout_cancel(p->m->service, &test_admin, p->payout, "raced", NULL, &p->error);
}

static enum service_result
approve(struct person *p)
{
    return referral_act(p->m->service, &test_admin, p->referral, "approve", NULL, NULL, &p->error);
}

static enum service_result
reject(struct person *p)
{
    return referral_act(p->m->service, &test_admin, p->referral, "reject", "raced", NULL, &p->error);
}

static enum service_result
derive(struct person *p)
{
    return money_derive(p->m->service, 100) < 0 || money_seal(p->m->service, 100) < 0 ? SERVICE_FAILED : SERVICE_OK;
}

static int64_t
approved_sale(struct money *m)
{
    int64_t referral = sell(m, "100.00", NULL);

    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, NULL, &m->error));
    return referral;
}

/* A payout that waits for its payment. */
static int64_t
pending_payout(struct money *m)
{
    json_t *object;
    int64_t payout;

    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, &object, &m->error));
    payout = take_id(object);
    must(m, payout_submit(m->service, &test_admin, payout, NULL, &m->error));
    return payout;
}

static int64_t
count(struct money *m, const char *table, const char *state)
{
    return number(m, "SELECT COUNT(*) AS n FROM %s WHERE status = '%s'", table, state);
}

static void
test_two_people_pay_at_once(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        struct person people[PEOPLE];

        approved_sale(m);
        int64_t payout = pending_payout(m);
        for (int i = 0; i < PEOPLE; i++)
            people[i] = (struct person){ .m = m, .number = i, .round = round, .payout = payout, .step = pay };
        assert_int_equal(race(people, PEOPLE), 1);
        assert_int_equal(balance(m, "paid"), -2000 * (round + 1));
    }
    must_verify(m);
}

static void
test_one_reference_for_two_payouts(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        struct person people[2];

        for (int i = 0; i < 2; i++) {
            approved_sale(m);
            people[i] = (struct person){ .m = m, .round = round, .payout = pending_payout(m), .step = pay_same_reference };
        }
        assert_int_equal(race(people, 2), 1);
    }
    assert_int_equal(count(m, "payouts", "paid"), ROUNDS);
    must_verify(m);
}

static void
test_a_payout_created_twice(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        struct person people[PEOPLE];

        approved_sale(m);
        for (int i = 0; i < PEOPLE; i++)
            people[i] = (struct person){ .m = m, .step = create };
        assert_int_equal(race(people, PEOPLE), 1);
    }
    assert_int_equal(count(m, "payouts", "draft"), ROUNDS);
    assert_int_equal(balance(m, "in_transit"), -2000 * ROUNDS);
    must_verify(m);
}

/* Whether it came in time or not: a commission is in the payout, or payable, never both and never neither. */
static void
test_approving_while_a_payout_is_made(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t       pending = sell(m, "50.00", NULL);
        struct person people[2] = { { .m = m, .referral = pending, .step = approve }, { .m = m, .step = create } };

        approved_sale(m);
        assert_int_equal(race(people, 2), 2);
        assert_int_equal(balance(m, "payable") + balance(m, "in_transit"), -3000 * (round + 1));
    }
    must_verify(m);
}

static void
test_rejecting_while_a_payout_is_made(void **state)
{
    struct money *m = *state;
    int           rejected = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct person people[2] = { { .m = m, .referral = approved_sale(m), .step = reject }, { .m = m, .step = create } };

        assert_int_equal(race(people, 2), 1);
        rejected += people[0].result == SERVICE_OK;
    }
    assert_int_equal(count(m, "referrals", "rejected"), rejected);
    assert_int_equal(count(m, "payouts", "draft"), ROUNDS - rejected);
    must_verify(m);
}

/* The rejection is refused while the payout lives, or comes after the payment and reverses it. */
static void
test_rejecting_while_paying(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t       referral = approved_sale(m), reversals;
        struct person people[2] = { { .m = m, .referral = referral, .step = reject },
                                    { .m = m, .round = round, .payout = pending_payout(m), .step = pay } };

        race(people, 2);
        assert_int_equal(people[1].result, SERVICE_OK);
        reversals = number(m, "SELECT COUNT(*) AS n FROM commissions WHERE kind = 'reversal' AND referral_id = %lld",
                           (long long) referral);
        assert_int_equal(reversals, people[0].result == SERVICE_OK);
        if (reversals == 1) /* so that the next round's payout is not netted away */
            approved_sale(m);
    }
    must_verify(m);
}

static void
test_cancelling_while_paying(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < ROUNDS; round++) {
        approved_sale(m);
        int64_t       payout = pending_payout(m);
        struct person people[2] = { { .m = m, .payout = payout, .step = cancel },
                                    { .m = m, .round = round, .payout = payout, .step = pay } };

        assert_int_equal(race(people, 2), 1);
        assert_int_equal(balance(m, "in_transit"), 0);
    }
    must_verify(m);
}

/* Two workers at the same facts (a second process, on another database): each fact has one effect. */
static void
test_two_workers_derive(void **state)
{
    struct money *m = *state;

    for (int round = 0; round < 3; round++) {
        struct person people[PEOPLE];

        for (int i = 0; i < 40; i++)
            tell(m, &(struct sale){ .click = click(m, m->link, 0, NULL), .amount = "10.00" });
        for (int i = 0; i < PEOPLE; i++)
            people[i] = (struct person){ .m = m, .step = derive };
        assert_int_equal(race(people, PEOPLE), PEOPLE);
        assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions"), 40 * (round + 1));
    }
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_two_people_pay_at_once),
        money_test(test_one_reference_for_two_payouts),
        money_test(test_a_payout_created_twice),
        money_test(test_approving_while_a_payout_is_made),
        money_test(test_rejecting_while_a_payout_is_made),
        money_test(test_rejecting_while_paying),
        money_test(test_cancelling_while_paying),
        money_test(test_two_workers_derive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
