/*
 * Random use of everything that moves money, beside a model that knows only
 * lists of amounts: each step must be allowed or refused as the model says,
 * and after each batch balances agree and every invariant holds.
 *
 * What could break is whatever nobody thought of: an order of approving,
 * bundling, cancelling, rejecting and reopening that loses or doubles a cent.
 * SEED=n repeats a run, ROUNDS=n makes it longer.
 */
#include "test_money.h"

#include <time.h>

#define AFFILIATES 3
#define BATCH      40
#define MOST       20000

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * UINT64_C(2685821657736338717) >> 11) % below;
}

/* ---- the model ---- */

enum entry_state { E_PENDING, E_APPROVED, E_IN_PAYOUT, E_PAID, E_REJECTED };
enum sale_state { S_PENDING, S_APPROVED, S_REJECTED };
enum payout_model { P_DRAFT, P_PENDING, P_PAID, P_CANCELLED };

struct entry {
    int              sale, payout;
    int64_t          minor;
    enum entry_state state;
    uint64_t         payable_us;
    bool             reversal, reversed;
};
struct model_sale {
    int64_t         referral;
    int             affiliate, last; /* entry; -1: earned nothing */
    enum sale_state state;
};
struct model_payout {
    int64_t           id;
    int               affiliate;
    enum payout_model state;
};

static struct model {
    int64_t             ids[AFFILIATES], links[AFFILIATES], rate_ppm[AFFILIATES], hold_days[AFFILIATES];
    bool                suspended[AFFILIATES];
    struct entry        entries[MOST];
    struct model_sale   sales[MOST];
    struct model_payout payouts[MOST];
    int                 entry_count, sale_count, payout_count;
} model;

/* Half to even by hand: another way than the domain's. */
static int64_t
share(int64_t minor, int64_t ppm)
{
    int64_t whole = minor * ppm / 1000000, rest = minor * ppm % 1000000;

    if (rest > 500000 || (rest == 500000 && whole % 2 == 1))
        whole++;
    return whole;
}

static int
add_entry(int sale, int64_t minor, bool reversal)
{
    struct entry *entry = &model.entries[model.entry_count];

    *entry = (struct entry){ sale, -1, minor, reversal ? E_APPROVED : E_PENDING, test_now_us(), reversal, false };
    if (!reversal)
        model.sales[sale].last = model.entry_count;
    return model.entry_count++;
}

static int64_t
model_balance(int affiliate, enum entry_state state)
{
    int64_t sum = 0;

    for (int i = 0; i < model.entry_count; i++) {
        if (model.entries[i].state == state && model.sales[model.entries[i].sale].affiliate == affiliate)
            sum += model.entries[i].minor;
    }
    return sum;
}

static void
approve_entry(struct entry *entry)
{
    int affiliate = model.sales[entry->sale].affiliate;

    entry->state = E_APPROVED;
    entry->payable_us = test_now_us() + (uint64_t) model.hold_days[affiliate] * DAY_US;
}

/* ---- steps: the model first, then the same asked of the services ---- */

static void
agree(struct money *m, enum service_result result, bool allowed, const char *step)
{
    if ((result == SERVICE_OK) != allowed || (!allowed && result != SERVICE_CONFLICT))
        fail_msg("%s: the model says %s, the service %d %s", step, allowed ? "yes" : "no", result, m->error.code);
    service_error_clear(&m->error);
}

/* One sale, perhaps said several times. */
static void
sell_once(struct money *m)
{
    int     affiliate = (int) draw(AFFILIATES), sale = model.sale_count++;
    int64_t minor = (int64_t) draw(draw(2) == 0 ? 300 : 1000000), due = share(minor, model.rate_ppm[affiliate]);
    char    amount[32], txid[16];
    struct sale fact = { .click = click(m, model.links[affiliate], 0, NULL), .txid = txid, .amount = amount };

    snprintf(amount, sizeof(amount), "%lld.%02lld", (long long) minor / 100, (long long) minor % 100);
    snprintf(txid, sizeof(txid), "t%d", sale);
    for (uint64_t times = 1 + draw(3); times > 0; times--)
        tell(m, &fact);
    derive_all(m);
    model.sales[sale] = (struct model_sale){ test_int(m->base.pool, "SELECT MAX(id) AS n FROM referrals"), affiliate, -1,
                                             S_PENDING };
    if (due != 0 && !model.suspended[affiliate])
        add_entry(sale, due, false);
}

