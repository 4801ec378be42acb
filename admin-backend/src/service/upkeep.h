/*
 * upkeep.h - what `work` does now and then: warn of keys that end, forget what was kept for long enough.
 */
#ifndef AFFILIATED_SERVICE_UPKEEP_H
#define AFFILIATED_SERVICE_UPKEEP_H

#include "service/service.h"

/*
 * API users whose end is 30, 7 or 1 days away, or has come: a row each (shown with the user) and a line in the log, of
 * several that are due at once the nearest.  How many lines, or -1.
 */
int keys_warn(const struct service *service);

/* Lines of the API's log that are older than the setting api_log_days; sessions and invitations that are over. */
void outside_forget(const struct service *service);

#endif
