/*
 * config.c - reads affiliated.conf with inih, one table of keys.
 */
#include "app/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const char *(*config_setter)(struct config *config, const char *value);

/* A setter gives NULL, or what is wrong with the value. */
static const char *config_database(struct config *config, const char *value);
static const char *config_redis(struct config *config, const char *value);
static const char *config_listen(struct config *config, const char *value);
static const char *config_key_file(struct config *config, const char *value);
static const char *config_base_url(struct config *config, const char *value);
static const char *config_click_path(struct config *config, const char *value);
static const char *config_form_path(struct config *config, const char *value);
static const char *config_partitions(struct config *config, const char *value);
static const char *config_state(struct config *config, const char *value);
static const char *config_log_level(struct config *config, const char *value);
static const char *config_smtp_url(struct config *config, const char *value);
static const char *config_smtp_user(struct config *config, const char *value);
static const char *config_smtp_password(struct config *config, const char *value);
static const char *config_smtp_ca(struct config *config, const char *value);
static const char *config_smtp_tls(struct config *config, const char *value);
static const char *config_mail_from(struct config *config, const char *value);
static const char *config_agents(struct config *config, const char *value);
static const char *config_datacentres(struct config *config, const char *value);

/* Those of [affiliated] stand there by their name alone, others as section.name. */
static const struct {
    const char   *name;
    config_setter set;
} config_keys[] = {
    { "database", config_database },     { "redis", config_redis },   { "listen", config_listen },
    { "key_file", config_key_file },     { "base_url", config_base_url }, { "click_path", config_click_path },
    { "form_path", config_form_path },
    { "partitions", config_partitions }, { "state", config_state },   { "log_level", config_log_level },
    { "smtp", config_smtp_url },         { "smtp_user", config_smtp_user },
    { "smtp_password_file", config_smtp_password }, { "smtp_ca_file", config_smtp_ca },
    { "smtp_tls", config_smtp_tls },     { "mail_from", config_mail_from },
    { "detection.agents", config_agents }, { "detection.datacentres", config_datacentres },
};

#define CONFIG_KEYS (sizeof(config_keys) / sizeof(config_keys[0]))

static const char *config_path(char **member, const char *value);
static void config_replace(char **member, const char *value);

void
config_init(struct config *config)
{
    memset(config, 0, sizeof(*config));
    config->partitions = 8;
    config->log_level = LOG_LEVEL_INFO;
}

void
config_clear(struct config *config)
{
    free(config->database);
    free(config->redis);
    free(config->redis_path);
    free(config->redis_host);
    free(config->listen);
    free(config->listen_path);
    free(config->key_file);
    free(config->base_url);
    free(config->click_path);
    free(config->form_path);
    free(config->state);
    free(config->smtp);
    free(config->smtp_user);
    free(config->smtp_password_file);
    free(config->smtp_ca_file);
    free(config->agents);
    free(config->datacentres);
    memset(config, 0, sizeof(*config));
}

/* ---- the file ---- */

struct config_reader {
    struct config *config;
    FILE          *file;
    int            line;       /* being read */
    int            error_line; /* the first one refused here; inih goes on after it */
    char           error[256];
};

static int
config_key_index(const char *name, size_t len)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        if (strlen(config_keys[i].name) == len && strncmp(config_keys[i].name, name, len) == 0)
            return (int) i;
    }
    return -1;
}

static bool
config_section_known(const char *section)
{
    size_t len = strlen(section);

    for (size_t i = 0; i < CONFIG_KEYS && len > 0; i++) {
        if (strncmp(config_keys[i].name, section, len) == 0 && config_keys[i].name[len] == '.')
            return true;
    }
    return false;
}

static char *
config_read_line(char *line, int size, void *stream)
{
    struct config_reader *reader = stream;
    reader->line++;
    return fgets(line, size, reader->file);
}

static int
config_refuse(struct config_reader *reader, const char *name, const char *complaint)
{
    if (reader->error_line == 0) {
        reader->error_line = reader->line;
        snprintf(reader->error, sizeof(reader->error), "\"%s\" %s", name, complaint);
    }
    return 0;
}

/* inih's convention: 0 makes this line the error's. */
static int
config_handle(void *user, const char *section, const char *name, const char *value)
{
    struct config_reader *reader = user;
    char                  full[64];
    bool                  first = strcmp(section, "affiliated") == 0;
    int                   len = snprintf(full, sizeof(full), "%s%s%s", first ? "" : section, first ? "" : ".", name);
    int                   key = len < (int) sizeof(full) ? config_key_index(full, (size_t) len) : -1;

    if (!first && !config_section_known(section))
        return config_refuse(reader, name, "does not stand in section [affiliated]");
    if (key < 0 || (first && strchr(name, '.') != NULL))
        return config_refuse(reader, name, first ? "is no key of ours" : "is no key of this section");
    if (reader->config->seen >> key & 1)
        return config_refuse(reader, name, "is said twice");
    reader->config->seen |= 1u << key;
    if (reader->config->pinned >> key & 1)
        return 1;

    const char *complaint = config_keys[key].set(reader->config, value);
    return complaint == NULL ? 1 : config_refuse(reader, name, complaint);
}

