/*
 * ngx_http_affiliate_location.c - what directives of servers and locations mean: setters, checks, inheritance.
 *
 * Every error names the directive and what was wrong with it; t/config.t has one case for each.
 */
#include "ngx_http_affiliate_request.h"

#define NGX_HTTP_AFFILIATE_PIXEL_RATE     600 /* a minute and address */
#define NGX_HTTP_AFFILIATE_PIXEL_RATE_MAX 1000000
#define NGX_HTTP_AFFILIATE_LEAD_WAIT      500 /* ms */

static char *ngx_http_affiliate_check_redirect(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_affiliate_parse_domain(ngx_str_t *text, ngx_str_t *domain);
static char *ngx_http_affiliate_parse_secure(ngx_str_t *text, ngx_flag_t *secure);
static char *ngx_http_affiliate_check_not_found(ngx_conf_t *cf, ngx_http_complex_value_t *url);
static char *ngx_http_affiliate_cookie_attributes(ngx_conf_t *cf, ngx_http_affiliate_cookie_conf_t *cookie);

ngx_conf_post_t ngx_http_affiliate_redirect_post = { ngx_http_affiliate_check_redirect };

void *
ngx_http_affiliate_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_affiliate_loc_conf_t *alcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_affiliate_loc_conf_t));

    if (alcf == NULL) {
        return NULL;
    }

    alcf->cookie.enable = NGX_CONF_UNSET;
    alcf->cookie.secure = NGX_CONF_UNSET;
    alcf->not_found = NGX_CONF_UNSET_PTR;
    alcf->pixel_rate = NGX_HTTP_AFFILIATE_PIXEL_RATE;
    alcf->aliases = NGX_CONF_UNSET_PTR;
    alcf->values = NGX_CONF_UNSET_PTR;
    alcf->defaults = NGX_CONF_UNSET_PTR;
    alcf->origins = NGX_CONF_UNSET_PTR;
    alcf->auth = NGX_CONF_UNSET;
    alcf->lead_wait = NGX_CONF_UNSET_MSEC;
    alcf->track = NGX_CONF_UNSET;
    alcf->detect = NGX_CONF_UNSET;
    alcf->rate = NGX_CONF_UNSET;
    alcf->ip = NGX_CONF_UNSET_UINT;
    alcf->consent.asked = NGX_CONF_UNSET;
    alcf->redirect = NGX_CONF_UNSET;
    return alcf;
}

/* What is found out about visitors, and what is kept of it. */
static void
ngx_http_affiliate_merge_visitor(ngx_conf_t *cf, ngx_http_affiliate_loc_conf_t *prev,
                                 ngx_http_affiliate_loc_conf_t *conf)
{
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    ngx_conf_merge_value(conf->detect, prev->detect, 1);
    ngx_conf_merge_value(conf->rate, prev->rate, 60);
    ngx_conf_merge_uint_value(conf->ip, prev->ip, NGX_HTTP_AFFILIATE_IP_STORE);
    conf->knows = conf->detect || amcf->geo;

    /* inherited or replaced as a whole */
    if (conf->consent.asked == NGX_CONF_UNSET) {
        conf->consent = prev->consent;
    }
    if (conf->consent.asked == NGX_CONF_UNSET) {
        conf->consent.asked = 0;
        conf->consent.signals = NGX_HTTP_AFFILIATE_SIGNAL_GPC;
    }
}

/*
 * The configuration that an if or limit_except in a location makes.  The location's handler still answers: with its
 * code, program and token, which none of these blocks may hold.  Unless the block has another handler (proxy_pass);
 * where it has none an if keeps the location's, and a limit_except has to be given it.
 */
static void
ngx_http_affiliate_merge_noname(ngx_http_core_loc_conf_t *clcf, const ngx_http_affiliate_loc_conf_t *prev,
                                ngx_http_affiliate_loc_conf_t *conf)
{
    if (clcf->handler == NULL) {
        conf->handler = prev->handler;
        if (clcf->lmt_excpt) {
            clcf->handler = conf->handler;
        }
    }
    conf->code = prev->code;
    conf->pathless = prev->pathless;
    conf->conversion = prev->conversion;
    conf->lead = prev->lead;
    conf->token = prev->token;
    conf->status_open = prev->status_open;
    conf->pixel_program = prev->pixel_program;
    conf->pixel_rate = prev->pixel_rate;
}

