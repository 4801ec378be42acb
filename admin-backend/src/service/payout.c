/* Payouts: bundling what is due, submitting, paying, cancelling. */
#include <stdio.h>
#include <string.h>

#include "service/money_steps.h"
#include "service/view.h"
#include "store/ledger.h"

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result submit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result pay(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result cancel(struct db *db, struct decision *decision, struct service_error *error);

static struct decision
about(const struct service *service, const struct actor *actor, int64_t id, const char *action)
{
    return (struct decision){
        .service = service,
        .actor = actor,
        .spec = &payout_list,
        .object_type = "payout",
        .action = action,
        .id = id,
    };
}

/* The payout's whole amount from one of the affiliate's accounts to another. */
static enum db_result
post(struct db *db, const struct payout_row *payout, const char *kind, const char *debit, const char *credit,
     uint64_t at_us)
{
    struct ledger_entry entry = {
        .program_id = payout->program_id,
        .kind = kind,
        .object_type = "payout",
        .object_id = payout->id,
        .currency = payout->amount.currency,
        .at_us = at_us,
        .count = 2,
        .legs = {
            { payout->affiliate_id, debit, payout->amount.minor },
            { payout->affiliate_id, credit, -payout->amount.minor },
        },
    };

    return ledger_post(db, &entry);
}

/* ---- creating ---- */

struct creation {
    int64_t     affiliate_id;
    const char *currency; /* NULL: the program's */
};

enum service_result
payout_create(const struct service *service, const struct actor *actor, int64_t affiliate_id, const char *currency,
              json_t **payout, struct service_error *error)
{
    struct creation creation = { affiliate_id, currency };
    struct decision decision = about(service, actor, 0, "payout.create");

    if (currency != NULL && tracker_currency_exponent((struct tracker_str){ currency, strlen(currency) }) < 0)
        return service_invalid(error, "currency", "is no ISO 4217 code");
    decision.step = create;
    decision.ctx = &creation;
    return decide(&decision, payout, error);
}

static bool
is_held(const struct payee *payee)
{
    return strcmp(payee->status, "suspended") == 0;
}

static enum service_result
refuse_held(struct service_error *error)
{
    return service_refuse(error, SERVICE_CONFLICT, "affiliate_suspended",
                          "The affiliate is suspended: what was earned is held.");
}

/* Reasons why an affiliate gets no payout now, before anything is written. */
static enum service_result
check_due(struct db *db, const struct payee *payee, int64_t affiliate_id, const char *currency, int64_t minimum_minor,
          uint64_t now_us, struct service_error *error)
{
    int64_t        due, count;
    char           text[32];
    enum db_result rc = payout_eligible(db, affiliate_id, currency, now_us, &due, &count);

    if (rc != DB_OK)
        return service_from_db(error, rc, "payout_eligible");
    if (is_held(payee))
        return refuse_held(error);
    if (count == 0 || due <= 0)
        return service_refuse(error, SERVICE_CONFLICT, "nothing_due", "Nothing is due to this affiliate.");
    if (due < minimum_minor) {
        struct tracker_money minimum = { .minor = minimum_minor };

        memcpy(minimum.currency, currency, sizeof(minimum.currency));
        tracker_money_format(&minimum, text);
        return service_refuse(error, SERVICE_CONFLICT, "below_minimum", "What is due is below the minimum of %s %s.",
                              text, currency);
    }
    return SERVICE_OK;
}

static enum db_result
bundle(struct db *db, struct decision *decision, const struct payout_new *new, const struct change *change)
{
    struct payout_row payout = { .program_id = new->program_id, .affiliate_id = new->affiliate_id, .amount = new->amount };
    int64_t           taken, count;
    enum db_result    rc = payout_insert(db, new, change, &payout.id);

    if (rc == DB_OK)
        rc = payout_take(db, payout.id, new->affiliate_id, new->amount.currency, change, &taken, &count);
    if (rc == DB_OK && taken != new->amount.minor)
        rc = DB_CONFLICT;
    decision->id = payout.id;
    return rc == DB_OK ? post(db, &payout, "payout.create", "payable", "in_transit", change->at_us) : rc;
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct creation *creation = decision->ctx;
    struct change          change = change_of(decision);
    struct payout_new      new = { .affiliate_id = creation->affiliate_id };
    struct payee           payee;
    const char            *currency;
    int64_t                due, count;
    enum service_result    result;
    enum db_result         rc = payee_find(db, creation->affiliate_id, &payee);

    decision->id = 0;
    if (rc == DB_DONE)
        return service_invalid(error, "affiliate_id", "names no affiliate");
    if (rc != DB_ROW)
        return service_from_db(error, rc, "payee_find");

    currency = creation->currency == NULL ? payee.currency : creation->currency;
    new.program_id = payee.program_id;
    new.method = payee.method;
    /* The group's minimum is in the program's currency; other currencies have none until they can be set one. */
    new.minimum_minor = strcmp(currency, payee.currency) == 0 ? payee.minimum_minor : 0;
    result = check_due(db, &payee, new.affiliate_id, currency, new.minimum_minor, change.at_us, error);
    if (result != SERVICE_OK)
        return result;

    rc = payout_eligible(db, new.affiliate_id, currency, change.at_us, &due, &count);
    if (rc == DB_OK && !amount_make(due, currency, &new.amount))
        rc = DB_FAILED;
    if (rc == DB_OK)
        rc = bundle(db, decision, &new, &change);
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "payout_raced", "Somebody else is paying this affiliate.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "payout_create");
}

/* ---- the steps of one payout ---- */

/* Reads the payout and the state that the event leads to; the refusal is the same for all steps. */
static enum service_result
enter(struct db *db, int64_t id, enum payout_event event, struct payout_row *payout, enum payout_state *to,
      struct service_error *error)
{
    enum db_result rc = payout_find(db, id, payout);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "payout_find");
    if (!payout_next(payout->state, event, to))
        return service_refuse(error, SERVICE_CONFLICT, "illegal_state", "A payout that is %s cannot take this step.",
                              payout_state_name(payout->state));
    return SERVICE_OK;
}

