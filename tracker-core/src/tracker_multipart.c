/*
 * tracker_multipart.c - a body of multipart/form-data, part by part; any bytes are safe.
 */
#include "tracker_multipart.h"

#include <strings.h>

/* A header's value being read: what is left of it. */
struct words {
    const char *at, *end;
};

static const char *delimiter_find(const struct tracker_multipart *m, const char *from);
static bool delimiter_end(struct tracker_multipart *m, const char *after);
static enum tracker_multipart_verdict headers_read(const char **at, const char *end, struct tracker_str *name);
static enum tracker_multipart_verdict header_read(struct tracker_str field, struct tracker_str value,
                                                  struct tracker_str *name);
static enum tracker_multipart_verdict disposition_read(struct tracker_str value, struct tracker_str *name);
static bool charset_fits(struct tracker_str value);
static bool param_next(struct words *w, struct tracker_str *name, struct tracker_str *value, bool *good);
static struct tracker_str word_take(struct words *w, const char *stops);
static bool quoted_take(struct words *w, struct tracker_str *value);
static void blanks_skip(struct words *w);
static bool boundary_valid(struct tracker_str boundary);

static bool
is_word(struct tracker_str text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

bool
tracker_multipart_type(struct tracker_str content_type, struct tracker_str *boundary)
{
    struct words       w = { content_type.data, content_type.data + content_type.len };
    struct tracker_str name, value;
    bool               good = true;

    *boundary = TRACKER_STR_NONE;
    if (content_type.len == 0 || !is_word(word_take(&w, "; \t"), "multipart/form-data"))
        return false;
    while (param_next(&w, &name, &value, &good)) {
        if (!is_word(name, "boundary"))
            continue;
        if (boundary->len != 0) /* two of them: which would the sender mean? */
            good = false;
        *boundary = value;
    }
    if (!good || !boundary_valid(*boundary))
        *boundary = TRACKER_STR_NONE;
    return true;
}

/* RFC 2046, 5.1.1 */
static bool
boundary_valid(struct tracker_str boundary)
{
    if (boundary.len == 0 || boundary.len > TRACKER_BOUNDARY_MAX || boundary.data[boundary.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < boundary.len; i++) {
        char c = boundary.data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
            && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL))
            return false;
    }
    return true;
}

enum tracker_multipart_verdict
tracker_multipart_begin(struct tracker_multipart *m, struct tracker_str boundary, struct tracker_str body)
{
    *m = (struct tracker_multipart){ .boundary = boundary, .at = body.data, .end = body.data };

    if (boundary.len == 0 || body.len == 0)
        return TRACKER_MULTIPART_MALFORMED;
    m->end = body.data + body.len;

    const char *after = delimiter_find(m, body.data);
    if (after == NULL || !delimiter_end(m, after))
        return TRACKER_MULTIPART_MALFORMED;
    return m->at == NULL ? TRACKER_MULTIPART_END : TRACKER_MULTIPART_PART;
}

enum tracker_multipart_verdict
tracker_multipart_next(struct tracker_multipart *m, struct tracker_str *name, struct tracker_str *value)
{
    enum tracker_multipart_verdict verdict;

    if (m->at == NULL)
        return TRACKER_MULTIPART_END;

    verdict = headers_read(&m->at, m->end, name);
    if (verdict != TRACKER_MULTIPART_PART)
        return verdict;

    /* the CRLF that ends the headers may be the delimiter's own: then the value is empty */
    const char *start = m->at, *after = delimiter_find(m, start - 2);
    if (after == NULL)
        return TRACKER_MULTIPART_MALFORMED;
    const char *stop = after - m->boundary.len - 4;
    *value = (struct tracker_str){ start, stop > start ? (size_t) (stop - start) : 0 };
    return delimiter_end(m, after) ? TRACKER_MULTIPART_PART : TRACKER_MULTIPART_MALFORMED;
}

/* ---- delimiters ---- */

/* The byte behind the next "--boundary" that begins a line, from `from` on, which begins one or a CRLF; NULL: none. */
static const char *
delimiter_find(const struct tracker_multipart *m, const char *from)
{
    const char *at = from;

    while ((size_t) (m->end - at) >= m->boundary.len + 2) {
        const char *dash = memmem(at, (size_t) (m->end - at), m->boundary.data, m->boundary.len);

        if (dash == NULL)
            return NULL;
        at = dash + 1;
        if (dash - from < 2 || dash[-1] != '-' || dash[-2] != '-')
            continue;
        if (dash - from == 2 || (dash - from >= 4 && dash[-3] == '\n' && dash[-4] == '\r'))
            return dash + m->boundary.len;
    }
    return NULL;
}

/* What stands behind a boundary: its line's end, or "--" for the last one.  False: neither. */
static bool
delimiter_end(struct tracker_multipart *m, const char *after)
{
    bool last = m->end - after >= 2 && after[0] == '-' && after[1] == '-';

    if (last)
        after += 2;
    while (after < m->end && (*after == ' ' || *after == '\t'))
        after++;
    if (last && after == m->end) {
        m->at = NULL;
        return true;
    }
    if (m->end - after < 2 || after[0] != '\r' || after[1] != '\n')
        return false;
    m->at = last ? NULL : after + 2;
    return true;
}

/* ---- headers of a part ---- */

