/*
 * export.c - stats of journals, and clicks as CSV.
 */
#include "service/csv.h"
#include "service/export.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "service/view.h"
#include "store/click.h"
#include "store/journal.h"
#include "store/lead_fact.h"
#include "tracker_agent.h"

#define EXPORT_PAGE 2000

/* ---- stats ---- */

static enum db_result
stats_journal(void *ctx, const struct journal_row *row)
{
    char hex[TRACKER_JOURNAL_HEX_LEN + 1] = "";
    tracker_journal_id_format(&row->uuid, hex);

    /* The edge's own count may be older than what it has sent since. */
    uint64_t decided = row->at.next - 1;
    uint64_t written = row->accepted > decided ? row->accepted : decided;
    /*
     * A journal that was closed was read to its end: what its edge had told of beyond that went with the power and
     * comes no more.  Should somebody have closed it too early, its next pack opens it again.
     */
    uint64_t pending = row->closed ? 0 : written - decided;
    json_t  *journal = json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "id", hex, "edge", row->edge, "accepted",
        (json_int_t) (written + row->dropped), "committed", (json_int_t) row->committed, "pending",
        (json_int_t) pending, "quarantined", (json_int_t) row->quarantined, "dropped", (json_int_t) row->dropped,
        "lost", (json_int_t) (row->lost + (written - decided - pending)));
    return json_array_append_new(ctx, journal) == 0 ? DB_OK : DB_FAILED;
}

struct stats {
    json_t *journals, *leads;
};

static void
stats_leads(void *ctx, const char *outcome, int64_t count)
{
    json_object_set_new(ctx, outcome == NULL ? "undecided" : outcome, json_integer(count));
}

static enum db_result
stats_work(struct db *db, void *ctx)
{
    struct stats  *stats = ctx;
    enum db_result result;

    json_array_clear(stats->journals);
    json_object_clear(stats->leads);
    stats_leads(stats->leads, "undecided", 0);
    result = journal_each(db, stats_journal, stats->journals);
    return result == DB_OK ? lead_fact_counts(db, stats_leads, stats->leads) : result;
}

enum db_result
stats_get(const struct service *service, json_t **stats)
{
    struct stats   found = { json_array(), json_object() };
    enum db_result result = db_read(service->pool, stats_work, &found);

    *stats = NULL;
    if (result == DB_OK)
        *stats = json_pack("{s:o,s:O,s:O}", "as_of", view_time_us((int64_t) service->now_us()), "journals",
                           found.journals, "leads", found.leads);
    json_decref(found.journals);
    json_decref(found.leads);
    return result;
}

/* ---- export ---- */

struct export {
    FILE    *out;
    int64_t  journal_id, seq; /* of the last row written */
    int64_t  from_ms, to_ms;
    int      found;
};

static void
csv_text(FILE *out, const char *text)
{
    putc(',', out);
    csv_cell(out, text);
}

static void
csv_time(FILE *out, int64_t ms)
{
    time_t    seconds = ms / 1000;
    struct tm utc;
    char      text[32];

    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    fprintf(out, ",%s.%03dZ", text, (int) (ms % 1000));
}

static void
csv_address(FILE *out, const void *ip, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    bool known = ip != NULL && (len == 4 || len == 16)
                 && inet_ntop(len == 4 ? AF_INET : AF_INET6, ip, text, sizeof(text)) != NULL;
    csv_text(out, known ? text : NULL);
}

/* Within a day equal for equal addresses; not to be taken for one. */
static void
csv_hash(FILE *out, const uint8_t *hash, size_t len)
{
    fputs(",hash:", out);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", hash[i]);
}

static void
csv_number(FILE *out, int64_t number)
{
    if (number == 0)
        putc(',', out);
    else
        fprintf(out, ",%lld", (long long) number);
}

/* One of our own words. */
static void
csv_name(FILE *out, struct tracker_str name)
{
    fprintf(out, ",%.*s", (int) name.len, name.data == NULL ? "" : name.data);
}

static enum db_result
export_row(void *ctx, const struct click_export *row)
{
    struct export *export = ctx;
    FILE          *out = export->out;
    char           id[TRACKER_CLICK_ID_LEN];

    /* Click ids may begin with '-' and are written bare: only we can make one, and scripts compare them. */
    click_id_unpack(row->click_id, id);
    fwrite(id, 1, sizeof(id), out);
    csv_time(out, row->time_ms);
    csv_time(out, row->received_ms);
    fprintf(out, ",%.*s,%lld,%lld,%lld,%lld,%lld,%lld", TRACKER_JOURNAL_HEX_LEN, row->uuid_hex,
            (long long) row->seq, (long long) row->program_id, (long long) row->campaign_id,
            (long long) row->link_id, (long long) row->affiliate_id, (long long) row->flags);
    fprintf(out, ",%s", row->first_touch != NULL ? row->first_touch : "");
    if (row->ip_form == TRACKER_IP_HASHED)
        csv_hash(out, row->ip, row->ip_len);
    else
        csv_address(out, row->ip, row->ip_len);
    csv_text(out, row->user_agent);
    csv_text(out, row->referrer);
    csv_text(out, row->params);
    csv_text(out, row->country);
    csv_text(out, row->region);
    csv_text(out, row->city);
    csv_number(out, row->asn);
    csv_name(out, tracker_device_name((unsigned) row->device));
    csv_name(out, tracker_os_name((unsigned) row->os));
    csv_name(out, tracker_browser_name((unsigned) row->browser));
    csv_number(out, row->rule);
    csv_number(out, row->target);
    putc('\n', out);
    return ferror(out) ? DB_ABORT : DB_OK;
}

static enum db_result
export_work(struct db *db, void *ctx)
{
    struct export *export = ctx;
    return click_page(db, &export->journal_id, &export->seq, export->from_ms, export->to_ms, EXPORT_PAGE,
                      export_row, export, &export->found);
}

enum db_result
export_clicks(const struct service *service, int64_t from_us, int64_t to_us, FILE *out)
{
    struct export  export = { .out = out, .from_ms = from_us / 1000, .to_ms = to_us / 1000 };
    enum db_result result;

    fputs("click_id,time,received,journal,sequence,program_id,campaign_id,link_id,affiliate_id,flags,"
          "first_touch,ip,user_agent,referrer,params,country,region,city,asn,device,os,browser,rule,target\n",
          out);
    do
        result = db_read(service->pool, export_work, &export);
    while (result == DB_OK && export.found == EXPORT_PAGE);
    return result == DB_OK && ferror(out) ? DB_ABORT : result;
}
