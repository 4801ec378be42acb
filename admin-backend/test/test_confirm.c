/*
 * Double opt-in: a lead of such a form is one when its mail was confirmed.
 *
 * What could break: a lead that earns or is assigned before it is confirmed, or twice after; one that nobody confirmed
 * and that makes another partner's lead a duplicate, or stays for ever; a form by which somebody fills a stranger's
 * mailbox; a link that confirms somebody else's lead, or by being looked at.
 */
#include "test_lead.h"

#include "service/lead_confirm.h"
#include "store/lead.h"
#include "tracker_token.h"

static const char ada[] = "email=Ada@Example.com&first_name=Ada&phone=+49 30 901820";

static int
setup(void **state)
{
    struct leads *l = calloc(1, sizeof(*l));

    leads_open(l);
    test_run(l->m.base.pool, "UPDATE forms SET confirm = 1, title = 'Webinar <1>', language = 'de'");
    *state = l;
    return 0;
}

#define confirm_test(f) cmocka_unit_test_setup_teardown(f, setup, leads_teardown)

/* The pass in the mail's link. */
struct link {
    char text[256];
};

static enum db_result
read_link(struct db *db, void *ctx)
{
    struct link    *link = ctx;
    struct db_stmt *row;
    enum db_result  rc = db_query(db, &row, "SELECT link FROM outbox ORDER BY id DESC LIMIT 1", "");

    link->text[0] = '\0';
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc;
    snprintf(link->text, sizeof(link->text), "%s", strrchr(db_text(row, "link"), '/') + 1);
    db_end(row);
    return DB_OK;
}

static struct link
link_of(struct leads *l)
{
    struct link link;

    assert_int_equal(db_read(l->m.base.pool, read_link, &link), DB_OK);
    assert_int_equal(strlen(link.text), TRACKER_PASS_LEN);
    return link;
}

static enum lead_confirmation
follow(struct leads *l, const char *pass, bool press)
{
    enum lead_confirmation      state;
    const struct confirm_words *words;

    must(&l->m, press ? lead_confirm(l->m.service, pass, &state, &words, &l->m.error)
                      : lead_confirm_look(l->m.service, pass, &state, &words, &l->m.error));
    assert_string_equal(words->language, state == LEAD_CONFIRM_OVER ? words->language : "de");
    return state;
}

static int64_t
count(struct leads *l, const char *what)
{
    return number(&l->m, "SELECT COUNT(*) AS n FROM %s", what);
}

static void
give_source_an_agent(struct leads *l)
{
    test_run(l->m.base.pool, "INSERT INTO staff (email, role, password_hash, created_us)"
                              " VALUES ('a@staff.example', 'agent', 'x', 1)");
    test_run(l->m.base.pool, "UPDATE lead_sources SET agent_id = (SELECT MAX(id) FROM staff)");
}

static void
a_lead_waits_for_its_mail(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict verdict;

    give_source_an_agent(l);
    verdict = ask(l, (struct said){ .fields = ada, .form = l->form, .affiliate = l->m.affiliate });
    assert_int_equal(verdict.verdict, TRACKER_LEAD_PENDING);
    assert_int_equal(count(l, "leads WHERE status = 'unconfirmed' AND agent_id IS NULL AND confirmed_us IS NULL"), 1);
    assert_int_equal(count(l, "lead_facts WHERE outcome = 'pending'"), 1);
    assert_int_equal(count(l, "conversion_facts"), 0);
    assert_int_equal(count(l, "outbox WHERE recipient = 'Ada@example.com' AND lead_id = 1 AND state = 'queued'"), 1);
    assert_int_equal(count(l, "outbox WHERE subject LIKE 'Bitte best%' AND text LIKE '%Webinar <1>%'"
                              " AND html LIKE '%Webinar &lt;1&gt;%' AND text NOT LIKE '%confirm/%'"), 1);

    assert_int_equal(follow(l, link_of(l).text, false), LEAD_CONFIRM_WAITS);
    assert_int_equal(follow(l, link_of(l).text, false), LEAD_CONFIRM_WAITS); /* however often a scanner looks */
    test_clock_us += 47 * 3600 * SECOND_US;
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_DONE);
    assert_int_equal(count(l, "leads WHERE status = 'new' AND agent_id IS NOT NULL AND confirmed_us > created_us"), 1);
    assert_int_equal(count(l, "lead_log WHERE verdict = 'pending' AND agent_id IS NOT NULL"), 1);
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_DONE);
    assert_int_equal(follow(l, link_of(l).text, false), LEAD_CONFIRM_DONE);
    derive_all(&l->m);
    assert_int_equal(count(l, "conversion_facts"), 1);
    assert_int_equal(count(l, "referrals"), 1);
    assert_int_equal(count(l, "leads"), 1);
    must_verify(&l->m);
}

