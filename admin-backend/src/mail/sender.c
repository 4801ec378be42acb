#include "mail/sender.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/log.h"

#define AT_ONCE      50
#define TICK_S       1
#define TROUBLE_S    30 /* a server that is down is not asked for every mail that waits */

struct sender {
    struct sender_options options;
    pthread_mutex_t       lock;
    pthread_cond_t        woken;
    atomic_bool           stop;
    bool                  said; /* that there is no server */
};

static bool send_all(struct sender *sender, const int64_t *ids, int count);
static enum smtp_outcome send_one(struct sender *sender, struct smtp *smtp, const struct outbox_row *row);

struct sender *
sender_new(const struct sender_options *options)
{
    struct sender     *sender = calloc(1, sizeof(*sender));
    pthread_condattr_t monotonic;

    if (sender == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(sender);
        return NULL;
    }
    sender->options = *options;
    sender->options.smtp.stop = &sender->stop;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sender->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sender->lock, NULL);
    return sender;
}

void
sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    pthread_cond_destroy(&sender->woken);
    pthread_mutex_destroy(&sender->lock);
    free(sender);
    curl_global_cleanup();
}

void
sender_stop(struct sender *sender)
{
    pthread_mutex_lock(&sender->lock);
    atomic_store(&sender->stop, true);
    pthread_cond_signal(&sender->woken);
    pthread_mutex_unlock(&sender->lock);
}

static void
wait_s(struct sender *sender, unsigned seconds)
{
    struct timespec until;
    int             timed_out = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&sender->lock);
    while (!atomic_load(&sender->stop) && timed_out == 0)
        timed_out = pthread_cond_timedwait(&sender->woken, &sender->lock, &until);
    pthread_mutex_unlock(&sender->lock);
}

void
sender_run(struct sender *sender)
{
    while (!atomic_load(&sender->stop))
        wait_s(sender, sender_round(sender) ? TICK_S : TROUBLE_S);
}

bool
sender_round(struct sender *sender)
{
    int64_t ids[AT_ONCE];
    int     count = AT_ONCE;

    while (count == AT_ONCE && !atomic_load(&sender->stop)) {
        if (outbox_due_mails(sender->options.service, ids, &count) != DB_OK)
            return false;
        if (count > 0 && sender->options.smtp.url == NULL) {
            if (!sender->said)
                log_warn("mail", "mails wait: the configuration names no server (smtp)");
            sender->said = true;
            return true;
        }
        if (count > 0 && !send_all(sender, ids, count))
            return false;
    }
    return true;
}

/* One conversation. */
static bool
send_all(struct sender *sender, const int64_t *ids, int count)
{
    char              why[SMTP_WHY_MAX];
    struct smtp      *smtp = smtp_open(&sender->options.smtp, why);
    enum smtp_outcome outcome = SMTP_SENT;
    struct outbox_row row;
    enum db_result    rc = DB_OK;

    if (smtp == NULL) {
        log_error("mail", "nothing is sent: %s", why);
        return false;
    }
    for (int i = 0; i < count && outcome != SMTP_DOWN && (rc == DB_OK || rc == DB_DONE); i++) {
        if (atomic_load(&sender->stop))
            break;
        rc = outbox_take(sender->options.service, ids[i], &row);
        if (rc != DB_OK)
            continue;
        outcome = send_one(sender, smtp, &row);
        row_free(&outbox_table, &row);
    }
    smtp_close(smtp);
    return outcome != SMTP_DOWN && (rc == DB_OK || rc == DB_DONE);
}

/* The server's own words may name the recipient: they go into the row, their number into the log. */
static void
log_outcome(const struct outbox_row *row, enum smtp_outcome outcome, bool failed, int code, const char *why)
{
    if (outcome == SMTP_SENT)
        log_info("mail", "outbox %lld is sent", (long long) row->id);
    else if (code >= 400)
        log_warn("mail", "outbox %lld, try %lld: the server says %d%s", (long long) row->id, (long long) row->tries,
                 code, failed ? "; it is given up" : "");
    else
        log_warn("mail", "outbox %lld, try %lld: %s%s", (long long) row->id, (long long) row->tries, why,
                 failed ? "; it is given up" : "");
}

static enum smtp_outcome
send_one(struct sender *sender, struct smtp *smtp, const struct outbox_row *row)
{
    static const enum outbox_outcome outcomes[] = { [SMTP_SENT] = OUTBOX_SENT, [SMTP_REFUSED] = OUTBOX_REFUSED,
                                                    [SMTP_LATER] = OUTBOX_LATER, [SMTP_DOWN] = OUTBOX_LATER };
    const struct service *service = sender->options.service;
    char                 *text = outbox_fill(row->text, row->link), *html = outbox_fill(row->html, row->link);
    struct message        message = { .from = &sender->options.smtp.from, .uid = row->uid,
                                      .recipient = row->recipient, .subject = row->subject, .text = text,
                                      .html = html, .now_us = service->now_us() };
    enum smtp_outcome     outcome = SMTP_DOWN;
    char                  why[SMTP_WHY_MAX] = "out of memory";
    bool                  failed;
    int                   code = 0;

    if (text != NULL && html != NULL)
        outcome = smtp_send(smtp, &message, why, &code);
    free(text);
    free(html);
    if (outbox_settle(service, row, outcomes[outcome], why, &failed) == DB_OK)
        log_outcome(row, outcome, failed, code, why);
    else
        log_error("mail", "what became of outbox %lld is not written down: %s", (long long) row->id, db_last_message());
    return outcome;
}
