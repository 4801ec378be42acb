/*
 * From what was sent to leads: who is new, who is repeated, who is a duplicate.
 *
 * What could break, and cost money or a customer: one person twice, because two requests came at once, because an
 * upper-case letter makes another address, because an edge signed with a new key; two persons taken for one; a retry
 * that is told something else than its first try; a bot that learns it was caught; a lead that cannot be decided and
 * stops all behind it; a test lead that is paid for.
 */
#include "test_lead.h"

#include <pthread.h>

#include "service/export.h"
#include "store/lead_work.h"

static int64_t
count(struct leads *l, const char *what)
{
    return number(&l->m, "SELECT COUNT(*) AS n FROM %s", what);
}

static void
is_logged(struct leads *l, const char *verdict, const char *reason)
{
    if (count(l, "lead_log") != count(l, "lead_facts WHERE outcome IS NOT NULL"))
        fail_msg("facts and log differ");
    if (number(&l->m, "SELECT COUNT(*) AS n FROM lead_log WHERE id = (SELECT MAX(id) FROM lead_log) AND verdict = '%s'"
                      " AND reason = '%s'", verdict, reason) != 1)
        fail_msg("the last one is not logged as %s, %s", verdict, reason);
}

static void
lead_is(const struct leads *l, const struct tracker_verdict *verdict, int told)
{
    char hex[TRACKER_LEAD_HEX_LEN + 1] = "";

    tracker_lead_hex(verdict->lead, hex);
    assert_string_equal(hex, l->verdicts[told].uid);
}

/* ---- one person ---- */

static void
what_was_said_is_kept(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict verdict =
        ask(l, (struct said){ .fields = "first_name=Ada&last_name=Lovelace&email=Ada@Example.COM&phone=0171 1234567"
                                        "&country=de&language=de&colour=red&colour=blue&note=x" });

    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(verdict.flags, 0);
    lead_is(l, &verdict, 0);
    assert_int_equal(count(l, "leads WHERE first_name = 'Ada' AND last_name = 'Lovelace' AND email = 'Ada@Example.COM'"
                              " AND email_key = 'ada@example.com' AND phone = '0171 1234567'"
                              " AND phone_key = '+491711234567' AND country = 'DE' AND language = 'de'"
                              " AND fields = '{\"colour\":[\"red\",\"blue\"],\"note\":\"x\"}' AND status = 'new'"
                              " AND kind = 'api' AND journal_id = 2"),
                     1);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE source_id = %lld AND affiliate_id = %lld"
                                   " AND api_user_id = %lld", (long long) l->source, (long long) l->m.affiliate,
                            (long long) l->partner),
                     1);
    is_logged(l, "created", "");
    must_verify(&l->m);

    json_t *stats;
    say_lead(l, (struct said){ .fields = "email=eve@example.com" });
    assert_int_equal(stats_get(l->m.service, &stats), DB_OK);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "leads"), "created")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "leads"), "undecided")), 1);
    json_decref(stats);
}

static void
one_name_in_one_field(void **state)
{
    struct leads *l = *state;

    ask(l, (struct said){ .fields = "name=Ada King Lovelace&email=a@example.com" });
    ask(l, (struct said){ .fields = "name=Ada&email=b@example.com" });
    ask(l, (struct said){ .fields = "name=X Y&first_name=Ada&email=c@example.com" });
    assert_int_equal(count(l, "leads WHERE first_name = 'Ada King' AND last_name = 'Lovelace'"), 1);
    assert_int_equal(count(l, "leads WHERE first_name = 'Ada' AND last_name = ''"), 2);
}

