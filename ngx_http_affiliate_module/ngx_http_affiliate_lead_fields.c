/*
 * ngx_http_affiliate_lead_fields.c - a lead's fields: from a form or JSON into a checked event.
 *
 * Flat: a name has a value, or several.  Names that mean nothing to us are the sender's own fields, and kept as they are;
 * affiliate_alias has no say here, since its names are a conversion's.  Nothing is guessed and nothing of a lead is cut:
 * what is not clear is one error, which names the field.
 */
#include "ngx_http_affiliate_intake.h"

#include "tracker_form.h"
#include "tracker_query.h"

#define NGX_HTTP_AFFILIATE_LEAD_FIELD(text, field) { TRACKER_STR(text), NGX_HTTP_AFFILIATE_LEAD_##field }
static const struct {
    struct tracker_str        name;
    ngx_http_affiliate_lead_e field;
} ngx_http_affiliate_lead_names[] = {
    /* in the order of the enum, with the name under which it is kept; aliases after them */
    NGX_HTTP_AFFILIATE_LEAD_FIELD("email", EMAIL),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("phone", PHONE),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("first_name", FIRST_NAME),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("last_name", LAST_NAME),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("name", NAME),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("country", COUNTRY),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("language", LANGUAGE),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("coupon", COUPON),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("test", TEST),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("click_id", CLICK_ID),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("referrer", REFERRER),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("ip", IP),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("user_agent", USER_AGENT),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("ts", TS),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("phonenumber", PHONE),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("cid", CLICK_ID),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("clickid", CLICK_ID),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("transaction_id", CLICK_ID),
    NGX_HTTP_AFFILIATE_LEAD_FIELD("subid", CLICK_ID),
};
#define NGX_HTTP_AFFILIATE_LEAD_NAMES                                                                          \
    (sizeof(ngx_http_affiliate_lead_names) / sizeof(ngx_http_affiliate_lead_names[0]))
#define NGX_HTTP_AFFILIATE_LEAD_PAIRS NGX_HTTP_AFFILIATE_LEAD_CLICK_ID /* the first that is no pair */

static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_give(ngx_http_affiliate_draft_t *draft,
                                                                       struct tracker_str name,
                                                                       struct tracker_str value);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_clean(ngx_http_affiliate_draft_t *draft,
                                                                        struct tracker_str *value);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_pair(ngx_http_affiliate_draft_t *draft,
                                                                       struct tracker_str name,
                                                                       struct tracker_str value);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_person(ngx_http_affiliate_draft_t *draft);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_test(ngx_http_affiliate_draft_t *draft);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_draft_visit(ngx_http_affiliate_draft_t *draft);
static ngx_uint_t ngx_http_affiliate_parse_address(struct tracker_str text, u_char out[16], size_t *len);

void
ngx_http_affiliate_draft_begin(ngx_http_affiliate_draft_t *draft, ngx_http_request_t *r)
{
    ngx_memzero(draft, offsetof(ngx_http_affiliate_draft_t, pairs));
    draft->request = r;
}

/* Remembers whose fault it is, in letters that can be shown. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_blame(ngx_http_affiliate_draft_t *draft, struct tracker_str name,
                               const ngx_http_affiliate_error_t *error)
{
    char  *p;
    size_t len = ngx_min(name.len, TRACKER_LEAD_NAME_MAX);

    p = ngx_pnalloc(draft->request->pool, len);
    if (p == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    draft->field = (struct tracker_str){ p, len };
    for (size_t i = 0; i < len; i++) {
        char c = name.data[i];

        p[i] = c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '?' : c;
    }
    return error;
}

/* ---- names and values ---- */

const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_form(ngx_http_affiliate_draft_t *draft, struct tracker_str form)
{
    char                              decoded[TRACKER_LEAD_NAME_MAX + 2], *out;
    struct tracker_str                name, value;
    const ngx_http_affiliate_error_t *error;

    while (tracker_query_next(&form, &name, &value)) {
        name.len = tracker_url_decode(name, decoded, sizeof(decoded)); /* one that is cut is too long for any */
        name.data = decoded;
        out = ngx_pnalloc(draft->request->pool, value.len + 1);
        if (out == NULL) {
            return ngx_http_affiliate_error(NO_MEMORY);
        }
        value.len = tracker_url_decode(value, out, value.len);
        value.data = out;
        error = ngx_http_affiliate_draft_give(draft, name, value);
        if (error != NULL) {
            return error;
        }
    }
    return NULL;
}

