/*
 * Facts in any order, with people deciding between them: what stands in the end is what the facts say, to the cent.
 *
 * What could break: a refund that counts differently before and after an approval, a duplicate that is applied once
 * more, a chargeback's end that overtakes it, a rejection that forgets what was reversed already.  The model knows
 * neither states nor order: it only adds up.  SEED=n repeats a run.
 */
#include "test_money.h"

#include <time.h>

#define WORLDS 25
#define ORDERS 6
#define FACTS  200

struct order {
    char    click[TRACKER_CLICK_ID_LEN + 1], txid[16];
    int64_t minor, left; /* after what stays taken */
    bool    rejected;
};
struct told {
    struct sale sale;
    char        txid[16], amount[48], refund_id[32];
};

static uint64_t     seed;
static struct order orders[ORDERS];
static struct told  facts[FACTS];
static int          fact_count;

static uint64_t
draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* ---- what is to be told ---- */

/* Once, or as often as a nervous sender says it. */
static void
add(const struct order *order, enum tracker_conversion_status status, int64_t minor, const char *refund_id)
{
    for (uint64_t times = 1 + draw(6) / 4; times > 0; times--) {
        struct told *told = &facts[fact_count++];

        assert_true(fact_count <= FACTS);
        memset(told, 0, sizeof(*told));
        memcpy(told->txid, order->txid, sizeof(told->txid));
        told->sale.status = status;
        if (status == TRACKER_CONVERSION_PENDING)
            told->sale.click = order->click;
        if (minor >= 0) {
            snprintf(told->amount, sizeof(told->amount), "%lld.%02lld", (long long) minor / 100, (long long) minor % 100);
            told->sale.amount = told->amount;
        }
        snprintf(told->refund_id, sizeof(told->refund_id), "%s", refund_id == NULL ? "" : refund_id);
    }
}

static void
make_order(struct money *m, int64_t theirs, int i)
{
    struct order *order = &orders[i];
    char          first[TRACKER_CLICK_ID_LEN + 1], id[32];
    int64_t       open;

    memset(order, 0, sizeof(*order));
    memcpy(first, click(m, theirs, 0, NULL), sizeof(first));
    memcpy(order->click, click(m, m->link, 0, draw(3) == 0 ? NULL : first), sizeof(order->click));
    snprintf(order->txid, sizeof(order->txid), "o%d", i);
    open = order->left = order->minor = 1 + (int64_t) draw(draw(2) == 0 ? 200 : 1000000);
    add(order, TRACKER_CONVERSION_PENDING, order->minor, NULL);
    for (uint64_t parts = draw(5); parts > 0 && open > 0; parts--) {
        int64_t minor = 1 + (int64_t) draw((uint64_t) open);
        bool    chargeback = draw(2) == 0, won = chargeback && draw(2) == 0;

        snprintf(id, sizeof(id), "r%llu", (unsigned long long) parts);
        open -= minor;
        add(order, chargeback ? TRACKER_CONVERSION_CHARGEBACK : TRACKER_CONVERSION_REFUND, minor, id);
        if (won)
            add(order, TRACKER_CONVERSION_CHARGEBACK_WON, draw(2) == 0 ? minor : -1, id);
        else
            order->left -= minor;
    }
    if (draw(3) == 0)
        add(order, TRACKER_CONVERSION_APPROVED, -1, NULL);
    if (draw(5) == 0) {
        order->rejected = true;
        add(order, TRACKER_CONVERSION_REJECTED, -1, NULL);
    }
}

static void
shuffle(void)
{
    for (int i = fact_count - 1; i > 0; i--) {
        int         j = (int) draw((uint64_t) i + 1);
        struct told other = facts[i];

        facts[i] = facts[j];
        facts[j] = other;
    }
    for (int i = 0; i < fact_count; i++) { /* they point into themselves */
        facts[i].sale.txid = facts[i].txid;
        facts[i].sale.refund_id = facts[i].refund_id[0] == '\0' ? NULL : facts[i].refund_id;
        facts[i].sale.amount = facts[i].amount[0] == '\0' ? NULL : facts[i].amount;
    }
}

