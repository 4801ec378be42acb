/*
 * ngx_http_affiliate_geo_file.c - one MaxMind database: copied, checked, mapped.  Any thread.
 *
 * libmaxminddb maps its file and believes it.  Whoever downloads databases may write into the old file
 * or cut it, and then every worker that looks something up would be killed by SIGBUS.  So the
 * file is copied into the state folder first, the copy is checked to the last byte, and only then gets its
 * name, which says what it is a copy of:
 *
 *     <state>/geo/<kind>.<dev>-<inode>-<size>-<mtime>         checked; shared by all workers
 *     <state>/geo/<kind>.<dev>-<inode>-<size>-<mtime>.bad     refused: nobody needs to check it again
 *
 * One worker at a time does it, under a lock; the others find the copy.  Copies of older files are removed then:
 * who still maps them keeps them.
 */
#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "ngx_http_affiliate_visitor.h"

#define NGX_HTTP_AFFILIATE_GEO_NAME_MAX  128
#define NGX_HTTP_AFFILIATE_GEO_SIZE_MAX  ((off_t) 2 * 1024 * 1024 * 1024)
#define NGX_HTTP_AFFILIATE_GEO_BLOCK     (1024 * 1024)
#define NGX_HTTP_AFFILIATE_GEO_SEPARATOR 16 /* zero bytes between tree and data */

/* The metadata begin behind the last of these, within the last 128 KiB (MaxMind DB File Format 2.0). */
static const char ngx_http_affiliate_geo_marker[] = "\xab\xcd\xefMaxMind.com";
#define NGX_HTTP_AFFILIATE_GEO_MARKER_LEN (sizeof(ngx_http_affiliate_geo_marker) - 1)
#define NGX_HTTP_AFFILIATE_GEO_METADATA_MAX (128 * 1024)

static const char *ngx_http_affiliate_geo_load_fd(ngx_http_affiliate_geo_load_t *load, ngx_fd_t fd, int dir);
static const char *ngx_http_affiliate_geo_copy(ngx_http_affiliate_geo_load_t *load, ngx_fd_t fd, int dir,
                                               const char *tmp);
static const char *ngx_http_affiliate_geo_copy_bytes(ngx_fd_t in, ngx_fd_t out, off_t size);
static const char *ngx_http_affiliate_geo_open(ngx_http_affiliate_geo_load_t *load, const char *name);
static void        ngx_http_affiliate_geo_sweep(const char *kind, int dir, const char *keep);
static const char *ngx_http_affiliate_geo_check(const MMDB_s *db, ngx_err_t *error);

ngx_uint_t
ngx_http_affiliate_file_id_eq(const ngx_http_affiliate_file_id_t *a, const ngx_http_affiliate_file_id_t *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size
           && a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

void
ngx_http_affiliate_file_id_set(ngx_http_affiliate_file_id_t *id, const ngx_file_info_t *fi)
{
    ngx_memzero(id, sizeof(*id)); /* padding too */
    id->dev = fi->st_dev;
    id->ino = fi->st_ino;
    id->size = fi->st_size;
    id->modified = fi->st_mtim;
}

const char *
ngx_http_affiliate_geo_probe(const char *path, ngx_err_t *error)
{
    char            *tail;
    size_t           len;
    ssize_t          n;
    ngx_fd_t         fd;
    const char      *wrong = NULL;
    ngx_file_info_t  fi;

    *error = 0;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd == -1) {
        *error = ngx_errno;
        return "cannot be opened";
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        close(fd);
        return "is not a regular file";
    }

    len = ngx_min(fi.st_size, NGX_HTTP_AFFILIATE_GEO_METADATA_MAX);
    tail = malloc(len + 1);
    n = tail != NULL ? pread(fd, tail, len, fi.st_size - (off_t) len) : -1;
    if (n != (ssize_t) len) {
        *error = ngx_errno;
        wrong = "cannot be read";
    } else if (memmem(tail, len, ngx_http_affiliate_geo_marker, NGX_HTTP_AFFILIATE_GEO_MARKER_LEN) == NULL) {
        wrong = "is not a MaxMind database";
    }
    free(tail);
    close(fd);
    return wrong;
}

