#include "service/attribute.h"

#include <string.h>

#include "service/view.h"
#include "store/catalog.h"

#define MS_PER_DAY UINT64_C(86400000)

static enum db_result add_click(const struct service *service, struct db *db, struct attribution *out,
                                enum tracker_touch_source source, const char *text);
static enum db_result add_named_click(const struct service *service, struct db *db, const struct fact *fact,
                                      struct attribution *out, bool *early);
static enum db_result add_coupon(struct db *db, const struct fact *fact, struct attribution *out);
static enum db_result add_customer(struct db *db, const struct fact *fact, struct attribution *out);
static enum db_result add_lead(struct db *db, const struct fact *fact, struct attribution *out);
static enum db_result is_early(const struct service *service, struct db *db, const struct fact *fact,
                               const struct tracker_click_id *click, bool *early);

enum db_result
attribute(const struct service *service, struct db *db, const struct fact *fact, struct attribution *out)
{
    bool           early = false;
    enum db_result rc;

    *out = (struct attribution){ .verdict = ATTRIBUTION_NOBODY };
    rc = program_policy(db, fact->program_id, fact->event, &out->policy);
    if (rc == DB_OK)
        rc = add_named_click(service, db, fact, out, &early);
    if (rc == DB_OK && early && fact->affiliate_id == 0) {
        out->verdict = ATTRIBUTION_TOO_EARLY;
        return rc;
    }
    if (rc == DB_OK)
        rc = add_click(service, db, out, TRACKER_TOUCH_COOKIE_LAST, fact->cookie_last);
    if (rc == DB_OK && strcmp(fact->cookie_first, fact->cookie_last) != 0)
        rc = add_click(service, db, out, TRACKER_TOUCH_COOKIE_FIRST, fact->cookie_first);
    if (rc == DB_OK && fact->coupon[0] != '\0')
        rc = add_coupon(db, fact, out);
    if (rc == DB_OK && fact->customer[0] != '\0')
        rc = add_customer(db, fact, out);
    if (rc == DB_OK && fact->affiliate_id != 0)
        rc = add_lead(db, fact, out);
    if (rc == DB_OK
        && tracker_attribute(out->touches, out->count, &out->policy, (uint64_t) fact->event_time_ms) > 0)
        out->verdict = ATTRIBUTION_WON;
    return rc;
}

/*
 * A server names the visitor's last click; the cookie that was there at that click may have known an earlier one
 * (docs/decisions/0004).
 */
static enum db_result
add_named_click(const struct service *service, struct db *db, const struct fact *fact, struct attribution *out,
                bool *early)
{
    const struct tracker_click_id *click = &out->touches[0].click;
    enum db_result                 rc = add_click(service, db, out, TRACKER_TOUCH_CLICK_ID, fact->click_id);

    if (rc != DB_OK || out->count == 0)
        return rc;
    rc = is_early(service, db, fact, click, early);
    if (rc != DB_OK || *early || !click->recorded)
        return rc;
    rc = click_kept(db, click->journal, click->sequence, &out->named);
    if (rc == DB_OK && strcmp(out->named.first_touch, fact->click_id) != 0)
        rc = add_click(service, db, out, TRACKER_TOUCH_CLICK_FIRST, out->named.first_touch);
    return rc;
}

/* A text that is no click id of ours adds nothing: the edge had checked it, but the backend trusts no wire. */
static enum db_result
add_click(const struct service *service, struct db *db, struct attribution *out, enum tracker_touch_source source,
          const char *text)
{
    struct tracker_touch *touch = &out->touches[out->count];
    struct link_owner     owner = { 0 };
    struct click_kept     kept = { .flags = 0 };
    enum db_result        rc;

    if (tracker_click_id_decode(service->keys, (struct tracker_str){ text, strlen(text) }, &touch->click)
        != TRACKER_CLICK_ID_OK)
        return DB_OK;
    rc = link_owner_at(db, touch->click.link, (int64_t) touch->click.time_ms, &owner);
    if (rc != DB_ROW && rc != DB_DONE)
        return rc;
    /* Unrecorded: its sequence counts drops, and is another click's. */
    rc = touch->click.recorded ? click_kept(db, touch->click.journal, touch->click.sequence, &kept) : DB_OK;
    if (rc != DB_OK)
        return rc;
    touch->source = source;
    touch->not_counting = (kept.flags & TRACKER_CLICK_FALLBACK) != 0;
    touch->program = (uint32_t) owner.program_id;
    touch->campaign = (uint32_t) owner.campaign_id;
    touch->affiliate = (uint32_t) owner.affiliate_id;
    touch->window_ms = (uint64_t) owner.window_days * MS_PER_DAY;
    out->links[out->count] = touch->click.link;
    out->texts[out->count++] = text;
    return DB_OK;
}

static enum db_result
add_coupon(struct db *db, const struct fact *fact, struct attribution *out)
{
    struct tracker_touch *touch = &out->touches[out->count];
    struct coupon_row     row;
    char                  key[COUPON_CODE_MAX + 1];
    enum db_result        rc = coupon_key(fact->coupon, key) ? coupon_find(db, fact->program_id, key, &row) : DB_DONE;

    if (rc != DB_ROW && rc != DB_DONE)
        return rc;
    *touch = (struct tracker_touch){ .source = TRACKER_TOUCH_COUPON };
    if (rc == DB_ROW) {
        touch->program = (uint32_t) row.program_id;
        touch->campaign = (uint32_t) row.campaign_id;
        touch->affiliate = (uint32_t) row.affiliate_id;
        touch->from_ms = (uint64_t) row.valid_from_us / 1000;
        touch->to_ms = (uint64_t) row.valid_to_us / 1000;
        touch->inactive = strcmp(row.state, "active") != 0;
        row_free(&coupon_table, &row);
    }
    out->texts[out->count++] = fact->coupon;
    return DB_OK;
}

