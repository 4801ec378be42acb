/*
 * hosts.h - host names that people set, and which of them are our own.
 *
 * A visitor who is sent to a tracking host of ours would be redirected again, and recorded each time, for ever.  So
 * nothing that a click may lead to can be on one: neither on the installation's base_url nor on a program's
 * tracking domain, whatever the port.
 */
#ifndef AFFILIATED_SERVICE_HOSTS_H
#define AFFILIATED_SERVICE_HOSTS_H

#include "service/fields.h"

#define HOST_NAME_MAX_LEN 253

/* Field readers: ".shop.example" (sub-domains too) and "shop.example" in a list; one name, or "". Lower case after. */
bool hosts_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);
bool domain_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* RFC 1123 names in lower case into out (HOST_NAME_MAX_LEN + 1 bytes); others must come as xn--.  False: it is none. */
bool host_name_read(const char *text, char *out);
/* Whether an entry of such a list, in lower case, takes in that host. */
bool host_covered(const char *entry, const char *name);

/* The hosts of a row's column, each followed by a newline, as edges read them; malloc'ed. NULL: no such list. */
char *hosts_lines(const char *json_text);

/* `url` is an absolute URL, a template too. Blames `field`, and says where within it when `where` is not "". */
enum service_result hosts_check_url(const struct service *service, struct db *db, const char *url, const char *field,
                                    const char *where, struct service_error *error);
enum service_result hosts_check_rules(const struct service *service, struct db *db, const char *rules,
                                      struct service_error *error);
enum service_result hosts_check_list(const struct service *service, struct db *db, const char *hosts,
                                     struct service_error *error);
/* A domain that becomes ours: nothing may lead there already. */
enum service_result hosts_check_domain(const struct service *service, struct db *db, const char *domain,
                                       struct service_error *error);

#endif
