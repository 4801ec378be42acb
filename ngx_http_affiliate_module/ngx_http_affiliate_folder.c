/*
 * ngx_http_affiliate_folder.c - what lies in <state>/journal: journals, and the
 * small files beside them that say what became of them.
 *
 *     <id>.<n>       a journal's segments (tracker_journal.h)
 *     <id>.drained   the database has all of it:  v1 <incarnation, hex> <end> <when first drained, ms>
 *     <id>.forked    another machine writes under this id too
 *     <id>.<n>.bad   bears a journal's name and is none
 *
 * Looking through a large folder takes milliseconds: the thread pool does it.
 */
#include <dirent.h>

#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_SIDECAR_MAX 128 /* bytes */
#define NGX_HTTP_AFFILIATE_NAME_MAX    (TRACKER_JOURNAL_HEX_LEN + sizeof(".4294967295.bad"))

/* The journal's name with a suffix of at most 15 characters. */
static void
ngx_http_affiliate_folder_name(char name[NGX_HTTP_AFFILIATE_NAME_MAX], const struct tracker_journal_id *id,
                               const char *suffix)
{
    tracker_journal_id_format(id, name);
    ngx_cpystrn((u_char *) name + TRACKER_JOURNAL_HEX_LEN, (u_char *) suffix,
                NGX_HTTP_AFFILIATE_NAME_MAX - TRACKER_JOURNAL_HEX_LEN);
}

/* ---- sidecars ---- */

void
ngx_http_affiliate_sidecar_read(int dir, const struct tracker_journal_id *id,
                                ngx_http_affiliate_sidecar_t *sidecar)
{
    int                fd;
    char               name[NGX_HTTP_AFFILIATE_NAME_MAX], text[NGX_HTTP_AFFILIATE_SIDECAR_MAX + 1];
    ssize_t            n;
    unsigned long long incarnation, end, ms;

    ngx_memzero(sidecar, sizeof(*sidecar));
    ngx_http_affiliate_folder_name(name, id, ".drained");
    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd == -1) {
        return;
    }
    n = read(fd, text, NGX_HTTP_AFFILIATE_SIDECAR_MAX);
    close(fd);
    if (n <= 0) {
        return;
    }
    text[n] = '\0';
    if (sscanf(text, "v1 %16llx %20llu %20llu\n", &incarnation, &end, &ms) == 3 && end > 0) {
        sidecar->incarnation = incarnation;
        sidecar->end = end;
        sidecar->drained_ms = ms;
    }
}

ngx_int_t
ngx_http_affiliate_sidecar_write(int dir, const struct tracker_journal_id *id,
                                 const ngx_http_affiliate_sidecar_t *sidecar)
{
    int     fd, len;
    char    name[NGX_HTTP_AFFILIATE_NAME_MAX], tmp[NGX_HTTP_AFFILIATE_NAME_MAX];
    char    text[NGX_HTTP_AFFILIATE_SIDECAR_MAX];
    ssize_t n;

    ngx_http_affiliate_folder_name(name, id, ".drained");
    ngx_http_affiliate_folder_name(tmp, id, ".drained.tmp");
    len = snprintf(text, sizeof(text), "v1 %016llx %llu %llu\n", (unsigned long long) sidecar->incarnation,
                   (unsigned long long) sidecar->end, (unsigned long long) sidecar->drained_ms);

    fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        return NGX_ERROR;
    }
    n = write(fd, text, (size_t) len);
    close(fd);
    /* Not synced: without it the journal is offered once more, no harm. */
    if (n != len || renameat(dir, tmp, dir, name) == -1) {
        unlinkat(dir, tmp, 0);
        return NGX_ERROR;
    }
    return NGX_OK;
}

void
ngx_http_affiliate_sidecar_delete(int dir, const struct tracker_journal_id *id)
{
    char name[NGX_HTTP_AFFILIATE_NAME_MAX];

    ngx_http_affiliate_folder_name(name, id, ".drained");
    unlinkat(dir, name, 0);
}

void
ngx_http_affiliate_folder_mark_forked(int dir, const struct tracker_journal_id *id)
{
    int  fd;
    char name[NGX_HTTP_AFFILIATE_NAME_MAX];

    ngx_http_affiliate_folder_name(name, id, ".forked");
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd != -1) {
        close(fd);
    }
}

/* ---- the look ---- */

static int
ngx_http_affiliate_by_id(const void *a, const void *b)
{
    return memcmp(((const ngx_http_affiliate_found_t *) a)->id.bytes,
                  ((const ngx_http_affiliate_found_t *) b)->id.bytes, TRACKER_JOURNAL_ID_LEN);
}

static ngx_http_affiliate_found_t *
ngx_http_affiliate_folder_find(const ngx_http_affiliate_folder_t *folder, const struct tracker_journal_id *id)
{
    ngx_http_affiliate_found_t key;

    if (folder->n == 0) {
        return NULL;
    }
    key.id = *id;
    return bsearch(&key, folder->elts, folder->n, sizeof(key), ngx_http_affiliate_by_id);
}

typedef struct {
    ngx_http_affiliate_folder_t *folder;
    int                          error;
} ngx_http_affiliate_listing_t;

static bool
ngx_http_affiliate_folder_file(void *ctx, const struct tracker_journal_file *file)
{
    size_t                        cap;
    ngx_http_affiliate_found_t   *found;
    ngx_http_affiliate_listing_t *listing = ctx;
    ngx_http_affiliate_folder_t  *folder = listing->folder;

    if (folder->n == folder->cap) {
        cap = ngx_max(folder->cap * 2, 64);
        found = realloc(folder->elts, cap * sizeof(*found));
        if (found == NULL) {
            listing->error = -ENOMEM;
            return true;
        }
        folder->elts = found;
        folder->cap = cap;
    }
    found = &folder->elts[folder->n++];
    ngx_memzero(found, sizeof(*found));
    found->id = file->id;
    found->bytes = file->size;
    found->modified_ms = file->modified_ms;
    found->whole = file->number == 0;
    return false;
}

