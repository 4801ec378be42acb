#include "service/outbox.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "domain/contact.h"
#include "service/decide.h"

#define PAUSE_FIRST_US UINT64_C(60000000)
#define PAUSE_LAST_US  UINT64_C(21600000000)
#define KEEP_US        (UINT64_C(30) * 86400000000)
#define FORGET_AT_ONCE 1000
#define SUBJECT_MAX    256

static void new_uid(char uid[OUTBOX_UID_LEN + 1]);

/* ---- asking for one ---- */

/* Local part as it was written, the domain as DNS has it; ASCII only, for few servers take more (SMTPUTF8). */
static bool
sendable(const char *text, char address[CONTACT_EMAIL_MAX])
{
    const char *at = strrchr(text, '@');

    if (!contact_email_key(text, address) || at == NULL)
        return false;
    memcpy(address, text, (size_t) (at - text)); /* as long as in the key: only its case differs */
    for (const char *c = address; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return true;
}

static bool
is_plain_link(const char *link)
{
    for (const char *c = link; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("\"<>&'", *c) != NULL)
            return false;
    }
    return true;
}

/* A subject is one line: whatever would break it is a blank. */
static void
one_line(const char *text, char out[SUBJECT_MAX])
{
    size_t len = 0;

    for (; *text != '\0' && len < SUBJECT_MAX - 1; text++)
        out[len++] = (unsigned char) *text < ' ' || *text == '\x7f' ? ' ' : *text;
    while (len > 0 && *text != '\0' && ((unsigned char) out[len - 1] & 0xc0) == 0x80)
        len--; /* cut between two characters */
    if (len > 0 && *text != '\0' && (unsigned char) out[len - 1] >= 0xc0)
        len--;
    out[len] = '\0';
}

static char *
text_of(const char *text)
{
    return (char *) (uintptr_t) (text == NULL ? "" : text);
}

enum db_result
outbox_mail(struct db *db, const struct outbox_mail *mail, uint64_t now_us)
{
    char              address[CONTACT_EMAIL_MAX], subject[SUBJECT_MAX], uid[OUTBOX_UID_LEN + 1];
    bool              good_address = sendable(mail->recipient, address);
    bool              good_link = mail->link == NULL || is_plain_link(mail->link);
    struct outbox_row row = {
        .version = 1,
        .kind = text_of("mail"),
        .name = text_of(mail->name),
        .uid = uid,
        .lead_id = mail->lead_id,
        .recipient = good_address ? address : text_of(mail->recipient),
        .subject = subject,
        .text = text_of(mail->text),
        .html = text_of(mail->html),
        .link = text_of(good_link ? mail->link : NULL),
        .state = text_of(good_address && good_link ? "queued" : "failed"),
        .next_us = (int64_t) now_us,
        .expires_us = (int64_t) mail->expires_us,
        .last_error = text_of(!good_address ? "the recipient is no address that can be written to"
                              : !good_link  ? "the link is no plain address"
                                            : ""),
    };

    new_uid(uid);
    one_line(mail->subject, subject);
    return outbox_insert(db, &row, now_us);
}

static void
new_uid(char uid[OUTBOX_UID_LEN + 1])
{
    uint8_t bytes[OUTBOX_UID_LEN / 2];

    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2hex(uid, OUTBOX_UID_LEN + 1, bytes, sizeof(bytes));
}

char *
outbox_fill(const char *text, const char *link)
{
    size_t      link_len = strlen(link), len = 0;
    const char *mark;
    char       *out;

    for (mark = text; *mark != '\0'; mark++)
        len += *mark == OUTBOX_LINK[0] ? link_len : 1;
    out = malloc(len + 1);
    if (out == NULL)
        return NULL;
    len = 0;
    for (mark = text; *mark != '\0'; mark++) {
        if (*mark == OUTBOX_LINK[0]) {
            memcpy(out + len, link, link_len);
            len += link_len;
        } else {
            out[len++] = *mark;
        }
    }
    out[len] = '\0';
    return out;
}

/* ---- once more ---- */

static enum service_result
resend(struct db *db, struct decision *decision, struct service_error *error)
{
    struct outbox_row row;
    char              uid[OUTBOX_UID_LEN + 1];
    bool              waits, over;
    enum db_result    rc = row_load(db, &outbox_table, decision->id, &row);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "outbox_resend");
    waits = strcmp(row.state, "queued") == 0;
    over = (uint64_t) row.expires_us <= decision->at_us;
    row_free(&outbox_table, &row);
    if (over)
        return service_refuse(error, SERVICE_CONFLICT, "outbox_expired", "What this is for is over.");
    if (waits)
        return service_refuse(error, SERVICE_CONFLICT, "outbox_queued", "This waits to be sent already.");
    new_uid(uid);
    return service_from_db(error, outbox_requeue(db, decision->id, uid, decision->at_us), "outbox_resend");
}