char *
ngx_http_affiliate_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_affiliate_loc_conf_t *prev = parent, *conf = child;
    ngx_http_core_loc_conf_t      *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {
        ngx_http_affiliate_merge_noname(clcf, prev, conf);
    }
    ngx_conf_merge_ptr_value(conf->not_found, prev->not_found, NULL);
    ngx_conf_merge_ptr_value(conf->aliases, prev->aliases, NULL);
    ngx_conf_merge_ptr_value(conf->values, prev->values, NULL);
    ngx_conf_merge_ptr_value(conf->defaults, prev->defaults, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    ngx_conf_merge_msec_value(conf->lead_wait, prev->lead_wait, NGX_HTTP_AFFILIATE_LEAD_WAIT);

    if (conf->auth == NGX_CONF_UNSET) {
        conf->auth = prev->auth;
        conf->auth_scopes = prev->auth_scopes;
    }
    ngx_conf_init_value(conf->auth, 0);
    if (conf->track == NGX_CONF_UNSET) {
        conf->track = prev->track;
        conf->track_code = prev->track_code;
    }
    ngx_conf_init_value(conf->track, 0);
    ngx_http_affiliate_merge_visitor(cf, prev, conf);
    ngx_conf_merge_value(conf->redirect, prev->redirect, NGX_HTTP_MOVED_TEMPORARILY);

    /* the directive is inherited or replaced as a whole, not parameter by parameter */
    if (conf->cookie.enable == NGX_CONF_UNSET) {
        conf->cookie = prev->cookie;
    }
    ngx_conf_init_value(conf->cookie.enable, 1);
    ngx_conf_init_value(conf->cookie.secure, 1);

    if (conf->not_found != NULL && ngx_http_affiliate_check_not_found(cf, conf->not_found) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    return ngx_http_affiliate_cookie_attributes(cf, &conf->cookie);
}

/* A browser keeps a permanent redirect: it would never ask again, and no later click would be seen. */
static char *
ngx_http_affiliate_check_redirect(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *status = data;

    switch (*status) {
    case NGX_HTTP_MOVED_TEMPORARILY:
    case NGX_HTTP_SEE_OTHER:
    case NGX_HTTP_TEMPORARY_REDIRECT:
        return NGX_CONF_OK;
    case NGX_HTTP_MOVED_PERMANENTLY:
    case NGX_HTTP_PERMANENT_REDIRECT:
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_redirect\" %i is permanent: browsers would remember it and later "
                           "clicks would not be seen; use 302, 303 or 307", *status);
        return NGX_CONF_ERROR;
    default:
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_redirect\" is 302, 303 or 307, not %i", *status);
        return NGX_CONF_ERROR;
    }
}

/* Whether affiliate_state is there is known at the end of http{} only: init_main_conf looks. */
static char *
ngx_http_affiliate_take_location(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t       *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_http_affiliate_loc_conf_t  *alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    if (clcf->handler == handler) {
        return "is duplicate";
    }
    clcf->handler = handler;
    alcf->handler = handler;
    amcf->needed_by = cmd->name;
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_set_click(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t *value = cf->args->elts;
    ngx_uint_t json = cf->args->nelts > 1 && ngx_strcmp(value[1].data, "json") == 0;

    if (cf->args->nelts == 3 && !json) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_click\" takes \"json\" before the code, not \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }
    return ngx_http_affiliate_take_visits(cf, cmd, conf, json ? ngx_http_affiliate_json_handler
                                                              : ngx_http_affiliate_click_handler, json);
}

/* A location whose visitors have a code: in the argument behind `skip` others, else the rest of the URI. */
char *
ngx_http_affiliate_take_visits(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_affiliate_loc_conf_t *alcf,
                               ngx_http_handler_pt handler, ngx_uint_t skip)
{
    char                     *rv;
    ngx_str_t                *value = cf->args->elts;
    ngx_http_core_loc_conf_t *clcf;

    rv = ngx_http_affiliate_take_location(cf, cmd, handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cf->args->nelts > 1 + skip) {
        return ngx_http_affiliate_compile(cf, &value[1 + skip], &alcf->code);
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    alcf->pathless = clcf->exact_match || clcf->named;
#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        alcf->pathless = 1;
    }
    if (clcf->regex != NULL && handler != ngx_http_affiliate_json_handler) {
        return "needs an argument that is the code, such as $1, in a location given by a regular expression";
    }
#endif
    if (alcf->pathless && handler != ngx_http_affiliate_json_handler) {
        return "needs an argument that is the code in an exact or named location";
    }
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_set_conversion(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value = cf->args->elts, rest;
    ngx_http_core_loc_conf_t       *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_http_affiliate_loc_conf_t  *alcf = conf;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    if (alcf->conversion) {
        return "is duplicate";
    }
    if (alcf->lead) {
        return "and \"affiliate_lead\" cannot both take a location's POST";
    }
    alcf->conversion = 1;
    amcf->takes_conversions = 1;
    amcf->needed_by = cmd->name;

    /* beside a proxy_pass, before or after it, only POST is ours: that is taken before the content phase */
    if (clcf->handler == NULL) {
        clcf->handler = alcf->handler = ngx_http_affiliate_conversion_handler;
    }

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }
    if (!ngx_http_affiliate_option(&value[1], "token=", &rest) || rest.len == 0) {
        return "takes token= and a value, or nothing"; /* which is not shown: it may be a key */
    }
    amcf->takes_tokens = 1;
    return ngx_http_affiliate_compile(cf, &rest, &alcf->token);
}

char *
ngx_http_affiliate_set_pixel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rv;
    ngx_str_t                     *value = cf->args->elts, rest;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    rv = ngx_http_affiliate_take_location(cf, cmd, ngx_http_affiliate_pixel_handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_int_t rate;

        if (ngx_http_affiliate_option(&value[i], "rate=", &rest)) {
            rate = ngx_atoi(rest.data, rest.len);
            if (rate == NGX_ERROR || rate > NGX_HTTP_AFFILIATE_PIXEL_RATE_MAX) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"affiliate_pixel\": \"%V\" is not rate= and a number up to %d", &value[i],
                                   NGX_HTTP_AFFILIATE_PIXEL_RATE_MAX);
                return NGX_CONF_ERROR;
            }
            alcf->pixel_rate = (ngx_uint_t) rate;
        } else if (ngx_http_affiliate_option(&value[i], "program=", &rest) && rest.len != 0
                   && alcf->pixel_program == NULL)
        {
            rv = ngx_http_affiliate_compile(cf, &rest, &alcf->pixel_program);
            if (rv != NGX_CONF_OK) {
                return rv;
            }
        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_pixel\": \"%V\" is none of program= and rate=",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_compile(ngx_conf_t *cf, ngx_str_t *text, ngx_http_complex_value_t **value)
{
    ngx_http_compile_complex_value_t ccv;

    *value = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }
    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = *value;
    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

char *
ngx_http_affiliate_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (cf->args->nelts == 2) {
        if (ngx_strcmp(value[1].data, "open") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_status\" takes \"open\" or nothing, not \"%V\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
        alcf->status_open = 1;
    }
    return ngx_http_affiliate_take_location(cf, cmd, ngx_http_affiliate_status_handler);
}

char *
ngx_http_affiliate_set_cookie_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                             *wrong;
    ngx_str_t                        *value = cf->args->elts, rest;
    ngx_http_affiliate_cookie_conf_t *cookie = &((ngx_http_affiliate_loc_conf_t *) conf)->cookie;

    if (cookie->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    cookie->enable = 1;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        cookie->enable = 0;
        return NGX_CONF_OK;
    }

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_affiliate_option(&value[i], "domain=", &rest)) {
            wrong = ngx_http_affiliate_parse_domain(&rest, &cookie->domain);
        } else if (ngx_http_affiliate_option(&value[i], "secure=", &rest)) {
            wrong = ngx_http_affiliate_parse_secure(&rest, &cookie->secure);
        } else {
            wrong = "is none of domain=, secure= and a single off";
        }

        if (wrong != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_cookie\": \"%V\" %s", &value[i], wrong);
            return NGX_CONF_ERROR;
        }
    }
    return NGX_CONF_OK;
}

