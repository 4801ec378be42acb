/*
 * ngx_http_affiliate.h - what the files of the module share.
 *
 * Two halves meet here.  The request side (click, conversion, status, snapshot)
 * decides and answers; the wire side (journal, ship, adopt, fetch) keeps what was
 * recorded and brings it to the backend.  They share the configuration, the
 * zone, and the short calls below; neither reaches into the other's state.
 *
 * Everything runs on the worker's event loop unless a comment says "any thread".
 */
#ifndef NGX_HTTP_AFFILIATE_H
#define NGX_HTTP_AFFILIATE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "tracker_event.h"
#include "tracker_journal.h"
#include "tracker_keys.h"
#include "tracker_snapshot.h"

#if !(NGX_THREADS)
#error "ngx_http_affiliate_module needs nginx --with-threads: journals are synced in its thread pool"
#endif

extern ngx_module_t ngx_http_affiliate_module;

/* ---- configuration: http{} level, one per cycle, read-only once nginx runs ---- */

/* affiliate_redis unix:/path | address:port.  Addresses only: a resolver would block the event loop. */
typedef struct {
    ngx_str_t text; /* as written, for logs */
    char     *path; /* NUL-terminated; NULL for TCP */
    char     *host; /* NUL-terminated numeric address; path and host both NULL: nothing is shipped */
    in_port_t port; /* host byte order */
} ngx_http_affiliate_redis_t;

/* affiliate_journal traffic=4g money=256m retain=26h sync=100ms */
typedef struct {
    off_t      traffic_quota; /* bytes on disk of all traffic journals of this edge, retained ones included */
    off_t      money_quota;
    time_t     retain;        /* seconds that acked segments are kept, longer than the backup interval */
    ngx_msec_t sync;          /* traffic is on disk at most this long after the answer; money before it */
} ngx_http_affiliate_journal_conf_t;

/* What a database knows; the city's comes first, see geo.c. */
typedef enum {
    NGX_HTTP_AFFILIATE_GEO_CITY,
    NGX_HTTP_AFFILIATE_GEO_COUNTRY,
    NGX_HTTP_AFFILIATE_GEO_ASN,
    NGX_HTTP_AFFILIATE_GEO_COUNT
} ngx_http_affiliate_geo_e;

typedef struct ngx_http_affiliate_zone_s ngx_http_affiliate_zone_t;

typedef struct {
    ngx_path_t                       *state;         /* affiliate_state; NULL: the module is idle */
    ngx_str_t                         journal_dir;   /* <state>/journal, .../snapshot, .../locks: NUL-terminated */
    ngx_str_t                         snapshot_dir;
    ngx_str_t                         locks_dir;
    ngx_http_affiliate_redis_t        redis;
    ngx_str_t                         edge;          /* affiliate_edge: 1..TRACKER_EDGE_NAME_MAX bytes */
    struct tracker_keys              *keys;          /* wiped with the cycle; NULL only when idle */
    ngx_http_affiliate_journal_conf_t journal;
    ngx_str_t                         snapshot_file; /* affiliate_snapshot: fixed, nothing is fetched; or len 0 */
    ngx_shm_zone_t                   *shm_zone;
    ngx_uint_t                        zone_links;    /* affiliate_zone links=: places for links' counters */
    ngx_http_affiliate_zone_t        *zone;          /* mapped before any worker starts */
    ngx_thread_pool_t                *thread_pool;   /* "default" */
    ngx_uint_t                        tracks;            /* affiliate_track stands somewhere */
    ngx_str_t                         geo_files[NGX_HTTP_AFFILIATE_GEO_COUNT]; /* affiliate_geoip; data NULL: none */
    ngx_uint_t                        geo;           /* some of them are given */
    ngx_uint_t                        takes_conversions; /* affiliate_conversion stands in some location */
    ngx_uint_t                        takes_tokens;      /* some of them with token= */
    ngx_uint_t                        takes_leads;       /* affiliate_lead */
    ngx_uint_t                        guards;            /* affiliate_auth */
    ngx_str_t                         needed_by;     /* a directive that affiliate_state is missed by; or len 0 */
} ngx_http_affiliate_main_conf_t;