/* From one element a file to one a journal, by id. */
static void
ngx_http_affiliate_folder_fold(ngx_http_affiliate_folder_t *folder)
{
    size_t                      i, n = 0;
    ngx_http_affiliate_found_t *to = NULL, *file;

    if (folder->n > 1) {
        qsort(folder->elts, folder->n, sizeof(folder->elts[0]), ngx_http_affiliate_by_id);
    }
    for (i = 0; i < folder->n; i++) {
        file = &folder->elts[i];
        if (to == NULL || ngx_http_affiliate_by_id(to, file) != 0) {
            to = &folder->elts[n++];
            *to = *file;
            continue;
        }
        to->bytes += file->bytes;
        to->modified_ms = ngx_max(to->modified_ms, file->modified_ms);
        to->whole |= file->whole;
    }
    folder->n = n;
}

/* Kind and partition never change: they are read once. */
static void
ngx_http_affiliate_folder_identify(int dir, const ngx_http_affiliate_folder_t *last,
                                   ngx_http_affiliate_found_t *found)
{
    struct tracker_journal_identity   identity;
    const ngx_http_affiliate_found_t *known = ngx_http_affiliate_folder_find(last, &found->id);

    if (known != NULL && known->kind != 0) {
        found->kind = known->kind;
        found->partition = known->partition;

    } else if (found->whole && tracker_journal_peek(dir, &found->id, &identity) == 0
               && identity.kind < NGX_HTTP_AFFILIATE_KINDS)
    {
        found->kind = (uint8_t) identity.kind;
        found->partition = identity.partition;
    }
}

/* One name that is not a segment's. */
static void
ngx_http_affiliate_folder_beside(int dir, const ngx_http_affiliate_folder_t *folder, const char *name)
{
    struct tracker_journal_id   id;
    const char                 *suffix = name + TRACKER_JOURNAL_HEX_LEN;
    ngx_http_affiliate_found_t *found;

    if (strlen(name) <= TRACKER_JOURNAL_HEX_LEN
        || !tracker_journal_id_parse(&id, (struct tracker_str){ name, TRACKER_JOURNAL_HEX_LEN }))
    {
        return;
    }
    found = ngx_http_affiliate_folder_find(folder, &id);
    if (strcmp(suffix, ".forked") == 0 && found != NULL) {
        found->forked = 1;
    } else if (strcmp(suffix, ".drained") == 0 && found != NULL) {
        ngx_http_affiliate_sidecar_read(dir, &id, &found->sidecar);
    } else if (strcmp(suffix, ".drained") == 0) {
        unlinkat(dir, name, 0); /* its journal was deleted */
    }
}

static int
ngx_http_affiliate_folder_sidecars(int dir_fd, const ngx_http_affiliate_folder_t *folder)
{
    int            fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *dir = fd == -1 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (dir == NULL) {
        if (fd != -1) {
            close(fd);
        }
        return -ngx_errno;
    }
    while ((entry = readdir(dir)) != NULL) {
        ngx_http_affiliate_folder_beside(dir_fd, folder, entry->d_name);
    }
    closedir(dir);
    return 0;
}

int
ngx_http_affiliate_folder_look(int dir, const ngx_http_affiliate_folder_t *known,
                               ngx_http_affiliate_folder_t *folder)
{
    int                          error;
    size_t                       i;
    ngx_http_affiliate_listing_t listing = { folder, 0 };

    folder->n = 0;
    error = tracker_journal_scan(dir, ngx_http_affiliate_folder_file, &listing);
    if (error != 0 || listing.error != 0) {
        folder->n = 0;
        return error != 0 ? error : listing.error;
    }
    ngx_http_affiliate_folder_fold(folder);
    for (i = 0; i < folder->n; i++) {
        ngx_http_affiliate_folder_identify(dir, known, &folder->elts[i]);
    }
    return ngx_http_affiliate_folder_sidecars(dir, folder);
}

/* ---- what is no journal ---- */

typedef struct {
    int                              dir;
    const struct tracker_journal_id *id;
    ngx_uint_t                       files;
} ngx_http_affiliate_aside_t;

static bool
ngx_http_affiliate_aside_file(void *ctx, const struct tracker_journal_file *file)
{
    char                        name[NGX_HTTP_AFFILIATE_NAME_MAX], bad[NGX_HTTP_AFFILIATE_NAME_MAX];
    char                        suffix[sizeof(".4294967295.bad")];
    ngx_http_affiliate_aside_t *aside = ctx;

    if (memcmp(file->id.bytes, aside->id->bytes, sizeof(file->id.bytes)) == 0) {
        snprintf(suffix, sizeof(suffix), ".%u", file->number);
        ngx_http_affiliate_folder_name(name, &file->id, suffix);
        snprintf(suffix, sizeof(suffix), ".%u.bad", file->number);
        ngx_http_affiliate_folder_name(bad, &file->id, suffix);
        aside->files += renameat(aside->dir, name, aside->dir, bad) == 0;
    }
    return false;
}

ngx_uint_t
ngx_http_affiliate_folder_set_aside(int dir, const struct tracker_journal_id *id)
{
    ngx_http_affiliate_aside_t aside = { dir, id, 0 };

    (void) tracker_journal_scan(dir, ngx_http_affiliate_aside_file, &aside);
    return aside.files;
}
