#include "service/lead_convert.h"

#include <stdio.h>
#include <string.h>

#include "service/trader.h"
#include "store/fact.h"
#include "store/lead_work.h"

static enum db_result make_trader(struct db *db, const struct lead_row *lead, uint64_t now_us, int64_t *id);
static enum db_result equip(struct db *db, const struct trader_row *trader, uint64_t now_us, char *invitation);
static enum db_result register_trader(struct db *db, const struct lead_row *lead, int64_t trader_id, uint64_t now_us);

enum db_result
lead_convert(struct db *db, const struct lead_row *lead, uint64_t now_us, enum lead_conversion *conversion,
             char *invitation)
{
    struct trader_row trader = { .id = 0 };
    bool              existing;
    enum db_result    rc;

    if (invitation != NULL)
        invitation[0] = '\0';
    *conversion = lead->trader_id != 0      ? LEAD_CONVERTED_BEFORE
                  : lead->email_key == NULL ? LEAD_WITHOUT_EMAIL
                                            : LEAD_CONVERTED;
    if (*conversion != LEAD_CONVERTED)
        return DB_OK;
    rc = trader_by_email(db, lead->program_id, lead->email_key, &trader);
    existing = rc == DB_ROW;
    if (rc == DB_DONE) {
        rc = make_trader(db, lead, now_us, &trader.id);
        if (rc == DB_OK)
            rc = row_load(db, &trader_table, trader.id, &trader);
    }
    if (rc != DB_ROW)
        return rc == DB_DONE ? DB_FAILED : rc;
    rc = equip(db, &trader, now_us, invitation);
    if (rc == DB_OK)
        rc = lead_set_converted(db, lead->id, trader.id, existing || lead->existing != 0, now_us);
    if (rc == DB_OK && !existing && lead->test == 0 && lead->affiliate_id != 0)
        rc = register_trader(db, lead, trader.id, now_us);
    row_free(&trader_table, &trader);
    return rc;
}

static enum db_result
make_trader(struct db *db, const struct lead_row *lead, uint64_t now_us, int64_t *id)
{
    struct trader_row trader = {
        .version = 1,
        .program_id = lead->program_id,
        .agent_id = lead->agent_id,
        .first_name = lead->first_name,
        .last_name = lead->last_name,
        .email = lead->email,
        .email_key = lead->email_key,
        .phone = lead->phone,
        .phone_key = lead->phone_key,
        .country = lead->country,
        .state = (char *) "invited",
        .notes = (char *) "",
    };
    enum db_result rc = row_insert(db, &trader_table, &trader, now_us);

    *id = trader.id;
    return rc;
}

static enum db_result
equip(struct db *db, const struct trader_row *trader, uint64_t now_us, char *invitation)
{
    int64_t        open = 0;
    enum db_result rc;

    if (strcmp(trader->state, "disabled") == 0)
        return DB_OK;
    rc = accounts_open(db, trader->id, &open);
    if (rc == DB_OK && open == 0)
        rc = trader_open_account(db, trader->id, now_us);
    if (rc == DB_OK && invitation != NULL && trader->password_hash == NULL)
        rc = trader_new_invitation(db, trader->id, now_us, invitation);
    return rc;
}

/* The trader's id is what the platform calls the customer from now on: deposits that name it find the affiliate. */
static enum db_result
register_trader(struct db *db, const struct lead_row *lead, int64_t trader_id, uint64_t now_us)
{
    int64_t     now_ms = (int64_t) (now_us / 1000);
    struct fact said = {
        .key = { 0, trader_id },
        .time_ms = now_ms,
        .received_ms = now_ms,
        .event_time_ms = now_ms,
        .program_id = lead->program_id,
        .api_user_id = lead->api_user_id,
        .affiliate_id = lead->affiliate_id,
        .lead_id = lead->id,
        .status = TRACKER_CONVERSION_PENDING,
        .auth = TRACKER_AUTH_API_KEY,
        .event = "registration",
    };

    snprintf(said.customer, sizeof(said.customer), "%lld", (long long) trader_id);
    snprintf(said.txid, sizeof(said.txid), "trader:%lld", (long long) trader_id);
    if (lead->click_id != NULL)
        snprintf(said.click_id, sizeof(said.click_id), "%.*s", TRACKER_CLICK_ID_LEN, lead->click_id);
    return fact_insert(db, &said);
}
