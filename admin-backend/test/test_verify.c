/*
 * verify itself: a database with everything in it passes, and each of these
 * corruptions is named by the invariant it breaks.
 *
 * What could break: a query that no longer finds anything (a renamed column, a
 * condition turned round) and looks like good news.  The corruptions are written
 * by a connection that no rule holds: foreign keys, checks and, where need be,
 * whole constraints are off.  TRACE=1 prints what each of them was told.
 */
#include "test_lead.h"

#include <sqlite3.h>

#include "store/lead.h"
#include "store/lead_work.h"

static struct leads all; /* its program is what is corrupted */
static char         pristine[128];

/* ---- a database with everything in it ---- */

static int64_t
approve(struct money *m, int64_t referral)
{
    must(m, referral_act(m->service, &test_admin, referral, "approve", NULL, NULL, &m->error));
    return referral;
}

static int64_t
payout(struct money *m, int64_t affiliate)
{
    json_t *object = NULL;

    must(m, payout_create(m->service, &test_admin, affiliate, NULL, &object, &m->error));
    return take_id(object);
}

static void
pay(struct money *m, int64_t id, const char *reference)
{
    must(m, payout_submit(m->service, &test_admin, id, NULL, &m->error));
    must(m, payout_pay(m->service, &test_admin, id, reference, NULL, NULL, NULL, &m->error));
}

/* Records that never became rows: five in a gap, two set aside. */
static enum db_result
lose_some(struct db *db, void *ctx)
{
    struct money  *m = ctx;
    enum db_result rc = journal_gap_add(db, m->traffic.id, m->traffic.at.next, m->traffic.at.next + 5, TRACKER_GAP_HOLE,
                                        test_now_us());

    if (rc == DB_OK)
        rc = quarantine_add(db, m->traffic.id, m->traffic.at.next + 5, 2, "bad_payload", "??", 2, test_now_us());
    if (rc == DB_OK)
        rc = quarantine_add(db, m->traffic.id, 1, 3, "journal_forked", "?", 1, test_now_us());
    m->traffic.at.next += 7;
    m->traffic.accepted += 7;
    m->traffic.lost += 5;
    m->traffic.quarantined += 2;
    return rc == DB_OK ? journal_store(db, &m->traffic) : rc;
}

/* What two share, what a coupon and a customer bring, and what was taken back of it; of affiliates of its own. */
static void
share_and_refund(struct money *m)
{
    int64_t cyd = make_affiliate(m, "cyd", "approved", m->group), dan = make_affiliate(m, "dan", "approved", m->group);
    char    first[TRACKER_CLICK_ID_LEN + 1], sql[300];

    snprintf(sql, sizeof(sql), "INSERT INTO coupons (program_id, code, code_key, affiliate_id, created_us, updated_us)"
                               " VALUES (%lld, 'Dan10', 'DAN10', %lld, 1, 1)", (long long) m->program, (long long) dan);
    test_run(m->base.pool, sql);
    test_run(m->base.pool, "UPDATE programs SET attribution = 'both', first_share_ppm = 333333");
    memcpy(first, click(m, make_link(m, cyd, m->campaign), 0, NULL), sizeof(first));
    tell(m, &(struct sale){ .click = click(m, make_link(m, dan, m->campaign), 0, first), .txid = "shared",
                            .amount = "100.00", .customer = "eve" });
    tell(m, &(struct sale){ .txid = "deposit", .event = "deposit", .amount = "10.00", .customer = "eve" });
    tell(m, &(struct sale){ .txid = "coupon", .amount = "60.00", .coupon = "dan10" });
    derive_all(m);
    tell(m, &(struct sale){ .txid = "shared", .refund_id = "r1", .amount = "25.00", .status = TRACKER_CONVERSION_REFUND });
    tell(m, &(struct sale){ .txid = "shared", .refund_id = "r2", .amount = "80.00", .status = TRACKER_CONVERSION_REFUND });
    tell(m, &(struct sale){ .txid = "coupon", .refund_id = "c1", .status = TRACKER_CONVERSION_CHARGEBACK });
    derive_all(m);
    tell(m, &(struct sale){ .txid = "coupon", .refund_id = "c1", .status = TRACKER_CONVERSION_CHARGEBACK_WON });
    derive_all(m);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM commissions WHERE part = 1"), 3);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM refunds WHERE state = 'won'"), 1);
}

static enum db_result
erase_one(struct db *db, void *ctx)
{
    const int64_t *id = ctx;
    char           uid[TRACKER_LEAD_HEX_LEN + 1];
    struct lead_row lead;
    enum db_result  rc = row_load(db, &lead_table, *id, &lead);

    if (rc != DB_ROW)
        return DB_FAILED;
    snprintf(uid, sizeof(uid), "%s", lead.uid);
    rc = lead_erase_person(db, *id, uid, test_now_us());
    if (rc == DB_OK)
        rc = trader_erase_person(db, lead.trader_id, test_now_us());
    row_free(&lead_table, &lead);
    return rc;
}

