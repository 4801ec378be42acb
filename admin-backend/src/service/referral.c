/* Referrals: approval, rejection, reopening, notes. */
#include <stdlib.h>
#include <string.h>

#include "service/money_steps.h"
#include "service/view.h"

static enum service_result act(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum db_result      take_back(struct db *db, const struct commission_row *commission,
                                     const struct change *change);
static enum db_result      accrue_anew(struct db *db, const struct referral_row *referral,
                                       const struct commission_row *rows, int count, const struct change *change);

enum service_result
referral_act(const struct service *service, const struct actor *actor, int64_t id, const char *action,
             const char *reason, json_t **referral, struct service_error *error)
{
    static const struct {
        const char         *action, *audit;
        enum referral_event event;
        bool                needs_reason;
    } actions[] = {
        { "approve", "referral.approve", REFERRAL_APPROVE, false },
        { "reject", "referral.reject", REFERRAL_REJECT, true },
        { "reopen", "referral.reopen", REFERRAL_REOPEN, true },
    };
    enum referral_event event;
    struct decision     decision = {
            .service = service,
            .actor = actor,
            .spec = &referral_list,
            .object_type = "referral",
            .id = id,
            .reason = reason,
            .step = act,
            .ctx = &event,
    };

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(action, actions[i].action) != 0)
            continue;
        if (actions[i].needs_reason && (reason == NULL || *reason == '\0'))
            return service_invalid(error, "reason", "is required for this action");
        event = actions[i].event;
        decision.action = actions[i].audit;
        return decide(&decision, referral, error);
    }
    return service_invalid(error, "action", "is none of approve, reject, reopen");
}

/* It would earn anew, today: not for somebody who is suspended, nor without end. */
static enum service_result
may_reopen(struct db *db, const struct referral_row *row, struct service_error *error)
{
    struct payee   payee;
    int64_t        count = 0;
    enum db_result rc = payee_find(db, row->affiliate_id, &payee);

    if (rc == DB_ROW)
        rc = commissions_count(db, row->id, &count);
    if (rc != DB_OK)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "may_reopen");
    if (row->state == REFERRAL_REJECTED && count > 0 && strcmp(payee.status, "approved") != 0)
        return service_refuse(error, SERVICE_CONFLICT, "affiliate_not_approved",
                              "The affiliate is %s: approve it first, then reopen the referral.", payee.status);
    if (row->state == REFERRAL_REJECTED && count + REFERRAL_REOPEN_ROWS > REFERRAL_COMMISSIONS_MAX)
        return service_refuse(error, SERVICE_CONFLICT, "too_many_revisions",
                              "This referral was rejected and reopened so often that it must stay as it is.");
    return SERVICE_OK;
}

static enum service_result
act(struct db *db, struct decision *decision, struct service_error *error)
{
    enum referral_event event = *(enum referral_event *) decision->ctx;
    struct change       change = change_of(decision);
    struct referral_row row;
    enum db_result      rc = referral_find(db, decision->id, &row);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "referral_find");
    decision->unchanged = referral_reached(row.state, event);
    if (decision->unchanged)
        return SERVICE_OK;
    if (event == REFERRAL_REOPEN) {
        enum service_result result = may_reopen(db, &row, error);

        if (result != SERVICE_OK)
            return result;
    }
    rc = step_referral(db, &row, event, &change);
    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_CONFLICT, "illegal_state",
                              "A referral that is %s, or whose commission is in a live payout, cannot take this step.",
                              referral_state_name(row.state));
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "step_referral");
}

/* ---- steps ---- */

static enum db_result
on_approve(struct db *db, const struct commission_row *rows, int count, const struct change *change)
{
    enum db_result rc = DB_OK;

    for (int i = 0; rc == DB_OK && i < count; i++) {
        if (rows[i].state == COMMISSION_PENDING)
            rc = step_commission(db, &rows[i], COMMISSION_APPROVE, change);
    }
    return rc;
}

/* Paid once, taken back once: a referral that was reopened since keeps its older pair of rows. */
static bool
is_reversed(const struct commission_row *rows, int count, int64_t id)
{
    for (int i = 0; i < count; i++) {
        if (rows[i].reverses_id == id)
            return true;
    }
    return false;
}

static enum db_result
on_reject(struct db *db, const struct commission_row *rows, int count, const struct change *change)
{
    enum db_result rc = DB_OK;

    for (int i = 0; rc == DB_OK && i < count; i++) {
        if (rows[i].reverses_id == 0 && !is_reversed(rows, count, rows[i].id))
            rc = take_back(db, &rows[i], change);
    }
    return rc;
}

enum db_result
step_referral(struct db *db, const struct referral_row *referral, enum referral_event event,
              const struct change *change)
{
    struct commission_row rows[REFERRAL_COMMISSIONS_MAX];
    int                   count = REFERRAL_COMMISSIONS_MAX;
    enum referral_state   to;
    enum db_result        rc;

    if (!referral_next(referral->state, event, &to))
        return DB_CONFLICT;
    rc = referral_move(db, referral->id, referral->state, to, change);
    if (rc == DB_OK)
        rc = commissions_of_referral(db, referral->id, rows, &count);
    if (rc != DB_OK)
        return rc;

    switch (event) {
    case REFERRAL_APPROVE:
        return on_approve(db, rows, count, change);
    case REFERRAL_REJECT:
        return on_reject(db, rows, count, change);
    case REFERRAL_REOPEN:
        return accrue_anew(db, referral, rows, count, change);
    }
    return DB_CONFLICT;
}

