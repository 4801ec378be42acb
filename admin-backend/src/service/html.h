/*
 * html.h - a page that grows, and the one place where text becomes HTML.
 */
#ifndef AFFILIATED_SERVICE_HTML_H
#define AFFILIATED_SERVICE_HTML_H

#include <stdbool.h>
#include <stddef.h>

struct html {
    char  *text;   /* owned by whoever began it; ends with a NUL */
    size_t len, cap;
    bool   failed; /* out of memory: what comes after is not kept */
};

/* Ours: as it is. */
void html_put(struct html *html, const char *markup);
void html_format(struct html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * Somebody else's, for an element or a quoted attribute: & < > " ' become entities; control characters but newline and
 * tab are left out, so that no mark of a page (tracker_form.h) can be among them.
 */
void html_text(struct html *html, const char *text);
void html_bytes(struct html *html, const char *text, size_t len);

#endif
