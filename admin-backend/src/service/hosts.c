#include "service/hosts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/rules.h"
#include "store/catalog.h"
#include "tracker_snapshot.h"
#include "tracker_url.h"

#define HOSTS_MAX 256

/* ---- reading ---- */

bool
host_name_read(const char *text, char *out)
{
    size_t len = strlen(text), label = 0;

    if (len > 0 && text[len - 1] == '.') /* "shop.example." is the same host */
        len--;
    if (len == 0 || len > HOST_NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = i == len ? '.' : (char) tolower((unsigned char) text[i]);

        if (c == '.') {
            if (label == 0 || label > 63 || text[i - 1] == '-' || text[i - label] == '-')
                return false;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
            label++;
        } else {
            return false;
        }
        out[i] = c;
    }
    out[len] = '\0';
    return true;
}

static bool
complain(char complaint[FIELD_COMPLAINT_MAX], const char *what, const char *text)
{
    snprintf(complaint, FIELD_COMPLAINT_MAX, "holds \"%.80s\", which %s", text, what);
    return false;
}

#define NO_HOST "is no host name (neither scheme, port nor path; names outside ASCII are written as xn--...)"

bool
hosts_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    json_t *names = json_array(), *item;
    size_t  i, bytes = 0;
    bool    good = true;

    snprintf(complaint, FIELD_COMPLAINT_MAX, "is no list of at most %d host names", HOSTS_MAX);
    if (!json_is_array(json) || json_array_size(json) > HOSTS_MAX)
        good = false;
    json_array_foreach(json, i, item) {
        const char *text = json_string_value(item);
        bool        below = text != NULL && text[0] == '.';
        char        name[1 + HOST_NAME_MAX_LEN + 1] = ".";

        if (!good)
            break;
        if (text == NULL || strlen(text) != json_string_length(item))
            good = complain(complaint, "is no text", "");
        else if (!host_name_read(text + below, name + 1))
            good = complain(complaint, NO_HOST, text);
        else if ((bytes += strlen(name + !below) + 1) > TRACKER_HOSTS_MAX)
            good = complain(complaint, "is one too many: the list is longer than 8192 bytes", text);
        else
            json_array_append_new(names, json_string(name + !below));
    }
    value->text = good ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    if (good && value->text == NULL)
        snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    return value->text != NULL;
}

bool
domain_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    const char *text = json_string_value(json);
    char        name[HOST_NAME_MAX_LEN + 1] = "";

    snprintf(complaint, FIELD_COMPLAINT_MAX, NO_HOST);
    if (text == NULL || strlen(text) != json_string_length(json) || (text[0] != '\0' && !host_name_read(text, name)))
        return false;
    snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    value->text = strdup(name);
    return value->text != NULL;
}

char *
hosts_lines(const char *json_text)
{
    json_t *names = json_loads(json_text, 0, NULL), *item;
    size_t  i, len = 0, size = 1;
    char   *lines = NULL;

    json_array_foreach(names, i, item)
        size += json_string_length(item) + 1;
    if (json_is_array(names))
        lines = malloc(size);
    if (lines != NULL)
        lines[0] = '\0';
    json_array_foreach(names, i, item) {
        if (lines != NULL && json_is_string(item))
            len += (size_t) snprintf(lines + len, size - len, "%s\n", json_string_value(item));
    }
    json_decref(names);
    return lines;
}

/* ---- loops ---- */

bool
host_covered(const char *entry, const char *name)
{
    size_t len = strlen(name), tail;

    if (entry[0] != '.')
        return strcmp(entry, name) == 0;
    tail = strlen(entry);
    return strcmp(entry + 1, name) == 0 || (len > tail && strcmp(name + len - tail, entry) == 0);
}

/* A URL's host as a name to compare: lower case, no dot at its end. "" when it has none. */
static void
name_of(const char *url, char name[TRACKER_TEMPLATE_MAX])
{
    struct tracker_str host = tracker_url_host((struct tracker_str){ url, strlen(url) });

    if (host.len >= TRACKER_TEMPLATE_MAX)
        host.len = 0;
    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    for (size_t i = 0; i < host.len; i++)
        name[i] = (char) tolower((unsigned char) host.data[i]);
    name[host.len] = '\0';
}

struct search {
    const char *entry;
    bool        found;
};

static enum db_result
look_at_domain(void *ctx, const char *domain)
{
    struct search *search = ctx;

    search->found = search->found || host_covered(search->entry, domain);
    return DB_OK;
}

