/*
 * lead_convert.h - a lead becomes a trader with an account: by hand, or at once where its sender is paid for that (CPA).
 */
#ifndef AFFILIATED_SERVICE_LEAD_CONVERT_H
#define AFFILIATED_SERVICE_LEAD_CONVERT_H

#include "service/secret.h"
#include "store/lead.h"

enum lead_conversion {
    LEAD_CONVERTED,
    LEAD_CONVERTED_BEFORE, /* nothing was done */
    LEAD_WITHOUT_EMAIL     /* an account needs one: nothing was done */
};

/*
 * Within the caller's transaction; the row is in the table, and is read there again by whoever needs it.
 *
 * Who has the address already is linked (leads.existing), else made; without an open account he gets one.  A trader who
 * is new is a registration: a conversion fact of journal 0 says so, of which derivation makes the referral, for the
 * affiliate that the lead was attributed to when it came.  Tests and leads of nobody make none.
 *
 * invitation (SECRET_MAX bytes; may be NULL): the secret of a link to set a password, for who has none; else "".
 */
enum db_result lead_convert(struct db *db, const struct lead_row *lead, uint64_t now_us,
                            enum lead_conversion *conversion, char *invitation);

#endif
