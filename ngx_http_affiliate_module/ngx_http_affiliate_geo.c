/*
 * ngx_http_affiliate_geo.c - where a visitor is: affiliate_geoip.
 *
 * Databases are loaded before a worker's first request and again whenever their file changes: a timer looks at
 * the files, the thread pool loads them (geo_file.c), the event loop puts the new one in the old one's place.
 * A bad file is refused and said; what was good stays.
 *
 * A look-up walks a tree of some hundred kilobytes and unpacks names: so a worker remembers what it found in a
 * small direct-mapped table.  What it remembers is copied out of the database, and a swap makes it void.
 */
#include "ngx_http_affiliate_visitor.h"

#include <sys/stat.h>

#define NGX_HTTP_AFFILIATE_GEO_TICK_MS   500
#define NGX_HTTP_AFFILIATE_GEO_RETRY     60   /* ticks, after an error that is not the file's */
#define NGX_HTTP_AFFILIATE_GEO_PLACES    4096 /* a power of 2; 512 KiB a worker, touched as addresses come */

typedef struct {
    char                        *path; /* NULL: not configured */
    MMDB_s                      *db;   /* NULL: none that is good yet */
    ngx_http_affiliate_file_id_t seen; /* at the last tick */
    ngx_http_affiliate_file_id_t tried;
    ngx_uint_t                   retry; /* ticks until a file is tried again that has not changed; 0: not */
} ngx_http_affiliate_geo_db_t;

static struct {
    ngx_http_affiliate_main_conf_t *conf;
    ngx_http_affiliate_geo_db_t     dbs[NGX_HTTP_AFFILIATE_GEO_COUNT];
    ngx_uint_t                      serial;  /* of the set of databases, from 1 */
    ngx_uint_t                      loading; /* which of dbs, while busy */
    ngx_uint_t                      busy;
    ngx_thread_task_t              *task;    /* ctx: ngx_http_affiliate_geo_load_t */
    ngx_event_t                     watch;
    char                           *dir, *lock;
} ngx_http_affiliate_geo;

static ngx_http_affiliate_place_t ngx_http_affiliate_places[NGX_HTTP_AFFILIATE_GEO_PLACES];

/* In the order of ngx_http_affiliate_geo_e; also what affiliate_geoip calls them. */
static const char *const ngx_http_affiliate_geo_kinds[] = { "city", "country", "asn" };

/* nginx looks a timer that is left at exit up by its connection's fd */
static ngx_connection_t ngx_http_affiliate_geo_dumb;

static void ngx_http_affiliate_geo_fill(ngx_http_affiliate_place_t *place, struct tracker_str address);
static void ngx_http_affiliate_geo_fill_place(ngx_http_affiliate_place_t *place, MMDB_entry_s *entry);
static void ngx_http_affiliate_geo_fill_asn(ngx_http_affiliate_place_t *place, MMDB_entry_s *entry);
static uint8_t ngx_http_affiliate_geo_code(MMDB_entry_s *entry, const char *const *path, char *out, size_t least,
                                           size_t most);
static uint8_t ngx_http_affiliate_geo_name(MMDB_entry_s *entry, const char *const *path, char *out, size_t most);
static ngx_int_t ngx_http_affiliate_geo_paths(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);
static void ngx_http_affiliate_geo_watch(ngx_event_t *ev);
static ngx_uint_t ngx_http_affiliate_geo_changed(ngx_http_affiliate_geo_db_t *db);
static void ngx_http_affiliate_geo_start(ngx_uint_t which, ngx_log_t *log);
static void ngx_http_affiliate_geo_prepare(ngx_http_affiliate_geo_load_t *load, ngx_uint_t which);
static void ngx_http_affiliate_geo_loaded(ngx_event_t *ev);
static void ngx_http_affiliate_geo_install(ngx_http_affiliate_geo_load_t *load, ngx_uint_t which, ngx_log_t *log);
static void ngx_http_affiliate_geo_let_go(MMDB_s *db);
static void ngx_http_affiliate_geo_close_in_thread(void *data, ngx_log_t *log);
static void ngx_http_affiliate_geo_closed(ngx_event_t *ev);

/* ---- looking up ---- */

ngx_http_affiliate_place_t *
ngx_http_affiliate_geo_find(const ngx_http_affiliate_address_key_t *key, struct tracker_str address)
{
    ngx_http_affiliate_place_t *place;

    place = &ngx_http_affiliate_places[key->hash % NGX_HTTP_AFFILIATE_GEO_PLACES];
    if (place->low == key->low && place->high == key->high && place->serial == ngx_http_affiliate_geo.serial) {
        return place;
    }

    ngx_memzero(place, sizeof(*place));
    place->high = key->high;
    place->low = key->low;
    place->serial = ngx_http_affiliate_geo.serial;
    ngx_http_affiliate_geo_fill(place, address);
    return place;
}

