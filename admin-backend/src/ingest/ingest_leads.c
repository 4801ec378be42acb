/*
 * ingest_leads.c - leads that were committed are decided at once: somebody waits at an edge for the verdict.
 *
 * Some at a time, between two reads: a flood of leads does not keep the acks of others back.  A verdict that Redis does
 * not take is lost; the edge answers 202 then, and whoever sends the lead again gets it told again.
 */
#include "ingest/ingest_internal.h"

#include "app/log.h"
#include "service/lead_decide.h"

#define DECIDE_BATCH    32
#define DECIDE_EVERY_MS 1000u /* those that failed are tried again */

static void
ingest_tell_verdict(void *ctx, const uint8_t id[TRACKER_LEAD_ID_LEN], const struct tracker_verdict *verdict)
{
    struct ingest *ingest = ctx;
    char           hex[TRACKER_LEAD_HEX_LEN];
    uint8_t        bytes[TRACKER_VERDICT_LEN];

    if (!ingest->welcomed)
        return;
    tracker_lead_hex(id, hex);
    tracker_verdict_encode(ingest->options.keys, id, verdict, bytes);
    wire_append_format(&ingest->wire, "SET " TRACKER_VERDICT_KEY "%b %b EX %d", hex, sizeof(hex), bytes, sizeof(bytes),
                       TRACKER_VERDICT_LIFE_S);
    wire_drain(&ingest->wire); /* each at once: the next one's commit takes longer than this */
}

void
ingest_decide(struct ingest *ingest)
{
    int taken;

    taken = lead_decide(&ingest->service, DECIDE_BATCH, ingest_tell_verdict, ingest);
    if (taken < 0)
        log_warn("ingest", "leads cannot be decided now: %s", db_last_message());
    ingest->deciding = taken == DECIDE_BATCH;
    ingest->decide_at_ms = wire_now_ms() + DECIDE_EVERY_MS;
}
