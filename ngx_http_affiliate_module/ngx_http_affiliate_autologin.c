/*
 * ngx_http_affiliate_autologin.c - a platform's URL with the token that opens it for one lead, once (docs/autologin.md).
 */
#include "ngx_http_affiliate_autologin.h"

#include <sodium.h>

#include "tracker_query.h"
#include "tracker_signature.h"

static ngx_int_t ngx_http_affiliate_autologin_sign(ngx_http_request_t *r, const struct tracker_snapshot *snapshot,
                                                   const struct tracker_program_row *program,
                                                   struct tracker_str token, char sig[TRACKER_SIGNATURE_LEN]);

ngx_int_t
ngx_http_affiliate_autologin_url(ngx_http_request_t *r, const struct tracker_snapshot *snapshot,
                                 const struct tracker_program_row *program,
                                 const uint8_t lead[TRACKER_LEAD_ID_LEN],
                                 const uint8_t nonce[TRACKER_NONCE_LEN], ngx_str_t *url)
{
    char                            text[TRACKER_PASS_LEN], sig[TRACKER_SIGNATURE_LEN];
    size_t                          cap;
    struct tracker_str              token = { text, sizeof(text) };
    struct tracker_pass             pass;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    if (program->platform_url.len == 0 || program->platform_user == 0) {
        return NGX_DECLINED;
    }

    pass.use = TRACKER_PASS_AUTOLOGIN;
    pass.owner = program->id;
    pass.expires_s = (uint64_t) ngx_time() + TRACKER_AUTOLOGIN_LIFE_S;
    ngx_memcpy(pass.lead, lead, sizeof(pass.lead));
    ngx_memcpy(pass.nonce, nonce, sizeof(pass.nonce));
    tracker_pass_make(amcf->keys, &pass, text);
    if (ngx_http_affiliate_autologin_sign(r, snapshot, program, token, sig) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* what tracker_query_set asks for, in bytes: it counts each of a value as three */
    cap = program->platform_url.len + sizeof(NGX_HTTP_AFFILIATE_AUTOLOGIN_TOKEN NGX_HTTP_AFFILIATE_AUTOLOGIN_SIG)
          + 4 + 3 * (sizeof(text) + sizeof(sig));
    url->data = ngx_pnalloc(r->pool, cap);
    if (url->data == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(url->data, program->platform_url.data, program->platform_url.len);
    url->len = tracker_query_set((char *) url->data, program->platform_url.len, cap,
                                 TRACKER_STR(NGX_HTTP_AFFILIATE_AUTOLOGIN_TOKEN), token);
    url->len = tracker_query_set((char *) url->data, url->len, cap, TRACKER_STR(NGX_HTTP_AFFILIATE_AUTOLOGIN_SIG),
                                 (struct tracker_str){ sig, sizeof(sig) });
    return url->len != 0 ? NGX_OK : NGX_ERROR;
}

/* With the secret of the program's platform.  NGX_DECLINED: there is nobody, he is paused, or cannot sign. */
static ngx_int_t
ngx_http_affiliate_autologin_sign(ngx_http_request_t *r, const struct tracker_snapshot *snapshot,
                                  const struct tracker_program_row *program, struct tracker_str token,
                                  char sig[TRACKER_SIGNATURE_LEN])
{
    size_t                          len;
    uint8_t                         secret[TRACKER_SECRET_MAX];
    struct tracker_api_user_row     user;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    if (!tracker_snapshot_api_user(snapshot, program->platform_user, &user) || user.program != program->id
        || user.state != TRACKER_STATE_ACTIVE)
    {
        return NGX_DECLINED;
    }
    len = tracker_secret_open(amcf->keys, user.id, user.secret, secret);
    if (len == 0) {
        return NGX_DECLINED;
    }
    tracker_sign((struct tracker_str){ (char *) secret, len }, token, sig);
    sodium_memzero(secret, sizeof(secret));
    return NGX_OK;
}
