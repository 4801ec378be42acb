/*
 * ngx_http_affiliate_access.c - what an API user that is known may still fail at, in the documented order.
 *
 * The backend checks again; this is early rejection, and it must say the same.
 */
#include "ngx_http_affiliate_caller.h"

const ngx_http_affiliate_error_t *
ngx_http_affiliate_access(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller, uint8_t role,
                          uint32_t scope)
{
    ngx_time_t                        *tp = ngx_timeofday();
    const struct tracker_api_user_row *user = &caller->user;

    if (user->state != TRACKER_STATE_ACTIVE) {
        return ngx_http_affiliate_error(USER_PAUSED);
    }
    if (user->expires_ms != 0 && user->expires_ms <= (uint64_t) tp->sec * 1000 + tp->msec) {
        return ngx_http_affiliate_error(KEY_EXPIRED);
    }
    if (user->restricted
        && !tracker_networks_hold(user->networks, ngx_http_affiliate_address(r->connection)))
    {
        return ngx_http_affiliate_error(IP_DENIED);
    }
    if ((role != NGX_HTTP_AFFILIATE_ROLE_ANY && user->role != role) || (user->scopes & scope) != scope) {
        return ngx_http_affiliate_error(SCOPE_DENIED);
    }

    /* who has not proved himself yet must not use up somebody's minute: he is counted once he has */
    if (ngx_http_affiliate_rate_over(&ngx_http_affiliate_zone->users, user->id, user->rate_minute,
                                     !caller->unverified))
    {
        return ngx_http_affiliate_error(RATE_LIMITED);
    }
    return NULL;
}