/* Money that has left is not called back by rewriting: a reversal row takes it from what comes next. */
static enum db_result
reverse_paid(struct db *db, const struct commission_row *paid, const struct change *change)
{
    struct commission_new reversal = {
        .program_id = paid->program_id,
        .affiliate_id = paid->affiliate_id,
        .referral_id = paid->referral_id,
        .conversion_id = paid->conversion_id,
        .plan_id = paid->plan_id,
        .period = paid->period,
        .kind = "reversal",
        .revision = paid->revision,
        .reverses_id = paid->id,
        .has_basis = paid->has_basis,
        .basis_minor = paid->basis_minor,
        .rate_ppm = paid->rate_ppm,
        .state = COMMISSION_APPROVED,
        .payable_us = (int64_t) change->at_us,
    };
    int64_t        id;
    char          *why;
    enum db_result rc;
    json_t        *object = json_pack("{s:o, s:s*}", "reverses", view_id(paid->id), "reason", change->reason);

    if (!amount_negate(&paid->amount, &reversal.amount) || object == NULL)
        return DB_FAILED;
    reversal.why = why = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    rc = step_commission_accrue(db, &reversal, change, &id);
    free(why);
    json_decref(object);
    return rc;
}

static enum db_result
take_back(struct db *db, const struct commission_row *commission, const struct change *change)
{
    switch (commission->state) {
    case COMMISSION_PENDING:
    case COMMISSION_APPROVED:
        return step_commission(db, commission, COMMISSION_REJECT, change);
    case COMMISSION_IN_PAYOUT:
        return DB_CONFLICT; /* cancel the payout first */
    case COMMISSION_PAID:
        return reverse_paid(db, commission, change);
    case COMMISSION_REJECTED:
        return DB_OK;
    }
    return DB_CONFLICT;
}

/* The last revision's terms, once more: what was agreed then still holds. */
static enum db_result
accrue_anew(struct db *db, const struct referral_row *referral, const struct commission_row *rows, int count,
            const struct change *change)
{
    const struct commission_row *last = NULL;
    struct commission_new        again;
    int64_t                      id;
    char                        *why;
    json_t                      *object;
    enum db_result               rc;

    for (int i = 0; i < count; i++) {
        if (rows[i].reverses_id == 0)
            last = &rows[i];
    }
    if (last == NULL)
        return DB_OK;
    again = (struct commission_new){
        .program_id = last->program_id,
        .affiliate_id = last->affiliate_id,
        .referral_id = referral->id,
        .conversion_id = last->conversion_id,
        .plan_id = last->plan_id,
        .period = last->period,
        .kind = "commission",
        .revision = last->revision + 1,
        .amount = last->amount,
        .has_basis = last->has_basis,
        .basis_minor = last->basis_minor,
        .rate_ppm = last->rate_ppm,
        .state = COMMISSION_PENDING,
    };
    object = json_pack("{s:o, s:s*}", "repeats", view_id(last->id), "reason", change->reason);
    again.why = why = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    rc = why == NULL ? DB_FAILED : step_commission_accrue(db, &again, change, &id);
    free(why);
    json_decref(object);
    return rc;
}

/* ---- editing ---- */

struct annotation {
    int64_t if_version;
    char   *tags;        /* JSON text, or NULL: unchanged */
    const char *notes;   /* or NULL: unchanged */
};

#define NOTES_MAX 4000
#define TAGS_MAX  32

static bool
tags_sound(const json_t *tags)
{
    const json_t *tag;
    size_t        i;

    if (!json_is_array(tags) || json_array_size(tags) > TAGS_MAX)
        return false;
    json_array_foreach(tags, i, tag) {
        if (!json_is_string(tag) || json_string_length(tag) == 0 || json_string_length(tag) > 64)
            return false;
    }
    return true;
}

enum service_result
referral_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
              const json_t *patch, json_t **referral, struct service_error *error)
{
    struct annotation annotation = { .if_version = if_version };
    struct decision   decision = {
          .service = service,
          .actor = actor,
          .spec = &referral_list,
          .object_type = "referral",
          .action = "referral.edit",
          .id = id,
          .step = edit,
          .ctx = &annotation,
    };
    enum service_result result;
    const char         *name;
    json_t             *value;

    json_object_foreach((json_t *) patch, name, value) {
        if (strcmp(name, "notes") == 0) {
            if (!json_is_string(value) || json_string_length(value) > NOTES_MAX)
                return service_invalid(error, "notes", "is a text of at most 4000 bytes");
            annotation.notes = json_string_value(value);
        } else if (strcmp(name, "tags") == 0) {
            if (!tags_sound(value))
                return service_invalid(error, "tags", "is a list of at most 32 texts of 1 to 64 bytes");
        } else {
            return service_invalid(error, name, "cannot be changed here");
        }
    }
    value = json_object_get(patch, "tags");
    annotation.tags = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
    result = decide(&decision, referral, error);
    free(annotation.tags);
    return result;
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    struct annotation *annotation = decision->ctx;
    enum db_result     rc = referral_annotate(db, decision->id, annotation->if_version, annotation->tags,
                                              annotation->notes, decision->at_us);

    if (rc == DB_CONFLICT)
        return service_refuse(error, SERVICE_STALE, "stale", "The referral was changed by somebody else meanwhile.");
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "referral_annotate");
}

/* ---- reading ---- */

json_t *
referral_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "affiliate_name", view_column_text(row, "affiliate_name"),
                     "campaign_id", view_column_id(row, "campaign_id"),
                     "link_id", view_column_id(row, "link_id"),
                     "event", view_column_text(row, "event"),
                     "status", view_column_text(row, "status"),
                     "click_id", view_column_text(row, "click_id"),
                     "lead_id", view_column_text(row, "lead_id"),
                     "trader_id", view_column_text(row, "trader_id"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "tags", view_column_json(row, "tags"),
                     "notes", view_column_text(row, "notes"),
                     "why", view_column_json(row, "why"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
