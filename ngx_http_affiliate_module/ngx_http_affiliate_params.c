/*
 * ngx_http_affiliate_params.c - a visit's parameters: from the query into the event.
 */
#include "ngx_http_affiliate_request.h"

static ngx_uint_t ngx_http_affiliate_ref_name(struct tracker_str name);
static struct tracker_str *ngx_http_affiliate_visit_field(struct tracker_click *event, struct tracker_str name);

/*
 * The first value of a name counts; values are cut at TRACKER_FIELD_MAX, as the event would cut them.  A deep link
 * stays whole: it is where the visitor goes, and the event cuts what it keeps of it.
 */
ngx_int_t
ngx_http_affiliate_visit_params(ngx_http_affiliate_visit_t *visit)
{
    char               *out = NULL;
    size_t              max;
    ngx_uint_t          encoded;
    ngx_http_request_t *r = visit->request;
    struct tracker_str  rest = { (char *) r->args.data, r->args.len }, name, value, *field;

    encoded = memchr(rest.data, '%', rest.len) != NULL || memchr(rest.data, '+', rest.len) != NULL;

    while (tracker_query_next(&rest, &name, &value)) {
        field = ngx_http_affiliate_visit_field(&visit->event, ngx_http_affiliate_alias(visit->conf, name));
        if (field == NULL || field->len != 0 || value.len == 0) {
            continue;
        }
        max = field == &visit->event.deep ? value.len : ngx_min(value.len, TRACKER_FIELD_MAX);

        if (!encoded) {
            *field = (struct tracker_str){ value.data, max };
            continue;
        }

        /* decoding never makes a value longer: all of them fit into the length of the query */
        if (out == NULL) {
            out = ngx_pnalloc(r->pool, r->args.len);
            if (out == NULL) {
                return NGX_ERROR;
            }
        }
        *field = (struct tracker_str){ out, 0 };
        field->len = tracker_url_decode(value, out, max);
        out += field->len;
    }
    return NGX_OK;
}

struct tracker_str
ngx_http_affiliate_visit_ref(ngx_http_request_t *r, const ngx_http_affiliate_loc_conf_t *conf)
{
    char              *out;
    struct tracker_str rest = { (char *) r->args.data, r->args.len }, name, value;

    while (rest.len != 0 && tracker_query_next(&rest, &name, &value)) {
        if (value.len == 0 || !ngx_http_affiliate_ref_name(ngx_http_affiliate_alias(conf, name))) {
            continue;
        }
        if (memchr(value.data, '%', value.len) != NULL) {
            out = ngx_pnalloc(r->pool, value.len);
            if (out == NULL) {
                return TRACKER_STR_NONE;
            }
            value.len = tracker_url_decode(value, out, value.len);
            value.data = out;
        }
        return value.len <= TRACKER_CODE_MAX ? value : TRACKER_STR_NONE;
    }
    return TRACKER_STR_NONE;
}

/* As the links of other platforms name it. */
static ngx_uint_t
ngx_http_affiliate_ref_name(struct tracker_str name)
{
    static const struct tracker_str names[] = { { "ref", 3 },    { "via", 3 },   { "aff", 3 }, { "aff_id", 6 },
                                                { "a_aid", 5 }, { "btag", 4 }, { "fpr", 3 } };

    for (ngx_uint_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tracker_str_eq(name, names[i])) {
            return 1;
        }
    }
    return 0;
}

ngx_uint_t
ngx_http_affiliate_param_ours(ngx_http_affiliate_visit_t *visit, struct tracker_str name)
{
    static const struct tracker_str prefix = { TRACKER_COOKIE_PREFIX, sizeof(TRACKER_COOKIE_PREFIX) - 1 };

    const struct tracker_str consent = { (char *) visit->conf->consent.param.data, visit->conf->consent.param.len };

    return ngx_http_affiliate_visit_field(&visit->event, ngx_http_affiliate_alias(visit->conf, name)) != NULL
           || tracker_str_eq(name, TRACKER_STR("click_id")) || tracker_str_eq(name, consent)
           || (name.len >= prefix.len && ngx_memcmp(name.data, prefix.data, prefix.len) == 0);
}

/* Where a parameter goes, or NULL. */
static struct tracker_str *
ngx_http_affiliate_visit_field(struct tracker_click *event, struct tracker_str name)
{
    switch (name.len) {
    case 3:
        return ngx_memcmp(name.data, "url", 3) == 0 ? &event->deep : NULL;
    case 4:
        if (ngx_memcmp(name.data, "sub", 3) == 0 && name.data[3] >= '1' && name.data[3] <= '9') {
            return &event->sub[name.data[3] - '1'];
        }
        if (ngx_memcmp(name.data, "cost", 4) == 0) {
            return &event->cost;
        }
        return ngx_memcmp(name.data, "deep", 4) == 0 ? &event->deep : NULL;
    case 5:
        return ngx_memcmp(name.data, "sub10", 5) == 0 ? &event->sub[9] : NULL;
    case 6:
        if (ngx_memcmp(name.data, "source", 6) == 0) {
            return &event->source;
        }
        return ngx_memcmp(name.data, "ref_id", 6) == 0 ? &event->ref_id : NULL;
    case 8:
        return ngx_memcmp(name.data, "creative", 8) == 0 ? &event->creative : NULL;
    case 10:
        return ngx_memcmp(name.data, "externalid", 10) == 0 ? &event->ref_id : NULL;
    case 12:
        return ngx_memcmp(name.data, "aff_click_id", 12) == 0 ? &event->ref_id : NULL;
    default:
        return NULL;
    }
}