static enum db_result
is_ours(const struct service *service, struct db *db, const char *entry, bool *ours)
{
    struct search  search = { entry, false };
    char           own[TRACKER_TEMPLATE_MAX];
    enum db_result rc;

    name_of(service->base_url, own);
    if (entry[0] == '\0' || host_covered(entry, own)) {
        *ours = entry[0] != '\0';
        return DB_OK;
    }
    rc = program_each_domain(db, look_at_domain, &search);
    *ours = search.found;
    return rc;
}

static enum service_result
check_entry(const struct service *service, struct db *db, const char *entry, const char *field, const char *where,
            struct service_error *error)
{
    char           complaint[FIELD_COMPLAINT_MAX];
    bool           ours;
    enum db_result rc = is_ours(service, db, entry, &ours);

    if (rc != DB_OK)
        return service_from_db(error, rc, "program_each_domain");
    if (!ours)
        return SERVICE_OK;
    snprintf(complaint, sizeof(complaint), "%s%sleads back to our own tracking host %.100s: a click would go round for ever",
             where, where[0] == '\0' ? "" : " ", entry);
    return service_invalid(error, field, complaint);
}

enum service_result
hosts_check_url(const struct service *service, struct db *db, const char *url, const char *field, const char *where,
                struct service_error *error)
{
    char name[TRACKER_TEMPLATE_MAX];

    name_of(url, name);
    return check_entry(service, db, name, field, where, error);
}

struct rule_check {
    const struct service *service;
    struct db            *db;
    struct service_error *error;
    enum service_result   result;
};

static void
check_target(void *ctx, unsigned rule, unsigned target, const char *destination)
{
    struct rule_check *check = ctx;
    char               where[64];

    snprintf(where, sizeof(where), "rule %u, target %u:", rule, target);
    if (check->result == SERVICE_OK)
        check->result = hosts_check_url(check->service, check->db, destination, "rules", where, check->error);
}

enum service_result
hosts_check_rules(const struct service *service, struct db *db, const char *rules, struct service_error *error)
{
    struct rule_check check = { service, db, error, SERVICE_OK };

    rules_each_destination(rules, check_target, &check);
    return check.result;
}

enum service_result
hosts_check_list(const struct service *service, struct db *db, const char *hosts, struct service_error *error)
{
    json_t             *names = json_loads(hosts, 0, NULL), *item;
    size_t              i;
    enum service_result result = SERVICE_OK;

    json_array_foreach(names, i, item) {
        if (result == SERVICE_OK)
            result = check_entry(service, db, json_string_value(item), "deep_link_hosts", "", error);
    }
    json_decref(names);
    return result;
}

/* ---- a domain that becomes ours ---- */

struct domain_check {
    const char *domain;
    char        found[80]; /* "link 17"; empty: nothing leads there */
};

static bool
leads_to(const char *url, const char *domain)
{
    char name[TRACKER_TEMPLATE_MAX];

    name_of(url, name);
    return strcmp(name, domain) == 0;
}

static void
look_at_rule(void *ctx, unsigned rule, unsigned target, const char *destination)
{
    struct search *search = ctx;

    (void) rule;
    (void) target;
    search->found = search->found || leads_to(destination, search->entry);
}

static bool
list_covers(const char *hosts, const char *domain)
{
    json_t *names = json_loads(hosts, 0, NULL), *item;
    size_t  i;
    bool    found = false;

    json_array_foreach(names, i, item)
        found = found || host_covered(json_string_value(item), domain);
    json_decref(names);
    return found;
}

static enum db_result
look_at_target(void *ctx, const struct catalog_target *target)
{
    struct domain_check *check = ctx;
    struct search        search = { check->domain, false };

    rules_each_destination(target->rules, look_at_rule, &search);
    if (search.found || leads_to(target->url, check->domain) || list_covers(target->hosts, check->domain)) {
        snprintf(check->found, sizeof(check->found), "%s %lld", target->kind, (long long) target->id);
        return DB_ABORT;
    }
    return DB_OK;
}

enum service_result
hosts_check_domain(const struct service *service, struct db *db, const char *domain, struct service_error *error)
{
    struct domain_check check = { .domain = domain };
    char                own[TRACKER_TEMPLATE_MAX], complaint[FIELD_COMPLAINT_MAX];
    enum db_result      rc;

    name_of(service->base_url, own);
    if (domain[0] == '\0' || strcmp(domain, own) == 0)
        return SERVICE_OK;
    rc = catalog_each_target(db, domain, look_at_target, &check);
    if (rc != DB_OK && rc != DB_ABORT)
        return service_from_db(error, rc, "catalog_each_target");
    if (check.found[0] == '\0')
        return SERVICE_OK;
    snprintf(complaint, sizeof(complaint), "is where %s sends its visitors: a click would go round for ever", check.found);
    return service_invalid(error, "tracking_domain", complaint);
}
