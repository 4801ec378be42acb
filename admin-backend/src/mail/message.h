/*
 * message.h - a mail as it travels: headers that nobody can add to, text and HTML (RFC 5322, 2045, 2047).
 */
#ifndef AFFILIATED_MAIL_MESSAGE_H
#define AFFILIATED_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#define MAILBOX_NAME_MAX    128
#define MAILBOX_ADDRESS_MAX 320

struct mailbox {
    char name[MAILBOX_NAME_MAX];       /* UTF-8; may be empty */
    char address[MAILBOX_ADDRESS_MAX]; /* ASCII */
};
/* "noreply@shop.example" or "The Shop <noreply@shop.example>"; false: neither. */
bool mailbox_parse(const char *text, struct mailbox *mailbox);

struct message {
    const struct mailbox *from;
    const char           *uid;        /* of its Message-ID, before from's domain: [0-9a-f]+ */
    const char           *recipient;  /* an address in ASCII */
    const char           *subject;    /* UTF-8 */
    const char           *text, *html; /* UTF-8, lines end with \n; html "": none */
    uint64_t              now_us;     /* its Date */
};
/* NULL: no memory. */
struct curl_slist *message_headers(const struct message *message);
curl_mime         *message_body(CURL *curl, const struct message *message);

/*
 * A header's unstructured text: as it is where that is safe, else RFC 2047's encoded words, folded; malloc'ed.  Control
 * characters become blanks in either case.
 */
char *message_encode(const char *text);

#endif
