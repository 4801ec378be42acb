/*
 * service.c - how a use case says no.
 */
#include "service/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/log.h"

enum service_result
service_refuse(struct service_error *error, enum service_result result, const char *code, const char *format,
               ...)
{
    va_list args;

    snprintf(error->code, sizeof(error->code), "%s", code);
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return result;
}

enum service_result
service_invalid(struct service_error *error, const char *field, const char *complaint)
{
    if (error->fields == NULL)
        error->fields = json_object();
    /* The first complaint about a field is the one that helps. */
    if (json_object_get(error->fields, field) == NULL)
        json_object_set_new(error->fields, field, json_string(complaint));
    return service_refuse(error, SERVICE_INVALID, "invalid_fields", "some fields are not acceptable");
}

void
service_error_clear(struct service_error *error)
{
    json_decref(error->fields);
    memset(error, 0, sizeof(*error));
}

enum service_result
service_from_db(struct service_error *error, enum db_result result, const char *what)
{
    switch (result) {
    case DB_OK:
    case DB_ROW:
    case DB_DONE:
        return SERVICE_OK;

    case DB_ABORT: /* the callback's own no, which it has explained */
    case DB_FAILED:
    case DB_CORRUPT:
        break;

    case DB_CONFLICT:
        log_warn("database", "%s: %s", what, db_last_message());
        return service_refuse(error, SERVICE_CONFLICT, "conflict", "this contradicts what is stored already");

    case DB_RETRY:
    case DB_FULL:
        log_error("database", "%s: %s", what, db_last_message());
        return service_refuse(error, SERVICE_UNAVAILABLE, "database_unavailable",
                              "the database cannot take this now; try again");
    }

    log_error("database", "%s: %s", what, db_last_message());
    return service_refuse(error, SERVICE_FAILED, "internal_error",
                          "something went wrong here; it was logged");
}
