/*
 * command.h - the table of subcommands.
 */
#ifndef AFFILIATED_COMMAND_H
#define AFFILIATED_COMMAND_H

#include "app/app.h"

enum command_kind {
    COMMAND_PLAIN,  /* needs no database */
    COMMAND_READS,  /* reads beside whoever writes */
    COMMAND_WRITES, /* runs in the daemon when one is there: one process writes */
    COMMAND_DAEMON  /* stays */
};

#define COMMAND_OK     0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

struct command {
    const char       *name;
    const char       *usage; /* arguments, for people */
    const char       *does;
    enum command_kind kind;
    unsigned          needs; /* CONFIG_NEEDS_* */
    /* argv[0] is the command's name. Gives the exit code. */
    int (*run)(struct app *app, struct command_io *io, int argc, char **argv);
};

extern const struct command commands[]; /* ends with a NULL name */
const struct command *command_find(const char *name);

/* "affiliated: <name>: <why>" on io->err; gives COMMAND_FAILED. */
int command_failed(struct command_io *io, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* How to use it; gives COMMAND_USAGE. */
int command_usage(struct command_io *io, const char *name);
/* A service's no, with its fields. */
int command_refused(struct command_io *io, const char *name, struct service_error *error);
/* The value of "--name VALUE", or NULL. */
const char *command_option(int argc, char **argv, const char *name);
/* The time of "--name TIME" in *us, or `otherwise`.  False: it is none. */
bool        command_time(int argc, char **argv, const char *name, int64_t otherwise, int64_t *us);
bool        command_flag(int argc, char **argv, const char *name);

/* In command_people.c, command_api_user.c, command_read.c, command_edge.c, command_detection.c, daemon.c. */
int command_user(struct app *app, struct command_io *io, int argc, char **argv);
int command_token(struct app *app, struct command_io *io, int argc, char **argv);
int command_api_user(struct app *app, struct command_io *io, int argc, char **argv);
int command_demo(struct app *app, struct command_io *io, int argc, char **argv);
int command_migrate(struct app *app, struct command_io *io, int argc, char **argv);
int command_stats(struct app *app, struct command_io *io, int argc, char **argv);
int command_export(struct app *app, struct command_io *io, int argc, char **argv);
int command_verify(struct app *app, struct command_io *io, int argc, char **argv);
int command_snapshot(struct app *app, struct command_io *io, int argc, char **argv);
int command_agents(struct app *app, struct command_io *io, int argc, char **argv);
int command_rescore(struct app *app, struct command_io *io, int argc, char **argv);
int command_routes(struct app *app, struct command_io *io, int argc, char **argv);
int command_keygen(struct app *app, struct command_io *io, int argc, char **argv);
int command_drain(struct app *app, struct command_io *io, int argc, char **argv);
int command_serve(struct app *app, struct command_io *io, int argc, char **argv);
int command_ingest(struct app *app, struct command_io *io, int argc, char **argv);
int command_work(struct app *app, struct command_io *io, int argc, char **argv);
int command_all(struct app *app, struct command_io *io, int argc, char **argv);

#endif
