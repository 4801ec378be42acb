/* The socket, the threads, and the way of one request through them. */
#include "http/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

#define CONNECTIONS_MAX 512         /* a thread each: who waits for a password holds up nobody */
#define IDLE_TIMEOUT_S  30
#define MEMORY_PER_CONN (64u << 10) /* headers and query live here: longer ones are refused by the library */
#define BODY_FIRST      4096u
#define BODY_DROPPED    (8u << 20)  /* beyond HTTP_BODY_MAX, before the connection is cut */
#define STOP_PATIENCE_S 10          /* for requests under way */

struct http_server {
    struct MHD_Daemon  *daemon;
    struct http_options options;
    struct sockaddr_un  address;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t  idle;
    unsigned        under_way;
    bool            stopping;
};

/* One request while its body comes in. */
struct intake {
    char  *body;
    size_t len, cap;
    size_t dropped; /* of a body that is too large */
};

static enum MHD_Result take(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *data, size_t *data_len, void **state);
static void            release(void *ctx, struct MHD_Connection *connection, void **state,
                               enum MHD_RequestTerminationCode why);
static size_t          unescape(void *ctx, struct MHD_Connection *connection, char *text);
static void            dispatch(struct http_request *request, struct http_answer *answer);
static enum MHD_Result send_answer(struct http_server *server, struct MHD_Connection *connection,
                                   struct http_answer *answer);
static int             bind_socket(const struct sockaddr_un *address, char **error);
static void            init_idle(struct http_server *server);

struct http_server *
http_start(const struct http_options *options, char **error)
{
    struct http_server *server = calloc(1, sizeof(*server));
    int                 fd;

    *error = NULL;
    if (server == NULL || strlen(options->socket_path) >= sizeof(server->address.sun_path)) {
        free(server);
        *error = strdup("the HTTP socket's path is too long");
        return NULL;
    }
    server->options = *options;
    server->address.sun_family = AF_UNIX;
    memcpy(server->address.sun_path, options->socket_path, strlen(options->socket_path));
    fd = bind_socket(&server->address, error);
    if (fd < 0) {
        free(server);
        return NULL;
    }
    init_idle(server);
    server->daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC, 0,
                                      NULL, NULL, take, server,
                                      MHD_OPTION_LISTEN_SOCKET, fd,
                                      MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                      MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
                                      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_PER_CONN,
                                      MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
                                      MHD_OPTION_NOTIFY_COMPLETED, release, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(fd);
        http_stop(server);
        *error = strdup("the HTTP server did not start");
        return NULL;
    }
    return server;
}

/* The patience of a stop is counted by a clock that nobody sets. */
static void
init_idle(struct http_server *server)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* Whoever is heard already gets an answer; the library alone would cut them off. */
static void
wait_until_idle(struct http_server *server)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_PATIENCE_S;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    while (server->under_way > 0 && pthread_cond_timedwait(&server->idle, &server->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&server->lock);
}