static void
ngx_http_affiliate_geo_fill(ngx_http_affiliate_place_t *place, struct tracker_str address)
{
    int                  error;
    ngx_sockaddr_t       sa;
    MMDB_lookup_result_s found;

    ngx_memzero(&sa, sizeof(sa));
    if (address.len == 4) {
        sa.sockaddr.sa_family = AF_INET;
        ngx_memcpy(&sa.sockaddr_in.sin_addr, address.data, 4);
    } else {
#if (NGX_HAVE_INET6)
        sa.sockaddr.sa_family = AF_INET6;
        ngx_memcpy(&sa.sockaddr_in6.sin6_addr, address.data, 16);
#else
        return;
#endif
    }

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GEO_COUNT; i++) {
        if (ngx_http_affiliate_geo.dbs[i].db == NULL) {
            continue;
        }
        found = MMDB_lookup_sockaddr(ngx_http_affiliate_geo.dbs[i].db, &sa.sockaddr, &error);
        if (error != MMDB_SUCCESS || !found.found_entry) {
            continue;
        }
        if (i == NGX_HTTP_AFFILIATE_GEO_ASN) {
            ngx_http_affiliate_geo_fill_asn(place, &found.entry);
        } else {
            ngx_http_affiliate_geo_fill_place(place, &found.entry);
        }
    }
}

/* The city's database comes first: what it says is not replaced by the country's. */
static void
ngx_http_affiliate_geo_fill_place(ngx_http_affiliate_place_t *place, MMDB_entry_s *entry)
{
    static const char *const country[] = { "country", "iso_code", NULL };
    static const char *const registered[] = { "registered_country", "iso_code", NULL };
    static const char *const region[] = { "subdivisions", "0", "iso_code", NULL };
    static const char *const city[] = { "city", "names", "en", NULL };

    if (place->country_len != 0) {
        return;
    }
    place->country_len = ngx_http_affiliate_geo_code(entry, country, place->country, 2, sizeof(place->country));
    if (place->country_len == 0) {
        /* anycast and satellite networks are nowhere, but belong somewhere */
        place->country_len = ngx_http_affiliate_geo_code(entry, registered, place->country, 2,
                                                         sizeof(place->country));
    }
    place->region_len = ngx_http_affiliate_geo_code(entry, region, place->region, 1, sizeof(place->region));
    place->city_len = ngx_http_affiliate_geo_name(entry, city, place->city, sizeof(place->city));
}

static void
ngx_http_affiliate_geo_fill_asn(ngx_http_affiliate_place_t *place, MMDB_entry_s *entry)
{
    static const char *const number[] = { "autonomous_system_number", NULL };
    MMDB_entry_data_s        data;

    if (MMDB_aget_value(entry, &data, number) == MMDB_SUCCESS && data.has_data
        && data.type == MMDB_DATA_TYPE_UINT32)
    {
        place->asn = data.uint32;
    }
}

/* A code of capital letters and digits, else none: it goes into rules, URLs and reports as it is. */
static uint8_t
ngx_http_affiliate_geo_code(MMDB_entry_s *entry, const char *const *path, char *out, size_t least, size_t most)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data
        || data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size < least || data.data_size > most)
    {
        return 0;
    }
    for (uint32_t i = 0; i < data.data_size; i++) {
        char c = data.utf8_string[i];

        if ((c < 'A' || c > 'Z') && (c < '0' || c > '9')) {
            return 0;
        }
        out[i] = c;
    }
    return (uint8_t) data.data_size;
}

/* A name in UTF-8, cut between characters; none, if anything in it is not UTF-8, or a control character. */
static uint8_t
ngx_http_affiliate_geo_name(MMDB_entry_s *entry, const char *const *path, char *out, size_t most)
{
    u_char           *p, *last;
    size_t            len = 0;
    uint32_t          c;
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data
        || data.type != MMDB_DATA_TYPE_UTF8_STRING)
    {
        return 0;
    }

    p = (u_char *) data.utf8_string;
    last = p + data.data_size;
    while (p < last) {
        c = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, (size_t) (last - p));
        if (c > 0x10ffff || c < 0x20 || c == 0x7f) {
            return 0;
        }
        if ((size_t) (p - (u_char *) data.utf8_string) <= most) {
            len = (size_t) (p - (u_char *) data.utf8_string);
        }
    }
    ngx_memcpy(out, data.utf8_string, len);
    return (uint8_t) len;
}

/* ---- a worker's start and stop ---- */

