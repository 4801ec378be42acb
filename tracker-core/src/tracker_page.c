/*
 * tracker_page.c - prepared pages: their marks checked, and filled in for one request.
 */
#include "tracker_form_internal.h"

#define MARK        '\x01'
#define NUMBER_MAX  9999u
#define NUMBER_NONE UINT32_MAX

/* A mark: what it is, and its numbers (NUMBER_NONE: '*'). */
struct mark {
    char     letter;
    uint32_t first, second;
};

static size_t mark_read(const char *at, const char *end, struct mark *mark);
static size_t number_read(const char *at, const char *end, char stop, uint32_t *number);
static bool mark_fits(const struct mark *mark, struct tracker_str form);

static bool
is_condition(char letter)
{
    return letter == 'R' || letter == 'I' || letter == 'X' || letter == 'N';
}

/* ---- checked once ---- */

bool
tracker_page_check(struct tracker_str page, struct tracker_str form)
{
    const char *at = page.data, *end;
    bool        inside = false;
    struct mark mark;

    if (page.len == 0 || page.len > TRACKER_PAGE_MAX)
        return page.len == 0;
    end = at + page.len;
    while (at < end && (at = memchr(at, MARK, (size_t) (end - at))) != NULL) {
        size_t len = mark_read(at, end, &mark);

        if (len == 0 || !mark_fits(&mark, form))
            return false;
        if (is_condition(mark.letter) ? inside : mark.letter == '.' && !inside)
            return false;
        if (is_condition(mark.letter) || mark.letter == '.')
            inside = !inside;
        at += len;
    }
    return !inside;
}

/* The length of the mark that begins here; 0: it is none. */
static size_t
mark_read(const char *at, const char *end, struct mark *mark)
{
    size_t first, second = 0;

    if (end - at < 2)
        return 0;
    *mark = (struct mark){ .letter = at[1] };
    switch (mark->letter) {
    case 'T':
    case 'C':
    case 'L':
    case '.':
        return 2;
    case 'S':
        first = number_read(at + 2, end, ',', &mark->first);
        if (first != 0)
            second = number_read(at + 2 + first, end, ';', &mark->second);
        return second == 0 ? 0 : 2 + first + second;
    case 'X':
        if (end - at >= 4 && at[2] == '*' && at[3] == ';') {
            mark->first = NUMBER_NONE;
            return 4;
        }
        break;
    case 'V':
    case 'H':
    case 'R':
    case 'I':
    case 'N':
        break;
    default:
        return 0;
    }
    first = number_read(at + 2, end, ';', &mark->first);
    return first == 0 ? 0 : 2 + first;
}

/* One spelling a number, `stop` included in the length; 0: none. */
static size_t
number_read(const char *at, const char *end, char stop, uint32_t *number)
{
    const char *p = at;

    *number = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        *number = *number * 10 + (uint32_t) (*p - '0');
        if (*number > NUMBER_MAX)
            return 0;
    }
    if (p == end || p == at || *p != stop || (*at == '0' && p - at > 1))
        return 0;
    return (size_t) (p - at) + 1;
}

static bool
mark_fits(const struct mark *mark, struct tracker_str form)
{
    struct tracker_form_field field;
    struct tracker_str        option;
    uint32_t                  k = mark->second;

    switch (mark->letter) {
    case 'T':
    case 'C':
    case 'L':
    case '.':
        return true;
    case 'N':
        return mark->first >= TRACKER_PAGE_STALE && mark->first <= TRACKER_PAGE_UNAVAILABLE;
    case 'X':
        if (mark->first == NUMBER_NONE)
            return true;
        break;
    }
    if (mark->first >= tracker_form_count(form))
        return false;

    tracker_form_field(form, mark->first, &field);
    if (mark->letter == 'H')
        return form_type_in(field.type, TYPES_BOX);
    if (mark->letter != 'S')
        return true;
    if (field.type == TRACKER_FORM_COUNTRY)
        return k < 26 * 26;
    while (form_option_next(&field.options, &option))
        if (k-- == 0)
            return true;
    return false;
}

/* ---- filled in ---- */

/* The page in the making, and where the options of the last mark of options were: they come in their order. */
struct filler {
    const struct tracker_page_values *values;
    char    *out;
    size_t   cap, len;
    uint32_t field, option; /* NUMBER_NONE: none yet */
    struct tracker_form_field definition;
    struct tracker_str rest; /* the options from `option` on */
    char     country[2];
};

static void mark_fill(struct filler *f, const struct mark *mark);
static bool condition_holds(const struct tracker_page_values *values, const struct mark *mark);
static bool option_sent(struct filler *f, const struct mark *mark, struct tracker_str *text);
static bool value_sent(struct tracker_str sent, struct tracker_str name, struct tracker_str value);
static void put(struct filler *f, struct tracker_str text);
static void put_escaped(struct filler *f, struct tracker_str text);

