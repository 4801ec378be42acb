#include "service/lead_decide.h"

#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "service/attribute.h"
#include "service/lead_assign.h"
#include "service/lead_confirm.h"
#include "service/lead_convert.h"
#include "service/lead_person.h"
#include "store/catalog.h"
#include "store/lead.h"
#include "store/lead_fact.h"
#include "store/lead_work.h"

#define FACTS_AT_ONCE 64
#define FACT_TRIES    3
#define RETRY_US      UINT64_C(1000000)
#define UID_LEN       TRACKER_LEAD_HEX_LEN

/* One fact, from reading it to what its sender is told. */
struct decision {
    const struct service  *service;
    struct fact_key        key;
    struct lead_fact       fact;
    struct person          person;
    struct lead_sender     sender;
    struct lead_row        lead; /* borrows its texts; only where one is made */
    char                   click[TRACKER_CLICK_ID_LEN + 1]; /* that the lead came by, or "" */
    struct lead_log_row    log;
    uint8_t                id[TRACKER_LEAD_ID_LEN];
    struct tracker_verdict verdict; /* 0: nobody is told */
};

static bool           decide_one(const struct service *service, struct fact_key key, lead_told told, void *ctx);
static enum db_result decide_fact(struct db *db, void *ctx);
static enum db_result judge(struct db *db, struct decision *d);
static enum db_result repeat(struct db *db, struct decision *d, const struct lead_decided *first);
static enum db_result ask_again(struct db *db, struct decision *d, bool *done);
static enum db_result refuse_duplicate(struct db *db, struct decision *d, bool *done);
static enum db_result create(struct db *db, struct decision *d);
static enum db_result conclude(struct db *db, struct decision *d, const char *outcome, const char *reason);

/* ---- which facts ---- */

struct open_facts {
    const struct service *service;
    struct fact_key       keys[FACTS_AT_ONCE];
    int                   count;
};

static enum db_result
find_open(struct db *db, void *ctx)
{
    struct open_facts *open = ctx;

    open->count = FACTS_AT_ONCE;
    return lead_fact_open(db, open->service->now_us(), open->keys, &open->count);
}

int
lead_decide(const struct service *service, int limit, lead_told told, void *ctx)
{
    struct open_facts open = { .service = service };
    int               taken = 0;

    while (taken < limit) {
        if (db_read(service->pool, find_open, &open) != DB_OK)
            return -1;
        for (int i = 0; i < open.count && taken < limit; i++, taken++) {
            if (!decide_one(service, open.keys[i], told, ctx))
                return -1;
        }
        if (open.count < FACTS_AT_ONCE)
            break;
    }
    return taken;
}

/* ---- one fact ---- */

/* What a fact that nobody can decide leaves behind: a row in the log, so that nobody looks for it in vain. */
static enum db_result
set_aside(struct db *db, void *ctx)
{
    struct decision    *d = ctx;
    struct lead_fact    fact = { .kind = TRACKER_LEAD_API };
    bool                last;
    enum db_result      rc = lead_fact_read(db, d->key, &fact);

    if (rc != DB_ROW && rc != DB_CORRUPT) /* of a corrupt one nothing but the key is known */
        return rc == DB_DONE ? DB_OK : rc;
    rc = lead_fact_failed(db, d->key, FACT_TRIES, d->service->now_us() + RETRY_US, &last);
    if (rc == DB_OK && last) {
        struct lead_log_row row = {
            .at_us = fact.time_ms * 1000,
            .journal_id = d->key.journal_id,
            .seq = d->key.seq,
            .program_id = fact.program_id,
            .api_user_id = fact.api_user_id,
            .form_id = fact.form_id,
            .uid = fact.uid,
            .kind = fact.kind == TRACKER_LEAD_API ? "api" : "form",
            .verdict = "failed",
            .reason = "not_decidable",
            .email = "",
        };
        rc = lead_log_insert(db, &row);
    }
    lead_fact_free(&fact);
    return rc;
}

static void
forget(struct decision *d)
{
    lead_fact_free(&d->fact);
    person_clear(&d->person);
    free(d->lead.fields);
    *d = (struct decision){ .service = d->service, .key = d->key };
}

