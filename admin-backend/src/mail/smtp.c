#include "mail/smtp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_TIMEOUT_S 15L
#define TIMEOUT_S         60L
#define PASSWORD_MAX      512
#define URL_MAX           1024
#define STOP_GRACE_S      5

/* How far a mail has come: what a refusal means depends on what was refused. */
enum stage { STAGE_GREETING, STAGE_SENDER, STAGE_RECIPIENT, STAGE_DATA };

struct smtp {
    const struct smtp_options *options;
    CURL                      *curl;
    enum stage                 stage;
    int                        code;   /* of the last reply; 0: none */
    time_t                     stop_s; /* when we first saw that we are to end; 0: not yet */
    bool                       leaving; /* QUIT was said: what comes now answers that */
    char                       reply[SMTP_WHY_MAX];
    char                       error[CURL_ERROR_SIZE];
};

static int  hear(CURL *curl, curl_infotype type, char *data, size_t len, void *ctx);
static int  go_on(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d);
static bool set_login(struct smtp *smtp, char *why);

struct smtp *
smtp_open(const struct smtp_options *options, char *why)
{
    static const long tls[] = { [SMTP_TLS_OFF] = CURLUSESSL_NONE, [SMTP_TLS_OPTIONAL] = CURLUSESSL_TRY,
                                [SMTP_TLS_REQUIRED] = CURLUSESSL_ALL };
    struct smtp *smtp = calloc(1, sizeof(*smtp));
    char         url[URL_MAX];

    snprintf(why, SMTP_WHY_MAX, "out of memory");
    if (smtp == NULL)
        return NULL;
    smtp->options = options;
    smtp->curl = curl_easy_init();
    if (smtp->curl == NULL) {
        free(smtp);
        return NULL;
    }
    /* The path is what EHLO says. */
    snprintf(url, sizeof(url), "%s/%s", options->url, strrchr(options->from.address, '@') + 1);
    curl_easy_setopt(smtp->curl, CURLOPT_URL, url);
    curl_easy_setopt(smtp->curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(smtp->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(smtp->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(smtp->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(smtp->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(smtp->curl, CURLOPT_USE_SSL, tls[options->tls]);
    if (options->ca_file != NULL)
        curl_easy_setopt(smtp->curl, CURLOPT_CAINFO, options->ca_file);
    curl_easy_setopt(smtp->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(smtp->curl, CURLOPT_ERRORBUFFER, smtp->error);
    curl_easy_setopt(smtp->curl, CURLOPT_VERBOSE, 1L); /* what is said goes to hear(), and no further */
    curl_easy_setopt(smtp->curl, CURLOPT_DEBUGFUNCTION, hear);
    curl_easy_setopt(smtp->curl, CURLOPT_DEBUGDATA, smtp);
    curl_easy_setopt(smtp->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(smtp->curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(smtp->curl, CURLOPT_XFERINFODATA, smtp);
    if (set_login(smtp, why))
        return smtp;
    smtp_close(smtp);
    return NULL;
}

void
smtp_close(struct smtp *smtp)
{
    if (smtp == NULL)
        return;
    curl_easy_cleanup(smtp->curl);
    free(smtp);
}

static bool
set_login(struct smtp *smtp, char *why)
{
    const struct smtp_options *options = smtp->options;
    char                       password[PASSWORD_MAX] = "";
    FILE                      *file;
    bool                       sound;

    if (options->user == NULL)
        return true;
    file = fopen(options->password_file, "re");
    if (file == NULL) {
        snprintf(why, SMTP_WHY_MAX, "cannot read smtp_password_file: %s", strerror(errno));
        return false;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no copy of it in a buffer that nobody wipes */
    sound = fgets(password, sizeof(password), file) != NULL;
    fclose(file);
    password[strcspn(password, "\r\n")] = '\0';
    if (!sound || password[0] == '\0') {
        snprintf(why, SMTP_WHY_MAX, "smtp_password_file is empty");
        return false;
    }
    sound = curl_easy_setopt(smtp->curl, CURLOPT_USERNAME, options->user) == CURLE_OK
            && curl_easy_setopt(smtp->curl, CURLOPT_PASSWORD, password) == CURLE_OK;
    explicit_bzero(password, sizeof(password));
    return sound;
}

/* ---- one mail ---- */

static bool
starts_with(const char *data, size_t len, const char *word)
{
    return len >= strlen(word) && strncasecmp(data, word, strlen(word)) == 0;
}

/* Of commands only how far they are; of replies the last line. */
static void
note_reply(struct smtp *smtp, const char *data, size_t len)
{
    size_t kept = 0;

    if (len < 3 || data[0] < '2' || data[0] > '5' || data[1] < '0' || data[1] > '9' || data[2] < '0' || data[2] > '9')
        return;
    smtp->code = (data[0] - '0') * 100 + (data[1] - '0') * 10 + (data[2] - '0');
    for (size_t i = 0; i < len && kept + 1 < sizeof(smtp->reply); i++)
        if (data[i] >= ' ' && data[i] <= '~')
            smtp->reply[kept++] = data[i];
    smtp->reply[kept] = '\0';
}

static int
hear(CURL *curl, curl_infotype type, char *data, size_t len, void *ctx)
{
    struct smtp *smtp = ctx;

    (void) curl;
    if (type == CURLINFO_HEADER_OUT && starts_with(data, len, "QUIT"))
        smtp->leaving = true;
    if (type == CURLINFO_HEADER_IN && !smtp->leaving)
        note_reply(smtp, data, len);
    if (type != CURLINFO_HEADER_OUT || smtp->leaving)
        return 0;
    smtp->code = 0;
    if (starts_with(data, len, "MAIL FROM:"))
        smtp->stage = STAGE_SENDER;
    else if (starts_with(data, len, "RCPT TO:"))
        smtp->stage = STAGE_RECIPIENT;
    else if (starts_with(data, len, "DATA\r"))
        smtp->stage = STAGE_DATA;
    return 0;
}

static int
go_on(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct smtp    *smtp = ctx;
    struct timespec now;

    (void) a, (void) b, (void) c, (void) d;
    if (smtp->options->stop == NULL || !atomic_load(smtp->options->stop))
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (smtp->stop_s == 0)
        smtp->stop_s = now.tv_sec + 1;
    /* Whoever leaves between the mail's end and the answer sends it twice. */
    return smtp->stage != STAGE_DATA || now.tv_sec > smtp->stop_s + STOP_GRACE_S;
}

static enum smtp_outcome
outcome_of(const struct smtp *smtp, CURLcode result)
{
    if (result == CURLE_OK)
        return SMTP_SENT;
    if (smtp->stage < STAGE_RECIPIENT)
        return SMTP_DOWN;
    return smtp->code / 100 == 5 ? SMTP_REFUSED : SMTP_LATER;
}

enum smtp_outcome
smtp_send(struct smtp *smtp, const struct message *message, char *why, int *code)
{
    struct curl_slist *headers = message_headers(message), *recipients = NULL;
    curl_mime         *body = message_body(smtp->curl, message);
    CURLcode           result = CURLE_OUT_OF_MEMORY;

    smtp->stage = STAGE_GREETING;
    smtp->leaving = false;
    smtp->code = 0;
    smtp->reply[0] = smtp->error[0] = '\0';
    recipients = curl_slist_append(NULL, message->recipient);
    if (headers != NULL && body != NULL && recipients != NULL) {
        curl_easy_setopt(smtp->curl, CURLOPT_MAIL_FROM, message->from->address);
        curl_easy_setopt(smtp->curl, CURLOPT_MAIL_RCPT, recipients);
        curl_easy_setopt(smtp->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(smtp->curl, CURLOPT_MIMEPOST, body);
        result = curl_easy_perform(smtp->curl);
        curl_easy_setopt(smtp->curl, CURLOPT_MAIL_RCPT, NULL);
        curl_easy_setopt(smtp->curl, CURLOPT_HTTPHEADER, NULL);
        curl_easy_setopt(smtp->curl, CURLOPT_MIMEPOST, NULL);
    }
    curl_mime_free(body);
    curl_slist_free_all(headers);
    curl_slist_free_all(recipients);
    *code = smtp->code;
    snprintf(why, SMTP_WHY_MAX, "%s",
             smtp->code >= 400       ? smtp->reply
             : smtp->error[0] != '\0' ? smtp->error
                                      : curl_easy_strerror(result));
    return outcome_of(smtp, result);
}
