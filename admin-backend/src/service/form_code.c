/* A form in other people's pages: what they copy, and what it looks like. */
#include <stdlib.h>
#include <string.h>

#include "service/form_definition.h"
#include "service/form_page.h"
#include "service/html.h"
#include "service/intake.h"
#include "store/intake.h"

struct looking {
    const struct service *service;
    int64_t               id;
    json_t               *form;
    struct form_row       row;
    bool                  loaded;
};

static enum db_result
look(struct db *db, void *ctx)
{
    struct looking *looking = ctx;
    enum db_result  rc = list_one(db, &form_list, looking->id, &looking->form);

    list_complete(&form_list, looking->form, looking->service);
    if (rc == DB_ROW)
        rc = row_load(db, &form_table, looking->id, &looking->row);
    looking->loaded = rc == DB_ROW;
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

static enum service_result
find(struct looking *looking, struct service_error *error)
{
    enum db_result rc = db_read(looking->service->pool, look, looking);

    if (rc != DB_OK)
        return service_from_db(error, rc, "form");
    if (!looking->loaded)
        return service_refuse(error, SERVICE_NOT_FOUND, "not_found", "There is no such form.");
    return SERVICE_OK;
}

static void
forget(struct looking *looking)
{
    if (looking->loaded)
        row_free(&form_table, &looking->row);
    json_decref(looking->form);
}

static enum service_result
no_memory(struct service_error *error)
{
    return service_refuse(error, SERVICE_UNAVAILABLE, "no_memory", "The server is short of memory; try again.");
}

/* ---- what one copies ---- */

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

static void
put_attribute(struct html *html, const char *name, const char *value)
{
    html_format(html, " %s=\"", name);
    html_text(html, value);
    html_put(html, "\"");
}

static void
write_iframe(struct html *html, const json_t *form)
{
    const char *title = text_of(form, "title");

    if (json_array_size(json_object_get(form, "frame_ancestors")) == 0)
        html_put(html, "<!-- nobody may frame this form yet: name your page's origin in its frame_ancestors -->\n");
    html_put(html, "<iframe");
    put_attribute(html, "src", text_of(form, "url"));
    put_attribute(html, "title", title[0] != '\0' ? title : text_of(form, "name"));
    html_put(html, " width=\"100%\" height=\"640\" loading=\"lazy\" style=\"border:0\"></iframe>\n");
}

static void
write_options(struct html *html, const json_t *field)
{
    json_t *option;
    size_t  i;

    json_array_foreach(json_object_get(field, "options"), i, option) {
        html_put(html, "    <option");
        put_attribute(html, "value", text_of(option, "value"));
        html_put(html, ">");
        html_text(html, text_of(option, "label"));
        html_put(html, "</option>\n");
    }
}

static void
write_control(struct html *html, const json_t *field)
{
    static const struct {
        uint8_t     type;
        const char *open;
    } inputs[] = {
        { TRACKER_FORM_EMAIL, "<input type=\"email\"" },        { TRACKER_FORM_PHONE, "<input type=\"tel\"" },
        { TRACKER_FORM_DATE, "<input type=\"date\"" },          { TRACKER_FORM_SELECT, "<select" },
        { TRACKER_FORM_MULTI, "<select multiple" },             { TRACKER_FORM_HIDDEN, "<input type=\"hidden\"" },
        { TRACKER_FORM_CHECKBOX, "<input type=\"checkbox\" value=\"1\"" },
        { TRACKER_FORM_CONSENT, "<input type=\"checkbox\" value=\"1\"" },
        { TRACKER_FORM_COUNTRY, "<input maxlength=\"2\" placeholder=\"GB\"" },
    };
    uint8_t     type = form_type(text_of(field, "type"));
    const char *open = "<input", *complete = form_autocomplete(text_of(field, "name"));
    bool        select = type == TRACKER_FORM_SELECT || type == TRACKER_FORM_MULTI;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        if (inputs[i].type == type)
            open = inputs[i].open;
    }
    html_put(html, open);
    put_attribute(html, "name", text_of(field, "name"));
    if (type == TRACKER_FORM_HIDDEN)
        put_attribute(html, "value", text_of(field, "value"));
    if (complete != NULL && type != TRACKER_FORM_HIDDEN)
        put_attribute(html, "autocomplete", complete);
    html_put(html, json_is_true(json_object_get(field, "required")) ? " required>" : ">");
    if (!select)
        return;
    html_put(html, "\n");
    write_options(html, field);
    html_put(html, "  </select>");
}

