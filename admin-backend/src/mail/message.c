#include "mail/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "domain/contact.h"

#define PLAIN_MAX 60 /* bytes of a header's text in one line */
#define WORD_RAW  39 /* bytes in one encoded word: 64 with its 12 around them, of the 75 that RFC 2047 allows */

/* ---- addresses ---- */

/* The domain as DNS has it; what is not ASCII before it few servers take (SMTPUTF8). */
static bool
mailbox_address(const char *text, char address[MAILBOX_ADDRESS_MAX])
{
    char        key[CONTACT_EMAIL_MAX];
    const char *at = strrchr(text, '@');

    if (at == NULL || !contact_email_key(text, key) || strlen(key) >= MAILBOX_ADDRESS_MAX)
        return false;
    memcpy(address, key, strlen(key) + 1);
    memcpy(address, text, (size_t) (at - text));
    for (const char *c = address; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return true;
}

static bool
is_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char) *text < ' ' || *text == '\x7f')
            return false;
    }
    return true;
}

bool
mailbox_parse(const char *text, struct mailbox *mailbox)
{
    const char *open = strrchr(text, '<');
    size_t      len = strlen(text), name = 0;
    char        address[MAILBOX_ADDRESS_MAX];

    memset(mailbox, 0, sizeof(*mailbox));
    if (open == NULL)
        return mailbox_address(text, mailbox->address);
    name = (size_t) (open - text);
    if (text[len - 1] != '>' || len - name - 2 >= sizeof(address) || name >= sizeof(mailbox->name))
        return false;
    memcpy(address, open + 1, len - name - 2);
    address[len - name - 2] = '\0';
    while (name > 0 && text[name - 1] == ' ')
        name--;
    memcpy(mailbox->name, text, name);
    return is_text(mailbox->name) && strpbrk(mailbox->name, "<>\"\\") == NULL
           && mailbox_address(address, mailbox->address);
}

/* ---- headers ---- */

/* Bytes of the first word of what is left: whole characters only. */
static size_t
word_len(const char *text, size_t len)
{
    size_t take = len < WORD_RAW ? len : WORD_RAW;

    while (take > 1 && take < len && ((unsigned char) text[take] & 0xc0) == 0x80)
        take--;
    return take;
}

static char *
encoded_words(const char *text, size_t len)
{
    size_t room = (len / (WORD_RAW - 3) + 2) * 80, used = 0;
    char  *out = malloc(room), word[64];

    for (size_t take; out != NULL && len > 0; text += take, len -= take) {
        take = word_len(text, len);
        sodium_bin2base64(word, sizeof(word), (const unsigned char *) text, take, sodium_base64_VARIANT_ORIGINAL);
        used += (size_t) snprintf(out + used, room - used, "%s=?UTF-8?B?%s?=", used == 0 ? "" : "\r\n ", word);
    }
    return out;
}

char *
message_encode(const char *text)
{
    size_t len = strlen(text);
    bool   plain = len <= PLAIN_MAX && strstr(text, "=?") == NULL;
    char  *line = strdup(text), *words;

    for (char *c = line; c != NULL && *c != '\0'; c++) {
        if ((unsigned char) *c < ' ' || *c == '\x7f')
            *c = ' ';
        plain = plain && (unsigned char) *c < 0x80;
    }
    if (line == NULL || plain)
        return line;
    words = encoded_words(line, len);
    free(line);
    return words;
}

/* Appends "name: <before><text><after>"; *list is freed and NULL when there is no memory. */
static void
add(struct curl_slist **list, bool first, const char *format, const char *one, const char *two)
{
    struct curl_slist *longer = NULL;
    char              *line = NULL;

    if ((first || *list != NULL) && asprintf(&line, format, one, two) >= 0)
        longer = curl_slist_append(*list, line);
    if (longer == NULL)
        curl_slist_free_all(*list);
    *list = longer;
    free(line);
}

/* A name in quotes where it is plain; an encoded word stands in none. */
static void
add_from(struct curl_slist **list, const struct mailbox *from)
{
    char *name = message_encode(from->name);
    bool  encoded = name != NULL && strncmp(name, "=?", 2) == 0;

    if (name == NULL) {
        curl_slist_free_all(*list);
        *list = NULL;
    } else if (name[0] == '\0') {
        add(list, false, "From: %s%s", "", from->address);
    } else {
        add(list, false, encoded ? "From: %s <%s>" : "From: \"%s\" <%s>", name, from->address);
    }
    free(name);
}

struct curl_slist *
message_headers(const struct message *message)
{
    struct curl_slist *list = NULL;
    char              *subject = message_encode(message->subject);
    time_t             now = (time_t) (message->now_us / 1000000);
    struct tm          tm;
    char               date[48];

    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S", &tm);
    if (subject != NULL) {
        add(&list, true, "Date: %s %s", date, "+0000");
        add_from(&list, message->from);
        add(&list, false, "To: %s%s", message->recipient, "");
        add(&list, false, "Subject: %s%s", subject, "");
        add(&list, false, "Message-ID: <%s%s>", message->uid, strrchr(message->from->address, '@'));
        add(&list, false, "Auto-Submitted: %s%s", "auto-generated", ""); /* RFC 3834: no vacation answers, please */
    }
    free(subject);
    return list;
}

/* ---- the body ---- */

/* curl's encoder takes \r\n for the end of a line and \n for a character. */
static char *
crlf(const char *text)
{
    char *out = malloc(strlen(text) * 2 + 1), *to = out;

    for (; out != NULL && *text != '\0'; text++) {
        if (*text == '\r')
            continue;
        if (*text == '\n')
            *to++ = '\r';
        *to++ = *text;
    }
    if (out != NULL)
        *to = '\0';
    return out;
}

static bool
add_part(curl_mime *mime, const char *text, const char *type)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    char          *lines = crlf(text);
    bool           sound = part != NULL && lines != NULL && curl_mime_data(part, lines, CURL_ZERO_TERMINATED) == CURLE_OK
                 && curl_mime_type(part, type) == CURLE_OK && curl_mime_encoder(part, "quoted-printable") == CURLE_OK;

    free(lines);
    return sound;
}

curl_mime *
message_body(CURL *curl, const struct message *message)
{
    curl_mime     *whole = curl_mime_init(curl), *both = NULL;
    curl_mimepart *part;

    if (whole == NULL)
        return NULL;
    if (message->html[0] == '\0') {
        if (add_part(whole, message->text, "text/plain; charset=utf-8"))
            return whole;
    } else {
        both = curl_mime_init(curl);
        part = curl_mime_addpart(whole);
        if (both != NULL && part != NULL && add_part(both, message->text, "text/plain; charset=utf-8")
            && add_part(both, message->html, "text/html; charset=utf-8")
            && curl_mime_subparts(part, both) == CURLE_OK) { /* whose it is now */
            both = NULL;
            if (curl_mime_type(part, "multipart/alternative") == CURLE_OK)
                return whole;
        }
    }
    curl_mime_free(both);
    curl_mime_free(whole);
    return NULL;
}
