/*
 * demo.h - a small, believable program to try things on.
 */
#ifndef AFFILIATED_SERVICE_DEMO_H
#define AFFILIATED_SERVICE_DEMO_H

#include "service/service.h"

struct demo_options {
    const char *file;       /* demo.json: mode 0600, replaced at once */
    const char *redis_url;
    const char *affiliated; /* path of the binary */
    const char *config;     /* path of its configuration */
};

/*
 * Fills in, through the services that everybody uses, whatever is not there
 * yet, and writes the file: addresses, credentials (random each time) and links.
 * On a state that was filled before it changes nothing but the file's paths and
 * addresses.  SERVICE_CONFLICT "demo_file_lost": it was filled before, and the
 * file, the only place of its passwords, is gone.
 */
enum service_result demo_fill(const struct service *service, const struct demo_options *options,
                              struct service_error *error);

#endif
