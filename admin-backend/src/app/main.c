/*
 * main.c - affiliated [-c FILE] [--set key=value]... [COMMAND [ARGUMENTS]]
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "app/control.h"
#include "app/json_memory.h"

#define INPUT_MAX    4096 /* bytes of standard input that a command may ask for */
#define LOCK_TRIES   100  /* 100 ms apart: another command is at it */
#define SETTINGS_MAX 32

static int run(struct app *app, struct command_io *io, const struct command *command, int argc, char **argv);
static int run_writing(struct app *app, struct command_io *io, const struct command *command, int argc,
                       char **argv);
static bool read_input(struct command_io *io, int argc, char **argv, char buffer[INPUT_MAX]);
static bool absolute_output(int argc, char **argv, char buffer[PATH_MAX]);
static int usage(FILE *out, int code);

int
main(int argc, char **argv)
{
    struct app  app;
    char        error[APP_ERROR_MAX];
    const char *settings[SETTINGS_MAX];
    int         at = 1, set = 0;

    json_memory_wipes(NULL);
    app_init(&app);
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0)
            return usage(stdout, COMMAND_OK);
        if (at + 1 < argc && strcmp(argv[at], "-c") == 0)
            app.config_path = argv[++at];
        else if (at + 1 < argc && strcmp(argv[at], "--set") == 0 && set < SETTINGS_MAX)
            settings[set++] = argv[++at];
        else
            return usage(stderr, COMMAND_USAGE);
    }

    static char           *alone[] = { (char *) "all", NULL };
    char                 **command_argv = at < argc ? argv + at : alone;
    int                    command_argc = at < argc ? argc - at : 1;
    const struct command  *command = command_find(command_argv[0]);
    struct command_io      io = { .out = stdout, .err = stderr };
    if (command == NULL)
        return usage(stderr, COMMAND_USAGE);

    for (int i = 0; i < set; i++) {
        if (!config_set(&app.config, settings[i], error, sizeof(error)))
            return command_failed(&io, "configuration", "%s", error);
    }
    if (app.config_path != NULL && !config_load(&app.config, app.config_path, error, sizeof(error)))
        return command_failed(&io, "configuration", "%s", error);
    if (!config_require(&app.config, command->needs, error, sizeof(error)))
        return command_failed(&io, "configuration", "%s%s", error,
                              app.config_path == NULL ? " (no -c FILE)" : "");

    /* What only prints ends quietly when its reader has seen enough. */
    signal(SIGPIPE, command->kind == COMMAND_READS ? SIG_DFL : SIG_IGN);
    umask(077);
    log_set_level(command->kind == COMMAND_DAEMON ? app.config.log_level : LOG_LEVEL_WARN);
    if (tracker_init() != 0)
        return command_failed(&io, "start", "libsodium does not initialise");

    int code = run(&app, &io, command, command_argc, command_argv);
    if (fflush(stdout) != 0 && code == COMMAND_OK)
        code = command_failed(&io, command->name, "cannot write to standard output");
    app_clear(&app);
    return code;
}

static int
run(struct app *app, struct command_io *io, const struct command *command, int argc, char **argv)
{
    char error[APP_ERROR_MAX], input[INPUT_MAX], path[PATH_MAX];
    int  code;

    switch (command->kind) {
    case COMMAND_DAEMON:
        return command->run(app, io, argc, argv);

    case COMMAND_PLAIN:
        if ((command->needs & CONFIG_NEEDS_KEYS) != 0 && !app_load_keys(app, error))
            return command_failed(io, command->name, "%s", error);
        return command->run(app, io, argc, argv);

    case COMMAND_READS:
        if ((command->needs & CONFIG_NEEDS_KEYS) != 0 && !app_load_keys(app, error))
            return command_failed(io, command->name, "%s", error);
        if (!app_open_readers(app, error))
            return command_failed(io, command->name, "%s", error);
        return command->run(app, io, argc, argv);

    case COMMAND_WRITES:
        if (!read_input(io, argc, argv, input))
            return command_failed(io, command->name, "nothing to read on standard input");
        if (!absolute_output(argc, argv, path))
            return command_failed(io, command->name, "the path is too long");
        code = run_writing(app, io, command, argc, argv);
        explicit_bzero(input, sizeof(input));
        return code;
    }
    return COMMAND_USAGE;
}

/* In the daemon when there is one; else here, as the one process that writes. */
static int
run_writing(struct app *app, struct command_io *io, const struct command *command, int argc, char **argv)
{
    char error[APP_ERROR_MAX];
    int  code;

    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        switch (control_call(app, argc, argv, io, &code, error)) {
        case CONTROL_DONE:
            return code;
        case CONTROL_FAILED:
            return command_failed(io, command->name, "%s", error);
        case CONTROL_ABSENT:
            break;
        }

        char why[APP_ERROR_MAX];
        if (!app_become_owner(app, why))
            return command_failed(io, command->name, "%s", why);
        switch (app_lock(app, why)) {
        case APP_LOCKED:
            if (!app_load_keys(app, why) || !app_open_writer(app, why))
                return command_failed(io, command->name, "%s", why);
            return command->run(app, io, argc, argv);
        case APP_LOCK_FAILED:
            return command_failed(io, command->name, "%s", why);
        case APP_LOCK_HELD: /* it starts or ends at this moment, or another command runs */
            poll(NULL, 0, 100);
            break;
        }
    }
    return command_failed(io, command->name, "%s", error);
}

/* Secrets never stand on the command line: one line of standard input, for those who say --password-stdin. */
static bool
read_input(struct command_io *io, int argc, char **argv, char buffer[INPUT_MAX])
{
    if (!command_flag(argc, argv, "--password-stdin"))
        return true;
    if (fgets(buffer, INPUT_MAX, stdin) == NULL)
        return false;
    buffer[strcspn(buffer, "\r\n")] = '\0';
    io->input = buffer;
    return true;
}

/* The daemon stands in another folder: a path that it shall write is made whole on this side. */
static bool
absolute_output(int argc, char **argv, char buffer[PATH_MAX])
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--out") != 0 || argv[i + 1][0] == '/')
            continue;
        if (getcwd(buffer, PATH_MAX) == NULL)
            return false;
        size_t len = strlen(buffer);
        if (snprintf(buffer + len, PATH_MAX - len, "/%s", argv[i + 1]) >= (int) (PATH_MAX - len))
            return false;
        argv[i + 1] = buffer;
    }
    return true;
}

static int
usage(FILE *out, int code)
{
    fputs("usage: affiliated [-c FILE] [--set key=value]... [COMMAND [ARGUMENTS]]\n\n", out);
    for (const struct command *command = commands; command->name != NULL; command++)
        fprintf(out, "  %s %s\n        %s\n", command->name, command->usage, command->does);
    return code;
}
