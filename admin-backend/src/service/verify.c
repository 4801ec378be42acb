/*
 * Verification: the invariants of docs/ledger.md, each checked on what the
 * database holds now, in one read transaction.
 *
 * Whatever cannot be checked counts as violated: a verification that fails
 * must never look like one that found nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/states.h"
#include "service/money.h"
#include "service/view.h"
#include "store/audit.h"
#include "store/conversion.h"
#include "store/coupon.h"
#include "store/ledger.h"
#include "store/plan.h"
#include "store/verify.h"

#define SHOWN_MAX  20 /* violations told of each invariant; all are counted */
#define MS_PER_DAY INT64_C(86400000)

struct check {
    const struct service *service;
    uint64_t              now_us;
    json_t               *shown; /* of the invariant that is checked now */
    json_int_t            count;
    int64_t               number; /* 4: the last one of the chain */
    uint8_t               hash[LEDGER_HASH_LEN];
};

static enum db_result check_seals(struct check *check, struct db *db);
static enum db_result check_currencies(struct check *check, struct db *db);
static enum db_result check_commissions(struct check *check, struct db *db);
static enum db_result check_settled(struct check *check, struct db *db);
static enum db_result check_steps(struct check *check, struct db *db);
static enum db_result check_touches(struct check *check, struct db *db);
static enum db_result check_audit(struct check *check, struct db *db);
static enum db_result check_integrity(struct check *check, struct db *db);

/* Numbers are those of the product's list of invariants and never change; what does not apply yet is not listed. */
static const struct {
    int         number;
    const char *name;
    enum db_result (*walk)(struct check *check, struct db *db); /* besides the queries; NULL: nothing */
} invariants[] = {
    { 1, "each ledger transaction has two legs or more, one currency, sum 0", NULL },
    { 2, "each currency sums to 0", NULL },
    { 3, "cached balances equal their legs", NULL },
    { 4, "the ledger is gapless and its hash chain intact", check_seals },
    { 5, "amounts are bounded integers of known currencies", check_currencies },
    { 6, "conversions and commissions are unique", NULL },
    { 7, "commissions recompute from rate, basis and plan", check_commissions },
    { 8, "shares sum to the whole", NULL },
    { 9, "histories are legal and end in the present state", check_steps },
    { 10, "every state has its posting; paid means in one paid payout", NULL },
    { 11, "a commission is in at most one live payout", NULL },
    { 12, "payouts equal their items and reach their minimum", NULL },
    { 13, "payment references are unique", NULL },
    { 14, "balances equal what commissions say", NULL },
    { 15, "reversals never exceed the original, and leave what is due", check_settled },
    { 16, "refunds beyond the order are held, not applied", NULL },
    { 17, "nothing is negative but through a reversal", NULL },
    { 18, "an idempotency key has one request and one answer", NULL },
    { 19, "journals account for every record", NULL },
    { 20, "each commission leads back to a conversion and a touch in its window", check_touches },
    { 21, "every change of money is audited", check_audit },
    { 22, "people who were erased have no personal data left", NULL },
    { 23, "the database is sound, its references lead somewhere", check_integrity },
    { 24, "each lead comes of one record, and the log knows what became of all", NULL },
};

static void
found(void *ctx, const char *text)
{
    struct check *check = ctx;

    check->count++;
    if (json_array_size(check->shown) < SHOWN_MAX)
        json_array_append_new(check->shown, json_string(text));
}

static void __attribute__((format(printf, 2, 3)))
say(struct check *check, const char *format, ...)
{
    char    text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    found(check, text);
}

struct verification {
    const struct service *service;
    json_t               *results; /* owned */
    bool                  ok;
};

static enum db_result
check_one(struct db *db, struct verification *verification, size_t i)
{
    struct check   check = { .service = verification->service, .now_us = verification->service->now_us(),
                             .shown = json_array() };
    enum db_result rc = verify_queries(db, invariants[i].number, check.now_us, found, &check);

    if (rc == DB_OK && invariants[i].walk != NULL)
        rc = invariants[i].walk(&check, db);
    if (rc != DB_OK)
        say(&check, "this could not be checked: %s", db_message(db));
    verification->ok &= check.count == 0;
    json_array_append_new(verification->results,
                          json_pack("{s:i, s:s, s:b, s:I, s:o}", "number", invariants[i].number, "name",
                                    invariants[i].name, "ok", check.count == 0, "count", check.count, "violations",
                                    check.shown));
    return rc;
}