/* False: the database's trouble, not the fact's. */
static bool
decide_one(const struct service *service, struct fact_key key, lead_told told, void *ctx)
{
    struct decision d = { .service = service, .key = key };
    enum db_result  rc = db_write(service->pool, DB_WIRE, decide_fact, &d);

    if (rc == DB_OK && d.verdict.verdict != 0)
        told(ctx, d.id, &d.verdict);
    if (rc != DB_OK && rc != DB_FULL && rc != DB_RETRY) {
        log_warn("leads", "lead fact %lld:%lld cannot be decided, after %d tries it is set aside: %s",
                 (long long) key.journal_id, (long long) key.seq, FACT_TRIES, db_last_message());
        rc = db_write(service->pool, DB_WIRE, set_aside, &d);
    }
    forget(&d);
    return rc == DB_OK;
}

static enum db_result
decide_fact(struct db *db, void *ctx)
{
    struct decision *d = ctx;
    enum db_result   rc;

    forget(d); /* of an attempt before */
    rc = lead_fact_read(db, d->key, &d->fact);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_OK : rc; /* somebody was faster */
    if (!tracker_lead_parse((struct tracker_str){ d->fact.uid, UID_LEN }, d->id)
        || !person_read(d->fact.fields, &d->person))
        return DB_CORRUPT;
    rc = d->fact.kind == TRACKER_LEAD_API ? lead_sender_api_user(db, d->fact.api_user_id, &d->sender)
                                          : lead_sender_form(db, d->fact.form_id, &d->sender);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    d->log = (struct lead_log_row){
        .at_us = d->fact.time_ms * 1000,
        .journal_id = d->key.journal_id,
        .seq = d->key.seq,
        .program_id = d->fact.program_id,
        .api_user_id = d->fact.api_user_id,
        .form_id = d->fact.form_id,
        .source_id = d->sender.source_id,
        .affiliate_id = d->fact.affiliate_id,
        .uid = d->fact.uid,
        .kind = d->fact.kind == TRACKER_LEAD_API ? "api" : "form",
        .email = d->person.email,
    };
    memcpy(d->verdict.content, d->fact.content, sizeof(d->verdict.content));
    d->verdict.decided_ms = d->service->now_us() / 1000;
    return judge(db, d);
}

/* The row in the log, and the fact is closed. */
static enum db_result
conclude(struct db *db, struct decision *d, const char *outcome, const char *reason)
{
    enum db_result rc;

    d->log.verdict = outcome;
    d->log.reason = reason;
    rc = lead_log_insert(db, &d->log);
    return rc == DB_OK ? lead_fact_close(db, d->key, outcome) : rc;
}

static bool
is_test(const struct decision *d)
{
    return (d->fact.flags & TRACKER_LEAD_TEST) != 0 || d->sender.test;
}

/* Double opt-in: a mail first. */
static bool
asks_first(const struct decision *d)
{
    return d->sender.confirm && !is_test(d);
}

static enum db_result
judge(struct db *db, struct decision *d)
{
    struct lead_decided first;
    const char         *reason;
    bool                done = false;
    enum db_result      rc;

    if (d->fact.flags & TRACKER_LEAD_SPAM) {
        d->verdict.verdict = TRACKER_LEAD_CREATED; /* a trap that can be told from success is none */
        d->verdict.flags = TRACKER_VERDICT_EXISTING;
        return conclude(db, d, "spam", (d->fact.flags & TRACKER_LEAD_HONEYPOT) ? "honeypot" : "too_fast");
    }
    rc = lead_fact_decided(db, &d->fact, &first);
    if (rc == DB_ROW)
        return repeat(db, d, &first);
    if (rc != DB_DONE)
        return rc;
    if (!d->person.email_valid && (!d->person.phone_valid || asks_first(d))) {
        reason = d->person.email[0] != '\0'   ? "email_invalid"
                 : d->person.phone[0] != '\0' ? "phone_invalid"
                                              : "contact_missing";
        d->verdict.verdict = TRACKER_LEAD_INVALID;
        return conclude(db, d, "invalid", reason);
    }
    rc = ask_again(db, d, &done);
    if (rc == DB_OK && !done)
        rc = refuse_duplicate(db, d, &done);
    return rc != DB_OK || done ? rc : create(db, d);
}

/* ---- said again ---- */

static enum tracker_lead_verdict
verdict_of(const char *outcome)
{
    static const struct {
        const char               *outcome;
        enum tracker_lead_verdict verdict;
    } verdicts[] = {
        { "created", TRACKER_LEAD_CREATED },
        { "pending", TRACKER_LEAD_PENDING },
        { "duplicate", TRACKER_LEAD_DUPLICATE },
    };

    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        if (strcmp(outcome, verdicts[i].outcome) == 0)
            return verdicts[i].verdict;
    }
    return TRACKER_LEAD_INVALID;
}

