/*
 * outbox.h - what we send by ourselves: written with the change it tells of, sent afterwards.
 *
 * A mail is asked for in the transaction of the change, so that both are there or neither is.  A sender (mail/sender.h)
 * takes what is due, one at a time: it counts the try first, then sends, then writes down what came of it.  A crash
 * between the last two sends once more, with the same Message-ID, by which receivers know it.
 */
#ifndef AFFILIATED_SERVICE_OUTBOX_H
#define AFFILIATED_SERVICE_OUTBOX_H

#include "store/list.h"
#include "store/outbox.h"

#define OUTBOX_LINK       "\x1a" /* stands in text and html where the link belongs; people's texts cannot hold it */
#define OUTBOX_TRIES      10

extern const struct list_spec outbox_list;

/* Texts are UTF-8 and borrowed. */
struct outbox_mail {
    const char *name;       /* what it is about; a second one of that name is none */
    int64_t     lead_id;    /* whose data it holds; 0: nobody's */
    const char *recipient;  /* one address.  What none is, or cannot be written to, becomes a failed row */
    const char *subject;
    const char *text, *html; /* html NULL: none */
    const char *link;       /* printable ASCII without " < > & '; NULL: none */
    uint64_t    expires_us;
};
/* In the transaction of what it tells. */
enum db_result outbox_mail(struct db *db, const struct outbox_mail *mail, uint64_t now_us);

/* From the start, under a new id. SERVICE_CONFLICT "outbox_queued" or "outbox_expired". */
enum service_result outbox_resend(const struct service *service, const struct actor *actor, int64_t id,
                                  json_t **object, struct service_error *error);

/* Text with the link where it belongs; malloc'ed, NULL: no memory. */
char *outbox_fill(const char *text, const char *link);

/* ---- for senders ---- */

enum outbox_outcome {
    OUTBOX_SENT,
    OUTBOX_REFUSED, /* for good */
    OUTBOX_LATER    /* to be tried again, until its tries are used up */
};

/* Which mails are due; count as outbox_due has it. */
enum db_result outbox_due_mails(const struct service *service, int64_t *ids, int *count);
/* Counts a try of what is due: *row is then the caller's (row_free). DB_DONE: it is no longer due. */
enum db_result outbox_take(const struct service *service, int64_t id, struct outbox_row *row);
/* What came of that try; *failed: it is not tried again. A row that was sent anew or deleted since is left alone. */
enum db_result outbox_settle(const struct service *service, const struct outbox_row *row, enum outbox_outcome outcome,
                             const char *why, bool *failed);
/* How long to wait after so many tries: 1 minute, doubling to 6 hours, give or take a quarter. */
uint64_t       outbox_pause_us(int64_t tries, uint32_t random);

/* What comes too late is dropped, what is over for 30 days is forgotten; called by `work` now and then. */
void outbox_forget(const struct service *service);

#endif
