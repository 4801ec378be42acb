/*
 * ngx_http_affiliate_route.c - what a code leads to: worked out once a snapshot, then for each visitor.
 *
 * A click needs four rows of the snapshot and a decision on them that is the same for all of a link's
 * visitors.  Links are few and clicks are many, so a worker remembers what it found: a small
 * direct-mapped table, of which a new snapshot makes everything void.  Unknown codes are not remembered:
 * whoever guesses codes must not push the real ones out.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_ROUTES 256 /* about 100 KB a worker */

static ngx_http_affiliate_route_t ngx_http_affiliate_routes[NGX_HTTP_AFFILIATE_ROUTES];

static ngx_int_t ngx_http_affiliate_route_rows(const struct tracker_snapshot *snapshot, struct tracker_str code,
                                               ngx_http_affiliate_route_t *route);
static void      ngx_http_affiliate_route_decide(ngx_http_affiliate_route_t *route);
static void      ngx_http_affiliate_route_cookie(ngx_http_affiliate_route_t *route);
static uint32_t  ngx_http_affiliate_route_macros(struct tracker_str template);
static ngx_uint_t ngx_http_affiliate_route_limited(const struct tracker_limits *limits);
static uint32_t  ngx_http_affiliate_route_closed(ngx_http_affiliate_visit_t *visit);
static ngx_uint_t ngx_http_affiliate_route_in_dates(const struct tracker_limits *limits, uint64_t now_ms);
static uint64_t  ngx_http_affiliate_route_sticky(const ngx_http_affiliate_visit_t *visit);

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

/*
 * Who is sent to a fallback gets no cookie: a cap would limit clicks and not what can be earned by them, and a dead
 * link would take the last touch from an affiliate whose links are alive.
 */
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

    ngx_http_affiliate_route_cookie(route);
    route->fallback = route->campaign.fallback.len != 0 ? route->campaign.fallback : route->program.fallback;
    route->fallback_macros = ngx_http_affiliate_route_macros(route->fallback);

    if (route->flags & TRACKER_CLICK_PAUSED || route->affiliate.state == TRACKER_AFFILIATE_TERMINATED) {
        route->flags |= TRACKER_CLICK_NO_COOKIE_SET;
        route->template = route->fallback;
        route->macros = route->fallback_macros;
        return;
    }

    route->template = route->link.destination;
    route->macros = ngx_http_affiliate_route_macros(route->template);
    route->rules = route->link.rules;
    route->limited = ngx_http_affiliate_route_limited(&route->link.limits)
                     || ngx_http_affiliate_route_limited(&route->campaign.limits);
}

/* All of the program's cookie that is the same for each visitor: numbers are dear on the click path. */
static void
ngx_http_affiliate_route_cookie(ngx_http_affiliate_route_t *route)
{
    uint64_t seconds = (uint64_t) route->program.cookie_days * 24 * 60 * 60;

    route->cookie_name_len =
        ngx_sprintf(route->cookie_name, TRACKER_COOKIE_PREFIX "%uD=", route->program.id) - route->cookie_name;
    if (seconds != 0) {
        route->cookie_age_len = ngx_sprintf(route->cookie_age, "; Max-Age=%uL", seconds) - route->cookie_age;
    }
}

static uint32_t
ngx_http_affiliate_route_macros(struct tracker_str template)
{
    return template.len == 0 ? 0 : tracker_template_macros((const uint8_t *) template.data, template.len);
}

static ngx_uint_t
ngx_http_affiliate_route_limited(const struct tracker_limits *limits)
{
    return limits->starts_ms != 0 || limits->ends_ms != 0 || limits->capped_until_ms != 0
           || limits->cap_day != 0 || limits->cap_total != 0;
}

