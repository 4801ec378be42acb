/*
 * ngx_http_affiliate_intake.h - what the files share that take leads from the partner API: lead.c, lead_fields.c,
 * lead_answer.c.
 */
#ifndef NGX_HTTP_AFFILIATE_INTAKE_H
#define NGX_HTTP_AFFILIATE_INTAKE_H

#include "ngx_http_affiliate_caller.h"
#include "ngx_http_affiliate_lead.h"

#include <jansson.h>

#define NGX_HTTP_AFFILIATE_INDEX_LEN 5 /* what a batch's key gets for each of its leads: ":" and up to four digits */

/* What becomes of one lead. */
typedef struct {
    const ngx_http_affiliate_error_t *error;       /* why it was not recorded; NULL: it was */
    struct tracker_str                field;       /* which of its fields is to blame; empty: none in particular */
    uint8_t                           content[16]; /* of a recorded one: tracker_lead_content() */
} ngx_http_affiliate_lead_item_t;

/* One request of affiliate_lead from its authentication to its answer, in its pool. */
typedef struct {
    ngx_http_affiliate_caller_t     caller;
    struct tracker_str              key;    /* Idempotency-Key; empty: none */
    ngx_uint_t                      batch;  /* it is one, of however many */
    ngx_uint_t                      n;      /* leads */
    ngx_uint_t                      written;
    ngx_http_affiliate_lead_item_t *items;  /* n of each */
    ngx_http_affiliate_awaited_t   *leads;
    uint64_t                        journal, sequence; /* of the last one written */
} ngx_http_affiliate_intake_t;

/* ---- lead_fields.c: names, values, meaning ---- */

/* Fields that have one value and a meaning; all others are the sender's own. */
typedef enum {
    NGX_HTTP_AFFILIATE_LEAD_EMAIL = 0,
    NGX_HTTP_AFFILIATE_LEAD_PHONE,
    NGX_HTTP_AFFILIATE_LEAD_FIRST_NAME,
    NGX_HTTP_AFFILIATE_LEAD_LAST_NAME,
    NGX_HTTP_AFFILIATE_LEAD_NAME,
    NGX_HTTP_AFFILIATE_LEAD_COUNTRY,
    NGX_HTTP_AFFILIATE_LEAD_LANGUAGE,
    NGX_HTTP_AFFILIATE_LEAD_COUPON,
    NGX_HTTP_AFFILIATE_LEAD_TEST,
    /* from here on not kept as fields */
    NGX_HTTP_AFFILIATE_LEAD_CLICK_ID,
    NGX_HTTP_AFFILIATE_LEAD_REFERRER,
    NGX_HTTP_AFFILIATE_LEAD_IP,
    NGX_HTTP_AFFILIATE_LEAD_USER_AGENT,
    NGX_HTTP_AFFILIATE_LEAD_TS,
    NGX_HTTP_AFFILIATE_LEAD_COUNT
} ngx_http_affiliate_lead_e;

/* A lead in the making.  Texts borrow from the body's JSON, or are in the request's pool. */
typedef struct {
    ngx_http_request_t *request;
    struct tracker_lead lead;
    struct tracker_str  value[NGX_HTTP_AFFILIATE_LEAD_COUNT]; /* len 0: not given */
    struct tracker_str  field; /* to blame, in the pool */
    ngx_uint_t          count; /* of pairs */
    size_t              len;   /* of them */
    u_char              ip[16], kept_ip[16];
    uint8_t             pairs[TRACKER_LEAD_FIELDS_MAX];
} ngx_http_affiliate_draft_t;

/* Empties it, for the next lead. */
void ngx_http_affiliate_draft_begin(ngx_http_affiliate_draft_t *draft, ngx_http_request_t *r);
/* Each adds what it finds.  NULL, or what is wrong; draft->field names whose fault it is. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_form(ngx_http_affiliate_draft_t *draft,
                                                                struct tracker_str form);
/* One value of a name; an array: several. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_take(ngx_http_affiliate_draft_t *draft,
                                                                struct tracker_str name, json_t *value);
/* object is a JSON object. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_json(ngx_http_affiliate_draft_t *draft, json_t *object);
/* Once all is there: is it a lead?  Fills draft->lead but for what says who sent it. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_check(ngx_http_affiliate_draft_t *draft);

/* ---- lead_answer.c ---- */

/* Answers, with what verdicts there are.  What a content handler returns. */
ngx_int_t ngx_http_affiliate_lead_answer(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                         ngx_http_affiliate_intake_t *intake);

#endif
