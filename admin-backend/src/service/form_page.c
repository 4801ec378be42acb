#include "service/form_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/confirm_words.h"
#include "service/form_definition.h"
#include "service/form_style.h"
#include "service/form_words.h"
#include "service/html.h"
#include "store/intake.h"

#define WAIT_S 2 /* between two questions of a page that waits */

/* What every field's writer needs. */
struct page {
    struct html              html;
    const struct form_text  *form;
    const struct form_words *words;
};

/* One field while it is written; n is its number, which marks and ids have. */
struct part {
    unsigned      n;
    uint8_t       type;
    const json_t *json;
    const char   *name, *label, *help; /* help NULL: none */
    bool          required;
};

static void write_form(struct page *page);
static void write_summary(struct page *page);
static void write_field(struct page *page, const struct part *part);

/* ---- the frame ---- */

static const char *
text_or(const char *text, const char *otherwise)
{
    return text[0] == '\0' ? otherwise : text;
}

static void
put_element(struct html *html, const char *open, const char *text, const char *close)
{
    html_put(html, open);
    html_text(html, text);
    html_put(html, close);
}

static void
begin(struct page *page, const char *title, bool refreshes)
{
    struct html *html = &page->html;

    html_format(html, "<!doctype html>\n<html lang=\"%s\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n",
                page->words->language);
    html_put(html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"robots\" content=\"noindex, nofollow\">\n");
    if (refreshes)
        html_format(html, "<meta http-equiv=\"refresh\" content=\"%d\">\n", WAIT_S);
    put_element(html, "<title>", title, "</title>\n<style>");
    form_style(html, page->form->theme);
    html_put(html, "</style>\n</head>\n<body>\n<main>\n");
}

static void
end(struct page *page)
{
    html_put(&page->html, "</main>\n</body>\n</html>\n");
}

/* The title's place on a page that nobody gave one: what the button says. */
static const char *
title_of(const struct page *page)
{
    return text_or(page->form->title, text_or(page->form->button, page->words->button));
}

static void
write_fill(struct page *page)
{
    begin(page, title_of(page), false);
    put_element(&page->html, "<h1>", title_of(page), "</h1>\n");
    if (page->form->intro[0] != '\0')
        put_element(&page->html, "<p class=\"intro\">", page->form->intro, "</p>\n");
    write_summary(page);
    write_form(page);
    end(page);
}

static void
write_done(struct page *page)
{
    begin(page, page->words->done_title, false);
    put_element(&page->html, "<div role=\"status\">\n<h1>", page->words->done_title, "</h1>\n");
    put_element(&page->html, "<p class=\"message\">", text_or(page->form->success_message, page->words->done),
                "</p>\n</div>\n");
    end(page);
}

static void
write_wait(struct page *page)
{
    begin(page, page->words->wait_title, true);
    put_element(&page->html, "<div role=\"status\">\n<h1>", page->words->wait_title, "</h1>\n");
    put_element(&page->html, "<p class=\"message\">", page->words->wait, "</p>\n</div>\n");
    put_element(&page->html, "<p><a href=\"\">", page->words->again, "</a></p>\n");
    end(page);
}

char *
form_page(const struct form_text *form, enum form_page_kind kind, size_t *len)
{
    struct page page = { .form = form, .words = form_words(form->language) };

    switch (kind) {
    case FORM_PAGE_FILL:
        write_fill(&page);
        break;
    case FORM_PAGE_DONE:
        write_done(&page);
        break;
    case FORM_PAGE_WAIT:
        write_wait(&page);
        break;
    }
    *len = page.html.len;
    if (page.html.failed) {
        free(page.html.text);
        return NULL;
    }
    return page.html.text;
}

/* ---- what is wrong ---- */

static struct part
part_at(const struct form_text *form, unsigned n)
{
    const json_t *json = json_array_get(form->fields, n);
    struct part   part = { .n = n, .json = json };

    part.type = form_type(json_string_value(json_object_get(json, "type")));
    part.name = json_string_value(json_object_get(json, "name"));
    part.label = json_string_value(json_object_get(json, "label"));
    part.help = json_string_value(json_object_get(json, "help"));
    part.required = json_is_true(json_object_get(json, "required"));
    if (part.label == NULL)
        part.label = "";
    if (part.help != NULL && part.help[0] == '\0')
        part.help = NULL;
    return part;
}