/* ---- the shared zone: counters that only grow, and gauges of the living ---- */

/*
 * Name and help appear on the status page (as affiliate_<name>_total and affiliate_<name>, docs/monitoring.md):
 * append, do not rename.
 */
#define NGX_HTTP_AFFILIATE_COUNTERS(X)                                                                         \
    X(CLICKS, "clicks", "Clicks recorded and answered.")                                                       \
    X(IMPRESSIONS, "impressions", "Impressions recorded and answered.")                                        \
    X(CLICKS_UNRECORDED, "clicks_unrecorded", "Clicks redirected whose event the journal refused.")            \
    X(CLICKS_UNKNOWN, "clicks_unknown", "Clicks on codes that no link has.")                                   \
    X(CLICKS_REFUSED, "clicks_refused", "Clicks on known codes that had nowhere to go.")                       \
    X(CAPS_UNCOUNTED, "caps_uncounted", "Click caps left to the backend: the zone counts no more of them.")    \
    X(AGENT_HITS, "agent_hits", "User agents whose judgement a worker remembered.")                            \
    X(AGENT_MISSES, "agent_misses", "User agents judged by the snapshot's list.")                              \
    X(CONVERSIONS, "conversions", "Conversions on disk and answered 200.")                                     \
    X(CONVERSIONS_REFUSED, "conversions_refused", "Conversions answered 4xx.")                                 \
    X(CONVERSIONS_UNAVAILABLE, "conversions_unavailable", "Conversions answered 5xx: the sender tries again.") \
    X(PIXELS, "pixels", "Conversions recorded by pixels.")                                                     \
    X(PIXELS_REFUSED, "pixels_refused", "Pixels that recorded nothing.")                                       \
    X(LEADS, "leads", "Leads that the database took.")                                                         \
    X(LEADS_UNDECIDED, "leads_undecided", "Leads on disk, answered before the database's word had come.")      \
    X(LEADS_REJECTED, "leads_rejected", "Leads on disk that the database did not take: duplicates, for one.")  \
    X(LEADS_REFUSED, "leads_refused", "Leads answered 4xx before they were recorded.")                         \
    X(LEADS_UNAVAILABLE, "leads_unavailable", "Leads answered 5xx: the sender tries again.")                   \
    X(VERDICTS_REFUSED, "verdicts_refused", "Verdicts on leads whose MAC does not verify.")                    \
    X(API_CALLS, "api_calls", "Calls of the partner API, refused ones included.")                              \
    X(API_PASSED, "api_passed", "Calls that affiliate_auth let through to the backend.")                       \
    X(API_REFUSED, "api_refused", "Calls that affiliate_auth refused.")                                        \
    X(FORMS, "forms", "Forms shown.")                                                                          \
    X(FORM_LEADS, "form_leads", "Leads of forms on disk and answered.")                                        \
    X(FORM_TRAPS, "form_traps", "Of them: sent as only bots do, and taken for nothing.")                       \
    X(FORMS_REFUSED, "forms_refused", "Requests for forms answered 4xx.")                                      \
    X(FORMS_UNAVAILABLE, "forms_unavailable", "Requests for forms answered 5xx.")                              \
    X(DROPPED_TRAFFIC, "dropped_traffic", "Clicks and views that no journal took.")                            \
    X(DROPPED_MONEY, "dropped_money", "Conversions that no journal took.")                                     \
    X(SNAPSHOTS_LOADED, "snapshots_loaded", "Snapshots taken into use, by all workers.")                       \
    X(SNAPSHOTS_REFUSED, "snapshots_refused", "Snapshot files refused: damaged, or of other keys.")            \
    X(JOURNALS_CREATED, "journals_created", "Journals begun by workers.")                                      \
    X(JOURNALS_ADOPTED, "journals_adopted", "Journals of dead workers taken over.")                            \
    X(JOURNALS_DELETED, "journals_deleted", "Journals deleted, all their records committed long enough ago.")  \
    X(JOURNALS_FORKED, "journals_forked", "Journals that another machine writes too: a cloned state folder.")  \
    X(JOURNALS_QUARANTINED, "journals_quarantined", "Files among the journals set aside as .bad.")             \
    X(SYNC_ERRORS, "sync_errors", "Times that the disk failed to sync a journal.")                             \
    X(PACKS_SENT, "packs_sent", "Packs handed to Redis.")                                                      \
    X(RECORDS_SENT, "records_sent", "Records handed to Redis, repetitions included.")                          \
    X(RECORDS_ACKED, "records_acked", "Records that the database has committed.")                              \
    X(REWINDS, "rewinds", "Times that a sender went back to the last acknowledged record.")                    \
    X(GAPS, "gaps", "Runs of records found missing in journals of dead workers.")                              \
    X(ACKS_REFUSED, "acks_refused", "Acks and heartbeats whose MAC does not verify.")                          \
    X(REDIS_CONNECTS, "redis_connects", "Connections made to Redis.")                                          \
    X(REDIS_ERRORS, "redis_errors", "Connections to Redis lost, refused or given up.")                         \
    X(GEOIP_LOADED, "geoip_loaded", "GeoIP databases taken into use, by all workers.")                         \
    X(GEOIP_REFUSED, "geoip_refused", "GeoIP databases refused: damaged, or not to be read.")