const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_json(ngx_http_affiliate_draft_t *draft, json_t *object)
{
    json_t                           *value;
    const char                       *name;
    const ngx_http_affiliate_error_t *error;

    json_object_foreach(object, name, value) {
        error = ngx_http_affiliate_draft_take(draft, (struct tracker_str){ name, ngx_strlen(name) }, value);
        if (error != NULL) {
            return error;
        }
    }
    return NULL;
}

/* A real number has passed through binary floating point and is no longer what was written: refused. */
const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_take(ngx_http_affiliate_draft_t *draft, struct tracker_str name, json_t *value)
{
    size_t                            i;
    u_char                           *number;
    json_t                           *one;
    struct tracker_str                text;
    const ngx_http_affiliate_error_t *error;

    switch (json_typeof(value)) {
    case JSON_NULL:
        return ngx_http_affiliate_draft_give(draft, name, TRACKER_STR_NONE);
    case JSON_TRUE:
        return ngx_http_affiliate_draft_give(draft, name, TRACKER_STR("true"));
    case JSON_FALSE:
        return ngx_http_affiliate_draft_give(draft, name, TRACKER_STR("false"));
    case JSON_STRING:
        text = (struct tracker_str){ json_string_value(value), json_string_length(value) };
        return ngx_http_affiliate_draft_give(draft, name, text);
    case JSON_INTEGER:
        number = ngx_pnalloc(draft->request->pool, NGX_INT64_LEN);
        if (number == NULL) {
            return ngx_http_affiliate_error(NO_MEMORY);
        }
        text.data = (char *) number;
        text.len = ngx_sprintf(number, "%L", (int64_t) json_integer_value(value)) - number;
        return ngx_http_affiliate_draft_give(draft, name, text);
    case JSON_ARRAY:
        break;
    case JSON_OBJECT:
    case JSON_REAL:
        return ngx_http_affiliate_draft_blame(draft, name, ngx_http_affiliate_error(FIELD_TYPE));
    }

    json_array_foreach(value, i, one) {
        if (!json_is_string(one)) {
            return ngx_http_affiliate_draft_blame(draft, name, ngx_http_affiliate_error(FIELD_TYPE));
        }
        text = (struct tracker_str){ json_string_value(one), json_string_length(one) };
        error = ngx_http_affiliate_draft_give(draft, name, text);
        if (error != NULL) {
            return error;
        }
    }
    return NULL;
}

static ngx_uint_t
ngx_http_affiliate_lead_name_valid(struct tracker_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (i > 0 && ((c >= '0' && c <= '9') || c == '_')))) {
            return 0;
        }
    }
    return name.len != 0 && name.len <= TRACKER_LEAD_NAME_MAX;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_give(ngx_http_affiliate_draft_t *draft, struct tracker_str name, struct tracker_str value)
{
    struct tracker_str               *known;
    const ngx_http_affiliate_error_t *error;

    if (!ngx_http_affiliate_lead_name_valid(name)) {
        return ngx_http_affiliate_draft_blame(draft, name, ngx_http_affiliate_error(FIELD_NAME));
    }
    error = ngx_http_affiliate_draft_clean(draft, &value);
    if (error != NULL) {
        return ngx_http_affiliate_draft_blame(draft, name, error);
    }
    if (value.len == 0) {
        return NULL; /* not given */
    }

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_LEAD_NAMES; i++) {
        if (tracker_str_eq(ngx_http_affiliate_lead_names[i].name, name)) {
            known = &draft->value[ngx_http_affiliate_lead_names[i].field];
            if (known->len != 0 && !tracker_str_eq(*known, value)) {
                return ngx_http_affiliate_draft_blame(draft, name, ngx_http_affiliate_error(FIELD_TWICE));
            }
            *known = value;
            return NULL;
        }
    }
    return ngx_http_affiliate_draft_pair(draft, name, value);
}

