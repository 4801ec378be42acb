/*
 * csv.h - RFC 4180, safe to open in a spreadsheet.
 */
#ifndef AFFILIATED_SERVICE_CSV_H
#define AFFILIATED_SERVICE_CSV_H

#include <jansson.h>
#include <stdio.h>

/* One cell; NULL: empty.  What spreadsheets take for a formula gets a ' in front. */
void csv_cell(FILE *out, const char *text);

/*
 * An array of objects as a table: a column for each member of the first one, money as "12.34 EUR", what else is no
 * scalar as JSON.  Malloc'ed; NULL: no memory.  Without rows it is empty.
 */
char *csv_of(const json_t *rows);

#endif