#define NGX_HTTP_AFFILIATE_GAUGES(X)                                                                           \
    /* the next two are of the whole folder, set by the worker that counts */                                  \
    X(TRAFFIC_BYTES, "traffic_bytes", "Bytes on disk of journals of clicks and views.")                        \
    X(MONEY_BYTES, "money_bytes", "Bytes on disk of journals of conversions.")                                 \
    X(RECORDS_PENDING, "records_pending", "Records not yet committed in the database.")                        \
    X(ORPHANS, "orphans", "Journals of dead workers being shipped.")                                           \
    X(REDIS_CONNECTED, "redis_connected", "Workers that are connected to Redis.")                              \
    X(SYNCS_WAITING, "syncs_waiting", "Answers that wait for the disk.")                                       \
    X(VERDICTS_WAITING, "verdicts_waiting", "Answers that wait for the database's word on a lead.")

/* The bits of enum tracker_click_flag, in order: their names in variables and on the status page. */
#define NGX_HTTP_AFFILIATE_VERDICTS(X)                                                                         \
    X(REPEAT, "repeat")                                                                                        \
    X(BROKEN_COOKIE, "broken_cookie")                                                                          \
    X(NO_COOKIE_SET, "no_cookie_set")                                                                          \
    X(BOT, "bot")                                                                                              \
    X(PREFETCH, "prefetch")                                                                                    \
    X(PAUSED, "paused")                                                                                        \
    X(TEST, "test")                                                                                            \
    X(NOT_ACCRUING, "not_accruing")                                                                            \
    X(PREVIEW, "preview")                                                                                      \
    X(DATACENTRE, "datacentre")                                                                                \
    X(RATE, "rate")                                                                                            \
    X(NO_AGENT, "no_agent")                                                                                    \
    X(NO_CONSENT, "no_consent")                                                                                \
    X(DEEP_REFUSED, "deep_refused")                                                                            \
    X(CAPPED, "capped")                                                                                        \
    X(OUT_OF_DATES, "out_of_dates")                                                                            \
    X(TRACKED, "tracked")

