#include "service/origins.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/hosts.h"

#define ORIGINS_MAX 64
#define ORIGIN_MAX  (8 + HOST_NAME_MAX_LEN + 6) /* scheme, host, port */

/* ":1" to ":65535" and nothing behind, or nothing at all. */
static bool
is_port(const char *text)
{
    size_t digits;

    if (text[0] == '\0')
        return true;
    digits = strspn(text + 1, "0123456789");
    return text[0] == ':' && digits >= 1 && digits <= 5 && text[1 + digits] == '\0' && text[1] != '0' && atoi(text + 1) <= 65535;
}

/* scheme://[*.]host[:port] */
static bool
read_origin(const char *text, bool wild, char out[ORIGIN_MAX + 4])
{
    const char *scheme = strncasecmp(text, "https://", 8) == 0 ? "https://" : "http://", *port;
    char        host[HOST_NAME_MAX_LEN + 2], name[HOST_NAME_MAX_LEN + 1];
    bool        star;

    if (strncasecmp(text, scheme, strlen(scheme)) != 0)
        return false;
    text += strlen(scheme);
    star = wild && strncmp(text, "*.", 2) == 0;
    if (star)
        text += 2;
    port = text + strcspn(text, ":");
    if (!is_port(port) || (size_t) (port - text) >= sizeof(host))
        return false;
    snprintf(host, sizeof(host), "%.*s", (int) (port - text), text);
    if (!host_name_read(host, name))
        return false;
    if (strcmp(port, scheme[4] == 's' ? ":443" : ":80") == 0) /* a browser's Origin leaves them out */
        port = "";
    snprintf(out, ORIGIN_MAX + 4, "%s%s%s%s", scheme, star ? "*." : "", name, port);
    return true;
}

static bool
read_list(const json_t *json, bool ancestors, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    json_t *list = json_array(), *item;
    size_t  i;
    char    origin[ORIGIN_MAX + 4];
    bool    good = json_is_array(json) && json_array_size(json) <= ORIGINS_MAX;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of at most %d origins", ORIGINS_MAX);
    json_array_foreach(json, i, item) {
        const char *text = json_string_value(item);
        bool        word = ancestors && text != NULL
                    && (strcmp(text, "self") == 0 || (strcmp(text, "*") == 0 && json_array_size(json) == 1));

        if (!good)
            break;
        if (text == NULL || strlen(text) != json_string_length(item) || (!word && !read_origin(text, ancestors, origin))) {
            snprintf(complaint, FIELD_COMPLAINT_MAX,
                     "holds \"%.60s\", which is no origin: scheme, host and port, as https://shop.example%s",
                     text == NULL ? "" : text, ancestors ? "; or \"self\", or \"*\" alone" : "");
            good = false;
        } else {
            json_array_append_new(list, json_string(word ? text : origin));
        }
    }
    value->text = good ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return value->text != NULL;
}

bool
origins_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    return read_list(json, false, value, complaint);
}

bool
ancestors_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    return read_list(json, true, value, complaint);
}

char *
origins_lines(const char *json_text)
{
    return hosts_lines(json_text);
}

char *
ancestors_sources(const char *json_text)
{
    char  *lines = hosts_lines(json_text), *sources, *rest, *line;
    size_t len = 0, size = lines == NULL ? 0 : strlen(lines) + sizeof("'none' 'self'");

    sources = lines == NULL ? NULL : malloc(size);
    if (sources != NULL)
        sources[0] = '\0';
    for (rest = lines; sources != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '\0')
            len += (size_t) snprintf(sources + len, size - len, "%s%s", len == 0 ? "" : " ",
                                     strcmp(line, "self") == 0 ? "'self'" : line);
    }
    if (sources != NULL && len == 0)
        snprintf(sources, size, "'none'");
    free(lines);
    return sources;
}
