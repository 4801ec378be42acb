/*
 * log.h - one JSON object a line, on standard error.
 *
 *     {"time":"2024-05-01T10:00:00.123Z","level":"info","component":"ingest","message":"..."}
 *
 * No secrets: no keys, passwords, tokens, cookies or personal data go through here.  Any thread.
 */
#ifndef AFFILIATED_LOG_H
#define AFFILIATED_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARN = 1,
    LOG_LEVEL_INFO = 2,
    LOG_LEVEL_DEBUG = 3
};

/* Lines above the level are not written; LOG_LEVEL_INFO at start. */
void log_set_level(enum log_level level);
bool log_level_parse(const char *name, enum log_level *level);

void log_line(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
