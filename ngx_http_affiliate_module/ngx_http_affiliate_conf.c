/*
 * ngx_http_affiliate_conf.c - what directives of http{} mean: setters, checks, defaults.
 *
 * Every error names the directive and what was wrong with it; t/config.t has one case for each.
 */
#include "ngx_http_affiliate_request.h"

#include <sodium.h>

#define NGX_HTTP_AFFILIATE_ZONE_NAME "affiliate"
#define NGX_HTTP_AFFILIATE_ZONE_SIZE (512 * 1024)
#define NGX_HTTP_AFFILIATE_ZONE_LINKS 1024
#define NGX_HTTP_AFFILIATE_ZONE_LINKS_MAX 1000000

/* Less than a journal's first segments and their spares could never accept anything. */
#define NGX_HTTP_AFFILIATE_QUOTA_MIN (16 * 1024 * 1024)

#define NGX_HTTP_AFFILIATE_RETAIN_MAX (10 * 366 * 24 * 60 * 60) /* s; in milliseconds it still fits everywhere */

static char *ngx_http_affiliate_check_edge(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_affiliate_check_snapshot(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_affiliate_default_edge(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf);
static char *ngx_http_affiliate_state_folders(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf);
static char *ngx_http_affiliate_parse_quota(ngx_str_t *text, off_t *quota);
static char *ngx_http_affiliate_parse_retain(ngx_str_t *text, time_t *retain);
static char *ngx_http_affiliate_parse_sync(ngx_str_t *text, ngx_msec_t *sync);
static char *ngx_http_affiliate_read_keys(ngx_conf_t *cf, ngx_str_t *name, ngx_fd_t fd,
                                          ngx_http_affiliate_main_conf_t *amcf);
static void  ngx_http_affiliate_clear_keys(void *data);

ngx_conf_post_t ngx_http_affiliate_edge_post = { ngx_http_affiliate_check_edge };
ngx_conf_post_t ngx_http_affiliate_snapshot_post = { ngx_http_affiliate_check_snapshot };

void *
ngx_http_affiliate_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_affiliate_main_conf_t *amcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_affiliate_main_conf_t));

    if (amcf == NULL) {
        return NULL;
    }

    amcf->journal.traffic_quota = NGX_CONF_UNSET;
    amcf->journal.money_quota = NGX_CONF_UNSET;
    amcf->journal.retain = NGX_CONF_UNSET;
    amcf->journal.sync = NGX_CONF_UNSET_MSEC;
    return amcf;
}

char *
ngx_http_affiliate_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_str_t                       name = ngx_string(NGX_HTTP_AFFILIATE_ZONE_NAME);
    ngx_http_affiliate_main_conf_t *amcf = conf;

    ngx_conf_init_value(amcf->journal.traffic_quota, (off_t) 4 * 1024 * 1024 * 1024);
    ngx_conf_init_value(amcf->journal.money_quota, (off_t) 256 * 1024 * 1024);
    ngx_conf_init_value(amcf->journal.retain, 26 * 60 * 60);
    ngx_conf_init_msec_value(amcf->journal.sync, 100);

    if (amcf->state == NULL) {
        if (amcf->needed_by.len == 0) {
            return NGX_CONF_OK;
        }
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs \"affiliate_state\": without it nothing is recorded",
                           &amcf->needed_by);
        return NGX_CONF_ERROR;
    }

    if (amcf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_state\" needs \"affiliate_key_file\": "
                           "without keys nothing can be signed");
        return NGX_CONF_ERROR;
    }

    if (amcf->shm_zone == NULL
        && ngx_http_affiliate_add_zone(cf, amcf, &name, NGX_HTTP_AFFILIATE_ZONE_SIZE,
                                       NGX_HTTP_AFFILIATE_ZONE_LINKS) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_affiliate_default_edge(cf, amcf) != NGX_CONF_OK
        || ngx_http_affiliate_state_folders(cf, amcf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    amcf->thread_pool = ngx_thread_pool_add(cf, NULL);
    return amcf->thread_pool == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}

/* A host's name may be longer than an edge's and may hold other bytes: it is fitted, not refused. */
static char *
ngx_http_affiliate_default_edge(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_str_t *host = &cf->cycle->hostname;

    if (amcf->edge.len != 0) {
        return NGX_CONF_OK;
    }

    amcf->edge.len = ngx_min(host->len, TRACKER_EDGE_NAME_MAX);
    amcf->edge.data = ngx_pstrdup(cf->pool, &(ngx_str_t){ amcf->edge.len, host->data });
    if (amcf->edge.data == NULL) {
        return NGX_CONF_ERROR;
    }

    for (size_t i = 0; i < amcf->edge.len; i++) {
        u_char c = amcf->edge.data[i];

        if (c < 0x21 || c > 0x7e) {
            amcf->edge.data[i] = '_';
        }
    }

    if (amcf->edge.len == 0) {
        ngx_str_set(&amcf->edge, "edge");
    }
    return NGX_CONF_OK;
}

static char *
ngx_http_affiliate_state_folders(ngx_conf_t *cf, ngx_http_affiliate_main_conf_t *amcf)
{
    static const char *const names[] = { "journal", "snapshot", "locks" };
    ngx_str_t *const         folders[] = { &amcf->journal_dir, &amcf->snapshot_dir, &amcf->locks_dir };

    for (ngx_uint_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        folders[i]->len = amcf->state->name.len + 1 + ngx_strlen(names[i]);
        folders[i]->data = ngx_pnalloc(cf->pool, folders[i]->len + 1);
        if (folders[i]->data == NULL) {
            return NGX_CONF_ERROR;
        }
        ngx_sprintf(folders[i]->data, "%V/%s%Z", &amcf->state->name, names[i]);
    }
    return NGX_CONF_OK;
}

static char *
ngx_http_affiliate_check_edge(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *edge = data;

    if (edge->len == 0 || edge->len > TRACKER_EDGE_NAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_edge\" must have 1 to %d characters",
                           TRACKER_EDGE_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    for (size_t i = 0; i < edge->len; i++) {
        if (edge->data[i] < 0x21 || edge->data[i] > 0x7e) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_edge\" \"%V\" must be printable ASCII without spaces", edge);
            return NGX_CONF_ERROR;
        }
    }
    return NGX_CONF_OK;
}

