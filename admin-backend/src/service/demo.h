/*
 * demo.h - a small, believable program, filled in through the same services as everybody's.
 */
#ifndef AFFILIATED_SERVICE_DEMO_H
#define AFFILIATED_SERVICE_DEMO_H

#include "service/service.h"

/*
 * Works on a database without staff only (SERVICE_CONFLICT "not_empty").  *object, a new reference, is what
 * demo.json holds but for redis_url, affiliated and config, which the command line adds:
 * {"base_url","admin":{...},"affiliate":{...},"api_user":{...},"links":[...]}.  Passwords and keys are random each time.
 */
enum service_result demo_fill(const struct service *service, json_t **object, struct service_error *error);

#endif