static enum db_result
check_all(struct db *db, void *ctx)
{
    struct verification *verification = ctx;

    json_array_clear(verification->results);
    verification->ok = true;
    for (size_t i = 0; i < sizeof(invariants) / sizeof(invariants[0]); i++) {
        if (check_one(db, verification, i) == DB_RETRY)
            return DB_RETRY;
    }
    return DB_OK;
}

enum service_result
money_verify(const struct service *service, json_t **report, struct service_error *error)
{
    struct verification verification = { .service = service, .results = json_array() };
    enum db_result      rc = db_read(service->pool, check_all, &verification);

    /* A statement that failed fails the transaction; what it could not check stands in the report by then. */
    if (rc != DB_OK && (rc == DB_RETRY || json_array_size(verification.results) == 0)) {
        json_decref(verification.results);
        return service_from_db(error, rc, "money_verify");
    }
    *report = json_pack("{s:b, s:o, s:o}", "ok", verification.ok && rc == DB_OK, "checked_at",
                        view_time_us((int64_t) service->now_us()), "invariants", verification.results);
    return SERVICE_OK;
}

/* ---- 4: the ledger's chain ---- */

/* Goes on from what is stored: one forged link is one violation, not all that follow. */
static enum db_result
check_seal(void *ctx, struct db *db, struct db_stmt *row)
{
    struct check  *check = ctx;
    uint8_t        hash[LEDGER_HASH_LEN];
    size_t         len;
    const uint8_t *stored = db_bytes(row, "hash", &len);
    int64_t        number = db_int(row, "number"), id = db_int(row, "id");
    enum db_result rc = ledger_hash(db, id, number, check->hash, hash);

    if (rc != DB_OK)
        return rc;
    if (number != check->number + 1)
        say(check, "after number %lld comes %lld", (long long) check->number, (long long) number);
    if (stored == NULL || len != sizeof(hash) || memcmp(stored, hash, sizeof(hash)) != 0)
        say(check, "ledger transaction %lld, number %lld, is not what was sealed", (long long) id, (long long) number);
    check->number = number;
    if (stored != NULL && len == sizeof(hash))
        memcpy(check->hash, stored, sizeof(hash));
    return DB_OK;
}

static enum db_result
check_seals(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_SEALED, check_seal, check);
}

/* ---- 5: currencies ---- */

static enum db_result
check_currency(void *ctx, struct db *db, struct db_stmt *row)
{
    struct tracker_money money;
    const char          *currency = db_text(row, "currency");

    (void) db;
    if (!amount_make(0, currency, &money))
        say(ctx, "%s holds amounts in %s, which is no currency", db_text(row, "place"), currency);
    return DB_OK;
}

static enum db_result
check_currencies(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_CURRENCIES, check_currency, check);
}

/* ---- 7: recomputing ---- */

/* One of a tiered plan's rates: which one was right depends on the order that facts came in, and stands in `why`. */
static bool
is_tier_rate(const struct plan *plan, int64_t rate_ppm)
{
    for (unsigned i = 0; i < plan->tier_count; i++) {
        if (plan->tiers[i].rate_ppm == rate_ppm)
            return true;
    }
    return false;
}

/* One's part of a whole, whose other part is the rest. */
static bool
part_of(const struct tracker_money *whole, int64_t share_ppm, int64_t part, struct tracker_money *out)
{
    struct tracker_money parts[2];

    if (part < 0 || part > 1 || !amount_split(whole, part == 0 ? share_ppm : PPM - share_ppm, parts))
        return false;
    *out = parts[part];
    return true;
}

/* What the plan gives for that basis at that rate, shared as the row says; NULL, or what contradicts. */
static const char *
recompute(const struct plan *plan, int64_t rate_ppm, bool has_basis, const struct tracker_money *basis,
          struct db_stmt *row, const struct tracker_money *amount)
{
    struct tracker_money due;