ngx_int_t
ngx_http_affiliate_geo_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_http_affiliate_geo_load_t *load;

    if (!amcf->geo) {
        return NGX_OK;
    }
    ngx_http_affiliate_geo.conf = amcf;
    ngx_http_affiliate_geo.serial = 1;
    ngx_http_affiliate_geo.task = ngx_thread_task_alloc(cycle->pool, sizeof(ngx_http_affiliate_geo_load_t));
    if (ngx_http_affiliate_geo.task == NULL || ngx_http_affiliate_geo_paths(cycle, amcf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* here and now, so that the first visitor's place is known */
    load = ngx_http_affiliate_geo.task->ctx;
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GEO_COUNT; i++) {
        if (ngx_http_affiliate_geo.dbs[i].path != NULL) {
            ngx_http_affiliate_geo_prepare(load, i);
            ngx_http_affiliate_geo_load(load, cycle->log);
            load->again = 0;
            ngx_http_affiliate_geo_install(load, i, cycle->log);
        }
    }

    ngx_http_affiliate_geo_dumb.fd = (ngx_socket_t) -1;
    ngx_http_affiliate_geo.watch.handler = ngx_http_affiliate_geo_watch;
    ngx_http_affiliate_geo.watch.log = cycle->log;
    ngx_http_affiliate_geo.watch.data = &ngx_http_affiliate_geo_dumb;
    ngx_http_affiliate_geo.watch.cancelable = 1;
    ngx_add_timer(&ngx_http_affiliate_geo.watch, NGX_HTTP_AFFILIATE_GEO_TICK_MS);
    return NGX_OK;
}

/* The mappings go with the process: requests may still end after this. */
void
ngx_http_affiliate_geo_exit(ngx_cycle_t *cycle)
{
    if (ngx_http_affiliate_geo.watch.timer_set) {
        ngx_del_timer(&ngx_http_affiliate_geo.watch);
    }
}

static ngx_int_t
ngx_http_affiliate_geo_paths(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf)
{
    ngx_http_affiliate_geo.dir = ngx_pnalloc(cycle->pool, amcf->state->name.len + sizeof("/geo"));
    ngx_http_affiliate_geo.lock = ngx_pnalloc(cycle->pool, amcf->locks_dir.len + sizeof("/geo"));
    if (ngx_http_affiliate_geo.dir == NULL || ngx_http_affiliate_geo.lock == NULL) {
        return NGX_ERROR;
    }
    ngx_sprintf((u_char *) ngx_http_affiliate_geo.dir, "%V/geo%Z", &amcf->state->name);
    ngx_sprintf((u_char *) ngx_http_affiliate_geo.lock, "%V/geo%Z", &amcf->locks_dir);

    /* made by the worker, so that it belongs to the worker's user; whatever is wrong, loading says it */
    (void) mkdir(ngx_http_affiliate_geo.dir, 0700);

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GEO_COUNT; i++) {
        ngx_http_affiliate_geo.dbs[i].path = (char *) amcf->geo_files[i].data;
    }
    return NGX_OK;
}

/* ---- watching and loading ---- */

static void
ngx_http_affiliate_geo_watch(ngx_event_t *ev)
{
    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_GEO_COUNT; i++) {
        ngx_http_affiliate_geo_db_t *db = &ngx_http_affiliate_geo.dbs[i];

        if (db->path != NULL && !ngx_http_affiliate_geo.busy && ngx_http_affiliate_geo_changed(db)) {
            ngx_http_affiliate_geo_start(i, ev->log);
        }
    }
    ngx_add_timer(ev, NGX_HTTP_AFFILIATE_GEO_TICK_MS);
}

/* True for a file that is new and has come to rest: one that is being written is left alone.  While there is none
 * the old one serves on. */
static ngx_uint_t
ngx_http_affiliate_geo_changed(ngx_http_affiliate_geo_db_t *db)
{
    ngx_uint_t                   rests;
    ngx_file_info_t              fi;
    ngx_http_affiliate_file_id_t now;

    if (ngx_file_info(db->path, &fi) == NGX_FILE_ERROR) {
        return 0;
    }
    ngx_http_affiliate_file_id_set(&now, &fi);
    rests = ngx_http_affiliate_file_id_eq(&now, &db->seen);
    db->seen = now;
    if (!ngx_http_affiliate_file_id_eq(&now, &db->tried)) {
        return rests;
    }
    return db->retry != 0 && --db->retry == 0;
}

static void
ngx_http_affiliate_geo_start(ngx_uint_t which, ngx_log_t *log)
{
    ngx_thread_task_t *task = ngx_http_affiliate_geo.task;

    ngx_http_affiliate_geo_prepare(task->ctx, which);
    task->handler = ngx_http_affiliate_geo_load;
    task->event.handler = ngx_http_affiliate_geo_loaded;
    task->event.data = task->ctx;
    task->event.log = log;
    if (ngx_thread_task_post(ngx_http_affiliate_geo.conf->thread_pool, task) == NGX_OK) {
        ngx_http_affiliate_geo.busy = 1;
        ngx_http_affiliate_geo.loading = which;
    }
}