/* One of each kind: new, repeated, duplicate, conflict, invalid, spam, a test, one that was allowed, one who is erased. */
static void
collect_leads(struct leads *l)
{
    int64_t erased;

    leads_people(l);
    ask(l, (struct said){ .fields = "email=lea@example.com&first_name=Lea", .key = "k1" });
    ask(l, (struct said){ .fields = "email=lea@example.com&first_name=Lea", .key = "k1" });
    ask(l, (struct said){ .fields = "email=max@example.com", .key = "k1" });
    ask(l, (struct said){ .fields = "email=LEA@example.com", .api_user = l->stranger });
    ask(l, (struct said){ .fields = "email=lea" });
    ask(l, (struct said){ .fields = "email=bot@example.com", .form = l->form, .flags = TRACKER_LEAD_HONEYPOT });
    ask(l, (struct said){ .fields = "email=tst@example.com", .flags = TRACKER_LEAD_TEST });
    test_run(l->m.base.pool, "INSERT INTO settings (name, value, version) VALUES ('leads_duplicates', '\"allow\"', 1)");
    ask(l, (struct said){ .fields = "email=lea@example.com&again=1", .key = "k2" });
    test_run(l->m.base.pool, "UPDATE api_users SET account = 'cpa'");
    ask(l, (struct said){ .fields = "email=eve@example.com&last_name=Eve" });
    derive_all(&l->m);
    erased = number(&l->m, "SELECT MAX(id) AS n FROM leads");
    assert_int_equal(db_write(l->m.base.pool, DB_INTERACTIVE, erase_one, &erased), DB_OK);
}

static void
fill(struct money *m)
{
    struct once  once = { .key = "once" };
    struct actor keyed = { "staff:2", "finance", &once, 2 };
    int64_t      bob = make_affiliate(m, "bob", "approved", m->group), theirs = make_link(m, bob, m->campaign), cancelled;

    approve(m, sell(m, "100.00", "paid"));
    approve(m, sell(m, "50.00", "paid too"));
    pay(m, payout(m, m->affiliate), "B1");
    test_clock_us += SECOND_US;
    approve(m, sell(m, "40.00", "cancelled once"));
    cancelled = payout(m, m->affiliate);
    must(m, payout_cancel(m->service, &test_admin, cancelled, "a mistake", NULL, &m->error));
    test_clock_us += SECOND_US;
    payout(m, m->affiliate); /* a draft */
    test_clock_us += SECOND_US;
    approve(m, sell(m, "30.00", "approved"));
    sell(m, "20.00", "pending");
    must(m, referral_act(m->service, &keyed, sell(m, "10.00", "rejected"), "reject", "bots", NULL, &m->error));

    /* Bob was paid for what was taken back later: he owes. */
    int64_t reversed = approve(m, sell_on(m, theirs, "200.00", "reversed"));
    pay(m, payout(m, bob), "B2");
    test_clock_us += SECOND_US;
    must(m, referral_act(m->service, &test_admin, reversed, "reject", "charged back", NULL, &m->error));

    share_and_refund(m);
    collect_leads(&all);
    assert_int_equal(db_write(m->base.pool, DB_WIRE, lose_some, m), DB_OK);
    must_verify(m);
    test_clock_us += 3600 * SECOND_US;
}

