/*
 * ngx_http_affiliate_visitor.c - who is it: what an address and a user agent say about a visitor.
 *
 * What is found goes into the event, reasons for doubt as verdict bits.  Nobody is turned away: bots are
 * redirected and recorded like everybody else, and counted by nobody.
 */
#include "ngx_http_affiliate_visitor.h"

#define NGX_HTTP_AFFILIATE_V4_MAPPED ((uint64_t) 0xffff << 32)

static void ngx_http_affiliate_know_place(ngx_http_affiliate_visit_t *visit,
                                          const ngx_http_affiliate_address_key_t *key);
static void ngx_http_affiliate_know_agent(ngx_http_affiliate_visit_t *visit);
static ngx_uint_t ngx_http_affiliate_hosting(const struct tracker_snapshot *snapshot, uint32_t asn);

static ngx_inline void
ngx_http_affiliate_address_key(struct tracker_str address, ngx_http_affiliate_address_key_t *key)
{
    uint32_t v4;

    if (address.len == 4) {
        ngx_memcpy(&v4, address.data, 4);
        key->high = 0;
        key->low = NGX_HTTP_AFFILIATE_V4_MAPPED | v4;
    } else {
        ngx_memcpy(&key->high, address.data, 8);
        ngx_memcpy(&key->low, address.data + 8, 8);
    }
    key->hash = ngx_http_affiliate_address_hash(key->high, key->low);
}

void
ngx_http_affiliate_know(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_click            *event = &visit->event;
    ngx_http_affiliate_address_key_t key;

    if (visit->address.len != 0) {
        ngx_http_affiliate_address_key(visit->address, &key);
        if (visit->main->geo) {
            ngx_http_affiliate_know_place(visit, &key);
        }
        if (visit->conf->detect && visit->conf->rate != 0 && visit->type == TRACKER_EVENT_CLICK
            && visit->request->method != NGX_HTTP_HEAD
            && ngx_http_affiliate_clicks_too_often(&key, visit->conf->rate))
        {
            event->flags |= TRACKER_CLICK_RATE;
        }
    }

    if (visit->conf->detect) {
        ngx_http_affiliate_know_agent(visit);
    }
}

static void
ngx_http_affiliate_know_place(ngx_http_affiliate_visit_t *visit, const ngx_http_affiliate_address_key_t *key)
{
    ngx_uint_t                  serial;
    struct tracker_click       *event = &visit->event;
    ngx_http_affiliate_place_t *place = ngx_http_affiliate_geo_find(key, visit->address);

    event->country = (struct tracker_str){ place->country, place->country_len };
    event->region = (struct tracker_str){ place->region, place->region_len };
    event->city = (struct tracker_str){ place->city, place->city_len };
    event->asn = place->asn;

    if (place->asn != 0 && visit->conf->detect) {
        serial = ngx_http_affiliate_snapshot_serial();
        if (place->hosting_serial != serial) {
            place->hosting_serial = serial;
            place->hosting = ngx_http_affiliate_hosting(visit->snapshot, place->asn);
        }
        if (place->hosting) {
            event->flags |= TRACKER_CLICK_DATACENTRE;
        }
    }
}

static void
ngx_http_affiliate_know_agent(ngx_http_affiliate_visit_t *visit)
{
    struct tracker_agent  agent;
    struct tracker_click *event = &visit->event;

    if (event->user_agent.len == 0) {
        event->flags |= TRACKER_CLICK_NO_AGENT;
        return;
    }

    ngx_http_affiliate_agent_classify(visit->snapshot, event->user_agent, &agent);
    event->device = agent.device;
    event->os = agent.os;
    event->browser = agent.browser;
    if (agent.kind == TRACKER_AGENT_BOT) {
        event->flags |= TRACKER_CLICK_BOT;
    } else if (agent.kind == TRACKER_AGENT_PREVIEW) {
        event->flags |= TRACKER_CLICK_PREVIEW;
    }
}

/* The snapshot's list is sorted (tracker_snapshot.h). */
static ngx_uint_t
ngx_http_affiliate_hosting(const struct tracker_snapshot *snapshot, uint32_t asn)
{
    size_t             low = 0, high, middle;
    uint32_t           number;
    struct tracker_str list = tracker_snapshot_blob(snapshot, TRACKER_BLOB_DATACENTRES);

    high = list.len / sizeof(number);
    while (low < high) {
        middle = low + (high - low) / 2;
        ngx_memcpy(&number, list.data + middle * sizeof(number), sizeof(number));
        if (number == asn) {
            return 1;
        }
        if (number < asn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 0;
}
