/*
 * rescore.c - steps of some thousand sequences: read and judge, and only where something changed a transaction that
 * judges once more and writes.
 */
#include "service/rescore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "service/audit.h"
#include "service/view.h"
#include "store/verdict.h"
#include "tracker_agent.h"
#include "tracker_event.h"

#define JOURNALS_ROUND 64
#define SEQUENCES_STEP 1000 /* of one journal and transaction */
#define REASONS_MAX    64   /* bytes of all names with their signs */

static const struct {
    const char *name;
    int64_t     flag;
} reasons[RESCORE_REASONS] = {
    { "bot", TRACKER_CLICK_BOT },
    { "preview", TRACKER_CLICK_PREVIEW },
    { "datacentre", TRACKER_CLICK_DATACENTRE },
    { "rate", TRACKER_CLICK_RATE },
};

/* Clicks in a hurry, in order of (journal, sequence). */
struct hurried {
    struct hurry {
        int64_t journal_id, seq;
    }     *at;
    size_t count, cap;
};

struct rescore {
    const struct service         *service;
    const struct actor           *actor;
    const struct rescore_request *request;
    struct hurried                hurried;
    struct rescore_report        *report;
};

/* One step; a retried transaction begins with it afresh. */
struct step {
    struct rescore       *rescore;
    int64_t               journal_id, from, to;
    struct rescore_report found;
    struct change {
        struct verdict_click click;
        int64_t              flags; /* today's */
    }     *changes; /* SEQUENCES_STEP of them */
    size_t change_count;
};

const char *
rescore_reason(int i)
{
    return reasons[i].name;
}

/* ---- judging ---- */

static int
hurry_compare(const void *a, const void *b)
{
    const struct hurry *left = a, *right = b;

    if (left->journal_id != right->journal_id)
        return left->journal_id < right->journal_id ? -1 : 1;
    return left->seq < right->seq ? -1 : left->seq > right->seq;
}

static int64_t
with_flag(int64_t flags, int64_t flag, bool on)
{
    return on ? flags | flag : flags & ~flag;
}

/* What nothing is known of today stays as the edge judged it. */
static int64_t
judge(const struct rescore *rescore, int64_t journal_id, const struct verdict_click *click)
{
    const struct detection *detection = rescore->request->detection;
    int64_t                 flags = click->recorded;

    if (click->user_agent != NULL) {
        struct tracker_agent agent;
        tracker_agents_classify(detection->agents.bytes, detection->agents.len,
                                (struct tracker_str){ click->user_agent, strlen(click->user_agent) }, &agent);
        flags = with_flag(flags, TRACKER_CLICK_BOT, agent.kind == TRACKER_AGENT_BOT);
        flags = with_flag(flags, TRACKER_CLICK_PREVIEW, agent.kind == TRACKER_AGENT_PREVIEW);
    }
    if (click->asn > 0)
        flags = with_flag(flags, TRACKER_CLICK_DATACENTRE,
                          datacentres_hold(&detection->datacentres, (uint32_t) click->asn));
    if (rescore->request->rate > 0 && click->has_ip) {
        const struct hurry key = { journal_id, click->seq };
        flags = with_flag(flags, TRACKER_CLICK_RATE,
                          rescore->hurried.count > 0
                              && bsearch(&key, rescore->hurried.at, rescore->hurried.count, sizeof(key), hurry_compare)
                                     != NULL);
    } else {
        /* not asked for: what an earlier run found stays */
        flags = with_flag(flags, TRACKER_CLICK_RATE, (click->flags & TRACKER_CLICK_RATE) != 0);
    }
    return flags;
}

static bool
counted(int64_t flags)
{
    return (flags & TRACKER_CLICK_UNCOUNTED) == 0;
}

