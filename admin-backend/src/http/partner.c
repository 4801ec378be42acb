/* The partner API: keys instead of sessions, and everybody's own. */
#include <string.h>
#include <strings.h>

#include "http/http.h"
#include "service/partner.h"
#include "service/view.h"

/* Where the same result is another status than elsewhere. */
static void
answer_partner(struct http_answer *answer, enum service_result result, struct service_error *error)
{
    static const struct {
        const char *code;
        int         status;
    } statuses[] = {
        { "key_missing", 401 },
        { "key_unknown", 401 },
        { "autologin_expired", 410 },
    };
    int status = answer_status(result);

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strcmp(error->code, statuses[i].code) == 0)
            status = statuses[i].status;
    }
    answer_service(answer, result, error);
    answer->status = status;
}

/* As the edge looks for it. */
static const char *
sent_key(const struct http_request *request)
{
    const char *authorization = request_header(request, "Authorization"), *key;

    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0)
        return authorization + 7;
    key = request_header(request, "X-Api-Key");
    return key != NULL ? key : request_header(request, "authtoken");
}

/* X-Real-IP is nginx's word: nobody else reaches the socket (docs/operations.md). */
bool
partner_authorize(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    uint32_t             scope = request->route->access >> API_SCOPE_SHIFT;
    enum service_result  result = partner_authenticate(request->service, sent_key(request),
                                                       request_header(request, "X-Real-IP"), scope, &request->partner,
                                                       &error);

    if (result == SERVICE_OK)
        return true;
    answer_partner(answer, result, &error);
    return false;
}

static void
answer_page(struct http_request *request, struct http_answer *answer, const struct list_spec *list)
{
    struct service_error error = { .fields = NULL };
    struct list_query    query = { .page_size = 0 };
    json_t              *page = NULL;
    enum service_result  result = SERVICE_INVALID;

    if (query_fill(request, &query, &error))
        result = partner_page(request->service, &request->partner, list, &query, &page, &error);
    if (result == SERVICE_OK)
        answer_json(answer, 200, page);
    else
        answer_partner(answer, result, &error);
}

void
partner_leads(struct http_request *request, struct http_answer *answer)
{
    answer_page(request, answer, &partner_lead_list);
}

void
partner_conversions(struct http_request *request, struct http_answer *answer)
{
    answer_page(request, answer, &partner_conversion_list);
}

void
partner_lead_one(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *lead = NULL;
    enum service_result  result = partner_lead(request->service, &request->partner, request->params[0], &lead, &error);

    if (result == SERVICE_OK)
        answer_json(answer, 200, json_pack("{s:o}", "data", lead));
    else
        answer_partner(answer, result, &error);
}

/* What a lead's status may be, in the order that it usually takes; final: nothing follows by itself. */
void
partner_lead_statuses(struct http_request *request, struct http_answer *answer)
{
    static const struct {
        const char *status;
        bool        final;
    } statuses[] = {
        { "unconfirmed", false }, { "new", false },           { "contacted", false }, { "no_answer", false },
        { "qualified", false },   { "not_interested", true }, { "converted", true },  { "rejected", true },
    };
    json_t *data = json_array();

    (void) request;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        json_array_append_new(data, json_pack("{s:s, s:b}", "status", statuses[i].status, "final", statuses[i].final));
    answer_json(answer, 200, json_pack("{s:o}", "data", data));
}

void
partner_stats_show(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    const char          *from = NULL, *to = NULL;
    json_t              *numbers = NULL;
    enum service_result  result = SERVICE_OK;

    for (int i = 0; result == SERVICE_OK && i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "from") == 0)
            from = request->query[i].value;
        else if (strcmp(request->query[i].name, "to") == 0)
            to = request->query[i].value;
        else
            result = service_invalid(&error, request->query[i].name, "is no parameter here");
    }
    if (result == SERVICE_OK)
        result = partner_numbers(request->service, &request->partner, from, to, &numbers, &error);
    if (result == SERVICE_OK)
        answer_json(answer, 200, numbers);
    else
        answer_partner(answer, result, &error);
}

void
partner_autologin_redeem(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "token", NULL };
    struct service_error     error = { .fields = NULL };
    const char              *token;
    json_t                  *identity = NULL;
    enum service_result      result;

    if (!body_only(request, answer, names) || !body_text(request, answer, "token", true, &token))
        return;
    result = partner_autologin(request->service, &request->partner, token, &identity, &error);
    if (result != SERVICE_OK) {
        answer_partner(answer, result, &error);
    } else if (identity != NULL) {
        answer_json(answer, 200, json_pack("{s:o}", "data", identity));
    } else {
        answer_json(answer, 202, json_pack("{s:{s:s}}", "data", "status", "preparing"));
        answer->retry_after_s = 1;
    }
}