static void
copy_file(const char *from, const char *to)
{
    char   buffer[65536];
    size_t n;
    FILE  *in = fopen(from, "r"), *out = fopen(to, "w");

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
        assert_int_equal(fwrite(buffer, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static int
group_setup(void **state)
{
    char path[128];

    (void) state;
    money_open(&all.m);
    fill(&all.m);
    db_pool_close(all.m.base.pool);
    snprintf(path, sizeof(path), "%s/test.db", all.m.base.dir);
    snprintf(pristine, sizeof(pristine), "%s/pristine.db", all.m.base.dir);
    copy_file(path, pristine);
    test_database_reopen(&all.m.base);
    return 0;
}

static int
group_teardown(void **state)
{
    (void) state;
    money_close(&all.m);
    return 0;
}

/* ---- corruptions ---- */

/* The same table without any constraint. */
#define BARE(table)                                                                                      \
    "CREATE TABLE bare AS SELECT * FROM " table "; DROP TABLE " table "; ALTER TABLE bare RENAME TO " table ";"
#define TXID(text)        "(SELECT id FROM conversions WHERE txid = '" text "')"
#define REFERRAL(text)    "(SELECT id FROM referrals WHERE conversion_id = " TXID(text) ")"
#define COMMISSION(text)  "(SELECT id FROM commissions WHERE kind = 'commission' AND conversion_id = " TXID(text) ")"
#define REVERSAL          "(SELECT id FROM commissions WHERE kind = 'reversal')"
#define PAYOUT(state)     "(SELECT MIN(id) FROM payouts WHERE status = '" state "')"
#define POSTING(kind, id) "(SELECT id FROM ledger_transactions WHERE kind = '" kind "' AND object_id = " id ")"
#define ACCOUNT(who, name) "(SELECT id FROM ledger_accounts WHERE affiliate_id = (SELECT id FROM affiliates"       \
                           " WHERE name = '" who "') AND name = '" name "')"

static const struct corruption {
    int         invariant;
    const char *sql;
} corruptions[] = {
    { 1, "UPDATE ledger_legs SET amount_minor = amount_minor + 1 WHERE transaction_id = 1 AND leg = 1" },
    { 1, "DELETE FROM ledger_legs WHERE transaction_id = 2 AND leg = 2" },
    { 1, "DELETE FROM ledger_legs WHERE transaction_id = 3" },
    { 1, "UPDATE ledger_legs SET currency = 'USD' WHERE transaction_id = 1 AND leg = 1" },
    { 1, "INSERT INTO ledger_legs SELECT 1, 3, account_id, 0, currency FROM ledger_legs WHERE transaction_id = 1 AND leg = 1" },
    { 1, "UPDATE ledger_accounts SET currency = 'USD' WHERE id = 1" },

    { 2, "UPDATE ledger_legs SET amount_minor = amount_minor - 1 WHERE transaction_id = 2 AND leg = 2" },
    { 2, "DELETE FROM ledger_legs WHERE transaction_id = 4 AND leg = 1" },
    { 2, "UPDATE ledger_legs SET currency = 'USD' WHERE transaction_id = 1 AND leg = 2" },
    { 2, "UPDATE ledger_legs SET amount_minor = -amount_minor WHERE transaction_id = 5 AND leg = 1" },
    { 2, "INSERT INTO ledger_legs SELECT 1, 3, account_id, 5, currency FROM ledger_legs WHERE transaction_id = 1 AND leg = 1" },

    { 3, "UPDATE ledger_accounts SET balance_minor = balance_minor + 1 WHERE id = " ACCOUNT("ada", "paid") },
    { 3, "UPDATE ledger_accounts SET balance_minor = 0 WHERE id = " ACCOUNT("ada", "payable") },
    { 3, "UPDATE ledger_accounts SET balance_minor = NULL WHERE id = " ACCOUNT("bob", "payable") },
    { 3, "UPDATE ledger_accounts SET balance_minor = 0 WHERE affiliate_id IS NULL" },
    { 3, "DELETE FROM ledger_legs WHERE account_id = " ACCOUNT("bob", "paid") },
    { 3, "UPDATE ledger_legs SET account_id = " ACCOUNT("bob", "paid") " WHERE account_id = " ACCOUNT("ada", "paid") },

    { 4, "UPDATE ledger_transactions SET kind = 'commission.bonus' WHERE number = 2" },
    { 4, "UPDATE ledger_transactions SET at_us = at_us + 1 WHERE number = 3" },
    { 4, "UPDATE ledger_transactions SET object_id = object_id + 1 WHERE number = 3" },
    { 4, "UPDATE ledger_legs SET amount_minor = amount_minor * 2 WHERE transaction_id = 1" },
    { 4, "DELETE FROM ledger_legs WHERE transaction_id = 3; DELETE FROM ledger_transactions WHERE id = 3" },
    { 4, "UPDATE ledger_transactions SET number = number + 100 WHERE number = (SELECT MAX(number) FROM ledger_transactions)" },
    { 4, "UPDATE ledger_transactions SET hash = zeroblob(32) WHERE number = 4" },
    { 4, "UPDATE ledger_transactions SET hash = NULL WHERE number = (SELECT MAX(number) FROM ledger_transactions)" },
    { 4, "UPDATE ledger_transactions SET hash = NULL, number = NULL"
         " WHERE number = (SELECT MAX(number) FROM ledger_transactions)" },
    { 4, "UPDATE ledger_transactions SET number = -1 WHERE number = 2; UPDATE ledger_transactions SET number = 2"
         " WHERE number = 3; UPDATE ledger_transactions SET number = 3 WHERE number = -1" },

    { 5, "UPDATE commissions SET amount_minor = 1000000000000001 WHERE id = 1" },
    { 5, "UPDATE ledger_legs SET amount_minor = -9223372036854775807 WHERE transaction_id = 1 AND leg = 1" },
    { 5, "UPDATE commissions SET currency = 'EUX' WHERE id = 1" },
    { 5, "UPDATE payouts SET currency = 'eur'" },
    { 5, "UPDATE programs SET currency = ''" },
    { 5, "UPDATE conversions SET amount_minor = NULL WHERE id = 1" },
    { 5, "UPDATE referrals SET currency = NULL WHERE id = 1" },
    { 5, "UPDATE commissions SET basis_minor = 4000000000000000 WHERE id = 1" },
    { 5, "UPDATE ledger_accounts SET balance_minor = 9223372036854775807 WHERE affiliate_id IS NOT NULL" },

    { 6, BARE("conversions") "UPDATE conversions SET txid = 'paid' WHERE txid = 'pending'" },
    { 6, BARE("conversions") "INSERT INTO conversions SELECT * FROM conversions LIMIT 1" },
    { 6, "UPDATE conversions SET seq = 1 WHERE txid = 'pending'" },
    { 6, BARE("referrals") "UPDATE referrals SET conversion_id = " TXID("paid") " WHERE conversion_id = " TXID("pending") },
    { 6, BARE("commissions") "UPDATE commissions SET conversion_id = " TXID("paid") " WHERE conversion_id = " TXID("pending") },
    { 6, BARE("commissions") "INSERT INTO commissions SELECT * FROM commissions LIMIT 1" },
    { 6, "UPDATE commissions SET conversion_id = NULL WHERE affiliate_id = (SELECT id FROM affiliates WHERE name = 'ada')" },

    { 7, "UPDATE commissions SET amount_minor = amount_minor + 1 WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE commissions SET rate_ppm = 210000 WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE commissions SET rate_ppm = NULL WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE commissions SET basis_minor = basis_minor + 5 WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE commissions SET basis_minor = NULL WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE commissions SET plan_id = NULL WHERE id = " COMMISSION("pending") },
    { 7, "UPDATE plans SET rate_ppm = 250000" },
    { 7, "UPDATE plans SET type = 'none'" },
    { 7, "UPDATE plans SET type = 'fixed', amount_minor = 1, currency = 'EUR'" },
    { 7, "UPDATE plans SET valid_from_us = valid_from_us + 7200000000" },
    { 7, "UPDATE conversions SET amount_minor = amount_minor + 100 WHERE txid = 'pending'" },

    { 8, "UPDATE referrals SET share_ppm = 333334 WHERE conversion_id = " TXID("shared") " AND part = 0" },
    { 8, "UPDATE referrals SET superseded = 1 WHERE conversion_id = " TXID("shared") " AND part = 1" },
    { 8, "DELETE FROM referrals WHERE conversion_id = " TXID("shared") " AND part = 0" },
    { 8, "UPDATE commissions SET share_ppm = 1000000 WHERE conversion_id = " TXID("shared") " AND part = 0" },
    { 8, "UPDATE commissions SET part = 1 WHERE conversion_id = " TXID("shared") " AND part = 0" },
    { 8, "UPDATE commissions SET amount_minor = amount_minor + 2 WHERE conversion_id = " TXID("shared")
         " AND part = 0 AND kind = 'commission'" },
    { 8, "DELETE FROM customers WHERE part = 1" },
    { 8, "UPDATE referrals SET share_ppm = 500000 WHERE id = " REFERRAL("pending") },

    { 9, "UPDATE referrals SET status = 'approved' WHERE id = " REFERRAL("pending") },
    { 9, "UPDATE commissions SET status = 'approved' WHERE id = " COMMISSION("pending") },
    { 9, "UPDATE payouts SET status = 'pending' WHERE id = " PAYOUT("draft") },
    { 9, "DELETE FROM state_changes WHERE object_type = 'commission' AND to_state = 'pending'" },
    { 9, "DELETE FROM state_changes WHERE object_type = 'payout'" },
    { 9, "UPDATE state_changes SET to_state = 'rejected' WHERE object_type = 'referral' AND to_state = 'pending'" },
    { 9, "INSERT INTO state_changes (object_type, object_id, from_state, to_state, actor, at_us)"
         " VALUES ('commission', " COMMISSION("paid") ", 'paid', 'approved', 'staff:1', 1),"
         " ('commission', " COMMISSION("paid") ", 'approved', 'paid', 'staff:1', 1)" },
    { 9, "INSERT INTO state_changes (object_type, object_id, to_state, actor, at_us)"
         " VALUES ('payout', 4711, 'draft', 'system', 1)" },
    { 9, "UPDATE state_changes SET to_state = 'approved' WHERE object_type = 'commission' AND object_id = "
         COMMISSION("pending") "; UPDATE commissions SET status = 'approved' WHERE id = " COMMISSION("pending") },
    { 9, "UPDATE commissions SET status = 'lost' WHERE id = " COMMISSION("pending") "; UPDATE state_changes"
         " SET to_state = 'lost' WHERE object_type = 'commission' AND object_id = " COMMISSION("pending") },

    { 10, "DELETE FROM ledger_legs WHERE transaction_id = " POSTING("commission.approve", COMMISSION("approved"))
          "; DELETE FROM ledger_transactions WHERE id = " POSTING("commission.approve", COMMISSION("approved")) },
    { 10, "UPDATE commissions SET status = 'pending' WHERE id = " COMMISSION("approved") },
    { 10, "UPDATE commissions SET status = 'paid' WHERE id = " COMMISSION("approved") },
    { 10, "UPDATE commissions SET status = 'in_payout' WHERE id = " COMMISSION("approved") },
    { 10, "UPDATE commissions SET status = 'approved' WHERE id = " COMMISSION("paid") },
    { 10, "UPDATE payouts SET status = 'cancelled' WHERE id = " PAYOUT("draft") },
    { 10, "UPDATE payouts SET status = 'paid', reference = 'B9', paid_at_us = 1 WHERE id = " PAYOUT("draft") },
    { 10, "DELETE FROM payout_items WHERE commission_id = " COMMISSION("paid") },
    { 10, "DELETE FROM commissions WHERE id = " COMMISSION("pending") },
    { 10, "UPDATE ledger_transactions SET object_id = 4711 WHERE id = " POSTING("commission.accrue", COMMISSION("pending")) },
    { 10, "UPDATE ledger_legs SET account_id = (SELECT id FROM ledger_accounts WHERE name = 'pending' AND affiliate_id ="
          " (SELECT id FROM affiliates WHERE name = 'bob')) WHERE transaction_id = "
          POSTING("commission.accrue", COMMISSION("pending")) " AND leg = 2" },

    { 11, "DROP INDEX payout_items_live; INSERT INTO payout_items SELECT " PAYOUT("draft") ", commission_id, amount_minor, 1"
          " FROM payout_items WHERE payout_id = " PAYOUT("paid") },
    { 11, "INSERT INTO payout_items SELECT " PAYOUT("draft") ", commission_id, amount_minor, 0 FROM payout_items"
          " WHERE payout_id = " PAYOUT("paid") },
    { 11, "DROP INDEX payout_items_live; UPDATE payout_items SET live = 1" },
    { 11, "UPDATE payout_items SET live = 0 WHERE payout_id = " PAYOUT("paid") },
    { 11, "UPDATE payouts SET status = 'pending' WHERE status = 'cancelled'" },
    { 11, "UPDATE payouts SET status = 'cancelled' WHERE id = " PAYOUT("draft") },

    { 12, "UPDATE payouts SET amount_minor = amount_minor + 1 WHERE status = 'draft'" },
    { 12, "UPDATE payouts SET amount_minor = 0 WHERE status = 'draft'" },
    { 12, "UPDATE payout_items SET amount_minor = amount_minor - 1 WHERE payout_id = " PAYOUT("paid") },
    { 12, "DELETE FROM payout_items WHERE payout_id = " PAYOUT("draft") },
    { 12, "UPDATE payouts SET currency = 'USD' WHERE status = 'draft'" },
    { 12, "UPDATE payouts SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob') WHERE status = 'draft'" },
    { 12, "UPDATE payouts SET minimum_minor = amount_minor + 1 WHERE status = 'paid'" },
    { 12, "UPDATE commissions SET amount_minor = amount_minor - 1 WHERE id = " COMMISSION("paid") },

    { 13, BARE("payouts") "UPDATE payouts SET reference = 'B1' WHERE status = 'paid'" },
    { 13, "UPDATE payouts SET reference = NULL WHERE reference = 'B1'" },
    { 13, "UPDATE payouts SET reference = '' WHERE reference = 'B1'" },
    { 13, "UPDATE payouts SET paid_at_us = NULL WHERE reference = 'B1'" },
    { 13, "UPDATE payouts SET reference = 'B9' WHERE status = 'draft'" },
    { 13, "UPDATE payouts SET paid_at_us = 1 WHERE status = 'cancelled'" },

    { 14, "UPDATE commissions SET amount_minor = amount_minor + 1 WHERE id = " COMMISSION("approved") },
    { 14, "UPDATE commissions SET status = 'rejected' WHERE id = " COMMISSION("approved") },
    { 14, "UPDATE commissions SET status = 'approved' WHERE id = " COMMISSION("rejected") },
    { 14, "DELETE FROM commissions WHERE id = " COMMISSION("pending") },
    { 14, "UPDATE commissions SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob') WHERE id = "
          COMMISSION("approved") },
    { 14, "UPDATE ledger_legs SET account_id = " ACCOUNT("ada", "paid") " WHERE account_id = " ACCOUNT("ada", "in_transit")
          " AND transaction_id = (SELECT MAX(id) FROM ledger_transactions WHERE kind = 'payout.create' AND object_id = "
          PAYOUT("draft") ")" },

    { 15, "UPDATE commissions SET amount_minor = amount_minor * 2 WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET amount_minor = amount_minor + 1 WHERE id = " REVERSAL },
    { 15, "INSERT INTO commissions (program_id, affiliate_id, referral_id, conversion_id, period, kind, revision,"
          " amount_minor, currency, status, reverses_id, why, created_us, updated_us)"
          " SELECT program_id, affiliate_id, referral_id, conversion_id, period, kind, 7, -1, currency, status,"
          " reverses_id, why, created_us, updated_us FROM commissions WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET reverses_id = NULL WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET reverses_id = " COMMISSION("pending") " WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET reverses_id = 4711 WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET kind = 'commission', revision = 9 WHERE id = " REVERSAL },
    { 15, "UPDATE commissions SET currency = 'USD' WHERE id = " REVERSAL },

    { 15, "UPDATE commissions SET amount_minor = amount_minor - 1 WHERE kind = 'reinstatement'" },
    { 15, "UPDATE commissions SET amount_minor = amount_minor + 100000 WHERE kind = 'reinstatement'" },
    { 15, "UPDATE refunds SET amount_minor = amount_minor + 100 WHERE refund_id = 'r1'" },
    { 15, "UPDATE refunds SET state = 'applied' WHERE refund_id = 'c1'" },

    { 16, "UPDATE refunds SET state = 'applied' WHERE refund_id = 'r2'" },
    { 16, "UPDATE refunds SET amount_minor = 10001 WHERE refund_id = 'r1'" },
    { 16, "UPDATE conversions SET amount_minor = 2499 WHERE txid = 'shared'" },
    { 16, "UPDATE refunds SET currency = 'USD' WHERE refund_id = 'r1'" },
    { 16, "UPDATE refunds SET amount_minor = -5 WHERE refund_id = 'r1'" },
    { 16, "UPDATE refunds SET amount_minor = NULL, currency = NULL WHERE refund_id = 'r1'" },
    { 16, "UPDATE refunds SET kind = 'refund' WHERE refund_id = 'c1'" },
    { 16, "DELETE FROM conversion_conflicts" },
    { 16, "UPDATE refunds SET seq = 1 WHERE refund_id = 'r1'" },
    { 16, "UPDATE refunds SET conversion_id = " TXID("coupon") " WHERE refund_id = 'r1'" },

    { 17, "UPDATE commissions SET amount_minor = -amount_minor WHERE kind = 'reinstatement'" },
    { 17, "UPDATE commissions SET amount_minor = -amount_minor WHERE id = " COMMISSION("pending") },
    { 17, "UPDATE commissions SET amount_minor = 0 WHERE id = " COMMISSION("pending") },
    { 17, "UPDATE commissions SET amount_minor = -amount_minor WHERE id = " REVERSAL },
    { 17, "DELETE FROM commissions WHERE id = " REVERSAL },
    { 17, "UPDATE commissions SET currency = 'USD' WHERE id = " REVERSAL },
    { 17, "UPDATE ledger_legs SET amount_minor = -amount_minor WHERE account_id = " ACCOUNT("ada", "paid") },
    { 17, "UPDATE payouts SET amount_minor = -5 WHERE status = 'draft'" },

    { 18, BARE("idempotency_keys") "INSERT INTO idempotency_keys SELECT * FROM idempotency_keys" },
    { 18, BARE("idempotency_keys")
         "INSERT INTO idempotency_keys SELECT actor, key, zeroblob(32), body, 1 FROM idempotency_keys" },
    { 18, "UPDATE idempotency_keys SET request_hash = zeroblob(31)" },
    { 18, "UPDATE idempotency_keys SET body = ''" },
    { 18, "UPDATE idempotency_keys SET body = '[]'" },
    { 18, "UPDATE idempotency_keys SET key = ''" },
    { 18, "UPDATE idempotency_keys SET actor = ''" },

    { 19, "UPDATE journals SET committed = committed + 1 WHERE id = 1" },
    { 19, "UPDATE journals SET next_seq = next_seq + 1 WHERE id = 2" },
    { 19, "UPDATE journals SET committed = committed + 1, next_seq = next_seq + 1 WHERE id = 1" },
    { 19, "UPDATE journals SET lost = lost + 1, next_seq = next_seq + 1 WHERE id = 1" },
    { 19, "UPDATE journals SET quarantined = quarantined + 1, next_seq = next_seq + 1 WHERE id = 1" },
    { 19, "DELETE FROM clicks WHERE seq = 3" },
    { 19, "DELETE FROM conversion_facts WHERE seq = 2" },
    { 19, "DELETE FROM journal_gaps" },
    { 19, "UPDATE journal_gaps SET to_seq = from_seq" },
    { 19, "DELETE FROM quarantine WHERE reason <> 'journal_forked'" },
    { 19, "UPDATE quarantine SET count = 1 WHERE reason <> 'journal_forked'" },
    { 19, "DELETE FROM journals WHERE id = 1" },
    { 19, "UPDATE clicks SET seq = 900 WHERE seq = 1" },
    { 19, "UPDATE journals SET rolled_seq = next_seq + 1 WHERE id = 1" },
    { 19, "UPDATE journals SET dropped = -1 WHERE id = 1" },

    { 20, "UPDATE commissions SET conversion_id = NULL WHERE id = " COMMISSION("pending") },
    { 20, "UPDATE commissions SET conversion_id = " TXID("approved") ", revision = 7 WHERE id = " COMMISSION("pending") },
    { 20, "UPDATE commissions SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob') WHERE id = "
          COMMISSION("pending") },
    { 20, "DELETE FROM conversions WHERE txid = 'pending'" },
    { 20, "UPDATE conversion_facts SET conversion_id = NULL WHERE txid = 'pending'" },
    { 20, "UPDATE referrals SET click_id = (SELECT click_id FROM referrals r WHERE r.id = " REFERRAL("paid") ") WHERE id = "
          REFERRAL("pending") },
    { 20, "UPDATE referrals SET click_id = '" "0000000000000000000000000000000000000000" "', why = replace(why, click_id, '"
          "0000000000000000000000000000000000000000" "') WHERE id = " REFERRAL("pending") },
    { 20, "UPDATE referrals SET click_id = NULL WHERE id = " REFERRAL("pending") },
    { 20, "UPDATE coupons SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob')" },
    { 20, "DELETE FROM coupons" },
    { 20, "UPDATE customers SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob') WHERE part = 0" },
    { 20, "DELETE FROM customers" },
    { 20, "UPDATE referrals SET why = '{}' WHERE id = " REFERRAL("pending") },
    { 20, "UPDATE referrals SET why = replace(why, '\"won\"', '\"outranked\"') WHERE id = " REFERRAL("pending") },
    { 20, "UPDATE link_versions SET affiliate_id = (SELECT id FROM affiliates WHERE name = 'bob')" },
    { 20, "UPDATE referrals SET link_id = (SELECT MAX(id) FROM links) WHERE id = " REFERRAL("pending") },
    { 20, "UPDATE conversions SET event_time_ms = event_time_ms + 31 * 86400000 WHERE txid = 'pending'" },
    { 20, "UPDATE conversions SET event_time_ms = event_time_ms - 400000 WHERE txid = 'pending'" },

    { 21, "DELETE FROM audit_log WHERE action = 'referral.approve' AND id = (SELECT MAX(id) FROM audit_log"
          " WHERE action = 'referral.approve')" },
    { 21, "DELETE FROM audit_log WHERE id = (SELECT MAX(id) FROM audit_log WHERE object_type = 'referral')" },
    { 21, "DELETE FROM audit_log WHERE action = 'payout.pay'" },
    { 21, "UPDATE audit_log SET actor = 'staff:9' WHERE action = 'payout.create'" },
    { 21, "UPDATE audit_log SET after = '{}' WHERE id = 3" },
    { 21, "UPDATE audit_log SET reason = 'none' WHERE action = 'referral.reject'" },
    { 21, "UPDATE audit_log SET hash = zeroblob(32) WHERE id = 2" },
    { 21, "UPDATE audit_log SET at_us = at_us - 1 WHERE id = (SELECT MAX(id) FROM audit_log)" },
    { 21, "UPDATE state_changes SET actor = 'staff:9' WHERE from_state = 'draft'" },
    { 21, "INSERT INTO state_changes (object_type, object_id, from_state, to_state, actor, at_us)"
          " VALUES ('payout', " PAYOUT("draft") ", 'draft', 'pending', 'staff:1', 5)" },

    { 22, "UPDATE leads SET email = 'eve@example.com' WHERE erased_us IS NOT NULL" },
    { 22, "UPDATE leads SET phone_key = '+491711234567' WHERE erased_us IS NOT NULL" },
    { 22, "UPDATE lead_facts SET fields = '{\"email\":\"eve@example.com\"}' WHERE (journal_id, seq) ="
          " (SELECT journal_id, seq FROM leads WHERE erased_us IS NOT NULL)" },
    { 22, "UPDATE lead_log SET email = 'eve@example.com' WHERE lead_id = (SELECT id FROM leads WHERE erased_us IS NOT NULL)" },
    { 22, "UPDATE traders SET email_key = 'eve@example.com'" },
    { 22, "UPDATE leads SET erased_us = 1 WHERE first_name = 'Lea'" },
    { 22, "UPDATE traders SET password_hash = 'x'" },

    { 24, "DELETE FROM lead_log WHERE verdict = 'duplicate'" },
    { 24, "UPDATE lead_log SET verdict = 'created' WHERE verdict = 'conflict'" },
    { 24, "UPDATE lead_log SET uid = 'x' WHERE verdict = 'spam'" },
    { 24, "UPDATE lead_facts SET outcome = NULL WHERE outcome = 'invalid'" },
    { 24, "UPDATE lead_facts SET outcome = 'duplicate' WHERE outcome = 'created'" },
    { 24, "DELETE FROM lead_facts WHERE outcome = 'created'" },
    { 24, "DELETE FROM leads WHERE test = 1" },
    { 24, BARE("leads") "INSERT INTO leads SELECT * FROM leads LIMIT 1" },
    { 24, "UPDATE leads SET seq = 4711 WHERE test = 1" },
    { 24, "UPDATE leads SET idempotency_key = 'k1' WHERE idempotency_key = 'k2'" },
    { 24, "UPDATE leads SET duplicate_of = id WHERE duplicate_of IS NOT NULL" },
    { 24, "UPDATE lead_log SET lead_id = NULL WHERE verdict = 'duplicate'" },
    { 24, "UPDATE referrals SET lead_id = '4711' WHERE lead_id IS NOT NULL" },
    { 24, "UPDATE referrals SET lead_id = NULL WHERE lead_id IS NOT NULL" },
    { 24, "UPDATE conversions SET lead_id = NULL WHERE lead_id IS NOT NULL" },
    { 24, "INSERT INTO lead_log (at_us, journal_id, seq, uid, program_id, kind, verdict) VALUES (1, 2, 4711, 'x', 1, 'api',"
          " 'invalid')" },

    { 19, "UPDATE journals SET forgotten = 1" },
    { 19, "DELETE FROM lead_facts WHERE outcome = 'spam'" },

    { 23, "UPDATE commissions SET plan_id = 4711 WHERE id = 1" },
    { 23, "DELETE FROM affiliates WHERE name = 'bob'" },
    { 23, "DELETE FROM ledger_transactions WHERE id = 2" },
    { 23, "DELETE FROM campaigns" },
    { 23, "UPDATE affiliates SET status = 'sleeping'" },
    { 23, "UPDATE payout_items SET live = 7" },
    { 23, "UPDATE journals SET kind = 'other'" },
};

static void
corrupt(const char *path, const char *sql)
{
    static const char rules_off[] = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;"
                                    " PRAGMA legacy_alter_table = ON;";
    sqlite3          *handle;
    char             *error = NULL;
    int               before;

    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, rules_off, NULL, NULL, NULL), SQLITE_OK);
    before = sqlite3_total_changes(handle);
    if (sqlite3_exec(handle, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    if (sqlite3_total_changes(handle) == before)
        fail_msg("changed nothing: %s", sql);
    sqlite3_close(handle);
}

/* The report about a copy that was corrupted; new reference. */
static json_t *
verify_corrupted(const char *sql)
{
    struct money copy = all.m;
    char         path[128], url[160], *error;
    json_t      *report = NULL;

    snprintf(path, sizeof(path), "%s/copy.db", all.m.base.dir);
    copy_file(pristine, path);
    if (sql != NULL)
        corrupt(path, sql);
    snprintf(url, sizeof(url), "sqlite:%s", path);
    copy.base.service.pool = copy.base.pool = db_pool_open(url, 1, &error);
    assert_non_null(copy.base.pool);
    must(&copy, money_verify(&copy.base.service, &report, &copy.error));
    db_pool_close(copy.base.pool);
    unlink(path);
    return report;
}

static json_t *
result_of(const json_t *report, int number)
{
    json_t *result;
    size_t  i;

    json_array_foreach(json_object_get(report, "invariants"), i, result) {
        if (json_integer_value(json_object_get(result, "number")) == number)
            return result;
    }
    return NULL;
}

static void
trace(const struct corruption *corruption, const json_t *report)
{
    json_t *result;
    size_t  i;

    printf("# %.110s\n", corruption->sql);
    json_array_foreach(json_object_get(report, "invariants"), i, result) {
        if (!json_is_true(json_object_get(result, "ok")))
            printf("#   %2d: %s\n", (int) json_integer_value(json_object_get(result, "number")),
                   json_string_value(json_array_get(json_object_get(result, "violations"), 0)));
    }
}

static void
test_each_corruption_is_named(void **state)
{
    int per_invariant[25] = { 0 }, missed = 0;

    (void) state;
    for (size_t i = 0; i < sizeof(corruptions) / sizeof(corruptions[0]); i++) {
        json_t *report = verify_corrupted(corruptions[i].sql);
        json_t *result = result_of(report, corruptions[i].invariant);

        per_invariant[corruptions[i].invariant]++;
        if (getenv("TRACE") != NULL)
            trace(&corruptions[i], report);
        if (json_is_true(json_object_get(report, "ok")) || json_is_true(json_object_get(result, "ok"))
            || json_integer_value(json_object_get(result, "count")) == 0) {
            printf("# not named by %d: %s\n", corruptions[i].invariant, corruptions[i].sql);
            missed++;
        }
        json_decref(report);
    }
    assert_int_equal(missed, 0);

    /* Every invariant that is checked has its five. */
    json_t *report = verify_corrupted(NULL), *result;
    size_t  i;
    json_array_foreach(json_object_get(report, "invariants"), i, result) {
        int number = (int) json_integer_value(json_object_get(result, "number"));
        if (per_invariant[number] < 5)
            fail_msg("invariant %d has only %d corruptions", number, per_invariant[number]);
    }
    json_decref(report);
}

static void
test_the_sound_database_passes(void **state)
{
    json_t *report = verify_corrupted(NULL);

    (void) state;
    if (!json_is_true(json_object_get(report, "ok")))
        fail_msg("%s", json_dumps(report, JSON_INDENT(1)));
    assert_int_equal(json_array_size(json_object_get(report, "invariants")), 24);
    json_decref(report);
}

/* One invariant alone: what is right must not be called wrong. */
static void
test_only_the_broken_one_is_named(void **state)
{
    static const struct corruption alone[] = {
        { 3, "UPDATE ledger_accounts SET balance_minor = balance_minor + 1 WHERE id = " ACCOUNT("ada", "paid") },
        { 4, "UPDATE ledger_transactions SET at_us = at_us + 1 WHERE number = 3" },
        { 7, "UPDATE plans SET rate_ppm = 250000" },
        { 8, "UPDATE customers SET share_ppm = 1 WHERE part = 1" },
        { 12, "UPDATE payouts SET minimum_minor = amount_minor + 1 WHERE status = 'paid'" },
        { 16, "DELETE FROM conversion_conflicts" },
        { 18, "UPDATE idempotency_keys SET request_hash = zeroblob(31)" },
        { 19, "UPDATE journals SET committed = committed + 1 WHERE id = 1" },
        { 20, "UPDATE referrals SET why = '{}' WHERE id = " REFERRAL("pending") },
        { 21, "UPDATE audit_log SET after = '{}' WHERE id = 3" },
        { 22, "UPDATE traders SET email_key = 'eve@example.com'" },
        { 23, "UPDATE affiliates SET status = 'sleeping'" },
        { 24, "UPDATE lead_log SET verdict = 'duplicate' WHERE verdict = 'conflict'" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        json_t *report = verify_corrupted(alone[i].sql), *result;
        size_t  j;

        json_array_foreach(json_object_get(report, "invariants"), j, result) {
            bool broken = json_integer_value(json_object_get(result, "number")) == alone[i].invariant;
            if (json_is_true(json_object_get(result, "ok")) == broken)
                fail_msg("%s: %s", alone[i].sql, json_dumps(report, JSON_INDENT(1)));
        }
        json_decref(report);
    }
}

/* Twenty are shown, all are counted; one forged link of the chain is one violation and not all that follow. */
static void
test_counts_and_caps(void **state)
{
    json_t *report = verify_corrupted(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 35) INSERT INTO state_changes"
        " (object_type, object_id, to_state, actor, at_us) SELECT 'payout', 1000 + i, 'draft', 'system', 1 FROM n");
    json_t *result = result_of(report, 9);

    (void) state;
    assert_int_equal(json_integer_value(json_object_get(result, "count")), 35);
    assert_int_equal(json_array_size(json_object_get(result, "violations")), 20);
    json_decref(report);

    report = verify_corrupted("UPDATE ledger_transactions SET at_us = at_us + 1 WHERE number = 3");
    assert_int_equal(json_integer_value(json_object_get(result_of(report, 4), "count")), 1);
    json_decref(report);
}

/* What cannot be read is not sound, and the report says so for every invariant it left open. */
static void
test_what_cannot_be_checked_is_not_ok(void **state)
{
    json_t *report = verify_corrupted("UPDATE audit_log SET reason = reason; DROP TABLE payout_items");

    (void) state;
    assert_true(json_is_false(json_object_get(report, "ok")));
    assert_true(json_is_true(json_object_get(result_of(report, 9), "ok"))); /* checked before it broke */
    assert_true(json_is_false(json_object_get(result_of(report, 10), "ok")));
    assert_true(json_is_false(json_object_get(result_of(report, 21), "ok")));
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(result_of(report, 21), "violations"), 0)),
                           "could not be checked"));
    json_decref(report);
}