static enum db_result
step_click(void *ctx, const struct verdict_click *click)
{
    struct step *step = ctx;
    int64_t      flags = judge(step->rescore, step->journal_id, click);

    step->found.judged++;
    if (flags == click->flags)
        return DB_OK;
    step->found.changed++;
    step->found.out += counted(click->flags) && !counted(flags);
    step->found.in += !counted(click->flags) && counted(flags);
    for (int i = 0; i < RESCORE_REASONS; i++) {
        step->found.added[i] += (flags & ~click->flags & reasons[i].flag) != 0;
        step->found.taken[i] += (click->flags & ~flags & reasons[i].flag) != 0;
    }
    step->changes[step->change_count++] = (struct change){ *click, flags };
    return DB_OK;
}

static enum db_result
step_judge(struct db *db, void *ctx)
{
    struct step                  *step = ctx;
    const struct rescore_request *request = step->rescore->request;

    memset(&step->found, 0, sizeof(step->found));
    step->change_count = 0;
    return verdict_clicks(db, step->journal_id, step->from, step->to, request->from_ms, request->to_ms, step_click, step);
}

/* ---- writing ---- */

/* "+bot -datacentre": what differs from the edge's own verdict. */
static void
reasons_text(int64_t recorded, int64_t flags, char text[REASONS_MAX])
{
    size_t len = 0;

    text[0] = '\0';
    for (int i = 0; i < RESCORE_REASONS; i++) {
        if (((recorded ^ flags) & reasons[i].flag) != 0)
            len += (size_t) snprintf(text + len, REASONS_MAX - len, "%s%c%s", len > 0 ? " " : "",
                                     (flags & reasons[i].flag) != 0 ? '+' : '-', reasons[i].name);
    }
}

static enum db_result
change_write(struct db *db, const struct step *step, const struct change *change)
{
    const struct verdict_click *click = &change->click;
    const struct service       *service = step->rescore->service;
    bool                        was = counted(click->flags), is = counted(change->flags);
    bool                        first = (click->flags & TRACKER_CLICK_REPEAT) == 0;
    char                        text[REASONS_MAX];

    reasons_text(click->recorded, change->flags, text);
    enum db_result result = verdict_put(db, step->journal_id, click->seq, change->flags, text,
                                        (int64_t) service->now_us(), step->rescore->actor->name);
    if (result == DB_OK && was != is)
        result = verdict_recount(db, click, is ? 1 : -1, first ? (is ? 1 : -1) : 0);
    if (result == DB_ABORT)
        log_error("rescore", "click_stats lacks the click %lld:%lld: see `affiliated verify`",
                  (long long) step->journal_id, (long long) click->seq);
    return result;
}

static enum db_result
step_write(struct db *db, void *ctx)
{
    struct step   *step = ctx;
    enum db_result result = step_judge(db, step);

    for (size_t i = 0; i < step->change_count && result == DB_OK; i++)
        result = change_write(db, step, &step->changes[i]);
    return result;
}

static void
report_add(struct rescore_report *report, const struct rescore_report *found)
{
    report->judged += found->judged;
    report->changed += found->changed;
    report->out += found->out;
    report->in += found->in;
    for (int i = 0; i < RESCORE_REASONS; i++) {
        report->added[i] += found->added[i];
        report->taken[i] += found->taken[i];
    }
}

static bool
stopped(const struct rescore *rescore)
{
    const atomic_bool *stop = rescore->request->stop;
    return stop != NULL && atomic_load(stop);
}

static enum db_result
rescore_journal(struct rescore *rescore, const struct verdict_journal *journal, struct change *changes)
{
    for (int64_t from = 1; from < journal->rolled_seq && !stopped(rescore); from += SEQUENCES_STEP) {
        struct step step = { .rescore = rescore, .journal_id = journal->journal_id, .from = from,
                             .to = from + SEQUENCES_STEP, .changes = changes };
        if (step.to > journal->rolled_seq)
            step.to = journal->rolled_seq;

        enum db_result result = db_read(rescore->service->pool, step_judge, &step);
        if (result == DB_OK && step.change_count > 0 && !rescore->request->dry_run)
            result = db_write(rescore->service->pool, DB_BATCH, step_write, &step);
        if (result != DB_OK)
            return result;
        report_add(rescore->report, &step.found);
    }
    return DB_OK;
}

