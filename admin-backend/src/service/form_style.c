#include "service/form_style.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/form_page.h"

#define ACCENT     0x0a5cd6u
#define RADIUS     8
#define RADIUS_MAX 24

/* Contrast with --bg: text 15, muted 6, line (of fields) above 3, bad above 5, in both. */
#define LIGHT "--bg:#fff;--text:#1b1f24;--muted:#57606a;--line:#6e7781;--field:#fff;--bad:#b3261e;--bad-bg:#fdf0ef"
#define DARK  "--bg:#14171a;--text:#eceff1;--muted:#a8b1ba;--line:#8b949e;--field:#1c2126;--bad:#ff9d94;--bad-bg:#3a1d1b"

static const char sheet[] =
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--text);font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif;"
    "overflow-wrap:anywhere}"
    "main{max-width:34rem;margin:0 auto;padding:1.5rem 1rem 2.5rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem;text-wrap:balance}"
    "h2{font-size:1.125rem;line-height:1.3;margin:0 0 .5rem}"
    "p{margin:0 0 .5rem}"
    ".intro,.message{color:var(--muted);white-space:pre-line;margin:0 0 1.5rem}"
    ".field{border:0;margin:0 0 1.25rem;padding:0;min-width:0}"
    "label,legend{display:block;font-weight:600;margin:0 0 .25rem;padding:0}"
    ".optional,.help{color:var(--muted);font-weight:400;font-size:.9375rem}"
    ".error{color:var(--bad);font-weight:600}"
    "input,select,button{font:inherit;border-radius:var(--radius)}"
    "input,select{display:block;width:100%;min-height:2.75rem;padding:.5rem .75rem;color:inherit;background:var(--field);"
    "border:1px solid var(--line)}"
    "::placeholder{color:var(--muted);opacity:1}"
    "[aria-invalid]{border:2px solid var(--bad)}"
    ".bad{border-inline-start:4px solid var(--bad);padding-inline-start:.75rem}"
    ".box{display:flex;gap:.75rem;align-items:flex-start;padding:.5rem 0}"
    ".box input{flex:none;width:1.5rem;height:1.5rem;min-height:0;margin:0;padding:0;accent-color:var(--accent)}"
    ".box [aria-invalid]{outline:2px solid var(--bad);outline-offset:2px}"
    ".box label{font-weight:400;margin:0;white-space:pre-line}"
    ".summary,.notice{border:2px solid var(--bad);border-radius:var(--radius);background:var(--bad-bg);padding:1rem;"
    "margin:0 0 1.5rem}"
    ".summary ul{margin:0;padding-inline-start:1.25rem}"
    ".summary li{padding:.25rem 0}"
    "a{color:inherit}"
    "button{width:100%;min-height:3rem;padding:.625rem 1.5rem;font-weight:600;cursor:pointer;color:var(--on-accent);"
    "background:var(--accent);border:1px solid var(--line)}"
    "button:hover{filter:brightness(.94)}"
    ":focus-visible{outline:3px solid var(--text);outline-offset:2px}"
    ".summary:focus{outline:0}" /* the page puts it there; nobody acts on it */
    ".trap{position:absolute;left:-10000px;top:auto;width:1px;height:1px;overflow:hidden}";

/* "#rrggbb", exactly. */
static bool
read_colour(const char *text, unsigned *colour)
{
    if (text == NULL || strlen(text) != 7 || text[0] != '#' || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return false;
    return sscanf(text + 1, "%x", colour) == 1;
}

/* A channel's light in millionths: a cubic within 0.002 of sRGB's own curve. */
static int64_t
linear(unsigned channel)
{
    int64_t x = (int64_t) channel * 1000000 / 255;

    return x * (12523 + x * (682171 + x * 305306 / 1000000) / 1000000) / 1000000;
}

/* White or black, whichever stands out more: at least 4.5 to 1 on any colour (WCAG 2.2, 1.4.3). */
static const char *
text_on(unsigned colour)
{
    int64_t light = (2126 * linear(colour >> 16 & 0xff) + 7152 * linear(colour >> 8 & 0xff) + 722 * linear(colour & 0xff))
                    / 10000;

    return light > 179129 ? "#000" : "#fff";
}

void
form_style(struct html *html, const json_t *theme)
{
    const char   *scheme = json_string_value(json_object_get(theme, "scheme"));
    const json_t *radius = json_object_get(theme, "radius");
    unsigned      accent = ACCENT;
    bool          light = scheme != NULL && strcmp(scheme, "light") == 0, dark = scheme != NULL && strcmp(scheme, "dark") == 0;

    read_colour(json_string_value(json_object_get(theme, "accent")), &accent);
    html_format(html, ":root{color-scheme:%s;--accent:#%06x;--on-accent:%s;--radius:%dpx;%s}",
                light ? "light" : dark ? "dark" : "light dark", accent & 0xffffff, text_on(accent),
                json_is_integer(radius) ? (int) json_integer_value(radius) : RADIUS, dark ? DARK : LIGHT);
    if (!light && !dark)
        html_put(html, "@media (prefers-color-scheme:dark){:root{" DARK "}}");
    html_put(html, sheet);
}

bool
theme_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const json_t *accent = json_object_get(json, "accent"), *radius = json_object_get(json, "radius");
    const json_t *scheme = json_object_get(json, "scheme");
    const char   *word = json_string_value(scheme);
    unsigned      colour;

    snprintf(complaint, FIELD_COMPLAINT_MAX,
             "is no {\"accent\":\"#rrggbb\",\"radius\":0..%d,\"scheme\":\"auto|light|dark\"}, each of which may be left out",
             RADIUS_MAX);
    if (!json_is_object(json)
        || json_object_size(json) != (size_t) (accent != NULL) + (size_t) (radius != NULL) + (size_t) (scheme != NULL)
        || (accent != NULL && !read_colour(json_string_value(accent), &colour))
        || (radius != NULL
            && (!json_is_integer(radius) || json_integer_value(radius) < 0 || json_integer_value(radius) > RADIUS_MAX))
        || (scheme != NULL
            && (word == NULL || (strcmp(word, "auto") != 0 && strcmp(word, "light") != 0 && strcmp(word, "dark") != 0))))
        return false;
    value->text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    return value->text != NULL;
}