static void
tell_lead(struct decision *d, const char *uid, bool no_autologin)
{
    if (uid[0] != '\0')
        tracker_lead_parse((struct tracker_str){ uid, strlen(uid) }, d->verdict.lead);
    if (no_autologin)
        d->verdict.flags |= TRACKER_VERDICT_EXISTING;
}

/*
 * The first answer again.  A conflict under the first one's own id says so by the first one's content, which is not
 * this one's: what stands in Redis for that id must stay what the first sender is told.
 *
 * Of who was erased since, nobody knows any more what was said; whoever sends it once more does not bring him back.
 */
static enum db_result
repeat(struct db *db, struct decision *d, const struct lead_decided *first)
{
    bool                conflict = memcmp(first->content, d->fact.content, sizeof(first->content)) != 0;
    bool                same_id = strcmp(first->uid, d->fact.uid) == 0;
    struct lead_outcome outcome;
    enum db_result      rc = lead_log_outcome(db, first->key.journal_id, first->key.seq, &outcome);

    if (rc != DB_OK)
        return rc;
    conflict &= !outcome.erased;
    d->log.lead_id = outcome.lead_id;
    d->verdict.verdict = conflict && !same_id ? TRACKER_LEAD_CONFLICT : verdict_of(first->outcome);
    d->verdict.flags = TRACKER_VERDICT_REPEATED;
    if (same_id && !outcome.erased)
        memcpy(d->verdict.content, first->content, sizeof(d->verdict.content));
    tell_lead(d, outcome.uid, outcome.no_autologin);
    if (outcome.erased)
        d->log.email = "";
    rc = conclude(db, d, conflict ? "conflict" : "repeated", conflict ? "other_content" : first->outcome);
    return rc == DB_OK && outcome.erased ? lead_erase_fact(db, d->key.journal_id, d->key.seq) : rc;
}

/* ---- the same person ---- */

static struct lead_person
who(const struct decision *d)
{
    return (struct lead_person){
        .program_id = d->fact.program_id,
        .source_id = d->sender.source_id,
        .email_key = d->person.email_key[0] == '\0' ? NULL : d->person.email_key,
        .phone_key = d->person.phone_key[0] == '\0' ? NULL : d->person.phone_key,
    };
}

/* Who was asked and has not answered: another mail, no other lead; or a form could fill somebody's mailbox. */
static enum db_result
ask_again(struct db *db, struct decision *d, bool *done)
{
    struct lead_row waiting;
    int64_t         id = 0;
    enum db_result  rc = DB_OK;

    if (asks_first(d))
        rc = lead_unconfirmed_of(db, d->fact.program_id, d->person.email_key, &id);
    if (rc != DB_OK || id == 0)
        return rc;
    rc = row_load(db, &lead_table, id, &waiting);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    rc = lead_confirm_ask(d->service, db, &waiting);
    d->log.lead_id = id;
    d->verdict.verdict = TRACKER_LEAD_DUPLICATE;
    tell_lead(d, waiting.uid, true);
    row_free(&lead_table, &waiting);
    *done = true;
    return rc == DB_OK ? conclude(db, d, "duplicate", "unconfirmed") : rc;
}

/* Whose lead the person is already, as the settings have it. */
static enum db_result
find_first(struct db *db, struct decision *d, bool *allow, bool *by_phone)
{
    struct lead_person person = who(d);
    enum db_result     rc = setting_is(db, "leads_duplicate_scope", "source", &person.within_source);

    if (rc == DB_OK)
        rc = setting_is(db, "leads_duplicates", "allow", allow);
    return rc == DB_OK ? lead_first_of(db, &person, &d->lead.duplicate_of, by_phone) : rc;
}

/* Where duplicates are allowed, the lead remembers whose it is. */
static enum db_result
refuse_duplicate(struct db *db, struct decision *d, bool *done)
{
    struct lead_row first;
    bool            allow = false, by_phone = false;
    enum db_result  rc;

    if (is_test(d))
        return DB_OK;
    rc = find_first(db, d, &allow, &by_phone);
    if (rc != DB_OK || d->lead.duplicate_of == 0 || allow)
        return rc;
    rc = row_load(db, &lead_table, d->lead.duplicate_of, &first);
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    d->log.lead_id = first.id;
    d->verdict.verdict = TRACKER_LEAD_DUPLICATE;
    tell_lead(d, first.uid, first.existing != 0);
    row_free(&lead_table, &first);
    *done = true;
    return conclude(db, d, "duplicate", by_phone ? "same_phone" : "same_email");
}

