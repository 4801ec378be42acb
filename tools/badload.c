/*
 * badload - a client that behaves badly: goes away in the middle, or sends what is no request.
 *
 *   badload --port N [--aborted COUNT] [--malformed COUNT] [--connections N] [--rate N] [--seed N] [--click-id ID]
 *           [--key KEY]
 *
 * Aborted: a sound request is sent as far as chance has it (not at all, within the head, within the body, whole)
 * and the connection closed or reset, at once or a moment later, without a look at the answer.
 * Malformed: a request whose bytes were changed, cut, repeated or replaced, or one of a list of evil ones; then
 * the sending side is closed and the answer read to its end.  Every status is counted: 500 is
 * nobody's right answer, and silence neither.
 *
 * --rate bounds the connections a second; --seed repeats a run's bytes.  Prints one JSON object; exits 0 when all
 * connections were made and every malformed request was answered or its connection closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX     (96 * 1024)
#define PRINT_MAX       2048 /* of one print(): a key and a click id are far shorter */
#define CONNECTIONS_MAX 1024
#define SILENCE_MS      20000 /* a malformed request's: far beyond what any answer takes */
#define MOMENT_MS       3

enum phase { CLOSED, CONNECTING, SENDING, READING, LINGERING };

struct connection {
    int        fd;
    enum phase phase;
    bool       abort, reset;
    uint64_t   since_ms;
    size_t     len, sent, have;
    char       head[16]; /* the answer's first bytes */
    char      *request;
};

static struct {
    struct sockaddr_in address;
    uint64_t           aborted, malformed, rate, seed; /* rate 0: no bound */
    size_t             connections;
    const char        *click_id, *key;
} config = { .connections = 64, .seed = 1, .click_id = "none", .key = "none" };

static struct {
    uint64_t begun, aborted, malformed, closed, silent, refused, status[600];
} tally;

static struct connection connections[CONNECTIONS_MAX];
static int               epoll_fd;
static uint64_t          started_ms, chance_state;

static void     parse_options(int argc, char **argv);
static void     begin(struct connection *c);
static void     make_request(struct connection *c);
static size_t   sound_request(char *out);
static size_t   print(char *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static size_t   spoil(char *bytes, size_t len);
static size_t   evil_request(char *out);
static void     on_event(struct connection *c);
static void     on_answer(struct connection *c);
static void     end(struct connection *c);
static void     look_at_clock(struct connection *c, uint64_t now);
static int      report(void);
static uint64_t chance(uint64_t below);
static uint64_t now_ms(void);

int
main(int argc, char **argv)
{
    struct epoll_event events[256];
    uint64_t           wanted;

    signal(SIGPIPE, SIG_IGN);
    parse_options(argc, argv);
    wanted = config.aborted + config.malformed;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    chance_state = config.seed;
    started_ms = now_ms();
    while (tally.aborted + tally.malformed + tally.refused < wanted) {
        uint64_t now = now_ms();

        for (size_t i = 0; i < config.connections; i++) {
            if (connections[i].phase != CLOSED) {
                look_at_clock(&connections[i], now);
            } else if (tally.begun < wanted
                       && (config.rate == 0 || tally.begun < (now - started_ms + 1) * config.rate / 1000)) {
                begin(&connections[i]);
            }
        }
        for (int i = 0, ready = epoll_wait(epoll_fd, events, 256, 1); i < ready; i++) {
            on_event(events[i].data.ptr);
        }
    }
    return report();
}

static void
parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },        { "aborted", required_argument, NULL, 'a' },
        { "malformed", required_argument, NULL, 'm' },   { "connections", required_argument, NULL, 'c' },
        { "rate", required_argument, NULL, 'r' },        { "seed", required_argument, NULL, 's' },
        { "click-id", required_argument, NULL, 'i' },    { "key", required_argument, NULL, 'k' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    config.address.sin_family = AF_INET;
    config.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': config.address.sin_port = htons((uint16_t) strtoul(optarg, NULL, 10)); break;
        case 'a': config.aborted = strtoull(optarg, NULL, 10); break;
        case 'm': config.malformed = strtoull(optarg, NULL, 10); break;
        case 'c': config.connections = strtoul(optarg, NULL, 10); break;
        case 'r': config.rate = strtoull(optarg, NULL, 10); break;
        case 's': config.seed = strtoull(optarg, NULL, 10); break;
        case 'i': config.click_id = optarg; break;
        case 'k': config.key = optarg; break;
        default: exit(2);
        }
    }
    if (config.address.sin_port == 0 || config.connections == 0 || config.connections > CONNECTIONS_MAX) {
        fprintf(stderr, "badload: --port is needed, --connections is at most %d\n", CONNECTIONS_MAX);
        exit(2);
    }
}

