/* The page behind the link of a double opt-in's mail: looking does nothing, the button confirms. */
#include <stdio.h>

#include "http/http.h"
#include "service/lead_confirm.h"

typedef enum service_result (*confirm_step)(const struct service *, const char *, enum lead_confirmation *,
                                            const struct confirm_words **, struct service_error *);

/* PAGE_HEAD is no format: its % are CSS's. */
static void
answer_words(struct http_answer *answer, int status, const char *language, const char *title, const char *text,
             const char *button)
{
    int len = asprintf(&answer->owned_text, "<!doctype html><html lang=%s>%s<title>%s</title><h1>%s</h1><p>%s</p>%s%s%s",
                       language, PAGE_HEAD, title, title, text, button == NULL ? "" : "<form method=post><button>",
                       button == NULL ? "" : button, button == NULL ? "" : "</button></form>");

    if (len < 0)
        answer->owned_text = NULL;
    answer_html(answer, status, "");
}

static void
follow(struct http_request *request, struct http_answer *answer, confirm_step step)
{
    struct service_error        error = { .fields = NULL };
    enum lead_confirmation      state;
    const struct confirm_words *words;
    enum service_result         result = step(request->service, request->params[0], &state, &words, &error);

    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        return;
    }
    switch (state) {
    case LEAD_CONFIRM_WAITS:
        answer_words(answer, 200, words->language, words->subject, words->question, words->button);
        break;
    case LEAD_CONFIRM_DONE:
        answer_words(answer, 200, words->language, words->done_title, words->done, NULL);
        break;
    case LEAD_CONFIRM_OVER:
        answer_words(answer, 404, words->language, words->over_title, words->over, NULL);
        break;
    }
}

void
confirm_page(struct http_request *request, struct http_answer *answer)
{
    follow(request, answer, lead_confirm_look);
}

void
confirm_submit(struct http_request *request, struct http_answer *answer)
{
    follow(request, answer, lead_confirm);
}
