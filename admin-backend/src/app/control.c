/*
 * control.c - both ends of the control socket.
 */
#include "app/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/command.h"

#define REQUEST_MAX  65536 /* bytes of a request line */
#define ARGS_MAX     64
#define PATIENCE_S   10    /* for a client that says nothing */

struct control {
    struct app *app;
    int         listener;
    int         stop; /* eventfd */
    pthread_t   thread;
    char        path[sizeof(((struct sockaddr_un *) 0)->sun_path)];
};

static void *control_thread(void *arg);
static void control_serve(struct control *control, int fd);

static bool
control_address(const struct app *app, struct sockaddr_un *address, char *error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    int len =
        snprintf(address->sun_path, sizeof(address->sun_path), "%s/affiliated.control", app->config.state);
    if (len < (int) sizeof(address->sun_path))
        return true;
    snprintf(error, APP_ERROR_MAX, "the path of the state folder is too long for a unix socket: %s",
             app->config.state);
    return false;
}

/* ---- the daemon's end ---- */

struct control *
control_start(struct app *app, char *error)
{
    struct sockaddr_un address;
    struct control    *control = calloc(1, sizeof(*control));

    if (control == NULL || !control_address(app, &address, error)) {
        free(control);
        return NULL;
    }
    control->app = app;
    snprintf(control->path, sizeof(control->path), "%s", address.sun_path);
    control->stop = eventfd(0, EFD_CLOEXEC);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(control->path); /* we hold the lock: it is a dead process's */
    if (control->stop < 0 || control->listener < 0
        || bind(control->listener, (struct sockaddr *) &address, sizeof(address)) != 0
        || chmod(control->path, 0600) != 0 || listen(control->listener, 16) != 0
        || pthread_create(&control->thread, NULL, control_thread, control) != 0) {
        snprintf(error, APP_ERROR_MAX, "cannot listen on %s: %s", control->path, strerror(errno));
        if (control->listener >= 0)
            close(control->listener);
        if (control->stop >= 0)
            close(control->stop);
        free(control);
        return NULL;
    }
    return control;
}

void
control_stop(struct control *control)
{
    if (control == NULL)
        return;
    eventfd_write(control->stop, 1);
    pthread_join(control->thread, NULL);
    unlink(control->path);
    close(control->listener);
    close(control->stop);
    free(control);
}

static void *
control_thread(void *arg)
{
    struct control *control = arg;
    struct pollfd   fds[] = {
        { .fd = control->listener, .events = POLLIN },
        { .fd = control->stop, .events = POLLIN },
    };

    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            log_error("control", "poll: %s", strerror(errno));
        if (fds[1].revents != 0)
            return NULL;
        if ((fds[0].revents & POLLIN) == 0)
            continue;
        int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            control_serve(control, fd);
            close(fd);
        }
    }
}

/* The file's mode says it already; a socket may be passed on, so the other end is asked too. */
static bool
control_trusted(int fd)
{
    struct ucred peer;
    socklen_t    len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0
           && (peer.uid == 0 || peer.uid == geteuid());
}