/* ---- a connection ---- */

static void
begin(struct connection *c)
{
    struct epoll_event event = { .events = EPOLLOUT | EPOLLIN, .data.ptr = c };
    uint64_t           left = config.aborted + config.malformed - tally.begun;

    if (c->request == NULL) {
        c->request = malloc(REQUEST_MAX);
    }
    /* both kinds mixed as evenly as their counts have it, and exactly so many of each in the end */
    static uint64_t aborts;
    c->abort = chance(left) < config.aborted - aborts;
    aborts += c->abort;
    tally.begun++;
    c->reset = chance(2) != 0;
    c->sent = c->have = 0;
    c->since_ms = now_ms();
    make_request(c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->request == NULL || c->fd < 0) {
        perror("badload");
        exit(2);
    }
    c->phase = CONNECTING;
    if (connect(c->fd, (struct sockaddr *) &config.address, sizeof(config.address)) != 0 && errno != EINPROGRESS) {
        tally.refused++;
        close(c->fd);
        c->phase = CLOSED;
        return;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void
on_event(struct connection *c)
{
    int       error = 0;
    ssize_t   n;
    socklen_t len = sizeof(error);

    if (c->phase == CONNECTING) {
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
            tally.refused++;
            close(c->fd);
            c->phase = CLOSED;
            return;
        }
        c->phase = SENDING;
    }
    if (c->phase == SENDING) {
        n = send(c->fd, c->request + c->sent, c->len - c->sent, MSG_NOSIGNAL);
        c->sent += n > 0 ? (size_t) n : 0;
        if (n < 0 && errno != EAGAIN) {
            c->sent = c->len; /* refused in the middle: the answer may be there all the same */
        }
        if (c->sent < c->len) {
            return;
        }
        if (c->abort) {
            c->phase = LINGERING;
            if (chance(2) != 0) {
                end(c);
            }
            return;
        }
        shutdown(c->fd, SHUT_WR);
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd,
                  &(struct epoll_event){ .events = EPOLLIN, .data.ptr = c });
        c->phase = READING;
        return;
    }
    if (c->phase == READING) {
        on_answer(c);
    }
}

static void
on_answer(struct connection *c)
{
    char    buffer[65536];
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);
    size_t  part;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0) {
        part = sizeof(c->head) - 1 - c->have;
        part = part < (size_t) n ? part : (size_t) n;
        memcpy(c->head + c->have, buffer, part);
        c->have += part;
        return;
    }
    c->head[c->have] = '\0';
    if (strncmp(c->head, "HTTP/1.", 7) == 0 && strlen(c->head) >= 12) {
        tally.status[strtoul(c->head + 9, NULL, 10) % 600]++;
    } else {
        tally.closed++; /* or HTTP/0.9, which has no status */
    }
    end(c);
}

static void
end(struct connection *c)
{
    if (c->abort && c->reset) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    }
    close(c->fd);
    c->phase = CLOSED;
    tally.aborted += c->abort;
    tally.malformed += !c->abort;
}

static void
look_at_clock(struct connection *c, uint64_t now)
{
    if (c->phase == LINGERING && now - c->since_ms >= MOMENT_MS) {
        end(c);
    } else if (now - c->since_ms > SILENCE_MS) {
        tally.silent++;
        end(c);
    }
}

/* ---- what is sent ---- */