static unsigned
parts(const struct form_text *form)
{
    return (unsigned) json_array_size(form->fields);
}

static void
write_notice(struct page *page, int notice, const char *text)
{
    html_format(&page->html, "\1N%d;", notice);
    put_element(&page->html, "<p class=\"notice\" role=\"alert\">", text, "</p>\n\1.");
}

/* A link to the field, or for several boxes to the first of them. */
static void
write_fault(struct page *page, const struct part *part, char mark, const char *what)
{
    html_format(&page->html, "\1%c%u;<li><a href=\"#f%u%s\">", mark, part->n, part->n,
                part->type == TRACKER_FORM_MULTI ? "-0" : "");
    put_element(&page->html, "", part->label, ": ");
    put_element(&page->html, "", what, "</a></li>\n\1.");
}

static void
write_summary(struct page *page)
{
    write_notice(page, TRACKER_PAGE_STALE, page->words->stale);
    write_notice(page, TRACKER_PAGE_BUSY, page->words->busy);
    write_notice(page, TRACKER_PAGE_UNAVAILABLE, page->words->unavailable);

    put_element(&page->html, "\1X*;<div class=\"summary\" role=\"alert\" aria-labelledby=\"summary\""
                            " tabindex=\"-1\" autofocus>\n<h2 id=\"summary\">",
                page->words->errors, "</h2>\n<ul>\n\1.");
    for (unsigned n = 0; n < parts(page->form); n++) {
        struct part part = part_at(page->form, n);

        if (part.type == TRACKER_FORM_HIDDEN)
            continue;
        write_fault(page, &part, 'R', form_words_missing(page->words, part.type));
        write_fault(page, &part, 'I', form_words_invalid(page->words, part.type));
    }
    html_put(&page->html, "\1X*;</ul>\n</div>\n\1.");
}

/* ---- fields ---- */

static void
write_form(struct page *page)
{
    struct html *html = &page->html;

    html_put(html, "<form method=\"post\" novalidate>\n<input type=\"hidden\" name=\"_token\" value=\"\1T\">\n"
                   "<input type=\"hidden\" name=\"click_id\" value=\"\1C\">\n");
    for (unsigned n = 0; n < parts(page->form); n++) {
        struct part part = part_at(page->form, n);

        write_field(page, &part);
    }
    /* For programs that fill in whatever they find; nobody sees it, hears it or gets there by keyboard. */
    html_put(html, "<div class=\"trap\" aria-hidden=\"true\"><label for=\"trap\">");
    put_element(html, "", page->words->trap,
                "</label><input id=\"trap\" name=\"_website\" tabindex=\"-1\" autocomplete=\"off\"></div>\n");
    put_element(html, "<button>", text_or(page->form->button, page->words->button), "</button>\n</form>\n");
}

static void
put_attribute(struct html *html, const char *name, const char *value)
{
    html_format(html, " %s=\"", name);
    html_text(html, value);
    html_put(html, "\"");
}

/* What an optional field says; what is required says nothing, being what people expect. */
static void
write_label_text(struct page *page, const struct part *part, const char *text)
{
    html_text(&page->html, text);
    if (!part->required)
        put_element(&page->html, " <span class=\"optional\">(", page->words->optional, ")</span>");
}

static void
write_help(struct page *page, const struct part *part)
{
    struct html *html = &page->html;

    if (part->help != NULL) {
        html_format(html, "<p class=\"help\" id=\"h%u\">", part->n);
        put_element(html, "", part->help, "</p>\n");
    }
    html_format(html, "\1R%u;<p class=\"error\" id=\"e%u\">", part->n, part->n);
    put_element(html, "", form_words_missing(page->words, part->type), "</p>\n\1.");
    html_format(html, "\1I%u;<p class=\"error\" id=\"e%u\">", part->n, part->n);
    put_element(html, "", form_words_invalid(page->words, part->type), "</p>\n\1.");
}

static void
put_described(struct html *html, const struct part *part)
{
    if (part->help != NULL)
        html_format(html, " aria-describedby=\"h%u\1X%u; e%u\1.\"", part->n, part->n, part->n);
    else
        html_format(html, "\1X%u; aria-describedby=\"e%u\"\1.", part->n, part->n);
}