bool
config_load(struct config *config, const char *path, char *error, size_t cap)
{
    struct config_reader reader = { .config = config, .file = fopen(path, "re") };
    if (reader.file == NULL) {
        snprintf(error, cap, "cannot read %s: %s", path, strerror(errno));
        return false;
    }

    int line = ini_parse_stream(config_read_line, &reader, config_handle, &reader);
    fclose(reader.file);
    if (line == 0)
        return true;
    snprintf(error, cap, "%s line %d: %s", path, line,
             line == reader.error_line ? reader.error : "is not \"key = value\", or is too long");
    return false;
}

bool
config_set(struct config *config, const char *assignment, char *error, size_t cap)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        snprintf(error, cap, "--set wants key=value, not \"%s\"", assignment);
        return false;
    }

    int key = config_key_index(assignment, (size_t) (equals - assignment));
    if (key < 0) {
        snprintf(error, cap, "--set: unknown key \"%.*s\"", (int) (equals - assignment), assignment);
        return false;
    }
    const char *complaint = config_keys[key].set(config, equals + 1);
    if (complaint != NULL) {
        snprintf(error, cap, "--set: \"%s\" %s", config_keys[key].name, complaint);
        return false;
    }
    config->pinned |= 1u << key;
    return true;
}

bool
config_require(const struct config *config, unsigned needs, char *error, size_t cap)
{
    const struct {
        unsigned    need;
        const char *name;
        bool        given;
    } all[] = {
        { CONFIG_NEEDS_DATABASE, "database", config->database != NULL },
        { CONFIG_NEEDS_REDIS, "redis", config->redis != NULL },
        { CONFIG_NEEDS_LISTEN, "listen", config->listen != NULL },
        { CONFIG_NEEDS_KEYS, "key_file", config->key_file != NULL },
        { CONFIG_NEEDS_STATE, "state", config->state != NULL },
        { CONFIG_NEEDS_BASE_URL, "base_url", config->base_url != NULL },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if ((needs & all[i].need) != 0 && !all[i].given) {
            snprintf(error, cap, "the configuration does not say \"%s\"", all[i].name);
            return false;
        }
    }
    return true;
}

/* "smtp://[::1]:25" and the like: what is said on the way leaves this machine for none. */
static bool
config_smtp_is_near(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    size_t      len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    return (len == 9 && strncmp(host, "localhost", len) == 0) || (len == 5 && strncmp(host, "[::1]", len) == 0)
           || (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}

bool
config_smtp(const struct config *config, struct smtp_options *options, char *error, size_t cap)
{
    const char *complaint = NULL;
    bool        near = config->smtp != NULL && config_smtp_is_near(config->smtp);

    *options = (struct smtp_options){
        .url = config->smtp,
        .user = config->smtp_user,
        .password_file = config->smtp_password_file,
        .ca_file = config->smtp_ca_file,
        .tls = config->smtp_tls != 0 ? config->smtp_tls : near ? SMTP_TLS_OFF : SMTP_TLS_REQUIRED,
        .from = config->mail_from,
    };
    if (config->smtp == NULL)
        return true;
    if (config->mail_from.address[0] == '\0')
        complaint = "\"smtp\" needs \"mail_from\"";
    else if ((config->smtp_user == NULL) != (config->smtp_password_file == NULL))
        complaint = "\"smtp_user\" and \"smtp_password_file\" go together";
    else if (config->smtp_user != NULL && !near && options->tls != SMTP_TLS_REQUIRED
             && strncmp(config->smtp, "smtps:", 6) != 0)
        complaint = "\"smtp_user\" needs \"smtp_tls = required\": the password would travel in the open";
    if (complaint != NULL)
        snprintf(error, cap, "the configuration: %s", complaint);
    return complaint == NULL;
}

/* ---- one setter a key ---- */

static const char *
config_database(struct config *config, const char *value)
{
    if (strncmp(value, "sqlite:", 7) != 0)
        return "is an address of the form sqlite:/path";
    if (value[7] != '/')
        return "needs an absolute path: sqlite:/path";
    config_replace(&config->database, value);
    return NULL;
}

static const char *
config_redis(struct config *config, const char *value)
{
    char *path = NULL, *host = NULL;
    int   port = 0;

    if (strncmp(value, "unix:", 5) == 0) {
        if (value[5] != '/')
            return "needs an absolute path: unix:/path";
        path = strdup(value + 5);
    } else {
        const char *colon = strrchr(value, ':');
        char       *end;
        if (colon == NULL || colon == value)
            return "is unix:/path or host:port";
        unsigned long number = strtoul(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number < 1 || number > 65535)
            return "has no port between 1 and 65535";
        port = (int) number;
        bool bracketed = value[0] == '[' && colon[-1] == ']';
        host = strndup(value + bracketed, (size_t) (colon - value) - 2 * bracketed);
    }

    free(config->redis_path);
    free(config->redis_host);
    config->redis_path = path;
    config->redis_host = host;
    config->redis_port = port;
    config_replace(&config->redis, value);
    return NULL;
}

static const char *
config_listen(struct config *config, const char *value)
{
    if (strncmp(value, "unix:", 5) != 0)
        return "is unix:/path: nginx stands in front, nobody else";
    if (value[5] != '/')
        return "needs an absolute path: unix:/path";
    config_replace(&config->listen, value);
    config_replace(&config->listen_path, value + 5);
    return NULL;
}

static const char *
config_key_file(struct config *config, const char *value)
{
    return config_path(&config->key_file, value);
}

static const char *
config_base_url(struct config *config, const char *value)
{
    size_t len = strlen(value);

    if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
        return "begins with http:// or https://";
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char) *c <= ' ' || (unsigned char) *c > '~' || *c == '?' || *c == '#')
            return "is a plain URL: no spaces, no query";
    }
    config_replace(&config->base_url, value);
    while (len > 0 && config->base_url[len - 1] == '/')
        config->base_url[--len] = '\0';
    return NULL;
}

