/*
 * A lead becomes a trader.
 *
 * What could break: one person with two traders or two accounts, a registration that is told twice or earns for
 * somebody else than who brought the lead, a conversion whose record no journal has, a password link for somebody who
 * has set one already.
 */
#include "test_money.h"

#include "service/lead_convert.h"
#include "service/trader.h"

static int64_t leads;

/* ---- leads as they are decided ---- */

struct convert {
    int64_t              id;
    char                 invitation[SECRET_MAX];
    enum lead_conversion conversion;
};

struct made {
    struct lead_row row;
    int64_t         id;
};

static enum db_result
insert(struct db *db, void *ctx)
{
    struct made   *made = ctx;
    enum db_result rc = row_insert(db, &lead_table, &made->row, test_clock_us);

    made->id = made->row.id;
    return rc;
}

static int64_t
lead(struct money *m, const char *email, int64_t affiliate, bool test)
{
    static uint8_t content[16] = { 1 };
    char           uid[33];
    struct made    made = { .row = {
                                .version = 1, .program_id = m->program, .affiliate_id = affiliate, .test = test,
                                .link_id = affiliate == 0 ? 0 : m->link, .campaign_id = affiliate == 0 ? 0 : m->campaign,
                                .uid = uid, .kind = (char *) "manual", .status = (char *) "new", .first_name = (char *) "Jo",
                                .last_name = (char *) "Doe", .email = (char *) (email == NULL ? "" : email),
                                .email_key = (char *) email, .phone = (char *) "", .country = (char *) "DE",
                                .language = (char *) "en", .fields = (char *) "{}", .tags = (char *) "[]",
                                .content = { content, sizeof(content) },
                            } };

    snprintf(uid, sizeof(uid), "%032llx", (unsigned long long) ++leads);
    assert_int_equal(db_write(m->base.pool, DB_INTERACTIVE, insert, &made), DB_OK);
    return made.id;
}

static enum db_result
convert_work(struct db *db, void *ctx)
{
    struct convert *convert = ctx;
    struct lead_row row;
    enum db_result  rc = row_load(db, &lead_table, convert->id, &row);

    assert_int_equal(rc, DB_ROW);
    rc = lead_convert(db, &row, test_clock_us, &convert->conversion, convert->invitation);
    row_free(&lead_table, &row);
    return rc;
}

static struct convert
convert(struct money *m, int64_t id)
{
    struct convert convert = { .id = id };

    assert_int_equal(db_write(m->base.pool, DB_INTERACTIVE, convert_work, &convert), DB_OK);
    return convert;
}

/* ---- */

static void
test_a_registration_earns(void **state)
{
    struct money  *m = *state;
    int64_t        affiliate, id, trader;
    struct convert done;

    affiliate = make(m, affiliate_create,
                     json_of("{\"name\":\"CPA\",\"email\":\"cpa@example.com\",\"status\":\"approved\",\"commission\":"
                             "{\"type\":\"fixed\",\"amount\":{\"amount\":\"50.00\",\"currency\":\"EUR\"}}}"));
    id = lead(m, "jo@example.com", affiliate, false);
    done = convert(m, id);
    assert_int_equal(done.conversion, LEAD_CONVERTED);
    assert_memory_equal(done.invitation, "invite_", 7);
    trader = number(m, "SELECT trader_id AS n FROM leads WHERE id = %lld AND status = 'converted' AND existing = 0",
                    (long long) id);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM trader_accounts WHERE trader_id = %lld AND length(number) = 10",
                            (long long) trader), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM trader_invitations WHERE trader_id = %lld", (long long) trader), 1);

    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversions WHERE event = 'registration' AND txid = 'trader:%lld'"
                               " AND customer = '%lld' AND lead_id = %lld AND affiliate_id = %lld AND journal_id = 0",
                            (long long) trader, (long long) trader, (long long) id, (long long) affiliate), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND lead_id = '%lld' AND"
                               " trader_id = '%lld' AND status = 'pending' AND link_id = %lld AND campaign_id = %lld",
                            (long long) affiliate, (long long) id, (long long) trader, (long long) m->link,
                            (long long) m->campaign), 1);
    assert_int_equal(number(m, "SELECT amount_minor AS n FROM commissions WHERE affiliate_id = %lld", (long long) affiliate),
                     5000);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM customers WHERE customer = '%lld' AND affiliate_id = %lld",
                            (long long) trader, (long long) affiliate), 1);
    must_verify(m);

    /* Whose lead it was can be told afterwards. */
    json_t *report = NULL;
    test_run(m->base.pool, "UPDATE leads SET affiliate_id = 1");
    must(m, money_verify(m->service, &report, &m->error));
    assert_false(json_is_true(json_object_get(report, "ok")));
    json_decref(report);
}