    switch (plan->type) {
    case PLAN_NONE:
        return "its plan pays nothing";
    case PLAN_FIXED:
        if (rate_ppm >= 0)
            return "it has a rate, its plan is fixed";
        due = plan->fixed;
        break;
    case PLAN_PERCENTAGE:
    case PLAN_TIERED:
        if (plan->type == PLAN_PERCENTAGE ? rate_ppm != plan->rate_ppm : !is_tier_rate(plan, rate_ppm))
            return "its rate is none of its plan's";
        if (!has_basis || !amount_share(basis, rate_ppm, &due))
            return "it has no basis to take a share of";
        break;
    }
    if (!part_of(&due, db_int(row, "share_ppm"), db_int(row, "part"), &due))
        return "its share is none";
    if (due.minor != amount->minor || !amount_same_currency(&due, amount))
        return "plan, rate, basis and share give another amount";
    return NULL;
}

static const char *
contradiction(struct db_stmt *row)
{
    struct plan_row      plan;
    struct tracker_money amount, basis;
    bool                 has_basis = !db_is_null(row, "basis_minor");
    int64_t              rate_ppm = db_is_null(row, "rate_ppm") ? -1 : db_int(row, "rate_ppm");

    if (plan_from_row(row, &plan) != DB_OK || plan.id == 0)
        return "its plan is missing or cannot be read";
    if (db_is_null(row, "event_time_ms") || db_int(row, "plan_from_us") / 1000 > db_int(row, "event_time_ms"))
        return "its plan was not in force yet at the event";
    if (!amount_make(db_int(row, "amount_minor"), db_text(row, "currency"), &amount)
        || (has_basis && !amount_make(db_int(row, "basis_minor"), db_text(row, "currency"), &basis)))
        return "its amount or basis is no amount";
    if (has_basis && (db_is_null(row, "conversion_minor") || basis.minor != db_int(row, "conversion_minor")
                      || strcmp(basis.currency, db_text(row, "conversion_currency")) != 0))
        return "its basis is not its conversion's amount";
    return recompute(&plan.plan, rate_ppm, has_basis, &basis, row, &amount);
}

static enum db_result
check_commission(void *ctx, struct db *db, struct db_stmt *row)
{
    const char *complaint = contradiction(row);

    (void) db;
    if (complaint != NULL)
        say(ctx, "commission %lld: %s", (long long) db_int(row, "id"), complaint);
    return DB_OK;
}

static enum db_result
check_commissions(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_COMMISSIONS, check_commission, check);
}

/* ---- 15: what refunds have left ---- */

/* By another way than settling: from the row's own rate, and the order less its refunds.  False: no amount. */
static bool
should_stand(struct db_stmt *row, int64_t *minor)
{
    struct tracker_money due;
    bool                 has_amount = !db_is_null(row, "conversion_minor");
    int64_t              left = db_int(row, "conversion_minor") - db_int(row, "refunded_minor");

    *minor = 0;
    if (strcmp(db_text(row, "referral_status"), "rejected") == 0 || strcmp(db_text(row, "status"), "rejected") == 0
        || db_int(row, "refunded_whole") > 0 || (has_amount && db_int(row, "conversion_minor") != 0 && left == 0))
        return true;
    if (db_is_null(row, "rate_ppm")) {
        *minor = db_int(row, "amount_minor");
        return true;
    }
    if (!amount_make(left, db_text(row, "currency"), &due) || !amount_share(&due, db_int(row, "rate_ppm"), &due)
        || !part_of(&due, db_int(row, "share_ppm"), db_int(row, "part"), &due))
        return false;
    *minor = due.minor;
    return true;
}

static enum db_result
check_standing(void *ctx, struct db *db, struct db_stmt *row)
{
    int64_t minor;

    (void) db;
    if (!should_stand(row, &minor))
        say(ctx, "referral %lld: what is left of its conversion is no amount", (long long) db_int(row, "id"));
    else if (minor != db_int(row, "stands_minor"))
        say(ctx, "referral %lld is %s, %lld of its commissions stand, %lld should", (long long) db_int(row, "id"),
            db_text(row, "referral_status"), (long long) db_int(row, "stands_minor"), (long long) minor);
    return DB_OK;
}

