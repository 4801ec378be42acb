/*
 * The state tables, written out a second time: state x event, complete.
 *
 * What could break: a step that should not exist (a paid commission rejected by
 * rewriting), a missing one, a name that no longer reads what databases hold.
 */
#include "test_support.h"

#include "domain/states.h"

/* "from event to"; whatever is not named here must be refused. */
struct step {
    int from, event, to;
};

static const struct step referral_steps[] = {
    { REFERRAL_PENDING, REFERRAL_APPROVE, REFERRAL_APPROVED },
    { REFERRAL_PENDING, REFERRAL_REJECT, REFERRAL_REJECTED },
    { REFERRAL_APPROVED, REFERRAL_REJECT, REFERRAL_REJECTED },
    { REFERRAL_REJECTED, REFERRAL_REOPEN, REFERRAL_PENDING },
};
static const struct step commission_steps[] = {
    { COMMISSION_PENDING, COMMISSION_APPROVE, COMMISSION_APPROVED },
    { COMMISSION_PENDING, COMMISSION_REJECT, COMMISSION_REJECTED },
    { COMMISSION_APPROVED, COMMISSION_REJECT, COMMISSION_REJECTED },
    { COMMISSION_APPROVED, COMMISSION_BUNDLE, COMMISSION_IN_PAYOUT },
    { COMMISSION_IN_PAYOUT, COMMISSION_PAY, COMMISSION_PAID },
    { COMMISSION_IN_PAYOUT, COMMISSION_RELEASE, COMMISSION_APPROVED },
};
static const struct step payout_steps[] = {
    { PAYOUT_DRAFT, PAYOUT_SUBMIT, PAYOUT_PENDING },
    { PAYOUT_DRAFT, PAYOUT_CANCEL, PAYOUT_CANCELLED },
    { PAYOUT_PENDING, PAYOUT_PAY, PAYOUT_PAID },
    { PAYOUT_PENDING, PAYOUT_CANCEL, PAYOUT_CANCELLED },
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where that event leads, or -1. */
static int
leads(const struct step *steps, size_t count, int from, int event)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].from == from && steps[i].event == event)
            return steps[i].to;
    }
    return -1;
}

static bool
some_step(const struct step *steps, size_t count, int from, int to)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].from == from && steps[i].to == to)
            return true;
    }
    return false;
}

/* One test per machine; they differ in names only. */
#define MACHINE_TEST(kind, states, events)                                                            \
    static void test_##kind(void **unused)                                                            \
    {                                                                                                 \
        for (int from = 0; from < (states); from++) {                                                 \
            for (int event = 0; event < (events); event++) {                                          \
                enum kind##_state to = (enum kind##_state) 99;                                        \
                int               wanted = leads(kind##_steps, COUNT(kind##_steps), from, event);     \
                bool              legal = kind##_next((enum kind##_state) from,                       \
                                                      (enum kind##_event) event, &to);                \
                assert_int_equal(legal, wanted >= 0);                                                 \
                assert_int_equal(to, wanted >= 0 ? wanted : 99);                                      \
            }                                                                                         \
            for (int to = 0; to < (states); to++)                                                     \
                assert_int_equal(kind##_step_legal((enum kind##_state) from, (enum kind##_state) to), \
                                 some_step(kind##_steps, COUNT(kind##_steps), from, to));             \
        }                                                                                             \
    }

MACHINE_TEST(referral, 3, 3)
MACHINE_TEST(commission, 5, 5)
MACHINE_TEST(payout, 4, 3)

/* An event is reached where it leads, whatever came before; the steps of a payout never are. */
static void
test_decisions_reached(void **unused)
{
    static const int referral_ends[] = { REFERRAL_APPROVED, REFERRAL_REJECTED, REFERRAL_PENDING };
    static const int commission_ends[] = { COMMISSION_APPROVED, COMMISSION_REJECTED, -1, -1, -1 };

    for (int event = 0; event < 3; event++) {
        for (int state = 0; state < 3; state++)
            assert_int_equal(referral_reached((enum referral_state) state, (enum referral_event) event),
                             state == referral_ends[event]);
    }
    for (int event = 0; event < 5; event++) {
        for (int state = 0; state < 5; state++)
            assert_int_equal(commission_reached((enum commission_state) state, (enum commission_event) event),
                             state == commission_ends[event]);
    }
}

/* These words stand in databases, exports and the API. */
static const char *const referral_names[] = { "pending", "approved", "rejected" };
static const char *const commission_names[] = { "pending", "approved", "in_payout", "paid", "rejected" };
static const char *const payout_names[] = { "draft", "pending", "paid", "cancelled" };
static const char *const no_names[] = { NULL, "", "Pending", "pending ", "?", "deleted" };

#define NAMES_TEST(kind)                                                                      \
    static void test_##kind##_names(void **unused)                                            \
    {                                                                                         \
        enum kind##_state state;                                                              \
                                                                                              \
        for (size_t i = 0; i < COUNT(kind##_names); i++) {                                    \
            assert_string_equal(kind##_state_name((enum kind##_state) i), kind##_names[i]);   \
            assert_true(kind##_state_parse(kind##_names[i], &state));                         \
            assert_int_equal(state, i);                                                       \
        }                                                                                     \
        for (size_t i = 0; i < COUNT(no_names); i++)                                          \
            assert_false(kind##_state_parse(no_names[i], &state));                            \
    }

NAMES_TEST(referral)
NAMES_TEST(commission)
NAMES_TEST(payout)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_referral),       cmocka_unit_test(test_commission),
        cmocka_unit_test(test_payout),         cmocka_unit_test(test_referral_names),
        cmocka_unit_test(test_commission_names), cmocka_unit_test(test_payout_names),
        cmocka_unit_test(test_decisions_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