/* The domain goes into a header as it is: letters, digits, dots and hyphens only. */
static char *
ngx_http_affiliate_parse_domain(ngx_str_t *text, ngx_str_t *domain)
{
    if (domain->data != NULL) {
        return "is duplicate";
    }

    for (size_t i = 0; i < text->len; i++) {
        u_char c = ngx_tolower(text->data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-') {
            return "is not a domain name";
        }
    }
    *domain = *text;
    return text->len == 0 || text->len > 253 ? "is not a domain name" : NULL;
}

static char *
ngx_http_affiliate_parse_secure(ngx_str_t *text, ngx_flag_t *secure)
{
    if (*secure != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    if (text->len == 2 && ngx_strncmp(text->data, "on", 2) == 0) {
        *secure = 1;
    } else if (text->len == 3 && ngx_strncmp(text->data, "off", 3) == 0) {
        *secure = 0;
    } else {
        return "is neither on nor off";
    }
    return NULL;
}

/* What follows name and lifetime; Lax, because a click is a
 * top-level navigation and nothing else may set it. */
static char *
ngx_http_affiliate_cookie_attributes(ngx_conf_t *cf, ngx_http_affiliate_cookie_conf_t *cookie)
{
    u_char *p;
    size_t  len = sizeof("; Path=/; Domain=; Secure; HttpOnly; SameSite=Lax") + cookie->domain.len;

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    cookie->attributes.data = p;
    p = ngx_cpymem(p, "; Path=/", sizeof("; Path=/") - 1);
    if (cookie->domain.len != 0) {
        p = ngx_sprintf(p, "; Domain=%V", &cookie->domain);
    }
    if (cookie->secure) {
        p = ngx_cpymem(p, "; Secure", sizeof("; Secure") - 1);
    }
    p = ngx_cpymem(p, "; HttpOnly; SameSite=Lax", sizeof("; HttpOnly; SameSite=Lax") - 1);
    cookie->attributes.len = p - cookie->attributes.data;
    return NGX_CONF_OK;
}

/* Only what has no variables can be judged now; the rest is checked when it is sent. */
static char *
ngx_http_affiliate_check_not_found(ngx_conf_t *cf, ngx_http_complex_value_t *url)
{
    ngx_str_t *v = &url->value, rest;

    if (url->lengths != NULL || (v->len != 0 && v->data[0] == '/')
        || ngx_http_affiliate_option(v, "https://", &rest) || ngx_http_affiliate_option(v, "http://", &rest))
    {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"affiliate_not_found\" \"%V\" begins with neither http://, https:// nor /", v);
    return NGX_CONF_ERROR;
}
