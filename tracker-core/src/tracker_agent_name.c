/*
 * tracker_agent_name.c - devices, operating systems and browsers by number and by name.
 */
#include "tracker_agent.h"

#define NAME(number, name, text) [number] = { text, sizeof(text) - 1 },
static const struct tracker_str devices[] = { TRACKER_DEVICES(NAME) };
static const struct tracker_str oses[] = { TRACKER_OSES(NAME) };
static const struct tracker_str browsers[] = { TRACKER_BROWSERS(NAME) };
#undef NAME

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

static struct tracker_str
name_of(const struct tracker_str *names, size_t count, unsigned number)
{
    return number < count ? names[number] : TRACKER_STR_NONE;
}

static unsigned
number_of(const struct tracker_str *names, size_t count, struct tracker_str name)
{
    for (unsigned number = 1; number < count; number++)
        if (tracker_str_eq(names[number], name))
            return number;
    return 0;
}

struct tracker_str
tracker_device_name(unsigned device)
{
    return name_of(devices, COUNT(devices), device);
}

struct tracker_str
tracker_os_name(unsigned os)
{
    return name_of(oses, COUNT(oses), os);
}

struct tracker_str
tracker_browser_name(unsigned browser)
{
    return name_of(browsers, COUNT(browsers), browser);
}

unsigned
tracker_device_find(struct tracker_str name)
{
    return name.len == 0 ? 0 : number_of(devices, COUNT(devices), name);
}

unsigned
tracker_os_find(struct tracker_str name)
{
    return name.len == 0 ? 0 : number_of(oses, COUNT(oses), name);
}

unsigned
tracker_browser_find(struct tracker_str name)
{
    return name.len == 0 ? 0 : number_of(browsers, COUNT(browsers), name);
}