#define NGX_HTTP_AFFILIATE_ENUM(name, text, help) NGX_HTTP_AFFILIATE_##name,
typedef enum {
    NGX_HTTP_AFFILIATE_COUNTERS(NGX_HTTP_AFFILIATE_ENUM)
    NGX_HTTP_AFFILIATE_COUNTER_COUNT
} ngx_http_affiliate_counter_e;
typedef enum {
    NGX_HTTP_AFFILIATE_GAUGES(NGX_HTTP_AFFILIATE_ENUM)
    NGX_HTTP_AFFILIATE_GAUGE_COUNT
} ngx_http_affiliate_gauge_e;
#undef NGX_HTTP_AFFILIATE_ENUM
#define NGX_HTTP_AFFILIATE_ENUM(name, text) NGX_HTTP_AFFILIATE_VERDICT_##name,
typedef enum {
    NGX_HTTP_AFFILIATE_VERDICTS(NGX_HTTP_AFFILIATE_ENUM)
    NGX_HTTP_AFFILIATE_VERDICT_COUNT
} ngx_http_affiliate_verdict_e;
#undef NGX_HTTP_AFFILIATE_ENUM

/*
 * A worker's own lines of the zone, so that workers share no cache line on the
 * click path.  The slot is ngx_process_slot modulo the count: unique among living
 * processes up to 128 of them; beyond, counters stay right (they are added
 * atomically) and two workers' gauges overwrite each other.  Gauges are set to 0
 * at a worker's start and exit, counters never.
 */
#define NGX_HTTP_AFFILIATE_SLOTS 128

/* Kinds of refusals that are counted apart; more than there are, checked at compile time. */
#define NGX_HTTP_AFFILIATE_ERRORS_MAX 96

typedef struct {
    ngx_atomic_t pid; /* 0: nobody */
    ngx_atomic_t counters[NGX_HTTP_AFFILIATE_COUNTER_COUNT];
    ngx_atomic_t verdicts[NGX_HTTP_AFFILIATE_VERDICT_COUNT]; /* clicks with that bit */
    ngx_atomic_t gauges[NGX_HTTP_AFFILIATE_GAUGE_COUNT];
    ngx_atomic_t snapshot_version;    /* configuration version this worker answers with; 0: none */
    ngx_atomic_t snapshot_created_ms; /* wall clock: when that was made */
    ngx_atomic_t oldest_pending_ms;   /* wall clock of its oldest uncommitted record; 0: none */
} __attribute__((aligned(64))) ngx_http_affiliate_slot_t;

/* How often each of many came in this minute (rate.c). */
#define NGX_HTTP_AFFILIATE_RATES 2048

typedef struct {
    ngx_atomic_t places[NGX_HTTP_AFFILIATE_RATES];
} ngx_http_affiliate_rates_t;

/* One link's clicks, of all workers.  Links come in as they are clicked and stay as long as the zone. */
typedef struct {
    ngx_atomic_t link;      /* its id; 0: a free place */
    ngx_atomic_t clicks;
    ngx_atomic_t uncounted; /* of them: bots, previews...: TRACKER_CLICK_UNCOUNTED */
} ngx_http_affiliate_link_count_t;

/* One capped thing's clicks of one day: cap.c's own. */
#define NGX_HTTP_AFFILIATE_CAPS 4096

typedef struct {
    uint64_t key;   /* what is counted; 0: nobody yet */
    uint64_t count; /* day << 32 | clicks on it */
} ngx_http_affiliate_cap_t;

/* Addresses whose clicks are counted at a time: 64 KiB. */
#define NGX_HTTP_AFFILIATE_CLICK_RATES 8192

