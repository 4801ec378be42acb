/* What is done with a trader besides creating and editing one. */
#include "http/http.h"
#include "service/trader.h"

typedef enum service_result (*trader_step)(const struct service *, const struct actor *, int64_t, json_t **,
                                           struct service_error *);

static void
act(struct http_request *request, struct http_answer *answer, trader_step step)
{
    static const char *const no_names[] = { NULL };
    struct service_error     error = { .fields = NULL };
    json_t                  *trader = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "trader", &id) || !body_only(request, answer, no_names))
        return;
    result = step(request->service, &request->session.actor, id, &trader, &error);
    answer_object(answer, 201, result, trader, &error);
}

void
trader_invite_one(struct http_request *request, struct http_answer *answer)
{
    act(request, answer, trader_invite);
}

void
trader_account_one(struct http_request *request, struct http_answer *answer)
{
    act(request, answer, trader_account);
}

void
trader_affiliate_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "name", "email", "status", "group_id", "commission", "api_user_id", "agent_id",
                                         "notes", NULL };
    struct service_error     error = { .fields = NULL };
    json_t                  *affiliate = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "trader", &id) || !body_only(request, answer, names))
        return;
    result = trader_affiliate(request->service, &request->session.actor, id, request->body, &affiliate, &error);
    answer_object(answer, 201, result, affiliate, &error);
}
