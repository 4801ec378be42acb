/*
 * test_lead.h - who sends leads to test_money.h's program, and leads committed as ingest does.
 */
#ifndef AFFILIATED_TEST_LEAD_H
#define AFFILIATED_TEST_LEAD_H

#include "test_money.h"

#include "service/fact_text.h"
#include "service/lead_decide.h"
#include "store/lead_fact.h"

#define VERDICTS_MAX 4096

struct leads {
    struct money m;
    int64_t      source, other_source, partner, stranger, form; /* partner: an API user of m.affiliate; stranger: of nobody */
    int          told;
    struct {
        char                   uid[TRACKER_LEAD_HEX_LEN + 1];
        struct tracker_verdict verdict;
    } verdicts[VERDICTS_MAX];
};

static inline int64_t
leads_run(struct leads *l, const char *sql, const char *table)
{
    char query[64];

    test_run(l->m.base.pool, sql);
    snprintf(query, sizeof(query), "SELECT MAX(id) AS n FROM %s", table);
    return test_int(l->m.base.pool, query);
}

/* Sources, API users and a form, for a program that is there. */
static inline void
leads_people(struct leads *l)
{
    char sql[512];

    l->source = leads_run(l, "INSERT INTO lead_sources (program_id, name, created_us, updated_us) VALUES (1, 'Partner', 1, 1)",
                          "lead_sources");
    l->other_source = leads_run(l, "INSERT INTO lead_sources (program_id, name, created_us, updated_us)"
                                   " VALUES (1, 'Other', 1, 1)", "lead_sources");
    snprintf(sql, sizeof(sql), "INSERT INTO api_users (program_id, affiliate_id, name, role, scopes, state, created_us,"
                               " version, source_id) VALUES (1, %lld, 'partner', 'affiliate', '[\"leads:write\"]',"
                               " 'active', 1, 1, %lld)", (long long) l->m.affiliate, (long long) l->source);
    l->partner = leads_run(l, sql, "api_users");
    snprintf(sql, sizeof(sql), "INSERT INTO api_users (program_id, name, role, scopes, state, created_us, version,"
                               " source_id) VALUES (1, 'stranger', 'advertiser', '[\"leads:write\"]', 'active', 1, 1,"
                               " %lld)", (long long) l->other_source);
    l->stranger = leads_run(l, sql, "api_users");
    snprintf(sql, sizeof(sql), "INSERT INTO forms (program_id, key, name, source_id, fields, created_us, updated_us,"
                               " version) VALUES (1, 'form', 'form', %lld, '[]', 1, 1, 1)", (long long) l->source);
    l->form = leads_run(l, sql, "forms");
}

static inline void
leads_open(struct leads *l)
{
    memset(l, 0, sizeof(*l));
    money_open(&l->m);
    leads_people(l);
}

static inline int
leads_setup(void **state)
{
    *state = calloc(1, sizeof(struct leads));
    leads_open(*state);
    return 0;
}

static inline int
leads_teardown(void **state)
{
    struct leads *l = *state;

    money_close(&l->m);
    free(l);
    return 0;
}

#define lead_test(f) cmocka_unit_test_setup_teardown(f, leads_setup, leads_teardown)

/* ---- what is sent ---- */

struct said {
    const char *fields; /* "email=ada@example.com&phone=+49..." */
    int64_t     api_user, form, affiliate; /* both 0: the partner, of m.affiliate */
    const char *key, *click, *cookie_first, *cookie_last;
    unsigned    flags;
    uint64_t    time_ms; /* 0: now */
    unsigned    key_id;  /* of the ring: another one gives another id */
};

struct lead_pack {
    struct leads        *l;
    struct lead_fact_row row;
};

static inline enum db_result
lead_store(struct db *db, void *ctx)
{
    struct lead_pack  *pack = ctx;
    struct money      *m = &pack->l->m;
    struct journal_row after = m->conversions;
    struct db_bulk    *bulk = lead_fact_bulk_begin(db);
    enum db_result     rc = lead_fact_bulk_row(bulk, &pack->row);

    if (db_bulk_end(bulk) != DB_OK || rc != DB_OK)
        return DB_FAILED;
    after.at.next++;
    after.committed++;
    after.accepted++;
    rc = journal_store(db, &after);
    if (rc == DB_OK)
        m->conversions = after;
    return rc;
}

