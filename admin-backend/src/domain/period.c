#include "domain/period.h"

#include <string.h>
#include <time.h>

#define OPEN_MS INT64_C(86400000)

static void
month_of(int64_t time_ms, char month[8])
{
    time_t    seconds = (time_t) (time_ms / 1000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || strftime(month, 8, "%Y-%m", &tm) != 7)
        memcpy(month, "0000-00", 8);
}

void
period_open(int64_t event_time_ms, uint64_t now_us, char period[8])
{
    const int64_t now_ms = (int64_t) (now_us / 1000);
    char          oldest_open[8];

    month_of(event_time_ms, period);
    month_of(now_ms - OPEN_MS, oldest_open);
    if (strcmp(period, oldest_open) < 0)
        month_of(now_ms, period);
}
