/*
 * ngx_http_affiliate_reload.c - what a reload changes that leaves events behind.
 *
 * Journals belong to a folder and to a user.  Whoever changes either strands what
 * was not yet shipped: nothing is lost, and nothing arrives either until somebody acts.  The
 * master sees both configurations side by side, so it says it, with the command that helps.
 */
#include "ngx_http_affiliate_request.h"

static ngx_uint_t ngx_http_affiliate_was_there(void);
static void ngx_http_affiliate_state_moved(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *old,
                                           ngx_http_affiliate_main_conf_t *amcf);
static void ngx_http_affiliate_user_changed(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);

/* In the master, as root, and under nginx -t: it only compares and logs.  ngx_cycle is still the old one. */
ngx_int_t
ngx_http_affiliate_init_module(ngx_cycle_t *cycle)
{
    ngx_http_affiliate_main_conf_t *old, *amcf;

    if (ngx_test_config || !ngx_http_affiliate_was_there()) {
        return NGX_OK;
    }
    old = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_affiliate_module);
    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_affiliate_module);
    if (old == NULL || old->state == NULL) {
        return NGX_OK;
    }

    ngx_http_affiliate_state_moved(cycle, old, amcf);
    if (amcf != NULL && amcf->state != NULL) {
        ngx_http_affiliate_user_changed(cycle, amcf);
    }
    return NGX_OK;
}

/* Not at the first start; nor when a reload brings the module, or another build of it: our index means nothing
 * in the old configuration then. */
static ngx_uint_t
ngx_http_affiliate_was_there(void)
{
    ngx_uint_t i;

    if (ngx_cycle == NULL || ngx_cycle->conf_ctx == NULL || ngx_cycle->modules == NULL) {
        return 0;
    }
    for (i = 0; ngx_cycle->modules[i] != NULL; i++) {
        if (ngx_cycle->modules[i] == &ngx_http_affiliate_module) {
            return 1;
        }
    }
    return 0;
}

static void
ngx_http_affiliate_state_moved(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *old,
                               ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_str_t *from = &old->state->name, *to;

    if (amcf == NULL || amcf->state == NULL) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "affiliate: \"affiliate_state\" was \"%V\" and is no more: nothing is recorded, and journals "
                      "that were not shipped stay there; ship them with: affiliated drain %V", from, from);
        return;
    }
    to = &amcf->state->name;
    if (from->len != to->len || ngx_memcmp(from->data, to->data, to->len) != 0) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "affiliate: \"affiliate_state\" was \"%V\" and is \"%V\": journals that were not shipped stay "
                      "behind; ship them with: affiliated drain %V", from, to, from);
    }
}

static void
ngx_http_affiliate_user_changed(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_core_conf_t *old = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx, ngx_core_module);
    ngx_core_conf_t *now = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0 || old->user == now->user || now->username == NULL) {
        return;
    }
    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "affiliate: \"user\" was \"%s\" and is \"%s\", who cannot open what is in \"%V\": nothing is recorded "
                  "until it is given to the new one and nginx is reloaded: chown -R %s %V",
                  old->username, now->username, &amcf->state->name, now->username, &amcf->state->name);
}
