/*
 * control.h - the command line reaches the one process that writes.
 *
 * <state>/affiliated.control is a unix stream socket, mode 0600; only the
 * daemon's own user and root are heard.  The request is one JSON line
 *
 *     {"argv":["user","create",...],"input":"..." or null}
 *
 * and the answer JSON lines {"out":"text"}, {"err":"text"}, ending with {"exit":0}.
 */
#ifndef AFFILIATED_CONTROL_H
#define AFFILIATED_CONTROL_H

#include "app/app.h"

struct control;
/* NULL: error is filled (APP_ERROR_MAX bytes). app is borrowed; commands run one at a time. */
struct control *control_start(struct app *app, char *error);
void            control_stop(struct control *control);

enum control_call {
    CONTROL_DONE = 0, /* *exit_code is the command's */
    CONTROL_ABSENT,   /* nobody listens */
    CONTROL_FAILED    /* error is filled */
};
enum control_call control_call(const struct app *app, int argc, char **argv, struct command_io *io,
                               int *exit_code, char *error);

#endif
