/*
 * ngx_http_affiliate_auth.c - who sends this: a token that the operator configured, an API key in a header, or a
 * signature.
 *
 * In that order; the first that is there decides.  What may be said before the body is read is said then: only
 * a signature that covers a body has to wait for it.
 */
#include "ngx_http_affiliate_caller.h"

#include <sodium.h>

#include "tracker_signature.h"

#define NGX_HTTP_AFFILIATE_KEY_MAX   256 /* bytes; longer is no key of ours and is not hashed */
#define NGX_HTTP_AFFILIATE_KEY_FORM  "aff_live_"
#define NGX_HTTP_AFFILIATE_KEY_SHOWN 14  /* of a key, form included */
#define NGX_HTTP_AFFILIATE_KEY_MIN   40  /* shorter is no key of ours: showing a part would show too much */
#define NGX_HTTP_AFFILIATE_TS_MAX_S  300 /* a signed request's ts may be this far from now */
#define NGX_HTTP_AFFILIATE_SIGNATURE_PREFIX "sha256="

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify_key(ngx_http_affiliate_caller_t *caller, struct tracker_str key, uint8_t auth);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify_signer(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller,
                          struct tracker_str text);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_query(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller,
                                struct tracker_str form);
static struct tracker_str ngx_http_affiliate_key_prefix(struct tracker_str key);
static struct tracker_str ngx_http_affiliate_api_key(ngx_http_request_t *r);
static struct tracker_str ngx_http_affiliate_argument(ngx_http_request_t *r, struct tracker_str name);
static struct tracker_str ngx_http_affiliate_bearer(ngx_table_elt_t *authorization);

