/*
 * serve.c - the HTTP API on a fresh database, without edges, Redis or ingest: what the suites of this folder talk to.
 *
 * Prints one line of JSON (socket, database, a member of staff per role, a small program), then takes one command a
 * line on standard input and answers each with a line, until its end:
 *
 *     advance SECONDS                 the clock moves only by this
 *     lead API_USER AFFILIATE KEY FIELDS   a lead as an edge records it, decided; KEY "-": none; FIELDS "email=a@b.example&..."
 *     pass USE OWNER SECONDS LEAD     a pass of the key ring (tracker_token.h)
 *     sell AMOUNT CURRENCY TXID LINK  a click and its conversion, derived; answers with the referral
 *     ready yes|no                    what /readyz hears
 *     forget                          what `work` does now and then to what is over
 *     watch TEXT                      from now on; see `left`
 *     left                            {"blocks": how many JSON let go, "unwiped": how many of them held TEXT}
 *     fill FORM FIELDS                a form is sent, as `lead` has it: {"id", "verdict"}
 *     write NAME ADDRESS SUBJECT      a mail into the outbox, good for two days: {"id"}
 *     mail URL FROM                   what is due goes there, once: {"well"}
 *     run SQL                         for what no route does yet
 *
 * With --first-start nobody is on the staff yet, and the set-up secret is printed instead.
 */
#include "test_lead.h"

#include <sodium.h>
#include <stdatomic.h>

#include "app/json_memory.h"
#include "http/server.h"
#include "mail/sender.h"
#include "service/lead_confirm.h"
#include "service/people.h"
#include "tracker_token.h"

static atomic_bool      is_ready = true;
static _Atomic uint64_t clock_us; /* what the server's threads see of test_clock_us */

/* What JSON lets go, once it says that it was wiped. */
static char        watched[64];
static atomic_uint blocks, unwiped;

static void
look(const void *block, unsigned long size)
{
    blocks++;
    if (watched[0] != '\0' && memmem(block, size, watched, strlen(watched)) != NULL)
        unwiped++;
}

static uint64_t
now_us(void)
{
    return clock_us;
}

static bool
ready(void *ctx)
{
    (void) ctx;
    return is_ready;
}

static void
say(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(line);
}

/* {"id","email","password","token"} of a new member of staff. */
static json_t *
hire(struct money *m, const char *role)
{
    json_t *body = json_of("{\"email\":\"%s@staff.example\",\"role\":\"%s\",\"password\":\"%s battery staple\"}", role,
                           role, role);
    json_t *person = NULL, *out;
    char    token[SECRET_MAX];

    must(m, staff_create(m->service, &test_admin, body, &person, &m->error));
    must(m, token_create(m->service, &test_admin, text_of(person, "email"), "suite", token, &m->error));
    out = json_pack("{s:s, s:s, s:s, s:s}", "id", text_of(person, "id"), "email", text_of(person, "email"), "password",
                    text_of(body, "password"), "token", token);
    json_decref(person);
    json_decref(body);
    return out;
}

static json_t *
hire_all(struct money *m)
{
    static const char *const roles[] = { "admin", "finance", "manager", "agent", "viewer" };
    json_t                  *staff = json_object();

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        json_object_set_new(staff, roles[i], hire(m, roles[i]));
    return staff;
}

/* {"id","email","password"} of the program's affiliate, who may log in. */
static json_t *
let_in(struct money *m)
{
    static const char password[] = "affiliate battery staple";
    char              id[24];

    must(m, affiliate_set_password(m->service, &test_admin, m->affiliate, password, &m->error));
    snprintf(id, sizeof(id), "%lld", (long long) m->affiliate);
    return json_pack("{s:s, s:s, s:s}", "id", id, "email", "ada@example.com", "password", password);
}

static json_t *
invite(struct money *m)
{
    char secret[SECRET_MAX] = "";
    bool needed = false;

    must(m, setup_invite(m->service, &needed, secret, &m->error));
    return needed ? json_string(secret) : json_null();
}

