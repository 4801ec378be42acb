/*
 * ngx_http_affiliate_form_body.c - what is sent with a form: a form's body, multipart, or JSON, into names and values.
 *
 * What the form does not ask for is left out here already; how each value has to be the definition says later.
 */
#include "ngx_http_affiliate_form.h"

#include "tracker_multipart.h"

#define NGX_HTTP_AFFILIATE_FORM_TOKEN   "_token"
#define NGX_HTTP_AFFILIATE_FORM_TRAP    "_website" /* people do not see it */

/* What is being collected: space for all pairs, and how many names came. */
typedef struct {
    ngx_http_affiliate_form_t *form;
    uint8_t                   *pairs;
    size_t                     len;
    ngx_uint_t                 names;
} ngx_http_affiliate_form_reader_t;

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_urlencoded(ngx_http_affiliate_form_reader_t *reader, struct tracker_str body);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_multipart(ngx_http_affiliate_form_reader_t *reader, struct tracker_str boundary,
                                  struct tracker_str body);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_json(ngx_http_affiliate_form_reader_t *reader, struct tracker_str body);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_json_value(ngx_http_affiliate_form_reader_t *reader, struct tracker_str name,
                                   const json_t *value);
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_give(ngx_http_affiliate_form_reader_t *reader, struct tracker_str name,
                             struct tracker_str value);
static void ngx_http_affiliate_form_click(ngx_http_affiliate_form_t *form, struct tracker_str value);
static struct tracker_str ngx_http_affiliate_form_copy(ngx_http_affiliate_form_t *form, struct tracker_str value);
static ngx_uint_t ngx_http_affiliate_form_asks(const ngx_http_affiliate_form_t *form, struct tracker_str name);
static size_t ngx_http_affiliate_form_clean(u_char *text, size_t len);

const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_body_admit(ngx_http_request_t *r)
{
    ngx_str_t         *type = r->headers_in.content_type != NULL ? &r->headers_in.content_type->value : NULL;
    struct tracker_str boundary;

    if (r->headers_in.content_length_n > NGX_HTTP_AFFILIATE_BODY_MAX) {
        return ngx_http_affiliate_error(BODY_TOO_LARGE);
    }
    if (type == NULL
        || (!ngx_http_affiliate_media_type(type, "application/x-www-form-urlencoded")
            && !ngx_http_affiliate_form_body_json(r)
            && !tracker_multipart_type((struct tracker_str){ (char *) type->data, type->len }, &boundary)))
    {
        return ngx_http_affiliate_error(FORM_BODY_TYPE);
    }
    return NULL;
}