static void
make_request(struct connection *c)
{
    if (c->abort) {
        c->len = sound_request(c->request);
        c->len = chance(4) == 0 ? c->len : chance(c->len + 1);
    } else if (chance(3) == 0) {
        c->len = evil_request(c->request);
    } else {
        c->len = spoil(c->request, sound_request(c->request));
    }
}

static size_t
sound_request(char *out)
{
    size_t len;
    char   body[PRINT_MAX];

    switch (chance(20) == 0 ? 8 : chance(8)) {
    case 0:
        return print(out, "GET /c/abc?sub1=one&sub2=%%41&source=x HTTP/1.1\r\nHost: t\r\nUser-Agent: bad\r\n"
                     "Cookie: a=1; aff_1=%s.%s\r\nAccept-Language: de\r\n\r\n",
                     config.click_id, config.click_id);
    case 1:
        return print(out, "HEAD /c/abc HTTP/1.1\r\nHost: t\r\n\r\n");
    case 2:
        return print(out, "GET /postback?click_id=%s&txid=%llu&amount=1.5&currency=EUR HTTP/1.1\r\nHost: t\r\n"
                     "X-Api-Key: %s\r\n\r\n",
                     config.click_id, (unsigned long long) chance(1000), config.key);
    case 3:
        len = print(body, "click_id=%s&event=sale&txid=%llu&amount=2&currency=EUR&p1=%%C3%%A4", config.click_id,
                      (unsigned long long) chance(1000));
        return print(out, "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %s\r\nContent-Length: %zu\r\n"
                     "Content-Type: application/x-www-form-urlencoded\r\n\r\n%s",
                     config.key, len, body);
    case 4:
        len = print(body, "{\"click_id\":\"%s\",\"event\":\"sale\",\"txid\":%llu,\"p2\":\"\\u00e4\",\"x\":[1,{\"y\":null}]}",
                      config.click_id, (unsigned long long) chance(1000));
        return print(out, "POST /postback HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
                     "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
                     config.key, len, body);
    case 5:
        return print(out, "GET /f/in?click_id=%s HTTP/1.1\r\nHost: t\r\nCookie: aff_1=%s.%s\r\n\r\n", config.click_id,
                     config.click_id, config.click_id);
    case 6:
        len = print(body, "--B\r\nContent-Disposition: form-data; name=\"_token\"\r\n\r\nx\r\n"
                    "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n<b>\xc3\xa4</b>\r\n--B--\r\n");
        return print(out, "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n"
                     "Content-Type: multipart/form-data; boundary=B\r\n\r\n%s",
                     len, body);
    case 7:
        len = print(body, "{\"name\":\"lead %llu\",\"topics\":[\"a\",\"b\"],\"click_id\":\"%s\"}",
                    (unsigned long long) chance(1000), config.click_id);
        return print(out, "POST /f/in HTTP/1.1\r\nHost: t\r\nOrigin: https://shop.example\r\nContent-Length: %zu\r\n"
                     "Content-Type: application/json\r\n\r\n%s",
                     len, body);
    default:
        return print(out, "GET /status?format=%s HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc",
                     chance(2) != 0 ? "prometheus" : "json");
    }
}

static size_t
print(char *out, const char *format, ...)
{
    int     len;
    va_list args;

    va_start(args, format);
    len = vsnprintf(out, PRINT_MAX, format, args);
    va_end(args);
    if (len < 0 || len >= PRINT_MAX) {
        fprintf(stderr, "badload: --key or --click-id is too long\n");
        exit(2);
    }
    return (size_t) len;
}

/* One to four places of it changed, cut, repeated, or filled with anything. */
static size_t
spoil(char *bytes, size_t len)
{
    for (uint64_t changes = 1 + chance(4); changes > 0 && len > 0; changes--) {
        size_t at = chance(len), run = 1 + chance(len - at);

        switch (chance(6)) {
        case 0: bytes[at] = (char) (bytes[at] ^ 1 << chance(8)); break;
        case 1: bytes[at] = (char) chance(256); break;
        case 2:
            memmove(bytes + at, bytes + at + run, len - at - run);
            len -= run;
            break;
        case 3:
            memmove(bytes + at + run, bytes + at, len - at);
            len += run;
            break;
        case 4:
            for (size_t i = 0; i < run; i++) {
                bytes[at + i] = (char) chance(256);
            }
            break;
        case 5: bytes[at] = "\r\n\0%&=;{}\"\\: "[chance(13)]; break;
        }
    }
    return len;
}

