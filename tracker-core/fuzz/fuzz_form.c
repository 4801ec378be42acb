/*
 * fuzz_form.c - any bytes as a compiled form, as a definition that a manager writes, as a submission and as a page.
 *
 * The input is up to three texts with a zero byte between: a form, pairs, a page.  A form that begins with '=' is a
 * definition, a line a field: type as a letter from 'A', flags as a digit, name, then '/' and the pattern or ':' and the
 * options with bars between; anything else is taken as compiled.  The page is tried with a form of its own, too.
 * Held against every input: what compiles passes the check and is read as it was; what passes is what compiles; what is
 * kept of a submission is judged as fine once more and stays as it is; count and copy of a page agree, and no markup of
 * a value's comes through.
 */
#include <stdlib.h>

#include "tracker_form.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tracker_str
part(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *zero = *at < end ? memchr(*at, 0, (size_t) (end - *at)) : NULL, *stop = zero != NULL ? zero : end;
    struct tracker_str text = { (const char *) *at, (size_t) (stop - *at) };

    *at = zero != NULL ? zero + 1 : end;
    return text;
}

static void
field_of(struct tracker_str line, struct tracker_form_field *field, char *options)
{
    size_t name = 2;

    *field = (struct tracker_form_field){ .type = (uint8_t) (line.data[0] - 'A'), .required = (line.data[1] & 1) != 0,
                                          .has_min = (line.data[1] & 2) != 0, .has_max = (line.data[1] & 4) != 0,
                                          .min = 2, .max = 20 };
    while (name < line.len && line.data[name] != '/' && line.data[name] != ':')
        name++;
    field->name = (struct tracker_str){ line.data + 2, name - 2 };
    if (name == line.len)
        return;
    if (line.data[name] == '/') {
        field->pattern = (struct tracker_str){ line.data + name + 1, line.len - name - 1 };
        return;
    }
    for (size_t i = name + 1; i < line.len; i++)
        options[i - name - 1] = line.data[i] == '|' ? '\n' : line.data[i];
    field->options = (struct tracker_str){ options, line.len - name - 1 };
}

/* The compiled definition, or none. */
static struct tracker_str
compile(struct tracker_str text, uint8_t *out)
{
    static char options[TRACKER_FORM_FIELDS_MAX][4096];
    struct tracker_form_field fields[TRACKER_FORM_FIELDS_MAX], again;
    unsigned count = 0, at;
    const char *error;

    while (text.len > 0 && count < TRACKER_FORM_FIELDS_MAX) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline != NULL ? (size_t) (newline - text.data) : text.len;

        if (len >= 3 && len < sizeof(options[0])) {
            field_of((struct tracker_str){ text.data, len }, &fields[count], options[count]);
            count++;
        }
        len += newline != NULL;
        text = (struct tracker_str){ text.data + len, text.len - len };
    }
    int len = tracker_form_compile(fields, count, out, TRACKER_FORM_MAX, &error, &at);
    MUST((len < 0) == (error != NULL) && (error == NULL || at <= count));
    if (len < 0)
        return TRACKER_STR_NONE;

    struct tracker_str form = { (const char *) out, (size_t) len };
    MUST(tracker_form_check(form) && tracker_form_count(form) == count);
    for (unsigned i = 0; i < count; i++) {
        tracker_form_field(form, i, &again);
        MUST(tracker_str_eq(again.name, fields[i].name) && again.type == fields[i].type);
        MUST(tracker_str_eq(again.pattern, fields[i].pattern) && tracker_str_eq(again.options, fields[i].options));
    }
    return form;
}

/* What passes the check is what the compiler writes. */
static void
check_again(struct tracker_str form)
{
    static uint8_t out[TRACKER_FORM_MAX];
    struct tracker_form_field fields[TRACKER_FORM_FIELDS_MAX];
    unsigned count = tracker_form_count(form), at;
    const char *error;

    for (unsigned i = 0; i < count; i++)
        tracker_form_field(form, i, &fields[i]);
    MUST(tracker_form_compile(fields, count, out, sizeof(out), &error, &at) == (int) form.len);
    MUST(memcmp(out, form.data, form.len) == 0);
}

static void
judge(struct tracker_str form, struct tracker_str pairs, uint8_t *faults)
{
    static uint8_t kept[TRACKER_LEAD_FIELDS_MAX], twice[TRACKER_LEAD_FIELDS_MAX];
    uint8_t again[TRACKER_FORM_FIELDS_MAX];
    size_t len, len_twice;

    if (!tracker_form_judge(form, pairs, kept, sizeof(kept), &len, faults))
        return;
    struct tracker_str once = { (const char *) kept, len };
    MUST(tracker_form_judge(form, once, twice, sizeof(twice), &len_twice, again));
    MUST(len_twice == len && memcmp(kept, twice, len) == 0);
}

static void
fill(struct tracker_str page, struct tracker_str form, struct tracker_str sent, const uint8_t *faults)
{
    struct tracker_page_values values = { .form = form, .token = TRACKER_STR("T"), .path = TRACKER_STR("<"),
                                          .sent = sent, .faults = faults };

    if (!tracker_page_check(page, form))
        return;
    size_t len = tracker_page_fill(page, &values, NULL, 0);
    if (len > 1u << 22)
        return;
    char *exact = malloc(len + 1);
    MUST(tracker_page_fill(page, &values, exact, len) == len);
    if (page.len == 0 || memchr(page.data, '<', page.len) == NULL)
        MUST(memchr(exact, '<', len) == NULL);
    free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t own[4096], compiled[TRACKER_FORM_MAX];
    static const char definition[] = "B1name\nG0plan:a|b|\nH0topics:a|b|c|\nJ0terms\nL0country";
    const uint8_t *at = data, *end = data + size;
    uint8_t faults[TRACKER_FORM_FIELDS_MAX] = { 0 };
    struct tracker_str form = part(&at, end), pairs = part(&at, end), page = { (const char *) at, (size_t) (end - at) };
    struct tracker_str known = TRACKER_STR_NONE;

    if (tracker_form_check((struct tracker_str){ (const char *) data, size }))
        check_again((struct tracker_str){ (const char *) data, size });

    form = form.len > 0 && form.data[0] == '=' ? compile((struct tracker_str){ form.data + 1, form.len - 1 }, compiled)
                                               : TRACKER_STR_NONE;
    if (!tracker_pairs_check(pairs))
        pairs = TRACKER_STR_NONE;
    if (form.len > 0) {
        judge(form, pairs, faults);
        fill(page, form, pairs, faults);
    }
    known = compile(TRACKER_STR(definition), own);
    MUST(known.len > 0);
    judge(known, pairs, faults);
    fill(page, known, pairs, faults);
    return 0;
}