/* ---- a run ---- */

static enum db_result
hurried_add(void *ctx, int64_t journal_id, int64_t seq)
{
    struct hurried *hurried = ctx;

    if (hurried->count == hurried->cap) {
        size_t        cap = hurried->cap > 0 ? 2 * hurried->cap : 1024;
        struct hurry *at = realloc(hurried->at, cap * sizeof(*at));
        if (at == NULL)
            return DB_ABORT;
        hurried->at = at;
        hurried->cap = cap;
    }
    hurried->at[hurried->count++] = (struct hurry){ journal_id, seq };
    return DB_OK;
}

static enum db_result
hurried_work(struct db *db, void *ctx)
{
    struct rescore               *rescore = ctx;
    const struct rescore_request *request = rescore->request;

    rescore->hurried.count = 0;
    return verdict_hurried(db, request->from_ms, request->to_ms, request->rate, hurried_add, &rescore->hurried);
}

struct journals {
    int64_t                after, from_ms;
    struct verdict_journal at[JOURNALS_ROUND];
    int                    count;
};

static enum db_result
journals_work(struct db *db, void *ctx)
{
    struct journals *journals = ctx;
    return verdict_journals(db, journals->after, journals->from_ms, journals->at, JOURNALS_ROUND, &journals->count);
}

/* Before the first step what is asked, after the last what was found: a run that was killed has said the first. */
struct remark {
    const struct rescore *rescore;
    bool                  done;
};

static enum db_result
remark_work(struct db *db, void *ctx)
{
    const struct remark          *remark = ctx;
    const struct rescore_request *request = remark->rescore->request;
    const struct rescore_report  *report = remark->rescore->report;
    json_t *what = remark->done ? json_pack("{s:I, s:I, s:I, s:I}", "judged", (json_int_t) report->judged, "changed",
                                            (json_int_t) report->changed, "counted_no_more", (json_int_t) report->out,
                                            "counted_again", (json_int_t) report->in)
                                : json_pack("{s:o, s:o, s:i}", "from", view_time_us(request->from_ms * 1000), "to",
                                            view_time_us(request->to_ms * 1000), "rate", request->rate);

    enum db_result result = audit_write(db, remark->rescore->actor, remark->rescore->service->now_us(),
                                        remark->done ? "clicks.rescored" : "clicks.rescore", "clicks", 0, NULL, what,
                                        NULL);
    json_decref(what);
    return result;
}

static enum db_result
remark(const struct rescore *rescore, bool done)
{
    struct remark remark = { rescore, done };
    return rescore->request->dry_run ? DB_OK
                                     : db_write(rescore->service->pool, DB_BATCH, remark_work, &remark);
}

enum db_result
rescore_run(const struct service *service, const struct actor *actor, const struct rescore_request *request,
            struct rescore_report *report)
{
    struct rescore  rescore = { .service = service, .actor = actor, .request = request, .report = report };
    struct journals journals = { .from_ms = request->from_ms };
    struct change  *changes = calloc(SEQUENCES_STEP, sizeof(*changes));

    memset(report, 0, sizeof(*report));
    enum db_result result = changes == NULL ? DB_ABORT : remark(&rescore, false);
    if (result == DB_OK && request->rate > 0)
        result = db_read(service->pool, hurried_work, &rescore);
    do {
        if (result == DB_OK)
            result = db_read(service->pool, journals_work, &journals);
        for (int i = 0; i < journals.count && result == DB_OK; i++) {
            result = rescore_journal(&rescore, &journals.at[i], changes);
            journals.after = journals.at[i].journal_id;
        }
    } while (result == DB_OK && journals.count == JOURNALS_ROUND && !stopped(&rescore));
    report->stopped = stopped(&rescore);
    if (result == DB_OK)
        result = remark(&rescore, true);
    free(changes);
    free(rescore.hurried.at);
    return result;
}