static enum db_result
add_customer(struct db *db, const struct fact *fact, struct attribution *out)
{
    struct customer_part parts[2] = { { .affiliate_id = 0 } };
    unsigned             count;
    enum db_result       rc = customer_find(db, fact->program_id, fact->customer, parts, &count);

    if (rc != DB_OK)
        return rc;
    for (unsigned i = 0; i < (count == 0 ? 1 : count); i++) { /* one of nobody says that he is not known */
        out->touches[out->count] = (struct tracker_touch){
            .source = TRACKER_TOUCH_CUSTOMER,
            .program = (uint32_t) fact->program_id,
            .campaign = (uint32_t) parts[i].campaign_id,
            .affiliate = (uint32_t) parts[i].affiliate_id,
            .part_ppm = parts[i].share_ppm,
        };
        out->links[out->count] = parts[i].link_id;
        out->texts[out->count++] = fact->customer;
    }
    return DB_OK;
}

/* Whose lead it was, was decided when it came: how long it took to become a customer is no matter. */
static enum db_result
add_lead(struct db *db, const struct fact *fact, struct attribution *out)
{
    int64_t        program = 0, link = 0, campaign = 0;
    enum db_result rc = catalog_program_of(db, CATALOG_AFFILIATE, fact->affiliate_id, &program);

    if (rc == DB_OK)
        rc = lead_origin(db, fact->lead_id, fact->affiliate_id, &link, &campaign);
    if (rc != DB_ROW && rc != DB_DONE)
        return rc;
    out->touches[out->count] = (struct tracker_touch){
        .source = TRACKER_TOUCH_LEAD,
        .program = (uint32_t) program,
        .campaign = (uint32_t) campaign,
        .affiliate = (uint32_t) fact->affiliate_id,
    };
    out->links[out->count] = link;
    out->texts[out->count++] = fact->lead;
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

/* ---- why ---- */

bool
attribution_is_click(const struct tracker_touch *touch)
{
    switch (touch->source) {
    case TRACKER_TOUCH_COUPON:
    case TRACKER_TOUCH_CUSTOMER:
    case TRACKER_TOUCH_LEAD:
        return false;
    case TRACKER_TOUCH_CLICK_ID:
    case TRACKER_TOUCH_CLICK_FIRST:
    case TRACKER_TOUCH_COOKIE_LAST:
    case TRACKER_TOUCH_COOKIE_FIRST:
        break;
    }
    return true;
}

/* What its text is. */
static const char *
what_of(const struct tracker_touch *touch)
{
    if (attribution_is_click(touch))
        return "click_id";
    if (touch->source == TRACKER_TOUCH_LEAD)
        return "lead_id";
    return touch->source == TRACKER_TOUCH_COUPON ? "coupon" : "customer";
}

static json_t *
why_touch(const struct tracker_touch *touch, const char *text)
{
    const char *what = what_of(touch);
    json_t     *why = json_pack("{s:s, s:s, s:s, s:o, s:o}", "source", tracker_touch_source_name(touch->source), what,
                                text, "verdict", tracker_touch_verdict_name(touch->verdict), "affiliate_id",
                                view_id(touch->affiliate), "campaign_id", view_id(touch->campaign));

    if (touch->share_ppm != 0)
        json_object_set_new(why, "share", view_ppm(touch->share_ppm));
    if (attribution_is_click(touch)) {
        json_object_set_new(why, "clicked_at", view_time_us((int64_t) touch->click.time_ms * 1000));
        json_object_set_new(why, "window_days", json_integer((json_int_t) (touch->window_ms / MS_PER_DAY)));
    }
    return why;
}

static const char *
step_of(enum tracker_touch_source source)
{
    switch (source) {
    case TRACKER_TOUCH_CLICK_ID:
    case TRACKER_TOUCH_CLICK_FIRST:
        return tracker_touch_means_name(TRACKER_MEANS_CLICK_ID);
    case TRACKER_TOUCH_COOKIE_LAST:
    case TRACKER_TOUCH_COOKIE_FIRST:
        return tracker_touch_means_name(TRACKER_MEANS_COOKIE);
    case TRACKER_TOUCH_COUPON:
        return tracker_touch_means_name(TRACKER_MEANS_COUPON);
    case TRACKER_TOUCH_CUSTOMER:
        return "customer";
    case TRACKER_TOUCH_LEAD:
        return "lead";
    }
    return NULL;
}

static const char *
rule_name(enum tracker_attribution_rule rule)
{
    switch (rule) {
    case TRACKER_ATTRIBUTION_LAST:
        return "last";
    case TRACKER_ATTRIBUTION_FIRST:
        return "first";
    case TRACKER_ATTRIBUTION_BOTH:
        return "both";
    }
    return "last";
}

json_t *
attribution_why(const struct attribution *attribution)
{
    json_t     *touches = json_array(), *order = json_array();
    const char *step = NULL;

    for (unsigned i = 0; i < attribution->count; i++) {
        json_array_append_new(touches, why_touch(&attribution->touches[i], attribution->texts[i]));
        if (attribution->touches[i].share_ppm != 0)
            step = step_of(attribution->touches[i].source);
    }
    for (unsigned i = 0; i < TRACKER_MEANS; i++)
        json_array_append_new(order, json_string(tracker_touch_means_name(attribution->policy.order[i])));
    return json_pack("{s:s, s:o, s:s?, s:o}", "rule", rule_name(attribution->policy.rule), "order", order, "step", step,
                     "touches", touches);
}
