/*
 * ngx_http_affiliate_track.c - affiliate_track: a click on a page that somebody else answers.
 *
 * The event is recorded before the content phase, so that the page's handler can use our variables, and the cookie is
 * added when the answer's headers go out.  In between lie internal redirects, which forget r->ctx: what was
 * done is kept where they do not reach, or a click would count twice and its cookie be lost.
 *
 * Whatever goes wrong here, the page is answered.
 */
#include "ngx_http_affiliate_request.h"

typedef struct {
    ngx_http_affiliate_ctx_t          ctx; /* first: it is found as the request's context */
    ngx_uint_t                        remembers;
    ngx_http_affiliate_cookie_lines_t cookies;
} ngx_http_affiliate_track_t;

static ngx_int_t  ngx_http_affiliate_track_handler(ngx_http_request_t *r);
static struct tracker_str ngx_http_affiliate_track_code(ngx_http_request_t *r,
                                                        const ngx_http_affiliate_loc_conf_t *conf);
static ngx_uint_t ngx_http_affiliate_track_navigates(ngx_http_request_t *r);
static void       ngx_http_affiliate_track_record(ngx_http_affiliate_visit_t *visit);
static ngx_int_t  ngx_http_affiliate_track_filter(ngx_http_request_t *r);

static ngx_http_output_header_filter_pt ngx_http_affiliate_next_header_filter;

static ngx_int_t
ngx_http_affiliate_track_handler(ngx_http_request_t *r)
{
    struct tracker_str             code;
    ngx_http_affiliate_visit_t     visit;
    ngx_http_affiliate_loc_conf_t *conf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    if (!conf->track || conf->handler != NULL || conf->conversion || r != r->main || r->method != NGX_HTTP_GET
        || ngx_http_affiliate_find_ctx(r) != NULL)
    {
        return NGX_DECLINED;
    }

    code = ngx_http_affiliate_track_code(r, conf);
    if (code.len == 0 || !ngx_http_affiliate_track_navigates(r)
        || ngx_http_affiliate_visit_begin(&visit, r) != NGX_OK || ngx_http_affiliate_visit_find(&visit, code) != NGX_OK
        || !visit.route->whole)
    {
        return NGX_DECLINED;
    }

    ngx_http_affiliate_track_record(&visit);
    return NGX_DECLINED;
}

/* Empty: there is none, and nothing to record. */
static struct tracker_str
ngx_http_affiliate_track_code(ngx_http_request_t *r, const ngx_http_affiliate_loc_conf_t *conf)
{
    ngx_str_t code;

    if (conf->track_code == NULL) {
        return ngx_http_affiliate_visit_ref(r, conf);
    }
    if (ngx_http_complex_value(r, conf->track_code, &code) != NGX_OK || code.len > TRACKER_CODE_MAX) {
        return TRACKER_STR_NONE;
    }
    return (struct tracker_str){ (char *) code.data, code.len };
}

/* A page's images, scripts and fetches may carry the parameter too: only who goes to a page is a visitor. */
static ngx_uint_t
ngx_http_affiliate_track_navigates(ngx_http_request_t *r)
{
    static const ngx_str_t pages[] = { ngx_string("document"), ngx_string("iframe"), ngx_string("frame") };

    ngx_str_t *dest = ngx_http_affiliate_find_header(r, "sec-fetch-dest", sizeof("sec-fetch-dest") - 1);

    for (ngx_uint_t i = 0; dest != NULL && i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (dest->len == pages[i].len && ngx_memcmp(dest->data, pages[i].data, dest->len) == 0) {
            return 1;
        }
    }
    return dest == NULL;
}

static void
ngx_http_affiliate_track_record(ngx_http_affiliate_visit_t *visit)
{
    ngx_int_t                   rc;
    ngx_http_request_t         *r = visit->request;
    ngx_http_affiliate_track_t *track = ngx_http_affiliate_keep_ctx(r, sizeof(ngx_http_affiliate_track_t));

    if (track == NULL || ngx_http_affiliate_visit_read(visit) != NGX_OK) {
        return;
    }
    visit->ctx = &track->ctx;
    visit->event.deep = TRACKER_STR_NONE; /* a page's own url= is none of ours */
    visit->event.flags |= TRACKER_CLICK_TRACKED;
    visit->counted = !(visit->event.flags & TRACKER_CLICK_UNCOUNTED);
    (void) ngx_http_affiliate_route_admit(visit); /* marks what is out of dates or capped; nobody is sent anywhere */

    if (ngx_http_affiliate_visit_identify(visit) != NGX_OK) {
        ngx_http_affiliate_cap_release(visit);
        return;
    }
    ngx_http_affiliate_visit_encode(visit);
    rc = ngx_http_affiliate_visit_cookies(visit, &track->cookies);
    track->remembers = rc == NGX_OK;
    track->ctx.tracked = 1;
    ngx_http_affiliate_visit_commit(visit);
}

static ngx_int_t
ngx_http_affiliate_track_filter(ngx_http_request_t *r)
{
    ngx_http_affiliate_track_t *track;
    ngx_http_affiliate_ctx_t   *ctx = r == r->main ? ngx_http_affiliate_find_ctx(r) : NULL;

    if (ctx != NULL && ctx->tracked) {
        track = (ngx_http_affiliate_track_t *) ctx;
        if (track->remembers && ngx_http_affiliate_add_cookies(r, &track->cookies) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return ngx_http_affiliate_next_header_filter(r);
}

/* ---- configuration ---- */

char *
ngx_http_affiliate_set_track(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value = cf->args->elts;
    ngx_http_affiliate_loc_conf_t  *alcf = conf;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    if (alcf->track != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    alcf->track = ngx_strcmp(value[1].data, "off") != 0;
    if (!alcf->track) {
        return NGX_CONF_OK;
    }
    amcf->tracks = 1;
    amcf->needed_by = cmd->name;
    if (ngx_strcmp(value[1].data, "on") == 0) {
        return NGX_CONF_OK;
    }
    if (ngx_http_script_variables_count(&value[1]) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_track\" \"%V\" is neither on, off nor a code that comes from variables", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_affiliate_compile(cf, &value[1], &alcf->track_code);
}

ngx_int_t
ngx_http_affiliate_track_install(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_http_handler_pt       *h;
    ngx_http_core_main_conf_t *cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (!amcf->tracks) {
        return NGX_OK;
    }

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }
    *h = ngx_http_affiliate_track_handler;

    ngx_http_affiliate_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_affiliate_track_filter;
    return NGX_OK;
}