static json_t *
program_of(const struct money *m)
{
    char group[24], affiliate[24], campaign[24], link[24];

    snprintf(group, sizeof(group), "%lld", (long long) m->group);
    snprintf(affiliate, sizeof(affiliate), "%lld", (long long) m->affiliate);
    snprintf(campaign, sizeof(campaign), "%lld", (long long) m->campaign);
    snprintf(link, sizeof(link), "%lld", (long long) m->link);
    return json_pack("{s:s, s:s, s:s, s:s}", "group", group, "affiliate", affiliate, "campaign", campaign, "link", link);
}

static json_t *
sold(struct money *m, const char *amount, const char *currency, const char *txid, int64_t link)
{
    json_t *referral = NULL;

    tell(m, &(struct sale){ .click = click(m, link, 0, NULL), .amount = amount, .currency = currency, .txid = txid });
    derive_all(m);
    must(m, referral_get(m->service, test_int(m->base.pool, "SELECT MAX(id) AS n FROM referrals"), &referral, &m->error));
    return referral;
}

static json_t *
refunded(struct money *m, const char *amount, const char *currency, const char *txid, const char *refund_id)
{
    tell(m, &(struct sale){ .amount = amount, .currency = currency, .txid = txid, .refund_id = refund_id,
                            .status = TRACKER_CONVERSION_REFUND });
    derive_all(m);
    return json_object();
}

/* ---- mails ---- */

static enum db_result
write_one(struct db *db, void *ctx)
{
    return outbox_mail(db, ctx, test_clock_us);
}

static json_t *
written(struct money *m, const char *name, const char *recipient, const char *subject)
{
    const struct outbox_mail mail = {
        .name = name,
        .recipient = recipient,
        .subject = subject,
        .text = "Gr\xc3\xbc\xc3\x9f Gott,\n.\n..two dots\n\n" OUTBOX_LINK "\n",
        .html = "<p>Gr\xc3\xbc\xc3\x9f Gott, <a href=\"" OUTBOX_LINK "\">this way</a></p>\n",
        .link = "https://track.example.com/confirm/secret-of-the-recipient",
        .expires_us = test_clock_us + 2 * DAY_US,
    };
    struct outbox_mail copy = mail;

    assert_int_equal(db_write(m->base.pool, DB_WIRE, write_one, &copy), DB_OK);
    return json_pack("{s:I}", "id", (json_int_t) test_int(m->base.pool, "SELECT MAX(id) AS n FROM outbox"));
}

static json_t *
mailed(struct money *m, const char *url, const char *from)
{
    struct sender_options options = { .service = m->service, .smtp = { .url = url, .tls = SMTP_TLS_OFF } };
    struct sender        *sender;
    bool                  well;

    assert_true(mailbox_parse(from, &options.smtp.from));
    sender = sender_new(&options);
    assert_non_null(sender);
    well = sender_round(sender);
    sender_free(sender);
    return json_pack("{s:b}", "well", well);
}

/* {"id"} of what was sent, whatever became of it. */
static json_t *
sent(struct leads *l, int64_t api_user, int64_t affiliate, const char *key, const char *fields)
{
    l->told = 0;
    say_lead(l, (struct said){ .fields = fields, .api_user = api_user, .affiliate = affiliate,
                               .key = strcmp(key, "-") == 0 ? NULL : key });
    decide_all(l);
    return json_pack("{s:s}", "id", l->verdicts[0].uid);
}

static json_t *
filled(struct leads *l, int64_t form, const char *fields)
{
    l->told = 0;
    say_lead(l, (struct said){ .fields = fields, .form = form });
    decide_all(l);
    return json_pack("{s:s, s:i}", "id", l->verdicts[0].uid, "verdict", l->verdicts[0].verdict.verdict);
}