static void
ngx_http_affiliate_geo_prepare(ngx_http_affiliate_geo_load_t *load, ngx_uint_t which)
{
    ngx_memzero(load, sizeof(*load));
    load->path = ngx_http_affiliate_geo.dbs[which].path;
    load->kind = ngx_http_affiliate_geo_kinds[which];
    load->dir = ngx_http_affiliate_geo.dir;
    load->lock = ngx_http_affiliate_geo.lock;
}

static void
ngx_http_affiliate_geo_loaded(ngx_event_t *ev)
{
    ngx_http_affiliate_geo.busy = 0;
    ngx_http_affiliate_geo_install(ev->data, ngx_http_affiliate_geo.loading, ev->log);
}

static void
ngx_http_affiliate_geo_install(ngx_http_affiliate_geo_load_t *load, ngx_uint_t which, ngx_log_t *log)
{
    MMDB_s                      *old;
    ngx_http_affiliate_geo_db_t *db = &ngx_http_affiliate_geo.dbs[which];

    db->tried = load->id.ino != 0 ? load->id : db->seen; /* 0: it could not even be opened */
    if (load->db == NULL) {
        ngx_http_affiliate_count(GEOIP_REFUSED);
        db->retry = load->error != 0 ? NGX_HTTP_AFFILIATE_GEO_RETRY : 0;
        if (!load->again) {
            ngx_log_error(NGX_LOG_ERR, log, load->error,
                          "affiliate: the %s database \"%s\" is refused: %s; %s", load->kind, load->path, load->wrong,
                          db->db != NULL ? "the last good one stays" : "nothing is looked up in it");
        }
        return;
    }

    old = db->db;
    db->db = load->db;
    ngx_http_affiliate_geo.serial++; /* what was remembered is void */
    ngx_http_affiliate_count(GEOIP_LOADED);
    if (old != NULL) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "affiliate: the %s database \"%s\" was replaced", load->kind, load->path);
        ngx_http_affiliate_geo_let_go(old);
    }
}

/* In a thread of the pool; here, when the pool takes nothing. */
static void
ngx_http_affiliate_geo_let_go(MMDB_s *db)
{
    ngx_pool_t        *pool;
    ngx_thread_task_t *task;

    /* a small pool of the task's own, destroyed when it is done: nothing piles up over a worker's life */
    pool = ngx_create_pool(512, ngx_cycle->log);
    task = pool != NULL ? ngx_thread_task_alloc(pool, sizeof(void *) * 2) : NULL;
    if (task != NULL) {
        ((void **) task->ctx)[0] = db;
        ((void **) task->ctx)[1] = pool;
        task->handler = ngx_http_affiliate_geo_close_in_thread;
        task->event.handler = ngx_http_affiliate_geo_closed;
        task->event.data = task->ctx;
        if (ngx_thread_task_post(ngx_http_affiliate_geo.conf->thread_pool, task) == NGX_OK) {
            return;
        }
    }
    ngx_http_affiliate_geo_close(db);
    if (pool != NULL) {
        ngx_destroy_pool(pool);
    }
}

static void
ngx_http_affiliate_geo_close_in_thread(void *data, ngx_log_t *log)
{
    ngx_http_affiliate_geo_close(*(MMDB_s **) data);
}

static void
ngx_http_affiliate_geo_closed(ngx_event_t *ev)
{
    ngx_pool_t *pool = ((void **) ev->data)[1];

    ngx_destroy_pool(pool);
}

/* ---- affiliate_geoip country|city|asn FILE ---- */

char *
ngx_http_affiliate_set_geoip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_err_t                       error;
    ngx_str_t                      *value = cf->args->elts, *file;
    ngx_uint_t                      kind;
    const char                     *wrong;
    ngx_http_affiliate_main_conf_t *amcf = conf;

    for (kind = 0; kind < NGX_HTTP_AFFILIATE_GEO_COUNT; kind++) {
        if (ngx_strcmp(value[1].data, ngx_http_affiliate_geo_kinds[kind]) == 0) {
            break;
        }
    }
    if (kind == NGX_HTTP_AFFILIATE_GEO_COUNT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_geoip\" \"%V\" is none of country, city and asn",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    file = &amcf->geo_files[kind];
    if (file->len != 0) {
        return "is duplicate";
    }
    *file = value[2];
    if (file->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_geoip\" names no file");
        return NGX_CONF_ERROR;
    }
    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    wrong = ngx_http_affiliate_geo_probe((char *) file->data, &error);
    if (wrong != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, error, "\"affiliate_geoip\" \"%V\" %s", file, wrong);
        return NGX_CONF_ERROR;
    }
    amcf->geo = 1;
    amcf->needed_by = cmd->name;
    return NGX_CONF_OK;
}
