/*
 * ngx_http_affiliate_destination.c - where a visitor is sent: the chosen template with this visit's values.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

static struct tracker_str ngx_http_affiliate_decimal(u_char *buf, uint64_t number);
static uint64_t  ngx_http_affiliate_random(void);
static struct tracker_str ngx_http_affiliate_language(struct tracker_str accept);

/* Fills only the values that the template asks for.  NGX_ERROR: too long, or no memory. */
ngx_int_t
ngx_http_affiliate_destination(ngx_http_affiliate_visit_t *visit)
{
    /* One at a time, on the event loop; what the template does not ask
     * for keeps what an older click left there. */
    static char               url[TRACKER_URL_MAX];
    static struct tracker_str values[TRACKER_MACRO_COUNT];

    int                         len;
    char                       *copy;
    u_char                      affiliate_id[NGX_INT64_LEN], timestamp[NGX_INT64_LEN], random[NGX_INT64_LEN];
    uint32_t                    wanted;
    ngx_http_request_t         *r = visit->request;
    const struct tracker_click *event = &visit->event;
    const uint8_t              *template = (const uint8_t *) visit->template.data;

    values[TRACKER_MACRO_CLICK_ID] = visit->click_id;

    wanted = visit->macros;
    if (wanted & ~(1u << TRACKER_MACRO_CLICK_ID)) {
        values[TRACKER_MACRO_AFFILIATE] = visit->route->affiliate.name;
        values[TRACKER_MACRO_CAMPAIGN] = visit->route->campaign.name;
        values[TRACKER_MACRO_LINK] = visit->code;
        values[TRACKER_MACRO_SOURCE] = event->source;
        values[TRACKER_MACRO_CREATIVE] = event->creative;
        values[TRACKER_MACRO_REF_ID] = event->ref_id;
        values[TRACKER_MACRO_IP] = (struct tracker_str){ (char *) r->connection->addr_text.data,
                                                         r->connection->addr_text.len };
        ngx_memcpy(&values[TRACKER_MACRO_SUB1], event->sub, sizeof(event->sub));

        if (wanted & 1u << TRACKER_MACRO_LANGUAGE) {
            values[TRACKER_MACRO_LANGUAGE] = ngx_http_affiliate_language(event->language);
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

    len = tracker_template_expand(template, visit->template.len, values, url, sizeof(url));
    if (len <= 0) {
        return NGX_ERROR;
    }

    copy = ngx_pnalloc(r->pool, len);
    if (copy == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(copy, url, len);
    visit->url = (struct tracker_str){ copy, (size_t) len };
    return NGX_OK;
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
