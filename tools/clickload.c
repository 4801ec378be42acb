/*
 * clickload - asks for clicks and writes down what was answered.
 *
 *   clickload --port N --path /c/CODE [--path ...] --count N [--connections N] [--out FILE] [--user-agents FILE]
 *             [--header "Name: value" ...] [--rate N] [--post BODY] [--status N]
 *
 * The independent witness of the fault tests: it shares no code with the
 * product.  A click counts as answered when its whole response has arrived with
 * status 302; its id is the one in the destination, one a line in
 * --out.  A request whose connection broke before that is "unanswered": the edge
 * may have recorded it or not.  So what a database may hold beyond the list is at
 * most `unanswered`.
 *
 * One request at a time on each keep-alive connection; broken connections are
 * opened again, --count answers are waited for.  With --user-agents each line
 * of FILE is sent once (count = its lines).  --rate bounds
 * the requests a second.  With --status any answer of that status counts, whether it has a click id or not;
 * --post sends a body; "########" in a --header becomes the request's number.  Prints one JSON object; p50 and
 * p99 are over the answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ID_LEN          40
#define RESPONSE_MAX    16384
#define REQUEST_MAX     16384
#define RETRY_MS        10    /* after a refused connection */
#define STUCK_MS        30000 /* without any answer: give up */
#define CONNECTIONS_MAX 4096
#define PATHS_MAX       64

enum phase { CLOSED, CONNECTING, IDLE, WAITING };

struct connection {
    int        fd;
    enum phase phase;
    size_t     have;
    uint64_t   retry_ms, sent_us;
    size_t     agent; /* index of the user agent sent, to be sent again when unanswered */
    char       response[RESPONSE_MAX];
};

static struct {
    struct sockaddr_in address;
    const char        *paths[PATHS_MAX];
    size_t             path_count, connection_count;
    uint64_t           count, rate; /* rate 0: no bound */
    int                status;      /* 0: clicks are wanted */
    const char        *body;        /* NULL: GET */
    FILE              *out;
    char               headers[4096]; /* further ones, each with its line end */
    const char        *agent;  /* a browser's, unless --header says otherwise: bots are not counted */
    char             **agents; /* NULL: that one */
} config = { .agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" };

static struct {
    uint64_t sent, answered, unrecorded, unanswered, other, connects, refused;
    int      last_status;
} tally;

static struct connection *connections;
static int                epoll_fd;
static size_t            *agents_again, agents_again_count, agents_next;
static uint64_t           started_ms, last_answer_ms;
static uint32_t          *latencies; /* us, of the answered */

static void     parse_options(int argc, char **argv);
static void     read_agents(const char *path);
static void     run(void);
static void     open_connection(struct connection *c);
static void     on_writable(struct connection *c);
static bool     may_send(uint64_t now);
static void     send_request(struct connection *c);
static void     on_readable(struct connection *c);
static void     on_response(struct connection *c, size_t len);
static size_t   response_length(const char *text, size_t have);
static bool     find_id(const char *head, size_t len, char id[ID_LEN + 1]);
static void     broken(struct connection *c, bool refused);
static void     report(double seconds);
static uint32_t percentile(unsigned percent);
static uint64_t now_us(void);
static uint64_t now_ms(void);
static void     die(const char *what) __attribute__((noreturn));

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    parse_options(argc, argv);
    started_ms = now_ms();
    run();
    if (config.out != NULL && fclose(config.out) != 0) {
        die("--out");
    }
    report((double) (now_ms() - started_ms) / 1000);
    return tally.answered == config.count ? 0 : 1;
}

static void
parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },        { "path", required_argument, NULL, 'u' },
        { "count", required_argument, NULL, 'n' },       { "connections", required_argument, NULL, 'c' },
        { "out", required_argument, NULL, 'o' },         { "user-agents", required_argument, NULL, 'a' },
        { "header", required_argument, NULL, 'h' },      { "rate", required_argument, NULL, 'r' },
        { "post", required_argument, NULL, 'b' },        { "status", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    int    option;
    size_t used;

    config.address.sin_family = AF_INET;
    config.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    config.connection_count = 16;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': config.address.sin_port = htons((uint16_t) strtoul(optarg, NULL, 10)); break;
        case 'u':
            if (config.path_count == PATHS_MAX) {
                die("--path: too many");
            }
            config.paths[config.path_count++] = optarg;
            break;
        case 'n': config.count = strtoull(optarg, NULL, 10); break;
        case 'r': config.rate = strtoull(optarg, NULL, 10); break;
        case 'c': config.connection_count = strtoul(optarg, NULL, 10); break;
        case 'o':
            config.out = fopen(optarg, "we");
            if (config.out == NULL) {
                die(optarg);
            }
            break;
        case 'h':
            if (strncasecmp(optarg, "User-Agent: ", 12) == 0) {
                config.agent = optarg + 12;
                break;
            }
            used = strlen(config.headers);
            snprintf(config.headers + used, sizeof(config.headers) - used, "%s\r\n", optarg);
            break;
        case 'a': read_agents(optarg); break;
        case 'b':
            config.body = optarg;
            used = strlen(config.headers);
            snprintf(config.headers + used, sizeof(config.headers) - used, "Content-Length: %zu\r\n", strlen(optarg));
            break;
        case 's': config.status = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (config.address.sin_port == 0 || config.path_count == 0 || config.count == 0
        || config.connection_count == 0 || config.connection_count > CONNECTIONS_MAX) {
        fprintf(stderr, "clickload: --port, --path and --count are needed\n");
        exit(2);
    }
}

