/*
 * smtp.h - one conversation with the mail server, by libcurl: a mail after the other.
 *
 * A blocking call a mail, with time limits; certificates are always verified; nothing is taken from the environment.
 */
#ifndef AFFILIATED_MAIL_SMTP_H
#define AFFILIATED_MAIL_SMTP_H

#include <stdatomic.h>

#include "mail/message.h"

#define SMTP_WHY_MAX CURL_ERROR_SIZE

enum smtp_tls {
    SMTP_TLS_OFF = 1,
    SMTP_TLS_OPTIONAL, /* STARTTLS where the server offers it: whoever sits between can take that away */
    SMTP_TLS_REQUIRED
};

struct smtp_options {
    const char    *url;           /* "smtp://host:port" or "smtps://host:port" */
    const char    *user;          /* NULL: no AUTH */
    const char    *password_file; /* read for every conversation: its first line */
    const char    *ca_file;       /* NULL: the system's */
    enum smtp_tls  tls;
    struct mailbox from;
    atomic_bool   *stop;          /* ends what is under way; may be NULL */
};

enum smtp_outcome {
    SMTP_SENT = 0,
    SMTP_REFUSED, /* this mail, for good */
    SMTP_LATER,   /* this mail, for now */
    SMTP_DOWN     /* the server, or how we are set up: no other mail fares better */
};

struct smtp;
/* NULL: why (SMTP_WHY_MAX bytes) says what is missing. Borrows the options. */
struct smtp      *smtp_open(const struct smtp_options *options, char *why);
/* why: the server's words or ours, in ASCII; may name the recipient. *code: the server's last, or 0. */
enum smtp_outcome smtp_send(struct smtp *smtp, const struct message *message, char *why, int *code);
void              smtp_close(struct smtp *smtp); /* NULL is fine */

#endif
