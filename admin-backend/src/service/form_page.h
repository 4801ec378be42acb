/*
 * form_page.h - the pages of a form, as edges serve them: prepared text with marks (tracker_form.h).
 *
 * They need no script, and come with one style element and no style attribute, so that a policy of
 * default-src 'none' with that style's hash is enough.  WCAG 2.2 AA: every field has a label, groups are fieldsets, what
 * is wrong stands beside the field and, as a link, in a summary at the top; contrast holds in light and in dark.
 */
#ifndef AFFILIATED_SERVICE_FORM_PAGE_H
#define AFFILIATED_SERVICE_FORM_PAGE_H

#include <jansson.h>

#include "service/fields.h"

/* Borrowed; texts of people, which are escaped wherever they go. */
struct form_text {
    const char   *language, *title, *intro, *button, *success_message; /* "": the language's own, or none */
    const json_t *fields; /* of a definition that compiles */
    const json_t *theme;  /* theme_read() took it */
};

enum form_page_kind {
    FORM_PAGE_FILL, /* to fill in */
    FORM_PAGE_DONE, /* when it was sent */
    FORM_PAGE_WAIT  /* while the platform prepares; asks again by itself */
};

/* malloc'ed text of *len bytes, a NUL after it; NULL: no memory. */
char *form_page(const struct form_text *form, enum form_page_kind kind, size_t *len);

/* All of a form's, with the definition they belong to: what a snapshot has of it. */
struct form_row;
struct form_pages {
    uint8_t *definition;
    char    *page, *done, *wait;
    size_t   definition_len, page_len, done_len, wait_len;
};
/* fields: row->fields, parsed. False: it does not compile, a page is too long, or no memory; nothing is owned then. */
bool form_pages_make(const struct form_row *row, const json_t *fields, struct form_pages *pages);
void form_pages_free(struct form_pages *pages);

/* A field reader: {"accent":"#0a6cff","radius":0..24,"scheme":"auto|light|dark"}, each may be left out. */
bool theme_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* What browsers fill in by themselves into a field of that name ("given-name"); NULL: nothing. */
const char *form_autocomplete(const char *name);

#endif