/* ---- a new lead ---- */

static struct fact
lead_event(const struct decision *d)
{
    struct fact event = {
        .key = d->key,
        .time_ms = d->fact.time_ms,
        .received_ms = d->fact.received_ms,
        .event_time_ms = d->fact.time_ms,
        .program_id = d->fact.program_id,
        .api_user_id = d->fact.api_user_id,
        .affiliate_id = d->fact.affiliate_id,
        .status = TRACKER_CONVERSION_PENDING,
        .auth = TRACKER_AUTH_PIXEL, /* a form: a visitor's browser names its clicks */
        .event = "lead",
    };

    if (d->fact.kind == TRACKER_LEAD_API)
        event.auth = d->fact.auth == 0 ? TRACKER_AUTH_API_KEY : (enum tracker_conversion_auth) d->fact.auth;
    if (event.affiliate_id == 0) { /* else they are other affiliates', or say the same */
        memcpy(event.click_id, d->fact.click_id, sizeof(event.click_id));
        memcpy(event.cookie_first, d->fact.cookie_first, sizeof(event.cookie_first));
        memcpy(event.cookie_last, d->fact.cookie_last, sizeof(event.cookie_last));
        if (strlen(d->person.coupon) < sizeof(event.coupon))
            memcpy(event.coupon, d->person.coupon, strlen(d->person.coupon) + 1);
    }
    memcpy(event.txid, "lead:", 5);
    memcpy(event.txid + 5, d->fact.uid, UID_LEN + 1);
    return event;
}

/*
 * Whose the lead is by what is known now: nobody waits here for a click that its own edge has not shipped yet.  Where
 * two share it, the last touch's.
 */
static enum db_result
find_affiliate(struct db *db, struct decision *d)
{
    struct fact        event = lead_event(d);
    struct attribution attribution;
    enum db_result     rc;

    event.received_ms = 0; /* long ago: its click is not waited for */
    rc = attribute(d->service, db, &event, &attribution);
    if (rc != DB_OK || attribution.verdict != ATTRIBUTION_WON)
        return rc;
    for (unsigned i = 0; i < attribution.count; i++) {
        const struct tracker_touch *touch = &attribution.touches[i];

        if (touch->share_ppm == 0
            || (d->lead.affiliate_id != 0
                && (touch->source == TRACKER_TOUCH_COOKIE_FIRST || touch->source == TRACKER_TOUCH_CLICK_FIRST)))
            continue;
        d->lead.affiliate_id = touch->affiliate;
        d->lead.campaign_id = touch->campaign;
        d->lead.link_id = attribution.links[i];
        if (attribution_is_click(touch))
            memcpy(d->click, attribution.texts[i], TRACKER_CLICK_ID_LEN);
    }
    d->lead.click_id = d->click[0] == '\0' ? NULL : d->click;
    return DB_OK;
}

/* A direct visitor's lead, or a test, is nobody's earning: no fact for the ledger. */
static enum db_result
refer_lead(struct db *db, const struct decision *d)
{
    struct fact event = lead_event(d);

    event.lead_id = d->lead.id;
    if (is_test(d)
        || (event.affiliate_id == 0 && event.click_id[0] == '\0' && event.cookie_first[0] == '\0'
            && event.cookie_last[0] == '\0' && event.coupon[0] == '\0'))
        return DB_OK;
    return fact_insert(db, &event);
}

static char *
or_empty(const char *text)
{
    return (char *) (uintptr_t) (text == NULL ? "" : text);
}

/* Texts are borrowed: of the fact, the person and the decision. */
static bool
fill(struct decision *d)
{
    struct lead_row   *lead = &d->lead;
    struct lead_person person = who(d);

    lead->version = 1;
    lead->program_id = d->fact.program_id;
    lead->api_user_id = d->fact.api_user_id;
    lead->form_id = d->fact.form_id;
    lead->source_id = d->sender.source_id;
    lead->test = is_test(d);
    lead->journal_id = d->key.journal_id;
    lead->seq = d->key.seq;
    lead->uid = d->fact.uid;
    lead->kind = or_empty(d->log.kind);
    lead->status = or_empty(asks_first(d) ? "unconfirmed" : "new");
    lead->first_name = or_empty(d->person.first_name);
    lead->last_name = or_empty(d->person.last_name);
    lead->email = or_empty(d->person.email);
    lead->phone = or_empty(d->person.phone);
    lead->country = d->person.country;
    lead->language = or_empty(d->person.language);
    lead->tags = or_empty("[]");
    lead->fields = json_dumps(d->person.fields, JSON_COMPACT);
    lead->email_key = (char *) (uintptr_t) person.email_key;
    lead->phone_key = (char *) (uintptr_t) person.phone_key;
    lead->idempotency_key = d->fact.idempotency_key;
    lead->content = (struct row_bytes){ d->fact.content, sizeof(d->fact.content) };
    return lead->fields != NULL;
}

