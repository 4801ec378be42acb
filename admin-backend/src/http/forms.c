/* Forms: what is no plain reading or change of them. */
#include "http/http.h"
#include "service/intake.h"

void
form_code(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *code = NULL;
    int64_t              id;
    enum service_result  result;

    if (!request_id(request, answer, 0, "form", &id))
        return;
    result = form_integration(request->service, id, &code, &error);
    answer_object(answer, 200, result, code, &error);
}

void
form_look(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    int64_t              id;
    enum service_result  result;

    if (!request_id(request, answer, 0, "form", &id))
        return;
    result = form_preview(request->service, id, &answer->owned_text, &error);
    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        return;
    }
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
}