static void
the_same_submission_is_the_same_lead(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict verdict;

    ask(l, (struct said){ .fields = ada, .form = l->form, .key = "k" });
    verdict = ask(l, (struct said){ .fields = ada, .form = l->form, .key = "k" });
    assert_int_equal(verdict.verdict, TRACKER_LEAD_PENDING);
    assert_int_equal(verdict.flags & TRACKER_VERDICT_REPEATED, TRACKER_VERDICT_REPEATED);
    assert_int_equal(count(l, "leads"), 1);
    assert_int_equal(count(l, "outbox"), 1);
}

/* One mail a day, whatever the settings say of duplicates and however often somebody sends the form. */
static void
nobody_fills_a_mailbox(void **state)
{
    struct leads *l = *state;
    char          fields[96];

    test_run(l->m.base.pool, "INSERT INTO settings (name, value, version) VALUES ('leads_duplicates', '\"allow\"', 1)");
    for (int i = 0; i < 20; i++) {
        test_clock_us += SECOND_US;
        snprintf(fields, sizeof(fields), "email=ada@example.com&first_name=N%d", i);
        assert_int_equal(ask(l, (struct said){ .fields = fields, .form = l->form }).verdict,
                         i == 0 ? TRACKER_LEAD_PENDING : TRACKER_LEAD_DUPLICATE);
    }
    assert_int_equal(count(l, "leads"), 1);
    assert_int_equal(count(l, "outbox"), 1);
    test_clock_us += DAY_US;
    ask(l, (struct said){ .fields = ada, .form = l->form });
    ask(l, (struct said){ .fields = "email=ada@example.com&first_name=Last", .form = l->form });
    assert_int_equal(count(l, "outbox"), 2);
    test_clock_us += 2 * DAY_US + SECOND_US; /* both links are over */
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_OVER);
    ask(l, (struct said){ .fields = "email=ada@example.com&first_name=Again", .form = l->form });
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_DONE);
    must_verify(&l->m);
}

/* Who is not confirmed stands in nobody's way; who confirms too late is somebody else's lead already. */
static void
an_unconfirmed_lead_is_nobodys_duplicate(void **state)
{
    struct leads *l = *state;

    ask(l, (struct said){ .fields = ada, .form = l->form, .affiliate = l->m.affiliate });
    assert_int_equal(ask(l, (struct said){ .fields = ada }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_DONE);
    assert_int_equal(count(l, "leads WHERE kind = 'form' AND status = 'rejected' AND duplicate_of = 2"), 1);
    assert_int_equal(count(l, "conversion_facts"), 1);
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com", .form = l->form }).verdict,
                     TRACKER_LEAD_DUPLICATE);
    assert_int_equal(count(l, "outbox"), 1); /* whom we know already is not asked */
    must_verify(&l->m);
}

static void
an_account_is_opened_when_it_is_confirmed(void **state)
{
    struct leads *l = *state;

    test_run(l->m.base.pool, "UPDATE forms SET account = 'cpa'");
    ask(l, (struct said){ .fields = ada, .form = l->form, .affiliate = l->m.affiliate });
    assert_int_equal(count(l, "traders"), 0);
    follow(l, link_of(l).text, true);
    assert_int_equal(count(l, "trader_accounts"), 1);
    assert_int_equal(count(l, "leads WHERE status = 'converted' AND trader_id IS NOT NULL"), 1);
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_DONE);
    assert_int_equal(count(l, "trader_accounts"), 1);
    must_verify(&l->m);
}