/* What parsers have stumbled over; %I is a click id, %K the key. */
static size_t
evil_request(char *out)
{
    static const char *const evil[] = {
        "GET /c/abc HTTP/9.9\r\nHost: t\r\n\r\n",
        "GET /c/abc\r\n",
        "GET http://evil.example/c/abc HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /c/../../../etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /c/%00abc HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /c/abc?sub1=%&sub2=%4&sub3=%zz&=&&==&%=% HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /c/abc HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
        "GET /c/abc HTTP/1.1\r\n\r\n",
        "GET /c/abc HTTP/1.1\r\nHost: t\r\nCookie: aff_1=; aff_1=.; aff_1=a.b; aff_=%I.%I; aff_99999999999=%I.%I\r\n\r\n",
        "GET /c/abc HTTP/1.1\r\nHost: t\r\nSec-Fetch-Dest: \r\nSec-Purpose:\r\nUser-Agent:\r\nAccept-Language: ,,;q=\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
        "TRACE /c/abc HTTP/1.1\r\nHost: t\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: t\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Length: -1\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"
        "{\"click_id\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{",
        "POST /postback HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n"
        "{\"a\":\"\\ud800\",\"a\":1e999999999}",
        "GET /postback?click_id=%I&amount=99999999999999999999.99&currency=EUR HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\n\r\n",
        "GET /postback?click_id=%I&event_time=-1&status=%00 HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\n\r\n",
        "GET /postback?click_id=%I%I HTTP/1.1\r\nHost: t\r\nX-Api-Key: %K\r\nX-Api-Key: %K\r\n\r\n",
        "GET /status?format= HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /f/in?wait=%I%I HTTP/1.1\r\nHost: t\r\n\r\n",
        "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc",
        "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=--\r\nContent-Length: 12\r\n\r\n"
        "------------",
        "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 60\r\n\r\n"
        "--B\r\nContent-Disposition: form-data; name=\"name\"; filename=\r\n\r\n",
        "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 19\r\n\r\n"
        "&&=&_token=&name=%0",
    };
    const char *text = evil[chance(sizeof(evil) / sizeof(evil[0]))];
    char       *p = out;

    if (chance(8) == 0) { /* a head without an end */
        p += print(p, "GET /c/abc HTTP/1.1\r\nHost: t\r\nX: ");
        memset(p, 'x', 40000);
        return (size_t) (p + 40000 - out);
    }
    for (; *text != '\0'; text++) {
        if (*text == '%' && (text[1] == 'I' || text[1] == 'K')) {
            p += print(p, "%s", *++text == 'I' ? config.click_id : config.key);
        } else {
            *p++ = *text;
        }
    }
    return (size_t) (p - out);
}

/* ---- the rest ---- */

static int
report(void)
{
    const char *comma = "";

    printf("{\"seed\":%llu,\"aborted\":%llu,\"malformed\":%llu,\"closed\":%llu,\"silent\":%llu,\"refused\":%llu,"
           "\"status\":{",
           (unsigned long long) config.seed, (unsigned long long) tally.aborted,
           (unsigned long long) tally.malformed, (unsigned long long) tally.closed,
           (unsigned long long) tally.silent, (unsigned long long) tally.refused);
    for (unsigned i = 0; i < 600; i++) {
        if (tally.status[i] != 0) {
            printf("%s\"%u\":%llu", comma, i, (unsigned long long) tally.status[i]);
            comma = ",";
        }
    }
    printf("},\"seconds\":%.1f}\n", (double) (now_ms() - started_ms) / 1000);
    return tally.silent == 0 && tally.refused == 0 ? 0 : 1;
}

/* splitmix64 (Steele, Lea, Flood 2014); below is not 0. */
static uint64_t
chance(uint64_t below)
{
    uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}
