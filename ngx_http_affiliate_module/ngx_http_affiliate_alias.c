/*
 * ngx_http_affiliate_alias.c - what others call our parameters and their values: affiliate_alias, affiliate_value,
 * affiliate_default.
 *
 * A campaign that moves here keeps its URLs: the location says which of their names is which of ours.
 */
#include "ngx_http_affiliate_postback.h"

typedef struct {
    struct tracker_str theirs, ours;
} ngx_http_affiliate_alias_t;

typedef struct {
    ngx_http_affiliate_field_e field;
    struct tracker_str         theirs, ours;
} ngx_http_affiliate_value_t;

typedef struct {
    ngx_http_affiliate_field_e field;
    ngx_http_complex_value_t   value;
} ngx_http_affiliate_default_t;

static ngx_uint_t ngx_http_affiliate_click_name(ngx_str_t *name);
static void *ngx_http_affiliate_push(ngx_conf_t *cf, ngx_array_t **list, size_t size);
static char *ngx_http_affiliate_conversion_field(ngx_conf_t *cf, ngx_str_t *value,
                                                 ngx_http_affiliate_field_e *field);

#define ngx_http_affiliate_text(value) ((struct tracker_str){ (char *) (value).data, (value).len })

/* Beside sub1 to sub10: what affiliate_click, affiliate_track and affiliate_impression read from a query. */
static const char *const ngx_http_affiliate_click_names[] = { "source", "creative", "ref_id", "cost",
                                                              "deep", "url", "ref" };

struct tracker_str
ngx_http_affiliate_alias_find(ngx_array_t *aliases, struct tracker_str name)
{
    ngx_http_affiliate_alias_t *alias = aliases->elts;

    for (ngx_uint_t i = 0; i < aliases->nelts; i++) {
        if (tracker_str_eq(alias[i].theirs, name)) {
            return alias[i].ours;
        }
    }
    return name;
}

ngx_int_t
ngx_http_affiliate_fields_translate(ngx_http_request_t *r, ngx_http_affiliate_fields_t *fields)
{
    ngx_str_t                      text;
    ngx_uint_t                     i;
    ngx_http_affiliate_value_t    *value;
    ngx_http_affiliate_default_t  *preset;
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);
    ngx_uint_t                     done[NGX_HTTP_AFFILIATE_FIELD_COUNT] = { 0 };

    for (i = 0; alcf->values != NULL && i < alcf->values->nelts; i++) {
        value = (ngx_http_affiliate_value_t *) alcf->values->elts + i;
        if (!done[value->field] && tracker_str_eq(fields->value[value->field], value->theirs)) {
            fields->value[value->field] = value->ours;
            done[value->field] = 1; /* ours is not theirs once more */
        }
    }

    for (i = 0; alcf->defaults != NULL && i < alcf->defaults->nelts; i++) {
        preset = (ngx_http_affiliate_default_t *) alcf->defaults->elts + i;
        if (fields->value[preset->field].len != 0) {
            continue;
        }
        if (ngx_http_complex_value(r, &preset->value, &text) != NGX_OK) {
            return NGX_ERROR;
        }
        fields->value[preset->field] = ngx_http_affiliate_text(text);
    }
    return NGX_OK;
}

/* ---- directives ---- */