/* A form of one's own page, which needs no script: without our token it is shown once more, filled in, to be sent. */
static void
write_html(struct html *html, const json_t *form)
{
    const json_t *list = json_object_get(form, "fields");
    json_t       *field;
    size_t        i;

    html_put(html, "<form method=\"post\"");
    put_attribute(html, "action", text_of(form, "url"));
    html_put(html, ">\n");
    json_array_foreach(list, i, field) {
        const char *text = text_of(field, "text");
        bool        hidden = form_type(text_of(field, "type")) == TRACKER_FORM_HIDDEN;

        html_put(html, hidden ? "  " : "  <label>");
        if (!hidden)
            html_text(html, text[0] != '\0' ? text : text_of(field, "label"));
        html_put(html, hidden ? "" : " ");
        write_control(html, field);
        html_put(html, hidden ? "\n" : "</label>\n");
    }
    html_put(html, "  <button>");
    html_text(html, text_of(form, "button")[0] != '\0' ? text_of(form, "button") : "Send");
    html_put(html, "</button>\n</form>\n");
}

static const char script[] =
    "<script>\n"
    "// Sends a <form id=\"lead\"> whose inputs are named as the form's fields, from a page that its \"origins\" name.\n"
    "const lead = document.getElementById(\"lead\"), key = crypto.randomUUID();\n"
    "lead.addEventListener(\"submit\", async (event) => {\n"
    "  event.preventDefault();\n"
    "  const data = {};\n"
    "  for (const [name, value] of new FormData(lead)) data[name] = name in data ? [].concat(data[name], value) : value;\n"
    "  const form = \"";
static const char script_end[] =
    "\";\n"
    "  const answer = await fetch(form, {\n"
    "    method: \"POST\",\n"
    "    headers: { \"Content-Type\": \"application/json\", \"Idempotency-Key\": key },\n"
    "    body: JSON.stringify(data),\n"
    "  });\n"
    "  const body = await answer.json();\n"
    "  if (answer.ok) location.href = new URL(body.data.redirect_url, form);\n"
    "  else alert(body.error.message); // body.error.fields says \"missing\" or \"invalid\" by name\n"
    "});\n"
    "</script>\n";

static void
write_script(struct html *html, const json_t *form)
{
    html_put(html, script);
    html_text(html, text_of(form, "url")); /* a URL of ours: letters, digits and marks that a script takes as they are */
    html_put(html, script_end);
}

enum service_result
form_integration(const struct service *service, int64_t id, json_t **object, struct service_error *error)
{
    struct looking      looking = { .service = service, .id = id };
    struct html         iframe = { .text = NULL }, html = { .text = NULL }, code = { .text = NULL };
    enum service_result result = find(&looking, error);

    *object = NULL;
    if (result == SERVICE_OK) {
        write_iframe(&iframe, looking.form);
        write_html(&html, looking.form);
        write_script(&code, looking.form);
        if (!iframe.failed && !html.failed && !code.failed)
            *object = json_pack("{s:O, s:s, s:s, s:s}", "url", json_object_get(looking.form, "url"), "iframe", iframe.text,
                                "html", html.text, "script", code.text);
        if (*object == NULL)
            result = no_memory(error);
    }
    free(iframe.text);
    free(html.text);
    free(code.text);
    forget(&looking);
    return result;
}

/* ---- what it looks like ---- */

/* As an edge shows it first: no token that works, no click. */
static char *
fill(const struct form_pages *pages)
{
    const struct tracker_page_values values = {
        .form = { (const char *) pages->definition, pages->definition_len },
        .token = TRACKER_STR("preview"),
        .click_id = TRACKER_STR_NONE,
        .path = TRACKER_STR("/"),
        .sent = TRACKER_STR_NONE,
    };
    struct tracker_str page = { pages->page, pages->page_len };
    size_t             len = tracker_page_fill(page, &values, NULL, 0);
    char              *text = malloc(len + 1);

    if (text == NULL)
        return NULL;
    tracker_page_fill(page, &values, text, len);
    text[len] = '\0';
    return text;
}

enum service_result
form_preview(const struct service *service, int64_t id, char **page, struct service_error *error)
{
    struct looking      looking = { .service = service, .id = id };
    struct form_pages   pages;
    enum service_result result = find(&looking, error);

    *page = NULL;
    if (result == SERVICE_OK && !form_pages_make(&looking.row, json_object_get(looking.form, "fields"), &pages)) {
        result = service_refuse(error, SERVICE_CONFLICT, "conflict", "The fields of this form make no page: change them.");
    } else if (result == SERVICE_OK) {
        *page = fill(&pages);
        form_pages_free(&pages);
        if (*page == NULL)
            result = no_memory(error);
    }
    forget(&looking);
    return result;
}