/* Moves *at behind the empty line. */
static enum tracker_multipart_verdict
headers_read(const char **at, const char *end, struct tracker_str *name)
{
    const char *first = *at, *p = first;

    *name = TRACKER_STR_NONE;
    for (;;) {
        const char *stop = memmem(p, (size_t) (end - p), "\r\n", 2);

        if (stop == NULL || stop + 2 - first > TRACKER_PART_HEADER_MAX)
            return TRACKER_MULTIPART_MALFORMED;
        if (stop == p) {
            *at = p + 2;
            return name->data != NULL ? TRACKER_MULTIPART_PART : TRACKER_MULTIPART_MALFORMED;
        }

        const char *colon = memchr(p, ':', (size_t) (stop - p));
        if (colon == NULL || colon == p || memchr(p, '\0', (size_t) (stop - p)) != NULL)
            return TRACKER_MULTIPART_MALFORMED;
        enum tracker_multipart_verdict verdict =
            header_read((struct tracker_str){ p, (size_t) (colon - p) },
                        (struct tracker_str){ colon + 1, (size_t) (stop - colon - 1) }, name);
        if (verdict != TRACKER_MULTIPART_PART)
            return verdict;
        p = stop + 2;
    }
}

/* PART: it may stand there.  A line that goes on with a blank has no field name: nobody sends that any more. */
static enum tracker_multipart_verdict
header_read(struct tracker_str field, struct tracker_str value, struct tracker_str *name)
{
    struct words w = { value.data, value.data + value.len };

    if (memchr(field.data, ' ', field.len) != NULL || memchr(field.data, '\t', field.len) != NULL)
        return TRACKER_MULTIPART_MALFORMED;
    if (is_word(field, "content-disposition"))
        return name->data == NULL ? disposition_read(value, name) : TRACKER_MULTIPART_MALFORMED;
    if (is_word(field, "content-type"))
        return charset_fits(value) ? TRACKER_MULTIPART_PART : TRACKER_MULTIPART_ENCODED;
    if (is_word(field, "content-transfer-encoding")) {
        blanks_skip(&w);
        struct tracker_str encoding = word_take(&w, "; \t");
        return is_word(encoding, "7bit") || is_word(encoding, "8bit") || is_word(encoding, "binary")
                   ? TRACKER_MULTIPART_PART : TRACKER_MULTIPART_ENCODED;
    }
    return TRACKER_MULTIPART_PART;
}

static enum tracker_multipart_verdict
disposition_read(struct tracker_str value, struct tracker_str *name)
{
    struct words       w = { value.data, value.data + value.len };
    struct tracker_str param, text;
    bool               file = false, good = true;

    blanks_skip(&w);
    if (!is_word(word_take(&w, "; \t"), "form-data"))
        return TRACKER_MULTIPART_MALFORMED;
    while (param_next(&w, &param, &text, &good)) {
        if (is_word(param, "filename") || is_word(param, "filename*"))
            file = true;
        else if (is_word(param, "name")) {
            if (name->data != NULL)
                good = false;
            *name = text;
        }
    }
    if (!good || name->data == NULL)
        return TRACKER_MULTIPART_MALFORMED;
    return file ? TRACKER_MULTIPART_FILE : TRACKER_MULTIPART_PART;
}

static bool
charset_fits(struct tracker_str value)
{
    struct words       w = { value.data, value.data + value.len };
    struct tracker_str param, text;
    bool               good = true;

    blanks_skip(&w);
    word_take(&w, "; \t");
    while (param_next(&w, &param, &text, &good))
        if (is_word(param, "charset") && !is_word(text, "utf-8") && !is_word(text, "us-ascii"))
            return false;
    return good;
}

/* ---- "; name=value; name="value"" ---- */

/* False: no more, or *good is false then. */
static bool
param_next(struct words *w, struct tracker_str *name, struct tracker_str *value, bool *good)
{
    blanks_skip(w);
    if (w->at == w->end)
        return false;
    if (*w->at != ';') {
        *good = false;
        return false;
    }
    w->at++;
    blanks_skip(w);
    if (w->at == w->end) /* a semicolon at the end */
        return false;

    *name = word_take(w, "=; \t");
    if (name->len == 0 || w->at == w->end || *w->at != '=') {
        *good = false;
        return false;
    }
    w->at++;
    if (w->at < w->end && *w->at == '"') {
        *good = *good && quoted_take(w, value);
        return *good;
    }
    *value = word_take(w, "; \t\"");
    return true;
}

static struct tracker_str
word_take(struct words *w, const char *stops)
{
    const char *first = w->at;

    while (w->at < w->end && (*w->at == '\0' || strchr(stops, *w->at) == NULL))
        w->at++;
    return (struct tracker_str){ first, (size_t) (w->at - first) };
}

/* Browsers write a quote as %22, others as \": both stay as they stand. */
static bool
quoted_take(struct words *w, struct tracker_str *value)
{
    const char *first = ++w->at;

    for (; w->at < w->end && *w->at != '"'; w->at++)
        if (*w->at == '\\' && w->end - w->at >= 2)
            w->at++;
    if (w->at == w->end)
        return false;
    *value = (struct tracker_str){ first, (size_t) (w->at - first) };
    w->at++;
    return true;
}

static void
blanks_skip(struct words *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t'))
        w->at++;
}