char *
ngx_http_affiliate_set_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts;
    ngx_http_affiliate_alias_t    *alias;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (value[1].len == 0) {
        return "needs a name that is not empty";
    }
    if (!ngx_http_affiliate_click_name(&value[2])
        && ngx_http_affiliate_field_find(ngx_http_affiliate_text(value[2])) == NGX_HTTP_AFFILIATE_FIELD_COUNT)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_alias\": \"%V\" is no parameter of a click or conversion", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (alcf->aliases != NGX_CONF_UNSET_PTR) {
        alias = alcf->aliases->elts;
        for (ngx_uint_t i = 0; i < alcf->aliases->nelts; i++) {
            if (tracker_str_eq(alias[i].theirs, ngx_http_affiliate_text(value[1]))) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_alias\": \"%V\" stands there twice",
                                   &value[1]);
                return NGX_CONF_ERROR;
            }
        }
    }

    alias = ngx_http_affiliate_push(cf, &alcf->aliases, sizeof(ngx_http_affiliate_alias_t));
    if (alias == NULL) {
        return NGX_CONF_ERROR;
    }
    alias->theirs = ngx_http_affiliate_text(value[1]);
    alias->ours = ngx_http_affiliate_text(value[2]);
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_set_value(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts;
    ngx_http_affiliate_value_t    *row;
    ngx_http_affiliate_field_e     field;
    ngx_http_affiliate_loc_conf_t *alcf = conf;

    if (ngx_http_affiliate_conversion_field(cf, value, &field) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    if (value[2].len == 0) {
        return "needs a value of theirs that is not empty: what is missing is affiliate_default's";
    }

    if (alcf->values != NGX_CONF_UNSET_PTR) {
        row = alcf->values->elts;
        for (ngx_uint_t i = 0; i < alcf->values->nelts; i++) {
            if (row[i].field == field && tracker_str_eq(row[i].theirs, ngx_http_affiliate_text(value[2]))) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_value\": \"%V\" of \"%V\" stands there twice",
                                   &value[2], &value[1]);
                return NGX_CONF_ERROR;
            }
        }
    }

    row = ngx_http_affiliate_push(cf, &alcf->values, sizeof(ngx_http_affiliate_value_t));
    if (row == NULL) {
        return NGX_CONF_ERROR;
    }
    row->field = field;
    row->theirs = ngx_http_affiliate_text(value[2]);
    row->ours = ngx_http_affiliate_text(value[3]);
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_set_default(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value = cf->args->elts;
    ngx_http_affiliate_default_t    *row;
    ngx_http_affiliate_field_e       field;
    ngx_http_affiliate_loc_conf_t   *alcf = conf;
    ngx_http_compile_complex_value_t ccv;

    if (ngx_http_affiliate_conversion_field(cf, value, &field) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (alcf->defaults != NGX_CONF_UNSET_PTR) {
        row = alcf->defaults->elts;
        for (ngx_uint_t i = 0; i < alcf->defaults->nelts; i++) {
            if (row[i].field == field) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_default\": \"%V\" stands there twice", &value[1]);
                return NGX_CONF_ERROR;
            }
        }
    }

    row = ngx_http_affiliate_push(cf, &alcf->defaults, sizeof(ngx_http_affiliate_default_t));
    if (row == NULL) {
        return NGX_CONF_ERROR;
    }
    row->field = field;

    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &row->value;
    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* A new row, zeroed, of a list that may not exist yet. */
static void *
ngx_http_affiliate_push(ngx_conf_t *cf, ngx_array_t **list, size_t size)
{
    void *row;

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 8, size);
        if (*list == NULL) {
            return NULL;
        }
    }
    row = ngx_array_push(*list);
    if (row != NULL) {
        ngx_memzero(row, size);
    }
    return row;
}

/* value[1] names a conversion's parameter. */
static char *
ngx_http_affiliate_conversion_field(ngx_conf_t *cf, ngx_str_t *value, ngx_http_affiliate_field_e *field)
{
    *field = ngx_http_affiliate_field_find(ngx_http_affiliate_text(value[1]));
    if (*field == NGX_HTTP_AFFILIATE_FIELD_COUNT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\": \"%V\" is no parameter of a conversion", &value[0],
                           &value[1]);
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}

static ngx_uint_t
ngx_http_affiliate_click_name(ngx_str_t *name)
{
    ngx_int_t n;

    if (name->len > 3 && ngx_strncmp(name->data, "sub", 3) == 0 && name->data[3] != '0') {
        n = ngx_atoi(name->data + 3, name->len - 3);
        return n >= 1 && n <= TRACKER_SUBS;
    }

    for (ngx_uint_t i = 0; i < sizeof(ngx_http_affiliate_click_names) / sizeof(char *); i++) {
        if (name->len == ngx_strlen(ngx_http_affiliate_click_names[i])
            && ngx_memcmp(name->data, ngx_http_affiliate_click_names[i], name->len) == 0)
        {
            return 1;
        }
    }
    return 0;
}
