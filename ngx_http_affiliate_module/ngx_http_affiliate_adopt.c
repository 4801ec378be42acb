/*
 * ngx_http_affiliate_adopt.c - journals that dead workers left behind: taken,
 * drained, kept for the retention time, deleted; and the folder's bytes, counted.
 *
 * Once a second a thread looks through <state>/journal.  What nobody holds the
 * lock of is taken, at most NGX_HTTP_AFFILIATE_ORPHANS_MAX at a time, and shipped like a
 * worker's own.  When the database has all of it, it gets a sidecar
 *
 *     <id>.drained:  v1 <incarnation, hex> <end> <when first drained, ms>
 *
 * and is let go: it needs no slot while it is only kept.  The sidecar holds for
 * that life of the database alone.  A restored one has another incarnation and may
 * lack what it had acked, so the journal is then taken once more and offered again.
 *
 * <id>.forked marks a journal that another machine writes too: never touched again.
 */
#include <dirent.h>
#include <sys/file.h>

#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_STUCK       60000 /* ms: an orphan without progress makes room for others */
#define NGX_HTTP_AFFILIATE_SIDECAR_MAX 128   /* bytes */
#define NGX_HTTP_AFFILIATE_NAME_MAX    (TRACKER_JOURNAL_HEX_LEN + sizeof(".drained.tmp"))
#define NGX_HTTP_AFFILIATE_HALF_MADE   10000 /* ms: younger files without a first segment are left alone */

typedef struct {
    uint64_t incarnation; /* 0: none */
    uint64_t end;
    uint64_t drained_ms;
} ngx_http_affiliate_sidecar_t;

/* One journal in the folder. */
typedef struct {
    struct tracker_journal_id    id;
    uint64_t                     bytes;
    uint64_t                     modified_ms; /* the newest of its files */
    ngx_http_affiliate_sidecar_t sidecar;
    uint16_t                     partition;
    uint8_t                      kind;        /* 0: its first segment says nothing */
    uint8_t                      whole;       /* it has a first segment */
    uint8_t                      forked;
    uint8_t                      gone;        /* deleted since; the event loop's own */
} ngx_http_affiliate_found_t;

typedef struct {
    ngx_http_affiliate_found_t *elts;
    size_t                      n, cap;
} ngx_http_affiliate_folder_t;

/* The look through the folder. `seen` is the thread's while the job is busy; `known` nobody changes meanwhile. */
static struct {
    ngx_http_affiliate_job_t    job;
    int                         dir;
    int                         error; /* 0 or negative errno */
    ngx_http_affiliate_folder_t seen;
    ngx_http_affiliate_folder_t known;
    int                         counting_lock; /* -1: this worker does not count the folder's bytes */
    ngx_uint_t                  crowded;       /* more orphans than slots */
    unsigned                    complained:1;
} survey;

