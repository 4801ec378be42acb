/*
 * ngx_http_affiliate_route.c - what a code leads to, worked out once a snapshot.
 *
 * A click needs four rows of the snapshot and a decision on them that is the same for all of a link's
 * visitors.  Links are few and clicks are many, so a worker remembers what it found: a small
 * direct-mapped table, of which a new snapshot makes everything void.  Unknown codes are not remembered:
 * whoever guesses codes must not push the real ones out.
 */
#include "ngx_http_affiliate_request.h"

#define NGX_HTTP_AFFILIATE_ROUTES 256 /* about 100 KB a worker */

static ngx_http_affiliate_route_t ngx_http_affiliate_routes[NGX_HTTP_AFFILIATE_ROUTES];

static ngx_int_t ngx_http_affiliate_route_rows(const struct tracker_snapshot *snapshot, struct tracker_str code,
                                               ngx_http_affiliate_route_t *route);
static void      ngx_http_affiliate_route_decide(ngx_http_affiliate_route_t *route);

const ngx_http_affiliate_route_t *
ngx_http_affiliate_route(const struct tracker_snapshot *snapshot, struct tracker_str code)
{
    size_t                      i;
    ngx_uint_t                  key = 0, serial = ngx_http_affiliate_snapshot_serial();
    ngx_http_affiliate_route_t  found, *route;

    for (i = 0; i < code.len; i++) {
        key = ngx_hash(key, (u_char) code.data[i]);
    }

    route = &ngx_http_affiliate_routes[key % NGX_HTTP_AFFILIATE_ROUTES];
    if (route->serial == serial && route->code_len == code.len
        && ngx_memcmp(route->code, code.data, code.len) == 0)
    {
        return route;
    }

    if (ngx_http_affiliate_route_rows(snapshot, code, &found) != NGX_OK) {
        return NULL;
    }
    ngx_http_affiliate_route_decide(&found);
    found.serial = serial;
    found.code_len = code.len;
    ngx_memcpy(found.code, code.data, code.len);
    found.count = ngx_http_affiliate_link_count(found.link.id);

    *route = found;
    return route;
}

/* NGX_DECLINED: no such link.  A link whose campaign, program or affiliate is not there leads nowhere. */
static ngx_int_t
ngx_http_affiliate_route_rows(const struct tracker_snapshot *snapshot, struct tracker_str code,
                              ngx_http_affiliate_route_t *route)
{
    ngx_memzero(route, sizeof(*route));
    if (code.len > TRACKER_CODE_MAX || !tracker_snapshot_link(snapshot, code, &route->link)) {
        return NGX_DECLINED;
    }
    route->whole = tracker_snapshot_campaign(snapshot, route->link.campaign, &route->campaign)
                   && tracker_snapshot_program(snapshot, route->campaign.program, &route->program)
                   && tracker_snapshot_affiliate(snapshot, route->link.affiliate, &route->affiliate);
    return NGX_OK;
}

static void
ngx_http_affiliate_route_decide(ngx_http_affiliate_route_t *route)
{
    if (!route->whole) {
        return;
    }

    if (route->link.state != TRACKER_STATE_ACTIVE || route->campaign.state != TRACKER_STATE_ACTIVE
        || route->program.state != TRACKER_STATE_ACTIVE)
    {
        route->flags |= TRACKER_CLICK_PAUSED;
    }
    if (route->affiliate.state != TRACKER_AFFILIATE_APPROVED) {
        route->flags |= TRACKER_CLICK_NOT_ACCRUING;
    }

    if (!(route->flags & TRACKER_CLICK_PAUSED) && route->affiliate.state != TRACKER_AFFILIATE_TERMINATED) {
        route->template = route->link.destination;
    } else if (route->campaign.fallback.len != 0) {
        route->template = route->campaign.fallback;
    } else {
        route->template = route->program.fallback;
    }
    if (route->template.len != 0) {
        route->macros = tracker_template_macros((const uint8_t *) route->template.data, route->template.len);
    }
}
