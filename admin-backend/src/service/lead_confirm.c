#include "service/lead_confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "service/html.h"
#include "service/lead_decide.h"
#include "service/outbox.h"
#include "store/intake.h"
#include "store/lead_work.h"
#include "tracker_token.h"

#define US_PER_S       UINT64_C(1000000)
#define US_PER_DAY     (86400 * US_PER_S)
#define FORGET_AT_ONCE 100

/* ---- the mail ---- */

static void
make_pass(const struct service *service, const struct lead_row *lead, uint64_t now_us, char text[TRACKER_PASS_LEN + 1])
{
    struct tracker_pass pass = { .use = TRACKER_PASS_CONFIRM, .owner = (uint32_t) lead->form_id,
                                 .expires_s = now_us / US_PER_S + LEAD_CONFIRM_LIFE_S };

    tracker_lead_parse((struct tracker_str){ lead->uid, strlen(lead->uid) }, pass.lead);
    randombytes_buf(pass.nonce, sizeof(pass.nonce));
    tracker_pass_make(service->keys, &pass, text);
    text[TRACKER_PASS_LEN] = '\0';
}

/* Nothing that a visitor typed: nobody writes to strangers by our form. */
static void
write_text(struct html *text, const struct confirm_words *words, const char *title)
{
    html_format(text, "%s\n\n    %s\n\n%s\n\n" OUTBOX_LINK "\n\n%s\n", words->entered, title, words->please,
                words->ignore);
}

static void
write_html(struct html *html, const struct confirm_words *words, const char *title)
{
    html_format(html, "<!doctype html>\n<html lang=\"%s\">\n<body style=\"font:16px/1.5 sans-serif\">\n<p>%s</p>\n<p><strong>",
                words->language, words->entered);
    html_text(html, title);
    html_format(html, "</strong></p>\n<p>%s</p>\n<p><a href=\"" OUTBOX_LINK "\">%s</a></p>\n<p>%s</p>\n</body>\n</html>\n",
                words->please, words->button, words->ignore);
}

static enum db_result
write_mail(const struct service *service, struct db *db, const struct lead_row *lead, const struct form_row *form)
{
    const struct confirm_words *words = confirm_words(form->language);
    const char                 *title = form->title[0] == '\0' ? form->name : form->title;
    uint64_t                    now_us = service->now_us();
    struct html                 text = { .text = NULL }, html = { .text = NULL };
    char                        pass[TRACKER_PASS_LEN + 1], link[1024], name[80];
    enum db_result              rc = DB_FAILED;

    make_pass(service, lead, now_us, pass);
    snprintf(link, sizeof(link), "%s/confirm/%s", service->base_url, pass);
    snprintf(name, sizeof(name), "confirm:%.32s:%llu", lead->uid, (unsigned long long) (now_us / US_PER_DAY));
    write_text(&text, words, title);
    write_html(&html, words, title);
    if (!text.failed && !html.failed) {
        const struct outbox_mail mail = { .name = name, .lead_id = lead->id, .recipient = lead->email,
                                          .subject = words->subject, .text = text.text, .html = html.text,
                                          .link = link, .expires_us = now_us + LEAD_CONFIRM_LIFE_S * US_PER_S };
        rc = outbox_mail(db, &mail, now_us);
    }
    free(text.text);
    free(html.text);
    return rc;
}

enum db_result
lead_confirm_ask(const struct service *service, struct db *db, const struct lead_row *lead)
{
    struct form_row form;
    enum db_result  rc = row_load(db, &form_table, lead->form_id, &form);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    rc = write_mail(service, db, lead, &form);
    row_free(&form_table, &form);
    return rc;
}

/* ---- the link ---- */

struct confirming {
    const struct service       *service;
    bool                        press; /* the button; else only looking */
    uint8_t                     uid[TRACKER_LEAD_ID_LEN];
    uint32_t                    form;
    enum lead_confirmation      state;
    const struct confirm_words *words;
};

static enum db_result
find_words(struct db *db, struct confirming *confirming)
{
    struct form_row form;
    enum db_result  rc = row_load(db, &form_table, confirming->form, &form);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    confirming->words = confirm_words(form.language);
    row_free(&form_table, &form);
    return DB_OK;
}

static enum lead_confirmation
state_of(const struct lead_row *lead, const struct confirming *confirming)
{
    if (lead->form_id != confirming->form || lead->erased_us != 0)
        return LEAD_CONFIRM_OVER;
    if (lead->confirmed_us != 0)
        return LEAD_CONFIRM_DONE;
    return strcmp(lead->status, "unconfirmed") == 0 ? LEAD_CONFIRM_WAITS : LEAD_CONFIRM_OVER;
}

static enum db_result
look(struct db *db, void *ctx)
{
    struct confirming *confirming = ctx;
    char               uid[TRACKER_LEAD_HEX_LEN + 1] = "";
    struct lead_row    lead;
    enum db_result     rc;

    confirming->state = LEAD_CONFIRM_OVER;
    tracker_lead_hex(confirming->uid, uid);
    rc = lead_by_uid(db, uid, &lead);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    confirming->state = state_of(&lead, confirming);
    rc = find_words(db, confirming);
    if (rc == DB_OK && confirming->press && confirming->state == LEAD_CONFIRM_WAITS) {
        rc = lead_decide_confirmed(confirming->service, db, &lead);
        confirming->state = LEAD_CONFIRM_DONE;
    }
    row_free(&lead_table, &lead);
    return rc;
}

static enum service_result
follow(const struct service *service, const char *text, bool press, enum lead_confirmation *state,
       const struct confirm_words **words, struct service_error *error)
{
    struct confirming   confirming = { .service = service, .press = press };
    struct tracker_pass pass;
    enum db_result      rc;

    *state = LEAD_CONFIRM_OVER;
    *words = confirm_words("en");
    if (!tracker_pass_read(service->keys, TRACKER_PASS_CONFIRM, service->now_us() / US_PER_S,
                           (struct tracker_str){ text, strlen(text) }, &pass))
        return SERVICE_OK;
    memcpy(confirming.uid, pass.lead, sizeof(confirming.uid));
    confirming.form = pass.owner;
    confirming.words = *words;
    rc = press ? db_write(service->pool, DB_INTERACTIVE, look, &confirming) : db_read(service->pool, look, &confirming);
    if (rc != DB_OK)
        return service_from_db(error, rc, "lead_confirm");
    *state = confirming.state;
    *words = confirming.words;
    return SERVICE_OK;
}

enum service_result
lead_confirm_look(const struct service *service, const char *pass, enum lead_confirmation *state,
                  const struct confirm_words **words, struct service_error *error)
{
    return follow(service, pass, false, state, words, error);
}

enum service_result
lead_confirm(const struct service *service, const char *pass, enum lead_confirmation *state,
             const struct confirm_words **words, struct service_error *error)
{
    return follow(service, pass, true, state, words, error);
}

/* ---- forgetting ---- */

static enum db_result
forget(struct db *db, void *ctx)
{
    const struct service *service = ctx;
    uint64_t              now_us = service->now_us();

    return lead_erase_unconfirmed(db, now_us - LEAD_CONFIRM_KEEP_S * US_PER_S, now_us, FORGET_AT_ONCE);
}

void
lead_confirm_forget(const struct service *service)
{
    struct service copy = *service;

    db_write(service->pool, DB_BATCH, forget, &copy);
}