static enum db_result
check_settled(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_SETTLED, check_standing, check);
}

/* ---- 9: histories ---- */

/* How each kind of object may begin. */
static bool
is_start(const char *type, const char *kind, const char *state)
{
    if (strcmp(type, "payout") == 0)
        return strcmp(state, "draft") == 0;
    if (strcmp(type, "referral") == 0)
        return strcmp(state, "pending") == 0 || strcmp(state, "rejected") == 0;
    return strcmp(state, "pending") == 0
           || (strcmp(state, "approved") == 0 && kind != NULL && strcmp(kind, "commission") != 0);
}

static bool
is_step(const char *type, const char *from, const char *to)
{
    enum referral_state   referral[2];
    enum commission_state commission[2];
    enum payout_state     payout[2];

    if (strcmp(type, "referral") == 0)
        return referral_state_parse(from, &referral[0]) && referral_state_parse(to, &referral[1])
               && referral_step_legal(referral[0], referral[1]);
    if (strcmp(type, "commission") == 0)
        return commission_state_parse(from, &commission[0]) && commission_state_parse(to, &commission[1])
               && commission_step_legal(commission[0], commission[1]);
    return payout_state_parse(from, &payout[0]) && payout_state_parse(to, &payout[1])
           && payout_step_legal(payout[0], payout[1]);
}

static enum db_result
check_step(void *ctx, struct db *db, struct db_stmt *row)
{
    const char *type = db_text(row, "object_type"), *from = db_text(row, "from_state"), *to = db_text(row, "to_state");
    const char *previous = db_text(row, "previous");
    bool        follows = from == NULL ? previous == NULL : previous != NULL && strcmp(previous, from) == 0;

    (void) db;
    if (!follows)
        say(ctx, "%s %lld went from %s to %s, but was %s", type, (long long) db_int(row, "object_id"),
            from == NULL ? "nothing" : from, to, previous == NULL ? "not there yet" : previous);
    else if (from == NULL ? !is_start(type, db_text(row, "kind"), to) : !is_step(type, from, to))
        say(ctx, "%s %lld went from %s to %s, which no event does", type, (long long) db_int(row, "object_id"),
            from == NULL ? "nothing" : from, to);
    return DB_OK;
}

static enum db_result
check_steps(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_STEPS, check_step, check);
}

/* ---- 20: touches ---- */

/* The touch that `why` says won for that affiliate; borrowed. */
static json_t *
winner_of(const json_t *why, int64_t affiliate_id)
{
    json_t *touch;
    size_t  i;

    json_array_foreach(json_object_get(why, "touches"), i, touch) {
        const char *verdict = json_string_value(json_object_get(touch, "verdict"));
        const char *affiliate = json_string_value(json_object_get(touch, "affiliate_id"));
        int64_t     id;

        if (verdict != NULL && strcmp(verdict, tracker_touch_verdict_name(TRACKER_TOUCH_WON)) == 0
            && affiliate != NULL && view_parse_id(affiliate, &id) && id == affiliate_id)
            return touch;
    }
    return NULL;
}

/* A code, once somebody's, is his for good. */
static const char *
coupon_complaint(struct db *db, int64_t program_id, const char *code, int64_t affiliate_id)
{
    char              key[COUPON_CODE_MAX + 1];
    struct coupon_row coupon;
    const char       *complaint;

    if (!coupon_key(code, key) || coupon_find(db, program_id, key, &coupon) != DB_ROW)
        return "its coupon does not exist";
    complaint = coupon.affiliate_id == affiliate_id ? NULL : "its coupon belongs to another affiliate";
    row_free(&coupon_table, &coupon);
    return complaint;
}

static const char *
customer_complaint(struct db *db, int64_t program_id, const char *customer, int64_t affiliate_id)
{
    struct customer_part parts[2];
    unsigned             count;

    if (customer_find(db, program_id, customer, parts, &count) != DB_OK || count == 0)
        return "its customer is nobody's";
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].affiliate_id == affiliate_id)
            return NULL;
    }
    return "its customer belongs to another affiliate";
}

