/*
 * ngx_http_affiliate_alias.c - what others call our parameters: affiliate_alias.
 *
 * A campaign that moves here keeps its URLs: the location says which of their names is which of ours.
 */
#include "ngx_http_affiliate_request.h"

typedef struct {
    struct tracker_str theirs, ours;
} ngx_http_affiliate_alias_t;

static ngx_uint_t ngx_http_affiliate_click_name(ngx_str_t *name);

/* Beside sub1 to sub10: what affiliate_click, affiliate_track and affiliate_impression read from a query. */
static const char *const ngx_http_affiliate_click_names[] = { "source", "creative", "ref_id", "cost", "deep", "url" };

struct tracker_str
ngx_http_affiliate_alias_find(ngx_array_t *aliases, struct tracker_str name)
{
    ngx_http_affiliate_alias_t *alias = aliases->elts;

    for (ngx_uint_t i = 0; i < aliases->nelts; i++) {
        if (tracker_str_eq(alias[i].theirs, name)) {
            return alias[i].ours;
        }
    }
    return name;
}

char *
ngx_http_affiliate_set_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts;
    struct tracker_str             theirs = { (char *) value[1].data, value[1].len };
    ngx_http_affiliate_alias_t    *alias;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (value[1].len == 0) {
        return "needs a name that is not empty";
    }
    if (!ngx_http_affiliate_click_name(&value[2]) && !ngx_http_affiliate_field_known(&value[2])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_alias\": \"%V\" is no parameter of a click or conversion", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (alcf->aliases == NGX_CONF_UNSET_PTR) {
        alcf->aliases = ngx_array_create(cf->pool, 8, sizeof(ngx_http_affiliate_alias_t));
        if (alcf->aliases == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    alias = alcf->aliases->elts;
    for (ngx_uint_t i = 0; i < alcf->aliases->nelts; i++) {
        if (tracker_str_eq(alias[i].theirs, theirs)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_alias\": \"%V\" stands there twice", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    alias = ngx_array_push(alcf->aliases);
    if (alias == NULL) {
        return NGX_CONF_ERROR;
    }
    alias->theirs = theirs;
    alias->ours = (struct tracker_str){ (char *) value[2].data, value[2].len };
    return NGX_CONF_OK;
}

static ngx_uint_t
ngx_http_affiliate_click_name(ngx_str_t *name)
{
    ngx_int_t n;

    if (name->len > 3 && ngx_strncmp(name->data, "sub", 3) == 0 && name->data[3] != '0') {
        n = ngx_atoi(name->data + 3, name->len - 3);
        return n >= 1 && n <= TRACKER_SUBS;
    }

    for (ngx_uint_t i = 0; i < sizeof(ngx_http_affiliate_click_names) / sizeof(char *); i++) {
        if (name->len == ngx_strlen(ngx_http_affiliate_click_names[i])
            && ngx_memcmp(name->data, ngx_http_affiliate_click_names[i], name->len) == 0)
        {
            return 1;
        }
    }
    return 0;
}