static json_t *
passed(struct money *m, unsigned use, unsigned owner, unsigned seconds, const char *uid)
{
    struct tracker_pass pass = { .use = (uint8_t) use, .owner = owner, .expires_s = clock_us / SECOND_US + seconds };
    char                text[TRACKER_PASS_LEN + 1] = "";

    tracker_lead_parse((struct tracker_str){ uid, strlen(uid) }, pass.lead);
    randombytes_buf(pass.nonce, sizeof(pass.nonce));
    tracker_pass_make(&m->base.keys, &pass, text);
    return json_pack("{s:s}", "token", text);
}

static json_t *
obey(struct leads *l, const char *line)
{
    struct money      *m = &l->m;
    char               amount[32], currency[8], txid[64], refund_id[64], word[8], fields[512], subject[1024];
    unsigned long long number, other;
    unsigned           use, owner, seconds;

    if (sscanf(line, "advance %llu", &number) == 1)
        clock_us = test_clock_us += number * SECOND_US;
    else if (sscanf(line, "sell %31s %7s %63s %llu", amount, currency, txid, &number) == 4)
        return sold(m, amount, currency, txid, (int64_t) number);
    else if (sscanf(line, "refund %31s %7s %63s %63s", amount, currency, txid, refund_id) == 4)
        return refunded(m, amount, currency, txid, refund_id);
    else if (sscanf(line, "lead %llu %llu %63s %511[^\n]", &number, &other, txid, fields) == 4)
        return sent(l, (int64_t) number, (int64_t) other, txid, fields);
    else if (sscanf(line, "fill %llu %511[^\n]", &number, fields) == 2)
        return filled(l, (int64_t) number, fields);
    else if (sscanf(line, "pass %u %u %u %63s", &use, &owner, &seconds, txid) == 4)
        return passed(m, use, owner, seconds, txid);
    else if (sscanf(line, "write %63s %511s %1023[^\n]", txid, fields, subject) == 3)
        return written(m, txid, fields, subject);
    else if (sscanf(line, "mail %511s %1023[^\n]", fields, subject) == 2)
        return mailed(m, fields, subject);
    else if (sscanf(line, "ready %7s", word) == 1)
        is_ready = strcmp(word, "yes") == 0;
    else if (sscanf(line, "watch %63[^\n]", watched) == 1)
        blocks = unwiped = 0;
    else if (strcmp(line, "left\n") == 0)
        return json_pack("{s:i, s:i}", "blocks", blocks, "unwiped", unwiped);
    else if (strcmp(line, "forget\n") == 0)
        people_forget(m->service), outbox_forget(m->service), lead_confirm_forget(m->service);
    else if (strncmp(line, "run ", 4) == 0)
        test_run(m->base.pool, line + 4);
    else
        return json_pack("{s:s}", "unknown", line);
    return json_object();
}

int
main(int argc, char **argv)
{
    static struct leads leads;
    struct money       *money = &leads.m;
    char                socket_path[96], line[2048], *why;
    bool                first_start = argc == 2 && strcmp(argv[1], "--first-start") == 0;
    struct http_options options = { .socket_path = socket_path, .ready = ready };
    struct http_server *server;
    json_t             *staff;

    json_memory_wipes(look);
    money_open(money);
    snprintf(socket_path, sizeof(socket_path), "%s/http.sock", money->base.dir);
    options.service = money->service;
    clock_us = test_clock_us;
    money->service->now_us = now_us;
    staff = first_start ? json_null() : hire_all(money);
    server = http_start(&options, &why);
    if (server == NULL) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    say(json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "socket", socket_path, "database",
                  strchr(money->base.url, ':') + 1, "base_url", money->service->base_url, "staff", staff, "program",
                  program_of(money), "affiliate", let_in(money), "setup", invite(money)));
    while (fgets(line, sizeof(line), stdin) != NULL)
        say(obey(&leads, line));
    http_stop(server);
    money_close(money);
    return 0;
}