void
ngx_http_affiliate_geo_load(void *data, ngx_log_t *log)
{
    int                            dir, lock;
    ngx_fd_t                       fd;
    ngx_file_info_t                fi;
    ngx_http_affiliate_geo_load_t *load = data;

    fd = open(load->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd == -1 || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        load->error = ngx_errno;
        load->wrong = "it cannot be opened";
        if (fd != -1) {
            close(fd);
        }
        return;
    }
    ngx_http_affiliate_file_id_set(&load->id, &fi);

    dir = open(load->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lock = open(load->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!ngx_is_file(&fi) || fi.st_size > NGX_HTTP_AFFILIATE_GEO_SIZE_MAX) {
        load->wrong = "it is not a regular file of at most 2 GiB";
    } else if (dir == -1 || lock == -1 || flock(lock, LOCK_EX) == -1) {
        load->error = ngx_errno;
        load->wrong = "there is no place for a copy of it";
    } else {
        load->wrong = ngx_http_affiliate_geo_load_fd(load, fd, dir);
    }

    close(fd);
    if (dir != -1) {
        close(dir);
    }
    if (lock != -1) {
        close(lock); /* which unlocks */
    }
}

/* Under the lock.  NULL, or why there is no database. */
static const char *
ngx_http_affiliate_geo_load_fd(ngx_http_affiliate_geo_load_t *load, ngx_fd_t fd, int dir)
{
    int                           bad_fd;
    char                          name[NGX_HTTP_AFFILIATE_GEO_NAME_MAX];
    char                          tmp[sizeof(name) + sizeof(".tmp")], bad[sizeof(name) + sizeof(".bad")];
    const char                   *wrong;
    ngx_http_affiliate_file_id_t *id = &load->id;

    (void) snprintf(name, sizeof(name), "%s.%jx-%jx-%jx-%jx.%09ld", load->kind, (uintmax_t) id->dev,
                    (uintmax_t) id->ino, (uintmax_t) id->size, (uintmax_t) id->modified.tv_sec,
                    id->modified.tv_nsec);
    (void) snprintf(tmp, sizeof(tmp), "%s.tmp", name);
    (void) snprintf(bad, sizeof(bad), "%s.bad", name);

    if (faccessat(dir, name, R_OK, 0) == 0) {
        return ngx_http_affiliate_geo_open(load, name);
    }
    load->again = faccessat(dir, bad, F_OK, 0) == 0;

    wrong = ngx_http_affiliate_geo_copy(load, fd, dir, tmp);
    if (wrong == NULL) {
        wrong = ngx_http_affiliate_geo_open(load, tmp);
    }
    if (wrong == NULL) {
        wrong = ngx_http_affiliate_geo_check(load->db, &load->error);
    }
    if (wrong == NULL && renameat(dir, tmp, dir, name) == -1) {
        load->error = ngx_errno;
        wrong = "its copy cannot be renamed";
    }

    if (wrong == NULL) {
        ngx_http_affiliate_geo_sweep(load->kind, dir, name);
        return NULL;
    }

    (void) unlinkat(dir, tmp, 0);
    if (load->error == 0) { /* its own fault, not that of a full disk */
        bad_fd = openat(dir, bad, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (bad_fd != -1) {
            close(bad_fd);
        }
    }
    if (load->db != NULL) {
        ngx_http_affiliate_geo_close(load->db);
        load->db = NULL;
    }
    return wrong;
}

static const char *
ngx_http_affiliate_geo_copy(ngx_http_affiliate_geo_load_t *load, ngx_fd_t fd, int dir, const char *tmp)
{
    int                          out;
    const char                  *wrong;
    ngx_file_info_t              fi;
    ngx_http_affiliate_file_id_t now;

    out = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out == -1) {
        load->error = ngx_errno;
        return "its copy cannot be made";
    }

    wrong = ngx_http_affiliate_geo_copy_bytes(fd, out, load->id.size);
    if (wrong == NULL && fsync(out) == -1) { /* a copy that has its name is whole, also after a power loss */
        wrong = "its copy cannot be written";
    }
    if (wrong != NULL) {
        load->error = ngx_errno;
    }
    close(out);

    if (wrong == NULL && ngx_fd_info(fd, &fi) != NGX_FILE_ERROR) {
        ngx_http_affiliate_file_id_set(&now, &fi);
        if (!ngx_http_affiliate_file_id_eq(&now, &load->id)) {
            load->error = NGX_EAGAIN;
            return "it is being written";
        }
    }
    return wrong;
}

/* errno says why. */
static const char *
ngx_http_affiliate_geo_copy_bytes(ngx_fd_t in, ngx_fd_t out, off_t size)
{
    char       *block = malloc(NGX_HTTP_AFFILIATE_GEO_BLOCK);
    ssize_t     n = 0;
    const char *wrong = NULL;

    for (off_t at = 0; block != NULL && wrong == NULL && at < size; at += n) {
        n = pread(in, block, ngx_min(size - at, NGX_HTTP_AFFILIATE_GEO_BLOCK), at);
        if (n <= 0) {
            ngx_set_errno(n == 0 ? NGX_EAGAIN : ngx_errno); /* 0: it was cut just now */
            wrong = "it cannot be read";
        } else if (pwrite(out, block, n, at) != n) {
            ngx_set_errno(ngx_errno == 0 ? ENOSPC : ngx_errno);
            wrong = "its copy cannot be written";
        }
    }
    if (block == NULL) {
        wrong = "there is no memory to copy it";
    }
    free(block);
    return wrong;
}

/* Maps a copy and touches every page, so that no look-up waits for the disk. */
static const char *
ngx_http_affiliate_geo_open(ngx_http_affiliate_geo_load_t *load, const char *name)
{
    int              rc;
    char             path[NGX_MAX_PATH];
    volatile uint8_t touched;

    load->db = calloc(1, sizeof(MMDB_s));
    if (load->db == NULL
        || snprintf(path, sizeof(path), "%s/%s", load->dir, name) >= (int) sizeof(path))
    {
        load->error = load->db == NULL ? NGX_ENOMEM : NGX_ENAMETOOLONG;
        free(load->db);
        load->db = NULL;
        return "its copy cannot be mapped";
    }

    rc = MMDB_open(path, MMDB_MODE_MMAP, load->db);
    if (rc != MMDB_SUCCESS) {
        if (rc == MMDB_OUT_OF_MEMORY_ERROR || rc == MMDB_IO_ERROR || rc == MMDB_FILE_OPEN_ERROR) {
            load->error = ngx_errno;
        }
        free(load->db);
        load->db = NULL;
        return MMDB_strerror(rc);
    }

    for (ssize_t i = 0; i < load->db->file_size; i += (ssize_t) ngx_pagesize) {
        touched = load->db->file_content[i];
    }
    (void) touched;
    return NULL;
}

void
ngx_http_affiliate_geo_close(MMDB_s *db)
{
    MMDB_close(db);
    free(db);
}

/* Everything of that kind but one file. */
static void
ngx_http_affiliate_geo_sweep(const char *kind, int dir, const char *keep)
{
    DIR           *d;
    size_t         len = strlen(kind);
    struct dirent *entry;

    d = fdopendir(dup(dir));
    if (d == NULL) {
        return;
    }
    rewinddir(d);
    while ((entry = readdir(d)) != NULL) {
        if (strncmp(entry->d_name, kind, len) == 0 && entry->d_name[len] == '.'
            && strcmp(entry->d_name, keep) != 0)
        {
            (void) unlinkat(dir, entry->d_name, 0);
        }
    }
    closedir(d);
}

/* ---- the check ----
 *
 * The data section is one value after the other, each in front of what it contains (MaxMind DB File Format 2.0,
 * "Output Data Section"): so a walk from end to end meets all of them, and every pointer and every leaf
 * of the tree must lead to a place where the walk has seen one begin.
 */

typedef struct {
    const uint8_t *bytes;
    size_t         len;
    uint8_t       *begins; /* a bit for each byte: a value begins here */
} ngx_http_affiliate_geo_data_t;

#define NGX_HTTP_AFFILIATE_GEO_POINTER  1
#define NGX_HTTP_AFFILIATE_GEO_MAP      7
#define NGX_HTTP_AFFILIATE_GEO_ARRAY    11
#define NGX_HTTP_AFFILIATE_GEO_BOOLEAN  14
#define NGX_HTTP_AFFILIATE_GEO_TYPES    16
#define NGX_HTTP_AFFILIATE_GEO_ANY      UINT32_MAX

/* By type: the least and the most bytes behind a value's head; least above most: no such type in a file. */
static const struct {
    uint32_t least, most;
} ngx_http_affiliate_geo_sizes[NGX_HTTP_AFFILIATE_GEO_TYPES] = {
    [0] = { 1, 0 }, [1] = { 1, 0 },
    [2] = { 0, NGX_HTTP_AFFILIATE_GEO_ANY }, /* UTF-8 */
    [3] = { 8, 8 },                          /* double */
    [4] = { 0, NGX_HTTP_AFFILIATE_GEO_ANY }, /* bytes */
    [5] = { 0, 2 },                          /* unsigned 16 bit */
    [6] = { 0, 4 },                          /* unsigned 32 bit */
    [7] = { 0, NGX_HTTP_AFFILIATE_GEO_ANY }, /* map: the number of its pairs */
    [8] = { 0, 4 },                          /* signed 32 bit */
    [9] = { 0, 8 },                          /* unsigned 64 bit */
    [10] = { 0, 16 },                        /* unsigned 128 bit */
    [11] = { 0, NGX_HTTP_AFFILIATE_GEO_ANY }, /* array: the number of its items */
    [12] = { 1, 0 }, [13] = { 1, 0 },
    [14] = { 0, 1 },                         /* boolean: in the head */
    [15] = { 4, 4 },                         /* float */
};

/* Behind the value that begins at `at`; 0: it is none.  *target is where it points, or SIZE_MAX. */
static size_t
ngx_http_affiliate_geo_value(const ngx_http_affiliate_geo_data_t *data, size_t at, size_t *target)
{
    static const uint32_t pointer_base[] = { 0, 0, 2048, 526336, 0 };
    static const uint32_t size_base[] = { 0, 29, 285, 65821 };

    uint8_t  head = data->bytes[at++];
    uint32_t type = head >> 5, size = head & 0x1f, more = 0, n;

    *target = SIZE_MAX;
    if (type == NGX_HTTP_AFFILIATE_GEO_POINTER) {
        n = (size >> 3) + 1;
        more = n == 4 ? 0 : size & 7;
    } else {
        if (type == 0) {
            if (at == data->len || data->bytes[at] == 0) {
                return 0;
            }
            type = 7 + data->bytes[at++];
        }
        n = size < 29 ? 0 : size - 28;
    }

    if (data->len - at < n) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        more = more << 8 | data->bytes[at++];
    }

    if (type == NGX_HTTP_AFFILIATE_GEO_POINTER) {
        *target = (size_t) more + pointer_base[n];
        return at;
    }

    size = n == 0 ? size : size_base[n] + more;
    if (type >= NGX_HTTP_AFFILIATE_GEO_TYPES || size < ngx_http_affiliate_geo_sizes[type].least
        || size > ngx_http_affiliate_geo_sizes[type].most)
    {
        return 0;
    }
    if (type == NGX_HTTP_AFFILIATE_GEO_MAP || type == NGX_HTTP_AFFILIATE_GEO_ARRAY
        || type == NGX_HTTP_AFFILIATE_GEO_BOOLEAN)
    {
        return at;
    }
    return data->len - at < size ? 0 : at + size;
}

