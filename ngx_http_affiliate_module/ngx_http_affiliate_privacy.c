/*
 * ngx_http_affiliate_privacy.c - what may be kept of a visitor: affiliate_ip and affiliate_consent.
 *
 * Both are decided before the event is written: what may not be kept is never on the disk.
 */
#include "ngx_http_affiliate_caller.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_DAY_S 86400

ngx_conf_enum_t ngx_http_affiliate_ip_names[] = {
    { ngx_string("store"), NGX_HTTP_AFFILIATE_IP_STORE },
    { ngx_string("truncate"), NGX_HTTP_AFFILIATE_IP_TRUNCATE },
    { ngx_string("hash"), NGX_HTTP_AFFILIATE_IP_HASH },
    { ngx_string("off"), NGX_HTTP_AFFILIATE_IP_OFF },
    { ngx_null_string, 0 }
};

/* What a consent parameter may say; anything else is a no, for who asks wants to hear yes. */
static const char *const ngx_http_affiliate_yes[] = { "1", "y", "yes", "true", "granted" };

static ngx_uint_t ngx_http_affiliate_says_yes(ngx_str_t *value);
static const uint8_t *ngx_http_affiliate_address_secret(const struct tracker_keys *keys, uint64_t day);

/* ---- consent ---- */

/* What was asked on the page before weighs more than what a browser says to everybody. */
ngx_uint_t
ngx_http_affiliate_consent_missing(ngx_http_affiliate_visit_t *visit)
{
    ngx_str_t                          value;
    ngx_http_affiliate_consent_conf_t *consent = &visit->conf->consent;

    if (consent->param.len != 0
        && ngx_http_arg(visit->request, consent->param.data, consent->param.len, &value) == NGX_OK
        && value.len != 0)
    {
        return !ngx_http_affiliate_says_yes(&value);
    }
    return consent->required || (visit->signals & consent->signals) != 0;
}

ngx_uint_t
ngx_http_affiliate_consents(ngx_http_request_t *r, ngx_http_affiliate_loc_conf_t *conf)
{
    ngx_http_affiliate_visit_t visit;

    ngx_memzero(&visit, sizeof(visit));
    visit.request = r;
    visit.conf = conf;
    if (tracker_str_eq(ngx_http_affiliate_header(r, TRACKER_STR("sec-gpc")), TRACKER_STR("1"))) {
        visit.signals |= NGX_HTTP_AFFILIATE_SIGNAL_GPC;
    }
    if (tracker_str_eq(ngx_http_affiliate_header(r, TRACKER_STR("dnt")), TRACKER_STR("1"))) {
        visit.signals |= NGX_HTTP_AFFILIATE_SIGNAL_DNT;
    }
    return !ngx_http_affiliate_consent_missing(&visit);
}

static ngx_uint_t
ngx_http_affiliate_says_yes(ngx_str_t *value)
{
    for (ngx_uint_t i = 0; i < sizeof(ngx_http_affiliate_yes) / sizeof(char *); i++) {
        if (value->len == ngx_strlen(ngx_http_affiliate_yes[i])
            && ngx_strncasecmp(value->data, (u_char *) ngx_http_affiliate_yes[i], value->len) == 0)
        {
            return 1;
        }
    }
    return 0;
}

/* What the partner's link says, the country and the kind of device stay: none of them tells people apart. */
void
ngx_http_affiliate_forget(struct tracker_click *event)
{
    event->ip = TRACKER_STR_NONE;
    event->ip_form = TRACKER_IP_WHOLE;
    event->user_agent = TRACKER_STR_NONE;
    event->referrer = TRACKER_STR_NONE;
    event->language = TRACKER_STR_NONE;
    event->region = TRACKER_STR_NONE;
    event->city = TRACKER_STR_NONE;
    event->asn = 0;
}

/* ---- addresses ---- */

struct tracker_str
ngx_http_affiliate_kept_address(ngx_uint_t ip, const struct tracker_keys *keys, uint64_t time_ms,
                                struct tracker_str address, u_char out[16], uint8_t *form)
{
    *form = TRACKER_IP_WHOLE;
    if (address.len == 0) {
        return address;
    }

    switch (ip) {
    case NGX_HTTP_AFFILIATE_IP_TRUNCATE:
        *form = TRACKER_IP_TRUNCATED;
        ngx_memzero(out, 16);
        ngx_memcpy(out, address.data, address.len == 4 ? 3 : 6);
        return (struct tracker_str){ (char *) out, address.len };
    case NGX_HTTP_AFFILIATE_IP_HASH:
        *form = TRACKER_IP_HASHED;
        (void) crypto_shorthash_siphashx24(out, (const u_char *) address.data, address.len,
                                           ngx_http_affiliate_address_secret(
                                               keys, time_ms / 1000 / NGX_HTTP_AFFILIATE_DAY_S));
        return (struct tracker_str){ (char *) out, 16 };
    case NGX_HTTP_AFFILIATE_IP_OFF:
        return TRACKER_STR_NONE;
    default:
        return address;
    }
}

/* Derived once a day (of UTC); all edges of one key ring have the same. */
static const uint8_t *
ngx_http_affiliate_address_secret(const struct tracker_keys *keys, uint64_t day)
{
    static uint8_t  secret[TRACKER_KEY_LEN];
    static uint64_t secret_day; /* 0: none yet */

    uint8_t context[8];

    if (secret_day != day) {
        for (ngx_uint_t i = 0; i < sizeof(context); i++) {
            context[i] = (uint8_t) (day >> 8 * i);
        }
        tracker_keys_derive(keys, keys->current, TRACKER_LABEL_ADDRESS, context, sizeof(context), secret);
        secret_day = day;
    }
    return secret;
}

struct tracker_str
ngx_http_affiliate_address_text(const struct tracker_click *event, u_char *buf)
{
    size_t len;

    if (event->ip.len == 0) {
        return TRACKER_STR_NONE;
    }
    if (event->ip_form == TRACKER_IP_HASHED) {
        len = (size_t) (ngx_hex_dump(buf, (u_char *) event->ip.data, event->ip.len) - buf);
    } else {
        len = ngx_inet_ntop(event->ip.len == 4 ? AF_INET : AF_INET6, (void *) event->ip.data, buf,
                            NGX_SOCKADDR_STRLEN);
    }
    return (struct tracker_str){ (char *) buf, len };
}

/* ---- affiliate_consent off | [gpc] [dnt] [param=NAME] [required] ---- */

char *
ngx_http_affiliate_set_consent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                         *value = cf->args->elts;
    ngx_http_affiliate_consent_conf_t *consent = &((ngx_http_affiliate_loc_conf_t *) conf)->consent;

    if (consent->asked != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    consent->asked = 0;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (ngx_strcmp(value[i].data, "gpc") == 0) {
            consent->signals |= NGX_HTTP_AFFILIATE_SIGNAL_GPC;
        } else if (ngx_strcmp(value[i].data, "dnt") == 0) {
            consent->signals |= NGX_HTTP_AFFILIATE_SIGNAL_DNT;
        } else if (ngx_strcmp(value[i].data, "required") == 0) {
            consent->required = 1;
        } else if (value[i].len > 6 && ngx_strncmp(value[i].data, "param=", 6) == 0 && consent->param.len == 0) {
            consent->param.data = value[i].data + 6;
            consent->param.len = value[i].len - 6;
        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_consent\": \"%V\" is none of gpc, dnt, one param=name, required and a "
                               "single off", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (consent->required && consent->param.len == 0) {
        return "that is required needs a param= by which it is given";
    }
    consent->asked = consent->param.len != 0;
    return NGX_CONF_OK;
}
