#include "service/attribute.h"

#include <string.h>

#include "service/view.h"

#define MS_PER_DAY UINT64_C(86400000)

static enum db_result add_touch(const struct service *service, struct db *db, struct attribution *out,
                                enum tracker_touch_source source, const char *text);
static enum db_result is_early(const struct service *service, struct db *db, const struct fact *fact,
                               const struct tracker_click_id *click, bool *early);

enum db_result
attribute(const struct service *service, struct db *db, const struct fact *fact, struct attribution *out)
{
    char           first[TRACKER_CLICK_ID_LEN + 1];
    bool           early = false;
    enum db_result rc;

    *out = (struct attribution){ .verdict = ATTRIBUTION_NOBODY, .winner = -1 };
    rc = program_rule(db, fact->program_id, &out->rule);
    if (rc == DB_OK)
        rc = add_touch(service, db, out, TRACKER_TOUCH_CLICK_ID, fact->click_id);
    if (rc != DB_OK || out->count == 0)
        return rc;

    rc = is_early(service, db, fact, &out->touches[0].click, &early);
    if (rc != DB_OK || early) {
        out->verdict = ATTRIBUTION_TOO_EARLY;
        return rc;
    }
    /*
     * A click whose cookie knew an earlier one stands for that visitor's last touch; the cookie's first is
     * the other candidate.
     */
    if (!out->touches[0].click.recorded) /* its sequence counts drops: what has that number is another's click */
        first[0] = '\0';
    else
        rc = click_first_touch(db, out->touches[0].click.journal, out->touches[0].click.sequence, first);
    if (rc == DB_OK && first[0] != '\0' && strcmp(first, fact->click_id) != 0) {
        out->touches[0].source = TRACKER_TOUCH_COOKIE_LAST;
        rc = add_touch(service, db, out, TRACKER_TOUCH_COOKIE_FIRST, first);
    }
    if (rc != DB_OK)
        return rc;

    out->winner = tracker_attribute(out->touches, out->count, (uint32_t) fact->program_id, out->rule,
                                    (uint64_t) fact->event_time_ms);
    out->verdict = out->winner < 0 ? ATTRIBUTION_NOBODY : ATTRIBUTION_WON;
    return DB_OK;
}

/* A text that is no click id of ours adds nothing: the edge had checked it, but the backend trusts no wire. */
static enum db_result
add_touch(const struct service *service, struct db *db, struct attribution *out, enum tracker_touch_source source,
          const char *text)
{
    struct tracker_touch *touch = &out->touches[out->count];
    struct link_owner     owner = { 0 };
    enum db_result        rc;

    if (tracker_click_id_decode(service->keys, (struct tracker_str){ text, strlen(text) }, &touch->click)
        != TRACKER_CLICK_ID_OK)
        return DB_OK;
    rc = link_owner_at(db, touch->click.link, (int64_t) touch->click.time_ms, &owner);
    if (rc != DB_ROW && rc != DB_DONE)
        return rc;
    touch->source = source;
    touch->program = (uint32_t) owner.program_id;
    touch->campaign = (uint32_t) owner.campaign_id;
    touch->affiliate = (uint32_t) owner.affiliate_id;
    touch->window_ms = (uint64_t) owner.window_days * MS_PER_DAY;
    memcpy(out->texts[out->count], text, TRACKER_CLICK_ID_LEN + 1);
    out->count++;
    return DB_OK;
}

static enum db_result
is_early(const struct service *service, struct db *db, const struct fact *fact, const struct tracker_click_id *click,
         bool *early)
{
    enum journal_progress progress;
    enum db_result        rc;

    *early = false;
    if (!click->recorded || service->now_us() >= (uint64_t) fact->received_ms * 1000 + PARK_LIMIT_US)
        return DB_OK;
    rc = journal_progress(db, click->journal, click->sequence, &progress);
    *early = rc == DB_OK && progress != JOURNAL_PASSED;
    return rc;
}

json_t *
attribution_why(const struct attribution *attribution)
{
    json_t *touches = json_array();

    for (unsigned i = 0; i < attribution->count; i++) {
        const struct tracker_touch *touch = &attribution->touches[i];

        json_array_append_new(touches,
                              json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "source",
                                        tracker_touch_source_name(touch->source), "click_id", attribution->texts[i],
                                        "verdict", tracker_touch_verdict_name(touch->verdict), "affiliate_id",
                                        view_id(touch->affiliate), "campaign_id", view_id(touch->campaign), "clicked_at",
                                        view_time_us((int64_t) touch->click.time_ms * 1000), "window_days",
                                        (json_int_t) (touch->window_ms / MS_PER_DAY)));
    }
    return json_pack("{s:s, s:o}", "rule", attribution->rule == TRACKER_ATTRIBUTION_FIRST ? "first" : "last", "touches",
                     touches);
}
