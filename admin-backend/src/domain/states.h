/*
 * states.h - the state tables of money: state x event, complete.
 *
 * The text of a state is what SQL, the API and exports carry; the enumerations
 * are for switches, which name every value and have no default, so that the
 * compiler reports a missing case.
 */
#ifndef AFFILIATED_DOMAIN_STATES_H
#define AFFILIATED_DOMAIN_STATES_H

#include <stdbool.h>

enum referral_state { REFERRAL_PENDING, REFERRAL_APPROVED, REFERRAL_REJECTED };
enum referral_event { REFERRAL_APPROVE, REFERRAL_REJECT, REFERRAL_REOPEN };

enum commission_state {
    COMMISSION_PENDING,
    COMMISSION_APPROVED, /* payable from payable_us on */
    COMMISSION_IN_PAYOUT,
    COMMISSION_PAID,
    COMMISSION_REJECTED
};
enum commission_event {
    COMMISSION_APPROVE,
    COMMISSION_REJECT,
    COMMISSION_BUNDLE,  /* a payout takes it */
    COMMISSION_PAY,     /* its payout was paid */
    COMMISSION_RELEASE  /* its payout was cancelled */
};

enum payout_state { PAYOUT_DRAFT, PAYOUT_PENDING, PAYOUT_PAID, PAYOUT_CANCELLED };
enum payout_event { PAYOUT_SUBMIT, PAYOUT_PAY, PAYOUT_CANCEL };

/* True and *to, or false: the event is not legal in that state. */
bool referral_next(enum referral_state from, enum referral_event event, enum referral_state *to);
bool commission_next(enum commission_state from, enum commission_event event, enum commission_state *to);
bool payout_next(enum payout_state from, enum payout_event event, enum payout_state *to);

/* Whether the object is already where the event leads: approving what is approved asks for nothing, and is no error. */
bool referral_reached(enum referral_state state, enum referral_event event);
bool commission_reached(enum commission_state state, enum commission_event event);

const char *referral_state_name(enum referral_state state);
const char *commission_state_name(enum commission_state state);
const char *payout_state_name(enum payout_state state);

/* False: no such state (an old or foreign row). */
bool referral_state_parse(const char *name, enum referral_state *state);
bool commission_state_parse(const char *name, enum commission_state *state);
bool payout_state_parse(const char *name, enum payout_state *state);

/* Whether one step leads from `from` to `to` by any event: what `verify` holds histories against. */
bool referral_step_legal(enum referral_state from, enum referral_state to);
bool commission_step_legal(enum commission_state from, enum commission_state to);
bool payout_step_legal(enum payout_state from, enum payout_state to);

#endif
