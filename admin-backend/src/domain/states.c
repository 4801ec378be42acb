#include <string.h>

#include "domain/states.h"

#define NO (-1)

/* Rows are states, columns are events, in the order of the enumerations. */

static const signed char referral_table[3][3] = {
    /*               approve             reject              reopen */
    /* pending  */ { REFERRAL_APPROVED, REFERRAL_REJECTED, NO },
    /* approved */ { NO,                REFERRAL_REJECTED, NO },
    /* rejected */ { NO,                NO,                REFERRAL_PENDING },
};

static const signed char commission_table[5][5] = {
    /*                approve              reject               bundle                pay              release */
    /* pending   */ { COMMISSION_APPROVED, COMMISSION_REJECTED, NO,                   NO,              NO },
    /* approved  */ { NO,                  COMMISSION_REJECTED, COMMISSION_IN_PAYOUT, NO,              NO },
    /* in payout */ { NO,                  NO,                  NO,                   COMMISSION_PAID, COMMISSION_APPROVED },
    /* paid      */ { NO,                  NO,                  NO,                   NO,              NO },
    /* rejected  */ { NO,                  NO,                  NO,                   NO,              NO },
};

static const signed char payout_table[4][3] = {
    /*                submit          pay          cancel */
    /* draft     */ { PAYOUT_PENDING, NO,          PAYOUT_CANCELLED },
    /* pending   */ { NO,             PAYOUT_PAID, PAYOUT_CANCELLED },
    /* paid      */ { NO,             NO,          NO },
    /* cancelled */ { NO,             NO,          NO },
};

/* One set of functions per machine: the machines differ in their tables and names only. */
#define MACHINE(kind, states, events)                                                     \
    bool kind##_next(enum kind##_state from, enum kind##_event event, enum kind##_state *to) \
    {                                                                                     \
        signed char next = kind##_table[from][event];                                     \
                                                                                          \
        if (next == NO)                                                                   \
            return false;                                                                 \
        *to = (enum kind##_state) next;                                                   \
        return true;                                                                      \
    }                                                                                     \
                                                                                          \
    bool kind##_state_parse(const char *name, enum kind##_state *state)                   \
    {                                                                                     \
        for (unsigned i = 0; name != NULL && i < (states); i++) {                         \
            if (strcmp(name, kind##_state_name((enum kind##_state) i)) == 0) {            \
                *state = (enum kind##_state) i;                                           \
                return true;                                                              \
            }                                                                             \
        }                                                                                 \
        return false;                                                                     \
    }                                                                                     \
                                                                                          \
    bool kind##_step_legal(enum kind##_state from, enum kind##_state to)                  \
    {                                                                                     \
        for (unsigned i = 0; i < (events); i++) {                                         \
            if (kind##_table[from][i] == (signed char) to)                                \
                return true;                                                              \
        }                                                                                 \
        return false;                                                                     \
    }

MACHINE(referral, 3, 3)
MACHINE(commission, 5, 5)
MACHINE(payout, 4, 3)

/* A person clicks twice, a script retries: only decisions can be reached, not the steps of a payout. */
bool
referral_reached(enum referral_state state, enum referral_event event)
{
    switch (event) {
    case REFERRAL_APPROVE:
        return state == REFERRAL_APPROVED;
    case REFERRAL_REJECT:
        return state == REFERRAL_REJECTED;
    case REFERRAL_REOPEN:
        return state == REFERRAL_PENDING;
    }
    return false;
}

bool
commission_reached(enum commission_state state, enum commission_event event)
{
    switch (event) {
    case COMMISSION_APPROVE:
        return state == COMMISSION_APPROVED;
    case COMMISSION_REJECT:
        return state == COMMISSION_REJECTED;
    case COMMISSION_BUNDLE:
    case COMMISSION_PAY:
    case COMMISSION_RELEASE:
        break;
    }
    return false;
}

const char *
referral_state_name(enum referral_state state)
{
    switch (state) {
    case REFERRAL_PENDING:
        return "pending";
    case REFERRAL_APPROVED:
        return "approved";
    case REFERRAL_REJECTED:
        return "rejected";
    }
    return "?";
}

const char *
commission_state_name(enum commission_state state)
{
    switch (state) {
    case COMMISSION_PENDING:
        return "pending";
    case COMMISSION_APPROVED:
        return "approved";
    case COMMISSION_IN_PAYOUT:
        return "in_payout";
    case COMMISSION_PAID:
        return "paid";
    case COMMISSION_REJECTED:
        return "rejected";
    }
    return "?";
}

const char *
payout_state_name(enum payout_state state)
{
    switch (state) {
    case PAYOUT_DRAFT:
        return "draft";
    case PAYOUT_PENDING:
        return "pending";
    case PAYOUT_PAID:
        return "paid";
    case PAYOUT_CANCELLED:
        return "cancelled";
    }
    return "?";
}
