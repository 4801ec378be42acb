/*
 * Who gets a lead, and that the work is shared as the weights say.
 *
 * What could break: an agent who left gets leads that nobody looks at; one with a small weight starves, or gets a
 * burst; a cap is passed by one, or counts yesterday's; who was at his cap gets a flood tomorrow; a lead that could go
 * to nobody fails instead of waiting in its department.
 */
#include "test_lead.h"

#include "service/lead_assign.h"

static int64_t
hire(struct leads *l, const char *name, const char *role)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "INSERT INTO staff (email, name, role, password_hash, created_us)"
                               " VALUES ('%s@staff.example', '%s', '%s', 'x', 1)", name, name, role);
    return leads_run(l, sql, "staff");
}

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

/* A department that the partner's source gives its leads to. */
static int64_t
department(struct leads *l)
{
    int64_t id = leads_run(l, "INSERT INTO departments (name, created_us, updated_us) VALUES ('Sales', 1, 1)", "departments");

    run(l, "UPDATE lead_sources SET department_id = %lld WHERE id = %lld", (long long) id, (long long) l->source);
    return id;
}

static int64_t
member(struct leads *l, int64_t department_id, const char *name, int weight, int cap)
{
    int64_t id = hire(l, name, "agent");

    run(l, "INSERT INTO department_members (department_id, staff_id, weight, cap_day) VALUES (%lld, %lld, %d, %d)",
        (long long) department_id, (long long) id, weight, cap);
    return id;
}

/* A new person's lead by the partner: who got it (0: nobody). */
static int64_t
next(struct leads *l)
{
    static int n;
    char       fields[64];

    snprintf(fields, sizeof(fields), "email=person%d@example.com", n++);
    assert_int_equal(ask(l, (struct said){ .fields = fields }).verdict, TRACKER_LEAD_CREATED);
    return number(&l->m, "SELECT COALESCE(agent_id, 0) AS n FROM leads WHERE id = (SELECT MAX(id) FROM leads)");
}

static int64_t
got(struct leads *l, int64_t agent)
{
    return number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE agent_id = %lld", (long long) agent);
}

static void
the_affiliates_agent_before_the_sources_before_the_departments(void **state)
{
    struct leads *l = *state;
    int64_t       sales = department(l), ann = member(l, sales, "ann", 1, 0), bob = hire(l, "bob", "agent"),
                  cyd = hire(l, "cyd", "manager");

    assert_int_equal(next(l), ann);
    run(l, "UPDATE lead_sources SET agent_id = %lld WHERE id = %lld", (long long) bob, (long long) l->source);
    assert_int_equal(next(l), bob);
    run(l, "UPDATE affiliates SET agent_id = %lld", (long long) cyd);
    assert_int_equal(next(l), cyd);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE department_id = %lld", (long long) sales), 3);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM lead_log WHERE agent_id = %lld AND department_id = %lld",
                            (long long) cyd, (long long) sales),
                     1);

    /* Who left gets none, nor who does not work on leads. */
    run(l, "UPDATE staff SET state = 'disabled' WHERE id = %lld", (long long) cyd);
    assert_int_equal(next(l), bob);
    run(l, "UPDATE staff SET role = 'viewer' WHERE id = %lld", (long long) bob);
    assert_int_equal(next(l), ann);
    run(l, "UPDATE staff SET state = 'disabled' WHERE id = %lld", (long long) ann);
    assert_int_equal(next(l), 0);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE agent_id IS NULL AND department_id = %lld",
                            (long long) sales),
                     1);
    must_verify(&l->m);
}

static void
an_agent_alone_brings_his_department(void **state)
{
    struct leads *l = *state;
    int64_t       sales = leads_run(l, "INSERT INTO departments (name, created_us, updated_us) VALUES ('S', 1, 1)",
                                    "departments");
    int64_t       ann = hire(l, "ann", "agent");

    assert_int_equal(next(l), 0); /* nobody at all */
    run(l, "UPDATE affiliates SET agent_id = %lld", (long long) ann);
    run(l, "UPDATE staff SET department_id = %lld", (long long) sales);
    assert_int_equal(next(l), ann);
    assert_int_equal(number(&l->m, "SELECT department_id AS n FROM leads WHERE id = 2"), sales);
    run(l, "UPDATE departments SET state = 'archived'");
    assert_int_equal(next(l), ann);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE id = 3 AND department_id IS NULL"), 1);
}

