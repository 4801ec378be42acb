/*
 * ngx_http_affiliate_params.c - a visit's parameters: from the query into the event.
 */
#include "ngx_http_affiliate_request.h"

static struct tracker_str *ngx_http_affiliate_visit_field(struct tracker_click *event, struct tracker_str name);

/* The first value of a name counts; values are cut at TRACKER_FIELD_MAX, as the event would cut them. */
ngx_int_t
ngx_http_affiliate_visit_params(ngx_http_affiliate_visit_t *visit)
{
    char               *out = NULL;
    ngx_uint_t          encoded;
    ngx_http_request_t *r = visit->request;
    struct tracker_str  rest = { (char *) r->args.data, r->args.len }, name, value, *field;

    encoded = memchr(rest.data, '%', rest.len) != NULL || memchr(rest.data, '+', rest.len) != NULL;

    while (tracker_query_next(&rest, &name, &value)) {
        field = ngx_http_affiliate_visit_field(&visit->event, name);
        if (field == NULL || field->len != 0 || value.len == 0) {
            continue;
        }

        if (!encoded) {
            *field = (struct tracker_str){ value.data, ngx_min(value.len, TRACKER_FIELD_MAX) };
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
        field->len = tracker_url_decode(value, out, ngx_min(value.len, TRACKER_FIELD_MAX));
        out += field->len;
    }
    return NGX_OK;
}

/* Where a parameter goes, or NULL. */
static struct tracker_str *
ngx_http_affiliate_visit_field(struct tracker_click *event, struct tracker_str name)
{
    switch (name.len) {
    case 4:
        if (ngx_memcmp(name.data, "sub", 3) == 0 && name.data[3] >= '1' && name.data[3] <= '9') {
            return &event->sub[name.data[3] - '1'];
        }
        return ngx_memcmp(name.data, "cost", 4) == 0 ? &event->cost : NULL;
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