static void
nobody_can_be_reached(void **state)
{
    static const struct {
        const char *fields, *reason;
    } cases[] = {
        { "email=ada&phone=", "email_invalid" },
        { "phone=12", "phone_invalid" },
        { "first_name=Ada", "contact_missing" },
    };
    struct leads *l = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tracker_verdict verdict = ask(l, (struct said){ .fields = cases[i].fields });
        assert_int_equal(verdict.verdict, TRACKER_LEAD_INVALID);
        is_logged(l, "invalid", cases[i].reason);
    }
    assert_int_equal(count(l, "leads"), 0);
    /* One of the two is enough; a number that nobody can tell is kept, and compared with nothing. */
    assert_int_equal(ask(l, (struct said){ .fields = "phone=0171 1234567&first_name=A" }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(ask(l, (struct said){ .fields = "phone=0171 1234567&first_name=B" }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(count(l, "leads WHERE phone_key IS NULL AND email_key IS NULL"), 2);
    must_verify(&l->m);
}

/* ---- said again ---- */

static void
a_retry_is_told_the_same(void **state)
{
    struct leads          *l = *state;
    const struct said      said = { .fields = "email=ada@example.com", .key = "k1" };
    struct tracker_verdict first = ask(l, said), again = ask(l, said);

    assert_int_equal(again.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(again.flags, TRACKER_VERDICT_REPEATED);
    assert_memory_equal(again.lead, first.lead, sizeof(first.lead));
    assert_memory_equal(again.content, first.content, sizeof(first.content));
    assert_string_equal(l->verdicts[0].uid, l->verdicts[1].uid);
    is_logged(l, "repeated", "created");

    /* Of an edge that signs with a new key: another id, the same lead. */
    again = ask(l, (struct said){ .fields = "email=ada@example.com", .key = "k1", .key_id = 1 });
    assert_string_not_equal(l->verdicts[2].uid, l->verdicts[0].uid);
    assert_int_equal(again.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(again.flags, TRACKER_VERDICT_REPEATED);
    assert_memory_equal(again.lead, first.lead, sizeof(first.lead));
    assert_int_equal(count(l, "leads"), 1);

    /* So is who was refused. */
    first = ask(l, (struct said){ .fields = "email=nobody", .key = "k2" });
    again = ask(l, (struct said){ .fields = "email=nobody", .key = "k2" });
    assert_int_equal(again.verdict, TRACKER_LEAD_INVALID);
    assert_int_equal(again.flags, TRACKER_VERDICT_REPEATED);
    must_verify(&l->m);
}

static enum db_result
erase_first(struct db *db, void *ctx)
{
    return lead_erase_person(db, 1, ctx, test_now_us());
}

/* Whoever keeps a list of what he sent sends it once more: who was erased does not come back by that. */
static void
an_erased_person_stays_erased(void **state)
{
    const struct said said[] = {
        { .fields = "email=ada@example.com&first_name=Ada" },
        { .fields = "email=ada@example.com&first_name=Eve" }, /* a duplicate */
    };
    struct leads          *l = *state;
    struct tracker_verdict first = ask(l, said[0]), again;

    assert_int_equal(ask(l, said[1]).verdict, TRACKER_LEAD_DUPLICATE);
    say_lead(l, said[0]); /* not decided yet when he is erased */
    assert_int_equal(db_write(l->m.base.pool, DB_INTERACTIVE, erase_first, l->verdicts[0].uid), DB_OK);
    decide_all(l);
    again = ask(l, said[0]);
    assert_int_equal(again.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(again.flags, TRACKER_VERDICT_REPEATED | TRACKER_VERDICT_EXISTING);
    assert_memory_equal(again.content, first.content, sizeof(first.content)); /* else the edge calls it another lead's */
    assert_int_equal(ask(l, said[1]).verdict, TRACKER_LEAD_DUPLICATE);
    is_logged(l, "repeated", "duplicate");
    assert_int_equal(count(l, "lead_facts WHERE fields <> '{}'"), 0);
    assert_int_equal(count(l, "lead_log WHERE email <> ''"), 0);
    assert_int_equal(count(l, "leads"), 1);
    must_verify(&l->m);

    /* What he sends himself, later and elsewhere, is a lead as any other. */
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com&n=2" }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(count(l, "leads"), 2);
    must_verify(&l->m);
}

static void
a_key_used_for_something_else_is_a_conflict(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict first = ask(l, (struct said){ .fields = "email=ada@example.com", .key = "k1" });
    struct tracker_verdict other = ask(l, (struct said){ .fields = "email=eve@example.com", .key = "k1" });

    /* What stands under the shared id stays the first one's, and names the first one's content. */
    is_logged(l, "conflict", "other_content");
    assert_string_equal(l->verdicts[0].uid, l->verdicts[1].uid);
    assert_int_equal(other.verdict, TRACKER_LEAD_CREATED);
    assert_memory_equal(other.content, first.content, sizeof(first.content));

    other = ask(l, (struct said){ .fields = "email=eve@example.com", .key = "k1", .key_id = 1 });
    is_logged(l, "conflict", "other_content");
    assert_int_equal(other.verdict, TRACKER_LEAD_CONFLICT);
    assert_memory_not_equal(other.content, first.content, sizeof(first.content));

    /* Another sender's key of the same name is another key. */
    assert_int_equal(ask(l, (struct said){ .fields = "email=eve@example.com", .key = "k1", .api_user = l->stranger }).verdict,
                     TRACKER_LEAD_CREATED);
    assert_int_equal(ask(l, (struct said){ .fields = "email=fay@example.com", .key = "k1", .form = l->form }).verdict,
                     TRACKER_LEAD_CREATED);
    assert_int_equal(count(l, "leads"), 3);
    must_verify(&l->m);
}

/* ---- the same person ---- */

static void
one_person_is_one_lead(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict first = ask(l, (struct said){ .fields = "email=ada@b\xc3\xbc" "cher.example&phone=+491711234567" });
    struct tracker_verdict again;

    again = ask(l, (struct said){ .fields = "email=ADA@xn--bcher-kva.example", .api_user = l->stranger });
    assert_int_equal(again.verdict, TRACKER_LEAD_DUPLICATE);
    assert_memory_equal(again.lead, first.lead, sizeof(first.lead));
    is_logged(l, "duplicate", "same_email");
    again = ask(l, (struct said){ .fields = "email=other@example.com&phone=0171 123 45 67&country=DE", .form = l->form });
    assert_int_equal(again.verdict, TRACKER_LEAD_DUPLICATE);
    is_logged(l, "duplicate", "same_phone");
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM lead_log WHERE lead_id = 1"), 3);
    /* A +tag is another mailbox. */
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada+1@b\xc3\xbc" "cher.example" }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(count(l, "leads"), 2);
    must_verify(&l->m);
}

static void
duplicates_within_a_source_or_allowed(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict again;

    test_run(l->m.base.pool, "INSERT INTO settings (name, value, version) VALUES ('leads_duplicate_scope', '\"source\"', 1)");
    ask(l, (struct said){ .fields = "email=ada@example.com" });
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com", .api_user = l->stranger }).verdict,
                     TRACKER_LEAD_CREATED);
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com", .form = l->form }).verdict,
                     TRACKER_LEAD_DUPLICATE); /* the form's source is the partner's */

    test_run(l->m.base.pool, "INSERT INTO settings (name, value, version) VALUES ('leads_duplicates', '\"allow\"', 1)");
    again = ask(l, (struct said){ .fields = "email=ada@example.com&note=again" });
    assert_int_equal(again.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(again.flags, TRACKER_VERDICT_EXISTING); /* a stranger's address opens no account */
    is_logged(l, "created", "duplicate_allowed");
    assert_int_equal(count(l, "leads WHERE duplicate_of = 1 AND existing = 0"), 1);
    must_verify(&l->m);
}

static void
who_has_an_account_is_told_apart(void **state)
{
    struct leads          *l = *state;
    struct tracker_verdict verdict;

    test_run(l->m.base.pool, "INSERT INTO traders (program_id, email, email_key, phone_key, created_us, updated_us)"
                             " VALUES (1, 'Ada@example.com', 'ada@example.com', '+491711234567', 1, 1)");
    verdict = ask(l, (struct said){ .fields = "email=ada@EXAMPLE.com" });
    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(verdict.flags, TRACKER_VERDICT_EXISTING);
    assert_int_equal(ask(l, (struct said){ .fields = "email=new@example.com&phone=+49 171 1234567" }).flags,
                     TRACKER_VERDICT_EXISTING);
    assert_int_equal(ask(l, (struct said){ .fields = "email=fay@example.com" }).flags, 0);
    assert_int_equal(count(l, "leads WHERE existing = 1"), 2);
    test_run(l->m.base.pool, "UPDATE traders SET state = 'erased', email = '', email_key = '',"
                             " phone_key = NULL");
    assert_int_equal(ask(l, (struct said){ .fields = "email=gil@example.com&phone=+49 171 1234567&x=1" }).verdict,
                     TRACKER_LEAD_DUPLICATE); /* of the lead, not of the trader */
    must_verify(&l->m);
}

/* ---- traps and tests ---- */

static void
a_bot_learns_nothing(void **state)
{
    struct leads          *l = *state;
    struct said            said = { .fields = "email=ada@example.com", .form = l->form, .key = "0011223344556677",
                                    .flags = TRACKER_LEAD_TOO_FAST };
    struct tracker_verdict verdict = ask(l, said);

    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(verdict.flags, TRACKER_VERDICT_EXISTING); /* led nowhere */
    is_logged(l, "spam", "too_fast");
    said.flags |= TRACKER_LEAD_HONEYPOT;
    assert_int_equal(ask(l, said).verdict, TRACKER_LEAD_CREATED);
    is_logged(l, "spam", "honeypot");
    assert_int_equal(count(l, "leads") + count(l, "conversion_facts"), 0);

    /* A hasty person who sends the page again is taken. */
    said.flags = 0;
    verdict = ask(l, said);
    assert_int_equal(verdict.verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(verdict.flags, 0);
    assert_int_equal(count(l, "leads"), 1);
    must_verify(&l->m);
}

static void
tests_are_nobodys_duplicates_and_earn_nothing(void **state)
{
    struct leads *l = *state;

    ask(l, (struct said){ .fields = "email=ada@example.com" });
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com&n=1", .flags = TRACKER_LEAD_TEST }).verdict,
                     TRACKER_LEAD_CREATED);
    assert_int_equal(l->verdicts[l->told - 1].verdict.flags, TRACKER_VERDICT_EXISTING); /* nobody is logged in as one */
    test_run(l->m.base.pool, "UPDATE api_users SET test = 1 WHERE name = 'stranger'");
    assert_int_equal(ask(l, (struct said){ .fields = "email=eve@example.com", .api_user = l->stranger }).verdict,
                     TRACKER_LEAD_CREATED);
    assert_int_equal(ask(l, (struct said){ .fields = "email=eve@example.com" }).verdict, TRACKER_LEAD_CREATED);
    assert_int_equal(count(l, "leads WHERE test = 1"), 2);
    assert_int_equal(count(l, "conversion_facts"), 2);
    must_verify(&l->m);
}

/* ---- what it earns ---- */

static void
a_lead_earns_for_who_sent_it(void **state)
{
    struct leads *l = *state;
    int64_t       eve = make_affiliate(&l->m, "eve", "approved", l->m.group);
    const char   *clicked = click(&l->m, make_link(&l->m, eve, l->m.campaign), 0, NULL);
    json_t       *referral = NULL;

    ask(l, (struct said){ .fields = "email=ada@example.com", .click = clicked }); /* by ada's key, after eve's click */
    derive_all(&l->m);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND event = 'lead'"
                                   " AND lead_id = '1' AND verified = 1", (long long) l->m.affiliate),
                     1);
    must(&l->m, referral_get(l->m.service, 1, &referral, &l->m.error));
    assert_string_equal(text_of(json_object_get(referral, "why"), "step"), "lead");
    json_decref(referral);
    assert_int_equal(count(l, "conversions WHERE lead_id = 1 AND affiliate_id = 1 AND substr(txid, 1, 5) = 'lead:'"), 1);
    assert_int_equal(number(&l->m, "SELECT affiliate_id AS n FROM leads WHERE id = 1"), l->m.affiliate);
    must_verify(&l->m);
}

/* An account each, and the registration earns too; not for who has one, and not for a test. */
static void
who_is_paid_for_customers_gets_accounts(void **state)
{
    struct leads *l = *state;

    test_run(l->m.base.pool, "UPDATE api_users SET account = 'cpa'");
    assert_int_equal(ask(l, (struct said){ .fields = "email=ada@example.com" }).flags, 0); /* autologin is for this one */
    ask(l, (struct said){ .fields = "email=ada@example.com&n=1", .flags = TRACKER_LEAD_TEST });
    ask(l, (struct said){ .fields = "phone=+49 171 1234567" }); /* an account needs an address */
    assert_int_equal(count(l, "leads WHERE status = 'converted' AND trader_id IS NOT NULL"), 1);
    assert_int_equal(count(l, "trader_accounts"), 1);
    derive_all(&l->m);
    assert_int_equal(count(l, "referrals WHERE event = 'lead'"), 2);
    assert_int_equal(count(l, "referrals WHERE event = 'registration' AND lead_id = '1'"), 1);
    must_verify(&l->m);
}

static void
a_visitors_lead_earns_for_his_click(void **state)
{
    struct leads *l = *state;
    int64_t       eve = make_affiliate(&l->m, "eve", "approved", l->m.group), link = make_link(&l->m, eve, l->m.campaign);
    char          clicked[TRACKER_CLICK_ID_LEN + 1];

    memcpy(clicked, click(&l->m, link, 0, NULL), sizeof(clicked));
    ask(l, (struct said){ .fields = "email=ada@example.com", .form = l->form, .cookie_last = clicked,
                          .cookie_first = clicked });
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM leads WHERE affiliate_id = %lld AND link_id = %lld"
                                   " AND campaign_id = %lld AND kind = 'form'", (long long) eve, (long long) link,
                            (long long) l->m.campaign),
                     1);
    derive_all(&l->m);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND lead_id = '1'"
                                   " AND verified = 0", (long long) eve),
                     1);
    /* A month later the click is too old; a click that no edge has shipped yet is believed. */
    test_clock_us += 31 * DAY_US;
    ask(l, (struct said){ .fields = "email=fay@example.com", .form = l->form, .click = clicked });
    name_click(&l->m, link, test_now_us() / 1000, 1000, clicked);
    ask(l, (struct said){ .fields = "email=gil@example.com", .form = l->form, .click = clicked });
    assert_int_equal(count(l, "leads WHERE id = 2 AND affiliate_id IS NULL"), 1);
    assert_int_equal(number(&l->m, "SELECT affiliate_id AS n FROM leads WHERE id = 3"), eve);
    ask(l, (struct said){ .fields = "email=hal@example.com", .form = l->form }); /* came by no link */
    assert_int_equal(count(l, "conversion_facts"), 3);
    derive_all(&l->m);
    must_verify(&l->m);
}