static void ngx_http_affiliate_adopt_surveyed(ngx_event_t *ev);
static void ngx_http_affiliate_adopt_consider(ngx_http_affiliate_found_t *found);
static ngx_uint_t ngx_http_affiliate_adopt_delete(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_take(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_release(ngx_http_affiliate_held_t *held);
static void ngx_http_affiliate_adopt_set_aside(ngx_http_affiliate_found_t *found);
static void ngx_http_affiliate_adopt_drained(ngx_http_affiliate_held_t *held);

/* ---- sidecars ---- */

static void
ngx_http_affiliate_sidecar_name(char name[NGX_HTTP_AFFILIATE_NAME_MAX], const struct tracker_journal_id *id,
                                const char *suffix)
{
    tracker_journal_id_format(id, name);
    ngx_cpystrn((u_char *) name + TRACKER_JOURNAL_HEX_LEN, (u_char *) suffix,
                NGX_HTTP_AFFILIATE_NAME_MAX - TRACKER_JOURNAL_HEX_LEN);
}

/* Any thread.  A missing or broken sidecar only means that the journal is offered again. */
static void
ngx_http_affiliate_sidecar_read(int dir, const struct tracker_journal_id *id,
                                ngx_http_affiliate_sidecar_t *sidecar)
{
    int                fd;
    char               name[NGX_HTTP_AFFILIATE_NAME_MAX], text[NGX_HTTP_AFFILIATE_SIDECAR_MAX + 1];
    ssize_t            n;
    unsigned long long incarnation, end, ms;

    ngx_memzero(sidecar, sizeof(*sidecar));
    ngx_http_affiliate_sidecar_name(name, id, ".drained");
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

static ngx_int_t
ngx_http_affiliate_sidecar_write(const struct tracker_journal_id *id,
                                 const ngx_http_affiliate_sidecar_t *sidecar)
{
    int     fd, len, dir = ngx_http_affiliate_wire.journal_dir;
    char    name[NGX_HTTP_AFFILIATE_NAME_MAX], tmp[NGX_HTTP_AFFILIATE_NAME_MAX];
    char    text[NGX_HTTP_AFFILIATE_SIDECAR_MAX];
    ssize_t n;

    ngx_http_affiliate_sidecar_name(name, id, ".drained");
    ngx_http_affiliate_sidecar_name(tmp, id, ".drained.tmp");
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

/* ---- the look through the folder, in a thread ---- */

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

    key.id = *id;
    return folder->n == 0 ? NULL
                          : bsearch(&key, folder->elts, folder->n, sizeof(key), ngx_http_affiliate_by_id);
}

static bool
ngx_http_affiliate_survey_file(void *ctx, const struct tracker_journal_file *file)
{
    size_t                       cap;
    ngx_http_affiliate_found_t  *elts;
    ngx_http_affiliate_folder_t *folder = ctx;

    if (folder->n == folder->cap) {
        cap = ngx_max(folder->cap * 2, 64);
        elts = realloc(folder->elts, cap * sizeof(*elts));
        if (elts == NULL) {
            survey.error = -ENOMEM;
            return true;
        }
        folder->elts = elts;
        folder->cap = cap;
    }
    elts = &folder->elts[folder->n++];
    ngx_memzero(elts, sizeof(*elts));
    elts->id = file->id;
    elts->bytes = file->size;
    elts->modified_ms = file->modified_ms;
    elts->whole = file->number == 0;
    return false;
}

/* From one element a file to one a journal, by id. */
static void
ngx_http_affiliate_survey_fold(ngx_http_affiliate_folder_t *folder)
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
ngx_http_affiliate_survey_identify(ngx_http_affiliate_found_t *found)
{
    struct tracker_journal_identity   identity;
    const ngx_http_affiliate_found_t *known = ngx_http_affiliate_folder_find(&survey.known, &found->id);

    if (known != NULL && known->kind != 0) {
        found->kind = known->kind;
        found->partition = known->partition;
    } else if (tracker_journal_peek(survey.dir, &found->id, &identity) == 0
               && identity.kind < NGX_HTTP_AFFILIATE_KINDS)
    {
        found->kind = (uint8_t) identity.kind;
        found->partition = identity.partition;
    }
}

static void
ngx_http_affiliate_survey_sidecars(void)
{
    int                         fd = openat(survey.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR                        *dir = fd == -1 ? NULL : fdopendir(fd);
    const char                 *suffix;
    struct dirent              *entry;
    struct tracker_journal_id   id;
    ngx_http_affiliate_found_t *found;

    if (dir == NULL) {
        survey.error = -ngx_errno;
        if (fd != -1) {
            close(fd);
        }
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strlen(entry->d_name) <= TRACKER_JOURNAL_HEX_LEN
            || !tracker_journal_id_parse(&id, (struct tracker_str){ entry->d_name, TRACKER_JOURNAL_HEX_LEN }))
        {
            continue;
        }
        suffix = entry->d_name + TRACKER_JOURNAL_HEX_LEN;
        found = ngx_http_affiliate_folder_find(&survey.seen, &id);
        if (strcmp(suffix, ".drained") == 0) {
            if (found == NULL) {
                unlinkat(survey.dir, entry->d_name, 0); /* its journal was deleted */
            } else {
                ngx_http_affiliate_sidecar_read(survey.dir, &id, &found->sidecar);
            }
        } else if (strcmp(suffix, ".forked") == 0 && found != NULL) {
            found->forked = 1;
        }
    }
    closedir(dir);
}

static void
ngx_http_affiliate_survey_run(void *data, ngx_log_t *log)
{
    size_t i;
    int    error;

    survey.seen.n = 0;
    survey.error = 0;
    error = tracker_journal_scan(survey.dir, ngx_http_affiliate_survey_file, &survey.seen);
    if (error != 0) {
        survey.error = error;
    }
    ngx_http_affiliate_survey_fold(&survey.seen);
    for (i = 0; i < survey.seen.n; i++) {
        ngx_http_affiliate_survey_identify(&survey.seen.elts[i]);
    }
    ngx_http_affiliate_survey_sidecars();
}

/* ---- what is done about it, on the event loop ---- */

/* One worker of the edge counts the bytes; the lock says which. */
static void
ngx_http_affiliate_adopt_count(void)
{
    size_t                          i;
    uint64_t                        bytes[NGX_HTTP_AFFILIATE_KINDS] = { 0, 0, 0 };
    ngx_http_affiliate_main_conf_t *conf = ngx_http_affiliate_wire.conf;

    if (survey.counting_lock == -1) {
        return;
    }
    for (i = 0; i < survey.known.n; i++) {
        bytes[survey.known.elts[i].kind] += survey.known.elts[i].bytes;
    }
    conf->zone->journal_bytes[TRACKER_JOURNAL_TRAFFIC - 1] = (ngx_atomic_uint_t) bytes[TRACKER_JOURNAL_TRAFFIC];
    conf->zone->journal_bytes[TRACKER_JOURNAL_MONEY - 1] = (ngx_atomic_uint_t) bytes[TRACKER_JOURNAL_MONEY];
    ngx_http_affiliate_gauge(TRAFFIC_BYTES, bytes[TRACKER_JOURNAL_TRAFFIC]);
    ngx_http_affiliate_gauge(MONEY_BYTES, bytes[TRACKER_JOURNAL_MONEY]);
}

static void
ngx_http_affiliate_adopt_counting_lock(void)
{
    char       path[NGX_MAX_PATH];
    ngx_str_t *dir = &ngx_http_affiliate_wire.conf->locks_dir;

    if (ngx_exiting) { /* the new workers count */
        if (survey.counting_lock != -1) {
            close(survey.counting_lock);
            survey.counting_lock = -1;
            ngx_http_affiliate_gauge(TRAFFIC_BYTES, 0);
            ngx_http_affiliate_gauge(MONEY_BYTES, 0);
        }
        return;
    }
    if (survey.counting_lock != -1
        || ngx_snprintf((u_char *) path, sizeof(path), "%V/count%Z", dir) == (u_char *) path + sizeof(path))
    {
        return;
    }
    survey.counting_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (survey.counting_lock != -1 && flock(survey.counting_lock, LOCK_EX | LOCK_NB) == -1) {
        close(survey.counting_lock);
        survey.counting_lock = -1;
    }
}

void
ngx_http_affiliate_adopt_tick(void)
{
    if (ngx_http_affiliate_wire.journal_dir == -1) {
        return;
    }
    ngx_http_affiliate_adopt_counting_lock();
    survey.dir = ngx_http_affiliate_wire.journal_dir;
    (void) ngx_http_affiliate_job_post(&survey.job, ngx_http_affiliate_survey_run,
                                       ngx_http_affiliate_adopt_surveyed, NULL);
}

static void
ngx_http_affiliate_adopt_surveyed(ngx_event_t *ev)
{
    size_t                      i, first;
    ngx_http_affiliate_folder_t swap;

    survey.job.busy = 0;
    if (!ngx_http_affiliate_wire.running) {
        return;
    }
    if (survey.error != 0) {
        if (!survey.complained) {
            survey.complained = 1;
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, -survey.error, "affiliate: \"%V\" cannot be read",
                          &ngx_http_affiliate_wire.conf->journal_dir);
        }
        return;
    }
    survey.complained = 0;
    swap = survey.known;
    survey.known = survey.seen;
    survey.seen = swap;
    ngx_http_affiliate_adopt_count();

    /* From a random one on, so that a few that are stuck do not stand before the others for ever. */
    survey.crowded = 0;
    first = survey.known.n > 0 ? (size_t) ngx_random() % survey.known.n : 0;
    for (i = 0; i < survey.known.n; i++) {
        ngx_http_affiliate_adopt_consider(&survey.known.elts[(first + i) % survey.known.n]);
    }
}

static ngx_uint_t
ngx_http_affiliate_adopt_is_held(const struct tracker_journal_id *id)
{
    ngx_queue_t               *q;
    ngx_http_affiliate_held_t *held;

    for (q = ngx_queue_head(&ngx_http_affiliate_wire.held);
         q != ngx_queue_sentinel(&ngx_http_affiliate_wire.held);
         q = ngx_queue_next(q))
    {
        held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue);
        if (ngx_memcmp(held->identity->id.bytes, id->bytes, sizeof(id->bytes)) == 0) {
            return 1;
        }
    }
    return 0;
}

static void
ngx_http_affiliate_adopt_consider(ngx_http_affiliate_found_t *found)
{
    uint64_t life, now_ms = ngx_http_affiliate_wall_ms();

    if (found->forked || found->gone || ngx_http_affiliate_adopt_is_held(&found->id)) {
        return;
    }
    if (!found->whole) {
        if (found->modified_ms + NGX_HTTP_AFFILIATE_HALF_MADE < now_ms) {
            ngx_http_affiliate_adopt_set_aside(found);
        }
        return;
    }
    ngx_http_affiliate_ship_listen(found->partition);

    if (found->sidecar.incarnation != 0) {
        life = ngx_http_affiliate_ship_incarnation(found->partition);
        if (life == 0) {
            return; /* who knows what the database has now */
        }
        if (life == found->sidecar.incarnation) {
            if (found->sidecar.drained_ms + (uint64_t) ngx_http_affiliate_wire.conf->journal.retain * 1000 < now_ms) {
                (void) ngx_http_affiliate_adopt_delete(found);
            }
            return;
        }
    }
    if (ngx_exiting) {
        return;
    }
    if (ngx_http_affiliate_wire.orphans >= NGX_HTTP_AFFILIATE_ORPHANS_MAX) {
        survey.crowded = 1;
        return;
    }
    ngx_http_affiliate_adopt_take(found);
}

/* True when the lock was ours to take and the journal is gone. */
static ngx_uint_t
ngx_http_affiliate_adopt_delete(ngx_http_affiliate_found_t *found)
{
    char                    name[NGX_HTTP_AFFILIATE_NAME_MAX];
    uint64_t                bytes;
    struct tracker_journal *journal;

    if (tracker_journal_adopt(&journal, ngx_http_affiliate_wire.journal_dir, &found->id) != 0) {
        return 0;
    }
    bytes = tracker_journal_delete(journal);
    ngx_http_affiliate_sidecar_name(name, &found->id, ".drained");
    unlinkat(ngx_http_affiliate_wire.journal_dir, name, 0);
    found->gone = 1;
    ngx_http_affiliate_journal_gave_back(found->kind, bytes);
    ngx_http_affiliate_count(JOURNALS_DELETED);
    return 1;
}

uint64_t
ngx_http_affiliate_adopt_free(enum tracker_journal_kind kind, uint64_t need)
{
    size_t                      i;
    uint64_t                    freed = 0;
    ngx_http_affiliate_found_t *found, *oldest;

    while (freed < need) {
        oldest = NULL;
        for (i = 0; i < survey.known.n; i++) {
            found = &survey.known.elts[i];
            if (found->kind == kind && found->sidecar.incarnation != 0 && !found->gone && !found->forked
                && (oldest == NULL || found->modified_ms < oldest->modified_ms)
                && !ngx_http_affiliate_adopt_is_held(&found->id))
            {
                oldest = found;
            }
        }
        if (oldest == NULL) {
            break;
        }
        if (ngx_http_affiliate_adopt_delete(oldest)) {
            freed += oldest->bytes;
        }
        oldest->gone = 1; /* or somebody holds it: not again before the next look */
    }
    return freed;
}

static void
ngx_http_affiliate_adopt_take(ngx_http_affiliate_found_t *found)
{
    int                           rc;
    ngx_http_affiliate_held_t    *held;
    struct tracker_journal       *journal;
    ngx_http_affiliate_sidecar_t  sidecar;

    rc = tracker_journal_adopt(&journal, ngx_http_affiliate_wire.journal_dir, &found->id);
    if (rc == -EINVAL) {
        ngx_http_affiliate_adopt_set_aside(found);
        return;
    }
    if (rc != 0) {
        if (rc != -EWOULDBLOCK && rc != -ENOENT && !survey.complained) {
            survey.complained = 1;
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, -rc,
                          "affiliate: a journal in \"%V\" cannot be taken over; after a change of \"user\" "
                          "the files in it must be given to the new one",
                          &ngx_http_affiliate_wire.conf->journal_dir);
        }
        return;
    }
    /* Another worker may have drained it since the look. */
    ngx_http_affiliate_sidecar_read(ngx_http_affiliate_wire.journal_dir, &found->id, &sidecar);
    held = NULL;
    if (sidecar.incarnation == 0
        || sidecar.incarnation != ngx_http_affiliate_ship_incarnation(found->partition))
    {
        held = ngx_calloc(sizeof(*held), ngx_cycle->log);
    }
    if (held == NULL) {
        tracker_journal_close(journal);
        return;
    }
    held->journal = journal;
    held->identity = tracker_journal_identity(journal);
    held->moved_at = ngx_current_msec;
    if (!ngx_http_affiliate_ship_hold(held)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0, "affiliate: an orphaned journal cannot be shipped");
        tracker_journal_close(journal);
        ngx_free(held);
        return;
    }
    ngx_http_affiliate_wire.orphans++;
    if (sidecar.incarnation != 0) {
        held->drained_ms = sidecar.drained_ms;
        tracker_sender_end_found(&held->sender, sidecar.end);
    } else {
        ngx_http_affiliate_count(JOURNALS_ADOPTED);
    }
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "affiliate: journal %*s %s", (size_t) TRACKER_JOURNAL_HEX_LEN,
                  held->hex, sidecar.incarnation != 0 ? "is offered to the database's new life" : "was adopted");
}

