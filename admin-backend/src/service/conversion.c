/* Reviewing what contradicts conversions. */
#include "service/conversion.h"

#include "service/decide.h"
#include "store/conversion.h"

const char *
conversion_status_name(int status)
{
    switch ((enum tracker_conversion_status) status) {
    case TRACKER_CONVERSION_PENDING:
        return "pending";
    case TRACKER_CONVERSION_APPROVED:
        return "approved";
    case TRACKER_CONVERSION_REJECTED:
        return "rejected";
    case TRACKER_CONVERSION_REFUND:
        return "refund";
    case TRACKER_CONVERSION_CHARGEBACK:
        return "chargeback";
    case TRACKER_CONVERSION_CHARGEBACK_WON:
        return "chargeback_won";
    }
    return "?";
}

struct review {
    int64_t     if_version;
    const char *note;
};

static enum service_result
resolve(struct db *db, struct decision *decision, struct service_error *error)
{
    const struct review *review = decision->ctx;
    enum db_result       rc = conflict_resolve(db, decision->id, review->if_version, review->note, decision->at_us);

    if (rc == DB_CONFLICT && review->if_version != 0)
        return service_refuse(error, SERVICE_STALE, "stale", "The conflict was changed by somebody else meanwhile.");
    if (rc == DB_CONFLICT)
        decision->unchanged = true; /* it is resolved already */
    return rc == DB_OK || rc == DB_CONFLICT ? SERVICE_OK : service_from_db(error, rc, "conflict_resolve");
}

enum service_result
conflict_close(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
               const char *note, json_t **conflict, struct service_error *error)
{
    struct review   review = { if_version, note };
    struct decision decision = {
        .service = service,
        .actor = actor,
        .spec = &conflict_list,
        .object_type = "conflict",
        .action = "conflict.resolve",
        .id = id,
        .reason = note,
        .step = resolve,
        .ctx = &review,
    };

    return decide(&decision, conflict, error);
}