/* Fixed arrays and atomics only: the master can unlock a zone after a kill, not repair it. */
struct ngx_http_affiliate_zone_s {
    uint64_t     layout;              /* a reload must not misread the zone of another build of the module */
    uint64_t     started_ms;          /* wall clock */
    ngx_atomic_t snapshot_generation; /* the fetcher adds 1 after it renamed new files into place */
    ngx_atomic_t snapshot_checked_ms; /* wall clock: the publisher's offer was last compared with ours; 0: never */
    ngx_atomic_t consumer_beat_ms;    /* wall clock of the last consumer heartbeat heard; 0: never */
    ngx_atomic_t acked_ms;            /* wall clock: the database last committed records of ours; 0: never */
    ngx_atomic_t unrecorded;          /* numbers the ids of clicks when a worker has no journal at all */
    /* By journal kind - 1; the wire's own.  Bytes on disk of the whole folder (recounted every second), and
     * the wall clock second in which somebody last ran short: then all workers free what is acked. */
    ngx_atomic_t journal_bytes[2];
    ngx_atomic_t journal_wanted[2];
    ngx_atomic_t homeless[2]; /* by kind - 1: dropped by workers without a journal; the next new one counts them */
    ngx_atomic_t caps_full; /* it was said that caps has no room */
    uint64_t     secret[2]; /* of hash tables that visitors have an influence on; random */
    ngx_atomic_t click_rates[NGX_HTTP_AFFILIATE_CLICK_RATES]; /* how often addresses click: click_rate.c's own */
    ngx_atomic_t errors[NGX_HTTP_AFFILIATE_ERRORS_MAX]; /* answers by ngx_http_affiliate_error_e */
    ngx_http_affiliate_rates_t users;     /* requests by API user */
    ngx_http_affiliate_rates_t addresses; /* pixels by address */
    ngx_http_affiliate_rates_t forms;     /* what is sent with them, by form and address */
    ngx_http_affiliate_slot_t slots[NGX_HTTP_AFFILIATE_SLOTS];
    ngx_http_affiliate_cap_t        caps[NGX_HTTP_AFFILIATE_CAPS];
    ngx_http_affiliate_link_count_t other;   /* links that found no place */
    ngx_uint_t                      links_n; /* places */
    ngx_http_affiliate_link_count_t links[]; /* open addressing by the hashed id */
};

/* This worker's slot, and the zone it is in; set in init_process before either half starts. */
extern ngx_http_affiliate_slot_t *ngx_http_affiliate_slot;
extern ngx_http_affiliate_zone_t *ngx_http_affiliate_zone;