/* id, name, whether it is required, what describes it. */
static void
put_common(struct html *html, const struct part *part)
{
    html_format(html, " id=\"f%u\"", part->n);
    put_attribute(html, "name", part->name);
    if (part->required)
        html_put(html, " required");
    put_described(html, part);
    html_format(html, "\1X%u; aria-invalid=\"true\"\1.", part->n);
}

static void
write_label(struct page *page, const struct part *part)
{
    html_format(&page->html, "<div class=\"field\">\n<label for=\"f%u\">", part->n);
    write_label_text(page, part, part->label);
    html_put(&page->html, "</label>\n");
    write_help(page, part);
}

const char *
form_autocomplete(const char *name)
{
    static const struct {
        const char *name, *token;
    } known[] = {
        { "email", "email" },          { "phone", "tel" },    { "first_name", "given-name" },
        { "last_name", "family-name" }, { "name", "name" },   { "country", "country" },
        { "language", "language" },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name) == 0)
            return known[i].token;
    }
    return NULL;
}

static void
put_autocomplete(struct html *html, const char *name)
{
    if (form_autocomplete(name) != NULL)
        put_attribute(html, "autocomplete", form_autocomplete(name));
}

static const char *
input_type(uint8_t type)
{
    switch ((enum tracker_form_type) type) {
    case TRACKER_FORM_EMAIL:
        return "email\" inputmode=\"email";
    case TRACKER_FORM_PHONE:
        return "tel\" inputmode=\"tel";
    case TRACKER_FORM_DATE:
        return "date";
    case TRACKER_FORM_NUMBER:
        return "text\" inputmode=\"decimal";
    case TRACKER_FORM_TEXT:
    case TRACKER_FORM_SELECT:
    case TRACKER_FORM_MULTI:
    case TRACKER_FORM_CHECKBOX:
    case TRACKER_FORM_CONSENT:
    case TRACKER_FORM_HIDDEN:
    case TRACKER_FORM_COUNTRY:
        break;
    }
    return "text";
}

static void
write_input(struct page *page, const struct part *part)
{
    struct html  *html = &page->html;
    const json_t *placeholder = json_object_get(part->json, "placeholder"), *max = json_object_get(part->json, "max");

    write_label(page, part);
    html_format(html, "<input type=\"%s\"", input_type(part->type));
    put_common(html, part);
    put_autocomplete(html, part->name);
    if (json_string_length(placeholder) > 0)
        put_attribute(html, "placeholder", json_string_value(placeholder));
    if (part->type == TRACKER_FORM_TEXT && json_integer_value(max) > 0)
        html_format(html, " maxlength=\"%lld\"", (long long) json_integer_value(max));
    if (part->type == TRACKER_FORM_DATE && json_is_string(max))
        put_attribute(html, "max", json_string_value(max));
    if (part->type == TRACKER_FORM_DATE && json_is_string(json_object_get(part->json, "min")))
        put_attribute(html, "min", json_string_value(json_object_get(part->json, "min")));
    html_format(html, " value=\"\1V%u;\">\n</div>\n", part->n);
}

static void
write_choice(struct page *page, const struct part *part)
{
    struct html       *html = &page->html;
    struct tracker_str code, name;
    json_t            *option;
    size_t             k;

    write_label(page, part);
    html_put(html, "<select");
    put_common(html, part);
    put_autocomplete(html, part->name);
    put_element(html, ">\n<option value=\"\">", page->words->choose, "</option>\n");
    json_array_foreach(json_object_get(part->json, "options"), k, option) {
        html_put(html, "<option");
        put_attribute(html, "value", json_string_value(json_object_get(option, "value")));
        html_format(html, "\1S%u,%zu;>", part->n, k);
        put_element(html, "", json_string_value(json_object_get(option, "label")), "</option>\n");
    }
    for (unsigned i = 0; part->type == TRACKER_FORM_COUNTRY && tracker_country(i, &code, &name); i++) {
        html_format(html, "<option value=\"%.2s\"\1S%u,%d;>", code.data, part->n,
                    26 * (code.data[0] - 'A') + code.data[1] - 'A');
        html_bytes(html, name.data, name.len);
        html_put(html, "</option>\n");
    }
    html_put(html, "</select>\n</div>\n");
}

