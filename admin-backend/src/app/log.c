/*
 * log.c - JSON lines; each is one write(2), so that threads and processes do not mix within a line.
 */
#include "app/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_MESSAGE_MAX 1024 /* bytes before escaping; longer is cut */

static const char *const log_names[] = { "error", "warn", "info", "debug" };
static _Atomic int log_limit = LOG_LEVEL_INFO;

static size_t log_escape(char *out, const char *text);

void
log_set_level(enum log_level level)
{
    atomic_store(&log_limit, (int) level);
}

bool
log_level_parse(const char *name, enum log_level *level)
{
    for (int i = 0; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(name, log_names[i]) == 0) {
            *level = (enum log_level) i;
            return true;
        }
    }
    return false;
}

void
log_line(enum log_level level, const char *component, const char *format, ...)
{
    if ((int) level > atomic_load(&log_limit))
        return;

    char    message[LOG_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    struct timespec now;
    struct tm       utc;
    char            stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);

    char line[6 * LOG_MESSAGE_MAX + 256];
    int head =
        snprintf(line, 256, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"component\":\"%.64s\",\"message\":\"",
                 stamp, now.tv_nsec / 1000000, log_names[level], component);
    size_t len = (size_t) head + log_escape(line + head, message);
    memcpy(line + len, "\"}\n", 3);
    len += 3;

    ssize_t written = write(STDERR_FILENO, line, len);
    (void) written; /* nowhere to complain to */
}

/* At most six bytes a byte. Bytes that are no UTF-8 are shown as \u00XX, so that a line is always JSON. */
static size_t
log_escape(char *out, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    char *at = out;

    for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            *at++ = '\\';
            *at++ = (char) *c;
        } else if (*c < 0x20 || *c > 0x7e) {
            memcpy(at, "\\u00", 4);
            at[4] = hex[*c >> 4];
            at[5] = hex[*c & 15];
            at += 6;
        } else {
            *at++ = (char) *c;
        }
    }
    return (size_t) (at - out);
}