static char *
control_read_line(int fd)
{
    char  *line = malloc(REQUEST_MAX);
    size_t used = 0;

    while (line != NULL && used < REQUEST_MAX) {
        ssize_t n = read(fd, line + used, REQUEST_MAX - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        char *end = memchr(line + used, '\n', (size_t) n);
        used += (size_t) n;
        if (end != NULL) {
            *end = '\0';
            return line;
        }
    }
    free(line);
    return NULL;
}

struct control_stream {
    int         fd;
    const char *name; /* "out" or "err" */
};

static bool
control_send(int fd, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    bool  ok = text != NULL;

    json_decref(message);
    if (ok) {
        size_t len = strlen(text), done = 0;
        text[len++] = '\n'; /* in the NUL's place */
        while (ok && done < len) {
            ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            ok = n > 0;
            done += ok ? (size_t) n : 0;
        }
    }
    free(text);
    return ok;
}

/* A cookie stream's write; text that is no UTF-8 does not come from our commands. */
static ssize_t
control_write(void *cookie, const char *data, size_t len)
{
    struct control_stream *stream = cookie;
    json_t                *message = json_pack("{s:s%}", stream->name, data, len);

    return message != NULL && control_send(stream->fd, message) ? (ssize_t) len : -1;
}

static FILE *
control_stream(struct control_stream *stream)
{
    FILE *file = fopencookie(stream, "w", (cookie_io_functions_t){ .write = control_write });
    if (file != NULL)
        setvbuf(file, NULL, _IOLBF, 0);
    return file;
}

static int
control_run(struct control *control, int fd, json_t *request)
{
    json_t     *args = json_object_get(request, "argv");
    const char *input = json_string_value(json_object_get(request, "input"));
    size_t      argc = json_array_size(args);
    char       *argv[ARGS_MAX + 1] = { NULL };

    if (argc == 0 || argc > ARGS_MAX)
        return COMMAND_USAGE;
    for (size_t i = 0; i < argc; i++) {
        /* Commands take them as their own, as main's are. */
        argv[i] = (char *) (uintptr_t) json_string_value(json_array_get(args, i));
        if (argv[i] == NULL)
            return COMMAND_USAGE;
    }
    const struct command *command = command_find(argv[0]);
    if (command == NULL || command->kind != COMMAND_WRITES)
        return COMMAND_USAGE;

    struct control_stream out = { fd, "out" }, err = { fd, "err" };
    struct command_io     io = { .out = control_stream(&out), .err = control_stream(&err), .input = input };
    int                   code = COMMAND_FAILED;
    if (io.out != NULL && io.err != NULL) {
        log_info("control", "command %s", command->name);
        code = command->run(control->app, &io, (int) argc, argv);
    }
    if (io.out != NULL)
        fclose(io.out);
    if (io.err != NULL)
        fclose(io.err);
    return code;
}

static void
control_serve(struct control *control, int fd)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (!control_trusted(fd)) {
        log_warn("control", "another user than ours called and was not heard");
        return;
    }

    char *line = control_read_line(fd);
    if (line == NULL)
        return;
    json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    explicit_bzero(line, strlen(line)); /* there may be a password in it */
    free(line);
    int code = json_is_object(request) ? control_run(control, fd, request) : COMMAND_USAGE;
    json_decref(request);
    control_send(fd, json_pack("{s:i}", "exit", code));
}

/* ---- the command line's end ---- */

static int
control_connect(const struct app *app, char *error)
{
    struct sockaddr_un address;

    if (!control_address(app, &address, error))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
        return fd;
    snprintf(error, APP_ERROR_MAX, "cannot reach the daemon at %s: %s", address.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Copies what comes until the exit code does. */
static bool
control_follow(FILE *in, struct command_io *io, int *exit_code)
{
    char  *line = NULL;
    size_t cap = 0;
    bool   ended = false;

    while (!ended && getline(&line, &cap, in) > 0) {
        json_t     *message = json_loads(line, 0, NULL);
        const char *out = json_string_value(json_object_get(message, "out"));
        const char *err = json_string_value(json_object_get(message, "err"));
        json_t     *code = json_object_get(message, "exit");
        if (out != NULL)
            fputs(out, io->out);
        if (err != NULL)
            fputs(err, io->err);
        if (json_is_integer(code)) {
            *exit_code = (int) json_integer_value(code);
            ended = true;
        }
        json_decref(message);
    }
    free(line);
    return ended;
}

enum control_call
control_call(const struct app *app, int argc, char **argv, struct command_io *io, int *exit_code, char *error)
{
    int fd = control_connect(app, error);
    if (fd < 0)
        return CONTROL_ABSENT;

    json_t *args = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(args, json_string(argv[i]));
    FILE *in = fdopen(fd, "r");
    bool  ok = in != NULL && (int) json_array_size(args) == argc
              && control_send(fd, json_pack("{s:o,s:s?}", "argv", args, "input", io->input));
    if (ok)
        ok = control_follow(in, io, exit_code);
    if (!ok)
        snprintf(error, APP_ERROR_MAX, "the daemon ended the conversation; see its log");
    if (in != NULL)
        fclose(in);
    else
        close(fd);
    return ok ? CONTROL_DONE : CONTROL_FAILED;
}
