/* What is sent by itself can be sent again. */
#include "http/http.h"
#include "service/outbox.h"

void
outbox_resend_one(struct http_request *request, struct http_answer *answer)
{
    static const char *const no_names[] = { NULL };
    struct service_error     error = { .fields = NULL };
    json_t                  *entry = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, "outbox entry", &id) || !body_only(request, answer, no_names))
        return;
    result = outbox_resend(request->service, &request->session.actor, id, &entry, &error);
    answer_object(answer, 200, result, entry, &error);
}