/* Without the blanks around it; lines end in \n, whatever the sender's machine makes of them. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_clean(ngx_http_affiliate_draft_t *draft, struct tracker_str *value)
{
    char       *out, *p;
    const char *from = value->data, *last = from + value->len;

    while (from < last && (*from == ' ' || (*from >= '\t' && *from <= '\r'))) {
        from++;
    }
    while (last > from && (last[-1] == ' ' || (last[-1] >= '\t' && last[-1] <= '\r'))) {
        last--;
    }
    *value = (struct tracker_str){ from, (size_t) (last - from) };
    if (value->len > TRACKER_LEAD_VALUE_MAX) {
        return ngx_http_affiliate_error(LEAD_TOO_LARGE);
    }

    if (value->len != 0 && ngx_strlchr((u_char *) from, (u_char *) last, '\r') != NULL) {
        out = ngx_pnalloc(draft->request->pool, value->len);
        if (out == NULL) {
            return ngx_http_affiliate_error(NO_MEMORY);
        }
        for (p = out; from < last; from++) {
            if (*from != '\r' || from + 1 == last || from[1] != '\n') {
                *p++ = *from;
            }
        }
        *value = (struct tracker_str){ out, (size_t) (p - out) };
    }
    return tracker_text_valid(*value) ? NULL : ngx_http_affiliate_error(FIELD_BYTES);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_pair(ngx_http_affiliate_draft_t *draft, struct tracker_str name, struct tracker_str value)
{
    size_t len;

    len = tracker_pairs_add(draft->pairs, draft->len, sizeof(draft->pairs), name, value);
    if (len == 0 || ++draft->count > TRACKER_LEAD_PAIRS_MAX) {
        return ngx_http_affiliate_error(LEAD_TOO_LARGE);
    }
    draft->len = len;
    return NULL;
}

/* ---- meaning ---- */