static inline struct tracker_str
lead_pairs(const char *text, uint8_t *out)
{
    size_t len = 0;

    while (*text != '\0') {
        size_t name = strcspn(text, "="), value = strcspn(text + name + 1, "&");
        len = tracker_pairs_add(out, len, TRACKER_LEAD_FIELDS_MAX, (struct tracker_str){ text, name },
                                (struct tracker_str){ text + name + 1, value });
        assert_true(len > 0);
        text += name + 1 + value;
        text += *text == '&';
    }
    return (struct tracker_str){ (const char *) out, len };
}

/* Commits a lead fact; nothing is decided yet.  Its sequence. */
static inline int64_t
say_lead(struct leads *l, struct said said)
{
    uint8_t             pairs[TRACKER_LEAD_FIELDS_MAX], content[16], id[TRACKER_LEAD_ID_LEN];
    struct tracker_str  fields = lead_pairs(said.fields, pairs);
    struct tracker_keys ring = l->m.base.keys;
    struct fact_arena   arena = { .chunks = NULL };
    uint64_t            now_ms = test_now_us() / 1000;
    struct lead_pack    pack = { .l = l };
    int64_t             seq = (int64_t) l->m.conversions.at.next;

    if (said.api_user == 0 && said.form == 0) {
        said.api_user = l->partner;
        said.affiliate = l->m.affiliate;
    }
    ring.current = (uint8_t) said.key_id;
    tracker_lead_content(fields, content);
    tracker_lead_id(&ring, said.form != 0 ? TRACKER_LEAD_FORM : TRACKER_LEAD_API,
                    (uint32_t) (said.form != 0 ? said.form : said.api_user), test_str(said.key), content, id);
    pack.row = (struct lead_fact_row){
        .journal_id = l->m.conversions.id, .seq = (uint64_t) seq, .time_ms = said.time_ms == 0 ? now_ms : said.time_ms,
        .received_ms = now_ms, .program = (uint32_t) l->m.program, .api_user = (uint32_t) said.api_user,
        .form = (uint32_t) said.form, .affiliate = (uint32_t) said.affiliate, .flags = said.flags,
        .kind = said.form != 0 ? TRACKER_LEAD_FORM : TRACKER_LEAD_API,
        .auth = said.form != 0 ? 0 : TRACKER_AUTH_API_KEY, .content = { (const char *) content, 16 },
        .key = test_str(said.key), .click_id = test_str(said.click), .cookie_first = test_str(said.cookie_first),
        .cookie_last = test_str(said.cookie_last), .fields = fact_fields(&arena, fields) };
    tracker_lead_hex(id, pack.row.uid);
    if (db_write(l->m.base.pool, DB_WIRE, lead_store, &pack) != DB_OK)
        fail_msg("%s", db_last_message());
    fact_arena_free(&arena);
    return seq;
}

static inline void
lead_hear(void *ctx, const uint8_t id[TRACKER_LEAD_ID_LEN], const struct tracker_verdict *verdict)
{
    struct leads *l = ctx;

    assert_true(l->told < VERDICTS_MAX);
    tracker_lead_hex(id, l->verdicts[l->told].uid);
    l->verdicts[l->told].uid[TRACKER_LEAD_HEX_LEN] = '\0';
    l->verdicts[l->told++].verdict = *verdict;
}

static inline void
decide_all(struct leads *l)
{
    while (lead_decide(l->m.service, 100000, lead_hear, l) > 0) {
    }
}

/* Said and decided: what its sender is told. */
static inline struct tracker_verdict
ask(struct leads *l, struct said said)
{
    int told = l->told;

    say_lead(l, said);
    decide_all(l);
    assert_int_equal(l->told, told + 1);
    return l->verdicts[told].verdict;
}

#endif