static char *
ngx_http_affiliate_check_snapshot(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *file = data;

    if (file->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_snapshot\" names no file");
        return NGX_CONF_ERROR;
    }
    return ngx_conf_full_name(cf->cycle, file, 0) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

char *
ngx_http_affiliate_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value = cf->args->elts;
    ngx_url_t                       u;
    ngx_http_affiliate_main_conf_t *amcf = conf;

    if (amcf->redis.text.data != NULL) {
        return "is duplicate";
    }

    ngx_memzero(&u, sizeof(u));
    u.url = value[1];
    u.default_port = 6379;
    u.no_resolve = 1;
    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_redis\" \"%V\": %s", &value[1],
                           u.err ? u.err : "is not unix:/path or address:port");
        return NGX_CONF_ERROR;
    }

    if (u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_redis\" \"%V\": host names are not resolved, write an address",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    amcf->redis.text = value[1];

#if (NGX_HAVE_UNIX_DOMAIN)
    if (u.family == AF_UNIX) {
        amcf->redis.path = ((struct sockaddr_un *) u.addrs[0].sockaddr)->sun_path;
        return NGX_CONF_OK;
    }
#endif

    amcf->redis.host = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
    if (amcf->redis.host == NULL) {
        return NGX_CONF_ERROR;
    }
    (void) ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen, (u_char *) amcf->redis.host,
                         NGX_SOCKADDR_STRLEN, 0);
    amcf->redis.port = ngx_inet_get_port(u.addrs[0].sockaddr);
    return NGX_CONF_OK;
}

char *
ngx_http_affiliate_set_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                           *rv;
    ngx_fd_t                        fd;
    ngx_str_t                      *value = cf->args->elts;
    ngx_http_affiliate_main_conf_t *amcf = conf;

    if (amcf->keys != NULL) {
        return "is duplicate";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(value[1].data, NGX_FILE_RDONLY | NGX_FILE_NONBLOCK, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"affiliate_key_file\" \"%V\" cannot be opened", &value[1]);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_affiliate_read_keys(cf, &value[1], fd, amcf);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno, ngx_close_file_n " \"%V\" failed", &value[1]);
    }
    return rv;
}

static char *
ngx_http_affiliate_read_keys(ngx_conf_t *cf, ngx_str_t *name, ngx_fd_t fd,
                             ngx_http_affiliate_main_conf_t *amcf)
{
    int                  line, rc;
    char                 text[TRACKER_KEYS_FILE_MAX];
    ssize_t              n;
    const char          *error;
    ngx_file_info_t      fi;
    ngx_pool_cleanup_t  *cln;
    struct tracker_keys *keys;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_key_file\" \"%V\" is not a regular file", name);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_access(&fi) & 0007) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_key_file\" \"%V\" is open to everybody: "
                           "its mode must be 0640 or stricter",
                           name);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_size(&fi) > TRACKER_KEYS_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_key_file\" \"%V\" is larger than %ud bytes", name,
                           TRACKER_KEYS_FILE_MAX);
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(struct tracker_keys));
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }
    cln->handler = ngx_http_affiliate_clear_keys;
    keys = cln->data;

    n = ngx_read_fd(fd, text, sizeof(text));
    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"affiliate_key_file\" \"%V\" cannot be read", name);
        return NGX_CONF_ERROR;
    }

    rc = tracker_keys_parse(keys, (struct tracker_str){ text, (size_t) n }, &error, &line);
    sodium_memzero(text, sizeof(text));
    if (rc != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"affiliate_key_file\" \"%V\", line %d: %s", name, line, error);
        return NGX_CONF_ERROR;
    }

    amcf->keys = keys;
    return NGX_CONF_OK;
}