static void
a_coupon_says_whose_it_is_too(void **state)
{
    struct leads *l = *state;
    int64_t       eve = make_affiliate(&l->m, "eve", "approved", l->m.group);
    char          sql[256];

    snprintf(sql, sizeof(sql), "INSERT INTO coupons (program_id, code, code_key, affiliate_id, created_us, updated_us)"
                               " VALUES (1, 'Eve10', 'EVE10', %lld, 1, 1)", (long long) eve);
    test_run(l->m.base.pool, sql);
    ask(l, (struct said){ .fields = "email=ada@example.com&coupon=eve10", .form = l->form });
    ask(l, (struct said){ .fields = "email=fay@example.com&coupon=eve10" }); /* the partner sent it: it is his */
    assert_int_equal(number(&l->m, "SELECT affiliate_id AS n FROM leads WHERE id = 1"), eve);
    assert_int_equal(number(&l->m, "SELECT affiliate_id AS n FROM leads WHERE id = 2"), l->m.affiliate);
    derive_all(&l->m);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND lead_id = '1'",
                            (long long) eve),
                     1);
    must_verify(&l->m);
}

/* ---- whatever comes ---- */

/* A broken row, a sender who is gone: three tries, a line in the log, and the others are decided. */
static void
one_that_cannot_be_decided_stops_nobody(void **state)
{
    struct leads *l = *state;
    int64_t       broken = say_lead(l, (struct said){ .fields = "email=ada@example.com", .key = "k" });
    int64_t       orphan = say_lead(l, (struct said){ .fields = "email=eve@example.com", .api_user = 4711 });

    say_lead(l, (struct said){ .fields = "email=fay@example.com" });
    number(&l->m, "SELECT 1 AS n");
    test_run(l->m.base.pool, "UPDATE lead_facts SET fields = '[[[' WHERE idempotency_key = 'k'");
    for (int i = 0; i < 5; i++) {
        assert_true(lead_decide(l->m.service, 100, lead_hear, l) >= 0);
        test_clock_us += 2 * SECOND_US;
    }
    assert_int_equal(l->told, 1);
    assert_int_equal(count(l, "leads"), 1);
    assert_int_equal(number(&l->m, "SELECT COUNT(*) AS n FROM lead_facts WHERE outcome = 'failed' AND tries = 3"
                                   " AND seq IN (%lld, %lld)", (long long) broken, (long long) orphan),
                     2);
    assert_int_equal(count(l, "lead_log WHERE verdict = 'failed' AND reason = 'not_decidable'"), 2);
    must_verify(&l->m);
}