/* ---- an orphan's end ---- */

void
ngx_http_affiliate_adopt_check(ngx_http_affiliate_held_t *held)
{
    struct tracker_sender *sender = &held->sender;

    if (sender->acked != held->moved_to) {
        held->moved_to = sender->acked;
        held->moved_at = ngx_current_msec;
    }
    if (tracker_journal_failed(held->journal)) {
        ngx_http_affiliate_adopt_release(held); /* it could not be read just now; later, perhaps */
        return;
    }
    if (!sender->connected || sender->life == 0 || sender->life != sender->incarnation
        || !tracker_sender_idle(sender))
    {
        if (survey.crowded && sender->connected && ngx_current_msec - held->moved_at > NGX_HTTP_AFFILIATE_STUCK) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "affiliate: journal %*s does not move: others first",
                          (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex);
            ngx_http_affiliate_adopt_release(held);
        }
        return;
    }
    if (held->closed) {
        ngx_http_affiliate_adopt_drained(held);
    } else if (!held->closing && ngx_http_affiliate_ship_close(held) == NGX_OK) {
        held->closing = 1;
    }
}

static void
ngx_http_affiliate_adopt_drained(ngx_http_affiliate_held_t *held)
{
    uint64_t                     bytes;
    struct tracker_journal_id    id = held->identity->id;
    enum tracker_journal_kind    kind = held->identity->kind;
    ngx_http_affiliate_sidecar_t sidecar;

    /* A worker that never recorded anything leaves nothing worth keeping. */
    if (held->sender.acked == 1 && tracker_journal_dropped(held->journal) == 0) {
        ngx_http_affiliate_ship_release(held);
        bytes = tracker_journal_delete(held->journal);
        ngx_http_affiliate_journal_gave_back(kind, bytes);
        ngx_http_affiliate_count(JOURNALS_DELETED);
        ngx_http_affiliate_wire.orphans--;
        ngx_free(held);
        return;
    }
    sidecar.incarnation = held->sender.incarnation;
    sidecar.end = held->sender.end;
    sidecar.drained_ms = held->drained_ms != 0 ? held->drained_ms : ngx_http_affiliate_wall_ms();
    if (ngx_http_affiliate_sidecar_write(&id, &sidecar) != NGX_OK) {
        return; /* at the next tick, perhaps */
    }
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "affiliate: journal %*s is drained, %uL records",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, held->hex, sidecar.end - 1);
    ngx_http_affiliate_adopt_release(held);
}

