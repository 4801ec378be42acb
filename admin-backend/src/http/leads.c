/* What is done with leads besides reading and editing one. */
#include <string.h>

#include "http/http.h"
#include "service/csv.h"
#include "service/lead.h"

typedef enum service_result (*lead_step)(const struct service *, const struct actor *, int64_t, json_t **,
                                         struct service_error *);

static void
act(struct http_request *request, struct http_answer *answer, lead_step step)
{
    static const char *const no_names[] = { NULL };
    struct service_error     error = { .fields = NULL };
    json_t                  *object = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "lead", &id) || !body_only(request, answer, no_names))
        return;
    result = step(request->service, &request->session.actor, id, &object, &error);
    answer_object(answer, 200, result, object, &error);
}

void
lead_convert_one(struct http_request *request, struct http_answer *answer)
{
    act(request, answer, lead_make_trader);
}

void
lead_erase_one(struct http_request *request, struct http_answer *answer)
{
    act(request, answer, lead_erase);
}

void
lead_export_one(struct http_request *request, struct http_answer *answer)
{
    act(request, answer, lead_export);
}

void
lead_note_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "text", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *text;
    json_t                  *lead = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "lead", &id) || !body_only(request, answer, names)
        || !body_text(request, answer, "text", true, &text))
        return;
    result = lead_note(request->service, &request->session.actor, id, text, &lead, &error);
    answer_object(answer, 201, result, lead, &error);
}

/* ---- many at once ---- */

static enum service_result
edit(struct http_request *request, int64_t id, const void *ctx, struct service_error *error)
{
    return lead_edit(request->service, &request->session.actor, id, 0, ctx, NULL, error);
}

/* {"action":"assign","agent_id":"3"} and {"action":"status","status":"contacted"}: each id is edited by what is left. */
void
lead_bulk(struct http_request *request, struct http_answer *answer)
{
    static const char *const assign[] = { "ids", "action", "agent_id", "department_id", NULL };
    static const char *const status[] = { "ids", "action", "status", NULL };
    static const char *const either[] = { "ids", "action", "agent_id", "department_id", "status", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *action;
    json_t                  *patch;
    enum service_result      result;

    if (!body_only(request, answer, either) || !body_text(request, answer, "action", true, &action))
        return;
    if (strcmp(action, "assign") != 0 && strcmp(action, "status") != 0) {
        answer_service(answer, service_invalid(&error, "action", "is none of assign, status"), &error);
        return;
    }
    if (!body_only(request, answer, strcmp(action, "assign") == 0 ? assign : status))
        return;
    patch = json_copy(request->body);
    json_object_del(patch, "ids");
    json_object_del(patch, "action");
    result = json_object_size(patch) != 0
                 ? lead_patch_check(patch, &error)
                 : service_invalid(&error, strcmp(action, "assign") == 0 ? "agent_id" : "status", "is required");
    if (result == SERVICE_OK)
        resource_bulk_each(request, answer, edit, patch);
    else
        answer_service(answer, result, &error);
    json_decref(patch);
}

/* ---- who sends them ---- */

void
lead_report_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    struct http_period   period = { .takes_group = true };
    json_t              *report = NULL;
    char                *csv;
    enum service_result  result = request_period(request, &period, &error);

    if (result == SERVICE_OK)
        result = lead_report_get(request->service, &request->session.actor, period.from_us, period.to_us, period.by_day,
                                 &report, &error);
    if (result != SERVICE_OK || !request_wants_csv(request)) {
        answer_object(answer, 200, result, report, &error);
        return;
    }
    csv = csv_of(json_object_get(report, "data"));
    json_decref(report);
    if (csv != NULL)
        answer_csv(answer, csv);
    else
        answer_service(answer, service_refuse(&error, SERVICE_UNAVAILABLE, "no_memory",
                                              "The server is short of memory; try again."), &error);
}
