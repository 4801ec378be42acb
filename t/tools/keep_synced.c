/*
 * keep_synced.c - preloaded by t/faults/leads.t: what a power loss would leave of journals.
 *
 * Before each fdatasync() of a file below a folder "journal" its content is copied, and the copy becomes
 * $KEEP_SYNCED/<name> when the sync has succeeded: no byte of it can be lost any more, and of what was written since
 * none needs to be there.  The disk takes 30 ms more than it does, so that an answer which does not wait for it is seen.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_LEN 4096

int fdatasync(int fd);

static char *keep;

__attribute__((constructor)) static void
remember(void)
{
    const char *folder = getenv("KEEP_SYNCED");

    keep = folder != NULL ? strdup(folder) : NULL; /* nginx clears its environment */
}

/* The file's name, when it is a journal's. */
static const char *
journal_name(int fd, char path[NAME_MAX_LEN])
{
    char    link[64], *name;
    ssize_t len;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, NAME_MAX_LEN - 1);
    if (len <= 0)
        return NULL;
    path[len] = '\0';
    name = strstr(path, "/journal/");
    return name != NULL ? name + strlen("/journal/") : NULL;
}

static int
copy(int fd, const char *to)
{
    int         out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t       at = 0;
    struct stat st;

    if (out < 0 || fstat(fd, &st) < 0)
        abort(); /* a test that keeps nothing would pass */
    while (at < st.st_size) {
        if (sendfile(out, fd, &at, (size_t) (st.st_size - at)) <= 0)
            abort();
    }
    return close(out);
}

int
fdatasync(int fd)
{
    char        path[NAME_MAX_LEN], copied[2 * NAME_MAX_LEN], kept[2 * NAME_MAX_LEN];
    const char *name = keep != NULL ? journal_name(fd, path) : NULL;
    int         rc;

    if (name == NULL)
        return (int) syscall(SYS_fdatasync, fd);

    snprintf(kept, sizeof(kept), "%s/%s", keep, name);
    snprintf(copied, sizeof(copied), "%s/%s.%ld", keep, name, (long) syscall(SYS_gettid));
    copy(fd, copied);
    usleep(30000);
    rc = (int) syscall(SYS_fdatasync, fd);
    if (rc == 0)
        rename(copied, kept);
    return rc;
}
