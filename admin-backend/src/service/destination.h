/* destination.h - where a click may be sent. */
#ifndef AFFILIATED_SERVICE_DESTINATION_H
#define AFFILIATED_SERVICE_DESTINATION_H

#include "service/service.h"

#define DESTINATION_MAX 2000 /* bytes */

/* A template that compiles (tracker_url.h), and no loop to a host of our own. */
enum service_result destination_check(const struct service *service, struct db *db, const char *destination,
                                      const char *field, struct service_error *error);

/* An absolute URL without macros, to which a query may be added; not on a host of our own either. */
enum service_result destination_check_plain(const struct service *service, struct db *db, const char *url,
                                            const char *field, struct service_error *error);

#endif
