/* Steps that are no plain creation or edit: payouts, keys, settings, the dashboard. */
#include <string.h>

#include "http/http.h"
#include "service/catalog.h"
#include "service/conversion.h"
#include "service/money.h"
#include "service/portal.h"
#include "service/view.h"

static const char *const no_names[] = { NULL };

/* ---- payouts ---- */

void
payout_create_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "affiliate_id", "currency", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *affiliate, *currency;
    json_t                  *payout = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!body_only(request, answer, names) || !body_text(request, answer, "affiliate_id", true, &affiliate)
        || !body_text(request, answer, "currency", false, &currency))
        return;
    if (!view_parse_id(affiliate, &id))
        result = service_invalid(&error, "affiliate_id", "is no id");
    else
        result = payout_create(request->service, &request->session.actor, id, currency, &payout, &error);
    answer_created(request, answer, result, payout, &error);
}

void
payout_submit_one(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *payout = NULL;
    int64_t              id;
    enum service_result  result;

    if (!request_id(request, answer, 0, "payout", &id) || !body_only(request, answer, no_names))
        return;
    result = payout_submit(request->service, &request->session.actor, id, &payout, &error);
    answer_object(answer, 200, result, payout, &error);
}

void
payout_pay_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "reference", "paid_at", "notes", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *reference, *paid_at, *notes;
    json_t                  *payout = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "payout", &id) || !body_only(request, answer, names)
        || !body_text(request, answer, "reference", true, &reference)
        || !body_text(request, answer, "paid_at", false, &paid_at)
        || !body_text(request, answer, "notes", false, &notes))
        return;
    result = payout_pay(request->service, &request->session.actor, id, reference, paid_at, notes, &payout, &error);
    answer_object(answer, 200, result, payout, &error);
}

void
payout_cancel_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "reason", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *reason;
    json_t                  *payout = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "payout", &id) || !body_only(request, answer, names)
        || !body_text(request, answer, "reason", true, &reason))
        return;
    result = payout_cancel(request->service, &request->session.actor, id, reason, &payout, &error);
    answer_object(answer, 200, result, payout, &error);
}

/* ---- conflicts ---- */

void
conflict_resolve_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "note", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *note;
    json_t                  *conflict = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "conflict", &id) || !body_only(request, answer, names)
        || !body_text(request, answer, "note", true, &note))
        return;
    result = conflict_close(request->service, &request->session.actor, id, request_version(request), note, &conflict,
                            &error);
    answer_object(answer, 200, result, conflict, &error);
}

/* ---- keys ---- */

/* Keys and secrets alike: something new, shown in this answer only. */
static void
renew(struct http_request *request, struct http_answer *answer,
      enum service_result (*make)(const struct service *, const struct actor *, int64_t, json_t **,
                                  struct service_error *))
{
    struct service_error error = { .fields = NULL };
    json_t              *user = NULL;
    int64_t              id;
    enum service_result  result;

    if (!request_id(request, answer, 0, "API user", &id) || !body_only(request, answer, no_names))
        return;
    result = make(request->service, &request->session.actor, id, &user, &error);
    answer_object(answer, 201, result, user, &error);
}

void
api_user_key_add(struct http_request *request, struct http_answer *answer)
{
    renew(request, answer, api_key_add);
}

void
api_user_secret_renew(struct http_request *request, struct http_answer *answer)
{
    renew(request, answer, api_secret_renew);
}

void
api_user_key_revoke(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *user = NULL;
    int64_t              id, key;
    enum service_result  result;

    if (!request_id(request, answer, 0, "API user", &id) || !request_id(request, answer, 1, "key", &key)
        || !body_only(request, answer, no_names))
        return;
    result = api_key_revoke(request->service, &request->session.actor, id, key, &user, &error);
    answer_object(answer, 200, result, user, &error);
}

/* ---- settings and dashboard ---- */

void
settings_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *settings = NULL;
    enum service_result  result = settings_get(request->service, &settings, &error);

    answer_object(answer, 200, result, settings, &error);
}

void
settings_change(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *settings = NULL;
    enum service_result  result = settings_edit(request->service, &request->session.actor, request_version(request),
                                                request->body, &settings, &error);

    answer_object(answer, 200, result, settings, &error);
}

void
dashboard_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    struct http_period   period = { .takes_group = false };
    json_t              *dashboard = NULL;
    enum service_result  result = request_period(request, &period, &error);

    if (result == SERVICE_OK)
        result = dashboard_get(request->service, period.from_us, period.to_us, &dashboard, &error);
    answer_object(answer, 200, result, dashboard, &error);
}

void
portal_dashboard_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    struct http_period   period = { .takes_group = false };
    json_t              *dashboard = NULL;
    enum service_result  result = request_period(request, &period, &error);

    if (result == SERVICE_OK)
        result = portal_dashboard(request->service, &request->session.actor, period.from_us, period.to_us, &dashboard,
                                  &error);
    answer_object(answer, 200, result, dashboard, &error);
}
