/*
 * test_money.h - a small program to earn in: groups, affiliates and links made
 * through the services, clicks and conversions inserted as ingest would.
 */
#ifndef AFFILIATED_TEST_MONEY_H
#define AFFILIATED_TEST_MONEY_H

#include "test_support.h"

#include "service/catalog.h"
#include "service/money.h"
#include "store/click.h"
#include "store/journal.h"

#define SECOND_US UINT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)

static const struct actor test_admin __attribute__((unused)) = { "staff:1", "admin", NULL, 1 };

struct money {
    struct test_database base;
    struct service      *service;
    int64_t              program, group, affiliate, campaign, link;
    struct journal_row   traffic, conversions;
    char                 click[TRACKER_CLICK_ID_LEN + 1]; /* the last one */
    uint32_t             click_flags;                     /* of clicks to come */
    struct service_error error;
};

/* ---- saying yes and no ---- */

#define must(m, call)                                                                              \
    do {                                                                                           \
        service_error_clear(&(m)->error);                                                          \
        if ((call) != SERVICE_OK)                                                                  \
            fail_msg("%s: %s: %s %s", #call, (m)->error.code, (m)->error.message,                  \
                     (m)->error.fields == NULL ? "" : json_dumps((m)->error.fields, 0));           \
    } while (0)

