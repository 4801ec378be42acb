/*
 * ngx_http_affiliate_gate.c - affiliate_auth: who may pass on to the backend's part of the partner API.
 *
 * An early refusal, before the body is read: the backend judges everybody again, and is told no identity.  What a
 * location's own handler takes (a POST of affiliate_lead or affiliate_conversion) that handler judges.
 */
#include "ngx_http_affiliate_caller.h"

static ngx_uint_t ngx_http_affiliate_gate_concerns(ngx_http_request_t *r, ngx_http_affiliate_loc_conf_t *alcf);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_gate_judge(ngx_http_request_t *r,
                                                                       ngx_http_affiliate_caller_t *caller,
                                                                       uint32_t scopes);

/* Access phase: nginx skips it for subrequests. */
ngx_int_t
ngx_http_affiliate_gate_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_ctx_t         *ctx;
    ngx_http_affiliate_caller_t      *caller;
    ngx_http_affiliate_loc_conf_t    *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    const ngx_http_affiliate_error_t *error;

    if (!ngx_http_affiliate_gate_concerns(r, alcf)) {
        return NGX_DECLINED;
    }

    /* kept: what the backend fails at may be answered elsewhere (error_page), and stands in the log all the same */
    ctx = ngx_http_affiliate_find_ctx(r);
    if (ctx == NULL) {
        ctx = ngx_http_affiliate_keep_ctx(r, sizeof(ngx_http_affiliate_ctx_t));
    }
    caller = ctx != NULL ? ngx_http_affiliate_caller_begin(r, ctx, sizeof(ngx_http_affiliate_caller_t)) : NULL;
    if (caller == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    error = ngx_http_affiliate_gate_judge(r, caller, alcf->auth_scopes);
    if (error == NULL) {
        ctx->api_user = caller->user.id;
        ctx->verdict = "passed";
        ngx_http_affiliate_count(API_PASSED);
        return NGX_OK;
    }

    ctx->verdict = error->code;
    ngx_http_affiliate_count(API_REFUSED);
    rc = ngx_http_discard_request_body(r);
    ngx_http_finalize_request(r, rc == NGX_OK ? ngx_http_affiliate_send_error(r, error) : rc);
    return NGX_DONE;
}

static ngx_uint_t
ngx_http_affiliate_gate_concerns(ngx_http_request_t *r, ngx_http_affiliate_loc_conf_t *alcf)
{
    ngx_http_core_loc_conf_t *clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return alcf->auth && clcf->handler != ngx_http_affiliate_conversion_handler
           && !(r->method == NGX_HTTP_POST && (alcf->conversion || alcf->lead));
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_gate_judge(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller, uint32_t scopes)
{
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_authenticate(r, caller, NGX_HTTP_AFFILIATE_ROLE_ANY, scopes);
    if (error == NULL && caller->unverified) {
        /* it covers a body, which nobody here will have read */
        error = ngx_http_affiliate_error(SIGNATURE_INVALID);
    }
    return error != NULL ? error : ngx_http_affiliate_verify_query_ts(r, caller);
}

/* ---- configuration ---- */

#define NGX_HTTP_AFFILIATE_SCOPE(text, scope) { ngx_string(text), TRACKER_SCOPE_##scope }
static const struct {
    ngx_str_t name;
    uint32_t  scope;
} ngx_http_affiliate_scopes[] = {
    NGX_HTTP_AFFILIATE_SCOPE("conversions:write", CONVERSIONS_WRITE),
    NGX_HTTP_AFFILIATE_SCOPE("conversions:read", CONVERSIONS_READ),
    NGX_HTTP_AFFILIATE_SCOPE("leads:write", LEADS_WRITE),
    NGX_HTTP_AFFILIATE_SCOPE("leads:read", LEADS_READ),
    NGX_HTTP_AFFILIATE_SCOPE("stats:read", STATS_READ),
    NGX_HTTP_AFFILIATE_SCOPE("autologin", AUTOLOGIN),
};

static uint32_t
ngx_http_affiliate_scope(const ngx_str_t *name)
{
    for (ngx_uint_t i = 0; i < sizeof(ngx_http_affiliate_scopes) / sizeof(ngx_http_affiliate_scopes[0]); i++) {
        if (name->len == ngx_http_affiliate_scopes[i].name.len
            && ngx_memcmp(name->data, ngx_http_affiliate_scopes[i].name.data, name->len) == 0)
        {
            return ngx_http_affiliate_scopes[i].scope;
        }
    }
    return 0;
}

/* affiliate_auth on | off | SCOPE... */
char *
ngx_http_affiliate_set_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    uint32_t                        scope;
    ngx_str_t                      *value = cf->args->elts;
    ngx_http_affiliate_loc_conf_t  *alcf = conf;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    if (alcf->auth != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    alcf->auth = cf->args->nelts != 2 || ngx_strcmp(value[1].data, "off") != 0;
    if (!alcf->auth) {
        return NGX_CONF_OK;
    }
    amcf->guards = 1;
    amcf->needed_by = cmd->name;
    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "on") == 0) {
        return NGX_CONF_OK;
    }

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        scope = ngx_http_affiliate_scope(&value[i]);
        if (scope == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_auth\" \"%V\" is no scope of API users, and neither a single on nor off",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
        alcf->auth_scopes |= scope;
    }
    return NGX_CONF_OK;
}
