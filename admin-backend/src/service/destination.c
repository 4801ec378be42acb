#include "service/destination.h"

#include <string.h>
#include <strings.h>

#include "tracker_url.h"

enum service_result
destination_check(const struct service *service, const char *destination, const char *field,
                  struct service_error *error)
{
    struct tracker_str text = { destination, strlen(destination) }, host, own;
    uint8_t            compiled[TRACKER_TEMPLATE_MAX];
    const char        *complaint;

    if (tracker_template_compile(text, TRACKER_TEMPLATE_APPEND_CLICK_ID, compiled, sizeof(compiled), &complaint) < 0)
        return service_invalid(error, field, complaint);

    /* A visitor sent back to our own clicks would go round for ever, recording each time. */
    host = tracker_url_host(text);
    own = tracker_url_host((struct tracker_str){ service->base_url, strlen(service->base_url) });
    if (host.len == own.len && strncasecmp(host.data, own.data, host.len) == 0)
        return service_invalid(error, field, "leads back to this server");
    return SERVICE_OK;
}