static void
who_cannot_be_asked_is_none(void **state)
{
    struct leads *l = *state;

    assert_int_equal(ask(l, (struct said){ .fields = "phone=+49 30 901820", .form = l->form }).verdict, TRACKER_LEAD_INVALID);
    assert_int_equal(ask(l, (struct said){ .fields = ada, .form = l->form, .flags = TRACKER_LEAD_TEST }).verdict,
                     TRACKER_LEAD_CREATED);
    say_lead(l, (struct said){ .fields = "email=bot@example.com", .form = l->form, .flags = TRACKER_LEAD_HONEYPOT });
    decide_all(l);
    assert_int_equal(count(l, "outbox"), 0);
}

static void
pass_of(struct leads *l, enum tracker_pass_use use, int64_t form, uint64_t expires_s, const char *uid, char *out)
{
    struct tracker_pass pass = { .use = (uint8_t) use, .owner = (uint32_t) form, .expires_s = expires_s };

    tracker_lead_parse((struct tracker_str){ uid, strlen(uid) }, pass.lead);
    tracker_pass_make(&l->m.base.keys, &pass, out);
    out[TRACKER_PASS_LEN] = '\0';
}

static void
other_links_confirm_nothing(void **state)
{
    struct leads *l = *state;
    uint64_t      later_s = test_clock_us / SECOND_US + 3600;
    char          pass[TRACKER_PASS_LEN + 1], uid[TRACKER_LEAD_HEX_LEN + 1];
    struct link   link;

    ask(l, (struct said){ .fields = ada, .form = l->form });
    memcpy(uid, l->verdicts[0].uid, sizeof(uid));
    link = link_of(l);
    for (size_t i = 0; i < TRACKER_PASS_LEN; i++) {
        char was = link.text[i];

        link.text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(follow(l, link.text, true), LEAD_CONFIRM_OVER);
        link.text[i] = was;
    }
    assert_int_equal(follow(l, "", true), LEAD_CONFIRM_OVER);
    link.text[TRACKER_PASS_LEN - 1] = '\0';
    assert_int_equal(follow(l, link.text, true), LEAD_CONFIRM_OVER);
    pass_of(l, TRACKER_PASS_WAIT, l->form, later_s, uid, pass);
    assert_int_equal(follow(l, pass, true), LEAD_CONFIRM_OVER);
    pass_of(l, TRACKER_PASS_CONFIRM, l->form + 1, later_s, uid, pass);
    assert_int_equal(follow(l, pass, true), LEAD_CONFIRM_OVER);
    pass_of(l, TRACKER_PASS_CONFIRM, l->form, later_s, "00112233445566778899aabbccddeeff", pass);
    assert_int_equal(follow(l, pass, true), LEAD_CONFIRM_OVER);
    assert_int_equal(count(l, "leads WHERE status = 'unconfirmed'"), 1);
    test_run(l->m.base.pool, "UPDATE leads SET status = 'rejected'"); /* by hand */
    assert_int_equal(follow(l, link_of(l).text, true), LEAD_CONFIRM_OVER);
    assert_int_equal(count(l, "leads WHERE status = 'rejected'"), 1);
}

static void
who_does_not_confirm_is_forgotten(void **state)
{
    struct leads *l = *state;

    ask(l, (struct said){ .fields = ada, .form = l->form });
    test_clock_us += 7 * DAY_US - SECOND_US;
    lead_confirm_forget(l->m.service);
    assert_int_equal(count(l, "leads WHERE status = 'unconfirmed' AND email <> ''"), 1);
    test_clock_us += 2 * SECOND_US;
    lead_confirm_forget(l->m.service);
    assert_int_equal(count(l, "leads WHERE status = 'rejected' AND email = '' AND email_key IS NULL AND phone = ''"
                              " AND first_name = '' AND erased_us IS NOT NULL"), 1);
    assert_int_equal(count(l, "lead_facts WHERE fields = '{}'"), 1);
    assert_int_equal(count(l, "outbox"), 0);
    assert_int_equal(ask(l, (struct said){ .fields = ada, .form = l->form, .key = "again" }).verdict, TRACKER_LEAD_PENDING);
    must_verify(&l->m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        confirm_test(a_lead_waits_for_its_mail),
        confirm_test(the_same_submission_is_the_same_lead),
        confirm_test(nobody_fills_a_mailbox),
        confirm_test(an_unconfirmed_lead_is_nobodys_duplicate),
        confirm_test(an_account_is_opened_when_it_is_confirmed),
        confirm_test(who_cannot_be_asked_is_none),
        confirm_test(other_links_confirm_nothing),
        confirm_test(who_does_not_confirm_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