/* Bytes of the file itself: whatever verify can still read, it does not call it sound. */
static void
test_a_damaged_file(void **state)
{
    char         path[128], url[160], *error;
    struct money copy = all.m;
    json_t      *report = NULL;
    FILE        *file;
    long         size;

    (void) state;
    snprintf(path, sizeof(path), "%s/copy.db", all.m.base.dir);
    copy_file(pristine, path);
    file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    /* Every third page, in its middle, behind those of the schema: without it nothing can be opened. */
    for (long page = (long) number(&all.m, "SELECT MAX(rootpage) AS n FROM sqlite_schema"); page < size / 4096;
         page += 3) {
        fseek(file, page * 4096 + 2000, SEEK_SET);
        for (int i = 0; i < 64; i++)
            fputc(0xff, file);
    }
    fclose(file);
    snprintf(url, sizeof(url), "sqlite:%s", path);
    copy.base.service.pool = copy.base.pool = db_pool_open(url, 1, &error);
    assert_non_null(copy.base.pool);
    if (money_verify(&copy.base.service, &report, &copy.error) == SERVICE_OK)
        assert_true(json_is_false(json_object_get(report, "ok")));
    json_decref(report);
    service_error_clear(&copy.error);
    db_pool_close(copy.base.pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sound_database_passes),
        cmocka_unit_test(test_each_corruption_is_named),
        cmocka_unit_test(test_only_the_broken_one_is_named),
        cmocka_unit_test(test_counts_and_caps),
        cmocka_unit_test(test_what_cannot_be_checked_is_not_ok),
        cmocka_unit_test(test_a_damaged_file),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