/* NULL, or what is wrong with a location's path. */
static const char *
config_location(char **member, const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char) *c <= ' ' || (unsigned char) *c > '~' || *c == '?' || *c == '#')
            return "is a plain path: no spaces, no query";
    }
    if (value[0] != '/')
        return "begins with a slash";
    config_replace(member, value);
    return NULL;
}

static const char *
config_click_path(struct config *config, const char *value)
{
    return config_location(&config->click_path, value);
}

static const char *
config_form_path(struct config *config, const char *value)
{
    return config_location(&config->form_path, value);
}

static const char *
config_partitions(struct config *config, const char *value)
{
    char         *end;
    unsigned long number = strtoul(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < 1 || number > CONFIG_PARTITIONS_MAX)
        return "is a number between 1 and 64";
    config->partitions = (unsigned) number;
    return NULL;
}

static const char *
config_state(struct config *config, const char *value)
{
    return config_path(&config->state, value);
}

static const char *
config_log_level(struct config *config, const char *value)
{
    return log_level_parse(value, &config->log_level) ? NULL : "is error, warn, info or debug";
}

/* scheme://host[:port], and nothing behind: an address that libcurl reads otherwise than we is none. */
static const char *
config_smtp_url(struct config *config, const char *value)
{
    const char *host = strncmp(value, "smtp://", 7) == 0 ? value + 7 : strncmp(value, "smtps://", 8) == 0 ? value + 8 : NULL;
    const char *port;
    size_t      len;

    if (host == NULL)
        return "begins with smtp:// or smtps://";
    if (host[0] == '[')
        len = strspn(host + 1, "0123456789abcdefABCDEF:.") + 2;
    else
        len = strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-");
    if (len == 0 || len > 255 || (host[0] == '[' && (strlen(host) < len || host[len - 1] != ']')))
        return "names no host";
    port = host + len;
    if (port[0] != '\0'
        && (port[0] != ':' || strlen(port) < 2 || strlen(port) > 6 || strspn(port + 1, "0123456789") != strlen(port + 1)
            || atoi(port + 1) < 1 || atoi(port + 1) > 65535))
        return "has nothing behind its host but a port";
    config_replace(&config->smtp, value);
    return NULL;
}

static const char *
config_smtp_user(struct config *config, const char *value)
{
    if (value[0] == '\0')
        return "is empty";
    config_replace(&config->smtp_user, value);
    return NULL;
}

static const char *
config_smtp_password(struct config *config, const char *value)
{
    return config_path(&config->smtp_password_file, value);
}

static const char *
config_smtp_ca(struct config *config, const char *value)
{
    return config_path(&config->smtp_ca_file, value);
}

static const char *
config_smtp_tls(struct config *config, const char *value)
{
    static const char *const names[] = { [SMTP_TLS_OFF] = "off", [SMTP_TLS_OPTIONAL] = "optional",
                                         [SMTP_TLS_REQUIRED] = "required" };

    for (int i = SMTP_TLS_OFF; i <= SMTP_TLS_REQUIRED; i++) {
        if (strcmp(names[i], value) == 0) {
            config->smtp_tls = (enum smtp_tls) i;
            return NULL;
        }
    }
    return "is required, optional or off";
}

static const char *
config_mail_from(struct config *config, const char *value)
{
    return mailbox_parse(value, &config->mail_from) ? NULL : "is no address, nor \"Name <address>\"";
}

static const char *
config_agents(struct config *config, const char *value)
{
    return config_path(&config->agents, value);
}

static const char *
config_datacentres(struct config *config, const char *value)
{
    return config_path(&config->datacentres, value);
}

static const char *
config_path(char **member, const char *value)
{
    if (value[0] != '/')
        return "needs an absolute path";
    config_replace(member, value);
    return NULL;
}

static void
config_replace(char **member, const char *value)
{
    free(*member);
    *member = strdup(value);
}