ngx_uint_t
ngx_http_affiliate_form_body_json(ngx_http_request_t *r)
{
    ngx_table_elt_t *type = r->headers_in.content_type;

    return type != NULL && ngx_http_affiliate_media_type(&type->value, "application/json");
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_body(ngx_http_affiliate_form_t *form)
{
    ngx_str_t                        *type = &form->request->headers_in.content_type->value;
    struct tracker_str                body, boundary;
    const ngx_http_affiliate_error_t *error;
    ngx_http_affiliate_form_reader_t  reader = { .form = form };

    error = ngx_http_affiliate_body_text(form->request, &body);
    if (error != NULL) {
        return error;
    }
    if (body.len > NGX_HTTP_AFFILIATE_BODY_MAX) {
        return ngx_http_affiliate_error(BODY_TOO_LARGE); /* chunked: the length is known only now */
    }
    reader.pairs = ngx_pnalloc(form->request->pool, TRACKER_LEAD_FIELDS_MAX);
    if (reader.pairs == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }

    if (ngx_http_affiliate_form_body_json(form->request)) {
        error = ngx_http_affiliate_form_json(&reader, body);
    } else if (tracker_multipart_type((struct tracker_str){ (char *) type->data, type->len }, &boundary)) {
        error = ngx_http_affiliate_form_multipart(&reader, boundary, body);
    } else {
        error = ngx_http_affiliate_form_urlencoded(&reader, body);
    }
    if (error != NULL) {
        return error;
    }

    form->sent = (struct tracker_str){ (char *) reader.pairs, reader.len };
    if (!tracker_pairs_check(form->sent)) {
        form->sent = TRACKER_STR_NONE;
        return ngx_http_affiliate_error(FIELD_BYTES);
    }
    return NULL;
}

/* ---- three ways to write the same ---- */

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_urlencoded(ngx_http_affiliate_form_reader_t *reader, struct tracker_str body)
{
    struct tracker_str                name, value;
    const ngx_http_affiliate_error_t *error;

    while (tracker_query_next(&body, &name, &value)) {
        /* in place: decoding never makes it longer, and the body is a copy of ours */
        name.len = tracker_url_decode(name, (char *) name.data, name.len);
        if (value.len != 0) {
            value.len = tracker_url_decode(value, (char *) value.data, value.len);
        }
        error = ngx_http_affiliate_form_give(reader, name, value);
        if (error != NULL) {
            return error;
        }
    }
    return NULL;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_multipart(ngx_http_affiliate_form_reader_t *reader, struct tracker_str boundary,
                                  struct tracker_str body)
{
    struct tracker_str                name, value;
    struct tracker_multipart          multipart;
    enum tracker_multipart_verdict    verdict;
    const ngx_http_affiliate_error_t *error;

    verdict = tracker_multipart_begin(&multipart, boundary, body);
    while (verdict == TRACKER_MULTIPART_PART) {
        verdict = tracker_multipart_next(&multipart, &name, &value);
        if (verdict == TRACKER_MULTIPART_PART) {
            error = ngx_http_affiliate_form_give(reader, name, value);
            if (error != NULL) {
                return error;
            }
        }
    }

    switch (verdict) {
    case TRACKER_MULTIPART_FILE:
        return ngx_http_affiliate_error(FORM_FILE);
    case TRACKER_MULTIPART_ENCODED:
        return ngx_http_affiliate_error(FIELD_BYTES);
    case TRACKER_MULTIPART_MALFORMED:
        return ngx_http_affiliate_error(MULTIPART_MALFORMED);
    case TRACKER_MULTIPART_END:
    case TRACKER_MULTIPART_PART:
        break;
    }
    return NULL;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_json(ngx_http_affiliate_form_reader_t *reader, struct tracker_str body)
{
    json_t                           *root, *value, *item;
    size_t                            i;
    const char                       *key;
    struct tracker_str                name;
    const ngx_http_affiliate_error_t *error = NULL;

    root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return ngx_http_affiliate_error(JSON_MALFORMED);
    }

    json_object_foreach(root, key, value) {
        name = (struct tracker_str){ key, ngx_strlen(key) };
        if (!json_is_array(value)) {
            error = ngx_http_affiliate_form_json_value(reader, name, value);
        }
        for (i = 0; error == NULL && json_is_array(value) && i < json_array_size(value); i++) {
            item = json_array_get(value, i);
            error = ngx_http_affiliate_form_json_value(reader, name, item);
        }
        if (error != NULL) {
            break;
        }
    }
    json_decref(root);
    return error;
}

/* Texts, whole numbers and booleans (a box); a real number is no longer what was written. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_json_value(ngx_http_affiliate_form_reader_t *reader, struct tracker_str name,
                                   const json_t *value)
{
    u_char             digits[NGX_INT64_LEN];
    struct tracker_str text = TRACKER_STR_NONE, copy;

    if (json_is_string(value)) {
        text = (struct tracker_str){ json_string_value(value), json_string_length(value) };
    } else if (json_is_integer(value)) {
        text = (struct tracker_str){ (char *) digits, 0 };
        text.len = (size_t) (ngx_sprintf(digits, "%L", (int64_t) json_integer_value(value)) - digits);
    } else if (json_is_boolean(value)) {
        text = json_is_true(value) ? TRACKER_STR("1") : TRACKER_STR("0");
    } else if (!json_is_null(value)) {
        return ngx_http_affiliate_error(FIELD_TYPE);
    }

    copy = ngx_http_affiliate_form_copy(reader->form, text);
    if (text.len != 0 && copy.len == 0) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    return ngx_http_affiliate_form_give(reader, name, copy);
}

/* ---- one name and its value ---- */

/* The value lies in memory of ours, for as long as the request. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_form_give(ngx_http_affiliate_form_reader_t *reader, struct tracker_str name,
                             struct tracker_str value)
{
    size_t                     len;
    ngx_http_affiliate_form_t *form = reader->form;

    if (++reader->names > TRACKER_LEAD_PAIRS_MAX) {
        return ngx_http_affiliate_error(LEAD_TOO_LARGE);
    }
    if (tracker_str_eq(name, TRACKER_STR(NGX_HTTP_AFFILIATE_FORM_TOKEN))) {
        form->token = value;
        return NULL;
    }
    if (tracker_str_eq(name, TRACKER_STR(NGX_HTTP_AFFILIATE_FORM_TRAP))) {
        form->flags |= value.len != 0 ? TRACKER_LEAD_HONEYPOT : 0;
        return NULL;
    }
    if (tracker_form_reserved(name)) {
        ngx_http_affiliate_form_click(form, value);
        return NULL;
    }
    if (!ngx_http_affiliate_form_asks(form, name)) {
        return NULL;
    }

    value.len = ngx_http_affiliate_form_clean((u_char *) value.data, value.len);
    len = value.len > TRACKER_LEAD_VALUE_MAX
              ? 0 : tracker_pairs_add(reader->pairs, reader->len, TRACKER_LEAD_FIELDS_MAX, name, value);
    if (len == 0) {
        return ngx_http_affiliate_error(LEAD_TOO_LARGE);
    }
    reader->len = len;
    return NULL;
}

/* What the page carried from its own address, or a script found: one that is none of ours says nothing. */
static void
ngx_http_affiliate_form_click(ngx_http_affiliate_form_t *form, struct tracker_str value)
{
    struct tracker_click_id id;

    if (tracker_click_id_decode(form->main->keys, value, &id) == TRACKER_CLICK_ID_OK) {
        form->click_id = value;
    }
}

static struct tracker_str
ngx_http_affiliate_form_copy(ngx_http_affiliate_form_t *form, struct tracker_str value)
{
    u_char *p = value.len == 0 ? NULL : ngx_pnalloc(form->request->pool, value.len);

    if (p == NULL) {
        return TRACKER_STR_NONE;
    }
    ngx_memcpy(p, value.data, value.len);
    return (struct tracker_str){ (char *) p, value.len };
}

static ngx_uint_t
ngx_http_affiliate_form_asks(const ngx_http_affiliate_form_t *form, struct tracker_str name)
{
    struct tracker_form_field field;

    for (unsigned i = tracker_form_count(form->row.definition); i > 0; i--) {
        tracker_form_field(form->row.definition, i - 1, &field);
        if (tracker_str_eq(field.name, name)) {
            return 1;
        }
    }
    return 0;
}

/*
 * Browsers end lines with CRLF; people paste control characters without knowing, such as a spreadsheet's.  The new
 * length.
 */
static size_t
ngx_http_affiliate_form_clean(u_char *text, size_t len)
{
    u_char *out = text;

    for (size_t i = 0; i < len; i++) {
        u_char c = text[i];

        if (c == '\r') {
            if (i + 1 < len && text[i + 1] == '\n') {
                continue;
            }
            c = '\n';
        } else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
            c = ' ';
        } else if (c == 0xc2 && i + 1 < len && text[i + 1] >= 0x80 && text[i + 1] < 0xa0) {
            c = ' '; /* U+0080 to U+009F */
            i++;
        }
        *out++ = c;
    }
    return (size_t) (out - text);
}
