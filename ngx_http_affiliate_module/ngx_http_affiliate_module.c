/*
 * ngx_http_affiliate_module.c - the table of contents: directives, phases, and
 * what happens when a worker starts and stops.
 *
 *     click.c destination.c                GET /c/<code>: a visit that is redirected
 *     visit.c params.c route.c cookie.c    what every visit does: look up, read, name, remember, record
 *     json.c script.c track.c              clicks on landing pages: reported by affiliate.js, or by a page's request
 *     impression.c                         GET /i/<code>: an advert was seen
 *     cap.c                                how often a link, a campaign or a rule is used
 *     visitor.c geo.c geo_file.c agent.c   who is it: place, bot or person, device
 *     click_rate.c privacy.c               how often, and what of all that is kept
 *     conversion.c batch.c                 /postback: recorded and synced before the answer
 *     pixel.c                              GET /px: what a browser reports
 *     form.c form_page.c form_script.c     /f/<key>: web forms, for people and for scripts
 *     form_body.c form_submit.c form_after.c autologin.c   what is sent with them, and where it leads
 *     auth.c access.c rate.c body.c        who calls the partner API, may he, and what does he send
 *     lead.c lead_fields.c lead_answer.c   POST /api/v1/leads: recorded, synced, judged by the database, answered
 *     gate.c apicall.c                     who may pass on to the backend; the API log
 *     fields.c alias.c check.c             its parameters: names, whose names, meaning
 *     snapshot.c                           what all of them look things up in
 *     status.c metrics.c variables.c answer.c   what others see
 *     conf.c location.c zone.c             configuration, shared memory
 *     and the wire side behind ngx_http_affiliate.h
 */
#include "ngx_http_affiliate_caller.h"
#include "ngx_http_affiliate_visitor.h"

static ngx_int_t ngx_http_affiliate_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_affiliate_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_affiliate_init_process(ngx_cycle_t *cycle);
static void      ngx_http_affiliate_exit_process(ngx_cycle_t *cycle);

ngx_http_affiliate_slot_t *ngx_http_affiliate_slot;
ngx_http_affiliate_zone_t *ngx_http_affiliate_zone;