enum service_result
payout_submit(const struct service *service, const struct actor *actor, int64_t id, json_t **payout,
              struct service_error *error)
{
    struct decision decision = about(service, actor, id, "payout.submit");

    decision.step = submit;
    return decide(&decision, payout, error);
}

/*
 * A draft made before the suspension is held too.  A payout that was submitted may still be marked paid: the
 * money may have left already, and the ledger must be able to say so.
 */
static enum service_result
submit(struct db *db, struct decision *decision, struct service_error *error)
{
    struct change       change = change_of(decision);
    struct payout_row   payout;
    struct payee        payee;
    enum payout_state   to;
    enum service_result result = enter(db, decision->id, PAYOUT_SUBMIT, &payout, &to, error);
    enum db_result      rc;

    if (result != SERVICE_OK)
        return result;
    rc = payee_find(db, payout.affiliate_id, &payee);
    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "payee_find");
    if (is_held(&payee))
        return refuse_held(error);
    rc = payout_move(db, payout.id, payout.state, to, &change);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "payout_move");
}

struct payment {
    const char *reference, *notes;
    int64_t     paid_at_us;
};

/* One line of text, as banks and wallets give them: a second spelling of it must not pay twice. */
static bool
is_reference(const char *reference)
{
    size_t len = reference == NULL ? 0 : strlen(reference);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char) reference[i] < 0x20 || reference[i] == 0x7f)
            return false;
    }
    return len > 0 && len <= 140 && reference[0] != ' ' && reference[len - 1] != ' ';
}

enum service_result
payout_pay(const struct service *service, const struct actor *actor, int64_t id, const char *reference,
           const char *paid_at, const char *notes, json_t **payout, struct service_error *error)
{
    struct payment  payment = { reference, notes, (int64_t) service->now_us() };
    struct decision decision = about(service, actor, id, "payout.pay");

    if (!is_reference(reference))
        return service_invalid(error, "reference", "is required: the payment's transaction id, at most 140 bytes");
    if (paid_at != NULL
        && (!view_parse_time_us(paid_at, &payment.paid_at_us) || payment.paid_at_us > (int64_t) service->now_us()))
        return service_invalid(error, "paid_at", "is no RFC 3339 time in the past");
    if (notes != NULL && strlen(notes) > 4000)
        return service_invalid(error, "notes", "is a text of at most 4000 bytes");
    decision.step = pay;
    decision.ctx = &payment;
    return decide(&decision, payout, error);
}

static enum service_result
pay(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct payment *payment = decision->ctx;
    struct change         change = change_of(decision);
    struct payout_row     payout;
    enum payout_state     to;
    bool                  used = false;
    enum service_result   result = enter(db, decision->id, PAYOUT_PAY, &payout, &to, error);
    enum db_result        rc;

    if (result != SERVICE_OK)
        return result;
    rc = payout_reference_used(db, payment->reference, &used);
    if (rc == DB_OK && used)
        return service_refuse(error, SERVICE_CONFLICT, "reference_used", "Another payout carries this reference.");
    if (rc == DB_OK)
        rc = payout_mark_paid(db, payout.id, payment->reference, payment->paid_at_us, payment->notes, &change);
    if (rc == DB_OK)
        rc = payout_items_move(db, payout.id, COMMISSION_PAID, &change);
    if (rc == DB_OK)
        rc = post(db, &payout, "payout.pay", "in_transit", "paid", change.at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "payout_pay");
}

enum service_result
payout_cancel(const struct service *service, const struct actor *actor, int64_t id, const char *reason,
              json_t **payout, struct service_error *error)
{
    struct decision decision = about(service, actor, id, "payout.cancel");

    if (reason == NULL || *reason == '\0')
        return service_invalid(error, "reason", "is required to cancel a payout");
    decision.reason = reason;
    decision.step = cancel;
    return decide(&decision, payout, error);
}

static enum service_result
cancel(struct db *db, struct decision *decision, struct service_error *error)
{
    struct change       change = change_of(decision);
    struct payout_row   payout;
    enum payout_state   to;
    enum service_result result = enter(db, decision->id, PAYOUT_CANCEL, &payout, &to, error);
    enum db_result      rc;

    if (result != SERVICE_OK)
        return result;
    rc = payout_move(db, payout.id, payout.state, to, &change);
    if (rc == DB_OK)
        rc = payout_items_move(db, payout.id, COMMISSION_APPROVED, &change);
    if (rc == DB_OK)
        rc = post(db, &payout, "payout.cancel", "in_transit", "payable", change.at_us);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "payout_cancel");
}

/* ---- reading ---- */

json_t *
payout_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "affiliate_name", view_column_text(row, "affiliate_name"),
                     "status", view_column_text(row, "status"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "minimum", view_column_money(row, "minimum_minor", "currency"),
                     "item_count", (json_int_t) db_int(row, "item_count"),
                     "method", view_column_text(row, "method"),
                     "reference", view_column_text(row, "reference"),
                     "paid_at", view_column_time(row, "paid_at_us"),
                     "notes", view_column_text(row, "notes"),
                     "reason", view_column_text(row, "reason"),
                     "created_by", view_column_text(row, "created_by"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
