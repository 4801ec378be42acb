/*
 * fail_sync.c - preloaded into nginx by t/wire.t and t/abort.t: a disk that cannot sync, or takes its time.
 *
 * fdatasync() fails with EIO as long as the file named by FAIL_SYNC_IF exists, and takes 200 ms as long as
 * that of SLOW_SYNC_IF does.  The names are taken when the program starts, since nginx clears its environment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd);

static char *broken, *slow;

static char *
name_of(const char *variable)
{
    const char *name = getenv(variable);

    return name != NULL ? strdup(name) : NULL;
}

__attribute__((constructor)) static void
remember(void)
{
    broken = name_of("FAIL_SYNC_IF");
    slow = name_of("SLOW_SYNC_IF");
}

int
fdatasync(int fd)
{
    if (broken != NULL && access(broken, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    if (slow != NULL && access(slow, F_OK) == 0)
        usleep(200000);
    return (int) syscall(SYS_fdatasync, fd);
}
