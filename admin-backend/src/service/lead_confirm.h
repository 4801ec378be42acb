/*
 * lead_confirm.h - double opt-in: a lead of such a form is one when the link in a mail was followed and a button pressed.
 *
 * Following the link alone does nothing: mail scanners do that.  Until it is confirmed a lead is 'unconfirmed': nobody's
 * work, nobody's earning, nobody's duplicate.  After 7 days it is erased.
 */
#ifndef AFFILIATED_SERVICE_LEAD_CONFIRM_H
#define AFFILIATED_SERVICE_LEAD_CONFIRM_H

#include "service/confirm_words.h"
#include "service/service.h"
#include "store/lead.h"

#define LEAD_CONFIRM_LIFE_S (UINT64_C(48) * 3600)
#define LEAD_CONFIRM_KEEP_S (UINT64_C(7) * 86400)

enum lead_confirmation {
    LEAD_CONFIRM_WAITS = 1,
    LEAD_CONFIRM_DONE,
    LEAD_CONFIRM_OVER /* no pass of ours, too old, or its lead is gone */
};
/* pass: of the link.  *words: the form's language. */
enum service_result lead_confirm_look(const struct service *service, const char *pass, enum lead_confirmation *state,
                                      const struct confirm_words **words, struct service_error *error);
/* The button: once, however often it is pressed. */
enum service_result lead_confirm(const struct service *service, const char *pass, enum lead_confirmation *state,
                                 const struct confirm_words **words, struct service_error *error);

/* In the transaction that stores the lead, or finds it again: its mail, one a day (UTC) at most. */
enum db_result lead_confirm_ask(const struct service *service, struct db *db, const struct lead_row *lead);

/* Who did not confirm for 7 days is erased; called by `work` now and then. */
void lead_confirm_forget(const struct service *service);

#endif
