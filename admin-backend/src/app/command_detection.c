/*
 * command_detection.c - agents and rescore: by which lists clicks are judged, and judging them again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "service/rescore.h"
#include "tracker_agent.h"
#include "tracker_event.h"

static const struct actor cli = { .name = "cli", .role = "admin" };

/* ---- agents ---- */

static void
print_name(FILE *out, struct tracker_str name)
{
    fprintf(out, "%.*s\t", (int) name.len, name.data == NULL ? "" : name.data);
}

/* kind, device, system and browser before each line of standard input. */
static void
agents_judge(const struct detection *detection, FILE *out)
{
    static const char *const kinds[] = { "person", "bot", "preview" };
    char   *line = NULL;
    size_t  cap = 0;
    ssize_t len;

    while ((len = getline(&line, &cap, stdin)) > 0) {
        struct tracker_agent agent;
        size_t               text = (size_t) len - (line[len - 1] == '\n');

        tracker_agents_classify(detection->agents.bytes, detection->agents.len,
                                (struct tracker_str){ line, text < TRACKER_FIELD_MAX ? text : TRACKER_FIELD_MAX }, &agent);
        fprintf(out, "%s\t", kinds[agent.kind]);
        print_name(out, tracker_device_name(agent.device));
        print_name(out, tracker_os_name(agent.os));
        print_name(out, tracker_browser_name(agent.browser));
        fwrite(line, 1, text, out);
        putc('\n', out);
    }
    free(line);
}

/* agents [--list FILE]: without it the list in force, by the configuration. */
int
command_agents(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char      *path = command_option(argc, argv, "--list");
    struct detection detection;

    if (argc != (path != NULL ? 3 : 1))
        return command_usage(io, argv[0]);
    if (!detection_init(&detection, path != NULL ? path : app->config.agents, NULL))
        return command_failed(io, argv[0], "out of memory");
    bool refused = path != NULL && !detection.agents.replaced;
    if (!refused)
        agents_judge(&detection, io->out);
    detection_clear(&detection);
    return refused ? command_failed(io, argv[0], "%s is no list of user agents; the log says why", path) : COMMAND_OK;
}

/* ---- rescore ---- */

static void
rescore_print(const struct rescore_report *report, bool dry_run, FILE *out)
{
    fprintf(out, "%llu clicks judged, %llu %s: %llu count no more, %llu count again\n",
            (unsigned long long) report->judged, (unsigned long long) report->changed,
            dry_run ? "would change" : "changed", (unsigned long long) report->out, (unsigned long long) report->in);
    for (int i = 0; i < RESCORE_REASONS; i++) {
        if (report->added[i] > 0)
            fprintf(out, "%12llu +%s\n", (unsigned long long) report->added[i], rescore_reason(i));
        if (report->taken[i] > 0)
            fprintf(out, "%12llu -%s\n", (unsigned long long) report->taken[i], rescore_reason(i));
    }
}

/* "--rate N", or 0. */
static bool
rate_option(int argc, char **argv, int *rate)
{
    const char *text = command_option(argc, argv, "--rate");
    char       *end;

    *rate = 0;
    if (text == NULL)
        return true;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < 1 || number > 1000000)
        return false;
    *rate = (int) number;
    return true;
}

/* Every word is an option or an option's value. */
static bool
options_known(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") == 0)
            continue;
        if (strcmp(argv[i], "--from") != 0 && strcmp(argv[i], "--to") != 0 && strcmp(argv[i], "--rate") != 0)
            return false;
        if (++i == argc)
            return false;
    }
    return true;
}

/* rescore [--from TIME] [--to TIME] [--rate N] [--dry-run] */
int
command_rescore(struct app *app, struct command_io *io, int argc, char **argv)
{
    struct detection       detection;
    struct rescore_report  report;
    struct rescore_request request = { .detection = &detection, .stop = &app->stopping,
                                       .dry_run = command_flag(argc, argv, "--dry-run") };
    int64_t from_us, to_us;

    if (!options_known(argc, argv) || !command_time(argc, argv, "--from", 0, &from_us)
        || !command_time(argc, argv, "--to", (int64_t) app->service.now_us(), &to_us)
        || !rate_option(argc, argv, &request.rate))
        return command_usage(io, argv[0]);
    if (!detection_init(&detection, app->config.agents, app->config.datacentres))
        return command_failed(io, argv[0], "out of memory");
    request.from_ms = from_us / 1000;
    request.to_ms = to_us / 1000;
    enum db_result result = rescore_run(&app->service, &cli, &request, &report);
    detection_clear(&detection);

    rescore_print(&report, request.dry_run, io->out);
    if (result != DB_OK)
        return command_failed(io, argv[0], "%s; what was done stays: run it again", db_last_message());
    if (report.stopped)
        return command_failed(io, argv[0], "the daemon ends; what was done stays: run it again");
    return COMMAND_OK;
}
