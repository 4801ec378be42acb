#include "service/destination.h"

#include <string.h>

#include "service/hosts.h"
#include "tracker_url.h"

enum service_result
destination_check(const struct service *service, struct db *db, const char *destination, const char *field,
                  struct service_error *error)
{
    struct tracker_str text = { destination, strlen(destination) };
    uint8_t            compiled[TRACKER_TEMPLATE_MAX];
    const char        *complaint;

    if (tracker_template_compile(text, TRACKER_TEMPLATE_APPEND_CLICK_ID, compiled, sizeof(compiled), &complaint) < 0)
        return service_invalid(error, field, complaint);
    return hosts_check_url(service, db, destination, field, "", error);
}

enum service_result
destination_check_plain(const struct service *service, struct db *db, const char *url, const char *field,
                        struct service_error *error)
{
    if (strpbrk(url, "{}#") != NULL)
        return service_invalid(error, field, "is no plain URL: neither macros ({...}) nor a fragment (#...) have a meaning here");
    return destination_check(service, db, url, field, error);
}