ngx_int_t
ngx_http_affiliate_route_admit(ngx_http_affiliate_visit_t *visit)
{
    uint32_t                          flag = 0;
    const ngx_http_affiliate_route_t *route = visit->route;

    visit->template = route->template;
    visit->macros = route->macros;
    if (route->limited) {
        flag = ngx_http_affiliate_route_closed(visit);
    }
    if (flag != 0) {
        visit->event.flags |= flag | TRACKER_CLICK_NO_COOKIE_SET;
        visit->template = route->fallback;
        visit->macros = route->fallback_macros;
    }
    return visit->template.len != 0 ? NGX_OK : NGX_DECLINED;
}

/* Why link or campaign are not open to this visit: a flag of its event; 0: they are. */
static uint32_t
ngx_http_affiliate_route_closed(ngx_http_affiliate_visit_t *visit)
{
    const struct tracker_link_row     *link = &visit->route->link;
    const struct tracker_campaign_row *campaign = &visit->route->campaign;

    if (!ngx_http_affiliate_route_in_dates(&link->limits, visit->time_ms)
        || !ngx_http_affiliate_route_in_dates(&campaign->limits, visit->time_ms))
    {
        return TRACKER_CLICK_OUT_OF_DATES;
    }
    if (ngx_http_affiliate_cap_limits(visit, NGX_HTTP_AFFILIATE_CAP_LINK, link->id, &link->limits) != NGX_OK
        || ngx_http_affiliate_cap_limits(visit, NGX_HTTP_AFFILIATE_CAP_CAMPAIGN, campaign->id,
                                         &campaign->limits) != NGX_OK)
    {
        ngx_http_affiliate_cap_release(visit);
        return TRACKER_CLICK_CAPPED;
    }
    return 0;
}

static ngx_uint_t
ngx_http_affiliate_route_in_dates(const struct tracker_limits *limits, uint64_t now_ms)
{
    return now_ms >= limits->starts_ms && (limits->ends_ms == 0 || now_ms < limits->ends_ms);
}

void
ngx_http_affiliate_route_choose(ngx_http_affiliate_visit_t *visit)
{
    uint64_t                          sticky;
    struct tracker_click             *event = &visit->event;
    struct tracker_choice             choice = { .rule = 0 };
    const ngx_http_affiliate_route_t *route = visit->route;
    const uint8_t                    *rules = (const uint8_t *) route->rules.data;
    const struct tracker_visitor      visitor = {
        .time_ms = visit->time_ms,
        .country = event->country,
        .region = event->region,
        .language = event->language,
        .asn = event->asn,
        .device = event->device,
        .os = event->os,
        .browser = event->browser,
        .datacentre = (event->flags & TRACKER_CLICK_DATACENTRE) != 0,
    };

    if (event->flags & (TRACKER_CLICK_OUT_OF_DATES | TRACKER_CLICK_CAPPED)) {
        return;
    }

    sticky = ngx_http_affiliate_route_sticky(visit);
    while (tracker_rules_choose(rules, route->rules.len, &visitor, sticky, choice.rule, &choice)) {
        if (choice.cap_day == 0
            || ngx_http_affiliate_cap_rule(visit, event->link, choice.rule, choice.cap_day) == NGX_OK)
        {
            visit->template = choice.template;
            visit->macros = choice.macros;
            event->rule = choice.rule;
            event->target = choice.target;
            return;
        }
    }
}

/*
 * What draws a visitor's targets: the click that he first came with, which his cookie keeps and else is this
 * one.  Mixed with the link, so that who is in the small share of one is not in that of all.
 */
static uint64_t
ngx_http_affiliate_route_sticky(const ngx_http_affiliate_visit_t *visit)
{
    uint8_t                     key[crypto_shorthash_KEYBYTES] = "affiliate";
    uint64_t                    sticky; /* crypto_shorthash_BYTES */
    const struct tracker_click *event = &visit->event;
    struct tracker_str          first = event->flags & TRACKER_CLICK_REPEAT ? event->first_touch : visit->click_id;

    ngx_memcpy(key + sizeof(key) - sizeof(event->link), &event->link, sizeof(event->link));
    crypto_shorthash((uint8_t *) &sticky, (const uint8_t *) first.data, first.len, key);
    return sticky;
}