static void
ngx_http_affiliate_adopt_release(ngx_http_affiliate_held_t *held)
{
    ngx_http_affiliate_ship_release(held);
    tracker_journal_close(held->journal);
    ngx_http_affiliate_wire.orphans--;
    ngx_free(held);
}

void
ngx_http_affiliate_adopt_forked(ngx_http_affiliate_held_t *held)
{
    int  fd;
    char name[NGX_HTTP_AFFILIATE_NAME_MAX];

    ngx_http_affiliate_sidecar_name(name, &held->identity->id, ".forked");
    fd = openat(ngx_http_affiliate_wire.journal_dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd != -1) {
        close(fd);
    }
    if (held->writer != NULL) {
        if (held == ngx_http_affiliate_wire.own[held->identity->kind]) {
            ngx_http_affiliate_journal_rotate(held);
        }
        return;
    }
    ngx_http_affiliate_adopt_release(held);
}

typedef struct {
    const struct tracker_journal_id *id;
    ngx_uint_t                       files;
} ngx_http_affiliate_aside_t;

static bool
ngx_http_affiliate_aside_file(void *ctx, const struct tracker_journal_file *file)
{
    int                         dir = ngx_http_affiliate_wire.journal_dir;
    char                        name[TRACKER_JOURNAL_HEX_LEN + sizeof(".4294967295.bad")], bad[sizeof(name)];
    ngx_http_affiliate_aside_t *aside = ctx;

    if (memcmp(file->id.bytes, aside->id->bytes, sizeof(file->id.bytes)) == 0) {
        tracker_journal_id_format(&file->id, name);
        tracker_journal_id_format(&file->id, bad);
        snprintf(name + TRACKER_JOURNAL_HEX_LEN, sizeof(name) - TRACKER_JOURNAL_HEX_LEN, ".%u", file->number);
        snprintf(bad + TRACKER_JOURNAL_HEX_LEN, sizeof(bad) - TRACKER_JOURNAL_HEX_LEN, ".%u.bad", file->number);
        if (renameat(dir, name, dir, bad) == 0) {
            aside->files++;
        }
    }
    return false;
}