#define ngx_http_affiliate_count_n(name, n)                                                                    \
    (void) ngx_atomic_fetch_add(&ngx_http_affiliate_slot->counters[NGX_HTTP_AFFILIATE_##name], (n))
#define ngx_http_affiliate_count(name)       ngx_http_affiliate_count_n(name, 1)
#define ngx_http_affiliate_gauge(name, value)                                                                  \
    (ngx_http_affiliate_slot->gauges[NGX_HTTP_AFFILIATE_##name] = (ngx_atomic_uint_t) (value))

/* The names above, for variables and the status page. */
extern const char *const ngx_http_affiliate_counter_names[NGX_HTTP_AFFILIATE_COUNTER_COUNT];
extern const char *const ngx_http_affiliate_gauge_names[NGX_HTTP_AFFILIATE_GAUGE_COUNT];
extern const char *const ngx_http_affiliate_verdict_names[NGX_HTTP_AFFILIATE_VERDICT_COUNT];

/* Where a link's clicks are counted; the place for others when the table is full.  Never NULL; valid as long
 * as the zone, so that a route may keep it.  A few dozen instructions. */
ngx_http_affiliate_link_count_t *ngx_http_affiliate_link_count(uint32_t link);

/* A recorded click: the worker's, its link's, and each of its verdicts. */
static ngx_inline void
ngx_http_affiliate_count_click(ngx_http_affiliate_link_count_t *link, uint32_t flags)
{
    ngx_http_affiliate_count(CLICKS);
    (void) ngx_atomic_fetch_add(&link->clicks, 1);
    if (flags & TRACKER_CLICK_UNCOUNTED) {
        (void) ngx_atomic_fetch_add(&link->uncounted, 1);
    }
    for (flags &= (1u << NGX_HTTP_AFFILIATE_VERDICT_COUNT) - 1; flags != 0; flags &= flags - 1) {
        (void) ngx_atomic_fetch_add(&ngx_http_affiliate_slot->verdicts[__builtin_ctz(flags)], 1);
    }
}

/* Sums over all workers; a scan of 128 slots: not for the click path. */
uint64_t ngx_http_affiliate_counter_sum(ngx_http_affiliate_zone_t *zone,
                                        ngx_http_affiliate_counter_e counter);
uint64_t ngx_http_affiliate_verdict_sum(ngx_http_affiliate_zone_t *zone,
                                        ngx_http_affiliate_verdict_e verdict);
uint64_t ngx_http_affiliate_gauge_sum(ngx_http_affiliate_zone_t *zone, ngx_http_affiliate_gauge_e gauge);

/* ---- the wire side ---- */

/*
 * Worker start and stop; called only in worker (or single) processes, when
 * affiliate_state is set.  Init creates folders and both journals; when the disk
 * refuses it logs and goes on: events are then dropped and counted, not fatal.
 */
ngx_int_t ngx_http_affiliate_wire_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);
void      ngx_http_affiliate_wire_exit(ngx_cycle_t *cycle);

/*
 * Space for an event of at most max_len bytes in this worker's journal of that
 * kind, and the identity the event will have: its sequence and its journal's
 * short id.  NULL: refused (quota, disk, failed journal): answer with an
 * unrecorded id, see drop.  A reservation that is not committed is forgotten by the next.
 */
uint8_t  *ngx_http_affiliate_reserve(enum tracker_journal_kind kind, size_t max_len, uint64_t *sequence,
                                     uint64_t *journal);
/* Commits what was reserved; never fails.  From here on a killed worker loses nothing. */
void      ngx_http_affiliate_commit(enum tracker_journal_kind kind, uint8_t type, uint64_t time_ms,
                                    size_t len);
/* Counts a refused event (DROPPED_*, and in the journal's header). Returns the drop counter and fills the
 * short id: together they name the unrecorded click.  *journal is 0 when there is no journal at all. */
uint64_t  ngx_http_affiliate_drop(enum tracker_journal_kind kind, uint64_t *journal);

/* Called once, on the event loop: NGX_OK = on disk, NGX_ERROR = it could not be synced.  It answers and
 * finalizes the request; the wire runs posted requests afterwards. */
typedef void (*ngx_http_affiliate_synced_pt)(ngx_http_request_t *r, void *data, ngx_int_t rc);

/*
 * Waits until the record `sequence` is on disk.  The caller holds a reference on
 * the request (r->main->count), which the handler's ngx_http_finalize_request
 * gives back.  When the request dies first the handler is not called.
 * NGX_OK: waiting (or already called).  NGX_ERROR: not waiting, nothing will be called.
 */
ngx_int_t ngx_http_affiliate_await_sync(ngx_http_request_t *r, enum tracker_journal_kind kind,
                                        uint64_t sequence, ngx_http_affiliate_synced_pt handler, void *data);

/* ---- the snapshot ---- */

/* Loads the last good files at a worker's start, so that its first request is answered; then watches. */
ngx_int_t ngx_http_affiliate_snapshot_init(ngx_cycle_t *cycle, ngx_http_affiliate_main_conf_t *amcf);
void      ngx_http_affiliate_snapshot_exit(ngx_cycle_t *cycle);

/* What this worker answers with; NULL: none yet.  Valid until control returns to the event loop. */
const struct tracker_snapshot *ngx_http_affiliate_snapshot(void);
/* Changes with each snapshot of this worker; 0 before the first. */
ngx_uint_t ngx_http_affiliate_snapshot_serial(void);
/* The same, valid as long as pool lives.  NULL: none yet, or no memory. */
const struct tracker_snapshot *ngx_http_affiliate_snapshot_pin(ngx_pool_t *pool);

/*
 * For the fetcher: <snapshot_dir>/base and <snapshot_dir>/delta are replaced by
 * rename (checked with tracker_snapshot_open before), an outdated delta is removed, and then
 * zone->snapshot_generation grows by one: every worker, the fetcher's own
 * included, loads them in a thread within 100 ms.
 */
#define NGX_HTTP_AFFILIATE_SNAPSHOT_BASE  "base"
#define NGX_HTTP_AFFILIATE_SNAPSHOT_DELTA "delta"

#endif
