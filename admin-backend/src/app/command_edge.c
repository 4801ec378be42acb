/*
 * command_edge.c - keygen and drain: what concerns an edge's folder and the keys it shares with us.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "ingest/drain.h"

#define DRAIN_PATIENCE_MS 60000

int
command_drain(struct app *app, struct command_io *io, int argc, char **argv)
{
    struct drain_report report;
    char                error[APP_ERROR_MAX];

    if (argc != 2)
        return command_usage(io, argv[0]);
    bool ok =
        drain_folder(argv[1], &app->keys, app_redis(app), DRAIN_PATIENCE_MS, &report, error, sizeof(error));
    fprintf(io->out, "%u journals are in the database to their ends: %llu events, %llu lost in gaps\n",
            report.journals, (unsigned long long) report.records, (unsigned long long) report.lost);
    if (!ok)
        return command_failed(io, argv[0], "%s", error);
    if (report.skipped > 0)
        return command_failed(io, argv[0],
                              "%u journals are broken or written by two machines: keep the folder",
                              report.skipped);
    return COMMAND_OK;
}

/* ---- keygen ---- */

/* The file as lines "<id> <current|accepted> <hex>", changed and written back. */
struct ring {
    bool present[TRACKER_KEYS_MAX];
    char hex[TRACKER_KEYS_MAX][2 * TRACKER_KEY_LEN + 1];
    int  current; /* -1: none */
};

static bool
ring_read(struct ring *ring, const char *path, char *error)
{
    char                text[TRACKER_KEYS_FILE_MAX + 1];
    struct tracker_keys keys;
    const char         *why;
    int                 line;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (fd >= 0)
        close(fd);
    if (len < 0) {
        snprintf(error, APP_ERROR_MAX, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    int result = (size_t) len > TRACKER_KEYS_FILE_MAX
                     ? -1
                     : tracker_keys_parse(&keys, (struct tracker_str){ text, (size_t) len }, &why, &line);
    explicit_bzero(text, sizeof(text));
    if (result != 0) {
        snprintf(error, APP_ERROR_MAX, "%s is no key file", path);
        return false;
    }

    memset(ring, 0, sizeof(*ring));
    for (int id = 0; id < TRACKER_KEYS_MAX; id++) {
        ring->present[id] = tracker_keys_has(&keys, (unsigned) id);
        for (int i = 0; i < TRACKER_KEY_LEN && ring->present[id]; i++)
            snprintf(ring->hex[id] + 2 * i, 3, "%02x", keys.master[id][i]);
    }
    ring->current = keys.current;
    tracker_keys_clear(&keys);
    return true;
}

static bool
ring_add(struct ring *ring, bool current, char *error)
{
    char line[96];

    for (int id = 0; id < TRACKER_KEYS_MAX; id++) {
        if (ring->present[id])
            continue;
        size_t len = tracker_keys_generate(line, (unsigned) id, current);
        while (len > 0 && isspace((unsigned char) line[len - 1]))
            len--;
        memcpy(ring->hex[id], line + len - 2 * TRACKER_KEY_LEN, 2 * TRACKER_KEY_LEN);
        ring->hex[id][2 * TRACKER_KEY_LEN] = '\0';
        explicit_bzero(line, sizeof(line));
        ring->present[id] = true;
        if (current)
            ring->current = id;
        return true;
    }
    snprintf(error, APP_ERROR_MAX, "the ring holds %d keys already: retire one", TRACKER_KEYS_MAX);
    return false;
}

/*
 * Into a new file, then renamed over the old one, whose owner and group it keeps: nginx's group reads it.
 * A first one never replaces what is there: without its keys no journal and no cookie could be read again.
 */
static bool
ring_write(const struct ring *ring, const char *path, bool replaces, char *error)
{
    char        temporary[4096];
    struct stat old;

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int) sizeof(temporary)) {
        snprintf(error, APP_ERROR_MAX, "the path is too long");
        return false;
    }
    unlink(temporary);
    int   fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool  ok = out != NULL;

    if (ok && replaces && stat(path, &old) == 0)
        ok = fchown(fd, old.st_uid, old.st_gid) == 0 || errno == EPERM;
    if (ok) {
        fputs("# Keys of the edges and of affiliated; see \"affiliated keygen\".\n"
              "# Whoever reads this can forge clicks.\n",
              out);
        for (int id = 0; id < TRACKER_KEYS_MAX; id++) {
            if (ring->present[id])
                fprintf(out, "%d %s %s\n", id, id == ring->current ? "current" : "accepted", ring->hex[id]);
        }
        ok = fflush(out) == 0 && fchmod(fd, 0640) == 0 && fsync(fd) == 0;
    }
    if (ok)
        ok = replaces ? rename(temporary, path) == 0 : link(temporary, path) == 0;
    if (!ok)
        snprintf(error, APP_ERROR_MAX, "cannot write %s: %s", path, strerror(errno));
    if (out != NULL)
        fclose(out);
    else if (fd >= 0)
        close(fd);
    unlink(temporary);
    return ok;
}

static int
key_id(const struct ring *ring, const char *text)
{
    char *end;
    long  id = strtol(text, &end, 10);

    bool known = isdigit((unsigned char) text[0]) && *end == '\0' && id < TRACKER_KEYS_MAX;
    return known && ring->present[id] ? (int) id : -1;
}

/* keygen [FILE] [--add | --current ID | --retire ID] */
int
command_keygen(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char *current = command_option(argc, argv, "--current");
    const char *retire = command_option(argc, argv, "--retire");
    bool        add = command_flag(argc, argv, "--add"), changes = add || current != NULL || retire != NULL;
    const char *path = argc > 1 && argv[1][0] != '-' ? argv[1] : app->config.key_file;
    int         expected = 1 + (argc > 1 && argv[1][0] != '-') + (add ? 1 : changes ? 2 : 0);
    struct ring ring = { .current = -1 };
    char        error[APP_ERROR_MAX];
    int         id = -1;

    if (path == NULL || argc != expected)
        return command_usage(io, argv[0]);
    if (changes && !ring_read(&ring, path, error))
        return command_failed(io, argv[0], "%s", error);
    if (current != NULL || retire != NULL) {
        id = key_id(&ring, current != NULL ? current : retire);
        if (id < 0 || (retire != NULL && id == ring.current))
            return command_failed(io, argv[0], id < 0 ? "the ring has no such key" : "the current key stays");
    }

    bool ok = true;
    if (current != NULL)
        ring.current = id;
    else if (retire != NULL)
        ring.present[id] = false;
    else
        ok = ring_add(&ring, !add, error);
    ok = ok && ring_write(&ring, path, changes, error);
    explicit_bzero(&ring.hex, sizeof(ring.hex));
    if (!ok)
        return command_failed(io, argv[0], "%s", error);
    fprintf(io->out, "%s\n", path);
    return COMMAND_OK;
}