static bool
model_decide(int index, const char *action)
{
    struct model_sale *sale = &model.sales[index];
    int                entries = model.entry_count;

    if (strcmp(action, "approve") == 0) {
        if (sale->state != S_PENDING)
            return sale->state == S_APPROVED; /* decided already: allowed, and nothing changes */
        sale->state = S_APPROVED;
        for (int i = 0; i < entries; i++) {
            if (model.entries[i].sale == index && model.entries[i].state == E_PENDING)
                approve_entry(&model.entries[i]);
        }
        return true;
    }
    if (strcmp(action, "reopen") == 0) {
        if (sale->state != S_REJECTED)
            return sale->state == S_PENDING;
        if (sale->last >= 0 && model.suspended[sale->affiliate])
            return false;
        sale->state = S_PENDING;
        if (sale->last >= 0)
            add_entry(index, model.entries[sale->last].minor, false);
        return true;
    }
    if (sale->state == S_REJECTED)
        return true;
    for (int i = 0; i < entries; i++) {
        if (model.entries[i].sale == index && model.entries[i].state == E_IN_PAYOUT && !model.entries[i].reversal)
            return false;
    }
    sale->state = S_REJECTED;
    for (int i = 0; i < entries; i++) {
        struct entry *entry = &model.entries[i];

        if (entry->sale != index || entry->reversal || entry->reversed)
            continue;
        if (entry->state == E_PAID) {
            entry->reversed = true;
            add_entry(index, -entry->minor, true);
        } else {
            entry->state = E_REJECTED;
        }
    }
    return true;
}

static void
decide_referral(struct money *m)
{
    static const char *const actions[] = { "approve", "approve", "approve", "reject", "reopen" };
    const char              *action = actions[draw(5)];
    int                      index;

    if (model.sale_count == 0)
        return;
    index = (int) draw((uint64_t) model.sale_count);
    bool allowed = model_decide(index, action);
    agree(m, referral_act(m->service, &test_admin, model.sales[index].referral, action, "random", NULL, &m->error), allowed,
          action);
}

static void
decide_commission(struct money *m)
{
    bool          approve = draw(2) == 0, allowed, decided;
    struct entry *entry;
    int           index;

    if (model.sale_count == 0)
        return;
    index = (int) draw((uint64_t) model.sale_count);
    if (model.sales[index].last < 0)
        return;
    entry = &model.entries[model.sales[index].last];
    allowed = entry->state == E_PENDING || (!approve && entry->state == E_APPROVED);
    decided = entry->state == (approve ? E_APPROVED : E_REJECTED);
    int64_t id = number(m, "SELECT MAX(id) AS n FROM commissions WHERE kind = 'commission' AND referral_id = %lld",
                        (long long) model.sales[index].referral);
    if (allowed && approve)
        approve_entry(entry);
    else if (allowed)
        entry->state = E_REJECTED;
    agree(m, commission_act(m->service, &test_admin, id, approve ? "approve" : "reject", "random", NULL, &m->error),
          allowed || decided, "commission");
}

static bool
is_due(const struct entry *entry, int affiliate)
{
    return entry->state == E_APPROVED && model.sales[entry->sale].affiliate == affiliate
           && entry->payable_us <= test_now_us();
}

static void
create_payout(struct money *m)
{
    int                 affiliate = (int) draw(AFFILIATES);
    int64_t             sum = 0;
    json_t             *object = NULL;
    bool                allowed;
    enum service_result result;

    for (int i = 0; i < model.entry_count; i++)
        sum += is_due(&model.entries[i], affiliate) ? model.entries[i].minor : 0;
    allowed = sum > 0 && !model.suspended[affiliate];
    result = payout_create(m->service, &test_admin, model.ids[affiliate], NULL, &object, &m->error);
    agree(m, result, allowed, "payout_create");
    if (!allowed)
        return;
    for (int i = 0; i < model.entry_count; i++) {
        if (is_due(&model.entries[i], affiliate)) {
            model.entries[i].state = E_IN_PAYOUT;
            model.entries[i].payout = model.payout_count;
        }
    }
    model.payouts[model.payout_count++] = (struct model_payout){ take_id(object), affiliate, P_DRAFT };
}

static void
move_items(int payout, enum entry_state to)
{
    for (int i = 0; i < model.entry_count; i++) {
        if (model.entries[i].payout == payout && model.entries[i].state == E_IN_PAYOUT)
            model.entries[i].state = to;
    }
}

