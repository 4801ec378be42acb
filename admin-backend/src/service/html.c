#include "service/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
append(struct html *html, const char *bytes, size_t len)
{
    size_t cap = html->cap == 0 ? 4096 : html->cap;
    char  *grown;

    if (html->failed)
        return;
    while (cap < html->len + len + 1)
        cap *= 2;
    if (cap != html->cap) {
        grown = realloc(html->text, cap);
        if (grown == NULL) {
            html->failed = true;
            return;
        }
        html->text = grown;
        html->cap = cap;
    }
    memcpy(html->text + html->len, bytes, len);
    html->len += len;
    html->text[html->len] = '\0';
}

void
html_put(struct html *html, const char *markup)
{
    append(html, markup, strlen(markup));
}

void
html_format(struct html *html, const char *format, ...)
{
    char    piece[1024];
    va_list args;
    int     len;

    va_start(args, format);
    len = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    if (len < 0 || (size_t) len >= sizeof(piece))
        html->failed = true;
    else
        append(html, piece, (size_t) len);
}

static const char *
entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default: /* a character, no enumeration */
        return NULL;
    }
}

void
html_bytes(struct html *html, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *escaped = entity(text[i]);
        bool        control = ((unsigned char) text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f;

        if (escaped != NULL)
            html_put(html, escaped);
        else if (!control)
            append(html, text + i, 1);
    }
}

void
html_text(struct html *html, const char *text)
{
    html_bytes(html, text, strlen(text));
}