/* What bears a journal's name and is none is never deleted by us: an operator may still read it. */
static void
ngx_http_affiliate_adopt_set_aside(ngx_http_affiliate_found_t *found)
{
    char                       hex[TRACKER_JOURNAL_HEX_LEN];
    ngx_http_affiliate_aside_t aside = { &found->id, 0 };

    (void) tracker_journal_scan(ngx_http_affiliate_wire.journal_dir, ngx_http_affiliate_aside_file, &aside);
    found->gone = 1;
    if (aside.files == 0) {
        return;
    }
    tracker_journal_id_format(&found->id, hex);
    ngx_http_affiliate_count_n(JOURNALS_QUARANTINED, aside.files);
    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "affiliate: \"%*s\" in \"%V\" is not a journal: its %ui files were renamed to .bad",
                  (size_t) TRACKER_JOURNAL_HEX_LEN, hex, &ngx_http_affiliate_wire.conf->journal_dir, aside.files);
}

void
ngx_http_affiliate_adopt_start(void)
{
    ngx_memzero(&survey, sizeof(survey));
    survey.counting_lock = -1;
}

void
ngx_http_affiliate_adopt_stop(void)
{
    ngx_queue_t               *q, *next;
    ngx_http_affiliate_held_t *held;

    for (q = ngx_queue_head(&ngx_http_affiliate_wire.held);
         q != ngx_queue_sentinel(&ngx_http_affiliate_wire.held);
         q = next)
    {
        next = ngx_queue_next(q);
        held = ngx_queue_data(q, ngx_http_affiliate_held_t, queue);
        if (held->writer == NULL) {
            ngx_http_affiliate_adopt_release(held);
        }
    }
    if (survey.counting_lock != -1) {
        close(survey.counting_lock);
        survey.counting_lock = -1;
    }
    free(survey.seen.elts);
    free(survey.known.elts);
    ngx_memzero(&survey, sizeof(survey));
    survey.counting_lock = -1;
}