enum service_result
outbox_resend(const struct service *service, const struct actor *actor, int64_t id, json_t **object,
              struct service_error *error)
{
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &outbox_list,
        .object_type = "outbox entry",
        .action = "outbox.resend",
        .id = id,
        .step = resend,
    };

    return decide(&decision, object, error);
}

/* ---- for senders ---- */

struct search {
    const struct service *service;
    int64_t              *ids;
    int                   room, *count;
};

static enum db_result
search(struct db *db, void *ctx)
{
    struct search *search = ctx;

    *search->count = search->room;
    return outbox_due(db, "mail", search->service->now_us(), search->ids, search->count);
}

enum db_result
outbox_due_mails(const struct service *service, int64_t *ids, int *count)
{
    struct search search_for = { service, ids, *count, count };

    return db_read(service->pool, search, &search_for);
}

struct taking {
    const struct service *service;
    int64_t               id;
    struct outbox_row     row;
    bool                  taken;
};

static enum db_result
take(struct db *db, void *ctx)
{
    struct taking *taking = ctx;
    uint64_t       now_us = taking->service->now_us();
    enum db_result rc;

    row_free(&outbox_table, &taking->row); /* of an attempt before */
    memset(&taking->row, 0, sizeof(taking->row));
    taking->taken = false;
    rc = row_load(db, &outbox_table, taking->id, &taking->row);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    if (strcmp(taking->row.state, "queued") != 0 || (uint64_t) taking->row.next_us > now_us
        || (uint64_t) taking->row.expires_us <= now_us)
        return DB_OK;
    taking->row.tries++;
    taking->taken = true;
    return outbox_count_try(db, taking->id, now_us + outbox_pause_us(taking->row.tries, randombytes_random()), now_us);
}

enum db_result
outbox_take(const struct service *service, int64_t id, struct outbox_row *row)
{
    struct taking  taking = { .service = service, .id = id };
    enum db_result rc = db_write(service->pool, DB_BATCH, take, &taking);

    if (rc == DB_OK && taking.taken) {
        *row = taking.row;
        return DB_OK;
    }
    row_free(&outbox_table, &taking.row);
    return rc == DB_OK ? DB_DONE : rc;
}

struct settling {
    const struct service    *service;
    const struct outbox_row *row;
    const char              *state, *why;
};

static enum db_result
settle(struct db *db, void *ctx)
{
    const struct settling *settling = ctx;
    uint64_t               now_us = settling->service->now_us();

    return outbox_conclude(db, settling->row, settling->state, settling->why,
                           strcmp(settling->state, "sent") == 0 ? now_us : 0, now_us);
}

enum db_result
outbox_settle(const struct service *service, const struct outbox_row *row, enum outbox_outcome outcome,
              const char *why, bool *failed)
{
    struct settling settling = { service, row, "queued", outcome == OUTBOX_SENT ? "" : why };

    *failed = outcome == OUTBOX_REFUSED || (outcome == OUTBOX_LATER && row->tries >= OUTBOX_TRIES);
    if (outcome == OUTBOX_SENT)
        settling.state = "sent";
    else if (*failed)
        settling.state = "failed";
    return db_write(service->pool, DB_BATCH, settle, &settling);
}

uint64_t
outbox_pause_us(int64_t tries, uint32_t random)
{
    uint64_t pause_us = PAUSE_FIRST_US;

    while (--tries > 0 && pause_us < PAUSE_LAST_US)
        pause_us *= 2;
    if (pause_us > PAUSE_LAST_US)
        pause_us = PAUSE_LAST_US;
    return pause_us * 3 / 4 + pause_us / 2 * (random >> 16) / 65536;
}

/* ---- forgetting ---- */

struct forgetting {
    const struct service *service;
    bool                  more;
};

static enum db_result
forget(struct db *db, void *ctx)
{
    struct forgetting *forgetting = ctx;
    uint64_t           now_us = forgetting->service->now_us();
    enum db_result     rc = outbox_expire(db, now_us);

    if (rc == DB_OK)
        rc = outbox_delete_old(db, now_us - KEEP_US, FORGET_AT_ONCE);
    forgetting->more = rc == DB_OK && db_changes(db) == FORGET_AT_ONCE;
    return rc;
}

void
outbox_forget(const struct service *service)
{
    struct forgetting forgetting = { service, false };

    do {
        if (db_write(service->pool, DB_BATCH, forget, &forgetting) != DB_OK)
            return;
    } while (forgetting.more);
}