static void
read_agents(const char *path)
{
    FILE   *file = fopen(path, "re");
    char   *line = NULL;
    size_t  cap = 0, room = 0;
    ssize_t len;

    if (file == NULL) {
        die(path);
    }
    config.count = 0;
    while ((len = getline(&line, &cap, file)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strlen(line) + sizeof(config.headers) + 1024 > REQUEST_MAX) {
            die("--user-agents: a line is too long");
        }
        if (config.count == room) {
            room = room * 2 + 1024;
            config.agents = realloc(config.agents, room * sizeof(char *));
        }
        config.agents[config.count++] = strdup(line);
    }
    free(line);
    fclose(file);
    agents_again = calloc(CONNECTIONS_MAX, sizeof(size_t));
}

static void
run(void)
{
    struct epoll_event events[256];

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(config.connection_count, sizeof(*connections));
    latencies = calloc(config.count, sizeof(*latencies));
    if (epoll_fd < 0 || connections == NULL || latencies == NULL) {
        die("start");
    }
    last_answer_ms = now_ms();

    while (tally.answered + tally.other < config.count) {
        uint64_t now = now_ms();
        int      ready;

        if (now - last_answer_ms > STUCK_MS) {
            fprintf(stderr, "clickload: no answer for %d s\n", STUCK_MS / 1000);
            return;
        }
        for (size_t i = 0; i < config.connection_count; i++) {
            if (connections[i].phase == CLOSED && connections[i].retry_ms <= now) {
                open_connection(&connections[i]);
            } else if (connections[i].phase == IDLE && may_send(now)) {
                send_request(&connections[i]);
            }
        }
        ready = epoll_wait(epoll_fd, events, 256, config.rate != 0 ? 1 : RETRY_MS);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;

            if (c->phase == CONNECTING) {
                on_writable(c);
            } else if (c->phase == WAITING) {
                on_readable(c);
            } else if (c->phase == IDLE) { /* the server closed it: nothing was asked, nothing is lost */
                close(c->fd);
                c->phase = CLOSED;
                c->retry_ms = 0;
            }
        }
    }
}

static void
open_connection(struct connection *c)
{
    struct epoll_event event = { .events = EPOLLOUT, .data.ptr = c };

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        die("socket");
    }
    c->phase = CONNECTING;
    tally.connects++;
    if (connect(c->fd, (struct sockaddr *) &config.address, sizeof(config.address)) != 0 && errno != EINPROGRESS) {
        broken(c, true);
        return;
    }
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void
on_writable(struct connection *c)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    int                error = 0;
    socklen_t          len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        broken(c, true);
        return;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    c->phase = IDLE;
    if (may_send(now_ms())) {
        send_request(c);
    }
}

/* Neither above the rate nor more than is wanted; those under way count as answered until they break. */
static bool
may_send(uint64_t now)
{
    if (config.rate != 0 && tally.sent >= (now - started_ms) * config.rate / 1000) {
        return false;
    }
    return config.agents != NULL || tally.sent - tally.unanswered < config.count;
}

/* A small request always fits the socket's empty buffer; if it ever does not, the connection counts as broken. */
static void
send_request(struct connection *c)
{
    static size_t turn;
    char          request[REQUEST_MAX], *number;
    const char   *agent = config.agent;
    int           len;

    if (config.agents != NULL) {
        if (agents_again_count > 0) {
            c->agent = agents_again[--agents_again_count];
        } else if (agents_next < config.count) {
            c->agent = agents_next++;
        } else {
            return; /* the rest is under way on other connections */
        }
        agent = config.agents[c->agent];
    }
    len = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %s\r\n%s\r\n%s",
                   config.body != NULL ? "POST" : "GET", config.paths[turn++ % config.path_count], agent,
                   config.headers, config.body != NULL ? config.body : "");
    number = strstr(request, "########");
    if (number != NULL) {
        char digits[9];

        snprintf(digits, sizeof(digits), "%08llx", (unsigned long long) (tally.sent & 0xffffffff));
        memcpy(number, digits, 8);
    }
    c->phase = WAITING;
    c->have = 0;
    c->sent_us = now_us();
    tally.sent++;
    if (send(c->fd, request, (size_t) len, MSG_NOSIGNAL) != len) {
        broken(c, false);
    }
}