static const char *
lead_complaint(struct db *db, const char *lead, int64_t affiliate_id)
{
    int64_t id, link, campaign;

    if (!view_parse_id(lead, &id) || lead_origin(db, id, affiliate_id, &link, &campaign) != DB_ROW)
        return "its lead is not this affiliate's";
    return NULL;
}

/*
 * NULL, or why the click does not earn this referral.  A key that was retired proves nothing any more, and
 * breaks nothing.
 */
static const char *
touch_complaint(const struct check *check, struct db *db, struct db_stmt *row, const char *text, int64_t window_days)
{
    struct tracker_click_id click;
    struct link_owner       owner;
    int64_t                 event_ms = db_int(row, "event_time_ms");

    switch (tracker_click_id_decode(check->service->keys, (struct tracker_str){ text, strlen(text) }, &click)) {
    case TRACKER_CLICK_ID_OK:
        break;
    case TRACKER_CLICK_ID_UNKNOWN_KEY:
        return NULL;
    case TRACKER_CLICK_ID_MALFORMED:
    case TRACKER_CLICK_ID_FORGED:
        return "its click id was never given by an edge";
    }
    if ((int64_t) click.link != db_int(row, "link_id"))
        return "its click was on another link";
    if (link_owner_at(db, click.link, (int64_t) click.time_ms, &owner) != DB_ROW
        || owner.affiliate_id != db_int(row, "affiliate_id"))
        return "its link belonged to another affiliate at the click";
    if (db_is_null(row, "event_time_ms") || (int64_t) click.time_ms > event_ms + TRACKER_CLOCK_SKEW_MS)
        return "its click came after the event";
    if (window_days != 0 && (int64_t) click.time_ms + window_days * MS_PER_DAY < event_ms)
        return "its click was older than the window";
    return NULL;
}

static enum db_result
check_touch(void *ctx, struct db *db, struct db_stmt *row)
{
    const char *text = db_text(row, "click_id"), *why_text = db_text(row, "why"), *complaint;
    int64_t     affiliate_id = db_int(row, "affiliate_id"), program_id = db_int(row, "program_id");
    json_t     *why = why_text == NULL ? NULL : json_loads(why_text, 0, NULL), *touch = winner_of(why, affiliate_id);
    const char *click = json_string_value(json_object_get(touch, "click_id"));
    const char *coupon = json_string_value(json_object_get(touch, "coupon"));
    const char *customer = json_string_value(json_object_get(touch, "customer"));
    const char *lead = json_string_value(json_object_get(touch, "lead_id"));

    if (json_is_string(json_object_get(why, "manual")))
        complaint = NULL; /* a person decided, and said why */
    else if (lead != NULL)
        complaint = lead_complaint(db, lead, affiliate_id);
    else if (text == NULL && coupon != NULL)
        complaint = coupon_complaint(db, program_id, coupon, affiliate_id);
    else if (text == NULL && customer != NULL)
        complaint = customer_complaint(db, program_id, customer, affiliate_id);
    else if (text == NULL || click == NULL || strcmp(text, click) != 0)
        complaint = "its click is not the touch that won";
    else
        complaint = touch_complaint(ctx, db, row, text, json_integer_value(json_object_get(touch, "window_days")));
    if (complaint != NULL)
        say(ctx, "referral %lld: %s", (long long) db_int(row, "id"), complaint);
    json_decref(why);
    return DB_OK;
}

static enum db_result
check_touches(struct check *check, struct db *db)
{
    return verify_each(db, VERIFY_TOUCHES, check_touch, check);
}

/* ---- 21 and 23 ---- */

static enum db_result
check_audit(struct check *check, struct db *db)
{
    int64_t        broken = 0;
    enum db_result rc = audit_walk(db, &broken);

    if (rc == DB_OK && broken != 0)
        say(check, "the audit log's hash chain breaks at row %lld", (long long) broken);
    return rc;
}

static enum db_result
check_integrity(struct check *check, struct db *db)
{
    return db_check(db, found, check);
}