/* Where the sender is paid for customers: an account at once, for who is no duplicate, no test and can be written to. */
static enum db_result
open_account(struct db *db, const struct decision *d)
{
    enum lead_conversion conversion;

    if (!d->sender.cpa || is_test(d) || d->lead.existing || d->lead.duplicate_of != 0)
        return DB_OK;
    return lead_convert(db, &d->lead, d->service->now_us(), &conversion, NULL);
}

/* What a lead that is one leads to. */
static enum db_result
settle(struct db *db, struct decision *d)
{
    enum db_result rc = refer_lead(db, d);

    return rc == DB_OK ? open_account(db, d) : rc;
}

static enum db_result
create(struct db *db, struct decision *d)
{
    struct lead_person person;
    uint64_t           arrived_us = (uint64_t) d->fact.time_ms * 1000;
    bool               existing = false, asks = asks_first(d);
    enum db_result     rc;

    if (!fill(d))
        return DB_FAILED;
    person = who(d);
    rc = find_affiliate(db, d);
    if (rc == DB_OK)
        rc = lead_has_trader(db, &person, &existing);
    d->lead.existing = existing;
    if (rc == DB_OK && !asks)
        rc = lead_assign(db, &d->lead, arrived_us);
    if (rc == DB_OK)
        rc = row_insert(db, &lead_table, &d->lead, arrived_us);
    if (rc == DB_OK)
        rc = asks ? lead_confirm_ask(d->service, db, &d->lead) : settle(db, d);
    if (rc != DB_OK)
        return rc;
    d->log.lead_id = d->lead.id;
    d->log.affiliate_id = d->lead.affiliate_id;
    d->log.agent_id = d->lead.agent_id;
    d->log.department_id = d->lead.department_id;
    d->verdict.verdict = asks ? TRACKER_LEAD_PENDING : TRACKER_LEAD_CREATED;
    tell_lead(d, d->fact.uid, existing || d->lead.duplicate_of != 0 || is_test(d));
    return conclude(db, d, asks ? "pending" : "created", d->lead.duplicate_of != 0 ? "duplicate_allowed" : "");
}

/* ---- a lead whose mail was confirmed ---- */

/* The row as it will be; its texts stay the caller's. */
static enum db_result
confirm(struct db *db, struct decision *d)
{
    struct lead_person person = who(d);
    bool               allow = false, by_phone = false, existing = false, rejected;
    enum db_result     rc = find_first(db, d, &allow, &by_phone);

    rejected = d->lead.duplicate_of != 0 && !allow;
    if (rc == DB_OK)
        rc = lead_has_trader(db, &person, &existing);
    if (rc == DB_OK && !rejected && d->lead.agent_id == 0 && d->lead.department_id == 0) /* else by hand already */
        rc = lead_assign(db, &d->lead, (uint64_t) d->fact.time_ms * 1000);
    if (rc != DB_OK)
        return rc;
    d->lead.existing = existing;
    d->lead.status = or_empty(rejected ? "rejected" : "new");
    d->lead.confirmed_us = (int64_t) d->service->now_us();
    d->lead.version++;
    rc = row_update(db, &lead_table, &d->lead, (uint64_t) d->lead.confirmed_us);
    if (rc == DB_OK)
        rc = lead_log_assign(db, d->key.journal_id, d->key.seq, d->lead.agent_id, d->lead.department_id);
    return rc == DB_OK && !rejected ? settle(db, d) : rc;
}

enum db_result
lead_decide_confirmed(const struct service *service, struct db *db, const struct lead_row *lead)
{
    struct decision d = { .service = service, .key = { lead->journal_id, lead->seq } };
    enum db_result  rc = lead_fact_pending(db, d.key, &d.fact);

    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_CORRUPT : rc;
    rc = person_read(d.fact.fields, &d.person) ? lead_sender_form(db, d.fact.form_id, &d.sender) : DB_CORRUPT;
    d.lead = *lead;
    if (rc == DB_ROW)
        rc = confirm(db, &d);
    else if (rc == DB_DONE)
        rc = DB_CORRUPT;
    d.lead.fields = NULL; /* the caller's */
    forget(&d);
    return rc;
}
