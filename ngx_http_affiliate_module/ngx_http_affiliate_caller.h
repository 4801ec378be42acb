/*
 * ngx_http_affiliate_caller.h - who calls the partner API, and what he sends: auth.c, access.c, body.c.
 *
 * Conversions, leads and what affiliate_auth lets through to the backend are judged alike: in the documented order, and
 * all that can be said before the body is read is said then.
 */
#ifndef NGX_HTTP_AFFILIATE_CALLER_H
#define NGX_HTTP_AFFILIATE_CALLER_H

#include "ngx_http_affiliate_request.h"

#define NGX_HTTP_AFFILIATE_BODY_MAX       (64 * 1024)
#define NGX_HTTP_AFFILIATE_BATCH_MAX      1000 /* conversions or leads */
#define NGX_HTTP_AFFILIATE_BATCH_BODY_MAX (1024 * 1024)

#define NGX_HTTP_AFFILIATE_ROLE_ANY 0 /* beside enum tracker_role */

/* One request's sender, from his authentication to the log, in the request's pool. */
struct ngx_http_affiliate_caller_s {
    const struct tracker_snapshot *snapshot;      /* pinned; NULL: nobody was looked up */
    struct tracker_api_user_row    user;          /* id 0: nobody that is known */
    struct tracker_program_row     program;       /* the user's; zero when the snapshot lacks it */
    uint8_t                        auth;          /* enum tracker_conversion_auth */
    unsigned                       proven:1;      /* it is that user: by key, or by a signature that was verified */
    unsigned                       body_signed:1; /* X-Signature: it covers the body alone */
    unsigned                       unverified:1;  /* the signature covers the body, which has not been read yet */
    ngx_str_t                      token;         /* affiliate_conversion token= at the start; len 0: none */
    struct tracker_str             signature;     /* as it was sent */
    struct tracker_str             key_prefix;    /* what people see of a key of ours; empty: it is none */
    /* for the log, whatever internal redirects make of the request */
    ngx_http_affiliate_loc_conf_t *conf;
    ngx_str_t                      uri;
    ngx_uint_t                     items;         /* of a batch; 0: no batch */
};

/* ---- auth.c: who ---- */

/* A caller whose token is known, of size bytes that begin with one, in the pool; ctx names him from now on.  First of
 * all: a log that shows the path must know the token, and captures do not last.  NULL: no memory. */
ngx_http_affiliate_caller_t *ngx_http_affiliate_caller_begin(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                                             size_t size);

/*
 * Who sends this, and may he?  In the documented order; fills the caller.  What is signed
 * together with a body is only verified after that was read, by verify_body.
 */
const ngx_http_affiliate_error_t *ngx_http_affiliate_authenticate(ngx_http_request_t *r,
                                                                  ngx_http_affiliate_caller_t *caller, uint8_t role,
                                                                  uint32_t scope);
/* form: the body's text is parameters.  Does nothing unless caller->unverified. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_verify_body(ngx_http_request_t *r,
                                                                 ngx_http_affiliate_caller_t *caller,
                                                                 struct tracker_str body, ngx_uint_t form);
/* Of a signed request: its `ts` (empty: it names none) is of now, and nothing is there twice. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_verify_ts(const ngx_http_affiliate_caller_t *caller,
                                                               struct tracker_str ts, ngx_uint_t twice);

/* The same of a `ts` that stands in the query, which may hold one. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_verify_query_ts(ngx_http_request_t *r,
                                                                     const ngx_http_affiliate_caller_t *caller);

/* The operator's affiliate_conversion token=, as this request makes it; empty: none. */
ngx_int_t ngx_http_affiliate_token(ngx_http_request_t *r, ngx_str_t *token);

/* The first value of that header that is not empty; name is in lower case. */
struct tracker_str ngx_http_affiliate_header(ngx_http_request_t *r, struct tracker_str name);

/* check.c: takes min to max digits at *p and moves it past them. */
ngx_uint_t ngx_http_affiliate_parse_digits(const char **p, const char *last, ngx_uint_t min, ngx_uint_t max,
                                           uint64_t *number);

/* ---- keyhash.c ---- */

/* What tracker_api_key_hash would give, if this worker has kept it. */
ngx_uint_t ngx_http_affiliate_keyhash_find(struct tracker_str key, uint8_t hash[TRACKER_API_KEY_HASH_LEN]);
/* Of a key of ours: not for strangers'. */
void ngx_http_affiliate_keyhash_keep(struct tracker_str key, const uint8_t hash[TRACKER_API_KEY_HASH_LEN]);

/* ---- access.c: may he ---- */

/* Everything that an identified user may fail at, in the documented order.  All of `scope` is needed. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_access(ngx_http_request_t *r,
                                                            const ngx_http_affiliate_caller_t *caller, uint8_t role,
                                                            uint32_t scope);

/* ---- body.c: what ---- */

/* What a POST's headers say of its body, which may be JSON or a form, and how long; one without a type must be empty. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_body_kind(ngx_http_request_t *r, ngx_uint_t *json);
/* Whether a Content-Type is "type/subtype", in any case, alone or before parameters (RFC 9110, 8.3.1). */
ngx_uint_t ngx_http_affiliate_media_type(ngx_str_t *value, const char *type);
/* The whole body of a POST in memory, wherever nginx put it: at most NGX_HTTP_AFFILIATE_BATCH_BODY_MAX bytes. */
const ngx_http_affiliate_error_t *ngx_http_affiliate_body_text(ngx_http_request_t *r, struct tracker_str *body);

/* ---- apicall.c: the API log ---- */

/* Log phase. */
ngx_int_t ngx_http_affiliate_apicall_log(ngx_http_request_t *r);
/* At a worker's start, and at its end while it has its journals. */
void      ngx_http_affiliate_apicall_init(void);
void      ngx_http_affiliate_apicall_exit(void);

/* variables.c: the path with "-" in place of its token, or "-" alone. */
ngx_int_t ngx_http_affiliate_hide_token(ngx_http_request_t *r, const ngx_str_t *uri, ngx_str_t *shown);

#endif