struct deciding {
    struct leads *l;
    int           taken;
};

static void
hear_nothing(void *ctx, const uint8_t id[TRACKER_LEAD_ID_LEN], const struct tracker_verdict *verdict)
{
    (void) ctx, (void) id, (void) verdict;
}

static void *
decide_in_a_thread(void *ctx)
{
    struct deciding *deciding = ctx;

    deciding->taken = lead_decide(deciding->l->m.service, 1000, hear_nothing, NULL);
    return NULL;
}

/* Two ingests at once on the same facts, each person sent several times: one lead each, one row in the log a fact. */
static void
two_who_decide_at_once_make_one_lead(void **state)
{
    struct leads   *l = *state;
    struct deciding both[2] = { { l, 0 }, { l, 0 } };
    pthread_t       threads[2];

    for (int i = 0; i < 120; i++) {
        char fields[64], key[16];
        snprintf(fields, sizeof(fields), "email=person%d@example.com&n=%d", i % 40, i);
        snprintf(key, sizeof(key), "k%d", i);
        say_lead(l, (struct said){ .fields = fields, .key = key });
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decide_in_a_thread, &both[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(both[0].taken >= 0 && both[1].taken >= 0);
    decide_all(l);
    assert_int_equal(count(l, "leads"), 40);
    assert_int_equal(count(l, "lead_log WHERE verdict = 'created'"), 40);
    assert_int_equal(count(l, "lead_log WHERE verdict = 'duplicate'"), 80);
    must_verify(&l->m);
}

/*
 * The property behind it all: whatever order facts come in and however often each, the persons are the same, and each
 * has one lead.
 */
static void
any_order_gives_the_same_persons(void **state)
{
    enum { PERSONS = 12, FACTS = 60 };
    unsigned seed = getenv("TEST_SEED") != NULL ? (unsigned) strtoul(getenv("TEST_SEED"), NULL, 10) : 7;

    (void) state;
    print_message("# TEST_SEED=%u\n", seed);
    for (int round = 0; round < 3; round++) {
        struct leads *l = calloc(1, sizeof(*l));
        leads_open(l);
        bool seen[PERSONS] = { false };
        int  persons = 0;
        for (int i = 0; i < FACTS; i++) {
            seed = seed * 1103515245u + 12345u;
            unsigned p = (seed >> 16) % PERSONS, how = (seed >> 24) % 4;
            char     fields[128];
            if (how == 0)
                snprintf(fields, sizeof(fields), "email=P%u@Example.com", p);
            else if (how == 1)
                snprintf(fields, sizeof(fields), "phone=0171 12345%02u&country=DE&email=p%u@example.com", p, p);
            else
                snprintf(fields, sizeof(fields), "email=p%u@example.com&n=%u", p, how);
            say_lead(l, (struct said){ .fields = fields, .api_user = how == 3 ? l->stranger : l->partner });
            if (!seen[p])
                persons++;
            seen[p] = true;
            if (how == 2)
                decide_all(l);
        }
        decide_all(l);
        assert_int_equal(count(l, "leads"), persons);
        assert_int_equal(number(&l->m, "SELECT COUNT(DISTINCT email_key) AS n FROM leads"), persons);
        assert_int_equal(count(l, "lead_log"), FACTS);
        derive_all(&l->m);
        must_verify(&l->m);
        money_close(&l->m);
        free(l);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        lead_test(what_was_said_is_kept),
        lead_test(one_name_in_one_field),
        lead_test(nobody_can_be_reached),
        lead_test(a_retry_is_told_the_same),
        lead_test(an_erased_person_stays_erased),
        lead_test(a_key_used_for_something_else_is_a_conflict),
        lead_test(one_person_is_one_lead),
        lead_test(duplicates_within_a_source_or_allowed),
        lead_test(who_has_an_account_is_told_apart),
        lead_test(a_bot_learns_nothing),
        lead_test(tests_are_nobodys_duplicates_and_earn_nothing),
        lead_test(a_lead_earns_for_who_sent_it),
        lead_test(who_is_paid_for_customers_gets_accounts),
        lead_test(a_visitors_lead_earns_for_his_click),
        lead_test(a_coupon_says_whose_it_is_too),
        lead_test(one_that_cannot_be_decided_stops_nobody),
        lead_test(two_who_decide_at_once_make_one_lead),
        cmocka_unit_test(any_order_gives_the_same_persons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
