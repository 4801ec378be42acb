/*
 * ngx_http_affiliate_destination.c - where a visitor is sent: the chosen template with this visit's values.
 */
#include "ngx_http_affiliate_request.h"

#include "tracker_deep.h"
#include "tracker_query.h"

#include <sodium.h>

/* Seldom asked for, and filled together. */
#define NGX_HTTP_AFFILIATE_VISITOR_MACROS                                                                      \
    (1u << TRACKER_MACRO_COUNTRY | 1u << TRACKER_MACRO_REGION | 1u << TRACKER_MACRO_CITY                       \
     | 1u << TRACKER_MACRO_ASN | 1u << TRACKER_MACRO_DEVICE | 1u << TRACKER_MACRO_OS                           \
     | 1u << TRACKER_MACRO_BROWSER | 1u << TRACKER_MACRO_LANGUAGE | 1u << TRACKER_MACRO_IP)
#define NGX_HTTP_AFFILIATE_VISITOR_TEXT (NGX_SOCKADDR_STRLEN + NGX_INT64_LEN) /* of address and network */

static int       ngx_http_affiliate_expand(ngx_http_affiliate_visit_t *visit, char *url, size_t cap);
static int       ngx_http_affiliate_follow(ngx_http_affiliate_visit_t *visit, char *url, size_t cap);
static bool      ngx_http_affiliate_passes(void *data, struct tracker_str name);
static void ngx_http_affiliate_visitor_values(const struct tracker_click *event, struct tracker_str *values,
                                              u_char *text);
static struct tracker_str ngx_http_affiliate_decimal(u_char *buf, uint64_t number);
static uint64_t  ngx_http_affiliate_random(void);
static struct tracker_str ngx_http_affiliate_language(struct tracker_str accept);

void
ngx_http_affiliate_deep(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click             *event = &visit->event;
    const ngx_http_affiliate_route_t *route = visit->route;

    /* a fallback, or what a rule chose, is where this visitor has to go */
    if (visit->template.data != route->link.destination.data) {
        return;
    }
    if (!(route->link.options & TRACKER_LINK_NO_DEEP) && tracker_deep_allowed(event->deep, route->campaign.hosts)) {
        visit->deep = event->deep;
    } else {
        event->flags |= TRACKER_CLICK_DEEP_REFUSED;
    }
}

