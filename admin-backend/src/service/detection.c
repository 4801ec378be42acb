/*
 * detection.c - compiles the lists, and notices changed files.
 */
#include "service/detection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "tracker_agent.h"

#define LIST_MAX ((size_t) 1 << 20) /* bytes of a file */

static const char built_in_agents[] =
#include "agents.h"
    ;
static const char built_in_datacentres[] =
#include "datacentres.h"
    ;

typedef bool (*list_compile)(struct tracker_str text, uint8_t **out, size_t *len, const char **error, int *line);

static bool
agents_compile(struct tracker_str text, uint8_t **out, size_t *len, const char **error, int *line)
{
    return tracker_agents_compile(text, out, len, error, line) == 0;
}

/* ---- AS numbers ---- */

static int
asn_compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *) a, right = *(const uint32_t *) b;
    return left < right ? -1 : left > right;
}

/* One line without its comment; NULL: *asn is the number, or 0 when nothing stands there. */
static const char *
asn_parse(struct tracker_str line, uint32_t *asn)
{
    uint64_t number = 0;
    size_t   i = 0;

    while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL)
        line.len--;
    while (i < line.len && (line.data[i] == ' ' || line.data[i] == '\t'))
        i++;
    *asn = 0;
    if (i == line.len)
        return NULL;
    if (line.len - i > 2 && (line.data[i] | 0x20) == 'a' && (line.data[i + 1] | 0x20) == 's')
        i += 2;
    for (; i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return "this is no AS number";
        number = number * 10 + (uint64_t) (line.data[i] - '0');
        if (number > UINT32_MAX)
            return "AS numbers have 32 bits";
    }
    *asn = (uint32_t) number;
    return number == 0 ? "AS 0 is nobody's" : NULL;
}

bool
datacentres_compile(struct tracker_str text, uint8_t **out, size_t *len, const char **error, int *line)
{
    size_t    count = 0, cap = text.len / 2 + 1; /* a number and its newline */
    uint32_t *asns = calloc(cap, sizeof(*asns));

    *out = NULL;
    *error = asns == NULL ? "no memory" : NULL;
    for (*line = 1; text.len > 0 && *error == NULL; ++*line) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t      whole = newline != NULL ? (size_t) (newline - text.data) : text.len;
        const char *comment = memchr(text.data, '#', whole);
        uint32_t    asn;

        *error = asn_parse((struct tracker_str){ text.data, comment != NULL ? (size_t) (comment - text.data) : whole },
                           &asn);
        if (*error != NULL)
            break;
        if (asn != 0)
            asns[count++] = asn;
        text.data += whole + (newline != NULL);
        text.len -= whole + (newline != NULL);
    }
    if (*error != NULL) {
        free(asns);
        return false;
    }

    *line = 0;
    qsort(asns, count, sizeof(*asns), asn_compare);
    *len = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || asns[i] != asns[i - 1])
            asns[(*len)++] = htole32(asns[i]);
    }
    *len *= sizeof(*asns);
    *out = (uint8_t *) asns;
    return true;
}

bool
datacentres_hold(const struct detection_list *datacentres, uint32_t asn)
{
    size_t low = 0, high = datacentres->len / 4;

    while (low < high) {
        size_t   middle = (low + high) / 2;
        uint32_t there;
        memcpy(&there, datacentres->bytes + 4 * middle, sizeof(there));
        there = le32toh(there);
        if (there == asn)
            return true;
        if (there < asn)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- files ---- */

/* NULL: text of *len bytes, malloc'ed; else what is wrong. */
static const char *
file_read(const char *path, char **text, size_t *len)
{
    FILE *file = fopen(path, "re");

    *text = NULL;
    if (file == NULL)
        return strerror(errno);
    *text = malloc(LIST_MAX + 1);
    *len = *text == NULL ? 0 : fread(*text, 1, LIST_MAX + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    return *text == NULL ? "no memory" : failed ? "it cannot be read" : *len > LIST_MAX ? "it is larger than 1 MiB" : NULL;
}

static bool
list_load(struct detection_list *list, const char *what, list_compile compile)
{
    char       *text;
    uint8_t    *bytes = NULL;
    size_t      text_len, len = 0;
    int         line = 0;
    const char *error = file_read(list->path, &text, &text_len);

    if (error == NULL)
        compile((struct tracker_str){ text, text_len }, &bytes, &len, &error, &line);
    free(text);
    if (error != NULL) {
        free(bytes);
        if (line > 0)
            log_error("detection", "the list of %s %s line %d: %s; the list in force stays", what, list->path, line, error);
        else
            log_error("detection", "the list of %s %s: %s; the list in force stays", what, list->path, error);
        return false;
    }
    bool changed = len != list->len || memcmp(bytes, list->bytes, len) != 0;
    free(list->bytes);
    list->bytes = bytes;
    list->len = len;
    list->replaced = true;
    log_info("detection", "the list of %s is %s", what, list->path);
    return changed;
}

static bool
list_refresh(struct detection_list *list, const char *what, list_compile compile)
{
    struct stat now;

    if (list->path == NULL)
        return false;
    if (stat(list->path, &now) != 0)
        memset(&now, 0, sizeof(now));
    if (list->looked && now.st_dev == list->seen.st_dev && now.st_ino == list->seen.st_ino
        && now.st_size == list->seen.st_size && now.st_mtim.tv_sec == list->seen.st_mtim.tv_sec
        && now.st_mtim.tv_nsec == list->seen.st_mtim.tv_nsec)
        return false;
    list->seen = now;
    list->looked = true;
    return list_load(list, what, compile);
}

bool
detection_refresh(struct detection *detection)
{
    bool agents = list_refresh(&detection->agents, "user agents", agents_compile);
    bool datacentres = list_refresh(&detection->datacentres, "datacentres", datacentres_compile);
    return agents || datacentres;
}

/* ---- both lists ---- */

static bool
list_build_in(struct detection_list *list, const char *path, const char *text, size_t len, list_compile compile)
{
    const char *error;
    int         line;

    list->path = path;
    return compile((struct tracker_str){ text, len }, &list->bytes, &list->len, &error, &line);
}

bool
detection_init(struct detection *detection, const char *agents_path, const char *datacentres_path)
{
    memset(detection, 0, sizeof(*detection));
    if (!list_build_in(&detection->agents, agents_path, built_in_agents, sizeof(built_in_agents) - 1, agents_compile)
        || !list_build_in(&detection->datacentres, datacentres_path, built_in_datacentres,
                          sizeof(built_in_datacentres) - 1, datacentres_compile)) {
        detection_clear(detection);
        return false;
    }
    detection_refresh(detection);
    return true;
}

void
detection_clear(struct detection *detection)
{
    free(detection->agents.bytes);
    free(detection->datacentres.bytes);
    memset(detection, 0, sizeof(*detection));
}
