/* destination.h - where a click may be sent. */
#ifndef AFFILIATED_SERVICE_DESTINATION_H
#define AFFILIATED_SERVICE_DESTINATION_H

#include "service/service.h"

/* A template that compiles (tracker_url.h), and no loop to our own host. */
enum service_result destination_check(const struct service *service, const char *destination, const char *field,
                                      struct service_error *error);

#endif
