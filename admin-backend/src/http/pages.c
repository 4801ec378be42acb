/* The few pages that the daemon has of its own, and what operators ask it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "service/catalog.h"
#include "service/trader.h"
#include "tracker_url.h"

static const char openapi_text[] =
#include "openapi.h"
    ;

#define STYLE "<!doctype html><html lang=en>" PAGE_HEAD

void
answer_html(struct http_answer *answer, int status, const char *html)
{
    answer->status = status;
    answer->text = html;
    answer->content_type = "text/html; charset=utf-8";
}

void
welcome_page(struct http_request *request, struct http_answer *answer)
{
    (void) request;
    answer_html(answer, 200,
                STYLE "<title>Affiliate platform</title><h1>Affiliate platform</h1>"
                      "<p>It runs. What is where:</p><ul>"
                      "<li><code>/c/&lt;code&gt;</code> clicks</li>"
                      "<li><code>/postback</code>, <code>POST /api/v1/conversions</code> conversions</li>"
                      "<li><code>/api/admin/v1/</code> the staff's API: "
                      "<a href=\"/api/openapi.yaml\">its description</a></li>"
                      "<li><a href=\"/affiliate/status\">/affiliate/status</a> the edge, "
                      "<a href=\"/readyz\">/readyz</a> the daemon</li></ul>");
}

void
health(struct http_request *request, struct http_answer *answer)
{
    (void) request;
    answer_json(answer, 200, json_pack("{s:s}", "status", "ok"));
}

static bool
database_answers(const struct service *service)
{
    struct service_error error = { .fields = NULL };
    json_t              *settings = NULL;
    bool                 answers = settings_get(service, &settings, &error) == SERVICE_OK;

    json_decref(settings);
    service_error_clear(&error);
    return answers;
}

void
readiness(struct http_request *request, struct http_answer *answer)
{
    bool database = database_answers(request->service);
    bool wire = request->ready == NULL || request->ready(request->ready_ctx);
    bool ready = database && wire;

    answer->retry_after_s = ready ? 0 : 1;
    answer_json(answer, ready ? 200 : 503,
                json_pack("{s:s, s:b, s:b}", "status", ready ? "ready" : "not_ready", "database", database, "redis",
                          wire));
}

void
openapi_document(struct http_request *request, struct http_answer *answer)
{
    (void) request;
    answer->status = 200;
    answer->text = openapi_text;
    answer->content_type = "application/yaml";
}

/* ---- the first start ---- */

void
setup_page(struct http_request *request, struct http_answer *answer)
{
    (void) request;
    /* The form posts to its own address: the secret stands in no page. */
    answer_html(answer, 200,
                STYLE "<title>Set up</title><h1>The first administrator</h1><form method=post>"
                      "<label>E-mail address<input name=email type=email required autocomplete=username></label>"
                      "<label>Password, at least 12 characters"
                      "<input name=password type=password minlength=12 required autocomplete=new-password></label>"
                      "<button>Create</button></form>");
}

/* {"email","password"} of an urlencoded form.  JSON wipes what it frees (app/json_memory.h); the rest is wiped here. */
static json_t *
form_body(const struct http_request *request)
{
    struct tracker_str rest = { request->raw, request->raw_len }, name, value;
    char               text[512];
    json_t            *body = json_object();

    while (tracker_query_next(&rest, &name, &value)) {
        size_t len = tracker_url_decode(value, text, sizeof(text));

        if (tracker_str_eq(name, TRACKER_STR("email")))
            json_object_set_new(body, "email", json_stringn(text, len));
        else if (tracker_str_eq(name, TRACKER_STR("password")))
            json_object_set_new(body, "password", json_stringn(text, len));
    }
    explicit_bzero(text, sizeof(text));
    return body;
}

/* What went wrong, for a person: our own sentences, no input echoed. */
static void
answer_form(struct http_answer *answer, enum service_result result, const struct service_error *error,
            const char *title, const char *done)
{
    const char *field = json_object_iter_key(json_object_iter(error->fields));
    const char *complaint = field == NULL ? error->message : json_string_value(json_object_get(error->fields, field));

    if (result == SERVICE_OK) {
        answer_html(answer, 201, done);
        return;
    }
    if (field != NULL && strcmp(field, "email") != 0 && strcmp(field, "password") != 0)
        field = "form";
    if (asprintf(&answer->owned_text,
                 "%s<title>%s</title><h1>That did not work</h1><p>%s%s%s</p><p><a href=\"\">Try again</a></p>",
                 STYLE, title, field == NULL ? "" : field, field == NULL ? "" : ": ", complaint) < 0)
        answer->owned_text = NULL;
    answer_html(answer, answer_status(result), "");
}

void
setup_submit(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    bool                 form = request_is_form(request);
    json_t              *body = form ? form_body(request) : json_incref(request->body), *object = NULL;
    enum service_result  result = setup_accept(request->service, request->params[0], body, &object, &error);

    json_decref(body);
    if (!form) {
        answer_object(answer, 201, result, object, &error);
        return;
    }
    json_decref(object);
    answer_form(answer, result, &error, "Set up",
                STYLE "<title>Done</title><h1>Done</h1><p>Log in by <code>POST /api/admin/v1/session</code>.</p>");
    service_error_clear(&error);
}

/* ---- a trader's own password ---- */

void
invite_page(struct http_request *request, struct http_answer *answer)
{
    (void) request;
    answer_html(answer, 200,
                STYLE "<title>Your password</title><h1>Choose your password</h1><form method=post>"
                      "<label>Password, at least 12 characters"
                      "<input name=password type=password minlength=12 required autocomplete=new-password></label>"
                      "<button>Save</button></form>");
}

void
invite_submit(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "password", NULL };
    struct service_error     error = { .fields = NULL };
    bool                     form = request_is_form(request);
    json_t                  *body = form ? form_body(request) : NULL;
    const char              *password = json_string_value(json_object_get(body, "password"));
    enum service_result      result;

    if (!form
        && (!body_only(request, answer, names) || !body_text(request, answer, "password", true, &password)))
        return;
    result = trader_accept(request->service, request->params[0], password, &error);
    if (form)
        answer_form(answer, result, &error, "Your password",
                    STYLE "<title>Done</title><h1>Done</h1><p>Your password is set. You may close this page.</p>");
    else if (result == SERVICE_OK)
        answer->status = 204;
    else
        answer_service(answer, result, &error);
    json_decref(body);
    service_error_clear(&error);
}