static void
write_boxes(struct page *page, const struct part *part)
{
    struct html *html = &page->html;
    json_t      *option;
    size_t       k;

    html_format(html, "<fieldset class=\"field\1X%u; bad\1.\"", part->n);
    put_described(html, part);
    html_put(html, ">\n<legend>");
    write_label_text(page, part, part->label);
    html_put(html, "</legend>\n");
    write_help(page, part);
    json_array_foreach(json_object_get(part->json, "options"), k, option) {
        html_format(html, "<div class=\"box\"><input type=\"checkbox\" id=\"f%u-%zu\"", part->n, k);
        put_attribute(html, "name", part->name);
        put_attribute(html, "value", json_string_value(json_object_get(option, "value")));
        html_format(html, "\1S%u,%zu;><label for=\"f%u-%zu\">", part->n, k, part->n, k);
        put_element(html, "", json_string_value(json_object_get(option, "label")), "</label></div>\n");
    }
    html_put(html, "</fieldset>\n");
}

/* A consent's label is for the summary; what people agree to stands beside the box. */
static void
write_box(struct page *page, const struct part *part)
{
    struct html *html = &page->html;
    const char  *text = json_string_value(json_object_get(part->json, "text"));

    html_put(html, "<div class=\"field\">\n");
    write_help(page, part);
    html_put(html, "<div class=\"box\"><input type=\"checkbox\" value=\"1\"");
    put_common(html, part);
    html_format(html, "\1H%u;><label for=\"f%u\">", part->n, part->n);
    write_label_text(page, part, text != NULL ? text : part->label);
    html_put(html, "</label></div>\n</div>\n");
}

static void
write_hidden(struct page *page, const struct part *part)
{
    const char *value = json_string_value(json_object_get(part->json, "value"));

    html_put(&page->html, "<input type=\"hidden\"");
    put_attribute(&page->html, "name", part->name);
    put_attribute(&page->html, "value", value != NULL ? value : "");
    html_put(&page->html, ">\n");
}

static void
write_field(struct page *page, const struct part *part)
{
    switch ((enum tracker_form_type) part->type) {
    case TRACKER_FORM_TEXT:
    case TRACKER_FORM_EMAIL:
    case TRACKER_FORM_PHONE:
    case TRACKER_FORM_NUMBER:
    case TRACKER_FORM_DATE:
        write_input(page, part);
        break;
    case TRACKER_FORM_SELECT:
    case TRACKER_FORM_COUNTRY:
        write_choice(page, part);
        break;
    case TRACKER_FORM_MULTI:
        write_boxes(page, part);
        break;
    case TRACKER_FORM_CHECKBOX:
    case TRACKER_FORM_CONSENT:
        write_box(page, part);
        break;
    case TRACKER_FORM_HIDDEN:
        write_hidden(page, part);
        break;
    }
}

/* ---- all of them ---- */

static bool
make_page(const struct form_text *text, enum form_page_kind kind, struct tracker_str definition, char **page, size_t *len)
{
    *page = form_page(text, kind, len);
    return *page != NULL && *len <= TRACKER_PAGE_MAX
           && tracker_page_check((struct tracker_str){ *page, *len }, definition);
}

bool
form_pages_make(const struct form_row *row, const json_t *fields, struct form_pages *pages)
{
    char              complaint[FIELD_COMPLAINT_MAX];
    json_t           *theme = json_loads(row->theme, 0, NULL);
    bool              says_nothing = row->confirm != 0 && row->success_message[0] == '\0';
    const char       *success = says_nothing ? confirm_words(row->language)->mailed : row->success_message;
    struct form_text  text = { row->language, row->title, row->intro, row->button, success, fields, theme };
    struct tracker_str definition;
    bool              good;

    *pages = (struct form_pages){ .definition = NULL };
    good = form_compile(fields, &pages->definition, &pages->definition_len, complaint);
    definition = (struct tracker_str){ (const char *) pages->definition, pages->definition_len };
    good = good && make_page(&text, FORM_PAGE_FILL, definition, &pages->page, &pages->page_len)
           && make_page(&text, FORM_PAGE_DONE, definition, &pages->done, &pages->done_len)
           && make_page(&text, FORM_PAGE_WAIT, definition, &pages->wait, &pages->wait_len);
    json_decref(theme);
    if (!good)
        form_pages_free(pages);
    return good;
}

void
form_pages_free(struct form_pages *pages)
{
    free(pages->definition);
    free(pages->page);
    free(pages->done);
    free(pages->wait);
    *pages = (struct form_pages){ .definition = NULL };
}
