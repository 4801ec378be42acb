/*
 * ngx_http_affiliate_autologin.h - the way of a new lead into the advertiser's platform.
 */
#ifndef NGX_HTTP_AFFILIATE_AUTOLOGIN_H
#define NGX_HTTP_AFFILIATE_AUTOLOGIN_H

#include "ngx_http_affiliate.h"

#include "tracker_token.h"

#define NGX_HTTP_AFFILIATE_AUTOLOGIN_TOKEN "affiliate_token"
#define NGX_HTTP_AFFILIATE_AUTOLOGIN_SIG   "affiliate_sig"

/*
 * The program's platform_url with a token that is good for TRACKER_AUTOLOGIN_LIFE_S seconds and once (the nonce says
 * which once), and its signature, in its query; in r->pool.  The caller has seen a verdict that says the lead is new and
 * the person has no account.  NGX_DECLINED: the program has no platform, or nobody whose secret could sign.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_affiliate_autologin_url(ngx_http_request_t *r, const struct tracker_snapshot *snapshot,
                                           const struct tracker_program_row *program,
                                           const uint8_t lead[TRACKER_LEAD_ID_LEN],
                                           const uint8_t nonce[TRACKER_NONCE_LEN], ngx_str_t *url);

#endif
