/*
 * command_read.c - stats, export, verify, routes, snapshot: what reads beside whoever writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "http/server.h"
#include "service/export.h"
#include "service/money.h"
#include "service/snapshot.h"
#include "service/view.h"

/* ---- stats ---- */

int
command_stats(struct app *app, struct command_io *io, int argc, char **argv)
{
    bool json = command_flag(argc, argv, "--json");
    json_t *stats;

    if (argc > 1 + (json ? 1 : 0))
        return command_usage(io, argv[0]);
    if (stats_get(&app->service, &stats) != DB_OK)
        return command_failed(io, argv[0], "cannot read the database: %s", db_last_message());

    if (json) {
        json_dumpf(stats, io->out, JSON_INDENT(2));
        fputc('\n', io->out);
    } else {
        size_t  i;
        json_t *journal;
        fprintf(io->out, "%-32s  %-16s %12s %12s %10s %12s %10s %10s\n", "journal", "edge", "accepted",
                "committed", "pending", "quarantined", "dropped", "lost");
        json_array_foreach(json_object_get(stats, "journals"), i, journal) {
            const char *id, *edge;
            json_int_t  accepted, committed, pending, quarantined, dropped, lost;
            if (json_unpack(journal, "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "id", &id, "edge", &edge,
                            "accepted", &accepted, "committed", &committed, "pending", &pending,
                            "quarantined", &quarantined, "dropped", &dropped, "lost", &lost)
                == 0)
                fprintf(io->out, "%-32s  %-16s %12lld %12lld %10lld %12lld %10lld %10lld\n", id, edge,
                        (long long) accepted, (long long) committed, (long long) pending,
                        (long long) quarantined, (long long) dropped, (long long) lost);
        }
        const char *outcome;
        json_t     *count;
        fputs("leads:", io->out);
        json_object_foreach(json_object_get(stats, "leads"), outcome, count)
            fprintf(io->out, " %lld %s", (long long) json_integer_value(count), outcome);
        fputc('\n', io->out);
    }
    json_decref(stats);
    return COMMAND_OK;
}

/* ---- export ---- */

/* export clicks [--format csv] [--from TIME] [--to TIME]: [from, to) by the edge's time. */
int
command_export(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char *format = command_option(argc, argv, "--format");
    int64_t     from_us, to_us;

    if (argc < 2 || strcmp(argv[1], "clicks") != 0 || (format != NULL && strcmp(format, "csv") != 0)
        || !command_time(argc, argv, "--from", 0, &from_us)
        || !command_time(argc, argv, "--to", INT64_MAX, &to_us))
        return command_usage(io, argv[0]);
    if (export_clicks(&app->service, from_us, to_us, io->out) != DB_OK)
        return command_failed(io, argv[0], "%s",
                              ferror(io->out) ? "cannot write to standard output" : db_last_message());
    return COMMAND_OK;
}

/* ---- verify ---- */

static void
verify_print(FILE *out, json_t *report)
{
    size_t  i, j;
    json_t *invariant, *violation;

    json_array_foreach(json_object_get(report, "invariants"), i, invariant) {
        bool ok = json_is_true(json_object_get(invariant, "ok"));
        fprintf(out, "%-4s %2lld %s\n", ok ? "ok" : "FAIL",
                (long long) json_integer_value(json_object_get(invariant, "number")),
                json_string_value(json_object_get(invariant, "name")));
        json_array_foreach(json_object_get(invariant, "violations"), j, violation) {
            char *text = json_is_string(violation) ? strdup(json_string_value(violation))
                                                   : json_dumps(violation, JSON_COMPACT | JSON_ENCODE_ANY);
            fprintf(out, "        %s\n", text != NULL ? text : "?");
            free(text);
        }
    }
}

int
command_verify(struct app *app, struct command_io *io, int argc, char **argv)
{
    bool                 json = command_flag(argc, argv, "--json");
    json_t              *report = NULL;
    struct service_error error = { .fields = NULL };

    if (argc > 1 + (json ? 1 : 0))
        return command_usage(io, argv[0]);
    if (money_verify(&app->service, &report, &error) != SERVICE_OK)
        return command_refused(io, argv[0], &error);

    bool ok = json_is_true(json_object_get(report, "ok"));
    if (json) {
        json_dumpf(report, io->out, JSON_INDENT(2));
        fputc('\n', io->out);
    } else {
        verify_print(io->out, report);
    }
    json_decref(report);
    return ok ? COMMAND_OK : COMMAND_FAILED;
}

/* ---- routes ---- */

int
command_routes(struct app *app, struct command_io *io, int argc, char **argv)
{
    bool    json = command_flag(argc, argv, "--json");
    json_t *routes, *route, *role;
    size_t  i, j;

    (void) app;
    if (argc > 1 + (json ? 1 : 0))
        return command_usage(io, argv[0]);
    routes = http_routes();
    if (json) {
        json_dumpf(routes, io->out, JSON_INDENT(2));
        fputc('\n', io->out);
    }
    json_array_foreach(routes, i, route) {
        if (json)
            break;
        fprintf(io->out, "%-6s %-50s", json_string_value(json_object_get(route, "method")),
                json_string_value(json_object_get(route, "path")));
        json_array_foreach(json_object_get(route, "roles"), j, role)
            fprintf(io->out, " %s", json_string_value(role));
        fputc('\n', io->out);
    }
    json_decref(routes);
    return COMMAND_OK;
}

/* ---- snapshot ---- */

static bool
write_whole(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t) n;
    }
    return fsync(fd) == 0;
}

/* Readable for the edge's group: what it holds is sealed against change, not against eyes. */
int
command_snapshot(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char      *path = command_option(argc, argv, "--out");
    struct snapshot  file;
    struct detection detection;
    char             temporary[4096];

    if (path == NULL || argc != 3)
        return command_usage(io, argv[0]);
    if (!detection_init(&detection, app->config.agents, app->config.datacentres))
        return command_failed(io, argv[0], "out of memory");
    bool made = snapshot_make(app->pool, &app->keys, app_now_us() / 1000, NULL, &detection, &file);
    detection_clear(&detection);
    if (!made)
        return command_failed(io, argv[0], "the snapshot cannot be made; the log says why");

    int length = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    int fd = length < (int) sizeof(temporary)
                 ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640)
                 : -1;
    bool ok = fd >= 0 && fchmod(fd, 0640) == 0 && write_whole(fd, file.bytes, file.len);
    int  why = errno;
    if (fd >= 0)
        close(fd);
    if (ok && rename(temporary, path) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok && fd >= 0)
        unlink(temporary);
    if (ok)
        fprintf(io->out, "version %llu, %u rows, %zu bytes\n", (unsigned long long) file.version, file.rows,
                file.len);
    snapshot_clear(&file);
    return ok ? COMMAND_OK : command_failed(io, argv[0], "cannot write %s: %s", path, strerror(why));
}