static ngx_uint_t
ngx_http_affiliate_geo_begins(const ngx_http_affiliate_geo_data_t *data, size_t at)
{
    return at < data->len && (data->begins[at / 8] >> at % 8 & 1);
}

static const char *
ngx_http_affiliate_geo_check_data(const ngx_http_affiliate_geo_data_t *data)
{
    size_t at, next, target;

    for (at = 0; at < data->len; at = next) {
        next = ngx_http_affiliate_geo_value(data, at, &target);
        if (next == 0) {
            return "its data are damaged";
        }
        data->begins[at / 8] |= (uint8_t) (1u << at % 8);
    }

    for (at = 0; at < data->len; at = next) {
        next = ngx_http_affiliate_geo_value(data, at, &target);
        /* a pointer to a pointer is not allowed */
        if (target != SIZE_MAX && (!ngx_http_affiliate_geo_begins(data, target)
                                   || data->bytes[target] >> 5 == NGX_HTTP_AFFILIATE_GEO_POINTER))
        {
            return "its data point to where there are none";
        }
    }
    return NULL;
}

static const char *
ngx_http_affiliate_geo_check_tree(const MMDB_s *db, const ngx_http_affiliate_geo_data_t *data)
{
    const uint8_t *node = db->file_content;
    uint32_t       count = db->metadata.node_count, record[2];

    for (uint32_t i = 0; i < count; i++, node += db->full_record_byte_size) {
        switch (db->metadata.record_size) {
        case 24:
            record[0] = (uint32_t) node[0] << 16 | node[1] << 8 | node[2];
            record[1] = (uint32_t) node[3] << 16 | node[4] << 8 | node[5];
            break;
        case 28:
            record[0] = (uint32_t) (node[3] & 0xf0) << 20 | node[0] << 16 | node[1] << 8 | node[2];
            record[1] = (uint32_t) (node[3] & 0x0f) << 24 | node[4] << 16 | node[5] << 8 | node[6];
            break;
        default:
            record[0] = (uint32_t) node[0] << 24 | node[1] << 16 | node[2] << 8 | node[3];
            record[1] = (uint32_t) node[4] << 24 | node[5] << 16 | node[6] << 8 | node[7];
            break;
        }

        for (ngx_uint_t j = 0; j < 2; j++) {
            if (record[j] > count
                && (record[j] - count < NGX_HTTP_AFFILIATE_GEO_SEPARATOR
                    || !ngx_http_affiliate_geo_begins(data, record[j] - count - NGX_HTTP_AFFILIATE_GEO_SEPARATOR)))
            {
                return "its search tree leads to no data";
            }
        }
    }
    return NULL;
}

/* MMDB_open has seen to it that tree and metadata lie within the file. */
static const char *
ngx_http_affiliate_geo_check(const MMDB_s *db, ngx_err_t *error)
{
    const char                   *wrong;
    const uint8_t                *end = db->metadata_section - NGX_HTTP_AFFILIATE_GEO_MARKER_LEN;
    ngx_http_affiliate_geo_data_t data;

    if (end < db->data_section) {
        return "its data are cut";
    }
    data.bytes = db->data_section;
    data.len = (size_t) (end - db->data_section);
    data.begins = calloc(1, data.len / 8 + 1);
    if (data.begins == NULL) {
        *error = NGX_ENOMEM;
        return "there is no memory to check it";
    }

    wrong = ngx_http_affiliate_geo_check_data(&data);
    if (wrong == NULL) {
        wrong = ngx_http_affiliate_geo_check_tree(db, &data);
    }
    free(data.begins);
    return wrong;
}