ngx_http_affiliate_caller_t *
ngx_http_affiliate_caller_begin(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx, size_t size)
{
    ngx_http_affiliate_caller_t *caller = ngx_pcalloc(r->pool, size);

    if (caller == NULL || ngx_http_affiliate_token(r, &caller->token) != NGX_OK) {
        return NULL;
    }
    caller->conf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    caller->uri = r->uri;
    ctx->caller = caller;
    return caller;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_authenticate(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller, uint8_t role,
                                uint32_t scope)
{
    const ngx_http_affiliate_error_t *error;

    caller->snapshot = ngx_http_affiliate_snapshot();
    if (caller->snapshot == NULL) {
        return ngx_http_affiliate_error(STARTING);
    }
    error = ngx_http_affiliate_identify(r, caller);
    if (error == NULL) {
        error = ngx_http_affiliate_access(r, caller, role, scope);
    }
    if (error != NULL) {
        return error;
    }

    caller->snapshot = ngx_http_affiliate_snapshot_pin(r->pool); /* the same: the event loop has not turned */
    if (caller->snapshot == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    if (!tracker_snapshot_program(caller->snapshot, caller->user.program, &caller->program)) {
        ngx_memzero(&caller->program, sizeof(caller->program));
    }
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_body(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller,
                               struct tracker_str body, ngx_uint_t form)
{
    const ngx_http_affiliate_error_t *error;

    if (!caller->unverified) {
        /* a body that the headers did not announce is not in the signature */
        return caller->auth == TRACKER_AUTH_SIGNATURE && body.len != 0
                   ? ngx_http_affiliate_error(SIGNATURE_INVALID) : NULL;
    }

    if (caller->body_signed) {
        /* nothing vouches for a query beside a signed body */
        error = r->args.len != 0 ? ngx_http_affiliate_error(SIGNATURE_INVALID)
                                 : ngx_http_affiliate_verify(r, caller, body);
    } else {
        /* and a signed query does not vouch for JSON */
        error = body.len != 0 && !form ? ngx_http_affiliate_error(SIGNATURE_INVALID)
                                       : ngx_http_affiliate_verify_query(r, caller, body);
    }
    if (error != NULL) {
        return error;
    }

    caller->unverified = 0;
    caller->proven = 1;
    if (ngx_http_affiliate_rate_over(&ngx_http_affiliate_zone->users, caller->user.id,
                                     caller->user.rate_minute, 1))
    {
        return ngx_http_affiliate_error(RATE_LIMITED);
    }
    return NULL;
}

/* Of two values the first would count, and the signature does not say which of them came first. */
const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_ts(const ngx_http_affiliate_caller_t *caller, struct tracker_str ts, ngx_uint_t twice)
{
    uint64_t    then, now = (uint64_t) ngx_time();
    const char *p = ts.data, *last = p + ts.len;

    if (caller->auth != TRACKER_AUTH_SIGNATURE) {
        return NULL;
    }
    if (twice) {
        return ngx_http_affiliate_error(FIELD_TWICE);
    }
    if (ts.len != 0
        && (!ngx_http_affiliate_parse_digits(&p, last, 1, 12, &then) || p != last
            || (then > now ? then - now : now - then) > NGX_HTTP_AFFILIATE_TS_MAX_S))
    {
        return ngx_http_affiliate_error(SIGNATURE_INVALID);
    }
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_query_ts(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller)
{
    ngx_uint_t         n = 0;
    struct tracker_str rest = { (char *) r->args.data, r->args.len }, name, value, ts = TRACKER_STR_NONE;

    if (caller->auth != TRACKER_AUTH_SIGNATURE) {
        return NULL;
    }
    while (tracker_query_next(&rest, &name, &value)) {
        if (tracker_str_eq(name, TRACKER_STR("ts"))) {
            ts = value;
            n++;
        }
    }
    return ngx_http_affiliate_verify_ts(caller, ts, n > 1);
}

ngx_int_t
ngx_http_affiliate_token(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    ngx_str_null(token);
    return alcf->token == NULL ? NGX_OK : ngx_http_complex_value(r, alcf->token, token);
}

/* ---- who ---- */

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller)
{
    struct tracker_str key = { (char *) caller->token.data, caller->token.len };

    if (key.len != 0) {
        return ngx_http_affiliate_identify_key(caller, key, TRACKER_AUTH_TOKEN);
    }

    key = ngx_http_affiliate_api_key(r);
    if (key.len != 0) {
        return ngx_http_affiliate_identify_key(caller, key, TRACKER_AUTH_API_KEY);
    }
    return ngx_http_affiliate_identify_signer(r, caller);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify_key(ngx_http_affiliate_caller_t *caller, struct tracker_str key, uint8_t auth)
{
    uint8_t                    hash[TRACKER_API_KEY_HASH_LEN];
    ngx_uint_t                 kept;
    struct tracker_api_key_row row;

    caller->auth = auth;
    caller->key_prefix = ngx_http_affiliate_key_prefix(key);
    if (key.len > NGX_HTTP_AFFILIATE_KEY_MAX) {
        return ngx_http_affiliate_error(KEY_UNKNOWN);
    }
    kept = ngx_http_affiliate_keyhash_find(key, hash);
    if (!kept) {
        tracker_api_key_hash(key, hash);
    }
    if (!tracker_snapshot_api_key(caller->snapshot, hash, &row) || row.state != TRACKER_STATE_ACTIVE
        || !tracker_snapshot_api_user(caller->snapshot, row.api_user, &caller->user))
    {
        return ngx_http_affiliate_error(KEY_UNKNOWN); /* or revoked */
    }
    if (!kept) {
        ngx_http_affiliate_keyhash_keep(key, hash);
    }
    caller->proven = 1;
    return NULL;
}

/* What the portal shows of a key: enough to tell keys apart.  Of what is no key of ours nothing is kept. */
static struct tracker_str
ngx_http_affiliate_key_prefix(struct tracker_str key)
{
    size_t form = sizeof(NGX_HTTP_AFFILIATE_KEY_FORM) - 1;

    if (key.len < NGX_HTTP_AFFILIATE_KEY_MIN || ngx_memcmp(key.data, NGX_HTTP_AFFILIATE_KEY_FORM, form) != 0) {
        return TRACKER_STR_NONE;
    }
    return (struct tracker_str){ key.data, NGX_HTTP_AFFILIATE_KEY_SHOWN };
}

/* X-Signature and X-Api-User sign a body; sig and user, in the query, sign all parameters. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_identify_signer(ngx_http_request_t *r, ngx_http_affiliate_caller_t *caller)
{
    uint64_t                          id;
    const char                       *p;
    struct tracker_str                user;
    const ngx_http_affiliate_error_t *error;

    caller->auth = TRACKER_AUTH_SIGNATURE;
    caller->signature = ngx_http_affiliate_header(r, TRACKER_STR("x-signature"));
    caller->body_signed = caller->signature.len != 0;
    if (caller->body_signed) {
        user = ngx_http_affiliate_header(r, TRACKER_STR("x-api-user"));
    } else {
        caller->signature = ngx_http_affiliate_argument(r, TRACKER_STR(TRACKER_SIGNATURE_PARAM));
        user = ngx_http_affiliate_argument(r, TRACKER_STR("user"));
    }
    if (caller->signature.len == 0) {
        return ngx_http_affiliate_error(KEY_MISSING);
    }

    p = user.data;
    if (user.len == 0 || !ngx_http_affiliate_parse_digits(&p, user.data + user.len, 1, 10, &id)
        || p != user.data + user.len || id > UINT32_MAX
        || !tracker_snapshot_api_user(caller->snapshot, (uint32_t) id, &caller->user))
    {
        return ngx_http_affiliate_error(KEY_UNKNOWN);
    }

    caller->unverified = caller->body_signed || r->headers_in.content_length_n > 0 || r->headers_in.chunked;
    if (caller->unverified) {
        return NULL;
    }
    error = ngx_http_affiliate_verify_query(r, caller, TRACKER_STR_NONE);
    caller->proven = error == NULL;
    return error;
}

/* ---- signatures ---- */

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify_query(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller,
                                struct tracker_str form)
{
    char              *space;
    struct tracker_str text, query = { (char *) r->args.data, r->args.len };

    space = ngx_pnalloc(r->pool, TRACKER_CANONICAL_SPACE(query.len + form.len));
    if (space == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    return tracker_canonical_query(query, form, space, &text) ? ngx_http_affiliate_verify(r, caller, text)
                                                              : ngx_http_affiliate_error(SIGNATURE_INVALID);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_verify(ngx_http_request_t *r, const ngx_http_affiliate_caller_t *caller,
                          struct tracker_str text)
{
    bool                            right;
    uint8_t                         secret[TRACKER_SECRET_MAX];
    size_t                          len, prefix = sizeof(NGX_HTTP_AFFILIATE_SIGNATURE_PREFIX) - 1;
    struct tracker_str              hex = caller->signature;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    if (caller->body_signed) {
        if (hex.len < prefix || ngx_memcmp(hex.data, NGX_HTTP_AFFILIATE_SIGNATURE_PREFIX, prefix) != 0) {
            return ngx_http_affiliate_error(SIGNATURE_INVALID);
        }
        hex.data += prefix;
        hex.len -= prefix;
    }

    /* 0 when the user has none: nobody signs as him */
    len = tracker_secret_open(amcf->keys, caller->user.id, caller->user.secret, secret);
    right = tracker_signature_verify((struct tracker_str){ (char *) secret, len }, text, hex);
    sodium_memzero(secret, sizeof(secret));
    return right ? NULL : ngx_http_affiliate_error(SIGNATURE_INVALID);
}

/* ---- where they stand ---- */

/* Bearer first, then X-Api-Key, then authtoken.  Never from the query: it would stand in logs. */
static struct tracker_str
ngx_http_affiliate_api_key(ngx_http_request_t *r)
{
    struct tracker_str key = ngx_http_affiliate_bearer(r->headers_in.authorization);

    if (key.len == 0) {
        key = ngx_http_affiliate_header(r, TRACKER_STR("x-api-key"));
    }
    return key.len != 0 ? key : ngx_http_affiliate_header(r, TRACKER_STR("authtoken"));
}

struct tracker_str
ngx_http_affiliate_header(ngx_http_request_t *r, struct tracker_str name)
{
    ngx_uint_t       i;
    ngx_table_elt_t *h;
    ngx_list_part_t *part;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        for (i = 0, h = part->elts; i < part->nelts; i++) {
            if (h[i].key.len == name.len && h[i].value.len != 0
                && ngx_memcmp(h[i].lowcase_key, name.data, name.len) == 0)
            {
                return (struct tracker_str){ (char *) h[i].value.data, h[i].value.len };
            }
        }
    }
    return TRACKER_STR_NONE;
}

/* The first value of that name in the query, as it stands there. */
static struct tracker_str
ngx_http_affiliate_argument(ngx_http_request_t *r, struct tracker_str name)
{
    struct tracker_str rest = { (char *) r->args.data, r->args.len }, found, value;

    while (tracker_query_next(&rest, &found, &value)) {
        if (tracker_str_eq(found, name)) {
            return value;
        }
    }
    return TRACKER_STR_NONE;
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
