/*
 * period.h - the calendar month (UTC) that money is posted in; pure.
 */
#ifndef AFFILIATED_DOMAIN_PERIOD_H
#define AFFILIATED_DOMAIN_PERIOD_H

#include <stdint.h>

/*
 * "2026-11" of the event; or, once that month is closed, of now.  A month takes events of its own for a day after its
 * end, so that retries and an hour's outage move nothing.
 */
void period_open(int64_t event_time_ms, uint64_t now_us, char period[8]);

#endif
