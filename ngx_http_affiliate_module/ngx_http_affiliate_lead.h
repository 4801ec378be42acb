/*
 * ngx_http_affiliate_lead.h - leads, from the API (lead.c) or a form: into the journal, and their verdicts back.
 */
#ifndef NGX_HTTP_AFFILIATE_LEAD_H
#define NGX_HTTP_AFFILIATE_LEAD_H

#include "ngx_http_affiliate.h"

#include "tracker_lead.h"

/* Encodes a lead into the money journal.  NGX_ERROR: the journal refused it, which is counted. */
ngx_int_t ngx_http_affiliate_lead_append(const struct tracker_lead *lead, uint64_t now_ms, uint64_t *journal,
                                         uint64_t *sequence);

/* ---- verdict.c ---- */

/* Called once, on the event loop.  verdict NULL: none has come within the time.  It answers and finalizes the request;
 * posted requests are run afterwards. */
typedef void (*ngx_http_affiliate_verdict_pt)(ngx_http_request_t *r, void *data,
                                              const struct tracker_verdict *verdict);

/*
 * Waits for the verdict on a lead that is on disk, `wait` milliseconds at most.  The caller holds a reference on
 * the request, as for ngx_http_affiliate_await_sync.  When the request dies first the handler is not called.
 * NGX_OK: waiting.  Anything else: not waiting, nothing will be called, and the answer is what it is without a verdict:
 * NGX_DECLINED: nothing is to be waited for (wait 0, Redis is not connected, nobody decides).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_affiliate_await_verdict(ngx_http_request_t *r, const uint8_t id[TRACKER_LEAD_ID_LEN],
                                           ngx_msec_t wait, ngx_http_affiliate_verdict_pt handler, void *data);

/* A lead of several. */
typedef struct {
    uint8_t                id[TRACKER_LEAD_ID_LEN];
    ngx_uint_t             settled; /* has its verdict, or (as the caller says) there will be none */
    struct tracker_verdict verdict; /* zero: none */
} ngx_http_affiliate_awaited_t;

typedef void (*ngx_http_affiliate_verdicts_pt)(ngx_http_request_t *r, void *data);

/* The same for n leads at once, which live as long as the request; handler finds there what has come. */
ngx_int_t ngx_http_affiliate_await_verdicts(ngx_http_request_t *r, ngx_http_affiliate_awaited_t *leads, ngx_uint_t n,
                                            ngx_msec_t wait, ngx_http_affiliate_verdicts_pt handler, void *data);

#endif