size_t
tracker_page_fill(struct tracker_str page, const struct tracker_page_values *values, char *out, size_t cap)
{
    struct filler f = { .values = values, .out = out, .cap = out == NULL ? 0 : cap, .field = NUMBER_NONE };
    const char   *at = page.data, *end = page.len == 0 ? at : at + page.len;
    bool          shown = true;
    struct mark   mark;

    while (at < end) {
        const char *next = memchr(at, MARK, (size_t) (end - at));

        if (shown)
            put(&f, (struct tracker_str){ at, (size_t) ((next == NULL ? end : next) - at) });
        if (next == NULL)
            break;
        at = next + mark_read(next, end, &mark);
        if (is_condition(mark.letter))
            shown = condition_holds(values, &mark);
        else if (mark.letter == '.')
            shown = true;
        else if (shown)
            mark_fill(&f, &mark);
    }
    return f.len;
}

static bool
condition_holds(const struct tracker_page_values *values, const struct mark *mark)
{
    if (mark->letter == 'N')
        return values->notice == mark->first;
    if (values->faults == NULL)
        return false;
    if (mark->first == NUMBER_NONE) {
        for (unsigned i = tracker_form_count(values->form); i > 0; i--)
            if (values->faults[i - 1] != TRACKER_FORM_FINE)
                return true;
        return false;
    }
    uint8_t fault = values->faults[mark->first];
    return mark->letter == 'R'   ? fault == TRACKER_FORM_MISSING
           : mark->letter == 'I' ? fault == TRACKER_FORM_INVALID
                                 : fault != TRACKER_FORM_FINE;
}

static void
mark_fill(struct filler *f, const struct mark *mark)
{
    const struct tracker_page_values *values = f->values;
    struct tracker_str                text;

    switch (mark->letter) {
    case 'T':
        put_escaped(f, values->token);
        return;
    case 'C':
        put_escaped(f, values->click_id);
        return;
    case 'L':
        put_escaped(f, values->path);
        return;
    }
    if (values->sent.len == 0)
        return;
    if (f->field != mark->first) {
        tracker_form_field(values->form, mark->first, &f->definition);
        f->field = mark->first;
        f->option = NUMBER_NONE;
    }
    if (mark->letter == 'V') {
        if (tracker_pairs_find(values->sent, f->definition.name, &text))
            put_escaped(f, text);
    } else if (mark->letter == 'H') {
        if (tracker_pairs_find(values->sent, f->definition.name, &text) && form_box_ticked(form_trim(text)))
            put(f, TRACKER_STR(" checked"));
    } else if (option_sent(f, mark, &text) && value_sent(values->sent, f->definition.name, text)) {
        put(f, f->definition.type == TRACKER_FORM_MULTI ? TRACKER_STR(" checked") : TRACKER_STR(" selected"));
    }
}

/* The option of the mark; f->definition is its field. */
static bool
option_sent(struct filler *f, const struct mark *mark, struct tracker_str *text)
{
    if (f->definition.type == TRACKER_FORM_COUNTRY) {
        f->country[0] = (char) ('A' + mark->second / 26);
        f->country[1] = (char) ('A' + mark->second % 26);
        *text = (struct tracker_str){ f->country, sizeof(f->country) };
        return true;
    }
    if (f->option == NUMBER_NONE || f->option > mark->second) {
        f->option = 0;
        f->rest = f->definition.options;
    }
    for (;; f->option++) {
        struct tracker_str before = f->rest;

        if (!form_option_next(&f->rest, text))
            return false;
        if (f->option == mark->second) {
            f->rest = before; /* a page may ask twice */
            return true;
        }
    }
}

static bool
value_sent(struct tracker_str sent, struct tracker_str name, struct tracker_str value)
{
    struct tracker_str other, text;

    while (tracker_pairs_next(&sent, &other, &text) == 1)
        if (tracker_str_eq(other, name) && tracker_str_eq(form_trim(text), value))
            return true;
    return false;
}

static void
put(struct filler *f, struct tracker_str text)
{
    size_t room = f->cap > f->len ? f->cap - f->len : 0;

    if (text.len > 0 && room > 0)
        memcpy(f->out + f->len, text.data, text.len < room ? text.len : room);
    f->len += text.len;
}

static void
put_escaped(struct filler *f, struct tracker_str text)
{
    if (text.len == 0)
        return;
    for (size_t i = 0, from = 0; i <= text.len; i++) {
        struct tracker_str entity = TRACKER_STR_NONE;

        if (i < text.len) {
            switch (text.data[i]) {
            case '&':
                entity = TRACKER_STR("&amp;");
                break;
            case '<':
                entity = TRACKER_STR("&lt;");
                break;
            case '>':
                entity = TRACKER_STR("&gt;");
                break;
            case '"':
                entity = TRACKER_STR("&quot;");
                break;
            case '\'':
                entity = TRACKER_STR("&#39;");
                break;
            default:
                continue;
            }
        }
        put(f, (struct tracker_str){ text.data + from, i - from });
        put(f, entity);
        from = i + 1;
    }
}
