/*
 * ngx_http_affiliate_form.h - one request for a web form, from its key to its answer: form.c, form_page.c, form_body.c,
 * form_submit.c, form_after.c, form_script.c.
 */
#ifndef NGX_HTTP_AFFILIATE_FORM_H
#define NGX_HTTP_AFFILIATE_FORM_H

#include "ngx_http_affiliate_postback.h"

#include "tracker_token.h"

/* In the request's pool; rows and texts borrow from the snapshot, which is pinned when the request waits. */
typedef struct {
    ngx_http_request_t             *request;
    ngx_http_affiliate_loc_conf_t  *conf;
    ngx_http_affiliate_main_conf_t *main;
    ngx_http_affiliate_ctx_t       *ctx;
    const struct tracker_snapshot  *snapshot;
    struct tracker_form_row         row;
    struct tracker_program_row      program;
    uint64_t                        now_ms;
    struct tracker_str              path;       /* of the form, escaped as a URL's */
    struct tracker_str              click_id;   /* verified, or empty */
    struct tracker_str              origin;     /* of a page whose scripts may send the form; else empty */
    unsigned                        consents:1; /* to be known by his cookie and address */
    unsigned                        script:1;   /* asks for JSON */

    /* of a submission */
    unsigned                        proven:1;   /* it came with a token of this form */
    uint32_t                        flags;      /* enum tracker_lead_flag */
    uint64_t                        shown_ms;
    uint8_t                         nonce[TRACKER_NONCE_LEN];
    struct tracker_str              token;      /* as it was sent */
    struct tracker_str              key;        /* idempotency key of the lead; empty: none */
    struct tracker_str              sent;       /* tracker_pairs: what the form asks for, as it came */
    struct tracker_str              kept;       /* the same, cleaned */
    uint8_t                         faults[TRACKER_FORM_FIELDS_MAX];
    uint8_t                         lead[TRACKER_LEAD_ID_LEN];
} ngx_http_affiliate_form_t;

/* ---- form_page.c: for people ---- */

/* Each answers, and returns what a content handler returns. */

/* The form to be filled in, for the first time. */
ngx_int_t ngx_http_affiliate_form_show(ngx_http_affiliate_form_t *form);
/* The same once more with what was sent, for a notice (enum tracker_page_notice), or 0 for the faults of its fields. */
ngx_int_t ngx_http_affiliate_form_show_again(ngx_http_affiliate_form_t *form, ngx_uint_t status, uint8_t notice);
/* It was sent. */
ngx_int_t ngx_http_affiliate_form_done(ngx_http_affiliate_form_t *form);
/* It was sent, and comes back for the verdict by itself. */
ngx_int_t ngx_http_affiliate_form_wait(ngx_http_affiliate_form_t *form);
/* 303 to a path of ours or a URL. */
ngx_int_t ngx_http_affiliate_form_redirect(ngx_http_affiliate_form_t *form, ngx_str_t *url);
/* A short page of the edge's own, or JSON for scripts.  Also for a request whose form was not found (row.id 0). */
ngx_int_t ngx_http_affiliate_form_refuse(ngx_http_affiliate_form_t *form, const ngx_http_affiliate_error_t *error);

/* ---- form_submit.c, form_body.c: what is sent ---- */

/* Content handler's half for POST. */
ngx_int_t ngx_http_affiliate_form_post(ngx_http_affiliate_form_t *form);
/* What the headers say of the body, before it is read. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_form_body_admit(ngx_http_request_t *r);
/* Whether it is JSON. */
ngx_uint_t ngx_http_affiliate_form_body_json(ngx_http_request_t *r);
/* The body into sent, token, click_id and flags (the honeypot). */
const ngx_http_affiliate_error_t *ngx_http_affiliate_form_body(ngx_http_affiliate_form_t *form);

/* ---- form_after.c: where it leads ---- */

/* The lead is on disk; the request holds a reference, which the answer gives back. */
void ngx_http_affiliate_form_after(ngx_http_affiliate_form_t *form);
/* GET with a ticket: waits for the verdict a while. */
ngx_int_t ngx_http_affiliate_form_ticket(ngx_http_affiliate_form_t *form, ngx_str_t *ticket);

/* ---- form_script.c: for scripts ---- */

/* Sets script and origin. */
void ngx_http_affiliate_form_origin(ngx_http_affiliate_form_t *form);
/* NULL, or why a script may not send this: from another page without a token. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_form_script_admit(ngx_http_affiliate_form_t *form);
/* The headers by which a page's script may read the answer.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_affiliate_form_cors(ngx_http_affiliate_form_t *form);
/* Answer to OPTIONS. */
ngx_int_t ngx_http_affiliate_form_preflight(ngx_http_affiliate_form_t *form);
/* 422 with the fields that are not fine. */
ngx_int_t ngx_http_affiliate_form_faults(ngx_http_affiliate_form_t *form);
/* 201 or 202 with the lead's id and where to go. */
ngx_int_t ngx_http_affiliate_form_accepted(ngx_http_affiliate_form_t *form, ngx_uint_t status, ngx_str_t *url);

#endif