/* ---- people between ---- */

static void
decide(struct money *m)
{
    int64_t pending = number(m, "SELECT COALESCE(MIN(id), 0) AS n FROM referrals WHERE status = 'pending'");
    json_t *payout = NULL;
    char    reference[24];

    if (pending != 0)
        must(m, referral_act(m->service, &test_admin, pending, "approve", NULL, NULL, &m->error));
    if (draw(3) != 0 || payout_create(m->service, &test_admin, m->affiliate, NULL, &payout, &m->error) != SERVICE_OK) {
        service_error_clear(&m->error);
        return;
    }
    snprintf(reference, sizeof(reference), "B%lld", (long long) id_of(payout));
    must(m, payout_submit(m->service, &test_admin, id_of(payout), NULL, &m->error));
    if (draw(4) == 0)
        must(m, payout_cancel(m->service, &test_admin, id_of(payout), "not yet", NULL, &m->error));
    else
        must(m, payout_pay(m->service, &test_admin, id_of(payout), reference, NULL, NULL, NULL, &m->error));
    json_decref(payout);
}

/* Half to even, by hand. */
static int64_t
twenty_percent(int64_t minor)
{
    int64_t whole = minor * 20 / 100, rest = minor * 20 % 100;

    return whole + (rest > 50 || (rest == 50 && whole % 2 == 1));
}

static void
check(struct money *m, uint64_t world_seed)
{
    for (int i = 0; i < ORDERS; i++) {
        int64_t wanted = orders[i].rejected ? 0 : twenty_percent(orders[i].left);
        int64_t stands = number(m, "SELECT COALESCE(SUM(c.amount_minor), 0) AS n FROM commissions c JOIN conversions v"
                                   " ON v.id = c.conversion_id WHERE v.txid = '%s' AND c.status <> 'rejected'",
                                orders[i].txid);

        if (stands != wanted)
            fail_msg("SEED=%llu: order %s of %lld, %lld left%s: %lld stand, %lld should",
                     (unsigned long long) world_seed, orders[i].txid, (long long) orders[i].minor,
                     (long long) orders[i].left, orders[i].rejected ? ", rejected" : "", (long long) stands,
                     (long long) wanted);
    }
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM conversion_facts WHERE outcome = 'failed' OR outcome = 'parked'"
                               " OR outcome IS NULL"), 0);
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM refunds WHERE state = 'held'"), 0);
    must_verify(m);
}

static void
one_world(uint64_t world_seed)
{
    struct money m;
    int64_t      theirs;

    seed = world_seed;
    money_open(&m);
    theirs = make_link(&m, make_affiliate(&m, "bob", "approved", m.group), m.campaign);
    if (draw(2) == 0)
        test_run(m.base.pool, "UPDATE programs SET attribution = 'both', first_share_ppm = 333333");
    fact_count = 0;
    for (int i = 0; i < ORDERS; i++)
        make_order(&m, theirs, i);
    shuffle();
    for (int i = 0; i < fact_count; i++) {
        tell(&m, &facts[i].sale);
        test_clock_us += draw(2) * SECOND_US;
        if (draw(2) == 0)
            derive_all(&m);
        if (draw(6) == 0)
            decide(&m);
    }
    for (int i = 0; i < 12; i++) { /* whoever sleeps wakes up */
        derive_all(&m);
        test_clock_us += 3600 * SECOND_US;
    }
    check(&m, world_seed);
    money_close(&m);
}

static void
test_any_order(void **state)
{
    const char *given = getenv("SEED");

    (void) state;
    for (int i = 0; i < (given == NULL ? WORLDS : 1); i++) {
        uint64_t world_seed = given != NULL ? strtoull(given, NULL, 10)
                                            : ((uint64_t) time(NULL) * 2654435761u + (uint64_t) i * 40503u) | 1;

        one_world(world_seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_any_order) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