ngx_int_t
ngx_http_affiliate_destination(ngx_http_affiliate_visit_t *visit)
{
    static char url[TRACKER_URL_MAX]; /* one at a time, on the event loop */

    int                 len;
    char               *copy;
    ngx_http_request_t *r = visit->request;

    len = visit->deep.len == 0 ? ngx_http_affiliate_expand(visit, url, sizeof(url))
                               : ngx_http_affiliate_follow(visit, url, sizeof(url));
    if (len <= 0) {
        return NGX_ERROR;
    }
    if (visit->route->link.options & TRACKER_LINK_PASS_UNKNOWN && r->args.len != 0) {
        len = (int) tracker_query_pass(url, len, sizeof(url), (struct tracker_str){ (char *) r->args.data, r->args.len },
                                       ngx_http_affiliate_passes, visit);
    }

    copy = ngx_pnalloc(r->pool, len);
    if (copy == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(copy, url, len);
    visit->url = (struct tracker_str){ copy, (size_t) len };
    return NGX_OK;
}

/* The chosen template; only the values that it asks for are filled.  The length, or -1. */
static int
ngx_http_affiliate_expand(ngx_http_affiliate_visit_t *visit, char *url, size_t cap)
{
    /* what the template does not ask for keeps what an older click left there */
    static struct tracker_str values[TRACKER_MACRO_COUNT];

    u_char                      affiliate_id[NGX_INT64_LEN], timestamp[NGX_INT64_LEN], random[NGX_INT64_LEN];
    u_char                      visitor[NGX_HTTP_AFFILIATE_VISITOR_TEXT];
    uint32_t                    wanted;
    struct tracker_click       *event = &visit->event;

    if (event->flags & TRACKER_CLICK_NO_CONSENT) {
        ngx_http_affiliate_forget(event); /* what is not kept is not handed on either */
    }
    values[TRACKER_MACRO_CLICK_ID] = visit->click_id;

    wanted = visit->macros;
    if (wanted & ~(1u << TRACKER_MACRO_CLICK_ID)) {
        values[TRACKER_MACRO_AFFILIATE] = visit->route->affiliate.name;
        values[TRACKER_MACRO_CAMPAIGN] = visit->route->campaign.name;
        values[TRACKER_MACRO_LINK] = visit->code;
        values[TRACKER_MACRO_SOURCE] = event->source;
        values[TRACKER_MACRO_CREATIVE] = event->creative;
        values[TRACKER_MACRO_REF_ID] = event->ref_id;
        ngx_memcpy(&values[TRACKER_MACRO_SUB1], event->sub, sizeof(event->sub));

        if (wanted & NGX_HTTP_AFFILIATE_VISITOR_MACROS) {
            ngx_http_affiliate_visitor_values(event, values, visitor);
        }
        if (wanted & 1u << TRACKER_MACRO_AFFILIATE_ID) {
            values[TRACKER_MACRO_AFFILIATE_ID] = ngx_http_affiliate_decimal(affiliate_id, event->affiliate);
        }
        if (wanted & 1u << TRACKER_MACRO_TIMESTAMP) {
            values[TRACKER_MACRO_TIMESTAMP] = ngx_http_affiliate_decimal(timestamp, visit->time_ms / 1000);
        }
        if (wanted & 1u << TRACKER_MACRO_RANDOM) {
            values[TRACKER_MACRO_RANDOM] = ngx_http_affiliate_decimal(random, ngx_http_affiliate_random());
        }
    }
    return tracker_template_expand((const uint8_t *) visit->template.data, visit->template.len, values, url, cap);
}

/*
 * The deep link, with the click id under the name that the link's own destination has for it: that is where the
 * advertiser looks.  A link that hands no click id on does not do so here.  The length, or -1.
 */
static int
ngx_http_affiliate_follow(ngx_http_affiliate_visit_t *visit, char *url, size_t cap)
{
    int                len = tracker_deep_write(visit->deep, url, cap);
    struct tracker_str name;

    if (len < 0 || !(visit->macros & 1u << TRACKER_MACRO_CLICK_ID)) {
        return len;
    }
    name = tracker_template_parameter((const uint8_t *) visit->template.data, visit->template.len,
                                      TRACKER_MACRO_CLICK_ID);
    if (name.len == 0) {
        name = TRACKER_STR("click_id");
    }
    len = (int) tracker_query_set(url, len, cap, name, visit->click_id);
    return len == 0 ? -1 : len;
}

/* What is not ours belongs to whom the visitor goes to. */
static bool
ngx_http_affiliate_passes(void *data, struct tracker_str name)
{
    return !ngx_http_affiliate_param_ours(data, name);
}

/* What is known of the visitor; text holds what has to be written for it. */
static void
ngx_http_affiliate_visitor_values(const struct tracker_click *event, struct tracker_str *values, u_char *text)
{
    values[TRACKER_MACRO_COUNTRY] = event->country;
    values[TRACKER_MACRO_REGION] = event->region;
    values[TRACKER_MACRO_CITY] = event->city;
    values[TRACKER_MACRO_DEVICE] = tracker_device_name(event->device);
    values[TRACKER_MACRO_OS] = tracker_os_name(event->os);
    values[TRACKER_MACRO_BROWSER] = tracker_browser_name(event->browser);
    values[TRACKER_MACRO_LANGUAGE] = ngx_http_affiliate_language(event->language);
    values[TRACKER_MACRO_IP] = ngx_http_affiliate_address_text(event, text);
    values[TRACKER_MACRO_ASN] = TRACKER_STR_NONE;
    if (event->asn != 0) {
        values[TRACKER_MACRO_ASN] = ngx_http_affiliate_decimal(text + NGX_SOCKADDR_STRLEN, event->asn);
    }
}

static struct tracker_str
ngx_http_affiliate_decimal(u_char *buf, uint64_t number)
{
    return (struct tracker_str){ (char *) buf, (size_t) (ngx_http_affiliate_number(buf, number) - buf) };
}

/* Against caches, not against guessers: splitmix64 (Steele, Lea,
 * Flood 2014) from one secret seed a worker. */
static uint64_t
ngx_http_affiliate_random(void)
{
    static uint64_t state;
    uint64_t        z;

    if (state == 0) {
        randombytes_buf(&state, sizeof(state));
    }
    z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The first language asked for, without region and weight: "de-CH,de;q=0.9" is "de". */
static struct tracker_str
ngx_http_affiliate_language(struct tracker_str accept)
{
    size_t len = 0, max = ngx_min(accept.len, 8);

    while (len < max && (accept.data[len] | 0x20) >= 'a' && (accept.data[len] | 0x20) <= 'z') {
        len++;
    }
    return (struct tracker_str){ accept.data, len };
}
