/* Referrals: approval, rejection, reopening, notes. */
#include <stdlib.h>
#include <string.h>

#include "service/money_steps.h"
#include "service/view.h"

static enum service_result act(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
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
    if (row->superseded)
        return service_refuse(error, SERVICE_CONFLICT, "superseded",
                              "The advertiser's server named another touch: its conversion is earned by another referral.");
    if (row->state == REFERRAL_REJECTED && count >= REFERRAL_COMMISSIONS_MAX)
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

/* Whether the row that this one adjusts, or this row itself, has been paid: such are left as they are. */
static bool
is_paid(const struct commission_row *rows, int count, const struct commission_row *row)
{
    for (int i = 0; i < count; i++) {
        if (rows[i].id == (row->reverses_id == 0 ? row->id : row->reverses_id))
            return rows[i].state == COMMISSION_PAID;
    }
    return false;
}

/* Money that has left is not called back by rewriting: settling takes it from what comes next. */
static enum db_result
on_reject(struct db *db, const struct commission_row *rows, int count, const struct change *change)
{
    enum db_result rc = DB_OK;

    for (int i = 0; i < count; i++) {
        if (rows[i].state == COMMISSION_IN_PAYOUT)
            return DB_CONFLICT; /* cancel the payout first */
    }
    for (int i = 0; rc == DB_OK && i < count; i++) {
        if ((rows[i].state == COMMISSION_PENDING || rows[i].state == COMMISSION_APPROVED)
            && !is_paid(rows, count, &rows[i]))
            rc = step_commission(db, &rows[i], COMMISSION_REJECT, change);
    }
    return rc;
}

enum db_result
step_referral(struct db *db, const struct referral_row *referral, enum referral_event event,
              const struct change *change)
{
    struct commission_row *rows = NULL;
    struct referral_row    after = *referral;
    int                    count;
    enum db_result         rc;

    if (!referral_next(referral->state, event, &after.state))
        return DB_CONFLICT;
    rc = referral_move(db, referral->id, referral->state, after.state, change);
    if (rc == DB_OK)
        rc = commissions_of_referral(db, referral->id, &rows, &count);
    if (rc == DB_OK) {
        switch (event) {
        case REFERRAL_APPROVE:
            rc = on_approve(db, rows, count, change);
            break;
        case REFERRAL_REJECT:
            rc = on_reject(db, rows, count, change);
            break;
        case REFERRAL_REOPEN:
            rc = accrue_anew(db, referral, rows, count, change);
            break;
        }
    }
    free(rows);
    return rc == DB_OK ? settle_referral(db, &after, change->reason, change) : rc;
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
        .amount = last->amount,
        .has_basis = last->has_basis,
        .basis_minor = last->basis_minor,
        .rate_ppm = last->rate_ppm,
        .share_ppm = last->share_ppm,
        .part = last->part,
        .state = COMMISSION_PENDING,
    };
    rc = commission_next_revision(db, again.conversion_id, again.affiliate_id, again.kind, &again.revision);
    if (rc != DB_OK)
        return rc;
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
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o,"
                     " s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "affiliate_name", view_column_text(row, "affiliate_name"),
                     "conversion_id", view_column_id(row, "conversion_id"),
                     "campaign_id", view_column_id(row, "campaign_id"),
                     "link_id", view_column_id(row, "link_id"),
                     "event", view_column_text(row, "event"),
                     "status", view_column_text(row, "status"),
                     "click_id", view_column_text(row, "click_id"),
                     "lead_id", view_column_text(row, "lead_id"),
                     "trader_id", view_column_text(row, "trader_id"),
                     "amount", view_column_money(row, "amount_minor", "currency"),
                     "share", view_ppm(db_int(row, "share_ppm")),
                     "verified", db_int(row, "verified") != 0,
                     "superseded", db_int(row, "superseded") != 0,
                     "tags", view_column_json(row, "tags"),
                     "notes", view_column_text(row, "notes"),
                     "why", view_column_json(row, "why"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