/* The trader's id is the customer of what comes later; it is the affiliate's although another one was clicked. */
static void
test_deposits_find_the_affiliate(void **state)
{
    struct money *m = *state;
    int64_t       affiliate = make_affiliate(m, "leads", "approved", m->group);
    int64_t       id = lead(m, "jo@example.com", affiliate, false), trader;
    char          customer[24];

    convert(m, id);
    derive_all(m);
    trader = number(m, "SELECT trader_id AS n FROM leads WHERE id = %lld", (long long) id);
    snprintf(customer, sizeof(customer), "%lld", (long long) trader);
    tell(m, &(struct sale){ .event = "deposit", .txid = "D1", .amount = "100.00", .currency = "EUR", .customer = customer,
                            .click = click(m, m->link, 0, NULL) });
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE event = 'deposit' AND affiliate_id = %lld",
                            (long long) affiliate), 1);
    must_verify(m);
}

static void
test_one_person_is_one_trader(void **state)
{
    struct money  *m = *state;
    int64_t        second = make_affiliate(m, "second", "approved", m->group), id;
    struct convert done;

    id = lead(m, "jo@example.com", m->affiliate, false);
    convert(m, id);
    assert_int_equal(convert(m, id).conversion, LEAD_CONVERTED_BEFORE);
    id = lead(m, "jo@example.com", second, false);
    done = convert(m, id);
    assert_int_equal(done.conversion, LEAD_CONVERTED);
    assert_int_not_equal(done.invitation[0], '\0'); /* there is no password yet */
    assert_int_equal(number(m, "SELECT existing AS n FROM leads WHERE id = %lld", (long long) id), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM traders"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM trader_accounts"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversion_facts"), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM trader_invitations"), 1);

    test_run(m->base.pool, "UPDATE traders SET password_hash = 'x', state = 'active'");
    done = convert(m, lead(m, "jo@example.com", second, false));
    assert_string_equal(done.invitation, "");
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld", (long long) second), 0);
    must_verify(m);
}

static void
test_what_makes_no_referral(void **state)
{
    struct money *m = *state;
    int64_t       suspended = make_affiliate(m, "gone", "suspended", m->group);

    convert(m, lead(m, "test@example.com", m->affiliate, true));
    convert(m, lead(m, "direct@example.com", 0, false));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversion_facts"), 0);
    assert_int_equal(convert(m, lead(m, NULL, m->affiliate, false)).conversion, LEAD_WITHOUT_EMAIL);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM traders"), 2);

    convert(m, lead(m, "late@example.com", suspended, false));
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions"), 0);
    must_verify(m);
}

/* An affiliate that was named by the lead stays it, however long the lead took, whoever was clicked since. */
static void
test_the_lead_outranks_its_click(void **state)
{
    struct money *m = *state;
    int64_t       affiliate = make_affiliate(m, "leads", "approved", m->group), id;
    char          sql[200];

    id = lead(m, "jo@example.com", affiliate, false);
    snprintf(sql, sizeof(sql), "UPDATE leads SET click_id = '%s' WHERE id = %lld", click(m, m->link, 0, NULL),
             (long long) id);
    test_run(m->base.pool, sql);
    test_clock_us += 300 * DAY_US;
    convert(m, id);
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND click_id IS NOT NULL"
                               " AND why LIKE '%%\"step\":\"lead\"%%' AND why LIKE '%%\"lead_id\":\"%lld\"%%'",
                            (long long) affiliate, (long long) id), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals"), 1);
    must_verify(m);
}

/* Traders' ids can be counted: a browser that named one before there was any neither takes the lead nor hides it. */
static void
test_a_guessed_registration_is_the_leads(void **state)
{
    struct money *m = *state;
    int64_t       affiliate = make_affiliate(m, "leads", "approved", m->group), id;

    tell(m, &(struct sale){ .pixel = true, .event = "registration", .txid = "trader:1",
                            .cookie_last = click(m, m->link, 0, NULL) });
    derive_all(m);
    id = lead(m, "jo@example.com", affiliate, false);
    convert(m, id);
    assert_int_equal(number(m, "SELECT trader_id AS n FROM leads WHERE id = %lld", (long long) id), 1);
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND lead_id = '%lld'"
                               " AND superseded = 0", (long long) affiliate, (long long) id), 1);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND superseded = 0",
                            (long long) m->affiliate), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversions WHERE lead_id = %lld AND affiliate_id = %lld",
                            (long long) id, (long long) affiliate), 1);
    must_verify(m);

    /* The same where he named the right one by chance. */
    tell(m, &(struct sale){ .pixel = true, .event = "registration", .txid = "trader:2",
                            .cookie_last = click(m, m->link, 0, NULL) });
    derive_all(m);
    id = lead(m, "jim@example.com", m->affiliate, false);
    convert(m, id);
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM referrals WHERE affiliate_id = %lld AND lead_id = '%lld'"
                               " AND verified = 1", (long long) m->affiliate, (long long) id), 1);
    must_verify(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_a_registration_earns),
        money_test(test_deposits_find_the_affiliate),
        money_test(test_one_person_is_one_trader),
        money_test(test_what_makes_no_referral),
        money_test(test_the_lead_outranks_its_click),
        money_test(test_a_guessed_registration_is_the_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
