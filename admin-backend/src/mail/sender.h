/*
 * sender.h - the outbox's way out: what is due goes to the mail server, and what came of it goes back.
 */
#ifndef AFFILIATED_MAIL_SENDER_H
#define AFFILIATED_MAIL_SENDER_H

#include "mail/smtp.h"
#include "service/outbox.h"

struct sender_options {
    const struct service *service;
    struct smtp_options   smtp; /* url NULL: there is no server, and mails wait */
};

struct sender;
struct sender *sender_new(const struct sender_options *options); /* NULL: no memory */
void           sender_free(struct sender *sender);               /* NULL is fine */
void           sender_run(struct sender *sender);                /* until sender_stop */
void           sender_stop(struct sender *sender);               /* any thread; the mail under way is not waited for */

/* All that is due, once. False: the server or the database has trouble, try again later. */
bool sender_round(struct sender *sender);

#endif