const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_check(ngx_http_affiliate_draft_t *draft)
{
    ngx_uint_t                        i;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_draft_person(draft);
    if (error == NULL) {
        error = ngx_http_affiliate_draft_test(draft);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_draft_visit(draft);
    }
    for (i = 0; i < NGX_HTTP_AFFILIATE_LEAD_PAIRS && error == NULL; i++) {
        if (draft->value[i].len != 0) {
            error = ngx_http_affiliate_draft_pair(draft, ngx_http_affiliate_lead_names[i].name, draft->value[i]);
        }
    }
    draft->lead.fields = (struct tracker_str){ (char *) draft->pairs, draft->len };
    return error;
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_person(ngx_http_affiliate_draft_t *draft)
{
    u_char                   *code;
    const struct tracker_str *value = draft->value;
    struct tracker_str       *country = &draft->value[NGX_HTTP_AFFILIATE_LEAD_COUNTRY];

    if (value[NGX_HTTP_AFFILIATE_LEAD_EMAIL].len == 0 && value[NGX_HTTP_AFFILIATE_LEAD_PHONE].len == 0) {
        return ngx_http_affiliate_error(CONTACT_MISSING);
    }
    if (value[NGX_HTTP_AFFILIATE_LEAD_EMAIL].len != 0 && !tracker_email_valid(value[NGX_HTTP_AFFILIATE_LEAD_EMAIL])) {
        return ngx_http_affiliate_draft_blame(draft, TRACKER_STR("email"), ngx_http_affiliate_error(EMAIL_INVALID));
    }
    if (value[NGX_HTTP_AFFILIATE_LEAD_PHONE].len != 0 && !tracker_phone_valid(value[NGX_HTTP_AFFILIATE_LEAD_PHONE])) {
        return ngx_http_affiliate_draft_blame(draft, TRACKER_STR("phone"), ngx_http_affiliate_error(PHONE_INVALID));
    }

    if (country->len == 0) {
        return NULL;
    }
    code = ngx_pnalloc(draft->request->pool, country->len);
    if (code == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    for (size_t i = 0; i < country->len; i++) {
        code[i] = ngx_toupper((u_char) country->data[i]);
    }
    country->data = (char *) code;
    return tracker_country_known(*country)
               ? NULL
               : ngx_http_affiliate_draft_blame(draft, TRACKER_STR("country"), ngx_http_affiliate_error(COUNTRY_INVALID));
}

/* Kept as a field as well: else the same lead, in earnest, would be a repetition of its test. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_test(ngx_http_affiliate_draft_t *draft)
{
    struct tracker_str *test = &draft->value[NGX_HTTP_AFFILIATE_LEAD_TEST];

    if (test->len == 0) {
        return NULL;
    }
    if (tracker_str_eq(*test, TRACKER_STR("true")) || tracker_str_eq(*test, TRACKER_STR("1"))) {
        *test = TRACKER_STR("true");
        draft->lead.flags |= TRACKER_LEAD_TEST;
        return NULL;
    }
    if (tracker_str_eq(*test, TRACKER_STR("false")) || tracker_str_eq(*test, TRACKER_STR("0"))) {
        *test = TRACKER_STR_NONE;
        return NULL;
    }
    return ngx_http_affiliate_draft_blame(draft, TRACKER_STR("test"), ngx_http_affiliate_error(TEST_INVALID));
}

/* A text that is kept for information, not for its last letter. */
static struct tracker_str
ngx_http_affiliate_draft_short(struct tracker_str text)
{
    if (text.len > TRACKER_FIELD_MAX) {
        for (text.len = TRACKER_FIELD_MAX; text.len > 0 && ((u_char) text.data[text.len] & 0xc0) == 0x80; text.len--) {
            /* void */
        }
    }
    return text;
}

/* What the sender says of the person's visit.  Where he himself sends from is no business of the lead's. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_draft_visit(ngx_http_affiliate_draft_t *draft)
{
    size_t                          len;
    ngx_time_t                     *tp = ngx_timeofday();
    struct tracker_lead            *lead = &draft->lead;
    const struct tracker_str       *value = draft->value;
    struct tracker_click_id         id;
    ngx_http_affiliate_loc_conf_t  *alcf = ngx_http_get_module_loc_conf(draft->request, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(draft->request, ngx_http_affiliate_module);

    lead->referrer = ngx_http_affiliate_draft_short(value[NGX_HTTP_AFFILIATE_LEAD_REFERRER]);
    lead->user_agent = ngx_http_affiliate_draft_short(value[NGX_HTTP_AFFILIATE_LEAD_USER_AGENT]);
    lead->language = ngx_http_affiliate_draft_short(value[NGX_HTTP_AFFILIATE_LEAD_LANGUAGE]);

    lead->click_id = value[NGX_HTTP_AFFILIATE_LEAD_CLICK_ID];
    if (lead->click_id.len != 0 && tracker_click_id_decode(amcf->keys, lead->click_id, &id) != TRACKER_CLICK_ID_OK) {
        return ngx_http_affiliate_draft_blame(draft, TRACKER_STR("click_id"),
                                              ngx_http_affiliate_error(CLICK_ID_INVALID));
    }

    if (value[NGX_HTTP_AFFILIATE_LEAD_IP].len == 0) {
        return NULL;
    }
    if (!ngx_http_affiliate_parse_address(value[NGX_HTTP_AFFILIATE_LEAD_IP], draft->ip, &len)) {
        return ngx_http_affiliate_draft_blame(draft, TRACKER_STR("ip"), ngx_http_affiliate_error(IP_INVALID));
    }
    lead->ip = ngx_http_affiliate_kept_address(alcf->ip, amcf->keys, (uint64_t) tp->sec * 1000 + tp->msec,
                                               (struct tracker_str){ (char *) draft->ip, len }, draft->kept_ip,
                                               &lead->ip_form);
    return NULL;
}

/* IPv4 mapped into IPv6 is IPv4. */
static ngx_uint_t
ngx_http_affiliate_parse_address(struct tracker_str text, u_char out[16], size_t *len)
{
    in_addr_t ipv4 = ngx_inet_addr((u_char *) text.data, text.len);

    if (ipv4 != INADDR_NONE || tracker_str_eq(text, TRACKER_STR("255.255.255.255"))) {
        ngx_memcpy(out, &ipv4, 4);
        *len = 4;
        return 1;
    }
#if (NGX_HAVE_INET6)
    if (ngx_inet6_addr((u_char *) text.data, text.len, out) == NGX_OK) {
        *len = 16;
        if (IN6_IS_ADDR_V4MAPPED((struct in6_addr *) out)) {
            ngx_memmove(out, out + 12, 4);
            *len = 4;
        }
        return 1;
    }
#endif
    return 0;
}
