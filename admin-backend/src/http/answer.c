/* Answers: one shape for every object, one for every error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/http.h"

void
answer_json(struct http_answer *answer, int status, json_t *json)
{
    json_decref(answer->json);
    answer->json = json;
    answer->status = status;
    if (json == NULL) {
        answer->status = 500;
        answer->content_type = "application/json";
        answer->text = "{\"error\":{\"code\":\"internal_error\",\"message\":\"The answer could not be made.\","
                       "\"doc_url\":\"/docs/errors#internal_error\"}}";
    }
}

/* doc_url is relative to wherever the product's own docs are served. */
static json_t *
error_object(const char *code, const char *message, json_t *fields)
{
    char    url[96];
    json_t *error;

    snprintf(url, sizeof(url), "/docs/errors#%s", code);
    error = json_pack("{s:s, s:s, s:s}", "code", code, "message", message, "doc_url", url);
    if (fields != NULL)
        json_object_set(error, "fields", fields);
    return json_pack("{s:o}", "error", error);
}

void
answer_error(struct http_answer *answer, int status, const char *code, const char *format, ...)
{
    char    message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    answer_json(answer, status, error_object(code, message, NULL));
}

int
answer_status(enum service_result result)
{
    switch (result) {
    case SERVICE_OK:
        return 200;
    case SERVICE_INVALID:
        return 422;
    case SERVICE_NOT_FOUND:
        return 404;
    case SERVICE_CONFLICT:
        return 409;
    case SERVICE_STALE:
        return 412;
    case SERVICE_FORBIDDEN:
        return 403;
    case SERVICE_UNAVAILABLE:
        return 503;
    case SERVICE_FAILED:
        return 500;
    }
    return 500;
}

void
answer_service(struct http_answer *answer, enum service_result result, struct service_error *error)
{
    answer_json(answer, answer_status(result), error_object(error->code, error->message, error->fields));
    if (result == SERVICE_UNAVAILABLE)
        answer->retry_after_s = 1;
    service_error_clear(error);
}

void
answer_csv(struct http_answer *answer, char *text)
{
    answer->status = 200;
    answer->owned_text = text;
    answer->content_type = "text/csv; charset=utf-8";
}

void
answer_object(struct http_answer *answer, int status, enum service_result result, json_t *object,
              struct service_error *error)
{
    if (result != SERVICE_OK) {
        answer_service(answer, result, error);
        return;
    }
    answer->etag = json_integer_value(json_object_get(object, "version"));
    answer_json(answer, status, object);
}

void
answer_created(const struct http_request *request, struct http_answer *answer, enum service_result result,
               json_t *object, struct service_error *error)
{
    answer_object(answer, 201, result, object, error);
    if (result == SERVICE_OK)
        snprintf(answer->location, sizeof(answer->location), "%.90s/%.20s", request->path,
                 json_string_value(json_object_get(object, "id")));
}
