/*
 * ngx_http_affiliate_postback.h - what the files that take conversions share: conversion.c, batch.c, pixel.c,
 * fields.c, check.c.
 */
#ifndef NGX_HTTP_AFFILIATE_POSTBACK_H
#define NGX_HTTP_AFFILIATE_POSTBACK_H

#include "ngx_http_affiliate_caller.h"

#include <jansson.h>

typedef struct ngx_http_affiliate_batch_s ngx_http_affiliate_batch_t;

/* One request of affiliate_conversion from its authentication to its answer, in its pool. */
typedef struct {
    ngx_http_affiliate_caller_t caller;
    ngx_http_affiliate_batch_t *batch;    /* NULL: one conversion */
    uint64_t                    journal;
    uint64_t                    sequence; /* of the last one written */
} ngx_http_affiliate_postback_t;

/* ---- fields.c: names ---- */

/* In the order of enum values: as they are stored by name in the parser. */
typedef enum {
    NGX_HTTP_AFFILIATE_FIELD_CLICK_ID = 0,
    NGX_HTTP_AFFILIATE_FIELD_COUPON,
    NGX_HTTP_AFFILIATE_FIELD_CUSTOMER,
    NGX_HTTP_AFFILIATE_FIELD_EVENT,
    NGX_HTTP_AFFILIATE_FIELD_AMOUNT,
    NGX_HTTP_AFFILIATE_FIELD_AMOUNT_MINOR,
    NGX_HTTP_AFFILIATE_FIELD_CURRENCY,
    NGX_HTTP_AFFILIATE_FIELD_TXID,
    NGX_HTTP_AFFILIATE_FIELD_STATUS,
    NGX_HTTP_AFFILIATE_FIELD_REFUND_ID,
    NGX_HTTP_AFFILIATE_FIELD_EVENT_TIME,
    NGX_HTTP_AFFILIATE_FIELD_TS,
    NGX_HTTP_AFFILIATE_FIELD_P1,
    NGX_HTTP_AFFILIATE_FIELD_COUNT = NGX_HTTP_AFFILIATE_FIELD_P1 + TRACKER_CONVERSION_PS
} ngx_http_affiliate_field_e;

typedef struct {
    struct tracker_str value[NGX_HTTP_AFFILIATE_FIELD_COUNT]; /* decoded, in the pool; len 0: not given */
    ngx_uint_t         twice;                                 /* one was given two values; the first counts */
} ngx_http_affiliate_fields_t;

/* The parameter of that name or alias of ours; NGX_HTTP_AFFILIATE_FIELD_COUNT: none. */
ngx_http_affiliate_field_e ngx_http_affiliate_field_find(struct tracker_str name);

/* Each adds what it finds; a field given before keeps its value.  NULL, or why the request is bad. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_fields_form(ngx_http_request_t *r,
                                                                 ngx_http_affiliate_fields_t *fields,
                                                                 struct tracker_str form);
/* object is a JSON object. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_fields_json(ngx_http_request_t *r,
                                                                 ngx_http_affiliate_fields_t *fields,
                                                                 json_t *object);

/* alias.c: their values become ours (affiliate_value), what is missing gets its default (affiliate_default). */
ngx_int_t ngx_http_affiliate_fields_translate(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields);

/* ---- check.c: meaning ---- */

/* Of a signed request: its `ts`, if it names one, is of now; and nothing is there twice. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_verify_fields(const ngx_http_affiliate_caller_t *caller,
                                                                   const ngx_http_affiliate_fields_t *fields);
/* Checks the fields and fills what they say into the event.  now_ms bounds event_time. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_fields_check(const ngx_http_affiliate_fields_t *fields,
                                                                  const struct tracker_keys *keys,
                                                                  struct tracker_str program_currency,
                                                                  uint64_t now_ms,
                                                                  struct tracker_conversion *event);

/* ---- conversion.c ---- */

/* Checks and writes one conversion of a postback into the money journal.  NULL: it is written, not yet synced. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_conversion_write(ngx_http_request_t *r,
                                                                      ngx_http_affiliate_postback_t *postback,
                                                                      ngx_http_affiliate_fields_t *fields);
/* Encodes an event into a journal of that kind.  NGX_ERROR: the journal refused it, which is counted. */
ngx_int_t ngx_http_affiliate_conversion_append(enum tracker_journal_kind kind,
                                               const struct tracker_conversion *event, uint64_t now_ms,
                                               uint64_t *journal, uint64_t *sequence);

/* ---- batch.c ---- */

/* The array of conversions in a body's JSON, borrowed; NULL: it is a single one. */
json_t *ngx_http_affiliate_batch_items(json_t *root);
/* Writes every item that is good; NULL: batch_answer says which.  root is the body. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_batch_write(ngx_http_request_t *r,
                                                                 ngx_http_affiliate_postback_t *postback,
                                                                 json_t *root, json_t *items);
/* How many were written. */
ngx_uint_t ngx_http_affiliate_batch_written(const ngx_http_affiliate_batch_t *batch);
ngx_int_t ngx_http_affiliate_batch_answer(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx);

#endif
