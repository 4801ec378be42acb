/*
 * view.h - the one representation: how ids, times and money look outside.
 */
#ifndef AFFILIATED_SERVICE_VIEW_H
#define AFFILIATED_SERVICE_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "db/db.h"
#include "tracker_money.h"

json_t *view_id(int64_t id);                                   /* "17"; 0 is null */
json_t *view_time_us(int64_t us);                              /* "2026-11-22T16:58:03.123456Z" */
json_t *view_money(int64_t minor, const char *currency);       /* {"amount":"12.34","currency":"EUR"} */
json_t *view_ppm(int64_t ppm);                                 /* 200000 -> "20" (percent, as a decimal string) */
/* The same from a column; null stays null. */
json_t *view_column_id(struct db_stmt *row, const char *column);
json_t *view_column_time(struct db_stmt *row, const char *column);
json_t *view_column_text(struct db_stmt *row, const char *column);
json_t *view_column_money(struct db_stmt *row, const char *minor_column, const char *currency_column);
/* Raw bytes as an address; null where they are a hash, of which form_column tells. */
json_t *view_column_address(struct db_stmt *row, const char *column, const char *form_column);
json_t *view_column_json(struct db_stmt *row, const char *column); /* parsed; null when it does not parse */

bool view_parse_id(const char *text, int64_t *id);             /* decimal, from 1, no leading zero */
/* RFC 3339, with offset or Z; "2026-11-22" = midnight UTC */
bool view_parse_time_us(const char *text, int64_t *us);
/* "20", "12.5", "0.0001": percent to ppm; at most 4 decimals, 0..100. */
bool view_parse_percent(const char *text, int64_t *ppm);

#endif
