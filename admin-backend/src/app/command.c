/*
 * command.c - the table of subcommands, and what they share.
 */
#include "app/command.h"

#include <stdarg.h>
#include <string.h>

#include "service/view.h"

#define NEEDS_SERVICE                                                                                        \
    (CONFIG_NEEDS_DATABASE | CONFIG_NEEDS_KEYS | CONFIG_NEEDS_STATE | CONFIG_NEEDS_BASE_URL)

const struct command commands[] = {
    { "all", "", "everything in one process; what runs when no command is given", COMMAND_DAEMON,
      NEEDS_SERVICE | CONFIG_NEEDS_REDIS | CONFIG_NEEDS_LISTEN, command_all },
    { "serve", "", "the HTTP API, and snapshots for the edges", COMMAND_DAEMON,
      NEEDS_SERVICE | CONFIG_NEEDS_REDIS | CONFIG_NEEDS_LISTEN, command_serve },
    { "ingest", "", "events from the edges into the database", COMMAND_DAEMON,
      NEEDS_SERVICE | CONFIG_NEEDS_REDIS, command_ingest },
    { "work", "", "money from events", COMMAND_DAEMON, NEEDS_SERVICE, command_work },
    { "migrate", "", "bring the database to this program's schema", COMMAND_WRITES, NEEDS_SERVICE,
      command_migrate },
    { "verify", "[--json]", "check every invariant of the books; exit code 1 when one does not hold",
      COMMAND_READS, CONFIG_NEEDS_DATABASE | CONFIG_NEEDS_KEYS, command_verify },
    { "stats", "[--json]", "what each edge journal has offered and what became of it", COMMAND_READS,
      CONFIG_NEEDS_DATABASE, command_stats },
    { "export", "clicks [--format csv] [--from TIME] [--to TIME]", "rows to standard output", COMMAND_READS,
      CONFIG_NEEDS_DATABASE, command_export },
    { "agents", "[--list FILE]", "what User-Agents on standard input are judged to be, one a line", COMMAND_PLAIN, 0,
      command_agents },
    { "rescore", "[--from TIME] [--to TIME] [--rate N] [--dry-run]", "judge clicks again by today's lists",
      COMMAND_WRITES, NEEDS_SERVICE, command_rescore },
    { "snapshot", "--out FILE", "the file an edge reads, for an edge without a backend", COMMAND_READS,
      CONFIG_NEEDS_DATABASE | CONFIG_NEEDS_KEYS, command_snapshot },
    { "drain", "DIR", "ship what an edge's state folder still holds, before it is removed", COMMAND_PLAIN,
      CONFIG_NEEDS_REDIS | CONFIG_NEEDS_KEYS, command_drain },
    { "routes", "[--json]", "every address of the HTTP API, and which roles may use it", COMMAND_PLAIN, 0,
      command_routes },
    { "keygen", "[FILE] [--add | --current ID | --retire ID]", "make or rotate the key ring", COMMAND_PLAIN,
      0, command_keygen },
    { "user", "create EMAIL --role ROLE [--name NAME] [--password-stdin]", "add a member of staff",
      COMMAND_WRITES, NEEDS_SERVICE, command_user },
    { "token", "create --user EMAIL --name NAME", "a bearer token for scripts, shown once", COMMAND_WRITES,
      NEEDS_SERVICE, command_token },
    { "api-user",
      "create --name NAME --role affiliate|advertiser [--scopes A,B] [--affiliate ID] [--source ID] [--trader ID]"
      " [--account cpl|cpa] [--expires TIME] [--rate N] [--networks A,B] [--autologin] [--test] [--json]",
      "who may send leads or conversions; prints the key, shown once", COMMAND_WRITES, NEEDS_SERVICE, command_api_user },
    { "demo", "[--out FILE]", "fill in a small, believable program and tell its passwords", COMMAND_WRITES,
      NEEDS_SERVICE, command_demo },
    { NULL, NULL, NULL, COMMAND_PLAIN, 0, NULL },
};

const struct command *
command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

int
command_failed(struct command_io *io, const char *name, const char *format, ...)
{
    va_list args;

    fprintf(io->err, "affiliated: %s: ", name);
    va_start(args, format);
    vfprintf(io->err, format, args);
    va_end(args);
    fputc('\n', io->err);
    return COMMAND_FAILED;
}

int
command_usage(struct command_io *io, const char *name)
{
    const struct command *command = command_find(name);

    fprintf(io->err, "usage: affiliated -c FILE %s %s\n", name, command != NULL ? command->usage : "");
    return COMMAND_USAGE;
}

int
command_refused(struct command_io *io, const char *name, struct service_error *error)
{
    const char *field;
    json_t     *complaint;

    command_failed(io, name, "%s", error->message);
    json_object_foreach(error->fields, field, complaint)
        fprintf(io->err, "  %s %s\n", field, json_string_value(complaint));
    service_error_clear(error);
    return COMMAND_FAILED;
}

const char *
command_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    }
    return NULL;
}

bool
command_time(int argc, char **argv, const char *name, int64_t otherwise, int64_t *us)
{
    const char *text = command_option(argc, argv, name);

    *us = otherwise;
    return text == NULL || view_parse_time_us(text, us);
}

bool
command_flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return false;
}
