/*
 * fail_sync.c - preloaded into nginx by t/wire.t: a disk that cannot sync.
 *
 * fdatasync() fails with EIO as long as the file named by FAIL_SYNC_IF exists.  The
 * name is taken when the program starts, since nginx clears its environment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd);

static char *broken;

__attribute__((constructor)) static void
remember(void)
{
    const char *name = getenv("FAIL_SYNC_IF");

    broken = name != NULL ? strdup(name) : NULL;
}

int
fdatasync(int fd)
{
    if (broken != NULL && access(broken, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int) syscall(SYS_fdatasync, fd);
}