/* Within every run of as many leads as the weights' sum each gets exactly his weight, and nobody two in a row he need not. */
static void
weights_are_kept_smoothly(void **state)
{
    struct leads *l = *state;
    int64_t       sales = department(l), who[3] = { member(l, sales, "ann", 5, 0), member(l, sales, "bob", 1, 0),
                                                    member(l, sales, "cyd", 1, 0) };
    int64_t       none = member(l, sales, "dan", 0, 0);
    int           counts[3], expected[3] = { 5, 1, 1 }, row = 0, longest = 0;

    for (int round = 0; round < 3; round++) {
        memset(counts, 0, sizeof(counts));
        for (int i = 0; i < 7; i++) {
            int64_t agent = next(l);
            for (int a = 0; a < 3; a++)
                counts[a] += who[a] == agent;
            row = agent == who[0] ? row + 1 : 0;
            longest = row > longest ? row : longest;
        }
        assert_memory_equal(counts, expected, sizeof(counts));
    }
    assert_true(longest <= 4); /* a a b a c a a | a a ...: not five, then the two others */
    assert_int_equal(got(l, none), 0);
    assert_int_equal(number(&l->m, "SELECT COALESCE(SUM(current), 0) AS n FROM department_members"), 0);
}

static void
caps_of_the_day_hold_and_leave_no_backlog(void **state)
{
    struct leads *l = *state;
    int64_t       sales = department(l), ann = member(l, sales, "ann", 1, 2), bob = member(l, sales, "bob", 1, 0);

    for (int i = 0; i < 10; i++)
        next(l);
    assert_int_equal(got(l, ann), 2);
    assert_int_equal(got(l, bob), 8);
    test_clock_us += DAY_US; /* a new day: in turn again, not all that was missed */
    int64_t first = next(l), second = next(l), third = next(l), fourth = next(l);
    assert_int_equal((first == ann) + (second == ann), 1);
    assert_int_equal((third == ann) + (fourth == ann), 1);
    assert_int_equal(next(l), bob);
    run(l, "UPDATE department_members SET cap_day = 1");
    assert_int_equal(next(l), 0); /* everybody has had enough: it waits in the department */
    assert_int_equal(number(&l->m, "SELECT department_id AS n FROM leads WHERE id = (SELECT MAX(id) FROM leads)"), sales);
}

/* Whatever the weights: after n leads nobody is off his share by more than one. */
static void
nobody_is_ever_off_by_more_than_one(void **state)
{
    enum { AGENTS = 4, LEADS = 120 };
    struct leads *l = *state;
    int64_t       sales = department(l), who[AGENTS];
    int           weights[AGENTS], sum = 0, counts[AGENTS] = { 0 };
    unsigned      seed = getenv("TEST_SEED") != NULL ? (unsigned) strtoul(getenv("TEST_SEED"), NULL, 10) : 11;

    print_message("# TEST_SEED=%u\n", seed);
    for (int a = 0; a < AGENTS; a++) {
        char name[16];
        seed = seed * 1103515245u + 12345u;
        weights[a] = 1 + (int) ((seed >> 16) % 9);
        sum += weights[a];
        snprintf(name, sizeof(name), "a%d", a);
        who[a] = member(l, sales, name, weights[a], 0);
    }
    for (int n = 1; n <= LEADS; n++) {
        int64_t agent = next(l);
        for (int a = 0; a < AGENTS; a++) {
            counts[a] += who[a] == agent;
            int off = counts[a] * sum - n * weights[a]; /* of a share, times the sum */
            assert_true(off <= sum && off >= -sum);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        lead_test(the_affiliates_agent_before_the_sources_before_the_departments),
        lead_test(an_agent_alone_brings_his_department),
        lead_test(weights_are_kept_smoothly),
        lead_test(caps_of_the_day_hold_and_leave_no_backlog),
        lead_test(nobody_is_ever_off_by_more_than_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