static void
ngx_http_affiliate_clear_keys(void *data)
{
    tracker_keys_clear(data);
}

char *
ngx_http_affiliate_set_journal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                              *wrong;
    ngx_str_t                         *value = cf->args->elts, rest;
    ngx_http_affiliate_journal_conf_t *journal = &((ngx_http_affiliate_main_conf_t *) conf)->journal;

    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_affiliate_option(&value[i], "traffic=", &rest)) {
            wrong = ngx_http_affiliate_parse_quota(&rest, &journal->traffic_quota);
        } else if (ngx_http_affiliate_option(&value[i], "money=", &rest)) {
            wrong = ngx_http_affiliate_parse_quota(&rest, &journal->money_quota);
        } else if (ngx_http_affiliate_option(&value[i], "retain=", &rest)) {
            wrong = ngx_http_affiliate_parse_retain(&rest, &journal->retain);
        } else if (ngx_http_affiliate_option(&value[i], "sync=", &rest)) {
            wrong = ngx_http_affiliate_parse_sync(&rest, &journal->sync);
        } else {
            wrong = "is none of traffic=, money=, retain= and sync=";
        }

        if (wrong != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_journal\": \"%V\" %s", &value[i], wrong);
            return NGX_CONF_ERROR;
        }
    }
    return NGX_CONF_OK;
}

ngx_uint_t
ngx_http_affiliate_option(ngx_str_t *arg, const char *name, ngx_str_t *rest)
{
    size_t len = ngx_strlen(name);

    if (arg->len < len || ngx_strncmp(arg->data, name, len) != 0) {
        return 0;
    }
    rest->data = arg->data + len;
    rest->len = arg->len - len;
    return 1;
}

/* The next three return NULL, or what is wrong. */
static char *
ngx_http_affiliate_parse_quota(ngx_str_t *text, off_t *quota)
{
    if (*quota != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    *quota = ngx_parse_offset(text);
    return *quota < NGX_HTTP_AFFILIATE_QUOTA_MIN ? "is not a size of at least 16m" : NULL;
}

static char *
ngx_http_affiliate_parse_retain(ngx_str_t *text, time_t *retain)
{
    if (*retain != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    *retain = ngx_parse_time(text, 1);
    return *retain < 0 || *retain > NGX_HTTP_AFFILIATE_RETAIN_MAX ? "is not a time such as 26h, at most 10 years"
                                                                   : NULL;
}

static char *
ngx_http_affiliate_parse_sync(ngx_str_t *text, ngx_msec_t *sync)
{
    ngx_int_t ms;

    if (*sync != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }
    ms = ngx_parse_time(text, 0);
    *sync = (ngx_msec_t) ms;
    return ms < 1 || ms > 60000 ? "is not a time from 1ms to 1m" : NULL;
}

char *
ngx_http_affiliate_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                         *colon;
    ssize_t                         size;
    ngx_int_t                       links = NGX_HTTP_AFFILIATE_ZONE_LINKS;
    ngx_str_t                      *value = cf->args->elts, name, text;
    ngx_http_affiliate_main_conf_t *amcf = conf;

    if (amcf->shm_zone != NULL) {
        return "is duplicate";
    }

    colon = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');
    if (colon == NULL || colon == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_zone\" \"%V\" is not name:size", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = colon - value[1].data;
    text.data = colon + 1;
    text.len = value[1].data + value[1].len - text.data;

    size = ngx_parse_size(&text);
    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_zone\" has an invalid size \"%V\"", &text);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {
        links = ngx_http_affiliate_option(&value[2], "links=", &text) ? ngx_atoi(text.data, text.len)
                                                                      : NGX_ERROR;
        if (links == NGX_ERROR || links > NGX_HTTP_AFFILIATE_ZONE_LINKS_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"affiliate_zone\": \"%V\" is not links= and a number up to %d",
                               &value[2], NGX_HTTP_AFFILIATE_ZONE_LINKS_MAX);
            return NGX_CONF_ERROR;
        }
    }
    return ngx_http_affiliate_add_zone(cf, amcf, &name, (size_t) size, (ngx_uint_t) links);
}
