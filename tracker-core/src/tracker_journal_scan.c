/*
 * tracker_journal_scan.c - a folder of journals.  Whatever else lies in it is
 * not looked at.
 */
#include "tracker_journal_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its own file description: a scan within a scan must not move the outer one. */
static DIR *
open_folder(int dir_fd)
{
    int  fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir;

    if (fd < 0)
        return NULL;
    dir = fdopendir(fd);
    if (dir == NULL)
        close(fd);
    return dir;
}

int
tracker_journal_scan(int dir_fd, bool (*visit)(void *ctx, const struct tracker_journal_file *file), void *ctx)
{
    struct tracker_journal_file file;
    struct dirent              *entry;
    struct stat                 st;
    DIR                        *dir = open_folder(dir_fd);
    int                         error;

    if (dir == NULL)
        return -errno;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (!tracker_segment_name_parse(entry->d_name, &file.id, &file.number) ||
            fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        file.size = (uint64_t) st.st_size;
        file.modified_ms = (uint64_t) st.st_mtim.tv_sec * 1000 + (uint64_t) st.st_mtim.tv_nsec / 1000000;
        errno = 0;
        if (visit(ctx, &file))
            break;
    }
    error = entry == NULL ? -errno : 0;
    closedir(dir);
    return error;
}

bool
tracker_journal_grow(struct tracker_journal *journal)
{
    struct tracker_segment *grown;
    size_t                  cap = journal->cap == 0 ? 8 : journal->cap * 2;

    if (journal->count < journal->cap)
        return true;
    grown = reallocarray(journal->segments, cap, sizeof(*grown));
    if (grown == NULL)
        return false;
    journal->segments = grown;
    journal->cap = cap;
    return true;
}

struct listing {
    struct tracker_journal *journal;
    int                     error;
};

static bool
list_one(void *ctx, const struct tracker_journal_file *file)
{
    struct listing         *listing = ctx;
    struct tracker_journal *j = listing->journal;

    if (memcmp(&file->id, &j->identity.id, sizeof(file->id)) != 0)
        return false;
    if (!tracker_journal_grow(j)) {
        listing->error = -ENOMEM;
        return true;
    }
    j->segments[j->count++] = (struct tracker_segment){ .number = file->number,
                                                        .fd = -1,
                                                        .size = file->size,
                                                        .modified_ms = file->modified_ms };
    return false;
}

static int
by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct tracker_segment *) a)->number;
    uint32_t y = ((const struct tracker_segment *) b)->number;

    return (x > y) - (x < y);
}

int
tracker_journal_list(struct tracker_journal *journal)
{
    struct listing listing = { .journal = journal };
    int            error = tracker_journal_scan(journal->dir_fd, list_one, &listing);

    if (error == 0)
        error = listing.error;
    if (error == 0 && journal->count > 0)
        qsort(journal->segments, journal->count, sizeof(journal->segments[0]), by_number);
    return error;
}

/* "<id>.0.new" */
static bool
is_unnamed(const char *name)
{
    struct tracker_journal_id id;
    size_t                    len = strlen(name);

    return len == TRACKER_JOURNAL_HEX_LEN + 6 && strcmp(name + TRACKER_JOURNAL_HEX_LEN, ".0.new") == 0 &&
           tracker_journal_id_parse(&id, (struct tracker_str){ name, TRACKER_JOURNAL_HEX_LEN });
}

/* A creator locks its file right after it made it.  Whom we catch between the two tries again. */
void
tracker_journal_remove_abandoned(int dir_fd)
{
    struct dirent *entry;
    DIR           *dir = open_folder(dir_fd);
    int            fd;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (!is_unnamed(entry->d_name))
            continue;
        fd = openat(dir_fd, entry->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dir_fd, entry->d_name, 0);
        close(fd);
    }
    closedir(dir);
}
