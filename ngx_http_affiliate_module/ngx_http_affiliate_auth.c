/*
 * ngx_http_affiliate_auth.c - who sends this: the API key, checked before the body is read.
 *
 * Order: key known, user active, not expired, scope.  The backend checks again;
 * this is early rejection, and it must say the same.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_KEY_MAX 256 /* bytes; longer is no key of ours and is not hashed */

static struct tracker_str ngx_http_affiliate_api_key(ngx_http_request_t *r);
static struct tracker_str ngx_http_affiliate_bearer(ngx_table_elt_t *authorization);

const ngx_http_affiliate_error_t *
ngx_http_affiliate_authenticate(ngx_http_request_t *r, const struct tracker_snapshot *snapshot, uint8_t role,
                                uint32_t scope, struct tracker_api_user_row *user)
{
    uint8_t            hash[TRACKER_API_KEY_HASH_LEN];
    ngx_time_t        *tp = ngx_timeofday();
    struct tracker_str key = ngx_http_affiliate_api_key(r);
    struct tracker_api_key_row row;

    if (key.len == 0) {
        return ngx_http_affiliate_error(KEY_MISSING);
    }
    if (key.len > NGX_HTTP_AFFILIATE_KEY_MAX) {
        return ngx_http_affiliate_error(KEY_UNKNOWN);
    }

    (void) crypto_hash_sha256(hash, (const u_char *) key.data, key.len);
    if (!tracker_snapshot_api_key(snapshot, hash, &row) || row.state != TRACKER_STATE_ACTIVE
        || !tracker_snapshot_api_user(snapshot, row.api_user, user))
    {
        return ngx_http_affiliate_error(KEY_UNKNOWN); /* or revoked */
    }
    if (user->state != TRACKER_STATE_ACTIVE) {
        return ngx_http_affiliate_error(USER_PAUSED);
    }
    if (user->expires_ms != 0 && user->expires_ms <= (uint64_t) tp->sec * 1000 + tp->msec) {
        return ngx_http_affiliate_error(KEY_EXPIRED);
    }
    if (user->role != role || (user->scopes & scope) != scope) {
        return ngx_http_affiliate_error(SCOPE_DENIED);
    }
    return NULL;
}

/* Bearer first, then X-Api-Key, then authtoken.  Never from the query: it would stand in logs. */
static struct tracker_str
ngx_http_affiliate_api_key(ngx_http_request_t *r)
{
    ngx_uint_t         i;
    ngx_table_elt_t   *h;
    ngx_list_part_t   *part;
    struct tracker_str bearer, x_api_key = TRACKER_STR_NONE, authtoken = TRACKER_STR_NONE;

    bearer = ngx_http_affiliate_bearer(r->headers_in.authorization);
    if (bearer.len != 0) {
        return bearer;
    }

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        for (i = 0, h = part->elts; i < part->nelts; i++) {
            struct tracker_str *key;

            if (h[i].key.len != sizeof("x-api-key") - 1) {
                continue;
            }
            if (ngx_memcmp(h[i].lowcase_key, "x-api-key", sizeof("x-api-key") - 1) == 0) {
                key = &x_api_key;
            } else if (ngx_memcmp(h[i].lowcase_key, "authtoken", sizeof("authtoken") - 1) == 0) {
                key = &authtoken;
            } else {
                continue;
            }
            if (key->len == 0) {
                *key = (struct tracker_str){ (char *) h[i].value.data, h[i].value.len };
            }
        }
    }
    return x_api_key.len != 0 ? x_api_key : authtoken;
}

static struct tracker_str
ngx_http_affiliate_bearer(ngx_table_elt_t *authorization)
{
    u_char *p, *last;

    if (authorization == NULL || authorization->value.len <= sizeof("Bearer ") - 1
        || ngx_strncasecmp(authorization->value.data, (u_char *) "Bearer ", sizeof("Bearer ") - 1) != 0)
    {
        return TRACKER_STR_NONE;
    }

    p = authorization->value.data + sizeof("Bearer ") - 1;
    last = authorization->value.data + authorization->value.len;
    while (p < last && *p == ' ') {
        p++;
    }
    return (struct tracker_str){ (char *) p, (size_t) (last - p) };
}