static void
move_payout(struct money *m)
{
    struct model_payout *payout;
    char                 reference[16];
    int                  index;

    if (model.payout_count == 0)
        return;
    index = model.payout_count - 1 - (int) draw((uint64_t) (model.payout_count < 4 ? model.payout_count : 4));
    payout = &model.payouts[index];
    switch (draw(5)) {
    case 0:
        agree(m, payout_cancel(m->service, &test_admin, payout->id, "random", NULL, &m->error), payout->state <= P_PENDING,
              "cancel");
        if (payout->state <= P_PENDING) {
            move_items(index, E_APPROVED);
            payout->state = P_CANCELLED;
        }
        break;
    case 1:
    case 2:
        agree(m, payout_submit(m->service, &test_admin, payout->id, NULL, &m->error),
              payout->state == P_DRAFT && !model.suspended[payout->affiliate], "submit");
        if (payout->state == P_DRAFT && !model.suspended[payout->affiliate])
            payout->state = P_PENDING;
        break;
    default:
        snprintf(reference, sizeof(reference), "B%d", index);
        agree(m, payout_pay(m->service, &test_admin, payout->id, reference, NULL, NULL, NULL, &m->error),
              payout->state == P_PENDING, "pay");
        if (payout->state == P_PENDING) {
            move_items(index, E_PAID);
            payout->state = P_PAID;
        }
    }
}

static void
change_affiliate(struct money *m)
{
    int affiliate = (int) draw(AFFILIATES);

    model.suspended[affiliate] = draw(3) == 0;
    must(m, affiliate_act(m->service, &test_admin, model.ids[affiliate],
                          model.suspended[affiliate] ? "suspend" : "approve", NULL, NULL, &m->error));
}

static void
random_step(struct money *m)
{
    uint64_t dice = draw(100);

    test_clock_us += draw(2) == 0 ? 0 : draw(3600) * SECOND_US;
    if (dice < 35)
        sell_once(m);
    else if (dice < 65)
        decide_referral(m);
    else if (dice < 72)
        decide_commission(m);
    else if (dice < 82)
        create_payout(m);
    else if (dice < 97)
        move_payout(m);
    else
        change_affiliate(m);
}

/* ---- comparing ---- */

static void
compare(struct money *m)
{
    static const struct {
        const char      *account;
        enum entry_state state;
    } accounts[] = { { "pending", E_PENDING }, { "payable", E_APPROVED }, { "in_transit", E_IN_PAYOUT }, { "paid", E_PAID } };

    for (int affiliate = 0; affiliate < AFFILIATES; affiliate++) {
        m->affiliate = model.ids[affiliate];
        for (int i = 0; i < 4; i++) {
            int64_t wanted = -model_balance(affiliate, accounts[i].state), found = balance(m, accounts[i].account);

            if (wanted != found)
                fail_msg("affiliate %d, %s: the model has %lld, the ledger %lld", affiliate, accounts[i].account,
                         (long long) wanted, (long long) found);
        }
    }
    must_verify(m);
}

static void
test_random_use(void **state)
{
    static const char *const plans[AFFILIATES] = {
        "{\"type\":\"percentage\",\"percentage\":\"20\"}",
        "{\"type\":\"percentage\",\"percentage\":\"12.5\",\"hold_days\":1}",
        "{\"type\":\"percentage\",\"percentage\":\"0.5\"}",
    };
    static const int64_t rates[AFFILIATES] = { 200000, 125000, 5000 }, holds[AFFILIATES] = { 0, 1, 0 };
    struct money        *m = *state;
    const char          *given = getenv("ROUNDS");
    int                  rounds = given == NULL ? 12 : atoi(given);

    for (int i = 0; i < AFFILIATES; i++) {
        char name[32];

        snprintf(name, sizeof(name), "random%d", i);
        model.ids[i] = make_affiliate(m, name, "approved", make_group(m, name, plans[i]));
        model.links[i] = make_link(m, model.ids[i], m->campaign);
        model.rate_ppm[i] = rates[i];
        model.hold_days[i] = holds[i];
    }
    test_clock_us += SECOND_US;
    for (int round = 0; round < rounds && model.sale_count < MOST / 4; round++) {
        for (int i = 0; i < BATCH; i++)
            random_step(m);
        compare(m);
    }
    printf("# %d sales, %d commissions and reversals, %d payouts\n", model.sale_count, model.entry_count,
           model.payout_count);
    assert_true(model.payout_count > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_random_use),
    };
    const char *given = getenv("SEED");

    seed = given == NULL ? (uint64_t) time(NULL) * 2654435761u | 1 : strtoull(given, NULL, 10);
    printf("# SEED=%llu\n", (unsigned long long) seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