static ngx_command_t ngx_http_affiliate_commands[] = {
    { ngx_string("affiliate_state"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_path_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_affiliate_main_conf_t, state),
      NULL },

    { ngx_string("affiliate_key_file"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_key_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_redis"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_snapshot"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_affiliate_main_conf_t, snapshot_file),
      &ngx_http_affiliate_snapshot_post },

    { ngx_string("affiliate_edge"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_affiliate_main_conf_t, edge),
      &ngx_http_affiliate_edge_post },

    { ngx_string("affiliate_journal"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
      ngx_http_affiliate_set_journal,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_zone"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE12,
      ngx_http_affiliate_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_click"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
      ngx_http_affiliate_set_click,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_impression"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_impression,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_js"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
      ngx_http_affiliate_set_script,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_track"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_track,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_origin"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE,
      ngx_http_affiliate_set_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_not_found"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_affiliate_loc_conf_t, not_found),
      NULL },

    { ngx_string("affiliate_redirect"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_affiliate_loc_conf_t, redirect),
      &ngx_http_affiliate_redirect_post },

    { ngx_string("affiliate_cookie"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE,
      ngx_http_affiliate_set_cookie_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_alias"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE2,
      ngx_http_affiliate_set_alias,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_value"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE3,
      ngx_http_affiliate_set_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_default"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE2,
      ngx_http_affiliate_set_default,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_pixel"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
      ngx_http_affiliate_set_pixel,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_form"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_form,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_geoip"),
      NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE2,
      ngx_http_affiliate_set_geoip,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_detect"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_affiliate_loc_conf_t, detect),
      NULL },

    { ngx_string("affiliate_rate"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_ip"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_affiliate_loc_conf_t, ip),
      ngx_http_affiliate_ip_names },

    { ngx_string("affiliate_consent"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE,
      ngx_http_affiliate_set_consent,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_conversion"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_conversion,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_lead"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
      ngx_http_affiliate_set_lead,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_lead_wait"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_affiliate_loc_conf_t, lead_wait),
      &ngx_http_affiliate_lead_wait_post },

    { ngx_string("affiliate_auth"),
      NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE,
      ngx_http_affiliate_set_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("affiliate_status"),
      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
      ngx_http_affiliate_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    ngx_null_command
};

/* Clicks and the status page are a location's content; a conversion comes before it, see conversion.c. */
static ngx_http_module_t ngx_http_affiliate_module_ctx = {
    ngx_http_affiliate_preconfiguration,  /* preconfiguration */
    ngx_http_affiliate_postconfiguration, /* postconfiguration */

    ngx_http_affiliate_create_main_conf,  /* create main configuration */
    ngx_http_affiliate_init_main_conf,    /* init main configuration */

    NULL,                                 /* create server configuration */
    NULL,                                 /* merge server configuration */

    ngx_http_affiliate_create_loc_conf,   /* create location configuration */
    ngx_http_affiliate_merge_loc_conf     /* merge location configuration */
};

ngx_module_t ngx_http_affiliate_module = {
    NGX_MODULE_V1,
    &ngx_http_affiliate_module_ctx,       /* module context */
    ngx_http_affiliate_commands,          /* module directives */
    NGX_HTTP_MODULE,                      /* module type */
    NULL,                                 /* init master */
    ngx_http_affiliate_init_module,       /* init module: runs as root, and under nginx -t */
    ngx_http_affiliate_init_process,      /* init process */
    NULL,                                 /* init thread */
    NULL,                                 /* exit thread */
    ngx_http_affiliate_exit_process,      /* exit process */
    NULL,                                 /* exit master */
    NGX_MODULE_V1_PADDING
};

static ngx_int_t
ngx_http_affiliate_preconfiguration(ngx_conf_t *cf)
{
    if (tracker_init() != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "ngx_http_affiliate_module: libsodium could not be initialised");
        return NGX_ERROR;
    }

    /* A single process does not run init_process again, and our timers hold the old configuration. */
    if (ngx_process == NGX_PROCESS_SINGLE && ngx_http_affiliate_slot != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "ngx_http_affiliate_module: with \"master_process off\" the configuration "
                           "cannot be reloaded, restart nginx instead");
        return NGX_ERROR;
    }

    return ngx_http_affiliate_add_variables(cf);
}

static ngx_int_t
ngx_http_affiliate_phase(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_handler_pt       *h;
    ngx_http_core_main_conf_t *cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }
    *h = handler;
    return NGX_OK;
}

/* What no location asks for costs no request anything. */
static ngx_int_t
ngx_http_affiliate_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                      i;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    const struct {
        ngx_uint_t          wanted;
        ngx_http_phases     phase;
        ngx_http_handler_pt handler;
    } handlers[] = {
        { amcf->guards, NGX_HTTP_ACCESS_PHASE, ngx_http_affiliate_gate_handler },
        { amcf->takes_conversions, NGX_HTTP_PRECONTENT_PHASE, ngx_http_affiliate_conversion_precontent },
        { amcf->takes_leads, NGX_HTTP_PRECONTENT_PHASE, ngx_http_affiliate_lead_precontent },
        { amcf->guards || amcf->takes_conversions || amcf->takes_leads, NGX_HTTP_LOG_PHASE,
          ngx_http_affiliate_apicall_log },
    };

    if (ngx_http_affiliate_track_install(cf, amcf) != NGX_OK) {
        return NGX_ERROR;
    }
    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (handlers[i].wanted && ngx_http_affiliate_phase(cf, handlers[i].phase, handlers[i].handler) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}

/* Cache manager and loader come through here as well: they answer nobody. */
static ngx_http_affiliate_main_conf_t *
ngx_http_affiliate_serving_conf(ngx_cycle_t *cycle)
{
    ngx_http_affiliate_main_conf_t *amcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NULL;
    }

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_affiliate_module);
    return amcf != NULL && amcf->state != NULL ? amcf : NULL;
}

static ngx_int_t
ngx_http_affiliate_init_process(ngx_cycle_t *cycle)
{
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_affiliate_serving_conf(cycle);

    if (amcf == NULL) {
        return NGX_OK;
    }

    ngx_http_affiliate_zone = amcf->zone;
    ngx_http_affiliate_slot = &amcf->zone->slots[ngx_process_slot % NGX_HTTP_AFFILIATE_SLOTS];
    ngx_http_affiliate_slot_reset(ngx_http_affiliate_slot, ngx_pid);

    if (ngx_http_affiliate_wire_init(cycle, amcf) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_http_affiliate_apicall_init();
    if (ngx_http_affiliate_geo_init(cycle, amcf) != NGX_OK) {
        return NGX_ERROR;
    }
    return ngx_http_affiliate_snapshot_init(cycle, amcf);
}

static void
ngx_http_affiliate_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_affiliate_slot == NULL || ngx_http_affiliate_serving_conf(cycle) == NULL) {
        return;
    }

    ngx_http_affiliate_apicall_exit();
    ngx_http_affiliate_snapshot_exit(cycle);
    ngx_http_affiliate_geo_exit(cycle);
    ngx_http_affiliate_wire_exit(cycle);
    ngx_http_affiliate_slot_reset(ngx_http_affiliate_slot, 0);
}