static void
on_readable(struct connection *c)
{
    ssize_t n = recv(c->fd, c->response + c->have, RESPONSE_MAX - 1 - c->have, 0);
    size_t  len;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        broken(c, false);
        return;
    }
    c->have += (size_t) n;
    c->response[c->have] = '\0';
    len = response_length(c->response, c->have);
    if (len != 0 && c->have >= len) {
        on_response(c, len);
    } else if (c->have == RESPONSE_MAX - 1) {
        die("a response is longer than expected");
    }
}

static void
on_response(struct connection *c, size_t len)
{
    char id[ID_LEN + 1];
    int  status = atoi(c->response + sizeof("HTTP/1.1 ") - 1);

    last_answer_ms = now_ms();
    if (config.status != 0 && status == config.status) {
        latencies[tally.answered++] = (uint32_t) (now_us() - c->sent_us);
    } else if (config.status != 0 || status != 302 || !find_id(c->response, len, id)) {
        tally.other++;
        tally.last_status = status;
    } else {
        latencies[tally.answered++] = (uint32_t) (now_us() - c->sent_us);
        /* Of the id's first 6 bits (alphabet "-0-9A-Z_a-z") two are the version: 0 recorded, 1 unrecorded. */
        if (id[0] >= 'F') {
            tally.unrecorded++;
        } else if (config.out != NULL && fprintf(config.out, "%s\n", id) < 0) {
            die("--out");
        }
    }
    if (strcasestr(c->response, "\r\nConnection: close") != NULL) {
        c->phase = CLOSED;
        close(c->fd);
        return;
    }
    c->phase = IDLE;
    if (may_send(last_answer_ms)) {
        send_request(c);
    }
}

/* Bytes of the whole response, 0 when its header is not complete. */
static size_t
response_length(const char *text, size_t have)
{
    const char *end = memmem(text, have, "\r\n\r\n", 4), *length;

    if (end == NULL) {
        return 0;
    }
    length = strcasestr(text, "\r\nContent-Length:");
    if (length == NULL || length > end) {
        die("a response without Content-Length");
    }
    return (size_t) (end - text) + 4 + strtoul(length + sizeof("\r\nContent-Length:") - 1, NULL, 10);
}

/* In  Location: https://...?...cid=<id> or click_id=<id>: a bot has no cookie, but an id that a destination names. */
static bool
find_id(const char *head, size_t len, char id[ID_LEN + 1])
{
    static const char *const names[] = { "click_id=", "cid=" };

    const char *url = memmem(head, len, "\r\nLocation: ", 12), *end, *value;

    end = url != NULL ? memmem(url + 2, len - (size_t) (url + 2 - head), "\r\n", 2) : NULL;
    for (size_t i = 0; end != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        value = memmem(url, (size_t) (end - url), names[i], strlen(names[i]));
        if (value != NULL && (size_t) (end - value) >= strlen(names[i]) + ID_LEN) {
            memcpy(id, value + strlen(names[i]), ID_LEN);
            id[ID_LEN] = '\0';
            return true;
        }
    }
    return false;
}

static void
broken(struct connection *c, bool refused)
{
    if (refused) {
        tally.refused++;
    } else {
        tally.unanswered++;
        if (config.agents != NULL) {
            agents_again[agents_again_count++] = c->agent;
        }
    }
    close(c->fd);
    c->phase = CLOSED;
    c->retry_ms = now_ms() + (refused ? RETRY_MS : 0);
}

static void
report(double seconds)
{
    printf("{\"answered\":%llu,\"unrecorded\":%llu,\"unanswered\":%llu,\"other\":%llu,\"last_other_status\":%d,"
           "\"connects\":%llu,\"refused\":%llu,\"p50_us\":%u,\"p99_us\":%u,\"seconds\":%.1f}\n",
           (unsigned long long) tally.answered, (unsigned long long) tally.unrecorded,
           (unsigned long long) tally.unanswered, (unsigned long long) tally.other, tally.last_status,
           (unsigned long long) tally.connects, (unsigned long long) tally.refused, percentile(50), percentile(99), seconds);
}

static int
by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *) a, right = *(const uint32_t *) b;

    return left < right ? -1 : left > right;
}

static uint32_t
percentile(unsigned percent)
{
    if (tally.answered == 0) {
        return 0;
    }
    qsort(latencies, tally.answered, sizeof(*latencies), by_size);
    return latencies[(tally.answered - 1) * percent / 100];
}

static uint64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static uint64_t
now_ms(void)
{
    return now_us() / 1000;
}

static void
die(const char *what)
{
    fprintf(stderr, "clickload: %s: %s\n", what, strerror(errno));
    exit(2);
}
