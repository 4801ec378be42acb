#include "service/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void
csv_cell(FILE *out, const char *text)
{
    bool formula;

    if (text == NULL)
        return;
    formula = text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
    if (!formula && strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    if (formula)
        putc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void
cell(FILE *out, const json_t *value)
{
    const char *amount = json_string_value(json_object_get(value, "amount"));
    const char *currency = json_string_value(json_object_get(value, "currency"));
    char       *text;

    if (value == NULL || json_is_null(value))
        return;
    if (json_is_string(value)) {
        csv_cell(out, json_string_value(value));
    } else if (amount != NULL && currency != NULL) {
        fprintf(out, "%s %s", amount, currency); /* our own: a number may be negative */
    } else {
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (json_is_number(value))
            fputs(text == NULL ? "" : text, out);
        else
            csv_cell(out, text);
        free(text);
    }
}

static void
line(FILE *out, json_t *columns, const json_t *row)
{
    const char *name;
    json_t     *unused;
    bool        first = true;

    json_object_foreach(columns, name, unused) {
        if (!first)
            putc(',', out);
        first = false;
        if (row == NULL)
            csv_cell(out, name);
        else
            cell(out, json_object_get(row, name));
    }
    (void) unused;
    fputs("\r\n", out);
}

char *
csv_of(const json_t *rows)
{
    char   *text = NULL;
    size_t  len, i;
    json_t *row, *columns = json_array_get(rows, 0);
    FILE   *out = open_memstream(&text, &len);
    bool    failed;

    if (out == NULL)
        return NULL;
    if (columns != NULL)
        line(out, columns, NULL);
    json_array_foreach(rows, i, row) {
        line(out, columns, row);
    }
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