#define must_refuse(m, call, wanted_code)                                                          \
    do {                                                                                           \
        service_error_clear(&(m)->error);                                                          \
        if ((call) == SERVICE_OK)                                                                  \
            fail_msg("%s was not refused", #call);                                                 \
        assert_string_equal((m)->error.code, wanted_code);                                         \
    } while (0)

/* A refusal that blames one field. */
#define must_blame(m, call, field)                                                                 \
    do {                                                                                           \
        must_refuse(m, call, "invalid_fields");                                                    \
        if (json_object_get((m)->error.fields, field) == NULL)                                     \
            fail_msg("%s does not blame %s but %s", #call, field, json_dumps((m)->error.fields, 0)); \
    } while (0)

static inline __attribute__((format(printf, 1, 2))) json_t *
json_of(const char *format, ...)
{
    char         text[4096];
    json_error_t error;
    va_list      args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static inline const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "(none)" : text;
}

static inline int64_t
id_of(const json_t *object)
{
    return strtoll(text_of(object, "id"), NULL, 10);
}

static inline const char *
amount_of(const json_t *object, const char *name)
{
    return text_of(json_object_get(object, name), "amount");
}

/* Takes the object's reference. */
static inline int64_t
take_id(json_t *object)
{
    int64_t id = id_of(object);
    json_decref(object);
    return id;
}

/* ---- the catalog ---- */

typedef enum service_result (*test_create)(const struct service *, const struct actor *, const json_t *, json_t **,
                                           struct service_error *);

static inline int64_t
make(struct money *m, test_create create, json_t *body)
{
    json_t *object = NULL;

    must(m, create(m->service, &test_admin, body, &object, &m->error));
    json_decref(body);
    return take_id(object);
}

static inline int64_t
make_group(struct money *m, const char *name, const char *commission)
{
    return make(m, group_create, json_of("{\"name\":\"%s\",\"commission\":%s}", name, commission));
}

static inline int64_t
make_affiliate(struct money *m, const char *name, const char *status, int64_t group)
{
    return make(m, affiliate_create,
                json_of("{\"name\":\"%s\",\"email\":\"%s@example.com\",\"status\":\"%s\",\"group_id\":\"%lld\"}", name,
                        name, status, (long long) group));
}

static inline int64_t
make_link(struct money *m, int64_t affiliate, int64_t campaign)
{
    return make(m, link_create,
                json_of("{\"affiliate_id\":\"%lld\",\"campaign_id\":\"%lld\","
                        "\"destination\":\"https://shop.example.com/?c={click_id}\"}",
                        (long long) affiliate, (long long) campaign));
}

/* ---- what edges saw ---- */

struct test_pack {
    struct money       *m;
    struct journal_row *journal;
    struct click_row    click;
    struct conversion_fact_row conversion;
};

static inline enum db_result
test_make_journal(struct db *db, void *ctx)
{
    struct test_pack   *pack = ctx;
    struct tracker_pack head = { .kind = TRACKER_PACK_DATA, .edge = "edge-1",
                                 .journal_kind = pack->journal == &pack->m->traffic ? TRACKER_JOURNAL_TRAFFIC
                                                                                    : TRACKER_JOURNAL_MONEY };
    memset(head.journal.bytes, pack->journal == &pack->m->traffic ? 1 : 2, sizeof(head.journal.bytes));
    return journal_create(db, &head, test_now_us(), pack->journal);
}

/* The row at the journal's end goes in, and the journal's row moves past it. */
static inline enum db_result
test_store_record(struct db *db, void *ctx)
{
    struct test_pack  *pack = ctx;
    struct journal_row after = *pack->journal;
    bool               click = pack->journal == &pack->m->traffic;
    struct db_bulk    *bulk = click ? click_bulk_begin(db) : conversion_fact_bulk_begin(db);
    enum db_result     rc = click ? click_bulk_row(bulk, &pack->click) : conversion_fact_bulk_row(bulk, &pack->conversion);

    if (db_bulk_end(bulk) != DB_OK || rc != DB_OK)
        return DB_FAILED;
    after.at.next++;
    after.committed++;
    after.accepted++;
    rc = journal_store(db, &after);
    if (rc == DB_OK)
        *pack->journal = after;
    return rc;
}

static inline void
test_store(struct money *m, struct test_pack *pack)
{
    if (db_write(m->base.pool, DB_WIRE, test_store_record, pack) != DB_OK)
        fail_msg("%s", db_last_message());
}

/* A click id that the edge would have given; nothing is stored. */
static inline void
name_click(struct money *m, int64_t link, uint64_t time_ms, uint64_t seq, char out[TRACKER_CLICK_ID_LEN + 1])
{
    struct tracker_click_id id = { .time_ms = time_ms, .journal = tracker_journal_id_short(&m->traffic.uuid),
                                   .sequence = (uint32_t) seq, .link = (uint32_t) link,
                                   .key = m->base.keys.current, .recorded = true };
    tracker_click_id_encode(&m->base.keys, &id, out);
    out[TRACKER_CLICK_ID_LEN] = '\0';
}

/* A committed click at time_ms (0: now); first: what the cookie's first touch was, or NULL. Its id is m->click. */
static inline const char *
click(struct money *m, int64_t link, uint64_t time_ms, const char *first)
{
    struct test_pack pack = { .m = m, .journal = &m->traffic };

    if (time_ms == 0)
        time_ms = test_now_us() / 1000;
    name_click(m, link, time_ms, m->traffic.at.next, m->click);
    pack.click = (struct click_row){ .journal_id = m->traffic.id, .seq = m->traffic.at.next, .time_ms = time_ms,
                                     .received_ms = time_ms, .program = (uint32_t) m->program, .campaign = 1,
                                     .link = (uint32_t) link, .affiliate = 1, .flags = m->click_flags,
                                     .config_version = 1 };
    if (first != NULL)
        pack.click.first_touch = (struct tracker_str){ first, strlen(first) };
    click_id_pack(m->click, pack.click.click_id);
    test_store(m, &pack);
    return m->click;
}

struct sale {
    const char *click;    /* NULL: none */
    const char *event;    /* NULL: "sale" */
    const char *txid;     /* NULL: none */
    const char *amount;   /* NULL: none */
    const char *currency; /* NULL: EUR */
    enum tracker_conversion_status status;
    uint64_t    event_time_ms; /* 0: now */
    const char *coupon, *customer, *refund_id, *cookie_first, *cookie_last; /* NULL: none */
    bool        pixel;
};

static inline struct tracker_str
test_str(const char *text)
{
    return text == NULL ? TRACKER_STR_NONE : (struct tracker_str){ text, strlen(text) };
}

/* Commits a conversion fact, as ingest does; nothing is derived yet. */
static inline void
tell(struct money *m, const struct sale *sale)
{
    struct test_pack pack = { .m = m, .journal = &m->conversions };
    const char      *event = sale->event == NULL ? "sale" : sale->event;
    const char      *currency = sale->currency == NULL ? "EUR" : sale->currency;
    uint64_t         now_ms = test_now_us() / 1000;

    pack.conversion = (struct conversion_fact_row){
        .journal_id = m->conversions.id, .seq = m->conversions.at.next, .time_ms = now_ms, .received_ms = now_ms,
        .event_time_ms = sale->event_time_ms == 0 ? now_ms : sale->event_time_ms, .program = (uint32_t) m->program,
        .api_user = 1, .auth = sale->pixel ? TRACKER_AUTH_PIXEL : TRACKER_AUTH_API_KEY,
        .status = (uint8_t) sale->status, .event = { event, strlen(event) }, .click_id = test_str(sale->click),
        .txid = test_str(sale->txid), .coupon = test_str(sale->coupon), .customer = test_str(sale->customer),
        .refund_id = test_str(sale->refund_id), .cookie_first = test_str(sale->cookie_first),
        .cookie_last = test_str(sale->cookie_last) };
    if (sale->amount != NULL) {
        pack.conversion.has_amount = 1;
        assert_int_equal(tracker_money_parse((struct tracker_str){ sale->amount, strlen(sale->amount) },
                                             (struct tracker_str){ currency, strlen(currency) },
                                             &pack.conversion.amount),
                         TRACKER_MONEY_OK);
    }
    test_store(m, &pack);
}

static inline void
derive_all(struct money *m)
{
    assert_true(money_derive(m->service, 100000) >= 0);
}

/* A click on m->link and a sale by it, derived: its referral's id. */
static inline int64_t
sell_on(struct money *m, int64_t link, const char *amount, const char *txid)
{
    tell(m, &(struct sale){ .click = click(m, link, 0, NULL), .amount = amount, .txid = txid });
    derive_all(m);
    return test_int(m->base.pool, "SELECT MAX(id) AS n FROM referrals");
}

static inline int64_t
sell(struct money *m, const char *amount, const char *txid)
{
    return sell_on(m, m->link, amount, txid);
}

/* ---- looking ---- */

static inline __attribute__((format(printf, 2, 3))) int64_t
number(struct money *m, const char *format, ...)
{
    char    sql[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    return test_int(m->base.pool, sql);
}

/* The ledger's balance of one of m->affiliate's accounts, EUR minor units; money owed is negative. */
static inline int64_t
balance(struct money *m, const char *account)
{
    return number(m, "SELECT COALESCE(SUM(l.amount_minor), 0) AS n FROM ledger_legs l JOIN ledger_accounts a"
                     " ON a.id = l.account_id WHERE a.affiliate_id = %lld AND a.name = '%s' AND a.currency = 'EUR'",
                  (long long) m->affiliate, account);
}

static inline json_t *
commission_of(struct money *m, int64_t referral)
{
    json_t *commission = NULL;
    must(m, commission_get(m->service, number(m, "SELECT MAX(id) AS n FROM commissions WHERE referral_id = %lld",
                                              (long long) referral), &commission, &m->error));
    return commission;
}

/* Every invariant holds; what does not is printed. */
static inline void
must_verify(struct money *m)
{
    json_t *report = NULL, *invariant;
    size_t  i;

    money_seal(m->service, 100000);
    must(m, money_verify(m->service, &report, &m->error));
    json_array_foreach(json_object_get(report, "invariants"), i, invariant) {
        if (!json_is_true(json_object_get(invariant, "ok")))
            fail_msg("%s", json_dumps(invariant, JSON_INDENT(1)));
    }
    assert_true(json_is_true(json_object_get(report, "ok")));
    json_decref(report);
}

/* ---- one program ---- */

/* Group Standard 20 %, one approved affiliate in it, one campaign, one link. */
static inline void
money_open(struct money *m)
{
    memset(m, 0, sizeof(*m));
    test_clock_us = UINT64_C(1714564800000000);
    test_database_open(&m->base);
    m->service = &m->base.service;
    must(m, program_ensure(m->service, &m->program, &m->error));
    m->group = make_group(m, "Standard", "{\"type\":\"percentage\",\"percentage\":\"20\"}");
    m->affiliate = make_affiliate(m, "ada", "approved", m->group);
    m->campaign = make(m, campaign_create, json_of("{\"name\":\"Spring\",\"window_days\":30}"));
    m->link = make_link(m, m->affiliate, m->campaign);

    struct test_pack traffic = { .m = m, .journal = &m->traffic }, conversions = { .m = m, .journal = &m->conversions };
    assert_int_equal(db_write(m->base.pool, DB_WIRE, test_make_journal, &traffic), DB_OK);
    assert_int_equal(db_write(m->base.pool, DB_WIRE, test_make_journal, &conversions), DB_OK);
    test_clock_us += SECOND_US;
}

static inline void
money_close(struct money *m)
{
    service_error_clear(&m->error);
    test_database_close(&m->base);
}

static inline int
money_setup(void **state)
{
    *state = calloc(1, sizeof(struct money));
    money_open(*state);
    return 0;
}

static inline int
money_teardown(void **state)
{
    money_close(*state);
    free(*state);
    return 0;
}

#define money_test(f) cmocka_unit_test_setup_teardown(f, money_setup, money_teardown)

#endif