void
http_stop(struct http_server *server)
{
    int fd;

    if (server == NULL)
        return;
    unlink(server->address.sun_path);
    if (server->daemon != NULL) {
        fd = MHD_quiesce_daemon(server->daemon);
        wait_until_idle(server);
        MHD_stop_daemon(server->daemon);
        if (fd != MHD_INVALID_SOCKET)
            close(fd);
    }
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* A socket left behind by a killed daemon is replaced; the daemon's own lock keeps two from fighting over it. */
static int
bind_socket(const struct sockaddr_un *address, char **error)
{
    const char *path = address->sun_path;
    struct stat info;
    int         fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
        unlink(path);
    if (fd >= 0 && bind(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 && chmod(path, 0660) == 0
        && listen(fd, 511) == 0)
        return fd;
    if (asprintf(error, "cannot listen on %s: %s", path, strerror(errno)) < 0)
        *error = NULL;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- one request ---- */

/* A NUL would hide what follows it: it becomes a character that no route, name or id has. */
static size_t
unescape(void *ctx, struct MHD_Connection *connection, char *text)
{
    size_t len = MHD_http_unescape(text);

    (void) ctx;
    (void) connection;
    for (char *nul = text; (nul = memchr(nul, '\0', len - (size_t) (nul - text))) != NULL;)
        *nul = '\1';
    return len;
}

static struct intake *
intake_new(struct http_server *server)
{
    struct intake *intake = calloc(1, sizeof(*intake));

    if (intake == NULL)
        return NULL;
    pthread_mutex_lock(&server->lock);
    server->under_way++;
    pthread_mutex_unlock(&server->lock);
    return intake;
}

static void
release(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_server *server = ctx;
    struct intake      *intake = *state;

    (void) connection;
    (void) why;
    if (intake == NULL)
        return;
    *state = NULL;
    if (intake->body != NULL)
        explicit_bzero(intake->body, intake->cap); /* log-ins pass through here */
    free(intake->body);
    free(intake);
    pthread_mutex_lock(&server->lock);
    if (--server->under_way == 0)
        pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

/* What is too large is read and dropped for a while, so that the client gets to see the answer. */
static bool
append(struct intake *intake, const char *data, size_t len)
{
    size_t cap = intake->cap == 0 ? BODY_FIRST : intake->cap;
    char  *body;

    if (intake->dropped > 0 || len > HTTP_BODY_MAX - intake->len) {
        intake->dropped += len;
        return intake->dropped <= BODY_DROPPED;
    }
    while (cap < intake->len + len)
        cap *= 2;
    if (cap != intake->cap) {
        body = realloc(intake->body, cap);
        if (body == NULL)
            return false;
        intake->body = body;
        intake->cap = cap;
    }
    memcpy(intake->body + intake->len, data, len);
    intake->len += len;
    return true;
}

static enum MHD_Result
take(void *ctx, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
     const char *data, size_t *data_len, void **state)
{
    struct http_server *server = ctx;
    struct intake      *intake = *state;
    struct http_answer  answer = { .status = 500 };
    bool                taken;

    (void) version;
    if (intake == NULL) {
        *state = intake_new(server);
        return *state == NULL ? MHD_NO : MHD_YES;
    }
    if (*data_len != 0) {
        taken = append(intake, data, *data_len);
        *data_len = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (intake->dropped > 0) {
        answer_error(&answer, 413, "body_too_large", "The body is larger than 1 MiB.");
    } else {
        struct http_request request = {
            .service = server->options.service,
            .connection = connection,
            .method = method,
            .path = url,
            .raw = intake->body,
            .raw_len = intake->len,
            .ready = server->options.ready,
            .ready_ctx = server->options.ready_ctx,
        };
        dispatch(&request, &answer);
        json_decref(request.body);
    }
    return send_answer(server, connection, &answer);
}

static void
dispatch(struct http_request *request, struct http_answer *answer)
{
    if (request_route(request, answer) && request_authorize(request, answer) && request_read(request, answer))
        request->route->handler(request, answer);
}

/* ---- one answer ---- */

static struct MHD_Response *
make_response(struct http_answer *answer)
{
    char *body;

    if (answer->json != NULL) {
        body = json_dumps(answer->json, JSON_COMPACT);
        json_decref(answer->json);
        answer->content_type = "application/json";
        return body == NULL ? NULL : MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    }
    if (answer->owned_text != NULL)
        return MHD_create_response_from_buffer(strlen(answer->owned_text), answer->owned_text, MHD_RESPMEM_MUST_FREE);
    if (answer->text != NULL)
        return MHD_create_response_from_buffer(strlen(answer->text), (void *) answer->text, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT);
}

static void
add_headers(struct MHD_Response *response, const struct http_answer *answer)
{
    char text[32];

    if (answer->content_type != NULL)
        MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
                            "frame-ancestors 'none'; base-uri 'none'");
    if (answer->etag != 0) {
        snprintf(text, sizeof(text), "\"%lld\"", (long long) answer->etag);
        MHD_add_response_header(response, "ETag", text);
    }
    if (answer->set_cookie[0] != '\0')
        MHD_add_response_header(response, "Set-Cookie", answer->set_cookie);
    if (answer->allow[0] != '\0')
        MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->location[0] != '\0')
        MHD_add_response_header(response, "Location", answer->location);
    if (answer->retry_after_s != 0) {
        snprintf(text, sizeof(text), "%u", answer->retry_after_s);
        MHD_add_response_header(response, "Retry-After", text);
    }
    if (answer->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
}

static bool
is_stopping(struct http_server *server)
{
    bool stopping;

    pthread_mutex_lock(&server->lock);
    stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

static enum MHD_Result
send_answer(struct http_server *server, struct MHD_Connection *connection, struct http_answer *answer)
{
    struct MHD_Response *response = make_response(answer);
    enum MHD_Result      sent;

    if (response == NULL)
        return MHD_NO;
    add_headers(response, answer);
    if (is_stopping(server))
        MHD_add_response_header(response, "Connection", "close");
    sent = MHD_queue_response(connection, (unsigned) answer->status, response);
    MHD_destroy_response(response);
    return sent;
}
